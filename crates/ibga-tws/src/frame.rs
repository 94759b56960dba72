//! Framing: a four-byte big-endian length, then that many bytes, in both directions.
//! Memory is bounded whatever the peer sends: a frame too long to be of interest is skipped, not stored.

use crate::DecodeError;

/// The longest frame of the protocol (IBKR's own reader refuses more).
pub const FRAME_BYTES_MAX: u32 = 0x00FF_FFFF;

/// The longest payload that is kept whole; no message that is decoded here comes near it. Decoding holds a message several times
/// over, and all of that has to stay within a megabyte.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// Puts the length before a payload.
pub fn encode(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(payload.len() + 4);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// One frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A payload.
    Payload(Vec<u8>),
    /// A payload longer than [`PAYLOAD_BYTES_MAX`], passed over.
    Skipped {
        /// How long it was.
        bytes: u32,
    },
}

/// Cuts a stream of bytes into frames, however the bytes arrive.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    /// Bytes at the start of the buffer that are used up.
    consumed: usize,
    /// Bytes of a long frame that are still to be passed over, and its length.
    skipping: Option<(usize, u32)>,
}

impl FrameDecoder {
    /// Takes in bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.consumed > 0 {
            self.buffer.drain(..self.consumed);
            self.consumed = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The bytes that do not make a whole frame yet.
    pub fn pending(&self) -> &[u8] {
        self.buffer.get(self.consumed..).unwrap_or_default()
    }

    /// Gives back the next whole frame; `None` means that more bytes are needed.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, DecodeError> {
        if let Some((left, bytes)) = self.skipping {
            let here = left.min(self.pending().len());
            self.consumed += here;
            if here < left {
                self.skipping = Some((left - here, bytes));
                return Ok(None);
            }
            self.skipping = None;
            return Ok(Some(Frame::Skipped { bytes }));
        }
        let Some((prefix, rest)) = self.pending().split_first_chunk::<4>() else {
            return Ok(None);
        };
        let bytes = u32::from_be_bytes(*prefix);
        if bytes == 0 || bytes > FRAME_BYTES_MAX {
            return Err(DecodeError::FrameLength(bytes));
        }
        let length = bytes as usize;
        if length > PAYLOAD_BYTES_MAX {
            self.consumed += 4;
            self.skipping = Some((length, bytes));
            return self.next_frame();
        }
        let Some(payload) = rest.get(..length) else {
            return Ok(None);
        };
        let frame = Frame::Payload(payload.to_vec());
        self.consumed += 4 + length;
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(decoder: &mut FrameDecoder) -> Vec<Frame> {
        std::iter::from_fn(|| decoder.next_frame().expect("no broken frame")).collect()
    }

    #[test]
    fn lengths_outside_the_protocol_are_errors() {
        for length in [0, FRAME_BYTES_MAX + 1, 0x4854_5450, u32::MAX] {
            let mut decoder = FrameDecoder::default();
            decoder.push(&length.to_be_bytes());
            assert_eq!(decoder.next_frame(), Err(DecodeError::FrameLength(length)));
        }
    }

    #[test]
    fn a_long_frame_is_passed_over_without_being_stored() {
        let mut decoder = FrameDecoder::default();
        decoder.push(&FRAME_BYTES_MAX.to_be_bytes());
        let chunk = [0_u8; 16 * 1024];
        let mut left = FRAME_BYTES_MAX as usize;
        let mut seen = Vec::new();
        while left > 0 {
            let here = left.min(chunk.len());
            decoder.push(&chunk[..here]);
            left -= here;
            seen.extend(decoder.next_frame().expect("no broken frame"));
            assert!(decoder.buffer.capacity() < 64 * 1024);
        }
        decoder.push(&encode(b"next"));
        seen.extend(frames(&mut decoder));
        assert_eq!(seen, [Frame::Skipped { bytes: FRAME_BYTES_MAX }, Frame::Payload(b"next".to_vec())]);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_frames(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
                                           cuts in prop::collection::vec(1_usize..9, 0..60)) {
            let stream: Vec<u8> = payloads.iter().flat_map(|payload| encode(payload)).collect();
            let mut decoder = FrameDecoder::default();
            let mut seen = Vec::new();
            let mut rest = stream.as_slice();
            let mut cuts = cuts.into_iter().cycle();
            while !rest.is_empty() {
                let at = cuts.next().unwrap_or(1).min(rest.len());
                decoder.push(&rest[..at]);
                seen.extend(frames(&mut decoder));
                rest = &rest[at..];
            }
            prop_assert_eq!(seen, payloads.into_iter().map(Frame::Payload).collect::<Vec<_>>());
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = FrameDecoder::default();
            decoder.push(&bytes);
            while let Ok(Some(_)) = decoder.next_frame() {}
        }
    }
}
