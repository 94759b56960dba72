//! A session that stays, as a state machine without I/O: it opens as a probe does ([`crate::probe`]), waits out silence on the same
//! connection, asks for the time at each heartbeat and the broker every few minutes and after each change, and comes back with
//! growing pauses after an end. It says what was seen and when that is worth judging; it judges nothing.
//!
//! Never more than one connection, never two questions for the time within a second.

use std::time::Duration;

use ibga_core::notice::Link;
use ibga_core::observation::{ApiSeen, Broker, ClockReading, Connect, End};

use crate::probe::{self, Event, Probe, ProbePlan, State};

/// The shortest heartbeat: a gateway ignores a question for the time within a second of the last one (seen of Gateway 10.45).
pub const HEARTBEAT_MIN: Duration = Duration::from_secs(2);

/// How soon a session that was lost is followed by the next one.
const RETURN_AFTER: Duration = Duration::from_millis(250);
/// The first pause after an attempt that failed; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// The longest pause while nothing answers.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// The shortest and the longest pause after a handshake: each one costs the gateway a place among its clients.
const PAUSE_AFTER_HELLO_MIN: Duration = Duration::from_secs(5);
const PAUSE_AFTER_HELLO_MAX: Duration = Duration::from_mins(1);

/// A session that lasted for this long is no failure, however it ended.
const STEADY_AFTER: Duration = Duration::from_secs(30);

/// How long a gateway that has answered the hello may keep silent before it gets another try. (One that has not is waited for
/// without end: a proxy holds the hello until the gateway opens.)
const STARTUP_PATIENCE: Duration = Duration::from_mins(2);

/// So many questions for the time in a row without an answer, and the connection is taken for dead.
const UNANSWERED_MAX: u32 = 3;

/// A broker that answers so often after the link was lost is there, whatever became of the notice that says so. Only a fresh session
/// clears the latch then.
const ANSWERS_WITHOUT_LINK_MAX: u32 = 2;

/// How long a broker that has not answered is left alone before it is asked again.
const BROKER_AGAIN_AFTER: Duration = Duration::from_secs(30);
/// The shortest time between two questions for the broker, however much changes.
const BROKER_SPACING: Duration = Duration::from_secs(5);

/// How a gateway is to be watched.
#[derive(Clone, Debug)]
pub struct SessionPlan {
    /// How a session opens. Its limit is the time after which silence is told.
    pub probe: ProbePlan,
    /// How often the time is asked for; at least [`HEARTBEAT_MIN`].
    pub heartbeat: Duration,
    /// How often the broker is asked.
    pub broker_interval: Duration,
}

/// What to do next. Times count from the beginning of the watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Close the old connection, if any, and open one, at most until this time.
    Connect(Duration),
    /// Write these bytes in one write, then ask again.
    Send(Vec<u8>),
    /// Read what is pending and close, then ask again.
    Close,
    /// Wait for an event, at most until this time.
    Wait(Duration),
}

/// What a watcher has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// Nothing new: what was seen still is so.
    Confirmed,
    /// Something changed.
    Changed,
}

/// The state machine.
#[derive(Debug)]
pub struct Session {
    plan: SessionPlan,
    phase: Phase,
    /// Attempts in a row that brought no session, or none that lasted.
    failures: u32,
    /// What the last attempt that is over, or has been judged, saw.
    last: ApiSeen,
    news: Option<News>,
    /// When what is known is confirmed next where nothing else does it.
    beat_at: Duration,
    /// A connection is open that has to be closed.
    to_close: bool,
}

#[derive(Debug)]
enum Phase {
    /// No connection, until then.
    Resting(Duration),
    /// An attempt that has not come to a session.
    Opening(Box<Opening>),
    /// The session is up.
    Up(Box<Up>),
}

#[derive(Debug)]
struct Opening {
    probe: Probe,
    began: Duration,
    /// How far it was when its silence was told.
    told_at: Option<State>,
}

