//! `ibga simulate` as a product: its list, its events, its command, its errors.

mod common;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use common::{Desk, Ran};
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
    for signal in [Signal::TERM, Signal::INT] {
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

#[test]
fn a_terminated_simulation_terminates_its_command() {
    let desk = Desk::new();
    let script = "trap 'exit 3' TERM; echo started; while :; do read -r line <pipe; done";
    rustix::fs::mkfifoat(rustix::fs::CWD, desk.path("pipe"), rustix::fs::Mode::RWXU).expect("a pipe");
    let mut command = desk.command(&["simulate", "--port", "0", "--", "sh", "-c", script]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("starts");
    let mut started = String::new();
    BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut started).expect("a line");
    kill_process(Pid::from_child(&child), Signal::TERM).expect("signalled");
    assert_eq!((started.as_str(), child.wait().expect("ends").code()), ("started\n", Some(3)));
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
        (&["--ready-after", "-5s"], 2, "unexpected argument"),
        (&["--account", "DU1,DU2"], 2, "not an account id"),
        (&["--server-version", "50"], 2, "50 is not in 100..=9999"),
        (&["--host", "192.0.2.1"], 1, "is no address of this machine"),
    ] {
        let ran = Ran::from(Desk::new().command(&[&["simulate"], arguments].concat()).output().expect("starts"));
        assert_eq!((ran.code, ran.err.contains(text)), (Some(code), true), "{arguments:?}: {}", ran.err);
    }
}
