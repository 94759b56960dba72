//! One check as a whole: take the gateway's lock, look at container and socket, judge, write the status file. The order is the
//! point: the file is written before anything else is done with the verdict, and waits for nothing but its own disk.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use ibga_core::account::AccountId;
use ibga_core::cause::Cause;
use ibga_core::clock::{self, Stopwatch};
use ibga_core::log_hints::{last_hint, masked};
use ibga_core::observation::{
    ApiSeen, Connect, ConnectFailure, ContainerSeen, ContainerState, FoundBy, Observation, Stage,
};
use ibga_core::remedy;
use ibga_core::report::{self, Report, Writer};
use ibga_core::secure_file::{self, Trust};
use ibga_core::status_file::{self, WriteError};
use ibga_core::transition::{Transition, transition};
use ibga_core::verdict::{self, Expectations, ReadOnlyPolicy};
use ibga_tws::ServerVersion;
use ibga_tws::driver;
use ibga_tws::probe::ProbePlan;
use ibga_tws::request::Contract;
use jiff::tz::TimeZone;

use crate::alert::post::Post;
use crate::docker::{self, Answer, Container, ContainerName, EngineAddress, EngineError, EngineSettings, Selector};
use crate::lock::{GatewayLock, LockError, Purpose};
use crate::settings::{AlertSettings, BrokerProbe, ContainerChoice, ProbeContract, Settings};

/// The longest that the container engine may take of a check.
pub(crate) const ENGINE_LIMIT: Duration = Duration::from_secs(2);

/// The longest that reading the container's log may take, behind the probe.
const LOG_LIMIT: Duration = Duration::from_millis(500);

/// How many lines of the log are looked at for hints.
const LOG_LINES: usize = 40;

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
    let previous = status_file::read(&settings.status_file, &trust(settings), zone).ok();
    let waited_for = lock.as_ref().map_or(&[][..], |lock| &lock.waited_for);
    let taken_over = |report: &&Report| {
        report.timestamp >= began && is_about(report, settings) && is_of(report, settings, waited_for)
    };
    if let Some(report) = previous.as_ref().filter(taken_over) {
        let mut report = report.clone();
        // Whoever wrote it may tell other people, or may have been killed since. Taking it in twice makes nothing new.
        let mut post = Post::of_report(settings, zone, &report, previous.as_ref(), store_limit);
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
    let mut post = Post::of_report(settings, zone, &report, previous.as_ref(), store_limit);
    if warn(&mut report, post.as_mut()) {
        let again = status_file::write(&settings.status_file, &report.to_json(zone), settings.status_file_mode);
        // The first file is as good but for the warnings, and alerts must not cost anybody the verdict.
        write_fault = write_fault.and(again.err());
    }
    Checked { report, transition, by: Observer::Myself, write_fault, post }
}

/// Moves the warnings of the alerts into the report. Whether there are any.
fn warn(report: &mut Report, post: Option<&mut Post<'_>>) -> bool {
    let (Some(more), Some(post)) = (report.more.as_mut(), post) else { return false };
    let warnings = post.take_warnings();
    let is_news = !warnings.is_empty();
    more.warnings.extend(warnings);
    is_news
}

fn write(settings: &Settings, report: &Report, zone: &TimeZone) -> Result<(), WriteError> {
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
    let previous = status_file::read(&settings.status_file, &trust(settings), zone).ok();
    let seen = match &lock {
        Ok(_) => observe_blocking(settings, previous.as_ref()),
        Err(fault) => nothing_seen(began, fault.to_string()),
    };
    judge(settings, &seen, previous.as_ref(), zone)
}

fn acquire(settings: &Settings) -> Result<GatewayLock, LockError> {
    let limit = settings.timeout + ENGINE_LIMIT;
    GatewayLock::acquire(settings.host.as_str(), settings.port, purpose(settings, &writer()), limit)
}

/// How the settings want the gateway's container to be found; `None` if no engine is to be asked.
fn selector(settings: &Settings) -> Option<Selector> {
    match &settings.container {
        ContainerChoice::None => None,
        ContainerChoice::Auto => Some(Selector::Publishing { port: settings.port }),
        ContainerChoice::Named(name) => Some(Selector::Named(name.clone())),
    }
}

/// What the container engine says of the gateway's container, and where it is; `None` if no engine is to be asked.
pub fn look_at_container(settings: &Settings) -> Option<Result<(EngineAddress, Answer), EngineError>> {
    let selector = selector(settings)?;
    Some(EngineAddress::find(&EngineSettings::from_environment()).and_then(|address| {
        let asked = block_on(docker::inspect(&selector, &address, ENGINE_LIMIT));
        let failed =
            |fault: std::io::Error| EngineError::Other { address: address.to_string(), text: fault.to_string() };
        let answer = asked.unwrap_or_else(|fault| Err(failed(fault)))?;
        Ok((address, answer))
    }))
}

