//! The rule of the broker's hours: while the calendar and IBKR contradict each other, nobody knows whether the market is open.

use super::{Check, MarketRule, Outcome, Question, Rule, failed, market_text, passed, printable};
use crate::calendar::Comparison;
use crate::cause::Status;
use crate::report::{BrokerHours, HoursQuestion, Report};

/// Judges, and hands on both readings of each day that was compared. `None` if nobody asked for a comparison.
pub(super) fn judge(question: &Question<'_>, report: &Report) -> Option<(Check, Option<Comparison>)> {
    let told = report.more.as_ref().and_then(|more| more.broker_hours.as_ref());
    match (question.hours_of, told) {
        (None, None) => None,
        (Some(wanted), told) if !told.is_some_and(|told| is_answer(told, wanted)) => {
            // Why another report tells no hours, its own reasons say.
            (report.status == Status::Ready).then(|| (judge_unasked(&question.market, wanted, told), None))
        }
        (_, told) => told.map(|told| compare(&question.market, told)),
    }
}

fn is_answer(told: &BrokerHours, wanted: &HoursQuestion) -> bool {
    (&told.contract, told.exchange) == (&wanted.contract, wanted.exchange)
}

/// A comparison that was wanted and not even tried must not go unnoticed. One that was tried and came to nothing may.
fn judge_unasked(market: &MarketRule<'_>, wanted: &HoursQuestion, told: Option<&BrokerHours>) -> Check {
    if matches!(market, MarketRule::Forced) {
        return passed_over();
    }
    let others = told.map(|told| format!(", but those of {} ({})", printable(&told.contract), told.exchange));
    let text = format!(
        "IBKR's hours are not compared: the status tells none of {}{}",
        wanted.contract,
        others.unwrap_or_default()
    );
    failed(Rule::BrokerHoursAsked, text)
}

fn passed_over() -> Check {
    let text = "IBKR's hours passed over (--force)".into();
    Check { rule: Rule::BrokerHours, outcome: Outcome::PassedOver, text }
}

fn compare(market: &MarketRule<'_>, hours: &BrokerHours) -> (Check, Option<Comparison>) {
    let rule = Rule::BrokerHours;
    let MarketRule::At { moment, calendars, .. } = market else {
        return (passed_over(), None);
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

    /// The contract of the full report.
    const TENCENT: &str = "700 SEHK STK HKD";

    /// What the gate says of a report as young as can be.
    fn judge(report: &Report, market: MarketRule<'_>, hours_of: Option<&HoursQuestion>) -> Decision {
        gate::judge(&Question {
            gateway: "default",
            endpoint: None,
            path: Path::new("/tmp/ibga-status.json"),
            report: Ok(report),
            now: report.timestamp,
            zone: &TimeZone::UTC,
            halts: &[],
            max_age: Duration::from_mins(10),
            expected: &Expectations::default(),
            market,
            hours_of,
        })
    }

    /// A full report, changed, and what its rule of the broker's hours comes to.
    fn broker_hours(from: &str, to: &str, mic: &str, wanted: Option<&str>) -> (Option<Check>, Decision) {
        let text = crate::report::tests::full().replacen(from, to, 1);
        let report = Report::from_json(&text, &TimeZone::UTC).expect("a report");
        let exchange: Exchange = mic.parse().expect("an exchange");
        let moment = calendar::Market::of_one(Calendar::for_exchange(exchange)).at(report.timestamp);
        let hours_of = wanted.map(|contract| HoursQuestion { contract: contract.into(), exchange: Exchange::XHKG });
        let calendars = Calendars::default();
        let at_the_moment = MarketRule::At { moment: &moment, chosen: Chosen::BySetting, calendars: &calendars };
        let decision = judge(&report, at_the_moment, hours_of.as_ref());
        let forced = judge(&report, MarketRule::Forced, hours_of.as_ref());
        let rule =
            |decision: &Decision| decision.checks.iter().find(|check| check.rule.code() == "broker_hours").cloned();
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
            for wanted in [None, Some(TENCENT)].into_iter().filter(|wanted| text.is_some() || wanted.is_none()) {
                let (check, _) = broker_hours(from, to, mic, wanted);
                let expected = text.map(|text| passed(Rule::BrokerHours, text));
                assert_eq!(check, expected, "{to} {mic}");
            }
        }
    }

    #[test]
    fn a_comparison_that_is_wanted_and_was_not_asked_for_is_a_no_go() {
        for (from, to, wanted, text) in [
            ("\"broker_hours\"", "\"unknown\"", TENCENT, "the status tells none of 700 SEHK STK HKD"),
            ("", "", "5 SEHK STK HKD", "the status tells none of 5 SEHK STK HKD, but those of 700 SEHK STK HKD (XHKG)"),
            (
                "\"XHKG\"",
                "\"XNYS\"",
                TENCENT,
                "the status tells none of 700 SEHK STK HKD, but those of 700 SEHK STK HKD (XNYS)",
            ),
        ] {
            let (check, decision) = broker_hours(from, to, "XHKG", Some(wanted));
            let check = check.expect("judged");
            assert_eq!(
                (check.outcome, &check.text),
                (Outcome::Failed, &format!("IBKR's hours are not compared: {text}"))
            );
            assert_eq!(check.rule.fault_code(), "market_not_compared");
            assert!(check.rule.remedy().is_some() && decision.broker_hours.is_none() && !decision.is_expected());
        }
    }

    #[test]
    fn a_report_that_is_not_ready_has_better_reasons_than_missing_hours() {
        let text = crate::report::tests::full().replacen("\"broker_hours\"", "\"unknown\"", 1);
        let mut report = Report::from_json(&text, &TimeZone::UTC).expect("a report");
        report.status = Status::NotConnected;
        let wanted = HoursQuestion { contract: TENCENT.into(), exchange: Exchange::XHKG };
        let decision = judge(&report, MarketRule::Forced, Some(&wanted));
        assert_eq!(decision.failures().map(|check| check.rule).collect::<Vec<_>>(), [Rule::Ready]);
    }

    #[test]
    fn hours_that_contradict_the_calendar_are_a_no_go_with_both_readings() {
        let (_, decision) = broker_hours("\"13:00-16:10\"", "\"13:00-15:10\"", "XHKG", Some(TENCENT));
        assert_eq!(
            decision.failures().map(ToString::to_string).collect::<Vec<_>>(),
            ["Market: XHKG: the calendar says open 09:30-12:00 13:00-16:00 on 2026-11-23, \
              IBKR says open 09:30-12:00 13:00-15:10; do not trade until one of them is corrected (calendar_overrides)"]
        );
        assert!(!decision.is_expected(), "it is news");
        let failure = decision.failures().next().expect("one");
        assert_eq!((failure.rule.code(), failure.rule.fault_code()), ("broker_hours", "market_contradiction"));
        assert!(failure.rule.remedy().is_some());
        assert_eq!(decision.broker_hours.expect("a comparison").contradictions().count(), 1);
    }
}
