//! The decision: which alerts one report makes due, and which one no-go.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::hours::{Hours, QuietHours, Trading};
use super::memory::{Acknowledged, Memory, NoGoTold, Remembered, Told};
use super::{Alert, Audience, Kind, Reason, Subject};
use crate::act::{Act, ActKind};
use crate::cause::Cause;
use crate::forecast::Forecast;
use crate::gate::{Decision, Rule};
use crate::log_hints::masked;
use crate::report::Report;
use crate::transition::State;

/// From this long before a trading session to its end everything is told at once, quiet hours or not.
const LOUD_BEFORE: SignedDuration = SignedDuration::from_mins(60);

/// From this long before a trading session to its end a person is reminded often.
const REMIND_OFTEN_BEFORE: SignedDuration = SignedDuration::from_hours(3);
/// How often then.
const REMIND_OFTEN_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// How often otherwise: twice a day.
const REMIND_SELDOM_EVERY: SignedDuration = SignedDuration::from_hours(12);

/// More changes than this within [`FLAPPING_SPAN`] are told as one.
const FLAPPING_CHANGES_MAX: usize = 6;
/// The span in which changes are counted, and the calm after which flapping has ended.
pub const FLAPPING_SPAN: SignedDuration = SignedDuration::from_mins(10);
/// Most changes that are remembered; more would be told as one anyway.
const CHANGES_KEPT_MAX: usize = 64;

/// How long another cause has to hold while a trading session is near, where people know already that something is wrong: whatever
/// starts again goes through a few of them within a minute.
const ANOTHER_SETTLES: SignedDuration = SignedDuration::from_mins(1);

/// How often the waiting time may pass while the causes go on changing.
const CHANGING_CAUSES_FACTOR: i32 = 2;

/// A trading session that is on, and of whose end nothing was told yet, is the one that began this long before at most: shorter
/// than it takes on any exchange from the first open to the end of lunch.
const BEGAN_BEFORE: SignedDuration = SignedDuration::from_hours(3);

/// Most reasons of no-goes that are remembered for one trading session.
const NO_GO_REASONS_MAX: usize = 64;

/// What the operator wants to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long a cause has to hold before it is told while no trading session is near; nothing for at once.
    pub after: SignedDuration,
    /// How long a cause has to hold in any case: while a session ends and the next one opens, causes follow each other within moments.
    /// No longer than `after`.
    pub settles: SignedDuration,
    /// Whether frequent changes are told as one.
    pub collapses_flapping: bool,
    /// Whether people are told again while the problem lasts.
    pub reminds: bool,
    /// After how long without acknowledgement the second audience is called; never if there is none.
    pub escalates_after: Option<SignedDuration>,
    /// When people are left alone while no trading session is near.
    pub quiet: Option<QuietHours>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            after: SignedDuration::ZERO,
            settles: SignedDuration::ZERO,
            collapses_flapping: true,
            reminds: true,
            escalates_after: None,
            quiet: None,
        }
    }
}

impl Policy {
    /// Whether people may be told of something now.
    fn may_tell(&self, now: Timestamp, hours: &Hours) -> bool {
        hours.is_near(now, LOUD_BEFORE) || !self.quiet.as_ref().is_some_and(|quiet| quiet.cover(now))
    }
}

/// What a report comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is to be remembered.
    pub memory: Memory,
    /// What people have to be told, in this order.
    pub alerts: Vec<Alert>,
}

/// Judges a report against what is remembered. Judging the same report again makes nothing new.
pub fn observe(memory: Option<&Memory>, report: &Report, policy: &Policy, hours: &Hours, now: Timestamp) -> Step {
    let state = State::of(report);
    let since = report.more.as_ref().map_or(report.timestamp, |more| more.since).min(now);
    // As the next report will read it, so that an alert and what is remembered go on naming the same moment.
    let since = Timestamp::from_microsecond(since.as_microsecond()).unwrap_or(since);
    let mut memory = memory.cloned().unwrap_or_else(|| Memory::first(state, since));
    memory.rebase(now);
    forget_changes(&mut memory, policy, now);
    take_in(&mut memory, state, since, policy);
    memory.keep_waits(now);
    let kind =
        due(&memory, policy, hours, now).filter(|kind| *kind != Kind::Problem || !is_maintenance(report, hours, now));
    let alerts = kind.map(|kind| tell(&mut memory, kind, &About { report, hours, now })).into_iter().collect();
    memory.keep_waits(now);
    Step { memory, alerts }
}

