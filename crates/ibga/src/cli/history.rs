//! `ibga history`: what became of a gateway and what was done about it, the oldest first.

use clap::Args;
use ibga_core::act::Act;
use ibga_core::clock;
use ibga_core::gate::age_text;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::preflight::pretty;
use super::{CommonArgs, Exit, settings};
use crate::output::{self, untrusted};
use crate::store::{Change, Store};

/// Most transitions and most acts that are shown; the newest count.
const ROWS_MAX: usize = 2_000;
/// The longest time that can be looked back, in days. No store keeps more.
const DAYS_MAX: i64 = 366;

const AFTER_HELP: &str = "\
Examples:
  ibga history                            the last 7 days
  ibga history --since 12h                the last 12 hours
  ibga history --since 90d --json | jq '.entries[] | select(.kind == \"recovery\")'

It tells each change of the gateway's state with how long it lasted, and each act: what `ibga watch` did to recover the gateway, \
what it would have done (rehearsal), which agents were stopped, and who halted or resumed them. `ibga watch` keeps every change, \
unless they come faster than the disk takes them; a check does where an alert channel is set.

Exit codes: 0 shown, 1 the store cannot be read, 2 wrong usage or configuration.";

/// Show what became of the gateway and what was done about it
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct HistoryArgs {
    /// How far to look back: a number with m, h, d or w
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = look_back)]
    since: SignedDuration,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonArgs,
}

/// Reads `30m`, `12h`, `7d` or `2w`.
fn look_back(text: &str) -> Result<SignedDuration, String> {
    let fault = || format!("write a number with m, h, d or w, up to {DAYS_MAX}d, such as 12h or 7d");
    let unit = text.chars().last().ok_or_else(fault)?;
    let digits = text.strip_suffix(unit).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let number: i64 = digits.and_then(|digits| digits.parse().ok()).ok_or_else(fault)?;
    let minutes = match unit {
        'm' => 1,
        'h' => 60,
        'd' => 24 * 60,
        'w' => 7 * 24 * 60,
        _ => return Err(fault()),
    };
    let minutes = number.checked_mul(minutes).filter(|minutes| (1..=DAYS_MAX * 24 * 60).contains(minutes));
    minutes.map(SignedDuration::from_mins).ok_or_else(fault)
}

pub(super) fn run(arguments: &HistoryArgs) -> Exit {
    shown(arguments).unwrap_or_else(|exit| exit)
}

fn shown(arguments: &HistoryArgs) -> Result<Exit, Exit> {
    let output = arguments.common.output();
    let settings = settings(&arguments.common.flags(), output)?;
    let gateway = settings.gateway.as_str();
    let now = clock::now();
    let since = now.saturating_sub(arguments.since).unwrap_or(Timestamp::UNIX_EPOCH);
    let looked = Store::open_existing(settings.state_dir.as_deref()).and_then(|store| match store {
        Some(store) => Ok((store.transitions(gateway, since, ROWS_MAX)?, store.acts(Some(gateway), ROWS_MAX)?)),
        None => Ok((Vec::new(), Vec::new())),
    });
    let (changes, acts) = looked.map_err(|fault| {
        output::fault(&format!("the store: {fault}"));
        Exit::No
    })?;
    let history = History { gateway, since, now, entries: entries(changes, acts, since, now) };
    if arguments.json {
        output.document(&pretty(&history.document()));
    } else {
        output.data(&history.text(&TimeZone::system()));
    }
    Ok(Exit::Yes)
}

/// What happened at one moment.
#[derive(Clone, Debug)]
enum Entry {
    /// The gateway's state changed.
    Change {
        change: Change,
        /// How long the new state lasted, and whether it still does.
        lasted: Lasted,
    },
    /// Something was done.
    Act(Act),
}

/// How long a state lasted.
#[derive(Clone, Copy, Debug)]
enum Lasted {
    For(SignedDuration),
    StillAfter(SignedDuration),
    /// The clock was set back meanwhile.
    Unknown,
}

impl Entry {
    fn at(&self) -> Timestamp {
        match self {
            Self::Change { change, .. } => change.at,
            Self::Act(act) => act.at,
        }
    }
}

impl Lasted {
    fn between(from: Timestamp, until: Timestamp) -> Option<SignedDuration> {
        Some(until.duration_since(from)).filter(|lasted| !lasted.is_negative())
    }

    fn text(self) -> String {
        match self {
            Self::For(lasted) => format!("for {}", age_text(lasted)),
            Self::StillAfter(lasted) => format!("for {} so far", age_text(lasted)),
            Self::Unknown => "for how long is not known".into(),
        }
    }

    fn seconds(self) -> Option<f64> {
        match self {
            Self::For(lasted) | Self::StillAfter(lasted) => Some(lasted.as_secs_f64()),
            Self::Unknown => None,
        }
    }
}

