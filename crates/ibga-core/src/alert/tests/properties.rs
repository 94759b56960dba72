//! Random days of a gateway: whatever happens, people end up knowing what is, and hear nothing twice.

use proptest::prelude::*;

use super::*;

const CAUSES: [Cause; 5] = [Cause::Ready, Cause::Ready, Cause::ApiSilent, Cause::PortRefused, Cause::ContainerStopped];

/// Something that happens.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A look after so many seconds.
    Look(Cause, i64),
    /// The same, but the process dies between status file and store.
    Crash(Cause, i64),
    /// The clock is set by so many seconds.
    Clock(i64),
    Acknowledge,
}

fn event() -> impl Strategy<Value = Event> {
    let cause = || proptest::sample::select(CAUSES.to_vec());
    let seconds = || prop_oneof![8 => 1..90_i64, 4 => 90..1_200_i64, 1 => 1_200..20_000_i64];
    prop_oneof![
        20 => (cause(), seconds()).prop_map(|(cause, after)| Event::Look(cause, after)),
        2 => (cause(), seconds()).prop_map(|(cause, after)| Event::Crash(cause, after)),
        1 => (-100_000..100_000_i64).prop_map(Event::Clock),
        1 => Just(Event::Acknowledge),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    let nights = [
        None,
        Some(quiet(time(22, 0, 0, 0), time(8, 0, 0, 0), "UTC")),
        Some(quiet(time(0, 0, 0, 0), time(23, 0, 0, 0), "Europe/Berlin")),
    ];
    let escalates_after = proptest::sample::select(vec![None, Some(0), Some(30), Some(600)]);
    (any::<[bool; 3]>(), escalates_after, proptest::sample::select(nights.to_vec())).prop_map(
        |([waits, collapses_flapping, reminds], escalates_after, quiet)| Policy {
            after: SignedDuration::from_secs(if waits { 180 } else { 0 }),
            settles: SignedDuration::from_secs(if waits { 5 } else { 0 }),
            collapses_flapping,
            reminds,
            escalates_after: escalates_after.map(minutes),
            quiet,
        },
    )
}

/// What people believe after an alert; `None` means that it changes all the time.
type Belief = Option<Cause>;

/// Follows what people hear, and says what they believe in the end.
fn follow(heard: &[Alert]) -> Result<Belief, TestCaseError> {
    let (mut belief, mut is_escalated) = (Some(Cause::Ready), false);
    for alert in heard {
        let is_bad = belief != Some(Cause::Ready);
        let fits = match alert.kind {
            Kind::Problem => belief.is_some() && belief != alert.cause && alert.cause != Some(Cause::Ready),
            Kind::Recovery => is_bad && belief.is_some() && alert.cause == Some(Cause::Ready),
            Kind::Reminder => is_bad && (belief.is_none() || belief == alert.cause),
            Kind::Escalation => is_bad && !is_escalated && alert.cause != Some(Cause::Ready),
            Kind::Flapping => belief.is_some(),
            Kind::Settled => belief.is_none(),
            Kind::NoGo | Kind::Act | Kind::Test => false,
        };
        prop_assert!(fits, "people believe {:?} and hear {:?}", belief, alert);
        let to_all = alert.audience == Audience::Everybody;
        prop_assert!(alert.kind == Kind::Escalation || to_all == is_escalated, "{:?}", alert);
        belief = match alert.kind {
            Kind::Flapping => None,
            Kind::Reminder | Kind::Escalation if belief.is_none() => None,
            _ => alert.cause,
        };
        let is_over = belief == Some(Cause::Ready);
        is_escalated = !is_over && (is_escalated || alert.kind == Kind::Escalation);
    }
    Ok(belief)
}

fn live(desk: &mut Desk, events: &[Event], mut now: Timestamp) -> Timestamp {
    for (count, event) in events.iter().enumerate() {
        // No two looks ever have the same microsecond, whatever the clock does.
        let moment = |seconds: i64| {
            SignedDuration::from_secs(seconds) + SignedDuration::from_micros(i64::try_from(count).expect("few") + 1)
        };
        match *event {
            Event::Look(cause, after) => {
                now += moment(after);
                desk.look(cause, now);
            }
            Event::Crash(cause, after) => {
                now += moment(after);
                desk.write(cause, now);
                desk.judge(now);
            }
            Event::Clock(seconds) => now += moment(seconds),
            Event::Acknowledge => {
                desk.acknowledge(now);
            }
        }
    }
    now
}

proptest! {
    #[test]
    fn people_end_up_knowing_what_is(
        policy in policy(),
        events in proptest::collection::vec(event(), 0..120),
        minute in 0..2_000_i64,
        last in proptest::sample::select(CAUSES.to_vec()),
    ) {
        let mut desk = Desk::new(&policy);
        let mut now = live(&mut desk, &events, midnight() + minutes(minute)) + SignedDuration::from_secs(1);
        follow(&desk.heard)?;
        // Calm, over a whole day with a trading session in it.
        for _ in 0..26 * 4 {
            desk.look(last, now);
            now += minutes(15);
        }
        prop_assert_eq!(follow(&desk.heard)?, Some(last));
        let memory = desk.memory.expect("a memory");
        prop_assert_eq!(memory.is_settled(), last == Cause::Ready);
    }

    #[test]
    fn calm_and_loud_people_know_at_once(
        events in proptest::collection::vec(event(), 0..60),
        policy in policy(),
        last in proptest::sample::select(CAUSES.to_vec()),
    ) {
        let mut desk = Desk::new(&policy);
        live(&mut desk, &events, midnight());
        // Far ahead, so that no change is recent: it settles within a minute, whatever people knew before.
        let now = instant("+400 11:00");
        desk.look(last, now);
        desk.look(last, now + minutes(1));
        prop_assert_eq!(follow(&desk.heard)?, Some(last));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn flapping_makes_few_alerts(
        seconds in 5..85_i64,
        hour in 0..12_i64,
        between in proptest::sample::select(vec![Cause::Ready, Cause::PortRefused]),
    ) {
        let policy = Policy { escalates_after: Some(minutes(30)), ..watcher() };
        let mut desk = Desk::new(&policy);
        let start = midnight() + minutes(60 * hour);
        let mut now = start;
        while now < start + minutes(150) {
            let was_silent = desk.file.is_some_and(|(cause, _)| cause == Cause::ApiSilent);
            desk.look(if was_silent { between } else { Cause::ApiSilent }, now);
            now += SignedDuration::from_secs(seconds);
        }
        prop_assert!(desk.memory.is_some_and(|memory| memory.changes.len() <= 64));
        // Before it is found out each change may be told; then one that says so, one escalation, and a reminder each hour.
        let kinds: Vec<Kind> = desk.heard.iter().map(|alert| alert.kind).collect();
        let at = kinds.iter().position(|kind| *kind == Kind::Flapping).expect("flapping");
        let rest: Vec<Kind> = kinds[at + 1..].iter().copied().filter(|kind| *kind != Kind::Reminder).collect();
        prop_assert!(at <= 7 && kinds.len() - at <= 1 + 1 + 2, "{:?}", kinds);
        prop_assert_eq!(rest, [Kind::Escalation]);
    }
}
