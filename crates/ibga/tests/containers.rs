//! Whole checks against a real engine: what `ibga check` and `ibga status` make of a gateway's container. Every test here needs
//! an engine and has `real_docker` in its name.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail their test")]

mod common;
#[path = "common/engine.rs"]
mod engine;
#[path = "common/port.rs"]
mod port;

use std::time::Duration;

use common::{Desk, Gateway, Ran};
use engine::{Peer, docker, docker_host, unique};
use ibga_core::clock::Stopwatch;
use ibga_sim::Scenario;
use serde_json::Value;

const WAITS_FOR_SECOND_FACTOR: &str = "!!! IB Gateway is waiting for two-factor authentication !!!";

/// How long the engine may take to show a state that comes and goes.
const LIMIT: Duration = Duration::from_secs(20);

/// A gateway's container with its API port published, as people run it.
struct Deployment {
    desk: Desk,
    port: u16,
    publish: String,
}

impl Deployment {
    fn new() -> Self {
        let port = port::free_port();
        Self { desk: Desk::new(), port, publish: format!("127.0.0.1:{port}:4000") }
    }

    fn options(&self) -> [&str; 2] {
        ["--publish", &self.publish]
    }

    fn run(&self, what: &str) -> Peer {
        Peer::run(what, &self.options(), "stay")
    }

    /// `ibga check` of the published port, with the real engine at hand.
    fn check(&self, container: &str) -> Checked {
        check(&self.desk, self.port, container, &docker_host())
    }
}

/// What a check came to: its exit code and messages, and the status file that it left.
#[derive(Debug)]
struct Checked {
    ran: Ran,
    status: Value,
}

impl Checked {
    /// Status, cause and the states of container and port.
    fn summary(&self) -> [&str; 4] {
        ["status", "cause", "container", "port"].map(|field| self.status[field].as_str().expect("a word"))
    }

    fn text(&self, field: &str) -> &str {
        self.status[field].as_str().unwrap_or_else(|| panic!("no {field}: {self:?}"))
    }
}

fn check(desk: &Desk, port: u16, container: &str, engine: &str) -> Checked {
    let port = port.to_string();
    let mut command = desk.command(&["check", "--port", &port, "--container", container, "--timeout", "4s"]);
    let ran = Ran::from(command.env("DOCKER_HOST", engine).output().expect("the binary starts"));
    let checked = Checked { status: desk.status(), ran };
    let ready = checked.status["ready_to_trade"] == true;
    assert_eq!(checked.ran.code, Some(i32::from(!ready)), "{checked:?}");
    checked
}

#[test]
fn real_docker_check_a_published_port_that_nobody_serves_is_a_closed_api() {
    let deployment = Deployment::new();
    let peer = deployment.run("unserved");
    for container in [peer.name.as_str(), "auto"] {
        let checked = deployment.check(container);
        assert_eq!(checked.summary(), ["not_authenticated", "api_closed", "running", "open"], "{container}");
        assert_eq!(checked.status["connected"], false);
        assert!(checked.text("remedy").contains(&format!("docker logs --tail 30 {}", peer.name)), "{checked:?}");
    }
    let checked = deployment.check("none");
    assert_eq!(checked.summary(), ["not_authenticated", "api_closed", "not_checked", "open"]);
}

#[test]
fn real_docker_check_the_log_tells_that_the_second_factor_is_awaited() {
    let deployment = Deployment::new();
    let lines = ["starting IB Gateway", WAITS_FOR_SECOND_FACTOR];
    let peer = Peer::saying("second-factor", &deployment.options(), &lines);
    for container in [peer.name.as_str(), "auto"] {
        let checked = deployment.check(container);
        assert_eq!(checked.summary(), ["not_authenticated", "two_factor_pending", "running", "open"], "{container}");
        assert!(checked.text("remedy").contains("approve the IB Key request"), "{checked:?}");
    }
}

#[test]
fn real_docker_check_progress_behind_the_wait_takes_the_hint_back() {
    let deployment = Deployment::new();
    let lines = [WAITS_FOR_SECOND_FACTOR, "IBC: Login has completed"];
    let peer = Peer::saying("progress", &deployment.options(), &lines);
    assert_eq!(deployment.check(&peer.name).summary(), ["not_authenticated", "api_closed", "running", "open"]);
}

#[test]
fn real_docker_check_the_log_of_a_ready_gateway_is_no_argument() {
    let peer = Peer::saying("stale-hint", &[], &[WAITS_FOR_SECOND_FACTOR]);
    let gateway = Gateway::playing(Scenario::Ready);
    let checked = check(&Desk::new(), gateway.address.port(), &peer.name, &docker_host());
    assert_eq!(checked.summary(), ["ready", "ready", "running", "open"]);
}

