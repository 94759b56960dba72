//! `ibga doctor`: every prerequisite tested, each fault with its repair.

use clap::Args;
use ibga_core::clock;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::preflight::pretty;
use super::{CommonArgs, Exit, ExpectArgs, ProbeArgs, load_settings};
use crate::doctor::{Circumstances, Finding, Outcome, examine};
use crate::output::{Paint, printable, wrapped};

/// The width of the text.
const WIDTH: usize = 80;

/// The column at which the texts begin.
const INDENT: usize = 25;

const AFTER_HELP: &str = "\
Examples:
  ibga doctor                    as the user, and in the folder, in which `ibga check` will run
  ibga doctor --reader trader    can the agent's user read the status file, and will it believe it?
  ibga doctor --json | jq '.findings[] | select(.outcome == \"faulty\")'

The gateway is probed as by `ibga check`, but no status file is written: whatever it has to write to find out, it removes.

Exit codes: 0 nothing to repair, 1 something has to be repaired, 2 wrong usage.";

/// Test every prerequisite, and say how to repair each fault
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// User whose agent reads the status file, by name or id (repeatable)
    #[arg(long = "reader", value_name = "USER")]
    readers: Vec<String>,
    #[command(flatten)]
    probe: ProbeArgs,
    #[command(flatten)]
    expect: ExpectArgs,
    #[command(flatten)]
    common: CommonArgs,
}

pub(super) fn run(arguments: &DoctorArgs) -> Exit {
    let mut flags = arguments.common.flags();
    arguments.probe.add_to(&mut flags);
    arguments.expect.add_to(&mut flags);
    let output = arguments.common.output();
    let zone = TimeZone::try_system().map_err(|_| "neither TZ nor /etc/localtime names a zone".to_owned());
    let at = Circumstances { now: clock::now(), zone, readers: arguments.readers.clone() };
    let paint = Paint::for_stdout();
    let mut findings = Vec::new();
    examine(load_settings(&flags).as_ref(), &at, |finding| {
        if !arguments.json {
            output.data(&lines(&finding, paint));
        }
        findings.push(finding);
    });
    let fault_count = findings.iter().filter(|finding| finding.is_fault()).count();
    if arguments.json {
        let documents: Vec<Value> = findings.iter().map(Finding::document).collect();
        output.document(&pretty(&json!({"ok": fault_count == 0, "findings": documents})));
    } else {
        output.data(&summary(fault_count));
    }
    if fault_count == 0 { Exit::Yes } else { Exit::No }
}

fn summary(fault_count: usize) -> String {
    match fault_count {
        0 => "\nNothing has to be repaired. Put `ibga run -- AGENT` where your scheduler starts the agent.".into(),
        1 => "\nOne thing has to be repaired; then run `ibga doctor` again.".into(),
        count => format!("\n{count} things have to be repaired, from the top down; then run `ibga doctor` again."),
    }
}

fn lines(finding: &Finding, paint: Paint) -> String {
    let mark = match finding.outcome {
        Outcome::Good => paint.good("ok  "),
        Outcome::Doubtful { .. } => "note".into(),
        Outcome::Faulty { .. } => paint.bad("FAIL"),
        Outcome::NotTested => "-   ".into(),
    };
    let name = finding.subject.name();
    let text = format!("{mark}  {name:<19}{}", indented(&finding.text, INDENT));
    match finding.outcome.repair() {
        Some(repair) => format!("{text}\n{:INDENT$}-> {}", "", indented(repair, INDENT + 3)),
        None => text,
    }
}

/// Each line of a text broken to the width.
fn indented(text: &str, indent: usize) -> String {
    let lines = text.lines().map(|line| wrapped(&printable(line), WIDTH, indent));
    lines.collect::<Vec<_>>().join(&format!("\n{:indent$}", ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Subject;

    #[test]
    fn a_page() {
        let finding = |subject, text: &str, outcome| Finding { subject, text: text.into(), outcome };
        let repair = |text: &str| text.to_owned();
        let findings = [
            finding(Subject::Configuration, "./ibga.toml; gateway default at 127.0.0.1:4000", Outcome::Good),
            finding(Subject::Container, "no container engine on this machine", Outcome::NotTested),
            finding(
                Subject::Gateway,
                "error (wrong_account): the login holds DU***67, not what is expected\nand a second line",
                Outcome::Faulty {
                    repair: repair("log the gateway in with the user that was expected, and with nobody else"),
                },
            ),
            finding(Subject::Clock, "not synchronised", Outcome::Doubtful { repair: repair("let NTP keep it") }),
        ];
        let page: Vec<String> = findings.iter().map(|finding| lines(finding, Paint::Plain)).collect();
        insta::assert_snapshot!(page.join("\n"));
    }
}
