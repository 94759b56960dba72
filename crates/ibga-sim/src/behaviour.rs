//! What each scenario does, as data: the port, the greeting, the opening of a session, what is told, what is answered.
//! [`crate::session`] and [`crate::simulator`] interpret it and know no scenario by name.

use crate::scenario::Scenario;

/// What a scenario does. Every scenario is the healthy gateway with a few fields changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    /// The port that clients connect to, in front of any proxy.
    pub(crate) outer: PortState,
    /// The gateway's own API port; without a proxy it is the same port.
    pub(crate) api: PortState,
    /// What a connection meets first.
    pub(crate) greeting: Greeting,
    /// The version in the hello.
    pub(crate) version: Version,
    /// The time zone in the hello.
    pub(crate) zone: Zone,
    /// What becomes of a session that names its client id.
    pub(crate) admission: Admission,
    /// What opens a session that is let in.
    pub(crate) bootstrap: &'static [Step],
    /// What a new session is told of its farms next.
    pub(crate) farms: &'static [Step],
    /// What new sessions are told after that, and sessions that are open already when the scenario begins.
    pub(crate) news: &'static [Step],
    /// What open sessions are told when the scenario ends.
    pub(crate) recovery: &'static [Step],
    /// What becomes of open sessions when the scenario begins.
    pub(crate) open_sessions: OpenSessions,
    /// Whether the gateway answers for itself: its clock, its ids, the accounts it has at hand.
    pub(crate) gateway: Answering,
    /// Whether what only the broker knows is answered: contracts, executions, completed orders.
    pub(crate) broker: Answering,
    /// The trading hours that are told of a contract.
    pub(crate) hours: HoursTold,
    /// Whether orders are allowed.
    pub(crate) orders: Orders,
    /// The error that every request for market data gets.
    pub(crate) data_error: Option<(i32, &'static str)>,
    /// How far the gateway's clock is ahead, unless the configuration says otherwise.
    pub(crate) clock_ahead_seconds: i64,
    /// The account value of that name: false while the servers reset.
    pub(crate) account_ready: &'static str,
    /// How bytes are cut into writes.
    pub(crate) writes: Writes,
}

/// The state of a TCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortState {
    /// Connections are accepted.
    Open,
    /// Connections are refused.
    Closed,
    /// The queue is full: connections get no answer.
    Full,
    /// Connections open, but nobody accepts them.
    Unaccepted,
}

/// What a connection meets first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// The hello.
    Hello,
    /// The first half of the hello, then the end.
    HalfHello,
    /// A hello that points elsewhere, then the end.
    Redirect(&'static str),
    /// Nothing, for ever.
    Silence,
    /// The end, at once.
    End(Ending),
    /// The end at once, closed and reset in turn.
    EndInTurn,
    /// These bytes unasked, then nothing.
    Speaks(&'static [u8]),
    /// These bytes after the client's first, then the end.
    Answers(&'static [u8]),
}

/// How a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// FIN.
    Close,
    /// RST.
    Reset,
}

/// The version in the hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// The lower of the client's and the gateway's, as a gateway does.
    Negotiated,
    /// This one, whatever the client announced.
    Fixed(u32),
}

/// The time zone in the hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    /// The configured text.
    Configured,
    /// These bytes.
    Bytes(&'static [u8]),
    /// None.
    Missing,
}

/// What becomes of a session that names its client id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Let in, unless another session holds the id or the gateway is full.
    Normal,
    /// Never answered.
    Stuck,
    /// Refused: in use.
    InUse,
    /// The first id to come is refused for good, others are let in.
    FirstInUse,
}

/// What becomes of open sessions when a scenario begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenSessions {
    /// They stay, and follow the new rules.
    Stay,
    /// They are ended.
    End(Ending),
}

/// Whether requests are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answering {
    /// They are.
    Always,
    /// Only those that come after the session was told of its farms.
    AfterFarms,
    /// They are not.
    Never,
}

/// The trading hours that are told of a contract on an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HoursTold {
    /// Those of the exchange's calendar.
    Truly,
    /// Every day is closed.
    Closed,
    /// Every trading session ends an hour early.
    EndsEarly,
    /// Beside a zone that is no zone's name.
    UnknownZone,
}

