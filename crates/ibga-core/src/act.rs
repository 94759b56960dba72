//! What was done about a gateway, by a person or by this program: who, when, what and why. The store keeps it as history.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::cause::UnknownWord;

/// One act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// The gateway; none for an act that concerns all of them.
    pub gateway: Option<String>,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: ActKind,
    /// Who: a user of the machine, or this program.
    pub by: String,
    /// What exactly, why, and what came of it; masked, in one line.
    pub text: String,
}

impl Act {
    /// Names this act and no other, also where two processes keep it.
    pub fn key(&self) -> String {
        let gateway = self.gateway.as_deref().unwrap_or("*");
        format!("{gateway}.{}.{}", self.kind, self.at.as_microsecond())
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActKind {
    /// A person forbade agents to run.
    Halted,
    /// A person let them run again.
    Resumed,
    /// A supervised agent was stopped.
    AgentStopped,
    /// The gateway was acted upon to recover it.
    Recovery,
    /// The same, but only what would have been done.
    Rehearsal,
    /// No more is done, since nothing helped.
    RecoveryGivenUp,
}

impl ActKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Halted, Self::Resumed, Self::AgentStopped, Self::Recovery, Self::Rehearsal, Self::RecoveryGivenUp];

    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Halted => "halted",
            Self::Resumed => "resumed",
            Self::AgentStopped => "agent_stopped",
            Self::Recovery => "recovery",
            Self::Rehearsal => "rehearsal",
            Self::RecoveryGivenUp => "recovery_given_up",
        }
    }
}

impl fmt::Display for ActKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for ActKind {
    type Err = UnknownWord;

    fn from_str(code: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|kind| kind.code() == code).ok_or(UnknownWord)
    }
}