fn nothing_seen(started_at: jiff::Timestamp, fault: String) -> Observation {
    let container = ContainerSeen::NotChecked;
    Observation { started_at, container, api: ApiSeen::default(), hint: None, fault: Some(fault) }
}

/// Two checks with the same purpose come to the same report. The writer belongs to it: a lock that its holder cannot write still
/// has the purpose of another process, whose report this is not.
fn purpose(settings: &Settings, writer: &Writer) -> Purpose {
    let mut same = settings.clone();
    // Who is told changes nothing of what is seen.
    same.alerts = AlertSettings::default();
    // Accounts print masked, but they are what matters here.
    let accounts: Vec<&str> = settings.expect_accounts.iter().map(AccountId::reveal).collect();
    Purpose::of(&format!("{same:?} {accounts:?} {writer:?}"))
}

/// Whether one of these probes wrote the report, with the purpose of these settings.
fn is_of(report: &Report, settings: &Settings, probes: &[Purpose]) -> bool {
    report.more.as_ref().is_some_and(|more| probes.contains(&purpose(settings, &more.writer)))
}

fn is_about(report: &Report, settings: &Settings) -> bool {
    report
        .more
        .as_ref()
        .is_some_and(|more| more.endpoint == endpoint(settings) && more.gateway == settings.gateway.as_str())
}

fn judge(settings: &Settings, seen: &Observation, previous: Option<&Report>, zone: &TimeZone) -> Report {
    let verdict = verdict::judge(seen, &expectations(settings));
    let now = clock::now();
    let ids = settings.client_id.range();
    // They explain what is wrong; where nothing is, nobody needs to read them.
    let resets = if verdict.cause == Cause::Ready { Vec::new() } else { settings.resets() };
    let remedy = remedy::remedy(
        verdict.cause,
        &remedy::Circumstances {
            host: settings.host.as_str(),
            port: settings.port,
            container: match &seen.container {
                ContainerSeen::Found { name, .. } => Some(name),
                _ => None,
            },
            client_ids: (*ids.start(), *ids.end()),
            now,
            zone,
            resets: &resets,
        },
    );
    Report::new(
        &verdict,
        seen,
        report::Circumstances {
            gateway: settings.gateway.as_str(),
            endpoint: endpoint(settings),
            now,
            valid_for: settings.max_status_age,
            previous,
            remedy,
            hours_of: settings.probe_contract.as_ref().map(ProbeContract::hours_question),
            writer: writer(),
        },
    )
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
    let (seen, mut api) = match &settings.container {
        ContainerChoice::Auto if is_local(settings.host.as_str()) => {
            // A guess at the container decides nothing about probing, so both are asked at once.
            let was_seen = was_seen(settings, previous);
            tokio::join!(engine.publishing(settings.port, was_seen), probe(settings, settings.timeout))
        }
        ContainerChoice::Auto | ContainerChoice::None => {
            (ContainerAnswer::not_asked(), probe(settings, settings.timeout).await)
        }
        ContainerChoice::Named(name) => {
            let seen = engine.named(name).await;
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
            engine.hint(container).await
        }
        _ => None,
    };
    Observation { started_at, container: seen.judged, api, hint, fault: None }
}

async fn probe(settings: &Settings, timeout: Duration) -> ApiSeen {
    let plan = ProbePlan {
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
    };
    driver::probe(plan, settings.host.as_str(), settings.port).await
}

/// Whether the API did not open: the one case in which the container's log can tell more.
fn is_closed(api: &ApiSeen) -> bool {
    let refused = matches!(api.connect, Connect::Failed(ConnectFailure::Refused | ConnectFailure::Reset));
    refused || (api.connect == Connect::Connected && api.bytes_received == 0)
}

