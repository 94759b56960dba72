//! `ibga schedule systemd`: the units, and their place in a folder of systemd's.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::{Args, ValueHint};
use rustix::process::geteuid;

use super::{CommonArgs, Exit, MarketArgs, Planned, gateway_to_remove, here_and_now, usage_fault};
use crate::cli::load_all_settings;
use crate::output::{Output, fault, printable};
use crate::schedule::units::{
    Lookout, MARK, Manager, STATE_DIRECTORY, StateDirectory, Unit, UnitType, WATCH_UNIT, WatchService, Written, names,
    units,
};
use crate::settings::Settings;
use crate::users::{self, USERS};

const AFTER_HELP: &str = "\
Examples:
  ibga schedule systemd -- ./agent.py               print the units
  ibga schedule systemd --install -- ./agent.py     install and start them
  ibga schedule systemd --remove                    stop and remove them
  sudo ibga schedule systemd --install --user trader -- /home/trader/agent.py
  sudo ibga schedule systemd --install --watch --watch-user ibga --user trader -- /home/trader/agent.py
                                                    ibga watch instead of checks, as a user of its own

With --watch one service, ibga-watch.service, watches every gateway of the configuration, and no checks are scheduled. It stays when \
the units of a gateway go, until --remove --watch.

As root the units are the system's, for anybody else this user's own (let them run without a login: `loginctl \
enable-linger`). Timers name the exchange's zone, so that this machine's own does not matter. Only files made by this \
command are replaced or removed; an agent that runs meanwhile goes on to its end.

Exit codes: 0 done, 1 something was not installed or not started, 2 wrong usage or configuration.";

