//! What a gateway answers, in both directions.

use ibga_core::account::AccountId;
use ibga_core::notice::Notice;

use crate::DecodeError;
use crate::fields::{FieldReader, FieldWriter, escape, unescape};
use crate::proto::{self, MessageWriter, Value};
use crate::request::{Contract, Encoding, Raw, encode_message, split_message};
use crate::version::ServerVersion;

/// Message ids of replies.
pub mod id {
    /// A notice or an error.
    pub const ERROR: u32 = 4;
    /// The next order id.
    pub const NEXT_VALID_ID: u32 = 9;
    /// A contract's details.
    pub const CONTRACT_DATA: u32 = 10;
    /// The account list.
    pub const MANAGED_ACCOUNTS: u32 = 15;
    /// The gateway's clock.
    pub const CURRENT_TIME: u32 = 49;
    /// No more contract details.
    pub const CONTRACT_DATA_END: u32 = 52;
}

/// The longest text of a notice that is looked at, in bytes: what is kept of it is much shorter, even if all of it is escapes.
const NOTICE_TEXT_BYTES_MAX: usize = 4 * 1024;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The accounts of the login; may be empty.
    ManagedAccounts(Vec<AccountId>),
    /// The next order id.
    NextValidId(i64),
    /// A notice or an error.
    Notice(Notice),
    /// Seconds since 1970 by the gateway's clock.
    CurrentTime(i64),
    /// A contract's details.
    ContractDetails {
        /// The question's id.
        request_id: i32,
        /// The details.
        details: ContractDetails,
    },
    /// No more details for this question.
    ContractDetailsEnd {
        /// The question's id.
        request_id: i32,
    },
    /// Any other message, undecoded.
    Other(Raw),
}

/// A contract's details, as far as they are used.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ContractDetails {
    /// The contract.
    pub contract: Contract,
    /// IBKR's number of the contract.
    pub contract_id: i32,
    /// The zone of the two texts below, as IBKR names it (`US/Eastern`, `Hongkong`).
    pub time_zone: String,
    /// The hours with everything, in IBKR's notation.
    pub trading_hours: String,
    /// The regular hours, in IBKR's notation.
    pub liquid_hours: String,
}

impl Reply {
    /// The frame to send in a session of this version; what a gateway does. `error_time_ms` stands in errors from version 194 on.
    pub fn encode(&self, version: ServerVersion, error_time_ms: i64) -> Vec<u8> {
        let mut text = FieldWriter::default();
        let mut message = MessageWriter::default();
        let (id, protobuf_from) = match self {
            Self::ManagedAccounts(accounts) => {
                let list = accounts.iter().map(AccountId::reveal).collect::<Vec<_>>().join(",");
                text.field(1).field(&list);
                message.bytes(1, &list);
                (id::MANAGED_ACCOUNTS, ServerVersion::PROTOBUF_ACCOUNTS)
            }
            Self::NextValidId(order_id) => {
                text.field(1).field(order_id);
                message.int(1, *order_id);
                (id::NEXT_VALID_ID, ServerVersion::PROTOBUF_ALL)
            }
            Self::Notice(notice) => {
                write_notice(&mut text, version, notice, error_time_ms);
                message.int(1, i64::from(notice.request_id)).int(2, error_time_ms);
                message.int(3, i64::from(notice.code)).bytes(4, &notice.text);
                (id::ERROR, ServerVersion::PROTOBUF_ERRORS)
            }
            Self::CurrentTime(seconds) => {
                text.field(1).field(seconds);
                message.int(1, *seconds);
                (id::CURRENT_TIME, ServerVersion::PROTOBUF_ALL)
            }
            Self::ContractDetails { request_id, details } => {
                write_details(&mut text, version, *request_id, details);
                write_details_proto(&mut message, *request_id, details);
                (id::CONTRACT_DATA, ServerVersion::PROTOBUF_CONTRACTS)
            }
            Self::ContractDetailsEnd { request_id } => {
                text.field(1).field(request_id);
                message.int(1, i64::from(*request_id));
                (id::CONTRACT_DATA_END, ServerVersion::PROTOBUF_CONTRACTS)
            }
            Self::Other(raw) => return encode_message(version, raw.id, raw.encoding, &raw.body),
        };
        if version >= protobuf_from {
            encode_message(version, id, Encoding::Protobuf, &message.finish())
        } else {
            encode_message(version, id, Encoding::Text, &text.finish())
        }
    }

