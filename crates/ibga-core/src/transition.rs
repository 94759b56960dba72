//! What changed from one report to the next. Pure; who is told of it is decided elsewhere.

use jiff::SignedDuration;

use crate::cause::{Cause, Status};
use crate::report::Report;

/// The verdict changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What it was; none for the first report ever.
    pub from: Option<State>,
    /// What it is.
    pub to: State,
    /// How long the old state had lasted, where that is known.
    pub lasted: Option<SignedDuration>,
}

/// Status and cause of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The status.
    pub status: Status,
    /// The cause; older writers tell none.
    pub cause: Option<Cause>,
}

impl State {
    /// The state that a report tells.
    pub fn of(report: &Report) -> Self {
        Self { status: report.status, cause: report.cause() }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.cause {
            Some(cause) if cause.code() != self.status.as_str() => write!(f, "{} ({cause})", self.status),
            _ => write!(f, "{}", self.status),
        }
    }
}

/// Compares two reports of one gateway; `None` if nothing changed.
pub fn transition(previous: Option<&Report>, current: &Report) -> Option<Transition> {
    let to = State::of(current);
    let Some(previous) = previous else {
        return Some(Transition { from: None, to, lasted: None });
    };
    let from = State::of(previous);
    let since = previous.more.as_ref().map(|more| more.since);
    let lasted = since.map(|since| current.timestamp.duration_since(since)).filter(|lasted| !lasted.is_negative());
    (from != to).then_some(Transition { from: Some(from), to, lasted })
}
