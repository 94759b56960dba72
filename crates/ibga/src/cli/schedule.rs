//! `ibga schedule`: what will happen when, and the same for a scheduler. This file holds the arguments and `next`; the two
//! schedulers have a file each.

mod crontab;
mod systemd;

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use ibga_core::calendar::{Exchange, Market};
use ibga_core::schedule::{DAYS_MAX, Event, Plan, What, events};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use super::preflight::{HereAndNow, here_and_now, pretty};
use super::{CommonArgs, Exit, MarketArgs, settings, usage_fault};
use crate::container::ENGINE_LIMIT;
use crate::market::{calendars, market_of_schedule};
use crate::output::{Output, printable};
use crate::schedule::{Jobs, WatchJob};
use crate::settings::{ChannelSettings, GatewayName, SETTINGS, Settings};

/// What a check may take beyond its limits before systemd ends it.
const SLACK: Duration = Duration::from_secs(30);

/// The largest file of a zone that is read; real ones have a few KiB.
const ZONE_BYTES_MAX: u64 = 256 * 1024;

const AFTER_HELP: &str = "\
Examples:
  ibga schedule next --days 3                       what will happen when, in both zones
  ibga schedule crontab --install -- ./agent.py     lines for cron, in this machine's zone
  ibga schedule systemd --install -- ./agent.py     units for systemd, in the exchange's zone

The plan is the exchange's unless agent_times, check_times or sunday_check_times say otherwise (ibga.toml, environment): \
the agent at each start of trading; checks 90 minutes before the open, 5 minutes before the agent, hourly while the \
exchange trades, and on Sundays, when the weekly login ends. Holidays and the afternoons of half days are left out. Of \
several exchanges the hours are those of the first; with exchange_rule any, so are the trading days.

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
  ibga schedule next                             the next 48 hours
  ibga schedule next --days 7 --exchange XHKG    a week
  ibga schedule next --json | jq -r '.events[] | select(.event == \"agent\").local_time'

Exit codes: 0 shown, 2 wrong usage or configuration.";

/// Show what will happen when, with IBKR's resets and the end of the weekly login between
#[derive(Debug, Args)]
#[command(after_help = NEXT_AFTER_HELP)]
struct NextArgs {
    /// How many times 24 hours to look ahead
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
        let market = market_of_schedule(&settings, &calendars(&settings).map_err(|fault| usage_fault(&fault))?);
        let Some(calendar) = market.first() else { return Err(usage_fault("no exchange is named; set one")) };
        let exchange = calendar.exchange();
        let known = calendar.zone().cloned().zip(calendar.local_date(at.now));
        let known =
            known.and_then(|(zone, today)| Some((zone, Plan::for_exchange(calendar, today, &settings.schedule)?)));
        let Some((zone, plan)) = known else {
            return Err(usage_fault(&format!("the calendar of {exchange} cannot be used; update this program")));
        };
        Ok(Self { settings, market, exchange, zone, plan })
    }

    /// What the jobs are made of, with the settings and the folder of whoever types this.
    fn jobs(&self, common: &CommonArgs, agent: &[String]) -> Result<Jobs, Exit> {
        let made = || -> Result<Jobs, String> {
            let folder = std::env::current_dir().map_err(|fault| format!("cannot find the current folder: {fault}"))?;
            Ok(Jobs {
                gateway: self.settings.gateway.to_string(),
                exchange: self.exchange.mic(),
                program: own_program()?,
                folder: text_of(&folder)?,
                flags: flags_to_carry(&self.settings, common)?,
                environment: environment_to_carry(&self.settings, &SAID_BY_FLAGS)?,
                check_limit: (self.settings.timeout + ENGINE_LIMIT) * 2 + SLACK,
                agent: whole_command(agent)?,
                plan: self.plan.clone(),
            })
        };
        made().map_err(|fault| usage_fault(&fault))
    }

    /// The watch of all gateways of the same configuration.
    fn watch_job(&self, common: &CommonArgs, market: &MarketArgs) -> Result<WatchJob, Exit> {
        let made = || -> Result<WatchJob, String> {
            let folder = std::env::current_dir().map_err(|fault| format!("cannot find the current folder: {fault}"))?;
            Ok(WatchJob {
                program: own_program()?,
                folder: text_of(&folder)?,
                flags: flags_of_watch(&self.settings, common, market)?,
                environment: environment_to_carry(&self.settings, &SAID_BY_FLAGS_OF_WATCH)?,
            })
        };
        made().map_err(|fault| usage_fault(&fault))
    }
}

/// What a job's flags say, whatever variable said it.
const SAID_BY_FLAGS: [&str; 4] = ["IBGA_CONFIG", "IBGA_GATEWAY", "IBGA_EXCHANGE", "IBGA_EXCHANGE_RULE"];

/// What the watch is told otherwise, or not at all: it is for all gateways.
const SAID_BY_FLAGS_OF_WATCH: [&str; 2] = ["IBGA_CONFIG", "IBGA_GATEWAY"];

