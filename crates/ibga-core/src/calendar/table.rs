//! Responsible for the table of one exchange: reading its text, and saying in local wall time what a date is.
//!
//! It must never panic on a text, never guess about a date outside its years, and never turn into UTC:
//! that is the calendar's task.
//!
//! The grammar, one fact per line, is written at the head of each file in `calendar/data/`.
//! An override uses the same grammar without `zone` and `hours`, and wins over the table it is laid upon.

use std::collections::BTreeMap;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::{DataQuality, DayLength};

/// Longest text of a table or an override, in bytes: room for some thousand dates.
pub const TABLE_BYTES_MAX: usize = 256 * 1024;
/// Longest line of such a text, in bytes.
pub const TABLE_LINE_BYTES_MAX: usize = 500;
/// Years that a table may hold. They keep every date far from the limits of the time library.
const YEARS: std::ops::RangeInclusive<i16> = 2000..=2199;
/// Longest closing auction, in minutes. Known ones last 1 to 16.
const CLOSING_AUCTION_MINUTES_MAX: i64 = 120;

/// Why the text of a table or an override was refused. A refused text is never used in part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// A line cannot be used. Lines count from 1.
    #[error("calendar line {line}: {fault}")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        fault: LineFault,
    },
    /// The text is too long to be a calendar.
    #[error("the calendar text is longer than {TABLE_BYTES_MAX} bytes; remove what is not a calendar line")]
    TooLong,
    /// A line that every table needs is missing.
    #[error("the calendar table has no `{keyword}` line; add one")]
    Incomplete {
        /// Keyword of the missing line.
        keyword: &'static str,
    },
    /// No table is built in for the exchange.
    #[error("no calendar table is built in for {mic}; choose another exchange")]
    Missing {
        /// Market identifier code of the exchange.
        mic: &'static str,
    },
}

/// What is wrong with one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// The line is too long or holds a control character.
    #[error(
        "longer than {TABLE_LINE_BYTES_MAX} bytes or with control characters; write one fact per line as plain text"
    )]
    NotPlain,
    /// The first word is not known.
    #[error("unknown keyword `{word}`; use zone, hours, year, closed, open, early or late")]
    Keyword {
        /// The word as written.
        word: String,
    },
    /// A date was expected.
    #[error("`{word}` is not a date; write it as 2026-12-24")]
    Date {
        /// The word as written.
        word: String,
    },
    /// A time of day was expected.
    #[error("`{word}` is not a time of day; write it as 09:30")]
    Time {
        /// The word as written.
        word: String,
    },
    /// A length in minutes was expected.
    #[error("`{word}` is not a length from 1m to {CLOSING_AUCTION_MINUTES_MAX}m; write it as 10m")]
    Minutes {
        /// The word as written.
        word: String,
    },
    /// A year was expected.
    #[error("`{word}` is not a year from {} to {}; write it as 2026", YEARS.start(), YEARS.end())]
    Year {
        /// The word as written.
        word: String,
    },
    /// A data quality was expected.
    #[error("`{word}` is not a data quality; write official or computed")]
    Quality {
        /// The word as written.
        word: String,
    },
    /// The time zone is not known.
    #[error("unknown time zone `{word}`; write an IANA name such as Asia/Hong_Kong")]
    Zone {
        /// The word as written.
        word: String,
    },
    /// The name, reason or source at the end of the line is missing.
    #[error("the line ends too early; add a name, a reason or a source")]
    NoText,
    /// A part of an `hours` line is not known or given twice.
    #[error("`{word}` is unknown or given twice; use open, lunch, close, pre_open and closing_auction once each")]
    HoursPart {
        /// The word as written.
        word: String,
    },
    /// The times of an `hours` line make no trading session.
    #[error("open and close are missing or not in order; write pre_open, open, lunch and close as rising times")]
    HoursOrder,
    /// A line that must come earlier, or only once.
    #[error("`{keyword}` stands twice or too late; put zone once, then hours by rising date, then the years")]
    Misplaced {
        /// Keyword of the line.
        keyword: &'static str,
    },
    /// An override tried to change what only the table may say.
    #[error("`{keyword}` cannot be overridden; remove the line")]
    NotInOverride {
        /// Keyword of the line.
        keyword: &'static str,
    },
    /// The years of a table follow each other without a gap.
    #[error("year {year} does not follow the one before; put the years in order and leave none out")]
    YearOrder {
        /// The year as written.
        year: i16,
    },
    /// No hours are known on the first day of the year.
    #[error("no `hours` line is in force on the first day of {year}; put one before it")]
    NoHours {
        /// The year as written.
        year: i16,
    },
    /// The date lies outside the years of the table.
    #[error("{date} lies outside the years of the table; correct it or put its `year` line before it")]
    OutsideYears {
        /// The date as written.
        date: Date,
    },
    /// Trading was said to happen on a Saturday or Sunday.
    #[error("{date} is a Saturday or Sunday, when no exchange trades; correct the date")]
    Weekend {
        /// The date as written.
        date: Date,
    },
    /// Two lines of one text speak of the same date.
    #[error("{date} has a line already; keep one of them")]
    Repeated {
        /// The date as written.
        date: Date,
    },
    /// An override gave a late start or early end to a date on which the table has no trading session.
    #[error("{date} has no trading session to shorten; correct the date")]
    ClosedAlready {
        /// The date as written.
        date: Date,
    },
    /// An early end or late start does not shorten that day's trading session.
    #[error("no shorter trading session is left on {date}; give a time between its open and close")]
    NotShorter {
        /// The date as written.
        date: Date,
    },
}

