//! Random weeks of a gateway, with restarts of this program and a clock that is set back: what must never be done is never done.

use proptest::prelude::*;

use super::*;
use crate::reset_windows::ResetWindow;

#[derive(Clone, Copy, Debug)]
enum Event {
    /// So many seconds pass.
    Pass(i64),
    /// The gateway is seen like this from now on.
    Turn(Cause, ContainerState, LogSeen),
    /// It is ready.
    Ready,
    /// The clock is set back by so many seconds.
    Back(i64),
    /// This program ends, perhaps within an act, and begins anew.
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    use ContainerState::{Running, Stopped};
    let logs = [LogSeen::Quiet, LogSeen::Quiet, LogSeen::Unreadable, LogSeen::Hint(LogHintKind::TwoFactorPending)];
    let state = prop_oneof![
        2 => Just((Cause::ContainerStopped, Stopped)),
        1 => Just((Cause::ApiSilent, Running)),
        1 => Just((Cause::PortRefused, Running)),
        1 => Just((Cause::ApiUnresponsive, Running)),
    ];
    prop_oneof![
        8 => (1..40_i64).prop_map(Event::Pass),
        8 => (40..1_200_i64).prop_map(Event::Pass),
        2 => (1_200..40_000_i64).prop_map(Event::Pass),
        4 => (state, proptest::sample::select(logs.to_vec())).prop_map(|((cause, state), log)| Event::Turn(cause, state, log)),
        1 => Just(Event::Ready),
        1 => (1..20_000_i64).prop_map(Event::Back),
        1 => Just(Event::Restart),
    ]
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// The world as it is, not as the program remembers it.
struct World {
    /// Seconds that have passed.
    passed: i64,
    /// By how many the clock was set back.
    behind: i64,
    turned: Timestamp,
    state: Option<(Cause, ContainerState, LogSeen)>,
    past: Past,
    /// What the store holds.
    kept: Vec<Act>,
    /// When the store last saw it ready.
    ready: Option<Timestamp>,
    /// Acts by the seconds that had passed.
    acts: Vec<i64>,
}

impl World {
    fn now(&self) -> Timestamp {
        at("00:00:00").saturating_add(seconds(self.passed - self.behind)).expect("an instant")
    }

    /// Looks, and does what is decided. Returns what was decided.
    fn look(&mut self, plan: &Plan) -> Option<Decision> {
        let now = self.now();
        let Some((cause, state, log)) = self.state else {
            self.past.was_ready(now);
            return None;
        };
        let container = container(state);
        let since = self.turned.min(now);
        let seen = Seen { cause, since, container: &container, log, now };
        let decision = decide(plan, &seen, &mut self.past, &published());
        match decision {
            Decision::Act => {
                self.kept.push(Act { at: now, ..act(ActKind::Recovery, "00:00:00") });
                self.past.acted(now);
                self.acts.push(self.passed);
            }
            Decision::GiveUp => {
                self.kept.push(Act { at: now, ..act(ActKind::RecoveryGivenUp, "00:00:00") });
                self.past.gave_up(now);
            }
            Decision::NotWanted | Decision::LeaveAlone { .. } => {}
        }
        Some(decision)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Pass(seconds) => self.passed += seconds,
            Event::Turn(cause, state, log) => {
                self.state = Some((cause, state, log));
                self.turned = self.now();
            }
            Event::Ready => {
                self.state = None;
                self.ready = Some(self.now());
            }
            Event::Back(seconds) => self.behind += seconds,
            Event::Restart => {
                self.past = Past::of(&self.kept, Practice::Real);
                if let Some(ready) = self.ready {
                    self.past.was_ready(ready);
                }
            }
        }
    }
}

fn windows_near(now: Timestamp) -> Vec<ResetWindow> {
    let near = |sign: i64| now.saturating_add(seconds(sign * 25 * 3600)).expect("an instant");
    let mut windows = resets_between(&published(), near(-1), near(1));
    let (before, after) = (now.saturating_sub(RESET_DISTANCE), now.saturating_add(RESET_DISTANCE));
    let (before, after) = (before.expect("an instant"), after.expect("an instant"));
    windows.retain(|window| window.starts <= after && window.ends > before);
    windows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_forbidden_is_ever_done(
        events in proptest::collection::vec(event(), 0..400),
        budget in 1..5_u32,
        pause in 10..1_000_i64,
    ) {
        let causes = [Cause::ContainerStopped, Cause::ApiSilent, Cause::PortRefused, Cause::ApiUnresponsive];
        let plan = Plan { budget_per_day: budget, pause: seconds(pause), ..plan(&causes) };
        let mut world = World {
            passed: 0, behind: 0, turned: at("00:00:00"), state: None, past: Past::default(), kept: Vec::new(), ready: None,
            acts: Vec::new(),
        };
        let mut told_since_ready = 0;
        for event in events {
            world.take(event);
            if matches!(event, Event::Restart) && world.behind > 0 {
                // The store's times do not tell whether it was ready before or after. The day's budget holds all the same.
                told_since_ready = 0;
            }
            let (now, state) = (world.now(), world.state);
            match world.look(&plan) {
                None => told_since_ready = 0,
                Some(Decision::Act) => {
                    prop_assert!(windows_near(now).is_empty(), "{now}: {:?}", windows_near(now));
                    prop_assert_eq!(told_since_ready, 0, "nothing is done after it was given up");
                    let (cause, container, log) = state.expect("a state");
                    if container == ContainerState::Running {
                        prop_assert!(!matches!(log, LogSeen::Hint(_)));
                        if cause != Cause::ApiUnresponsive {
                            prop_assert_eq!(log, LogSeen::Quiet);
                            let held = now.duration_since(world.turned);
                            prop_assert!(held >= APPROVAL, "{held:#}");
                        }
                    }
                    let day = world.acts.iter().filter(|at| **at > world.passed - 86_400).count();
                    prop_assert!(day <= budget as usize, "{day} acts in a day");
                    if let [.., before, last] = world.acts[..] {
                        prop_assert!(last - before >= pause, "{} seconds apart", last - before);
                    }
                }
                Some(Decision::GiveUp) => {
                    told_since_ready += 1;
                    prop_assert_eq!(told_since_ready, 1, "told once");
                }
                Some(Decision::LeaveAlone { until: Some(until), .. }) => prop_assert!(until > now),
                Some(Decision::LeaveAlone { until: None, .. } | Decision::NotWanted) => {}
            }
        }
    }
}
