//! The pages of `ibga calendar` for a person: now and the next trading sessions, and what is known of each year.

use std::ops::RangeInclusive;

use ibga_core::calendar::{
    COVERAGE_WARNING_DAYS, Calendar, Combination, DataQuality, Day, DayLength, Market, MarketMoment, MarketState,
    TradingSession,
};
use ibga_core::gate::{market_text, market_warnings};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::cli::preflight::HereAndNow;
use crate::output::{Paint, wrapped};

/// The width of the text.
pub(super) const WIDTH: usize = 80;

/// The column at which the texts begin.
const INDENT: usize = 10;

/// How many trading sessions are shown.
const SESSIONS: usize = 5;

/// The width of the hours of an exchange, `Thu 24 Dec  09:30-12:00 13:00-16:00`.
const HOURS_WIDTH: usize = 38;

fn entry(name: &str, text: &str) -> String {
    format!("{name:<INDENT$}{}", wrapped(text, WIDTH, INDENT))
}

/// Now, and the next trading sessions.
pub(super) fn sessions(calendar: &Calendar, at: &HereAndNow, paint: Paint) -> String {
    let exchange = calendar.exchange();
    let mut lines = vec![entry(exchange.mic(), exchange.name())];
    lines.push(told(&Market::of_one(calendar.clone()).at(at.now), "Now", paint));
    if let Some(zone) = calendar.zone() {
        lines.extend(table(&next_sessions(calendar, at.now), zone, &at.zone));
    }
    let date = calendar.local_date(at.now);
    if let Some((date, source)) = date.and_then(|date| Some((date, calendar.source(date.year())?))) {
        let year = date.year();
        lines.push(entry("Data", &format!("{year} {}: {source}", calendar.quality(year).code())));
    }
    lines.join("\n")
}

/// What several exchanges come to.
pub(super) fn market(market: &MarketMoment, paint: Paint) -> String {
    let name = match market.combination {
        Combination::All => "Together",
        Combination::Any => "Any",
    };
    told(market, name, paint)
}

fn told(market: &MarketMoment, name: &str, paint: Paint) -> String {
    let text = wrapped(&market_text(market), WIDTH, INDENT);
    let text = if market.state == MarketState::Open { paint.good(&text) } else { text };
    let warnings = market_warnings(market).into_iter().map(|warning| {
        let warning = wrapped(&warning, WIDTH, INDENT);
        format!("\n{:<INDENT$}{}", "Warning", paint.caution(&warning))
    });
    format!("{name:<INDENT$}{text}{}", warnings.collect::<String>())
}

/// The trading sessions that are not over at an instant, today's with them.
fn next_sessions(calendar: &Calendar, now: Timestamp) -> Vec<TradingSession> {
    let Some(today) = calendar.local_date(now) else { return Vec::new() };
    let mut sessions = Vec::new();
    if let Day::Session(session) = calendar.session_on(today)
        && session.close > now
    {
        sessions.push(session);
    }
    let mut date = today;
    while sessions.len() < SESSIONS {
        let Some(session) = calendar.session_after(date) else { break };
        date = session.date;
        sessions.push(session);
    }
    sessions
}

/// Trading sessions in the zone of the exchange and, where the clocks differ, in that of this machine.
fn table(sessions: &[TradingSession], zone: &TimeZone, here: &TimeZone) -> Vec<String> {
    let same_clock = |session: &TradingSession| zone.to_offset(session.open) == here.to_offset(session.open);
    let is_elsewhere = !sessions.iter().all(same_clock);
    let name = |zone: &TimeZone| zone.iana_name().unwrap_or("local time").trim_start_matches("Etc/").to_owned();
    let mut lines = Vec::new();
    if sessions.is_empty() {
        return lines;
    }
    let head = if is_elsewhere { format!("{:<HOURS_WIDTH$}here ({})", name(zone), name(here)) } else { name(zone) };
    lines.push(format!("{:<INDENT$}{head}", "Sessions"));
    for session in sessions {
        let there = format!("{}  {}", session.date.strftime("%a %e %b"), hours(session, zone));
        let line = if is_elsewhere {
            format!("{there:<HOURS_WIDTH$}{}{}", weekday_elsewhere(session, here), hours(session, here))
        } else {
            there
        };
        lines.push(format!("{:INDENT$}{}", "", line.trim_end()));
        if let Some(reason) = special(session) {
            lines.push(format!("{:w$}{reason}", "", w = INDENT + 4));
        }
    }
    lines
}

/// What is special about a session: `half day, Eve of Christmas`.
fn special(session: &TradingSession) -> Option<String> {
    let reason = session.reason.as_deref();
    match session.length {
        DayLength::Half => Some(format!("half day: {}", reason.unwrap_or("no name is given"))),
        DayLength::Full => reason.map(str::to_owned),
    }
}

