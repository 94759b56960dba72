//! The gate: go or no-go for an agent, from the newest report, the clock, the expectations and the market. A pure function that
//! fails closed: whatever cannot be judged is a no-go, and every reason is told, not only the first.

mod broker_hours;
mod market_text;

use std::fmt::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::account::Mode;
use crate::calendar::{Calendars, Comparison, MarketMoment, MarketState};
use crate::cause::Status;
use crate::halt::HaltSeen;
use crate::observation::{Broker, Orders};
use crate::report::{HoursQuestion, PortState, Report};
use crate::secure_file::ReadError;
use crate::status_file::StatusFileError;
use crate::verdict::Expectations;

pub use market_text::{market_text, warnings as market_warnings};

/// How far in the future a report may lie: two clocks are never quite the same.
pub const FUTURE_TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// What is judged.
#[derive(Debug)]
pub struct Question<'a> {
    /// The gateway whose report is wanted.
    pub gateway: &'a str,
    /// Its host and port, if anyone set them.
    pub endpoint: Option<&'a str>,
    /// Where the report was looked for.
    pub path: &'a Path,
    /// The report, or why there is none.
    pub report: Result<&'a Report, &'a StatusFileError>,
    /// The time.
    pub now: Timestamp,
    /// The zone in which people are told it.
    pub zone: &'a TimeZone,
    /// The halts that concern this gateway. Nothing passes one over.
    pub halts: &'a [HaltSeen],
    /// The age from which on a report is stale.
    pub max_age: Duration,
    /// What the operator expects of the login.
    pub expected: &'a Expectations,
    /// The market.
    pub market: MarketRule<'a>,
    /// Whose trading hours the operator wants compared with the calendar, if any.
    pub hours_of: Option<&'a HoursQuestion>,
}

/// What the market check goes by.
#[derive(Debug)]
pub enum MarketRule<'a> {
    /// The exchanges as their calendars see this moment.
    At {
        /// The moment.
        moment: &'a MarketMoment,
        /// Who chose the exchanges.
        chosen: Chosen,
        /// The calendars that the hours of the broker are compared with.
        calendars: &'a Calendars,
    },
    /// The operator asked to pass over market hours.
    Forced,
}

/// Who chose a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// A flag, the environment or a file.
    BySetting,
    /// Nobody; it is the default.
    ByDefault,
}

/// A rule of the gate, with a stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Nobody has halted the agents.
    NotHalted,
    /// The status file is there.
    StatusFile,
    /// Nobody else could have written it.
    Secure,
    /// This user may read it.
    Readable,
    /// It holds a report of a known schema.
    Report,
    /// The report speaks of this gateway.
    Gateway,
    /// It is young enough.
    Fresh,
    /// It is not from the future.
    NotFromFuture,
    /// It says ready, and nothing in it says otherwise.
    Ready,
    /// An account is logged in.
    Authenticated,
    /// The expected accounts and mode.
    Account,
    /// The exchange is in continuous trading.
    Market,
    /// The trading hours that the broker told do not contradict the calendar.
    BrokerHours,
    /// The broker was asked for the trading hours that the operator wants compared.
    BrokerHoursAsked,
}

