//! What a probe saw, as plain data. No judgement here: that is [`crate::verdict`]'s.

use std::time::Duration;

use crate::account::AccountId;
use crate::calendar::{HoursFault, LiquidHours};
use crate::log_hints::LogHint;
use crate::notice::{Connectivity, Notice};

/// As much of a name that the broker gives with its hours as is kept, in characters.
const HOURS_NAME_CHARS_MAX: usize = 64;

/// One look at a gateway.
#[derive(Clone, Debug)]
pub struct Observation {
    /// When the probe began; durations below count from here.
    pub started_at: jiff::Timestamp,
    /// The container, if it was looked at.
    pub container: ContainerSeen,
    /// The API session.
    pub api: ApiSeen,
    /// What the container's own log hints at; never truth.
    pub hint: Option<LogHint>,
    /// Why this program could not look at all.
    pub fault: Option<String>,
}

impl Observation {
    /// Whether the container was only found by its port and cannot be what has answered there.
    pub fn is_another_gateway(&self) -> bool {
        let down = match self.container {
            ContainerSeen::Found { found_by: FoundBy::Port, state, .. } => state != ContainerState::Running,
            ContainerSeen::Missing { name: None } => true,
            _ => false,
        };
        down && self.api.hello.is_some()
    }
}

/// What the container engine said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerSeen {
    /// Not asked for, no engine here, or none publishes the port and none ever did.
    NotChecked,
    /// One was seen before, but the engine cannot be asked now, which nobody required.
    Unknown,
    /// A check was required, but the engine could not be asked.
    Unavailable(String),
    /// The engine knows no such container.
    Missing {
        /// The name that was asked for; none where one that published the port is gone.
        name: Option<String>,
    },
    /// The engine knows it.
    Found {
        /// Its name.
        name: String,
        /// What it is doing.
        state: ContainerState,
        /// How it was found.
        found_by: FoundBy,
    },
}

/// What a container is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerState {
    /// Up.
    Running,
    /// Frozen by `docker pause`.
    Paused,
    /// Between two starts.
    Restarting,
    /// Not running: exited, dead, being removed, or never started.
    Stopped,
}

/// How a container was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// A person named it.
    Name,
    /// It publishes the gateway's port, so it is probably the one.
    Port,
}

/// What was seen of the API socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiSeen {
    /// How connecting went.
    pub connect: Connect,
    /// Bytes that came back on the last connection.
    pub bytes_received: u64,
    /// The gateway's hello.
    pub hello: Option<Hello>,
    /// The account list; an empty list is not the same as none.
    pub accounts: Option<Vec<AccountId>>,
    /// The next order id came.
    pub order_id: Option<i64>,
    /// The gateway's clock, asked for as a liveness test.
    pub clock: Option<ClockReading>,
    /// Whether orders are allowed.
    pub orders: Orders,
    /// Whether the broker behind the gateway answered.
    pub broker: Broker,
    /// The hours of the contract that the broker was asked about, if it told any details.
    pub hours: Option<HoursSeen>,
    /// The link and the farms.
    pub connectivity: Connectivity,
    /// The notices that are not routine, in order, bounded.
    pub notices: Vec<Notice>,
    /// The client ids that were refused as in use, in order.
    pub client_ids_in_use: Vec<i32>,
    /// How the last connection ended.
    pub end: End,
    /// How long each stage took, in the order they ran.
    pub timings: Vec<(Stage, Duration)>,
    /// The whole probe of the socket.
    pub elapsed: Duration,
}

/// How connecting went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Connect {
    /// No connection was tried.
    #[default]
    NotTried,
    /// Connected.
    Connected,
    /// It failed.
    Failed(ConnectFailure),
}

/// Why connecting failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// The name has no address.
    NameNotResolved(String),
    /// Nobody listens.
    Refused,
    /// No answer in time.
    TimedOut,
    /// No route, or the host answered that it is unreachable.
    Unreachable(String),
    /// Connected and reset before connect itself returned.
    Reset,
    /// This machine could not even try (no file descriptors, not permitted).
    Local(String),
}

