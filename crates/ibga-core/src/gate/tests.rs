use jiff::tz::TimeZone;

use super::*;
use crate::account::AccountId;
use crate::calendar::{Calendar, Exchange, Market};
use crate::halt::{Halt, Reason};
use crate::report::ReportError;
use crate::secure_file::FILE_BYTES_MAX;
use crate::verdict::ExpectedMode;

/// A Monday, 09:30:04 in Hong Kong.
const NOW: &str = "2026-11-23T01:30:04Z";

fn now() -> Timestamp {
    NOW.parse().expect("an instant")
}

fn ready() -> Report {
    Report {
        status: Status::Ready,
        ready_to_trade: true,
        container: "not_checked".into(),
        port: PortState::Open,
        connected: true,
        authenticated: true,
        accounts: AccountId::parse_list("DU1234567"),
        error: None,
        timestamp: now() - SignedDuration::from_secs(60),
        more: None,
    }
}

fn market() -> Market {
    Market::of_one(Calendar::for_exchange(Exchange::XHKG))
}

static CALENDARS: std::sync::LazyLock<Calendars> = std::sync::LazyLock::new(Calendars::default);

fn at_moment(moment: &MarketMoment, chosen: Chosen) -> MarketRule<'_> {
    MarketRule::At { moment, chosen, calendars: &CALENDARS }
}

fn decide(report: Result<&Report, &StatusFileError>, at: Timestamp, expected: &Expectations) -> Decision {
    decide_under(&[], report, at, expected)
}

fn decide_under(
    halts: &[HaltSeen],
    report: Result<&Report, &StatusFileError>,
    at: Timestamp,
    expected: &Expectations,
) -> Decision {
    let moment = market().at(at);
    judge(&Question {
        gateway: "default",
        endpoint: Some("127.0.0.1:4000"),
        path: Path::new("/tmp/ibga-status.json"),
        report,
        now: at,
        zone: &TimeZone::UTC,
        halts,
        max_age: Duration::from_mins(10),
        expected,
        market: at_moment(&moment, Chosen::BySetting),
        hours_of: None,
    })
}

fn reasons(decision: &Decision) -> Vec<String> {
    decision.failures().map(ToString::to_string).collect()
}

#[test]
fn a_fresh_ready_report_in_an_open_market_is_a_go() {
    let decision = decide(Ok(&ready()), now(), &Expectations::default());
    assert_eq!(reasons(&decision), [""; 0]);
    assert!(decision.is_go());
}

#[test]
fn reports_that_are_not_believed() {
    type Change = fn(&mut Report);
    let cases: [(&str, Change, &[&str]); 11] = [
        (
            "exactly as old as the limit",
            |r| r.timestamp = now() - SignedDuration::from_mins(10),
            &["IBGA: Status is stale (10.0 minutes old, max 10)"],
        ),
        ("a moment younger", |r| r.timestamp = now() - SignedDuration::from_millis(599_999), &[]),
        (
            "old",
            |r| r.timestamp = now() - SignedDuration::from_secs(912),
            &["IBGA: Status is stale (15.2 minutes old, max 10)"],
        ),
        ("five seconds ahead", |r| r.timestamp = now() + SignedDuration::from_secs(5), &[]),
        (
            "more than five seconds ahead",
            |r| r.timestamp = now() + SignedDuration::from_millis(5_001),
            &["IBGA: Status is from the future (5 seconds ahead); compare the clocks"],
        ),
        (
            "not ready",
            |r| {
                r.status = Status::NotAuthenticated;
                r.ready_to_trade = false;
                r.authenticated = false;
                r.accounts.clear();
            },
            &["IBGA: IBGA not ready: not_authenticated", "IBGA: IBGA not authenticated: no account is logged in"],
        ),
        (
            "flag without status",
            |r| r.status = Status::Error,
            &["IBGA: Status contradicts itself (status error, ready_to_trade true)"],
        ),
        (
            "status without flag",
            |r| r.ready_to_trade = false,
            &["IBGA: Status contradicts itself (status ready, ready_to_trade false)"],
        ),
        (
            "ready without accounts",
            |r| r.accounts.clear(),
            &[
                "IBGA: Status contradicts itself (ready without accounts)",
                "IBGA: IBGA not authenticated: no account is logged in",
            ],
        ),
        (
            "ready without a session",
            |r| r.connected = false,
            &["IBGA: Status contradicts itself (ready without a session)"],
        ),
        (
            "ready, not authenticated",
            |r| r.authenticated = false,
            &[
                "IBGA: Status contradicts itself (ready without accounts)",
                "IBGA: IBGA not authenticated: no account is logged in",
            ],
        ),
    ];
    for (name, change, expected) in cases {
        let mut report = ready();
        change(&mut report);
        let decision = decide(Ok(&report), now(), &Expectations::default());
        assert_eq!(reasons(&decision), expected, "{name}");
        assert_eq!(decision.is_go(), expected.is_empty(), "{name}");
    }
}

