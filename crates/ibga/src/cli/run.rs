//! `ibga run`: becomes the agent's command, or stays beside it, but only on a go. Nothing is printed on standard output: that is the agent's.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use clap::{Args, ValueHint};
use ibga_core::account::{AccountId, Mode};
use ibga_core::clock::Stopwatch;
use ibga_core::gate::Decision;
use ibga_core::report::Report;
use ibga_core::status_file::StatusFileError;
use jiff::tz::TimeZone;

use super::preflight::{MarketHours, here_and_now, judge, tell_no_go};
use super::supervised::Watched;
use super::{
    CommonArgs, Exit, ExpectArgs, JudgeArgs, ProbeArgs, WindowArgs, check as check_command, offered, settings,
};
use crate::alert::post::{NoGoSeen, Post};
use crate::check;
use crate::output::{self, Output, printable};
use crate::settings::{Flags, Settings};
use crate::supervise;

/// The longest that people being told may hold up an agent's start, or the end of a no-go.
const DELIVERY_LIMIT: Duration = Duration::from_millis(1_900);

/// How much of it other processes at the store may take before a no-go goes out without it.
const STORE_LIMIT: Duration = Duration::from_millis(500);

const AFTER_HELP: &str = "\
Examples:
  ibga run -- ./agent.py --symbol 700                  start it if the status file says go
  ibga run --refresh-status -- ./agent.py              probe first, in the same process
  ibga run --expect-mode paper --force -- ./agent.py   never live, at any hour
  ibga run --window 09:30-09:45 -- ./agent.py          for a scheduler: at no other time
  ibga run --supervise -- ./agent.py                   stay beside it, and stop it in time

On a go this process becomes the command: signals, standard input, terminal and exit code are its own. It finds \
IBGA_STATUS_FILE, IBGA_GATEWAY, IBGA_ACCOUNTS (commas between) and IBGA_MODE in its environment. A halt (`ibga halt`) is a no-go \
that no option passes over.

With --supervise it stays beside the command. On a halt, when the status is no longer ready or too old, and when the trading session \
ends (also for a lunch break), all processes of the command get SIGTERM, and SIGKILL after the grace. Somebody has to keep the status \
young: `ibga watch`, or `ibga check` more often than --max-age. Signals and exit codes pass through.

Exit codes: the command's own; 0 outside its windows, 1 no-go, 2 wrong usage or configuration, 75 stopped by --supervise, \
126 not executable, 127 not found.";

