//! `ibga doctor`, by the real binary: what it finds, what it says to do, and that doing it cures the finding.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "helpers of tests fail their test")]

mod common;

use common::{Desk, Gateway, Ran, set_mode};
use ibga_sim::{Config, Scenario};
use serde_json::Value;

/// Runs the doctor against a gateway and returns its findings by subject.
fn doctor(desk: &Desk, gateway: &Gateway, arguments: &[&str]) -> (Ran, Vec<Value>) {
    let (host, port) = (gateway.address.ip().to_string(), gateway.address.port().to_string());
    let mut all = vec!["doctor", "--json", "--host", &host, "--port", &port, "--container", "none"];
    all.extend_from_slice(arguments);
    let ran = desk.run(&all);
    let findings = ran.json()["findings"].as_array().expect("findings").clone();
    (ran, findings)
}

/// A finding in a few words: its outcome, text and repair.
fn told(findings: &[Value], subject: &str) -> String {
    let finding = findings.iter().find(|finding| finding["subject"] == subject).expect("a finding");
    let part = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    format!("{}: {} -> {}", part("outcome"), part("text"), part("repair"))
}

#[test]
fn a_healthy_machine_has_nothing_to_repair_and_nothing_left_behind() {
    let desk = Desk::new();
    desk.write("ibga.toml", "expect_mode = \"paper\"\n");
    let gateway = Gateway::playing(Scenario::Ready);
    let (ran, findings) = doctor(&desk, &gateway, &[]);
    // The calendars end one day; everything else is the same on any day.
    let faulty: Vec<&Value> = findings.iter().filter(|finding| finding["outcome"] == "faulty").collect();
    assert!(faulty.iter().all(|finding| finding["subject"] == "market"), "{faulty:?}");
    assert_eq!(ran.code, Some(i32::from(!faulty.is_empty())), "{ran:?}");
    let subjects: Vec<&str> = findings.iter().filter_map(|finding| finding["subject"].as_str()).collect();
    let all = "configuration state_directory status_file readers container gateway clock time_zone market alerts dead_mans_switch";
    assert_eq!(subjects.join(" "), all);
    assert!(told(&findings, "configuration").starts_with("ok: ibga.toml; gateway default at 127.0.0.1:"));
    assert!(told(&findings, "gateway").starts_with("ok: ready, logged in with DU***67"), "ids are masked");
    assert!(told(&findings, "time_zone").starts_with("ok: Asia/Hong_Kong, the same time as XHKG"));
    let names: Vec<_> =
        std::fs::read_dir(&desk.folder).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["ibga.toml"]);
    assert_eq!(gateway.count("start_api"), 1, "one probe");
}

#[test]
fn a_gateway_that_is_not_ready_comes_with_its_remedy() {
    let desk = Desk::new();
    for (scenario, word) in [
        (Scenario::PortRefused, "faulty: not_connected (port_refused)"),
        (Scenario::ApiSilent, "faulty: not_authenticated (api_silent)"),
        (Scenario::ReadOnlyApi, "faulty: error (read_only_api)"),
        (Scenario::DataFarmDown, "doubtful: ready, logged in with DU***67"),
    ] {
        let (ran, findings) = doctor(&desk, &Gateway::playing(scenario), &["--timeout", "1s"]);
        let told = told(&findings, "gateway");
        assert!(told.starts_with(word) && !told.ends_with("-> "), "{told}");
        assert_eq!(ran.code, Some(i32::from(word.starts_with("faulty"))), "{told}");
    }
    // Remedies are whole: words of ours are not taken for names.
    let paper = Gateway::playing(Scenario::Ready);
    let (_, findings) = doctor(&desk, &paper, &["--expect-mode", "live"]);
    assert!(told(&findings, "gateway").contains("log the gateway in with the user that was expected"), "{findings:?}");
    let ahead = Config { timeline: Scenario::ClockSkewed.into(), ..Config::default() };
    let (_, findings) = doctor(&desk, &Gateway::start(ahead), &[]);
    assert!(told(&findings, "clock").starts_with("faulty: "), "{findings:?}");
}

