//! `ibga schedule systemd`: the units, and their place in a folder of systemd's.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use rustix::process::geteuid;

use super::{CommonArgs, Exit, MarketArgs, Planned, here_and_now, usage_fault};
use crate::output::{Output, fault};
use crate::schedule::units::{MARK, Manager, Unit, UnitType, Written, units};
use crate::settings::Settings;

const AFTER_HELP: &str = "\
Examples:
  ibga schedule systemd -- ./agent.py               print the units of this user
  ibga schedule systemd --install -- ./agent.py     install and start them
  sudo ibga schedule systemd --install --user trader -- /home/trader/agent.py

As root the units are the system's, for anybody else this user's own (let them run without a login: `loginctl \
enable-linger`). Timers name the exchange's zone, so that this machine's own does not matter. Only files made by this \
command are replaced.

Exit codes: 0 done, 1 something was not installed or not started, 2 wrong usage or configuration.";

/// Write the schedule as systemd units
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct SystemdArgs {
    /// Write the units to their folder and start the timers
    #[arg(long)]
    install: bool,
    /// Folder to install to, without starting anything [default: systemd's own]
    #[arg(long, value_name = "FOLDER", requires = "install")]
    folder: Option<PathBuf>,
    /// User that the system's units run as [default: root]
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    #[command(flatten)]
    market: MarketArgs,
    #[command(flatten)]
    common: CommonArgs,
    /// The agent and its arguments
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

pub(super) fn run(arguments: &SystemdArgs) -> Result<Exit, Exit> {
    let at = here_and_now();
    let planned = Planned::read(&arguments.common, &arguments.market, &at)?;
    let jobs = planned.jobs(&arguments.common, &arguments.market, &whole_program(&arguments.command))?;
    let manager = match (&arguments.user, geteuid().is_root()) {
        (user, true) => Manager::System { user: user.clone() },
        (Some(_), false) => {
            return Err(usage_fault("--user takes the system's units, which root alone can install; use sudo"));
        }
        (None, false) => Manager::User,
    };
    let Some(zone) = planned.zone.iana_name() else {
        return Err(usage_fault("the zone of this exchange has no name that systemd would know"));
    };
    let units = units(&jobs, zone, &manager, &written(&planned.settings));
    let output = arguments.common.output();
    if !arguments.install {
        let shown = units.iter().map(|unit| format!("# {}\n{}", unit.name, unit.text));
        output.data(&shown.collect::<Vec<_>>().join("\n"));
        return Ok(Exit::Yes);
    }
    let installed = match &arguments.folder {
        Some(folder) => install(folder, &units, output),
        None => install(&own_folder(&manager)?, &units, output).and_then(|()| start(&manager, &units, output)),
    };
    installed.map(|()| Exit::Yes).map_err(|text| {
        fault(&text);
        Exit::No
    })
}

/// systemd looks for a program along a path of its own, so one that is named by a path is named by the whole of it.
fn whole_program(command: &[String]) -> Vec<String> {
    let mut command = command.to_vec();
    if let Some(program) = command.first_mut().filter(|program| program.contains('/'))
        && let Ok(whole) = std::path::absolute(Path::new(program.as_str()))
    {
        *program = whole.display().to_string();
    }
    command
}

/// The folders that a check writes to: the status file's, the state directory, and the locks'.
fn written(settings: &Settings) -> Written {
    let status = std::path::absolute(&settings.status_file).ok();
    let status = status.as_deref().and_then(Path::parent).map(Path::to_owned);
    let mut folders: Vec<String> = [Some(PathBuf::from("/tmp")), status, settings.state_dir.clone()]
        .into_iter()
        .flatten()
        .map(|folder| folder.display().to_string())
        .collect();
    folders.sort();
    folders.dedup();
    Written { folders }
}

fn own_folder(manager: &Manager) -> Result<PathBuf, Exit> {
    if matches!(manager, Manager::System { .. }) {
        return Ok("/etc/systemd/system".into());
    }
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let config = config.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")));
    config
        .map(|config| config.join("systemd/user"))
        .ok_or_else(|| usage_fault("this user has no home for units; name a --folder"))
}

/// Writes the units, all or none: a file that somebody else made is found before anything is written.
fn install(folder: &Path, units: &[Unit], output: Output) -> Result<(), String> {
    for unit in units {
        let path = folder.join(&unit.name);
        match fs::File::open(&path).and_then(io::read_to_string) {
            Ok(text) if text.starts_with(MARK) => {}
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
            Ok(_) => return Err(format!("{} was not made by this program; move it away first", path.display())),
            Err(fault) => return Err(format!("cannot read {}: {fault}", path.display())),
        }
    }
    fs::create_dir_all(folder).map_err(|fault| format!("cannot make {}: {fault}", folder.display()))?;
    for unit in units {
        let path = folder.join(&unit.name);
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o644).open(&path);
        let written = file.and_then(|mut file| file.write_all(unit.text.as_bytes()));
        written.map_err(|fault| format!("cannot write {}: {fault}", path.display()))?;
        output.data(&format!("wrote {}", path.display()));
    }
    Ok(())
}

/// Lets systemd read the units, and starts the timers.
fn start(manager: &Manager, units: &[Unit], output: Output) -> Result<(), String> {
    let timers = units.iter().filter(|unit| unit.unit_type == UnitType::Timer);
    let timers: Vec<&str> = timers.map(|unit| unit.name.as_str()).collect();
    let of_user: &[&str] = if *manager == Manager::User { &["--user"] } else { &[] };
    let mut enable = vec!["enable", "--now"];
    enable.extend(&timers);
    for words in [&["daemon-reload"][..], &enable] {
        let typed = [&["systemctl"], of_user, words].concat().join(" ");
        let ran = Command::new("systemctl").args(of_user).args(words).stdin(Stdio::null()).output();
        let failed = match ran {
            Ok(ran) if ran.status.success() => continue,
            Ok(ran) => String::from_utf8_lossy(&ran.stderr).trim().to_owned(),
            Err(fault) => fault.to_string(),
        };
        return Err(format!(
            "the units are written, but `{typed}` failed: {failed}; repair that, then type it yourself"
        ));
    }
    output.data(&format!("started {}; `systemctl list-timers` shows when they run", timers.join(" and ")));
    Ok(())
}
