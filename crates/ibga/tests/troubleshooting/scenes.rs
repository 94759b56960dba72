//! What goes wrong, each time for real: the binary is run into it, and what it printed is kept. Where that takes another user or
//! another hour, the functions that make the message are asked instead.

use std::path::Path;
use std::time::Duration;

use ibga::docker::EngineError;
use ibga_core::calendar::{self, Calendar, Exchange, LiquidHours};
use ibga_core::clock;
use ibga_core::gate::{self, Chosen, MarketRule, Question};
use ibga_core::report::{BrokerHours, HoursQuestion, Report};
use ibga_core::secure_file::ReadError;
use ibga_core::status_file::StatusFileError;
use ibga_core::verdict::Expectations;
use ibga_sim::Scenario;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::common::{Desk, Gateway, Ran, set_mode};
use crate::engine;

/// The gateway's address where nobody sets another.
const ADDRESS: &str = "127.0.0.1:4000";

/// The name of a scene and all that was printed, with the defaults' paths, ports and times.
type Scene = (String, String);

pub(crate) fn all() -> Vec<Scene> {
    let mut scenes = Vec::new();
    gate(&mut scenes);
    markets(&mut scenes);
    containers(&mut scenes);
    gateways(&mut scenes);
    settings(&mut scenes);
    alerts(&mut scenes);
    schedulers(&mut scenes);
    scenes
}

/// What was printed, as it would read on a machine with the defaults.
fn told(desk: &Desk, ran: &Ran, replaced: &[(&str, &str)]) -> String {
    let mut text =
        format!("{}{}", ran.out, ran.err).replace(desk.status_file().to_str().expect("UTF-8"), "/tmp/ibga-status.json");
    for (found, shown) in replaced {
        text = text.replace(found, shown);
    }
    // The only line that begins with the hour.
    let dated = |line: &str| match line.split_once(" ibga run: no-go") {
        Some((_, rest)) => format!("2026-11-23T09:31:00+08:00 ibga run: no-go{rest}"),
        None => line.to_owned(),
    };
    text.lines().map(dated).collect::<Vec<_>>().join("\n")
}

/// The ten fields of older writers, ready, as old as asked for.
fn report(age: SignedDuration) -> String {
    let zone = jiff::tz::TimeZone::get("Asia/Hong_Kong").expect("a zone");
    let naive = (clock::now() - age).to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string();
    format!(
        r#"{{"status": "ready", "ready_to_trade": true, "container": "running", "port": "open", "connected": true,
        "authenticated": true, "accounts": ["DU1234567"], "error": null, "timestamp": "{naive}", "check_type": "ib_insync"}}"#
    )
}

fn gate(scenes: &mut Vec<Scene>) {
    let mut judged = |name: &str, prepare: &dyn Fn(&Desk), arguments: &[&str]| {
        let desk = Desk::new();
        prepare(&desk);
        let ran = desk.run(&[arguments, &["--force"]].concat());
        // The seconds that this machine may take from the writing to the judging.
        let seconds = ["(57 seconds", "(58 seconds", "(59 seconds"].map(|late| (late, "(60 seconds"));
        scenes.push((name.into(), told(&desk, &ran, &seconds)));
    };
    let ready = |desk: &Desk, age: i64| desk.write("status.json", &report(SignedDuration::from_secs(age)));
    judged("missing", &|_| (), &["preflight"]);
    judged("stale", &|desk| drop(ready(desk, 912)), &["preflight"]);
    judged("from the future", &|desk| drop(ready(desk, -60)), &["preflight"]);
    judged("writable by others", &|desk| set_mode(&ready(desk, 0), 0o664), &["preflight"]);
    let link = |desk: &Desk| {
        std::fs::rename(ready(desk, 0), desk.path("elsewhere.json")).expect("renamed");
        std::os::unix::fs::symlink(desk.path("elsewhere.json"), desk.status_file()).expect("a link");
    };
    judged("a link", &link, &["preflight"]);

    let (desk, halt) = (
        Desk::new(),
        r#"{"schema_version": 1, "gateway": null, "by": "alice", "uid": UID, "host": "trader", "at": "2026-11-23T06:03:00Z", "reason": "odd fills in 700"}"#,
    );
    ready(&desk, 0);
    desk.write("halt.json", &halt.replace("UID", &rustix::process::geteuid().as_raw().to_string()));
    let ran = desk.run(&["run", "--force", "--", "./agent.py"]);
    scenes.push(("halted".into(), told(&desk, &ran, &[])));
    desk.write("halt.json", "");
    let path = desk.halt_file();
    let ran = desk.run(&["preflight", "--force"]);
    let shown = [(path.to_str().expect("UTF-8"), "/var/tmp/ibga-halt.json")];
    scenes.push(("halted by an empty file".into(), told(&desk, &ran, &shown)));

    // Files that take another user.
    for fault in [ReadError::ForeignOwner(1001), ReadError::PermissionDenied] {
        let fault = StatusFileError::from(fault);
        scenes.push((fault.to_string(), reasons(&fault, MarketRule::Forced)));
    }

    let (desk, gateway) = (Desk::new(), Gateway::playing(Scenario::ApiSilent));
    desk.check(gateway.address, &["--timeout", "300ms"]);
    let ran = desk.run(&["run", "--force", "--", "./agent.py"]);
    scenes.push(("not ready".into(), told(&desk, &ran, &[])));

    let (desk, gateway) = (Desk::new(), Gateway::playing(Scenario::Ready));
    desk.check(gateway.address, &[]);
    let ran = Ran::from(desk.command(&["preflight", "--force"]).env("IBKR_PORT", "4001").output().expect("starts"));
    scenes.push(("another gateway".into(), told(&desk, &ran, &[(&gateway.address.to_string(), "127.0.0.1:4002")])));
}

