//! Responsible for reading the text of a table or an override line by line.
//!
//! It must never panic on a text, and never accept a line in part. The grammar, one fact per line, is written at the head
//! of `data/XHKG.txt`. An override uses the same grammar without `zone` and `hours`, with the exchange before each line,
//! and wins over the table it is laid upon.

use std::collections::BTreeMap;

use jiff::civil::{Date, Time};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::DataQuality;
use super::fault::{CLOSING_AUCTION_MINUTES_MAX, LineFault, TABLE_BYTES_MAX, TABLE_LINE_BYTES_MAX, TableError, YEARS};
use super::table::{
    Change, ChangeScope, ClosingAuction, Effect, Hours, Idle, IdleReason, Special, Year, hours_on, is_weekend,
};
use crate::nearest::nearest;

/// The first words of lines.
pub(super) const KEYWORDS: [&str; 7] = ["closed", "open", "early", "late", "year", "hours", "zone"];

/// Edits within which a word is taken for a misspelt keyword.
const MISSPELT_EDITS_MAX: usize = 2;

/// The lines of a text that say something, with their numbers from 1.
pub(super) fn lines(text: &str) -> Result<Vec<(usize, &str)>, TableError> {
    if text.len() > TABLE_BYTES_MAX {
        return Err(TableError::TooLong);
    }
    // Some editors put a byte order mark before the first line.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if line.len() > TABLE_LINE_BYTES_MAX || line.chars().any(|c| c.is_control() && c != '\t') {
            return Err(TableError::Line { line: number, fault: LineFault::NotPlain });
        }
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            lines.push((number, line));
        }
    }
    Ok(lines)
}

fn unknown_keyword(word: &str) -> LineFault {
    LineFault::Keyword { word: word.to_owned(), nearest: nearest(word, KEYWORDS.into_iter(), MISSPELT_EDITS_MAX) }
}

/// What kind of text is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Scope {
    #[default]
    Whole,
    Override,
}

/// State while a text is read line by line.
#[derive(Default)]
pub(super) struct Reader {
    scope: Scope,
    pub(super) zone: Option<TimeZone>,
    pub(super) hours: Vec<Hours>,
    pub(super) years: BTreeMap<i16, Year>,
    /// Special dates of the table under an override; empty while a whole table is read.
    pub(super) base: BTreeMap<Date, Special>,
    /// Special dates of the text itself.
    pub(super) specials: BTreeMap<Date, Special>,
    /// The lines of an override that have an effect.
    pub(super) changes: Vec<Change>,
    /// The lines of an override that have none.
    pub(super) idle: Vec<Idle>,
    /// Number of the line being read, from 1.
    line: usize,
    /// The line itself, while an override is read.
    text: String,
}

impl Reader {
    /// A reader of an override, on top of what a table says.
    pub(super) fn of_override(
        zone: TimeZone,
        hours: Vec<Hours>,
        years: BTreeMap<i16, Year>,
        base: BTreeMap<Date, Special>,
    ) -> Self {
        Self { scope: Scope::Override, zone: Some(zone), hours, years, base, ..Self::default() }
    }

    pub(super) fn read_lines<'text>(
        &mut self,
        lines: impl IntoIterator<Item = (usize, &'text str)>,
    ) -> Result<(), TableError> {
        for (number, line) in lines {
            self.line = number;
            if self.scope == Scope::Override {
                line.clone_into(&mut self.text);
            }
            self.read_line(line).map_err(|fault| TableError::Line { line: number, fault })?;
        }
        Ok(())
    }

    fn read_line(&mut self, line: &str) -> Result<(), LineFault> {
        let (keyword, rest) = next_word(line);
        match keyword {
            "zone" => self.read_zone(rest),
            "hours" => self.read_hours(rest),
            "year" => self.read_year(rest),
            "closed" => self.read_closed(rest),
            "open" => self.read_open(rest),
            "early" => self.read_early(rest),
            "late" => self.read_late(rest),
            _ => Err(unknown_keyword(keyword)),
        }
    }

    fn read_zone(&mut self, rest: &str) -> Result<(), LineFault> {
        self.refuse_in_override("zone")?;
        if self.zone.is_some() {
            return Err(LineFault::Misplaced { keyword: "zone" });
        }
        // The zones compiled in, so that every machine computes the same times.
        let zone = TimeZoneDatabase::bundled().get(rest).map_err(|_| LineFault::Zone { word: rest.to_owned() })?;
        self.zone = Some(zone);
        Ok(())
    }

