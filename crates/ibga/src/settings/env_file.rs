//! The grammar of `.env`.
//!
//! Responsible for turning the text of the file into assignments with their lines, as shells, Docker Compose and the
//! usual libraries agree on it: `NAME=value`, an `export` before it, comments, single and double quotes, values over
//! several lines within quotes. Nothing is interpolated. Must never touch the process environment.

use super::fault::Fault;
use super::names;

/// One assignment.
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) value: String,
    /// The line on which it begins, counted from 1.
    pub(super) line: usize,
}

/// What the text of a `.env` file holds.
#[derive(Default)]
pub(super) struct EnvFile {
    /// In the order of the file; of several with one name the last counts.
    pub(super) assignments: Vec<Assignment>,
    /// The faulty lines. Nothing of their text is kept, since it may be a secret.
    pub(super) faults: Vec<(usize, Fault)>,
}

/// Reads the whole text, past faulty lines.
pub(super) fn parse(text: &str) -> EnvFile {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let mut file = EnvFile::default();
    let mut rest = text.as_str();
    let mut line = 1;
    while !rest.is_empty() {
        let before = rest;
        match statement(rest) {
            Ok((assignment, after)) => {
                rest = after;
                if let Some((name, value)) = assignment {
                    file.assignments.push(Assignment { name, value, line });
                }
            }
            Err(fault) => {
                file.faults.push((line, fault));
                rest = split_line(rest).1;
            }
        }
        // What is left is always the end of what there was.
        let consumed = before.len() - rest.len();
        line += before.bytes().take(consumed).filter(|byte| *byte == b'\n').count();
    }
    file
}

type Pair = (String, String);

/// Reads one line, or several if a quoted value runs over them. Returns what follows.
fn statement(text: &str) -> Result<(Option<Pair>, &str), Fault> {
    let (whole_line, after) = split_line(text);
    let line = trim_blanks(whole_line);
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok((None, after));
    }
    let line = match line.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => trim_blanks(rest),
        _ => line,
    };
    let name_length = line.bytes().take_while(|byte| is_name_byte(*byte)).count();
    let (name, rest) = line.split_at_checked(name_length).ok_or(Fault::NotAnAssignment)?;
    if !name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
        return Err(Fault::NotAnAssignment);
    }
    let rest = trim_blanks(rest);
    // A name alone means "as in the environment" to Docker Compose and to a shell: nothing is assigned.
    if rest.trim().is_empty() {
        return Ok((None, after));
    }
    let raw = rest.strip_prefix('=').ok_or(Fault::NotAnAssignment)?;
    let value = trim_blanks(raw);
    // Where the value begins in `text`, so that a quoted one can run past the line; it is the line's end.
    let from_value = whole_line.len() - value.len();
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let quoted = text.get(from_value + 1..).unwrap_or_default();
            let (value, after) = quoted_value(quoted, quote)?;
            Ok((Some((name.to_owned(), value)), after))
        }
        _ => Ok((Some((name.to_owned(), plain_value(raw))), after)),
    }
}

/// A value without quotes ends at a `#` that follows a blank.
fn plain_value(raw: &str) -> String {
    let mut end = raw.len();
    let mut follows_blank = false;
    for (index, character) in raw.char_indices() {
        if character == '#' && follows_blank {
            end = index;
            break;
        }
        follows_blank = matches!(character, ' ' | '\t');
    }
    raw.get(..end).unwrap_or(raw).trim().to_owned()
}

/// Reads up to the closing quote and the rest of that line. Returns what follows.
fn quoted_value(text: &str, quote: char) -> Result<(String, &str), Fault> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    let end = loop {
        let (index, character) = characters.next().ok_or(Fault::QuoteOpen)?;
        if character == quote {
            break index;
        }
        if character != '\\' || quote == '\'' {
            value.push(character);
            continue;
        }
        match characters.next().ok_or(Fault::QuoteOpen)?.1 {
            'n' => value.push('\n'),
            'r' => value.push('\r'),
            't' => value.push('\t'),
            escaped @ ('"' | '\\' | '$' | '`') => value.push(escaped),
            other => value.extend(['\\', other]),
        }
    };
    let inside = text.get(..end).unwrap_or_default();
    if let Some(swallowed) = swallowed_setting(inside) {
        return Err(Fault::QuoteSwallows { swallowed });
    }
    // Both quotes are one byte long.
    let (remainder, after) = split_line(text.get(end + 1..).unwrap_or_default());
    let comment = trim_blanks(remainder);
    let is_comment = comment.starts_with('#') && comment.len() < remainder.len();
    if comment.trim().is_empty() || is_comment { Ok((value, after)) } else { Err(Fault::TextAfterQuote) }
}

/// A setting of ours on a later line of a quoted value: a quote was forgotten, and the setting would be lost.
fn swallowed_setting(inside: &str) -> Option<&'static str> {
    inside.lines().skip(1).find_map(|line| {
        let name = line.split_once('=')?.0.trim();
        let name = name.strip_prefix("export").map_or(name, str::trim_start);
        names::by_environment(name).map(|setting| setting.environment)
    })
}

