//! `ibga simulate` as a product: its list, its events, its command, its errors.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "helpers of tests fail their test")]

mod common;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use common::{Desk, Ran};
use ibga_core::clock::Stopwatch;
use ibga_sim::Scenario;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

#[test]
fn the_list_names_every_scenario() {
    let ran = Desk::new().run(&["simulate", "--list"]);
    let names: Vec<&str> = ran.out.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, Scenario::ALL.iter().map(|scenario| scenario.name()).collect::<Vec<_>>());
    assert_eq!(ran.code, Some(0));
}

#[test]
fn listening_is_told_before_any_client_can_come_and_signals_end_it() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let desk = Desk::new();
        let mut command = desk.command(&["simulate", "--port", "0", "--account", "U7654321"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut next =
            || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON") };
        let first = next();
        assert_eq!((&first["event"], &first["scenario"]), (&"listening".into(), &"ready".into()));
        let address = first["address"].as_str().expect("an address").parse().expect("an address");
        let check = desk.check(address, &["--json"]);
        assert_eq!((check.code, &check.json()["mode"]), (Some(0), &"live".into()));
        let events: Vec<Value> = (0..3).map(|_| next()).collect();
        let names: Vec<&Value> = events.iter().map(|event| &event["event"]).collect();
        assert_eq!(names, ["connected", "hello", "start_api"]);
        kill_process(Pid::from_child(&child), signal).expect("signalled");
        assert_eq!(child.wait().expect("ends").code(), Some(0));
    }
}

#[test]
fn a_command_runs_against_it_and_lends_its_exit_code() {
    let desk = Desk::new();
    let ibga = env!("CARGO_BIN_EXE_ibga");
    let ran = desk.run(&["simulate", "--port", "0", "--", ibga, "check", "--json"]);
    assert_eq!((ran.code, &ran.json()["cause"]), (Some(0), &"ready".into()), "standard output is the command's alone");
    assert!(!desk.status_file().exists(), "a simulated verdict does not stand where a real one is looked for");
    let ran = desk.run(&["simulate", "--port", "0", "--scenario", "paper-disclaimer", "--", ibga, "check", "-q"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    for (command, code) in [("exit 42", 42), ("kill -9 $$", 137)] {
        assert_eq!(desk.run(&["simulate", "--port", "0", "--", "sh", "-c", command]).code, Some(code), "{command}");
    }
    assert_eq!(desk.run(&["simulate", "--port", "0", "--", "./absent"]).code, Some(127));
}

/// A simulation with a command that is there, and on which signals work as the script's traps say.
fn with_command(desk: &Desk, traps: &str) -> Child {
    let script = format!("{traps}; echo started; while :; do read -r line <pipe; done");
    rustix::fs::mkfifoat(rustix::fs::CWD, desk.path("pipe"), rustix::fs::Mode::RWXU).expect("a pipe");
    let mut command = desk.command(&["simulate", "--port", "0", "--", "sh", "-c", &script]);
    // Away from the foreground of a terminal, where Ctrl-C reaches both.
    let mut child = command.process_group(0).stdout(Stdio::piped()).spawn().expect("starts");
    let mut started = String::new();
    BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut started).expect("a line");
    assert_eq!(started, "started\n");
    child
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("signalled");
}

#[test]
fn signals_are_passed_on_and_the_command_says_how_it_ends() {
    for (sent, traps, code) in [
        (Signal::TERM, "trap 'exit 3' TERM", 3),
        (Signal::INT, "trap 'exit 4' INT", 4),
        (Signal::HUP, "trap 'exit 5' HUP", 5),
        (Signal::TERM, ":", 128 + 15),
        (Signal::INT, ":", 128 + 2),
        (Signal::HUP, ":", 128 + 1),
    ] {
        let desk = Desk::new();
        let mut child = with_command(&desk, traps);
        signal(&child, sent);
        assert_eq!(child.wait().expect("ends").code(), Some(code), "{sent:?} {traps}");
    }
}

#[test]
fn a_command_that_does_not_end_is_killed_at_the_second_signal() {
    let desk = Desk::new();
    let mut child = with_command(&desk, "trap '' TERM INT HUP");
    // Two that do not merge into one.
    signal(&child, Signal::TERM);
    signal(&child, Signal::INT);
    let watch = Stopwatch::start();
    assert_eq!(child.wait().expect("ends").code(), Some(128 + 9));
    assert!(watch.elapsed() < Duration::from_secs(4), "it had no grace");
}

#[test]
fn a_command_that_does_not_end_is_killed_after_a_grace() {
    let desk = Desk::new();
    let mut child = with_command(&desk, "trap '' TERM INT HUP");
    signal(&child, Signal::TERM);
    let watch = Stopwatch::start();
    assert_eq!(child.wait().expect("ends").code(), Some(128 + 9));
    assert!((4..30).contains(&watch.elapsed().as_secs()), "it had its grace, and no more");
}

#[test]
fn under_nohup_it_outlives_the_terminal() {
    let desk = Desk::new();
    let script = "trap '' HUP; exec \"$0\" simulate --port 0";
    let mut child = desk.command_under("sh", &["-c", script], &[]).stdout(Stdio::piped()).spawn().expect("starts");
    let (address, _events) = listening(&mut child);
    signal(&child, Signal::HUP);
    assert_eq!(desk.check(address, &["-q"]).code, Some(0));
    signal(&child, Signal::TERM);
    assert_eq!(child.wait().expect("ends").code(), Some(0));
}

/// The address in its first event, and the rest of its output.
fn listening(child: &mut Child) -> (SocketAddr, BufReader<ChildStdout>) {
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    let event: Value = serde_json::from_str(&line).expect("JSON");
    (event["address"].as_str().expect("an address").parse().expect("an address"), output)
}

#[test]
fn it_goes_on_when_nobody_reads_its_events_any_more() {
    let desk = Desk::new();
    let mut child = desk.command(&["simulate", "--port", "0"]).stdout(Stdio::piped()).spawn().expect("starts");
    let (address, output) = listening(&mut child);
    drop(output);
    for _ in 0..5 {
        assert_eq!(desk.check(address, &["-q"]).code, Some(0));
    }
    signal(&child, Signal::TERM);
    assert_eq!(child.wait().expect("ends").code(), Some(0));
}

#[test]
fn the_command_keeps_its_own_limit_of_open_files() {
    // Many more files than the command may open, and than are open where this test runs.
    let desk = Desk::new();
    let script = "ulimit -Sn 512; exec \"$0\" simulate --port 0 --gateways 400 -- sh -c 'ulimit -Sn'";
    let ran = Ran::from(desk.command_under("sh", &["-c", script], &[]).output().expect("a shell"));
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "512\n"), "{}", ran.err);
}

