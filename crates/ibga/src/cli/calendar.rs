//! `ibga calendar`: the trading sessions as this program sees them, for a person and for a program.

mod month;
mod page;

use clap::Args;
use ibga_core::calendar::{Calendar, DayLength, Exchange, Market, Phase};
use ibga_core::gate::market_warnings;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::preflight::{HereAndNow, here_and_now, pretty};
use super::{CommonArgs, Exit, offered, settings, usage_fault};
use crate::market::{calendars, market};
use crate::output::{Output, Paint, printable};
use crate::settings::check_exchanges;

const AFTER_HELP: &str = "\
Examples:
  ibga calendar                              now and next, on the exchange that is set
  ibga calendar XHKG XNYS                    on these two, and when both are open
  ibga calendar XHKG,XNYS --exchange-rule any  and when one of them is
  ibga calendar XHKG --month 2026-12         a month as a drawing
  ibga calendar --list                       what is known, from where, and to when
  ibga calendar XHKG --at 2026-12-24T04:00:00Z --json | jq -r .phase

Phases: open, lunch, before_open, after_close, early_closed, closed_holiday, closed_weekend, unknown.
Exit codes: 0 told, 2 wrong usage or configuration.";

/// Show the trading sessions: now and next, a month, or what is known
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct CalendarArgs {
    /// Exchanges, as --exchange of `ibga preflight` takes them [default: those that are set, XHKG if none is]
    #[arg(value_name = "MIC|stock_connect", value_parser = offered::exchanges(), hide_possible_values = true)]
    exchanges: Vec<String>,
    /// Of several exchanges: all have to be open at once, or any is enough [default: all]
    #[arg(long, value_name = "any|all", value_parser = offered::exchange_rules(), hide_possible_values = true, conflicts_with_all = ["month", "list"])]
    exchange_rule: Option<String>,
    /// An instant to look at [default: now]
    #[arg(long, value_name = "INSTANT")]
    at: Option<String>,
    /// Draw a month, such as 2026-12
    #[arg(long, value_name = "YYYY-MM")]
    month: Option<String>,
    /// List the years that are known, of every exchange unless some are named
    #[arg(long, conflicts_with = "month")]
    list: bool,
    /// Print JSON: an object for one exchange, an array for several
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonArgs,
}

pub(super) fn run(arguments: &CalendarArgs) -> Exit {
    match told(arguments) {
        Ok(text) => {
            let output = arguments.common.output();
            let say = if arguments.json { Output::document } else { Output::data };
            say(output, &text);
            Exit::Yes
        }
        Err(exit) => exit,
    }
}

/// What the command has to say.
fn told(arguments: &CalendarArgs) -> Result<String, Exit> {
    let at = moment_of(arguments).map_err(|fault| usage_fault(&fault))?;
    let month = arguments.month.as_deref().map(month::parse).transpose().map_err(|fault| usage_fault(&fault))?;
    let named = &arguments.exchanges;
    // A fault here names no flag, since none was written.
    check_exchanges(named).map_err(|fault| usage_fault(&fault.to_string()))?;
    let mut flags = arguments.common.flags();
    flags.exchanges.clone_from(named);
    flags.exchange_rule.clone_from(&arguments.exchange_rule);
    let settings = settings(&flags, arguments.common.output())?;
    let known = calendars(&settings).map_err(|fault| usage_fault(&fault))?;
    let market = market(&settings, &known);
    let chosen: Vec<Calendar> = if arguments.list && named.is_empty() {
        Exchange::known().map(|exchange| known.of(exchange)).collect()
    } else {
        market.exchanges().map(|exchange| known.of(exchange)).collect()
    };
    if arguments.json {
        return Ok(pretty(&document(&chosen, |calendar| match month {
            Some(month) => month::document(calendar, month),
            None if arguments.list => page::coverage_document(calendar, &at),
            None => moment_document(calendar, at.now),
        })));
    }
    let paint = Paint::for_stdout();
    let pages = chosen.iter().map(|calendar| match month {
        Some(month) => month::drawing(calendar, month, &at, paint),
        None if arguments.list => page::coverage(calendar, &at, paint),
        None => page::sessions(calendar, &at, paint),
    });
    let mut text = pages.collect::<Vec<_>>().join("\n\n");
    if month.is_none() && !arguments.list {
        text += &together(&market, &at, paint);
    }
    // What tables, overrides and settings say was read without control characters.
    Ok(text)
}

