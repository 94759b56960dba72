//! When a gateway may be acted upon to recover it, as an operator would do by hand: the decision alone, over values and a time.
//!
//! Off unless causes are named. An act is a last resort that can do harm: a restart kills the approval that a person is about to
//! give, a login too soon after a reset is dropped in silence, and login after login locks an account out. So whatever is not known
//! counts against it, and what did not help is told instead of repeated.
//!
//! | file | about |
//! |---|---|
//! | `treatment.rs` | which causes may be acted upon, after how long, and why the others never |
//! | `past.rs` | what was done and seen before, safe against a clock that is set back |

mod past;
mod treatment;

use std::fmt;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use crate::cause::{Cause, Status};
use crate::log_hints::LogHintKind;
use crate::observation::{ContainerSeen, ContainerState};
use crate::reset_windows::{DailyReset, last_token_end, resets_between};

pub use past::{Past, Practice};
pub use treatment::{Treatment, treatment};

/// The acts of a day, unless set.
pub const BUDGET: u32 = 3;
/// The most acts of a day that can be set.
pub const BUDGET_MAX: u32 = 20;
/// How long nothing is done after an act, unless set: the old monitor's rule.
pub const PAUSE: SignedDuration = SignedDuration::from_secs(45);

/// The span in which acts are counted.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// How long an approval may take to be asked for, given and taken: a start of up to 3 minutes, three prompts of 2 to 3 minutes each.
const APPROVAL: SignedDuration = SignedDuration::from_mins(10);
/// How far from a reset window nothing is done. A login 8 seconds after one was dropped in silence, one after 8 minutes worked.
const RESET_DISTANCE: SignedDuration = SignedDuration::from_mins(8);
/// From one act to the next while an outage lasts: acts that follow each other faster killed a pending approval.
const SPACING: [SignedDuration; 3] =
    [SignedDuration::from_mins(5), SignedDuration::from_mins(10), SignedDuration::from_mins(15)];
/// Most reset windows that are passed over one behind the other; there are a handful a day.
const WINDOWS_MAX: usize = 32;

/// What the operator wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// For which causes; never empty, and each of them one that [`Recipe::suits`].
    pub causes: Vec<Cause>,
    /// What.
    pub recipe: Recipe,
    /// How often in 24 hours.
    pub budget_per_day: u32,
    /// How long nothing is done after an act.
    pub pause: SignedDuration,
}

impl Plan {
    /// Whether anything may ever be done for this cause.
    pub fn wants(&self, cause: Cause) -> bool {
        self.causes.contains(&cause) && self.recipe.suits(cause)
    }
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// The container is started, as `docker start` does.
    Start,
    /// `docker compose up -d`.
    ComposeUp {
        /// The directory of the project.
        directory: PathBuf,
    },
    /// A program of the operator's.
    Run {
        /// Its path.
        program: PathBuf,
        /// Its arguments; they may hold secrets.
        arguments: Vec<String>,
    },
}

impl Recipe {
    /// Whether it can help against the cause. Starting a container that runs does nothing, and one that is gone cannot be started.
    pub fn suits(&self, cause: Cause) -> bool {
        match (self, treatment(cause)) {
            (_, Treatment::Never(_)) => false,
            (Self::Start, Treatment::After(_)) => cause == Cause::ContainerStopped,
            (Self::ComposeUp { .. }, Treatment::After(_)) => {
                matches!(cause, Cause::ContainerStopped | Cause::ContainerMissing)
            }
            (Self::Run { .. }, Treatment::After(_)) => true,
        }
    }
}

/// As a person would call it; of a program no arguments.
impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("docker start"),
            Self::ComposeUp { directory } => write!(f, "docker compose up -d in {}", directory.display()),
            Self::Run { program, .. } => write!(f, "{}", program.display()),
        }
    }
}

/// What is seen of the gateway now.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The cause that was judged.
    pub cause: Cause,
    /// Since when it has held.
    pub since: Timestamp,
    /// The container.
    pub container: &'a ContainerSeen,
    /// The end of its log.
    pub log: LogSeen,
    /// The time.
    pub now: Timestamp,
}

/// What the end of the container's log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogSeen {
    /// It could not be read, or has no lines.
    Unreadable,
    /// It was read, and ends in no trouble of the login.
    Quiet,
    /// It ends in this trouble.
    Hint(LogHintKind),
}

