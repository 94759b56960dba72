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
    assert_eq!(calendar.overrides().count(), 0);
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
        (
            "early 2026-12-25 12:00 A day off",
            "1: 2026-12-25 has no trading session to shorten; \
             correct the date, or put an `open` line of that date before it",
        ),
        (
            // A half day is not lengthened by a slip in the date.
            "early 2026-12-24 15:00 Meant the 23rd",
            "1: 2026-12-24 has shorter hours already, which this line would lengthen; \
             correct the date or time, or put an `open` line of that date before it",
        ),
        (
            "year 2028 computed the ordinance",
            "1: year 2028 has no closed day; add them, or every holiday would count as open",
        ),
        (
            "year 2028 computed the ordinance\nclosed 2026-11-30 x\nearly 2028-01-03 12:00 x",
            "1: year 2028 has no closed day; add them, or every holiday would count as open",
        ),
        (
            "closed 2026-11-28 A Saturday",
            "1: 2026-11-28 is a Saturday or Sunday, when no exchange trades; correct the date",
        ),
        (
            "early 2026-11-23 11:00 x\nopen 2026-11-23 y",
            "2: 2026-11-23 has a line already, of this exchange or of one with the same days; keep one of them",
        ),
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
        ("early 2026-11-23 15:59 Outage", "09:30-15:59 lunch half"),
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
    assert_eq!(phases("XTKS", "2026-11-25T02:00:00Z"), (Phase::Open, Phase::Open));
}

#[test]
fn a_line_counts_for_every_exchange_with_the_same_days() {
    let text = "XNYS closed 2026-11-24 Mourning\nNASDAQ closed 2026-11-25 Outage\nXSHE closed 2026-11-24 Outage\n";
    let calendars = Calendars::with_overrides(text, FILE).expect("an override");
    for (mic, instant, named) in [
        ("XNYS", "2026-11-24T15:00:00Z", "1: closed 2026-11-24 Mourning"),
        ("XNAS", "2026-11-24T15:00:00Z", "1: closed 2026-11-24 Mourning"),
        ("XNYS", "2026-11-25T15:00:00Z", "2: closed 2026-11-25 Outage"),
        ("XNAS", "2026-11-25T15:00:00Z", "2: closed 2026-11-25 Outage"),
        ("XSHG", "2026-11-24T02:00:00Z", "3: closed 2026-11-24 Outage"),
    ] {
        let calendar = calendars.of(mic.parse().expect("known"));
        assert_eq!(phase(&calendar, instant), "closed_holiday", "{mic} {instant}");
        let date = calendar.local_date(utc(instant)).expect("a table");
        let told: Vec<String> = calendar.overrides_on(date).map(|line| line.to_string()).collect();
        assert_eq!(told, [format!("{FILE}:{named}")], "{mic} {instant}");
        assert_eq!(calendar.exchange().mic(), mic);
    }
    let twice = "XNYS closed 2026-11-24 Mourning\nXNAS closed 2026-11-24 Mourning\n";
    let fault = Calendars::with_overrides(twice, FILE).expect_err("one line is enough");
    assert_eq!(
        fault.to_string(),
        format!(
            "{FILE}:2: 2026-11-24 has a line already, of this exchange or of one with the same days; keep one of them"
        )
    );
}

#[test]
fn only_an_open_line_lengthens_a_day() {
    for (lines, expected) in [
        ("early 2026-12-24 11:00 Outage", Some("09:30-11:00")),
        ("open 2026-12-24 No half day\nearly 2026-12-24 15:00 Outage", Some("09:30-15:00")),
        ("open 2026-12-25 Trading after all\nearly 2026-12-25 12:00 A morning", Some("09:30-12:00")),
        ("open 2026-12-24 No half day\nlate 2026-12-24 10:00 x\nearly 2026-12-24 15:00 x", Some("10:00-15:00")),
        ("early 2026-12-24 12:30 Outage", None),
        ("early 2026-12-24 15:00 Outage\nopen 2026-12-24 No half day", None),
    ] {
        let found = overridden(lines).ok().map(|calendar| {
            let date = date(2026, 12, if lines.contains("12-25") { 25 } else { 24 });
            let session = session(&calendar, date);
            let wall = |instant| calendar.zone().expect("a table").to_datetime(instant).strftime("%H:%M").to_string();
            assert_eq!(calendar.overrides_on(date).count(), lines.lines().count(), "{lines}");
            format!("{}-{}", wall(session.open), wall(session.close))
        });
        assert_eq!(found.as_deref(), expected, "{lines}");
    }
    // The same of a late start, which no compiled-in table has now.
    let table = "zone UTC\nhours 2020-01-01 open 09:00 close 17:00\nyear 2026 official x\nlate 2026-03-02 11:00 x";
    let table = Table::parse(table).expect("a table");
    let lay = |line: &str| table.overridden([(1, line)]).map(drop).map_err(|fault| fault.to_string());
    assert_eq!(lay("late 2026-03-02 12:00 x"), Ok(()));
    let fault = lay("late 2026-03-02 10:00 x").expect_err("earlier than the table");
    assert!(fault.starts_with("calendar line 1: 2026-03-02 has shorter hours already"), "{fault}");
}

