//! The peer: one Python process that holds the same sessions by `ib_async`, and asks for the time at each heartbeat.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use ibga_core::clock::Stopwatch;

use super::found::Held;
use super::process::Process;
use crate::bench::stage::Stage;

/// Connects to the first gateway, waits for a line, connects to the others, and keeps all sessions until its input ends.
const SCRIPT: &str = include_str!("ib_async_hold.py");

/// The process, while it holds all sessions.
#[derive(Debug)]
pub(super) struct Peer {
    process: Child,
    input: Option<ChildStdin>,
    memory_one_kib: f64,
}

/// None where there is no Python client.
pub(super) fn start(stage: &Stage, addresses: &[SocketAddr]) -> Result<Option<Peer>, String> {
    let Some(python) = stage.python_path() else { return Ok(None) };
    let mut command = Command::new(python);
    command.args(["-I", "-c", SCRIPT]).args(addresses.iter().map(ToString::to_string)).env_clear();
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut process = started.map_err(|fault| format!("ib_async does not start: {fault}"))?;
    let mut lines =
        process.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines).map_while(Result::ok);
    let input = process.stdin.take();
    let mut peer = Peer { process, input, memory_one_kib: 0.0 };
    let failed = || "ib_async does not hold its sessions".to_owned();
    lines.next().filter(|line| line == "one").ok_or_else(failed)?;
    peer.memory_one_kib = Process(peer.process.id()).memory_kib()?;
    if let Some(input) = &mut peer.input {
        std::io::Write::write_all(input, b"go on\n").map_err(|fault| fault.to_string())?;
    }
    lines.next().filter(|line| line == "all").ok_or_else(failed)?;
    Ok(Some(peer))
}

impl Peer {
    /// Begins a span in which nothing happens.
    pub(super) fn begin(&self) -> Result<(Stopwatch, Duration), String> {
        Ok((Stopwatch::start(), Process(self.process.id()).computed()?))
    }

    /// Ends it.
    pub(super) fn end(self, (watch, before): (Stopwatch, Duration)) -> Result<Held, String> {
        let process = Process(self.process.id());
        let computed = process.computed()?.saturating_sub(before);
        let idle_percent = computed.as_secs_f64() / watch.elapsed().as_secs_f64() * 100.0;
        Ok(Held { memory_one_kib: self.memory_one_kib, memory_all_kib: process.memory_kib()?, idle_percent })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.process.wait();
    }
}
