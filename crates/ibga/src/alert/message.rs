//! An alert in words: what each channel takes its own part of. The words come from four templates, each of which the operator may
//! replace by a file of the same name. Must never lose an alert: what is wrong with a replacement is told beside the message, and
//! the built-in template takes its place.

mod facts;

use std::io::{self, Write};
use std::path::Path;

use ibga_core::alert::Alert;
use ibga_core::secure_file::{self, ReadError, Trust};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, HtmlEscape, UndefinedBehavior};

pub use facts::VARIABLES;
use facts::{Facts, is_seen};

/// Most steps that a template may take; the longest built-in one takes some hundred.
const STEPS_MAX: u64 = 50_000;

/// Most bytes that a template may write. The built-in ones stay far below it, whatever an alert holds.
const OUTPUT_BYTES_MAX: usize = 512 * 1024;

/// Most characters of a subject: what a mail program shows, and a header bears.
const SUBJECT_CHARS_MAX: usize = 200;

/// Most characters of the essence.
const BRIEF_CHARS_MAX: usize = 500;

/// How commands stand out from the words around them, in light and in dark.
const CODE_STYLE: &str =
    "background:rgba(128,128,128,.18);border-radius:4px;padding:1px 5px;font-size:.92em;overflow-wrap:anywhere";

/// An alert, rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it says, for programs.
    pub alert: Alert,
    /// One line, such as `IBGA NEEDS IB KEY APPROVAL - api_silent, default - opens in 42 min`.
    pub subject: String,
    /// Some lines of plain text.
    pub text: String,
    /// The same as a page for a mail reader.
    pub html: String,
    /// What to know below the subject, in at most 500 characters, for a phone's lock screen and for chats.
    pub brief: String,
}

/// A message, and what was wrong with the operator's templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The message, which is whole whatever was wrong.
    pub message: Message,
    /// A sentence for each template that could not be used.
    pub faults: Vec<String>,
}

/// A part of a message that has a template of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Subject,
    Text,
    Html,
    Brief,
}

impl Part {
    const ALL: [Self; 4] = [Self::Subject, Self::Text, Self::Html, Self::Brief];

    /// The name of its file. Its ending says whether values are escaped.
    const fn file(self) -> &'static str {
        match self {
            Self::Subject => "subject.txt",
            Self::Text => "body.txt",
            Self::Html => "body.html",
            Self::Brief => "brief.txt",
        }
    }

    const fn built_in(self) -> &'static str {
        match self {
            Self::Subject => include_str!("templates/subject.txt"),
            Self::Text => include_str!("templates/body.txt"),
            Self::Html => include_str!("templates/body.html"),
            Self::Brief => include_str!("templates/brief.txt"),
        }
    }
}

/// The built-in templates: the name of each file, and its text.
pub fn built_in() -> [(&'static str, &'static str); 4] {
    Part::ALL.map(|part| (part.file(), part.built_in()))
}

/// The templates of all parts.
#[derive(Clone, Debug)]
pub struct Templates {
    built_in: Environment<'static>,
    own: Environment<'static>,
    /// The parts that are the operator's own, with the names of their templates.
    replaced: Vec<(Part, String)>,
}

impl Default for Templates {
    fn default() -> Self {
        let mut built_in = environment();
        for part in Part::ALL {
            // They are parts of this program, and its tests render each of them.
            let _ = built_in.add_template(part.file(), part.built_in());
        }
        Self { built_in, own: environment(), replaced: Vec::new() }
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(STEPS_MAX));
    // A misspelt variable is a fault, not a gap in the message.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter("code", code);
    environment
}

/// Escapes a text for a page; what stands in backticks, a command, becomes code.
fn code(text: &str) -> Value {
    let pieces: Vec<&str> = text.split('`').collect();
    if pieces.len().is_multiple_of(2) {
        return Value::from_safe_string(HtmlEscape(text).to_string());
    }
    let escaped = pieces.iter().enumerate().map(|(at, piece)| {
        let piece = HtmlEscape(piece);
        if at % 2 == 0 { piece.to_string() } else { format!("<code style=\"{CODE_STYLE}\">{piece}</code>") }
    });
    Value::from_safe_string(escaped.collect())
}

