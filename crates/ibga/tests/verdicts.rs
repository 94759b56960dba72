//! Every scenario of the simulated gateway, checked by the real binary: status, cause, exit code, status file and time.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail their test, and the table is shown"
)]

mod common;

use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

use common::{Desk, Gateway, Ran};
use ibga_core::account::AccountId;
use ibga_core::cause::Cause;
use ibga_core::clock::Stopwatch;
use ibga_sim::{Config, Proxy, Scenario, Timeline};
use ibga_tws::ServerVersion;
use ibga_tws::frame::FRAME_BYTES_MAX;
use ibga_tws::hello::ServerHello;

const TIMEOUT: Duration = Duration::from_secs(4);

/// How much later than its limit a check may end: the close, and a machine under load.
const MARGIN: Duration = Duration::from_secs(3);

fn expected(scenario: Scenario) -> Cause {
    match scenario {
        Scenario::Ready
        | Scenario::NewerThanAnnounced
        | Scenario::ZoneGbk
        | Scenario::NoZone
        | Scenario::ClientIdHeld
        | Scenario::AccountsTrailingComma
        | Scenario::AccountsLate
        | Scenario::MasterClientReplays
        | Scenario::UnsolicitedOrder
        | Scenario::Bytewise
        | Scenario::OneWrite
        | Scenario::MidSessionClose
        | Scenario::BrokerLinkRestored
        | Scenario::BrokerLinkRestoredDataLost
        | Scenario::DataFarmDown
        | Scenario::HmdsFarmDown
        | Scenario::SecdefFarmDown
        | Scenario::FarmFlap
        | Scenario::FarmsInactive
        | Scenario::FarmsLate
        | Scenario::MarketHoursClosed
        | Scenario::MarketHoursChanged
        | Scenario::MarketHoursUnknownZone => Cause::Ready,
        Scenario::LoggedOut | Scenario::PortRefused => Cause::PortRefused,
        Scenario::PortTimeout => Cause::PortTimeout,
        Scenario::Wedged | Scenario::ApiSilent => Cause::ApiSilent,
        Scenario::ApiClosed | Scenario::ApiReset | Scenario::Restart => Cause::ApiClosed,
        Scenario::Http | Scenario::Tls | Scenario::Ssh | Scenario::Vnc | Scenario::Garbage => Cause::NotAGateway,
        Scenario::HelloCut | Scenario::BrokenField | Scenario::ProtocolError => Cause::ProtocolError,
        Scenario::Redirected => Cause::Redirected,
        Scenario::ServerTooOld => Cause::ServerTooOld,
        Scenario::StartupSilent | Scenario::TooManyClients | Scenario::Flood => Cause::StartupSilent,
        Scenario::ClientRejected | Scenario::PacingKill => Cause::ClientRejected,
        Scenario::ClientIdInUse => Cause::ClientIdInUse,
        Scenario::PaperDisclaimer => Cause::PaperDisclaimer,
        Scenario::AccountsMissing => Cause::AccountsMissing,
        Scenario::AccountsEmpty => Cause::AccountsEmpty,
        Scenario::OrderIdMissing => Cause::OrderIdMissing,
        Scenario::ApiUnresponsive | Scenario::HalfOpen => Cause::ApiUnresponsive,
        Scenario::ReadOnlyApi => Cause::ReadOnlyApi,
        Scenario::ClockSkewed => Cause::ClockSkewed,
        Scenario::PortMoved => Cause::PortMoved,
        Scenario::BrokerSilent => Cause::BrokerSilent,
        Scenario::ServerReset
        | Scenario::BrokerLinkDown
        | Scenario::BrokerLinkDown2110
        | Scenario::BrokerLinkDownFarmsOk => Cause::BrokerLinkDown,
        Scenario::CompetingSession | Scenario::CompetingSession162 | Scenario::CompetingSession420 => {
            Cause::CompetingSession
        }
    }
}

