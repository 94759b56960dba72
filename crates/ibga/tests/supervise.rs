//! Supervised agents through the real binary: what stops them, how fast, with whom, and what passes through.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "helpers of tests fail their test")]

mod common;
#[path = "common/faketime.rs"]
mod faketime;
#[path = "common/inbox.rs"]
#[expect(dead_code, reason = "only a part of it is needed")]
mod inbox;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use common::{Desk, Gateway, Ran};
use faketime::{gateway_at, pretend};
use ibga_core::clock::Stopwatch;
use ibga_sim::{Config, Scenario};
use inbox::Inbox;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// How soon an agent has to be stopped.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The longest that anything may take.
const LONG: Duration = Duration::from_mins(1);

/// A desk at which an agent may start.
fn ready() -> Desk {
    let (desk, gateway) = (Desk::new(), Gateway::playing(Scenario::Ready));
    assert_eq!(desk.check(gateway.address, &["--settle", "0ms"]).code, Some(0));
    desk
}

/// A supervised agent that has said that it runs.
struct Agent {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Agent {
    /// A script of a shell, which has to print a line when it is ready for what comes.
    fn start(desk: &Desk, options: &[&str], script: &str) -> (Self, String) {
        let arguments = [&["run", "--force", "--supervise"], options, &["--", "sh", "-c", script]].concat();
        Self::spawn(desk.command(&arguments))
    }

    fn spawn(mut command: Command) -> (Self, String) {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        let mut agent = Self { out: BufReader::new(child.stdout.take().expect("a pipe")), child };
        let first = agent.line();
        (agent, first)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("signalled");
    }

    /// Waits for the end; what the agent still printed, and what the supervisor said.
    fn end(mut self) -> Ran {
        let mut out = String::new();
        self.out.read_to_string(&mut out).expect("text");
        let ended = self.child.wait_with_output().expect("ends");
        Ran { out, ..Ran::from(ended) }
    }
}

/// Lines of the log that say this.
fn logged<'a>(ran: &'a Ran, what: &str) -> Vec<&'a str> {
    let is_dated = |line: &&str| line.get(..2) == Some("20") && line.contains(" ibga run: ");
    ran.err.lines().filter(is_dated).filter(|line| line.contains(what)).collect()
}

fn lives(pid: &str) -> bool {
    let pid = Pid::from_raw(pid.parse().expect("a process id")).expect("a process id");
    let is_zombie = std::fs::File::open(format!("/proc/{}/stat", pid.as_raw_nonzero()))
        .and_then(std::io::read_to_string)
        .is_ok_and(|stat| stat.contains(") Z "));
    test_kill_process(pid).is_ok() && !is_zombie
}

fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let since = Stopwatch::start();
    while !holds() {
        assert!(since.elapsed() < LONG, "{what} never came");
        std::thread::yield_now();
    }
}

/// Runs until it is told to end, and says then that it heard.
const OBEDIENT: &str = "trap 'echo heard; exit 0' TERM; echo $$; while :; do sleep 0.05; done";

#[test]
fn a_halt_stops_within_a_second() {
    let desk = ready();
    let (agent, _) = Agent::start(&desk, &[], OBEDIENT);
    assert_eq!(desk.run(&["halt", "--reason", "exchange news"]).code, Some(0));
    let since = Stopwatch::start();
    let ran = agent.end();
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    assert_eq!((ran.code, ran.out.as_str()), (Some(75), "heard\n"), "{ran:?}");
    assert_eq!(logged(&ran, "stopping sh: Halted by ").len(), 1, "{}", ran.err);
    assert_eq!(logged(&ran, "sh ended after ").len(), 1, "{}", ran.err);
}

#[test]
fn a_halt_of_its_own_gateway_stops_and_one_of_another_does_not() {
    let desk = ready();
    desk.write("ibga.toml", "[gateway.default]\n[gateway.other]\nport = 1\n");
    let (agent, _) = Agent::start(&desk, &["--stop-on", "halt"], OBEDIENT);
    desk.run(&["halt", "--gateway", "other", "--reason", "not here"]);
    desk.run(&["halt", "--gateway", "default", "--reason", "here"]);
    let ran = agent.end();
    assert_eq!(ran.code, Some(75));
    assert!(ran.err.contains("Halted for gateway default by ") && !ran.err.contains("not here"), "{}", ran.err);
}

/// Takes readiness away.
type Loss<'a> = &'a dyn Fn(&Desk);