    fn read_hours(&mut self, rest: &str) -> Result<(), LineFault> {
        self.refuse_in_override("hours")?;
        let (word, rest) = next_word(rest);
        let hours = parse_hours(parse_date(word)?, rest)?;
        let rises = self.hours.last().is_none_or(|last| last.from < hours.from);
        // Early ends are judged by the hours of their day, so all hours are read before them.
        if !rises || !self.years.is_empty() {
            return Err(LineFault::Misplaced { keyword: "hours" });
        }
        self.hours.push(hours);
        Ok(())
    }

    fn read_year(&mut self, rest: &str) -> Result<(), LineFault> {
        let (word, rest) = next_word(rest);
        let year = parse_number(word, 4)
            .filter(|year| YEARS.contains(year))
            .ok_or_else(|| LineFault::Year { word: word.to_owned() })?;
        let (word, source) = next_word(rest);
        let quality = match word {
            "official" => DataQuality::Official,
            "computed" => DataQuality::Computed,
            _ => {
                return Err(LineFault::Quality { word: word.to_owned() });
            }
        };
        let source = parse_text(source)?;
        let last = self.years.last_key_value().map(|(last, _)| *last);
        if self.scope == Scope::Override && last.is_some_and(|last| year <= last) {
            // The table has learned this year since the override was written, and knows it better.
            let is_past = self.years.first_key_value().is_some_and(|(first, _)| year < *first);
            self.note_idle(if is_past { IdleReason::TooEarly } else { IdleReason::KnownYear });
            return Ok(());
        }
        if last.is_some_and(|last| last + 1 != year) {
            return Err(LineFault::YearOrder { year });
        }
        let first_day = Date::new(year, 1, 1).map_err(|_| LineFault::Year { word: year.to_string() })?;
        if hours_on(&self.hours, first_day).is_none() {
            return Err(LineFault::NoHours { year });
        }
        self.note(ChangeScope::Year(year));
        self.years.insert(year, Year { quality, source });
        Ok(())
    }

    fn read_closed(&mut self, rest: &str) -> Result<(), LineFault> {
        let (word, name) = next_word(rest);
        let date = parse_trading_date(word)?;
        self.add(date, Special::Closed { name: parse_text(name)? })
    }

    fn read_open(&mut self, rest: &str) -> Result<(), LineFault> {
        let (word, name) = next_word(rest);
        let date = parse_trading_date(word)?;
        self.add(date, Special::Open { name: parse_text(name)? })
    }

    fn read_early(&mut self, rest: &str) -> Result<(), LineFault> {
        let (date, time, name) = parse_shift(rest)?;
        self.add(date, Special::Shortened { late: None, early: Some(time), name })
    }

    fn read_late(&mut self, rest: &str) -> Result<(), LineFault> {
        let (date, time, name) = parse_shift(rest)?;
        self.add(date, Special::Shortened { late: Some(time), early: None, name })
    }

    fn add(&mut self, date: Date, special: Special) -> Result<(), LineFault> {
        let is_past = self.years.first_key_value().is_some_and(|(first, _)| date.year() < *first);
        if self.scope == Scope::Override && is_past {
            self.note_idle(IdleReason::TooEarly);
            return Ok(());
        }
        if !self.years.contains_key(&date.year()) {
            return Err(LineFault::OutsideYears { date });
        }
        let earlier = self.specials.get(&date);
        if earlier.is_some_and(|earlier| earlier.contradicts(&special)) {
            return Err(LineFault::Repeated { date });
        }
        let special = special.completed_by(earlier);
        match special.effect(date, self.base.get(&date), hours_on(&self.hours, date))? {
            Effect::Change => self.note(ChangeScope::Day(date)),
            Effect::Nothing => self.note_idle(IdleReason::KnownDay),
        }
        if matches!(special, Special::Open { .. }) {
            self.base.remove(&date);
        }
        self.specials.insert(date, special);
        Ok(())
    }

    /// Refuses a year that an override adds without a single closed day: all its holidays would count as open.
    pub(super) fn require_closures(&self) -> Result<(), TableError> {
        let is_closed = |year| {
            let mut specials = self.specials.iter();
            specials.any(|(date, special)| date.year() == year && matches!(special, Special::Closed { .. }))
        };
        for change in &self.changes {
            if let ChangeScope::Year(year) = change.scope
                && !is_closed(year)
            {
                return Err(TableError::Line { line: change.line, fault: LineFault::NoClosures { year } });
            }
        }
        Ok(())
    }

    /// Keeps in mind what a line of an override changes.
    fn note(&mut self, scope: ChangeScope) {
        if self.scope == Scope::Override {
            self.changes.push(Change { line: self.line, scope, text: self.text.clone() });
        }
    }

    /// Keeps in mind that a line of an override changes nothing.
    fn note_idle(&mut self, reason: IdleReason) {
        if self.scope == Scope::Override {
            self.idle.push(Idle { line: self.line, text: self.text.clone(), reason });
        }
    }

