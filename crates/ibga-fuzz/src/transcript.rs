//! A second reading of a probe session, from its bytes alone and with no code of the probe or its codec: is there proof that the
//! gateway was ready? Whatever this finds missing, no verdict may call ready.

use std::time::Duration;

/// What went over one connection, in its order.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    /// Each chunk, with who sent it and when.
    pub(crate) chunks: Vec<(Side, Duration, Vec<u8>)>,
    /// The peer ended it.
    pub(crate) ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Gateway,
}

/// A message of the gateway, and the chunk that completed it.
struct Message {
    chunk: usize,
    at: Duration,
    id: u32,
    fields: Fields,
}

enum Fields {
    Text(Vec<String>),
    Protobuf(Vec<(u64, Field)>),
}

enum Field {
    Number(i64),
    Text(String),
    Fixed,
}

impl Fields {
    /// A field as text: `text_at` counts from the message id on, `number` is protobuf's.
    fn text(&self, text_at: usize, number: u64) -> Option<String> {
        match self {
            Self::Text(fields) => fields.get(text_at).cloned(),
            Self::Protobuf(fields) => {
                fields.iter().rev().find(|(n, _)| *n == number).and_then(|(_, field)| match field {
                    Field::Number(value) => Some(value.to_string()),
                    Field::Text(text) => Some(text.clone()),
                    Field::Fixed => None,
                })
            }
        }
    }

    fn number(&self, text_at: usize, number: u64) -> Option<i64> {
        self.text(text_at, number)?.trim().parse().ok()
    }
}

/// What is missing for a proof that the gateway was ready; `None` if nothing is.
pub(crate) fn missing(transcript: &Transcript, asks_broker: bool, began_at: i64) -> Option<&'static str> {
    if transcript.ended {
        return Some("the peer ended it");
    }
    let Some((version, messages)) = read(transcript) else { return Some("a hello") };
    if version < 100 {
        return Some("a version that is spoken");
    }
    let text_from = usize::from(version < 194);
    let code = |message: &Message| message.fields.number(1 + text_from, 3).unwrap_or(0);
    let about = |message: &Message| message.fields.number(text_from, 1).unwrap_or(-1);
    let notices = || messages.iter().filter(|message| message.id == 4);
    let last_list = messages.iter().rfind(|message| message.id == 15);
    let list = last_list.and_then(|message| message.fields.text(1, 1)).unwrap_or_default();
    let asked = asked_at(transcript, version, 49);
    let came_after = |asked: Option<usize>, message: &&Message| asked.is_some_and(|asked| message.chunk > asked);
    let answered = |id: u32| messages.iter().filter(move |message| message.id == id).filter(|m| came_after(asked, m));
    let time_is_right = |message: &Message| {
        let told = message.fields.number(1, 1).unwrap_or(i64::MIN);
        let here = began_at.saturating_add(message.at.as_secs().cast_signed());
        told.abs_diff(here) <= 32
    };
    let link = notices().map(code).rfind(|code| [1100, 1101, 1102, 2110].contains(code));
    [
        (!list.split(',').any(|id| !id.trim().is_empty()), "accounts"),
        (!messages.iter().any(|message| message.id == 9), "an order id"),
        (asked.is_none(), "a question for the time"),
        (answered(9).next().is_none(), "an order id that was asked for"),
        (!answered(49).any(time_is_right), "the right time"),
        (answered(4).any(|notice| code(notice) == 321 && about(notice) < 9_000), "leave to place orders"),
        (asks_broker && !broker_answered(transcript, version, &messages), "an answer of the broker"),
        (matches!(link, Some(1100 | 2110)), "a link to the broker"),
        (notices().any(|notice| [10_141, 1_300, 10_197].contains(&code(notice))), "a session without a fatal notice"),
    ]
    .into_iter()
    .find_map(|(holds, what)| holds.then_some(what))
}

/// Whether details, their end, or an error that only the broker can give came for a question that had left.
fn broker_answered(transcript: &Transcript, version: u32, messages: &[Message]) -> bool {
    (0..2).any(|round| {
        let Some(asked) = asked_at_round(transcript, version, 9, round) else { return false };
        let request = 9_001 + i64::try_from(round).unwrap_or_default();
        messages.iter().filter(|message| message.chunk > asked).any(|message| {
            let text_from = match message.id {
                4 => usize::from(version < 194),
                10 => usize::from(version < 164),
                52 => 1,
                _ => return false,
            };
            let code = message.fields.number(1 + text_from, 3);
            message.fields.number(text_from, 1) == Some(request) && (message.id != 4 || matches!(code, Some(200 | 203)))
        })
    })
}

