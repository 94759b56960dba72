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

/// How far ahead is looked for distances between the two zones, in days: twelve years. The month in which a clock changes moves
/// with the years, where the rule is a Sunday near a month's end.
const DAYS_AHEAD: usize = 12 * 366;

/// The longest command that Debian's cron takes, in bytes.
const COMMAND_BYTES_MAX: usize = 998;

/// Why there is no crontab.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrontabError {
    /// A word of a command holds a line's end or a backslash, which cron does not hand on as they are.
    #[error("{word:?} holds a line's end or a backslash, which cron does not hand on as it is; put it into a script")]
    Unwritable {
        /// The word.
        word: String,
    },
    /// The value of a variable, which may be nobody's business, holds such a sign.
    #[error("{name} holds a line's end or a backslash, which cron does not hand on as it is; set it in `.env` instead")]
    Variable {
        /// Its name.
        name: String,
    },
    /// Some cron daemons go by it and others do not.
    #[error(
        "the crontab sets CRON_TZ, by which some cron daemons go and others do not; name its zone with `--host-zone` if yours does, \
         else move that line to the end of the crontab (`crontab -e`), or use `ibga schedule systemd`"
    )]
    OtherZone,
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

/// How every block begins.
const BEGIN: &str = "# BEGIN ibga, gateway ";

fn marks(gateway: &str) -> Marks {
    Marks { begin: format!("{BEGIN}{gateway}"), end: format!("# END ibga, gateway {gateway}") }
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
    let mut before = format!("cd {} && ", quoted(&jobs.folder)?);
    for (name, value) in &jobs.environment {
        let value = quoted(value).map_err(|_| CrontabError::Variable { name: name.clone() })?;
        let _ = write!(before, "{name}={value} ");
    }
    for slot in jobs.slots() {
        let words = jobs.command(slot.kind, &[slot.window()]);
        let command = format!("{before}{}", joined(&words)?);
        if command.len() > COMMAND_BYTES_MAX {
            return Err(CrontabError::TooLong { bytes: command.len() });
        }
        let weekdays = slot.weekdays();
        let _ = writeln!(text, "# {} {} {}", wall(slot.time), days_text(&weekdays), jobs.exchange);
        for ((hour, minute), when) in host_times(&slot, exchange, host, now) {
            let (months, days) = (cron_months(&when.months), cron_set(&when.weekdays));
            let _ = writeln!(text, "{minute} {hour} * {months} {days} {command}");
        }
    }
    let _ = writeln!(text, "{}", marks.end);
    Ok(text)
}

/// When a host's clock shows a time that is a slot's.
#[derive(Default)]
struct When {
    /// The host's weekdays; 0 is Sunday.
    weekdays: BTreeSet<i8>,
    months: BTreeSet<i8>,
}

/// The host's wall times of a slot within the years ahead.
fn host_times(slot: &Slot, exchange: &TimeZone, host: &TimeZone, now: Timestamp) -> BTreeMap<(i8, i8), When> {
    let weekdays = slot.weekdays();
    let first: Date = exchange.to_datetime(now).date();
    let mut times: BTreeMap<_, When> = BTreeMap::new();
    let dates = first.series(1.day()).take(DAYS_AHEAD).filter(|date| weekdays.contains(&date.weekday()));
    for local in dates.filter_map(|date| exchange.to_timestamp(date.to_datetime(slot.time)).ok()) {
        let local = host.to_datetime(local);
        let when = times.entry((local.hour(), local.minute())).or_default();
        when.weekdays.insert(local.date().weekday().to_sunday_zero_offset());
        when.months.insert(local.date().month());
    }
    times
}

/// `*`, or the months in which the two zones are that far apart.
fn cron_months(months: &BTreeSet<i8>) -> String {
    if months.len() == 12 { "*".into() } else { cron_set(months) }
}

/// `1-5`, `0`, `0,6`, `1-3,11,12`: three or more that follow each other as a span.
fn cron_set(set: &BTreeSet<i8>) -> String {
    let mut spans: Vec<(i8, i8)> = Vec::new();
    for number in set {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => spans.push((*number, *number)),
        }
    }
    let parts = spans.iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    });
    parts.collect::<Vec<_>>().join(",")
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
    if word.contains(['\n', '\r', '\0', '\\']) {
        return Err(CrontabError::Unwritable { word: word.chars().take(60).collect() });
    }
    // The shell's way out of quotes has a backslash of its own, which cron leaves alone where no `%` follows.
    Ok(shell::word(word).replace('%', "\\%"))
}

