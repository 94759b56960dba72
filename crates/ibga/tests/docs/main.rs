//! The reference pages are made from the code and compared with what is committed. `UPDATE_DOCS=1` writes them anew.
//!
//! Nothing here names a command, an option, a setting or a cause: whatever the code has stands in the pages.

#![expect(clippy::expect_used, reason = "helpers of tests fail their test")]

mod help;
mod man;
mod pages;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::builder::StyledStr;
use help::Help;
use ibga_core::calendar::{Calendar, Calendars, Exchange};
use ibga_core::cause::Cause;
use ibga_core::recovery::{Treatment, treatment};

/// What to type when a page differs.
const UPDATE: &str = "UPDATE_DOCS=1 cargo test -p ibga --test docs";

fn is_update() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn compare(name: &str, text: &str) {
    let path = docs().join(name);
    if is_update() {
        std::fs::write(&path, text).expect("written");
    }
    let committed = File::open(&path).and_then(io::read_to_string).unwrap_or_default();
    let differs = committed.lines().zip(text.lines()).find(|(old, new)| old != new);
    assert!(committed == text, "docs/{name} is out of date: run {UPDATE}; {differs:#?}");
}

/// Compares a folder: each file, and that there is no other.
fn compare_folder(folder: &str, files: &[(String, String)]) {
    std::fs::create_dir_all(docs().join(folder)).expect("a folder");
    for entry in std::fs::read_dir(docs().join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("UTF-8");
        if files.iter().all(|(known, _)| *known != name) {
            assert!(is_update(), "docs/{folder}/{name} is of nothing that there is: run {UPDATE}");
            std::fs::remove_file(entry.path()).expect("removed");
        }
    }
    for (name, text) in files {
        compare(&format!("{folder}/{name}"), text);
    }
}

/// The program, then its commands in their order, each before its own; as they look after clap has filled in what it knows.
fn commands() -> Vec<clap::Command> {
    let mut program = ibga::cli::definition();
    program.build();
    with_its_own(&program)
}

fn with_its_own(command: &clap::Command) -> Vec<clap::Command> {
    let named = command.get_subcommands().filter(|one| one.get_name() != "help" && !one.is_hide_set());
    std::iter::once(command.clone()).chain(named.flat_map(with_its_own)).collect()
}

#[test]
fn settings() {
    compare("settings.md", &pages::settings());
}

#[test]
fn the_override_on_the_calendar_page_can_be_used() {
    let page = include_str!("../../../../docs/calendar.md");
    let (_, rest) = page.split_once("```text\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let calendars = Calendars::with_overrides(example, "calendar.txt").expect("an override");
    let shanghai = calendars.of("XSHG".parse().expect("known")).coverage().expect("a table");
    assert_eq!(shanghai.last.year(), 2027);
}

#[test]
fn the_marks_on_the_calendar_page_are_those_of_the_tables() {
    let page = include_str!("../../../../docs/calendar.md");
    for exchange in Exchange::known() {
        let row = page.lines().find(|line| line.starts_with("| ") && line.contains(exchange.mic())).expect("a row");
        let calendar = Calendar::for_exchange(exchange);
        let marks = [2024, 2025, 2026, 2027].map(|year| calendar.quality(year).code()).join(" | ");
        assert!(row.contains(&format!("| {marks} |")), "{exchange}: {row}");
    }
}

#[test]
fn the_causes_on_the_recovery_page_are_those_of_the_code() {
    let page = include_str!("../../../../docs/recovery.md");
    for &cause in Cause::ALL.iter().filter(|cause| **cause != Cause::Ready) {
        let row = match treatment(cause) {
            Treatment::After(held) if held.as_secs() < 60 => format!("| `{cause}` | {} s | ", held.as_secs()),
            Treatment::After(held) => format!("| `{cause}` | {} min | ", held.as_mins()),
            Treatment::Never(why) => format!("| `{cause}` | {why} |"),
        };
        assert_eq!(page.lines().filter(|line| line.starts_with(&row)).count(), 1, "docs/recovery.md has to have {row}");
    }
}

#[test]
fn templates_of_alerts() {
    compare("alert-templates.md", &pages::templates());
}

#[test]
fn week() {
    compare("week.md", &pages::week());
}

#[test]
fn causes() {
    compare("causes.md", &pages::causes());
}

#[test]
fn help_of_every_command() {
    compare("commands.md", &pages::commands(&commands()));
}

#[test]
fn man_pages() {
    compare_folder("man", &man::pages(&commands()));
}

#[test]
fn completion_scripts() {
    let files = [("bash", "ibga.bash"), ("zsh", "_ibga"), ("fish", "ibga.fish")].map(|(shell, file)| {
        let output = Command::new(env!("CARGO_BIN_EXE_ibga")).args(["completions", shell]).output().expect("starts");
        (file.to_owned(), String::from_utf8(output.stdout).expect("UTF-8"))
    });
    compare_folder("completions", &files);
}

/// A page is made from these parts, so that a command without them would have a page without them.
#[test]
fn every_command_tells_examples_and_exit_codes() {
    for command in commands() {
        let name = command.get_name();
        let help = Help::of(&command);
        assert!(!help.examples.is_empty(), "{name}: its help has no lines under `Examples:`");
        assert!(help.examples.iter().any(|line| line.contains("ibga")), "{name}: {:?}", help.examples);
        assert!(help.exit_codes.iter().any(|(code, _)| code == "2"), "{name}: {:?}", help.exit_codes);
        assert!(command.get_about().is_some_and(|about| !about.to_string().ends_with('.')), "{name}: its one line");
        for argument in command.get_arguments() {
            let told = argument.get_help().map(StyledStr::to_string).unwrap_or_default();
            assert!(!told.is_empty() && !told.ends_with('.'), "{name} {}: `{told}`", argument.get_id());
        }
    }
}

/// Long lines of examples and of texts that clap does not break would be cut or wrapped by a terminal.
#[test]
fn help_fits_a_terminal() {
    for command in commands() {
        let help = pages::help_of(&command);
        let too_long = help.lines().find(|line| line.chars().count() > 100);
        assert!(help.contains("Usage: ibga") && too_long.is_none(), "{}: {too_long:?}", command.get_name());
    }
}

#[test]
fn real_mandoc_has_nothing_against_the_man_pages() {
    for (name, page) in man::pages(&commands()) {
        let mut command = Command::new("mandoc");
        command.args(["-T", "lint", "-W", "style"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut mandoc = command.spawn().expect("mandoc starts: run ./test, which installs it");
        mandoc.stdin.take().expect("a pipe").write_all(page.as_bytes()).expect("written");
        let told = mandoc.wait_with_output().expect("ends").stdout;
        let told = String::from_utf8_lossy(&told).into_owned();
        // A page belongs to a version, not to a day.
        let told: Vec<&str> = told.lines().filter(|line| !line.contains("missing date")).collect();
        assert!(told.is_empty(), "{name}: {told:#?}");
    }
}