/// The reasons of the gate itself, as the commands print them.
fn reasons(fault: &StatusFileError, market: MarketRule<'_>) -> String {
    let decision = gate::judge(&Question {
        gateway: "default",
        endpoint: None,
        path: Path::new("/tmp/ibga-status.json"),
        report: Err(fault),
        now: clock::now(),
        zone: &TimeZone::UTC,
        halts: &[],
        max_age: Duration::from_mins(10),
        expected: &Expectations::default(),
        market,
        hours_of: None,
    });
    decision.failures().map(|check| format!("Reason: {check}")).collect::<Vec<_>>().join("\n")
}

fn markets(scenes: &mut Vec<Scene>) {
    let exchange: Exchange = "XHKG".parse().expect("an exchange");
    let xhkg = calendar::Market::of_one(Calendar::for_exchange(exchange));
    for (instant, chosen) in [
        ("2026-11-21T02:00:00Z", Chosen::BySetting),
        ("2026-11-21T02:00:00Z", Chosen::ByDefault),
        ("2026-11-23T04:30:00Z", Chosen::BySetting),
        ("2026-12-25T02:00:00Z", Chosen::BySetting),
        ("2050-01-03T02:00:00Z", Chosen::BySetting),
    ] {
        let moment = xhkg.at(instant.parse::<Timestamp>().expect("an instant"));
        let market = MarketRule::At { moment: &moment, chosen, calendars: &calendar::Calendars::default() };
        let text = reasons(&StatusFileError::from(ReadError::NotFound), market);
        scenes.push((format!("market at {instant}"), text));
    }
    let closed = BrokerHours {
        contract: "700 SEHK STK HKD".into(),
        exchange: Exchange::XHKG,
        zone: "Hongkong".into(),
        hours: Ok(LiquidHours::parse("20261124:CLOSED").expect("hours")),
    };
    scenes.push(("hours that contradict".into(), told_hours(&xhkg, Some(closed))));
    scenes.push(("hours that nobody asked for".into(), told_hours(&xhkg, None)));
    let desk = Desk::new();
    let ran = desk.command(&["check"]).env("IBGA_PROBE_CONTRACT", "AAPL SMART").output().expect("starts");
    scenes.push(("a contract without hours".into(), told(&desk, &Ran::from(ran), &[])));
    let ran = desk.run(&["preflight", "--exchange", "XNYY"]);
    scenes.push(("unknown exchange".into(), told(&desk, &ran, &[])));
}

