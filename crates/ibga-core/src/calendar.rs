//! Responsible for exchange time: whether an exchange is in continuous trading at an instant, and when
//! that changes next.
//!
//! It must never read a clock, a file or the environment, and must never call an exchange open on a guess:
//! a date outside the years of the table, or a table that cannot be read, is [`Phase::Unknown`].
//!
//! A *trading session* is the continuous trading of one local date, from its open (inclusive) to its close
//! (exclusive), with or without lunch. Auctions lie outside it. Every instant is judged on the exchange's
//! local date, and a weekend wins over a holiday.
//!
//! Adding an exchange is one file in `calendar/data/` and one row in `BUNDLED`.

mod table;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use table::{Hours, Plan, Table};
pub use table::{LineFault, TABLE_BYTES_MAX, TABLE_LINE_BYTES_MAX, TableError};

/// Days before the end of a calendar from which a warning is due.
///
/// Most exchanges publish a year more than three months before it begins.
pub const COVERAGE_WARNING_DAYS: i32 = 90;

/// One exchange whose table is compiled in.
struct Bundled {
    mic: &'static str,
    aliases: &'static [&'static str],
    /// Read once per process, at the first use.
    table: LazyLock<Result<Arc<Table>, TableError>>,
}

static BUNDLED: [Bundled; 1] = [Bundled {
    mic: "XHKG",
    // The name that Interactive Brokers gives this exchange.
    aliases: &["SEHK"],
    table: LazyLock::new(|| Table::parse(include_str!("calendar/data/XHKG.txt")).map(Arc::new)),
}];

/// An exchange with a compiled-in calendar, named by its market identifier code (MIC, ISO 10383).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exchange {
    mic: &'static str,
}

impl Exchange {
    /// Stock Exchange of Hong Kong, cash equities.
    pub const XHKG: Self = Self { mic: "XHKG" };

    /// Every exchange with a calendar.
    pub fn known() -> impl Iterator<Item = Self> {
        BUNDLED.iter().map(|bundled| Self { mic: bundled.mic })
    }

    /// The market identifier code, such as `XHKG`.
    pub const fn mic(self) -> &'static str {
        self.mic
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.mic)
    }
}

/// The text names no exchange that this program has a calendar for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown exchange {given:?}; use one of {}", known_mics())]
pub struct UnknownExchange {
    given: String,
}

/// Longest part of a refused exchange name that an error repeats, in characters.
const GIVEN_CHARS_MAX: usize = 32;

fn known_mics() -> String {
    let mics: Vec<&str> = BUNDLED.iter().map(|bundled| bundled.mic).collect();
    mics.join(", ")
}

impl FromStr for Exchange {
    type Err = UnknownExchange;

    /// Reads a market identifier code or one of its aliases, in upper or lower case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        BUNDLED
            .iter()
            .find(|bundled| {
                let mut names = std::iter::once(&bundled.mic).chain(bundled.aliases);
                names.any(|name| name.eq_ignore_ascii_case(text))
            })
            .map(|bundled| Self { mic: bundled.mic })
            .ok_or_else(|| UnknownExchange { given: text.chars().take(GIVEN_CHARS_MAX).collect() })
    }
}

/// What an exchange is doing at an instant. Only [`Phase::Open`] is continuous trading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Continuous trading.
    Open,
    /// Between the morning and the afternoon of a trading session.
    Lunch,
    /// A day with a trading session, before its open; includes the pre-opening auction.
    BeforeOpen,
    /// A day with a trading session, at or after its regular close; includes the closing auction.
    AfterClose,
    /// A half day, at or after its early close; includes the closing auction.
    EarlyClosed,
    /// A weekday without a trading session.
    ClosedHoliday,
    /// Saturday or Sunday, also when it is a holiday.
    ClosedWeekend,
    /// Nothing is known about the date. Never to be taken for open.
    Unknown,
}

