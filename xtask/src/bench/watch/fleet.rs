//! What a watch of so many gateways costs: memory, computing while nothing happens, and the time until a change of all of them is
//! in all their status files. Beside one of them, the same sessions in the hands of a peer.

use std::time::Duration;

use ibga_core::cause::{Cause, Status};
use ibga_core::clock::Stopwatch;
use ibga_core::transition::State;

use super::found::{self, Held, Point};
use super::pause;
use super::peer;
use super::scene::{Manner, Simulator, Watch};
use crate::bench::stage::Stage;

/// How often all of them change.
const CHANGES: usize = 5;

/// How long anything may take before the measurement is given up.
const LIMIT: Duration = Duration::from_mins(2);

/// How long after the start nothing happens before that is measured: the store takes in the first report of each gateway, one after
/// the other, and threads that wrote files are kept for 10 s.
const SETTLES: Duration = Duration::from_secs(40);
const BETWEEN_CHANGES: Duration = Duration::from_secs(2);

/// For how long nothing happens: two heartbeats of each gateway.
const IDLE: Duration = Duration::from_secs(40);

/// Measures one size. Where the peer is measured, it runs at the same time while nothing happens.
pub(super) fn measure(stage: &Stage, gateways: usize) -> Result<(Point, Option<Held>), String> {
    let simulator = Simulator::start(stage, gateways)?;
    let watch = Watch::start(stage, &simulator.addresses, Manner::default())?;
    let counter = watch.count_sessions();
    let is_ready = |state: State| state.status == Status::Ready;
    watch.files.settle(watch.all(), is_ready, LIMIT)?;
    let sessions = counter.end();
    let peer = if gateways == found::PEER_SIZE { peer::start(stage, &simulator.addresses)? } else { None };
    pause(SETTLES);
    let idle = Idle::begin(&watch)?;
    let beside = peer.as_ref().map(peer::Peer::begin).transpose()?;
    pause(IDLE);
    let idle_percent = idle.end(&watch)?;
    let held = peer.zip(beside).map(|(peer, began)| peer.end(began)).transpose()?;
    let mut change_millis: f64 = 0.0;
    for _ in 0..CHANGES {
        pause(BETWEEN_CHANGES);
        watch.files.forget()?;
        let happened = Stopwatch::start();
        simulator.switch_all("broker_link_down")?;
        watch.files.follow(watch.all(), |state| state.cause == Some(Cause::BrokerLinkDown), LIMIT)?;
        change_millis = change_millis.max(happened.elapsed().as_secs_f64() * 1e3);
        watch.files.forget()?;
        let happened = Stopwatch::start();
        simulator.switch_all("broker_link_restored")?;
        watch.files.follow(watch.all(), is_ready, LIMIT)?;
        change_millis = change_millis.max(happened.elapsed().as_secs_f64() * 1e3);
    }
    let memory_kib = watch.process().memory_kib()?;
    Ok((Point { gateways, memory_kib, idle_percent, change_millis, sessions }, held))
}

/// A span in which nothing happens.
struct Idle {
    watch: Stopwatch,
    before: Duration,
}

impl Idle {
    fn begin(watch: &Watch) -> Result<Self, String> {
        Ok(Self { before: watch.process().computed()?, watch: Stopwatch::start() })
    }

    fn end(self, watch: &Watch) -> Result<f64, String> {
        let computed = watch.process().computed()?.saturating_sub(self.before);
        Ok(computed.as_secs_f64() / self.watch.elapsed().as_secs_f64() * 100.0)
    }
}
