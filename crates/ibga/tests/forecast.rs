//! What is ahead, by the real binary on a clock that is set: in the status file, on the terminal, and told to people.

#![expect(clippy::indexing_slicing, reason = "helpers of tests fail their test")]

mod common;
#[path = "common/faketime.rs"]
mod faketime;

use common::{Desk, Gateway, Ran};
use faketime::{gateway_at, pretend, run_at};
use ibga_sim::{Config, Scenario};
use serde_json::Value;

const ASIA: &str = "reset_windows = [\"04:45-06:05 Asia/Hong_Kong Asia\", \"20:15-21:15 Asia/Hong_Kong Asia\"]\n";

/// A gateway that plays this at an instant, and the check of it.
fn check_at(desk: &Desk, scenario: Scenario, instant: &str, settings: &str, arguments: &[&str]) -> (Gateway, Ran) {
    let gateway = gateway_at(instant, Config { timeline: scenario.into(), ..Config::default() });
    // Another port each time, but the gateway's name is its identity.
    desk.write("ibga.toml", &format!("port = {}\ntimeout = \"1s\"\n{settings}", gateway.address.port()));
    let ran = run_at(desk, instant, &[&["check"], arguments].concat());
    (gateway, ran)
}

fn forecast(desk: &Desk) -> Value {
    desk.status()["forecast"].clone()
}

