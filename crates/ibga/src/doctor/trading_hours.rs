//! The trading hours that IBKR tells of the configured contract, against the calendar; as the gate will judge them.

use ibga_core::calendar::{Agreement, Calendars};
use ibga_core::gate::Rule;
use ibga_core::report::{BrokerHours, Report};
use jiff::Timestamp;

use super::{Finding, Subject};
use crate::market;
use crate::output::printable;
use crate::settings::Settings;

/// Nothing where no contract is set.
pub(super) fn examine(settings: &Settings, report: &Report, now: Timestamp) -> Option<Finding> {
    settings.probe_contract.as_ref()?;
    let told = report.more.as_ref().and_then(|more| more.broker_hours.as_ref());
    Some(match (told, market::calendars(settings)) {
        (_, Err(_)) => Finding::not_tested(Subject::TradingHours, "the market comes first"),
        (None, _) => Finding::not_tested(Subject::TradingHours, "IBKR has not told any: the gateway comes first"),
        (Some(hours), _) if !settings.market.value.exchanges.contains(&hours.exchange) => Finding::doubtful(
            Subject::TradingHours,
            format!("the gate keeps other hours than those of {}", hours.exchange),
            "set a probe_contract on an exchange that `exchange` names",
        ),
        (Some(hours), Ok(calendars)) => judge(hours, &calendars, now),
    })
}

fn judge(hours: &BrokerHours, calendars: &Calendars, now: Timestamp) -> Finding {
    let subject = Subject::TradingHours;
    let nothing = "nothing is compared; if it stays so, set another probe_contract";
    match hours.compare(calendars, now) {
        Err(why) => Finding::doubtful(subject, printable(&why), nothing),
        Ok(comparison) => {
            let text = printable(&comparison.to_string());
            if comparison.contradictions().next().is_some() {
                Finding::faulty(subject, text, Rule::BrokerHours.remedy().unwrap_or_default())
            } else if comparison.days.iter().any(|day| day.agreement == Agreement::Agreed) {
                Finding::good(subject, text)
            } else {
                Finding::doubtful(subject, text, nothing)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ibga_core::calendar::{Exchange, LiquidHours};

    use super::*;

    #[test]
    fn what_ibkr_told() {
        let hours = |text: &str| LiquidHours::parse(text).map_err(|fault| fault.to_string());
        let day = "20261124:0930-1200;20261124:1300-1610";
        for (zone, hours, outcome, text) in [
            (
                "Hongkong",
                hours(day),
                "ok",
                "IBKR's hours of XHKG agree with the calendar for today; 2026-11-25 not compared: IBKR does not tell that day",
            ),
            ("", hours(day), "doubtful", "IBKR's hours of XHKG are not compared: IBKR names no time zone"),
            ("Hongkong", hours(""), "doubtful", "IBKR tells none"),
            (
                "Hongkong",
                hours("20261124:CLOSED"),
                "faulty",
                "XHKG: the calendar says open 09:30-12:00 13:00-16:00 on 2026-11-24, IBKR says closed; \
                 do not trade until one of them is corrected (calendar_overrides)",
            ),
        ] {
            let told =
                BrokerHours { contract: "700 SEHK STK HKD".into(), exchange: Exchange::XHKG, zone: zone.into(), hours };
            let now = "2026-11-24T02:00:00Z".parse().expect("an instant");
            let finding = judge(&told, &Calendars::default(), now);
            assert_eq!((finding.outcome.code(), finding.text.as_str()), (outcome, text));
            assert_eq!(finding.outcome.repair().is_some(), outcome != "ok");
        }
    }
}
