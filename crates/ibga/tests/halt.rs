//! Halt and resume through the real binary: what it stops, what nothing passes over, and who may end it.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "helpers of tests fail their test")]

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use common::{Desk, Gateway, Ran, set_mode};
use ibga_sim::Scenario;

/// A desk at which an agent may start.
fn ready() -> Desk {
    let (desk, gateway) = (Desk::new(), Gateway::playing(Scenario::Ready));
    assert_eq!(desk.check(gateway.address, &["--settle", "0ms"]).code, Some(0));
    desk
}

/// The codes of the reasons of a no-go.
fn codes(desk: &Desk, more: &[&str]) -> Vec<String> {
    let json = desk.run(&[&["preflight", "--force", "--json"], more].concat()).json();
    let reasons = json["reasons"].as_array().expect("a list").clone();
    reasons.iter().map(|reason| reason["code"].as_str().expect("a code").to_owned()).collect()
}

#[test]
fn a_halt_holds_until_it_is_ended_and_nothing_passes_it_over() {
    let desk = ready();
    assert_eq!(codes(&desk, &[]), [""; 0]);
    let ran = desk.run(&["halt", "--reason", "odd fills in U1234567"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let who = std::env::var("USER").unwrap_or_else(|_| "root".into());
    let said = format!("halted: all gateways; `ibga resume` ends it\nHalted by {who} on ");
    assert!(ran.out.starts_with(&said) && ran.out.ends_with(": odd fills in ***\n"), "{}", ran.out);
    assert_eq!(fs::metadata(desk.halt_file()).expect("there").mode() & 0o777, 0o644);
    assert_eq!(codes(&desk, &[]), ["halted"]);
    for options in [&["--force"][..], &["--skip-preflight"], &["--skip-preflight", "--force", "--supervise"]] {
        let ran = desk.run(&[&["run"], options, &["--", "touch", "started"]].concat());
        assert_eq!((ran.code, desk.path("started").exists()), (Some(1), false), "{options:?}: {ran:?}");
        assert!(ran.err.contains("Reason: IBGA: Halted by "), "{}", ran.err);
        assert!(ran.err.contains(" ibga run: no-go, touch was not started: Halted by "), "{}", ran.err);
    }
    let status = desk.run(&["status"]).out;
    assert!(status.contains("- Halted by ") && status.contains("`ibga resume`"), "{status}");
    let ran = desk.run(&["resume"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.out.starts_with("resumed: all gateways; agents may start again\nended: Halted by "), "{}", ran.out);
    assert_eq!(codes(&desk, &[]), [""; 0]);
    assert_eq!(desk.run(&["run", "--force", "--", "touch", "started"]).code, Some(0));
    assert!(desk.path("started").exists());
}

#[test]
fn a_second_halt_and_a_second_resume_change_nothing() {
    let desk = Desk::new();
    let ran = desk.run(&["resume"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "nothing is halted: all gateways\n"));
    desk.run(&["halt", "--reason", "first"]);
    let second = desk.run(&["halt", "--reason", "second"]);
    assert_eq!(second.code, Some(0));
    assert!(second.out.starts_with("already halted, which stays as it is: all gateways\nHalted by "), "{}", second.out);
    assert!(second.out.ends_with(": first\n"), "{}", second.out);
    let again = desk.run(&["halt", "--reason", "third", "--json"]).json();
    assert_eq!(
        (&again["new"], &again["halted"], &again["halt"]["reason"]),
        (&false.into(), &true.into(), &"first".into())
    );
    let ended = desk.run(&["resume", "--json"]).json();
    assert_eq!((&ended["resumed"], &ended["ended"]["reason"]), (&true.into(), &"first".into()));
    let ended = desk.run(&["resume", "--json"]).json();
    assert_eq!((&ended["resumed"], &ended["ended"]), (&false.into(), &serde_json::Value::Null));
}

#[test]
fn one_gateway_can_be_halted_alone() {
    let desk = Desk::new();
    desk.write("ibga.toml", "[gateway.paper]\nport = 4002\n[gateway.live]\nport = 4001\n");
    let halted = |gateway: &str| codes(&desk, &["--gateway", gateway]).contains(&"halted".to_owned());
    assert_eq!(desk.run(&["halt", "--gateway", "paper", "--reason", "new model"]).code, Some(0));
    assert!(desk.path("halt-paper.json").exists() && halted("paper") && !halted("live"));
    // A variable narrows nothing down.
    let mut all = desk.command(&["halt", "--reason", "everything"]);
    assert_eq!(all.env("IBGA_GATEWAY", "live").status().expect("starts").code(), Some(0));
    assert!(halted("paper") && halted("live"));
    let ran = desk.run(&["resume"]);
    assert!(
        ran.err.starts_with("still halted: gateway paper; `ibga resume --gateway paper` ends that\n"),
        "{}",
        ran.err
    );
    assert!(halted("paper") && !halted("live"));
    assert_eq!(desk.run(&["resume", "--gateway", "paper"]).code, Some(0));
    assert!(!halted("paper"));
}

#[test]
fn a_reason_is_wanted_and_faults_halt_nothing() {
    let desk = Desk::new();
    for arguments in [&["halt"][..], &["halt", "--reason", " \t"], &["halt", "--reason", "x", "--gateway", "papre"]] {
        let ran = desk.run(arguments);
        assert_eq!((ran.code, desk.halt_file().exists()), (Some(2), false), "{arguments:?}: {ran:?}");
    }
    desk.write("ibga.toml", "prot = 1\n");
    let ran = desk.run(&["halt", "--reason", "now"]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.err.contains("did you mean `port`?") && ran.err.contains("`touch /var/tmp/ibga-halt.json`"),
        "{}",
        ran.err
    );
    fs::remove_file(desk.path("ibga.toml")).expect("removed");
    let mut command = desk.command(&["halt", "--reason", "now"]);
    let ran = Ran::from(command.env("IBGA_HALT_FILE", desk.path("absent/halt.json")).output().expect("starts"));
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.starts_with("NOT halted: cannot write "), "{}", ran.err);
}

/// Puts something where a halt would be.
type Plant = fn(&Path);

#[test]
fn whatever_is_there_is_a_halt() {
    let desk = ready();
    let plants: [(&str, Plant); 5] = [
        ("the file is empty", |path| fs::write(path, "").expect("written")),
        ("the file does not say who", |path| fs::write(path, "stop!").expect("written")),
        ("it is a symbolic link", |path| std::os::unix::fs::symlink("/nonexistent", path).expect("a link")),
        ("it is not a regular file", |path| fs::create_dir(path).expect("a folder")),
        ("it is longer than 64 KiB", |path| fs::write(path, " ".repeat(65_537)).expect("written")),
    ];
    for (told, plant) in plants {
        for file in [desk.halt_file(), desk.path("halt-default.json")] {
            plant(&file);
            assert_eq!(codes(&desk, &[]), ["halted"], "{told}");
            let ran = desk.run(&["run", "--force", "--", "touch", "started"]);
            assert!(ran.err.contains(told) && !desk.path("started").exists(), "{told}: {}", ran.err);
            let _ = fs::remove_file(&file).or_else(|_| fs::remove_dir(&file));
        }
    }
    let folder = desk.halt_file();
    fs::create_dir(&folder).expect("a folder");
    let ran = desk.run(&["resume"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("is a directory, which is never removed here; `rm -r "), "{}", ran.err);
}

#[test]
fn a_store_that_cannot_be_used_costs_the_history_alone() {
    let desk = ready();
    desk.write("no-folder", "");
    let mut command = desk.command(&["halt", "--reason", "now"]);
    let ran = Ran::from(command.env("IBGA_STATE_DIR", desk.path("no-folder")).output().expect("starts"));
    assert_eq!(ran.code, Some(0));
    assert!(ran.err.starts_with("warning: it is done, but not in the history: "), "{}", ran.err);
    assert_eq!(codes(&desk, &[]), ["halted"]);
}

/// A command as another user, who may use the test's folder.
fn as_user(uid: u32, command: &Command) -> Command {
    let mut other = Command::new("setpriv");
    let id = uid.to_string();
    other
        .args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"])
        .arg(command.get_program())
        .args(command.get_args());
    other.env_clear();
    for (name, value) in command.get_envs() {
        other.env(name, value.unwrap_or_default());
    }
    other.current_dir(command.get_current_dir().expect("a folder"));
    other
}

/// Only root can be several users. The binary has to lie where others can get at it.
#[test]
fn as_root_every_user_halts_all_and_ends_his_own() {
    let desk = ready();
    set_mode(&desk.folder, 0o1777);
    set_mode(&desk.status_file(), 0o644);
    let program = desk.path("ibga");
    fs::copy(env!("CARGO_BIN_EXE_ibga"), &program).expect("copied");
    let run_as = |uid: u32, arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).current_dir(&desk.folder).env_clear();
        command.env("HOME", "/nonexistent").env("IBGA_HALT_FILE", desk.halt_file());
        command.env("IBGA_STATUS_FILE", desk.status_file()).env("IBGA_STATE_DIR", desk.path(&format!("state-{uid}")));
        Ran::from(as_user(uid, &command).output().expect("setpriv starts"))
    };
    let ran = run_as(4_242, &["halt", "--reason", "mine"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("Halted by uid 4242 on "), "{}", ran.out);
    assert_eq!(codes(&desk, &[]), ["halted"], "root is halted, too");
    for arguments in [&["run", "--force", "--", "touch", "started"][..], &["resume"]] {
        let ran = run_as(4_343, arguments);
        assert_eq!((ran.code, desk.path("started").exists()), (Some(1), false), "{ran:?}");
    }
    let refused = run_as(4_343, &["resume"]).err;
    assert!(
        refused.contains(
            " belongs to user id 4242, and this user may not remove it; user id 4242 or root has to run `ibga resume`"
        ),
        "{refused}"
    );
    assert_eq!(run_as(4_242, &["resume"]).code, Some(0));
    run_as(4_242, &["halt", "--reason", "mine again"]);
    assert_eq!(desk.run(&["resume"]).code, Some(0), "root ends every halt");
    // Where the way to the file is shut, nobody can say that there is no halt.
    let shut = desk.path("shut");
    fs::create_dir(&shut).expect("a folder");
    set_mode(&shut, 0o700);
    let mut command = Command::new(&program);
    command.args(["preflight", "--force"]).current_dir(&desk.folder).env_clear().env("HOME", "/nonexistent");
    command.env("IBGA_HALT_FILE", shut.join("halt.json")).env("IBGA_STATUS_FILE", desk.status_file());
    let ran = Ran::from(as_user(4_242, &command).output().expect("setpriv starts"));
    assert!(ran.out.contains("is there: this user may not look there"), "{}", ran.out);
}
