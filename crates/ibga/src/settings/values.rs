//! The types that settings take, and the one reading of each.
//!
//! Responsible for turning a text into a typed value or a fault that says what to write instead.
//! Must never look anywhere but at the text: no file, no clock, no name look-up.

pub(super) mod alerts;
mod recovery;

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ibga_core::account::AccountId;
use ibga_core::calendar::{Combination, Exchange};
use ibga_core::nearest::nearest;
use ibga_core::reset_windows::DailyReset;
use ibga_core::supervision::StopOn;
use ibga_core::verdict::ExpectedMode;
use ibga_core::window;
use jiff::SignedDuration;
use jiff::civil::Time;

use crate::docker::ContainerName;

use super::fault::{Fault, shown};

pub(super) use recovery::{recipe, recover_budget, recover_pause, recoverable};

/// How many client ids a probe may use, counted from the configured one.
pub const CLIENT_IDS: i32 = 5;

/// Longest host name, in bytes (RFC 1035, 2.3.4).
const HOST_BYTES_MAX: usize = 253;

/// Longest name of a container or user that is taken, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Longest path that the kernel takes, in bytes (`PATH_MAX` with its closing zero).
const PATH_BYTES_MAX: usize = 4095;

/// The name of a gateway: 1 to 32 letters, digits, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatewayName(String);

impl GatewayName {
    /// The name of the gateway that is meant where none is named.
    pub const DEFAULT: &'static str = "default";

    /// The gateway that is meant where none is named and none is configured.
    pub(super) fn unnamed() -> Self {
        Self(Self::DEFAULT.to_owned())
    }

    /// Reads a name, whether or not such a gateway is configured; the error says what to write.
    ///
    /// # Errors
    /// The text is no name.
    pub fn read(text: &str) -> Result<Self, String> {
        gateway_name(text).map_err(|fault| fault.to_string())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where its status file stands unless configured.
    #[must_use]
    pub fn default_status_file(&self) -> PathBuf {
        match self.as_str() {
            Self::DEFAULT => super::names::STATUS_FILE.default.into(),
            name => format!("/tmp/ibga-status-{name}.json").into(),
        }
    }
}

impl fmt::Display for GatewayName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A host name or an IP address, IPv6 without brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Host(String);

impl Host {
    /// The host as a resolver takes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether what is sent there stays on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        self.0.eq_ignore_ascii_case("localhost") || self.0.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The first of the [`CLIENT_IDS`] API client ids that a probe may use; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientId(i32);

impl ClientId {
    /// The id to try first.
    #[must_use]
    pub fn first(self) -> i32 {
        self.0
    }

    /// Every id that may be tried, in order.
    #[must_use]
    pub fn range(self) -> RangeInclusive<i32> {
        // Saturation is never reached, since `client_id` leaves room for the range.
        self.0..=self.0.saturating_add(CLIENT_IDS - 1)
    }
}

/// The exchanges whose hours the gate keeps, at least one, and how they are judged together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarketChoice {
    /// The exchanges, in the order in which they were named.
    pub exchanges: Vec<Exchange>,
    /// Whether one that is open is enough.
    pub combination: Combination,
}

/// The word for Shanghai and Hong Kong together, through which Shanghai is traded from abroad.
pub const STOCK_CONNECT: &str = "stock_connect";

/// What one word of the setting names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExchangeWord {
    /// An exchange.
    One(Exchange),
    /// Shanghai and Hong Kong, both of them.
    StockConnect,
}

impl ExchangeWord {
    /// The exchange, if it is a single one.
    pub(super) fn exchange(self) -> Option<Exchange> {
        match self {
            Self::One(exchange) => Some(exchange),
            Self::StockConnect => None,
        }
    }
}

/// Which container belongs to the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerChoice {
    /// The one that publishes the gateway's port, if any does.
    Auto,
    /// No container; Docker Engine is not asked.
    None,
    /// The one of exactly this name.
    Named(ContainerName),
}

