//! The container edge: asks Docker Engine, or Podman's socket that speaks the same protocol, about
//! the gateway's container.
//!
//! Responsible for finding the engine, finding the container and reading the end of its log, each
//! within a time limit. It reads and never changes anything in the engine, judges nothing, and
//! keeps nothing of what containers are configured with (their environment holds credentials).
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
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptions, LogsOptions};
use bollard::{API_DEFAULT_VERSION, Docker};
use ibga_core::observation::ContainerState;
use thiserror::Error;

pub use address::{EngineAddress, EngineSettings};
use log_text::read_tail;

/// The most containers that are looked into one by one for a port.
const INSPECTED_CONTAINERS_MAX: usize = 200;
/// The most lines of a log that can be asked for.
const LOG_LINES_MAX: usize = 200;
/// The longest text of an engine that is passed on, in characters.
const ENGINE_TEXT_CHARS_MAX: usize = 300;
/// The longest name of a container, in bytes.
const NAME_BYTES_MAX: usize = 255;
/// A container's name that an engine could have given, so that it can stand in a request as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
mod tests {
    use std::env;
    use std::fs;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{UnixListener, UnixStream};
    use tokio::sync::oneshot;

    use super::*;

    const AMPLE: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(250);

    #[test]
    fn a_name_is_what_an_engine_accepts() {
        let longest = "x".repeat(NAME_BYTES_MAX);
        let too_long = "x".repeat(NAME_BYTES_MAX + 1);
        for name in ["ibga", "catalyst-ibga", "A1_b.c-d", "9", &longest] {
            assert_eq!(name.parse::<ContainerName>().unwrap().to_string(), name);
        }
        for name in ["", "/ibga", "-ibga", ".ibga", "a/json?x=", "a b", "ibgä", "a\n", &too_long] {
            assert!(name.parse::<ContainerName>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn errors_name_the_next_step() {
        let address = || "unix:///a.sock".to_owned();
        let cases = [
            (EngineError::NoEngine { address: address() }, "`--container none`"),
            (EngineError::PermissionDenied { address: address() }, "usermod -aG docker"),
            (EngineError::TimedOut { address: address(), limit: AMPLE }, "within 30s; try `docker ps`"),
            (
                EngineError::Unsupported { address: address(), next_step: address::NO_SSH },
                "DOCKER_HOST=unix:///tmp/engine.sock",
            ),
            (EngineError::Other { address: address(), text: "it broke".into() }, "it broke; see what `docker ps` says"),
        ];
        for (error, next_step) in cases {
            let text = error.to_string();
            assert!(text.contains(next_step) && text.contains("unix:///a.sock"), "{text}");
        }
    }

    #[test]
    fn a_host_port_covers_itself_or_its_range() {
        let cases = [
            ("4000", 4000, true),
            ("4000", 4001, false),
            ("4000-4010", 3999, false),
            ("4000-4010", 4000, true),
            ("4000-4010", 4010, true),
            ("4000-4010", 4011, false),
            ("", 4000, false),
            ("0", 4000, false),
            ("4000-", 4000, false),
            ("-4000", 4000, false),
            ("70000", 4464, false),
        ];
        for (host_port, port, expected) in cases {
            assert_eq!(covers(host_port, port), expected, "{host_port} {port}");
        }
    }

    /// A directory that goes when the test does.
    struct Directory(PathBuf);

    impl Directory {
        fn new() -> Self {
            static COUNT: AtomicUsize = AtomicUsize::new(0);
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = env::temp_dir().join(format!("ibga-docker-{}-{number}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn socket(&self) -> EngineAddress {
            EngineAddress::Socket(self.0.join("engine.sock").to_str().unwrap().into())
        }

        fn listen(&self) -> UnixListener {
            UnixListener::bind(self.0.join("engine.sock")).unwrap()
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// An engine of which each answer is a function of the request line; it keeps the lines.
    struct FakeEngine {
        directory: Directory,
        requests: Arc<Mutex<Vec<String>>>,
    }

    impl FakeEngine {
        fn start(answer: impl Fn(&str) -> (u16, String) + Send + 'static) -> Self {
            let directory = Directory::new();
            let listener = directory.listen();
            let requests = Arc::new(Mutex::new(Vec::new()));
            let kept = Arc::clone(&requests);
            tokio::spawn(async move {
                loop {
                    let (mut connection, _) = listener.accept().await.unwrap();
                    let request = read_request(&mut connection).await;
                    let (status, body) = answer(&request);
                    kept.lock().unwrap().push(request);
                    let length = body.len();
                    let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}");
                    connection.write_all(answer.as_bytes()).await.unwrap();
                }
            });
            Self { directory, requests }
        }

        async fn ask(&self, selector: &Selector) -> Result<Answer, EngineError> {
            inspect(selector, &self.directory.socket(), AMPLE).await
        }
    }

    /// The request line without its method and version.
    async fn read_request(connection: &mut UnixStream) -> String {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(connection.read_u8().await.unwrap());
        }
        String::from_utf8(request).unwrap().split(' ').nth(1).unwrap().to_owned()
    }

    fn named(name: &str) -> Selector {
        Selector::Named(name.parse().unwrap())
    }

    fn listed(id: &str, names: &str, state: &str, created: i64, ports: &str) -> String {
        format!(r#"{{"Id":"{id}","Names":[{names}],"State":"{state}","Created":{created},"Ports":[{ports}]}}"#)
    }

    fn details(host_config: &str) -> (u16, String) {
        (200, format!(r#"{{"HostConfig":{{{host_config}}}}}"#))
    }

    const AT_4000: &str = r#"{"IP":"0.0.0.0","PrivatePort":4000,"PublicPort":4000,"Type":"tcp"}"#;
    const BOUND_TO_4000: &str = r#""PortBindings":{"4000/tcp":[{"HostIp":"","HostPort":"4000"}],"80/tcp":null}"#;

    #[tokio::test]
    async fn a_name_is_matched_whole_and_asked_for_without_an_api_version() {
        let engine = FakeEngine::start(|_| {
            let list = [
                listed("aaaaaaaaaaaa1111", r#""/i.bga-old""#, "running", 3, ""),
                listed("bbbbbbbbbbbb2222", r#""/other/alias","/i.bga""#, "exited", 2, ""),
                listed("cccccccccccc3333", r#""/xi.bga""#, "running", 1, ""),
            ];
            (200, format!("[{}]", list.join(",")))
        });
        let found = Container {
            name: "i.bga".into(),
            id: "bbbbbbbbbbbb".into(),
            state: ContainerState::Stopped,
            engine_word: "exited".into(),
        };
        assert_eq!(engine.ask(&named("i.bga")).await, Ok(Answer::Found(found)));
        assert_eq!(engine.ask(&named("aaaaaaaaaaaa")).await, Ok(Answer::Absent), "an id is no name");
        assert_eq!(engine.ask(&named("i.bg")).await, Ok(Answer::Absent));
        let requests = engine.requests.lock().unwrap();
        assert!(requests[0].starts_with("/containers/json?all=true&"), "{requests:?}");
        assert!(requests[0].ends_with("filters=%7B%22name%22%3A%5B%22%5Ei%5C%5C.bga%24%22%5D%7D"), "{requests:?}");
    }

    #[tokio::test]
    async fn every_state_of_an_engine_has_its_meaning() {
        let cases = [
            ("running", ContainerState::Running),
            ("paused", ContainerState::Paused),
            ("restarting", ContainerState::Restarting),
            ("created", ContainerState::Stopped),
            ("exited", ContainerState::Stopped),
            ("dead", ContainerState::Stopped),
            ("removing", ContainerState::Stopped),
            ("stopping", ContainerState::Stopped),
        ];
        for (word, expected) in cases {
            let engine = FakeEngine::start(move |_| (200, format!("[{}]", listed("a1", r#""/ibga""#, word, 1, ""))));
            let Ok(Answer::Found(container)) = engine.ask(&named("ibga")).await else { panic!("{word}") };
            assert_eq!((container.state, container.engine_word.as_str()), (expected, word));
        }
    }

    #[tokio::test]
    async fn of_several_that_publish_the_port_the_livelier_and_newer_is_meant() {
        let udp = AT_4000.replace("tcp", "udp");
        let elsewhere = AT_4000.replace(r#""PublicPort":4000"#, r#""PublicPort":4001"#);
        let inside_only = r#"{"PrivatePort":4000,"Type":"tcp"}"#;
        // Each container: name, state, created, ports in the list, host configuration.
        let cases = [
            ("none", vec![], None),
            (
                "the one that runs",
                vec![("old", "exited", 9, "", BOUND_TO_4000), ("new", "running", 1, AT_4000, "")],
                Some("new"),
            ),
            (
                "a paused one before a stopped one",
                vec![("down", "exited", 9, "", BOUND_TO_4000), ("held", "paused", 1, AT_4000, "")],
                Some("held"),
            ),
            (
                "a restarting one before a stopped one",
                vec![("down", "exited", 9, "", BOUND_TO_4000), ("loop", "restarting", 1, "", BOUND_TO_4000)],
                Some("loop"),
            ),
            (
                "the newer of two that are down",
                vec![("one", "exited", 1, "", BOUND_TO_4000), ("two", "created", 2, "", BOUND_TO_4000)],
                Some("two"),
            ),
            (
                "a port of a range",
                vec![("one", "exited", 1, "", r#""PortBindings":{"80/tcp":[{"HostPort":"3990-4010"}]}"#)],
                Some("one"),
            ),
            (
                "another protocol",
                vec![
                    ("one", "running", 1, udp.as_str(), ""),
                    ("two", "exited", 1, "", r#""PortBindings":{"4000/udp":[{"HostPort":"4000"}]}"#),
                ],
                None,
            ),
            ("another port outside", vec![("one", "running", 1, elsewhere.as_str(), BOUND_TO_4000)], None),
            ("not published", vec![("one", "running", 1, inside_only, "")], None),
            (
                "host network",
                vec![(
                    "one",
                    "exited",
                    1,
                    "",
                    r#""NetworkMode":"host","PortBindings":{"4000/tcp":[{"HostPort":"4000"}]}"#,
                )],
                None,
            ),
            (
                "removed meanwhile",
                vec![("gone", "exited", 2, "", "404"), ("one", "exited", 1, "", BOUND_TO_4000)],
                Some("one"),
            ),
        ];
        for (story, containers, expected) in cases {
            let list: Vec<_> = containers
                .iter()
                .map(|(name, state, created, ports, _)| listed(name, &format!(r#""/{name}""#), state, *created, ports))
                .collect();
            let list = format!("[{}]", list.join(","));
            let configurations: HashMap<String, String> = containers
                .iter()
                .map(|(name, .., configuration)| (format!("/containers/{name}/json"), (*configuration).to_owned()))
                .collect();
            let engine = FakeEngine::start(move |path| match configurations.get(path).map(String::as_str) {
                Some("404") => (404, r#"{"message":"No such container"}"#.into()),
                Some(configuration) => details(configuration),
                None => (200, list.clone()),
            });
            let found = match engine.ask(&Selector::Publishing { port: 4000 }).await.unwrap() {
                Answer::Found(container) => Some(container.name),
                Answer::Absent => None,
            };
            assert_eq!(found.as_deref(), expected, "{story}");
        }
    }

    #[tokio::test]
    async fn the_search_for_a_port_is_bounded() {
        let stopped = |count: usize| {
            let list: Vec<_> = (0..count).map(|n| listed(&format!("c{n}"), "", "exited", 1, "")).collect();
            let list = format!("[{}]", list.join(","));
            FakeEngine::start(move |path| if path.ends_with("/json") { details("") } else { (200, list.clone()) })
        };
        let selector = Selector::Publishing { port: 4000 };
        assert_eq!(stopped(INSPECTED_CONTAINERS_MAX).ask(&selector).await, Ok(Answer::Absent));
        let error = stopped(INSPECTED_CONTAINERS_MAX + 1).ask(&selector).await.unwrap_err();
        assert!(error.to_string().contains("--container NAME"), "{error}");
    }

    #[tokio::test]
    async fn an_answer_that_is_none_is_an_error_in_the_engines_words() {
        let cases = [
            (403, r#"{"message":"authorization denied by\nplugin"}"#, "it answered 403: authorization denied byplugin"),
            (500, "boom", "it answered 500: boom"),
            (400, r#"{"message":"client version 1.53 is too new"}"#, "it answered 400: client version 1.53 is too new"),
            (200, r#"[{"Id":"a","State":"melting"}]"#, "unknown variant `melting`"),
            (200, "[{", "EOF while parsing"),
        ];
        for (status, body, words) in cases {
            let engine = FakeEngine::start(move |_| (status, body.to_owned()));
            let error = engine.ask(&named("ibga")).await.unwrap_err();
            assert!(matches!(&error, EngineError::Other { text, .. } if text.contains(words)), "{error}");
        }
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_told_from_one_that_fails() {
        let directory = Directory::new();
        let engine = directory.socket();
        let no_engine = Err(EngineError::NoEngine { address: engine.to_string() });
        assert_eq!(inspect(&named("ibga"), &engine, AMPLE).await, no_engine, "no file");
        drop(directory.listen());
        assert_eq!(inspect(&named("ibga"), &engine, AMPLE).await, no_engine, "nobody listens");

        let refused = EngineAddress::Network("127.0.0.1:1".into());
        let error = inspect(&named("ibga"), &refused, AMPLE).await.unwrap_err();
        assert_eq!(error, EngineError::NoEngine { address: "tcp://127.0.0.1:1".into() });
    }

    /// Asks an engine that says this and no more, and waits until it sees its connection closed.
    async fn ask_silent_engine(says: &'static [u8], limit: Duration) -> (Result<Answer, EngineError>, EngineAddress) {
        let directory = Directory::new();
        let listener = directory.listen();
        let (tell_end, end) = oneshot::channel();
        tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            let _request = read_request(&mut connection).await;
            connection.write_all(says).await.unwrap();
            let at_end = connection.read(&mut [0; 64]).await;
            tell_end.send(at_end.unwrap_or(0)).unwrap();
        });
        let engine = directory.socket();
        let answer = tokio::time::timeout(AMPLE, inspect(&named("ibga"), &engine, limit)).await.expect("within limit");
        let at_end = tokio::time::timeout(AMPLE, end).await.expect("the connection is left open");
        assert_eq!(at_end, Ok(0), "the connection is closed without another word");
        (answer, engine)
    }

    #[tokio::test]
    async fn an_engine_that_falls_silent_ends_at_the_limit() {
        let cases: [&[u8]; 3] =
            [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{\"Id\":"];
        for says in cases {
            let (answer, engine) = ask_silent_engine(says, SHORT).await;
            let timed_out = EngineError::TimedOut { address: engine.to_string(), limit: SHORT };
            assert_eq!(answer, Err(timed_out), "{}", String::from_utf8_lossy(says));
        }
    }

    #[tokio::test]
    async fn another_protocol_is_an_error() {
        let (answer, _) = ask_silent_engine(b"SSH-2.0-OpenSSH_9.2p1\r\n", AMPLE).await;
        assert!(matches!(answer, Err(EngineError::Other { .. })), "{answer:?}");
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_read_has_no_lines() {
        let container = Container {
            name: "ibga".into(),
            id: "a1".into(),
            state: ContainerState::Running,
            engine_word: "running".into(),
        };
        let cases = [
            (501, "configured logging driver does not support reading", true),
            (500, "this container is using the 'none' log driver, cannot read logs", true),
            (404, "No such container: a1", true),
            (409, "can not get logs from container which is dead or marked for removal", true),
            (500, "boom", false),
        ];
        for (status, message, is_empty) in cases {
            let engine = FakeEngine::start(move |_| (status, format!(r#"{{"message":"{message}"}}"#)));
            let lines = log_tail(&container, 40, &engine.directory.socket(), AMPLE).await;
            assert_eq!(lines.as_ref().is_ok_and(Vec::is_empty), is_empty, "{message}: {lines:?}");
            let request = engine.requests.lock().unwrap()[0].clone();
            assert!(request.starts_with("/containers/a1/logs?follow=false&stdout=true&stderr=true"), "{request}");
            assert!(request.contains("timestamps=false&tail=40"), "{request}");
        }
    }
}
