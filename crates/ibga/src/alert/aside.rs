//! What is put aside while the store cannot be used: what is remembered, and which messages were sent and which were not. A file
//! beside the store, or beside the status file if that cannot be written either. The store takes it in as soon as it works again.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};

use ibga_core::alert::{Alert, Memory, NoGoTold};
use ibga_core::secure_file::{self, Trust};
use ibga_core::status_file;
use serde::{Deserialize, Serialize};

use super::channel::ChannelName;

/// Only this user has to do with it.
const MODE: u32 = 0o600;

/// Most messages that are kept; the oldest are given up. The file may have 64 KiB.
const LETTERS_MAX: usize = 16;

/// What was put aside of one gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Aside {
    /// What is remembered for reports.
    pub(super) memory: Option<Memory>,
    /// The same for no-goes.
    pub(super) no_go: Option<NoGoTold>,
    /// The messages, the oldest first.
    pub(super) letters: Vec<Letter>,
    /// The higher, the newer. An older file may be in a place that can only be read by now.
    pub(super) number: u64,
    /// Names this writing of the file and no other, so that the store takes it in once.
    pub(super) writing: String,
}

impl Aside {
    /// Keeps the bound: what every channel has accepted goes first, then the oldest. Returns how many were still waiting.
    fn shorten(&mut self) -> usize {
        let mut given_up = 0;
        while self.letters.len() > LETTERS_MAX {
            let sent = self.letters.iter().position(|letter| letter.waiting.is_empty());
            self.letters.remove(sent.unwrap_or_default());
            given_up += usize::from(sent.is_none());
        }
        given_up
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Letter {
    /// What it says.
    pub(super) alert: Alert,
    /// The channels that have not accepted it yet.
    pub(super) waiting: Vec<String>,
    /// Those that have.
    pub(super) sent: Vec<String>,
}

impl Letter {
    /// A message that no channel has accepted yet.
    pub(super) fn new(alert: Alert, channels: &[ChannelName]) -> Self {
        Self { alert, waiting: channels.iter().map(|channel| channel.as_str().to_owned()).collect(), sent: Vec::new() }
    }

    /// A channel has accepted it.
    pub(super) fn sent_on(&mut self, channel: ChannelName) {
        self.waiting.retain(|waiting| waiting != channel.as_str());
        self.sent.push(channel.as_str().to_owned());
    }

    /// The channels of a list that this version knows.
    pub(super) fn known(channels: &[String]) -> Vec<ChannelName> {
        channels.iter().filter_map(|word| ChannelName::from_word(word)).collect()
    }
}

/// Where the file of a gateway may be, the better place first.
#[derive(Clone, Debug)]
pub(super) struct Places {
    paths: Vec<PathBuf>,
    trust: Trust,
}

impl Places {
    /// Beside the store, and beside the status file.
    pub(super) fn new(state_dir: Option<&Path>, status_file: &Path, gateway: &str) -> Self {
        let beside_store = state_dir.map(|directory| directory.join(format!("aside-{gateway}.json")));
        let status_name = status_file.file_name().unwrap_or_default().to_string_lossy();
        let hidden = format!(".{status_name}.aside-{gateway}.json");
        let beside_status = status_file.parent().map(|folder| folder.join(hidden));
        Self { paths: beside_store.into_iter().chain(beside_status).collect(), trust: Trust::default() }
    }

    /// Whether something was put aside.
    pub(super) fn any(&self) -> bool {
        self.paths.iter().any(|path| path.exists())
    }

    /// What was put aside. What cannot be believed or read does not count.
    pub(super) fn read(&self) -> Option<Aside> {
        self.paths.iter().filter_map(|path| self.read_one(path)).max_by_key(|aside| aside.number)
    }

    fn read_one(&self, path: &Path) -> Option<Aside> {
        serde_json::from_str(&secure_file::read(path, &self.trust).ok()?).ok()
    }

    /// Puts it aside, in the first place that takes it. Returns how many messages had to be given up.
    ///
    /// # Errors
    /// No place does; in words.
    pub(super) fn write(&self, aside: &Aside) -> Result<usize, String> {
        let mut kept = aside.clone();
        kept.number = self.read().map_or(0, |newest| newest.number).saturating_add(1);
        kept.writing = format!("{:016x}", RandomState::new().build_hasher().finish());
        let given_up = kept.shorten();
        let text = serde_json::to_string(&kept).map_err(|fault| fault.to_string())?;
        let mut why = "there is no place for it".to_owned();
        for (index, path) in self.paths.iter().enumerate() {
            match status_file::write(path, &text, MODE) {
                Ok(()) => {
                    // An older one must not be found before this one.
                    self.paths.iter().enumerate().filter(|(other, _)| *other != index).for_each(|(_, path)| {
                        let _ = fs::remove_file(path);
                    });
                    return Ok(given_up);
                }
                Err(fault) => why = fault.to_string(),
            }
        }
        Err(why)
    }

    /// The store has it now, and what is older. What another process has put aside since stays.
    pub(super) fn remove(&self, taken: &Aside) {
        let is_taken = |path: &&PathBuf| self.read_one(path).is_some_and(|aside| aside.number <= taken.number);
        for path in self.paths.iter().filter(is_taken) {
            let _ = fs::remove_file(path);
        }
    }
}
