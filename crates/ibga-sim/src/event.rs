//! What happens in a simulated gateway, one event after the other. Telling never waits: if nobody listens for long,
//! events are dropped and counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ibga_core::account::AccountId;
use ibga_core::clock::Stopwatch;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use tokio::sync::mpsc;

use crate::config::Proxy;
use crate::player::Position;
use crate::scenario::Scenario;

/// The most events that wait to be taken, and how many more for each gateway beyond the first.
const EVENTS_MAX: usize = 4_096;
const EVENTS_EACH: usize = 16;

/// One event. Serializes as one flat object: `event`, `at_ms`, `gateway`, then what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, counted from the start.
    pub at: Duration,
    /// Of which gateway, counted from 1.
    pub gateway: usize,
    /// What.
    pub what: What,
}

/// What happened. Connections are numbered from 1 in the order they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The port is as the scenario wants it. Always the first event.
    Listening {
        /// Where clients connect.
        address: SocketAddr,
        /// What the gateway does.
        scenario: Scenario,
        /// Who is logged in.
        accounts: Vec<AccountId>,
        /// What stands in front of it.
        proxy: Proxy,
    },
    /// Somebody connected. Connections that the scenario leaves unaccepted are not seen.
    Connected {
        /// Its number.
        connection: u64,
        /// To whom; behind a proxy the gateway sees a connection of its own.
        to: Place,
        /// From where.
        peer: SocketAddr,
    },
    /// A client's hello came.
    Hello {
        /// Which connection.
        connection: u64,
        /// The lowest version it speaks.
        min: u32,
        /// The highest version it speaks.
        max: u32,
    },
    /// A client asked for its session.
    StartApi {
        /// Which connection.
        connection: u64,
        /// The client id.
        client_id: i32,
    },
    /// A request came.
    Request {
        /// Which connection.
        connection: u64,
        /// The message id.
        id: u32,
        /// Its name in IBKR's clients.
        name: &'static str,
        /// What became of it.
        answer: Answer,
    },
    /// A connection ended.
    Closed {
        /// Which connection.
        connection: u64,
        /// Who ended it.
        by: Party,
        /// How.
        how: How,
    },
    /// The port follows another scenario, and open sessions are being told.
    Switched {
        /// The new scenario.
        scenario: Scenario,
        /// Who is logged in.
        accounts: Vec<AccountId>,
        /// Which step of the timeline it is; `None` if somebody chose it by hand.
        position: Option<Position>,
    },
    /// Nothing follows in the timeline; its last step stays.
    TimelineEnded,
    /// Something failed inside the simulator.
    Fault {
        /// What.
        text: String,
    },
    /// Nobody took the events in time; so many before this one are lost.
    Missed {
        /// How many.
        count: u64,
    },
}

/// Where a connection arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// At the proxy.
    Proxy,
    /// At the gateway's own port.
    Gateway,
}

/// Who ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The client (or the proxy on its behalf).
    Client,
    /// The proxy, since the gateway's port was closed.
    Proxy,
    /// The gateway.
    Gateway,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// FIN.
    Closed,
    /// RST.
    Reset,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It was answered.
    Answered,
    /// It was answered with an error.
    Refused,
    /// The scenario or the gateway's etiquette left it unanswered.
    Withheld,
    /// It is understood and has no answer, such as a cancellation.
    Silent,
    /// The simulator does not know how to answer it.
    Unknown,
}

