//! Every way over HTTP: the channels and the dead man's switch, each with secrets that are easily found again.

use std::time::Duration;

use ibga::alert::channel::{ChannelName, Receipt, SendError, Surroundings, open};
use ibga::alert::message::Message;
use ibga::alert::ping::{Signal, ping};
use ibga::settings::{ChannelSettings, Secret};
use ibga_core::alert::{Alert, Audience, Hours, Kind, Subject, Trading};
use ibga_core::cause::{Cause, Status};

/// A run of the dead man's switch.
pub const RUN: &str = "9f1c6d0e-3c1b-4a55-8b7e-0123456789ab";

/// What no text may contain.
const SECRETS: [&str; 4] = ["first-secret", "second-secret", "third-secret", "fourth-secret"];

/// A message with letters beyond ASCII and with what services read as markup.
pub fn message(kind: Kind) -> Message {
    let at = "2026-11-24T14:00:05Z".parse().expect("a time");
    let is_over = kind == Kind::Recovery;
    Message {
        alert: Alert {
            key: format!("börse.{}.api_silent.1795528800000000", kind.code()),
            kind,
            subject: if is_over { Subject::Ready } else { Subject::NeedsApproval },
            audience: Audience::First,
            gateway: "börse".into(),
            endpoint: "127.0.0.1:4001".into(),
            host: "desk-1".into(),
            status: Some(if is_over { Status::Ready } else { Status::NotAuthenticated }),
            cause: Some(if is_over { Cause::Ready } else { Cause::ApiSilent }),
            text: Some("connected, but no byte came back".into()),
            reasons: Vec::new(),
            remedies: vec!["Approve the login on the phone.".into()],
            since: "2026-11-24T14:00:00Z".parse().expect("a time"),
            at,
            down_since: None,
            changes: None,
            hours: Hours { exchange: "XETR".into(), trading: Trading::Off, next_open: None, next_close: None },
            forecast: None,
        },
        subject: "IBGA NEEDS IB KEY APPROVAL – api_silent, börse".into(),
        text: "No byte came back.\nApprove the login on the phone.\n".into(),
        html: "<p>No byte came back.</p>".into(),
        brief: "No byte came back <since> 15:00 & now: „Bitte bestätigen“ 🚨 @everyone".into(),
    }
}

/// A way and what it takes to be accepted on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Channel(ChannelName),
    Check,
    PushMonitor,
}

impl Way {
    pub const ALL: [Self; 9] = [
        Self::Channel(ChannelName::Webhook),
        Self::Channel(ChannelName::Ntfy),
        Self::Channel(ChannelName::Telegram),
        Self::Channel(ChannelName::Slack),
        Self::Channel(ChannelName::Discord),
        Self::Channel(ChannelName::Pushover),
        Self::Channel(ChannelName::Alertmanager),
        Self::Check,
        Self::PushMonitor,
    ];

    /// What the service says when it accepts: a beginning in its own words, and what it repeats.
    pub fn accepts(self, repeated: &str) -> String {
        let repeated = serde_json::Value::from(repeated);
        match self {
            Self::Channel(ChannelName::Ntfy | ChannelName::Discord) => format!(r#"{{"id":"1","you sent":{repeated}}}"#),
            Self::Channel(ChannelName::Telegram) | Self::PushMonitor => {
                format!(r#"{{"ok":true,"you sent":{repeated}}}"#)
            }
            Self::Channel(ChannelName::Pushover) => format!(r#"{{"status":1,"you sent":{repeated}}}"#),
            _ => format!("ok, you sent {repeated}"),
        }
    }

    /// What only the service may know.
    pub fn secrets(self) -> &'static [&'static str] {
        let count = match self {
            Self::Channel(ChannelName::Webhook) => 4,
            Self::Channel(ChannelName::Alertmanager) => 3,
            Self::Channel(ChannelName::Telegram) => 1,
            _ => 2,
        };
        &SECRETS[..count]
    }

    /// Whether a good status is not enough.
    pub fn wants_proof(self) -> bool {
        use ChannelName::{Discord, Ntfy, Pushover, Telegram};
        matches!(self, Self::Channel(Ntfy | Discord | Telegram | Pushover))
    }

    /// Whether no message could be to blame for a refusal.
    pub fn takes_every_message(self) -> bool {
        matches!(self, Self::Channel(ChannelName::Telegram | ChannelName::Pushover))
    }

    /// Settings for a server at this URL.
    pub fn settings(self, base: &str) -> Option<ChannelSettings> {
        let [first, second, third, fourth] = SECRETS;
        let secret = |text: &str| Secret::Text(text.to_owned());
        let with_login = base.replace("://", &format!("://{second}:{third}@"));
        let Self::Channel(name) = self else { return None };
        Some(match name {
            ChannelName::Webhook => ChannelSettings::Webhook {
                url: secret(&format!("{with_login}/hooks/{first}?key={fourth}")),
                secret: Some(secret(second)),
            },
            ChannelName::Ntfy => {
                ChannelSettings::Ntfy { url: secret(&format!("{base}/{first}")), token: Some(secret(second)) }
            }
            ChannelName::Telegram => ChannelSettings::Telegram {
                api: base.to_owned(),
                token: secret(&format!("7:{first}")),
                chat: "-100".into(),
            },
            ChannelName::Slack => ChannelSettings::Slack { url: secret(&format!("{base}/services/{first}/{second}")) },
            ChannelName::Discord => {
                ChannelSettings::Discord { url: secret(&format!("{base}/api/webhooks/{first}/{second}?thread_id=9")) }
            }
            ChannelName::Pushover => {
                ChannelSettings::Pushover { api: base.to_owned(), token: secret(first), user: secret(second) }
            }
            ChannelName::Alertmanager => {
                ChannelSettings::Alertmanager { url: secret(&format!("{with_login}/{first}/")) }
            }
            ChannelName::Email | ChannelName::Sendmail | ChannelName::Command => panic!("{name} speaks no HTTP"),
        })
    }

    /// Tries it once. `None` if the time was up.
    pub async fn goes(
        self,
        base: &str,
        surroundings: &Surroundings,
        limit: Duration,
    ) -> Option<Result<Receipt, SendError>> {
        let trying = async {
            if let Some(settings) = self.settings(base) {
                return open(&settings, surroundings).send(&message(Kind::Problem)).await;
            }
            let path = if self == Self::Check { "ping" } else { "api/push" };
            let url = Secret::Text(format!("{base}/{path}/{}?key={}", SECRETS[0], SECRETS[1]));
            let told = ping(&url, surroundings, Signal::Failure, "api_silent of U1234567 – börse", RUN).await;
            told.map(|()| Receipt::new("told"))
        };
        let outcome = tokio::time::timeout(limit, trying).await.ok();
        self.assert_discreet(outcome.as_ref());
        outcome
    }

    /// No text tells a secret, whole or in part, or an account id.
    fn assert_discreet(self, outcome: Option<&Result<Receipt, SendError>>) {
        let text = match outcome {
            None => return,
            Some(Ok(receipt)) => receipt.as_str(),
            Some(Err(error)) => &error.text,
        };
        for word in ["secret", "-sec", "U1234567", "\n"] {
            assert!(!text.contains(word), "{self:?}: {text}");
        }
        assert!(!text.is_empty() && text.chars().count() <= 301, "{self:?}: {text}");
    }
}
