//! The calendar through the real binary: what it says, and an override as its writer meets it.

#![expect(clippy::expect_used, reason = "helpers of tests fail their test")]

mod common;

use common::{Desk, Ran, set_mode};
use ibga_core::clock;
use jiff::tz::TimeZone;

#[test]
fn an_instant_as_a_program_reads_it() {
    let ran = Desk::new().run(&["calendar", "XHKG", "--at", "2026-12-24T04:00:00Z", "--json"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let expected = r#"{
  "exchange": "XHKG",
  "instant": "2026-12-24T04:00:00Z",
  "phase": "early_closed",
  "holiday": "Eve of Christmas",
  "half_day": true,
  "next_open": "2026-12-28T01:30:00Z",
  "next_close": "2026-12-28T04:00:00Z",
  "next_session_open": "2026-12-28T01:30:00Z",
  "next_session_close": "2026-12-28T08:00:00Z",
  "data": "official",
  "auction": "closing_auction",
  "overrides": []
}
"#;
    assert_eq!(ran.out, expected);
}

#[test]
fn one_exchange_is_an_object_and_several_are_an_array() {
    let desk = Desk::new();
    let json = |arguments: &[&str]| desk.run(&[&["calendar", "--json"], arguments].concat()).json();
    assert_eq!(json(&[])["exchange"], "XHKG");
    assert_eq!(json(&["XNYS", "xnas"])[1]["exchange"], "XNAS");
    assert_eq!(json(&["stock_connect"])[0]["exchange"], "XSHG");
    assert_eq!(json(&["--list"]).as_array().map(Vec::len), Some(10));
    assert_eq!(json(&["--list", "XSHG"])["last"], "2026-12-31");
    assert_eq!(json(&["--month", "2026-12"])["days"][23]["kind"], "half_day");
    // An offset is as good as Z; the answer is in UTC.
    assert_eq!(json(&["--at", "2026-12-24T12:00:00+08:00"])["instant"], "2026-12-24T04:00:00Z");
}

#[test]
fn a_person_sees_the_exchanges_that_are_set() {
    let desk = Desk::new();
    desk.write("ibga.toml", "exchange = \"stock_connect\"\n");
    let ran = desk.run(&["calendar"]);
    assert!(ran.out.starts_with("XSHG      Shanghai Stock Exchange\nNow       "), "{}", ran.out);
    assert!(ran.out.contains("\n\nXHKG      ") && ran.out.contains("\n\nTogether  "), "{}", ran.out);
    let ran = desk.run(&["calendar", "XHKG", "--month", "2026-12", "--at", "2026-11-24T02:00:00Z"]);
    let page = include_str!("../../../docs/calendar.md");
    assert!(page.contains(&format!("$ ibga calendar XHKG --month 2026-12\n{}```", ran.out)), "{}", ran.out);
    assert_eq!(desk.run(&["calendar", "-q"]).out, "");
}

#[test]
fn wrong_usage_says_what_to_write() {
    let desk = Desk::new();
    for (arguments, expected) in [
        (vec!["XHKQ"], "unknown exchange \"XHKQ\"; did you mean XHKG?\n"),
        (vec!["--at", "noon"], "--at: `noon` is not an instant; write it as 2026-12-24T04:00:00Z\n"),
        (
            vec!["--at", "2026-12-24T04:00:00"],
            "--at: `2026-12-24T04:00:00` is not an instant; write it as 2026-12-24T04:00:00Z\n",
        ),
        (vec!["--month", "12/2026"], "--month: `12/2026` is not a month; write it as 2026-12\n"),
    ] {
        let ran = desk.run(&[&["calendar"], &arguments[..]].concat());
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(2), "", expected));
    }
    assert_eq!(desk.run(&["calendar", "--list", "--month", "2026-12"]).code, Some(2));
    let ran = desk.run(&["preflight", "--exchange", "XHKG,NYSX"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(2), "--exchange: unknown exchange `NYSX`; did you mean NYSE?\n"));
    let ran = desk.run(&["preflight", "--exchange", "stock_connect", "--exchange-rule", "any"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.starts_with("--exchange-rule: stock_connect takes all of XSHG and XHKG; "), "{}", ran.err);
}

