//! The store: what is remembered of each gateway, its transitions, and the outbox of alerts, in one SQLite file in the state
//! directory. It decides nothing; what is remembered and what is told is [`ibga_core::alert`]'s.
//!
//! Every write is one `BEGIN IMMEDIATE` transaction, on disk when it returns (`synchronous = FULL`). Nothing is sent inside one.
//! A delivery is one alert on one channel. It is claimed by a lease on its gateway's channel, which keeps messages in their order:
//! whoever holds the lease sends them one by one, and gives it back in the same transaction that finds nothing more to send.
//!
//! The lease runs by the machine's uptime, since the wall clock may step while a message is on its way. Instants that lie further
//! in the future than any wait can reach were written before the clock was set back; they count as past.
//!
//! | file | holds |
//! |---|---|
//! | `schema.sql` | the tables |
//! | `statements.rs` | what is read and written inside a transaction |

mod statements;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ibga_core::act::Act;
use ibga_core::alert::{Alert, Memory, NoGoTold};
use ibga_core::clock::Stopwatch;
use ibga_core::transition::State;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use statements::{
    acts, count_acts, hold, insert, is_held_by_another, last_ready, list, mark_sent_by_key, next_due, note_act,
    note_transition, prune, release, remember, remembered, transitions,
};

use crate::alert::channel::{Blame, ChannelName, SEND_LIMIT, SendError};

/// The file in the state directory.
const FILE: &str = "ibga.sqlite";

/// How long another process's write is waited for.
pub const BUSY_LIMIT: Duration = Duration::from_secs(2);
/// How often the lock of the directory is asked for meanwhile.
const LOCK_INTERVAL: Duration = Duration::from_millis(10);

/// How long a channel belongs to the process that claimed it. Longer than one message may take.
const LEASE: Duration = Duration::from_secs(30);
const _: () = assert!(LEASE.as_secs() > SEND_LIMIT.as_secs());

/// The first wait after a failure; each further one is twice as long.
const BACKOFF_FIRST: SignedDuration = SignedDuration::from_mins(1);
/// The longest wait, also if the server asks for more.
const BACKOFF_MAX: SignedDuration = SignedDuration::from_mins(60);

/// An alert that old is given up, if it was also tried often: age alone may be a clock that was set wrong.
const UNSENT_AGE_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);
const UNSENT_ATTEMPTS_MIN: i64 = 20;
/// Most messages that wait on one channel of one gateway; the oldest are given up.
const UNSENT_ROWS_MAX: i64 = 1_000;
/// How long what was sent is kept, and how many alerts and transitions at most.
const KEPT_AGE_MAX: SignedDuration = SignedDuration::from_hours(90 * 24);
const KEPT_ROWS_MAX: i64 = 20_000;

/// The schema that this version writes (`PRAGMA user_version`).
const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = include_str!("store/schema.sql");

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no place for it.
    #[error("there is no state directory; set state_dir")]
    NoDirectory,
    /// The directory or the file cannot be made.
    #[error("{}: {fault}", path.display())]
    File {
        /// What could not be made.
        path: PathBuf,
        /// Why.
        fault: io::Error,
    },
    /// A later version of this program made it.
    #[error("{}: made by a later version (schema {found}); update this one, or set another state_dir", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
    },
    /// SQLite cannot use it.
    #[error("{}: {fault}{}", path.display(), hint(fault))]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        fault: rusqlite::Error,
    },
}

fn hint(fault: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode;
    match fault.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "; another process holds it for too long",
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => "; move it away, a new one is made",
        Some(ErrorCode::DiskFull) => "; free some space there",
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "; let this user write there, or set another state_dir"
        }
        _ => "",
    }
}

/// Who claims: this process, on this boot of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process, in words that no other one has.
    pub name: String,
    /// The boot id.
    pub boot: String,
}

/// Whether waiting times count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// What failed is left alone until its time comes.
    Kept,
    /// Everything that waits is tried now.
    PassedOver,
}

/// A transition that was kept. States are words: causes, or statuses of older writers, perhaps of a later version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// From what; none for the first report ever.
    pub from: Option<String>,
    /// To what.
    pub to: String,
    /// What was wrong, masked; none if nothing was.
    pub text: Option<String>,
}

/// One alert on one channel, claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The alert's number in the store.
    pub id: i64,
    /// The channel.
    pub channel: ChannelName,
    /// The alert.
    pub alert: Alert,
    /// How often it was tried before.
    pub attempts: i64,
}