#[test]
fn lost_readiness_stops_as_each_kind_of_loss_and_is_kept_if_wanted() {
    let silent = Gateway::playing(Scenario::LoggedOut);
    let losses: [(&str, Loss<'_>); 3] = [
        ("not ready", &|desk| drop(desk.check(silent.address, &["--timeout", "200ms"]))),
        ("Status file not found", &|desk| std::fs::remove_file(desk.status_file()).expect("removed")),
        ("not trusted", &|desk| common::set_mode(&desk.status_file(), 0o666)),
    ];
    for (told, lose) in losses {
        let desk = ready();
        let (agent, _) = Agent::start(&desk, &[], OBEDIENT);
        lose(&desk);
        let since = Stopwatch::start();
        let ran = agent.end();
        assert!(since.elapsed() < AT_ONCE, "{told}: {:?}", since.elapsed());
        assert_eq!((ran.code, logged(&ran, told).len()), (Some(75), 1), "{told}: {ran:?}");
    }
    let desk = ready();
    let mut stale = desk.command(&["run", "--force", "--supervise", "--", "sh", "-c", OBEDIENT]);
    stale.env("IBGA_MAX_STATUS_AGE", "3s");
    let ran = Agent::spawn(stale).0.end();
    assert!(ran.code == Some(75) && ran.err.contains("stopping sh: Status is stale"), "{ran:?}");
    // Not what stops this one.
    let desk = ready();
    let (agent, _) = Agent::start(&desk, &["--stop-on", "session_end"], OBEDIENT);
    std::fs::remove_file(desk.status_file()).expect("removed");
    assert_eq!(desk.run(&["halt", "--reason", "only this"]).code, Some(0));
    let ran = agent.end();
    assert!(ran.err.contains("stopping sh: Halted by "), "{}", ran.err);
}

#[test]
fn a_loss_can_be_borne_for_a_while() {
    let desk = ready();
    let (mut agent, _) = Agent::start(&desk, &["--tolerance", "1h"], "echo $$; read line; echo not stopped");
    std::fs::rename(desk.status_file(), desk.path("aside.json")).expect("renamed");
    // It ends by itself, since its input is at its end.
    assert_eq!(agent.line(), "not stopped");
    assert_eq!(agent.end().code, Some(0));
    let desk = ready();
    let (agent, _) = Agent::start(&desk, &["--tolerance", "1s"], OBEDIENT);
    std::fs::remove_file(desk.status_file()).expect("removed");
    let since = Stopwatch::start();
    assert_eq!(agent.end().code, Some(75));
    assert!((Duration::from_secs(1)..Duration::from_secs(3)).contains(&since.elapsed()), "{:?}", since.elapsed());
}

/// Two seconds before the lunch break of Hong Kong.
#[test]
fn the_end_of_the_session_stops() {
    for (options, code) in [(&[][..], Some(75)), (&["--stop-on", "not_ready"], Some(0))] {
        let desk = Desk::new();
        let almost = "2026-11-23T03:59:55Z";
        let gateway = gateway_at(almost, Config::default());
        let port = gateway.address.port().to_string();
        let script = "trap 'exit 0' TERM; echo $$; i=0; while [ $i -lt 80 ]; do sleep 0.1; i=$((i+1)); done";
        let arguments = [
            &["run", "--supervise", "--refresh-status", "--settle", "0ms", "--port", &port],
            options,
            &["--", "sh", "-c", script],
        ];
        let mut command = desk.command(&arguments.concat());
        pretend(&mut command, almost);
        let (agent, _) = Agent::spawn(command);
        let ran = agent.end();
        assert_eq!(ran.code, code, "{ran:?}");
        assert_eq!(logged(&ran, "stopping sh: XHKG ").len(), usize::from(code == Some(75)), "{}", ran.err);
    }
}

#[test]
fn an_agent_that_does_not_listen_is_killed_with_all_that_it_started() {
    let desk = ready();
    let script = "trap '' TERM; sleep 1000 & echo $!; wait; sleep 1000";
    let (agent, grandchild) = Agent::start(&desk, &["--grace", "300ms"], script);
    desk.run(&["halt", "--reason", "now"]);
    let ran = agent.end();
    assert_eq!(ran.code, Some(75));
    assert_eq!(logged(&ran, "sh was killed (grace 300ms)").len(), 1, "{}", ran.err);
    wait_for("the grandchild's end", || !lives(&grandchild));
}

#[test]
fn what_outlives_an_obedient_agent_has_the_grace_too() {
    let desk = ready();
    let script = "(trap 'sleep 0.2; touch tidied; exit' TERM; echo $$; while :; do sleep 0.02; done) & wait";
    let (agent, _) = Agent::start(&desk, &[], script);
    desk.run(&["halt", "--reason", "now"]);
    let ran = agent.end();
    assert_eq!((ran.code, desk.path("tidied").exists()), (Some(75), true), "{ran:?}");
    assert_eq!(logged(&ran, "sh ended after ").len(), 1, "{}", ran.err);
}

#[test]
fn somebody_who_asks_twice_need_not_wait_for_the_grace() {
    let desk = ready();
    let (agent, _) =
        Agent::start(&desk, &["--grace", "10m"], "trap 'echo heard' TERM; echo $$; while :; do sleep 0.02; done");
    let mut agent = agent;
    desk.run(&["halt", "--reason", "now"]);
    assert_eq!(agent.line(), "heard");
    agent.signal(Signal::TERM);
    assert_eq!(agent.line(), "heard");
    agent.signal(Signal::TERM);
    let ran = agent.end();
    assert_eq!((ran.code, logged(&ran, "was killed").len()), (Some(75), 1), "{ran:?}");
}

#[test]
fn exit_codes_and_signals_pass_through() {
    let desk = ready();
    for (script, code) in [("echo; exit 0", 0), ("echo; exit 42", 42), ("echo; kill -9 $$", 137)] {
        let (agent, _) = Agent::start(&desk, &[], script);
        let ran = agent.end();
        assert_eq!((ran.code, ran.err.as_str()), (Some(code), ""), "{script}");
    }
    for (program, code) in [("./absent", 127), ("./plain", 126)] {
        desk.write("plain", "no program");
        let ran = desk.run(&["run", "--force", "--supervise", "--", program]);
        assert_eq!(ran.code, Some(code), "{program}: {}", ran.err);
    }
    for (signal, name) in [
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
        (Signal::TERM, "TERM"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
    ] {
        let script = format!("trap 'echo heard {name}; exit 3' {name}; echo; while :; do sleep 0.02; done");
        let (agent, _) = Agent::start(&desk, &[], &script);
        agent.signal(signal);
        let ran = agent.end();
        assert_eq!((ran.code, ran.out), (Some(3), format!("heard {name}\n")));
    }
    let (agent, _) = Agent::start(&desk, &[], "echo; exec sleep 1000");
    agent.signal(Signal::TERM);
    assert_eq!(agent.end().code, Some(143), "as a shell says it");
}

#[test]
fn what_was_ignored_stays_ignored() {
    let desk = ready();
    let arguments = ["run", "--force", "--supervise", "--", "sh", "-c", "echo; sleep 0.3; echo alive"];
    let (agent, _) = Agent::spawn(desk.command_under("nohup", &[], &arguments));
    agent.signal(Signal::HUP);
    assert_eq!(agent.end().out, "alive\n");
}

#[test]
fn the_agent_has_its_own_input_and_environment() {
    let desk = ready();
    let script = "cat; echo $IBGA_GATEWAY $IBGA_ACCOUNTS $IBGA_MODE; exit 5";
    let mut command = desk.command(&["run", "--force", "--supervise", "--", "sh", "-c", script]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), b"told\n").expect("written");
    let ran = Ran::from(child.wait_with_output().expect("ends"));
    assert_eq!((ran.code, ran.out.as_str()), (Some(5), "told\ndefault DU1234567 paper\n"), "{ran:?}");
}

/// What a shell at a terminal shows when this is typed.
fn at_a_terminal(desk: &Desk, script: &str, typed: &str) -> String {
    let mut command = Command::new("script");
    command.args(["-qefc", script, "/dev/null"]).current_dir(&desk.folder).env_clear();
    command.envs(desk.command(&[]).get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("SHELL", "/bin/bash").env("IBGA", env!("CARGO_BIN_EXE_ibga")).env("TERM", "dumb");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("script starts");
    let mut keys = child.stdin.take().expect("a pipe");
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut shown = String::new();
    // Each key once the one before was understood.
    for key in typed.split_inclusive('|').map(|key| key.trim_end_matches('|')) {
        while !shown.ends_with("ready\r\n") {
            assert!(out.read_line(&mut shown).expect("text") > 0, "{shown}");
        }
        shown.push('\n');
        std::io::Write::write_all(&mut keys, key.as_bytes()).expect("typed");
    }
    out.read_to_string(&mut shown).expect("text");
    assert!(child.wait().expect("ends").success(), "{shown}");
    shown
}

#[test]
fn real_script_the_terminal_is_the_agents_while_it_runs() {
    let desk = ready();
    let script =
        "$IBGA run --force --supervise -- sh -c 'echo ready; read a; echo agent-$a'; echo ready; read b; echo shell-$b";
    let shown = at_a_terminal(&desk, script, "one\n|two\n");
    assert!(shown.contains("agent-one\r\n") && shown.contains("shell-two\r\n"), "{shown}");
    let script = "$IBGA run --force --supervise -- sh -c 'trap \"echo heard; exit 4\" INT; echo ready; while :; do sleep 0.02; done'; echo code-$?";
    let shown = at_a_terminal(&desk, script, "\u{3}");
    assert!(shown.contains("heard\r\n") && shown.contains("code-4\r\n"), "{shown}");
}

#[test]
fn real_script_a_key_puts_the_agent_aside_and_the_shell_takes_it_up_again() {
    let desk = ready();
    let agent = "sh -c 'echo ready; read a; echo agent-$a'";
    let script = format!(
        "set -m; $IBGA run --force --supervise -- {agent}; echo aside-$?; (sleep 0.2; echo ready) & fg %1 >/dev/null; echo code-$?"
    );
    let shown = at_a_terminal(&desk, &script, "\u{1a}|one\n");
    assert!(
        shown.contains("aside-148\r\n") && shown.contains("agent-one\r\n") && shown.contains("code-0\r\n"),
        "{shown}"
    );
}

#[test]
fn the_agent_does_not_outlive_its_supervisor() {
    let desk = ready();
    let (mut agent, pid) = Agent::start(&desk, &[], "echo $$; exec sleep 1000");
    assert!(lives(&pid));
    agent.signal(Signal::KILL);
    assert_eq!(agent.child.wait().expect("ends").signal(), Some(Signal::KILL.as_raw()));
    wait_for("the agent's end", || !lives(&pid));
}

#[test]
fn people_are_told_and_the_stop_is_kept() {
    let (desk, inbox) = (ready(), Inbox::open());
    let mut command = desk.command(&["run", "--force", "--supervise", "--", "sh", "-c", OBEDIENT]);
    command.env("IBGA_WEBHOOK_URL", inbox.url());
    let (agent, _) = Agent::spawn(command);
    desk.run(&["halt", "--reason", "exchange news"]);
    assert_eq!(agent.end().code, Some(75));
    let alerts = inbox.alerts();
    let text = alerts.first().expect("one").to_string();
    assert!(
        alerts.len() == 1
            && text.contains("AGENT STOPPED")
            && text.contains("sh was stopped: Halted by ")
            && text.contains("ibga resume"),
        "{text}"
    );
    // Whoever halted it knows that nothing starts.
    let mut again = desk.command(&["run", "--force", "--", "true"]);
    assert_eq!(again.env("IBGA_WEBHOOK_URL", inbox.url()).output().expect("starts").status.code(), Some(1));
    assert_eq!(inbox.alerts().len(), 1);
    let store = ibga::store::Store::open(Some(&desk.path("state"))).expect("a store");
    let acts: Vec<String> = store.acts(None, 100).expect("acts").iter().map(|act| act.kind.to_string()).collect();
    for kind in ["halted", "agent_stopped"] {
        assert!(acts.iter().any(|one| one == kind), "{kind} is not among {acts:?}");
    }
}

#[test]
fn a_slow_server_does_not_hold_up_the_stop() {
    let (desk, inbox) = (ready(), Inbox::open());
    inbox.set(inbox::Manner::Stalls);
    let mut command = desk.command(&["run", "--force", "--supervise", "--", "sh", "-c", OBEDIENT]);
    command.env("IBGA_WEBHOOK_URL", inbox.url());
    let (mut agent, _) = Agent::spawn(command);
    desk.run(&["halt", "--reason", "now"]);
    let since = Stopwatch::start();
    assert_eq!(agent.line(), "heard");
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    assert_eq!(agent.end().code, Some(75));
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
}

#[test]
fn an_agent_that_was_started_in_spite_of_everything_is_still_halted() {
    let desk = Desk::new();
    let arguments = ["run", "--skip-preflight", "--supervise", "--", "sh", "-c", OBEDIENT];
    let (agent, _) = Agent::spawn(desk.command(&arguments));
    desk.run(&["halt", "--reason", "now"]);
    let ran = agent.end();
    assert_eq!((ran.code, logged(&ran, "stopping sh: Halted by ").len()), (Some(75), 1), "{ran:?}");
}

#[test]
fn options_of_supervision_want_supervision() {
    let desk = Desk::new();
    for options in [&["--grace", "1s"][..], &["--tolerance", "1s"], &["--stop-on", "halt"]] {
        assert_eq!(desk.run(&[&["run"], options, &["--", "true"]].concat()).code, Some(2), "{options:?}");
    }
    let ran = desk.run(&["run", "--supervise", "--stop-on", "session", "--", "true"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("not_ready, session_end"), "{}", ran.err);
}
