mod slow_peers;

use ibga_core::cause::Cause;
use ibga_core::observation::{ConnectFailure, ContainerSeen, Observation};
use ibga_core::verdict::{Expectations, judge};
use proptest::prelude::*;

use super::*;
use crate::ServerVersion;
use crate::frame;
use crate::request::{Contract, Request};

fn plan() -> SessionPlan {
    SessionPlan {
        probe: ProbePlan {
            client_ids: 99..=103,
            version_max: ServerVersion::TEXT_MAX,
            question: Some(Contract::eur_usd()),
            settle: ms(100),
            timeout: secs(15),
        },
        heartbeat: secs(20),
        broker_interval: secs(180),
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A session with a hand-cranked clock and a gateway that answers what it is asked.
struct Bench {
    session: Session,
    now: Duration,
    gateway: Gateway,
    /// What happened, in short.
    log: Vec<String>,
    open: bool,
}

/// What the gateway does not do as it should.
#[expect(clippy::struct_excessive_bools, reason = "any of its faults goes with any other")]
#[derive(Clone, Copy, Default)]
struct Gateway {
    deaf_to_time: bool,
    deaf_to_broker: bool,
    refuses: bool,
    silent: bool,
    mute_after_hello: bool,
}

impl Bench {
    fn new(gateway: Gateway) -> Self {
        let mut bench = Self { session: Session::new(plan()), now: Duration::ZERO, gateway, log: vec![], open: false };
        bench.pump();
        bench
    }

    fn up() -> Self {
        let mut bench = Self::new(Gateway::default());
        bench.run_to(secs(1));
        assert!(bench.session.is_up(), "{:?}", bench.log);
        bench.log.clear();
        bench
    }

    /// Does what the session wants until it waits; returns until when.
    fn pump(&mut self) -> Duration {
        for _ in 0..10_000 {
            let action = self.session.next_action(self.now);
            self.note_news();
            match action {
                Action::Connect(until) => {
                    assert!(until > self.now);
                    self.open = false;
                    self.log.push(format!("{} connect", self.at()));
                    if self.gateway.refuses {
                        self.event(&Event::ConnectFailed(ConnectFailure::Refused));
                    } else {
                        self.open = true;
                        self.event(&Event::Connected);
                    }
                }
                Action::Send(bytes) => {
                    assert!(self.open, "bytes without a connection");
                    self.sent(&bytes);
                }
                Action::Close => {
                    assert!(self.open, "nothing to close");
                    self.open = false;
                    self.log.push(format!("{} close", self.at()));
                }
                Action::Wait(until) => {
                    assert!(until > self.now, "no time passes");
                    return until;
                }
            }
        }
        panic!("it never waits: {:?}", self.log);
    }

    fn at(&self) -> String {
        format!("{:.1}", self.now.as_secs_f64())
    }

    fn note_news(&mut self) {
        if let Some(news) = self.session.take_news() {
            let cause = self.cause();
            self.log.push(format!("{} {news:?} {cause}", self.at()));
        }
    }

    fn cause(&self) -> Cause {
        let api = self.session.seen(self.now);
        // The gateway of these tests tells the time that it is.
        let started_at = jiff::Timestamp::UNIX_EPOCH;
        let seen = Observation { started_at, container: ContainerSeen::NotChecked, api, hint: None, fault: None };
        let expected = Expectations { clock_skew_max: Duration::MAX, ..Expectations::default() };
        judge(&seen, &expected).cause
    }

    fn event(&mut self, event: &Event<'_>) {
        self.session.handle(event, self.now);
        self.note_news();
    }

    fn text(&mut self, message: &str) {
        let bytes = frame::encode(message.replace('|', "\0").as_bytes());
        self.event(&Event::Bytes(&bytes));
    }

    fn notice(&mut self, code: i32, text: &str) {
        self.text(&format!("4|2|-1|{code}|{text}||"));
        self.pump();
    }

    fn sent(&mut self, bytes: &[u8]) {
        if bytes.starts_with(b"API\0") {
            if !self.gateway.silent {
                self.text("178|20261122 03:00:00 EST|");
            }
            return;
        }
        let mut rest = bytes;
        while let Some((length, tail)) = rest.split_at_checked(4) {
            let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
            let (payload, tail) = tail.split_at(length);
            rest = tail;
            let text = String::from_utf8_lossy(payload).into_owned();
            let fields: Vec<&str> = text.split('\0').collect();
            match fields[0] {
                "71" if !self.gateway.mute_after_hello => {
                    self.text("15|1|DU1234567|");
                    self.text("9|1|1|");
                }
                "49" => {
                    self.log.push(format!("{} time?", self.at()));
                    if !self.gateway.deaf_to_time {
                        self.text(&format!("49|1|{}|", self.now.as_secs()));
                    }
                }
                "8" => self.text("9|1|2|"),
                "9" => {
                    self.log.push(format!("{} broker?", self.at()));
                    let id = fields[2];
                    if !self.gateway.deaf_to_broker {
                        self.text(&format!("52|1|{id}|"));
                    }
                }
                _ => {}
            }
        }
    }

    /// Lets time pass to this moment.
    fn run_to(&mut self, until: Duration) {
        loop {
            let next = self.pump();
            if next > until {
                self.now = until;
                return;
            }
            self.now = next;
        }
    }

    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }
}

#[test]
fn a_session_that_is_up_asks_for_the_time_and_now_and_then_the_broker() {
    let mut bench = Bench::new(Gateway::default());
    bench.run_to(secs(45));
    assert_eq!(
        bench.told(),
        [
            "0.0 connect",
            "0.0 time?",
            "0.0 broker?",
            "0.1 Changed ready",
            "20.1 time?",
            "20.1 Confirmed ready",
            "40.1 time?",
            "40.1 Confirmed ready"
        ]
    );
    bench.run_to(secs(400));
    let asked: Vec<String> = bench.told().into_iter().filter(|line| line.contains("broker")).collect();
    assert_eq!(asked, ["180.1 broker?", "360.1 broker?"]);
}

#[test]
fn an_end_is_told_at_once_and_followed_by_a_new_session() {
    let mut bench = Bench::up();
    bench.run_to(secs(60));
    bench.told();
    bench.event(&Event::Closed);
    assert_eq!(bench.told(), ["60.0 Changed session_lost"]);
    bench.run_to(secs(61));
    assert_eq!(bench.told(), ["60.0 close", "60.2 connect", "60.2 time?", "60.2 broker?", "60.4 Changed ready"]);
}

#[test]
fn pauses_grow_while_nothing_comes_up() {
    let mut bench = Bench::up();
    bench.run_to(secs(60));
    bench.told();
    bench.gateway.refuses = true;
    bench.event(&Event::Reset);
    bench.run_to(secs(200));
    let told = bench.told();
    let connects: Vec<&String> = told.iter().filter(|line| line.contains("connect")).collect();
    assert_eq!(
        connects,
        [
            "60.2 connect",
            "61.2 connect",
            "63.2 connect",
            "67.2 connect",
            "75.2 connect",
            "91.2 connect",
            "121.2 connect",
            "151.2 connect",
            "181.2 connect"
        ]
    );
    // What is known stays fresh meanwhile.
    let confirmed = told.iter().filter(|line| line.ends_with("port_refused")).count();
    assert!(confirmed >= 10, "{told:?}");
    bench.gateway.refuses = false;
    bench.session.hurry(bench.now);
    bench.run_to(secs(202));
    assert!(bench.session.is_up());
}

#[test]
fn a_gateway_that_drops_every_session_soon_is_not_stormed() {
    let mut bench = Bench::new(Gateway::default());
    let mut connects = 0;
    while bench.now < secs(600) {
        let next = bench.pump();
        if bench.session.is_up() {
            bench.event(&Event::Closed);
        } else {
            bench.now = next;
        }
        connects += bench.told().iter().filter(|line| line.contains("connect")).count();
    }
    assert!((8..=20).contains(&connects), "{connects}");
}

#[test]
fn silence_is_told_and_waited_out_on_the_same_connection() {
    let mut bench = Bench::new(Gateway { silent: true, ..Gateway::default() });
    bench.run_to(secs(7_200));
    let told = bench.told();
    assert_eq!(told.iter().filter(|line| line.contains("connect") || line.contains("close")).count(), 1);
    assert_eq!(told[1], "15.0 Changed api_silent");
    assert_eq!(told.len(), 2 + (7_200 - 15) / 20, "fresh at each heartbeat");
    // The gateway opens, and the hello that waited at the proxy is answered.
    bench.text("178|20261122 03:00:00 EST|");
    bench.run_to(secs(7_201));
    assert_eq!(bench.told(), ["7200.0 time?", "7200.0 broker?", "7200.1 Changed ready"]);
}

#[test]
fn a_start_that_does_not_come_gets_another_try() {
    let mut bench = Bench::new(Gateway { mute_after_hello: true, ..Gateway::default() });
    bench.run_to(secs(121));
    let told: Vec<String> = bench.told().into_iter().filter(|line| !line.contains("Confirmed")).collect();
    assert_eq!(told, ["0.0 connect", "10.0 Changed startup_silent", "120.0 Changed startup_silent", "120.0 close"]);
    bench.gateway = Gateway::default();
    bench.run_to(secs(126));
    assert!(bench.session.is_up());
}

#[test]
fn the_link_is_a_latch_and_the_broker_has_to_prove_that_it_is_back() {
    let mut bench = Bench::up();
    bench.run_to(secs(30));
    bench.told();
    bench.gateway.deaf_to_broker = true;
    bench.notice(1100, "Connectivity between IB and Trader Workstation has been lost.");
    assert_eq!(bench.told()[0], "30.0 Changed broker_link_down");
    bench.notice(2104, "Market data farm connection is OK:usfarm");
    bench.run_to(secs(50));
    assert!(bench.told().iter().all(|line| !line.contains("ready")), "farms clear nothing");
    bench.notice(1102, "restored");
    assert_eq!(bench.told(), ["50.0 broker?"], "nothing is told before the broker has answered");
    bench.run_to(secs(58));
    assert!(bench.told().contains(&"57.5 Changed broker_silent".to_owned()));
    bench.gateway.deaf_to_broker = false;
    bench.run_to(secs(90));
    assert!(bench.told().contains(&"87.5 Changed ready".to_owned()));
    bench.notice(1100, "lost");
    bench.notice(1101, "restored, data lost");
    assert_eq!(bench.told(), ["90.0 Changed broker_link_down", "90.0 broker?", "90.0 Changed ready"]);
}

#[test]
fn a_fresh_session_knows_of_no_loss_but_has_to_hear_from_the_broker() {
    let mut bench = Bench::up();
    bench.run_to(secs(40));
    bench.notice(1100, "lost");
    bench.gateway.deaf_to_broker = true;
    bench.event(&Event::Closed);
    bench.told();
    bench.run_to(secs(60));
    assert!(bench.told().iter().any(|line| line.ends_with("Changed broker_silent")));
    bench.gateway.deaf_to_broker = false;
    bench.run_to(secs(100));
    assert_eq!(bench.cause(), Cause::Ready);
}

#[test]
fn a_clock_that_is_not_told_is_told_of_and_a_dead_connection_left() {
    let mut bench = Bench::up();
    bench.gateway.deaf_to_time = true;
    bench.run_to(secs(26));
    assert_eq!(bench.told(), ["20.1 time?", "25.1 Changed api_unresponsive"]);
    bench.gateway.deaf_to_time = false;
    bench.run_to(secs(41));
    assert_eq!(bench.told(), ["40.1 time?", "40.1 Changed ready"]);
    bench.gateway.deaf_to_time = true;
    bench.run_to(secs(107));
    let told = bench.told();
    assert!(told.contains(&"105.1 close".to_owned()), "{told:?}");
}

#[test]
fn what_else_changes_is_told_at_once() {
    let mut bench = Bench::up();
    bench.text("15|1||");
    assert_eq!(bench.told(), ["1.0 Changed accounts_empty"]);
    bench.pump();
    bench.text("15|1|DU1234567|");
    bench.notice(2103, "Market data farm connection is broken:hfarm");
    let told = bench.told();
    assert_eq!(&told[..2], ["1.0 Changed ready", "1.0 Changed ready"], "a farm is judged, too");
    bench.run_to(secs(30));
    let told: Vec<String> = bench.told().into_iter().filter(|line| line.contains("broker?")).collect();
    assert_eq!(told, ["5.1 broker?"], "once for both");
    bench.notice(10197, "No market data during competing live session");
    assert_eq!(bench.cause(), Cause::CompetingSession);
    bench.run_to(secs(400));
    assert_eq!(bench.cause(), Cause::Ready, "nothing was heard of it for long");
}

#[test]
fn another_client_id_is_tried_on_a_connection_of_its_own() {
    let mut bench = Bench::new(Gateway { silent: true, ..Gateway::default() });
    bench.text("178|x|");
    bench.log.clear();
    let mut other = Bench::new(Gateway { mute_after_hello: true, ..Gateway::default() });
    other.notice(326, "Unable to connect as the client id is already in use.");
    assert_eq!(other.told(), ["0.0 connect", "0.0 connect"]);
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u64..40_000).prop_map(Step::Wait),
        2 => prop::sample::select(vec![1100, 1101, 1102, 2103, 2104, 2110, 10197, 10141, 1300, 326, 321, 502])
            .prop_map(Step::Notice),
        1 => Just(Step::Close),
        1 => Just(Step::Reset),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Step::Garbage),
        2 => (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(deaf_to_time, deaf_to_broker, refuses, silent, mute_after_hello)| Step::Become(Gateway {
                deaf_to_time, deaf_to_broker, refuses, silent, mute_after_hello
            })
        ),
    ]
}

