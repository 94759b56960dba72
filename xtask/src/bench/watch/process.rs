//! What the kernel tells of a running process: its memory, its computing time, its open files, its sessions with gateways.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

/// What one tick of the process times in `/proc` is, on every Linux (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// The states of a socket in `/proc/net/tcp` that hold no connection: closed, and listening.
const NO_CONNECTION: [&str; 2] = ["07", "0A"];

/// A process, by its number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process(pub(super) u32);

impl Process {
    /// Resident memory in KiB. Summed up page by page: the figures of `status` and `statm` may lag behind.
    pub(super) fn memory_kib(self) -> Result<f64, String> {
        let text = self.read("smaps_rollup")?;
        let value = text.lines().find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix(" kB")?.parse().ok());
        value.ok_or_else(|| self.strange("smaps_rollup"))
    }

    /// The computing time of all its threads, also of those that ended.
    pub(super) fn computed(self) -> Result<Duration, String> {
        let text = self.read("stat")?;
        ticks(&text).map(|ticks| TICK.saturating_mul(ticks)).ok_or_else(|| self.strange("stat"))
    }

    /// How many files it has open.
    pub(super) fn open_files(self) -> Result<usize, String> {
        let folder = std::fs::read_dir(self.path("fd")).map_err(|fault| self.gone(&fault))?;
        Ok(folder.count())
    }

    /// The most connections that it has with one and the same of the gateways at this port.
    pub(super) fn sessions_of_one_gateway(self, port: u16) -> Result<usize, String> {
        // The table first: a socket that is closed in between is not the process's any more, and does not count.
        let table = self.read("net/tcp")?;
        let mut own = HashSet::new();
        for entry in std::fs::read_dir(self.path("fd")).map_err(|fault| self.gone(&fault))?.flatten() {
            let target = std::fs::read_link(entry.path()).unwrap_or_default();
            own.extend(target.to_str().and_then(socket).map(str::to_owned));
        }
        Ok(most_of_one(&table, port, &own))
    }

    fn path(self, file: &str) -> String {
        format!("/proc/{}/{file}", self.0)
    }

    fn read(self, file: &str) -> Result<String, String> {
        File::open(Path::new(&self.path(file))).and_then(io::read_to_string).map_err(|fault| self.gone(&fault))
    }

    fn gone(self, fault: &io::Error) -> String {
        format!("process {} cannot be looked at: {fault}", self.0)
    }

    fn strange(self, file: &str) -> String {
        format!("{} says nothing that can be understood", self.path(file))
    }
}

/// User and system time. They stand behind the name, which may hold anything.
fn ticks(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(|field| field.parse::<u32>().ok());
    Some(times.next()?? + times.next()??)
}

/// The number of a socket, from the link that an open file is.
fn socket(link: &str) -> Option<&str> {
    link.strip_prefix("socket:[")?.strip_suffix(']')
}

fn most_of_one(table: &str, port: u16, own: &HashSet<String>) -> usize {
    let end = format!(":{port:04X}");
    // A line may be told twice, if another connection comes while the table is read.
    let mut sockets: HashMap<&str, HashSet<&str>> = HashMap::new();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (Some(peer), Some(state), Some(socket)) = (fields.get(2), fields.get(3), fields.get(9)) else { continue };
        if peer.ends_with(&end) && !NO_CONNECTION.contains(state) && own.contains(*socket) {
            sockets.entry(peer).or_default().insert(socket);
        }
    }
    sockets.values().map(HashSet::len).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_can_be_looked_at() {
        let myself = Process(std::process::id());
        assert!(myself.memory_kib().expect("told") > 500.0);
        assert!(myself.open_files().expect("told") >= 3);
        let before = myself.computed().expect("told");
        assert!(before < Duration::from_hours(1), "{before:?}");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        assert_eq!(myself.sessions_of_one_gateway(address.port()), Ok(0));
        let _clients: Vec<_> = (0..2).map(|_| std::net::TcpStream::connect(address).expect("connected")).collect();
        assert_eq!(myself.sessions_of_one_gateway(address.port()), Ok(2));
        assert!(Process(u32::MAX).computed().is_err());
    }

    #[test]
    fn the_name_of_a_process_is_no_figure() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20 0";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (a"), None);
    }

    #[test]
    fn connections_are_counted_by_gateway() {
        let line =
            |peer: &str, state: &str, inode: u32| format!("0: 0100007F:A {peer} {state} 0:0 0:0 0 0 0 {inode} 1\n");
        let table = [
            "header\n".to_owned(),
            line("0100007F:1000", "01", 1),
            line("0200007F:1000", "01", 2),
            line("0200007F:1000", "02", 3),
            line("0200007F:1000", "02", 3),
            line("0200007F:1000", "07", 4),
            line("0200007F:1001", "01", 5),
            line("0100007F:1000", "01", 99),
        ]
        .concat();
        let own = (1..=5).map(|number: u32| number.to_string()).collect();
        assert_eq!(most_of_one(&table, 0x1000, &own), 2);
        assert_eq!(most_of_one(&table, 0x2000, &own), 0);
    }
}
