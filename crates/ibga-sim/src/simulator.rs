//! The simulated gateway as a whole: its ports, its connections, and the change from one scene to another.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ibga_core::account::AccountId;
use ibga_core::clock::Stopwatch;
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::behaviour::PortState;
use crate::config::{Config, Proxy, StartError};
use crate::event::{self, Channel, Events, Place, What};
use crate::player::{Moved, Player, Position};
use crate::port::Port;
use crate::proxy;
use crate::scenario::Scenario;
use crate::scene::Scene;
use crate::session::{Change, Session};
use crate::shared::Shared;
use crate::timeline::Timeline;

/// The most connections at once; further ones wait in the port's queue.
const CONNECTIONS_MAX: usize = 1_024;

/// The most changes of scenario that a slow session can be behind.
const CHANGES_MAX: usize = 16;

/// How long to wait after a connection could not be accepted, such as for want of file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A simulated gateway. Lives until it is stopped or dropped.
#[derive(Debug)]
pub struct Simulator {
    gateway: Gateway,
    events: Events,
}

impl Simulator {
    /// Starts a gateway. When this returns, its port is as the scenario wants it.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let (channel, events) = event::channel(1);
        let gateway = Prepared::new(config, 1, &channel).await?.start();
        Ok(Self { gateway, events })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.gateway.remote.address
    }

    /// What happens.
    pub fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    /// Changes the scene; a scenario alone is one. When this returns, new connections meet the new one; open sessions are told
    /// or ended as a real gateway would. A timeline holds until somebody goes on by hand.
    pub async fn switch(&self, scene: impl Into<Scene>) -> Result<(), StartError> {
        self.gateway.remote.switch(scene).await
    }

    /// A handle that can be handed on.
    pub fn remote(&self) -> &Remote {
        &self.gateway.remote
    }

    /// Ends every connection and lets the port go.
    pub async fn stop(mut self) {
        self.gateway.tell_to_stop().await;
        self.gateway.stopped().await;
    }
}

/// Moves a gateway from anywhere. Cheap to clone; does not keep the gateway alive.
#[derive(Clone, Debug)]
pub struct Remote {
    number: usize,
    address: SocketAddr,
    commands: mpsc::Sender<Command>,
    watch: Stopwatch,
    standing: Arc<Mutex<Standing>>,
}

/// What a gateway is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The scenario.
    pub scenario: Scenario,
    /// Who is logged in.
    pub accounts: Vec<AccountId>,
    /// Which step of the timeline; `None` without one, or while somebody's choice holds it.
    pub position: Option<Position>,
    /// When the timeline goes on by itself.
    pub next_in: Option<Duration>,
}

/// Why a gateway does not go on.
#[derive(Debug, thiserror::Error)]
pub enum NextError {
    /// There is no further step.
    #[error("no step follows in the timeline; switch to a scenario instead")]
    NothingFollows,
    /// It cannot be as the step wants it.
    #[error(transparent)]
    Switch(#[from] StartError),
}

impl Remote {
    /// The gateway's number, from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the scene, as [`Simulator::switch`].
    pub async fn switch(&self, scene: impl Into<Scene>) -> Result<(), StartError> {
        self.begin_switch(scene.into()).await?.await.map_err(|_| StartError::Stopped)?
    }

    /// Goes on to the next step of the timeline now.
    pub async fn next_step(&self) -> Result<(), NextError> {
        self.begin_next().await?.await.map_err(|_| StartError::Stopped)?
    }

    /// Asks for a change; the answer comes when it is done.
    async fn begin_switch(&self, scene: Scene) -> Result<Answer<StartError>, StartError> {
        let (done, result) = oneshot::channel();
        self.commands.send(Command::Switch(scene, done)).await.map_err(|_| StartError::Stopped)?;
        Ok(result)
    }

    async fn begin_next(&self) -> Result<Answer<NextError>, StartError> {
        let (done, result) = oneshot::channel();
        self.commands.send(Command::Next(done)).await.map_err(|_| StartError::Stopped)?;
        Ok(result)
    }

