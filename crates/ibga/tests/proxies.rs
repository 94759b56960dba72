//! Checks through real socat, as gateway containers put it before the API port. Every test here needs `socat` and has
//! `real_socat` in its name.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail their test")]

mod common;
#[path = "common/port.rs"]
mod port;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use common::{Desk, Gateway, Ran};
use ibga_core::clock::Stopwatch;
use ibga_sim::{Config, Scenario};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

/// As in the container heshiming/ibga: tries a closed port again every second, for ever.
const AS_IBGA: &str = ",forever,shut-down";

/// As in most other containers.
const PLAIN: &str = "";

/// How long socat may take to say what is waited for.
const LIMIT: Duration = Duration::from_secs(20);

/// A socat with its children, and what it says.
struct Socat {
    address: SocketAddr,
    process: Child,
    lines: Receiver<String>,
}

impl Socat {
    /// Before this port of this machine, with these options on that side.
    fn before(port: u16, options: &str) -> Self {
        let mut process = Command::new("socat")
            .args(["-d", "-d", "-d"])
            .arg("TCP-LISTEN:0,fork,reuseaddr,bind=127.0.0.1")
            .arg(format!("TCP:localhost:{port}{options}"))
            .process_group(0)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("socat starts; ./test installs it");
        let (sender, lines) = channel();
        let said = BufReader::new(process.stderr.take().expect("a pipe"));
        // Reads to the end, so that no child ever waits for room in the pipe.
        std::thread::spawn(move || said.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let mut socat = Self { address: SocketAddr::from(([127, 0, 0, 1], 0)), process, lines };
        let listening = socat.wait_for("listening on");
        let address = listening.rsplit(' ').next().and_then(|address| address.parse().ok());
        socat.address = address.unwrap_or_else(|| panic!("no address: {listening}"));
        socat
    }

    /// The next line with these words.
    fn wait_for(&self, words: &str) -> String {
        let watch = Stopwatch::start();
        while let Ok(line) = self.lines.recv_timeout(LIMIT.saturating_sub(watch.elapsed())) {
            if line.contains(words) {
                return line;
            }
        }
        panic!("socat never said {words:?}");
    }

    /// How many connections it has taken since the last time this was asked.
    fn accepted(&self) -> usize {
        self.lines.try_iter().filter(|line| line.contains("accepting connection")).count()
    }

    /// How many children there are: one for each connection that has not ended on both sides.
    fn children(&self) -> usize {
        let process = self.process.id();
        let list = File::open(format!("/proc/{process}/task/{process}/children")).and_then(std::io::read_to_string);
        list.expect("the kernel's list").split_whitespace().count()
    }
}

impl Drop for Socat {
    fn drop(&mut self) {
        if let Some(group) = Pid::from_raw(self.process.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.process.wait();
    }
}

/// `ibga check` through the proxy; its exit code has to fit the verdict.
fn check(desk: &Desk, socat: &Socat, timeout: &str) -> Value {
    let ran = desk.check(socat.address, &["--json", "--container", "none", "--timeout", timeout]);
    judged(&ran)
}

fn judged(ran: &Ran) -> Value {
    let report = ran.json();
    assert_eq!(ran.code, Some(i32::from(report["cause"] != "ready")), "{ran:?}");
    report
}

#[test]
fn real_socat_as_ibga_has_it_is_silent_before_a_closed_port() {
    let socat = Socat::before(port::free_port(), AS_IBGA);
    let desk = Desk::new();
    for checks in 1..=2 {
        let report = check(&desk, &socat, "2s");
        assert_eq!((&report["status"], &report["cause"]), (&json!("not_authenticated"), &json!("api_silent")));
        assert_eq!((&report["port"], &report["connected"]), (&json!("open"), &json!(false)));
        assert_eq!(socat.accepted(), 1, "each check is one connection");
        assert!(socat.children() <= checks, "each check leaves one child at most");
    }
}

#[test]
fn real_socat_plain_hangs_up_before_a_closed_port() {
    let socat = Socat::before(port::free_port(), PLAIN);
    let report = check(&Desk::new(), &socat, "4s");
    assert_eq!((&report["status"], &report["cause"]), (&json!("not_authenticated"), &json!("api_closed")));
    assert_eq!((&report["port"], &report["connected"]), (&json!("open"), &json!(false)));
    assert_eq!(socat.accepted(), 1);
}

#[test]
fn real_socat_before_a_ready_gateway_is_of_no_account() {
    for options in [AS_IBGA, PLAIN] {
        let gateway = Gateway::playing(Scenario::Ready);
        let socat = Socat::before(gateway.address.port(), options);
        let report = check(&Desk::new(), &socat, "4s");
        assert_eq!((&report["cause"], &report["broker"]), (&json!("ready"), &json!("answered")), "{options}");
        socat.wait_for("exiting with status 0");
        assert_eq!(gateway.count("connected"), 1, "{options}");
    }
}

#[test]
fn real_socat_as_ibga_has_it_delivers_the_hello_when_the_port_opens() {
    let port = port::free_port();
    let socat = Socat::before(port, AS_IBGA);
    let desk = Desk::new();
    let (address, flags) = (socat.address.port().to_string(), ["--json", "--container", "none", "--timeout", "15s"]);
    let check = desk.command(&[&["check", "--port", &address], &flags[..]].concat()).stdout(Stdio::piped()).spawn();
    socat.wait_for("accepting connection");
    socat.wait_for("Connection refused");
    let gateway = Gateway::start(Config { listen: SocketAddr::from(([127, 0, 0, 1], port)), ..Config::default() });
    let report = judged(&Ran::from(check.expect("the binary starts").wait_with_output().expect("its output")));
    assert_eq!(report["cause"], "ready", "{report}");
    assert_eq!((socat.accepted(), gateway.count("connected")), (0, 1), "it was the same connection to the end");
}

#[test]
fn real_socat_abandoned_hellos_do_not_spoil_the_next_check() {
    let port = port::free_port();
    let socat = Socat::before(port, AS_IBGA);
    let desk = Desk::new();
    for _ in 0..2 {
        assert_eq!(check(&desk, &socat, "1s")["cause"], "api_silent");
    }
    let gateway = Gateway::start(Config { listen: SocketAddr::from(([127, 0, 0, 1], port)), ..Config::default() });
    for _ in 0..2 {
        socat.wait_for("successfully connected");
    }
    assert_eq!(check(&desk, &socat, "4s")["cause"], "ready");
    assert_eq!(gateway.count("connected"), 3);
}

#[test]
fn real_socat_carries_one_connection_at_a_time() {
    for options in [AS_IBGA, PLAIN] {
        let gateway = Gateway::playing(Scenario::ClientIdInUse);
        let socat = Socat::before(gateway.address.port(), options);
        assert_eq!(check(&Desk::new(), &socat, "4s")["cause"], "client_id_in_use", "{options}");
        assert_eq!(socat.accepted(), 5, "{options}: one connection for each client id");
        let mut open = 0;
        for event in gateway.events() {
            match event["event"].as_str() {
                Some("connected") => open += 1,
                Some("closed") => open -= 1,
                _ => {}
            }
            assert!((0..=1).contains(&open), "{options}: {event}");
        }
    }
}