    /// Reads a frame's payload. A message that is not known comes back as [`Reply::Other`]; a known one that cannot be read is
    /// an error. Whether a body is protobuf is told by the message itself, not by the version.
    pub fn decode(version: ServerVersion, payload: &[u8]) -> Result<Self, DecodeError> {
        let raw = split_message(version, payload)?;
        let bad = |field| DecodeError::Field { message: raw.id, field };
        match raw.encoding {
            Encoding::Text => match raw.id {
                id::MANAGED_ACCOUNTS => {
                    let list = text_fields(&raw, 1).text().unwrap_or_default();
                    Ok(Self::ManagedAccounts(AccountId::parse_list(&list)))
                }
                id::NEXT_VALID_ID => text_fields(&raw, 1).number().map(Self::NextValidId).ok_or(bad("order id")),
                id::CURRENT_TIME => text_fields(&raw, 1).number().map(Self::CurrentTime).ok_or(bad("time")),
                id::ERROR => read_notice(&raw, version).map(Self::Notice).ok_or(bad("error")),
                id::CONTRACT_DATA => read_details(&raw, version).ok_or(bad("request id")),
                id::CONTRACT_DATA_END => {
                    let request_id = text_fields(&raw, 1).number().ok_or(bad("request id"))?;
                    Ok(Self::ContractDetailsEnd { request_id })
                }
                _ => Ok(Self::Other(raw)),
            },
            Encoding::Protobuf => decode_protobuf(raw),
        }
    }
}

fn text_fields(raw: &Raw, skip: usize) -> FieldReader<'_> {
    let mut reader = FieldReader::new(&raw.body);
    reader.skip(skip);
    reader
}

fn decode_protobuf(raw: Raw) -> Result<Reply, DecodeError> {
    let bad = |field| DecodeError::Field { message: raw.id, field };
    let known = [
        id::ERROR,
        id::NEXT_VALID_ID,
        id::CONTRACT_DATA,
        id::MANAGED_ACCOUNTS,
        id::CURRENT_TIME,
        id::CONTRACT_DATA_END,
    ];
    if !known.contains(&raw.id) {
        return Ok(Reply::Other(raw));
    }
    let fields = proto::read(&raw.body).ok_or(bad("protobuf body"))?;
    let int = |number| proto::field(&fields, number).and_then(Value::int);
    let small = |number| int(number).and_then(|value| i32::try_from(value).ok());
    let text = |number| proto::field(&fields, number).and_then(Value::text).unwrap_or_default();
    match raw.id {
        id::MANAGED_ACCOUNTS => Ok(Reply::ManagedAccounts(AccountId::parse_list(&text(1)))),
        id::NEXT_VALID_ID => int(1).map(Reply::NextValidId).ok_or(bad("order id")),
        id::CURRENT_TIME => int(1).map(Reply::CurrentTime).ok_or(bad("time")),
        // All fields are optional: a notice without a code is information, such as a pacing warning.
        id::ERROR => Ok(Reply::Notice(Notice::new(small(1).unwrap_or(-1), small(3).unwrap_or(0), &text(4)))),
        id::CONTRACT_DATA_END => Ok(Reply::ContractDetailsEnd { request_id: small(1).ok_or(bad("request id"))? }),
        _ => {
            let request_id = small(1).ok_or(bad("request id"))?;
            let details = proto::field(&fields, 3).and_then(Value::bytes).and_then(proto::read).unwrap_or_default();
            let contract = proto::field(&fields, 2).and_then(Value::bytes);
            let text = |number| proto::field(&details, number).and_then(Value::text).unwrap_or_default();
            let contract_id = contract
                .and_then(proto::read)
                .and_then(|contract| proto::field(&contract, 1).and_then(Value::int))
                .and_then(|id| i32::try_from(id).ok());
            let details = ContractDetails {
                contract: contract.and_then(Contract::from_proto).unwrap_or_default(),
                contract_id: contract_id.unwrap_or_default(),
                time_zone: text(12),
                trading_hours: text(13),
                liquid_hours: text(14),
            };
            Ok(Reply::ContractDetails { request_id, details })
        }
    }
}