#[derive(Clone)]
enum Step {
    Wait(u64),
    Notice(i32),
    Close,
    Reset,
    Garbage(Vec<u8>),
    Become(Gateway),
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wait(ms) => write!(f, "wait {ms}"),
            Self::Notice(code) => write!(f, "notice {code}"),
            Self::Close => write!(f, "close"),
            Self::Reset => write!(f, "reset"),
            Self::Garbage(bytes) => write!(f, "garbage {bytes:?}"),
            Self::Become(_) => write!(f, "become"),
        }
    }
}

proptest! {
    /// Whatever happens: one connection at most (the bench asserts it), time passes at every wait, no two questions for the time
    /// within a second, what is known is fresh, and a gateway that is well again is ready in the end.
    #[test]
    fn any_course_of_events(steps in prop::collection::vec(any_step(), 0..40)) {
        let mut bench = Bench::new(Gateway::default());
        let mut log = Vec::new();
        for step in steps {
            let until = bench.now + match step { Step::Wait(ms) => Duration::from_millis(ms), _ => Duration::ZERO };
            match step {
                Step::Notice(code) if bench.open => bench.notice(code, "text:farm"),
                Step::Close if bench.open => bench.event(&Event::Closed),
                Step::Reset if bench.open => bench.event(&Event::Reset),
                Step::Garbage(bytes) if bench.open => bench.event(&Event::Bytes(&bytes)),
                Step::Become(gateway) => bench.gateway = gateway,
                _ => {}
            }
            bench.run_to(until);
            log.extend(bench.told());
        }
        bench.gateway = Gateway::default();
        // A hello that nobody answered is lost with its connection; so is whatever garbage announced.
        if bench.open && !bench.session.is_up() { bench.event(&Event::Closed); }
        bench.notice_if_open(1102);
        let until = bench.now + secs(700);
        bench.run_to(until);
        prop_assert_eq!(bench.cause(), Cause::Ready, "{:?}", bench.log);
        log.extend(bench.told());
        let moment = |line: &String| line.split(' ').next().and_then(|at| at.parse::<f64>().ok()).unwrap();
        let times: Vec<f64> = log.iter().filter(|line| line.ends_with("time?")).map(moment).collect();
        let connects: Vec<f64> = log.iter().filter(|line| line.ends_with("connect")).map(moment).collect();
        for pair in times.windows(2) {
            let renewed = connects.iter().any(|at| *at >= pair[0] && *at <= pair[1]);
            prop_assert!(renewed || pair[1] - pair[0] >= 1.1, "{:?}", pair);
        }
        let news: Vec<f64> = log.iter().filter(|line| line.contains("Changed") || line.contains("Confirmed")).map(moment).collect();
        for pair in news.windows(2) {
            prop_assert!(pair[1] - pair[0] <= 50.0, "{:?}", pair);
        }
    }
}

