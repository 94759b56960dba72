//! The tables as Markdown, and their place in the page.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::Path;

use super::bars::{Bar, Judged, What};
use super::series::{Series, Source};
use super::stats::Summary;
use super::watch::found::Found;

/// What stands around the tables in the page.
const BEGINS: &str = "<!-- written by `cargo xtask bench --write`: begin -->\n";
const ENDS: &str = "<!-- written by `cargo xtask bench --write`: end -->";

/// What was found of one thing.
#[derive(Debug)]
pub(super) struct Measured<'a> {
    pub(super) series: &'a Series,
    /// In milliseconds; none if it was not measured.
    pub(super) summary: Option<Summary>,
    pub(super) peak: Peak,
}

/// Peak memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peak {
    /// A part of a process has none of its own.
    NotAProcess,
    /// This machine cannot tell, or the program is not there.
    NotMeasured,
    /// In KiB.
    Kib(u32),
}

/// The facts, two tables, and those of the watch.
pub(super) fn render(facts: &[String], measured: &[Measured<'_>], bars: &[Bar], found: &Found) -> String {
    let mut text = facts.join("\n") + "\n";
    if !measured.is_empty() {
        text.push_str(&tables(measured, bars));
    }
    if !found.is_empty() {
        text.push_str(&found.render());
    }
    text
}

fn tables(measured: &[Measured<'_>], bars: &[Bar]) -> String {
    let mut text = String::new();
    text.push_str("\n| measured | min | median | p95 | peak memory |\n|---|---:|---:|---:|---:|\n");
    for one in measured {
        let _ = writeln!(text, "| {} | {} | {} |", one.series.title, times(one), peak(one.peak));
    }
    let rows: Vec<String> = bars.iter().filter_map(|bar| row(bar, measured)).collect();
    if !rows.is_empty() {
        text.push_str("\n| compared (medians) | figure | bar | |\n|---|---:|---:|---|\n");
        text.push_str(&rows.concat());
    }
    text
}

fn times(one: &Measured<'_>) -> String {
    let Some(summary) = &one.summary else { return "not measured | not measured | not measured".into() };
    let Summary { min, median, p95 } = *summary;
    [min, median, p95].map(|millis| time(millis, one.series)).join(" | ")
}

fn time(millis: f64, series: &Series) -> String {
    match series.source {
        Source::Call(_) => format!("{:.2} µs", millis * 1e3),
        _ if millis < 100.0 => format!("{millis:.2} ms"),
        _ => format!("{millis:.0} ms"),
    }
}

fn peak(peak: Peak) -> String {
    match peak {
        Peak::NotAProcess => String::new(),
        Peak::NotMeasured => "not measured".into(),
        Peak::Kib(kib) => format!("{:.1} MiB", f64::from(kib) / 1_024.0),
    }
}

fn row(bar: &Bar, measured: &[Measured<'_>]) -> Option<String> {
    let Judged { figure, is_met } = bar.judge(measured)?;
    let title = |name: &str| measured.iter().find(|one| one.series.name == name).map_or("", |one| one.series.title);
    let of = title(bar.of);
    let (what, unit, decimals) = match bar.what {
        What::TimesAsLong(peer) => (format!("{of} against {}", title(peer)), "times", 2),
        What::MillisMore(peer) => (format!("{of} above {}", title(peer)), "ms", 2),
        What::Micros => (of.to_owned(), "µs", 2),
        What::PeakMib => (format!("{of}, peak memory"), "MiB", 1),
    };
    let limit = bar.limit.map(|limit| format!("at most {limit} {unit}")).unwrap_or_default();
    let word = match (bar.limit, is_met) {
        (None, _) => "",
        (Some(_), true) => "met",
        (Some(_), false) => "**missed**",
    };
    Some(format!("| {what} | {figure:.decimals$} {unit} | {limit} | {word} |\n"))
}

/// Puts the tables into `docs/benchmarks.md`, in the place of those that are there.
pub(super) fn write(tables: &str) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
    let read = File::open(&path).and_then(io::read_to_string);
    let page = read.map_err(|fault| format!("cannot read {}: {fault}", path.display()))?;
    let page = replaced(&page, tables).ok_or("docs/benchmarks.md has no place for the tables; bring back its marks")?;
    std::fs::write(&path, page).map_err(|fault| format!("cannot write {}: {fault}", path.display()))
}

/// Puts the picture of the watch's cost beside the page, which shows it.
pub(super) fn write_picture(picture: &str) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures/watch-cost.svg");
    std::fs::write(&path, picture).map_err(|fault| format!("cannot write {}: {fault}", path.display()))
}

fn replaced(page: &str, tables: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGINS)?;
    let (_, after) = rest.split_once(ENDS)?;
    Some(format!("{before}{BEGINS}\n{tables}\n{ENDS}{after}"))
}

