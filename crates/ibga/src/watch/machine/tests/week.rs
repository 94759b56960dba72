//! One week of a gateway in Hong Kong, played in simulated time from the files of `tests/week`: what the gateway did, what the
//! status file said, what was recovered or left alone, and what people were told. The chronicle stands in `docs/week.md`.

use std::fmt::Write as _;

use ibga_core::act::{Act, ActKind};
use ibga_core::alert::{self, Acted, Alert, Kind, Memory, Policy, Subject};
use ibga_core::cause::Cause;
use ibga_core::forecast::{Approval, When};
use ibga_core::log_hints::{LogHintKind, last_hint};
use ibga_core::recovery::{Treatment, treatment};
use ibga_core::reset_windows::{Length, resets_between};
use ibga_sim::{Scenario, Timeline};
use jiff::civil::DateTime;

use super::super::*;
use super::bench::{Bench, Gateway, found, secs, settings};
use crate::alert::post::{hours, policy};
use crate::watch::teller::Kept;

const TIMELINE: &str = include_str!("../../../../tests/week/hong-kong.timeline");
const CONTAINER: &str = include_str!("../../../../tests/week/hong-kong.container");

/// When the timeline begins, in Hong Kong.
const BEGINS: &str = "2026-11-23T00:00:00";

/// What is set of the gateway that is watched; everything else is as it comes.
const VARIABLES: [(&str, &str); 5] = [
    ("IBGA_CONTAINER", "ibga"),
    ("IBGA_RECOVER", "container_stopped,api_silent"),
    ("IBGA_RECOVER_WITH", "run /usr/bin/docker restart ibga"),
    ("IBGA_RESET_WINDOWS", "04:45-06:05 Asia/Hong_Kong Asia,20:15-21:15 Asia/Hong_Kong Asia"),
    ("IBGA_EXCHANGE", "XHKG"),
];

/// How long a container that runs takes to stop, and one that was started to log in.
const STOPS_WITHIN: Duration = Duration::from_secs(10);
const LOGS_IN_WITHIN: Duration = Duration::from_secs(40);

/// How long the status file may say ready after a loss that nobody tells: a heartbeat, and the wait for its answer.
const SILENT_LOSS_MAX: Duration = Duration::from_secs(25);
/// How long it may say that the gateway is not ready after it opened.
const OPENING_MAX: Duration = Duration::from_millis(1_500);
/// The same after a silence without an end that could be seen: the gap between two questions for the broker, and some.
const SILENT_OPENING_MAX: Duration = Duration::from_secs(35);

/// How far from a reset window nothing may be done.
const RESET_DISTANCE: SignedDuration = SignedDuration::from_mins(8);

/// What comes at a moment.
#[derive(Debug)]
enum Happening {
    Plays(Scenario),
    Stops,
    Starts,
    LoggedIn,
    Says(String),
    IsDone(Box<Order>),
    Ends,
}

/// What a client meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api {
    /// The container is down.
    Gone,
    /// Nobody is logged in, or logs in: ibga's proxy accepts and keeps silent.
    Closed,
    Wedged,
    Unresponsive,
    CutOff,
    Ready,
}

/// A time in which the file did not say what was so.
#[derive(Debug)]
struct Mistake {
    /// What was so before it, and since.
    from: Api,
    to: Api,
    began: Duration,
}

/// A time in which the status file did not say ready.
#[derive(Debug)]
struct Spell {
    began: Duration,
    lasted: Duration,
    near: bool,
    in_weekend: bool,
    told_after: Option<Duration>,
}

