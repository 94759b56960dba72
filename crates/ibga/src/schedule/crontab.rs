//! The schedule as lines of a crontab. Cron goes by the host's zone: where that and the exchange's drift apart within the year,
//! there is a line for each distance, and the window in each line lets only the right one start anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use ibga_core::window::{wall, weekday_name};
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::{Jobs, Slot};
use crate::shell;

/// How far ahead is looked for distances between the two zones.
const DAYS_AHEAD: usize = 366;

/// The longest command that Debian's cron takes, in bytes.
const COMMAND_BYTES_MAX: usize = 998;

/// Why there is no crontab.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrontabError {
    /// A word of a command holds a line's end, which a crontab cannot hold.
    #[error("{word:?} holds a line's end, which a crontab cannot hold; put it into a script")]
    LineEnd {
        /// The word.
        word: String,
    },
    /// Cron would refuse the line.
    #[error(
        "a line of {bytes} bytes is longer than cron takes ({COMMAND_BYTES_MAX}); put the agent's command into a script"
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A block was begun and not ended, so that what is ours cannot be told from what is not.
    #[error("the crontab holds `{begin}` without an end; remove the block by hand (`crontab -e`)")]
    Unfinished {
        /// The line.
        begin: String,
    },
}

/// The lines that mark the block of a gateway.
struct Marks {
    begin: String,
    end: String,
}

fn marks(gateway: &str) -> Marks {
    Marks { begin: format!("# BEGIN ibga, gateway {gateway}"), end: format!("# END ibga, gateway {gateway}") }
}

/// The block of a crontab, with a line's end. The zones are the exchange's and the host's.
pub fn block(jobs: &Jobs, exchange: &TimeZone, host: &TimeZone, now: Timestamp) -> Result<String, CrontabError> {
    let marks = marks(&jobs.gateway);
    let zone = host.iana_name().unwrap_or("a zone without a name");
    let mut text = format!(
        "{}\n\
         # Made by `ibga schedule crontab`, which replaces it up to its end and leaves all else alone.\n\
         # Hours of this machine, {zone}; outside its window at {} a line starts nothing.\n",
        marks.begin, jobs.exchange
    );
    for slot in jobs.slots() {
        let Some(window) = slot.window() else { continue };
        let words = jobs.command(slot.kind, &[window]);
        let command = format!("cd {} && {}", quoted(&jobs.folder.display().to_string())?, joined(&words)?);
        if command.len() > COMMAND_BYTES_MAX {
            return Err(CrontabError::TooLong { bytes: command.len() });
        }
        let weekdays = slot.weekdays();
        let _ = writeln!(text, "# {} {} {}", wall(slot.time), days_text(&weekdays), jobs.exchange);
        for ((hour, minute), days) in host_times(&slot, exchange, host, now) {
            let _ = writeln!(text, "{minute} {hour} * * {} {command}", cron_days(&days));
        }
    }
    let _ = writeln!(text, "{}", marks.end);
    Ok(text)
}

/// The host's wall times of a slot within the year, each with the host's weekdays (0 is Sunday).
fn host_times(slot: &Slot, exchange: &TimeZone, host: &TimeZone, now: Timestamp) -> BTreeMap<(i8, i8), BTreeSet<i8>> {
    let weekdays = slot.weekdays();
    let first: Date = exchange.to_datetime(now).date();
    let mut times: BTreeMap<_, BTreeSet<i8>> = BTreeMap::new();
    let dates = first.series(1.day()).take(DAYS_AHEAD).filter(|date| weekdays.contains(&date.weekday()));
    for local in dates.filter_map(|date| exchange.to_timestamp(date.to_datetime(slot.time)).ok()) {
        let local = host.to_datetime(local);
        times.entry((local.hour(), local.minute())).or_default().insert(local.date().weekday().to_sunday_zero_offset());
    }
    times
}

/// `1-5`, `0`, `0-4`, `0,6`: days that follow each other as a span.
fn cron_days(days: &BTreeSet<i8>) -> String {
    match (days.first(), days.last()) {
        (Some(first), Some(last)) if days.len() > 2 && usize::try_from(last - first + 1) == Ok(days.len()) => {
            format!("{first}-{last}")
        }
        _ => days.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    }
}

fn days_text(weekdays: &[Weekday]) -> String {
    match weekdays {
        [] => String::new(),
        [day] => weekday_name(*day).into(),
        [first, .., last] => format!("{}-{}", weekday_name(*first), weekday_name(*last)),
    }
}

fn joined(words: &[String]) -> Result<String, CrontabError> {
    let quoted: Result<Vec<String>, _> = words.iter().map(|word| quoted(word)).collect();
    Ok(quoted?.join(" "))
}

