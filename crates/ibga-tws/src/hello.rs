//! The two hellos that open a session. The client's is `API`, a NUL and a frame with the versions it speaks; the gateway's is
//! one frame, always text, with the version of the session and its local time.

use ibga_core::observation::Foreign;

use crate::fields::{FieldReader, FieldWriter};
use crate::frame;
use crate::version::ServerVersion;

/// The longest hello frame that is believed; real ones have about thirty bytes.
const HELLO_BYTES_MAX: u32 = 1_024;

/// What the client says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The lowest version it speaks.
    pub min: ServerVersion,
    /// The highest version it speaks.
    pub max: ServerVersion,
}

impl ClientHello {
    const PREFIX: &'static [u8] = b"API\0";

    /// The bytes to send, all in one write: a half-sent hello leaves a gateway waiting in its accept queue.
    pub fn encode(&self) -> Vec<u8> {
        let range =
            if self.min == self.max { format!("v{}", self.min) } else { format!("v{}..{}", self.min, self.max) };
        let mut bytes = Self::PREFIX.to_vec();
        bytes.extend_from_slice(&frame::encode(range.as_bytes()));
        bytes
    }

    /// Reads a client's hello from the start of `bytes` and says how many it took. `Ok(None)` means that more are needed,
    /// an error that this is no client of this protocol. Options after the versions are passed over.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, NotAClient> {
        let here = Self::PREFIX.len().min(bytes.len());
        if bytes.get(..here) != Self::PREFIX.get(..here) {
            return Err(NotAClient);
        }
        let Some((length, rest)) = bytes.get(here..).and_then(|rest| rest.split_first_chunk::<4>()) else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length);
        if length == 0 || length > HELLO_BYTES_MAX {
            return Err(NotAClient);
        }
        let Some(text) = rest.get(..length as usize) else {
            return Ok(None);
        };
        let hello = std::str::from_utf8(text).ok().and_then(Self::parse_range).ok_or(NotAClient)?;
        Ok(Some((hello, Self::PREFIX.len() + 4 + length as usize)))
    }

    fn parse_range(text: &str) -> Option<Self> {
        let range = text.trim_end_matches('\0').split(' ').next()?.strip_prefix('v')?;
        let (min, max) = range.split_once("..").unwrap_or((range, range));
        Some(Self { min: ServerVersion(min.parse().ok()?), max: ServerVersion(max.parse().ok()?) })
    }
}

/// The peer does not speak this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the first bytes are not a client's hello")]
pub struct NotAClient;

/// What the gateway answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerHello {
    /// The version of the session and the gateway's local time: free text, in any encoding, sometimes missing.
    Session {
        /// The version that both sides speak from here on.
        version: ServerVersion,
        /// The local time as it came.
        time: Vec<u8>,
    },
    /// `-1` and an address to go to instead. No gateway is known to send it; the clients know it.
    Redirect(String),
}

