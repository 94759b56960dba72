//! One check as a whole: take the gateway's lock, look at container and socket, judge, write the status file. The order is the
//! point: the file is written before anything else is done with the verdict, and waits for nothing but its own disk.

pub(crate) mod watched;

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use ibga_core::account::AccountId;
use ibga_core::cause::Cause;
use ibga_core::clock::{self, Stopwatch};
use ibga_core::forecast::Forecast;
use ibga_core::observation::{ApiSeen, ContainerSeen, ContainerState, Observation, Stage};
use ibga_core::remedy;
use ibga_core::report::{self, Report, Writer};
use ibga_core::reset_windows::DailyReset;
use ibga_core::secure_file::{self, ReadError, Trust};
use ibga_core::status_file::{self, StatusFileError, WriteError};
use ibga_core::supervision::Terms;
use ibga_core::transition::{Transition, transition};
use ibga_core::verdict::{self, Expectations, ReadOnlyPolicy};
use ibga_tws::ServerVersion;
use ibga_tws::driver;
use ibga_tws::probe::ProbePlan;
use ibga_tws::request::Contract;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::alert::post::{Post, Reporter};
use crate::container::{ContainerAnswer, ENGINE_LIMIT, Engine, asked_for, is_closed, was_seen};
use crate::docker::Selector;
use crate::forecast::forecast;
use crate::lock::{GatewayLock, LockError, Purpose};
use crate::settings::{AlertSettings, BrokerProbe, ProbeContract, Settings};

/// What a check came to.
pub struct Checked<'a> {
    /// The report, which the status file now holds.
    pub report: Report,
    /// What changed from the report before.
    pub transition: Option<Transition>,
    /// Who looked.
    pub by: Observer,
    /// Why the status file does not hold the report.
    pub write_fault: Option<WriteError>,
    /// What people have to be told, recorded but not on its way yet; none if there is nothing.
    pub post: Option<Post<'a>>,
}

/// Who looked at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observer {
    /// This process.
    Myself,
    /// Another one, which had begun before; its result was taken over.
    Another,
    /// A watch, which holds the gateway.
    Watch,
}

/// What the settings say a gateway has to be.
pub fn expectations(settings: &Settings) -> Expectations {
    Expectations {
        accounts: settings.expect_accounts.clone(),
        mode: settings.expect_mode,
        read_only: if settings.allow_read_only { ReadOnlyPolicy::Warn } else { ReadOnlyPolicy::NotReady },
        required_farms: settings.required_farms.clone(),
        clock_skew_max: settings.max_clock_skew,
    }
}

/// Whose files are believed.
pub fn trust(settings: &Settings) -> Trust {
    Trust { owners: settings.trusted_owners.clone() }
}

/// `127.0.0.1:4000`, `[::1]:4000`.
pub fn endpoint(settings: &Settings) -> String {
    let host = settings.host.as_str();
    if host.contains(':') { format!("[{host}]:{}", settings.port) } else { format!("{host}:{}", settings.port) }
}

