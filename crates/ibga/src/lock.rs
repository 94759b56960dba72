//! One probe of a gateway at a time, whichever users run it. The lock goes with the gateway's socket, not with a name that one
//! user gave it, and the kernel frees it when its holder dies, however that happens.
//!
//! A probe holds it for seconds and is waited for. A watch holds it as long as it lives and says so in the file, with the place of
//! its reports; whoever comes then reads these.
//!
//! Every user can take the lock, so a hostile one can hold it; that makes checks fail, never succeed.

use std::ffi::OsStr;
use std::fs::File;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use ibga_core::clock::Stopwatch;
use rustix::fs::{CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

/// Where locks lie: a place that all users of a machine share, as the status file's default does.
const FOLDER: &str = "/tmp";

/// How long the holder's purpose is in the file, in bytes: twenty digits and a line's end.
const PURPOSE_BYTES: usize = 21;

/// What stands before process and status file in the second line of a watch.
const WATCH: &str = "watch ";

/// The longest second line that is read: a path, and a little more.
const WATCH_BYTES_MAX: usize = 5_000;

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
    /// Takes the lock of the gateway at `host` and `port`, waiting for at most `limit`.
    pub fn acquire(host: &str, port: u16, purpose: Purpose, limit: Duration) -> Result<Self, LockError> {
        Self::acquire_at(&path_for(host, port), purpose, limit)
    }

    /// The same for a watch, which tells others where its reports are. Waits for nobody, since whoever waits leaves a thread behind.
    pub fn hold(host: &str, port: u16, watching: &Watching) -> Result<Self, LockError> {
        let lock = Self::acquire(host, port, watching.purpose, Duration::ZERO)?;
        // Another user's file cannot be written; whoever comes then waits, and is told that the lock is held.
        let _ = lock.write_watching(watching);
        Ok(lock)
    }

    fn acquire_at(path: &Path, purpose: Purpose, limit: Duration) -> Result<Self, LockError> {
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
                    if let Some(watching) = read_watching(&file) {
                        return Err(LockError::Watched(watching));
                    }
                    if limit.is_zero() {
                        return Err(held());
                    }
                    match wait(file, limit.saturating_sub(watch.elapsed())) {
                        Some(file) => (file.map_err(broken)?, true),
                        // It may have said so only after we looked.
                        None => return Err(watched_at(path).map_or_else(held, LockError::Watched)),
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
            let lock = Self { file, path: path.to_owned(), waited_for };
            // Another user's file cannot be written; whoever waits for us then finds no purpose of ours and probes for himself.
            let _ = lock.write_purpose(purpose);
            return Ok(lock);
        }
    }

    /// Always of the same length, so that one write is enough. What a watch left behind goes.
    fn write_purpose(&self, purpose: Purpose) -> io::Result<()> {
        self.file.write_all_at(format!("{:020}\n", purpose.0).as_bytes(), 0)?;
        self.file.set_len(PURPOSE_BYTES as u64)
    }

    fn write_watching(&self, watching: &Watching) -> io::Result<()> {
        let mut line = format!("{WATCH}{} ", watching.pid).into_bytes();
        line.extend(watching.status_file.as_os_str().as_bytes());
        line.push(b'\n');
        self.file.write_all_at(&line, PURPOSE_BYTES as u64)
    }
}