/// Forgets the changes of long ago. Once there are too many to tell each, only calm ends it.
fn forget_changes(memory: &mut Memory, policy: &Policy, now: Timestamp) {
    memory.changes.retain(|change| policy.collapses_flapping && now.duration_since(*change) < FLAPPING_SPAN);
    if memory.changes.is_empty() {
        memory.flapping_since = None;
    }
}

/// Notes what the report tells.
fn take_in(memory: &mut Memory, state: State, since: Timestamp, policy: &Policy) {
    let state = Remembered::from(state);
    if memory.state == state {
        // Where the clock was set back, the report has a beginning that does not move on with it.
        memory.since = memory.since.min(since);
        return;
    }
    // Who sees to a gateway that changes all the time knows that it does.
    if !memory.tells_changing() && memory.state.subject() != state.subject() {
        memory.acknowledged = None;
    }
    memory.state = state;
    memory.since = since;
    // Causes that follow each other within moments are one change: a restart is not flapping.
    let goes_on = |last: &Timestamp| since.duration_since(*last).abs() < policy.settles;
    if !memory.changes.last().is_some_and(goes_on) {
        memory.changes.push(since);
    }
    let too_many = memory.changes.len().saturating_sub(CHANGES_KEPT_MAX);
    memory.changes.drain(..too_many);
    if memory.changes.len() > FLAPPING_CHANGES_MAX {
        memory.flapping_since.get_or_insert(since);
    }
}

/// The one thing that people have to be told now.
fn due(memory: &Memory, policy: &Policy, hours: &Hours, now: Timestamp) -> Option<Kind> {
    if !policy.may_tell(now, hours) {
        return None;
    }
    let is_ready = memory.state.is_ready();
    let known = memory.told.as_ref().filter(|told| !told.state.is_ready());
    if memory.flapping_since.is_some() {
        if let Some(told) = known.filter(|_| memory.tells_changing()) {
            return if is_ready { None } else { again(memory, told, policy, hours, now) };
        }
        if memory.changes.len() > FLAPPING_CHANGES_MAX {
            return Some(Kind::Flapping);
        }
    }
    if memory.tells_changing() {
        return Some(Kind::Settled);
    }
    match known {
        Some(_) if is_ready => Some(Kind::Recovery),
        None if is_ready => None,
        Some(told) if told.state == memory.state => again(memory, told, policy, hours, now),
        _ if !has_held(memory, policy, hours, now) => None,
        // Causes that change at every look would leave no other moment for it.
        _ if escalates(memory, policy, now) => Some(Kind::Escalation),
        _ => Some(Kind::Problem),
    }
}

/// Whether the cause has held long enough to be told, or people have believed something else for so long that it no longer
/// matters which cause it is.
fn has_held(memory: &Memory, policy: &Policy, hours: &Hours, now: Timestamp) -> bool {
    let wait = if hours.is_near(now, LOUD_BEFORE) { settles(memory, policy).min(policy.after) } else { policy.after };
    let longest = wait.saturating_mul(CHANGING_CAUSES_FACTOR);
    now.duration_since(memory.since) >= wait
        || memory.differs_since.is_some_and(|since| now.duration_since(since) >= longest)
}

/// How long a cause has to hold while trading is near. Whoever is asked to approve has a few minutes, so that it is told as soon as the
/// first cause would be.
fn settles(memory: &Memory, policy: &Policy) -> SignedDuration {
    let is_known = !memory.tells_ready() && !memory.tells_changing();
    let is_urgent = memory.state.cause == Some(Cause::TwoFactorPending);
    if is_known && !is_urgent { policy.settles.max(ANOTHER_SETTLES) } else { policy.settles }
}

