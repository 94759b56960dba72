//! A halt: a person's word that no agent may run until somebody takes it back. This module is about what stands in its file, and what
//! is made of what was found there; where the file lies and who may write it is decided elsewhere.
//!
//! Whatever lies at that place is a halt, also what cannot be read: text that is no halt only costs the reader who, when and why.

use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::log_hints::masked;

/// The schema that this version writes and reads.
const SCHEMA_VERSION: u32 = 1;

/// Longest reason, in characters.
pub const REASON_CHARS_MAX: usize = 500;

/// Longest name of a user, a machine or a gateway, in characters.
const NAME_CHARS_MAX: usize = 80;

/// Why an agent may not run, as a person says it: one line, not empty, bounded, without control characters and account ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// Takes what a person wrote; `None` if that says nothing.
    pub fn new(text: &str) -> Option<Self> {
        let text = line(&masked(text), REASON_CHARS_MAX);
        (!text.is_empty()).then_some(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who halted what, when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halt {
    /// The gateway whose agents may not run; none for those of all.
    pub gateway: Option<String>,
    /// The user who halted them.
    pub by: String,
    /// The user's id, which the owner of the file has to have.
    pub uid: u32,
    /// The machine on which it was done.
    pub host: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
}

/// The file's fields, in their order.
#[derive(Serialize, Deserialize)]
struct Document {
    schema_version: u32,
    gateway: Option<String>,
    by: String,
    uid: u32,
    host: String,
    at: Timestamp,
    reason: String,
}

/// Why a text is no halt that can be told of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HaltError {
    /// It is empty.
    #[error("the file is empty")]
    Empty,
    /// It is not the JSON object that it has to be.
    #[error("the file does not say who halted it, when and why")]
    NotAHalt,
    /// Another version wrote it.
    #[error("the file has schema {0}, which this version cannot read; update ibga")]
    UnknownSchema(u32),
    /// It names another user than its owner.
    #[error("the file belongs to user id {owner}, but names {by} with user id {named}")]
    AnotherOwner {
        /// Whose file it is.
        owner: u32,
        /// Whom it names.
        by: String,
        /// The id that it names.
        named: u32,
    },
}

impl Halt {
    /// The text of the file.
    pub fn to_json(&self) -> String {
        let document = Document {
            schema_version: SCHEMA_VERSION,
            gateway: self.gateway.as_deref().map(name),
            by: name(&self.by),
            uid: self.uid,
            host: name(&self.host),
            at: self.at,
            reason: self.reason.to_string(),
        };
        // Nothing in it can fail to become JSON, and an empty file would be a halt, too.
        serde_json::to_string_pretty(&document).map(|text| text + "\n").unwrap_or_default()
    }

    /// Reads the text of a file that belongs to `owner`.
    pub fn from_json(text: &str, owner: u32) -> Result<Self, HaltError> {
        if text.trim().is_empty() {
            return Err(HaltError::Empty);
        }
        // The version first, since another one may have other fields.
        let value: serde_json::Value = serde_json::from_str(text).map_err(|_| HaltError::NotAHalt)?;
        let version = value.get("schema_version").and_then(serde_json::Value::as_u64);
        let version = version.and_then(|version| u32::try_from(version).ok()).ok_or(HaltError::NotAHalt)?;
        if version != SCHEMA_VERSION {
            return Err(HaltError::UnknownSchema(version));
        }
        let document: Document = serde_json::from_value(value).map_err(|_| HaltError::NotAHalt)?;
        let (by, uid) = (name(&document.by), document.uid);
        if uid != owner {
            return Err(HaltError::AnotherOwner { owner, by, named: uid });
        }
        let reason = Reason::new(&document.reason).ok_or(HaltError::NotAHalt)?;
        let gateway = document.gateway.as_deref().map(name);
        Ok(Self { gateway, by, uid, host: name(&document.host), at: document.at, reason })
    }

    /// `Halted by alice on trader at 14:03: exchange news`, with the date where it is not of this day.
    pub fn text(&self, now: Timestamp, zone: &TimeZone) -> String {
        let at = self.at.to_zoned(zone.clone());
        let is_today = at.date() == now.to_zoned(zone.clone()).date();
        let at = at.strftime(if is_today { "%H:%M" } else { "%Y-%m-%d %H:%M" });
        let of = self.gateway.as_ref().map(|gateway| format!(" for gateway {gateway}")).unwrap_or_default();
        format!("Halted{of} by {} on {} at {at}: {}", self.by, self.host, self.reason)
    }
}

/// What lies where halts do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HaltSeen {
    /// A halt with all that belongs to it.
    Told(Halt),
    /// Something else, or nobody can tell what: a halt all the same.
    Unclear {
        /// Where.
        path: PathBuf,
        /// What is odd about it.
        fault: String,
    },
}

impl HaltSeen {
    /// In a sentence.
    pub fn text(&self, now: Timestamp, zone: &TimeZone) -> String {
        match self {
            Self::Told(halt) => halt.text(now, zone),
            Self::Unclear { path, fault } => format!("Halted, since {} is there: {fault}", path.display()),
        }
    }
}

