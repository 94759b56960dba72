//! A simulated Interactive Brokers gateway with scripted faults, for testing whatever connects to one.
//!
//! It speaks the API socket protocol as a gateway does, to version 200 as text and above it in the binary dialects, well
//! enough for the usual clients to connect and look around. It places no order, streams no prices and knows nothing of
//! verdicts. [`Simulator`] is the gateway, [`Scenario`] what it does, [`Event`] what happens to it.

mod behaviour;
mod config;
mod desk;
mod event;
mod fixture;
mod message;
mod port;
mod proxy;
mod requests;
mod scenario;
mod session;
mod shared;
mod simulator;

pub use config::{Config, Proxy, StartError, UnknownProxy};
pub use event::{Answer, Event, Events, How, Party, Place, What};
pub use scenario::{Scenario, UnknownScenario};
pub use simulator::Simulator;
