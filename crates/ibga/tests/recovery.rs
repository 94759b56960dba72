//! The edge of recovery: programs of an operator that work, fail, hang and flood; compose by way of a command of its name; an engine.
//! Tests that need an engine have `real_docker` in their name.

#![expect(clippy::expect_used, reason = "helpers of tests fail their test")]

#[path = "common/engine.rs"]
mod engine;

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use engine::{Directory, Peer, docker, wait_for_log};
use ibga::recovery::{RecoveryError, Task, act, begin, end, give_up, log_seen, past};
use ibga::store::Store;
use ibga_core::act::ActKind;
use ibga_core::cause::Cause;
use ibga_core::clock::{Stopwatch, now};
use ibga_core::log_hints::LogHintKind;
use ibga_core::observation::{ContainerSeen, ContainerState, FoundBy};
use ibga_core::recovery::{Decision, LogSeen, PAUSE, Past, Plan, Practice, Recipe, Seen, Why, decide};
use jiff::{SignedDuration, Timestamp};

const LIMIT: Duration = Duration::from_secs(20);

fn container(name: &str) -> ContainerSeen {
    ContainerSeen::Found { name: name.into(), state: ContainerState::Stopped, found_by: FoundBy::Name }
}

fn task<'a>(recipe: &'a Recipe, container: &'a ContainerSeen) -> Task<'a> {
    let since = "2026-11-23T01:12:04Z".parse().expect("an instant");
    Task { gateway: "live", recipe, cause: Cause::ContainerStopped, since, container }
}

/// A script of the operator's in a folder.
fn script(directory: &Directory, text: &str) -> PathBuf {
    program(&directory.0, "again", text)
}

fn program(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    path
}

fn recipe(program: &Path, arguments: &[&str]) -> Recipe {
    Recipe::Run { program: program.into(), arguments: arguments.iter().map(ToString::to_string).collect() }
}

async fn ran(text: &str, arguments: &[&str]) -> Result<String, String> {
    let directory = Directory::new();
    let recipe = recipe(&script(&directory, text), arguments);
    let path = directory.0.display().to_string();
    let result = act(&task(&recipe, &container("ibga")), LIMIT).await;
    result.map_err(|fault| fault.to_string().replace(&path, "…"))
}

#[tokio::test]
async fn a_program_is_told_what_is_wrong_and_its_last_words_are_kept() {
    let told = ran("echo \"$IBGA_GATEWAY $IBGA_CAUSE $IBGA_CONTAINER $1\"", &["now"]).await;
    assert_eq!(told, Ok("it ended with exit code 0: live container_stopped ibga now".into()));
    assert_eq!(ran("exit 0", &[]).await, Ok("it ended with exit code 0".into()));
    let failed = ran("echo one; echo 'no such host' >&2; exit 3", &[]).await;
    assert_eq!(failed, Err("…/again failed (exit code 3): no such host".into()));
    let killed = ran("kill -9 $$", &[]).await;
    assert_eq!(killed, Err("…/again failed (signal: 9 (SIGKILL))".into()));
}

