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
            vec![("one", "exited", 1, "", r#""NetworkMode":"host","PortBindings":{"4000/tcp":[{"HostPort":"4000"}]}"#)],
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
