//! The task of one watched gateway: owns its lock, its socket and its status file, and does what the machine says. Whatever may hang,
//! a disk, an engine, a mail server, is waited for beside the session, so that nothing but the machine's verdict reaches the others.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, pending};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ibga_core::clock::{self, Stopwatch};
use ibga_core::forecast::Forecast;
use ibga_core::recovery::{Past, Practice};
use ibga_core::report::Report;
use ibga_core::status_file;
use ibga_core::transition::State;
use ibga_tws::driver::Line;
use jiff::tz::TimeZone;
use tokio::sync::{Notify, Semaphore, oneshot, watch as latest};
use tokio::task::JoinHandle;

use super::act::{self, Outcome};
use super::containers::Said;
use super::log::Log;
use super::machine::{Effect, Machine, Now};
use super::teller::{self, Delivered, Kept, Teller};
use crate::check::{self, trust, watched};
use crate::container::{Engine, LogSeen};
use crate::docker::Container;
use crate::forecast::forecast;
use crate::lock::{GatewayLock, LockError, Watching};
use crate::output::printable;
use crate::settings::Settings;

/// How long a gateway that another process holds is left alone before it is tried again.
const STAND_BY: Duration = Duration::from_secs(5);
/// How long at first: a probe is over soon.
const STAND_BY_FIRST: Duration = Duration::from_millis(250);

/// How long the report of whoever looked before is waited for; a disk that hangs must not keep the gateway from being watched.
const PREVIOUS_LIMIT: Duration = Duration::from_secs(2);

/// A report that has not reached the disk for so long, or the store, is told of.
const HANGS_AFTER: Duration = Duration::from_secs(30);

/// How often it is looked whether the lock is still in its place.
const LOCK_INTERVAL: Duration = Duration::from_secs(30);

/// The most reports that wait for the store, each of them a change: while many gateways change at once, it is behind.
const UNTOLD_MAX: usize = 2;

/// How long what is under way may still take once the watch ends.
const END_LIMIT: Duration = Duration::from_secs(5);

/// What a gateway's task needs of its surroundings.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) zone: TimeZone,
    /// Counts from the beginning of the watch.
    pub(super) watch: Stopwatch,
    pub(super) teller: Teller,
    /// Whether recovery is done, or only what would be done told.
    pub(super) practice: Practice,
    /// How many gateways may send at once.
    pub(super) deliveries: Arc<Semaphore>,
    pub(super) log: Log,
    /// Something about a gateway has changed.
    pub(super) changed: Rc<Notify>,
}

/// How a gateway stands, for whoever watches over the watch.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// When its task last came round, counted from the beginning of the watch.
    pub(super) round_at: Duration,
    /// The newest state; none before the first look has ended, or while another process holds the gateway.
    pub(super) state: Option<State>,
    /// Why the status file does not hold it.
    pub(super) write_fault: Option<String>,
    /// Whether people could not be told.
    pub(super) is_untold: bool,
    /// Whether the first report is written, or another process writes them, or the disk hangs.
    pub(super) has_begun: bool,
    /// Since when a report has been on its way to the disk, and one to the store.
    pub(super) writing_since: Option<Duration>,
    pub(super) telling_since: Option<Duration>,
}

impl Standing {
    /// What keeps the status file from holding the newest report.
    pub(super) fn file_fault(&self, now: Duration) -> Option<String> {
        let hangs =
            hangs(self.writing_since, now).then(|| "the status file cannot be written: the disk hangs".to_owned());
        self.write_fault.clone().or(hangs)
    }

    /// Whether people may not have been told.
    pub(super) fn is_untold(&self, now: Duration) -> bool {
        self.is_untold || hangs(self.telling_since, now)
    }
}

fn hangs(since: Option<Duration>, now: Duration) -> bool {
    since.is_some_and(|since| now.saturating_sub(since) > HANGS_AFTER)
}

