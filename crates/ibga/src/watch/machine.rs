//! One watched gateway as a state machine without I/O: what happened goes in with the time, what is to be done comes out. The same
//! code runs against the world and in the tests' simulated time.
//!
//! It judges what the session has seen together with container and log, and says when a report is to be written, when people are to
//! be told, and when the log is to be read. Must never touch a socket, a file or a clock.

mod recovery;

use std::sync::Arc;
use std::time::Duration;

use ibga_core::cause::Status;
use ibga_core::forecast::Forecast;
use ibga_core::observation::{ApiSeen, ClockReading, ContainerSeen, ContainerState, Observation};
use ibga_core::recovery::{Past, Practice, Why};
use ibga_core::report::Report;
use ibga_core::reset_windows::DailyReset;
use ibga_core::transition::{State, Transition, transition};
use ibga_tws::session::{News, Session, SessionPlan};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::act::{Order, Outcome};
use crate::alert::post::{Reporter, WATCH_SETTLES, told_after};
use crate::check::{Moment, is_about, judge_at, plan};
use crate::container::{self, LogSeen, asked_for, is_closed};
use crate::docker::{Answer, Container, EngineError, Selector};
use crate::settings::Settings;
use recovery::{LOOK_AGAIN_AFTER, Recovery};

/// How often the broker is asked.
const BROKER_INTERVAL: Duration = Duration::from_mins(3);

/// How often the store is asked whether people have to be told, while anything may still be due.
const TELL_INTERVAL: Duration = Duration::from_mins(1);

/// How often the log of a container is read at most.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// The time, by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Now {
    /// The wall clock, which may step.
    pub(super) wall: Timestamp,
    /// How long this watch has run, whatever the wall clock does.
    pub(super) running: Duration,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    /// The status file has to hold this report.
    Write(Box<Report>),
    /// The verdict changed.
    Announce(Transition),
    /// The store has to take this report in, and people may have to be told.
    Tell {
        /// The report.
        report: Box<Report>,
        /// The one before the last change.
        previous: Option<Box<Report>>,
    },
    /// The log of this container may say more.
    ReadLog(Container),
    /// What is ahead has to be worked out anew.
    Forecast,
    /// The store has to say what was done about this gateway before.
    Recall,
    /// The gateway has to be acted upon.
    Recover(Box<Order>),
    /// Acting has not helped, which has to be told.
    GiveUp(Box<Order>),
    /// Nothing is done about it now, for another reason than before.
    LeftAlone(Why),
}

/// What is known of one watched gateway.
pub(super) struct Machine {
    settings: Arc<Settings>,
    zone: TimeZone,
    resets: Vec<DailyReset>,
    /// The API session; whoever owns the socket drives it.
    pub(super) session: Session,
    asked_for: Option<Selector>,
    container: ContainerSeen,
    found: Option<Container>,
    was_seen: bool,
    /// What its log says; none if it was not read since something changed.
    log: Option<LogSeen>,
    log_read_at: Option<Duration>,
    recovery: Option<Recovery>,
    ahead: Ahead,
    /// The newest report.
    published: Option<Report>,
    /// The one that the newest change was from.
    before: Option<Box<Report>>,
    /// Since when the cause is what it is.
    changed_at: Duration,
    /// When people may have to be told of something.
    tell_at: Option<Duration>,
    /// Whether a first look has come to an end.
    has_looked: bool,
    /// Whether the store was asked once what it has to tell.
    has_told: bool,
    /// The newest reading of the gateway's clock, and when its attempt began by the wall clock as it was at that moment.
    clock_read: Option<(ClockReading, Timestamp)>,
}

impl Machine {
    /// A watch that begins. `previous` is the report of whoever looked before.
    pub(super) fn new(settings: Arc<Settings>, zone: TimeZone, previous: Option<Report>, practice: Practice) -> Self {
        let session = Session::new(SessionPlan {
            probe: plan(&settings, settings.timeout),
            heartbeat: settings.heartbeat,
            broker_interval: BROKER_INTERVAL,
        });
        let previous = previous.filter(|report| is_about(report, &settings));
        Self {
            resets: settings.resets(),
            session,
            asked_for: asked_for(&settings),
            container: ContainerSeen::NotChecked,
            found: None,
            was_seen: container::was_seen(&settings, previous.as_ref()),
            log: None,
            log_read_at: None,
            recovery: settings.recovery.clone().map(|plan| Recovery::new(plan, practice)),
            ahead: previous.as_ref().map(Ahead::after).unwrap_or_default(),
            published: previous,
            before: None,
            changed_at: Duration::ZERO,
            tell_at: None,
            has_looked: false,
            has_told: false,
            clock_read: None,
            settings,
            zone,
        }
    }

    /// The newest report, if this watch has made one.
    pub(super) fn report(&self) -> Option<&Report> {
        self.published.as_ref().filter(|_| self.has_looked)
    }

