//! Responsible for comparing the hours that IBKR tells with a calendar, for today and the next trading session alone.
//!
//! IBKR's days further ahead are a weekly template: a text of 2019-12-31 had 2020-01-20 open, Martin Luther King's day. What cannot be
//! compared is told with its reason and is never a contradiction; differences by which both are right are data.

use std::fmt;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::liquid_hours::{DayHours, LiquidHours, Span};
use super::{Calendar, Calendars, Day, DayLength, Exchange, TradingSession};

/// How far ahead the next trading session may lie, in days: from Thursday over Easter to Tuesday.
pub(super) const NEXT_SESSION_DAYS_MAX: i64 = 5;

/// Longest name of a zone that is looked up, in bytes.
const ZONE_BYTES_MAX: usize = 40;

/// An edge of the day at which IBKR's hours may differ, by how many minutes, so that both are right.
struct Allowance {
    mic: &'static str,
    edge: Edge,
    minutes: i32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    Open,
    Close,
}

/// Where IBKR's liquid hours take in an auction that the calendar leaves out, or leave out one that it takes in. Each difference is
/// exact: an edge that lies anywhere else is a contradiction.
const ALLOWANCES: &[Allowance] = &[
    // SEHK 700, as IBKR sent it in 2026: 1300-1610, with the closing auction. Half days by analogy: 1210.
    Allowance { mic: "XHKG", edge: Edge::Close, minutes: 10 },
    // The calendar counts the closing auctions of Tokyo (15:25) and Shanghai (14:57) as trading; TSEJ 7203 of 2026 does too.
    Allowance { mic: "XTKS", edge: Edge::Close, minutes: -5 },
    Allowance { mic: "XSHG", edge: Edge::Close, minutes: -3 },
    Allowance { mic: "XSHE", edge: Edge::Close, minutes: -3 },
    // ASX as measured on 2026-08-21 and 09-09: 0959-1600; its whole hours run to 1611, past the auction of 16:10.
    Allowance { mic: "XASX", edge: Edge::Open, minutes: -1 },
    Allowance { mic: "XASX", edge: Edge::Close, minutes: 10 },
    Allowance { mic: "XASX", edge: Edge::Close, minutes: 11 },
    // The closing auctions by the rules of the exchanges: SGX to 17:06, London to 16:35, Xetra to 17:35 (IBKR: 0900-1730).
    Allowance { mic: "XSES", edge: Edge::Close, minutes: 6 },
    Allowance { mic: "XLON", edge: Edge::Close, minutes: 5 },
    Allowance { mic: "XETR", edge: Edge::Close, minutes: 5 },
];

/// How IBKR's hours and the calendar compare on one date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayCompared {
    /// The exchange's local date.
    pub date: Date,
    /// What came out.
    pub agreement: Agreement,
}

/// Whether two readings of one date agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agreement {
    /// They do, but for allowed differences.
    Agreed,
    /// There is nothing to compare.
    NotCompared(NotCompared),
    /// One of them is wrong.
    Contradiction {
        /// What the calendar says.
        calendar: DayHours,
        /// What IBKR says.
        broker: DayHours,
    },
}

/// Why there is nothing to compare.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCompared {
    /// IBKR names no zone.
    #[error("IBKR names no time zone")]
    NoZone,
    /// No zone has the name.
    #[error("IBKR's time zone {0:?} is not known")]
    UnknownZone(String),
    /// The zone's clocks are not those of the exchange.
    #[error("IBKR tells them in {0}, which is not the zone of the exchange")]
    OtherZone(String),
    /// The calendar does not reach the date.
    #[error("the calendar does not know the date")]
    DateUnknown,
    /// IBKR does not tell the date.
    #[error("IBKR does not tell that day")]
    DateMissing,
    /// Stock Connect rests when Hong Kong does.
    #[error("Stock Connect goes by XHKG too, which has no full day")]
    StockConnect,
}

/// What came of a comparison: today first, then the next trading session if it is near enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The exchange.
    pub exchange: Exchange,
    /// The exchange's local date now.
    pub today: Date,
    /// The dates that were looked at; today, and perhaps one more.
    pub days: Vec<DayCompared>,
}