/// Watches one gateway until it is told to stop, then leaves it in good order.
pub(super) async fn watch(
    settings: Arc<Settings>,
    containers: Option<latest::Receiver<Said>>,
    at: Surroundings,
    standing: Rc<RefCell<Standing>>,
    stop: Rc<Notify>,
    before: Option<JoinHandle<()>>,
) {
    if let Some(before) = before {
        // It gives the lock back.
        let _ = before.await;
    }
    while watch_once(&settings, containers.clone(), &at, &standing, &stop).await == Ended::LockLost {}
}

/// Why a task came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// It was told to stop.
    Stopped,
    /// Somebody removed the lock, so that another process may begin.
    LockLost,
}

/// Watches it for as long as it holds the lock.
async fn watch_once(
    settings: &Arc<Settings>,
    containers: Option<latest::Receiver<Said>>,
    at: &Surroundings,
    standing: &Rc<RefCell<Standing>>,
    stop: &Notify,
) -> Ended {
    let Some(lock) = until(stop, hold(settings, at, standing)).await else { return Ended::Stopped };
    let Some(previous) = until(stop, report_of_before(settings, at)).await else { return Ended::Stopped };
    let machine = Machine::new(Arc::clone(settings), at.zone.clone(), previous, at.practice);
    let mut task = Task {
        line: Line::new(settings.host.as_str(), settings.port),
        machine,
        settings: Arc::clone(settings),
        at: at.clone(),
        standing: Rc::clone(standing),
        lock: Arc::new(lock),
        lock_seen_at: at.watch.elapsed(),
        writing: None,
        unwritten: None,
        reading: None,
        telling: None,
        untold: VecDeque::new(),
        forecasting: None,
        recalling: None,
        recovering: None,
        cannot_recover: None,
        delivering: None,
    };
    let ended = task.run(containers, stop).await;
    task.end().await;
    ended
}

/// Runs the work unless it is told to stop before.
async fn until<T>(stop: &Notify, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop.notified() => None,
        result = work => Some(result),
    }
}

/// Takes the gateway's lock, however long that takes: whoever holds it may end.
async fn hold(settings: &Arc<Settings>, at: &Surroundings, standing: &RefCell<Standing>) -> GatewayLock {
    let mut told = None;
    let mut pause = STAND_BY_FIRST;
    loop {
        standing.borrow_mut().round_at = at.watch.elapsed();
        let settings_here = Arc::clone(settings);
        let taken = tokio::task::spawn_blocking(move || {
            let watching = Watching {
                pid: std::process::id(),
                since: clock::now(),
                purpose: watched::purpose(&settings_here),
                status_file: absolute(&settings_here),
            };
            let (host, port) = (settings_here.host.as_str(), settings_here.port);
            GatewayLock::hold(host, port, &watching, &trust(&settings_here))
        });
        let why = match taken.await {
            Ok(Ok(lock)) => return lock,
            Ok(Err(LockError::Watched(other))) => {
                format!("`ibga watch` (process {}) holds it; standing by to take over when that ends", other.pid)
            }
            Ok(Err(fault)) => fault.to_string(),
            Err(fault) => fault.to_string(),
        };
        if told.as_ref() != Some(&why) {
            at.log.line(settings, &why);
            told = Some(why);
        }
        standing.borrow_mut().has_begun = true;
        at.changed.notify_one();
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(STAND_BY);
    }
}

/// The report of whoever looked before, if it can be believed.
async fn report_of_before(settings: &Arc<Settings>, at: &Surroundings) -> Option<Report> {
    let (settings, zone) = (Arc::clone(settings), at.zone.clone());
    let read = tokio::task::spawn_blocking(move || status_file::read(&settings.status_file, &trust(&settings), &zone));
    tokio::time::timeout(PREVIOUS_LIMIT, read).await.ok()?.ok()?.ok()
}

/// Where others find the status file, wherever they are.
fn absolute(settings: &Settings) -> PathBuf {
    std::path::absolute(&settings.status_file).unwrap_or_else(|_| settings.status_file.clone())
}

