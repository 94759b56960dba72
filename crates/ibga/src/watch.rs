//! `ibga watch`: one patient API session for each gateway, so that the status is never older than its last heartbeat and a loss is
//! known the moment it happens.
//!
//! All sessions run on one thread; whatever may hang runs beside it. This file starts the gateways' tasks, hears signals, and tells
//! systemd and the dead man's switch that the watch lives. It judges nothing.
//!
//! | file | about |
//! |---|---|
//! | `machine.rs`, `machine/` | what one gateway's events come to, without I/O |
//! | `gateway.rs` | the task of one gateway: lock, socket, status file |
//! | `containers.rs` | the container engine's events, for all gateways |
//! | `act.rs` | one act of recovery, from its note in the store to what came of it |
//! | `teller.rs` | the thread that writes the store, and sending what is due |
//! | `notify.rs`, `log.rs` | systemd and the log |

mod act;
mod containers;
mod gateway;
mod log;
mod machine;
mod notify;
mod teller;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use ibga_core::cause::Status;
use ibga_core::clock::Stopwatch;
use ibga_core::recovery::Practice;
use jiff::tz::TimeZone;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{Interval, MissedTickBehavior};

use crate::alert::pulse::{self, Beat};
use crate::check::endpoint;
use crate::container::asked_for;
use crate::output::Output;
use crate::settings::{Settings, SettingsError};
use containers::Containers;
use gateway::{Standing, Surroundings};
use log::Log;
use notify::Notifier;
use teller::Teller;

/// How many gateways may send alerts at once.
const DELIVERIES_MAX: usize = 32;

/// How often the dead man's switch hears of the watch.
const PULSE_INTERVAL: Duration = Duration::from_mins(1);

/// How often `systemctl status` is told anew at most.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// A task that has not come round for so many heartbeats, and the time of a whole attempt, hangs.
const ROUNDS_MISSED_MAX: u32 = 3;
const ROUND_GRACE: Duration = Duration::from_mins(1);

/// Threads are made when they are needed, and go when they are not. Of disks and name servers that hang each gateway can hold some,
/// which the others must not miss.
const BLOCKING_THREADS_MAX: usize = 16_384;

/// How long all tasks together may take to end.
const END_LIMIT: Duration = Duration::from_secs(8);

/// Open files for everything but the gateways, and for each of them: socket, lock, the lock of what is said beside it, status file and
/// the end of a socket.
const FILES_SPARE: u64 = 256;
const FILES_EACH: u64 = 5;

/// Watches these gateways until a signal ends it. `load` reads the settings again when a signal asks for it.
///
/// # Errors
/// The watch could not begin at all.
pub fn run(
    settings: Vec<Settings>,
    load: impl Fn() -> Result<Vec<Settings>, SettingsError> + Send + Sync + 'static,
    practice: Practice,
    output: Output,
) -> io::Result<()> {
    allow_files(settings.len());
    let log = Log::new(output, TimeZone::system())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()?;
    let result = LocalSet::new().block_on(&runtime, async {
        // Before anything else: one that comes early would end this process.
        let signals = Signals::listen()?;
        Watch::start(settings, practice, log.clone())?.serve(signals, Arc::new(load)).await;
        Ok(())
    });
    log.end();
    // What still hangs, hangs without us.
    runtime.shutdown_background();
    result
}

/// The limit of open files that a shell gives is too low for many gateways. Whatever cannot be raised shows where a file is opened.
fn allow_files(gateways: usize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = u64::try_from(gateways).unwrap_or(u64::MAX).saturating_mul(FILES_EACH).saturating_add(FILES_SPARE);
    let wanted = maximum.map_or(wanted, |limit| limit.min(wanted));
    if current.is_some_and(|limit| limit < wanted) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
}

/// Reads the settings.
type Load = dyn Fn() -> Loaded + Send + Sync;
type Loaded = Result<Vec<Settings>, SettingsError>;

/// A gateway that is watched.
struct Watched {
    settings: Arc<Settings>,
    standing: Rc<RefCell<Standing>>,
    stop: Rc<Notify>,
    task: JoinHandle<()>,
}

/// The watch as a whole.
struct Watch {
    gateways: BTreeMap<String, Watched>,
    containers: Rc<Containers>,
    surroundings: Surroundings,
    notifier: Notifier,
    is_ready: bool,
}

/// The signals that a watch hears.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What a signal asks for.
enum Heard {
    End(&'static str),
    Reload,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.terminate.recv() => Heard::End("SIGTERM"),
            _ = self.interrupt.recv() => Heard::End("SIGINT"),
            _ = self.hang_up.recv() => Heard::Reload,
        }
    }
}