    /// What the gateway is doing.
    pub fn state(&self) -> State {
        let Standing { change, position, due } = lock(&self.standing).clone();
        let now = self.watch.elapsed();
        State {
            scenario: change.scenario,
            accounts: change.config.accounts.clone(),
            position,
            next_in: due.map(|due| due.saturating_sub(now)),
        }
    }
}

type Answer<Fault> = oneshot::Receiver<Result<(), Fault>>;

/// Moves the gateways of a fleet, each or all. Cheap to clone; does not keep them alive.
#[derive(Clone, Debug)]
pub struct Remotes(Arc<[Remote]>);

impl FromIterator<Remote> for Remotes {
    fn from_iter<I: IntoIterator<Item = Remote>>(remotes: I) -> Self {
        Self(remotes.into_iter().collect())
    }
}

impl Remotes {
    /// All of them, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Remote> {
        self.0.iter()
    }

    /// The gateway with this number, counted from 1.
    pub fn get(&self, number: usize) -> Option<&Remote> {
        number.checked_sub(1).and_then(|index| self.0.get(index))
    }

    /// Changes the scene of all, at the same time.
    pub async fn switch_all(&self, scene: impl Into<Scene>) -> Result<(), StartError> {
        let scene = scene.into();
        let mut answers = Vec::with_capacity(self.0.len());
        for remote in self.iter() {
            answers.push(remote.begin_switch(scene.clone()).await?);
        }
        for answer in answers {
            answer.await.map_err(|_| StartError::Stopped)??;
        }
        Ok(())
    }

    /// Goes on to the next step at all gateways where one follows; a fault if it follows nowhere.
    pub async fn next_step_all(&self) -> Result<(), NextError> {
        let mut answers = Vec::with_capacity(self.0.len());
        for remote in self.iter() {
            answers.push(remote.begin_next().await?);
        }
        let mut all = Err(NextError::NothingFollows);
        for answer in answers {
            match answer.await.map_err(|_| StartError::Stopped)? {
                Ok(()) => all = Ok(()),
                Err(NextError::NothingFollows) => {}
                Err(fault) => return Err(fault),
            }
        }
        all
    }
}

/// What a gateway is doing, as its task leaves it for others.
#[derive(Clone, Debug)]
struct Standing {
    change: Change,
    position: Option<Position>,
    due: Option<Duration>,
}

fn lock(standing: &Mutex<Standing>) -> MutexGuard<'_, Standing> {
    standing.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
enum Command {
    Switch(Scene, oneshot::Sender<Result<(), StartError>>),
    Next(oneshot::Sender<Result<(), NextError>>),
    Stop,
}

/// A gateway that runs. Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) remote: Remote,
    task: JoinHandle<()>,
}

impl Gateway {
    pub(crate) async fn tell_to_stop(&self) {
        let _ = self.remote.commands.send(Command::Stop).await;
    }

