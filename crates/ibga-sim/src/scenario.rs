//! The scenarios by name. What each one does is data in [`crate::behaviour`]; here stands only what a person reads and types.

use std::fmt;
use std::str::FromStr;

use ibga_core::nearest::nearest;

use crate::scene::shown;

/// Makes the enum, the list, the names and the descriptions from one table, so that none can be forgotten.
macro_rules! scenarios {
    ($($variant:ident $name:literal $description:literal)*) => {
        /// What a simulated gateway does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Scenario {
            $(#[doc = $description] $variant,)*
        }

        impl Scenario {
            /// All of them, the healthy one first.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name to type.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// One line on what a client sees.
            pub fn describe(self) -> &'static str {
                match self {
                    $(Self::$variant => $description,)*
                }
            }
        }
    };
}

scenarios! {
    Ready "ready" "A healthy gateway: logged in, farms up, orders allowed."

    LoggedOut "logged_out" "Not logged in: the API port is closed; with a proxy in front, what that proxy makes of it."
    PortRefused "port_refused" "Nothing listens at the outer port, whatever proxy is configured: connections are refused."
    PortTimeout "port_timeout" "The outer port's queue is full: connections get no answer at all."
    Wedged "wedged" "The API port is open, but nobody accepts: connections open and stay silent."
    ApiSilent "api_silent" "Connections are accepted and never answered, as behind an unanswered accept dialog."
    ApiClosed "api_closed" "Connections are accepted and closed at once."
    ApiReset "api_reset" "Connections are accepted and reset at once."
    Restart "restart" "A restart under way: connections are closed and reset in turn; give it an end with a time until ready."

    Http "http" "A web server listens at the port: it answers 400 Bad Request."
    Tls "tls" "A TLS server listens at the port: it answers with an alert."
    Ssh "ssh" "An SSH server listens at the port: it speaks first."
    Vnc "vnc" "A VNC server listens at the port: it speaks first."
    Garbage "garbage" "Bytes of no known protocol, then the end."
    HelloCut "hello_cut" "Half a hello, then the end."
    Redirected "redirected" "The hello points to another host."
    ServerTooOld "server_too_old" "The hello says version 76, older than the framed protocol."
    NewerThanAnnounced "newer_than_announced" "The hello says version 222, whatever the client announced."
    ZoneGbk "zone_gbk" "The hello's time zone is Chinese in GBK, not UTF-8; all else is healthy."
    NoZone "no_zone" "The hello's time has no zone; all else is healthy."

    StartupSilent "startup_silent" "The hello is answered, then neither accounts nor order id."
    TooManyClients "too_many_clients" "The gateway has its 32 clients: a new one is stuck after the hello."
    ClientRejected "client_rejected" "The connection ends after startApi, without a word."
    ClientIdInUse "client_id_in_use" "Every client id is in use: error 326, then the end."
    ClientIdHeld "client_id_held" "The first client id to come is in use for good, every other one is fine."
    PaperDisclaimer "paper_disclaimer" "The paper trading disclaimer is not accepted: error 10141, then the end."
    AccountsMissing "accounts_missing" "The order id comes, the account list never does."
    AccountsEmpty "accounts_empty" "The account list is empty."
    AccountsTrailingComma "accounts_trailing_comma" "The account list ends in a comma; all else is healthy."
    AccountsLate "accounts_late" "The account list comes one second after the order id; all else is healthy."
    OrderIdMissing "order_id_missing" "The account list comes, the order id never does."
    BrokenField "broken_field" "The order id is not a number."
    ProtocolError "protocol_error" "After startApi comes a frame length that the protocol does not allow."
    Flood "flood" "After startApi come endless unknown messages, some of them huge."
    MasterClientReplays "master_client_replays" "Orders and account values come before the accounts, as for a master client; all else is healthy."
    UnsolicitedOrder "unsolicited_order" "The order id comes before the accounts, notices between them; all else is healthy."
    Bytewise "bytewise" "Every byte is a write of its own; all else is healthy."
    OneWrite "one_write" "Everything that belongs together comes in one write; all else is healthy."

    ApiUnresponsive "api_unresponsive" "The session opens, then no request is answered."
    HalfOpen "half_open" "The session opens, then the peer is gone without closing, as behind a dead NAT entry."
    ReadOnlyApi "read_only_api" "The API is read-only: error 321 to everything about orders."
    ClockSkewed "clock_skewed" "The gateway's clock is two minutes ahead, or off by the configured offset."
    MidSessionClose "mid_session_close" "Everything is answered; one second after the start the session is closed."
    PacingKill "pacing_kill" "Error 100 for too many messages, then the end."
    PortMoved "port_moved" "Error 1300: the API moved to another port, then the end."
    ServerReset "server_reset" "The broker's servers reset: bursts of 1100, nothing from the broker."

    BrokerSilent "broker_silent" "The gateway answers for itself, the broker never does, and nothing is said about it."
    BrokerLinkDown "broker_link_down" "1100: the link to the broker is down."
    BrokerLinkDown2110 "broker_link_down_2110" "2110: the link to the broker is down, in its other form."
    BrokerLinkDownFarmsOk "broker_link_down_farms_ok" "1100, then farms that claim to be up: the link is still down."
    BrokerLinkRestored "broker_link_restored" "1100, then 1102: the link was lost and is back."
    BrokerLinkRestoredDataLost "broker_link_restored_data_lost" "1100, then 1101: the link is back, subscriptions are lost."
    CompetingSession "competing_session" "10197: another live session has the market data."
    CompetingSession162 "competing_session_162" "162: the login is in use from a different IP address."
    CompetingSession420 "competing_session_420" "420: the login is in use from a different IP address."

    DataFarmDown "data_farm_down" "2103: the market data farm hfarm is broken."
    HmdsFarmDown "hmds_farm_down" "2105: the historical data farm hkhmds is broken."
    SecdefFarmDown "secdef_farm_down" "2157: the contract data farm secdefhk is broken."
    FarmFlap "farm_flap" "2103, then 2104: a farm was broken and is back."
    FarmsInactive "farms_inactive" "2107 and 2108: farms asleep until asked, which is healthy."
    FarmsLate "farms_late" "Farm notices come after 700 ms; a question to the broker asked before them is never answered."

    MarketHoursClosed "market_hours_closed" "The trading hours of every stock say closed on each day; all else is healthy."
    MarketHoursChanged "market_hours_changed" "The trading hours of every stock end an hour early; all else is healthy."
    MarketHoursUnknownZone "market_hours_unknown_zone" "The trading hours come with a time zone that nobody knows; all else is healthy."
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No scenario has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no scenario is called `{name}`; {}", hint(*nearest))]
pub struct UnknownScenario {
    /// What was asked for, masked if it looks like an account id.
    pub name: String,
    /// The scenario that was likely meant.
    pub nearest: Option<Scenario>,
}

fn hint(nearest: Option<Scenario>) -> String {
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "`ibga simulate --list` names all".into(),
    }
}

