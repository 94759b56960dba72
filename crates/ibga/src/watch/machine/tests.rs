mod bench;
mod week;

use ibga_core::log_hints::{LogHint, LogHintKind};
use ibga_tws::probe::Event;

use super::*;
use bench::{Bench, Gateway, found, secs, settings};

fn hint(kind: LogHintKind) -> LogSeen {
    LogSeen::Hint(LogHint { kind, line: "a line".into() })
}

#[test]
fn every_heartbeat_is_written_and_a_change_announced_and_told() {
    let mut bench = Bench::new(&[("IBGA_CONTAINER", "none")], Gateway::Ready);
    bench.run_to(secs(1));
    assert_eq!(bench.told(), ["0 write ready", "0 now ready", "0 tell ready"]);
    let now = bench.now;
    bench.machine.told(true, now);
    bench.run_to(secs(41));
    assert_eq!(bench.told(), ["20 write ready", "40 write ready"]);
    bench.event(&Event::Closed);
    assert_eq!(bench.told(), ["41 write session_lost", "41 now not_connected (session_lost)", "41 tell session_lost"]);
}

#[test]
fn people_are_asked_for_when_a_cause_has_held_and_then_each_minute() {
    let mut bench = Bench::new(&[("IBGA_CONTAINER", "none")], Gateway::Refusing);
    bench.run_to(secs(400));
    let tells: Vec<String> = bench.told().into_iter().filter(|line| line.contains("tell")).collect();
    let at: Vec<&str> = tells.iter().filter_map(|line| line.split(' ').next()).collect();
    // At once, when it has settled, when it has held for three minutes.
    assert_eq!(at, ["0", "5", "65", "125", "180", "240", "300", "360"]);
    bench.gateway = Gateway::Ready;
    bench.machine.session.hurry(bench.now.running);
    bench.run_to(secs(402));
    assert!(bench.told().contains(&"401 tell ready".to_owned()));
    let now = bench.now;
    bench.machine.told(true, now);
    bench.run_to(secs(600));
    assert!(!bench.told().iter().any(|line| line.contains("tell")), "everybody knows");
}

#[test]
fn the_container_speaks_first_and_its_log_refines_a_closed_api() {
    let mut bench = Bench::new(&[("IBGA_CONTAINER", "ibga")], Gateway::Silent);
    bench.container(&found(ContainerState::Running));
    assert_eq!(bench.told(), Vec::<String>::new(), "nothing is told before the first look has ended");
    bench.run_to(secs(16));
    assert_eq!(
        bench.told(),
        ["15 write api_silent", "15 now not_authenticated (api_silent)", "15 tell api_silent", "15 log of ibga"]
    );
    bench.log_says(hint(LogHintKind::TwoFactorPending));
    assert_eq!(bench.told()[0], "16 write two_factor_pending");
    bench.log_says(hint(LogHintKind::TwoFactorPending));
    bench.log_says(LogSeen::Unreadable);
    assert_eq!(bench.told(), [""; 0], "nothing new, and nothing taken back");
    bench.container(&found(ContainerState::Stopped));
    assert_eq!(bench.told()[1], "16 now container_down (container_stopped)");
    bench.container(&Ok(Answer::Absent));
    assert_eq!(bench.told()[1], "16 now container_down (container_missing)");
    bench.container(&Err(EngineError::NoEngine { address: "x".into() }));
    assert_eq!(bench.told()[1], "16 now error (docker_unavailable)");
}

#[test]
fn a_container_that_was_only_guessed_at_is_missed_once_it_was_seen() {
    let mut bench = Bench::new(&[], Gateway::Refusing);
    bench.run_to(secs(1));
    bench.container(&Ok(Answer::Absent));
    bench.container(&Err(EngineError::NoEngine { address: "x".into() }));
    bench.told();
    bench.container(&found(ContainerState::Running));
    bench.container(&Ok(Answer::Absent));
    assert!(bench.told().contains(&"1 now container_down (container_missing)".to_owned()));
    bench.container(&Err(EngineError::NoEngine { address: "x".into() }));
    assert!(bench.told().contains(&"1 now not_connected (port_refused)".to_owned()), "who cannot ask cannot tell");
}