    /// The session has news.
    pub(super) fn news(&mut self, news: News, now: Now) -> Vec<Effect> {
        self.has_looked = true;
        let mut effects = self.judge(now);
        // A heartbeat confirms; what the log says may have changed all the same.
        let is_due = self.log_read_at.is_none_or(|at| now.running.saturating_sub(at) >= LOG_INTERVAL);
        if (news == News::Changed || is_due)
            && let Some(container) = self.readable(now)
        {
            self.log_read_at = Some(now.running);
            effects.push(Effect::ReadLog(container));
        }
        effects
    }

    /// The container whose log may say why the API is closed, or what speaks against starting it.
    fn readable(&self, now: Now) -> Option<Container> {
        let container = self.found.as_ref()?;
        let cause = self.published.as_ref().and_then(Report::cause);
        let is_to_recover =
            self.recovery.as_ref().zip(cause).is_some_and(|(recovery, cause)| recovery.plan.wants(cause));
        let is_closed = container.state == ContainerState::Running && is_closed(&self.session.seen(now.running));
        (is_closed || is_to_recover).then(|| container.clone())
    }

    /// The engine has answered.
    pub(super) fn container(&mut self, answer: &Result<Answer, EngineError>, now: Now) -> Vec<Effect> {
        let Some(selector) = &self.asked_for else { return Vec::new() };
        let seen = container::meaning(selector, answer, self.was_seen);
        let was_running = is_running(&self.container);
        self.was_seen |= matches!(seen, ContainerSeen::Found { .. });
        self.found = match answer {
            Ok(Answer::Found(container)) => Some(container.clone()),
            _ => None,
        };
        if seen == self.container {
            return Vec::new();
        }
        self.container = seen;
        self.log = None;
        if is_running(&self.container) && !was_running {
            self.session.hurry(now.running);
        }
        if !self.has_looked {
            return Vec::new();
        }
        let mut effects = self.judge(now);
        if let Some(container) = self.readable(now) {
            self.log_read_at = Some(now.running);
            effects.push(Effect::ReadLog(container));
        }
        effects
    }

    /// The log of this container was read.
    pub(super) fn log(&mut self, of: &Container, log: LogSeen, now: Now) -> Vec<Effect> {
        let is_of_it = self.found.as_ref().is_some_and(|found| (&found.id, found.state) == (&of.id, of.state));
        // An engine that was slow for once takes back no hint.
        let is_less = log == LogSeen::Unreadable && matches!(self.log, Some(LogSeen::Hint(_)));
        if !is_of_it || is_less || self.log.as_ref() == Some(&log) {
            return Vec::new();
        }
        self.log = Some(log);
        self.judge(now)
    }

    /// The store says what was done before, or that it cannot be read.
    pub(super) fn recalled(&mut self, past: Option<Past>, now: Now) -> Vec<Effect> {
        if let Some(recovery) = &mut self.recovery {
            recovery.recalled(past, now);
        }
        self.recover(now)
    }

    /// What is ahead was worked out, or cannot be.
    pub(super) fn forecast(&mut self, forecast: Option<Forecast>, now: Now) -> Vec<Effect> {
        let is_news = self.ahead.forecast.is_none() && forecast.is_some();
        self.ahead = Ahead { forecast, is_asked: false, ..self.ahead };
        if is_news && self.has_looked { self.judge(now) } else { Vec::new() }
    }

    /// An order was carried out, or could not be.
    pub(super) fn recovered(&mut self, outcome: &Outcome, now: Now) {
        if let Some(recovery) = &mut self.recovery {
            recovery.ended(outcome, now);
        }
        self.session.hurry(now.running);
    }

    /// The store has taken a report in. `is_settled` says that nothing more is due.
    pub(super) fn told(&mut self, is_settled: bool, now: Now) {
        let is_ready = report_is_ready(self.published.as_ref());
        self.tell_at = (!is_settled || !is_ready).then(|| self.next_tell(now.running));
    }

    /// When something is due by itself.
    pub(super) fn next_moment(&self) -> Option<Duration> {
        let recover_at = self.recovery.as_ref().and_then(|recovery| recovery.look_at);
        self.tell_at.into_iter().chain(recover_at).min()
    }

    /// Does what is due by now.
    pub(super) fn tick(&mut self, now: Now) -> Vec<Effect> {
        let is_due = |at: Option<Duration>| at.is_some_and(|at| now.running >= at);
        let mut effects = Vec::new();
        if is_due(self.tell_at) {
            effects.extend(self.tell(now));
        }
        if is_due(self.recovery.as_ref().and_then(|recovery| recovery.look_at)) {
            effects.extend(self.recover(now));
        }
        effects
    }

    /// Whether to act, by the newest report.
    fn recover(&mut self, now: Now) -> Vec<Effect> {
        let (Some(recovery), Some(report)) = (&mut self.recovery, &self.published) else { return Vec::new() };
        if !self.has_looked {
            return Vec::new();
        }
        // Without its log nobody knows whether a login is under way in it.
        if self.found.is_some() && self.log.is_none() && report.cause().is_some_and(|cause| recovery.plan.wants(cause))
        {
            recovery.look_at = None;
            return Vec::new();
        }
        recovery.look(report, &self.container, self.log.as_ref(), &self.resets, now)
    }

