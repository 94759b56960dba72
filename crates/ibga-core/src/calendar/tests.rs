//! The calendar against recorded trading sessions and labelled instants, and against texts that are wrong.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::civil::date;
use jiff::{SignedDuration, ToSpan};
use proptest::prelude::*;

use super::exchange::BUNDLED;
use super::*;

macro_rules! test_data {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/calendar/", $name))
    };
}

mod broker_hours;
mod every_minute;
mod markets;
mod overrides;

/// The head of `vectors.csv` defines its columns and the rules of the boundaries.
const VECTORS: &str = test_data!("vectors.csv");
/// Every trading session of each exchange with a table, in UTC.
const SESSIONS: [(&str, &str); 8] = [
    ("XHKG", test_data!("sessions_XHKG.csv")),
    ("XNYS", test_data!("sessions_XNYS.csv")),
    ("XTKS", test_data!("sessions_XTKS.csv")),
    ("XSHG", test_data!("sessions_XSHG.csv")),
    ("XSES", test_data!("sessions_XSES.csv")),
    ("XASX", test_data!("sessions_XASX.csv")),
    ("XLON", test_data!("sessions_XLON.csv")),
    ("XETR", test_data!("sessions_XETR.csv")),
];

const NEW_YORK: &str = "
zone America/New_York
hours 2020-01-01 open 09:30 close 16:00
year 2026 official a press release
early 2026-11-27 13:00 Day after Thanksgiving
closed 2026-12-25 Christmas Day
";

const TOKYO: &str = "
zone Asia/Tokyo
hours 2006-01-01 open 09:00 lunch 11:30-12:30 close 15:00
hours 2024-11-05 open 09:00 lunch 11:30-12:30 close 15:30
year 2024 computed a test
closed 2024-11-04 Culture Day (in lieu)
";

fn calendar(text: &str) -> Result<Calendar, TableError> {
    let table = Table::parse(text)?;
    Ok(Calendar { exchange: Exchange { mic: "TEST" }, table: Ok(Arc::new(table)), override_file: Arc::default() })
}

fn hong_kong() -> Calendar {
    Calendar::for_exchange(Exchange::XHKG)
}

fn utc(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn utc_if_any(text: &str) -> Option<Timestamp> {
    (!text.is_empty()).then(|| utc(text))
}

fn session(calendar: &Calendar, date: Date) -> TradingSession {
    match calendar.session_on(date) {
        Day::Session(session) => session,
        other => panic!("{date}: {other:?}"),
    }
}

fn phase(calendar: &Calendar, instant: &str) -> &'static str {
    calendar.at(utc(instant)).phase.code()
}

// ---- Against recorded data ----

#[test]
fn every_labelled_instant_is_judged_as_recorded() {
    let mut rows = 0;
    for line in VECTORS.lines().filter(|line| !line.starts_with('#') && !line.starts_with("id,")) {
        let fields: Vec<&str> = line.split(',').collect();
        let [_, instant, exchange, phase, open, close, session_open, session_close, auction, ..] = fields[..] else {
            panic!("too few fields: {line}");
        };
        let exchange: Exchange = exchange.parse().expect(line);
        let moment = Calendar::for_exchange(exchange).at(utc(instant));
        assert_eq!(moment.phase.code(), phase, "{line}");
        assert_eq!(moment.next_open, utc_if_any(open), "{line}");
        assert_eq!(moment.next_close, utc_if_any(close), "{line}");
        assert_eq!(moment.next_session_open, utc_if_any(session_open), "{line}");
        assert_eq!(moment.next_session_close, utc_if_any(session_close), "{line}");
        // Auctions are labelled for Hong Kong alone.
        if exchange == Exchange::XHKG {
            assert_eq!(moment.auction.map_or("", Auction::code), auction, "{line}");
        }
        rows += 1;
    }
    assert_eq!(rows, 160);
}

