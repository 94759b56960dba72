//! Notices and errors that a gateway sends (message 4), and what they say about its link to the broker.
//! Only the codes that bear on readiness are named. Says nothing of verdicts.

use std::collections::BTreeMap;

use crate::log_hints::masked;

/// The longest notice text that is kept.
const TEXT_CHARS_MAX: usize = 300;

/// The longest name of a farm that is kept; real ones have about ten characters.
const FARM_CHARS_MAX: usize = 32;

/// The most farms whose state is kept; a login sees about fifteen.
const FARMS_MAX: usize = 64;

/// One notice of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The request it answers; -1 (rarely 0) means none.
    pub request_id: i32,
    /// IBKR's message code; 0 where a protobuf notice carries none.
    pub code: i32,
    /// The text, bounded, control characters replaced.
    pub text: String,
}

impl Notice {
    /// Makes a notice from untrusted text. What looks like an account id or a user's name in it is masked.
    pub fn new(request_id: i32, code: i32, text: &str) -> Self {
        let text: String = text.chars().take(TEXT_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
        // Masking a short id makes the text longer.
        Self { request_id, code, text: masked(&text).chars().take(TEXT_CHARS_MAX).collect() }
    }

    /// What the notice means for readiness.
    pub fn meaning(&self) -> Meaning {
        match self.code {
            326 => Meaning::ClientIdInUse,
            10141 => Meaning::PaperDisclaimer,
            321 if self.text.to_ascii_lowercase().contains("read-only") => Meaning::ReadOnly,
            1100 | 2110 => Meaning::LinkDown,
            1101 | 1102 => Meaning::LinkRestored,
            1300 => Meaning::PortMoved,
            10197 => Meaning::CompetingSession,
            162 | 420 if self.text.to_ascii_lowercase().contains("different ip address") => Meaning::CompetingSession,
            2103 | 2105 | 2157 => Meaning::FarmDown,
            2104 | 2106 | 2158 => Meaning::FarmUp,
            _ => Meaning::Other,
        }
    }

    /// Whether this notice, bound to a question for the broker, proves that the broker answered.
    ///
    /// Error 200 ("no security definition") and 203 ("not available for this account") do: only the broker knows. What the
    /// gateway says by itself does not, such as connectivity (1100 is known to arrive bound to request ids), validation (321),
    /// pacing (100) or 10182 ("disconnected"); and what is not known to come from the broker proves nothing.
    pub fn proves_broker(&self) -> bool {
        matches!(self.code, 200 | 203)
    }

    /// The farm that a farm notice speaks of: what stands after the last colon of its text.
    fn farm(&self) -> String {
        let name = self.text.rsplit(':').next().unwrap_or_default().trim();
        name.chars().filter(char::is_ascii_graphic).take(FARM_CHARS_MAX).collect()
    }
}

/// What a notice means for readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// 326: another session holds this client id.
    ClientIdInUse,
    /// 10141: the paper trading disclaimer has not been accepted.
    PaperDisclaimer,
    /// 321 that names the read-only mode.
    ReadOnly,
    /// 1100, 2110: the gateway lost its servers.
    LinkDown,
    /// 1101, 1102: the link is back.
    LinkRestored,
    /// 1300: the API socket moved to another port.
    PortMoved,
    /// 10197, or 162/420 about another address: this login is in use elsewhere.
    CompetingSession,
    /// 2103, 2105, 2157: a data farm is lost.
    FarmDown,
    /// 2104, 2106, 2158: a data farm is connected.
    FarmUp,
    /// Anything else, not a fault by itself.
    Other,
}

/// Whether the gateway said that its link to the broker is down. A latch: farm notices do not clear it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// Nothing was said. A new session is not told of an earlier loss, so this proves nothing.
    #[default]
    Unknown,
    /// 1100 or 2110, not yet followed by 1101 or 1102.
    Down,
    /// 1101 or 1102 was the last word.
    Restored,
}

/// The link and the farms, as the notices of one session leave them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connectivity {
    /// The link to the broker.
    pub link: Link,
    /// The gateway spoke of another session of this login.
    pub competing_session: bool,
    farms_down: BTreeMap<String, i32>,
}

impl Connectivity {
    /// Takes in one notice. Whether it changed anything.
    pub fn apply(&mut self, notice: &Notice) -> bool {
        match notice.meaning() {
            Meaning::LinkDown => std::mem::replace(&mut self.link, Link::Down) != Link::Down,
            Meaning::LinkRestored => std::mem::replace(&mut self.link, Link::Restored) != Link::Restored,
            Meaning::CompetingSession => !std::mem::replace(&mut self.competing_session, true),
            Meaning::FarmDown if self.farms_down.len() < FARMS_MAX => {
                self.farms_down.insert(notice.farm(), notice.code).is_none()
            }
            Meaning::FarmUp => self.farms_down.remove(&notice.farm()).is_some(),
            _ => false,
        }
    }

    /// The farms that are down, by name.
    pub fn farms_down(&self) -> impl Iterator<Item = &str> {
        self.farms_down.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(codes: &[(i32, &str)]) -> Connectivity {
        let mut connectivity = Connectivity::default();
        for (code, text) in codes {
            connectivity.apply(&Notice::new(-1, *code, text));
        }
        connectivity
    }

    #[test]
    fn the_link_latch_is_cleared_by_nothing_but_restoration() {
        let lost = "Connectivity between IB and Trader Workstation has been lost.";
        let farm = "Market data farm connection is OK:usfarm";
        for (codes, link) in [
            (vec![], Link::Unknown),
            (vec![(1100, lost)], Link::Down),
            (vec![(2110, lost)], Link::Down),
            (vec![(1100, lost), (2104, farm), (2106, farm), (2158, farm)], Link::Down),
            (vec![(1100, lost), (1102, "restored")], Link::Restored),
            (vec![(1100, lost), (1101, "restored, data lost")], Link::Restored),
            (vec![(1100, lost), (1102, "restored"), (1100, lost)], Link::Down),
        ] {
            assert_eq!(after(&codes).link, link, "{codes:?}");
        }
    }

    #[test]
    fn farms_are_kept_by_name() {
        let state = after(&[
            (2103, "Market data farm connection is broken:hfarm"),
            (2105, "HMDS data farm connection is broken:ushmds"),
            (2104, "Market data farm connection is OK:usfarm"),
            (2107, "HMDS data farm connection is inactive but should be available upon demand.euhmds"),
            (2106, "HMDS data farm connection is OK:ushmds"),
        ]);
        assert_eq!(state.farms_down().collect::<Vec<_>>(), ["hfarm"]);
    }

    #[test]
    fn what_proves_the_broker() {
        for (code, proves) in [
            (200, true),
            (203, true),
            (10182, false),
            (1100, false),
            (2110, false),
            (2104, false),
            (321, false),
            (100, false),
            (0, false),
        ] {
            assert_eq!(Notice::new(1, code, "").proves_broker(), proves, "{code}");
        }
    }

    #[test]
    fn a_321_is_read_only_if_it_says_so() {
        let text = "Error validating request.-'b7' : cause - The API interface is currently in Read-Only mode.";
        assert_eq!(Notice::new(-1, 321, text).meaning(), Meaning::ReadOnly);
        assert_eq!(Notice::new(-1, 321, "Error validating request: bad exchange").meaning(), Meaning::Other);
    }

    #[test]
    fn texts_are_bounded_and_printable() {
        let notice = Notice::new(-1, 1, &"\u{1b}[31m".repeat(1000));
        assert!(notice.text.chars().count() == TEXT_CHARS_MAX && !notice.text.contains('\u{1b}'));
    }
}
