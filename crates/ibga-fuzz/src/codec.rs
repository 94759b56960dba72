//! The codec: no bytes make it panic, no split of them changes what they say, and what decodes is written in one
//! way, which reads the same again.

use ibga_core::notice::Notice;
use ibga_tws::frame::{self as framing, FRAME_BYTES_MAX, Frame, FrameDecoder, PAYLOAD_BYTES_MAX};
use ibga_tws::hello::{ClientHello, ServerHello};
use ibga_tws::reply::Reply;
use ibga_tws::request::Request;
use ibga_tws::{DecodeError, ServerVersion};

/// Frames. The first byte says into how many bytes each push is cut; the rest is the stream.
pub fn frame(input: &[u8]) {
    let Some((cut, stream)) = input.split_first() else { return };
    let mut decoder = FrameDecoder::default();
    let mut seen = Vec::new();
    for piece in stream.chunks(usize::from(*cut).max(1)) {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => seen.push(Ok(frame)),
                Ok(None) => break,
                Err(fault) => {
                    seen.push(Err(fault));
                    assert_eq!(seen, frames_at_once(stream));
                    return;
                }
            }
        }
        assert!(decoder.pending().len() <= PAYLOAD_BYTES_MAX + 4, "more is held than the longest payload");
    }
    assert_eq!(seen, frames_at_once(stream));
}

/// The same frames, read off the whole stream.
fn frames_at_once(stream: &[u8]) -> Vec<Result<Frame, DecodeError>> {
    let mut frames = Vec::new();
    let mut rest = stream;
    while let Some((prefix, tail)) = rest.split_first_chunk::<4>() {
        let bytes = u32::from_be_bytes(*prefix);
        if !(1..=FRAME_BYTES_MAX).contains(&bytes) {
            frames.push(Err(DecodeError::FrameLength(bytes)));
            break;
        }
        let Some((payload, tail)) = tail.split_at_checked(bytes as usize) else { break };
        let skipped = payload.len() > PAYLOAD_BYTES_MAX;
        frames.push(Ok(if skipped { Frame::Skipped { bytes } } else { Frame::Payload(payload.to_vec()) }));
        rest = tail;
    }
    frames
}

/// Both hellos. The first byte says which.
pub fn hello(input: &[u8]) {
    match input.split_first() {
        Some((0..128, bytes)) => client_hello(bytes),
        Some((_, payload)) => server_hello(payload),
        None => {}
    }
}

fn client_hello(bytes: &[u8]) {
    let whole = ClientHello::parse(bytes);
    if let Ok(Some((hello, taken))) = &whole {
        let own = hello.encode();
        assert_eq!(ClientHello::parse(&own), Ok(Some((hello.clone(), own.len()))));
        for cut in 0..*taken {
            assert_eq!(ClientHello::parse(bytes.get(..cut).unwrap_or_default()), Ok(None), "cut at {cut}");
        }
    } else if whole == Ok(None) {
        let more = [bytes, &[0xFF; 4][..]].concat();
        assert!(!matches!(ClientHello::parse(&more), Ok(Some((_, taken))) if taken < bytes.len()));
    }
}

fn server_hello(payload: &[u8]) {
    let first = framing::encode(payload);
    if let Some(hello) = ServerHello::parse(payload) {
        let own = hello.encode();
        assert_eq!(ServerHello::parse(own.get(4..).unwrap_or_default()), Some(hello));
    }
    let is_foreign = ServerHello::foreign(&first).is_some();
    assert_eq!(is_foreign, payload.is_empty() || payload.len() > 1_024, "a hello has between 1 and 1024 bytes");
    let _ = ServerHello::foreign(payload);
}

/// A version that changes something, or any other, and the payload behind it.
fn version_and_payload(input: &[u8]) -> Option<(ServerVersion, &[u8])> {
    let (pair, payload) = input.split_first_chunk::<2>()?;
    Some((ServerVersion(100 + u32::from(u16::from_be_bytes(*pair)) % 300), payload))
}

/// Replies. The first two bytes choose the version.
pub fn reply(input: &[u8]) {
    let Some((version, payload)) = version_and_payload(input) else { return };
    let Ok(reply) = Reply::decode(version, payload) else { return };
    let encode = |reply: Reply| without_cut_text(reply).encode(version, 1_700_000_000_000);
    let frame = encode(reply);
    let again = Reply::decode(version, frame.get(4..).unwrap_or_default());
    assert_eq!(again.map(encode), Ok(frame), "at {version}");
}

/// A text that was cut may have been cut within a word that is masked, and is then masked once more.
fn without_cut_text(reply: Reply) -> Reply {
    match reply {
        Reply::Notice(Notice { request_id, code, text }) if text.chars().count() >= NOTICE_CHARS => {
            Reply::Notice(Notice { request_id, code, text: String::new() })
        }
        other => other,
    }
}

/// From this length on the text of a notice may have been cut.
const NOTICE_CHARS: usize = 290;

/// Requests. The first two bytes choose the version.
pub fn request(input: &[u8]) {
    let Some((version, payload)) = version_and_payload(input) else { return };
    let Ok(request) = Request::decode(version, payload) else { return };
    let frame = request.encode(version);
    let again = Request::decode(version, frame.get(4..).unwrap_or_default());
    assert_eq!(again.map(|again| again.encode(version)), Ok(frame), "at {version}");
}
