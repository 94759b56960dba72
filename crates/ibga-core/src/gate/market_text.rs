//! Responsible for what a market does in words, for the gate and for a person: which exchange is open or closed, why and until
//! when, and what an override had to do with it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::calendar::{
    Auction, COVERAGE_WARNING_DAYS, Combination, DataQuality, MarketMoment, MarketState, Member, Moment, Phase,
};

/// What a market does: `XHKG is closed for lunch, opens 13:00 +08:00`.
pub fn market_text(market: &MarketMoment) -> String {
    let text = match market.members.as_slice() {
        [] => "no exchange is named; set one".into(),
        [member] => member_text(member),
        _ => several(market),
    };
    let text = computed(market).iter().fold(text, |text, computed| format!("{text}; {computed}"));
    let overrides: BTreeSet<String> =
        market.members.iter().flat_map(|member| &member.moment.overrides).map(ToString::to_string).collect();
    overrides.iter().fold(text, |text, line| format!("{text}; override {line}"))
}

/// What will keep the market from being known soon.
pub fn warnings(market: &MarketMoment) -> Vec<String> {
    let is_alone = market.members.len() == 1;
    let ends = market.members.iter().filter_map(|member| {
        let days = member.days_left.filter(|days| (0..=COVERAGE_WARNING_DAYS).contains(days))?;
        let whose =
            if is_alone { "its calendar".into() } else { format!("the calendar of {}", member.moment.exchange) };
        let when = match days {
            0 => "today".into(),
            1 => "tomorrow".into(),
            days => format!("in {days} days"),
        };
        Some(format!("{whose} ends {when}: update ibga"))
    });
    ends.chain(idle_overrides(market)).collect()
}

/// The lines of an override that change nothing, in one text: the first, and how many there are.
fn idle_overrides(market: &MarketMoment) -> Option<String> {
    // Exchanges with the same days share their lines.
    let lines = market.members.iter().flat_map(|member| &member.idle_overrides);
    let idle: BTreeMap<_, _> = lines.map(|idle| (&idle.line, idle)).collect();
    let (_, first) = idle.first_key_value()?;
    Some(match idle.len() - 1 {
        0 => format!("override {first}: correct or remove it"),
        1 => format!("override {first}, and one more such line (`ibga calendar --list`): correct or remove them"),
        more => {
            format!("override {first}, and {more} more such lines (`ibga calendar --list`): correct or remove them")
        }
    })
}

/// The years whose days may still change: `days of 2027 are computed`.
fn computed(market: &MarketMoment) -> Option<String> {
    let is_computed = |member: &&Member| member.moment.data == DataQuality::Computed;
    let year = |member: &Member| Some(member.zone.as_ref()?.to_datetime(member.moment.instant).year());
    let members = || market.members.iter().filter(is_computed);
    let years: BTreeSet<String> = members().filter_map(year).map(|year| year.to_string()).collect();
    let years: Vec<&str> = years.iter().map(String::as_str).collect();
    let whose = match market.members.as_slice() {
        [_] => String::new(),
        _ => format!(" of {}", enumeration(&members().map(|member| member.moment.exchange.mic()).collect::<Vec<_>>())),
    };
    (!years.is_empty()).then(|| format!("days of {}{whose} are computed", enumeration(&years)))
}

/// Exchanges that are open and in their closing auction, as in Tokyo and Shanghai.
fn is_closing(member: &Member) -> bool {
    member.is_open() && member.moment.auction == Some(Auction::ClosingAuction)
}

/// `XHKG`, `XSHG and XHKG`, `XHKG, XTKS and XSES`.
pub(super) fn names(market: &MarketMoment) -> String {
    enumeration(&market.members.iter().map(|member| member.moment.exchange.mic()).collect::<Vec<_>>())
}

fn enumeration(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [name] => (*name).to_owned(),
        [names @ .., last] => format!("{} and {last}", names.join(", ")),
    }
}