/// What may be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: the gateway is ready, or nobody wants anything done for this cause.
    NotWanted,
    /// Nothing yet.
    LeaveAlone {
        /// Why.
        why: Why,
        /// When to decide again, if a time alone can change it; else at the next look at the gateway.
        until: Option<Timestamp>,
    },
    /// Act now.
    Act,
    /// The budget is used up and nothing helped: say so, once.
    GiveUp,
}

/// Why a gateway is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The cause has held for too short a time; somebody may be at it, or it goes by itself.
    TooEarly,
    /// There is no container to start.
    NoContainer,
    /// The log ends in a trouble that another login makes worse.
    LoginTrouble,
    /// Somebody may be about to approve a login, which an act would kill.
    ApprovalMayBePending,
    /// The weekly login has ended, or may have: only a person can log in now.
    LoginNeedsPerson,
    /// IBKR resets servers, or did a moment ago, or is about to.
    ResetWindow,
    /// Something was done a moment ago.
    Pause,
    /// Something was done not long ago, and the outage lasts.
    Spacing,
    /// Nothing helped, which was told, and the gateway was not ready since.
    GivenUp,
    /// As much was done in the last 24 hours as may be.
    BudgetUsed,
}

impl Why {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::TooEarly,
        Self::NoContainer,
        Self::LoginTrouble,
        Self::ApprovalMayBePending,
        Self::LoginNeedsPerson,
        Self::ResetWindow,
        Self::Pause,
        Self::Spacing,
        Self::GivenUp,
        Self::BudgetUsed,
    ];

    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooEarly => "too_early",
            Self::NoContainer => "no_container",
            Self::LoginTrouble => "login_trouble",
            Self::ApprovalMayBePending => "approval_may_be_pending",
            Self::LoginNeedsPerson => "login_needs_person",
            Self::ResetWindow => "reset_window",
            Self::Pause => "pause",
            Self::Spacing => "spacing",
            Self::GivenUp => "given_up",
            Self::BudgetUsed => "budget_used",
        }
    }
}

/// In words, behind "left alone: ".
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooEarly => "it has not lasted long enough",
            Self::NoContainer => "there is no container that could be started",
            Self::LoginTrouble => "the container's log tells of a login that failed, which another one makes worse",
            Self::ApprovalMayBePending => "a login may be waiting for its approval, which an act would end",
            Self::LoginNeedsPerson => "the weekly login has ended or may have, so only a person can log in",
            Self::ResetWindow => "IBKR resets servers within 8 minutes of now, when a login is dropped in silence",
            Self::Pause => "something was done a moment ago",
            Self::Spacing => "something was done a few minutes ago, and restarts in a row do harm",
            Self::GivenUp => "what was done has not helped, and the gateway was not ready since",
            Self::BudgetUsed => "as much was done in the last 24 hours as may be",
        })
    }
}

/// Whether to act upon a gateway now. Called at each judged look that finds it not ready, and when a decision says so.
///
/// `past` is brought up to the time first ([`Past::settle`]); nothing else in it changes.
pub fn decide(plan: &Plan, seen: &Seen<'_>, past: &mut Past, resets: &[DailyReset]) -> Decision {
    past.settle(seen.now);
    if !plan.wants(seen.cause) {
        return Decision::NotWanted;
    }
    let kept_back = too_early(seen)
        .or_else(|| the_container(plan, seen))
        .or_else(|| the_login(seen, past))
        .or_else(|| the_reset(resets, seen.now))
        .or_else(|| the_last_act(plan, past, seen.now));
    match kept_back {
        Some((why, until)) => Decision::LeaveAlone { why, until },
        None => within_budget(plan, past, seen.now),
    }
}

/// Why nothing is done, and until when if the time alone decides.
type KeptBack = Option<(Why, Option<Timestamp>)>;

fn too_early(seen: &Seen<'_>) -> KeptBack {
    let Treatment::After(held) = treatment(seen.cause) else { return None };
    wait(Why::TooEarly, seen.since, held, seen.now)
}

/// Keeps back until so long after an instant.
fn wait(why: Why, from: Timestamp, span: SignedDuration, now: Timestamp) -> KeptBack {
    // What lies in the future was before the clock was set back; it counts as now.
    let until = from.min(now).saturating_add(span).ok()?;
    (now < until).then_some((why, Some(until)))
}

fn the_container(plan: &Plan, seen: &Seen<'_>) -> KeptBack {
    let is_there = matches!(seen.container, ContainerSeen::Found { .. });
    (plan.recipe == Recipe::Start && !is_there).then_some((Why::NoContainer, None))
}