/// The instant that is asked for, in the zone of this machine.
fn moment_of(arguments: &CalendarArgs) -> Result<HereAndNow, String> {
    let mut at = here_and_now();
    if let Some(text) = &arguments.at {
        at.now = text
            .parse()
            .map_err(|_| format!("--at: `{}` is not an instant; write it as 2026-12-24T04:00:00Z", printable(text)))?;
    }
    Ok(at)
}

/// One object, or an array of several.
fn document(calendars: &[Calendar], one: impl Fn(&Calendar) -> Value) -> Value {
    match calendars {
        [calendar] => one(calendar),
        several => several.iter().map(one).collect(),
    }
}

/// A moment as a program reads it.
fn moment_document(calendar: &Calendar, now: Timestamp) -> Value {
    let moment = calendar.at(now);
    let warnings = market_warnings(&Market::of_one(calendar.clone()).at(now));
    let utc = |instant: Option<Timestamp>| instant.map(|instant| instant.to_string());
    let half_day = (moment.phase != Phase::Unknown).then_some(moment.length == Some(DayLength::Half));
    json!({
        "exchange": moment.exchange.mic(),
        "instant": moment.instant.to_string(),
        "phase": moment.phase.code(),
        "holiday": moment.holiday,
        "half_day": half_day,
        "next_open": utc(moment.next_open),
        "next_close": utc(moment.next_close),
        "next_session_open": utc(moment.next_session_open),
        "next_session_close": utc(moment.next_session_close),
        "data": moment.data.code(),
        "auction": moment.auction.map(ibga_core::calendar::Auction::code),
        "overrides": moment.overrides.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "warnings": warnings,
    })
}

/// What several exchanges come to, judged together.
fn together(market: &Market, at: &HereAndNow, paint: Paint) -> String {
    if market.exchanges().count() < 2 {
        return String::new();
    }
    format!("\n\n{}", page::market(&market.at(at.now), paint))
}

#[cfg(test)]
mod tests {
    use ibga_core::calendar::{Calendars, Combination};
    use jiff::tz::TimeZone;

    use super::*;

    const OVERRIDES: &str = "\
XHKG closed 2026-12-08 System failure, all trading halted by the exchange until further notice
XHKG early 2026-12-09 11:00 Outage
XHKG late 2026-12-10 10:30 Outage
XETR year 2028 official The notice of the exchange
XETR closed 2028-04-14 Good Friday
XETR closed 2023-12-29 The year is a slip of the pen
XETR closed 2026-12-25 Christmas Day
";

    fn calendar(mic: &str, overrides: &str) -> Calendar {
        let calendars = Calendars::with_overrides(overrides, "/etc/ibga/calendar.txt").expect("an override");
        calendars.of(mic.parse().expect("an exchange"))
    }

    fn at(instant: &str, zone: &str) -> HereAndNow {
        HereAndNow { now: instant.parse().expect("an instant"), zone: TimeZone::get(zone).expect("a zone") }
    }

    fn fits(text: String) -> String {
        assert!(text.lines().all(|line| line.chars().count() <= page::WIDTH && line.trim_end() == line), "{text}");
        text
    }

    fn drawing(mic: &str, month: &str, overrides: &str, paint: Paint) -> String {
        let month = month::parse(month).expect("a month");
        month::drawing(&calendar(mic, overrides), month, &at("2026-12-07T02:00:00Z", "Asia/Hong_Kong"), paint)
    }

    #[test]
    fn months() {
        for (name, mic, month, overrides) in [
            ("month", "XHKG", "2026-12", ""),
            ("month_overridden", "XHKG", "2026-12", OVERRIDES),
            ("month_of_new_hours", "XTKS", "2024-11", ""),
            ("month_not_known", "XSHG", "2031-01", ""),
            // It begins on a Sunday.
            ("month_of_six_weeks", "XNYS", "2026-11", ""),
        ] {
            insta::assert_snapshot!(name, fits(drawing(mic, month, overrides, Paint::Plain)));
        }
    }

