//! The rows of the table that say who is told, how and when.

use super::{Kind, ROW, Scope, Setting};
use crate::settings::values::{self, alerts as alert_values};

/// A secret: in the environment and in `.env` alone.
const SECRET: Setting = Setting { scope: Scope::Secret, ..ROW };

/// The file that holds a secret, whose name is none.
const FILE: Setting = Setting { check: |text| values::absolute_path(text).map(drop), ..ROW };

pub(in crate::settings) const ALERT_EMAIL: Setting = Setting {
    name: "alert_email",
    environment: "ALERT_EMAIL",
    help: "who gets alerts by mail, at most 20 addresses",
    kind: Kind::Words,
    check: |text| alert_values::address(text).map(drop),
    ..ROW
};
pub(in crate::settings) const SMTP_HOST: Setting = Setting {
    name: "smtp_host",
    environment: "SMTP_HOST",
    help: "mail server; it and the settings of it count only with `alert_email`",
    check: |text| values::host(text).map(drop),
    ..ROW
};
pub(in crate::settings) const SMTP_PORT: Setting = Setting {
    name: "smtp_port",
    environment: "SMTP_PORT",
    help: "port of the mail server; without it 587 for `starttls`, 465 for `tls`, 25 for `none`",
    kind: Kind::Whole,
    check: |text| values::port(text).map(drop),
    ..ROW
};
pub(in crate::settings) const SMTP_SECURITY: Setting = Setting {
    name: "smtp_security",
    environment: "SMTP_SECURITY",
    default: "starttls",
    help: "how the way to the mail server is protected: `starttls`, `tls` from the first byte, `none`",
    check: |text| alert_values::smtp_security(text).map(drop),
    ..ROW
};
pub(in crate::settings) const SMTP_USER: Setting = Setting {
    name: "smtp_user",
    environment: "SMTP_USER",
    help: "user at the mail server",
    check: |text| alert_values::any_text(text).map(drop),
    ..ROW
};
pub(in crate::settings) const SMTP_USER_FILE: Setting =
    Setting { name: "smtp_user_file", environment: "SMTP_USER_FILE", help: "file that holds the user", ..FILE };
pub(in crate::settings) const SMTP_PASS: Setting = Setting {
    name: "smtp_pass",
    environment: "SMTP_PASS",
    help: "password at the mail server",
    kind: Kind::Verbatim,
    check: |text| alert_values::any_text(text).map(drop),
    ..SECRET
};
pub(in crate::settings) const SMTP_PASS_FILE: Setting =
    Setting { name: "smtp_pass_file", environment: "SMTP_PASS_FILE", help: "file that holds the password", ..FILE };
pub(in crate::settings) const SMTP_FROM: Setting = Setting {
    name: "smtp_from",
    environment: "SMTP_FROM",
    help: "sender of mails; without it `smtp_user` if that is an address, else ibga at this machine",
    check: |text| alert_values::address(text).map(drop),
    ..ROW
};
pub(in crate::settings) const SENDMAIL: Setting = Setting {
    name: "sendmail",
    environment: "IBGA_SENDMAIL",
    help: "program that takes mails instead of a mail server, such as /usr/sbin/sendmail",
    check: |text| values::absolute_path(text).map(drop),
    ..ROW
};
pub(in crate::settings) const WEBHOOK_URL: Setting = Setting {
    name: "webhook_url",
    environment: "IBGA_WEBHOOK_URL",
    help: "where alerts are posted as JSON",
    check: |text| alert_values::url(text).map(drop),
    ..SECRET
};
pub(in crate::settings) const WEBHOOK_URL_FILE: Setting =
    Setting { name: "webhook_url_file", environment: "IBGA_WEBHOOK_URL_FILE", help: "file that holds the URL", ..FILE };
pub(in crate::settings) const WEBHOOK_SECRET: Setting = Setting {
    name: "webhook_secret",
    environment: "IBGA_WEBHOOK_SECRET",
    help: "key by which the webhook's receiver knows that the JSON is ours",
    kind: Kind::Verbatim,
    check: |text| alert_values::any_text(text).map(drop),
    ..SECRET
};
pub(in crate::settings) const WEBHOOK_SECRET_FILE: Setting = Setting {
    name: "webhook_secret_file",
    environment: "IBGA_WEBHOOK_SECRET_FILE",
    help: "file that holds the key",
    ..FILE
};
pub(in crate::settings) const NTFY_URL: Setting = Setting {
    name: "ntfy_url",
    environment: "IBGA_NTFY_URL",
    help: "ntfy topic, as in https://ntfy.sh/topic; whoever knows the name can read it",
    check: |text| alert_values::topic_url(text).map(drop),
    ..SECRET
};
pub(in crate::settings) const NTFY_URL_FILE: Setting =
    Setting { name: "ntfy_url_file", environment: "IBGA_NTFY_URL_FILE", help: "file that holds the URL", ..FILE };
