//! The one thread that writes the store for all watched gateways, in turn: SQLite lets one write at a time, and a store that hangs
//! must hold up nobody who watches. What it finds to be sent is sent elsewhere.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::time::Duration;

use ibga_core::report::Report;
use jiff::tz::TimeZone;
use tokio::sync::oneshot;

use crate::alert::post::{Post, Reporter, nothing_waits};
use crate::settings::Settings;
use crate::store::{BUSY_LIMIT, Patience};

/// How much may wait for the store. Each gateway asks for one thing at a time, and asks again if it was refused.
const QUEUE_MAX: usize = 8_192;

/// The longest that sending what is due may take of one gateway.
const DELIVERY_LIMIT: Duration = Duration::from_secs(25);

/// A report for the store.
pub(super) struct Entry {
    pub(super) settings: Arc<Settings>,
    pub(super) zone: TimeZone,
    pub(super) report: Report,
    pub(super) previous: Option<Report>,
    pub(super) done: oneshot::Sender<Kept>,
}

/// What came of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// Everybody knows that the gateway is ready, and nothing waits.
    pub(super) is_settled: bool,
    /// Something waits to be sent.
    pub(super) waits: bool,
    /// What a person has to know.
    pub(super) warnings: Vec<String>,
}

/// The way to the store.
#[derive(Clone)]
pub(super) struct Teller {
    queue: SyncSender<Entry>,
}

impl Teller {
    /// Starts the thread. It ends when the last teller is dropped.
    pub(super) fn start() -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, entries) = mpsc::sync_channel(QUEUE_MAX);
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || keep_all(&entries))?;
        Ok((Self { queue }, thread))
    }

    /// Hands a report over. Whether it was taken.
    pub(super) fn keep(&self, entry: Entry) -> bool {
        match self.queue.try_send(entry) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

fn keep_all(entries: &Receiver<Entry>) {
    while let Ok(entry) = entries.recv() {
        let kept = keep(&entry);
        // Whoever no longer watches need not know.
        let _ = entry.done.send(kept);
    }
}

fn keep(entry: &Entry) -> Kept {
    let settings = &entry.settings;
    let post =
        Post::of_report(settings, &entry.zone, &entry.report, entry.previous.as_ref(), BUSY_LIMIT, Reporter::Watch);
    let Some(mut post) = post else { return Kept { is_settled: true, ..Kept::default() } };
    let waits = post.still_waiting() != Some(0) && !settings.alerts.channels.is_empty();
    if !waits {
        // Nothing is sent; it leaves the mark that all is well.
        post.deliver(Patience::Kept, DELIVERY_LIMIT);
    }
    let warnings = post.take_warnings();
    drop(post);
    Kept { is_settled: nothing_waits(settings), waits, warnings }
}

/// What came of a delivery.
#[derive(Default)]
pub(super) struct Delivered {
    pub(super) sent: Vec<String>,
    pub(super) unsent: Vec<String>,
    pub(super) warnings: Vec<String>,
    /// Whether something waits still.
    pub(super) waits: bool,
}

/// Sends what is due of a gateway. Blocks for as long as the servers do, within a limit.
pub(super) fn deliver(settings: &Settings, zone: &TimeZone) -> Delivered {
    let mut post = Post::of_what_waits(settings, zone);
    let mut delivered = Delivered::default();
    for attempt in post.deliver(Patience::Kept, DELIVERY_LIMIT) {
        let (channel, subject) = (attempt.channel, attempt.alert.subject);
        match attempt.result {
            Ok(receipt) => delivered.sent.push(format!("told by {channel}: {subject}: {}", receipt.as_str())),
            Err(fault) => delivered
                .unsent
                .push(format!("{subject} could not be told by {channel}, and will be tried again: {fault}")),
        }
    }
    delivered.waits = post.still_waiting() != Some(0);
    delivered.warnings = post.take_warnings();
    delivered
}
