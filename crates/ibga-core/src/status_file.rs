//! The status file on disk: written whole or not at all, read only where it can be believed. What it means is [`crate::report`]'s
//! and [`crate::gate`]'s. No fsync: a report is worthless after minutes, and whatever a power cut leaves behind is refused.

use std::fs::{self, File, Permissions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use rustix::fs::{Mode, OFlags};
use rustix::process::geteuid;

use crate::report::{Report, ReportError};
use crate::secure_file::{self, ReadError, Trust};

/// Why there is no report to judge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatusFileError {
    /// The file cannot be read, or not be believed.
    #[error("{0}")]
    File(#[from] ReadError),
    /// It can, but holds no report.
    #[error("{0}")]
    Report(#[from] ReportError),
    /// It could not be brought up to date as was asked, so that what it holds does not count.
    #[error("{0}")]
    NotRefreshed(String),
}

/// The most names that are tried for the file being written.
const NAMES_MAX: usize = 8;

/// Reads the report.
pub fn read(path: &Path, trust: &Trust, zone: &TimeZone) -> Result<Report, StatusFileError> {
    Ok(Report::from_json(&secure_file::read(path, trust)?, zone)?)
}

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {fault}{}", path.display(), hint(path, fault))]
pub struct WriteError {
    path: PathBuf,
    fault: io::Error,
}

fn hint(path: &Path, fault: &io::Error) -> String {
    let folder = path.parent().unwrap_or(path).display();
    match fault.kind() {
        io::ErrorKind::NotFound if path.parent().is_some_and(|folder| !folder.exists()) => {
            format!("; create its folder: mkdir -p {folder}")
        }
        io::ErrorKind::StorageFull => "; free some space there".into(),
        io::ErrorKind::PermissionDenied => match fs::symlink_metadata(path) {
            Ok(there) => format!(
                "; the file there belongs to user id {}: remove it, or choose another --status-file",
                there.uid()
            ),
            Err(_) => format!("; this user may not write to {folder}"),
        },
        _ => "; choose another --status-file".into(),
    }
}

/// Puts `text` in the place of what is at `path`, in one step. A reader sees the old file or the new one.
pub fn write(path: &Path, text: &str, mode: u32) -> Result<(), WriteError> {
    replace(path, text, mode).map_err(|fault| WriteError { path: path.to_owned(), fault })
}

fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidFilename)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let (temporary, mut file) = create_temporary(folder, name)?;
    let written = fill(&mut file, text, mode).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn fill(file: &mut File, text: &str, mode: u32) -> io::Result<()> {
    // On the descriptor, so that neither the umask nor another file of that name has a say.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())
}

/// A file beside the target, locked and empty. Its first name is always the same, so that what a killed writer left behind is
/// used up by the next one, without searching the folder. Where that name is taken, by another writer at this moment or by
/// somebody who means harm, one that nobody can foresee does as well.
fn create_temporary(folder: &Path, name: &str) -> io::Result<(PathBuf, File)> {
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for attempt in 0..NAMES_MAX {
        let random = RandomState::new().build_hasher().finish();
        let path =
            folder.join(if attempt == 0 { format!(".{name}.tmp") } else { format!(".{name}.{random:016x}.tmp") });
        match open_own(&path) {
            Ok(Some(file)) => return Ok((path, file)),
            Ok(None) => {}
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Err(fault),
            Err(fault) => last = fault,
        }
    }
    Err(last)
}

/// Opens and locks a file of our own; `None` if something else is there, or another writer has it.
fn open_own(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
    let here = file.metadata()?;
    if !here.is_file() || here.uid() != geteuid().as_raw() || here.nlink() != 1 || file.try_lock().is_err() {
        return Ok(None);
    }
    // Between opening and locking another writer may have made it his target.
    let there = fs::symlink_metadata(path)?;
    if (here.dev(), here.ino()) != (there.dev(), there.ino()) {
        return Ok(None);
    }
    file.set_len(0)?;
    Ok(Some(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("ibga-status-file-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("a folder")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_with_the_mode_asked_for_and_leaves_nothing_beside() {
        let folder = folder("replace");
        let path = folder.join("status.json");
        for (text, mode) in [("one", 0o600), ("two", 0o644), ("", 0o640)] {
            write(&path, text, mode).expect("written");
            let metadata = fs::metadata(&path).expect("there");
            assert_eq!(metadata.mode() & 0o7777, mode);
            assert_eq!(secure_file::read(&path, &Trust::default()), Ok(text.into()));
            assert_eq!(names(&folder), ["status.json"]);
        }
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let folder = folder("link");
        let target = folder.join("target");
        fs::write(&target, "untouched").expect("a file");
        let path = folder.join("status.json");
        std::os::unix::fs::symlink(&target, &path).expect("a link");
        write(&path, "report", 0o600).expect("written");
        assert!(fs::symlink_metadata(&path).expect("there").is_file());
        assert_eq!(secure_file::read(&target, &Trust::default()), Ok("untouched".into()));
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn what_a_killed_writer_left_is_used_up_by_the_next() {
        let folder = folder("leftovers");
        fs::write(folder.join(".status.json.tmp"), "half of a longer report").expect("a file");
        write(&folder.join("status.json"), "report", 0o600).expect("written");
        assert_eq!(secure_file::read(&folder.join("status.json"), &Trust::default()), Ok("report".into()));
        assert_eq!(names(&folder), ["status.json"]);
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_writer_at_work_is_not_disturbed() {
        let folder = folder("at-work");
        let path = folder.join("status.json");
        let (_, other) = create_temporary(&folder, "status.json").expect("a file");
        write(&path, "mine", 0o600).expect("written");
        assert_eq!(secure_file::read(&path, &Trust::default()), Ok("mine".into()));
        drop(other);
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn what_lies_in_the_way_is_neither_followed_nor_an_obstacle() {
        let folder = folder("in-the-way");
        let (path, planted) = (folder.join("status.json"), folder.join(".status.json.tmp"));
        let victim = folder.join("victim");
        fs::write(&victim, "untouched").expect("a file");
        let plants: [fn(&Path, &Path) -> io::Result<()>; 3] = [
            |victim, planted| std::os::unix::fs::symlink(victim, planted),
            |victim, planted| fs::hard_link(victim, planted),
            |_, planted| fs::create_dir(planted),
        ];
        for plant in plants {
            plant(&victim, &planted).expect("planted");
            write(&path, "report", 0o600).expect("written all the same");
            assert_eq!(secure_file::read(&path, &Trust::default()), Ok("report".into()));
            assert_eq!(secure_file::read(&victim, &Trust::default()), Ok("untouched".into()));
            let _ = fs::remove_file(&planted).or_else(|_| fs::remove_dir(&planted));
        }
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn faults_say_what_to_do() {
        let fault = write(Path::new("/nonexistent-folder/status.json"), "x", 0o600).expect_err("no folder");
        assert!(fault.to_string().ends_with("create its folder: mkdir -p /nonexistent-folder"), "{fault}");
        let folder = folder("directory");
        fs::create_dir_all(folder.join("status.json/full")).expect("a folder");
        assert!(write(&folder.join("status.json"), "x", 0o600).is_err());
        assert_eq!(names(&folder), ["status.json"]);
        fs::remove_dir_all(folder).expect("removed");
    }
}