pub(in crate::settings) const NTFY_TOKEN: Setting = Setting {
    name: "ntfy_token",
    environment: "IBGA_NTFY_TOKEN",
    help: "access token of ntfy, for a topic that is protected",
    check: |text| alert_values::token(text).map(drop),
    ..SECRET
};
pub(in crate::settings) const NTFY_TOKEN_FILE: Setting =
    Setting { name: "ntfy_token_file", environment: "IBGA_NTFY_TOKEN_FILE", help: "file that holds the token", ..FILE };
pub(in crate::settings) const TELEGRAM_TOKEN: Setting = Setting {
    name: "telegram_token",
    environment: "IBGA_TELEGRAM_TOKEN",
    help: "token of a Telegram bot",
    check: |text| alert_values::token(text).map(drop),
    ..SECRET
};
pub(in crate::settings) const TELEGRAM_TOKEN_FILE: Setting = Setting {
    name: "telegram_token_file",
    environment: "IBGA_TELEGRAM_TOKEN_FILE",
    help: "file that holds the token",
    ..FILE
};
pub(in crate::settings) const TELEGRAM_CHAT: Setting = Setting {
    name: "telegram_chat",
    environment: "IBGA_TELEGRAM_CHAT",
    help: "chat that the Telegram bot writes to: its number, or @name of a channel",
    kind: Kind::Id,
    check: |text| alert_values::chat(text).map(drop),
    ..ROW
};
pub(in crate::settings) const TELEGRAM_API: Setting = Setting {
    name: "telegram_api",
    environment: "IBGA_TELEGRAM_API",
    default: "https://api.telegram.org",
    help: "server of Telegram's bot API",
    check: |text| alert_values::server_url(text).map(drop),
    ..ROW
};
pub(in crate::settings) const SLACK_URL: Setting = Setting {
    name: "slack_url",
    environment: "IBGA_SLACK_URL",
    help: "incoming webhook of Slack",
    check: |text| alert_values::url(text).map(drop),
    ..SECRET
};
pub(in crate::settings) const SLACK_URL_FILE: Setting =
    Setting { name: "slack_url_file", environment: "IBGA_SLACK_URL_FILE", help: "file that holds the URL", ..FILE };
pub(in crate::settings) const DISCORD_URL: Setting = Setting {
    name: "discord_url",
    environment: "IBGA_DISCORD_URL",
    help: "webhook of Discord",
    check: |text| alert_values::url(text).map(drop),
    ..SECRET
};
pub(in crate::settings) const DISCORD_URL_FILE: Setting =
    Setting { name: "discord_url_file", environment: "IBGA_DISCORD_URL_FILE", help: "file that holds the URL", ..FILE };