    /// The moments at which a cause has held for long enough, and then from time to time.
    fn next_tell(&self, running: Duration) -> Duration {
        let after = told_after(&self.settings.alerts, Reporter::Watch);
        // The clocks of a wait and of the policy are not the same.
        let held = [WATCH_SETTLES, after].map(|wait| self.changed_at.saturating_add(wait + LOOK_AGAIN_AFTER));
        let later = running.saturating_add(TELL_INTERVAL);
        held.into_iter().filter(|at| *at > running).fold(later, Duration::min)
    }

    fn tell(&mut self, now: Now) -> Option<Effect> {
        let report = self.published.clone()?;
        self.has_told = true;
        // Whatever becomes of it, it is tried again.
        self.tell_at = Some(self.next_tell(now.running));
        Some(Effect::Tell { report: Box::new(report), previous: self.before.clone() })
    }

    fn judge(&mut self, now: Now) -> Vec<Effect> {
        let api = self.session.seen(now.running);
        let started_at = self.started_at(&api, now);
        if report_is_ready(self.published.as_ref()) && self.session.is_up() {
            // What the log said before belongs to the login before.
            self.log = None;
        }
        let says_why = is_running(&self.container) && !self.session.is_up();
        let hint = self.log.clone().filter(|_| says_why).and_then(LogSeen::hint);
        let seen = Observation { started_at, container: self.container.clone(), api, hint, fault: None };
        let resets = || self.resets.clone();
        let forecast = || self.ahead.forecast.clone().filter(|forecast| forecast.is_ahead(now.wall));
        let asks_at_restart = self.ahead.asks_at_restart;
        let moment = Moment { now: now.wall, zone: &self.zone, resets: &resets, forecast: &forecast, asks_at_restart };
        let report = judge_at(&self.settings, &seen, self.published.as_ref(), &moment);
        self.ahead.was_told(&report);
        let changed = transition(self.published.as_ref(), &report);
        let mut effects = vec![Effect::Write(Box::new(report.clone()))];
        let previous = self.published.replace(report);
        if let Some(change) = changed {
            self.changed_at = now.running;
            self.before = previous.map(Box::new);
            effects.push(Effect::Announce(change));
            effects.extend(self.tell(now));
        } else if !self.has_told {
            // Nothing changed, but what was not told before may be due.
            effects.extend(self.published.as_ref().map(|report| Effect::Announce(first(report))));
            self.before = previous.map(Box::new);
            effects.extend(self.tell(now));
        }
        if self.ahead.is_due(now.wall) {
            self.ahead.is_asked = true;
            effects.push(Effect::Forecast);
        }
        effects.extend(self.recover(now));
        effects
    }

    /// When the attempt began, by the wall clock. A step of that clock since the gateway's was read must not look like skew.
    fn started_at(&mut self, api: &ApiSeen, now: Now) -> Timestamp {
        let known = self.clock_read.filter(|(reading, _)| Some(*reading) == api.clock);
        let elapsed = SignedDuration::try_from(api.elapsed).unwrap_or(SignedDuration::ZERO);
        let started_at =
            known.map_or_else(|| now.wall.checked_sub(elapsed).unwrap_or(now.wall), |(_, started)| started);
        self.clock_read = api.clock.map(|reading| (reading, started_at));
        started_at
    }
}

fn report_is_ready(report: Option<&Report>) -> bool {
    report.is_some_and(|report| report.status == Status::Ready)
}

/// The state in which a watch finds a gateway.
fn first(report: &Report) -> Transition {
    Transition { from: None, to: State::of(report), lasted: None }
}

fn is_running(container: &ContainerSeen) -> bool {
    matches!(container, ContainerSeen::Found { state: ContainerState::Running, .. })
}

/// What is known of what is ahead.
#[derive(Default)]
struct Ahead {
    forecast: Option<Forecast>,
    /// Somebody works it out anew.
    is_asked: bool,
    /// The weekly end because of which the next restart asks for an approval, as long as nobody logged in since.
    asks_at_restart: Option<Timestamp>,
}

impl Ahead {
    /// What the report of whoever looked before leaves to know.
    fn after(report: &Report) -> Self {
        let mut ahead = Self::default();
        ahead.was_told(report);
        ahead
    }

    /// A report told it, or could not while it was worked out anew.
    fn was_told(&mut self, report: &Report) {
        match report.more.as_ref().and_then(|more| more.forecast.as_ref()) {
            Some(told) => self.asks_at_restart = told.asks_at_restart(),
            None if !report.authenticated => self.asks_at_restart = None,
            None => {}
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        !self.is_asked && !self.forecast.as_ref().is_some_and(|forecast| forecast.holds(now))
    }
}

#[cfg(test)]
mod tests;
