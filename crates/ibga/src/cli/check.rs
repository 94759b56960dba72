//! `ibga check`: probe, write the status file, say it in one line.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use ibga_core::account::AccountId;
use ibga_core::cause::Status;
use ibga_core::forecast::Forecast;
use ibga_core::gate::age_text;
use ibga_core::report::Report;
use ibga_core::transition::{State, Transition};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::preflight::MarketHours;
use super::{CommonArgs, Exit, ExpectArgs, MarketArgs, ProbeArgs, WindowArgs, settings};
use crate::alert::post::{Post, nothing_waits};
use crate::alert::pulse::{Pulse, Told};
use crate::check::{self, Checked, Observer};
use crate::output::{self, Output, printable, untrusted};
use crate::settings::Settings;
use crate::store::{BUSY_LIMIT, Patience};

const AFTER_HELP: &str = "\
Examples:
  ibga check                                       the gateway at 127.0.0.1:4000
  ibga check --port 4002 --expect-mode paper       stop a paper agent before a live login
  ibga check --container ibga --json | jq .cause   with the container checked by name

The probe holds the API's own dialogue in one session: hello, accounts, order id, clock, whether orders are allowed, and one \
question that only the broker can answer. Ready means able to trade. It places no order, and one probe runs at a time: whoever \
comes meanwhile waits and takes over the result.

Exit codes: 0 ready, 1 not ready or the status file could not be written, 2 wrong usage or configuration.";

/// Probe the gateway, write the status file, print one line
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct CheckArgs {
    /// Print the status file's object instead of one line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    probe: ProbeArgs,
    #[command(flatten)]
    expect: ExpectArgs,
    #[command(flatten)]
    window: WindowArgs,
    #[command(flatten)]
    market: MarketArgs,
    #[command(flatten)]
    common: CommonArgs,
}

