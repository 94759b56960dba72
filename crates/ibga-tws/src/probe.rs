//! One look at a gateway's API socket, as a state machine without I/O: it is fed what happened and when, and gives back what to
//! do next and, at the end, an observation. It decides nothing about readiness.
//!
//! Etiquette, since a careless probe can wedge a gateway: the complete hello in one write, the same connection kept until its
//! deadline, a client id of its own, one current-time request per look, everything pending read before a clean close.
//! On error 326 the next client id of a small range is tried on a new connection.
//!
//! It is also how a session opens that is to stay ([`crate::session`]): then silence has no limit, and what would be the end of the
//! probe is where it stands by for further questions.

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

/// How many questions a session has numbers for, before it begins anew.
const QUESTIONS_MAX: i32 = 1_000_000;

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

/// How far a probe is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    ToConnect,
    Connecting,
    Hello,
    Startup,
    Asking,
    Settling,
    /// Everything was asked, and the session stays.
    Standing,
    Over,
}

/// What comes of a session that is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stay {
    /// It is closed: one look was enough.
    Leaves,
    /// It is kept, and its silence is waited out.
    Stays,
}

/// The state machine. All times are counted from the beginning of the probe.
#[derive(Debug)]
pub struct Probe {
    plan: ProbePlan,
    stay: Stay,
    client_id: i32,
    state: State,
    state_since: Duration,
    /// When the current state gives up.
    deadline: Duration,
    decoder: FrameDecoder,
    version: ServerVersion,
    outgoing: Vec<u8>,
    questions_asked: i32,
    /// The number of the first question that has not been given up.
    questions_open_from: i32,
    /// How often the broker has answered.
    answers: u32,
    /// Counts the changes of what is judged.
    revision: u32,
    /// How often the gateway said that its link is lost, and that another session of its login is there.
    losses: u32,
    competitions: u32,
    /// When the broker is asked again, if it has not answered by then.
    ask_again_at: Option<Duration>,
    asked_at: Duration,
    /// The questions have really left; what came before cannot be their answer.
    questions_sent: bool,
    liveness_seen: bool,
    /// The first question of those that told the hours.
    hours_of: i32,
    /// An order id is an answer, whatever was said before.
    orders_asked_again: bool,
    link_lost_at: Option<Duration>,
    seen: ApiSeen,
}

impl Probe {
    /// A probe that has not begun.
    pub fn new(plan: ProbePlan) -> Self {
        Self::begin(plan, Stay::Leaves)
    }

    /// One that stands by after its questions, and waits for hello and start without end.
    pub(crate) fn staying(plan: ProbePlan) -> Self {
        Self::begin(plan, Stay::Stays)
    }

