//! A user's override: what it changes, what it cannot, and in which words it is refused.

use super::*;

const FILE: &str = "/etc/ibga/calendar.txt";

/// The calendar of Hong Kong under lines that begin after the exchange.
fn overridden(lines: &str) -> Result<Calendar, String> {
    let whole = |line: &str| {
        if line.is_empty() || line.starts_with('#') { line.to_owned() } else { format!("XHKG {line}") }
    };
    let text: Vec<String> = lines.lines().map(whole).collect();
    Calendars::with_overrides(&text.join("\n"), FILE)
        .map(|calendars| calendars.of(Exchange::XHKG))
        .map_err(|fault| fault.to_string())
}

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
    let calendar = overridden(text).expect("an override");
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
    let calendar = overridden("year 2027 computed my own reckoning\nyear 2020 computed old").expect("fine");
    assert_eq!(calendar.quality(2027), DataQuality::Official);
    assert_eq!(calendar.coverage(), hong_kong().coverage());
}

#[test]
fn override_faults_name_line_and_repair() {
    for (text, expected) in [
        ("zone Asia/Tokyo", "1: `zone` cannot be overridden; remove the line"),
        ("\nhours 2026-01-01 open 09:30 close 16:00", "2: `hours` cannot be overridden; remove the line"),
        (
            "closed 2062-11-23 Slip of the pen",
            "1: 2062-11-23 lies outside the years of the table; \
             correct it or put its `year` line before it",
        ),
        (
            "year 2030 computed a gap",
            "1: year 2030 does not follow the one before; put the years in order and leave none out",
        ),
        ("early 2026-12-25 12:00 A day off", "1: 2026-12-25 has no trading session to shorten; correct the date"),
        (
            "late 2026-12-24 14:00 After the half day's end",
            "1: no shorter trading session is left on 2026-12-24; \
             give a time between its open and close",
        ),
    ] {
        let fault = overridden(text).expect_err(text);
        assert_eq!(fault, format!("{FILE}:{expected}"), "{text}");
    }
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
        let calendar = overridden(lines).expect(lines);
        let session = session(&calendar, date(2026, 11, 23));
        let wall = |instant| calendar.zone().expect("a table").to_datetime(instant).strftime("%H:%M").to_string();
        let lunch = if session.lunch.is_some() { " lunch" } else { "" };
        let found = format!("{}-{}{lunch} {}", wall(session.open), wall(session.close), session.length.code());
        assert_eq!(found, expected, "{lines}");
        assert_eq!(session.pre_open.is_none(), lines.contains("late"), "{lines}");
    }
}

#[test]
fn longest_line_is_bounded() {
    let line = |bytes: usize| format!("#{}", "x".repeat(bytes - 1));
    assert_eq!(overridden(&line(TABLE_LINE_BYTES_MAX)).err(), None);
    assert_eq!(
        overridden(&line(TABLE_LINE_BYTES_MAX + 1)).err().as_deref(),
        Some(
            "/etc/ibga/calendar.txt:1: longer than 500 bytes or with control characters; \
             write one fact per line as plain text"
        )
    );
}

#[test]
fn each_line_names_its_exchange() {
    let text = "XNYS closed 2026-11-24 Outage\nsehk closed 2026-11-25 Outage\n";
    let calendars = Calendars::with_overrides(text, FILE).expect("an override");
    let phases = |mic: &str, instant| {
        let exchange = mic.parse().expect("known");
        (calendars.of(exchange).at(utc(instant)).phase, Calendar::for_exchange(exchange).at(utc(instant)).phase)
    };
    assert_eq!(phases("XNYS", "2026-11-24T15:00:00Z"), (Phase::ClosedHoliday, Phase::Open));
    assert_eq!(phases("XHKG", "2026-11-24T02:00:00Z"), (Phase::Open, Phase::Open));
    assert_eq!(phases("XHKG", "2026-11-25T02:00:00Z"), (Phase::ClosedHoliday, Phase::Open));
    // Nasdaq shares the table of New York, and not its overrides.
    assert_eq!(phases("XNAS", "2026-11-24T15:00:00Z"), (Phase::Open, Phase::Open));
}

#[test]
fn faults_of_the_first_words_name_line_and_repair() {
    for (text, expected) in [
        ("XHKQ closed 2026-11-24 x", "1: unknown exchange \"XHKQ\"; did you mean XHKG?"),
        (
            "\n# note\nNYMEX closed 2026-11-24 x",
            "3: unknown exchange \"NYMEX\"; \
             use one of XHKG, XNYS, XNAS, XTKS, XSHG, XSHE, XSES, XASX, XLON, XETR",
        ),
        (
            "closed 2026-11-24 x",
            "1: `closed` stands where the exchange belongs; begin the line with its code, as in `XHKG closed …`",
        ),
        ("XHKG", "1: the line ends after the exchange; add closed, open, early, late or year"),
        ("XHKG close 2026-11-24 x", "1: unknown keyword `close`; did you mean `closed`?"),
        // A line for an exchange that nobody asks for counts as well.
        (
            "XHKG closed 2026-11-24 x\nXNYS closed 2026-11-24",
            "2: the line ends too early; add a name, a reason or a source",
        ),
    ] {
        let fault = Calendars::with_overrides(text, FILE).expect_err(text);
        assert_eq!(fault.to_string(), format!("{FILE}:{expected}"), "{text}");
    }
}

#[test]
fn moments_name_the_lines_that_had_a_say() {
    let lines = "\nclosed 2026-11-24 System failure\nearly 2026-11-27 15:00 Outage\nyear 2028 computed the ordinance";
    let calendar = overridden(lines).expect("an override");
    for (instant, expected) in [
        ("2026-11-20T02:00:00Z", vec![]),
        // The day before: it decides what comes next.
        ("2026-11-23T08:00:00Z", vec!["2: closed 2026-11-24 System failure"]),
        ("2026-11-24T02:00:00Z", vec!["2: closed 2026-11-24 System failure"]),
        ("2026-11-25T02:00:00Z", vec![]),
        ("2026-11-26T08:00:00Z", vec!["3: early 2026-11-27 15:00 Outage"]),
        ("2028-06-01T02:00:00Z", vec!["4: year 2028 computed the ordinance"]),
    ] {
        let told: Vec<String> = calendar.at(utc(instant)).overrides.iter().map(ToString::to_string).collect();
        let expected: Vec<String> = expected.into_iter().map(|line| format!("{FILE}:{line}")).collect();
        assert_eq!(told, expected, "{instant}");
    }
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
    fn any_overrides_laid_upon_each_other_leave_a_sane_calendar(
        lines in proptest::collection::vec(override_line(), 0..40),
        minute in 0..61 * 24 * 60_i64,
    ) {
        let november = utc("2026-11-01T00:00:00Z");
        // Those lines that the ones before allow.
        let (mut taken, mut calendar) = (String::new(), hong_kong());
        for line in &lines {
            let more = format!("{taken}{line}\n");
            if let Ok(overridden) = overridden(&more) {
                (taken, calendar) = (more, overridden);
            }
        }
        check_sanity(&calendar, november + SignedDuration::from_mins(minute));
    }
}
