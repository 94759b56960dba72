//! The hours at which IBKR itself makes a gateway unavailable: the daily resets of its data centres, the weekend, and the end
//! of the weekly login token. They explain a failure; they never excuse one.
//!
//! Source: IBKR's system status page (daily windows per region, Friday 23:00 to Saturday 03:00 New York for all) and its guide
//! on auto restart (tokens end on Sunday at 01:00 New York). The windows move between years.

use jiff::civil::{Date, Time, Weekday, time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// A window in which IBKR resets servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetWindow {
    /// Which servers.
    pub region: &'static str,
    /// When it begins.
    pub starts: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// How long an account is typically unavailable in it.
    pub length: Length,
}

/// How long an account is typically unavailable within a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Seconds, says IBKR of the daily windows.
    Moments,
    /// The whole window may be down, says IBKR of the weekend.
    Hours,
}

struct Daily {
    region: &'static str,
    zone: &'static str,
    from: Time,
    to: Time,
}

const DAILY: [Daily; 4] = [
    Daily { region: "North America", zone: "America/New_York", from: time(0, 15, 0, 0), to: time(1, 45, 0, 0) },
    Daily { region: "Europe", zone: "Europe/Zurich", from: time(6, 25, 0, 0), to: time(7, 45, 0, 0) },
    Daily { region: "Asia", zone: "Asia/Hong_Kong", from: time(4, 45, 0, 0), to: time(6, 5, 0, 0) },
    Daily { region: "Asia", zone: "Asia/Hong_Kong", from: time(20, 15, 0, 0), to: time(21, 15, 0, 0) },
];

const WEEKEND_FROM: Time = time(23, 0, 0, 0);
const WEEKEND_TO: Time = time(3, 0, 0, 0);
const TOKEN_END: Time = time(1, 0, 0, 0);
const NEW_YORK: &str = "America/New_York";

/// The windows that hold this instant. Which one applies depends on the data centre of the account.
pub fn resets_at(instant: Timestamp) -> Vec<ResetWindow> {
    // No window is longer than a day.
    let Ok(day_before) = instant.checked_sub(24.hours()) else { return Vec::new() };
    let mut windows = resets_between(day_before, instant.checked_add(1.nanosecond()).unwrap_or(instant));
    windows.retain(|window| window.starts <= instant && instant < window.ends);
    windows
}

/// The windows that begin from an instant (inclusive) to another (exclusive), region by region.
pub fn resets_between(from: Timestamp, until: Timestamp) -> Vec<ResetWindow> {
    let daily = DAILY.iter().flat_map(|daily| dates(daily.zone, from, until).map(|date| daily.on(date)));
    let weekends = dates(NEW_YORK, from, until).map(weekend_from);
    let mut windows: Vec<ResetWindow> = daily.chain(weekends).flatten().collect();
    windows.retain(|window| window.starts >= from && window.starts < until);
    windows
}

/// The ends of the weekly login token from an instant (inclusive) to another (exclusive).
pub fn token_ends_between(from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let sundays = dates(NEW_YORK, from, until).filter(|date| date.weekday() == Weekday::Sunday);
    sundays.filter_map(|sunday| at(NEW_YORK, sunday, TOKEN_END)).filter(|end| *end >= from && *end < until).collect()
}

/// The local dates that a span touches.
fn dates(zone: &'static str, from: Timestamp, until: Timestamp) -> impl Iterator<Item = Date> {
    let local = |instant: Timestamp| TimeZone::get(zone).ok().map(|zone| zone.to_datetime(instant).date());
    let span = local(from).zip(local(until));
    span.into_iter().flat_map(|(first, last)| first.series(1.day()).take_while(move |date| *date <= last))
}

fn at(zone: &str, date: Date, time: Time) -> Option<Timestamp> {
    TimeZone::get(zone).ok()?.to_timestamp(date.to_datetime(time)).ok()
}

impl Daily {
    fn on(&self, date: Date) -> Option<ResetWindow> {
        if date.weekday() == Weekday::Saturday {
            return None;
        }
        let (starts, ends) = (at(self.zone, date, self.from)?, at(self.zone, date, self.to)?);
        Some(ResetWindow { region: self.region, starts, ends, length: Length::Moments })
    }
}

fn weekend_from(friday: Date) -> Option<ResetWindow> {
    if friday.weekday() != Weekday::Friday {
        return None;
    }
    let starts = at(NEW_YORK, friday, WEEKEND_FROM)?;
    let ends = at(NEW_YORK, friday.tomorrow().ok()?, WEEKEND_TO)?;
    Some(ResetWindow { region: "all regions", starts, ends, length: Length::Hours })
}

/// The last end of the weekly login token at or before this instant: after it, the next restart needs an approval.
pub fn last_token_end(instant: Timestamp) -> Option<Timestamp> {
    let week_before = instant.checked_sub((24 * 8).hours()).ok()?;
    token_ends_between(week_before, instant.checked_add(1.nanosecond()).ok()?).pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn windows() {
        for (moment, regions, ends) in [
            ("2026-11-23T01:20:00Z", vec![], None),
            ("2026-11-23T05:15:00Z", vec!["North America"], Some("2026-11-23T06:45:00Z")),
            ("2026-11-23T05:30:00Z", vec!["North America", "Europe"], Some("2026-11-23T06:45:00Z")),
            ("2026-07-01T04:15:00Z", vec!["North America"], Some("2026-07-01T05:45:00Z")),
            ("2026-11-23T06:45:00Z", vec![], None),
            ("2026-11-22T20:45:00Z", vec!["Asia"], Some("2026-11-22T22:05:00Z")),
            ("2026-11-28T04:00:00Z", vec!["all regions"], Some("2026-11-28T08:00:00Z")),
            ("2026-11-28T07:59:59Z", vec!["all regions"], Some("2026-11-28T08:00:00Z")),
            ("2026-11-28T08:00:00Z", vec![], None),
        ] {
            let windows = resets_at(instant(moment));
            let seen: Vec<_> = windows.iter().map(|window| window.region).collect();
            assert_eq!(seen, regions, "{moment}");
            assert_eq!(windows.first().map(|window| window.ends), ends.map(instant), "{moment}");
        }
    }

    #[test]
    fn the_token_ends_on_sunday_in_new_york() {
        for (moment, end) in [
            ("2026-11-22T05:59:59Z", "2026-11-15T06:00:00Z"),
            ("2026-11-22T06:00:00Z", "2026-11-22T06:00:00Z"),
            ("2026-11-27T12:00:00Z", "2026-11-22T06:00:00Z"),
            ("2026-07-06T00:00:00Z", "2026-07-05T05:00:00Z"),
        ] {
            assert_eq!(last_token_end(instant(moment)), Some(instant(end)), "{moment}");
        }
    }
}