/// The flags of the watch. Each gateway has exchanges of its own, so that only those count that were typed for all.
fn flags_of_watch(settings: &Settings, common: &CommonArgs, market: &MarketArgs) -> Result<Vec<String>, String> {
    let whole = |path: &Path| text_of(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    let mut flags = Vec::new();
    let mut add = |flag: &str, value: String| flags.extend([flag.to_owned(), value]);
    if let Some(config) = &settings.config {
        add("--config", whole(config)?);
    }
    if let Some(path) = &common.status_file {
        add("--status-file", whole(Path::new(path))?);
    }
    for exchange in &market.exchanges {
        add("--exchange", exchange.clone());
    }
    if let Some(rule) = &market.exchange_rule {
        add("--exchange-rule", rule.clone());
    }
    Ok(flags)
}

/// The flags that a job needs to mean the same gateway and the same hours, whatever its own settings come to say. Files are named
/// in full, since a scheduler stands elsewhere.
fn flags_to_carry(settings: &Settings, common: &CommonArgs) -> Result<Vec<String>, String> {
    let whole = |path: &Path| text_of(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    let mut flags = Vec::new();
    let mut add = |flag: &str, value: String| flags.extend([flag.to_owned(), value]);
    if let Some(config) = &settings.config {
        add("--config", whole(config)?);
    }
    add("--gateway", settings.gateway.to_string());
    if let Some(path) = &common.status_file {
        add("--status-file", whole(Path::new(path))?);
    }
    let market = &settings.market.value;
    for exchange in &market.exchanges {
        add("--exchange", exchange.mic().to_owned());
    }
    if market.exchanges.len() > 1 {
        add("--exchange-rule", market.combination.code().to_owned());
    }
    Ok(flags)
}

/// The settings that stand in the environment of whoever types the command: a scheduler's is another one. What the flags say is
/// left out. Secrets and account ids have no place where everybody reads.
fn environment_to_carry(settings: &Settings, by_flags: &[&str]) -> Result<Vec<(String, String)>, String> {
    let sends_mail = settings.alerts.channels.iter().any(ChannelSettings::is_mail);
    let mut carried = Vec::new();
    for setting in SETTINGS {
        let name = setting.environment;
        let Ok(value) = std::env::var(name) else { continue };
        if value.trim().is_empty() || by_flags.contains(&name) {
            continue;
        }
        if setting.is_secret() {
            if settings.alerts.has_secret(&value) {
                return Err(format!(
                    "{name} stands in this shell alone, and a crontab or a unit would show it to others: put it into `.env` here, \
                     or into a file that {name}_FILE names"
                ));
            }
            continue;
        }
        // The other names of mail servers may be meant for another program.
        if !name.starts_with("IB") && !sends_mail {
            continue;
        }
        if name == "IBGA_EXPECT_ACCOUNTS" {
            return Err(format!(
                "{name} stands in this shell alone, and a crontab or a unit would show the ids to others: put it into `.env` \
                 here, or expect_accounts into ibga.toml"
            ));
        }
        if name == "IBGA_ALERT_COMMAND" {
            return Err(format!(
                "{name} stands in this shell alone, and a crontab or a unit would show it to others: put it into `.env` here, or \
                 alert_command into ibga.toml"
            ));
        }
        carried.push((name.to_owned(), value));
    }
    Ok(carried)
}

/// This program as it was called: a link that is turned to the next version stays right.
fn own_program() -> Result<String, String> {
    let called = std::env::args_os().next().and_then(|name| name.into_string().ok());
    let found = called.and_then(|name| whole_program(&name));
    let own = || std::env::current_exe().map_err(|fault| format!("cannot find this program: {fault}"));
    found.map_or_else(|| text_of(&own()?), Ok)
}

fn text_of(path: &Path) -> Result<String, String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| format!("the name of {} is no UTF-8 text, which a scheduler cannot be told", path.display()))
}

/// The command with its program as a whole path, since a scheduler looks along another PATH. A program that is not there would
/// only be missed at its hour.
fn whole_command(command: &[String]) -> Result<Vec<String>, String> {
    let Some((program, arguments)) = command.split_first() else { return Ok(Vec::new()) };
    let whole = whole_program(program).ok_or_else(|| {
        format!("cannot start {}: there is no such program that may be executed; write its path", printable(program))
    })?;
    Ok(std::iter::once(whole).chain(arguments.iter().cloned()).collect())
}

/// Where a shell here would find it.
fn whole_program(name: &str) -> Option<String> {
    let path = if name.contains('/') {
        PathBuf::from(name)
    } else {
        let places = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&places).map(|folder| folder.join(name)).find(|path| is_executable(path))?
    };
    let whole = std::path::absolute(path).ok().filter(|path| is_executable(path))?;
    whole.to_str().map(str::to_owned)
}

/// Which gateway's jobs are to go. It need not be configured any more, nor need anything else be right.
fn gateway_to_remove(common: &CommonArgs) -> Result<GatewayName, Exit> {
    let named = common.gateway.clone().or_else(|| std::env::var("IBGA_GATEWAY").ok().filter(|name| !name.is_empty()));
    GatewayName::read(named.as_deref().unwrap_or(GatewayName::DEFAULT))
        .map_err(|fault| usage_fault(&format!("--gateway: {fault}")))
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// The zone by this machine's own database, by which its scheduler goes; ours may be newer.
fn as_this_machine_has_it(zone: TimeZone) -> TimeZone {
    let read = |name: &str| {
        let file = std::fs::File::open(Path::new("/usr/share/zoneinfo").join(name)).ok()?;
        let mut bytes = Vec::new();
        file.take(ZONE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        TimeZone::tzif(name, &bytes).ok()
    };
    zone.iana_name().and_then(read).unwrap_or(zone)
}

fn next(arguments: &NextArgs) -> Result<Exit, Exit> {
    let mut at = here_and_now();
    at.zone = as_this_machine_has_it(at.zone);
    let planned = Planned::read(&arguments.common, &arguments.market, &at)?;
    // At most a year from now, so that it cannot overflow; if it did, nothing would be shown.
    let until = at.now.checked_add((24 * i64::from(arguments.days)).hours()).unwrap_or(at.now);
    let events = events(&planned.plan, &planned.market, &planned.settings.resets(), at.now, until);
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
