//! The container edge: asks Docker Engine, or Podman's socket that speaks the same protocol, about
//! the gateway's container.
//!
//! Responsible for finding the engine, finding the container, reading the end of its log, and starting
//! it, each within a time limit. Starting is for recovery alone, which is off unless the operator asks
//! for it; nothing else here changes anything in the engine. It judges nothing, and keeps nothing of
//! what containers are configured with (their environment holds credentials).
//!
//! Requests carry no API version, so engines old and new answer in their own newest one and none can
//! refuse. Asking for the version first would cost an engine tens of milliseconds.
//!
//! The client library writes whole answers to the `log` crate at debug level, environments of
//! inspected containers among them: whoever bridges `log` must keep `bollard` above that.

mod address;
mod log_text;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use bollard::errors::Error as ClientError;
use bollard::models::{ContainerInspectResponse, ContainerSummary, PortMap, PortSummary, PortSummaryTypeEnum};
use bollard::query_parameters::{
    EventsOptions, InspectContainerOptions, ListContainersOptions, LogsOptions, StartContainerOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::{Stream, StreamExt};
use ibga_core::observation::ContainerState;
use jiff::Timestamp;
use thiserror::Error;

pub use address::{EngineAddress, EngineSettings};
use log_text::read_tail;

/// The most containers that are looked into one by one for a port.
const INSPECTED_CONTAINERS_MAX: usize = 200;
/// How long an engine may take to begin telling of events.
const EVENTS_LIMIT: Duration = Duration::from_secs(5);
/// The most lines of a log that can be asked for.
const LOG_LINES_MAX: usize = 200;
/// The longest text of an engine that is passed on, in characters.
const ENGINE_TEXT_CHARS_MAX: usize = 300;
/// The longest name of a container, in bytes.
const NAME_BYTES_MAX: usize = 255;
/// A container's name that an engine could have given, so that it can stand in a request as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContainerName(String);

/// Not a container's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no engine gives a container such a name; `docker ps -a --format '{{{{.Names}}}}'` lists them")]
pub struct InvalidContainerName;

impl FromStr for ContainerName {
    type Err = InvalidContainerName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let begins_well = name.starts_with(|first: char| first.is_ascii_alphanumeric());
        let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
        if begins_well && is_plain && name.len() <= NAME_BYTES_MAX {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidContainerName)
        }
    }
}

impl fmt::Display for ContainerName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How the container is to be found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Selector {
    /// By its exact name.
    Named(ContainerName),
    /// As the one that publishes a TCP port on the engine's host, or did before it stopped.
    Publishing {
        /// The port on the host.
        port: u16,
    },
}

/// What the engine said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// There is such a container.
    Found(Container),
    /// The engine answered, and there is none.
    Absent,
}

/// A container as the engine describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name, without the slash that the engine writes before it.
    pub name: String,
    /// The first twelve digits of its id.
    pub id: String,
    /// What it is doing.
    pub state: ContainerState,
    /// The engine's own word for that: `exited`, `created`, `dead`, …
    pub engine_word: String,
}

/// Why the engine could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EngineError {
    /// Nothing listens there.
    #[error("no container engine at {address}; start it, set DOCKER_HOST, or use `--container none`")]
    NoEngine {
        /// The address, or the places that were looked at.
        address: String,
    },
    /// This user must not speak to the engine.
    #[error(
        "no permission to ask the container engine at {address}; \
         join its group (`sudo usermod -aG docker $USER`, then log in again), or use `--container none`"
    )]
    PermissionDenied {
        /// The address.
        address: String,
    },
    /// The engine did not answer in time.
    #[error(
        "the container engine at {address} did not answer within {limit:?}; try `docker ps`, restart the engine if that hangs too"
    )]
    TimedOut {
        /// The address.
        address: String,
        /// The time that it had.
        limit: Duration,
    },
    /// The address is of a kind that this program does not speak.
    #[error("container engine address {address} (DOCKER_HOST) is not supported; {next_step}")]
    Unsupported {
        /// The address.
        address: String,
        /// What to do.
        next_step: &'static str,
    },
    /// Anything else, in the engine's or the system's own words.
    #[error("cannot ask the container engine at {address}: {text}; see what `docker ps` says")]
    Other {
        /// The address.
        address: String,
        /// What went wrong.
        text: String,
    },
}