    pub(crate) async fn stopped(&mut self) {
        let _ = (&mut self.task).await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A gateway whose port is open, and that nobody serves yet.
pub(crate) struct Prepared {
    host: Host,
    timeline: Timeline,
}

impl Prepared {
    pub(crate) async fn new(config: Config, number: usize, channel: &Arc<Channel>) -> Result<Self, StartError> {
        let failed = |fault| StartError::listening(config.listen, fault);
        let outer = Port::reserve(config.listen).map_err(failed)?;
        let inner = match config.proxy {
            Proxy::None => None,
            _ => Some(Port::reserve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(failed)?),
        };
        let own_port = inner.as_ref().map_or(outer.address(), Port::address).port();
        let shared = Arc::new(Shared::new(channel.teller(number), own_port));
        let timeline = config.timeline.clone();
        let config = Arc::new(config);
        let current = change(&config, &timeline.step(0).scene);
        let (changes, _) = broadcast::channel(CHANGES_MAX);
        let mut host = Host { shared, config, outer, inner, current, changes, connections: JoinSet::new() };
        host.set_ports(host.current.scenario).await?;
        Ok(Self { host, timeline })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.host.outer.address()
    }

    /// Begins to serve, and the timeline with it.
    pub(crate) fn start(self) -> Gateway {
        let Self { host, timeline } = self;
        let teller = &host.shared.teller;
        let (address, number, watch) = (host.outer.address(), teller.gateway(), teller.watch());
        let player = Player::begin(timeline, host.config.pace, teller.elapsed());
        let (change, proxy) = (host.current.clone(), host.config.proxy);
        let accounts = change.config.accounts.clone();
        teller.tell(What::Listening { address, scenario: change.scenario, accounts, proxy });
        let standing = Standing { change, position: player.position(), due: player.due() };
        let standing = Arc::new(Mutex::new(standing));
        let (commands, inbox) = mpsc::channel(1);
        let task = tokio::spawn(host.run(inbox, player, Arc::clone(&standing)));
        Gateway { remote: Remote { number, address, commands, watch, standing }, task }
    }
}

/// What a scene makes of a configuration.
fn change(config: &Arc<Config>, scene: &Scene) -> Change {
    let config = match &scene.accounts {
        None => Arc::clone(config),
        Some(accounts) => Arc::new(Config { accounts: accounts.clone(), ..Config::clone(config) }),
    };
    Change { scenario: scene.scenario, config }
}

/// The part that runs.
struct Host {
    shared: Arc<Shared>,
    config: Arc<Config>,
    outer: Port,
    /// Behind a proxy, the gateway's own port.
    inner: Option<Port>,
    current: Change,
    changes: broadcast::Sender<Change>,
    connections: JoinSet<()>,
}

impl Host {
    async fn run(mut self, mut inbox: mpsc::Receiver<Command>, mut player: Player, standing: Arc<Mutex<Standing>>) {
        loop {
            let room = self.connections.len() < CONNECTIONS_MAX;
            let pause = player.due().map(|due| due.saturating_sub(self.shared.teller.elapsed()));
            tokio::select! {
                command = inbox.recv() => {
                    match command {
                        Some(Command::Switch(scene, done)) => {
                            let switched = self.switch(&scene, None).await;
                            if switched.is_ok() {
                                player.hold();
                            }
                            self.leave_word(&player, &standing);
                            let _ = done.send(switched);
                        }
                        Some(Command::Next(done)) => {
                            let moved = self.next(&mut player).await;
                            self.leave_word(&player, &standing);
                            let _ = done.send(moved);
                        }
                        Some(Command::Stop) | None => break,
                    }
                }
                () = sleep(pause.unwrap_or_default()), if pause.is_some() => {
                    let moved = player.go_on_if_due(self.shared.teller.elapsed());
                    if let Err(fault) = self.moved(moved, &player).await {
                        self.shared.teller.tell(What::Fault { text: fault.to_string() });
                    }
                    self.leave_word(&player, &standing);
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

    /// Leaves for others what the gateway is doing.
    fn leave_word(&self, player: &Player, standing: &Mutex<Standing>) {
        let word = Standing { change: self.current.clone(), position: player.position(), due: player.due() };
        *lock(standing) = word;
    }

    async fn next(&mut self, player: &mut Player) -> Result<(), NextError> {
        let moved = player.go_on(self.shared.teller.elapsed()).ok_or(NextError::NothingFollows)?;
        Ok(self.moved(Some(moved), player).await?)
    }

    /// Does what the timeline says.
    async fn moved(&mut self, moved: Option<Moved>, player: &Player) -> Result<(), StartError> {
        if let Some(Moved::On | Moved::OnToTheEnd) = moved {
            self.switch(player.scene(), player.position()).await?;
        }
        if let Some(Moved::End | Moved::OnToTheEnd) = moved {
            self.shared.teller.tell(What::TimelineEnded);
        }
        Ok(())
    }

    async fn switch(&mut self, scene: &Scene, position: Option<Position>) -> Result<(), StartError> {
        self.set_ports(scene.scenario).await?;
        self.current = change(&self.config, scene);
        self.shared.forget_first();
        // Nobody listening means that no session is open.
        let _ = self.changes.send(self.current.clone());
        let accounts = self.current.config.accounts.clone();
        self.shared.teller.tell(What::Switched { scenario: scene.scenario, accounts, position });
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
            let (proxy, gateway) = (self.config.proxy, inner.address());
            self.connections.spawn(async move {
                let (by, how) = proxy::serve(proxy, stream, gateway).await;
                shared.teller.tell(What::Closed { connection, by, how });
            });
        } else {
            let session = Session::new(shared, connection, stream, self.current.clone(), self.changes.subscribe());
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
