//! `ibga run --supervise`: how an agent is kept by the rules of the gate, and what is said when it is stopped.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use ibga_core::act::{Act, ActKind};
use ibga_core::calendar::Calendars;
use ibga_core::clock;
use ibga_core::gate::Decision;
use ibga_core::report::Report;
use ibga_core::supervision::{Stop, Supervision};
use jiff::tz::TimeZone;

use super::preflight::{HereAndNow, Judged, MarketHours, judge_by};
use super::{Exit, check as check_command};
use crate::alert::post::Post;
use crate::check::block_on;
use crate::halt;
use crate::market::calendars;
use crate::output::{self, Output, printable};
use crate::settings::Settings;
use crate::store::Store;
use crate::supervise::{self, Ended, Manner, Plan};

/// How much of telling other processes at the store may take.
const STORE_LIMIT: Duration = Duration::from_millis(500);

/// How long people are told for. The stop does not wait for it, only the end of this process.
const DELIVERY_LIMIT: Duration = Duration::from_secs(4);

/// The longest that the end of this process waits for telling.
const TELLING_LIMIT: Duration = Duration::from_secs(6);

/// The process that becomes the agent.
pub(super) fn become_agent(arguments: &[OsString]) -> Exit {
    match supervise::become_agent(arguments) {
        Some((program, fault)) => Exit::cannot_start(&program, &fault),
        None => Exit::Usage,
    }
}

/// An agent and what it is judged by.
pub(super) struct Watched<'a> {
    pub(super) program: &'a OsStr,
    pub(super) settings: &'a Settings,
    pub(super) hours: MarketHours,
    pub(super) output: Output,
}

impl Watched<'_> {
    /// Runs the command beside this process, on the decision with which it was started.
    pub(super) fn run(&self, command: Command, at_the_start: &Decision) -> Exit {
        let name = printable(&self.program.to_string_lossy());
        let desk = match Desk::new(self, &name) {
            Ok(desk) => desk,
            Err(fault) => return super::usage_fault(&fault),
        };
        let supervision = Supervision::new(self.settings.supervision.terms.clone(), at_the_start);
        let [all, one] = halt::paths(self.settings);
        let paths = [self.settings.status_file.clone(), all, one];
        let plan = Plan {
            paths: &paths,
            grace: self.settings.supervision.grace,
            look: &|| desk.look(),
            tell: &|stop| desk.tell(stop),
        };
        let ended = block_on(supervise::run(command, supervision, &plan)).and_then(|ended| ended);
        match ended {
            Err(fault) => Exit::cannot_start(self.program, &fault),
            Ok(Ended::ByItself(status)) => exit_of(status),
            Ok(Ended::Stopped(manner)) => {
                desk.log(&format!("{name} {}", self.told(manner)));
                desk.finish();
                Exit::Stopped
            }
        }
    }

    fn told(&self, manner: Manner) -> String {
        match manner {
            Manner::InTime(after) => format!("ended after {:.1} s", after.as_secs_f64()),
            Manner::Killed => format!("was killed (grace {:?})", self.settings.supervision.grace),
            Manner::NotYet => "was killed, and the kernel has not ended it yet".into(),
        }
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    let signal = status.signal().and_then(|signal| u8::try_from(signal).ok());
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    signal.map_or_else(|| Exit::Agent(code.unwrap_or(u8::MAX)), Exit::Signalled)
}

/// What is kept from one look to the next.
struct Desk<'a> {
    watched: &'a Watched<'a>,
    name: &'a str,
    zone: TimeZone,
    /// The newest calendars without a fault, and the last fault.
    calendars: RefCell<(Calendars, Option<String>)>,
    judged: RefCell<Option<Judged>>,
    telling: RefCell<Option<Receiver<()>>>,
}

impl<'a> Desk<'a> {
    fn new(watched: &'a Watched<'a>, name: &'a str) -> Result<Self, String> {
        let calendars = RefCell::new((calendars(watched.settings)?, None));
        let (judged, telling) = (RefCell::new(None), RefCell::new(None));
        Ok(Self { watched, name, zone: TimeZone::system(), calendars, judged, telling })
    }

    fn here_and_now(&self) -> HereAndNow {
        HereAndNow { now: clock::now(), zone: self.zone.clone() }
    }

    fn look(&self) -> Decision {
        self.read_calendars();
        let at = self.here_and_now();
        let judged = judge_by(self.watched.settings, &self.calendars.borrow().0, self.watched.hours, &at, None);
        let decision = judged.decision.clone();
        self.judged.replace(Some(judged));
        decision
    }

    /// A correction counts at once; one that cannot be read, half saved or misspelt, is told and leaves the ones before.
    fn read_calendars(&self) {
        if self.watched.settings.calendar_overrides.is_none() {
            return;
        }
        let mut kept = self.calendars.borrow_mut();
        match calendars(self.watched.settings) {
            Ok(newest) => *kept = (newest, None),
            Err(fault) if kept.1.as_ref() == Some(&fault) => {}
            Err(fault) => {
                self.log(&format!("the calendars stay as they were: {fault}"));
                kept.1 = Some(fault);
            }
        }
    }

    /// One line with its time, for a log.
    fn log(&self, text: &str) {
        let HereAndNow { now, zone } = self.here_and_now();
        let at = now.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        output::fault(&format!("{at} ibga run: {}", printable(text)));
    }

    /// Says it in the log, and has people told and the act kept while the agent is being stopped.
    fn tell(&self, stop: &Stop) {
        self.log(&format!("stopping {}: {stop}", self.name));
        let settings = self.watched.settings.clone();
        let act = Act {
            gateway: Some(settings.gateway.to_string()),
            at: clock::now(),
            kind: ActKind::AgentStopped,
            by: "ibga run".into(),
            text: format!("{} was stopped: {stop}", self.name),
        };
        let judged = self.judged.borrow();
        let remedies = judged.as_ref().map(Judged::remedies).unwrap_or_default();
        let report = judged.as_ref().and_then(|judged| judged.report.clone());
        let (zone, output) = (self.zone.clone(), self.watched.output);
        let (sender, receiver) = channel();
        let work = move || {
            have_told(&settings, &zone, &act, report.as_ref(), &remedies, output);
            let _ = sender.send(());
        };
        match std::thread::Builder::new().spawn(work) {
            Ok(_) => drop(self.telling.replace(Some(receiver))),
            Err(fault) => self.log(&format!("nobody can be told: {fault}")),
        }
    }

    /// Waits until people have been told; a slow server gets the rest from the next check.
    fn finish(&self) {
        if let Some(telling) = self.telling.borrow().as_ref() {
            let _ = telling.recv_timeout(TELLING_LIMIT);
        }
    }
}

fn have_told(
    settings: &Settings,
    zone: &TimeZone,
    act: &Act,
    report: Option<&Report>,
    remedies: &[String],
    output: Output,
) {
    if let Some(post) = Post::of_act(settings, zone, act, report, remedies, STORE_LIMIT) {
        check_command::deliver(post, DELIVERY_LIMIT, output);
    }
    let noted =
        Store::open_within(settings.state_dir.as_deref(), STORE_LIMIT).and_then(|mut store| store.note_act(act));
    if let Err(fault) = noted {
        output.message(&format!("warning: the stop is not in the history: {fault}"));
    }
}