fn asked_at(transcript: &Transcript, version: u32, id: u32) -> Option<usize> {
    asked_at_round(transcript, version, id, 0)
}

/// The chunk with the first, second … request of this id.
fn asked_at_round(transcript: &Transcript, version: u32, id: u32, round: usize) -> Option<usize> {
    let sent = transcript.chunks.iter().enumerate().filter(|(_, (side, ..))| *side == Side::Client);
    let mut asked = sent.flat_map(|(index, (_, _, bytes))| {
        // The hello's first four bytes are no length.
        let framed = bytes.strip_prefix(b"API\0").unwrap_or(bytes);
        frames(framed).into_iter().filter_map(move |(_, payload)| Some((index, split(version, payload)?.0)))
    });
    asked.by_ref().filter(|(_, seen)| *seen == id).nth(round).map(|(index, _)| index)
}

/// The version of the hello and all messages after it.
fn read(transcript: &Transcript) -> Option<(u32, Vec<Message>)> {
    let mut stream = Vec::new();
    let mut ends = Vec::new();
    for (index, (side, at, bytes)) in transcript.chunks.iter().enumerate() {
        if *side == Side::Gateway {
            stream.extend_from_slice(bytes);
            ends.push((stream.len(), index, *at));
        }
    }
    let mut all = frames(&stream).into_iter();
    let (_, hello) = all.next()?;
    let version = String::from_utf8_lossy(hello.split(|byte| *byte == 0).next()?).trim().parse().ok()?;
    let messages = all.filter_map(|(end, payload)| {
        let (_, chunk, at) = *ends.iter().find(|(to, ..)| *to >= end)?;
        let (id, fields) = split(version, payload)?;
        Some(Message { chunk, at, id, fields })
    });
    Some((version, messages.collect()))
}

/// The payloads with the offset where each ends.
fn frames(stream: &[u8]) -> Vec<(usize, &[u8])> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(prefix) = stream.get(at..at + 4) {
        let length = prefix.iter().fold(0_usize, |sum, byte| sum * 256 + usize::from(*byte));
        let Some(payload) = stream.get(at + 4..at + 4 + length).filter(|payload| !payload.is_empty()) else { break };
        at += 4 + length;
        found.push((at, payload));
    }
    found
}

/// The message id without protobuf's 200, and the fields.
fn split(version: u32, payload: &[u8]) -> Option<(u32, Fields)> {
    let texts = |bytes: &[u8]| -> Vec<String> {
        bytes.split(|byte| *byte == 0).map(|field| String::from_utf8_lossy(field).into_owned()).collect()
    };
    if version < 201 {
        let fields = texts(payload);
        let id = fields.first()?.trim().parse().ok()?;
        return Some((id, Fields::Text(fields.into_iter().skip(1).collect())));
    }
    let (id, body) = payload.split_first_chunk::<4>()?;
    let id = u32::from_be_bytes(*id);
    if id > 200 { Some((id - 200, Fields::Protobuf(protobuf(body)?))) } else { Some((id, Fields::Text(texts(body)))) }
}

fn protobuf(mut rest: &[u8]) -> Option<Vec<(u64, Field)>> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let taken = match key % 8 {
            0 => {
                fields.push((key / 8, Field::Number(varint(&mut rest)?.cast_signed())));
                continue;
            }
            1 => 8,
            5 => 4,
            2 => usize::try_from(varint(&mut rest)?).ok()?,
            _ => return None,
        };
        let (bytes, tail) = rest.split_at_checked(taken)?;
        rest = tail;
        let text = || Field::Text(String::from_utf8_lossy(bytes).into_owned());
        fields.push((key / 8, if key % 8 == 2 { text() } else { Field::Fixed }));
    }
    Some(fields)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for place in 0..10 {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte % 128).checked_shl(7 * place).unwrap_or(0);
        if *byte < 128 {
            return Some(value);
        }
    }
    None
}