struct World {
    bench: Bench,
    zone: TimeZone,
    settings: Arc<Settings>,
    agenda: Vec<(Duration, Happening)>,
    scenario: Scenario,
    is_running: bool,
    is_logged_in: bool,
    /// It was restarted since the listener was wedged.
    is_cured: bool,
    api: Api,
    before: Api,
    log: Vec<String>,
    memory: Option<Memory>,
    policy: Policy,
    approval: Option<Approval>,
    chronicle: Vec<(Timestamp, &'static str, String)>,
    alerts: Vec<(Duration, Alert)>,
    acts: Vec<Timestamp>,
    reports: usize,
    /// Whether the status file says ready.
    file: Option<bool>,
    mistake: Option<Mistake>,
    mistakes: Vec<(Mistake, Duration)>,
    spell: Option<Spell>,
    spells: Vec<Spell>,
}

impl World {
    fn new() -> Self {
        let (settings, zone) = (settings(&VARIABLES), TimeZone::get("Asia/Hong_Kong").expect("a zone"));
        let begins: DateTime = BEGINS.parse().expect("a time");
        let begins = zone.to_timestamp(begins).expect("an instant");
        let bench = Bench::at(&begins.to_string(), Arc::clone(&settings), Gateway::Ready);
        let mut agenda = course(TIMELINE);
        agenda.extend(beside(CONTAINER, &zone, begins));
        agenda.sort_by_key(|(at, _)| *at);
        Self {
            bench,
            policy: policy(&settings.alerts, Reporter::Watch),
            zone,
            settings,
            agenda,
            scenario: Scenario::Ready,
            is_running: true,
            is_logged_in: true,
            is_cured: false,
            api: Api::Ready,
            before: Api::Ready,
            log: vec!["IBC: Login has completed".into()],
            memory: None,
            approval: None,
            chronicle: Vec::new(),
            alerts: Vec::new(),
            acts: Vec::new(),
            reports: 0,
            file: None,
            mistake: None,
            mistakes: Vec::new(),
            spell: None,
            spells: Vec::new(),
        }
    }

    fn play(&mut self) {
        self.bench.container(&found(ContainerState::Running));
        while let Some((at, _)) = self.agenda.first() {
            let at = *at;
            if !self.bench.step(at) {
                let (_, happening) = self.agenda.remove(0);
                self.happen(happening);
            }
            self.take_effects();
            self.compare();
        }
    }

    fn plan(&mut self, after: Duration, happening: Happening) {
        let at = self.bench.now.running + after;
        let index = self.agenda.partition_point(|(other, _)| *other <= at);
        self.agenda.insert(index, (at, happening));
    }

    fn say(&mut self, who: &'static str, what: impl Into<String>) {
        self.chronicle.push((self.bench.now.wall, who, what.into()));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Plays(scenario) => {
                if self.bench.now.running > Duration::ZERO {
                    self.say("gateway", scenario.name());
                }
                self.is_cured = false;
                self.scenario = scenario;
            }
            Happening::Stops => {
                self.say("container", "stopped");
                (self.is_running, self.is_logged_in) = (false, false);
            }
            Happening::Starts => {
                self.say("container", "started; the gateway logs in");
                self.log.push("Starting IB Gateway".into());
                (self.is_running, self.is_cured) = (true, true);
                self.plan(LOGS_IN_WITHIN, Happening::LoggedIn);
            }
            Happening::LoggedIn => {
                self.say("gateway", "logged in");
                self.log.push("IBC: Login has completed".into());
                self.is_logged_in = true;
            }
            Happening::Says(line) => {
                self.say("container", format!("its log says: {line}"));
                self.log.push(line);
            }
            Happening::IsDone(order) => self.tell_act(&order),
            Happening::Ends => {}
        }
        self.become_what_it_is();
    }

    /// What the gateway is now, and what its clients see of the change.
    fn become_what_it_is(&mut self) {
        let api = match self.scenario {
            _ if !self.is_running => Api::Gone,
            _ if !self.is_logged_in => Api::Closed,
            Scenario::Wedged if self.is_cured => Api::Ready,
            Scenario::Ready | Scenario::FarmFlap => Api::Ready,
            Scenario::LoggedOut => Api::Closed,
            Scenario::Wedged => Api::Wedged,
            Scenario::ApiUnresponsive => Api::Unresponsive,
            Scenario::BrokerLinkDown | Scenario::ServerReset => Api::CutOff,
            other => panic!("this week has no {other}"),
        };
        self.before = std::mem::replace(&mut self.api, api);
        self.bench.gateway = match api {
            Api::Gone => Gateway::Refusing,
            Api::Closed | Api::Wedged => Gateway::Silent,
            Api::Unresponsive => Gateway::Unresponsive,
            Api::CutOff => Gateway::CutOff,
            Api::Ready => Gateway::Ready,
        };
        match (self.before, api) {
            (Api::Gone, Api::Closed) | (Api::Closed | Api::Gone, Api::Gone) if self.before == api => {}
            (_, Api::Gone) => self.bench.hang_up(),
            (_, Api::Closed) if !self.bench.is_kept_waiting() => self.bench.hang_up(),
            (Api::Ready, Api::CutOff) => self.bench.notice(1100, "Connectivity has been lost."),
            (Api::CutOff, Api::Ready) => self.bench.notice(1102, "Connectivity has been restored - data maintained."),
            (Api::Closed | Api::Wedged, Api::Ready) => self.bench.let_in(),
            _ => {}
        }
        if self.scenario == Scenario::FarmFlap && api == Api::Ready {
            self.bench.notice(2103, "Market data farm connection is broken:hfarm");
            self.bench.notice(2104, "Market data farm connection is OK:hfarm");
        }
        let state = if self.is_running { ContainerState::Running } else { ContainerState::Stopped };
        self.bench.container(&found(state));
    }

