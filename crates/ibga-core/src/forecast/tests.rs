//! The forecast over whole weeks, and what holds of every forecast.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::calendar::{Calendar, Calendars, Exchange};
use crate::reset_windows::published;

fn instant(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn hong_kong() -> TimeZone {
    TimeZone::get("Asia/Hong_Kong").expect("a zone")
}

fn market(exchange: Exchange) -> Market {
    Market::of_one(Calendar::ending_with(exchange, 2027))
}

/// IBKR's windows for accounts in Asia.
fn asia() -> Vec<DailyReset> {
    published().into_iter().filter(|daily| daily.to_string().ends_with(" Asia")).collect()
}

fn forecast(now: &str) -> Forecast {
    Forecast::new(&market(Exchange::XHKG), &asia(), instant(now)).expect("a forecast")
}

/// `11-29 14:00` by Hong Kong's clock.
fn local(instant: Timestamp) -> String {
    instant.to_zoned(hong_kong()).strftime("%m-%d %H:%M").to_string()
}

fn row(forecast: &Forecast) -> String {
    let reset = |reset: &Reset| format!("{} {}", local(reset.starts), reset.falls.code());
    let open = forecast.next_open.map(local).unwrap_or_default();
    let nightly: Vec<String> = forecast.nightly.iter().map(reset).collect();
    let token = &forecast.token;
    format!(
        "{} {open} | {} | {} | {} {}",
        forecast.trading.code(),
        nightly.join(", "),
        reset(&forecast.weekend),
        local(token.ends),
        token.falls.code()
    )
}

/// From the end of one week to the middle of the next, with an hour on each side of each edge.
const WEEK: [(&str, &str); 27] = [
    // Thursday evening, within Asia's evening window.
    ("26 20:30", "off 11-27 09:30 | 11-26 20:15 before_open | 11-28 12:00 after_open | 11-29 14:00 after_open"),
    ("26 21:15", "off 11-27 09:30 | 11-27 04:45 before_open | 11-28 12:00 after_open | 11-29 14:00 after_open"),
    ("27 09:29", "off 11-27 09:30 | 11-27 20:15 after_open | 11-28 12:00 after_open | 11-29 14:00 after_open"),
    ("27 09:30", "on 11-27 13:00 | 11-27 20:15 after_open | 11-28 12:00 after_open | 11-29 14:00 after_open"),
    ("27 12:00", "off 11-27 13:00 | 11-27 20:15 after_open | 11-28 12:00 after_open | 11-29 14:00 after_open"),
    ("27 13:00", "on 11-30 09:30 | 11-27 20:15 before_open | 11-28 12:00 before_open | 11-29 14:00 before_open"),
    ("27 15:59", "on 11-30 09:30 | 11-27 20:15 before_open | 11-28 12:00 before_open | 11-29 14:00 before_open"),
    // The close of Friday.
    ("27 16:00", "off 11-30 09:30 | 11-27 20:15 before_open | 11-28 12:00 before_open | 11-29 14:00 before_open"),
    ("27 20:15", "off 11-30 09:30 | 11-27 20:15 before_open | 11-28 12:00 before_open | 11-29 14:00 before_open"),
    // No daily window on Saturdays.
    ("27 21:15", "off 11-30 09:30 | 11-29 04:45 before_open | 11-28 12:00 before_open | 11-29 14:00 before_open"),
    ("28 11:59", "off 11-30 09:30 | 11-29 04:45 before_open | 11-28 12:00 before_open | 11-29 14:00 before_open"),
    // The weekend's maintenance, and its end.
    ("28 12:00", "off 11-30 09:30 | 11-29 04:45 before_open | 11-28 12:00 before_open | 11-29 14:00 before_open"),
    ("28 15:59", "off 11-30 09:30 | 11-29 04:45 before_open | 11-28 12:00 before_open | 11-29 14:00 before_open"),
    ("28 16:00", "off 11-30 09:30 | 11-29 04:45 before_open | 12-05 12:00 after_open | 11-29 14:00 before_open"),
    ("29 05:00", "off 11-30 09:30 | 11-29 04:45 before_open | 12-05 12:00 after_open | 11-29 14:00 before_open"),
    ("29 06:05", "off 11-30 09:30 | 11-29 20:15 before_open | 12-05 12:00 after_open | 11-29 14:00 before_open"),
    // The weekly login ends.
    ("29 13:59", "off 11-30 09:30 | 11-29 20:15 before_open | 12-05 12:00 after_open | 11-29 14:00 before_open"),
    ("29 14:00", "off 11-30 09:30 | 11-29 20:15 before_open | 12-05 12:00 after_open | 12-06 14:00 after_open"),
    ("29 19:00", "off 11-30 09:30 | 11-29 20:15 before_open | 12-05 12:00 after_open | 12-06 14:00 after_open"),
    ("29 22:00", "off 11-30 09:30 | 11-30 04:45 before_open | 12-05 12:00 after_open | 12-06 14:00 after_open"),
    ("30 05:30", "off 11-30 09:30 | 11-30 04:45 before_open | 12-05 12:00 after_open | 12-06 14:00 after_open"),
    ("30 08:00", "off 11-30 09:30 | 11-30 20:15 after_open | 12-05 12:00 after_open | 12-06 14:00 after_open"),
    ("30 10:00", "on 11-30 13:00 | 11-30 20:15 after_open | 12-05 12:00 after_open | 12-06 14:00 after_open"),
    ("30 12:30", "off 11-30 13:00 | 11-30 20:15 after_open | 12-05 12:00 after_open | 12-06 14:00 after_open"),
    ("30 15:00", "on 12-01 09:30 | 11-30 20:15 before_open | 12-05 12:00 after_open | 12-06 14:00 after_open"),
    ("30 16:00", "off 12-01 09:30 | 11-30 20:15 before_open | 12-05 12:00 after_open | 12-06 14:00 after_open"),
    ("30 23:00", "off 12-01 09:30 | 12-01 04:45 before_open | 12-05 12:00 after_open | 12-06 14:00 after_open"),
];

fn in_hong_kong(day_and_time: &str) -> String {
    let (day, time) = day_and_time.split_once(' ').expect("day and time");
    format!("2026-11-{day}T{time}:00+08:00")
}

#[test]
fn a_whole_week() {
    for (now, expected) in WEEK {
        assert_eq!(row(&forecast(&in_hong_kong(now))), expected, "{now}");
    }
}

#[test]
fn a_whole_week_in_words() {
    let mut text = String::new();
    for (now, _) in WEEK {
        let forecast = forecast(&in_hong_kong(now));
        let at = instant(&in_hong_kong(now));
        let (approval, resets) = (forecast.approval_text(at, &hong_kong()), forecast.resets_text(at, &hong_kong()));
        let _ = writeln!(text, "{}\n  {approval}\n  {resets}", at.to_zoned(hong_kong()).strftime("%a %-d %b %H:%M"));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn seasons_holidays_and_unknown_dates() {
    for (now, expected) in [
        // New York's clocks go back on the day of the token's end: it ends before they do, and the next weekend is an hour later.
        (
            "2026-10-31T16:00:00+08:00",
            "off 11-02 09:30 | 11-01 04:45 before_open | 11-07 12:00 after_open | 11-01 13:00 before_open",
        ),
        (
            "2026-11-01T13:00:00+08:00",
            "off 11-02 09:30 | 11-01 20:15 before_open | 11-07 12:00 after_open | 11-08 14:00 after_open",
        ),
        // And forward: 01:00 is before the gap.
        (
            "2027-03-13T17:00:00+08:00",
            "off 03-15 09:30 | 03-14 04:45 before_open | 03-20 11:00 after_open | 03-14 14:00 before_open",
        ),
        (
            "2027-03-14T14:00:00+08:00",
            "off 03-15 09:30 | 03-14 20:15 before_open | 03-20 11:00 after_open | 03-21 13:00 after_open",
        ),
        // Mondays without trading: the login has to be approved by Tuesday, or by Wednesday after Easter.
        (
            "2026-10-16T17:00:00+08:00",
            "off 10-20 09:30 | 10-16 20:15 before_open | 10-17 11:00 before_open | 10-18 13:00 before_open",
        ),
        (
            "2026-04-02T17:00:00+08:00",
            "off 04-08 09:30 | 04-02 20:15 before_open | 04-04 11:00 before_open | 04-05 13:00 before_open",
        ),
        // The calendar ends between now and then, has just no further day, or has long ended.
        (
            "2027-12-30T17:00:00+08:00",
            "off 12-31 09:30 | 12-30 20:15 before_open | 01-01 12:00 unknown | 01-02 14:00 unknown",
        ),
        ("2027-12-31T17:00:00+08:00", "off  | 12-31 20:15 before_open | 01-01 12:00 unknown | 01-02 14:00 unknown"),
        ("2028-02-01T10:00:00+08:00", "unknown  | 02-01 20:15 unknown | 02-05 12:00 unknown | 02-06 14:00 unknown"),
    ] {
        assert_eq!(row(&forecast(now)), expected, "{now}");
    }
    let until = |now| forecast(now).approval.until.map(local);
    assert_eq!(until("2026-10-16T17:00:00+08:00").as_deref(), Some("10-20 09:30"));
    assert_eq!(until("2026-04-02T17:00:00+08:00").as_deref(), Some("04-08 09:30"));
    assert_eq!(until("2027-12-31T17:00:00+08:00"), None);
}

#[test]
fn resets_within_trading_and_regions_that_are_not_known() {
    // The account may be served from any region: North America's window lies in Hong Kong's afternoon.
    let now = instant("2026-11-30T08:00:00+08:00");
    let all = Forecast::new(&market(Exchange::XHKG), &published(), now).expect("a forecast");
    let seen: Vec<String> = all
        .nightly
        .iter()
        .map(|reset| format!("{} {} {}", reset.region, local(reset.starts), reset.falls.code()))
        .collect();
    assert_eq!(
        seen,
        ["North America 11-30 13:15 in_trading", "Europe 11-30 13:25 in_trading", "Asia 11-30 20:15 after_open"]
    );
    assert_eq!((all.region(), forecast("2026-11-30T08:00:00+08:00").region()), (None, Some("Asia")));
    // New York trades in Asia's evening window and not in its own.
    let new_york = market(exchange_of("XNYS"));
    for (now, expected) in [
        (
            "2026-11-30T09:00:00-05:00",
            "off 11-30 22:30 | 12-01 04:45 in_trading | 12-05 12:00 after_open | 12-06 14:00 after_open",
        ),
        (
            "2026-11-30T04:00:00-05:00",
            "off 11-30 22:30 | 11-30 20:15 before_open | 12-05 12:00 after_open | 12-06 14:00 after_open",
        ),
    ] {
        assert_eq!(row(&Forecast::new(&new_york, &asia(), instant(now)).expect("a forecast")), expected, "{now}");
    }
    // Nobody set a window, and no exchange either.
    let none = Forecast::new(&Market::new(Vec::new(), Combination::All), &[], now).expect("a forecast");
    assert_eq!((none.nightly.len(), none.region(), none.next_open), (0, None, None));
}

#[test]
fn when_a_person_should_approve() {
    let day_before = |now: &str| instant(now) - SignedDuration::from_hours(20);
    for (now, cause, expected) in [
        ("28 10:00", Cause::ApiSilent, "now  11-30 09:30 true"),
        ("28 13:00", Cause::TwoFactorPending, "now 11-28 16:00 11-30 09:30 true"),
        ("29 19:00", Cause::AccountsEmpty, "now  11-30 09:30 true"),
        // While there is trading there is no time left.
        ("30 10:00", Cause::ApiSilent, "now   false"),
        ("30 12:30", Cause::ApiSilent, "now  11-30 13:00 true"),
        // Approving helps nothing, or nobody knows.
        ("29 10:00", Cause::LoginLockedOut, "after_token_end 11-29 14:00 11-30 09:30 true"),
        ("29 10:00", Cause::ContainerStopped, "after_token_end 11-29 14:00 11-30 09:30 true"),
        ("29 10:00", Cause::Ready, "after_token_end 11-29 14:00 11-30 09:30 true"),
        // Ready since before the weekly end: what restarts asks, within a day.
        ("29 14:00", Cause::Ready, "at_restart  11-30 09:30 true"),
        ("30 08:00", Cause::Ready, "at_restart  11-30 09:30 true"),
        ("30 09:59", Cause::Ready, "at_restart   false"),
        ("30 14:00", Cause::Ready, "after_token_end 12-06 14:00 12-07 09:30 false"),
        ("26 10:00", Cause::Ready, "after_token_end 11-29 14:00 11-30 09:30 false"),
    ] {
        let at = in_hong_kong(now);
        let forecast = forecast(&at).about(cause, day_before(&at), instant(&at));
        let Approval { when, from, until } = forecast.approval;
        let text = |instant: Option<Timestamp>| instant.map(local).unwrap_or_default();
        let seen = format!("{} {} {} {}", when.code(), text(from), text(until), forecast.asks_before_open());
        assert_eq!(seen, expected, "{now} {cause}");
    }
    // A link that was lost and came back has approved nothing; a login has.
    let (before, at) = (in_hong_kong("29 20:29"), in_hong_kong("29 20:30"));
    let (then, now) = (instant(&before), instant(&at));
    let told = forecast(&before).about(Cause::Ready, day_before(&before), then);
    let because_of = told.asks_at_restart().expect("it asks");
    for (cause, is_to_come) in [(Cause::BrokerLinkDown, true), (Cause::Ready, true), (Cause::ApiSilent, false)] {
        let seen = forecast(&at).about(cause, now, now).still_asking(because_of, now);
        assert_eq!(seen.approval.when == When::AtRestart, is_to_come, "{cause}");
    }
    let late = in_hong_kong("30 14:00");
    let seen = forecast(&late).about(Cause::Ready, instant(&late), instant(&late));
    assert_eq!(seen.still_asking(because_of, instant(&late)).approval.when, When::AfterTokenEnd, "a day has passed");
    // Approved after the weekly end.
    let at = instant(&in_hong_kong("29 20:00"));
    let ready = forecast(&in_hong_kong("29 20:00")).about(Cause::Ready, at - SignedDuration::from_mins(5), at);
    assert_eq!(ready.approval.when, When::AfterTokenEnd);
}

#[test]
fn the_words_of_an_approval() {
    let words = |now: &str, cause| {
        let at = instant(&in_hong_kong(now));
        forecast(&in_hong_kong(now))
            .about(cause, at - SignedDuration::from_hours(20), at)
            .approval_text(at, &hong_kong())
    };
    for (now, cause, expected) in [
        (
            "28 10:00",
            Cause::ApiSilent,
            "nobody is logged in: approve the login now, before trading begins Mon 30 Nov 09:30 HKT; \
             the weekly login ends Sun 29 Nov 14:00, and the first restart after it asks again",
        ),
        (
            "28 13:00",
            Cause::TwoFactorPending,
            "nobody is logged in: approve the login when IBKR's weekend maintenance is over, 16:00 HKT, \
             before trading begins Mon 30 Nov 09:30 HKT; \
             the weekly login ends Sun 29 Nov 14:00, and the first restart after it asks again",
        ),
        ("30 08:00", Cause::ApiSilent, "nobody is logged in: approve the login now, before trading begins 09:30 HKT"),
        ("30 10:00", Cause::ApiSilent, "nobody is logged in: approve the login now, trading is on"),
        (
            "29 15:00",
            Cause::Ready,
            "the weekly login ended 14:00 HKT: unless one was approved since, the next restart asks for an approval; \
             give it before Mon 30 Nov 09:30",
        ),
        (
            "26 10:00",
            Cause::Ready,
            "the weekly login ends Sun 29 Nov 14:00 HKT: approve the next login between then and Mon 30 Nov 09:30",
        ),
    ] {
        assert_eq!(words(now, cause), expected, "{now} {cause}");
    }
    let at = instant("2027-12-31T17:00:00+08:00");
    assert_eq!(
        forecast("2027-12-31T17:00:00+08:00").approval_text(at, &hong_kong()),
        "the weekly login ends Sun 2 Jan 14:00 HKT: \
         approve the next login after that; when trading begins then is not known"
    );
    // The reader's zone, not the exchange's.
    let new_york = TimeZone::get("America/New_York").expect("a zone");
    let at = instant(&in_hong_kong("27 17:00"));
    assert_eq!(
        forecast(&in_hong_kong("27 17:00")).approval_text(at, &new_york),
        "the weekly login ends Sun 29 Nov 01:00 EST, before the next trading session: \
         approve the next login between then and Sun 29 Nov 20:30"
    );
}

#[test]
fn the_words_of_resets() {
    let words = |daily: &[DailyReset], now: &str| {
        let at = instant(&in_hong_kong(now));
        Forecast::new(&market(Exchange::XHKG), daily, at).expect("a forecast").resets_text(at, &hong_kong())
    };
    assert_eq!(
        words(&published(), "30 08:00"),
        "nightly reset, by where the account is served (HKT): North America 13:15-14:45 (in trading hours), \
         Europe 13:25-14:45 (in trading hours), Asia 20:15-21:15; usually moments"
    );
    assert_eq!(
        words(&asia(), "28 13:00"),
        "weekend maintenance now until 16:00 HKT (all regions); may be down for hours; \
         nightly reset Sun 29 Nov 04:45-06:05 HKT (Asia), before the next trading session; usually moments"
    );
    assert_eq!(
        words(&[], "30 08:00"),
        "weekend maintenance Sat 5 Dec 12:00-16:00 HKT (all regions); may be down for hours"
    );
    assert_eq!(
        words(&asia(), "30 23:00"),
        "nightly reset Tue 1 Dec 04:45-06:05 HKT (Asia), before the next trading session; usually moments"
    );
}

#[test]
fn it_holds_until_something_comes_true_and_for_an_hour_at_most() {
    let made = forecast("2026-11-29T13:30:00+08:00");
    for (now, is_ahead, holds) in [
        ("2026-11-29T13:29:59+08:00", false, false),
        ("2026-11-29T13:30:00+08:00", true, true),
        ("2026-11-29T13:59:59+08:00", true, true),
        ("2026-11-29T14:00:00+08:00", false, false),
    ] {
        assert_eq!((made.is_ahead(instant(now)), made.holds(instant(now))), (is_ahead, holds), "{now}");
    }
    let made = forecast("2026-11-29T15:00:00+08:00");
    let later = |minutes| made.made_at + SignedDuration::from_mins(minutes);
    assert_eq!([59, 60, 300].map(|minutes| made.holds(later(minutes))), [true, false, false]);
    assert_eq!([59, 60, 300].map(|minutes| made.is_ahead(later(minutes))), [true, true, true]);
    assert!(!made.is_ahead(later(315)), "Asia's evening window");
}

#[test]
fn the_market_that_it_goes_by() {
    let calendars = Calendars::default();
    let of = |exchanges: &[Exchange], combination| {
        let market = Market::new(exchanges.iter().map(|exchange| calendars.of(*exchange)).collect(), combination);
        let now = instant("2026-11-29T13:30:00+08:00");
        let TradingAt { exchange, rule } = Forecast::new(&market, &[], now).expect("a forecast").trading_at;
        (exchange, rule)
    };
    assert_eq!(of(&[Exchange::XHKG], Combination::Any), ("XHKG".into(), None));
    assert_eq!(of(&[Exchange::XSHG, Exchange::XHKG], Combination::All), ("XSHG,XHKG".into(), Some(Combination::All)));
}

#[test]
fn names_have_a_bound_and_so_has_their_number() {
    let region = "R".repeat(300);
    let daily: Vec<DailyReset> =
        (0..30).map(|at| format!("04:{at:02}-06:05 Asia/Hong_Kong {at} {region}").parse().expect("a window")).collect();
    let forecast = Forecast::new(&market(Exchange::XHKG), &daily, instant("2026-11-29T13:30:00Z")).expect("a forecast");
    assert_eq!(forecast.nightly.len(), REGIONS_MAX);
    assert!(forecast.nightly.iter().all(|reset| reset.region.chars().count() == TEXT_CHARS_MAX));
}

fn exchange_of(mic: &str) -> Exchange {
    mic.parse().expect("an exchange")
}

fn exchange() -> impl Strategy<Value = Exchange> {
    prop::sample::select(vec!["XHKG", "XNYS", "XTKS", "XLON", "XASX"]).prop_map(exchange_of)
}

proptest! {
    #[test]
    fn what_holds_of_every_forecast(
        exchange in exchange(),
        // From the beginning of 2024 to half a year after the calendars' end.
        second in 1_704_067_200_i64..1_845_000_000,
        later in 0.0_f64..1.0,
    ) {
        let market = Market::of_one(Calendar::for_exchange(exchange));
        let now = Timestamp::from_second(second).expect("an instant");
        let forecast = Forecast::new(&market, &published(), now).expect("a forecast");
        // Everything lies ahead, in order.
        let windows: Vec<&Reset> = forecast.nightly.iter().chain([&forecast.weekend]).collect();
        prop_assert!(windows.iter().all(|window| window.starts < window.ends && window.ends > now));
        prop_assert!(forecast.nightly.windows(2).all(|pair| pair[0].starts <= pair[1].starts));
        prop_assert!(forecast.edges().all(|edge| edge > now));
        prop_assert!(forecast.token.last <= now && now < forecast.token.ends);
        prop_assert!(forecast.token.next_open.is_none_or(|open| open > forecast.token.ends));
        prop_assert!(forecast.approval.from < forecast.approval.until || forecast.approval.until.is_none());
        if let (Some(close), Some(open)) = (forecast.next_close, forecast.next_open) {
            prop_assert!(close < open);
        }
        // An open that is known agrees with where things fall.
        if let Some(open) = forecast.next_open {
            prop_assert_eq!(forecast.token.falls == Falls::BeforeOpen, forecast.token.ends < open);
        }
        // Whenever it is made before anything comes true, its instants are the same.
        let first = forecast.first_edge();
        let until = first.duration_since(now).as_secs_f64();
        #[expect(clippy::cast_possible_truncation, reason = "some days of seconds")]
        let then = now + SignedDuration::from_secs((until * later) as i64);
        prop_assume!(then < first);
        prop_assert!(forecast.is_ahead(then) && !forecast.is_ahead(first));
        let again = Forecast::new(&market, &published(), then).expect("a forecast");
        let edges = |forecast: &Forecast| forecast.edges().collect::<Vec<_>>();
        prop_assert_eq!(edges(&again), edges(&forecast));
        // Where no open is known the calendar may end meanwhile, which tells less of the same instants.
        if forecast.next_open.is_some() {
            prop_assert_eq!(Forecast { made_at: now, ..again }, forecast);
        }
    }
}
