//! Responsible for a market of one or several exchanges: whether trading is possible, and when that changes.
//!
//! Any of several exchanges may be enough, or all may be needed at once, as for Stock Connect, whose northbound trading takes
//! Shanghai and Hong Kong. What is unknown never counts as open.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};

use super::table::Hours;
use super::{Calendar, DataQuality, Exchange, IdleOverride, Moment, Phase};

/// How many edges are looked at for the next change of several exchanges: some weeks of trading.
const EDGES_MAX: usize = 200;

/// How several exchanges are judged together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combination {
    /// One that is open is enough.
    Any,
    /// All have to be open at once.
    All,
}

impl Combination {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Any, Self::All];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::All => "all",
        }
    }
}

/// One or several exchanges.
#[derive(Debug, Clone)]
pub struct Market {
    calendars: Vec<Calendar>,
    combination: Combination,
    /// Found out once, since a schedule asks for the next open some hundred times.
    hours: CommonHours,
}

/// Whether a market is open. Only `Open` is continuous trading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MarketState {
    /// As many exchanges as are needed are in continuous trading.
    Open,
    /// They are not.
    Closed,
    /// It depends on an exchange of which nothing is known.
    Unknown,
}

impl MarketState {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Unknown => "unknown",
        }
    }
}

/// One exchange of a market at a moment.
#[derive(Debug, Clone)]
pub struct Member {
    /// How it sees the instant.
    pub moment: Moment,
    /// Its zone; `None` if its table cannot be used.
    pub zone: Option<TimeZone>,
    /// Days until its calendar ends: 0 on the last day, negative after it.
    pub days_left: Option<i32>,
    /// The lines of an override that change nothing in its calendar.
    pub idle_overrides: Vec<IdleOverride>,
}

impl Member {
    /// Whether it is in continuous trading, and known to be.
    pub fn is_open(&self) -> bool {
        is_open(&self.moment)
    }
}

/// An instant as a market sees it.
#[derive(Debug, Clone)]
pub struct MarketMoment {
    /// The instant judged.
    pub instant: Timestamp,
    /// The exchanges, in the order in which they were named; at least one unless the market has none.
    pub members: Vec<Member>,
    /// How they are judged together.
    pub combination: Combination,
    /// Whether the market is open.
    pub state: MarketState,
    /// The next instant at which a closed market opens, if it is known.
    pub next_open: Option<Timestamp>,
    /// The next instant at which an open market closes, if it is known.
    pub next_close: Option<Timestamp>,
}

fn is_open(moment: &Moment) -> bool {
    moment.phase == Phase::Open && moment.data != DataQuality::Unknown
}

impl Market {
    /// A market of one exchange.
    pub fn of_one(calendar: Calendar) -> Self {
        Self::new(vec![calendar], Combination::All)
    }

    /// A market of several exchanges. Without any it is never open.
    pub fn new(calendars: Vec<Calendar>, combination: Combination) -> Self {
        let hours = CommonHours::of(&calendars);
        Self { calendars, combination, hours }
    }

    /// The exchanges.
    pub fn exchanges(&self) -> impl Iterator<Item = Exchange> {
        self.calendars.iter().map(Calendar::exchange)
    }

    /// How they are judged together.
    pub fn combination(&self) -> Combination {
        self.combination
    }

    /// The calendar of the exchange that was named first, by whose wall clock a schedule goes; `None` without any exchange.
    pub fn first(&self) -> Option<&Calendar> {
        self.calendars.first()
    }

    /// How the market sees an instant.
    pub fn at(&self, instant: Timestamp) -> MarketMoment {
        let moments = self.moments(instant);
        let state = self.state(&moments);
        let is_open = |state| state == MarketState::Open;
        let (next_open, next_close) = match state {
            MarketState::Open => (None, self.next(&moments, |state| !is_open(state))),
            MarketState::Closed | MarketState::Unknown => (self.next(&moments, is_open), None),
        };
        let members = self.calendars.iter().zip(moments).map(|(calendar, moment)| {
            let coverage = calendar.coverage().zip(calendar.local_date(instant));
            Member {
                moment,
                zone: calendar.zone().cloned(),
                days_left: coverage.map(|(coverage, date)| coverage.days_left(date)),
                idle_overrides: calendar.idle_overrides().collect(),
            }
        });
        MarketMoment {
            instant,
            members: members.collect(),
            combination: self.combination,
            state,
            next_open,
            next_close,
        }
    }

