//! A watch of many gateways in a process of its own, and a simulator of them in another one.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::files::Files;
use super::process::Process;
use crate::bench::stage::Stage;

/// How often the sessions are counted.
const COUNT_INTERVAL: Duration = Duration::from_millis(20);

/// How long the control port may take.
const CONTROL_LIMIT: Duration = Duration::from_secs(30);

/// What a watch is told beyond the addresses of its gateways.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Manner<'a> {
    /// Further arguments.
    pub(super) arguments: &'a [&'a str],
    /// The name of the container in which all gateways are, and the socket of its engine.
    pub(super) container: Option<(&'a str, &'a Path)>,
}

/// A watch. Ends with it.
#[derive(Debug)]
pub(super) struct Watch {
    folder: PathBuf,
    process: Child,
    pub(super) files: Files,
    count: usize,
    port: u16,
}

impl Watch {
    /// Starts a watch of the gateways at these addresses, which share a port.
    pub(super) fn start(stage: &Stage, addresses: &[SocketAddr], manner: Manner<'_>) -> Result<Self, String> {
        let folder = memory_folder();
        let failed = |fault: std::io::Error| format!("a watch cannot be prepared in {}: {fault}", folder.display());
        let _ = std::fs::remove_dir_all(&folder);
        let statuses = folder.join("statuses");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&statuses).map_err(failed)?;
        let files = Files::in_folder(&statuses)?;
        let settings = settings(addresses, &files, manner.container.map_or("none", |(name, _)| name));
        let path = folder.join("ibga.toml");
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(settings.as_bytes())).map_err(failed)?;
        let log = File::create(folder.join("log")).map_err(failed)?;
        // On the disk that people have: the store waits for it, and nothing else may.
        let store = stage.folder().join("watch");
        let _ = std::fs::remove_dir_all(&store);
        let mut command = Command::new(stage.program());
        command.arg("watch").args(manner.arguments).current_dir(&folder).env_clear();
        command.env("HOME", &folder).env("TZ", "UTC").env("IBGA_CONFIG", &path).env("IBGA_STATE_DIR", &store);
        if let Some((_, engine)) = manner.container {
            command.env("DOCKER_HOST", format!("unix://{}", engine.display()));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().map_err(|fault| format!("the watch does not start: {fault}"))?;
        let port = addresses.first().map_or(0, SocketAddr::port);
        Ok(Self { folder, process, files, count: addresses.len(), port })
    }

    /// What the kernel tells of it.
    pub(super) fn process(&self) -> Process {
        Process(self.process.id())
    }

    /// The numbers of its gateways.
    pub(super) fn all(&self) -> std::ops::RangeInclusive<usize> {
        1..=self.count
    }

    /// Begins to count its sessions again and again, until what this returns is ended.
    pub(super) fn count_sessions(&self) -> Counter {
        let (process, port) = (self.process(), self.port);
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let (mut most, mut counts) = (0, 0);
            while let Ok(sessions) = process.sessions_of_one_gateway(port) {
                (most, counts) = (sessions.max(most), counts + 1);
                if stopped.recv_timeout(COUNT_INTERVAL) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
            (most, counts)
        });
        Counter { _stop: stop, thread }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let pid = i32::try_from(self.process.id()).map(Pid::from_raw);
        if let Ok(pid) = pid {
            let _ = kill(pid, Signal::SIGTERM);
        }
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Counts sessions in a thread of its own, which ends with it.
#[derive(Debug)]
pub(super) struct Counter {
    _stop: Sender<()>,
    thread: JoinHandle<(usize, usize)>,
}

impl Counter {
    /// The most with one gateway at any time, and how often they were counted.
    pub(super) fn end(self) -> (usize, usize) {
        let Self { _stop: stop, thread } = self;
        drop(stop);
        thread.join().unwrap_or_default()
    }
}

/// A folder in memory, where there is one: what is measured is the watch and not a disk.
fn memory_folder() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    parent.join(format!("ibga-bench-{}", std::process::id()))
}

fn settings(addresses: &[SocketAddr], files: &Files, container: &str) -> String {
    let mut text = String::new();
    for (number, address) in (1..).zip(addresses) {
        let (host, port, status) = (address.ip(), address.port(), files.path(number));
        let _ = writeln!(
            text,
            "[gateway.g{number}]\nhost = \"{host}\"\nport = {port}\nstatus_file = \"{}\"\ncontainer = \"{container}\"",
            status.display()
        );
    }
    text
}

/// A simulator of many gateways in a process of its own, so that its cost is not the watch's. Ends with it.
#[derive(Debug)]
pub(super) struct Simulator {
    process: Child,
    input: Option<ChildStdin>,
    control: SocketAddr,
    pub(super) addresses: Vec<SocketAddr>,
}

impl Simulator {
    /// Starts so many healthy gateways.
    pub(super) fn start(stage: &Stage, count: usize) -> Result<Self, String> {
        let mut command = Command::new(stage.program());
        command.args(["simulate", "--gateways", &count.to_string(), "--port", "0", "--control", "0"]);
        // The events of so many would cost more than the gateways.
        command.args(["--events", "/dev/null", "--"]);
        command.args(["sh", "-c", "echo $SIMULATED_GATEWAYS; echo $SIMULATED_CONTROL; exec cat"]);
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut process = started.map_err(|fault| format!("the simulator does not start: {fault}"))?;
        let input = process.stdin.take();
        let mut lines =
            process.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines).map_while(Result::ok);
        let addresses =
            lines.next().map(|line| line.split(' ').filter_map(|word| word.parse().ok()).collect::<Vec<_>>());
        let control = lines.next().and_then(|line| line.parse().ok());
        match (addresses, control) {
            (Some(addresses), Some(control)) if addresses.len() == count => {
                Ok(Self { process, input, control, addresses })
            }
            _ => {
                drop(input);
                let _ = process.wait();
                Err(format!("the simulator does not simulate {count} gateways; try `ibga simulate --gateways {count}`"))
            }
        }
    }

    /// Brings all gateways into this scenario.
    pub(super) fn switch_all(&self, scenario: &str) -> Result<(), String> {
        let asked = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(self.control)?;
            stream.set_read_timeout(Some(CONTROL_LIMIT))?;
            let host = self.control;
            write!(stream, "POST /scenario/{scenario} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        let answer = asked().map_err(|fault| format!("the simulator does not switch: {fault}"))?;
        if answer.starts_with("HTTP/1.1 200") {
            return Ok(());
        }
        Err(format!("the simulator does not switch: {}", answer.lines().next().unwrap_or_default()))
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.process.wait();
    }
}