#[cfg(test)]
mod tests {
    use super::super::{BARS, SERIES};
    use super::*;

    fn measured(name: &str, median: f64, peak: Peak) -> Measured<'static> {
        let series = SERIES.iter().find(|series| series.name == name).expect("a series");
        Measured { series, summary: Some(Summary { min: median / 2.0, median, p95: median * 2.0 }), peak }
    }

    #[test]
    fn tables() {
        let mib = |count: u32| Peak::Kib(count * 1_024);
        let found = [
            measured("true", 1.0, mib(1)),
            measured("preflight", 4.5, mib(5)),
            measured("check", 6.0, mib(6)),
            measured("bare", 4.0, mib(2)),
            measured("call_lookup", 0.002, Peak::NotAProcess),
            Measured { summary: None, ..measured("ib_async", 0.0, Peak::NotMeasured) },
        ];
        let text = render(&["- rounds: 3".into()], &found, BARS, &Found::default());
        assert_eq!(
            text,
            "- rounds: 3\n\n\
             | measured | min | median | p95 | peak memory |\n|---|---:|---:|---:|---:|\n\
             | `true` | 0.50 ms | 1.00 ms | 2.00 ms | 1.0 MiB |\n\
             | `ibga preflight --force` | 2.25 ms | 4.50 ms | 9.00 ms | 5.0 MiB |\n\
             | `ibga check` | 3.00 ms | 6.00 ms | 12.00 ms | 6.0 MiB |\n\
             | bare socket client | 2.00 ms | 4.00 ms | 8.00 ms | 2.0 MiB |\n\
             | library: calendar lookup | 1.00 µs | 2.00 µs | 4.00 µs |  |\n\
             | ib_async, whole process | not measured | not measured | not measured | not measured |\n\n\
             | compared (medians) | figure | bar | |\n|---|---:|---:|---|\n\
             | `ibga check` against bare socket client | 1.50 times | at most 2 times | met |\n\
             | `ibga preflight --force` above `true` | 3.50 ms | at most 3 ms | **missed** |\n\
             | library: calendar lookup | 2.00 µs | at most 5 µs | met |\n\
             | `ibga check`, peak memory | 6.0 MiB | at most 12 MiB | met |\n\
             | `ibga preflight --force`, peak memory | 5.0 MiB | at most 8 MiB | met |\n"
        );
    }

    #[test]
    fn bars_speak_of_series_that_there_are() {
        let names: Vec<&str> = SERIES.iter().map(|series| series.name).collect();
        for bar in BARS {
            for name in std::iter::once(bar.of).chain(bar.peer()) {
                assert!(names.contains(&name), "{name}");
            }
        }
        assert!(names.iter().enumerate().all(|(index, name)| !names[..index].contains(name)));
    }

    #[test]
    fn only_the_tables_of_the_page_change() {
        let page = format!("# Head\n\n{BEGINS}old\n{ENDS}\n\nTail\n");
        let once = replaced(&page, "| new |\n").expect("a place");
        assert_eq!(once, format!("# Head\n\n{BEGINS}\n| new |\n\n{ENDS}\n\nTail\n"));
        assert_eq!(replaced(&once, "| new |\n"), Some(once.clone()));
        assert_eq!(replaced("# Head\n", "| new |\n"), None);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
        let committed = File::open(path).and_then(io::read_to_string).expect("the page");
        assert!(replaced(&committed, "").is_some());
    }
}
