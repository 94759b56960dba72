//! The product: everything around the pure core that touches the world, and the `ibga` command.
//!
//! * [`cli`]: the commands, one file each.
//! * [`settings`]: flags, environment, `.env` and `ibga.toml`, read once into typed values.
//! * [`check`]: one look at a gateway as a whole: lock, container and socket, verdict, status file.
//! * [`alert`]: telling people.
//! * `market`: the calendars with the operator's overrides. `forecast`: what is ahead, made seldom.
//! * [`recovery`]: what an operator would do by hand, done.
//! * [`store`]: what is remembered, and the outbox.
//! * [`doctor`]: every prerequisite, tested.
//! * [`docker`]: the container engine. [`users`]: the users of this machine. [`lock`]: one probe at a time. [`output`]: what goes to the terminal.

pub mod alert;
pub mod check;
pub mod cli;
pub mod container;
pub mod docker;
pub mod doctor;
mod file_watch;
mod forecast;
mod halt;
pub mod lock;
mod market;
pub mod output;
mod process;
pub mod recovery;
pub mod schedule;
pub mod settings;
mod shell;
pub mod store;
mod supervise;
mod terminal;
pub mod users;
pub mod watch;
