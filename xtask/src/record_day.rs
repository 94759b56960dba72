//! Records the sessions of an IBKR day as bytes with their times: those of the probe, and those that the real API clients hold,
//! each against the simulated gateway, through a tap. What the sessions mean is not looked at here; the test that replays them
//! (`crates/ibga-tws/tests/day/main.rs`) prints it, for a person to read before the recordings are committed.

mod clients;
mod moments;
mod tap;

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use ibga_core::account::AccountId;
use ibga_core::clock;
use ibga_core::observation::{Connect, ConnectFailure};
use ibga_sim::{Config, Scenario, Simulator};
use ibga_tws::ServerVersion;
use ibga_tws::driver;
use ibga_tws::probe::ProbePlan;
use ibga_tws::request::Contract;
use jiff::{SignedDuration, Timestamp};

use moments::{MOMENTS, Moment};
use tap::Tap;

/// Where the recordings lie.
const FOLDER: &str = "crates/ibga-tws/tests/data/day";

type Fault = Box<dyn Error>;

/// The probe's first client id, and how many it may try.
const CLIENT_IDS: std::ops::RangeInclusive<i32> = 99..=100;

/// Records everything. Old recordings go only once all new ones are there.
pub(crate) fn run() -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let recordings = runtime.block_on(async {
        let mut recordings = Vec::new();
        for moment in MOMENTS {
            recordings.push((moment.file_name()?, record(moment).await?));
        }
        recordings.extend(clients::record().await?);
        Ok::<_, Fault>(recordings)
    })?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(FOLDER);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    for (name, text) in &recordings {
        std::fs::write(folder.join(name), text)?;
    }
    say(&format!(
        "{} sessions in {FOLDER}; now read what they mean: cargo test -p ibga-tws --test day -- --nocapture",
        recordings.len()
    ));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is a command's output")]
fn say(line: &str) {
    println!("{line}");
}

/// A simulated gateway whose clock says that it is `at` now, or a few seconds off.
async fn gateway(config: Config, at: Timestamp, off: SignedDuration) -> Result<Simulator, Fault> {
    let clock_offset = at.duration_since(clock::now()) + off;
    Ok(Simulator::start(Config { clock_offset, time_zone: "Hongkong".into(), ..config }).await?)
}

async fn record(moment: &Moment) -> Result<String, Fault> {
    let at = moment.instant()?;
    let config = Config {
        timeline: moment.timeline(),
        proxy: moment.proxy,
        server_version: moment.version,
        accounts: AccountId::parse_list(moment.accounts),
        ..Config::default()
    };
    let gateway = gateway(config, at, SignedDuration::from_secs(moment.clock_off_seconds)).await?;
    let plan = ProbePlan {
        client_ids: CLIENT_IDS,
        version_max: ServerVersion(moment.announced),
        question: Some(Contract::eur_usd()),
        settle: Duration::from_millis(50),
        timeout: moment.timeout,
    };
    let address = gateway.address();
    let lines = if moment.scenario == Scenario::PortRefused {
        // A tap would accept what the gateway refuses.
        let seen = driver::probe(plan, &address.ip().to_string(), address.port()).await;
        if seen.connect != Connect::Failed(ConnectFailure::Refused) {
            return Err(format!("{}: {:?}", moment.name, seen.connect).into());
        }
        format!("{} refused\n", tap::time(seen.elapsed))
    } else {
        let tap = Tap::start(address).await?;
        driver::probe(plan, &tap.address.ip().to_string(), tap.address.port()).await;
        tap.finish().await?
    };
    gateway.stop().await;
    Ok(format!("{}\n{lines}", moment.head()?))
}

/// The lines above a session, `name: value` each.
fn head(values: &[(&str, &str)]) -> String {
    values.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name}: {value}");
        text
    })
}
