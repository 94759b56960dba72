//! Every prerequisite of a check and of the gate, tested in turn, each fault with its repair. Looks, and changes nothing: what it
//! has to write to find out, it removes again.
//!
//! Each file below holds one subject: the small part that looks, and a pure function from what was seen to a finding. A further
//! subject is a file and a line in [`examine`].

mod alerts;
mod clock;
mod configuration;
mod container;
mod gateway;
mod market;
mod places;
mod readers;
mod time_zone;
mod trading_hours;

use ibga_core::report::Report;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::settings::{Settings, SettingsError};

/// What a subject was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it has to be.
    Good,
    /// It works, but something deserves a thought.
    Doubtful {
        /// What to do about it.
        repair: String,
    },
    /// Broken.
    Faulty {
        /// What to do about it.
        repair: String,
    },
    /// Not tested, for the reason that the text gives.
    NotTested,
}

impl Outcome {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Doubtful { .. } => "doubtful",
            Self::Faulty { .. } => "faulty",
            Self::NotTested => "not_tested",
        }
    }

    /// What to do, if anything.
    pub fn repair(&self) -> Option<&str> {
        match self {
            Self::Doubtful { repair } | Self::Faulty { repair } => Some(repair),
            Self::Good | Self::NotTested => None,
        }
    }
}

/// What is examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The sources of settings.
    Configuration,
    /// The directory of the store.
    StateDirectory,
    /// The place of the status file.
    StatusFile,
    /// Whether another user's agent can read and will believe the status file.
    Readers,
    /// The container engine and the gateway's container.
    Container,
    /// The gateway itself, by a whole probe.
    Gateway,
    /// This machine's clock.
    Clock,
    /// This machine's time zone.
    TimeZone,
    /// The exchanges whose hours the gate keeps.
    Market,
    /// The trading hours that IBKR tells.
    TradingHours,
    /// Who is told of changes.
    Alerts,
    /// Who notices if this program itself stops.
    DeadMansSwitch,
}

impl Subject {
    /// The name for a person; with `_` for spaces, and without apostrophes, it is the stable code.
    pub fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::StateDirectory => "state directory",
            Self::StatusFile => "status file",
            Self::Readers => "readers",
            Self::Container => "container",
            Self::Gateway => "gateway",
            Self::Clock => "clock",
            Self::TimeZone => "time zone",
            Self::Market => "market",
            Self::TradingHours => "trading hours",
            Self::Alerts => "alerts",
            Self::DeadMansSwitch => "dead man's switch",
        }
    }
}

/// One subject, examined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was examined.
    pub subject: Subject,
    /// What was seen.
    pub text: String,
    /// What that means.
    pub outcome: Outcome,
}

impl Finding {
    fn good(subject: Subject, text: impl Into<String>) -> Self {
        Self { subject, text: text.into(), outcome: Outcome::Good }
    }

    fn doubtful(subject: Subject, text: impl Into<String>, repair: impl Into<String>) -> Self {
        Self { subject, text: text.into(), outcome: Outcome::Doubtful { repair: repair.into() } }
    }

    fn faulty(subject: Subject, text: impl Into<String>, repair: impl Into<String>) -> Self {
        Self { subject, text: text.into(), outcome: Outcome::Faulty { repair: repair.into() } }
    }

    fn not_tested(subject: Subject, text: impl Into<String>) -> Self {
        Self { subject, text: text.into(), outcome: Outcome::NotTested }
    }

    /// Whether it has to be repaired.
    pub fn is_fault(&self) -> bool {
        matches!(self.outcome, Outcome::Faulty { .. })
    }

    /// The finding as JSON.
    pub fn document(&self) -> Value {
        json!({
            "subject": self.subject.name().replace(' ', "_").replace('\'', ""),
            "outcome": self.outcome.code(),
            "text": self.text,
            "repair": self.outcome.repair(),
        })
    }
}

/// When and where the examination takes place.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// The hour.
    pub now: Timestamp,
    /// The machine's zone, or why it is not known.
    pub zone: Result<TimeZone, String>,
    /// The users whose agents read the status file, by name or id.
    pub readers: Vec<String>,
}

/// Examines everything in turn, and hands on each finding as soon as it is made. Settings that cannot be read leave nothing to
/// examine but themselves.
pub fn examine(settings: Result<&Settings, &SettingsError>, at: &Circumstances, mut tell: impl FnMut(Finding)) {
    for finding in configuration::examine(settings) {
        tell(finding);
    }
    let Ok(settings) = settings else {
        return tell(Finding::not_tested(Subject::Gateway, "and all the rest: the configuration comes first"));
    };
    let zone = at.zone.clone().unwrap_or(TimeZone::UTC);
    tell(places::state_directory(settings));
    tell(places::status_file(settings));
    for finding in readers::examine(settings, &at.readers) {
        tell(finding);
    }
    tell(container::examine(settings));
    let report: Report = crate::check::look(settings, &zone);
    tell(gateway::examine(&report));
    tell(clock::examine(settings, &report));
    tell(time_zone::examine(settings, at));
    tell(market::examine(settings, at.now));
    if let Some(finding) = trading_hours::examine(settings, &report, at.now) {
        tell(finding);
    }
    for finding in alerts::examine(settings) {
        tell(finding);
    }
}