/// A crontab with the block of a gateway in place of the one before, or at its end. No block removes the one before. All else stays
/// as it is, byte for byte. `zone` is the name of the zone whose hours the block has.
pub fn with_block(
    crontab: &str,
    gateway: &str,
    block: Option<&str>,
    zone: Option<&str>,
) -> Result<String, CrontabError> {
    let marks = marks(gateway);
    let unfinished = || CrontabError::Unfinished { begin: marks.begin.clone() };
    let (mut before, mut after) = (String::new(), String::new());
    let (mut is_inside, mut is_placed) = (false, false);
    for line in crontab.split_inclusive('\n') {
        let text = line.trim_end();
        if is_inside {
            // Another block that begins here means that the end of this one was lost.
            if text.starts_with(BEGIN) {
                return Err(unfinished());
            }
            is_inside = text != marks.end;
        } else if text == marks.begin {
            (is_inside, is_placed) = (true, true);
        } else if is_placed {
            after.push_str(line);
        } else {
            before.push_str(line);
        }
    }
    if is_inside {
        return Err(unfinished());
    }
    let Some(block) = block else { return Ok(before + &after) };
    let bare = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
    let mut zones = before.lines().filter_map(|line| line.split_once('=')).filter(|(name, _)| bare(name) == "CRON_TZ");
    if zones.next_back().is_some_and(|(_, set)| zone != Some(bare(set).as_str())) {
        return Err(CrontabError::OtherZone);
    }
    if !before.is_empty() && !before.ends_with('\n') {
        before.push('\n');
    }
    Ok(before + block + &after)
}

#[cfg(test)]
mod tests {
    use ibga_core::calendar::{Calendar, Market};
    use ibga_core::schedule::{Plan, Wishes};
    use ibga_core::window::Window;

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

    /// A line of a block, taken apart as cron does.
    struct Line {
        minute: i8,
        hour: i8,
        months: Vec<i8>,
        weekdays: Vec<i8>,
        window: Window,
    }

