//! The one place that asks what time it is. Everything else takes the time as a value.
#![expect(clippy::disallowed_methods, reason = "this is the module that the rule points to")]

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// The wall clock. It may step in either direction at any moment.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// How long this machine has been up, sleep included: the same for all its processes, and never set.
pub fn uptime() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The clock that `CLOCK_MONOTONIC` names, in which systemd wants some moments told.
pub fn monotonic() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
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
