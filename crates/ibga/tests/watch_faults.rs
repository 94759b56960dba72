//! `ibga watch` through the real binary while everything around it fails: disk, store, engine, clock, peers, and its own process; and
//! one week of a gateway, many times as fast as it would be.
//!
//! Tests that need an engine have `real_docker` in their name, those that need another clock `real_faketime`.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail their test")]

mod common;
#[path = "common/engine.rs"]
mod engine;
#[path = "common/faketime.rs"]
mod faketime;
#[path = "common/inbox.rs"]
#[allow(dead_code, reason = "it is shared")]
mod inbox;
#[path = "common/watching.rs"]
mod watching;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Desk, Gateway, Ran};
use engine::{Peer, docker, docker_host};
use ibga_sim::Scenario;
use inbox::Inbox;
use serde_json::Value;
use watching::{Watch, eventually};

/// The words of the subjects, without what stands behind them.
fn words(inbox: &Inbox) -> Vec<String> {
    let first = |subject: &String| subject.split(" - ").next().unwrap_or_default().to_owned();
    inbox.subjects().iter().map(first).collect()
}

/// Settings of these gateways, each with its status file.
fn table(name: &str, gateway: &Gateway, file: &Path) -> String {
    format!("[gateway.{name}]\nport = {}\nstatus_file = \"{}\"\n", gateway.address.port(), file.display())
}

/// `ibga simulate` as a process of its own.
struct Simulation {
    child: Child,
    events: BufReader<ChildStdout>,
    // Neither terminal nor end.
    _stdin: Option<ChildStdin>,
}

impl Simulation {
    fn start(desk: &Desk, arguments: &[&str]) -> Self {
        let mut command = desk.command(&[&["simulate", "--port", "0"], arguments].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the binary starts");
        let events = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { _stdin: child.stdin.take(), events, child }
    }

    fn event(&mut self) -> Value {
        let mut line = String::new();
        let read = self.events.read_line(&mut line).expect("text");
        assert!(read > 0, "the simulation has ended");
        serde_json::from_str(&line).unwrap_or_else(|fault| panic!("{fault}: {line}"))
    }

    fn address(&mut self) -> SocketAddr {
        loop {
            let event = self.event();
            if event["event"] == "listening" {
                return event["address"].as_str().expect("an address").parse().expect("an address");
            }
        }
    }

    fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &process.to_string()]).status();
    assert!(sent.expect("kill").success());
}