#[derive(Debug)]
struct Up {
    probe: Probe,
    began: Duration,
    since: Duration,
    heartbeat_at: Duration,
    time_asked_at: Option<Duration>,
    unanswered: u32,
    broker_at: Duration,
    broker_asked_at: Option<Duration>,
    broker_last_asked: Duration,
    /// How often the broker has answered since the link was lost, as long as it is.
    answers_without_link: u32,
    /// When the question was asked whose answer was counted last.
    answer_counted_for: Duration,
    /// A link came back, and the broker has yet to prove it; until then nothing is told.
    on_trial: bool,
    competition_since: Option<Duration>,
}

impl Session {
    /// A watch that has not begun.
    pub fn new(plan: SessionPlan) -> Self {
        Self {
            plan,
            phase: Phase::Resting(Duration::ZERO),
            failures: 0,
            last: ApiSeen::default(),
            news: None,
            beat_at: Duration::MAX,
            to_close: false,
        }
    }

    /// What to do now.
    pub fn next_action(&mut self, now: Duration) -> Action {
        loop {
            self.keep_time(now);
            if let Phase::Resting(until) = self.phase {
                if std::mem::take(&mut self.to_close) {
                    return Action::Close;
                }
                if now < until {
                    return Action::Wait(until.min(self.beat_at));
                }
                let probe = Probe::staying(self.plan.probe.clone());
                self.phase = Phase::Opening(Box::new(Opening { probe, began: now, told_at: None }));
            }
            let (probe, began) = match &mut self.phase {
                Phase::Opening(opening) => (&mut opening.probe, opening.began),
                Phase::Up(up) => (&mut up.probe, up.began),
                Phase::Resting(_) => continue,
            };
            let action = probe.next_action(now.saturating_sub(began));
            match action {
                probe::Action::Connect(until) => return Action::Connect(began.saturating_add(until)),
                probe::Action::Send(bytes) => return Action::Send(bytes),
                probe::Action::Finish => self.end(now),
                probe::Action::Wait(_)
                    if probe.state() == State::Standing && matches!(self.phase, Phase::Opening(_)) =>
                {
                    self.come_up(now);
                }
                probe::Action::Wait(until) => {
                    return Action::Wait(began.saturating_add(until).min(self.next_moment()));
                }
            }
        }
    }

    /// Takes in what happened to the connection that is open now.
    pub fn handle(&mut self, event: &Event<'_>, now: Duration) {
        match &mut self.phase {
            Phase::Resting(_) => {}
            Phase::Opening(opening) => opening.probe.handle(event, now.saturating_sub(opening.began)),
            Phase::Up(up) => {
                let news = up.handle(event, now, self.plan.broker_interval);
                self.tell(news, now);
            }
        }
        if self.probe().is_some_and(|probe| probe.state() == State::Over) {
            self.end(now);
        }
    }

    /// What is new since the last call.
    pub fn take_news(&mut self) -> Option<News> {
        self.news.take()
    }

    /// What was seen, and how long ago the attempt that saw it began.
    pub fn seen(&self, now: Duration) -> ApiSeen {
        match &self.phase {
            Phase::Up(up) => ApiSeen { elapsed: now.saturating_sub(up.began), ..up.probe.seen().clone() },
            _ => self.last.clone(),
        }
    }

