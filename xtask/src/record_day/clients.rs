//! The conversations that the real API clients hold with the simulated gateway. The programs are those of the end-to-end tests,
//! the clients where `./test` installs them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ibga_core::account::AccountId;
use ibga_sim::Config;
use jiff::{SignedDuration, Timestamp};
use tokio::process::Command;
use tokio::time::timeout;

use super::tap::Tap;
use super::{Fault, gateway, head};

/// Not one of the probe's.
const CLIENT_ID: i32 = 7;

/// Time for a client, and for building the one that is built.
const LIMIT: Duration = Duration::from_mins(2);

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
    ("Rust ibapi 5.5", "rust", "rust.rs", 300),
];

pub(super) async fn record() -> Result<Vec<(String, String)>, Fault> {
    let mut recordings = Vec::new();
    for (name, folder, script, version) in PROGRAMS {
        let file = format!("client-{folder}-{version}.session");
        recordings.push((file, session(name, folder, script, *version).await?));
    }
    Ok(recordings)
}

async fn session(client: &str, folder: &str, script: &str, version: u32) -> Result<String, Fault> {
    let accounts = AccountId::parse_list("DU1234567,DU7654321");
    let config = Config { server_version: version, accounts, ..Config::default() };
    let at: Timestamp = MOMENT.parse::<jiff::Zoned>()?.timestamp();
    let gateway = gateway(config, at, SignedDuration::ZERO).await?;
    let tap = Tap::start(gateway.address()).await?;
    timeout(LIMIT, run(folder, script, tap.address)).await??;
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

/// Runs a client's program to its end; an answer that it misses is a fault.
async fn run(folder: &str, script: &str, gateway: SocketAddr) -> Result<(), Fault> {
    let arguments = [gateway.ip().to_string(), gateway.port().to_string(), CLIENT_ID.to_string(), "10".into()];
    let mut command = program(folder, script)?;
    let command = command.args(arguments).env("IBGA_TEST_TOOLS", tools());
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    let seen = String::from_utf8_lossy(&output.stdout).replace(' ', "");
    let is_whole = output.status.success() && (seen.is_empty() || seen.contains("\"failure\":null"));
    if is_whole { Ok(()) } else { Err(format!("{folder}: {output:?}").into()) }
}

fn program(folder: &str, script: &str) -> Result<Command, Fault> {
    if folder == "rust" {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["run", "--quiet", "--locked", "--package", "ibga", "--example", "rust_client", "--"]);
        return Ok(cargo);
    }
    let installed = tools().join(folder);
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
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/ibga/tests/clients").join(script));
    Ok(command)
}

/// Where `./test` installs the clients.
fn tools() -> PathBuf {
    let beside_the_build = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-tools");
    std::env::var_os("IBGA_TEST_TOOLS").map_or_else(beside_the_build, PathBuf::from)
}
