//! Receivers as others have written them: Apprise, which passes alerts on to a hundred services more, and the libraries with which
//! a webhook is checked and read. `./test` installs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use ibga::alert::channel::{Receipt, SendError, Surroundings, open};
use ibga::settings::{ChannelSettings, Secret};
use ibga_core::alert::Kind;
use serde_json::{Value, json};

use crate::server::{Received, Says, Server, Then, answer};
use crate::{LONG, ways};

/// Where `./test` installs them.
fn programs() -> PathBuf {
    let beside_the_build = || Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("test-tools");
    let tools = std::env::var_os("IBGA_TEST_TOOLS").map_or_else(beside_the_build, PathBuf::from);
    let programs = tools.join("alerts/bin");
    assert!(programs.exists(), "{} is missing: run ./test, which installs it", programs.display());
    programs
}

async fn send(settings: &ChannelSettings) -> Result<Receipt, SendError> {
    let (channel, message) = (open(settings, &Surroundings::default()), ways::message(Kind::Problem));
    tokio::time::timeout(LONG, channel.send(&message)).await.expect("an end")
}

fn only(server: &Server) -> Received {
    let received = server.received();
    let [request] = received.as_slice() else { panic!("{received:?}") };
    request.clone()
}

#[tokio::test]
async fn real_receiver_apprise() {
    let (ok, refused): (Says, Says) =
        (Arc::new(|_| answer("200 OK", "", "")), Arc::new(|_| answer("500 Internal Server Error", "", "")));
    for (says, is_accepted) in [(ok, true), (refused, false)] {
        let server = Server::start(None, says, Then::Closes).await;
        let line = format!(
            "cd '{}' && ./python -c 'import json, sys; print(json.load(sys.stdin)[\"brief\"])' | \
             ./apprise --title \"$IBGA_ALERT_SUBJECT\" 'json://{}/first-secret'",
            programs().display(),
            server.address
        );
        let sent = send(&ChannelSettings::Command { line }).await;
        assert_eq!(sent.is_ok(), is_accepted, "{sent:?}");
        assert!(!format!("{sent:?}").contains("first-secret"), "{sent:?}");
        let (body, message) = (only(&server).body, ways::message(Kind::Problem));
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(
            (body["title"].as_str(), body["message"].as_str()),
            (Some(&*message.subject), Some(&*message.brief))
        );
    }
}

#[tokio::test]
async fn real_receiver_of_webhooks() {
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let says: Says = Arc::new(|_| answer("204 No Content", "", ""));
    let server = Server::start(None, says, Then::Closes).await;
    let url = Secret::Text(format!("http://{}/", server.address));
    let sent = send(&ChannelSettings::Webhook { url, secret: Some(Secret::Text(SECRET.into())) }).await;
    assert_eq!(sent.expect("accepted").as_str(), "204 No Content");
    let (request, message) = (only(&server), ways::message(Kind::Problem));
    let output = check(&request, SECRET);
    assert!(output.status.success(), "{output:?}");
    let data =
        json!({ "alert": message.alert, "subject": message.subject, "text": message.text, "brief": message.brief });
    assert_eq!(
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON"),
        json!({ "id": message.alert.key, "type": "ibga.alert.problem", "data": data })
    );
    let forged = Received { body: request.body.replace("api_silent", "ready"), ..request };
    let output = check(&forged, SECRET);
    assert!(String::from_utf8_lossy(&output.stderr).contains("No matching signature found"), "{output:?}");
}

/// What the receiver makes of a request.
fn check(request: &Received, secret: &str) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/channels/receiver.py");
    let headers =
        request.head.iter().filter_map(|line| line.split_once(": ")).map(|(name, value)| (name, value.into()));
    let headers = Value::Object(headers.map(|(name, value)| (name.to_owned(), value)).collect());
    let document = json!({ "secret": secret, "headers": headers, "body": request.body }).to_string();
    let mut python = Command::new(programs().join("python"));
    let python = python.arg("-I").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut python = python.spawn().expect("python starts");
    let mut input = python.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut input, document.as_bytes()).expect("written");
    drop(input);
    python.wait_with_output().expect("python ends")
}
