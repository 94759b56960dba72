//! Preflight and run through the real binary: what is believed, what starts, and what the agent gets.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "helpers of tests fail their test")]

mod common;

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use common::{Desk, Gateway, Ran, set_mode};
use ibga_core::clock;
use ibga_sim::{Config, Scenario};
use jiff::{SignedDuration, Timestamp};
use rustix::process::{Pid, Signal, kill_process};

/// The ten fields of older writers, ready, as old as asked for.
fn old_report(age: SignedDuration) -> String {
    let hong_kong = jiff::tz::TimeZone::get("Asia/Hong_Kong").expect("a zone");
    let naive = (clock::now() - age).to_zoned(hong_kong).strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string();
    format!(
        r#"{{"status": "ready", "ready_to_trade": true, "container": "running", "port": "open", "connected": true,
        "authenticated": true, "accounts": ["DU1234567"], "error": null, "timestamp": "{naive}", "check_type": "ib_insync"}}"#
    )
}

fn fresh() -> String {
    old_report(SignedDuration::from_secs(60))
}

/// The codes of the reasons of a no-go.
fn codes(desk: &Desk, arguments: &[&str]) -> Vec<String> {
    let ran = desk.run(&[&["preflight", "--force", "--json"], arguments].concat());
    let json = ran.json();
    let reasons = json["reasons"].as_array().expect("a list");
    assert_eq!((json["go"].as_bool(), ran.code), (Some(reasons.is_empty()), Some(i32::from(!reasons.is_empty()))));
    reasons.iter().map(|reason| reason["code"].as_str().expect("a code").to_owned()).collect()
}

#[test]
fn what_is_believed() {
    let minutes = SignedDuration::from_mins;
    for (name, text, arguments, expected) in [
        ("fresh and ready", fresh(), vec![], vec![]),
        ("stale", old_report(minutes(11)), vec![], vec!["status_stale"]),
        ("old, but not for this reader", old_report(minutes(11)), vec!["--max-age", "20m"], vec![]),
        ("from the future", old_report(minutes(-1)), vec![], vec!["status_from_future"]),
        ("a list", "[]".into(), vec![], vec!["status_invalid"]),
        ("empty", String::new(), vec![], vec!["status_invalid"]),
        ("half", fresh().split_at(80).0.into(), vec![], vec!["status_invalid"]),
        ("too long", format!("{}{}", fresh(), " ".repeat(65_536)), vec![], vec!["status_invalid"]),
        ("without a field", fresh().replace("\"port\": \"open\", ", ""), vec![], vec!["status_invalid"]),
        ("a time that is none", fresh().replace('T', "t?"), vec![], vec!["status_invalid"]),
        ("contradiction", fresh().replace("\"ready\"", "\"error\""), vec![], vec!["not_ready"]),
        ("no accounts", fresh().replace("\"DU1234567\"", ""), vec![], vec!["not_ready", "not_authenticated"]),
        ("wrong account", fresh(), vec!["--expect-account", "U7654321"], vec!["unexpected_login"]),
        ("wrong mode", fresh(), vec!["--expect-mode", "live"], vec!["unexpected_login"]),
    ] {
        let desk = Desk::new();
        desk.write("status.json", &text);
        assert_eq!(codes(&desk, &arguments), expected, "{name}");
    }
}

#[test]
fn who_may_have_written_it() {
    let desk = Desk::new();
    assert_eq!(codes(&desk, &[]), ["status_missing"]);
    let path = desk.write("status.json", &fresh());
    set_mode(&path, 0o664);
    assert_eq!(codes(&desk, &[]), ["status_untrusted"]);
    set_mode(&path, 0o644);
    assert_eq!(codes(&desk, &[]), [""; 0]);
    let link = desk.path("link.json");
    std::os::unix::fs::symlink(&path, &link).expect("a link");
    assert_eq!(codes(&desk, &["--status-file", link.to_str().expect("UTF-8")]), ["status_untrusted"]);
    assert_eq!(codes(&desk, &["--status-file", desk.folder.to_str().expect("UTF-8")]), ["status_untrusted"]);
}

/// Only root can give a file away, as a planted one would be.
#[test]
fn as_root_a_foreign_file_is_believed_only_if_its_owner_is_named() {
    let desk = Desk::new();
    let path = desk.write("status.json", &fresh());
    std::os::unix::fs::chown(&path, Some(4_242), None).expect("given away");
    assert_eq!(codes(&desk, &[]), ["status_untrusted"]);
    let mut command = desk.command(&["preflight", "--force", "-q"]);
    command.env("IBGA_TRUSTED_OWNERS", "4242");
    assert_eq!(command.status().expect("the binary starts").code(), Some(0));
}

