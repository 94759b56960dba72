//! From a report, or a no-go, to messages that are on their way: the policy is asked, what comes of it goes into the store in one
//! transaction, and what is due goes out. Where the store cannot be used it is put aside and goes out all the same.
//!
//! Called after the status file was written, and never keeps anybody from reading that.

use std::cell::RefCell;
use std::fs::File;
use std::time::Duration;

use ibga_core::act::Act;
use ibga_core::alert::{self, Acted, Alert, Audience, Hours, Memory, NoGo, Policy, Trading};
use ibga_core::cause::Status;
use ibga_core::clock;
use ibga_core::gate::Decision;
use ibga_core::log_hints::masked;
use ibga_core::report::Report;
use ibga_core::transition::State;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::aside::{Aside, Letter, Places};
use super::channel::{self, Channel, ChannelName, Surroundings};
use super::message::{Message, Templates};
use super::outbox::{self, Attempt, Round};
use crate::check::{self, block_on, endpoint, trust};
use crate::market::{calendars, market};
use crate::settings::{AlertSettings, Settings};
use crate::store::{self, BUSY_LIMIT, Outcome, Patience, Remembered, Store};

/// Who makes the reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reporter {
    /// A check now and then: whatever it finds has lasted.
    Check,
    /// A watch, which sees every moment and keeps the history.
    Watch,
}

/// How long a cause has to hold before a watch tells of it while no trading session is near, unless that is set.
const WATCH_AFTER: Duration = Duration::from_mins(3);

/// How long it has to hold in any case.
pub(crate) const WATCH_SETTLES: Duration = Duration::from_secs(5);

/// The alerts of one gateway in this process.
pub struct Post<'a> {
    settings: &'a Settings,
    zone: &'a TimeZone,
    place: Place,
    /// Keeps other processes from what is put aside, as long as they have time to wait.
    _lock: Option<File>,
    channels: Vec<Box<dyn Channel>>,
    templates: Templates,
    /// What a person has to know of the store and the templates.
    warnings: Vec<String>,
}

/// Where messages wait.
enum Place {
    /// In the store.
    Store(Store),
    /// Beside it, since it cannot be used.
    Aside(Aside),
}

/// A no-go of `ibga run`.
#[derive(Clone, Copy, Debug)]
pub struct NoGoSeen<'a> {
    /// Why.
    pub decision: &'a Decision,
    /// The report that it went by, if there was one.
    pub report: Option<&'a Report>,
    /// What to do.
    pub remedies: &'a [String],
}

impl<'a> Post<'a> {
    /// Takes a report in. `None` if nobody is to be told of anything: all is well and was before, or no channel is set and the report is
    /// that of a check.
    pub fn of_report(
        settings: &'a Settings,
        zone: &'a TimeZone,
        report: &Report,
        previous: Option<&Report>,
        store_limit: Duration,
        by: Reporter,
    ) -> Option<Self> {
        let now = clock::now();
        let is_heard = by == Reporter::Watch || !settings.alerts.channels.is_empty();
        if !is_heard || (report.status == Status::Ready && nothing_waits(settings)) {
            return None;
        }
        let (policy, hours) = (policy(&settings.alerts, by), hours(settings, now));
        // A store that is gone, or was never there, says nothing of a problem that is over. It may have been told.
        let over = previous.filter(|before| before.status != Status::Ready && report.status == Status::Ready);
        let over = over.map(|before| Memory::known(before, now));
        let judge = |memory: Option<&Memory>| alert::observe(memory.or(over.as_ref()), report, &policy, &hours, now);
        let text = report.error.as_deref().map(masked);
        let seen = Some((State::of(report), text.as_deref()));
        let decide = |remembered: &Remembered| {
            let step = judge(remembered.memory.as_ref());
            Outcome { memory: Some(step.memory), alerts: routed(&settings.alerts, step.alerts), ..Outcome::default() }
        };
        // What people were told last is not known then; it is taken to be what the report before said.
        let guess =
            || Remembered { memory: previous.map(|report| Memory::known(report, now)), ..Remembered::default() };
        Some(Self::posted(settings, zone, now, seen, store_limit, decide, guess))
    }