/// Before version 194: version, request id, code, text, and from 166 on the advanced reject.
/// From 194 on: request id, code, text, advanced reject, time.
fn write_notice(text: &mut FieldWriter, version: ServerVersion, notice: &Notice, error_time_ms: i64) {
    if version < ServerVersion::ERROR_TIME {
        text.field(2);
    }
    text.field(notice.request_id).field(notice.code);
    if version >= ServerVersion::ASCII_7 {
        text.field(escape(&notice.text));
    } else {
        text.field(&notice.text);
    }
    if version >= ServerVersion::ADVANCED_REJECT {
        text.blank(1);
    }
    if version >= ServerVersion::ERROR_TIME {
        text.field(error_time_ms);
    }
}

fn read_notice(raw: &Raw, version: ServerVersion) -> Option<Notice> {
    let mut fields = text_fields(raw, usize::from(version < ServerVersion::ERROR_TIME));
    let request_id = fields.number()?;
    let code = fields.number()?;
    let text = fields.bytes().unwrap_or_default();
    let text = String::from_utf8_lossy(text.get(..NOTICE_TEXT_BYTES_MAX).unwrap_or(text));
    let text = if version >= ServerVersion::ASCII_7 { unescape(&text).into() } else { text };
    Some(Notice::new(request_id, code, &text))
}

/// Fields between the contract and the hours: what stands there depends on the version, see [`read_details`].
fn write_details(text: &mut FieldWriter, version: ServerVersion, request_id: i32, details: &ContractDetails) {
    let contract = &details.contract;
    if version < ServerVersion::SIZE_RULES {
        text.field(8);
    }
    text.field(request_id).field(&contract.symbol).field(&contract.security_type).blank(1);
    if version >= ServerVersion::LAST_TRADE_DATE {
        text.blank(1);
    }
    let local_symbol = local_symbol(contract);
    text.field("0").blank(1).field(&contract.exchange).field(&contract.currency).field(&local_symbol);
    text.field(&local_symbol).field(&local_symbol).field(details.contract_id).field(tick(contract));
    if (MD_SIZE_MULTIPLIER..ServerVersion::SIZE_RULES).contains(&version) {
        text.field(1);
    }
    text.blank(1).field("LMT,MKT").field(&contract.exchange).field(1).field(0).field(&local_symbol).blank(5);
    text.field(&details.time_zone).field(&details.trading_hours).field(&details.liquid_hours);
    // Rule, multiplier and count of security ids; then what each version added.
    text.blank(1).field(0).field(0);
    let since = |from: u32| version >= ServerVersion(from);
    if since(121) {
        text.field(4);
    }
    if since(122) {
        text.blank(2);
    }
    if since(126) {
        text.field(239);
    }
    if since(134) {
        text.blank(1);
    }
    if since(152) {
        text.blank(1);
    }
    if version == ServerVersion(163) {
        text.field(1);
    }
    if version >= ServerVersion::SIZE_RULES {
        text.field(1).field(1).field(1);
    }
    if since(186) {
        text.field(0);
    }
}

/// Currency pairs are named as such, everything else by its symbol.
fn local_symbol(contract: &Contract) -> String {
    if contract.security_type == "CASH" {
        format!("{}.{}", contract.symbol, contract.currency)
    } else {
        contract.symbol.clone()
    }
}

/// A plausible smallest change of price.
fn tick(contract: &Contract) -> &'static str {
    if contract.security_type == "CASH" { "0.00005" } else { "0.01" }
}

