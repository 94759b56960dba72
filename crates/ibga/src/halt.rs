//! The halt files on disk: whoever finds one there is halted, so that the gate needs no server to know. One file halts the agents of
//! all gateways, one beside it those of a single gateway.
//!
//! Only a name that is not there means that nobody has halted: whatever else is found, or keeps this process from looking, is a halt.
//! A file appears in one step with all that belongs to it, and is never replaced, so that the first halt is the one that is kept.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ibga_core::clock;
use ibga_core::halt::{Halt, HaltSeen, Reason};
use ibga_core::secure_file::{self, ReadError, Trust};
use jiff::{SignedDuration, Timestamp};
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, Timespec, Timestamps};
use rustix::io::Errno;

use crate::check;
use crate::settings::{GatewayName, Settings};
use crate::users::{self, USERS};

/// Every user's gate has to read it. By the sticky bit systemd-tmpfiles leaves a file alone however old it is.
const MODE: Mode = Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP).union(Mode::ROTH).union(Mode::SVTX);

/// How far ahead the file's times lie, so that no cleaner of old files finds it old either.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);

/// Which agents a halt concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach<'a> {
    /// Those of all gateways.
    All,
    /// Those of one.
    One(&'a GatewayName),
}

impl Reach<'_> {
    /// Where its halt lies.
    pub(crate) fn path(self, settings: &Settings) -> PathBuf {
        match self {
            Self::All => settings.halt_file.clone(),
            Self::One(gateway) => settings.halt_file_of(gateway),
        }
    }
}

/// Where the halts lie that concern the gateway of these settings.
pub(crate) fn paths(settings: &Settings) -> [PathBuf; 2] {
    [Reach::All.path(settings), Reach::One(&settings.gateway).path(settings)]
}

/// The halts that concern the gateway of these settings.
pub(crate) fn seen(settings: &Settings) -> Vec<HaltSeen> {
    paths(settings).iter().filter_map(|path| look(path)).collect()
}

/// What lies there; none if nothing does.
pub(crate) fn look(path: &Path) -> Option<HaltSeen> {
    let unclear = |fault: String| HaltSeen::Unclear { path: path.to_owned(), fault };
    Some(match secure_file::read_of_anybody(path) {
        Err(ReadError::NotFound) => return None,
        Err(ReadError::PermissionDenied) => unclear("this user may not look there".into()),
        Err(fault) => unclear(fault.to_string()),
        Ok((text, owner)) => match Halt::from_json(&text, owner) {
            Ok(halt) => HaltSeen::Told(halt),
            Err(fault) => unclear(fault.to_string()),
        },
    })
}

/// A halt by the user of this process, now.
pub(crate) fn halt(reach: Reach<'_>, reason: Reason) -> Halt {
    let gateway = match reach {
        Reach::All => None,
        Reach::One(gateway) => Some(gateway.to_string()),
    };
    let uid = rustix::process::geteuid().as_raw();
    Halt { gateway, by: who(), uid, host: check::writer().host, at: clock::now(), reason }
}

/// The user of this process, and through whom a person became root.
pub(crate) fn who() -> String {
    let uid = rustix::process::geteuid().as_raw();
    let users = secure_file::read(Path::new(USERS), &Trust::default()).unwrap_or_default();
    let name = users::with_id(uid, &users).map_or_else(|| format!("uid {uid}"), |user| user.name);
    match std::env::var("SUDO_USER") {
        Ok(person) if uid == 0 && users::named(&person, &users).is_some() && person != name => {
            format!("{name} (sudo by {person})")
        }
        _ => name,
    }
}

/// What came of halting.
#[derive(Debug)]
pub(crate) enum Halted {
    /// The file is there, with all that belongs to it.
    Now,
    /// It is there, but not with all that belongs to it.
    InPart(io::Error),
    /// Something was there already, and was left as it is.
    Already,
}

/// Puts the halt there, unless there is one.
pub(crate) fn place(path: &Path, halt: &Halt) -> io::Result<Halted> {
    let hidden = hidden(path)?;
    let mut file = create(&hidden)?;
    let filled = fill(&mut file, halt);
    let moved = rustix::fs::renameat_with(CWD, &hidden, CWD, path, RenameFlags::NOREPLACE);
    if moved.is_err() {
        let _ = fs::remove_file(&hidden);
    }
    let filled = match moved {
        Ok(()) => filled,
        Err(Errno::EXIST) => return Ok(Halted::Already),
        // Some file systems can only move over what is there, as NFS. What is made in place is a halt from its first moment on.
        Err(Errno::INVAL | Errno::NOSYS) => match create(path) {
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => return Ok(Halted::Already),
            created => {
                file = created?;
                fill(&mut file, halt)
            }
        },
        Err(fault) => return Err(fault.into()),
    };
    // It holds already, and shall still do after a power cut.
    let kept = filled.and_then(|()| file.sync_all()).and_then(|()| File::open(folder(path))?.sync_all());
    Ok(kept.map_or_else(Halted::InPart, |()| Halted::Now))
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// A name beside it that nobody knows.
fn hidden(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_string_lossy();
    Ok(path.with_file_name(format!(".{name}.{:016x}", RandomState::new().build_hasher().finish())))
}

fn create(path: &Path) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, MODE)?;
    // The umask shuts nobody out.
    rustix::fs::fchmod(&file, MODE)?;
    Ok(file.into())
}

