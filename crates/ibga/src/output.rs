//! What goes to the terminal: data on standard output, messages on standard error. A closed pipe is no fault of ours.

use std::io::{self, IsTerminal, Write};

use ibga_core::log_hints::masked;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volume {
    /// Faults alone.
    Quiet,
    /// The result and what has to be done.
    Normal,
    /// How it came about, too.
    Verbose,
}

/// The two streams.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    volume: Volume,
}

impl Output {
    /// An output of this volume.
    pub fn new(volume: Volume) -> Self {
        Self { volume }
    }

    /// Whether details are wanted.
    pub fn is_verbose(self) -> bool {
        self.volume == Volume::Verbose
    }

    /// Whether only faults are wanted.
    pub fn is_quiet(self) -> bool {
        self.volume == Volume::Quiet
    }

    /// Data for whoever called. Quiet callers go by the exit code.
    pub fn data(self, text: &str) {
        if self.volume != Volume::Quiet {
            let _ = io::stdout().write_all(with_newline(text).as_bytes());
        }
    }

    /// A document for a program: whoever asks for JSON gets it at any volume.
    pub fn document(self, text: &str) {
        let _ = io::stdout().write_all(with_newline(text).as_bytes());
    }

    /// A message for a person.
    pub fn message(self, text: &str) {
        if self.volume != Volume::Quiet {
            fault(text);
        }
    }

    /// A detail.
    pub fn detail(self, text: &str) {
        if self.is_verbose() {
            fault(text);
        }
    }
}

/// A message that is said at any volume.
pub fn fault(text: &str) {
    let _ = io::stderr().write_all(with_newline(text).as_bytes());
}

fn with_newline(text: &str) -> String {
    format!("{}\n", text.trim_end_matches('\n'))
}

/// Colours, where they are seen and wanted (`NO_COLOR` unset or empty, see no-color.org).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Colours.
    Coloured,
    /// Plain text.
    Plain,
}

impl Paint {
    /// For standard output as it is.
    pub fn for_stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if io::stdout().is_terminal() && !refused && !dumb { Self::Coloured } else { Self::Plain }
    }

    /// Good news.
    pub fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// Bad news.
    pub fn bad(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    /// What to look at twice.
    pub fn caution(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// What may be passed over.
    pub fn faint(self, text: &str) -> String {
        self.wrap("2", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        match self {
            Self::Coloured => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}

/// The words of a text; a command in backticks is one word, so that it can be copied whole.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut in_command = false;
    for word in text.split_whitespace() {
        match words.last_mut() {
            Some(last) if in_command => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
        in_command ^= word.matches('`').count() % 2 == 1;
    }
    words
}

/// Breaks a text into lines of at most `width` characters at its spaces; lines after the first are indented.
pub fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in words(text) {
        let room = width.saturating_sub(indent);
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    lines.push(line);
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

/// Text from outside on its way to a terminal: control characters, which could repaint it, become spaces.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The same for text that a gateway, a log or another writer may have had a hand in: account ids and user names are masked.
pub fn untrusted(text: &str) -> String {
    masked(&printable(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_spaces() {
        assert_eq!(wrapped("one two three", 12, 4), "one two\n    three");
        assert_eq!(wrapped("unbreakable", 4, 2), "unbreakable");
        assert_eq!(wrapped("", 10, 2), "");
        assert_eq!(wrapped("then `docker start ibga` or wait", 14, 0), "then\n`docker start ibga`\nor wait");
    }
}