/// Write the schedule as systemd units
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct SystemdArgs {
    /// Write the units to their folder and start the timers
    #[arg(long, conflicts_with = "remove")]
    install: bool,
    /// Stop the timers and take the units out of their folder
    #[arg(long, conflicts_with = "command")]
    remove: bool,
    /// Folder to install to or remove from, without starting or stopping anything [default: systemd's own]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    folder: Option<PathBuf>,
    /// User that the system's units run as [default: whoever called sudo]
    #[arg(long, value_name = "USER", value_hint = ValueHint::Username)]
    user: Option<String>,
    /// Make the service of `ibga watch`, for all gateways, instead of checks; with --remove: take it away, too
    #[arg(long)]
    watch: bool,
    /// User that the watch runs as, if the system's manager runs it [default: that of --user]
    #[arg(long, value_name = "USER", value_hint = ValueHint::Username, requires = "watch", conflicts_with = "remove")]
    watch_user: Option<String>,
    #[command(flatten)]
    market: MarketArgs,
    #[command(flatten)]
    common: CommonArgs,
    /// The agent and its arguments
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

pub(super) fn run(arguments: &SystemdArgs) -> Result<Exit, Exit> {
    let output = arguments.common.output();
    let done = if arguments.remove {
        let gateway = gateway_to_remove(&arguments.common)?;
        let of_watch = if arguments.watch { WatchUnit::Goes } else { WatchUnit::Stays };
        Place::of(arguments.folder.as_deref())?.remove_all(gateway.as_str(), of_watch, output)
    } else {
        let (units, gateway) = made(arguments)?;
        if arguments.install {
            Place::of(arguments.folder.as_deref())?.install(&units, &gateway, output)
        } else {
            let shown = units.iter().map(|unit| format!("# {}\n{}", unit.name, unit.text));
            output.data(&shown.collect::<Vec<_>>().join("\n"));
            Ok(())
        }
    };
    done.map(|()| Exit::Yes).map_err(|text| {
        fault(&text);
        Exit::No
    })
}

/// The units, and the gateway that they are for.
fn made(arguments: &SystemdArgs) -> Result<(Vec<Unit>, String), Exit> {
    let planned = Planned::read(&arguments.common, &arguments.market, &here_and_now())?;
    let jobs = planned.jobs(&arguments.common, &arguments.command)?;
    let manager = manager(arguments.user.as_deref()).map_err(|fault| usage_fault(&fault))?;
    let Some(zone) = planned.zone.iana_name() else {
        return Err(usage_fault("the zone of this exchange has no name that systemd would know"));
    };
    if !is_writable_in_a_unit(&jobs.folder) {
        let folder = printable(&jobs.folder);
        return Err(usage_fault(&format!(
            "a unit cannot name the folder {folder}; run this in a folder with a plain name"
        )));
    }
    if let Some(fault) = private_settings(&planned.settings, &manager) {
        return Err(usage_fault(&fault));
    }
    let lookout = if arguments.watch {
        Lookout::Watch(Box::new(watch_service(arguments, &planned)?))
    } else {
        let mut written = written(std::slice::from_ref(&planned.settings));
        // What people were told is kept there; one that is not there yet is made by the first check that somebody types.
        written.folders.extend(planned.settings.state_dir.iter().map(|folder| folder.display().to_string()));
        Lookout::Checks(written)
    };
    Ok((units(&jobs, zone, &manager, &lookout), jobs.gateway))
}

/// The service of the watch, which is for all gateways whichever the agent is for.
fn watch_service(arguments: &SystemdArgs, planned: &Planned) -> Result<WatchService, Exit> {
    let user = arguments.watch_user.as_deref().or(arguments.user.as_deref());
    let manager = manager(user).map_err(|fault| usage_fault(&fault))?;
    if let Some(fault) = private_settings(&planned.settings, &manager) {
        return Err(usage_fault(&fault));
    }
    let mut flags = arguments.common.flags();
    flags.gateway = None;
    arguments.market.add_to(&mut flags);
    let all = load_all_settings(&flags).map_err(|fault| usage_fault(&fault.to_string()))?;
    let mut job = planned.watch_job(&arguments.common, &arguments.market)?;
    let mut written = written(&all);
    let state_dir = planned.settings.state_dir.as_deref().map(Path::to_owned);
    let is_usual = state_dir.as_deref() == Some(Path::new(STATE_DIRECTORY));
    let state = match manager {
        Manager::System { .. } if is_usual => {
            // Root's own default is no default of the service's user.
            let name = "IBGA_STATE_DIR";
            if job.environment.iter().all(|(known, _)| known != name) {
                job.environment.push((name.into(), STATE_DIRECTORY.into()));
            }
            StateDirectory::OfTheService
        }
        Manager::System { .. } | Manager::User => {
            written.folders.extend(state_dir.map(|folder| folder.display().to_string()));
            StateDirectory::Own
        }
    };
    Ok(WatchService { job, manager, written, state })
}

/// What becomes of the watch when the units of a gateway go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WatchUnit {
    Goes,
    Stays,
}

/// Settings that were found in a home that is not the job's.
fn private_settings(settings: &Settings, manager: &Manager) -> Option<String> {
    let Manager::System { user } = manager else { return None };
    let home = std::env::var_os("HOME").map(PathBuf::from)?;
    let config = settings.config.as_deref().filter(|path| path.starts_with(&home))?;
    let is_own = user == "root" && geteuid().is_root();
    (!is_own).then(|| {
        let (config, user) = (config.display(), printable(user));
        format!("the settings {config} lie in the home of another one than {user}; put them into /etc/ibga/ibga.toml, or name a --config")
    })
}

/// Who is to run the units. As root somebody has to be named, if only by sudo: an agent does not run as root by accident.
fn manager(user: Option<&str>) -> Result<Manager, String> {
    if !geteuid().is_root() {
        return match user {
            None => Ok(Manager::User),
            Some(_) => Err("--user takes the system's units, which root alone can install; use sudo".into()),
        };
    }
    let caller = std::env::var("SUDO_USER").ok().filter(|name| !["", "root"].contains(&name.as_str()));
    let user = user.map(str::to_owned).or(caller);
    let user = user.ok_or("name the user that the jobs run as with --user (root, if you mean it)")?;
    let users = fs::File::open(USERS).and_then(io::read_to_string).unwrap_or_default();
    if user.parse::<u32>().is_ok() || users::named(&user, &users).is_some() {
        return Ok(Manager::System { user });
    }
    Err(format!("there is no user {} in {USERS}; write a name that is there, or an id", printable(&user)))
}

