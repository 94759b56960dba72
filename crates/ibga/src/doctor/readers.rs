//! Whether an agent that runs as another user can read the status file, and will believe it. Goes by owners and modes as the kernel
//! does; access control lists, which can only be asked of the kernel as that user, are not looked at.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::places::write_beside;
use super::{Finding, Subject};
use crate::settings::Settings;
use crate::users::{self, GROUPS, USERS};

/// The most that is read of the lists of users and groups: a hundred thousand of them.
const USERS_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A file or folder, as far as access goes.
#[derive(Clone, Debug)]
struct Node {
    path: PathBuf,
    owner: u32,
    group: u32,
    mode: u32,
}

/// Somebody who wants to read.
#[derive(Clone, Debug)]
struct Reader {
    shown: String,
    id: u32,
    groups: BTreeSet<u32>,
}

/// What a reader needs of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// To pass through a folder.
    Pass = 0o1,
    /// To read a file.
    Read = 0o4,
}

pub(super) fn examine(settings: &Settings, readers: &[String]) -> Vec<Finding> {
    if readers.is_empty() {
        return vec![judge_mode(settings.status_file_mode)];
    }
    let way = match way_to_status_file(settings) {
        Ok(way) => way,
        Err(fault) => return vec![Finding::not_tested(Subject::Readers, fault)],
    };
    let (users, groups) = match text(USERS).and_then(|users| Ok((users, text(GROUPS)?))) {
        Ok(texts) => texts,
        Err(fault) => {
            return vec![Finding::not_tested(Subject::Readers, format!("who is who cannot be read: {fault}"))];
        }
    };
    readers
        .iter()
        .map(|name| match find(name, &users, &groups) {
            Some(reader) => judge(settings, &reader, &way),
            None => Finding::faulty(
                Subject::Readers,
                format!("there is no user {name} in {USERS}"),
                "correct the name after --reader, or write the user's id",
            ),
        })
        .collect()
}

fn text(path: &str) -> io::Result<String> {
    io::read_to_string(fs::File::open(path)?.take(USERS_BYTES_MAX))
}

/// With nobody named, the mode says who can read at all.
fn judge_mode(mode: u32) -> Finding {
    let who = if mode & 0o004 != 0 {
        "every user can read the status file"
    } else if mode & 0o040 != 0 {
        "this user, its group and root can read the status file"
    } else {
        "this user and root alone can read the status file"
    };
    Finding::good(Subject::Readers, format!("{who}; --reader USER tests it for an agent's user"))
}

fn find(name: &str, users: &str, groups: &str) -> Option<Reader> {
    let id: Option<u32> = name.parse().ok();
    match users::named(name, users).or_else(|| users::with_id(id?, users)) {
        Some(user) => Some(Reader { shown: user.name.clone(), id: user.id, groups: users::groups_of(&user, groups) }),
        // Somebody of a directory service, whose groups are not known here.
        None => id.map(|id| Reader { shown: format!("user id {id}"), id, groups: BTreeSet::new() }),
    }
}

/// The folders that lead to the status file, from the root on, and the file as the next check will write it: its group can be
/// the folder's, so that it is found out by writing.
fn way_to_status_file(settings: &Settings) -> Result<Vec<Node>, String> {
    let path = std::path::absolute(&settings.status_file).unwrap_or_else(|_| settings.status_file.clone());
    let seen = write_beside(&path, settings.status_file_mode)?;
    let folder = path.parent().and_then(|folder| fs::canonicalize(folder).ok()).unwrap_or_default();
    let mut way: Vec<Node> = folder.ancestors().filter_map(node).collect();
    way.reverse();
    way.push(Node { path, owner: seen.uid(), group: seen.gid(), mode: seen.mode() });
    Ok(way)
}

fn node(path: &Path) -> Option<Node> {
    let seen = fs::metadata(path).ok()?;
    Some(Node { path: path.to_owned(), owner: seen.uid(), group: seen.gid(), mode: seen.mode() })
}

