//! `ibga alert`: try the way to a person, show what waits and what was sent, push it, and say that a problem is known.

use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use ibga_core::alert::{self as policy, Kind, Memory};
use ibga_core::clock;
use ibga_core::secure_file::{self, Trust};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::preflight::pretty;
use super::{CommonArgs, Exit, offered, settings};
use crate::alert::channel::{ChannelName, SEND_LIMIT};
use crate::alert::outbox::Attempt;
use crate::alert::post::{Post, hours, is_put_aside};
use crate::check::{endpoint, writer};
use crate::output::{self, Output, printable};
use crate::settings::Settings;
use crate::store::{DeliveryState, Listed, ListedDelivery, Patience, Store};
use crate::users::{self, USERS};

/// The longest that all of the outbox may take when somebody waits for it.
const FLUSH_LIMIT: Duration = Duration::from_mins(2);

/// The longest that a trial may take: all channels at once.
const TEST_LIMIT: Duration = SEND_LIMIT.saturating_add(Duration::from_secs(5));

const AFTER_HELP: &str = "\
Examples:
  ibga alert test                    send one on every channel, show what each server answers
  ibga alert test --channel email    on one
  ibga alert list                    what was sent, what waits and why
  ibga alert flush                   send what waits, now
  ibga alert ack                     the problem is known: no reminders until it changes

`ibga check` and `ibga run --refresh-status` tell people when the verdict changes, `ibga run` when an agent was not started. Channels are set in ibga.toml \
or the environment (docs/alerts.md); there is none by default.

Exit codes: 0 done, 1 a channel failed or there is nothing to acknowledge, 2 wrong usage or configuration.";

const TEST_HELP: &str = "\
Examples:
  ibga alert test                            on every channel
  ibga alert test --channel email --json     on one, for a program

It goes the way of every alert, through the outbox, and is not repeated if it fails.

Exit codes: 0 every channel accepted it, 1 one did not, 2 wrong usage or configuration.";

const LIST_HELP: &str = "\
Examples:
  ibga alert list                                                 the last 20, the newest at the end
  ibga alert list --json | jq '.alerts[].deliveries[] | select(.state == \"waiting\")'

Of each alert it tells what became of it on each channel, with what the server said last.

Exit codes: 0 shown, 1 the store cannot be read, 2 wrong usage or configuration.";

const FLUSH_HELP: &str = "\
Examples:
  ibga alert flush           after the mail server was repaired

A failed message is tried again by the checks after 1 minute, then 2, 4, up to 60. This tries everything that waits now.

Exit codes: 0 nothing waits any more, 1 something still does, 2 wrong usage or configuration.";

const ACK_HELP: &str = "\
Examples:
  ibga alert ack                  the problem of this gateway
  ibga alert ack 12 --by anna     what alert 12 told, unless it is over

Exit codes: 0 done, 1 there is nothing to acknowledge, 2 wrong usage or configuration.";

/// Try, show and push alerts; acknowledge a problem
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct AlertArgs {
    #[command(subcommand)]
    command: AlertCommand,
}

#[derive(Debug, Subcommand)]
enum AlertCommand {
    Test(TestArgs),
    List(ListArgs),
    Flush(FlushArgs),
    Ack(AckArgs),
}

/// Send a test message and show what each server answers
#[derive(Debug, Args)]
#[command(after_help = TEST_HELP)]
struct TestArgs {
    /// Channel to try (repeatable) [default: all that are set]
    #[arg(long = "channel", value_name = "CHANNEL", value_parser = offered::channels(), hide_possible_values = true)]
    channels: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonArgs,
}

/// Show what was sent and what waits
#[derive(Debug, Args)]
#[command(after_help = LIST_HELP)]
struct ListArgs {
    /// How many alerts, the newest [default: 20]
    #[arg(long, value_name = "COUNT", default_value_t = 20, hide_default_value = true)]
    last: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonArgs,
}

/// Send what waits, now
#[derive(Debug, Args)]
#[command(after_help = FLUSH_HELP)]
struct FlushArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonArgs,
}

