//! What a template may say of an alert: every value as text, made safe and of bounded length, at the time at which it is sent.

use ibga_core::alert::{Alert, FLAPPING_SPAN, Kind, Subject, Trading};
use ibga_core::cause::{Cause, Status};
use ibga_core::forecast::Forecast;
use ibga_core::gate::age_text;
use ibga_core::remedy;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// Most characters of one value.
const VALUE_CHARS_MAX: usize = 1_000;

/// Most values of a list; what is left out is counted.
const VALUES_MAX: usize = 12;

/// A message that is rendered later than this after its alert was made says so.
const LATE_AFTER: SignedDuration = SignedDuration::from_mins(2);

/// How a person says that a problem is known.
const ACKNOWLEDGE: &str = "ibga alert ack";

macro_rules! facts {
    ($($name:ident: $type:ty, $help:literal;)*) => {
        /// The variables of a template.
        #[derive(Clone, Debug, Serialize)]
        pub(super) struct Facts {
            $(#[doc = $help] $name: $type,)*
        }

        /// The variables that templates may use, each with what it holds. What there is not is `none`.
        pub const VARIABLES: &[(&str, &str)] = &[$((stringify!($name), $help),)*];
    };
}

facts! {
    subject: String, "the finished subject line; empty in `subject.txt` itself";
    words: &'static str, "the words of the subject: `IBGA NEEDS IB KEY APPROVAL`";
    tone: &'static str, "`bad`, `good` or `neutral`";
    kind: &'static str, "why it is sent: `problem`, `recovery`, `reminder`, `escalation`, `flapping`, `settled`, `no_go`, `act` or `test`";
    about: Option<String>, "what it is about, in one or a few words: the cause, or the reasons of a no-go";
    remark: Option<String>, "what the subject says last: `nobody has acknowledged it`, or `was down for 1 h 12 min`";
    story: String, "what happened, in a sentence or two";
    gateway: String, "the gateway's name";
    endpoint: String, "host and port of its API";
    host: String, "the machine that found it out";
    status: Option<&'static str>, "the status; none for a test";
    cause: Option<&'static str>, "the cause's code; none for a test";
    cause_text: Option<&'static str>, "the cause in a sentence";
    text: Option<String>, "what was seen";
    reasons: Vec<ReasonFact>, "why an agent was not started, each with code and text; empty for other alerts";
    remedies: Vec<String>, "what to do now, the most likely first";
    since: String, "when the cause began, as local time with offset and the name of the zone";
    since_iso: String, "the same in ISO 8601, in UTC";
    age: String, "how long ago that was: `18 min`";
    at: String, "when the alert was made, in the same form";
    at_iso: String, "the same in ISO 8601";
    late: Option<String>, "how long after that the message was written, if that is more than two minutes";
    zone: Option<String>, "the name of the zone of all local times";
    exchange: String, "the exchanges, with commas between";
    trading: &'static str, "`on`, `off` or `unknown`, when the alert was made";
    market: String, "the market in a few words: `opens in 42 min`, `the market is open`";
    is_open: bool, "whether it is open when the message is written, as far as is known";
    countdown: Option<String>, "`market`, where something keeps an agent from trading";
    opens_in: Option<String>, "how long it is to the next open: `42 min`";
    opens_in_minutes: Option<i64>, "the same as whole minutes";
    next_open: Option<String>, "when the market opens next, as local time with offset";
    next_open_iso: Option<String>, "the same in ISO 8601";
    next_close: Option<String>, "when it closes, if it is open";
    next_close_iso: Option<String>, "the same in ISO 8601";
    approval: Option<String>, "when a person should approve a login, in a sentence; like all of the forecast none for a test, or where something has come true of it since";
    approval_when: Option<&'static str>, "its occasion: `now`, `at_restart` (the next one) or `after_token_end` (the next one of the weekly login)";
    approval_is_due: bool, "whether an approval is needed before trading begins next";
    approve_before: Option<String>, "when trading begins, which an approval has to precede, as local time with offset";
    approve_before_iso: Option<String>, "the same in ISO 8601";
    token_end: Option<String>, "when the weekly login ends, as local time with offset";
    token_end_iso: Option<String>, "the same in ISO 8601";
    resets: Option<String>, "when IBKR resets servers next, in a sentence";
    down_since: Option<String>, "since when the gateway had not been ready, for a recovery";
    down_for: Option<String>, "for how long: `1 h 12 min`";
    changes: Option<u32>, "how often the verdict changed, where that is the news";
    acknowledge: Option<&'static str>, "the command with which a person says that the problem is known, where there is one";
}

/// A reason of a no-go.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ReasonFact {
    code: String,
    text: String,
}

