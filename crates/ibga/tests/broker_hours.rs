//! The hours that IBKR tells against the calendar: the real binary, a simulated gateway in each dialect, and a clock that is set.

#![expect(clippy::indexing_slicing, reason = "helpers of tests fail their test")]

mod common;
#[path = "common/faketime.rs"]
mod faketime;

use common::{Desk, Gateway, Ran};
use faketime::{gateway_at, run_at};
use ibga_sim::{Config, Scenario};

/// Text, mixed and protobuf.
const DIALECTS: [u32; 3] = [200, 205, 222];

/// A desk whose gateway was checked at an instant, with a contract to ask about.
fn checked(scenario: Scenario, version: u32, instant: &str, settings: &str) -> (Desk, Gateway) {
    let (desk, gateway) = (
        Desk::new(),
        gateway_at(instant, Config { timeline: scenario.into(), server_version: version, ..Config::default() }),
    );
    desk.write("ibga.toml", &format!("port = {}\napi_version_max = 300\n{settings}", gateway.address.port()));
    let ran = run_at(&desk, instant, &["check"]);
    assert_eq!(ran.code, Some(0), "{scenario} {version}: {ran:?}");
    assert_eq!(desk.status()["server_version"], version);
    (desk, gateway)
}

const TENCENT: &str = "probe_contract = \"700 SEHK\"\n";

/// The line of the gate about IBKR's hours.
fn line(ran: &Ran) -> &str {
    let is_about = |line: &&str| line.contains("IBKR's hours") || line.contains("IBKR says");
    ran.out.lines().filter(|line| line.starts_with("  ")).find(is_about).map_or("", str::trim)
}

#[test]
fn real_faketime_hours_agree_on_all_kinds_of_days_in_every_dialect() {
    for (instant, code, days) in [
        ("2026-11-24T02:00:00Z", 0, "today and 2026-11-25"),
        // The Friday before a weekend, and the weekend.
        ("2026-11-27T02:00:00Z", 0, "today and 2026-11-30"),
        ("2026-11-28T02:00:00Z", 1, "today and 2026-11-30"),
        // A half day, a holiday, and the longest days off.
        ("2026-12-24T02:00:00Z", 0, "today and 2026-12-28"),
        ("2026-12-25T02:00:00Z", 1, "today and 2026-12-28"),
        ("2027-02-05T02:00:00Z", 0, "today and 2027-02-10"),
    ] {
        for version in DIALECTS {
            let (desk, _gateway) = checked(Scenario::Ready, version, instant, TENCENT);
            let ran = run_at(&desk, instant, &["preflight"]);
            let expected = format!("ok    IBKR's hours of XHKG agree with the calendar for {days}");
            assert_eq!((ran.code, line(&ran)), (Some(code), expected.as_str()), "{instant} {version}: {ran:?}");
        }
    }
}

#[test]
fn real_faketime_hours_that_contradict_the_calendar_stop_the_agent() {
    let full = "the calendar says open 09:30-12:00 13:00-16:00";
    let half = "the calendar says open 09:30-12:00";
    let end = "do not trade until one of them is corrected (calendar_overrides)";
    for (scenario, instant, expected) in [
        (
            Scenario::MarketHoursClosed,
            "2026-11-24T02:00:00Z",
            format!("XHKG: {full} on 2026-11-24, IBKR says closed; {full} on 2026-11-25, IBKR says closed; {end}"),
        ),
        (
            Scenario::MarketHoursClosed,
            "2026-12-25T02:00:00Z",
            format!("XHKG: {full} on 2026-12-28, IBKR says closed; {end}"),
        ),
        (
            Scenario::MarketHoursChanged,
            "2026-12-24T02:00:00Z",
            format!(
                "XHKG: {half} on 2026-12-24, IBKR says open 09:30-11:10; \
                 {full} on 2026-12-28, IBKR says open 09:30-12:00 13:00-15:10; {end}"
            ),
        ),
    ] {
        for version in DIALECTS {
            let (desk, _gateway) = checked(scenario, version, instant, TENCENT);
            let ran = run_at(&desk, instant, &["preflight"]);
            assert_eq!(line(&ran), format!("FAIL  {expected}"), "{version}");
            assert!(ran.code == Some(1) && ran.out.contains(&format!("Reason: Market: {expected}\n")), "{ran:?}");
            assert!(ran.out.contains("What to do: look the day up with the exchange: "), "{ran:?}");
        }
    }
}

