//! The table of settings: every name by which a setting can be given.
//!
//! Responsible for being the only place where a name, a default or a one-line help stands. The configuration
//! file's keys, the variables, the nearest name in a message and the documentation all come from [`SETTINGS`].
//! Must never read a source.

pub(super) mod alerts;

use ibga_core::nearest::nearest;

use super::fault::Fault;
use super::{probe_contract, values};

/// Edits by which a variable may differ from a known name and still count as misspelt.
const MISSPELT_EDITS_MAX: usize = 2;

/// Names that trading programs use for their own API client, and that lie within [`MISSPELT_EDITS_MAX`] of ours.
/// A `.env` that is shared with such a program is no fault.
pub(super) const NAMES_OF_OTHERS: &[&str] = &["IBKR_CLIENT_ID", "IBKR_TIMEOUT", "IBKR_EXCHANGE"];

/// How far a setting reaches and where it can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// For each gateway: in `[gateway.NAME]`, or at the top of the file for all of them.
    Gateway,
    /// For the whole program: at the top of the file alone.
    Global,
    /// Decides what is read, so it cannot stand in the configuration file.
    Choice,
    /// A secret: in the environment and in `.env` alone, where another setting can name the file that holds it.
    Secret,
}

/// The type that a setting has in TOML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string.
    Text,
    /// A string whose blanks count, also those at its ends.
    Verbatim,
    /// A string or an integer.
    Id,
    /// A string. A bare number is let through, so that the message can speak of the unit.
    Duration,
    /// An integer.
    Whole,
    /// A boolean.
    Switch,
    /// An array of strings; a comma list elsewhere.
    Texts,
    /// A string with commas or an array of strings.
    Words,
    /// An array of strings and integers; a comma list elsewhere.
    Owners,
}

impl Kind {
    /// What a message says belongs there.
    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::Text | Self::Verbatim => "text in quotes",
            Self::Id => "text in quotes or a whole number",
            Self::Duration => "a duration in quotes, such as \"15s\",",
            Self::Whole => "a whole number",
            Self::Switch => "true or false",
            Self::Texts => "a list of texts, as in [\"one\", \"two\"],",
            Self::Words => "text in quotes or a list of texts, as in [\"one\", \"two\"],",
            Self::Owners => "a list of user names and ids, as in [\"name\", 1001],",
        }
    }

    /// Whether the setting holds several values.
    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::Texts | Self::Words | Self::Owners)
    }
}

/// One row of the table of settings.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The setting's name, and its key in the configuration file where it has one.
    pub name: &'static str,
    /// The variable in the environment and in `.env`.
    pub environment: &'static str,
    /// The flag with its dashes, where there is one.
    pub flag: Option<&'static str>,
    /// The default as text; empty where there is none. It is what the program takes, but for `status_file`
    /// (which carries the gateway's name) and `state_dir` (which depends on the user).
    pub default: &'static str,
    /// One line for the documentation and `--help`.
    pub help: &'static str,
    /// How far it reaches.
    pub scope: Scope,
    pub(super) kind: Kind,
    /// Judges one value, or one item of a list.
    pub(super) check: values::Parse<()>,
}

impl Setting {
    /// The key in the configuration file.
    #[must_use]
    pub fn toml_key(&self) -> Option<&'static str> {
        match self.scope {
            Scope::Gateway | Scope::Global => Some(self.name),
            Scope::Choice | Scope::Secret => None,
        }
    }

    /// Whether its value must never be printed.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.scope == Scope::Secret
    }
}

/// A row whose only given parts are its names; the others are overwritten where they differ.
const ROW: Setting = Setting {
    name: "",
    environment: "",
    flag: None,
    default: "",
    help: "",
    scope: Scope::Gateway,
    kind: Kind::Text,
    check: |_| Ok(()),
};

