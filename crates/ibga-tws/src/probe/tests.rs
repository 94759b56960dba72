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
    let refusal = |bench: &mut Bench| bench.notice(-1, 326, "Unable to connect as the client id is already in use.");
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
            let expected = expected
                .map(|details| HoursSeen::read(&details.contract.exchange, &details.time_zone, &details.liquid_hours));
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
