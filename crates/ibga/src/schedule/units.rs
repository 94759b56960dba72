//! The schedule as systemd units: a service and a timer for the checks, and the same for the agent. The timers name the
//! exchange's zone, so that neither the host's zone nor a change of clocks moves them. One service that always runs, the watch of
//! all gateways, can stand in the place of the checks.

use std::fmt::Write as _;

use ibga_core::window::{Days, wall, weekday_name};

use super::{Jobs, Kind, Slot, WatchJob};

/// The first line of every unit that is made here; a file without it is somebody else's.
pub const MARK: &str = "# Made by `ibga schedule systemd`, which replaces it.";

/// Whose manager runs the units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manager {
    /// The system's; the jobs run as this user.
    System {
        /// The user: a name that is known, or an id.
        user: String,
    },
    /// The user's own.
    User,
}

/// What a unit is to systemd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitType {
    /// A command.
    Service,
    /// The hours at which one runs.
    Timer,
}

/// One unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its file name.
    pub name: String,
    /// What it is.
    pub unit_type: UnitType,
    /// Its text.
    pub text: String,
}

/// Folders that the check writes to, as far as they exist.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// Whole paths.
    pub folders: Vec<String>,
}

/// Who looks after the gateway.
#[derive(Clone, Debug)]
pub enum Lookout {
    /// A check at each time of the plan, which writes to these folders.
    Checks(Written),
    /// `ibga watch`, all the time.
    Watch(Box<WatchService>),
}

/// The service of the watch.
#[derive(Clone, Debug)]
pub struct WatchService {
    /// What it runs.
    pub job: WatchJob,
    /// Who runs it, who need not be the one that runs the agent.
    pub manager: Manager,
    /// Where it writes, besides its state directory.
    pub written: Written,
    /// Whose the state directory is.
    pub state: StateDirectory,
}

/// Who makes the directory of store and history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateDirectory {
    /// The system's manager makes [`STATE_DIRECTORY`] and gives it to the service's user.
    OfTheService,
    /// Somebody chose another, or the user's manager leaves it to the program.
    Own,
}

/// What `StateDirectory=ibga` comes to.
pub const STATE_DIRECTORY: &str = "/var/lib/ibga";

/// The unit of the watch: it is for all gateways, so its name holds none. (`ibga-watch` would be the stem of a gateway named
/// `watch`, whose own units have one more word.)
pub const WATCH_UNIT: &str = "ibga-watch.service";

/// The file names of all units that a gateway can have, whatever it has now.
pub fn names(gateway: &str) -> [String; 4] {
    let stem = stem(gateway);
    ["check.timer", "check.service", "agent.timer", "agent.service"].map(|name| format!("{stem}-{name}"))
}

fn stem(gateway: &str) -> String {
    if gateway == "default" { "ibga".to_owned() } else { format!("ibga-{gateway}") }
}

/// The units: two for the checks or one for the watch, two for the agent if there is one. `zone` is the exchange's.
pub fn units(jobs: &Jobs, zone: &str, manager: &Manager, lookout: &Lookout) -> Vec<Unit> {
    let stem = stem(&jobs.gateway);
    let service =
        |name: &str, text| Unit { name: format!("{stem}-{name}.service"), unit_type: UnitType::Service, text };
    let timer_of = |name: &str, kind| Unit {
        name: format!("{stem}-{name}.timer"),
        unit_type: UnitType::Timer,
        text: timer(jobs, kind, zone),
    };
    let mut units = match lookout {
        Lookout::Checks(written) => {
            vec![service("check", check_service(jobs, manager, written)), timer_of("check", Kind::Check)]
        }
        Lookout::Watch(watch) => {
            vec![Unit { name: WATCH_UNIT.into(), unit_type: UnitType::Service, text: watch_service(watch) }]
        }
    };
    if !jobs.agent.is_empty() {
        units.extend([service("agent", agent_service(jobs, manager)), timer_of("agent", Kind::Agent)]);
    }
    units
}

/// What `OnCalendar` takes for a slot.
fn on_calendar(slot: &Slot, zone: &str) -> String {
    let days = match slot.days {
        Days::Trading => "mon..fri ".to_owned(),
        Days::Daily => String::new(),
        Days::Weekly(weekday) => format!("{} ", weekday_name(weekday)),
    };
    format!("{days}*-*-* {}:00 {zone}", wall(slot.time))
}

