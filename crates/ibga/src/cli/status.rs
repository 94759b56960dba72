//! `ibga status`: the status for a person: each stage, age, since when, what to do, the market, what is ahead, and whether an agent
//! would start.

use clap::Args;
use ibga_core::account::AccountId;
use ibga_core::cause::{Cause, Status};
use ibga_core::forecast::Forecast;
use ibga_core::gate::{Rule, age_text};
use ibga_core::observation::{Broker, Orders};
use ibga_core::report::{Details, PortState, Report, forecast_document};
use ibga_core::transition::State;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::check::{accounts, forecast_lines};
use super::preflight::{HereAndNow, Judged, MarketHours, here_and_now, judge, pretty};
use super::{CommonArgs, Exit, ExpectArgs, MarketArgs, offered, settings};
use crate::container::log_lines;
use crate::output::{Paint, printable, untrusted, wrapped};
use crate::settings::Settings;

/// Lines of the container's log that are shown.
const LOG_LINES: usize = 10;

/// The width of the text.
const WIDTH: usize = 80;

/// The column at which the texts begin.
const INDENT: usize = 11;

const AFTER_HELP: &str = "\
Examples:
  ibga status                     the newest report; would an agent start?
  ibga status --logs              with the last lines of the container's log
  ibga status --show-accounts     with account ids in full

It reads the status file and probes nothing; `ibga check` brings the file up to date.

Exit codes: 0 shown, 1 no status file or none that can be trusted, 2 wrong usage or configuration.";

/// Show the status: stages, age, what to do, next trading session, what is ahead
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct StatusArgs {
    /// Print one JSON object instead of the page
    #[arg(long)]
    json: bool,
    /// Show account ids in full
    #[arg(long)]
    show_accounts: bool,
    /// Show the last lines of the container's log
    #[arg(long)]
    logs: bool,
    /// Age from which on a status is stale [default: 10m]
    #[arg(long, value_name = "TIME")]
    max_age: Option<String>,
    #[command(flatten)]
    market: MarketArgs,
    /// The gateway's container, for --logs [default: auto]
    #[arg(long, value_name = "NAME|auto", value_parser = offered::containers(), hide_possible_values = true)]
    container: Option<String>,
    #[command(flatten)]
    expect: ExpectArgs,
    #[command(flatten)]
    common: CommonArgs,
}

pub(super) fn run(arguments: &StatusArgs) -> Exit {
    let mut flags = arguments.common.flags();
    flags.max_age.clone_from(&arguments.max_age);
    arguments.market.add_to(&mut flags);
    flags.container.clone_from(&arguments.container);
    arguments.expect.add_to(&mut flags);
    let at = here_and_now();
    let loaded = settings(&flags, arguments.common.output())
        .and_then(|settings| Ok((judge(&settings, MarketHours::Kept, &at, None)?, settings)));
    let (judged, settings) = match loaded {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let forecast = judged.forecast(&settings);
    let page = Page {
        judged: &judged,
        settings: &settings,
        forecast,
        at,
        shown: if arguments.show_accounts { Accounts::InFull } else { Accounts::Masked },
        logs: arguments.logs.then(|| log_lines(&settings, LOG_LINES)),
    };
    let output = arguments.common.output();
    if arguments.json {
        output.document(&page.json());
    } else {
        output.data(&page.text(Paint::for_stdout()));
    }
    if judged.report.is_some() { Exit::Yes } else { Exit::No }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Accounts {
    Masked,
    InFull,
}

/// The container's name and its last lines, or why there are none.
type Logs = Result<(String, Vec<String>), String>;

struct Page<'a> {
    judged: &'a Judged,
    settings: &'a Settings,
    forecast: Option<Forecast>,
    at: HereAndNow,
    shown: Accounts,
    logs: Option<Logs>,
}

/// How far a stage came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Good,
    Bad,
    Unknown,
}

