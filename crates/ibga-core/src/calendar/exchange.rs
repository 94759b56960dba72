//! Responsible for the exchanges that have a calendar: their names, and the compiled-in table of each.
//!
//! A table is read when its exchange is first asked for, so that nobody pays for the others. Adding an exchange is one
//! file in `data/` and one row in `BUNDLED`.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use crate::nearest::nearest;

use super::fault::TableError;
use super::table::Table;

/// A table that is read once per process, at the first use.
type Lazy = LazyLock<Result<Arc<Table>, TableError>>;

/// One exchange whose table is compiled in.
pub(super) struct Bundled {
    pub(super) mic: &'static str,
    name: &'static str,
    /// Other codes: that of Interactive Brokers, then what people call the exchange. None is a code of another exchange there.
    pub(super) aliases: &'static [&'static str],
    table: &'static Lazy,
}

macro_rules! tables {
    ($($mic:ident),*) => {
        $(static $mic: Lazy =
            LazyLock::new(|| Table::parse(include_str!(concat!("data/", stringify!($mic), ".txt"))).map(Arc::new));)*

        /// The text of every compiled-in table.
        #[cfg(test)]
        pub(super) const TEXTS: &[(&str, &str)] =
            &[$((stringify!($mic), include_str!(concat!("data/", stringify!($mic), ".txt")))),*];
    };
}

tables!(XHKG, XNYS, XTKS, XSHG, XSES, XASX, XLON, XETR);

pub(super) static BUNDLED: [Bundled; 10] = [
    Bundled { mic: "XHKG", name: "Stock Exchange of Hong Kong", aliases: &["SEHK", "HKEX", "HKSE"], table: &XHKG },
    Bundled { mic: "XNYS", name: "New York Stock Exchange", aliases: &["NYSE"], table: &XNYS },
    Bundled { mic: "XNAS", name: "Nasdaq, with the days of XNYS", aliases: &["NASDAQ"], table: &XNYS },
    Bundled { mic: "XTKS", name: "Tokyo Stock Exchange", aliases: &["TSEJ", "JPX"], table: &XTKS },
    Bundled { mic: "XSHG", name: "Shanghai Stock Exchange", aliases: &["SEHKNTL", "SSE"], table: &XSHG },
    Bundled {
        mic: "XSHE",
        name: "Shenzhen Stock Exchange, with the days of XSHG",
        aliases: &["SEHKSZSE", "SZSE"],
        table: &XSHG,
    },
    Bundled { mic: "XSES", name: "Singapore Exchange", aliases: &["SGX"], table: &XSES },
    Bundled { mic: "XASX", name: "Australian Securities Exchange", aliases: &["ASX"], table: &XASX },
    Bundled { mic: "XLON", name: "London Stock Exchange", aliases: &["LSE"], table: &XLON },
    Bundled { mic: "XETR", name: "Xetra", aliases: &["IBIS", "XETRA"], table: &XETR },
];

/// An exchange with a compiled-in calendar, named by its market identifier code (MIC, ISO 10383).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exchange {
    pub(super) mic: &'static str,
}

impl Exchange {
    /// Stock Exchange of Hong Kong, cash equities.
    pub const XHKG: Self = Self { mic: "XHKG" };
    /// Shanghai Stock Exchange.
    pub const XSHG: Self = Self { mic: "XSHG" };

    /// Every exchange with a calendar.
    pub fn known() -> impl Iterator<Item = Self> {
        BUNDLED.iter().map(|bundled| Self { mic: bundled.mic })
    }

    /// The market identifier code, such as `XHKG`.
    pub const fn mic(self) -> &'static str {
        self.mic
    }

    /// The name of the exchange.
    pub fn name(self) -> &'static str {
        self.bundled().map_or(self.mic, |bundled| bundled.name)
    }

    /// What Interactive Brokers calls it, such as `SEHK`.
    pub fn broker_code(self) -> &'static str {
        self.bundled().and_then(|bundled| bundled.aliases.first()).copied().unwrap_or(self.mic)
    }

    /// The exchange that Interactive Brokers calls so.
    pub fn from_broker_code(code: &str) -> Option<Self> {
        Self::known().find(|exchange| exchange.broker_code().eq_ignore_ascii_case(code))
    }

    /// The exchanges with the same table, itself among them, in one order for all of them.
    pub(super) fn twins(self) -> impl Iterator<Item = Self> {
        let own = self.bundled();
        let is_twin = move |other: &&Bundled| own.is_some_and(|own| std::ptr::eq(own.table, other.table));
        BUNDLED.iter().filter(is_twin).map(|bundled| Self { mic: bundled.mic })
    }

    /// The compiled-in table.
    pub(super) fn table(self) -> Result<Arc<Table>, TableError> {
        self.bundled().map_or(Err(TableError::Missing { mic: self.mic }), |bundled| (**bundled.table).clone())
    }

    fn bundled(self) -> Option<&'static Bundled> {
        BUNDLED.iter().find(|bundled| bundled.mic == self.mic)
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.mic)
    }
}

/// The text names no exchange that this program has a calendar for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown exchange {given:?}; {}", self.hint())]
pub struct UnknownExchange {
    given: String,
}

/// Longest part of a refused exchange name that an error repeats, in characters.
const GIVEN_CHARS_MAX: usize = 32;

/// Edits within which a code is taken for a misspelt one; with more, codes of other exchanges would be.
const MISSPELT_EDITS_MAX: usize = 1;

impl UnknownExchange {
    /// The exchange that was likely meant.
    pub fn nearest(&self) -> Option<&'static str> {
        nearest(&self.given.to_ascii_uppercase(), names(), MISSPELT_EDITS_MAX)
    }

    fn hint(&self) -> String {
        match self.nearest() {
            Some(name) => format!("did you mean {name}?"),
            None => format!("use one of {}", BUNDLED.each_ref().map(|bundled| bundled.mic).join(", ")),
        }
    }
}

/// Every code by which an exchange is known here.
fn names() -> impl Iterator<Item = &'static str> {
    BUNDLED.iter().flat_map(|bundled| std::iter::once(bundled.mic).chain(bundled.aliases.iter().copied()))
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