/// Say that the problem is known: no reminders and no escalation until it changes
#[derive(Debug, Args)]
#[command(after_help = ACK_HELP)]
struct AckArgs {
    /// Number of an alert, as `ibga alert list` shows it [default: the newest problem]
    id: Option<i64>,
    /// Who knows of it [default: this user]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    #[command(flatten)]
    common: CommonArgs,
}

pub(super) fn run(arguments: &AlertArgs) -> Exit {
    match &arguments.command {
        AlertCommand::Test(arguments) => test(arguments),
        AlertCommand::List(arguments) => list(arguments),
        AlertCommand::Flush(arguments) => flush(arguments),
        AlertCommand::Ack(arguments) => ack(arguments),
    }
    .unwrap_or_else(|exit| exit)
}

/// The settings, if somebody is to be told at all.
fn with_channels(common: &CommonArgs) -> Result<Settings, Exit> {
    let settings = settings(&common.flags(), common.output())?;
    if settings.alerts.channels.is_empty() {
        output::fault("no channel is set; set alert_email and smtp_host, or another one of docs/alerts.md");
        return Err(Exit::Usage);
    }
    Ok(settings)
}

fn test(arguments: &TestArgs) -> Result<Exit, Exit> {
    let settings = with_channels(&arguments.common)?;
    let wanted = chosen(&arguments.channels, &settings)?;
    let (zone, now) = (TimeZone::system(), clock::now());
    let hours = hours(&settings, now);
    let alert = policy::test(settings.gateway.as_str(), &endpoint(&settings), &writer().host, &hours, now);
    let mut post = Post::of_alert(&settings, &zone, &alert, &wanted);
    let attempts = post.deliver(Patience::PassedOver, TEST_LIMIT);
    // Nobody wants a trial that failed to arrive hours later.
    post.give_up(&alert.key, "a trial is not repeated");
    let of_test: Vec<Attempt> = attempts.into_iter().filter(|attempt| attempt.alert.key == alert.key).collect();
    let untried: Vec<ChannelName> =
        wanted.into_iter().filter(|name| !of_test.iter().any(|attempt| attempt.channel == *name)).collect();
    tell(&of_test, &untried, arguments.json, arguments.common.output());
    warn(&mut post);
    Ok(if untried.is_empty() { exit(&of_test) } else { Exit::No })
}

/// The channels that are meant, each of which has to be set.
fn chosen(words: &[String], settings: &Settings) -> Result<Vec<ChannelName>, Exit> {
    let set: Vec<ChannelName> = settings.alerts.channels.iter().map(crate::settings::ChannelSettings::name).collect();
    if words.is_empty() {
        return Ok(set);
    }
    let names = set.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    words
        .iter()
        .map(|word| {
            ChannelName::from_word(word).filter(|name| set.contains(name)).ok_or_else(|| {
                output::fault(&format!("--channel: `{}` is not set; set are: {names}", printable(word)));
                Exit::Usage
            })
        })
        .collect()
}

fn flush(arguments: &FlushArgs) -> Result<Exit, Exit> {
    let settings = with_channels(&arguments.common)?;
    let zone = TimeZone::system();
    let mut post = Post::of_what_waits(&settings, &zone);
    let attempts = post.deliver(Patience::PassedOver, FLUSH_LIMIT);
    let output = arguments.common.output();
    let left = post.still_waiting();
    if attempts.is_empty() && left == Some(0) && !arguments.json {
        output.data("nothing waits");
    } else {
        tell(&attempts, &[], arguments.json, output);
    }
    warn(&mut post);
    match left {
        Some(0) => return Ok(exit(&attempts)),
        Some(left) => output::fault(&format!("still waiting: {left}; another process is sending, or a channel failed")),
        None => output::fault("what waits in the store cannot be told"),
    }
    Ok(Exit::No)
}

