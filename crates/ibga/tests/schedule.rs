//! `ibga schedule` and windows, by the real binary: under a clock that is set (libfaketime), with systemd's own checker, and with a
//! real cron daemon in a mount namespace of its own.

#![expect(clippy::expect_used, reason = "helpers of tests fail their test")]

mod common;
#[path = "common/faketime.rs"]
mod faketime;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Desk, Gateway, Ran, set_mode};
use faketime::{gateway_at, offset, run_at};
use ibga_core::clock::Stopwatch;
use ibga_sim::Config;

#[test]
fn real_faketime_what_happens_around_christmas() {
    let desk = Desk::new();
    let ran = run_at(&desk, "2026-12-23T22:00:00Z", &["schedule", "next", "--days", "4"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    insta::assert_snapshot!("next_christmas", ran.out);
    let json = run_at(&desk, "2026-12-23T22:00:00Z", &["schedule", "next", "--days", "4", "--json"]).json();
    let codes: Vec<&str> =
        json["events"].as_array().expect("events").iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(codes.iter().filter(|code| **code == "agent").count(), 1, "no afternoon of a half day, no holiday");
    assert_eq!(codes.iter().filter(|code| **code == "no_agent").count(), 1);
    assert_eq!(json["events"][0]["exchange_time"], "2026-12-24T08:00:00+08:00");
}

/// A program that can be put behind `--`.
fn agent(desk: &Desk, script: &str) -> PathBuf {
    let agent = desk.write("agent", script);
    set_mode(&agent, 0o755);
    agent
}

#[test]
fn the_plan_follows_the_settings() {
    let desk = Desk::new();
    desk.write(
        "ibga.toml",
        "agent_times = [\"10:15\"]\ncheck_times = [\"10:10\", \"09:00\"]\nsunday_check_times = [\"18:00\"]\n",
    );
    agent(&desk, "#!/bin/sh\n");
    let mut command =
        desk.command(&["schedule", "crontab", "--host-zone", "Asia/Hong_Kong", "--", "./agent", "it's 100%"]);
    // What only this shell knows goes along; a secret does not.
    command.env("IBGA_EXPECT_MODE", "paper").env("SMTP_PASS", "hunter2");
    for name in ["IBGA_STATUS_FILE", "IBGA_STATE_DIR", "IBGA_HALT_FILE"] {
        command.env_remove(name);
    }
    let ran = Ran::from(command.output().expect("starts"));
    let folder = desk.folder.display();
    let lines: Vec<&str> = ran.out.lines().filter(|line| !line.starts_with('#')).collect();
    let ibga = format!("cd {folder} && IBGA_EXPECT_MODE=paper {}", env!("CARGO_BIN_EXE_ibga"));
    let flags = format!("--config {folder}/ibga.toml --gateway default --exchange XHKG");
    let check = format!("{ibga} check -q {flags}");
    assert_eq!(
        lines,
        [
            format!("0 9 * * 1-5 {check} --window 09:00-09:15"),
            format!("10 10 * * 1-5 {check} --window 10:10-10:25"),
            format!("15 10 * * 1-5 {ibga} run {flags} --window 10:15-10:30 -- {folder}/agent 'it'\\''s 100\\%'"),
            format!("0 18 * * 0 {check} --window 'sun 18:00-18:15'"),
        ]
    );
    desk.write("ibga.toml", "agent_times = []\ncheck_times = [\"09:00\"]\nsunday_check_times = []\n");
    let ran = desk.run(&["schedule", "crontab", "--host-zone", "UTC", "--", "./agent"]);
    assert_eq!(ran.out.lines().filter(|line| !line.starts_with('#')).count(), 1, "an empty list means none: {ran:?}");
}

#[test]
fn what_cannot_be_scheduled_is_refused() {
    let desk = Desk::new();
    desk.write("not-executable", "");
    for (arguments, word) in [
        (&["schedule", "crontab", "--host-zone", "Mars/Olympus"][..], "`Mars/Olympus` is no time zone"),
        (&["schedule", "next", "--exchange", "XXXX"], "unknown exchange"),
        (&["schedule", "next", "--days", "0"], "0"),
        (&["schedule"], "Usage"),
        (&["schedule", "crontab", "--", "./nowhere"], "cannot start ./nowhere: there is no such program"),
        (&["schedule", "systemd", "--", "./not-executable"], "there is no such program that may be executed"),
        (&["schedule", "crontab", "--", "no-such-program-anywhere"], "write its path"),
        (&["schedule", "crontab", "--", "sh", "a\\b"], "a backslash, which cron does not hand on"),
        (&["schedule", "systemd", "--user", "nobody of this name"], ""),
        (&["schedule", "systemd", "--user", "a\nExecStartPre=/bin/evil"], ""),
    ] {
        let ran = desk.run(arguments);
        assert_eq!((ran.code, ran.err.contains(word), ran.out.as_str()), (Some(2), true, ""), "{arguments:?} {ran:?}");
    }
    // A program without a path is looked for where this shell looks, since cron looks elsewhere.
    let ran = desk.run(&["schedule", "crontab", "--host-zone", "UTC", "--", "sh"]);
    assert!(ran.out.contains(" -- /"), "{ran:?}");
}

/// What a job finds at its hour must not change what was planned, and not show what is nobody's business.
#[test]
fn a_job_means_what_was_planned() {
    let desk = Desk::new();
    let crontab = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = desk.command(&[&["schedule", "crontab", "--host-zone", "UTC"], arguments].concat());
        command.envs(variables.iter().copied());
        Ran::from(command.output().expect("starts"))
    };
    desk.write("ibga.toml", "[gateway.live]\nport = 4001\n[gateway.default]\nport = 4002\n");
    // A flag wins over the shell, here and at the job's hour.
    let ran = crontab(&[("IBGA_GATEWAY", "live")], &["--gateway", "default"]);
    assert!(ran.out.contains("--gateway default") && !ran.out.contains("IBGA_GATEWAY"), "{ran:?}");
    let ran = crontab(&[("IBGA_GATEWAY", "live"), ("IBGA_EXCHANGE", "stock_connect")], &[]);
    let all = "--gateway live --exchange XSHG --exchange XHKG --exchange-rule all --window";
    assert!(ran.out.contains(all) && !ran.out.contains("IBGA_EXCHANGE"), "{ran:?}");
    let ran = crontab(&[("IBGA_EXPECT_ACCOUNTS", "DU1234567")], &[]);
    assert_eq!((ran.code, ran.err.contains("put it into `.env`")), (Some(2), true), "{ran:?}");
    assert!(!ran.err.contains("DU1234567"));
    // A secret that is used has to be where the job finds it; a mail server's names may be another program's.
    let ran = crontab(&[("IBGA_PING_URL", "https://ping.test/hunter2")], &[]);
    assert_eq!((ran.code, ran.err.contains("IBGA_PING_URL_FILE names")), (Some(2), true), "{ran:?}");
    assert!(!ran.err.contains("hunter2"));
    let others = [("SMTP_HOST", "mail.test"), ("SMTP_USER", "me"), ("SMTP_PASS", "hunter2")];
    let ran = crontab(&others, &[]);
    assert!(ran.code == Some(0) && !ran.out.contains("SMTP") && !ran.out.contains("hunter2"), "{ran:?}");
    let ran = crontab(&[&others[..], &[("ALERT_EMAIL", "me@mail.test")]].concat(), &[]);
    assert_eq!((ran.code, ran.err.contains("SMTP_PASS stands in this shell alone")), (Some(2), true), "{ran:?}");
    let with_file = [("SMTP_PASS_FILE", "/run/secrets/pass"), ("ALERT_EMAIL", "me@mail.test")];
    let ran = crontab(&[&others[..2], &with_file].concat(), &[]);
    assert!(ran.out.contains("ALERT_EMAIL=me@mail.test SMTP_HOST=mail.test SMTP_USER=me SMTP_PASS_FILE="), "{ran:?}");
    let ran = crontab(&[("IBGA_CONTAINER", "a\\b")], &[]);
    assert!(ran.code == Some(2) && !ran.out.contains("a\\b"), "{ran:?}");
}

/// The exchange's calendar ends, and with it the plan's days; not the command.
#[test]
fn real_faketime_past_the_calendars_end_there_is_a_plan_and_a_warning() {
    let desk = Desk::new();
    let ran = run_at(&desk, "2027-12-31T22:00:00Z", &["schedule", "next", "--days", "5"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("from here on the calendar is not known") && !ran.out.contains("agent"), "{}", ran.out);
}

#[test]
fn real_faketime_windows_keep_jobs_to_their_hours() {
    let desk = Desk::new();
    let run =
        ["run", "--skip-preflight", "--window", "09:30-09:45", "--window", "13:00-13:15", "--", "echo", "started"];
    for (instant, missed) in [
        ("2026-12-23T01:30:00Z", None),
        ("2026-12-23T05:14:00Z", None),
        ("2026-12-23T02:30:00Z", Some("window 09:30-09:45 or 13:00-13:15 missed: it is Wed 10:30 +08:00 at XHKG")),
        (
            "2026-12-24T05:00:00Z",
            Some(
                "window 13:00-13:15 missed: XHKG has closed early today (Eve of Christmas), opens Mon 28 Dec 09:30 +08:00",
            ),
        ),
        (
            "2026-12-25T01:30:00Z",
            Some(
                "window 09:30-09:45 missed: XHKG is closed for a holiday (Christmas Day), opens Mon 28 Dec 09:30 +08:00",
            ),
        ),
        (
            "2026-12-26T01:30:00Z",
            Some("window 09:30-09:45 missed: XHKG is closed at the weekend, opens Mon 28 Dec 09:30 +08:00"),
        ),
    ] {
        let ran = run_at(&desk, instant, &run);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        match missed {
            None => assert_eq!(ran.out, "started\n", "{ran:?}"),
            Some(missed) => {
                assert_eq!((ran.out.as_str(), ran.err), ("", format!("ibga run: nothing was started: {missed}\n")));
            }
        }
    }
    // --force passes over the market's hours, not over the window's.
    let forced = ["run", "--skip-preflight", "--force", "--window", "09:30-09:45", "--", "echo", "started"];
    assert_eq!(run_at(&desk, "2026-12-25T01:30:00Z", &forced).out, "started\n");
    assert_eq!(run_at(&desk, "2026-12-25T02:30:00Z", &forced).out, "");
    // A check outside its window looks at nothing and writes nothing; a quiet one does not even say so.
    for (quiet, told) in [(None, 1), (Some("-q"), 0)] {
        let arguments = ["check", "--window", "09:25-09:40"].into_iter().chain(quiet).collect::<Vec<_>>();
        let ran = run_at(&desk, "2026-12-25T01:30:00Z", &arguments);
        assert_eq!((ran.code, ran.out.as_str(), desk.status_file().exists()), (Some(0), "", false), "{ran:?}");
        assert_eq!(ran.err.lines().count(), told, "{ran:?}");
    }
    // Past the calendar's end the gate speaks, and says no.
    let gated = ["run", "--window", "09:30-09:45", "--", "echo", "started"];
    assert_eq!(run_at(&desk, "2030-01-07T01:30:00Z", &gated).code, Some(1));
    let wrong = desk.run(&["check", "--window", "09:45-09:30"]);
    assert_eq!((wrong.code, wrong.err.contains("ends at 09:30")), (Some(2), true), "{wrong:?}");
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// The units in a folder, as systemd's own checker sees them.
#[test]
fn real_systemd_takes_the_units() {
    let desk = Desk::new();
    let folder = desk.path("units of mine");
    let folder_text = folder.to_str().expect("UTF-8");
    let systemd = |arguments: &[&str]| {
        let user: &[&str] = if is_root() { &["--user", "root"] } else { &[] };
        desk.run(&[&["schedule", "systemd", "--folder", folder_text], user, arguments].concat())
    };
    let install = ["--install", "--", "/bin/echo", "100% $HOME \"quoted\""];
    let ran = systemd(&install);
    assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 4), "{ran:?}");
    assert_eq!(systemd(&install).code, Some(0), "the second time");
    let mut units: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.path()).collect();
    units.sort();
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&units).output().expect("starts");
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && said.is_empty(), "{said}");
    let text = |name: &str| {
        std::fs::File::open(folder.join(name)).map(std::io::read_to_string).expect("a unit").expect("text")
    };
    let hours: Vec<String> = text("ibga-agent.timer")
        .lines()
        .filter_map(|line| line.strip_prefix("OnCalendar="))
        .map(str::to_owned)
        .collect();
    assert_eq!(hours, ["mon..fri *-*-* 09:30:00 Asia/Hong_Kong", "mon..fri *-*-* 13:00:00 Asia/Hong_Kong"]);
    // In summer and in winter, whatever the host's zone.
    for (base, next) in [
        ("2026-07-05 12:00:00 UTC", "Mon 2026-07-06 01:30:00 UTC"),
        ("2026-12-06 12:00:00 UTC", "Mon 2026-12-07 01:30:00 UTC"),
    ] {
        let mut command = Command::new("systemd-analyze");
        command.args(["calendar", &hours[0], "--base-time", base]).env("TZ", "America/New_York");
        let told = String::from_utf8(command.output().expect("starts").stdout).expect("text");
        assert!(told.contains(next), "{told}");
    }
    assert!(text("ibga-agent.service").contains("-- /bin/echo \"100%% $$HOME \\\"quoted\\\"\"\n"));
    std::fs::write(folder.join("ibga-check.timer"), "[Timer]\nOnCalendar=daily\n").expect("written");
    let ran = systemd(&install);
    assert_eq!((ran.code, ran.err.contains("was not made by this program")), (Some(1), true), "{ran:?}");
    std::fs::remove_file(folder.join("ibga-check.timer")).expect("removed");
    // Without an agent its units go; with --remove all of them.
    let there = || {
        let names = std::fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.file_name());
        let mut names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
        names.sort();
        names
    };
    assert_eq!(systemd(&["--install"]).code, Some(0));
    assert_eq!(there(), ["ibga-check.service", "ibga-check.timer"]);
    std::fs::write(folder.join("mine.service"), "").expect("written");
    // Whatever has become of the settings: what was installed can go.
    desk.write("ibga.toml", "broken");
    let remove = || desk.run(&["schedule", "systemd", "--folder", folder_text, "--remove"]);
    assert_eq!((remove().code, there()), (Some(0), vec!["mine.service".to_owned()]));
    let ran = remove();
    assert_eq!((ran.code, ran.out.contains("there are no units of gateway default in ")), (Some(0), true), "{ran:?}");
}

