//! `ibga wait` through the real binary: when it returns, whom it leaves alone, and what it says.

#![expect(clippy::expect_used, reason = "helpers of tests fail their test")]

mod common;

use std::process::{Child, Stdio};
use std::time::Duration;

use common::{Desk, Gateway, Ran};
use ibga_core::clock::Stopwatch;
use ibga_sim::{Config, Proxy, Scenario};

fn wait_at(desk: &Desk, gateway: &Gateway, more: &[&str]) -> Child {
    let port = gateway.address.port().to_string();
    let mut command = desk.command(&[&["wait", "--settle", "0ms", "--port", &port], more].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
}

fn end(child: Child) -> Ran {
    Ran::from(child.wait_with_output().expect("ends"))
}

/// A gateway that nobody is logged in to, behind a proxy that accepts and keeps silent.
fn logged_out() -> Gateway {
    Gateway::start(Config { timeline: Scenario::LoggedOut.into(), proxy: Proxy::IbgaSocat, ..Config::default() })
}

#[test]
fn a_ready_gateway_is_probed_once_and_then_believed() {
    let (desk, gateway) = (Desk::new(), Gateway::playing(Scenario::Ready));
    let ran = end(wait_at(&desk, &gateway, &[]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("ready: default at 127.0.0.1:"), "{}", ran.out);
    let connected = gateway.count("connected");
    let ran = end(wait_at(&desk, &gateway, &["-q"]));
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "", ""));
    assert_eq!(gateway.count("connected"), connected, "the file was enough");
    let json = end(wait_at(&desk, &gateway, &["--json"])).json();
    assert_eq!(json["go"], true);
}

#[test]
fn it_returns_when_somebody_logs_in() {
    let timeline = "logged_out 2s, ready".parse().expect("a timeline");
    let gateway = Gateway::start(Config { timeline, proxy: Proxy::IbgaSocat, ..Config::default() });
    let desk = Desk::new();
    let since = Stopwatch::start();
    let ran = end(wait_at(&desk, &gateway, &["--timeout", "50s"]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(since.elapsed() < Duration::from_secs(40), "{:?}", since.elapsed());
    assert!(ran.err.starts_with("waiting: Status file not found"), "{}", ran.err);
}

#[test]
fn the_time_limit_ends_it_with_the_last_reason() {
    let (desk, gateway) = (Desk::new(), logged_out());
    let since = Stopwatch::start();
    let ran = end(wait_at(&desk, &gateway, &["--timeout", "2s"]));
    assert!((2..6).contains(&since.elapsed().as_secs()), "{:?}", since.elapsed());
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    let last = "not ready after 2s: IBGA not ready: not_authenticated (api_";
    assert!(ran.err.contains(last) && ran.err.contains("\nWhat to do: "), "{}", ran.err);
    assert_eq!(gateway.count("connected"), 1, "one patient probe");
}

#[test]
fn what_another_process_writes_is_waited_for() {
    let (desk, gateway) = (Desk::new(), logged_out());
    assert_eq!(desk.check(gateway.address, &["--timeout", "200ms"]).code, Some(1));
    let connected = gateway.count("connected");
    let ready = Gateway::playing(Scenario::Ready);
    let mut command = desk.command(&["wait"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut said = std::io::BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).expect("a line");
    assert!(line.starts_with("waiting: IBGA not ready: not_authenticated"), "{line}");
    let since = Stopwatch::start();
    assert_eq!(desk.check(ready.address, &["--settle", "0ms"]).code, Some(0));
    assert_eq!(end(child).code, Some(0));
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert_eq!(gateway.count("connected"), connected, "it was left to whoever looks after it");
}

#[test]
fn a_halt_is_waited_for_and_probes_nothing() {
    let (desk, gateway) = (Desk::new(), Gateway::playing(Scenario::Ready));
    desk.check(gateway.address, &[]);
    let connected = gateway.count("connected");
    desk.run(&["halt", "--reason", "lunch"]);
    let child = wait_at(&desk, &gateway, &["--timeout", "1m"]);
    desk.run(&["resume"]);
    assert_eq!(end(child).code, Some(0));
    desk.run(&["halt", "--reason", "dinner"]);
    let ran = end(wait_at(&desk, &gateway, &["--timeout", "1s"]));
    assert_eq!((ran.code, gateway.count("connected")), (Some(1), connected));
    assert!(ran.err.contains("not ready after 1s: Halted by "), "{}", ran.err);
}

#[test]
fn limits_that_are_none() {
    let desk = Desk::new();
    for (limit, told) in [("5", "no unit"), ("0s", "1s"), ("25h", "24h"), ("soon", "duration")] {
        let ran = desk.run(&["wait", "--timeout", limit]);
        assert!(ran.code == Some(2) && ran.err.contains(told), "{limit}: {}", ran.err);
    }
}