impl What {
    fn name(&self) -> &'static str {
        match self {
            Self::Listening { .. } => "listening",
            Self::Connected { .. } => "connected",
            Self::Hello { .. } => "hello",
            Self::StartApi { .. } => "start_api",
            Self::Request { .. } => "request",
            Self::Closed { .. } => "closed",
            Self::Switched { .. } => "switched",
            Self::TimelineEnded => "timeline_ended",
            Self::Fault { .. } => "fault",
            Self::Missed { .. } => "missed",
        }
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("event", self.what.name())?;
        map.serialize_entry("at_ms", &u64::try_from(self.at.as_millis()).unwrap_or(u64::MAX))?;
        map.serialize_entry("gateway", &self.gateway)?;
        match &self.what {
            What::Listening { address, scenario, accounts, proxy } => {
                map.serialize_entry("address", address)?;
                map.serialize_entry("scenario", scenario.name())?;
                map.serialize_entry("accounts", &masked(accounts))?;
                map.serialize_entry("proxy", proxy.name())?;
            }
            What::Connected { connection, to, peer } => {
                map.serialize_entry("connection", connection)?;
                map.serialize_entry("to", to)?;
                map.serialize_entry("peer", peer)?;
            }
            What::Hello { connection, min, max } => {
                map.serialize_entry("connection", connection)?;
                map.serialize_entry("min", min)?;
                map.serialize_entry("max", max)?;
            }
            What::StartApi { connection, client_id } => {
                map.serialize_entry("connection", connection)?;
                map.serialize_entry("client_id", client_id)?;
            }
            What::Request { connection, id, name, answer } => {
                map.serialize_entry("connection", connection)?;
                map.serialize_entry("id", id)?;
                map.serialize_entry("name", name)?;
                map.serialize_entry("answer", answer)?;
            }
            What::Closed { connection, by, how } => {
                map.serialize_entry("connection", connection)?;
                map.serialize_entry("by", by)?;
                map.serialize_entry("how", how)?;
            }
            What::Switched { scenario, accounts, position } => {
                map.serialize_entry("scenario", scenario.name())?;
                map.serialize_entry("accounts", &masked(accounts))?;
                if let Some(Position { step, steps, round }) = position {
                    map.serialize_entry("step", step)?;
                    map.serialize_entry("steps", steps)?;
                    map.serialize_entry("round", round)?;
                }
            }
            What::TimelineEnded => {}
            What::Fault { text } => map.serialize_entry("text", text)?,
            What::Missed { count } => map.serialize_entry("count", count)?,
        }
        map.end()
    }
}

/// Ids as they print.
fn masked(accounts: &[AccountId]) -> Vec<String> {
    accounts.iter().map(AccountId::to_string).collect()
}

/// Where the events of one gateway are told.
#[derive(Debug)]
pub(crate) struct Teller {
    gateway: usize,
    channel: Arc<Channel>,
}

/// Where the events of all gateways meet.
#[derive(Debug)]
pub(crate) struct Channel {
    watch: Stopwatch,
    sender: mpsc::Sender<Event>,
    missed: AtomicU64,
}

/// Where events are taken.
#[derive(Debug)]
pub struct Events {
    receiver: mpsc::Receiver<Event>,
}

impl Events {
    /// The next event; `None` once the simulator has stopped and everything was taken. May be abandoned and called again.
    pub async fn next(&mut self) -> Option<Event> {
        self.receiver.recv().await
    }

    /// The same for a thread without an async runtime.
    pub fn blocking_next(&mut self) -> Option<Event> {
        self.receiver.blocking_recv()
    }
}

/// A channel for so many gateways.
pub(crate) fn channel(gateways: usize) -> (Arc<Channel>, Events) {
    let room = EVENTS_MAX + EVENTS_EACH * gateways.saturating_sub(1);
    let (sender, receiver) = mpsc::channel(room);
    (Arc::new(Channel { watch: Stopwatch::start(), sender, missed: AtomicU64::new(0) }), Events { receiver })
}

impl Channel {
    /// Where the gateway of this number tells its events.
    pub(crate) fn teller(self: &Arc<Self>, gateway: usize) -> Teller {
        Teller { gateway, channel: Arc::clone(self) }
    }
}

impl Teller {
    /// How long the simulator has been up.
    pub(crate) fn elapsed(&self) -> Duration {
        self.channel.watch.elapsed()
    }

    /// What counts that time.
    pub(crate) fn watch(&self) -> Stopwatch {
        self.channel.watch
    }

    pub(crate) fn gateway(&self) -> usize {
        self.gateway
    }