/// Regular hours of an exchange in local wall time, in force from a date on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hours {
    from: Date,
    pub(super) pre_open: Option<Time>,
    pub(super) open: Time,
    pub(super) lunch: Option<(Time, Time)>,
    pub(super) close: Time,
    pub(super) closing_auction_minutes: Option<i64>,
}

impl Hours {
    /// The hours of a day with a late start or an early end; `None` if that does not shorten the day.
    ///
    /// A time inside lunch counts as the edge of lunch at which trading really stops or starts.
    fn shortened(self, late: Option<Time>, early: Option<Time>) -> Option<Self> {
        let mut hours = self;
        if let Some(late) = late {
            hours.open = late;
            // After a late start in Hong Kong (2020-08-19, 2021-06-28, 2023-10-09) there was no pre-opening auction.
            hours.pre_open = None;
        }
        if let Some(early) = early {
            hours.close = early;
        }
        if let Some((start, end)) = self.lunch
            && (hours.open >= start || hours.close <= end)
        {
            hours.lunch = None;
            if hours.open >= start {
                hours.open = hours.open.max(end);
            }
            if hours.close <= end {
                hours.close = hours.close.min(start);
            }
        }
        let is_shorter = late.is_none_or(|time| time > self.open)
            && early.is_none_or(|time| time < self.close)
            && hours.open < hours.close;
        is_shorter.then_some(hours)
    }

    /// Whether the times rise from pre-opening to close.
    fn is_in_order(&self) -> bool {
        let is_lunch_inside =
            self.lunch.is_none_or(|(start, end)| self.open < start && start < end && end < self.close);
        self.pre_open.is_none_or(|time| time <= self.open) && self.open < self.close && is_lunch_inside
    }
}

/// What is known about one year of a table.
#[derive(Debug, Clone)]
pub(super) struct Year {
    pub(super) quality: DataQuality,
    pub(super) source: String,
}

/// What a line says about a date that differs from its weekday.
#[derive(Debug, Clone)]
enum Special {
    Closed { name: String },
    Open { name: String },
    Shortened { late: Option<Time>, early: Option<Time>, name: String },
}

impl Special {
    /// Whether two lines of one text cannot both hold. Only a late start and an early end go together.
    fn contradicts(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Shortened { late, early, .. }, Self::Shortened { late: other_late, early: other_early, .. }) => {
                late.is_some() && other_late.is_some() || early.is_some() && other_early.is_some()
            }
            _ => true,
        }
    }

    /// This line, with the late start or early end that it leaves open taken from an earlier line.
    ///
    /// So a late start laid upon a half day leaves its end at noon.
    fn completed_by(self, earlier: Option<&Self>) -> Self {
        match (self, earlier) {
            (
                Self::Shortened { late, early, name },
                Some(Self::Shortened { late: earlier_late, early: earlier_early, name: earlier_name }),
            ) if late.is_none() && earlier_late.is_some() || early.is_none() && earlier_early.is_some() => {
                Self::Shortened {
                    late: late.or(*earlier_late),
                    early: early.or(*earlier_early),
                    name: format!("{earlier_name}; {name}"),
                }
            }
            (special, _) => special,
        }
    }
}