#[test]
fn real_docker_check_stopped() {
    let deployment = Deployment::new();
    let peer = deployment.run("stopped");
    peer.stop();
    for container in [peer.name.as_str(), "auto"] {
        let checked = deployment.check(container);
        let [status, cause, state, _] = checked.summary();
        assert_eq!([status, cause, state], ["container_down", "container_stopped", "stopped"], "{container}");
        assert!(checked.text("remedy").contains(&format!("`docker start {}`", peer.name)), "{checked:?}");
    }
}

#[test]
fn real_docker_check_paused() {
    let deployment = Deployment::new();
    let peer = deployment.run("paused");
    docker(&["pause", &peer.name]);
    for container in [peer.name.as_str(), "auto"] {
        let checked = deployment.check(container);
        let [status, cause, state, _] = checked.summary();
        assert_eq!([status, cause, state], ["container_down", "container_paused", "paused"], "{container}");
        assert!(checked.text("remedy").contains(&format!("`docker unpause {}`", peer.name)), "{checked:?}");
    }
    docker(&["unpause", &peer.name]);
}

#[test]
fn real_docker_check_restarting() {
    let deployment = Deployment::new();
    let peer = Peer::run("restarting", &["--restart", "always", "--publish", &deployment.publish], "fail");
    let watch = Stopwatch::start();
    // The pauses between its starts grow, so sooner or later a check falls into one.
    let seen = std::iter::repeat_with(|| deployment.check(&peer.name))
        .take_while(|_| watch.elapsed() < LIMIT)
        .find(|checked| checked.text("cause") == "container_restarting")
        .expect("it is seen restarting");
    assert_eq!(seen.summary()[..3], ["container_down", "container_restarting", "restarting"]);
}

#[test]
fn real_docker_check_a_name_is_meant_exactly() {
    let deployment = Deployment::new();
    let peer = deployment.run("whole-name");
    let beginning = peer.name.strip_suffix("-name").expect("its end");
    for name in [beginning, &unique("nobody")] {
        let checked = deployment.check(name);
        let [status, cause, state, _] = checked.summary();
        assert_eq!([status, cause, state], ["container_down", "container_missing", "missing"], "{name}");
        assert!(checked.text("error").contains(name), "{checked:?}");
    }
}

#[test]
fn real_docker_check_a_container_that_was_never_seen_is_not_missed() {
    let deployment = Deployment::new();
    for _ in 0..2 {
        let checked = deployment.check("auto");
        assert_eq!(checked.summary(), ["not_connected", "port_refused", "not_checked", "closed"]);
    }
}

#[test]
fn real_docker_check_a_container_that_was_seen_is_missed() {
    let deployment = Deployment::new();
    let peer = deployment.run("seen");
    assert_eq!(deployment.check("auto").text("container"), "running");
    docker(&["rm", "--force", &peer.name]);
    for _ in 0..2 {
        let checked = deployment.check("auto");
        let [status, cause, state, _] = checked.summary();
        assert_eq!([status, cause, state], ["container_down", "container_missing", "missing"], "{checked:?}");
    }
    let _again = deployment.run("again");
    assert_eq!(deployment.check("auto").summary(), ["not_authenticated", "api_closed", "running", "open"]);
}

#[test]
fn real_docker_check_without_its_engine() {
    let gateway = Gateway::playing(Scenario::Ready);
    let nowhere = "unix:///nonexistent/docker.sock";
    let named = check(&Desk::new(), gateway.address.port(), "ibga", nowhere);
    assert_eq!(named.summary()[..2], ["error", "docker_unavailable"], "{named:?}");
    assert!(named.text("error").contains(nowhere), "{named:?}");
    let auto = check(&Desk::new(), gateway.address.port(), "auto", nowhere);
    assert_eq!(auto.summary(), ["ready", "ready", "not_checked", "open"]);
    let other = check(&Desk::new(), gateway.address.port(), "auto", &docker_host());
    assert_eq!(other.summary(), ["ready", "ready", "not_checked", "open"], "no container publishes this port");
}

#[test]
fn real_docker_check_status_shows_the_last_lines_of_the_log() {
    let deployment = Deployment::new();
    let lines: Vec<String> = (1..=12).map(|number| format!("line {number} of the log")).collect();
    let said: Vec<&str> = lines.iter().map(String::as_str).collect();
    let peer = Peer::saying("logs", &deployment.options(), &said);
    deployment.check(&peer.name);
    let port = deployment.port.to_string();
    for container in [peer.name.as_str(), "auto"] {
        let mut command = deployment.desk.command(&["status", "--logs", "--container", container]);
        let shown = Ran::from(
            command.env("DOCKER_HOST", docker_host()).env("IBKR_PORT", &port).output().expect("the binary starts"),
        );
        assert!(shown.out.contains(&peer.name), "{shown:?}");
        let log: Vec<&str> = shown.out.lines().map(str::trim).filter(|line| line.ends_with("of the log")).collect();
        assert_eq!(log, said[2..], "{shown:?}");
    }
}