    /// Takes a no-go in. `None` if nobody is to be told: no channel is set, or people know all the reasons.
    ///
    /// Somebody waits for the end: other processes at the store are not waited for any longer than this.
    pub fn of_no_go(
        settings: &'a Settings,
        zone: &'a TimeZone,
        seen: &NoGoSeen<'_>,
        store_limit: Duration,
    ) -> Option<Self> {
        if settings.alerts.channels.is_empty() || seen.decision.is_expected() {
            return None;
        }
        let (gateway, now, endpoint) = (settings.gateway.as_str(), clock::now(), endpoint(settings));
        let (policy, hours) = (policy(&settings.alerts, Reporter::Check), hours(settings, now));
        let host = check::writer().host;
        let no_go = NoGo {
            gateway,
            endpoint: &endpoint,
            host: &host,
            decision: seen.decision,
            report: seen.report,
            remedies: seen.remedies,
        };
        let decide = |remembered: &Remembered| {
            let told = alert::no_go(remembered.no_go.as_ref(), &no_go, &policy, &hours, now);
            let (no_go, alert) = told.unzip();
            Outcome { no_go, alerts: routed(&settings.alerts, alert), ..Outcome::default() }
        };
        Some(Self::posted(settings, zone, now, None, store_limit, decide, Remembered::default))
    }

    /// Takes an act in that was done. `None` if no channel is set or nobody is to be told of such an act.
    ///
    /// Other processes at the store are waited for no longer than `store_limit`.
    pub fn of_act(
        settings: &'a Settings,
        zone: &'a TimeZone,
        act: &Act,
        report: Option<&Report>,
        remedies: &[String],
        store_limit: Duration,
    ) -> Option<Self> {
        if settings.alerts.channels.is_empty() {
            return None;
        }
        let (now, endpoint, host) = (clock::now(), endpoint(settings), check::writer().host);
        let gateway = settings.gateway.as_str();
        let acted = Acted { gateway, endpoint: &endpoint, host: &host, act, report, remedies };
        let alert = alert::acted(&acted, &hours(settings, now))?;
        let decide =
            |_: &Remembered| Outcome { alerts: routed(&settings.alerts, [alert.clone()]), ..Outcome::default() };
        Some(Self::posted(settings, zone, now, None, store_limit, decide, Remembered::default))
    }

    /// Opens the outbox for what waits there, with nothing new.
    pub fn of_what_waits(settings: &'a Settings, zone: &'a TimeZone) -> Self {
        Self::posted(settings, zone, clock::now(), None, BUSY_LIMIT, |_| Outcome::default(), Remembered::default)
    }

    /// Opens the outbox with one alert for these channels, whatever the policy says.
    pub fn of_alert(settings: &'a Settings, zone: &'a TimeZone, alert: &Alert, channels: &[ChannelName]) -> Self {
        let alerts = vec![(alert.clone(), channels.to_vec())];
        let decide = |_: &Remembered| Outcome { alerts: alerts.clone(), ..Outcome::default() };
        let mut post = Self::posted(settings, zone, clock::now(), None, BUSY_LIMIT, decide, Remembered::default);
        post.channels.retain(|channel| channels.contains(&channel.name()));
        post
    }