fn fill(file: &mut File, halt: &Halt) -> io::Result<()> {
    file.write_all(halt.to_json().as_bytes())?;
    // Only to outlast cleaners; a file system that keeps no such times has its halt all the same.
    let _ = rustix::fs::futimens(&*file, &times(halt.at));
    Ok(())
}

/// Reading would set the time of the last use to now unless that lies behind the time of the last change.
fn times(at: Timestamp) -> Timestamps {
    let seconds = at.checked_add(KEPT_FOR).unwrap_or(at).as_second();
    let spec = |tv_sec| Timespec { tv_sec, tv_nsec: 0 };
    Timestamps { last_access: spec(seconds.saturating_add(1)), last_modification: spec(seconds) }
}

/// Removes what lies there. Whether anything did.
pub(crate) fn lift(path: &Path) -> Result<bool, String> {
    let metadata = match fs::symlink_metadata(path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other,
    };
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(fault) => Err(stays(path, &fault, metadata.ok().as_ref())),
    }
}

/// Why it could not be removed, and who has to.
fn stays(path: &Path, fault: &io::Error, metadata: Option<&fs::Metadata>) -> String {
    let shown = path.display();
    match metadata {
        Some(metadata) if metadata.is_dir() => {
            format!("{shown} is a directory, which is never removed here; `rm -r {shown}` ends the halt")
        }
        Some(metadata) if fault.kind() == io::ErrorKind::PermissionDenied => {
            let uid = metadata.uid();
            let users = secure_file::read(Path::new(USERS), &Trust::default()).unwrap_or_default();
            let owner = users::with_id(uid, &users).map_or_else(|| format!("user id {uid}"), |user| user.name);
            format!(
                "{shown} belongs to {owner}, and this user may not remove it; {owner} or root has to run `ibga resume`"
            )
        }
        _ => format!("{shown} cannot be removed: {fault}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("ibga-halt-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    fn new(reason: &str) -> Halt {
        halt(Reach::All, Reason::new(reason).expect("a reason"))
    }

    #[test]
    fn the_first_halt_is_kept_until_it_is_lifted() {
        let folder = folder("first");
        let path = folder.join("halt.json");
        assert_eq!(look(&path), None);
        let first = new("first");
        assert!(matches!(place(&path, &first), Ok(Halted::Now)));
        assert!(matches!(place(&path, &new("second")), Ok(Halted::Already)));
        assert_eq!(look(&path), Some(HaltSeen::Told(first)));
        let metadata = fs::metadata(&path).expect("there");
        assert_eq!(metadata.mode() & 0o7777, 0o1644);
        let in_nine_years = clock::now() + SignedDuration::from_hours(9 * 365 * 24);
        assert!(metadata.mtime() > in_nine_years.as_second() && metadata.atime() > metadata.mtime());
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 1, "nothing is left beside it");
        assert_eq!((lift(&path), lift(&path), look(&path)), (Ok(true), Ok(false), None));
        fs::remove_dir_all(folder).expect("removed");
    }

    /// Puts something at the first path, with the help of the second.
    type Plant = fn(&Path, &Path) -> io::Result<()>;

    #[test]
    fn whatever_is_there_is_a_halt() {
        let folder = folder("odd");
        let path = folder.join("halt.json");
        let elsewhere = folder.join("elsewhere");
        let plants: [(Plant, &str); 6] = [
            (|path, _| fs::write(path, ""), "the file is empty"),
            (|path, _| fs::write(path, "stop"), "the file does not say who halted it, when and why"),
            (|path, _| fs::write(path, [0xff]), "it is not UTF-8 text"),
            (
                |path, elsewhere| std::os::unix::fs::symlink(elsewhere, path),
                "it is a symbolic link; name the file itself",
            ),
            (|path, _| fs::create_dir(path), "it is not a regular file"),
            (|path, _| Ok(rustix::fs::mkfifoat(CWD, path, Mode::RUSR)?), "it is not a regular file"),
        ];
        for (plant, fault) in plants {
            plant(&path, &elsewhere).expect("planted");
            let seen = HaltSeen::Unclear { path: path.clone(), fault: fault.into() };
            assert_eq!(look(&path), Some(seen));
            assert!(matches!(place(&path, &new("news")), Ok(Halted::Already)), "{fault}");
            let is_folder = path.is_dir();
            assert_eq!(lift(&path).is_ok(), !is_folder, "{fault}");
            let _ = fs::remove_dir(&path);
        }
        // The way there is blocked: nobody can say that it is not there.
        fs::write(&elsewhere, "").expect("a file");
        assert!(matches!(look(&elsewhere.join("halt.json")), Some(HaltSeen::Unclear { .. })));
        assert_eq!(look(&folder.join("absent/halt.json")), None);
        assert!(place(&folder.join("absent/halt.json"), &new("news")).is_err());
        fs::remove_dir_all(folder).expect("removed");
    }

    /// Only root can give a file away.
    #[test]
    fn as_root_a_file_that_names_another_than_its_owner_is_unclear() {
        let folder = folder("owner");
        let path = folder.join("halt.json");
        place(&path, &new("news")).expect("placed");
        std::os::unix::fs::chown(&path, Some(4_242), None).expect("given away");
        let Some(HaltSeen::Unclear { fault, .. }) = look(&path) else { panic!("it is told") };
        assert!(fault.starts_with("the file belongs to user id 4242, but names "), "{fault}");
        fs::remove_dir_all(folder).expect("removed");
    }
}
