//! What one session's requests are answered with, as values: no socket, no clock of its own.
//!
//! Answered are: `reqIds` (8), `reqContractDetails` (9), `reqManagedAccts` (17), `reqCurrentTime` (49, at most once a second),
//! `reqCurrentTimeInMillis` (105), `reqOpenOrders` and `reqAllOpenOrders` (5, 16: none), `reqCompletedOrders` (99: none),
//! `reqExecutions` (7: none), `reqAccountUpdates` (6), `reqAccountUpdatesMulti` (76), `reqAccountSummary` (62),
//! `reqPositions` (61), `reqPositionsMulti` (74), `reqUserInfo` (104) and `reqConfig` (108). Market data (1, 20, …) is refused
//! where the scenario has an error for it. Cancellations are understood. Everything else gets no answer; the event says so.

use std::time::Duration;

use ibga_core::account::AccountId;
use ibga_core::notice::Notice;
use ibga_tws::ServerVersion;
use ibga_tws::fields::FieldReader;
use ibga_tws::proto::{self, Value};
use ibga_tws::reply::Reply;
use ibga_tws::request::{Contract, Encoding, Raw, Request, split_message};
use jiff::Timestamp;

use crate::behaviour::{AccountList, Answering, Behaviour, Orders, Step};
use crate::config::Config;
use crate::event::Answer;
use crate::fixture::{self, ACCOUNT_VALUES, HOLDINGS};
use crate::message::{self, Message};

/// A gateway ignores a question for its time that comes this soon after the last answer.
const TIME_QUESTIONS_APART: Duration = Duration::from_secs(1);

/// As a live gateway words it (2026).
const READ_ONLY: &str = "Error validating request.-'b7' : cause - The API interface is currently in Read-Only mode.";
const NO_DEFINITION: &str = "No security definition has been found for the request";

/// What a session remembers of its requests.
#[derive(Debug)]
pub(crate) struct Desk {
    order_id: i64,
    time_told_at: Option<Duration>,
    /// Whether the session was told that its farms are up.
    pub(crate) farms_told: bool,
}

/// What an answer depends on beside the session.
pub(crate) struct Context<'a> {
    pub(crate) behaviour: &'a Behaviour,
    pub(crate) config: &'a Config,
    pub(crate) port: u16,
    pub(crate) version: ServerVersion,
    /// Since the simulator began.
    pub(crate) elapsed: Duration,
    /// By the gateway's clock.
    pub(crate) now: Timestamp,
}

