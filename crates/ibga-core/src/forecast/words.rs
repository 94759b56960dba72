//! The forecast in words for a person: what, when by the clock of the reader's zone, and what to do.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Falls, Forecast, Reset, When};
use crate::alert::Trading;

/// The time of reading, and the zone in which times are told.
#[derive(Clone, Copy, Debug)]
struct Clock<'a> {
    now: Timestamp,
    zone: &'a TimeZone,
}

impl Clock<'_> {
    /// `14:00`, or `Sun 29 Nov 14:00` on another day.
    fn time(self, instant: Timestamp) -> String {
        self.time_from(self.now, instant)
    }

    /// The same for an instant that is told after another one.
    fn time_from(self, before: Timestamp, instant: Timestamp) -> String {
        let (local, before) = (instant.to_zoned(self.zone.clone()), before.to_zoned(self.zone.clone()));
        let format = if local.date() == before.date() { "%H:%M" } else { "%a %-d %b %H:%M" };
        local.strftime(format).to_string()
    }

    /// `Sun 29 Nov 14:00 HKT`.
    fn time_in_zone(self, instant: Timestamp) -> String {
        format!("{} {}", self.time(instant), self.zone_at(instant))
    }

    /// `HKT`, or the offset where a zone has no such name.
    fn zone_at(self, instant: Timestamp) -> String {
        instant.to_zoned(self.zone.clone()).strftime("%Z").to_string()
    }

    /// `Sun 29 Nov 04:45-06:05`.
    fn span(self, window: &Reset) -> String {
        if window.is_on(self.now) {
            return format!("now until {}", self.time(window.ends));
        }
        format!("{}-{}", self.time(window.starts), self.time_from(window.starts, window.ends))
    }

    /// `Sun 29 Nov 04:45-06:05 HKT`.
    fn span_in_zone(self, window: &Reset) -> String {
        format!("{} {}", self.span(window), self.zone_at(window.ends))
    }
}

impl Forecast {
    /// When to approve: `the weekly login ends Sun 29 Nov 14:00 HKT, before the next trading session: approve the next login
    /// between then and Mon 30 Nov 09:30`.
    pub fn approval_text(&self, now: Timestamp, zone: &TimeZone) -> String {
        let clock = Clock { now, zone };
        match self.approval.when {
            When::Now => format!("{}{}", self.approve_now(clock), self.and_again(clock)),
            When::AtRestart => format!(
                "the weekly login ended {}: unless one was approved since, the next restart asks for an approval{}",
                clock.time_in_zone(self.token.last),
                self.approval.until.map(|open| format!("; give it before {}", clock.time(open))).unwrap_or_default()
            ),
            When::AfterTokenEnd => {
                let approve = match self.approval.until {
                    Some(open) => format!("between then and {}", clock.time(open)),
                    None => "after that; when trading begins then is not known".to_owned(),
                };
                let ends = clock.time_in_zone(self.token.ends);
                format!("the weekly login ends {ends}{}: approve the next login {approve}", remark(self.token.falls))
            }
        }
    }

    fn approve_now(&self, clock: Clock<'_>) -> String {
        let when = match self.approval.from {
            Some(from) => format!("when IBKR's weekend maintenance is over, {}", clock.time_in_zone(from)),
            None => "now".to_owned(),
        };
        let by = match (self.approval.until, self.trading) {
            (Some(open), _) => format!(", before trading begins {}", clock.time_in_zone(open)),
            (None, Trading::On) => ", trading is on".to_owned(),
            (None, Trading::Off | Trading::Unknown) => String::new(),
        };
        format!("nobody is logged in: approve the login {when}{by}")
    }

    /// What an approval of now does not last for.
    fn and_again(&self, clock: Clock<'_>) -> String {
        if self.token.falls != Falls::BeforeOpen {
            return String::new();
        }
        format!("; the weekly login ends {}, and the first restart after it asks again", clock.time(self.token.ends))
    }

    /// IBKR's resets: `nightly reset Sun 29 Nov 04:45-06:05 HKT (Asia), before the next trading session; usually moments`.
    pub fn resets_text(&self, now: Timestamp, zone: &TimeZone) -> String {
        let clock = Clock { now, zone };
        let weekend = self.tells_weekend().then(|| {
            let (span, falls) = (clock.span_in_zone(&self.weekend), self.weekend.falls);
            // Where it lies is clear but for the hours in which somebody may trade.
            let remark = if falls == Falls::InTrading { remark(falls) } else { "" };
            format!("weekend maintenance {span} ({}){remark}; may be down for hours", self.weekend.region)
        });
        let nightly = match self.nightly.as_slice() {
            [] => None,
            [only] => {
                let (span, remark) = (clock.span_in_zone(only), remark(only.falls));
                Some(format!("nightly reset {span} ({}){remark}; usually moments", only.region))
            }
            // Which one serves the account is not known, or only that one would be set.
            several => {
                let one = |window: &Reset| {
                    let remark = match window.falls {
                        Falls::BeforeOpen => " (before the open)",
                        Falls::InTrading => " (in trading hours)",
                        Falls::AfterOpen | Falls::Unknown => "",
                    };
                    format!("{} {}{remark}", window.region, clock.span(window))
                };
                let all: Vec<String> = several.iter().map(one).collect();
                let zone = clock.zone_at(now);
                Some(format!(
                    "nightly reset, by where the account is served ({zone}): {}; usually moments",
                    all.join(", ")
                ))
            }
        };
        weekend.into_iter().chain(nightly).collect::<Vec<_>>().join("; ")
    }

    /// Whether the weekend is worth a word: it comes first, or concerns the trading that is next.
    fn tells_weekend(&self) -> bool {
        matches!(self.weekend.falls, Falls::BeforeOpen | Falls::InTrading)
            || self.nightly.first().is_none_or(|first| self.weekend.starts <= first.starts)
    }
}

fn remark(falls: Falls) -> &'static str {
    match falls {
        Falls::BeforeOpen => ", before the next trading session",
        Falls::InTrading => ", while there is trading",
        Falls::AfterOpen | Falls::Unknown => "",
    }
}