/// A ready report of a Tuesday morning with these hours, where those of Tencent are wanted.
fn told_hours(xhkg: &calendar::Market, hours: Option<BrokerHours>) -> String {
    let (desk, gateway) = (Desk::new(), Gateway::playing(Scenario::Ready));
    desk.check(gateway.address, &[]);
    let mut report = Report::from_json(&desk.status().to_string(), &TimeZone::UTC).expect("a report");
    report.timestamp = "2026-11-24T02:00:00Z".parse().expect("an instant");
    report.more.as_mut().expect("a report of today").broker_hours = hours;
    let wanted = HoursQuestion { contract: "700 SEHK STK HKD".into(), exchange: Exchange::XHKG };
    let moment = xhkg.at(report.timestamp);
    let decision = gate::judge(&Question {
        gateway: "default",
        endpoint: None,
        path: Path::new("/tmp/ibga-status.json"),
        report: Ok(&report),
        now: report.timestamp,
        zone: &TimeZone::UTC,
        halts: &[],
        max_age: Duration::from_mins(10),
        expected: &Expectations::default(),
        market: MarketRule::At {
            moment: &moment,
            chosen: Chosen::BySetting,
            calendars: &calendar::Calendars::default(),
        },
        hours_of: Some(&wanted),
    });
    let told =
        |check: &gate::Check| format!("Reason: {check}\nWhat to do: {}", check.rule.remedy().unwrap_or_default());
    decision.failures().map(told).collect::<Vec<_>>().join("\n")
}

fn containers(scenes: &mut Vec<Scene>) {
    for (name, state) in [("ibga", "exited"), ("ibga", "paused"), ("ibga", "restarting"), ("other", "running")] {
        let desk = Desk::new();
        let socket = desk.path("engine.sock");
        engine::serve(&socket, name, state, "");
        let mut check = desk.command(&["check", "--container", "ibga"]);
        check.env("DOCKER_HOST", format!("unix://{}", socket.display()));
        let ran = Ran::from(check.output().expect("starts"));
        scenes.push((format!("container {name} {state}"), told(&desk, &ran, &[])));
    }
    let desk = Desk::new();
    let (absent, usual) = ("unix:///nonexistent/docker.sock", "unix:///var/run/docker.sock");
    let text = told(&desk, &desk.run(&["check", "--container", "ibga"]), &[(absent, usual)]);
    // Root has every permission, so the other message is put in the place of this one.
    let [missing, denied] =
        [EngineError::NoEngine { address: usual.into() }, EngineError::PermissionDenied { address: usual.into() }]
            .map(|fault| fault.to_string());
    assert!(text.contains(&missing), "{text}");
    scenes.push(("no permission".into(), text.replace(&missing, &denied)));
    scenes.push(("no engine".into(), text));
}

fn gateways(scenes: &mut Vec<Scene>) {
    for scenario in [
        Scenario::LoggedOut,
        Scenario::ApiSilent,
        Scenario::ApiClosed,
        Scenario::StartupSilent,
        Scenario::AccountsEmpty,
        Scenario::ClientIdInUse,
        Scenario::PaperDisclaimer,
        Scenario::ReadOnlyApi,
        Scenario::Vnc,
        Scenario::Http,
        Scenario::BrokerLinkDown,
        Scenario::BrokerSilent,
        Scenario::CompetingSession,
        Scenario::ClockSkewed,
    ] {
        scenes.push((scenario.to_string(), probed(scenario, &[])));
    }
    scenes.push(("another mode".into(), probed(Scenario::Ready, &["--expect-mode", "live"])));
    scenes.push(("another account".into(), probed(Scenario::Ready, &["--expect-account", "U7654321"])));
    scenes.push(("two factors".into(), two_factors()));
    scenes.push(("locked".into(), locked()));

    let desk = Desk::new();
    let ran = desk.run(&["check", "--host", "gateway.invalid", "--container", "none", "--timeout", "5s"]);
    // A machine without a name server says it otherwise.
    let offline = [("Temporary failure in name resolution", "Name or service not known")];
    scenes.push(("no address".into(), told(&desk, &ran, &offline)));
}

fn probed(scenario: Scenario, arguments: &[&str]) -> String {
    let (desk, gateway) = (Desk::new(), Gateway::playing(scenario));
    let ran = desk.check(gateway.address, &[&["--timeout", "1500ms"], arguments].concat());
    let address = gateway.address.to_string();
    round_skew(&told(&desk, &ran, &[(&address, ADDRESS), ("within 1.5 s", "within 15.0 s")]))
}

fn two_factors() -> String {
    let (desk, gateway) = (Desk::new(), Gateway::playing(Scenario::ApiSilent));
    let socket = desk.path("engine.sock");
    engine::serve(&socket, "ibga", "running", "!!! IB Gateway is waiting for two-factor authentication !!!\n");
    let (address, port) = (gateway.address.to_string(), gateway.address.port().to_string());
    let mut check = desk.command(&["check", "--container", "ibga", "--port", &port, "--timeout", "500ms"]);
    check.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    let ran = Ran::from(check.output().expect("starts"));
    told(&desk, &ran, &[(&address, ADDRESS), ("within 0.5 s", "within 15.0 s")])
}

