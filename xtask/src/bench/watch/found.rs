//! What was found of the watch, what it is held to, and how the page tells it.

use std::fmt::Write as _;

use super::chart::Curve;
use crate::bench::stats::Summary;

/// The numbers of gateways that are measured, each in a run of its own.
pub(super) const SIZES: [usize; 6] = [1, 10, 100, 500, 1_000, 2_000];

/// The number at which the peer holds the same sessions.
pub(super) const PEER_SIZE: usize = 100;

/// One up and down every five minutes for a day.
pub(in crate::bench) const DAY: usize = 24 * 60 / 5;

/// Between which two numbers of gateways the cost of one more is compared. Below, what is measured is lost in what any process costs.
const LINEAR_FROM: usize = 500;
const LINEAR_TO: usize = 2_000;

/// How much more one of many may cost than one of few.
const LINEAR_LIMIT: f64 = 1.25;

/// One kind of event, and how long the status file took each time.
#[derive(Debug)]
pub(super) struct Moment {
    title: &'static str,
    /// In milliseconds.
    summary: Summary,
    max: f64,
    /// The most that the longest may take, in milliseconds.
    limit: f64,
}

impl Moment {
    pub(super) fn of(title: &'static str, limit: f64, samples: &[f64]) -> Result<Self, String> {
        let summary = Summary::of(samples).ok_or_else(|| format!("{title}: nothing was measured"))?;
        Ok(Self { title, summary, max: samples.iter().copied().fold(0.0, f64::max), limit })
    }
}

/// What so many gateways cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) gateways: usize,
    pub(super) memory_kib: f64,
    /// In hundredths of one core.
    pub(super) idle_percent: f64,
    /// Until the last file was written, the slowest of some changes, in milliseconds.
    pub(super) change_millis: f64,
    /// The most sessions with one gateway at any time, and how often they were counted.
    pub(super) sessions: (usize, usize),
}

/// One figure of a point.
type Figure = fn(&Point) -> f64;

/// What it costs the peer to hold the same sessions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) memory_one_kib: f64,
    pub(super) memory_all_kib: f64,
    /// In hundredths of one core.
    pub(super) idle_percent: f64,
}

/// What became of the process by flapping.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flapped {
    pub(super) gateways: usize,
    pub(super) times: usize,
    /// After the first half, and at the end.
    pub(super) memory_kib: (f64, f64),
    pub(super) open_files: (usize, usize),
    /// The most sessions with one gateway at any time, and how often they were counted.
    pub(super) sessions: (usize, usize),
}

/// Everything that was measured of the watch.
#[derive(Debug, Default)]
pub(in crate::bench) struct Found {
    pub(super) moments: Vec<Moment>,
    pub(super) points: Vec<Point>,
    pub(super) held: Option<Held>,
    pub(super) flapped: Option<Flapped>,
}

/// A figure, with its bar where there is one.
struct Row {
    what: String,
    figure: f64,
    unit: &'static str,
    decimals: usize,
    limit: Option<f64>,
}

impl Row {
    fn new(what: impl Into<String>, figure: f64, unit: &'static str, limit: Option<f64>) -> Self {
        Self { what: what.into(), figure, unit, decimals: 2, limit }
    }

    /// What is counted has no decimals.
    fn counted(what: impl Into<String>, figure: usize, unit: &'static str, limit: f64) -> Self {
        Self { decimals: 0, ..Self::new(what, float(figure), unit, Some(limit)) }
    }

    fn is_met(&self) -> bool {
        self.limit.is_none_or(|limit| self.figure <= limit)
    }

    fn line(&self) -> String {
        let Self { what, figure, unit, decimals, limit } = self;
        let word = match (limit, self.is_met()) {
            (None, _) => "",
            (Some(_), true) => "met",
            (Some(_), false) => "**missed**",
        };
        let limit = limit.map(|limit| format!("at most {limit} {unit}")).unwrap_or_default();
        format!("| {what} | {figure:.decimals$} {unit} | {limit} | {word} |\n")
    }
}

