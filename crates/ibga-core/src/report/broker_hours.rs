//! The trading hours that the broker told of the contract that a probe asked about: their place in the document, both ways, and their
//! comparison with the calendars of whoever reads it.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};

use crate::calendar::liquid_hours::{DATES_MAX, SPANS_MAX};
use crate::calendar::{self, Calendars, Comparison, DayHours, Exchange, LiquidHours, Span};
use crate::observation::{ApiSeen, Broker};
use crate::window::parse_wall;

/// What a fault of the document says belongs there.
pub(super) const WANTED: &str = "an object with contract, exchange, zone, days and fault, or null";

/// Longest text in it, in characters.
const TEXT_CHARS_MAX: usize = 200;

/// Whose hours the broker was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoursQuestion {
    /// The contract in words, such as `700 SEHK STK HKD`.
    pub contract: String,
    /// The exchange on which it trades.
    pub exchange: Exchange,
}

/// What the broker told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerHours {
    /// The contract that was asked about, in words.
    pub contract: String,
    /// The exchange on which it trades.
    pub exchange: Exchange,
    /// The zone of the hours, in IBKR's words.
    pub zone: String,
    /// The hours of the next dates, or why there are none.
    pub hours: Result<LiquidHours, String>,
}

impl BrokerHours {
    /// What came of the question; `None` while the broker has not answered it.
    pub(super) fn of(question: HoursQuestion, seen: &ApiSeen) -> Option<Self> {
        if seen.broker != Broker::Answered {
            return None;
        }
        let HoursQuestion { contract, exchange } = question;
        let (zone, hours) = match &seen.hours {
            None => (String::new(), Err(format!("IBKR knows no contract {contract}"))),
            Some(told) if !told.exchange.eq_ignore_ascii_case(exchange.broker_code()) => {
                (String::new(), Err(format!("IBKR answered for exchange {:?}", told.exchange)))
            }
            Some(told) => (told.time_zone.clone(), told.liquid.clone().map_err(|fault| fault.to_string())),
        };
        Some(Self { contract, exchange, zone, hours })
    }

    /// Compares with a calendar, for today and the next trading session.
    ///
    /// # Errors
    /// Why there is nothing to compare.
    pub fn compare(&self, calendars: &Calendars, now: Timestamp) -> Result<Comparison, String> {
        let hours = self.hours.as_ref().map_err(Clone::clone)?;
        calendar::compare(hours, &self.zone, self.exchange, calendars, now)
            .ok_or_else(|| "the calendar cannot be used".to_owned())
    }

    pub(super) fn to_json(&self) -> Value {
        let days = self.hours.as_ref().ok().map(|hours| {
            let day = |(date, hours): (Date, &DayHours)| {
                let hours: Vec<String> = hours.spans().iter().map(Span::to_string).collect();
                json!({"date": date.to_string(), "hours": hours})
            };
            hours.days().map(day).collect::<Vec<_>>()
        });
        json!({
            "contract": self.contract,
            "exchange": self.exchange.mic(),
            "zone": self.zone,
            "days": days,
            "fault": self.hours.as_ref().err(),
        })
    }

    pub(super) fn from_json(json: &Value) -> Option<Self> {
        let text = |key: &str| {
            let text = json.get(key)?.as_str()?;
            (text.chars().count() <= TEXT_CHARS_MAX).then(|| text.to_owned())
        };
        let hours = match (json.get("days")?, json.get("fault")?) {
            (Value::Null, Value::String(_)) => Err(text("fault")?),
            (Value::Array(days), Value::Null) if days.len() <= DATES_MAX => {
                Ok(LiquidHours::new(days.iter().map(read_day).collect::<Option<_>>()?))
            }
            _ => return None,
        };
        Some(Self {
            contract: text("contract")?,
            exchange: text("exchange")?.parse().ok()?,
            zone: text("zone")?,
            hours,
        })
    }
}