    /// Whether a session is up.
    pub fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up(_))
    }

    /// Something happened that makes another attempt worth its while, such as the start of a container: a pause ends soon, and a
    /// hello that was never answered is that of the one before.
    pub fn hurry(&mut self, now: Duration) {
        self.failures = 0;
        let unanswered = match &mut self.phase {
            Phase::Resting(until) => {
                *until = (*until).min(now.saturating_add(PAUSE_FIRST));
                None
            }
            Phase::Opening(opening) if opening.told_at == Some(State::Hello) => Some(opening.silence(now)),
            Phase::Opening(_) | Phase::Up(_) => None,
        };
        if let Some(seen) = unanswered {
            self.rest(seen, now);
        }
    }

    fn probe(&self) -> Option<&Probe> {
        match &self.phase {
            Phase::Resting(_) => None,
            Phase::Opening(opening) => Some(&opening.probe),
            Phase::Up(up) => Some(&up.probe),
        }
    }

    fn tell(&mut self, news: Option<News>, now: Duration) {
        if news.is_some() {
            self.news = self.news.max(news);
            self.beat_at = now.saturating_add(self.plan.heartbeat);
        }
    }

    /// Does what is due by now.
    fn keep_time(&mut self, now: Duration) {
        let news = match &mut self.phase {
            Phase::Resting(_) => None,
            Phase::Opening(opening) => {
                let news = opening.keep_time(now, self.plan.probe.timeout);
                if news.is_some() {
                    self.last = opening.silence(now);
                }
                if opening.is_hopeless(now) {
                    let probe = std::mem::replace(&mut opening.probe, Probe::staying(self.plan.probe.clone()));
                    let seen =
                        ApiSeen { end: End::Deadline, ..probe.into_observation(now.saturating_sub(opening.began)) };
                    self.rest(seen, now);
                }
                news
            }
            Phase::Up(up) => {
                let news = up.keep_time(now, &self.plan);
                if up.unanswered >= UNANSWERED_MAX || up.answers_without_link >= ANSWERS_WITHOUT_LINK_MAX {
                    let seen = ApiSeen { elapsed: now.saturating_sub(up.began), ..up.probe.seen().clone() };
                    self.rest(seen, now);
                }
                news
            }
        };
        let is_due = now >= self.beat_at && !matches!(&self.phase, Phase::Up(_));
        self.tell(news.or(is_due.then_some(News::Confirmed)), now);
    }

    /// When something is due by itself.
    fn next_moment(&self) -> Duration {
        match &self.phase {
            Phase::Resting(until) => (*until).min(self.beat_at),
            Phase::Opening(opening) => opening.next_moment(self.plan.probe.timeout).min(self.beat_at),
            Phase::Up(up) => up.next_moment(&self.plan),
        }
    }

    fn come_up(&mut self, now: Duration) {
        let Phase::Opening(opening) = std::mem::replace(&mut self.phase, Phase::Resting(now)) else { return };
        let mut up = Up::new(opening.probe, opening.began, now, &self.plan);
        if up.probe.seen().broker == Broker::Silent {
            up.broker_at = now.saturating_add(BROKER_AGAIN_AFTER);
        }
        self.phase = Phase::Up(Box::new(up));
        self.tell(Some(News::Changed), now);
    }

    /// The probe is over.
    fn end(&mut self, now: Duration) {
        let seen = match &self.phase {
            Phase::Resting(_) => return,
            Phase::Opening(opening) => {
                ApiSeen { elapsed: now.saturating_sub(opening.began), ..opening.probe.seen().clone() }
            }
            Phase::Up(up) => {
                let mut seen = ApiSeen { elapsed: now.saturating_sub(up.began), ..up.probe.seen().clone() };
                seen.end = match seen.end {
                    End::Closed | End::Reset => End::Lost,
                    other => other,
                };
                seen
            }
        };
        self.rest(seen, now);
    }

    /// Leaves the connection, and comes back after a while.
    fn rest(&mut self, seen: ApiSeen, now: Duration) {
        let lasted = match &self.phase {
            Phase::Up(up) => Some(now.saturating_sub(up.since)),
            _ => None,
        };
        let is_first = self.failures == 0;
        let is_steady = lasted.is_some_and(|lasted| lasted >= STEADY_AFTER);
        self.failures = if is_steady { 0 } else { self.failures.saturating_add(1) };
        let returns = is_steady || (is_first && lasted.is_some());
        let pause = if returns { RETURN_AFTER } else { pause(self.failures, seen.hello.is_some()) };
        self.to_close |= seen.connect == Connect::Connected;
        self.phase = Phase::Resting(now.saturating_add(pause));
        self.last = seen;
        self.tell(Some(News::Changed), now);
    }
}

/// How long to wait after so many failures.
fn pause(failures: u32, greeted: bool) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let pause = PAUSE_FIRST.saturating_mul(2_u32.saturating_pow(doublings));
    if greeted { pause.clamp(PAUSE_AFTER_HELLO_MIN, PAUSE_AFTER_HELLO_MAX) } else { pause.min(PAUSE_MAX) }
}