/// Whether orders are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Orders {
    /// They are.
    Allowed,
    /// Everything about orders is refused with error 321.
    ReadOnly,
}

/// How bytes are cut into writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writes {
    /// A write for each message.
    Message,
    /// A write for each byte.
    Byte,
    /// One write for all that belongs together.
    Together,
}

/// One step of what a gateway does unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The account list.
    Accounts(AccountList),
    /// The next order id.
    OrderId,
    /// An order id that is no number.
    BrokenOrderId,
    /// A notice that is about no request.
    Tell(i32, &'static str),
    /// Orders and account values, as a master client gets them.
    Replays,
    /// These bytes.
    Raw(&'static [u8]),
    /// Messages of no known kind without end.
    Flood,
    /// Nothing for so many milliseconds; requests are answered meanwhile.
    Pause(u64),
    /// The peer is gone: nothing is read, nothing written, nothing closed.
    Vanish,
    /// The end.
    End(Ending),
}

/// How the account list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccountList {
    /// As it is.
    Full,
    /// Without an account.
    Empty,
    /// With a comma at the end.
    TrailingComma,
}

use AccountList::{Empty, Full, TrailingComma};
use Step::{Accounts, BrokenOrderId, Flood, OrderId, Pause, Raw, Replays, Tell, Vanish};

const USFARM_OK: Step = Tell(2104, "Market data farm connection is OK:usfarm");
const HFARM_OK: Step = Tell(2104, "Market data farm connection is OK:hfarm");
const HFARM_BROKEN: Step = Tell(2103, "Market data farm connection is broken:hfarm");
const HKHMDS_OK: Step = Tell(2106, "HMDS data farm connection is OK:hkhmds");
const HKHMDS_BROKEN: Step = Tell(2105, "HMDS data farm connection is broken:hkhmds");
const HFARM_ASLEEP: Step =
    Tell(2108, "Market data farm connection is inactive but should be available upon demand.hfarm");
const HKHMDS_ASLEEP: Step =
    Tell(2107, "HMDS data farm connection is inactive but should be available upon demand.hkhmds");
const SECDEF_OK: Step = Tell(2158, "Sec-def data farm connection is OK:secdefhk");
const SECDEF_BROKEN: Step = Tell(2157, "Sec-def data farm connection is broken:secdefhk");

const LINK_LOST: Step = Tell(1100, "Connectivity between IBKR and Trader Workstation has been lost.");
const LINK_LOST_2110: Step =
    Tell(2110, "Connectivity between Trader Workstation and server is broken. It will be restored automatically.");
const LINK_BACK: Step = Tell(
    1102,
    "Connectivity between IBKR and Trader Workstation has been restored - data maintained. All data farms are connected: \
     hfarm; usfarm; hkhmds; secdefhk.",
);
const LINK_BACK_DATA_LOST: Step =
    Tell(1101, "Connectivity between IBKR and Trader Workstation has been restored - data lost.");
const DISCLAIMER: Step = Tell(10141, "Paper trading disclaimer must first be accepted for API connection.");
const MOVED: Step = Tell(
    1300,
    "TWS socket port has been reset and this connection is being dropped. Please reconnect on the new port - 4011",
);
const TOO_FAST: Step = Tell(100, "Max rate of messages per second has been exceeded:max=50 rec=61 (1)");

const COMPETING: &str = "No market data during competing live session";
const OTHER_ADDRESS_162: &str =
    "Historical Market Data Service error message:Trading TWS session is connected from a different IP address";
const OTHER_ADDRESS_420: &str = "Invalid Real-time Query:Trading TWS session is connected from a different IP address";

const CLOSE: Step = Step::End(Ending::Close);

const FARMS_OK: &[Step] = &[USFARM_OK, HFARM_OK, HKHMDS_OK, SECDEF_OK];

/// "China Standard Time" as a Chinese Windows names it.
const CHINA_STANDARD_TIME_GBK: &[u8] = b"\xd6\xd0\xb9\xfa\xb1\xea\xd7\xbc\xca\xb1\xbc\xe4";

const HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
/// A fatal alert: protocol version.
const TLS: &[u8] = b"\x15\x03\x03\x00\x02\x02\x46";
const GARBAGE: &[u8] = b"\x8f\x13\xc4\x02\xee\x90\x7f\x01\x55\xaa\x00\xfe\x21\x39\xd0\x6b";

