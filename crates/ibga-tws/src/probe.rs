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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame;
    use ibga_core::account::AccountId;
    use ibga_core::cause::Cause;
    use ibga_core::observation::{ContainerSeen, Observation};
    use ibga_core::verdict::{Expectations, judge};

    fn plan() -> ProbePlan {
        ProbePlan {
            client_ids: 99..=103,
            version_max: ServerVersion::TEXT_MAX,
            question: Some(Contract::eur_usd()),
            settle: Duration::from_millis(50),
            timeout: Duration::from_secs(15),
        }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A probe with a hand-cranked clock, and what it has sent.
    struct Bench {
        probe: Probe,
        now: Duration,
        version: ServerVersion,
        sent: Vec<Vec<u8>>,
        connections: u32,
    }

    impl Bench {
        fn new(plan: ProbePlan) -> Self {
            let mut bench = Self {
                probe: Probe::new(plan),
                now: Duration::ZERO,
                version: ServerVersion(178),
                sent: vec![],
                connections: 0,
            };
            bench.pump();
            bench
        }

        fn connected(version: u32) -> Self {
            let mut bench = Self::new(plan());
            bench.version = ServerVersion(version);
            bench.event(&Event::Connected);
            bench.bytes(&hello(version));
            bench
        }

        /// Does what the probe wants until it waits or is over.
        fn pump(&mut self) -> Action {
            loop {
                match self.probe.next_action(self.now) {
                    Action::Connect(_) => self.connections += 1,
                    Action::Send(bytes) => self.sent.push(bytes),
                    action => return action,
                }
                if self.probe.state == State::Connecting {
                    return Action::Connect(Duration::ZERO);
                }
            }
        }

        fn event(&mut self, event: &Event<'_>) -> Action {
            self.probe.handle(event, self.now);
            self.pump()
        }

        fn bytes(&mut self, bytes: &[u8]) -> Action {
            self.event(&Event::Bytes(bytes))
        }

        fn reply(&mut self, reply: &Reply) -> Action {
            let bytes = reply.encode(self.version, 0);
            self.bytes(&bytes)
        }

        fn notice(&mut self, id: i32, code: i32, text: &str) -> Action {
            self.reply(&Reply::Notice(Notice::new(id, code, text)))
        }

        fn at(&mut self, now: Duration) -> Action {
            self.now = now;
            self.pump()
        }

        fn seen(self) -> ApiSeen {
            self.probe.into_observation(self.now)
        }

        fn started(&mut self) {
            self.reply(&accounts("DU1234567"));
            self.reply(&Reply::NextValidId(1));
        }

        fn answered(&mut self) {
            self.reply(&Reply::CurrentTime(1_700_000_000));
            self.reply(&Reply::NextValidId(2));
            self.reply(&Reply::ContractDetailsEnd { request_id: QUESTION_ID });
        }
    }

    fn hello(version: u32) -> Vec<u8> {
        ServerHello::Session { version: ServerVersion(version), time: b"20261122 03:00:00 EST".to_vec() }.encode()
    }

    fn accounts(list: &str) -> Reply {
        Reply::ManagedAccounts(AccountId::parse_list(list))
    }

    #[test]
    fn the_whole_dialogue_in_every_dialect() {
        for version in [100, 176, 200, 201, 205, 212, 213, 250] {
            let mut bench = Bench::connected(version);
            bench.started();
            assert_eq!(bench.sent.len(), 3, "hello, startApi, and the three questions in one write");
            assert_eq!(bench.sent[0], b"API\0\0\0\0\x09v100..200");
            bench.answered();
            assert_eq!(bench.at(ms(49)), Action::Wait(ms(50)));
            assert_eq!(bench.at(ms(50)), Action::Finish);
            let seen = bench.seen();
            assert_eq!(seen.hello, Some(Hello::Version(version)));
            assert_eq!(seen.accounts, Some(AccountId::parse_list("DU1234567")));
            assert_eq!((seen.order_id, seen.orders, seen.broker), (Some(1), Orders::Allowed, Broker::Answered));
            assert_eq!((seen.end, seen.bytes_received > 0), (End::Finished, true));
            let stages: Vec<Stage> = seen.timings.iter().map(|(stage, _)| *stage).collect();
            let all = [Stage::Connect, Stage::Hello, Stage::Startup, Stage::Liveness, Stage::Broker, Stage::Settle];
            assert!(all.iter().all(|stage| stages.contains(stage)), "{stages:?}");
        }
    }

    #[test]
    fn nothing_is_asked_before_accounts_and_order_id_in_either_order() {
        for replies in [[accounts("DU1"), Reply::NextValidId(1)], [Reply::NextValidId(1), accounts("DU1")]] {
            let mut bench = Bench::connected(178);
            bench.reply(&replies[0]);
            assert_eq!(bench.sent.len(), 2);
            bench.reply(&replies[1]);
            assert_eq!(bench.sent.len(), 3);
        }
    }

    #[test]
    fn limits_of_time() {
        // What has arrived, when the probe gives up, and how it ended.
        type Prepare = fn() -> Bench;
        let cases: [(&str, Prepare, u64, End); 7] = [
            ("connect hangs", || Bench::new(plan()), 5_000, End::Deadline),
            (
                "silence",
                || {
                    let mut b = Bench::new(plan());
                    b.event(&Event::Connected);
                    b
                },
                15_000,
                End::Deadline,
            ),
            (
                "half a hello",
                || {
                    let mut b = Bench::new(plan());
                    b.event(&Event::Connected);
                    b.bytes(&[0, 0, 0, 26, 49]);
                    b
                },
                15_000,
                End::Broken("the hello was not complete in time after 5 bytes".into()),
            ),
            ("no startup", || Bench::connected(178), 10_000, End::Deadline),
            (
                "no clock",
                || {
                    let mut b = Bench::connected(178);
                    b.started();
                    b
                },
                5_000,
                End::Deadline,
            ),
            (
                "no broker",
                || {
                    let mut b = Bench::connected(178);
                    b.started();
                    b.reply(&Reply::CurrentTime(1));
                    b.reply(&Reply::NextValidId(2));
                    b
                },
                7_500,
                End::Deadline,
            ),
            (
                "settled",
                || {
                    let mut b = Bench::connected(178);
                    b.started();
                    b.answered();
                    b
                },
                50,
                End::Finished,
            ),
        ];
        for (name, prepare, limit, end) in cases {
            let mut bench = prepare();
            assert_ne!(bench.at(ms(limit - 1)), Action::Finish, "{name}: too early");
            assert_eq!(bench.at(ms(limit)), Action::Finish, "{name}");
            assert_eq!(bench.seen().end, end, "{name}");
        }
    }

    #[test]
    fn a_dribbling_peer_stretches_nothing() {
        let mut bench = Bench::new(plan());
        bench.event(&Event::Connected);
        let bytes = hello(178);
        for (second, byte) in bytes.iter().enumerate().take(15) {
            bench.now = Duration::from_secs(second as u64);
            bench.bytes(&[*byte]);
        }
        assert_eq!(bench.at(Duration::from_secs(15)), Action::Finish);
    }

    #[test]
    fn the_next_client_id_is_tried_on_a_new_connection() {
        let refusal =
            |bench: &mut Bench| bench.notice(-1, 326, "Unable to connect as the client id is already in use.");
        let mut bench = Bench::connected(178);
        refusal(&mut bench);
        assert_eq!(bench.connections, 2);
        bench.event(&Event::Connected);
        bench.bytes(&hello(178));
        assert!(bench.sent.last().expect("startApi").windows(4).any(|bytes| bytes == b"100\0"));
        for _ in 0..3 {
            refusal(&mut bench);
            bench.event(&Event::Connected);
            bench.bytes(&hello(178));
        }
        assert_eq!(refusal(&mut bench), Action::Finish);
        let seen = bench.seen();
        assert_eq!((seen.client_ids_in_use, seen.end), (vec![99, 100, 101, 102, 103], End::ClientIdsInUse));
    }

    #[test]
    fn the_broker_is_asked_once_more_when_a_farm_comes_up() {
        let mut bench = Bench::connected(178);
        bench.started();
        bench.reply(&Reply::CurrentTime(1));
        bench.reply(&Reply::NextValidId(2));
        bench.notice(-1, 2158, "Sec-def data farm connection is OK:secdefnj");
        assert_eq!(bench.sent.len(), 3, "a farm notice right behind the question is no reason to ask again");
        bench.at(ms(500));
        assert_eq!(bench.sent.len(), 4);
        bench.now = ms(2_000);
        bench.notice(-1, 2104, "Market data farm connection is OK:hfarm");
        assert_eq!(bench.sent.len(), 4, "once more, not more");
        bench.reply(&Reply::ContractDetailsEnd { request_id: QUESTION_ID + 1 });
        assert_eq!(bench.seen().broker, Broker::Answered);
    }

    #[test]
    fn a_link_that_was_lost_gets_a_moment_to_come_back() {
        let lost = |bench: &mut Bench| bench.notice(-1, 1100, "lost");
        for (restored, end, early) in
            [(Some(1_500), 1_550, true), (Some(1_500), 1_550, false), (None, 2_000, true), (None, 2_000, false)]
        {
            let mut bench = Bench::connected(178);
            if early {
                lost(&mut bench);
            }
            bench.started();
            bench.answered();
            if !early {
                lost(&mut bench);
            }
            if let Some(restored) = restored {
                bench.now = ms(restored);
                bench.notice(-1, 1102, "restored");
            }
            assert_ne!(bench.at(ms(end - 1)), Action::Finish, "{restored:?}");
            assert_eq!(bench.at(ms(end)), Action::Finish, "{restored:?}");
        }
    }

    #[test]
    fn what_counts_as_an_answer_of_the_broker() {
        for (id, code, answered) in [
            (QUESTION_ID, 200, Broker::Answered),
            (QUESTION_ID, 1100, Broker::Silent),
            (QUESTION_ID, 321, Broker::Silent),
            (-1, 200, Broker::Silent),
            (QUESTION_ID + 1, 200, Broker::Silent),
        ] {
            let mut bench = Bench::connected(178);
            bench.started();
            bench.notice(id, code, "text");
            assert_eq!(bench.seen().broker, answered, "{code} for {id}");
        }
    }

    #[test]
    fn the_hours_of_the_contract_that_was_asked_about() {
        let details = |exchange: &str, hours: &str| ContractDetails {
            contract: Contract { symbol: "700".into(), exchange: exchange.into(), ..Contract::default() },
            time_zone: "Hongkong".into(),
            liquid_hours: hours.into(),
            ..ContractDetails::default()
        };
        let (own, other) = (details("SEHK", "20261124:0930-20261124:1200"), details("SMART", "20261124:CLOSED"));
        let rows = |rows: &[(i32, &ContractDetails)]| -> Vec<Reply> {
            let reply = |(id, details): &(i32, &ContractDetails)| Reply::ContractDetails {
                request_id: QUESTION_ID + id,
                details: (*details).clone(),
            };
            rows.iter().map(reply).collect()
        };
        for version in [100, 152, 165, 178, 193, 194, 200, 201, 203, 205, 212, 213, 222, 226] {
            for (replies, expected) in [
                (rows(&[]), None),
                (rows(&[(0, &own)]), Some(&own)),
                (rows(&[(0, &other)]), Some(&other)),
                // Several answer to the symbol.
                (rows(&[(0, &other), (0, &own)]), Some(&own)),
                (rows(&[(0, &own), (0, &other)]), Some(&own)),
                // Somebody else's question.
                (rows(&[(7, &own)]), None),
            ] {
                let asked = Contract { exchange: "SEHK".into(), ..Contract::default() };
                let mut bench = Bench::new(ProbePlan { question: Some(asked), ..plan() });
                bench.version = ServerVersion(version);
                bench.event(&Event::Connected);
                bench.bytes(&hello(version));
                bench.started();
                for reply in &replies {
                    bench.reply(reply);
                }
                let expected = expected.map(|details| {
                    HoursSeen::read(&details.contract.exchange, &details.time_zone, &details.liquid_hours)
                });
                assert_eq!(bench.seen().hours, expected, "at {version}");
            }
        }
    }

    #[test]
    fn endings() {
        type Play = fn(&mut Bench);
        let cases: [(&str, Play, End); 6] = [
            (
                "disclaimer",
                |b| {
                    b.notice(-1, 10141, "Paper trading disclaimer must first be accepted for API connection.");
                },
                End::Finished,
            ),
            (
                "port moved",
                |b| {
                    b.notice(-1, 1300, "TWS socket port has been reset");
                },
                End::Finished,
            ),
            (
                "closed",
                |b| {
                    b.event(&Event::Closed);
                },
                End::Closed,
            ),
            (
                "reset",
                |b| {
                    b.event(&Event::Reset);
                },
                End::Reset,
            ),
            (
                "broken length",
                |b| {
                    b.bytes(&[0xFF; 8]);
                },
                End::Broken("frame length 4294967295 is outside 1 to 16777215".into()),
            ),
            (
                "broken field",
                |b| {
                    b.bytes(&frame::encode(b"9\x001\0soon\0"));
                },
                End::Broken("message 9: bad order id".into()),
            ),
        ];
        for (name, play, end) in cases {
            let mut bench = Bench::connected(178);
            play(&mut bench);
            assert_eq!(bench.pump(), Action::Finish, "{name}");
            assert_eq!(bench.seen().end, end, "{name}");
        }
    }

    #[test]
    fn peers_that_are_no_gateway() {
        for (bytes, end) in [
            (&b"HTTP/1.1 400 Bad Request"[..], End::Foreign(Foreign::Http)),
            (b"RFB 003.008\n", End::Foreign(Foreign::Vnc)),
            (b"\0\0\0\x03OK\0", End::Foreign(Foreign::Other)),
        ] {
            let mut bench = Bench::new(plan());
            bench.event(&Event::Connected);
            assert_eq!(bench.bytes(bytes), Action::Finish);
            assert_eq!(bench.seen().end, end);
        }
    }

    #[test]
    fn an_empty_account_list_is_asked_for_again() {
        let mut bench = Bench::connected(178);
        bench.reply(&accounts(""));
        bench.reply(&Reply::NextValidId(1));
        assert!(bench.sent[2].windows(3).any(|bytes| bytes == b"17\0"));
        bench.reply(&accounts("DU1234567"));
        bench.answered();
        assert_eq!(bench.seen().accounts, Some(AccountId::parse_list("DU1234567")));
    }

    /// One message of a gateway: the ones that matter, in any order, and noise between them.
    fn any_reply() -> impl Strategy<Value = Reply> {
        prop_oneof![
            prop::sample::select(vec!["", "DU1234567", "U1,DU2"]).prop_map(accounts),
            (0_i64..5).prop_map(Reply::NextValidId),
            any::<i32>().prop_map(|seconds| Reply::CurrentTime(i64::from(seconds))),
            (QUESTION_ID - 1..QUESTION_ID + 3).prop_map(|request_id| Reply::ContractDetailsEnd { request_id }),
            (
                prop::sample::select(vec![-1, QUESTION_ID]),
                prop::sample::select(vec![0, 165, 200, 321, 326, 1100, 1102, 2104, 10197])
            )
                .prop_map(|(id, code)| Reply::Notice(Notice::new(id, code, "text:farm"))),
        ]
    }

    proptest! {
        /// In whatever order a gateway's messages come: the probe ends in time, and ready needs every proof.
        #[test]
        fn any_order_of_messages(replies in prop::collection::vec((any_reply(), 0_u64..400), 0..25)) {
            let mut bench = Bench::connected(178);
            let mut answers = Vec::new();
            let mut heard = Vec::new();
            for (reply, wait) in &replies {
                if bench.at(bench.now + ms(*wait)) == Action::Finish {
                    break;
                }
                heard.push(reply);
                if bench.sent.len() >= 3 {
                    answers.push(reply);
                }
                bench.reply(reply);
            }
            prop_assert_eq!(bench.at(Duration::from_secs(15)), Action::Finish);
            let api = bench.seen();
            let started_at = ibga_core::clock::now();
            let seen = Observation { started_at, container: ContainerSeen::NotChecked, api, hint: None, fault: None };
            let expected = Expectations { clock_skew_max: Duration::MAX, ..Expectations::default() };
            let came = |wanted: fn(&Reply) -> bool| answers.iter().any(|reply| wanted(reply));
            if judge(&seen, &expected).cause == Cause::Ready {
                prop_assert!(heard.iter().any(|reply| matches!(reply, Reply::ManagedAccounts(accounts) if !accounts.is_empty())));
                prop_assert!(heard.iter().filter(|reply| matches!(reply, Reply::NextValidId(_))).count() >= 2);
                prop_assert!(came(|reply| matches!(reply, Reply::NextValidId(_))));
                prop_assert!(came(|reply| matches!(reply, Reply::CurrentTime(_))));
                let of_the_broker = |reply: &Reply| match reply {
                    Reply::Notice(notice) => notice.code == 200,
                    other => matches!(other, Reply::ContractDetailsEnd { .. }),
                };
                prop_assert!(came(of_the_broker), "no answer of the broker");
                let last_link = heard.iter().rev().find_map(|reply| match reply {
                    Reply::Notice(notice) if [1100, 1102].contains(&notice.code) => Some(notice.code),
                    _ => None,
                });
                prop_assert_ne!(last_link, Some(1100));
            }
        }

        /// Whatever bytes a peer sends and however they are split: no panic, an end in time, and never ready.
        #[test]
        fn hostile_streams(version in prop::sample::select(vec![178_u32, 200, 201, 213]), greeted in any::<bool>(),
                           chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..12)) {
            let mut bench = Bench::new(plan());
            bench.version = ServerVersion(version);
            bench.event(&Event::Connected);
            if greeted {
                bench.bytes(&hello(version));
            }
            for chunk in &chunks {
                bench.now += ms(10);
                let framed = frame::encode(chunk);
                bench.bytes(if greeted { &framed } else { chunk });
            }
            prop_assert_eq!(bench.at(Duration::from_secs(15)), Action::Finish);
            let seen = bench.seen();
            prop_assert!(seen.clock.is_none() && seen.broker != Broker::Answered);
        }
    }

    #[test]
    fn answers_that_came_before_their_question_are_none() {
        let mut bench = Bench::connected(178);
        let request_id = QUESTION_ID;
        let burst = [
            accounts("DU1"),
            Reply::NextValidId(1),
            Reply::NextValidId(2),
            Reply::CurrentTime(5),
            Reply::Notice(Notice::new(request_id, 200, "No security definition has been found for the request")),
            Reply::ContractDetailsEnd { request_id },
        ];
        let bytes: Vec<u8> = burst.iter().flat_map(|reply| reply.encode(bench.version, 0)).collect();
        bench.bytes(&bytes);
        let seen = bench.seen();
        assert_eq!((seen.orders, seen.clock, seen.broker), (Orders::Unproven, None, Broker::Silent));
    }

    #[test]
    fn a_session_that_opens_before_it_was_started_is_started_all_the_same() {
        let mut bench = Bench::new(plan());
        bench.event(&Event::Connected);
        let opening = [accounts("DU1"), Reply::NextValidId(1)];
        let opening = opening.iter().flat_map(|reply| reply.encode(bench.version, 0));
        bench.bytes(&hello(178).into_iter().chain(opening).collect::<Vec<u8>>());
        let start = Request::StartApi { client_id: 99 }.encode(bench.version);
        assert!(bench.sent.last().expect("a write").starts_with(&start));
    }

    #[test]
    fn orders_once_refused_stay_refused_in_any_language() {
        let mut bench = Bench::connected(178);
        bench.started();
        bench.notice(-1, 321, "Fehler beim Überprüfen der Anfrage");
        bench.answered();
        assert_eq!(bench.seen().orders, Orders::ReadOnly);
    }
}
