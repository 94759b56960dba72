//! The watch in containers, as docs/watch.md and examples/ have it: health, start-up order, and the compose file itself. Tests with
//! `real_docker` in their name need an engine, those with `compose` a compose command.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;
#[path = "common/engine.rs"]
mod engine;
#[path = "common/image.rs"]
mod image;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::Ran;
use engine::{Directory, docker, unique};
use ibga_core::clock::Stopwatch;
use image::Image;

const COMPOSE: &str = include_str!("../../../examples/compose.yaml");
const DOCKERFILE: &str = include_str!("../../../examples/Dockerfile");

/// How long the engine, the watch and the health check together may take on a machine under load.
const LIMIT: Duration = Duration::from_mins(2);

/// Containers of one network and one volume, removed at the end of the test.
struct Project {
    image: Image,
    network: String,
    volume: String,
    containers: Vec<String>,
}

impl Project {
    fn new() -> Self {
        let (network, volume) = (unique("network"), unique("shared"));
        let image = Image::with_the_binary();
        docker(&["network", "create", &network]);
        docker(&["volume", "create", &volume]);
        Self { image, network, volume, containers: Vec::new() }
    }

    /// A container of the image, with what the compose file gives it; its name in the network is `alias`.
    fn start(&mut self, alias: &str, options: &[&str], command: &[&str]) -> String {
        let name = unique(alias);
        let (tmp, var_tmp) = (format!("{}:/tmp", self.volume), format!("{}:/var/tmp", self.volume));
        let mut all = vec!["run", "--detach", "--init", "--name", &name, "--network", &self.network];
        all.extend(["--network-alias", alias, "--volume", &tmp, "--volume", &var_tmp, "--user", "1000:1000"]);
        all.extend(["--env", "IBKR_HOST=gateway", "--env", "IBKR_PORT=4004", "--env", "IBGA_CONTAINER=none"]);
        all.extend(["--env", "IBGA_EXPECT_MODE=paper", "--env", "IBGA_HEARTBEAT=2s"]);
        all.extend(options);
        all.push(&self.image.0);
        all.extend(command);
        docker(&all);
        self.containers.push(name.clone());
        name
    }

    fn gateway(&mut self) -> String {
        self.start("gateway", &[], &["simulate", "--host", "0.0.0.0", "--port", "4004"])
    }

    fn watch(&mut self) -> String {
        let health = ["--health-cmd", "ibga check -q || exit 1", "--health-interval", "1s", "--health-retries", "1"];
        self.start("watch", &health, &["watch"])
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        for name in &self.containers {
            let _ = Command::new("docker").args(["rm", "--force", name]).output();
        }
        let _ = Command::new("docker").args(["volume", "rm", "--force", &self.volume]).output();
        let _ = Command::new("docker").args(["network", "rm", &self.network]).output();
    }
}

