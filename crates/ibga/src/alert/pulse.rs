//! The pulse of this program for a dead man's switch: a sign of life at the beginning and at the end of each check, so that somebody
//! notices if there are no more checks. It tells of this program, not of the gateway: a check that found the gateway down is a
//! success. It fails if the check could not do its work, or if people could not be told.

use std::thread::JoinHandle;
use std::time::Duration;

use ibga_core::cause::Cause;
use ibga_core::report::Report;
use ibga_core::transition::State;

use super::channel::Surroundings;
use super::ping::{Signal, ping, run_id};
use crate::check::{block_on, trust};
use crate::settings::{Secret, Settings};

/// The longest that one sign may take.
const LIMIT: Duration = Duration::from_secs(4);

/// Whether everybody was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing waits for a second attempt.
    All,
    /// A channel failed.
    NotAll,
}

/// A check under way, as the switch sees it.
pub struct Pulse {
    switch: Option<Switch>,
}

struct Switch {
    sign: Sign,
    begun: Option<JoinHandle<Result<(), String>>>,
}

/// What all signs of one check have in common.
#[derive(Clone)]
struct Sign {
    url: Secret,
    surroundings: Surroundings,
    run: String,
}

impl Sign {
    fn send(&self, signal: Signal, body: &str) -> Result<(), String> {
        let sent = block_on(async {
            tokio::time::timeout(LIMIT, ping(&self.url, &self.surroundings, signal, body, &self.run)).await
        });
        match sent {
            Err(fault) => Err(fault.to_string()),
            Ok(Err(_)) => Err(format!("no answer within {} s", LIMIT.as_secs())),
            Ok(Ok(result)) => result.map_err(|fault| fault.to_string()),
        }
    }
}

/// One sign of a watch, which has no beginning and no end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// What the gateways are.
    states: Vec<String>,
    /// What keeps the watch from its work.
    faults: Vec<String>,
}

/// The most gateways that a sign tells of.
const STATES_MAX: usize = 20;

impl Beat {
    /// The sign for one gateway.
    pub fn of(state: Option<State>, write_fault: Option<String>, is_untold: bool) -> Self {
        let state_text = state.map_or_else(|| "no report yet".to_owned(), |state| state.to_string());
        let failed = state.is_some_and(|state| state.cause == Some(Cause::ProbeFailed));
        let faults = [
            write_fault,
            failed.then(|| "the gateway could not be watched".to_owned()),
            is_untold.then(|| "people could not be told of it".to_owned()),
        ];
        Self { states: vec![state_text], faults: faults.into_iter().flatten().collect() }
    }

    /// Takes another gateway in.
    pub fn join(&mut self, other: Self) {
        self.states.extend(other.states);
        self.faults.extend(other.faults);
    }

    fn text(&self) -> String {
        let shown: Vec<&str> = self.states.iter().chain(&self.faults).take(STATES_MAX).map(String::as_str).collect();
        shown.join("; ")
    }
}

/// Tells the switch that a watch lives. It fails if it cannot do its work.
///
/// # Errors
/// Why the switch was not reached.
pub fn beat(settings: &Settings, beat: &Beat) -> Result<(), String> {
    let Some(url) = settings.alerts.ping_url.clone() else { return Ok(()) };
    let surroundings = Surroundings { trust: trust(settings), ca_file: settings.alerts.ca_file.clone() };
    let signal = if beat.faults.is_empty() { Signal::Success } else { Signal::Failure };
    Sign { url, surroundings, run: run_id() }.send(signal, &beat.text())
}

impl Pulse {
    /// Says that a check begins, beside the check itself. Does nothing if no switch is set.
    pub fn start(settings: &Settings) -> Self {
        let switch = settings.alerts.ping_url.clone().map(|url| {
            let surroundings = Surroundings { trust: trust(settings), ca_file: settings.alerts.ca_file.clone() };
            let sign = Sign { url, surroundings, run: run_id() };
            let beginning = sign.clone();
            Switch { sign, begun: Some(std::thread::spawn(move || beginning.send(Signal::Start, ""))) }
        });
        Self { switch }
    }

    /// Says how it ended. The error says why the switch was not reached.
    pub fn end(self, report: &Report, is_written: bool, told: Told) -> Result<(), String> {
        let Some(Switch { sign, begun }) = self.switch else { return Ok(()) };
        // The beginning must not arrive after the end. What became of it shows in the end.
        let _ = begun.map(JoinHandle::join);
        let state = State::of(report);
        let fault = if !is_written {
            Some("the status file could not be written")
        } else if report.cause() == Some(Cause::ProbeFailed) {
            Some("the gateway could not be probed")
        } else if told == Told::NotAll {
            Some("people could not be told of it")
        } else {
            None
        };
        match fault {
            None => sign.send(Signal::Success, &state.to_string()),
            Some(fault) => sign.send(Signal::Failure, &format!("{state}; {fault}")),
        }
    }
}