impl Opening {
    /// When silence is told, if it lasts: for the hello the whole limit, for the start as much as a probe would wait.
    fn silence_at(&self, timeout: Duration) -> Option<Duration> {
        let since = self.began.saturating_add(self.probe.state_since());
        match self.probe.state() {
            State::Hello => Some(self.began.saturating_add(timeout)),
            State::Startup => Some(since.saturating_add(timeout.saturating_mul(2) / 3)),
            _ => None,
        }
        .filter(|_| self.told_at != Some(self.probe.state()))
    }

    fn keep_time(&mut self, now: Duration, timeout: Duration) -> Option<News> {
        let is_due = self.silence_at(timeout).is_some_and(|at| now >= at);
        if is_due {
            self.told_at = Some(self.probe.state());
        }
        is_due.then_some(News::Changed)
    }

    /// What silence looks like.
    fn silence(&self, now: Duration) -> ApiSeen {
        ApiSeen { end: End::Deadline, elapsed: now.saturating_sub(self.began), ..self.probe.seen().clone() }
    }

    /// When a start that does not come is given up.
    fn hopeless_at(&self) -> Option<Duration> {
        let since = self.began.saturating_add(self.probe.state_since());
        (self.probe.state() == State::Startup).then(|| since.saturating_add(STARTUP_PATIENCE))
    }

    fn is_hopeless(&self, now: Duration) -> bool {
        self.hopeless_at().is_some_and(|at| now >= at)
    }

    fn next_moment(&self, timeout: Duration) -> Duration {
        let moments = [self.silence_at(timeout), self.hopeless_at()];
        moments.into_iter().flatten().min().unwrap_or(Duration::MAX)
    }
}

impl Up {
    fn new(probe: Probe, began: Duration, now: Duration, plan: &SessionPlan) -> Self {
        let heartbeat = plan.heartbeat.max(HEARTBEAT_MIN);
        Self {
            competition_since: probe.seen().connectivity.competing_session.then_some(now),
            probe,
            began,
            since: now,
            heartbeat_at: now.saturating_add(heartbeat),
            time_asked_at: None,
            unanswered: 0,
            broker_at: now.saturating_add(plan.broker_interval),
            broker_asked_at: None,
            broker_last_asked: now,
            answers_without_link: 0,
            answer_counted_for: now,
            on_trial: false,
        }
    }

    fn handle(&mut self, event: &Event<'_>, now: Duration, broker_interval: Duration) -> Option<News> {
        let before = Marks::of(&self.probe);
        self.probe.handle(event, now.saturating_sub(self.began));
        let after = Marks::of(&self.probe);
        if self.probe.state() == State::Over {
            // The end itself is told.
            return None;
        }
        let mut news = (before.revision != after.revision).then_some(News::Changed);
        if after.clock.is_some() && before.clock != after.clock {
            if let Some(asked) = self.time_asked_at.take() {
                self.probe.time_told_after(now.saturating_sub(asked));
            }
            self.unanswered = 0;
            news = news.max(Some(if before.clock.is_none() { News::Changed } else { News::Confirmed }));
        }
        if before.answers != after.answers {
            self.broker_answered(now, broker_interval);
            // What was not told meanwhile.
            news = if std::mem::take(&mut self.on_trial) { Some(News::Changed) } else { news };
        }
        if before.competitions != after.competitions {
            self.competition_since = Some(now);
        }
        let was_lost = before.link == Link::Down || before.losses != after.losses;
        self.count_answers(before, after);
        match after.link {
            Link::Down => self.on_trial = false,
            Link::Restored if was_lost => self.try_link(now),
            _ if before.revision != after.revision && before.answers == after.answers => self.ask_soon(now),
            _ => {}
        }
        news.filter(|_| !self.on_trial)
    }

    /// The link is back, says the gateway. The broker has to prove it.
    fn try_link(&mut self, now: Duration) {
        if self.ask_broker(now) {
            self.probe.broker_unproven();
            self.on_trial = true;
        }
    }

