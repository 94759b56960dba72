//! A day of sessions as they were recorded, replayed through the pure core in milliseconds. The list of what each moment comes to
//! is the specification; printed with `--no-capture`. `cargo xtask record-day` records the day anew.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail their test")]

mod recording;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use ibga_core::account::AccountId;
use ibga_core::calendar::{self, Calendar, Calendars, Exchange};
use ibga_core::cause::Cause;
use ibga_core::gate::{self, Chosen, MarketRule, Question};
use ibga_core::observation::{ApiSeen, ConnectFailure, ContainerSeen, Observation};
use ibga_core::report::{Circumstances, Report, Writer};
use ibga_core::verdict::{Expectations, ExpectedMode, Verdict, judge};
use ibga_tws::ServerVersion;
use ibga_tws::frame::{Frame, FrameDecoder};
use ibga_tws::hello::{ClientHello, ServerHello};
use ibga_tws::probe::{Action, Event, Probe, ProbePlan};
use ibga_tws::reply::Reply;
use ibga_tws::request::{Contract, Request};
use jiff::tz::TimeZone;

use recording::{Recording, What};

/// How old a status may be at the gate.
const MAX_AGE: Duration = Duration::from_mins(10);

fn plan(of: &Recording) -> ProbePlan {
    let (first, last) = of.value("client-ids").split_once('-').expect("a range of client ids");
    let milliseconds = of.value("timeout").strip_suffix(" ms").and_then(|ms| ms.parse().ok());
    ProbePlan {
        client_ids: first.parse().expect("an id")..=last.parse().expect("an id"),
        version_max: ServerVersion(of.value("announced").parse().expect("a version")),
        question: Some(Contract::eur_usd()),
        settle: Duration::from_millis(50),
        timeout: Duration::from_millis(milliseconds.expect("milliseconds")),
    }
}

/// A probe that lives through a recording: it is woken when it asked to be, and hears what was heard.
struct Replay {
    probe: Probe,
    now: Duration,
    wait_until: Duration,
    over: bool,
    /// It asked for a connection; what is still heard of the old one goes past it, as it does in the driver.
    connecting: bool,
    /// What it wrote, one entry for each connection.
    sent: Vec<Vec<u8>>,
}

impl Replay {
    fn new(plan: ProbePlan) -> Self {
        let mut replay = Self {
            probe: Probe::new(plan),
            now: Duration::ZERO,
            wait_until: Duration::ZERO,
            over: false,
            connecting: false,
            sent: vec![],
        };
        replay.act();
        replay
    }

    /// Does what the probe wants until it waits or is over.
    fn act(&mut self) {
        loop {
            match self.probe.next_action(self.now) {
                Action::Connect(until) => {
                    self.sent.push(Vec::new());
                    self.connecting = true;
                    self.wait_until = until;
                    return;
                }
                Action::Send(bytes) => self.sent.last_mut().expect("a connection").extend(bytes),
                Action::Wait(until) => {
                    self.wait_until = until;
                    return;
                }
                Action::Finish => {
                    self.over = true;
                    return;
                }
            }
        }
    }

    fn pass_until(&mut self, at: Duration) {
        while !self.over && self.wait_until <= at {
            self.now = self.wait_until;
            self.act();
        }
        if !self.over {
            self.now = at;
        }
    }

    fn hear(&mut self, at: Duration, event: &Event<'_>) {
        self.pass_until(at);
        let is_new = matches!(event, Event::Connected | Event::ConnectFailed(_));
        if self.over || self.connecting != is_new {
            return;
        }
        self.connecting = false;
        self.probe.handle(event, self.now);
        self.act();
    }

    fn play(mut self, recording: &Recording) -> (ApiSeen, Vec<Vec<u8>>) {
        for (at, what) in &recording.events {
            match what {
                What::Connect => self.hear(*at, &Event::Connected),
                What::Refused => self.hear(*at, &Event::ConnectFailed(ConnectFailure::Refused)),
                What::Received(bytes) => self.hear(*at, &Event::Bytes(bytes)),
                What::Closed => self.hear(*at, &Event::Closed),
                What::Reset => self.hear(*at, &Event::Reset),
                What::Sent(_) | What::Finish => self.pass_until(*at),
            }
        }
        self.pass_until(Duration::MAX);
        (self.probe.into_observation(self.now), self.sent)
    }
}

fn expectations(of: &Recording) -> Expectations {
    let none = Expectations::default();
    match of.value("expects") {
        "paper" => Expectations { mode: Some(ExpectedMode::Paper), ..none },
        account => Expectations { accounts: AccountId::parse_list(account), ..none },
    }
}

