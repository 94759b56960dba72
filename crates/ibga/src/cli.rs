//! The commands: what a person or a scheduler types. This file holds the arguments and hands each command to its own file.

mod alert;
mod calendar;
mod check;
mod completions;
mod demo;
mod doctor;
mod halt;
mod history;
mod init;
mod offered;
mod preflight;
mod resume;
mod run;
mod schedule;
mod simulate;
mod status;
mod supervised;
mod wait;
mod watch;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint};
use ibga_core::clock;
use ibga_core::secure_file::{self, ReadError, Trust};

use ibga_core::window::{Window, admitted};

use crate::check::endpoint;
use crate::market::{calendars, market_of_schedule};
use crate::output::{self, Output, Volume};
use crate::settings::{Flags, Settings, SettingsError, Sources};
use crate::supervise::BECOME_AGENT;

/// What a command ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Ready, go, done.
    Yes,
    /// Not ready, no-go.
    No,
    /// Wrong usage or configuration; nothing was done.
    Usage,
    /// The command is there, but cannot be executed (as a shell says it).
    NotExecutable,
    /// The command is not there (as a shell says it).
    NotFound,
    /// A signal of this number ended it (as a shell says it).
    Signalled(u8),
    /// What the agent ended with by itself.
    Agent(u8),
    /// The agent was stopped: a temporary failure, as sysexits.h has it.
    Stopped,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Yes => 0,
            Exit::No => 1,
            Exit::Usage => 2,
            Exit::NotExecutable => 126,
            Exit::NotFound => 127,
            Exit::Signalled(number) => 128_u8.saturating_add(number),
            Exit::Agent(code) => code,
            Exit::Stopped => 75,
        })
    }
}

impl Exit {
    /// A command could not be started: says why, and ends as a shell does.
    fn cannot_start(program: &OsStr, fault: &io::Error) -> Self {
        let name = output::printable(&program.to_string_lossy());
        let (exit, what) = match fault.kind() {
            io::ErrorKind::NotFound => (Self::NotFound, "there is no such command; write its whole path".to_owned()),
            io::ErrorKind::PermissionDenied => {
                (Self::NotExecutable, "it may not be executed; `chmod +x` it".to_owned())
            }
            _ => (Self::NotExecutable, fault.to_string()),
        };
        output::fault(&format!("cannot start {name}: {what}"));
        exit
    }
}

const AFTER_HELP: &str = "\
Examples:
  ibga demo                                 the whole story in seconds, without an account
  ibga init                                 write a commented ibga.toml
  ibga doctor                               what is missing, and how to repair it
  ibga check --port 4001                    is it ready? writes /tmp/ibga-status.json
  ibga preflight                            may an agent start now?
  ibga run --refresh-status -- ./agent.py   start it only then
  ibga watch                                stay connected, always fresh
  ibga wait --timeout 5m                    returns when it is ready
  ibga halt --reason 'odd fills'            let no agent run until `ibga resume`
  ibga calendar --month 2026-12             when does the exchange trade?

Settings come from flags, the environment, .env and ibga.toml, in this order. `ibga COMMAND --help` tells more.

Exit codes: 0 ready or go, 1 not ready or no-go, 2 wrong usage or configuration.
Not affiliated with Interactive Brokers or with the ibga container project.";

/// The widest lines of a help text.
const WIDTH_MAX: usize = 100;

/// May the trading agent trade now, and if not, what has to be done?
#[derive(Debug, Parser)]
#[command(name = "ibga", version, after_help = AFTER_HELP, max_term_width = WIDTH_MAX)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::CheckArgs),
    Preflight(preflight::PreflightArgs),
    Run(run::RunArgs),
    Wait(wait::WaitArgs),
    Halt(halt::HaltArgs),
    Resume(resume::ResumeArgs),
    Status(status::StatusArgs),
    Watch(watch::WatchArgs),
    Calendar(calendar::CalendarArgs),
    Schedule(schedule::ScheduleArgs),
    Alert(alert::AlertArgs),
    History(history::HistoryArgs),
    Simulate(simulate::SimulateArgs),
    Demo(demo::DemoArgs),
    Doctor(doctor::DoctorArgs),
    Init(init::InitArgs),
    Completions(completions::CompletionsArgs),
}

