//! A check of a gateway that `ibga watch` holds: it takes over what the watch reports, and probes nothing.

use std::time::Duration;

use ibga_core::cause::{Cause, Status};
use ibga_core::clock::{self, Stopwatch};
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
    let report = report(settings, zone, watching);
    // Its own file is the watch's alone, unless it has left it to itself. One that is not believed says no to this user as it is.
    let is_left = || {
        let read = status_file::read(&settings.status_file, &trust(settings), zone);
        report.cause() == Some(Cause::ProbeFailed) && !read.is_err_and(|fault| is_disbelieved(&fault))
    };
    let is_its_own = settings.status_file == watching.status_file && !is_left();
    let write_fault = if is_its_own { None } else { write(settings, &report, zone).err() };
    Checked { report, transition: None, by: Observer::Watch, write_fault, post: None }
}

/// What the watch reports, held against the settings of this check.
pub(super) fn report(settings: &Settings, zone: &TimeZone, watching: &Watching) -> Report {
    let began = clock::now();
    let told = if purpose(settings) == watching.purpose {
        newest(settings, zone, watching)
    } else {
        Err("it does so with another broker_probe, max_clock_skew or required_farms; give both the same".into())
    };
    match told {
        Ok(report) => held_against(report, settings, zone),
        Err(why) => {
            let fault = format!("`ibga watch` (process {}) holds this gateway: {why}", watching.pid);
            judge(settings, &nothing_seen(began, fault), None, zone)
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

fn is_current(report: &Report, watching: &Watching) -> bool {
    let is_of_it = report.more.as_ref().is_some_and(|more| more.writer.pid == watching.pid);
    is_of_it && clock::now().duration_since(report.timestamp) <= AGE_MAX
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
