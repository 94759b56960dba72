//! Responsible for the hours that IBKR tells of a contract: from its notation to local dates with spans of wall time.
//!
//! It must never guess: what cannot be read is a fault in words and no hours, and what is too long is read from its beginning,
//! since only the next days can be trusted anyway.

use std::fmt;

use jiff::civil::{Date, Time};

use crate::window::wall;

/// How much of the text is read, in bytes; a month of two spans a day is longer.
const TEXT_BYTES_MAX: usize = 1024;
/// Dates that are kept: IBKR tells six by default.
pub(crate) const DATES_MAX: usize = 10;
/// Spans of one date. A lunch makes two.
pub(crate) const SPANS_MAX: usize = 6;
/// As much of an entry as a fault repeats, in characters.
const ENTRY_CHARS_MAX: usize = 40;

/// Wall time of one date, from a start to a later end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    start: Time,
    end: Time,
}

impl Span {
    /// `None` unless the end is later.
    pub fn new(start: Time, end: Time) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }

    /// When it begins.
    pub fn start(self) -> Time {
        self.start
    }

    /// When it ends.
    pub fn end(self) -> Time {
        self.end
    }
}

impl fmt::Display for Span {
    /// `09:30-12:00`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", wall(self.start), wall(self.end))
    }
}

/// The hours of one date: rising spans that do not touch, none on a closed day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DayHours(Vec<Span>);

impl DayHours {
    /// Puts the spans in order and merges those that touch.
    pub fn new(mut spans: Vec<Span>) -> Self {
        spans.sort_unstable();
        let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match merged.last_mut() {
                Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
                _ => merged.push(span),
            }
        }
        Self(merged)
    }

    /// The spans, rising.
    pub fn spans(&self) -> &[Span] {
        &self.0
    }

    /// Whether nothing trades.
    pub fn is_closed(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for DayHours {
    /// `closed`, `open 09:30-12:00 13:00-16:10`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_closed() {
            return formatter.write_str("closed");
        }
        formatter.write_str("open")?;
        self.0.iter().try_for_each(|span| write!(formatter, " {span}"))
    }
}

/// The hours of the next dates, in wall time of the zone that IBKR names beside them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LiquidHours(Vec<(Date, DayHours)>);

impl LiquidHours {
    /// Reads IBKR's notation.
    ///
    /// A date is `20261004:CLOSED`, or spans such as `20261005:0930-20261005:1200`, with `;` or `,` between them all. Servers before
    /// version 970 left the end's date out: `20090507:0700-1830,1830-2330`.
    ///
    /// # Errors
    /// The first entry that is neither, or that runs past midnight; and a date that is closed and open at once.
    pub fn parse(text: &str) -> Result<Self, HoursFault> {
        let (text, is_cut) = beginning(text);
        let mut days: Vec<(Date, Vec<Option<Span>>)> = Vec::new();
        let mut current = None;
        for entry in text.split([';', ',']).map(str::trim).filter(|entry| !entry.is_empty()) {
            let (date, span) = read_entry(entry, current)?;
            current = Some(date);
            if let Some((_, spans)) = days.iter_mut().find(|(known, _)| *known == date) {
                spans.push(span);
            } else if days.len() > DATES_MAX {
                // What lies further ahead is a weekly template, and of no use.
                break;
            } else {
                days.push((date, vec![span]));
            }
        }
        // The last date may go on where the reading ended.
        if is_cut || days.len() > DATES_MAX {
            days.pop();
        }
        let days = days.into_iter().map(|(date, spans)| Ok((date, day_hours(date, &spans)?)));
        let days: Vec<(Date, DayHours)> = days.collect::<Result<_, _>>()?;
        if days.is_empty() { Err(HoursFault::Missing) } else { Ok(Self::new(days)) }
    }

    /// Puts the dates in order. Of a date that is there twice, the first counts.
    pub(crate) fn new(mut days: Vec<(Date, DayHours)>) -> Self {
        days.sort_by_key(|(date, _)| *date);
        days.dedup_by_key(|(date, _)| *date);
        Self(days)
    }