/// Whether IBKR's weekend maintenance explains it: the link to the broker may be down for hours then, and comes back by itself. What
/// still holds when the window ends, or when trading is near, is told then.
fn is_maintenance(report: &Report, hours: &Hours, now: Timestamp) -> bool {
    let forecast = report.more.as_ref().and_then(|more| more.forecast.as_ref());
    matches!(report.cause(), Some(Cause::BrokerLinkDown | Cause::BrokerSilent))
        && forecast.is_some_and(|forecast| forecast.weekend.is_on(now))
        && !hours.is_near(now, LOUD_BEFORE)
}

/// People know of it. Whether they have to be told again.
fn again(memory: &Memory, told: &Told, policy: &Policy, hours: &Hours, now: Timestamp) -> Option<Kind> {
    if memory.acknowledged.is_some() {
        return None;
    }
    if escalates(memory, policy, now) {
        return Some(Kind::Escalation);
    }
    let every = if hours.is_near(now, REMIND_OFTEN_BEFORE) { REMIND_OFTEN_EVERY } else { REMIND_SELDOM_EVERY };
    (policy.reminds && now.duration_since(told.last_at) >= every).then_some(Kind::Reminder)
}

/// Whether the second audience has to be called: once for each problem, whatever its causes.
fn escalates(memory: &Memory, policy: &Policy, now: Timestamp) -> bool {
    let has_waited = |since| policy.escalates_after.is_some_and(|after| now.duration_since(since) >= after);
    memory.escalated_at.is_none() && memory.unanswered_since.is_some_and(has_waited)
}

/// What an alert is made from.
struct About<'a> {
    report: &'a Report,
    hours: &'a Hours,
    now: Timestamp,
}

/// Makes the alert and remembers that it was.
fn tell(memory: &mut Memory, kind: Kind, about: &About<'_>) -> Alert {
    let now = about.now;
    let told = memory.told.take();
    // The first audience knows a problem that is told again, but not a cause that escalates as soon as it is seen.
    let is_news = told.as_ref().is_none_or(|told| told.state != memory.state && told.state != Remembered::CHANGING);
    let audience = match (kind, memory.escalated_at) {
        (Kind::Escalation, _) if !is_news => Audience::Second,
        (Kind::Escalation, _) | (_, Some(_)) => Audience::Everybody,
        (_, None) => Audience::First,
    };
    match kind {
        Kind::Escalation => memory.escalated_at = Some(now),
        // Whoever saw to the changes need not know what they ended in.
        Kind::Settled => memory.acknowledged = None,
        _ => {}
    }
    // Counted on whatever is told, since a cause may be reminded of while it flaps, and once more when it has settled.
    let reminders = told.as_ref().map_or(0, |told| told.reminders).saturating_add(u32::from(kind == Kind::Reminder));
    let state = match (kind, told) {
        (Kind::Flapping, _) => Remembered::CHANGING,
        (Kind::Reminder | Kind::Escalation, Some(told)) if !is_news => told.state,
        _ => memory.state,
    };
    memory.told = Some(Told { state, last_at: now, reminders });
    alert(memory, kind, audience, about)
}

fn alert(memory: &Memory, kind: Kind, audience: Audience, about: &About<'_>) -> Alert {
    let (report, more) = (about.report, about.report.more.as_ref());
    let (status, cause) = (memory.state.status, memory.state.cause);
    let is_ready = memory.state.is_ready();
    let gateway = more.map_or("default", |more| more.gateway.as_str());
    Alert {
        key: key(gateway, kind, memory),
        kind,
        subject: match kind {
            // None of the states that it changes between is the news.
            Kind::Flapping => Subject::ConnectionError,
            _ => memory.state.subject(),
        },
        audience,
        gateway: gateway.to_owned(),
        endpoint: more.map(|more| more.endpoint.clone()).unwrap_or_default(),
        host: more.map(|more| more.writer.host.clone()).unwrap_or_default(),
        status,
        cause,
        text: report.error.as_deref().map(masked),
        reasons: Vec::new(),
        remedies: more.and_then(|more| more.remedy.as_deref()).filter(|_| !is_ready).map(masked).into_iter().collect(),
        since: memory.since,
        at: about.now,
        down_since: memory.down_since.filter(|_| is_ready),
        changes: (kind == Kind::Flapping).then(|| u32::try_from(memory.changes.len()).unwrap_or(u32::MAX)),
        hours: about.hours.clone(),
        forecast: more.and_then(|more| more.forecast.clone()),
    }
}

