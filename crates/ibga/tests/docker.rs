//! The container edge against a real engine. Every test here needs one, with its `docker` command and `gcc`,
//! and has `real_docker` in its name, so that a machine without can leave them out by that word.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail their test")]

#[path = "common/engine.rs"]
mod engine;
#[path = "common/port.rs"]
mod port;

use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use engine::{Directory, Peer, docker, wait_for_log};
use ibga::docker::{
    Answer, Container, ContainerName, EngineAddress, EngineError, EngineSettings, Selector, inspect, log_tail,
};
use ibga_core::observation::ContainerState;

const LIMIT: Duration = Duration::from_secs(20);

fn named(name: &str) -> Selector {
    Selector::Named(name.parse::<ContainerName>().expect("a name"))
}

fn engine() -> EngineAddress {
    EngineAddress::find(&EngineSettings::from_environment()).expect("an engine runs on this machine")
}

async fn ask(selector: &Selector) -> Answer {
    inspect(selector, &engine(), LIMIT).await.expect("the engine answers")
}

async fn found(selector: &Selector) -> Container {
    match ask(selector).await {
        Answer::Found(container) => container,
        Answer::Absent => panic!("{selector:?} is absent"),
    }
}

/// A port that nobody listens on, and how a container publishes it.
fn port_to_publish() -> (Selector, String) {
    let port = port::free_port();
    (Selector::Publishing { port }, format!("127.0.0.1:{port}:4000"))
}

#[tokio::test]
async fn real_docker_running_container_is_found_by_name_and_port() {
    let (by_port, publish) = port_to_publish();
    let peer = Peer::run("running", &["--publish", &publish], "stay");
    let container = found(&named(&peer.name)).await;
    let id = docker(&["inspect", "--format", "{{.Id}}", &peer.name]);
    let expected = Container {
        name: peer.name.clone(),
        id: id[..12].to_owned(),
        state: ContainerState::Running,
        engine_word: "running".into(),
    };
    assert_eq!(container, expected);
    assert_eq!(found(&by_port).await, expected);
}

#[tokio::test]
async fn real_docker_stopped_container_is_found_by_name_and_port() {
    let (by_port, publish) = port_to_publish();
    let peer = Peer::run("stopped", &["--publish", &publish], "stay");
    peer.stop();
    let container = found(&named(&peer.name)).await;
    assert_eq!((container.state, container.engine_word.as_str()), (ContainerState::Stopped, "exited"));
    assert_eq!(found(&by_port).await, container);
}

#[tokio::test]
async fn real_docker_container_never_started_is_found_within_a_range_of_ports() {
    let (by_port, _) = port_to_publish();
    let Selector::Publishing { port } = by_port else { unreachable!() };
    let range = format!("{}-{}:4000", port - 1, port.saturating_add(1));
    let peer = Peer::make(&["create"], "created", &["--publish", &range], &["stay"]);
    let container = found(&by_port).await;
    assert_eq!((container.name, container.engine_word.as_str()), (peer.name.clone(), "created"));
}

#[tokio::test]
async fn real_docker_paused_container_is_found_by_name_and_port() {
    let (by_port, publish) = port_to_publish();
    let peer = Peer::run("paused", &["--publish", &publish], "stay");
    docker(&["pause", &peer.name]);
    let container = found(&named(&peer.name)).await;
    assert_eq!(container.state, ContainerState::Paused);
    assert_eq!(found(&by_port).await, container);
    docker(&["unpause", &peer.name]);
}

#[tokio::test]
async fn real_docker_restarting_container_is_found_by_name_and_port() {
    let (by_port, publish) = port_to_publish();
    let peer = Peer::run("restarting", &["--restart", "always", "--publish", &publish], "fail");
    // The pauses between its starts grow, so sooner or later each look falls into one.
    let waited = tokio::time::timeout(LIMIT, async {
        loop {
            let seen = [found(&named(&peer.name)).await, found(&by_port).await];
            if seen.iter().all(|container| container.state == ContainerState::Restarting) {
                break seen;
            }
        }
    });
    for container in waited.await.expect("it is seen restarting") {
        assert_eq!((&container.name, container.engine_word.as_str()), (&peer.name, "restarting"));
    }
}

#[tokio::test]
async fn real_docker_removed_container_is_absent() {
    let (by_port, publish) = port_to_publish();
    let peer = Peer::run("removed", &["--publish", &publish], "stay");
    docker(&["rm", "--force", &peer.name]);
    assert_eq!(ask(&named(&peer.name)).await, Answer::Absent);
    assert_eq!(ask(&by_port).await, Answer::Absent);
}

