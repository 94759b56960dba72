//! The compiled-in calendars against Python's `exchange_calendars`, from which the tables were drafted, and `holidays`, from
//! which they were not.

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

/// What the witness says about tables, and whether it agrees. Some years are named as those of a notice.
fn ask(tables: &str, from_notice: &[&str]) -> (bool, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/calendar_witness.py");
    let mut command = Command::new(python());
    command
        .arg(script)
        .arg("compare")
        .args(from_notice)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the packages are installed; ./test does it");
    child.stdin.take().expect("a pipe").write_all(tables.as_bytes()).expect("the witness reads");
    let output = child.wait_with_output().expect("the witness ends");
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), told.into_owned())
}

#[test]
fn real_calendars_of_python_agree_on_every_session() {
    let (agrees, told) = ask(&tables(), &[]);
    assert!(agrees, "{told}");
    // Ten exchanges over four years, but for 2027 in Shanghai and Shenzhen.
    assert_eq!(told.lines().filter(|line| line.ends_with(" sessions compared")).count(), 10, "{told}");
    for (mic, closures, half_days) in [
        ("XHKG", 58, 12),
        ("XNYS", 41, 9),
        ("XNAS", 41, 9),
        ("XTKS", 71, 0),
        ("XSHG", 57, 0),
        ("XSHE", 57, 0),
        ("XSES", 37, 12),
        ("XASX", 30, 8),
        ("XLON", 32, 8),
        ("XETR", 28, 0),
    ] {
        let expected = format!("{mic}: {closures} closures and {half_days} half days compared with holidays\n");
        assert!(told.contains(&expected), "{expected}{told}");
    }
    println!("{told}");
}

/// The year that has to be added in December, before any package holds it.
#[test]
fn real_calendars_of_python_leave_a_year_of_a_notice_alone_until_they_hold_it() {
    // So far ahead that no table holds the year for long. The packages know it of others, which is not the matter here.
    let with_2034 = tables()
        + "XSHG,2034\nXSHG,2034-01-04,2034-01-04T01:30:00Z,2034-01-04T03:30:00Z,\
        2034-01-04T05:00:00Z,2034-01-04T07:00:00Z\nXSHE,2034\n";
    let told = |tables: &str, from_notice: &[&str]| -> Vec<String> {
        let (_, told) = ask(tables, from_notice);
        let is_meant =
            |line: &&str| line.contains("FROM_NOTICE") || line.contains("XSHG: 2034") || line.contains("XSHE: 2034");
        told.lines().filter(is_meant).map(str::to_owned).collect()
    };
    let unnamed =
        |mic| format!("DIFFERENT {mic} 2034: a table, and no package knows that year; name its notice in FROM_NOTICE");
    assert_eq!(told(&with_2034, &[]), ["XSHG", "XSHE"].map(unnamed));
    let named = |mic| format!("{mic}: 2034 compared with nothing: named in the command");
    assert_eq!(told(&with_2034, &["XSHG,2034"]), ["XSHG", "XSHE"].map(named));
    let remove = |what, why| format!("DIFFERENT {what}: no longer needed in FROM_NOTICE, remove it: {why}");
    assert_eq!(
        told(&tables(), &["XHKG,2027", "XSHG,2034"]),
        [remove("XHKG 2027", "exchange_calendars holds it"), remove("XSHG 2034", "there is no table"),]
    );
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
    let (agrees, told) = ask(&kept.join("\n"), &[]);
    let differences: Vec<&str> = told.lines().filter(|line| line.starts_with("DIFFERENT")).collect();
    assert!(!agrees, "{told}");
    assert_eq!(
        differences,
        [
            "DIFFERENT XHKG 2026-12-28: here closed, there 01:30 04:00 05:00 08:00 UTC",
            "DIFFERENT XHKG 2026-12-28: here closed, in holidays a full day",
            "DIFFERENT XNYS 2026-11-27: here 14:30 - - 21:00, there 14:30 - - 18:00 UTC",
            "DIFFERENT XNYS 2026-11-27: here a full day, in holidays a half day",
            "DIFFERENT XTKS 2026-11-25: here 00:00 - - 06:30, there 00:00 02:30 03:30 06:30 UTC",
            "DIFFERENT XSES 2027-12-24: here closed, there 01:00 - - 04:00 UTC",
            "DIFFERENT XSES 2027-12-25: here 01:00 - - 04:00, there closed UTC",
            "DIFFERENT XSES 2027-12-24: here closed, in holidays a half day",
            "DIFFERENT XETR 2027: the packages know it, and there is no table",
        ]
    );
}
