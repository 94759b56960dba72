//! `ibga wait`: returns when the gateway is ready, for whoever starts things in their order. Looks at the status file, and probes only
//! where nobody else looks after the gateway.

use std::time::Duration;

use clap::Args;
use ibga_core::clock::Stopwatch;
use ibga_core::report::Report;
use ibga_core::waiting::{Look, Pace, Turn, WrittenBy};
use jiff::tz::TimeZone;

use super::check::{deliver, one_line};
use super::preflight::{Judged, MarketHours, here_and_now, judge, pretty};
use super::run::{Refreshed, refresh};
use super::{CommonArgs, Exit, ExpectArgs, MarketArgs, PlaceArgs, QuestionArgs, settings, usage_fault};
use crate::check::writer;
use crate::file_watch::{self, FileWatch};
use crate::halt;
use crate::output::{Output, printable};
use crate::settings::{Settings, check_wait};

/// How often is looked at the least, whatever the kernel notes.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A probe that would have to end sooner is not begun: it could only say that it had no time.
const PROBE_TIME_MIN: Duration = Duration::from_secs(5);

/// The longest that people being told may hold up the next look.
const DELIVERY_LIMIT: Duration = Duration::from_secs(2);

const AFTER_HELP: &str = "\
Examples:
  ibga wait && ibga run -- ./agent.py            in a start-up script
  ibga wait --timeout 30m --market               until the exchange is open, too
  ibga wait --host gateway --port 4003 -q        in a container beside the gateway

It goes by the rules of the gate, but for market hours, and returns at once when they hold; a halt is waited for, too. While another \
process keeps the status file up (`ibga watch`, or a check within the last minute), it only looks at the file. Otherwise it probes as \
`ibga check` does, writes the file, and pauses from 5 seconds up to a minute in between. The limit of one probe is the setting \
`timeout` (IBGA_TIMEOUT).

Exit codes: 0 ready, 1 not ready at the time limit, 2 wrong usage or configuration.";

/// Wait until the gateway is ready
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct WaitArgs {
    /// Longest time to wait, 1s to 24h
    #[arg(long, value_name = "TIME", default_value = "5m")]
    timeout: String,
    /// Wait until the market is open, too
    #[arg(long)]
    market: bool,
    /// Print the last decision as JSON
    #[arg(long)]
    json: bool,
    /// Age from which on a status is stale [default: 10m]
    #[arg(long, value_name = "TIME", help_heading = "Judgement")]
    max_age: Option<String>,
    #[command(flatten)]
    exchanges: MarketArgs,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    question: QuestionArgs,
    #[command(flatten)]
    expect: ExpectArgs,
    #[command(flatten)]
    common: CommonArgs,
}

pub(super) fn run(arguments: &WaitArgs) -> Exit {
    let mut flags = arguments.common.flags();
    flags.max_age.clone_from(&arguments.max_age);
    arguments.exchanges.add_to(&mut flags);
    arguments.place.add_to(&mut flags);
    arguments.question.add_to(&mut flags);
    arguments.expect.add_to(&mut flags);
    let limit = match check_wait(&arguments.timeout) {
        Ok(limit) => limit,
        Err(fault) => return usage_fault(&format!("--timeout: {fault}")),
    };
    let output = arguments.common.output();
    let settings = match settings(&flags, output) {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    let hours = if arguments.market { MarketHours::Kept } else { MarketHours::PassedOver };
    let judged = match Waiting::new(&settings, hours, limit, output).run() {
        Ok(judged) => judged,
        Err(exit) => return exit,
    };
    let is_ready = judged.decision.is_go();
    if arguments.json {
        output.document(&pretty(&judged.document()));
    } else if is_ready {
        output.data(&judged.report.as_ref().map_or_else(|| "ready".to_owned(), one_line));
    }
    if is_ready {
        return Exit::Yes;
    }
    output.message(&format!("not ready after {}: {}", arguments.timeout, reasons(&judged)));
    for remedy in judged.remedies() {
        output.message(&format!("What to do: {}", printable(&remedy)));
    }
    Exit::No
}

struct Waiting<'a> {
    settings: &'a Settings,
    hours: MarketHours,
    limit: Duration,
    output: Output,
    since: Stopwatch,
    zone: TimeZone,
    pace: Pace,
}

impl<'a> Waiting<'a> {
    fn new(settings: &'a Settings, hours: MarketHours, limit: Duration, output: Output) -> Self {
        let zone = TimeZone::system();
        Self { settings, hours, limit, output, since: Stopwatch::start(), zone, pace: Pace::default() }
    }

    fn left(&self) -> Duration {
        self.limit.saturating_sub(self.since.elapsed())
    }

    /// The decision that is a go, or the last one at the time limit.
    fn run(mut self) -> Result<Judged, Exit> {
        let [all, one] = halt::paths(self.settings);
        let watch = FileWatch::on(&[self.settings.status_file.clone(), all, one]);
        let (mut made_now, mut told) = (None, Vec::new());
        loop {
            let judged = judge(self.settings, self.hours, &here_and_now(), made_now.take())?;
            if judged.decision.is_go() {
                return Ok(judged);
            }
            self.tell_once(&judged, &mut told);
            if self.left().is_zero() {
                return Ok(judged);
            }
            match self.pace.turn(&look(&judged), self.since.elapsed()) {
                Turn::Probe if self.has_time() => made_now = Some(self.probe()),
                Turn::Probe | Turn::Look => file_watch::wait(watch.as_ref(), self.left().min(LOOK_INTERVAL)),
            }
        }
    }

    /// Whether a probe can still come to something. The first is made in any case.
    fn has_time(&self) -> bool {
        !self.pace.has_probed() || self.left() >= PROBE_TIME_MIN.min(self.settings.timeout)
    }

    fn probe(&mut self) -> Refreshed {
        let mut settings = self.settings.clone();
        settings.timeout = settings.timeout.min(self.left());
        let (report, post) = refresh(&settings, &self.zone, self.output);
        if let Some(post) = post {
            deliver(post, DELIVERY_LIMIT, self.output);
        }
        // A report that could not be written says nothing of the gateway; trying again at once would not either.
        let status = report.as_ref().map_or(ibga_core::cause::Status::Error, |report| report.status);
        self.pace.probed(status, self.since.elapsed());
        report
    }

    /// Tells why it is not ready when that is another reason than before.
    fn tell_once(&self, judged: &Judged, told: &mut Vec<String>) {
        let cause = judged.report.as_ref().and_then(Report::cause).map(|cause| cause.to_string());
        let codes = judged.decision.failures().map(|check| check.rule.fault_code().to_owned());
        let reasons_now: Vec<String> = codes.chain(cause).collect();
        if *told != reasons_now {
            *told = reasons_now;
            self.output.message(&format!("waiting: {}", reasons(judged)));
        }
    }
}

fn reasons(judged: &Judged) -> String {
    let texts: Vec<String> = judged.decision.failures().map(|check| printable(&check.text)).collect();
    texts.join("; ")
}

fn look(judged: &Judged) -> Look<'_> {
    let report = judged.report.as_ref().map(|report| {
        let mine = report.more.as_ref().is_some_and(|more| more.writer == writer());
        let by = if mine { WrittenBy::Myself } else { WrittenBy::Another };
        (by, here_and_now().now.duration_since(report.timestamp))
    });
    Look { decision: &judged.decision, report }
}
