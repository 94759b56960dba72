//! Alerts: what a person is told of a gateway, and when. Pure; where an alert waits and how it is sent is decided elsewhere.
//!
//! The policy reconciles two states: the one that the newest report tells, and the one that people were last told of. Where they
//! differ and the hour allows it, an alert is due. Nothing hangs on seeing the moment of a change, so a process that dies on the
//! way loses nothing: the next report finds the same difference and makes the same alert with the same key.
//!
//! | file | about |
//! |---|---|
//! | `policy.rs` | the decision over one report, and over one no-go |
//! | `memory.rs` | what the policy keeps from one report to the next |
//! | `hours.rs` | the trading hours as far as alerts care, and quiet hours |

mod hours;
mod memory;
mod policy;
#[cfg(test)]
mod tests;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cause::{Cause, Status};
use crate::forecast::Forecast;

pub use hours::{Hours, QuietHours, Trading};
pub use memory::{Acknowledged, Memory, NoGoTold};
pub use policy::{Acted, FLAPPING_SPAN, NoGo, Policy, Step, acknowledge, acted, no_go, observe, test};

/// The words that a person's filters and eyes know, one for each thing there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Ready again.
    Ready,
    /// A person has to approve the login.
    NeedsApproval,
    /// The container does not run.
    ContainerDown,
    /// Anything else.
    ConnectionError,
    /// An agent was not started.
    PreflightFailed,
    /// The gateway was acted upon to recover it.
    Recovery,
    /// Acting upon it has not helped, and has ended.
    RecoveryGivenUp,
    /// A supervised agent was stopped.
    AgentStopped,
    /// Nothing happened: the way of an alert is tried.
    Test,
}

impl Subject {
    /// What a gateway with this cause needs.
    pub fn of(cause: Cause) -> Self {
        match cause.status() {
            Status::NotAuthenticated if !cause.asks_for_approval() => Self::ConnectionError,
            status => Self::of_status(status),
        }
    }

    /// What a gateway with this status needs, as far as that can be told without a cause.
    fn of_status(status: Status) -> Self {
        match status {
            Status::Ready => Self::Ready,
            Status::NotAuthenticated => Self::NeedsApproval,
            Status::ContainerDown => Self::ContainerDown,
            Status::NotConnected | Status::Error => Self::ConnectionError,
        }
    }

    /// The subject's words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "IBGA READY",
            Self::NeedsApproval => "IBGA NEEDS IB KEY APPROVAL",
            Self::ContainerDown => "IBGA CONTAINER DOWN",
            Self::ConnectionError => "IBGA CONNECTION ERROR",
            Self::PreflightFailed => "AGENT PRE-FLIGHT FAILED",
            Self::Recovery => "IBGA RECOVERY",
            Self::RecoveryGivenUp => "IBGA RECOVERY GIVEN UP",
            Self::AgentStopped => "AGENT STOPPED",
            Self::Test => "IBGA TEST",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an alert is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The gateway is not ready, or not ready for another cause than was told.
    Problem,
    /// It is ready again.
    Recovery,
    /// It still is not ready.
    Reminder,
    /// It still is not ready, and nobody acknowledged it.
    Escalation,
    /// The verdict changes so often that single changes are no longer told.
    Flapping,
    /// It no longer does.
    Settled,
    /// An agent was not started.
    NoGo,
    /// Something was done: to the gateway, or to an agent.
    Act,
    /// The way is tried.
    Test,
}

impl Kind {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Recovery => "recovery",
            Self::Reminder => "reminder",
            Self::Escalation => "escalation",
            Self::Flapping => "flapping",
            Self::Settled => "settled",
            Self::NoGo => "no_go",
            Self::Act => "act",
            Self::Test => "test",
        }
    }
}

/// Which channels an alert goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Those that hear of everything.
    First,
    /// Those that hear of what nobody acknowledged.
    Second,
    /// All of them.
    Everybody,
}

/// A message about a gateway, without the words of any channel. Holds no account id; texts from outside are masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Names this alert and no other, also if it is made again: `default.problem.api_silent.1795651200000000`.
    pub key: String,
    /// Why it is sent.
    pub kind: Kind,
    /// What it is about.
    pub subject: Subject,
    /// Who hears it.
    pub audience: Audience,
    /// The gateway's name.
    pub gateway: String,
    /// Host and port of its API.
    pub endpoint: String,
    /// The machine that found it out.
    pub host: String,
    /// The status; none for a test and for a no-go.
    #[serde(with = "word")]
    pub status: Option<Status>,
    /// The cause; none for a test and for a no-go.
    #[serde(with = "word")]
    pub cause: Option<Cause>,
    /// What was seen, in a sentence.
    pub text: Option<String>,
    /// Why an agent was not started, each with its code; empty for other alerts.
    pub reasons: Vec<Reason>,
    /// What to do now, the most likely first.
    pub remedies: Vec<String>,
    /// When the cause began.
    pub since: Timestamp,
    /// When the alert was made.
    pub at: Timestamp,
    /// How long the gateway had not been ready, for a recovery: from then.
    pub down_since: Option<Timestamp>,
    /// How often the verdict changed, where that is the news.
    pub changes: Option<u32>,
    /// The trading hours.
    pub hours: Hours,
    /// What is ahead, as far as the report told it. Alerts of before there were forecasts have none.
    #[serde(default)]
    pub forecast: Option<Forecast>,
}

/// Why an agent was not started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The stable code.
    pub code: String,
    /// What was found.
    pub text: String,
}

/// Status and cause travel as their codes; an unknown one is refused.
mod word {
    use std::str::FromStr;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::cause::{Cause, Status};

    pub(super) trait Word: Sized {
        fn code(&self) -> &'static str;
        fn read(code: &str) -> Option<Self>;
    }

    impl Word for Status {
        fn code(&self) -> &'static str {
            self.as_str()
        }
        fn read(code: &str) -> Option<Self> {
            Self::from_str(code).ok()
        }
    }

    impl Word for Cause {
        fn code(&self) -> &'static str {
            Self::code(*self)
        }
        fn read(code: &str) -> Option<Self> {
            Self::from_str(code).ok()
        }
    }

    #[expect(clippy::ref_option, reason = "serde hands the field over so")]
    pub(super) fn serialize<W: Word, S: Serializer>(word: &Option<W>, serializer: S) -> Result<S::Ok, S::Error> {
        match word {
            Some(word) => serializer.serialize_some(word.code()),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, W: Word, D: Deserializer<'de>>(deserializer: D) -> Result<Option<W>, D::Error> {
        let Some(code) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        W::read(&code).map(Some).ok_or_else(|| D::Error::custom(format!("unknown word `{code}`")))
    }
}
