//! A message as mail: its headers, its two bodies, and whom it goes to. Both ways of sending mail share it. Must never let an
//! address, a user or a password into a text that is kept.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use ibga_core::alert::{Alert, Kind, Subject};
use jiff::Timestamp;
use lettre::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder, MultiPart};

use super::SendError;
use crate::alert::message::Message;

/// Most characters of an alert's key in a header; a longer one is cut and told apart by its hash.
const KEY_CHARS_MAX: usize = 160;

/// How much of the hash that tells cut keys apart.
const HASH_BYTES: usize = 8;

/// What hides a secret.
const MASK: &str = "•••";

/// Mail that is ready to be sent.
#[derive(Debug)]
pub(super) struct Letter {
    /// The sender.
    pub(super) from: Address,
    /// The recipients, at least one.
    pub(super) to: Vec<Address>,
    /// Those whose address is none, hidden.
    pub(super) unreadable: Vec<String>,
    /// Headers and bodies, ASCII alone, with lines that end in CR LF.
    pub(super) bytes: Vec<u8>,
}

/// Makes the mail. The same alert has the same `Message-ID` however often it is sent, so that a mail program shows it once.
pub(super) fn letter(message: &Message, from: &str, to: &[String], now: Timestamp) -> Result<Letter, SendError> {
    let sender: Mailbox = from.parse().map_err(|_| {
        SendError::channel(&format!("the sender {} is no mail address: correct it in the settings", hidden(from)))
    })?;
    let mut recipients: Vec<Mailbox> = Vec::new();
    let mut unreadable = Vec::new();
    for recipient in to {
        match recipient.parse() {
            Ok(mailbox) => recipients.push(mailbox),
            Err(_) => unreadable.push(hidden(recipient)),
        }
    }
    if recipients.is_empty() {
        let none = format!("no recipient is a mail address ({}): correct it in the settings", unreadable.join(", "));
        return Err(SendError::channel(&none));
    }
    let alert = &message.alert;
    let mut builder = lettre::Message::builder()
        .from(sender.clone())
        .subject(&message.subject)
        .date(SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_second().try_into().unwrap_or(0)))
        .message_id(Some(message_id(&alert.key, &alert.host)));
    for recipient in &recipients {
        builder = builder.to(recipient.clone());
    }
    if let Some(thread) = thread(alert) {
        builder = builder.references(message_id(&thread, &alert.host));
    }
    let mail = headers(builder, alert)
        .multipart(MultiPart::alternative_plain_html(message.text.clone(), message.html.clone()))
        .map_err(|fault| SendError::message(&format!("the mail cannot be made: {fault}")))?;
    Ok(Letter {
        from: sender.email,
        to: recipients.into_iter().map(|recipient| recipient.email).collect(),
        unreadable,
        bytes: mail.formatted(),
    })
}

