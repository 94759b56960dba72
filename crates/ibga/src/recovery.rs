//! The edge of recovery: reads what was done before, notes an act, does it, and notes what came of it. Whether to act is decided by
//! [`ibga_core::recovery::decide`].
//!
//! Whoever watches calls, in this order and each of them once for an act: [`begin`], [`act`], [`end`]. An act is in the store before
//! it is done, so that one whose process is killed in between still counts. Where the store cannot be read or written, nothing is
//! done.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use ibga_core::act::Act;
use ibga_core::cause::Cause;
use ibga_core::log_hints::{last_hint, masked};
use ibga_core::observation::ContainerSeen;
use ibga_core::recovery::{LogSeen, Past, Plan, Practice, Recipe};
use jiff::{SignedDuration, Timestamp};
use tokio::process::Command;

use crate::alert::channel::Veil;
use crate::docker::{self, Answer, ContainerName, EngineAddress, EngineError, EngineSettings, Selector};
use crate::output::printable;
use crate::process::{Group, LAST_WORDS_LIMIT, LastWords};
use crate::store::{Store, StoreError};

/// How many of the newest acts are looked at for those of the last day.
const ACTS_READ_MAX: usize = 500;
/// How many lines of the log are looked at for hints, as a check does.
const LOG_LINES: usize = 40;
/// The longest line of a program that is kept, in characters.
const LINE_CHARS_MAX: usize = 300;
/// Values of options shorter than this are not hidden where a program repeats them; hiding `up` would hide nothing.
const HIDDEN_CHARS_MIN: usize = 4;

/// Who acts, as the history tells it.
const BY: &str = "ibga";

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// The name of the gateway.
    pub gateway: &'a str,
    /// What.
    pub recipe: &'a Recipe,
    /// Why.
    pub cause: Cause,
    /// Since when.
    pub since: Timestamp,
    /// The container, if one was found.
    pub container: &'a ContainerSeen,
}

/// Why it could not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// No container was found that could be started.
    #[error("there is no container to start; name it (container) or use another recipe (recover_with)")]
    NoContainer,
    /// The engine did not do it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The program could not be started.
    #[error("cannot start {program}: {text}")]
    NotStarted {
        /// The program.
        program: String,
        /// Why, in the system's words.
        text: String,
    },
    /// The program failed.
    #[error("{program} failed ({end}){words}")]
    Failed {
        /// The program.
        program: String,
        /// Its exit code, or the signal that ended it.
        end: String,
        /// Its last line, masked, behind `: `.
        words: String,
    },
    /// The program took too long, and was ended with everything that it started.
    #[error("{program} did not end within {limit:?} and was ended{words}")]
    TimedOut {
        /// The program.
        program: String,
        /// The time that it had.
        limit: Duration,
        /// Its last line, masked, behind `: `.
        words: String,
    },
}

/// How long an act may take: compose may have an image to fetch.
pub fn limit(recipe: &Recipe) -> Duration {
    match recipe {
        Recipe::Start => Duration::from_secs(30),
        Recipe::ComposeUp { .. } => Duration::from_mins(3),
        Recipe::Run { .. } => Duration::from_mins(1),
    }
}

/// What was done about a gateway, and when it was ready, as the store knows it.
///
/// # Errors
/// The store cannot be read; then nothing may be done.
pub fn past(store: &Store, gateway: &str, practice: Practice) -> Result<Past, StoreError> {
    let acts = store.acts(Some(gateway), ACTS_READ_MAX)?;
    let mut past = Past::of(&acts, practice);
    if let Some(ready) = store.last_ready(gateway)? {
        past.was_ready(ready);
    }
    Ok(past)
}