/// The names in a folder, in order.
fn names_in(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.file_name());
    let mut names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
    names.sort();
    names
}

fn text_of(path: &Path) -> String {
    std::fs::File::open(path).map(std::io::read_to_string).expect("a file").expect("text")
}

/// One service watches all gateways in the place of their checks, and stays until it is told to go.
#[test]
fn real_systemd_takes_the_watch() {
    let desk = Desk::new();
    let folder = desk.path("units");
    let folder_text = folder.to_str().expect("UTF-8");
    desk.write(
        "ibga.toml",
        "[gateway.paper]\nport = 4002\nstatus_file = \"/srv/p/s.json\"\n[gateway.live]\nport = 4001\n",
    );
    let systemd = |arguments: &[&str]| {
        let mut command = desk.command(&[&["schedule", "systemd", "--folder", folder_text], arguments].concat());
        command.env_remove("IBGA_STATUS_FILE").env_remove("IBGA_STATE_DIR");
        Ran::from(command.output().expect("the binary starts"))
    };
    let user: &[&str] = if is_root() { &["--user", "root", "--watch-user", "daemon"] } else { &[] };
    let with_watch = |more: &[&str]| systemd(&[&["--install", "--watch"], user, more].concat());
    let plain_user: &[&str] = if is_root() { &["--user", "root"] } else { &[] };
    assert_eq!(systemd(&[&["--install", "--gateway", "paper"], plain_user].concat()).code, Some(0));
    assert_eq!(names_in(&folder), ["ibga-paper-check.service", "ibga-paper-check.timer"]);
    for gateway in ["paper", "live"] {
        let ran = with_watch(&["--gateway", gateway, "--", "/bin/echo"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let agents =
        ["ibga-live-agent.service", "ibga-live-agent.timer", "ibga-paper-agent.service", "ibga-paper-agent.timer"];
    assert_eq!(names_in(&folder), [&agents[..], &["ibga-watch.service"]].concat(), "the checks went");
    let unit = folder.join("ibga-watch.service");
    let text = text_of(&unit);
    let config = desk.path("ibga.toml");
    let command = format!("ExecStart={} watch --config {}\n", env!("CARGO_BIN_EXE_ibga"), config.display());
    assert!(text.contains(&command), "every gateway: {text}");
    if is_root() {
        assert!(text.contains("User=daemon\n") && text.contains("ReadWritePaths=-/srv/p -/tmp\n"), "{text}");
        assert!(text.contains("IBGA_STATE_DIR=/var/lib/ibga\n") && text.contains("StateDirectory=ibga\n"), "{text}");
        assert!(text_of(&folder.join("ibga-live-agent.service")).contains("User=root\n"));
    }
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output().expect("starts");
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && said.is_empty(), "{said}");
    if is_root() {
        // The scale of exposure ends at 100; services without any restriction have about 96.
        let mut security = Command::new("systemd-analyze");
        security.args(["security", "--offline=true", "--threshold=45", "--no-pager"]).arg(&unit);
        let ran = Ran::from(security.output().expect("starts"));
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    // It is nobody's alone.
    let ran = systemd(&["--remove", "--gateway", "paper"]);
    assert!(
        ran.code == Some(0) && ran.out.contains("ibga-watch.service stays, since it watches all gateways"),
        "{ran:?}"
    );
    assert_eq!(names_in(&folder), [&agents[..2], &["ibga-watch.service"]].concat());
    let ran = systemd(&[&["--install", "--gateway", "live"], plain_user].concat());
    assert!(ran.out.contains("ibga-watch.service stays"), "{ran:?}");
    let ran = systemd(&["--remove", "--watch", "--gateway", "live"]);
    assert_eq!((ran.code, names_in(&folder)), (Some(0), vec![]), "{ran:?}");
    std::fs::write(&unit, "[Service]\n").expect("written");
    let ran = with_watch(&["--gateway", "live"]);
    assert_eq!((ran.code, ran.err.contains("was not made by this program")), (Some(1), true), "{ran:?}");
    for wrong in [&["--watch-user", "daemon"][..], &["--remove", "--watch", "--watch-user", "daemon"]] {
        assert_eq!(systemd(wrong).code, Some(2), "{wrong:?}");
    }
}

/// What the manager is told, by a `systemctl` that only writes it down. Units of the user's own manager lie in the user's home.
#[test]
fn as_root_the_manager_starts_the_watch_and_ends_it() {
    let desk = Desk::new();
    set_mode(&desk.folder, 0o777);
    let program = desk.path("ibga");
    std::fs::copy(env!("CARGO_BIN_EXE_ibga"), &program).expect("copied");
    std::fs::create_dir(desk.path("bin")).expect("a folder");
    let systemctl = desk.path("bin/systemctl");
    std::fs::write(&systemctl, "#!/bin/sh\necho \"$*\" >>\"$HOME/said\"\n").expect("written");
    set_mode(&systemctl, 0o755);
    let systemd = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "4242", "--regid", "4242", "--clear-groups", "--"]).arg(&program);
        command.args(["schedule", "systemd"]).args(arguments).current_dir(&desk.folder).env_clear();
        command.env("HOME", &desk.folder).env("PATH", format!("{}:/usr/bin:/bin", desk.path("bin").display()));
        let _ = std::fs::remove_file(desk.path("said"));
        let ran = Ran::from(command.output().expect("setpriv starts"));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        (ran.out, text_of(&desk.path("said")))
    };
    let (told, said) = systemd(&["--install", "--watch", "--", "/bin/echo"]);
    assert_eq!(
        said,
        "--user daemon-reload\n--user enable ibga-watch.service\n--user restart ibga-watch.service\n\
         --user enable --now ibga-agent.timer\n"
    );
    assert!(told.contains("started ibga-watch.service; `systemctl --user status ibga-watch.service` shows"), "{told}");
    let (_, said) = systemd(&["--install", "--watch"]);
    assert!(said.starts_with("--user disable --now ibga-agent.timer\n"), "{said}");
    let (_, said) = systemd(&["--remove", "--watch"]);
    assert_eq!(said, "--user disable --now ibga-watch.service\n--user daemon-reload\n");
    assert_eq!(names_in(&desk.path(".config/systemd/user")), [""; 0]);
}

