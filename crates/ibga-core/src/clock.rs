//! The one place that asks what time it is. Everything else takes the time as a value.
#![expect(clippy::disallowed_methods, reason = "this is the module that the rule points to")]

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// The wall clock. It may step in either direction at any moment.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Counts time that passes, whatever the wall clock does.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    started: Instant,
}

impl Stopwatch {
    /// Begins to count.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// How long ago it began.
    pub fn elapsed(self) -> Duration {
        self.started.elapsed()
    }
}