    fn take_effects(&mut self) {
        // What is done may come to more.
        while !self.bench.effects.is_empty() {
            for effect in std::mem::take(&mut self.bench.effects) {
                self.perform(effect);
            }
        }
        self.bench.log.clear();
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Write(report) => self.written(&report),
            Effect::Announce(change) => {
                self.say("status", change.to.to_string());
                let never = change.to.cause.filter(|cause| *cause != Cause::Ready && *cause != Cause::SessionLost);
                if let Some(Treatment::Never(why)) = never.map(treatment) {
                    self.say("left alone", why);
                }
            }
            Effect::Tell { report, .. } => self.tell(&report),
            Effect::ReadLog(_) => {
                let hint = last_hint(&self.log);
                self.bench.log_says(hint.map_or(LogSeen::Quiet, LogSeen::Hint));
            }
            Effect::Forecast => {
                let ahead = crate::forecast::forecast(&self.settings, None, self.bench.now.wall);
                let effects = self.bench.machine.forecast(ahead, self.bench.now);
                self.bench.note(effects);
            }
            Effect::Recall => {
                let effects = self.bench.machine.recalled(Some(Past::default()), self.bench.now);
                self.bench.note(effects);
            }
            Effect::Recover(order) => self.recover(order),
            Effect::GiveUp(order) => panic!("nothing had to be given up: {order:?}"),
            Effect::LeftAlone(why) => self.say("left alone", why.to_string()),
        }
    }

    fn written(&mut self, report: &Report) {
        self.reports += 1;
        self.file = Some(report.ready_to_trade);
        let forecast = report.more.as_ref().and_then(|more| more.forecast.as_ref());
        // While it is worked out anew the file has none.
        let Some(approval) = forecast.map(|forecast| Some(forecast.approval)) else { return };
        let when = |approval: Option<Approval>| approval.map(|approval| approval.when);
        if self.reports > 1 && when(approval) != when(self.approval) {
            let text = approval.map_or_else(String::new, |approval| self.words(&approval));
            self.say("forecast", text);
        }
        self.approval = approval;
    }

    fn words(&self, approval: &Approval) -> String {
        let when = match approval.when {
            When::Now => "an approval is needed now",
            When::AtRestart => "the next restart needs an approval",
            When::AfterTokenEnd => "the next approval is needed after the weekly end",
        };
        let until = approval.until.map_or_else(String::new, |until| format!(", by {}", self.local(until, "%a %H:%M")));
        format!("{when}{until}")
    }

    fn local(&self, at: Timestamp, format: &str) -> String {
        at.to_zoned(self.zone.clone()).strftime(format).to_string()
    }

    fn tell(&mut self, report: &Report) {
        let now = self.bench.now;
        let hours = hours(&self.settings, now.wall);
        let step = alert::observe(self.memory.as_ref(), report, &self.policy, &hours, now.wall);
        let is_settled = step.memory.is_settled();
        self.memory = Some(step.memory);
        for alert in step.alerts {
            let cause = alert.cause.map_or("?", Cause::code);
            let what = match alert.kind {
                Kind::Problem => format!("{} ({cause})", alert.subject),
                Kind::Recovery => alert.subject.to_string(),
                kind => format!("{} ({cause}; {})", alert.subject, kind.code()),
            };
            self.say("told", what);
            if let Some(spell) = &mut self.spell {
                spell.told_after.get_or_insert(now.running.saturating_sub(spell.began));
            }
            self.alerts.push((now.running, alert));
        }
        self.bench.machine.told(is_settled, now);
    }

    /// The container is restarted.
    fn recover(&mut self, order: Box<Order>) {
        let now = self.bench.now.wall;
        let window = |span: SignedDuration| now.saturating_add(span).expect("an instant");
        let day = SignedDuration::from_hours(24);
        let mut near = resets_between(&self.settings.resets(), window(-day), window(RESET_DISTANCE));
        near.retain(|reset| now < reset.ends.saturating_add(RESET_DISTANCE).expect("an instant"));
        assert_eq!(near, [], "nothing is done around a reset window");
        let pending = last_hint(&self.log).is_some_and(|hint| hint.kind == LogHintKind::TwoFactorPending);
        assert!(!(pending && self.is_running), "no approval is killed");
        self.say("recovery", format!("docker restart, for {}", order.cause));
        self.acts.push(now);
        let stops_within = if self.is_running { STOPS_WITHIN } else { Duration::ZERO };
        if self.is_running {
            self.plan(stops_within, Happening::Stops);
        }
        self.plan(stops_within + secs(1), Happening::Starts);
        self.plan(stops_within + secs(1), Happening::IsDone(order));
    }

    fn tell_act(&mut self, order: &Order) {
        let now = self.bench.now;
        let outcome = Outcome::Done { text: String::new(), kept: Kept::default() };
        self.bench.machine.recovered(&outcome, now);
        let text = format!("docker restart ibga, since {} lasted; it ended with exit code 0", order.cause);
        let act =
            Act { gateway: Some("default".into()), at: now.wall, kind: ActKind::Recovery, by: "ibga".into(), text };
        let acted =
            Acted { gateway: "default", endpoint: "", host: "", act: &act, report: Some(&order.report), remedies: &[] };
        let alert = alert::acted(&acted, &hours(&self.settings, now.wall)).expect("people are told");
        self.say("told", format!("{} (docker restart, for {})", alert.subject, order.cause));
        self.alerts.push((now.running, alert));
    }

    /// Holds what the file says against what is so.
    fn compare(&mut self) {
        let (Some(file), now) = (self.file, self.bench.now.running) else { return };
        let is_wrong = file != (self.api == Api::Ready);
        if is_wrong {
            let mistake = Mistake { from: self.before, to: self.api, began: now };
            self.mistake.get_or_insert(mistake);
        } else if let Some(mistake) = self.mistake.take() {
            let lasted = now.saturating_sub(mistake.began);
            if !lasted.is_zero() {
                self.mistakes.push((mistake, lasted));
            }
        }
        match (file, &mut self.spell) {
            (false, None) => {
                let wall = self.bench.now.wall;
                let hours = hours(&self.settings, wall);
                let hour = SignedDuration::from_hours(1);
                let near =
                    hours.next_open.is_none_or(|open| open.duration_since(wall) <= hour) || hours.next_close.is_some();
                let windows = ibga_core::reset_windows::resets_at(&[], wall);
                let in_weekend = windows.iter().any(|window| window.length == Length::Hours);
                self.spell = Some(Spell { began: now, lasted: Duration::ZERO, near, in_weekend, told_after: None });
            }
            (true, spell) => {
                if let Some(spell) = spell.take() {
                    self.spells.push(Spell { lasted: now.saturating_sub(spell.began), ..spell });
                }
            }
            (false, Some(_)) => {}
        }
    }

    /// What happened, a heading for each day and a line for each moment.
    fn chronicle(&self) -> String {
        let mut text = String::new();
        let mut day = String::new();
        for (at, who, what) in &self.chronicle {
            let today = self.local(*at, "%A, %-d %B %Y");
            if today != day {
                let _ = writeln!(text, "{}{today}", if day.is_empty() { "" } else { "\n" });
                day = today;
            }
            let _ = writeln!(text, "{}  {who:<10}  {what}", self.local(*at, "%H:%M:%S"));
        }
        let worst = |is_ready: bool| {
            let of_kind = self.mistakes.iter().filter(|(mistake, _)| (mistake.to != Api::Ready) == is_ready);
            of_kind.map(|(_, lasted)| lasted.as_secs_f64()).fold(0.0, f64::max)
        };
        let _ = write!(
            text,
            "\nIn numbers: {} reports, {} connections, {} restarts of the container, {} messages.\n\
             The file said ready for at most {:.1} s after the gateway no longer was, and not ready for at most {:.1} s after it was.\n",
            self.reports,
            self.bench.connections,
            self.acts.len(),
            self.alerts.len(),
            worst(true),
            worst(false),
        );
        text
    }
}

