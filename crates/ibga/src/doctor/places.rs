//! The two places that are written: the status file's and the state directory. Whether one can write is found out by writing.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ibga_core::secure_file::{self, ReadError};
use ibga_core::status_file;
use jiff::Timestamp;
use rustix::fs::Access;
use rustix::process::geteuid;

use super::{Finding, Outcome, Subject};
use crate::check::trust;
use crate::settings::Settings;
use crate::shell;
use crate::store::{Store, StoreError};

/// As long as the longest status file, so that a disk that is almost full shows.
const TRIAL_BYTES: usize = 64 * 1024;

/// The mode bit of a folder in which only a file's owner may replace it.
const STICKY: u32 = 0o1000;

// --- The status file --------------------------------------------------------------------------------------------------

/// What was seen of the status file's place.
struct StatusPlace {
    /// Reading what is there as the gate does.
    read: Result<(), ReadError>,
    /// Whose file is there, if this user may not replace it.
    held_by: Option<u32>,
    /// Writing another file beside it.
    written: Result<Metadata, String>,
    /// Whether the folder belongs to this service alone, as systemd's `PrivateTmp` has it.
    is_private: bool,
}

pub(super) fn status_file(settings: &Settings) -> Finding {
    let path = &settings.status_file;
    let seen = StatusPlace {
        read: secure_file::read(path, &trust(settings)).map(drop),
        held_by: holder(path),
        written: write_beside(path, settings.status_file_mode),
        is_private: is_private_tmp(path, &fs::File::open("/proc/self/mountinfo").and_then(io::read_to_string)),
    };
    judge_status_place(path, &seen)
}

fn judge_status_place(path: &Path, seen: &StatusPlace) -> Finding {
    let (subject, shown) = (Subject::StatusFile, path.display());
    let typed = shell::word(&path.display().to_string());
    if let Err(fault) = &seen.written {
        return Finding::faulty(subject, fault.clone(), "let this user write there, or choose another --status-file");
    }
    if let Some(owner) = seen.held_by {
        let text = format!("{shown} belongs to user id {owner}, so this user cannot replace it");
        return Finding::faulty(
            subject,
            text,
            format!("remove it (`sudo rm {typed}`), or choose another --status-file"),
        );
    }
    match &seen.read {
        Ok(()) | Err(ReadError::NotFound) if seen.is_private => Finding::doubtful(
            subject,
            format!(
                "{shown} can be written, but its folder is private to this service: agents outside see another one"
            ),
            "PrivateTmp=no in the unit, or a status_file elsewhere, such as /run/ibga/status.json",
        ),
        Ok(()) => Finding::good(subject, format!("{shown} can be replaced")),
        Err(ReadError::NotFound) => Finding::good(subject, format!("{shown} can be written; there is none yet")),
        Err(ReadError::NotAFile) => {
            let text = format!("{shown} is no file that could be replaced");
            Finding::faulty(subject, text, "name a file of its own after --status-file, inside a folder")
        }
        Err(fault) => Finding::faulty(
            subject,
            format!("{shown} would not be believed: {fault}"),
            format!("remove it (`rm {typed}`); the next `ibga check` writes it anew"),
        ),
    }
}

