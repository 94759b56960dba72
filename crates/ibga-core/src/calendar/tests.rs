//! The calendar against recorded trading sessions and labelled instants, and against texts that are wrong.

use jiff::ToSpan;
use jiff::civil::date;
use proptest::prelude::*;

use super::*;

macro_rules! test_data {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/calendar/", $name))
    };
}

/// The head of `vectors.csv` defines its columns and the rules of the boundaries.
const VECTORS: &str = test_data!("vectors.csv");
/// Every trading session of each exchange with a table, in UTC.
const SESSIONS: [(&str, &str); 1] = [("XHKG", test_data!("sessions_XHKG.csv"))];

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
    Ok(Calendar { exchange: Exchange { mic: "TEST" }, table: Ok(Arc::new(table)) })
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
    let mut rows_of_hong_kong = 0;
    for line in VECTORS.lines().filter(|line| !line.starts_with('#') && !line.starts_with("id,")) {
        let fields: Vec<&str> = line.split(',').collect();
        let [_, instant, exchange, phase, open, close, session_open, session_close, auction, ..] = fields[..] else {
            panic!("too few fields: {line}");
        };
        let Ok(exchange) = exchange.parse::<Exchange>() else { continue };
        let moment = Calendar::for_exchange(exchange).at(utc(instant));
        assert_eq!(moment.phase.code(), phase, "{line}");
        assert_eq!(moment.next_open, utc_if_any(open), "{line}");
        assert_eq!(moment.next_close, utc_if_any(close), "{line}");
        assert_eq!(moment.next_session_open, utc_if_any(session_open), "{line}");
        assert_eq!(moment.next_session_close, utc_if_any(session_close), "{line}");
        if exchange == Exchange::XHKG {
            assert_eq!(moment.auction.map_or("", Auction::code), auction, "{line}");
            rows_of_hong_kong += 1;
        }
    }
    assert_eq!(rows_of_hong_kong, 59);
}

#[test]
fn trading_sessions_are_those_recorded_and_every_other_date_is_closed() {
    for exchange in Exchange::known() {
        let (_, text) = SESSIONS.iter().find(|(mic, _)| *mic == exchange.mic()).expect("recorded sessions");
        let mut recorded = std::collections::BTreeMap::new();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            let [day, open, lunch_start, lunch_end, close] = fields[..] else { panic!("{line}") };
            let lunch = utc_if_any(lunch_start).zip(utc_if_any(lunch_end));
            recorded.insert(day.parse::<Date>().expect(line), (utc(open), lunch, utc(close)));
        }
        let calendar = Calendar::for_exchange(exchange);
        let coverage = calendar.coverage().expect("a table");
        for day in coverage.first.series(1.day()).take_while(|day| *day <= coverage.last) {
            match (calendar.session_on(day), recorded.remove(&day)) {
                (Day::Session(session), Some(expected)) => {
                    assert_eq!((session.date, (session.open, session.lunch, session.close)), (day, expected));
                }
                (Day::Holiday { .. } | Day::Weekend, None) => {}
                (found, expected) => panic!("{exchange} {day}: {found:?}, recorded {expected:?}"),
            }
        }
        assert!(recorded.is_empty(), "{exchange}: recorded outside the table: {recorded:?}");
    }
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

#[test]
fn late_starts_and_early_ends_keep_what_is_left_of_the_day() {
    // Local wall times of Hong Kong on a regular Monday; the override says what happens.
    for (lines, expected) in [
        ("late 2026-11-23 10:30 Outage", "10:30-16:00 lunch full"),
        ("late 2026-11-23 12:00 Outage", "13:00-16:00 full"),
        ("late 2026-11-23 12:30 Outage", "13:00-16:00 full"),
        ("late 2026-11-23 13:30 Typhoon", "13:30-16:00 full"),
        ("early 2026-11-23 11:00 Outage", "09:30-11:00 half"),
        ("early 2026-11-23 12:30 Outage", "09:30-12:00 half"),
        ("early 2026-11-23 13:00 Outage", "09:30-12:00 half"),
        ("early 2026-11-23 15:00 Outage", "09:30-15:00 lunch half"),
        ("late 2026-11-23 10:00 Outage\nearly 2026-11-23 14:00 Outage", "10:00-14:00 lunch half"),
        ("early 2026-11-23 14:00 Outage\nlate 2026-11-23 13:30 Outage", "13:30-14:00 half"),
    ] {
        let calendar = hong_kong().overridden(lines).expect(lines);
        let session = session(&calendar, date(2026, 11, 23));
        let wall = |instant| calendar.zone().expect("a table").to_datetime(instant).strftime("%H:%M").to_string();
        let lunch = if session.lunch.is_some() { " lunch" } else { "" };
        let found = format!("{}-{}{lunch} {}", wall(session.open), wall(session.close), session.length.code());
        assert_eq!(found, expected, "{lines}");
        assert_eq!(session.pre_open.is_none(), lines.contains("late"), "{lines}");
    }
}