fn judge(settings: &Settings, reader: &Reader, way: &[Node]) -> Finding {
    let (subject, shown) = (Subject::Readers, &reader.shown);
    let Some((file, folders)) = way.split_last() else {
        return Finding::not_tested(subject, "the status file has no place");
    };
    if let Some(folder) = folders.iter().find(|folder| !allows(folder, reader, Need::Pass)) {
        return Finding::faulty(
            subject,
            format!("{shown} cannot reach the status file: {} is closed to it", folder.path.display()),
            "choose a --status-file that both reach, such as /run/ibga/status.json, or open that folder (`chmod o+x`)",
        );
    }
    if !allows(file, reader, Need::Read) {
        return Finding::faulty(
            subject,
            format!("{shown} cannot read the status file: its mode is {:04o}", file.mode & 0o7777),
            "status_file_mode = \"0644\", or \"0640\" in a folder whose group both are in (`chmod g+s`)",
        );
    }
    let writer = file.owner;
    if [0, reader.id].contains(&writer) {
        return Finding::good(subject, format!("{shown} can read the status file and believes it"));
    }
    let repair = format!("trusted_owners = [{writer}] in the configuration that {shown} reads");
    if !settings.trusted_owners.contains(&writer) {
        let text = format!("{shown} can read the status file, but will not believe user id {writer}, who writes it");
        return Finding::faulty(subject, text, repair);
    }
    if settings.config.as_deref().is_some_and(|path| path.starts_with("/etc")) {
        return Finding::good(
            subject,
            format!("{shown} can read the status file, and believes it by the same settings"),
        );
    }
    let text = format!("{shown} can read the status file, and believes it if its own settings say so");
    Finding::doubtful(subject, text, repair)
}

/// As the kernel decides: the first class that fits counts, also if another would allow more.
fn allows(node: &Node, reader: &Reader, need: Need) -> bool {
    let bits = if reader.id == 0 {
        return true;
    } else if node.owner == reader.id {
        node.mode >> 6
    } else if reader.groups.contains(&node.group) {
        node.mode >> 3
    } else {
        node.mode
    };
    bits & need as u32 != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Flags, Sources};

    fn settings(trusted_owners: &str) -> Settings {
        let environment = |name: &str| (name == "IBGA_TRUSTED_OWNERS").then(|| trusted_owners.into());
        let sources = Sources {
            environment: &environment,
            environment_names: vec![],
            read: &|_: &Path, _: &[u32]| Ok(None),
            user_id: 0,
            host_name: &String::new,
            zone: &|| jiff::tz::TimeZone::UTC,
        };
        Settings::load(&Flags::default(), &sources).expect("settings")
    }

    fn way(folder_mode: u32, file_mode: u32) -> Vec<Node> {
        let node = |path: &str, owner, group, mode| Node { path: path.into(), owner, group, mode };
        vec![
            node("/", 0, 0, 0o755),
            node("/run/ibga", 990, 985, folder_mode),
            node("/run/ibga/status.json", 990, 985, file_mode),
        ]
    }

    #[test]
    fn who_can_read_and_who_believes() {
        let reader =
            |id, groups: &[u32]| Reader { shown: "trader".into(), id, groups: groups.iter().copied().collect() };
        for (reader, folder_mode, file_mode, trusted, word) in [
            (reader(1001, &[1001]), 0o755, 0o644, "990", "believes it if its own settings say so"),
            (reader(1001, &[1001]), 0o755, 0o644, "", "will not believe user id 990"),
            (reader(1001, &[1001]), 0o755, 0o600, "990", "its mode is 0600"),
            (reader(1001, &[1001]), 0o755, 0o640, "990", "its mode is 0640"),
            (reader(1001, &[985, 1001]), 0o755, 0o640, "990", "believes it if"),
            (reader(1001, &[1001]), 0o750, 0o644, "990", "/run/ibga is closed"),
            (reader(1001, &[985]), 0o750, 0o644, "990", "believes it if"),
            (reader(1001, &[985]), 0o705, 0o644, "990", "/run/ibga is closed"),
            (reader(990, &[985]), 0o700, 0o600, "", "believes it"),
            (reader(0, &[0]), 0o700, 0o600, "990", "believes it if"),
        ] {
            let finding = judge(&settings(trusted), &reader, &way(folder_mode, file_mode));
            assert!(finding.text.contains(word), "{finding:?}");
            assert_eq!(finding.is_fault(), !word.starts_with("believes it"), "{finding:?}");
        }
        let mut of_root = way(0o755, 0o644);
        of_root[2].owner = 0;
        let roots = judge(&settings(""), &reader(1001, &[]), &of_root);
        assert_eq!(roots.outcome.code(), "ok", "root is believed by everybody");
    }

    #[test]
    fn readers_by_name_or_id() {
        let (users, groups) = ("ann:x:1000:100::/:/bin/sh\n", "video:x:44:ann\n");
        let ann = |name| find(name, users, groups).map(|reader| (reader.shown, reader.id, reader.groups));
        let found = Some(("ann".to_owned(), 1000, BTreeSet::from([44, 100])));
        assert_eq!((ann("ann"), ann("1000")), (found.clone(), found));
        assert_eq!(ann("4242"), Some(("user id 4242".into(), 4242, BTreeSet::new())));
        assert_eq!(ann("nobody-here"), None);
    }
}