#[test]
fn a_broken_configuration_is_the_only_finding() {
    let desk = Desk::new();
    desk.write("ibga.toml", "prot = 4002\n");
    let ran = desk.run(&["doctor", "--port", "99999"]);
    assert_eq!(ran.code, Some(1));
    for word in ["FAIL  configuration", "--port: `99999` is not a port", "did you mean `port`?", "-     gateway"] {
        assert!(ran.out.contains(word), "{ran:?}");
    }
    assert_eq!(desk.run(&["doctor", "--prot", "4002"]).code, Some(2), "wrong usage is no finding");
}

#[test]
fn a_broken_override_of_the_calendar_is_found() {
    let desk = Desk::new();
    let overrides = desk.write("calendar.txt", "XHKG close 2026\n");
    desk.write("ibga.toml", &format!("calendar_overrides = \"{}\"\n", overrides.display()));
    let (ran, findings) = doctor(&desk, &Gateway::playing(Scenario::Ready), &[]);
    let told = told(&findings, "market");
    assert!(told.starts_with("faulty: calendar overrides ") && told.contains("calendar.txt:1"), "{told}");
    assert_eq!(ran.code, Some(1));
}

#[test]
fn who_is_told_and_what_keeps_that_from_working() {
    let desk = Desk::new();
    let gateway = Gateway::playing(Scenario::Ready);
    let (ran, findings) = doctor(&desk, &gateway, &[]);
    assert_eq!(ran.code, Some(0), "nobody being told is no fault: {findings:?}");
    assert!(told(&findings, "alerts").starts_with("doubtful: nobody is told"), "{findings:?}");
    assert!(told(&findings, "dead_mans_switch").starts_with("doubtful: nobody notices"), "{findings:?}");

    let (token, ping) = (desk.path("token"), desk.path("ping"));
    let lines = format!(
        "telegram_chat = 1\ntelegram_token_file = {token:?}\nping_url_file = {ping:?}\nalert_command = \"true\"\n",
    );
    desk.write("ibga.toml", &lines);
    let (ran, findings) = doctor(&desk, &gateway, &[]);
    assert_eq!(ran.code, Some(1), "{findings:?}");
    assert!(told(&findings, "alerts").starts_with("ok: told by telegram, command"), "{findings:?}");
    let faults: Vec<&Value> = findings.iter().filter(|finding| finding["outcome"] == "faulty").collect();
    let subjects: Vec<&str> = faults.iter().filter_map(|finding| finding["subject"].as_str()).collect();
    assert_eq!(subjects, ["alerts", "dead_mans_switch"], "{faults:?}");
    // The gate does not read those files.
    assert_eq!(desk.run(&["preflight", "--force"]).code, Some(1));

    for path in [&token, &ping] {
        desk.write(path.file_name().and_then(|name| name.to_str()).expect("a name"), "https://ping.test/hunter2\n");
        set_mode(path, 0o600);
    }
    let (ran, findings) = doctor(&desk, &gateway, &[]);
    assert_eq!((ran.code, ran.out.contains("hunter2")), (Some(0), false), "{findings:?}");
    assert!(told(&findings, "dead_mans_switch").starts_with("ok: "), "{findings:?}");
}

#[test]
fn the_repair_of_the_status_file_cures_it() {
    let desk = Desk::new();
    let gateway = Gateway::playing(Scenario::Ready);
    let status = |findings: &[Value]| told(findings, "status_file");
    // A link is refused by every reader; so is a file that others can write.
    std::os::unix::fs::symlink("elsewhere", desk.status_file()).expect("a link");
    let (_, findings) = doctor(&desk, &gateway, &[]);
    assert!(status(&findings).contains("it is a symbolic link"), "{findings:?}");
    assert!(status(&findings).contains(&format!("-> remove it (`rm {}`)", desk.status_file().display())));
    std::fs::remove_file(desk.status_file()).expect("removed");
    assert!(status(&doctor(&desk, &gateway, &[]).1).starts_with("ok: "));
    let (_, findings) = doctor(&desk, &gateway, &["--status-file", "."]);
    assert!(status(&findings).contains("-> name a file of its own"), "{findings:?}");
    let (_, findings) = doctor(&desk, &gateway, &["--status-file", "nowhere/status.json"]);
    assert!(status(&findings).starts_with("faulty: cannot write "), "{findings:?}");
    assert!(status(&findings).contains("mkdir -p nowhere"), "{findings:?}");
}

