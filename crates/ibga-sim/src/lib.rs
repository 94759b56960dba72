//! A simulated Interactive Brokers gateway with scripted faults, for testing whatever connects to one.
//!
//! It speaks the API socket protocol as a gateway does, to version 200 as text and above it in the binary dialects, well
//! enough for the usual clients to connect and look around. It places no order, streams no prices and knows nothing of
//! verdicts. A [`Scenario`] is what a gateway does, a [`Scene`] with whose accounts, a [`Timeline`] one after the other; an
//! [`Event`] is what happens to it.
//!
//! In a test of an agent, [`blocking::Gateway`] runs in a thread of its own until it is dropped:
//!
//! ```
//! use std::net::TcpStream;
//! use std::time::Duration;
//!
//! use ibga_sim::blocking::Gateway;
//! use ibga_sim::{Config, Scenario, What};
//!
//! let gateway = Gateway::start(Config::default())?;
//! let mut agent = TcpStream::connect(gateway.address())?; // your agent connects here
//! gateway.switch(Scenario::Restart)?; // the gateway restarts under it
//! let ended = |what: &What| matches!(what, What::Closed { .. });
//! assert!(gateway.wait_for(Duration::from_secs(5), ended).is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A timeline switches by time, here sixty times as fast as it is written:
//!
//! ```
//! # use ibga_sim::{Config, Pace, Speed, blocking::Gateway};
//! let timeline = "ready 20m, restart 2m, logged_out 5m, ready".parse()?;
//! let config = Config { timeline, pace: Pace::Timed(Speed::new(60.0)?), ..Config::default() };
//! let gateway = Gateway::start(config)?;
//! gateway.next_step()?; // or at once
//! assert_eq!(gateway.state().scenario.name(), "restart");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Under tokio, [`Simulator`] is the same without a thread; [`Fleet`] and [`blocking::Fleet`] are many gateways in one process.

mod behaviour;
pub mod blocking;
mod config;
mod desk;
mod event;
mod fixture;
mod fleet;
mod message;
mod player;
mod port;
mod proxy;
mod requests;
mod scenario;
mod scene;
mod session;
mod shared;
mod simulator;
mod timeline;

pub use config::{Config, Proxy, StartError, UnknownProxy};
pub use event::{Answer, Event, Events, How, Party, Place, What};
pub use fleet::{Fleet, GATEWAYS_MAX};
pub use player::{Pace, Position, Speed, SpeedError};
pub use scenario::{Scenario, UnknownScenario};
pub use scene::{NotAnAccount, Scene, SceneError};
pub use simulator::{NextError, Remote, Remotes, Simulator, State};
pub use timeline::{AtEnd, Step, Timeline, TimelineError, TimelineFault};

/// The examples of the simulator's page are tested as those above.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/simulator.md")]
struct Page;
