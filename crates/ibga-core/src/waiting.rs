//! Waiting for a gateway to become ready: whether to look at the status file again or to probe now. Pure; who waits also probes.
//!
//! A gateway that somebody else looks after is left to them. One that nobody does is probed with growing pauses, longer ones while it
//! accepts connections and keeps silent: its proxies keep what was abandoned there.

use std::time::Duration;

use jiff::SignedDuration;

use crate::cause::Status;
use crate::gate::{Decision, Rule};

/// The pause after the first probe; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_secs(5);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// The shortest pause while nobody is logged in.
const PAUSE_LOGGED_OUT_MIN: Duration = Duration::from_secs(30);

/// Younger reports of others show that somebody looks after the gateway.
const KEPT_UP_AGE_MAX: SignedDuration = SignedDuration::from_mins(1);

/// Who wrote the newest report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrittenBy {
    /// Whoever waits.
    Myself,
    /// Another process.
    Another,
}

/// What is known at a look.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// The gate's decision.
    pub decision: &'a Decision,
    /// Whose the newest report is, and how old; none if there is none.
    pub report: Option<(WrittenBy, SignedDuration)>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Wait for a change of the files.
    Look,
    /// Probe.
    Probe,
}

/// How often was probed, and when next.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    probes: u32,
    not_before: Duration,
}

impl Pace {
    /// What to do after this look. `now` is a clock that never steps, the same for all calls.
    pub fn turn(&self, look: &Look<'_>, now: Duration) -> Turn {
        let is_kept_up =
            matches!(look.report, Some((WrittenBy::Another, age)) if age < KEPT_UP_AGE_MAX && !age.is_negative());
        let helps = look.decision.failures().any(|check| can_mend(check.rule));
        if helps && !is_kept_up && now >= self.not_before { Turn::Probe } else { Turn::Look }
    }

    /// A probe ended with this status.
    pub fn probed(&mut self, status: Status, now: Duration) {
        let factor = 2_u32.saturating_pow(self.probes);
        let pause = PAUSE_FIRST.saturating_mul(factor).min(PAUSE_MAX);
        let floor = if status == Status::NotAuthenticated { PAUSE_LOGGED_OUT_MIN } else { Duration::ZERO };
        self.probes = self.probes.saturating_add(1);
        self.not_before = now.saturating_add(pause.max(floor));
    }

    /// Whether there was a probe.
    pub fn has_probed(&self) -> bool {
        self.probes > 0
    }
}

/// Whether a new report could make the rule hold.
fn can_mend(rule: Rule) -> bool {
    match rule {
        Rule::StatusFile
        | Rule::Report
        | Rule::Gateway
        | Rule::Fresh
        | Rule::Ready
        | Rule::Authenticated
        | Rule::Account
        | Rule::BrokerHoursAsked => true,
        Rule::NotHalted | Rule::Secure | Rule::Readable | Rule::NotFromFuture | Rule::Market | Rule::BrokerHours => {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{Check, Outcome};

    fn failing(rules: &[Rule]) -> Decision {
        let check = |rule: &Rule| Check { rule: *rule, outcome: Outcome::Failed, text: String::new() };
        Decision { checks: rules.iter().map(check).collect(), broker_hours: None }
    }

    #[test]
    fn who_probes_and_who_waits() {
        let seconds = SignedDuration::from_secs;
        let another = |age| Some((WrittenBy::Another, seconds(age)));
        for (name, rules, report, turn) in [
            ("no file", &[Rule::StatusFile][..], None, Turn::Probe),
            ("stale", &[Rule::Fresh], another(700), Turn::Probe),
            ("garbage", &[Rule::Report], None, Turn::Probe),
            ("somebody just looked", &[Rule::Ready], another(59), Turn::Look),
            ("nobody looked since", &[Rule::Ready], another(60), Turn::Probe),
            ("my own report", &[Rule::Ready], Some((WrittenBy::Myself, seconds(1))), Turn::Probe),
            ("halted", &[Rule::NotHalted], another(700), Turn::Look),
            ("closed", &[Rule::Market], another(300), Turn::Look),
            ("halted and down", &[Rule::NotHalted, Rule::Ready], another(300), Turn::Probe),
            ("a planted file", &[Rule::Secure], None, Turn::Look),
            ("another user's file", &[Rule::Readable], None, Turn::Look),
        ] {
            let decision = failing(rules);
            assert_eq!(Pace::default().turn(&Look { decision: &decision, report }, Duration::ZERO), turn, "{name}");
        }
    }

    /// When the probes begin, in seconds, if each takes no time.
    fn probes(status: Status, seconds: u64) -> Vec<u64> {
        let (mut pace, decision) = (Pace::default(), failing(&[Rule::Ready]));
        let look = Look { decision: &decision, report: Some((WrittenBy::Myself, SignedDuration::ZERO)) };
        let due = |second: &u64| {
            let now = Duration::from_secs(*second);
            let is_due = pace.turn(&look, now) == Turn::Probe;
            if is_due {
                pace.probed(status, now);
            }
            is_due
        };
        (0..seconds).filter(due).collect()
    }

    #[test]
    fn pauses_grow_and_are_long_while_nobody_is_logged_in() {
        assert_eq!(probes(Status::NotConnected, 300), [0, 5, 15, 35, 75, 135, 195, 255]);
        assert_eq!(probes(Status::NotAuthenticated, 300), [0, 30, 60, 90, 130, 190, 250]);
    }
}