impl FromStr for Scenario {
    type Err = UnknownScenario;

    /// Takes the name in any case, with `-` for `_` too.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = text.trim().to_ascii_lowercase().replace('-', "_");
        if let Some(scenario) = Self::ALL.iter().find(|scenario| scenario.name() == wanted) {
            return Ok(*scenario);
        }
        // A third of a name may be misspelt: what is further off was not meant.
        let edits_max = ((wanted.chars().count() + 1) / 3).clamp(1, 3);
        let nearest = nearest(&wanted, Self::ALL.iter().map(|scenario| scenario.name()), edits_max);
        let nearest = nearest.and_then(|name| Self::ALL.iter().copied().find(|scenario| scenario.name() == name));
        Err(UnknownScenario { name: shown(text), nearest })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        let names: BTreeSet<&str> = Scenario::ALL.iter().map(|scenario| scenario.name()).collect();
        assert_eq!(names.len(), Scenario::ALL.len());
        for scenario in Scenario::ALL {
            assert_eq!(scenario.name().parse(), Ok(*scenario));
            assert_eq!(scenario.name().replace('_', "-").to_uppercase().parse(), Ok(*scenario));
            let snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(scenario.name().chars().all(snake), "{scenario}");
        }
    }

    #[test]
    fn descriptions_are_one_sentence_each() {
        let texts: BTreeSet<&str> = Scenario::ALL.iter().map(|scenario| scenario.describe()).collect();
        assert_eq!(texts.len(), Scenario::ALL.len());
        for text in texts {
            assert!(text.ends_with('.') && !text.contains('\n') && text.len() < 120, "{text}");
        }
    }

    #[test]
    fn a_wrong_name_is_told_the_nearest() {
        for (name, nearest) in [
            ("redy", Scenario::Ready),
            ("logedout", Scenario::LoggedOut),
            ("broker_link_don", Scenario::BrokerLinkDown),
            ("account_empty", Scenario::AccountsEmpty),
            ("raedy", Scenario::Ready),
            ("vnx", Scenario::Vnc),
        ] {
            let fault = name.parse::<Scenario>().expect_err("not a scenario");
            assert_eq!(fault, UnknownScenario { name: name.into(), nearest: Some(nearest) });
        }
        for name in ["", "help", "quit", "exit", "stop", "?", &"x".repeat(100_000)] {
            let fault = name.parse::<Scenario>().expect_err("not a scenario");
            assert_eq!(fault.nearest, None, "{name:.10}");
            assert!(fault.to_string().ends_with("; `ibga simulate --list` names all"), "{name:.10}");
        }
        let fault = "redy".parse::<Scenario>().expect_err("not a scenario");
        assert_eq!(fault.to_string(), "no scenario is called `redy`; did you mean `ready`?");
        let fault = "U7654321".parse::<Scenario>().expect_err("not a scenario");
        assert!(!fault.to_string().contains("7654321"), "{fault}");
    }
}
