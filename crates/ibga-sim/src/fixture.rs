//! The invented world behind the gateway: a few instruments, holdings and account values, plausible and always the same.

use ibga_core::calendar::{Calendar, Exchange};
use ibga_tws::reply::ContractDetails;
use ibga_tws::request::Contract;
use jiff::civil::{Date, Weekday};
use jiff::{Timestamp, ToSpan, tz::TimeZone};

use crate::behaviour::HoursTold;

/// Something that can be traded.
#[derive(Debug)]
pub(crate) struct Instrument {
    pub(crate) contract_id: i32,
    pub(crate) symbol: &'static str,
    pub(crate) security_type: &'static str,
    pub(crate) exchange: &'static str,
    pub(crate) currency: &'static str,
    pub(crate) trading_class: &'static str,
}

/// When a market trades, as IBKR tells it.
#[derive(Debug)]
struct Hours {
    /// The zone in IBKR's words.
    time_zone: &'static str,
    days: Days,
}

#[derive(Debug)]
enum Days {
    /// From a time on each day until one of the next, but for days on which nothing starts.
    Overnight { iana: &'static str, from: &'static str, until: &'static str, closed: [Weekday; 2] },
    /// The trading sessions of an exchange, with lunches, half days and holidays.
    Exchange { mic: &'static str, trading: Margins, liquid: Margins },
}

/// How many minutes before the open and after the close hours begin and end.
#[derive(Clone, Copy, Debug)]
struct Margins(i64, i64);

const NONE: Margins = Margins(0, 0);

const FOREX: Hours = Hours {
    time_zone: "US/Eastern",
    days: Days::Overnight {
        iana: "America/New_York",
        from: "1715",
        until: "1700",
        closed: [Weekday::Friday, Weekday::Saturday],
    },
};

const fn market(mic: &'static str, time_zone: &'static str, trading: Margins, liquid: Margins) -> Hours {
    Hours { time_zone, days: Days::Exchange { mic, trading, liquid } }
}

const UNITED_STATES: Hours = market("XNYS", "US/Eastern", Margins(330, 240), NONE);

/// IBKR's liquid hours of Hong Kong take in the closing auction, those of Sydney the last minute before the open.
static MARKETS: [Hours; 10] = [
    UNITED_STATES,
    market("XNAS", "US/Eastern", Margins(330, 240), NONE),
    market("XHKG", "Hongkong", Margins(0, 10), Margins(0, 10)),
    market("XTKS", "Japan", NONE, NONE),
    market("XSHG", "Hongkong", NONE, NONE),
    market("XSHE", "Hongkong", NONE, NONE),
    market("XSES", "Singapore", NONE, NONE),
    market("XASX", "Australia/NSW", Margins(1, 11), Margins(1, 0)),
    market("XLON", "GB-Eire", NONE, NONE),
    market("XETR", "MET", NONE, NONE),
];

static EUR_USD: Instrument = Instrument {
    contract_id: 12_087_792,
    symbol: "EUR",
    security_type: "CASH",
    exchange: "IDEALPRO",
    currency: "USD",
    trading_class: "EUR.USD",
};
static TENCENT: Instrument = Instrument {
    contract_id: 152_791_428,
    symbol: "700",
    security_type: "STK",
    exchange: "SEHK",
    currency: "HKD",
    trading_class: "700",
};
pub(crate) static APPLE: Instrument = Instrument {
    contract_id: 265_598,
    symbol: "AAPL",
    security_type: "STK",
    exchange: "SMART",
    currency: "USD",
    trading_class: "NMS",
};

/// How many days IBKR tells ahead, today among them.
const DAYS_TOLD: i64 = 6;

/// As old servers wrote it, which names no zone.
const UNKNOWN_ZONE: &str = "EST (Eastern Standard Time)";

/// The symbol that no broker knows, for trying error 200.
const UNKNOWN_SYMBOL: &str = "NOSUCH";

/// A holding of an account.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) instrument: &'static Instrument,
    pub(crate) quantity: i32,
    pub(crate) cost: f64,
    pub(crate) price: f64,
}

impl Holding {
    pub(crate) fn value(&self) -> f64 {
        f64::from(self.quantity) * self.price
    }