/// Looks at the gateway, writes the status file, and records what people have to be told. If another process is at it already,
/// waits and takes over its result. Whatever keeps this one from looking is a report, too.
///
/// Other processes at the store of alerts are waited for no longer than `store_limit`.
pub fn check<'a>(settings: &'a Settings, zone: &'a TimeZone, store_limit: Duration) -> Checked<'a> {
    let began = clock::now();
    let lock = acquire(settings);
    if let Err(LockError::Watched(watching)) = &lock {
        return watched::taken_over(settings, zone, watching);
    }
    let read = status_file::read(&settings.status_file, &trust(settings), zone);
    if let Err(fault @ LockError::Held { .. }) = &lock
        && is_kept_by_another(&read, settings, began)
    {
        let report = judge(settings, &nothing_seen(began, fault.to_string()), None, zone);
        return Checked { report, transition: None, by: Observer::Myself, write_fault: None, post: None };
    }
    let previous = read.ok();
    let waited_for = lock.as_ref().map_or(&[][..], |lock| &lock.waited_for);
    let taken_over = |report: &&Report| {
        report.timestamp >= began && is_about(report, settings) && is_of(report, settings, waited_for)
    };
    if let Some(report) = previous.as_ref().filter(taken_over) {
        let mut report = report.clone();
        // Whoever wrote it may tell other people, or may have been killed since. Taking it in twice makes nothing new.
        let mut post = Post::of_report(settings, zone, &report, previous.as_ref(), store_limit, Reporter::Check);
        warn(&mut report, post.as_mut());
        return Checked { report, transition: None, by: Observer::Another, write_fault: None, post };
    }
    let seen = match &lock {
        Ok(_) => observe_blocking(settings, previous.as_ref()),
        Err(fault) => nothing_seen(began, fault.to_string()),
    };
    let mut report = judge(settings, &seen, previous.as_ref(), zone);
    let transition = transition(previous.as_ref(), &report);
    let mut write_fault = write(settings, &report, zone).err();
    // The gateway is still this process's, so that reports are taken in in their order.
    let mut post = Post::of_report(settings, zone, &report, previous.as_ref(), store_limit, Reporter::Check);
    if warn(&mut report, post.as_mut()) {
        let again = status_file::write(&settings.status_file, &report.to_json(zone), settings.status_file_mode);
        // The first file is as good but for the warnings, and alerts must not cost anybody the verdict.
        write_fault = write_fault.and(again.err());
    }
    Checked { report, transition, by: Observer::Myself, write_fault, post }
}

/// Whether the status file is none of a process that has not got the lock: its holder wrote it while that was waited for, or it is
/// another user's whom this one does not believe. It would not be for the better to put "could not look" in its place, and where this
/// user is root, its owner could not write it any more.
fn is_kept_by_another(read: &Result<Report, StatusFileError>, settings: &Settings, began: Timestamp) -> bool {
    match read {
        Ok(report) => is_about(report, settings) && report.timestamp >= began,
        Err(fault) => is_disbelieved(fault),
    }
}

/// Whether the file is that of a user who is not believed.
fn is_disbelieved(fault: &StatusFileError) -> bool {
    matches!(fault, StatusFileError::File(ReadError::ForeignOwner(_)))
}

/// Moves the warnings of the alerts into the report. Whether there are any.
fn warn(report: &mut Report, post: Option<&mut Post<'_>>) -> bool {
    let (Some(more), Some(post)) = (report.more.as_mut(), post) else { return false };
    let warnings = post.take_warnings();
    let is_news = !warnings.is_empty();
    more.warnings.extend(warnings);
    is_news
}

pub(crate) fn write(settings: &Settings, report: &Report, zone: &TimeZone) -> Result<(), WriteError> {
    let written = status_file::write(&settings.status_file, &report.to_json(zone), settings.status_file_mode);
    if written.is_err() {
        // An old report that says ready must not outlive a new one. Removing it needs no space.
        let _ = std::fs::remove_file(&settings.status_file);
    }
    written
}

/// Looks at the gateway and judges as [`check`] does, and leaves no trace: the status file stays as it is.
pub fn look(settings: &Settings, zone: &TimeZone) -> Report {
    let began = clock::now();
    let lock = acquire(settings);
    if let Err(LockError::Watched(watching)) = &lock {
        return watched::report(settings, zone, watching);
    }
    let previous = status_file::read(&settings.status_file, &trust(settings), zone).ok();
    let seen = match &lock {
        Ok(_) => observe_blocking(settings, previous.as_ref()),
        Err(fault) => nothing_seen(began, fault.to_string()),
    };
    judge(settings, &seen, previous.as_ref(), zone)
}

fn acquire(settings: &Settings) -> Result<GatewayLock, LockError> {
    let limit = settings.timeout + ENGINE_LIMIT;
    let purpose = purpose(settings, &writer());
    GatewayLock::acquire(settings.host.as_str(), settings.port, purpose, &trust(settings), limit)
}

