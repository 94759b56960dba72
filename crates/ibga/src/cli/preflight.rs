//! `ibga preflight`: go or no-go for an agent, from the status file and the market. Opens no socket and starts no runtime.

use clap::Args;
use ibga_core::calendar::{Agreement, Auction, Calendars, Comparison, MarketMoment, Member};
use ibga_core::clock;
use ibga_core::forecast::Forecast;
use ibga_core::gate::{self, Check, Chosen, Decision, MarketRule, Outcome, Question, Rule};
use ibga_core::report::{Details, Report};
use ibga_core::status_file::{self, StatusFileError};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{CommonArgs, Exit, ExpectArgs, JudgeArgs, settings, usage_fault};
use crate::check::{endpoint, expectations, trust};
use crate::forecast;
use crate::halt;
use crate::market::{calendars, market};
use crate::output::{Output, printable};
use crate::settings::{Origin, ProbeContract, Settings};

const AFTER_HELP: &str = "\
Examples:
  ibga preflight && ./agent.py                   better: ibga run -- ./agent.py
  ibga preflight --force                         pass over market hours, nothing else
  ibga preflight --json | jq '.reasons[].code'   why not, for a program

It opens no socket, only the status file that `ibga check` wrote. An agent may start if that file could be written by nobody else, \
speaks of this gateway, is young enough and says ready, if the login is the expected one, and if the exchange is open. Whatever \
cannot be judged is a no, and every reason is told.

Exit codes: 0 go, 1 no-go, 2 wrong usage or configuration.";

/// Judge the status file and the market: may an agent start now?
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct PreflightArgs {
    /// Print the decision as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    judge: JudgeArgs,
    #[command(flatten)]
    expect: ExpectArgs,
    #[command(flatten)]
    common: CommonArgs,
}

pub(super) fn run(arguments: &PreflightArgs) -> Exit {
    let mut flags = arguments.common.flags();
    arguments.judge.add_to(&mut flags);
    arguments.expect.add_to(&mut flags);
    let judged = settings(&flags, arguments.common.output())
        .and_then(|settings| judge(&settings, MarketHours::from_flag(arguments.judge.force), &here_and_now(), None));
    let judged = match judged {
        Ok(judged) => judged,
        Err(exit) => return exit,
    };
    let output = arguments.common.output();
    if arguments.json {
        output.document(&pretty(&judged.document()));
    } else {
        output.data(&judged.text());
    }
    if judged.decision.is_go() { Exit::Yes } else { Exit::No }
}

/// Whether market hours count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MarketHours {
    /// They do.
    Kept,
    /// The operator asked to pass them over.
    PassedOver,
}

impl MarketHours {
    pub(super) fn from_flag(force: bool) -> Self {
        if force { Self::PassedOver } else { Self::Kept }
    }
}

/// A decision and what it was made from.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) decision: Decision,
    pub(super) report: Option<Report>,
    gateway: String,
    path: String,
    at: HereAndNow,
    moment: MarketMoment,
}

/// The hour, and the zone in which this machine tells it.
#[derive(Clone, Debug)]
pub(super) struct HereAndNow {
    pub(super) now: Timestamp,
    pub(super) zone: TimeZone,
}

/// Asks the clock.
pub(super) fn here_and_now() -> HereAndNow {
    HereAndNow { now: clock::now(), zone: TimeZone::system() }
}

/// Judges the newest report. A fault of the settings ends it before anything is judged.
///
/// A report that was made just now is judged as it is; otherwise the status file is read.
pub(super) fn judge(
    settings: &Settings,
    hours: MarketHours,
    at: &HereAndNow,
    made_now: Option<Result<Report, StatusFileError>>,
) -> Result<Judged, Exit> {
    let calendars = calendars(settings).map_err(|fault| usage_fault(&fault))?;
    Ok(judge_by(settings, &calendars, hours, at, made_now))
}

