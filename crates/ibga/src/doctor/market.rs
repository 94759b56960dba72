//! The exchanges whose hours the gate keeps: whether their calendars can be read, and how far they reach.

use ibga_core::calendar::{MarketMoment, MarketState};
use ibga_core::gate::{market_text, market_warnings};
use jiff::Timestamp;

use super::{Finding, Subject};
use crate::market::{calendars, market};
use crate::settings::Settings;

pub(super) fn examine(settings: &Settings, now: Timestamp) -> Finding {
    match calendars(settings) {
        Ok(calendars) => judge(&market(settings, &calendars).at(now)),
        Err(fault) => {
            Finding::faulty(Subject::Market, fault, "correct the file of overrides, or unset calendar_overrides")
        }
    }
}

fn judge(moment: &MarketMoment) -> Finding {
    let subject = Subject::Market;
    let text = market_text(moment);
    let warnings = market_warnings(moment).join("; ");
    match moment.state {
        MarketState::Unknown => {
            Finding::faulty(subject, text, "update ibga; until then the gate says no (`--force` passes over)")
        }
        MarketState::Closed if moment.next_open.is_none() => {
            Finding::faulty(subject, text, "name other exchanges, or exchange_rule = \"any\"")
        }
        _ if !warnings.is_empty() => {
            Finding::doubtful(subject, format!("{text}; {warnings}"), "update ibga before that")
        }
        _ => Finding::good(subject, text),
    }
}

#[cfg(test)]
mod tests {
    use ibga_core::calendar::{Calendar, Combination, Exchange, Market};

    use super::*;

    #[test]
    fn markets() {
        for (exchanges, instant, outcome) in [
            (&["XHKG"][..], "2026-11-24T02:00:00Z", "ok"),
            (&["XHKG"], "2026-11-28T02:00:00Z", "ok"),
            (&["XHKG"], "2027-11-24T02:00:00Z", "doubtful"),
            (&["XHKG"], "2028-01-04T02:00:00Z", "faulty"),
            (&["XASX", "XNYS"], "2026-11-24T02:00:00Z", "faulty"),
        ] {
            let calendar = |mic: &&str| Calendar::for_exchange(mic.parse::<Exchange>().expect("an exchange"));
            let market = Market::new(exchanges.iter().map(calendar).collect(), Combination::All);
            let finding = judge(&market.at(instant.parse().expect("an instant")));
            assert_eq!(finding.outcome.code(), outcome, "{finding:?}");
        }
    }
}
