//! Supervision: whether an agent that was started may run on. A pure function of the gate's decision now, of what held before, and of
//! how long ago that was.
//!
//! What is lost must have been there: an agent that was started in spite of a closed market or a gateway that is not ready is not
//! stopped for that, but for losing it once it had it. A halt stops always.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::cause::UnknownWord;
use crate::gate::{Check, Decision, Rule};

/// What stops a supervised agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StopOn {
    /// A person's halt; always.
    Halt,
    /// The gateway is no longer ready, or nobody can tell any more.
    NotReady,
    /// The market is no longer open.
    SessionEnd,
}

impl StopOn {
    /// All of them, the weightiest first.
    pub const ALL: [Self; 3] = [Self::Halt, Self::NotReady, Self::SessionEnd];

    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Halt => "halt",
            Self::NotReady => "not_ready",
            Self::SessionEnd => "session_end",
        }
    }

    /// What it is that a rule of the gate keeps up.
    fn of(rule: Rule) -> Self {
        match rule {
            Rule::NotHalted => Self::Halt,
            Rule::Market => Self::SessionEnd,
            _ => Self::NotReady,
        }
    }
}

impl fmt::Display for StopOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for StopOn {
    type Err = UnknownWord;

    fn from_str(code: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|one| one.code() == code).ok_or(UnknownWord)
    }
}

/// What the operator wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What stops the agent, beside a halt.
    pub stop_on: Vec<StopOn>,
    /// How long readiness may be away before it counts as lost.
    pub tolerance: Duration,
}

/// Why the agent is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The kind of reason.
    pub on: StopOn,
    /// What was found, in the words of the gate, on one line.
    pub text: String,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What to do with the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Let it run, and look again: when something changes, and in any case at this time, if there is one.
    Keep {
        /// When a loss that is borne for now will no longer be, on the clock of the calls.
        look_at: Option<Duration>,
    },
    /// Stop it.
    Stop(Stop),
}

/// Something that the agent needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// It was not there since the start.
    NotYet,
    /// It is there.
    Yes,
    /// It was, until then.
    Until(Duration),
}

impl Held {
    fn next(self, is_there: bool, now: Duration) -> Self {
        match (is_there, self) {
            (true, _) => Self::Yes,
            (false, Self::Yes) => Self::Until(now),
            (false, before) => before,
        }
    }
}

/// One agent under supervision.
#[derive(Clone, Debug)]
pub struct Supervision {
    terms: Terms,
    ready: Held,
    open: Held,
}

impl Supervision {
    /// Of an agent that is started on this decision.
    pub fn new(terms: Terms, at_the_start: &Decision) -> Self {
        let held = |on| if is_there(at_the_start, on) { Held::Yes } else { Held::NotYet };
        Self { terms, ready: held(StopOn::NotReady), open: held(StopOn::SessionEnd) }
    }

    /// Judges what the gate says now. `now` is a clock that never steps, the same for all calls.
    pub fn step(&mut self, decision: &Decision, now: Duration) -> Step {
        self.ready = self.ready.next(is_there(decision, StopOn::NotReady), now);
        self.open = self.open.next(is_there(decision, StopOn::SessionEnd), now);
        if !is_there(decision, StopOn::Halt) {
            return stop(decision, StopOn::Halt);
        }
        let counts = |on| self.terms.stop_on.contains(&on);
        let mut look_at = None;
        if let (Held::Until(since), true) = (self.ready, counts(StopOn::NotReady)) {
            let end = since.saturating_add(self.terms.tolerance);
            if now >= end {
                return stop(decision, StopOn::NotReady);
            }
            look_at = Some(end);
        }
        if matches!(self.open, Held::Until(_)) && counts(StopOn::SessionEnd) {
            return stop(decision, StopOn::SessionEnd);
        }
        Step::Keep { look_at }
    }
}

fn against(decision: &Decision, on: StopOn) -> impl Iterator<Item = &Check> {
    decision.failures().filter(move |check| StopOn::of(check.rule) == on)
}

fn is_there(decision: &Decision, on: StopOn) -> bool {
    against(decision, on).next().is_none()
}

