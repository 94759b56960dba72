//! Which causes may be acted upon. Each cause that may not says why, for the one who asks for it.

use jiff::SignedDuration;

use crate::cause::Cause;

/// What may be done about a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Something, once it has held for so long.
    After(SignedDuration),
    /// Nothing, for this reason.
    Never(&'static str),
}

/// Somebody may be starting it again by hand.
const CONTAINER: Treatment = Treatment::After(SignedDuration::from_secs(10));
/// The nightly restart takes 1 to 3 minutes, and closes and opens the API.
const RESTART: Treatment = Treatment::After(SignedDuration::from_mins(5));
/// A login takes up to 10 minutes with its approvals.
const LOGIN: Treatment = Treatment::After(SignedDuration::from_mins(10));
/// The link comes back by itself, after the nightly reset within half an hour.
const BROKER: Treatment = Treatment::After(SignedDuration::from_mins(30));

const LOGS_IN_ANEW: &str = "each restart is one more login, and too many lock the account out";
const OTHER_SESSION: &str = "a restart would only fight with the other session for the login";
const SETTING: &str = "a restart does not change it; a setting does";

/// What may be done about a cause, whatever the recipe.
pub fn treatment(cause: Cause) -> Treatment {
    match cause {
        Cause::ContainerMissing | Cause::ContainerStopped => CONTAINER,
        Cause::PortRefused
        | Cause::PortTimeout
        | Cause::OrderIdMissing
        | Cause::ClientRejected
        | Cause::ApiUnresponsive => RESTART,
        Cause::ApiSilent | Cause::ApiClosed | Cause::StartupSilent | Cause::AccountsEmpty | Cause::AccountsMissing => {
            LOGIN
        }
        Cause::BrokerSilent | Cause::BrokerLinkDown => BROKER,
        Cause::Ready => Treatment::Never("nothing is wrong then"),
        Cause::ContainerRestarting => Treatment::Never("the container engine is starting it again already"),
        Cause::ContainerPaused => Treatment::Never("somebody paused it, and only `docker unpause` ends that"),
        Cause::NameNotResolved => Treatment::Never("a name without an address is a matter of the network"),
        Cause::SessionLost => Treatment::Never("what comes of it has a cause of its own in a moment"),
        Cause::HostUnreachable => Treatment::Never("nothing done on this machine reaches the other"),
        Cause::TwoFactorPending => Treatment::Never("a restart would end the approval that a person is about to give"),
        Cause::LoginFailed | Cause::LoginLockedOut => Treatment::Never(LOGS_IN_ANEW),
        Cause::SessionElsewhere | Cause::CompetingSession => Treatment::Never(OTHER_SESSION),
        Cause::PaperDisclaimer => Treatment::Never("a person has to accept it, and a restart shows it again"),
        Cause::ClientIdInUse => Treatment::Never("other programs are connected, and a restart would cut them off"),
        Cause::DataFarmDown => Treatment::Never("farms come back by themselves, and a restart does not bring them"),
        Cause::PortMoved | Cause::ReadOnlyApi | Cause::WrongAccount | Cause::WrongMode => Treatment::Never(SETTING),
        Cause::ServerTooOld | Cause::Redirected | Cause::NotAGateway | Cause::ProtocolError => {
            Treatment::Never("what answers is not the gateway that was meant, and a restart does not change it")
        }
        Cause::ClockSkewed => Treatment::Never("a restart sets no clock"),
        Cause::DockerUnavailable => Treatment::Never("whoever cannot ask the container engine cannot start anything"),
        Cause::ProbeFailed => Treatment::Never("nothing is known of the gateway then"),
    }
}
