//! Where events are written, one JSON object a line.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

use ibga_sim::Event;

/// Where events are written.
pub(super) enum Sink {
    /// Standard output.
    Terminal,
    /// A file.
    File(File),
    /// Nowhere: standard output is a command's.
    Nowhere,
}

/// Why an event was not written.
pub(super) enum Lost {
    /// Nobody reads any more, which is an end like another.
    ReaderGone,
    /// The file cannot be written.
    Failed(io::Error),
}

impl Sink {
    /// Opens the file anew, if there is one.
    pub(super) fn open(path: Option<&Path>, has_command: bool) -> io::Result<Self> {
        Ok(match path {
            Some(path) => Self::File(File::create(path)?),
            None if has_command => Self::Nowhere,
            None => Self::Terminal,
        })
    }

    pub(super) fn event(&mut self, event: &Event) -> Result<(), Lost> {
        self.line(&serde_json::to_string(event).map_err(|fault| Lost::Failed(fault.into()))?)
    }

    /// An event of the control port, which belongs to no gateway.
    pub(super) fn control(&mut self, address: std::net::SocketAddr) -> Result<(), Lost> {
        let event: Value = json!({ "event": "control", "address": address });
        self.line(&event.to_string())
    }

    fn line(&mut self, line: &str) -> Result<(), Lost> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Terminal => {
                let mut out = io::stdout().lock();
                writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|_| Lost::ReaderGone)
            }
            // Whole lines in one write, for those who follow the file.
            Self::File(file) => file.write_all(format!("{line}\n").as_bytes()).map_err(Lost::Failed),
        }
    }
}