pub(in crate::settings) const PUSHOVER_TOKEN: Setting = Setting {
    name: "pushover_token",
    environment: "IBGA_PUSHOVER_TOKEN",
    help: "token of an application at Pushover",
    check: |text| alert_values::token(text).map(drop),
    ..SECRET
};
pub(in crate::settings) const PUSHOVER_TOKEN_FILE: Setting = Setting {
    name: "pushover_token_file",
    environment: "IBGA_PUSHOVER_TOKEN_FILE",
    help: "file that holds the token",
    ..FILE
};
pub(in crate::settings) const PUSHOVER_USER: Setting = Setting {
    name: "pushover_user",
    environment: "IBGA_PUSHOVER_USER",
    help: "key of the user or group at Pushover",
    check: |text| alert_values::token(text).map(drop),
    ..SECRET
};
pub(in crate::settings) const PUSHOVER_USER_FILE: Setting = Setting {
    name: "pushover_user_file",
    environment: "IBGA_PUSHOVER_USER_FILE",
    help: "file that holds the key",
    ..FILE
};
pub(in crate::settings) const PUSHOVER_API: Setting = Setting {
    name: "pushover_api",
    environment: "IBGA_PUSHOVER_API",
    default: "https://api.pushover.net",
    help: "server of Pushover",
    check: |text| alert_values::server_url(text).map(drop),
    ..ROW
};
pub(in crate::settings) const ALERTMANAGER_URL: Setting = Setting {
    name: "alertmanager_url",
    environment: "IBGA_ALERTMANAGER_URL",
    help: "Prometheus Alertmanager, as in http://alertmanager:9093; a secret since it may hold a login",
    check: |text| alert_values::base_url(text).map(drop),
    ..SECRET
};
pub(in crate::settings) const ALERTMANAGER_URL_FILE: Setting = Setting {
    name: "alertmanager_url_file",
    environment: "IBGA_ALERTMANAGER_URL_FILE",
    help: "file that holds the URL",
    ..FILE
};
pub(in crate::settings) const ALERT_COMMAND: Setting = Setting {
    name: "alert_command",
    environment: "IBGA_ALERT_COMMAND",
    help: "line for /bin/sh that gets each alert as JSON on its standard input",
    ..ROW
};
pub(in crate::settings) const ALERT_AFTER: Setting = Setting {
    name: "alert_after",
    environment: "IBGA_ALERT_AFTER",
    help: "how long a problem lasts before it is told while no trading is near, 0s to 24h; without it a check tells at once, a watch after 3m",
    kind: Kind::Duration,
    check: |text| alert_values::alert_after(text).map(drop),
    ..ROW
};
pub(in crate::settings) const ALERT_FLAPPING: Setting = Setting {
    name: "alert_flapping",
    environment: "IBGA_ALERT_FLAPPING",
    default: "true",
    help: "whether a gateway that comes and goes is told once instead of each time",
    kind: Kind::Switch,
    check: |text| values::switch(text).map(drop),
    ..ROW
};
pub(in crate::settings) const ALERT_REMINDERS: Setting = Setting {
    name: "alert_reminders",
    environment: "IBGA_ALERT_REMINDERS",
    default: "true",
    help: "whether a problem that lasts is told again",
    kind: Kind::Switch,
    check: |text| values::switch(text).map(drop),
    ..ROW
};
pub(in crate::settings) const QUIET_HOURS: Setting = Setting {
    name: "quiet_hours",
    environment: "IBGA_QUIET_HOURS",
    help: "when nobody is told anything while no trading is near, as in 22:00-07:00 Europe/Zurich; without the zone this machine's",
    check: |text| alert_values::quiet_hours(text).map(drop),
    ..ROW
};
pub(in crate::settings) const ESCALATE_AFTER: Setting = Setting {
    name: "escalate_after",
    environment: "IBGA_ESCALATE_AFTER",
    help: "after how long without an acknowledgement `escalate_to` is told too, 1m to 24h",
    kind: Kind::Duration,
    check: |text| alert_values::escalate_after(text).map(drop),
    ..ROW
};
pub(in crate::settings) const ESCALATE_TO: Setting = Setting {
    name: "escalate_to",
    environment: "IBGA_ESCALATE_TO",
    help: "channels that are told only then, such as pushover",
    kind: Kind::Words,
    check: |text| alert_values::channel(text).map(drop),
    ..ROW
};
pub(in crate::settings) const ALERT_TEMPLATES: Setting = Setting {
    name: "alert_templates",
    environment: "IBGA_ALERT_TEMPLATES",
    help: "directory with templates of your own for the texts of alerts",
    check: |text| values::absolute_path(text).map(drop),
    ..ROW
};
pub(in crate::settings) const ALERT_CA_FILE: Setting = Setting {
    name: "alert_ca_file",
    environment: "IBGA_ALERT_CA_FILE",
    help: "certificates (PEM) by which servers of alerts are believed besides the system's",
    check: |text| values::absolute_path(text).map(drop),
    ..ROW
};
pub(in crate::settings) const PING_URL: Setting = Setting {
    name: "ping_url",
    environment: "IBGA_PING_URL",
    help: "URL of a dead man's switch, which tells you when this program no longer runs",
    check: |text| alert_values::url(text).map(drop),
    ..SECRET
};
pub(in crate::settings) const PING_URL_FILE: Setting =
    Setting { name: "ping_url_file", environment: "IBGA_PING_URL_FILE", help: "file that holds the URL", ..FILE };
