//! The schedule around an exchange: when the status is checked, when the agent starts, and what IBKR does in between. Pure: a plan,
//! a calendar and a span of time give what will happen.

use jiff::civil::{Date, Time, Weekday, time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::calendar::{Calendar, Day, Market, MarketState, Phase, TradingSession};
use crate::gate::market_text;
use crate::reset_windows::{self, DailyReset};
use crate::window::trades_from;

/// How long before an agent run the status is checked: well within the age at which it is stale.
const CHECK_LEAD: SignedDuration = SignedDuration::from_mins(5);

/// How long before the open the first check of a day is made, so that a person has time to approve a login.
const PRE_MARKET_LEAD: SignedDuration = SignedDuration::from_mins(90);

/// The checks on Sundays, after the weekly login has ended in New York.
const SUNDAY_CHECKS: [Time; 3] = [time(17, 0, 0, 0), time(20, 0, 0, 0), time(22, 0, 0, 0)];

/// How long after the open the hourly checks begin, and how far apart they are.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// How far a regular day of trading is looked for, to learn an exchange's hours: ahead, and behind for a calendar that has ended.
const REGULAR_DAY_AHEAD: usize = 31;
const REGULAR_DAY_BEHIND: usize = 800;

/// The most days that can be looked ahead.
pub const DAYS_MAX: i32 = 366;

/// When jobs run, by the exchange's wall clock. Times rise and do not repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Starts of the agent, on trading days.
    pub agent: Vec<Time>,
    /// Checks of the status, on trading days.
    pub checks: Vec<Time>,
    /// Checks on Sundays, when the weekly login has ended and somebody may have to approve.
    pub sunday_checks: Vec<Time>,
}

/// What an operator wants instead of what the exchange's hours say; an empty list means none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Starts of the agent.
    pub agent: Option<Vec<Time>>,
    /// Checks on trading days.
    pub checks: Option<Vec<Time>>,
    /// Checks on Sundays.
    pub sunday_checks: Option<Vec<Time>>,
}

impl Plan {
    /// The plan for an exchange as its hours are on and after a date: the agent at each start of continuous trading, checks 90
    /// minutes before the open, 5 minutes before each agent run, and hourly from an hour after the open; on Sundays at 17:00,
    /// 20:00 and 22:00. Where its calendar has ended the last known hours count. `None` without a calendar.
    pub fn for_exchange(calendar: &Calendar, from: Date, wishes: &Wishes) -> Option<Self> {
        let zone = calendar.zone()?;
        let wall = |instant: Timestamp| zone.to_datetime(instant).time();
        let session = regular_session(calendar, from)?;
        let (open, close) = (wall(session.open), wall(session.close));
        let starts = [Some(session.open), session.lunch.map(|(_, end)| end)];
        let agent = rising(wishes.agent.clone().unwrap_or_else(|| starts.into_iter().flatten().map(wall).collect()));
        let checks = wishes.checks.clone().unwrap_or_else(|| {
            let before_runs = agent.iter().map(|time| time.saturating_sub(CHECK_LEAD));
            let hours = std::iter::successors(Some(open.wrapping_add(HOUR)), |time| time.checked_add(HOUR).ok());
            let hourly = hours.take_while(|time| *time < close);
            std::iter::once(open.saturating_sub(PRE_MARKET_LEAD)).chain(before_runs).chain(hourly).collect()
        });
        let sunday_checks = wishes.sunday_checks.clone().unwrap_or_else(|| SUNDAY_CHECKS.to_vec());
        Some(Self { agent, checks: rising(checks), sunday_checks: rising(sunday_checks) })
    }
}

/// A trading session of a regular day, near a date.
fn regular_session(calendar: &Calendar, from: Date) -> Option<TradingSession> {
    let ahead = from.series(1.day()).take(REGULAR_DAY_AHEAD);
    let behind = from.series(-1.day()).take(REGULAR_DAY_BEHIND);
    ahead.chain(behind).find_map(|date| match calendar.session_on(date) {
        Day::Session(session) if session.reason.is_none() => Some(session),
        _ => None,
    })
}