#[test]
fn a_container_that_starts_is_tried_soon() {
    let mut bench = Bench::new(&[("IBGA_CONTAINER", "ibga")], Gateway::Refusing);
    bench.container(&found(ContainerState::Stopped));
    bench.run_to(secs(300));
    bench.told();
    bench.gateway = Gateway::Ready;
    bench.container(&found(ContainerState::Running));
    bench.run_to(secs(302));
    assert!(bench.told().contains(&"301 now ready".to_owned()), "{:?}", bench.log);
}

#[test]
fn the_clocks_are_compared_at_the_moment_of_the_answer() {
    let mut bench = Bench::new(&[("IBGA_CONTAINER", "none")], Gateway::Ready);
    bench.run_to(secs(1_000));
    bench.told();
    // The wall clock is set forward, that of the gateway too. What is judged before it was read again must not look skewed.
    bench.now.wall = bench.now.wall.checked_add(SignedDuration::from_hours(1)).expect("an instant");
    bench.text("4|2|-1|2103|Market data farm connection is broken:usfarm||");
    bench.run_to(secs(1_100));
    let written: Vec<String> = bench.told().into_iter().filter(|line| line.contains("write")).collect();
    assert!(written.len() > 5 && written.iter().all(|line| line.ends_with("write ready")), "{written:?}");
}

#[test]
fn a_report_of_before_is_taken_up() {
    let mut first = Bench::new(&[("IBGA_CONTAINER", "none")], Gateway::Ready);
    first.run_to(secs(1));
    let previous = first.machine.report().cloned();
    let since = previous.as_ref().and_then(|report| report.more.as_ref()).map(|more| more.since);
    let mut second = Bench::new(&[("IBGA_CONTAINER", "none")], Gateway::Ready);
    second.machine = Machine::new(settings(&[("IBGA_CONTAINER", "none")]), TimeZone::UTC, previous, Practice::Real);
    second.now.wall = second.now.wall.checked_add(SignedDuration::from_mins(5)).expect("an instant");
    assert!(second.machine.report().is_none(), "not its own");
    second.run_to(secs(1));
    assert_eq!(
        second.told(),
        ["0 write ready", "0 now ready", "0 tell ready"],
        "no change, but what was not told may be due"
    );
    let more = second.machine.report().and_then(|report| report.more.clone()).expect("details");
    assert_eq!((Some(more.since), more.sequence), (since, 2));
}

/// A watch that starts its container if it stops.
fn recovering(gateway: Gateway) -> Bench {
    let mut bench = Bench::new(&[("IBGA_CONTAINER", "ibga"), ("IBGA_RECOVER", "container_stopped")], gateway);
    bench.container(&found(ContainerState::Running));
    bench.run_to(secs(1));
    bench.told();
    let effects = bench.machine.recalled(Some(Past::default()), bench.now);
    bench.note(effects);
    bench
}

fn acts(bench: &mut Bench) -> Vec<String> {
    let is_act = |line: &String| ["docker", "give up", "left alone", "recall"].iter().any(|word| line.contains(word));
    bench.told().into_iter().filter(is_act).collect()
}

impl Bench {
    /// What was ordered has been done.
    fn done(&mut self) {
        let outcome = Outcome::Done { text: "done".into(), kept: crate::watch::teller::Kept::default() };
        self.machine.recovered(&outcome, self.now);
    }
}

