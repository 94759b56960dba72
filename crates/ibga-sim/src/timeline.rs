//! A timeline: scenes one after the other, each for a time. Reads the text that people write; knows no clock.
//!
//! The text: `SCENARIO [as ACCOUNT[+ACCOUNT]] [TIME]`, steps apart by commas or line ends, `#` before a comment, and the word
//! `repeat` at the end to begin anew. A step without a time lasts until somebody goes on by hand; the last one for ever.

use std::str::FromStr;
use std::time::Duration;

use ibga_core::account::AccountId;
use jiff::SignedDuration;

use crate::scenario::{Scenario, UnknownScenario};
use crate::scene::{NotAnAccount, Scene, shown};

/// The most steps of a timeline.
pub(crate) const STEPS_MAX: usize = 1_000;

/// The longest text of a timeline.
pub(crate) const TEXT_BYTES_MAX: usize = 64 * 1024;

/// The shortest and the longest time of a step.
const STEP_MIN: Duration = Duration::from_millis(1);
const STEP_MAX: Duration = Duration::from_hours(31 * 24);

const REPEAT: &str = "repeat";

/// What a gateway goes through. Has at least one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    first: Step,
    rest: Vec<Step>,
    at_end: AtEnd,
}

/// One step of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What the gateway does.
    pub scene: Scene,
    /// For how long; `None` until somebody goes on by hand.
    pub lasts: Option<Duration>,
}

/// What comes after the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtEnd {
    /// The last step stays.
    Stay,
    /// The first step comes again.
    Repeat,
}

impl<S: Into<Scene>> From<S> for Timeline {
    /// One step for ever.
    fn from(scene: S) -> Self {
        Self { first: Step { scene: scene.into(), lasts: None }, rest: Vec::new(), at_end: AtEnd::Stay }
    }
}

impl Timeline {
    /// The same with one more step, which comes when the last one so far has lasted this long (from 1 ms to 31 days).
    #[must_use]
    pub fn after(mut self, lasts: Duration, scene: impl Into<Scene>) -> Self {
        self.rest.last_mut().unwrap_or(&mut self.first).lasts = Some(lasts.clamp(STEP_MIN, STEP_MAX));
        self.rest.push(Step { scene: scene.into(), lasts: None });
        self
    }

    /// The steps in their order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        1 + self.rest.len()
    }

    /// A step by its index; the first for an index that is too high.
    pub(crate) fn step(&self, index: usize) -> &Step {
        index.checked_sub(1).and_then(|index| self.rest.get(index)).unwrap_or(&self.first)
    }

    /// The step that follows one, by index.
    pub(crate) fn following(&self, index: usize) -> Option<usize> {
        match self.at_end {
            _ if index < self.rest.len() => Some(index + 1),
            AtEnd::Repeat => Some(0),
            AtEnd::Stay => None,
        }
    }

    /// What comes after the last step.
    pub fn at_end(&self) -> AtEnd {
        self.at_end
    }

    /// The first step that ends only by hand, though something follows it; counted from 1.
    pub fn first_by_hand(&self) -> Option<usize> {
        let ends_by_hand = |(index, step): (usize, &Step)| step.lasts.is_none() && self.following(index).is_some();
        self.steps().enumerate().position(ends_by_hand).map(|index| index + 1)
    }

    /// The text that reads back as this timeline. It holds whole account ids: for files, never for messages.
    pub fn source(&self) -> String {
        let mut lines: Vec<String> = self.steps().map(Step::source).collect();
        if self.at_end == AtEnd::Repeat {
            lines.push(REPEAT.into());
        }
        lines.join("\n")
    }
}

impl Step {
    fn source(&self) -> String {
        let accounts = self.scene.accounts.as_ref().map_or_else(String::new, |accounts| {
            let ids: Vec<&str> = accounts.iter().map(AccountId::reveal).collect();
            format!(" as {}", ids.join("+"))
        });
        let lasts = self.lasts.and_then(|lasts| SignedDuration::try_from(lasts).ok());
        let lasts = lasts.map_or_else(String::new, |lasts| format!(" {lasts:#}"));
        format!("{}{accounts}{lasts}", self.scene.scenario)
    }
}

/// What is wrong with the text of a timeline, and where. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {fault}")]
pub struct TimelineError {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// What.
    pub fault: TimelineFault,
}

/// What is wrong with the text of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimelineFault {
    /// It has no step.
    #[error("there is no step; write a scenario and a time, as in `ready 30s`")]
    Empty,
    /// It has too many.
    #[error("more than {STEPS_MAX} steps; end with `repeat` to begin anew")]
    TooManySteps,
    /// It is too long.
    #[error("more than {} KiB of text; shorten it", TEXT_BYTES_MAX / 1024)]
    TooLong,
    /// No scenario has this name.
    #[error(transparent)]
    Scenario(#[from] UnknownScenario),
    /// No account id.
    #[error("not an account id; write `as DU1234567`, with a + between two")]
    Account,
    /// No time.
    #[error("`{0}` is not a time; write a number with a unit, such as 30s, 5m or 500ms")]
    Time(String),
    /// A time that is too short or too long.
    #[error("`{0}` is not between 1ms and 31 days")]
    TimeOutOfRange(String),
    /// Something follows `repeat`.
    #[error("`repeat` is the end; put nothing after it")]
    AfterRepeat,
    /// Nothing stands before `repeat`.
    #[error("`repeat` has no step before it; write the steps first")]
    NothingToRepeat,
}