impl Found {
    /// Whether anything was measured.
    pub(in crate::bench) fn is_empty(&self) -> bool {
        self.moments.is_empty() && self.points.is_empty() && self.flapped.is_none()
    }

    /// Whether every bar was met.
    pub(in crate::bench) fn is_met(&self) -> bool {
        self.rows().iter().all(Row::is_met)
    }

    /// Up to three tables.
    pub(in crate::bench) fn render(&self) -> String {
        let mut text = String::new();
        if !self.moments.is_empty() {
            text.push_str("\n| `ibga watch`: until the status file tells | min | median | p95 | max |\n");
            text.push_str("|---|---:|---:|---:|---:|\n");
            for Moment { title, summary: Summary { min, median, p95 }, max, .. } in &self.moments {
                let _ = writeln!(text, "| {title} | {min:.2} ms | {median:.2} ms | {p95:.2} ms | {max:.2} ms |");
            }
        }
        if !self.points.is_empty() {
            text.push_str("\n| gateways in one `ibga watch` | memory | idle, of one core | a change of all |\n");
            text.push_str("|---:|---:|---:|---:|\n");
            for Point { gateways, memory_kib, idle_percent, change_millis, .. } in &self.points {
                let mib = memory_kib / 1_024.0;
                let _ = writeln!(text, "| {gateways} | {mib:.1} MiB | {idle_percent:.2} % | {change_millis:.0} ms |");
            }
            text.push_str(PICTURE);
        }
        let rows = self.rows();
        if !rows.is_empty() {
            text.push_str("\n| the watch | figure | bar | |\n|---|---:|---:|---|\n");
            text.extend(rows.iter().map(Row::line));
        }
        text
    }

    /// The three curves of the cost, as `(gateways, figure)`.
    pub(in crate::bench) fn curves(&self) -> [Curve; 3] {
        let curve =
            |figure: Figure| self.points.iter().map(|point| (float(point.gateways), figure(point))).collect::<Vec<_>>();
        [
            ("memory", "MiB", curve(|point| point.memory_kib / 1_024.0)),
            ("idle", "% of one core", curve(|point| point.idle_percent)),
            ("a change of all", "ms", curve(|point| point.change_millis)),
        ]
    }

    fn rows(&self) -> Vec<Row> {
        let moments = self.moments.iter();
        let mut rows: Vec<Row> =
            moments.map(|one| Row::new(format!("{}, longest", one.title), one.max, "ms", Some(one.limit))).collect();
        rows.extend(self.of_many());
        rows.extend(self.linear());
        rows.extend(self.against_the_peer());
        rows.extend(self.of_flapping());
        rows.extend(self.of_sessions());
        rows
    }

    fn at(&self, gateways: usize) -> Option<&Point> {
        self.points.iter().find(|point| point.gateways == gateways)
    }

    /// What each further gateway adds, between one and so many.
    fn each(&self, gateways: usize, figure: Figure) -> Option<f64> {
        let (one, many) = (self.at(1)?, self.at(gateways)?);
        (gateways > 1).then(|| (figure(many) - figure(one)) / float(gateways - 1))
    }

    fn of_many(&self) -> Vec<Row> {
        let Some(point) = self.at(LINEAR_TO) else { return Vec::new() };
        let memory = self.each(LINEAR_TO, |point| point.memory_kib);
        let memory = memory.map(|kib| Row::new("memory of each of 2,000 gateways", kib, "KiB", Some(64.0)));
        let others = [
            Row::new("2,000 gateways, idle", point.idle_percent, "% of one core", Some(5.0)),
            Row::new("a change of all 2,000, until the last status file", point.change_millis, "ms", Some(1_000.0)),
        ];
        memory.into_iter().chain(others).collect()
    }

    fn linear(&self) -> Vec<Row> {
        let figures: [(&str, Figure); 3] = [
            ("memory", |point| point.memory_kib),
            ("idle", |point| point.idle_percent),
            ("a change of all", |point| point.change_millis),
        ];
        let row = |(name, figure)| {
            let times = self.each(LINEAR_TO, figure)? / self.each(LINEAR_FROM, figure)?;
            Some(Row::new(format!("{name}, each of 2,000 against each of 500"), times, "times", Some(LINEAR_LIMIT)))
        };
        figures.into_iter().filter_map(row).collect()
    }

