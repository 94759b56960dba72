//! One look at a gateway's API socket, as a state machine without I/O: it is fed what happened and when, and gives back what to
//! do next and, at the end, an observation. It decides nothing about readiness.
//!
//! Etiquette, since a careless probe can wedge a gateway: the complete hello in one write, the same connection kept until its
//! deadline, a client id of its own, one current-time request per session, everything pending read before a clean close.
//! On error 326 the next client id of a small range is tried on a new connection.

use std::ops::RangeInclusive;
use std::time::Duration;

use ibga_core::notice::{Meaning, Notice};
use ibga_core::observation::{
    ApiSeen, Broker, ClockReading, Connect, ConnectFailure, End, Foreign, Hello, HoursSeen, Orders, Stage,
};

use crate::frame::{Frame, FrameDecoder};
use crate::hello::{ClientHello, ServerHello};
use crate::reply::{ContractDetails, Reply};
use crate::request::{Contract, Request};
use crate::version::ServerVersion;

/// The most notices that are kept for a person to read; what they say of link and farms is kept in full.
const NOTICES_MAX: usize = 32;

/// The request id of the first broker question; the repeated one has the next.
const QUESTION_ID: i32 = 9_001;

/// How much is taken in at once, so that what is held does not grow with what arrives together.
const PIECE_BYTES: usize = 16 * 1024;

/// How long a question is left alone before a farm that came up only after it is reason to ask again. IBKR documents that a
/// question asked before the farm notices may go unanswered.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// How long a link that was lost during the probe may take to come back. IBKR's servers drop sessions for moments.
const LINK_GRACE: Duration = Duration::from_secs(2);

/// How a gateway is to be looked at.
#[derive(Clone, Debug)]
pub struct ProbePlan {
    /// The client ids to try, in order, if the gateway says that one is in use.
    pub client_ids: RangeInclusive<i32>,
    /// The highest server version to announce.
    pub version_max: ServerVersion,
    /// What to ask the broker; `None` leaves the broker unproven.
    pub question: Option<Contract>,
    /// How long to wait for late notices once everything has been answered.
    pub settle: Duration,
    /// The limit of the whole probe. The stages have shares of it as limits of their own, so that a fault shows early:
    /// a third to connect, two thirds from hello to order id, a third for the clock, half for the broker.
    /// A silent hello is waited for to the end, since a proxy may deliver it late.
    pub timeout: Duration,
}

/// What happened to the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Connected.
    Connected,
    /// Could not connect.
    ConnectFailed(ConnectFailure),
    /// Bytes came.
    Bytes(&'a [u8]),
    /// The peer closed.
    Closed,
    /// The peer reset.
    Reset,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Close the old connection, if any, and open one, at most until this long after the beginning.
    Connect(Duration),
    /// Write these bytes in one write, then ask again.
    Send(Vec<u8>),
    /// Wait for an event, at most until this long after the beginning.
    Wait(Duration),
    /// Read what is pending, close; the probe is over.
    Finish,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    ToConnect,
    Connecting,
    Hello,
    Startup,
    Asking,
    Settling,
    Over,
}

/// The state machine. All times are counted from the beginning of the probe.
#[derive(Debug)]
pub struct Probe {
    plan: ProbePlan,
    client_id: i32,
    state: State,
    state_since: Duration,
    /// When the current state gives up.
    deadline: Duration,
    decoder: FrameDecoder,
    version: ServerVersion,
    outgoing: Vec<u8>,
    questions_asked: i32,
    /// When the broker is asked again, if it has not answered by then.
    ask_again_at: Option<Duration>,
    asked_at: Duration,
    /// The questions have really left; what came before cannot be their answer.
    questions_sent: bool,
    liveness_seen: bool,
    link_lost_at: Option<Duration>,
    seen: ApiSeen,
}

impl Probe {
    /// A probe that has not begun.
    pub fn new(plan: ProbePlan) -> Self {
        Self {
            client_id: *plan.client_ids.start(),
            plan,
            state: State::ToConnect,
            state_since: Duration::ZERO,
            deadline: Duration::ZERO,
            decoder: FrameDecoder::default(),
            version: ServerVersion::FLOOR,
            outgoing: Vec::new(),
            questions_asked: 0,
            ask_again_at: None,
            asked_at: Duration::ZERO,
            questions_sent: false,
            liveness_seen: false,
            link_lost_at: None,
            seen: ApiSeen::default(),
        }
    }

    /// What was seen. The time is when the probe ended.
    pub fn into_observation(mut self, now: Duration) -> ApiSeen {
        self.seen.elapsed = now;
        self.seen
    }