/// What an agent that is started right after the check is told.
fn gate_says(recording: &Recording, verdict: &Verdict, seen: &Observation) -> String {
    let now = recording.moment.timestamp() + seen.api.elapsed;
    let writer = Writer { program: "ibga".into(), version: "0".into(), pid: 1, host: "desk".into(), boot_id: None };
    let report = Report::new(
        verdict,
        seen,
        Circumstances {
            gateway: "default",
            endpoint: "127.0.0.1:4000".into(),
            now,
            valid_for: MAX_AGE,
            previous: None,
            hours_of: None,
            remedy: None,
            forecast: None,
            asks_at_restart: None,
            writer,
        },
    );
    let moment = calendar::Market::of_one(Calendar::for_exchange(Exchange::XHKG)).at(now);
    let decision = gate::judge(&Question {
        gateway: "default",
        endpoint: None,
        path: Path::new("status.json"),
        report: Ok(&report),
        now,
        zone: &TimeZone::UTC,
        halts: &[],
        max_age: MAX_AGE,
        expected: &expectations(recording),
        market: MarketRule::At { moment: &moment, chosen: Chosen::BySetting, calendars: &Calendars::default() },
        hours_of: None,
    });
    assert!(!decision.is_go() || verdict.cause == Cause::Ready, "{}: a false go", recording.name);
    let reasons: Vec<&str> = decision.failures().map(|check| check.rule.fault_code()).collect();
    if decision.is_go() { "go".into() } else { format!("no-go: {}", reasons.join(", ")) }
}

/// One moment as a person reads it.
fn moment(recording: &Recording) -> String {
    let (api, sent) = Replay::new(plan(recording)).play(recording);
    assert_eq!(sent, recording.sent(), "{}: what the probe says is not what it said then", recording.name);
    let started_at = recording.moment.timestamp();
    let seen = Observation { started_at, container: ContainerSeen::NotChecked, api, hint: None, fault: None };
    let verdict = judge(&seen, &expectations(recording));
    let at = recording.moment.strftime("%a %H:%M");
    let mut lines = format!("{at}  {}\n", recording.value("about"));
    let _ = writeln!(lines, "           {} ({})", verdict.cause.status(), verdict.cause);
    if !verdict.detail.is_empty() {
        let _ = writeln!(lines, "           {}", verdict.detail);
    }
    for warning in &verdict.warnings {
        let _ = writeln!(lines, "           warning: {warning}");
    }
    let _ = writeln!(lines, "           {}", gate_says(recording, &verdict, &seen));
    lines
}

#[test]
fn a_day_in_hong_kong() {
    let day = recording::of_the_probe();
    assert!(day.len() >= 40, "{} moments", day.len());
    let list: Vec<String> = day.iter().map(moment).collect();
    let list = list.join("\n");
    println!("{list}");
    insta::assert_snapshot!(list);
}

/// The frames that one side sent after its hello.
fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut decoder = FrameDecoder::default();
    decoder.push(bytes);
    let mut payloads = Vec::new();
    while let Some(frame) = decoder.next_frame().expect("no broken frame") {
        match frame {
            Frame::Payload(payload) => payloads.push(payload),
            Frame::Skipped { bytes } => panic!("a frame of {bytes} bytes"),
        }
    }
    assert_eq!(decoder.pending(), b"", "the stream ends with a frame");
    payloads
}

/// A client's conversation: everything in it can be read, and to a probe that overhears it, it proves nothing.
fn conversation(recording: &Recording) -> String {
    let client: Vec<u8> = recording.sent().concat();
    let gateway: Vec<u8> = recording.received();
    let (hello, taken) = ClientHello::parse(&client).expect("a client").expect("a whole hello");
    let mut replies = frames(&gateway).into_iter();
    let first = replies.next().expect("a hello");
    let Some(ServerHello::Session { version, .. }) = ServerHello::parse(&first) else {
        panic!("{}: no session", recording.name)
    };
    assert!(version <= hello.max && version >= hello.min, "{}", recording.name);
    let requests = frames(&client[taken..]);
    let known_request = |payload: &Vec<u8>| {
        let request = Request::decode(version, payload).unwrap_or_else(|fault| panic!("{}: {fault}", recording.name));
        !matches!(request, Request::Other(_))
    };
    let known_reply = |payload: &Vec<u8>| {
        let reply = Reply::decode(version, payload).unwrap_or_else(|fault| panic!("{}: {fault}", recording.name));
        !matches!(reply, Reply::Other(_))
    };
    let replies: Vec<Vec<u8>> = replies.collect();
    let counts = (requests.len(), requests.iter().filter(|payload| known_request(payload)).count());
    let answers = (replies.len(), replies.iter().filter(|payload| known_reply(payload)).count());
    let cause = overheard(recording);
    assert_ne!(cause, Cause::Ready, "{}: an answer to somebody else's question proves nothing", recording.name);
    format!(
        "{:<18} {:>4}..{:<4} speaks {version}: {} requests ({} known), {} replies ({} known); overheard: {cause}\n",
        recording.value("client"),
        hello.min,
        hello.max,
        counts.0,
        counts.1,
        answers.0,
        answers.1,
    )
}

fn overheard(recording: &Recording) -> Cause {
    let plan = ProbePlan {
        client_ids: 99..=103,
        version_max: ServerVersion(300),
        question: Some(Contract::eur_usd()),
        settle: Duration::from_millis(50),
        timeout: Duration::from_secs(15),
    };
    let (api, _) = Replay::new(plan).play(recording);
    let started_at = recording.moment.timestamp();
    let seen = Observation { started_at, container: ContainerSeen::NotChecked, api, hint: None, fault: None };
    judge(&seen, &Expectations::default()).cause
}

#[test]
fn what_real_clients_say_and_hear() {
    let list: String = recording::of_clients().iter().map(conversation).collect();
    println!("{list}");
    insta::assert_snapshot!(list);
}
