//! Gateways for programs without an async runtime: each runs in a thread of its own until it is dropped.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::{Context, Poll, Wake};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use ibga_core::clock::Stopwatch;
use tokio::sync::oneshot;

use crate::config::{Config, StartError};
use crate::event::{Event, Events, What};
use crate::fleet;
use crate::scene::Scene;
use crate::simulator::{NextError, Remote, Remotes, State};

/// The most events that are kept; the oldest go first.
const EVENTS_MAX: usize = 65_536;

/// A simulated gateway. Its port is closed when it is dropped.
#[derive(Debug)]
pub struct Gateway {
    fleet: Fleet,
}

impl Gateway {
    /// Starts a gateway. When this returns, its port is as the scenario wants it.
    pub fn start(config: Config) -> Result<Self, StartError> {
        Ok(Self { fleet: Fleet::start(config, 1)? })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.fleet.first.address()
    }

    /// Changes the scene, as [`Simulator::switch`](crate::Simulator::switch).
    pub fn switch(&self, scene: impl Into<Scene>) -> Result<(), StartError> {
        self.fleet.switch(1, scene)
    }

    /// Goes on to the next step of the timeline now.
    pub fn next_step(&self) -> Result<(), NextError> {
        self.fleet.next_step(1)
    }

    /// What the gateway is doing.
    pub fn state(&self) -> State {
        self.fleet.first.state()
    }

    /// What happened so far.
    pub fn events(&self) -> Vec<Event> {
        self.fleet.events()
    }

    /// Waits for an event that fits, among those behind the one that the last such wait found. `None` at the time limit.
    pub fn wait_for(&self, limit: Duration, fits: impl Fn(&What) -> bool) -> Option<Event> {
        self.fleet.wait_for(limit, |event| fits(&event.what))
    }
}

/// Simulated gateways beside each other, all in one thread. Their ports are closed when this is dropped.
#[derive(Debug)]
pub struct Fleet {
    first: Remote,
    remotes: Remotes,
    log: Arc<Log>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Fleet {
    /// Starts so many gateways, as [`Fleet::start`](crate::Fleet::start) does.
    pub fn start(config: Config, count: usize) -> Result<Self, StartError> {
        let listen = config.listen;
        let failed = move |fault: io::Error| StartError::listening(listen, fault);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(failed)?;
        let (started, starting) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let log = Arc::new(Log::default());
        let told = Arc::clone(&log);
        let thread = thread::Builder::new().name("simulated gateway".into()).spawn(move || {
            runtime.block_on(async {
                match fleet::Fleet::start(config, count).await {
                    Ok((fleet, events)) => {
                        let _ = started.send(Ok(fleet.remotes().clone()));
                        serve(events, &told, stopped).await;
                        fleet.stop().await;
                    }
                    Err(fault) => {
                        let _ = started.send(Err(fault));
                    }
                }
            });
        });
        let thread = thread.map_err(failed)?;
        let remotes = starting.recv().map_err(|_| StartError::Stopped)??;
        let first = remotes.get(1).cloned().ok_or(StartError::Gateways(count))?;
        Ok(Self { first, remotes, log, stop: Some(stop), thread: Some(thread) })
    }

    /// Where clients connect, in the order of the gateways' numbers.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.remotes.iter().map(Remote::address)
    }

    /// Changes the scene of the gateway with this number, counted from 1.
    pub fn switch(&self, number: usize, scene: impl Into<Scene>) -> Result<(), StartError> {
        wait(self.remote(number)?.switch(scene))
    }

    /// Changes the scene of all gateways.
    pub fn switch_all(&self, scene: impl Into<Scene>) -> Result<(), StartError> {
        wait(self.remotes.switch_all(scene))
    }

    /// Goes on to the next step of the timeline of the gateway with this number.
    pub fn next_step(&self, number: usize) -> Result<(), NextError> {
        wait(self.remote(number)?.next_step())
    }

    /// Goes on to the next step of all timelines.
    pub fn next_step_all(&self) -> Result<(), NextError> {
        wait(self.remotes.next_step_all())
    }

    /// What happened so far, at any gateway.
    pub fn events(&self) -> Vec<Event> {
        self.log.lock().events.iter().cloned().collect()
    }

    /// Waits for an event that fits, among those behind the one that the last such wait found. `None` at the time limit.
    pub fn wait_for(&self, limit: Duration, fits: impl Fn(&Event) -> bool) -> Option<Event> {
        self.log.wait_for(limit, fits)
    }

