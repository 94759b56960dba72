//! Timelines as clients meet them, moved by time and by hand, at one gateway and at many.

#![expect(clippy::expect_used, reason = "helpers of tests fail their test")]

use std::net::SocketAddr;
use std::time::Duration;

use ibga_core::account::AccountId;
use ibga_sim::blocking;
use ibga_sim::{Config, Event, Fleet, How, NextError, Pace, Party, Scenario, Speed, StartError, Timeline, What};
use ibga_tws::reply::Reply;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Client, LIMIT, event, next_event, start_with};

fn playing(text: &str, pace: Pace) -> Config {
    Config { timeline: text.parse().expect(text), pace, ..Config::default() }
}

fn fast(times: f64) -> Pace {
    Pace::Timed(Speed::new(times).expect("a speed"))
}

/// A change of scenario, as `number of the step/steps in round: scenario`, or the end.
fn told(event: &Event) -> Option<String> {
    match &event.what {
        What::Switched { scenario, position: Some(at), .. } => {
            Some(format!("{}/{} in {}: {scenario}", at.step, at.steps, at.round))
        }
        What::Switched { scenario, position: None, .. } => Some(scenario.to_string()),
        What::TimelineEnded => Some("end".into()),
        _ => None,
    }
}

#[tokio::test]
async fn steps_come_by_time_and_tell_their_number_and_the_end() {
    for (text, expected) in [
        (
            "ready 20m, restart 2m, wedged 1m, ready",
            vec!["2/4 in 1: restart", "3/4 in 1: wedged", "4/4 in 1: ready", "end"],
        ),
        ("ready 1m, restart 1m", vec!["2/2 in 1: restart", "end"]),
        ("ready 1m", vec!["end"]),
    ] {
        let mut simulator = start_with(playing(text, fast(60_000.0))).await;
        let first = next_event(&mut simulator).await;
        assert!(matches!(first.what, What::Listening { scenario: Scenario::Ready, .. }));
        let mut story = Vec::new();
        while story.last().is_none_or(|last| last != "end") {
            story.extend(told(&next_event(&mut simulator).await));
        }
        assert_eq!(story, expected, "{text}");
    }
}

#[tokio::test]
async fn a_timeline_that_repeats_begins_anew() {
    let mut simulator = start_with(playing("ready 1m, restart 1m, repeat", fast(60_000.0))).await;
    let mut story = Vec::new();
    while story.len() < 4 {
        story.extend(told(&next_event(&mut simulator).await));
    }
    assert_eq!(story, ["2/2 in 1: restart", "1/2 in 2: ready", "2/2 in 2: restart", "1/2 in 3: ready"]);
}

#[tokio::test]
async fn by_hand_it_goes_on_step_by_step_until_nothing_follows() {
    let mut simulator = start_with(playing("ready 1ms, restart 1ms, ready", Pace::ByHand)).await;
    assert_eq!(simulator.remote().state().next_in, None);
    simulator.remote().next_step().await.expect("a step");
    simulator.switch(Scenario::Wedged).await.expect("switched");
    assert_eq!(simulator.remote().state().position, None, "somebody's choice holds");
    simulator.remote().next_step().await.expect("a step");
    assert!(matches!(simulator.remote().next_step().await, Err(NextError::NothingFollows)));
    let mut story = Vec::new();
    while story.len() < 4 {
        story.extend(told(&next_event(&mut simulator).await));
    }
    assert_eq!(story, ["2/3 in 1: restart", "wedged", "3/3 in 1: ready", "end"]);
}

#[tokio::test]
async fn a_choice_by_hand_stops_the_clock() {
    let simulator = start_with(playing("ready 1h, restart 1h, ready", Pace::default())).await;
    let state = simulator.remote().state();
    assert!(state.next_in.is_some_and(|next| next <= Duration::from_hours(1)));
    assert_eq!(state.position.map(|at| (at.step, at.steps)), Some((1, 3)));
    simulator.switch(Scenario::BrokerSilent).await.expect("switched");
    let state = simulator.remote().state();
    assert_eq!((state.scenario, state.position, state.next_in), (Scenario::BrokerSilent, None, None));
}

#[tokio::test]
async fn another_login_ends_the_session_and_shows_other_accounts() {
    let mut simulator = start_with(playing("ready, ready as U7654321+U1, ready", Pace::ByHand)).await;
    let mut client = Client::opened(&simulator, 200, 5).await;
    simulator.remote().next_step().await.expect("a step");
    assert!(client.ends_cleanly().await);
    event(&mut simulator, |what| matches!(what, What::Closed { by: Party::Gateway, how: How::Closed, .. })).await;
    let mut client = Client::open(&simulator, 200, 5).await;
    assert_eq!(client.reply().await, Reply::ManagedAccounts(AccountId::parse_list("U7654321,U1")));
    assert_eq!(simulator.remote().state().accounts, AccountId::parse_list("U7654321,U1"));
    simulator.remote().next_step().await.expect("a step");
    let mut client = Client::open(&simulator, 200, 5).await;
    assert_eq!(client.reply().await, Reply::ManagedAccounts(Config::default().accounts));
}

#[tokio::test]
async fn who_waits_for_a_silent_gateway_meets_the_login_that_comes() {
    let simulator = start_with(playing("api_silent, ready as U7654321", Pace::ByHand)).await;
    let mut client = Client::connect(&simulator).await;
    client.say_hello(200).await;
    simulator.remote().next_step().await.expect("a step");
    client.hear_hello().await;
    client.send(&ibga_tws::request::Request::StartApi { client_id: 1 }).await;
    assert_eq!(client.reply().await, Reply::ManagedAccounts(AccountId::parse_list("U7654321")));
}

