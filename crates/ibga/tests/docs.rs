//! The reference pages are made from the code and compared with what is committed. `UPDATE_DOCS=1` writes them anew.

#![expect(clippy::expect_used, reason = "helpers of tests fail their test")]

use std::fmt::Write as _;
use std::path::Path;

use ibga_core::calendar::{Calendar, Calendars, Exchange};
use ibga_core::cause::Cause;
use ibga_core::remedy::{Circumstances, remedy};
use jiff::tz::TimeZone;

fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, text).expect("written");
    }
    let committed = std::fs::File::open(&path).and_then(std::io::read_to_string).expect("a page");
    let differs = committed.lines().zip(text.lines()).find(|(old, new)| old != new);
    assert!(
        committed == text,
        "docs/{name} is out of date: run UPDATE_DOCS=1 cargo test -p ibga --test docs; {differs:#?}"
    );
}

#[test]
fn settings() {
    let head = "# Settings\n\nA flag wins over the environment, that over `.env`, that over `ibga.toml`, that over the default.\n\n";
    compare("settings.md", &format!("{head}{}", ibga::settings::reference_table()));
}

#[test]
fn the_override_on_the_calendar_page_can_be_used() {
    let page = include_str!("../../../docs/calendar.md");
    let (_, rest) = page.split_once("```text\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let calendars = Calendars::with_overrides(example, "calendar.txt").expect("an override");
    let shanghai = calendars.of("XSHG".parse().expect("known")).coverage().expect("a table");
    assert_eq!(shanghai.last.year(), 2027);
}

#[test]
fn the_marks_on_the_calendar_page_are_those_of_the_tables() {
    let page = include_str!("../../../docs/calendar.md");
    for exchange in Exchange::known() {
        let row = page.lines().find(|line| line.starts_with("| ") && line.contains(exchange.mic())).expect("a row");
        let calendar = Calendar::for_exchange(exchange);
        let marks = [2024, 2025, 2026, 2027].map(|year| calendar.quality(year).code()).join(" | ");
        assert!(row.contains(&format!("| {marks} |")), "{exchange}: {row}");
    }
}

#[test]
fn causes() {
    let mut page = String::from(
        "# Causes and remedies\n\nThe remedies as they read on a Wednesday morning for a gateway at 127.0.0.1:4000 in a container \
         called `ibga`;\nport, container and hour change their order.\n\n| cause | status | seen | what to do |\n|---|---|---|---|\n",
    );
    let circumstances = Circumstances {
        host: "127.0.0.1",
        port: 4000,
        container: Some("ibga"),
        client_ids: (99, 103),
        now: "2026-11-25T01:20:00Z".parse().expect("an instant"),
        zone: &TimeZone::get("Asia/Hong_Kong").expect("a zone"),
    };
    for cause in Cause::ALL {
        let remedy = remedy(*cause, &circumstances).unwrap_or_else(|| "nothing".into());
        let _ = writeln!(page, "| `{cause}` | {} | {} | {remedy} |", cause.status(), cause.seen());
    }
    compare("causes.md", &page);
}