// ---- Overrides ----

#[test]
fn override_wins_over_the_table() {
    let text = "# after the notice of that morning\r\n\
        closed 2026-11-23 System failure\r\n\
        open 2026-12-25 Trading after all\r\n\
        late 2026-12-24 10:30 Outage\r\n\
        closed 2026-12-31 Mourning\r\n\
        open 2027-02-05 No half day after all\r\n\
        closed 2019-01-01 Long past\r\n\
        year 2028 computed the ordinance\r\n\
        closed 2028-01-03 Made up\r\n";
    let calendar = hong_kong().overridden(text).expect("an override");
    for (instant, expected) in [
        ("2026-11-23T02:00:00Z", "closed_holiday"),
        ("2026-11-24T02:00:00Z", "open"),
        ("2026-12-25T02:00:00Z", "open"),
        ("2026-12-24T02:00:00Z", "before_open"),
        ("2026-12-24T02:30:00Z", "open"),
        ("2026-12-24T06:00:00Z", "early_closed"),
        ("2026-12-31T02:00:00Z", "closed_holiday"),
        ("2027-02-05T06:00:00Z", "open"),
        ("2028-01-03T02:00:00Z", "closed_holiday"),
        ("2028-01-04T02:00:00Z", "open"),
        ("2029-01-02T02:00:00Z", "unknown"),
    ] {
        assert_eq!(phase(&calendar, instant), expected, "{instant}");
    }
    let half_day = session(&calendar, date(2026, 12, 24));
    assert_eq!(half_day.reason.as_deref(), Some("Eve of Christmas; Outage"));
    assert_eq!((calendar.quality(2027), calendar.quality(2028)), (DataQuality::Official, DataQuality::Computed));
    assert_eq!(phase(&hong_kong(), "2026-11-23T02:00:00Z"), "open", "the calendar itself is unchanged");
}

#[test]
fn override_of_a_year_the_table_has_learned_changes_nothing() {
    let calendar = hong_kong().overridden("year 2027 computed my own reckoning\nyear 2020 computed old").expect("fine");
    assert_eq!(calendar.quality(2027), DataQuality::Official);
    assert_eq!(calendar.coverage(), hong_kong().coverage());
}

#[test]
fn override_faults_name_line_and_repair() {
    for (text, expected) in [
        ("zone Asia/Tokyo", "calendar line 1: `zone` cannot be overridden; remove the line"),
        ("\nhours 2026-01-01 open 09:30 close 16:00", "calendar line 2: `hours` cannot be overridden; remove the line"),
        (
            "closed 2062-11-23 Slip of the pen",
            "calendar line 1: 2062-11-23 lies outside the years of the table; \
             correct it or put its `year` line before it",
        ),
        (
            "year 2030 computed a gap",
            "calendar line 1: year 2030 does not follow the one before; put the years in order and leave none out",
        ),
        (
            "early 2026-12-25 12:00 A day off",
            "calendar line 1: 2026-12-25 has no trading session to shorten; correct the date",
        ),
        (
            "late 2026-12-24 14:00 After the half day's end",
            "calendar line 1: no shorter trading session is left on 2026-12-24; \
             give a time between its open and close",
        ),
    ] {
        let fault = hong_kong().overridden(text).expect_err(text);
        assert_eq!(fault.to_string(), expected, "{text}");
    }
}

// ---- Texts that are wrong ----

