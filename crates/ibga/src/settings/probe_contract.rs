//! The contract that a probe asks the broker about: `SYMBOL EXCHANGE [TYPE [CURRENCY]]`, as in `700 SEHK`.
//!
//! Responsible for taking only what can be compared with a calendar: a stock on an exchange of its own. Without the setting the
//! probe asks about EUR.USD, whose hours nobody compares.

use std::fmt;

use ibga_core::calendar::Exchange;
use ibga_core::nearest::nearest;
use ibga_core::report::HoursQuestion;
use ibga_tws::request::Contract;

use super::fault::{Fault, shown};

/// Longest symbol that is taken, in bytes.
const SYMBOL_BYTES_MAX: usize = 32;

/// A contract with a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeContract {
    contract: Contract,
    exchange: Exchange,
}

impl ProbeContract {
    /// As the question names it.
    #[must_use]
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// The exchange on which it trades.
    #[must_use]
    pub fn exchange(&self) -> Exchange {
        self.exchange
    }

    /// Whose hours the broker is asked for.
    #[must_use]
    pub fn hours_question(&self) -> HoursQuestion {
        HoursQuestion { contract: self.to_string(), exchange: self.exchange }
    }
}

impl fmt::Display for ProbeContract {
    /// `700 SEHK STK HKD`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Contract { symbol, exchange, security_type, currency } = &self.contract;
        write!(formatter, "{symbol} {exchange} {security_type} {currency}")
    }
}

pub(super) fn probe_contract(text: &str) -> Result<ProbeContract, Fault> {
    let fault = |hint: String| Fault::ProbeContract { shown: shown(text), hint };
    let form = || fault("write SYMBOL EXCHANGE [TYPE [CURRENCY]], as in `700 SEHK` or `700 SEHK STK HKD`".into());
    let words: Vec<&str> = text.split_whitespace().collect();
    let (symbol, code, more) = match words.as_slice() {
        [symbol, code, more @ ..] if more.len() <= 2 => (*symbol, *code, more),
        _ => return Err(form()),
    };
    if symbol.len() > SYMBOL_BYTES_MAX || !symbol.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(form());
    }
    let exchange = exchange(code).map_err(fault)?;
    let security_type = more.first().copied().unwrap_or("STK").to_ascii_uppercase();
    if security_type != "STK" {
        return Err(fault(format!(
            "a contract of type {security_type} has hours of its own; name a stock, of type STK"
        )));
    }
    let currency = more.get(1).copied().unwrap_or_else(|| currency_of(exchange)).to_ascii_uppercase();
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(fault(format!("{} is not a currency; write three letters, such as HKD", shown(&currency))));
    }
    let contract =
        Contract { symbol: symbol.to_owned(), security_type, exchange: exchange.broker_code().into(), currency };
    Ok(ProbeContract { contract, exchange })
}

/// The exchange by its name at IBKR, or what to write instead.
fn exchange(code: &str) -> Result<Exchange, String> {
    if code.eq_ignore_ascii_case("SMART") {
        return Err(
            "SMART routes to several exchanges and has no calendar; name one of them, as in `AAPL NASDAQ`".into()
        );
    }
    if let Some(exchange) = Exchange::from_broker_code(code) {
        return Ok(exchange);
    }
    if let Ok(exchange) = code.parse::<Exchange>() {
        return Err(format!("IBKR calls {exchange} {}; write that", exchange.broker_code()));
    }
    let codes = || Exchange::known().map(Exchange::broker_code);
    Err(match nearest(&code.to_ascii_uppercase(), codes(), 1) {
        Some(right) => format!("there is no calendar for {}; did you mean {right}?", shown(code)),
        None => format!(
            "there is no calendar for {}; name an exchange that has one: {}",
            shown(code),
            codes().collect::<Vec<_>>().join(", ")
        ),
    })
}

/// The currency of most stocks there. Stock Connect trades in the yuan outside China.
fn currency_of(exchange: Exchange) -> &'static str {
    match exchange.mic() {
        "XHKG" => "HKD",
        "XTKS" => "JPY",
        "XSHG" | "XSHE" => "CNH",
        "XSES" => "SGD",
        "XASX" => "AUD",
        "XLON" => "GBP",
        "XETR" => "EUR",
        _ => "USD",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contracts() {
        for (text, expected) in [
            ("700 SEHK", Ok("700 SEHK STK HKD, XHKG")),
            ("700  sehk stk hkd", Ok("700 SEHK STK HKD, XHKG")),
            ("AAPL NASDAQ", Ok("AAPL NASDAQ STK USD, XNAS")),
            ("IBM NYSE", Ok("IBM NYSE STK USD, XNYS")),
            ("7203 TSEJ", Ok("7203 TSEJ STK JPY, XTKS")),
            ("600519 SEHKNTL", Ok("600519 SEHKNTL STK CNH, XSHG")),
            ("000001 SEHKSZSE", Ok("000001 SEHKSZSE STK CNH, XSHE")),
            ("D05 SGX", Ok("D05 SGX STK SGD, XSES")),
            ("K71U SGX STK USD", Ok("K71U SGX STK USD, XSES")),
            ("BHP ASX", Ok("BHP ASX STK AUD, XASX")),
            ("VOD LSE", Ok("VOD LSE STK GBP, XLON")),
            ("SAP IBIS", Ok("SAP IBIS STK EUR, XETR")),
            ("700", Err("write SYMBOL EXCHANGE [TYPE [CURRENCY]], as in `700 SEHK` or `700 SEHK STK HKD`")),
            (
                "700 SEHK STK HKD X",
                Err("write SYMBOL EXCHANGE [TYPE [CURRENCY]], as in `700 SEHK` or `700 SEHK STK HKD`"),
            ),
            ("größe SEHK", Err("write SYMBOL EXCHANGE [TYPE [CURRENCY]], as in `700 SEHK` or `700 SEHK STK HKD`")),
            (
                "AAPL SMART",
                Err("SMART routes to several exchanges and has no calendar; name one of them, as in `AAPL NASDAQ`"),
            ),
            ("700 XHKG", Err("IBKR calls XHKG SEHK; write that")),
            ("700 SEHQ", Err("there is no calendar for SEHQ; did you mean SEHK?")),
            (
                "HSI HKFE",
                Err("there is no calendar for HKFE; name an exchange that has one: \
                     SEHK, NYSE, NASDAQ, TSEJ, SEHKNTL, SEHKSZSE, SGX, ASX, LSE, IBIS"),
            ),
            ("700 SEHK OPT", Err("a contract of type OPT has hours of its own; name a stock, of type STK")),
            ("700 SEHK STK dollars", Err("DOLLARS is not a currency; write three letters, such as HKD")),
        ] {
            let outcome = probe_contract(text)
                .map(|contract| format!("{contract}, {}", contract.exchange()))
                .map_err(|fault| fault.to_string());
            let expected =
                expected.map(str::to_owned).map_err(|hint| format!("`{text}` cannot be asked about; {hint}"));
            assert_eq!(outcome, expected, "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for exchange in Exchange::known() {
            let contract = probe_contract(&format!("X {}", exchange.broker_code())).expect("a contract");
            assert_eq!(contract.exchange(), exchange);
            assert_eq!(probe_contract(&contract.to_string()), Ok(contract));
        }
    }
}
