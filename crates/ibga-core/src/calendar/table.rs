//! Responsible for the table of one exchange: saying in local wall time what a date is.
//!
//! It must never guess about a date outside its years, and never turn into UTC: that is the calendar's task.

use std::collections::BTreeMap;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;

use super::fault::{LineFault, TableError};
use super::reader::Reader;
use super::{DataQuality, DayLength};

/// Regular hours of an exchange in local wall time, in force from a date on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hours {
    pub(super) from: Date,
    pub(super) pre_open: Option<Time>,
    pub(super) open: Time,
    pub(super) lunch: Option<(Time, Time)>,
    pub(super) close: Time,
    pub(super) closing_auction: Option<ClosingAuction>,
}

/// Where a closing auction lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClosingAuction {
    /// After the close, also after an early one.
    After { minutes: i64 },
    /// The last part of continuous trading, at a regular close.
    Last { minutes: i64 },
}

impl Hours {
    /// The hours of a day with a late start or an early end; `None` if that does not shorten the day.
    ///
    /// A time inside lunch counts as the edge of lunch at which trading really stops or starts.
    pub(super) fn shortened(self, late: Option<Time>, early: Option<Time>) -> Option<Self> {
        let mut hours = self;
        if let Some(late) = late {
            hours.open = late;
            // After a late start in Hong Kong (2020-08-19, 2021-06-28, 2023-10-09) there was no pre-opening auction.
            hours.pre_open = None;
        }
        if let Some(early) = early {
            hours.close = early;
            hours.closing_auction =
                hours.closing_auction.filter(|auction| matches!(auction, ClosingAuction::After { .. }));
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
    pub(super) fn is_in_order(&self) -> bool {
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
pub(super) enum Special {
    Closed { name: String },
    Open { name: String },
    Shortened { late: Option<Time>, early: Option<Time>, name: String },
}

impl Special {
    /// Whether a later line of the same text cannot hold as well. Only a late start and an early end go together, and either
    /// follows an `open` line, which clears the day for it.
    pub(super) fn contradicts(&self, later: &Self) -> bool {
        match (self, later) {
            (Self::Shortened { late, early, .. }, Self::Shortened { late: later_late, early: later_early, .. }) => {
                late.is_some() && later_late.is_some() || early.is_some() && later_early.is_some()
            }
            (Self::Open { .. }, Self::Shortened { .. }) => false,
            _ => true,
        }
    }

    /// Whether it gives a day a later end or an earlier start than another line does.
    fn lengthens(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Shortened { late, early, .. }, Self::Shortened { late: other_late, early: other_early, .. }) => {
                early.zip(*other_early).is_some_and(|(time, other)| time > other)
                    || late.zip(*other_late).is_some_and(|(time, other)| time < other)
            }
            _ => false,
        }
    }

    /// Whether it leaves a day as what the table says makes it.
    fn repeats(&self, base: Option<&Self>) -> bool {
        match (self, base) {
            (Self::Closed { .. }, Some(Self::Closed { .. })) | (Self::Open { .. }, None) => true,
            (Self::Shortened { late, early, .. }, Some(Self::Shortened { late: base_late, early: base_early, .. })) => {
                late == base_late && early == base_early
            }
            _ => false,
        }
    }

    /// What a line does to a day on which the table under it says `base`.
    ///
    /// A slip in the date must not open a holiday or lengthen a half day; only `open` does that.
    pub(super) fn effect(&self, date: Date, base: Option<&Self>, hours: Option<Hours>) -> Result<Effect, LineFault> {
        let completed = self.clone().completed_by(base);
        if let Self::Shortened { late, early, .. } = &completed {
            if matches!(base, Some(Self::Closed { .. })) {
                return Err(LineFault::ClosedAlready { date });
            }
            if base.is_some_and(|base| completed.lengthens(base)) {
                return Err(LineFault::Lengthens { date });
            }
            if hours.and_then(|hours| hours.shortened(*late, *early)).is_none() {
                return Err(LineFault::NotShorter { date });
            }
        }
        Ok(if completed.repeats(base) { Effect::Nothing } else { Effect::Change })
    }

    /// This line, with the late start or early end that it leaves open taken from an earlier line.
    ///
    /// So a late start laid upon a half day leaves its end at noon.
    pub(super) fn completed_by(self, earlier: Option<&Self>) -> Self {
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

/// Whether a line changes a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Change,
    Nothing,
}

/// What a table says about one date, in local wall time.
#[derive(Debug, Clone, Copy)]
pub(super) enum LocalDay<'table> {
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
    /// What an override changed, in the order of its lines.
    changes: Vec<Change>,
    /// The lines of an override that change nothing.
    idle: Vec<Idle>,
}

/// A line of an override that has an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) line: usize,
    pub(super) scope: ChangeScope,
    /// The line as it is told to a person, without the exchange.
    pub(super) text: String,
}

/// A line of an override that changes nothing: a slip, or something that the table has learned since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Idle {
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) reason: IdleReason,
}