/// An alert and what became of it on each channel, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub id: i64,
    /// The alert.
    pub alert: Alert,
    /// Its deliveries by channel.
    pub deliveries: Vec<ListedDelivery>,
}

/// What became of an alert on one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedDelivery {
    /// The channel's word; it may be of another version.
    pub channel: String,
    /// Waiting, sent or dropped.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next.
    pub due_at: Timestamp,
    /// When it was sent or dropped.
    pub ended_at: Option<Timestamp>,
    /// What the server said last.
    pub answer: Option<String>,
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Not accepted yet.
    Waiting,
    /// Accepted by the server.
    Sent,
    /// Given up.
    Dropped,
}

impl DeliveryState {
    /// The word in JSON and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Dropped => "dropped",
        }
    }

    fn from_word(word: &str) -> Self {
        match word {
            "sent" => Self::Sent,
            "dropped" => Self::Dropped,
            _ => Self::Waiting,
        }
    }
}

/// What a transaction of the policy leaves behind.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What is remembered from now on; none to leave it as it is.
    pub memory: Option<Memory>,
    /// The same for no-goes.
    pub no_go: Option<NoGoTold>,
    /// What is to be told, each with its channels.
    pub alerts: Vec<(Alert, Vec<ChannelName>)>,
    /// What was sent already, without the store.
    pub sent: Vec<(String, ChannelName)>,
    /// Which writing of what was put aside is taken in with it.
    pub aside: Option<String>,
}

/// What the store remembers of one gateway.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// For reports.
    pub memory: Option<Memory>,
    /// For no-goes.
    pub no_go: Option<NoGoTold>,
    /// Which writing of what was put aside was taken in last.
    pub aside: Option<String>,
}

/// The open store.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    directory: PathBuf,
    /// How long other processes may be waited for, all waits together, and since when.
    waits: (Stopwatch, Duration),
}

impl Store {
    /// Opens the store, and makes it if there is none. Other processes are waited for as long as [`Store::limit_waits`] says, at
    /// first without such a limit.
    pub fn open(directory: Option<&Path>) -> Result<Self, StoreError> {
        Self::open_within(directory, Duration::MAX)
    }

    /// The same where somebody waits: from now on other processes are waited for only so long, all waits together.
    pub fn open_within(directory: Option<&Path>, limit: Duration) -> Result<Self, StoreError> {
        let directory = directory.ok_or(StoreError::NoDirectory)?;
        let path = directory.join(FILE);
        make(directory, &path)?;
        let connection = Connection::open(&path).map_err(|fault| StoreError::Database { path: path.clone(), fault })?;
        let mut store = Self { connection, directory: directory.to_owned(), waits: (Stopwatch::start(), limit) };
        store.prepare()?;
        Ok(store)
    }

    /// Opens the store to look at it; `None` if there is none.
    pub fn open_existing(directory: Option<&Path>) -> Result<Option<Self>, StoreError> {
        match directory {
            Some(directory) => {
                let path = directory.join(FILE);
                // Where this user may not look, there may be one.
                let there = path.try_exists().map_err(|fault| StoreError::File { path, fault })?;
                if there { Self::open(Some(directory)).map(Some) } else { Ok(None) }
            }
            None => Ok(None),
        }
    }

    /// From now on other processes are waited for only so long, all waits together.
    pub fn limit_waits(&mut self, limit: Duration) {
        self.waits = (Stopwatch::start(), limit);
    }

    /// How long another process may be waited for now.
    fn patience(&self) -> Duration {
        let (watch, limit) = self.waits;
        limit.saturating_sub(watch.elapsed()).min(BUSY_LIMIT)
    }

    fn path(&self) -> PathBuf {
        self.directory.join(FILE)
    }

    fn fault(&self, fault: rusqlite::Error) -> StoreError {
        StoreError::Database { path: self.path(), fault }
    }

    fn prepare(&mut self) -> Result<(), StoreError> {
        match self.configure().map_err(|fault| self.fault(fault))? {
            0 => self.lay_out(),
            SCHEMA_VERSION => Ok(()),
            found => Err(StoreError::Newer { path: self.path(), found }),
        }
    }

