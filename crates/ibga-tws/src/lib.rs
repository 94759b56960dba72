//! The TWS API socket protocol of Interactive Brokers' gateways, as far as a readiness probe and a simulated gateway need it.
//!
//! * [`frame`], [`hello`], [`request`], [`reply`]: bytes to messages and back, in both directions and all three dialects
//!   (text to server version 200, mixed to 212, protobuf from 213). No I/O, no clock.
//! * [`probe`]: one look at a gateway as a state machine that is fed bytes and time and gives back bytes and an observation.
//! * [`session`]: a session that stays, built on it: heartbeats, the broker asked again and again, coming back after an end.
//! * `driver` (feature `driver`): the thin part that owns a socket.
//!
//! Facts of the protocol come from IBKR's published clients and documentation and from traces of real gateways; the few that
//! matter are named where they are used.

#[cfg(feature = "driver")]
pub mod driver;
pub mod fields;
pub mod frame;
pub mod hello;
pub mod probe;
pub mod proto;
pub mod reply;
pub mod request;
pub mod session;
pub mod version;

pub use version::ServerVersion;

/// Why a frame is not a message of this protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A length prefix outside the protocol's limits.
    #[error("frame length {0} is outside 1 to {max}", max = frame::FRAME_BYTES_MAX)]
    FrameLength(u32),
    /// A frame without a readable message id.
    #[error("frame without a message id")]
    MessageId,
    /// A field that is missing or holds something else.
    #[error("message {message}: bad {field}")]
    Field {
        /// The message id.
        message: u32,
        /// The field's name.
        field: &'static str,
    },
}
