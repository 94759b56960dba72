//! Responsible for exchange time: whether an exchange is in continuous trading at an instant, and when
//! that changes next.
//!
//! It must never read a clock, a file or the environment, and must never call an exchange open on a guess:
//! a date outside the years of the table, or a table that cannot be read, is [`Phase::Unknown`].
//!
//! A *trading session* is the continuous trading of one local date, from its open (inclusive) to its close
//! (exclusive), with or without lunch. A pre-opening auction lies before it; a closing auction after it or, in Tokyo and
//! Shanghai, in its last minutes. Every instant is judged on the exchange's local date, and a weekend wins over a holiday.
//!
//! | file | does |
//! |---|---|
//! | `exchange.rs`, `data/` | the exchanges, and the text of each one's table |
//! | `reader.rs`, `fault.rs` | reads the text of a table or an override, line by line |
//! | `table.rs` | what a local date is, in wall time |
//! | `session.rs` | the trading session of a date in UTC |
//! | `overrides.rs` | the tables with a user's file laid upon them |
//! | `market.rs` | one or several exchanges judged together |
//! | `liquid_hours.rs` | the hours that IBKR tells of a contract |
//! | `comparison.rs` | those hours against a calendar |

mod comparison;
mod exchange;
mod fault;
pub(crate) mod liquid_hours;
mod market;
mod overrides;
mod reader;
mod session;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

pub use comparison::{Agreement, Comparison, DayCompared, NotCompared, compare};
pub use exchange::{Exchange, UnknownExchange};
pub use fault::{LineFault, TABLE_BYTES_MAX, TABLE_LINE_BYTES_MAX, TableError};
pub use liquid_hours::{DayHours, HoursFault, LiquidHours, Span};
pub use market::{Combination, Market, MarketMoment, MarketState, Member};
pub use overrides::{Calendars, IdleOverride, Override, OverrideError};
pub use session::{Day, TradingSession};
pub use table::IdleReason;
use table::{LocalDay, Table};

/// Days before the end of a calendar from which a warning is due.
///
/// Most exchanges publish a year more than three months before it begins.
pub const COVERAGE_WARNING_DAYS: i32 = 90;

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
    /// The lines of an override that had a say, on this date or on one up to the next trading session.
    pub overrides: Vec<Override>,
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
    /// The file of the override that was laid upon the table.
    override_file: Arc<str>,
}

impl Calendar {
    /// The compiled-in calendar of an exchange.
    ///
    /// If its table cannot be used, every answer is unknown and [`Calendar::fault`] says why.
    pub fn for_exchange(exchange: Exchange) -> Self {
        Self { exchange, table: exchange.table(), override_file: Arc::default() }
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

    /// The years that the calendar knows, rising.
    pub fn years(&self) -> impl Iterator<Item = i16> {
        self.table().into_iter().flat_map(|table| table.years().map(|(number, _)| number))
    }

    /// What a local date is: a trading session, a holiday, a weekend or unknown.
    pub fn session_on(&self, date: Date) -> Day {
        let Some(table) = self.table() else {
            return Day::Unknown;
        };
        match table.local_day(date) {
            LocalDay::Unknown => Day::Unknown,
            LocalDay::Weekend => Day::Weekend,
            LocalDay::Closed { name } => Day::Holiday { name: name.to_owned() },
            LocalDay::Trading { hours, length, name } => {
                TradingSession::from_local(date, &hours, length, name, &table.zone).map_or(Day::Unknown, Day::Session)
            }
        }
    }

    /// How the exchange sees an instant.
    pub fn at(&self, instant: Timestamp) -> Moment {
        self.around(self.local_date(instant)).at(instant)
    }

    /// All that the moments of one local date depend on.
    fn around(&self, date: Option<Date>) -> Around {
        let today = date.map_or(Day::Unknown, |date| self.session_on(date));
        let known_date = date.filter(|_| today != Day::Unknown);
        let next = known_date.and_then(|date| self.session_after(date));
        let last = next.as_ref().map(|session| session.date).or(date);
        Around {
            exchange: self.exchange,
            data: known_date.map_or(DataQuality::Unknown, |date| self.quality(date.year())),
            overrides: date
                .zip(last)
                .map(|(first, last)| self.overrides_between(first, last).collect())
                .unwrap_or_default(),
            today,
            next,
        }
    }

    /// The lines of an override that have a say on any date of the calendar.
    pub fn overrides(&self) -> impl Iterator<Item = Override> {
        let coverage = self.coverage();
        coverage.into_iter().flat_map(|coverage| self.overrides_between(coverage.first, coverage.last))
    }

    /// The lines of an override that change nothing, in their order.
    pub fn idle_overrides(&self) -> impl Iterator<Item = IdleOverride> {
        let idle = self.table().into_iter().flat_map(Table::idle);
        idle.map(|idle| IdleOverride::new(&self.override_file, idle))
    }

    /// The lines of an override that have a say on a local date.
    pub fn overrides_on(&self, date: Date) -> impl Iterator<Item = Override> {
        self.overrides_between(date, date)
    }

    /// The lines of an override that have a say on the dates from the first to the last.
    fn overrides_between(&self, first: Date, last: Date) -> impl Iterator<Item = Override> {
        let changes = self.table().into_iter().flat_map(move |table| table.changes_between(first, last));
        changes.map(|change| Override::new(&self.override_file, change))
    }

    /// The first trading session after a date; `None` if the table ends before it.
    pub fn session_after(&self, date: Date) -> Option<TradingSession> {
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

#[cfg(test)]
impl Calendar {
    /// The compiled-in calendar as it was while a year was its last, for tests that shall outlive the years added since.
    pub(crate) fn ending_with(exchange: Exchange, year: i16) -> Self {
        let has_table = |mic: &str| exchange.twins().any(|twin| twin.mic == mic);
        let (_, text) = exchange::TEXTS.iter().find(|(mic, _)| has_table(mic)).expect("a table");
        let text = text.split(&format!("\nyear {} ", year + 1)).next().expect("a first part");
        Self { exchange, table: Table::parse(text).map(Arc::new), override_file: Arc::default() }
    }
}

/// What an exchange does on a local date and next: enough to judge every instant of the date.
#[derive(Debug, Clone)]
struct Around {
    exchange: Exchange,
    today: Day,
    next: Option<TradingSession>,
    data: DataQuality,
    overrides: Vec<Override>,
}

impl Around {
    /// The moment of an instant of the date.
    fn at(&self, instant: Timestamp) -> Moment {
        let (phase, holiday, today) = match &self.today {
            Day::Unknown => (Phase::Unknown, None, None),
            Day::Weekend => (Phase::ClosedWeekend, None, None),
            Day::Holiday { name } => (Phase::ClosedHoliday, Some(name.clone()), None),
            Day::Session(session) => (session.phase_at(instant), session.reason.clone(), Some(session)),
        };
        // Today and the next trading session hold every answer, in rising order.
        let sessions = || today.into_iter().chain(&self.next);
        let is_ahead = |edge: &Timestamp| *edge > instant;
        Moment {
            exchange: self.exchange,
            instant,
            phase,
            holiday,
            length: today.map(|session| session.length),
            next_open: sessions().flat_map(TradingSession::opens).find(is_ahead),
            next_close: sessions().flat_map(TradingSession::closes).find(is_ahead),
            next_session_open: sessions().map(|session| session.open).find(is_ahead),
            next_session_close: sessions().map(|session| session.close).find(is_ahead),
            data: self.data,
            auction: today.and_then(|session| session.auction_at(instant)),
            overrides: self.overrides.clone(),
        }
    }
}
