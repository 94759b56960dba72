//! The settings of alerts: complete channels, every sentence about one that is not, and secrets that stay hidden.

use super::*;
use crate::settings::alerts::{ChannelSettings, Secret, Smtp, SmtpSecurity};

const MAIL: [(&str, &str); 2] = [("ALERT_EMAIL", "me@example.org"), ("SMTP_HOST", "mail")];

/// A machine on which a setting of this name makes a difference: with what it is of no use without.
pub(super) fn beside(name: &str) -> World {
    let mail = |more: &[(&'static str, &'static str)]| [&MAIL[..], more].concat();
    let variables: Vec<(&str, &str)> = match name {
        "alert_email" => MAIL[1..].to_vec(),
        "smtp_host" | "sendmail" => MAIL[..1].to_vec(),
        "smtp_port" | "smtp_security" | "smtp_from" => mail(&[]),
        "smtp_user" | "smtp_user_file" => mail(&[("SMTP_PASS", "x")]),
        "smtp_pass" | "smtp_pass_file" => mail(&[("SMTP_USER", "x")]),
        "webhook_secret" | "webhook_secret_file" => vec![("IBGA_WEBHOOK_URL", "https://x")],
        "ntfy_token" | "ntfy_token_file" => vec![("IBGA_NTFY_URL", "https://x/y")],
        "telegram_token" | "telegram_token_file" => vec![("IBGA_TELEGRAM_CHAT", "1")],
        "telegram_chat" => vec![("IBGA_TELEGRAM_TOKEN", "x")],
        "telegram_api" => vec![("IBGA_TELEGRAM_TOKEN", "x"), ("IBGA_TELEGRAM_CHAT", "1")],
        "pushover_token" | "pushover_token_file" => vec![("IBGA_PUSHOVER_USER", "x")],
        "pushover_user" | "pushover_user_file" => vec![("IBGA_PUSHOVER_TOKEN", "x")],
        "pushover_api" => vec![("IBGA_PUSHOVER_TOKEN", "x"), ("IBGA_PUSHOVER_USER", "x")],
        "escalate_after" => {
            vec![("IBGA_ALERT_COMMAND", "x"), ("IBGA_NTFY_URL", "https://x/y"), ("IBGA_ESCALATE_TO", "ntfy")]
        }
        "escalate_to" => {
            mail(&[("IBGA_ALERT_COMMAND", "x"), ("IBGA_NTFY_URL", "https://x/y"), ("IBGA_ESCALATE_AFTER", "1m")])
        }
        _ => Vec::new(),
    };
    variables.into_iter().fold(World::new(), |world, (name, value)| world.with_variable(name, value))
}

fn text_of(secret: &Secret) -> String {
    match secret {
        Secret::Text(text) => text.clone(),
        Secret::File(path) => path.display().to_string(),
    }
}

/// The secret at this place among those of the settings.
fn secret(settings: &Settings, index: usize) -> String {
    settings.alerts.secrets().nth(index).map(text_of).unwrap_or_default()
}

fn smtp(settings: &Settings) -> Smtp {
    match settings.alerts.channels.first() {
        Some(ChannelSettings::Email(smtp)) => smtp.clone(),
        other => panic!("{other:?}"),
    }
}

fn path(path: Option<&PathBuf>) -> String {
    path.map(|path| path.display().to_string()).unwrap_or_default()
}

const fn row(name: &'static str, texts: [&'static str; 5], show: fn(&Settings) -> String) -> Row {
    Row { name, texts, flag: None, show }
}

const PATHS: [&str; 5] = ["/1", "/2", "/3", "/4", ""];
const URLS: [&str; 5] = ["http://1.test", "http://2.test", "http://3.test", "http://4.test", ""];
const SWITCHES: [&str; 5] = ["false", "true", "false", "true", ""];

fn first_secret(settings: &Settings) -> String {
    secret(settings, 0)
}

fn second_secret(settings: &Settings) -> String {
    secret(settings, 1)
}