/// `Mon `, where a session begins on another date than that of its exchange.
fn weekday_elsewhere(session: &TradingSession, here: &TimeZone) -> String {
    let date = here.to_datetime(session.open).date();
    if date == session.date { String::new() } else { date.strftime("%a ").to_string() }
}

/// `09:30-12:00 13:00-16:00`.
pub(super) fn hours(session: &TradingSession, zone: &TimeZone) -> String {
    let wall = |instant: Timestamp| zone.to_datetime(instant).strftime("%H:%M").to_string();
    let (open, close) = (wall(session.open), wall(session.close));
    match session.lunch {
        Some((start, end)) => format!("{open}-{} {}-{close}", wall(start), wall(end)),
        None => format!("{open}-{close}"),
    }
}

/// What is known of an exchange, from where, and to when.
pub(super) fn coverage(calendar: &Calendar, at: &HereAndNow, paint: Paint) -> String {
    let exchange = calendar.exchange();
    let zone = calendar.zone().and_then(TimeZone::iana_name).unwrap_or("no zone");
    let mut lines = vec![format!("{exchange}  {}, {zone}", exchange.name())];
    for (years, quality, source) in spans(calendar) {
        let (first, last) = (years.start(), years.end());
        let span = if first == last { first.to_string() } else { format!("{first}-{last}") };
        lines.push(year_row(&span, quality, &source));
    }
    lines.push(end(calendar, at, paint));
    for line in calendar.overrides() {
        lines.push(format!("      {}", paint.caution(&wrapped(&format!("override {line}"), WIDTH, 15))));
    }
    for line in calendar.idle_overrides() {
        lines.push(format!("      {}", paint.bad(&wrapped(&format!("override {line}"), WIDTH, 15))));
    }
    lines.join("\n")
}

fn year_row(years: &str, quality: &str, text: &str) -> String {
    let head = format!("      {years:<9}  {quality:<8}  ");
    let indent = head.len();
    format!("{head}{}", wrapped(text, WIDTH, indent))
}

/// The row of the years that are not known.
fn end(calendar: &Calendar, at: &HereAndNow, paint: Paint) -> String {
    let unknown = DataQuality::Unknown.code();
    let Some((coverage, date)) = calendar.coverage().zip(calendar.local_date(at.now)) else {
        let fault = calendar.fault().map(ToString::to_string).unwrap_or_default();
        return paint.bad(&year_row("all", unknown, &fault));
    };
    let last = coverage.last;
    let years = format!("{} on", last.year() + 1);
    match coverage.days_left(date) {
        days if days < 0 => {
            paint.bad(&year_row(&years, unknown, &format!("the calendar ended on {last}: update ibga")))
        }
        days if days <= COVERAGE_WARNING_DAYS => {
            let text = format!("the calendar ends on {last}, in {days} days: update ibga");
            paint.caution(&year_row(&years, unknown, &text))
        }
        _ => year_row(&years, unknown, &format!("the calendar ends on {last}")),
    }
}

/// The years of a calendar; neighbours with one mark and one source are told as one.
fn spans(calendar: &Calendar) -> Vec<(RangeInclusive<i16>, &'static str, String)> {
    let mut spans: Vec<(RangeInclusive<i16>, &'static str, String)> = Vec::new();
    for year in calendar.years() {
        let (quality, source) = (calendar.quality(year).code(), calendar.source(year).unwrap_or_default());
        match spans.last_mut() {
            Some((years, same, text)) if *same == quality && text == source => *years = *years.start()..=year,
            _ => spans.push((year..=year, quality, source.to_owned())),
        }
    }
    spans
}

/// What is known of an exchange, as a program reads it.
pub(super) fn coverage_document(calendar: &Calendar, at: &HereAndNow) -> Value {
    let exchange = calendar.exchange();
    let years: Vec<Value> = calendar
        .years()
        .map(|year| json!({"year": year, "data": calendar.quality(year).code(), "source": calendar.source(year)}))
        .collect();
    let coverage = calendar.coverage();
    let date = |date: Option<Date>| date.map(|date| date.to_string());
    json!({
        "exchange": exchange.mic(),
        "name": exchange.name(),
        "zone": calendar.zone().and_then(TimeZone::iana_name),
        "first": date(coverage.map(|coverage| coverage.first)),
        "last": date(coverage.map(|coverage| coverage.last)),
        "days_left": coverage.zip(calendar.local_date(at.now)).map(|(coverage, date)| coverage.days_left(date)),
        "years": years,
        "overrides": calendar.overrides().map(|line| line.to_string()).collect::<Vec<_>>(),
        "idle_overrides": calendar.idle_overrides().map(|line| line.to_string()).collect::<Vec<_>>(),
    })
}