fn timer(jobs: &Jobs, kind: Kind, zone: &str) -> String {
    let what = match kind {
        Kind::Check => "Checks",
        Kind::Agent => "Agent runs",
    };
    let mut text = format!(
        "{MARK}\n[Unit]\nDescription={what} around the hours of {} (gateway {})\n\n[Timer]\n",
        jobs.exchange, jobs.gateway
    );
    for slot in jobs.slots().iter().filter(|slot| slot.kind == kind) {
        let _ = writeln!(text, "OnCalendar={}", on_calendar(slot, zone));
    }
    // A run that was missed while the machine slept must not be made up for hours later.
    text.push_str("AccuracySec=1s\nPersistent=false\n\n[Install]\nWantedBy=timers.target\n");
    text
}

fn check_service(jobs: &Jobs, manager: &Manager, written: &Written) -> String {
    let mut text = head_of_job(jobs, "Check of the gateway", manager);
    let _ = writeln!(text, "ExecStart={}", joined(&jobs.command(Kind::Check, &windows(jobs, Kind::Check))));
    let _ = writeln!(text, "TimeoutStartSec={}s", jobs.check_limit.as_secs());
    text.push_str("\n# It reads its settings, opens sockets, and writes the status file.\n");
    harden(&mut text, manager, written);
    text
}

/// `Type=notify` with a signal for the reload, since `notify-reload` takes systemd 253 and Debian 12 has 252; the watch says itself
/// when a reload begins and ends.
fn watch_service(watch: &WatchService) -> String {
    let WatchService { job, manager, written, state } = watch;
    let mut text = head("Watch of the gateways", "notify", manager, &job.folder, &job.environment);
    let _ = writeln!(text, "ExecStart={}", joined(&job.command()));
    text.push_str(WATCH_LIFE);
    if *state == StateDirectory::OfTheService {
        text.push_str(WATCH_STATE);
    }
    text.push_str(WATCH_HARDENING_COMMENT);
    harden(&mut text, manager, written);
    let target = if *manager == Manager::User { "default.target" } else { "multi-user.target" };
    let _ = write!(text, "\n[Install]\nWantedBy={target}\n");
    text
}

/// How the watch lives. A fault of its settings (exit code 2) does not go away by starting it again.
const WATCH_LIFE: &str = "\
ExecReload=/bin/kill -HUP $MAINPID
NotifyAccess=main
WatchdogSec=60s
Restart=on-failure
RestartSec=5s
RestartPreventExitStatus=2
TimeoutStartSec=2min
TimeoutStopSec=30s
# A socket and two locks for each gateway.
LimitNOFILE=65536
";

const WATCH_STATE: &str = "\
StateDirectory=ibga
StateDirectoryMode=0700
";

const WATCH_HARDENING_COMMENT: &str = "
# It reads its settings, opens sockets, and writes status files and locks. These lie in the /tmp and /var/tmp that agents,
# checks and `ibga halt` of all users share: PrivateTmp=yes or DynamicUser=yes would hide them from everybody else.
";

fn harden(text: &mut String, manager: &Manager, written: &Written) {
    text.push_str(HARDENING);
    if matches!(manager, Manager::System { .. }) {
        text.push_str(HARDENING_OF_SYSTEM_UNITS);
        let folders: Vec<String> = written.folders.iter().map(|folder| quoted(&format!("-{folder}"))).collect();
        let _ = writeln!(text, "ReadWritePaths={}", folders.join(" "));
    }
}

fn agent_service(jobs: &Jobs, manager: &Manager) -> String {
    let mut text = head_of_job(jobs, "Agent behind the gate", manager);
    let _ = writeln!(text, "ExecStart={}", joined(&jobs.command(Kind::Agent, &windows(jobs, Kind::Agent))));
    // What the agent itself needs is not known here.
    text.push_str("NoNewPrivileges=yes\n");
    text
}

/// Restrictions that take no rights to set up.
const HARDENING: &str = "\
NoNewPrivileges=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0077
";

/// Restrictions that the system's manager alone can set up. `PrivateTmp` is missing on purpose: readers look for the status file
/// in the `/tmp` that all share.
const HARDENING_OF_SYSTEM_UNITS: &str = "\
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=read-only
ProtectProc=invisible
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
PrivateDevices=yes
";

fn head_of_job(jobs: &Jobs, what: &str, manager: &Manager) -> String {
    head(&format!("{what} ({})", jobs.gateway), "oneshot", manager, &jobs.folder, &jobs.environment)
}

