//! `ibga watch` through the real binary: fresh at each heartbeat, at once at each change, on one connection, whatever is broken.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail their test")]

mod common;
#[path = "common/inbox.rs"]
#[allow(dead_code, reason = "it is shared")]
mod inbox;
#[path = "common/watching.rs"]
mod watching;

use std::os::unix::net::UnixDatagram;

use common::{Desk, Gateway, Ran};
use ibga_sim::{Config, Proxy, Scenario};
use inbox::{Inbox, Manner};
use watching::{LIMIT, Watch, eventually};

/// A gateway in this scenario and a watch of it with a short heartbeat.
fn stage(scenario: Scenario) -> (Desk, Gateway) {
    (Desk::new(), Gateway::playing(scenario))
}

fn watch(desk: &Desk, gateway: &Gateway, arguments: &[&str]) -> Watch {
    Watch::start(watching::command(desk, Some(gateway.address), arguments))
}

#[test]
fn the_status_is_fresh_at_each_heartbeat_on_one_connection() {
    let (desk, gateway) = stage(Scenario::Ready);
    let watch = watch(&desk, &gateway, &[]);
    eventually("three heartbeats", || desk.sequence() >= Some(4));
    let status = desk.status();
    assert_eq!((status["status"].as_str(), status["cause"].as_str()), (Some("ready"), Some("ready")));
    assert_eq!(gateway.count("connected"), 1);
    let asked: Vec<u64> = gateway
        .events()
        .iter()
        .filter(|event| event["name"] == "req_current_time")
        .map(|event| event["at_ms"].as_u64().expect("a time"))
        .collect();
    assert!(asked.len() >= 3 && asked.windows(2).all(|pair| pair[1] - pair[0] >= 1_100), "{asked:?}");
    let ran = watch.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let closed: Vec<_> = gateway.events().into_iter().filter(|event| event["event"] == "closed").collect();
    assert_eq!((closed[0]["by"].as_str(), closed[0]["how"].as_str()), (Some("client"), Some("closed")), "{closed:?}");
}

#[test]
fn each_change_is_written_at_once() {
    let (desk, gateway) = stage(Scenario::Ready);
    let watch = watch(&desk, &gateway, &["--heartbeat", "60s"]);
    for (scenario, cause) in [
        (Scenario::BrokerLinkDown, "broker_link_down"),
        (Scenario::BrokerLinkRestored, "ready"),
        (Scenario::CompetingSession, "competing_session"),
        (Scenario::Restart, "session_lost"),
        (Scenario::Restart, "api_closed"),
        (Scenario::LoggedOut, "port_refused"),
        (Scenario::Ready, "ready"),
    ] {
        if gateway.scenario() != scenario {
            gateway.switch(scenario);
        }
        watch.wait_for(&format!("({cause})"), cause == "ready");
        desk.wait_for_cause(cause);
    }
}

#[test]
fn behind_ibgas_proxy_the_patient_connection_is_the_one_that_becomes_ready() {
    let desk = Desk::new();
    let config = Config { timeline: Scenario::LoggedOut.into(), proxy: Proxy::IbgaSocat, ..Config::default() };
    let gateway = Gateway::start(config);
    let watch = watch(&desk, &gateway, &["--timeout", "1s"]);
    watch.wait_for("api_silent", false);
    desk.wait_for_cause("api_silent");
    let sequence = desk.sequence();
    eventually("fresh in silence, too", || desk.sequence() > sequence.map(|number| number + 1));
    gateway.switch(Scenario::Ready);
    desk.wait_for_cause("ready");
    let at_the_proxy = gateway.events().iter().filter(|event| event["to"] == "proxy").count();
    assert_eq!(at_the_proxy, 1, "{:?}", gateway.events());
}