    /// Whether the market can be open at all after an instant, by regular hours and the ends of the calendars.
    pub(super) fn can_be_open_after(&self, instant: Timestamp) -> bool {
        let is_covered = |calendar: &Calendar| {
            let coverage = calendar.coverage().zip(calendar.local_date(instant));
            coverage.is_some_and(|(coverage, date)| date <= coverage.last)
        };
        match self.combination {
            Combination::Any => true,
            Combination::All => self.hours == CommonHours::Possible && self.calendars.iter().all(is_covered),
        }
    }

    fn moments(&self, instant: Timestamp) -> Vec<Moment> {
        self.calendars.iter().map(|calendar| calendar.at(instant)).collect()
    }

    fn state(&self, moments: &[Moment]) -> MarketState {
        let open = moments.iter().filter(|moment| is_open(moment)).count();
        let unknown = moments.iter().filter(|moment| moment.phase == Phase::Unknown).count();
        match self.combination {
            Combination::Any if open > 0 => MarketState::Open,
            Combination::All if open > 0 && open == moments.len() => MarketState::Open,
            // One that is known to be closed closes all; that of one alone says nothing about any.
            Combination::All if open + unknown < moments.len() => MarketState::Closed,
            _ if unknown > 0 => MarketState::Unknown,
            Combination::Any | Combination::All => MarketState::Closed,
        }
    }

    /// The first edge after the moments at which the market is in a wanted state.
    fn next(&self, moments: &[Moment], is_wanted: impl Fn(MarketState) -> bool) -> Option<Timestamp> {
        let mut edge = next_edge(moments)?;
        for _ in 0..EDGES_MAX {
            let moments = self.moments(edge);
            if is_wanted(self.state(&moments)) {
                return Some(edge);
            }
            if !self.can_be_open_after(edge) {
                return None;
            }
            edge = next_edge(&moments)?;
        }
        None
    }
}

/// Whether the regular hours of exchanges leave an hour of the day at which all can trade, whatever the season.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CommonHours {
    Possible,
    Never,
}

impl CommonHours {
    /// Special days only shorten the regular hours or restore them, so these bound every trading session.
    pub(super) fn of(calendars: &[Calendar]) -> Self {
        let spans: Vec<Vec<DaySpan>> = calendars.iter().map(DaySpan::of).collect();
        let meet = |one: &[DaySpan], other: &[DaySpan]| one.iter().any(|a| other.iter().any(|b| a.meets(*b)));
        let mut pairs =
            spans.iter().enumerate().flat_map(|(at, one)| spans.iter().skip(at + 1).map(move |two| (one, two)));
        if pairs.all(|(one, two)| meet(one, two)) { Self::Possible } else { Self::Never }
    }
}

const DAY_SECONDS: i32 = 24 * 60 * 60;

/// A part of every day in UTC, in seconds; it may reach over midnight.
#[derive(Debug, Clone, Copy)]
struct DaySpan {
    start: i32,
    length: i32,
}

impl DaySpan {
    /// From the earliest open to the latest close of each line of hours, summer and winter taken together.
    fn of(calendar: &Calendar) -> Vec<Self> {
        let (Some(table), Some(coverage)) = (calendar.table(), calendar.coverage()) else { return Vec::new() };
        let instant = |date: Date| table.zone.to_timestamp(date.to_datetime(Time::midnight())).ok();
        let (Some(first), Some(last)) = (instant(coverage.first), instant(coverage.last)) else { return Vec::new() };
        let changes = table.zone.following(first).take_while(|change| change.timestamp() <= last);
        let offsets: Vec<i32> = std::iter::once(table.zone.to_offset(first))
            .chain(changes.map(|change| change.offset()))
            .map(Offset::seconds)
            .collect();
        let (Some(min), Some(max)) = (offsets.iter().min(), offsets.iter().max()) else { return Vec::new() };
        let seconds = |time: Time| (i32::from(time.hour()) * 60 + i32::from(time.minute())) * 60;
        let span = |hours: &Hours| {
            let start = seconds(hours.open) - max;
            Self { start, length: seconds(hours.close) - min - start }
        };
        table.hours().iter().map(span).collect()
    }

    fn meets(self, other: Self) -> bool {
        let ahead = (other.start - self.start).rem_euclid(DAY_SECONDS);
        ahead < self.length || DAY_SECONDS - ahead < other.length
    }
}

/// The first instant at which one of the exchanges starts or stops trading.
fn next_edge(moments: &[Moment]) -> Option<Timestamp> {
    moments.iter().flat_map(|moment| [moment.next_open, moment.next_close]).flatten().min()
}
