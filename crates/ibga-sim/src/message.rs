//! The messages of a gateway that the codec does not write: accounts, positions, ends of lists. Both dialects of each;
//! layouts and the version at which each turns to protobuf as IBKR's own Python client 10.51 reads them.

use ibga_tws::ServerVersion;
use ibga_tws::fields::FieldWriter;
use ibga_tws::proto::MessageWriter;
use ibga_tws::reply::Reply;
use ibga_tws::request::{Encoding, encode_message};

use crate::fixture::{self, Holding, Instrument};

/// Executions are protobuf from the first binary version on.
const EXECUTIONS: ServerVersion = ServerVersion::BINARY_IDS;
/// Orders as they are placed, their status.
const ORDERS: ServerVersion = ServerVersion(203);
/// Lists of orders.
const ORDER_LISTS: ServerVersion = ServerVersion(204);
/// Accounts and positions.
const ACCOUNTS: ServerVersion = ServerVersion::PROTOBUF_ACCOUNTS;
/// User information.
const USER: ServerVersion = ServerVersion(212);
/// The rest.
const REST: ServerVersion = ServerVersion::PROTOBUF_ALL;

/// One message to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// One that the codec knows.
    Reply(Reply),
    /// One that is written here.
    Body(Body),
    /// Bytes that are no message.
    Raw(Vec<u8>),
}

/// A message in both dialects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    id: u32,
    protobuf_from: ServerVersion,
    text: Vec<u8>,
    protobuf: Vec<u8>,
}

impl Message {
    /// The bytes to send in a session of this version. `error_time_ms` stands in errors.
    pub(crate) fn encode(&self, version: ServerVersion, error_time_ms: i64) -> Vec<u8> {
        match self {
            Self::Reply(reply) => reply.encode(version, error_time_ms),
            Self::Body(body) if version >= body.protobuf_from => {
                encode_message(version, body.id, Encoding::Protobuf, &body.protobuf)
            }
            Self::Body(body) => encode_message(version, body.id, Encoding::Text, &body.text),
            Self::Raw(bytes) => bytes.clone(),
        }
    }
}

fn body(id: u32, protobuf_from: ServerVersion, text: &mut FieldWriter, protobuf: &mut MessageWriter) -> Message {
    Message::Body(Body { id, protobuf_from, text: text.finish(), protobuf: protobuf.finish() })
}

/// The account list with a comma at its end.
pub(crate) fn accounts_with_comma(list: &str) -> Message {
    let list = format!("{list},");
    let (mut text, mut protobuf) = <(FieldWriter, MessageWriter)>::default();
    body(15, ACCOUNTS, text.field(1).field(&list), protobuf.bytes(1, &list))
}

/// An order id that is no number, or no whole protobuf message.
pub(crate) fn broken_order_id() -> Message {
    let text = FieldWriter::default().field(1).field("soon").finish();
    Message::Body(Body { id: 9, protobuf_from: REST, text, protobuf: vec![0x08] })
}

/// A message of a kind that no client knows.
pub(crate) fn of_no_kind(bytes: usize) -> Message {
    Message::Body(Body { id: 199, protobuf_from: ServerVersion(u32::MAX), text: vec![b'x'; bytes], protobuf: vec![] })
}

/// Milliseconds since 1970 by the gateway's clock.
pub(crate) fn current_time_in_millis(millis: i64) -> Message {
    let (mut text, mut protobuf) = <(FieldWriter, MessageWriter)>::default();
    body(109, REST, text.field(millis), protobuf.int(1, millis))
}

/// The white branding id, which is empty for IBKR's own customers.
pub(crate) fn user_info(request_id: i32) -> Message {
    let (mut text, mut protobuf) = <(FieldWriter, MessageWriter)>::default();
    body(107, USER, text.field(request_id).blank(1), protobuf.int(1, request_id.into()))
}

/// The part of the gateway's settings that bears on readiness. Protobuf alone: it came with version 219.
pub(crate) fn config(request_id: i32, read_only: bool, port: u16) -> Message {
    let lock_and_exit = MessageWriter::default().bytes(1, "11:45 PM").bytes(3, "Auto restart").finish();
    let settings = MessageWriter::default().int(1, read_only.into()).int(8, port.into()).finish();
    let api = MessageWriter::default().bytes(2, settings).finish();
    let mut protobuf = MessageWriter::default();
    protobuf.int(1, request_id.into()).bytes(2, lock_and_exit).bytes(4, api);
    body(110, REST, &mut FieldWriter::default(), &mut protobuf)
}

/// No more open orders.
pub(crate) fn open_orders_end() -> Message {
    body(53, ORDER_LISTS, FieldWriter::default().field(1), &mut MessageWriter::default())
}

/// No more completed orders.
pub(crate) fn completed_orders_end() -> Message {
    body(102, ORDER_LISTS, &mut FieldWriter::default(), &mut MessageWriter::default())
}

