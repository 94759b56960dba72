//! Sessions in every dialect, the gateway's etiquette, changes of scenario, settings, start and stop.

use std::time::Duration;

use crate::client::{Client, LIMIT, event, next_event, start, start_with};
use ibga_core::account::AccountId;
use ibga_core::clock::Stopwatch;
use ibga_sim::{Answer, Config, How, Party, Place, Scenario, Simulator, StartError, Timeline, What};
use ibga_tws::ServerVersion;
use ibga_tws::reply::Reply;
use ibga_tws::request::{Contract, Encoding, Raw, Request};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Text, mixed and protobuf.
const DIALECTS: [u32; 12] = [100, 145, 163, 178, 193, 200, 201, 203, 205, 207, 213, 226];

async fn speaking(server_version: u32) -> Simulator {
    start_with(Config { server_version, ..Config::default() }).await
}

fn contract(symbol: &str) -> Request {
    let contract = Contract {
        symbol: symbol.into(),
        security_type: "STK".into(),
        exchange: "SMART".into(),
        currency: "USD".into(),
    };
    Request::ReqContractDetails { request_id: 7, contract }
}

#[tokio::test]
async fn a_session_in_every_dialect() {
    for version in DIALECTS {
        let simulator = speaking(version).await;
        let mut client = Client::opened(&simulator, 226, 5).await;
        assert_eq!(client.version, ServerVersion(version));
        client.send(&Request::ReqIds).await;
        assert_eq!(client.reply().await, Reply::NextValidId(2), "at {version}");
        client.send(&Request::ReqManagedAccounts).await;
        assert_eq!(client.reply().await, Reply::ManagedAccounts(AccountId::parse_list("DU1234567")));
        client.send(&Request::ReqCurrentTime).await;
        assert!(matches!(client.reply().await, Reply::CurrentTime(seconds) if seconds > 1_700_000_000));
        client.send(&contract("AAPL")).await;
        let Reply::ContractDetails { request_id: 7, details } = client.reply().await else { panic!("no details") };
        assert_eq!((details.contract_id, details.time_zone.as_str()), (265_598, "US/Eastern"));
        assert_eq!(client.reply().await, Reply::ContractDetailsEnd { request_id: 7 });
        client.send(&contract("NOSUCH")).await;
        let refused = client.notice().await;
        assert_eq!((refused.request_id, refused.code), (7, 200), "at {version}");
    }
}

/// What usual clients ask once they are connected: the request, and the messages that answer it.
#[tokio::test]
async fn what_usual_clients_ask() {
    let values = 14;
    let cases: [(u32, &str, &[u8], Vec<u32>); 14] = [
        (5, "1|", b"", vec![53]),
        (16, "1|", b"", vec![53]),
        (6, "2|1||", b"\x08\x01", [vec![6; values], vec![7, 7, 8, 54]].concat()),
        (6, "2|0||", b"", vec![]),
        (7, "3|9||||||||", b"\x08\x09", vec![55]),
        (61, "1|", b"", vec![61, 61, 62]),
        (62, "1|9|All|NetLiquidation,BuyingPower,Nonsense|", b"\x08\x09\x12\x03All\x1a\x0eNetLiquidation", vec![]),
        (74, "1|9|DU1234567||", b"\x08\x09\x12\x09DU1234567", vec![71, 71, 72]),
        (76, "1|9|DU1234567||0|", b"\x08\x09\x12\x09DU1234567", [vec![73; values], vec![74]].concat()),
        (76, "1|9|DU7654321||0|", b"\x08\x09\x12\x09DU7654321", vec![74]),
        (99, "0|", b"", vec![102]),
        (104, "9|", b"\x08\x09", vec![107]),
        (105, "", b"", vec![109]),
        (64, "1|", b"", vec![]),
    ];
    for version in [178, 200, 213, 226] {
        let simulator = speaking(version).await;
        let mut client = Client::opened(&simulator, 226, 5).await;
        for (id, text, protobuf, answers) in &cases {
            let (encoding, body) = if version < 201 {
                (Encoding::Text, text.replace('|', "\0").into_bytes())
            } else {
                (Encoding::Protobuf, protobuf.to_vec())
            };
            let answers = match (id, version < 201) {
                (62, true) => vec![63, 63, 64],
                (62, false) => vec![63, 64],
                _ => answers.clone(),
            };
            client.send(&Request::Other(Raw { id: *id, encoding, body })).await;
            for answer in answers {
                assert_eq!(client.reply_id().await, answer, "to {id} at {version}");
            }
        }
        // Nothing of the above is still on its way.
        client.send(&Request::ReqIds).await;
        assert_eq!(client.reply().await, Reply::NextValidId(2));
    }
}

