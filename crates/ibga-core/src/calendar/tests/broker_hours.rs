//! The hours that IBKR tells: its notation, and the comparison with every table.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::super::comparison::NEXT_SESSION_DAYS_MAX;
use super::super::liquid_hours::{DATES_MAX, SPANS_MAX};
use super::super::*;

/// The reading in short: `11-24 0930-1200 1300-1610, 11-25 closed`.
fn read(text: &str) -> Result<String, String> {
    let hours = LiquidHours::parse(text).map_err(|fault| fault.to_string())?;
    let days = hours.days().map(|(date, hours)| format!("{} {hours}", date.strftime("%m-%d")));
    Ok(days.collect::<Vec<_>>().join(", "))
}

#[test]
fn the_notation_old_and_new() {
    for (text, expected) in [
        // SEHK 700 as IBKR sent it.
        (
            "20261004:CLOSED;20261005:0930-20261005:1200;20261005:1300-20261005:1610;20261006:0930-20261006:1200;\
             20261006:1300-20261006:1610",
            "10-04 closed, 10-05 open 09:30-12:00 13:00-16:10, 10-06 open 09:30-12:00 13:00-16:10",
        ),
        // TSEJ 7203.
        ("20261005:0900-20261005:1130;20261005:1230-20261005:1530", "10-05 open 09:00-11:30 12:30-15:30"),
        ("20261005:0900-20261005:1130,20261005:1230-20261005:1530", "10-05 open 09:00-11:30 12:30-15:30"),
        // Servers before 970.
        ("20090507:0700-1830,1830-2330;20090508:CLOSED", "05-07 open 07:00-23:30, 05-08 closed"),
        ("20090507:0900-1130,1230-1530", "05-07 open 09:00-11:30 12:30-15:30"),
        // Order, blanks and separators at the end are no matter.
        (" 20261006:CLOSED ; 20261005:0930-20261005:1200;", "10-05 open 09:30-12:00, 10-06 closed"),
        ("20261005:1300-1600;20261005:0930-1200;20261005:1200-1230", "10-05 open 09:30-12:30 13:00-16:00"),
        ("20261005:CLOSED;20261005:CLOSED", "10-05 closed"),
    ] {
        assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_not_read() {
    let spans = (0..7).map(|hour| format!("20261005:{hour:02}00-{hour:02}30")).collect::<Vec<_>>().join(";");
    for (text, expected) in [
        ("", "IBKR tells none"),
        (" ;, ", "IBKR tells none"),
        ("CLOSED", "`CLOSED` is not in IBKR's notation"),
        ("20261005", "`20261005` is not in IBKR's notation"),
        ("20261005:", "`20261005:` is not in IBKR's notation"),
        ("20261005:closed", "`20261005:closed` is not in IBKR's notation"),
        ("20261305:CLOSED", "`20261305:CLOSED` is not in IBKR's notation"),
        ("20261005:0930", "`20261005:0930` is not in IBKR's notation"),
        ("20261005:0930-2400", "`20261005:0930-2400` is not in IBKR's notation"),
        ("20261005:09:30-16:00", "`20261005:09:30-16:00` is not in IBKR's notation"),
        ("20261005:+930-1600", "`20261005:+930-1600` is not in IBKR's notation"),
        ("0930-1600", "`0930-1600` is not in IBKR's notation"),
        ("20250525:1700-20250526:1200", "those of 2025-05-25 run past midnight"),
        ("20261005:1600-0930", "those of 2026-10-05 run past midnight"),
        ("20261005:0930-0930", "those of 2026-10-05 run past midnight"),
        ("20261005:CLOSED;20261005:0930-1600", "IBKR says both closed and open on 2026-10-05"),
        (&spans, "IBKR tells more than 6 spans on 2026-10-05"),
    ] {
        assert_eq!(read(text), Err(expected.to_owned()), "{text}");
    }
}

fn days_from(first: Date) -> impl Iterator<Item = Date> {
    std::iter::successors(Some(first), |date| date.tomorrow().ok())
}

#[test]
fn a_month_is_read_from_its_beginning() {
    let first = Date::constant(2026, 10, 5);
    let day = |date: Date| {
        let date = date.strftime("%Y%m%d");
        format!("{date}:0930-{date}:1200;{date}:1300-{date}:1610")
    };
    let month = |days| days_from(first).take(days).map(day).collect::<Vec<_>>().join(";");
    for (told, kept) in [(1, 1), (10, DATES_MAX), (11, DATES_MAX), (31, DATES_MAX)] {
        let hours = LiquidHours::parse(&month(told)).expect("hours");
        assert_eq!(hours.days().count(), kept, "of {told}");
        assert!(hours.days().all(|(_, hours)| hours.to_string() == "open 09:30-12:00 13:00-16:10"), "none is cut");
    }
    // However long the entries are, no day is kept by half.
    let padded = month(10).replace(';', &format!(";{}", " ".repeat(60)));
    let hours = LiquidHours::parse(&padded).expect("hours");
    assert!((1..DATES_MAX).contains(&hours.days().count()));
    assert!(hours.days().all(|(_, hours)| hours.spans().len() == 2));
}

fn noon(calendar: &Calendar, date: Date) -> Timestamp {
    calendar.zone().expect("a zone").to_timestamp(date.at(12, 0, 0, 0)).expect("an instant")
}

/// `today agreed, 2026-11-25 not told`, with the zone of Hong Kong unless another is given.
fn compared(text: &str, zone: &str, mic: &str, now: &str, overrides: &str) -> String {
    let hours = LiquidHours::parse(text).expect("hours");
    let calendars = Calendars::with_overrides(overrides, "calendar.txt").expect("overrides");
    let exchange = mic.parse().expect("an exchange");
    let now = now.parse().expect("an instant");
    compare(&hours, zone, exchange, &calendars, now).expect("a calendar").to_string()
}

#[test]
fn today_and_the_next_session() {
    let full = |date: &str| format!("{date}:0930-{date}:1200;{date}:1300-{date}:1610;");
    let hong_kong = |text: &str, now| compared(text, "Hongkong", "XHKG", now, "");
    let noon = "2026-11-24T04:00:00Z";
    let both = full("20261124") + &full("20261125");
    let agree = "IBKR's hours of XHKG agree with the calendar for today and 2026-11-25";
    assert_eq!(hong_kong(&both, noon), agree);
    assert_eq!(hong_kong(&both.replace("1610", "1600"), noon), agree);
    assert_eq!(
        hong_kong(&full("20261124"), noon),
        "IBKR's hours of XHKG agree with the calendar for today; 2026-11-25 not compared: IBKR does not tell that day"
    );
    assert_eq!(
        hong_kong("20261130:CLOSED", noon),
        "IBKR's hours of XHKG are not compared: IBKR does not tell that day"
    );
    for (told, words) in [
        ("CLOSED", "closed"),
        ("0930-1200;20261124:1300-1510", "open 09:30-12:00 13:00-15:10"),
        ("0930-1200;20261124:1300-1605", "open 09:30-12:00 13:00-16:05"),
        ("1030-1200;20261124:1300-1610", "open 10:30-12:00 13:00-16:10"),
        ("0929-1200;20261124:1300-1610", "open 09:29-12:00 13:00-16:10"),
        ("0930-1210;20261124:1300-1610", "open 09:30-12:10 13:00-16:10"),
        ("0930-1200", "open 09:30-12:00"),
        ("0930-1610", "open 09:30-16:10"),
    ] {
        let text = format!("20261124:{told};") + &full("20261125");
        let expected = format!(
            "XHKG: the calendar says open 09:30-12:00 13:00-16:00 on 2026-11-24, IBKR says {words}; \
             do not trade until one of them is corrected (calendar_overrides)"
        );
        assert_eq!(hong_kong(&text, noon), expected);
    }
    // A half day and the holiday behind it, on both of which IBKR may be wrong; the next session is past the weekend.
    let half = "20261224:0930-20261224:1210;20261225:CLOSED;20261228:";
    let christmas = |text: &str, now| hong_kong(&(text.to_owned() + "0930-1200;20261228:1300-1610"), now);
    assert!(christmas(half, "2026-12-24T02:00:00Z").ends_with("for today and 2026-12-28"));
    assert!(christmas(half, "2026-12-25T02:00:00Z").ends_with("for today and 2026-12-28"));
    assert_eq!(
        christmas(&half.replace("20261225:CLOSED", "20261225:0930-1200"), "2026-12-25T02:00:00Z"),
        "XHKG: the calendar says closed on 2026-12-25, IBKR says open 09:30-12:00; \
         do not trade until one of them is corrected (calendar_overrides)"
    );
    assert!(
        christmas(&half.replace("1210", "1600"), "2026-12-24T02:00:00Z")
            .contains("says open 09:30-12:00 on 2026-12-24, ")
    );
}

#[test]
fn an_override_counts_as_the_calendar() {
    let text = "20261124:CLOSED;20261125:0930-1200;20261125:1300-1610";
    let overrides = "XHKG closed 2026-11-24 System failure\n";
    let now = "2026-11-24T04:00:00Z";
    assert!(compared(text, "Hongkong", "XHKG", now, "").starts_with("XHKG: the calendar says open "));
    assert!(
        compared(text, "Hongkong", "XHKG", now, overrides)
            .ends_with(" agree with the calendar for today and 2026-11-25")
    );
}

#[test]
fn zones() {
    let text = "20261124:0930-1200;20261124:1300-1610";
    let reason = |zone| {
        let told = compared(text, zone, "XHKG", "2026-11-24T04:00:00Z", "");
        told.strip_prefix("IBKR's hours of XHKG are not compared: ").map(str::to_owned)
    };
    for (zone, why) in [
        ("Hongkong", None),
        ("Asia/Hong_Kong", None),
        // The same clocks.
        ("Singapore", None),
        ("", Some("IBKR names no time zone")),
        ("  ", Some("IBKR names no time zone")),
        ("EST (Eastern Standard Time)", Some("IBKR's time zone \"EST (Eastern Standard Time)\" is not known")),
        ("HKT", Some("IBKR's time zone \"HKT\" is not known")),
        ("../../etc/passwd", Some("IBKR's time zone \"../../etc/passwd\" is not known")),
        ("Etc/Unknown", Some("IBKR's time zone \"Etc/Unknown\" is not known")),
        ("America/New_York", Some("IBKR tells them in America/New_York, which is not the zone of the exchange")),
    ] {
        assert_eq!(reason(zone).as_deref(), why, "{zone}");
    }
    // As IBKR names them, each with the hours that it was seen to tell of the exchange.
    for (mic, zone, hours) in [
        ("XTKS", "Japan", "0900-1130;20261124:1230-1530"),
        ("XNYS", "US/Eastern", "0930-1600"),
        ("XASX", "Australia/NSW", "0959-1600"),
        ("XETR", "MET", "0900-1730"),
        ("XLON", "GB-Eire", "0800-1630"),
    ] {
        let told = compared(&format!("20261124:{hours}"), zone, mic, "2026-11-24T04:00:00Z", "");
        let day = if mic == "XNYS" { "2026-11-24" } else { "today" };
        assert!(told.starts_with(&format!("IBKR's hours of {mic} agree with the calendar for {day}")), "{told}");
    }
}

/// A text of 2019-12-31 had Martin Luther King's day, three weeks ahead, as a usual day.
#[test]
fn days_that_are_a_template_are_not_looked_at() {
    let text = "20240108:0930-1600;20240109:0930-1600;20240112:0930-1600;20240115:0930-1600;20240116:0930-1600";
    let new_york = |now| compared(text, "US/Eastern", "XNYS", now, "");
    assert!(new_york("2024-01-08T15:00:00Z").ends_with("for today and 2024-01-09"));
    assert!(new_york("2024-01-12T15:00:00Z").ends_with("for today and 2024-01-16"), "the Friday before");
    assert!(new_york("2024-01-15T15:00:00Z").contains("says closed on 2024-01-15, IBKR says open 09:30-16:00"));
    // Golden week: what lies behind it is too far ahead.
    let told = compared("20261001:CLOSED;20261008:CLOSED", "Hongkong", "XSHG", "2026-10-01T02:00:00Z", "");
    assert_eq!(told, "IBKR's hours of XSHG agree with the calendar for today");
}

#[test]
fn stock_connect_rests_with_hong_kong() {
    let shanghai = |text, now| compared(text, "Hongkong", "XSHG", now, "");
    assert_eq!(
        shanghai("20261225:CLOSED;20261228:0930-1130;20261228:1300-1457", "2026-12-25T02:00:00Z"),
        "IBKR's hours of XSHG agree with the calendar for 2026-12-28; \
         today not compared: Stock Connect goes by XHKG too, which has no full day"
    );
    assert!(shanghai("20261124:CLOSED", "2026-11-24T02:00:00Z").contains("IBKR says closed"), "a full day of both");
    assert!(
        shanghai("20261128:0930-1130", "2026-11-28T02:00:00Z").contains("the calendar says closed"),
        "neither trades"
    );
}

#[test]
fn past_the_table_nothing_is_known() {
    let told = compared("20280103:0930-1600", "Hongkong", "XHKG", "2028-01-03T02:00:00Z", "");
    assert_eq!(told, "IBKR's hours of XHKG are not compared: the calendar does not know the date");
}

/// What IBKR may make of each exchange's edges: minutes before the open, and around the close.
const TAILS: &[(&str, &[i64], &[i64])] = &[
    ("XHKG", &[], &[10]),
    ("XNYS", &[], &[]),
    ("XNAS", &[], &[]),
    ("XTKS", &[], &[-5]),
    ("XSHG", &[], &[-3]),
    ("XSHE", &[], &[-3]),
    ("XSES", &[], &[6]),
    ("XASX", &[-1], &[10, 11]),
    ("XLON", &[], &[5]),
    ("XETR", &[], &[5]),
];

/// IBKR's notation of the days from one on, with the edges moved.
fn rendered(calendar: &Calendar, first: Date, early: i64, tail: i64) -> String {
    let moved =
        |time: jiff::civil::Time, minutes| (time + SignedDuration::from_mins(minutes)).strftime("%H%M").to_string();
    let day = |date: Date| {
        let hours = calendar.hours_on(date)?;
        let day = date.strftime("%Y%m%d");
        let last = hours.spans().len().checked_sub(1);
        let entry = |(index, span): (usize, &Span)| {
            let start = moved(span.start(), if index == 0 { early } else { 0 });
            let end = moved(span.end(), if Some(index) == last { tail } else { 0 });
            format!("{day}:{start}-{day}:{end}")
        };
        let entries: Vec<String> = hours.spans().iter().enumerate().map(entry).collect();
        Some(if entries.is_empty() { format!("{day}:CLOSED") } else { entries.join(";") })
    };
    days_from(first).take(6).filter_map(day).collect::<Vec<_>>().join(";")
}

#[test]
fn every_day_of_every_table_agrees_with_itself_and_its_tails_alone() {
    let calendars = Calendars::default();
    let (mut agreed, mut contradicted) = (0, 0);
    for exchange in Exchange::known() {
        let calendar = calendars.of(exchange);
        let (_, opens, closes) = TAILS.iter().find(|(mic, ..)| *mic == exchange.mic()).expect("a row");
        let coverage = calendar.coverage().expect("a table");
        let zone = calendar.zone().and_then(TimeZone::iana_name).expect("a name");
        let outcomes = |date: Date, early: i64, tail: i64| {
            let hours = LiquidHours::parse(&rendered(&calendar, date, early, tail)).expect("hours");
            compare(&hours, zone, exchange, &calendars, noon(&calendar, date)).expect("a comparison")
        };
        for date in days_from(coverage.first).take_while(|date| *date <= coverage.last) {
            let edges = [&[0][..], opens].concat().into_iter();
            for (early, tail) in
                edges.flat_map(|early| [&[0][..], closes].concat().into_iter().map(move |tail| (early, tail)))
            {
                let comparison = outcomes(date, early, tail);
                let is_agreed = comparison.days.iter().all(|day| day.agreement == Agreement::Agreed);
                assert!(is_agreed && !comparison.days.is_empty(), "{comparison} at {date}, {early} {tail}");
                agreed += 1;
            }
            let is_session = matches!(calendar.session_on(date), Day::Session(_));
            for (early, tail) in
                [(-2, 0), (1, 0), (30, 0), (0, -60), (0, 7), (0, 60)].into_iter().filter(|_| is_session)
            {
                let today = outcomes(date, early, tail).days.into_iter().next().expect("today").agreement;
                let connect = matches!(today, Agreement::NotCompared(NotCompared::StockConnect));
                assert!(
                    connect || matches!(today, Agreement::Contradiction { .. }),
                    "{exchange} {date} {early} {tail}"
                );
                contradicted += 1;
            }
        }
    }
    assert!(agreed > 14_000 && contradicted > 50_000, "{agreed} {contradicted}");
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,80}", pieces in prop::collection::vec("(20[0-9]{6}:)?([0-9]{4}|CLOSED)(-(20[0-9]{6}:)?[0-9]{4})?", 0..40),
                      zone in "\\PC{0,60}", day in 0_i64..1_500) {
        let calendars = Calendars::default();
        let now = noon(&calendars.of(Exchange::XHKG), Date::constant(2024, 1, 1)) + SignedDuration::from_hours(24 * day);
        for text in [text, pieces.join(";")] {
            let Ok(hours) = LiquidHours::parse(&text) else { continue };
            prop_assert!(hours.days().count() <= DATES_MAX);
            prop_assert!(hours.days().all(|(_, hours)| hours.spans().len() <= SPANS_MAX));
            for zone in [zone.as_str(), "Hongkong"] {
                for exchange in Exchange::known() {
                    let comparison = compare(&hours, zone, exchange, &calendars, now).expect("a calendar");
                    prop_assert!((1..=2).contains(&comparison.days.len()));
                    let ahead = comparison.days.iter().map(|day| comparison.today.until(day.date).expect("days").get_days());
                    prop_assert!(ahead.into_iter().all(|days| (0..=NEXT_SESSION_DAYS_MAX).contains(&i64::from(days))));
                }
            }
        }
    }
}
