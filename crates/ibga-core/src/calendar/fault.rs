//! Responsible for what can be wrong with the text of a table or an override, in words that say what to write instead.

use jiff::civil::Date;

use super::exchange::UnknownExchange;

/// Longest text of a table or an override, in bytes: room for some thousand dates.
pub const TABLE_BYTES_MAX: usize = 256 * 1024;
/// Longest line of such a text, in bytes.
pub const TABLE_LINE_BYTES_MAX: usize = 500;
/// Years that a table may hold. They keep every date far from the limits of the time library.
pub(super) const YEARS: std::ops::RangeInclusive<i16> = 2000..=2199;
/// Longest closing auction, in minutes. Known ones last 1 to 16.
pub(super) const CLOSING_AUCTION_MINUTES_MAX: i64 = 120;

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
    #[error("unknown keyword `{word}`; {}", hint(*nearest))]
    Keyword {
        /// The word as written.
        word: String,
        /// The keyword that was likely meant.
        nearest: Option<&'static str>,
    },
    /// A line of an override does not begin with an exchange.
    #[error("{0}")]
    Exchange(UnknownExchange),
    /// A line of an override begins with what should come second.
    #[error("`{keyword}` stands where the exchange belongs; begin the line with its code, as in `XHKG {keyword} …`")]
    NoExchange {
        /// The first word of the line.
        keyword: &'static str,
    },
    /// A line of an override names an exchange and nothing else.
    #[error("the line ends after the exchange; add closed, open, early, late or year")]
    ExchangeAlone,
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
    #[error(
        "`{word}` is not a length from 1m to {CLOSING_AUCTION_MINUTES_MAX}m; write 10m after the close, -5m before it"
    )]
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
    #[error("{date} has a line already, of this exchange or of one with the same days; keep one of them")]
    Repeated {
        /// The date as written.
        date: Date,
    },
    /// An override gave a late start or early end to a date on which the table has no trading session.
    #[error("{date} has no trading session to shorten; correct the date, or put an `open` line of that date before it")]
    ClosedAlready {
        /// The date as written.
        date: Date,
    },
    /// An override gave a later end or earlier start than the table has on that date.
    #[error(
        "{date} has shorter hours already, which this line would lengthen; \
         correct the date or time, or put an `open` line of that date before it"
    )]
    Lengthens {
        /// The date as written.
        date: Date,
    },
    /// An override adds a year on which every weekday would trade.
    #[error("year {year} has no closed day; add them, or every holiday would count as open")]
    NoClosures {
        /// The year as written.
        year: i16,
    },
    /// An early end or late start does not shorten that day's trading session.
    #[error("no shorter trading session is left on {date}; give a time between its open and close")]
    NotShorter {
        /// The date as written.
        date: Date,
    },
}

fn hint(nearest: Option<&'static str>) -> String {
    match nearest {
        Some(word) => format!("did you mean `{word}`?"),
        None => "use closed, open, early, late or year, and in a table zone and hours too".into(),
    }
}