impl Rule {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotHalted => "not_halted",
            Self::StatusFile => "status_file",
            Self::Secure => "secure",
            Self::Readable => "readable",
            Self::Report => "report",
            Self::Gateway => "gateway",
            Self::Fresh => "fresh",
            Self::NotFromFuture => "not_from_future",
            Self::Ready => "ready",
            Self::Authenticated => "authenticated",
            Self::Account => "account",
            Self::Market => "market",
            Self::BrokerHours | Self::BrokerHoursAsked => "broker_hours",
        }
    }

    /// The stable code of a reason: what it means that the rule does not hold.
    pub fn fault_code(self) -> &'static str {
        match self {
            Self::NotHalted => "halted",
            Self::StatusFile => "status_missing",
            Self::Secure => "status_untrusted",
            Self::Readable => "status_unreadable",
            Self::Report => "status_invalid",
            Self::Gateway => "other_gateway",
            Self::Fresh => "status_stale",
            Self::NotFromFuture => "status_from_future",
            Self::Ready => "not_ready",
            Self::Authenticated => "not_authenticated",
            Self::Account => "unexpected_login",
            Self::Market => "market_closed",
            Self::BrokerHours => "market_contradiction",
            Self::BrokerHoursAsked => "market_not_compared",
        }
    }

    /// What to do if it does not hold; none where the report's own remedy says it, or where waiting is all there is.
    pub fn remedy(self) -> Option<&'static str> {
        match self {
            Self::NotHalted => Some(
                "when the reason is gone, let agents run again: `ibga resume`, with --gateway where it halts one gateway alone",
            ),
            Self::StatusFile | Self::Fresh => {
                Some("run `ibga check`, and see to it that its schedule runs (cron, systemd timer)")
            }
            Self::Secure => {
                Some("find out who put the file there, remove it and run `ibga check` as its rightful user")
            }
            Self::Readable => Some(
                "run as the user whose `ibga check` writes the file, or let it write for others: status_file_mode = \"0644\", and its user in trusted_owners here",
            ),
            Self::Report => Some("run `ibga check`, which writes the file anew"),
            Self::Gateway => Some(
                "run `ibga check` with the same settings, or name the gateway (--gateway) or its status file (--status-file)",
            ),
            Self::NotFromFuture => Some("set the clock (`timedatectl status`), then run `ibga check`"),
            Self::Account => Some("leave the agent stopped, and log the gateway in with the user that was expected"),
            Self::BrokerHours => Some(
                "look the day up with the exchange: if IBKR is right, correct the calendar (calendar_overrides, docs/calendar.md); if the calendar is, leave probe_contract out for the day",
            ),
            Self::BrokerHoursAsked => {
                Some("run `ibga check` with the same probe_contract, which asks for them; ibga.toml sets it for both")
            }
            Self::Ready | Self::Authenticated | Self::Market => None,
        }
    }

    /// Whether people know of it before anybody tells them.
    pub fn is_expected(self) -> bool {
        matches!(self, Self::Market | Self::NotHalted)
    }

    /// Who speaks in the text of a reason.
    fn speaker(self) -> &'static str {
        if matches!(self, Self::Market | Self::BrokerHours | Self::BrokerHoursAsked) { "Market" } else { "IBGA" }
    }
}

/// How one rule came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The rule.
    pub rule: Rule,
    /// Passed or failed.
    pub outcome: Outcome,
    /// What was found.
    pub text: String,
}

/// Passed, failed or passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not.
    Failed,
    /// The operator asked to pass it over.
    PassedOver,
}

impl Outcome {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::PassedOver => "passed_over",
        }
    }
}

/// Go or no-go, with every rule that could be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The rules, in their order. Those that need a report are missing where there is none.
    pub checks: Vec<Check>,
    /// The hours that the broker told against the calendar; none where there was nothing to compare.
    pub broker_hours: Option<Comparison>,
}

impl Decision {
    /// Whether an agent may start.
    pub fn is_go(&self) -> bool {
        !self.checks.is_empty() && self.failures().next().is_none()
    }

    /// Why not.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.outcome == Outcome::Failed)
    }

    /// Whether nothing but the closed market and a halt are the reasons, which people know: no news.
    pub fn is_expected(&self) -> bool {
        !self.is_go() && self.failures().all(|check| check.rule.is_expected())
    }
}

impl fmt::Display for Check {
    /// `IBGA: Status is stale (15.2 minutes old, max 10)`: the wording that operators know.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule.speaker(), self.text)
    }
}

/// Judges.
pub fn judge(question: &Question<'_>) -> Decision {
    let mut checks = Vec::with_capacity(12);
    checks.extend(judge_halts(question));
    match question.report {
        Ok(report) => judge_report(question, report, &mut checks),
        Err(fault) => checks.extend(judge_fault(question.path, fault)),
    }
    checks.push(judge_market(&question.market));
    let compared = question.report.ok().and_then(|report| broker_hours::judge(question, report));
    let (check, broker_hours) = compared.map_or((None, None), |(check, comparison)| (Some(check), comparison));
    checks.extend(check);
    Decision { checks, broker_hours }
}

fn passed(rule: Rule, text: impl Into<String>) -> Check {
    Check { rule, outcome: Outcome::Passed, text: text.into() }
}

fn failed(rule: Rule, text: impl Into<String>) -> Check {
    Check { rule, outcome: Outcome::Failed, text: text.into() }
}

