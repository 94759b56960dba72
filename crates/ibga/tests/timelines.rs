//! `ibga simulate` as it is driven: by a timeline, from the control port, from the terminal, and many gateways at once.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests fail their test")]

mod common;

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use common::{Desk, Ran};
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process};
use serde_json::Value;

/// More than anything here takes, on a slow machine too.
const LIMIT: Duration = Duration::from_secs(30);

/// A simulation that runs until it is dropped.
struct Simulation {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    // Neither terminal nor end: whoever reads it waits for ever.
    _stdin: Option<ChildStdin>,
}

impl Simulation {
    fn start(desk: &Desk, arguments: &[&str]) -> Self {
        let command = desk.command(&[&["simulate", "--port", "0"], arguments].concat());
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
        let stdin = child.stdin.take();
        Self { lines: BufReader::new(child.stdout.take().expect("a pipe")).lines(), child, _stdin: stdin }
    }

    fn next(&mut self) -> Value {
        let line = self.lines.next().expect("a line").expect("text");
        serde_json::from_str(&line).unwrap_or_else(|fault| panic!("{fault}: {line}"))
    }

    /// The next event of this name.
    fn event(&mut self, name: &str) -> Value {
        loop {
            let event = self.next();
            if event["event"] == name {
                return event;
            }
        }
    }