#[test]
fn a_container_that_stopped_is_started_and_looked_at_again() {
    let mut bench = recovering(Gateway::Ready);
    bench.run_to(secs(30));
    bench.gateway = Gateway::Refusing;
    bench.event(&Event::Closed);
    bench.container(&found(ContainerState::Stopped));
    assert_eq!(acts(&mut bench), [""; 0], "not before its log was read");
    bench.log_says(LogSeen::Quiet);
    bench.run_to(secs(45));
    assert_eq!(acts(&mut bench), ["30 left alone: too_early", "40 docker start"]);
    bench.done();
    // It did not help; acts keep their distance, and end.
    for _ in 0..200 {
        let until = bench.now.running + secs(60);
        bench.run_to(until);
        if bench.log.iter().any(|line| line.ends_with("docker start")) {
            bench.done();
        }
        if bench.log.iter().any(|line| line.contains("give up")) {
            bench.done();
            break;
        }
    }
    let acts = acts(&mut bench);
    let starts = acts.iter().filter(|line| line.ends_with("docker start")).count();
    assert_eq!(starts, 2, "three in all: {acts:?}");
    assert!(acts.last().is_some_and(|last| last.ends_with("give up container_stopped")), "{acts:?}");
}

#[test]
fn what_was_started_and_came_back_is_ready_and_forgotten() {
    let mut bench = recovering(Gateway::Ready);
    bench.run_to(secs(30));
    bench.gateway = Gateway::Refusing;
    bench.event(&Event::Closed);
    bench.container(&found(ContainerState::Stopped));
    bench.log_says(LogSeen::Quiet);
    bench.run_to(secs(41));
    assert_eq!(acts(&mut bench), ["30 left alone: too_early", "40 docker start"]);
    bench.gateway = Gateway::Ready;
    bench.container(&found(ContainerState::Running));
    bench.done();
    bench.run_to(secs(60));
    assert!(bench.told().iter().any(|line| line.ends_with("now ready")));
    bench.run_to(secs(4_000));
    assert_eq!(acts(&mut bench), [""; 0]);
}

#[test]
fn nothing_is_done_while_a_login_may_be_under_way_or_the_store_is_silent() {
    let variables = [
        ("IBGA_CONTAINER", "ibga"),
        ("IBGA_RECOVER", "api_silent"),
        ("IBGA_RECOVER_WITH", "run /usr/local/bin/restart"),
    ];
    let mut bench = Bench::new(&variables, Gateway::Silent);
    bench.container(&found(ContainerState::Running));
    bench.run_to(secs(20));
    assert_eq!(acts(&mut bench), [""; 0], "its log comes first");
    bench.log_says(LogSeen::Quiet);
    assert_eq!(acts(&mut bench), ["20 recall"]);
    let effects = bench.machine.recalled(None, bench.now);
    bench.note(effects);
    bench.run_to(secs(100));
    assert_eq!(acts(&mut bench), ["80 recall"], "a store that cannot be read is asked again, and nothing done");
    let effects = bench.machine.recalled(Some(Past::default()), bench.now);
    bench.note(effects);
    bench.log_says(hint(LogHintKind::TwoFactorPending));
    bench.run_to(secs(2_000));
    let acts = acts(&mut bench);
    assert!(!acts.is_empty() && acts.iter().all(|line| line.contains("left alone")), "{acts:?}");
}

/// A session that is up may need help as well; then its container's log is read for what speaks against that.
#[test]
fn a_broker_that_stays_silent_is_a_cause_to_act_for_too() {
    let variables = [
        ("IBGA_CONTAINER", "ibga"),
        ("IBGA_RECOVER", "broker_silent"),
        ("IBGA_RECOVER_WITH", "run /usr/local/bin/restart"),
        // None near.
        ("IBGA_RESET_WINDOWS", "20:00-20:01 UTC Somewhere"),
    ];
    let mut bench = Bench::new(&variables, Gateway::CutOff);
    bench.container(&found(ContainerState::Running));
    bench.run_to(secs(30));
    assert!(bench.told().contains(&"30 log of ibga".to_owned()) || bench.machine.log_read_at.is_some());
    bench.log_says(LogSeen::Quiet);
    let effects = bench.machine.recalled(Some(Past::default()), bench.now);
    bench.note(effects);
    bench.run_to(secs(3_600));
    let ran = bench.told().into_iter().find(|line| line.ends_with("/usr/local/bin/restart"));
    assert!(ran.is_some(), "half an hour is long enough");
}
