//! A watch as one user, agents and checks as others: whose word is believed, that nobody probes beside it, and that nobody is in its
//! way. Only root can be several users.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail their test")]

mod common;
#[path = "common/watching.rs"]
mod watching;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{Desk, Gateway, Ran, set_mode};
use ibga_sim::Scenario;
use watching::{Watch, eventually};

/// The user of the watch, that of the agent, and somebody else.
const WATCHER: u32 = 4_242_426;
const TRADER: u32 = 4_242_427;
const STRANGER: u32 = 4_242_428;

/// A folder as /tmp is, in which nobody removes another's file, with the binary in it, and a gateway.
struct Machine {
    desk: Desk,
    program: PathBuf,
    gateway: Gateway,
}

impl Machine {
    fn new() -> Self {
        let (desk, gateway) = (Desk::new(), Gateway::playing(Scenario::Ready));
        let program = desk.path("ibga");
        fs::copy(env!("CARGO_BIN_EXE_ibga"), &program).expect("copied");
        set_mode(&program, 0o755);
        set_mode(&desk.folder, 0o1777);
        Self { desk, program, gateway }
    }

    /// The binary run by a user, who trusts these.
    fn command(&self, user: u32, trusted: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        let (id, port) = (user.to_string(), self.gateway.address.port().to_string());
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]).arg(&self.program).args(arguments);
        command.current_dir(&self.desk.folder).env_clear().env("HOME", "/nonexistent").env("IBKR_PORT", port);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("IBGA_CONTAINER", "none");
        command.env("IBGA_STATUS_FILE", self.desk.status_file()).env("IBGA_HALT_FILE", self.desk.halt_file());
        command.env("IBGA_STATE_DIR", self.desk.path(&format!("state-{user}"))).env("IBGA_TRUSTED_OWNERS", trusted);
        command.env("IBGA_HEARTBEAT", "2s").env("IBGA_TIMEOUT", "3s");
        command
    }

    fn run(&self, user: u32, trusted: &str, arguments: &[&str]) -> Ran {
        Ran::from(self.command(user, trusted, arguments).output().expect("setpriv starts"))
    }

    /// The watch, once it reports.
    fn watch(&self, mode: &str) -> Watch {
        let mut command = self.command(WATCHER, "", &["watch"]);
        command.env("IBGA_STATUS_FILE_MODE", mode);
        let watch = Watch::start(command);
        self.desk.wait_for_cause("ready");
        watch
    }

    /// The codes of the reasons of a no-go.
    fn reasons(&self, user: u32, trusted: &str) -> String {
        let ran = self.run(user, trusted, &["preflight", "--force"]);
        ran.out + &ran.err
    }

    fn announcement(&self, user: u32) -> PathBuf {
        let mut path = self.gateway.lock_file().into_os_string();
        path.push(format!(".watch-{user}"));
        path.into()
    }

    fn owner(&self) -> u32 {
        fs::metadata(self.desk.status_file()).expect("a status file").uid()
    }
}

#[test]
fn as_root_an_agent_goes_by_the_watch_of_a_user_it_trusts() {
    let machine = Machine::new();
    let watch = machine.watch("0644");
    let go = ["run", "--force", "--", "echo", "started"];
    let ran = machine.run(TRADER, &WATCHER.to_string(), &go);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "started\n"), "{ran:?}");
    let ran = machine.run(TRADER, "", &go);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    let why = format!("it belongs to user id {WATCHER}; only this user, root and trusted_owners are believed");
    assert!(ran.err.contains(&why), "{}", ran.err);
    // A check tells what the watch knows; the file stays the watch's.
    let ran = machine.run(TRADER, &WATCHER.to_string(), &["check", "--json"]);
    assert_eq!((ran.code, ran.json()["writer"]["pid"].as_u64()), (Some(0), Some(u64::from(watch.id()))), "{ran:?}");
    assert!(ran.err.contains("`ibga watch` holds this gateway; this is what it knows"), "{}", ran.err);
    let ran = machine.run(TRADER, "", &["check"]);
    assert!(ran.code == Some(1) && ran.out.contains("only this user, root and trusted_owners are believed"), "{ran:?}");
    assert!(ran.out.contains(&WATCHER.to_string()) && ran.out.contains("`ibga watch` (process "), "{ran:?}");
    assert_eq!((machine.owner(), machine.gateway.count("connected")), (WATCHER, 1));
    let ran = watch.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!machine.announcement(WATCHER).exists() && !machine.gateway.lock_file().exists());
}

#[test]
fn as_root_a_shared_group_can_read_it_too() {
    let machine = Machine::new();
    // Files get the group of a folder that has this bit.
    set_mode(&machine.desk.folder, 0o3777);
    std::os::unix::fs::chown(&machine.desk.folder, None, Some(TRADER)).expect("given");
    let _watch = machine.watch("0640");
    let mode = fs::metadata(machine.desk.status_file()).expect("a file").permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
    let trusted = WATCHER.to_string();
    assert_eq!(machine.run(TRADER, &trusted, &["preflight", "--force"]).code, Some(0));
    let other = machine.reasons(STRANGER, &trusted);
    assert!(other.contains("this user may not read it"), "{other}");
}