    fn address(&mut self, name: &str) -> SocketAddr {
        self.event(name)["address"].as_str().expect("an address").parse().expect("an address")
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status and body of a request, as the real curl has them.
fn curl(arguments: &[&str], address: SocketAddr, path: &str) -> (u16, Value) {
    let url = format!("http://{address}{path}");
    let common = ["--silent", "--show-error", "--max-time", "20", "--write-out", "\n%{http_code}", "--noproxy", "*"];
    let output = Command::new("curl").args(common).args(arguments).arg(&url).output().expect("curl");
    let text = String::from_utf8(output.stdout).expect("text");
    let (body, code) = text.trim_end().rsplit_once('\n').unwrap_or_else(|| panic!("{text} {:?}", output.stderr));
    (code.parse().expect("a status"), serde_json::from_str(body).unwrap_or(Value::Null))
}

fn post(address: SocketAddr, path: &str) -> (u16, Value) {
    curl(&["--request", "POST"], address, path)
}

#[test]
fn a_timeline_from_a_file_plays_and_stays_at_its_end() {
    let desk = Desk::new();
    desk.write("night", "# a night\nready 10s,\nrestart 10s # closed\n\nbroker_silent as U7654321\n");
    let mut simulation = Simulation::start(&desk, &["--timeline", "night", "--speed", "100"]);
    let address = simulation.address("listening");
    for (step, scenario) in [(2, "restart"), (3, "broker_silent")] {
        let switched = simulation.event("switched");
        let expected: [Value; 4] = [scenario.into(), step.into(), 3.into(), 1.into()];
        assert_eq!(["scenario", "step", "steps", "round"].map(|key| switched[key].clone()), expected);
        let (at, due) = (switched["at_ms"].as_u64().expect("a time"), 100 * (step - 1));
        assert!((due..due + 2_000).contains(&at), "{at} ms");
    }
    assert_eq!(simulation.next()["event"], "timeline_ended");
    let check = desk.check(address, &["--json", "--timeout", "1s"]).json();
    assert_eq!((&check["cause"], &check["mode"]), (&"broker_silent".into(), &"live".into()));
}

#[test]
fn the_command_line_takes_a_timeline_and_a_repeated_one_goes_round() {
    let desk = Desk::new();
    let timeline = "ready 1m, restart 1m, repeat";
    let mut simulation = Simulation::start(&desk, &["--scenario", timeline, "--speed", "6000"]);
    let rounds: Vec<(Value, Value)> = (0..4)
        .map(|_| simulation.event("switched"))
        .map(|switched| (switched["step"].clone(), switched["round"].clone()))
        .collect();
    assert_eq!(rounds, [(2, 1), (1, 2), (2, 2), (1, 3)].map(|(step, round)| (step.into(), round.into())));
}

#[test]
fn real_curl_requests_move_the_gateway_and_tell_what_it_does() {
    let desk = Desk::new();
    let timeline = "ready 1h, restart, api_silent as U7654321";
    let mut simulation = Simulation::start(&desk, &["--scenario", timeline, "--control", "0"]);
    let gateway = simulation.address("listening");
    let control = simulation.address("control");
    assert!(control.ip().is_loopback());

    let (code, shown) = curl(&[], control, "/");
    let state = &shown["gateways"][0];
    assert_eq!((code, state["address"].as_str()), (200, Some(gateway.to_string().as_str())));
    assert_eq!((&state["scenario"], &state["step"], &state["steps"]), (&"ready".into(), &1.into(), &3.into()));
    assert!(state["next_in_ms"].as_u64().is_some_and(|ms| (1..=3_600_000).contains(&ms)), "{state}");

    let (code, answer) = post(control, "/scenario/broker-link-down");
    assert_eq!((code, &answer["gateways"][0]["scenario"]), (200, &"broker_link_down".into()));
    assert_eq!(answer["gateways"][0]["next_in_ms"], Value::Null, "what was chosen stays");
    assert_eq!(simulation.event("switched").get("step"), None);
    let check = desk.check(gateway, &["--json", "--timeout", "2s"]).json();
    assert_eq!(check["cause"], "broker_link_down");

    assert_eq!(post(control, "/next").1["gateways"][0]["step"], 2);
    assert_eq!(simulation.event("switched")["scenario"], "restart");
    assert_eq!(post(control, "/gateways/1/next").1["accounts"][0], "U7***21", "masked");
    let (code, answer) = post(control, "/next");
    assert_eq!((code, answer["error"].as_str().map(|text| text.contains("no step follows"))), (409, Some(true)));
    assert_eq!(post(control, "/scenario/ready?as=U1234567+DU7654321").0, 200);
    simulation.event("switched");
    assert_eq!(simulation.event("switched")["accounts"], serde_json::json!(["U1***67", "DU***21"]), "masked");
    let check = desk.check(gateway, &["--json"]).json();
    assert_eq!(check["accounts"], serde_json::json!(["U1234567", "DU7654321"]));
    let (_, scenarios) = curl(&[], control, "/scenarios");
    assert_eq!(scenarios.as_object().map(serde_json::Map::len), Some(ibga_sim::Scenario::ALL.len()));
}

#[test]
fn real_curl_requests_that_cannot_be_met_say_why_and_change_nothing() {
    let desk = Desk::new();
    let mut simulation = Simulation::start(&desk, &["--scenario", "ready 1h, restart", "--control", "localhost:0"]);
    let control = simulation.address("control");
    let long = format!("/{}", "x".repeat(20_000));
    for (arguments, path, code, text) in [
        (&["-X", "POST"][..], "/scenario/redy", 404, "did you mean `ready`?"),
        (&["-X", "POST"], "/scenario/ready?as=DU-1", 400, "not an account id"),
        (&["-X", "POST"], "/gateways/2/next", 404, "there is no gateway 2; they are numbered from 1 to 1"),
        (&["-X", "POST"], "/nxt", 404, "there is nothing here; try GET /"),
        (&[], "/next", 405, "this takes POST"),
        (&["-X", "PUT"], "/scenario/restart", 405, "this takes POST"),
        // What a page in a browser can do: it names itself, or has its own name lead to this machine.
        (&["-X", "POST", "-H", "Origin: http://evil.example"], "/next", 403, "web pages"),
        (&["-X", "POST", "-H", "Origin: null"], "/next", 403, "web pages"),
        (&["-X", "POST", "-H", "Host: evil.example"], "/next", 403, "web pages"),
        (&["-H", "Host: evil.example"], "/", 403, "web pages"),
        (&[], &long, 431, ""),
    ] {
        let (status, answer) = curl(arguments, control, path);
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(status == code && error.contains(text), "{arguments:?} {path:.30}: {status} {answer}");
    }
    let (_, shown) = curl(&[], control, "/gateways/1");
    assert_eq!((&shown["scenario"], &shown["step"]), (&"ready".into(), &1.into()));
}

#[test]
fn real_curl_idle_connections_to_the_control_port_are_ended_and_starve_nobody() {
    let desk = Desk::new();
    let mut simulation = Simulation::start(&desk, &["--control", "0"]);
    let control = simulation.address("control");
    let mut idle: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(control).expect("connects")).collect();
    assert_eq!(curl(&[], control, "/").0, 200, "once the idle ones are ended");
    let first = &mut idle[0];
    first.set_read_timeout(Some(LIMIT)).expect("a limit");
    assert!(matches!(first.read(&mut [0; 16]), Ok(0) | Err(_)));
}

#[test]
fn real_curl_many_gateways_are_moved_together_or_one_by_one() {
    let desk = Desk::new();
    let arguments = ["--gateways", "3", "--scenario", "ready, restart, ready", "--control", "0"];
    let mut simulation = Simulation::start(&desk, &arguments);
    let gateways: Vec<SocketAddr> = (0..3).map(|_| simulation.address("listening")).collect();
    let control = simulation.address("control");
    assert_eq!(gateways[2].to_string(), format!("127.0.0.3:{}", gateways[0].port()));
    let seen = |address: SocketAddr| desk.check(address, &["--json", "--timeout", "2s"]).json();
    let accounts: Vec<Value> = gateways.iter().map(|address| seen(*address)["accounts"][0].clone()).collect();
    assert_eq!(accounts, ["DU1234567", "DU1234568", "DU1234569"]);

    assert_eq!(post(control, "/gateways/2/scenario/read_only_api").0, 200);
    let switched = simulation.event("switched");
    assert_eq!((&switched["gateway"], &switched["scenario"]), (&2.into(), &"read_only_api".into()));
    let causes: Vec<Value> = gateways.iter().map(|address| seen(*address)["cause"].clone()).collect();
    assert_eq!(causes, ["ready", "read_only_api", "ready"]);
    let (_, answer) = post(control, "/next");
    let steps: Vec<&Value> = answer["gateways"].as_array().expect("three").iter().map(|state| &state["step"]).collect();
    assert_eq!(steps, [2, 2, 2]);
}

#[test]
fn real_curl_thousands_of_gateways_in_one_process() {
    // As many as two thousand, if this machine's hard limit of open files allows.
    let files = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let count = usize::try_from((files.saturating_sub(256) / 2).min(2_000)).expect("a number");
    let desk = Desk::new();
    let script = format!("ulimit -Sn 512; exec \"$0\" simulate --port 0 --gateways {count} --control 0");
    let mut command = desk.command_under("sh", &["-c", &script], &[]);
    command.stderr(Stdio::inherit());
    let mut simulation = Simulation::spawn(command);
    let last = (0..count).map(|_| simulation.address("listening")).last().expect("a gateway");
    let control = simulation.address("control");
    assert_eq!(desk.check(last, &["-q"]).code, Some(0));
    assert_eq!(post(control, "/scenario/restart").0, 200);
    let (_, answer) = curl(&[], control, &format!("/gateways/{count}"));
    assert_eq!((&answer["scenario"], &answer["address"]), (&"restart".into(), &last.to_string().into()));
    let status =
        std::fs::File::open(format!("/proc/{}/status", simulation.child.id())).and_then(std::io::read_to_string);
    if let Some((_, rest)) = status.unwrap_or_default().split_once("VmRSS:") {
        let kib: u64 = rest.split_whitespace().next().expect("a number").parse().expect("a number");
        assert!(kib < 40 * 1024, "{kib} KiB for {count} gateways");
    }
}

#[test]
fn too_many_for_the_limit_of_open_files_is_told() {
    let desk = Desk::new();
    let script = "ulimit -n 300; exec \"$0\" simulate --port 0 --gateways 100";
    let ran = Ran::from(desk.command_under("sh", &["-c", script], &[]).output().expect("a shell"));
    let text = "100 gateways take 456 open files, and this process may have 300; start fewer or raise `ulimit -n`\n";
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), text));
}

