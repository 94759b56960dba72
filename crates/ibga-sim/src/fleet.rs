//! Many simulated gateways in one process: an address of this machine each, the same port, one stream of events.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ibga_core::account::AccountId;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::{Config, Proxy, StartError};
use crate::event::{self, Events};
use crate::simulator::{Gateway, Prepared, Remotes};

/// The most gateways of a fleet.
pub const GATEWAYS_MAX: usize = 5_000;

/// Open files that are kept for connections and everything else.
const FILES_SPARE: u64 = 256;

/// How many clients of each gateway at once are reckoned with.
const CLIENTS_EACH: u64 = 4;

/// How often another free port is tried, if one that is free at the first address is taken at a later one.
const PORTS_TRIED_MAX: usize = 10;

/// Simulated gateways beside each other. They live until the fleet is stopped or dropped.
#[derive(Debug)]
pub struct Fleet {
    gateways: Vec<Gateway>,
    remotes: Remotes,
}

impl Fleet {
    /// Starts so many gateways: the first at the configured address, each further one at the next address and the same port.
    /// Gateways of the default account get one of their own each, counted up from it. Their timelines begin together, and all
    /// tell their events in one place.
    ///
    /// Raises this process's limit of open files to what they need, within its hard limit.
    pub async fn start(config: Config, count: usize) -> Result<(Self, Events), StartError> {
        if !(1..=GATEWAYS_MAX).contains(&count) {
            return Err(StartError::Gateways(count));
        }
        // Before anything is opened: whichever address is wrong, the text and the end are the same.
        let addresses: Vec<IpAddr> =
            (0..count).map(|index| nth_address(config.listen, index)).collect::<Result<_, _>>()?;
        allow_files(count, config.proxy)?;
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::try_start(&config, &addresses).await {
                Err(StartError::AddressInUse(_)) if config.listen.port() == 0 && tries < PORTS_TRIED_MAX => {}
                result => return result,
            }
        }
    }

    async fn try_start(config: &Config, addresses: &[IpAddr]) -> Result<(Self, Events), StartError> {
        let count = addresses.len();
        let (channel, events) = event::channel(count);
        let mut prepared: Vec<Prepared> = Vec::with_capacity(count);
        for (index, address) in addresses.iter().enumerate() {
            let port = prepared.first().map_or(config.listen.port(), |first| first.address().port());
            let listen = SocketAddr::new(*address, port);
            let config = Config { listen, accounts: nth_accounts(&config.accounts, index), ..config.clone() };
            prepared.push(Prepared::new(config, index + 1, &channel).await?);
        }
        let gateways: Vec<Gateway> = prepared.into_iter().map(Prepared::start).collect();
        let remotes = gateways.iter().map(|gateway| gateway.remote.clone()).collect();
        Ok((Self { gateways, remotes }, events))
    }

    /// What moves the gateways.
    pub fn remotes(&self) -> &Remotes {
        &self.remotes
    }

    /// Ends every connection and lets the ports go.
    pub async fn stop(mut self) {
        for gateway in &self.gateways {
            gateway.tell_to_stop().await;
        }
        for gateway in &mut self.gateways {
            gateway.stopped().await;
        }
    }
}

/// The address of a gateway, by its index.
fn nth_address(first: SocketAddr, index: usize) -> Result<IpAddr, StartError> {
    let IpAddr::V4(ip) = first.ip() else {
        return if index == 0 { Ok(first.ip()) } else { Err(StartError::NotLoopback(first)) };
    };
    if index == 0 {
        return Ok(ip.into());
    }
    let next = u32::try_from(index).ok().and_then(|index| ip.to_bits().checked_add(index)).map(Ipv4Addr::from_bits);
    match next {
        // The very last address of the network is its broadcast.
        Some(next) if ip.is_loopback() && next.is_loopback() && next != Ipv4Addr::new(127, 255, 255, 255) => {
            Ok(next.into())
        }
        _ => Err(StartError::NotLoopback(first)),
    }
}

/// The accounts of a gateway, by its index: the default one is counted up, those that somebody chose are everywhere.
fn nth_accounts(accounts: &[AccountId], index: usize) -> Vec<AccountId> {
    let default = AccountId::parse_list(DEFAULT_ACCOUNT);
    if accounts != default {
        return accounts.to_vec();
    }
    AccountId::parse_list(&format!("DU{}", DEFAULT_NUMBER + index))
}

