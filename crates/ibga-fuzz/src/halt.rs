//! The halt file: whatever stands in it, what people are told of it is one bounded line that repaints no terminal.

use ibga_core::halt::{Halt, HaltSeen, REASON_CHARS_MAX};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The owner of the file.
const OWNER: u32 = 1000;

/// Longest sentence: the reason, three names, and the words between.
const SENTENCE_CHARS_MAX: usize = REASON_CHARS_MAX + 400;

/// The bytes are a halt file.
pub fn halt(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let seen = match Halt::from_json(text, OWNER) {
        Ok(halt) => {
            assert_eq!(halt.uid, OWNER, "somebody else's halt");
            assert!(Halt::from_json(&halt.to_json(), OWNER).is_ok(), "a halt that cannot be read again: {text}");
            HaltSeen::Told(halt)
        }
        Err(fault) => HaltSeen::Unclear { path: "halt.json".into(), fault: fault.to_string() },
    };
    let told = seen.text(Timestamp::UNIX_EPOCH, &TimeZone::UTC);
    assert!(!told.chars().any(char::is_control), "control characters: {told:?}");
    assert!(told.chars().count() <= SENTENCE_CHARS_MAX, "too long: {told}");
}

/// Whether the text tells who halted agents.
pub fn is_told(text: &str) -> bool {
    Halt::from_json(text, OWNER).is_ok()
}
