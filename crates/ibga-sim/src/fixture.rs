//! The invented world behind the gateway: a few instruments, holdings and account values, plausible and always the same.

use ibga_tws::reply::ContractDetails;
use ibga_tws::request::Contract;
use jiff::civil::{Date, Weekday};
use jiff::{Timestamp, ToSpan, tz::TimeZone};

/// Something that can be traded.
#[derive(Debug)]
pub(crate) struct Instrument {
    pub(crate) contract_id: i32,
    pub(crate) symbol: &'static str,
    pub(crate) security_type: &'static str,
    pub(crate) exchange: &'static str,
    pub(crate) currency: &'static str,
    pub(crate) trading_class: &'static str,
    hours: &'static Hours,
}

/// When an instrument trades.
#[derive(Debug)]
struct Hours {
    /// As IBKR names it.
    time_zone: &'static str,
    /// The same zone's IANA name.
    iana: &'static str,
    /// Start and end of each session of a day. One that ends before it starts ends on the next day.
    trading: &'static [(&'static str, &'static str)],
    liquid: &'static [(&'static str, &'static str)],
    /// The days on which no session starts.
    closed: [Weekday; 2],
}

const FOREX: Hours = Hours {
    time_zone: "US/Eastern",
    iana: "America/New_York",
    trading: &[("1715", "1700")],
    liquid: &[("1715", "1700")],
    closed: [Weekday::Friday, Weekday::Saturday],
};
/// IBKR's liquid hours of Hong Kong include the closing auction.
const HONG_KONG: Hours = Hours {
    time_zone: "Hongkong",
    iana: "Asia/Hong_Kong",
    trading: &[("0930", "1200"), ("1300", "1610")],
    liquid: &[("0930", "1200"), ("1300", "1610")],
    closed: [Weekday::Saturday, Weekday::Sunday],
};
const UNITED_STATES: Hours = Hours {
    time_zone: "US/Eastern",
    iana: "America/New_York",
    trading: &[("0400", "2000")],
    liquid: &[("0930", "1600")],
    closed: [Weekday::Saturday, Weekday::Sunday],
};

static EUR_USD: Instrument = Instrument {
    contract_id: 12_087_792,
    symbol: "EUR",
    security_type: "CASH",
    exchange: "IDEALPRO",
    currency: "USD",
    trading_class: "EUR.USD",
    hours: &FOREX,
};
static TENCENT: Instrument = Instrument {
    contract_id: 152_791_428,
    symbol: "700",
    security_type: "STK",
    exchange: "SEHK",
    currency: "HKD",
    trading_class: "700",
    hours: &HONG_KONG,
};
pub(crate) static APPLE: Instrument = Instrument {
    contract_id: 265_598,
    symbol: "AAPL",
    security_type: "STK",
    exchange: "SMART",
    currency: "USD",
    trading_class: "NMS",
    hours: &UNITED_STATES,
};

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
pub(crate) fn details(contract: &Contract, contract_id: i32, now: Timestamp) -> Option<ContractDetails> {
    let known = [&EUR_USD, &TENCENT, &APPLE].into_iter().find(|instrument| {
        contract_id == instrument.contract_id
            || (contract.symbol == instrument.symbol
                && [instrument.security_type, ""].contains(&contract.security_type.as_str())
                && [instrument.currency, ""].contains(&contract.currency.as_str()))
    });
    if let Some(instrument) = known {
        return Some(written(instrument.contract_id, named(instrument, contract), instrument.hours, now));
    }
    if contract.symbol.is_empty() || contract.symbol == UNKNOWN_SYMBOL {
        return None;
    }
    let hours = match (contract.security_type.as_str(), contract.currency.as_str()) {
        ("CASH", _) => &FOREX,
        (_, "HKD") => &HONG_KONG,
        _ => &UNITED_STATES,
    };
    Some(written(invented_id(&contract.symbol), contract.clone(), hours, now))
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

fn written(contract_id: i32, contract: Contract, hours: &Hours, now: Timestamp) -> ContractDetails {
    let zone = TimeZone::get(hours.iana).unwrap_or(TimeZone::UTC);
    let today = now.to_zoned(zone).date();
    ContractDetails {
        contract,
        contract_id,
        time_zone: hours.time_zone.to_owned(),
        trading_hours: week(today, hours, hours.trading),
        liquid_hours: week(today, hours, hours.liquid),
    }
}

/// The sessions of six days in IBKR's notation, with one that began yesterday and still runs.
fn week(today: Date, hours: &Hours, sessions: &[(&str, &str)]) -> String {
    let runs_overnight = sessions.iter().any(|(start, end)| end < start);
    let first = if runs_overnight { -1_i64 } else { 0 };
    let days = (first..6).filter_map(|ahead| today.checked_add(ahead.days()).ok());
    let day = |day: Date| {
        if hours.closed.contains(&day.weekday()) {
            return format!("{}:CLOSED", day.strftime("%Y%m%d"));
        }
        let session = |(start, end): &(&str, &str)| {
            let last = if end < start { day.tomorrow().unwrap_or(day) } else { day };
            format!("{}:{start}-{}:{end}", day.strftime("%Y%m%d"), last.strftime("%Y%m%d"))
        };
        sessions.iter().map(session).collect::<Vec<_>>().join(";")
    };
    days.map(day).collect::<Vec<_>>().join(";")
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
        details(&contract, 0, "2026-11-19T14:00:00Z".parse().expect("a time"))
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
        let details = details(&Contract::default(), 265_598, "2026-11-19T14:00:00Z".parse().expect("a time"));
        assert_eq!(details.expect("known").contract.symbol, "AAPL");
    }
}