#[test]
fn real_faketime_a_weekend_as_checks_see_it() {
    let desk = Desk::new();
    let (_gateway, ran) = check_at(&desk, Scenario::Ready, "2026-11-28T02:00:00Z", ASIA, &["-v"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let (weekly, resets) = (
        "the weekly login ends Sun 29 Nov 14:00 HKT, before the next trading session: \
         approve the next login between then and Mon 30 Nov 09:30",
        "weekend maintenance 12:00-16:00 HKT (all regions); may be down for hours; \
         nightly reset Sun 29 Nov 04:45-06:05 HKT (Asia), before the next trading session; usually moments",
    );
    for line in [weekly, resets] {
        assert!(ran.err.contains(&format!("forecast: {line}\n")), "{ran:?}");
    }
    let told = forecast(&desk);
    assert_eq!(told["approval"]["when"], "after_token_end");
    assert_eq!(told["token_end"]["ends"], "2026-11-29T14:00:00.000000+08:00");
    assert_eq!((&told["token_end"]["falls"], &told["nightly"][0]["region"]), (&"before_open".into(), &"Asia".into()));

    let page = run_at(&desk, "2026-11-28T02:01:00Z", &["status"]);
    assert!(page.out.contains("Forecast   the weekly login ends Sun 29 Nov 14:00 HKT"), "{page:?}");
    let json = run_at(&desk, "2026-11-28T02:01:00Z", &["status", "--json"]).json();
    assert_eq!(json["forecast"]["approval"], told["approval"]);

    // After the weekly end the same login is there still.
    let (_gateway, ran) = check_at(&desk, Scenario::Ready, "2026-11-29T09:00:00Z", ASIA, &["-v"]);
    assert!(ran.err.contains("forecast: the weekly login ended 14:00 HKT: unless one was approved since"), "{ran:?}");
    assert_eq!(forecast(&desk)["approval"]["when"], "at_restart");

    // On Monday morning nobody is logged in.
    let (_gateway, ran) = check_at(&desk, Scenario::ApiSilent, "2026-11-30T00:00:00Z", ASIA, &["-v"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let now = "nobody is logged in: approve the login now, before trading begins 09:30 HKT";
    assert!(ran.err.contains(&format!("forecast: {now}\n")), "{ran:?}");
    assert_eq!(forecast(&desk)["approval"]["until"], "2026-11-30T09:30:00.000000+08:00");
    let page = run_at(&desk, "2026-11-30T00:01:00Z", &["status"]);
    assert!(
        page.out.contains("Forecast   nobody is logged in: approve the login now, before trading begins"),
        "{page:?}"
    );
    // A report that can no longer be believed says nothing of the login.
    let page = run_at(&desk, "2026-11-30T00:20:00Z", &["status"]);
    assert!(page.out.contains("Forecast   the weekly login ends Sun 6 Dec 14:00 HKT"), "{page:?}");
}

#[test]
fn real_faketime_a_forecast_is_taken_over_while_it_holds() {
    let desk = Desk::new();
    let made_at = |instant: &str, settings: &str| {
        let (_gateway, ran) = check_at(&desk, Scenario::Ready, instant, settings, &[]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let made_at = forecast(&desk)["made_at"].as_str().expect("a time").to_owned();
        made_at.get(11..16).expect("a time of day").to_owned()
    };
    for (instant, settings, expected) in [
        ("2026-11-29T05:00:00Z", ASIA, "13:00"),
        ("2026-11-29T05:30:00Z", ASIA, "13:00"),
        // The weekly login has ended.
        ("2026-11-29T06:01:00Z", ASIA, "14:01"),
        ("2026-11-29T06:59:00Z", ASIA, "14:01"),
        // It is an hour old.
        ("2026-11-29T07:02:00Z", ASIA, "15:02"),
        // Another exchange.
        ("2026-11-29T07:03:00Z", "exchange = \"XNYS\"\n", "15:03"),
    ] {
        assert_eq!(made_at(instant, settings), expected, "{instant}");
    }
    // A calendar that cannot be used, and a status file of before there were forecasts, keep nobody from checking.
    assert_eq!(made_at("2026-11-29T07:04:00Z", "exchange = \"XNYS\"\n"), "15:03");
    let mut status = desk.status();
    status.as_object_mut().expect("an object").remove("forecast");
    desk.write("status.json", &status.to_string());
    assert_eq!(made_at("2026-11-29T07:05:00Z", "exchange = \"XNYS\"\n"), "15:05");
    let overrides = desk.write("calendar.txt", "no line of a calendar\n");
    let settings = format!("exchange = \"XTKS\"\ncalendar_overrides = \"{}\"\n", overrides.display());
    let (_gateway, ran) = check_at(&desk, Scenario::Ready, "2026-11-29T07:06:00Z", &settings, &[]);
    assert_eq!((ran.code, forecast(&desk)), (Some(0), Value::Null), "{ran:?}");
}

#[test]
fn real_faketime_people_are_told_what_is_ahead() {
    let desk = Desk::new();
    let instant = "2026-11-29T12:00:00Z";
    let gateway = gateway_at(instant, Config { timeline: Scenario::ApiSilent.into(), ..Config::default() });
    desk.write("ibga.toml", &format!("port = {}\ntimeout = \"1s\"\n{ASIA}", gateway.address.port()));
    let mut command = desk.command(&["check"]);
    pretend(&mut command, instant);
    command.env("IBGA_ALERT_COMMAND", "cat >told.json").env("IBGA_STATE_DIR", desk.path("state"));
    let ran = Ran::from(command.output().expect("the binary starts"));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let told = std::fs::File::open(desk.path("told.json")).and_then(std::io::read_to_string);
    let told = told.unwrap_or_else(|fault| panic!("{fault}: {ran:?}"));
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["alert"]["forecast"]["approval"]["when"], "now");
    assert_eq!(told["alert"]["forecast"]["next_open"], "2026-11-30T01:30:00Z");
    for (part, line) in [
        ("text", "Approval: Nobody is logged in: approve the login now, before trading begins Mon 30 Nov 09:30 HKT\n"),
        ("text", "Resets:   Nightly reset 20:15-21:15 HKT (Asia), before the next trading session; usually moments\n"),
        ("brief", "Nobody is logged in: approve the login now, before trading begins Mon 30 Nov 09:30 HKT"),
    ] {
        assert!(told[part].as_str().expect("a text").contains(line), "{part}: {told}");
    }
}
