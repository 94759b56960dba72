//! What a client asks, in both directions.

use crate::DecodeError;
use crate::fields::{FieldReader, FieldWriter};
use crate::frame;
use crate::proto::{self, MessageWriter, Value};
use crate::version::ServerVersion;

/// Added to a message id when the body is protobuf.
pub const PROTOBUF_ID_OFFSET: u32 = 200;

/// Message ids of requests.
pub mod id {
    /// Are orders allowed, and what is the next order id?
    pub const REQ_IDS: u32 = 8;
    /// A contract's details.
    pub const REQ_CONTRACT_DATA: u32 = 9;
    /// The account list again.
    pub const REQ_MANAGED_ACCTS: u32 = 17;
    /// The gateway's clock.
    pub const REQ_CURRENT_TIME: u32 = 49;
    /// Opens the session after the hello.
    pub const START_API: u32 = 71;
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Opens the session.
    StartApi {
        /// The client id.
        client_id: i32,
    },
    /// Asks for an order id; a read-only gateway answers with error 321 instead.
    ReqIds,
    /// Asks for the account list again.
    ReqManagedAccounts,
    /// Asks for the gateway's clock.
    ReqCurrentTime,
    /// Asks for a contract's details.
    ReqContractDetails {
        /// The answer carries it.
        request_id: i32,
        /// The contract.
        contract: Contract,
    },
    /// Any other request, undecoded.
    Other(Raw),
}

/// A message that is not decoded further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// The message id, without the protobuf offset.
    pub id: u32,
    /// How the body is to be read.
    pub encoding: Encoding,
    /// What follows the message id.
    pub body: Vec<u8>,
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Fields that end in NUL.
    Text,
    /// Protobuf.
    Protobuf,
}

/// A contract as a question names it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Contract {
    /// `EUR`, `700`.
    pub symbol: String,
    /// `CASH`, `STK`.
    pub security_type: String,
    /// `IDEALPRO`, `SEHK`.
    pub exchange: String,
    /// `USD`, `HKD`.
    pub currency: String,
}

impl Contract {
    /// EUR.USD on IDEALPRO: every login may look it up, at any hour.
    pub fn eur_usd() -> Self {
        Self { symbol: "EUR".into(), security_type: "CASH".into(), exchange: "IDEALPRO".into(), currency: "USD".into() }
    }

    /// The `Contract` message of IBKR's protobuf API, as far as a question fills it.
    pub fn to_proto(&self) -> Vec<u8> {
        MessageWriter::default()
            .bytes(2, &self.symbol)
            .bytes(3, &self.security_type)
            .bytes(8, &self.exchange)
            .bytes(10, &self.currency)
            .finish()
    }

    pub(crate) fn from_proto(message: &[u8]) -> Option<Self> {
        let fields = proto::read(message)?;
        let text = |number| proto::field(&fields, number).and_then(Value::text).unwrap_or_default();
        Some(Self { symbol: text(2), security_type: text(3), exchange: text(8), currency: text(10) })
    }
}

/// Writes a whole frame: message id as the version wants it, then the body.
pub fn encode_message(version: ServerVersion, id: u32, encoding: Encoding, body: &[u8]) -> Vec<u8> {
    let mut payload = match encoding {
        Encoding::Protobuf => (id + PROTOBUF_ID_OFFSET).to_be_bytes().to_vec(),
        Encoding::Text if version >= ServerVersion::BINARY_IDS => id.to_be_bytes().to_vec(),
        Encoding::Text => FieldWriter::default().field(id).finish(),
    };
    payload.extend_from_slice(body);
    frame::encode(&payload)
}