/// The same alert has the same key, whoever makes it and however often.
fn key(gateway: &str, kind: Kind, memory: &Memory) -> String {
    let code = memory.state.cause.map_or("unknown", Cause::code);
    let key = format!("{gateway}.{}.{code}.{}", kind.code(), memory.since.as_microsecond());
    match (kind, &memory.told) {
        (Kind::Reminder, Some(told)) => format!("{key}.{}", told.reminders),
        _ => key,
    }
}

/// A person says that the problem is known. `None` if there is none.
pub fn acknowledge(memory: &Memory, by: &str, now: Timestamp) -> Option<Memory> {
    let known = Acknowledged { at: now, by: by.to_owned() };
    let is_problem = !memory.state.is_ready() || memory.tells_changing();
    is_problem.then(|| Memory { acknowledged: Some(known), unanswered_since: None, ..memory.clone() })
}

/// An agent that was not started.
#[derive(Clone, Copy, Debug)]
pub struct NoGo<'a> {
    /// The gateway's name.
    pub gateway: &'a str,
    /// Host and port of its API.
    pub endpoint: &'a str,
    /// This machine.
    pub host: &'a str,
    /// Why.
    pub decision: &'a Decision,
    /// The report that it went by, if there was one.
    pub report: Option<&'a Report>,
    /// What to do.
    pub remedies: &'a [String],
}

/// Judges a no-go: each reason is told once for each trading session, and a closed market or a halt alone is no news. `None` if there is
/// nothing to tell.
pub fn no_go(
    told: Option<&NoGoTold>,
    no_go: &NoGo<'_>,
    policy: &Policy,
    hours: &Hours,
    now: Timestamp,
) -> Option<(NoGoTold, Alert)> {
    if no_go.decision.is_go() || no_go.decision.is_expected() || !policy.may_tell(now, hours) {
        return None;
    }
    let reasons = reasons(no_go);
    let told = told.filter(|told| told.is_of(hours, now));
    let session = told.map_or_else(|| session(hours, now), |told| told.session);
    let closes = hours.next_close.or_else(|| told.and_then(|told| told.closes));
    let mut known = told.map_or(&[][..], |told| &told.reasons).to_vec();
    let fresh: Vec<&str> = reasons
        .iter()
        .map(|reason| reason.code.as_str())
        .filter(|code| !known.iter().any(|known| known == code))
        .collect();
    if fresh.is_empty() || known.len() >= NO_GO_REASONS_MAX {
        return None;
    }
    let key = format!("{}.{}.{}.{}", no_go.gateway, Kind::NoGo.code(), session.as_second(), fresh.join("+"));
    known.extend(fresh.into_iter().map(str::to_owned));
    let alert = Alert {
        key,
        kind: Kind::NoGo,
        subject: Subject::PreflightFailed,
        audience: Audience::First,
        status: no_go.report.map(|report| report.status),
        cause: no_go.report.and_then(Report::cause),
        reasons,
        remedies: no_go.remedies.iter().map(|remedy| masked(remedy)).collect(),
        forecast: forecast(no_go.report, now),
        ..blank(no_go.gateway, no_go.endpoint, no_go.host, hours, now)
    };
    Some((NoGoTold { session, closes, reasons: known }, alert))
}

/// What is ahead, if the report still tells it.
fn forecast(report: Option<&Report>, now: Timestamp) -> Option<Forecast> {
    report?.more.as_ref()?.forecast.clone().filter(|forecast| forecast.holds(now))
}