impl Phase {
    /// The stable code of the phase.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Lunch => "lunch",
            Self::BeforeOpen => "before_open",
            Self::AfterClose => "after_close",
            Self::EarlyClosed => "early_closed",
            Self::ClosedHoliday => "closed_holiday",
            Self::ClosedWeekend => "closed_weekend",
            Self::Unknown => "unknown",
        }
    }
}

/// An auction outside the trading session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Auction {
    /// From the first order input to the open.
    PreOpening,
    /// From the close to the latest end of the closing auction.
    ClosingAuction,
}

impl Auction {
    /// The stable code of the auction.
    pub const fn code(self) -> &'static str {
        match self {
            Self::PreOpening => "pre_opening",
            Self::ClosingAuction => "closing_auction",
        }
    }
}

/// How far the dates of a year can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataQuality {
    /// The exchange or its government has published them.
    Official,
    /// They follow from rules and may still be changed.
    Computed,
    /// The table does not hold the year.
    Unknown,
}

impl DataQuality {
    /// The stable code of the quality.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Official => "official",
            Self::Computed => "computed",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether a trading session ends at its regular close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DayLength {
    /// It ends at the regular close.
    Full,
    /// It ends at an early close.
    Half,
}

impl DayLength {
    /// The stable code of the length.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Half => "half",
        }
    }
}

/// The trading session of one local date, with the auctions around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradingSession {
    /// Local date of the exchange.
    pub date: Date,
    /// Start of order input before the open, if the exchange has a pre-opening auction that day.
    pub pre_open: Option<Timestamp>,
    /// First instant of continuous trading.
    pub open: Timestamp,
    /// Start and end of lunch; trading stops at the first and resumes at the second.
    pub lunch: Option<(Timestamp, Timestamp)>,
    /// First instant after continuous trading.
    pub close: Timestamp,
    /// Latest end of the closing auction, which begins at the close.
    pub closing_auction_end: Option<Timestamp>,
    /// Whether the close is an early one.
    pub length: DayLength,
    /// Why the day differs from a regular one, such as the name of the eve.
    pub reason: Option<String>,
}

impl TradingSession {
    /// Turns local wall time into UTC; `None` if a clock change leaves the times out of order.
    fn from_local(date: Date, hours: &Hours, length: DayLength, reason: Option<&str>, zone: &TimeZone) -> Option<Self> {
        let utc = |time: Time| zone.to_timestamp(date.to_datetime(time)).ok();
        let (open, close) = (utc(hours.open)?, utc(hours.close)?);
        let lunch = match hours.lunch {
            Some((start, end)) => Some((utc(start)?, utc(end)?)),
            None => None,
        };
        let (lunch_start, lunch_end) = lunch.unwrap_or((open, close));
        let closing_auction = hours.closing_auction_minutes.map(SignedDuration::from_mins);
        [open, lunch_start, lunch_end, close].is_sorted().then(|| Self {
            date,
            pre_open: hours.pre_open.and_then(utc),
            open,
            lunch,
            close,
            closing_auction_end: closing_auction.and_then(|length| close.checked_add(length).ok()),
            length,
            reason: reason.map(str::to_owned),
        })
    }

    /// The phase at an instant of the same local date.
    fn phase_at(&self, instant: Timestamp) -> Phase {
        if instant < self.open {
            Phase::BeforeOpen
        } else if instant >= self.close {
            match self.length {
                DayLength::Full => Phase::AfterClose,
                DayLength::Half => Phase::EarlyClosed,
            }
        } else if self.lunch.is_some_and(|(start, end)| start <= instant && instant < end) {
            Phase::Lunch
        } else {
            Phase::Open
        }
    }

    fn auction_at(&self, instant: Timestamp) -> Option<Auction> {
        if self.pre_open.is_some_and(|start| start <= instant && instant < self.open) {
            Some(Auction::PreOpening)
        } else if self.closing_auction_end.is_some_and(|end| self.close <= instant && instant < end) {
            Some(Auction::ClosingAuction)
        } else {
            None
        }
    }