/// Why a line of an override changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdleReason {
    /// Its date or year lies before the first year that is known.
    TooEarly,
    /// The year is known without it.
    KnownYear,
    /// The date is that way without it.
    KnownDay,
}

impl IdleReason {
    /// The reason in words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::TooEarly => "before the first year that is known",
            Self::KnownYear => "the year is known without it",
            Self::KnownDay => "the day is so without it",
        }
    }
}

/// What a line of an override reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChangeScope {
    Day(Date),
    Year(i16),
}

impl ChangeScope {
    /// Whether it reaches one of the dates from the first to the last.
    fn reaches(self, first: Date, last: Date) -> bool {
        match self {
            Self::Day(day) => first <= day && day <= last,
            Self::Year(year) => first.year() <= year && year <= last.year(),
        }
    }
}

impl Table {
    /// Reads the text of a whole table.
    pub(super) fn parse(text: &str) -> Result<Self, TableError> {
        let mut reader = Reader::default();
        reader.read_lines(super::reader::lines(text)?)?;
        let zone = reader.zone.ok_or(TableError::Incomplete { keyword: "zone" })?;
        if reader.years.is_empty() {
            // Without hours no year is accepted, so this covers a table without hours as well.
            let keyword = if reader.hours.is_empty() { "hours" } else { "year" };
            return Err(TableError::Incomplete { keyword });
        }
        Ok(Self {
            zone,
            hours: reader.hours,
            years: reader.years,
            specials: reader.specials,
            changes: Vec::new(),
            idle: Vec::new(),
        })
    }

    /// This table with the lines of an override laid upon it; a date in both is what the override says.
    ///
    /// Lines come with their numbers. Dates before the first year are passed over, so that an old override stays valid.
    pub(super) fn overridden<'text>(
        &self,
        lines: impl IntoIterator<Item = (usize, &'text str)>,
    ) -> Result<Self, TableError> {
        let mut reader =
            Reader::of_override(self.zone.clone(), self.hours.clone(), self.years.clone(), self.specials.clone());
        reader.read_lines(lines)?;
        reader.require_closures()?;
        let mut specials = reader.base;
        for (date, special) in reader.specials {
            let special = special.completed_by(specials.get(&date));
            specials.insert(date, special);
        }
        Ok(Self {
            zone: self.zone.clone(),
            hours: reader.hours,
            years: reader.years,
            specials,
            changes: reader.changes,
            idle: reader.idle,
        })
    }

    /// Every line of regular hours.
    pub(super) fn hours(&self) -> &[Hours] {
        &self.hours
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

    /// What an override changed on the dates from the first to the last.
    pub(super) fn changes_between(&self, first: Date, last: Date) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.scope.reaches(first, last))
    }

    /// The lines of an override that change nothing.
    pub(super) fn idle(&self) -> &[Idle] {
        &self.idle
    }

    /// Every year of the table.
    pub(super) fn years(&self) -> impl Iterator<Item = (i16, &Year)> {
        self.years.iter().map(|(number, year)| (*number, year))
    }

    /// What a local date is.
    pub(super) fn local_day(&self, date: Date) -> LocalDay<'_> {
        if !self.years.contains_key(&date.year()) {
            return LocalDay::Unknown;
        }
        if is_weekend(date) {
            return LocalDay::Weekend;
        }
        let Some(regular) = hours_on(&self.hours, date) else {
            return LocalDay::Unknown;
        };
        match self.specials.get(&date) {
            None => LocalDay::Trading { hours: regular, length: DayLength::Full, name: None },
            Some(Special::Closed { name }) => LocalDay::Closed { name },
            Some(Special::Open { name }) => {
                LocalDay::Trading { hours: regular, length: DayLength::Full, name: Some(name) }
            }
            Some(Special::Shortened { late, early, name }) => match regular.shortened(*late, *early) {
                Some(hours) => {
                    let length = if early.is_some() { DayLength::Half } else { DayLength::Full };
                    LocalDay::Trading { hours, length, name: Some(name) }
                }
                None => LocalDay::Unknown,
            },
        }
    }
}

pub(super) fn is_weekend(date: Date) -> bool {
    matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// The hours in force on a date: the last line that starts on or before it.
pub(super) fn hours_on(hours: &[Hours], date: Date) -> Option<Hours> {
    hours.iter().rev().find(|hours| hours.from <= date).copied()
}