/// A run with an override file.
fn under(desk: &Desk, arguments: &[&str]) -> Ran {
    let mut command = desk.command(arguments);
    command.env("IBGA_CALENDAR_OVERRIDES", desk.path("calendar.txt"));
    Ran::from(command.output().expect("the binary starts"))
}

#[test]
fn an_override_closes_today_and_is_named() {
    let desk = Desk::new();
    let hong_kong = TimeZone::get("Asia/Hong_Kong").expect("a zone");
    let today = clock::now().to_zoned(hong_kong).date();
    // The test outlives the years that are compiled in.
    let years: Vec<String> = (2028..=today.year()).map(|year| format!("XHKG year {year} computed a test\n")).collect();
    let line = years.len() + 1;
    let file = desk.write("calendar.txt", &format!("{}XHKG closed {today} System failure\n", years.concat()));
    let ran = under(&desk, &["preflight", "--json"]);
    let json = ran.json();
    let market = json["checks"].as_array().expect("checks").iter().find(|check| check["rule"] == "market");
    let text = market.expect("a market")["text"].as_str().expect("a text");
    let named = format!("override {}:{line}: closed {today} System failure", file.display());
    assert!(ran.code == Some(1) && text.contains(&named), "{text}");
    let overrides = json["market"]["exchanges"][0]["overrides"].as_array().expect("a list");
    assert!(overrides.iter().any(|line| line == named.strip_prefix("override ").expect("a line")), "{overrides:?}");
    // It is read anew at each use.
    desk.write("calendar.txt", "");
    assert_eq!(
        under(&desk, &["preflight", "--json"]).json()["market"]["exchanges"][0]["overrides"],
        serde_json::json!([])
    );
}

#[test]
fn a_broken_override_is_never_passed_over() {
    let desk = Desk::new();
    let path = desk.path("calendar.txt");
    let path = path.display();
    let environment = "IBGA_CALENDAR_OVERRIDES in the environment: calendar overrides";
    let absent = format!("{environment} {path}: there is no such file; write it or remove the setting\n");
    let broken = format!("calendar overrides {path}:2: unknown keyword `close`; did you mean `closed`?\n");
    let loose = format!("{environment} {path}: its mode 0666 lets others write it; `chmod go-w` it\n");
    let everywhere = |expected: &str| {
        for arguments in [
            &["calendar"][..],
            &["preflight"],
            &["preflight", "--force"],
            &["status"],
            &["run", "--force", "--", "touch", "started"],
        ] {
            let ran = under(&desk, arguments);
            assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(2), "", expected), "{arguments:?}");
        }
    };
    everywhere(&absent);
    let file = desk.write("calendar.txt", "XHKG closed 2026-11-24 System failure\nXNYS close 2026-11-25 Outage\n");
    everywhere(&broken);
    set_mode(&file, 0o666);
    everywhere(&loose);
    assert!(!desk.path("started").exists());
}

#[test]
fn several_exchanges_are_judged_together() {
    let desk = Desk::new();
    let market = |arguments: &[&str]| {
        let json = desk.run(&[&["preflight", "--json"], arguments].concat()).json();
        let market = &json["market"];
        format!("{} {} {}", market["exchange"], market["rule"], market["exchanges"].as_array().expect("a list").len())
    };
    assert_eq!(market(&[]), r#""XHKG" null 1"#);
    assert_eq!(market(&["--exchange", "XHKG", "--exchange", "XNYS"]), r#""XHKG,XNYS" "all" 2"#);
    assert_eq!(market(&["--exchange", "XHKG,XNYS", "--exchange-rule", "any"]), r#""XHKG,XNYS" "any" 2"#);
    assert_eq!(market(&["--exchange", "stock_connect"]), r#""XSHG,XHKG" "all" 2"#);
}
