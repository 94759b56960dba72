//! The compiled-in calendars against Python's `exchange_calendars` and `holidays`, which share neither data nor code with them.

#![expect(clippy::expect_used, reason = "helpers of tests fail their test")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ibga_core::calendar::{Calendar, Day, Exchange, TradingSession};
use jiff::{Timestamp, ToSpan};

/// Where `./test` installs the packages.
fn python() -> PathBuf {
    let beside_the_build = || Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("test-tools");
    let tools = std::env::var_os("IBGA_TEST_TOOLS").map_or_else(beside_the_build, PathBuf::from);
    tools.join("calendars/bin/python")
}

/// Every year and every session of every table, as the witness reads them.
fn tables() -> String {
    let mut text = String::new();
    for exchange in Exchange::known() {
        let calendar = Calendar::for_exchange(exchange);
        for year in calendar.years() {
            writeln!(text, "{exchange},{year}").expect("a text grows");
        }
        let coverage = calendar.coverage().expect("a table");
        for date in coverage.first.series(1.day()).take_while(|date| *date <= coverage.last) {
            if let Day::Session(TradingSession { open, lunch, close, .. }) = calendar.session_on(date) {
                let edge = |edge: Option<Timestamp>| edge.map(|edge| edge.to_string()).unwrap_or_default();
                let (start, end) = (edge(lunch.map(|(start, _)| start)), edge(lunch.map(|(_, end)| end)));
                writeln!(text, "{exchange},{date},{open},{start},{end},{close}").expect("a text grows");
            }
        }
    }
    text
}

/// What the witness says about tables, and whether it agrees.
fn ask(tables: &str) -> (bool, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/calendar_witness.py");
    let mut command = Command::new(python());
    command.arg(script).arg("compare").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the packages are installed; ./test does it");
    child.stdin.take().expect("a pipe").write_all(tables.as_bytes()).expect("the witness reads");
    let output = child.wait_with_output().expect("the witness ends");
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), told.into_owned())
}

#[test]
fn real_calendars_of_python_agree_on_every_session() {
    let (agrees, told) = ask(&tables());
    assert!(agrees, "{told}");
    // Ten exchanges over four years, but for 2027 in Shanghai and Shenzhen.
    assert_eq!(told.lines().filter(|line| line.ends_with(" sessions compared")).count(), 10, "{told}");
    println!("{told}");
}

#[test]
fn real_calendars_of_python_see_each_kind_of_slip() {
    let mut tables = tables();
    let mut slip = |from: &str, to: &str| {
        assert!(tables.contains(from), "{from}");
        tables = tables.replacen(from, to, 1);
    };
    // A lost session, a lost half day, a session on a wrong date, a lost lunch.
    slip("XHKG,2026-12-28,2026-12-28T01:30:00Z,2026-12-28T04:00:00Z,2026-12-28T05:00:00Z,2026-12-28T08:00:00Z\n", "");
    slip(
        "XNYS,2026-11-27,2026-11-27T14:30:00Z,,,2026-11-27T18",
        "XNYS,2026-11-27,2026-11-27T14:30:00Z,,,2026-11-27T21",
    );
    slip("XSES,2027-12-24,", "XSES,2027-12-25,");
    slip(
        "XTKS,2026-11-25,2026-11-25T00:00:00Z,2026-11-25T02:30:00Z,2026-11-25T03:30:00Z,",
        "XTKS,2026-11-25,2026-11-25T00:00:00Z,,,",
    );
    // A lost year.
    let kept: Vec<&str> = tables.lines().filter(|line| !line.starts_with("XETR,2027")).collect();
    let (agrees, told) = ask(&kept.join("\n"));
    let differences: Vec<&str> = told.lines().filter(|line| line.starts_with("DIFFERENT")).collect();
    assert!(!agrees, "{told}");
    assert_eq!(
        differences,
        [
            "DIFFERENT XHKG 2026-12-28: here closed, there 01:30 04:00 05:00 08:00 UTC",
            "DIFFERENT XNYS 2026-11-27: here 14:30 - - 21:00, there 14:30 - - 18:00 UTC",
            "DIFFERENT XTKS 2026-11-25: here 00:00 - - 06:30, there 00:00 02:30 03:30 06:30 UTC",
            "DIFFERENT XSES 2027-12-24: here closed, there 01:00 - - 04:00 UTC",
            "DIFFERENT XSES 2027-12-25: here 01:00 - - 04:00, there closed UTC",
            "DIFFERENT XETR 2027: the packages know it, and there is no table",
        ]
    );
}