    /// Lets the store decide and keep, and what was put aside before goes into the same transaction. If it cannot, the decision is
    /// made on what was put aside, or else on the guess, and put aside itself.
    fn posted(
        settings: &'a Settings,
        zone: &'a TimeZone,
        now: Timestamp,
        seen: Option<(State, Option<&str>)>,
        store_limit: Duration,
        decide: impl Fn(&Remembered) -> Outcome,
        guess: impl FnOnce() -> Remembered,
    ) -> Self {
        let places = places(settings);
        let put_aside_before = || if places.any() { places.read() } else { None };
        let taken = RefCell::new(None);
        // Within the transaction, so that of two processes one takes it in.
        let with_aside = |remembered: &Remembered| match put_aside_before() {
            Some(aside) => {
                let is_new = remembered.aside.as_ref() != Some(&aside.writing);
                let outcome = if is_new { taken_in(&aside, remembered, &decide) } else { decide(remembered) };
                taken.replace(Some(aside));
                outcome
            }
            None => decide(remembered),
        };
        let gateway = settings.gateway.as_str();
        let mut readable = None;
        let recorded = Store::open_within(settings.state_dir.as_deref(), store_limit).and_then(|mut store| {
            let dropped = store.record(gateway, now, seen, &settings.alerts.names(), with_aside);
            // What cannot be written, being locked or full, can often be read.
            readable = dropped.as_ref().err().and_then(|_| store.remembered(gateway).ok());
            Ok((store, dropped?))
        });
        let (mut warnings, mut lock) = (Vec::new(), None);
        let place = match recorded {
            Ok((store, dropped)) => {
                if let Some(aside) = taken.into_inner() {
                    places.remove(&aside);
                }
                if dropped > 0 {
                    warnings
                        .push(format!("{dropped} alerts were given up after too long; `ibga alert list` tells which"));
                }
                Place::Store(store)
            }
            Err(fault) => {
                warnings.push(format!("the store of alerts cannot be used, so they go out directly: {fault}"));
                if let Some(directory) = &settings.state_dir {
                    store::unsettle(directory, gateway);
                }
                lock = settings.state_dir.as_deref().and_then(|path| store::lock_within(path, store_limit).ok());
                let aside = put_aside(put_aside_before(), || readable.unwrap_or_else(guess), &decide);
                warnings.extend(lost(places.write(&aside)));
                Place::Aside(aside)
            }
        };
        let surroundings = Surroundings { trust: trust(settings), ca_file: settings.alerts.ca_file.clone() };
        let channels = settings.alerts.channels.iter().map(|one| channel::open(one, &surroundings)).collect();
        let (templates, faults) = match &settings.alerts.templates {
            Some(directory) => Templates::load(directory, &surroundings.trust),
            None => (Templates::default(), Vec::new()),
        };
        warnings.extend(faults);
        Self { settings, zone, place, _lock: lock, channels, templates, warnings }
    }

    /// What a person has to know of the store and the templates, and was not told before.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Sends what is due, for at most this long.
    pub fn deliver(&mut self, patience: Patience, limit: Duration) -> Vec<Attempt> {
        let gateway = self.settings.gateway.as_str();
        let (templates, zone) = (&self.templates, self.zone);
        let faults = RefCell::new(Vec::new());
        let render = |alert: &Alert| -> Message {
            let rendered = templates.render(alert, clock::now(), zone);
            faults.borrow_mut().extend(rendered.faults);
            rendered.message
        };
        let sent = match &mut self.place {
            Place::Store(store) => block_on(outbox::deliver(store, gateway, &self.channels, &render, patience, limit)),
            Place::Aside(aside) => {
                block_on(deliver_aside(aside, &places(self.settings), &self.channels, &render, limit))
            }
        };
        let round = sent.unwrap_or_else(|fault| {
            self.warnings.push(format!("nothing can be sent: {fault}"));
            Round::default()
        });
        let mut of_templates = faults.into_inner();
        of_templates.sort();
        of_templates.dedup();
        self.warnings.extend(of_templates);
        self.warnings.extend(round.faults.iter().map(|fault| format!("the store of alerts: {fault}")));
        self.keep(&round.attempts);
        round.attempts
    }

    /// Notes what became of the messages where the store does not do it.
    fn keep(&mut self, attempts: &[Attempt]) {
        let places = places(self.settings);
        let written = match &mut self.place {
            Place::Aside(aside) => places.write(aside),
            Place::Store(store) => {
                let unmarked: Vec<Letter> = attempts.iter().filter_map(unmarked).collect();
                if unmarked.is_empty() {
                    // Another look at the outbox, nothing worse, if it fails.
                    let _ = store.settle(self.settings.gateway.as_str());
                    return;
                }
                // Another process may have put something aside meanwhile.
                let mut aside = places.read().unwrap_or_default();
                aside.letters.extend(unmarked);
                places.write(&aside)
            }
        };
        self.warnings.extend(lost(written));
    }

