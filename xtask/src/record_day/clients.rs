//! The conversations that the real API clients hold with the simulated gateway. The programs are those of the end-to-end tests,
//! the clients where `./test` installs them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ibapi::contracts::Contract;
use ibga_core::account::AccountId;
use ibga_sim::{Config, Scenario};
use jiff::{SignedDuration, Timestamp};
use tokio::process::Command;
use tokio::time::timeout;

use super::tap::Tap;
use super::{Fault, gateway, head};

/// Not one of the probe's.
const CLIENT_ID: i32 = 7;

const LIMIT: Duration = Duration::from_secs(20);

/// When the agents' own clients talk: in the morning session.
const MOMENT: &str = "2026-11-23T11:45:00+08:00[Asia/Hong_Kong]";

/// Name, folder, script, and the highest version of the gateway.
const PROGRAMS: &[(&str, &str, &str, u32)] = &[
    ("ib_async 2.1.0", "ib_async", "ib_async.py", 200),
    ("ibapi 9.81", "ibapi-old", "ibapi.py", 200),
    ("ibapi 10.51", "ibapi-new", "ibapi.py", 200),
    ("ibapi 10.51", "ibapi-new", "ibapi.py", 203),
    ("ibapi 10.51", "ibapi-new", "ibapi.py", 300),
    ("@stoqey/ib 1.6.10", "node", "stoqey.mjs", 200),
];

pub(super) async fn record() -> Result<Vec<(String, String)>, Fault> {
    let mut recordings = Vec::new();
    for (name, folder, script, version) in PROGRAMS {
        let file = format!("client-{folder}-{version}.session");
        recordings.push((file, session(name, *version, |address| run(folder, script, address)).await?));
    }
    let rust = session("Rust ibapi 5.5", 300, look_from_rust).await?;
    recordings.push(("client-rust-300.session".into(), rust));
    Ok(recordings)
}

async fn session<F>(client: &str, version: u32, talk: impl FnOnce(SocketAddr) -> F) -> Result<String, Fault>
where
    F: Future<Output = Result<(), Fault>>,
{
    let accounts = AccountId::parse_list("DU1234567,DU7654321");
    let config = Config { scenario: Scenario::Ready, server_version: version, accounts, ..Config::default() };
    let at: Timestamp = MOMENT.parse::<jiff::Zoned>()?.timestamp();
    let gateway = gateway(config, at, SignedDuration::ZERO).await?;
    let tap = Tap::start(gateway.address()).await?;
    timeout(LIMIT, talk(tap.address)).await??;
    let lines = tap.finish().await?;
    gateway.stop().await;
    let spoken = format!("simulated: ready, up to version {version}");
    let head = head(&[
        ("moment", MOMENT),
        ("about", "an API client's own connect sequence and questions"),
        ("client", client),
        ("gateway", &spoken),
    ]);
    Ok(format!("{head}\n{lines}"))
}

async fn run(folder: &str, script: &str, gateway: SocketAddr) -> Result<(), Fault> {
    let tools = tools();
    let installed = tools.join(folder);
    if !installed.exists() {
        return Err(format!("{} is missing: run ./test, which installs it", installed.display()).into());
    }
    let mut command = if folder == "node" {
        Command::new("node")
    } else {
        let mut python = Command::new(installed.join("bin/python"));
        // Or the scripts, which lie beside each other, would be taken for the packages of the same names.
        python.arg("-I");
        python
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/ibga/tests/clients").join(script);
    let arguments = [gateway.ip().to_string(), gateway.port().to_string(), CLIENT_ID.to_string(), "10".into()];
    let command = command.arg(script).args(arguments).env("IBGA_TEST_TOOLS", &tools);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    let seen = String::from_utf8_lossy(&output.stdout);
    let is_whole = output.status.success() && seen.replace(' ', "").contains("\"failure\":null");
    if is_whole { Ok(()) } else { Err(format!("{folder}: {output:?}").into()) }
}

/// Where `./test` installs the clients.
fn tools() -> PathBuf {
    let beside_the_build = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-tools");
    std::env::var_os("IBGA_TEST_TOOLS").map_or_else(beside_the_build, PathBuf::from)
}

async fn look_from_rust(gateway: SocketAddr) -> Result<(), Fault> {
    let client = ibapi::Client::builder().address(gateway.to_string()).client_id(CLIENT_ID).connect().await?;
    client.server_time().await?;
    client.next_valid_order_id().await?;
    client.contract_details(&Contract::forex("EUR", "USD").build()).await?;
    client.positions().await?.next_batch(LIMIT).await.ok_or("the positions ended")??;
    client.disconnect().await;
    Ok(())
}