/// Another process holds the lock for longer than anybody waits: the time limit, and two seconds for the container engine.
fn locked() -> String {
    let (desk, gateway) = (Desk::new(), Gateway::playing(Scenario::Ready));
    let lock = std::fs::File::create(gateway.lock_file()).expect("a lock");
    lock.lock().expect("held");
    let ran = desk.check(gateway.address, &["--timeout", "200ms"]);
    let (address, file) = (gateway.address.to_string(), gateway.lock_file().display().to_string());
    let usual = [(address.as_str(), ADDRESS), (&file, "/tmp/ibga-127.0.0.1-4000.lock"), ("for 2s;", "for 17s;")];
    told(&desk, &ran, &usual)
}

/// `clock is 119.4 s` and the like as `clock is 120.0 s`: how long the answer took has a part in it.
fn round_skew(text: &str) -> String {
    match text.split_once("clock is ").and_then(|(before, rest)| Some((before, rest.split_once(" s ahead")?.1))) {
        Some((before, after)) => format!("{before}clock is 120.0 s ahead{after}"),
        None => text.to_owned(),
    }
}

fn alerts(scenes: &mut Vec<Scene>) {
    let (desk, gateway) = (Desk::new(), Gateway::playing(Scenario::Ready));
    let port = gateway.address.port().to_string();
    let mut scene = |name: &str, arguments: &[&str], variables: &[(&str, &str)], replaced: &[(&str, &str)]| {
        let mut command = desk.command(arguments);
        let ran = Ran::from(command.envs(variables.iter().copied()).output().expect("starts"));
        scenes.push((name.into(), told(&desk, &ran, replaced)));
    };
    let check = ["check", "--port", &port, "--expect-mode", "live"];
    let (state, file) = (desk.path("state"), desk.write("file", "no folder"));
    let (state, file) = (state.to_str().expect("UTF-8"), file.to_str().expect("UTF-8"));
    // Nobody listens at the port of discard.
    let mail = [("ALERT_EMAIL", "me@example.org"), ("SMTP_HOST", "127.0.0.1"), ("SMTP_PORT", "9")];
    let away = [("127.0.0.1:9", "smtp.example.org:587")];
    scene("a mail server that is away", &check, &[&mail[..], &[("IBGA_STATE_DIR", state)]].concat(), &away);
    let broken = [&mail[..], &[("IBGA_STATE_DIR", file)]].concat();
    scene("a broken store", &check, &broken, &[(file, "/var/lib/ibga")]);
    scene("no channel", &["alert", "test"], &[], &[]);
    scene("half a channel", &["check"], &mail[..1], &[]);
}

fn settings(scenes: &mut Vec<Scene>) {
    for (name, file, text, mode) in [
        ("unknown key", "ibga.toml", "prot = 4001\n", 0o600),
        ("no unit", "ibga.toml", "timeout = 15\n", 0o600),
        ("writable configuration", "ibga.toml", "port = 4001\n", 0o666),
        ("unknown name", ".env", "IBGA_CONTANER=ibga\n", 0o600),
    ] {
        let desk = Desk::new();
        set_mode(&desk.write(file, text), mode);
        let ran = desk.run(&["check"]);
        assert_eq!(ran.code, Some(2), "{name}");
        scenes.push((name.into(), told(&desk, &ran, &[])));
    }
    let (desk, gateway) = (Desk::new(), Gateway::playing(Scenario::Ready));
    let ran = desk.check(gateway.address, &["--status-file", "/nonexistent/status.json"]);
    scenes.push(("no folder".into(), told(&desk, &ran, &[])));
}

fn schedulers(scenes: &mut Vec<Scene>) {
    let desk = Desk::new();
    scenes.push(("verbose".into(), told(&desk, &desk.run(&["preflight", "-v"]), &[])));
    for program in ["agent.py", "./agent.py"] {
        let desk = Desk::new();
        desk.write("status.json", &report(SignedDuration::ZERO));
        desk.write("agent.py", "");
        let ran = desk.run(&["run", "--force", "--", program]);
        scenes.push((format!("cannot start {program}"), told(&desk, &ran, &[])));
    }
}