/// Names the trading session. Where none is known, the day stands for it, so that a calendar's end silences nothing for ever.
fn session(hours: &Hours, now: Timestamp) -> Timestamp {
    let day = || now.to_zoned(TimeZone::UTC).start_of_day().map_or(now, |day| day.timestamp());
    hours.session().unwrap_or_else(day)
}

impl NoGoTold {
    /// Whether what was told belongs to the trading session that is on or comes next. One that was told of before it began is
    /// known again by its end; until that was seen, by the time that has passed since it began.
    fn is_of(&self, hours: &Hours, now: Timestamp) -> bool {
        let elapsed = now.duration_since(self.session);
        match (hours.trading, self.closes) {
            (Trading::On, Some(_)) => self.closes == hours.next_close,
            (Trading::On, None) if !elapsed.is_negative() => elapsed < BEGAN_BEFORE,
            _ => self.session == session(hours, now),
        }
    }
}

/// The reasons but for those that people know. That a gateway is not ready is as many reasons as there are causes.
fn reasons(no_go: &NoGo<'_>) -> Vec<Reason> {
    let failures = no_go.decision.failures().filter(|check| !check.rule.is_expected());
    let cause = no_go.report.and_then(Report::cause);
    failures
        .map(|check| Reason {
            code: match (check.rule, cause) {
                (Rule::Ready, Some(cause)) => format!("{}:{cause}", check.rule.fault_code()),
                _ => check.rule.fault_code().to_owned(),
            },
            text: masked(&check.to_string()),
        })
        .collect()
}

/// Something that was done, and what is known of the gateway at that.
#[derive(Clone, Copy, Debug)]
pub struct Acted<'a> {
    /// The gateway's name.
    pub gateway: &'a str,
    /// Host and port of its API.
    pub endpoint: &'a str,
    /// This machine.
    pub host: &'a str,
    /// What was done.
    pub act: &'a Act,
    /// The newest report, if there is one.
    pub report: Option<&'a Report>,
    /// What a person has to do, if anything.
    pub remedies: &'a [String],
}

/// Tells of an act, whatever the hour: it cannot be told later as if it were news. `None` for one that a person did or that was not
/// done.
pub fn acted(acted: &Acted<'_>, hours: &Hours) -> Option<Alert> {
    let act = acted.act;
    let subject = match act.kind {
        ActKind::Recovery => Subject::Recovery,
        ActKind::RecoveryGivenUp => Subject::RecoveryGivenUp,
        ActKind::AgentStopped => Subject::AgentStopped,
        ActKind::Halted | ActKind::Resumed | ActKind::Rehearsal => return None,
    };
    Some(Alert {
        key: act.key(),
        kind: Kind::Act,
        subject,
        audience: Audience::First,
        status: acted.report.map(|report| report.status),
        cause: acted.report.and_then(Report::cause),
        text: Some(masked(&act.text)),
        remedies: acted.remedies.iter().map(|remedy| masked(remedy)).collect(),
        forecast: forecast(acted.report, act.at),
        ..blank(acted.gateway, acted.endpoint, acted.host, hours, act.at)
    })
}

/// The alert with which a person tries the way.
pub fn test(gateway: &str, endpoint: &str, host: &str, hours: &Hours, now: Timestamp) -> Alert {
    blank(gateway, endpoint, host, hours, now)
}

/// An alert that tells of nothing yet, as the one is with which the way is tried.
fn blank(gateway: &str, endpoint: &str, host: &str, hours: &Hours, now: Timestamp) -> Alert {
    Alert {
        key: format!("{gateway}.{}.{}", Kind::Test.code(), now.as_microsecond()),
        kind: Kind::Test,
        subject: Subject::Test,
        audience: Audience::Everybody,
        gateway: gateway.to_owned(),
        endpoint: endpoint.to_owned(),
        host: host.to_owned(),
        status: None,
        cause: None,
        text: None,
        reasons: Vec::new(),
        remedies: Vec::new(),
        since: now,
        at: now,
        down_since: None,
        changes: None,
        hours: hours.clone(),
        forecast: None,
    }
}