/// Asks the engine for a container; ends within the limit.
pub async fn inspect(selector: &Selector, engine: &EngineAddress, limit: Duration) -> Result<Answer, EngineError> {
    let session = Session::open(engine, limit)?;
    session
        .within_limit(async {
            match selector {
                Selector::Named(name) => session.find_named(name).await,
                Selector::Publishing { port } => session.find_publishing(*port).await,
            }
        })
        .await
}

/// The last lines of a container's log, oldest first, without escape sequences and empty lines; ends within the limit.
///
/// Standard output and standard error stand in the order in which the engine took them. At most 200 lines of at most
/// 400 characters each. A log that cannot be read, as with some logging drivers, has no lines; neither has one whose
/// end lies too far behind for its size.
pub async fn log_tail(
    container: &Container,
    line_count: usize,
    engine: &EngineAddress,
    limit: Duration,
) -> Result<Vec<String>, EngineError> {
    let session = Session::open(engine, limit)?;
    session.within_limit(session.log_tail(&container.id, line_count)).await
}

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerEvent {
    /// Its name, and the one that it had before if that is what happened.
    pub names: Vec<String>,
}

/// What of all that happens to containers can change an answer.
const EVENTS: [&str; 8] = ["create", "destroy", "die", "pause", "rename", "restart", "start", "unpause"];

/// What has happened to containers since then, and happens from now on. Asks the engine when it is first waited for, and ends when
/// that does.
pub fn events(
    engine: &EngineAddress,
    since: Timestamp,
) -> Result<impl Stream<Item = Result<ContainerEvent, EngineError>> + use<>, EngineError> {
    let session = Session::open(engine, EVENTS_LIMIT)?;
    let filters = HashMap::from([
        ("type".to_owned(), vec!["container".to_owned()]),
        ("event".to_owned(), EVENTS.map(str::to_owned).to_vec()),
    ]);
    let events = session.client.events(Some(EventsOptions {
        since: Some(since.as_second().to_string()),
        filters: Some(filters),
        ..EventsOptions::default()
    }));
    let engine = engine.clone();
    Ok(Box::pin(events.map(move |event| match event {
        Ok(event) => {
            let attributes = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
            let names = ["name", "oldName"].iter().filter_map(|key| attributes.get(*key));
            Ok(ContainerEvent { names: names.map(|name| name.trim_start_matches('/').to_owned()).collect() })
        }
        Err(error) => Err(engine_error(&engine, EVENTS_LIMIT, &error)),
    })))
}

/// Starts a container that does not run, as `docker start` does; one that runs is left as it is. Ends within the limit.
pub async fn start(container: &ContainerName, engine: &EngineAddress, limit: Duration) -> Result<(), EngineError> {
    let session = Session::open(engine, limit)?;
    session
        .within_limit(async {
            let started = session.client.start_container(&container.0, None::<StartContainerOptions>).await;
            started.map_err(|error| session.error(&error))
        })
        .await
}

/// A client for one question.
struct Session<'engine> {
    client: Docker,
    engine: &'engine EngineAddress,
    limit: Duration,
}

impl<'engine> Session<'engine> {
    fn open(engine: &'engine EngineAddress, limit: Duration) -> Result<Self, EngineError> {
        // The client counts in whole seconds and per request; the whole question has a timer of its own.
        let seconds = limit.as_secs().saturating_add(1);
        let client = match engine {
            EngineAddress::Socket(path) => {
                // The client cannot tell a forbidden directory from a missing socket.
                let metadata = Path::new(path).metadata().map_err(ClientError::from);
                metadata.and_then(|_| Docker::connect_with_unix(path, seconds, API_DEFAULT_VERSION))
            }
            EngineAddress::Network(authority) => Docker::connect_with_http(authority, seconds, API_DEFAULT_VERSION),
        };
        client.map(|client| Self { client, engine, limit }).map_err(|error| engine_error(engine, limit, &error))
    }

