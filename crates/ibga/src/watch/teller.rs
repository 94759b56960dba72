//! The one thread that writes the store for all watched gateways, in turn: SQLite lets one write at a time, and a store that hangs
//! must hold up nobody who watches. What it finds to be sent is sent elsewhere.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use ibga_core::act::Act;
use ibga_core::report::Report;
use jiff::tz::TimeZone;
use tokio::sync::oneshot;

use crate::alert::post::{Post, Reporter, nothing_waits};
use crate::settings::Settings;
use crate::store::{Patience, Store};

/// How much may wait for the store. Each gateway asks for one thing at a time, and asks again if it was refused.
const QUEUE_MAX: usize = 8_192;

/// How long another process at the store is waited for: the other gateways wait with this one, and what a store that is held does not
/// take in is put beside it.
const STORE_LIMIT: Duration = Duration::from_millis(500);

/// The longest that sending what is due may take of one gateway.
const DELIVERY_LIMIT: Duration = Duration::from_secs(25);

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
    queue: SyncSender<Work>,
}

/// Something to be done in the thread.
type Work = Box<dyn FnOnce() + Send>;

impl Teller {
    /// Starts the thread. It ends when the last teller is dropped.
    pub(super) fn start() -> std::io::Result<Self> {
        let (queue, work) = mpsc::sync_channel::<Work>(QUEUE_MAX);
        std::thread::Builder::new().name("store".into()).spawn(move || work.iter().for_each(|work| work()))?;
        Ok(Self { queue })
    }

    /// Has something done in its turn; `None` if too much waits already.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<oneshot::Receiver<T>> {
        let (done, result) = oneshot::channel();
        // Whoever no longer waits need not know.
        let work = Box::new(move || drop(done.send(work())));
        self.queue.try_send(work).ok().map(|()| result)
    }
}

/// Lets the store take a report in.
pub(super) fn keep(settings: &Settings, zone: &TimeZone, report: &Report, previous: Option<&Report>) -> Kept {
    let post = Post::of_report(settings, zone, report, previous, STORE_LIMIT, Reporter::Watch);
    let Some(post) = post else { return Kept { is_settled: true, ..Kept::default() } };
    kept(settings, post)
}

/// Lets it take in what was done.
pub(super) fn keep_act(settings: &Settings, zone: &TimeZone, act: &Act, report: Option<&Report>) -> Kept {
    let post = Post::of_act(settings, zone, act, report, &[], STORE_LIMIT);
    post.map_or_else(Kept::default, |post| kept(settings, post))
}

thread_local! {
    /// Open as long as the thread lives: whoever closes a store last has to tidy it up, which takes several waits for the disk.
    static KEEPER: RefCell<Option<(PathBuf, Store)>> = const { RefCell::new(None) };
}

fn stay_open(settings: &Settings) {
    KEEPER.with_borrow_mut(|keeper| {
        let directory = settings.state_dir.as_deref();
        if keeper.as_ref().map(|(known, _)| known.as_path()) != directory {
            let opened = Store::open_existing(directory).ok().flatten();
            *keeper = directory.map(Path::to_owned).zip(opened);
        }
    });
}

fn kept(settings: &Settings, mut post: Post<'_>) -> Kept {
    stay_open(settings);
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
