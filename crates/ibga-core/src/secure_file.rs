//! Reading a small file that decides about money: bounded, without following a link, and only if nobody but this user, root or a
//! named owner could have written it. Used for the status file, `.env` and the configuration.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::geteuid;

/// The most bytes that such a file may have.
pub const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Whose files are believed.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// User ids beyond this user and root.
    pub owners: Vec<u32>,
}

/// Why a file is not read, or not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is not there.
    #[error("not found")]
    NotFound,
    /// It is a symbolic link.
    #[error("it is a symbolic link; name the file itself")]
    SymbolicLink,
    /// It is a directory, a pipe, a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// Somebody else's.
    #[error("it belongs to user id {0}; only this user, root and trusted_owners are believed")]
    ForeignOwner(u32),
    /// Others may write it.
    #[error("its mode {0:04o} lets others write it; `chmod go-w` it")]
    WritableByOthers(u32),
    /// Too long.
    #[error("it is longer than {} KiB", .0 / 1024)]
    TooLong(u64),
    /// Not text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// This user may not read it.
    #[error("this user may not read it")]
    PermissionDenied,
    /// Something else.
    #[error("{0}")]
    Io(String),
}

impl From<io::Error> for ReadError {
    fn from(fault: io::Error) -> Self {
        match fault.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::PermissionDenied,
            _ => Self::Io(fault.to_string()),
        }
    }
}

/// Reads the whole file, if it may be believed.
pub fn read(path: &Path, trust: &Trust) -> Result<String, ReadError> {
    read_at_most(path, trust, FILE_BYTES_MAX)
}

/// The same for a file that may have more bytes, or fewer.
pub fn read_at_most(path: &Path, trust: &Trust, bytes_max: u64) -> Result<String, ReadError> {
    let (file, metadata) = open(path)?;
    let owner = metadata.uid();
    if owner != 0 && owner != geteuid().as_raw() && !trust.owners.contains(&owner) {
        return Err(ReadError::ForeignOwner(owner));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(ReadError::WritableByOthers(metadata.mode() & 0o7777));
    }
    text_of(file, bytes_max)
}

/// Reads the whole file whoever wrote it, with the user id of its owner: for what everybody may say, and what cannot do harm.
pub fn read_of_anybody(path: &Path) -> Result<(String, u32), ReadError> {
    let (file, metadata) = open(path)?;
    Ok((text_of(file, FILE_BYTES_MAX)?, metadata.uid()))
}

fn open(path: &Path) -> Result<(File, Metadata), ReadError> {
    // Not blocking, or a pipe planted in its place would hold the reader up for ever.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let descriptor = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(Errno::LOOP) => return Err(ReadError::SymbolicLink),
        other => other.map_err(io::Error::from)?,
    };
    let file = File::from(descriptor);
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(ReadError::NotAFile) }
}

fn text_of(file: File, bytes_max: u64) -> Result<String, ReadError> {
    let mut bytes = Vec::with_capacity(4096);
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(ReadError::TooLong(bytes_max));
    }
    String::from_utf8(bytes).map_err(|_| ReadError::NotText)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("ibga-secure-file-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    fn file(folder: &Path, mode: u32, text: &[u8]) -> PathBuf {
        let path = folder.join("file");
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
        path
    }

    #[test]
    fn what_is_believed() {
        let folder = folder("modes");
        for (mode, text, result) in [
            (0o600, &b"text"[..], Ok("text".to_owned())),
            (0o644, b"", Ok(String::new())),
            (0o620, b"x", Err(ReadError::WritableByOthers(0o620))),
            (0o602, b"x", Err(ReadError::WritableByOthers(0o602))),
            (0o600, b"\xff\xfe", Err(ReadError::NotText)),
            (0o600, &vec![b'x'; 64 * 1024 + 1], Err(ReadError::TooLong(FILE_BYTES_MAX))),
            (0o600, &vec![b'x'; 64 * 1024], Ok("x".repeat(64 * 1024))),
        ] {
            assert_eq!(read(&file(&folder, mode, text), &Trust::default()), result, "{mode:o}");
        }
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn what_is_no_plain_file() {
        let folder = folder("kinds");
        let path = file(&folder, 0o600, b"text");
        symlink(&path, folder.join("link")).expect("a link");
        rustix::fs::mkfifoat(rustix::fs::CWD, folder.join("pipe"), Mode::RUSR).expect("a pipe");
        for (name, fault) in [
            ("link", ReadError::SymbolicLink),
            ("pipe", ReadError::NotAFile),
            (".", ReadError::NotAFile),
            ("absent", ReadError::NotFound),
        ] {
            assert_eq!(read(&folder.join(name), &Trust::default()), Err(fault), "{name}");
        }
        fs::remove_dir_all(folder).expect("removed");
    }

    /// Only root can give a file away.
    #[test]
    fn as_root_a_foreign_owner_has_to_be_named() {
        let folder = folder("owner");
        let path = file(&folder, 0o600, b"text");
        std::os::unix::fs::chown(&path, Some(4242), None).expect("given away");
        assert_eq!(read(&path, &Trust::default()), Err(ReadError::ForeignOwner(4242)));
        assert_eq!(read(&path, &Trust { owners: vec![4242] }), Ok("text".into()));
        assert_eq!(read_of_anybody(&path), Ok(("text".into(), 4242)));
        fs::remove_dir_all(folder).expect("removed");
    }
}