    async fn within_limit<T>(&self, work: impl Future<Output = Result<T, EngineError>>) -> Result<T, EngineError> {
        let timed_out = |_| Err(EngineError::TimedOut { address: self.engine.to_string(), limit: self.limit });
        tokio::time::timeout(self.limit, work).await.unwrap_or_else(timed_out)
    }

    fn error(&self, error: &ClientError) -> EngineError {
        engine_error(self.engine, self.limit, error)
    }

    async fn find_named(&self, name: &ContainerName) -> Result<Answer, EngineError> {
        // Engines take the filter for a regular expression, with and without the slash before the name.
        let pattern = format!("^{}$", name.0.replace('.', "\\."));
        let filters = HashMap::from([("name".to_owned(), vec![pattern])]);
        let listed = self.list(Some(filters)).await?;
        let found = listed.iter().filter_map(Container::from_summary).find(|container| container.name == name.0);
        Ok(found.map_or(Answer::Absent, Answer::Found))
    }

    async fn find_publishing(&self, port: u16) -> Result<Answer, EngineError> {
        let mut candidates = self.list(None).await?;
        candidates.sort_by_key(|summary| (rank(state_of(engine_word(summary))), Reverse(summary.created)));
        let mut inspected_count = 0;
        for summary in &candidates {
            let Some(container) = Container::from_summary(summary) else { continue };
            if summary.ports.iter().flatten().any(|published| is_published_as(published, port)) {
                return Ok(Answer::Found(container));
            }
            // The ports of a container that is up are all in the list, of another one none is.
            if matches!(container.state, ContainerState::Running | ContainerState::Paused) {
                continue;
            }
            if inspected_count == INSPECTED_CONTAINERS_MAX {
                return Err(self.too_many());
            }
            inspected_count += 1;
            if self.would_publish(&container.id, port).await? {
                return Ok(Answer::Found(container));
            }
        }
        Ok(Answer::Absent)
    }

    fn too_many(&self) -> EngineError {
        let text = format!(
            "more than {INSPECTED_CONTAINERS_MAX} containers are stopped, too many to look for the port; \
             name the container (`--container NAME`) or remove some (`docker container prune`)"
        );
        EngineError::Other { address: self.engine.to_string(), text }
    }

    async fn list(&self, filters: Option<HashMap<String, Vec<String>>>) -> Result<Vec<ContainerSummary>, EngineError> {
        let options = ListContainersOptions { all: true, filters, ..ListContainersOptions::default() };
        self.client.list_containers(Some(options)).await.map_err(|error| self.error(&error))
    }

    /// Whether a container that is down would publish the port if it were started.
    async fn would_publish(&self, id: &str, port: u16) -> Result<bool, EngineError> {
        match self.client.inspect_container(id, None::<InspectContainerOptions>).await {
            Ok(details) => Ok(is_bound_to(details, port)),
            // It was removed since it was listed.
            Err(ClientError::DockerResponseServerError { status_code: 404, .. }) => Ok(false),
            Err(error) => Err(self.error(&error)),
        }
    }

    async fn log_tail(&self, id: &str, line_count: usize) -> Result<Vec<String>, EngineError> {
        let line_count = line_count.min(LOG_LINES_MAX);
        let options = LogsOptions {
            follow: false,
            stdout: true,
            stderr: true,
            timestamps: false,
            tail: line_count.to_string(),
            ..LogsOptions::default()
        };
        let messages = self.client.logs(id, Some(options));
        match read_tail(messages, line_count).await {
            Ok(lines) => Ok(lines),
            Err(error) if is_unreadable_log(&error) => Ok(Vec::new()),
            Err(error) => Err(self.error(&error)),
        }
    }
}

