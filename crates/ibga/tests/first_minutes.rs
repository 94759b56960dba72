//! What a newcomer types first.

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Desk, set_mode};

#[test]
fn the_demo_tells_the_whole_story_and_leaves_nothing_behind() {
    let desk = Desk::new();
    // Settings that would spoil it, if it looked at them.
    desk.write("ibga.toml", "port = 1\nexpect_mode = \"live\"\n");
    let mut command = desk.command(&["demo"]);
    command.env("IBGA_STATUS_FILE", desk.status_file()).env("IBKR_PORT", "1").env("TMPDIR", &desk.folder);
    let output = command.output().expect("starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let mut rest: &str = &text;
    for next in [
        "$ ibga check\nready: default at 127.0.0.1:",
        "$ ibga status",
        "Status     ready, since",
        "$ ibga preflight --force\nPRE-FLIGHT PASSED - Agent may start\n",
        "$ ibga run --force -q -- echo '(the agent) trading ...'\n(the agent) trading ...\n",
        "$ ibga check\nnot_authenticated (api_silent): default at 127.0.0.1:",
        "what to do: 1) ",
        "PRE-FLIGHT FAILED - Agent cannot start\nReason: IBGA: IBGA not ready: not_authenticated (api_silent)\n",
        "$ ibga run --force -q -- echo '(the agent) trading ...'\n2",
        "echo was not started",
        "$ ibga check\nready: ",
        "(the agent) trading ...\n",
    ] {
        rest = rest.split_once(next).unwrap_or_else(|| panic!("no {next:?} in {rest}")).1;
    }
    // What to do depends on the hour: around IBKR's resets and at weekends it says more, in another order.
    let (before, rest) = text.split_once("what to do: ").expect("found above");
    let (to_do, after) = rest.split_once("  ... (").expect("a line is left out");
    let to_do = to_do.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(to_do.contains(": approve the IB Key request on your phone, or finish the login on its screen"), "{to_do}");
    assert!(before.lines().count() + after.lines().count() <= 46, "a screen: {text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "a screen's width: {text}");
    let port = text.split_once("127.0.0.1:").and_then(|(_, rest)| rest.split_once(',')).expect("a port").0;
    assert!(!Path::new(&format!("/tmp/ibga-127.0.0.1-{port}.lock")).exists(), "a lock is left behind");
    let names: Vec<_> =
        std::fs::read_dir(&desk.folder).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["ibga.toml"]);
}

#[test]
fn a_demo_that_is_interrupted_tidies_up_and_says_so() {
    let desk = Desk::new();
    let mut command = desk.command(&["demo"]);
    command.env("TMPDIR", &desk.folder).stdout(Stdio::piped());
    let mut demo = command.spawn().expect("starts");
    let mut lines = BufReader::new(demo.stdout.take().expect("a pipe")).lines();
    let told =
        lines.by_ref().map(|line| line.expect("text")).find(|line| line.contains("at 127.0.0.1:")).expect("a port");
    let port = told.split_once("127.0.0.1:").and_then(|(_, rest)| rest.split_once(',')).expect("a port").0.to_owned();
    let pid = demo.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().expect("kill starts");
    assert!(sent.success());
    // Read on, or the pipe would end it.
    lines.for_each(drop);
    assert_eq!(demo.wait().expect("ended").code(), Some(130));
    assert_eq!(std::fs::read_dir(&desk.folder).expect("a folder").count(), 0);
    assert!(!Path::new(&format!("/tmp/ibga-127.0.0.1-{port}.lock")).exists());
}

#[test]
fn init_writes_a_file_that_is_believed_and_overwrites_nothing() {
    let desk = Desk::new();
    assert_eq!(desk.run(&["init"]).code, Some(0));
    let ran = desk.run(&["preflight", "-v"]);
    assert!(ran.err.starts_with("configuration: ibga.toml; "), "{}", ran.err);
    desk.write("ibga.toml", "port = 4001\n");
    let ran = desk.run(&["init"]);
    assert_eq!(
        (ran.code, ran.err.contains("ibga.toml is there already and was left as it is")),
        (Some(1), true),
        "{ran:?}"
    );
    assert!(desk.run(&["preflight", "-v"]).err.contains("at 127.0.0.1:4001"));
    let ran = desk.run(&["init", "nowhere/ibga.toml"]);
    assert_eq!((ran.code, ran.err.contains("; create its folder: mkdir -p nowhere")), (Some(1), true), "{}", ran.err);
    let other = desk.path("other.toml");
    assert_eq!(desk.run(&["init", "other.toml"]).code, Some(0));
    set_mode(&other, 0o666);
    let ran = desk.run(&["preflight", "--config", "other.toml"]);
    assert_eq!((ran.code, ran.err.contains("lets others write it")), (Some(2), true), "{}", ran.err);
}