/// What each server said.
fn tell(attempts: &[Attempt], untried: &[ChannelName], json: bool, output: Output) {
    if json {
        let tried = attempts.iter().map(|attempt| {
            json!({
                "channel": attempt.channel.as_str(),
                "key": attempt.alert.key,
                "accepted": attempt.result.is_ok(),
                "answer": answer(attempt),
            })
        });
        let left = untried.iter().map(|name| json!({"channel": name.as_str(), "accepted": false, "answer": BUSY}));
        output.document(&pretty(&Value::Array(tried.chain(left).collect())));
        return;
    }
    for attempt in attempts {
        let what = if attempt.result.is_ok() { "accepted" } else { "FAILED" };
        let (channel, alert) = (attempt.channel.as_str(), attempt.alert.subject);
        output.data(&format!("{channel:<13} {what:<9} {alert}: {}", answer(attempt)));
    }
    for name in untried {
        output.data(&format!("{:<13} {:<9} {BUSY}", name.as_str(), "FAILED"));
    }
}

/// Why a channel was not tried.
const BUSY: &str = "not tried: another process is sending on it, or what waits before it failed (`ibga alert list`)";

fn answer(attempt: &Attempt) -> String {
    attempt.result.as_ref().map_or_else(ToString::to_string, |receipt| receipt.as_str().to_owned())
}

fn exit(attempts: &[Attempt]) -> Exit {
    if attempts.iter().all(|attempt| attempt.result.is_ok()) { Exit::Yes } else { Exit::No }
}

fn warn(post: &mut Post<'_>) {
    for warning in post.take_warnings() {
        output::fault(&format!("warning: {}", printable(&warning)));
    }
}

fn list(arguments: &ListArgs) -> Result<Exit, Exit> {
    let settings = settings(&arguments.common.flags(), arguments.common.output())?;
    let gateway = settings.gateway.as_str();
    let looked = Store::open_existing(settings.state_dir.as_deref()).and_then(|store| match store {
        Some(store) => Ok((store.list(Some(gateway), arguments.last)?, store.remembered(gateway)?.memory)),
        None => Ok((Vec::new(), None)),
    });
    let (listed, memory) = looked.map_err(|fault| {
        output::fault(&format!("the store of alerts: {fault}"));
        Exit::No
    })?;
    let output = arguments.common.output();
    let page = Page { gateway, zone: TimeZone::system() };
    if arguments.json {
        output.document(&pretty(&page.document(&listed, memory.as_ref())));
    } else {
        output.data(&page.text(&listed, memory.as_ref()));
    }
    Ok(Exit::Yes)
}

struct Page<'a> {
    gateway: &'a str,
    zone: TimeZone,
}

impl Page<'_> {
    fn text(&self, listed: &[Listed], memory: Option<&Memory>) -> String {
        let mut lines: Vec<String> = memory.map(|memory| self.state(memory)).into_iter().collect();
        if listed.is_empty() {
            lines.push("no alert so far".into());
        }
        for one in listed {
            let (alert, at) = (&one.alert, self.time(one.alert.at));
            let reasons = alert.reasons.iter().map(|reason| printable(&reason.code));
            let cause = alert.cause.filter(|_| alert.reasons.is_empty()).map(|cause| cause.code().to_owned());
            let about: Vec<String> =
                std::iter::once(alert.kind.code().to_owned()).chain(cause).chain(reasons).collect();
            lines.push(format!("#{:<4} {at}  {} ({})", one.id, alert.subject, about.join(", ")));
            lines.extend(one.deliveries.iter().map(|delivery| self.delivery(delivery)));
        }
        lines.join("\n")
    }

    fn state(&self, memory: &Memory) -> String {
        let state = memory.state().map_or_else(|| "unknown".into(), |state| state.to_string());
        let known = memory
            .acknowledged()
            .map(|known| format!(", acknowledged by {} at {}", printable(&known.by), self.time(known.at)));
        format!("{}: {state} since {}{}", self.gateway, self.time(memory.since()), known.unwrap_or_default())
    }

    fn delivery(&self, delivery: &ListedDelivery) -> String {
        let answer = delivery.answer.as_deref().map(|answer| format!(": {}", printable(answer))).unwrap_or_default();
        let ended = delivery.ended_at.map(|at| format!(" {}", self.time(at))).unwrap_or_default();
        let state = match (delivery.state, delivery.attempts) {
            (DeliveryState::Waiting, 0) => "waiting".to_owned(),
            (DeliveryState::Waiting, tried) => {
                format!("waiting, tried {}, again from {}", times(tried), self.time(delivery.due_at))
            }
            (state, _) => format!("{}{ended}", state.as_str()),
        };
        format!("      {:<13}{state}{answer}", printable(&delivery.channel))
    }

    fn time(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
    }

    fn document(&self, listed: &[Listed], memory: Option<&Memory>) -> Value {
        let alerts = listed.iter().map(|one| {
            let deliveries = one.deliveries.iter().map(|delivery| {
                json!({
                    "channel": delivery.channel,
                    "state": delivery.state.as_str(),
                    "attempts": delivery.attempts,
                    "due_at": delivery.due_at.to_string(),
                    "ended_at": delivery.ended_at.map(|at| at.to_string()),
                    "answer": delivery.answer,
                })
            });
            json!({
                "id": one.id,
                "alert": serde_json::to_value(&one.alert).unwrap_or_default(),
                "deliveries": deliveries.collect::<Vec<_>>(),
            })
        });
        json!({
            "gateway": self.gateway,
            "state": memory.and_then(Memory::state).map(|state| state.to_string()),
            "since": memory.map(|memory| memory.since().to_string()),
            "acknowledged": memory.and_then(Memory::acknowledged)
                .map(|known| json!({"by": known.by, "at": known.at.to_string()})),
            "alerts": alerts.collect::<Vec<_>>(),
        })
    }
}

