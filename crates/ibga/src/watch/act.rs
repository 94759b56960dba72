//! One act of recovery from its note in the store to what came of it, beside the watch of its gateway. Whether to act was decided
//! before; the store's part is done in the store's thread.

use std::sync::Arc;

use ibga_core::cause::Cause;
use ibga_core::clock;
use ibga_core::observation::ContainerSeen;
use ibga_core::recovery::{Past, Plan, Practice};
use ibga_core::report::Report;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::teller::{Kept, Teller, keep_act};
use crate::recovery::{Task, act, begin, end, give_up, limit, past};
use crate::settings::Settings;
use crate::store::Store;

/// What is to be done about a gateway, and why.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Order {
    pub(super) plan: Plan,
    pub(super) practice: Practice,
    pub(super) cause: Cause,
    pub(super) since: Timestamp,
    pub(super) container: ContainerSeen,
    /// The report that it goes by.
    pub(super) report: Report,
}

/// What came of an order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was done, or rehearsed, or given up, and noted.
    Done {
        /// What was, in a line.
        text: String,
        /// What the store says of telling people.
        kept: Kept,
    },
    /// Another process has used up the budget.
    UsedUp,
    /// The store cannot be used, so nothing was done.
    NotBegun(String),
}

impl Order {
    fn task<'a>(&'a self, settings: &'a Settings) -> Task<'a> {
        let Self { plan, cause, since, container, .. } = self;
        Task { gateway: settings.gateway.as_str(), recipe: &plan.recipe, cause: *cause, since: *since, container }
    }
}

/// What the store remembers of acts.
pub(super) async fn recall(settings: Arc<Settings>, practice: Practice, teller: Teller) -> Result<Past, String> {
    let gateway = settings.gateway.to_string();
    in_store(&teller, settings, move |store, _| past(store, &gateway, practice)).await
}

/// Acts.
pub(super) async fn recover(settings: Arc<Settings>, order: Arc<Order>, zone: TimeZone, teller: Teller) -> Outcome {
    let noted = Arc::clone(&order);
    let begun = in_store(&teller, Arc::clone(&settings), move |store, settings| {
        begin(store, &noted.task(settings), &noted.plan, noted.practice, clock::now())
    });
    let begun = match begun.await {
        Ok(Some(begun)) => begun,
        Ok(None) => return Outcome::UsedUp,
        Err(fault) => return Outcome::NotBegun(fault),
    };
    if order.practice == Practice::Rehearsal {
        return Outcome::Done { text: begun.text, kept: Kept::default() };
    }
    let result = act(&order.task(&settings), limit(&order.plan.recipe)).await;
    let (noted, known) = (Arc::clone(&order), begun.clone());
    let ended = in_store(&teller, Arc::clone(&settings), move |store, settings| {
        end(store, &known, &noted.task(settings), &result)
    });
    // It counts, and people are told of it, though the store may not know how it ended.
    let ended = ended.await.unwrap_or(begun);
    told(settings, order, ended, zone, &teller).await
}

/// Gives up.
pub(super) async fn leave(settings: Arc<Settings>, order: Arc<Order>, zone: TimeZone, teller: Teller) -> Outcome {
    let noted = Arc::clone(&order);
    let given_up = in_store(&teller, Arc::clone(&settings), move |store, settings| {
        give_up(store, &noted.task(settings), &noted.plan, noted.practice, clock::now())
    });
    match given_up.await {
        Ok(act) => told(settings, order, act, zone, &teller).await,
        Err(fault) => Outcome::NotBegun(fault),
    }
}

async fn told(
    settings: Arc<Settings>,
    order: Arc<Order>,
    act: ibga_core::act::Act,
    zone: TimeZone,
    teller: &Teller,
) -> Outcome {
    let text = act.text.clone();
    let keeping = teller.run(move || keep_act(&settings, &zone, &act, Some(&order.report)));
    let kept = match keeping {
        Some(keeping) => keeping.await.unwrap_or_default(),
        None => Kept::default(),
    };
    Outcome::Done { text, kept }
}

/// Runs something on the open store, in its thread.
async fn in_store<T: Send + 'static>(
    teller: &Teller,
    settings: Arc<Settings>,
    work: impl FnOnce(&mut Store, &Settings) -> Result<T, crate::store::StoreError> + Send + 'static,
) -> Result<T, String> {
    let done = teller.run(move || {
        let mut store = Store::open(settings.state_dir.as_deref())?;
        work(&mut store, &settings)
    });
    let Some(done) = done else { return Err("too much waits for the store".into()) };
    match done.await {
        Ok(result) => result.map_err(|fault| fault.to_string()),
        Err(_) => Err("the store's thread has ended".into()),
    }
}
