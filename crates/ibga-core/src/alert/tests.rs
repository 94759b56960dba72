//! The policy against stories: what a gateway does by the clock, and what people hear of it.
//!
//! Trading goes from 10:00 to 16:00 UTC on every day of a story, so that everything is loud from 09:00, and reminders come often
//! from 07:00. `22:00-23:00 api_silent` is a report each minute, the last at 22:59; a time that does not rise is a clock that was
//! set back, unless it is marked as the next day's: `+1 01:00-02:00 ready`.

mod no_goes;
mod properties;
mod stories;
mod words;

use jiff::civil::{Time, date, time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::observation::Broker;
use crate::report::{Details, PortState, Report, Writer};

/// The first day of each story, a Tuesday.
fn midnight() -> Timestamp {
    "2026-11-24T00:00:00Z".parse().expect("an instant")
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// `09:30`, or `+1 09:30` on the next day.
fn instant(text: &str) -> Timestamp {
    let (days, clock) = text.strip_prefix('+').and_then(|text| text.split_once(' ')).unwrap_or(("0", text));
    let day = date(2026, 11, 24) + SignedDuration::from_hours(24 * days.parse::<i64>().expect("days"));
    let time: Time = clock.parse().unwrap_or_else(|_| panic!("{clock} is no time"));
    day.to_datetime(time).to_zoned(TimeZone::UTC).expect("an instant").timestamp()
}

/// Trading from 10:00 to 16:00 UTC on every day.
fn hours(now: Timestamp) -> Hours {
    let day = now.to_zoned(TimeZone::UTC).start_of_day().expect("a day").timestamp();
    let (open, close) = (day + minutes(600), day + minutes(960));
    let is_on = open <= now && now < close;
    Hours {
        exchange: "XTST".into(),
        trading: if is_on { Trading::On } else { Trading::Off },
        next_open: (!is_on).then(|| if now < open { open } else { open + minutes(24 * 60) }),
        next_close: is_on.then_some(close),
    }
}

fn is_loud(now: Timestamp) -> bool {
    hours(now).is_near(now, minutes(60))
}

fn one_shot() -> Policy {
    Policy::default()
}

fn watcher() -> Policy {
    Policy { after: SignedDuration::from_secs(180), ..one_shot() }
}

fn quiet(from: Time, to: Time, zone: &str) -> QuietHours {
    QuietHours { from, to, zone: TimeZone::get(zone).expect("a zone") }
}

/// Quiet from 22:00 to 08:00 UTC.
fn sleeper() -> Policy {
    Policy { quiet: Some(quiet(time(22, 0, 0, 0), time(8, 0, 0, 0), "UTC")), ..watcher() }
}

fn report(cause: Cause, since: Timestamp, now: Timestamp) -> Report {
    let writer = Writer { program: "ibga".into(), version: "0.1.0".into(), pid: 7, host: "desk".into(), boot_id: None };
    let is_ready = cause == Cause::Ready;
    Report {
        status: cause.status(),
        ready_to_trade: is_ready,
        container: "not_checked".into(),
        port: PortState::Open,
        connected: true,
        authenticated: is_ready,
        accounts: Vec::new(),
        error: (!is_ready).then(|| "seen at account DU1234567".into()),
        timestamp: now,
        more: Some(Details {
            gateway: "default".into(),
            endpoint: "127.0.0.1:4000".into(),
            cause,
            remedy: Some("look at DU1234567".into()),
            mode: None,
            broker: Broker::Unproven,
            orders: None,
            broker_hours: None,
            forecast: None,
            warnings: Vec::new(),
            server_version: None,
            clock_skew_seconds: None,
            timings_ms: Vec::new(),
            since,
            sequence: 1,
            expires_at: now,
            writer,
        }),
    }
}

/// A value as it comes back from the store.
fn stored<T: Serialize + serde::de::DeserializeOwned + PartialEq + fmt::Debug>(value: &T) -> T {
    let read = serde_json::from_str(&serde_json::to_string(value).expect("JSON")).expect("what was written");
    assert_eq!(&read, value);
    read
}

/// Status file, store and people of one gateway.
struct Desk {
    policy: Policy,
    /// Cause and beginning, as the status file has them.
    file: Option<(Cause, Timestamp)>,
    memory: Option<Memory>,
    heard: Vec<Alert>,
}

impl Desk {
    fn new(policy: &Policy) -> Self {
        Self { policy: policy.clone(), file: None, memory: None, heard: Vec::new() }
    }

    /// Writes the status file, as [`Report::new`] does.
    fn write(&mut self, cause: Cause, now: Timestamp) {
        let before = self.file.filter(|(before, since)| *before == cause && *since <= now);
        self.file = Some((cause, before.map_or(now, |(_, since)| since)));
    }

    fn judge(&self, now: Timestamp) -> Step {
        let (cause, since) = self.file.expect("a status file");
        let step = observe(self.memory.as_ref(), &report(cause, since, now), &self.policy, &hours(now), now);
        assert!(step.alerts.len() <= 1, "{:?}", step.alerts);
        step
    }

    /// One look at the gateway. What holds of every look is checked here.
    fn look(&mut self, cause: Cause, now: Timestamp) {
        self.write(cause, now);
        let step = self.judge(now);
        for alert in &step.alerts {
            self.check(alert, now);
        }
        let again = observe(Some(&step.memory), &self.report(now), &self.policy, &hours(now), now);
        assert!(again.alerts.iter().all(|alert| alert.kind == Kind::Escalation), "told twice: {again:?}");
        self.memory = Some(stored(&step.memory));
        self.heard.extend(step.alerts.iter().map(stored));
    }

    fn report(&self, now: Timestamp) -> Report {
        let (cause, since) = self.file.expect("a status file");
        report(cause, since, now)
    }

    fn check(&self, alert: &Alert, now: Timestamp) {
        assert!(
            self.heard.iter().all(|heard| heard.key != alert.key),
            "{} is heard twice: {:?}",
            alert.key,
            self.heard
        );
        let is_quiet = self.policy.quiet.as_ref().is_some_and(|quiet| quiet.cover(now));
        assert!(!is_quiet || is_loud(now), "{} at {now}", alert.key);
        let instants = [Some(alert.since), alert.down_since];
        assert!(instants.iter().flatten().all(|instant| *instant <= now), "{alert:?}");
        // The process died before the store had it: the next look makes the same alert.
        let later = self.judge(now + SignedDuration::from_millis(1)).alerts;
        assert_eq!(later.iter().map(|later| &later.key).collect::<Vec<_>>(), [&alert.key]);
        let text = serde_json::to_string(alert).expect("JSON");
        assert!(!text.contains("DU1234567"), "{text}");
    }

    fn acknowledge(&mut self, now: Timestamp) -> bool {
        let memory = self.memory.as_ref().and_then(|memory| acknowledge(memory, "ann", now));
        let is_problem = memory.is_some();
        self.memory = memory.or(self.memory.take());
        is_problem
    }

    /// `09:03 problem api_silent`, with the audience where it is not the first.
    fn line(alert: &Alert) -> String {
        let days = alert.at.duration_since(midnight()).as_hours().div_euclid(24);
        let day = if days == 0 { String::new() } else { format!("+{days} ") };
        let audience = match alert.audience {
            Audience::First => "",
            Audience::Second => " to the second",
            Audience::Everybody => " to everybody",
        };
        let cause = alert.cause.expect("a cause");
        format!("{day}{} {} {cause}{audience}", alert.at.strftime("%H:%M"), alert.kind.code())
    }
}

/// Plays a story: a line for each span, or for one look; `ack` is a person who sees to it.
fn play(policy: &Policy, story: &str) -> Desk {
    let mut desk = Desk::new(policy);
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (span, word) = line.rsplit_once(' ').expect("a time and a word");
        let (from, to) = span.split_once('-').unwrap_or((span, ""));
        let day = from.split_once(' ').map_or(String::new(), |(day, _)| format!("{day} "));
        let mut now = instant(from);
        if word == "ack" {
            assert!(desk.acknowledge(now), "nothing to see to at {from}");
            continue;
        }
        let end = match to {
            "" => now + minutes(1),
            to if to.starts_with('+') => instant(to),
            to => instant(&format!("{day}{to}")),
        };
        while now < end {
            desk.look(word.parse().expect("a cause"), now);
            now += minutes(1);
        }
    }
    desk
}

/// Plays a story and compares what people hear.
#[track_caller]
fn tells(policy: &Policy, story: &str, heard: &[&str]) -> Desk {
    let desk = play(policy, story);
    let lines: Vec<String> = desk.heard.iter().map(Desk::line).collect();
    assert_eq!(lines, heard, "{story}");
    desk
}