/// Start an agent, but only if the gateway is ready and the market open
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct RunArgs {
    /// Probe the gateway first and write the status file
    #[arg(long, conflicts_with = "skip_preflight")]
    refresh_status: bool,
    /// Start the command whatever the status is; logs a warning
    #[arg(long)]
    skip_preflight: bool,
    #[command(flatten)]
    judge: JudgeArgs,
    #[command(flatten)]
    expect: ExpectArgs,
    #[command(flatten)]
    probe: ProbeArgs,
    #[command(flatten)]
    window: WindowArgs,
    #[command(flatten)]
    supervise: SuperviseArgs,
    #[command(flatten)]
    common: CommonArgs,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

/// How the agent is kept.
#[derive(Debug, Args)]
struct SuperviseArgs {
    /// Stay beside the agent, and stop it on a halt, when readiness is lost and when the trading session ends
    #[arg(long, help_heading = "Supervision")]
    supervise: bool,
    /// What stops it beside a halt (repeatable) [default: both]
    #[arg(long = "stop-on", value_name = "not_ready|session_end|halt", value_parser = offered::stops(), hide_possible_values = true, requires = "supervise", help_heading = "Supervision")]
    stop_on: Vec<String>,
    /// How long it has to end by itself before it is killed [default: 10s]
    #[arg(long, value_name = "TIME", requires = "supervise", help_heading = "Supervision")]
    grace: Option<String>,
    /// How long readiness may be away before it counts as lost [default: 0s]
    #[arg(long, value_name = "TIME", requires = "supervise", help_heading = "Supervision")]
    tolerance: Option<String>,
}

impl SuperviseArgs {
    fn add_to(&self, flags: &mut Flags) {
        flags.stop_on.clone_from(&self.stop_on);
        flags.grace.clone_from(&self.grace);
        flags.tolerance.clone_from(&self.tolerance);
    }
}

pub(super) fn run(arguments: &RunArgs) -> Exit {
    let mut flags = arguments.common.flags();
    arguments.judge.add_to(&mut flags);
    arguments.expect.add_to(&mut flags);
    arguments.probe.add_to(&mut flags);
    arguments.supervise.add_to(&mut flags);
    let settings = match settings(&flags, arguments.common.output()) {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    let Some((program, rest)) = arguments.command.split_first() else { return Exit::Usage };
    let name = printable(&program.to_string_lossy());
    let output = arguments.common.output();
    let hours = MarketHours::from_flag(arguments.judge.force);
    if let Err(exit) = arguments.window.admit("run", &settings, hours, output) {
        return exit;
    }
    let started = if arguments.skip_preflight {
        skip_preflight(&settings, hours, &name, output)
    } else {
        let refreshing = if arguments.refresh_status { Refreshing::First } else { Refreshing::No };
        preflight(&settings, hours, refreshing, &name, output)
    };
    let Started { report, decision } = match started {
        Ok(started) => started,
        Err(exit) => return exit,
    };
    if !arguments.supervise.supervise {
        let mut command = Command::new(program);
        command.args(rest);
        prepare(&mut command, &settings, report.as_ref());
        let fault = command.exec();
        return Exit::cannot_start(program, &fault);
    }
    let mut command = supervise::command_of(program, rest);
    prepare(&mut command, &settings, report.as_ref());
    Watched { program, settings: &settings, hours, output }.run(command, &decision)
}

/// On what an agent is started: what it is promised, and what the gate said.
struct Started {
    report: Option<Report>,
    decision: Decision,
}

/// Whether the gateway is probed first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refreshing {
    First,
    No,
}

/// Whatever the status is, but for a halt, which nothing passes over.
fn skip_preflight(settings: &Settings, hours: MarketHours, name: &str, output: Output) -> Result<Started, Exit> {
    let at = here_and_now();
    let judged = judge(settings, MarketHours::PassedOver, &at, None)?;
    if let Some(halted) = judged.halted() {
        tell_no_go(&halted, name, output);
        return Err(Exit::No);
    }
    output::fault(&format!("ibga run: warning: {name} is started without a preflight (--skip-preflight)"));
    // Its promises to the agent are those of a report that would have passed, or none.
    let is_go = judged.decision.is_go();
    let decision = judge(settings, hours, &at, None)?.decision;
    Ok(Started { report: judged.report.filter(|_| is_go), decision })
}

fn preflight(
    settings: &Settings,
    hours: MarketHours,
    refreshing: Refreshing,
    name: &str,
    output: Output,
) -> Result<Started, Exit> {
    let zone = TimeZone::system();
    let refreshed = (refreshing == Refreshing::First).then(|| refresh(settings, &zone, output));
    let (made_now, post) = refreshed.unzip();
    let judged = judge(settings, hours, &here_and_now(), made_now)?;
    let watch = Stopwatch::start();
    let (is_go, mut post) = (judged.decision.is_go(), post.flatten());
    if !is_go {
        tell_no_go(&judged, name, output);
    }
    if !is_go && !judged.decision.is_expected() {
        let remedies = judged.remedies();
        let seen = NoGoSeen { decision: &judged.decision, report: judged.report.as_ref(), remedies: &remedies };
        // What the refresh recorded waits where this looks, too.
        drop(post);
        post = Post::of_no_go(settings, &zone, &seen, STORE_LIMIT);
    }
    // A slow server gets the rest from the next check.
    let left = DELIVERY_LIMIT.saturating_sub(watch.elapsed());
    let _ = post.map(|post| check_command::deliver(post, left, output));
    if is_go { Ok(Started { report: judged.report, decision: judged.decision }) } else { Err(Exit::No) }
}

/// Probes. The agent will read the status file, so a report that is not in it does not count.
pub(super) fn refresh<'a>(settings: &'a Settings, zone: &'a TimeZone, output: Output) -> (Refreshed, Option<Post<'a>>) {
    let checked = check::check(settings, zone, STORE_LIMIT);
    if output.is_verbose() {
        check_command::tell(&checked, zone, output);
    }
    let report = match checked.write_fault {
        Some(fault) => Err(StatusFileError::NotRefreshed(fault.to_string())),
        None => Ok(checked.report),
    };
    (report, checked.post)
}

/// The report of a probe, if it counts.
pub(super) type Refreshed = Result<Report, StatusFileError>;

/// What the agent finds in its environment.
fn prepare(command: &mut Command, settings: &Settings, report: Option<&Report>) {
    let accounts = report.map(|report| report.accounts.as_slice()).unwrap_or_default();
    command.env("IBGA_STATUS_FILE", &settings.status_file).env("IBGA_GATEWAY", settings.gateway.as_str());
    // What is not known must not be inherited from whoever started this process.
    let ids = accounts.iter().map(AccountId::reveal).collect::<Vec<_>>().join(",");
    match Mode::of(accounts) {
        Some(mode) => command.env("IBGA_ACCOUNTS", ids).env("IBGA_MODE", mode.as_str()),
        None => command.env_remove("IBGA_ACCOUNTS").env_remove("IBGA_MODE"),
    };
}