#[test]
fn table_faults_name_line_and_repair() {
    let head =
        "zone Asia/Hong_Kong\nhours 2020-10-19 open 09:30 lunch 12:00-13:00 close 16:00\nyear 2026 official a test\n";
    for (line, expected) in [
        ("close 2026-01-01 x", "unknown keyword `close`; use zone, hours, year, closed, open, early or late"),
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
        ("closed 2026-01-01 x\nclosed 2026-01-01 y", "2026-01-01 has a line already; keep one of them"),
        ("closed 2026-01-01 x\nopen 2026-01-01 y", "2026-01-01 has a line already; keep one of them"),
        ("early 2026-01-02 12:00 x\nearly 2026-01-02 11:00 y", "2026-01-02 has a line already; keep one of them"),
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
fn longest_line_is_bounded() {
    let line = |bytes: usize| format!("#{}", "x".repeat(bytes - 1));
    let fault = TableError::Line { line: 1, fault: LineFault::NotPlain };
    assert_eq!(hong_kong().overridden(&line(TABLE_LINE_BYTES_MAX)).err(), None);
    assert_eq!(hong_kong().overridden(&line(TABLE_LINE_BYTES_MAX + 1)).err(), Some(fault));
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
        ("open 09:30 close 16:00 closing_auction 10", "`10` is not a length from 1m to 120m; write it as 10m"),
        ("open 09:30 close 16:00 closing_auction 0m", "`0m` is not a length from 1m to 120m; write it as 10m"),
        ("open 09:30 close 16:00 closing_auction 121m", "`121m` is not a length from 1m to 120m; write it as 10m"),
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
    let broken = Calendar { exchange: Exchange::XHKG, table: Table::parse("closed everywhere").map(Arc::new) };
    let missing = Calendar::for_exchange(Exchange { mic: "XXXX" });
    for calendar in [broken, missing] {
        let moment = calendar.at(utc("2026-11-23T02:00:00Z"));
        assert_eq!((moment.phase, moment.next_open), (Phase::Unknown, None));
        assert_eq!(calendar.session_on(date(2026, 11, 23)), Day::Unknown);
        assert_eq!((calendar.coverage(), calendar.source(2026)), (None, None));
        assert_eq!(calendar.overridden("open 2026-11-23 x").err().as_ref(), calendar.fault());
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
        09:30 12:00 12:00-13:00 16:00 23:59 00:00 10m 999999999999999999999m x # -";
    let known = proptest::sample::select(words.split_whitespace().collect::<Vec<_>>()).prop_map(str::to_owned);
    prop_oneof![9 => known, 1 => "\\PC{0,6}"]
}

/// Lines of an override that are nearly always right.
fn override_line() -> impl Strategy<Value = String> {
    let time = (0..24, 0..60).prop_map(|(hour, minute)| format!("{hour:02}:{minute:02}"));
    let kind = proptest::sample::select(vec!["closed", "open", "early", "late"]);
    (kind, 11..=12, 1..=31, time).prop_map(|(kind, month, day, time)| {
        let time = if matches!(kind, "early" | "late") { time } else { String::new() };
        format!("{kind} 2026-{month}-{day:02} {time} Reason")
    })
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*|(?s).{0,200}") {
        let _ = Table::parse(&text);
        let _ = hong_kong().overridden(&text);
    }

    #[test]
    fn any_words_are_read_or_refused(
        lines in proptest::collection::vec(proptest::collection::vec(table_word(), 0..10), 0..12),
    ) {
        let text: String = lines.iter().map(|words| words.join(" ") + "\n").collect();
        let _ = Table::parse(&text);
        let _ = hong_kong().overridden(&text);
    }

    #[test]
    fn any_overrides_laid_upon_each_other_leave_a_sane_calendar(
        lines in proptest::collection::vec(override_line(), 0..40),
        minute in 0..61 * 24 * 60_i64,
    ) {
        let november = utc("2026-11-01T00:00:00Z");
        let mut calendar = hong_kong();
        for line in &lines {
            if let Ok(overridden) = calendar.overridden(line) {
                calendar = overridden;
            }
        }
        check_sanity(&calendar, november + SignedDuration::from_mins(minute));
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
    for text in ["XHKG", "xhkg", "SEHK", "sehk"] {
        assert_eq!(text.parse(), Ok(Exchange::XHKG), "{text}");
    }
    assert_eq!(format!("{}|{:<6}|", Exchange::XHKG, Exchange::XHKG), "XHKG|XHKG  |");
    assert!(Exchange::known().any(|exchange| exchange == Exchange::XHKG));
    for (text, shown) in [("HKEX", "\"HKEX\""), ("", "\"\""), ("XHKG ", "\"XHKG \""), ("\u{1b}", "\"\\u{1b}\"")] {
        let error = text.parse::<Exchange>().expect_err(text);
        let message = error.to_string();
        assert!(message.starts_with(&format!("unknown exchange {shown}; use one of ")), "{message}");
        assert!(message.contains("XHKG"), "{message}");
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