#[tokio::test]
async fn what_it_says_is_masked_and_bounded() {
    let said = ran("echo \"U1234567 $2 $3\"; exit 1", &["--token", "hunter2", "key=hunter3"]).await;
    let said = said.expect_err("it failed");
    assert!(!said.contains("hunter") && !said.contains("U1234567"), "{said}");
    // More than a pipe holds, without a line end, on both streams.
    let flood = ran("head -c 3000000 /dev/zero | tr '\\0' x; head -c 3000000 /dev/zero | tr '\\0' y >&2", &[]).await;
    assert_eq!(flood, Ok("it ended with exit code 0".into()), "what has no beginning is not repeated");
    let long = ran("i=0; while [ $i -lt 200 ]; do printf 'word%s ' $i; i=$((i+1)); done", &[]).await;
    assert!(long.as_ref().is_ok_and(|words| words.chars().count() < 350), "{long:?}");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_said_so() {
    let recipe = recipe(Path::new("/nonexistent/again"), &[]);
    let fault = act(&task(&recipe, &ContainerSeen::NotChecked), LIMIT).await.expect_err("it is not there");
    assert_eq!(fault.to_string(), "cannot start /nonexistent/again: No such file or directory (os error 2)");
    let fault = act(&task(&Recipe::Start, &ContainerSeen::Missing { name: None }), LIMIT).await;
    assert_eq!(fault, Err(RecoveryError::NoContainer));
}

fn content(path: &Path) -> String {
    File::open(path).and_then(io::read_to_string).expect("text")
}

/// Whoever holds the other end of the pipe is alive as long as it can be read.
async fn wait_for_the_end_of(pipe: PathBuf) {
    let read = tokio::task::spawn_blocking(move || content(&pipe));
    let read = tokio::time::timeout(LIMIT, read).await.expect("nobody lives on");
    read.expect("the thread ends");
}

#[tokio::test]
async fn a_program_that_hangs_is_ended_with_all_that_it_started() {
    let directory = Directory::new();
    let pipe = directory.0.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let text = format!("exec 9>{}; echo waiting; sleep 600 & sleep 600", pipe.display());
    let recipe = recipe(&script(&directory, &text), &[]);
    let reader = tokio::spawn(wait_for_the_end_of(pipe));
    let watch = Stopwatch::start();
    let limit = Duration::from_secs(2);
    let fault = act(&task(&recipe, &container("ibga")), limit).await.expect_err("it hangs");
    assert!(matches!(fault, RecoveryError::TimedOut { .. }) && fault.to_string().ends_with(": waiting"), "{fault}");
    assert!(watch.elapsed() < LIMIT, "nobody is kept waiting");
    reader.await.expect("all of them are gone");
}

#[tokio::test]
async fn what_a_program_left_behind_lives_on() {
    let directory = Directory::new();
    let (pipe, go) = (directory.0.join("pipe"), directory.0.join("go"));
    for path in [&pipe, &go] {
        assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo runs").success());
    }
    // The gateway, as it were: it ends when it is told to.
    let text = format!("(read line <{}; echo \"$line\" >{}) >/dev/null 2>&1 &", go.display(), pipe.display());
    let recipe = recipe(&script(&directory, &text), &[]);
    let result = act(&task(&recipe, &container("ibga")), LIMIT).await;
    assert_eq!(result, Ok("it ended with exit code 0".into()));
    let told = tokio::task::spawn_blocking(move || {
        fs::write(go, "alive\n").expect("somebody reads");
        content(&pipe)
    });
    assert_eq!(tokio::time::timeout(LIMIT, told).await.expect("it lives").expect("the thread ends"), "alive\n");
}

/// Runs the next test with a `docker` of its own on the way to programs.
#[test]
fn compose_is_called_in_the_directory() {
    let directory = Directory::new();
    let words = directory.0.join("words");
    let text = format!("{{ pwd; printf '%s\\n' \"$@\"; }} >{}; echo ' Container ibga  Started' >&2", words.display());
    program(&directory.0, "docker", &text);
    let path = format!("{}:{}", directory.0.display(), env::var("PATH").expect("a PATH"));
    let child = Command::new(env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "with_another_docker_compose_is_called"])
        .env("PATH", path)
        .env("IBGA_TEST_DIRECTORY", &directory.0)
        .output()
        .expect("this program runs");
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && output.contains("1 passed"), "{output}");
    let folder = directory.0.canonicalize().expect("a path").display().to_string();
    let written = content(&words);
    let given = directory.0.display().to_string();
    let expected = [&folder, "compose", "--project-directory", &given, "up", "-d"];
    assert_eq!(written.lines().collect::<Vec<_>>(), expected);
}

#[tokio::test]
#[ignore = "run by the test before it, with another PATH"]
async fn with_another_docker_compose_is_called() {
    let directory = PathBuf::from(env::var_os("IBGA_TEST_DIRECTORY").expect("a directory"));
    let recipe = Recipe::ComposeUp { directory };
    let result = act(&task(&recipe, &ContainerSeen::Missing { name: None }), LIMIT).await;
    assert_eq!(result, Ok("it ended with exit code 0: Container ibga  Started".into()));
}

fn plan(recipe: Recipe) -> Plan {
    Plan { causes: vec![Cause::ContainerStopped], recipe, budget_per_day: 2, pause: PAUSE }
}

fn decided(plan: &Plan, past: &mut Past, at: Timestamp) -> Decision {
    let since = at.saturating_sub(SignedDuration::from_mins(1)).expect("an instant");
    let container = container("ibga");
    let seen = Seen { cause: Cause::ContainerStopped, since, container: &container, log: LogSeen::Quiet, now: at };
    decide(plan, &seen, past, &[])
}

