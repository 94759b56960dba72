//! Prometheus Alertmanager itself, with a receiver that writes down what it is notified of. `./test` installs it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use ibga::alert::channel::{Surroundings, open};
use ibga::alert::message::Message;
use ibga::settings::{ChannelSettings, Secret};
use ibga_core::alert::Kind;
use ibga_core::cause::{Cause, Status};
use ibga_core::clock;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::Desk;
use crate::server::{Says, Server, Then, answer};
use crate::{LONG, ways};

/// An Alertmanager that ends with its test.
struct Alertmanager {
    process: Child,
    address: SocketAddr,
    receiver: Server,
    _desk: Desk,
}

impl Alertmanager {
    async fn start() -> Self {
        let says: Says = Arc::new(|_| answer("200 OK", "", ""));
        let (desk, receiver) = (Desk::new(), Server::start(None, says, Then::Closes).await);
        let configuration = json!({
            "route": { "receiver": "test", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s" },
            "receivers": [{ "name": "test", "webhook_configs": [{ "url": format!("http://{}/", receiver.address) }] }],
        });
        let file = desk.write("alertmanager.yml", &configuration.to_string());
        let mut process = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", desk.path("data").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="])
            .stderr(Stdio::piped())
            .spawn()
            .expect("prometheus-alertmanager is missing: run ./test, which installs it");
        let mut lines = BufReader::new(process.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
        let said = lines.find_map(|line| Some(line.split_once(r#"msg="Listening on" address="#)?.1.to_owned()));
        let address = said.expect("it listens").trim().parse().expect("an address");
        // Or the full pipe would hold it up some day.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address, receiver, _desk: desk }
    }

    async fn send(&self, message: &Message) {
        let settings = ChannelSettings::Alertmanager { url: Secret::Text(format!("http://{}", self.address)) };
        let channel = open(&settings, &Surroundings::default());
        let sent = tokio::time::timeout(LONG, channel.send(message)).await.expect("an end");
        assert_eq!(sent.expect("accepted").as_str(), "200 OK");
    }

    /// Its own word on the alerts that are not resolved.
    async fn alerts(&self) -> Vec<Value> {
        serde_json::from_value(self.ask("GET", "/api/v2/alerts", "").await).expect("a list")
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.0 200"), "{answer}");
        serde_json::from_str(body).expect("JSON")
    }

    /// Returns when its receiver has been told of this alert with this status.
    async fn wait_for_notification(&self, name: &str, status: &str) {
        let is_told = || {
            let bodies = self.receiver.received().into_iter().map(|request| request.body);
            bodies
                .filter_map(|body| serde_json::from_str::<Value>(&body).ok())
                .any(|told| told["status"] == status && told["alerts"][0]["labels"]["alertname"] == name)
        };
        let waiting = async {
            while !is_told() {
                self.receiver.wait_until_left().await;
            }
        };
        tokio::time::timeout(LONG, waiting).await.unwrap_or_else(|_| panic!("{name} is never {status}"));
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn names(alerts: &[Value]) -> Vec<&str> {
    alerts.iter().filter_map(|alert| alert["labels"]["alertname"].as_str()).collect()
}

#[tokio::test]
async fn real_alertmanager_follows_a_problem_to_its_end() {
    let alertmanager = Alertmanager::start().await;
    let mut message = ways::message(Kind::Problem);
    alertmanager.send(&message).await;
    let alerts = alertmanager.alerts().await;
    let [alert] = alerts.as_slice() else { panic!("{alerts:?}") };
    let labels = json!({ "alertname": "IbgaNotReady", "gateway": "börse", "host": "desk-1", "severity": "critical" });
    assert_eq!((&alert["labels"], &alert["annotations"]["cause"]), (&labels, &json!("api_silent")));
    alertmanager.wait_for_notification("IbgaNotReady", "firing").await;

    message.alert.cause = Some(Cause::PortRefused);
    message.alert.status = Some(Status::NotConnected);
    alertmanager.send(&message).await;
    let alerts = alertmanager.alerts().await;
    let [alert] = alerts.as_slice() else { panic!("{alerts:?}") };
    assert_eq!((&alert["labels"], &alert["annotations"]["cause"]), (&labels, &json!("port_refused")));
    assert_eq!(alert["annotations"]["status"], "not_connected");

    for kind in [Kind::Reminder, Kind::Escalation] {
        alertmanager.send(&ways::message(kind)).await;
        assert_eq!(names(&alertmanager.alerts().await), ["IbgaNotReady"], "{kind:?}");
    }
    alertmanager.send(&ways::message(Kind::Recovery)).await;
    assert_eq!(alertmanager.alerts().await, Vec::<Value>::new());
    alertmanager.wait_for_notification("IbgaNotReady", "resolved").await;
}

#[tokio::test]
async fn real_alertmanager_hears_where_flapping_led() {
    let alertmanager = Alertmanager::start().await;
    alertmanager.send(&ways::message(Kind::Flapping)).await;
    assert_eq!(names(&alertmanager.alerts().await), ["IbgaFlapping"]);
    alertmanager.send(&ways::message(Kind::Settled)).await;
    assert_eq!(names(&alertmanager.alerts().await), ["IbgaNotReady"]);
    alertmanager.wait_for_notification("IbgaFlapping", "resolved").await;
    let mut settled = ways::message(Kind::Settled);
    settled.alert.status = Some(Status::Ready);
    settled.alert.cause = Some(Cause::Ready);
    alertmanager.send(&settled).await;
    assert_eq!(alertmanager.alerts().await, Vec::<Value>::new());
    for kind in [Kind::NoGo, Kind::Test] {
        alertmanager.send(&ways::message(kind)).await;
    }
    let alerts = alertmanager.alerts().await;
    let mut names = names(&alerts);
    names.sort_unstable();
    assert_eq!(names, ["AgentPreflightFailed", "IbgaTest"]);
}

#[tokio::test]
async fn real_alertmanager_can_be_told_to_keep_quiet() {
    let alertmanager = Alertmanager::start().await;
    let now = clock::now();
    let silence = json!({
        "matchers": [{ "name": "gateway", "value": "börse", "isRegex": false, "isEqual": true }],
        "startsAt": now,
        "endsAt": now + SignedDuration::from_hours(1),
        "createdBy": "test",
        "comment": "known",
    });
    alertmanager.ask("POST", "/api/v2/silences", &silence.to_string()).await;
    alertmanager.send(&ways::message(Kind::Problem)).await;
    let alerts = alertmanager.alerts().await;
    let [alert] = alerts.as_slice() else { panic!("{alerts:?}") };
    assert_eq!(alert["status"]["state"], "suppressed");
}
