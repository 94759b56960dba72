//! Every minute of two years, for every exchange, against a walk over the recorded sessions that shares no code with the
//! calendar: it knows edges alone, and moves from one to the next.

use super::*;

const FIRST: &str = "2024-12-30T00:00:00Z";
/// What is recorded of Shanghai ends with the session before.
const END: &str = "2027-01-01T00:00:00Z";
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// The edges of one kind, and how many of them lie behind.
struct Edges {
    rising: Vec<Timestamp>,
    behind: usize,
}

impl Edges {
    fn new(edges: impl Iterator<Item = Timestamp>) -> Self {
        Self { rising: edges.collect(), behind: 0 }
    }

    /// The first edge strictly after the instant. Instants rise from call to call.
    fn after(&mut self, instant: Timestamp) -> Option<Timestamp> {
        while self.rising.get(self.behind).is_some_and(|edge| *edge <= instant) {
            self.behind += 1;
        }
        self.rising.get(self.behind).copied()
    }
}

/// The phase of an instant, from the recorded session of its local date.
fn phase_of(instant: Timestamp, date: Date, is_half: bool, session: Option<&Recorded>) -> Phase {
    use jiff::civil::Weekday;
    if matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) {
        return Phase::ClosedWeekend;
    }
    let Some((open, lunch, close)) = session else { return Phase::ClosedHoliday };
    match lunch {
        _ if instant < *open => Phase::BeforeOpen,
        _ if instant >= *close && is_half => Phase::EarlyClosed,
        _ if instant >= *close => Phase::AfterClose,
        Some((start, end)) if *start <= instant && instant < *end => Phase::Lunch,
        _ => Phase::Open,
    }
}

fn check(mic: &str) {
    let exchange: Exchange = mic.parse().expect("known");
    let recorded = recorded(exchange);
    let calendar = Calendar::ending_with(exchange, last_year(&recorded));
    let zone = calendar.zone().expect("a table").clone();
    let end_of_data = recorded.last_key_value().expect("sessions").1.2;
    let end = utc(END).min(end_of_data);
    let mut opens = Edges::new(
        recorded.values().flat_map(|(open, lunch, _)| std::iter::once(*open).chain(lunch.map(|(_, end)| end))),
    );
    let mut closes = Edges::new(
        recorded.values().flat_map(|(_, lunch, close)| lunch.map(|(start, _)| start).into_iter().chain([*close])),
    );
    let mut session_opens = Edges::new(recorded.values().map(|(open, _, _)| *open));
    let mut session_closes = Edges::new(recorded.values().map(|(_, _, close)| *close));
    // Half days are recorded twice: by name of the day, and by a session that closes before the regular hour.
    let wall_close = |date: Date| recorded.get(&date).map(|(_, _, close)| zone.to_datetime(*close).time());
    let half_days: Vec<Date> = half_days(exchange).collect();

    let mut instant = utc(FIRST);
    let mut midnight = instant;
    let mut today = None;
    while instant < end {
        // The local date changes at midnights alone, so that a minute costs no look-up of the zone.
        if instant >= midnight {
            let date = zone.to_datetime(instant).date();
            midnight = date.tomorrow().expect("a day").to_zoned(zone.clone()).expect("a midnight").timestamp();
            assert_eq!(calendar.local_date(instant), Some(date));
            assert_eq!(
                half_days.contains(&date),
                wall_close(date).is_some_and(|close| close < regular_close(exchange))
            );
            today = Some((calendar.around(Some(date)), date, half_days.contains(&date)));
        }
        let (around, date, is_half) = today.as_ref().expect("a date");
        let moment = around.at(instant);
        assert_eq!(moment.phase, phase_of(instant, *date, *is_half, recorded.get(date)), "{mic} {instant}");
        let found = [moment.next_open, moment.next_close, moment.next_session_open, moment.next_session_close];
        let expected =
            [&mut opens, &mut closes, &mut session_opens, &mut session_closes].map(|edges| edges.after(instant));
        assert_eq!(found, expected, "{mic} {instant}");
        instant += MINUTE;
    }
}

/// The regular close in these two years, in wall time.
fn regular_close(exchange: Exchange) -> jiff::civil::Time {
    let (hour, minute) = match exchange.mic() {
        "XTKS" => (15, 30),
        "XSHG" | "XSHE" => (15, 0),
        "XSES" => (17, 0),
        "XLON" => (16, 30),
        "XETR" => (17, 30),
        _ => (16, 0),
    };
    jiff::civil::time(hour, minute, 0, 0)
}

/// The half days of an exchange in these two years, as they are recorded apart from the sessions.
fn half_days(exchange: Exchange) -> impl Iterator<Item = Date> {
    test_data!("early_closes.csv").lines().filter_map(move |line| {
        let (mic, rest) = line.split_once(',')?;
        (mic == exchange.mic()).then(|| rest.split(',').next()?.parse().ok()).flatten()
    })
}

#[test]
fn hong_kong() {
    check("XHKG");
}

#[test]
fn new_york() {
    check("XNYS");
}

#[test]
fn tokyo() {
    check("XTKS");
}

#[test]
fn shanghai() {
    check("XSHG");
}

#[test]
fn singapore() {
    check("XSES");
}

#[test]
fn sydney() {
    check("XASX");
}

#[test]
fn london() {
    check("XLON");
}

#[test]
fn frankfurt() {
    check("XETR");
}

/// The whole look-up, zone and all, around each edge of each session of every exchange.
#[test]
fn each_edge_to_the_second() {
    let second = SignedDuration::from_secs(1);
    for exchange in Exchange::known() {
        let calendar = Calendar::for_exchange(exchange);
        for (open, lunch, close) in recorded(exchange).into_values() {
            let closed_at = |instant| calendar.at(instant).phase != Phase::Open;
            let edges = [Some((open, true)), lunch.map(|(start, _)| (start, false)), lunch.map(|(_, end)| (end, true))];
            for (edge, opens) in edges.into_iter().flatten().chain([(close, false)]) {
                assert_eq!((closed_at(edge - second), closed_at(edge)), (opens, !opens), "{exchange} {edge}");
            }
        }
    }
}
