//! A running `ibga watch`, its log as it comes, and the status file that it keeps.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use ibga_core::clock::Stopwatch;
use serde_json::Value;

use crate::common::{Desk, Gateway, Ran};
use ibga_sim::Scenario;

/// How long something may take on a machine under load.
pub const LIMIT: Duration = Duration::from_secs(40);

/// `ibga watch` of a gateway, with a store of its own and a short heartbeat.
pub fn command(desk: &Desk, gateway: Option<SocketAddr>, arguments: &[&str]) -> Command {
    let mut all = vec!["watch"];
    all.extend_from_slice(arguments);
    let mut command = desk.command(&all);
    command.env("IBGA_STATE_DIR", desk.path("state")).env("IBGA_CONTAINER", "none").env("IBGA_HEARTBEAT", "2s");
    if let Some(address) = gateway {
        command.env("IBKR_HOST", address.ip().to_string()).env("IBKR_PORT", address.port().to_string());
    }
    command
}

/// Looks until something is so.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let watch = Stopwatch::start();
    while !is_so() {
        assert!(watch.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// The report in a file; none if there is none.
fn report(path: &Path) -> Option<Value> {
    let file = std::fs::File::open(path).ok()?;
    let text = std::io::read_to_string(file).expect("text");
    Some(serde_json::from_str(&text).expect("a whole file"))
}

pub fn sequence(path: &Path) -> Option<u64> {
    report(path)?["sequence"].as_u64()
}

pub fn cause(path: &Path) -> Option<String> {
    report(path)?["cause"].as_str().map(str::to_owned)
}

impl Desk {
    pub fn sequence(&self) -> Option<u64> {
        sequence(&self.status_file())
    }

    pub fn writer(&self) -> Option<u64> {
        report(&self.status_file())?["writer"]["pid"].as_u64()
    }

    pub fn wait_for_cause(&self, wanted: &str) {
        eventually(wanted, || cause(&self.status_file()).as_deref() == Some(wanted));
    }
}

impl Gateway {
    pub fn switch(&self, scenario: Scenario) {
        self.remote().switch(scenario).expect("switched");
    }

    pub fn scenario(&self) -> Scenario {
        self.remote().state().scenario
    }
}

/// A watch that is killed at the end of the test.
pub struct Watch {
    child: Child,
    lines: Mutex<Receiver<String>>,
    /// What was read of its log.
    read: Mutex<Vec<String>>,
}

impl Watch {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the binary starts");
        let log = BufReader::new(child.stderr.take().expect("its log"));
        let (sender, lines) = channel();
        std::thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines: Mutex::new(lines), read: Mutex::default() }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that holds this, or for the first `ready` of all where that is meant.
    pub fn wait_for(&self, text: &str, is_ready: bool) {
        let text = if is_ready { "ready" } else { text };
        let (lines, mut read) = (self.lines.lock().expect("lines"), self.read.lock().expect("read"));
        let watch = Stopwatch::start();
        loop {
            let rest = LIMIT.saturating_sub(watch.elapsed());
            let line = lines.recv_timeout(rest).unwrap_or_else(|_| panic!("no `{text}` in {read:#?}"));
            let found = line.contains(text);
            read.push(line);
            if found {
                return;
            }
        }
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }

    /// Ends it with SIGTERM.
    pub fn end(mut self) -> Ran {
        self.signal("TERM");
        let status = self.child.wait().expect("its end");
        let err = self.read.lock().expect("read").join("\n");
        Ran { code: status.code(), out: String::new(), err }
    }

    /// Ends it with SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("its end");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