    /// How many messages still wait on the channels that are set; none if that cannot be told.
    pub fn still_waiting(&self) -> Option<usize> {
        let Place::Store(store) = &self.place else { return None };
        let gateway = self.settings.gateway.as_str();
        self.channels.iter().map(|channel| store.waiting_on(gateway, channel.name()).ok()).sum()
    }

    /// Gives up what waits of one alert, and says why.
    pub fn give_up(&mut self, key: &str, why: &str) {
        let given_up = match &mut self.place {
            Place::Store(store) => store.drop_waiting(key, why, clock::now()).map_err(|fault| fault.to_string()),
            Place::Aside(aside) => {
                aside.letters.retain(|letter| letter.alert.key != key);
                places(self.settings).write(aside).map(drop)
            }
        };
        self.warnings.extend(given_up.err());
    }
}

/// Whether something was put aside, while the store could not be used, that it has not taken in yet.
pub fn is_put_aside(settings: &Settings) -> bool {
    places(settings).any()
}

/// Whether everybody knows that the gateway is ready, and nothing waits to be sent.
pub fn nothing_waits(settings: &Settings) -> bool {
    let gateway = settings.gateway.as_str();
    let is_settled = settings.state_dir.as_deref().is_some_and(|directory| store::is_settled(directory, gateway));
    is_settled && !places(settings).any()
}

fn places(settings: &Settings) -> Places {
    Places::new(settings.state_dir.as_deref(), &settings.status_file, settings.gateway.as_str())
}

/// What a person has to know of what could not be put aside.
fn lost(written: Result<usize, String>) -> Option<String> {
    match written {
        Ok(0) => None,
        Ok(given_up) => Some(format!("{given_up} alerts were given up, since too many wait beside the store")),
        Err(fault) => Some(format!("what was told cannot be kept, so an alert may be lost or come twice: {fault}")),
    }
}

/// What was put aside while the store was away counts as if the store had kept it.
fn taken_in(aside: &Aside, remembered: &Remembered, decide: &dyn Fn(&Remembered) -> Outcome) -> Outcome {
    let newer = Remembered {
        memory: aside.memory.clone().or_else(|| remembered.memory.clone()),
        no_go: aside.no_go.clone().or_else(|| remembered.no_go.clone()),
        aside: Some(aside.writing.clone()),
    };
    let mut outcome = decide(&newer);
    outcome.aside = Some(aside.writing.clone());
    outcome.memory = outcome.memory.or(newer.memory);
    outcome.no_go = outcome.no_go.or(newer.no_go);
    let letters = aside.letters.iter().map(|letter| {
        let (sent, waiting) = (Letter::known(&letter.sent), Letter::known(&letter.waiting));
        (letter.alert.clone(), sent.into_iter().chain(waiting).collect())
    });
    outcome.alerts.splice(0..0, letters);
    let sent = aside
        .letters
        .iter()
        .flat_map(|letter| Letter::known(&letter.sent).into_iter().map(|channel| (letter.alert.key.clone(), channel)));
    outcome.sent.extend(sent);
    outcome
}

fn put_aside(
    before: Option<Aside>,
    guess: impl FnOnce() -> Remembered,
    decide: &dyn Fn(&Remembered) -> Outcome,
) -> Aside {
    let mut aside = before.unwrap_or_default();
    // Each for itself: where only a no-go was put aside, what people know of the gateway still has to be guessed.
    let guessed = guess();
    let remembered = Remembered {
        memory: aside.memory.clone().or(guessed.memory),
        no_go: aside.no_go.clone().or(guessed.no_go),
        aside: None,
    };
    let outcome = decide(&remembered);
    aside.memory = outcome.memory.or(aside.memory);
    aside.no_go = outcome.no_go.or(aside.no_go);
    for (alert, channels) in outcome.alerts {
        if !aside.letters.iter().any(|letter| letter.alert.key == alert.key) {
            aside.letters.push(Letter::new(alert, &channels));
        }
    }
    aside
}