/// A word and the column where it begins.
type Word<'a> = (usize, &'a str);

impl FromStr for Timeline {
    type Err = TimelineError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at = |line, column| move |fault| TimelineError { line, column, fault };
        if text.len() > TEXT_BYTES_MAX {
            return Err(at(1, 1)(TimelineFault::TooLong));
        }
        let mut steps: Vec<Step> = Vec::new();
        let mut at_end = AtEnd::Stay;
        for (row, line) in text.lines().enumerate() {
            for words in items(line.split_once('#').map_or(line, |(before, _)| before)) {
                let Some(&(column, first)) = words.first() else { continue };
                if at_end == AtEnd::Repeat {
                    return Err(at(row + 1, column)(TimelineFault::AfterRepeat));
                }
                if first.eq_ignore_ascii_case(REPEAT) {
                    if steps.is_empty() {
                        return Err(at(row + 1, column)(TimelineFault::NothingToRepeat));
                    }
                    if let Some((column, _)) = words.get(1) {
                        return Err(at(row + 1, *column)(TimelineFault::AfterRepeat));
                    }
                    at_end = AtEnd::Repeat;
                } else if steps.len() == STEPS_MAX {
                    return Err(at(row + 1, column)(TimelineFault::TooManySteps));
                } else {
                    steps.push(step(&words).map_err(|(column, fault)| at(row + 1, column)(fault))?);
                }
            }
        }
        let mut steps = steps.into_iter();
        match steps.next() {
            Some(first) => Ok(Self { first, rest: steps.collect(), at_end }),
            None => Err(at(1, 1)(TimelineFault::Empty)),
        }
    }
}

/// The words of each item of a line.
fn items(line: &str) -> Vec<Vec<Word<'_>>> {
    let mut items = Vec::new();
    let mut column = 1;
    for item in line.split(',') {
        let mut words = Vec::new();
        for part in item.split_inclusive(char::is_whitespace) {
            let word = part.trim_end();
            if !word.is_empty() {
                words.push((column, word));
            }
            column += part.chars().count();
        }
        // The comma.
        column += 1;
        items.push(words);
    }
    items
}

