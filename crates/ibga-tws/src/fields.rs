//! Text messages: fields that each end in a NUL byte.

use std::fmt::Write as _;

/// Reads the fields of a text message in order. Bytes that are not UTF-8 are replaced: gateways on localised systems send them.
#[derive(Clone, Debug)]
pub struct FieldReader<'a> {
    rest: &'a [u8],
}

impl<'a> FieldReader<'a> {
    /// Reads from the first field of `payload`.
    pub fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    /// The next field without its NUL; the last one may lack it. `None` past the end.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| *byte == 0).unwrap_or(self.rest.len());
        let (field, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        Some(field)
    }

    /// The next field as text.
    pub fn text(&mut self) -> Option<String> {
        self.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The next field as a number.
    pub fn number<T: std::str::FromStr>(&mut self) -> Option<T> {
        std::str::from_utf8(self.bytes()?).ok()?.trim().parse().ok()
    }

    /// Passes over fields.
    pub fn skip(&mut self, count: usize) {
        for _ in 0..count {
            let _ = self.bytes();
        }
    }
}

/// Writes the fields of a text message.
#[derive(Clone, Debug, Default)]
pub struct FieldWriter {
    payload: Vec<u8>,
}

impl FieldWriter {
    /// Adds a field. A NUL in it would end it, and is left out.
    pub fn field(&mut self, value: impl std::fmt::Display) -> &mut Self {
        self.payload.extend(value.to_string().bytes().filter(|byte| *byte != 0));
        self.payload.push(0);
        self
    }

    /// Adds empty fields.
    pub fn blank(&mut self, count: usize) -> &mut Self {
        self.payload.extend(std::iter::repeat_n(0, count));
        self
    }

    /// The fields as bytes.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.payload)
    }
}

/// Resolves the `\uXXXX` escapes in which gateways from version 153 on send text that is not ASCII.
/// What is no whole escape stays as it is.
pub fn unescape(text: &str) -> String {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let escaped =
            rest.strip_prefix("\\u").and_then(|tail| tail.get(..4)).and_then(|hex| u16::from_str_radix(hex, 16).ok());
        let taken = if let Some(unit) = escaped {
            units.push(unit);
            6
        } else {
            units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
            c.len_utf8()
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    String::from_utf16_lossy(&units)
}

/// The other way round, for a simulated gateway. A backslash is escaped too where it would be taken for the start of an escape.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut units = text.encode_utf16().peekable();
    while let Some(unit) = units.next() {
        match u8::try_from(unit) {
            Ok(b'\\') if units.peek() == Some(&u16::from(b'u')) => escaped.push_str("\\u005c"),
            Ok(byte) if byte.is_ascii() => escaped.push(char::from(byte)),
            _ => {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_end_in_nul_and_the_last_may_not() {
        let mut reader = FieldReader::new(b"15\x001\0DU1\0\0tail");
        assert_eq!(reader.number::<u32>(), Some(15));
        reader.skip(1);
        assert_eq!(reader.text().as_deref(), Some("DU1"));
        assert_eq!(reader.text().as_deref(), Some(""));
        assert_eq!(reader.text().as_deref(), Some("tail"));
        assert_eq!(reader.text(), None);
    }

    #[test]
    fn a_field_stays_one_field() {
        assert_eq!(FieldWriter::default().field(15).field("U1\0U2").field("").finish(), b"15\0U1U2\0\0");
    }

    #[test]
    fn escapes() {
        for (wire, text) in [
            ("plain", "plain"),
            ("\\u4e2d\\u56fd", "中国"),
            ("a\\u00e9b", "aéb"),
            ("\\ud83d\\ude00", "😀"),
            ("\\u12", "\\u12"),
            ("\\uZZZZ", "\\uZZZZ"),
            ("\\u中国中国", "\\u中国中国"),
            ("\\n", "\\n"),
        ] {
            assert_eq!(unescape(wire), text);
        }
        for text in ["中国 😀 é", "\\u0041", "\\\\u0041\\", "C:\\new"] {
            assert_eq!(unescape(&escape(text)), text);
        }
    }
}