#[test]
fn a_check_tells_what_the_watch_knows_and_probes_nothing() {
    let (desk, gateway) = stage(Scenario::Ready);
    let watch = watch(&desk, &gateway, &[]);
    desk.wait_for_cause("ready");
    let check = |arguments: &[&str]| desk.check(gateway.address, arguments);
    let same = check(&["--json"]);
    assert_eq!((same.code, same.json()["writer"]["pid"].as_u64()), (Some(0), Some(u64::from(watch.id()))), "{same:?}");
    assert!(same.err.contains("`ibga watch` holds this gateway; this is what it knows"), "{}", same.err);
    // It is held against what this check expects, and a file of its own gets the result.
    let other = desk.path("other.json");
    let live = check(&["--expect-mode", "live", "--json", "--status-file", other.to_str().expect("a path")]);
    assert_eq!((live.code, live.json()["cause"].as_str()), (Some(1), Some("wrong_mode")), "{live:?}");
    assert!(std::fs::metadata(&other).is_ok());
    assert_eq!(desk.status()["cause"], "ready", "the watch's own file is its own");
    // What the watch does not look at cannot be judged.
    let mut farms = desk.command(&["check", "--port", &gateway.address.port().to_string(), "--json"]);
    farms.env("IBGA_REQUIRED_FARMS", "hfarm").env("IBGA_STATUS_FILE", desk.path("third.json"));
    let farms = Ran::from(farms.output().expect("the binary starts"));
    assert_eq!((farms.code, farms.json()["cause"].as_str()), (Some(1), Some("probe_failed")), "{farms:?}");
    assert_eq!(gateway.count("connected"), 1);
    // Killed, it leaves the gateway to whoever comes.
    watch.kill();
    let after = check(&["--json"]);
    assert_eq!(after.code, Some(0), "{after:?}");
    assert_ne!(after.json()["writer"]["pid"], same.json()["writer"]["pid"]);
    assert_eq!(gateway.count("connected"), 2);
}

#[test]
fn a_second_watch_stands_by_and_takes_over() {
    let (desk, gateway) = stage(Scenario::Ready);
    let first = watch(&desk, &gateway, &[]);
    desk.wait_for_cause("ready");
    let second = watch(&desk, &gateway, &[]);
    second.wait_for("standing by to take over", false);
    assert_eq!(gateway.count("connected"), 1);
    first.kill();
    eventually("taken over", || desk.writer() == Some(u64::from(second.id())));
    assert_eq!(desk.status()["cause"], "ready");
}

#[test]
fn settings_are_read_again_and_wrong_ones_change_nothing() {
    let desk = Desk::new();
    let (one, two) = (Gateway::playing(Scenario::Ready), Gateway::playing(Scenario::Ready));
    let table = |name: &str, gateway: &Gateway| {
        let (port, file) = (gateway.address.port(), desk.path(&format!("{name}.json")));
        format!("[gateway.{name}]\nport = {port}\nstatus_file = \"{}\"\n", file.display())
    };
    let top = "container = \"none\"\nheartbeat = \"2s\"\n";
    desk.write("ibga.toml", &format!("{top}{}", table("one", &one)));
    let mut command = desk.command(&["watch"]);
    command.env_remove("IBGA_STATUS_FILE").env("IBGA_STATE_DIR", desk.path("state"));
    let watch = Watch::start(command);
    watch.wait_for("ready", true);
    desk.write("ibga.toml", &format!("{top}hearbeat = \"2s\"\n{}", table("one", &one)));
    watch.signal("HUP");
    watch.wait_for("the settings are wrong; those before stay in force", false);
    watch.wait_for("did you mean `heartbeat`?", false);
    desk.write("ibga.toml", &format!("{top}{}{}", table("one", &one), table("two", &two)));
    watch.signal("HUP");
    watch.wait_for("settings read again: watching 2 gateways", false);
    eventually("the second gateway", || desk.path("two.json").exists());
    assert_eq!(one.count("connected"), 1, "what stays the same is not disturbed");
    desk.write("ibga.toml", &format!("{top}{}", table("two", &two)));
    watch.signal("HUP");
    watch.wait_for("settings read again: watching 1 gateway", false);
    eventually("the first is left", || one.count("closed") == 1);
    assert_eq!((one.count("connected"), two.count("connected")), (1, 1));
    // What changes is closed and opened again, one connection at a time.
    desk.write("ibga.toml", &format!("{top}{}expect_mode = \"live\"\n", table("two", &two)));
    watch.signal("HUP");
    eventually("the new settings count", || watching::cause(&desk.path("two.json")).as_deref() == Some("wrong_mode"));
    assert_eq!((two.count("connected"), two.count("closed")), (2, 1));
    let ran = watch.end();
    assert!(!ran.err.contains("standing by"), "{}", ran.err);
}

