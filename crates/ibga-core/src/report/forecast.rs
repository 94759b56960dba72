//! The forecast's place in the document, both ways.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::local;
use crate::alert::Trading;
use crate::calendar::Combination;
use crate::forecast::{Approval, Falls, Forecast, REGIONS_MAX, Reset, TEXT_CHARS_MAX, TokenEnd, TradingAt, When};

/// What a fault of the document says belongs there.
pub(super) const WANTED: &str = "an object with made_at, exchange, rule, trading, next_open, next_close, nightly, weekend, token_end and approval, or null";

/// The forecast as the status file holds it, with times of the zone; null where there is none.
pub fn document(forecast: Option<&Forecast>, zone: &TimeZone) -> Value {
    forecast.map_or(Value::Null, |forecast| to_json(forecast, zone))
}

fn to_json(forecast: &Forecast, zone: &TimeZone) -> Value {
    let time = |instant: Timestamp| local(instant, zone);
    let reset = |reset: &Reset| {
        json!({
            "region": reset.region,
            "starts": time(reset.starts),
            "ends": time(reset.ends),
            "falls": reset.falls.code(),
        })
    };
    let Forecast { trading_at, token, approval, .. } = forecast;
    json!({
        "made_at": time(forecast.made_at),
        "exchange": trading_at.exchange,
        "rule": trading_at.rule.map(Combination::code),
        "trading": forecast.trading.code(),
        "next_open": forecast.next_open.map(time),
        "next_close": forecast.next_close.map(time),
        "nightly": forecast.nightly.iter().map(reset).collect::<Vec<_>>(),
        "weekend": reset(&forecast.weekend),
        "token_end": {
            "last": time(token.last),
            "ends": time(token.ends),
            "falls": token.falls.code(),
            "next_open": token.next_open.map(time),
        },
        "approval": {
            "when": approval.when.code(),
            "from": approval.from.map(time),
            "until": approval.until.map(time),
        },
    })
}

pub(super) fn from_json(json: &Value) -> Option<Forecast> {
    let (token, approval) = (json.get("token_end")?, json.get("approval")?);
    let nightly = json.get("nightly")?.as_array().filter(|resets| resets.len() <= REGIONS_MAX)?;
    Some(Forecast {
        made_at: time(json, "made_at")?,
        trading_at: TradingAt {
            exchange: text(json, "exchange")?.to_owned(),
            rule: match json.get("rule")? {
                Value::Null => None,
                rule => Some(one_of(&Combination::ALL, Combination::code, rule.as_str()?)?),
            },
        },
        trading: one_of(&Trading::ALL, Trading::code, text(json, "trading")?)?,
        next_open: optional_time(json, "next_open")?,
        next_close: optional_time(json, "next_close")?,
        nightly: nightly.iter().map(reset).collect::<Option<_>>()?,
        weekend: reset(json.get("weekend")?)?,
        token: TokenEnd {
            last: time(token, "last")?,
            ends: time(token, "ends")?,
            falls: falls(token)?,
            next_open: optional_time(token, "next_open")?,
        },
        approval: Approval {
            when: one_of(&When::ALL, When::code, text(approval, "when")?)?,
            from: optional_time(approval, "from")?,
            until: optional_time(approval, "until")?,
        },
    })
}

fn reset(json: &Value) -> Option<Reset> {
    let reset = Reset {
        region: text(json, "region")?.to_owned(),
        starts: time(json, "starts")?,
        ends: time(json, "ends")?,
        falls: falls(json)?,
    };
    (reset.starts < reset.ends).then_some(reset)
}

fn falls(json: &Value) -> Option<Falls> {
    one_of(&Falls::ALL, Falls::code, text(json, "falls")?)
}

fn one_of<W: Copy>(all: &[W], code: impl Fn(W) -> &'static str, word: &str) -> Option<W> {
    all.iter().copied().find(|one| code(*one) == word)
}

fn text<'a>(json: &'a Value, key: &str) -> Option<&'a str> {
    json.get(key)?.as_str().filter(|text| text.chars().count() <= TEXT_CHARS_MAX)
}

fn time(json: &Value, key: &str) -> Option<Timestamp> {
    text(json, key)?.parse().ok()
}

/// `Some(None)` where the document says that it is not known.
#[expect(clippy::option_option, reason = "a field that is null is not a field that cannot be read")]
fn optional_time(json: &Value, key: &str) -> Option<Option<Timestamp>> {
    match json.get(key)? {
        Value::Null => Some(None),
        _ => Some(Some(time(json, key)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{Calendar, Exchange, Market};
    use crate::reset_windows::published;

    fn zone() -> TimeZone {
        TimeZone::get("Asia/Hong_Kong").expect("a zone")
    }

    fn forecast(exchanges: &[Exchange], now: &str) -> Forecast {
        let calendars = exchanges.iter().map(|exchange| Calendar::ending_with(*exchange, 2026)).collect();
        let market = Market::new(calendars, Combination::All);
        Forecast::new(&market, &published(), now.parse().expect("an instant")).expect("a forecast")
    }

    #[test]
    fn the_document_both_ways() {
        for (exchanges, now) in [
            (&[Exchange::XHKG][..], "2026-11-27T09:00:00Z"),
            (&[Exchange::XSHG, Exchange::XHKG], "2026-11-28T05:00:00Z"),
            (&[Exchange::XHKG], "2026-11-30T02:00:00Z"),
            (&[Exchange::XHKG], "2026-12-31T10:00:00Z"),
            (&[Exchange::XHKG], "2027-06-01T00:00:00Z"),
            (&[], "2026-11-28T05:00:00Z"),
        ] {
            let forecast = forecast(exchanges, now);
            assert_eq!(from_json(&to_json(&forecast, &zone())), Some(forecast), "{now}");
        }
    }

    #[test]
    fn what_is_no_document() {
        let good = to_json(&forecast(&[Exchange::XHKG], "2026-11-27T09:00:00Z"), &zone());
        let weekend = |key: &str, value: Value| {
            let mut weekend = good["weekend"].clone();
            weekend[key] = value;
            weekend
        };
        for (key, value) in [
            ("made_at", json!("tomorrow")),
            ("made_at", Value::Null),
            ("exchange", json!("X".repeat(101))),
            ("rule", json!("some")),
            ("trading", json!("perhaps")),
            ("next_open", json!(9)),
            ("next_close", json!("2026-11-30T09:30:00")),
            ("nightly", Value::Null),
            ("nightly", Value::Array(vec![good["weekend"].clone(); 17])),
            ("nightly", json!([{"region": "Asia"}])),
            ("weekend", Value::Null),
            ("weekend", weekend("falls", json!("down"))),
            ("weekend", weekend("ends", good["weekend"]["starts"].clone())),
            ("token_end", json!({})),
            ("approval", json!({"when": "never", "from": null, "until": null})),
        ] {
            let mut bad = good.clone();
            bad[key] = value.clone();
            assert_eq!(from_json(&bad), None, "{key} {value}");
        }
        for key in good.as_object().expect("an object").keys() {
            let mut cut = good.clone();
            cut.as_object_mut().expect("an object").remove(key);
            assert_eq!(from_json(&cut), None, "without {key}");
        }
    }
}