#[test]
fn as_root_a_file_that_a_third_user_planted_is_refused() {
    let machine = Machine::new();
    let status = machine.desk.status_file();
    machine.watch("0644").end();
    // Its text is a good report's, down to the last byte.
    std::os::unix::fs::chown(&status, Some(STRANGER), Some(STRANGER)).expect("given away");
    let no = machine.reasons(TRADER, &WATCHER.to_string());
    assert!(no.contains(&format!("it belongs to user id {STRANGER}; only this user, root and trusted_owners")), "{no}");
    // The watch says what is in its way, and goes on trying.
    let mut command = machine.command(WATCHER, "", &["watch"]);
    command.env("IBGA_STATUS_FILE_MODE", "0644");
    let watch = Watch::start(command);
    watch.wait_for(&format!("the file there belongs to user id {STRANGER}: remove it"), false);
    fs::remove_file(&status).expect("removed");
    watch.wait_for("the status file can be written again", false);
    assert_eq!(machine.run(TRADER, &WATCHER.to_string(), &["preflight", "--force"]).code, Some(0));
}

/// A lock file of somebody else, as a killed check leaves it: the watch can hold it, but neither write nor remove it.
#[test]
fn as_root_the_lock_file_of_another_user_hinders_no_watch() {
    let machine = Machine::new();
    let lock = machine.gateway.lock_file();
    fs::write(&lock, "00000000000000000007\n").expect("left behind");
    std::os::unix::fs::chown(&lock, Some(STRANGER), Some(STRANGER)).expect("given away");
    set_mode(&lock, 0o644);
    let _lock = Removed(lock.clone());
    let watch = machine.watch("0644");
    assert_eq!(fs::metadata(&lock).expect("still there").uid(), STRANGER);
    let trusted = WATCHER.to_string();
    let ran = machine.run(TRADER, &trusted, &["check", "--json"]);
    assert_eq!((ran.code, ran.json()["writer"]["pid"].as_u64()), (Some(0), Some(u64::from(watch.id()))), "{ran:?}");
    // A second watch knows whom it stands by for.
    let second = Watch::start(machine.command(TRADER, &trusted, &["watch"]));
    second.wait_for(&format!("`ibga watch` (process {}) holds it; standing by", watch.id()), false);
    drop(second);
    // Who does not believe the watch waits, learns that somebody holds the gateway, and leaves the watch's file alone.
    for user in [TRADER, 0] {
        let ran = machine.run(user, "", &["check", "--json"]);
        assert_eq!((ran.code, ran.json()["cause"].as_str()), (Some(1), Some("probe_failed")), "{ran:?}");
        assert!(!ran.err.contains("cannot write"), "{ran:?}");
        assert_eq!(machine.owner(), WATCHER, "user {user}");
    }
    assert_eq!(machine.gateway.count("connected"), 1);
    // Killed, it leaves its word behind, which says nothing any more.
    watch.kill();
    assert!(machine.announcement(WATCHER).exists());
    let _announcement = Removed(machine.announcement(WATCHER));
    let other = machine.desk.path("own.json");
    let own = ["check", "--json", "--status-file", other.to_str().expect("UTF-8")];
    let ran = machine.run(TRADER, &trusted, &own);
    assert_eq!((ran.code, machine.gateway.count("connected")), (Some(0), 2), "{ran:?}");
}

/// Root may write everywhere, and would take the file away from a watch that it does not believe.
#[test]
fn as_root_a_check_by_root_leaves_the_file_of_a_watch_to_it() {
    let machine = Machine::new();
    let _watch = machine.watch("0600");
    let ran = machine.run(0, "", &["check", "--json"]);
    assert_eq!((ran.code, ran.json()["cause"].as_str()), (Some(1), Some("probe_failed")), "{ran:?}");
    let error = ran.json()["error"].as_str().map(str::to_owned).expect("a text");
    assert!(error.contains(&format!("it belongs to user id {WATCHER}")), "{error}");
    let sequence = machine.desk.sequence();
    eventually("the watch goes on", || machine.desk.sequence() > sequence.map(|number| number + 1));
    assert_eq!((machine.owner(), machine.gateway.count("connected")), (WATCHER, 1));
    let ran = machine.run(0, &WATCHER.to_string(), &["check"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// What lies where the watch would say that it is one: it watches all the same, and nobody is misled.
#[test]
fn as_root_what_is_planted_in_the_way_of_a_watch_misleads_nobody() {
    let machine = Machine::new();
    let announcement = machine.announcement(WATCHER);
    let _announcement = Removed(announcement.clone());
    let elsewhere = machine.desk.path("elsewhere.json");
    fs::write(&announcement, format!("watch 1 00000000000000000001 {}\n", elsewhere.display())).expect("planted");
    std::os::unix::fs::chown(&announcement, Some(STRANGER), Some(STRANGER)).expect("given away");
    let mut holder = Command::new("flock");
    let mut holder = holder.arg(&announcement).args(["sleep", "300"]).stdin(Stdio::null()).spawn().expect("flock");
    let _watch = machine.watch("0644");
    let ran = machine.run(TRADER, &WATCHER.to_string(), &["check", "--json"]);
    assert_eq!((ran.code, ran.json()["cause"].as_str()), (Some(1), Some("probe_failed")), "{ran:?}");
    assert!(ran.out.contains("another process has been probing this gateway"), "{ran:?}");
    assert_eq!((machine.owner(), machine.gateway.count("connected")), (WATCHER, 1));
    holder.kill().expect("killed");
    holder.wait().expect("ended");
}

/// A file in /tmp that goes at the end of its test.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_file(Path::new(&self.0));
    }
}