#[test]
fn half_days_of_sydney_end_before_the_closing_auction() {
    let calendar = Calendar::for_exchange("XASX".parse().expect("known"));
    let rows = test_data!("vectors_xasx_halfday.csv").lines().filter(|line| line.starts_with("20"));
    for line in rows {
        let fields: Vec<&str> = line.split(',').collect();
        let [instant, _, _, phase, _] = fields[..] else { panic!("{line}") };
        assert_eq!(calendar.at(utc(instant)).phase.code(), phase, "{line}");
    }
}

/// The recorded sessions of an exchange: open, lunch and close by date. Twins have those of their sister.
fn recorded(exchange: Exchange) -> BTreeMap<Date, Recorded> {
    let mic = match exchange.mic() {
        "XNAS" => "XNYS",
        "XSHE" => "XSHG",
        mic => mic,
    };
    let (_, text) = SESSIONS.iter().find(|(recorded, _)| *recorded == mic).expect("recorded sessions");
    let rows = text.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let [day, open, lunch_start, lunch_end, close] = fields[..] else { panic!("{line}") };
        let lunch = utc_if_any(lunch_start).zip(utc_if_any(lunch_end));
        (day.parse::<Date>().expect(line), (utc(open), lunch, utc(close)))
    });
    rows.collect()
}

/// The last year that is recorded. A table may hold more, which the witness compares.
fn last_year(recorded: &BTreeMap<Date, Recorded>) -> i16 {
    recorded.last_key_value().expect("sessions").0.year()
}

/// Open, lunch and close.
type Recorded = (Timestamp, Option<(Timestamp, Timestamp)>, Timestamp);

#[test]
fn trading_sessions_are_those_recorded_and_every_other_date_is_closed() {
    for exchange in Exchange::known() {
        let mut recorded = recorded(exchange);
        let calendar = Calendar::ending_with(exchange, last_year(&recorded));
        let coverage = calendar.coverage().expect("a table");
        for day in coverage.first.series(1.day()).take_while(|day| *day <= coverage.last) {
            match (calendar.session_on(day), recorded.remove(&day)) {
                (Day::Session(session), Some(expected)) => {
                    let found = (session.open, session.lunch, session.close);
                    assert_eq!((session.date, found), (day, expected), "{exchange}");
                }
                (Day::Holiday { .. } | Day::Weekend, None) => {}
                (found, expected) => panic!("{exchange} {day}: {found:?}, recorded {expected:?}"),
            }
        }
        assert!(recorded.is_empty(), "{exchange}: recorded outside the table: {recorded:?}");
    }
}

#[test]
fn each_year_is_marked_with_its_source() {
    let mut marks = String::new();
    for exchange in Exchange::known() {
        let calendar = Calendar::for_exchange(exchange);
        let marked = (2024..=2028).map(|year| {
            assert_eq!(calendar.source(year).is_some(), calendar.quality(year) != DataQuality::Unknown);
            calendar.quality(year).code()
        });
        let _ = writeln!(marks, "{exchange} {}", marked.collect::<Vec<_>>().join(" "));
    }
    assert_eq!(
        marks,
        "XHKG official official official official unknown\n\
         XNYS official official official official unknown\n\
         XNAS official official official official unknown\n\
         XTKS computed computed official official unknown\n\
         XSHG official official official unknown unknown\n\
         XSHE official official official unknown unknown\n\
         XSES official official official official unknown\n\
         XASX official official official computed unknown\n\
         XLON official official official official unknown\n\
         XETR official official official official unknown\n"
    );
}

#[test]
fn the_data_is_small() {
    let bytes: usize = exchange::TEXTS.iter().map(|(_, text)| text.len()).sum();
    assert!(bytes < 64 * 1024, "{bytes}");
}

#[test]
fn compiled_in_tables_can_be_used() {
    for exchange in Exchange::known() {
        let calendar = Calendar::for_exchange(exchange);
        assert_eq!(calendar.fault(), None, "{exchange}");
        assert_eq!(calendar.exchange(), exchange);
    }
    let coverage = hong_kong().coverage().expect("a table");
    assert_eq!((coverage.first, coverage.last), (date(2024, 1, 1), date(2027, 12, 31)));
}