struct Task {
    settings: Arc<Settings>,
    at: Surroundings,
    line: Line,
    machine: Machine,
    standing: Rc<RefCell<Standing>>,
    /// Held as long as anything of this gateway is written.
    lock: Arc<GatewayLock>,
    lock_seen_at: Duration,
    /// A report on its way to the disk.
    writing: Option<JoinHandle<Written>>,
    /// The newest one that waits for it.
    unwritten: Option<Box<Report>>,
    reading: Option<JoinHandle<(Container, LogSeen)>>,
    telling: Option<oneshot::Receiver<Kept>>,
    /// What the store has yet to take in, in its order.
    untold: VecDeque<(Box<Report>, Option<Box<Report>>)>,
    forecasting: Option<JoinHandle<Option<Forecast>>>,
    recalling: Option<JoinHandle<Result<Past, String>>>,
    recovering: Option<JoinHandle<Outcome>>,
    /// Why nothing is done to recover the gateway.
    cannot_recover: Option<String>,
    delivering: Option<JoinHandle<Delivered>>,
}

/// What writing a report came to.
#[derive(Default)]
struct Written {
    fault: Option<String>,
    has_lost_lock: bool,
}

impl Task {
    async fn run(&mut self, mut containers: Option<latest::Receiver<Said>>, stop: &Notify) -> Ended {
        loop {
            let until = self.machine.next_moment().map(|at| at.saturating_sub(self.at.watch.elapsed()));
            let effects = tokio::select! {
                biased;
                () = stop.notified() => return Ended::Stopped,
                said = next_of(&mut containers) => self.machine.container(&said, self.now()),
                written = ended(&mut self.writing) => {
                    let written = written.unwrap_or_else(|fault| Written { fault: Some(fault.to_string()), ..Written::default() });
                    let lost = written.has_lost_lock;
                    self.written(written.fault);
                    if lost {
                        self.at.log.warning(&self.settings, "its lock file was removed; taking it anew");
                        return Ended::LockLost;
                    }
                    Vec::new()
                }
                log = ended(&mut self.reading) => match log {
                    Ok((container, log)) => self.machine.log(&container, log, self.now()),
                    Err(_) => Vec::new(),
                },
                ahead = ended(&mut self.forecasting) => self.machine.forecast(ahead.unwrap_or_default(), self.now()),
                past = ended(&mut self.recalling) => {
                    let past = past.unwrap_or_else(|fault| Err(fault.to_string()));
                    self.recalled(past)
                }
                outcome = ended(&mut self.recovering) => {
                    self.recovered(outcome.unwrap_or_else(|fault| Outcome::NotBegun(fault.to_string())));
                    Vec::new()
                }
                kept = answer(&mut self.telling) => {
                    self.kept(kept);
                    Vec::new()
                }
                delivered = ended(&mut self.delivering) => {
                    self.delivered(&delivered.unwrap_or_default());
                    Vec::new()
                }
                () = after(until) => self.machine.tick(self.now()),
                // Last, so that a peer that never stops sending holds up nothing of its own gateway.
                news = self.line.run(&mut self.machine.session, self.at.watch) => {
                    self.standing.borrow_mut().round_at = self.at.watch.elapsed();
                    self.machine.news(news, self.now())
                }
            };
            for effect in effects {
                self.perform(effect);
            }
        }
    }