#[tokio::test]
async fn real_docker_part_of_a_name_or_id_is_no_name() {
    let peer = Peer::run("whole.name", &[], "stay");
    let container = found(&named(&peer.name)).await;
    let beginning = peer.name.strip_suffix(".name").expect("its end");
    let like = peer.name.replace('.', "x");
    for other in [beginning, &peer.name[5..], &like, &container.id, &container.id[..4]] {
        assert_eq!(ask(&named(other)).await, Answer::Absent, "{other}");
    }
}

#[tokio::test]
async fn real_docker_running_container_is_preferred_to_a_stopped_one_on_the_same_port() {
    let (by_port, publish) = port_to_publish();
    let runs = Peer::run("runs", &["--publish", &publish], "stay");
    let never_started = Peer::make(&["create"], "newer", &["--publish", &publish], &["stay"]);
    assert_eq!(found(&by_port).await.name, runs.name);
    runs.stop();
    assert_eq!(found(&by_port).await.name, never_started.name, "both are down, this one is newer");
}

#[tokio::test]
async fn real_docker_host_network_publishes_nothing() {
    let (by_port, publish) = port_to_publish();
    let peer = Peer::run("host", &["--network", "host", "--publish", &publish], "stay");
    assert_eq!(ask(&by_port).await, Answer::Absent);
    peer.stop();
    assert_eq!(ask(&by_port).await, Answer::Absent);
}

#[tokio::test]
async fn real_docker_log_tail_is_read_with_and_without_a_terminal() {
    for options in [&[][..], &["--tty"]] {
        let peer = Peer::run("speaks", options, "speak");
        wait_for_log(&peer.name, &["two-factor authentication", "last words"]);
        let container = found(&named(&peer.name)).await;
        // The engine reads both streams at once, so where a line of the one stands among the other's is chance.
        let lines = log_tail(&container, 100, &engine(), LIMIT).await.expect("the log is read");
        for expected in [
            "• line 1",
            "• line 60",
            "colour tab \u{fffd}",
            "!!! IB Gateway is waiting for two-factor authentication !!!",
            "last words",
        ] {
            assert!(lines.iter().any(|line| line == expected), "{options:?}: {expected} in {lines:#?}");
        }
        assert!(lines.iter().all(|line| line.chars().count() <= 400 && !line.is_empty()));

        peer.stop();
        let last = log_tail(&container, 20, &engine(), LIMIT).await.expect("a stopped container keeps its log");
        assert!((15..=20).contains(&last.len()) && lines.ends_with(&last), "{last:#?}");
    }
}

#[tokio::test]
async fn real_docker_log_that_no_driver_keeps_is_empty() {
    let peer = Peer::run("silent", &["--log-driver", "none"], "speak");
    let container = found(&named(&peer.name)).await;
    assert_eq!(log_tail(&container, 40, &engine(), LIMIT).await, Ok(Vec::new()));
    docker(&["rm", "--force", &peer.name]);
    assert_eq!(log_tail(&container, 40, &engine(), LIMIT).await, Ok(Vec::new()), "nor has one that is gone");
}

/// Runs the next test as a user who must not ask the engine.
#[test]
fn real_docker_refuses_a_user_outside_its_group() {
    const NOBODY: u32 = 65_534;
    let uid = fs::metadata("/proc/self").expect("this process").uid();
    assert_eq!(uid, 0, "only root can become that user; ./test leaves this test out for others");
    let directory = Directory::new();
    let program = directory.0.join("as-nobody");
    fs::copy(env::current_exe().expect("this program"), &program).expect("a copy that nobody may run");
    for path in [&directory.0, &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("permissions");
    }
    let child = Command::new(&program)
        .args(["--ignored", "--exact", "as_nobody_real_docker_is_forbidden"])
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir(&directory.0)
        .output()
        .expect("the copy runs");
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && output.contains("1 passed"), "{output}");
}

#[tokio::test]
#[ignore = "run by the test before it, as another user"]
async fn as_nobody_real_docker_is_forbidden() {
    let engine = engine();
    let forbidden = EngineError::PermissionDenied { address: engine.to_string() };
    assert_eq!(inspect(&named("ibga"), &engine, LIMIT).await, Err(forbidden));
}
