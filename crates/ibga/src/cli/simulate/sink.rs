//! Where events are written, one JSON object a line, in a thread of its own: whoever reads them slowly, or not at all, holds up no
//! gateway. What nobody takes in time is dropped and counted.

use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ibga_sim::{Event, Events, What};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::output;

/// How long the last events may take to be written once everything else has ended.
const LAST_EVENTS_LIMIT: Duration = Duration::from_secs(2);

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
enum Lost {
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

    fn event(&mut self, event: &Event) -> Result<(), Lost> {
        self.line(&serde_json::to_string(event).map_err(|fault| Lost::Failed(fault.into()))?)
    }

    /// An event of the control port, which belongs to no gateway.
    fn control(&mut self, address: SocketAddr) -> Result<(), Lost> {
        self.line(&json!({ "event": "control", "address": address }).to_string())
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

/// What of the simulation itself the events tell.
#[derive(Clone, Copy)]
pub(super) struct About {
    /// How many gateways there are.
    pub(super) gateways: usize,
    /// The control port.
    pub(super) control: Option<SocketAddr>,
}

/// How the writing of events came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// All of them, or all that somebody wanted to read: many read the first lines alone.
    ToTheEnd,
    /// The file could not be written; the fault was told.
    Failed,
}

/// The thread that writes events.
pub(super) struct Writer {
    end: Option<oneshot::Receiver<Written>>,
}

impl Writer {
    pub(super) fn start(mut sink: Sink, mut events: Events, about: About) -> Self {
        let (sender, end) = oneshot::channel();
        std::thread::spawn(move || {
            let _ = sender.send(match write_all(&mut sink, &mut events, about) {
                Ok(()) | Err(Lost::ReaderGone) => Written::ToTheEnd,
                Err(Lost::Failed(fault)) => {
                    output::fault(&format!("events are not written any more: {fault}"));
                    Written::Failed
                }
            });
        });
        Self { end: Some(end) }
    }

    /// The end of the writing, once; it comes early if nobody reads any more. May be abandoned and called again.
    pub(super) async fn ended(&mut self) -> Written {
        match &mut self.end {
            Some(end) => {
                let written = end.await.unwrap_or(Written::Failed);
                self.end = None;
                written
            }
            None => std::future::pending().await,
        }
    }

    /// Lets the last events be written. To be called when no gateway is left to tell any.
    pub(super) async fn finish(mut self) {
        if self.end.is_some() {
            let _ = timeout(LAST_EVENTS_LIMIT, self.ended()).await;
        }
    }
}

fn write_all(sink: &mut Sink, events: &mut Events, about: About) -> Result<(), Lost> {
    let mut listening = 0;
    while let Some(event) = events.blocking_next() {
        sink.event(&event)?;
        if matches!(event.what, What::Listening { .. }) {
            listening += 1;
            if let (true, Some(address)) = (listening == about.gateways, about.control) {
                sink.control(address)?;
            }
        }
    }
    Ok(())
}