    fn now(&self) -> Now {
        Now { wall: clock::now(), running: self.at.watch.elapsed() }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Write(report) => {
                {
                    let mut standing = self.standing.borrow_mut();
                    standing.state = Some(State::of(&report));
                    // A disk that hangs already must not keep the others from being ready.
                    if self.unwritten.is_some() && !standing.has_begun {
                        standing.has_begun = true;
                        self.at.changed.notify_one();
                    }
                }
                self.unwritten = Some(report);
                self.write_next();
            }
            Effect::Announce(change) => {
                let from = change.from.map_or_else(String::new, |from| format!("{from} -> "));
                let error = self.machine.report().and_then(|report| report.error.as_deref());
                let error = error.map(|error| format!(": {}", printable(error))).unwrap_or_default();
                self.at.log.line(&self.settings, &format!("{from}{}{error}", change.to));
                self.at.changed.notify_one();
            }
            Effect::ReadLog(container) => {
                if self.reading.is_none() {
                    self.reading = Some(tokio::spawn(read_log(container, self.settings.timeout)));
                }
            }
            Effect::Tell { report, previous } => {
                // Each change is history; of what only has to be looked at again the newest counts.
                let is_same = self.untold.back().is_some_and(|(last, _)| State::of(last) == State::of(&report));
                if is_same || self.untold.len() >= UNTOLD_MAX {
                    self.untold.pop_back();
                }
                self.untold.push_back((report, previous));
                self.tell_next();
            }
            Effect::Forecast => {
                let settings = Arc::clone(&self.settings);
                self.forecasting = Some(tokio::task::spawn_blocking(move || forecast(&settings, None, clock::now())));
            }
            Effect::Recall => {
                let recall = act::recall(Arc::clone(&self.settings), self.at.practice, self.at.teller.clone());
                self.recalling = Some(tokio::spawn(recall));
            }
            Effect::Recover(order) => {
                let what = format!("recovery: {}", order.plan.recipe);
                self.at.log.line(&self.settings, &what);
                let (settings, zone, teller) = self.own();
                self.recovering = Some(tokio::spawn(act::recover(settings, Arc::new(*order), zone, teller)));
            }
            Effect::GiveUp(order) => {
                let (settings, zone, teller) = self.own();
                self.recovering = Some(tokio::spawn(act::leave(settings, Arc::new(*order), zone, teller)));
            }
            Effect::LeftAlone(why) => self.at.log.line(&self.settings, &format!("recovery: left alone: {why}")),
        }
    }

    /// One report at a time, in their order.
    fn tell_next(&mut self) {
        if self.telling.is_none()
            && let Some((report, previous)) = self.untold.pop_front()
        {
            let (settings, zone) = (Arc::clone(&self.settings), self.at.zone.clone());
            let keep = move || teller::keep(&settings, &zone, &report, previous.as_deref());
            self.telling = self.at.teller.run(keep);
            // Where too much waits already, the next look at it is in a minute.
            self.standing.borrow_mut().telling_since = Some(self.at.watch.elapsed());
        }
    }

    fn own(&self) -> (Arc<Settings>, TimeZone, Teller) {
        (Arc::clone(&self.settings), self.at.zone.clone(), self.at.teller.clone())
    }

    fn recalled(&mut self, past: Result<Past, String>) -> Vec<Effect> {
        let fault = past.as_ref().err().cloned();
        self.note_recovery(fault);
        self.machine.recalled(past.ok(), self.now())
    }

    fn recovered(&mut self, outcome: Outcome) {
        self.machine.recovered(&outcome, self.now());
        match outcome {
            Outcome::Done { text, kept } => {
                self.at.log.line(&self.settings, &format!("recovery: {text}"));
                self.deliver(&kept);
            }
            Outcome::UsedUp => {}
            Outcome::NotBegun(fault) => self.note_recovery(Some(fault)),
        }
    }

    /// Says once that nothing can be done.
    fn note_recovery(&mut self, fault: Option<String>) {
        if let Some(fault) = fault.as_ref().filter(|fault| self.cannot_recover.as_ref() != Some(fault)) {
            self.at.log.warning(
                &self.settings,
                &format!("nothing is done to recover the gateway, since that could not be noted: {fault}"),
            );
        }
        self.cannot_recover = fault;
    }

    /// One report at a time; of those that come meanwhile the newest counts.
    fn write_next(&mut self) {
        if self.writing.is_none()
            && let Some(report) = self.unwritten.take()
        {
            let (settings, zone) = (Arc::clone(&self.settings), self.at.zone.clone());
            self.standing.borrow_mut().writing_since = Some(self.at.watch.elapsed());
            let lock = self.lock_to_look_at();
            self.writing = Some(tokio::task::spawn_blocking(move || {
                let fault = check::write(&settings, &report, &zone).err().map(|fault| fault.to_string());
                Written { fault, has_lost_lock: lock.is_some_and(|lock| !lock.refresh()) }
            }));
        }
    }

    /// The lock, now and then.
    fn lock_to_look_at(&mut self) -> Option<Arc<GatewayLock>> {
        let now = self.at.watch.elapsed();
        let is_due = now.saturating_sub(self.lock_seen_at) >= LOCK_INTERVAL;
        is_due.then(|| {
            self.lock_seen_at = now;
            Arc::clone(&self.lock)
        })
    }

    fn written(&mut self, fault: Option<String>) {
        {
            let mut standing = self.standing.borrow_mut();
            standing.writing_since = None;
            if standing.write_fault != fault {
                let text = fault.as_deref().unwrap_or("the status file can be written again");
                self.at.log.line(&self.settings, text);
                standing.write_fault = fault;
                self.at.changed.notify_one();
            }
            if !standing.has_begun {
                standing.has_begun = true;
                self.at.changed.notify_one();
            }
        }
        self.write_next();
    }

    fn kept(&mut self, kept: Option<Kept>) {
        // Without an answer the store's thread is gone, which shows from then on.
        let Some(kept) = kept else { return };
        self.standing.borrow_mut().telling_since = None;
        self.machine.told(kept.is_settled, self.now());
        self.deliver(&kept);
        self.tell_next();
    }

    /// Sends what waits, unless that is under way.
    fn deliver(&mut self, kept: &Kept) {
        for warning in &kept.warnings {
            self.at.log.warning(&self.settings, warning);
        }
        if kept.waits && self.delivering.is_none() {
            let (settings, zone) = (Arc::clone(&self.settings), self.at.zone.clone());
            let turns = Arc::clone(&self.at.deliveries);
            self.delivering = Some(tokio::spawn(async move {
                // It is never closed.
                let _turn = turns.acquire_owned().await.ok();
                let sent = tokio::task::spawn_blocking(move || teller::deliver(&settings, &zone));
                sent.await.unwrap_or_default()
            }));
        }
    }

    fn delivered(&mut self, delivered: &Delivered) {
        for text in &delivered.sent {
            self.at.log.detail(&self.settings, text);
        }
        for unsent in &delivered.unsent {
            self.at.log.warning(&self.settings, unsent);
        }
        for warning in &delivered.warnings {
            self.at.log.warning(&self.settings, warning);
        }
        self.standing.borrow_mut().is_untold = delivered.waits;
    }

    /// Closes the session, writes the newest report, and lets acts and messages that are under way come to their end.
    async fn end(mut self) {
        if let Some(writing) = self.writing.take() {
            let _ = tokio::time::timeout(END_LIMIT, writing).await;
            self.write_next();
        }
        // The lock is kept to the end.
        let Self { line, mut writing, mut recovering, mut delivering, lock: _lock, .. } = self;
        let rest = async {
            tokio::join!(line.close(), finished(&mut writing), finished(&mut recovering), finished(&mut delivering))
        };
        let _ = tokio::time::timeout(END_LIMIT, rest).await;
    }
}

