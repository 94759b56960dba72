//! The log of a watch on standard error: one dated line for each thing that happened. Under systemd the journal dates them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use ibga_core::clock;
use jiff::tz::TimeZone;

use crate::output::{Output, fault, printable};
use crate::settings::Settings;

/// The most lines that wait to be written.
const LINES_MAX: usize = 4_096;

/// How long the last lines may take.
const END_LIMIT: Duration = Duration::from_secs(1);

/// Where lines go.
#[derive(Clone)]
pub(super) struct Log(Arc<Inner>);

struct Inner {
    output: Output,
    zone: TimeZone,
    dated: bool,
    /// With one gateway its name need not stand in every line.
    names_gateways: AtomicBool,
    /// Lines on their way. Whoever reads them may stop reading, which must hold up nobody.
    lines: SyncSender<Line>,
    missed: AtomicU64,
}

/// What the writing thread is given.
enum Line {
    Text(String),
    /// Everything before is written when this is answered.
    End(SyncSender<()>),
}

impl Log {
    pub(super) fn new(output: Output, zone: TimeZone) -> io::Result<Self> {
        let dated = std::env::var_os("JOURNAL_STREAM").is_none();
        let (lines, written) = mpsc::sync_channel(LINES_MAX);
        std::thread::Builder::new().name("log".into()).spawn(move || written.iter().for_each(write))?;
        let (names_gateways, missed) = (AtomicBool::new(false), AtomicU64::new(0));
        Ok(Self(Arc::new(Inner { output, zone, dated, names_gateways, lines, missed })))
    }

    /// Waits until everything is written, but not for a reader that has stopped reading.
    pub(super) fn end(&self) {
        let (done, written) = mpsc::sync_channel(1);
        if self.0.lines.try_send(Line::End(done)).is_ok() {
            let _ = written.recv_timeout(END_LIMIT);
        }
    }

    /// Whether lines name the gateway that they are about.
    pub(super) fn names_gateways(&self, names: bool) {
        self.0.names_gateways.store(names, Ordering::Relaxed);
    }

    /// Something about a gateway.
    pub(super) fn line(&self, settings: &Settings, text: &str) {
        self.general(&self.about(settings, text));
    }

    /// The same, but nothing good.
    pub(super) fn warning(&self, settings: &Settings, text: &str) {
        self.line(settings, &format!("warning: {text}"));
    }

    /// The same, for those who want to know more.
    pub(super) fn detail(&self, settings: &Settings, text: &str) {
        if self.0.output.is_verbose() {
            self.write(&self.about(settings, text));
        }
    }

    /// Something about all of them.
    pub(super) fn general(&self, text: &str) {
        if !self.0.output.is_quiet() {
            self.write(text);
        }
    }

    fn write(&self, text: &str) {
        let Inner { lines, missed, .. } = &*self.0;
        let before = missed.swap(0, Ordering::Relaxed);
        let note =
            (before > 0).then(|| self.dated(&format!("{before} lines of this log are lost: nobody read them in time")));
        let all: Vec<String> = note.into_iter().chain([self.dated(text)]).collect();
        // Those that are lost now are told of with the next one.
        if lines.try_send(Line::Text(all.join("\n"))).is_err() {
            missed.fetch_add(before + 1, Ordering::Relaxed);
        }
    }

    fn about(&self, settings: &Settings, text: &str) -> String {
        if self.0.names_gateways.load(Ordering::Relaxed) {
            format!("{}: {text}", settings.gateway)
        } else {
            text.to_owned()
        }
    }

    fn dated(&self, text: &str) -> String {
        let text = printable(text);
        if !self.0.dated {
            return text;
        }
        let at = clock::now().to_zoned(self.0.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        format!("{at} ibga watch: {text}")
    }
}

fn write(line: Line) {
    match line {
        Line::Text(text) => fault(&text),
        Line::End(done) => drop(done.send(())),
    }
}
