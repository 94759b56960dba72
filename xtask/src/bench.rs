//! `cargo xtask bench`: times whole processes and library calls against named peers, in one run, and holds them to the bars.
//!
//! What is measured is data: a row in `series.rs` for each thing, one in `bars.rs` for each comparison. Everything runs against a
//! simulated gateway in a process of its own, release builds alone, in rounds, so that a drift of the machine hits all alike.

mod bars;
mod machine;
mod memory;
mod page;
mod series;
mod stage;
mod stats;
mod watch;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;

use bars::BARS;
use page::{Measured, Peak};
use series::{SERIES, Series, Source};
use stage::Stage;
use stats::Summary;
use watch::found::DAY;
use watch::{Often, Part, chart};

/// Rounds before those that count: caches fill, pages of the programs come into memory.
const WARM_UP_ROUNDS: usize = 3;

/// How often the memory of each program is looked at; the largest counts.
const MEMORY_RUNS: usize = 3;

/// Time ibga against its peers, and print the table
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Rounds; every program runs once in each
    #[arg(long, default_value_t = 100, value_parser = rounds)]
    runs: usize,
    /// Measure only what has this in its name, and the peers that it is compared with (repeatable)
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Ups and downs of each gateway that a watch must not grow by; that many are a day of one every five minutes
    #[arg(long, default_value_t = DAY, value_parser = rounds)]
    flaps: usize,
    /// Put the table into docs/benchmarks.md, if this machine does nothing else
    #[arg(long, conflicts_with = "only")]
    write: bool,
}

fn rounds(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|runs| (1..=100_000).contains(runs)).ok_or_else(|| "write 1 to 100000".into())
}

/// Measures, prints, and says by the exit code whether every bar was met.
pub(crate) fn run(arguments: &BenchArgs) -> ExitCode {
    match measure(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            say("a bar was missed");
            ExitCode::FAILURE
        }
        Err(fault) => {
            say(&fault);
            ExitCode::from(2)
        }
    }
}

fn measure(arguments: &BenchArgs) -> Result<bool, String> {
    let (chosen, parts) = chosen(&arguments.only)?;
    if arguments.write {
        machine::is_quiet()?;
    }
    // Before the build, which is a load of its own.
    let facts = machine::facts(arguments.runs);
    let needs_python =
        chosen.iter().any(|series| series.needs_python()) || parts.iter().any(|part| part.needs_python());
    let stage = Stage::set(needs_python)?;
    let measured = if chosen.is_empty() { Vec::new() } else { programs(&chosen, &stage, arguments.runs)? };
    let found = watch::measure(&stage, &parts, Often { runs: arguments.runs, flaps: arguments.flaps })?;
    let text = page::render(&facts, &measured, BARS, &found);
    io::stdout().write_all(text.as_bytes()).map_err(|fault| fault.to_string())?;
    if arguments.write {
        page::write(&text)?;
        page::write_picture(&chart::draw(&found.curves()))?;
    }
    let is_met = BARS.iter().all(|bar| bar.judge(&measured).is_none_or(|judged| judged.is_met));
    Ok(is_met && found.is_met())
}

/// Times each of these in turn, round after round.
fn programs<'a>(chosen: &[&'a Series], stage: &Stage, runs: usize) -> Result<Vec<Measured<'a>>, String> {
    let mut samples: Vec<Vec<f64>> = vec![Vec::new(); chosen.len()];
    say(&format!("{runs} rounds of {} programs", chosen.iter().filter(|one| one.is_process()).count()));
    for round in 0..WARM_UP_ROUNDS + runs {
        // Another one begins each time, so that none always runs in the wake of the same other one.
        for place in 0..chosen.len() {
            let index = (place + round) % chosen.len();
            let Some((series, samples)) = chosen.get(index).zip(samples.get_mut(index)) else { continue };
            let Some(millis) = time(series, stage)? else { continue };
            if round >= WARM_UP_ROUNDS {
                samples.push(millis);
            }
        }
    }
    stage.library_calls(runs, &mut |name, millis| {
        let found = chosen
            .iter()
            .zip(&mut samples)
            .find(|(series, _)| matches!(series.source, Source::Call(call) if call == name));
        if let Some((_, samples)) = found {
            samples.extend(millis);
        }
    })?;
    let mut measured = Vec::new();
    for (series, samples) in chosen.iter().zip(&samples) {
        let peak = peak(series, stage)?;
        measured.push(Measured { series, summary: Summary::of(samples), peak });
    }
    Ok(measured)
}

/// What to measure: everything, or what was asked for with its peers.
fn chosen(only: &[String]) -> Result<(Vec<&'static Series>, Vec<Part>), String> {
    let is_asked = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part.as_str()));
    let names: Vec<&str> = SERIES.iter().map(|series| series.name).filter(|name| is_asked(name)).collect();
    let parts: Vec<Part> = Part::ALL.into_iter().filter(|part| is_asked(part.name())).collect();
    if names.is_empty() && parts.is_empty() {
        let all = SERIES.iter().map(|series| series.name).chain(Part::ALL.map(Part::name));
        return Err(format!("nothing has such a name; there are: {}", all.collect::<Vec<_>>().join(", ")));
    }
    let is_peer = |name: &str| BARS.iter().any(|bar| names.contains(&bar.of) && bar.peer() == Some(name));
    let series = SERIES.iter().filter(|series| names.contains(&series.name) || is_peer(series.name)).collect();
    Ok((series, parts))
}

/// One run, in milliseconds; nothing for what is measured otherwise or cannot be measured here.
fn time(series: &Series, stage: &Stage) -> Result<Option<f64>, String> {
    match series.source {
        Source::Process(command) => stage.time(series.name, command).map(Some),
        Source::Python(script) => stage.time_python(series.name, script),
        Source::PythonTold(script) => stage.told_by_python(series.name, script),
        Source::Call(_) => Ok(None),
    }
}

fn peak(series: &Series, stage: &Stage) -> Result<Peak, String> {
    let command = match series.source {
        Source::Process(command) => Some(command(stage)),
        Source::Python(script) => stage.python(script),
        Source::PythonTold(_) | Source::Call(_) => return Ok(Peak::NotAProcess),
    };
    let Some(command) = command else { return Ok(Peak::NotMeasured) };
    let mut peak = Peak::NotMeasured;
    for _ in 0..MEMORY_RUNS {
        peak = peak.max(memory::peak(&command)?.map_or(Peak::NotMeasured, Peak::Kib));
    }
    Ok(peak)
}

/// What a person wants to know meanwhile.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
