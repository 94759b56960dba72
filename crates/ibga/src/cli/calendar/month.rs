//! A month of an exchange as a drawing for a person, and as a document for a program.

use std::fmt::Write as _;

use ibga_core::calendar::{Calendar, Day, DayLength, TradingSession};
use jiff::Timestamp;
use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::page::{WIDTH, hours};
use crate::cli::preflight::HereAndNow;
use crate::output::{Paint, printable, wrapped};

/// The width of a day in the drawing.
const DAY_WIDTH: usize = 7;

/// The column at which the notes below the drawing begin.
const NOTE_INDENT: usize = 6;

/// The first day of a month.
#[derive(Debug, Clone, Copy)]
pub(super) struct Month(Date);

/// Reads `2026-12`.
pub(super) fn parse(text: &str) -> Result<Month, String> {
    let is_plain = text.len() == 7 && text.is_ascii();
    let date = is_plain.then(|| format!("{text}-01").parse().ok()).flatten();
    date.map(Month).ok_or_else(|| format!("--month: `{}` is not a month; write it as 2026-12", printable(text)))
}

impl Month {
    fn days(self) -> impl Iterator<Item = Date> {
        let last = self.0.last_of_month();
        self.0.series(1.day()).take_while(move |date| *date <= last)
    }
}

/// How a day is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Trades,
    Special,
    HalfDay,
    Closed,
    Weekend,
    Unknown,
}

impl Mark {
    fn of(day: &Day) -> Self {
        match day {
            Day::Session(TradingSession { length: DayLength::Half, .. }) => Self::HalfDay,
            Day::Session(TradingSession { reason: Some(_), .. }) => Self::Special,
            Day::Session(_) => Self::Trades,
            Day::Holiday { .. } => Self::Closed,
            Day::Weekend => Self::Weekend,
            Day::Unknown => Self::Unknown,
        }
    }

    /// The sign behind the number of the day.
    fn sign(self) -> Option<char> {
        match self {
            Self::Trades => None,
            Self::Special => Some('!'),
            Self::HalfDay => Some('½'),
            Self::Closed => Some('x'),
            Self::Weekend => Some('.'),
            Self::Unknown => Some('?'),
        }
    }

    fn paint(self, paint: Paint, text: &str) -> String {
        match self {
            Self::Trades => text.to_owned(),
            Self::Special | Self::HalfDay => paint.caution(text),
            Self::Closed | Self::Unknown => paint.bad(text),
            Self::Weekend => paint.faint(text),
        }
    }
}

/// The month, its weeks from Monday to Sunday, with a note below for each day that is special.
pub(super) fn drawing(calendar: &Calendar, month: Month, at: &HereAndNow, paint: Paint) -> String {
    let exchange = calendar.exchange();
    let today = calendar.local_date(at.now).filter(|date| month.days().any(|day| day == *date));
    let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].map(|name| format!("  {name:>3}  "));
    let mut lines = vec![
        format!("{exchange}  {}, {}", month.0.strftime("%B %Y"), exchange.name()),
        String::new(),
        names.concat().trim_end().to_owned(),
    ];
    lines.extend(weeks(calendar, month, today, paint));
    lines.push(String::new());
    lines.extend(notes(calendar, month));
    if let Some(date) = today {
        lines.push(note(&format!("[{}]", date.day()), "today"));
    }
    lines.join("\n")
}

/// The days, a line for each week.
fn weeks(calendar: &Calendar, month: Month, today: Option<Date>, paint: Paint) -> Vec<String> {
    let before = usize::try_from(month.0.weekday().to_monday_zero_offset()).unwrap_or_default();
    let mut weeks = Vec::new();
    let mut week = " ".repeat(before * DAY_WIDTH);
    for date in month.days() {
        let mark = Mark::of(&calendar.session_on(date));
        let number = date.day();
        // A sign and the bracket of today stand in the gap between the numbers.
        let (opening, closing) = if today == Some(date) { ('[', ']') } else { (' ', ' ') };
        let (opening_width, sign) = (if number < 10 { 4 } else { 3 }, mark.sign());
        let _ = match sign {
            None => write!(week, "{opening:>opening_width$}{number}{closing} "),
            Some(sign) => {
                let day = mark.paint(paint, &format!("{number}{sign}"));
                write!(week, "{opening:>opening_width$}{day}{closing}")
            }
        };
        if date.weekday() == Weekday::Sunday {
            weeks.push(std::mem::take(&mut week));
        }
    }
    weeks.push(week);
    weeks.iter().map(|week| week.trim_end().to_owned()).filter(|week| !week.is_empty()).collect()
}

