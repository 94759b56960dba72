//! Ports for tests that need a closed one, or one that somebody else will open.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// The first port that is given out. All lie below those that the system gives to outgoing connections.
const FROM: u32 = 20_000;

/// The port behind the last one.
const UNTIL: u32 = 32_000;

/// How many ports a test process has for itself.
const EACH: u32 = 12;

/// A port of this machine where nobody listens, and that no outgoing connection takes in the meantime.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = FROM + std::process::id() % ((UNTIL - FROM) / EACH) * EACH;
    (0..EACH)
        .filter_map(|_| u16::try_from(first + NEXT.fetch_add(1, Ordering::Relaxed) % EACH).ok())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}