/// What every command takes.
#[derive(Debug, Args, Clone)]
struct CommonArgs {
    /// Configuration file [default: ./ibga.toml, else in ~/.config/ibga or /etc/ibga]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Common")]
    config: Option<String>,
    /// Which gateway of the configuration [default: default, or the only one]
    #[arg(long, value_name = "NAME", help_heading = "Common")]
    gateway: Option<String>,
    /// Status file [default: /tmp/ibga-status.json]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, help_heading = "Common")]
    status_file: Option<String>,
    /// Say nothing but faults; go by the exit code
    #[arg(short, long, conflicts_with = "verbose", help_heading = "Common")]
    quiet: bool,
    /// Say more: which settings count, how long each stage took
    #[arg(short, long, help_heading = "Common")]
    verbose: bool,
}

/// What the operator expects of the login.
#[derive(Debug, Args, Clone)]
struct ExpectArgs {
    /// Account that the login must hold (repeatable)
    #[arg(long = "expect-account", value_name = "ID", help_heading = "Expectations")]
    expect_accounts: Vec<String>,
    /// What the accounts of the login must be
    #[arg(long, value_name = "paper|live", value_parser = offered::modes(), hide_possible_values = true, help_heading = "Expectations")]
    expect_mode: Option<String>,
}

/// How the gateway is looked at.
#[derive(Debug, Args, Clone)]
struct ProbeArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Longest time for the whole probe; waiting for another one comes on top [default: 15s]
    #[arg(long, value_name = "TIME", help_heading = "Probe")]
    timeout: Option<String>,
    #[command(flatten)]
    question: QuestionArgs,
}

/// Where the gateway is.
#[derive(Debug, Args, Clone)]
struct PlaceArgs {
    /// Host of the gateway's API [default: 127.0.0.1]
    #[arg(long, value_name = "HOST", value_hint = ValueHint::Hostname, help_heading = "Probe")]
    host: Option<String>,
    /// Port of the gateway's API [default: 4000]
    #[arg(long, value_name = "PORT", help_heading = "Probe")]
    port: Option<String>,
    /// First of five API client ids to use, never one of the agent's [default: 99]
    #[arg(long, value_name = "ID", help_heading = "Probe")]
    client_id: Option<String>,
    /// The gateway's container [default: auto, the one that publishes the port]
    #[arg(long, value_name = "NAME|auto|none", value_parser = offered::containers(), hide_possible_values = true, help_heading = "Probe")]
    container: Option<String>,
}

/// What it is asked.
#[derive(Debug, Args, Clone)]
struct QuestionArgs {
    /// How long to wait for late notices after the last answer [default: 50ms]
    #[arg(long, value_name = "TIME", help_heading = "Probe")]
    settle: Option<String>,
    /// Let a read-only API, which refuses orders, pass with a warning
    #[arg(long, help_heading = "Probe")]
    allow_read_only: bool,
    /// The question that only the broker can answer; off asks none [default: contract]
    #[arg(long, value_name = "contract|off", value_parser = offered::broker_probes(), hide_possible_values = true, help_heading = "Probe")]
    broker_probe: Option<String>,
}

/// The exchanges whose hours count.
#[derive(Debug, Args, Clone)]
struct MarketArgs {
    /// Exchange whose hours count (repeatable) [default: XHKG]
    #[arg(long = "exchange", value_name = "MIC|stock_connect", value_parser = offered::exchanges(), hide_possible_values = true, help_heading = "Judgement")]
    exchanges: Vec<String>,
    /// Of several exchanges: all have to be open at once, or any is enough [default: all]
    #[arg(long, value_name = "any|all", value_parser = offered::exchange_rules(), hide_possible_values = true, help_heading = "Judgement")]
    exchange_rule: Option<String>,
}