/// No more executions.
pub(crate) fn executions_end(request_id: i32) -> Message {
    let (mut text, mut protobuf) = <(FieldWriter, MessageWriter)>::default();
    body(55, EXECUTIONS, text.field(1).field(request_id), protobuf.int(1, request_id.into()))
}

/// The one open order there is: a limit order of another client.
const ORDER_ID: i32 = 7;
const ORDER_CLIENT_ID: i32 = 12;
const ORDER_PERMANENT_ID: i32 = 1_700_000_001;

/// The text of that order up to its account and after it, by the versions that have each part; `|` ends a field.
const OPEN_ORDER_HEAD: &str = "7|265598|AAPL|STK||0.0|||SMART|USD|AAPL|NMS|BUY|100|LMT|150.0|0.0|GTC||";
const OPEN_ORDER_TAIL: &[(std::ops::Range<u32>, &str)] = &[
    // Open or close to the allocation: the client and the permanent id among them.
    (145..201, "O|0||12|1700000001|0|0|0.0||||||"),
    // The allocation profile, since given up.
    (145..177, "|"),
    // Model to volatility.
    (145..201, "|||||0||-1|0||||||"),
    (145..201, "|0|0|0||3|0|0||0|0||0|||"),
    // Reference price to algorithm.
    (145..201, "0|0||||||0|0|0|||||0||IB|0|0||"),
    // State, margins, commission.
    (145..201, "0|0|Submitted||||||||||||||"),
    // Margins outside regular hours, allocations.
    (195..201, "||||||||||||0|"),
    // Warning, randomizing, conditions, adjustments, soft dollars, cash quantity.
    (145..201, "|0|0|0||||||||0||||0|"),
    (145..201, "0|0|"),
    (148..201, "0|"),
    (151..201, "0|"),
    (158..201, "|"),
    (160..201, "|"),
    (162..201, "0|"),
    (170..201, "|||||"),
    (183..201, "|"),
    (184..201, "0|"),
    (185..201, "|"),
    (189..201, "0|"),
    (193..201, "||"),
    (198..201, "|"),
    (199..201, "0|"),
];

/// An order that waits. Not written for the few versions whose layout is not known here.
pub(crate) fn open_order(version: ServerVersion, account: &str) -> Option<Message> {
    if version < ServerVersion(145) {
        return None;
    }
    // The mixed dialect below protobuf orders keeps the last text layout.
    let layout = version.0.min(ServerVersion::TEXT_MAX.0);
    let tail = OPEN_ORDER_TAIL.iter().filter(|(versions, _)| versions.contains(&layout)).map(|(_, fields)| *fields);
    let text = format!("{OPEN_ORDER_HEAD}{account}|{}", tail.collect::<String>()).replace('|', "\0");
    let order = MessageWriter::default()
        .int(1, ORDER_CLIENT_ID.into())
        .int(2, ORDER_ID.into())
        .int(3, ORDER_PERMANENT_ID.into())
        .bytes(5, "BUY")
        .bytes(6, "100")
        .bytes(8, "LMT")
        .double(9, 150.0)
        .bytes(11, "GTC")
        .bytes(12, account)
        .finish();
    let state = MessageWriter::default().bytes(1, "Submitted").finish();
    let mut protobuf = MessageWriter::default();
    protobuf.int(1, ORDER_ID.into()).bytes(2, contract(&fixture::APPLE)).bytes(3, order).bytes(4, state);
    Some(Message::Body(Body { id: 5, protobuf_from: ORDERS, text: text.into_bytes(), protobuf: protobuf.finish() }))
}

/// The state of that order.
pub(crate) fn order_status(version: ServerVersion) -> Message {
    let mut text = FieldWriter::default();
    // The version field went and the cap price came at once.
    let capped = version >= ServerVersion(131);
    if !capped {
        text.field(6);
    }
    text.field(ORDER_ID).field("Submitted").field(0).field(100).field("0.0").field(ORDER_PERMANENT_ID).field(0);
    text.field("0.0").field(ORDER_CLIENT_ID).blank(1);
    if capped {
        text.field("0.0");
    }
    let mut protobuf = MessageWriter::default();
    protobuf.int(1, ORDER_ID.into()).bytes(2, "Submitted").bytes(3, "0").bytes(4, "100").double(5, 0.0);
    protobuf.int(6, ORDER_PERMANENT_ID.into()).int(9, ORDER_CLIENT_ID.into());
    body(3, ORDERS, &mut text, &mut protobuf)
}

/// One value of an account.
pub(crate) fn account_value(key: &str, value: &str, currency: &str, account: &str) -> Message {
    let mut text = FieldWriter::default();
    text.field(2).field(key).field(value).field(currency).field(account);
    let mut protobuf = MessageWriter::default();
    protobuf.bytes(1, key).bytes(2, value).bytes(3, currency).bytes(4, account);
    body(6, ACCOUNTS, &mut text, &mut protobuf)
}