/// The question that proves the broker behind the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerProbe {
    /// Ask for a contract's details.
    Contract,
    /// Ask nothing; the broker stays unproven.
    Off,
}

/// A user as named in a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// The numeric user id.
    Id(u32),
    /// A login name, to be looked up.
    Name(String),
}

/// The reading of one kind of value.
pub(super) type Parse<T> = fn(&str) -> Result<T, Fault>;

/// Reads one value, after the tests that hold for all of them. Space around it does not count.
pub(super) fn read<T>(text: &str, parse: Parse<T>) -> Result<T, Fault> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Fault::Empty);
    }
    if text.chars().any(char::is_control) {
        return Err(Fault::ControlCharacter);
    }
    parse(text)
}

pub(super) fn gateway_name(text: &str) -> Result<GatewayName, Fault> {
    let is_name = (1..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if is_name {
        Ok(GatewayName(text.to_owned()))
    } else {
        Err(not_a(text, "a gateway name", "write 1 to 32 letters, digits, - and _"))
    }
}

pub(super) fn host(text: &str) -> Result<Host, Fault> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>()
        && (bare.len() == text.len() || address.is_ipv6())
    {
        return Ok(Host(address.to_string()));
    }
    if text.contains(['/', ':', '@']) {
        return Err(Fault::MoreThanHost { shown: shown(text) });
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A name that ends in a number would be taken for an address, which it is not.
    let ends_in_number = name.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    if name.len() <= HOST_BYTES_MAX && name.split('.').all(is_label) && !ends_in_number {
        Ok(Host(text.to_owned()))
    } else {
        Err(not_a(text, "a host", "write a host name or an IP address"))
    }
}

pub(super) fn port(text: &str) -> Result<u16, Fault> {
    whole(text, 1, u16::MAX).ok_or_else(|| not_a(text, "a port", "write a whole number from 1 to 65535"))
}

pub(super) fn client_id(text: &str) -> Result<ClientId, Fault> {
    if whole(text, 0, 0) == Some(0) {
        return Err(Fault::ClientIdZero);
    }
    whole(text, 1, i32::MAX - (CLIENT_IDS - 1))
        .map(ClientId)
        .ok_or_else(|| not_a(text, "a client id", "write a whole number from 1 to 2147483643"))
}

pub(super) fn container(text: &str) -> Result<ContainerChoice, Fault> {
    match text {
        "auto" => Ok(ContainerChoice::Auto),
        "none" => Ok(ContainerChoice::None),
        name => name.parse().map(ContainerChoice::Named).map_err(|_| {
            not_a(
                text,
                "a container",
                "write auto, none, or a name of letters, digits, _, . and - that begins with a letter or digit",
            )
        }),
    }
}

pub(super) fn timeout(text: &str) -> Result<Duration, Fault> {
    duration(text, "100ms", "10m")
}

pub(super) fn heartbeat(text: &str) -> Result<Duration, Fault> {
    duration(text, "2s", "60s")
}

pub(super) fn settle(text: &str) -> Result<Duration, Fault> {
    duration(text, "0s", "10s")
}

pub(super) fn max_status_age(text: &str) -> Result<Duration, Fault> {
    duration(text, "1s", "24h")
}

pub(super) fn max_clock_skew(text: &str) -> Result<Duration, Fault> {
    duration(text, "1s", "1h")
}

pub(super) fn grace(text: &str) -> Result<Duration, Fault> {
    duration(text, "0s", "10m")
}

pub(super) fn tolerance(text: &str) -> Result<Duration, Fault> {
    duration(text, "0s", "1h")
}

pub(super) fn stop_on(text: &str) -> Result<StopOn, Fault> {
    text.parse().map_err(|_| not_a_choice(text, &["not_ready", "session_end", "halt"]))
}

/// How long `ibga wait` waits.
///
/// # Errors
/// It is no duration, or none from 1s to 24h.
pub fn check_wait(text: &str) -> Result<Duration, Fault> {
    read(text, |text| duration(text, "1s", "24h"))
}

/// A duration within limits, which are written as durations themselves so that the message can repeat them.
fn duration(text: &str, min: &'static str, max: &'static str) -> Result<Duration, Fault> {
    if text.parse::<f64>().is_ok_and(f64::is_finite) {
        return Err(Fault::NoUnit { shown: shown(text) });
    }
    let out_of_range = || Fault::DurationRange { shown: shown(text), min, max };
    let parsed = units(text)
        .ok_or_else(|| not_a(text, "a duration", "write numbers with units h, m, s or ms, such as 15s or 1h30m"))?;
    match (units(min), units(max)) {
        (Some(min), Some(max)) if (min..=max).contains(&parsed) => Ok(parsed),
        _ => Err(out_of_range()),
    }
}

/// Reads `1h30m`. The library reads more forms; a clock time or a sign would only invite mistakes here.
fn units(text: &str) -> Option<Duration> {
    let begins_well = text.starts_with(|first: char| first.is_ascii_digit());
    if !begins_well || text.contains(':') {
        return None;
    }
    text.parse::<SignedDuration>().ok().and_then(|parsed| Duration::try_from(parsed).ok())
}

pub(super) fn wall_time(text: &str) -> Result<Time, Fault> {
    window::parse_wall(text).ok_or_else(|| not_a(text, "a time of day", "write HH:MM, such as 09:30"))
}

pub(super) fn reset_window(text: &str) -> Result<DailyReset, Fault> {
    text.parse().map_err(|_| {
        not_a(text, "a reset window", "write span, zone and region, as in 00:15-01:45 America/New_York North America")
    })
}

pub(super) fn path(text: &str) -> Result<PathBuf, Fault> {
    if text.starts_with('~') || text.contains('$') {
        return Err(Fault::PathNotExpanded { shown: shown(text) });
    }
    if text.len() > PATH_BYTES_MAX || text.ends_with('/') {
        return Err(not_a(text, "a path", "write the path without a / at its end, at most 4095 bytes"));
    }
    Ok(PathBuf::from(text))
}

pub(super) fn absolute_path(text: &str) -> Result<PathBuf, Fault> {
    let path = path(text.strip_suffix('/').unwrap_or(text))?;
    if Path::is_absolute(&path) { Ok(path) } else { Err(Fault::PathRelative { shown: shown(text) }) }
}

pub(super) fn file_mode(text: &str) -> Result<u32, Fault> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let is_octal = (3..=4).contains(&digits.len()) && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = is_octal
        .then(|| u32::from_str_radix(digits, 8).ok())
        .flatten()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| not_a(text, "a file mode", "write it in octal, such as 0600"))?;
    if mode & 0o022 != 0 {
        return Err(Fault::ModeWritable { shown: shown(text) });
    }
    if mode & 0o600 != 0o600 {
        return Err(Fault::ModeShut { shown: shown(text) });
    }
    Ok(mode)
}

