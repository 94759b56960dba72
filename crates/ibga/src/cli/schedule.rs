//! `ibga schedule`: what will happen when, and the same for a scheduler. This file holds the arguments and `next`; the two
//! schedulers have a file each.

mod crontab;
mod systemd;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ibga_core::calendar::{Exchange, Market};
use ibga_core::schedule::{DAYS_MAX, Event, Plan, What, events, rising};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use super::preflight::{HereAndNow, here_and_now, pretty};
use super::{CommonArgs, Exit, MarketArgs, settings, usage_fault};
use crate::market::{calendars, market};
use crate::output::{Output, printable};
use crate::schedule::Jobs;
use crate::settings::{GatewayName, Settings};

const AFTER_HELP: &str = "\
Examples:
  ibga schedule next --days 3                       what will happen when, in both zones
  ibga schedule crontab --install -- ./agent.py     lines for cron, in this machine's zone
  ibga schedule systemd --install -- ./agent.py     units for systemd, in the exchange's zone

The plan is the exchange's unless agent_times, check_times or sunday_check_times say otherwise (ibga.toml, environment): \
the agent at each start of trading; checks 90 minutes before the open, 5 minutes before the agent, hourly while the \
exchange trades, and on Sundays, when the weekly login ends. Holidays and the afternoons of half days are left out.

Exit codes: 0 done, 1 something could not be installed, 2 wrong usage or configuration.";

/// Show the schedule of checks and agent runs, or write it for cron or systemd
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ScheduleArgs {
    #[command(subcommand)]
    command: ScheduleCommand,
}

#[derive(Debug, Subcommand)]
enum ScheduleCommand {
    Next(NextArgs),
    Crontab(crontab::CrontabArgs),
    Systemd(systemd::SystemdArgs),
}

const NEXT_AFTER_HELP: &str = "\
Examples:
  ibga schedule next                             today and tomorrow
  ibga schedule next --days 7 --exchange XHKG    a week
  ibga schedule next --json | jq -r '.events[] | select(.event == \"agent\").local_time'

Exit codes: 0 shown, 2 wrong usage or configuration.";

/// Show what will happen when, with IBKR's resets and the end of the weekly login between
#[derive(Debug, Args)]
#[command(after_help = NEXT_AFTER_HELP)]
struct NextArgs {
    /// How many days to look ahead
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(i32).range(1..=i64::from(DAYS_MAX)))]
    days: i32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    market: MarketArgs,
    #[command(flatten)]
    common: CommonArgs,
}

pub(super) fn run(arguments: &ScheduleArgs) -> Exit {
    let exit = match &arguments.command {
        ScheduleCommand::Next(arguments) => next(arguments),
        ScheduleCommand::Crontab(arguments) => crontab::run(arguments),
        ScheduleCommand::Systemd(arguments) => systemd::run(arguments),
    };
    exit.unwrap_or_else(|exit| exit)
}

/// A market whose first exchange has hours, and the plan around them.
struct Planned {
    settings: Settings,
    market: Market,
    /// The exchange by whose wall clock the plan goes: the one that was named first.
    exchange: Exchange,
    zone: TimeZone,
    plan: Plan,
}

impl Planned {
    fn read(common: &CommonArgs, market_arguments: &MarketArgs, at: &HereAndNow) -> Result<Self, Exit> {
        let mut flags = common.flags();
        market_arguments.add_to(&mut flags);
        let settings = settings(&flags, common.output())?;
        let market = market(&settings, &calendars(&settings).map_err(|fault| usage_fault(&fault))?);
        let Some(calendar) = market.first() else { return Err(usage_fault("no exchange is named; set one")) };
        let exchange = calendar.exchange();
        let known = calendar.zone().cloned().zip(calendar.local_date(at.now));
        let known = known.and_then(|(zone, today)| Some((zone, Plan::for_exchange(calendar, today)?)));
        let Some((zone, by_hours)) = known else {
            return Err(usage_fault(&format!(
                "the calendar of {exchange} has no hours for today; update this program"
            )));
        };
        let plan = plan(&settings, by_hours);
        Ok(Self { settings, market, exchange, zone, plan })
    }

    /// What the jobs are made of, with the flags that were given here and the folder in which they were.
    fn jobs(&self, common: &CommonArgs, market: &MarketArgs, agent: &[String]) -> Result<Jobs, Exit> {
        let here = |fault: std::io::Error| {
            crate::output::fault(&format!("cannot find this program and its folder: {fault}"));
            Exit::No
        };
        Ok(Jobs {
            gateway: self.settings.gateway.to_string(),
            exchange: self.exchange.mic(),
            program: std::env::current_exe().map_err(here)?,
            folder: std::env::current_dir().map_err(here)?,
            flags: carried_over(&self.settings, common, market),
            agent: agent.to_vec(),
            plan: self.plan.clone(),
        })
    }
}