/// One holding with its market value.
pub(crate) fn portfolio_value(holding: &Holding, account: &str) -> Message {
    let instrument = holding.instrument;
    let mut text = FieldWriter::default();
    text.field(8).field(instrument.contract_id).field(instrument.symbol).field(instrument.security_type).blank(1);
    text.field("0").field("0").blank(1).field(instrument.exchange).field(instrument.currency);
    text.field(instrument.symbol).field(instrument.trading_class);
    text.field(holding.quantity).field(holding.price).field(holding.value()).field(holding.cost);
    text.field(holding.profit()).field("0.0").field(account);
    let mut protobuf = MessageWriter::default();
    protobuf.bytes(1, contract(instrument)).bytes(2, holding.quantity.to_string()).double(3, holding.price);
    protobuf.double(4, holding.value()).double(5, holding.cost).double(6, holding.profit()).double(7, 0.0);
    protobuf.bytes(8, account);
    body(7, ACCOUNTS, &mut text, &mut protobuf)
}

/// When the account values are from: hours and minutes.
pub(crate) fn account_update_time(time: &str) -> Message {
    let (mut text, mut protobuf) = <(FieldWriter, MessageWriter)>::default();
    body(8, ACCOUNTS, text.field(1).field(time), protobuf.bytes(1, time))
}

/// No more account values.
pub(crate) fn account_download_end(account: &str) -> Message {
    let (mut text, mut protobuf) = <(FieldWriter, MessageWriter)>::default();
    body(54, ACCOUNTS, text.field(1).field(account), protobuf.bytes(1, account))
}

/// One position.
pub(crate) fn position(holding: &Holding, account: &str) -> Message {
    let mut text = FieldWriter::default();
    text.field(3).field(account);
    write_contract(&mut text, holding.instrument);
    text.field(holding.quantity).field(holding.cost);
    let mut protobuf = MessageWriter::default();
    protobuf.bytes(1, account).bytes(2, contract(holding.instrument));
    protobuf.bytes(3, holding.quantity.to_string()).double(4, holding.cost);
    body(61, ACCOUNTS, &mut text, &mut protobuf)
}

/// No more positions.
pub(crate) fn positions_end() -> Message {
    body(62, ACCOUNTS, FieldWriter::default().field(1), &mut MessageWriter::default())
}

/// One position, for a question about one account.
pub(crate) fn position_multi(request_id: i32, holding: &Holding, account: &str) -> Message {
    let mut text = FieldWriter::default();
    text.field(1).field(request_id).field(account);
    write_contract(&mut text, holding.instrument);
    text.field(holding.quantity).field(holding.cost).blank(1);
    let mut protobuf = MessageWriter::default();
    protobuf.int(1, request_id.into()).bytes(2, account).bytes(3, contract(holding.instrument));
    protobuf.bytes(4, holding.quantity.to_string()).double(5, holding.cost);
    body(71, ACCOUNTS, &mut text, &mut protobuf)
}

/// No more of what the question was about: positions (72), account values (74) or the account summary (64).
pub(crate) fn end_of_list(id: u32, request_id: i32) -> Message {
    let (mut text, mut protobuf) = <(FieldWriter, MessageWriter)>::default();
    body(id, ACCOUNTS, text.field(1).field(request_id), protobuf.int(1, request_id.into()))
}

/// One value of an account, for a question about one account.
pub(crate) fn account_value_multi(request_id: i32, account: &str, key: &str, value: &str, currency: &str) -> Message {
    let mut text = FieldWriter::default();
    text.field(1).field(request_id).field(account).blank(1).field(key).field(value).field(currency);
    let mut protobuf = MessageWriter::default();
    protobuf.int(1, request_id.into()).bytes(2, account).bytes(4, key).bytes(5, value).bytes(6, currency);
    body(73, ACCOUNTS, &mut text, &mut protobuf)
}

/// One line of the account summary.
pub(crate) fn account_summary(request_id: i32, account: &str, tag: &str, value: &str, currency: &str) -> Message {
    let mut text = FieldWriter::default();
    text.field(1).field(request_id).field(account).field(tag).field(value).field(currency);
    let mut protobuf = MessageWriter::default();
    protobuf.int(1, request_id.into()).bytes(2, account).bytes(3, tag).bytes(4, value).bytes(5, currency);
    body(63, ACCOUNTS, &mut text, &mut protobuf)
}

/// Eleven fields: id, symbol, type, expiry, strike, right, multiplier, exchange, currency, local symbol, trading class.
fn write_contract(text: &mut FieldWriter, instrument: &Instrument) {
    text.field(instrument.contract_id).field(instrument.symbol).field(instrument.security_type).blank(1);
    text.field("0.0").blank(2).field(instrument.exchange).field(instrument.currency);
    text.field(instrument.symbol).field(instrument.trading_class);
}

fn contract(instrument: &Instrument) -> Vec<u8> {
    let mut message = MessageWriter::default();
    message.int(1, instrument.contract_id.into()).bytes(2, instrument.symbol).bytes(3, instrument.security_type);
    message.bytes(8, instrument.exchange).bytes(10, instrument.currency);
    message.bytes(11, instrument.symbol).bytes(12, instrument.trading_class).finish()
}