    fn against_the_peer(&self) -> Vec<Row> {
        let (Some(held), Some(point)) = (&self.held, self.at(PEER_SIZE)) else { return Vec::new() };
        let theirs = (held.memory_all_kib - held.memory_one_kib) / float(PEER_SIZE - 1);
        let mut rows = vec![Row::new(format!("ib_async, memory of each of {PEER_SIZE} sessions"), theirs, "KiB", None)];
        if let Some(ours) = self.each(PEER_SIZE, |point| point.memory_kib) {
            rows.push(Row::new("… against the watch", theirs / ours, "times", None));
        }
        let whole = held.memory_all_kib / point.memory_kib;
        rows.push(Row::new(
            format!("ib_async, memory of the process with {PEER_SIZE}, against the watch"),
            whole,
            "times",
            None,
        ));
        rows.push(Row::new(format!("ib_async, {PEER_SIZE} sessions, idle"), held.idle_percent, "% of one core", None));
        if point.idle_percent > 0.0 {
            rows.push(Row::new("… against the watch", held.idle_percent / point.idle_percent, "times", None));
        }
        rows
    }

    fn of_flapping(&self) -> Vec<Row> {
        let Some(Flapped { gateways, times, memory_kib, open_files, .. }) = self.flapped else { return Vec::new() };
        let (early, late) = memory_kib;
        let growth = (late / early - 1.0) * 100.0;
        let (few, many) = open_files;
        vec![
            Row::new(
                format!("{gateways} gateways, {times} ups and downs each: growth of memory in the second half"),
                growth,
                "%",
                Some(3.0),
            ),
            Row::counted(
                format!("… further open files, beside {few}"),
                many.saturating_sub(few),
                "files",
                FILES_UNDER_WAY_MAX,
            ),
        ]
    }

    fn of_sessions(&self) -> Option<Row> {
        let counted =
            self.points.iter().map(|point| point.sessions).chain(self.flapped.map(|flapped| flapped.sessions));
        let (most, times) = counted.reduce(|one, other| (one.0.max(other.0), one.1 + other.1))?;
        Some(Row::counted(format!("sessions with one gateway, the most of {times} counts"), most, "sessions", 1.0))
    }
}

/// The same as curves, where the page shows it.
const PICTURE: &str =
    "\n![What a watch costs, by the number of gateways: memory, idle, a change of all](pictures/watch-cost.svg)\n";

/// A status file that is just being written, a question to the container engine.
const FILES_UNDER_WAY_MAX: f64 = 5.0;

fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(gateways: usize, memory_kib: f64, idle_percent: f64, change_millis: f64) -> Point {
        Point { gateways, memory_kib, idle_percent, change_millis, sessions: (1, 10) }
    }

    #[test]
    fn tables() {
        let found = Found {
            moments: vec![Moment::of("the socket ends", 100.0, &[1.0, 2.0, 120.0]).expect("samples")],
            points: vec![
                point(1, 10_240.0, 0.0, 1.0),
                point(100, 14_200.0, 0.2, 40.0),
                point(500, 30_200.0, 1.0, 150.0),
                point(2_000, 90_195.0, 5.5, 801.0),
            ],
            held: Some(Held { memory_one_kib: 40_000.0, memory_all_kib: 59_800.0, idle_percent: 1.0 }),
            flapped: Some(Flapped {
                gateways: 20,
                times: 288,
                memory_kib: (20_000.0, 20_200.0),
                open_files: (60, 58),
                sessions: (2, 500),
            }),
        };
        assert!(!found.is_met());
        insta::assert_snapshot!(found.render());
    }

    #[test]
    fn what_was_not_measured_is_not_told() {
        let found = Found::default();
        assert!(found.is_empty() && found.is_met());
        assert_eq!(found.render(), "");
        let found = Found { points: vec![point(1, 10_240.0, 0.0, 1.0)], ..Found::default() };
        assert!(!found.render().contains("2,000"), "{}", found.render());
    }
}