#[test]
fn hong_kong_holidays_and_half_days_by_name() {
    for (day, expected) in [
        (date(2024, 9, 6), "holiday: Typhoon Yagi, signal no. 8, all trading cancelled"),
        (date(2025, 1, 28), "half: Eve of Lunar New Year"),
        (date(2026, 4, 6), "holiday: Day following Ching Ming Festival (and Easter Monday)"),
        (date(2026, 9, 25), "full: "),
        (date(2026, 9, 26), "weekend"),
        (date(2026, 12, 24), "half: Eve of Christmas"),
        (date(2027, 12, 27), "holiday: First weekday after Christmas Day"),
        (date(2027, 12, 31), "half: Eve of New Year"),
        (date(2028, 1, 3), "unknown"),
    ] {
        let found = match hong_kong().session_on(day) {
            Day::Session(session) => format!("{}: {}", session.length.code(), session.reason.unwrap_or_default()),
            Day::Holiday { name } => format!("holiday: {name}"),
            Day::Weekend => "weekend".to_owned(),
            Day::Unknown => "unknown".to_owned(),
        };
        assert_eq!(found, expected, "{day}");
    }
}

// ---- Edges ----

#[test]
fn full_day_second_by_second_around_each_edge() {
    for (instant, phase, auction) in [
        ("2026-11-22T15:59:59Z", "closed_weekend", ""),
        ("2026-11-22T16:00:00Z", "before_open", ""),
        ("2026-11-23T00:59:59Z", "before_open", ""),
        ("2026-11-23T01:00:00Z", "before_open", "pre_opening"),
        ("2026-11-23T01:29:59Z", "before_open", "pre_opening"),
        ("2026-11-23T01:30:00Z", "open", ""),
        ("2026-11-23T03:59:59Z", "open", ""),
        ("2026-11-23T03:59:59.999999999Z", "open", ""),
        ("2026-11-23T04:00:00Z", "lunch", ""),
        ("2026-11-23T04:59:59Z", "lunch", ""),
        ("2026-11-23T05:00:00Z", "open", ""),
        ("2026-11-23T07:59:59Z", "open", ""),
        ("2026-11-23T08:00:00Z", "after_close", "closing_auction"),
        ("2026-11-23T08:09:59Z", "after_close", "closing_auction"),
        ("2026-11-23T08:10:00Z", "after_close", ""),
        ("2026-11-23T15:59:59Z", "after_close", ""),
        ("2026-11-23T16:00:00Z", "before_open", ""),
    ] {
        let moment = hong_kong().at(utc(instant));
        assert_eq!((moment.phase.code(), moment.auction.map_or("", Auction::code)), (phase, auction), "{instant}");
    }
}

#[test]
fn half_day_has_no_afternoon() {
    for (instant, phase, auction) in [
        ("2026-12-24T00:59:59Z", "before_open", ""),
        ("2026-12-24T01:00:00Z", "before_open", "pre_opening"),
        ("2026-12-24T01:30:00Z", "open", ""),
        ("2026-12-24T03:59:59Z", "open", ""),
        ("2026-12-24T04:00:00Z", "early_closed", "closing_auction"),
        ("2026-12-24T04:09:59Z", "early_closed", "closing_auction"),
        ("2026-12-24T04:10:00Z", "early_closed", ""),
        ("2026-12-24T06:00:00Z", "early_closed", ""),
        ("2026-12-24T16:00:00Z", "closed_holiday", ""),
    ] {
        let moment = hong_kong().at(utc(instant));
        assert_eq!((moment.phase.code(), moment.auction.map_or("", Auction::code)), (phase, auction), "{instant}");
    }
    let moment = hong_kong().at(utc("2026-12-24T03:00:00Z"));
    assert_eq!(moment.length, Some(DayLength::Half));
    assert_eq!(moment.holiday.as_deref(), Some("Eve of Christmas"));
    assert_eq!(moment.next_close, Some(utc("2026-12-24T04:00:00Z")));
}