#[test]
fn real_curl_whoever_reads_no_events_holds_up_no_gateway() {
    let desk = Desk::new();
    let mut simulation = Simulation::start(&desk, &["--control", "0"]);
    let control = simulation.address("control");
    // Far more than a pipe holds.
    let switches = 1_500;
    let config = "next\n"
        .repeat(switches)
        .replace("next", &format!("url = http://{control}/scenario/ready\noutput = /dev/null"));
    desk.write("requests", &config);
    let all = ["--silent", "--noproxy", "*", "--request", "POST", "--max-time", "60", "--config", "requests"];
    let status = Command::new("curl").args(all).current_dir(&desk.folder).status().expect("curl");
    assert!(status.success(), "{status}");
    kill_process(Pid::from_child(&simulation.child), Signal::TERM).expect("signalled");
    let count = std::iter::from_fn(|| simulation.lines.next()).flatten().count();
    assert_eq!(count, switches, "what was told waits for its reader");
}

#[test]
fn real_curl_a_command_is_told_where_everything_is_and_events_go_to_a_file() {
    let desk = Desk::new();
    let script = "echo $IBKR_HOST:$IBKR_PORT; echo $SIMULATED_GATEWAYS; \
                  curl -sS --noproxy '*' -o state.json -X POST $SIMULATED_CONTROL/next";
    let timeline = "ready, restart";
    let arguments = [
        "simulate",
        "--gateways",
        "2",
        "--control",
        "0",
        "--scenario",
        timeline,
        "--events",
        "events",
        "--",
        "sh",
        "-c",
    ];
    let ran = desk.run(&[&arguments[..], &[script]].concat());
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!((ran.code, lines.len(), ran.err.as_str()), (Some(0), 2, ""), "{ran:?}");
    assert_eq!(lines[1], format!("{} {}", lines[0], lines[0].replace("127.0.0.1", "127.0.0.2")));
    let events = std::fs::File::open(desk.path("events")).and_then(std::io::read_to_string).expect("a file");
    let names: Vec<Value> =
        events.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["event"].clone()).collect();
    let all = ["listening", "listening", "control", "switched", "timeline_ended", "switched", "timeline_ended"];
    assert_eq!(names, all);
    let ran = desk.run(&["simulate", "--port", "0", "--", "sh", "-c", "echo \"-$SIMULATED_CONTROL-\""]);
    assert_eq!(ran.out, "--\n");
}

