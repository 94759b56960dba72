//! Where a gateway stands in its timeline, and when it goes on: functions of the time since the start, without a clock.

use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use crate::scene::Scene;
use crate::timeline::Timeline;

/// No step is shorter, however fast it plays.
const STEP_MIN: Duration = Duration::from_millis(1);

/// How many times as fast as written a timeline plays. Only the times of its steps shrink: what happens within a scenario,
/// the gateway's clock and everybody's time limits keep their pace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed(f64);

impl Default for Speed {
    fn default() -> Self {
        Self(1.0)
    }
}

/// Not a speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a speed; write how many times as fast, from 0.01 to 100000, such as 60")]
pub struct SpeedError;

impl Speed {
    /// From 0.01 (a hundred times as slow) to 100000.
    pub fn new(times: f64) -> Result<Self, SpeedError> {
        if (0.01..=100_000.0).contains(&times) { Ok(Self(times)) } else { Err(SpeedError) }
    }

    fn shrink(self, time: Duration) -> Duration {
        time.div_f64(self.0).max(STEP_MIN)
    }
}

impl FromStr for Speed {
    type Err = SpeedError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text.trim().parse().map_err(|_| SpeedError)?)
    }
}

/// What makes a timeline go on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// The times of its steps, and whoever goes on by hand.
    Timed(Speed),
    /// Nothing but somebody's hand.
    ByHand,
}

impl Default for Pace {
    fn default() -> Self {
        Self::Timed(Speed::default())
    }
}

/// Which step of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Its number, from 1.
    pub step: usize,
    /// How many steps there are.
    pub steps: usize,
    /// Which time through, from 1.
    pub round: NonZeroU64,
}

/// A timeline as it plays.
#[derive(Clone, Debug)]
pub(crate) struct Player {
    timeline: Timeline,
    pace: Pace,
    index: usize,
    round: NonZeroU64,
    progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// The step began at this time since the start.
    Since(Duration),
    /// Somebody chose another scene, which stays until somebody goes on.
    Held,
    /// Nothing follows, neither by time nor by hand.
    Ended,
}

/// How a timeline went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// Another step began.
    On,
    /// Another step began, and it is for ever.
    OnToTheEnd,
    /// The time of the last step is up; it stays.
    End,
}

impl Player {
    pub(crate) fn begin(timeline: Timeline, pace: Pace, now: Duration) -> Self {
        let mut player = Self { timeline, pace, index: 0, round: NonZeroU64::MIN, progress: Progress::Since(now) };
        player.settle();
        player
    }

    /// A step for ever is the end.
    fn settle(&mut self) {
        if self.timeline.following(self.index).is_none() && self.timeline.step(self.index).lasts.is_none() {
            self.progress = Progress::Ended;
        }
    }

    pub(crate) fn scene(&self) -> &Scene {
        &self.timeline.step(self.index).scene
    }

    /// The step that plays; none while something else was chosen by hand, nor if there is but one scene anyway.
    pub(crate) fn position(&self) -> Option<Position> {
        let steps = self.timeline.count();
        let plays = self.progress != Progress::Held && (steps > 1 || self.timeline.step(0).lasts.is_some());
        plays.then_some(Position { step: self.index + 1, steps, round: self.round })
    }

    /// When it goes on by itself, as a time since the start.
    pub(crate) fn due(&self) -> Option<Duration> {
        match (self.pace, self.progress, self.timeline.step(self.index).lasts) {
            (Pace::Timed(speed), Progress::Since(began), Some(lasts)) => Some(began + speed.shrink(lasts)),
            _ => None,
        }
    }

    /// Goes on if that is due.
    pub(crate) fn go_on_if_due(&mut self, now: Duration) -> Option<Moved> {
        let due = self.due().filter(|due| *due <= now)?;
        if let Some(moved) = self.go_on(due) {
            // Steps keep to their times without drifting, but one that began late beyond its own end gets its whole time.
            if self.due().is_some_and(|end| end <= now) {
                self.progress = Progress::Since(now);
            }
            return Some(moved);
        }
        self.progress = Progress::Ended;
        Some(Moved::End)
    }

    /// Goes on to the next step, if one follows.
    pub(crate) fn go_on(&mut self, now: Duration) -> Option<Moved> {
        let next = self.timeline.following(self.index)?;
        if next <= self.index {
            self.round = self.round.saturating_add(1);
        }
        self.index = next;
        self.progress = Progress::Since(now);
        self.settle();
        Some(if self.progress == Progress::Ended { Moved::OnToTheEnd } else { Moved::On })
    }