/// What a table says about one date, in local wall time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Plan<'table> {
    /// The date lies outside the years of the table.
    Unknown,
    /// Saturday or Sunday, whether or not a holiday falls on it.
    Weekend,
    /// A weekday without trading.
    Closed { name: &'table str },
    /// A trading session with these hours.
    Trading { hours: Hours, length: DayLength, name: Option<&'table str> },
}

/// Everything known about the trading sessions of one exchange.
///
/// The years have no gap, hours are in force on each of their days, and every special date is valid.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) zone: TimeZone,
    hours: Vec<Hours>,
    years: BTreeMap<i16, Year>,
    specials: BTreeMap<Date, Special>,
}

impl Table {
    /// Reads the text of a whole table.
    pub(super) fn parse(text: &str) -> Result<Self, TableError> {
        let mut reader = Reader::default();
        reader.read(text)?;
        let zone = reader.zone.ok_or(TableError::Incomplete { keyword: "zone" })?;
        if reader.years.is_empty() {
            // Without hours no year is accepted, so this covers a table without hours as well.
            let keyword = if reader.hours.is_empty() { "hours" } else { "year" };
            return Err(TableError::Incomplete { keyword });
        }
        Ok(Self { zone, hours: reader.hours, years: reader.years, specials: reader.specials })
    }

    /// This table with the lines of an override laid upon it; a date in both is what the override says.
    ///
    /// Dates before the first year are passed over, so that an old override stays valid.
    pub(super) fn overridden(&self, text: &str) -> Result<Self, TableError> {
        let mut reader = Reader {
            scope: Scope::Override,
            zone: Some(self.zone.clone()),
            hours: self.hours.clone(),
            years: self.years.clone(),
            base: self.specials.clone(),
            specials: BTreeMap::new(),
        };
        reader.read(text)?;
        let mut specials = reader.base;
        for (date, special) in reader.specials {
            let special = special.completed_by(specials.get(&date));
            specials.insert(date, special);
        }
        Ok(Self { zone: self.zone.clone(), hours: reader.hours, years: reader.years, specials })
    }

    /// First and last day that the table knows.
    pub(super) fn span(&self) -> Option<(Date, Date)> {
        let (first, _) = self.years.first_key_value()?;
        let (last, _) = self.years.last_key_value()?;
        Some((Date::new(*first, 1, 1).ok()?, Date::new(*last, 12, 31).ok()?))
    }

    /// What is known about a year; `None` outside the table.
    pub(super) fn year(&self, year: i16) -> Option<&Year> {
        self.years.get(&year)
    }

    /// What a local date is.
    pub(super) fn plan(&self, date: Date) -> Plan<'_> {
        if !self.years.contains_key(&date.year()) {
            return Plan::Unknown;
        }
        if is_weekend(date) {
            return Plan::Weekend;
        }
        let Some(regular) = hours_on(&self.hours, date) else {
            return Plan::Unknown;
        };
        match self.specials.get(&date) {
            None => Plan::Trading { hours: regular, length: DayLength::Full, name: None },
            Some(Special::Closed { name }) => Plan::Closed { name },
            Some(Special::Open { name }) => Plan::Trading { hours: regular, length: DayLength::Full, name: Some(name) },
            Some(Special::Shortened { late, early, name }) => match regular.shortened(*late, *early) {
                Some(hours) => {
                    let length = if early.is_some() { DayLength::Half } else { DayLength::Full };
                    Plan::Trading { hours, length, name: Some(name) }
                }
                None => Plan::Unknown,
            },
        }
    }
}