impl Facts {
    /// The facts of an alert, as they are when it is sent.
    pub(super) fn of(alert: &Alert, now: Timestamp, zone: &TimeZone) -> Self {
        let clock = Clock { now, zone };
        let hours = &alert.hours;
        let market = market(alert, now);
        let opens_in =
            hours.next_open.filter(|open| *open > now && !is_open(alert, now)).map(|open| open.duration_since(now));
        let late = now.duration_since(alert.at);
        let down = alert.down_since.map(|down| alert.since.duration_since(down).max(SignedDuration::ZERO));
        let tone = tone(alert);
        // What has come true may have turned out otherwise.
        let ahead = alert.forecast.as_ref().filter(|ahead| ahead.is_ahead(now));
        let approve_before = ahead.and_then(|ahead| ahead.approval.until);
        let token_end = ahead.map(|ahead| ahead.token.ends);
        Self {
            subject: String::new(),
            words: alert.subject.as_str(),
            tone,
            kind: alert.kind.code(),
            about: about(alert),
            remark: match alert.kind {
                Kind::Escalation => Some("nobody has acknowledged it".into()),
                Kind::Recovery => down.map(|down| format!("was down for {}", age_text(down))),
                _ => None,
            },
            story: story(alert, down),
            gateway: clean(&alert.gateway),
            endpoint: clean(&alert.endpoint),
            host: clean(&alert.host),
            status: alert.status.map(Status::as_str),
            cause: alert.cause.map(Cause::code),
            cause_text: alert.cause.map(Cause::seen),
            text: alert.text.as_deref().map(clean),
            reasons: reasons(alert),
            remedies: remedies(alert),
            since: clock.local_with_zone(alert.since),
            since_iso: alert.since.to_string(),
            age: clock.age(alert.since),
            at: clock.local_with_zone(alert.at),
            at_iso: alert.at.to_string(),
            late: (late > LATE_AFTER).then(|| age_text(late)),
            zone: zone.iana_name().map(str::to_owned),
            exchange: clean(&hours.exchange.replace(',', ", ")),
            trading: hours.trading.code(),
            is_open: is_open(alert, now),
            countdown: (tone == "bad").then(|| market.clone()),
            market,
            opens_in: opens_in.map(age_text),
            opens_in_minutes: opens_in.map(|span| span.as_mins()),
            next_open: hours.next_open.map(|instant| clock.local(instant)),
            next_open_iso: hours.next_open.map(|instant| instant.to_string()),
            next_close: hours.next_close.map(|instant| clock.local(instant)),
            next_close_iso: hours.next_close.map(|instant| instant.to_string()),
            approval: ahead.map(|ahead| sentence(&clean(&ahead.approval_text(now, zone)))),
            approval_when: ahead.map(|ahead| ahead.approval.when.code()),
            approval_is_due: ahead.is_some_and(Forecast::asks_before_open),
            approve_before: approve_before.map(|instant| clock.local(instant)),
            approve_before_iso: approve_before.map(|instant| instant.to_string()),
            token_end: token_end.map(|instant| clock.local(instant)),
            token_end_iso: token_end.map(|instant| instant.to_string()),
            resets: ahead.map(|ahead| sentence(&clean(&ahead.resets_text(now, zone)))).filter(|text| !text.is_empty()),
            down_since: alert.down_since.map(|down| clock.local(down)),
            down_for: down.map(age_text),
            changes: alert.changes,
            acknowledge: can_be_acknowledged(alert).then_some(ACKNOWLEDGE),
        }
    }

    /// The subject, once it is made, for the other templates.
    pub(super) fn set_subject(&mut self, subject: &str) {
        subject.clone_into(&mut self.subject);
    }

    /// What happened.
    pub(super) fn story(&self) -> &str {
        &self.story
    }
}

/// The time of sending, and the zone in which it is told.
struct Clock<'a> {
    now: Timestamp,
    zone: &'a TimeZone,
}

impl Clock<'_> {
    /// `Wed 25 Nov 2026 08:48 +08:00`.
    fn local(&self, instant: Timestamp) -> String {
        instant.to_zoned(self.zone.clone()).strftime("%a %-d %b %Y %H:%M %:z").to_string()
    }

    /// `Wed 25 Nov 2026 08:48 +08:00 (Asia/Hong_Kong)`.
    fn local_with_zone(&self, instant: Timestamp) -> String {
        let zone = self.zone.iana_name().map(|name| format!(" ({name})")).unwrap_or_default();
        format!("{}{zone}", self.local(instant))
    }

    /// A clock that was set back makes no negative age.
    fn age(&self, instant: Timestamp) -> String {
        age_text(self.now.duration_since(instant).max(SignedDuration::ZERO))
    }
}

fn tone(alert: &Alert) -> &'static str {
    match (alert.subject, alert.kind) {
        (Subject::Test | Subject::Recovery, _) => "neutral",
        (Subject::Ready, _) => "good",
        _ => "bad",
    }
}

fn can_be_acknowledged(alert: &Alert) -> bool {
    matches!(alert.kind, Kind::Problem | Kind::Reminder | Kind::Escalation)
}

