//! The watch: how soon its status files tell, what so many gateways cost it, and that it does not grow.
//!
//! | file | about |
//! |---|---|
//! | `moments.rs`, `fleet.rs`, `flapping.rs` | what is measured |
//! | `scene.rs`, `engine.rs`, `peer.rs` | the processes that take part |
//! | `files.rs`, `process.rs` | what can be seen of them |
//! | `found.rs`, `chart.rs` | the bars, the tables, the picture |

#![cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux tells what is measured"))]

pub(super) mod chart;
#[cfg(target_os = "linux")]
mod engine;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod flapping;
#[cfg(target_os = "linux")]
mod fleet;
pub(super) mod found;
#[cfg(target_os = "linux")]
mod moments;
#[cfg(target_os = "linux")]
mod peer;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod scene;

#[cfg(target_os = "linux")]
use std::time::Duration;

use super::stage::Stage;
use found::Found;

/// A part of the measurements, by the name that `--only` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Losses,
    Opening,
    Fleet,
    Flapping,
}

impl Part {
    pub(super) const ALL: [Self; 4] = [Self::Losses, Self::Opening, Self::Fleet, Self::Flapping];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Losses => "watch_losses",
            Self::Opening => "watch_opening",
            Self::Fleet => "watch_fleet",
            Self::Flapping => "watch_flapping",
        }
    }

    /// Whether a peer in Python takes part.
    pub(super) fn needs_python(self) -> bool {
        self == Self::Fleet
    }
}

/// How often things are done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Often {
    /// Events of each kind, at most.
    pub(super) runs: usize,
    /// Ups and downs of each gateway.
    pub(super) flaps: usize,
}

/// Measures these parts.
#[cfg(target_os = "linux")]
pub(super) fn measure(stage: &Stage, parts: &[Part], often: Often) -> Result<Found, String> {
    let mut found = Found::default();
    for part in parts {
        super::say(part.name());
        match part {
            Part::Losses => found.moments.extend(moments::losses(stage, often.runs)?),
            Part::Opening => found.moments.push(moments::opening(stage, often.runs)?),
            Part::Fleet => {
                for gateways in found::SIZES {
                    let (point, held) = fleet::measure(stage, gateways)?;
                    super::say(&format!(
                        "{} gateways: {:.1} MiB, idle {:.2} %, a change of all {:.0} ms",
                        point.gateways,
                        point.memory_kib / 1024.0,
                        point.idle_percent,
                        point.change_millis
                    ));
                    found.points.push(point);
                    found.held = found.held.or(held);
                }
            }
            Part::Flapping => found.flapped = Some(flapping::measure(stage, often.flaps)?),
        }
    }
    Ok(found)
}

/// Other systems do not tell what would be measured.
#[cfg(not(target_os = "linux"))]
pub(super) fn measure(_: &Stage, parts: &[Part], _: Often) -> Result<Found, String> {
    for part in parts {
        super::say(&format!("{} is measured on Linux alone", part.name()));
    }
    Ok(Found::default())
}

/// Lets time go by.
#[cfg(target_os = "linux")]
#[expect(clippy::disallowed_methods, reason = "that nothing happens meanwhile is what is measured")]
fn pause(span: Duration) {
    std::thread::sleep(span);
}