fn is_weekend(date: Date) -> bool {
    matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// The hours in force on a date: the last line that starts on or before it.
fn hours_on(hours: &[Hours], date: Date) -> Option<Hours> {
    hours.iter().rev().find(|hours| hours.from <= date).copied()
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
struct Reader {
    scope: Scope,
    zone: Option<TimeZone>,
    hours: Vec<Hours>,
    years: BTreeMap<i16, Year>,
    /// Special dates of the table under an override; empty while a whole table is read.
    base: BTreeMap<Date, Special>,
    /// Special dates of the text itself.
    specials: BTreeMap<Date, Special>,
}

impl Reader {
    fn read(&mut self, text: &str) -> Result<(), TableError> {
        if text.len() > TABLE_BYTES_MAX {
            return Err(TableError::TooLong);
        }
        // Some editors put a byte order mark before the first line.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            self.read_line(line).map_err(|fault| TableError::Line { line: index + 1, fault })?;
        }
        Ok(())
    }

    fn read_line(&mut self, line: &str) -> Result<(), LineFault> {
        if line.len() > TABLE_LINE_BYTES_MAX || line.chars().any(|c| c.is_control() && c != '\t') {
            return Err(LineFault::NotPlain);
        }
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let (keyword, rest) = next_word(line);
        match keyword {
            "zone" => self.read_zone(rest),
            "hours" => self.read_hours(rest),
            "year" => self.read_year(rest),
            "closed" => self.read_closed(rest),
            "open" => self.read_open(rest),
            "early" => self.read_early(rest),
            "late" => self.read_late(rest),
            _ => Err(LineFault::Keyword { word: keyword.to_owned() }),
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
            return Ok(());
        }
        if last.is_some_and(|last| last + 1 != year) {
            return Err(LineFault::YearOrder { year });
        }
        let first_day = Date::new(year, 1, 1).map_err(|_| LineFault::Year { word: year.to_string() })?;
        if hours_on(&self.hours, first_day).is_none() {
            return Err(LineFault::NoHours { year });
        }
        self.years.insert(year, Year { quality, source });
        Ok(())
    }

    fn read_closed(&mut self, rest: &str) -> Result<(), LineFault> {
        let (word, name) = next_word(rest);
        let date = parse_date(word)?;
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
        let base = self.base.get(&date);
        if let Special::Shortened { late, early, .. } = special.clone().completed_by(base) {
            // A slip in the date must not open a holiday; only `open` does that.
            if matches!(base, Some(Special::Closed { .. })) {
                return Err(LineFault::ClosedAlready { date });
            }
            if hours_on(&self.hours, date).and_then(|hours| hours.shortened(late, early)).is_none() {
                return Err(LineFault::NotShorter { date });
            }
        }
        self.specials.insert(date, special);
        Ok(())
    }

    fn refuse_in_override(&self, keyword: &'static str) -> Result<(), LineFault> {
        match self.scope {
            Scope::Whole => Ok(()),
            Scope::Override => Err(LineFault::NotInOverride { keyword }),
        }
    }
}

/// The first word and what follows it, without the space between.
fn next_word(text: &str) -> (&str, &str) {
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

fn parse_minutes(word: &str) -> Result<i64, LineFault> {
    word.strip_suffix('m')
        .filter(|number| number.len() <= 3 && number.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|number| number.parse().ok())
        .filter(|minutes| (1..=CLOSING_AUCTION_MINUTES_MAX).contains(minutes))
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
    let (mut pre_open, mut closing_auction_minutes) = (None, None);
    while !rest.is_empty() {
        let (part, after_part) = next_word(rest);
        let (value, after_value) = next_word(after_part);
        let is_first = match part {
            "open" => open.replace(parse_time(value)?).is_none(),
            "lunch" => lunch.replace(parse_time_range(value)?).is_none(),
            "close" => close.replace(parse_time(value)?).is_none(),
            "pre_open" => pre_open.replace(parse_time(value)?).is_none(),
            "closing_auction" => closing_auction_minutes.replace(parse_minutes(value)?).is_none(),
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
    let hours = Hours { from, pre_open, open, lunch, close, closing_auction_minutes };
    if hours.is_in_order() { Ok(hours) } else { Err(LineFault::HoursOrder) }
}

fn parse_time_range(word: &str) -> Result<(Time, Time), LineFault> {
    let (start, end) = word.split_once('-').ok_or_else(|| LineFault::Time { word: word.to_owned() })?;
    Ok((parse_time(start)?, parse_time(end)?))
}