    fn lines(block: &str) -> Vec<Line> {
        let set = |text: &str, all: std::ops::RangeInclusive<i8>| -> Vec<i8> {
            if text == "*" {
                return all.collect();
            }
            let spans = text.split(',').map(|span| span.split_once('-').unwrap_or((span, span)));
            spans.flat_map(|(from, to)| from.parse::<i8>().expect("a number")..=to.parse().expect("a number")).collect()
        };
        block
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                let fields: Vec<&str> = line.splitn(6, ' ').collect();
                let window = fields[5].split_once("--window ").expect("a window").1;
                let window = window.trim_start_matches('\'').split('\'').next().expect("a window");
                let window = window.split(" -- ").next().expect("a window");
                Line {
                    minute: fields[0].parse().expect("a minute"),
                    hour: fields[1].parse().expect("an hour"),
                    months: set(fields[3], 1..=12),
                    weekdays: set(fields[4], 0..=6),
                    window: window.trim().parse().expect("a window"),
                }
            })
            .collect()
    }

    const HOSTS: &[&str] = &[
        "UTC",
        "Asia/Hong_Kong",
        "America/New_York",
        "Europe/London",
        "Australia/Lord_Howe",
        "Asia/Kolkata",
        "America/St_Johns",
        "Pacific/Chatham",
        "Africa/Casablanca",
        "Antarctica/Troll",
        "America/Santiago",
    ];

    /// Over the years, every slot of every day is met by exactly one line that its window lets through, whatever the two zones do; but
    /// for the days on which the host's clock itself jumps.
    #[test]
    fn every_slot_of_a_year_is_met_once() {
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().expect("an instant");
        // All pairs for a year, and the usual ones for five, since the month in which a clock changes moves.
        for (mic, hosts, days) in [
            ("XHKG", HOSTS, 370),
            ("XNYS", HOSTS, 370),
            ("XLON", HOSTS, 370),
            ("XASX", HOSTS, 370),
            ("XHKG", &["Europe/London", "America/New_York"], 5 * 366),
        ] {
            let calendar = Calendar::for_exchange(mic.parse().expect("an exchange"));
            let exchange = calendar.zone().expect("a zone").clone();
            let today = exchange.to_datetime(now).date();
            let plan = Plan::for_exchange(&calendar, today, &Wishes::default()).expect("a plan");
            let jobs = Jobs { plan, exchange: "X", ..jobs() };
            // On any day, so that the clock alone decides.
            let market = Market::of_one(calendar);
            for host in hosts {
                let host_zone = zone(host);
                let lines = lines(&block(&jobs, &exchange, &host_zone, now).expect("a block"));
                let mut met: BTreeMap<Timestamp, usize> = BTreeMap::new();
                for date in today.series(1.day()).skip(2).take(days) {
                    let weekday = date.weekday().to_sunday_zero_offset();
                    let due = lines
                        .iter()
                        .filter(|line| line.months.contains(&date.month()) && line.weekdays.contains(&weekday));
                    for line in due {
                        let fires = date.at(line.hour, line.minute, 0, 0).to_zoned(host_zone.clone()).expect("a time");
                        if line.window.whatever_the_market().admits(fires.timestamp(), &market).is_ok() {
                            *met.entry(fires.timestamp()).or_default() += 1;
                        }
                    }
                }
                for slot in jobs.slots() {
                    for date in today
                        .series(1.day())
                        .skip(5)
                        .take(days - 10)
                        .filter(|date| slot.weekdays().contains(&date.weekday()))
                    {
                        let due = exchange.to_timestamp(date.to_datetime(slot.time)).expect("an instant");
                        let jumps = host_zone.to_offset(due - 30.hours()) != host_zone.to_offset(due + 30.hours());
                        let count = met.get(&due).copied().unwrap_or_default();
                        // Two slots can share an instant; each has a line then.
                        let wanted = jobs
                            .slots()
                            .iter()
                            .filter(|other| other.time == slot.time && other.weekdays().contains(&date.weekday()))
                            .count();
                        assert!(count == wanted || jumps, "{mic} on {host}: {date} {}: {count} lines", wall(slot.time));
                    }
                }
            }
        }
    }

    #[test]
    fn days_of_the_week() {
        for (days, text) in [
            (&[1, 2, 3, 4, 5][..], "1-5"),
            (&[0], "0"),
            (&[0, 1], "0,1"),
            (&[0, 1, 2, 3, 4], "0-4"),
            (&[0, 2, 6], "0,2,6"),
            (&[1, 2, 3, 11, 12], "1-3,11,12"),
        ] {
            assert_eq!(cron_set(&days.iter().copied().collect()), text);
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
        for word in ["a\nb", "a\\b", "a\\%b"] {
            assert!(matches!(quoted(word), Err(CrontabError::Unwritable { .. })), "{word}");
        }
    }

    #[test]
    fn only_its_own_block_is_replaced() {
        let old = "MAILTO=me\n# BEGIN ibga, gateway default\n1 1 * * * old\n# END ibga, gateway default\n\
                   # BEGIN ibga, gateway live\n2 2 * * * live\n# END ibga, gateway live\n5 5 * * * mine\n";
        let new = "# BEGIN ibga, gateway default\n3 3 * * * new\n# END ibga, gateway default\n";
        let replaced = with_block(old, "default", Some(new), Some("UTC")).expect("a crontab");
        assert_eq!(replaced, old.replace("1 1 * * * old", "3 3 * * * new"));
        assert_eq!(with_block(&replaced, "default", Some(new), Some("UTC")).as_deref(), Ok(replaced.as_str()), "again");
        let removed = with_block(&replaced, "default", None, Some("UTC")).expect("a crontab");
        assert!(!removed.contains("gateway default") && removed.contains("2 2 * * * live") && removed.contains("mine"));
        assert_eq!(with_block("", "default", Some(new), Some("UTC")).as_deref(), Ok(new));
        assert_eq!(
            with_block("5 5 * * * mine", "default", Some(new), Some("UTC")),
            Ok(format!("5 5 * * * mine\n{new}"))
        );
        // A block without its end takes nobody's lines with it, wherever the next end stands.
        let torn = old.replace("# END ibga, gateway default\n", "");
        let twice = format!("# BEGIN ibga, gateway default\n2 2 * * * mine\n{old}");
        for broken in [&torn, &twice, &"# BEGIN ibga, gateway default\n2 2 * * * mine".to_owned()] {
            let fault = with_block(broken, "default", Some(new), Some("UTC")).expect_err("unfinished");
            assert!(matches!(fault, CrontabError::Unfinished { .. }), "{broken}");
        }
        // Other people's lines keep their very bytes.
        let odd = "a\r\n\n  b  \n# no end";
        assert_eq!(with_block(odd, "default", Some(new), Some("UTC")), Ok(format!("{odd}\n{new}")));
        assert_eq!(with_block(odd, "default", None, Some("UTC")).as_deref(), Ok(odd));
        let zoned = "CRON_TZ = Asia/Hong_Kong\n1 1 * * * mine\n";
        assert_eq!(with_block(zoned, "default", Some(new), Some("UTC")), Err(CrontabError::OtherZone));
        let quoted = zoned.replace("CRON_TZ = Asia/Hong_Kong", "\"CRON_TZ\"='Asia/Hong_Kong'");
        assert_eq!(with_block(&quoted, "default", Some(new), Some("UTC")), Err(CrontabError::OtherZone));
        assert!(with_block(&quoted, "default", Some(new), Some("Asia/Hong_Kong")).is_ok(), "the zone that it has");
        assert_eq!(
            with_block(&format!("{new}{zoned}"), "default", Some(new), Some("UTC")),
            Ok(format!("{new}{zoned}"))
        );
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