/// The line without its end, and what follows it.
fn split_line(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

fn trim_blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text as `line name=value` for each assignment and `line! message` for each fault.
    fn read(text: &str) -> Vec<String> {
        let file = parse(text);
        let assignments = file.assignments.iter().map(|one| format!("{} {}={}", one.line, one.name, one.value));
        let faults = file.faults.iter().map(|(line, fault)| format!("{line}! {fault}"));
        assignments.chain(faults).collect()
    }

    #[test]
    fn the_grammar_that_operators_know() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("\n\n  \n", &[]),
            ("# a comment\n  # another\n", &[]),
            ("A=1", &["1 A=1"]),
            ("A=1\nB=2\n", &["1 A=1", "2 B=2"]),
            ("A=1\r\nB=2\r\n", &["1 A=1", "2 B=2"]),
            ("\u{feff}A=1", &["1 A=1"]),
            ("\n# x\nA=1", &["3 A=1"]),
            ("export A=1", &["1 A=1"]),
            ("export\tA=1", &["1 A=1"]),
            ("exported=1", &["1 exported=1"]),
            ("export=1", &["1 export=1"]),
            ("  A  =  1  ", &["1 A=1"]),
            ("A=", &["1 A="]),
            ("A=\nB=2", &["1 A=", "2 B=2"]),
            ("A=''", &["1 A="]),
            ("A=\"\"", &["1 A="]),
            ("A= # nothing", &["1 A="]),
            ("A=1 # comment", &["1 A=1"]),
            ("A=1\t# comment", &["1 A=1"]),
            ("A=1#2", &["1 A=1#2"]),
            ("A=#2", &["1 A=#2"]),
            ("A=a b c", &["1 A=a b c"]),
            ("A=it's", &["1 A=it's"]),
            ("A=a=b=c", &["1 A=a=b=c"]),
            ("A=$HOME/${B}", &["1 A=$HOME/${B}"]),
            ("A=back\\slash", &["1 A=back\\slash"]),
            ("A='a # b'", &["1 A=a # b"]),
            ("A='a \\n \"b\" $C'", &["1 A=a \\n \"b\" $C"]),
            ("A=\"a # b\"", &["1 A=a # b"]),
            ("A=\"  a  \"", &["1 A=  a  "]),
            ("A=\"it's\"", &["1 A=it's"]),
            ("A=\"\\\" \\\\ \\t \\$ \\x\"", &["1 A=\" \\ \t $ \\x"]),
            ("A=\"a\" # comment", &["1 A=a"]),
            ("A='a'   ", &["1 A=a"]),
            ("A='a'\r\nB=2", &["1 A=a", "2 B=2"]),
            ("A=\"a\nb\"\nB=2", &["1 A=a\nb", "3 B=2"]),
            ("A='a\n# b\n'\nB=2", &["1 A=a\n# b\n", "4 B=2"]),
            ("A=1\nA=2", &["1 A=1", "2 A=2"]),
            ("A", &[]),
            ("export A", &[]),
            ("A.b-c=1", &["1 A.b-c=1"]),
            ("SMTP_PASS=größe✓", &["1 SMTP_PASS=größe✓"]),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn faulty_lines_are_named_and_the_rest_is_read() {
        let assignment = "not an assignment; write NAME=value, or begin a comment with #";
        let open = "the quote that opens here is never closed";
        let text_after = "text after the closing quote; quote the whole value";
        let swallows = "the quote that opens here runs over the line that sets `IBKR_PORT`; close it before";
        let cases: &[(&str, &[&str])] = &[
            ("=1\nB=2", &["2 B=2", &format!("1! {assignment}")]),
            ("1A=1", &[&format!("1! {assignment}")]),
            ("A: 1", &[&format!("1! {assignment}")]),
            ("A B=1", &[&format!("1! {assignment}")]),
            ("Ä=1", &[&format!("1! {assignment}")]),
            ("A='a\nB=2", &["2 B=2", &format!("1! {open}")]),
            ("A=\"a\\", &[&format!("1! {open}")]),
            ("A='a'b\nB=2", &["2 B=2", &format!("1! {text_after}")]),
            ("A='a'#b", &[&format!("1! {text_after}")]),
            (
                "X=1\nA='a\nIBKR_PORT=4001\nB='",
                &["1 X=1", "3 IBKR_PORT=4001", &format!("2! {swallows}"), &format!("4! {open}")],
            ),
            (
                "A=\"a\n export IBKR_PORT = 1\n\"",
                &["2 IBKR_PORT=1", &format!("1! {swallows}"), &format!("3! {assignment}")],
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn a_fault_keeps_nothing_of_the_line() {
        for text in ["hunter2 hunter2", "A='hunter2", "A='x'hunter2", "1=hunter2"] {
            let faults = parse(text).faults;
            assert_eq!(faults.len(), 1, "{text}");
            assert!(!format!("{faults:?}").contains("hunter2"), "{text}");
        }
    }
}
