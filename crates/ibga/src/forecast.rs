//! The forecast as this machine makes it. A check of a ready gateway takes over what the report before told, as long as it holds:
//! calendars and the zones of IBKR's windows take longer to read than all of the rest.

use ibga_core::calendar::Market;
use ibga_core::forecast::{Forecast, TradingAt};
use ibga_core::report::Report;
use jiff::Timestamp;

use crate::market::{calendars, market};
use crate::settings::Settings;

/// The forecast: that of the report before if it holds, else a new one. `None` if the calendars cannot be used, which the gate
/// says.
pub(crate) fn forecast(settings: &Settings, previous: Option<&Report>, now: Timestamp) -> Option<Forecast> {
    if let Some(kept) = kept(settings, previous, now) {
        return Some(kept.clone());
    }
    let calendars = calendars(settings).ok()?;
    of_market(settings, &market(settings, &calendars), now)
}

/// A new forecast, for a caller that has read the calendars.
pub(crate) fn of_market(settings: &Settings, market: &Market, now: Timestamp) -> Option<Forecast> {
    Forecast::new(market, &settings.resets(), now)
}

/// What the report before told, if it is about the same gateway and exchanges and still holds.
fn kept<'a>(settings: &Settings, previous: Option<&'a Report>, now: Timestamp) -> Option<&'a Forecast> {
    let before = previous?.more.as_ref().filter(|more| more.gateway == settings.gateway.as_str())?;
    let kept = before.forecast.as_ref().filter(|forecast| forecast.holds(now))?;
    let choice = &settings.market.value;
    let codes = choice.exchanges.iter().map(|exchange| exchange.mic());
    (kept.trading_at == TradingAt::of(codes, choice.combination)).then_some(kept)
}

#[cfg(test)]
mod tests {

    use jiff::tz::TimeZone;
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    const READY: &str = include_str!("../tests/data/ready.json");

    #[test]
    fn what_is_taken_over() {
        let now: Timestamp = "2026-11-23T01:35:00Z".parse().expect("an instant");
        let hong_kong = Settings::of_variables(&[]);
        let made = forecast(&hong_kong, None, now).expect("a forecast");
        let report = |change: &dyn Fn(&mut ibga_core::report::Details)| {
            let mut report = Report::from_json(READY, &TimeZone::UTC).expect("a report");
            let more = report.more.as_mut().expect("details");
            more.forecast = Some(made.clone());
            change(more);
            report
        };
        let same = |_: &mut ibga_core::report::Details| {};
        let minutes = |minutes| now + SignedDuration::from_mins(minutes);
        for (what, settings, report, at, is_kept) in [
            ("the same", Settings::of_variables(&[]), report(&same), minutes(59), true),
            ("an hour later", Settings::of_variables(&[]), report(&same), minutes(60), false),
            ("the clock was set back", Settings::of_variables(&[]), report(&same), minutes(-1), false),
            ("other exchanges", Settings::of_variables(&[("IBGA_EXCHANGE", "XNYS")]), report(&same), minutes(1), false),
            (
                "another gateway",
                Settings::of_variables(&[]),
                report(&|more| more.gateway = "paper".into()),
                minutes(1),
                false,
            ),
            ("none was told", Settings::of_variables(&[]), report(&|more| more.forecast = None), minutes(1), false),
        ] {
            let told = forecast(&settings, Some(&report), at).expect("a forecast");
            assert_eq!(told.made_at == now, is_kept, "{what}");
            assert!(is_kept || told.made_at == at, "{what}");
        }
        let morning = forecast(&hong_kong, None, now - SignedDuration::from_mins(10)).expect("a forecast");
        let before = report(&|more| more.forecast = Some(morning.clone()));
        assert_eq!(forecast(&hong_kong, Some(&before), now).expect("a forecast").made_at, now, "the market has opened");
    }

    #[test]
    fn calendars_that_cannot_be_used_leave_none() {
        let now: Timestamp = "2026-11-23T01:35:00Z".parse().expect("an instant");
        let settings = Settings::of_variables(&[("IBGA_CALENDAR_OVERRIDES", "/nonexistent/calendar.txt")]);
        assert_eq!(forecast(&settings, None, now), None);
    }
}