    /// The hours of a date; `None` if IBKR does not tell.
    pub fn on(&self, date: Date) -> Option<&DayHours> {
        self.0.iter().find(|(known, _)| *known == date).map(|(_, hours)| hours)
    }

    /// Every date, rising.
    pub fn days(&self) -> impl Iterator<Item = (Date, &DayHours)> {
        self.0.iter().map(|(date, hours)| (*date, hours))
    }
}

/// As much of the text as is read, to the end of an entry, and whether there is more.
fn beginning(text: &str) -> (&str, bool) {
    if text.len() <= TEXT_BYTES_MAX {
        return (text, false);
    }
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    let head = text.get(..end).unwrap_or_default();
    (head.rsplit_once([';', ',']).map_or(head, |(whole, _)| whole), true)
}

/// One entry: its date and its span, none for a closed day. Without a date of its own it belongs to the one before.
fn read_entry(entry: &str, before: Option<Date>) -> Result<(Date, Option<Span>), HoursFault> {
    let unreadable = || HoursFault::Entry(entry.chars().filter(|c| !c.is_control()).take(ENTRY_CHARS_MAX).collect());
    let (start, end) = entry.split_once('-').unwrap_or((entry, ""));
    let (date, start) = dated(start).ok_or_else(unreadable)?;
    let date = date.or(before).ok_or_else(unreadable)?;
    if start == "CLOSED" && end.is_empty() {
        return Ok((date, None));
    }
    let (end_date, end) = dated(end).ok_or_else(unreadable)?;
    let (start, end) = time(start).zip(time(end)).ok_or_else(unreadable)?;
    let is_same_day = end_date.is_none_or(|end_date| end_date == date);
    let span = Span::new(start, end).filter(|_| is_same_day).ok_or(HoursFault::PastMidnight(date))?;
    Ok((date, Some(span)))
}

/// Takes `20261005:` off the front, if it is there.
fn dated(text: &str) -> Option<(Option<Date>, &str)> {
    match text.split_once(':') {
        None => Some((None, text)),
        Some((date, rest)) => Some((Some(self::date(date)?), rest)),
    }
}

fn date(text: &str) -> Option<Date> {
    let number = digits(text, 8)?;
    let part = |number: u32| i8::try_from(number % 100).ok();
    Date::new(i16::try_from(number / 10_000).ok()?, part(number / 100)?, part(number)?).ok()
}

fn time(text: &str) -> Option<Time> {
    let number = digits(text, 4)?;
    Time::new(i8::try_from(number / 100).ok()?, i8::try_from(number % 100).ok()?, 0, 0).ok()
}

fn digits(text: &str, count: usize) -> Option<u32> {
    let is_plain = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

fn day_hours(date: Date, spans: &[Option<Span>]) -> Result<DayHours, HoursFault> {
    let open: Vec<Span> = spans.iter().copied().flatten().collect();
    if open.is_empty() || open.len() == spans.len() {
        let hours = DayHours::new(open);
        if hours.spans().len() <= SPANS_MAX { Ok(hours) } else { Err(HoursFault::TooMany(date)) }
    } else {
        Err(HoursFault::Both(date))
    }
}

/// Why IBKR's text tells no hours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoursFault {
    /// Nothing at all.
    #[error("IBKR tells none")]
    Missing,
    /// Neither hours nor a closed day.
    #[error("`{0}` is not in IBKR's notation")]
    Entry(String),
    /// Not the hours of a stock exchange.
    #[error("those of {0} run past midnight")]
    PastMidnight(Date),
    /// A date is closed and open.
    #[error("IBKR says both closed and open on {0}")]
    Both(Date),
    /// More spans than any exchange has.
    #[error("IBKR tells more than {SPANS_MAX} spans on {0}")]
    TooMany(Date),
}
