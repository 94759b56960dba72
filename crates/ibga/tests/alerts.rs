//! From a changed verdict to a message that has arrived, through the real binary: once, whatever is broken on the way.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "helpers of tests fail their test")]

mod common;
#[path = "common/faketime.rs"]
mod faketime;
#[path = "common/inbox.rs"]
mod inbox;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use common::{Desk, Gateway, Ran};
use ibga_core::clock::Stopwatch;
use ibga_sim::Config;
use inbox::{Inbox, Manner};

/// A gateway that is ready, paper, and a person who is told by webhook. What is expected of the login makes the verdict.
struct Stage {
    desk: Desk,
    gateway: Gateway,
    inbox: Inbox,
}

/// What a check expects of the paper login: what it has, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ready,
    WrongMode,
}

impl Verdict {
    fn flag(self) -> &'static str {
        match self {
            Self::Ready => "paper",
            Self::WrongMode => "live",
        }
    }
}

use Verdict::{Ready, WrongMode};

impl Stage {
    fn new() -> Self {
        Self { desk: Desk::new(), gateway: Gateway::start(Config::default()), inbox: Inbox::open() }
    }

    fn state_dir(&self) -> PathBuf {
        self.desk.path("state")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.desk.command(arguments);
        command
            .env("IBGA_STATE_DIR", self.state_dir())
            .env("IBGA_WEBHOOK_URL", self.inbox.url())
            .env("IBKR_PORT", self.gateway.address.port().to_string())
            .env("IBGA_SETTLE", "0ms")
            // So many changes as here never happen so quickly.
            .env("IBGA_ALERT_FLAPPING", "off");
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command(arguments).output().expect("the binary starts"))
    }

    fn check_command(&self, verdict: Verdict) -> Command {
        self.command(&["check", "--expect-mode", verdict.flag()])
    }

    fn check(&self, verdict: Verdict) -> Ran {
        let ran = Ran::from(self.check_command(verdict).output().expect("the binary starts"));
        assert_eq!(ran.code, Some(i32::from(verdict != Ready)), "{ran:?}");
        ran
    }

    fn check_in_background(&self, verdict: Verdict) -> Child {
        let mut command = self.check_command(verdict);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts")
    }

    /// The kinds of what was accepted, in order.
    fn kinds(&self) -> Vec<String> {
        self.inbox.keys().iter().map(|key| key.split('.').nth(1).expect("a kind").to_owned()).collect()
    }

    /// Changes what the store remembers of the gateway.
    fn change_memory(&self, change: impl FnOnce(&mut serde_json::Value)) {
        let store = rusqlite::Connection::open(self.state_dir().join("ibga.sqlite")).expect("opens");
        let memory: String = store.query_row("SELECT memory FROM gateway", [], |row| row.get(0)).expect("a memory");
        let mut memory: serde_json::Value = serde_json::from_str(&memory).expect("JSON");
        change(&mut memory);
        store.execute("UPDATE gateway SET memory = ?1", [memory.to_string()]).expect("changed");
    }

    /// `state` of each delivery by kind of alert, the oldest first.
    fn deliveries(&self) -> Vec<(String, String)> {
        let listed = self.run(&["alert", "list", "--json", "--last", "1000"]).json();
        let alerts = listed["alerts"].as_array().expect("a list").clone();
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        alerts.iter().map(|one| (text(&one["alert"]["kind"]), text(&one["deliveries"][0]["state"]))).collect()
    }
}

fn a_day_ago() -> serde_json::Value {
    (ibga_core::clock::now() - jiff::SignedDuration::from_hours(24)).to_string().into()
}

#[test]
fn a_person_hears_of_each_change_once_and_of_the_recovery() {
    let stage = Stage::new();
    for verdict in [Ready, Ready, WrongMode, WrongMode, WrongMode, Ready, Ready, WrongMode] {
        stage.check(verdict);
    }
    assert_eq!(stage.kinds(), ["problem", "recovery", "problem"]);
    let subjects = stage.inbox.subjects();
    assert!(subjects[0].starts_with("IBGA CONNECTION ERROR - wrong_mode, default"), "{subjects:?}");
    assert!(subjects[1].starts_with("IBGA READY - default"), "{subjects:?}");
}