impl Templates {
    /// The built-in templates but for those of which the directory has its own: `subject.txt`, `body.txt`, `body.html`,
    /// `brief.txt`. With them a sentence for each that cannot be used.
    pub fn load(directory: &Path, trust: &Trust) -> (Self, Vec<String>) {
        let mut templates = Self::default();
        let mut faults = Vec::new();
        if !directory.is_dir() {
            faults.push(format!("{}: no such directory; the built-in templates are taken", directory.display()));
        }
        for part in Part::ALL {
            let path = directory.join(part.file());
            let fault = match secure_file::read(&path, trust) {
                Err(ReadError::NotFound) => continue,
                Err(fault) => format!("{}: {fault}", path.display()),
                Ok(source) => {
                    let name = path.display().to_string();
                    match templates.own.add_template_owned(name.clone(), source) {
                        Ok(()) => {
                            templates.replaced.push((part, name));
                            continue;
                        }
                        Err(fault) => fault.to_string(),
                    }
                }
            };
            faults.push(told(&fault));
        }
        (templates, faults)
    }

    /// Puts an alert into words, at the time at which it is sent and with times of the zone.
    pub fn render(&self, alert: &Alert, now: Timestamp, zone: &TimeZone) -> Rendered {
        let mut faults = Vec::new();
        let mut facts = Facts::of(alert, now, zone);
        let subject = shortened(&one_line(&self.part(Part::Subject, &facts, &mut faults)), SUBJECT_CHARS_MAX);
        facts.set_subject(&subject);
        let mut part = |part| printable(&self.part(part, &facts, &mut faults));
        let message = Message {
            alert: alert.clone(),
            text: without_gaps(&part(Part::Text)),
            html: part(Part::Html),
            brief: shortened(&without_gaps(&part(Part::Brief)), BRIEF_CHARS_MAX),
            subject,
        };
        Rendered { message, faults }
    }

    /// One part by the operator's template, else by the built-in one, else by nothing but a sentence.
    fn part(&self, part: Part, facts: &Facts, faults: &mut Vec<String>) -> String {
        if let Some((_, name)) = self.replaced.iter().find(|(replaced, _)| *replaced == part) {
            match rendered(&self.own, name, facts) {
                Ok(text) => return text,
                Err(fault) => faults.push(told(&fault)),
            }
        }
        rendered(&self.built_in, part.file(), facts).unwrap_or_else(|fault| {
            faults.push(fault);
            match part {
                Part::Html => HtmlEscape(facts.story()).to_string(),
                _ => facts.story().to_owned(),
            }
        })
    }
}

fn told(fault: &str) -> String {
    format!("{}; the built-in template is taken", crate::output::printable(fault))
}

fn rendered(environment: &Environment<'_>, name: &str, facts: &Facts) -> Result<String, String> {
    let template = environment.get_template(name).map_err(|fault| fault.to_string())?;
    let mut output = Bounded::default();
    let written = template.render_captured_to(Serde(facts), &mut output).map(drop);
    if output.is_full {
        return Err(format!("{name}: it writes more than {} KiB", OUTPUT_BYTES_MAX / 1024));
    }
    written.map_err(|fault| fault.to_string())?;
    let text = String::from_utf8_lossy(&output.bytes).into_owned();
    if text.trim().is_empty() { Err(format!("{name}: it writes nothing")) } else { Ok(text) }
}

/// Takes what a template writes, up to the limit.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    is_full: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > OUTPUT_BYTES_MAX {
            self.is_full = true;
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A line break in a subject would begin a new header, wherever it came from.
fn one_line(text: &str) -> String {
    let text: String = text.chars().map(|c| if is_seen(c) { c } else { ' ' }).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Without control characters but for the ends of lines.
fn printable(text: &str) -> String {
    text.chars().filter(|c| is_seen(*c) || *c == '\n').collect()
}

/// Conditions in a template leave empty lines behind; two in a row are one.
fn without_gaps(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.dedup_by(|line, before| line.is_empty() && before.is_empty());
    lines.join("\n").trim().to_owned()
}

/// At most so many characters; a mark shows that there were more.
fn shortened(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests;
