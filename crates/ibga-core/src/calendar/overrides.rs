//! Responsible for a user's override: a text whose lines correct the compiled-in tables, each for one exchange.
//!
//! `XHKG closed 2026-11-23 System failure` is one line; the grammar after the exchange is that of a table. A line counts for
//! every exchange with the same table: what closes New York closes Nasdaq. A text with a
//! faulty line is refused as a whole, also if the line speaks of an exchange that nobody asks for: it must never be passed
//! over, since it may have been the closure of today.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::fault::{LineFault, TableError};
use super::reader::{KEYWORDS, lines, next_word};
use super::table::{Change, Idle, IdleReason};
use super::{Calendar, Exchange};

/// The calendars of a machine: the compiled-in ones, with an override laid upon those it speaks of.
#[derive(Debug, Clone, Default)]
pub struct Calendars {
    overridden: BTreeMap<Exchange, Calendar>,
}

impl Calendars {
    /// Reads an override. `file` is what messages call it.
    ///
    /// A line wins over the table on its date; only a late start and an early end of the same date add up. Years may be added
    /// after the last. Lines that change nothing are kept apart ([`Calendar::idle_overrides`]), so that an old override stays
    /// valid and a slip of the pen is seen.
    ///
    /// # Errors
    /// The first line that cannot be used. The caller must then not fall back to the calendars without it.
    pub fn with_overrides(text: &str, file: &str) -> Result<Self, OverrideError> {
        let refused = |fault| OverrideError { file: file.to_owned(), fault };
        // The first of exchanges with one table stands for all of them.
        let mut by_table: BTreeMap<Exchange, Vec<(usize, &str)>> = BTreeMap::new();
        for (line, text) in lines(text).map_err(refused)? {
            let (word, rest) = next_word(text);
            let exchange = exchange(word, rest).map_err(|fault| refused(TableError::Line { line, fault }))?;
            by_table.entry(exchange.twins().next().unwrap_or(exchange)).or_default().push((line, rest));
        }
        let mut overridden = BTreeMap::new();
        for (first, lines) in by_table {
            let table = Arc::new(first.table().and_then(|table| table.overridden(lines)).map_err(refused)?);
            let calendar = |exchange| Calendar { exchange, table: Ok(Arc::clone(&table)), override_file: file.into() };
            overridden.extend(first.twins().map(|exchange| (exchange, calendar(exchange))));
        }
        Ok(Self { overridden })
    }

    /// The calendar of an exchange.
    pub fn of(&self, exchange: Exchange) -> Calendar {
        self.overridden.get(&exchange).cloned().unwrap_or_else(|| Calendar::for_exchange(exchange))
    }
}

/// The exchange that begins a line.
fn exchange(word: &str, rest: &str) -> Result<Exchange, LineFault> {
    if let Some(keyword) = KEYWORDS.into_iter().find(|keyword| *keyword == word) {
        return Err(LineFault::NoExchange { keyword });
    }
    let exchange = word.parse().map_err(LineFault::Exchange)?;
    if rest.is_empty() { Err(LineFault::ExchangeAlone) } else { Ok(exchange) }
}

/// A line of an override.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Override {
    /// The file.
    pub file: Arc<str>,
    /// The number of the line, from 1.
    pub line: usize,
    /// The line without the exchange.
    pub text: String,
}

impl Override {
    pub(super) fn new(file: &Arc<str>, change: &Change) -> Self {
        Self { file: Arc::clone(file), line: change.line, text: change.text.clone() }
    }
}

/// A line of an override that changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdleOverride {
    /// The line.
    pub line: Override,
    /// Why it changes nothing.
    pub reason: IdleReason,
}

impl IdleOverride {
    pub(super) fn new(file: &Arc<str>, idle: &Idle) -> Self {
        let line = Override { file: Arc::clone(file), line: idle.line, text: idle.text.clone() };
        Self { line, reason: idle.reason }
    }
}

impl fmt::Display for IdleOverride {
    /// `/etc/ibga/calendar.txt:3: closed 2016-11-23 System failure (no effect: before the first year that is known)`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (no effect: {})", self.line, self.reason.text())
    }
}

impl fmt::Display for Override {
    /// `/etc/ibga/calendar.txt:3: closed 2026-11-23 System failure`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.file, self.line, self.text)
    }
}

/// Why an override was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideError {
    file: String,
    fault: TableError,
}

impl std::error::Error for OverrideError {}

impl fmt::Display for OverrideError {
    /// `/etc/ibga/calendar.txt:3: unknown keyword …`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            TableError::Line { line, fault } => write!(formatter, "{}:{line}: {fault}", self.file),
            fault => write!(formatter, "{}: {fault}", self.file),
        }
    }
}