fn stop(decision: &Decision, on: StopOn) -> Step {
    let text = against(decision, on).map(|check| check.text.as_str()).collect::<Vec<_>>().join("; ");
    Step::Stop(Stop { on, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Outcome;

    /// A decision in which these rules fail.
    fn failing(rules: &[Rule]) -> Decision {
        let all = [Rule::NotHalted, Rule::StatusFile, Rule::Fresh, Rule::Ready, Rule::Market];
        let check = |rule: Rule| Check {
            rule,
            outcome: if rules.contains(&rule) { Outcome::Failed } else { Outcome::Passed },
            text: rule.fault_code().into(),
        };
        Decision { checks: all.map(check).into(), broker_hours: None }
    }

    /// What becomes of an agent second by second, by a letter for each look: `k`ept, `h`alted, not `r`eady, `s`ession end.
    fn story(terms: &Terms, start: &[Rule], looks: &[&[Rule]]) -> String {
        let mut supervision = Supervision::new(terms.clone(), &failing(start));
        let seconds = (0..).map(Duration::from_secs);
        let letter = |(rules, now): (&&[Rule], Duration)| match supervision.step(&failing(rules), now) {
            Step::Keep { .. } => 'k',
            Step::Stop(Stop { on: StopOn::Halt, .. }) => 'h',
            Step::Stop(Stop { on: StopOn::NotReady, .. }) => 'r',
            Step::Stop(Stop { on: StopOn::SessionEnd, .. }) => 's',
        };
        looks.iter().zip(seconds).map(letter).collect()
    }

    fn terms(stop_on: &[StopOn], tolerance: u64) -> Terms {
        Terms { stop_on: stop_on.into(), tolerance: Duration::from_secs(tolerance) }
    }

    const GOOD: &[Rule] = &[];
    const DOWN: &[Rule] = &[Rule::Ready];
    const STALE: &[Rule] = &[Rule::Fresh];
    const GONE: &[Rule] = &[Rule::StatusFile];
    const CLOSED: &[Rule] = &[Rule::Market];
    const HALTED: &[Rule] = &[Rule::NotHalted];
    const ALL: &[Rule] = &[Rule::NotHalted, Rule::Ready, Rule::Market];

    #[test]
    fn stories() {
        let usual = &[StopOn::NotReady, StopOn::SessionEnd][..];
        for (name, stop_on, tolerance, start, looks, expected) in [
            ("all is well", usual, 0, GOOD, &[GOOD, GOOD][..], "kk"),
            ("a halt", usual, 0, GOOD, &[GOOD, HALTED], "kh"),
            ("a halt stops always", &[], 3_600, GOOD, &[GOOD, HALTED], "kh"),
            ("a halt comes first", usual, 0, GOOD, &[ALL], "h"),
            ("not ready", usual, 0, GOOD, &[GOOD, DOWN], "kr"),
            ("stale", usual, 0, GOOD, &[STALE], "r"),
            ("the file is gone", usual, 0, GOOD, &[GONE], "r"),
            ("the market closes", usual, 0, GOOD, &[GOOD, CLOSED], "ks"),
            ("readiness weighs more", usual, 0, GOOD, &[&[Rule::Ready, Rule::Market]], "r"),
            ("kept when not ready", &[StopOn::SessionEnd], 0, GOOD, &[DOWN, DOWN, CLOSED], "kks"),
            ("kept after the session", &[StopOn::NotReady], 0, GOOD, &[CLOSED, CLOSED, DOWN], "kkr"),
            ("a loss that is borne", usual, 2, GOOD, &[DOWN, STALE, GOOD, DOWN, DOWN, GONE], "kkkkkr"),
            ("the market is not borne", usual, 9, GOOD, &[CLOSED], "s"),
            ("the market closes meanwhile", usual, 9, GOOD, &[DOWN, &[Rule::Ready, Rule::Market]], "ks"),
            ("never ready", usual, 0, DOWN, &[DOWN, DOWN], "kk"),
            ("ready later, then lost", usual, 0, DOWN, &[DOWN, GOOD, DOWN], "kkr"),
            ("never open", usual, 0, CLOSED, &[CLOSED, CLOSED], "kk"),
            ("open later, then closed", usual, 0, CLOSED, &[GOOD, CLOSED], "ks"),
            ("halted at the start", usual, 0, HALTED, &[HALTED], "h"),
        ] {
            assert_eq!(story(&terms(stop_on, tolerance), start, looks), expected, "{name}");
        }
    }

    #[test]
    fn a_loss_that_is_borne_says_when_to_look_again() {
        let mut supervision = Supervision::new(terms(&[StopOn::NotReady], 60), &failing(GOOD));
        let at = Duration::from_secs;
        assert_eq!(supervision.step(&failing(GOOD), at(1)), Step::Keep { look_at: None });
        assert_eq!(supervision.step(&failing(DOWN), at(5)), Step::Keep { look_at: Some(at(65)) });
        assert_eq!(supervision.step(&failing(STALE), at(9)), Step::Keep { look_at: Some(at(65)) });
        let stop = Stop { on: StopOn::NotReady, text: "status_stale; not_ready".into() };
        let both = failing(&[Rule::Ready, Rule::Fresh]);
        assert_eq!(supervision.step(&both, at(65)), Step::Stop(stop));
    }

    #[test]
    fn words() {
        for one in StopOn::ALL {
            assert_eq!(one.code().parse(), Ok(one));
        }
        assert!("nothing".parse::<StopOn>().is_err());
    }
}