/// Sorted, without repetitions.
pub fn rising(times: impl IntoIterator<Item = Time>) -> Vec<Time> {
    let mut times: Vec<Time> = times.into_iter().collect();
    times.sort_unstable();
    times.dedup();
    times
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The status is checked.
    Check,
    /// The agent starts, if the gate lets it.
    Agent,
    /// An agent run of the plan for which the market is not open.
    NoAgent {
        /// What the market does instead.
        market: String,
    },
    /// A weekday without trading begins.
    Closed {
        /// What the market does instead.
        market: String,
    },
    /// Dates begin of which some calendar knows nothing: the gate will say no, and nothing more is told of weekdays.
    Unknown,
    /// IBKR resets servers.
    Reset {
        /// Which.
        region: String,
        /// Until when.
        until: Timestamp,
    },
    /// The weekly login ends: the next restart needs an approval.
    TokenEnd,
}

impl What {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Agent => "agent",
            Self::NoAgent { .. } => "no_agent",
            Self::Closed { .. } => "closed",
            Self::Unknown => "unknown",
            Self::Reset { .. } => "reset",
            Self::TokenEnd => "token_end",
        }
    }
}

/// Something that happens at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What happens from an instant (inclusive) to another (exclusive), in the order of time. At most [`DAYS_MAX`] days are looked at.
pub fn events(plan: &Plan, market: &Market, resets: &[DailyReset], from: Timestamp, until: Timestamp) -> Vec<Event> {
    let zone = market.first().and_then(Calendar::zone).cloned().unwrap_or(TimeZone::UTC);
    let first = zone.to_datetime(from).date();
    let mut all = Vec::new();
    let mut was_known = true;
    for date in first.series(1.day()).take(DAYS_MAX.unsigned_abs() as usize + 1) {
        let Ok(begins) = zone.to_timestamp(date.to_datetime(Time::midnight())) else { continue };
        if begins >= until {
            break;
        }
        let day = PlannedDay { plan, market, zone: &zone, date, begins: begins.max(from) };
        let is_known = day.is_known();
        if was_known && !is_known {
            all.push(Event { at: day.begins, what: What::Unknown });
        }
        was_known = is_known;
        all.extend(day.events());
    }
    let resets = reset_windows::resets_between(resets, from, until);
    all.extend(
        resets
            .into_iter()
            .map(|window| Event { at: window.starts, what: What::Reset { region: window.region, until: window.ends } }),
    );
    let ends = reset_windows::token_ends_between(from, until);
    all.extend(ends.into_iter().map(|at| Event { at, what: What::TokenEnd }));
    all.retain(|event| event.at >= from && event.at < until);
    // Stable, so that what happens at one instant stays in the order of the plan.
    all.sort_by_key(|event| event.at);
    all
}

/// One date of the plan.
struct PlannedDay<'a> {
    plan: &'a Plan,
    market: &'a Market,
    zone: &'a TimeZone,
    date: Date,
    /// When the date begins, or the span within it.
    begins: Timestamp,
}