    pub(crate) fn profit(&self) -> f64 {
        f64::from(self.quantity) * (self.price - self.cost)
    }
}

/// What the first account holds; further accounts hold nothing.
pub(crate) static HOLDINGS: [Holding; 2] = [
    Holding { instrument: &TENCENT, quantity: 200, cost: 498.5, price: 512.0 },
    Holding { instrument: &APPLE, quantity: 10, cost: 189.25, price: 201.5 },
];

/// Key, value and currency of what an account is worth.
pub(crate) static ACCOUNT_VALUES: &[(&str, &str, &str)] = &[
    ("AccountType", "INDIVIDUAL", ""),
    ("NetLiquidation", "1000000.00", "USD"),
    ("TotalCashValue", "984890.13", "USD"),
    ("SettledCash", "984890.13", "USD"),
    ("BuyingPower", "3939560.52", "USD"),
    ("EquityWithLoanValue", "1000000.00", "USD"),
    ("GrossPositionValue", "15109.87", "USD"),
    ("InitMarginReq", "3777.47", "USD"),
    ("MaintMarginReq", "3777.47", "USD"),
    ("AvailableFunds", "996222.53", "USD"),
    ("ExcessLiquidity", "996222.53", "USD"),
    ("Cushion", "0.996223", ""),
    ("CashBalance", "984890.13", "BASE"),
];

/// What a question for a contract is answered with; `None` is error 200.
pub(crate) fn details(
    contract: &Contract,
    contract_id: i32,
    now: Timestamp,
    told: HoursTold,
) -> Option<ContractDetails> {
    let known = [&EUR_USD, &TENCENT, &APPLE].into_iter().find(|instrument| {
        contract_id == instrument.contract_id
            || (contract.symbol == instrument.symbol
                && [instrument.security_type, ""].contains(&contract.security_type.as_str())
                && [instrument.currency, ""].contains(&contract.currency.as_str()))
    });
    if let Some(instrument) = known {
        return Some(written(instrument.contract_id, named(instrument, contract), now, told));
    }
    if contract.symbol.is_empty() || contract.symbol == UNKNOWN_SYMBOL {
        return None;
    }
    Some(written(invented_id(&contract.symbol), contract.clone(), now, told))
}

/// The question's own words where it has some.
fn named(instrument: &Instrument, asked: &Contract) -> Contract {
    let or = |asked: &str, known: &str| if asked.is_empty() { known.to_owned() } else { asked.to_owned() };
    Contract {
        symbol: instrument.symbol.to_owned(),
        security_type: instrument.security_type.to_owned(),
        exchange: or(&asked.exchange, instrument.exchange),
        currency: instrument.currency.to_owned(),
    }
}

/// Always the same number for a symbol.
fn invented_id(symbol: &str) -> i32 {
    symbol.bytes().fold(100_000, |id, byte| (id * 31 + i32::from(byte)) % 10_000_019)
}

/// The hours of the contract's own exchange; where several may be meant, those of its currency.
fn hours(contract: &Contract) -> &'static Hours {
    if contract.security_type == "CASH" {
        return &FOREX;
    }
    let by_currency = if contract.currency == "HKD" { Exchange::XHKG.mic() } else { "XNYS" };
    let mic = Exchange::from_broker_code(&contract.exchange).map_or(by_currency, Exchange::mic);
    let is_meant = |hours: &&Hours| matches!(hours.days, Days::Exchange { mic: known, .. } if known == mic);
    MARKETS.iter().find(is_meant).unwrap_or(&UNITED_STATES)
}

fn written(contract_id: i32, contract: Contract, now: Timestamp, told: HoursTold) -> ContractDetails {
    let hours = hours(&contract);
    let (trading_hours, liquid_hours) = match &hours.days {
        Days::Overnight { iana, from, until, closed } => {
            let today = now.to_zoned(TimeZone::get(iana).unwrap_or(TimeZone::UTC)).date();
            let text = nights(today, from, until, closed);
            (text.clone(), text)
        }
        Days::Exchange { mic, trading, liquid } => {
            let calendar = mic.parse().ok().map(Calendar::for_exchange);
            let week = |margins| calendar.as_ref().map(|calendar| week(calendar, now, margins, told));
            (week(*trading).unwrap_or_default(), week(*liquid).unwrap_or_default())
        }
    };
    let time_zone = if told == HoursTold::UnknownZone { UNKNOWN_ZONE } else { hours.time_zone };
    ContractDetails { contract, contract_id, time_zone: time_zone.to_owned(), trading_hours, liquid_hours }
}

/// The days that IBKR tells, today first.
fn days_ahead(first: i64, today: Date) -> impl Iterator<Item = Date> {
    (first..DAYS_TOLD).filter_map(move |ahead| today.checked_add(ahead.days()).ok())
}

/// The sessions of an exchange in IBKR's notation. Days that its calendar does not know are left out.
fn week(calendar: &Calendar, now: Timestamp, Margins(before, after): Margins, told: HoursTold) -> String {
    let today = calendar.local_date(now).unwrap_or_default();
    let day = |date: Date| {
        let hours = calendar.hours_on(date)?;
        let day = date.strftime("%Y%m%d");
        let [.., last] = hours.spans() else { return Some(format!("{day}:CLOSED")) };
        if told == HoursTold::Closed {
            return Some(format!("{day}:CLOSED"));
        }
        let cut = if told == HoursTold::EndsEarly { -60 } else { 0 };
        let entries = hours.spans().iter().enumerate().map(|(index, span)| {
            let start = if index == 0 { span.start().saturating_sub(before.minutes()) } else { span.start() };
            let end = if span == last { span.end().saturating_add((after + cut).minutes()) } else { span.end() };
            format!("{day}:{}-{day}:{}", start.strftime("%H%M"), end.strftime("%H%M"))
        });
        Some(entries.collect::<Vec<_>>().join(";"))
    };
    days_ahead(0, today).filter_map(day).collect::<Vec<_>>().join(";")
}