pub(super) fn run(arguments: &CheckArgs) -> Exit {
    let mut flags = arguments.common.flags();
    arguments.probe.add_to(&mut flags);
    arguments.expect.add_to(&mut flags);
    arguments.market.add_to(&mut flags);
    let settings = match settings(&flags, arguments.common.output()) {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    let output = arguments.common.output();
    if let Err(exit) = arguments.window.admit("check", &settings, MarketHours::Kept, output) {
        return exit;
    }
    let zone = TimeZone::system();
    let pulse = Pulse::start(&settings);
    let mut checked = check::check(&settings, &zone, BUSY_LIMIT);
    if arguments.json {
        output.document(&checked.report.to_json(&zone));
    } else {
        output.data(&one_line(&checked.report));
    }
    tell(&checked, &zone, output);
    let post = checked.post.take().or_else(|| waiting(&settings, &zone));
    let told = post.map_or(Told::All, |post| deliver(post, DELIVERY_LIMIT, output));
    if let Err(fault) = pulse.end(&checked.report, checked.write_fault.is_none(), told) {
        output.message(&format!("warning: the dead man's switch was not reached: {fault}"));
    }
    exit(&checked)
}

/// The outbox, if something may wait there that another process has not sent.
fn waiting<'a>(settings: &'a Settings, zone: &'a TimeZone) -> Option<Post<'a>> {
    let is_idle = settings.alerts.channels.is_empty() || nothing_waits(settings);
    (!is_idle).then(|| Post::of_what_waits(settings, zone))
}

/// Sends what is due, and says what went wrong with it.
pub(super) fn deliver(mut post: Post<'_>, limit: Duration, output: Output) -> Told {
    let mut told = Told::All;
    for attempt in post.deliver(Patience::Kept, limit) {
        let (channel, subject) = (attempt.channel, attempt.alert.subject);
        match &attempt.result {
            Ok(receipt) => output.detail(&format!("told by {channel}: {subject}: {}", receipt.as_str())),
            Err(fault) => {
                told = Told::NotAll;
                output.message(&format!(
                    "warning: {subject} could not be told by {channel}, and will be tried again: {fault}"
                ));
            }
        }
    }
    // Also what is left alone until its time.
    if post.still_waiting().is_some_and(|left| left > 0) {
        told = Told::NotAll;
    }
    for warning in post.take_warnings() {
        output.message(&format!("warning: {}", printable(&warning)));
    }
    told
}

/// The longest that what is due may take, behind the result. A unit of systemd has this much slack.
const DELIVERY_LIMIT: Duration = Duration::from_secs(25);

/// Ready counts only if the gate will see it.
pub(super) fn exit(checked: &Checked<'_>) -> Exit {
    if checked.report.status == Status::Ready && checked.write_fault.is_none() { Exit::Yes } else { Exit::No }
}

/// What a person may want to know beside the result.
pub(super) fn tell(checked: &Checked<'_>, zone: &TimeZone, output: Output) {
    let more = checked.report.more.as_ref();
    if let Some(remedy) = more.and_then(|more| more.remedy.as_ref()) {
        output.message(&format!("what to do: {}", printable(remedy)));
    }
    for warning in more.iter().flat_map(|more| &more.warnings) {
        output.message(&format!("warning: {}", untrusted(warning)));
    }
    if let Some(hours) = more.and_then(|more| more.broker_hours.as_ref())
        && let Err(why) = &hours.hours
    {
        output.message(&format!("warning: no trading hours to compare: {}", printable(why)));
    }
    if let Some(transition) = &checked.transition {
        output.message(&transition_text(transition));
    }
    match checked.by {
        Observer::Myself => {}
        Observer::Another => output.message("another process was probing already; this is its result"),
        Observer::Watch => output.message("`ibga watch` holds this gateway; this is what it knows"),
    }
    if let Some(more) = more.filter(|_| output.is_verbose()) {
        let stages: Vec<String> = more.timings_ms.iter().map(|(stage, ms)| format!("{stage} {ms:.1} ms")).collect();
        output.detail(&format!("stages: {}", stages.join(", ")));
        for line in more.forecast.iter().flat_map(|ahead| forecast_lines(ahead, checked.report.timestamp, zone)) {
            output.detail(&format!("forecast: {line}"));
        }
    }
    if let Some(fault) = &checked.write_fault {
        output::fault(&fault.to_string());
    }
}

/// `ready: default at 127.0.0.1:4000, DU***67 (paper), API version 178, 61 ms`.
pub(super) fn one_line(report: &Report) -> String {
    let mut line = State::of(report).to_string();
    let Some(more) = &report.more else { return line };
    let _ = write!(line, ": {} at {}", more.gateway, more.endpoint);
    if let Some(error) = &report.error {
        let _ = write!(line, ": {}", untrusted(error));
        return line;
    }
    let _ = write!(line, ", {}", accounts(&report.accounts));
    if let Some(mode) = more.mode {
        let _ = write!(line, " ({mode})");
    }
    if let Some(version) = more.server_version {
        let _ = write!(line, ", API version {version}");
    }
    let took: f64 =
        more.timings_ms.iter().filter(|(stage, _)| stage != "container" && stage != "broker").map(|(_, ms)| ms).sum();
    let _ = write!(line, ", {took:.0} ms");
    line
}

/// The forecast for a person: when to approve, then when IBKR resets servers.
pub(super) fn forecast_lines(forecast: &Forecast, now: Timestamp, zone: &TimeZone) -> Vec<String> {
    let lines = [forecast.approval_text(now, zone), forecast.resets_text(now, zone)];
    lines.iter().filter(|line| !line.is_empty()).map(|line| printable(line)).collect()
}

/// The masked ids, or their number where there are many.
pub(super) fn accounts(accounts: &[AccountId]) -> String {
    match accounts {
        [] => "no account".into(),
        [..] if accounts.len() > 4 => format!("{} accounts", accounts.len()),
        _ => accounts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn transition_text(transition: &Transition) -> String {
    match transition.from {
        None => format!("first report: {}", transition.to),
        Some(from) => {
            let lasted = transition.lasted.map(|lasted| format!(", after {}", age_text(lasted))).unwrap_or_default();
            format!("changed: {from} -> {}{lasted}", transition.to)
        }
    }
}