#[tokio::test]
async fn events_tell_a_session_in_order() {
    let mut simulator = start(Scenario::Ready).await;
    let mut client = Client::opened(&simulator, 178, 42).await;
    client.send(&Request::ReqIds).await;
    client.reply().await;
    client.send(&Request::Other(Raw { id: 1, encoding: Encoding::Text, body: b"11\x001\0".to_vec() })).await;
    let peer = client.stream.local_addr().expect("bound");
    drop(client);
    let (address, connection) = (simulator.address(), 1);
    let request = |id, name, answer| What::Request { connection, id, name, answer };
    for expected in [
        What::Listening {
            address,
            scenario: Scenario::Ready,
            accounts: Config::default().accounts,
            proxy: ibga_sim::Proxy::None,
        },
        What::Connected { connection, to: Place::Gateway, peer },
        What::Hello { connection, min: 100, max: 178 },
        What::StartApi { connection, client_id: 42 },
        request(8, "req_ids", Answer::Answered),
        request(1, "req_mkt_data", Answer::Unknown),
        What::Closed { connection, by: Party::Client, how: How::Closed },
    ] {
        assert_eq!(next_event(&mut simulator).await.what, expected);
    }
}

#[tokio::test]
async fn a_client_id_is_held_as_long_as_its_session() {
    let mut simulator = start(Scenario::Ready).await;
    let first = Client::opened(&simulator, 200, 5).await;
    let mut second = Client::open(&simulator, 200, 5).await;
    assert_eq!(second.notice().await.code, 326);
    assert!(second.ends_cleanly().await);
    let _other = Client::opened(&simulator, 200, 6).await;
    drop(first);
    event(&mut simulator, |what| matches!(what, What::Closed { connection: 1, .. })).await;
    Client::opened(&simulator, 200, 5).await;
}

#[tokio::test]
async fn the_thirty_third_client_is_stuck() {
    let simulator = start(Scenario::Ready).await;
    let mut clients = Vec::new();
    for client_id in 0..32 {
        clients.push(Client::opened(&simulator, 200, client_id).await);
    }
    Client::open(&simulator, 200, 32).await.assert_silent().await;
}

#[tokio::test]
async fn the_time_is_told_once_a_second() {
    let mut simulator = start(Scenario::Ready).await;
    let mut client = Client::opened(&simulator, 200, 5).await;
    let asked = Stopwatch::start();
    let mut answered = 0;
    while answered < 2 {
        client.send(&Request::ReqCurrentTime).await;
        client.send(&Request::ReqIds).await;
        match client.reply().await {
            Reply::CurrentTime(_) => {
                answered += 1;
                client.reply().await;
            }
            reply => assert!(matches!(reply, Reply::NextValidId(_))),
        }
        assert!(asked.elapsed() < LIMIT);
    }
    assert!(asked.elapsed() >= Duration::from_secs(1));
    let ignored = |what: &What| matches!(what, What::Request { id: 49, answer: Answer::Withheld, .. });
    event(&mut simulator, ignored).await;
}