#[test]
fn systemd_is_told_when_it_is_ready_what_it_does_and_that_it_lives() {
    let (desk, gateway) = stage(Scenario::Ready);
    let socket = UnixDatagram::bind(desk.path("notify")).expect("a socket");
    socket.set_read_timeout(Some(LIMIT)).expect("a limit");
    let next = |wanted: &str| {
        let mut buffer = [0; 1_000];
        loop {
            let count = socket.recv(&mut buffer).unwrap_or_else(|fault| panic!("no {wanted}: {fault}"));
            let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
            if text.starts_with(wanted) {
                return text;
            }
        }
    };
    let mut command = watching::command(&desk, Some(gateway.address), &[]);
    command.env("NOTIFY_SOCKET", desk.path("notify")).env("WATCHDOG_USEC", "200000");
    let watch = Watch::start(command);
    next("READY=1");
    assert_eq!(desk.status()["cause"], "ready", "not before there is a report");
    assert_eq!(next("STATUS="), "STATUS=1 gateway: 1 ready");
    next("WATCHDOG=1");
    next("WATCHDOG=1");
    gateway.switch(Scenario::BrokerLinkDown);
    assert!(next("STATUS=").contains("default: error (broker_link_down)"));
    watch.signal("HUP");
    assert!(next("RELOADING=1").contains("MONOTONIC_USEC="));
    next("READY=1");
    watch.signal("TERM");
    next("STOPPING=1");
}

/// The words of the subjects, without what stands behind them.
fn words(inbox: &Inbox) -> Vec<String> {
    let first = |subject: &String| subject.split(" - ").next().unwrap_or_default().to_owned();
    inbox.subjects().iter().map(first).collect()
}

#[test]
fn people_are_told_when_it_has_lasted_and_when_it_is_over() {
    let (desk, gateway) = stage(Scenario::LoggedOut);
    let inbox = Inbox::open();
    let mut command = watching::command(&desk, Some(gateway.address), &[]);
    command.env("IBGA_WEBHOOK_URL", inbox.url()).env("IBGA_ALERT_AFTER", "1s").env("IBGA_PING_URL", inbox.ping_url());
    let watch = Watch::start(command);
    eventually("the problem is told", || words(&inbox) == ["IBGA CONNECTION ERROR"]);
    gateway.switch(Scenario::Ready);
    eventually("the recovery is told", || words(&inbox) == ["IBGA CONNECTION ERROR", "IBGA READY"]);
    assert!(!inbox.pings().is_empty(), "the dead man's switch hears of it");
    drop(watch);
    // What a short loss comes to is nobody's business.
    let mut command = watching::command(&desk, Some(gateway.address), &[]);
    command.env("IBGA_WEBHOOK_URL", inbox.url()).env("IBGA_ALERT_AFTER", "10m");
    let watch = Watch::start(command);
    watch.wait_for("ready", true);
    gateway.switch(Scenario::Restart);
    watch.wait_for("session_lost", false);
    gateway.switch(Scenario::Ready);
    watch.wait_for("-> ready", false);
    watch.end();
    assert_eq!(words(&inbox).len(), 2);
}