/// A cron daemon that sees another time, in a mount namespace with a spool of its own.
struct Cron {
    child: Child,
    log: PathBuf,
}

impl Cron {
    /// Installs the schedule for a host in New York and starts the daemon.
    fn start(desk: &Desk, now: &str, check: &str, agent_times: &str, gateway: &Gateway) -> Self {
        let log = desk.path("cron.log");
        let shell = desk.write("shell", &format!("#!/bin/sh\nexec sh \"$@\" >>{} 2>&1\n", log.display()));
        set_mode(&shell, 0o755);
        let (_, offset) = offset(now);
        // What stands in the crontab already: the clock and the way to what the jobs print. It must survive.
        let own = desk.write(
            "own.cron",
            &format!(
                "MAILTO=\"\"\nSHELL={}\nLD_PRELOAD={}\nFAKETIME={offset}\nFAKETIME_DONT_FAKE_MONOTONIC=1\n\
                 IBGA_STATUS_FILE={}\nIBKR_PORT={}\nIBGA_CONTAINER=none\n",
                shell.display(),
                faketime::library().display(),
                desk.status_file().display(),
                gateway.address.port(),
            ),
        );
        let ibga = env!("CARGO_BIN_EXE_ibga");
        let script = format!(
            "set -e\n\
             mount -t tmpfs tmpfs /var/spool/cron\n\
             mkdir -m 1730 /var/spool/cron/crontabs\n\
             mount -t tmpfs tmpfs /run\n\
             mount -t tmpfs tmpfs /etc/cron.d\n\
             printf 'session required pam_permit.so\\naccount required pam_permit.so\\nauth required pam_permit.so\\n' >pam\n\
             mount --bind pam /etc/pam.d/cron\n\
             : >empty\n\
             mount --bind empty /etc/crontab\n\
             crontab {own}\n\
             export IBGA_CHECK_TIMES={check} IBGA_AGENT_TIMES={agent_times} IBGA_SUNDAY_CHECK_TIMES=17:00\n\
             {ibga} schedule crontab --install --host-zone America/New_York -- ./agent \"it's 100%\"\n\
             {ibga} schedule crontab --install --host-zone America/New_York -- ./agent \"it's 100%\"\n\
             crontab -l\n\
             export LD_PRELOAD={library} FAKETIME={offset} TZ=America/New_York\n\
             exec cron -f\n",
            own = own.display(),
            library = faketime::library().display(),
        );
        let script = desk.write("start", &script);
        agent(desk, "#!/bin/sh\necho \"the agent runs: $1\"\n");
        let crontab = std::fs::File::create(desk.path("crontab.log")).expect("a file");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh"]).arg(script).current_dir(&desk.folder).env("HOME", &desk.folder);
        command.stdin(Stdio::null()).stderr(crontab.try_clone().expect("a file")).stdout(crontab);
        Self { child: command.spawn().expect("unshare starts"), log }
    }