/// A name out of a file or a system's table: one word on one line.
fn name(text: &str) -> String {
    let name = line(text, NAME_CHARS_MAX);
    if name.is_empty() { "unknown".to_owned() } else { name }
}

/// The text on one line of bounded length, without anything that could repaint a terminal.
fn line(text: &str, chars_max: usize) -> String {
    let is_plain = |c: &char| !c.is_control() && !is_direction(*c);
    let spaced: String = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(is_plain).collect();
    let words = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(chars_max).collect::<String>().trim_end().to_owned()
}

/// Characters that turn the direction of what follows, and so can make a line read otherwise than it is.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halt(reason: &str) -> Halt {
        Halt {
            gateway: None,
            by: "alice".into(),
            uid: 1000,
            host: "trader".into(),
            at: "2026-11-23T06:03:00Z".parse().expect("an instant"),
            reason: Reason::new(reason).expect("a reason"),
        }
    }

    #[test]
    fn a_halt_is_written_and_read_as_the_same() {
        for (reason, gateway) in [("exchange news", None), ("\"quotes\" and \\ and ünïcode", Some("paper".to_owned()))]
        {
            let written = Halt { gateway, ..halt(reason) };
            assert_eq!(Halt::from_json(&written.to_json(), 1000), Ok(written));
        }
        insta::assert_snapshot!(halt("exchange news").to_json(), @r#"
        {
          "schema_version": 1,
          "gateway": null,
          "by": "alice",
          "uid": 1000,
          "host": "trader",
          "at": "2026-11-23T06:03:00Z",
          "reason": "exchange news"
        }
        "#);
    }

    #[test]
    fn reasons_are_one_bounded_masked_line() {
        let long = "x".repeat(2_000);
        for (text, expected) in [
            ("", None),
            (" \n\t ", None),
            ("\u{1b}\u{7}\u{202e}", None),
            (" two\nlines ", Some("two lines")),
            ("\u{1b}[31mred\u{7}", Some("[31mred")),
            ("abc\u{202e}def", Some("abcdef")),
            ("account U1234567 is wrong", Some("account *** is wrong")),
            (long.as_str(), long.get(..REASON_CHARS_MAX)),
        ] {
            assert_eq!(Reason::new(text).as_ref().map(Reason::as_str), expected, "{text:?}");
        }
    }

    #[test]
    fn texts_that_tell_no_halt() {
        let good = halt("news").to_json();
        for (text, fault) in [
            (String::new(), HaltError::Empty),
            (" \n".into(), HaltError::Empty),
            ("stop".into(), HaltError::NotAHalt),
            ("[]".into(), HaltError::NotAHalt),
            ("{}".into(), HaltError::NotAHalt),
            (good.replace(": 1,", ": 2,"), HaltError::UnknownSchema(2)),
            (good.replace(": 1,", ": -1,"), HaltError::NotAHalt),
            (good.replace("\"news\"", "\" \""), HaltError::NotAHalt),
            (good.replace("\"news\"", "7"), HaltError::NotAHalt),
            (good.replace("2026-11-23T06:03:00Z", "yesterday"), HaltError::NotAHalt),
            (good.replace("  \"by\": \"alice\",\n", ""), HaltError::NotAHalt),
            (good.split_at(60).0.to_owned(), HaltError::NotAHalt),
            (good.replace("1000", "0"), HaltError::AnotherOwner { owner: 1000, by: "alice".into(), named: 0 }),
        ] {
            assert_eq!(Halt::from_json(&text, 1000), Err(fault), "{text}");
        }
    }

    #[test]
    fn names_are_bounded_words() {
        let odd = Halt { by: "al\nice\u{1b}".into(), host: String::new(), ..halt("news") };
        let read = Halt::from_json(&odd.to_json(), 1000).expect("a halt");
        assert_eq!((read.by.as_str(), read.host.as_str()), ("al ice", "unknown"));
    }

    #[test]
    fn sentences() {
        let zone = TimeZone::get("Asia/Hong_Kong").expect("a zone");
        let of_one = HaltSeen::Told(Halt { gateway: Some("paper".into()), ..halt("exchange news") });
        let unclear = HaltSeen::Unclear { path: "/var/tmp/ibga-halt.json".into(), fault: "it is empty".into() };
        for (seen, now, text) in [
            (
                HaltSeen::Told(halt("exchange news")),
                "2026-11-23T06:10:00Z",
                "Halted by alice on trader at 14:03: exchange news",
            ),
            (
                HaltSeen::Told(halt("exchange news")),
                "2026-11-23T17:00:00Z",
                "Halted by alice on trader at 2026-11-23 14:03: exchange news",
            ),
            (of_one, "2026-11-23T06:10:00Z", "Halted for gateway paper by alice on trader at 14:03: exchange news"),
            (unclear, "2026-11-23T06:10:00Z", "Halted, since /var/tmp/ibga-halt.json is there: it is empty"),
        ] {
            assert_eq!(seen.text(now.parse().expect("an instant"), &zone), text);
        }
    }
}
