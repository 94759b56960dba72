//! Prometheus Alertmanager, which holds alerts rather than messages: the same alert is sent again until it is resolved, and what
//! tells one from another are its labels. So the cause is an annotation; as a label it would make another alert of each cause.

use ibga_core::alert::{Alert, Kind, Trading};
use ibga_core::cause::Status;
use ibga_core::clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::http::Request;
use super::{Channel, ChannelName, Receipt, SendError, Sending, Surroundings};
use crate::alert::message::Message;
use crate::settings::Secret;

/// How long an alert lasts if nothing more comes. Nobody is reminded of what was acknowledged, and an alert that ends while the
/// gateway is not ready would be read as good news; so it is far longer than a weekend.
const LASTS: SignedDuration = SignedDuration::from_hours(8 * 24);

/// How long an agent's no-go lasts outside a trading session.
const NO_GO_LASTS: SignedDuration = SignedDuration::from_hours(1);

/// How long a test lasts: long enough to be grouped and sent on.
const TEST_LASTS: SignedDuration = SignedDuration::from_mins(5);

/// Prometheus Alertmanager.
pub(super) struct Alertmanager {
    url: Secret,
    surroundings: Surroundings,
}

impl Alertmanager {
    pub(super) fn new(url: Secret, surroundings: Surroundings) -> Self {
        Self { url, surroundings }
    }

    async fn post(&self, message: &Message) -> Result<Receipt, SendError> {
        let url = self.surroundings.reveal(&self.url)?;
        let request = Request::post(&url)?.under(&["api", "v2", "alerts"]).json(&alerts(message, clock::now()));
        let answer = request.send(&self.surroundings).await?;
        let receipt = answer.accepted()?;
        if answer.body().trim_start().starts_with('<') { Err(answer.strange("Alertmanager")) } else { Ok(receipt) }
    }
}

impl Channel for Alertmanager {
    fn name(&self) -> ChannelName {
        ChannelName::Alertmanager
    }

    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.post(message))
    }
}

/// What is told apart by its labels.
#[derive(Clone, Copy)]
enum Name {
    NotReady,
    Flapping,
    PreflightFailed,
    Test,
}

impl Name {
    fn labels(self, alert: &Alert) -> Value {
        // The severity is the name's, not the message's: a reminder with another would be another alert.
        let (name, severity) = match self {
            Self::NotReady => ("IbgaNotReady", "critical"),
            Self::Flapping => ("IbgaFlapping", "warning"),
            Self::PreflightFailed => ("AgentPreflightFailed", "critical"),
            Self::Test => ("IbgaTest", "info"),
        };
        json!({ "alertname": name, "severity": severity, "gateway": alert.gateway, "host": alert.host })
    }
}

/// What a message comes to. Times are those of sending: one that waited for long would else end before it begins.
fn alerts(message: &Message, now: Timestamp) -> Value {
    let alert = &message.alert;
    let is_ready = alert.status == Some(Status::Ready);
    let later = |span| now.saturating_add(span).unwrap_or(now);
    let lasting = (alert.since, later(LASTS));
    let over = (alert.down_since.unwrap_or(alert.since), now);
    let changes = match alert.kind {
        Kind::Problem | Kind::Reminder | Kind::Escalation => vec![(Name::NotReady, lasting)],
        Kind::Recovery => vec![(Name::NotReady, over)],
        Kind::Flapping => vec![(Name::Flapping, lasting)],
        // Single changes were not told, so it tells also where they have led.
        Kind::Settled => vec![(Name::Flapping, over), (Name::NotReady, if is_ready { over } else { lasting })],
        Kind::NoGo => vec![(Name::PreflightFailed, (alert.since, session_end(alert, now)))],
        Kind::Test => vec![(Name::Test, (alert.since, later(TEST_LASTS)))],
    };
    let annotations = annotations(message);
    let one = |(name, (starts, ends)): (Name, (Timestamp, Timestamp))| {
        json!({
            "labels": name.labels(alert),
            "annotations": annotations,
            // Refused if it began after its end, as this machine's clock may have it.
            "startsAt": starts.min(now),
            "endsAt": ends,
        })
    };
    changes.into_iter().map(one).collect()
}

/// When a no-go is history.
fn session_end(alert: &Alert, now: Timestamp) -> Timestamp {
    let close = alert.hours.next_close.filter(|close| alert.hours.trading == Trading::On && *close > now);
    close.unwrap_or_else(|| now.saturating_add(NO_GO_LASTS).unwrap_or(now))
}

fn annotations(message: &Message) -> Value {
    let alert = &message.alert;
    let reasons: Vec<String> = alert.reasons.iter().map(|reason| format!("{}: {}", reason.code, reason.text)).collect();
    let all = [
        ("summary", message.subject.clone()),
        ("description", message.text.clone()),
        ("kind", alert.kind.code().to_owned()),
        ("status", alert.status.map(|status| status.as_str().to_owned()).unwrap_or_default()),
        ("cause", alert.cause.map(|cause| cause.code().to_owned()).unwrap_or_default()),
        ("remedy", alert.remedies.join("\n")),
        ("reasons", reasons.join("\n")),
        ("endpoint", alert.endpoint.clone()),
    ];
    let told = all.into_iter().filter(|(_, text)| !text.is_empty());
    Value::Object(told.map(|(name, text)| (name.to_owned(), text.into())).collect::<Map<_, _>>())
}
