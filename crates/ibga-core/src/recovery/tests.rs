//! Decisions as tables. Times are of Monday 2026-11-23 in UTC; the weekly login ended on the day before at 06:00, and the windows
//! are those that IBKR publishes.

mod properties;

use super::*;
use crate::act::{Act, ActKind};
use crate::observation::FoundBy;
use crate::report::{PortState, Report};
use crate::reset_windows::published;

const QUIET: LogSeen = LogSeen::Quiet;

fn at(time: &str) -> Timestamp {
    let text = if time.contains('T') { format!("{time}Z") } else { format!("2026-11-23T{time}Z") };
    text.parse().expect("an instant")
}

fn plan(causes: &[Cause]) -> Plan {
    let recipe = Recipe::Run { program: "/usr/local/bin/again".into(), arguments: Vec::new() };
    Plan { causes: causes.to_vec(), recipe, budget_per_day: BUDGET, pause: PAUSE }
}

fn container(state: ContainerState) -> ContainerSeen {
    ContainerSeen::Found { name: "ibga".into(), state, found_by: FoundBy::Name }
}

/// A past in which somebody was logged in, and the gateway ready, at this time.
fn well_at(time: &str) -> Past {
    let mut past = Past::default();
    past.was_ready(at(time));
    past
}

fn alone(why: Why, until: Option<&str>) -> Decision {
    Decision::LeaveAlone { why, until: until.map(at) }
}

fn decided(seen: (Cause, &str, ContainerState, LogSeen, &str), past: &mut Past) -> Decision {
    let (cause, since, state, log, now) = seen;
    let container = container(state);
    let seen = Seen { cause, since: at(since), container: &container, log, now: at(now) };
    decide(&plan(&[cause]), &seen, past, &published())
}

#[test]
fn a_container_that_stopped_is_started() {
    use ContainerState::Stopped;
    let cases = [
        ("01:30:00", "01:30:09", alone(Why::TooEarly, Some("01:30:10"))),
        ("01:30:00", "01:30:10", Decision::Act),
        ("01:30:00", "03:00:00", Decision::Act),
        // The clock was set back behind the beginning.
        ("01:30:00", "01:00:00", alone(Why::TooEarly, Some("01:00:10"))),
        // North America resets from 05:15 to 06:45, Europe from 05:25 to 06:45.
        ("04:00:00", "05:06:59", Decision::Act),
        ("04:00:00", "05:07:00", alone(Why::ResetWindow, Some("06:53:00"))),
        ("04:00:00", "06:52:59", alone(Why::ResetWindow, Some("06:53:00"))),
        ("04:00:00", "06:53:00", Decision::Act),
        // The weekend's reset.
        ("2026-11-28T03:50:00", "2026-11-28T03:52:00", alone(Why::ResetWindow, Some("2026-11-28T08:08:00"))),
    ];
    for (since, now, expected) in cases {
        let seen = (Cause::ContainerStopped, since, Stopped, LogSeen::Unreadable, now);
        // Whether anybody was ever logged in does not matter.
        assert_eq!(decided(seen, &mut Past::default()), expected, "{since} {now}");
    }
}

#[test]
fn an_approval_that_may_be_pending_is_left_alone() {
    use ContainerState::{Running, Stopped};
    use LogHintKind::{LoginFailed, LoginLockedOut, SessionElsewhere, TwoFactorPending};
    let pending = |until| alone(Why::ApprovalMayBePending, until);
    let (before, after) = ("2026-11-22T05:59:59", "01:00:00");
    let cases = [
        (Cause::ApiSilent, Running, QUIET, after, "01:40:00", Decision::Act),
        (Cause::PortRefused, Running, QUIET, after, "01:34:59", alone(Why::TooEarly, Some("01:35:00"))),
        (Cause::PortRefused, Running, QUIET, after, "01:35:00", pending(Some("01:40:00"))),
        (Cause::PortRefused, Running, QUIET, after, "01:40:00", Decision::Act),
        (Cause::ApiSilent, Running, LogSeen::Unreadable, after, "04:00:00", pending(None)),
        (Cause::ApiSilent, Running, QUIET, before, "04:00:00", alone(Why::LoginNeedsPerson, None)),
        (Cause::ApiSilent, Running, LogSeen::Hint(TwoFactorPending), after, "04:00:00", pending(None)),
        (Cause::StartupSilent, Running, LogSeen::Hint(TwoFactorPending), after, "04:00:00", pending(None)),
        (Cause::ApiUnresponsive, Running, LogSeen::Hint(TwoFactorPending), after, "04:00:00", pending(None)),
        (Cause::StartupSilent, Running, LogSeen::Hint(LoginFailed), after, "04:00:00", alone(Why::LoginTrouble, None)),
        (Cause::ContainerStopped, Stopped, LogSeen::Hint(TwoFactorPending), before, "04:00:00", Decision::Act),
        (
            Cause::ContainerStopped,
            Stopped,
            LogSeen::Hint(LoginFailed),
            after,
            "04:00:00",
            alone(Why::LoginTrouble, None),
        ),
        (
            Cause::ContainerStopped,
            Stopped,
            LogSeen::Hint(LoginLockedOut),
            after,
            "04:00:00",
            alone(Why::LoginTrouble, None),
        ),
        (
            Cause::ContainerStopped,
            Stopped,
            LogSeen::Hint(SessionElsewhere),
            after,
            "04:00:00",
            alone(Why::LoginTrouble, None),
        ),
        // Somebody is logged in, so that nothing is pending, whatever can be read.
        (Cause::ApiUnresponsive, Running, LogSeen::Unreadable, before, "01:35:00", Decision::Act),
        (
            Cause::BrokerLinkDown,
            Running,
            LogSeen::Unreadable,
            after,
            "01:59:59",
            alone(Why::TooEarly, Some("02:00:00")),
        ),
        (Cause::BrokerLinkDown, Running, LogSeen::Unreadable, after, "02:00:00", Decision::Act),
    ];
    for (cause, state, log, well, now, expected) in cases {
        let seen = (cause, "01:30:00", state, log, now);
        assert_eq!(decided(seen, &mut well_at(well)), expected, "{cause} {state:?} {log:?} {well} {now}");
    }
    // Nobody was ever seen logged in, or only at a time that is not yet.
    for mut past in [Past::default(), well_at("04:00:01")] {
        let seen = (Cause::ApiSilent, "01:30:00", Running, QUIET, "04:00:00");
        assert_eq!(decided(seen, &mut past), alone(Why::LoginNeedsPerson, None));
    }
}

