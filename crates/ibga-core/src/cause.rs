//! The five statuses and the causes behind them: the names that consumers match on. Statuses are closed; causes grow by
//! addition only.

use std::fmt;
use std::str::FromStr;

/// Whether the gateway is ready, in five words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// An agent may trade.
    Ready,
    /// The socket cannot be reached.
    NotConnected,
    /// Reached, but nobody is logged in.
    NotAuthenticated,
    /// The container does not run.
    ContainerDown,
    /// Anything else that forbids trading.
    Error,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Ready, Self::NotConnected, Self::NotAuthenticated, Self::ContainerDown, Self::Error];

    /// The word of the status file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotConnected => "not_connected",
            Self::NotAuthenticated => "not_authenticated",
            Self::ContainerDown => "container_down",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|status| status.as_str() == word).ok_or(UnknownWord)
    }
}

/// A status or cause that this program does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown word")]
pub struct UnknownWord;

macro_rules! causes {
    ($($cause:ident $code:literal $status:ident $seen:literal)*) => {
        /// Why the status is what it is. Each has one code, one status, one remedy and one row in the documentation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Cause {
            $(#[doc = $seen] $cause,)*
        }

        impl Cause {
            /// All of them, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$cause,)*];

            /// The stable code.
            pub fn code(self) -> &'static str {
                match self { $(Self::$cause => $code,)* }
            }

            /// The status it means, unless a setting makes it a warning.
            pub fn status(self) -> Status {
                match self { $(Self::$cause => Status::$status,)* }
            }

            /// What was seen, in one line for the documentation.
            pub fn seen(self) -> &'static str {
                match self { $(Self::$cause => $seen,)* }
            }
        }
    };
}

causes! {
    Ready "ready" Ready "Accounts and an order id arrived, the clock was told, orders are allowed, the broker answered."
    ContainerMissing "container_missing" ContainerDown "The container engine knows no such container (any more)."
    ContainerStopped "container_stopped" ContainerDown "The container is there, but does not run."
    ContainerRestarting "container_restarting" ContainerDown "The container engine is between two starts of it."
    ContainerPaused "container_paused" ContainerDown "The container is frozen."
    NameNotResolved "name_not_resolved" NotConnected "The gateway's host name has no address."
    PortRefused "port_refused" NotConnected "Nobody listens on the port."
    PortTimeout "port_timeout" NotConnected "Connecting got no answer in time."
    HostUnreachable "host_unreachable" NotConnected "There is no way to the host."
    SessionLost "session_lost" NotConnected "The session that `ibga watch` held has ended, and no new one is up yet."
    ApiSilent "api_silent" NotAuthenticated "Connected, but no byte came back."
    ApiClosed "api_closed" NotAuthenticated "Connected, but closed or reset before a byte came back."
    StartupSilent "startup_silent" NotAuthenticated "The hello was answered, then neither accounts nor an order id came."
    AccountsEmpty "accounts_empty" NotAuthenticated "The account list is empty."
    AccountsMissing "accounts_missing" NotAuthenticated "An order id came, the account list never did."
    TwoFactorPending "two_factor_pending" NotAuthenticated "The API is closed and the container's log waits for a second factor."
    LoginFailed "login_failed" NotAuthenticated "The API is closed and the container's log tells of a failed login."
    LoginLockedOut "login_locked_out" NotAuthenticated "The API is closed and the container's log tells of too many logins."
    SessionElsewhere "session_elsewhere" NotAuthenticated "The API is closed and the container's log tells of another session."
    OrderIdMissing "order_id_missing" Error "The accounts came, the next order id never did."
    PaperDisclaimer "paper_disclaimer" Error "The paper trading disclaimer has not been accepted (10141)."
    ClientIdInUse "client_id_in_use" Error "Every client id of the range is in use (326)."
    ClientRejected "client_rejected" Error "The session was closed without a reason after the hello."
    ApiUnresponsive "api_unresponsive" Error "The session is up, but the gateway does not answer questions about itself."
    BrokerSilent "broker_silent" Error "The gateway answers, the broker behind it does not."
    BrokerLinkDown "broker_link_down" Error "The gateway lost its link to the broker (1100 or 2110)."
    PortMoved "port_moved" Error "The API socket moved to another port (1300)."
    CompetingSession "competing_session" Error "Another session of this login takes the data (10197, 162 or 420)."
    DataFarmDown "data_farm_down" Error "A data farm that is required is down (2103, 2105 or 2157)."
    ReadOnlyApi "read_only_api" Error "The API is read-only (321), so no order can be placed."
    WrongAccount "wrong_account" Error "The login does not hold the expected accounts."
    WrongMode "wrong_mode" Error "Paper and live differ from what is expected."
    ClockSkewed "clock_skewed" Error "The clocks of gateway and host differ by more than the limit."
    NotAGateway "not_a_gateway" Error "What answers on the port speaks another protocol."
    ProtocolError "protocol_error" Error "A message of the gateway is broken."
    ServerTooOld "server_too_old" Error "The gateway's API is older than what is spoken here."
    Redirected "redirected" Error "The gateway points to another address."
    DockerUnavailable "docker_unavailable" Error "The container has to be checked, but the engine cannot be asked."
    ProbeFailed "probe_failed" Error "A fault of this program or of the machine it runs on."
}

impl Cause {
    /// Whether a person's approval of the login is what is missing most likely. It helps nothing where the login itself failed.
    pub fn asks_for_approval(self) -> bool {
        let helps_nothing = matches!(self, Self::LoginFailed | Self::LoginLockedOut | Self::SessionElsewhere);
        self.status() == Status::NotAuthenticated && !helps_nothing
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Cause {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.iter().copied().find(|cause| cause.code() == word).ok_or(UnknownWord)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_read_back() {
        for (at, cause) in Cause::ALL.iter().enumerate() {
            assert_eq!(cause.code().parse(), Ok(*cause));
            assert!(Cause::ALL[at + 1..].iter().all(|other| other.code() != cause.code()), "{cause}");
        }
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert_eq!("Ready".parse::<Cause>(), Err(UnknownWord));
    }

    #[test]
    fn ready_is_the_only_ready_cause() {
        let ready: Vec<_> = Cause::ALL.iter().filter(|cause| cause.status() == Status::Ready).collect();
        assert_eq!(ready, [&Cause::Ready]);
    }
}