impl Watch {
    fn start(settings: Vec<Settings>, practice: Practice, log: Log) -> io::Result<Self> {
        let zone = TimeZone::system();
        let teller = Teller::start()?;
        let surroundings = Surroundings {
            log,
            zone,
            watch: Stopwatch::start(),
            teller,
            practice,
            deliveries: Arc::new(Semaphore::new(DELIVERIES_MAX)),
            changed: Rc::new(Notify::new()),
        };
        let containers = Rc::new(Containers::default());
        tokio::task::spawn_local(Rc::clone(&containers).follow());
        let notifier = Notifier::from_environment();
        let mut watch = Self { gateways: BTreeMap::new(), containers, surroundings, notifier, is_ready: false };
        let text = match settings.as_slice() {
            [one] => format!("watching {} at {}", one.gateway, endpoint(one)),
            many => format!("watching {}", counted(many.len())),
        };
        watch.surroundings.log.general(&text);
        watch.take_on(settings);
        Ok(watch)
    }

    async fn serve(mut self, mut signals: Signals, load: Arc<Load>) {
        let mut loading: Option<JoinHandle<Loaded>> = None;
        let (watch, changed) = (self.surroundings.watch, Rc::clone(&self.surroundings.changed));
        let (mut watchdog, mut pulse) =
            (Every::new(self.notifier.watchdog_interval()), Every::new(Some(PULSE_INTERVAL)));
        let mut status_at = None;
        let mut told_at = Duration::ZERO;
        loop {
            tokio::select! {
                heard = signals.next() => match heard {
                    Heard::Reload => {
                        if loading.is_none() {
                            self.notifier.reloading();
                            let load = Arc::clone(&load);
                            loading = Some(tokio::task::spawn_blocking(move || load()));
                        }
                    }
                    Heard::End(name) => {
                        self.surroundings.log.general(&format!("{name}: ending"));
                        break;
                    }
                },
                loaded = gateway::ended(&mut loading) => self.reload(loaded.unwrap_or_else(|_| Ok(Vec::new()))),
                () = watchdog.next() => self.feed_watchdog(),
                () = pulse.next() => self.beat(),
                // Many changes at once are told as one.
                () = changed.notified() => {
                    status_at.get_or_insert((told_at + STATUS_INTERVAL).max(watch.elapsed()));
                }
                () = at(status_at, watch) => {
                    (status_at, told_at) = (None, watch.elapsed());
                    self.tell_status();
                }
            }
        }
        self.end().await;
    }

    /// Brings what is watched in line with these settings: what is the same goes on undisturbed.
    fn take_on(&mut self, settings: Vec<Settings>) {
        let mut before = std::mem::take(&mut self.gateways);
        let mut fresh = Vec::new();
        for settings in settings {
            let name = settings.gateway.to_string();
            match before.remove(&name) {
                Some(watched) if *watched.settings == settings => drop(self.gateways.insert(name, watched)),
                changed => {
                    before.extend(changed.map(|watched| (name.clone(), watched)));
                    fresh.push((name, Arc::new(settings)));
                }
            }
        }
        let mut ending: BTreeMap<String, JoinHandle<()>> =
            before.into_iter().map(|(name, watched)| (name, watched.stop())).collect();
        for (name, settings) in fresh {
            // A gateway whose settings changed keeps its socket, whose lock the old task gives back at its end.
            let watched = self.begin(settings, ending.remove(&name));
            self.gateways.insert(name, watched);
        }
        self.surroundings.log.names_gateways(self.gateways.len() > 1);
    }

    fn begin(&self, settings: Arc<Settings>, before: Option<JoinHandle<()>>) -> Watched {
        let standing =
            Rc::new(RefCell::new(Standing { round_at: self.surroundings.watch.elapsed(), ..Standing::default() }));
        let stop = Rc::new(Notify::new());
        let said = asked_for(&settings).map(|selector| self.containers.subscribe(&selector));
        let task = gateway::watch(
            Arc::clone(&settings),
            said,
            self.surroundings.clone(),
            Rc::clone(&standing),
            Rc::clone(&stop),
            before,
        );
        Watched { settings, standing, stop, task: tokio::task::spawn_local(task) }
    }

    /// The settings were read again. If they are wrong, everything stays as it is.
    fn reload(&mut self, loaded: Loaded) {
        match loaded {
            Ok(settings) if settings.is_empty() => {
                self.surroundings.log.general("the settings could not be read again");
            }
            Ok(settings) => {
                let text = format!("settings read again: watching {}", counted(settings.len()));
                allow_files(settings.len());
                self.take_on(settings);
                self.surroundings.log.general(&text);
            }
            Err(faults) => {
                self.surroundings.log.general("the settings are wrong; those before stay in force");
                for fault in faults.to_string().lines() {
                    self.surroundings.log.general(fault);
                }
            }
        }
        self.tell_status();
    }