/// Each halt is a reason of its own, since each has to be ended by itself.
fn judge_halts(question: &Question<'_>) -> Vec<Check> {
    let told = |seen: &HaltSeen| failed(Rule::NotHalted, seen.text(question.now, question.zone));
    match question.halts {
        [] => vec![passed(Rule::NotHalted, "Nobody has halted agents")],
        halts => halts.iter().map(told).collect(),
    }
}

fn judge_fault(path: &Path, fault: &StatusFileError) -> Vec<Check> {
    let path = path.display();
    let found = || passed(Rule::StatusFile, format!("Status file {path}"));
    match fault {
        StatusFileError::File(ReadError::NotFound) => {
            vec![failed(Rule::StatusFile, format!("Status file not found: {path}"))]
        }
        StatusFileError::File(fault @ (ReadError::Io(_) | ReadError::PermissionDenied)) => {
            vec![found(), failed(Rule::Readable, format!("Status file {path} cannot be read: {fault}"))]
        }
        StatusFileError::File(
            fault @ (ReadError::SymbolicLink
            | ReadError::NotAFile
            | ReadError::ForeignOwner(_)
            | ReadError::WritableByOthers(_)),
        ) => vec![found(), failed(Rule::Secure, format!("Status file {path} is not trusted: {fault}"))],
        StatusFileError::File(fault @ (ReadError::TooLong(_) | ReadError::NotText)) => {
            vec![found(), secure(), failed(Rule::Report, format!("Status file {path} holds no report: {fault}"))]
        }
        StatusFileError::NotRefreshed(fault) => {
            vec![failed(Rule::StatusFile, format!("Status could not be refreshed: {fault}"))]
        }
        StatusFileError::Report(fault) => {
            vec![found(), secure(), failed(Rule::Report, format!("Status file {path} holds no report: {fault}"))]
        }
    }
}

fn secure() -> Check {
    passed(Rule::Secure, "Status file can only be written by those who may")
}

fn judge_report(question: &Question<'_>, report: &Report, checks: &mut Vec<Check>) {
    let schema = if report.more.is_some() { "schema 1" } else { "the ten fields of older writers" };
    checks.push(passed(Rule::StatusFile, format!("Status file {}", question.path.display())));
    checks.push(secure());
    checks.push(passed(Rule::Report, format!("Status file holds a report ({schema})")));
    checks.push(judge_gateway(question, report));
    checks.push(judge_age(question, report));
    checks.push(judge_future(question.now, report));
    checks.push(judge_ready(report));
    checks.push(if report.authenticated && !report.accounts.is_empty() {
        passed(Rule::Authenticated, format!("{} logged in", count(report.accounts.len(), "account")))
    } else {
        failed(Rule::Authenticated, "IBGA not authenticated: no account is logged in")
    });
    checks.push(match question.expected.judge_accounts(&report.accounts) {
        Ok(()) if question.expected.accounts.is_empty() && question.expected.mode.is_none() => {
            passed(Rule::Account, "No account or mode is expected")
        }
        Ok(()) => passed(Rule::Account, "Account and mode are the expected ones"),
        Err((cause, text)) => failed(Rule::Account, format!("IBGA not ready: {cause} ({text})")),
    });
}

fn judge_gateway(question: &Question<'_>, report: &Report) -> Check {
    let (wanted, endpoint) = (question.gateway, question.endpoint);
    let Some(more) = &report.more else {
        return passed(Rule::Gateway, "Status names no gateway (older writer)");
    };
    if more.gateway != wanted {
        return failed(
            Rule::Gateway,
            format!("Status speaks of gateway {}, not of {wanted}", printable(&more.gateway)),
        );
    }
    if let Some(endpoint) = endpoint.filter(|endpoint| *endpoint != more.endpoint) {
        let told = printable(&more.endpoint);
        return failed(Rule::Gateway, format!("Status speaks of {told}, gateway {wanted} is set to {endpoint}"));
    }
    passed(Rule::Gateway, format!("Status speaks of gateway {wanted} at {}", printable(&more.endpoint)))
}

/// Text out of a file on its way to a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

fn judge_age(question: &Question<'_>, report: &Report) -> Check {
    let age = question.now.duration_since(report.timestamp);
    let max = SignedDuration::try_from(question.max_age).unwrap_or(SignedDuration::MAX);
    let max_text = minutes(max);
    if age >= max {
        return failed(
            Rule::Fresh,
            format!("Status is stale ({:.1} minutes old, max {max_text})", age.as_secs_f64() / 60.0),
        );
    }
    let age = age.max(SignedDuration::ZERO);
    passed(Rule::Fresh, format!("Status is {} old (max {max_text} minutes)", age_text(age)))
}