#[test]
fn lines_without_effect_are_kept_apart() {
    let early = "before the first year that is known";
    let day = "the day is so without it";
    for (lines, expected) in [
        ("closed 2023-11-27 The year is a slip", vec![(1, early)]),
        ("early 2023-11-27 12:00 The year is a slip", vec![(1, early)]),
        ("year 2020 computed old", vec![(1, early)]),
        ("closed 2026-11-24 Outage\nclosed 2026-12-25 Christmas", vec![(2, day)]),
        ("open 2026-11-24 A regular day", vec![(1, day)]),
        ("early 2026-12-24 12:00 Half day", vec![(1, day)]),
        (
            "year 2027 official the notice\nclosed 2027-01-01 New Year",
            vec![(1, "the year is known without it"), (2, day)],
        ),
        ("open 2026-12-25 x\nearly 2026-12-24 11:00 x\nlate 2026-12-31 10:00 x", vec![]),
        ("year 2028 computed the ordinance\nclosed 2028-01-03 x", vec![]),
    ] {
        let calendar = overridden(lines).expect(lines);
        let found: Vec<(usize, &str)> =
            calendar.idle_overrides().map(|idle| (idle.line.line, idle.reason.text())).collect();
        assert_eq!(found, expected, "{lines}");
        assert_eq!(calendar.overrides().count() + found.len(), lines.lines().count(), "{lines}");
    }
    let calendar = overridden("\nclosed 2023-11-27 Outage").expect("an override");
    let told: Vec<String> = calendar.idle_overrides().map(|idle| idle.to_string()).collect();
    assert_eq!(told, [format!("{FILE}:2: closed 2023-11-27 Outage (no effect: {early})")]);
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
    let lines = "\nclosed 2026-11-24 System failure\nearly 2026-11-27 15:00 Outage\nyear 2028 computed the ordinance\n\
                 closed 2028-01-03 The day after New Year";
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

/// The calendar of Hong Kong under those of the lines that the ones before allow.
fn laid_upon_each_other<'a>(lines: impl Iterator<Item = &'a String>) -> Calendar {
    let (mut taken, mut calendar) = (String::new(), hong_kong());
    for line in lines {
        let more = format!("{taken}{line}\n");
        if let Ok(overridden) = overridden(&more) {
            (taken, calendar) = (more, overridden);
        }
    }
    calendar
}

proptest! {
    /// A slip in a date or time can cost trading, and can never add any.
    #[test]
    fn nothing_but_an_open_line_adds_trading(lines in proptest::collection::vec(override_line(), 0..40)) {
        let (base, calendar) = (hong_kong(), laid_upon_each_other(lines.iter().filter(|line| !line.starts_with("open"))));
        for day in date(2026, 11, 1).series(1.day()).take(61) {
            let Day::Session(found) = calendar.session_on(day) else { continue };
            let Day::Session(regular) = base.session_on(day) else { panic!("{day}: {lines:?}") };
            prop_assert!(regular.open <= found.open && found.close <= regular.close, "{}: {:?}", day, found);
            let is_apart_from_lunch = |(start, end)| found.close <= start || end <= found.open;
            let keeps_lunch = found.lunch == regular.lunch || regular.lunch.is_some_and(is_apart_from_lunch);
            prop_assert!(keeps_lunch, "{}: {:?}", day, found);
        }
    }

    #[test]
    fn any_overrides_laid_upon_each_other_leave_a_sane_calendar(
        lines in proptest::collection::vec(override_line(), 0..40),
        minute in 0..61 * 24 * 60_i64,
    ) {
        let november = utc("2026-11-01T00:00:00Z");
        let calendar = laid_upon_each_other(lines.iter());
        check_sanity(&calendar, november + SignedDuration::from_mins(minute));
    }
}