#[tokio::test]
async fn a_read_only_gateway_refuses_all_about_orders() {
    let simulator = start(Scenario::ReadOnlyApi).await;
    let mut client = Client::opened(&simulator, 200, 5).await;
    for (id, body, about) in [(8, "1|1|", -1), (5, "1|", -1), (16, "1|", -1), (99, "0|", -1), (3, "77|", 77)] {
        let body = body.replace('|', "\0").into_bytes();
        client.send(&Request::Other(Raw { id, encoding: Encoding::Text, body })).await;
        let notice = client.notice().await;
        assert_eq!((notice.request_id, notice.code), (about, 321), "to {id}");
        assert!(notice.text.contains("Read-Only"));
    }
    client.send(&Request::ReqCurrentTime).await;
    assert!(matches!(client.reply().await, Reply::CurrentTime(_)));
}

#[tokio::test]
async fn a_competing_session_refuses_market_data() {
    for (scenario, code) in [(Scenario::CompetingSession, 10197), (Scenario::CompetingSession162, 162)] {
        let simulator = start(scenario).await;
        let mut client = Client::opened(&simulator, 200, 5).await;
        assert_eq!(client.notice().await.code, code);
        client.send(&Request::Other(Raw { id: 1, encoding: Encoding::Text, body: b"11\x009\0".to_vec() })).await;
        let refused = client.notice().await;
        assert_eq!((refused.request_id, refused.code), (9, code));
    }
}

#[tokio::test]
async fn open_sessions_are_told_of_a_change() {
    let simulator = start(Scenario::Ready).await;
    let mut client = Client::opened(&simulator, 200, 5).await;
    for (scenario, codes) in [
        (Scenario::BrokerLinkDown, vec![1100]),
        (Scenario::Ready, vec![1102]),
        (Scenario::DataFarmDown, vec![2103]),
        (Scenario::BrokerLinkDown2110, vec![2104, 2110]),
        (Scenario::BrokerSilent, vec![1102]),
        (Scenario::Ready, vec![]),
        (Scenario::BrokerLinkRestoredDataLost, vec![1100, 1101]),
        (Scenario::CompetingSession, vec![10197]),
        (Scenario::Wedged, vec![]),
        (Scenario::MidSessionClose, vec![]),
        (Scenario::Ready, vec![]),
        (Scenario::ServerReset, vec![1100]),
        (Scenario::Ready, vec![1100, 1100, 1102]),
    ] {
        simulator.switch(scenario).await.expect("switched");
        for code in codes {
            assert_eq!(client.notice().await.code, code, "{scenario}");
        }
        client.send(&Request::ReqIds).await;
        assert!(matches!(client.reply().await, Reply::NextValidId(_)), "{scenario}: the session is alive");
    }
}

#[tokio::test]
async fn open_sessions_are_ended_by_a_change() {
    for (scenario, cleanly) in [
        (Scenario::LoggedOut, true),
        (Scenario::Restart, true),
        (Scenario::ApiReset, false),
        (Scenario::PaperDisclaimer, true),
        (Scenario::PortMoved, true),
        (Scenario::Http, true),
    ] {
        let simulator = start(Scenario::Ready).await;
        let mut client = Client::opened(&simulator, 200, 5).await;
        simulator.switch(scenario).await.expect("switched");
        assert_eq!(client.ends_cleanly().await, cleanly, "{scenario}");
    }
}