fn logs(name: &str) -> String {
    let output = Command::new("docker").args(["logs", name]).output().expect("docker runs");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Waits until a question to the engine has this answer.
fn wait_for(name: &str, format: &str, wanted: &str) {
    let watch = Stopwatch::start();
    loop {
        let seen = docker(&["inspect", "--format", format, name]);
        if seen == wanted {
            return;
        }
        let state = || docker(&["inspect", "--format", "{{json .State}}", name]);
        assert!(watch.elapsed() < LIMIT, "{name}: {seen}, not {wanted}: {}\n{}", state(), logs(name));
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

const HEALTH: &str = "{{.State.Health.Status}}";

#[test]
fn real_docker_health_follows_the_gateway_and_probes_nothing() {
    let mut project = Project::new();
    let watch = project.watch();
    wait_for(&watch, HEALTH, "unhealthy");
    let gateway = project.gateway();
    wait_for(&watch, HEALTH, "healthy");
    let connected = logs(&gateway).matches("\"event\":\"connected\"").count();
    assert_eq!(connected, 1, "the checks ask the watch: {}", logs(&gateway));
    docker(&["kill", &gateway]);
    wait_for(&watch, HEALTH, "unhealthy");
    // It is the exit code that Docker knows.
    let code = docker(&["inspect", "--format", "{{(index .State.Health.Log 0).ExitCode}}", &watch]);
    assert_eq!(code, "1");
    docker(&["start", &gateway]);
    wait_for(&watch, HEALTH, "healthy");
    docker(&["stop", "--time", "20", &watch]);
    assert_eq!(docker(&["inspect", "--format", "{{.State.ExitCode}}", &watch]), "0", "{}", logs(&watch));
}

#[test]
fn real_docker_the_agent_starts_when_the_gateway_is_ready_and_stops_when_it_is_lost() {
    let mut project = Project::new();
    let watch = project.watch();
    let entry = "ibga wait --timeout 5m && exec ibga run --force --supervise -- ibga simulate --port 4999";
    let agent = project.start("agent", &["--entrypoint", "sh"], &["-c", entry]);
    let ready = project.start("ready", &[], &["wait", "--timeout", "5m"]);
    wait_for(&watch, HEALTH, "unhealthy");
    assert!(!logs(&agent).contains("4999"), "{}", logs(&agent));
    let gateway = project.gateway();
    wait_for(&ready, "{{.State.Status}} {{.State.ExitCode}}", "exited 0");
    let watched = Stopwatch::start();
    while !logs(&agent).contains("4999") {
        assert!(watched.elapsed() < LIMIT, "{}", logs(&agent));
        std::thread::park_timeout(Duration::from_millis(200));
    }
    assert_eq!(logs(&gateway).matches("\"event\":\"connected\"").count(), 1, "{}", logs(&gateway));
    // A halt in one container is one in all of them.
    docker(&["exec", &watch, "ibga", "halt", "--reason", "a test"]);
    wait_for(&agent, "{{.State.Status}} {{.State.ExitCode}}", "exited 75");
}

/// A fault of the configuration has exit code 2, which Docker keeps for itself.
#[test]
fn real_docker_health_of_a_wrong_configuration_is_one() {
    let mut project = Project::new();
    let watch = project.watch();
    let check = |command: &str| {
        let mut docker = Command::new("docker");
        docker.args(["exec", "--env", "IBKR_PORT=none", &watch, "sh", "-c", command]);
        Ran::from(docker.output().expect("docker runs")).code
    };
    assert_eq!((check("ibga check -q"), check("ibga check -q || exit 1")), (Some(2), Some(1)));
}

/// The compose file's project, under other names; down at the end of the test.
struct Composed {
    folder: Directory,
    project: String,
    image: Image,
}

impl Composed {
    fn new(gateway: &str) -> Self {
        let folder = Directory::new();
        let plain = "ibga run --supervise -- ./agent.py";
        assert!(COMPOSE.contains(plain));
        // The market's hours are those of the day.
        let text = COMPOSE.replace(plain, "ibga run --force --supervise -- sh -c 'echo the agent runs'");
        let image = Image::with_the_binary();
        let over = format!("services:\n  gateway:\n    image: {}\n    command: {gateway}\n", image.0);
        fs::write(folder.0.join("compose.yaml"), text).expect("written");
        fs::write(folder.0.join("other.yaml"), over).expect("written");
        Self { folder, project: unique("project"), image }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let words = compose();
        let (program, first) = words.split_first().expect("a command");
        let mut command = Command::new(program);
        command.args(first).args(["-f", "compose.yaml", "-f", "other.yaml", "-p", &self.project]).args(arguments);
        command.current_dir(&self.folder.0).env("IBGA_IMAGE", &self.image.0).env("AGENT_IMAGE", &self.image.0);
        Ran::from(command.output().expect("compose runs"))
    }

    fn container(&self, service: &str) -> String {
        let ran = self.run(&["ps", "-q", service]);
        ran.out.trim().to_owned()
    }
}

impl Drop for Composed {
    fn drop(&mut self) {
        let _ = self.run(&["down", "--volumes", "--timeout", "5"]);
    }
}

/// The plugin of the engine's own command, or the program of its own.
fn compose() -> Vec<&'static str> {
    let is_there = |words: &[&str]| {
        let (program, rest) = words.split_first().expect("a command");
        Command::new(program).args(rest).arg("version").output().is_ok_and(|output| output.status.success())
    };
    let known = [vec!["docker", "compose"], vec!["docker-compose"]];
    known.into_iter().find(|words| is_there(words)).unwrap_or_else(|| panic!("no compose command is installed"))
}

#[test]
fn real_docker_compose_brings_the_example_up() {
    let composed = Composed::new("[\"simulate\", \"--host\", \"0.0.0.0\", \"--port\", \"4004\"]");
    let ran = composed.run(&["up", "-d"]);
    assert_eq!(ran.code, Some(0), "{ran:?}\n{}", logs(&composed.container("watch")));
    let agent = composed.container("agent");
    wait_for(&agent, "{{.State.Status}} {{.State.ExitCode}}", "exited 0");
    assert!(logs(&agent).contains("the agent runs"), "{}", logs(&agent));
    let ready = logs(&composed.container("ready"));
    assert!(ready.contains("ready: default at gateway:4004, DU***67 (paper)"), "{ready}");
    let watch = composed.container("watch");
    wait_for(&watch, HEALTH, "healthy");
    let gateway = logs(&composed.container("gateway"));
    assert_eq!(gateway.matches("\"event\":\"connected\"").count(), 1, "nobody probes beside the watch: {gateway}");
}

/// What can be built without a registry: the same instructions over an image that is here, without those that take a network.
#[test]
fn real_docker_the_dockerfile_copies_the_binary_and_watches() {
    let (base, folder) = (Image::with_the_binary(), Directory::new());
    let mut text = String::new();
    let mut is_running = false;
    for line in DOCKERFILE.lines() {
        is_running = line.starts_with("RUN ") || is_running && line.starts_with(' ');
        match line {
            "FROM debian:bookworm-slim" => text.extend(["FROM ", &base.0]),
            _ if is_running => {}
            line => text.push_str(line),
        }
        text.push('\n');
    }
    fs::write(folder.0.join("Dockerfile"), &text).expect("written");
    fs::copy(env!("CARGO_BIN_EXE_ibga"), folder.0.join("ibga")).expect("copied");
    let image = Image(unique("built"));
    let mut build = Command::new("docker");
    build.env("DOCKER_BUILDKIT", "0").args(["build", "--tag", &image.0]).arg(&folder.0);
    let ran = Ran::from(build.output().expect("docker runs"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = docker(&["run", "--rm", &image.0, "--version"]);
    assert!(ran.starts_with("ibga "), "{ran}");
    let config = docker(&["inspect", "--format", "{{json .Config.Cmd}} {{.Config.User}}", &image.0]);
    assert_eq!(config, "[\"watch\"] 1000:1000");
}

/// Whatever this program's flags and settings come to be: those of the examples are among them.
#[test]
fn the_examples_name_what_there_is() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    assert!(folder.join("Dockerfile").exists() && folder.join("compose.yaml").exists());
    for line in COMPOSE.lines().map(str::trim) {
        let Some((name, _)) = line.split_once(": ").filter(|(name, _)| name.starts_with("IB")) else { continue };
        let known = ibga::settings::SETTINGS.iter().any(|setting| setting.environment == name);
        assert!(known, "{name}");
    }
    for words in ["ibga wait --timeout 5m && exec ibga run --supervise -- ./agent.py", "ibga check -q || exit 1"] {
        assert!(COMPOSE.contains(words), "{words}");
    }
}