fn nothing_seen(started_at: jiff::Timestamp, fault: String) -> Observation {
    let container = ContainerSeen::NotChecked;
    Observation { started_at, container, api: ApiSeen::default(), hint: None, fault: Some(fault) }
}

/// Two checks with the same purpose come to the same report. The writer belongs to it: a lock that its holder cannot write still
/// has the purpose of another process, whose report this is not.
fn purpose(settings: &Settings, writer: &Writer) -> Purpose {
    let mut same = settings.clone();
    // Who is told, what is done then, and what becomes of the agent, changes nothing of what is seen.
    same.alerts = AlertSettings::default();
    same.recovery = None;
    same.supervision.terms = Terms { stop_on: Vec::new(), tolerance: Duration::ZERO };
    same.supervision.grace = Duration::ZERO;
    same.halt_file.clear();
    // Accounts print masked, but they are what matters here.
    let accounts: Vec<&str> = settings.expect_accounts.iter().map(AccountId::reveal).collect();
    Purpose::of(&format!("{same:?} {accounts:?} {writer:?}"))
}

/// Whether one of these probes wrote the report, with the purpose of these settings.
fn is_of(report: &Report, settings: &Settings, probes: &[Purpose]) -> bool {
    report.more.as_ref().is_some_and(|more| probes.contains(&purpose(settings, &more.writer)))
}

pub(crate) fn is_about(report: &Report, settings: &Settings) -> bool {
    report
        .more
        .as_ref()
        .is_some_and(|more| more.endpoint == endpoint(settings) && more.gateway == settings.gateway.as_str())
}

fn judge(settings: &Settings, seen: &Observation, previous: Option<&Report>, zone: &TimeZone) -> Report {
    let now = clock::now();
    let (resets, forecast) = (|| settings.resets(), || forecast(settings, previous, now));
    let told = previous.and_then(|report| report.more.as_ref()).and_then(|more| more.forecast.as_ref());
    let asks_at_restart = told.and_then(Forecast::asks_at_restart);
    judge_at(settings, seen, previous, &Moment { now, zone, resets: &resets, forecast: &forecast, asks_at_restart })
}

/// When and where an observation is judged.
pub(crate) struct Moment<'a> {
    /// When.
    pub(crate) now: Timestamp,
    /// The zone in which times are told.
    pub(crate) zone: &'a TimeZone,
    /// When IBKR resets servers; asked for only where something is wrong, which these explain.
    pub(crate) resets: &'a dyn Fn() -> Vec<DailyReset>,
    /// What is ahead, as far as it is known.
    pub(crate) forecast: &'a dyn Fn() -> Option<Forecast>,
    /// The weekly end because of which the next restart asked for an approval when that was last told.
    pub(crate) asks_at_restart: Option<Timestamp>,
}

/// Judges an observation and makes the report.
pub(crate) fn judge_at(
    settings: &Settings,
    seen: &Observation,
    previous: Option<&Report>,
    moment: &Moment<'_>,
) -> Report {
    let verdict = verdict::judge(seen, &expectations(settings));
    let container = match &seen.container {
        ContainerSeen::Found { name, .. } => Some(name.as_str()),
        _ => None,
    };
    let remedy = remedy_for(settings, verdict.cause, container, moment);
    Report::new(
        &verdict,
        seen,
        report::Circumstances {
            gateway: settings.gateway.as_str(),
            endpoint: endpoint(settings),
            now: moment.now,
            valid_for: settings.max_status_age,
            previous,
            remedy,
            hours_of: settings.probe_contract.as_ref().map(ProbeContract::hours_question),
            forecast: (moment.forecast)(),
            asks_at_restart: moment.asks_at_restart,
            writer: writer(),
        },
    )
}

/// What to do about a cause.
fn remedy_for(settings: &Settings, cause: Cause, container: Option<&str>, moment: &Moment<'_>) -> Option<String> {
    let ids = settings.client_id.range();
    let resets = if cause == Cause::Ready { Vec::new() } else { (moment.resets)() };
    let at = remedy::Circumstances {
        host: settings.host.as_str(),
        port: settings.port,
        container,
        client_ids: (*ids.start(), *ids.end()),
        now: moment.now,
        zone: moment.zone,
        resets: &resets,
    };
    remedy::remedy(cause, &at)
}

