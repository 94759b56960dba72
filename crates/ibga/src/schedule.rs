//! The schedule as a scheduler takes it: for cron, which goes by the host's zone and knows no holidays, and for systemd, whose
//! timers name a zone. Pure text; installing it is the command's part.
//!
//! Every job carries its window in the exchange's zone, so that one that runs at a wrong hour or on a closed day starts nothing.

pub mod crontab;
pub mod units;

use std::time::Duration;

use ibga_core::schedule::Plan;
use ibga_core::window::{Days, Window};
use jiff::SignedDuration;
use jiff::civil::{Time, Weekday};

/// How long after its time a job may still start. Shorter than any shift of a clock, so that a job at a wrong hour starts nothing.
const LATE_MAX: SignedDuration = SignedDuration::from_mins(15);

/// Trading days are among these; which of them are none is each job's own business.
const TRADING_WEEKDAYS: [Weekday; 5] =
    [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday];

/// What the jobs are made of.
#[derive(Clone, Debug)]
pub struct Jobs {
    /// The gateway's name.
    pub gateway: String,
    /// The exchange's market identifier code.
    pub exchange: &'static str,
    /// This program, as a whole path.
    pub program: String,
    /// Where the jobs run: there `.env` and a relative path are looked for.
    pub folder: String,
    /// Flags that every job gets.
    pub flags: Vec<String>,
    /// Settings that stand in this process's environment alone, by their variables.
    pub environment: Vec<(String, String)>,
    /// The longest that a check may take, with the wait for another one.
    pub check_limit: Duration,
    /// The agent and its arguments; empty if there is none to start.
    pub agent: Vec<String>,
    /// When.
    pub plan: Plan,
}

/// What the watch of all gateways is made of; it has no times.
#[derive(Clone, Debug)]
pub struct WatchJob {
    /// This program, as a whole path.
    pub program: String,
    /// Where it runs: there `.env` and a relative path are looked for.
    pub folder: String,
    /// Its flags.
    pub flags: Vec<String>,
    /// Settings that stand in this process's environment alone, by their variables.
    pub environment: Vec<(String, String)>,
}

impl WatchJob {
    /// The words of its command.
    pub fn command(&self) -> Vec<String> {
        [self.program.clone(), "watch".into()].into_iter().chain(self.flags.iter().cloned()).collect()
    }
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Checks the status.
    Check,
    /// Starts the agent, if the gate lets it.
    Agent,
}

/// One time of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// What.
    pub kind: Kind,
    /// On which days.
    pub days: Days,
    /// When, by the exchange's wall clock.
    pub time: Time,
}

impl Slot {
    /// The weekdays on which a scheduler has to run it.
    pub fn weekdays(&self) -> Vec<Weekday> {
        match self.days {
            Days::Trading => TRADING_WEEKDAYS.to_vec(),
            Days::Weekly(weekday) => vec![weekday],
            Days::Daily => Weekday::Monday.cycle_forward().take(7).collect(),
        }
    }

    /// When it may start.
    pub fn window(&self) -> Window {
        Window::lasting(self.days, self.time, LATE_MAX)
    }
}

impl Jobs {
    /// Every time of the plan, in the order of a day; the agent's only if there is one.
    pub fn slots(&self) -> Vec<Slot> {
        let slots = |kind, days, times: &[Time]| -> Vec<Slot> {
            times.iter().map(|time| Slot { kind, days, time: *time }).collect()
        };
        let mut trading = slots(Kind::Check, Days::Trading, &self.plan.checks);
        if !self.agent.is_empty() {
            trading.extend(slots(Kind::Agent, Days::Trading, &self.plan.agent));
        }
        trading.sort_by_key(|slot| slot.time);
        trading.extend(slots(Kind::Check, Days::Weekly(Weekday::Sunday), &self.plan.sunday_checks));
        trading
    }

    /// The words of a job's command.
    pub fn command(&self, kind: Kind, windows: &[Window]) -> Vec<String> {
        let mut words = vec![self.program.clone()];
        match kind {
            Kind::Check => words.extend(["check".into(), "-q".into()]),
            Kind::Agent => words.push("run".into()),
        }
        words.extend(self.flags.iter().cloned());
        words.extend(windows.iter().flat_map(|window| ["--window".to_owned(), window.to_string()]));
        if kind == Kind::Agent {
            words.push("--".into());
            words.extend(self.agent.iter().cloned());
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use ibga_core::calendar::{Calendar, Exchange};
    use ibga_core::schedule::Wishes;

    use super::*;

    /// The jobs of the default plan for Hong Kong.
    pub(super) fn jobs() -> Jobs {
        let calendar = Calendar::for_exchange(Exchange::XHKG);
        Jobs {
            gateway: "default".into(),
            exchange: "XHKG",
            program: "/usr/local/bin/ibga".into(),
            folder: "/home/trader/desk 1".into(),
            flags: vec![],
            environment: vec![("IBGA_EXPECT_MODE".into(), "paper".into())],
            check_limit: Duration::from_secs(64),
            agent: vec!["./agent.py".into(), "--note".into(), "100% of it".into()],
            plan: Plan::for_exchange(&calendar, "2026-11-24".parse().expect("a date"), &Wishes::default())
                .expect("a plan"),
        }
    }

    /// The watch of a configuration.
    pub(super) fn watch_job() -> WatchJob {
        WatchJob {
            program: "/usr/local/bin/ibga".into(),
            folder: "/home/trader/desk 1".into(),
            flags: vec!["--config".into(), "/etc/ibga/ibga.toml".into()],
            environment: vec![("IBGA_STATE_DIR".into(), "/var/lib/ibga".into())],
        }
    }

    #[test]
    fn a_job_may_start_a_quarter_of_an_hour_late_but_never_the_day_after() {
        for (hour, minute, window) in
            [(9, 30, "09:30-09:45"), (23, 50, "23:50-24:00"), (23, 59, "23:59-24:00"), (0, 0, "00:00-00:15")]
        {
            let slot = Slot { kind: Kind::Agent, days: Days::Trading, time: Time::constant(hour, minute, 0, 0) };
            assert_eq!(slot.window().to_string(), window);
        }
    }

    #[test]
    fn without_an_agent_there_are_checks_alone() {
        let jobs = Jobs { agent: vec![], ..jobs() };
        assert!(jobs.slots().iter().all(|slot| slot.kind == Kind::Check));
    }
}
