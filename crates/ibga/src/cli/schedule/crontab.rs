//! `ibga schedule crontab`: the lines, and their place in this user's crontab.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::Args;
use jiff::tz::TimeZone;

use super::{
    CommonArgs, Exit, MarketArgs, Planned, as_this_machine_has_it, gateway_to_remove, here_and_now, usage_fault,
};
use crate::output::{Output, fault};
use crate::schedule::crontab::{block, with_block};

const AFTER_HELP: &str = "\
Examples:
  ibga schedule crontab                             print the lines of the checks
  ibga schedule crontab --install -- ./agent.py     put them and the agent's into your crontab
  ibga schedule crontab --remove                    take them out again

Type it in the folder, and as the user, in which the jobs shall run. Installing again replaces the block of the same \
gateway and nothing else. Where the zones of host and exchange drift apart within the year, each time has a line for each \
distance; only the one inside its window starts anything.

Exit codes: 0 done, 1 cron did not take it, 2 wrong usage or configuration.";

/// Write the schedule as lines of a crontab
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct CrontabArgs {
    /// Put the lines into this user's crontab
    #[arg(long, conflicts_with = "remove")]
    install: bool,
    /// Take the lines out of this user's crontab
    #[arg(long, conflicts_with = "command")]
    remove: bool,
    /// The zone that cron goes by [default: that of /etc/localtime]
    #[arg(long, value_name = "ZONE")]
    host_zone: Option<String>,
    #[command(flatten)]
    market: MarketArgs,
    #[command(flatten)]
    common: CommonArgs,
    /// The agent and its arguments
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

pub(super) fn run(arguments: &CrontabArgs) -> Result<Exit, Exit> {
    let output = arguments.common.output();
    if arguments.remove {
        let gateway = gateway_to_remove(&arguments.common)?;
        return replace(gateway.as_str(), None, output, "removed from the crontab of this user");
    }
    let mut at = here_and_now();
    at.zone = host_zone(arguments.host_zone.as_deref())?;
    let planned = Planned::read(&arguments.common, &arguments.market, &at)?;
    let jobs = planned.jobs(&arguments.common, &arguments.command)?;
    let lines = block(&jobs, &planned.zone, &at.zone, at.now).map_err(|fault| usage_fault(&fault.to_string()))?;
    if !arguments.install {
        output.data(&lines);
        return Ok(Exit::Yes);
    }
    let done = if jobs.agent.is_empty() {
        "installed the checks alone in the crontab of this user; name the agent after `--` to have it started"
    } else {
        "installed in the crontab of this user; `crontab -l` shows it"
    };
    replace(&jobs.gateway, Some((&lines, at.zone.iana_name())), output, done)
}

/// The zone that cron goes by: the machine's, whatever TZ says to this process.
fn host_zone(named: Option<&str>) -> Result<TimeZone, Exit> {
    let of_machine = || machine_zone(&fs::read_link("/etc/localtime"), first_line("/etc/timezone"));
    let Some(name) = named.map(str::to_owned).or_else(of_machine) else {
        return Err(usage_fault("this machine does not say which zone it is in; name it with --host-zone"));
    };
    TimeZone::get(&name).map(as_this_machine_has_it).map_err(|_| {
        usage_fault(&format!("`{name}` is no time zone; write a name such as Asia/Hong_Kong after --host-zone"))
    })
}

fn first_line(path: &str) -> Option<String> {
    let file = fs::File::open(path).ok()?;
    io::read_to_string(file).ok()?.lines().next().map(|line| line.trim().to_owned())
}

/// The name of the zone that the link `/etc/localtime` leads to, or else that `/etc/timezone` holds. Without the first a machine
/// counts in UTC.
fn machine_zone(localtime: &io::Result<PathBuf>, timezone: Option<String>) -> Option<String> {
    let link_name = |target: &PathBuf| Some(target.to_str()?.split_once("/zoneinfo/")?.1.to_owned());
    match localtime {
        Ok(target) => link_name(target).or(timezone),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Some("UTC".into()),
        // It is no link, but the zone itself.
        Err(_) => timezone,
    }
}

/// Replaces the block in the crontab of this user by one with the hours of a zone, or by none.
fn replace(gateway: &str, lines: Option<(&str, Option<&str>)>, output: Output, done: &str) -> Result<Exit, Exit> {
    let failed = |text: String| {
        fault(&text);
        Exit::No
    };
    let old = read_crontab().map_err(&failed)?;
    let new = with_block(&old, gateway, lines.map(|(lines, _)| lines), lines.and_then(|(_, zone)| zone))
        .map_err(|fault| failed(fault.to_string()))?;
    if new == old {
        output.data("nothing to change");
        return Ok(Exit::Yes);
    }
    write_crontab(&new).map_err(&failed)?;
    output.data(done);
    Ok(Exit::Yes)
}

fn read_crontab() -> Result<String, String> {
    let listed = Command::new("crontab").arg("-l").stdin(Stdio::null()).output().map_err(|fault| cannot_run(&fault))?;
    let said = String::from_utf8_lossy(&listed.stderr).into_owned();
    match String::from_utf8(listed.stdout) {
        // What is not text is not ours to write back.
        Err(_) => Err("the crontab of this user is not UTF-8 text; put the lines in by hand (`crontab -e`)".into()),
        Ok(text) if listed.status.success() => Ok(text),
        // The other is what busybox says.
        Ok(_) if said.contains("no crontab for") => Ok(String::new()),
        Ok(_) if said.contains("can't open") && said.contains("No such file") => Ok(String::new()),
        Ok(_) => Err(format!("`crontab -l` failed: {}", said.trim())),
    }
}

fn write_crontab(text: &str) -> Result<(), String> {
    let mut command = Command::new("crontab");
    let mut child =
        command.arg("-").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|fault| cannot_run(&fault))?;
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(text.as_bytes()));
    let ended = child.wait_with_output().map_err(|fault| cannot_run(&fault))?;
    if ended.status.success() && matches!(written, Some(Ok(()))) {
        return Ok(());
    }
    Err(format!("cron did not take the crontab: {}", String::from_utf8_lossy(&ended.stderr).trim()))
}

fn cannot_run(fault: &io::Error) -> String {
    match fault.kind() {
        io::ErrorKind::NotFound => "there is no `crontab` here; install cron, or use `ibga schedule systemd`".into(),
        _ => format!("cannot run `crontab`: {fault}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_of_a_machine() {
        let link = |target: &str| Ok(PathBuf::from(target));
        let failed = |kind| Err(io::Error::from(kind));
        for (localtime, timezone, name) in [
            (link("/usr/share/zoneinfo/Asia/Hong_Kong"), None, Some("Asia/Hong_Kong")),
            (link("../usr/share/zoneinfo/Etc/UTC"), Some("Europe/Paris"), Some("Etc/UTC")),
            (link("/srv/my-zone"), Some("Europe/Paris"), Some("Europe/Paris")),
            (failed(io::ErrorKind::NotFound), Some("Europe/Paris"), Some("UTC")),
            (failed(io::ErrorKind::InvalidInput), Some("Europe/Paris"), Some("Europe/Paris")),
            (failed(io::ErrorKind::InvalidInput), None, None),
        ] {
            assert_eq!(machine_zone(&localtime, timezone.map(str::to_owned)).as_deref(), name, "{localtime:?}");
        }
    }
}
