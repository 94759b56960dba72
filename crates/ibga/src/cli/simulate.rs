//! `ibga simulate`: a simulated gateway with scripted faults, to try everything against without an account.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Args;
use ibga_core::account::AccountId;
use ibga_sim::{Config, Proxy, Scenario, Simulator, Timeline};
use jiff::SignedDuration;
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::Exit;
use crate::output;

const AFTER_HELP: &str = "\
Examples:
  ibga simulate                                              a healthy paper gateway at port 4002
  ibga simulate --scenario api_silent -- ibga check          a gateway for as long as a command runs
  ibga simulate --port 4000 --scenario logged_out --proxy ibga_socat --ready-after 30s
  ibga simulate --scenario broker_link_down --server-version 222
  ibga simulate --list                                       all scenarios

One JSON object per event goes to standard output; the first, `listening`, before any client can come.
It runs until it is interrupted. With a command it runs for as long as that does, leaves standard output to it and \
ends with its exit code. The command finds IBKR_HOST and IBKR_PORT in its environment, and an IBGA_STATUS_FILE of its own.
Exit codes: 0, 1 if it cannot listen, 2 wrong usage; else the command's own, 126 or 127.";

/// Simulate a gateway, healthy or with a fault
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct SimulateArgs {
    /// Port to listen on; 0 takes a free one [default: 4002, or a free one for a command]
    #[arg(long)]
    port: Option<u16>,
    /// Address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// What the gateway does (--list shows them)
    #[arg(long, default_value = "ready", value_name = "NAME")]
    scenario: Scenario,
    /// What stands before the gateway's own port: none, socat, docker or the ibga container's (`ibga_socat`)
    #[arg(long, default_value = "none", value_name = "NAME")]
    proxy: Proxy,
    /// List the scenarios and end
    #[arg(long)]
    list: bool,
    /// Highest API version of the gateway: text to 200, mixed to 212, protobuf from 213
    #[arg(long, default_value_t = 200, value_name = "VERSION", value_parser = clap::value_parser!(u32).range(100..=9_999))]
    server_version: u32,
    /// Account of the login (repeatable) [default: DU1234567]
    #[arg(long = "account", value_name = "ID", value_parser = account)]
    accounts: Vec<AccountId>,
    /// How long the gateway thinks before each answer
    #[arg(long, value_name = "TIME", value_parser = duration)]
    delay: Option<Duration>,
    /// Write single bytes with this pause between them
    #[arg(long, value_name = "TIME", value_parser = duration)]
    dribble: Option<Duration>,
    /// Become healthy after this time
    #[arg(long, value_name = "TIME", value_parser = duration)]
    ready_after: Option<Duration>,
    /// How far the gateway's clock is ahead (negative: behind)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = signed_duration)]
    clock_offset: Option<SignedDuration>,
    /// Zone in the hello, as free text
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// A command to run against the gateway
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

fn signed_duration(text: &str) -> Result<SignedDuration, String> {
    text.parse().map_err(|_| "not a time; write a number with a unit, such as 30s or 500ms".into())
}

fn account(text: &str) -> Result<AccountId, String> {
    let id = AccountId::new(text).filter(|id| id.reveal() == text && text.chars().all(|c| c.is_ascii_alphanumeric()));
    id.ok_or_else(|| "not an account id; write letters and digits, as in DU1234567".into())
}

fn duration(text: &str) -> Result<Duration, String> {
    Duration::try_from(signed_duration(text)?).map_err(|_| "less than nothing; write a positive time".into())
}

pub(super) fn run(arguments: &SimulateArgs) -> ExitCode {
    if arguments.list {
        let width = Scenario::ALL.iter().map(|scenario| scenario.name().len()).max().unwrap_or_default();
        for scenario in Scenario::ALL {
            if writeln!(io::stdout(), "{:<width$}  {}", scenario.name(), scenario.describe()).is_err() {
                break;
            }
        }
        return Exit::Yes.into();
    }
    match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime.block_on(serve(arguments)),
        Err(fault) => {
            output::fault(&format!("cannot start: {fault}"));
            Exit::No.into()
        }
    }
}

