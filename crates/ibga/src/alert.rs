//! Telling people: from a report to a message on the channel that they read, whatever is broken on the way.
//!
//! | file | does |
//! |---|---|
//! | `post.rs` | from a report or a no-go to messages: asks the policy, keeps what comes of it, sends what is due |
//! | `outbox.rs` | delivery out of the store, each channel on its own |
//! | `aside.rs` | what is kept while the store cannot be used |
//! | `message.rs`, `message/`, `templates/` | an alert in words |
//! | `channel.rs`, `channel/` | the ways to a person, a file each, behind one trait |
//! | `pulse.rs`, `ping.rs` | signs of life for a dead man's switch, and how one is sent |

mod aside;
pub mod channel;
pub mod message;
pub mod outbox;
pub mod ping;
pub mod post;
pub mod pulse;