    /// The instants at which continuous trading starts, rising.
    fn opens(&self) -> impl Iterator<Item = Timestamp> {
        [Some(self.open), self.lunch.map(|(_, end)| end)].into_iter().flatten()
    }

    /// The instants at which continuous trading stops, rising.
    fn closes(&self) -> impl Iterator<Item = Timestamp> {
        [self.lunch.map(|(start, _)| start), Some(self.close)].into_iter().flatten()
    }
}

/// What a local date is to an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Day {
    /// A day with a trading session.
    Session(TradingSession),
    /// A weekday without a trading session.
    Holiday {
        /// Name of the holiday or reason of the closure.
        name: String,
    },
    /// Saturday or Sunday.
    Weekend,
    /// The table knows nothing about the date.
    Unknown,
}

/// An instant as an exchange sees it. Every `next_*` lies strictly after the instant.
///
/// `next_*` is `None` where the table ends before the answer is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The exchange.
    pub exchange: Exchange,
    /// The instant judged.
    pub instant: Timestamp,
    /// What the exchange is doing.
    pub phase: Phase,
    /// Name of the holiday on a day without a trading session, or of the eve or reason that changes its hours.
    pub holiday: Option<String>,
    /// Length of the local date's trading session; `None` if it has none.
    pub length: Option<DayLength>,
    /// Next start of continuous trading; the end of lunch counts.
    pub next_open: Option<Timestamp>,
    /// Next stop of continuous trading; the start of lunch counts.
    pub next_close: Option<Timestamp>,
    /// Next open of a trading session; lunch does not count.
    pub next_session_open: Option<Timestamp>,
    /// Next close of a trading session; lunch does not count.
    pub next_session_close: Option<Timestamp>,
    /// How far the local date's year can be trusted.
    pub data: DataQuality,
    /// The auction under way, if any.
    pub auction: Option<Auction>,
}

/// The first and last local date that a calendar knows. There is no gap between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// First known date, the first day of a year.
    pub first: Date,
    /// Last known date, the last day of a year.
    pub last: Date,
}

impl Coverage {
    /// Days from a date to the last known one: 0 on the last day, negative after it.
    pub fn days_left(&self, from: Date) -> i32 {
        // Two dates are always a whole number of days apart; if not, none left is the safe answer.
        from.until(self.last).map_or(0, |span| span.get_days())
    }
}

/// The calendar of one exchange. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Calendar {
    exchange: Exchange,
    table: Result<Arc<Table>, TableError>,
}

impl Calendar {
    /// The compiled-in calendar of an exchange.
    ///
    /// If its table cannot be used, every answer is unknown and [`Calendar::fault`] says why.
    pub fn for_exchange(exchange: Exchange) -> Self {
        let table = BUNDLED
            .iter()
            .find(|bundled| bundled.mic == exchange.mic)
            .map_or(Err(TableError::Missing { mic: exchange.mic }), |bundled| (*bundled.table).clone());
        Self { exchange, table }
    }

    /// This calendar with the lines of an override laid upon it.
    ///
    /// The override uses the grammar of the table files, without `zone` and `hours`, and wins over the table
    /// on every date it names; only a late start and an early end of the same date add up. It may add years
    /// after the last. Dates before the first year are passed over, so that an old override stays valid.
    ///
    /// # Errors
    /// The first line that cannot be used. The caller must then not fall back to the calendar without it:
    /// the line may have been the closure of today.
    pub fn overridden(&self, text: &str) -> Result<Self, TableError> {
        let table = self.table.as_deref().map_err(Clone::clone)?.overridden(text)?;
        Ok(Self { exchange: self.exchange, table: Ok(Arc::new(table)) })
    }

    /// The exchange.
    pub const fn exchange(&self) -> Exchange {
        self.exchange
    }

