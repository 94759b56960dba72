//! How long it takes from the moment at which something happens to a gateway until the status file says so. The moment is that of
//! the order to the simulator, so that each figure is an upper bound.

use std::net::SocketAddr;
use std::time::Duration;

use ibga_core::cause::{Cause, Status};
use ibga_core::clock::Stopwatch;
use ibga_core::transition::State;
use ibga_sim::blocking::Fleet;
use ibga_sim::{Config, Proxy, Scenario};

use super::found::Moment;
use super::pause;
use super::scene::{Manner, Watch};
use crate::bench::stage::Stage;

/// The most gateways to which something happens, one after the other.
const GATEWAYS_MAX: usize = 100;
/// The same behind a proxy, where each takes up to a second and a half.
const GATEWAYS_BEHIND_PROXIES_MAX: usize = 50;

/// How long anything may take before the measurement is given up.
const LIMIT: Duration = Duration::from_secs(30);

/// How long nothing happens before the next thing does.
const PAUSE: Duration = Duration::from_millis(20);

/// The golden section of a second. Multiples of it are spread evenly over the seconds, so that the proxy, which tries the gateway
/// once a second, is met at each point of that second.
const SPREAD: Duration = Duration::from_millis(618);

/// The end of the socket, and the broker's link.
pub(super) fn losses(stage: &Stage, runs: usize) -> Result<Vec<Moment>, String> {
    let (fleet, watch) = start(stage, Config::default(), runs.min(GATEWAYS_MAX), &[])?;
    watch.files.settle(watch.all(), is_ready, LIMIT)?;
    let not_ready = |state: State| state.status != Status::Ready;
    let notices = each(&fleet, &watch, Scenario::BrokerLinkDown, |_| PAUSE, not_ready)?;
    fleet.switch_all(Scenario::BrokerLinkRestored).map_err(|fault| fault.to_string())?;
    watch.files.settle(watch.all(), is_ready, LIMIT)?;
    let ends = each(&fleet, &watch, Scenario::Restart, |_| PAUSE, not_ready)?;
    Ok(vec![
        Moment::of("the socket ends: not ready", 100.0, &ends)?,
        Moment::of("notice 1100: not ready", 100.0, &notices)?,
    ])
}

/// The API that opens behind ibga's proxy.
pub(super) fn opening(stage: &Stage, runs: usize) -> Result<Moment, String> {
    let config = Config { timeline: Scenario::LoggedOut.into(), proxy: Proxy::IbgaSocat, ..Config::default() };
    // What is silent is told to be so after this time; by then each waits on its patient connection.
    let (fleet, watch) = start(stage, config, runs.min(GATEWAYS_BEHIND_PROXIES_MAX), &["--timeout", "1s"])?;
    watch.files.settle(watch.all(), |state| state.cause == Some(Cause::ApiSilent), LIMIT)?;
    let waits = |number: usize| {
        let millis = u64::try_from(number).unwrap_or(u64::MAX).saturating_mul(SPREAD.subsec_millis().into()) % 1_000;
        Duration::from_millis(millis)
    };
    let openings = each(&fleet, &watch, Scenario::Ready, waits, is_ready)?;
    Moment::of("the API opens behind ibga's proxy: ready", 1_500.0, &openings)
}

fn is_ready(state: State) -> bool {
    state.status == Status::Ready
}

fn start(stage: &Stage, config: Config, count: usize, arguments: &[&str]) -> Result<(Fleet, Watch), String> {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let fleet = Fleet::start(Config { listen, ..config }, count).map_err(|fault| fault.to_string())?;
    let addresses: Vec<SocketAddr> = fleet.addresses().collect();
    let watch = Watch::start(stage, &addresses, Manner { arguments, container: None })?;
    Ok((fleet, watch))
}

/// Lets the same happen to one gateway after the other, and times each, in milliseconds.
fn each(
    fleet: &Fleet,
    watch: &Watch,
    scenario: Scenario,
    waits: impl Fn(usize) -> Duration,
    fits: impl Fn(State) -> bool,
) -> Result<Vec<f64>, String> {
    let mut samples = Vec::new();
    for number in watch.all() {
        pause(waits(number));
        watch.files.forget()?;
        let happened = Stopwatch::start();
        fleet.switch(number, scenario).map_err(|fault| fault.to_string())?;
        watch.files.follow([number], &fits, LIMIT)?;
        samples.push(happened.elapsed().as_secs_f64() * 1e3);
    }
    Ok(samples)
}