/// How the status is judged.
#[derive(Debug, Args, Clone)]
struct JudgeArgs {
    /// Age from which on a status is stale [default: 10m]
    #[arg(long, value_name = "TIME", help_heading = "Judgement")]
    max_age: Option<String>,
    #[command(flatten)]
    market: MarketArgs,
    /// Pass over market hours (nothing else)
    #[arg(long, help_heading = "Judgement")]
    force: bool,
}

/// When a scheduled job may start.
#[derive(Debug, Args, Clone)]
struct WindowArgs {
    /// Start nothing outside this span of the exchange's wall clock: HH:MM-HH:MM on trading days, `sun HH:MM-HH:MM`, or `daily HH:MM-HH:MM` (repeatable)
    #[arg(long = "window", value_name = "SPAN", help_heading = "Schedule")]
    windows: Vec<Window>,
}

impl WindowArgs {
    /// Whether to go on; if not, says which window was missed.
    fn admit(
        &self,
        name: &str,
        settings: &Settings,
        hours: preflight::MarketHours,
        output: Output,
    ) -> Result<(), Exit> {
        if self.windows.is_empty() {
            return Ok(());
        }
        let windows: Vec<Window> = match hours {
            preflight::MarketHours::Kept => self.windows.clone(),
            preflight::MarketHours::PassedOver => self.windows.iter().map(Window::whatever_the_market).collect(),
        };
        let calendars = calendars(settings).map_err(|fault| usage_fault(&fault))?;
        admitted(&windows, clock::now(), &market_of_schedule(settings, &calendars)).map_err(|missed| {
            output.message(&format!("ibga {name}: nothing was started: {missed}"));
            Exit::Yes
        })
    }
}

impl CommonArgs {
    fn output(&self) -> Output {
        Output::new(match (self.quiet, self.verbose) {
            (true, _) => Volume::Quiet,
            (false, true) => Volume::Verbose,
            (false, false) => Volume::Normal,
        })
    }

    fn flags(&self) -> Flags {
        Flags {
            config: self.config.clone(),
            gateway: self.gateway.clone(),
            status_file: self.status_file.clone(),
            ..Flags::default()
        }
    }
}

impl ExpectArgs {
    fn add_to(&self, flags: &mut Flags) {
        flags.expect_accounts.clone_from(&self.expect_accounts);
        flags.expect_mode.clone_from(&self.expect_mode);
    }
}

impl ProbeArgs {
    fn add_to(&self, flags: &mut Flags) {
        self.place.add_to(flags);
        flags.timeout.clone_from(&self.timeout);
        self.question.add_to(flags);
    }
}

impl PlaceArgs {
    fn add_to(&self, flags: &mut Flags) {
        flags.host.clone_from(&self.host);
        flags.port.clone_from(&self.port);
        flags.client_id.clone_from(&self.client_id);
        flags.container.clone_from(&self.container);
    }
}

impl QuestionArgs {
    fn add_to(&self, flags: &mut Flags) {
        flags.settle.clone_from(&self.settle);
        flags.allow_read_only = self.allow_read_only.then_some(true);
        flags.broker_probe.clone_from(&self.broker_probe);
    }
}

impl MarketArgs {
    fn add_to(&self, flags: &mut Flags) {
        flags.exchanges.clone_from(&self.exchanges);
        flags.exchange_rule.clone_from(&self.exchange_rule);
    }
}

impl JudgeArgs {
    fn add_to(&self, flags: &mut Flags) {
        flags.max_age.clone_from(&self.max_age);
        self.market.add_to(flags);
    }
}

/// The commands with all their arguments and texts, from which the reference pages are made.
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Reads the arguments. What schedulers start every few minutes and agents wait for is read by its own definition alone: the texts
/// of all commands together would be half of such a start.
fn parse(arguments: &[OsString]) -> Result<Command, clap::Error> {
    let name = arguments.get(1).and_then(|first| first.to_str());
    match name {
        Some("check") => parse_one(arguments, "check").map(Command::Check),
        Some("preflight") => parse_one(arguments, "preflight").map(Command::Preflight),
        Some("run") => parse_one(arguments, "run").map(Command::Run),
        _ => parse_by(definition(), arguments, |matches| Cli::from_arg_matches(matches).map(|cli| cli.command)),
    }
}