impl Drop for GatewayLock {
    /// Removes the file while the lock is still held; whoever waits for it then takes the next one. A file of another user stays.
    fn drop(&mut self) {
        if is_at(&self.file, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn read_purpose(file: &File) -> Option<Purpose> {
    let mut text = [0; PURPOSE_BYTES];
    file.read_exact_at(&mut text, 0).ok()?;
    std::str::from_utf8(&text).ok()?.trim().parse().ok().map(Purpose)
}

/// What a watch wrote; `None` if the holder is none.
fn read_watching(file: &File) -> Option<Watching> {
    let purpose = read_purpose(file)?;
    let mut line = Vec::new();
    let mut buffer = [0; 512];
    while line.len() < WATCH_BYTES_MAX {
        let count = file.read_at(&mut buffer, (PURPOSE_BYTES + line.len()) as u64).ok()?;
        if count == 0 {
            break;
        }
        line.extend(buffer.get(..count)?);
    }
    // Without its end it has not been written whole yet.
    let line = line.strip_suffix(b"\n")?.strip_prefix(WATCH.as_bytes())?;
    let blank = line.iter().position(|byte| *byte == b' ')?;
    let (pid, path) = line.split_at_checked(blank)?;
    let pid = std::str::from_utf8(pid).ok()?.parse().ok()?;
    let status_file = PathBuf::from(OsStr::from_bytes(path.get(1..)?));
    status_file.is_absolute().then_some(Watching { pid, purpose, status_file })
}

fn watched_at(path: &Path) -> Option<Watching> {
    open(path).ok().flatten().and_then(|file| read_watching(&file))
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
    let mut hidden = path.as_os_str().to_owned();
    hidden.push(format!(".{:016x}", RandomState::new().build_hasher().finish()));
    let hidden = Path::new(&hidden);
    let created = create_here(hidden)?;
    let moved = rustix::fs::renameat_with(CWD, hidden, CWD, path, RenameFlags::NOREPLACE);
    if moved.is_err() {
        let _ = std::fs::remove_file(hidden);
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
        let held = GatewayLock::acquire_at(&path, first, Duration::ZERO).expect("free");
        assert_eq!(held.waited_for, []);
        let fault = GatewayLock::acquire_at(&path, second, Duration::from_millis(10)).expect_err("held");
        assert!(matches!(fault, LockError::Held { .. }), "{fault}");
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || GatewayLock::acquire_at(&path, second, Duration::from_mins(1))
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
        let held = GatewayLock::acquire_at(&path, Purpose(1), Duration::ZERO).expect("free");
        assert!(is_at(&held.file, &path));
        std::fs::remove_file(&path).expect("removed");
        assert!(!is_at(&held.file, &path));
        let other = GatewayLock::acquire_at(&path, Purpose(2), Duration::ZERO).expect("another file");
        assert!(is_at(&other.file, &path) && !is_at(&held.file, &path));
        drop(held);
        assert!(is_at(&other.file, &path), "the file of another holder stays");
    }

    #[test]
    fn a_watch_says_where_its_reports_are_and_is_not_waited_for() {
        let path = path("watched");
        let watching = Watching { pid: 7, purpose: Purpose(9), status_file: "/tmp/a b.json".into() };
        let lock = GatewayLock::acquire_at(&path, watching.purpose, Duration::ZERO).expect("free");
        assert_eq!(watched_at(&path), None, "a probe");
        lock.write_watching(&watching).expect("written");
        let watch = Stopwatch::start();
        let refused = GatewayLock::acquire_at(&path, Purpose(0), Duration::from_mins(1)).expect_err("watched");
        assert!(matches!(refused, LockError::Watched(found) if found == watching));
        assert!(watch.elapsed() < Duration::from_secs(30));
        drop(lock);
        let after = GatewayLock::acquire_at(&path, Purpose(0), Duration::ZERO).expect("free again");
        assert_eq!(read_watching(&after.file), None);
        for text in ["watch 7 relative\n", "watch x /a\n", "watch 7 /a", "watch 7\n", ""] {
            after.file.write_all_at(text.as_bytes(), PURPOSE_BYTES as u64).expect("written");
            assert_eq!(read_watching(&after.file), None, "{text}");
            after.file.set_len(PURPOSE_BYTES as u64).expect("cut");
        }
    }

    #[test]
    fn links_and_pipes_are_refused() {
        let link = path("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).expect("a link");
        assert!(GatewayLock::acquire_at(&link, Purpose(0), Duration::ZERO).is_err());
        std::fs::remove_file(link).expect("removed");
        let pipe = path("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR | Mode::WUSR).expect("a pipe");
        assert!(GatewayLock::acquire_at(&pipe, Purpose(0), Duration::ZERO).is_err());
        std::fs::remove_file(pipe).expect("removed");
    }
}