    fn remote(&self, number: usize) -> Result<&Remote, StartError> {
        self.remotes.get(number).ok_or(StartError::Gateways(number))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(mut events: Events, log: &Log, mut stopped: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            event = events.next() => match event {
                Some(event) => log.add(event),
                None => break,
            },
        }
    }
}

/// The events so far, for those who look back and those who wait.
#[derive(Debug, Default)]
struct Log {
    kept: Mutex<Kept>,
    came: Condvar,
}

/// Events are numbered from 0, so that a number holds when old ones go.
#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<Event>,
    /// The number of the first one that is still here.
    first: usize,
    /// The number behind the one that the last wait found.
    mark: usize,
}

impl Kept {
    /// The first event from a number on, and its own number.
    fn from(&self, number: usize) -> Option<(usize, &Event)> {
        let number = number.max(self.first);
        Some((number, self.events.get(number - self.first)?))
    }

    fn end(&self) -> usize {
        self.first + self.events.len()
    }
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, event: Event) {
        let mut kept = self.lock();
        if kept.events.len() == EVENTS_MAX {
            kept.events.pop_front();
            kept.first += 1;
        }
        kept.events.push_back(event);
        self.came.notify_all();
    }

    /// Whoever waits is asked without the lock: the answer may lie in the events so far, or take its time.
    fn wait_for(&self, limit: Duration, fits: impl Fn(&Event) -> bool) -> Option<Event> {
        let watch = Stopwatch::start();
        let mut kept = self.lock();
        let mut next = kept.mark;
        // Once the time is up: where the events ended by then. Those that are there already are looked at with any limit.
        let mut end = None;
        loop {
            if end.is_none() && watch.elapsed() >= limit {
                end = Some(kept.end());
            }
            if let Some((number, event)) = kept.from(next).filter(|(number, _)| end.is_none_or(|end| *number < end)) {
                let event = event.clone();
                drop(kept);
                let found = fits(&event);
                next = number + 1;
                kept = self.lock();
                if found {
                    kept.mark = kept.mark.max(next);
                    return Some(event);
                }
            } else {
                let rest = limit.checked_sub(watch.elapsed())?;
                kept = self.came.wait_timeout(kept, rest).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
}

/// Waits for what another thread will bring about. Works inside an async runtime too, where a test may well stand.
fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = std::pin::pin!(future);
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const LIMIT: Duration = Duration::from_secs(20);

    fn told(count: u64) -> Event {
        Event { at: Duration::ZERO, gateway: 1, what: What::Missed { count } }
    }

    /// A log of events that are told apart by their count.
    fn log(counts: std::ops::Range<u64>) -> Log {
        let log = Log::default();
        counts.for_each(|count| log.add(told(count)));
        log
    }

    #[test]
    fn a_wait_that_finds_nothing_passes_nothing_over() {
        let log = log(0..3);
        assert_eq!(log.wait_for(SOON, |event| *event == told(7)), None);
        assert_eq!(log.wait_for(SOON, |event| *event == told(1)), Some(told(1)));
        assert_eq!(log.wait_for(SOON, |event| *event == told(0)), None, "behind the one that was found");
        assert_eq!(log.wait_for(Duration::ZERO, |_| true), Some(told(2)), "what is there needs no time");
    }

    #[test]
    fn who_waits_may_look_at_the_events_and_wait_meanwhile() {
        let log = log(0..2);
        let found = log.wait_for(LIMIT, |_| log.lock().events.len() > 1 && log.wait_for(LIMIT, |_| true).is_some());
        assert_eq!(found, Some(told(0)));
    }

    #[test]
    fn a_wait_ends_at_its_limit_however_many_events_come() {
        let log = log(0..1);
        let asked = AtomicUsize::new(0);
        let found = log.wait_for(SOON, |_| {
            log.add(told(1));
            asked.fetch_add(1, Ordering::Relaxed);
            thread::park_timeout(Duration::from_millis(1));
            false
        });
        assert_eq!(found, None);
        assert!(asked.load(Ordering::Relaxed) > 1);
    }

    #[test]
    fn the_mark_stays_where_it_is_when_old_events_go() {
        let most = u64::try_from(EVENTS_MAX).expect("a number");
        let log = log(0..most);
        assert_eq!(log.wait_for(SOON, |event| *event == told(5)), Some(told(5)));
        (most..most + 3).for_each(|count| log.add(told(count)));
        assert_eq!(log.wait_for(SOON, |_| true), Some(told(6)));
        (0..10).for_each(|count| log.add(told(most + 3 + count)));
        assert_eq!(log.wait_for(SOON, |_| true), Some(told(13)), "the oldest that is left");
    }
}
