//! A machine with hand-cranked clocks, and a gateway at the other end of its socket that is what the test says.

use ibga_core::cause::Cause;
use ibga_core::observation::ConnectFailure;
use ibga_tws::frame;
use ibga_tws::probe::Event;
use ibga_tws::session::Action;

use super::super::*;

pub(super) fn settings(variables: &[(&str, &str)]) -> Arc<Settings> {
    Arc::new(Settings::of_variables(variables))
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[expect(clippy::unnecessary_wraps, reason = "as the engine answers")]
pub(super) fn found(state: ContainerState) -> Result<Answer, EngineError> {
    Ok(Answer::Found(Container { name: "ibga".into(), id: "0123456789ab".into(), state, engine_word: String::new() }))
}

/// What the gateway at the other end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gateway {
    /// Nobody listens.
    Refusing,
    /// Connections open, and no byte comes: behind ibga's proxy nobody is logged in, or the listener is wedged.
    Silent,
    /// Sessions open, and no request is answered.
    Unresponsive,
    /// It answers for itself; its broker does not answer.
    CutOff,
    /// All is well.
    Ready,
}

/// The machine, its clocks and the connection.
pub(super) struct Bench {
    pub(super) machine: Machine,
    pub(super) now: Now,
    pub(super) gateway: Gateway,
    /// What was to be done.
    pub(super) effects: Vec<Effect>,
    /// The same in words, with the second of each.
    pub(super) log: Vec<String>,
    /// A connection is open.
    pub(super) is_connected: bool,
    /// How many there were.
    pub(super) connections: usize,
    /// A hello that nobody has answered.
    hello_waits: bool,
}

impl Bench {
    pub(super) fn new(variables: &[(&str, &str)], gateway: Gateway) -> Self {
        Self::at("2026-11-25T02:00:00Z", settings(variables), gateway)
    }

    pub(super) fn at(wall: &str, settings: Arc<Settings>, gateway: Gateway) -> Self {
        let wall = wall.parse().expect("an instant");
        Self {
            machine: Machine::new(settings, TimeZone::UTC, None, Practice::Real),
            now: Now { wall, running: Duration::ZERO },
            gateway,
            effects: Vec::new(),
            log: Vec::new(),
            is_connected: false,
            connections: 0,
            hello_waits: false,
        }
    }

    /// Lets time pass, and does what session and machine want meanwhile.
    pub(super) fn run_to(&mut self, until: Duration) {
        while self.step(until) {}
    }

    /// Does one thing that session or machine want by then. False, once there is nothing more and the time has come.
    pub(super) fn step(&mut self, until: Duration) -> bool {
        let known = self.effects.len();
        let action = self.machine.session.next_action(self.now.running);
        self.take_news();
        let has_news = self.effects.len() > known;
        let next = match action {
            Action::Connect(_) => {
                self.connect();
                return true;
            }
            Action::Send(bytes) => {
                self.answer(&bytes);
                return true;
            }
            Action::Close => {
                self.is_connected = false;
                return true;
            }
            // Whoever looks at each step sees it at its moment.
            Action::Wait(_) if has_news => return true,
            Action::Wait(at) => self.machine.next_moment().map_or(at, |moment| moment.min(at)),
        };
        if next > until {
            self.pass(until);
            return false;
        }
        self.pass(next);
        let effects = self.machine.tick(self.now);
        self.note(effects);
        true
    }

    fn connect(&mut self) {
        self.hello_waits = false;
        self.is_connected = self.gateway != Gateway::Refusing;
        let event = if self.is_connected {
            self.connections += 1;
            Event::Connected
        } else {
            Event::ConnectFailed(ConnectFailure::Refused)
        };
        self.event(&event);
    }

    fn pass(&mut self, until: Duration) {
        let passed = until.saturating_sub(self.now.running);
        self.now.running = until;
        self.now.wall = self.now.wall.checked_add(passed).expect("an instant");
    }