pub(super) const CONFIG: Setting = Setting {
    name: "config",
    environment: "IBGA_CONFIG",
    flag: Some("--config"),
    help: "configuration file; without it ./ibga.toml, ~/.config/ibga/ibga.toml, /etc/ibga/ibga.toml",
    scope: Scope::Choice,
    check: |text| values::path(text).map(drop),
    ..ROW
};
pub(super) const GATEWAY: Setting = Setting {
    name: "gateway",
    environment: "IBGA_GATEWAY",
    flag: Some("--gateway"),
    help: "which configured gateway; without it `default`, or the only one",
    scope: Scope::Choice,
    check: |text| values::gateway_name(text).map(drop),
    ..ROW
};
pub(super) const HOST: Setting = Setting {
    name: "host",
    environment: "IBKR_HOST",
    flag: Some("--host"),
    default: "127.0.0.1",
    help: "name or IP address of the gateway",
    check: |text| values::host(text).map(drop),
    ..ROW
};
pub(super) const PORT: Setting = Setting {
    name: "port",
    environment: "IBKR_PORT",
    flag: Some("--port"),
    default: "4000",
    help: "port of the gateway's API socket",
    kind: Kind::Whole,
    check: |text| values::port(text).map(drop),
    ..ROW
};
pub(super) const CLIENT_ID: Setting = Setting {
    name: "client_id",
    environment: "IBGA_CLIENT_ID",
    flag: Some("--client-id"),
    default: "99",
    help: "API client id of the probe, the first of five that it may use; never one of the agent's",
    kind: Kind::Whole,
    check: |text| values::client_id(text).map(drop),
    ..ROW
};
pub(super) const CONTAINER: Setting = Setting {
    name: "container",
    environment: "IBGA_CONTAINER",
    flag: Some("--container"),
    default: "auto",
    help: "container of the gateway: its name, `auto` for the one that publishes the port, `none` to ask no engine",
    check: |text| values::container(text).map(drop),
    ..ROW
};
pub(super) const TIMEOUT: Setting = Setting {
    name: "timeout",
    environment: "IBGA_TIMEOUT",
    flag: Some("--timeout"),
    default: "15s",
    help: "longest time for all stages of one probe together, 100ms to 10m",
    kind: Kind::Duration,
    check: |text| values::timeout(text).map(drop),
    ..ROW
};
pub(super) const HEARTBEAT: Setting = Setting {
    name: "heartbeat",
    environment: "IBGA_HEARTBEAT",
    flag: Some("--heartbeat"),
    default: "20s",
    help: "how often `ibga watch` asks the gateway for the time and refreshes the status file, 2s to 60s",
    kind: Kind::Duration,
    check: |text| values::heartbeat(text).map(drop),
    ..ROW
};
pub(super) const SETTLE: Setting = Setting {
    name: "settle",
    environment: "IBGA_SETTLE",
    flag: Some("--settle"),
    default: "50ms",
    help: "how long a probe waits for late notices after the last answer, 0s to 10s",
    kind: Kind::Duration,
    check: |text| values::settle(text).map(drop),
    ..ROW
};
pub(super) const STATUS_FILE: Setting = Setting {
    name: "status_file",
    environment: "IBGA_STATUS_FILE",
    flag: Some("--status-file"),
    default: "/tmp/ibga-status.json",
    help: "the status file; a gateway NAME other than `default` has /tmp/ibga-status-NAME.json",
    check: |text| values::path(text).map(drop),
    ..ROW
};
pub(super) const STATUS_FILE_MODE: Setting = Setting {
    name: "status_file_mode",
    environment: "IBGA_STATUS_FILE_MODE",
    default: "0600",
    help: "mode of the status file in octal; group and others may read, never write",
    check: |text| values::file_mode(text).map(drop),
    ..ROW
};
pub(super) const MAX_STATUS_AGE: Setting = Setting {
    name: "max_status_age",
    environment: "IBGA_MAX_STATUS_AGE",
    flag: Some("--max-age"),
    default: "10m",
    help: "age at which a status is stale and no longer trusted, 1s to 24h",
    kind: Kind::Duration,
    check: |text| values::max_status_age(text).map(drop),
    ..ROW
};
pub(super) const EXPECT_ACCOUNTS: Setting = Setting {
    name: "expect_accounts",
    environment: "IBGA_EXPECT_ACCOUNTS",
    flag: Some("--expect-account"),
    help: "account ids that the gateway must hold",
    kind: Kind::Texts,
    check: |text| values::account(text).map(drop),
    ..ROW
};
pub(super) const EXPECT_MODE: Setting = Setting {
    name: "expect_mode",
    environment: "IBGA_EXPECT_MODE",
    flag: Some("--expect-mode"),
    help: "`paper` or `live`: what the gateway must be logged in to",
    check: |text| values::expected_mode(text).map(drop),
    ..ROW
};
pub(super) const ALLOW_READ_ONLY: Setting = Setting {
    name: "allow_read_only",
    environment: "IBGA_ALLOW_READ_ONLY",
    flag: Some("--allow-read-only"),
    default: "false",
    help: "whether a gateway that refuses orders counts as ready",
    kind: Kind::Switch,
    check: |text| values::switch(text).map(drop),
    ..ROW
};
pub(super) const BROKER_PROBE: Setting = Setting {
    name: "broker_probe",
    environment: "IBGA_BROKER_PROBE",
    flag: Some("--broker-probe"),
    default: "contract",
    help: "the question that only the broker can answer: `contract`, or `off` to ask none",
    check: |text| values::broker_probe(text).map(drop),
    ..ROW
};
pub(super) const PROBE_CONTRACT: Setting = Setting {
    name: "probe_contract",
    environment: "IBGA_PROBE_CONTRACT",
    help: "stock whose hours the probe asks for and the gate compares with the calendar, as `700 SEHK`; without it EUR.USD is asked about",
    check: |text| probe_contract::probe_contract(text).map(drop),
    ..ROW
};
pub(super) const REQUIRED_FARMS: Setting = Setting {
    name: "required_farms",
    environment: "IBGA_REQUIRED_FARMS",
    help: "data farms without which the gateway is not ready, such as hfarm",
    kind: Kind::Texts,
    check: |text| values::farm(text).map(drop),
    ..ROW
};
pub(super) const MAX_CLOCK_SKEW: Setting = Setting {
    name: "max_clock_skew",
    environment: "IBGA_MAX_CLOCK_SKEW",
    default: "30s",
    help: "largest difference between the gateway's clock and this one, 1s to 1h",
    kind: Kind::Duration,
    check: |text| values::max_clock_skew(text).map(drop),
    ..ROW
};
pub(super) const EXCHANGE: Setting = Setting {
    name: "exchange",
    environment: "IBGA_EXCHANGE",
    flag: Some("--exchange"),
    default: "XHKG",
    help: "the exchanges whose hours the gate keeps, as MICs; `stock_connect` is XSHG and XHKG together",
    kind: Kind::Words,
    check: |text| values::exchange(text).map(drop),
    ..ROW
};
pub(super) const EXCHANGE_RULE: Setting = Setting {
    name: "exchange_rule",
    environment: "IBGA_EXCHANGE_RULE",
    flag: Some("--exchange-rule"),
    default: "all",
    help: "of several exchanges, whether `all` have to be open at once or `any` is enough",
    check: |text| values::exchange_rule(text).map(drop),
    ..ROW
};
pub(super) const CALENDAR_OVERRIDES: Setting = Setting {
    name: "calendar_overrides",
    environment: "IBGA_CALENDAR_OVERRIDES",
    help: "file that corrects the calendars, read anew at each use; a fault in it is a no-go (docs/calendar.md)",
    scope: Scope::Global,
    check: |text| values::absolute_path(text).map(drop),
    ..ROW
};
pub(super) const API_VERSION_MAX: Setting = Setting {
    name: "api_version_max",
    environment: "IBGA_API_VERSION_MAX",
    default: "200",
    help: "highest API version that the probe announces, 100 to 300",
    kind: Kind::Whole,
    check: |text| values::api_version(text).map(drop),
    ..ROW
};
pub(super) const AGENT_TIMES: Setting = Setting {
    name: "agent_times",
    environment: "IBGA_AGENT_TIMES",
    help: "when the schedule starts the agent on trading days, as HH:MM of the exchange; without it each start of trading",
    kind: Kind::Texts,
    check: |text| values::wall_time(text).map(drop),
    ..ROW
};
pub(super) const CHECK_TIMES: Setting = Setting {
    name: "check_times",
    environment: "IBGA_CHECK_TIMES",
    help: "when the schedule checks the status on trading days; without it 90 minutes before the open, 5 before the agent, and hourly",
    kind: Kind::Texts,
    check: |text| values::wall_time(text).map(drop),
    ..ROW
};
pub(super) const SUNDAY_CHECK_TIMES: Setting = Setting {
    name: "sunday_check_times",
    environment: "IBGA_SUNDAY_CHECK_TIMES",
    help: "when the schedule checks the status on Sundays, after the weekly login has ended; without it 17:00, 20:00 and 22:00",
    kind: Kind::Texts,
    check: |text| values::wall_time(text).map(drop),
    ..ROW
};
pub(super) const RESET_WINDOWS: Setting = Setting {
    name: "reset_windows",
    environment: "IBGA_RESET_WINDOWS",
    default: "00:15-01:45 America/New_York North America,06:25-07:45 Europe/Zurich Europe,\
              04:45-06:05 Asia/Hong_Kong Asia,20:15-21:15 Asia/Hong_Kong Asia",
    help: "when IBKR resets servers each day: span, zone and region; the default is what IBKR publishes for all regions",
    kind: Kind::Texts,
    check: |text| values::reset_window(text).map(drop),
    ..ROW
};
pub(super) const TRUSTED_OWNERS: Setting = Setting {
    name: "trusted_owners",
    environment: "IBGA_TRUSTED_OWNERS",
    help: "users, besides oneself and root, whose status file and .env are believed",
    scope: Scope::Global,
    kind: Kind::Owners,
    check: |text| values::owner(text).map(drop),
    ..ROW
};
pub(super) const STATE_DIR: Setting = Setting {
    name: "state_dir",
    environment: "IBGA_STATE_DIR",
    default: "$XDG_STATE_HOME/ibga",
    help: "directory of the store, which holds what people were told and what waits; without XDG_STATE_HOME ~/.local/state/ibga, for root /var/lib/ibga",
    scope: Scope::Global,
    check: |text| values::absolute_path(text).map(drop),
    ..ROW
};
pub(super) const RECOVER: Setting = Setting {
    name: "recover",
    environment: "IBGA_RECOVER",
    help: "causes for which `ibga watch` acts to recover the gateway, such as container_stopped; none unless set (docs/recovery.md)",
    kind: Kind::Texts,
    check: |text| values::recoverable(text).map(drop),
    ..ROW
};
pub(super) const RECOVER_WITH: Setting = Setting {
    name: "recover_with",
    environment: "IBGA_RECOVER_WITH",
    default: "start",
    help: "what is done then: `start` the container, `compose DIR` (docker compose up -d there), or `run PROGRAM ARGUMENTS`",
    check: |text| values::recipe(text).map(drop),
    ..ROW
};
pub(super) const RECOVER_BUDGET: Setting = Setting {
    name: "recover_budget",
    environment: "IBGA_RECOVER_BUDGET",
    default: "3",
    help: "how often that is done in 24 hours, 1 to 20; then people are told that it did not help, and nothing more is done",
    kind: Kind::Whole,
    check: |text| values::recover_budget(text).map(drop),
    ..ROW
};
pub(super) const RECOVER_PAUSE: Setting = Setting {
    name: "recover_pause",
    environment: "IBGA_RECOVER_PAUSE",
    default: "45s",
    help: "how long nothing is done after it, 10s to 1h; while an outage lasts at least 5, 10, then 15 minutes pass in any case",
    kind: Kind::Duration,
    check: |text| values::recover_pause(text).map(drop),
    ..ROW
};
pub(super) const HALT_FILE: Setting = Setting {
    name: "halt_file",
    environment: "IBGA_HALT_FILE",
    default: "/var/tmp/ibga-halt.json",
    help: "file that halts the agents of all gateways while it is there; `-NAME` before its ending halts those of one (docs/supervision.md)",
    scope: Scope::Global,
    check: |text| values::absolute_path(text).map(drop),
    ..ROW
};
pub(super) const SUPERVISE_STOP: Setting = Setting {
    name: "supervise_stop",
    environment: "IBGA_SUPERVISE_STOP",
    flag: Some("--stop-on"),
    help: "what stops a supervised agent, beside a halt: `not_ready`, `session_end`; without it both",
    kind: Kind::Texts,
    check: |text| values::stop_on(text).map(drop),
    ..ROW
};
pub(super) const SUPERVISE_GRACE: Setting = Setting {
    name: "supervise_grace",
    environment: "IBGA_SUPERVISE_GRACE",
    flag: Some("--grace"),
    default: "10s",
    help: "how long a supervised agent has to end by itself before it is killed, 0s to 10m",
    kind: Kind::Duration,
    check: |text| values::grace(text).map(drop),
    ..ROW
};
pub(super) const SUPERVISE_TOLERANCE: Setting = Setting {
    name: "supervise_tolerance",
    environment: "IBGA_SUPERVISE_TOLERANCE",
    flag: Some("--tolerance"),
    default: "0s",
    help: "how long readiness may be away before a supervised agent is stopped, 0s to 1h",
    kind: Kind::Duration,
    check: |text| values::tolerance(text).map(drop),
    ..ROW
};
/// Every setting there is.
pub const SETTINGS: &[Setting] = &[
    CONFIG,
    GATEWAY,
    HOST,
    PORT,
    CLIENT_ID,
    CONTAINER,
    TIMEOUT,
    SETTLE,
    HEARTBEAT,
    STATUS_FILE,
    STATUS_FILE_MODE,
    MAX_STATUS_AGE,
    EXPECT_ACCOUNTS,
    EXPECT_MODE,
    ALLOW_READ_ONLY,
    BROKER_PROBE,
    PROBE_CONTRACT,
    REQUIRED_FARMS,
    MAX_CLOCK_SKEW,
    EXCHANGE,
    EXCHANGE_RULE,
    CALENDAR_OVERRIDES,
    API_VERSION_MAX,
    AGENT_TIMES,
    CHECK_TIMES,
    SUNDAY_CHECK_TIMES,
    RESET_WINDOWS,
    TRUSTED_OWNERS,
    STATE_DIR,
    HALT_FILE,
    SUPERVISE_STOP,
    SUPERVISE_GRACE,
    SUPERVISE_TOLERANCE,
    RECOVER,
    RECOVER_WITH,
    RECOVER_BUDGET,
    RECOVER_PAUSE,
    alerts::ALERT_EMAIL,
    alerts::SMTP_HOST,
    alerts::SMTP_PORT,
    alerts::SMTP_SECURITY,
    alerts::SMTP_USER,
    alerts::SMTP_USER_FILE,
    alerts::SMTP_PASS,
    alerts::SMTP_PASS_FILE,
    alerts::SMTP_FROM,
    alerts::SENDMAIL,
    alerts::WEBHOOK_URL,
    alerts::WEBHOOK_URL_FILE,
    alerts::WEBHOOK_SECRET,
    alerts::WEBHOOK_SECRET_FILE,
    alerts::NTFY_URL,
    alerts::NTFY_URL_FILE,
    alerts::NTFY_TOKEN,
    alerts::NTFY_TOKEN_FILE,
    alerts::TELEGRAM_TOKEN,
    alerts::TELEGRAM_TOKEN_FILE,
    alerts::TELEGRAM_CHAT,
    alerts::TELEGRAM_API,
    alerts::SLACK_URL,
    alerts::SLACK_URL_FILE,
    alerts::DISCORD_URL,
    alerts::DISCORD_URL_FILE,
    alerts::PUSHOVER_TOKEN,
    alerts::PUSHOVER_TOKEN_FILE,
    alerts::PUSHOVER_USER,
    alerts::PUSHOVER_USER_FILE,
    alerts::PUSHOVER_API,
    alerts::ALERTMANAGER_URL,
    alerts::ALERTMANAGER_URL_FILE,
    alerts::ALERT_COMMAND,
    alerts::ALERT_AFTER,
    alerts::ALERT_FLAPPING,
    alerts::ALERT_REMINDERS,
    alerts::QUIET_HOURS,
    alerts::ESCALATE_AFTER,
    alerts::ESCALATE_TO,
    alerts::ALERT_TEMPLATES,
    alerts::ALERT_CA_FILE,
    alerts::PING_URL,
    alerts::PING_URL_FILE,
];