    /// Why the calendar knows nothing at all, if that is so.
    pub fn fault(&self) -> Option<&TableError> {
        self.table.as_ref().err()
    }

    /// The time zone of the exchange; `None` if the table cannot be used.
    pub fn zone(&self) -> Option<&TimeZone> {
        self.table().map(|table| &table.zone)
    }

    /// The exchange's local date at an instant; `None` if the table cannot be used.
    pub fn local_date(&self, instant: Timestamp) -> Option<Date> {
        self.zone().map(|zone| zone.to_datetime(instant).date())
    }

    /// The dates that the calendar knows; `None` if the table cannot be used.
    pub fn coverage(&self) -> Option<Coverage> {
        let (first, last) = self.table()?.span()?;
        Some(Coverage { first, last })
    }

    /// How far the dates of a year can be trusted.
    pub fn quality(&self, year: i16) -> DataQuality {
        self.table().and_then(|table| table.year(year)).map_or(DataQuality::Unknown, |year| year.quality)
    }

    /// Where the dates of a year come from; `None` outside the table.
    pub fn source(&self, year: i16) -> Option<&str> {
        self.table()?.year(year).map(|year| year.source.as_str())
    }

    /// What a local date is: a trading session, a holiday, a weekend or unknown.
    pub fn session_on(&self, date: Date) -> Day {
        let Some(table) = self.table() else {
            return Day::Unknown;
        };
        match table.plan(date) {
            Plan::Unknown => Day::Unknown,
            Plan::Weekend => Day::Weekend,
            Plan::Closed { name } => Day::Holiday { name: name.to_owned() },
            Plan::Trading { hours, length, name } => {
                TradingSession::from_local(date, &hours, length, name, &table.zone).map_or(Day::Unknown, Day::Session)
            }
        }
    }

    /// How the exchange sees an instant.
    pub fn at(&self, instant: Timestamp) -> Moment {
        let date = self.local_date(instant);
        let day = date.map_or(Day::Unknown, |date| self.session_on(date));
        let (phase, holiday, today) = match day {
            Day::Unknown => (Phase::Unknown, None, None),
            Day::Weekend => (Phase::ClosedWeekend, None, None),
            Day::Holiday { name } => (Phase::ClosedHoliday, Some(name), None),
            Day::Session(session) => (session.phase_at(instant), session.reason.clone(), Some(session)),
        };
        let known_date = date.filter(|_| phase != Phase::Unknown);
        let next = known_date.and_then(|date| self.session_after(date));
        // Today and the next trading session hold every answer, in rising order.
        let sessions = || today.iter().chain(&next);
        let is_ahead = |edge: &Timestamp| *edge > instant;
        Moment {
            exchange: self.exchange,
            instant,
            phase,
            holiday,
            length: today.as_ref().map(|session| session.length),
            next_open: sessions().flat_map(TradingSession::opens).find(is_ahead),
            next_close: sessions().flat_map(TradingSession::closes).find(is_ahead),
            next_session_open: sessions().map(|session| session.open).find(is_ahead),
            next_session_close: sessions().map(|session| session.close).find(is_ahead),
            data: known_date.map_or(DataQuality::Unknown, |date| self.quality(date.year())),
            auction: today.as_ref().and_then(|session| session.auction_at(instant)),
        }
    }

    /// The first trading session after a date; `None` if the table ends before it.
    fn session_after(&self, date: Date) -> Option<TradingSession> {
        let mut date = date.tomorrow().ok()?;
        // Bounded by the years of the table: the day after them is unknown.
        loop {
            match self.session_on(date) {
                Day::Session(session) => return Some(session),
                Day::Unknown => return None,
                Day::Holiday { .. } | Day::Weekend => date = date.tomorrow().ok()?,
            }
        }
    }

    fn table(&self) -> Option<&Table> {
        self.table.as_deref().ok()
    }
}
