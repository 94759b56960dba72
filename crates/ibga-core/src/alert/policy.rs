//! The decision: which alerts one report makes due, and which one no-go.

use jiff::{SignedDuration, Timestamp};

use super::hours::{Hours, QuietHours};
use super::memory::{Acknowledged, Memory, NoGoTold, Remembered, Told};
use super::{Alert, Audience, Kind, Reason, Subject};
use crate::cause::Cause;
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

/// How often the waiting time may pass while the causes go on changing.
const CHANGING_CAUSES_FACTOR: i32 = 2;

/// Most reasons of no-goes that are remembered for one trading session.
const NO_GO_REASONS_MAX: usize = 64;

/// What the operator wants to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long a cause has to hold before it is told while no trading session is near; nothing for at once.
    pub after: SignedDuration,
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
    let mut memory = memory.cloned().unwrap_or_else(|| Memory::first(state, since));
    memory.rebase(now);
    take_in(&mut memory, state, since, now);
    let kind = due(&memory, policy, hours, now);
    let alerts = kind.map(|kind| told(&mut memory, kind, &About { report, hours, now })).into_iter().collect();
    Step { memory, alerts }
}

/// Notes what the report tells.
fn take_in(memory: &mut Memory, state: State, since: Timestamp, now: Timestamp) {
    let state = Remembered::from(state);
    memory.changes.retain(|change| now.duration_since(*change) < FLAPPING_SPAN);
    if memory.state == state {
        return;
    }
    let subject = |state: Remembered| state.cause.map(Subject::of);
    if subject(memory.state) != subject(state) {
        memory.acknowledged = None;
    }
    memory.state = state;
    memory.since = since;
    memory.changes.push(now);
    let too_many = memory.changes.len().saturating_sub(CHANGES_KEPT_MAX);
    memory.changes.drain(..too_many);
    memory.down_since = match (state.is_ready(), memory.tells_ready()) {
        (false, _) => memory.down_since.or(Some(since)),
        // Nobody was told of what is over.
        (true, true) => None,
        (true, false) => memory.down_since,
    };
}

/// The one thing that people have to be told now.
fn due(memory: &Memory, policy: &Policy, hours: &Hours, now: Timestamp) -> Option<Kind> {
    if !policy.may_tell(now, hours) {
        return None;
    }
    if memory.flapping_since.is_some() {
        return memory.changes.is_empty().then_some(Kind::Settled);
    }
    if policy.collapses_flapping && memory.changes.len() > FLAPPING_CHANGES_MAX {
        return Some(Kind::Flapping);
    }
    if memory.state.is_ready() {
        return (!memory.tells_ready()).then_some(Kind::Recovery);
    }
    match &memory.told {
        Some(told) if told.state == memory.state => still_bad(memory, told, policy, hours, now),
        _ => has_held(memory, policy, hours, now).then_some(Kind::Problem),
    }
}

/// Whether the cause has held long enough to be told, or the gateway has been down for so long that the cause no longer matters.
fn has_held(memory: &Memory, policy: &Policy, hours: &Hours, now: Timestamp) -> bool {
    let longest = policy.after.saturating_mul(CHANGING_CAUSES_FACTOR);
    hours.is_near(now, LOUD_BEFORE)
        || now.duration_since(memory.since) >= policy.after
        || memory.down_since.is_some_and(|since| now.duration_since(since) >= longest)
}

/// People know of it. Whether they have to be told again.
fn still_bad(memory: &Memory, told: &Told, policy: &Policy, hours: &Hours, now: Timestamp) -> Option<Kind> {
    if memory.acknowledged.is_some() {
        return None;
    }
    let waited = |after| now.duration_since(told.first_at) >= after;
    if memory.escalated_at.is_none() && policy.escalates_after.is_some_and(waited) {
        return Some(Kind::Escalation);
    }
    let every = if hours.is_near(now, REMIND_OFTEN_BEFORE) { REMIND_OFTEN_EVERY } else { REMIND_SELDOM_EVERY };
    (policy.reminds && now.duration_since(told.last_at) >= every).then_some(Kind::Reminder)
}