fn about(alert: &Alert) -> Option<String> {
    let cause = alert.cause.map(Cause::code);
    Some(match alert.kind {
        Kind::Problem | Kind::Escalation | Kind::Act => cause?.to_owned(),
        Kind::Reminder => format!("still {}", cause?),
        Kind::Flapping => changed(alert)?,
        Kind::Settled if alert.subject == Subject::Ready => "settled".into(),
        Kind::Settled => format!("settled at {}", cause?),
        Kind::NoGo => {
            let first = clean(&alert.reasons.first()?.code);
            match alert.reasons.len() - 1 {
                0 => first,
                more => format!("{first} and {more} more"),
            }
        }
        Kind::Recovery | Kind::Test => return None,
    })
}

/// `changed 7 times in 10 min`.
fn changed(alert: &Alert) -> Option<String> {
    Some(format!("changed {} times in {}", alert.changes?, age_text(FLAPPING_SPAN)))
}

/// What happened, in a sentence or two.
fn story(alert: &Alert, down: Option<SignedDuration>) -> String {
    let gateway = clean(&alert.gateway);
    let seen = alert.cause.map(Cause::seen).unwrap_or_default();
    match alert.kind {
        Kind::Problem => format!("The gateway {gateway} is not ready. {seen}"),
        Kind::Reminder => format!("The gateway {gateway} still is not ready. {seen}"),
        Kind::Escalation => {
            format!("The gateway {gateway} still is not ready, and nobody has acknowledged it. {seen}")
        }
        Kind::Recovery => {
            let down = down.map(|down| format!(" It was down for {}.", age_text(down))).unwrap_or_default();
            format!("The gateway {gateway} is ready again.{down}")
        }
        Kind::Flapping => {
            let changed = changed(alert).unwrap_or_else(|| "changes often".into());
            let still = age_text(FLAPPING_SPAN);
            format!("The gateway {gateway} {changed}. Single changes are not told until it keeps still for {still}.")
        }
        Kind::Settled if alert.subject == Subject::Ready => {
            format!("The gateway {gateway} no longer changes often. It is ready.")
        }
        Kind::Settled => format!("The gateway {gateway} no longer changes often. It is not ready. {seen}"),
        Kind::NoGo => format!("An agent that trades through the gateway {gateway} was not started."),
        Kind::Act => match alert.subject {
            Subject::AgentStopped => format!("An agent that trades through the gateway {gateway} was stopped."),
            Subject::RecoveryGivenUp => {
                format!("The gateway {gateway} was acted upon, which has not helped; now it is left alone.")
            }
            _ => format!("The gateway {gateway} was acted upon to recover it."),
        },
        Kind::Test => format!("This is a test, nothing has happened: alerts of the gateway {gateway} arrive here."),
    }
    .trim_end()
    .to_owned()
}

/// Whether the market is open when the message is written, as far as the alert knows.
fn is_open(alert: &Alert, now: Timestamp) -> bool {
    let hours = &alert.hours;
    hours.trading == Trading::On && hours.next_close.is_none_or(|close| now < close)
}

/// The market in a few words. The alert may be older than what it knew of the market.
fn market(alert: &Alert, now: Timestamp) -> String {
    let hours = &alert.hours;
    match (hours.trading, hours.next_open) {
        (Trading::Unknown, _) => "trading hours not known".into(),
        _ if is_open(alert, now) => "the market is open".into(),
        (_, Some(open)) if now < open => format!("opens in {}", age_text(open.duration_since(now))),
        (Trading::Off, Some(open)) => format!("opened {} ago", age_text(now.duration_since(open))),
        (Trading::On, _) => "the market has closed".into(),
        (Trading::Off, None) => "next open not known".into(),
    }
}

fn reasons(alert: &Alert) -> Vec<ReasonFact> {
    let fact = |reason: &ibga_core::alert::Reason| ReasonFact { code: clean(&reason.code), text: clean(&reason.text) };
    let mut reasons: Vec<ReasonFact> = alert.reasons.iter().take(VALUES_MAX).map(fact).collect();
    if let Some(more) = alert.reasons.len().checked_sub(VALUES_MAX).filter(|more| *more > 0) {
        reasons.push(ReasonFact { code: "more".into(), text: format!("and {more} more") });
    }
    reasons
}

fn remedies(alert: &Alert) -> Vec<String> {
    let steps = alert.remedies.iter().flat_map(|remedy| remedy::steps(remedy));
    steps.map(|step| sentence(&clean(step))).take(VALUES_MAX).collect()
}

/// With a capital at its beginning; a command in backticks stays as it is.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// Whether a character shows itself, and does nothing else: no control character, none that turns the direction of writing.
pub(super) fn is_seen(character: char) -> bool {
    let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !character.is_control() && !turns && !matches!(character, '\u{2028}' | '\u{2029}')
}

/// One line of bounded length.
fn clean(text: &str) -> String {
    super::shortened(&super::one_line(text), VALUE_CHARS_MAX)
}
