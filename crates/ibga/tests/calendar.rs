//! The calendar through the real binary: what it says, and an override as its writer meets it.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "helpers of tests fail their test")]

mod common;

#[path = "common/faketime.rs"]
mod faketime;

use common::{Desk, Ran, set_mode};

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
  "overrides": [],
  "warnings": []
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
    assert_eq!(json(&["XNYS,xnas"])[1]["exchange"], "XNAS");
    assert_eq!(json(&["hkex"])["exchange"], "XHKG");
    assert_eq!(json(&["stock_connect"])[0]["exchange"], "XSHG");
    assert_eq!(json(&["--list"]).as_array().map(Vec::len), Some(10));
    assert_eq!(json(&["--list", "XSHG"])["first"], "2024-01-01");
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
    let any = ["calendar", "XHKG,XNYS", "--exchange-rule", "any", "--at", "2026-11-23T02:00:00Z"];
    assert!(desk.run(&any).out.ends_with("\n\nAny       XHKG is open until 12:00 +08:00\n"));
    let ran = desk.run(&["calendar", "XHKG", "--month", "2026-12", "--at", "2026-11-24T02:00:00Z"]);
    let page = include_str!("../../../docs/calendar.md");
    assert!(page.contains(&format!("$ ibga calendar XHKG --month 2026-12\n{}```", ran.out)), "{}", ran.out);
    assert_eq!(desk.run(&["calendar", "-q"]).out, "");
}

#[test]
fn wrong_usage_says_what_to_write() {
    let desk = Desk::new();
    for (arguments, expected) in [
        (vec!["XHKQ"], "unknown exchange `XHKQ`; did you mean XHKG?\n"),
        (vec!["XNYS", "XHKG,XHKQ"], "unknown exchange `XHKQ`; did you mean XHKG?\n"),
        (
            vec!["Borse"],
            "unknown exchange `Borse`; \
             use one of XHKG, XNYS, XNAS, XTKS, XSHG, XSHE, XSES, XASX, XLON, XETR, or stock_connect\n",
        ),
        (
            vec!["stock_connect", "XNYS"],
            "stock_connect is XSHG and XHKG together and stands alone; write the exchanges one by one\n",
        ),
        (vec!["XHKG,"], "empty; write a value or leave it out\n"),
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
    assert_eq!(desk.run(&["calendar", "--exchange-rule", "any", "--list"]).code, Some(2));
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

/// The market of a preflight at a pretended instant, and what its rule says.
fn preflight_at(desk: &Desk, instant: &str, arguments: &[&str]) -> (serde_json::Value, String) {
    let mut command = desk.command(&[&["preflight", "--json"], arguments].concat());
    command.env("IBGA_CALENDAR_OVERRIDES", desk.path("calendar.txt"));
    faketime::pretend(&mut command, instant);
    let json = Ran::from(command.output().expect("the binary starts")).json();
    let rule = json["checks"].as_array().expect("checks").iter().find(|check| check["rule"] == "market");
    let rule = rule.map(|rule| format!("{}: {}", rule["outcome"], rule["text"])).expect("a rule").replace('"', "");
    (json["market"].clone(), rule)
}

#[test]
fn real_faketime_an_override_closes_today_and_is_named() {
    let desk = Desk::new();
    let today = "2026-11-24T02:00:00Z";
    let file = desk.write("calendar.txt", "# Notices\nXHKG closed 2026-11-24 System failure\n");
    let named = format!("{}:2: closed 2026-11-24 System failure", file.display());
    let (market, rule) = preflight_at(&desk, today, &[]);
    assert_eq!(market["exchanges"][0]["overrides"], serde_json::json!([named]));
    assert_eq!(
        rule.split_once("; XHKG is only the default").expect("a hint").0,
        format!(
            "failed: XHKG is closed for a holiday (System failure), opens Wed 25 Nov 09:30 +08:00; override {named}"
        )
    );
    // It is read anew at each use.
    desk.write("calendar.txt", "");
    let (market, rule) = preflight_at(&desk, today, &[]);
    assert_eq!(market["exchanges"][0]["overrides"], serde_json::json!([]));
    assert_eq!(rule, "passed: XHKG is open until 12:00 +08:00");
}

#[test]
fn real_faketime_a_line_without_effect_is_warned_of() {
    let desk = Desk::new();
    let file = desk.write("calendar.txt", "XHKG closed 2023-11-24 System failure\n");
    let line = format!(
        "override {}:1: closed 2023-11-24 System failure (no effect: before the first year that is known)",
        file.display()
    );
    let at = "2026-11-24T02:00:00Z";
    let (market, rule) = preflight_at(&desk, at, &[]);
    let warning = format!("{line}: correct or remove it");
    assert_eq!(market["warnings"], serde_json::json!([warning]));
    assert_eq!(rule, format!("passed: XHKG is open until 12:00 +08:00; {warning}"));
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&under(&desk, &["calendar", "XHKG", "--at", at]).out).contains(&format!("Warning {warning}")));
    assert!(words(&under(&desk, &["calendar", "--list", "XHKG"]).out).contains(&line));
    let json = under(&desk, &["calendar", "--list", "XHKG", "--json"]).json();
    assert_eq!(
        under(&desk, &["calendar", "XHKG", "--at", at, "--json"]).json()["warnings"],
        serde_json::json!([warning])
    );
    assert_eq!(json["idle_overrides"], serde_json::json!([line.strip_prefix("override ")]));
}

#[test]
fn real_faketime_auctions_and_computed_days_are_in_the_decision() {
    let desk = Desk::new();
    desk.write("calendar.txt", "");
    let told = |instant, exchange| {
        let (market, rule) = preflight_at(&desk, instant, &["--exchange", exchange]);
        let member = &market["exchanges"][0];
        format!("{rule} {} {}", member["data"], member["auction"])
    };
    let closing = told("2026-09-01T06:58:00Z", "SSE");
    let expected = "passed: XSHG is open until 15:00 +08:00 (closing auction) \
                    \"official\" \"closing_auction\"";
    assert_eq!(closing, expected);
    let computed = told("2027-04-27T02:00:00Z", "ASX");
    assert_eq!(computed, "passed: XASX is open until 16:00 +10:00; days of 2027 are computed \"computed\" null");
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