pub(super) const ROWS: &[Row] = &[
    row("alert_email", ["a@b.c", "b@b.c,c@b.c", "d@b.c", "e@b.c,f@b.c", ""], |settings| smtp(settings).to.join(",")),
    row("smtp_host", ["one", "two", "::3", "four", ""], |settings| smtp(settings).host),
    row("smtp_port", ["1", "2", "3", "4", ""], |settings| smtp(settings).port.to_string()),
    row("smtp_security", ["none", "tls", "starttls", "tls", ""], |settings| {
        debug(&smtp(settings).security).to_lowercase()
    }),
    row("smtp_user", ["one", "two", "three", "four", ""], first_secret),
    row("smtp_user_file", PATHS, first_secret),
    row("smtp_pass_file", PATHS, second_secret),
    row("smtp_from", ["a@b.c", "b@b.c", "c@b.c", "d@b.c", ""], |settings| smtp(settings).from),
    row("sendmail", PATHS, |settings| match settings.alerts.channels.as_slice() {
        [ChannelSettings::Sendmail { program, .. }] => program.display().to_string(),
        other => panic!("{other:?}"),
    }),
    row("webhook_url_file", PATHS, first_secret),
    row("webhook_secret_file", PATHS, second_secret),
    row("ntfy_url_file", PATHS, first_secret),
    row("ntfy_token_file", PATHS, second_secret),
    row("telegram_token_file", PATHS, first_secret),
    row("telegram_chat", ["-1", "2", "@three", "-4", ""], |settings| match settings.alerts.channels.as_slice() {
        [ChannelSettings::Telegram { chat, .. }] => chat.clone(),
        other => panic!("{other:?}"),
    }),
    row("telegram_api", URLS, |settings| match settings.alerts.channels.as_slice() {
        [ChannelSettings::Telegram { api, .. }] => api.clone(),
        other => panic!("{other:?}"),
    }),
    row("slack_url_file", PATHS, first_secret),
    row("discord_url_file", PATHS, first_secret),
    row("pushover_token_file", PATHS, first_secret),
    row("pushover_user_file", PATHS, second_secret),
    row("pushover_api", URLS, |settings| match settings.alerts.channels.as_slice() {
        [ChannelSettings::Pushover { api, .. }] => api.clone(),
        other => panic!("{other:?}"),
    }),
    row("alertmanager_url_file", PATHS, first_secret),
    row("alert_command", ["one", "two 2", "three", "four, five", ""], |settings| {
        match settings.alerts.channels.as_slice() {
            [ChannelSettings::Command { line }] => line.clone(),
            other => panic!("{other:?}"),
        }
    }),
    row("alert_after", ["1s", "2s", "3s", "4s", ""], |settings| settings.alerts.after.map(|it| debug(&it)).unwrap()),
    row("alert_flapping", SWITCHES, |settings| settings.alerts.flapping.to_string()),
    row("alert_reminders", SWITCHES, |settings| settings.alerts.reminders.to_string()),
    row(
        "quiet_hours",
        ["01:00-02:00 UTC", "23:00-02:00 Asia/Tokyo", "03:00-04:00 Europe/Zurich", "05:00-06:00 America/New_York", ""],
        |settings| {
            let quiet = settings.alerts.quiet.clone().unwrap();
            let wall = ibga_core::window::wall;
            format!("{}-{} {}", wall(quiet.from), wall(quiet.to), quiet.zone.iana_name().unwrap())
        },
    ),
    row("escalate_after", ["60s", "61s", "62s", "63s", ""], |settings| {
        settings.alerts.escalate_after.map(|it| debug(&it)).unwrap()
    }),
    row("escalate_to", ["ntfy", "command,email", "email", "ntfy,command", ""], |settings| {
        settings.alerts.escalate_to.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }),
    row("alert_templates", PATHS, |settings| path(settings.alerts.templates.as_ref())),
    row("alert_ca_file", PATHS, |settings| path(settings.alerts.ca_file.as_ref())),
    row("ping_url_file", PATHS, first_secret),
];