/// What programs go by: that no person wrote it, how urgent it is, and what it is about.
fn headers(builder: MessageBuilder, alert: &Alert) -> MessageBuilder {
    let cause = alert.cause.map_or("none", |cause| cause.code());
    let mut builder = builder
        .raw_header(header(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated"))
        .raw_header(header(HeaderName::new_from_ascii_str("X-Ibga-Key"), &atoms(&alert.key)))
        .raw_header(header(HeaderName::new_from_ascii_str("X-Ibga-Gateway"), &atoms(&alert.gateway)))
        .raw_header(header(HeaderName::new_from_ascii_str("X-Ibga-Cause"), cause));
    if !matches!(alert.subject, Subject::Ready | Subject::Recovery | Subject::Test) {
        builder = builder
            .raw_header(header(HeaderName::new_from_ascii_str("X-Priority"), "1"))
            .raw_header(header(HeaderName::new_from_ascii_str("Importance"), "high"));
    }
    builder
}

fn header(name: HeaderName, value: &str) -> HeaderValue {
    HeaderValue::new(name, value.to_owned())
}

/// What an outage has in common, as far as one alert alone can tell: a recovery refers to the outage that it ends, and so do the
/// problem that began it and its reminders. Where the cause changed on the way, the later ones stand for themselves.
fn thread(alert: &Alert) -> Option<String> {
    let began = match alert.kind {
        Kind::Problem | Kind::Reminder | Kind::Escalation => alert.since,
        Kind::Recovery => alert.down_since?,
        Kind::Flapping | Kind::Settled | Kind::NoGo | Kind::Act | Kind::Test => return None,
    };
    Some(format!("{}.outage.{}", alert.gateway, began.as_microsecond()))
}

/// `<default.problem.api_silent.1795651200000000@trader.ibga>`: made of the alert alone.
fn message_id(key: &str, host: &str) -> String {
    let host = atoms(host);
    format!("<{}@{}.ibga>", atoms(key), if host.is_empty() { "unknown" } else { &host })
}

/// The text in those characters that may stand in a message id; every other byte as `=` and two digits, so that two texts never
/// become one.
fn atoms(text: &str) -> String {
    let mut atoms = String::with_capacity(text.len());
    let mut before = b'.';
    let last = text.len().saturating_sub(1);
    for (at, byte) in text.bytes().enumerate() {
        let is_dot_within = byte == b'.' && before != b'.' && at != last;
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+') || is_dot_within {
            atoms.push(char::from(byte));
        } else {
            let _ = write!(atoms, "={byte:02X}");
        }
        before = if is_dot_within { b'.' } else { b'x' };
    }
    if atoms.len() <= KEY_CHARS_MAX {
        return atoms;
    }
    let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let mut kept: String = atoms.chars().take(KEY_CHARS_MAX - 2 * HASH_BYTES - 1).collect();
    kept.push('+');
    for byte in hash.as_ref().iter().take(HASH_BYTES) {
        let _ = write!(kept, "{byte:02x}");
    }
    kept
}

/// `j***@example.org`: enough for its owner to know it by.
pub(super) fn hidden(address: &str) -> String {
    let address = address.rsplit_once('<').map_or(address, |(_, address)| address.trim_end_matches('>'));
    let (user, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let first: String = user.chars().take(1).collect();
    let at = if domain.is_empty() { "" } else { "@" };
    format!("{first}***{at}{domain}")
}

/// What servers and programs must not be quoted with, and what stands in its place.
#[derive(Debug, Default)]
pub(super) struct Veil(Vec<(String, String)>);

impl Veil {
    /// Hides the addresses of a letter.
    pub(super) fn over(letter: &Letter) -> Self {
        let addresses = letter.to.iter().chain([&letter.from]).map(ToString::to_string);
        Self(addresses.map(|address| (address.to_ascii_lowercase(), hidden(&address))).collect())
    }

    /// Hides a secret, before what was hidden so far.
    pub(super) fn hide(&mut self, secret: &str) {
        if !secret.is_empty() {
            self.0.insert(0, (secret.to_ascii_lowercase(), MASK.to_owned()));
        }
    }

    /// The text with everything hidden. Servers change the case of what they repeat.
    pub(super) fn draw(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (needle, mask)| {
            // Of the same length, so that places in it are places in the text.
            let lower = text.to_ascii_lowercase();
            let (mut drawn, mut done) = (String::new(), 0);
            for (at, _) in lower.match_indices(needle.as_str()) {
                drawn.push_str(text.get(done..at).unwrap_or_default());
                drawn.push_str(mask);
                done = at + needle.len();
            }
            drawn.push_str(text.get(done..).unwrap_or_default());
            drawn
        })
    }
}

/// Without words that may be a secret in base64, which some servers repeat when they refuse a login.
pub(super) fn without_base64(text: &str) -> String {
    let is_secret = |word: &&str| {
        let is_base64 = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
        is_base64 && (word.len() >= 16 || (word.len() >= 4 && word.ends_with('=')))
    };
    let words = text.split_whitespace().map(|word| if is_secret(&word) { MASK } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use ibga_core::alert::{Hours, Trading};

    use super::*;
    use crate::alert::message::Templates;
    use jiff::tz::TimeZone;

    fn message() -> Message {
        let now: Timestamp = "2026-11-25T00:48:00Z".parse().expect("an instant");
        let hours = Hours { exchange: "XHKG".into(), trading: Trading::On, next_open: None, next_close: None };
        let alert = ibga_core::alert::test("default", "127.0.0.1:4000", "trader", &hours, now);
        Templates::default().render(&alert, now, &TimeZone::UTC).message
    }

    fn mail(message: &Message, from: &str, to: &[&str]) -> Result<Letter, SendError> {
        let to: Vec<String> = to.iter().map(ToString::to_string).collect();
        letter(message, from, &to, "2026-11-25T00:48:05Z".parse().expect("an instant"))
    }

    #[test]
    fn headers_and_bodies() {
        let letter =
            mail(&message(), "ibga <ibga@example.org>", &["Jo <jo@example.org>", "al@example.com"]).expect("mail");
        let text = String::from_utf8(letter.bytes).expect("ASCII");
        // The boundary is made by chance.
        let boundary = text.split_once("boundary=\"").and_then(|(_, rest)| rest.split_once('"')).expect("one").0;
        let html = text.find("<!DOCTYPE").expect("a page");
        insta::assert_snapshot!(text[..html].replace(boundary, "BOUNDARY").replace('\r', ""));
    }

    #[test]
    fn an_id_is_an_id_whatever_the_key_holds() {
        for (key, host, id) in [
            ("default.problem.api_silent.17", "trader", "<default.problem.api_silent.17@trader.ibga>"),
            ("a..b.", ".h", "<a.=2Eb=2E@=2Eh.ibga>"),
            ("x\r\nBcc: a@b", "", "<x=0D=0ABcc=3A=20a=40b@unknown.ibga>"),
            ("ü=", "h>", "<=C3=BC=3D@h=3E.ibga>"),
        ] {
            assert_eq!(message_id(key, host), id);
        }
        let long = |end: &str| message_id(&("a.".repeat(500) + end), "h");
        assert_ne!(long("x"), long("y"));
        assert!(long("x").len() < 200 && !long("x").contains(".@"), "{}", long("x"));
    }

    #[test]
    fn an_outage_is_one_thread() {
        let mut alert = message().alert;
        assert_eq!(thread(&alert), None);
        alert.kind = Kind::Problem;
        let problem = thread(&alert).expect("a thread");
        (alert.kind, alert.down_since, alert.since) =
            (Kind::Recovery, Some(alert.since), alert.at + Duration::from_mins(3));
        assert_eq!(thread(&alert), Some(problem));
    }

    #[test]
    fn a_hostile_alert_adds_no_header() {
        let mut message = message();
        message.alert.gateway = "x\r\nBcc: all@example.org".into();
        message.alert.key = "k\nBcc: all@example.org".repeat(99);
        message.alert.host = "h\r\n\r\nbody".into();
        message.subject = "s\r\nBcc: all@example.org".into();
        let letter = mail(&message, "ibga@example.org", &["jo@example.org"]).expect("mail");
        let text = String::from_utf8(letter.bytes).expect("ASCII");
        assert!(
            !text.to_ascii_lowercase().lines().any(|line| line.starts_with("bcc") || line.starts_with("body")),
            "{text}"
        );
        assert!(text.lines().all(|line| line.len() < 998), "{text}");
    }

    #[test]
    fn an_address_that_is_none_does_not_keep_the_others_from_it() {
        let some = mail(&message(), "ibga@example.org", &["nobody", "jo@example.org"]).expect("mail");
        assert_eq!((some.to.len(), some.unreadable.as_slice()), (1, &["n***".to_owned()][..]));
        for (from, to) in [("ibga", "jo@example.org"), ("ibga@example.org", "Jo <jo@>")] {
            let fault = mail(&message(), from, &[to]).expect_err("no mail");
            assert_eq!(fault.blame, super::super::Blame::Channel);
            assert!(fault.text.contains("***") && fault.text.ends_with("correct it in the settings"), "{fault}");
        }
    }

    #[test]
    fn what_is_hidden_stays_hidden() {
        let letter = mail(&message(), "ibga@example.org", &["Jo@Example.org"]).expect("mail");
        let mut veil = Veil::over(&letter);
        veil.hide("hunter2");
        veil.hide("");
        assert_eq!(
            veil.draw("<jo@example.ORG> HUNTER2 hunter2: no ibga@example.orgs"),
            "<J***@Example.org> ••• •••: no i***@example.orgs"
        );
        for (answer, kept) in [
            ("500 unknown: AUTH PLAIN AGJvYgBodW50ZXIy", "500 unknown: AUTH PLAIN •••"),
            ("aHVudGVyMg== refused", "••• refused"),
            (
                "5.7.8 see https://support.google.com/mail/?p=BadCredentials",
                "5.7.8 see https://support.google.com/mail/?p=BadCredentials",
            ),
        ] {
            assert_eq!(without_base64(answer), kept);
        }
    }
}