/// Changes with how long they lasted, and acts, in their order.
fn entries(changes: Vec<Change>, acts: Vec<Act>, since: Timestamp, now: Timestamp) -> Vec<Entry> {
    let ends: Vec<Option<Timestamp>> = changes.iter().skip(1).map(|next| Some(next.at)).chain([None]).collect();
    let changes = changes.into_iter().zip(ends).map(|(change, end)| {
        let lasted = match end {
            Some(end) => Lasted::between(change.at, end).map_or(Lasted::Unknown, Lasted::For),
            None => Lasted::between(change.at, now).map_or(Lasted::Unknown, Lasted::StillAfter),
        };
        Entry::Change { change, lasted }
    });
    let acts = acts.into_iter().filter(|act| act.at >= since).map(Entry::Act);
    let mut entries: Vec<Entry> = changes.chain(acts).collect();
    entries.sort_by_key(Entry::at);
    entries
}

struct History<'a> {
    gateway: &'a str,
    since: Timestamp,
    now: Timestamp,
    entries: Vec<Entry>,
}

impl History<'_> {
    fn text(&self, zone: &TimeZone) -> String {
        let time = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string();
        if self.entries.is_empty() {
            return format!("{}: nothing is kept since {}", self.gateway, time(self.since));
        }
        let mut lines = Vec::new();
        for entry in &self.entries {
            let at = time(entry.at());
            match entry {
                Entry::Change { change, lasted } => {
                    lines.push(format!("{at}  {:<22} {}", untrusted(&change.to), lasted.text()));
                    lines.extend(change.text.iter().map(|text| format!("{:29}{}", "", untrusted(text))));
                }
                Entry::Act(act) => {
                    lines.push(format!("{at}  {:<22} by {}", act.kind.code(), untrusted(&act.by)));
                    lines.push(format!("{:29}{}", "", untrusted(&act.text)));
                }
            }
        }
        lines.join("\n")
    }

    fn document(&self) -> Value {
        let entries = self.entries.iter().map(|entry| match entry {
            Entry::Change { change, lasted } => json!({
                "at": change.at.to_string(),
                "kind": "change",
                "from": change.from,
                "to": change.to,
                "lasted_seconds": lasted.seconds(),
                "lasts": matches!(lasted, Lasted::StillAfter(_)),
                "by": null,
                "text": change.text.as_deref().map(untrusted),
            }),
            Entry::Act(act) => json!({
                "at": act.at.to_string(),
                "kind": act.kind.code(),
                "from": null,
                "to": null,
                "lasted_seconds": null,
                "lasts": null,
                "by": untrusted(&act.by),
                "text": untrusted(&act.text),
            }),
        });
        json!({
            "gateway": self.gateway,
            "since": self.since.to_string(),
            "until": self.now.to_string(),
            "entries": entries.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use ibga_core::act::ActKind;

    use super::*;

    fn at(time: &str) -> Timestamp {
        format!("2026-11-23T{time}Z").parse().expect("an instant")
    }

    fn change(time: &str, from: Option<&str>, to: &str, text: Option<&str>) -> Change {
        Change { at: at(time), from: from.map(Into::into), to: to.into(), text: text.map(Into::into) }
    }

    fn act(time: &str, kind: ActKind, by: &str, text: &str) -> Act {
        Act { gateway: Some("live".into()), at: at(time), kind, by: by.into(), text: text.into() }
    }

    fn history(changes: Vec<Change>, acts: Vec<Act>) -> History<'static> {
        let (since, now) = (at("00:00:00"), at("10:00:00"));
        History { gateway: "live", since, now, entries: entries(changes, acts, since, now) }
    }

    fn told() -> History<'static> {
        let stopped = Some("container `ibga` is stopped");
        history(
            vec![
                change("00:00:00", None, "ready", None),
                change("01:12:04", Some("ready"), "container_stopped", stopped),
                change("01:13:09", Some("container_stopped"), "api_silent", Some("no byte of U1234567\u{1b}[31m")),
                change("01:21:00", Some("api_silent"), "ready", None),
            ],
            vec![
                act("01:12:15", ActKind::Recovery, "ibga", "docker start ibga, since container_stopped; started"),
                act("02:00:00", ActKind::Halted, "anna", "until the open"),
            ],
        )
    }

    #[test]
    fn pages() {
        let zone = TimeZone::get("Asia/Hong_Kong").expect("a zone");
        insta::assert_snapshot!("history", told().text(&zone));
        insta::assert_snapshot!("history_document", pretty(&told().document()));
        insta::assert_snapshot!("history_empty", history(vec![], vec![]).text(&zone));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_time_negative() {
        let changes =
            vec![change("02:00:00", None, "ready", None), change("01:00:00", Some("ready"), "api_silent", None)];
        let document = history(changes, vec![]).document();
        assert_eq!(document["entries"][1]["lasted_seconds"], Value::Null);
    }

    #[test]
    fn times_to_look_back() {
        for (text, minutes) in [("1m", 1), ("90m", 90), ("12h", 720), ("7d", 10_080), ("2w", 20_160)] {
            assert_eq!(look_back(text), Ok(SignedDuration::from_mins(minutes)), "{text}");
        }
        for text in
            ["", "d", "7", "0d", "-1d", "7 d", "7y", "367d", "99999999999999999999d", "9223372036854775807w", "1é"]
        {
            assert!(look_back(text).is_err(), "{text}");
        }
    }
}