#[test]
fn the_first_report_alerts_only_if_it_is_not_ready() {
    for (verdict, expected) in [(Ready, 0), (WrongMode, 1)] {
        let stage = Stage::new();
        stage.check(verdict);
        assert_eq!(stage.inbox.keys().len(), expected);
    }
}

#[test]
fn a_template_of_ones_own_is_used_and_a_broken_one_costs_nothing() {
    let stage = Stage::new();
    std::fs::create_dir(stage.desk.path("templates")).expect("a folder");
    stage.desk.write("templates/subject.txt", "{{ gateway }}: {{ cause }}");
    stage.desk.write("templates/body.txt", "{{ no_such_variable }}");
    let mut command = stage.check_command(WrongMode);
    command.env("IBGA_ALERT_TEMPLATES", stage.desk.path("templates"));
    let ran = Ran::from(command.output().expect("the binary starts"));
    let alerts = stage.inbox.alerts();
    assert_eq!(alerts[0]["data"]["subject"], "default: wrong_mode");
    assert!(alerts[0]["data"]["text"].as_str().is_some_and(|text| text.starts_with("DO NOW")), "{alerts:?}");
    assert!(ran.err.contains("body.txt") && ran.err.contains("the built-in template is taken"), "{ran:?}");
}

#[test]
fn no_account_id_is_told() {
    let stage = Stage::new();
    stage.run(&["check", "--expect-account", "U7654321"]);
    let text = stage.inbox.alerts()[0].to_string();
    assert!(!text.contains("DU1234567") && !text.contains("U7654321"), "{text}");
    assert!(text.contains("wrong_account"), "{text}");
}

#[test]
fn without_a_channel_nothing_is_stored() {
    let stage = Stage::new();
    let mut command = stage.check_command(WrongMode);
    command.env_remove("IBGA_WEBHOOK_URL");
    assert_eq!(command.output().expect("the binary starts").status.code(), Some(1));
    assert!(!stage.state_dir().exists());
    let ran = stage.desk.run(&["alert", "test"]);
    assert_eq!((ran.code, ran.err.starts_with("no channel is set; ")), (Some(2), true), "{ran:?}");
}

#[test]
fn changes_that_come_too_often_are_told_as_one() {
    let stage = Stage::new();
    for round in 0..12 {
        let mut command = stage.check_command(if round % 2 == 0 { Ready } else { WrongMode });
        command.env_remove("IBGA_ALERT_FLAPPING").output().expect("the binary starts");
    }
    let kinds = stage.kinds();
    assert_eq!(kinds, ["problem", "recovery", "problem", "recovery", "problem", "recovery", "flapping"]);
}