    /// Waits until the jobs have printed all of this.
    fn wait_for(&mut self, desk: &Desk, words: &[&str]) -> String {
        let watch = Stopwatch::start();
        loop {
            let printed = std::fs::File::open(&self.log).and_then(std::io::read_to_string).unwrap_or_default();
            if words.iter().all(|word| printed.contains(word)) {
                return printed;
            }
            let installed = std::fs::File::open(desk.path("crontab.log")).and_then(std::io::read_to_string);
            assert!(self.child.try_wait().expect("a child").is_none(), "cron ended: {installed:?}");
            assert!(watch.elapsed() < Duration::from_mins(3), "{words:?} never came: {printed}\n{installed:?}");
            std::thread::park_timeout(Duration::from_millis(200));
        }
    }
}

impl Drop for Cron {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines fire by the host's clock, and the one of the wrong half of the year starts nothing.
#[test]
fn as_root_real_cron_runs_the_lines() {
    // A trading day: 09:29:40 in Hong Kong, 20:29:40 of the evening before in New York.
    let trading = "2026-11-23T01:29:40Z";
    let (desk, gateway) = (Desk::new(), gateway_at(trading, Config::default()));
    let mut cron = Cron::start(&desk, trading, "09:30", "08:31,09:31", &gateway);
    // A holiday, beside it.
    let holiday = "2026-12-25T01:29:40Z";
    let (other_desk, other_gateway) = (Desk::new(), gateway_at(holiday, Config::default()));
    let mut other_cron = Cron::start(&other_desk, holiday, "09:30", "09:31", &other_gateway);

    let printed = cron
        .wait_for(&desk, &["the agent runs: it's 100%", "window 08:31-08:46 missed: it is Mon 09:31 +08:00 at XHKG"]);
    assert_eq!(printed.matches("the agent runs").count(), 1, "{printed}");
    assert_eq!(desk.status()["status"], "ready", "the check ran a minute before");
    assert_eq!(gateway.count("start_api"), 1, "one line of the two that stand for it");
    let crontab = std::fs::File::open(desk.path("crontab.log")).and_then(std::io::read_to_string).expect("a crontab");
    assert_eq!(crontab.matches("# BEGIN ibga").count(), 1, "installed twice, there once: {crontab}");
    assert!(crontab.contains("nothing to change\n") && crontab.contains("MAILTO=\"\"\n"), "{crontab}");

    let closed = ["window 09:31-09:46 missed: XHKG is closed for a holiday (Christmas Day)"];
    let printed = other_cron.wait_for(&other_desk, &closed);
    assert!(!printed.contains("the agent runs"), "{printed}");
    assert_eq!((other_gateway.count("connected"), other_desk.status_file().exists()), (0, false));
}