/// What the gateway does, from the beginning on.
fn course(text: &str) -> Vec<(Duration, Happening)> {
    let timeline: Timeline = text.parse().expect("a timeline");
    let mut at = Duration::ZERO;
    let mut course = Vec::new();
    for step in timeline.steps() {
        course.push((at, Happening::Plays(step.scene.scenario)));
        at += step.lasts.expect("every step has a time");
    }
    course.push((at, Happening::Ends));
    course
}

/// What happens beside it.
fn beside(text: &str, zone: &TimeZone, begins: Timestamp) -> Vec<(Duration, Happening)> {
    let lines = text.lines().map(|line| line.split_once('#').map_or(line, |(before, _)| before).trim());
    let happening = |line: &str| {
        let (at, what) = line.split_once(' ').expect("a time and what happens");
        let at: DateTime = at.parse().expect("a time");
        let at = zone.to_timestamp(at).expect("an instant").duration_since(begins);
        let happening = match what.trim().split_once(' ').unwrap_or((what.trim(), "")) {
            ("stops", _) => Happening::Stops,
            ("says", line) => Happening::Says(line.into()),
            other => panic!("{other:?} is nothing that happens to a container"),
        };
        (Duration::try_from(at).expect("within the week"), happening)
    };
    lines.filter(|line| !line.is_empty()).map(happening).collect()
}