    fn configure(&self) -> rusqlite::Result<i64> {
        self.connection.busy_timeout(self.patience())?;
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        self.connection.pragma_update(None, "foreign_keys", true)?;
        version_of(&self.connection)
    }

    /// One process at a time: SQLite does not wait for another one that changes the journal's mode.
    fn lay_out(&mut self) -> Result<(), StoreError> {
        let file = |fault| StoreError::File { path: self.directory.clone(), fault };
        let _lock = lock_within(&self.directory, self.patience()).map_err(file)?;
        self.connection.pragma_update(None, "journal_mode", "WAL").map_err(|fault| self.fault(fault))?;
        self.write(|transaction| {
            if version_of(transaction)? == 0 {
                transaction.execute_batch(SCHEMA)?;
                transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            }
            Ok(())
        })
    }

    /// Runs one write. What it returns is on disk.
    fn write<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let path = self.path();
        let patience = self.patience();
        let run = |connection: &mut Connection| {
            connection.busy_timeout(patience)?;
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        run(&mut self.connection).map_err(|fault| StoreError::Database { path, fault })
    }

    /// Lets `decide` judge what is remembered of a gateway, and keeps what comes of it, transition and alerts in one transaction.
    /// Returns how many messages had to be given up to stay within bounds; what waits on a channel that is not set any more is given
    /// up by its age alone.
    pub fn record(
        &mut self,
        gateway: &str,
        now: Timestamp,
        seen: Option<(State, Option<&str>)>,
        set: &[ChannelName],
        decide: impl FnOnce(&Remembered) -> Outcome,
    ) -> Result<usize, StoreError> {
        let mark = settled_mark(&self.directory, gateway);
        self.write(|transaction| {
            let before = remembered(transaction, gateway)?;
            let outcome = decide(&before);
            // Before the commit, so that nobody finds the mark beside something that waits.
            let _ = fs::remove_file(&mark);
            if let Some((state, text)) = seen {
                note_transition(transaction, gateway, now, &before, state, text)?;
            }
            remember(transaction, gateway, &outcome)?;
            for (alert, channels) in &outcome.alerts {
                insert(transaction, alert, channels, now)?;
            }
            for (key, channel) in &outcome.sent {
                mark_sent_by_key(transaction, key, *channel, now)?;
            }
            prune(transaction, gateway, now, set)
        })
    }

    /// Changes what is remembered of a gateway; nothing if `change` gives nothing.
    pub fn change_memory(
        &mut self,
        gateway: &str,
        change: impl FnOnce(&Memory) -> Option<Memory>,
    ) -> Result<Option<Memory>, StoreError> {
        self.write(|transaction| {
            let changed = remembered(transaction, gateway)?.memory.as_ref().and_then(change);
            if let Some(memory) = &changed {
                remember(transaction, gateway, &Outcome { memory: Some(memory.clone()), ..Outcome::default() })?;
            }
            Ok(changed)
        })
    }

    /// Keeps an act. Keeping it twice changes nothing.
    pub fn note_act(&mut self, act: &Act) -> Result<(), StoreError> {
        self.write(|transaction| note_act(transaction, act))
    }

    /// Keeps an act if fewer than `acts_max` of its kind were kept for its gateway from an instant to a minute after it. Whether it
    /// did: of two processes that count at once, one finds the other's act.
    pub fn note_act_within(&mut self, act: &Act, since: Timestamp, acts_max: u32) -> Result<bool, StoreError> {
        self.write(|transaction| {
            if count_acts(transaction, act, since)? >= i64::from(acts_max) {
                return Ok(false);
            }
            note_act(transaction, act)?;
            Ok(true)
        })
    }