/// Whether systemd reads the folder back as it is: the value of its setting is the rest of a line.
fn is_writable_in_a_unit(folder: &str) -> bool {
    !folder.chars().any(char::is_control) && !folder.ends_with('\\') && folder.trim() == folder
}

/// The folders that a check or a watch writes to: the status files', and the locks'.
fn written(settings: &[Settings]) -> Written {
    let folder_of = |one: &Settings| {
        let status = std::path::absolute(&one.status_file).ok();
        status.as_deref().and_then(Path::parent).map(Path::to_owned)
    };
    let mut folders: Vec<String> = std::iter::once(PathBuf::from("/tmp"))
        .chain(settings.iter().filter_map(folder_of))
        .map(|folder| folder.display().to_string())
        .collect();
    folders.sort();
    folders.dedup();
    Written { folders }
}

/// Where units lie, and whose manager reads them there.
struct Place {
    folder: PathBuf,
    manager: Reader,
}

/// Which manager is told of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// None: the folder is one that none reads.
    Nobody,
    /// The system's.
    System,
    /// This user's own.
    User,
}

impl Reader {
    /// How its command is typed.
    fn systemctl(self) -> &'static [&'static str] {
        match self {
            Self::Nobody => &[],
            Self::System => &["systemctl"],
            Self::User => &["systemctl", "--user"],
        }
    }
}

impl Place {
    /// A folder that was named, or that of this user's manager; for root it is the system's.
    fn of(named: Option<&Path>) -> Result<Self, Exit> {
        if let Some(folder) = named {
            return Ok(Self { folder: folder.to_owned(), manager: Reader::Nobody });
        }
        if geteuid().is_root() {
            return Ok(Self { folder: "/etc/systemd/system".into(), manager: Reader::System });
        }
        let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let config = config.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")));
        let folder = config.map(|config| config.join("systemd/user"));
        let folder = folder.ok_or_else(|| usage_fault("this user has no home for units; name a --folder"))?;
        Ok(Self { folder, manager: Reader::User })
    }

    /// Writes the units, all or none: a file that somebody else made is found before anything is written. Units of the same
    /// gateway that are no longer among them are taken away.
    fn install(&self, units: &[Unit], gateway: &str, output: Output) -> Result<(), String> {
        for unit in units {
            self.is_ours(&unit.name)?;
        }
        let outdated = names(gateway).into_iter().filter(|name| units.iter().all(|unit| unit.name != *name));
        self.remove(&outdated.collect::<Vec<_>>(), output)?;
        let folder = self.folder.display();
        fs::create_dir_all(&self.folder).map_err(|fault| format!("cannot make {folder}: {fault}"))?;
        for unit in units {
            let path = self.folder.join(&unit.name);
            let mut options = fs::OpenOptions::new();
            let file = options.write(true).create(true).truncate(true).mode(0o644).open(&path);
            let written = file.and_then(|mut file| file.write_all(unit.text.as_bytes()));
            written.map_err(|fault| format!("cannot write {}: {fault}", path.display()))?;
            output.data(&format!("wrote {}", path.display()));
        }
        let timers = units.iter().filter(|unit| unit.unit_type == UnitType::Timer).map(|unit| unit.name.as_str());
        let timers: Vec<&str> = timers.collect();
        self.systemctl(&["daemon-reload"])?;
        if units.iter().any(|unit| unit.name == WATCH_UNIT) {
            self.start_watch(output)?;
        } else {
            self.say_that_the_watch_stays(output)?;
        }
        if !timers.is_empty() {
            self.systemctl(&[&["enable", "--now"], timers.as_slice()].concat())?;
            if self.manager != Reader::Nobody {
                let typed = self.manager.systemctl().join(" ");
                output.data(&format!("started {}; `{typed} list-timers` shows when they run", timers.join(" and ")));
            }
        }
        Ok(())
    }