/// Who has to answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Gateway,
    Broker,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { order_id: 1, time_told_at: None, farms_told: false }
    }

    /// The order id that opens the session, or what becomes of it after every question for one.
    pub(crate) fn order_id(&self) -> i64 {
        self.order_id
    }

    /// Answers a request, given as decoded and as it came.
    pub(crate) fn answer(
        &mut self,
        request: &Request,
        payload: &[u8],
        context: &Context<'_>,
    ) -> (Answer, Vec<Message>) {
        let Ok(raw) = split_message(context.version, payload) else {
            return (Answer::Unknown, vec![]);
        };
        let arguments = Arguments::of(&raw);
        if context.behaviour.orders == Orders::ReadOnly && [3, 4, 5, 8, 16, 58, 99].contains(&raw.id) {
            // An order's refusal is about the order.
            let about = if [3, 4].contains(&raw.id) { arguments.request_id() } else { -1 };
            return self.if_answering(Source::Gateway, context, Answer::Refused, || vec![error(about, 321, READ_ONLY)]);
        }
        match request {
            Request::StartApi { .. } => (Answer::Silent, vec![]),
            Request::ReqIds => {
                self.order_id += 1;
                let order_id = self.order_id;
                self.as_opened(context, |step| next_order_id(step, order_id))
            }
            Request::ReqManagedAccounts => self.as_opened(context, |step| accounts(step, context.config)),
            Request::ReqCurrentTime => self.time(context),
            Request::ReqContractDetails { request_id, contract } => {
                self.contract(*request_id, contract, arguments.contract_id, context)
            }
            Request::Other(raw) => self.other(raw, &arguments, context),
        }
    }

    /// Answers with what the session is opened with, or not at all.
    fn as_opened(&self, context: &Context<'_>, write: impl Fn(&Step) -> Option<Message>) -> (Answer, Vec<Message>) {
        let messages: Vec<Message> = context.behaviour.bootstrap.iter().filter_map(write).collect();
        let answer = if messages.is_empty() { Answer::Withheld } else { Answer::Answered };
        self.if_answering(Source::Gateway, context, answer, || messages)
    }

    fn if_answering(
        &self,
        source: Source,
        context: &Context<'_>,
        answer: Answer,
        messages: impl FnOnce() -> Vec<Message>,
    ) -> (Answer, Vec<Message>) {
        let answering = match source {
            Source::Gateway => context.behaviour.gateway,
            Source::Broker => context.behaviour.broker,
        };
        match answering {
            Answering::Always => (answer, messages()),
            Answering::AfterFarms if self.farms_told => (answer, messages()),
            _ => (Answer::Withheld, vec![]),
        }
    }

    fn time(&mut self, context: &Context<'_>) -> (Answer, Vec<Message>) {
        if self.time_told_at.is_some_and(|at| context.elapsed < at + TIME_QUESTIONS_APART) {
            return (Answer::Withheld, vec![]);
        }
        let seconds = context.now.as_second();
        let answer = self.if_answering(Source::Gateway, context, Answer::Answered, || {
            vec![Message::Reply(Reply::CurrentTime(seconds))]
        });
        if answer.0 == Answer::Answered {
            self.time_told_at = Some(context.elapsed);
        }
        answer
    }

    fn contract(
        &self,
        request_id: i32,
        contract: &Contract,
        contract_id: i32,
        context: &Context<'_>,
    ) -> (Answer, Vec<Message>) {
        match fixture::details(contract, contract_id, context.now, context.behaviour.hours) {
            Some(details) => self.if_answering(Source::Broker, context, Answer::Answered, || {
                let details = Reply::ContractDetails { request_id, details };
                vec![Message::Reply(details), Message::Reply(Reply::ContractDetailsEnd { request_id })]
            }),
            None => self
                .if_answering(Source::Broker, context, Answer::Refused, || vec![error(request_id, 200, NO_DEFINITION)]),
        }
    }

    fn other(&self, raw: &Raw, arguments: &Arguments, context: &Context<'_>) -> (Answer, Vec<Message>) {
        let request_id = arguments.request_id();
        let broker = |messages: &dyn Fn() -> Vec<Message>| {
            self.if_answering(Source::Broker, context, Answer::Answered, messages)
        };
        let gateway = |messages: &dyn Fn() -> Vec<Message>| {
            self.if_answering(Source::Gateway, context, Answer::Answered, messages)
        };
        match raw.id {
            5 | 16 => gateway(&|| vec![message::open_orders_end()]),
            6 if arguments.is_subscription() => gateway(&|| account_updates(arguments, context)),
            7 => broker(&|| vec![message::executions_end(request_id)]),
            61 => gateway(&|| positions(context)),
            62 => gateway(&|| account_summary(request_id, arguments, context)),
            74 => gateway(&|| positions_multi(request_id, arguments, context)),
            76 => gateway(&|| account_updates_multi(request_id, arguments, context)),
            99 => broker(&|| vec![message::completed_orders_end()]),
            104 => gateway(&|| vec![message::user_info(request_id)]),
            105 => gateway(&|| vec![message::current_time_in_millis(context.now.as_millisecond())]),
            108 if raw.encoding == Encoding::Protobuf => {
                let read_only = context.behaviour.orders == Orders::ReadOnly;
                gateway(&|| vec![message::config(request_id, read_only, context.port)])
            }
            // Requests that ask for nothing back: cancellations, the log level, binding of orders, the market data type.
            2
            | 6
            | 11
            | 13..=15
            | 23
            | 25
            | 51
            | 56
            | 57
            | 59
            | 63
            | 64
            | 70
            | 75
            | 77
            | 89
            | 90
            | 93
            | 95
            | 98
            | 106
            | 107 => (Answer::Silent, vec![]),
            1 | 10 | 20 | 50 | 87 | 88 | 96 | 97 => match context.behaviour.data_error {
                Some((code, text)) => (Answer::Refused, vec![error(request_id, code, text)]),
                None => (Answer::Unknown, vec![]),
            },
            _ => (Answer::Unknown, vec![]),
        }
    }
}

/// The account list as a step of the opening writes it, if it is one.
pub(crate) fn accounts(step: &Step, config: &Config) -> Option<Message> {
    let Step::Accounts(list) = step else { return None };
    Some(match list {
        AccountList::Full => Message::Reply(Reply::ManagedAccounts(config.accounts.clone())),
        AccountList::Empty => Message::Reply(Reply::ManagedAccounts(vec![])),
        AccountList::TrailingComma => message::accounts_with_comma(&names(config).join(",")),
    })
}

/// An order id as a step of the opening writes it, if it is one.
pub(crate) fn next_order_id(step: &Step, order_id: i64) -> Option<Message> {
    match step {
        Step::OrderId => Some(Message::Reply(Reply::NextValidId(order_id))),
        Step::BrokenOrderId => Some(message::broken_order_id()),
        _ => None,
    }
}

/// What a master client gets before its session opens.
pub(crate) fn replays(version: ServerVersion, config: &Config, account_ready: &str) -> Vec<Message> {
    let first = names(config).first().copied().unwrap_or_default();
    let mut messages: Vec<Message> = message::open_order(version, first).into_iter().collect();
    messages.extend([message::order_status(version), message::open_orders_end()]);
    messages.extend(
        values(account_ready).map(|(key, value, currency)| message::account_value(key, value, currency, first)),
    );
    messages.push(message::account_download_end(first));
    messages
}

pub(crate) fn error(request_id: i32, code: i32, text: &str) -> Message {
    Message::Reply(Reply::Notice(Notice::new(request_id, code, text)))
}

fn names(config: &Config) -> Vec<&str> {
    config.accounts.iter().map(AccountId::reveal).collect()
}