/// Takes the message id off a payload.
pub fn split_message(version: ServerVersion, payload: &[u8]) -> Result<Raw, DecodeError> {
    let (number, body) = if version >= ServerVersion::BINARY_IDS {
        let (number, body) = payload.split_first_chunk::<4>().ok_or(DecodeError::MessageId)?;
        (u32::from_be_bytes(*number), body)
    } else {
        let mut reader = FieldReader::new(payload);
        let number = reader.number::<u32>().ok_or(DecodeError::MessageId)?;
        let end = payload.iter().position(|byte| *byte == 0).map_or(payload.len(), |at| at + 1);
        (number, payload.get(end..).unwrap_or_default())
    };
    let (id, encoding) = match number.checked_sub(PROTOBUF_ID_OFFSET) {
        Some(id) if id > 0 && version >= ServerVersion::BINARY_IDS => (id, Encoding::Protobuf),
        _ => (number, Encoding::Text),
    };
    Ok(Raw { id, encoding, body: body.to_vec() })
}

/// The version from which on a message is sent as protobuf.
fn encoding_at(version: ServerVersion, protobuf_from: ServerVersion) -> Encoding {
    if version >= protobuf_from { Encoding::Protobuf } else { Encoding::Text }
}

impl Request {
    /// The frame to send in a session of this version.
    pub fn encode(&self, version: ServerVersion) -> Vec<u8> {
        let mut text = FieldWriter::default();
        let mut message = MessageWriter::default();
        let (id, since) = match self {
            Self::StartApi { client_id } => {
                text.field(2).field(client_id).blank(1);
                message.int(1, i64::from(*client_id));
                (id::START_API, ServerVersion::PROTOBUF_ALL)
            }
            Self::ReqIds => {
                text.field(1).field(1);
                message.int(1, 1);
                (id::REQ_IDS, ServerVersion::PROTOBUF_ALL)
            }
            Self::ReqManagedAccounts => {
                text.field(1);
                (id::REQ_MANAGED_ACCTS, ServerVersion::PROTOBUF_ACCOUNTS)
            }
            Self::ReqCurrentTime => {
                text.field(1);
                (id::REQ_CURRENT_TIME, ServerVersion::PROTOBUF_ALL)
            }
            Self::ReqContractDetails { request_id, contract } => {
                contract_question(&mut text, version, *request_id, contract);
                message.int(1, i64::from(*request_id)).bytes(2, contract.to_proto());
                (id::REQ_CONTRACT_DATA, ServerVersion::PROTOBUF_CONTRACTS)
            }
            Self::Other(raw) => return encode_message(version, raw.id, raw.encoding, &raw.body),
        };
        match encoding_at(version, since) {
            Encoding::Text => encode_message(version, id, Encoding::Text, &text.finish()),
            Encoding::Protobuf => encode_message(version, id, Encoding::Protobuf, &message.finish()),
        }
    }

    /// Reads a frame's payload; what a gateway does.
    pub fn decode(version: ServerVersion, payload: &[u8]) -> Result<Self, DecodeError> {
        let raw = split_message(version, payload)?;
        let bad = |field| DecodeError::Field { message: raw.id, field };
        let mut text = FieldReader::new(&raw.body);
        let protobuf = raw.encoding == Encoding::Protobuf;
        let fields = if protobuf { proto::read(&raw.body) } else { None };
        let field = |number| proto::field(fields.as_deref()?, number);
        let number = |n| field(n).and_then(Value::int).and_then(|value| i32::try_from(value).ok());
        match raw.id {
            id::START_API => {
                text.skip(1);
                let client_id = if protobuf { number(1) } else { text.number() };
                Ok(Self::StartApi { client_id: client_id.ok_or(bad("client id"))? })
            }
            id::REQ_IDS => Ok(Self::ReqIds),
            id::REQ_MANAGED_ACCTS => Ok(Self::ReqManagedAccounts),
            id::REQ_CURRENT_TIME => Ok(Self::ReqCurrentTime),
            id::REQ_CONTRACT_DATA if protobuf => {
                // An empty message is left out by protobuf's senders.
                let contract =
                    field(2).map_or(Some(Contract::default()), |message| Contract::from_proto(message.bytes()?));
                Ok(Self::ReqContractDetails {
                    request_id: number(1).ok_or(bad("request id"))?,
                    contract: contract.ok_or(bad("contract"))?,
                })
            }
            id::REQ_CONTRACT_DATA => read_contract_question(&mut text).ok_or(bad("contract question")),
            _ => Ok(Self::Other(raw)),
        }
    }
}

