//! Responsible for the trading session of one local date: its edges in UTC, and the phase at an instant within the date.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::table::{ClosingAuction, Hours};
use super::{Auction, DayLength, Phase};

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
    /// Start and latest end of the closing auction. It follows the close, or is the last part of continuous trading.
    pub closing_auction: Option<(Timestamp, Timestamp)>,
    /// Whether the close is an early one.
    pub length: DayLength,
    /// Why the day differs from a regular one, such as the name of the eve.
    pub reason: Option<String>,
}

impl TradingSession {
    /// Turns local wall time into UTC; `None` if a clock change leaves the times out of order.
    pub(super) fn from_local(
        date: Date,
        hours: &Hours,
        length: DayLength,
        reason: Option<&str>,
        zone: &TimeZone,
    ) -> Option<Self> {
        let utc = |time: Time| zone.to_timestamp(date.to_datetime(time)).ok();
        let (open, close) = (utc(hours.open)?, utc(hours.close)?);
        let lunch = match hours.lunch {
            Some((start, end)) => Some((utc(start)?, utc(end)?)),
            None => None,
        };
        let (lunch_start, lunch_end) = lunch.unwrap_or((open, close));
        let closing_auction = hours.closing_auction.and_then(|auction| {
            Some(match auction {
                ClosingAuction::After { minutes } => {
                    (close, close.checked_add(SignedDuration::from_mins(minutes)).ok()?)
                }
                ClosingAuction::Last { minutes } => {
                    (close.checked_sub(SignedDuration::from_mins(minutes)).ok()?, close)
                }
            })
        });
        [open, lunch_start, lunch_end, close].is_sorted().then(|| Self {
            date,
            pre_open: hours.pre_open.and_then(utc),
            open,
            lunch,
            close,
            closing_auction,
            length,
            reason: reason.map(str::to_owned),
        })
    }

    /// The phase at an instant of the same local date.
    pub(super) fn phase_at(&self, instant: Timestamp) -> Phase {
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

    pub(super) fn auction_at(&self, instant: Timestamp) -> Option<Auction> {
        if self.pre_open.is_some_and(|start| start <= instant && instant < self.open) {
            Some(Auction::PreOpening)
        } else if self.closing_auction.is_some_and(|(start, end)| start <= instant && instant < end) {
            Some(Auction::ClosingAuction)
        } else {
            None
        }
    }

    /// The instants at which continuous trading starts, rising.
    pub(super) fn opens(&self) -> impl Iterator<Item = Timestamp> {
        [Some(self.open), self.lunch.map(|(_, end)| end)].into_iter().flatten()
    }

    /// The instants at which continuous trading stops, rising.
    pub(super) fn closes(&self) -> impl Iterator<Item = Timestamp> {
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
