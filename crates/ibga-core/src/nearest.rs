//! Responsible for the name that was likely meant by a misspelt one.

/// Longest name for which a nearest one is looked for, in characters.
pub const NAME_CHARS_MAX: usize = 64;

/// The candidate with the fewest edits, the first of equals, if it is within `edits_max`.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>, edits_max: usize) -> Option<&'a str> {
    let length = name.chars().count();
    if length > NAME_CHARS_MAX {
        return None;
    }
    candidates
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= edits_max)
        .map(|candidate| (edit_distance(name, candidate), candidate))
        .filter(|(edits, _)| *edits <= edits_max)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions and replacements of characters that turn one text into the other.
fn edit_distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut previous: Vec<usize> = (0..=other.len()).collect();
    for (row, left) in one.chars().enumerate() {
        let mut current = vec![row + 1];
        let mut before = row + 1;
        // `previous` is one longer than `other`, so each character meets the costs above-left and above it.
        for ((right, diagonal), above) in other.iter().zip(&previous).zip(previous.iter().skip(1)) {
            let replaced = diagonal + usize::from(left != *right);
            before = replaced.min(above + 1).min(before + 1);
            current.push(before);
        }
        previous = current;
    }
    previous.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        let cases = [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("port", "port", 0),
            ("prt", "port", 1),
            ("prot", "port", 2),
            ("host", "port", 2),
            ("kitten", "sitting", 3),
            ("größe", "grösse", 2),
        ];
        for (one, other, expected) in cases {
            assert_eq!(edit_distance(one, other), expected, "{one} {other}");
            assert_eq!(edit_distance(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn no_nearest_name_is_looked_for_beyond_the_limit() {
        let long = "x".repeat(NAME_CHARS_MAX + 1);
        assert_eq!(nearest(&long, [long.as_str()].into_iter(), 2), None);
    }
}