pub(super) fn account(text: &str) -> Result<AccountId, Fault> {
    let upper = text.to_ascii_uppercase();
    let digits = upper.trim_start_matches(|first: char| first.is_ascii_uppercase());
    let letters = upper.len() - digits.len();
    let is_account = (1..=4).contains(&letters)
        && (3..=12).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    let id = AccountId::new(&upper).filter(|_| is_account);
    id.ok_or_else(|| Fault::AccountShape { start: text.chars().take(2).collect() })
}

pub(super) fn expected_mode(text: &str) -> Result<ExpectedMode, Fault> {
    match text {
        "paper" => Ok(ExpectedMode::Paper),
        "live" => Ok(ExpectedMode::Live),
        _ => Err(not_a_choice(text, &["paper", "live"])),
    }
}

pub(super) fn broker_probe(text: &str) -> Result<BrokerProbe, Fault> {
    match text {
        "contract" => Ok(BrokerProbe::Contract),
        "off" => Ok(BrokerProbe::Off),
        _ => Err(not_a_choice(text, &["contract", "off"])),
    }
}

pub(super) fn switch(text: &str) -> Result<bool, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(not_a_choice(text, &["true", "false"])),
    }
}

pub(super) fn farm(text: &str) -> Result<String, Fault> {
    let is_farm = text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if is_farm {
        Ok(text.to_owned())
    } else {
        Err(not_a(text, "a data farm", "write its name, such as hfarm or usfarm"))
    }
}