/// The same by calendars that were read already.
pub(super) fn judge_by(
    settings: &Settings,
    calendars: &Calendars,
    hours: MarketHours,
    at: &HereAndNow,
    made_now: Option<Result<Report, StatusFileError>>,
) -> Judged {
    let now = at.now;
    let moment = market(settings, calendars).at(now);
    let chosen = if settings.market.origin() == Origin::Default { Chosen::ByDefault } else { Chosen::BySetting };
    let read = made_now.unwrap_or_else(|| status_file::read(&settings.status_file, &trust(settings), &at.zone));
    let endpoint = endpoint(settings);
    let hours_of = settings.probe_contract.as_ref().map(ProbeContract::hours_question);
    let decision = gate::judge(&Question {
        gateway: settings.gateway.as_str(),
        endpoint: (settings.endpoint_chosen == Chosen::BySetting).then_some(endpoint.as_str()),
        path: &settings.status_file,
        report: read.as_ref(),
        now,
        zone: &at.zone,
        halts: &halt::seen(settings),
        max_age: settings.max_status_age,
        expected: &expectations(settings),
        market: match hours {
            MarketHours::Kept => MarketRule::At { moment: &moment, chosen, calendars },
            MarketHours::PassedOver => MarketRule::Forced,
        },
        hours_of: hours_of.as_ref(),
    });
    Judged {
        decision,
        report: read.ok(),
        gateway: settings.gateway.as_str().into(),
        path: settings.status_file.display().to_string(),
        moment,
        at: at.clone(),
    }
}

impl Judged {
    /// The same with nothing in it but the halts, if there are any: what nobody can pass over.
    pub(super) fn halted(&self) -> Option<Self> {
        let is_halt = |check: &&Check| check.rule == Rule::NotHalted && check.outcome == Outcome::Failed;
        let checks: Vec<Check> = self.decision.checks.iter().filter(is_halt).cloned().collect();
        let decision = Decision { checks, broker_hours: None };
        (!decision.checks.is_empty()).then(|| Self {
            decision,
            report: None,
            gateway: self.gateway.clone(),
            path: self.path.clone(),
            at: self.at.clone(),
            moment: self.moment.clone(),
        })
    }

    /// What the market does, in words.
    pub(super) fn market(&self) -> String {
        let text = std::iter::once(gate::market_text(&self.moment)).chain(gate::market_warnings(&self.moment));
        printable(&text.collect::<Vec<_>>().join("; "))
    }

    /// What came of comparing the broker's hours with the calendar, in words, if nothing speaks against a start.
    pub(super) fn broker_hours(&self) -> Option<String> {
        let is_told = |check: &&Check| check.rule == Rule::BrokerHours && check.outcome != Outcome::Failed;
        self.decision.checks.iter().find(is_told).map(|check| printable(&check.text))
    }

    /// What a report tells that is of this gateway and of now.
    fn believed(&self) -> Option<&Details> {
        let is_other = |check: &Check| matches!(check.rule, Rule::Gateway | Rule::Fresh | Rule::NotFromFuture);
        let is_believed = !self.decision.failures().any(is_other);
        self.report.as_ref()?.more.as_ref().filter(|_| is_believed)
    }

    /// What is ahead as of now. A report that cannot be believed tells nothing of the login.
    pub(super) fn forecast(&self, settings: &Settings) -> Option<Forecast> {
        let now = self.at.now;
        let ahead = forecast::forecast(settings, None, now)?;
        Some(match self.believed() {
            Some(more) => ahead.about(more.cause, more.since, now),
            None => ahead,
        })
    }

    /// What to do. A report that cannot be believed has no say in it.
    pub(super) fn remedies(&self) -> Vec<String> {
        let rules: Vec<Rule> = self.decision.failures().map(|check| check.rule).collect();
        let told = self.believed().and_then(|more| more.remedy.clone()).filter(|_| rules.contains(&Rule::Ready));
        told.into_iter().chain(rules.iter().filter_map(|rule| rule.remedy()).map(str::to_owned)).collect()
    }

    /// The reasons in the wording that operators know.
    pub(super) fn failure_text(&self) -> String {
        let mut lines = vec!["PRE-FLIGHT FAILED - Agent cannot start".to_owned()];
        lines.extend(self.decision.failures().map(|check| format!("Reason: {}", printable(&check.to_string()))));
        lines.extend(self.remedies().iter().map(|remedy| format!("What to do: {}", printable(remedy))));
        lines.join("\n")
    }

