//! `ibga simulate`: simulated gateways with scripted faults, to try everything against without an account. This file holds the
//! arguments and what they mean together; nothing is opened here.

mod command;
mod control;
mod keys;
mod serve;
mod sink;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueHint};
use ibga_core::account::AccountId;
use ibga_sim::{Config, Pace, Proxy, Scenario, Speed, Timeline};
use jiff::SignedDuration;

use super::{Exit, offered, usage_fault};
use crate::output;

const AFTER_HELP: &str = "\
Examples:
  ibga simulate                                              a healthy paper gateway at port 4002
  ibga simulate --scenario api_silent -- ibga check          a gateway for as long as a command runs
  ibga simulate --scenario 'ready 30s, broker_link_down 20s, restart 10s, ready'
  ibga simulate --timeline night.timeline --speed 60 --events night.jsonl -- ./agent
  ibga simulate --port 4000 --scenario 'logged_out 30s, ready' --proxy ibga_socat
  ibga simulate --control 4900 &                             then, whenever you like:
  curl -X POST localhost:4900/scenario/broker_link_down
  ibga simulate --gateways 50                                127.0.0.1, 127.0.0.2, … at port 4002
  ibga simulate --list                                       all scenarios

A timeline is steps, apart by commas or line ends: SCENARIO [as ACCOUNT[+ACCOUNT]] [TIME]. The last one stays, or the word \
`repeat` begins anew; a step without a time waits for somebody to go on. `#` begins a comment. --speed shrinks the times of steps \
and nothing else.
On a terminal Enter goes on to the next step, and a scenario's name with Enter switches to it; the control port does the same with \
POST /next and POST /scenario/NAME, for one of many gateways POST /gateways/2/next; GET / shows what they are doing. What is \
chosen by name stays until somebody goes on.

One JSON object per event goes to standard output; the first, `listening`, before any client can come.
It runs until it is interrupted, whether anybody still reads the events or not. With a command it runs for as long as that does, \
leaves standard output and the terminal to it and ends with its exit code; SIGINT, SIGTERM and SIGHUP are passed on to the command, \
and whatever is still there 5 seconds later, or at a second signal, is killed. The command finds IBKR_HOST and IBKR_PORT in its environment, all gateways in SIMULATED_GATEWAYS, the \
control port in SIMULATED_CONTROL, and an IBGA_STATUS_FILE of its own.

Exit codes: 0 interrupted or listed, 1 cannot listen, 2 wrong usage; with a command its own, 126 not executable, 127 not found.";

/// The longest timeline file that is read; the timeline itself refuses a shorter text already.
const FILE_BYTES_MAX: u64 = 128 * 1024;

/// Simulate gateways, healthy or with faults
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct SimulateArgs {
    /// Port to listen on; 0 takes a free one [default: 4002, or a free one for a command]
    #[arg(long)]
    port: Option<u16>,
    /// Address to listen on, of many gateways the first
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// How many gateways: each at an address of its own, all at the same port
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = gateways, hide_default_value = true)]
    gateways: usize,
    /// What the gateway does (--list shows them), or a timeline of several: 'ready 30s, restart 10s, ready' [default: ready]
    #[arg(help_heading = "What happens", long, value_name = "NAME|STEPS", value_parser = offered::timelines(), hide_possible_values = true)]
    scenario: Option<String>,
    /// File with the timeline
    #[arg(help_heading = "What happens", long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "scenario")]
    timeline: Option<PathBuf>,
    /// How many times as fast the timeline plays: 60 makes seconds of minutes
    #[arg(help_heading = "What happens", long, value_name = "TIMES")]
    speed: Option<Speed>,
    /// Go on in the timeline by hand alone, whatever times it has
    #[arg(help_heading = "What happens", long, conflicts_with = "speed")]
    step: bool,
    /// Take requests that switch scenarios at this port of this machine; 0 takes a free one
    #[arg(help_heading = "What happens", long, value_name = "[ADDRESS:]PORT", value_parser = control_address)]
    control: Option<SocketAddr>,
    /// Write events to this file, anew, instead of standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    events: Option<PathBuf>,
    /// What stands before the gateway's own port: none, socat, docker or the ibga container's (`ibga_socat`)
    #[arg(help_heading = "What the gateway is like", long, default_value = "none", value_name = "NAME", value_parser = offered::proxies(), hide_possible_values = true)]
    proxy: Proxy,
    /// List the scenarios and end
    #[arg(long)]
    list: bool,
    /// Highest API version of the gateway: text to 200, mixed to 212, protobuf from 213
    #[arg(help_heading = "What the gateway is like", long, default_value_t = 200, value_name = "VERSION", value_parser = clap::value_parser!(u32).range(100..=9_999))]
    server_version: u32,
    /// Account of the login (repeatable) [default: DU1234567, of further gateways DU1234568, …]
    #[arg(help_heading = "What the gateway is like", long = "account", value_name = "ID")]
    accounts: Vec<String>,
    /// How long the gateway thinks before each answer
    #[arg(help_heading = "What the gateway is like", long, value_name = "TIME", value_parser = duration)]
    delay: Option<Duration>,
    /// Write single bytes with this pause between them
    #[arg(help_heading = "What the gateway is like", long, value_name = "TIME", value_parser = duration)]
    dribble: Option<Duration>,
    /// How far the gateway's clock is ahead (negative: behind)
    #[arg(help_heading = "What the gateway is like", long, value_name = "TIME", allow_hyphen_values = true, value_parser = signed_duration)]
    clock_offset: Option<SignedDuration>,
    /// Zone in the hello, as free text
    #[arg(help_heading = "What the gateway is like", long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// A command to run against the gateway
    #[arg(last = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

