//! The reference pages are made from the code and compared with what is committed. `UPDATE_DOCS=1` writes them anew.

#![expect(clippy::expect_used, reason = "helpers of tests fail their test")]

use std::fmt::Write as _;
use std::path::Path;

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
        resets: &ibga_core::reset_windows::published(),
    };
    for cause in Cause::ALL {
        let remedy = remedy(*cause, &circumstances).unwrap_or_else(|| "nothing".into());
        let _ = writeln!(page, "| `{cause}` | {} | {} | {remedy} |", cause.status(), cause.seen());
    }
    compare("causes.md", &page);
}