    pub(crate) fn tell(&self, what: What) {
        let Self { gateway, channel } = self;
        let (at, gateway) = (self.elapsed(), *gateway);
        let count = channel.missed.swap(0, Ordering::Relaxed);
        if count > 0 && channel.sender.try_send(Event { at, gateway, what: What::Missed { count } }).is_err() {
            channel.missed.fetch_add(count + 1, Ordering::Relaxed);
            return;
        }
        if channel.sender.try_send(Event { at, gateway, what }).is_err() {
            channel.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn switched(scenario: Scenario) -> What {
        What::Switched { scenario, accounts: AccountId::parse_list("U7654321,DU1"), position: None }
    }

    #[test]
    fn one_flat_object_each() {
        let address = SocketAddr::from(([127, 0, 0, 1], 4002));
        for (what, json) in [
            (
                What::Listening {
                    address,
                    scenario: Scenario::Ready,
                    accounts: AccountId::parse_list("DU1234567"),
                    proxy: Proxy::IbgaSocat,
                },
                r#"{"event":"listening","at_ms":7,"gateway":2,"address":"127.0.0.1:4002","scenario":"ready","accounts":["DU***67"],"proxy":"ibga_socat"}"#,
            ),
            (
                What::Connected { connection: 1, to: Place::Gateway, peer: address },
                r#"{"event":"connected","at_ms":7,"gateway":2,"connection":1,"to":"gateway","peer":"127.0.0.1:4002"}"#,
            ),
            (
                What::Hello { connection: 1, min: 100, max: 200 },
                r#"{"event":"hello","at_ms":7,"gateway":2,"connection":1,"min":100,"max":200}"#,
            ),
            (
                What::StartApi { connection: 1, client_id: 99 },
                r#"{"event":"start_api","at_ms":7,"gateway":2,"connection":1,"client_id":99}"#,
            ),
            (
                What::Request { connection: 1, id: 49, name: "req_current_time", answer: Answer::Answered },
                r#"{"event":"request","at_ms":7,"gateway":2,"connection":1,"id":49,"name":"req_current_time","answer":"answered"}"#,
            ),
            (
                What::Closed { connection: 1, by: Party::Client, how: How::Reset },
                r#"{"event":"closed","at_ms":7,"gateway":2,"connection":1,"by":"client","how":"reset"}"#,
            ),
            (
                switched(Scenario::Ready),
                r#"{"event":"switched","at_ms":7,"gateway":2,"scenario":"ready","accounts":["U7***21","D***"]}"#,
            ),
            (
                What::Switched {
                    scenario: Scenario::Restart,
                    accounts: Vec::new(),
                    position: Some(Position { step: 2, steps: 4, round: NonZeroU64::MIN }),
                },
                r#"{"event":"switched","at_ms":7,"gateway":2,"scenario":"restart","accounts":[],"step":2,"steps":4,"round":1}"#,
            ),
            (What::TimelineEnded, r#"{"event":"timeline_ended","at_ms":7,"gateway":2}"#),
            (What::Fault { text: "x".into() }, r#"{"event":"fault","at_ms":7,"gateway":2,"text":"x"}"#),
            (What::Missed { count: 3 }, r#"{"event":"missed","at_ms":7,"gateway":2,"count":3}"#),
        ] {
            let event = Event { at: Duration::from_millis(7), gateway: 2, what };
            assert_eq!(serde_json::to_string(&event).expect("serializes"), json);
        }
    }

    #[tokio::test]
    async fn a_slow_listener_is_told_how_much_it_missed() {
        let (channel, mut events) = super::channel(1);
        let teller = channel.teller(1);
        for _ in 0..EVENTS_MAX + 10 {
            teller.tell(switched(Scenario::Ready));
        }
        for _ in 0..EVENTS_MAX {
            events.next().await.expect("an event");
        }
        teller.tell(switched(Scenario::LoggedOut));
        assert_eq!(events.next().await.expect("an event").what, What::Missed { count: 10 });
        assert_eq!(events.next().await.expect("an event").what, switched(Scenario::LoggedOut));
    }
}
