//! What no bytes may do to ibga, as one function for each entrance: it takes any bytes and panics if a property is broken.
//!
//! The fuzzers in `fuzz/` call these functions with bytes that they invent, the test beside this file with the bytes that were
//! kept (`fuzz/corpus`). So what a fuzzer found once is tested for ever, without a fuzzer.

#![expect(clippy::missing_panics_doc, reason = "panicking is how these functions tell")]

mod alert;
mod codec;
mod halt;
mod hints;
mod probe;
mod script;
mod session;
mod settings;
mod status;
mod transcript;

pub use alert::alert;
pub use codec::{frame, hello, reply, request};
pub use halt::{halt, is_told};
pub use hints::hints;
pub use probe::{Run, probe, run, run_unrecorded};
pub use script::{Op, Script};
pub use session::session;
pub use settings::settings;
pub use status::{is_go, status};

/// A property: any bytes in, a panic if it does not hold.
pub type Property = fn(&[u8]);

/// All of them, by the name of their fuzzer and corpus.
pub const PROPERTIES: &[(&str, Property)] = &[
    ("alert", alert),
    ("frame", frame),
    ("hello", hello),
    ("halt", halt),
    ("hints", hints),
    ("probe", probe),
    ("reply", reply),
    ("request", request),
    ("session", session),
    ("settings", settings),
    ("status", status),
];