#[test]
fn nothing_is_known_outside_the_years() {
    let calendar = hong_kong();
    for instant in [
        "2023-12-31T15:59:59Z",
        "2027-12-31T16:00:00Z",
        "2028-01-03T02:00:00Z",
        "1970-01-01T00:00:00Z",
        "-009999-01-02T01:59:59Z",
        "9999-12-30T22:00:00Z",
    ] {
        let moment = calendar.at(utc(instant));
        let next = [moment.next_open, moment.next_close, moment.next_session_open, moment.next_session_close];
        assert_eq!((moment.phase, moment.data), (Phase::Unknown, DataQuality::Unknown), "{instant}");
        assert_eq!((next, moment.auction, moment.length), ([None; 4], None, None), "{instant}");
    }
    assert_eq!(phase(&calendar, "2023-12-31T16:00:00Z"), "closed_holiday");
}

#[test]
fn search_for_the_next_open_stops_at_the_end() {
    let last_morning = hong_kong().at(utc("2027-12-31T02:00:00Z"));
    assert_eq!((last_morning.phase, last_morning.next_open), (Phase::Open, None));
    assert_eq!(last_morning.next_close, Some(utc("2027-12-31T04:00:00Z")));
    let last_evening = hong_kong().at(utc("2027-12-31T15:59:59Z"));
    assert_eq!((last_evening.phase, last_evening.next_close), (Phase::EarlyClosed, None));
    assert_eq!(last_evening.data, DataQuality::Official);
}

#[test]
fn days_left_tell_when_to_warn() {
    let coverage = hong_kong().coverage().expect("a table");
    for (from, days) in [
        (date(2027, 12, 31), 0),
        (date(2028, 1, 1), -1),
        (date(2027, 10, 2), COVERAGE_WARNING_DAYS),
        (date(2026, 11, 22), 404),
    ] {
        assert_eq!(coverage.days_left(from), days, "{from}");
    }
}

#[test]
fn next_edges_are_where_trading_starts_and_stops() {
    let calendar = hong_kong();
    let coverage = calendar.coverage().expect("a table");
    let second = SignedDuration::from_secs(1);
    // 53 minutes meet every minute of the hour in time.
    let instants = coverage.first.at(0, 7, 0, 0).series(53.minutes()).take_while(|local| local.date() <= coverage.last);
    for local in instants {
        let moment = calendar.at(calendar.zone().expect("a table").to_timestamp(local).expect("in range"));
        if let Some(open) = moment.next_open {
            assert!(open > moment.instant);
            assert_eq!(calendar.at(open).phase, Phase::Open);
            assert_ne!(calendar.at(open - second).phase, Phase::Open);
        }
        if let Some(close) = moment.next_close {
            assert!(close > moment.instant);
            assert_ne!(calendar.at(close).phase, Phase::Open);
            assert_eq!(calendar.at(close - second).phase, Phase::Open);
        }
        if let (Some(open), Some(close)) = (moment.next_open, moment.next_close) {
            assert_eq!(close < open, moment.phase == Phase::Open, "{}", moment.instant);
        }
    }
}

// ---- Zones and changing hours ----

#[test]
fn new_york_opens_at_half_past_nine_in_both_halves_of_the_year() {
    let calendar = calendar(NEW_YORK).expect("a table");
    for (day, open, close) in [
        (date(2026, 3, 6), "2026-03-06T14:30:00Z", "2026-03-06T21:00:00Z"),
        (date(2026, 3, 9), "2026-03-09T13:30:00Z", "2026-03-09T20:00:00Z"),
        (date(2026, 10, 30), "2026-10-30T13:30:00Z", "2026-10-30T20:00:00Z"),
        (date(2026, 11, 2), "2026-11-02T14:30:00Z", "2026-11-02T21:00:00Z"),
        (date(2026, 11, 27), "2026-11-27T14:30:00Z", "2026-11-27T18:00:00Z"),
    ] {
        let session = session(&calendar, day);
        assert_eq!((session.open, session.lunch, session.close), (utc(open), None, utc(close)));
    }
    // The local date decides: Friday evening in New York is Saturday in UTC.
    assert_eq!(phase(&calendar, "2026-03-07T04:59:59Z"), "after_close");
    assert_eq!(phase(&calendar, "2026-03-07T05:00:00Z"), "closed_weekend");
    let friday = calendar.at(utc("2026-03-06T21:00:00Z"));
    assert_eq!(friday.next_open, Some(utc("2026-03-09T13:30:00Z")));
    assert_eq!((friday.auction, friday.data), (None, DataQuality::Official));
}

