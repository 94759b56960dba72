//! What the gate costs as a library, as an agent would embed it: reading and judging a status file, and asking the calendar.
//!
//! Prints a line for each call: its name, a tab, and how many microseconds it took in each of many batches.
//! Usage: `library_calls STATUS_FILE BATCHES`; the file has to hold a report.

use std::error::Error;
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use ibga_core::calendar::{self, Calendar, Calendars, Exchange};
use ibga_core::clock::{self, Stopwatch};
use ibga_core::gate::{self, Chosen, MarketRule, Question};
use ibga_core::secure_file::Trust;
use ibga_core::status_file;
use ibga_core::verdict::Expectations;
use jiff::SignedDuration;
use jiff::tz::TimeZone;

/// Calls that are timed together, so that reading the clock does not count.
const CALLS: u32 = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: library_calls STATUS_FILE BATCHES")?;
    let batches: u32 = arguments.next().ok_or("usage: library_calls STATUS_FILE BATCHES")?.parse()?;
    let (path, zone) = (Path::new(&path), TimeZone::system());
    let exchange: Exchange = "XHKG".parse()?;
    status_file::read(path, &Trust::default(), &zone)?;

    time("preflight", batches, |_| preflight(path, exchange, &zone))?;
    let calendars: Vec<Calendar> = Exchange::known().map(Calendar::for_exchange).collect();
    let now = clock::now();
    let mut turns = calendars.iter().cycle();
    // Another hour and another exchange each time, so that no answer can be remembered.
    time("lookup", batches, |call| {
        let instant = now + SignedDuration::from_hours(i64::from(call % 8_760));
        turns.next().is_some_and(|calendar| calendar.at(instant).next_open.is_some())
    })?;
    Ok(())
}

/// All that `ibga preflight` does between its settings and its output.
fn preflight(path: &Path, exchange: Exchange, zone: &TimeZone) -> bool {
    let now = clock::now();
    let moment = calendar::Market::of_one(Calendar::for_exchange(exchange)).at(now);
    let read = status_file::read(path, &Trust::default(), zone);
    let market = MarketRule::At { moment: &moment, chosen: Chosen::BySetting, calendars: &Calendars::default() };
    let decision = gate::judge(&Question {
        gateway: "default",
        endpoint: None,
        path,
        report: read.as_ref(),
        now,
        zone,
        halts: &[],
        max_age: Duration::from_mins(10),
        expected: &Expectations::default(),
        market,
        hours_of: None,
    });
    decision.is_go()
}

fn time(name: &str, batches: u32, mut call: impl FnMut(u32) -> bool) -> io::Result<()> {
    let mut line = format!("{name}\t");
    for batch in 0..=batches {
        let watch = Stopwatch::start();
        for number in 0..CALLS {
            black_box(call(black_box(batch * CALLS + number)));
        }
        let micros = watch.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS);
        // The first batch warms up.
        if batch > 0 {
            let _ = write!(line, "{micros:.3} ");
        }
    }
    writeln!(io::stdout(), "{}", line.trim_end())
}
