//! Every scenario as the probe sees it, and every proxy in front of a closed port.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::client::{Client, LIMIT, event, next_event, start, start_with};
use ibga_core::notice::Link;
use ibga_core::observation::{ApiSeen, Broker, Connect, ConnectFailure, End, Hello, Orders};
use ibga_sim::{Config, How, Party, Place, Proxy, Scenario, What};
use ibga_tws::ServerVersion;
use ibga_tws::probe::ProbePlan;
use ibga_tws::request::Contract;
use tokio::task::JoinSet;

/// Less than the default, and more than the slowest scenario that is healthy in the end (one second).
const PROBE_LIMIT: Duration = Duration::from_secs(4);

async fn probe(config: Config) -> ApiSeen {
    let simulator = start_with(config).await;
    let plan = ProbePlan {
        client_ids: 99..=101,
        version_max: ServerVersion::TEXT_MAX,
        question: Some(Contract::eur_usd()),
        settle: Duration::from_millis(50),
        timeout: PROBE_LIMIT,
    };
    ibga_tws::driver::probe(plan, "127.0.0.1", simulator.address().port()).await
}

/// What the probe made of it, in a few words.
fn summary(seen: &ApiSeen) -> String {
    let connect = match &seen.connect {
        Connect::NotTried => "not tried".into(),
        Connect::Connected => String::new(),
        Connect::Failed(ConnectFailure::Refused) => "refused".into(),
        Connect::Failed(ConnectFailure::TimedOut) => "timed out".into(),
        // Linux tells a reset that comes at once either way.
        Connect::Failed(ConnectFailure::Reset) => return "reset".into(),
        Connect::Failed(other) => format!("{other:?}"),
    };
    let hello = match &seen.hello {
        None => "no hello".into(),
        Some(Hello::Version(version)) => format!("v{version}"),
        Some(Hello::TooOld(version)) => format!("too old {version}"),
        Some(Hello::Redirect(address)) => format!("to {address}"),
    };
    let accounts = seen.accounts.as_ref().map(|accounts| format!("{} accounts", accounts.len()));
    let clock = seen.clock.map(|clock| {
        let ahead = clock.epoch_seconds - ibga_core::clock::now().as_second();
        if (-60..=60).contains(&ahead) { "clock" } else { "clock off" }
    });
    let orders = match seen.orders {
        Orders::Unproven => None,
        Orders::Allowed => Some("orders"),
        Orders::ReadOnly => Some("read-only"),
    };
    let link = match seen.connectivity.link {
        Link::Unknown => None,
        Link::Down => Some("link down"),
        Link::Restored => Some("link restored"),
    };
    let end = match &seen.end {
        // How long a probe waits for a broker that is silent is its own affair.
        End::Finished | End::Deadline if clock.is_some() => None,
        End::Finished => None,
        End::Deadline => Some("deadline".to_owned()),
        End::ClientIdsInUse => Some("ids in use".into()),
        End::Closed => Some("closed".into()),
        // One look ends before that could happen.
        End::Lost => Some("lost".into()),
        End::Reset => return "reset".into(),
        End::Foreign(foreign) => Some(format!("{foreign:?}")),
        End::Broken(_) => Some("broken".into()),
    };
    if !connect.is_empty() {
        return connect;
    }
    let codes: BTreeSet<i32> = seen.notices.iter().map(|notice| notice.code).filter(|code| *code != 326).collect();
    let parts = [
        Some(hello),
        (!seen.client_ids_in_use.is_empty()).then(|| format!("{} refused", seen.client_ids_in_use.len())),
        accounts,
        seen.order_id.map(|_| "order id".into()),
        clock.map(Into::into),
        orders.map(Into::into),
        (seen.broker == Broker::Answered).then(|| "broker".into()),
        link.map(Into::into),
        seen.connectivity.competing_session.then(|| "competing".into()),
        Some(seen.connectivity.farms_down().collect::<Vec<_>>().join(" ")).filter(|farms| !farms.is_empty()),
        (!codes.is_empty()).then(|| format!("{codes:?}")),
        end,
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

const HEALTHY: &str = "v200, 1 accounts, order id, clock, orders, broker";
const NEITHER: &str = "v200, deadline";

/// Every scenario, and what the probe makes of it.
const SEEN: &[(Scenario, &str)] = &[
    (Scenario::Ready, HEALTHY),
    (Scenario::LoggedOut, "refused"),
    (Scenario::PortRefused, "refused"),
    (Scenario::PortTimeout, "timed out"),
    (Scenario::Wedged, "no hello, deadline"),
    (Scenario::ApiSilent, "no hello, deadline"),
    (Scenario::ApiClosed, "no hello, closed"),
    (Scenario::ApiReset, "reset"),
    (Scenario::Restart, "no hello, closed"),
    (Scenario::Http, "no hello, Http"),
    (Scenario::Tls, "no hello, Tls"),
    (Scenario::Ssh, "no hello, Ssh"),
    (Scenario::Vnc, "no hello, Vnc"),
    (Scenario::Garbage, "no hello, Other"),
    (Scenario::HelloCut, "no hello, broken"),
    (Scenario::Redirected, "to gateway2.example:4001"),
    (Scenario::ServerTooOld, "too old 76"),
    (Scenario::NewerThanAnnounced, "v222, 1 accounts, order id, clock, orders, broker"),
    (Scenario::ZoneGbk, HEALTHY),
    (Scenario::NoZone, HEALTHY),
    (Scenario::StartupSilent, NEITHER),
    (Scenario::TooManyClients, NEITHER),
    (Scenario::ClientRejected, "v200, closed"),
    (Scenario::ClientIdInUse, "v200, 3 refused, ids in use"),
    (Scenario::ClientIdHeld, "v200, 1 refused, 1 accounts, order id, clock, orders, broker"),
    (Scenario::PaperDisclaimer, "v200, {10141}"),
    (Scenario::AccountsMissing, "v200, order id, deadline"),
    (Scenario::AccountsEmpty, "v200, 0 accounts, order id, clock, orders, broker"),
    (Scenario::AccountsTrailingComma, HEALTHY),
    (Scenario::AccountsLate, HEALTHY),
    (Scenario::OrderIdMissing, "v200, 1 accounts, deadline"),
    (Scenario::BrokenField, "v200, 1 accounts, broken"),
    (Scenario::ProtocolError, "v200, broken"),
    (Scenario::Flood, NEITHER),
    (Scenario::MasterClientReplays, HEALTHY),
    (Scenario::UnsolicitedOrder, HEALTHY),
    (Scenario::Bytewise, HEALTHY),
    (Scenario::OneWrite, HEALTHY),
    (Scenario::ApiUnresponsive, "v200, 1 accounts, order id, deadline"),
    (Scenario::HalfOpen, "v200, 1 accounts, order id, deadline"),
    (Scenario::ReadOnlyApi, "v200, 1 accounts, order id, clock, read-only, broker, {321}"),
    (Scenario::ClockSkewed, "v200, 1 accounts, order id, clock off, orders, broker"),
    (Scenario::MidSessionClose, HEALTHY),
    (Scenario::PacingKill, "v200, 1 accounts, order id, {100}, closed"),
    (Scenario::PortMoved, "v200, 1 accounts, order id, {1300}"),
    (Scenario::ServerReset, "v200, 1 accounts, order id, clock, orders, link down, {1100}"),
    (Scenario::BrokerSilent, "v200, 1 accounts, order id, clock, orders"),
    (Scenario::BrokerLinkDown, "v200, 1 accounts, order id, clock, orders, link down, {1100}"),
    (Scenario::BrokerLinkDown2110, "v200, 1 accounts, order id, clock, orders, link down, {2110}"),
    (Scenario::BrokerLinkDownFarmsOk, "v200, 1 accounts, order id, clock, orders, link down, {1100}"),
    (Scenario::BrokerLinkRestored, "v200, 1 accounts, order id, clock, orders, broker, link restored, {1100, 1102}"),
    (
        Scenario::BrokerLinkRestoredDataLost,
        "v200, 1 accounts, order id, clock, orders, broker, link restored, {1100, 1101}",
    ),
    (Scenario::CompetingSession, "v200, 1 accounts, order id, clock, orders, broker, competing, {10197}"),
    (Scenario::CompetingSession162, "v200, 1 accounts, order id, clock, orders, broker, competing, {162}"),
    (Scenario::CompetingSession420, "v200, 1 accounts, order id, clock, orders, broker, competing, {420}"),
    (Scenario::DataFarmDown, "v200, 1 accounts, order id, clock, orders, broker, hfarm"),
    (Scenario::HmdsFarmDown, "v200, 1 accounts, order id, clock, orders, broker, hkhmds"),
    (Scenario::SecdefFarmDown, "v200, 1 accounts, order id, clock, orders, broker, secdefhk"),
    (Scenario::FarmFlap, HEALTHY),
    (Scenario::FarmsInactive, HEALTHY),
    (Scenario::FarmsLate, HEALTHY),
    (Scenario::MarketHoursClosed, HEALTHY),
    (Scenario::MarketHoursChanged, HEALTHY),
    (Scenario::MarketHoursUnknownZone, HEALTHY),
];

/// Judges each case on its own, all of them at once; most of their time is waiting.
async fn check(cases: impl IntoIterator<Item = (String, Config, String)>) {
    let mut probes = JoinSet::new();
    for (name, config, expected) in cases {
        probes.spawn(async move { (name, summary(&probe(config).await), expected) });
    }
    let results = probes.join_all().await;
    let wrong: Vec<_> = results.iter().filter(|(_, seen, expected)| seen != expected).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn the_probe_sees_every_scenario() {
    let covered: Vec<Scenario> = SEEN.iter().map(|(scenario, _)| *scenario).collect();
    assert_eq!(covered, Scenario::ALL);
    check(SEEN.iter().map(|(scenario, expected)| {
        let config = Config { timeline: (*scenario).into(), ..Config::default() };
        (scenario.to_string(), config, (*expected).to_owned())
    }))
    .await;
}

#[tokio::test]
async fn what_each_proxy_makes_of_the_gateways_port() {
    let silent = "no hello, deadline";
    let cases = [
        (Proxy::IbgaSocat, Scenario::LoggedOut, silent),
        (Proxy::Socat, Scenario::LoggedOut, "no hello, closed"),
        (Proxy::Docker, Scenario::LoggedOut, "reset"),
        (Proxy::IbgaSocat, Scenario::Wedged, silent),
        (Proxy::Docker, Scenario::Wedged, silent),
        (Proxy::Socat, Scenario::PortRefused, "refused"),
        (Proxy::IbgaSocat, Scenario::PortTimeout, "timed out"),
        // A reset of the gateway reaches the client as an end.
        (Proxy::Socat, Scenario::ApiClosed, "no hello, closed"),
        (Proxy::IbgaSocat, Scenario::Ready, HEALTHY),
        (Proxy::Socat, Scenario::Ready, HEALTHY),
        (Proxy::Docker, Scenario::Ready, HEALTHY),
        (Proxy::Docker, Scenario::ClientIdInUse, "v200, 3 refused, ids in use"),
    ];
    check(cases.into_iter().map(|(proxy, scenario, expected)| {
        let config = Config { timeline: scenario.into(), proxy, ..Config::default() };
        (format!("{proxy} {scenario}"), config, expected.to_owned())
    }))
    .await;
}

#[tokio::test]
async fn ibgas_proxy_delivers_a_waiting_hello_when_the_port_opens() {
    let config = Config { timeline: Scenario::LoggedOut.into(), proxy: Proxy::IbgaSocat, ..Config::default() };
    let simulator = start_with(config).await;
    let mut client = Client::connect(&simulator).await;
    client.say_hello(200).await;
    client.assert_silent().await;
    simulator.switch(Scenario::Ready).await.expect("switched");
    client.hear_hello().await;
    assert_eq!(client.version, ServerVersion(200));
}

#[tokio::test]
async fn ibgas_proxy_delivers_clients_that_have_given_up() {
    let config = Config { timeline: Scenario::LoggedOut.into(), proxy: Proxy::IbgaSocat, ..Config::default() };
    let mut simulator = start_with(config).await;
    for _ in 0..3 {
        Client::connect(&simulator).await.say_hello(200).await;
        event(&mut simulator, |what| matches!(what, What::Connected { to: Place::Proxy, .. })).await;
    }
    simulator.switch(Scenario::Ready).await.expect("switched");
    // Each child of the proxy delivers its hello and the end of its client to the gateway, and then ends itself.
    let (mut hellos, mut ends) = (0, 0);
    while (hellos, ends) != (3, 6) {
        match next_event(&mut simulator).await.what {
            What::Hello { .. } => hellos += 1,
            What::Closed { by: Party::Client, .. } => ends += 1,
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_restart_closes_and_resets_in_turn() {
    let mut simulator = start(Scenario::Restart).await;
    let mut ends = Vec::new();
    for _ in 0..4 {
        let _client = tokio::net::TcpStream::connect(simulator.address()).await;
        let end = event(&mut simulator, |what| matches!(what, What::Closed { .. })).await;
        ends.extend(if let What::Closed { how, .. } = end.what { Some(how) } else { None });
    }
    assert_eq!(ends, [How::Closed, How::Reset, How::Closed, How::Reset]);
}

#[tokio::test]
async fn the_configured_clock_replaces_the_scripted_one() {
    for (scenario, offset) in [(Scenario::ClockSkewed, -45), (Scenario::Ready, 3_600)] {
        let clock_offset = jiff::SignedDuration::from_secs(offset);
        let seen = probe(Config { timeline: scenario.into(), clock_offset, ..Config::default() }).await;
        let told = seen.clock.expect("a clock").epoch_seconds;
        let ahead = told - ibga_core::clock::now().as_second();
        assert!((offset - 10..=offset + 1).contains(&ahead), "{scenario}: {ahead} s");
    }
}

#[tokio::test]
async fn listening_is_the_first_event_of_every_scenario() {
    for scenario in Scenario::ALL {
        let mut simulator = start(*scenario).await;
        let first = next_event(&mut simulator).await;
        let address = simulator.address();
        assert_eq!(
            first.what,
            What::Listening { address, scenario: *scenario, accounts: Config::default().accounts, proxy: Proxy::None }
        );
        tokio::time::timeout(LIMIT, simulator.stop()).await.expect("stops in time");
    }
}
