//! The status file as others meet it: existing readers, killed writers, two checks at once.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Desk, Gateway, Ran, set_mode};
use ibga_sim::{Config, Scenario};

/// What existing readers do: parse the time, drop its zone, compare it with the local clock.
const OLD_READER: &str = r#"
import json, sys
from datetime import datetime
data = json.load(open(sys.argv[1]))
fields = ["status", "ready_to_trade", "container", "port", "connected", "authenticated", "accounts", "error", "timestamp", "check_type"]
assert list(data)[:10] == fields, list(data)
age = (datetime.now() - datetime.fromisoformat(data["timestamp"]).replace(tzinfo=None)).total_seconds()
assert 0 <= age < 60, age
assert data["ready_to_trade"] is True and data["status"] == "ready" and data["accounts"] == ["DU1234567"]
"#;

#[test]
fn an_existing_python_reader_is_content() {
    let (desk, gateway) = (Desk::new(), Gateway::start(Config::default()));
    for zone in ["Asia/Hong_Kong", "America/New_York", "UTC", "Asia/Kolkata"] {
        let port = gateway.address.port().to_string();
        let mut check = desk.command(&["check", "--port", &port]);
        assert!(check.env("TZ", zone).output().expect("starts").status.success());
        let mut reader = Command::new("python3");
        reader.args(["-c", OLD_READER]).arg(desk.status_file()).env("TZ", zone);
        let ran = Ran::from(reader.output().expect("python3 starts"));
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{zone}");
    }
}

#[test]
fn a_killed_writer_leaves_a_whole_file_and_the_next_one_tidies_up() {
    let (desk, gateway) = (Desk::new(), Gateway::start(Config::default()));
    let port = gateway.address.port().to_string();
    let arguments = ["check", "--port", &port, "--settle", "0ms"];
    assert_eq!(desk.run(&arguments).code, Some(0));
    for round in 0..60 {
        let mut child = desk.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        // Spread over the whole life of a check, which takes some ten milliseconds.
        let (sender, moment) = std::sync::mpsc::channel::<()>();
        let _ = moment.recv_timeout(Duration::from_micros(400 * round));
        drop(sender);
        child.kill().expect("killed");
        child.wait().expect("ended");
        assert_eq!(desk.status()["status"], "ready", "round {round}");
    }
    assert_eq!(desk.run(&arguments).code, Some(0));
    let names: Vec<_> =
        std::fs::read_dir(&desk.folder).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["status.json"]);
}