/// A gateway, how it is checked, and what has to come out.
struct Case {
    config: Config,
    arguments: Vec<&'static str>,
    environment: Vec<(&'static str, &'static str)>,
    cause: Cause,
}

impl Case {
    fn of(scenario: Scenario) -> Self {
        Self::new(Config { timeline: scenario.into(), ..Config::default() }, expected(scenario))
    }

    fn new(config: Config, cause: Cause) -> Self {
        Self { config, arguments: Vec::new(), environment: Vec::new(), cause }
    }

    /// Plays it with the binary and says what came out, or what differs.
    fn play(self) -> Result<String, String> {
        let scenes: Vec<String> = self.config.timeline.steps().map(|step| step.scene.to_string()).collect();
        let what = format!("{} {} {:?}", scenes.join(", "), self.config.server_version, self.arguments);
        let (desk, gateway) = (Desk::new(), Gateway::start(self.config));
        let port = gateway.address.port().to_string();
        let timeout = format!("{}s", TIMEOUT.as_secs());
        let mut command = desk.command(&["check", "--port", &port, "--timeout", &timeout, "--json"]);
        command.args(&self.arguments).envs(self.environment);
        let watch = Stopwatch::start();
        let ran = Ran::from(command.output().expect("the binary starts"));
        let took = watch.elapsed();
        let (json, code) = (ran.json(), i32::from(self.cause != Cause::Ready));
        let seen =
            (json["cause"].as_str(), json["status"].as_str(), ran.code, took < TIMEOUT + MARGIN, json == desk.status());
        let wanted = (Some(self.cause.code()), Some(self.cause.status().as_str()), Some(code), true, true);
        if seen != wanted {
            return Err(format!("{what}: {seen:?}, wanted {wanted:?}, in {took:?}: {}", ran.out));
        }
        Ok(format!("{what:<45} {:<18} {:<18} {:>5} ms", self.cause.status(), self.cause, took.as_millis()))
    }
}