#[test]
fn a_server_that_hangs_holds_up_nobody() {
    let desk = Desk::new();
    let (bad, good) = (Gateway::playing(Scenario::LoggedOut), Gateway::playing(Scenario::Ready));
    let inbox = Inbox::open();
    inbox.set(Manner::Stalls);
    let table = |name: &str, gateway: &Gateway| {
        let (port, file) = (gateway.address.port(), desk.path(&format!("{name}.json")));
        format!("[gateway.{name}]\nport = {port}\nstatus_file = \"{}\"\n", file.display())
    };
    let top = "container = \"none\"\nheartbeat = \"2s\"\nalert_after = \"0s\"\n";
    desk.write("ibga.toml", &format!("{top}{}{}", table("bad", &bad), table("good", &good)));
    let mut command = desk.command(&["watch"]);
    command.env_remove("IBGA_STATUS_FILE").env("IBGA_STATE_DIR", desk.path("state"));
    command.env("IBGA_WEBHOOK_URL", inbox.url());
    let watch = Watch::start(command);
    watch.wait_for("bad: not_connected (port_refused)", false);
    eventually("it goes on", || watching::sequence(&desk.path("good.json")) >= Some(4));
    eventually("it goes on", || watching::sequence(&desk.path("bad.json")) >= Some(4));
    good.switch(Scenario::Restart);
    eventually("a loss is seen", || watching::cause(&desk.path("good.json")) != Some("ready".into()));
    let ran = watch.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_locked_store_holds_up_neither_status_nor_alert() {
    let (desk, gateway) = stage(Scenario::Ready);
    let inbox = Inbox::open();
    let mut command = watching::command(&desk, Some(gateway.address), &[]);
    command.env("IBGA_WEBHOOK_URL", inbox.url()).env("IBGA_ALERT_AFTER", "0s");
    let watch = Watch::start(command);
    watch.wait_for("ready", true);
    eventually("the store is made", || desk.path("state/ibga.sqlite").exists());
    let other = rusqlite::Connection::open(desk.path("state/ibga.sqlite")).expect("the store");
    eventually("the store is locked", || other.execute_batch("BEGIN EXCLUSIVE").is_ok());
    gateway.switch(Scenario::BrokerLinkDown);
    desk.wait_for_cause("broker_link_down");
    eventually("told without the store", || words(&inbox) == ["IBGA CONNECTION ERROR"]);
    let sequence = desk.sequence();
    eventually("it goes on", || desk.sequence() > sequence.map(|number| number + 2));
    other.execute_batch("ROLLBACK").expect("unlocked");
    gateway.switch(Scenario::BrokerLinkRestored);
    eventually("the recovery is told", || words(&inbox) == ["IBGA CONNECTION ERROR", "IBGA READY"]);
    watch.end();
}

#[test]
fn killed_at_any_moment_it_leaves_a_whole_file() {
    let (desk, gateway) = stage(Scenario::Ready);
    for round in 0..10 {
        let watch = watch(&desk, &gateway, &[]);
        let before = desk.sequence();
        eventually("a report", || desk.sequence() > before);
        gateway.switch(if round % 2 == 0 { Scenario::BrokerLinkDown } else { Scenario::BrokerLinkRestored });
        watch.kill();
        assert!(desk.sequence().is_some(), "half a file");
    }
}

#[test]
fn what_cannot_be_watched_is_a_fault_of_usage() {
    let desk = Desk::new();
    desk.write("ibga.toml", "[gateway.a]\nport = 1\n[gateway.b]\nport = 2\n");
    let mut command = desk.command(&["watch", "--port", "4002"]);
    command.env_remove("IBGA_STATUS_FILE");
    let ran = Ran::from(command.output().expect("the binary starts"));
    assert_eq!(ran.code, Some(2));
    assert_eq!(ran.err, "ibga.toml: gateways a and b share 127.0.0.1:4002; give each its own\n");
    let ran = desk.run(&["watch", "--gateway", "c"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{ran:?}");
}

#[test]
fn a_lock_that_was_cleaned_away_is_taken_anew() {
    let (desk, gateway) = stage(Scenario::Ready);
    let watch = watch(&desk, &gateway, &[]);
    desk.wait_for_cause("ready");
    std::fs::remove_file(gateway.lock_file()).expect("removed");
    // It is looked at every half minute.
    watch.wait_for("its lock file was removed; taking it anew", false);
    eventually("it is there again", || gateway.lock_file().exists());
    let sequence = desk.sequence();
    eventually("it goes on", || desk.sequence() > sequence);
    let events = gateway.events();
    let order: Vec<&str> = events
        .iter()
        .filter_map(|event| event["event"].as_str())
        .filter(|name| ["connected", "closed"].contains(name))
        .collect();
    assert_eq!(order, ["connected", "closed", "connected"], "one at a time");
}

#[test]
fn a_check_with_other_settings_leaves_the_watchs_file_alone() {
    let (desk, gateway) = stage(Scenario::Ready);
    let watch = watch(&desk, &gateway, &[]);
    desk.wait_for_cause("ready");
    let ran = desk.check(gateway.address, &["--broker-probe", "off", "--json"]);
    assert_eq!((ran.code, ran.json()["cause"].as_str()), (Some(1), Some("probe_failed")), "{ran:?}");
    assert_eq!((desk.status()["cause"].as_str(), desk.writer()), (Some("ready"), Some(u64::from(watch.id()))));
}
