//! The API clients that people use, against the simulated gateway: what they see of it has to be what it was told to be, in every
//! dialect that they speak. So the simulator, which shares its codec with the probe, is held to the wire by others' codecs.
//!
//! Every test has `real_client` and the client's name in its own. The clients for Python and Node.js are where `./test` installs
//! them; a test whose client is not there fails.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Desk, Gateway, tools};
use ibapi::accounts::types::AccountGroup;
use ibapi::accounts::{AccountSummaryResult, PositionUpdate};
use ibapi::contracts::Contract;
use ibga_core::account::AccountId;
use ibga_core::clock;
use ibga_sim::{Config, Scenario};
use jiff::SignedDuration;
use serde_json::{Value, json};

/// Not the probe's first id.
const CLIENT_ID: i32 = 7;

/// How far the gateway's clock is ahead, so that its time cannot be mistaken for this machine's.
const AHEAD: SignedDuration = SignedDuration::from_hours(1);

/// What a healthy gateway tells every session unasked.
const FARMS_OK: [i64; 4] = [2104, 2104, 2106, 2158];

#[derive(Clone, Copy, Debug)]
enum Client {
    /// `ib_async`, the successor of `ib_insync`.
    IbAsync,
    /// The official Python client of 2020.
    IbapiOld,
    /// The official Python client of 2026.
    IbapiNew,
    /// `@stoqey/ib` for Node.js.
    Stoqey,
    /// The Rust crate `ibapi`.
    Rust,
}

