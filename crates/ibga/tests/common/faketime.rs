//! The real binary as if it were another time, by libfaketime, and a simulated gateway whose clock stands there too.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::expect_used, reason = "helpers of tests fail their test")]

use std::path::{Path, PathBuf};
use std::process::Command;

use ibga_sim::Config;
use jiff::{SignedDuration, Timestamp};

use crate::common::{Desk, Gateway, Ran};

/// The library that shows a program another time.
pub(crate) fn library() -> PathBuf {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"];
    let mut libraries = folders.iter().map(|folder| Path::new(folder).join("faketime/libfaketime.so.1"));
    libraries.find(|library| library.exists()).expect("faketime is installed")
}

/// How far ahead of now an instant is, as libfaketime takes it.
pub(crate) fn offset(to: &str) -> (SignedDuration, String) {
    let to: Timestamp = to.parse().expect("an instant");
    // In whole seconds, and never too early.
    let offset = to.duration_since(ibga_core::clock::now()) + SignedDuration::from_secs(1);
    (offset, format!("{:+}", offset.as_secs()))
}

/// Lets a command believe that it is another time.
pub(crate) fn pretend(command: &mut Command, instant: &str) {
    command.env("LD_PRELOAD", library()).env("FAKETIME", offset(instant).1).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
}

/// The binary as if it were another time.
pub(crate) fn run_at(desk: &Desk, instant: &str, arguments: &[&str]) -> Ran {
    let mut command = desk.command(arguments);
    pretend(&mut command, instant);
    Ran::from(command.output().expect("the binary starts"))
}

/// A gateway whose clock stands where the binary's does.
pub(crate) fn gateway_at(instant: &str, config: Config) -> Gateway {
    Gateway::start(Config { clock_offset: offset(instant).0, ..config })
}
