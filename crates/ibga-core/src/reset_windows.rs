//! The hours at which IBKR itself makes a gateway unavailable: the daily resets of its data centres, the weekend, and the end
//! of the weekly login token. They explain a failure; they never excuse one.
//!
//! Source: IBKR's system status page (daily windows per region, Friday 23:00 to Saturday 03:00 New York for all) and its guide
//! on auto restart (tokens end on Sunday at 01:00 New York). The windows move between years.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time, Weekday, time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::window::{parse_wall, wall};

/// A window in which IBKR resets servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetWindow {
    /// Which servers.
    pub region: String,
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

/// A window that comes back every day but Saturday. As text: `00:15-01:45 America/New_York North America`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DailyReset {
    region: String,
    zone: TimeZone,
    from: Time,
    to: Time,
}

/// The text is no daily reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a reset window; write span, zone and region, as in `00:15-01:45 America/New_York North America`")]
pub struct NotAReset;

impl FromStr for DailyReset {
    type Err = NotAReset;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split_whitespace();
        let (span, zone) = words.next().zip(words.next()).ok_or(NotAReset)?;
        let (from, to) = span.split_once('-').ok_or(NotAReset)?;
        let (from, to) = parse_wall(from).zip(parse_wall(to)).filter(|(from, to)| from < to).ok_or(NotAReset)?;
        let zone = TimeZone::get(zone).map_err(|_| NotAReset)?;
        let region = words.collect::<Vec<_>>().join(" ");
        if region.is_empty() { Err(NotAReset) } else { Ok(Self { region, zone, from, to }) }
    }
}

impl fmt::Display for DailyReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = self.zone.iana_name().unwrap_or("UTC");
        write!(f, "{}-{} {zone} {}", wall(self.from), wall(self.to), self.region)
    }
}

/// The daily windows as IBKR published them; which one concerns an account depends on the data centre that serves it.
pub const PUBLISHED: [&str; 4] = [
    "00:15-01:45 America/New_York North America",
    "06:25-07:45 Europe/Zurich Europe",
    "04:45-06:05 Asia/Hong_Kong Asia",
    "20:15-21:15 Asia/Hong_Kong Asia",
];

/// [`PUBLISHED`], read.
pub fn published() -> Vec<DailyReset> {
    PUBLISHED.iter().filter_map(|text| text.parse().ok()).collect()
}

const WEEKEND_FROM: Time = time(23, 0, 0, 0);
const WEEKEND_TO: Time = time(3, 0, 0, 0);
const TOKEN_END: Time = time(1, 0, 0, 0);

/// The windows that hold this instant: of these daily ones, and the weekend's.
pub fn resets_at(daily: &[DailyReset], instant: Timestamp) -> Vec<ResetWindow> {
    // No window is longer than a day.
    let Ok(day_before) = instant.checked_sub(24.hours()) else { return Vec::new() };
    let mut windows = resets_between(daily, day_before, instant.checked_add(1.nanosecond()).unwrap_or(instant));
    windows.retain(|window| window.starts <= instant && instant < window.ends);
    windows
}

/// The windows that begin from an instant (inclusive) to another (exclusive), one daily window after the other.
pub fn resets_between(daily: &[DailyReset], from: Timestamp, until: Timestamp) -> Vec<ResetWindow> {
    let daily = daily.iter().flat_map(|daily| dates(&daily.zone, from, until).filter_map(|date| daily.on(date)));
    let new_york = new_york();
    let weekends = dates(&new_york, from, until).filter_map(|date| weekend_from(date, &new_york));
    let mut windows: Vec<ResetWindow> = daily.chain(weekends).collect();
    windows.retain(|window| window.starts >= from && window.starts < until);
    windows
}

/// The ends of the weekly login token from an instant (inclusive) to another (exclusive).
pub fn token_ends_between(from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let new_york = new_york();
    let sundays = dates(&new_york, from, until).filter(|date| date.weekday() == Weekday::Sunday);
    let ends = sundays.filter_map(|sunday| at(&new_york, sunday, TOKEN_END));
    ends.filter(|end| *end >= from && *end < until).collect()
}

