//! The rule of the broker's hours: while the calendar and IBKR contradict each other, nobody knows whether the market is open.

use super::{Check, MarketRule, Outcome, Rule, market_text, passed};
use crate::calendar::Comparison;
use crate::report::BrokerHours;

/// Judges, and hands on both readings of each day that was compared.
pub(super) fn judge(market: &MarketRule<'_>, hours: &BrokerHours) -> (Check, Option<Comparison>) {
    let rule = Rule::BrokerHours;
    let MarketRule::At { moment, calendars, .. } = market else {
        let text = "IBKR's hours passed over (--force)".into();
        return (Check { rule, outcome: Outcome::PassedOver, text }, None);
    };
    let exchange = hours.exchange;
    let skipped = |why: String| passed(rule, format!("IBKR's hours of {exchange} are not compared: {why}"));
    if !moment.members.iter().any(|member| member.moment.exchange == exchange) {
        return (skipped(format!("the gate keeps those of {}", market_text::names(moment))), None);
    }
    match hours.compare(calendars, moment.instant) {
        Err(why) => (skipped(why), None),
        Ok(comparison) => {
            let is_contradicted = comparison.contradictions().next().is_some();
            let outcome = if is_contradicted { Outcome::Failed } else { Outcome::Passed };
            (Check { rule, outcome, text: comparison.to_string() }, Some(comparison))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::calendar::{self, Calendar, Calendars, Exchange};
    use crate::gate::{self, Chosen, Decision, Question};
    use crate::report::Report;
    use crate::verdict::Expectations;

    /// A full report, changed, and what its rule of the broker's hours comes to.
    fn broker_hours(from: &str, to: &str, mic: &str) -> (Option<Check>, Decision) {
        let text = crate::report::tests::full().replacen(from, to, 1);
        let report = Report::from_json(&text, &TimeZone::UTC).expect("a report");
        let exchange: Exchange = mic.parse().expect("an exchange");
        let moment = calendar::Market::of_one(Calendar::for_exchange(exchange)).at(report.timestamp);
        let question = Question {
            gateway: "default",
            endpoint: None,
            path: Path::new("/tmp/ibga-status.json"),
            report: Ok(&report),
            now: report.timestamp,
            max_age: Duration::from_mins(10),
            expected: &Expectations::default(),
            market: MarketRule::At { moment: &moment, chosen: Chosen::BySetting, calendars: &Calendars::default() },
        };
        let decision = gate::judge(&question);
        let forced = gate::judge(&Question { market: MarketRule::Forced, ..question });
        let rule = |decision: &Decision| decision.checks.iter().find(|check| check.rule == Rule::BrokerHours).cloned();
        assert!(forced.is_go() && rule(&forced).is_none_or(|check| check.outcome == Outcome::PassedOver));
        (rule(&decision), decision)
    }

    #[test]
    fn the_hours_of_the_broker_are_compared() {
        let agree = "IBKR's hours of XHKG agree with the calendar for today and 2026-11-24";
        for (from, to, mic, text) in [
            ("", "", "XHKG", Some(agree)),
            ("\"broker_hours\"", "\"unknown\"", "XHKG", None),
            (
                "\"2026-11-24\"",
                "\"2026-11-27\"",
                "XHKG",
                Some(
                    "IBKR's hours of XHKG agree with the calendar for today; 2026-11-24 not compared: IBKR does not tell that day",
                ),
            ),
            ("\"Hongkong\"", "\"\"", "XHKG", Some("IBKR's hours of XHKG are not compared: IBKR names no time zone")),
            ("", "", "XNYS", Some("IBKR's hours of XHKG are not compared: the gate keeps those of XNYS")),
        ] {
            let (check, _) = broker_hours(from, to, mic);
            let expected = text.map(|text| passed(Rule::BrokerHours, text));
            assert_eq!(check, expected, "{to} {mic}");
        }
    }

    #[test]
    fn hours_that_contradict_the_calendar_are_a_no_go_with_both_readings() {
        let (_, decision) = broker_hours("\"13:00-16:10\"", "\"13:00-15:10\"", "XHKG");
        assert_eq!(
            decision.failures().map(ToString::to_string).collect::<Vec<_>>(),
            ["Market: XHKG: the calendar says open 09:30-12:00 13:00-16:00 on 2026-11-23, \
              IBKR says open 09:30-12:00 13:00-15:10; do not trade until one of them is corrected (calendar_overrides)"]
        );
        assert!(!decision.only_the_market(), "it is news");
        let failure = decision.failures().next().expect("one");
        assert_eq!((failure.rule.code(), failure.rule.fault_code()), ("broker_hours", "market_contradiction"));
        assert!(failure.rule.remedy().is_some());
        assert_eq!(decision.broker_hours.expect("a comparison").contradictions().count(), 1);
    }
}
