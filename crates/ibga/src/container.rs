//! The gateway's container: which one is meant, what the engine's answer means for a verdict, and what its log hints at.

use std::time::Duration;

use ibga_core::clock::Stopwatch;
use ibga_core::log_hints::{LogHint, last_hint, masked};
use ibga_core::observation::{ApiSeen, Connect, ConnectFailure, ContainerSeen, FoundBy};
use ibga_core::report::Report;

use crate::check::{block_on, is_about};
use crate::docker::{self, Answer, Container, EngineAddress, EngineError, EngineSettings, Selector};
use crate::settings::{ContainerChoice, Settings};

/// The longest that the container engine may take of a check.
pub(crate) const ENGINE_LIMIT: Duration = Duration::from_secs(2);

/// The longest that reading the container's log may take, behind the probe.
const LOG_LIMIT: Duration = Duration::from_millis(500);

/// How many lines of the log are looked at for hints.
const LOG_LINES: usize = 40;

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

/// The container that a look at the gateway asks for; `None` if no engine is to be asked, or the gateway is on another machine, whose
/// containers this one's engine does not know.
pub(crate) fn asked_for(settings: &Settings) -> Option<Selector> {
    let is_here = is_local(settings.host.as_str());
    selector(settings).filter(|selector| is_here || matches!(selector, Selector::Named(_)))
}

/// What an answer of the engine means. Asked for by name, an engine that cannot be asked is a fault; looked for by its port, there is
/// nothing to check without an engine, unless the container was seen before.
pub(crate) fn meaning(selector: &Selector, answer: &Result<Answer, EngineError>, was_seen: bool) -> ContainerSeen {
    match (selector, answer) {
        (Selector::Named(_), Ok(Answer::Found(container))) => found(container, FoundBy::Name),
        (Selector::Named(name), Ok(Answer::Absent)) => ContainerSeen::Missing { name: Some(name.to_string()) },
        (Selector::Named(_), Err(fault)) => ContainerSeen::Unavailable(fault.to_string()),
        (Selector::Publishing { .. }, Ok(Answer::Found(container))) => found(container, FoundBy::Port),
        (Selector::Publishing { .. }, Ok(Answer::Absent)) if was_seen => ContainerSeen::Missing { name: None },
        (Selector::Publishing { .. }, Err(_)) if was_seen => ContainerSeen::Unknown,
        (Selector::Publishing { .. }, Ok(Answer::Absent) | Err(_)) => ContainerSeen::NotChecked,
    }
}

/// Whether the API did not open: the one case in which the container's log can tell more.
pub(crate) fn is_closed(api: &ApiSeen) -> bool {
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
pub(crate) fn was_seen(settings: &Settings, previous: Option<&Report>) -> bool {
    previous.filter(|report| is_about(report, settings)).is_some_and(|report| report.container != "not_checked")
}

/// The container engine of this machine, if there is one.
pub(crate) struct Engine {
    address: Result<EngineAddress, EngineError>,
    /// The longest that it may take.
    limit: Duration,
}

/// What the engine said of the container.
pub(crate) struct ContainerAnswer {
    pub(crate) judged: ContainerSeen,
    pub(crate) container: Option<Container>,
    pub(crate) took: Option<Duration>,
}

impl ContainerAnswer {
    pub(crate) fn not_asked() -> Self {
        Self { judged: ContainerSeen::NotChecked, container: None, took: None }
    }
}

impl Engine {
    pub(crate) fn from_environment(timeout: Duration) -> Self {
        Self { address: EngineAddress::find(&EngineSettings::from_environment()), limit: ENGINE_LIMIT.min(timeout / 2) }
    }

    /// Asks for the container.
    pub(crate) async fn ask(&self, selector: &Selector, was_seen: bool) -> ContainerAnswer {
        if self.address.is_err() && !was_seen && matches!(selector, Selector::Publishing { .. }) {
            return ContainerAnswer::not_asked();
        }
        let watch = Stopwatch::start();
        let answer = self.inspect(selector).await;
        let judged = meaning(selector, &answer, was_seen);
        ContainerAnswer { judged, container: container_of(answer), took: Some(watch.elapsed()) }
    }

    async fn inspect(&self, selector: &Selector) -> Result<Answer, EngineError> {
        let address = self.address.as_ref().map_err(Clone::clone)?;
        docker::inspect(selector, address, self.limit).await
    }

    /// What the end of the container's log says.
    pub(crate) async fn log(&self, container: &Container) -> LogSeen {
        let Ok(address) = &self.address else { return LogSeen::Unreadable };
        match docker::log_tail(container, LOG_LINES, address, LOG_LIMIT).await {
            // A log without a line may be kept elsewhere.
            Ok(lines) if !lines.is_empty() => last_hint(&lines).map_or(LogSeen::Quiet, LogSeen::Hint),
            Ok(_) | Err(_) => LogSeen::Unreadable,
        }
    }
}

/// What the end of a container's log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LogSeen {
    /// It cannot be read, or has no lines.
    Unreadable,
    /// It was read, and ends in no trouble of the login.
    Quiet,
    /// It ends in this trouble.
    Hint(LogHint),
}

impl LogSeen {
    /// The hint, if there is one.
    pub(crate) fn hint(self) -> Option<LogHint> {
        match self {
            Self::Hint(hint) => Some(hint),
            Self::Unreadable | Self::Quiet => None,
        }
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