/// The healthy gateway.
pub(crate) const READY: Behaviour = Behaviour {
    outer: PortState::Open,
    api: PortState::Open,
    greeting: Greeting::Hello,
    version: Version::Negotiated,
    zone: Zone::Configured,
    admission: Admission::Normal,
    bootstrap: &[Accounts(Full), OrderId],
    farms: FARMS_OK,
    news: &[],
    recovery: &[],
    open_sessions: OpenSessions::Stay,
    gateway: Answering::Always,
    broker: Answering::Always,
    hours: HoursTold::Truly,
    orders: Orders::Allowed,
    data_error: None,
    clock_ahead_seconds: 0,
    account_ready: "true",
    writes: Writes::Message,
};

/// A gateway whose process is gone or whose port is another program's.
const GONE: Behaviour = Behaviour { open_sessions: OpenSessions::End(Ending::Close), ..READY };

/// A gateway whose broker does not answer.
const CUT_OFF: Behaviour = Behaviour { broker: Answering::Never, ..READY };

/// A gateway that says its link is down.
const LINK_DOWN: Behaviour = Behaviour { farms: &[], recovery: &[LINK_BACK], ..CUT_OFF };

impl Scenario {
    /// What this scenario does.
    pub(crate) fn behaviour(self) -> Behaviour {
        connecting(self).or_else(|| greeting(self)).or_else(|| opening(self)).or_else(|| running(self)).unwrap_or(READY)
    }
}

/// Faults of the port.
fn connecting(scenario: Scenario) -> Option<Behaviour> {
    Some(match scenario {
        Scenario::LoggedOut => Behaviour { api: PortState::Closed, ..GONE },
        Scenario::PortRefused => Behaviour { outer: PortState::Closed, ..GONE },
        // A listener with a full queue goes on serving the sessions it has.
        Scenario::PortTimeout => Behaviour { outer: PortState::Full, ..READY },
        Scenario::Wedged => Behaviour { api: PortState::Unaccepted, ..READY },
        Scenario::ApiSilent => Behaviour { greeting: Greeting::Silence, ..READY },
        Scenario::ApiClosed => Behaviour { greeting: Greeting::End(Ending::Close), ..GONE },
        Scenario::ApiReset => Behaviour {
            greeting: Greeting::End(Ending::Reset),
            open_sessions: OpenSessions::End(Ending::Reset),
            ..READY
        },
        Scenario::Restart => Behaviour { greeting: Greeting::EndInTurn, ..GONE },
        _ => return None,
    })
}

/// Faults of the hello, and other programs at the port.
fn greeting(scenario: Scenario) -> Option<Behaviour> {
    Some(match scenario {
        Scenario::Http => Behaviour { greeting: Greeting::Answers(HTTP), ..GONE },
        Scenario::Tls => Behaviour { greeting: Greeting::Answers(TLS), ..GONE },
        Scenario::Ssh => Behaviour { greeting: Greeting::Speaks(b"SSH-2.0-OpenSSH_9.2p1\r\n"), ..GONE },
        Scenario::Vnc => Behaviour { greeting: Greeting::Speaks(b"RFB 003.008\n"), ..GONE },
        Scenario::Garbage => Behaviour { greeting: Greeting::Answers(GARBAGE), ..GONE },
        Scenario::HelloCut => Behaviour { greeting: Greeting::HalfHello, ..READY },
        Scenario::Redirected => Behaviour { greeting: Greeting::Redirect("gateway2.example:4001"), ..READY },
        Scenario::ServerTooOld => Behaviour { version: Version::Fixed(76), ..READY },
        Scenario::NewerThanAnnounced => Behaviour { version: Version::Fixed(222), ..READY },
        Scenario::ZoneGbk => Behaviour { zone: Zone::Bytes(CHINA_STANDARD_TIME_GBK), ..READY },
        Scenario::NoZone => Behaviour { zone: Zone::Missing, ..READY },
        _ => return None,
    })
}