#[tokio::test]
async fn how_bytes_are_cut_into_writes() {
    let simulator = start(Scenario::OneWrite).await;
    let mut client = Client::open(&simulator, 200, 5).await;
    let opening = client.read().await.expect("no fault").expect("no end");
    assert_eq!(opening.windows(4).filter(|bytes| *bytes == b"-1\x002").count(), 4, "four farms behind the rest");
    let questions = [Request::ReqIds, Request::ReqManagedAccounts, Request::ReqCurrentTime];
    let together: Vec<u8> = questions.iter().flat_map(|question| question.encode(client.version)).collect();
    client.write(&together).await;
    let answers = client.read().await.expect("no fault").expect("no end");
    assert!(answers.windows(5).any(|bytes| bytes == b"49\x001\0") && answers.starts_with(b"\0\0\0\x069\x001\x002\0"));

    let simulator = start(Scenario::Bytewise).await;
    let mut client = Client::connect(&simulator).await;
    client.say_hello(200).await;
    let mut reads = 0;
    let mut hello = Vec::new();
    while !hello.ends_with(b"US/Eastern\0") {
        hello.extend(client.read().await.expect("no fault").expect("no end"));
        reads += 1;
    }
    assert!(reads > 1, "the hello in one piece");
}

#[tokio::test]
async fn a_client_that_waits_for_its_hello_gets_it_when_the_gateway_speaks_again() {
    let simulator = start(Scenario::ApiSilent).await;
    let mut client = Client::connect(&simulator).await;
    client.say_hello(200).await;
    client.assert_silent().await;
    simulator.switch(Scenario::Ready).await.expect("switched");
    client.hear_hello().await;
}

#[tokio::test]
async fn a_half_open_session_answers_nothing_and_never_ends_by_itself() {
    let mut simulator = start(Scenario::HalfOpen).await;
    let mut client = Client::opened(&simulator, 200, 5).await;
    client.send(&Request::ReqCurrentTime).await;
    client.assert_silent().await;
    simulator.switch(Scenario::Ready).await.expect("switched");
    assert!(!client.ends_cleanly().await, "the host is back and knows nothing of the connection");
    event(&mut simulator, |what| matches!(what, What::Closed { by: Party::Gateway, how: How::Reset, .. })).await;
}

#[tokio::test]
async fn ready_comes_after_the_configured_time() {
    let timeline = Timeline::from(Scenario::LoggedOut).after(Duration::from_millis(50), Scenario::Ready);
    let mut simulator = start_with(Config { timeline, ..Config::default() }).await;
    let event = event(&mut simulator, |what| matches!(what, What::Switched { scenario: Scenario::Ready, .. })).await;
    assert!(event.at >= Duration::from_millis(50));
    Client::opened(&simulator, 200, 5).await;
}

#[tokio::test]
async fn answers_are_delayed_and_dribbled_as_configured() {
    let delay = Duration::from_millis(60);
    let slow = Config { delay, ..Config::default() };
    // The hello has 31 bytes, each a write of its own with a pause behind it.
    let dribbling = Config { dribble: Some(Duration::from_millis(2)), ..Config::default() };
    for (config, at_least) in [(slow, delay), (dribbling, Duration::from_millis(60))] {
        let simulator = start_with(config).await;
        let mut client = Client::connect(&simulator).await;
        let asked = Stopwatch::start();
        client.say_hello(200).await;
        client.hear_hello().await;
        assert!(asked.elapsed() >= at_least, "{:?}", asked.elapsed());
    }
}

#[tokio::test]
async fn the_hello_carries_the_configured_zone() {
    let cases: [(Scenario, &str, &[u8]); 4] = [
        (Scenario::Ready, "Asia/Hong_Kong", b" Asia/Hong_Kong"),
        (Scenario::Ready, "China Standard Time", b" China Standard Time"),
        (Scenario::ZoneGbk, "UTC", b" \xd6\xd0\xb9\xfa\xb1\xea\xd7\xbc\xca\xb1\xbc\xe4"),
        (Scenario::NoZone, "UTC", b""),
    ];
    for (scenario, zone, tail) in cases {
        let simulator =
            start_with(Config { timeline: scenario.into(), time_zone: zone.into(), ..Config::default() }).await;
        let mut client = Client::connect(&simulator).await;
        client.say_hello(200).await;
        let time = client.hear_hello().await;
        let (clock, rest) = time.split_at("20261122 03:00:00".len());
        assert!(clock.iter().all(|byte| b"0123456789: ".contains(byte)), "{clock:?}");
        assert_eq!(rest, tail);
    }
}