impl Client {
    /// Connects, asks and returns what it saw.
    fn look(self, gateway: SocketAddr, limit: Duration) -> Value {
        if let Self::Rust = self {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            return runtime.block_on(look_from_rust(gateway, limit));
        }
        let output = self.command(gateway, limit).output().expect("the client starts");
        assert!(output.status.success(), "{self:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|fault| panic!("{fault}: {output:?}"))
    }

    /// The client as a program of its own.
    fn command(self, gateway: SocketAddr, limit: Duration) -> Command {
        let (folder, script) = match self {
            Self::IbAsync => ("ib_async", "ib_async.py"),
            Self::IbapiOld => ("ibapi-old", "ibapi.py"),
            Self::IbapiNew => ("ibapi-new", "ibapi.py"),
            Self::Stoqey => ("node", "stoqey.mjs"),
            Self::Rust => panic!("it is no program"),
        };
        let folder = tools().join(folder);
        assert!(folder.exists(), "{} is missing: run ./test, which installs it", folder.display());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
        let mut command = if let Self::Stoqey = self {
            Command::new("node")
        } else {
            let mut python = Command::new(folder.join("bin/python"));
            // Or the scripts, which lie beside each other, would be taken for the packages of the same names.
            python.arg("-I");
            python
        };
        command
            .arg(script)
            .args([gateway.ip().to_string(), gateway.port().to_string(), CLIENT_ID.to_string()])
            .arg(limit.as_secs().to_string())
            .env("IBGA_TEST_TOOLS", tools());
        command
    }
}

async fn look_from_rust(gateway: SocketAddr, limit: Duration) -> Value {
    let connecting = ibapi::Client::builder().address(gateway.to_string()).client_id(CLIENT_ID);
    let connected = tokio::time::timeout(limit, connecting.connect_with_notice_stream()).await;
    let (client, mut notices) = match connected {
        Err(_) => return json!({"failure": "the session did not open"}),
        Ok(Err(fault)) => return json!({"failure": format!("{fault:?}: {fault}")}),
        Ok(Ok(connected)) => connected,
    };
    let time = client.server_time().await.expect("a time").unix_timestamp();
    let next_order_id = client.next_valid_order_id().await;
    let euro = Contract::forex("EUR", "USD").build();
    let contracts = client.contract_details(&euro).await.expect("details");
    let mut positions = client.positions().await.expect("positions");
    let positions = positions.next_batch(limit).await.expect("an end").expect("positions");
    let mut values = client.account_summary(&AccountGroup("All".into()), &["NetLiquidation"]).await.expect("values");
    let values = values.next_batch(limit).await.expect("an end").expect("values");
    let mut codes = Vec::new();
    while let Ok(Some(notice)) = tokio::time::timeout(Duration::ZERO, notices.next()).await {
        codes.push(json!({"code": notice.code}));
    }
    let seen = json!({
        "server_version": client.server_version(),
        "failure": null,
        "errors": codes,
        "accounts": client.managed_accounts().await.expect("accounts"),
        "time": time,
        "next_order_id": next_order_id.ok(),
        "contracts": contracts.iter().map(|found| json!([found.contract.symbol, found.contract.contract_id])).collect::<Value>(),
        "positions": positions.iter().filter_map(|update| match update {
            PositionUpdate::Position(held) => Some(json!([held.account, held.contract.symbol, held.position.to_string()])),
            PositionUpdate::PositionEnd => None,
        }).collect::<Value>(),
        "net_liquidation": values.iter().filter_map(|result| match result {
            AccountSummaryResult::Summary(found) => Some(json!([found.account, found.value, found.currency])),
            AccountSummaryResult::End => None,
        }).collect::<Value>(),
    });
    client.disconnect().await;
    seen
}

fn config(scenario: Scenario, server_version: u32) -> Config {
    Config {
        timeline: scenario.into(),
        server_version,
        accounts: AccountId::parse_list("DU1234567,DU7654321"),
        clock_offset: AHEAD,
        ..Config::default()
    }
}

/// The codes of what was told, in its order.
fn codes(seen: &Value) -> Vec<i64> {
    seen["errors"].as_array().into_iter().flatten().filter_map(|error| error["code"].as_i64()).collect()
}

fn assert_whole(seen: &Value, server_version: u32) {
    assert_eq!(seen["failure"], Value::Null, "{seen}");
    assert_eq!(seen["server_version"], server_version, "{seen}");
    assert_eq!(seen["accounts"], json!(["DU1234567", "DU7654321"]), "{seen}");
    assert_eq!(seen["contracts"], json!([["EUR", 12_087_792]]), "{seen}");
    assert_eq!(seen["positions"], json!([["DU1234567", "700", "200"], ["DU1234567", "AAPL", "10"]]), "{seen}");
    assert_eq!(
        seen["net_liquidation"],
        json!([["DU1234567", "1000000.00", "USD"], ["DU7654321", "1000000.00", "USD"]]),
        "{seen}"
    );
    let time = seen["time"].as_i64().expect("a time");
    assert!((time - (clock::now() + AHEAD).as_second()).abs() <= 5, "{seen}");
    assert_eq!(codes(seen), FARMS_OK, "{seen}");
}

fn connects(client: Client, highest: u32, agreed: u32) {
    let gateway = Gateway::start(config(Scenario::Ready, highest));
    let seen = client.look(gateway.address, Duration::from_secs(10));
    assert_whole(&seen, agreed);
    assert_eq!(seen["next_order_id"], 2, "one was told at the start, this one was asked for: {seen}");
    let left: Vec<Value> = gateway.events().into_iter().filter(|event| event["event"] == "request").collect();
    let left: Vec<&Value> =
        left.iter().filter(|event| event["answer"] != "answered" && event["answer"] != "silent").collect();
    assert!(left.is_empty(), "{client:?} asked in vain: {left:?}");
}

/// A test for each line: the client, the highest version of the gateway, and the version that they agree on.
macro_rules! connecting {
    ($($name:ident: $client:ident, $highest:literal => $agreed:literal;)*) => {
        $(
            #[test]
            fn $name() {
                connects(Client::$client, $highest, $agreed);
            }
        )*
    };
}

connecting! {
    real_client_ib_async_connects_at_176: IbAsync, 176 => 176;
    real_client_ib_async_connects_at_its_highest: IbAsync, 200 => 178;
    real_client_ibapi_old_connects_at_151: IbapiOld, 151 => 151;
    real_client_ibapi_old_connects_at_its_highest: IbapiOld, 200 => 157;
    real_client_ibapi_new_connects_with_text_at_176: IbapiNew, 176 => 176;
    real_client_ibapi_new_connects_with_text_at_200: IbapiNew, 200 => 200;
    real_client_ibapi_new_connects_mixed_at_201: IbapiNew, 201 => 201;
    real_client_ibapi_new_connects_mixed_at_203: IbapiNew, 203 => 203;
    real_client_ibapi_new_connects_mixed_at_207: IbapiNew, 207 => 207;
    real_client_ibapi_new_connects_mixed_at_212: IbapiNew, 212 => 212;
    real_client_ibapi_new_connects_with_protobuf_at_213: IbapiNew, 213 => 213;
    real_client_ibapi_new_connects_with_protobuf_at_its_highest: IbapiNew, 300 => 226;
    real_client_stoqey_connects_at_176: Stoqey, 176 => 176;
    real_client_stoqey_connects_at_its_highest: Stoqey, 200 => 193;
    real_client_rust_connects_at_213: Rust, 213 => 213;
    real_client_rust_connects_at_its_highest: Rust, 300 => 226;
}

/// A fault as a client meets it: the error's code, if it is told one, and the words in which it gives up, if it does.
type Fault = (Scenario, Option<i64>, Option<&'static str>);

fn meets(client: Client, versions: &[u32], faults: &[Fault]) {
    for version in versions {
        for (scenario, code, failure) in faults {
            let gateway = Gateway::start(config(*scenario, *version));
            let seen = client.look(gateway.address, Duration::from_secs(1));
            let mut told = codes(&seen);
            told.retain(|code| !FARMS_OK.contains(code));
            told.dedup();
            assert_eq!(told, Vec::from_iter(*code), "{client:?} {version} {scenario}: {seen}");
            match failure {
                Some(words) => {
                    let text = seen["failure"].as_str().unwrap_or_default();
                    assert!(text.contains(words), "{client:?} {version} {scenario}: {seen}");
                }
                None => assert_eq!(seen["failure"], Value::Null, "{client:?} {version} {scenario}: {seen}"),
            }
        }
    }
}

const ENDED: &str = "the connection ended before";

#[test]
fn real_client_ib_async_meets_faults() {
    let faults = [
        (Scenario::ClientIdInUse, Some(326), Some("TimeoutError")),
        (Scenario::PaperDisclaimer, Some(10_141), Some("TimeoutError")),
        (Scenario::AccountsMissing, None, Some("TimeoutError")),
        (Scenario::ReadOnlyApi, Some(321), Some("open orders request timed out")),
    ];
    meets(Client::IbAsync, &[178], &faults);
}

#[test]
fn real_client_ibapi_old_meets_faults() {
    let faults = [
        (Scenario::ClientIdInUse, Some(326), Some(ENDED)),
        (Scenario::PaperDisclaimer, Some(10_141), Some(ENDED)),
        (Scenario::AccountsMissing, None, Some("the session did not open")),
        (Scenario::ReadOnlyApi, Some(321), None),
    ];
    meets(Client::IbapiOld, &[157], &faults);
}

#[test]
fn real_client_ibapi_new_meets_faults_in_every_dialect() {
    let faults = [
        (Scenario::ClientIdInUse, Some(326), Some(ENDED)),
        (Scenario::PaperDisclaimer, Some(10_141), Some(ENDED)),
        (Scenario::ReadOnlyApi, Some(321), None),
    ];
    meets(Client::IbapiNew, &[193, 200, 202, 203, 213], &faults);
}

#[test]
fn real_client_stoqey_meets_faults() {
    let faults = [
        (Scenario::ClientIdInUse, Some(326), Some(ENDED)),
        (Scenario::PaperDisclaimer, Some(10_141), Some(ENDED)),
        (Scenario::AccountsMissing, None, Some("managedAccounts did not come")),
        (Scenario::ReadOnlyApi, Some(321), None),
    ];
    meets(Client::Stoqey, &[193], &faults);
}

#[test]
fn real_client_rust_meets_faults() {
    let faults = [
        (Scenario::ClientIdInUse, None, Some("ClientIdInUse { client_id: 7 }")),
        (Scenario::PaperDisclaimer, None, Some("early eof")),
        (Scenario::AccountsMissing, None, Some("the session did not open")),
        (Scenario::ReadOnlyApi, Some(321), None),
    ];
    meets(Client::Rust, &[213], &faults);
}

#[test]
fn real_client_ib_async_is_not_disturbed_by_a_check() {
    let gateway = Gateway::start(Config { clock_offset: SignedDuration::ZERO, ..config(Scenario::Ready, 200) });
    let mut command = Client::IbAsync.command(gateway.address, Duration::from_secs(10));
    let client = command.arg("stay").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut client = client.expect("the client starts");
    let mut lines = BufReader::new(client.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let mut seen = || serde_json::from_str::<Value>(&lines.next().expect("a line")).expect("JSON");
    let before = seen();
    let desk = Desk::new();
    for _ in 0..2 {
        let ran = desk.check(gateway.address, &["--json"]);
        assert_eq!((ran.code, &ran.json()["cause"]), (Some(0), &json!("ready")), "{ran:?}");
    }
    client.stdin.take().expect("a pipe").write_all(b"go on\n").expect("it reads");
    let mut after = seen();
    assert!(client.wait().expect("it ends").success());
    assert!(after["time"].as_i64() > before["time"].as_i64(), "{after}");
    assert_eq!((&before["next_order_id"], &after["next_order_id"]), (&json!(2), &json!(3)));
    for field in ["time", "next_order_id"] {
        after[field] = before[field].clone();
    }
    assert_eq!(after, before, "the same answers, and no further error");
}