/// A word for the shell, with cron's own sign for a line's end taken back.
fn quoted(word: &str) -> Result<String, CrontabError> {
    if word.contains(['\n', '\r', '\0']) {
        return Err(CrontabError::LineEnd { word: word.chars().take(60).collect() });
    }
    Ok(shell::word(word).replace('%', "\\%"))
}

/// A crontab with the block of a gateway in place of the one before, or at its end. No block removes the one before.
pub fn with_block(crontab: &str, gateway: &str, block: Option<&str>) -> Result<String, CrontabError> {
    let marks = marks(gateway);
    let mut kept = String::new();
    let mut is_placed = false;
    let mut lines = crontab.lines();
    while let Some(line) = lines.next() {
        if line.trim_end() != marks.begin {
            kept.push_str(line);
            kept.push('\n');
            continue;
        }
        if !lines.any(|line| line.trim_end() == marks.end) {
            return Err(CrontabError::Unfinished { begin: marks.begin });
        }
        if !is_placed {
            kept.push_str(block.unwrap_or_default());
            is_placed = true;
        }
    }
    if !is_placed {
        kept.push_str(block.unwrap_or_default());
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::jobs;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).expect("a zone")
    }

    fn block_in(host: &str) -> String {
        let now = "2026-11-24T10:00:00Z".parse().expect("an instant");
        block(&jobs(), &zone("Asia/Hong_Kong"), &zone(host), now).expect("a block")
    }

    #[test]
    fn hosts() {
        insta::assert_snapshot!("crontab_utc", block_in("UTC"));
        insta::assert_snapshot!("crontab_hong_kong", block_in("Asia/Hong_Kong"));
        insta::assert_snapshot!("crontab_new_york", block_in("America/New_York"));
    }

    #[test]
    fn days_of_the_week() {
        for (days, text) in [
            (&[1, 2, 3, 4, 5][..], "1-5"),
            (&[0], "0"),
            (&[0, 1], "0,1"),
            (&[0, 1, 2, 3, 4], "0-4"),
            (&[0, 2, 6], "0,2,6"),
        ] {
            assert_eq!(cron_days(&days.iter().copied().collect()), text);
        }
    }

    #[test]
    fn words_survive_shell_and_cron() {
        for (word, text) in [
            ("--expect-mode", "--expect-mode"),
            ("", "''"),
            ("two words", "'two words'"),
            ("it's", "'it'\\''s'"),
            ("100%", "'100\\%'"),
            ("$HOME", "'$HOME'"),
            ("/opt/ärger", "'/opt/ärger'"),
        ] {
            assert_eq!(quoted(word).as_deref(), Ok(text));
        }
        assert!(matches!(quoted("a\nb"), Err(CrontabError::LineEnd { .. })));
    }

    #[test]
    fn only_its_own_block_is_replaced() {
        let old = "MAILTO=me\n# BEGIN ibga, gateway default\n1 1 * * * old\n# END ibga, gateway default\n\
                   # BEGIN ibga, gateway live\n2 2 * * * live\n# END ibga, gateway live\n5 5 * * * mine\n";
        let new = "# BEGIN ibga, gateway default\n3 3 * * * new\n# END ibga, gateway default\n";
        let replaced = with_block(old, "default", Some(new)).expect("a crontab");
        assert_eq!(replaced, old.replace("1 1 * * * old", "3 3 * * * new"));
        assert_eq!(with_block(&replaced, "default", Some(new)).as_deref(), Ok(replaced.as_str()), "again");
        let removed = with_block(&replaced, "default", None).expect("a crontab");
        assert!(!removed.contains("gateway default") && removed.contains("2 2 * * * live") && removed.contains("mine"));
        assert_eq!(with_block("", "default", Some(new)).as_deref(), Ok(new));
        assert_eq!(with_block("5 5 * * * mine", "default", Some(new)), Ok(format!("5 5 * * * mine\n{new}")));
        let torn = old.replace("# END ibga, gateway default\n", "");
        assert!(matches!(with_block(&torn, "default", Some(new)), Err(CrontabError::Unfinished { .. })));
    }

    #[test]
    fn what_cron_would_refuse_is_refused_here() {
        let mut jobs = jobs();
        jobs.agent = vec!["x".repeat(1_000)];
        let zone = zone("UTC");
        let block = block(&jobs, &zone, &zone, Timestamp::UNIX_EPOCH);
        assert!(matches!(block, Err(CrontabError::TooLong { bytes: 1_000.. })), "{block:?}");
    }
}