/// Faults between startApi and an open session.
fn opening(scenario: Scenario) -> Option<Behaviour> {
    let opens_with = |bootstrap| Behaviour { bootstrap, ..READY };
    Some(match scenario {
        Scenario::StartupSilent | Scenario::TooManyClients => Behaviour { admission: Admission::Stuck, ..READY },
        Scenario::ClientRejected => Behaviour { bootstrap: &[CLOSE], ..READY },
        Scenario::ClientIdInUse => Behaviour { admission: Admission::InUse, ..READY },
        Scenario::ClientIdHeld => Behaviour { admission: Admission::FirstInUse, ..READY },
        Scenario::PaperDisclaimer => Behaviour { bootstrap: &[DISCLAIMER, CLOSE], ..GONE },
        Scenario::AccountsMissing => opens_with(&[OrderId]),
        Scenario::AccountsEmpty => opens_with(&[Accounts(Empty), OrderId]),
        Scenario::AccountsTrailingComma => opens_with(&[Accounts(TrailingComma), OrderId]),
        Scenario::AccountsLate => opens_with(&[OrderId, Pause(1_000), Accounts(Full)]),
        Scenario::OrderIdMissing => opens_with(&[Accounts(Full)]),
        Scenario::BrokenField => opens_with(&[Accounts(Full), BrokenOrderId]),
        Scenario::ProtocolError => opens_with(&[Raw(&[0xFF; 8])]),
        Scenario::Flood => opens_with(&[Flood]),
        Scenario::MasterClientReplays => opens_with(&[Replays, Accounts(Full), OrderId]),
        Scenario::UnsolicitedOrder => opens_with(&[USFARM_OK, OrderId, HKHMDS_OK, Accounts(Full)]),
        Scenario::Bytewise => Behaviour { writes: Writes::Byte, ..READY },
        Scenario::OneWrite => Behaviour { writes: Writes::Together, ..READY },
        _ => return None,
    })
}

/// Faults of an open session.
fn running(scenario: Scenario) -> Option<Behaviour> {
    let tells = |news| Behaviour { news, ..READY };
    let dies = |news| Behaviour { farms: &[], news, ..READY };
    Some(match scenario {
        Scenario::ApiUnresponsive => Behaviour { gateway: Answering::Never, ..CUT_OFF },
        Scenario::HalfOpen => tells(&[Vanish]),
        Scenario::ReadOnlyApi => Behaviour { orders: Orders::ReadOnly, ..READY },
        Scenario::ClockSkewed => Behaviour { clock_ahead_seconds: 120, ..READY },
        Scenario::MidSessionClose => tells(&[Pause(1_000), CLOSE]),
        Scenario::PacingKill => dies(&[TOO_FAST, CLOSE]),
        Scenario::PortMoved => dies(&[MOVED, CLOSE]),
        Scenario::ServerReset => Behaviour {
            news: &[LINK_LOST, Pause(100), LINK_LOST, Pause(100), LINK_LOST],
            account_ready: "false",
            ..LINK_DOWN
        },
        Scenario::BrokerSilent => CUT_OFF,
        Scenario::BrokerLinkDown => Behaviour { news: &[LINK_LOST], ..LINK_DOWN },
        Scenario::BrokerLinkDown2110 => Behaviour { news: &[LINK_LOST_2110], ..LINK_DOWN },
        Scenario::BrokerLinkDownFarmsOk => {
            Behaviour { news: &[LINK_LOST, USFARM_OK, HFARM_OK, HKHMDS_OK, SECDEF_OK], ..LINK_DOWN }
        }
        Scenario::BrokerLinkRestored => tells(&[LINK_LOST, LINK_BACK]),
        Scenario::BrokerLinkRestoredDataLost => tells(&[LINK_LOST, LINK_BACK_DATA_LOST]),
        _ => return competing(scenario).or_else(|| farms(scenario)).or_else(|| hours(scenario)),
    })
}

/// Another session of the same login.
fn competing(scenario: Scenario) -> Option<Behaviour> {
    let (news, data_error): (&[Step], _) = match scenario {
        Scenario::CompetingSession => (&[Tell(10197, COMPETING)], (10197, COMPETING)),
        Scenario::CompetingSession162 => (&[Tell(162, OTHER_ADDRESS_162)], (162, OTHER_ADDRESS_162)),
        Scenario::CompetingSession420 => (&[Tell(420, OTHER_ADDRESS_420)], (420, OTHER_ADDRESS_420)),
        _ => return None,
    };
    Some(Behaviour { news, data_error: Some(data_error), ..READY })
}