/// What a login under way, or one that failed, forbids.
fn the_login(seen: &Seen<'_>, past: &Past) -> KeptBack {
    match seen.log {
        LogSeen::Hint(LogHintKind::TwoFactorPending) if !is_down(seen) => {
            return Some((Why::ApprovalMayBePending, None));
        }
        // What waited in a container that is down waits no more.
        LogSeen::Hint(LogHintKind::TwoFactorPending) | LogSeen::Quiet | LogSeen::Unreadable => {}
        LogSeen::Hint(LogHintKind::LoginFailed | LogHintKind::LoginLockedOut | LogHintKind::SessionElsewhere) => {
            return Some((Why::LoginTrouble, None));
        }
    }
    if is_down(seen) || !may_be_logging_in(seen.cause) {
        return None;
    }
    let asks_a_person = past.last_authenticated().is_none_or(|at| last_token_end(seen.now).is_none_or(|end| at < end));
    let unreadable = (seen.log == LogSeen::Unreadable).then_some((Why::ApprovalMayBePending, None));
    let is_recent = wait(Why::ApprovalMayBePending, seen.since, APPROVAL, seen.now);
    unreadable.or(is_recent).or(asks_a_person.then_some((Why::LoginNeedsPerson, None)))
}

/// Whether no login can be under way, since the container does not run. What is not known of it may run.
fn is_down(seen: &Seen<'_>) -> bool {
    match seen.container {
        ContainerSeen::Missing { .. } | ContainerSeen::Found { state: ContainerState::Stopped, .. } => true,
        ContainerSeen::Found { .. }
        | ContainerSeen::NotChecked
        | ContainerSeen::Unknown
        | ContainerSeen::Unavailable(_) => seen.cause == Cause::ContainerMissing,
    }
}

/// Whether the gateway may be logging in: its API has shown nobody who is.
fn may_be_logging_in(cause: Cause) -> bool {
    matches!(cause.status(), Status::NotAuthenticated | Status::NotConnected | Status::ContainerDown)
        || cause == Cause::ClientRejected
}

/// The end of the reset windows around an instant, with the distance that is kept from them.
fn the_reset(resets: &[DailyReset], now: Timestamp) -> KeptBack {
    let mut clear = now;
    // Each further window may begin before the distance from the last one has passed.
    for _ in 0..WINDOWS_MAX {
        match end_of_reset(resets, clear) {
            Some(end) => clear = end,
            None => break,
        }
    }
    (clear > now).then_some((Why::ResetWindow, Some(clear)))
}

fn end_of_reset(resets: &[DailyReset], instant: Timestamp) -> Option<Timestamp> {
    // No window is longer than a day.
    let from = instant.saturating_sub(DAY + RESET_DISTANCE).ok()?;
    let until = instant.saturating_add(RESET_DISTANCE).ok()?.saturating_add(SignedDuration::from_nanos(1)).ok()?;
    let ends = resets_between(resets, from, until)
        .into_iter()
        .filter_map(|window| window.ends.saturating_add(RESET_DISTANCE).ok())
        .filter(|end| *end > instant);
    ends.max()
}

fn the_last_act(plan: &Plan, past: &Past, now: Timestamp) -> KeptBack {
    let last = past.last_act()?;
    let of_outage = past.acts_of_outage(now.saturating_sub(DAY).unwrap_or(now));
    let spacing = of_outage.checked_sub(1).map(|before| SPACING.get(before).or(SPACING.last()).copied());
    let spaced = spacing.flatten().and_then(|spacing| wait(Why::Spacing, last, spacing, now));
    // The pause runs from the end of the act, the spacing from its beginning.
    wait(Why::Pause, past.last_end().unwrap_or(last), plan.pause, now).or(spaced)
}

fn within_budget(plan: &Plan, past: &Past, now: Timestamp) -> Decision {
    let day_ago = now.saturating_sub(DAY).unwrap_or(now);
    let leave_alone = |why, until| Decision::LeaveAlone { why, until };
    if past.has_given_up() {
        return leave_alone(Why::GivenUp, None);
    }
    let acts = past.acts_since(day_ago);
    let budget = usize::try_from(plan.budget_per_day).unwrap_or(usize::MAX);
    if acts.len() < budget {
        return Decision::Act;
    }
    let told = past.given_up_at().is_some_and(|at| at > day_ago);
    if !told {
        return Decision::GiveUp;
    }
    // The one with whose end the day holds fewer than may be.
    let leaves = acts.len().checked_sub(budget).and_then(|surplus| acts.get(surplus));
    leave_alone(Why::BudgetUsed, leaves.and_then(|at| at.saturating_add(DAY).ok()))
}

#[cfg(test)]
mod tests;