impl Page<'_> {
    fn text(&self, paint: Paint) -> String {
        let mut lines = Vec::new();
        match &self.judged.report {
            Some(report) => self.report(report, paint, &mut lines),
            None => lines.push(entry(
                "Gateway",
                &format!("{} at {}", self.settings.gateway, crate::check::endpoint(self.settings)),
            )),
        }
        lines.push(String::new());
        lines.push(entry("Market", &self.judged.market()));
        lines.extend(self.judged.broker_hours().map(|text| entry("", &text)));
        self.ahead(&mut lines);
        self.agent(paint, &mut lines);
        self.log(&mut lines);
        lines.join("\n")
    }

    fn report(&self, report: &Report, paint: Paint, lines: &mut Vec<String>) {
        let state = State::of(report).to_string();
        let outdated = self.is_stale();
        let state = if outdated { format!("{state} (STALE)") } else { state };
        let word = if report.status == Status::Ready && !outdated { paint.good(&state) } else { paint.bad(&state) };
        let age = self.at.now.duration_since(report.timestamp).max(SignedDuration::ZERO);
        if let Some(more) = &report.more {
            lines.push(entry("Gateway", &printable(&format!("{} at {}", more.gateway, more.endpoint))));
        }
        let since = report.more.as_ref().map(|more| self.since(more.since)).unwrap_or_default();
        lines.push(format!("{:<INDENT$}{word}{since}", "Status"));
        lines.push(entry(
            "Checked",
            &format!("{}, {} ago{}", self.local(report.timestamp), age_text(age), self.belief(report)),
        ));
        lines.push(String::new());
        for (name, mark, text) in stages(report, self.shown) {
            let mark = match mark {
                Mark::Good => paint.good("ok  "),
                Mark::Bad => paint.bad("FAIL"),
                Mark::Unknown => "-   ".to_owned(),
            };
            lines.push(format!("  {mark}  {name:<10} {}", printable(&text)).trim_end().to_owned());
        }
        lines.push(String::new());
        if let Some(error) = &report.error {
            lines.push(entry("Error", &untrusted(error)));
        }
        if let Some(more) = &report.more {
            lines.extend(more.warnings.iter().map(|warning| entry("Warning", &untrusted(warning))));
        }
        if lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
    }

    fn since(&self, since: Timestamp) -> String {
        let lasted = self.at.now.duration_since(since);
        if lasted.is_negative() {
            return String::new();
        }
        let days = lasted.as_hours() / 24;
        let format = if days < 6 { "%a %H:%M" } else { "%Y-%m-%d" };
        format!(", since {} ({})", since.to_zoned(self.at.zone.clone()).strftime(format), age_text(lasted))
    }

    fn is_stale(&self) -> bool {
        self.judged.decision.failures().any(|check| matches!(check.rule, Rule::Fresh | Rule::NotFromFuture))
    }

    /// Until when a report may be believed, as this reader's limit has it.
    fn belief(&self, report: &Report) -> String {
        let limit = SignedDuration::try_from(self.settings.max_status_age).unwrap_or(SignedDuration::MAX);
        match report.timestamp.checked_add(limit) {
            Ok(until) if !self.is_stale() => {
                format!(", to be believed until {}", until.to_zoned(self.at.zone.clone()).strftime("%H:%M:%S"))
            }
            _ => String::new(),
        }
    }

    fn local(&self, instant: Timestamp) -> String {
        let zoned = instant.to_zoned(self.at.zone.clone());
        let today = zoned.date() == self.at.now.to_zoned(self.at.zone.clone()).date();
        zoned.strftime(if today { "%H:%M:%S %:z" } else { "%Y-%m-%d %H:%M:%S %:z" }).to_string()
    }

    /// What is ahead, as it is now: the file's forecast may be older than the file's next one.
    fn ahead(&self, lines: &mut Vec<String>) {
        let told = self.forecast.iter().flat_map(|ahead| forecast_lines(ahead, self.at.now, &self.at.zone));
        let names = std::iter::once("Forecast").chain(std::iter::repeat(""));
        lines.extend(names.zip(told).map(|(name, line)| entry(name, &line)));
    }

    fn agent(&self, paint: Paint, lines: &mut Vec<String>) {
        if self.judged.decision.is_go() {
            lines.push(entry("Agent", &paint.good("would start now")));
            return;
        }
        lines.push(format!("{:<INDENT$}{}", "Agent", paint.bad("would not start now")));
        for check in self.judged.decision.failures() {
            lines.push(format!("{}- {}", " ".repeat(INDENT), wrapped(&printable(&check.text), WIDTH, INDENT + 2)));
        }
        for remedy in self.judged.remedies() {
            // Reasons that are numbered stand below each other.
            let remedy = printable(&remedy);
            let names = std::iter::once("To do").chain(std::iter::repeat(""));
            lines.extend(names.zip(steps(&remedy)).map(|(name, step)| entry(name, step)));
        }
    }

    fn log(&self, lines: &mut Vec<String>) {
        let Some(logs) = &self.logs else { return };
        lines.push(String::new());
        match logs {
            Err(fault) => lines.push(entry("Log", fault)),
            Ok((container, log)) if log.is_empty() => lines.push(entry("Log", &format!("{container} has none"))),
            Ok((container, log)) => {
                lines.push(entry("Log", container));
                lines.extend(log.iter().map(|line| format!("  {}", untrusted(line))));
            }
        }
    }

    fn json(&self) -> String {
        let mut document = Map::new();
        let report = self.judged.report.as_ref().map(|report| {
            let mut report = report.clone();
            if self.shown == Accounts::Masked {
                report.error = report.error.map(|error| untrusted(&error));
            }
            let mut value: Value = serde_json::from_str(&report.to_json(&self.at.zone)).unwrap_or(Value::Null);
            if self.shown == Accounts::Masked
                && let (Some(field), Some(original)) = (value.get_mut("accounts"), &self.judged.report)
            {
                *field = original.accounts.iter().map(ToString::to_string).collect::<Vec<_>>().into();
            }
            value
        });
        let age = self.judged.report.as_ref().map(|report| self.at.now.duration_since(report.timestamp).as_secs_f64());
        document.insert("report".into(), report.unwrap_or(Value::Null));
        document.insert("age_seconds".into(), age.into());
        document.insert("forecast".into(), forecast_document(self.forecast.as_ref(), &self.at.zone));
        document.insert("preflight".into(), self.judged.document());
        if let Some(logs) = &self.logs {
            document.insert(
                "log".into(),
                match logs {
                    Ok((container, lines)) => json!({"container": container, "lines": lines}),
                    Err(fault) => json!({"error": fault}),
                },
            );
        }
        pretty(&Value::Object(document))
    }
}