#[test]
fn a_container_that_is_not_known_may_be_logging_in() {
    for (container, expected) in [
        (ContainerSeen::NotChecked, alone(Why::ApprovalMayBePending, None)),
        (ContainerSeen::Unknown, alone(Why::ApprovalMayBePending, None)),
        (ContainerSeen::Unavailable("no engine".into()), alone(Why::ApprovalMayBePending, None)),
        (ContainerSeen::Missing { name: None }, Decision::Act),
    ] {
        let cause = Cause::PortRefused;
        let (since, log, now) = (at("01:30:00"), LogSeen::Unreadable, at("03:00:00"));
        let seen = Seen { cause, since, container: &container, log, now };
        assert_eq!(decide(&plan(&[cause]), &seen, &mut well_at("01:00:00"), &[]), expected, "{container:?}");
    }
}

#[test]
fn starting_takes_a_container() {
    let plan = Plan { recipe: Recipe::Start, ..plan(&[Cause::ContainerStopped]) };
    let (cause, since, now) = (Cause::ContainerStopped, at("01:30:00"), at("03:00:00"));
    let seen = Seen { cause, since, container: &ContainerSeen::Unknown, log: QUIET, now };
    assert_eq!(decide(&plan, &seen, &mut Past::default(), &[]), alone(Why::NoContainer, None));
}

#[test]
fn only_what_is_named_and_helps_is_wanted() {
    for &cause in Cause::ALL {
        let container = container(ContainerState::Running);
        let (since, now) = (at("01:00:00"), at("03:00:00"));
        let seen = Seen { cause, since, container: &container, log: QUIET, now };
        let unnamed = plan(&[Cause::ContainerStopped, Cause::ContainerMissing]);
        let is_named = unnamed.causes.contains(&cause);
        assert_eq!(decide(&unnamed, &seen, &mut well_at("01:00:00"), &[]) == Decision::NotWanted, !is_named, "{cause}");
        let every = plan(Cause::ALL);
        let never = matches!(treatment(cause), Treatment::Never(_));
        assert_eq!(decide(&every, &seen, &mut well_at("01:00:00"), &[]) == Decision::NotWanted, never, "{cause}");
        let start = Recipe::Start.suits(cause);
        assert_eq!(start, cause == Cause::ContainerStopped);
        let compose = Recipe::ComposeUp { directory: "/srv".into() }.suits(cause);
        assert_eq!(compose, [Cause::ContainerStopped, Cause::ContainerMissing].contains(&cause));
    }
}

/// A container that is down for as long as anybody looks, looked at every 15 seconds: when something is done.
#[test]
fn what_does_not_help_is_spaced_and_then_given_up() {
    let mut past = well_at("08:00:00");
    let mut done = Vec::new();
    let began = at("09:00:00");
    for look in 0..(4 * 60 * 30) {
        let now = began.saturating_add(SignedDuration::from_secs(15 * look)).expect("an instant");
        let container = container(ContainerState::Stopped);
        let seen = Seen { cause: Cause::ContainerStopped, since: began, container: &container, log: QUIET, now };
        match decide(&plan(&[Cause::ContainerStopped]), &seen, &mut past, &[]) {
            Decision::Act => {
                past.acted(now);
                past.act_ended(now);
                done.push(("act", now));
            }
            Decision::GiveUp => {
                past.gave_up(now);
                done.push(("give up", now));
            }
            Decision::LeaveAlone { .. } => {}
            Decision::NotWanted => panic!("it is wanted"),
        }
    }
    let expected = [("act", "09:00:15"), ("act", "09:05:15"), ("act", "09:15:15"), ("give up", "09:30:15")];
    assert_eq!(done, expected.map(|(what, time)| (what, at(time))));
}