    pub(super) fn event(&mut self, event: &Event<'_>) {
        self.machine.session.handle(event, self.now.running);
        self.take_news();
    }

    /// The gateway ends the connection, if there is one.
    pub(super) fn hang_up(&mut self) {
        if std::mem::take(&mut self.is_connected) {
            self.event(&Event::Closed);
        }
    }

    /// Whether a connection waits for the answer to its hello, as ibga's proxy keeps it.
    pub(super) fn is_kept_waiting(&self) -> bool {
        self.is_connected && self.hello_waits
    }

    /// Answers a hello that has waited.
    pub(super) fn let_in(&mut self) {
        if self.is_connected && std::mem::take(&mut self.hello_waits) {
            self.say_hello();
        }
    }

    pub(super) fn text(&mut self, message: &str) {
        let bytes = frame::encode(message.replace('|', "\0").as_bytes());
        self.event(&Event::Bytes(&bytes));
    }

    /// A notice that is about no request, if there is anybody to hear it.
    pub(super) fn notice(&mut self, code: i32, text: &str) {
        if self.is_connected && !self.hello_waits {
            self.text(&format!("4|2|-1|{code}|{text}||"));
        }
    }

    fn say_hello(&mut self) {
        self.text("178|20261125 02:00:00 UTC|");
    }

    fn answer(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        if matches!(self.gateway, Gateway::Refusing | Gateway::Silent) {
            self.hello_waits |= text.starts_with("API\0");
            return;
        }
        if text.starts_with("API\0") {
            return self.say_hello();
        }
        if text.contains("71\0") {
            self.text("15|1|DU1234567|");
            self.text("9|1|1|");
        }
        if self.gateway == Gateway::Unresponsive {
            return;
        }
        if text.contains("\u{5}49\0") {
            let time = format!("49|1|{}|", self.now.wall.as_second());
            self.text(&time);
        }
        if text.contains("8\x001\x001\0") {
            self.text("9|1|2|");
        }
        if let Some((_, rest)) = text.split_once("9\x008\0")
            && self.gateway == Gateway::Ready
        {
            let id = rest.split('\0').next().unwrap_or_default().to_owned();
            self.text(&format!("52|1|{id}|"));
        }
    }

    fn take_news(&mut self) {
        if let Some(news) = self.machine.session.take_news() {
            let effects = self.machine.news(news, self.now);
            self.note(effects);
        }
    }

    pub(super) fn note(&mut self, effects: Vec<Effect>) {
        let at = self.now.running.as_secs();
        // The tests tell of forecasts where they mean them.
        let of_words = effects.iter().filter(|effect| **effect != Effect::Forecast);
        self.log.extend(of_words.map(|effect| format!("{at} {}", in_words(effect))));
        self.effects.extend(effects);
    }

    pub(super) fn container(&mut self, answer: &Result<Answer, EngineError>) {
        let effects = self.machine.container(answer, self.now);
        self.note(effects);
    }

    pub(super) fn log_says(&mut self, log: LogSeen) {
        let Some(container) = self.machine.found.clone() else { return };
        let effects = self.machine.log(&container, log, self.now);
        self.note(effects);
    }

    pub(super) fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }
}

fn in_words(effect: &Effect) -> String {
    match effect {
        Effect::Write(report) => format!("write {}", report.cause().map_or("?", Cause::code)),
        Effect::Announce(change) => format!("now {}", change.to),
        Effect::Tell { report, .. } => format!("tell {}", report.cause().map_or("?", Cause::code)),
        Effect::ReadLog(container) => format!("log of {}", container.name),
        Effect::Forecast => "forecast".into(),
        Effect::Recall => "recall".into(),
        Effect::Recover(order) => order.plan.recipe.to_string(),
        Effect::GiveUp(order) => format!("give up {}", order.cause),
        Effect::LeftAlone(why) => format!("left alone: {}", why.code()),
    }
}