#[tokio::test]
async fn a_fleet_has_addresses_accounts_and_states_of_its_own_and_one_stream_of_events() {
    let (fleet, mut events) = Fleet::start(playing("ready, restart", Pace::ByHand), 3).await.expect("three gateways");
    let remotes: Vec<_> = fleet.remotes().iter().cloned().collect();
    let port = remotes[0].address().port();
    let addresses: Vec<SocketAddr> = remotes.iter().map(ibga_sim::Remote::address).collect();
    assert_eq!(addresses, [1, 2, 3].map(|last| SocketAddr::from(([127, 0, 0, last], port))));
    let accounts: Vec<String> = remotes.iter().map(|remote| remote.state().accounts[0].reveal().to_owned()).collect();
    assert_eq!(accounts, ["DU1234567", "DU1234568", "DU1234569"]);
    remotes[1].next_step().await.expect("a step");
    let scenarios: Vec<_> = remotes.iter().map(|remote| remote.state().scenario).collect();
    assert_eq!(scenarios, [Scenario::Ready, Scenario::Restart, Scenario::Ready]);
    let mut story = Vec::new();
    while story.len() < 4 {
        let event = timeout(LIMIT, events.next()).await.expect("in time").expect("an event");
        let listening = matches!(event.what, What::Listening { .. }).then(|| "listening".to_owned());
        story.extend(listening.or_else(|| told(&event)).map(|what| format!("{} {what}", event.gateway)));
    }
    assert_eq!(story, ["1 listening", "2 listening", "3 listening", "2 2/2 in 1: restart"]);
    fleet.remotes().next_step_all().await.expect("two go on");
    assert!(matches!(fleet.remotes().next_step_all().await, Err(NextError::NothingFollows)));
    fleet.stop().await;
    for address in addresses {
        assert!(TcpStream::connect(address).await.is_err(), "{address} is let go");
    }
}

#[tokio::test]
async fn a_fleet_that_cannot_be_says_why() {
    let at = |listen: &str| Config { listen: listen.parse().expect("an address"), ..Config::default() };
    assert!(matches!(Fleet::start(Config::default(), 0).await, Err(StartError::Gateways(0))));
    assert!(matches!(Fleet::start(Config::default(), 5_001).await, Err(StartError::Gateways(5_001))));
    assert!(matches!(Fleet::start(at("0.0.0.0:0"), 2).await, Err(StartError::NotLoopback(_))));
    assert!(matches!(Fleet::start(at("[::1]:0"), 2).await, Err(StartError::NotLoopback(_))));
    let taken = std::net::TcpListener::bind("127.0.0.2:0").expect("a port");
    let taken = taken.local_addr().expect("an address");
    let first = Config { listen: SocketAddr::from(([127, 0, 0, 1], taken.port())), ..Config::default() };
    let fault = Fleet::start(first, 2).await.expect_err("taken");
    assert!(matches!(fault, StartError::AddressInUse(address) if address == taken), "{fault}");
}

#[test]
fn the_blocking_gateway_needs_no_runtime_and_ends_with_its_handle() {
    let timeline = Timeline::from(Scenario::LoggedOut).after(Duration::from_millis(20), Scenario::Ready);
    let gateway = blocking::Gateway::start(Config { timeline, ..Config::default() }).expect("starts");
    let ready = |what: &What| matches!(what, What::Switched { scenario: Scenario::Ready, .. });
    assert!(gateway.wait_for(LIMIT, ready).is_some());
    assert!(gateway.wait_for(Duration::ZERO, ready).is_none(), "each is found once");
    let address = gateway.address();
    let _client = std::net::TcpStream::connect(address).expect("connects");
    let connected = gateway.wait_for(LIMIT, |what| matches!(what, What::Connected { .. }));
    assert!(connected.is_some());
    gateway.switch(Scenario::ApiClosed).expect("switched");
    assert!(gateway.wait_for(LIMIT, |what| matches!(what, What::Closed { by: Party::Gateway, .. })).is_some());
    assert!(matches!(gateway.next_step(), Err(NextError::NothingFollows)));
    assert_eq!(gateway.state().scenario, Scenario::ApiClosed);
    let all = gateway.events();
    assert!(matches!(all[0].what, What::Listening { .. }) && all.len() >= 5, "{all:?}");
    drop(gateway);
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[tokio::test]
async fn the_blocking_gateway_can_be_used_inside_a_runtime_too() {
    let gateway = blocking::Gateway::start(Config::default()).expect("starts");
    gateway.switch(Scenario::BrokerLinkDown).expect("switched");
    assert_eq!(gateway.state().scenario, Scenario::BrokerLinkDown);
    let taken = Config { listen: gateway.address(), ..Config::default() };
    assert!(matches!(blocking::Gateway::start(taken), Err(StartError::AddressInUse(_))));
}

#[test]
fn a_blocking_fleet() {
    let fleet = blocking::Fleet::start(Config::default(), 200).expect("200 gateways");
    assert_eq!(fleet.addresses().count(), 200);
    fleet.switch(150, Scenario::Restart).expect("switched");
    let found = fleet.wait_for(LIMIT, |event| matches!(event.what, What::Switched { .. }));
    assert_eq!(found.map(|event| event.gateway), Some(150));
    fleet.switch_all(Scenario::ReadOnlyApi).expect("switched");
    let switched = |event: &Event| matches!(event.what, What::Switched { scenario: Scenario::ReadOnlyApi, .. });
    // Each once, in whatever order they come.
    let mut numbers: Vec<_> = (0..200).filter_map(|_| Some(fleet.wait_for(LIMIT, switched)?.gateway)).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=200).collect::<Vec<_>>());
    assert!(matches!(fleet.switch(201, Scenario::Ready), Err(StartError::Gateways(201))));
}
