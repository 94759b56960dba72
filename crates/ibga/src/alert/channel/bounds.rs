//! Texts within the bounds that services set, each in its own unit.

/// What stands where a text was cut off.
const CUT: char = '…';

/// What a service counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    /// Bytes of UTF-8.
    Bytes,
    /// Characters. Services differ in what they take for one; counting halves of surrogate pairs is within every reading.
    Characters,
}

impl Unit {
    fn of(self, character: char) -> usize {
        match self {
            Self::Bytes => character.len_utf8(),
            Self::Characters => character.len_utf16(),
        }
    }
}

/// The text, or as much of its beginning as there is room for and a mark that it goes on.
pub(super) fn within(text: &str, room: usize, unit: Unit) -> String {
    if text.chars().map(|character| unit.of(character)).sum::<usize>() <= room {
        return text.to_owned();
    }
    let mut left = room.saturating_sub(unit.of(CUT));
    let mut kept = String::new();
    for character in text.chars() {
        let Some(rest) = left.checked_sub(unit.of(character)) else { break };
        left = rest;
        kept.push(character);
    }
    kept.truncate(kept.trim_end().len());
    kept.push(CUT);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_longer_than_its_room() {
        for (text, room, unit, kept) in [
            ("short", 5, Unit::Bytes, "short"),
            ("longer", 5, Unit::Bytes, "lo…"),
            ("größer", 8, Unit::Bytes, "größer"),
            ("größer", 7, Unit::Bytes, "grö…"),
            ("größer", 6, Unit::Characters, "größer"),
            ("größer", 5, Unit::Characters, "größ…"),
            ("🚨🚨🚨", 6, Unit::Characters, "🚨🚨🚨"),
            ("🚨🚨🚨", 5, Unit::Characters, "🚨🚨…"),
            ("🚨🚨🚨", 4, Unit::Characters, "🚨…"),
            ("a b c d", 4, Unit::Characters, "a b…"),
            ("", 0, Unit::Bytes, ""),
        ] {
            assert_eq!(within(text, room, unit), kept, "{text} in {room} {unit:?}");
        }
    }
}
