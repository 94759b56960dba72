//! The main property. No bytes, split in any way and at any times, make the probe say ready without accounts, an order id and
//! answers; none makes it panic, go on past its deadline, or forget its manners.

use std::time::Duration;

use ibga_core::cause::Cause;
use ibga_core::observation::{ConnectFailure, ContainerSeen, Observation};
use ibga_core::verdict::{Expectations, judge};
use ibga_tws::ServerVersion;
use ibga_tws::probe::{Action, Event, Probe, ProbePlan};
use ibga_tws::request::Contract;
use jiff::Timestamp;

use crate::script::{Op, Script};
use crate::transcript::{Side, Transcript, missing};

/// 2026-11-23 09:31:00 in Hong Kong, in seconds since 1970.
const BEGAN_AT: i64 = 1_795_397_460;

const TIMEOUT: Duration = Duration::from_secs(15);

/// The most that a gateway sends in one session: more than two frames that are passed over, and little enough to be quick.
const BYTES_MAX: usize = 160 * 1024;

/// The most that a probe may do for one event. It sends at most the start and two questions, or takes the next client id.
const ACTIONS_MAX: usize = 4;

/// A probe session that was played to its end.
#[derive(Debug)]
pub struct Run {
    /// The verdict's cause.
    pub cause: Cause,
    /// What is missing for a proof of readiness, by the second reading.
    pub missing: Option<&'static str>,
    /// When the probe was over.
    pub ended_after: Duration,
    /// How many connections it made.
    pub connections: usize,
}

/// The bytes are a session, see [`Script`].
pub fn probe(input: &[u8]) {
    let script = Script::decode(input);
    let run = run(&script);
    assert!(run.ended_after <= TIMEOUT, "over after {:?}: {script:?}", run.ended_after);
    assert!(run.connections <= usize::try_from(script.client_ids).unwrap_or_default(), "{script:?}");
    if run.cause == Cause::Ready {
        assert_eq!(run.missing, None, "ready without proof: {script:?}");
    }
}

/// Plays a session.
pub fn run(script: &Script) -> Run {
    played(script, Some(Transcript::default())).end(script)
}

/// Plays a session and writes nothing down, so that what is held meanwhile is the probe's, and what the gateway has ready to send.
pub fn run_unrecorded(script: &Script) {
    let stage = played(script, None);
    drop(stage.probe.into_observation(stage.now));
}

fn played(script: &Script, transcript: Option<Transcript>) -> Stage {
    let mut stage = Stage::new(script, transcript);
    for op in &script.ops {
        if stage.over {
            break;
        }
        stage.play(op);
    }
    stage.release();
    while !stage.over {
        stage.now = stage.wait_until;
        stage.pump();
    }
    stage
}

struct Stage {
    probe: Probe,
    version: ServerVersion,
    now: Duration,
    wait_until: Duration,
    over: bool,
    held: Option<Vec<u8>>,
    cut: usize,
    bytes_left: usize,
    /// Of the last connection, if somebody wants to read it.
    transcript: Option<Transcript>,
    connections: usize,
}

impl Stage {
    fn new(script: &Script, transcript: Option<Transcript>) -> Self {
        let plan = ProbePlan {
            client_ids: 99..=98 + script.client_ids,
            version_max: ServerVersion::TEXT_MAX,
            question: script.asks_broker.then(Contract::eur_usd),
            settle: Duration::from_millis(50),
            timeout: TIMEOUT,
        };
        let mut stage = Self {
            probe: Probe::new(plan),
            version: script.version,
            now: Duration::ZERO,
            wait_until: Duration::ZERO,
            over: false,
            held: None,
            cut: 0,
            bytes_left: BYTES_MAX,
            transcript,
            connections: 0,
        };
        stage.pump();
        stage
    }

    /// Does what the probe wants until it waits or is over, as the driver does.
    fn pump(&mut self) {
        for _ in 0..ACTIONS_MAX {
            match self.probe.next_action(self.now) {
                Action::Connect(until) => {
                    assert!(until <= TIMEOUT, "connecting may take until {until:?}");
                    self.connections += 1;
                    self.transcript = self.transcript.take().map(|_| Transcript::default());
                    let event = if self.now < until {
                        Event::Connected
                    } else {
                        Event::ConnectFailed(ConnectFailure::TimedOut)
                    };
                    self.probe.handle(&event, self.now);
                }
                Action::Send(bytes) => self.write_down(Side::Client, &bytes),
                Action::Wait(until) => {
                    assert!(self.now < until && until <= TIMEOUT, "waits until {until:?} at {:?}", self.now);
                    self.wait_until = until;
                    return;
                }
                Action::Finish => {
                    self.over = true;
                    return;
                }
            }
        }
        assert!(self.over, "the probe neither waits nor ends");
    }

    fn play(&mut self, op: &Op) {
        match op {
            Op::Pass(_) => self.pass(op.passes()),
            Op::Cut(size) => self.cut = usize::from(*size),
            Op::Hold => self.held = Some(self.held.take().unwrap_or_default()),
            Op::Release => self.release(),
            Op::Close | Op::Reset => {
                self.release();
                if !self.over {
                    if let Some(transcript) = &mut self.transcript {
                        transcript.ended = true;
                    }
                    self.probe.handle(if *op == Op::Close { &Event::Closed } else { &Event::Reset }, self.now);
                    self.pump();
                }
            }
            _ => {
                if matches!(op, Op::Long(size) if usize::from(*size) * 16 > self.bytes_left) {
                    // As below, but without a mebibyte that nobody sees.
                    return;
                }
                let wall = BEGAN_AT.saturating_add(self.now.as_secs().cast_signed());
                let bytes = op.bytes(self.version, wall);
                let Some(left) = self.bytes_left.checked_sub(bytes.len()) else { return };
                self.bytes_left = left;
                match &mut self.held {
                    Some(held) => held.extend_from_slice(&bytes),
                    None => self.arrive(&bytes),
                }
            }
        }
    }

    /// Time passes; the probe is woken whenever it asked to be.
    fn pass(&mut self, span: Duration) {
        let until = (self.now + span).min(TIMEOUT);
        while !self.over && self.wait_until <= until {
            self.now = self.wait_until;
            self.pump();
        }
        self.now = until.max(self.now);
    }

    fn release(&mut self) {
        if let Some(held) = self.held.take() {
            self.arrive(&held);
        }
    }

    fn arrive(&mut self, bytes: &[u8]) {
        let size = if self.cut == 0 { bytes.len().max(1) } else { self.cut };
        for piece in bytes.chunks(size) {
            if self.over {
                return;
            }
            let connections = self.connections;
            self.write_down(Side::Gateway, piece);
            self.probe.handle(&Event::Bytes(piece), self.now);
            self.pump();
            if self.connections > connections {
                // What was still under way belongs to the old connection.
                return;
            }
        }
    }

    fn write_down(&mut self, side: Side, bytes: &[u8]) {
        if let Some(transcript) = &mut self.transcript {
            transcript.chunks.push((side, self.now, bytes.to_vec()));
        }
    }

    fn end(self, script: &Script) -> Run {
        let started_at = Timestamp::from_second(BEGAN_AT).unwrap_or_default();
        let api = self.probe.into_observation(self.now);
        let seen = Observation { started_at, container: ContainerSeen::NotChecked, api, hint: None, fault: None };
        Run {
            cause: judge(&seen, &Expectations::default()).cause,
            missing: missing(&self.transcript.unwrap_or_default(), script.asks_broker, BEGAN_AT),
            ended_after: self.now,
            connections: self.connections,
        }
    }
}