impl ServerHello {
    /// The frame to send.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        match self {
            Self::Session { version, time } => {
                payload.extend_from_slice(&FieldWriter::default().field(version).finish());
                payload.extend_from_slice(time);
                payload.push(0);
            }
            Self::Redirect(address) => payload = FieldWriter::default().field(-1).field(address).finish(),
        }
        frame::encode(&payload)
    }

    /// Reads the payload of the first frame.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut fields = FieldReader::new(payload);
        match fields.number::<i64>()? {
            -1 => Some(Self::Redirect(fields.text().unwrap_or_default())),
            number => {
                let version =
                    ServerVersion(u32::try_from(number).ok().filter(|version| (1..100_000).contains(version))?);
                Some(Self::Session { version, time: fields.bytes().unwrap_or_default().to_vec() })
            }
        }
    }

    /// Judges the first bytes of a peer: `Some` if no gateway begins like this. A hello has a length below one kilobyte, so that
    /// any printable first byte gives another protocol away.
    pub fn foreign(first: &[u8]) -> Option<Foreign> {
        let length = u32::from_be_bytes(*first.first_chunk::<4>()?);
        ((length == 0) || (length > HELLO_BYTES_MAX)).then_some(match first {
            [b'H', b'T', b'T', b'P', ..] | [b'<', ..] => Foreign::Http,
            [b'S', b'S', b'H', b'-', ..] => Foreign::Ssh,
            [b'R', b'F', b'B', b' ', ..] => Foreign::Vnc,
            [0x15 | 0x16, 0x03, ..] => Foreign::Tls,
            _ => Foreign::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(version: u32, time: &[u8]) -> ServerHello {
        ServerHello::Session { version: ServerVersion(version), time: time.to_vec() }
    }

    #[test]
    fn the_documented_bytes() {
        let hello = ClientHello { min: ServerVersion(100), max: ServerVersion(176) };
        assert_eq!(hello.encode(), b"API\0\0\0\0\x09v100..176");
        let same = ClientHello { min: ServerVersion(187), max: ServerVersion(187) };
        assert_eq!(same.encode(), b"API\0\0\0\0\x04v187");
        assert_eq!(session(176, b"20261122 03:00:00 EST").encode(), b"\0\0\0\x1a176\x0020261122 03:00:00 EST\0");
    }

    #[test]
    fn client_hellos_of_real_clients() {
        for (text, min, max) in [
            ("v157..178", 157, 178),
            ("v100..193", 100, 193),
            ("v213..226", 213, 226),
            ("v100..176 +PACEAPI", 100, 176),
            ("v100..203\0", 100, 203),
            ("v187", 187, 187),
        ] {
            let mut bytes = b"API\0".to_vec();
            bytes.extend_from_slice(&frame::encode(text.as_bytes()));
            for cut in 0..bytes.len() {
                assert_eq!(ClientHello::parse(&bytes[..cut]), Ok(None), "{text} cut at {cut}");
            }
            let all = bytes.len();
            bytes.extend_from_slice(b"more");
            let hello = ClientHello { min: ServerVersion(min), max: ServerVersion(max) };
            assert_eq!(ClientHello::parse(&bytes), Ok(Some((hello, all))));
        }
        for bytes in [
            &b"GET / HTTP/1.1"[..],
            b"API\0\0\0\0\0",
            b"API\0\xff\xff\xff\xff",
            b"API\0\0\0\0\x01x",
            b"API\0\0\0\0\x08v100.200",
        ] {
            assert_eq!(ClientHello::parse(bytes), Err(NotAClient), "{bytes:?}");
        }
    }

    #[test]
    fn server_hellos_with_any_zone() {
        let gbk = b"20261122 16:00:00 \xd6\xd0\xb9\xfa\xb1\xea\xd7\xbc\xca\xb1\xbc\xe4";
        for (payload, hello) in [
            (
                &b"187\x0020260405 23:49:26 Central European Standard Time\0"[..],
                session(187, b"20260405 23:49:26 Central European Standard Time"),
            ),
            (&[b"200\0", &gbk[..], b"\0"].concat(), session(200, gbk)),
            (b"176\0", session(176, b"")),
            (b"176\x0020221216 17:29:41", session(176, b"20221216 17:29:41")),
            (b"-1\0gw2.example:4001\0", ServerHello::Redirect("gw2.example:4001".into())),
        ] {
            assert_eq!(ServerHello::parse(payload), Some(hello));
        }
        for payload in [&b"OK\0"[..], b"", b"\0", b"-2\0", b"176x\0", b"99999999\0"] {
            assert_eq!(ServerHello::parse(payload), None, "{payload:?}");
        }
    }

    #[test]
    fn other_protocols_are_recognised_by_their_first_bytes() {
        for (first, foreign) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], Some(Foreign::Http)),
            (b"<html>", Some(Foreign::Http)),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Some(Foreign::Ssh)),
            (b"RFB 003.008\n", Some(Foreign::Vnc)),
            (b"\x15\x03\x03\0\x02\x02F", Some(Foreign::Tls)),
            (b"220 smtp", Some(Foreign::Other)),
            (b"\0\0\0\0", Some(Foreign::Other)),
            (b"\0\0\x10\0", Some(Foreign::Other)),
            (b"\0\0\0\x1a", None),
            (b"\0\0\0", None),
            (b"HTT", None),
        ] {
            assert_eq!(ServerHello::foreign(first), foreign, "{first:?}");
        }
    }
}