#[test]
fn texts() {
    let desk = Desk::new();
    let ran = desk.run(&["preflight", "--force"]);
    let path = desk.status_file();
    let expected =
        format!("PRE-FLIGHT FAILED - Agent cannot start\nReason: IBGA: Status file not found: {}\n", path.display());
    assert!(ran.out.starts_with(&expected), "{}", ran.out);
    desk.write("status.json", &old_report(SignedDuration::from_secs(912)));
    let ran = desk.run(&["preflight", "--force"]);
    assert!(ran.out.contains("\nReason: IBGA: Status is stale (15.2 minutes old, max 10)\n"), "{}", ran.out);
    desk.write("status.json", &fresh());
    let ran = desk.run(&["preflight", "--force"]);
    assert!(ran.out.starts_with("PRE-FLIGHT PASSED - Agent may start\n"), "{}", ran.out);
    assert_eq!(desk.run(&["preflight", "--force", "-q"]).out, "");
    assert_eq!(desk.run(&["preflight", "--force", "-q", "--json"]).json()["go"], true);
}

#[test]
fn a_go_becomes_the_command() {
    let desk = Desk::new();
    desk.write("status.json", &fresh());
    // What .env holds is for this program and not for the agent.
    desk.write(".env", "SMTP_PASS=hunter2\nIBGA_EXPECT_MODE=paper\n");
    let script = "echo $$; cat; echo $IBGA_GATEWAY $IBGA_ACCOUNTS $IBGA_MODE $IBGA_STATUS_FILE [$SMTP_PASS$IBGA_EXPECT_MODE]; exit 42";
    let mut command = desk.command(&["run", "--force", "--", "sh", "-c", script]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let pid = child.id();
    child.stdin.take().expect("a pipe").write_all(b"told\n").expect("written");
    let ran = Ran::from(child.wait_with_output().expect("ends"));
    let expected = format!("{pid}\ntold\ndefault DU1234567 paper {} []\n", desk.status_file().display());
    assert_eq!(
        (ran.out, ran.err, ran.code),
        (expected, String::new(), Some(42)),
        "same process, its own input and output"
    );
}

#[test]
fn signals_reach_the_command() {
    let desk = Desk::new();
    desk.write("status.json", &fresh());
    let mut command = desk.command(&["run", "--force", "--", "sh", "-c", "echo started; exec cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    let mut first = [0; 8];
    std::io::Read::read_exact(child.stdout.as_mut().expect("a pipe"), &mut first).expect("it started");
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::TERM).expect("signalled");
    assert_eq!(child.wait().expect("ends").signal(), Some(Signal::TERM.as_raw()));
}

#[test]
fn a_no_go_starts_nothing() {
    let desk = Desk::new();
    let ran = desk.run(&["run", "--force", "--", "touch", "started"]);
    assert_eq!((ran.code, ran.out.as_str(), desk.path("started").exists()), (Some(1), "", false));
    assert!(
        ran.err.contains("PRE-FLIGHT FAILED - Agent cannot start\nReason: IBGA: Status file not found: "),
        "{}",
        ran.err
    );
    let log: Vec<&str> =
        ran.err.lines().filter(|line| line.contains(" ibga run: no-go, touch was not started: ")).collect();
    assert_eq!(log.len(), 1, "{}", ran.err);
    assert!(log[0].split(' ').next().is_some_and(|time| time.parse::<Timestamp>().is_ok()), "{}", log[0]);
    let quiet = desk.run(&["run", "--force", "-q", "--", "touch", "started"]);
    assert_eq!(quiet.err.lines().count(), 1, "{}", quiet.err);
}

#[test]
fn a_skipped_preflight_warns_and_runs_without_inherited_promises() {
    let desk = Desk::new();
    let mut command = desk.command(&["run", "--skip-preflight", "--", "sh", "-c", "echo [$IBGA_ACCOUNTS$IBGA_MODE]"]);
    command.env("IBGA_ACCOUNTS", "U1").env("IBGA_MODE", "live");
    let ran = Ran::from(command.output().expect("starts"));
    assert_eq!((ran.out.as_str(), ran.code), ("[]\n", Some(0)));
    assert_eq!(ran.err, "ibga run: warning: sh is started without a preflight (--skip-preflight)\n");
}

#[test]
fn commands_that_cannot_start_end_as_in_a_shell() {
    let desk = Desk::new();
    desk.write("status.json", &fresh());
    desk.write("plain", "no program");
    for (program, code) in [("./absent", 127), ("no-such-program-anywhere", 127), ("./plain", 126), ("./", 126)] {
        let ran = desk.run(&["run", "--force", "--", program]);
        assert_eq!(ran.code, Some(code), "{program}: {}", ran.err);
    }
    assert_eq!(desk.run(&["run"]).code, Some(2));
}

#[test]
fn a_refreshed_status_decides() {
    let desk = Desk::new();
    let run = |gateway: &Gateway, more: &[&str]| {
        let port = gateway.address.port().to_string();
        let arguments = ["run", "--force", "--refresh-status", "--timeout", "3s", "--settle", "0ms", "--port", &port];
        desk.run(&[&arguments[..], more, &["--", "echo", "started"]].concat())
    };
    let ready = Gateway::start(Config::default());
    let ran = run(&ready, &[]);
    assert_eq!((ran.out.as_str(), ran.err.as_str(), ran.code), ("started\n", "", Some(0)));
    assert_eq!(run(&ready, &["--expect-mode", "live"]).code, Some(1));
    let lost = Gateway::playing(Scenario::BrokerLinkDown);
    let ran = run(&lost, &[]);
    assert_eq!((ran.out.as_str(), ran.code), ("", Some(1)));
    assert!(ran.err.contains("Reason: IBGA: IBGA not ready: error (broker_link_down)\n"), "{}", ran.err);
}

#[test]
fn a_status_that_cannot_be_refreshed_is_a_no_go_whatever_the_old_one_says() {
    let desk = Desk::new();
    desk.write("status.json", &fresh());
    let folder = desk.path("status.json.d");
    std::fs::create_dir_all(folder.join("status.json/full")).expect("a folder");
    let ready = Gateway::start(Config::default());
    let (port, path) = (ready.address.port().to_string(), folder.join("status.json"));
    let arguments =
        ["run", "--force", "--refresh-status", "--port", &port, "--status-file", path.to_str().expect("UTF-8")];
    let ran = desk.run(&[&arguments[..], &["--", "echo", "started"]].concat());
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("Reason: IBGA: Status could not be refreshed: cannot write "), "{}", ran.err);
}

#[test]
fn a_report_of_another_endpoint_than_the_one_that_was_set_is_no_go() {
    let desk = Desk::new();
    let gateway = Gateway::start(Config::default());
    assert_eq!(desk.check(gateway.address, &[]).code, Some(0));
    assert_eq!(codes(&desk, &[]), [""; 0], "nobody set one");
    desk.write("ibga.toml", "[gateway.default]\nport = 4000\n");
    assert_eq!(codes(&desk, &[]), ["other_gateway"]);
}

#[test]
fn a_skipped_preflight_promises_nothing_from_an_old_report() {
    let desk = Desk::new();
    for (report, promised) in [(fresh(), "DU1234567 paper\n"), (old_report(SignedDuration::from_hours(500)), "\n")] {
        desk.write("status.json", &report);
        let ran = desk.run(&["run", "--skip-preflight", "--", "sh", "-c", "echo $IBGA_ACCOUNTS $IBGA_MODE"]);
        assert_eq!(ran.out, promised);
    }
}

#[test]
fn usage_and_settings_are_told_before_anything_is_done() {
    let desk = Desk::new();
    desk.write("ibga.toml", "[gateway.default]\nprot = 4002\nport = \"4002\"\n");
    let ran = desk.run(&["check"]);
    assert_eq!((ran.code, ran.out.as_str(), desk.status_file().exists()), (Some(2), "", false));
    assert_eq!(
        ran.err,
        "ibga.toml:2:1: prot: unknown key; did you mean `port`?\nibga.toml:3:8: port: text where a whole number belongs\n"
    );
    for (arguments, text) in [
        (&["check", "--prot", "1"][..], "a similar argument exists: '--port'"),
        (&["check", "--port", "99999"], "1 to 65535"),
        (&["preflight", "--exchange", "XXXX"], "use one of XHKG"),
        (&["preflight", "--max-age", "10"], "has no unit"),
    ] {
        let desk = Desk::new();
        let ran = desk.run(arguments);
        assert_eq!((ran.code, ran.err.contains(text)), (Some(2), true), "{arguments:?}: {}", ran.err);
    }
}
