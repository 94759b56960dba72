//! Server versions and what changes at each, as far as a probe meets it.
//! Source of the numbers: the constants in IBKR's own Python client 10.51.

use std::fmt;

/// The version that a session speaks: the lower of what client and gateway can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerVersion(pub u32);

impl ServerVersion {
    /// The lowest version that is spoken here; the framed hello begins with it.
    pub const FLOOR: Self = Self(100);
    /// The highest version whose messages are all text.
    pub const TEXT_MAX: Self = Self(200);
    /// Contract details lose their version field.
    pub const SIZE_RULES: Self = Self(164);
    /// Error and long texts are ASCII with `\uXXXX` escapes.
    pub const ASCII_7: Self = Self(153);
    /// Errors gain a field with the advanced reject.
    pub const ADVANCED_REJECT: Self = Self(166);
    /// Contract questions gain the bond issuer.
    pub const BOND_ISSUER: Self = Self(176);
    /// Contract details gain a second last-trade date.
    pub const LAST_TRADE_DATE: Self = Self(182);
    /// Errors lose their version field and gain a time.
    pub const ERROR_TIME: Self = Self(194);
    /// Message ids are four bytes, and ids above 200 are protobuf.
    pub const BINARY_IDS: Self = Self(201);
    /// Errors are protobuf.
    pub const PROTOBUF_ERRORS: Self = Self(203);
    /// Contract questions and answers are protobuf.
    pub const PROTOBUF_CONTRACTS: Self = Self(205);
    /// Account messages are protobuf.
    pub const PROTOBUF_ACCOUNTS: Self = Self(207);
    /// Everything else is protobuf: startApi, order ids, the time.
    pub const PROTOBUF_ALL: Self = Self(213);
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