impl SimulateArgs {
    fn config(&self) -> Config {
        let default = Config::default();
        Config {
            listen: SocketAddr::new(self.host, self.port.unwrap_or(if self.command.is_empty() { 4002 } else { 0 })),
            scenario: self.scenario,
            proxy: self.proxy,
            server_version: self.server_version,
            accounts: if self.accounts.is_empty() { default.accounts } else { self.accounts.clone() },
            delay: self.delay.unwrap_or(default.delay),
            dribble: self.dribble,
            timeline: self.ready_after.map(|after| Timeline::from(self.scenario).after(after, Scenario::Ready)),
            pace: default.pace,
            time_zone: self.time_zone.clone().unwrap_or(default.time_zone),
            clock_offset: self.clock_offset.unwrap_or(default.clock_offset),
        }
    }
}

/// Simulates until told to end.
async fn serve(arguments: &SimulateArgs) -> ExitCode {
    let signals =
        signal(SignalKind::interrupt()).and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
    let (mut interrupt, mut terminate) = match signals {
        Ok(signals) => signals,
        Err(fault) => {
            output::fault(&format!("cannot listen for signals: {fault}"));
            return Exit::No.into();
        }
    };
    let mut simulator = match Simulator::start(arguments.config()).await {
        Ok(simulator) => simulator,
        Err(fault) => {
            output::fault(&fault.to_string());
            return Exit::No.into();
        }
    };
    let mut command = match Running::start(&arguments.command, simulator.address()) {
        Ok(command) => command,
        Err(exit) => return exit.into(),
    };
    let code = loop {
        tokio::select! {
            event = simulator.events().next() => {
                let Some(line) = event.and_then(|event| serde_json::to_string(&event).ok()) else { break Exit::No.into() };
                let written = || writeln!(io::stdout(), "{line}").and_then(|()| io::stdout().flush());
                if command.is_none() && written().is_err() {
                    break Exit::Yes.into();
                }
            }
            code = ended(&mut command) => break code,
            // The terminal tells the command too; its end is awaited.
            _ = interrupt.recv() => if command.is_none() { break Exit::Yes.into() },
            _ = terminate.recv() => match &command {
                Some(command) => command.terminate(),
                None => break Exit::Yes.into(),
            },
        }
    };
    simulator.stop().await;
    code
}

/// The command that runs against the gateway.
struct Running {
    pid: Pid,
    code: oneshot::Receiver<ExitCode>,
}

impl Running {
    /// Starts the command, if there is one. Waiting for it takes a thread.
    fn start(command: &[OsString], gateway: SocketAddr) -> Result<Option<Self>, Exit> {
        let Some((program, arguments)) = command.split_first() else { return Ok(None) };
        let mut command = Command::new(program);
        command.args(arguments).env("IBKR_HOST", gateway.ip().to_string()).env("IBKR_PORT", gateway.port().to_string());
        // What a simulated gateway is found to be must never stand where a real agent's gate looks.
        let status_file = std::env::temp_dir().join(format!("ibga-simulate-{}.json", std::process::id()));
        command.env("IBGA_STATUS_FILE", &status_file).env("IBGA_CONTAINER", "none");
        let mut child = command.spawn().map_err(|fault| Exit::cannot_start(program, &fault))?;
        let pid = Pid::from_child(&child);
        let (sender, code) = oneshot::channel();
        std::thread::spawn(move || {
            // A command that was killed ends as a shell says it: 128 and the signal.
            let code = child.wait().ok().and_then(|status| status.code().or_else(|| Some(128 + status.signal()?)));
            let _ = std::fs::remove_file(status_file);
            let _ = sender.send(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1).into());
        });
        Ok(Some(Self { pid, code }))
    }

    fn terminate(&self) {
        let _ = kill_process(self.pid, Signal::TERM);
    }
}

/// The end of the command; never, if there is none.
async fn ended(command: &mut Option<Running>) -> ExitCode {
    match command {
        Some(command) => (&mut command.code).await.unwrap_or_else(|_| Exit::No.into()),
        None => std::future::pending().await,
    }
}