#[test]
fn expectations() {
    let expect = |accounts: &str, mode| Expectations {
        accounts: AccountId::parse_list(accounts),
        mode,
        ..Expectations::default()
    };
    for (accounts, expected, reason) in [
        ("DU1234567", expect("DU1234567", Some(ExpectedMode::Paper)), None),
        (
            "DU1234567",
            expect("U7654321", None),
            Some("IBGA: IBGA not ready: wrong_account (expected account U7***21, logged in: DU***67)"),
        ),
        (
            "U7654321",
            expect("", Some(ExpectedMode::Paper)),
            Some("IBGA: IBGA not ready: wrong_mode (expected paper, logged in: live (U7***21))"),
        ),
        (
            "U1,DU2",
            expect("", Some(ExpectedMode::Live)),
            Some("IBGA: IBGA not ready: wrong_mode (expected live, logged in: mixed (U***, D***))"),
        ),
    ] {
        let report = Report { accounts: AccountId::parse_list(accounts), ..ready() };
        let decision = decide(Ok(&report), now(), &expected);
        assert_eq!(reasons(&decision), reason.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn no_report() {
    for (fault, reason) in [
        (ReadError::NotFound.into(), "IBGA: Status file not found: /tmp/ibga-status.json"),
        (
            ReadError::SymbolicLink.into(),
            "IBGA: Status file /tmp/ibga-status.json is not trusted: it is a symbolic link; name the file itself",
        ),
        (
            ReadError::ForeignOwner(7).into(),
            "IBGA: Status file /tmp/ibga-status.json is not trusted: it belongs to user id 7; only this user, root and trusted_owners are believed",
        ),
        (
            ReadError::PermissionDenied.into(),
            "IBGA: Status file /tmp/ibga-status.json cannot be read: this user may not read it",
        ),
        (
            ReadError::TooLong(FILE_BYTES_MAX).into(),
            "IBGA: Status file /tmp/ibga-status.json holds no report: it is longer than 64 KiB",
        ),
        (ReportError::NotAnObject.into(), "IBGA: Status file /tmp/ibga-status.json holds no report: not a JSON object"),
    ] {
        let decision = decide(Err(&fault), now(), &Expectations::default());
        assert_eq!(reasons(&decision), [reason]);
    }
}

#[test]
fn all_reasons_are_told_and_a_closed_market_alone_is_known() {
    let sunday: Timestamp = "2026-11-22T03:00:00Z".parse().expect("an instant");
    let decision = decide(Ok(&Report { timestamp: sunday, ..ready() }), sunday, &Expectations::default());
    assert_eq!(reasons(&decision), ["Market: XHKG is closed at the weekend, opens Mon 23 Nov 09:30 +08:00"]);
    assert!(decision.is_expected());
    let decision = decide(Ok(&ready()), sunday, &Expectations::default());
    assert_eq!(decision.failures().count(), 2);
    assert!(!decision.is_expected() && !decision.is_go());
}

fn halt(gateway: Option<&str>) -> HaltSeen {
    HaltSeen::Told(Halt {
        gateway: gateway.map(str::to_owned),
        by: "alice".into(),
        uid: 1000,
        host: "trader".into(),
        at: now() - SignedDuration::from_mins(5),
        reason: Reason::new("exchange news").expect("a reason"),
    })
}

#[test]
fn a_halt_is_told_first_and_people_know_of_it() {
    let unclear = HaltSeen::Unclear { path: "/var/tmp/ibga-halt.json".into(), fault: "the file is empty".into() };
    let decision = decide_under(&[halt(None), unclear], Ok(&ready()), now(), &Expectations::default());
    let told = [
        "IBGA: Halted by alice on trader at 01:25: exchange news",
        "IBGA: Halted, since /var/tmp/ibga-halt.json is there: the file is empty",
    ];
    assert_eq!(reasons(&decision), told);
    assert!(decision.is_expected() && !decision.is_go());
    assert_eq!(decision.checks.first().map(|check| check.rule.fault_code()), Some("halted"));
    let sunday: Timestamp = "2026-11-22T03:00:00Z".parse().expect("an instant");
    let report = Report { timestamp: sunday, ..ready() };
    let decision = decide_under(&[halt(Some("default"))], Ok(&report), sunday, &Expectations::default());
    assert!(decision.is_expected() && decision.failures().count() == 2, "a halt in a closed market");
    let decision = decide_under(&[halt(None)], Ok(&ready()), sunday, &Expectations::default());
    assert!(!decision.is_expected(), "a report from the future is news");
    assert!(!decide(Ok(&ready()), now(), &Expectations::default()).is_expected(), "a go is no no-go");
}

#[test]
fn a_default_exchange_says_so_and_force_passes_it_over() {
    let moment = market().at("2026-11-22T03:00:00Z".parse().expect("an instant"));
    let check = judge_market(&at_moment(&moment, Chosen::ByDefault));
    assert_eq!(
        (check.outcome, check.text.as_str()),
        (
            Outcome::Failed,
            "XHKG is closed at the weekend, opens Mon 23 Nov 09:30 +08:00; \
             XHKG is only the default: --exchange names another, --force passes market hours over"
        )
    );
    assert_eq!(judge_market(&MarketRule::Forced).outcome, Outcome::PassedOver);
}

#[test]
fn the_calendars_end_is_a_warning_before_and_a_no_go_after_it() {
    for (instant, outcome, end) in [
        ("2027-10-01T16:00:00Z", Outcome::Failed, "; its calendar ends in 90 days: update ibga"),
        ("2027-12-31T02:00:00Z", Outcome::Passed, "; its calendar ends today: update ibga"),
        ("2028-01-03T02:00:00Z", Outcome::Failed, ": the calendar does not reach it; update ibga"),
    ] {
        let moment = market().at(instant.parse().expect("an instant"));
        let check = judge_market(&at_moment(&moment, Chosen::BySetting));
        assert!(check.outcome == outcome && check.text.ends_with(end), "{check:?}");
    }
}

#[test]
fn full_reports_are_judged_by_cause_and_gateway_too() {
    let full = crate::report::tests::full();
    let change = |from: &str, to: &str| {
        let text = full.replace(from, to);
        assert_ne!(text, full, "{from}");
        Report::from_json(&text, &TimeZone::UTC).expect("a report")
    };
    for (report, reason) in [
        (
            change("\"cause\": \"ready\"", "\"cause\": \"api_silent\""),
            "IBGA: Status contradicts itself (status ready, ready_to_trade true, cause api_silent)",
        ),
        (
            change("\"error\": null", "\"error\": \"1100 lost\""),
            "IBGA: Status contradicts itself (ready with an error)",
        ),
        (
            change("\"broker\": \"answered\"", "\"broker\": \"silent\""),
            "IBGA: Status contradicts itself (ready with a silent broker)",
        ),
        (
            change("\"orders\": \"allowed\"", "\"orders\": \"unproven\""),
            "IBGA: Status contradicts itself (ready without leave to place orders)",
        ),
        (
            change("\"port\": \"open\"", "\"port\": \"closed\""),
            "IBGA: Status contradicts itself (ready without an open port)",
        ),
        (
            change("\"container\": \"running\"", "\"container\": \"stopped\""),
            "IBGA: Status contradicts itself (ready with a container that does not run)",
        ),
        (
            change("\"mode\": \"paper\"", "\"mode\": \"live\""),
            "IBGA: Status contradicts itself (ready with a mode that its accounts do not have)",
        ),
        (
            change("127.0.0.1:4000", "127.0.0.1:4002"),
            "IBGA: Status speaks of 127.0.0.1:4002, gateway default is set to 127.0.0.1:4000",
        ),
        (
            change("\"gateway\": \"default\"", "\"gateway\": \"paper\""),
            "IBGA: Status speaks of gateway paper, not of default",
        ),
    ] {
        let decision = decide(Ok(&report), report.timestamp, &Expectations::default());
        assert_eq!(reasons(&decision), [reason]);
    }
}