fn read_day(day: &Value) -> Option<(Date, DayHours)> {
    let spans = day.get("hours")?.as_array().filter(|spans| spans.len() <= SPANS_MAX)?;
    let spans = spans.iter().map(|span| {
        let (start, end) = span.as_str()?.split_once('-')?;
        Span::new(parse_wall(start)?, parse_wall(end)?)
    });
    let text = day.get("date")?.as_str()?;
    // The library reads other forms too; one day has one form here.
    let date = text.parse::<Date>().ok().filter(|date| date.to_string() == text)?;
    Some((date, DayHours::new(spans.collect::<Option<_>>()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::HoursSeen;

    fn question() -> HoursQuestion {
        HoursQuestion { contract: "700 SEHK STK HKD".into(), exchange: Exchange::XHKG }
    }

    fn seen(broker: Broker, hours: Option<HoursSeen>) -> ApiSeen {
        ApiSeen { broker, hours, ..ApiSeen::default() }
    }

    #[test]
    fn what_came_of_the_question() {
        let told = |exchange, text| Some(HoursSeen::read(exchange, "Hongkong", text));
        let day = "20261124:0930-20261124:1200";
        for (broker, hours, expected) in [
            (Broker::Silent, None, None),
            (Broker::Unproven, told("SEHK", day), None),
            (Broker::Answered, told("SEHK", day), Some(Ok("2026-11-24 open 09:30-12:00".to_owned()))),
            (Broker::Answered, None, Some(Err("IBKR knows no contract 700 SEHK STK HKD".into()))),
            (Broker::Answered, told("SMART", day), Some(Err("IBKR answered for exchange \"SMART\"".into()))),
            (Broker::Answered, told("sehk", ""), Some(Err("IBKR tells none".into()))),
        ] {
            let hours = BrokerHours::of(question(), &seen(broker, hours)).map(|told| told.hours);
            let first = |hours: LiquidHours| hours.days().map(|(date, hours)| format!("{date} {hours}")).next();
            assert_eq!(hours.map(|hours| hours.map(|hours| first(hours).unwrap_or_default())), expected);
        }
    }

    #[test]
    fn the_document_both_ways() {
        for text in ["20261124:0930-1200;20261124:1300-1610;20261125:CLOSED", "", "20261124:1700-20261125:1600"] {
            let hours = Some(HoursSeen::read("SEHK", "Hongkong", text));
            let told = BrokerHours::of(question(), &seen(Broker::Answered, hours)).expect("told");
            assert_eq!(BrokerHours::from_json(&told.to_json()), Some(told));
        }
    }

    #[test]
    fn what_is_no_document() {
        let good = json!({"contract": "700 SEHK STK HKD", "exchange": "XHKG", "zone": "Hongkong",
            "days": [{"date": "2026-11-24", "hours": ["09:30-12:00"]}], "fault": null});
        assert!(BrokerHours::from_json(&good).is_some());
        let day = |hours: Value| json!([{"date": "2026-11-24", "hours": hours}]);
        for (key, value) in [
            ("contract", json!(700)),
            ("contract", json!("x".repeat(201))),
            ("exchange", json!("XXXX")),
            ("zone", Value::Null),
            ("days", Value::Null),
            ("days", json!({})),
            ("days", json!([{"date": "2026-11-31", "hours": []}])),
            ("days", json!([{"date": "2026-11-24T09:30", "hours": []}])),
            ("days", json!([{"date": "2026-11-24"}])),
            ("days", Value::Array(vec![json!({"date": "2026-11-24", "hours": []}); 11])),
            ("days", day(json!(["09:30"]))),
            ("days", day(json!(["12:00-09:30"]))),
            ("days", day(json!(vec!["09:30-12:00"; 7]))),
            ("fault", json!("both hours and a fault")),
        ] {
            let mut bad = good.clone();
            bad[key] = value.clone();
            assert_eq!(BrokerHours::from_json(&bad), None, "{key} {value}");
        }
    }
}