/// Whether the gateway is on this machine, so that its container is one of this machine's.
pub(crate) fn is_local(host: &str) -> bool {
    match host.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback() || address.is_unspecified(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// Whether a container was found for this gateway before; then its absence is news.
fn was_seen(settings: &Settings, previous: Option<&Report>) -> bool {
    previous.filter(|report| is_about(report, settings)).is_some_and(|report| report.container != "not_checked")
}

/// The container engine of this machine, if there is one.
struct Engine {
    address: Result<EngineAddress, EngineError>,
    /// The longest that it may take.
    limit: Duration,
}

/// What the engine said of the container.
struct ContainerAnswer {
    judged: ContainerSeen,
    container: Option<Container>,
    took: Option<Duration>,
}

impl ContainerAnswer {
    fn not_asked() -> Self {
        Self { judged: ContainerSeen::NotChecked, container: None, took: None }
    }
}

impl Engine {
    fn from_environment(timeout: Duration) -> Self {
        Self { address: EngineAddress::find(&EngineSettings::from_environment()), limit: ENGINE_LIMIT.min(timeout / 2) }
    }

    /// Asked for by name: an engine that cannot be asked is a fault.
    async fn named(&self, name: &ContainerName) -> ContainerAnswer {
        let watch = Stopwatch::start();
        let answer = self.inspect(&Selector::Named(name.clone())).await;
        let judged = match &answer {
            Err(fault) => ContainerSeen::Unavailable(fault.to_string()),
            Ok(Answer::Absent) => ContainerSeen::Missing { name: Some(name.to_string()) },
            Ok(Answer::Found(container)) => found(container, FoundBy::Name),
        };
        ContainerAnswer { judged, container: container_of(answer), took: Some(watch.elapsed()) }
    }

    /// Looked for by its port: without an engine there is nothing to check.
    async fn publishing(&self, port: u16, was_seen: bool) -> ContainerAnswer {
        if self.address.is_err() && !was_seen {
            return ContainerAnswer::not_asked();
        }
        let watch = Stopwatch::start();
        let answer = self.inspect(&Selector::Publishing { port }).await;
        let judged = match &answer {
            Ok(Answer::Absent) if was_seen => ContainerSeen::Missing { name: None },
            Err(_) if was_seen => ContainerSeen::Unknown,
            Ok(Answer::Absent) | Err(_) => ContainerSeen::NotChecked,
            Ok(Answer::Found(container)) => found(container, FoundBy::Port),
        };
        ContainerAnswer { judged, container: container_of(answer), took: Some(watch.elapsed()) }
    }

    async fn inspect(&self, selector: &Selector) -> Result<Answer, EngineError> {
        let address = self.address.as_ref().map_err(Clone::clone)?;
        docker::inspect(selector, address, self.limit).await
    }

    async fn hint(&self, container: &Container) -> Option<ibga_core::log_hints::LogHint> {
        let address = self.address.as_ref().ok()?;
        let lines = docker::log_tail(container, LOG_LINES, address, LOG_LIMIT).await.ok()?;
        last_hint(&lines)
    }
}

fn found(container: &Container, found_by: FoundBy) -> ContainerSeen {
    ContainerSeen::Found { name: container.name.clone(), state: container.state, found_by }
}

fn container_of(answer: Result<Answer, EngineError>) -> Option<Container> {
    match answer {
        Ok(Answer::Found(container)) => Some(container),
        _ => None,
    }
}

/// The last lines of the gateway's container's log, for a person; what looks like an account id or a user's name is masked.
pub fn log_lines(settings: &Settings, line_count: usize) -> Result<(String, Vec<String>), String> {
    let selector = selector(settings).ok_or("no container is configured (--container none)")?;
    let address = EngineAddress::find(&EngineSettings::from_environment()).map_err(|fault| fault.to_string())?;
    block_on(async {
        match docker::inspect(&selector, &address, ENGINE_LIMIT).await.map_err(|fault| fault.to_string())? {
            Answer::Absent => Err("no container was found for this gateway".into()),
            Answer::Found(container) => {
                let lines = docker::log_tail(&container, line_count, &address, ENGINE_LIMIT).await;
                let lines = lines.map_err(|fault| fault.to_string())?;
                Ok((container.name, lines.iter().map(|line| masked(line)).collect()))
            }
        }
    })
    .map_err(|fault| fault.to_string())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Flags, Sources};

    fn settings(variables: &[(&str, &str)]) -> Settings {
        let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        let sources = Sources {
            environment: &value,
            environment_names: vec![],
            read: &|_: &Path, _: &[u32]| Ok(None),
            user_id: 0,
            host_name: &String::new,
            zone: &|| TimeZone::UTC,
        };
        Settings::load(&Flags::default(), &sources).expect("settings")
    }

    #[test]
    fn a_purpose_is_what_is_looked_at_and_not_who_is_told() {
        let plain = settings(&[]);
        let telling = settings(&[("IBGA_PING_URL", "https://ping.test"), ("IBGA_ALERT_FLAPPING", "off")]);
        assert_ne!(plain.alerts, telling.alerts);
        assert_eq!(purpose(&plain, &writer()), purpose(&telling, &writer()));
        assert_ne!(purpose(&plain, &writer()), purpose(&settings(&[("IBKR_PORT", "4001")]), &writer()));
    }
}
