//! A check of a gateway that `ibga watch` holds: it takes over what the watch reports, and probes nothing.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use ibga_core::cause::{Cause, Status};
use ibga_core::clock::{self, Stopwatch};
use ibga_core::gate::FUTURE_TOLERANCE;
use ibga_core::observation::Orders;
use ibga_core::report::Report;
use ibga_core::status_file;
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::{
    Checked, ENGINE_LIMIT, Moment, Observer, expectations, is_about, is_disbelieved, judge, nothing_seen, remedy_for,
    trust, write,
};
use crate::lock::{Purpose, Watching};
use crate::settings::Settings;

/// A watch that has reported nothing for so long hangs: three of its longest heartbeats.
const AGE_MAX: SignedDuration = SignedDuration::from_mins(3);

/// How often the first report of a watch that has just begun is looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// What the verdicts of a watch depend on, besides accounts, mode and orders, which a report tells.
pub(crate) fn purpose(settings: &Settings) -> Purpose {
    let Settings { broker_probe, required_farms, max_clock_skew, .. } = settings;
    Purpose::of(&format!("{broker_probe:?} {required_farms:?} {max_clock_skew:?}"))
}

/// The check as a whole. People are told by the watch.
pub(super) fn taken_over<'a>(settings: &'a Settings, zone: &'a TimeZone, watching: &Watching) -> Checked<'a> {
    let Told { report, by_watch } = told(settings, zone, watching);
    // Its own file is the watch's alone, unless it has left it to itself. One that is not believed says no to this user as it is.
    let is_left = || match status_file::read(&settings.status_file, &trust(settings), zone) {
        Ok(report) => !is_current(&report, watching),
        Err(fault) => !is_disbelieved(&fault),
    };
    let is_its_own = is_same_place(&settings.status_file, &watching.status_file) && (by_watch || !is_left());
    let write_fault = if is_its_own { None } else { write(settings, &report, zone).err() };
    Checked { report, transition: None, by: Observer::Watch, write_fault, post: None }
}

/// Whether both names are those of one file, which need not be there.
fn is_same_place(one: &Path, other: &Path) -> bool {
    let folder = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::metadata(folder).ok().map(|folder| (folder.dev(), folder.ino()))
    };
    one.file_name() == other.file_name()
        && (one == other || folder(one).is_some_and(|here| folder(other) == Some(here)))
}

/// What a check has to report, and whether the watch says it.
struct Told {
    report: Report,
    by_watch: bool,
}

/// What the watch reports, held against the settings of this check.
pub(super) fn report(settings: &Settings, zone: &TimeZone, watching: &Watching) -> Report {
    told(settings, zone, watching).report
}

fn told(settings: &Settings, zone: &TimeZone, watching: &Watching) -> Told {
    let began = clock::now();
    let newest = if purpose(settings) == watching.purpose {
        newest(settings, zone, watching)
    } else {
        Err("it does so with another broker_probe, max_clock_skew or required_farms; give both the same".into())
    };
    match newest {
        Ok(report) => Told { report: held_against(report, settings, zone), by_watch: true },
        Err(why) => {
            let fault = format!("`ibga watch` (process {}) holds this gateway: {why}", watching.pid);
            Told { report: judge(settings, &nothing_seen(began, fault), None, zone), by_watch: false }
        }
    }
}

/// Waits for a report of the watch, which may have just begun.
#[expect(clippy::disallowed_methods, reason = "a file system on the network tells nobody that a file changed")]
fn newest(settings: &Settings, zone: &TimeZone, watching: &Watching) -> Result<Report, String> {
    let (watch, limit) = (Stopwatch::start(), settings.timeout + ENGINE_LIMIT);
    loop {
        let path = watching.status_file.display();
        let why = match status_file::read(&watching.status_file, &trust(settings), zone) {
            Err(fault) => format!("its status file {path} cannot be used: {fault}"),
            Ok(report) if !is_about(&report, settings) => {
                format!("its status file {path} speaks of another gateway; name this one as the watch does")
            }
            Ok(report) if is_current(&report, watching) => return Ok(report),
            Ok(_) => format!("its status file {path} is old; restart it"),
        };
        if watch.elapsed() >= limit {
            return Err(why);
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}

/// Whether it is this watch's own, and young. A watch before it may have had the same process id; a clock that was set back since tells
/// nothing of that.
fn is_current(report: &Report, watching: &Watching) -> bool {
    let now = clock::now();
    let age = now.duration_since(report.timestamp);
    let is_of_it = report.more.as_ref().is_some_and(|more| more.writer.pid == watching.pid);
    let is_of_before = report.timestamp < watching.since && watching.since <= now;
    is_of_it && !is_of_before && (-FUTURE_TOLERANCE..=AGE_MAX).contains(&age)
}

/// The watch may expect other accounts, or let pass what this check does not.
fn held_against(mut report: Report, settings: &Settings, zone: &TimeZone) -> Report {
    if report.status != Status::Ready {
        return report;
    }
    let wrong_login = expectations(settings).judge_accounts(&report.accounts).err();
    let orders = report.more.as_ref().and_then(|more| more.orders);
    let read_only = (orders != Some(Orders::Allowed) && !settings.allow_read_only)
        .then(|| (Cause::ReadOnlyApi, "the API is read-only".to_owned()));
    let Some((cause, text)) = wrong_login.or(read_only) else { return report };
    report.status = cause.status();
    report.ready_to_trade = false;
    report.error = Some(text);
    if let Some(more) = &mut report.more {
        more.cause = cause;
        more.since = report.timestamp;
        let moment = Moment {
            now: report.timestamp,
            zone,
            resets: &|| settings.resets(),
            forecast: &|| None,
            asks_at_restart: None,
        };
        more.remedy = remedy_for(settings, cause, None, &moment);
    }
    report
}