impl Comparison {
    /// The dates on which one of the two is wrong: date, calendar, IBKR.
    pub fn contradictions(&self) -> impl Iterator<Item = (Date, &DayHours, &DayHours)> {
        self.days.iter().filter_map(|day| match &day.agreement {
            Agreement::Contradiction { calendar, broker } => Some((day.date, calendar, broker)),
            Agreement::Agreed | Agreement::NotCompared(_) => None,
        })
    }
}

/// Compares; `None` if the exchange has no usable calendar.
pub fn compare(
    hours: &LiquidHours,
    zone: &str,
    exchange: Exchange,
    calendars: &Calendars,
    now: Timestamp,
) -> Option<Comparison> {
    let calendar = calendars.of(exchange);
    let today = calendar.local_date(now)?;
    let far = today.checked_add(NEXT_SESSION_DAYS_MAX.days()).unwrap_or(today);
    let next = calendar.session_after(today).map(|session| session.date).filter(|date| *date <= far);
    let broker_zone = named_zone(zone);
    let agreement = |date| match &broker_zone {
        Err(why) => Agreement::NotCompared(why.clone()),
        Ok(zone) => compare_day(hours.on(date), zone, &calendar, calendars, date),
    };
    let days = [Some(today), next].into_iter().flatten();
    let days = days.map(|date| DayCompared { date, agreement: agreement(date) }).collect();
    Some(Comparison { exchange, today, days })
}

fn compare_day(
    told: Option<&DayHours>,
    broker_zone: &BrokerZone,
    calendar: &Calendar,
    calendars: &Calendars,
    date: Date,
) -> Agreement {
    let Some((zone, known)) = calendar.zone().zip(calendar.hours_on(date)) else {
        return Agreement::NotCompared(NotCompared::DateUnknown);
    };
    if !broker_zone.has_clocks_of(zone, date) {
        return Agreement::NotCompared(NotCompared::OtherZone(broker_zone.name.clone()));
    }
    let exchange = calendar.exchange();
    match told {
        None => Agreement::NotCompared(NotCompared::DateMissing),
        Some(told) if agrees(exchange, &known, told) => Agreement::Agreed,
        Some(_) if !known.is_closed() && is_stock_connect_at_rest(exchange, calendars, date) => {
            Agreement::NotCompared(NotCompared::StockConnect)
        }
        Some(told) => Agreement::Contradiction { calendar: known, broker: told.clone() },
    }
}

/// Whether two readings of a date are the same, but for allowed differences.
fn agrees(exchange: Exchange, calendar: &DayHours, broker: &DayHours) -> bool {
    let last = calendar.spans().len().saturating_sub(1);
    let is_edge = |known: Time, told: Time, edge: Option<Edge>| {
        let apart = minutes(told) - minutes(known);
        let allows = |allowance: &Allowance| {
            allowance.mic == exchange.mic() && Some(allowance.edge) == edge && allowance.minutes == apart
        };
        apart == 0 || ALLOWANCES.iter().any(allows)
    };
    calendar.spans().len() == broker.spans().len()
        && calendar.spans().iter().zip(broker.spans()).enumerate().all(|(index, (known, told))| {
            is_edge(known.start(), told.start(), (index == 0).then_some(Edge::Open))
                && is_edge(known.end(), told.end(), (index == last).then_some(Edge::Close))
        })
}

fn minutes(time: Time) -> i32 {
    i32::from(time.hour()) * 60 + i32::from(time.minute())
}

/// IBKR trades Shanghai and Shenzhen through Stock Connect, whose days off are Hong Kong's too.
fn is_stock_connect_at_rest(exchange: Exchange, calendars: &Calendars, date: Date) -> bool {
    let is_full = |day| matches!(day, Day::Session(TradingSession { length: DayLength::Full, .. }));
    ["XSHG", "XSHE"].contains(&exchange.mic()) && !is_full(calendars.of(Exchange::XHKG).session_on(date))
}

