//! The words that a shell offers where an option takes one of a few, or mostly one of a few. What is valid is decided elsewhere,
//! in the settings or by the type: a variable and a flag have to fail with the same words.

use std::ffi::OsStr;
use std::str::FromStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, Command, Error};
use ibga_core::calendar::Exchange;
use ibga_core::supervision::StopOn;
use ibga_sim::{Proxy, Scenario};

use crate::alert::channel::ChannelName;
use crate::settings::STOCK_CONNECT;

/// A parser that offers words beside what it takes.
#[derive(Clone)]
pub(super) struct Offering<P> {
    parser: P,
    /// Asked for only when somebody completes.
    words: fn() -> Vec<PossibleValue>,
}

impl<P: TypedValueParser> TypedValueParser for Offering<P> {
    type Value = P::Value;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<Self::Value, Error> {
        self.parser.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.words)().into_iter()))
    }
}

type Text = Offering<StringValueParser>;

fn text(words: fn() -> Vec<PossibleValue>) -> Text {
    Offering { parser: StringValueParser::new(), words }
}

pub(super) fn exchange_rules() -> Text {
    text(|| vec![PossibleValue::new("all"), PossibleValue::new("any")])
}

pub(super) fn modes() -> Text {
    text(|| vec![PossibleValue::new("paper"), PossibleValue::new("live")])
}

pub(super) fn containers() -> Text {
    text(|| {
        vec![
            PossibleValue::new("auto").help("the one that publishes the port"),
            PossibleValue::new("none").help("ask no container engine"),
        ]
    })
}

pub(super) fn broker_probes() -> Text {
    text(|| {
        vec![
            PossibleValue::new("contract").help("details of a contract"),
            PossibleValue::new("off").help("ask the broker nothing"),
        ]
    })
}

pub(super) fn stops() -> Text {
    text(|| StopOn::ALL.iter().map(|one| PossibleValue::new(one.code())).collect())
}

pub(super) fn channels() -> Text {
    text(|| ChannelName::ALL.iter().map(|name| PossibleValue::new(name.as_str())).collect())
}

pub(super) fn exchanges() -> Text {
    text(|| {
        let mics = Exchange::known().map(Exchange::mic);
        mics.chain([STOCK_CONNECT]).map(PossibleValue::new).collect()
    })
}

pub(super) fn timelines() -> Text {
    text(|| {
        Scenario::ALL.iter().map(|scenario| PossibleValue::new(scenario.name()).help(scenario.describe())).collect()
    })
}

pub(super) fn proxies() -> impl TypedValueParser<Value = Proxy> {
    Offering {
        parser: |text: &str| Proxy::from_str(text),
        words: || Proxy::ALL.iter().map(|proxy| PossibleValue::new(proxy.name())).collect(),
    }
}