/// This process, which stays the same.
pub(crate) fn writer() -> Writer {
    static WRITER: OnceLock<Writer> = OnceLock::new();
    WRITER
        .get_or_init(|| {
            let boot_id = secure_file::read(Path::new("/proc/sys/kernel/random/boot_id"), &Trust::default());
            Writer {
                program: "ibga".into(),
                version: env!("CARGO_PKG_VERSION").into(),
                pid: std::process::id(),
                host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
                boot_id: boot_id.ok().map(|id| id.trim().to_owned()),
            }
        })
        .clone()
}

fn observe_blocking(settings: &Settings, previous: Option<&Report>) -> Observation {
    let started_at = clock::now();
    block_on(observe(settings, previous))
        .unwrap_or_else(|fault| nothing_seen(started_at, format!("cannot start: {fault}")))
}

/// Runs to its end on this thread. A name look-up that hangs in a thread of its own does not hold up the end.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let result = runtime.block_on(future);
    runtime.shutdown_background();
    Ok(result)
}

/// Looks at container and socket.
pub async fn observe(settings: &Settings, previous: Option<&Report>) -> Observation {
    let watch = Stopwatch::start();
    let mut started_at = clock::now();
    let engine = Engine::from_environment(settings.timeout);
    let was_seen = was_seen(settings, previous);
    let (seen, mut api) = match asked_for(settings) {
        None => (ContainerAnswer::not_asked(), probe(settings, settings.timeout).await),
        // A guess at the container decides nothing about probing, so both are asked at once.
        Some(selector @ Selector::Publishing { .. }) => {
            tokio::join!(engine.ask(&selector, was_seen), probe(settings, settings.timeout))
        }
        Some(selector @ Selector::Named(_)) => {
            let seen = engine.ask(&selector, was_seen).await;
            let runs = seen.container.as_ref().is_some_and(|container| container.state == ContainerState::Running);
            started_at = clock::now();
            let left = settings.timeout.saturating_sub(watch.elapsed());
            let api = if runs { probe(settings, left).await } else { ApiSeen::default() };
            (seen, api)
        }
    };
    if let Some(took) = seen.took {
        api.timings.insert(0, (Stage::Container, took));
    }
    let hint = match &seen.container {
        Some(container) if container.state == ContainerState::Running && is_closed(&api) => {
            engine.log(container).await.hint()
        }
        _ => None,
    };
    Observation { started_at, container: seen.judged, api, hint, fault: None }
}

async fn probe(settings: &Settings, timeout: Duration) -> ApiSeen {
    driver::probe(plan(settings, timeout), settings.host.as_str(), settings.port).await
}

/// How the settings want the gateway's API to be looked at.
pub(crate) fn plan(settings: &Settings, timeout: Duration) -> ProbePlan {
    ProbePlan {
        client_ids: settings.client_id.range(),
        version_max: ServerVersion(u32::from(settings.api_version_max)),
        question: match settings.broker_probe {
            BrokerProbe::Contract => {
                Some(settings.probe_contract.as_ref().map_or_else(Contract::eur_usd, |asked| asked.contract().clone()))
            }
            BrokerProbe::Off => None,
        },
        settle: settings.settle,
        timeout,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_is_what_is_looked_at_and_not_who_is_told() {
        let plain = Settings::of_variables(&[]);
        let telling = Settings::of_variables(&[("IBGA_PING_URL", "https://ping.test"), ("IBGA_ALERT_FLAPPING", "off")]);
        assert_ne!(plain.alerts, telling.alerts);
        assert_eq!(purpose(&plain, &writer()), purpose(&telling, &writer()));
        assert_ne!(purpose(&plain, &writer()), purpose(&Settings::of_variables(&[("IBKR_PORT", "4001")]), &writer()));
    }
}
