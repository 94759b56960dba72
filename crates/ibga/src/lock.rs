//! One probe of a gateway at a time, whichever users run it. The lock goes with the gateway's socket, not with a name that one
//! user gave it, and the kernel frees it when its holder dies, however that happens.
//!
//! A probe holds it for seconds and is waited for. A watch holds it as long as it lives and says so in a file beside the lock, with
//! the place of its reports; whoever comes then reads these. That file is the watch's own and locked, too, so that what a killed one
//! left says nothing, and so that a lock file which another user made, and which the watch can hold but not write, is no hindrance.
//! Its name ends in the user's id, and it is looked for only under the ids of users who are believed, and of the lock's maker.
//!
//! Every user can take the lock, so a hostile one can hold it; that makes checks fail, never succeed.

use std::ffi::OsStr;
use std::fs::File;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use ibga_core::clock::Stopwatch;
use ibga_core::secure_file::Trust;
use jiff::Timestamp;
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, Timespec, Timestamps};
use rustix::io::Errno;
use rustix::process::geteuid;

/// Where locks lie: a place that all users of a machine share, as the status file's default does.
const FOLDER: &str = "/tmp";

/// How long the holder's purpose is in the file, in bytes: twenty digits and a line's end.
const PURPOSE_BYTES: usize = 21;

/// What stands before process, purpose and status file in the line of a watch.
const WATCH: &str = "watch ";

/// The longest line of a watch that is read: a path, and a little more.
const WATCH_BYTES_MAX: u64 = 5_000;

/// Group and others may not write what is believed.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// The time that it is when the system is asked to write it.
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };

/// A lock that others cannot open would lock them out for ever.
const MODE: Mode = Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP).union(Mode::ROTH);

/// Links are not followed, and pipes not waited for.
const FLAGS: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process held it all the time.
    #[error("another process has been probing this gateway for {limit:.0?}; see who holds {}", path.display())]
    Held {
        /// How long was waited.
        limit: Duration,
        /// The lock file.
        path: PathBuf,
    },
    /// A watch holds it, and will.
    #[error("`ibga watch` (process {}) watches this gateway", .0.pid)]
    Watched(Watching),
    /// The file cannot be used.
    #[error("cannot use the lock file {}: {fault}", path.display())]
    File {
        /// The lock file.
        path: PathBuf,
        /// What is wrong with it.
        fault: io::Error,
    },
}

/// A watch that holds a lock, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watching {
    /// Its process.
    pub pid: u32,
    /// When it took the lock, by its wall clock.
    pub since: Timestamp,
    /// What its verdicts depend on, besides accounts and mode.
    pub purpose: Purpose,
    /// Where its reports are.
    pub status_file: PathBuf,
}

/// A lock that is held until it is dropped; its file goes with it.
#[derive(Debug)]
pub struct GatewayLock {
    file: File,
    path: PathBuf,
    /// What a watch says of itself.
    announcement: Option<Announcement>,
    /// What the holders before had written, as far as this one had to wait for them.
    pub waited_for: Vec<Purpose>,
}

/// What a probe was for, as a number: a process that waited takes over the result of one with the same purpose alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purpose(u64);