    /// After each change the broker is asked, but not for each of many at once.
    fn ask_soon(&mut self, now: Duration) {
        let soon = now.max(self.broker_last_asked.saturating_add(BROKER_SPACING));
        self.broker_at = self.broker_at.min(soon);
    }

    fn ask_broker(&mut self, now: Duration) -> bool {
        let is_asked = self.probe.ask_again(now.saturating_sub(self.began));
        self.broker_last_asked = now;
        self.broker_asked_at = is_asked.then_some(now);
        is_asked
    }

    fn broker_answered(&mut self, now: Duration, interval: Duration) {
        self.broker_asked_at = None;
        self.broker_at = now.saturating_add(interval);
        let is_over = self.competition_since.is_some_and(|since| now.saturating_sub(since) >= interval);
        if is_over {
            self.competition_since = None;
            self.probe.competition_over();
        }
    }

    fn count_answers(&mut self, before: Marks, after: Marks) {
        let is_lost_still = before.link == Link::Down && after.link == Link::Down && before.losses == after.losses;
        match (is_lost_still, before.answers == after.answers) {
            // Contracts and their end are one answer.
            (true, false) if self.broker_last_asked > self.answer_counted_for => {
                self.answer_counted_for = self.broker_last_asked;
                self.answers_without_link += 1;
            }
            (true, _) => {}
            (false, _) => {
                self.answers_without_link = 0;
                // An answer to what was asked before the loss proves nothing.
                self.answer_counted_for = self.broker_last_asked;
            }
        }
    }

    fn keep_time(&mut self, now: Duration, plan: &SessionPlan) -> Option<News> {
        let mut news = None;
        if self.time_due(plan).is_some_and(|at| now >= at) {
            self.time_asked_at = None;
            self.unanswered += 1;
            if self.probe.seen().clock.is_some() {
                self.probe.time_not_told();
                news = Some(News::Changed);
            } else {
                news = Some(News::Confirmed);
            }
        }
        if self.broker_due(plan).is_some_and(|at| now >= at) {
            self.broker_asked_at = None;
            self.broker_at = now.saturating_add(BROKER_AGAIN_AFTER);
            let was_on_trial = std::mem::take(&mut self.on_trial);
            let was_silent = self.probe.seen().broker == Broker::Silent;
            self.probe.broker_unproven();
            if was_on_trial || !was_silent {
                news = Some(News::Changed);
            }
        }
        if now >= self.heartbeat_at {
            self.heartbeat_at = now.saturating_add(plan.heartbeat.max(HEARTBEAT_MIN));
            self.time_asked_at = Some(now);
            self.probe.ask_time();
        }
        if now >= self.broker_at {
            self.broker_at = now.saturating_add(plan.broker_interval);
            self.ask_broker(now);
        }
        news.filter(|_| !self.on_trial)
    }

    /// When the answer to the question for the time is overdue.
    fn time_due(&self, plan: &SessionPlan) -> Option<Duration> {
        let limit = (plan.probe.timeout / 3).min(plan.heartbeat.max(HEARTBEAT_MIN));
        self.time_asked_at.map(|asked| asked.saturating_add(limit))
    }

    /// When the broker's answer is overdue.
    fn broker_due(&self, plan: &SessionPlan) -> Option<Duration> {
        self.broker_asked_at.map(|asked| asked.saturating_add(plan.probe.timeout / 2))
    }

    fn next_moment(&self, plan: &SessionPlan) -> Duration {
        let due = [self.time_due(plan), self.broker_due(plan)].into_iter().flatten().min();
        self.heartbeat_at.min(self.broker_at).min(due.unwrap_or(Duration::MAX))
    }
}

/// What a change is told by.
#[derive(Clone, Copy)]
struct Marks {
    revision: u32,
    answers: u32,
    link: Link,
    losses: u32,
    competitions: u32,
    clock: Option<ClockReading>,
}

impl Marks {
    fn of(probe: &Probe) -> Self {
        let seen = probe.seen();
        Self {
            revision: probe.revision(),
            answers: probe.answers(),
            link: seen.connectivity.link,
            losses: probe.losses(),
            competitions: probe.competitions(),
            clock: seen.clock,
        }
    }
}

#[cfg(test)]
mod tests;
