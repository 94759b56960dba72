//! The status file on disk: written whole or not at all, read only where it can be believed. What it means is [`crate::report`]'s
//! and [`crate::gate`]'s. No fsync: a report is worthless after minutes, and whatever a power cut leaves behind is refused.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use crate::report::{Report, ReportError};
use crate::secure_file::{self, ReadError, Trust};

/// The most leftovers of killed writers that one write looks at.
const DIRECTORY_ENTRIES_MAX: usize = 10_000;

/// Why there is no report to judge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatusFileError {
    /// The file cannot be read, or not be believed.
    #[error("{0}")]
    File(#[from] ReadError),
    /// It can, but holds no report.
    #[error("{0}")]
    Report(#[from] ReportError),
}

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
        io::ErrorKind::NotFound => format!("; create its folder: mkdir -p {folder}"),
        io::ErrorKind::StorageFull => "; free some space there".into(),
        io::ErrorKind::PermissionDenied => match fs::symlink_metadata(path) {
            Ok(there) => format!(
                "; the file there belongs to user id {}: remove it, or choose another --status-file",
                there.uid()
            ),
            Err(_) => format!("; this user may not write to {folder}"),
        },
        _ => String::new(),
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
    remove_leftovers(folder, name);
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

/// A new file beside the target. The name carries the process, and a number in case two containers share the folder.
fn create_temporary(folder: &Path, name: &str) -> io::Result<(PathBuf, File)> {
    let pid = std::process::id();
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for number in 0..16 {
        let path = folder.join(format!(".{name}.{pid}-{number}.tmp"));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => last = fault,
            Err(fault) => return Err(fault),
        }
    }
    Err(last)
}

/// Removes what writers left behind that were killed halfway: files of this naming, of this user, whose process is gone.
fn remove_leftovers(folder: &Path, name: &str) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let prefix = format!(".{name}.");
    for entry in entries.flatten().take(DIRECTORY_ENTRIES_MAX) {
        let file_name = entry.file_name();
        let writer = file_name
            .to_str()
            .and_then(|text| text.strip_prefix(&prefix)?.strip_suffix(".tmp")?.split('-').next()?.parse().ok());
        let Some(pid) = writer.and_then(rustix::process::Pid::from_raw) else { continue };
        let gone = rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH);
        if gone && entry.metadata().is_ok_and(|there| there.uid() == rustix::process::geteuid().as_raw()) {
            let _ = fs::remove_file(entry.path());
        }
    }
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
    fn leftovers_of_dead_writers_go_and_others_stay() {
        let folder = folder("leftovers");
        // The largest process id of a 64-bit Linux is 2^22, so that nobody has this one.
        let alive = std::process::id();
        let others =
            [format!(".status.json.{alive}-0.tmp"), ".other.json.4999999-0.tmp".into(), ".status.json.x.tmp".into()];
        for name in
            others.iter().map(String::as_str).chain([".status.json.4999999-0.tmp", ".status.json.4999999-3.tmp"])
        {
            fs::write(folder.join(name), "half").expect("a file");
        }
        write(&folder.join("status.json"), "report", 0o600).expect("written");
        let mut expected: Vec<String> = others.into_iter().chain(["status.json".into()]).collect();
        expected.sort();
        assert_eq!(names(&folder), expected);
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