#[test]
fn an_act_is_kept_before_it_is_done_and_counts_in_a_new_process() {
    let directory = Directory::new();
    let mut store = Store::open(Some(&directory.0)).expect("a store");
    let (plan, container, began) = (plan(Recipe::Start), container("ibga"), now());
    let task = task(&plan.recipe, &container);
    let mut remembered = past(&store, "live", Practice::Real).expect("read");
    assert_eq!(decided(&plan, &mut remembered, began), Decision::Act);
    let kept = begin(&mut store, &task, &plan, Practice::Real, began).expect("kept").expect("within the budget");
    assert_eq!(
        kept.text,
        "docker start ibga, since container_stopped has lasted from 2026-11-23 01:12:04Z; how it ended is not known"
    );
    // Killed here.
    drop(store);
    let mut store = Store::open(Some(&directory.0)).expect("a store");
    let mut remembered = past(&store, "live", Practice::Real).expect("read");
    assert!(matches!(decided(&plan, &mut remembered, began), Decision::LeaveAlone { why: Why::Pause, .. }));
    let ended = end(&mut store, &kept, &task, &Err(RecoveryError::NoContainer)).expect("kept");
    assert!(ended.text.contains("; FAILED: there is no container to start;"), "{}", ended.text);
    let later = began.saturating_add(SignedDuration::from_mins(6)).expect("an instant");
    assert!(begin(&mut store, &task, &plan, Practice::Real, later).expect("kept").is_some());
    assert_eq!(begin(&mut store, &task, &plan, Practice::Real, later).expect("asked"), None, "the budget is used up");
    let told = give_up(&mut store, &task, &plan, Practice::Real, later).expect("kept");
    assert_eq!(
        (told.kind, told.text.as_str()),
        (
            ActKind::RecoveryGivenUp,
            "docker start was done 2 times in 24 hours, and it is container_stopped still; nothing more is done until it was ready again"
        )
    );
    let kinds: Vec<ActKind> = store.acts(Some("live"), 9).expect("read").iter().map(|act| act.kind).collect();
    assert_eq!(kinds, [ActKind::Recovery, ActKind::Recovery, ActKind::RecoveryGivenUp]);
    let mut remembered = past(&store, "live", Practice::Real).expect("read");
    let much_later = began.saturating_add(SignedDuration::from_hours(48)).expect("an instant");
    assert_eq!(decided(&plan, &mut remembered, much_later), Decision::LeaveAlone { why: Why::GivenUp, until: None });
}

#[test]
fn a_rehearsal_keeps_its_distances_and_holds_up_nobody() {
    let directory = Directory::new();
    let mut store = Store::open(Some(&directory.0)).expect("a store");
    let (plan, container, began) = (plan(Recipe::Start), container("ibga"), now());
    let task = task(&plan.recipe, &container);
    let act = begin(&mut store, &task, &plan, Practice::Rehearsal, began).expect("kept").expect("within the budget");
    assert_eq!((act.kind, act.text.starts_with("would have done: docker start ibga")), (ActKind::Rehearsal, true));
    let told = give_up(&mut store, &task, &plan, Practice::Rehearsal, began).expect("kept");
    assert_eq!(told.kind, ActKind::Rehearsal);
    let mut rehearsed = past(&store, "live", Practice::Rehearsal).expect("read");
    assert!(matches!(decided(&plan, &mut rehearsed, began), Decision::LeaveAlone { why: Why::Pause, .. }));
    let mut real = past(&store, "live", Practice::Real).expect("read");
    assert_eq!(decided(&plan, &mut real, began), Decision::Act);
}

#[tokio::test]
async fn real_docker_container_that_stopped_is_started() {
    let peer = Peer::run("started", &[], "stay");
    peer.stop();
    let seen = container(&peer.name);
    assert_eq!(act(&task(&Recipe::Start, &seen), LIMIT).await, Ok("started".into()));
    assert_eq!(docker(&["inspect", "--format", "{{.State.Status}}", &peer.name]), "running");
    assert_eq!(act(&task(&Recipe::Start, &seen), LIMIT).await, Ok("started".into()), "once more does no harm");
    docker(&["rm", "--force", &peer.name]);
    let fault = act(&task(&Recipe::Start, &seen), LIMIT).await.expect_err("it is gone").to_string();
    assert!(fault.contains("it answered 404"), "{fault}");
}

#[tokio::test]
async fn real_docker_log_tells_of_the_login_also_once_the_container_stopped() {
    let cases = [
        (&["login failed: invalid password"][..], LogSeen::Hint(LogHintKind::LoginFailed)),
        (&["IBC: Second Factor Authentication initiated"], LogSeen::Hint(LogHintKind::TwoFactorPending)),
        (&["IBC: Login has completed"], LogSeen::Quiet),
    ];
    for (lines, expected) in cases {
        let peer = Peer::saying("tells", &[], lines);
        wait_for_log(&peer.name, lines);
        assert_eq!(log_seen(&container(&peer.name), LIMIT).await, expected, "{lines:?}");
        peer.stop();
        assert_eq!(log_seen(&container(&peer.name), LIMIT).await, expected, "{lines:?} and stopped");
    }
    let mute = Peer::run("mute", &["--log-driver", "none"], "stay");
    assert_eq!(log_seen(&container(&mute.name), LIMIT).await, LogSeen::Unreadable);
    assert_eq!(log_seen(&container("ibga-test-nobody"), LIMIT).await, LogSeen::Unreadable);
    assert_eq!(log_seen(&ContainerSeen::NotChecked, LIMIT).await, LogSeen::Unreadable);
}