#[test]
fn what_a_dead_server_missed_arrives_in_order_once_it_is_back() {
    let stage = Stage::new();
    stage.inbox.set(Manner::Refuses);
    let ran = stage.check(WrongMode);
    assert!(ran.err.contains("could not be told by webhook, and will be tried again: "), "{ran:?}");
    // Its time has not come, but that of the recovery has, and what is older goes before it.
    stage.check(Ready);
    assert_eq!(stage.deliveries(), [("problem".into(), "waiting".into()), ("recovery".into(), "waiting".into())]);
    stage.inbox.set(Manner::Accepts);
    let ran = stage.check(Ready);
    assert_eq!((stage.inbox.keys().len(), ran.err.as_str()), (0, ""), "left alone until its time");
    let ran = stage.run(&["alert", "flush"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(stage.kinds(), ["problem", "recovery"]);
    assert_eq!(stage.run(&["alert", "flush"]).out, "nothing waits\n");
    stage.check(Ready);
    assert_eq!(stage.kinds(), ["problem", "recovery"]);
}

#[test]
fn many_checks_at_once_tell_it_once() {
    let stage = Stage::new();
    stage.check(Ready);
    for round in 0..5 {
        let verdict = if round % 2 == 0 { WrongMode } else { Ready };
        let children: Vec<Child> = (0..8).map(|_| stage.check_in_background(verdict)).collect();
        for mut child in children {
            child.wait().expect("ends");
        }
    }
    assert_eq!(stage.kinds(), ["problem", "recovery", "problem", "recovery", "problem"]);
}

#[test]
fn a_check_that_is_killed_at_any_moment_loses_nothing() {
    let stage = Stage::new();
    stage.check(Ready);
    let watch = Stopwatch::start();
    stage.check(WrongMode);
    let whole = watch.elapsed();
    stage.check(Ready);
    let store = rusqlite::Connection::open(stage.state_dir().join("ibga.sqlite")).expect("opens");
    let rounds: u32 = 300;
    let (mut killed, mut killed_while_sending) = (0, 0);
    for round in 1..=rounds {
        let verdict = if round % 2 == 1 { WrongMode } else { Ready };
        // From its first moment to its last one.
        let mut child = stage.check_in_background(verdict);
        let (at, until) = (Stopwatch::start(), whole * ((round * 37) % rounds) / rounds);
        while at.elapsed() < until {
            std::thread::yield_now();
        }
        child.kill().expect("killed or ended");
        killed += u32::from(child.wait().expect("ended").code().is_none());
        // What the killed process had claimed is free when its lease is over. Nobody has to wait for that here.
        killed_while_sending += store.execute("UPDATE lease SET until_ms = 0", []).expect("over");
        stage.check(verdict);
    }
    assert_eq!(stage.run(&["alert", "flush"]).out, "nothing waits\n");
    let mut by_key: BTreeMap<String, usize> = BTreeMap::new();
    for key in stage.inbox.keys() {
        *by_key.entry(key).or_default() += 1;
    }
    let again = by_key.values().filter(|count| **count > 1).count();
    println!(
        "{rounds} changes, {killed} checks killed, {killed_while_sending} of them with a message on its way: \
         {} told, {again} sent again under the same id",
        by_key.len() - 2
    );
    assert!(killed > rounds / 4 && killed_while_sending > 0, "{killed}, {killed_while_sending}");
    assert_eq!(by_key.len(), usize::try_from(rounds).expect("a number") + 2);
    // A message is sent again only if its sender was killed before it knew that it had arrived.
    assert!(again <= killed_while_sending, "{again}");
    // In order, but for repetitions.
    let mut kinds = stage.kinds();
    kinds.dedup();
    let expected = ["problem", "recovery"].repeat(usize::try_from(rounds / 2).expect("a number") + 1);
    assert_eq!(kinds, expected);
    let check: String = store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("an answer");
    assert_eq!(check, "ok");
}

#[test]
fn a_broken_store_keeps_nobody_from_being_told_and_tells_nobody_twice() {
    let stage = Stage::new();
    stage.check(Ready);
    stage.check(WrongMode);
    let store = stage.state_dir().join("ibga.sqlite");
    let whole = stage.desk.path("whole.sqlite");
    std::fs::rename(&store, &whole).expect("moved");
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(stage.state_dir().join(format!("ibga.sqlite{suffix}")));
    }
    let text =
        "a hundred bytes and more that are no database, so that the header is read and found to be something else";
    std::fs::write(&store, text).expect("written");
    let ran = stage.check(Ready);
    let warnings = stage.desk.status()["warnings"].to_string();
    assert!(warnings.contains("the store of alerts cannot be used, so they go out directly"), "{warnings}");
    assert!(warnings.contains("move it away, a new one is made"), "{warnings} {ran:?}");
    stage.check(Ready);
    stage.check(WrongMode);
    stage.inbox.set(Manner::Refuses);
    stage.check(Ready);
    assert_eq!(stage.kinds(), ["problem", "recovery", "problem"]);
    // What could not be told waits beside the broken store, and goes out with the next check, store or not.
    stage.inbox.set(Manner::Accepts);
    stage.check(Ready);
    assert_eq!(stage.kinds(), ["problem", "recovery", "problem", "recovery"]);
    std::fs::remove_file(&store).expect("moved away");
    std::fs::rename(&whole, &store).expect("moved back");
    stage.check(Ready);
    stage.check(Ready);
    assert_eq!(stage.desk.status()["warnings"].to_string(), "[]");
    assert_eq!(stage.kinds(), ["problem", "recovery", "problem", "recovery"]);
    let states = stage.deliveries();
    assert_eq!(states.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), stage.kinds());
    assert!(states.iter().all(|(_, state)| state == "sent"), "{states:?}");
}

