//! Every channel that speaks HTTP, the dead man's switch and the command, against servers and programs that do everything wrong
//! there is to do. What holds for one has to hold for all, so one table drives them.

#![allow(unreachable_pub, reason = "modules of one test")]
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail their test")]

#[path = "../common/mod.rs"]
mod common;

#[path = "../common/port.rs"]
mod port;

mod command;
mod real_alertmanager;
mod real_receivers;
mod server;
mod ways;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use common::Desk;
use futures_util::future::join_all;
use ibga::alert::channel::{Blame, ChannelName, Receipt, SendError, Surroundings, open};
use ibga::settings::{ChannelSettings, Secret};
use ibga_core::alert::Kind;
use rustls::ServerConfig;
use server::{Authority, Received, Says, Server, Then, answer};
use ways::Way;

/// Longer than anything takes that ends by itself.
const LONG: Duration = Duration::from_secs(20);

/// How long the caller waits after a request for what never ends.
const SHORT: Duration = Duration::from_millis(300);

type Outcome = Option<Result<Receipt, SendError>>;

/// What came of one way.
struct Tried {
    way: Way,
    outcome: Outcome,
    server: Server,
}

impl Tried {
    fn error(&self) -> &SendError {
        match &self.outcome {
            Some(Err(error)) => error,
            other => panic!("{:?}: {other:?}", self.way),
        }
    }

    fn receipt(&self) -> &Receipt {
        match &self.outcome {
            Some(Ok(receipt)) => receipt,
            other => panic!("{:?}: {other:?}", self.way),
        }
    }

    fn place(&self) -> String {
        self.server.address.to_string()
    }
}

/// Tries all ways at once, each with a server of its own that says this.
async fn try_all(says: impl Fn(Way) -> Says, then: Then, limit: Duration) -> Vec<Tried> {
    join_all(Way::ALL.map(|way| try_one(way, None, Surroundings::default(), says(way), then, limit))).await
}

async fn try_one(
    way: Way,
    tls: Option<Arc<ServerConfig>>,
    surroundings: Surroundings,
    says: Says,
    then: Then,
    limit: Duration,
) -> Tried {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let server = Server::start(tls, says, then).await;
    let base = format!("{scheme}://{}", server.address);
    // The limit counts from the request on: however slow this machine is today, there was one.
    let patience = async {
        server.wait_until_answered().await;
        tokio::time::sleep(limit).await;
    };
    let outcome = tokio::select! {
        outcome = way.goes(&base, &surroundings, LONG) => outcome,
        () = patience => None,
    };
    Tried { way, outcome, server }
}

/// What a careless server repeats: where it was asked, and all that it was told in confidence.
fn repeated(way: Way, request: &Received) -> String {
    let login = request.header("authorization").unwrap_or_default();
    format!("{} {} {login}", request.target(), way.secrets().join(" "))
}

/// Says the same whatever it is asked.
fn always(text: String) -> impl Fn(Way) -> Says {
    move |_| {
        let text = text.clone();
        Arc::new(move |_| text.clone())
    }
}

/// Refuses with this status, and repeats what it was sent.
fn refuses(status: &'static str, headers: &'static str) -> impl Fn(Way) -> Says {
    move |way| Arc::new(move |request| answer(status, headers, &repeated(way, request)))
}

fn accepts(way: Way) -> Says {
    Arc::new(move |request| answer("200 OK", "", &way.accepts(&repeated(way, request))))
}