impl Bench {
    fn notice_if_open(&mut self, code: i32) {
        if self.open {
            self.notice(code, "text");
        }
    }
}

#[test]
fn requests_are_what_the_bench_takes_them_for() {
    let version = ServerVersion(178);
    let first = |request: Request| {
        let bytes = request.encode(version);
        String::from_utf8_lossy(&bytes[4..]).split('\0').map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(first(Request::ReqCurrentTime)[0], "49");
    let question = first(Request::ReqContractDetails { request_id: 9_001, contract: Contract::eur_usd() });
    assert_eq!((question[0].as_str(), question[2].as_str()), ("9", "9001"));
}

#[test]
fn a_restoration_that_was_missed_is_found_out_by_a_fresh_session() {
    let mut bench = Bench::up();
    bench.run_to(secs(40));
    bench.notice(1100, "lost");
    bench.told();
    bench.run_to(secs(600));
    let told: Vec<String> = bench.told().into_iter().filter(|line| !line.contains("time?")).collect();
    assert!(told.iter().any(|line| line.ends_with("close")), "{told:?}");
    assert_eq!(bench.cause(), Cause::Ready);
    let ready = told.iter().position(|line| line.ends_with("ready")).unwrap();
    assert!(told[..ready].iter().any(|line| line.ends_with("connect")), "not by the old session: {told:?}");
}

#[test]
fn a_link_that_was_lost_and_is_back_at_once_has_to_be_proven_too() {
    let mut bench = Bench::up();
    bench.gateway.deaf_to_broker = true;
    let both = ["4|2|-1|1100|lost||", "4|2|-1|1102|restored||"];
    let bytes: Vec<u8> = both.iter().flat_map(|text| frame::encode(text.replace('|', "\0").as_bytes())).collect();
    bench.event(&Event::Bytes(&bytes));
    bench.run_to(secs(2));
    assert_eq!(bench.told(), ["1.0 broker?"], "nothing is told yet");
    bench.run_to(secs(9));
    assert!(bench.told().contains(&"8.5 Changed broker_silent".to_owned()));
}

#[test]
fn a_competing_session_is_told_as_long_as_it_is_spoken_of() {
    let mut bench = Bench::up();
    for minute in 1..=20 {
        bench.notice(10197, "No market data during competing live session");
        bench.run_to(secs(60 * minute));
        assert_eq!(bench.cause(), Cause::CompetingSession, "minute {minute}");
    }
    bench.run_to(secs(60 * 28));
    assert_eq!(bench.cause(), Cause::Ready);
}

#[test]
fn after_the_hello_it_is_the_start_that_is_silent() {
    let mut bench = Bench::new(Gateway { silent: true, ..Gateway::default() });
    bench.run_to(secs(60));
    bench.gateway = Gateway { mute_after_hello: true, ..Gateway::default() };
    bench.text("178|20261122 03:00:00 EST|");
    bench.run_to(secs(75));
    assert!(bench.told().iter().any(|line| line.contains("70.0 Changed startup_silent")));
}

#[test]
fn a_hello_to_a_gateway_that_was_replaced_is_said_again() {
    let mut bench = Bench::new(Gateway { silent: true, ..Gateway::default() });
    bench.run_to(secs(60));
    bench.told();
    bench.gateway = Gateway::default();
    bench.session.hurry(bench.now);
    bench.run_to(secs(63));
    assert!(bench.session.is_up(), "{:?}", bench.log);
}