    #[test]
    fn colours_change_nothing_else() {
        let coloured = drawing("XHKG", "2026-12", OVERRIDES, Paint::Coloured);
        let plain = ["\u{1b}[32m", "\u{1b}[33m", "\u{1b}[2m", "\u{1b}[1;31m", "\u{1b}[0m"]
            .iter()
            .fold(coloured.clone(), |text, code| text.replace(code, ""));
        assert_eq!(plain, drawing("XHKG", "2026-12", OVERRIDES, Paint::Plain));
        assert!(coloured.contains("\u{1b}[1;31m25x\u{1b}[0m"), "{coloured}");
    }

    #[test]
    fn now_and_next() {
        for (name, mic, instant, zone, overrides) in [
            ("now", "XHKG", "2026-12-23T02:00:00Z", "Asia/Hong_Kong", ""),
            ("now_from_elsewhere", "XHKG", "2026-12-23T02:00:00Z", "America/New_York", ""),
            ("now_overridden", "XHKG", "2026-12-07T09:00:00Z", "UTC", OVERRIDES),
            ("now_near_the_end", "XHKG", "2027-12-30T02:00:00Z", "Asia/Hong_Kong", ""),
            ("now_not_known", "XSHG", "2031-01-06T02:00:00Z", "Asia/Shanghai", ""),
        ] {
            let text = page::sessions(&calendar(mic, overrides), &at(instant, zone), Paint::Plain);
            insta::assert_snapshot!(name, fits(text));
        }
    }

    #[test]
    fn several_exchanges() {
        let at = at("2025-12-24T06:00:00Z", "Asia/Hong_Kong");
        let calendars = vec![calendar("XSHG", ""), calendar("XHKG", "")];
        let text = [Combination::All, Combination::Any]
            .map(|combination| together(&Market::new(calendars.clone(), combination), &at, Paint::Plain));
        insta::assert_snapshot!("several", fits(text.concat()));
        assert_eq!(together(&Market::of_one(calendar("XHKG", "")), &at, Paint::Plain), "");
    }

    #[test]
    fn coverage() {
        let at = at("2026-11-24T02:00:00Z", "Asia/Hong_Kong");
        let list = |overrides: &str| {
            let pages = Exchange::known()
                .map(|exchange| page::coverage(&calendar(exchange.mic(), overrides), &at, Paint::Plain));
            pages.collect::<Vec<_>>().join("\n\n")
        };
        insta::assert_snapshot!("list", fits(list("")));
        let frankfurt = page::coverage(&calendar("XETR", OVERRIDES), &at, Paint::Plain);
        insta::assert_snapshot!("list_overridden", fits(frankfurt));
    }

    #[test]
    fn what_is_no_month() {
        for text in ["2026-13", "2026-00", "2026-1", "26-12", "2026-12-24", "December", "", "2026-1²"] {
            let fault = month::parse(text).expect_err(text);
            assert_eq!(fault, format!("--month: `{text}` is not a month; write it as 2026-12"));
        }
    }

    /// The phases that the others do not show, as a program reads them.
    #[test]
    fn documents() {
        let document =
            |mic, instant: &str| moment_document(&calendar(mic, OVERRIDES), instant.parse().expect("an instant"));
        let text =
            [("XTKS", "2026-11-25T06:27:00Z"), ("XSHG", "2031-01-06T02:00:00Z"), ("XHKG", "2026-12-08T02:00:00Z")]
                .map(|(mic, instant)| pretty(&document(mic, instant)));
        insta::assert_snapshot!("documents", text.join("\n"));
        let days = month::document(&calendar("XHKG", OVERRIDES), month::parse("2026-12").expect("a month"));
        let special: Vec<&Value> = days["days"]
            .as_array()
            .expect("days")
            .iter()
            .filter(|day| day["kind"] != "full_day" && day["kind"] != "weekend")
            .collect();
        insta::assert_snapshot!("month_document", pretty(&json!(special)));
    }
}