impl PlannedDay<'_> {
    fn events(&self) -> Vec<Event> {
        match self.date.weekday() {
            Weekday::Sunday => self.checks(&self.plan.sunday_checks),
            Weekday::Saturday => Vec::new(),
            // What happens there is up to the gate, which will say no.
            _ if !self.is_known() => Vec::new(),
            _ => match trades_from(self.midnight(), self.zone, self.market) {
                Ok(()) => self.trading(),
                Err(_) => vec![Event {
                    at: self.begins,
                    what: What::Closed { market: market_text(&self.market.at(self.begins)) },
                }],
            },
        }
    }

    fn trading(&self) -> Vec<Event> {
        let mut events = self.checks(&self.plan.checks);
        events.retain(|event| trades_from(event.at, self.zone, self.market).is_ok());
        events.extend(self.instants(&self.plan.agent).map(|at| {
            let moment = self.market.at(at);
            let is_open = moment.state == MarketState::Open;
            let what = if is_open { What::Agent } else { What::NoAgent { market: market_text(&moment) } };
            Event { at, what }
        }));
        events
    }

    fn checks(&self, times: &[Time]) -> Vec<Event> {
        self.instants(times).map(|at| Event { at, what: What::Check }).collect()
    }

    fn instants(&self, times: &[Time]) -> impl Iterator<Item = Timestamp> {
        times.iter().filter_map(|time| self.zone.to_timestamp(self.date.to_datetime(*time)).ok())
    }

    fn midnight(&self) -> Timestamp {
        self.instants(&[Time::midnight()]).next().unwrap_or(self.begins)
    }

    /// Whether every exchange of the market knows the date.
    fn is_known(&self) -> bool {
        self.market.at(self.midnight()).members.iter().all(|member| member.moment.phase != Phase::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Exchange;
    use crate::window::wall;

    fn instant(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn plan(calendar: &Calendar) -> Plan {
        Plan::for_exchange(calendar, "2026-11-24".parse().expect("a date"), &Wishes::default()).expect("a plan")
    }

    /// What happens between two instants, in the exchange's zone, as `Tue 08:00 check`.
    fn told(from: &str, until: &str) -> Vec<String> {
        let calendar = Calendar::for_exchange(Exchange::XHKG);
        let zone = calendar.zone().expect("a zone").clone();
        events(&plan(&calendar), &Market::of_one(calendar), &reset_windows::published(), instant(from), instant(until))
            .iter()
            .map(|event| {
                let local = |instant: Timestamp| instant.to_zoned(zone.clone()).strftime("%a %H:%M").to_string();
                let more = match &event.what {
                    What::NoAgent { market } | What::Closed { market } => format!(": {market}"),
                    What::Reset { region, until } => format!(" {region} until {}", local(*until)),
                    _ => String::new(),
                };
                format!("{} {}{more}", local(event.at), event.what.code())
            })
            .collect()
    }

    #[test]
    fn the_plan_for_hong_kong() {
        let plan = plan(&Calendar::for_exchange(Exchange::XHKG));
        let walls = |times: &[Time]| times.iter().copied().map(wall).collect::<Vec<_>>();
        assert_eq!(walls(&plan.agent), ["09:30", "13:00"]);
        let hourly = ["10:30", "11:30", "12:30", "12:55", "13:30", "14:30", "15:30"];
        assert_eq!(walls(&plan.checks), [&["08:00", "09:25"][..], &hourly].concat());
        assert_eq!(walls(&plan.sunday_checks), ["17:00", "20:00", "22:00"]);
    }

    #[test]
    fn the_plan_follows_regular_days_and_outlives_the_data() {
        let calendar = Calendar::for_exchange(Exchange::XHKG);
        let on = |date: &str| Plan::for_exchange(&calendar, date.parse().expect("a date"), &Wishes::default());
        for date in ["2026-12-24", "2026-12-31", "2027-12-31", "2028-01-03", "2029-06-01"] {
            assert_eq!(on(date), on("2026-11-24"), "{date}");
        }
    }

    #[test]
    fn wishes_take_the_place_of_what_the_hours_say() {
        let calendar = Calendar::for_exchange(Exchange::XHKG);
        let plan = |wishes: &Wishes| {
            Plan::for_exchange(&calendar, "2026-11-24".parse().expect("a date"), wishes).expect("a plan")
        };
        let walls = |times: &[Time]| times.iter().copied().map(wall).collect::<Vec<_>>().join(" ");
        let agent = Some(vec![time(14, 20, 0, 0), time(10, 15, 0, 0)]);
        let moved = plan(&Wishes { agent, ..Wishes::default() });
        assert_eq!(walls(&moved.agent), "10:15 14:20");
        // The checks before the agent move with it.
        assert_eq!(walls(&moved.checks), "08:00 10:10 10:30 11:30 12:30 13:30 14:15 14:30 15:30");
        let none = plan(&Wishes { agent: Some(vec![]), checks: Some(vec![]), sunday_checks: Some(vec![]) });
        assert_eq!(none, Plan { agent: vec![], checks: vec![], sunday_checks: vec![] });
    }

    #[test]
    fn the_hourly_checks_end_before_the_close() {
        let singapore: Exchange = "XSES".parse().expect("an exchange");
        let plan = plan(&Calendar::for_exchange(singapore));
        // Open at 09:00, close at 17:00: a check at the close would have nothing to say.
        assert_eq!(plan.checks.last().copied().map(wall).as_deref(), Some("16:00"));
    }

    #[test]
    fn a_year_is_looked_at_and_no_more() {
        let calendar = Calendar::for_exchange(Exchange::XHKG);
        let (from, until) = (instant("2025-01-01T00:00+08:00"), instant("2027-12-31T00:00+08:00"));
        let all = events(&plan(&calendar), &Market::of_one(calendar), &[], from, until);
        let last = all.iter().rfind(|event| event.what == What::Agent).expect("an event").at;
        assert_eq!(last, instant("2026-01-02T13:00+08:00"), "{DAYS_MAX} days, and the one on which they begin");
    }

    #[test]
    fn a_half_day_a_holiday_and_the_weekend() {
        assert_eq!(
            told("2026-12-24T00:00+08:00", "2026-12-28T00:00+08:00"),
            [
                "Thu 04:45 reset Asia until Thu 06:05",
                "Thu 08:00 check",
                "Thu 09:25 check",
                "Thu 09:30 agent",
                "Thu 10:30 check",
                "Thu 11:30 check",
                "Thu 13:00 no_agent: XHKG has closed early today (Eve of Christmas), opens Mon 28 Dec 09:30 +08:00",
                "Thu 13:15 reset North America until Thu 14:45",
                "Thu 13:25 reset Europe until Thu 14:45",
                "Thu 20:15 reset Asia until Thu 21:15",
                "Fri 00:00 closed: XHKG is closed for a holiday (Christmas Day), opens Mon 28 Dec 09:30 +08:00",
                "Fri 04:45 reset Asia until Fri 06:05",
                "Fri 13:15 reset North America until Fri 14:45",
                "Fri 13:25 reset Europe until Fri 14:45",
                "Fri 20:15 reset Asia until Fri 21:15",
                "Sat 12:00 reset all regions until Sat 16:00",
                "Sun 04:45 reset Asia until Sun 06:05",
                "Sun 13:15 reset North America until Sun 14:45",
                "Sun 13:25 reset Europe until Sun 14:45",
                "Sun 14:00 token_end",
                "Sun 17:00 check",
                "Sun 20:00 check",
                "Sun 20:15 reset Asia until Sun 21:15",
                "Sun 22:00 check",
            ]
        );
    }

    #[test]
    fn a_span_takes_in_its_start_and_not_its_end() {
        assert_eq!(told("2026-11-23T09:25+08:00", "2026-11-23T09:30+08:00"), ["Mon 09:25 check"]);
        assert_eq!(told("2026-11-23T09:25:01+08:00", "2026-11-23T09:30+08:00"), [""; 0]);
        assert_eq!(told("2026-11-23T09:25+08:00", "2026-11-23T09:25+08:00"), [""; 0]);
        assert_eq!(
            told("2026-12-25T10:00+08:00", "2026-12-25T12:00+08:00"),
            ["Fri 10:00 closed: XHKG is closed for a holiday (Christmas Day), opens Mon 28 Dec 09:30 +08:00"]
        );
    }

    #[test]
    fn past_the_data_is_said_once() {
        let told = told("2027-12-31T00:00+08:00", "2028-01-05T00:00+08:00");
        let unknown: Vec<_> = told.iter().filter(|line| line.ends_with("unknown")).collect();
        assert_eq!(unknown, ["Sat 00:00 unknown"], "{told:?}");
        assert!(!told.iter().any(|line| line.starts_with("Mon") && line.contains("agent")), "{told:?}");
    }
}
