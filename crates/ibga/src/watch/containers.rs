//! What the container engine says, for all watched gateways at once: one subscription to its events, and one question for each
//! container that an event concerns. An engine that is gone is looked for again and again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use ibga_core::clock;
use jiff::SignedDuration;
use tokio::sync::{Notify, watch};

use crate::container::ENGINE_LIMIT;
use crate::docker::{self, Answer, ContainerEvent, EngineAddress, EngineError, EngineSettings, Selector};

/// The first and the longest pause before an engine that could not be asked is asked again.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Events from a little before they were asked for are told, too.
const EVENTS_MARGIN: SignedDuration = SignedDuration::from_secs(5);

/// For how long events are gathered before the engine is asked what they come to, and how many at most.
const GATHERING: Duration = Duration::from_millis(20);
const GATHERED_MAX: usize = 1_000;

/// How long after an event everything is asked once more: Docker 20.10 tells of a container's end before its list of containers knows
/// of it, and for as long as cleaning up behind it takes.
const AGAIN_AFTER: [Duration; 3] = [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(5)];

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
        let mut receiver = said.subscribe();
        // What is known already is news to whoever comes now.
        receiver.mark_changed();
        receiver
    }

    /// Asks the engine and follows it, as long as the watch lasts.
    pub(super) async fn follow(self: Rc<Self>) {
        let mut pause = PAUSE_FIRST;
        loop {
            if self.wanted.borrow().is_empty() {
                self.added.notified().await;
            }
            let ended = match EngineAddress::find(&EngineSettings::from_environment()) {
                Ok(address) => self.follow_engine(&address, &mut pause).await,
                Err(fault) => Ended::With(fault),
            };
            if let Ended::With(fault) = ended {
                for (_, said) in self.those(|_, _| true) {
                    tell(&said, Err(fault.clone()));
                }
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
        }
    }

    async fn follow_engine(&self, address: &EngineAddress, pause: &mut Duration) -> Ended {
        // What happened since then is told by the events, though they are asked for only when they are waited for.
        let since = clock::now().checked_sub(EVENTS_MARGIN).unwrap_or_default();
        let mut events = match docker::events(address, since) {
            Ok(events) => events,
            Err(fault) => return Ended::With(fault),
        };
        let mut review = tokio::time::interval(REVIEW_INTERVAL);
        let mut again = [].iter();
        loop {
            let reviewed = tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => {
                        let events = gathered(event, &mut events).await;
                        let concerned = |selector: &Selector| events.iter().any(|event| concerns(event, selector));
                        if !self.those(|selector, _| concerned(selector)).is_empty() {
                            again = AGAIN_AFTER.iter();
                            review.reset_after(next(&mut again));
                        }
                        self.review(address, |selector, _| concerned(selector)).await
                    }
                    // It was restarted, perhaps; the questions of the next round find out.
                    Some(Err(_)) | None => return Ended::Quietly,
                },
                () = self.added.notified() => self.review(address, |_, said| said.borrow().is_none()).await,
                // The first tick comes at once.
                _ = review.tick() => {
                    review.reset_after(next(&mut again));
                    self.review(address, |_, _| true).await
                }
            };
            match reviewed {
                Ok(()) => *pause = PAUSE_FIRST,
                Err(fault) => return Ended::With(fault),
            }
        }
    }

    /// Asks for those that fit. What is wrong with one question is told to who asked it; an engine that cannot be asked at all is an
    /// error.
    async fn review(
        &self,
        address: &EngineAddress,
        fits: impl Fn(&Selector, &watch::Sender<Said>) -> bool,
    ) -> Result<(), EngineError> {
        for (selector, said) in self.those(fits) {
            match docker::inspect(&selector, address, ENGINE_LIMIT).await {
                Err(fault @ (EngineError::NoEngine { .. } | EngineError::PermissionDenied { .. })) => {
                    return Err(fault);
                }
                answer => tell(&said, answer),
            }
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

/// An event and what comes right behind it: `docker compose up` makes many at once.
async fn gathered(
    first: ContainerEvent,
    events: &mut (impl Stream<Item = Result<ContainerEvent, EngineError>> + Unpin),
) -> Vec<ContainerEvent> {
    let mut gathered = vec![first];
    let calm = tokio::time::sleep(GATHERING);
    tokio::pin!(calm);
    while gathered.len() < GATHERED_MAX {
        tokio::select! {
            () = &mut calm => break,
            event = events.next() => match event {
                Some(Ok(event)) => gathered.push(event),
                // It shows again at the next wait.
                Some(Err(_)) | None => break,
            },
        }
    }
    gathered
}

/// How long until everything is asked once more.
fn next<'a>(again: &mut impl Iterator<Item = &'a Duration>) -> Duration {
    again.next().copied().unwrap_or(REVIEW_INTERVAL)
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