/// The setting with this variable, in exactly this spelling.
pub(super) fn by_environment(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.environment == name)
}

/// The setting with this key in the configuration file.
pub(super) fn by_toml_key(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.toml_key() == Some(key))
}

/// The right name for a variable that is likely misspelt; `None` if it is known or somebody else's.
///
/// Only names that begin as ours do are looked at, since the environment belongs to everyone.
pub(super) fn misspelt_variable(name: &str) -> Option<&'static str> {
    let upper = name.to_ascii_uppercase();
    let is_ours = ["IBGA_", "IBKR_"].iter().any(|prefix| upper.starts_with(prefix));
    if !is_ours || by_environment(name).is_some() || NAMES_OF_OTHERS.contains(&name) {
        return None;
    }
    let by_flag = upper
        .strip_prefix("IBGA_")
        .and_then(|rest| by_flag(&rest.to_ascii_lowercase()))
        .map(|setting| setting.environment);
    let candidates = SETTINGS.iter().map(|setting| setting.environment);
    by_flag.or_else(|| nearest(&upper, candidates, MISSPELT_EDITS_MAX))
}

/// What to say about a key that the configuration file cannot have. `scopes` are the ones possible at that place.
pub(super) fn fault_of_key(key: &str, scopes: &[Scope]) -> Fault {
    if let Some(setting) = by_toml_key(key)
        && !scopes.contains(&setting.scope)
    {
        return Fault::GlobalKey;
    }
    let upper = key.to_ascii_uppercase();
    let lower = key.to_ascii_lowercase();
    let by_other_name = by_environment(&upper)
        .or_else(|| SETTINGS.iter().find(|setting| setting.name == lower))
        .or_else(|| by_flag(&lower));
    if let Some(setting) = by_other_name {
        return match setting.toml_key() {
            Some(right) => Fault::UnknownKey { hint: format!("did you mean `{right}`?") },
            None => fault_of_place(setting),
        };
    }
    let keys = SETTINGS
        .iter()
        .filter(|setting| scopes.contains(&setting.scope))
        .filter_map(Setting::toml_key)
        .chain(scopes.contains(&Scope::Global).then_some("gateway"));
    let edits_max = (key.chars().count() / 3).max(MISSPELT_EDITS_MAX);
    let hint = match nearest(&lower, keys, edits_max) {
        Some(right) => format!("did you mean `{right}`?"),
        None => "`ibga init example.toml` writes every key there is".to_owned(),
    };
    Fault::UnknownKey { hint }
}