#[tokio::test]
async fn what_each_way_sends() {
    let mut text = String::new();
    for tried in try_all(accepts, Then::Closes, LONG).await {
        let received = tried.server.received();
        let [request] = received.as_slice() else { panic!("{:?}: {received:?}", tried.way) };
        let request = steady(&request.to_string(), &tried.place());
        let _ = writeln!(text, "--- {:?}\n{request}\n=> {}\n", tried.way, tried.receipt().as_str());
    }
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn texts_of_any_length_fit() {
    let characters = |text: &str| text.encode_utf16().count();
    let mut message = ways::message(Kind::Problem);
    (message.subject, message.brief) = ("„🚨“ ".repeat(2000), "größer & <länger> ".repeat(2000));
    for (name, field, room, length) in [
        (ChannelName::Ntfy, "title", 250, &str::len as &dyn Fn(&str) -> usize),
        (ChannelName::Ntfy, "message", 4096, &str::len),
        (ChannelName::Telegram, "text", 4096, &characters),
        (ChannelName::Discord, "content", 2000, &characters),
        (ChannelName::Pushover, "title", 250, &characters),
        (ChannelName::Pushover, "message", 1024, &characters),
    ] {
        let way = Way::Channel(name);
        let server = Server::start(None, accepts(way), Then::Closes).await;
        let settings = way.settings(&format!("http://{}", server.address)).expect("settings");
        assert!(open(&settings, &Surroundings::default()).send(&message).await.is_ok(), "{name}");
        let text = field_of(&server.received()[0].body, field);
        assert!(
            text.ends_with('…') && (room - 12..=room).contains(&length(&text)),
            "{name} {field}: {}",
            length(&text)
        );
    }
}

/// A field of a JSON document or of a form.
fn field_of(body: &str, field: &str) -> String {
    if let Ok(document) = serde_json::from_str::<serde_json::Value>(body) {
        return document[field].as_str().expect("a text").to_owned();
    }
    let form = reqwest::Url::parse(&format!("form:?{body}")).expect("a form");
    form.query_pairs().find(|(name, _)| name == field).expect("the field").1.into_owned()
}

/// Without what changes from run to run.
fn steady(request: &str, place: &str) -> String {
    let request =
        request.replace(place, "[place]").replace(concat!("ibga/", env!("CARGO_PKG_VERSION")), "ibga/[version]");
    let steady = |line: &str| match line.split_once(": ") {
        // An instant with a zero at its end is shorter by one.
        Some((name @ ("content-length" | "webhook-timestamp" | "webhook-signature"), _)) => format!("{name}: […]"),
        _ => match line.split_once(r#""endsAt":""#) {
            Some((before, after)) => format!(r#"{before}"endsAt":"[…]{}"#, after.trim_start_matches(|c| c != '"')),
            None => line.to_owned(),
        },
    };
    request.lines().map(steady).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_closed_port() {
    let port = port::free_port();
    for way in Way::ALL {
        let outcome = way.goes(&format!("http://127.0.0.1:{port}"), &Surroundings::default(), LONG).await;
        let error = outcome.expect("an end").expect_err("nobody listens");
        assert_eq!(error.blame, Blame::Channel, "{way:?}");
        let expected = format!("cannot connect to 127.0.0.1:{port}: Connection refused (os error 111)");
        assert_eq!(error.text, expected, "{way:?}");
    }
}

#[tokio::test]
async fn silence_ends_with_the_callers_limit() {
    for tried in try_all(always(String::new()), Then::Holds, SHORT).await {
        assert_eq!(tried.outcome, None, "{:?}", tried.way);
        // The connection is closed, too.
        tried.server.wait_until_left().await;
    }
}

#[tokio::test]
async fn half_a_head_ends_with_the_callers_limit() {
    for tried in try_all(always("HTTP/1.1 200 OK\r\nServer: sl".into()), Then::Holds, SHORT).await {
        assert_eq!(tried.outcome, None, "{:?}", tried.way);
        tried.server.wait_until_left().await;
    }
}

#[tokio::test]
async fn tls_that_never_comes() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = listener.local_addr().expect("an address");
    let base = format!("https://{place}");
    let surroundings = Surroundings::default();
    for outcome in join_all(Way::ALL.map(|way| way.goes(&base, &surroundings, LONG))).await {
        let error = outcome.expect("an end").expect_err("nobody speaks");
        assert_eq!((error.blame, error.text), (Blame::Channel, format!("{place} opened no connection within 10 s")));
    }
}

#[tokio::test]
async fn a_head_without_end() {
    for tried in try_all(always("HTTP/1.1 200 OK\r\n".into()), Then::Repeats("More: and more\r\n"), LONG).await {
        let expected = format!("{} gave no answer: message head is too large", tried.place());
        assert_eq!((tried.error().blame, &*tried.error().text), (Blame::Channel, &*expected), "{:?}", tried.way);
    }
}

#[tokio::test]
async fn a_body_that_stops_or_never_ends() {
    for (begun, then) in
        [("well first-sec", Then::Holds), ("well ", Then::Repeats("and more ")), ("well first-sec", Then::Closes)]
    {
        let said = format!("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{begun}");
        for tried in try_all(always(said), then, LONG).await {
            if tried.way.wants_proof() {
                let text = &tried.error().text;
                assert!(text.contains("answers 200 OK, but not as "), "{:?}, {then:?}: {text}", tried.way);
                assert!(text.contains(" does (check the URL): well"), "{:?}, {then:?}: {text}", tried.way);
            } else {
                assert!(tried.receipt().as_str().starts_with(['2', 't']), "{:?}, {then:?}", tried.way);
            }
            tried.server.wait_until_left().await;
        }
    }
}

#[tokio::test]
async fn what_is_no_http() {
    for (said, then, fault) in [
        ("SSH-2.0-OpenSSH_9.2p1\r\n", Then::Closes, "invalid HTTP version parsed"),
        ("", Then::Closes, "connection closed before message completed"),
        ("\u{0}\u{1}\u{2}", Then::Repeats("\u{7}"), "invalid HTTP version parsed"),
    ] {
        for tried in try_all(always(said.into()), then, LONG).await {
            let expected = format!("{} gave no answer: {fault}", tried.place());
            assert_eq!((tried.error().blame, &*tried.error().text), (Blame::Channel, &*expected), "{:?}", tried.way);
        }
    }
}

#[tokio::test]
async fn refusals() {
    let token = " (check the token or password, and the URL): ";
    let url = " (check the URL, and the token if it is a part of it): ";
    for (status, headers, blame, wait, advice) in [
        ("400 Bad Request", "", Blame::Message, None, ": "),
        ("401 Unauthorized", "", Blame::Channel, None, token),
        ("403 Forbidden", "", Blame::Channel, None, token),
        ("404 Not Found", "", Blame::Channel, None, url),
        ("405 Method Not Allowed", "", Blame::Channel, None, url),
        ("408 Request Timeout", "", Blame::Channel, None, ": "),
        ("410 Gone", "", Blame::Channel, None, url),
        ("413 Payload Too Large", "", Blame::Message, None, ": "),
        ("422 Unprocessable Entity", "", Blame::Message, None, ": "),
        ("429 Too Many Requests", "Retry-After: 120\r\n", Blame::Channel, Some(120), ": "),
        ("429 Too Many Requests", "Retry-After: Tue, 31 Dec 2999 23:59:59 GMT\r\n", Blame::Channel, Some(3600), ": "),
        ("429 Too Many Requests", "Retry-After: in a while\r\n", Blame::Channel, None, ": "),
        ("500 Internal Server Error", "", Blame::Channel, None, ": "),
        ("502 Bad Gateway", "", Blame::Channel, None, ": "),
        ("503 Service Unavailable", "Retry-After: 17\r\n", Blame::Channel, Some(17), ": "),
    ] {
        for tried in try_all(refuses(status, headers), Then::Closes, LONG).await {
            let error = tried.error();
            let blame = if tried.way.takes_every_message() { Blame::Channel } else { blame };
            assert_eq!(
                (error.blame, error.retry_after),
                (blame, wait.map(Duration::from_secs)),
                "{:?}: {status}",
                tried.way
            );
            let expected = format!("{} answers {status}{advice}/", tried.place());
            assert!(error.text.starts_with(&expected), "{:?}: {}", tried.way, error.text);
        }
    }
}

#[tokio::test]
async fn telegram_asks_for_time_in_its_own_words() {
    let says: Says = Arc::new(|_| {
        answer("429 Too Many Requests", "", r#"{"ok":false,"error_code":429,"parameters":{"retry_after":35}}"#)
    });
    let way = Way::Channel(ChannelName::Telegram);
    let tried = try_one(way, None, Surroundings::default(), says, Then::Closes, LONG).await;
    assert_eq!(tried.error().retry_after, Some(Duration::from_secs(35)));
}

#[tokio::test]
async fn a_good_status_alone_proves_nothing() {
    let page = "<!DOCTYPE html><title>Log in to the network</title>";
    for tried in try_all(always(answer("200 OK", "", page)), Then::Closes, LONG).await {
        match tried.way {
            // Whoever wrote the receiver may answer as they like.
            Way::Channel(ChannelName::Webhook) | Way::Check | Way::PushMonitor => {
                tried.receipt();
            }
            Way::Channel(_) => assert!(tried.error().text.contains("answers 200 OK, but not as "), "{}", tried.error()),
        }
    }
    for (way, refusal) in [
        (Way::Channel(ChannelName::Telegram), r#"{"ok":false,"description":"first-secret"}"#),
        (Way::Channel(ChannelName::Pushover), r#"{"status":0,"errors":["first-secret"]}"#),
        (Way::Check, "OK (not found)"),
        (Way::Check, "OK (rate limited)"),
    ] {
        let says = always(answer("200 OK", "", refusal))(way);
        let tried = try_one(way, None, Surroundings::default(), says, Then::Closes, LONG).await;
        assert_eq!(tried.error().blame, Blame::Channel, "{way:?}");
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let elsewhere = Server::start(None, accepts(Way::Check), Then::Closes).await;
    let place = elsewhere.address.to_string();
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let to = format!("Location: http://{place}/first-secret?second-secret\r\n");
        for tried in try_all(always(answer(status, &to, "")), Then::Closes, LONG).await {
            let here = tried.place();
            let expected =
                format!("{here} answers {status}, which leads to {place} and is not followed (check the URL)");
            assert_eq!((tried.error().blame, &*tried.error().text), (Blame::Channel, &*expected), "{:?}", tried.way);
        }
    }
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn tls_with_an_authority_of_ones_own() {
    let (desk, authority) = (Desk::new(), Authority::of("127.0.0.1"));
    let surroundings = Surroundings { ca_file: Some(desk.write("ca.pem", &authority.pem)), ..Surroundings::default() };
    for way in Way::ALL {
        let tls = Some(Arc::clone(&authority.server));
        let tried = try_one(way, tls, surroundings.clone(), accepts(way), Then::Closes, LONG).await;
        assert!(!tried.receipt().as_str().is_empty());
        assert_eq!(tried.server.received().len(), 1, "{way:?}");
    }
}

#[tokio::test]
async fn tls_that_proves_nothing() {
    let (desk, authority, other) = (Desk::new(), Authority::of("127.0.0.1"), Authority::of("gateway.example"));
    let believing = |pem: &str| Surroundings { ca_file: Some(desk.write("ca.pem", pem)), ..Surroundings::default() };
    let unknown = "shows a certificate of an unknown authority; give the authority's as alert_ca_file";
    for way in Way::ALL {
        let tried = |tls: &Arc<ServerConfig>, surroundings| {
            try_one(way, Some(Arc::clone(tls)), surroundings, accepts(way), Then::Closes, LONG)
        };
        let none = tried(&authority.server, Surroundings::default()).await;
        assert_eq!(none.error().text, format!("{} {unknown}", none.place()), "{way:?}");
        let another = tried(&authority.server, believing(&other.pem)).await;
        assert_eq!(another.error().text, format!("{} {unknown}", another.place()), "{way:?}");
        let misnamed = tried(&other.server, believing(&other.pem)).await;
        assert!(misnamed.error().text.contains("certificate not valid for name"), "{way:?}: {}", misnamed.error());
        for tried in [none, another, misnamed] {
            assert_eq!((tried.error().blame, tried.server.received().len()), (Blame::Channel, 0), "{way:?}");
        }
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_read() {
    let desk = Desk::new();
    let absent = desk.path("absent");
    let secret = Secret::File(absent.clone());
    let expected = SendError::channel(&format!("{} - No such file or directory (os error 2)", absent.display()));
    for settings in [
        ChannelSettings::Webhook { url: secret.clone(), secret: None },
        ChannelSettings::Webhook { url: Secret::Text("http://127.0.0.1:1".into()), secret: Some(secret.clone()) },
        ChannelSettings::Ntfy { url: secret.clone(), token: None },
        ChannelSettings::Ntfy { url: Secret::Text("http://127.0.0.1:1/topic".into()), token: Some(secret.clone()) },
        ChannelSettings::Telegram { api: "http://127.0.0.1:1".into(), token: secret.clone(), chat: "1".into() },
        ChannelSettings::Slack { url: secret.clone() },
        ChannelSettings::Discord { url: secret.clone() },
        ChannelSettings::Pushover { api: "http://127.0.0.1:1".into(), token: secret.clone(), user: secret.clone() },
        ChannelSettings::Alertmanager { url: secret },
    ] {
        let channel = open(&settings, &Surroundings::default());
        assert_eq!(channel.send(&ways::message(Kind::Problem)).await, Err(expected.clone()), "{settings:?}");
    }
    // The file is read again for every message, so that a secret can be changed while the program runs.
    let way = Way::Channel(ChannelName::Slack);
    let server = Server::start(None, accepts(way), Then::Closes).await;
    desk.write("absent", &format!("http://{}/hook\n", server.address));
    let channel = open(&ChannelSettings::Slack { url: Secret::File(absent) }, &Surroundings::default());
    assert!(channel.send(&ways::message(Kind::Problem)).await.is_ok());
}

/// Set in the process that has a proxy: where this machine can be reached without.
const DIRECT: &str = "IBGA_TEST_DIRECT";

#[tokio::test]
async fn the_proxy_of_the_environment_is_used_but_not_for_this_machine() {
    let way = Way::Channel(ChannelName::Webhook);
    if let Ok(direct) = std::env::var(DIRECT) {
        let surroundings = Surroundings::default();
        for base in [direct.as_str(), "http://service.example"] {
            assert!(matches!(way.goes(base, &surroundings, LONG).await, Some(Ok(_))), "{base}");
        }
        let refused = way.goes("https://service.example", &surroundings, LONG).await.expect("an end");
        let error = refused.expect_err("the proxy opens no tunnel");
        assert!(error.text.starts_with("cannot connect to service.example:443: "), "{error}");
        return;
    }
    let (proxy, direct) =
        tokio::join!(Server::start(None, accepts(way), Then::Closes), Server::start(None, accepts(way), Then::Closes));
    let tunnel = Server::start(None, refuses("502 Bad Gateway", "")(way), Then::Closes).await;
    let child = tokio::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "the_proxy_of_the_environment_is_used_but_not_for_this_machine"])
        .env("HTTP_PROXY", format!("http://jane:third-secret@{}", proxy.address))
        .env("HTTPS_PROXY", format!("http://jane:third-secret@{}", tunnel.address))
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .env(DIRECT, format!("http://{}", direct.address))
        .output();
    let output = child.await.expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let first_line =
        |server: &Server| server.received().iter().map(|request| request.head[0].clone()).collect::<Vec<_>>();
    assert_eq!(first_line(&proxy), ["POST http://service.example/hooks/first-secret?key=fourth-secret HTTP/1.1"]);
    assert_eq!(first_line(&tunnel), ["CONNECT service.example:443 HTTP/1.1"]);
    assert_eq!(first_line(&direct), ["POST /hooks/first-secret?key=fourth-secret HTTP/1.1"]);
    assert_eq!(proxy.received()[0].header("proxy-authorization"), Some("Basic amFuZTp0aGlyZC1zZWNyZXQ="));
}

#[tokio::test]
async fn a_ca_file_that_is_not_to_be_believed() {
    let (desk, authority) = (Desk::new(), Authority::of("127.0.0.1"));
    let writable = desk.write("writable.pem", &authority.pem);
    common::set_mode(&writable, 0o622);
    for (file, fault) in [
        (desk.path("absent.pem"), "No such file or directory (os error 2)"),
        (desk.write("empty.pem", ""), "it holds no certificates in PEM form"),
        (desk.write("other.pem", "not PEM"), "it holds no certificates in PEM form"),
        (writable, "its mode 0622 lets others write it; `chmod go-w` it"),
    ] {
        let surroundings = Surroundings { ca_file: Some(file.clone()), ..Surroundings::default() };
        for way in Way::ALL {
            let outcome = way.goes("https://127.0.0.1:1", &surroundings, LONG).await.expect("an end");
            let error = outcome.expect_err("the file is no good");
            assert_eq!(
                (error.blame, error.text),
                (Blame::Channel, SendError::channel(&format!("alert_ca_file {}: {fault}", file.display())).text)
            );
        }
    }
}