/// From version 110 until the size rules of 164, details carry a size multiplier.
const MD_SIZE_MULTIPLIER: ServerVersion = ServerVersion(110);

fn read_details(raw: &Raw, version: ServerVersion) -> Option<Reply> {
    let mut fields = text_fields(raw, usize::from(version < ServerVersion::SIZE_RULES));
    let request_id = fields.number()?;
    let mut text = |skip: usize| {
        fields.skip(skip);
        fields.text().unwrap_or_default()
    };
    let symbol = text(0);
    let security_type = text(0);
    let exchange = text(if version >= ServerVersion::LAST_TRADE_DATE { 4 } else { 3 });
    let currency = text(0);
    let contract_id = text(3).parse().unwrap_or_default();
    // Tick, perhaps the size multiplier, multiplier, order types, exchanges, magnifier, underlying, name, primary exchange,
    // month, industry, category, sub-category.
    let between = if (MD_SIZE_MULTIPLIER..ServerVersion::SIZE_RULES).contains(&version) { 13 } else { 12 };
    let details = ContractDetails {
        contract: Contract { symbol, security_type, exchange, currency },
        contract_id,
        time_zone: text(between),
        trading_hours: text(0),
        liquid_hours: text(0),
    };
    Some(Reply::ContractDetails { request_id, details })
}

