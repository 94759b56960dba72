//! The trading hours as far as alerts care, and the hours in which a person wants to sleep.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::calendar::{MarketMoment, MarketState};

/// What the market does, and when that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    /// The exchanges, with commas between.
    pub exchange: String,
    /// Whether an agent could trade.
    pub trading: Trading,
    /// When trading begins next, if it is known.
    pub next_open: Option<Timestamp>,
    /// When it ends, if it is on.
    pub next_close: Option<Timestamp>,
}

/// Whether the market is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trading {
    /// It is.
    On,
    /// It is not.
    Off,
    /// The calendar does not tell.
    Unknown,
}

impl Trading {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::On, Self::Off, Self::Unknown];

    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Unknown => "unknown",
        }
    }
}

impl Hours {
    /// The hours as a market sees them.
    pub fn of(moment: &MarketMoment) -> Self {
        let mics: Vec<&str> = moment.members.iter().map(|member| member.moment.exchange.mic()).collect();
        Self {
            exchange: mics.join(","),
            trading: match moment.state {
                MarketState::Open => Trading::On,
                MarketState::Closed => Trading::Off,
                MarketState::Unknown => Trading::Unknown,
            },
            next_open: moment.next_open,
            next_close: moment.next_close,
        }
    }

    /// Whether a trading session is on or begins within the given time. What is not known counts as near.
    pub(super) fn is_near(&self, now: Timestamp, before: SignedDuration) -> bool {
        match (self.trading, self.next_open) {
            (Trading::On | Trading::Unknown, _) | (Trading::Off, None) => true,
            (Trading::Off, Some(open)) => open.duration_since(now) <= before,
        }
    }

    /// The trading session that is on or comes next, by an instant of it: its end where it is on, else its beginning. Since these
    /// two differ, a session keeps one name only together with what was remembered of it before it began.
    pub(super) fn session(&self) -> Option<Timestamp> {
        if self.trading == Trading::On { self.next_close } else { self.next_open }
    }
}

/// A span of each day in which a person is only woken if trading is near. It may pass midnight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// Its beginning, by the clock of the zone.
    pub from: Time,
    /// Its end, which is no longer quiet.
    pub to: Time,
    /// The person's zone.
    pub zone: TimeZone,
}

impl QuietHours {
    /// Whether the instant lies in them.
    pub fn cover(&self, now: Timestamp) -> bool {
        let time = now.to_zoned(self.zone.clone()).time();
        if self.from <= self.to { self.from <= time && time < self.to } else { self.from <= time || time < self.to }
    }
}
