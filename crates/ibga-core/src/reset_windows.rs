//! The hours at which IBKR itself makes a gateway unavailable: the daily resets of its data centres, the weekend, and the end
//! of the weekly login token. They explain a failure; they never excuse one.
//!
//! Source: IBKR's system status page (daily windows per region, Friday 23:00 to Saturday 03:00 New York for all) and its guide
//! on auto restart (tokens end on Sunday at 01:00 New York). The windows move between years.

use jiff::civil::{Time, Weekday, time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// A window in which IBKR resets servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetWindow {
    /// Which servers.
    pub region: &'static str,
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
    let mut windows: Vec<ResetWindow> = DAILY.iter().filter_map(|daily| daily.at(instant)).collect();
    windows.extend(weekend_at(instant));
    windows
}

impl Daily {
    fn at(&self, instant: Timestamp) -> Option<ResetWindow> {
        let local = instant.to_zoned(TimeZone::get(self.zone).ok()?);
        let is_saturday = local.date().weekday() == Weekday::Saturday;
        if is_saturday || local.time() < self.from || local.time() >= self.to {
            return None;
        }
        let ends = local.date().to_datetime(self.to).to_zoned(local.time_zone().clone()).ok()?.timestamp();
        Some(ResetWindow { region: self.region, ends, length: Length::Moments })
    }
}

fn weekend_at(instant: Timestamp) -> Option<ResetWindow> {
    let local = instant.to_zoned(TimeZone::get(NEW_YORK).ok()?);
    let saturday = match local.date().weekday() {
        Weekday::Friday if local.time() >= WEEKEND_FROM => local.date().tomorrow().ok()?,
        Weekday::Saturday if local.time() < WEEKEND_TO => local.date(),
        _ => return None,
    };
    let ends = saturday.to_datetime(WEEKEND_TO).to_zoned(local.time_zone().clone()).ok()?.timestamp();
    Some(ResetWindow { region: "all regions", ends, length: Length::Hours })
}

/// The last end of the weekly login token at or before this instant: after it, the next restart needs an approval.
pub fn last_token_end(instant: Timestamp) -> Option<Timestamp> {
    let local = instant.to_zoned(TimeZone::get(NEW_YORK).ok()?);
    let since_sunday = i64::from(local.date().weekday().to_sunday_zero_offset());
    let sunday = local.date().checked_sub(since_sunday.days()).ok()?;
    let end = sunday.to_datetime(TOKEN_END).to_zoned(local.time_zone().clone()).ok()?.timestamp();
    if end <= instant {
        return Some(end);
    }
    let before = sunday.checked_sub(7.days()).ok()?;
    Some(before.to_datetime(TOKEN_END).to_zoned(local.time_zone().clone()).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn windows() {
        for (instant, regions, ends) in [
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
            let windows = resets_at(at(instant));
            let seen: Vec<_> = windows.iter().map(|window| window.region).collect();
            assert_eq!(seen, regions, "{instant}");
            assert_eq!(windows.first().map(|window| window.ends), ends.map(at), "{instant}");
        }
    }

    #[test]
    fn the_token_ends_on_sunday_in_new_york() {
        for (instant, end) in [
            ("2026-11-22T05:59:59Z", "2026-11-15T06:00:00Z"),
            ("2026-11-22T06:00:00Z", "2026-11-22T06:00:00Z"),
            ("2026-11-27T12:00:00Z", "2026-11-22T06:00:00Z"),
            ("2026-07-06T00:00:00Z", "2026-07-05T05:00:00Z"),
        ] {
            assert_eq!(last_token_end(at(instant)), Some(at(end)), "{instant}");
        }
    }
}
