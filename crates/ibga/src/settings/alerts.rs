//! The settings of alerts: who is told, on which channels, and when.
//!
//! Responsible for what makes a channel complete (`assembly.rs`). Must never read a secret's file: that happens when something is
//! sent, so that a gate whose user may not read it still judges.

mod assembly;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ibga_core::alert::QuietHours;
use ibga_core::secure_file::{self, Trust};

use crate::alert::channel::ChannelName;

/// Who is told, how and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertSettings {
    /// How long a cause has to hold before it is told while no trading session is near; none for at once.
    pub after: Option<Duration>,
    /// Whether frequent changes are told as one.
    pub flapping: bool,
    /// Whether people are told again while a problem lasts.
    pub reminders: bool,
    /// When people are left alone while no trading session is near.
    pub quiet: Option<QuietHours>,
    /// After how long without acknowledgement the second audience is called.
    pub escalate_after: Option<Duration>,
    /// The channels of the second audience. All others belong to the first.
    pub escalate_to: Vec<ChannelName>,
    /// The channels that are configured, each once.
    pub channels: Vec<ChannelSettings>,
    /// A directory with the operator's own templates.
    pub templates: Option<PathBuf>,
    /// Certificates, besides the system's, by which servers are believed.
    pub ca_file: Option<PathBuf>,
    /// The URL of a dead man's switch.
    pub ping_url: Option<Secret>,
}

/// Nobody is told, since there is no channel.
impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            after: None,
            flapping: true,
            reminders: true,
            quiet: None,
            escalate_after: None,
            escalate_to: Vec::new(),
            channels: Vec::new(),
            templates: None,
            ca_file: None,
            ping_url: None,
        }
    }
}

impl AlertSettings {
    /// The channels by name, in the order of [`ChannelName`].
    pub fn names(&self) -> Vec<ChannelName> {
        self.channels.iter().map(ChannelSettings::name).collect()
    }

    /// Every secret, that of the dead man's switch included.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.channels.iter().flat_map(ChannelSettings::secrets).chain(&self.ping_url)
    }

    /// Whether this text, as it stands in a variable, is one of the secrets.
    pub fn has_secret(&self, value: &str) -> bool {
        self.secrets().any(|secret| matches!(secret, Secret::Text(text) if text.trim() == value.trim()))
    }
}

/// One channel with all that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelSettings {
    /// Mail over SMTP.
    Email(Smtp),
    /// Mail through a local program that takes the message on its standard input.
    Sendmail {
        /// The program, such as `/usr/sbin/sendmail`.
        program: PathBuf,
        /// The sender's address.
        from: String,
        /// The recipients' addresses, at least one.
        to: Vec<String>,
    },
    /// JSON to a URL.
    Webhook {
        /// Where to.
        url: Secret,
        /// The key of the signature.
        secret: Option<Secret>,
    },
    /// ntfy.
    Ntfy {
        /// The topic's URL.
        url: Secret,
        /// An access token.
        token: Option<Secret>,
    },
    /// A Telegram bot.
    Telegram {
        /// The bot API's URL without a slash at its end.
        api: String,
        /// The bot's token.
        token: Secret,
        /// The chat's id or name.
        chat: String,
    },
    /// A Slack incoming webhook.
    Slack {
        /// The webhook.
        url: Secret,
    },
    /// A Discord webhook.
    Discord {
        /// The webhook.
        url: Secret,
    },
    /// Pushover.
    Pushover {
        /// The API's URL without a slash at its end.
        api: String,
        /// The application's token.
        token: Secret,
        /// The user's or group's key.
        user: Secret,
    },
    /// Prometheus Alertmanager.
    Alertmanager {
        /// Its URL, to which `/api/v2/alerts` is added.
        url: Secret,
    },
    /// A program of the operator's, run by `/bin/sh -c`, with JSON on its standard input.
    Command {
        /// The line for the shell.
        line: String,
    },
}

impl ChannelSettings {
    /// Which channel it is.
    pub fn name(&self) -> ChannelName {
        match self {
            Self::Email(_) => ChannelName::Email,
            Self::Sendmail { .. } => ChannelName::Sendmail,
            Self::Webhook { .. } => ChannelName::Webhook,
            Self::Ntfy { .. } => ChannelName::Ntfy,
            Self::Telegram { .. } => ChannelName::Telegram,
            Self::Slack { .. } => ChannelName::Slack,
            Self::Discord { .. } => ChannelName::Discord,
            Self::Pushover { .. } => ChannelName::Pushover,
            Self::Alertmanager { .. } => ChannelName::Alertmanager,
            Self::Command { .. } => ChannelName::Command,
        }
    }

    /// Whether it is one of the two ways for mails.
    pub fn is_mail(&self) -> bool {
        matches!(self, Self::Email(_) | Self::Sendmail { .. })
    }

    /// Its secrets.
    pub(crate) fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::Email(smtp) => smtp.login.iter().flat_map(|(user, password)| [user, password]).collect(),
            Self::Sendmail { .. } | Self::Command { .. } => Vec::new(),
            Self::Webhook { url, secret: more } | Self::Ntfy { url, token: more } => {
                std::iter::once(url).chain(more).collect()
            }
            Self::Slack { url } | Self::Discord { url } | Self::Alertmanager { url } => vec![url],
            Self::Telegram { token, .. } => vec![token],
            Self::Pushover { token, user, .. } => vec![token, user],
        }
    }
}

/// A mail server and who writes to whom through it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smtp {
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way is protected.
    pub security: SmtpSecurity,
    /// User and password, where the server wants them.
    pub login: Option<(Secret, Secret)>,
    /// The sender's address.
    pub from: String,
    /// The recipients' addresses, at least one.
    pub to: Vec<String>,
}

/// How the way to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// Begins in the clear, and goes on only under TLS.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// Not at all.
    None,
}

/// A value that must never be printed, or the file that holds it.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The value itself.
    Text(String),
    /// The file that holds it; a newline at its end does not count.
    File(PathBuf),
}

impl Secret {
    /// The value. A file is read now, under the conditions of a configuration file; a link to it is followed, since secrets are
    /// often mounted so.
    ///
    /// # Errors
    /// A sentence that names the file and what is wrong with it.
    pub fn reveal(&self, trust: &Trust) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => read(path, trust).map_err(|fault| format!("{}: {fault}", path.display())),
        }
    }
}

fn read(path: &Path, trust: &Trust) -> Result<String, String> {
    let path = path.canonicalize().map_err(|fault| fault.to_string())?;
    let text = secure_file::read(&path, trust).map_err(|fault| fault.to_string())?;
    let value = text.trim_end_matches(['\n', '\r']);
    if value.is_empty() { Err("holds nothing; write the secret into it".into()) } else { Ok(value.to_owned()) }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("(secret)"),
            Self::File(path) => write!(f, "(secret in {})", path.display()),
        }
    }
}