#[test]
fn errors_say_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    for (arguments, code, text) in [
        (&["--port", &port][..], 1, "is in use; stop the other program or choose another port"),
        (&["--scenario", "redy"], 2, "did you mean `ready`?"),
        (&["--proxy", "squid"], 2, "no proxy is called `squid`"),
        (&["--delay", "5"], 2, "write a number with a unit"),
        (&["--delay", "-5s"], 2, "unexpected argument"),
        (&["--account", "U7654321,U1112223"], 2, "--account: `U7…` is not an account id; write letters and digits"),
        (&["--scenario", "ready as U7654321 5"], 2, "--scenario, line 1, column 19: `5` is not a time"),
        (&["--scenario", "ready as DU1 as U7654321 5s"], 2, "line 1, column 14: `as *** 5s` is not a time"),
        (&["--scenario", "U7654321"], 2, "no scenario is called `***`; `ibga simulate --list` names all"),
        (&["--server-version", "50"], 2, "50 is not in 100..=9999"),
        (&["--host", "192.0.2.1"], 1, "is no address of this machine"),
        (&["--host", "192.0.2.1", "--gateways", "3"], 2, "they take an address each, so start at one of 127.0.0.0/8"),
        (&["--host", "::1", "--gateways", "3"], 2, "they take an address each, so start at one of 127.0.0.0/8"),
    ] {
        let ran = Ran::from(Desk::new().command(&[&["simulate"], arguments].concat()).output().expect("starts"));
        assert_eq!((ran.code, ran.err.contains(text)), (Some(code), true), "{arguments:?}: {}", ran.err);
        assert!(!["7654321", "1112223"].iter().any(|id| ran.err.contains(id)), "an account id as a whole: {}", ran.err);
    }
}
