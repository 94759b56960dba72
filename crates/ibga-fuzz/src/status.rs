//! The status file: whatever stands in it, the gate says go only if a second, plain reading of the same text finds nothing
//! against it; and a report that was read is written and read again as the same.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use ibga_core::calendar::{self, Calendars, Exchange, MarketMoment};
use ibga_core::gate::{self, Chosen, MarketRule, Question};
use ibga_core::report::Report;
use ibga_core::verdict::Expectations;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// When the gate looks, in seconds since 1970: 2026-11-23 09:31:00 in Hong Kong.
const NOW: i64 = 1_795_397_460;

const MAX_AGE: Duration = Duration::from_mins(10);

static CALENDARS: LazyLock<Calendars> = LazyLock::new(Calendars::default);

/// Hong Kong, which trades then.
static MOMENT: LazyLock<MarketMoment> =
    LazyLock::new(|| calendar::Market::of_one(CALENDARS.of(Exchange::XHKG)).at(now()));

fn zone() -> TimeZone {
    TimeZone::fixed(Offset::constant(8))
}

/// The bytes are a status file.
pub fn status(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(mut report) = Report::from_json(text, &zone()) else { return };
    if let Some(more) = &mut report.more {
        // Fractions are read to the last digit but one, and decide nothing.
        more.timings_ms.clear();
        more.clock_skew_seconds = None;
    }
    let written = report.to_json(&zone());
    if let Ok(again) = Report::from_json(&written, &zone()) {
        assert_eq!(again.to_json(&zone()), written);
    } else {
        assert!(!goes(&report), "a go that cannot be read again: {written}");
    }
    if goes(&report) {
        let json: Value = serde_json::from_str(text).unwrap_or_default();
        assert_eq!(against(&json), None, "go in spite of this: {text}");
    }
}

/// Whether the gate lets an agent start on this status file.
pub fn is_go(text: &str) -> bool {
    Report::from_json(text, &zone()).is_ok_and(|report| goes(&report))
}

fn goes(report: &Report) -> bool {
    let decision = gate::judge(&Question {
        gateway: "default",
        endpoint: None,
        path: Path::new("status.json"),
        report: Ok(report),
        now: now(),
        zone: &zone(),
        halts: &[],
        max_age: MAX_AGE,
        expected: &Expectations::default(),
        market: MarketRule::At { moment: &MOMENT, chosen: Chosen::BySetting, calendars: &CALENDARS },
        hours_of: None,
    });
    decision.is_go()
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap_or_default()
}

/// What speaks against a go in this document; read without any type of the product.
fn against(json: &Value) -> Option<&'static str> {
    let text = |key: &str| json.get(key).and_then(Value::as_str);
    let is_true = |key: &str| json.get(key) == Some(&Value::Bool(true));
    let accounts: Vec<&str> = json.get("accounts")?.as_array()?.iter().filter_map(Value::as_str).collect();
    let accounts: Vec<&str> = accounts.into_iter().map(str::trim).filter(|id| !id.is_empty()).collect();
    let paper = accounts.iter().filter(|id| id.starts_with('D')).count();
    let mode = match paper {
        0 => "live",
        all if all == accounts.len() => "paper",
        _ => "mixed",
    };
    let common = [
        (text("status") != Some("ready"), "the status"),
        (!is_true("ready_to_trade"), "the flag"),
        (text("port") != Some("open"), "the port"),
        (!is_true("connected"), "no session"),
        (!is_true("authenticated") || accounts.is_empty(), "no accounts"),
        (json.get("error") != Some(&Value::Null), "an error"),
        (matches!(text("container"), None | Some("stopped" | "paused" | "restarting" | "missing")), "the container"),
        (!text("timestamp").is_some_and(is_fresh), "its age"),
        (text("check_type").is_none(), "a field is missing"),
    ];
    let own = [
        (json.get("schema_version").and_then(Value::as_u64) != Some(1), "the schema"),
        (text("cause") != Some("ready"), "the cause"),
        (text("gateway") != Some("default"), "the gateway"),
        (!matches!(text("broker"), Some("answered" | "unproven")), "the broker"),
        (text("orders") == Some("unproven"), "nobody knows whether orders are allowed"),
        (text("mode") != Some(mode), "the mode"),
        (says_closed(json), "the trading hours that the broker told"),
        (json.get("writer").is_none_or(|writer| !writer.is_object()), "the writer"),
    ];
    let is_own = ["schema_version", "cause", "sequence", "writer"].iter().any(|key| json.get(key).is_some());
    let all = common.into_iter().chain(own.into_iter().filter(|_| is_own));
    all.into_iter().find_map(|(holds, what)| holds.then_some(what))
}

/// Whether the broker told, in Hong Kong's own zone, that nothing trades on the day on which the gate looks.
fn says_closed(json: &Value) -> bool {
    let Some(hours) = json.get("broker_hours") else { return false };
    let text = |key: &str| hours.get(key).and_then(Value::as_str);
    let days = hours.get("days").and_then(Value::as_array);
    let today = days.into_iter().flatten().find(|day| day.get("date").and_then(Value::as_str) == Some("2026-11-23"));
    let is_closed = today.and_then(|day| day.get("hours")?.as_array()).is_some_and(Vec::is_empty);
    is_closed && (text("exchange"), text("zone")) == (Some("XHKG"), Some("Hongkong"))
}

/// Within ten minutes of the past and five seconds of the future, by the fields of the text.
fn is_fresh(timestamp: &str) -> bool {
    let Ok(pieces) = jiff::fmt::temporal::Pieces::parse(timestamp) else { return false };
    let Some(time) = pieces.time() else { return false };
    let offset = pieces.to_numeric_offset().unwrap_or(Offset::constant(8));
    let Ok(instant) = offset.to_timestamp(pieces.date().to_datetime(time)) else { return false };
    let age = now().duration_since(instant);
    age < SignedDuration::from_secs(600) && age >= SignedDuration::from_secs(-5)
}
