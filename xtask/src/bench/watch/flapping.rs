//! A day of flapping, without the waits between: the container of some gateways stops and starts again and again, each time all
//! their sessions end, and are there again. What the watch holds must not grow by that.

use std::net::SocketAddr;
use std::time::Duration;

use ibga_core::cause::{Cause, Status};
use ibga_sim::blocking::Fleet;
use ibga_sim::{Config, Scenario};

use super::engine::{CONTAINER, Engine};
use super::found::Flapped;
use super::scene::{Manner, Watch};
use crate::bench::stage::Stage;

/// How many gateways flap together.
const GATEWAYS: usize = 20;

/// How long anything may take before the measurement is given up.
const LIMIT: Duration = Duration::from_secs(30);

/// Lets them flap so many times.
pub(super) fn measure(stage: &Stage, times: usize) -> Result<Flapped, String> {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let fleet = Fleet::start(Config { listen, ..Config::default() }, GATEWAYS).map_err(|fault| fault.to_string())?;
    let addresses: Vec<SocketAddr> = fleet.addresses().collect();
    let engine = Engine::listen(&stage.folder().join("engine.sock"))?;
    let manner = Manner { arguments: &[], container: Some((CONTAINER, engine.path())) };
    let watch = Watch::start(stage, &addresses, manner)?;
    watch.files.settle(watch.all(), |state| state.status == Status::Ready, LIMIT)?;
    let counter = watch.count_sessions();
    let mut early = None;
    for time in 1..=times {
        engine.become_state("exited", "die");
        fleet.switch_all(Scenario::LoggedOut).map_err(|fault| fault.to_string())?;
        watch.files.settle(watch.all(), |state| state.cause == Some(Cause::ContainerStopped), LIMIT)?;
        fleet.switch_all(Scenario::Ready).map_err(|fault| fault.to_string())?;
        engine.become_state("running", "start");
        watch.files.settle(watch.all(), |state| state.status == Status::Ready, LIMIT)?;
        // By then whatever is made once is made: threads, and what the allocator keeps for each of them. A leak goes on.
        if time >= times.div_ceil(2) && early.is_none() {
            early = Some((watch.process().memory_kib()?, watch.process().open_files()?));
        }
    }
    let late = (watch.process().memory_kib()?, watch.process().open_files()?);
    let early = early.unwrap_or(late);
    Ok(Flapped {
        gateways: GATEWAYS,
        times,
        memory_kib: (early.0, late.0),
        open_files: (early.1, late.1),
        sessions: counter.end(),
    })
}