#[test]
fn the_state_directory_is_nobody_elses() {
    let desk = Desk::new();
    let gateway = Gateway::playing(Scenario::Ready);
    let folder = desk.path("state");
    let state = |desk: &Desk| {
        let mut command = desk.command(&["doctor", "--json", "--container", "none", "--timeout", "1s"]);
        command.env("IBGA_STATE_DIR", &folder).env("IBKR_PORT", gateway.address.port().to_string());
        told(
            Ran::from(command.output().expect("starts")).json()["findings"].as_array().expect("findings"),
            "state_directory",
        )
    };
    assert!(state(&desk).contains("can be made when it is needed"));
    std::fs::create_dir(&folder).expect("a folder");
    set_mode(&folder, 0o777);
    assert!(state(&desk).contains("chmod go-w"), "{}", state(&desk));
    set_mode(&folder, 0o700);
    assert!(state(&desk).starts_with("ok: "), "{}", state(&desk));
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 0, "nothing is left there");
    std::fs::remove_dir(&folder).expect("removed");
    std::fs::write(&folder, "").expect("a file in its place");
    assert!(state(&desk).contains("is no folder"), "{}", state(&desk));
}

#[test]
fn readers_of_another_user() {
    let desk = Desk::new();
    let gateway = Gateway::playing(Scenario::Ready);
    let (ran, findings) = doctor(&desk, &gateway, &["--reader", "nobody-of-this-name"]);
    assert_eq!(ran.code, Some(1));
    assert!(told(&findings, "readers").contains("no user nobody-of-this-name in /etc/passwd"));
    // The test's own user always can; so can root.
    let me = own_id(&desk);
    let (_, findings) = doctor(&desk, &gateway, &["--reader", &me]);
    assert!(told(&findings, "readers").starts_with("ok: "), "{findings:?}");
    set_mode(&desk.folder, 0o700);
    let (_, findings) = doctor(&desk, &gateway, &["--reader", "4242424"]);
    assert!(told(&findings, "readers").contains("is closed to it"), "{findings:?}");
    set_mode(&desk.folder, 0o755);
    let (_, findings) = doctor(&desk, &gateway, &["--reader", "4242424"]);
    assert!(told(&findings, "readers").contains("its mode is 0600"), "{findings:?}");
}

/// The user that runs the tests, as the owner of what they make.
fn own_id(desk: &Desk) -> String {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(&desk.folder).expect("a folder").uid().to_string()
}

/// What the doctor says of another user's access is what that user meets. Only root can run as somebody else.
#[test]
fn as_root_another_reader_meets_what_was_told() {
    use std::os::unix::process::CommandExt;
    let desk = Desk::new();
    let gateway = Gateway::playing(Scenario::Ready);
    // A copy of the binary that everybody can run.
    let shelf = Desk::new();
    let binary = shelf.path("ibga");
    std::fs::copy(env!("CARGO_BIN_EXE_ibga"), &binary).expect("copied");
    set_mode(&binary, 0o755);
    let id = "4242424";
    for (folder_mode, file_mode, word, code) in [
        (0o755, "0600", "its mode is 0600", 1),
        (0o755, "0644", "believes it", 0),
        (0o711, "0644", "believes it", 0),
        (0o700, "0644", "is closed to it", 1),
    ] {
        set_mode(&desk.folder, folder_mode);
        let with_mode = |arguments: &[&str]| {
            let mut command = desk.command(arguments);
            command.env("IBGA_STATUS_FILE_MODE", file_mode).env("IBKR_PORT", gateway.address.port().to_string());
            command.env("IBGA_CONTAINER", "none");
            Ran::from(command.output().expect("starts"))
        };
        assert_eq!(with_mode(&["check"]).code, Some(0));
        let findings = with_mode(&["doctor", "--json", "--reader", id]).json();
        let told = told(findings["findings"].as_array().expect("findings"), "readers");
        assert!(told.contains(word), "{told}");
        let mut preflight = std::process::Command::new(&binary);
        preflight.env_clear().uid(4_242_424).gid(4_242_424).current_dir("/");
        let met = preflight.args(["preflight", "--force", "--status-file"]).arg(desk.status_file()).output();
        assert_eq!(met.expect("starts").status.code(), Some(code), "{folder_mode:o} {file_mode}");
    }
}
