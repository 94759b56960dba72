//! When a watched gateway is acted upon: what the store remembers, what is under way, and when to look again, around the decision of
//! [`ibga_core::recovery`].

use std::time::Duration;

use ibga_core::observation::ContainerSeen;
use ibga_core::recovery::{self, Decision, Past, Plan, Practice, Seen, Why, decide};
use ibga_core::report::Report;
use ibga_core::reset_windows::DailyReset;

use super::{Effect, Now};
use crate::container::LogSeen;
use crate::watch::act::{Order, Outcome};

/// How long a store that could not be read is left alone.
const STORE_AGAIN_AFTER: Duration = Duration::from_mins(1);

/// How soon after a moment it is looked again whether to act: the clocks of a decision and of its wait are not the same.
pub(super) const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What is done about the gateway, where the operator wants that.
pub(super) struct Recovery {
    pub(super) plan: Plan,
    practice: Practice,
    /// What was done before; none as long as the store has not said.
    past: Option<Past>,
    /// The store or somebody who acts is at it.
    is_under_way: bool,
    /// When to look again.
    pub(super) look_at: Option<Duration>,
    /// Why nothing was done the last time.
    why: Option<Why>,
}

impl Recovery {
    pub(super) fn new(plan: Plan, practice: Practice) -> Self {
        Self { plan, practice, past: None, is_under_way: false, look_at: None, why: None }
    }

    pub(super) fn recalled(&mut self, past: Option<Past>, now: Now) {
        self.is_under_way = false;
        self.look_at = past.is_none().then(|| now.running.saturating_add(STORE_AGAIN_AFTER));
        self.past = past;
    }

    pub(super) fn ended(&mut self, outcome: &Outcome, now: Now) {
        self.is_under_way = false;
        match (outcome, &mut self.past) {
            (Outcome::Done { .. }, Some(past)) => past.act_ended(now.wall),
            // What was not done does not count; the store knows what was.
            (Outcome::UsedUp | Outcome::NotBegun(_), past) => *past = None,
            (Outcome::Done { .. }, None) => {}
        }
        let again = if self.past.is_none() { STORE_AGAIN_AFTER } else { LOOK_AGAIN_AFTER };
        self.look_at = Some(now.running.saturating_add(again));
    }

    pub(super) fn look(
        &mut self,
        report: &Report,
        container: &ContainerSeen,
        log: Option<&LogSeen>,
        resets: &[DailyReset],
        now: Now,
    ) -> Vec<Effect> {
        // A store that could not be read is left alone for a while.
        let is_too_early = self.past.is_none() && self.look_at.is_some_and(|at| now.running < at);
        if self.is_under_way || is_too_early {
            return Vec::new();
        }
        self.look_at = None;
        let Some(past) = &mut self.past else {
            self.is_under_way = true;
            return vec![Effect::Recall];
        };
        past.saw(report);
        let (Some(cause), Some(more)) = (report.cause(), &report.more) else { return Vec::new() };
        let log = match log {
            None | Some(LogSeen::Unreadable) => recovery::LogSeen::Unreadable,
            Some(LogSeen::Quiet) => recovery::LogSeen::Quiet,
            Some(LogSeen::Hint(hint)) => recovery::LogSeen::Hint(hint.kind),
        };
        let seen = Seen { cause, since: more.since, container, log, now: now.wall };
        let decision = decide(&self.plan, &seen, past, resets);
        let order = || {
            let (plan, container) = (self.plan.clone(), container.clone());
            Box::new(Order {
                plan,
                practice: self.practice,
                cause,
                since: more.since,
                container,
                report: report.clone(),
            })
        };
        let why = match decision {
            Decision::NotWanted => None,
            Decision::LeaveAlone { why, until } => {
                let wait = until.map(|until| Duration::try_from(until.duration_since(now.wall)).unwrap_or_default());
                self.look_at = wait.map(|wait| now.running.saturating_add(wait).saturating_add(LOOK_AGAIN_AFTER));
                Some(why)
            }
            Decision::Act => {
                let order = order();
                past.acted(now.wall);
                self.is_under_way = true;
                self.why = None;
                return vec![Effect::Recover(order)];
            }
            Decision::GiveUp => {
                let order = order();
                past.gave_up(now.wall);
                self.is_under_way = true;
                self.why = None;
                return vec![Effect::GiveUp(order)];
            }
        };
        let is_news = why != self.why;
        self.why = why;
        why.filter(|_| is_news).map(Effect::LeftAlone).into_iter().collect()
    }
}