/// Nights in IBKR's notation, with the one that began yesterday and still runs.
fn nights(today: Date, from: &str, until: &str, closed: &[Weekday]) -> String {
    let night = |date: Date| {
        let day = date.strftime("%Y%m%d");
        if closed.contains(&date.weekday()) {
            return format!("{day}:CLOSED");
        }
        format!("{day}:{from}-{}:{until}", date.tomorrow().unwrap_or(date).strftime("%Y%m%d"))
    };
    days_ahead(-1, today).map(night).collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(symbol: &str, security_type: &str, exchange: &str, currency: &str) -> Option<ContractDetails> {
        let contract = Contract {
            symbol: symbol.into(),
            security_type: security_type.into(),
            exchange: exchange.into(),
            currency: currency.into(),
        };
        // A Thursday morning in New York, a Thursday night in Hong Kong.
        details(&contract, 0, "2026-11-19T14:00:00Z".parse().expect("a time"), HoursTold::Truly)
    }

    fn liquid(symbol: &str, exchange: &str, day: &str, told: HoursTold) -> String {
        let contract = Contract { symbol: symbol.into(), exchange: exchange.into(), ..Contract::default() };
        let noon = format!("{day}T04:00:00Z").parse().expect("a time");
        let details = details(&contract, 0, noon, told).expect("plausible");
        details
            .liquid_hours
            .split(&day.replace('-', ""))
            .skip(1)
            .map(|entry| &entry[1..5])
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn days_are_those_of_the_exchange() {
        for (exchange, day, hours) in [
            ("SEHK", "2026-11-24", "0930 1200 1300 1610"),
            ("SEHK", "2026-12-24", "0930 1210"),
            ("SEHK", "2026-12-25", "CLOS"),
            ("SEHK", "2026-12-26", "CLOS"),
            ("TSEJ", "2026-11-24", "0900 1130 1230 1530"),
            ("NYSE", "2026-11-27", "0930 1300"),
            ("ASX", "2026-11-24", "0959 1600"),
            ("IBIS", "2026-12-30", "0900 1400"),
            ("LSE", "2026-11-24", "0800 1630"),
            ("SGX", "2026-11-24", "0900 1200 1300 1700"),
            ("SEHKNTL", "2026-11-24", "0930 1130 1300 1500"),
            // Nobody knows.
            ("SEHK", "2031-12-24", ""),
        ] {
            assert_eq!(liquid("X", exchange, day, HoursTold::Truly), hours, "{exchange} {day}");
        }
    }

    #[test]
    fn hours_that_are_not_true() {
        assert_eq!(liquid("700", "SEHK", "2026-11-24", HoursTold::Closed), "CLOS");
        assert_eq!(liquid("700", "SEHK", "2026-11-24", HoursTold::EndsEarly), "0930 1200 1300 1510");
        assert_eq!(liquid("700", "SEHK", "2026-11-24", HoursTold::UnknownZone), "0930 1200 1300 1610");
    }

    #[test]
    fn hours_are_those_of_the_market() {
        let apple = ask("AAPL", "STK", "SMART", "USD").expect("known");
        assert_eq!(apple.contract_id, 265_598);
        assert_eq!(
            apple.liquid_hours,
            "20261119:0930-20261119:1600;20261120:0930-20261120:1600;20261121:CLOSED;20261122:CLOSED;\
             20261123:0930-20261123:1600;20261124:0930-20261124:1600"
        );
        let forex = ask("EUR", "CASH", "IDEALPRO", "USD").expect("known");
        assert_eq!(
            forex.trading_hours,
            "20261118:1715-20261119:1700;20261119:1715-20261120:1700;20261120:CLOSED;20261121:CLOSED;\
             20261122:1715-20261123:1700;20261123:1715-20261124:1700;20261124:1715-20261125:1700"
        );
        let tencent = ask("700", "STK", "SEHK", "HKD").expect("known");
        assert_eq!(tencent.time_zone, "Hongkong");
        assert!(tencent.liquid_hours.starts_with("20261119:0930-20261119:1200;20261119:1300-20261119:1610;20261120:"));
    }

    #[test]
    fn what_nobody_knows() {
        assert_eq!(ask("NOSUCH", "STK", "SMART", "USD"), None);
        assert_eq!(ask("", "STK", "SMART", "USD"), None);
        let other = ask("0005", "STK", "SEHK", "HKD").expect("plausible");
        assert_eq!(other.time_zone, "Hongkong");
        assert_eq!(Some(&other.contract_id), ask("0005", "STK", "SEHK", "HKD").map(|again| again.contract_id).as_ref());
    }

    #[test]
    fn a_contract_id_is_enough() {
        let details =
            details(&Contract::default(), 265_598, "2026-11-19T14:00:00Z".parse().expect("a time"), HoursTold::Truly);
        assert_eq!(details.expect("known").contract.symbol, "AAPL");
    }
}