/// What is to be done, once the arguments make sense together.
struct Plan {
    config: Config,
    gateways: usize,
    control: Option<SocketAddr>,
    events: Option<PathBuf>,
    hands: Hands,
    command: Vec<OsString>,
}

/// Whether somebody sits at the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hands {
    /// What is typed moves the gateways.
    AtTheTerminal,
    /// Standard input is left alone.
    None,
}

fn signed_duration(text: &str) -> Result<SignedDuration, String> {
    text.parse().map_err(|_| "not a time; write a number with a unit, such as 30s or 500ms".into())
}

/// Read here and not by clap, which would repeat the whole text.
fn account(text: &str) -> Result<AccountId, String> {
    AccountId::typed(text).ok_or_else(|| {
        let start: String = text.chars().take(2).filter(|c| !c.is_control()).collect();
        format!(
            "--account: `{start}…` is not an account id; write letters and digits, as in DU1234567, and the option once for each"
        )
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    Duration::try_from(signed_duration(text)?).map_err(|_| "less than nothing; write a positive time".into())
}

fn gateways(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=ibga_sim::GATEWAYS_MAX).contains(count));
    count.ok_or_else(|| format!("not a number from 1 to {}", ibga_sim::GATEWAYS_MAX))
}

/// Whoever reaches the control port moves the gateways, so that no other machine may.
fn control_address(text: &str) -> Result<SocketAddr, String> {
    let address = match text.parse::<u16>() {
        Ok(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Err(_) => text.replacen("localhost:", "127.0.0.1:", 1).parse(),
    };
    let address: SocketAddr = address.map_err(|_| "not a port; write a number such as 4900, or 127.0.0.1:4900")?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("it takes requests of this machine alone; write the port, or 127.0.0.1 and the port".into())
    }
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
    let plan = match arguments.plan(keys::hands(&arguments.command)) {
        Ok(plan) => plan,
        Err(fault) => return usage_fault(&fault).into(),
    };
    match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime.block_on(serve::serve(plan)).unwrap_or_else(Into::into),
        Err(fault) => {
            output::fault(&format!("cannot start: {fault}"));
            Exit::No.into()
        }
    }
}

impl SimulateArgs {
    fn plan(&self, hands: Hands) -> Result<Plan, String> {
        let default = Config::default();
        let timeline = self.whole_timeline()?;
        let accounts: Vec<AccountId> = self.accounts.iter().map(|text| account(text)).collect::<Result<_, _>>()?;
        let has_steps = timeline.count() > 1 || timeline.steps().any(|step| step.lasts.is_some());
        if !has_steps && (self.step || self.speed.is_some()) {
            return Err(
                "--speed and --step go with a timeline; give one, as in --scenario 'ready 30s, restart 10s, ready'"
                    .into(),
            );
        }
        if hands == Hands::None && self.control.is_none() {
            if self.step && timeline.count() > 1 {
                return Err(
                    "--step without anybody to go on: use --control PORT, or run it on a terminal without a command"
                        .into(),
                );
            }
            if let Some(number) = timeline.first_by_hand() {
                return Err(format!(
                    "step {number} of the timeline has no time, and nobody can go on: give it one, use --control PORT, \
                     or run it on a terminal without a command"
                ));
            }
        }
        let config = Config {
            listen: SocketAddr::new(self.host, self.port.unwrap_or(if self.command.is_empty() { 4002 } else { 0 })),
            timeline,
            pace: if self.step { Pace::ByHand } else { Pace::Timed(self.speed.unwrap_or_default()) },
            proxy: self.proxy,
            server_version: self.server_version,
            accounts: if accounts.is_empty() { default.accounts } else { accounts },
            delay: self.delay.unwrap_or(default.delay),
            dribble: self.dribble,
            time_zone: self.time_zone.clone().unwrap_or(default.time_zone),
            clock_offset: self.clock_offset.unwrap_or(default.clock_offset),
        };
        let (gateways, control, events) = (self.gateways, self.control, self.events.clone());
        Ok(Plan { config, gateways, control, events, hands, command: self.command.clone() })
    }

    fn whole_timeline(&self) -> Result<Timeline, String> {
        if let Some(path) = &self.timeline {
            let name = path.display();
            let text = read(path).map_err(|fault| format!("cannot read the timeline {name}: {fault}"))?;
            if self.events.as_deref().is_some_and(|events| is_same_file(events, path)) {
                return Err(format!("the events would overwrite the timeline {name}; give --events another file"));
            }
            return text.parse().map_err(|fault| format!("{name}, {fault}"));
        }
        match &self.scenario {
            Some(text) => text.parse().map_err(|fault| format!("--scenario, {fault}")),
            None => Ok(Scenario::Ready.into()),
        }
    }
}

/// Whether both paths lead to the same regular file, by whatever names.
fn is_same_file(one: &Path, other: &Path) -> bool {
    match (one.metadata(), other.metadata()) {
        (Ok(one), Ok(other)) => one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}
