//! What was done about a gateway, and when it was seen well: all that a decision needs to remember. It is read from the store at the
//! start, and kept by whoever watches.

use jiff::Timestamp;

use crate::act::{Act, ActKind};
use crate::cause::Status;
use crate::report::Report;

/// Whether acts are done or only rehearsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Practice {
    /// They are done.
    Real,
    /// What would have been done is told; it counts as if it had been done, so that a rehearsal keeps the distances of reality.
    Rehearsal,
}

impl Practice {
    /// The kind of an act that is noted.
    pub fn kind(self) -> ActKind {
        match self {
            Self::Real => ActKind::Recovery,
            Self::Rehearsal => ActKind::Rehearsal,
        }
    }

    /// The kind that is noted when nothing helped. A rehearsal must not keep reality from acting.
    pub fn kind_of_giving_up(self) -> ActKind {
        match self {
            Self::Real => ActKind::RecoveryGivenUp,
            Self::Rehearsal => ActKind::Rehearsal,
        }
    }
}

/// What was done and seen of one gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// When something was done, the oldest first.
    acts: Vec<Timestamp>,
    last_end: Option<Timestamp>,
    given_up_at: Option<Timestamp>,
    last_ready: Option<Timestamp>,
    last_authenticated: Option<Timestamp>,
}

impl Past {
    /// What these acts of one gateway amount to, in any order. What a rehearsal did counts for a rehearsal alone.
    pub fn of(acts: &[Act], practice: Practice) -> Self {
        let mut past = Self::default();
        for act in acts {
            match act.kind {
                ActKind::Recovery => past.acts.push(act.at),
                ActKind::Rehearsal if practice == Practice::Rehearsal => past.acts.push(act.at),
                ActKind::RecoveryGivenUp => past.given_up_at = past.given_up_at.max(Some(act.at)),
                ActKind::Rehearsal | ActKind::Halted | ActKind::Resumed | ActKind::AgentStopped => {}
            }
        }
        past.acts.sort();
        past
    }

    /// Takes a report in: the one that the status file holds at the start, and each one after it.
    pub fn saw(&mut self, report: &Report) {
        if report.status == Status::Ready {
            self.was_ready(report.timestamp);
        } else if report.authenticated {
            self.was_authenticated(report.timestamp);
        }
    }

    /// The gateway was ready then, and so logged in.
    pub fn was_ready(&mut self, at: Timestamp) {
        self.last_ready = self.last_ready.max(Some(at));
        self.was_authenticated(at);
    }

    /// Somebody was logged in then, whatever else was wrong.
    pub fn was_authenticated(&mut self, at: Timestamp) {
        self.last_authenticated = self.last_authenticated.max(Some(at));
    }

    /// An act begins.
    pub fn acted(&mut self, at: Timestamp) {
        self.acts.push(at);
        self.acts.sort();
    }

    /// It ended, whatever came of it.
    pub fn act_ended(&mut self, at: Timestamp) {
        self.last_end = Some(at);
    }

    /// It was told that nothing helped.
    pub fn gave_up(&mut self, at: Timestamp) {
        self.given_up_at = Some(at);
    }

    /// Brings everything up to a time that may lie before it, since clocks are set back: what was done in the future counts as done
    /// now, and ages from now on; what was seen in the future is not known any more.
    pub fn settle(&mut self, now: Timestamp) {
        for at in self.acts.iter_mut().chain(&mut self.last_end).chain(&mut self.given_up_at) {
            *at = (*at).min(now);
        }
        self.last_ready = self.last_ready.filter(|at| *at <= now);
        self.last_authenticated = self.last_authenticated.filter(|at| *at <= now);
        // No decision looks further back than a day.
        let surplus = self.acts.len().saturating_sub(ACTS_MAX);
        self.acts.drain(..surplus);
    }

    /// When the gateway was last seen logged in.
    pub fn last_authenticated(&self) -> Option<Timestamp> {
        self.last_authenticated
    }

    pub(super) fn last_act(&self) -> Option<Timestamp> {
        self.acts.last().copied()
    }

    pub(super) fn last_end(&self) -> Option<Timestamp> {
        self.last_end.max(self.last_act())
    }

    /// The acts after an instant, the oldest first.
    pub(super) fn acts_since(&self, instant: Timestamp) -> &[Timestamp] {
        let from = self.acts.partition_point(|at| *at <= instant);
        self.acts.get(from..).unwrap_or_default()
    }

    /// How many acts after an instant belong to the outage that lasts, as far as is known.
    pub(super) fn acts_of_outage(&self, instant: Timestamp) -> usize {
        self.acts_since(self.last_ready.map_or(instant, |ready| ready.max(instant))).len()
    }

    pub(super) fn given_up_at(&self) -> Option<Timestamp> {
        self.given_up_at
    }

    /// Whether it was told that nothing helped, and the gateway was not ready since.
    pub(super) fn has_given_up(&self) -> bool {
        self.given_up_at.is_some_and(|told| self.last_ready.is_none_or(|ready| ready <= told))
    }
}

/// Most acts that are kept: more than any budget allows for a day.
const ACTS_MAX: usize = 64;
