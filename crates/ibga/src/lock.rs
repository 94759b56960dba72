//! One probe of a gateway at a time, whichever users run it. The lock goes with the gateway's socket, not with a name that one
//! user gave it, and the kernel frees it when its holder dies, however that happens.
//!
//! Every user can take the lock, so a hostile one can hold it; that makes checks fail, never succeed.

use std::fs::File;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::io;
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
    /// The file cannot be used.
    #[error("cannot use the lock file {}: {fault}", path.display())]
    File {
        /// The lock file.
        path: PathBuf,
        /// What is wrong with it.
        fault: io::Error,
    },
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
                Err(std::fs::TryLockError::WouldBlock) => match wait(file, limit.saturating_sub(watch.elapsed())) {
                    Some(file) => (file.map_err(broken)?, true),
                    None => return Err(held()),
                },
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

    /// Always of the same length, so that one write is enough.
    fn write_purpose(&self, purpose: Purpose) -> io::Result<()> {
        self.file.write_all_at(format!("{:020}\n", purpose.0).as_bytes(), 0)
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
