//! Waking up when files change: the kernel's notes on the folders in which they lie. A note is only a reason to look at once; whoever
//! waits looks from time to time all the same, since where another host writes, or where the kernel gives no notes, none comes.

use std::ffi::OsString;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ibga_core::clock::Stopwatch;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use tokio::io::unix::AsyncFd;

/// Whatever makes a name mean something else than before.
const CHANGES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::ATTRIB);

/// Room for some notes; more come with the next reading.
const BUFFER_BYTES: usize = 4096;

/// Most readings at once, so that a folder in which much happens holds nobody up.
const READINGS_MAX: usize = 64;

/// The notes on some files.
pub(crate) struct FileWatch {
    notes: OwnedFd,
    names: Vec<OsString>,
}

impl FileWatch {
    /// Asks for notes on these files, there or not; none if the kernel gives none.
    pub(crate) fn on(paths: &[PathBuf]) -> Option<Self> {
        let notes = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
        for path in paths {
            // A folder that is not there has nothing to note.
            let _ = inotify::add_watch(&notes, folder(path), CHANGES);
        }
        let names = paths.iter().filter_map(|path| path.file_name()).map(ToOwned::to_owned).collect();
        Some(Self { notes, names })
    }

    /// Takes the notes inside the runtime that runs now.
    #[expect(
        deprecated,
        reason = "what takes its place is unsafe; this descriptor stays the same as long as it is registered"
    )]
    pub(crate) fn in_runtime(self) -> Option<AsyncFd<Self>> {
        AsyncFd::new(self).ok()
    }

    /// Takes all notes that are there. Whether one is about these files.
    fn take(&self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut reader = Reader::new(&self.notes, &mut buffer);
        let mut concerns = false;
        // An event takes at least its head of sixteen bytes.
        for _ in 0..READINGS_MAX * (BUFFER_BYTES / 16) {
            let Ok(event) = reader.next() else { return concerns };
            // A note without a name is about the folder, or about notes that were lost.
            concerns |=
                event.file_name().is_none_or(|name| self.names.iter().any(|one| one.as_bytes() == name.to_bytes()));
        }
        true
    }
}

impl AsRawFd for FileWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.notes.as_raw_fd()
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Waits in this thread until one of the files changes, for at most this long.
pub(crate) fn wait(watch: Option<&FileWatch>, limit: Duration) {
    let since = Stopwatch::start();
    loop {
        let left = limit.saturating_sub(since.elapsed());
        let timeout = Timespec::try_from(left).ok();
        let polled = watch.map(|watch| PollFd::from_borrowed_fd(watch.notes.as_fd(), PollFlags::IN));
        let came = poll(polled.into_iter().collect::<Vec<_>>().as_mut_slice(), timeout.as_ref());
        let concerns = came.is_ok_and(|count| count > 0) && watch.is_some_and(FileWatch::take);
        if concerns || left.is_zero() {
            return;
        }
    }
}

/// The same inside a runtime.
pub(crate) async fn wait_in_runtime(watch: Option<&AsyncFd<FileWatch>>, limit: Duration) {
    let noted = async {
        loop {
            let ready = match watch {
                Some(watch) => watch.readable().await.ok(),
                None => None,
            };
            let Some(mut ready) = ready else { return std::future::pending().await };
            let concerns = ready.get_inner().take();
            ready.clear_ready();
            if concerns {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(limit, noted).await;
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);
    const SHORT: Duration = Duration::from_millis(20);

    fn slept(watch: &FileWatch, limit: Duration) -> bool {
        let since = Stopwatch::start();
        wait(Some(watch), limit);
        since.elapsed() >= limit
    }

    #[test]
    fn what_wakes_and_what_does_not() {
        let folder = std::env::temp_dir().join(format!("ibga-file-watch-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let (path, other) = (folder.join("file"), folder.join("other"));
        let watch = FileWatch::on(&[path.clone(), folder.join("absent/file")]).expect("notes");
        assert!(slept(&watch, SHORT), "nothing happened");
        fs::write(&other, "").expect("written");
        assert!(slept(&watch, SHORT), "another file");
        fs::write(&path, "").expect("written");
        assert!(!slept(&watch, LONG), "it was written");
        assert!(slept(&watch, SHORT), "all notes were taken");
        fs::rename(&other, &path).expect("renamed");
        assert!(!slept(&watch, LONG), "another took its place");
        fs::remove_file(&path).expect("removed");
        assert!(!slept(&watch, LONG), "it is gone");
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn inside_a_runtime() {
        let folder = std::env::temp_dir().join(format!("ibga-file-watch-async-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("file");
        let woken = crate::check::block_on(async {
            let watch = FileWatch::on(std::slice::from_ref(&path)).and_then(FileWatch::in_runtime).expect("notes");
            wait_in_runtime(Some(&watch), SHORT).await;
            wait_in_runtime(None, SHORT).await;
            fs::write(&path, "").expect("written");
            let since = Stopwatch::start();
            wait_in_runtime(Some(&watch), LONG).await;
            since.elapsed()
        });
        assert!(woken.expect("a runtime") < LONG);
        fs::remove_dir_all(folder).expect("removed");
    }
}
