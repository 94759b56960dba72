//! The status files of a watch, as somebody sees them who is woken at each change of the folder.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ibga_core::clock::Stopwatch;
use ibga_core::secure_file::Trust;
use ibga_core::status_file;
use ibga_core::transition::State;
use jiff::tz::TimeZone;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use rustix::time::Timespec;

/// Room for some hundred changes at once.
const BUFFER_BYTES: usize = 8 * 1_024;

/// The status files of the gateways 1, 2, 3, … in one folder.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    changes: OwnedFd,
}

/// What the folder tells.
enum Change {
    /// This file was replaced.
    Of(usize),
    /// There were so many that some were not told.
    Lost,
}

impl Files {
    /// Those that are or will be in this folder.
    pub(super) fn in_folder(folder: &Path) -> Result<Self, String> {
        let failed = |fault: Errno| format!("{} cannot be watched: {fault}", folder.display());
        let changes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(failed)?;
        inotify::add_watch(&changes, folder, WatchFlags::MOVED_TO).map_err(failed)?;
        Ok(Self { folder: folder.to_owned(), changes })
    }

    /// Where the file of a gateway is.
    pub(super) fn path(&self, number: usize) -> PathBuf {
        self.folder.join(number.to_string())
    }

    /// Waits until all of these gateways are as they should be, whether they became so already or not.
    pub(super) fn settle(
        &self,
        numbers: impl IntoIterator<Item = usize>,
        fits: impl Fn(State) -> bool,
        limit: Duration,
    ) -> Result<(), String> {
        let mut left: BTreeSet<usize> = numbers.into_iter().collect();
        self.look(&mut left, &fits);
        self.wait(left, fits, limit)
    }

    /// Waits until they become so from now on.
    pub(super) fn follow(
        &self,
        numbers: impl IntoIterator<Item = usize>,
        fits: impl Fn(State) -> bool,
        limit: Duration,
    ) -> Result<(), String> {
        self.wait(numbers.into_iter().collect(), fits, limit)
    }

    /// Forgets what changed until now.
    pub(super) fn forget(&self) -> Result<(), String> {
        self.changes().map(drop)
    }

    fn wait(&self, mut left: BTreeSet<usize>, fits: impl Fn(State) -> bool, limit: Duration) -> Result<(), String> {
        let watch = Stopwatch::start();
        while let Some(first) = left.first() {
            let Some(rest) = limit.checked_sub(watch.elapsed()) else {
                let state = self.state(*first).map_or_else(|| "without a report".into(), |state| state.to_string());
                return Err(format!("{} gateways are not as awaited after {limit:?}; {first} is {state}", left.len()));
            };
            self.sleep(rest)?;
            for change in self.changes()? {
                match change {
                    Change::Of(number) => {
                        if left.contains(&number) && self.state(number).is_some_and(&fits) {
                            left.remove(&number);
                        }
                    }
                    Change::Lost => self.look(&mut left, &fits),
                }
            }
        }
        Ok(())
    }

    fn look(&self, left: &mut BTreeSet<usize>, fits: impl Fn(State) -> bool) {
        left.retain(|number| !self.state(*number).is_some_and(&fits));
    }

    fn state(&self, number: usize) -> Option<State> {
        let report = status_file::read(&self.path(number), &Trust::default(), &TimeZone::UTC).ok()?;
        Some(State::of(&report))
    }

    fn sleep(&self, limit: Duration) -> Result<(), String> {
        let limit = Timespec::try_from(limit).map_err(|fault| fault.to_string())?;
        match poll(&mut [PollFd::new(&self.changes, PollFlags::IN)], Some(&limit)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(fault) => Err(fault.to_string()),
        }
    }

    fn changes(&self) -> Result<Vec<Change>, String> {
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut reader = inotify::Reader::new(&self.changes, &mut buffer);
        let mut changes = Vec::new();
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => changes.push(Change::Lost),
                Ok(event) => {
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                    changes.extend(name.and_then(OsStr::to_str).and_then(|name| name.parse().ok()).map(Change::Of));
                }
                Err(Errno::AGAIN) => return Ok(changes),
                Err(fault) => return Err(fault.to_string()),
            }
        }
    }
}
