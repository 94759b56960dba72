//! Words for a shell, in commands that a person or a scheduler is to run.

/// The word as it has to be typed: as it is where that is safe, else in quotes.
pub(crate) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@,+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        for text in ["--expect-mode", "", "two words", "it's", "$HOME `x` \\", "/opt/ärger", "*", "a\nb"] {
            let output = std::process::Command::new("sh").args(["-c", &format!("printf %s {}", word(text))]).output();
            assert_eq!(String::from_utf8(output.expect("a shell").stdout).as_deref(), Ok(text));
        }
        assert_eq!(word("/tmp/ibga-status.json"), "/tmp/ibga-status.json");
    }
}