    /// Waits for somebody's hand, since somebody chose another scene.
    pub(crate) fn hold(&mut self) {
        self.progress = Progress::Held;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn player(text: &str, pace: Pace) -> Player {
        Player::begin(text.parse().expect(text), pace, ms(0))
    }

    /// Plays until nothing is due any more, or the limit: when, what, and how.
    fn played(text: &str, speed: f64, until: Duration) -> Vec<(u128, String, Moved)> {
        let mut player = player(text, Pace::Timed(Speed::new(speed).expect("a speed")));
        let mut story = Vec::new();
        while let Some(due) = player.due().filter(|due| *due <= until) {
            assert_eq!(player.go_on_if_due(due.saturating_sub(Duration::from_nanos(1))), None, "not before");
            let moved = player.go_on_if_due(due).expect("due");
            story.push((due.as_millis(), player.scene().to_string(), moved));
        }
        story
    }

    #[test]
    fn steps_come_at_their_times() {
        let story = |text, speed| played(text, speed, ms(100_000));
        let moved = |at, scene: &str, moved| (at, scene.to_owned(), moved);
        assert_eq!(story("ready", 1.0), []);
        assert_eq!(story("ready 30s", 1.0), [moved(30_000, "ready", Moved::End)]);
        assert_eq!(
            story("ready 30s, restart 10s, ready", 1.0),
            [moved(30_000, "restart", Moved::On), moved(40_000, "ready", Moved::OnToTheEnd)]
        );
        assert_eq!(
            story("ready 20m, restart 2m, ready 1m", 60.0),
            [
                moved(20_000, "restart", Moved::On),
                moved(22_000, "ready", Moved::On),
                moved(23_000, "ready", Moved::End)
            ]
        );
        assert_eq!(story("ready 1s, restart, ready", 1.0), [moved(1_000, "restart", Moved::On)], "waits for a hand");
    }

    #[test]
    fn rounds_are_counted() {
        let mut player = player("ready 1s, restart 2s, repeat", Pace::default());
        let mut positions = Vec::new();
        for _ in 0..4 {
            let due = player.due().expect("for ever");
            player.go_on_if_due(due);
            let Position { step, steps, round } = player.position().expect("a position");
            positions.push((due.as_millis(), step, steps, round.get()));
        }
        assert_eq!(positions, [(1_000, 2, 2, 1), (3_000, 1, 2, 2), (4_000, 2, 2, 2), (6_000, 1, 2, 3)]);
    }

    #[test]
    fn what_is_late_catches_up_within_a_step_and_skips_none() {
        let mut player = player("ready 1s, restart 2s, wedged 3s, ready", Pace::default());
        assert_eq!(player.go_on_if_due(ms(1_500)), Some(Moved::On));
        assert_eq!(player.due(), Some(ms(3_000)), "half a second late at first, on time at the end");
        assert_eq!(player.go_on_if_due(ms(60_000)), Some(Moved::On));
        assert_eq!((player.scene().to_string().as_str(), player.due()), ("wedged", Some(ms(63_000))));
    }

    #[test]
    fn by_hand_nothing_moves_by_time() {
        let mut player = player("ready 1s, restart 1s", Pace::ByHand);
        assert_eq!((player.due(), player.go_on_if_due(ms(1_000_000))), (None, None));
        assert_eq!(player.go_on(ms(5)), Some(Moved::On));
        assert_eq!(player.go_on(ms(6)), None, "nothing follows");
        assert_eq!(player.scene().to_string(), "restart");
    }

    #[test]
    fn a_scene_that_was_chosen_stays_until_somebody_goes_on() {
        let mut player = player("ready 1s, restart 1s, ready", Pace::default());
        player.hold();
        assert_eq!((player.due(), player.position()), (None, None));
        assert_eq!(player.go_on(ms(7_000)), Some(Moved::On));
        assert_eq!((player.scene().to_string().as_str(), player.due()), ("restart", Some(ms(8_000))));
    }

    #[test]
    fn a_single_scene_has_no_position() {
        assert_eq!(player("ready", Pace::default()).position(), None);
        assert_eq!(player("ready 5s", Pace::default()).position().map(|position| position.steps), Some(1));
    }

    #[test]
    fn speeds() {
        for text in ["0", "-1", "nan", "inf", "fast", "", "100001"] {
            assert_eq!(text.parse::<Speed>(), Err(SpeedError), "{text}");
        }
        for (text, shrunk) in [("1", 60_000), ("60", 1_000), ("0.5", 120_000), ("100000", 1)] {
            assert_eq!(text.parse::<Speed>().map(|speed| speed.shrink(ms(60_000))), Ok(ms(shrunk)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_goes_on_only_forwards(nows in proptest::collection::vec(0_u64..5_000, 1..100), speed in 0.01..100_000.0_f64) {
            let mut player = player("ready 1s, restart 20ms, wedged 300ms, repeat", Pace::Timed(Speed::new(speed).expect("a speed")));
            let mut now = ms(0);
            for step in nows {
                now += ms(step);
                let before = player.due().expect("repeats");
                let moved = player.go_on_if_due(now);
                prop_assert_eq!(moved.is_some(), before <= now);
                if moved.is_some() {
                    prop_assert!(player.due().expect("repeats") > now, "at most one step at a time");
                }
            }
        }
    }
}
