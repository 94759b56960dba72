//! The end of a container's log as text that is safe to print: bounded in lines, characters and bytes, without escape sequences.

use std::collections::VecDeque;

use bollard::errors::Error as ClientError;
use futures_util::{Stream, StreamExt};

/// The longest line of a log that is kept, in characters.
const LOG_LINE_CHARS_MAX: usize = 400;
/// How much of a log line is looked at, in bytes: escape sequences take room too.
const LOG_LINE_BYTES_MAX: usize = 4 * 1024;
/// The most that is read of a log, in bytes; an engine cuts lines at 16 KiB.
const LOG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The last lines of the messages that an engine sends of a log; none if the log is too long to be read to its end.
pub(super) async fn read_tail<M: AsRef<[u8]>>(
    messages: impl Stream<Item = Result<M, ClientError>>,
    line_count: usize,
) -> Result<Vec<String>, ClientError> {
    let mut messages = std::pin::pin!(messages);
    let mut lines = VecDeque::new();
    let mut byte_count = 0;
    while let Some(message) = messages.next().await {
        let message = message?;
        byte_count += message.as_ref().len();
        if byte_count > LOG_BYTES_MAX {
            // What was read is not the end, and old lines mislead.
            return Ok(Vec::new());
        }
        for line in message.as_ref().split(|&byte| byte == b'\n').map(plain_line).filter(|line| !line.is_empty()) {
            lines.push_back(line);
            if lines.len() > line_count {
                lines.pop_front();
            }
        }
    }
    Ok(lines.into())
}

/// A line of a log as text that is safe to print.
fn plain_line(bytes: &[u8]) -> String {
    let bytes = bytes.get(..LOG_LINE_BYTES_MAX).unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    let mut characters = text.chars();
    let unescaped = std::iter::from_fn(|| next_unescaped(&mut characters));
    let printable = unescaped.map(|character| if character == '\t' { ' ' } else { character });
    let plain: String = printable.filter(|character| !character.is_control()).take(LOG_LINE_CHARS_MAX).collect();
    plain.trim_end().to_owned()
}

/// The next character that is not part of a terminal's escape sequence.
fn next_unescaped(characters: &mut std::str::Chars<'_>) -> Option<char> {
    loop {
        match characters.next()? {
            '\u{1b}' => match characters.next()? {
                '[' => skip_control_sequence(characters),
                ']' | 'P' | 'X' | '^' | '_' => skip_string(characters),
                // A character set is named by one more character.
                ' '..='/' => drop(characters.next()),
                _ => {}
            },
            '\u{9b}' => skip_control_sequence(characters),
            character => return Some(character),
        }
    }
}

fn skip_control_sequence(characters: &mut std::str::Chars<'_>) {
    let _final_character = characters.find(|character| matches!(character, '@'..='~'));
}

fn skip_string(characters: &mut std::str::Chars<'_>) {
    let end = characters.find(|character| matches!(character, '\u{7}' | '\u{1b}' | '\u{9c}'));
    if end == Some('\u{1b}') {
        let _backslash = characters.next();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    #[test]
    fn log_lines_become_plain_text() {
        let long = "ä".repeat(500);
        let longest = "ä".repeat(LOG_LINE_CHARS_MAX);
        let far = format!("\u{1b}]0;{}", "x".repeat(LOG_LINE_BYTES_MAX));
        let cases: [(&[u8], &str); 12] = [
            (b"", ""),
            (b"  - welcome: 28% \r", "  - welcome: 28%"),
            (b"\x1b[1;31mred\x1b[0m \x1b[2Jend", "red end"),
            (b"\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b", "ab"),
            (b"\x1b(Bplain\x1b=", "plain"),
            ("\u{9b}31mred".as_bytes(), "red"),
            (b"a\tb\x00\x08c\x7f", "a bc"),
            (b"caf\xe9 \xff", "caf\u{fffd} \u{fffd}"),
            (b"cut \x1b[", "cut"),
            (b"\x1b", ""),
            (long.as_bytes(), &longest),
            (far.as_bytes(), ""),
        ];
        for (bytes, expected) in cases {
            assert_eq!(plain_line(bytes), expected, "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn the_tail_of_a_log_is_bounded() {
        let read = async |messages: Vec<Vec<u8>>, line_count| {
            read_tail(stream::iter(messages.into_iter().map(Ok)), line_count).await.unwrap()
        };
        let four = || vec![b"one\ntwo\r\n".to_vec(), b"\n".to_vec(), b"three".to_vec(), b"four\n".to_vec()];
        assert_eq!(read(four(), 40).await, ["one", "two", "three", "four"]);
        assert_eq!(read(four(), 2).await, ["three", "four"]);
        assert!(read(four(), 0).await.is_empty());

        let mut endless = vec![vec![b'x'; 16 * 1024]; LOG_BYTES_MAX / (16 * 1024)];
        assert_eq!(read(endless.clone(), 1).await.len(), 1);
        endless.push(b"x".to_vec());
        assert!(read(endless, 1).await.is_empty(), "old lines are not the end");
    }
}