#[tokio::test]
async fn several_accounts_and_none() {
    for list in ["DU1234567,DU7654321,U1", ""] {
        let accounts = AccountId::parse_list(list);
        let simulator = start_with(Config { accounts: accounts.clone(), ..Config::default() }).await;
        let mut client = Client::open(&simulator, 200, 5).await;
        assert_eq!(client.reply().await, Reply::ManagedAccounts(accounts));
    }
}

#[tokio::test]
async fn clients_that_do_not_speak_the_protocol_are_reset() {
    let mut simulator = start(Scenario::Ready).await;
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"API\0\0\0\0\x08v100.200", b"\x16\x03\x01\0\xa5"] {
        let mut client = Client::connect(&simulator).await;
        client.write(bytes).await;
        assert!(!client.ends_cleanly().await, "{bytes:?}");
    }
    let mut client = Client::opened(&simulator, 200, 5).await;
    // A message that cannot be read is refused; the session goes on. A length that cannot be is its end.
    client.write(b"\0\0\0\x08soon\x001\0\0").await;
    assert_eq!(client.notice().await.code, 320);
    client.write(&[0xFF; 8]).await;
    assert!(client.ends_cleanly().await);
    event(&mut simulator, |what| matches!(what, What::Request { answer: Answer::Refused, .. })).await;
}

#[tokio::test]
async fn a_request_with_its_hello_in_one_write_is_not_lost() {
    let simulator = start(Scenario::Ready).await;
    let mut client = Client::connect(&simulator).await;
    let hello = b"API\0\0\0\0\x09v100..178";
    let start_api = Request::StartApi { client_id: 5 }.encode(ServerVersion(178));
    client.write(&[&hello[..], &start_api].concat()).await;
    client.hear_hello().await;
    assert!(matches!(client.reply().await, Reply::ManagedAccounts(_)));
}

#[tokio::test]
async fn stopping_ends_every_session_and_frees_the_port() {
    let simulator = start(Scenario::Ready).await;
    let address = simulator.address();
    let mut client = Client::opened(&simulator, 200, 5).await;
    timeout(LIMIT, simulator.stop()).await.expect("stops in time");
    client.ends_cleanly().await;
    assert!(TcpStream::connect(address).await.is_err());
    let again = start_with(Config { listen: address, ..Config::default() }).await;
    let mut client = Client::opened(&again, 200, 5).await;
    drop(again);
    client.ends_cleanly().await;
}

#[tokio::test]
async fn a_port_in_use_is_an_error_with_a_next_step() {
    let simulator = start(Scenario::Ready).await;
    let listen = simulator.address();
    let fault = Simulator::start(Config { listen, ..Config::default() }).await.expect_err("in use");
    assert!(matches!(fault, StartError::AddressInUse(address) if address == listen));
    assert!(
        fault.to_string().ends_with("is in use; stop the other program or choose another port (0 takes a free one)")
    );
    let listen = "192.0.2.1:4002".parse().expect("an address");
    let fault = Simulator::start(Config { listen, ..Config::default() }).await.expect_err("not ours");
    assert!(matches!(fault, StartError::NoSuchAddress(_)), "{fault:?}");
}

#[tokio::test]
async fn a_port_that_refuses_is_kept() {
    let simulator = start(Scenario::PortRefused).await;
    assert!(TcpStream::connect(simulator.address()).await.is_err());
    for scenario in [Scenario::Ready, Scenario::PortTimeout, Scenario::Ready, Scenario::LoggedOut, Scenario::Ready] {
        simulator.switch(scenario).await.expect("switched");
        if scenario == Scenario::Ready {
            Client::opened(&simulator, 200, 5).await;
        }
    }
}
