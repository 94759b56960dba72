//! Hints from a container's log: bounded, without control characters, and without an account id in full.

use ibga_core::log_hints::{HINT_CHARS_MAX, last_hint};

/// The bytes are a log.
pub fn hints(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let lines: Vec<&str> = text.split('\n').collect();
    let Some(hint) = last_hint(&lines) else { return };
    assert!(hint.line.chars().count() <= HINT_CHARS_MAX, "{hint:?}");
    assert!(!holds_account_id(&hint.line), "an account id in full: {hint:?}");
}

/// `DU1234567`, `U7654321`: a word of a few capitals and seven or more digits.
fn holds_account_id(line: &str) -> bool {
    line.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
        let digits = word.trim_start_matches(['D', 'U', 'F', 'I', 'P']);
        (1..=3).contains(&(word.len() - digits.len()))
            && digits.len() >= 7
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}