    /// Replaces the text of an act that was kept before it was done.
    pub fn end_act(&mut self, act: &Act) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute("UPDATE act SET text = ?2 WHERE key = ?1", params![act.key(), act.text])?;
            Ok(())
        })
    }

    /// When the store last knew a gateway to be ready: when that began or ended, whichever is later.
    pub fn last_ready(&self, gateway: &str) -> Result<Option<Timestamp>, StoreError> {
        last_ready(&self.connection, gateway).map_err(|fault| self.fault(fault))
    }

    /// The transitions of a gateway since an instant, the oldest first, and before them the one that led to the state at that
    /// instant; of more than `rows_max` the newest.
    pub fn transitions(&self, gateway: &str, since: Timestamp, rows_max: usize) -> Result<Vec<Change>, StoreError> {
        transitions(&self.connection, gateway, since, rows_max).map_err(|fault| self.fault(fault))
    }

    /// The newest acts that concern a gateway, the newest last. `None` for those of all gateways.
    pub fn acts(&self, gateway: Option<&str>, rows_max: usize) -> Result<Vec<Act>, StoreError> {
        acts(&self.connection, gateway, rows_max).map_err(|fault| self.fault(fault))
    }

    /// What is remembered of a gateway.
    pub fn remembered(&self, gateway: &str) -> Result<Remembered, StoreError> {
        remembered(&self.connection, gateway).map_err(|fault| self.fault(fault))
    }

    /// Claims the next message of a channel, in the order of the alerts, those after the given one. `None` if nothing is due there
    /// or another process is at it; then the channel is free.
    ///
    /// Where something is due, what is older is due with it, so that a recovery never overtakes its problem.
    pub fn claim(
        &mut self,
        gateway: &str,
        channel: ChannelName,
        after: i64,
        patience: Patience,
        holder: &Holder,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        let uptime = uptime_ms();
        self.write(|transaction| {
            if is_held_by_another(transaction, gateway, channel, holder, uptime)? {
                return Ok(None);
            }
            let next = next_due(transaction, gateway, channel, after, patience, now)?;
            match &next {
                Some(_) => hold(transaction, gateway, channel, holder, uptime)?,
                None => release(transaction, gateway, channel, holder)?,
            }
            Ok(next)
        })
    }

    /// The server accepted it.
    pub fn mark_sent(&mut self, delivery: &Delivery, answer: &str, now: Timestamp) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "UPDATE delivery SET state = 'sent', attempts = attempts + 1, ended_at = ?3, answer = ?4
                 WHERE alert = ?1 AND channel = ?2 AND state = 'waiting'",
                params![delivery.id, delivery.channel.as_str(), now.as_microsecond(), answer],
            )?;
            Ok(())
        })
    }

    /// It was not accepted. Waits longer after each failure, and as long as the server asked for. Where the channel is to blame,
    /// everything that waits there now does, and the channel is free again at once.
    pub fn mark_failed(
        &mut self,
        delivery: &Delivery,
        fault: &SendError,
        holder: &Holder,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let asked = fault.retry_after.and_then(|asked| SignedDuration::try_from(asked).ok()).unwrap_or_default();
        let wait = backoff(delivery.attempts).max(asked).min(BACKOFF_MAX);
        let due = now.checked_add(wait).unwrap_or(now).as_microsecond();
        let (channel, gateway) = (delivery.channel, delivery.alert.gateway.as_str());
        self.write(|transaction| {
            transaction.execute(
                "UPDATE delivery SET attempts = attempts + 1, due_at = ?3, answer = ?4
                 WHERE alert = ?1 AND channel = ?2 AND state = 'waiting'",
                params![delivery.id, channel.as_str(), due, fault.text],
            )?;
            if fault.blame == Blame::Message {
                return Ok(());
            }
            transaction.execute(
                "UPDATE delivery SET due_at = max(due_at, ?3) WHERE gateway = ?1 AND channel = ?2 AND state = 'waiting'",
                params![gateway, channel.as_str(), due],
            )?;
            release(transaction, gateway, channel, holder)
        })
    }

    /// Gives up what waits of one alert, and says why.
    pub fn drop_waiting(&mut self, key: &str, why: &str, now: Timestamp) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "UPDATE delivery SET state = 'dropped', ended_at = ?2, answer = coalesce(answer || '; ', '') || ?3
                 WHERE state = 'waiting' AND alert = (SELECT id FROM alert WHERE key = ?1)",
                params![key, now.as_microsecond(), why],
            )?;
            Ok(())
        })
    }

    /// An alert of a gateway by its number.
    pub fn alert(&self, id: i64, gateway: &str) -> Result<Option<Alert>, StoreError> {
        let text = self
            .connection
            .query_row("SELECT document FROM alert WHERE id = ?1 AND gateway = ?2", params![id, gateway], |row| {
                row.get::<_, String>(0)
            })
            .optional()
            .map_err(|fault| self.fault(fault))?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Gives back the channels that this process holds.
    pub fn release_all(&mut self, holder: &Holder) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction
                .execute("DELETE FROM lease WHERE holder = ?1 AND boot = ?2", params![holder.name, holder.boot])?;
            Ok(())
        })
    }

    /// How many messages of a gateway wait, and since when the oldest does.
    pub fn waiting(&self, gateway: &str) -> Result<(usize, Option<Timestamp>), StoreError> {
        let row = self.connection.query_row(
            "SELECT count(*), min(alert.at) FROM delivery JOIN alert ON alert.id = delivery.alert
             WHERE delivery.gateway = ?1 AND delivery.state = 'waiting'",
            params![gateway],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?)),
        );
        let (count, oldest) = row.map_err(|fault| self.fault(fault))?;
        Ok((usize::try_from(count).unwrap_or_default(), oldest.map(timestamp)))
    }

    /// How many messages wait on one channel of a gateway.
    pub fn waiting_on(&self, gateway: &str, channel: ChannelName) -> Result<usize, StoreError> {
        let count = self.connection.query_row(
            "SELECT count(*) FROM delivery WHERE gateway = ?1 AND channel = ?2 AND state = 'waiting'",
            params![gateway, channel.as_str()],
            |row| row.get::<_, i64>(0),
        );
        Ok(usize::try_from(count.map_err(|fault| self.fault(fault))?).unwrap_or_default())
    }

    /// The newest alerts with what became of them, the newest last. `None` for those of all gateways.
    pub fn list(&self, gateway: Option<&str>, rows_max: usize) -> Result<Vec<Listed>, StoreError> {
        list(&self.connection, gateway, rows_max).map_err(|fault| self.fault(fault))
    }

    /// Leaves a mark if the gateway is ready, everybody knows it and nothing waits, so that the next check need not open the store.
    pub fn settle(&mut self, gateway: &str) -> Result<(), StoreError> {
        let mark = settled_mark(&self.directory, gateway);
        // Inside a write, so that nobody can put something into the outbox between the look and the mark.
        self.write(|transaction| {
            let is_settled = remembered(transaction, gateway)?.memory.is_some_and(|memory| memory.is_settled());
            let waits: bool = transaction.query_row(
                "SELECT EXISTS (SELECT 1 FROM delivery WHERE gateway = ?1 AND state = 'waiting')",
                params![gateway],
                |row| row.get(0),
            )?;
            if is_settled && !waits {
                // Without the mark the next check opens the store, nothing worse. What is there already is not touched.
                let _ = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&mark);
            }
            Ok(())
        })
    }
}

