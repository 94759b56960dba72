//! What the policy keeps of one gateway from one report to the next. The store holds it; nobody else writes it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::word;
use crate::cause::{Cause, Status};
use crate::report::Report;
use crate::transition::State;

/// What is remembered of one gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// What the newest report told.
    pub(super) state: Remembered,
    /// Since when it does.
    pub(super) since: Timestamp,
    /// Since when the gateway has not been ready, whatever the cause.
    pub(super) down_since: Option<Timestamp>,
    /// What people were told last; none while nothing had to be told, which means ready.
    pub(super) told: Option<Told>,
    /// When the verdict changed of late.
    pub(super) changes: Vec<Timestamp>,
    /// Since when single changes are no longer told.
    pub(super) flapping_since: Option<Timestamp>,
    /// That a person knows of the problem and sees to it.
    pub(super) acknowledged: Option<Acknowledged>,
    /// When the second audience was called, if it was.
    pub(super) escalated_at: Option<Timestamp>,
}

/// What people were told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The state.
    pub(super) state: Remembered,
    /// When it was first told.
    pub(super) first_at: Timestamp,
    /// When it was last told, reminders included.
    pub(super) last_at: Timestamp,
    /// How many reminders there were.
    pub(super) reminders: u32,
}

/// Who knows of the problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// When it was said.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
}

/// The reasons of no-goes that were told, and the trading session they belong to. The store holds it beside the memory: a user
/// who only runs an agent sees no reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoGoTold {
    pub(super) session: Option<Timestamp>,
    pub(super) reasons: Vec<String>,
}

/// A state as the store holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    #[serde(with = "word")]
    pub(super) status: Option<Status>,
    #[serde(with = "word")]
    pub(super) cause: Option<Cause>,
}

impl From<State> for Remembered {
    fn from(state: State) -> Self {
        Self { status: Some(state.status), cause: state.cause }
    }
}

impl Remembered {
    pub(super) fn is_ready(self) -> bool {
        self.status == Some(Status::Ready)
    }
}

impl Memory {
    /// Of a gateway that was never seen before.
    pub(super) fn first(state: State, since: Timestamp) -> Self {
        let state = Remembered::from(state);
        Self {
            state,
            since,
            down_since: (!state.is_ready()).then_some(since),
            told: None,
            changes: Vec::new(),
            flapping_since: None,
            acknowledged: None,
            escalated_at: None,
        }
    }

    /// Of a gateway of whose newest report everybody is taken to know: what there is to go by where the memory itself is lost.
    pub fn known(report: &Report, now: Timestamp) -> Self {
        let state = State::of(report);
        let since = report.more.as_ref().map_or(report.timestamp, |more| more.since).min(now);
        let mut memory = Self::first(state, since);
        memory.told = Some(Told { state: memory.state, first_at: since, last_at: since, reminders: 0 });
        memory
    }

    /// Whether the gateway is ready, everybody who had to know knows it, and nothing is left to be told.
    pub fn is_settled(&self) -> bool {
        self.state.is_ready() && self.tells_ready() && self.flapping_since.is_none()
    }

    /// Whether people believe that the gateway is ready.
    pub(super) fn tells_ready(&self) -> bool {
        self.told.as_ref().is_none_or(|told| told.state.is_ready())
    }

    /// The state that the newest report told.
    pub fn state(&self) -> Option<State> {
        self.state.status.map(|status| State { status, cause: self.state.cause })
    }

    /// Since when it does.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Who knows of the problem, if anybody said so.
    pub fn acknowledged(&self) -> Option<&Acknowledged> {
        self.acknowledged.as_ref()
    }

    /// The clock may have been set back since: what lies in the future then is now, so that every wait ends.
    pub(super) fn rebase(&mut self, now: Timestamp) {
        let told = self.told.iter_mut().flat_map(|told| [&mut told.first_at, &mut told.last_at]);
        let optional = [&mut self.down_since, &mut self.flapping_since, &mut self.escalated_at];
        let instants = std::iter::once(&mut self.since).chain(told).chain(&mut self.changes);
        for instant in instants.chain(optional.into_iter().flatten()) {
            *instant = (*instant).min(now);
        }
    }
}