/// What to say about a setting that cannot stand in the configuration file.
fn fault_of_place(setting: &Setting) -> Fault {
    let environment = setting.environment;
    let of_file = |other: &&Setting| other.name.strip_suffix("_file") == Some(setting.name);
    match SETTINGS.iter().find(of_file) {
        Some(file) => Fault::SecretInConfig { environment, file: file.name },
        None => Fault::NotInConfig { environment },
    }
}

/// The setting whose flag reads like this name.
fn by_flag(name: &str) -> Option<&'static Setting> {
    let flag = format!("--{}", name.replace('_', "-"));
    SETTINGS.iter().find(|setting| setting.flag == Some(flag.as_str()))
}

/// The table of settings as Markdown, for the documentation.
#[must_use]
pub fn reference_table() -> String {
    let mut table = String::from(
        "| setting | flag | environment, `.env` | `ibga.toml` | default | meaning |\n\
         |---|---|---|---|---|---|\n",
    );
    for setting in SETTINGS {
        let place = match setting.scope {
            Scope::Gateway => "top, `[gateway.NAME]`",
            Scope::Global => "top",
            Scope::Choice | Scope::Secret => "no",
        };
        let code = |text: &str| {
            if text.is_empty() { "none".to_owned() } else { format!("`{text}`") }
        };
        let row = format!(
            "| `{}` | {} | `{}` | {place} | {} | {} |\n",
            setting.name,
            code(setting.flag.unwrap_or_default()),
            setting.environment,
            code(setting.default),
            setting.help,
        );
        table.push_str(&row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_stands_once_and_has_its_shape() {
        let (mut names, mut variables) = (BTreeSet::new(), BTreeSet::new());
        for setting in SETTINGS {
            assert!(names.insert(setting.name), "{}", setting.name);
            assert!(variables.insert(setting.environment), "{}", setting.environment);
            assert!(!setting.help.is_empty() && !setting.help.contains('|'), "{}", setting.name);
            assert_eq!(setting.name, setting.name.to_ascii_lowercase());
            assert_eq!(setting.environment, setting.environment.to_ascii_uppercase());
            assert!(setting.flag.is_none_or(|flag| flag.starts_with("--")));
        }
    }

    #[test]
    fn every_default_passes_its_own_check() {
        for setting in SETTINGS {
            let is_derived = setting.name == STATE_DIR.name;
            if !setting.default.is_empty() && !is_derived {
                assert_eq!((setting.check)(setting.default), Ok(()), "{}", setting.name);
            }
        }
    }

    #[test]
    fn every_secret_can_stand_in_a_file_of_its_own_and_its_words_tell_it() {
        let is_file = |row: &Setting| row.name.ends_with("_file");
        for row in SETTINGS.iter().filter(|row| row.is_secret()) {
            let file = by_environment(&format!("{}_FILE", row.environment)).expect(row.name);
            assert_eq!((file.name, file.is_secret()), (format!("{}_file", row.name).as_str(), false));
        }
        for row in SETTINGS.iter().filter(|row| !is_file(row)) {
            let sounds_secret = ["PASS", "TOKEN", "SECRET", "_URL", "PUSHOVER_USER"];
            let sounds_secret = sounds_secret.iter().any(|word| row.environment.contains(word));
            assert_eq!(row.is_secret(), sounds_secret, "{}", row.name);
        }
    }

    #[test]
    fn misspelt_variables() {
        let cases = [
            ("IBKR_PROT", Some("IBKR_PORT")),
            ("IBKR_HOSTS", Some("IBKR_HOST")),
            ("IBGA_PORT", Some("IBKR_PORT")),
            ("IBGA_HOST", Some("IBKR_HOST")),
            ("ibkr_port", Some("IBKR_PORT")),
            ("IBGA_STATUSFILE", Some("IBGA_STATUS_FILE")),
            ("IBGA_EXPECT_ACCOUNT", Some("IBGA_EXPECT_ACCOUNTS")),
            ("IBGA_MAX_AGE", Some("IBGA_MAX_STATUS_AGE")),
            ("IBKR_EXPECT_MODE", Some("IBGA_EXPECT_MODE")),
            // Known, or of somebody else.
            ("IBKR_PORT", None),
            ("IBGA_RECONNECT_INTERVAL", None),
            ("IBGA_VNC_PASSWORD", None),
            ("IBGA_EXPORT_LOGS", None),
            ("IBGA_LOG_EXPORT_DIR", None),
            ("IBKR_CLIENT_ID", None),
            ("IBKR_TIMEOUT", None),
            ("IBKR_EXCHANGE", None),
            ("IBKR_ACCOUNT", None),
            ("IBKR_USER", None),
            ("IBKR_PASSWORD", None),
            ("SMTP_HOTS", None),
            ("IB_PORT", None),
        ];
        for (name, expected) in cases {
            assert_eq!(misspelt_variable(name), expected, "{name}");
        }
    }

    #[test]
    fn the_list_of_others_holds_only_names_that_would_be_refused() {
        for other in NAMES_OF_OTHERS {
            let candidates = SETTINGS.iter().map(|setting| setting.environment);
            assert!(nearest(other, candidates, MISSPELT_EDITS_MAX).is_some(), "{other}");
        }
    }

    #[test]
    fn the_reference_has_every_setting() {
        let table = reference_table();
        assert_eq!(table.lines().count(), SETTINGS.len() + 2);
        let port =
            "| `port` | `--port` | `IBKR_PORT` | top, `[gateway.NAME]` | `4000` | port of the gateway's API socket |";
        assert!(table.lines().any(|line| line == port), "{table}");
        let state = "| `state_dir` | none | `IBGA_STATE_DIR` | top | `$XDG_STATE_HOME/ibga` |";
        assert!(table.lines().any(|line| line.starts_with(state)), "{table}");
        for line in table.lines() {
            assert_eq!(line.matches('|').count(), 7, "{line}");
        }
    }
}