    fn refuse_in_override(&self, keyword: &'static str) -> Result<(), LineFault> {
        match self.scope {
            Scope::Whole => Ok(()),
            Scope::Override => Err(LineFault::NotInOverride { keyword }),
        }
    }
}

/// The first word and what follows it, without the space between.
pub(super) fn next_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once(char::is_whitespace).map_or((text, ""), |(word, rest)| (word, rest.trim_start()))
}

/// The name, reason or source that ends a line.
fn parse_text(text: &str) -> Result<String, LineFault> {
    if text.is_empty() { Err(LineFault::NoText) } else { Ok(text.to_owned()) }
}

/// A number of exactly so many ASCII digits. The library's parsers take more forms than a table should.
fn parse_number(text: &str, digits: usize) -> Option<i16> {
    let is_plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain { text.parse().ok() } else { None }
}

fn parse_date(word: &str) -> Result<Date, LineFault> {
    let parse = || {
        let (year, month_and_day) = word.split_once('-')?;
        let (month, day) = month_and_day.split_once('-')?;
        let month = i8::try_from(parse_number(month, 2)?).ok()?;
        let day = i8::try_from(parse_number(day, 2)?).ok()?;
        Date::new(parse_number(year, 4)?, month, day).ok()
    };
    parse().ok_or_else(|| LineFault::Date { word: word.to_owned() })
}

/// A date on which there can be trading.
fn parse_trading_date(word: &str) -> Result<Date, LineFault> {
    let date = parse_date(word)?;
    if is_weekend(date) { Err(LineFault::Weekend { date }) } else { Ok(date) }
}

fn parse_time(word: &str) -> Result<Time, LineFault> {
    let parse = || {
        let (hour, minute) = word.split_once(':')?;
        let hour = i8::try_from(parse_number(hour, 2)?).ok()?;
        let minute = i8::try_from(parse_number(minute, 2)?).ok()?;
        Time::new(hour, minute, 0, 0).ok()
    };
    parse().ok_or_else(|| LineFault::Time { word: word.to_owned() })
}

fn parse_closing_auction(word: &str) -> Result<ClosingAuction, LineFault> {
    let minutes = |number: &str| {
        let number = number.strip_suffix('m')?;
        let is_plain = number.len() <= 3 && number.bytes().all(|byte| byte.is_ascii_digit());
        number.parse().ok().filter(|minutes| is_plain && (1..=CLOSING_AUCTION_MINUTES_MAX).contains(minutes))
    };
    match word.strip_prefix('-') {
        Some(number) => minutes(number).map(|minutes| ClosingAuction::Last { minutes }),
        None => minutes(word).map(|minutes| ClosingAuction::After { minutes }),
    }
    .ok_or_else(|| LineFault::Minutes { word: word.to_owned() })
}

/// Date, time and name of an `early` or `late` line.
fn parse_shift(rest: &str) -> Result<(Date, Time, String), LineFault> {
    let (word, rest) = next_word(rest);
    let date = parse_trading_date(word)?;
    let (word, name) = next_word(rest);
    Ok((date, parse_time(word)?, parse_text(name)?))
}

/// The parts of an `hours` line after its date, in any order.
fn parse_hours(from: Date, mut rest: &str) -> Result<Hours, LineFault> {
    let (mut open, mut lunch, mut close) = (None, None, None);
    let (mut pre_open, mut closing_auction) = (None, None);
    while !rest.is_empty() {
        let (part, after_part) = next_word(rest);
        let (value, after_value) = next_word(after_part);
        let is_first = match part {
            "open" => open.replace(parse_time(value)?).is_none(),
            "lunch" => lunch.replace(parse_time_range(value)?).is_none(),
            "close" => close.replace(parse_time(value)?).is_none(),
            "pre_open" => pre_open.replace(parse_time(value)?).is_none(),
            "closing_auction" => closing_auction.replace(parse_closing_auction(value)?).is_none(),
            _ => false,
        };
        if !is_first {
            return Err(LineFault::HoursPart { word: part.to_owned() });
        }
        rest = after_value;
    }
    let (Some(open), Some(close)) = (open, close) else {
        return Err(LineFault::HoursOrder);
    };
    let hours = Hours { from, pre_open, open, lunch, close, closing_auction };
    if hours.is_in_order() { Ok(hours) } else { Err(LineFault::HoursOrder) }
}

fn parse_time_range(word: &str) -> Result<(Time, Time), LineFault> {
    let (start, end) = word.split_once('-').ok_or_else(|| LineFault::Time { word: word.to_owned() })?;
    Ok((parse_time(start)?, parse_time(end)?))
}