impl Container {
    fn from_summary(summary: &ContainerSummary) -> Option<Self> {
        let id: String = summary.id.as_ref()?.chars().take(12).collect();
        let word = engine_word(summary);
        let mut listed_names = summary.names.iter().flatten().map(|name| name.strip_prefix('/').unwrap_or(name));
        // A further name with a slash inside is another container's link to this one.
        let own_name = listed_names.find(|name| !name.contains('/'));
        Some(Self { name: own_name.unwrap_or(&id).to_owned(), state: state_of(word), engine_word: word.to_owned(), id })
    }
}

fn engine_word(summary: &ContainerSummary) -> &str {
    let word = summary.state.as_ref().map_or("", AsRef::as_ref);
    if word.is_empty() { "unknown" } else { word }
}

fn state_of(engine_word: &str) -> ContainerState {
    match engine_word {
        "running" => ContainerState::Running,
        "paused" => ContainerState::Paused,
        "restarting" => ContainerState::Restarting,
        _ => ContainerState::Stopped,
    }
}

/// Which one is meant if several publish the same port: the lowest.
fn rank(state: ContainerState) -> u8 {
    match state {
        ContainerState::Running => 0,
        ContainerState::Paused | ContainerState::Restarting => 1,
        ContainerState::Stopped => 2,
    }
}

fn is_published_as(published: &PortSummary, port: u16) -> bool {
    let is_tcp = matches!(published.typ, None | Some(PortSummaryTypeEnum::EMPTY | PortSummaryTypeEnum::TCP));
    is_tcp && published.public_port == Some(port)
}

fn is_bound_to(details: ContainerInspectResponse, port: u16) -> bool {
    let Some(host_config) = details.host_config else { return false };
    // Without a network of its own a container publishes nothing, whatever its configuration asks for.
    let has_network = !matches!(host_config.network_mode.as_deref(), Some("host" | "none"));
    has_network && host_config.port_bindings.is_some_and(|bindings| binds(&bindings, port))
}

fn binds(bindings: &PortMap, port: u16) -> bool {
    let of_tcp = bindings.iter().filter(|(inside, _)| inside.ends_with("/tcp") || !inside.contains('/'));
    of_tcp
        .filter_map(|(_, outside)| outside.as_deref())
        .flatten()
        .filter_map(|binding| binding.host_port.as_deref())
        .any(|host_port| covers(host_port, port))
}

/// Whether `4000` or `4000-4010` holds the port; an engine may choose any of a range.
fn covers(host_port: &str, port: u16) -> bool {
    let (first, last) = host_port.split_once('-').unwrap_or((host_port, host_port));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) => (first..=last).contains(&port),
        _ => false,
    }
}

/// Whether an engine says that there is no log to read, now or ever.
fn is_unreadable_log(error: &ClientError) -> bool {
    let ClientError::DockerResponseServerError { status_code, message } = error else { return false };
    matches!(status_code, 404 | 409 | 501) || message.contains("logging driver") || message.contains("log driver")
}

fn engine_error(engine: &EngineAddress, limit: Duration, error: &ClientError) -> EngineError {
    let address = engine.to_string();
    let other = |text: &str| EngineError::Other { address: engine.to_string(), text: bounded(text) };
    match error {
        ClientError::RequestTimeoutError => EngineError::TimedOut { address, limit },
        ClientError::SocketNotFoundError(_) => EngineError::NoEngine { address },
        ClientError::DockerResponseServerError { status_code, message } => {
            other(&format!("it answered {status_code}: {message}"))
        }
        _ => match system_error(error).map(io::Error::kind) {
            Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => EngineError::NoEngine { address },
            Some(io::ErrorKind::PermissionDenied) => EngineError::PermissionDenied { address },
            _ => other(&deepest_cause(error).to_string()),
        },
    }
}

fn system_error(error: &ClientError) -> Option<&io::Error> {
    match error {
        ClientError::IOError { err } => Some(err),
        _ => causes(error).find_map(|cause| cause.downcast_ref()),
    }
}

fn deepest_cause(error: &ClientError) -> &(dyn std::error::Error + 'static) {
    causes(error).last().unwrap_or(error)
}

fn causes(error: &ClientError) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |cause| cause.source())
}

/// A text from outside, in one line and cut.
fn bounded(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(ENGINE_TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