/// The owner of the file at `path`, if that keeps this user from replacing it.
fn holder(path: &Path) -> Option<u32> {
    let user = geteuid().as_raw();
    let owner = fs::symlink_metadata(path).ok()?.uid();
    let folder = fs::metadata(folder_of(path)).ok()?;
    let is_kept = folder.mode() & STICKY != 0 && user != 0 && folder.uid() != user && owner != user;
    is_kept.then_some(owner)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes as the status file is written, under a name of its own, and removes it. What it was shows whose files get to be there.
pub(super) fn write_beside(path: &Path, mode: u32) -> Result<Metadata, String> {
    let trial = folder_of(path).join(format!(".ibga-doctor-{}", std::process::id()));
    let written = status_file::write(&trial, &" ".repeat(TRIAL_BYTES), mode).map_err(|fault| fault.to_string());
    let seen = written.and_then(|()| fs::symlink_metadata(&trial).map_err(|fault| fault.to_string()));
    let _ = fs::remove_file(&trial);
    seen
}

/// Whether `path` lies in a `/tmp` that systemd made for one service, going by the text of `/proc/self/mountinfo`.
fn is_private_tmp(path: &Path, mounts: &io::Result<String>) -> bool {
    let Ok(mounts) = mounts else { return false };
    mounts.lines().any(|line| {
        // Fields: id, parent, device, root, mount point, and more.
        let mut fields = line.split(' ').skip(3);
        let (Some(root), Some(point)) = (fields.next(), fields.next()) else { return false };
        root.contains("/systemd-private-") && path.starts_with(point)
    })
}

// --- The state directory ----------------------------------------------------------------------------------------------

/// Whatever is wrong here, a check does its work and people are told, so nothing is a fault.
pub(super) fn state_directory(settings: &Settings) -> Finding {
    let subject = Subject::StateDirectory;
    let Some(path) = &settings.state_dir else {
        let text = "there is none, since this user has no home, so that nothing that could not be told is kept";
        return Finding::doubtful(subject, text, "set state_dir to a folder of this user's");
    };
    match fs::metadata(path) {
        Ok(metadata) => {
            let written = write_beside(&path.join("trial"), 0o600);
            let found = judge_directory(path, &metadata, geteuid().as_raw(), written);
            if found.outcome == Outcome::Good { judge_store(path, look_into_store(settings)) } else { found }
        }
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => judge_absent(path, nearest_folder(path)),
        Err(fault) => Finding::doubtful(subject, format!("{}: {fault}", path.display()), own_directory(path)),
    }
}

fn judge_directory(path: &Path, metadata: &Metadata, user: u32, written: Result<Metadata, String>) -> Finding {
    let (subject, shown) = (Subject::StateDirectory, path.display());
    if !metadata.is_dir() {
        return Finding::doubtful(
            subject,
            format!("{shown} is no folder"),
            "move it away, or set state_dir to a folder",
        );
    }
    if metadata.mode() & 0o022 != 0 {
        let text = format!("{shown} has mode {:04o}, which lets others write there", metadata.mode() & 0o7777);
        let typed = shell::word(&path.display().to_string());
        return Finding::doubtful(subject, text, format!("`chmod go-w {typed}`"));
    }
    if ![0, user].contains(&metadata.uid()) {
        let text = format!("{shown} belongs to user id {}, who can change what is kept there", metadata.uid());
        return Finding::doubtful(subject, text, own_directory(path));
    }
    match written {
        Ok(_) => Finding::good(subject, format!("{shown} can be written")),
        Err(fault) => Finding::doubtful(subject, fault, own_directory(path)),
    }
}

/// How many messages wait in the store, and since when; none if there is no store.
type InStore = Result<Option<(usize, Option<Timestamp>)>, StoreError>;

fn look_into_store(settings: &Settings) -> InStore {
    let store = Store::open_existing(settings.state_dir.as_deref())?;
    store.map(|store| store.waiting(settings.gateway.as_str())).transpose()
}

fn judge_store(path: &Path, seen: InStore) -> Finding {
    let (subject, shown) = (Subject::StateDirectory, path.display());
    match seen {
        Ok(None) => Finding::good(subject, format!("{shown} can be written")),
        Ok(Some((0, _))) => Finding::good(subject, format!("{shown} can be written; no alert waits in the store")),
        Ok(Some((count, since))) => Finding::doubtful(
            subject,
            format!("{count} alerts wait in the store, since {}", since.unwrap_or_default()),
            "`ibga alert list` says why; `ibga alert flush` tries again",
        ),
        Err(fault) => Finding::doubtful(
            subject,
            format!("the store cannot be used, so alerts go out directly: {fault}"),
            "repair what is named there; people are told meanwhile",
        ),
    }
}

/// The folder that the first missing one would be made in, and whether this user may.
fn nearest_folder(path: &Path) -> Option<(PathBuf, bool)> {
    let folder = path.ancestors().skip(1).find(|folder| folder.exists())?;
    let access = Access::WRITE_OK | Access::EXEC_OK;
    let may_write = rustix::fs::accessat(rustix::fs::CWD, folder, access, rustix::fs::AtFlags::EACCESS);
    Some((folder.to_owned(), folder.is_dir() && may_write.is_ok()))
}

fn judge_absent(path: &Path, nearest: Option<(PathBuf, bool)>) -> Finding {
    let (subject, shown) = (Subject::StateDirectory, path.display());
    match nearest {
        Some((_, true)) => Finding::good(subject, format!("{shown} can be made when it is needed")),
        Some((folder, false)) => Finding::doubtful(
            subject,
            format!("{shown} is not there, and this user cannot make it in {}", folder.display()),
            own_directory(path),
        ),
        None => Finding::doubtful(subject, format!("{shown} is not there"), own_directory(path)),
    }
}

fn own_directory(path: &Path) -> String {
    let typed = shell::word(&path.display().to_string());
    format!("`sudo install -d -m 700 -o \"$(id -un)\" {typed}`, or set state_dir to another folder")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_is_said_to_be() {
        let path = Path::new("/var/lib/ibga");
        let since = "2026-11-25T00:48:00Z".parse().ok();
        for (seen, expected) in [
            (Ok(None), "/var/lib/ibga can be written"),
            (Ok(Some((0, None))), "/var/lib/ibga can be written; no alert waits in the store"),
            (Ok(Some((3, since))), "3 alerts wait in the store, since 2026-11-25T00:48:00Z"),
            (
                Err(StoreError::NoDirectory),
                "the store cannot be used, so alerts go out directly: there is no state directory; set state_dir",
            ),
        ] {
            assert_eq!(judge_store(path, seen).text, expected);
        }
    }

    #[test]
    fn what_a_place_is_found_to_be() {
        let path = Path::new("/tmp/ibga-status.json");
        let here = || fs::metadata(".").map_err(|fault| fault.to_string());
        let good = || StatusPlace { read: Ok(()), held_by: None, written: here(), is_private: false };
        for (seen, outcome, word) in [
            (good(), "ok", "can be replaced"),
            (StatusPlace { read: Err(ReadError::NotFound), ..good() }, "ok", "there is none yet"),
            (StatusPlace { is_private: true, ..good() }, "doubtful", "PrivateTmp=no"),
            (StatusPlace { read: Err(ReadError::SymbolicLink), ..good() }, "faulty", "is a symbolic link"),
            (StatusPlace { read: Err(ReadError::WritableByOthers(0o666)), ..good() }, "faulty", "0666"),
            (StatusPlace { read: Err(ReadError::NotAFile), ..good() }, "faulty", "name a file of its own"),
            (StatusPlace { held_by: Some(7), ..good() }, "faulty", "belongs to user id 7"),
            (StatusPlace { written: Err("no space".into()), ..good() }, "faulty", "no space"),
        ] {
            let finding = judge_status_place(path, &seen);
            let told = format!("{} {}", finding.text, finding.outcome.repair().unwrap_or_default());
            assert_eq!(finding.outcome.code(), outcome, "{told}");
            assert!(told.contains(word), "{told}");
        }
    }

    #[test]
    fn a_private_tmp_shows_in_the_mounts() {
        let mounts = "23 28 0:21 / /proc rw - proc proc rw\n\
                      61 28 254:1 /tmp/systemd-private-0f-ibga.service-x/tmp /tmp rw,relatime - ext4 /dev/vda1 rw\n";
        for (path, text, is_private) in [
            ("/tmp/ibga-status.json", mounts, true),
            ("/run/ibga/status.json", mounts, false),
            ("/tmp/ibga-status.json", "23 28 0:21 / /tmp rw - tmpfs tmpfs rw\n", false),
            ("/tmp/ibga-status.json", "short\n", false),
        ] {
            assert_eq!(is_private_tmp(Path::new(path), &Ok(text.to_owned())), is_private, "{path}");
        }
        assert!(!is_private_tmp(Path::new("/tmp/x"), &Err(io::ErrorKind::NotFound.into())));
    }

    #[test]
    fn a_directory_that_is_not_there_yet() {
        let path = Path::new("/srv/ibga/state");
        for (nearest, outcome) in
            [(Some(("/srv".into(), true)), "ok"), (Some(("/srv".into(), false)), "doubtful"), (None, "doubtful")]
        {
            assert_eq!(judge_absent(path, nearest).outcome.code(), outcome);
        }
    }
}