#[test]
fn hours_change_on_their_date() {
    let calendar = calendar(TOKYO).expect("a table");
    for (instant, expected) in [
        ("2024-11-01T05:59:59Z", "open"),
        ("2024-11-01T06:00:00Z", "after_close"),
        ("2024-11-05T06:29:59Z", "open"),
        ("2024-11-05T06:30:00Z", "after_close"),
    ] {
        assert_eq!(phase(&calendar, instant), expected, "{instant}");
    }
    let before = calendar.at(utc("2024-11-01T06:00:00Z"));
    assert_eq!(before.next_session_close, Some(utc("2024-11-05T06:30:00Z")));
    assert_eq!(
        (before.data, calendar.source(2024), calendar.source(2025)),
        (DataQuality::Computed, Some("a test"), None)
    );
}

#[test]
fn clock_change_within_trading_hours_makes_the_day_unknown() {
    // Clocks in Cairo went from 00:00 to 01:00 on Friday 2026-04-24.
    let text =
        "zone Africa/Cairo\nhours 2020-01-01 open 00:10 lunch 00:20-01:05 close 01:15\nyear 2026 computed a test";
    let calendar = calendar(text).expect("a table");
    assert_eq!(calendar.session_on(date(2026, 4, 24)), Day::Unknown);
    assert!(matches!(calendar.session_on(date(2026, 4, 23)), Day::Session(_)));
    let evening_before = calendar.at(utc("2026-04-23T12:00:00Z"));
    assert_eq!((evening_before.phase, evening_before.next_open), (Phase::AfterClose, None));
}

// ---- Texts that are wrong ----

