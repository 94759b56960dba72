//! What the connections of one gateway share: events, and the client ids that are taken.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::event::Teller;

/// The most clients of a gateway, as IBKR documents it.
const CLIENTS_MAX: usize = 32;

/// What the connections of one gateway share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) teller: Teller,
    /// The gateway's own API port.
    pub(crate) port: u16,
    connections: AtomicU64,
    clients: Mutex<Clients>,
}

#[derive(Debug, Default)]
struct Clients {
    taken: BTreeSet<i32>,
    first: Option<i32>,
}

/// Why a session gets no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Another session holds the client id.
    InUse,
    /// The gateway has all its clients.
    Full,
}

/// A client id that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    shared: Arc<Shared>,
    client_id: i32,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.clients().taken.remove(&self.client_id);
    }
}

impl Shared {
    pub(crate) fn new(teller: Teller, port: u16) -> Self {
        Self { teller, port, connections: AtomicU64::new(0), clients: Mutex::default() }
    }

    pub(crate) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Takes a client id for a session.
    pub(crate) fn take_seat(self: &Arc<Self>, client_id: i32) -> Result<Seat, Refusal> {
        let mut clients = self.clients();
        if clients.taken.contains(&client_id) {
            return Err(Refusal::InUse);
        }
        if clients.taken.len() >= CLIENTS_MAX {
            return Err(Refusal::Full);
        }
        clients.taken.insert(client_id);
        Ok(Seat { shared: Arc::clone(self), client_id })
    }

    /// Whether this is the first client id that came since the scenario began.
    pub(crate) fn is_first(&self, client_id: i32) -> bool {
        *self.clients().first.get_or_insert(client_id) == client_id
    }

    /// Another scenario begins.
    pub(crate) fn forget_first(&self) {
        self.clients().first = None;
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