    fn begin(plan: ProbePlan, stay: Stay) -> Self {
        Self {
            stay,
            client_id: *plan.client_ids.start(),
            plan,
            state: State::ToConnect,
            state_since: Duration::ZERO,
            deadline: Duration::ZERO,
            decoder: FrameDecoder::default(),
            version: ServerVersion::FLOOR,
            outgoing: Vec::new(),
            questions_asked: 0,
            questions_open_from: 0,
            answers: 0,
            revision: 0,
            losses: 0,
            competitions: 0,
            ask_again_at: None,
            asked_at: Duration::ZERO,
            questions_sent: false,
            liveness_seen: false,
            hours_of: 0,
            orders_asked_again: false,
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
            self.questions_sent = matches!(self.state, State::Asking | State::Settling | State::Standing);
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

    /// How far it is.
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Since when it is that far.
    pub(crate) fn state_since(&self) -> Duration {
        self.state_since
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> &ApiSeen {
        &self.seen
    }

    /// Changes whenever something does that a verdict may depend on, but for the clock.
    pub(crate) fn revision(&self) -> u32 {
        self.revision
    }

    /// How often the broker has answered so far.
    pub(crate) fn answers(&self) -> u32 {
        self.answers
    }

    /// How often the gateway said that its link is lost.
    pub(crate) fn losses(&self) -> u32 {
        self.losses
    }

    /// How often it spoke of another session of its login.
    pub(crate) fn competitions(&self) -> u32 {
        self.competitions
    }

    /// Asks for the time once more. Never within a second of the last time: the gateway would not answer.
    pub(crate) fn ask_time(&mut self) {
        self.outgoing.extend(Request::ReqCurrentTime.encode(self.version));
    }

    /// The time was not told when it was due.
    pub(crate) fn time_not_told(&mut self) {
        self.seen.clock = None;
    }

    /// Notes how long the answer to the last question for the time took.
    pub(crate) fn time_told_after(&mut self, took: Duration) {
        self.set_timing(Stage::Liveness, took);
    }

    /// Asks the broker again, and whatever was not as it should be. The answers to earlier questions no longer count. Whether there is
    /// a question to ask.
    pub(crate) fn ask_again(&mut self, now: Duration) -> bool {
        if self.seen.orders != Orders::Allowed {
            self.orders_asked_again = true;
            self.outgoing.extend(Request::ReqIds.encode(self.version));
        }
        if self.seen.accounts.as_ref().is_none_or(Vec::is_empty) {
            self.outgoing.extend(Request::ReqManagedAccounts.encode(self.version));
        }
        self.questions_open_from = self.questions_asked;
        let Some(question) = self.next_question() else { return false };
        self.asked_at = now;
        self.outgoing.extend(question.encode(self.version));
        true
    }

    /// The broker has not answered in time, or has to prove itself anew.
    pub(crate) fn broker_unproven(&mut self) {
        self.set_broker(Broker::Silent);
    }

    /// Nothing was heard of another session for long.
    pub(crate) fn competition_over(&mut self) {
        self.seen.connectivity.competing_session = false;
        self.revision = self.revision.wrapping_add(1);
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
                if self.seen.accounts.as_ref() != Some(&accounts) {
                    self.seen.accounts = Some(accounts);
                    self.revision = self.revision.wrapping_add(1);
                }
                self.ask_if_started(now);
            }
            Reply::NextValidId(order_id) => {
                if self.state == State::Startup {
                    self.seen.order_id = Some(order_id);
                    self.ask_if_started(now);
                } else if self.questions_sent && (self.seen.orders == Orders::Unproven || self.orders_asked_again) {
                    // Once refused stays refused until it is asked again: an order id may come unasked.
                    self.set_orders(Orders::Allowed);
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
        if self.seen.connectivity.apply(&notice) {
            self.revision = self.revision.wrapping_add(1);
        }
        let meaning = notice.meaning();
        match meaning {
            Meaning::CompetingSession => self.competitions = self.competitions.wrapping_add(1),
            Meaning::LinkDown => {
                self.losses = self.losses.wrapping_add(1);
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
            Meaning::ReadOnly => self.set_orders(Orders::ReadOnly),
            // The text may be in any language; a validation error that is not about the contract is about the order id.
            _ if notice.code == 321 && self.questions_sent && !self.is_question(notice.request_id) => {
                self.set_orders(Orders::ReadOnly);
            }
            Meaning::FarmUp => self.ask_again_soon(now),
            _ if self.is_question(notice.request_id) && notice.proves_broker() => self.broker_answered(now),
            _ => {}
        }
        // Farms and the routine notices around them (2100 to 2199) are told as states, not as messages.
        let routine = matches!(notice.code, 0 | 2100..=2109 | 2111..=2199);
        let ends_it = matches!(meaning, Meaning::PaperDisclaimer | Meaning::PortMoved);
        if ends_it || !routine {
            self.keep_notice(notice);
        }
        if ends_it {
            self.finish(End::Finished, now);
        }
    }

    /// Of one look the first ones tell most, of a session that stays the last ones.
    fn keep_notice(&mut self, notice: Notice) {
        let notices = &mut self.seen.notices;
        let is_full = notices.len() >= NOTICES_MAX;
        match self.stay {
            Stay::Stays if is_full => drop(notices.remove(0)),
            Stay::Leaves if is_full && !matches!(notice.meaning(), Meaning::PaperDisclaimer | Meaning::PortMoved) => {
                return;
            }
            _ => {}
        }
        notices.push(notice);
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
        let question = self.next_question()?;
        self.seen.broker = Broker::Silent;
        Some(question)
    }

    fn next_question(&mut self) -> Option<Request> {
        let contract = self.plan.question.clone()?;
        let request_id = QUESTION_ID + self.questions_asked;
        self.questions_asked = (self.questions_asked + 1) % QUESTIONS_MAX;
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
        let number = request_id.wrapping_sub(QUESTION_ID);
        let (from, until) = (self.questions_open_from, self.questions_asked);
        let is_open = if from <= until {
            (from..until).contains(&number)
        } else {
            number >= from || (0..until).contains(&number)
        };
        self.questions_sent && (0..QUESTIONS_MAX).contains(&number) && is_open
    }

    /// Several contracts may answer to a symbol: the first on the exchange that was asked for counts, else the first.
    fn keep_hours(&mut self, details: &ContractDetails) {
        let wanted = self.plan.question.as_ref().map(|contract| contract.exchange.as_str());
        let fits = |exchange: &str| wanted.is_some_and(|wanted| wanted.eq_ignore_ascii_case(exchange));
        let is_better = |kept: &HoursSeen| !fits(&kept.exchange) && fits(&details.contract.exchange);
        let round = self.questions_open_from;
        let is_first = std::mem::replace(&mut self.hours_of, round) != round;
        if is_first || self.seen.hours.as_ref().is_none_or(is_better) {
            let (exchange, zone) = (&details.contract.exchange, &details.time_zone);
            self.seen.hours = Some(HoursSeen::read(exchange, zone, &details.liquid_hours));
        }
    }

    fn broker_answered(&mut self, now: Duration) {
        // Contracts and their end answer one question.
        if self.seen.broker == Broker::Answered && self.state != State::Standing {
            return;
        }
        self.answers = self.answers.wrapping_add(1);
        self.ask_again_at = None;
        self.set_broker(Broker::Answered);
        self.set_timing(Stage::Broker, now.saturating_sub(self.asked_at));
    }

    fn set_broker(&mut self, broker: Broker) {
        if self.seen.broker != broker {
            self.seen.broker = broker;
            self.revision = self.revision.wrapping_add(1);
        }
    }

    fn set_orders(&mut self, orders: Orders) {
        self.orders_asked_again = false;
        if self.seen.orders != orders {
            self.seen.orders = orders;
            self.revision = self.revision.wrapping_add(1);
        }
    }

    fn set_timing(&mut self, stage: Stage, took: Duration) {
        match self.seen.timings.iter_mut().find(|(known, _)| *known == stage) {
            Some((_, known)) => *known = took,
            None => self.seen.timings.push((stage, took)),
        }
    }

    /// What is left to wait for, once the questions have been asked.
    fn review(&mut self, now: Duration) {
        if self.state == State::Standing || self.seen.clock.is_none() || self.seen.orders == Orders::Unproven {
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
                self.deadline = self.within(lost_at + LINK_GRACE);
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
                match self.stay {
                    Stay::Leaves => self.finish(End::Finished, now),
                    Stay::Stays => self.enter(State::Standing, now),
                }
            }
            State::Asking if self.stay == Stay::Stays => self.enter(State::Standing, now),
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
        self.deadline = match (state, self.stay) {
            (State::Hello | State::Startup, Stay::Stays) | (State::Standing, _) => Duration::MAX,
            (State::Connecting | State::Asking, _) => self.limit(now, 1, 3),
            (State::Startup, _) => self.limit(now, 2, 3),
            (State::Settling, _) => self.within(now.saturating_add(self.plan.settle)),
            _ => self.plan.timeout,
        };
    }

    /// One look has an end whatever happens.
    fn within(&self, until: Duration) -> Duration {
        match self.stay {
            Stay::Leaves => self.plan.timeout.min(until),
            Stay::Stays => until,
        }
    }

    /// A share of the whole time from `start` on, never past the whole.
    fn limit(&self, start: Duration, share: u32, of: u32) -> Duration {
        self.within(start.saturating_add(self.plan.timeout.saturating_mul(share) / of))
    }

    fn stage_done(&mut self, stage: Stage, now: Duration) {
        self.seen.timings.push((stage, now.saturating_sub(self.state_since)));
    }
}

#[cfg(test)]
mod tests;
