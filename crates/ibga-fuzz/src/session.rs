//! A session that stays, for days of the same bytes again and again: it never panics, spins, forgets its manners, or grows.

use std::time::Duration;

use ibga_core::cause::Cause;
use ibga_core::observation::{ApiSeen, ConnectFailure, ContainerSeen, Observation};
use ibga_core::verdict::{Expectations, judge};
use ibga_tws::ServerVersion;
use ibga_tws::probe::{Event, ProbePlan};
use ibga_tws::request::{Contract, Request};
use ibga_tws::session::{Action, News, Session, SessionPlan};
use jiff::Timestamp;

use crate::script::{Op, Script};

/// How often the script is played; in between a heartbeat passes.
const ROUNDS: usize = 3;

/// The most that one event may lead to: end, close, connect, hello, start and questions.
const ACTIONS_MAX: usize = 12;

const HEARTBEAT: Duration = Duration::from_secs(20);

/// What is known is never older than this: a heartbeat, the wait for its answer, and a broker on trial.
const FRESH_WITHIN: Duration = Duration::from_mins(1);

/// A gateway ignores a question for the time within a second of the last one.
const TIME_SPACING: Duration = Duration::from_millis(1_100);

/// The most of what a session remembers, in notices and refused ids.
const KEPT_MAX: usize = 64;

/// The bytes are what a gateway sends, see [`Script`].
pub fn session(input: &[u8]) {
    let script = Script::decode(input);
    let mut stage = Stage::new(&script);
    stage.pump();
    for _ in 0..ROUNDS {
        for op in &script.ops {
            stage.play(op);
        }
        stage.pass(HEARTBEAT);
    }
}

struct Stage {
    session: Session,
    version: ServerVersion,
    now: Duration,
    wait_until: Duration,
    is_open: bool,
    time_asked_at: Option<Duration>,
    told_at: Option<Duration>,
}

impl Stage {
    fn new(script: &Script) -> Self {
        let probe = ProbePlan {
            client_ids: 99..=98 + script.client_ids,
            version_max: ServerVersion::TEXT_MAX,
            question: script.asks_broker.then(Contract::eur_usd),
            settle: Duration::from_millis(50),
            timeout: Duration::from_secs(15),
        };
        let plan = SessionPlan { probe, heartbeat: HEARTBEAT, broker_interval: Duration::from_mins(3) };
        Self {
            session: Session::new(plan),
            version: script.version,
            now: Duration::ZERO,
            wait_until: Duration::ZERO,
            is_open: false,
            time_asked_at: None,
            told_at: None,
        }
    }

    /// Does what the session wants until it waits.
    fn pump(&mut self) {
        let mut waits = false;
        for _ in 0..ACTIONS_MAX {
            let action = self.session.next_action(self.now);
            self.take_news();
            match action {
                Action::Connect(until) => {
                    // Whatever was open is closed first.
                    self.is_open = self.now < until;
                    self.time_asked_at = None;
                    let event =
                        if self.is_open { Event::Connected } else { Event::ConnectFailed(ConnectFailure::TimedOut) };
                    self.session.handle(&event, self.now);
                }
                Action::Send(bytes) => {
                    assert!(self.is_open, "bytes without a connection");
                    self.note_time(&bytes);
                }
                Action::Close => {
                    assert!(self.is_open, "nothing to close");
                    self.is_open = false;
                }
                Action::Wait(until) => {
                    assert!(self.now < until, "no time passes at {:?}", self.now);
                    self.wait_until = until;
                    waits = true;
                    break;
                }
            }
        }
        assert!(waits, "it never waits");
    }

    /// Whichever dialect was agreed on, one of these is the question for the time.
    fn note_time(&mut self, bytes: &[u8]) {
        let is_in = |version| {
            let question = Request::ReqCurrentTime.encode(ServerVersion(version));
            bytes.windows(question.len()).any(|window| window == question)
        };
        if [178, 203, 213].into_iter().any(is_in) {
            let is_apart = self.time_asked_at.is_none_or(|asked| self.now.saturating_sub(asked) >= TIME_SPACING);
            assert!(is_apart, "asked for the time at {:?} and {:?}", self.time_asked_at, self.now);
            self.time_asked_at = Some(self.now);
        }
    }

    fn take_news(&mut self) {
        let Some(news) = self.session.take_news() else { return };
        self.told_at = Some(self.now);
        let api = self.session.seen(self.now);
        assert!(api.notices.len() <= KEPT_MAX && api.client_ids_in_use.len() <= KEPT_MAX, "it keeps everything");
        if news == News::Changed && cause(api) == Cause::Ready {
            assert!(self.session.is_up(), "ready without a session");
        }
    }

    fn play(&mut self, op: &Op) {
        match op {
            Op::Pass(_) => self.pass(op.passes()),
            Op::Cut(_) | Op::Hold | Op::Release => {}
            _ if !self.is_open => self.pass(Duration::from_secs(1)),
            Op::Close => self.happens(&Event::Closed),
            Op::Reset => self.happens(&Event::Reset),
            Op::Long(size) if *size > 4_200 => {}
            _ => {
                let bytes = op.bytes(self.version, self.now.as_secs().cast_signed());
                self.happens(&Event::Bytes(&bytes));
            }
        }
    }

    fn happens(&mut self, event: &Event<'_>) {
        self.session.handle(event, self.now);
        self.take_news();
        self.pump();
    }

    /// Time passes; the session is woken whenever it asked to be.
    fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        while self.wait_until <= until {
            self.now = self.wait_until;
            self.pump();
            let age = self.told_at.map_or(self.now, |told| self.now.saturating_sub(told));
            assert!(age <= FRESH_WITHIN, "nothing was told for {age:?}");
        }
        self.now = until;
    }
}

fn cause(api: ApiSeen) -> Cause {
    let started_at = Timestamp::UNIX_EPOCH;
    let seen = Observation { started_at, container: ContainerSeen::NotChecked, api, hint: None, fault: None };
    judge(&seen, &Expectations { clock_skew_max: Duration::MAX, ..Expectations::default() }).cause
}