/// The end of what is under way, if anything is.
async fn finished<T>(work: &mut Option<JoinHandle<T>>) {
    if let Some(work) = work {
        let _ = work.await;
    }
}

async fn read_log(container: Container, timeout: Duration) -> (Container, LogSeen) {
    let log = Engine::from_environment(timeout).log(&container).await;
    (container, log)
}

/// What the engine says next; never, if it is not asked.
async fn next_of(
    containers: &mut Option<latest::Receiver<Said>>,
) -> Rc<Result<crate::docker::Answer, crate::docker::EngineError>> {
    let Some(receiver) = containers else { return pending().await };
    loop {
        if receiver.changed().await.is_err() {
            return pending().await;
        }
        if let Some(said) = receiver.borrow_and_update().clone() {
            return said;
        }
    }
}

/// The end of what is under way; never, if nothing is.
pub(super) async fn ended<T>(work: &mut Option<JoinHandle<T>>) -> Result<T, tokio::task::JoinError> {
    let Some(running) = work else { return pending().await };
    let result = running.await;
    *work = None;
    result
}

async fn answer<T>(waiting: &mut Option<oneshot::Receiver<T>>) -> Option<T> {
    let Some(receiver) = waiting else { return pending().await };
    let result = receiver.await.ok();
    *waiting = None;
    result
}

async fn after(span: Option<Duration>) {
    match span {
        Some(span) => tokio::time::sleep(span).await,
        None => pending().await,
    }
}