/// The gateway's hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hello {
    /// The session speaks this version.
    Version(u32),
    /// The version is below what this program speaks.
    TooOld(u32),
    /// The gateway points elsewhere (`-1` and an address).
    Redirect(String),
}

/// The gateway's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// Seconds since 1970, as the gateway sees them.
    pub epoch_seconds: i64,
    /// When its answer came, counted from the probe's beginning.
    pub received_after: Duration,
}

/// Whether orders are allowed on this session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Orders {
    /// Not asked, or not answered.
    #[default]
    Unproven,
    /// An order id was handed out on request.
    Allowed,
    /// The API is read-only.
    ReadOnly,
}

/// Whether the broker behind the gateway answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Broker {
    /// Not asked.
    #[default]
    Unproven,
    /// Asked, no answer.
    Silent,
    /// It answered.
    Answered,
}

/// When a contract trades, as the broker told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoursSeen {
    /// The exchange of the contract in the answer, in IBKR's words.
    pub exchange: String,
    /// The zone of the hours, in IBKR's words.
    pub time_zone: String,
    /// The regular hours, or why they cannot be read.
    pub liquid: Result<LiquidHours, HoursFault>,
}

impl HoursSeen {
    /// Reads what the broker told, and keeps little of what is no name.
    pub fn read(exchange: &str, time_zone: &str, liquid_hours: &str) -> Self {
        let short = |text: &str| text.chars().filter(|c| !c.is_control()).take(HOURS_NAME_CHARS_MAX).collect();
        Self { exchange: short(exchange), time_zone: short(time_zone), liquid: LiquidHours::parse(liquid_hours) }
    }
}

impl Orders {
    /// Reads the word of the status file.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Unproven, Self::Allowed, Self::ReadOnly].into_iter().find(|orders| orders.as_str() == word)
    }

    /// The word of the status file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unproven => "unproven",
            Self::Allowed => "allowed",
            Self::ReadOnly => "refused",
        }
    }
}

impl Broker {
    /// Reads the word of the status file.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Unproven, Self::Silent, Self::Answered].into_iter().find(|broker| broker.as_str() == word)
    }

    /// The word of the status file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unproven => "unproven",
            Self::Silent => "silent",
            Self::Answered => "answered",
        }
    }
}

/// How a connection ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// This side closed it, having seen enough.
    #[default]
    Finished,
    /// This side closed it because a limit of time was reached.
    Deadline,
    /// Every client id of the range was refused as in use.
    ClientIdsInUse,
    /// The peer closed it.
    Closed,
    /// The peer reset it.
    Reset,
    /// The peer ended a session that had been up and watched.
    Lost,
    /// What the peer sent is not this protocol.
    Foreign(Foreign),
    /// The protocol was broken after a valid hello, or the hello itself broke off.
    Broken(String),
}

/// What a peer that is no gateway looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// A web server.
    Http,
    /// An SSH server.
    Ssh,
    /// A VNC server.
    Vnc,
    /// A TLS listener, such as the Client Portal gateway's.
    Tls,
    /// Something else.
    Other,
}

/// The stages of a probe, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The container engine was asked.
    Container,
    /// TCP connect.
    Connect,
    /// The gateway's hello.
    Hello,
    /// Accounts and order id.
    Startup,
    /// Current time and the order question.
    Liveness,
    /// The question that only the broker can answer.
    Broker,
    /// Waiting for late notices.
    Settle,
}

impl Stage {
    /// The key in the status file's `timings_ms`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Connect => "connect",
            Self::Hello => "hello",
            Self::Startup => "startup",
            Self::Liveness => "liveness",
            Self::Broker => "broker",
            Self::Settle => "settle",
        }
    }
}