/// Reads one step, or says which column is wrong.
fn step(words: &[Word<'_>]) -> Result<Step, (usize, TimelineFault)> {
    let mut words = words.iter().copied();
    let (column, name) = words.next().unwrap_or((1, ""));
    let scenario: Scenario = name.parse().map_err(|fault: UnknownScenario| (column, fault.into()))?;
    let mut scene = Scene::from(scenario);
    let mut time: Vec<Word<'_>> = Vec::new();
    while let Some((column, word)) = words.next() {
        if !word.eq_ignore_ascii_case("as") || scene.accounts.is_some() {
            time.push((column, word));
            continue;
        }
        let (column, accounts) = words.next().ok_or((column, TimelineFault::Account))?;
        scene = Scene::under(scenario, accounts).map_err(|NotAnAccount| (column, TimelineFault::Account))?;
    }
    let Some(&(column, _)) = time.first() else { return Ok(Step { scene, lasts: None }) };
    let time: Vec<&str> = time.into_iter().map(|(_, word)| word).collect();
    let lasts = lasts(&time.join(" ")).map_err(|fault| (column, fault))?;
    Ok(Step { scene, lasts: Some(lasts) })
}

fn lasts(text: &str) -> Result<Duration, TimelineFault> {
    let time: SignedDuration = text.parse().map_err(|_| TimelineFault::Time(shown(text)))?;
    let time = Duration::try_from(time).ok().filter(|time| (STEP_MIN..=STEP_MAX).contains(time));
    time.ok_or_else(|| TimelineFault::TimeOutOfRange(shown(text)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `scenario/milliseconds` of each step.
    fn told(timeline: &Timeline) -> Vec<String> {
        let time = |step: &Step| step.lasts.map_or_else(|| "-".into(), |lasts| lasts.as_millis().to_string());
        timeline.steps().map(|step| format!("{}/{}", step.scene, time(step))).collect()
    }

    #[test]
    fn as_people_write_it() {
        for (text, steps, at_end) in [
            ("ready", &["ready/-"][..], AtEnd::Stay),
            (
                "ready 30s, broker_link_down 20s,restart 1m 30s, ready",
                &["ready/30000", "broker_link_down/20000", "restart/90000", "ready/-"],
                AtEnd::Stay,
            ),
            (
                "# a night\n\nready 20m # calm\n  restart 2min,\n\nlogged-out\t5m,,\nready as U7654321+DU1 1h\nREPEAT\n# end\n",
                &["ready/1200000", "restart/120000", "logged_out/300000", "ready as U7***21+D***/3600000"],
                AtEnd::Repeat,
            ),
            ("ready 5s as U1234567", &["ready as U1***67/5000"], AtEnd::Stay),
            ("ready\r\nrestart 1ms\r\n", &["ready/-", "restart/1"], AtEnd::Stay),
        ] {
            let timeline: Timeline = text.parse().expect(text);
            assert_eq!(told(&timeline), steps, "{text}");
            assert_eq!(timeline.at_end(), at_end, "{text}");
        }
    }

    #[test]
    fn a_fault_is_named_with_its_place() {
        for (text, fault) in [
            ("", "line 1, column 1: there is no step"),
            ("# nothing\n,\n", "line 1, column 1: there is no step"),
            (
                "ready 30s,\n  broker_link_don 5s",
                "line 2, column 3: no scenario is called `broker_link_don`; did you mean `broker_link_down`?",
            ),
            ("ready 30s, restart ten", "line 1, column 20: `ten` is not a time; write a number with a unit"),
            ("ready 30", "line 1, column 7: `30` is not a time"),
            ("ready 0s", "line 1, column 7: `0s` is not between 1ms and 31 days"),
            ("ready -5s", "line 1, column 7: `-5s` is not between"),
            ("ready 800h", "line 1, column 7: `800h` is not between"),
            ("ready as", "line 1, column 7: not an account id"),
            ("ready as DU-1 5s", "line 1, column 10: not an account id"),
            ("ready as DU1 as DU2", "line 1, column 14: `as DU2` is not a time"),
            ("ready as DU1 as U1112223 5s", "line 1, column 14: `as *** 5s` is not a time"),
            ("U1112223 5s", "line 1, column 1: no scenario is called `***`"),
            ("repeat", "line 1, column 1: `repeat` has no step before it"),
            ("ready 1s, repeat 3", "line 1, column 18: `repeat` is the end"),
            ("ready 1s, repeat\nready", "line 2, column 1: `repeat` is the end"),
            ("ready 1s restart 1s", "line 1, column 7: `1s restart 1s` is not a time"),
        ] {
            let said = text.parse::<Timeline>().expect_err(text).to_string();
            assert!(said.starts_with(fault), "{text:?}: {said}");
        }
        let said = "ready 1s\n".repeat(STEPS_MAX + 1).parse::<Timeline>().expect_err("too many").to_string();
        assert!(said.starts_with("line 1001, column 1: more than 1000 steps"), "{said}");
        let said = "#".repeat(TEXT_BYTES_MAX + 1).parse::<Timeline>().expect_err("too long").to_string();
        assert!(said.contains("more than 64 KiB"), "{said}");
    }

    #[test]
    fn what_follows() {
        let follows = |text: &str| {
            let timeline: Timeline = text.parse().expect(text);
            let follows: Vec<Option<usize>> = (0..timeline.count()).map(|index| timeline.following(index)).collect();
            (follows, timeline.first_by_hand())
        };
        assert_eq!(follows("ready"), (vec![None], None));
        assert_eq!(follows("ready 1s, restart"), (vec![Some(1), None], None));
        assert_eq!(follows("ready 1s, restart, ready 1s"), (vec![Some(1), Some(2), None], Some(2)));
        assert_eq!(follows("ready 1s, restart, repeat"), (vec![Some(1), Some(0)], Some(2)));
    }

    #[test]
    fn built_in_rust_as_it_is_read() {
        let built = Timeline::from(Scenario::LoggedOut).after(Duration::from_secs(30), Scenario::Ready);
        assert_eq!("logged_out 30s, ready".parse(), Ok(built));
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let accounts = proptest::option::of(proptest::collection::vec("[A-Za-z0-9]{1,9}", 1..4));
        let lasts = proptest::option::of(1_u64..=2_678_400_000);
        (0..Scenario::ALL.len(), accounts, lasts).prop_map(|(index, accounts, lasts)| Step {
            scene: Scene {
                scenario: Scenario::ALL[index],
                accounts: accounts.map(|ids| ids.iter().filter_map(|id| AccountId::new(id)).collect()),
            },
            lasts: lasts.map(Duration::from_millis),
        })
    }

    proptest! {
        #[test]
        fn every_timeline_reads_back(first in any_step(), rest in proptest::collection::vec(any_step(), 0..20), again: bool) {
            let at_end = if again { AtEnd::Repeat } else { AtEnd::Stay };
            let timeline = Timeline { first, rest, at_end };
            prop_assert_eq!(timeline.source().parse(), Ok(timeline.clone()));
            let on_one_line: Timeline = timeline.source().replace('\n', ", ").parse().expect("reads back");
            prop_assert_eq!(on_one_line, timeline);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*", lines in "([a-z_]{0,12}[ ,#\n\t0-9smh+]{0,6}){0,40}") {
            let _ = text.parse::<Timeline>();
            let _ = lines.parse::<Timeline>();
        }

        #[test]
        fn a_fault_points_into_the_text(text in "(ready|repeat|as|5s|,|\n|#| |x|é){0,30}") {
            if let Err(fault) = text.parse::<Timeline>() {
                let width = text.lines().nth(fault.line - 1).unwrap_or_default().chars().count();
                prop_assert!(fault.column <= width.max(1), "{:?}: {}", text, fault);
            }
        }
    }
}
