//! `ibga halt`: forbids agents to run until `ibga resume`. Works without a server, a store and a gateway: the halt is a file.

use std::fmt::Write as _;
use std::time::Duration;

use clap::{Args, ValueHint};
use ibga_core::act::{Act, ActKind};
use ibga_core::clock;
use ibga_core::halt::{Halt, HaltSeen, Reason};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::preflight::pretty;
use super::{Exit, load_for_all, usage_fault};
use crate::halt::{self, Halted, Reach};
use crate::output::{self, Output, Volume, printable};
use crate::settings::{Flags, GatewayName, Settings};
use crate::store::Store;

/// How long other processes at the store are waited for: the halt holds already.
const STORE_LIMIT: Duration = Duration::from_secs(2);

const AFTER_HELP: &str = "\
Examples:
  ibga halt --reason 'odd fills in 700, looking into it'      no agent may run
  ibga halt --gateway paper --reason 'new model, not yet'     none on this gateway
  ibga status                                                 who halted it, when and why

No agent starts any more, whatever it is started with, and those that run under `ibga run --supervise` are stopped within a second. \
Agents that were started without supervision run on. It holds over reboots, until `ibga resume`.

Exit codes: 0 halted, also if it was before, 1 could not be halted, 2 wrong usage or configuration; nothing was halted.";

/// Let no agent start any more, and stop those that are supervised
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct HaltArgs {
    /// Why, for whoever finds agents stopped
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    reach: ReachArgs,
}

/// Which gateways are meant, and how it is told.
#[derive(Debug, Args)]
pub(super) struct ReachArgs {
    /// Print what came of it as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Only the agents of this gateway [default: those of all gateways]
    #[arg(long, value_name = "NAME", help_heading = "Common")]
    gateway: Option<String>,
    /// Configuration file [default: ./ibga.toml, else in ~/.config/ibga or /etc/ibga]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Common")]
    config: Option<String>,
    /// Say nothing but faults; go by the exit code
    #[arg(short, long, help_heading = "Common")]
    quiet: bool,
}

impl ReachArgs {
    pub(super) fn output(&self) -> Output {
        Output::new(if self.quiet { Volume::Quiet } else { Volume::Normal })
    }

    /// The settings, which need no gateway where none is named.
    pub(super) fn settings(&self) -> Result<Settings, String> {
        let flags = Flags { config: self.config.clone(), gateway: self.gateway.clone(), ..Flags::default() };
        load_for_all(&flags).map_err(|fault| fault.to_string())
    }

    /// What the flag says; a variable that names a gateway narrows nothing down.
    pub(super) fn reach<'a>(&self, settings: &'a Settings) -> Reach<'a> {
        if self.gateway.is_some() { Reach::One(&settings.gateway) } else { Reach::All }
    }
}

/// `all gateways`, `gateway paper`.
pub(super) fn of(reach: Reach<'_>) -> String {
    match reach {
        Reach::All => "all gateways".to_owned(),
        Reach::One(gateway) => format!("gateway {gateway}"),
    }
}

pub(super) fn run(arguments: &HaltArgs) -> Exit {
    let Some(reason) = Reason::new(&arguments.reason) else {
        return usage_fault("--reason: it says nothing; write why agents may not run. Nothing was halted");
    };
    let settings = match arguments.reach.settings() {
        Ok(settings) => settings,
        Err(fault) => {
            let hint = "Nothing was halted; until that is mended, `touch /var/tmp/ibga-halt.json` (or what halt_file says) halts, too";
            return usage_fault(&format!("{fault}\n{hint}"));
        }
    };
    let (reach, output) = (arguments.reach.reach(&settings), arguments.reach.output());
    let path = reach.path(&settings);
    let new = halt::halt(reach, reason);
    let placed = match halt::place(&path, &new) {
        Ok(placed) => placed,
        Err(fault) => {
            let next =
                "create its folder or free some space there, or set halt_file to another place for all who run agents";
            output::fault(&format!("NOT halted: cannot write {}: {fault}; {next}", path.display()));
            return Exit::No;
        }
    };
    if let Halted::InPart(fault) = &placed {
        output::fault(&format!("warning: it is halted, but {} may not keep why: {fault}", path.display()));
    }
    // What is there now is what every gate sees.
    let there = halt::look(&path);
    if arguments.reach.json {
        output.document(&pretty(&document(&settings, reach, &placed, there.as_ref())));
    } else {
        output.data(&text(reach, &placed, there.as_ref()));
    }
    note(&settings, &act(reach, &new, &placed, there.as_ref()), output);
    Exit::Yes
}

fn text(reach: Reach<'_>, placed: &Halted, there: Option<&HaltSeen>) -> String {
    let of = of(reach);
    let told = told(there);
    match placed {
        Halted::Already => format!("already halted, which stays as it is: {of}\n{told}"),
        Halted::Now | Halted::InPart(_) => format!("halted: {of}; `ibga resume{}` ends it\n{told}", flag(reach)),
    }
}

/// What has to stand behind `ibga resume`.
pub(super) fn flag(reach: Reach<'_>) -> String {
    match reach {
        Reach::All => String::new(),
        Reach::One(gateway) => format!(" --gateway {gateway}"),
    }
}

/// A halt in its words.
pub(super) fn told(there: Option<&HaltSeen>) -> String {
    let text = there.map(|seen| seen.text(clock::now(), &TimeZone::system()));
    printable(&text.unwrap_or_else(|| "somebody ended it meanwhile".into()))
}

fn document(settings: &Settings, reach: Reach<'_>, placed: &Halted, there: Option<&HaltSeen>) -> Value {
    json!({
        "halted": there.is_some(),
        "new": !matches!(placed, Halted::Already),
        "gateway": name_of(reach),
        "file": reach.path(settings).display().to_string(),
        "halt": halt_document(there),
    })
}

pub(super) fn name_of(reach: Reach<'_>) -> Option<&str> {
    match reach {
        Reach::All => None,
        Reach::One(gateway) => Some(GatewayName::as_str(gateway)),
    }
}

/// A halt as JSON: who, when and why as far as that is told.
pub(super) fn halt_document(seen: Option<&HaltSeen>) -> Value {
    match seen {
        None => Value::Null,
        Some(HaltSeen::Unclear { fault, .. }) => {
            json!({"by": null, "uid": null, "host": null, "at": null, "reason": null, "unclear": fault})
        }
        Some(HaltSeen::Told(halt)) => json!({
            "by": halt.by,
            "uid": halt.uid,
            "host": halt.host,
            "at": halt.at.to_string(),
            "reason": halt.reason.as_str(),
            "unclear": null,
        }),
    }
}

fn act(reach: Reach<'_>, new: &Halt, placed: &Halted, there: Option<&HaltSeen>) -> Act {
    let mut text = new.reason.to_string();
    if matches!(placed, Halted::Already) {
        let _ = write!(text, " (halted already: {})", told(there));
    }
    Act { gateway: name_of(reach).map(str::to_owned), at: new.at, kind: ActKind::Halted, by: new.by.clone(), text }
}

/// Keeps an act in the history. What cannot be kept is told, and changes nothing.
pub(super) fn note(settings: &Settings, act: &Act, output: Output) {
    let noted =
        Store::open_within(settings.state_dir.as_deref(), STORE_LIMIT).and_then(|mut store| store.note_act(act));
    if let Err(fault) = noted {
        output.message(&format!("warning: it is done, but not in the history: {fault}"));
    }
}