/// Every channel gets what it has not accepted yet, in order; after a failure the rest waits for the next process. What was sent is
/// noted at once, so that a process that is killed repeats one message at most.
async fn deliver_aside(
    aside: &mut Aside,
    places: &Places,
    channels: &[Box<dyn Channel>],
    render: &outbox::Render<'_>,
    limit: Duration,
) -> Round {
    let letters = aside.letters.clone();
    let (attempts, aside) = (RefCell::new(Vec::new()), RefCell::new(aside));
    let drained = channels.iter().map(|channel| async {
        let name = channel.name();
        for letter in letters.iter().filter(|letter| Letter::known(&letter.waiting).contains(&name)) {
            let result = outbox::send(channel.as_ref(), &render(&letter.alert)).await;
            let goes_on = result.as_ref().err().is_none_or(|fault| fault.blame == channel::Blame::Message);
            if result.is_ok() {
                note_sent(&mut aside.borrow_mut(), places, &letter.alert.key, name);
            }
            attempts.borrow_mut().push(Attempt { channel: name, alert: letter.alert.clone(), result, unmarked: None });
            if !goes_on {
                return;
            }
        }
    });
    // What was not sent by then waits.
    let _ = tokio::time::timeout(limit, futures_util::future::join_all(drained)).await;
    Round { attempts: attempts.into_inner(), faults: Vec::new() }
}

fn note_sent(aside: &mut Aside, places: &Places, key: &str, channel: ChannelName) {
    if let Some(letter) = aside.letters.iter_mut().find(|letter| letter.alert.key == key) {
        letter.sent_on(channel);
    }
    // The last write, at the end of the round, says what is wrong.
    let _ = places.write(aside);
}

/// A message that was sent although the store could not be told so.
fn unmarked(attempt: &Attempt) -> Option<Letter> {
    (attempt.result.is_ok() && attempt.unmarked.is_some()).then(|| {
        let mut letter = Letter::new(attempt.alert.clone(), &[]);
        letter.sent_on(attempt.channel);
        letter
    })
}

fn routed(settings: &AlertSettings, alerts: impl IntoIterator<Item = Alert>) -> Vec<(Alert, Vec<ChannelName>)> {
    let named = |audience: Audience| {
        let channels = settings.channels.iter().map(crate::settings::ChannelSettings::name);
        let is_second = |name: &ChannelName| settings.escalate_to.contains(name);
        channels
            .filter(|name| match audience {
                Audience::First => !is_second(name),
                Audience::Second => is_second(name),
                Audience::Everybody => true,
            })
            .collect()
    };
    alerts.into_iter().map(|alert| (alert.clone(), named(alert.audience))).collect()
}

/// How long a cause has to hold before it is told while no trading session is near.
pub(crate) fn told_after(settings: &AlertSettings, by: Reporter) -> Duration {
    let default = match by {
        Reporter::Check => Duration::ZERO,
        Reporter::Watch => WATCH_AFTER,
    };
    settings.after.unwrap_or(default)
}

/// What the operator wants to be told.
pub(crate) fn policy(settings: &AlertSettings, by: Reporter) -> Policy {
    let signed = |duration: Duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    Policy {
        after: signed(told_after(settings, by)),
        settles: signed(match by {
            Reporter::Check => Duration::ZERO,
            Reporter::Watch => WATCH_SETTLES,
        }),
        collapses_flapping: settings.flapping,
        reminds: settings.reminders,
        escalates_after: settings.escalate_after.filter(|_| !settings.escalate_to.is_empty()).map(signed),
        quiet: settings.quiet.clone(),
    }
}

/// The trading hours. Calendars that cannot be used leave everything possible, so that people are told.
pub(crate) fn hours(settings: &Settings, now: Timestamp) -> Hours {
    calendars(settings).map_or_else(
        |_| Hours {
            exchange: settings.market.value.exchanges.iter().map(|one| one.mic()).collect::<Vec<_>>().join(","),
            trading: Trading::Unknown,
            next_open: None,
            next_close: None,
        },
        |calendars| Hours::of(&market(settings, &calendars).at(now)),
    )
}
