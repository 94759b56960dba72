//! What the policy keeps of one gateway from one report to the next. The store holds it; nobody else writes it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Subject, word};
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
    /// Since when it is not what the newest report tells, whatever the cause.
    pub(super) differs_since: Option<Timestamp>,
    /// When the verdict changed of late.
    pub(super) changes: Vec<Timestamp>,
    /// Since when there are too many changes to tell each; until it is calm again, whatever people were told of it.
    pub(super) flapping_since: Option<Timestamp>,
    /// That a person knows of the problem and sees to it.
    pub(super) acknowledged: Option<Acknowledged>,
    /// Since when people have known of a problem that nobody acknowledged.
    pub(super) unanswered_since: Option<Timestamp>,
    /// When the second audience was called, if it was.
    pub(super) escalated_at: Option<Timestamp>,
}

/// What people were told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    /// The state, or that it changes all the time.
    pub(super) state: Remembered,
    /// When it was last told, reminders included.
    pub(super) last_at: Timestamp,
    /// How many reminders there ever were.
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
    /// Names the trading session: its beginning if that was known, else its end.
    pub(super) session: Timestamp,
    /// Its end, once it is known.
    pub(super) closes: Option<Timestamp>,
    /// The reasons' codes.
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
    /// No state holds: the verdict changes too often.
    pub(super) const CHANGING: Self = Self { status: None, cause: None };

    /// What it needs.
    pub(super) fn subject(self) -> Subject {
        match (self.cause, self.status) {
            (Some(cause), _) => Subject::of(cause),
            (None, Some(status)) => Subject::of_status(status),
            (None, None) => Subject::ConnectionError,
        }
    }

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
            differs_since: None,
            changes: Vec::new(),
            flapping_since: None,
            acknowledged: None,
            unanswered_since: None,
            escalated_at: None,
        }
    }

    /// Of a gateway of whose newest report everybody is taken to know: what there is to go by where the memory itself is lost.
    pub fn known(report: &Report, now: Timestamp) -> Self {
        let state = State::of(report);
        let since = report.more.as_ref().map_or(report.timestamp, |more| more.since).min(now);
        let mut memory = Self::first(state, since);
        memory.told = Some(Told { state: memory.state, last_at: now, reminders: 0 });
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

    /// Whether people were told that the verdict changes all the time, and not yet that it settled.
    pub(super) fn tells_changing(&self) -> bool {
        self.told.as_ref().is_some_and(|told| told.state == Remembered::CHANGING)
    }

    /// Brings the waits in line with what was reported and told: each begins where its reason does, and ends with it.
    pub(super) fn keep_waits(&mut self, now: Timestamp) {
        let differs = self.told.as_ref().map_or(!self.state.is_ready(), |told| told.state != self.state);
        self.differs_since = differs.then(|| self.differs_since.unwrap_or(self.since));
        let is_known = !differs || self.tells_changing();
        let is_answered = self.tells_ready() || self.acknowledged.is_some();
        // A problem that comes after one that was acknowledged waits from when it is told.
        self.unanswered_since = self.unanswered_since.or(is_known.then_some(now)).filter(|_| !is_answered);
        if self.state.is_ready() && self.tells_ready() {
            self.down_since = None;
            self.escalated_at = None;
        } else if !self.state.is_ready() {
            self.down_since = self.down_since.or(Some(self.since));
        }
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
        let told = self.told.iter_mut().map(|told| &mut told.last_at);
        let optional = [
            &mut self.down_since,
            &mut self.differs_since,
            &mut self.flapping_since,
            &mut self.unanswered_since,
            &mut self.escalated_at,
        ];
        let instants = std::iter::once(&mut self.since).chain(told).chain(&mut self.changes);
        for instant in instants.chain(optional.into_iter().flatten()) {
            *instant = (*instant).min(now);
        }
    }
}