#[test]
fn table_faults_name_line_and_repair() {
    let head =
        "zone Asia/Hong_Kong\nhours 2020-10-19 open 09:30 lunch 12:00-13:00 close 16:00\nyear 2026 official a test\n";
    for (line, expected) in [
        ("close 2026-01-01 x", "unknown keyword `close`; did you mean `closed`?"),
        (
            "holiday 2026-01-01 x",
            "unknown keyword `holiday`; use closed, open, early, late or year, and in a table zone and hours too",
        ),
        ("closed 2026-02-30 x", "`2026-02-30` is not a date; write it as 2026-12-24"),
        ("closed 2026-1-1 x", "`2026-1-1` is not a date; write it as 2026-12-24"),
        ("closed 20260101 x", "`20260101` is not a date; write it as 2026-12-24"),
        ("closed +026-01-01 x", "`+026-01-01` is not a date; write it as 2026-12-24"),
        ("closed", "`` is not a date; write it as 2026-12-24"),
        ("closed 2026-01-01", "the line ends too early; add a name, a reason or a source"),
        ("closed 2026-01-01   ", "the line ends too early; add a name, a reason or a source"),
        ("early 2026-01-02 12:00", "the line ends too early; add a name, a reason or a source"),
        ("early 2026-01-02 noon x", "`noon` is not a time of day; write it as 09:30"),
        ("early 2026-01-02 24:00 x", "`24:00` is not a time of day; write it as 09:30"),
        ("early 2026-01-02 9:30 x", "`9:30` is not a time of day; write it as 09:30"),
        (
            "early 2026-01-02 16:00 x",
            "no shorter trading session is left on 2026-01-02; give a time between its open and close",
        ),
        (
            "early 2026-01-02 09:30 x",
            "no shorter trading session is left on 2026-01-02; give a time between its open and close",
        ),
        (
            "late 2026-01-02 09:30 x",
            "no shorter trading session is left on 2026-01-02; give a time between its open and close",
        ),
        (
            "late 2026-01-02 16:00 x",
            "no shorter trading session is left on 2026-01-02; give a time between its open and close",
        ),
        ("open 2026-01-03 x", "2026-01-03 is a Saturday or Sunday, when no exchange trades; correct the date"),
        ("early 2026-01-04 12:00 x", "2026-01-04 is a Saturday or Sunday, when no exchange trades; correct the date"),
        (
            "closed 2027-01-01 x",
            "2027-01-01 lies outside the years of the table; correct it or put its `year` line before it",
        ),
        (
            "closed 2025-12-31 x",
            "2025-12-31 lies outside the years of the table; correct it or put its `year` line before it",
        ),
        (
            "closed 2026-01-01 x\nclosed 2026-01-01 y",
            "2026-01-01 has a line already, of this exchange or of one with the same days; keep one of them",
        ),
        (
            "closed 2026-01-01 x\nopen 2026-01-01 y",
            "2026-01-01 has a line already, of this exchange or of one with the same days; keep one of them",
        ),
        (
            "early 2026-01-02 12:00 x\nearly 2026-01-02 11:00 y",
            "2026-01-02 has a line already, of this exchange or of one with the same days; keep one of them",
        ),
        ("year 26 official x", "`26` is not a year from 2000 to 2199; write it as 2026"),
        ("year 9999 official x", "`9999` is not a year from 2000 to 2199; write it as 2026"),
        ("year 2027 guessed x", "`guessed` is not a data quality; write official or computed"),
        ("year 2027 official", "the line ends too early; add a name, a reason or a source"),
        ("year 2026 official x", "year 2026 does not follow the one before; put the years in order and leave none out"),
        ("year 2028 official x", "year 2028 does not follow the one before; put the years in order and leave none out"),
        (
            "zone Asia/Tokyo",
            "`zone` stands twice or too late; put zone once, then hours by rising date, then the years",
        ),
        (
            "hours 2026-06-01 open 09:30 close 16:00",
            "`hours` stands twice or too late; put zone once, then hours by rising date, then the years",
        ),
        (
            "closed 2026-01-01 a\u{1b}[31mred",
            "longer than 500 bytes or with control characters; write one fact per line as plain text",
        ),
    ] {
        let fault = Table::parse(&format!("{head}{line}\n")).expect_err(line);
        let number = 3 + line.lines().count();
        assert_eq!(fault.to_string(), format!("calendar line {number}: {expected}"), "{line}");
    }
}

#[test]
fn hours_faults_name_line_and_repair() {
    let order = "open and close are missing or not in order; write pre_open, open, lunch and close as rising times";
    for (hours, expected) in [
        ("open 09:30", order),
        ("close 16:00", order),
        ("open 16:00 close 09:30", order),
        ("open 09:30 close 09:30", order),
        ("open 09:30 close 16:00 pre_open 10:00", order),
        ("open 09:30 lunch 13:00-12:00 close 16:00", order),
        ("open 09:30 lunch 09:30-12:00 close 16:00", order),
        ("open 09:30 lunch 12:00-16:00 close 16:00", order),
        ("open 09:30 lunch 12:00 close 16:00", "`12:00` is not a time of day; write it as 09:30"),
        ("open 09:30 close", "`` is not a time of day; write it as 09:30"),
        (
            "open 09:30 close 16:00 closing_auction 10",
            "`10` is not a length from 1m to 120m; write 10m after the close, -5m before it",
        ),
        (
            "open 09:30 close 16:00 closing_auction 0m",
            "`0m` is not a length from 1m to 120m; write 10m after the close, -5m before it",
        ),
        (
            "open 09:30 close 16:00 closing_auction 121m",
            "`121m` is not a length from 1m to 120m; write 10m after the close, -5m before it",
        ),
        (
            "open 09:30 open 10:00 close 16:00",
            "`open` is unknown or given twice; use open, lunch, close, pre_open and closing_auction once each",
        ),
        (
            "open 09:30 close 16:00 # regular",
            "`#` is unknown or given twice; use open, lunch, close, pre_open and closing_auction once each",
        ),
    ] {
        let fault = Table::parse(&format!("# head\nhours 2020-01-01 {hours}")).expect_err(hours);
        assert_eq!(fault.to_string(), format!("calendar line 2: {expected}"), "{hours}");
    }
}