impl Calendar {
    /// What a local date is in wall time, as IBKR tells it; `None` where nothing is known.
    pub fn hours_on(&self, date: Date) -> Option<DayHours> {
        let zone = self.zone()?;
        let wall = |instant: Timestamp| zone.to_datetime(instant).time();
        match self.session_on(date) {
            Day::Unknown => None,
            Day::Holiday { .. } | Day::Weekend => Some(DayHours::default()),
            Day::Session(session) => {
                let edges = match session.lunch {
                    Some((start, end)) => vec![(session.open, start), (end, session.close)],
                    None => vec![(session.open, session.close)],
                };
                let spans = edges.into_iter().map(|(start, end)| Span::new(wall(start), wall(end)));
                spans.collect::<Option<Vec<_>>>().map(DayHours::new)
            }
        }
    }
}

/// Names that IBKR uses, beside the IANA name of the same clocks. Not every machine's time zone data still have the old names.
const ZONES: &[(&str, &str)] = &[
    ("Hongkong", "Asia/Hong_Kong"),
    ("Japan", "Asia/Tokyo"),
    ("Singapore", "Asia/Singapore"),
    ("PRC", "Asia/Shanghai"),
    ("Australia/NSW", "Australia/Sydney"),
    ("US/Eastern", "America/New_York"),
    ("US/Central", "America/Chicago"),
    ("GB-Eire", "Europe/London"),
    ("GB", "Europe/London"),
    ("MET", "Europe/Berlin"),
];

/// A zone that IBKR named.
struct BrokerZone {
    name: String,
    zone: TimeZone,
}

impl BrokerZone {
    /// Whether it shows the same wall time as another zone on a date.
    fn has_clocks_of(&self, other: &TimeZone, date: Date) -> bool {
        let noon = date.at(12, 0, 0, 0);
        let instant = |zone: &TimeZone| zone.to_timestamp(noon).ok();
        instant(&self.zone).is_some_and(|here| instant(other) == Some(here))
    }
}

fn named_zone(name: &str) -> Result<BrokerZone, NotCompared> {
    let name = name.trim();
    if name.is_empty() {
        return Err(NotCompared::NoZone);
    }
    let shown = || name.chars().filter(|c| !c.is_control()).take(ZONE_BYTES_MAX).collect::<String>();
    let is_name = name.len() <= ZONE_BYTES_MAX
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte));
    let iana = ZONES.iter().find(|(known, _)| *known == name).map_or(name, |(_, iana)| iana);
    let zone = is_name.then(|| TimeZone::get(iana).ok()).flatten().filter(|zone| !zone.is_unknown());
    zone.map(|zone| BrokerZone { name: name.to_owned(), zone }).ok_or_else(|| NotCompared::UnknownZone(shown()))
}

impl fmt::Display for Comparison {
    /// What a person reads of it: contradictions, or what agrees and why the rest was not compared.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (exchange, today) = (self.exchange, self.today);
        let mut contradictions = self.contradictions().peekable();
        if contradictions.peek().is_some() {
            write!(formatter, "{exchange}: ")?;
            for (date, calendar, broker) in contradictions {
                write!(formatter, "the calendar says {calendar} on {date}, IBKR says {broker}; ")?;
            }
            return formatter.write_str("do not trade until one of them is corrected (calendar_overrides)");
        }
        let name = |date: Date| if date == today { "today".to_owned() } else { date.to_string() };
        let agreed = self.days.iter().filter(|day| day.agreement == Agreement::Agreed).map(|day| name(day.date));
        let agreed: Vec<String> = agreed.collect();
        let skipped: Vec<(String, &NotCompared)> = self
            .days
            .iter()
            .filter_map(|day| match &day.agreement {
                Agreement::NotCompared(why) => Some((name(day.date), why)),
                Agreement::Agreed | Agreement::Contradiction { .. } => None,
            })
            .collect();
        write!(formatter, "IBKR's hours of {exchange}")?;
        match (agreed.is_empty(), skipped.as_slice()) {
            (true, [(_, why), rest @ ..]) if rest.iter().all(|(_, other)| other == why) => {
                return write!(formatter, " are not compared: {why}");
            }
            (true, _) => formatter.write_str(" are not compared")?,
            (false, _) => write!(formatter, " agree with the calendar for {}", agreed.join(" and "))?,
        }
        skipped.iter().try_for_each(|(day, why)| write!(formatter, "; {day} not compared: {why}"))
    }
}