/// Whether the store was left with nothing to tell of a gateway that is ready.
pub fn is_settled(directory: &Path, gateway: &str) -> bool {
    settled_mark(directory, gateway).exists()
}

/// Takes the mark away where the store itself cannot be used, so that the next check looks again.
pub fn unsettle(directory: &Path, gateway: &str) {
    let _ = fs::remove_file(settled_mark(directory, gateway));
}

fn settled_mark(directory: &Path, gateway: &str) -> PathBuf {
    directory.join(format!("settled-{gateway}"))
}

fn make(directory: &Path, path: &Path) -> Result<(), StoreError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|fault| StoreError::File { path: directory.to_owned(), fault })?;
    // Here and not by SQLite, which would give it the mode of the umask. A file that is there is left to SQLite alone, since
    // closing it here would end the locks that this process has on it.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(fault) => Err(StoreError::File { path: path.to_owned(), fault }),
    }
}

/// Locks the directory, or gives up, since whoever can open it can hold that lock for ever.
#[expect(
    clippy::disallowed_methods,
    reason = "the kernel tells nobody when a lock is free, but for who waits without end"
)]
pub(crate) fn lock_within(directory: &Path, limit: Duration) -> io::Result<File> {
    let (watch, lock) = (Stopwatch::start(), File::open(directory)?);
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if watch.elapsed() < limit => std::thread::sleep(LOCK_INTERVAL),
            Err(fault) => return Err(fault.into()),
        }
    }
}

fn version_of(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn timestamp(microsecond: i64) -> Timestamp {
    Timestamp::from_microsecond(microsecond).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn uptime_ms() -> i64 {
    i64::try_from(ibga_core::clock::uptime().as_millis()).unwrap_or(i64::MAX)
}

fn backoff(attempts: i64) -> SignedDuration {
    let doublings = u32::try_from(attempts.clamp(0, 16)).unwrap_or_default();
    BACKOFF_FIRST.saturating_mul(2_i32.saturating_pow(doublings)).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests;