#[test]
fn the_budget_of_a_day_comes_back_once_the_gateway_was_ready() {
    let acts = ["09:00:00", "09:05:00", "09:15:00"].map(|time| act(ActKind::Recovery, time));
    let given_up = act(ActKind::RecoveryGivenUp, "09:30:00");
    let all: Vec<Act> = acts.iter().cloned().chain([given_up]).collect();
    let seen = |now| (Cause::ContainerStopped, "09:59:00", ContainerState::Stopped, QUIET, now);
    let cases = [
        // Not ready since: whatever the budget says.
        (&all[..], "08:00:00", "2026-11-24T10:00:00", alone(Why::GivenUp, None)),
        // Ready since: once the first act is a day old.
        (&all[..], "09:45:00", "2026-11-24T08:59:59", alone(Why::BudgetUsed, Some("2026-11-24T09:00:00"))),
        (&all[..], "09:45:00", "2026-11-24T09:00:00", Decision::Act),
        // Not given up yet.
        (&acts[..], "08:00:00", "09:29:59", alone(Why::TooEarly, Some("09:30:09"))),
        (&acts[..], "08:00:00", "10:00:00", Decision::GiveUp),
        // Another outage, with nothing left to act upon it.
        (&acts[..], "09:50:00", "10:00:00", Decision::GiveUp),
    ];
    for (acts, ready, now, expected) in cases {
        let mut past = Past::of(acts, Practice::Real);
        past.was_ready(at(ready));
        assert_eq!(decided(seen(now), &mut past), expected, "{} {ready} {now}", acts.len());
    }
}

#[test]
fn the_pause_runs_from_the_end_of_an_act() {
    let mut past = Past::of(&[act(ActKind::Recovery, "09:00:00")], Practice::Real);
    past.was_ready(at("09:00:20"));
    past.act_ended(at("09:01:00"));
    let seen = |now| (Cause::ContainerStopped, "09:01:00", ContainerState::Stopped, QUIET, now);
    assert_eq!(decided(seen("09:01:44"), &mut past), alone(Why::Pause, Some("09:01:45")));
    assert_eq!(decided(seen("09:01:45"), &mut past), Decision::Act, "another outage");
}

#[test]
fn a_rehearsal_counts_for_rehearsals_alone() {
    let acts = [act(ActKind::Rehearsal, "09:00:00"), act(ActKind::Halted, "09:01:00")];
    let seen = (Cause::ContainerStopped, "09:01:00", ContainerState::Stopped, QUIET, "09:02:00");
    assert_eq!(decided(seen, &mut Past::of(&acts, Practice::Real)), Decision::Act);
    let mut rehearsed = Past::of(&acts, Practice::Rehearsal);
    assert_eq!(decided(seen, &mut rehearsed), alone(Why::Spacing, Some("09:05:00")));
}

#[test]
fn what_was_done_in_the_future_counts_as_done_now_and_ages() {
    let mut past = Past::of(&[act(ActKind::Recovery, "2030-01-01T00:00:00")], Practice::Real);
    let seen = |now| (Cause::ContainerStopped, "09:00:00", ContainerState::Stopped, QUIET, now);
    assert_eq!(decided(seen("10:00:00"), &mut past), alone(Why::Pause, Some("10:00:45")));
    assert_eq!(decided(seen("10:00:45"), &mut past), alone(Why::Spacing, Some("10:05:00")));
    assert_eq!(decided(seen("10:05:00"), &mut past), Decision::Act);
}

#[test]
fn a_report_tells_when_somebody_was_logged_in() {
    let seen = |cause: Cause, authenticated: bool| {
        let status = cause.status();
        let report = Report {
            status,
            ready_to_trade: status == Status::Ready,
            container: "running".into(),
            port: PortState::Open,
            connected: true,
            authenticated,
            accounts: Vec::new(),
            error: None,
            timestamp: at("09:00:00"),
            more: None,
        };
        let mut past = Past::default();
        past.saw(&report);
        past
    };
    let mut logged_in = Past::default();
    logged_in.was_authenticated(at("09:00:00"));
    assert_eq!(seen(Cause::Ready, true), well_at("09:00:00"));
    assert_eq!(seen(Cause::BrokerSilent, true), logged_in);
    assert_eq!(seen(Cause::ApiSilent, false), Past::default());
}

fn act(kind: ActKind, time: &str) -> Act {
    Act { gateway: Some("default".into()), at: at(time), kind, by: "ibga".into(), text: String::new() }
}

#[test]
fn codes_and_words_are_unique() {
    for (place, why) in Why::ALL.iter().enumerate() {
        let later = &Why::ALL[place + 1..];
        assert!(later.iter().all(|other| other.code() != why.code() && other.to_string() != why.to_string()), "{why}");
    }
}