/// A good text for each secret that cannot stand in the file, and one that would be refused.
const SECRETS: &[(&str, &str, &str)] = &[
    ("smtp_pass", "hunter2, \"hunter3\"", "hunter2\u{7}"),
    ("webhook_url", "https://hooks.test/hunter2", "hooks.test/hunter2"),
    ("webhook_secret", "hunter2", "hunter2\u{7}"),
    ("ntfy_url", "https://ntfy.test/hunter2", "https://hunter2.test"),
    ("ntfy_token", "tk_hunter2", "hunter 2"),
    ("telegram_token", "1:hunter2", "hünter2"),
    ("slack_url", "https://hooks.test/hunter2", "ftp://hunter2"),
    ("discord_url", "https://hooks.test/hunter2", "https://hooks.test/hunter2#x"),
    ("pushover_token", "hunter2", "hunter 2"),
    ("pushover_user", "hunter2", "hunter 2"),
    ("alertmanager_url", "http://me:hunter2@host:9093", "http://hunter2@host?x"),
    ("ping_url", "https://ping.test/hunter2", "hunter2"),
];

#[test]
fn secrets_stand_in_two_sources_and_show_in_none() {
    let table: Vec<_> = SETTINGS.iter().filter(|row| row.is_secret()).map(|row| row.name).collect();
    assert_eq!(SECRETS.iter().map(|(name, ..)| *name).collect::<Vec<_>>(), table);
    for (name, good, bad) in SECRETS {
        let variable = setting(name).environment;
        let is_there = |settings: &Settings| settings.alerts.secrets().any(|one| text_of(one) == *good);
        let in_file = beside(name).with_file(".env", &format!("{variable}='{good}'")).settings();
        let in_environment = beside(name)
            .with_file(".env", &format!("{variable}=https://weaker.test/path"))
            .with_variable(variable, *good)
            .settings();
        for settings in [in_file, in_environment] {
            assert!(is_there(&settings), "{name}");
            assert!(settings.alerts.has_secret(&format!(" {good}\n")) && !settings.alerts.has_secret("other"));
            assert!(!format!("{settings:?} {settings:#?}").contains("hunter"), "{settings:?}");
        }
        let message = wrong_everywhere(name, bad);
        assert!(!message.contains("hunter") && !message.contains("is not shown"), "{message}");
        let in_config = World::new().with_file("ibga.toml", &format!("{name} = {good:?}"));
        let expected = format!(
            "ibga.toml:1:1: {name}: is a secret and cannot be set here; set `{variable}` in the environment or in `.env`, \
             or `{name}_file` here to the file that holds it"
        );
        assert_eq!(in_config.problems(), [expected]);
    }
}

#[test]
fn what_is_wrong_with_a_value() {
    let path = "is relative to wherever a process starts; write a path that begins with /";
    let address = "is not a mail address; write it alone, as in me@example.org";
    for (name, text, expected) in [
        ("alert_email", "me@example.org,you", format!("`you` {address}")),
        ("smtp_host", "smtp://mail", "`smtp://mail` is more than a host; write the host alone and the port as `port`".into()),
        ("smtp_port", "70000", "`70000` is not a port; write a whole number from 1 to 65535".into()),
        ("smtp_security", "ssl", "`ssl` is not one of starttls, tls, none".into()),
        ("smtp_from", "ibga", format!("`ibga` {address}")),
        ("sendmail", "sendmail", format!("`sendmail` {path}")),
        ("smtp_user_file", "user", format!("`user` {path}")),
        ("ping_url_file", "~/url", "`~/url` is taken as it stands, `~` and `$` are not expanded; write the whole path".into()),
        ("telegram_api", "api", "not a URL that can be used: write https:// or http://, a host, and what follows it there".into()),
        ("pushover_api", "http://a?b", "not a URL that can be used: a path is added to it; remove the ? and what follows".into()),
        ("alert_after", "25h", "`25h` is out of range; write 0s to 24h".into()),
        ("alert_after", "1", "`1` has no unit; write a number with its unit, such as 1s or 1m".into()),
        ("quiet_hours", "07:00-07:00", "`07:00-07:00` ends where it begins; write two times of day, as in 22:00-07:00".into()),
        ("escalate_after", "1s", "`1s` is out of range; write 1m to 24h".into()),
        (
            "escalate_to",
            "ntfy,pushhover",
            "`pushhover` is not one of email, sendmail, webhook, ntfy, telegram, slack, discord, pushover, alertmanager, \
             command; did you mean `pushover`?"
                .into(),
        ),
        ("alert_templates", "templates", format!("`templates` {path}")),
        ("alert_ca_file", "ca.pem", format!("`ca.pem` {path}")),
    ] {
        assert_eq!(wrong_everywhere(name, text), expected, "{name}");
    }
    for name in ["alert_flapping", "alert_reminders"] {
        let world = World::new().with_file("ibga.toml", &format!("{name} = \"on\""));
        assert_eq!(
            world.problems(),
            [format!("ibga.toml:1:{}: {name}: text where true or false belongs", name.len() + 4)]
        );
        let world = World::new().with_variable(setting(name).environment, "off");
        assert_ne!(world.settings().alerts, AlertSettings::default());
    }
}