/// The account of a gateway for which none was chosen.
pub(crate) const DEFAULT_ACCOUNT: &str = "DU1234567";
const DEFAULT_NUMBER: usize = 1_234_567;

/// Sees to it that so many gateways may open their files, and their clients come.
fn allow_files(gateways: usize, proxy: Proxy) -> Result<(), StartError> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let files = Files::of(gateways, proxy);
    let too_few = |limit: Option<u64>| match limit.filter(|limit| *limit < files.needed) {
        Some(limit) => Err(StartError::TooManyFiles { gateways, needed: files.needed, limit }),
        // Enough, or no limit.
        None => Ok(()),
    };
    too_few(maximum)?;
    let wanted = maximum.map_or(files.wanted, |limit| limit.min(files.wanted));
    if current.is_some_and(|limit| limit < wanted)
        && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_err()
    {
        return too_few(current);
    }
    Ok(())
}

/// How many open files gateways take.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    /// Each holds its port and listens there, behind a proxy twice.
    needed: u64,
    /// The same with some clients for each; one behind a proxy takes three.
    wanted: u64,
}

impl Files {
    fn of(gateways: usize, proxy: Proxy) -> Self {
        let (ports, client) = if proxy == Proxy::None { (2, 1) } else { (4, 3) };
        let all =
            |each: u64| u64::try_from(gateways).unwrap_or(u64::MAX).saturating_mul(each).saturating_add(FILES_SPARE);
        Self { needed: all(ports), wanted: all(ports + CLIENTS_EACH * client) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_each() {
        let first = |text: &str| text.parse::<SocketAddr>().expect("an address");
        for (from, index, address) in [
            ("127.0.0.1:4002", 0, Some("127.0.0.1")),
            ("127.0.0.1:4002", 1, Some("127.0.0.2")),
            ("127.0.0.1:4002", 255, Some("127.0.1.0")),
            ("127.0.0.1:4002", 1_999, Some("127.0.7.208")),
            ("127.255.255.253:4002", 1, Some("127.255.255.254")),
            ("127.255.255.253:4002", 2, None),
            ("0.0.0.0:4002", 0, Some("0.0.0.0")),
            ("0.0.0.0:4002", 1, None),
            ("192.168.1.5:4002", 1, None),
            ("[::1]:4002", 0, Some("::1")),
            ("[::1]:4002", 1, None),
        ] {
            let found = nth_address(first(from), index).ok().map(|ip| ip.to_string());
            assert_eq!(found.as_deref(), address, "{from} {index}");
        }
    }

    #[test]
    fn an_account_each_unless_chosen() {
        let ids = AccountId::parse_list;
        assert_eq!(Config::default().accounts, ids(DEFAULT_ACCOUNT));
        assert_eq!(DEFAULT_ACCOUNT, format!("DU{DEFAULT_NUMBER}"));
        assert_eq!(nth_accounts(&ids("DU1234567"), 33), ids("DU1234600"));
        assert_eq!(nth_accounts(&ids("U7654321,DU1"), 33), ids("U7654321,DU1"));
    }

    #[test]
    fn no_more_files_than_are_needed() {
        assert_eq!(Files::of(1, Proxy::None), Files { needed: 258, wanted: 262 });
        assert_eq!(Files::of(2_000, Proxy::None), Files { needed: 4_256, wanted: 12_256 });
        assert_eq!(Files::of(2_000, Proxy::Docker), Files { needed: 8_256, wanted: 32_256 });
    }

    #[tokio::test]
    async fn where_only_one_can_be_none_is_opened() {
        // No address of this machine, every address of it, and the last one of its own network.
        for first in ["192.0.2.1:0", "0.0.0.0:0", "[::1]:0", "127.255.255.254:0"] {
            let listen = first.parse().expect("an address");
            let fault = Fleet::start(Config { listen, ..Config::default() }, 3).await.expect_err("refused");
            assert!(matches!(fault, StartError::NotLoopback(address) if address == listen), "{fault}");
        }
    }
}