fn values(account_ready: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    std::iter::once(("AccountReady", account_ready, "")).chain(ACCOUNT_VALUES.iter().copied())
}

/// The account that a question means: the one it names, or the first.
fn meant<'a>(asked: &'a str, config: &'a Config) -> Option<&'a str> {
    let names = names(config);
    if asked.is_empty() { names.first().copied() } else { names.into_iter().find(|name| *name == asked) }
}

fn holdings(account: &str, config: &Config) -> &'static [fixture::Holding] {
    if names(config).first() == Some(&account) { &HOLDINGS } else { &[] }
}

fn account_updates(arguments: &Arguments, context: &Context<'_>) -> Vec<Message> {
    let Some(account) = meant(arguments.second(), context.config) else {
        return vec![error(-1, 321, "Error validating request.-'b2' : cause - Invalid account code")];
    };
    let ready = context.behaviour.account_ready;
    let mut messages: Vec<Message> =
        values(ready).map(|(key, value, currency)| message::account_value(key, value, currency, account)).collect();
    let held = holdings(account, context.config);
    messages.extend(held.iter().map(|holding| message::portfolio_value(holding, account)));
    messages.push(message::account_update_time(&context.now.strftime("%H:%M").to_string()));
    messages.push(message::account_download_end(account));
    messages
}

fn account_updates_multi(request_id: i32, arguments: &Arguments, context: &Context<'_>) -> Vec<Message> {
    let mut messages = Vec::new();
    if let Some(account) = meant(arguments.second(), context.config) {
        let values = values(context.behaviour.account_ready);
        messages.extend(
            values
                .map(|(key, value, currency)| message::account_value_multi(request_id, account, key, value, currency)),
        );
    }
    messages.push(message::end_of_list(74, request_id));
    messages
}

fn account_summary(request_id: i32, arguments: &Arguments, context: &Context<'_>) -> Vec<Message> {
    let tags: Vec<&str> = arguments.third().split(',').map(str::trim).collect();
    let mut messages = Vec::new();
    for account in names(context.config) {
        let values = values(context.behaviour.account_ready).filter(|(key, ..)| tags.contains(key));
        messages.extend(
            values.map(|(key, value, currency)| message::account_summary(request_id, account, key, value, currency)),
        );
    }
    messages.push(message::end_of_list(64, request_id));
    messages
}

fn positions(context: &Context<'_>) -> Vec<Message> {
    let mut messages = Vec::new();
    for account in names(context.config) {
        let held = holdings(account, context.config);
        messages.extend(held.iter().map(|holding| message::position(holding, account)));
    }
    messages.push(message::positions_end());
    messages
}

fn positions_multi(request_id: i32, arguments: &Arguments, context: &Context<'_>) -> Vec<Message> {
    let mut messages = Vec::new();
    if let Some(account) = meant(arguments.second(), context.config) {
        let held = holdings(account, context.config);
        messages.extend(held.iter().map(|holding| message::position_multi(request_id, holding, account)));
    }
    messages.push(message::end_of_list(72, request_id));
    messages
}

/// The first fields of a request, which is all that is looked at.
struct Arguments {
    /// The first three fields behind the version field, if the request has one; in protobuf fields 1 to 3.
    fields: [String; 3],
    contract_id: i32,
}

impl Arguments {
    fn of(raw: &Raw) -> Self {
        match raw.encoding {
            Encoding::Text => Self::of_text(raw),
            Encoding::Protobuf => Self::of_protobuf(raw),
        }
    }

    fn of_text(raw: &Raw) -> Self {
        let mut reader = FieldReader::new(&raw.body);
        // These came without a version field, or lost it long ago.
        reader.skip(usize::from(![3, 20, 87, 88, 96, 97, 99, 104, 105].contains(&raw.id)));
        let mut next = || reader.text().unwrap_or_default();
        let fields = [next(), next(), next()];
        let [_, second, _] = &fields;
        Self { contract_id: second.parse().unwrap_or(0), fields }
    }

    fn of_protobuf(raw: &Raw) -> Self {
        let read = proto::read(&raw.body).unwrap_or_default();
        let text = |number| match proto::field(&read, number) {
            Some(Value::Varint(_)) => proto::field(&read, number).and_then(Value::int).unwrap_or_default().to_string(),
            Some(value) => value.text().unwrap_or_default(),
            None => String::new(),
        };
        let contract = proto::field(&read, 2).and_then(Value::bytes).and_then(proto::read).unwrap_or_default();
        let contract_id = proto::field(&contract, 1).and_then(Value::int).and_then(|id| i32::try_from(id).ok());
        Self { fields: [text(1), text(2), text(3)], contract_id: contract_id.unwrap_or(0) }
    }

    fn request_id(&self) -> i32 {
        let [first, ..] = &self.fields;
        first.parse().unwrap_or(-1)
    }

    fn second(&self) -> &str {
        let [_, second, _] = &self.fields;
        second
    }

    fn third(&self) -> &str {
        let [_, _, third] = &self.fields;
        third
    }

    fn is_subscription(&self) -> bool {
        let [first, ..] = &self.fields;
        !["", "0", "false"].contains(&first.as_str())
    }
}
