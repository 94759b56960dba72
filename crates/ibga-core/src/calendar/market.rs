//! Responsible for a market of one or several exchanges: whether trading is possible, and when that changes.
//!
//! Any of several exchanges may be enough, or all may be needed at once, as for Stock Connect, whose northbound trading takes
//! Shanghai and Hong Kong. What is unknown never counts as open.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Calendar, DataQuality, Exchange, Moment, Phase};

/// How many edges are looked at for the next change of several exchanges: some weeks of trading.
const EDGES_MAX: usize = 200;

/// How several exchanges are judged together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Combination {
    /// One that is open is enough.
    Any,
    /// All have to be open at once.
    All,
}

impl Combination {
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
        Self { calendars: vec![calendar], combination: Combination::All }
    }

    /// A market of several exchanges. Without any it is never open.
    pub fn new(calendars: Vec<Calendar>, combination: Combination) -> Self {
        Self { calendars, combination }
    }

    /// The exchanges.
    pub fn exchanges(&self) -> impl Iterator<Item = Exchange> {
        self.calendars.iter().map(Calendar::exchange)
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
            edge = next_edge(&moments)?;
        }
        None
    }
}

/// The first instant at which one of the exchanges starts or stops trading.
fn next_edge(moments: &[Moment]) -> Option<Timestamp> {
    moments.iter().flat_map(|moment| [moment.next_open, moment.next_close]).flatten().min()
}