/// What `.env` with these lines is told, without the place of the first line.
fn told(lines: &str) -> String {
    World::new().with_file(".env", lines).problems().join("\n").replace(".env:1: ", "")
}

#[test]
fn a_channel_that_is_not_complete() {
    for (lines, expected) in [
        ("ALERT_EMAIL=me@b.c", "ALERT_EMAIL: no way for mails is set; set SMTP_HOST or IBGA_SENDMAIL"),
        ("IBGA_SENDMAIL=/x", "IBGA_SENDMAIL: nobody would get its mails; set ALERT_EMAIL"),
        (
            "IBGA_SENDMAIL=/x\nSMTP_HOST=mail\nALERT_EMAIL=me@b.c",
            "IBGA_SENDMAIL: `SMTP_HOST` is set as well (.env:2); remove one of the two",
        ),
        (
            "SMTP_USER=me\nSMTP_HOST=mail\nALERT_EMAIL=me@b.c",
            "SMTP_USER: no password goes with it; set SMTP_PASS or SMTP_PASS_FILE",
        ),
        (
            "SMTP_PASS=hunter2\nSMTP_HOST=mail\nALERT_EMAIL=me@b.c",
            "SMTP_PASS: no user goes with it; set SMTP_USER or SMTP_USER_FILE",
        ),
        (
            "SMTP_SECURITY=none\nSMTP_HOST=10.0.0.1\nALERT_EMAIL=me@b.c\nSMTP_USER=a\nSMTP_PASS_FILE=/b",
            "SMTP_SECURITY: a password would be sent readable; write starttls or tls, or remove user and password",
        ),
        (
            "IBGA_WEBHOOK_SECRET=x",
            "IBGA_WEBHOOK_SECRET: no URL goes with it; set IBGA_WEBHOOK_URL or IBGA_WEBHOOK_URL_FILE",
        ),
        (
            "IBGA_NTFY_TOKEN_FILE=/x",
            "IBGA_NTFY_TOKEN_FILE: no topic goes with it; set IBGA_NTFY_URL or IBGA_NTFY_URL_FILE",
        ),
        ("IBGA_TELEGRAM_TOKEN=x", "IBGA_TELEGRAM_TOKEN: no chat goes with it; set IBGA_TELEGRAM_CHAT"),
        (
            "IBGA_TELEGRAM_CHAT=1",
            "IBGA_TELEGRAM_CHAT: no bot goes with it; set IBGA_TELEGRAM_TOKEN or IBGA_TELEGRAM_TOKEN_FILE",
        ),
        (
            "IBGA_PUSHOVER_TOKEN=x",
            "IBGA_PUSHOVER_TOKEN: no user goes with it; set IBGA_PUSHOVER_USER or IBGA_PUSHOVER_USER_FILE",
        ),
        (
            "IBGA_PUSHOVER_USER=x",
            "IBGA_PUSHOVER_USER: no application goes with it; set IBGA_PUSHOVER_TOKEN or IBGA_PUSHOVER_TOKEN_FILE",
        ),
        ("IBGA_ESCALATE_AFTER=5m", "IBGA_ESCALATE_AFTER: it does not say who is told then; set IBGA_ESCALATE_TO"),
        (
            "IBGA_ESCALATE_TO=ntfy\nIBGA_NTFY_URL=https://a/b",
            "IBGA_ESCALATE_TO: it does not say when they are told; set IBGA_ESCALATE_AFTER",
        ),
        (
            "IBGA_ESCALATE_TO=email\nIBGA_ESCALATE_AFTER=5m\nIBGA_NTFY_URL=https://a/b\nIBGA_ALERT_COMMAND=x",
            "IBGA_ESCALATE_TO: `email` is not configured; there is ntfy, command",
        ),
        (
            "IBGA_ESCALATE_TO=email\nIBGA_ESCALATE_AFTER=5m",
            "IBGA_ESCALATE_TO: `email` is not configured; no channel is",
        ),
        (
            "IBGA_ESCALATE_TO=ntfy\nIBGA_ESCALATE_AFTER=5m\nIBGA_NTFY_URL=https://a/b",
            "IBGA_ESCALATE_TO: names every channel that is configured, so that nobody would be told before; leave one out",
        ),
        ("SMTP_HOST=mail\nSMTP_USER=me\nSMTP_SECURITY=none", ""),
        ("SMTP_SECURITY=none\nSMTP_HOST=127.0.0.1\nALERT_EMAIL=me@b.c\nSMTP_USER=a\nSMTP_PASS=b", ""),
        ("SMTP_SECURITY=none\nSMTP_HOST=localhost\nALERT_EMAIL=me@b.c\nSMTP_USER=a\nSMTP_PASS=b", ""),
        ("SMTP_SECURITY=none\nSMTP_HOST=mail\nALERT_EMAIL=me@b.c", ""),
        ("IBGA_SENDMAIL=/x\nSMTP_PASS=b\nALERT_EMAIL=me@b.c", ""),
    ] {
        assert_eq!(told(lines), expected, "{lines}");
    }
    // In the file, settings have the names that they have there.
    let toml = "alert_email = [\"a@b.c\"]\ntelegram_chat = 1\n[gateway.default]\nescalate_to = \"email\"";
    assert_eq!(
        World::new().with_file("ibga.toml", toml).problems(),
        [
            "ibga.toml:1:16: alert_email: no way for mails is set; set smtp_host or sendmail",
            "ibga.toml:2:17: telegram_chat: no bot goes with it; set IBGA_TELEGRAM_TOKEN or telegram_token_file",
            "ibga.toml:4:15: escalate_to: it does not say when they are told; set escalate_after",
        ]
    );
    let all: Vec<String> = (0..21).map(|number| format!("a{number}@b.c")).collect();
    let many = |count: usize| told(&format!("ALERT_EMAIL={}\nSMTP_HOST=mail", all[..count].join(",")));
    assert_eq!(many(20), "");
    assert_eq!(many(21), "ALERT_EMAIL: more than 20 addresses; write the address of a mailing list");
}