fn note(head: &str, text: &str) -> String {
    format!("{head:<NOTE_INDENT$}{}", wrapped(text, WIDTH, NOTE_INDENT))
}

/// What the drawing cannot say by a sign.
fn notes(calendar: &Calendar, month: Month) -> Vec<String> {
    let utc = TimeZone::UTC;
    let zone = calendar.zone().unwrap_or(&utc);
    let mut notes = Vec::new();
    for date in month.days() {
        let day = calendar.session_on(date);
        let text = match &day {
            Day::Session(session) => match (session.length, &session.reason) {
                (DayLength::Half, reason) => {
                    let reason = reason.as_deref().unwrap_or("no name is given");
                    format!("half day, {}: {reason}", hours(session, zone))
                }
                (DayLength::Full, Some(reason)) => format!("{}: {reason}", hours(session, zone)),
                (DayLength::Full, None) => continue,
            },
            Day::Holiday { name } => format!("closed: {name}"),
            Day::Weekend | Day::Unknown => continue,
        };
        let head = format!("{:>2}{}", date.day(), Mark::of(&day).sign().unwrap_or(' '));
        notes.push(note(&head, &(text + &told_by(calendar, date))));
    }
    notes.extend(regular(calendar, month, zone));
    if month.days().any(|date| calendar.session_on(date) == Day::Unknown) {
        notes.push(note("  ?", "not known: the calendar does not reach it; update ibga"));
    }
    notes
}

/// The lines of an override that made a day what it is.
fn told_by(calendar: &Calendar, date: Date) -> String {
    let lines = calendar.overrides_on(date).map(|line| format!(" (override {}:{})", line.file, line.line));
    lines.collect()
}

/// The hours of the regular days, in force from a day on if they change within the month.
fn regular(calendar: &Calendar, month: Month, zone: &TimeZone) -> Vec<String> {
    let mut spans: Vec<(Date, String)> = Vec::new();
    for date in month.days() {
        let Day::Session(session) = calendar.session_on(date) else { continue };
        if session.length == DayLength::Full && session.reason.is_none() {
            let hours = hours(&session, zone);
            if spans.last().is_none_or(|(_, last)| *last != hours) {
                spans.push((date, hours));
            }
        }
    }
    let zone = zone.iana_name().unwrap_or_default();
    let is_one = spans.len() == 1;
    let told = spans.iter().map(|(date, hours)| {
        let from = if is_one { String::new() } else { format!(" from {} on", date.day()) };
        note("", &format!("other weekdays{from} {hours} {zone}"))
    });
    told.collect()
}

/// The month as a program reads it: one object for each day.
pub(super) fn document(calendar: &Calendar, month: Month) -> Value {
    let days: Vec<Value> = month.days().map(|date| day_document(calendar, date)).collect();
    json!({
        "exchange": calendar.exchange().mic(),
        "month": month.0.strftime("%Y-%m").to_string(),
        "data": calendar.quality(month.0.year()).code(),
        "days": days,
    })
}

fn day_document(calendar: &Calendar, date: Date) -> Value {
    let utc = |instant: Option<Timestamp>| instant.map(|instant| instant.to_string());
    let day = calendar.session_on(date);
    let (kind, name) = match &day {
        Day::Session(session) => {
            (if session.length == DayLength::Half { "half_day" } else { "full_day" }, session.reason.clone())
        }
        Day::Holiday { name } => ("holiday", Some(name.clone())),
        Day::Weekend => ("weekend", None),
        Day::Unknown => ("unknown", None),
    };
    let session = if let Day::Session(session) = &day { Some(session) } else { None };
    let lunch = session.and_then(|session| session.lunch);
    json!({
        "date": date.to_string(),
        "kind": kind,
        "name": name,
        "open": utc(session.map(|session| session.open)),
        "lunch_start": utc(lunch.map(|(start, _)| start)),
        "lunch_end": utc(lunch.map(|(_, end)| end)),
        "close": utc(session.map(|session| session.close)),
        "overrides": calendar.overrides_on(date).map(|line| line.to_string()).collect::<Vec<_>>(),
    })
}