#[test]
fn the_timeline_says_when_its_steps_begin() {
    let begins: DateTime = BEGINS.parse().expect("a time");
    let said = TIMELINE.lines().filter_map(|line| line.split_once(" # ").map(|(_, said)| said));
    let course = course(TIMELINE);
    assert_eq!(said.clone().count() + 1, course.len(), "a time behind each step");
    for (said, (at, _)) in said.zip(course) {
        let at = (begins + SignedDuration::try_from(at).expect("a span")).strftime("%a %H:%M:%S").to_string();
        assert!(said.starts_with(&at), "{said} begins at {at}");
    }
}

#[test]
fn one_week_in_hong_kong() {
    let mut world = World::new();
    world.play();
    insta::assert_snapshot!("hong_kong", world.chronicle());
    for (mistake, lasted) in &world.mistakes {
        let limit = match (mistake.from, mistake.to) {
            (Api::Ready, Api::Unresponsive | Api::Wedged) => SILENT_LOSS_MAX,
            (Api::Unresponsive, Api::Ready) => SILENT_OPENING_MAX,
            (_, Api::Ready) => OPENING_MAX,
            _ => Duration::ZERO,
        };
        assert!(*lasted <= limit, "{mistake:?} {lasted:?}");
    }
    assert_eq!(world.file, Some(true), "it ends ready");
    let told: usize = world.spells.iter().filter(|spell| spell.told_after.is_some()).count();
    let ready = world.alerts.iter().filter(|(_, alert)| alert.subject == Subject::Ready).count();
    assert_eq!(ready, told, "ready is told once for each problem that was told");
    for spell in &world.spells {
        let limit = if spell.near { secs(11) } else { secs(361) };
        let is_in_time = spell.told_after.is_some_and(|after| after <= limit);
        assert!(is_in_time || spell.lasted < limit || spell.in_weekend, "it lasts, and nobody is told: {spell:?}");
        assert!(!spell.in_weekend || spell.told_after.is_none(), "the weekend is nobody's business: {spell:?}");
        assert!(spell.near || spell.lasted >= secs(180) || spell.told_after.is_none(), "{spell:?}");
    }
    assert_eq!(world.acts.len(), 3, "{:?}", world.acts);
}