/// Layout of version 8 of the message: request id, contract id, symbol, type, expiry, strike, right, multiplier, exchange,
/// primary exchange, currency, local symbol, trading class, expired too?, two fields of a security id, and the bond issuer.
fn contract_question(text: &mut FieldWriter, version: ServerVersion, request_id: i32, contract: &Contract) {
    text.field(8).field(request_id).field(0).field(&contract.symbol).field(&contract.security_type);
    text.blank(1).field("0.0").blank(2).field(&contract.exchange).blank(1);
    text.field(&contract.currency).blank(2).field(0).blank(2);
    if version >= ServerVersion::BOND_ISSUER {
        text.blank(1);
    }
}

fn read_contract_question(text: &mut FieldReader<'_>) -> Option<Request> {
    text.skip(1);
    let request_id = text.number()?;
    text.skip(1);
    let symbol = text.text()?;
    let security_type = text.text()?;
    text.skip(4);
    let exchange = text.text()?;
    text.skip(1);
    let currency = text.text()?;
    Some(Request::ReqContractDetails { request_id, contract: Contract { symbol, security_type, exchange, currency } })
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn captured_bytes() {
        for (request, version, bytes) in [
            (Request::StartApi { client_id: 7 }, 178, &b"\0\0\0\x0871\x002\x007\0\0"[..]),
            (Request::StartApi { client_id: 100 }, 213, b"\0\0\0\x06\0\0\x01\x0f\x08\x64"),
            (Request::StartApi { client_id: 7 }, 201, b"\0\0\0\x09\0\0\0\x472\x007\0\0"),
            (Request::ReqCurrentTime, 178, b"\0\0\0\x0549\x001\0"),
            (Request::ReqCurrentTime, 226, b"\0\0\0\x04\0\0\0\xf9"),
            (Request::ReqIds, 176, b"\0\0\0\x068\x001\x001\0"),
            (Request::ReqManagedAccounts, 200, b"\0\0\0\x0517\x001\0"),
            (Request::ReqManagedAccounts, 207, b"\0\0\0\x04\0\0\0\xd9"),
        ] {
            assert_eq!(request.encode(ServerVersion(version)), bytes, "{request:?} at {version}");
        }
    }

    #[test]
    fn both_directions_agree_in_every_dialect() {
        let requests = [
            Request::StartApi { client_id: 99 },
            Request::ReqIds,
            Request::ReqManagedAccounts,
            Request::ReqCurrentTime,
            Request::ReqContractDetails { request_id: 9001, contract: Contract::eur_usd() },
        ];
        for version in [100, 152, 166, 175, 176, 193, 194, 200, 201, 203, 205, 207, 212, 213, 226, 300] {
            for request in &requests {
                let version = ServerVersion(version);
                assert_eq!(
                    Request::decode(version, &payload(&request.encode(version))).as_ref(),
                    Ok(request),
                    "at {version}"
                );
            }
        }
    }

    #[test]
    fn unknown_requests_are_kept_whole() {
        let raw = Raw { id: 61, encoding: Encoding::Text, body: b"1\0".to_vec() };
        for version in [178, 206] {
            let version = ServerVersion(version);
            let request = Request::Other(raw.clone());
            assert_eq!(Request::decode(version, &payload(&request.encode(version))), Ok(request));
        }
    }

    #[test]
    fn broken_requests_are_errors() {
        for (version, payload) in
            [(176, &b"x\0"[..]), (201, b"\0\0"), (176, b"71\x002\0x\0"), (213, b"\0\0\x01\x0f\xff")]
        {
            assert!(Request::decode(ServerVersion(version), payload).is_err(), "{payload:?}");
        }
    }
}