/// What an alert is made from.
struct About<'a> {
    report: &'a Report,
    hours: &'a Hours,
    now: Timestamp,
}

/// Makes the alert and remembers that it was.
fn told(memory: &mut Memory, kind: Kind, about: &About<'_>) -> Alert {
    let now = about.now;
    match kind {
        Kind::Escalation => memory.escalated_at = Some(now),
        Kind::Flapping => memory.flapping_since = Some(now),
        Kind::Settled => memory.flapping_since = None,
        _ => {}
    }
    let same = memory.told.take().filter(|told| told.state == memory.state);
    let told = match (kind, same) {
        (Kind::Reminder, Some(told)) => Told { last_at: now, reminders: told.reminders.saturating_add(1), ..told },
        (Kind::Escalation, Some(told)) => Told { last_at: now, ..told },
        _ => Told { state: memory.state, first_at: now, last_at: now, reminders: 0 },
    };
    memory.told = Some(told);
    let alert = alert(memory, kind, about);
    if memory.state.is_ready() {
        memory.escalated_at = None;
        memory.down_since = None;
    }
    alert
}

fn alert(memory: &Memory, kind: Kind, about: &About<'_>) -> Alert {
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
            _ => cause.map_or(Subject::ConnectionError, Subject::of),
        },
        audience: match (kind, memory.escalated_at) {
            (Kind::Escalation, _) => Audience::Second,
            (_, Some(_)) => Audience::Everybody,
            (_, None) => Audience::First,
        },
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
    (!memory.state.is_ready()).then(|| Memory { acknowledged: Some(known), ..memory.clone() })
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

/// Judges a no-go: each reason is told once for each trading session, and a closed market alone is no news. `None` if there is
/// nothing to tell.
pub fn no_go(
    told: Option<&NoGoTold>,
    no_go: &NoGo<'_>,
    policy: &Policy,
    hours: &Hours,
    now: Timestamp,
) -> Option<(NoGoTold, Alert)> {
    if no_go.decision.is_go() || no_go.decision.only_the_market() || !policy.may_tell(now, hours) {
        return None;
    }
    let reasons = reasons(no_go);
    let session = hours.session();
    let mut known = told.filter(|told| told.session == session).map_or(&[][..], |told| &told.reasons).to_vec();
    let fresh: Vec<&str> = reasons
        .iter()
        .map(|reason| reason.code.as_str())
        .filter(|code| !known.iter().any(|known| known == code))
        .collect();
    if fresh.is_empty() || known.len() >= NO_GO_REASONS_MAX {
        return None;
    }
    let at = session.map_or(0, Timestamp::as_second);
    let key = format!("{}.{}.{at}.{}", no_go.gateway, Kind::NoGo.code(), fresh.join("+"));
    known.extend(fresh.into_iter().map(str::to_owned));
    let alert = Alert {
        key,
        kind: Kind::NoGo,
        subject: Subject::PreflightFailed,
        audience: Audience::First,
        gateway: no_go.gateway.to_owned(),
        endpoint: no_go.endpoint.to_owned(),
        host: no_go.host.to_owned(),
        status: no_go.report.map(|report| report.status),
        cause: no_go.report.and_then(Report::cause),
        text: None,
        reasons,
        remedies: no_go.remedies.iter().map(|remedy| masked(remedy)).collect(),
        since: now,
        at: now,
        down_since: None,
        changes: None,
        hours: hours.clone(),
    };
    Some((NoGoTold { session, reasons: known }, alert))
}

/// The reasons but for the closed market. That a gateway is not ready is as many reasons as there are causes.
fn reasons(no_go: &NoGo<'_>) -> Vec<Reason> {
    let failures = no_go.decision.failures().filter(|check| check.rule != Rule::Market);
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

/// The alert with which a person tries the way.
pub fn test(gateway: &str, endpoint: &str, host: &str, hours: &Hours, now: Timestamp) -> Alert {
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
    }
}
