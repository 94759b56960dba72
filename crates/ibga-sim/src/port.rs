//! A TCP port that can be open, closed, full or unattended, and change between them without another program taking it meanwhile.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::behaviour::PortState;

/// The queue of a port that is served.
const BACKLOG: u32 = 512;

/// The queue of a port that nobody attends: Java's default, so a gateway's.
const BACKLOG_UNATTENDED: u32 = 50;

/// How long a connection of our own may take before the queue counts as full. Loopback connects in microseconds.
const FULL_AFTER: Duration = Duration::from_millis(100);

/// The most connections that are tried to fill a queue of length zero; Linux takes one.
const FILLERS_MAX: usize = 16;

/// A port.
#[derive(Debug)]
pub(crate) struct Port {
    address: SocketAddr,
    state: PortState,
    /// Bound but not listening, so that the port stays ours while it refuses. Linux allows it beside the listener.
    _hold: Option<TcpSocket>,
    listener: Option<TcpListener>,
    /// Our own connections that fill the queue.
    fillers: Vec<TcpStream>,
}

impl Port {
    /// Takes the port, closed.
    pub(crate) fn reserve(address: SocketAddr) -> io::Result<Self> {
        let hold = bound(address)?;
        let address = hold.local_addr()?;
        let hold = cfg!(target_os = "linux").then_some(hold);
        Ok(Self { address, state: PortState::Closed, _hold: hold, listener: None, fillers: Vec::new() })
    }

    /// Where it is; never port 0.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Brings it into a state. A port that is open stays open for those in its queue.
    pub(crate) async fn set(&mut self, state: PortState) -> io::Result<()> {
        if state == self.state {
            return Ok(());
        }
        self.state = PortState::Closed;
        self.fillers.clear();
        self.listener = None;
        let backlog = match state {
            PortState::Closed => return Ok(()),
            PortState::Open => BACKLOG,
            PortState::Unaccepted => BACKLOG_UNATTENDED,
            PortState::Full => 0,
        };
        self.listener = Some(bound(self.address)?.listen(backlog)?);
        if state == PortState::Full {
            self.fill().await?;
        }
        self.state = state;
        Ok(())
    }

    async fn fill(&mut self) -> io::Result<()> {
        let own = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        while self.fillers.len() < FILLERS_MAX {
            match timeout(FULL_AFTER, TcpStream::connect((own, self.address.port()))).await {
                Ok(filler) => self.fillers.push(filler?),
                Err(_) => return Ok(()),
            }
        }
        Err(io::Error::other("the queue of this port cannot be filled on this system"))
    }

    /// The next connection; waits for ever unless the port is open.
    pub(crate) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match &self.listener {
            Some(listener) if self.state == PortState::Open => listener.accept().await,
            _ => std::future::pending().await,
        }
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn connect(address: SocketAddr) -> Result<TcpStream, Option<io::ErrorKind>> {
        match timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
            Ok(result) => result.map_err(|fault| Some(fault.kind())),
            Err(_) => Err(None),
        }
    }

    #[tokio::test]
    async fn every_state_from_every_state() {
        let mut port = Port::reserve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port");
        let states = [PortState::Closed, PortState::Open, PortState::Full, PortState::Unaccepted];
        for from in states {
            for to in states {
                port.set(from).await.expect("set");
                port.set(to).await.expect("set");
                let client = connect(port.address()).await;
                match to {
                    PortState::Closed => assert_eq!(client.err(), Some(Some(io::ErrorKind::ConnectionRefused))),
                    PortState::Full => assert_eq!(client.err(), Some(None), "a connect that hangs"),
                    PortState::Open => {
                        let client = client.expect("connects");
                        let (_, peer) = port.accept().await.expect("accepted");
                        assert_eq!(peer, client.local_addr().expect("bound"));
                    }
                    PortState::Unaccepted => {
                        let _client = client.expect("connects");
                        assert!(timeout(Duration::from_millis(20), port.accept()).await.is_err());
                    }
                }
            }
        }
    }

    #[tokio::test]
    async fn a_port_in_use_is_refused() {
        let mut port = Port::reserve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port");
        port.set(PortState::Open).await.expect("open");
        let fault = Port::reserve(port.address()).expect_err("in use");
        assert_eq!(fault.kind(), io::ErrorKind::AddrInUse);
    }
}