#[test]
fn real_faketime_a_contradiction_as_a_program_reads_it_and_its_ways_out() {
    let instant = "2026-11-24T02:00:00Z";
    let (desk, _gateway) = checked(Scenario::MarketHoursClosed, 200, instant, TENCENT);
    let json = run_at(&desk, instant, &["preflight", "--json"]).json();
    assert_eq!((&json["go"], &json["reasons"][0]["code"]), (&false.into(), &"market_contradiction".into()));
    assert_eq!(json["broker_hours"]["exchange"], "XHKG");
    let day = &json["broker_hours"]["days"][0];
    assert_eq!((&day["date"], &day["outcome"]), (&"2026-11-24".into(), &"contradiction".into()));
    assert_eq!(
        (&day["calendar"], &day["ibkr"]),
        (&"open 09:30-12:00 13:00-16:00".into(), &"closed".into()),
        "both readings"
    );
    let ran = run_at(&desk, instant, &["run", "--", "echo", "started"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.err.contains("IBKR says closed"), "{ran:?}");
    let ran = run_at(&desk, instant, &["doctor"]);
    assert!(ran.code == Some(1) && ran.out.contains("trading hours"), "{ran:?}");
    let ran = run_at(&desk, instant, &["status"]);
    assert!(ran.out.contains("would not start now") && ran.out.contains("IBKR says closed"), "{ran:?}");
    // Market hours are passed over, and this with them.
    let ran = run_at(&desk, instant, &["run", "--force", "--", "echo", "started"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "started\n"), "{ran:?}");
    // IBKR is right: the calendar is corrected, the market is closed, and both agree.
    let closed = "XHKG closed 2026-11-24 Storm\nXHKG closed 2026-11-25 Storm\nXHKG closed 2026-11-26 Storm\n\
                  XHKG closed 2026-11-27 Storm\n";
    let overrides = desk.write("calendar.txt", closed);
    let mut command = desk.command(&["preflight"]);
    command
        .env("LD_PRELOAD", faketime::library())
        .env("FAKETIME", faketime::offset(instant).1)
        .env("IBGA_CALENDAR_OVERRIDES", overrides);
    let ran = Ran::from(command.output().expect("the binary starts"));
    assert_eq!(line(&ran), "ok    IBKR's hours of XHKG agree with the calendar for today");
    assert!(ran.code == Some(1) && ran.out.contains("is closed for a holiday (Storm)"), "{ran:?}");
}

#[test]
fn real_faketime_what_is_not_compared_is_told_and_no_fault() {
    let instant = "2026-11-24T02:00:00Z";
    let zone = "IBKR's time zone \"EST (Eastern Standard Time)\" is not known";
    for (scenario, settings, expected) in [
        (Scenario::MarketHoursUnknownZone, TENCENT, zone),
        (Scenario::Ready, "probe_contract = \"NOSUCH SEHK\"\n", "IBKR knows no contract NOSUCH SEHK STK HKD"),
        (Scenario::MarketHoursClosed, "probe_contract = \"SAP IBIS\"\n", "the gate keeps those of XHKG"),
    ] {
        let (desk, _gateway) = checked(scenario, 200, instant, settings);
        let told = run_at(&desk, instant, &["check"]);
        let warned = told.err.contains(&format!("warning: no trading hours to compare: {expected}\n"));
        assert_eq!(warned, settings.contains("NOSUCH"), "{told:?}");
        let doctor = run_at(&desk, instant, &["doctor", "--json"]).json();
        let is_about_hours = |finding: &&serde_json::Value| finding["subject"] == "trading_hours";
        let finding = doctor["findings"].as_array().and_then(|findings| findings.iter().find(is_about_hours));
        assert_eq!(finding.map(|finding| &finding["outcome"]), Some(&"doubtful".into()), "{doctor}");
        let ran = run_at(&desk, instant, &["preflight"]);
        let exchange = if settings.contains("SAP") { "XETR" } else { "XHKG" };
        let expected = format!("ok    IBKR's hours of {exchange} are not compared: {expected}");
        assert_eq!((ran.code, line(&ran)), (Some(0), expected.as_str()), "{ran:?}");
        assert!(run_at(&desk, instant, &["status"]).out.contains("are not compared"));
    }
    // Nobody asked: EUR.USD has no calendar.
    let (desk, _gateway) = checked(Scenario::MarketHoursClosed, 200, instant, "");
    assert!(desk.status()["broker_hours"].is_null());
    let doctor = run_at(&desk, instant, &["doctor"]).out;
    assert!(!doctor.contains("trading hours"), "{doctor}");
    let ran = run_at(&desk, instant, &["preflight"]);
    assert_eq!((ran.code, line(&ran)), (Some(0), ""), "{ran:?}");
    assert!(run_at(&desk, instant, &["preflight", "--json"]).json()["broker_hours"].is_null());
}

/// The check and the agent go by different settings, as with a variable that only one of two crontabs has.
#[test]
fn real_faketime_a_comparison_that_the_check_did_not_ask_for_stops_the_agent() {
    let instant = "2026-11-24T02:00:00Z";
    for (of_the_check, told) in [("", ""), ("probe_contract = \"5 SEHK\"\n", ", but those of 5 SEHK STK HKD (XHKG)")] {
        let (desk, gateway) = checked(Scenario::Ready, 200, instant, of_the_check);
        let settings = format!("port = {}\napi_version_max = 300\n{TENCENT}", gateway.address.port());
        desk.write("ibga.toml", &settings);
        let ran = run_at(&desk, instant, &["preflight"]);
        let expected = format!("IBKR's hours are not compared: the status tells none of 700 SEHK STK HKD{told}");
        assert_eq!((ran.code, line(&ran)), (Some(1), format!("FAIL  {expected}").as_str()), "{ran:?}");
        assert!(ran.out.contains(&format!("Reason: Market: {expected}\nWhat to do: run `ibga check` ")), "{ran:?}");
        let ran = run_at(&desk, instant, &["preflight", "--force"]);
        assert_eq!((ran.code, line(&ran)), (Some(0), "skip  IBKR's hours passed over (--force)"), "{ran:?}");
        assert_eq!(run_at(&desk, instant, &["check"]).code, Some(0));
        assert_eq!(run_at(&desk, instant, &["preflight"]).code, Some(0), "what was advised helps");
    }
}

/// Other exchanges of the simulator, at an hour at which all are closed or open: what counts is that nothing contradicts.
#[test]
fn real_faketime_every_exchange_agrees_with_its_own_gateway() {
    for instant in ["2026-11-24T02:00:00Z", "2026-11-27T15:00:00Z", "2026-12-24T02:00:00Z"] {
        for (contract, mic) in [
            ("IBM NYSE", "XNYS"),
            ("AAPL NASDAQ", "XNAS"),
            ("7203 TSEJ", "XTKS"),
            ("600519 SEHKNTL", "XSHG"),
            ("D05 SGX", "XSES"),
            ("BHP ASX", "XASX"),
            ("VOD LSE", "XLON"),
            ("SAP IBIS", "XETR"),
        ] {
            let settings = format!("probe_contract = \"{contract}\"\nexchange = \"{mic}\"\n");
            let (desk, _gateway) = checked(Scenario::Ready, 200, instant, &settings);
            let told = run_at(&desk, instant, &["preflight"]);
            let expected = format!("ok    IBKR's hours of {mic} agree with the calendar for ");
            assert!(line(&told).starts_with(&expected), "{instant}: {told:?}");
        }
    }
}

#[test]
fn real_faketime_the_status_file_holds_what_ibkr_told() {
    let (desk, _gateway) = checked(Scenario::Ready, 222, "2026-12-24T02:00:00Z", TENCENT);
    let hours = &desk.status()["broker_hours"];
    assert_eq!(hours["contract"], "700 SEHK STK HKD");
    assert_eq!((&hours["exchange"], &hours["zone"]), (&"XHKG".into(), &"Hongkong".into()));
    assert!(hours["fault"].is_null());
    let days =
        hours["days"].as_array().expect("days").iter().map(|day| (day["date"].as_str(), day["hours"].to_string()));
    let days: Vec<_> = days.collect();
    assert_eq!(days.first(), Some(&(Some("2026-12-24"), "[\"09:30-12:10\"]".into())));
    assert_eq!((days.get(1), days.len()), (Some(&(Some("2026-12-25"), "[]".into())), 6));
}

#[test]
fn a_contract_that_cannot_be_compared_is_refused_before_anything_is_asked() {
    let desk = Desk::new();
    let ran = Ran::from(desk.command(&["check"]).env("IBGA_PROBE_CONTRACT", "AAPL SMART").output().expect("starts"));
    assert_eq!(ran.code, Some(2));
    assert_eq!(
        ran.err,
        "IBGA_PROBE_CONTRACT in the environment: `AAPL SMART` cannot be asked about; \
         SMART routes to several exchanges and has no calendar; name one of them, as in `AAPL NASDAQ`\n"
    );
}
