//! The text behind a command's options, taken apart: examples, exit codes, and the paragraphs that are neither.

use clap::Command;
use clap::builder::StyledStr;

const EXAMPLES: &str = "Examples:";
const EXIT_CODES: &str = "Exit codes: ";

/// What stands behind the options.
#[derive(Debug, Default)]
pub(crate) struct Help {
    /// The lines under `Examples:`, without their indent.
    pub(crate) examples: Vec<String>,
    /// Each code with its meaning; no code where the text goes on without one.
    pub(crate) exit_codes: Vec<(String, String)>,
    /// The rest.
    pub(crate) paragraphs: Vec<String>,
}

impl Help {
    pub(crate) fn of(command: &Command) -> Self {
        let text = command.get_after_help().map(StyledStr::to_string).unwrap_or_default();
        let mut help = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty() && *line != EXAMPLES) {
            if let Some(example) = line.strip_prefix("  ") {
                help.examples.push(example.to_owned());
            } else if let Some(codes) = line.strip_prefix(EXIT_CODES) {
                help.exit_codes = exit_codes(codes.trim_end_matches('.'));
            } else {
                help.paragraphs.push(line.to_owned());
            }
        }
        help
    }
}

/// `0 go, 1 no-go; else its own` as three.
fn exit_codes(text: &str) -> Vec<(String, String)> {
    let mut codes: Vec<(String, String)> = Vec::new();
    for part in text.split("; ").flat_map(|part| part.split(", ")) {
        match part.split_once(' ') {
            Some((code, meaning)) if code.chars().all(|c| c.is_ascii_digit()) => {
                codes.push((code.to_owned(), meaning.to_owned()));
            }
            _ => codes.push((String::new(), part.to_owned())),
        }
    }
    codes
}
