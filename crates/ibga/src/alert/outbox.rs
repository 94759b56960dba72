//! Delivery: what waits in the store goes out, each channel on its own and in the order of its alerts. Nothing is sent inside a
//! transaction; what was sent is marked at once, and what was not waits for its time.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use futures_util::future::join_all;
use ibga_core::alert::Alert;
use ibga_core::clock;

use super::channel::{Channel, ChannelName, Receipt, SEND_LIMIT, SendError};
use super::message::Message;
use crate::check;
use crate::store::{Delivery, Holder, Patience, Store, StoreError};

/// One message that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The channel.
    pub channel: ChannelName,
    /// The alert.
    pub alert: Alert,
    /// What the server said, or why it was not accepted.
    pub result: Result<Receipt, SendError>,
    /// Why the store does not know that it was sent.
    pub unmarked: Option<String>,
}

/// What came of a round of deliveries.
#[derive(Debug, Default)]
pub struct Round {
    /// What was tried.
    pub attempts: Vec<Attempt>,
    /// What is wrong with the store.
    pub faults: Vec<StoreError>,
}

/// Words of an alert for every channel.
pub type Render<'a> = dyn Fn(&Alert) -> Message + 'a;

/// This process, as the store knows it. A process id alone may be another container's, too.
fn holder() -> Holder {
    let writer = check::writer();
    Holder {
        name: format!("{}-{:016x}", writer.pid, RandomState::new().build_hasher().finish()),
        boot: writer.boot_id.unwrap_or_default(),
    }
}

/// Sends what is due, on all channels at once, until nothing is due any more or the limit is reached. What was on its way then
/// stays in the outbox, and every channel is free again.
pub async fn deliver(
    store: &mut Store,
    gateway: &str,
    channels: &[Box<dyn Channel>],
    render: &Render<'_>,
    patience: Patience,
    limit: Duration,
) -> Round {
    let holder = holder();
    // The store is waited for on this thread, so that the limit of the round alone would not end that.
    store.limit_waits(limit);
    let desk = Desk { store: RefCell::new(store), gateway, render, patience, holder, round: RefCell::default() };
    let drained = join_all(channels.iter().map(|channel| desk.drain(channel.as_ref())));
    if tokio::time::timeout(limit, drained).await.is_err() {
        let released = desk.store.borrow_mut().release_all(&desk.holder);
        desk.note(released);
    }
    desk.round.into_inner()
}

/// Sends one message within the limit of every message.
pub async fn send(channel: &dyn Channel, message: &Message) -> Result<Receipt, SendError> {
    let limit = SEND_LIMIT.as_secs();
    tokio::time::timeout(SEND_LIMIT, channel.send(message))
        .await
        .unwrap_or_else(|_| Err(SendError::channel(&format!("not accepted within {limit} s"))))
}

/// A round under way. Nothing of it is borrowed while a message is.
struct Desk<'a> {
    store: RefCell<&'a mut Store>,
    gateway: &'a str,
    render: &'a Render<'a>,
    patience: Patience,
    holder: Holder,
    round: RefCell<Round>,
}

impl Desk<'_> {
    async fn drain(&self, channel: &dyn Channel) {
        let mut after = 0;
        while let Some(delivery) = self.claim(channel.name(), after) {
            after = delivery.id;
            let result = send(channel, &(self.render)(&delivery.alert)).await;
            let goes_on = result.as_ref().err().is_none_or(|fault| fault.blame == super::channel::Blame::Message);
            if !self.mark(delivery, result) || !goes_on {
                return;
            }
        }
    }

    fn claim(&self, channel: ChannelName, after: i64) -> Option<Delivery> {
        let now = clock::now();
        let claimed = self.store.borrow_mut().claim(self.gateway, channel, after, self.patience, &self.holder, now);
        self.note(claimed).flatten()
    }

    /// Whether the store took it in.
    fn mark(&self, delivery: Delivery, result: Result<Receipt, SendError>) -> bool {
        let (mut store, now) = (self.store.borrow_mut(), clock::now());
        let marked = match &result {
            Ok(receipt) => store.mark_sent(&delivery, receipt.as_str(), now),
            Err(fault) => store.mark_failed(&delivery, fault, &self.holder, now),
        };
        let unmarked = marked.as_ref().err().map(ToString::to_string);
        let Delivery { channel, alert, .. } = delivery;
        self.round.borrow_mut().attempts.push(Attempt { channel, alert, result, unmarked });
        self.note(marked).is_some()
    }

    fn note<T>(&self, result: Result<T, StoreError>) -> Option<T> {
        result.map_err(|fault| self.round.borrow_mut().faults.push(fault)).ok()
    }
}
