//! The simulator as its users meet it: over the socket, and in its events.

#[cfg(test)]
mod client;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod sessions;
mod timelines;
