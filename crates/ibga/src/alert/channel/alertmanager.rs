//! Prometheus Alertmanager, which holds alerts rather than messages: the same alert is sent again until it is resolved, and what
//! tells one from another are its labels. So the cause is an annotation; as a label it would make another alert of each cause.

use ibga_core::alert::{Alert, Kind, Subject, Trading};
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
        request.send(&self.surroundings).await?.accepted_without_page("Alertmanager")
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
    Recovery,
    RecoveryGivenUp,
    AgentStopped,
    Test,
}

impl Name {
    fn labels(self, alert: &Alert) -> Value {
        // The severity is the name's, not the message's: a reminder with another would be another alert.
        let (name, severity) = match self {
            Self::NotReady => ("IbgaNotReady", "critical"),
            Self::Flapping => ("IbgaFlapping", "warning"),
            Self::PreflightFailed => ("AgentPreflightFailed", "critical"),
            Self::Recovery => ("IbgaRecovery", "info"),
            Self::RecoveryGivenUp => ("IbgaRecoveryGivenUp", "critical"),
            Self::AgentStopped => ("AgentStopped", "critical"),
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
        Kind::Act => {
            let name = match alert.subject {
                Subject::AgentStopped => Name::AgentStopped,
                Subject::RecoveryGivenUp => Name::RecoveryGivenUp,
                _ => Name::Recovery,
            };
            vec![(name, (alert.since, session_end(alert, now)))]
        }
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

#[cfg(test)]
mod tests {
    use ibga_core::alert::{Hours, Reason};

    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    /// A message of noon that is sent five minutes later.
    fn told(change: impl FnOnce(&mut Alert)) -> Value {
        let hours = Hours { exchange: "XETR".into(), trading: Trading::Off, next_open: None, next_close: None };
        let mut alert =
            ibga_core::alert::test("default", "127.0.0.1:4001", "desk", &hours, time("2026-11-24T12:00:00Z"));
        change(&mut alert);
        let (subject, text, brief) = ("IBGA".to_owned(), "What happened.".to_owned(), String::new());
        alerts(&Message { alert, subject, text, html: String::new(), brief }, time("2026-11-24T12:05:00Z"))
    }

    /// Name, beginning and end of each.
    fn spans(told: &Value) -> String {
        let of = |alert: &Value, field: &str| {
            alert[field].as_str().expect("a time").replace("2026-", "").replace(":00Z", "")
        };
        let line = |alert: &Value| {
            let name = alert["labels"]["alertname"].as_str().expect("a name");
            format!("{name} {} {}", of(alert, "startsAt"), of(alert, "endsAt"))
        };
        told.as_array().expect("a list").iter().map(line).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn how_long_each_alert_lasts() {
        let ready = |alert: &mut Alert| alert.status = Some(Status::Ready);
        let bad = |alert: &mut Alert| alert.status = Some(Status::NotConnected);
        let down = |alert: &mut Alert| {
            alert.status = Some(Status::Ready);
            alert.down_since = Some(time("2026-11-24T09:00:00Z"));
        };
        let ahead = |alert: &mut Alert| alert.since = time("2026-11-24T13:00:00Z");
        let open = |alert: &mut Alert| {
            alert.hours.trading = Trading::On;
            alert.hours.next_close = Some(time("2026-11-24T16:30:00Z"));
        };
        let closed_since = |alert: &mut Alert| {
            alert.hours.trading = Trading::On;
            alert.hours.next_close = Some(time("2026-11-24T12:01:00Z"));
        };
        for (kind, change, expected) in [
            (Kind::Problem, &bad as &dyn Fn(&mut Alert), "IbgaNotReady 11-24T12:00 12-02T12:05"),
            (Kind::Reminder, &bad, "IbgaNotReady 11-24T12:00 12-02T12:05"),
            (Kind::Escalation, &bad, "IbgaNotReady 11-24T12:00 12-02T12:05"),
            (Kind::Problem, &ahead, "IbgaNotReady 11-24T12:05 12-02T12:05"),
            (Kind::Recovery, &down, "IbgaNotReady 11-24T09:00 11-24T12:05"),
            (Kind::Recovery, &ready, "IbgaNotReady 11-24T12:00 11-24T12:05"),
            (Kind::Flapping, &bad, "IbgaFlapping 11-24T12:00 12-02T12:05"),
            (Kind::Settled, &ready, "IbgaFlapping 11-24T12:00 11-24T12:05, IbgaNotReady 11-24T12:00 11-24T12:05"),
            (Kind::Settled, &bad, "IbgaFlapping 11-24T12:00 11-24T12:05, IbgaNotReady 11-24T12:00 12-02T12:05"),
            (Kind::NoGo, &open, "AgentPreflightFailed 11-24T12:00 11-24T16:30"),
            (Kind::NoGo, &closed_since, "AgentPreflightFailed 11-24T12:00 11-24T13:05"),
            (Kind::NoGo, &bad, "AgentPreflightFailed 11-24T12:00 11-24T13:05"),
            (Kind::Test, &ready, "IbgaTest 11-24T12:00 11-24T12:10"),
        ] {
            let found = told(|alert| {
                alert.kind = kind;
                change(alert);
            });
            assert_eq!(spans(&found), expected, "{kind:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let found = told(|alert| {
            alert.kind = Kind::NoGo;
            let reason = |code: &str, text: &str| Reason { code: code.into(), text: text.into() };
            alert.reasons =
                vec![reason("status_stale", "the status is 2 h old"), reason("not_ready", "it is not ready")];
            alert.remedies = vec!["Run `ibga check`.".into(), "Look again.".into()];
        });
        assert_eq!(
            found[0]["annotations"],
            json!({
                "summary": "IBGA",
                "description": "What happened.",
                "kind": "no_go",
                "remedy": "Run `ibga check`.\nLook again.",
                "reasons": "status_stale: the status is 2 h old\nnot_ready: it is not ready",
                "endpoint": "127.0.0.1:4001",
            })
        );
    }
}
