//! Telling people: from a report to a message on the channel that they read, whatever is broken on the way.
//!
//! | file | does |
//! |---|---|
//! | `channel.rs`, `channel/` | the ways to a person, a file each, behind one trait |
//! | `message.rs`, `message/`, `templates/` | an alert in words |

pub mod channel;
pub mod message;