/// Plays some at a time, since most of them wait.
fn play_all(cases: impl IntoIterator<Item = Case>) {
    let mut cases: Vec<Case> = cases.into_iter().collect();
    let mut wrong = Vec::new();
    while !cases.is_empty() {
        let batch = cases.split_off(cases.len().saturating_sub(8));
        let results: Vec<_> = std::thread::scope(|scope| {
            let plays: Vec<_> = batch.into_iter().map(|case| scope.spawn(|| case.play())).collect();
            plays.into_iter().map(|play| play.join().expect("no panic")).collect()
        });
        for result in results {
            match result {
                Ok(row) => println!("{row}"),
                Err(fault) => wrong.push(fault),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_scenario_has_its_cause() {
    play_all(Scenario::ALL.iter().copied().map(Case::of));
}

#[test]
fn every_dialect() {
    let scenarios = [
        Scenario::Ready,
        Scenario::BrokerLinkDown,
        Scenario::ReadOnlyApi,
        Scenario::PaperDisclaimer,
        Scenario::ClientIdInUse,
    ];
    let versions = [100, 152, 165, 178, 193, 194, 200, 201, 203, 205, 207, 212, 213, 226];
    play_all(versions.iter().flat_map(|version| {
        scenarios.iter().map(move |scenario| {
            let mut case = Case::of(*scenario);
            case.config.server_version = *version;
            // The newer dialects are spoken by whoever announces them.
            case.environment.push(("IBGA_API_VERSION_MAX", "300"));
            case
        })
    }));
}

#[test]
fn what_is_expected_of_the_login() {
    let accounts = |list: &str| Config { accounts: AccountId::parse_list(list), ..Config::default() };
    let with = |config: Config, arguments: &[&'static str], cause| Case {
        arguments: arguments.to_vec(),
        ..Case::new(config, cause)
    };
    let farm = Config { timeline: Scenario::DataFarmDown.into(), ..Config::default() };
    play_all([
        with(accounts("DU1,DU2"), &["--expect-account", "DU2222222"], Cause::WrongAccount),
        with(
            accounts("DU1111111,DU2222222"),
            &["--expect-account", "DU2222222", "--expect-mode", "paper"],
            Cause::Ready,
        ),
        with(accounts("U1111111"), &["--expect-mode", "paper"], Cause::WrongMode),
        with(accounts("U1111111,DU2222222"), &["--expect-mode", "live"], Cause::WrongMode),
        with(accounts("F1111111,U2222222"), &["--expect-mode", "live"], Cause::Ready),
        with(
            Config { timeline: Scenario::ReadOnlyApi.into(), ..Config::default() },
            &["--allow-read-only"],
            Cause::Ready,
        ),
        with(
            Config { timeline: Scenario::BrokerSilent.into(), ..Config::default() },
            &["--broker-probe", "off"],
            Cause::Ready,
        ),
        Case { environment: vec![("IBGA_REQUIRED_FARMS", "hfarm")], ..Case::new(farm, Cause::DataFarmDown) },
    ]);
}

#[test]
fn proxies_before_a_closed_port() {
    let closed = |proxy, ready_after: Option<Duration>| {
        let closed = Timeline::from(Scenario::LoggedOut);
        let timeline = match ready_after {
            Some(after) => closed.after(after, Scenario::Ready),
            None => closed,
        };
        Config { timeline, proxy, ..Config::default() }
    };
    play_all([
        Case::new(closed(Proxy::IbgaSocat, None), Cause::ApiSilent),
        Case::new(closed(Proxy::Socat, None), Cause::ApiClosed),
        Case::new(closed(Proxy::Docker, None), Cause::ApiClosed),
        // The patient client gets its answer on the connection it has.
        Case::new(closed(Proxy::IbgaSocat, Some(Duration::from_millis(500))), Cause::Ready),
    ]);
}

#[test]
fn slow_gateways() {
    let config = Config::default;
    play_all([
        Case::new(Config { delay: Duration::from_millis(50), ..config() }, Cause::Ready),
        Case::new(Config { dribble: Some(Duration::from_millis(1)), ..config() }, Cause::Ready),
        Case::new(Config { dribble: Some(Duration::from_secs(1)), ..config() }, Cause::ProtocolError),
    ]);
}

#[test]
fn hosts_that_cannot_be_reached() {
    let desk = Desk::new();
    let ran = desk.run(&["check", "--host", "gateway.invalid", "--timeout", "10s", "--json"]);
    assert_eq!((ran.json()["cause"].as_str(), ran.code), (Some("name_not_resolved"), Some(1)));
}

#[test]
fn as_root_a_host_without_a_way_to_it() {
    let desk = Desk::new();
    // A network namespace of its own has no way to anywhere, not even to itself.
    let mut alone = desk.command_under("unshare", &["--net"], &["check", "--timeout", "2s", "--json"]);
    let ran = Ran::from(alone.output().expect("unshare starts"));
    assert_eq!((ran.json()["cause"].as_str(), ran.code), (Some("host_unreachable"), Some(1)), "{ran:?}");
}

/// A peer that answers the hello and then sends as fast as it can, in frames as long as the protocol allows.
#[test]
fn a_flood_does_not_hold_up_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let hello = ServerHello::Session { version: ServerVersion(178), time: Vec::new() };
        let mut flood = FRAME_BYTES_MAX.to_be_bytes().to_vec();
        flood.resize(FRAME_BYTES_MAX as usize + 4, b'x');
        let mut sent = stream.write_all(&hello.encode());
        while sent.is_ok() {
            sent = stream.write_all(&flood);
        }
    });
    let watch = Stopwatch::start();
    let ran = Desk::new().run(&["check", "--port", &port, "--timeout", "1s", "--json"]);
    assert_eq!(
        (ran.json()["cause"].as_str(), watch.elapsed() < Duration::from_secs(3)),
        (Some("startup_silent"), true)
    );
}
