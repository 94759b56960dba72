//! One probe of a gateway at a time, whichever users run it. The lock goes with the gateway's socket, not with a name that one
//! user gave it, and the kernel frees it when its holder dies, however that happens.
//!
//! Every user can take the lock, so a hostile one can hold it; that makes checks fail, never succeed.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Where locks lie: a place that all users of a machine share, as the status file's default does.
const FOLDER: &str = "/tmp";

/// The most of a lock file that is read.
const PURPOSE_BYTES_MAX: u64 = 64;

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
    #[error("cannot use the lock file {}: {fault}; remove it", path.display())]
    File {
        /// The lock file.
        path: PathBuf,
        /// What is wrong with it.
        fault: io::Error,
    },
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct GatewayLock {
    file: File,
    /// What the holder before had written, if this one had to wait for it.
    pub waited_for: Option<Purpose>,
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
        let file = open(path).map_err(broken)?;
        let (file, had_to_wait) = match file.try_lock() {
            Ok(()) => (file, false),
            Err(std::fs::TryLockError::Error(fault)) => return Err(broken(fault)),
            Err(std::fs::TryLockError::WouldBlock) => match wait(file, limit) {
                Some(file) => (file.map_err(broken)?, true),
                None => return Err(LockError::Held { limit, path: path.to_owned() }),
            },
        };
        let mut lock = Self { file, waited_for: None };
        if had_to_wait {
            lock.waited_for = lock.read_purpose();
        }
        // Another user's file cannot be written; whoever waits for us then probes for himself.
        let _ = lock.write_purpose(purpose);
        Ok(lock)
    }

    fn read_purpose(&mut self) -> Option<Purpose> {
        let mut text = String::new();
        (&self.file).take(PURPOSE_BYTES_MAX).read_to_string(&mut text).ok()?;
        text.trim().parse().ok().map(Purpose)
    }

    /// Always of the same length, so that one write is enough.
    fn write_purpose(&self, purpose: Purpose) -> io::Result<()> {
        self.file.write_all_at(format!("{:020}\n", purpose.0).as_bytes(), 0)
    }
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

/// Opens the file of whoever made it first. Reading is enough to lock, so that it need not be writable by all.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    for _ in 0..3 {
        let opened = rustix::fs::open(path, flags | OFlags::RDWR, mode).or_else(|fault| match fault {
            Errno::NOENT => rustix::fs::open(path, flags | OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, mode),
            _ => rustix::fs::open(path, flags | OFlags::RDONLY, mode),
        });
        match opened {
            // Two processes made it at once, or somebody removed it in between.
            Err(Errno::EXIST | Errno::NOENT) => {}
            Err(fault) => return Err(fault.into()),
            Ok(descriptor) => {
                let file = File::from(descriptor);
                return if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) };
            }
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn path_for(host: &str, port: u16) -> PathBuf {
    let host = match host {
        "localhost" | "::1" | "0.0.0.0" | "::" => "127.0.0.1",
        other => other,
    };
    let host: String = host
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' })
        .collect();
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
            ("localhost", "/tmp/ibga-127.0.0.1-4000.lock"),
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
        assert_eq!(held.waited_for, None);
        let fault = GatewayLock::acquire_at(&path, second, Duration::from_millis(10)).expect_err("held");
        assert!(matches!(fault, LockError::Held { .. }), "{fault}");
        let waiter = {
            let path = path.clone();
            std::thread::spawn(move || GatewayLock::acquire_at(&path, second, Duration::from_mins(1)))
        };
        drop(held);
        let lock = waiter.join().expect("no panic").expect("freed");
        // It may have come after the release, and then had nothing to wait for.
        assert!(
            matches!(lock.waited_for, None | Some(Purpose(_))) && lock.waited_for.is_none_or(|before| before == first)
        );
        drop(lock);
        std::fs::remove_file(path).expect("removed");
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