fn minutes(span: SignedDuration) -> String {
    let minutes = span.as_secs_f64() / 60.0;
    if span.as_millis() % 60_000 == 0 { format!("{minutes:.0}") } else { format!("{minutes:.1}") }
}

/// `42 s`, `12 min`, `3 h 05 min`, `2 d 4 h`.
pub fn age_text(span: SignedDuration) -> String {
    let seconds = span.as_secs();
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h {:02} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn judge_future(now: Timestamp, report: &Report) -> Check {
    let ahead = report.timestamp.duration_since(now);
    if ahead > FUTURE_TOLERANCE {
        let text = format!("Status is from the future ({:.0} seconds ahead); compare the clocks", ahead.as_secs_f64());
        return failed(Rule::NotFromFuture, text);
    }
    passed(Rule::NotFromFuture, "Status is not from the future")
}

/// Ready is believed only if flag, status, cause and accounts all agree.
fn judge_ready(report: &Report) -> Check {
    let cause_agrees = report.cause().is_none_or(|cause| cause.status() == report.status);
    let flag_agrees = report.ready_to_trade == (report.status == Status::Ready);
    if !cause_agrees || !flag_agrees {
        let cause = report.cause().map(|cause| format!(", cause {cause}")).unwrap_or_default();
        let text = format!(
            "Status contradicts itself (status {}, ready_to_trade {}{cause})",
            report.status, report.ready_to_trade
        );
        return failed(Rule::Ready, text);
    }
    if report.status != Status::Ready {
        let cause = report.cause().map(|cause| format!(" ({cause})")).unwrap_or_default();
        return failed(Rule::Ready, format!("IBGA not ready: {}{cause}", report.status));
    }
    if let Some(what) = contradiction(report) {
        return failed(Rule::Ready, format!("Status contradicts itself (ready {what})"));
    }
    // The operator told the checker to let these pass; whoever reads the decision shall know.
    let more = report.more.as_ref();
    let mut text = String::from("IBGA ready");
    if more.is_some_and(|more| more.broker == Broker::Unproven) {
        text.push_str("; the broker was not asked (--broker-probe off)");
    }
    if more.is_some_and(|more| more.orders == Some(Orders::ReadOnly)) {
        text.push_str("; orders would be refused (--allow-read-only)");
    }
    passed(Rule::Ready, text)
}

/// What in a report that says ready says otherwise.
fn contradiction(report: &Report) -> Option<&'static str> {
    let more = report.more.as_ref();
    let down = ["missing", "stopped", "paused", "restarting", "exited", "dead", "created"];
    [
        (report.port != PortState::Open, "without an open port"),
        (!report.connected, "without a session"),
        (!report.authenticated || report.accounts.is_empty(), "without accounts"),
        (report.error.is_some(), "with an error"),
        (down.contains(&report.container.as_str()), "with a container that does not run"),
        (more.is_some_and(|more| more.broker == Broker::Silent), "with a silent broker"),
        (more.is_some_and(|more| more.orders == Some(Orders::Unproven)), "without leave to place orders"),
        (more.is_some_and(|more| more.mode != Mode::of(&report.accounts)), "with a mode that its accounts do not have"),
    ]
    .into_iter()
    .find_map(|(holds, what)| holds.then_some(what))
}

fn judge_market(market: &MarketRule<'_>) -> Check {
    let MarketRule::At { moment, chosen, .. } = market else {
        return Check {
            rule: Rule::Market,
            outcome: Outcome::PassedOver,
            text: "Market hours passed over (--force)".into(),
        };
    };
    let open = moment.state == MarketState::Open;
    let mut text = market_text(moment);
    for warning in market_text::warnings(moment) {
        let _ = write!(text, "; {warning}");
    }
    if !open && *chosen == Chosen::ByDefault {
        let names = market_text::names(moment);
        let _ =
            write!(text, "; {names} is only the default: --exchange names another, --force passes market hours over");
    }
    if open { passed(Rule::Market, text) } else { failed(Rule::Market, text) }
}

#[cfg(test)]
mod tests;