/// What several exchanges do together. Who keeps the market closed is named, and when that ends.
fn several(market: &MarketMoment) -> String {
    let is_open = |wanted| move |member: &&Member| member.is_open() == wanted;
    let texts = |members: &mut dyn Iterator<Item = &Member>| members.map(member_text).collect::<Vec<_>>().join("; ");
    let members = &market.members;
    match (market.state, market.combination) {
        (MarketState::Open, Combination::Any) => texts(&mut members.iter().filter(is_open(true))),
        (MarketState::Open, Combination::All) => {
            let until = edge(market, "until", market.next_close).map(|edge| format!(" {edge}")).unwrap_or_default();
            let closing: Vec<&str> =
                members.iter().filter(|member| is_closing(member)).map(|member| member.moment.exchange.mic()).collect();
            let auction = match closing.as_slice() {
                [] => String::new(),
                closing => format!(" (closing auction of {})", enumeration(closing)),
            };
            format!("{} are open{until}{auction}", names(market))
        }
        (_, Combination::Any) => texts(&mut members.iter()),
        (_, Combination::All) => {
            let next = edge(market, "are next open together", market.next_open).unwrap_or_else(|| {
                if members.iter().any(|member| member.moment.phase == Phase::Unknown) {
                    "are not open together as far as is known".into()
                } else {
                    "are not open together in the next weeks: with exchange_rule any, one of them is enough".into()
                }
            });
            format!("{}; {} {next}", texts(&mut members.iter().filter(is_open(false))), names(market))
        }
    }
}

/// An edge of the whole market, in the zone of the exchange that was named first.
fn edge(market: &MarketMoment, word: &str, instant: Option<Timestamp>) -> Option<String> {
    let zone = market.members.first()?.zone.as_ref()?;
    Some(format!("{word} {}", local(instant?, market.instant, zone)))
}

/// `13:00 +08:00`, or `Mon 23 Nov 13:00 +08:00` on another day.
fn local(instant: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let local = instant.to_zoned(zone.clone());
    let same_day = local.date() == now.to_zoned(zone.clone()).date();
    local.strftime(if same_day { "%H:%M %:z" } else { "%a %-d %b %H:%M %:z" }).to_string()
}

/// `XHKG is closed for lunch, opens Mon 23 Nov 13:00 +08:00`.
fn member_text(member: &Member) -> String {
    let moment = &member.moment;
    let name = moment.exchange;
    let Some(state) = state(moment) else {
        return format!("{name} is not known for this date: the calendar does not reach it; update ibga");
    };
    let (word, edge) =
        if moment.phase == Phase::Open { (" until", moment.next_close) } else { (", opens", moment.next_open) };
    let edge = edge.zip(member.zone.as_ref());
    let edge = edge.map(|(instant, zone)| format!("{word} {}", local(instant, moment.instant, zone)));
    let auction = if is_closing(member) { " (closing auction)" } else { "" };
    format!("{name} {state}{}{auction}", edge.unwrap_or_default())
}