#[test]
fn incomplete_tables_are_refused() {
    let hours = "hours 2026-01-01 open 09:30 close 16:00\n";
    for (text, expected) in [
        (String::new(), "the calendar table has no `zone` line; add one"),
        ("zone UTC\n".to_owned(), "the calendar table has no `hours` line; add one"),
        (format!("zone UTC\n{hours}"), "the calendar table has no `year` line; add one"),
        (format!("{hours}year 2026 official x"), "the calendar table has no `zone` line; add one"),
        (
            format!("{hours}year 2025 official x"),
            "calendar line 2: no `hours` line is in force on the first day of 2025; put one before it",
        ),
        (
            "zone Atlantis/Capital".to_owned(),
            "calendar line 1: unknown time zone `Atlantis/Capital`; write an IANA name such as Asia/Hong_Kong",
        ),
        (
            "#".repeat(TABLE_BYTES_MAX + 1),
            "the calendar text is longer than 262144 bytes; remove what is not a calendar line",
        ),
    ] {
        assert_eq!(Table::parse(&text).expect_err("refused").to_string(), expected);
    }
}

#[test]
fn broken_or_missing_table_knows_nothing() {
    let table = Table::parse("closed everywhere").map(Arc::new);
    let broken = Calendar { exchange: Exchange::XHKG, table, override_file: Arc::default() };
    let missing = Calendar::for_exchange(Exchange { mic: "XXXX" });
    for calendar in [broken, missing] {
        let moment = calendar.at(utc("2026-11-23T02:00:00Z"));
        assert_eq!((moment.phase, moment.next_open), (Phase::Unknown, None));
        assert_eq!(calendar.session_on(date(2026, 11, 23)), Day::Unknown);
        assert_eq!((calendar.coverage(), calendar.source(2026)), (None, None));
        assert!(calendar.fault().is_some());
    }
}

#[test]
fn editors_leave_marks_that_do_no_harm() {
    let text = format!("\u{feff}{}", NEW_YORK.trim_start().replace('\n', "\r\n").replace(' ', " \t "));
    let names = calendar(&text).expect("a table");
    assert_eq!(names.session_on(date(2026, 12, 25)), Day::Holiday { name: "Christmas \t Day".to_owned() });
}

/// What must hold for any table that was accepted.
fn check_sanity(calendar: &Calendar, instant: Timestamp) {
    let moment = calendar.at(instant);
    for next in [moment.next_open, moment.next_close, moment.next_session_open, moment.next_session_close] {
        assert!(next.is_none_or(|next| next > instant), "{moment:?}");
    }
    assert_eq!(moment.data == DataQuality::Unknown, !is_covered(calendar, instant), "{moment:?}");
    if moment.phase == Phase::Open {
        let day = calendar.local_date(instant).map(|date| calendar.session_on(date));
        assert!(matches!(day, Some(Day::Session(_))), "{moment:?}");
        assert!(moment.next_session_close.is_some(), "{moment:?}");
    }
}

fn is_covered(calendar: &Calendar, instant: Timestamp) -> bool {
    let local = calendar.local_date(instant);
    local.zip(calendar.coverage()).is_some_and(|(date, coverage)| coverage.first <= date && date <= coverage.last)
}