#[test]
fn a_store_that_is_gone_costs_nobody_the_recovery() {
    let stage = Stage::new();
    for verdict in [Ready, WrongMode] {
        stage.check(verdict);
        std::fs::remove_dir_all(stage.state_dir()).expect("removed");
    }
    stage.check(Ready);
    stage.check(Ready);
    assert_eq!(stage.kinds(), ["problem", "recovery"]);
}

#[test]
fn many_processes_beside_a_broken_store_tell_it_once() {
    let stage = Stage::new();
    stage.check(Ready);
    std::fs::write(stage.state_dir().join("ibga.sqlite"), [b'x'; 200]).expect("written");
    for round in 0..4 {
        let verdict = if round % 2 == 0 { WrongMode } else { Ready };
        let check = || stage.check_in_background(verdict);
        let run = || {
            let mut command = stage.command(&["run", "--force", "--expect-mode", "live", "--", "false"]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts")
        };
        for mut child in [check(), run(), check(), run(), check()] {
            child.wait().expect("ends");
        }
    }
    let mut kinds = stage.kinds();
    kinds.retain(|kind| kind != "no_go");
    assert_eq!(kinds, ["problem", "recovery", "problem", "recovery"]);
    let mut keys = stage.inbox.keys();
    let told = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), told, "{keys:?}");
}

#[test]
fn a_store_that_is_held_by_another_process_is_gone_round() {
    let stage = Stage::new();
    stage.check(Ready);
    let connection = rusqlite::Connection::open(stage.state_dir().join("ibga.sqlite")).expect("opens");
    connection.execute_batch("BEGIN IMMEDIATE").expect("held");
    stage.check(WrongMode);
    let warnings = stage.desk.status()["warnings"].to_string();
    assert!(warnings.contains("another process holds it for too long"), "{warnings}");
    assert_eq!(stage.kinds(), ["problem"]);
    connection.execute_batch("COMMIT").expect("free");
    stage.check(WrongMode);
    stage.check(Ready);
    assert_eq!(stage.kinds(), ["problem", "recovery"]);
}