impl Purpose {
    /// The purpose of whatever can be hashed.
    pub fn of(what: &impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl GatewayLock {
    /// Takes the lock of the gateway at `host` and `port`, waiting for at most `limit`. `trust` says whose watches are believed.
    pub fn acquire(host: &str, port: u16, purpose: Purpose, trust: &Trust, limit: Duration) -> Result<Self, LockError> {
        Self::acquire_at(&path_for(host, port), purpose, trust, limit)
    }

    /// The same for a watch, which tells others where its reports are. Waits for nobody, since whoever waits leaves a thread behind.
    pub fn hold(host: &str, port: u16, watching: &Watching, trust: &Trust) -> Result<Self, LockError> {
        Self::hold_at(&path_for(host, port), watching, trust)
    }

    fn hold_at(path: &Path, watching: &Watching, trust: &Trust) -> Result<Self, LockError> {
        let mut lock = Self::acquire_at(path, watching.purpose, trust, Duration::ZERO)?;
        // Where even its own file cannot be made, whoever comes waits, and is told that the lock is held.
        lock.announcement = Announcement::make(path, watching).ok();
        Ok(lock)
    }

    fn acquire_at(path: &Path, purpose: Purpose, trust: &Trust, limit: Duration) -> Result<Self, LockError> {
        let broken = |fault| LockError::File { path: path.to_owned(), fault };
        let held = || LockError::Held { limit, path: path.to_owned() };
        let watch = Stopwatch::start();
        let mut waited_for = Vec::new();
        loop {
            let Some(file) = open(path).map_err(broken)? else {
                if watch.elapsed() > limit {
                    return Err(held());
                }
                continue;
            };
            let (file, had_to_wait) = match file.try_lock() {
                Ok(()) => (file, false),
                Err(std::fs::TryLockError::Error(fault)) => return Err(broken(fault)),
                Err(std::fs::TryLockError::WouldBlock) => {
                    if let Some(watching) = find_watch(&file, path, trust) {
                        return Err(LockError::Watched(watching));
                    }
                    if limit.is_zero() {
                        return Err(held());
                    }
                    match wait(file, limit.saturating_sub(watch.elapsed())) {
                        Some(file) => (file.map_err(broken)?, true),
                        // It may have said so only after we looked.
                        None => return Err(watched_at(path, trust).map_or_else(held, LockError::Watched)),
                    }
                }
            };
            if had_to_wait {
                waited_for.extend(read_purpose(&file));
            }
            // Whoever removed the file in between, as every holder does, made room for another one: only the lock on that counts.
            if !is_at(&file, path) {
                continue;
            }
            let lock = Self { file, path: path.to_owned(), announcement: None, waited_for };
            // Another user's file cannot be written; whoever waits for us then finds no purpose of ours and probes for himself.
            let _ = lock.write_purpose(purpose);
            return Ok(lock);
        }
    }

    /// Whether this lock is still the one that others find: a cleaner of old files may have taken it away. Keeps it from looking old.
    pub fn refresh(&self) -> bool {
        let now = Timestamps { last_access: NOW, last_modification: NOW };
        let files = std::iter::once((&self.file, &self.path))
            .chain(self.announcement.iter().map(|announcement| (&announcement.file, &announcement.path)));
        files.fold(true, |is_there, (file, path)| {
            // Another user's file keeps its age.
            let _ = rustix::fs::futimens(file, &now);
            is_there && is_at(file, path)
        })
    }

    /// Always of the same length, so that one write is enough.
    fn write_purpose(&self, purpose: Purpose) -> io::Result<()> {
        self.file.write_all_at(format!("{:020}\n", purpose.0).as_bytes(), 0)
    }
}

impl Drop for GatewayLock {
    /// Removes the file while the lock is still held; whoever waits for it then takes the next one. A file of another user stays.
    fn drop(&mut self) {
        self.announcement = None;
        if is_at(&self.file, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// What a watch says of itself, in a file that it alone can write and that is locked as long as it lives.
#[derive(Debug)]
struct Announcement {
    file: File,
    path: PathBuf,
}

impl Announcement {
    /// It takes its place written and locked, and that of one that this user's last watch left behind.
    fn make(lock: &Path, watching: &Watching) -> io::Result<Self> {
        let path = announcement_path(lock, geteuid().as_raw());
        let hidden = hidden_beside(&path);
        let file = create_here(&hidden)?;
        let mut line =
            format!("{WATCH}{} {:020} {} ", watching.pid, watching.purpose.0, watching.since.as_microsecond())
                .into_bytes();
        line.extend(watching.status_file.as_os_str().as_bytes());
        line.push(b'\n');
        let made =
            file.lock().and_then(|()| file.write_all_at(&line, 0)).and_then(|()| std::fs::rename(&hidden, &path));
        if made.is_err() {
            let _ = std::fs::remove_file(&hidden);
        }
        made.map(|()| Self { file, path })
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        if is_at(&self.file, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn announcement_path(lock: &Path, user: u32) -> PathBuf {
    let mut path = lock.as_os_str().to_owned();
    path.push(format!(".watch-{user}"));
    path.into()
}

/// The watch that holds this lock, if its user is this one, root, one who is trusted, or the maker of the lock file. Of the last one
/// no more is believed than where it says its reports are: these are read as any status file is.
fn find_watch(file: &File, path: &Path, trust: &Trust) -> Option<Watching> {
    let maker = file.metadata().ok().map(|metadata| metadata.uid());
    let users = [geteuid().as_raw(), 0].into_iter().chain(trust.owners.iter().copied()).chain(maker);
    users.into_iter().find_map(|user| read_watching(&announcement_path(path, user), user))
}

fn read_purpose(file: &File) -> Option<Purpose> {
    let mut text = [0; PURPOSE_BYTES];
    file.read_exact_at(&mut text, 0).ok()?;
    std::str::from_utf8(&text).ok()?.trim().parse().ok().map(Purpose)
}

/// What the living watch of this user wrote; `None` if there is none.
fn read_watching(path: &Path, user: u32) -> Option<Watching> {
    let file = File::from(rustix::fs::open(path, FLAGS | OFlags::RDONLY, Mode::empty()).ok()?);
    let metadata = file.metadata().ok()?;
    let is_its_own = metadata.is_file()
        && metadata.nlink() == 1
        && metadata.uid() == user
        && metadata.mode() & WRITABLE_BY_OTHERS == 0;
    let lives = || matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock));
    if !is_its_own || !lives() {
        return None;
    }
    let mut line = Vec::new();
    (&file).take(WATCH_BYTES_MAX).read_to_end(&mut line).ok()?;
    parse_watching(&line)
}

fn parse_watching(line: &[u8]) -> Option<Watching> {
    let mut words = line.strip_suffix(b"\n")?.strip_prefix(WATCH.as_bytes())?.splitn(4, |byte| *byte == b' ');
    let mut word = || std::str::from_utf8(words.next()?).ok();
    let (pid, purpose) = (word()?.parse().ok()?, Purpose(word()?.parse().ok()?));
    let since = Timestamp::from_microsecond(word()?.parse().ok()?).ok()?;
    let status_file = PathBuf::from(OsStr::from_bytes(words.next()?));
    status_file.is_absolute().then_some(Watching { pid, since, purpose, status_file })
}

fn watched_at(path: &Path, trust: &Trust) -> Option<Watching> {
    open(path).ok().flatten().and_then(|file| find_watch(&file, path, trust))
}

/// Blocks in a thread of its own, since the kernel's lock knows no time limit. A thread that is left behind ends with the process.
fn wait(file: File, limit: Duration) -> Option<io::Result<File>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let locked = file.lock().map(|()| file);
        let _ = sender.send(locked);
    });
    receiver.recv_timeout(limit).ok()
}

/// Whether this file is the one that others find there.
fn is_at(file: &File, path: &Path) -> bool {
    let there = std::fs::symlink_metadata(path);
    file.metadata().is_ok_and(|here| there.is_ok_and(|there| (here.dev(), here.ino()) == (there.dev(), there.ino())))
}

/// Opens the file of whoever made it first; `None` if it came or went in between. Reading is enough to lock, so that it need not be
/// writable by all.
fn open(path: &Path) -> io::Result<Option<File>> {
    let open = |access| rustix::fs::open(path, FLAGS | access, Mode::empty());
    let opened = match open(OFlags::RDWR) {
        Err(Errno::NOENT) => return create(path),
        Err(_) => open(OFlags::RDONLY),
        Ok(descriptor) => Ok(descriptor),
    };
    let file = match opened {
        Err(Errno::NOENT) => return Ok(None),
        Err(fault) => return Err(fault.into()),
        Ok(descriptor) => File::from(descriptor),
    };
    let metadata = file.metadata()?;
    // A link to another file would have that one overwritten.
    let is_plain = metadata.is_file() && metadata.nlink() <= 1;
    if is_plain { Ok(Some(file)) } else { Err(io::Error::other("it is no plain file")) }
}

/// Makes the file under a name that nobody knows and moves it to its place when all may open it, whatever the umask says; `None` if
/// another one is there by then.
fn create(path: &Path) -> io::Result<Option<File>> {
    let hidden = hidden_beside(path);
    let created = create_here(&hidden)?;
    let moved = rustix::fs::renameat_with(CWD, &hidden, CWD, path, RenameFlags::NOREPLACE);
    if moved.is_err() {
        let _ = std::fs::remove_file(&hidden);
    }
    let there = match moved {
        Ok(()) => Ok(created),
        // Some file systems can only move over what is there, as NFS and older ZFS. What is made in place is closed to others for a
        // moment.
        Err(Errno::INVAL | Errno::NOSYS) => create_here(path),
        Err(fault) => Err(fault),
    };
    match there {
        Ok(file) => Ok(Some(file)),
        Err(Errno::EXIST) => Ok(None),
        Err(fault) => Err(fault.into()),
    }
}

/// A name that nobody can foresee.
fn hidden_beside(path: &Path) -> PathBuf {
    let mut hidden = path.as_os_str().to_owned();
    hidden.push(format!(".{:016x}", RandomState::new().build_hasher().finish()));
    hidden.into()
}

/// A file that all may open.
fn create_here(path: &Path) -> Result<File, Errno> {
    let created = rustix::fs::open(path, FLAGS | OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, MODE)?;
    rustix::fs::fchmod(&created, MODE)?;
    Ok(created.into())
}

fn path_for(host: &str, port: u16) -> PathBuf {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let host = match host.as_str() {
        "localhost" | "::1" | "0.0.0.0" | "::" => "127.0.0.1",
        other => other,
    };
    let host: String =
        host.chars().map(|c| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' }).collect();
    Path::new(FOLDER).join(format!("ibga-{host}-{port}.lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("ibga-lock-test-{}-{name}", std::process::id()))
    }

    fn acquire(path: &Path, purpose: Purpose, limit: Duration) -> Result<GatewayLock, LockError> {
        GatewayLock::acquire_at(path, purpose, &Trust::default(), limit)
    }

    #[test]
    fn names_are_safe_and_one_for_each_socket() {
        for (host, name) in [
            ("127.0.0.1", "/tmp/ibga-127.0.0.1-4000.lock"),
            ("LocalHost", "/tmp/ibga-127.0.0.1-4000.lock"),
            ("GW.example.", "/tmp/ibga-gw.example-4000.lock"),
            ("GW.example", "/tmp/ibga-gw.example-4000.lock"),
            ("../../etc", "/tmp/ibga-.._.._etc-4000.lock"),
            ("fe80::1", "/tmp/ibga-fe80__1-4000.lock"),
        ] {
            assert_eq!(path_for(host, 4000), Path::new(name));
        }
    }

    #[test]
    fn a_second_holder_waits_and_learns_what_the_first_was_for() {
        let path = path("wait");
        let (first, second) = (Purpose::of(&"first"), Purpose::of(&"second"));
        let held = acquire(&path, first, Duration::ZERO).expect("free");
        assert_eq!(held.waited_for, []);
        let fault = acquire(&path, second, Duration::from_millis(10)).expect_err("held");
        assert!(matches!(fault, LockError::Held { .. }), "{fault}");
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || acquire(&path, second, Duration::from_mins(1))
        });
        // The kernel's list of locks shows who waits: this test's own attempt, and the one that gave up above.
        let inode = held.file.metadata().expect("a file").ino();
        let waiters = || {
            let locks = File::open("/proc/locks").and_then(io::read_to_string).expect("a list");
            locks.lines().filter(|line| line.contains("->") && line.contains(&format!(":{inode} "))).count()
        };
        while waiters() < 2 {
            std::thread::yield_now();
        }
        drop(held);
        let lock = waiting.join().expect("no panic").expect("freed");
        assert_eq!((&lock.waited_for, read_purpose(&lock.file)), (&vec![first], Some(second)));
        drop(lock);
        assert!(!path.exists(), "nothing is left behind");
    }

    #[test]
    fn a_lock_on_a_removed_file_does_not_count() {
        let path = path("removed");
        let held = acquire(&path, Purpose(1), Duration::ZERO).expect("free");
        assert!(is_at(&held.file, &path));
        std::fs::remove_file(&path).expect("removed");
        assert!(!is_at(&held.file, &path));
        let other = acquire(&path, Purpose(2), Duration::ZERO).expect("another file");
        assert!(is_at(&other.file, &path) && !is_at(&held.file, &path));
        drop(held);
        assert!(is_at(&other.file, &path), "the file of another holder stays");
    }

    #[test]
    fn a_watch_says_where_its_reports_are_and_is_not_waited_for() {
        let path = path("watched");
        let watching =
            Watching { pid: 7, since: Timestamp::UNIX_EPOCH, purpose: Purpose(9), status_file: "/tmp/a b.json".into() };
        let lock = acquire(&path, watching.purpose, Duration::ZERO).expect("free");
        assert_eq!(watched_at(&path, &Trust::default()), None, "a probe");
        drop(lock);
        let lock = GatewayLock::hold_at(&path, &watching, &Trust::default()).expect("free");
        let watch = Stopwatch::start();
        let refused = acquire(&path, Purpose(0), Duration::from_mins(1)).expect_err("watched");
        assert!(matches!(refused, LockError::Watched(found) if found == watching));
        assert!(watch.elapsed() < Duration::from_secs(30));
        drop(lock);
        let announcement = announcement_path(&path, geteuid().as_raw());
        assert!(!path.exists() && !announcement.exists(), "nothing is left behind");
    }

    #[test]
    fn what_a_killed_watch_left_says_nothing() {
        let path = path("killed");
        let watching =
            Watching { pid: 7, since: Timestamp::UNIX_EPOCH, purpose: Purpose(9), status_file: "/tmp/a.json".into() };
        let announcement = announcement_path(&path, geteuid().as_raw());
        std::fs::write(&announcement, "watch 7 9 0 /tmp/a.json\n").expect("written");
        let probe = acquire(&path, Purpose(1), Duration::ZERO).expect("free");
        assert_eq!(watched_at(&path, &Trust::default()), None, "nobody holds it");
        drop(probe);
        // The next watch takes its place.
        let lock = GatewayLock::hold_at(&path, &watching, &Trust::default()).expect("free");
        assert_eq!(watched_at(&path, &Trust::default()), Some(watching));
        // What others could have written is not read.
        rustix::fs::chmod(&announcement, Mode::from_raw_mode(0o664)).expect("a mode");
        assert_eq!(watched_at(&path, &Trust::default()), None);
        drop(lock);
    }

    #[test]
    fn lines_of_a_watch() {
        let watching =
            Watching { pid: 7, since: Timestamp::UNIX_EPOCH, purpose: Purpose(9), status_file: "/a b".into() };
        for (line, read) in [
            ("watch 7 00000000000000000009 0 /a b\n", Some(watching)),
            ("watch 7 9 0 relative\n", None),
            ("watch x 9 /a\n", None),
            ("watch 7 x 0 /a\n", None),
            ("watch 7 9 x /a\n", None),
            ("watch 4294967296 9 /a\n", None),
            ("watch 7 9 0 /a", None),
            ("watch 7 9 0\n", None),
            ("", None),
        ] {
            assert_eq!(parse_watching(line.as_bytes()), read, "{line}");
        }
    }

    #[test]
    fn links_and_pipes_are_refused() {
        let link = path("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).expect("a link");
        assert!(acquire(&link, Purpose(0), Duration::ZERO).is_err());
        std::fs::remove_file(link).expect("removed");
        let pipe = path("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR | Mode::WUSR).expect("a pipe");
        assert!(acquire(&pipe, Purpose(0), Duration::ZERO).is_err());
        std::fs::remove_file(pipe).expect("removed");
    }
}