/// Words that a table is made of, right and wrong, in no order.
fn table_word() -> impl Strategy<Value = String> {
    let words = "zone hours year closed open early late lunch close pre_open closing_auction official computed \
        UTC Asia/Hong_Kong America/New_York 2026 2027 2026-01-01 2026-03-06 2026-12-31 2027-01-04 2026-02-30 \
        09:30 12:00 12:00-13:00 16:00 23:59 00:00 10m -5m 999999999999999999999m XHKG XNYS x # -";
    let known = proptest::sample::select(words.split_whitespace().collect::<Vec<_>>()).prop_map(str::to_owned);
    prop_oneof![9 => known, 1 => "\\PC{0,6}"]
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*|(?s).{0,200}") {
        let _ = Table::parse(&text);
        let _ = Calendars::with_overrides(&text, "file");
    }

    #[test]
    fn any_words_are_read_or_refused(
        lines in proptest::collection::vec(proptest::collection::vec(table_word(), 0..10), 0..12),
    ) {
        let text: String = lines.iter().map(|words| words.join(" ") + "\n").collect();
        let _ = Table::parse(&text);
        let _ = Calendars::with_overrides(&text, "file");
    }

    #[test]
    fn any_damage_to_a_table_is_read_or_refused(
        at in 0_usize..4_000,
        length in 0_usize..40,
        insert in "\\PC{0,3}",
        second in 1_704_067_200_i64..1_830_297_600,
    ) {
        let mut text = include_str!("data/XHKG.txt").to_owned();
        let range = at.min(text.len())..(at + length).min(text.len());
        text.replace_range(range, &insert);
        if let Ok(calendar) = calendar(&text) {
            check_sanity(&calendar, Timestamp::from_second(second).expect("in range"));
        }
    }
}

// ---- Names and codes ----

#[test]
fn exchanges_are_found_by_code_and_alias() {
    for (text, mic) in [
        ("XHKG", "XHKG"),
        ("xhkg", "XHKG"),
        ("SEHK", "XHKG"),
        ("sehk", "XHKG"),
        ("hkex", "XHKG"),
        ("HKSE", "XHKG"),
        ("SSE", "XSHG"),
        ("SZSE", "XSHE"),
        ("JPX", "XTKS"),
        ("Xetra", "XETR"),
    ] {
        assert_eq!(text.parse(), Ok(Exchange { mic }), "{text}");
    }
    assert_eq!(format!("{}|{:<6}|", Exchange::XHKG, Exchange::XHKG), "XHKG|XHKG  |");
    assert!(Exchange::known().any(|exchange| exchange == Exchange::XHKG));
    let list = "use one of XHKG, XNYS, XNAS, XTKS, XSHG, XSHE, XSES, XASX, XLON, XETR";
    for (text, shown, hint) in [
        ("CBOE", "\"CBOE\"", list),
        ("XTSE", "\"XTSE\"", list),
        ("", "\"\"", list),
        ("\u{1b}", "\"\\u{1b}\"", list),
        ("XHKG ", "\"XHKG \"", "did you mean XHKG?"),
        ("xnyz", "\"xnyz\"", "did you mean XNYS?"),
    ] {
        let error = text.parse::<Exchange>().expect_err(text);
        assert_eq!(error.to_string(), format!("unknown exchange {shown}; {hint}"));
    }
    let long = "X".repeat(1_000).parse::<Exchange>().expect_err("unknown");
    assert!(long.to_string().len() < 200);
}

#[test]
fn names_of_exchanges_are_unique() {
    let mut names: Vec<&str> = BUNDLED.iter().flat_map(|row| row.aliases.iter().chain([&row.mic])).copied().collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn codes_are_stable() {
    use Phase::{AfterClose, BeforeOpen, ClosedHoliday, ClosedWeekend, EarlyClosed, Lunch, Open, Unknown};
    let phases = [Open, Lunch, BeforeOpen, AfterClose, EarlyClosed, ClosedHoliday, ClosedWeekend, Unknown];
    let expected = "open lunch before_open after_close early_closed closed_holiday closed_weekend unknown";
    assert_eq!(phases.map(Phase::code).join(" "), expected);
    assert_eq!(
        [Auction::PreOpening, Auction::ClosingAuction].map(Auction::code).join(" "),
        "pre_opening closing_auction"
    );
    let qualities = [DataQuality::Official, DataQuality::Computed, DataQuality::Unknown];
    assert_eq!(qualities.map(DataQuality::code).join(" "), "official computed unknown");
    assert_eq!([DayLength::Full, DayLength::Half].map(DayLength::code).join(" "), "full half");
}
