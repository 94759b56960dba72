//! The protobuf wire format, as much as the probe's seven small messages need: reading by field number, unknown fields
//! passed over. Eighty lines instead of a code generator, a schema compiler and their build time.

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire types 1 and 5, as they stand.
    Fixed(&'a [u8]),
    /// Wire type 2: text, bytes or a message.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// As a signed number, the way protobuf's `int32` and `int64` are sent.
    pub fn int(self) -> Option<i64> {
        match self {
            Self::Varint(value) => Some(value.cast_signed()),
            _ => None,
        }
    }

    /// As text; bytes that are not UTF-8 are replaced.
    pub fn text(self) -> Option<String> {
        self.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// As bytes, for a message inside the message.
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// The most fields of one message that are read; the largest message here has about seventy.
const FIELDS_MAX: usize = 1_024;

/// Reads all fields of a message; `None` if the bytes are not a whole message.
pub fn read(message: &[u8]) -> Option<Vec<(u32, Value<'_>)>> {
    let mut rest = message;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        if fields.len() == FIELDS_MAX {
            return None;
        }
        let key = varint(&mut rest)?;
        let number = u32::try_from(key >> 3).ok().filter(|number| *number > 0)?;
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut rest)?),
            1 => Value::Fixed(take(&mut rest, 8)?),
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                Value::Bytes(take(&mut rest, length)?)
            }
            5 => Value::Fixed(take(&mut rest, 4)?),
            _ => return None,
        };
        fields.push((number, value));
    }
    Some(fields)
}

/// The last field of that number, as protobuf has it.
pub fn field<'a>(fields: &[(u32, Value<'a>)], number: u32) -> Option<Value<'a>> {
    fields.iter().rev().find(|(n, _)| *n == number).map(|(_, value)| *value)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(head)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let [byte] = take(rest, 1)? else { return None };
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Writes a message.
#[derive(Clone, Debug, Default)]
pub struct MessageWriter {
    bytes: Vec<u8>,
}

impl MessageWriter {
    /// Adds a signed number.
    pub fn int(&mut self, number: u32, value: i64) -> &mut Self {
        self.varint(u64::from(number) << 3);
        self.varint(value.cast_unsigned());
        self
    }

    /// Adds a floating-point number.
    pub fn double(&mut self, number: u32, value: f64) -> &mut Self {
        self.varint(u64::from(number) << 3 | 1);
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Adds text or a message. Empty text is left out, as protobuf's senders do.
    pub fn bytes(&mut self, number: u32, value: impl AsRef<[u8]>) -> &mut Self {
        let value = value.as_ref();
        if !value.is_empty() {
            self.varint(u64::from(number) << 3 | 2);
            self.varint(value.len() as u64);
            self.bytes.extend_from_slice(value);
        }
        self
    }

    /// The message.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    fn varint(&mut self, mut value: u64) {
        loop {
            let byte = u8::try_from(value & 0x7F).unwrap_or(0x7F);
            value >>= 7;
            if value == 0 {
                self.bytes.push(byte);
                return;
            }
            self.bytes.push(byte | 0x80);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_captured_start_message() {
        // StartApiRequest of client 100, as the Rust client sends it.
        assert_eq!(MessageWriter::default().int(1, 100).finish(), [0x08, 0x64]);
        assert_eq!(field(&read(&[0x08, 0x64]).expect("whole"), 1).and_then(Value::int), Some(100));
    }

    #[test]
    fn unknown_fields_are_passed_over_and_cut_messages_refused() {
        let mut writer = MessageWriter::default();
        let whole = writer.double(9, 1.5).int(1, -1).bytes(4, "text").finish();
        let fields = read(&whole).expect("whole");
        assert_eq!(field(&fields, 1).and_then(Value::int), Some(-1));
        assert_eq!(field(&fields, 4).and_then(Value::text).as_deref(), Some("text"));
        assert_eq!(field(&fields, 2), None);
        for cut in [1, 4, whole.len() - 1] {
            assert_eq!(read(&whole[..cut]), None, "cut at {cut}");
        }
        for broken in [&[0x0B][..], &[0x00, 0x01], &[0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F], &[0x08], &[0xFF; 11]] {
            assert_eq!(read(broken), None, "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(&bytes);
        }

        #[test]
        fn numbers_come_back(value in any::<i64>()) {
            let message = MessageWriter::default().int(3, value).finish();
            prop_assert_eq!(field(&read(&message).expect("whole"), 3).and_then(Value::int), Some(value));
        }
    }
}