#[test]
fn a_text_and_its_file_in_one_source_are_refused_and_the_stronger_source_wins() {
    let url = "https://ntfy.test/hunter2";
    assert_eq!(
        told(&format!("IBGA_NTFY_URL_FILE=/x\nIBGA_NTFY_URL={url}")),
        "IBGA_NTFY_URL_FILE: `IBGA_NTFY_URL` is set as well (.env:2); remove one of the two"
    );
    let both = World::new().with_variable("IBGA_NTFY_URL", url).with_variable("IBGA_NTFY_URL_FILE", "/x");
    assert_eq!(
        both.problems(),
        ["IBGA_NTFY_URL_FILE in the environment: `IBGA_NTFY_URL` is set as well (IBGA_NTFY_URL in the environment); \
          remove one of the two"]
    );
    let file = || World::new().with_file("ibga.toml", "ntfy_url_file = \"/weak\"");
    assert_eq!(first_secret(&file().settings()), "/weak");
    assert_eq!(first_secret(&file().with_file(".env", &format!("IBGA_NTFY_URL={url}")).settings()), url);
    let stronger = World::new().with_file(".env", &format!("IBGA_NTFY_URL={url}"));
    assert_eq!(first_secret(&stronger.with_variable("IBGA_NTFY_URL_FILE", "/strong").settings()), "/strong");
    let section = "smtp_user_file = \"/top\"\n[gateway.default]\nsmtp_user = \"section\"";
    assert_eq!(first_secret(&beside("smtp_user").with_file("ibga.toml", section).settings()), "section");
    let both = "smtp_user_file = \"/top\"\nsmtp_user = \"top\"";
    assert_eq!(
        beside("smtp_user").with_file("ibga.toml", both).problems(),
        ["ibga.toml:1:18: smtp_user_file: `SMTP_USER` is set as well (ibga.toml:2:13); remove one of the two"]
    );
}