/// What the end of the container's log says, whether it runs or not; ends within the limit.
pub async fn log_seen(container: &ContainerSeen, limit: Duration) -> LogSeen {
    let ContainerSeen::Found { name, .. } = container else { return LogSeen::Unreadable };
    let Ok(name) = name.parse::<ContainerName>() else { return LogSeen::Unreadable };
    match tokio::time::timeout(limit, log_lines(name, limit)).await {
        Ok(Ok(lines)) if !lines.is_empty() => last_hint(&lines).map_or(LogSeen::Quiet, |hint| LogSeen::Hint(hint.kind)),
        // A log without a line may be kept elsewhere.
        Ok(Ok(_) | Err(_)) | Err(_) => LogSeen::Unreadable,
    }
}

async fn log_lines(name: ContainerName, limit: Duration) -> Result<Vec<String>, EngineError> {
    let address = EngineAddress::find(&EngineSettings::from_environment())?;
    match docker::inspect(&Selector::Named(name), &address, limit).await? {
        Answer::Found(container) => docker::log_tail(&container, LOG_LINES, &address, limit).await,
        Answer::Absent => Ok(Vec::new()),
    }
}

/// Notes an act before it is done, or, in a rehearsal, that it would be done now. `None` if another process has used up the budget
/// meanwhile.
///
/// # Errors
/// The store cannot be written; then it must not be done.
pub fn begin(
    store: &mut Store,
    task: &Task<'_>,
    plan: &Plan,
    practice: Practice,
    now: Timestamp,
) -> Result<Option<Act>, StoreError> {
    let what = what(task);
    let text = match practice {
        Practice::Real => format!("{what}; how it ended is not known"),
        Practice::Rehearsal => format!("would have done: {what}"),
    };
    let act = Act { gateway: Some(task.gateway.to_owned()), at: now, kind: practice.kind(), by: BY.into(), text };
    let day_ago = now.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(now);
    Ok(store.note_act_within(&act, day_ago, plan.budget_per_day)?.then_some(act))
}

/// Notes what came of an act. Returns it as it stands in the store now, for [`crate::alert::post::Post::of_act`].
///
/// # Errors
/// The store cannot be written. The act counts all the same.
pub fn end(
    store: &mut Store,
    begun: &Act,
    task: &Task<'_>,
    result: &Result<String, RecoveryError>,
) -> Result<Act, StoreError> {
    let came_of_it = result.as_ref().map_or_else(|fault| format!("FAILED: {fault}"), Clone::clone);
    let ended = Act { text: format!("{}; {came_of_it}", what(task)), ..begun.clone() };
    store.end_act(&ended)?;
    Ok(ended)
}

/// Notes that nothing helped. Returns the act, which people are told in reality and not in a rehearsal.
///
/// # Errors
/// The store cannot be written.
pub fn give_up(
    store: &mut Store,
    task: &Task<'_>,
    plan: &Plan,
    practice: Practice,
    now: Timestamp,
) -> Result<Act, StoreError> {
    let times = if plan.budget_per_day == 1 { "once".into() } else { format!("{} times", plan.budget_per_day) };
    let why = format!("{} was done {times} in 24 hours, and it is {} still", task.recipe, task.cause);
    let text = match practice {
        Practice::Real => format!("{why}; nothing more is done until it was ready again"),
        Practice::Rehearsal => format!("would have given up: {why}"),
    };
    let gateway = Some(task.gateway.to_owned());
    let act = Act { gateway, at: now, kind: practice.kind_of_giving_up(), by: BY.into(), text: one_line(&text) };
    store.note_act(&act)?;
    Ok(act)
}

/// What is done and why, in one line.
fn what(task: &Task<'_>) -> String {
    let what = match (task.recipe, task.container) {
        (Recipe::Start, ContainerSeen::Found { name, .. }) => format!("{} {name}", task.recipe),
        _ => task.recipe.to_string(),
    };
    let since = task.since.strftime("%Y-%m-%d %H:%M:%SZ");
    one_line(&format!("{what}, since {} has lasted from {since}", task.cause))
}

fn one_line(text: &str) -> String {
    masked(&printable(text))
}