/// What the settings say of the plan, and of the rest what the exchange's hours say.
fn plan(settings: &Settings, by_hours: Plan) -> Plan {
    let chosen = |set: &[jiff::civil::Time], otherwise| if set.is_empty() { otherwise } else { rising(set.to_vec()) };
    Plan {
        agent: chosen(&settings.agent_times, by_hours.agent),
        checks: chosen(&settings.check_times, by_hours.checks),
        sunday_checks: chosen(&settings.sunday_check_times, by_hours.sunday_checks),
    }
}

/// The flags that a job needs to find the same settings. Files are named in full, since a scheduler stands elsewhere.
fn carried_over(settings: &Settings, common: &CommonArgs, market: &MarketArgs) -> Vec<String> {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    let mut flags = Vec::new();
    let mut add =
        |flag: &str, value: Option<String>| flags.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value]));
    add("--config", settings.config.as_deref().map(whole));
    add("--gateway", (settings.gateway.as_str() != GatewayName::DEFAULT).then(|| settings.gateway.to_string()));
    add("--status-file", common.status_file.as_ref().map(|path| whole(&PathBuf::from(path))));
    for exchange in &market.exchanges {
        add("--exchange", Some(exchange.clone()));
    }
    add("--exchange-rule", market.exchange_rule.clone());
    flags
}

fn next(arguments: &NextArgs) -> Result<Exit, Exit> {
    let at = here_and_now();
    let planned = Planned::read(&arguments.common, &arguments.market, &at)?;
    // At most a year from now, so that it cannot overflow; if it did, nothing would be shown.
    let until = at.now.checked_add((24 * i64::from(arguments.days)).hours()).unwrap_or(at.now);
    let events = events(&planned.plan, &planned.market, &planned.settings.reset_windows, at.now, until);
    let output: Output = arguments.common.output();
    let table = Table { planned: &planned, host: &at.zone };
    if arguments.json {
        output.document(&table.json(&events));
    } else {
        output.data(&table.text(&events, until));
    }
    Ok(Exit::Yes)
}

/// Events as a person or a program reads them.
struct Table<'a> {
    planned: &'a Planned,
    host: &'a TimeZone,
}

impl Table<'_> {
    fn text(&self, events: &[Event], until: Timestamp) -> String {
        let exchange = self.planned.exchange.mic();
        let host = self.host.iana_name().unwrap_or("here");
        let mut lines = vec![format!("{exchange:<9}{host}")];
        let mut last_date = None;
        for event in events {
            let there = event.at.to_zoned(self.planned.zone.clone());
            if last_date != Some(there.date()) {
                lines.push(format!("\n{}", there.strftime("%a %Y-%m-%d")));
                last_date = Some(there.date());
            }
            let here = event.at.to_zoned(self.host.clone());
            let other_day = if here.date() == there.date() { String::new() } else { here.strftime(" %a").to_string() };
            let here = format!("{}{other_day}", here.strftime("%H:%M"));
            lines.push(format!("{}    {here:<11} {}", there.strftime("%H:%M"), printable(&self.what(&event.what))));
        }
        if events.is_empty() {
            lines.push(format!(
                "\nnothing until {}",
                until.to_zoned(self.host.clone()).strftime("%a %Y-%m-%d %H:%M %:z")
            ));
        }
        lines.join("\n")
    }

    fn what(&self, what: &What) -> String {
        match what {
            What::Check => "check".into(),
            What::Agent => "agent".into(),
            What::NoAgent { market } => format!("no agent: {market}"),
            What::Closed { market } => market.clone(),
            What::Unknown => "from here on the calendar is not known; the gate will say no (update ibga)".into(),
            What::Reset { region, until } => {
                let until = until.to_zoned(self.planned.zone.clone());
                format!("IBKR resets servers: {region}, until {}", until.strftime("%H:%M"))
            }
            What::TokenEnd => "the weekly login ends: after the next restart somebody has to approve".into(),
        }
    }

    fn json(&self, events: &[Event]) -> String {
        let there = |instant: Timestamp| instant.to_zoned(self.planned.zone.clone());
        let local = |instant: Timestamp, zone: &TimeZone| {
            instant.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
        };
        let documents = events.iter().map(|event| {
            let (market, region, until) = match &event.what {
                What::NoAgent { market } | What::Closed { market } => (Some(market.clone()), None, None),
                What::Reset { region, until } => (None, Some(region.clone()), Some(until.to_string())),
                What::Check | What::Agent | What::Unknown | What::TokenEnd => (None, None, None),
            };
            json!({
                "at": event.at.to_string(),
                "event": event.what.code(),
                "exchange_time": local(event.at, there(event.at).time_zone()),
                "local_time": local(event.at, self.host),
                "market": market,
                "region": region,
                "until": until,
            })
        });
        let events: Vec<Value> = documents.collect();
        pretty(&json!({
            "exchange": self.planned.exchange.mic(),
            "exchange_zone": self.planned.zone.iana_name(),
            "local_zone": self.host.iana_name(),
            "events": events,
        }))
    }
}
