//! `ibga watch`: stay connected to the gateways, keep their status files fresh, tell people of changes.

use clap::Args;
use ibga_core::recovery::Practice;

use super::{CommonArgs, Exit, ExpectArgs, MarketArgs, ProbeArgs, load_all_settings, usage_fault};
use crate::check::endpoint;
use crate::output;
use crate::watch;

const AFTER_HELP: &str = "\
Examples:
  ibga watch                                 every gateway of the configuration, or the one at 127.0.0.1:4000
  ibga watch --gateway paper                 one of them
  ibga watch --port 4002 --expect-mode paper --heartbeat 5s
  ibga watch --dry-run                       what would recovery do?

It holds one API session for each gateway, asks for the time at each heartbeat and the broker every few minutes, and writes the \
status file each time and at every change, within moments. A session that ends is opened again; silence is waited out on the same \
connection. Meanwhile `ibga check` of the same gateway tells what the watch knows and probes nothing. A second watch of a gateway \
stands by until the first one ends.

Where `recover` names causes, it acts upon a gateway that has them, as an operator would by hand; --dry-run shows what it would do.

SIGHUP reads the settings again, and keeps those before if they are wrong; SIGTERM and SIGINT end it. Under systemd (Type=notify) it \
tells when it is ready, what it does and that it lives.

Exit codes: 0 ended by a signal, 1 it could not begin, 2 wrong usage or configuration.";

/// Stay connected: the status always fresh, a loss known at once
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct WatchArgs {
    /// How often to ask for the time and refresh the status file [default: 20s]
    #[arg(long, value_name = "TIME", help_heading = "Probe")]
    heartbeat: Option<String>,
    /// Do nothing to recover a gateway; only tell what would have been done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    probe: ProbeArgs,
    #[command(flatten)]
    expect: ExpectArgs,
    #[command(flatten)]
    market: MarketArgs,
    #[command(flatten)]
    common: CommonArgs,
}

pub(super) fn run(arguments: &WatchArgs) -> Exit {
    let mut flags = arguments.common.flags();
    arguments.probe.add_to(&mut flags);
    arguments.expect.add_to(&mut flags);
    arguments.market.add_to(&mut flags);
    flags.heartbeat.clone_from(&arguments.heartbeat);
    let settings = match load_all_settings(&flags) {
        Ok(settings) => settings,
        Err(fault) => return usage_fault(&fault.to_string()),
    };
    let output = arguments.common.output();
    for one in &settings {
        output.detail(&format!(
            "gateway {} at {}; status file {}",
            one.gateway,
            endpoint(one),
            one.status_file.display()
        ));
    }
    let practice = if arguments.dry_run { Practice::Rehearsal } else { Practice::Real };
    match watch::run(settings, move || load_all_settings(&flags), practice, output) {
        Ok(()) => Exit::Yes,
        Err(fault) => {
            output::fault(&format!("cannot watch: {fault}"));
            Exit::No
        }
    }
}