#[test]
fn the_events_overwrite_no_timeline() {
    let desk = Desk::new();
    let text = "ready 5s, restart\n";
    desk.write("night", text);
    std::os::unix::fs::symlink("night", desk.path("by-symlink")).expect("a link");
    std::fs::hard_link(desk.path("night"), desk.path("by-hard-link")).expect("a link");
    for events in ["night", "./night", "by-symlink", "by-hard-link"] {
        let ran = desk.run(&["simulate", "--port", "0", "--timeline", "night", "--events", events, "--", "true"]);
        let told = "the events would overwrite the timeline night; give --events another file";
        assert_eq!((ran.code, ran.err.contains(told)), (Some(2), true), "{events}: {}", ran.err);
        let kept = std::fs::File::open(desk.path("night")).and_then(std::io::read_to_string).expect("a file");
        assert_eq!(kept, text, "{events}");
    }
    let ran = desk.run(&["simulate", "--port", "0", "--timeline", "night", "--events", "other", "--", "true"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
}

#[test]
fn arguments_that_make_no_sense_are_refused_before_anything_is_opened() {
    let desk = Desk::new();
    desk.write("bad", "ready 5s\n  redy 3s\n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    for (arguments, code, text) in [
        (&["--timeline", "bad"][..], 2, "bad, line 2, column 3: no scenario is called `redy`; did you mean `ready`?"),
        (&["--timeline", "absent"], 2, "cannot read the timeline absent: No such file"),
        (&["--timeline", "/dev/zero"], 2, "more than 64 KiB"),
        (&["--timeline", "bad", "--scenario", "ready"], 2, "cannot be used with"),
        (&["--scenario", "ready 5s, restart 5"], 2, "line 1, column 19: `5` is not a time"),
        (&["--scenario", "ready, restart"], 2, "step 1 of the timeline has no time, and nobody can go on"),
        (&["--scenario", "ready 5s, restart", "--step"], 2, "--step without anybody to go on"),
        (&["--speed", "60"], 2, "--speed and --step go with a timeline"),
        (&["--scenario", "ready 5s", "--speed", "0"], 2, "not a speed"),
        (&["--scenario", "ready 5s", "--speed", "2", "--step"], 2, "cannot be used with"),
        (&["--control", "0.0.0.0:4900"], 2, "it takes requests of this machine alone"),
        (&["--control", "example.org:4900"], 2, "not a port"),
        (&["--control", &port], 1, "is in use; stop the other program or choose another port"),
        (&["--gateways", "0"], 2, "not a number from 1 to 5000"),
        (&["--gateways", "2", "--host", "0.0.0.0"], 2, "they take an address each"),
        (&["--events", "absent/events"], 1, "cannot write the events to absent/events"),
    ] {
        let mut command = desk.command(&[&["simulate", "--port", "0"], arguments].concat());
        let ran = Ran::from(command.stdin(Stdio::null()).output().expect("starts"));
        assert_eq!((ran.code, ran.err.contains(text)), (Some(code), true), "{arguments:?}: {}", ran.err);
        assert_eq!(ran.out.matches("listening").count(), 0, "{arguments:?}");
    }
}

/// A command at a terminal of its own, which util-linux's `script` makes.
struct Terminal {
    child: Child,
    output: BufReader<ChildStdout>,
    input: ChildStdin,
}

impl Terminal {
    fn open(desk: &Desk, typed: &str) -> Self {
        let mut command = Command::new("script");
        command.args(["--quiet", "--command", typed, "/dev/null"]).current_dir(&desk.folder).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("SHELL", "/bin/sh");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script starts");
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        Self { child, output: BufReader::new(output), input }
    }

    /// Reads up to a line with this text.
    fn until(&mut self, text: &str) -> String {
        self.until_all(&[text])
    }

    /// Reads until all these texts came, in any order: events and messages go ways of their own.
    fn until_all(&mut self, texts: &[&str]) -> String {
        let mut seen = String::new();
        while !texts.iter().all(|text| seen.contains(text)) {
            let count = self.output.read_line(&mut seen).expect("text");
            assert!(count > 0, "{texts:?} never came: {seen}");
        }
        seen
    }

    fn types(&mut self, text: &str) {
        self.input.write_all(text.as_bytes()).expect("typed");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The terminal goes with it, and with the terminal whatever runs there.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_person_at_the_terminal_moves_the_gateway() {
    let desk = Desk::new();
    let binary = env!("CARGO_BIN_EXE_ibga");
    let command = format!(
        "trap : INT; {binary} simulate --port 0 --step --scenario 'ready 1ms, restart 1ms, wedged'; echo it ended with $?"
    );
    let mut terminal = Terminal::open(&desk, &command);
    let seen = terminal.until("\"listening\"");
    assert!(seen.contains("Enter goes on to the next step"), "{seen}");
    terminal.types("\n");
    terminal.until(r#""scenario":"restart","accounts":["DU***67"],"step":2,"steps":3"#);
    terminal.types("ready as U7654321\n");
    let seen = terminal.until(r#""scenario":"ready","accounts":["U7***21"]}"#);
    assert!(!seen.contains("\"step\""), "{seen}");
    terminal.types("redy\n");
    terminal.until("did you mean `ready`?");
    terminal.until("Enter goes on to the next step");
    terminal.types("help\n");
    terminal.until("no scenario is called `help`; `ibga simulate --list` names all");
    terminal.until("Enter goes on to the next step");
    // Two lines at once are two orders.
    terminal.types("\n\n");
    terminal.until_all(&[
        r#""scenario":"wedged","accounts":["DU***67"],"step":3"#,
        "timeline_ended",
        "no step follows",
    ]);
    terminal.types("\u{3}");
    terminal.until("it ended with 0");
}

#[test]
fn in_the_background_the_terminal_is_left_to_others() {
    let desk = Desk::new();
    let script = format!(
        "set -m; mkfifo events; {} simulate --port 0 >events & \
         read -r listening <events; echo ask; read -r line; echo got $line; jobs; kill %1; wait; echo done",
        env!("CARGO_BIN_EXE_ibga")
    );
    let mut terminal = Terminal::open(&desk, &format!("bash -c '{script}'"));
    terminal.until("ask");
    terminal.types("hello\n");
    terminal.until("got hello");
    terminal.until("Running");
    terminal.until("done");
}

#[test]
fn ctrl_c_at_the_terminal_reaches_a_command_once_and_leaves_it_the_choice() {
    let desk = Desk::new();
    let agent = "n=0; trap 'n=$((n + 1)); echo told $n' INT; echo started\n\
                 until read -r line && [ \"$line\" = go ]; do echo heard $line; done; echo went on after $n; exit 7\n";
    desk.write("agent.sh", agent);
    let binary = env!("CARGO_BIN_EXE_ibga");
    let typed = format!("trap : INT; {binary} simulate --port 0 -- sh agent.sh; echo it ended with $?");
    let mut terminal = Terminal::open(&desk, &typed);
    terminal.until("started");
    // Were they passed on as well, the second one would kill the command.
    for number in 1..=5 {
        terminal.types("\u{3}");
        terminal.until(&format!("told {number}"));
        terminal.types(&format!("word-{number}\n"));
        terminal.until(&format!("heard word-{number}"));
    }
    terminal.types("go\n");
    terminal.until("went on after 5");
    terminal.until("it ended with 7");
}
