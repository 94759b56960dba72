//! The types of the settings of alerts, and the one reading of each. A fault in what may be a secret repeats nothing of it.

use std::time::Duration;

use ibga_core::window::parse_wall;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use reqwest::Url;

use super::{duration, not_a, not_a_choice};
use crate::alert::channel::ChannelName;
use crate::settings::SmtpSecurity;
use crate::settings::fault::{Fault, shown};

/// The words of [`ChannelName`], in its order.
const CHANNEL_WORDS: &[&str] =
    &["email", "sendmail", "webhook", "ntfy", "telegram", "slack", "discord", "pushover", "alertmanager", "command"];

/// Hours in which a person wants to be left alone, in the zone of the machine if none is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::settings) struct QuietSpan {
    pub(in crate::settings) from: Time,
    pub(in crate::settings) to: Time,
    pub(in crate::settings) zone: Option<TimeZone>,
}

/// A mail address alone, without a name around it. What begins with a dash would be an option to a mail program.
pub(in crate::settings) fn address(text: &str) -> Result<String, Fault> {
    let has_more = text.starts_with('-') || text.contains(|c: char| c.is_whitespace() || "<>\"'(),;:\\".contains(c));
    if !has_more && text.parse::<lettre::Address>().is_ok() {
        Ok(text.to_owned())
    } else {
        Err(not_a(text, "a mail address", "write it alone, as in me@example.org"))
    }
}

pub(in crate::settings) fn smtp_security(text: &str) -> Result<SmtpSecurity, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "starttls" => Ok(SmtpSecurity::StartTls),
        "tls" => Ok(SmtpSecurity::Tls),
        "none" => Ok(SmtpSecurity::None),
        _ => Err(not_a_choice(text, &["starttls", "tls", "none"])),
    }
}

/// A user or password, which is whatever a server takes for one, or a line for a shell.
#[expect(clippy::unnecessary_wraps, reason = "a reading like the others")]
pub(in crate::settings) fn any_text(text: &str) -> Result<String, Fault> {
    Ok(text.to_owned())
}

/// What a service gives out to be recognised by.
pub(in crate::settings) fn token(text: &str) -> Result<String, Fault> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) { Ok(text.to_owned()) } else { Err(Fault::Token) }
}