#[test]
fn a_store_that_cannot_be_read_is_not_said_to_be_empty() {
    let stage = Stage::new();
    stage.desk.write("state", "a file where a directory belongs");
    let ran = stage.run(&["alert", "flush"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.err.contains("what waits in the store cannot be told"), "{ran:?}");
}

#[test]
fn a_trial_of_one_channel_touches_nothing_of_another() {
    let stage = Stage::new();
    let both = |arguments: &[&str]| {
        let mut command = stage.command(arguments);
        command.env("IBGA_ALERT_COMMAND", "exit 1").output().expect("the binary starts")
    };
    both(&["check", "--expect-mode", "live"]);
    let store = rusqlite::Connection::open(stage.state_dir().join("ibga.sqlite")).expect("opens");
    let long_ago = (ibga_core::clock::now() - jiff::SignedDuration::from_hours(24 * 9)).as_microsecond();
    store.execute("UPDATE alert SET at = ?1", [long_ago]).expect("changed");
    assert_eq!(both(&["alert", "test", "--channel", "webhook"]).status.code(), Some(0));
    let waiting: i64 = store
        .query_row("SELECT count(*) FROM delivery WHERE channel = 'command' AND state = 'waiting'", [], |row| {
            row.get(0)
        })
        .expect("a count");
    assert_eq!(waiting, 1);
}

#[test]
fn a_state_directory_that_cannot_be_made_is_gone_round() {
    let stage = Stage::new();
    stage.desk.write("state", "a file where a directory belongs");
    for verdict in [Ready, WrongMode, WrongMode, Ready, Ready] {
        stage.check(verdict);
    }
    assert_eq!(stage.kinds(), ["problem", "recovery"]);
    let warnings = stage.desk.status()["warnings"].to_string();
    assert!(warnings.contains("the store of alerts cannot be used"), "{warnings}");
}

#[test]
fn as_root_a_full_disk_is_gone_round() {
    let stage = Stage::new();
    std::fs::create_dir(stage.state_dir()).expect("a folder");
    // A disk of its own, in a world of its own.
    let script = r#"
        set -e
        mount -t tmpfs -o size=160k tmpfs "$IBGA_STATE_DIR"
        check() { "$BINARY" check --expect-mode "$1" || true; }
        check paper
        cat /dev/zero >"$IBGA_STATE_DIR/full" || true
        check live; check live; check paper; check live
        cp "$IBGA_STATUS_FILE" full.json
        rm "$IBGA_STATE_DIR/full"
        check live; check paper
        "$BINARY" alert list
    "#;
    let command = stage.command(&[]);
    let mut unshared = Command::new("unshare");
    unshared.args(["--mount", "sh", "-c", script]).current_dir(&stage.desk.folder).env_clear();
    unshared.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    unshared.env("BINARY", command.get_program());
    let ran = Ran::from(unshared.output().expect("unshare starts"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(stage.kinds(), ["problem", "recovery", "problem", "recovery"], "{ran:?}");
    let full = std::fs::File::open(stage.desk.path("full.json")).and_then(std::io::read_to_string).expect("text");
    assert!(full.contains("the store of alerts cannot be used"), "{full}");
}

#[test]
fn real_faketime_a_clock_that_steps_loses_and_doubles_nothing() {
    let stage = Stage::new();
    let check = |verdict, offset: &str| {
        let mut command = stage.check_command(verdict);
        command.env("IBGA_MAX_CLOCK_SKEW", "1h");
        command.env("LD_PRELOAD", faketime::library()).env("FAKETIME", offset).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let ran = Ran::from(command.output().expect("the binary starts"));
        assert!(ran.code.is_some_and(|code| code < 2), "{ran:?}");
    };
    check(Ready, "+0");
    check(WrongMode, "+3000");
    check(WrongMode, "+0");
    check(Ready, "-3000");
    check(WrongMode, "-3000");
    check(WrongMode, "+3000");
    stage.inbox.set(Manner::Refuses);
    check(Ready, "+3000");
    stage.inbox.set(Manner::Accepts);
    check(Ready, "-3000");
    check(Ready, "+0");
    let mut kinds = stage.kinds();
    // A clock that was set forth by fifty minutes and more may bring a reminder with it.
    kinds.retain(|kind| kind != "reminder");
    assert_eq!(kinds, ["problem", "recovery", "problem", "recovery"]);
}

#[test]
fn a_reminder_comes_until_somebody_acknowledges() {
    let stage = Stage::new();
    stage.check(WrongMode);
    let age = || stage.change_memory(|memory| memory["told"]["last_at"] = a_day_ago());
    age();
    stage.check(WrongMode);
    stage.check(WrongMode);
    assert_eq!(stage.kinds(), ["problem", "reminder"]);
    let ran = stage.run(&["alert", "ack", "--by", "a person"]);
    assert_eq!((ran.code, ran.out.contains("is known to a person")), (Some(0), true), "{ran:?}");
    age();
    stage.check(WrongMode);
    assert_eq!(stage.kinds(), ["problem", "reminder"]);
    assert!(stage.run(&["alert", "list"]).out.contains(", acknowledged by a person at "));
    stage.check(Ready);
    assert_eq!(stage.kinds(), ["problem", "reminder", "recovery"]);
    let ran = stage.run(&["alert", "ack"]);
    assert_eq!((ran.code, ran.err.starts_with("there is nothing to acknowledge")), (Some(1), true), "{ran:?}");
    let ran = stage.run(&["alert", "ack", "3"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), "alert 3 tells of no problem that could be acknowledged\n"));
}

#[test]
fn what_nobody_acknowledges_is_told_to_the_second_audience_and_so_is_its_end() {
    let stage = Stage::new();
    let check = |verdict: Verdict| {
        let mut command = stage.check_command(verdict);
        command.env("IBGA_ALERT_COMMAND", "echo $IBGA_ALERT_KIND >>second");
        command.env("IBGA_ESCALATE_TO", "command").env("IBGA_ESCALATE_AFTER", "20m");
        assert_eq!(command.output().expect("the binary starts").status.code(), Some(i32::from(verdict != Ready)));
        let told = std::fs::File::open(stage.desk.path("second")).and_then(std::io::read_to_string);
        told.unwrap_or_default().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(check(WrongMode), [""; 0]);
    stage.change_memory(|memory| memory["unanswered_since"] = a_day_ago());
    assert_eq!(check(WrongMode), ["escalation"]);
    assert_eq!(check(WrongMode), ["escalation"]);
    assert_eq!(check(Ready), ["escalation", "recovery"]);
    assert_eq!(stage.kinds(), ["problem", "recovery"]);
}

#[test]
fn a_dead_mans_switch_hears_of_the_check_and_not_of_the_gateway() {
    let stage = Stage::new();
    let pings = |command: &mut Command| {
        let before = stage.inbox.pings().len();
        command.env("IBGA_PING_URL", stage.inbox.ping_url()).output().expect("the binary starts");
        stage.inbox.pings().split_off(before)
    };
    let ping = |path: &str, body: &str| (path.to_owned(), body.to_owned());
    assert_eq!(pings(&mut stage.check_command(Ready)), [ping("/start", ""), ping("", "ready")]);
    assert_eq!(pings(&mut stage.check_command(WrongMode)), [ping("/start", ""), ping("", "error (wrong_mode)")]);
    stage.inbox.set(Manner::Refuses);
    let untold = "ready; people could not be told of it";
    assert_eq!(pings(&mut stage.check_command(Ready)), [ping("/start", ""), ping("/fail", untold)]);
    // Left alone until its time, it is as untold as before.
    assert_eq!(pings(&mut stage.check_command(Ready)), [ping("/start", ""), ping("/fail", untold)]);
    stage.inbox.set(Manner::Accepts);
    assert_eq!(stage.run(&["alert", "flush"]).code, Some(0));
    let mut unwritable = stage.check_command(Ready);
    unwritable.env("IBGA_STATUS_FILE", "/nonexistent/status.json");
    let unwritten = "ready; the status file could not be written";
    assert_eq!(pings(&mut unwritable), [ping("/start", ""), ping("/fail", unwritten)]);
    // One that is away is a warning, and no more.
    let mut away = stage.check_command(Ready);
    let ran = Ran::from(away.env("IBGA_PING_URL", "http://127.0.0.1:9/secret").output().expect("the binary starts"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.err.contains("warning: the dead man's switch was not reached: ") && !ran.err.contains("secret"),
        "{ran:?}"
    );
}

#[test]
fn an_agent_that_was_not_started_is_told_once_and_holds_nobody_up() {
    let stage = Stage::new();
    stage.check(WrongMode);
    let run = || {
        let watch = Stopwatch::start();
        let ran = stage.run(&["run", "--force", "--expect-mode", "live", "--", "false"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        (watch.elapsed(), ran)
    };
    run();
    run();
    assert_eq!(stage.kinds(), ["problem", "no_go"]);
    assert!(stage.inbox.subjects()[1].starts_with("AGENT PRE-FLIGHT FAILED"), "{:?}", stage.inbox.subjects());
    // Another reason, and a server that never answers.
    stage.inbox.set(Manner::Stalls);
    std::fs::remove_file(stage.desk.status_file()).expect("removed");
    let (took, ran) = run();
    assert!(took.as_secs_f64() < 3.0, "{took:?}");
    assert!(ran.err.contains("Status file not found"), "{ran:?}");
    assert_eq!(stage.deliveries().last(), Some(&("no_go".into(), "waiting".into())));
    stage.inbox.set(Manner::Accepts);
    assert_eq!(stage.run(&["alert", "flush"]).code, Some(0));
    assert_eq!(stage.kinds(), ["problem", "no_go", "no_go"]);
}

#[test]
fn a_closed_market_alone_is_no_news() {
    let stage = Stage::new();
    stage.check(Ready);
    // Nobody trades there on a day for which there is no calendar; a go in the minutes of trading would tell nothing either.
    stage.run(&["run", "--", "true"]);
    assert_eq!(stage.inbox.keys(), [""; 0]);
}

#[test]
fn a_refresh_tells_what_changed_before_the_agent_starts() {
    let stage = Stage::new();
    stage.check(WrongMode);
    let ran = stage.run(&["run", "--refresh-status", "--force", "--expect-mode", "paper", "--", "echo", "agent"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "agent\n"), "{ran:?}");
    assert_eq!(stage.kinds(), ["problem", "recovery"]);
}

#[test]
fn a_trial_shows_what_each_server_answers() {
    let stage = Stage::new();
    let ran = stage.run(&["alert", "test"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("webhook       accepted  IBGA TEST: 200 OK"), "{ran:?}");
    stage.inbox.set(Manner::Refuses);
    let ran = stage.run(&["alert", "test", "--channel", "webhook", "--json"]);
    assert_eq!((ran.code, ran.json()[0]["accepted"].as_bool()), (Some(1), Some(false)), "{ran:?}");
    // It is not repeated.
    stage.inbox.set(Manner::Accepts);
    assert_eq!(stage.run(&["alert", "flush"]).out, "nothing waits\n");
    assert_eq!(stage.kinds(), ["test"]);
    let ran = stage.run(&["alert", "test", "--channel", "email"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(2), "--channel: `email` is not set; set are: webhook\n"));
}

#[test]
fn the_store_is_this_users_alone() {
    let stage = Stage::new();
    stage.check(WrongMode);
    let mode = |path: PathBuf| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(stage.state_dir()), 0o700);
    assert_eq!(mode(stage.state_dir().join("ibga.sqlite")), 0o600);
}

#[test]
fn a_no_go_says_that_the_store_cannot_be_used() {
    let stage = Stage::new();
    stage.desk.write("state", "a file where a directory belongs");
    let ran = stage.run(&["run", "--force", "--", "false"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("warning: the store of alerts cannot be used, so they go out directly"), "{ran:?}");
    assert_eq!(stage.kinds(), ["no_go"]);
    // What is put aside of a no-go says nothing of what people know of the gateway.
    let mut quiet = stage.check_command(WrongMode);
    quiet.env_remove("IBGA_WEBHOOK_URL").output().expect("the binary starts");
    stage.check(Ready);
    assert_eq!(stage.kinds(), ["no_go", "recovery"]);
}

#[test]
fn a_report_that_was_taken_over_is_told_to_those_that_its_writer_does_not_know() {
    let stage = Stage::new();
    let slow = || {
        let mut command = stage.check_command(WrongMode);
        command.env("IBGA_SETTLE", "1s");
        command
    };
    let mut first = slow();
    first.env_remove("IBGA_WEBHOOK_URL").stdout(Stdio::null()).stderr(Stdio::null());
    let mut first = first.spawn().expect("the binary starts");
    stage.gateway.wait_for_client();
    let ran = Ran::from(slow().output().expect("the binary starts"));
    assert!(ran.err.contains("another process was probing already"), "{ran:?}");
    first.wait().expect("ends");
    assert_eq!(stage.kinds(), ["problem"]);
}

#[test]
fn a_problem_is_acknowledged_by_the_number_of_its_alert() {
    let stage = Stage::new();
    for verdict in [WrongMode, WrongMode] {
        stage.check(verdict);
    }
    let ran = stage.run(&["alert", "ack", "1"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_flush_says_what_another_process_holds() {
    let stage = Stage::new();
    stage.inbox.set(Manner::Refuses);
    stage.check(WrongMode);
    stage.inbox.set(Manner::Accepts);
    let store = rusqlite::Connection::open(stage.state_dir().join("ibga.sqlite")).expect("opens");
    let boot = std::fs::File::open("/proc/sys/kernel/random/boot_id").and_then(std::io::read_to_string).expect("text");
    let lease = "INSERT INTO lease VALUES ('default', 'webhook', 'another', ?1, 9223372036854775807)";
    store.execute(lease, [boot.trim()]).expect("held");
    let ran = stage.run(&["alert", "flush"]);
    assert_eq!((ran.code, ran.err.starts_with("still waiting: 1; ")), (Some(1), true), "{ran:?}");
    store.execute("DELETE FROM lease", []).expect("free");
    assert_eq!(stage.run(&["alert", "flush"]).code, Some(0));
    assert_eq!(stage.kinds(), ["problem"]);
}

#[test]
fn a_no_go_waits_for_neither_a_held_store_nor_a_silent_server_beyond_two_seconds() {
    let stage = Stage::new();
    stage.check(Ready);
    let connection = rusqlite::Connection::open(stage.state_dir().join("ibga.sqlite")).expect("opens");
    connection.execute_batch("BEGIN IMMEDIATE").expect("held");
    stage.inbox.set(Manner::Stalls);
    let watch = Stopwatch::start();
    let ran = stage.run(&["run", "--force", "--expect-mode", "live", "--", "false"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(watch.elapsed().as_secs_f64() < 2.4, "{:?}", watch.elapsed());
}