/// `1) one; 2) two` as two texts; anything else as one.
fn steps(text: &str) -> Vec<&str> {
    let mut steps = Vec::new();
    let mut rest = text;
    for number in 2.. {
        let Some((step, _)) = rest.split_once(&format!("; {number}) ")) else { break };
        steps.push(step);
        rest = rest.get(step.len() + 2..).unwrap_or_default();
    }
    steps.push(rest);
    steps
}

fn entry(name: &str, text: &str) -> String {
    format!("{name:<INDENT$}{}", wrapped(text, WIDTH, INDENT))
}

/// The stages of a probe as a report tells them. A stage behind the first bad one was not reached.
fn stages(report: &Report, shown: Accounts) -> Vec<(&'static str, Mark, String)> {
    let more = report.more.as_ref();
    let good = |holds: bool| if holds { Mark::Good } else { Mark::Bad };
    let reached = |holds: bool, before: bool| if before { good(holds) } else { Mark::Unknown };
    let open = report.port == PortState::Open;
    let container = match report.container.as_str() {
        "not_checked" => Mark::Unknown,
        state => good(state == "running"),
    };
    let logged_in = match shown {
        Accounts::InFull => report.accounts.iter().map(AccountId::reveal).collect::<Vec<_>>().join(", "),
        Accounts::Masked => accounts(&report.accounts),
    };
    let kind = more.and_then(|more| more.mode).map(|mode| format!(" ({mode})")).unwrap_or_default();
    let version =
        more.and_then(|more| more.server_version).map(|version| format!(", version {version}")).unwrap_or_default();
    let mut rows = vec![
        ("container", container, report.container.replace('_', " ")),
        (
            "port",
            if report.port == PortState::Unknown { Mark::Unknown } else { good(open) },
            took(report.port.as_str(), more, "connect"),
        ),
        (
            "API",
            reached(report.connected, open),
            took(&format!("{}{version}", if report.connected { "answered" } else { "no answer" }), more, "hello"),
        ),
        (
            "login",
            reached(report.authenticated, report.connected),
            took(&format!("{logged_in}{kind}"), more, "startup"),
        ),
    ];
    if let Some(more) = more.filter(|_| report.connected) {
        rows.extend(later_stages(more));
    }
    rows
}