fn state(moment: &Moment) -> Option<String> {
    let reason = moment.holiday.as_deref().map(|holiday| format!(" ({holiday})")).unwrap_or_default();
    Some(match moment.phase {
        Phase::Open => "is open".into(),
        Phase::Lunch => "is closed for lunch".into(),
        Phase::BeforeOpen => "is not open yet".into(),
        Phase::AfterClose => "has closed for today".into(),
        Phase::EarlyClosed => format!("has closed early today{reason}"),
        Phase::ClosedHoliday => format!("is closed for a holiday{reason}"),
        Phase::ClosedWeekend => "is closed at the weekend".into(),
        Phase::Unknown => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{Calendar, Calendars, Combination, Exchange, Market};

    fn text(exchanges: &[&str], combination: Combination, instant: &str, overrides: &str) -> String {
        let calendars = Calendars::with_overrides(overrides, "/etc/ibga/calendar.txt").expect("an override");
        let calendar = |mic: &&str| {
            let exchange = mic.parse::<Exchange>().expect("an exchange");
            let last = if exchange == Exchange::XSHG { 2026 } else { 2027 };
            if overrides.is_empty() { Calendar::ending_with(exchange, last) } else { calendars.of(exchange) }
        };
        let market = Market::new(exchanges.iter().map(calendar).collect(), combination);
        market_text(&market.at(instant.parse().expect("an instant")))
    }

    #[test]
    fn one_exchange() {
        for (instant, expected) in [
            ("2026-11-23T01:30:04Z", "XHKG is open until 12:00 +08:00"),
            ("2026-11-23T04:00:00Z", "XHKG is closed for lunch, opens 13:00 +08:00"),
            ("2026-11-23T00:00:00Z", "XHKG is not open yet, opens 09:30 +08:00"),
            ("2026-11-23T08:00:00Z", "XHKG has closed for today, opens Tue 24 Nov 09:30 +08:00"),
            ("2026-12-24T05:30:00Z", "XHKG has closed early today (Eve of Christmas), opens Mon 28 Dec 09:30 +08:00"),
            ("2026-12-25T02:00:00Z", "XHKG is closed for a holiday (Christmas Day), opens Mon 28 Dec 09:30 +08:00"),
            ("2030-01-02T02:00:00Z", "XHKG is not known for this date: the calendar does not reach it; update ibga"),
        ] {
            assert_eq!(text(&["XHKG"], Combination::All, instant, ""), expected);
        }
    }

    #[test]
    fn all_of_several_are_needed() {
        for (instant, expected) in [
            ("2026-11-23T02:00:00Z", "XSHG and XHKG are open until 11:30 +08:00"),
            (
                "2026-11-23T03:45:00Z",
                "XSHG is closed for lunch, opens 13:00 +08:00; XSHG and XHKG are next open together 13:00 +08:00",
            ),
            // Hong Kong's half day: Shanghai alone trades in the afternoon.
            (
                "2026-12-24T06:00:00Z",
                "XHKG has closed early today (Eve of Christmas), opens Mon 28 Dec 09:30 +08:00; \
                 XSHG and XHKG are next open together Mon 28 Dec 09:30 +08:00",
            ),
            // Shanghai's holidays run on while Hong Kong trades.
            (
                "2026-10-05T02:00:00Z",
                "XSHG is closed for a holiday (National Day (observed)), opens Thu 8 Oct 09:30 +08:00; \
                 XSHG and XHKG are next open together Thu 8 Oct 09:30 +08:00",
            ),
            (
                "2027-01-04T02:00:00Z",
                "XSHG is not known for this date: the calendar does not reach it; update ibga; \
                 XSHG and XHKG are not open together as far as is known",
            ),
        ] {
            assert_eq!(text(&["XSHG", "XHKG"], Combination::All, instant, ""), expected);
        }
        assert_eq!(
            text(&["XHKG", "XTKS", "XNYS"], Combination::All, "2026-11-23T15:00:00Z", ""),
            "XHKG has closed for today, opens Tue 24 Nov 09:30 +08:00; \
             XTKS is not open yet, opens 09:00 +09:00; \
             XHKG, XTKS and XNYS are not open together in the next weeks: with exchange_rule any, one of them is enough"
        );
    }

    #[test]
    fn any_of_several_is_enough() {
        for (instant, expected) in [
            ("2026-11-23T02:00:00Z", "XHKG is open until 12:00 +08:00"),
            (
                "2026-11-23T09:00:00Z",
                "XHKG has closed for today, opens Tue 24 Nov 09:30 +08:00; XNYS is not open yet, opens 09:30 -05:00",
            ),
            ("2026-11-23T15:00:00Z", "XNYS is open until 16:00 -05:00"),
        ] {
            assert_eq!(text(&["XHKG", "XNYS"], Combination::Any, instant, ""), expected);
        }
    }

    #[test]
    fn closing_auctions_within_trading_and_computed_days_are_told() {
        use Combination::{All, Any};
        for (exchanges, combination, instant, expected) in [
            (&["XSHG"][..], All, "2026-11-23T06:56:59Z", "XSHG is open until 15:00 +08:00"),
            (&["XSHG"], All, "2026-11-23T06:58:00Z", "XSHG is open until 15:00 +08:00 (closing auction)"),
            (&["XTKS"], All, "2026-11-24T06:25:00Z", "XTKS is open until 15:30 +09:00 (closing auction)"),
            // After the close it is not open, and no agent starts.
            (&["XHKG"], All, "2026-11-23T08:05:00Z", "XHKG has closed for today, opens Tue 24 Nov 09:30 +08:00"),
            (
                &["XSHG", "XHKG"],
                All,
                "2026-11-23T06:58:00Z",
                "XSHG and XHKG are open until 15:00 +08:00 (closing auction of XSHG)",
            ),
            (&["XASX"], All, "2027-04-27T01:00:00Z", "XASX is open until 16:00 +10:00; days of 2027 are computed"),
            (
                &["XASX", "XTKS"],
                Any,
                "2027-04-27T01:00:00Z",
                "XASX is open until 16:00 +10:00; XTKS is open until 11:30 +09:00; days of 2027 of XASX are computed",
            ),
        ] {
            assert_eq!(text(exchanges, combination, instant, ""), expected);
        }
    }

    #[test]
    fn a_year_of_the_users_own_names_their_file() {
        let lines = "XETR year 2028 computed my reckoning\nXETR closed 2028-04-14 Good Friday\n";
        assert_eq!(
            text(&["XETR"], Combination::All, "2028-01-05T10:00:00Z", lines),
            "XETR is open until 17:30 +01:00; days of 2028 are computed; \
             override /etc/ibga/calendar.txt:1: year 2028 computed my reckoning"
        );
    }

    #[test]
    fn of_several_calendars_the_one_that_ends_is_named() {
        let calendars = [(Exchange::XSHG, 2026), (Exchange::XHKG, 2027)];
        let calendars = calendars.map(|(exchange, last)| Calendar::ending_with(exchange, last)).to_vec();
        let told = warnings(&Market::new(calendars, Combination::All).at("2026-12-24T02:00:00Z".parse().expect("one")));
        assert_eq!(told, ["the calendar of XSHG ends in 7 days: update ibga"]);
    }

    #[test]
    fn override_lines_without_effect_are_warned_of() {
        let told = |exchanges: &[&str], overrides: &str| {
            let calendars = Calendars::with_overrides(overrides, "calendar.txt").expect("an override");
            let calendar = |mic: &&str| calendars.of(mic.parse::<Exchange>().expect("an exchange"));
            let market = Market::new(exchanges.iter().map(calendar).collect(), Combination::Any);
            warnings(&market.at("2026-09-01T02:00:00Z".parse().expect("an instant")))
        };
        let slip = "XNYS closed 2023-11-27 Outage\n";
        let one = "override calendar.txt:1: closed 2023-11-27 Outage \
                   (no effect: before the first year that is known): correct or remove it";
        assert_eq!(told(&["XHKG"], slip), [""; 0]);
        assert_eq!(told(&["XNYS"], slip), [one]);
        assert_eq!(told(&["XNYS", "XNAS"], slip), [one]);
        let more = format!("{slip}XNYS closed 2026-12-25 Christmas\nXHKG closed 2026-12-25 Christmas\n");
        let several = "override calendar.txt:1: closed 2023-11-27 Outage \
                       (no effect: before the first year that is known), \
                       and 2 more such lines (`ibga calendar --list`): correct or remove them";
        assert_eq!(told(&["XHKG", "XNYS"], &more), [several]);
    }

    #[test]
    fn an_override_is_named_wherever_it_matters() {
        let lines = "# notices\nXHKG closed 2026-11-24 System failure\nXHKG early 2026-11-26 15:00 Outage\n";
        for (instant, expected) in [
            ("2026-11-20T02:00:00Z", "XHKG is open until 12:00 +08:00"),
            (
                "2026-11-23T09:00:00Z",
                "XHKG has closed for today, opens Wed 25 Nov 09:30 +08:00; \
                 override /etc/ibga/calendar.txt:2: closed 2026-11-24 System failure",
            ),
            (
                "2026-11-24T02:00:00Z",
                "XHKG is closed for a holiday (System failure), opens Wed 25 Nov 09:30 +08:00; \
                 override /etc/ibga/calendar.txt:2: closed 2026-11-24 System failure",
            ),
            (
                "2026-11-26T06:00:00Z",
                "XHKG is open until 15:00 +08:00; override /etc/ibga/calendar.txt:3: early 2026-11-26 15:00 Outage",
            ),
        ] {
            assert_eq!(text(&["XHKG"], Combination::All, instant, lines), expected);
        }
    }
}