fn write_details_proto(message: &mut MessageWriter, request_id: i32, details: &ContractDetails) {
    let local_symbol = local_symbol(&details.contract);
    let mut contract = MessageWriter::default().int(1, i64::from(details.contract_id)).finish();
    contract.extend_from_slice(&details.contract.to_proto());
    contract.extend_from_slice(&MessageWriter::default().bytes(11, &local_symbol).bytes(12, &local_symbol).finish());
    let body = MessageWriter::default()
        .bytes(2, tick(&details.contract))
        .int(5, 1)
        .bytes(12, &details.time_zone)
        .bytes(13, &details.trading_hours)
        .bytes(14, &details.liquid_hours)
        .finish();
    message.int(1, i64::from(request_id)).bytes(2, contract).bytes(3, body);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::{Frame, FrameDecoder};

    fn payload(frame: &[u8]) -> Vec<u8> {
        let mut decoder = FrameDecoder::default();
        decoder.push(frame);
        match decoder.next_frame() {
            Ok(Some(Frame::Payload(payload))) => payload,
            other => panic!("{other:?}"),
        }
    }

    fn decode(version: u32, payload: &[u8]) -> Reply {
        Reply::decode(ServerVersion(version), payload).expect("a message")
    }

    #[test]
    fn documented_text() {
        let notice = |text: &str| Reply::Notice(Notice::new(-1, 2104, text));
        let farm = "Market data farm connection is OK:usfarm";
        for (version, wire, reply) in [
            (176, &b"15\x001\0DU1,DU2,\0"[..], Reply::ManagedAccounts(AccountId::parse_list("DU1,DU2"))),
            (176, b"15\x001\0\0", Reply::ManagedAccounts(vec![])),
            (176, b"9\x001\x001\0", Reply::NextValidId(1)),
            (176, b"49\x001\x001700000000\0", Reply::CurrentTime(1_700_000_000)),
            (165, b"4\x002\x00-1\x002104\0Market data farm connection is OK:usfarm\0", notice(farm)),
            (176, b"4\x002\x00-1\x002104\0Market data farm connection is OK:usfarm\0\0", notice(farm)),
            (200, b"4\0-1\x002104\0Market data farm connection is OK:usfarm\0\x001700000000000\0", notice(farm)),
            (200, b"4\0-1\x002104\0\\u4e2d:x\0\x001\0", notice("中:x")),
            (176, b"52\x001\x009001\0", Reply::ContractDetailsEnd { request_id: 9001 }),
        ] {
            assert_eq!(decode(version, wire), reply, "at {version}");
        }
        let latin1 = decode(151, b"4\x002\x00-1\x002104\0\xe9t\xe9:x\0");
        assert!(matches!(latin1, Reply::Notice(notice) if notice.code == 2104));
    }

    #[test]
    fn both_directions_agree_in_every_dialect() {
        let details = ContractDetails {
            contract: Contract::eur_usd(),
            contract_id: 12_087_792,
            time_zone: "US/Eastern".into(),
            trading_hours: "20261122:1715-20261123:1700".into(),
            liquid_hours: "20261123:0930-20261123:1600;20261124:CLOSED".into(),
        };
        let replies = [
            Reply::ManagedAccounts(AccountId::parse_list("DU1234567,DU7654321")),
            Reply::ManagedAccounts(vec![]),
            Reply::NextValidId(42),
            Reply::CurrentTime(1_700_000_000),
            Reply::Notice(Notice::new(-1, 2104, "Market data farm connection is OK:usfarm")),
            Reply::Notice(Notice::new(7, 200, "中国")),
            Reply::ContractDetails { request_id: 9001, details },
            Reply::ContractDetailsEnd { request_id: 9001 },
        ];
        for version in
            [100, 109, 110, 152, 153, 163, 164, 166, 181, 182, 193, 194, 200, 201, 203, 205, 207, 212, 213, 226, 300]
        {
            for reply in &replies {
                let wire = reply.encode(ServerVersion(version), 1_700_000_000_000);
                assert_eq!(&decode(version, &payload(&wire)), reply, "at {version}");
            }
        }
    }

    #[test]
    fn only_currency_pairs_are_named_by_both_currencies() {
        let stock = Contract {
            symbol: "AAPL".into(),
            security_type: "STK".into(),
            exchange: "SMART".into(),
            currency: "USD".into(),
        };
        for (contract, name, tick) in [(stock, "AAPL", "0.01"), (Contract::eur_usd(), "EUR.USD", "0.00005")] {
            let details = ContractDetails { contract, contract_id: 7, ..ContractDetails::default() };
            let reply = Reply::ContractDetails { request_id: 1, details };
            let text = String::from_utf8(reply.encode(ServerVersion(178), 0)).expect("text");
            assert!(text.contains(&format!("\0{name}\0{name}\0{name}\x007\0{tick}\0")), "{text:?}");
            let protobuf = reply.encode(ServerVersion(213), 0);
            assert!(protobuf.windows(tick.len()).any(|bytes| bytes == tick.as_bytes()));
            assert!(protobuf.windows(name.len() + 2).any(|bytes| bytes[0] == 0x5A && &bytes[2..] == name.as_bytes()));
        }
    }

    #[test]
    fn a_notice_without_a_code_is_information() {
        let body = MessageWriter::default().bytes(4, "Warning: Approaching max rate").finish();
        let mut wire = 204_u32.to_be_bytes().to_vec();
        wire.extend_from_slice(&body);
        assert_eq!(decode(213, &wire), Reply::Notice(Notice::new(-1, 0, "Warning: Approaching max rate")));
    }

    #[test]
    fn unknown_messages_are_fine_and_broken_ones_are_errors() {
        assert!(matches!(decode(176, b"6\x002\0NetLiquidation\0"), Reply::Other(raw) if raw.id == 6));
        assert!(matches!(decode(213, b"\0\0\x03\xe7\xff\xff"), Reply::Other(raw) if raw.id == 799));
        for (version, wire) in [
            (176, &b"x\0"[..]),
            (176, b"\0"),
            (176, b"9\x001\0soon\0"),
            (176, b"49\x001\0"),
            (176, b"4\x002\0x\0"),
            (213, b"\0\0"),
            (213, b"\0\0\0\xd1\x08"),
            (213, b"\0\0\0\xf9"),
        ] {
            assert!(Reply::decode(ServerVersion(version), wire).is_err(), "{wire:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(version in 90_u32..300, bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = Reply::decode(ServerVersion(version), &bytes);
            let _ = crate::request::Request::decode(ServerVersion(version), &bytes);
            let _ = crate::hello::ServerHello::parse(&bytes);
            let _ = crate::hello::ClientHello::parse(&bytes);
        }
    }
}