/// Does it. Returns in a few words what came of it; whether it helped, the next look at the gateway tells.
///
/// # Errors
/// It could not be done, failed, or took longer than the limit; then everything that it started was ended.
pub async fn act(task: &Task<'_>, limit: Duration) -> Result<String, RecoveryError> {
    match task.recipe {
        Recipe::Start => start(task.container, limit).await,
        Recipe::ComposeUp { directory } => {
            let mut command = Command::new("docker");
            command.args(["compose", "--project-directory"]).arg(directory).args(["up", "-d"]).current_dir(directory);
            run("docker compose", command, &[], task, limit).await
        }
        Recipe::Run { program, arguments } => {
            let mut command = Command::new(program);
            command.args(arguments);
            run(&program.display().to_string(), command, arguments, task, limit).await
        }
    }
}

async fn start(container: &ContainerSeen, limit: Duration) -> Result<String, RecoveryError> {
    let ContainerSeen::Found { name, .. } = container else { return Err(RecoveryError::NoContainer) };
    let name: ContainerName = name.parse().map_err(|_| RecoveryError::NoContainer)?;
    let address = EngineAddress::find(&EngineSettings::from_environment())?;
    docker::start(&name, &address, limit).await?;
    Ok("started".into())
}

async fn run(
    program: &str,
    mut command: Command,
    hidden: &[String],
    task: &Task<'_>,
    limit: Duration,
) -> Result<String, RecoveryError> {
    let container = match task.container {
        ContainerSeen::Found { name, .. } => name.as_str(),
        _ => "",
    };
    command
        .env("IBGA_GATEWAY", task.gateway)
        .env("IBGA_CAUSE", task.cause.code())
        .env("IBGA_CONTAINER", container)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let program = printable(program);
    let mut child = command
        .spawn()
        .map_err(|fault| RecoveryError::NotStarted { program: program.clone(), text: fault.to_string() })?;
    let group = Group::of(&child);
    let (mut said, mut complained) = (LastWords::new(child.stdout.take()), LastWords::new(child.stderr.take()));
    let ended = {
        let listening = async { tokio::join!(said.listen(), complained.listen()) };
        let ending = async {
            tokio::select! {
                status = child.wait() => status,
                _ = listening => child.wait().await,
            }
        };
        tokio::time::timeout(limit, ending).await
    };
    match ended {
        // What it started is the gateway, perhaps.
        Ok(_) => group.release(),
        Err(_) => drop(group),
    }
    let _ = tokio::time::timeout(LAST_WORDS_LIMIT, async { tokio::join!(said.listen(), complained.listen()) }).await;
    let words = last_words(&[complained.last_line(), said.last_line()], hidden);
    match ended {
        Ok(Ok(status)) if status.success() => Ok(format!("it ended with exit code 0{words}")),
        Ok(Ok(status)) => Err(RecoveryError::Failed { program, end: end_of(status), words }),
        Ok(Err(fault)) => Err(RecoveryError::Failed { program, end: fault.to_string(), words }),
        Err(_) => Err(RecoveryError::TimedOut { program, limit, words }),
    }
}

fn end_of(status: ExitStatus) -> String {
    status.code().map_or_else(|| printable(&status.to_string()), |code| format!("exit code {code}"))
}

/// The first of the lines that says anything, as it may be told to everybody.
fn last_words(lines: &[String], hidden: &[String]) -> String {
    let mut veil = Veil::default();
    for (before, argument) in std::iter::once("").chain(hidden.iter().map(String::as_str)).zip(hidden) {
        veil.hide_line(argument);
        // The value of an option may be a token.
        if before.starts_with('-') && argument.chars().count() >= HIDDEN_CHARS_MIN {
            veil.hide(argument);
        }
    }
    let line = lines.iter().find(|line| !line.is_empty()).map(|line| one_line(&veil.draw(line)));
    let cut: Option<String> = line.map(|line| line.chars().take(LINE_CHARS_MAX).collect());
    cut.filter(|line| !line.is_empty()).map(|line| format!(": {line}")).unwrap_or_default()
}