/// A Telegram chat: the number of any, or the name of a public one.
pub(in crate::settings) fn chat(text: &str) -> Result<String, Fault> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = (1..=20).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = text.strip_prefix('@').is_some_and(|name| {
        (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    if is_number || is_name {
        Ok(text.to_owned())
    } else {
        Err(not_a(text, "a chat", "write its number, such as -1001234567890, or @name of a channel"))
    }
}

/// Where something can be sent to, as it was written.
pub(in crate::settings) fn url(text: &str) -> Result<String, Fault> {
    parsed_url(text).map(|_| text.to_owned())
}

/// The URL of an ntfy topic.
pub(in crate::settings) fn topic_url(text: &str) -> Result<String, Fault> {
    let url = parsed_url(text)?;
    if url.path().trim_matches('/').is_empty() {
        return Err(Fault::Url("it names no topic; write one behind it, as in https://ntfy.sh/topic"));
    }
    Ok(text.to_owned())
}

/// A URL to which a path is added, without a slash at its end.
pub(in crate::settings) fn base_url(text: &str) -> Result<String, Fault> {
    if parsed_url(text)?.query().is_some() {
        return Err(Fault::Url("a path is added to it; remove the ? and what follows"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// The like for a server whose name is no secret, so that no login can stand in it.
pub(in crate::settings) fn server_url(text: &str) -> Result<String, Fault> {
    let url = parsed_url(text)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::Url("it is shown, so that no login can stand in it; remove that"));
    }
    base_url(text)
}

fn parsed_url(text: &str) -> Result<Url, Fault> {
    // The library would take blanks out without a word.
    if text.contains(char::is_whitespace) {
        return Err(Fault::Url("it holds a blank; write %20 for it, or remove it"));
    }
    let url = Url::parse(text).ok().filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    let url = url.ok_or(Fault::Url("write https:// or http://, a host, and what follows it there"))?;
    if url.fragment().is_some() {
        return Err(Fault::Url("nothing behind a # is ever sent; remove the # and what follows"));
    }
    Ok(url)
}

pub(in crate::settings) fn alert_after(text: &str) -> Result<Duration, Fault> {
    duration(text, "0s", "24h")
}

pub(in crate::settings) fn escalate_after(text: &str) -> Result<Duration, Fault> {
    duration(text, "1m", "24h")
}

pub(in crate::settings) fn quiet_hours(text: &str) -> Result<QuietSpan, Fault> {
    let (span, zone) = text.split_once(char::is_whitespace).map_or((text, None), |(span, zone)| (span, Some(zone)));
    let times = span.split_once('-').and_then(|(from, to)| parse_wall(from).zip(parse_wall(to)));
    let zone = zone.map(|name| TimeZone::get(name.trim())).transpose();
    match (times, zone) {
        (Some((from, to)), _) if from == to => Err(Fault::EmptySpan { shown: shown(text) }),
        (Some((from, to)), Ok(zone)) => Ok(QuietSpan { from, to, zone }),
        (_, Err(_)) | (None, _) => {
            Err(not_a(text, "a span of each day", "write it and its zone, as in 22:00-07:00 Europe/Zurich"))
        }
    }
}

pub(in crate::settings) fn channel(text: &str) -> Result<ChannelName, Fault> {
    ChannelName::from_word(&text.to_ascii_lowercase()).ok_or_else(|| not_a_choice(text, CHANNEL_WORDS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::values::tests::assert_table;

    #[test]
    fn the_words_are_those_of_the_channels() {
        assert_eq!(ChannelName::ALL.map(ChannelName::as_str), CHANNEL_WORDS);
    }

    #[test]
    fn addresses() {
        let no = |text: &str| format!("`{text}` is not a mail address; write it alone, as in me@example.org");
        assert_table(
            address,
            &[
                ("me@example.org", "\"me@example.org\""),
                ("first.last+tag@mail.example.org", "\"first.last+tag@mail.example.org\""),
                ("root@localhost", "\"root@localhost\""),
                ("größe@example.org", "\"größe@example.org\""),
                ("me", &no("me")),
                ("me@", &no("me@")),
                ("@example.org", &no("@example.org")),
                ("me@@example.org", &no("me@@example.org")),
                ("me@example.org.", &no("me@example.org.")),
                ("-oQ/tmp@example.org", &no("-oQ/tmp@example.org")),
                ("Me <me@example.org>", &no("Me <me@example.org>")),
                ("\"a b\"@example.org", &no("\"a b\"@example.org")),
                ("me@example.org;you@example.org", &no("me@example.org;you@example.org")),
            ],
        );
    }

    #[test]
    fn urls_and_tokens_repeat_nothing() {
        let no = |why: &str| format!("not a URL that can be used: {why}");
        let blank = no("it holds a blank; write %20 for it, or remove it");
        let form = no("write https:// or http://, a host, and what follows it there");
        let fragment = no("nothing behind a # is ever sent; remove the # and what follows");
        assert_table(
            url,
            &[
                ("https://hooks.example.org/a?b=c", "\"https://hooks.example.org/a?b=c\""),
                ("http://user:hunter2@[::1]:9093", "\"http://user:hunter2@[::1]:9093\""),
                ("HTTPS://EXAMPLE.org", "\"HTTPS://EXAMPLE.org\""),
                ("https://example.org/hunter 2", &blank),
                ("hooks.example.org/hunter2", &form),
                ("hunter2", &form),
                ("https://", &form),
                ("ftp://example.org/hunter2", &form),
                ("mailto:hunter2@example.org", &form),
                ("https://example.org:99999/hunter2", &form),
                ("https://example.org/#hunter2", &fragment),
            ],
        );
        let topic = no("it names no topic; write one behind it, as in https://ntfy.sh/topic");
        assert_table(
            topic_url,
            &[
                ("https://ntfy.sh/topic", "\"https://ntfy.sh/topic\""),
                ("https://ntfy.sh", &topic),
                ("https://ntfy.sh/", &topic),
                ("ntfy.sh/topic", &form),
            ],
        );
        let query = no("a path is added to it; remove the ? and what follows");
        assert_table(
            base_url,
            &[
                ("https://api.telegram.org", "\"https://api.telegram.org\""),
                ("https://api.telegram.org/", "\"https://api.telegram.org\""),
                ("http://alertmanager:9093/path/", "\"http://alertmanager:9093/path\""),
                ("http://alertmanager:9093/?a", &query),
                ("http://me:hunter2@alertmanager:9093/", "\"http://me:hunter2@alertmanager:9093\""),
            ],
        );
        let login = no("it is shown, so that no login can stand in it; remove that");
        assert_table(
            server_url,
            &[
                ("https://api.pushover.net/", "\"https://api.pushover.net\""),
                ("https://me:hunter2@api.test", &login),
                ("https://hunter2@api.test", &login),
                ("https://api.test?hunter2", &query),
            ],
        );
        let token_no = "not a token: it holds a blank, or letters that none has; copy it once more";
        assert_table(
            token,
            &[("110201543:AAHdqTcv", "\"110201543:AAHdqTcv\""), ("hunter 2", token_no), ("hünter2", token_no)],
        );
    }

    #[test]
    fn chats_spans_of_the_day_and_choices() {
        let no = |text: &str| {
            format!("`{text}` is not a chat; write its number, such as -1001234567890, or @name of a channel")
        };
        assert_table(
            chat,
            &[
                ("-1001234567890", "\"-1001234567890\""),
                ("42", "\"42\""),
                ("@my_channel", "\"@my_channel\""),
                ("my_channel", &no("my_channel")),
                ("@", &no("@")),
                ("-", &no("-")),
                ("--1", &no("--1")),
                ("https://t.me/x", &no("https://t.me/x")),
            ],
        );
        let no = |text: &str| {
            format!("`{text}` is not a span of each day; write it and its zone, as in 22:00-07:00 Europe/Zurich")
        };
        let told = |text: &str| {
            let span = quiet_hours(text).map_err(|fault| fault.to_string())?;
            let zone = span.zone.as_ref().and_then(TimeZone::iana_name);
            Ok(format!("{} {} {zone:?}", span.from, span.to))
        };
        for (text, expected) in [
            ("22:00-07:00 Europe/Zurich", Ok("22:00:00 07:00:00 Some(\"Europe/Zurich\")".to_owned())),
            ("01:00-06:30   Asia/Hong_Kong", Ok("01:00:00 06:30:00 Some(\"Asia/Hong_Kong\")".to_owned())),
            ("22:00-07:00", Ok("22:00:00 07:00:00 None".to_owned())),
            ("22:00-7:00", Err(no("22:00-7:00"))),
            ("22:00", Err(no("22:00"))),
            ("22:00-24:00", Err(no("22:00-24:00"))),
            ("22:00 - 07:00", Err(no("22:00 - 07:00"))),
            ("22:00-07:00 Mars/Olympus", Err(no("22:00-07:00 Mars/Olympus"))),
            ("at night", Err(no("at night"))),
            (
                "22:00-22:00",
                Err("`22:00-22:00` ends where it begins; write two times of day, as in 22:00-07:00".into()),
            ),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
        assert_table(
            smtp_security,
            &[
                ("starttls", "StartTls"),
                ("TLS", "Tls"),
                ("none", "None"),
                ("ssl", "`ssl` is not one of starttls, tls, none"),
            ],
        );
        let channels = CHANNEL_WORDS.join(", ");
        assert_table(
            channel,
            &[
                ("Pushover", "Pushover"),
                ("mail", &format!("`mail` is not one of {channels}; did you mean `email`?")),
                ("phone", &format!("`phone` is not one of {channels}")),
            ],
        );
        assert_table(
            alert_after,
            &[("0s", "0ns"), ("24h", "86400s"), ("25h", "`25h` is out of range; write 0s to 24h")],
        );
        assert_table(escalate_after, &[("1m", "60s"), ("59s", "`59s` is out of range; write 1m to 24h")]);
    }
}