/// The zone that IBKR's weekly hours go by. The database of zones is compiled in; without it nothing would be explained.
fn new_york() -> TimeZone {
    TimeZone::get("America/New_York").unwrap_or(TimeZone::UTC)
}

/// The local dates that a span touches.
fn dates(zone: &TimeZone, from: Timestamp, until: Timestamp) -> impl Iterator<Item = Date> + use<> {
    let (first, last) = (zone.to_datetime(from).date(), zone.to_datetime(until).date());
    first.series(1.day()).take_while(move |date| *date <= last)
}

fn at(zone: &TimeZone, date: Date, time: Time) -> Option<Timestamp> {
    zone.to_timestamp(date.to_datetime(time)).ok()
}

impl DailyReset {
    fn on(&self, date: Date) -> Option<ResetWindow> {
        if date.weekday() == Weekday::Saturday {
            return None;
        }
        let (starts, ends) = (at(&self.zone, date, self.from)?, at(&self.zone, date, self.to)?);
        Some(ResetWindow { region: self.region.clone(), starts, ends, length: Length::Moments })
    }
}

fn weekend_from(friday: Date, new_york: &TimeZone) -> Option<ResetWindow> {
    if friday.weekday() != Weekday::Friday {
        return None;
    }
    let starts = at(new_york, friday, WEEKEND_FROM)?;
    let ends = at(new_york, friday.tomorrow().ok()?, WEEKEND_TO)?;
    Some(ResetWindow { region: "all regions".into(), starts, ends, length: Length::Hours })
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
            let windows = resets_at(&published(), instant(moment));
            let seen: Vec<_> = windows.iter().map(|window| window.region.as_str()).collect();
            assert_eq!(seen, regions, "{moment}");
            assert_eq!(windows.first().map(|window| window.ends), ends.map(instant), "{moment}");
        }
    }

    #[test]
    fn what_is_published_reads_back() {
        let texts: Vec<String> = published().iter().map(ToString::to_string).collect();
        assert_eq!(texts, PUBLISHED);
        for text in [
            "",
            "00:15-01:45",
            "00:15-01:45 America/New_York",
            "01:45-00:15 Asia/Hong_Kong Asia",
            "01:45-01:45 Asia/Hong_Kong Asia",
            "00:15-01:45 Mars/X Mars",
        ] {
            assert_eq!(text.parse::<DailyReset>(), Err(NotAReset), "{text}");
        }
    }

    #[test]
    fn a_span_takes_in_its_start_and_not_its_end() {
        let asia: DailyReset = "20:15-21:15 Asia/Hong_Kong Asia".parse().expect("a window");
        let starts = |from: &str, until: &str| -> Vec<String> {
            let windows = resets_between(std::slice::from_ref(&asia), instant(from), instant(until));
            windows.iter().map(|window| window.starts.to_string()).collect()
        };
        // 20:15 in Hong Kong is 12:15 in UTC.
        assert_eq!(starts("2026-11-23T12:15:00Z", "2026-11-24T12:15:00Z"), ["2026-11-23T12:15:00Z"]);
        assert_eq!(starts("2026-11-23T12:15:01Z", "2026-11-24T12:15:00Z"), [""; 0]);
        assert_eq!(starts("2026-11-23T00:00:00Z", "2026-11-23T12:15:01Z"), ["2026-11-23T12:15:00Z"]);
        let end = instant("2026-11-22T06:00:00Z");
        let ends = |from: &str, until: &str| token_ends_between(instant(from), instant(until));
        assert_eq!(ends("2026-11-22T06:00:00Z", "2026-11-29T06:00:00Z"), [end]);
        assert_eq!(ends("2026-11-22T06:00:01Z", "2026-11-29T06:00:00Z"), [end; 0]);
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