    fn tell_status(&mut self) {
        let was_ready = self.is_ready;
        self.is_ready |= self.gateways.values().all(|watched| watched.standing.borrow().has_begun);
        if self.is_ready && !was_ready {
            self.beat();
        }
        if self.is_ready {
            // Again each time, since a full queue loses it, and since it ends a reload.
            self.notifier.ready();
        }
        self.notifier.status(&self.summary());
    }

    /// `2 gateways: 1 ready; lab: not_authenticated (api_silent)`.
    fn summary(&self) -> String {
        let now = self.surroundings.watch.elapsed();
        let mut ready = 0;
        let mut others = Vec::new();
        for (name, watched) in &self.gateways {
            let standing = watched.standing.borrow();
            match (standing.state, standing.file_fault(now)) {
                (Some(state), None) if state.status == Status::Ready => ready += 1,
                (_, Some(fault)) => others.push(format!("{name}: {fault}")),
                (Some(state), None) => others.push(format!("{name}: {state}")),
                (None, None) => others.push(format!("{name}: no report yet")),
            }
        }
        let mut text = format!("{}: {ready} ready", counted(self.gateways.len()));
        for other in others {
            text.push_str("; ");
            text.push_str(&other);
        }
        text
    }

    /// The gateway whose task no longer comes round, if there is one.
    fn hanging(&self) -> Option<&Watched> {
        let now = self.surroundings.watch.elapsed();
        self.gateways.values().find(|watched| {
            let settings = &watched.settings;
            let limit = settings.heartbeat.saturating_mul(ROUNDS_MISSED_MAX) + settings.timeout + ROUND_GRACE;
            now.saturating_sub(watched.standing.borrow().round_at) > limit
        })
    }

    /// Only a watch whose every task comes round lives.
    fn feed_watchdog(&self) {
        if self.hanging().is_none() {
            self.notifier.alive();
        }
    }

    /// Tells each dead man's switch that the watch lives, once for all gateways that share it.
    fn beat(&self) {
        let hanging = self.hanging().map(|watched| Arc::clone(&watched.settings));
        if let Some(settings) = &hanging {
            self.surroundings.log.warning(
                settings,
                "its task hangs; neither systemd nor a dead man's switch is told that the watch lives",
            );
        }
        // Until everything has begun there is nothing to tell of.
        if !self.is_ready || hanging.is_some() {
            return;
        }
        let now = self.surroundings.watch.elapsed();
        let mut beats: Vec<(&Arc<Settings>, Beat)> = Vec::new();
        for watched in self.gateways.values().filter(|watched| watched.settings.alerts.ping_url.is_some()) {
            let standing = watched.standing.borrow();
            let beat = Beat::of(standing.state, standing.file_fault(now), standing.is_untold(now));
            let url = &watched.settings.alerts.ping_url;
            match beats.iter_mut().find(|(known, _)| known.alerts.ping_url == *url) {
                Some((_, known)) => known.join(beat),
                None => beats.push((&watched.settings, beat)),
            }
        }
        for (settings, beat) in beats {
            let (settings, log) = (Arc::clone(settings), self.surroundings.log.clone());
            // It reads files, too.
            tokio::task::spawn_blocking(move || {
                if let Err(fault) = pulse::beat(&settings, &beat) {
                    log.warning(&settings, &format!("the dead man's switch was not reached: {fault}"));
                }
            });
        }
    }

    async fn end(self) {
        self.notifier.stopping();
        let tasks: Vec<JoinHandle<()>> = self.gateways.into_values().map(Watched::stop).collect();
        let _ = tokio::time::timeout(END_LIMIT, join_all(tasks)).await;
    }
}

impl Watched {
    fn stop(self) -> JoinHandle<()> {
        self.stop.notify_one();
        self.task
    }
}

/// Something that happens again and again, or never.
struct Every(Option<Interval>);

impl Every {
    fn new(interval: Option<Duration>) -> Self {
        Self(interval.map(|interval| {
            let mut interval = tokio::time::interval(interval);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        }))
    }

    async fn next(&mut self) {
        match &mut self.0 {
            Some(interval) => drop(interval.tick().await),
            None => std::future::pending().await,
        }
    }
}

/// This moment, counted from the beginning of the watch; never, if there is none.
async fn at(moment: Option<Duration>, watch: Stopwatch) {
    match moment {
        Some(moment) => tokio::time::sleep(moment.saturating_sub(watch.elapsed())).await,
        None => std::future::pending().await,
    }
}

fn counted(gateways: usize) -> String {
    if gateways == 1 { "1 gateway".into() } else { format!("{gateways} gateways") }
}