pub(super) fn exchange(text: &str) -> Result<ExchangeWord, Fault> {
    if text.eq_ignore_ascii_case(STOCK_CONNECT) {
        return Ok(ExchangeWord::StockConnect);
    }
    text.parse::<Exchange>().map(ExchangeWord::One).map_err(|fault| {
        let is_connect = nearest(&text.to_ascii_lowercase(), std::iter::once(STOCK_CONNECT), 3).is_some();
        let hint = match fault.nearest() {
            Some(mic) => format!("did you mean {mic}?"),
            None if is_connect => format!("did you mean {STOCK_CONNECT}?"),
            None => {
                let mics: Vec<&str> = Exchange::known().map(Exchange::mic).collect();
                format!("use one of {}, or {STOCK_CONNECT}", mics.join(", "))
            }
        };
        Fault::UnknownExchange { shown: shown(text), hint }
    })
}

/// What is wrong with exchanges, each given alone or in a comma list, as `--exchange` takes them.
///
/// # Errors
/// The first that is none, or Stock Connect beside another.
pub fn check_exchanges(texts: &[String]) -> Result<(), Fault> {
    let words = texts.iter().flat_map(|text| text.split(',')).map(|text| read(text, exchange));
    let words = words.collect::<Result<Vec<_>, _>>()?;
    let is_alone = words.iter().all(|word| Some(word) == words.first());
    if is_alone || !words.contains(&ExchangeWord::StockConnect) { Ok(()) } else { Err(Fault::StockConnectAlone) }
}

pub(super) fn exchange_rule(text: &str) -> Result<Combination, Fault> {
    match text {
        "any" => Ok(Combination::Any),
        "all" => Ok(Combination::All),
        _ => Err(not_a_choice(text, &["any", "all"])),
    }
}

pub(super) fn api_version(text: &str) -> Result<u16, Fault> {
    whole(text, 100, 300).ok_or_else(|| not_a(text, "an API version", "write a whole number from 100 to 300"))
}

pub(super) fn owner(text: &str) -> Result<Owner, Fault> {
    // The highest id means "nobody" to the kernel's calls.
    if let Some(id) = whole(text, 0, u32::MAX - 1) {
        return Ok(Owner::Id(id));
    }
    let is_name = text.len() <= NAME_BYTES_MAX
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-$".contains(&byte));
    if is_name {
        Ok(Owner::Name(text.to_owned()))
    } else {
        Err(not_a(text, "a user", "write a user name or a numeric user id"))
    }
}

/// A number of plain digits within limits.
fn whole<N>(text: &str, min: N, max: N) -> Option<N>
where
    N: std::str::FromStr + PartialOrd + Copy,
{
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<N>().ok().filter(|_| is_plain)?;
    (number >= min && number <= max).then_some(number)
}

fn not_a(text: &str, what: &'static str, expected: &'static str) -> Fault {
    Fault::NotA { shown: shown(text), what, expected }
}

fn not_a_choice(text: &str, choices: &'static [&'static str]) -> Fault {
    let lower = text.to_ascii_lowercase();
    Fault::NotAChoice { shown: shown(text), choices, nearest: nearest(&lower, choices.iter().copied(), 2) }
}

#[cfg(test)]
mod tests;
