//! The pages about the simulator and the watch cannot lie: each of their recipes runs as it is printed, with the real binary, and shows
//! what the page says; the timeline reads; the list of scenarios is the program's.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests fail their test")]

mod common;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use common::{Desk, Ran};
use ibga_sim::{Scenario, Timeline};

const PAGE: &str = include_str!("../../../docs/simulator.md");
const WATCH_PAGE: &str = include_str!("../../../docs/watch.md");

/// Stands for any text within a line; alone on a line for any lines.
const ANYTHING: char = '…';

/// The text of the section below a heading, up to the next one.
fn section(heading: &str) -> &'static str {
    section_of(PAGE, heading)
}

fn section_of(page: &'static str, heading: &str) -> &'static str {
    let (_, rest) = page.split_once(&format!("# {heading}\n")).unwrap_or_else(|| panic!("no section {heading:?}"));
    // A comment in a block has a single #.
    rest.split_once("\n##").map_or(rest, |(section, _)| section)
}

/// The first block of this language.
fn block<'a>(text: &'a str, language: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("```{language}\n")).unwrap_or_else(|| panic!("no block of {language}"));
    rest.split_once("```").unwrap_or_else(|| panic!("the block of {language} has no end")).0
}

/// Whether lines are as printed.
fn fits(printed: &[&str], lines: &[&str]) -> bool {
    match printed.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first.chars().eq([ANYTHING]) => (0..=lines.len()).any(|skip| fits(rest, &lines[skip..])),
        Some((first, rest)) => {
            lines.split_first().is_some_and(|(line, more)| line_fits(first, line) && fits(rest, more))
        }
    }
}

fn line_fits(printed: &str, line: &str) -> bool {
    let mut parts = printed.split(ANYTHING);
    let Some(mut line) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return line.is_empty() };
    for part in between {
        match line.split_once(part) {
            Some((_, rest)) => line = rest,
            None => return false,
        }
    }
    line.ends_with(last)
}

/// Runs a recipe as a reader would who pastes it. Returns what came out otherwise than printed.
fn follow(heading: &str) -> Option<String> {
    follow_in(PAGE, heading)
}

fn follow_in(page: &'static str, heading: &str) -> Option<String> {
    let recipe = section_of(page, heading);
    let desk = Desk::new();
    let binary = Path::new(env!("CARGO_BIN_EXE_ibga")).parent().expect("a folder");
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").expect("a path"));
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec 2>&1\n{}", block(recipe, "sh"))]).current_dir(&desk.folder);
    shell.env_clear().env("PATH", path).env("HOME", &desk.folder).env("TMPDIR", &desk.folder);
    shell.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let ran = Ran::from(shell.output().expect("a shell"));
    let printed: Vec<&str> = block(recipe, "text").lines().collect();
    let lines: Vec<&str> = ran.out.lines().collect();
    (!fits(&printed, &lines)).then(|| format!("{heading}: printed\n{}\nseen\n{}", printed.join("\n"), ran.out))
}

#[test]
fn every_recipe_does_what_the_page_says() {
    let headings: Vec<&str> = PAGE.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert!(headings.len() >= 5, "{headings:?}");
    std::thread::scope(|scope| {
        let recipes: Vec<_> = headings.into_iter().map(|heading| scope.spawn(move || follow(heading))).collect();
        for recipe in recipes {
            assert_eq!(recipe.join().expect("no panic"), None);
        }
    });
}

#[test]
fn the_watch_does_what_its_page_says() {
    assert_eq!(follow_in(WATCH_PAGE, "A loss, seen live"), None);
}

#[test]
fn the_timeline_that_is_shown_reads() {
    let timeline: Timeline = block(section("Timelines"), "text").parse().expect("a timeline");
    assert_eq!(timeline.steps().last().map(|step| step.scene.to_string()).as_deref(), Some("ready as U7***21"));
}

#[test]
fn every_scenario_is_listed() {
    let mut table = String::from("\n| scenario | a client sees |\n|---|---|\n");
    for scenario in Scenario::ALL {
        let _ = writeln!(table, "| `{scenario}` | {} |", scenario.describe());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/simulator.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let (before, _) = PAGE.split_once("## Scenarios\n").expect("the section");
        std::fs::write(path, format!("{before}## Scenarios\n{table}")).expect("written");
    } else {
        assert_eq!(section("Scenarios"), table, "run UPDATE_DOCS=1 cargo test -p ibga --test recipes");
    }
}

#[test]
fn what_fits() {
    for (printed, lines, expected) in [
        (&["a", "…", "b"][..], &["a", "b"][..], true),
        (&["a", "…", "b"], &["a", "x", "y", "b"], true),
        (&["a", "…", "b"], &["a", "x", "b", "y"], false),
        (&["…"], &[], true),
        (&["a…c"], &["abc"], true),
        (&["a…c"], &["abcd"], false),
        (&["a…b…"], &["a1b2"], true),
        (&["a"], &["a", "b"], false),
    ] {
        assert_eq!(fits(printed, lines), expected, "{printed:?} {lines:?}");
    }
}