    /// What to do now.
    pub fn next_action(&mut self, now: Duration) -> Action {
        if self.state == State::ToConnect {
            self.enter(State::Connecting, now);
            return Action::Connect(self.deadline);
        }
        self.ask_again_if_due(now);
        if !self.outgoing.is_empty() {
            self.questions_sent = self.state == State::Asking;
            return Action::Send(std::mem::take(&mut self.outgoing));
        }
        if self.state != State::Over && now >= self.deadline {
            self.time_is_up(now);
        }
        match self.state {
            State::Over => Action::Finish,
            State::Asking => Action::Wait(self.ask_again_at.map_or(self.deadline, |at| at.min(self.deadline))),
            _ => Action::Wait(self.deadline),
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: &Event<'_>, now: Duration) {
        if self.state == State::Over {
            return;
        }
        match event {
            Event::Connected => self.connected(now),
            Event::ConnectFailed(failure) => {
                self.seen.connect = Connect::Failed(failure.clone());
                self.finish(End::Finished, now);
            }
            Event::Bytes(bytes) => self.received(bytes, now),
            Event::Closed => self.lost(End::Closed, now),
            Event::Reset => self.lost(End::Reset, now),
        }
    }

    fn connected(&mut self, now: Duration) {
        self.seen.connect = Connect::Connected;
        self.stage_done(Stage::Connect, now);
        let hello = ClientHello { min: ServerVersion::FLOOR, max: self.plan.version_max };
        self.outgoing = hello.encode();
        self.enter(State::Hello, now);
    }

    fn received(&mut self, bytes: &[u8], now: Duration) {
        self.seen.bytes_received += bytes.len() as u64;
        for piece in bytes.chunks(PIECE_BYTES) {
            if matches!(self.state, State::Over | State::ToConnect) {
                break;
            }
            self.decoder.push(piece);
            self.read_frames(now);
        }
        if self.questions_sent && self.state != State::Over {
            self.review(now);
        }
    }

    fn read_frames(&mut self, now: Duration) {
        if self.state == State::Hello
            && let Some(foreign) = ServerHello::foreign(self.decoder.pending())
        {
            return self.finish(End::Foreign(foreign), now);
        }
        while !matches!(self.state, State::Over | State::ToConnect) {
            match self.decoder.next_frame() {
                Ok(None) => break,
                Ok(Some(Frame::Skipped { .. })) => {}
                Ok(Some(Frame::Payload(payload))) => self.frame(&payload, now),
                Err(fault) => return self.broken(fault.to_string(), now),
            }
        }
    }

    fn frame(&mut self, payload: &[u8], now: Duration) {
        if self.state == State::Hello {
            return self.hello(payload, now);
        }
        match Reply::decode(self.version, payload) {
            Ok(reply) => self.reply(reply, now),
            Err(fault) => self.broken(fault.to_string(), now),
        }
    }

    fn hello(&mut self, payload: &[u8], now: Duration) {
        let Some(hello) = ServerHello::parse(payload) else {
            return self.finish(End::Foreign(Foreign::Other), now);
        };
        self.stage_done(Stage::Hello, now);
        match hello {
            ServerHello::Redirect(address) => {
                let address = address.chars().filter(|c| !c.is_control()).take(100).collect();
                self.seen.hello = Some(Hello::Redirect(address));
                self.finish(End::Finished, now);
            }
            ServerHello::Session { version, .. } if version < ServerVersion::FLOOR => {
                self.seen.hello = Some(Hello::TooOld(version.0));
                self.finish(End::Finished, now);
            }
            ServerHello::Session { version, .. } => {
                self.version = version;
                self.seen.hello = Some(Hello::Version(version.0));
                self.outgoing = Request::StartApi { client_id: self.client_id }.encode(version);
                self.enter(State::Startup, now);
            }
        }
    }

    fn reply(&mut self, reply: Reply, now: Duration) {
        match reply {
            Reply::ManagedAccounts(accounts) => {
                // A gateway that repeats an empty list after a full one has lost its login; the last word counts.
                self.seen.accounts = Some(accounts);
                self.ask_if_started(now);
            }
            Reply::NextValidId(order_id) => {
                if self.state == State::Startup {
                    self.seen.order_id = Some(order_id);
                    self.ask_if_started(now);
                } else if self.questions_sent && self.seen.orders == Orders::Unproven {
                    // Once refused stays refused: an order id may come unasked.
                    self.seen.orders = Orders::Allowed;
                }
            }
            Reply::CurrentTime(epoch_seconds) if self.questions_sent => {
                self.seen.clock = Some(ClockReading { epoch_seconds, received_after: now });
            }
            Reply::ContractDetails { request_id, details } if self.is_question(request_id) => {
                self.keep_hours(&details);
                self.broker_answered(now);
            }
            Reply::ContractDetailsEnd { request_id } if self.is_question(request_id) => self.broker_answered(now),
            Reply::Notice(notice) => self.notice(notice, now),
            _ => {}
        }
    }

    fn notice(&mut self, notice: Notice, now: Duration) {
        self.seen.connectivity.apply(&notice);
        let meaning = notice.meaning();
        match meaning {
            Meaning::LinkDown => {
                self.link_lost_at.get_or_insert(now);
            }
            Meaning::LinkRestored => {
                self.link_lost_at = None;
                self.ask_again_soon(now);
            }
            Meaning::ClientIdInUse if self.seen.accounts.is_none() => {
                self.seen.client_ids_in_use.push(self.client_id);
                self.next_client_id(now);
            }
            Meaning::ReadOnly => self.seen.orders = Orders::ReadOnly,
            // The text may be in any language; a validation error that is not about the contract is about the order id.
            _ if notice.code == 321 && self.questions_sent && !self.is_question(notice.request_id) => {
                self.seen.orders = Orders::ReadOnly;
            }
            Meaning::FarmUp => self.ask_again_soon(now),
            _ if self.is_question(notice.request_id) && notice.proves_broker() => self.broker_answered(now),
            _ => {}
        }
        // Farms and the routine notices around them (2100 to 2199) are told as states, not as messages.
        let routine = matches!(notice.code, 0 | 2100..=2109 | 2111..=2199);
        let ends_it = matches!(meaning, Meaning::PaperDisclaimer | Meaning::PortMoved);
        if ends_it || (!routine && self.seen.notices.len() < NOTICES_MAX) {
            self.seen.notices.push(notice);
        }
        if ends_it {
            self.finish(End::Finished, now);
        }
    }

    /// Once accounts and order id are there, everything else is asked in one write.
    fn ask_if_started(&mut self, now: Duration) {
        let (Some(accounts), Some(_), State::Startup) = (&self.seen.accounts, self.seen.order_id, self.state) else {
            return;
        };
        let mut requests = vec![Request::ReqCurrentTime, Request::ReqIds];
        if accounts.is_empty() {
            requests.push(Request::ReqManagedAccounts);
        }
        self.stage_done(Stage::Startup, now);
        self.enter(State::Asking, now);
        self.asked_at = now;
        requests.extend(self.question());
        // The start may not have left yet.
        self.outgoing.extend(requests.iter().flat_map(|request| request.encode(self.version)));
    }

    /// The broker question with a fresh id, if there is one to ask.
    fn question(&mut self) -> Option<Request> {
        let contract = self.plan.question.clone()?;
        let request_id = QUESTION_ID + self.questions_asked;
        self.questions_asked += 1;
        self.seen.broker = Broker::Silent;
        Some(Request::ReqContractDetails { request_id, contract })
    }

    /// Something came up behind the gateway only after the question was asked, which may then have been lost.
    fn ask_again_soon(&mut self, now: Duration) {
        if self.state == State::Asking && self.questions_asked == 1 && self.seen.broker == Broker::Silent {
            self.ask_again_at.get_or_insert(now.max(self.asked_at + ASK_AGAIN_AFTER));
        }
    }

    fn ask_again_if_due(&mut self, now: Duration) {
        if self.state == State::Asking
            && self.seen.broker == Broker::Silent
            && self.ask_again_at.is_some_and(|at| now >= at)
        {
            self.ask_again_at = None;
            if let Some(question) = self.question() {
                self.outgoing.extend(question.encode(self.version));
            }
        }
    }

    /// Whether this is the id of a question that has left; what is told about it before is no answer.
    fn is_question(&self, request_id: i32) -> bool {
        self.questions_sent && (QUESTION_ID..QUESTION_ID + self.questions_asked).contains(&request_id)
    }

    /// Several contracts may answer to a symbol: the first on the exchange that was asked for counts, else the first.
    fn keep_hours(&mut self, details: &ContractDetails) {
        let wanted = self.plan.question.as_ref().map(|contract| contract.exchange.as_str());
        let fits = |exchange: &str| wanted.is_some_and(|wanted| wanted.eq_ignore_ascii_case(exchange));
        let is_better = |kept: &HoursSeen| !fits(&kept.exchange) && fits(&details.contract.exchange);
        if self.seen.hours.as_ref().is_none_or(is_better) {
            let (exchange, zone) = (&details.contract.exchange, &details.time_zone);
            self.seen.hours = Some(HoursSeen::read(exchange, zone, &details.liquid_hours));
        }
    }

    fn broker_answered(&mut self, now: Duration) {
        if self.seen.broker != Broker::Answered {
            self.seen.broker = Broker::Answered;
            self.ask_again_at = None;
            self.seen.timings.push((Stage::Broker, now.saturating_sub(self.asked_at)));
        }
    }

    /// What is left to wait for, once the questions have been asked.
    fn review(&mut self, now: Duration) {
        if self.seen.clock.is_none() || self.seen.orders == Orders::Unproven {
            return;
        }
        if !self.liveness_seen {
            self.liveness_seen = true;
            self.stage_done(Stage::Liveness, now);
        }
        match self.link_lost_at {
            // A link that stays down brings no answer; waiting for longer would only delay the news.
            Some(lost_at) => {
                self.state = State::Asking;
                self.deadline = self.plan.timeout.min(lost_at + LINK_GRACE);
            }
            None if self.seen.broker == Broker::Silent => self.deadline = self.limit(self.asked_at, 1, 2),
            None if self.state == State::Asking => self.enter(State::Settling, now),
            None => {}
        }
    }

    /// What a limit of time means in each state.
    fn time_is_up(&mut self, now: Duration) {
        match self.state {
            State::Connecting => {
                self.seen.connect = Connect::Failed(ConnectFailure::TimedOut);
                self.finish(End::Deadline, now);
            }
            State::Hello if !self.decoder.pending().is_empty() => self.hello_broke_off(&End::Deadline, now),
            State::Settling => {
                self.stage_done(Stage::Settle, now);
                self.finish(End::Finished, now);
            }
            _ => self.finish(End::Deadline, now),
        }
    }

    fn lost(&mut self, end: End, now: Duration) {
        match self.state {
            State::Hello if !self.decoder.pending().is_empty() => self.hello_broke_off(&end, now),
            State::Connecting => {
                self.seen.connect = Connect::Failed(ConnectFailure::Reset);
                self.finish(end, now);
            }
            _ => self.finish(end, now),
        }
    }

    /// Too few bytes for a hello, or for telling what it is.
    fn hello_broke_off(&mut self, end: &End, now: Duration) {
        let pending = self.decoder.pending();
        let could_be_a_hello = pending.starts_with(&[0]);
        let how = if *end == End::Deadline { "was not complete in time" } else { "was cut short" };
        let end = if could_be_a_hello {
            End::Broken(format!("the hello {how} after {} bytes", pending.len()))
        } else {
            End::Foreign(Foreign::Other)
        };
        self.finish(end, now);
    }

    fn broken(&mut self, text: String, now: Duration) {
        self.finish(End::Broken(text), now);
    }

    fn next_client_id(&mut self, now: Duration) {
        if self.client_id >= *self.plan.client_ids.end() {
            return self.finish(End::ClientIdsInUse, now);
        }
        self.client_id += 1;
        let tried = std::mem::take(&mut self.seen.client_ids_in_use);
        self.seen = ApiSeen { client_ids_in_use: tried, ..ApiSeen::default() };
        self.decoder = FrameDecoder::default();
        self.outgoing.clear();
        self.link_lost_at = None;
        self.state = State::ToConnect;
    }

    fn finish(&mut self, end: End, now: Duration) {
        self.seen.end = end;
        self.outgoing.clear();
        self.enter(State::Over, now);
    }

    fn enter(&mut self, state: State, now: Duration) {
        self.state = state;
        self.state_since = now;
        self.deadline = match state {
            State::Connecting | State::Asking => self.limit(now, 1, 3),
            State::Startup => self.limit(now, 2, 3),
            State::Settling => self.plan.timeout.min(now.saturating_add(self.plan.settle)),
            _ => self.plan.timeout,
        };
    }

    /// A share of the whole time from `start` on, never past the whole.
    fn limit(&self, start: Duration, share: u32, of: u32) -> Duration {
        self.plan.timeout.min(start.saturating_add(self.plan.timeout.saturating_mul(share) / of))
    }

    fn stage_done(&mut self, stage: Stage, now: Duration) {
        self.seen.timings.push((stage, now.saturating_sub(self.state_since)));
    }
}

#[cfg(test)]
mod tests;