fn parse_one<A: Args>(arguments: &[OsString], name: &'static str) -> Result<A, clap::Error> {
    let command = A::augment_args(clap::Command::new(name));
    let definition = clap::Command::new("ibga").max_term_width(WIDTH_MAX).subcommand(command);
    parse_by(definition, arguments, |matches| {
        matches
            .subcommand_matches(name)
            .ok_or_else(|| clap::Error::new(ErrorKind::MissingSubcommand))
            .and_then(A::from_arg_matches)
    })
}

fn parse_by<T>(
    mut definition: clap::Command,
    arguments: &[OsString],
    read: impl FnOnce(&ArgMatches) -> Result<T, clap::Error>,
) -> Result<T, clap::Error> {
    let parsed = definition.try_get_matches_from_mut(arguments).and_then(|matches| read(&matches));
    // It is as large as its texts, and this process ends soon.
    std::mem::forget(definition);
    parsed
}

/// Runs the command that the arguments name and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some((_, [first, rest @ ..])) = arguments.split_first()
        && first == BECOME_AGENT
    {
        return supervised::become_agent(rest).into();
    }
    let command = match parse(&arguments) {
        Ok(command) => command,
        Err(fault) => {
            let _ = fault.print();
            return if fault.use_stderr() { Exit::Usage.into() } else { Exit::Yes.into() };
        }
    };
    let exit = match command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Preflight(arguments) => preflight::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Wait(arguments) => wait::run(&arguments),
        Command::Halt(arguments) => halt::run(&arguments),
        Command::Resume(arguments) => resume::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Watch(arguments) => watch::run(&arguments),
        Command::Calendar(arguments) => calendar::run(&arguments),
        Command::Schedule(arguments) => schedule::run(&arguments),
        Command::Alert(arguments) => alert::run(&arguments),
        Command::History(arguments) => history::run(&arguments),
        Command::Simulate(arguments) => return simulate::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
    };
    exit.into()
}

/// The longest file of settings that is read: some thousand gateways.
const SETTINGS_BYTES_MAX: u64 = 1024 * 1024;

fn read_settings(path: &Path, owners: &[u32]) -> Result<Option<String>, String> {
    match secure_file::read_at_most(path, &Trust { owners: owners.to_vec() }, SETTINGS_BYTES_MAX) {
        Ok(text) => Ok(Some(text)),
        Err(ReadError::NotFound) => Ok(None),
        Err(fault) => Err(fault.to_string()),
    }
}

/// Reads the settings.
fn load_settings(flags: &Flags) -> Result<Settings, SettingsError> {
    Settings::load(flags, &Sources::from_process(&read_settings))
}

/// Reads the settings for what concerns all gateways unless a flag names one.
fn load_for_all(flags: &Flags) -> Result<Settings, SettingsError> {
    Settings::load_for_all(flags, &Sources::from_process(&read_settings))
}

/// Reads the settings of every gateway that is meant.
fn load_all_settings(flags: &Flags) -> Result<Vec<Settings>, SettingsError> {
    Settings::load_all(flags, &Sources::from_process(&read_settings))
}

/// Reads the settings, or says everything that is wrong with them.
fn settings(flags: &Flags, output: Output) -> Result<Settings, Exit> {
    let settings = load_settings(flags).map_err(|fault| usage_fault(&fault.to_string()))?;
    let config = settings.config.as_ref().map_or_else(|| "none".into(), |path| path.display().to_string());
    let (gateway, endpoint) = (&settings.gateway, endpoint(&settings));
    let file = settings.status_file.display();
    output.detail(&format!("configuration: {config}; gateway {gateway} at {endpoint}; status file {file}"));
    Ok(settings)
}

fn usage_fault(text: &str) -> Exit {
    output::fault(text);
    Exit::Usage
}
