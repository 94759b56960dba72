//! The ways to a person. A channel knows its own protocol and nothing of queues, retries or policy: it sends one message and says
//! what became of it.
//!
//! | file | about |
//! |---|---|
//! | `http.rs` | the client of all that speak HTTP: who is to blame for which answer |
//! | `veil.rs` | secrets, taken out of answers |
//! | `bounds.rs` | texts within the lengths that services allow |
//! | the others | a channel each |

mod alertmanager;
mod bounds;
mod command;
mod discord;
pub(super) mod http;
mod ntfy;
mod pushover;
mod slack;
mod telegram;
mod veil;

pub(crate) use veil::Veil;
mod webhook;

pub mod email;
mod guarded;
mod mail;
pub mod sendmail;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use ibga_core::alert::{Alert, Kind, Subject};
use ibga_core::secure_file::Trust;
use serde_json::{Value, json};

use super::message::Message;
use crate::settings::{ChannelSettings, Secret};

/// The longest that one message may take on its way, name look-up and TLS included. Shorter than the lease of the outbox, so that
/// nobody else sends what is still on its way.
pub const SEND_LIMIT: Duration = Duration::from_secs(20);

/// Most characters of a server's answer that are kept.
const ANSWER_CHARS_MAX: usize = 300;

/// A kind of channel. There is at most one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChannelName {
    /// Mail over SMTP.
    Email,
    /// Mail through a local program.
    Sendmail,
    /// JSON to a URL.
    Webhook,
    /// ntfy.
    Ntfy,
    /// A Telegram bot.
    Telegram,
    /// A Slack incoming webhook.
    Slack,
    /// A Discord webhook.
    Discord,
    /// Pushover.
    Pushover,
    /// Prometheus Alertmanager.
    Alertmanager,
    /// A program of the operator's.
    Command,
}

impl ChannelName {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Email,
        Self::Sendmail,
        Self::Webhook,
        Self::Ntfy,
        Self::Telegram,
        Self::Slack,
        Self::Discord,
        Self::Pushover,
        Self::Alertmanager,
        Self::Command,
    ];

    /// The word in settings, on the command line and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sendmail => "sendmail",
            Self::Webhook => "webhook",
            Self::Ntfy => "ntfy",
            Self::Telegram => "telegram",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Pushover => "pushover",
            Self::Alertmanager => "alertmanager",
            Self::Command => "command",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == word)
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What every channel needs besides its own settings. Files are read when something is sent, so that a fault in them is told of
/// that message and mended before the next.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Whose files are believed.
    pub trust: Trust,
    /// Certificates, besides the system's, by which servers are believed.
    pub ca_file: Option<PathBuf>,
}

impl Surroundings {
    /// The value of a secret.
    pub(super) fn reveal(&self, secret: &Secret) -> Result<String, SendError> {
        // What follows a colon behind a file's name such as `password` would be masked as if it were one.
        secret.reveal(&self.trust).map_err(|fault| SendError::channel(&fault.replacen(": ", " - ", 1)))
    }
}

/// A message on its way.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<Receipt, SendError>> + 'a>>;

/// A way to a person.
pub trait Channel {
    /// Which one it is.
    fn name(&self) -> ChannelName;

    /// Sends one message. It is sent when the server has accepted it, not before. The caller limits the time and drops the future
    /// when it is over; what was begun must end with it.
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a>;
}

/// The channel that these settings describe.
pub fn open(settings: &ChannelSettings, surroundings: &Surroundings) -> Box<dyn Channel> {
    let around = surroundings.clone();
    match settings.clone() {
        ChannelSettings::Email(smtp) => Box::new(email::Email::new(smtp, around)),
        ChannelSettings::Sendmail { program, from, to } => Box::new(sendmail::Sendmail::new(program, from, to)),
        ChannelSettings::Webhook { url, secret } => Box::new(webhook::Webhook::new(url, secret, around)),
        ChannelSettings::Ntfy { url, token } => Box::new(ntfy::Ntfy::new(url, token, around)),
        ChannelSettings::Telegram { api, token, chat } => Box::new(telegram::Telegram::new(api, token, chat, around)),
        ChannelSettings::Slack { url } => Box::new(slack::Slack::new(url, around)),
        ChannelSettings::Discord { url } => Box::new(discord::Discord::new(url, around)),
        ChannelSettings::Pushover { api, token, user } => Box::new(pushover::Pushover::new(api, token, user, around)),
        ChannelSettings::Alertmanager { url } => Box::new(alertmanager::Alertmanager::new(url, around)),
        ChannelSettings::Command { line } => Box::new(command::Command::new(line)),
    }
}

/// A message as a document for programs.
fn document(message: &Message) -> Value {
    json!({ "alert": message.alert, "subject": message.subject, "text": message.text, "brief": message.brief })
}

/// A message for chats, which know no titles.
fn chat_text(message: &Message) -> String {
    format!("{}\n\n{}", message.subject, message.brief)
}

/// How loud a phone should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Urgency {
    /// Somebody has to act.
    Alarm,
    /// Nobody has to any more.
    AllClear,
    /// Nobody has to.
    Notice,
}

impl Urgency {
    fn of(alert: &Alert) -> Self {
        match alert.kind {
            Kind::Problem | Kind::Reminder | Kind::Escalation | Kind::Flapping | Kind::NoGo => Self::Alarm,
            Kind::Recovery => Self::AllClear,
            // What could not be helped, or was stopped, takes a person.
            Kind::Act if alert.subject != Subject::Recovery => Self::Alarm,
            Kind::Act | Kind::Settled | Kind::Test => Self::Notice,
        }
    }
}

/// What the server said when it accepted a message: printable, short, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt(String);

impl Receipt {
    /// Keeps what the server said.
    pub fn new(answer: &str) -> Self {
        Self(shortened(answer))
    }

    /// What it said.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a message was not accepted. The text names the server and what it said, never a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct SendError {
    /// What has to change before it can be.
    pub blame: Blame,
    /// What happened, in words.
    pub text: String,
    /// How long the server asked to be left alone.
    pub retry_after: Option<Duration>,
}

/// What kept a message from being accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The server, or the way to it: another message would have fared no better.
    Channel,
    /// This message: another one may be accepted.
    Message,
}

impl SendError {
    /// The channel is to blame.
    pub fn channel(text: &str) -> Self {
        Self { blame: Blame::Channel, text: shortened(text), retry_after: None }
    }

    /// The message is to blame.
    pub fn message(text: &str) -> Self {
        Self { blame: Blame::Message, text: shortened(text), retry_after: None }
    }

    /// The same with the time that the server asked for.
    #[must_use]
    pub fn after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }
}

/// One line without control characters, account ids or user names, and of bounded length.
fn shortened(text: &str) -> String {
    let line: String = crate::output::untrusted(text.trim());
    let mut words: String = line.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(ANSWER_CHARS_MAX) {
        words.truncate(end);
        words.push('…');
    }
    words
}
