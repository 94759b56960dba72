//! What the calendar costs: `cargo bench -p ibga-core --bench calendar`. Ends with an error if a look-up takes 5 µs or more.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a benchmark prints, and fails where something is wrong")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use ibga_core::calendar::{Calendar, Calendars, Combination, Exchange, Market};
use ibga_core::clock::Stopwatch;
use jiff::{SignedDuration, Timestamp};

const LOOKUPS: u32 = 200_000;
const LOOKUP_LIMIT: Duration = Duration::from_micros(5);

fn main() -> ExitCode {
    let first: Timestamp = "2024-06-01T00:00:00Z".parse().expect("an instant");
    // Seven minutes and a second meet every phase, in every season.
    let step = SignedDuration::from_secs(421);
    let mut slowest = Duration::ZERO;
    for exchange in Exchange::known() {
        let began = Stopwatch::start();
        let calendar = Calendar::for_exchange(exchange);
        black_box(calendar.coverage());
        let read = began.elapsed();
        let began = Stopwatch::start();
        let mut instant = first;
        for _ in 0..LOOKUPS {
            black_box(calendar.at(black_box(instant)));
            instant += step;
        }
        let each = began.elapsed() / LOOKUPS;
        slowest = slowest.max(each);
        println!("{exchange}: table read in {read:?}, then {each:?} a look-up");
    }

    let began = Stopwatch::start();
    let text = "XHKG closed 2026-11-24 System failure\nXNYS early 2026-11-25 13:00 Outage\n";
    black_box(Calendars::with_overrides(text, "file").expect("an override"));
    println!("override of two exchanges: {:?}", began.elapsed());

    let calendars = ["XHKG", "XNYS"].map(|mic| Calendar::for_exchange(mic.parse().expect("known")));
    let market = Market::new(calendars.to_vec(), Combination::All);
    let began = Stopwatch::start();
    black_box(market.at(first));
    println!("two exchanges that are never open together: {:?}", began.elapsed());

    if slowest < LOOKUP_LIMIT {
        ExitCode::SUCCESS
    } else {
        println!("a look-up takes {slowest:?}, the limit is {LOOKUP_LIMIT:?}");
        ExitCode::FAILURE
    }
}
