//! The pure core of `ibga`: may the trading agent trade now, and if not, what has to be done?
//!
//! Data flows one way: an [`observation`] of a gateway and the operator's expectations give a [`verdict`] with a named
//! [`cause`] and a [`remedy`]; the verdict becomes a [`report`], which is compared with the one before ([`transition`]), lies in
//! the [`status_file`], and is judged there together with the market's [`calendar`] by the [`gate`].
//!
//! Everything that decides takes values and a time and gives back values. Only three modules touch the world, each thinly:
//! [`clock`], [`secure_file`] and [`status_file`]. There is no runtime and no socket, so that an agent can embed the gate.

pub mod account;
pub mod act;
pub mod alert;
pub mod calendar;
pub mod cause;
pub mod clock;
pub mod forecast;
pub mod gate;
pub mod halt;
pub mod log_hints;
pub mod nearest;
pub mod notice;
pub mod observation;
pub mod recovery;
pub mod remedy;
pub mod report;
pub mod reset_windows;
pub mod schedule;
pub mod secure_file;
pub mod status_file;
pub mod supervision;
pub mod transition;
pub mod verdict;
pub mod waiting;
pub mod window;
