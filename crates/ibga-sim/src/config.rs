//! How a simulated gateway is set up, and why it could not start.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use ibga_core::account::AccountId;
use jiff::SignedDuration;

use crate::player::Pace;
use crate::scenario::Scenario;
use crate::timeline::Timeline;

/// How a simulated gateway is set up. The default is a healthy paper gateway at a free port of this machine.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients connect; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What it goes through; a scenario or a scene alone is one step for ever.
    pub timeline: Timeline,
    /// What makes the timeline go on.
    pub pace: Pace,
    /// What stands between the clients and the gateway's own port.
    pub proxy: Proxy,
    /// The highest server version that the gateway speaks. A session speaks the lower of this and the client's highest:
    /// text to 200, a mixed dialect to 212, protobuf from 213.
    pub server_version: u32,
    /// The accounts of the login.
    pub accounts: Vec<AccountId>,
    /// How long the gateway thinks before every answer.
    pub delay: Duration,
    /// The pause between the single bytes of every write; `None` writes whole messages.
    pub dribble: Option<Duration>,
    /// The zone in the hello, as free text. The hello's time is that of the zone if its name is known, else UTC.
    pub time_zone: String,
    /// How far the gateway's clock is ahead of this machine's; negative is behind.
    pub clock_offset: SignedDuration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            timeline: Scenario::Ready.into(),
            pace: Pace::default(),
            proxy: Proxy::None,
            server_version: 200,
            accounts: AccountId::parse_list(crate::fleet::DEFAULT_ACCOUNT),
            delay: Duration::ZERO,
            dribble: None,
            time_zone: "US/Eastern".into(),
            clock_offset: SignedDuration::ZERO,
        }
    }
}

/// What stands between the clients and the gateway's own port. Behind a proxy a closed port does not look closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proxy {
    /// Nothing: the port is the gateway's.
    #[default]
    None,
    /// The `socat … forever` of the ibga container: accepts always, tries the closed port again every second, and delivers what
    /// the client sent once it opens, even if the client is gone by then.
    IbgaSocat,
    /// Plain `socat`, as most containers have it: accepts, then closes within milliseconds if the port is closed.
    Socat,
    /// Docker's own proxy for a published port: accepts, then resets if the port is closed.
    Docker,
}

impl Proxy {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::None, Self::IbgaSocat, Self::Socat, Self::Docker];

    /// The name to type.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::IbgaSocat => "ibga_socat",
            Self::Socat => "socat",
            Self::Docker => "docker",
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No proxy has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no proxy is called `{0}`; there are `none`, `ibga_socat`, `socat` and `docker`")]
pub struct UnknownProxy(pub String);

impl FromStr for Proxy {
    type Err = UnknownProxy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = text.trim().to_ascii_lowercase().replace('-', "_");
        let found = Self::ALL.iter().copied().find(|proxy| proxy.name() == wanted);
        found.ok_or_else(|| UnknownProxy(text.chars().filter(|c| !c.is_control()).take(60).collect()))
    }
}

/// Why the simulated gateway cannot have its port.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another program listens there.
    #[error("{0} is in use; stop the other program or choose another port (0 takes a free one)")]
    AddressInUse(SocketAddr),
    /// The system does not allow it.
    #[error("not permitted to listen on {0}; choose a port above 1023")]
    PermissionDenied(SocketAddr),
    /// The address is not this machine's.
    #[error("{0} is no address of this machine; use 127.0.0.1 or 0.0.0.0")]
    NoSuchAddress(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {address}: {fault}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        fault: io::Error,
    },
    /// So many gateways take more files than this process may open.
    #[error(
        "{gateways} gateways take {needed} open files, and this process may have {limit}; start fewer or raise `ulimit -n`"
    )]
    TooManyFiles {
        /// How many gateways.
        gateways: usize,
        /// How many files they take, with some for connections.
        needed: u64,
        /// The hard limit.
        limit: u64,
    },
    /// No such number of gateways.
    #[error("{0} gateways; start 1 to {max}", max = crate::fleet::GATEWAYS_MAX)]
    Gateways(usize),
    /// Gateways beside each other take addresses of their own.
    #[error("many gateways at {0}: they take an address each, so start at one of 127.0.0.0/8, such as 127.0.0.1")]
    NotLoopback(SocketAddr),
    /// It has been stopped.
    #[error("the simulated gateway has stopped; start it again")]
    Stopped,
}

impl StartError {
    /// What the system said about listening somewhere, with the next step.
    pub fn listening(address: SocketAddr, fault: io::Error) -> Self {
        match fault.kind() {
            io::ErrorKind::AddrInUse => Self::AddressInUse(address),
            io::ErrorKind::PermissionDenied => Self::PermissionDenied(address),
            io::ErrorKind::AddrNotAvailable => Self::NoSuchAddress(address),
            _ => Self::Listen { address, fault },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_read_back() {
        for proxy in Proxy::ALL {
            assert_eq!(proxy.name().parse(), Ok(*proxy));
        }
        assert_eq!("IBGA-socat".parse(), Ok(Proxy::IbgaSocat));
        assert_eq!("squid".parse::<Proxy>(), Err(UnknownProxy("squid".into())));
    }
}