fn times(count: i64) -> String {
    if count == 1 { "once".into() } else { format!("{count} times") }
}

fn ack(arguments: &AckArgs) -> Result<Exit, Exit> {
    let settings = settings(&arguments.common.flags(), arguments.common.output())?;
    let gateway = settings.gateway.as_str();
    let no = |text: String| {
        output::fault(&text);
        Exit::No
    };
    if is_put_aside(&settings) {
        // What the store remembers is older until it has taken this in.
        drop(Post::of_what_waits(&settings, &TimeZone::system()));
    }
    let store = Store::open_existing(settings.state_dir.as_deref()).map_err(|fault| no(fault.to_string()))?;
    let mut store = store.ok_or_else(|| no("there is nothing to acknowledge: no alert so far".into()))?;
    let since = match arguments.id {
        Some(id) => {
            let alert = store.alert(id, gateway).map_err(|fault| no(fault.to_string()))?;
            let unknown = || no(format!("there is no alert {id} of gateway {gateway}; `ibga alert list` shows them"));
            let alert = alert.ok_or_else(unknown)?;
            match alert.kind {
                Kind::Problem | Kind::Reminder | Kind::Escalation => Some(alert.since),
                // Of the changes, whichever it is at.
                Kind::Flapping | Kind::Settled => None,
                Kind::Recovery | Kind::NoGo | Kind::Act | Kind::Test => {
                    return Err(no(format!("alert {id} tells of no problem that could be acknowledged")));
                }
            }
        }
        None => None,
    };
    let by = arguments.by.clone().unwrap_or_else(user);
    let now = clock::now();
    let known = store.change_memory(gateway, |memory| {
        let is_meant = since.is_none_or(|since| since == memory.since());
        if is_meant { policy::acknowledge(memory, &by, now) } else { None }
    });
    match known.map_err(|fault| no(fault.to_string()))? {
        Some(memory) => {
            let state = memory.state().map(|state| state.to_string()).unwrap_or_default();
            let text = format!("{gateway}: {state} is known to {}; no reminders until it changes", printable(&by));
            arguments.common.output().data(&text);
            Ok(Exit::Yes)
        }
        None if since.is_some() => Err(no("there is nothing to acknowledge: what that alert told is over".into())),
        None => Err(no(format!("there is nothing to acknowledge: {gateway} is ready, or nothing was told of it"))),
    }
}

/// Who types this; behind `sudo`, the person and not root.
fn user() -> String {
    let person = std::env::var("SUDO_USER").ok().filter(|name| !name.is_empty());
    let id = rustix::process::getuid().as_raw();
    let named = || {
        let text = secure_file::read(Path::new(USERS), &Trust::default()).ok()?;
        users::with_id(id, &text).map(|user| user.name)
    };
    person.or_else(named).unwrap_or_else(|| format!("user {id}"))
}