fn later_stages(more: &Details) -> Vec<(&'static str, Mark, String)> {
    let broker = match more.broker {
        Broker::Answered => Mark::Good,
        Broker::Silent => Mark::Bad,
        Broker::Unproven => Mark::Unknown,
    };
    let orders = match more.orders {
        Some(Orders::Allowed) => (Mark::Good, "allowed"),
        Some(Orders::ReadOnly) => (Mark::Bad, "refused: the API is read-only"),
        _ => (Mark::Unknown, "not proven"),
    };
    let clock = more.clock_skew_seconds.map_or((Mark::Unknown, "not told".to_owned()), |skew| {
        let mark = if more.cause == Cause::ClockSkewed { Mark::Bad } else { Mark::Good };
        (mark, if skew == 0.0 { "the same as here".into() } else { format!("{skew:+.1} s from here") })
    });
    vec![
        ("clock", clock.0, took(&clock.1, Some(more), "liveness")),
        ("orders", orders.0, orders.1.to_owned()),
        ("broker", broker, took(more.broker.as_str(), Some(more), "broker")),
    ]
}

/// A stage's text with how long it took.
fn took(text: &str, more: Option<&Details>, stage: &str) -> String {
    let took = more.and_then(|more| more.timings_ms.iter().find(|(name, _)| name == stage));
    match took {
        Some((_, ms)) => format!("{text:<36} {ms:>8.1} ms"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::settings::{Flags, Sources};

    const READY: &str = include_str!("../../tests/data/ready.json");
    const SILENT: &str = include_str!("../../tests/data/api_silent.json");
    const OLD: &str = include_str!("../../tests/data/ten_fields.json");

    /// The page over a status file with this text, on a Monday at 09:30:04 in Hong Kong.
    fn page(name: &str, report: Option<&str>, minutes_later: i64) -> String {
        let folder = std::env::temp_dir().join(format!("ibga-status-page-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("status.json");
        if let Some(text) = report {
            ibga_core::status_file::write(&path, text, 0o600).expect("written");
        }
        let flags = Flags { status_file: path.to_str().map(str::to_owned), ..Flags::default() };
        let nothing = |_: &Path, _: &[u32]| Ok(None);
        let sources = Sources {
            environment: &|_| None,
            environment_names: vec![],
            read: &nothing,
            user_id: 0,
            host_name: &String::new,
            zone: &|| TimeZone::UTC,
        };
        let settings = Settings::load(&flags, &sources).expect("settings");
        let zone = TimeZone::get("Asia/Hong_Kong").expect("a zone");
        let now: Timestamp = "2026-11-23T01:30:04Z".parse().expect("an instant");
        let at = HereAndNow { now: now + SignedDuration::from_mins(minutes_later), zone };
        let judged = judge(&settings, MarketHours::Kept, &at, None).expect("judged");
        let forecast = judged.forecast(&settings);
        let page = Page { judged: &judged, settings: &settings, forecast, at, shown: Accounts::Masked, logs: None };
        let text = page.text(Paint::Plain);
        std::fs::remove_dir_all(&folder).expect("removed");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        text.replace(path.to_str().expect("UTF-8"), "/tmp/status.json")
    }

    #[test]
    fn pages() {
        for (name, report, minutes_later) in [
            ("ready", Some(READY), 0),
            ("silent", Some(SILENT), 0),
            ("stale", Some(READY), 15),
            ("ten_fields", Some(OLD), 0),
            ("missing", None, 0),
        ] {
            insta::assert_snapshot!(name, page(name, report, minutes_later));
        }
    }
}
