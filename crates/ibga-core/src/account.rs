//! Account ids as the gateway names them. They identify a person's money, so the only way to print one is masked;
//! the status file alone holds them in full.

use std::fmt;

/// The longest id that is kept; IBKR's have eight or nine characters.
const ID_CHARS_MAX: usize = 32;

/// The most accounts of one login that are kept, so that a report stays within the status file's size limit.
const ACCOUNTS_MAX: usize = 500;

/// One IBKR account id, such as `DU1234567`. `Debug` and `Display` are masked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(String);

impl AccountId {
    /// Takes an id as it stands on the wire or in a setting. Blank text is no id; characters that no id has become `?`.
    pub fn new(text: &str) -> Option<Self> {
        let id: String = text
            .trim()
            .chars()
            .take(ID_CHARS_MAX)
            .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '?' })
            .collect();
        (!id.is_empty()).then_some(Self(id))
    }

    /// Takes an id as a person types it: letters and digits, nothing around them.
    pub fn typed(text: &str) -> Option<Self> {
        let plain = !text.is_empty() && text.len() <= ID_CHARS_MAX && text.chars().all(|c| c.is_ascii_alphanumeric());
        plain.then(|| Self(text.to_owned()))
    }

    /// Reads a comma-separated list; blank entries (a trailing comma is usual) are dropped. Of a list that is too long, the first
    /// ids are kept; but if live and paper accounts stand in it, both kinds stand in what is kept.
    pub fn parse_list(text: &str) -> Vec<Self> {
        let mut ids = text.split(',').filter_map(Self::new);
        let mut kept: Vec<Self> = ids.by_ref().take(ACCOUNTS_MAX).collect();
        let is_paper = kept.first().is_some_and(Self::is_paper);
        if let Some(other) = ids.find(|id| id.is_paper() != is_paper)
            && let Some(last) = kept.last_mut()
        {
            *last = other;
        }
        kept
    }

    /// The whole id. For the status file, for comparing, and for whoever asked to see it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether this is a paper account: its id starts with `D` (`DU…`, `DF…`, `DUP…`, seen in live traces).
    pub fn is_paper(&self) -> bool {
        self.0.starts_with('D')
    }
}

impl fmt::Display for AccountId {
    /// `DU***67`: enough to tell two accounts apart, too little to use.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chars: Vec<char> = self.0.chars().collect();
        let (head, tail) = if chars.len() < 6 { (1, 0) } else { (2, 2) };
        let first: String = chars.iter().take(head).collect();
        let last: String = chars.iter().skip(chars.len() - tail).collect();
        write!(f, "{first}***{last}")
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What kind of money a login trades with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Paper accounts only.
    Paper,
    /// Live accounts only.
    Live,
    /// Both at once.
    Mixed,
}

impl Mode {
    /// The mode of a login that holds these accounts; none without accounts.
    pub fn of(accounts: &[AccountId]) -> Option<Self> {
        let paper = accounts.iter().filter(|id| id.is_paper()).count();
        match (accounts.len(), paper) {
            (0, _) => None,
            (all, paper) if all == paper => Some(Self::Paper),
            (_, 0) => Some(Self::Live),
            _ => Some(Self::Mixed),
        }
    }

    /// Reads the word of the status file.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Paper, Self::Live, Self::Mixed].into_iter().find(|mode| mode.as_str() == word)
    }

    /// The word of the status file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Live => "live",
            Self::Mixed => "mixed",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_drop_blanks_and_keep_order() {
        for (text, expected) in [
            ("DU1234567", vec!["DU1234567"]),
            ("DU1,DU2,", vec!["DU1", "DU2"]),
            (" U1 , ,F2", vec!["U1", "F2"]),
            ("", vec![]),
            (",,", vec![]),
            ("DU\u{7}1\n", vec!["DU?1"]),
        ] {
            let ids = AccountId::parse_list(text);
            let ids: Vec<&str> = ids.iter().map(AccountId::reveal).collect();
            assert_eq!(ids, expected, "{text:?}");
        }
    }

    #[test]
    fn what_a_person_types_is_taken_as_it_is_or_not_at_all() {
        for text in ["DU1234567", "u7", &"F".repeat(ID_CHARS_MAX)] {
            assert_eq!(AccountId::typed(text).as_ref().map(AccountId::reveal), Some(text));
        }
        for text in ["", " DU1", "DU1,DU2", "DU-1", "DÜ1", &"F".repeat(ID_CHARS_MAX + 1)] {
            assert_eq!(AccountId::typed(text), None, "{text}");
        }
    }

    #[test]
    fn a_list_that_is_cut_keeps_its_mode() {
        for (paper, live, mode) in
            [(700, 0, Mode::Paper), (0, 700, Mode::Live), (600, 1, Mode::Mixed), (499, 2, Mode::Mixed)]
        {
            let ids = [vec!["DU1"; paper], vec!["U1"; live]].concat();
            let kept = AccountId::parse_list(&ids.join(","));
            assert_eq!((kept.len(), Mode::of(&kept)), (ids.len().min(ACCOUNTS_MAX), Some(mode)), "{paper} and {live}");
        }
    }

    #[test]
    fn printing_masks() {
        for (id, masked) in [("DU1234567", "DU***67"), ("U7654321", "U7***21"), ("DU12", "D***"), ("X", "X***")] {
            let id = AccountId::new(id).expect("an id");
            assert_eq!(format!("{id}"), masked);
            assert_eq!(format!("{id:?}"), masked);
        }
    }

    #[test]
    fn modes() {
        for (list, mode) in [
            ("DU1,DF2,DUP3", Some(Mode::Paper)),
            ("U1,F2", Some(Mode::Live)),
            ("U1,DU2", Some(Mode::Mixed)),
            ("", None),
        ] {
            assert_eq!(Mode::of(&AccountId::parse_list(list)), mode, "{list}");
        }
    }
}
