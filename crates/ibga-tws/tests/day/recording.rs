//! Reading a recorded session. Above a blank line stand `name: value` lines, below it one event a line: milliseconds since the
//! beginning, then `connect`, `> BYTES` (the client's), `< BYTES` (the gateway's), `closed`, `reset`, `refused` or `finish`
//! (the client's end). A probe's `timeout` is three seconds where the product's own is fifteen, so that silences are short. Of the
//! bytes, `\0` is NUL, `\xNN` any other that is not printable, `\\` a backslash.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Zoned;

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum What {
    Connect,
    Refused,
    Sent(Vec<u8>),
    Received(Vec<u8>),
    Closed,
    Reset,
    Finish,
}

/// One session.
pub(crate) struct Recording {
    pub(crate) name: String,
    /// When it was, by the gateway's clock.
    pub(crate) moment: Zoned,
    head: BTreeMap<String, String>,
    pub(crate) events: Vec<(Duration, What)>,
}

impl Recording {
    pub(crate) fn value(&self, name: &str) -> &str {
        self.head.get(name).unwrap_or_else(|| panic!("{}: no line `{name}: …`", self.name))
    }

    /// What the client wrote, one entry for each connection that it asked for.
    pub(crate) fn sent(&self) -> Vec<Vec<u8>> {
        let mut connections = Vec::new();
        for (_, what) in &self.events {
            match what {
                What::Connect | What::Refused => connections.push(Vec::new()),
                What::Sent(bytes) => connections.last_mut().expect("a connection").extend_from_slice(bytes),
                _ => {}
            }
        }
        connections
    }

    pub(crate) fn received(&self) -> Vec<u8> {
        let chunks = self.events.iter().filter_map(|(_, what)| match what {
            What::Received(bytes) => Some(bytes.as_slice()),
            _ => None,
        });
        chunks.collect::<Vec<_>>().concat()
    }

    fn parse(name: &str, text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or_else(|| panic!("{name}: no blank line under its head"));
        let pair = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{name}: {line}"));
            (name.to_owned(), value.to_owned())
        };
        let head: BTreeMap<String, String> = head.lines().map(pair).collect();
        let moment = head.get("moment").and_then(|moment| moment.parse().ok());
        let moment = moment.unwrap_or_else(|| panic!("{name}: no moment"));
        let event = |line| event(line).unwrap_or_else(|| panic!("{name}: {line}"));
        Self { name: name.to_owned(), moment, head, events: body.lines().map(event).collect() }
    }
}

fn event(line: &str) -> Option<(Duration, What)> {
    let (at, rest) = line.trim_start().split_once(' ')?;
    let at = Duration::try_from_secs_f64(at.parse::<f64>().ok()? / 1e3).ok()?;
    let what = match (rest, rest.split_at_checked(2)?) {
        ("connect", _) => What::Connect,
        ("refused", _) => What::Refused,
        ("closed", _) => What::Closed,
        ("reset", _) => What::Reset,
        ("finish", _) => What::Finish,
        (_, ("> ", text)) => What::Sent(bytes(text)?),
        (_, ("< ", text)) => What::Received(bytes(text)?),
        _ => return None,
    };
    Some((at, what))
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        bytes.push(match c {
            '\\' => match rest.next()? {
                '0' => 0,
                '\\' => b'\\',
                'x' => {
                    let hex: String = [rest.next()?, rest.next()?].iter().collect();
                    u8::from_str_radix(&hex, 16).ok()?
                }
                _ => return None,
            },
            c => u8::try_from(c).ok()?,
        });
    }
    Some(bytes)
}

/// All recordings whose file name begins so, or does not, in the order of the day.
fn all(clients: bool) -> Vec<Recording> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/day");
    let entries = std::fs::read_dir(&folder).expect("recordings");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
    names.retain(|name| name.starts_with("client-") == clients);
    names.sort();
    let read = |name: &String| {
        let file = std::fs::File::open(folder.join(name)).expect("opens");
        Recording::parse(name, &std::io::read_to_string(file).expect("text"))
    };
    names.iter().map(read).collect()
}

pub(crate) fn of_the_probe() -> Vec<Recording> {
    all(false)
}

pub(crate) fn of_clients() -> Vec<Recording> {
    all(true)
}