/// The memory of a process in KiB.
fn resident(process: u32) -> u64 {
    let text = std::fs::File::open(format!("/proc/{process}/status")).and_then(std::io::read_to_string).expect("text");
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn one_week_at_speed_ends_ready_and_the_file_was_whole_all_the_time() {
    let desk = Desk::new();
    let timeline = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/week/hong-kong.timeline");
    let mut simulation =
        Simulation::start(&desk, &["--proxy", "ibga_socat", "--timeline", timeline, "--speed", "20000"]);
    let address = simulation.address();
    let watch = Watch::start(watching::command(&desk, Some(address), &["--timeout", "3s"]));
    let is_over = Arc::new(AtomicBool::new(false));
    let (path, over) = (desk.status_file(), Arc::clone(&is_over));
    let reader = std::thread::spawn(move || {
        let (mut looks, mut newest) = (0_usize, None);
        while !over.load(Ordering::Relaxed) {
            // Fails on half a file.
            let sequence = watching::sequence(&path);
            assert!(newest.is_none() || sequence >= newest, "it was gone, or an older one: {newest:?} {sequence:?}");
            (looks, newest) = (looks + 1, sequence);
            std::thread::park_timeout(Duration::from_millis(1));
        }
        (looks, newest)
    });
    while simulation.event()["event"] != "timeline_ended" {}
    desk.wait_for_cause("ready");
    is_over.store(true, Ordering::Relaxed);
    let (looks, newest) = reader.join().expect("the file was whole");
    assert!(looks > 1_000 && newest > Some(20), "{looks} {newest:?}");
    let ran = watch.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn as_root_a_full_disk_under_one_status_file_is_its_gateways_matter() {
    let desk = Desk::new();
    let (one, two) = (Gateway::playing(Scenario::Ready), Gateway::playing(Scenario::Ready));
    let small = desk.path("small");
    std::fs::create_dir(&small).expect("a folder");
    let tables = table("one", &one, &small.join("one.json")) + &table("two", &two, &desk.path("two.json"));
    desk.write("ibga.toml", &format!("container = \"none\"\nheartbeat = \"2s\"\n{tables}"));
    let plain = desk.command(&["watch"]);
    // A disk of its own, in a world of its own.
    let script = "mount -t tmpfs -o size=64k,mode=700 tmpfs small && exec \"$BINARY\" watch";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).current_dir(&desk.folder).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env_remove("IBGA_STATUS_FILE").env("BINARY", plain.get_program());
    let watch = Watch::start(command);
    // Seen from here.
    let small = PathBuf::from(format!("/proc/{}/root{}", watch.id(), small.display()));
    let (file, other) = (small.join("one.json"), desk.path("two.json"));
    eventually("both are written", || watching::sequence(&file).is_some() && watching::sequence(&other).is_some());
    let use_up = |count: u32| {
        let mut full = std::fs::File::create(small.join(format!("full{count}"))).expect("a file");
        while full.write_all(&[0; 512]).is_ok() {}
    };
    use_up(0);
    one.switch(Scenario::BrokerLinkDown);
    watch.wait_for("No space left on device", false);
    // What was removed to be no lie gave a little space back.
    use_up(1);
    let sequence = watching::sequence(&other);
    eventually("the other one goes on", || watching::sequence(&other) > sequence.map(|number| number + 2));
    assert_ne!(watching::cause(&file).as_deref(), Some("ready"), "an old report that says ready is no report");
    for count in 0..2 {
        std::fs::remove_file(small.join(format!("full{count}"))).expect("removed");
    }
    watch.wait_for("the status file can be written again", false);
    eventually("written again", || watching::cause(&file).as_deref() == Some("broker_link_down"));
    let ran = watch.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_state_directory_that_goes_away_is_gone_round() {
    let (desk, gateway, inbox) = (Desk::new(), Gateway::playing(Scenario::Ready), Inbox::open());
    let mut command = watching::command(&desk, Some(gateway.address), &[]);
    command.env("IBGA_WEBHOOK_URL", inbox.url()).env("IBGA_ALERT_AFTER", "0s");
    let watch = Watch::start(command);
    watch.wait_for("ready", true);
    eventually("the store is made", || desk.path("state/ibga.sqlite").exists());
    std::fs::remove_dir_all(desk.path("state")).expect("removed");
    gateway.switch(Scenario::BrokerLinkDown);
    desk.wait_for_cause("broker_link_down");
    eventually("the problem is told", || words(&inbox) == ["IBGA CONNECTION ERROR"]);
    // Now nothing can be made there.
    eventually("a file stands where the directory was", || {
        let _ = std::fs::remove_dir_all(desk.path("state"));
        std::fs::write(desk.path("state"), "no directory").is_ok()
    });
    gateway.switch(Scenario::BrokerLinkRestored);
    desk.wait_for_cause("ready");
    eventually("the recovery is told", || words(&inbox) == ["IBGA CONNECTION ERROR", "IBGA READY"]);
    let sequence = desk.sequence();
    eventually("it goes on", || desk.sequence() > sequence.map(|number| number + 2));
    assert_eq!(words(&inbox).len(), 2);
    let ran = watch.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_peer_that_floods_takes_no_memory_and_is_never_ready() {
    let (desk, gateway) = (Desk::new(), Gateway::playing(Scenario::Ready));
    let watch = Watch::start(watching::command(&desk, Some(gateway.address), &["--timeout", "3s"]));
    watch.wait_for("ready", true);
    let before = resident(watch.id());
    gateway.switch(Scenario::Flood);
    gateway.switch(Scenario::Restart);
    watch.wait_for("session_lost", false);
    gateway.switch(Scenario::Flood);
    desk.wait_for_cause("startup_silent");
    let sequence = desk.sequence();
    eventually("it stays fresh", || desk.sequence() > sequence.map(|number| number + 2));
    let grown = resident(watch.id()).saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} KiB more than before");
    gateway.switch(Scenario::Restart);
    gateway.switch(Scenario::Ready);
    desk.wait_for_cause("ready");
}

#[test]
fn a_gateway_that_is_stopped_by_a_signal_answers_nobody_until_it_is_let_go() {
    let desk = Desk::new();
    let mut simulation = Simulation::start(&desk, &["--scenario", "ready"]);
    let address = simulation.address();
    let watch = Watch::start(watching::command(&desk, Some(address), &[]));
    watch.wait_for("ready", true);
    simulation.signal("STOP");
    desk.wait_for_cause("api_unresponsive");
    simulation.signal("CONT");
    desk.wait_for_cause("ready");
    let sequence = desk.sequence();
    eventually("it goes on", || desk.sequence() > sequence.map(|number| number + 2));
    assert_eq!(desk.status()["cause"], "ready");
}

#[test]
fn a_watch_that_is_stopped_by_a_signal_leaves_a_file_that_grows_old_and_goes_on() {
    let (desk, gateway) = (Desk::new(), Gateway::playing(Scenario::Ready));
    let watch = Watch::start(watching::command(&desk, Some(gateway.address), &[]));
    watch.wait_for("ready", true);
    watch.signal("STOP");
    let sequence = desk.sequence();
    gateway.switch(Scenario::BrokerLinkDown);
    let gate = || desk.run(&["preflight", "--force", "--max-age", "3s"]);
    eventually("a gate refuses what is old", || gate().out.contains("stale"));
    assert_eq!(desk.sequence(), sequence);
    watch.signal("CONT");
    desk.wait_for_cause("broker_link_down");
    gateway.switch(Scenario::BrokerLinkRestored);
    desk.wait_for_cause("ready");
    let sequence = desk.sequence();
    eventually("it goes on", || desk.sequence() > sequence.map(|number| number + 2));
}

#[test]
fn real_faketime_a_clock_that_steps_while_it_watches() {
    let (desk, gateway, inbox) = (Desk::new(), Gateway::playing(Scenario::Ready), Inbox::open());
    let clock = desk.write("clock", "+0\n");
    let mut command = watching::command(&desk, Some(gateway.address), &[]);
    command.env("LD_PRELOAD", faketime::library()).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    command.env("FAKETIME_TIMESTAMP_FILE", &clock).env("FAKETIME_NO_CACHE", "1");
    command.env("IBGA_WEBHOOK_URL", inbox.url()).env("IBGA_ALERT_AFTER", "0s");
    let watch = Watch::start(command);
    watch.wait_for("ready", true);
    for step in ["+3600\n", "+0\n", "-3600\n", "+0\n"] {
        let sequence = desk.sequence();
        desk.write("clock", step);
        // The gateway's clock stands where it stood.
        desk.wait_for_cause(if step == "+0\n" { "ready" } else { "clock_skewed" });
        eventually("heartbeats go by the other clock", || desk.sequence() > sequence.map(|number| number + 2));
        let mut gate = desk.command(&["preflight", "--force"]);
        gate.env("LD_PRELOAD", faketime::library()).env("FAKETIME", step.trim());
        let gate = Ran::from(gate.output().expect("the binary starts"));
        assert_eq!(gate.code == Some(0), step == "+0\n", "{step}: {gate:?}");
    }
    assert_eq!(gateway.count("connected"), 1, "the session has nothing to do with it");
    let told = words(&inbox);
    assert!(told.len() <= 4, "{told:?}");
    let ran = watch.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// A Wednesday morning in Hong Kong, far from all resets.
const MORNING: &str = "2026-11-25T02:00:00Z";

/// A watch of a container by its name, with its engine at this address.
fn watch_of(desk: &Desk, gateway: &Gateway, peer: &Peer, engine: &str, inbox: &Inbox) -> Command {
    let mut command = watching::command(desk, Some(gateway.address), &[]);
    command.env("DOCKER_HOST", engine).env("IBGA_CONTAINER", &peer.name);
    command.env("IBGA_WEBHOOK_URL", inbox.url()).env("IBGA_ALERT_AFTER", "1s");
    command
}

#[test]
fn real_docker_real_faketime_a_container_that_was_stopped_is_started_told_and_remembered() {
    let peer = Peer::saying("stopped-by-hand", &[], &["starting IB Gateway"]);
    let (desk, inbox) = (Desk::new(), Inbox::open());
    let gateway = faketime::gateway_at(MORNING, ibga_sim::Config::default());
    let mut command = watch_of(&desk, &gateway, &peer, &docker_host(), &inbox);
    command.env("IBGA_RECOVER", "container_stopped").env("IBGA_RECOVER_PAUSE", "10s");
    faketime::pretend(&mut command, MORNING);
    let watch = Watch::start(command);
    watch.wait_for("ready", true);
    // The gateway goes and comes with its container.
    gateway.switch(Scenario::PortRefused);
    peer.stop();
    watch.wait_for("container_down (container_stopped)", false);
    desk.wait_for_cause("container_stopped");
    watch.wait_for("recovery: docker start", false);
    gateway.switch(Scenario::Ready);
    desk.wait_for_cause("ready");
    assert_eq!(docker(&["inspect", "--format", "{{.State.Running}}", &peer.name]), "true");
    let expected = ["IBGA CONTAINER DOWN", "IBGA READY", "IBGA RECOVERY"];
    eventually("all of it is told", || {
        let mut told = words(&inbox);
        told.sort();
        told == expected
    });
    let history = faketime::run_at(&desk, MORNING, &["history"]);
    assert!(history.out.contains(&format!("docker start {}", peer.name)), "{history:?}");
    drop(watch);
}

#[test]
fn real_docker_real_faketime_a_rehearsal_tells_what_it_would_have_done_and_does_nothing() {
    let peer = Peer::saying("rehearsal", &[], &["starting IB Gateway"]);
    let (desk, inbox) = (Desk::new(), Inbox::open());
    let gateway = faketime::gateway_at(MORNING, ibga_sim::Config::default());
    let mut command = watch_of(&desk, &gateway, &peer, &docker_host(), &inbox);
    command.arg("--dry-run").env("IBGA_RECOVER", "container_stopped");
    faketime::pretend(&mut command, MORNING);
    let watch = Watch::start(command);
    watch.wait_for("ready", true);
    gateway.switch(Scenario::PortRefused);
    peer.stop();
    watch.wait_for("recovery: would have done: docker start", false);
    assert_eq!(docker(&["inspect", "--format", "{{.State.Running}}", &peer.name]), "false");
    assert_eq!(words(&inbox), ["IBGA CONTAINER DOWN"]);
    let history = faketime::run_at(&desk, MORNING, &["history"]);
    assert!(history.out.contains("would have done: docker start"), "{history:?}");
    drop(watch);
}

/// A way to the engine that can be cut.
struct Way {
    path: PathBuf,
    is_cut: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<UnixStream>>>,
}

impl Way {
    fn open(path: &Path) -> Self {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).expect("a socket");
        let way = Self { path: path.into(), is_cut: Arc::default(), streams: Arc::default() };
        let (is_cut, streams) = (Arc::clone(&way.is_cut), Arc::clone(&way.streams));
        let engine = docker_host().trim_start_matches("unix://").to_owned();
        std::thread::spawn(move || {
            for here in listener.incoming().flatten() {
                if is_cut.load(Ordering::Relaxed) {
                    return;
                }
                let there = UnixStream::connect(&engine).expect("the engine");
                for (from, to) in [(&here, &there), (&there, &here)] {
                    let (mut from, mut to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(std::net::Shutdown::Both);
                    });
                }
                streams.lock().expect("streams").extend([here, there]);
            }
        });
        way
    }

    /// As if the engine were killed.
    fn cut(self) {
        self.is_cut.store(true, Ordering::Relaxed);
        drop(UnixStream::connect(&self.path));
        std::fs::remove_file(&self.path).expect("removed");
        for stream in self.streams.lock().expect("streams").drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

#[test]
fn real_docker_an_engine_that_is_gone_breaks_nothing_and_is_heard_again() {
    let peer = Peer::saying("engine-gone", &[], &["starting IB Gateway"]);
    let (desk, inbox, gateway) = (Desk::new(), Inbox::open(), Gateway::playing(Scenario::Ready));
    let path = desk.path("engine.sock");
    let way = Way::open(&path);
    let engine = format!("unix://{}", path.display());
    let watch = Watch::start(watch_of(&desk, &gateway, &peer, &engine, &inbox));
    watch.wait_for("ready", true);
    way.cut();
    // Its name was given, so that whoever cannot look cannot say.
    desk.wait_for_cause("docker_unavailable");
    let sequence = desk.sequence();
    eventually("it goes on", || desk.sequence() > sequence.map(|number| number + 2));
    let _way = Way::open(&path);
    desk.wait_for_cause("ready");
    peer.stop();
    desk.wait_for_cause("container_stopped");
    docker(&["start", &peer.name]);
    desk.wait_for_cause("ready");
    assert_eq!(gateway.count("connected"), 1, "the session went on all the time");
}
