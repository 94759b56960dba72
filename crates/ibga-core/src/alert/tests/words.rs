//! The words: a subject for every cause, and what the store reads back.

use super::*;
use crate::transition::State;

#[test]
fn the_subject_of_every_cause() {
    use Cause as C;
    let table: [(&str, &[Cause]); 4] = [
        ("IBGA READY", &[C::Ready]),
        (
            "IBGA NEEDS IB KEY APPROVAL",
            &[C::ApiSilent, C::ApiClosed, C::StartupSilent, C::AccountsEmpty, C::AccountsMissing, C::TwoFactorPending],
        ),
        (
            "IBGA CONTAINER DOWN",
            &[C::ContainerMissing, C::ContainerStopped, C::ContainerRestarting, C::ContainerPaused],
        ),
        ("IBGA CONNECTION ERROR", &[C::LoginFailed, C::LoginLockedOut, C::SessionElsewhere]),
    ];
    for cause in Cause::ALL {
        let row = table.iter().find(|(_, causes)| causes.contains(cause));
        let wanted = row.map_or("IBGA CONNECTION ERROR", |(subject, _)| *subject);
        assert_eq!(Subject::of(*cause).to_string(), wanted, "{cause}");
        let is_other = matches!(cause.status(), Status::NotConnected | Status::Error);
        assert_eq!(row.is_none(), is_other, "{cause} stands in the table if its status alone does not tell");
    }
}

#[test]
fn the_subject_of_every_status_without_a_cause() {
    let words = Status::ALL.map(|status| Subject::of_status(status).as_str());
    let [error, approval, down] = ["IBGA CONNECTION ERROR", "IBGA NEEDS IB KEY APPROVAL", "IBGA CONTAINER DOWN"];
    assert_eq!(words, ["IBGA READY", error, approval, down, error]);
}

#[test]
fn the_other_subjects() {
    assert_eq!(Subject::PreflightFailed.as_str(), "AGENT PRE-FLIGHT FAILED");
    let alert = test("default", "127.0.0.1:4000", "desk", &hours(midnight()), midnight());
    assert_eq!((alert.subject.as_str(), alert.kind, alert.audience), ("IBGA TEST", Kind::Test, Audience::Everybody));
    assert_eq!(alert.key, "default.test.1795478400000000");
    assert_eq!(stored(&alert), alert);
}

#[test]
fn an_alert_carries_what_a_person_needs() {
    let desk = play(&one_shot(), "11:00 ready\n11:05-11:20 api_silent\n11:20 ready");
    let [problem, recovery] = desk.heard.as_slice() else { panic!("{:?}", desk.heard) };
    assert_eq!(problem.key, "default.problem.api_silent.1795518300000000");
    assert_eq!(problem.subject, Subject::NeedsApproval);
    assert_eq!((problem.status, problem.cause), (Some(Status::NotAuthenticated), Some(Cause::ApiSilent)));
    assert_eq!((problem.gateway.as_str(), problem.endpoint.as_str()), ("default", "127.0.0.1:4000"));
    assert_eq!((problem.host.as_str(), problem.since, problem.at), ("desk", instant("11:05"), instant("11:05")));
    assert_eq!(problem.hours.next_close, Some(instant("16:00")));
    assert!(problem.text.is_some() && problem.remedies.len() == 1 && problem.down_since.is_none());
    assert_eq!(recovery.subject, Subject::Ready);
    assert_eq!(recovery.down_since, Some(instant("11:05")));
    assert!(recovery.text.is_none() && recovery.remedies.is_empty());
    let desk = play(&one_shot(), "11:05 api_silent\n11:20 ready\n12:00 port_refused\n12:05 api_silent\n12:10 ready");
    assert_eq!(desk.heard.last().expect("an alert").down_since, Some(instant("12:00")));
}

#[test]
fn unknown_words_are_refused() {
    let mut desk = play(&one_shot(), "11:00 ready\n11:05 api_silent");
    assert!(desk.acknowledge(instant("11:06")));
    let memory = serde_json::to_string(&desk.memory).expect("JSON");
    let alert = serde_json::to_string(&desk.heard[0]).expect("JSON");
    let reads_memory = |text: &str| serde_json::from_str::<Memory>(text).is_ok();
    let reads_alert = |text: &str| serde_json::from_str::<Alert>(text).is_ok();
    assert!(reads_memory(&memory) && reads_alert(&alert));
    for word in ["not_authenticated", "api_silent"] {
        assert!(memory.contains(word) && !reads_memory(&memory.replace(word, "great")), "{word}: {memory}");
    }
    for word in ["not_authenticated", "\"api_silent\"", "\"problem\"", "needs_approval", "\"first\"", "\"on\""] {
        let other = if word.starts_with('"') { "\"great\"" } else { "great" };
        assert!(alert.contains(word) && !reads_alert(&alert.replace(word, other)), "{word}: {alert}");
    }
    assert!(!reads_memory("{}") && !reads_alert("{}"));
}

#[test]
fn what_the_store_may_ask_of_a_memory() {
    let desk = play(&sleeper(), "20:00 ready\n20:05-20:30 api_silent");
    let memory = desk.memory.expect("a memory");
    assert_eq!(memory.state(), Some(State { status: Status::NotAuthenticated, cause: Some(Cause::ApiSilent) }));
    assert_eq!(memory.since(), instant("20:05"));
    assert!(memory.acknowledged().is_none());
    for (story, is_settled) in [
        ("20:00 ready", true),
        ("20:00 api_silent", false),
        ("20:00-20:10 api_silent\n20:10 ready", true),
        ("20:00-20:10 api_silent\n22:10 ready", false),
    ] {
        let memory = play(&sleeper(), story).memory.expect("a memory");
        assert_eq!(memory.is_settled(), is_settled, "{story}");
    }
    // Nobody was told, but it is not calm either.
    let line = |at: usize| format!("22:4{at} {}\n", ["ready", "api_silent"][at % 2]);
    let flapping: String = (0..9).map(line).collect();
    assert!(!play(&sleeper(), &flapping).memory.expect("a memory").is_settled());
}

/// The ten fields of older writers name no cause.
#[test]
fn reports_without_a_cause() {
    let mut memory = None;
    let mut heard = Vec::new();
    for (at, status) in [(0, Status::Ready), (5, Status::NotAuthenticated), (10, Status::Ready), (15, Status::Error)] {
        let now = instant("11:00") + minutes(at);
        let mut report = report(Cause::Ready, now, now);
        (report.status, report.more) = (status, None);
        let step = observe(memory.as_ref(), &report, &one_shot(), &hours(now), now);
        heard.extend(step.alerts.into_iter().map(|alert| (alert.kind, alert.subject)));
        // Somebody sees to the first problem, which says nothing about the next.
        memory = acknowledge(&step.memory, "ann", now).filter(|_| at == 5).or(Some(step.memory));
    }
    let wanted = [
        (Kind::Problem, Subject::NeedsApproval),
        (Kind::Recovery, Subject::Ready),
        (Kind::Problem, Subject::ConnectionError),
    ];
    assert_eq!(heard, wanted);
    assert!(memory.expect("a memory").acknowledged().is_none());
}