#[test]
fn mail_as_it_is_sent_where_little_is_said() {
    for (security, port) in [("starttls", 587), ("tls", 465), ("none", 25)] {
        let world = beside("smtp_security").with_variable("SMTP_SECURITY", security);
        assert_eq!(smtp(&world.settings()).port, port);
    }
    let from = |world: World| smtp(&world.settings()).from;
    assert_eq!(from(beside("smtp_from")), "ibga@trader");
    assert_eq!(from(beside("smtp_user").with_variable("SMTP_USER", "someone")), "ibga@trader");
    assert_eq!(from(beside("smtp_user").with_variable("SMTP_USER", "someone@b.c")), "someone@b.c");
    assert_eq!(from(beside("smtp_user").with_variable("SMTP_USER_FILE", "/some@one")), "ibga@trader");
    let other = beside("smtp_user").with_variable("SMTP_USER_FILE", "/user");
    assert_eq!(from(other.with_file("ibga.toml", "smtp_user = \"weaker@b.c\"")), "ibga@trader");
    let mail = smtp(&beside("smtp_pass").with_file(".env", "SMTP_PASS=' hunter2 '").settings());
    assert_eq!(mail.login, Some((Secret::Text("x".into()), Secret::Text(" hunter2 ".into()))), "blanks count");
    assert_eq!((mail.security, mail.host.as_str()), (SmtpSecurity::StartTls, "mail"));
}

/// Names of mail servers belong to other programs as well; a service called `smtp` makes one in every container.
#[test]
fn without_a_recipient_nothing_is_made_of_the_names_of_others() {
    let world = World::new()
        .with_variable("SMTP_HOST", "tcp://10.0.0.1")
        .with_variable("SMTP_PORT", "tcp://10.0.0.1:25")
        .with_variable("SMTP_SECURITY", "whatever")
        .with_variable("SMTP_USER", "x");
    assert_eq!(world.settings().alerts, AlertSettings::default());
    let emptied = World::new().with_file("ibga.toml", "alert_email = \"a@b.c\"\n[gateway.default]\nalert_email = []");
    assert_eq!(emptied.settings().alerts, AlertSettings::default());
}

#[test]
fn quiet_hours_are_those_of_the_machine_unless_a_zone_is_named() {
    let world = World::new().with_variable("IBGA_QUIET_HOURS", "22:00-07:00");
    assert_eq!(world.settings().alerts.quiet.unwrap().zone.iana_name(), Some("Asia/Tokyo"));
}

#[test]
fn the_defaults_of_the_table_hold_for_a_channel_that_is_set() {
    for row in ROWS.iter().filter(|row| !setting(row.name).default.is_empty()) {
        assert_eq!((row.show)(&beside(row.name).settings()), setting(row.name).default, "{}", row.name);
    }
}
