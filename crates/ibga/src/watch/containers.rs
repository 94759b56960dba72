//! What the container engine says, for all watched gateways at once: one subscription to its events, and one question for each
//! container that an event concerns. An engine that is gone is looked for again and again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{Notify, watch};

use crate::container::ENGINE_LIMIT;
use crate::docker::{self, Answer, ContainerEvent, EngineAddress, EngineError, EngineSettings, Selector};

/// The first and the longest pause before an engine that could not be asked is asked again.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How often everything is asked anew beside the events: a subscription over a network may die without a word.
const REVIEW_INTERVAL: Duration = Duration::from_mins(5);

/// What the engine said of one container; none before it was asked.
pub(super) type Said = Option<Rc<Result<Answer, EngineError>>>;

/// The containers that somebody wants to hear of.
#[derive(Default)]
pub(super) struct Containers {
    wanted: RefCell<HashMap<Selector, watch::Sender<Said>>>,
    /// One more is wanted.
    added: Notify,
}

impl Containers {
    /// What the engine says of this container from now on.
    pub(super) fn subscribe(&self, selector: &Selector) -> watch::Receiver<Said> {
        let mut wanted = self.wanted.borrow_mut();
        // Those that nobody watches any more are not asked about.
        wanted.retain(|known, said| known == selector || said.receiver_count() > 0);
        let said = wanted.entry(selector.clone()).or_insert_with(|| watch::channel(None).0);
        self.added.notify_one();
        said.subscribe()
    }

    /// Asks the engine and follows it, until the future is dropped.
    pub(super) async fn follow(self: Rc<Self>) {
        let mut pause = PAUSE_FIRST;
        loop {
            if self.wanted.borrow().is_empty() {
                self.added.notified().await;
            }
            let ended = match EngineAddress::find(&EngineSettings::from_environment()) {
                Ok(address) => self.follow_engine(&address).await,
                Err(fault) => Ended::With(fault),
            };
            if let Ended::With(fault) = ended {
                for (_, said) in self.those(|_, _| true) {
                    tell(&said, Err(fault.clone()));
                }
            } else {
                pause = PAUSE_FIRST;
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
        }
    }

    async fn follow_engine(&self, address: &EngineAddress) -> Ended {
        // Subscribed first, so that nothing happens between the questions and the events.
        let mut events = match docker::events(address) {
            Ok(events) => events,
            Err(fault) => return Ended::With(fault),
        };
        let mut reviewed = self.review(address, |_, _| true).await;
        loop {
            if let Err(fault) = reviewed {
                return Ended::With(fault);
            }
            reviewed = tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => self.review(address, |selector, _| concerns(&event, selector)).await,
                    // It was restarted, perhaps; the questions of the next round find out.
                    Some(Err(_)) | None => return Ended::Quietly,
                },
                () = self.added.notified() => self.review(address, |_, said| said.borrow().is_none()).await,
                () = tokio::time::sleep(REVIEW_INTERVAL) => self.review(address, |_, _| true).await,
            };
        }
    }

    /// Asks for those that fit.
    async fn review(
        &self,
        address: &EngineAddress,
        fits: impl Fn(&Selector, &watch::Sender<Said>) -> bool,
    ) -> Result<(), EngineError> {
        for (selector, said) in self.those(fits) {
            tell(&said, Ok(docker::inspect(&selector, address, ENGINE_LIMIT).await?));
        }
        Ok(())
    }

    fn those(&self, fits: impl Fn(&Selector, &watch::Sender<Said>) -> bool) -> Vec<(Selector, watch::Sender<Said>)> {
        let wanted = self.wanted.borrow();
        let fitting = wanted.iter().filter(|(selector, said)| fits(selector, said));
        fitting.map(|(selector, said)| (selector.clone(), said.clone())).collect()
    }
}

enum Ended {
    Quietly,
    With(EngineError),
}

fn concerns(event: &ContainerEvent, selector: &Selector) -> bool {
    match selector {
        Selector::Named(name) => event.names.iter().any(|named| *named == name.to_string()),
        Selector::Publishing { .. } => true,
    }
}

fn tell(said: &watch::Sender<Said>, answer: Result<Answer, EngineError>) {
    said.send_if_modified(|known| {
        let is_news = known.as_deref() != Some(&answer);
        if is_news {
            *known = Some(Rc::new(answer));
        }
        is_news
    });
}
