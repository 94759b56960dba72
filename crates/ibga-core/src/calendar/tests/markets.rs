//! Several exchanges judged together: a table of states, and the next change against a walk minute by minute.

use super::*;
use crate::calendar::market::CommonHours;

/// Shanghai's calendar ends a year before the others.
fn market(mics: &[&str], combination: Combination) -> Market {
    let last = |mic: &str| if mic == "XSHG" { 2026 } else { 2027 };
    let calendars = mics.iter().map(|mic| Calendar::ending_with(mic.parse().expect("known"), last(mic)));
    Market::new(calendars.collect(), combination)
}

#[test]
fn states_and_next_changes() {
    use Combination::{All, Any};
    let connect = ["XSHG", "XHKG"];
    for (mics, combination, instant, expected) in [
        // Shanghai goes to lunch before Hong Kong does.
        (&connect[..], All, "2026-11-23T03:00:00Z", "open, closes 2026-11-23T03:30:00Z"),
        (&connect, Any, "2026-11-23T03:00:00Z", "open, closes 2026-11-23T04:00:00Z"),
        (&connect, All, "2026-11-23T03:30:00Z", "closed, opens 2026-11-23T05:00:00Z"),
        (&connect, All, "2026-11-23T06:59:59Z", "open, closes 2026-11-23T07:00:00Z"),
        (&connect, All, "2026-11-23T07:00:00Z", "closed, opens 2026-11-24T01:30:00Z"),
        (&connect, Any, "2026-11-23T07:00:00Z", "open, closes 2026-11-23T08:00:00Z"),
        // Closed in Hong Kong, then in Shanghai, then in both.
        (&connect, All, "2026-07-01T02:00:00Z", "closed, opens 2026-07-02T01:30:00Z"),
        (&connect, All, "2026-10-05T02:00:00Z", "closed, opens 2026-10-08T01:30:00Z"),
        (&connect, All, "2026-02-17T02:00:00Z", "closed, opens 2026-02-24T01:30:00Z"),
        (&connect, Any, "2026-02-17T02:00:00Z", "closed, opens 2026-02-20T01:30:00Z"),
        // A half day of Hong Kong ends the day for both.
        (&connect, All, "2026-12-24T03:00:00Z", "open, closes 2026-12-24T03:30:00Z"),
        (&connect, All, "2026-12-24T04:00:00Z", "closed, opens 2026-12-28T01:30:00Z"),
        // Past the end of Shanghai's calendar. What is known to be closed closes all, and does not close any.
        (&connect, All, "2027-01-04T02:00:00Z", "unknown"),
        (&connect, All, "2027-01-04T09:00:00Z", "closed"),
        (&connect, Any, "2027-01-04T02:00:00Z", "open, closes 2027-01-04T04:00:00Z"),
        (&connect, Any, "2027-01-04T09:00:00Z", "unknown, opens 2027-01-05T01:30:00Z"),
        (&connect, Any, "2030-01-04T02:00:00Z", "unknown"),
        // Their hours never meet.
        (&["XHKG", "XNYS"], All, "2026-11-23T02:00:00Z", "closed"),
        (&["XHKG", "XNYS"], Any, "2026-11-23T09:00:00Z", "closed, opens 2026-11-23T14:30:00Z"),
        (&[], All, "2026-11-23T02:00:00Z", "closed"),
        (&[], Any, "2026-11-23T02:00:00Z", "closed"),
    ] {
        let moment = market(mics, combination).at(utc(instant));
        let opens = moment.next_open.map(|open| format!(", opens {open}")).unwrap_or_default();
        let closes = moment.next_close.map(|close| format!(", closes {close}")).unwrap_or_default();
        assert_eq!(format!("{}{opens}{closes}", moment.state.code()), expected, "{mics:?} {combination:?} {instant}");
    }
}

/// Every pair of exchanges: those whose hours are said never to meet have no instant in common in any year.
#[test]
fn hours_that_never_meet_are_told_apart() {
    let calendars: Vec<Calendar> = Exchange::known().map(Calendar::for_exchange).collect();
    let sessions = |calendar: &Calendar| -> Vec<TradingSession> {
        let coverage = calendar.coverage().expect("a table");
        let first = coverage.first.yesterday().expect("a date");
        std::iter::successors(calendar.session_after(first), |session| calendar.session_after(session.date)).collect()
    };
    let sessions: Vec<Vec<TradingSession>> = calendars.iter().map(sessions).collect();
    let mut apart = Vec::new();
    for (at, one) in calendars.iter().enumerate() {
        for (more, other) in calendars.iter().skip(at + 1).enumerate() {
            let meet = sessions[at]
                .iter()
                .any(|a| sessions[at + 1 + more].iter().any(|b| a.open < b.close && b.open < a.close));
            let told = CommonHours::of(&[one.clone(), other.clone()]);
            assert_eq!(told == CommonHours::Possible, meet, "{} {}", one.exchange(), other.exchange());
            if !meet {
                apart.push(format!("{} {}", one.exchange(), other.exchange()));
            }
        }
    }
    assert!(apart.contains(&"XHKG XNYS".to_owned()) && apart.len() > 10, "{apart:?}");
}

#[test]
fn nothing_is_searched_where_nothing_can_be_found() {
    let after = |mics: &[&str], combination, instant| market(mics, combination).can_be_open_after(utc(instant));
    assert!(!after(&["XHKG", "XNYS"], Combination::All, "2026-11-23T02:00:00Z"));
    assert!(!after(&["XSHG", "XHKG"], Combination::All, "2027-01-04T02:00:00Z"));
    assert!(after(&["XSHG", "XHKG"], Combination::All, "2026-12-31T02:00:00Z"));
    assert!(after(&["XHKG", "XNYS"], Combination::Any, "2026-11-23T02:00:00Z"));
}

/// Whether the market is open, said in the plainest way.
fn is_open(calendars: &[Calendar], combination: Combination, instant: Timestamp) -> bool {
    let mut open = calendars.iter().map(|calendar| calendar.at(instant).phase == Phase::Open);
    match combination {
        Combination::Any => open.any(|open| open),
        Combination::All => open.all(|open| open),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_next_change_is_the_first(
        mics in proptest::sample::subsequence(vec!["XHKG", "XSHG", "XTKS", "XASX", "XLON", "XETR", "XNYS"], 1..4),
        is_any in any::<bool>(),
        minute in 0..700 * 24 * 60_i64,
    ) {
        let combination = if is_any { Combination::Any } else { Combination::All };
        let calendars: Vec<Calendar> =
            mics.iter().map(|mic| Calendar::for_exchange(mic.parse().expect("known"))).collect();
        let instant = utc("2024-12-01T00:00:00Z") + SignedDuration::from_mins(minute);
        let moment = market(&mics, combination).at(instant);
        let was_open = is_open(&calendars, combination, instant);
        prop_assert_eq!(moment.state == MarketState::Open, was_open);
        let change = moment.next_open.or(moment.next_close);
        // Every edge lies on a whole minute.
        let walked = (1..24 * 60)
            .map(|minutes| instant + SignedDuration::from_mins(minutes))
            .find(|instant| is_open(&calendars, combination, *instant) != was_open);
        match walked {
            Some(walked) => prop_assert_eq!(change, Some(walked)),
            None => prop_assert!(change.is_none_or(|change| change > instant + SignedDuration::from_hours(23))),
        }
    }
}