    fn text(&self) -> String {
        let head =
            if self.decision.is_go() { "PRE-FLIGHT PASSED - Agent may start".to_owned() } else { self.failure_text() };
        let checks = self.decision.checks.iter().map(|check| {
            let mark = match check.outcome {
                Outcome::Passed => "ok",
                Outcome::Failed => "FAIL",
                Outcome::PassedOver => "skip",
            };
            format!("  {mark:<5} {}", printable(&check.text))
        });
        std::iter::once(head).chain(checks).collect::<Vec<_>>().join("\n")
    }

    /// The decision as JSON.
    pub(super) fn document(&self) -> Value {
        let reasons: Vec<Value> = self
            .decision
            .failures()
            .map(|check| json!({"code": check.rule.fault_code(), "text": check.to_string()}))
            .collect();
        let checks: Vec<Value> = self
            .decision
            .checks
            .iter()
            .map(|check| json!({"rule": check.rule.code(), "outcome": check.outcome.as_str(), "text": check.text}))
            .collect();
        json!({
            "go": self.decision.is_go(),
            "gateway": self.gateway,
            "status_file": self.path,
            "judged_at": self.at.now.to_string(),
            "reasons": reasons,
            "remedies": self.remedies(),
            "checks": checks,
            "market": market_document(&self.moment),
            "broker_hours": self.decision.broker_hours.as_ref().map(comparison_document),
        })
    }

    /// The one line of a log that tells of a no-go.
    pub(super) fn log_line(&self, command: &str) -> String {
        let reasons: Vec<String> = self.decision.failures().map(|check| printable(&check.text)).collect();
        let at = self.at.now.to_zoned(self.at.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        format!("{at} ibga run: no-go, {command} was not started: {}", reasons.join("; "))
    }
}

/// The market as JSON. Of one exchange the phase is its own, of several `open`, `closed` or `unknown`.
fn market_document(market: &MarketMoment) -> Value {
    let utc = |instant: Option<Timestamp>| instant.map(|instant| instant.to_string());
    let mics: Vec<&str> = market.members.iter().map(|member| member.moment.exchange.mic()).collect();
    let (phase, next_open) = match market.members.as_slice() {
        [member] => (member.moment.phase.code(), member.moment.next_open),
        _ => (market.state.code(), market.next_open),
    };
    let members = market.members.iter().map(|Member { moment, .. }| {
        json!({
            "exchange": moment.exchange.mic(),
            "phase": moment.phase.code(),
            "next_open": utc(moment.next_open),
            "next_close": utc(moment.next_close),
            "data": moment.data.code(),
            "auction": moment.auction.map(Auction::code),
            "overrides": moment.overrides.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    });
    json!({
        "exchange": mics.join(","),
        "phase": phase,
        "next_open": utc(next_open),
        "rule": (mics.len() > 1).then(|| market.combination.code()),
        "exchanges": members.collect::<Vec<_>>(),
        "warnings": gate::market_warnings(market),
    })
}

/// The hours that the broker told against the calendar as JSON: both readings where one of them is wrong.
fn comparison_document(comparison: &Comparison) -> Value {
    let days = comparison.days.iter().map(|day| {
        let (code, why, readings) = match &day.agreement {
            Agreement::Agreed => ("agreed", None, None),
            Agreement::NotCompared(why) => ("not_compared", Some(why.to_string()), None),
            Agreement::Contradiction { calendar, broker } => ("contradiction", None, Some((calendar, broker))),
        };
        json!({
            "date": day.date.to_string(),
            "outcome": code,
            "why": why,
            "calendar": readings.map(|(calendar, _)| calendar.to_string()),
            "ibkr": readings.map(|(_, broker)| broker.to_string()),
        })
    });
    json!({"exchange": comparison.exchange.mic(), "days": days.collect::<Vec<_>>()})
}

/// JSON for a person and a program alike.
pub(super) fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap_or_default()
}

/// Tells of a no-go on standard error.
pub(super) fn tell_no_go(judged: &Judged, command: &str, output: Output) {
    output.message(&judged.failure_text());
    crate::output::fault(&judged.log_line(command));
}