#[test]
fn a_second_check_waits_for_the_first_and_takes_over_its_result() {
    let desk = Desk::new();
    let gateway = Gateway::start(Config { delay: Duration::from_millis(200), ..Config::default() });
    let port = gateway.address.port().to_string();
    let spawn = |arguments: &[&str]| {
        let mut command = desk.command(&[&["check", "--port", &port, "--json"], arguments].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
    };
    let same = [spawn(&[]), spawn(&[]), spawn(&[])].map(|child| Ran::from(child.wait_with_output().expect("ends")));
    assert!(same.iter().all(|ran| ran.code == Some(0) && ran.json() == same[0].json()), "{same:?}");
    let taken_over = same.iter().filter(|ran| ran.err.contains("another process was probing already")).count();
    assert_eq!((taken_over, gateway.count("connected")), (2, 1));
    // Whoever expects something else looks for himself, but not at the same time.
    let other =
        [spawn(&[]), spawn(&["--expect-mode", "live"])].map(|child| Ran::from(child.wait_with_output().expect("ends")));
    let causes = [&other[0], &other[1]].map(|ran| ran.json()["cause"].clone());
    assert_eq!(causes, ["ready", "wrong_mode"]);
    assert_eq!(gateway.count("connected"), 3);
}

/// Both print as `DU***67`.
#[test]
fn a_result_for_another_account_is_not_taken_over() {
    let desk = Desk::new();
    let gateway = Gateway::start(Config { delay: Duration::from_millis(100), ..Config::default() });
    let port = gateway.address.port().to_string();
    let spawn = |account: &str| {
        let mut command = desk.command(&["check", "--port", &port, "--json", "--expect-account", account]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
    };
    let rans = [spawn("DU1234567"), spawn("DU9999967")].map(|child| Ran::from(child.wait_with_output().expect("ends")));
    let causes = [&rans[0], &rans[1]].map(|ran| ran.json()["cause"].clone());
    assert_eq!(causes, ["ready", "wrong_account"]);
}

#[test]
fn an_old_report_does_not_outlive_a_new_one_that_cannot_be_written() {
    let desk = Desk::new();
    let ready = Gateway::start(Config::default());
    assert_eq!(desk.check(ready.address, &[]).code, Some(0));
    // A limit of no bytes for files stands for a full disk.
    let port = ready.address.port().to_string();
    let limited = format!("trap '' XFSZ; ulimit -f 0; exec {} check --port {port}", env!("CARGO_BIN_EXE_ibga"));
    let mut command = desk.command_under("sh", &["-c", &limited], &[]);
    let ran = Ran::from(command.output().expect("sh starts"));
    assert_eq!((ran.code, ran.err.contains("cannot write ")), (Some(1), true), "{ran:?}");
    let preflight = desk.run(&["preflight", "--force", "--json"]);
    assert_eq!(preflight.json()["reasons"][0]["code"], "status_missing");
}

#[test]
fn a_lock_made_under_a_narrow_umask_does_not_lock_others_out() {
    let (desk, gateway) = (Desk::new(), Gateway::playing(Scenario::ApiSilent));
    let script = format!("umask 077; exec {} check --port {}", env!("CARGO_BIN_EXE_ibga"), gateway.address.port());
    let mut checking = desk.command_under("sh", &["-c", &script], &[]).spawn().expect("sh starts");
    // The lock is there for as long as the probe waits.
    gateway.wait_for_client();
    let mode = std::fs::metadata(gateway.lock_file()).expect("a lock").permissions().mode();
    assert_eq!(mode & 0o7777, 0o644);
    checking.kill().expect("killed");
    checking.wait().expect("ended");
    // What a killed process leaves behind hinders nobody, and the next one removes it.
    assert!(gateway.lock_file().exists());
    desk.check(gateway.address, &["--timeout", "300ms"]);
    assert!(!gateway.lock_file().exists());
}

#[test]
fn a_status_that_cannot_be_written_is_not_ready() {
    let (desk, gateway) = (Desk::new(), Gateway::start(Config::default()));
    let ran = desk.check(gateway.address, &["--status-file", "/nonexistent/folder/status.json"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("cannot write /nonexistent/folder/status.json: "), "{}", ran.err);
    assert!(ran.err.contains("create its folder: mkdir -p /nonexistent/folder"), "{}", ran.err);
}

#[test]
fn changes_are_told() {
    let desk = Desk::new();
    let ready = Gateway::start(Config::default());
    let lines = |ran: Ran| {
        ran.err
            .lines()
            .filter(|line| line.contains("changed") || line.contains("first"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(desk.check(ready.address, &[])), ["first report: ready"]);
    assert_eq!(lines(desk.check(ready.address, &[])), [""; 0]);
    let silent = Gateway::playing(Scenario::PaperDisclaimer);
    let changed = lines(desk.check(silent.address, &[]));
    assert_eq!(changed, ["changed: ready -> error (paper_disclaimer), after 0 s"]);
}

#[test]
fn account_ids_are_masked_everywhere_but_in_the_file() {
    let (desk, gateway) = (Desk::new(), Gateway::start(Config::default()));
    let check = desk.check(gateway.address, &["-v", "--expect-account", "U7654321", "--expect-mode", "paper"]);
    let preflight = desk.run(&["preflight", "--expect-account", "U7654321"]);
    let status = desk.run(&["status"]);
    let status_json = desk.run(&["status", "--json"]);
    for ran in [&check, &preflight, &status, &status_json] {
        for id in ["DU1234567", "U7654321"] {
            assert!(!ran.out.contains(id) && !ran.err.contains(id), "{ran:?}");
        }
    }
    assert_eq!(desk.status()["accounts"][0], "DU1234567");
    assert!(desk.run(&["status", "--show-accounts"]).out.contains("DU1234567"));
}

/// A folder that all users share, with a copy of the binary that they all can run.
fn shared_desk() -> (Desk, PathBuf) {
    let desk = Desk::new();
    let binary = desk.path("ibga");
    let copied = std::fs::copy(env!("CARGO_BIN_EXE_ibga"), &binary);
    assert!(copied.is_ok(), "{copied:?}");
    set_mode(&binary, 0o755);
    set_mode(&desk.folder, 0o777);
    (desk, binary)
}

/// A program run by somebody else; only root can do that.
fn run_by(user: u32, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().uid(user).gid(user).current_dir("/").stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("IBGA_CONTAINER", "none");
    command
}

/// A killed check of one user leaves its lock, which another user can hold but not write.
#[test]
fn as_root_a_result_for_another_purpose_is_not_taken_over_from_a_foreign_lock() {
    let (desk, binary) = shared_desk();
    let (strict, lax) = (4_242_424, 4_242_425);
    let gateway = Gateway::start(Config { delay: Duration::from_millis(300), ..Config::default() });
    let port = gateway.address.port().to_string();
    let check = |user, more: &[&str]| {
        let mut command = run_by(user, &binary);
        command.args(["check", "--json", "--port", &port]).args(more);
        command.env("IBGA_STATUS_FILE", desk.status_file()).env("IBGA_STATUS_FILE_MODE", "0644");
        command.env("IBGA_TRUSTED_OWNERS", format!("{strict},{lax}")).spawn().expect("starts")
    };
    let expecting = ["--expect-account", "DU9999999"];
    let mut killed = check(strict, &expecting);
    gateway.wait_for_client();
    killed.kill().expect("killed");
    killed.wait().expect("ended");
    assert!(gateway.lock_file().exists(), "left behind");
    let holding = check(lax, &[]);
    gateway.wait_for_client();
    let waiting = check(strict, &expecting);
    let rans = [holding, waiting].map(|child| Ran::from(child.wait_with_output().expect("ends")));
    let causes = [&rans[0], &rans[1]].map(|ran| ran.json()["cause"].clone());
    assert_eq!(causes, ["ready", "wrong_account"], "{rans:?}");
    assert_eq!((rans[0].code, rans[1].code), (Some(0), Some(1)));
}

/// Where nothing listens a check is shortest, and the lock changes hands most often.
#[test]
fn as_root_users_with_a_narrow_umask_never_meet_a_lock_that_they_cannot_open() {
    let (desk, binary) = shared_desk();
    let gateway = Gateway::start(Config::default());
    let (port, lock) = (gateway.address.port().to_string(), gateway.lock_file());
    drop(gateway);
    let script = "umask 077; for round in $(seq 120); do \"$IBGA\" check --port \"$PORT\"; done";
    let loops = [4_242_424, 4_242_425, 4_242_426, 4_242_427].map(|user| {
        let mut shell = run_by(user, Path::new("sh"));
        shell.args(["-c", script]).env("IBGA", &binary).env("PORT", &port);
        shell.env("IBGA_STATUS_FILE", desk.path(&format!("{user}.json"))).spawn().expect("sh starts")
    });
    for child in loops {
        let ran = Ran::from(child.wait_with_output().expect("ends"));
        let others = ran.out.lines().filter(|line| !line.contains("port_refused")).collect::<Vec<_>>();
        assert!(others.is_empty() && ran.out.lines().count() == 120, "{others:#?}");
    }
    let name = lock.file_name().and_then(|name| name.to_str()).expect("a name");
    let left = std::fs::read_dir("/tmp").expect("a folder").flatten().map(|entry| entry.file_name());
    let left: Vec<_> = left.filter(|file| file.to_string_lossy().starts_with(name)).collect();
    assert!(left.is_empty(), "{left:?}");
}