fn head(what: &str, service: &str, manager: &Manager, folder: &str, environment_of: &[(String, String)]) -> String {
    let mut text = format!(
        "{MARK}\n[Unit]\nDescription={what}\n{}\n[Service]\nType={service}\nWorkingDirectory={}\n",
        // A user's manager knows neither of these.
        if *manager == Manager::User { "" } else { "Wants=network-online.target\nAfter=network-online.target\n" },
        // No quotes: this setting takes the rest of the line.
        escaped(folder),
    );
    if let Manager::System { user } = manager {
        let _ = writeln!(text, "User={user}");
    }
    for (name, value) in environment_of {
        let _ = writeln!(text, "Environment={}", environment(name, value));
    }
    text
}

fn windows(jobs: &Jobs, kind: Kind) -> Vec<ibga_core::window::Window> {
    jobs.slots().iter().filter(|slot| slot.kind == kind).map(Slot::window).collect()
}

fn joined(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word as `systemd.syntax` has it. A dollar sign is doubled, since `ExecStart` puts variables in.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@,+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    let word = escaped(word).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('$', "$$");
    format!("\"{word}\"")
}

/// An assignment for `Environment`, in which a dollar sign means nothing.
fn environment(name: &str, value: &str) -> String {
    quoted(&format!("{name}={value}")).replace("$$", "$")
}

/// A text in which systemd finds nothing to put in.
fn escaped(text: &str) -> String {
    text.replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::{jobs, watch_job};

    fn all(manager: &Manager) -> String {
        let written = Written { folders: vec!["/tmp".into(), "/var/lib/ibga".into()] };
        shown(&units(&jobs(), "Asia/Hong_Kong", manager, &Lookout::Checks(written)))
    }

    fn with_a_watch(manager: &Manager, of_watch: Manager, state: StateDirectory) -> Vec<Unit> {
        let written = Written { folders: vec!["/srv/my status".into(), "/tmp".into()] };
        let service = WatchService { job: watch_job(), manager: of_watch, written, state };
        units(&jobs(), "Asia/Hong_Kong", manager, &Lookout::Watch(Box::new(service)))
    }

    fn shown(units: &[Unit]) -> String {
        units.iter().map(|unit| format!("--- {}\n{}", unit.name, unit.text)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn of_both_managers() {
        insta::assert_snapshot!("units_system", all(&Manager::System { user: "trader".into() }));
        insta::assert_snapshot!("units_user", all(&Manager::User));
    }

    #[test]
    fn a_watch_takes_the_place_of_the_checks() {
        let of = |user: &str| Manager::System { user: user.into() };
        let system = with_a_watch(&of("trader"), of("ibga"), StateDirectory::OfTheService);
        insta::assert_snapshot!("units_watch_system", shown(system.get(..1).expect("the watch")));
        let names: Vec<&str> = system.iter().map(|unit| unit.name.as_str()).collect();
        assert_eq!(names, [WATCH_UNIT, "ibga-agent.service", "ibga-agent.timer"]);
        let own = with_a_watch(&Manager::User, Manager::User, StateDirectory::Own);
        insta::assert_snapshot!("units_watch_user", shown(own.get(..1).expect("the watch")));
        // Whatever hides /tmp hides the status file.
        for unit in system.iter().chain(&own) {
            for line in unit.text.lines().filter(|line| !line.starts_with('#')) {
                assert!(!line.starts_with("PrivateTmp") && !line.starts_with("DynamicUser"), "{line}");
            }
        }
        // No gateway's own unit has that name.
        assert!(["default", "watch"].iter().all(|gateway| !names_of(gateway).contains(&WATCH_UNIT.to_owned())));
    }

    fn names_of(gateway: &str) -> Vec<String> {
        names(gateway).to_vec()
    }

    #[test]
    fn variables_survive_systemd() {
        assert_eq!(environment("IBGA_EXCHANGE", "XNYS"), "IBGA_EXCHANGE=XNYS");
        assert_eq!(environment("IBGA_RESET_WINDOWS", "a $b 100%"), "\"IBGA_RESET_WINDOWS=a $b 100%%\"");
    }

    #[test]
    fn words_survive_systemd() {
        for (word, text) in [
            ("--expect-mode", "--expect-mode"),
            ("", "\"\""),
            ("two words", "\"two words\""),
            ("100%", "\"100%%\""),
            ("$HOME", "\"$$HOME\""),
            ("a\"b\\c", "\"a\\\"b\\\\c\""),
            ("a\nb", "\"a\\nb\""),
        ] {
            assert_eq!(quoted(word), text);
        }
    }
}