/// Faults of the data farms.
fn farms(scenario: Scenario) -> Option<Behaviour> {
    Some(match scenario {
        Scenario::DataFarmDown => Behaviour {
            farms: &[USFARM_OK, HKHMDS_OK, SECDEF_OK],
            news: &[HFARM_BROKEN],
            recovery: &[HFARM_OK],
            ..READY
        },
        Scenario::HmdsFarmDown => Behaviour {
            farms: &[USFARM_OK, HFARM_OK, SECDEF_OK],
            news: &[HKHMDS_BROKEN],
            recovery: &[HKHMDS_OK],
            ..READY
        },
        Scenario::SecdefFarmDown => Behaviour {
            farms: &[USFARM_OK, HFARM_OK, HKHMDS_OK],
            news: &[SECDEF_BROKEN],
            recovery: &[SECDEF_OK],
            ..READY
        },
        Scenario::FarmFlap => {
            Behaviour { farms: &[USFARM_OK, HKHMDS_OK, SECDEF_OK], news: &[HFARM_BROKEN, HFARM_OK], ..READY }
        }
        Scenario::FarmsInactive => Behaviour { farms: &[HKHMDS_ASLEEP, HFARM_ASLEEP, SECDEF_OK], ..READY },
        Scenario::FarmsLate => Behaviour {
            farms: &[Pause(700), USFARM_OK, HFARM_OK, HKHMDS_OK, SECDEF_OK],
            broker: Answering::AfterFarms,
            ..READY
        },
        _ => return None,
    })
}

/// Trading hours that are not the exchange's.
fn hours(scenario: Scenario) -> Option<Behaviour> {
    let hours = match scenario {
        Scenario::MarketHoursClosed => HoursTold::Closed,
        Scenario::MarketHoursChanged => HoursTold::EndsEarly,
        Scenario::MarketHoursUnknownZone => HoursTold::UnknownZone,
        _ => return None,
    };
    Some(Behaviour { hours, ..READY })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_healthy_scenario_is_the_default() {
        for scenario in Scenario::ALL {
            let same = format!("{:?}", scenario.behaviour()) == format!("{READY:?}");
            assert_eq!(same, *scenario == Scenario::Ready, "{scenario}");
        }
    }

    fn codes(steps: &[Step]) -> Vec<i32> {
        steps.iter().filter_map(|step| if let Tell(code, _) = step { Some(*code) } else { None }).collect()
    }

    #[test]
    fn a_fault_that_open_sessions_are_told_is_taken_back() {
        for scenario in Scenario::ALL {
            let behaviour = scenario.behaviour();
            let news = codes(behaviour.news);
            let mut taken_back = news.clone();
            taken_back.extend(codes(behaviour.recovery));
            for (fault, repairs) in
                [(1100, &[1101, 1102][..]), (2110, &[1101, 1102]), (2103, &[2104]), (2105, &[2106]), (2157, &[2158])]
            {
                if let Some(at) = news.iter().rposition(|code| *code == fault) {
                    assert!(taken_back[at..].iter().any(|code| repairs.contains(code)), "{scenario}: {fault}");
                }
            }
            assert!(behaviour.recovery.is_empty() || !news.is_empty(), "{scenario} takes back what it never said");
        }
    }

    #[test]
    fn what_follows_an_end_is_never_reached() {
        for scenario in Scenario::ALL {
            let behaviour = scenario.behaviour();
            for steps in [behaviour.bootstrap, behaviour.farms, behaviour.news, behaviour.recovery] {
                let end = steps.iter().position(|step| matches!(step, Step::End(_) | Vanish | Flood));
                assert!(end.is_none_or(|at| at + 1 == steps.len()), "{scenario}");
            }
        }
    }

    #[test]
    fn every_scenario_has_one_row() {
        for scenario in Scenario::ALL {
            let rows = [connecting, greeting, opening, running].iter().filter(|rows| rows(*scenario).is_some()).count();
            assert_eq!(rows, usize::from(*scenario != Scenario::Ready), "{scenario}");
        }
    }
}
