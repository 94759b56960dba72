//! The simulated gateway as a whole: its ports, its connections, and the change from one scenario to another.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::behaviour::PortState;
use crate::config::{Config, Proxy, StartError};
use crate::event::{self, Events, Place, What};
use crate::port::Port;
use crate::proxy;
use crate::scenario::Scenario;
use crate::session::Session;
use crate::shared::Shared;

/// The most connections at once; further ones wait in the port's queue.
const CONNECTIONS_MAX: usize = 1_024;

/// The most changes of scenario that a slow session can be behind.
const CHANGES_MAX: usize = 64;

/// How long to wait after a connection could not be accepted, such as for want of file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A simulated gateway. Lives until it is stopped or dropped.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    events: Events,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
enum Command {
    Switch(Scenario, oneshot::Sender<Result<(), StartError>>),
    Stop,
}

impl Simulator {
    /// Starts a gateway. When this returns, its port is as the scenario wants it.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let (teller, events) = event::channel();
        let failed = |fault| StartError::listening(config.listen, fault);
        let outer = Port::reserve(config.listen).map_err(failed)?;
        let inner = match config.proxy {
            Proxy::None => None,
            _ => Some(Port::reserve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(failed)?),
        };
        let address = outer.address();
        let own_port = inner.as_ref().map_or(address, Port::address).port();
        let scenario = config.scenario;
        let proxy = config.proxy;
        let shared = Arc::new(Shared::new(config, teller, own_port));
        let (changes, _) = broadcast::channel(CHANGES_MAX);
        let mut host = Host { shared, outer, inner, scenario, changes, connections: JoinSet::new() };
        host.set_ports(scenario).await?;
        host.shared.teller.tell(What::Listening { address, scenario, proxy });
        let (commands, inbox) = mpsc::channel(1);
        let task = tokio::spawn(host.run(inbox));
        Ok(Self { address, events, commands, task })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What happens.
    pub fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    /// Changes the scenario. When this returns, new connections meet the new one; open sessions are told or ended as a real
    /// gateway would.
    pub async fn switch(&self, scenario: Scenario) -> Result<(), StartError> {
        let (done, result) = oneshot::channel();
        self.commands.send(Command::Switch(scenario, done)).await.map_err(|_| StartError::Stopped)?;
        result.await.map_err(|_| StartError::Stopped)?
    }

    /// Ends every connection and lets the port go.
    pub async fn stop(mut self) {
        if self.commands.send(Command::Stop).await.is_ok() {
            let _ = (&mut self.task).await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The part that runs.
struct Host {
    shared: Arc<Shared>,
    outer: Port,
    /// Behind a proxy, the gateway's own port.
    inner: Option<Port>,
    scenario: Scenario,
    changes: broadcast::Sender<Scenario>,
    connections: JoinSet<()>,
}

impl Host {
    async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut ready_after = self.shared.config.ready_after;
        let ready = sleep(ready_after.unwrap_or_default());
        tokio::pin!(ready);
        loop {
            let room = self.connections.len() < CONNECTIONS_MAX;
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(Command::Switch(scenario, done)) => {
                        let _ = done.send(self.switch(scenario).await);
                    }
                    Some(Command::Stop) | None => break,
                },
                () = &mut ready, if ready_after.is_some() => {
                    ready_after = None;
                    if let Err(fault) = self.switch(Scenario::Ready).await {
                        self.shared.teller.tell(What::Fault { text: fault.to_string() });
                    }
                }
                accepted = self.outer.accept(), if room => {
                    let to = if self.inner.is_some() { Place::Proxy } else { Place::Gateway };
                    self.accepted(accepted, to).await;
                }
                accepted = accept(self.inner.as_ref()), if room => self.accepted(accepted, Place::Gateway).await,
                Some(_) = self.connections.join_next() => {}
            }
        }
        self.connections.shutdown().await;
    }

    async fn switch(&mut self, scenario: Scenario) -> Result<(), StartError> {
        self.set_ports(scenario).await?;
        self.scenario = scenario;
        self.shared.forget_first();
        // Nobody listening means that no session is open.
        let _ = self.changes.send(scenario);
        self.shared.teller.tell(What::Switched { scenario });
        Ok(())
    }

    async fn set_ports(&mut self, scenario: Scenario) -> Result<(), StartError> {
        let behaviour = scenario.behaviour();
        let outer = match (behaviour.outer, &self.inner) {
            (PortState::Open, None) => behaviour.api,
            (outer, _) => outer,
        };
        let address = self.outer.address();
        if let Some(inner) = &mut self.inner {
            let address = inner.address();
            inner.set(behaviour.api).await.map_err(|fault| StartError::listening(address, fault))?;
        }
        self.outer.set(outer).await.map_err(|fault| StartError::listening(address, fault))
    }

    async fn accepted(&mut self, accepted: std::io::Result<(TcpStream, SocketAddr)>, to: Place) {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(fault) => {
                self.shared.teller.tell(What::Fault { text: format!("cannot accept a connection: {fault}") });
                return sleep(ACCEPT_AGAIN).await;
            }
        };
        let connection = self.shared.next_connection();
        self.shared.teller.tell(What::Connected { connection, to, peer });
        let shared = Arc::clone(&self.shared);
        if let (Some(inner), Place::Proxy) = (&self.inner, to) {
            let gateway = inner.address();
            self.connections.spawn(async move {
                let (by, how) = proxy::serve(shared.config.proxy, stream, gateway).await;
                shared.teller.tell(What::Closed { connection, by, how });
            });
        } else {
            let session = Session::new(shared, connection, stream, self.scenario, self.changes.subscribe());
            self.connections.spawn(session.run());
        }
    }
}

async fn accept(port: Option<&Port>) -> std::io::Result<(TcpStream, SocketAddr)> {
    match port {
        Some(port) => port.accept().await,
        None => std::future::pending().await,
    }
}