    /// One that runs is started anew, since its unit may have changed. Systemd returns when it has reported on every gateway.
    fn start_watch(&self, output: Output) -> Result<(), String> {
        self.systemctl(&["enable", WATCH_UNIT])?;
        self.systemctl(&["restart", WATCH_UNIT])?;
        if self.manager != Reader::Nobody {
            let typed = self.manager.systemctl().join(" ");
            output.data(&format!("started {WATCH_UNIT}; `{typed} status {WATCH_UNIT}` shows how the gateways are"));
        }
        Ok(())
    }

    fn say_that_the_watch_stays(&self, output: Output) -> Result<(), String> {
        if self.is_ours(WATCH_UNIT)? {
            output.data(&format!("{WATCH_UNIT} stays, since it watches all gateways; --remove --watch takes it away"));
        }
        Ok(())
    }

    /// Removes whatever units the gateway has.
    fn remove_all(&self, gateway: &str, of_watch: WatchUnit, output: Output) -> Result<(), String> {
        let mut all = names(gateway).to_vec();
        if of_watch == WatchUnit::Goes {
            all.push(WATCH_UNIT.into());
        }
        if self.remove(&all, output)? == 0 {
            output.data(&format!("there are no units of gateway {gateway} in {}", self.folder.display()));
        }
        if of_watch == WatchUnit::Stays { self.say_that_the_watch_stays(output) } else { Ok(()) }
    }

    /// Stops the timers among these units, and the watch, and removes those that are there and ours; says how many. What a timer has
    /// started goes on to its end: nobody ends an agent in the middle of its work by the way.
    fn remove(&self, names: &[String], output: Output) -> Result<usize, String> {
        let mut there = Vec::new();
        for name in names {
            if self.is_ours(name)? {
                there.push(name.as_str());
            }
        }
        let stopped: Vec<&str> = there.iter().copied().filter(|name| is_timer(name) || *name == WATCH_UNIT).collect();
        if !stopped.is_empty() {
            self.systemctl(&[&["disable", "--now"], stopped.as_slice()].concat())?;
        }
        for name in &there {
            let path = self.folder.join(name);
            fs::remove_file(&path).map_err(|fault| format!("cannot remove {}: {fault}", path.display()))?;
            output.data(&format!("removed {}", path.display()));
        }
        if !there.is_empty() {
            self.systemctl(&["daemon-reload"])?;
        }
        Ok(there.len())
    }

    /// Whether there is a unit of this name. One that this program did not make is a fault.
    fn is_ours(&self, name: &str) -> Result<bool, String> {
        let path = self.folder.join(name);
        match fs::File::open(&path).and_then(io::read_to_string) {
            Ok(text) if text.starts_with(MARK) => Ok(true),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(false),
            Ok(_) => Err(format!("{} was not made by this program; move it away first", path.display())),
            Err(fault) => Err(format!("cannot read {}: {fault}", path.display())),
        }
    }

    fn systemctl(&self, words: &[&str]) -> Result<(), String> {
        let Some((program, of_user)) = self.manager.systemctl().split_first() else { return Ok(()) };
        let typed = [self.manager.systemctl(), words].concat().join(" ");
        let failed = match Command::new(program).args(of_user).args(words).stdin(Stdio::null()).output() {
            Ok(ran) if ran.status.success() => return Ok(()),
            Ok(ran) => String::from_utf8_lossy(&ran.stderr).trim().to_owned(),
            Err(fault) => fault.to_string(),
        };
        Err(format!("`{typed}` failed: {}; repair that, then type this command again", printable(&failed)))
    }
}

fn is_timer(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "timer")
}
