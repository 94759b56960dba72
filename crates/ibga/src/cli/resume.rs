//! `ibga resume`: ends a halt, so that agents may start again. Starts none itself.

use std::path::{Path, PathBuf};

use clap::Args;
use ibga_core::act::{Act, ActKind};
use ibga_core::clock;
use ibga_core::halt::HaltSeen;
use serde_json::{Value, json};

use super::halt::{ReachArgs, flag, halt_document, name_of, note, of, told};
use super::preflight::pretty;
use super::{Exit, usage_fault};
use crate::halt::{self, Reach};
use crate::output;
use crate::settings::{GatewayName, Settings};

/// Most further halts that are told of.
const FURTHER_MAX: usize = 20;

/// Most names of a folder that are looked at for them.
const NAMES_MAX: usize = 10_000;

const AFTER_HELP: &str = "\
Examples:
  ibga resume                      ends `ibga halt`
  ibga resume --gateway paper      ends `ibga halt --gateway paper`

Agents may start again, and none is started: that is your scheduler's. It tells what it ended, and what is still halted. The halt of \
another user has to be ended by that user or root.

Exit codes: 0 nothing is halted there any more, also if nothing was, 1 it could not be ended, 2 wrong usage or configuration.";

/// End a halt: let agents start again
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    reach: ReachArgs,
}

pub(super) fn run(arguments: &ResumeArgs) -> Exit {
    let settings = match arguments.reach.settings() {
        Ok(settings) => settings,
        Err(fault) => return usage_fault(&fault),
    };
    let (reach, output) = (arguments.reach.reach(&settings), arguments.reach.output());
    let path = reach.path(&settings);
    let seen = halt::look(&path);
    let was_there = match halt::lift(&path) {
        Ok(was_there) => was_there,
        Err(fault) => {
            output::fault(&format!("still halted: {}: {fault}", of(reach)));
            return Exit::No;
        }
    };
    let ended = seen.filter(|_| was_there);
    let further = further(&settings, reach);
    if arguments.reach.json {
        output.document(&pretty(&document(reach, &path, ended.as_ref(), &further)));
    } else {
        output.data(&text(reach, ended.as_ref()));
        for still in &further {
            let (of, flag) = (of(still.reach()), flag(still.reach()));
            output.message(&format!("still halted: {of}; `ibga resume{flag}` ends that\n{}", told(Some(&still.seen))));
        }
    }
    if let Some(ended) = &ended {
        let text = format!("ended: {}", told(Some(ended)));
        let gateway = name_of(reach).map(str::to_owned);
        note(&settings, &Act { gateway, at: clock::now(), kind: ActKind::Resumed, by: halt::who(), text }, output);
    }
    Exit::Yes
}

fn text(reach: Reach<'_>, ended: Option<&HaltSeen>) -> String {
    match ended {
        None => format!("nothing is halted: {}", of(reach)),
        Some(ended) => format!("resumed: {}; agents may start again\nended: {}", of(reach), told(Some(ended))),
    }
}

fn document(reach: Reach<'_>, path: &Path, ended: Option<&HaltSeen>, further: &[Further]) -> Value {
    let still = further
        .iter()
        .map(|still| json!({"gateway": name_of(still.reach()), "file": still.path.display().to_string(), "halt": halt_document(Some(&still.seen))}));
    json!({
        "resumed": ended.is_some(),
        "gateway": name_of(reach),
        "file": path.display().to_string(),
        "ended": halt_document(ended),
        "still_halted": still.collect::<Vec<_>>(),
    })
}

/// A halt that is still there.
struct Further {
    gateway: Option<GatewayName>,
    path: PathBuf,
    seen: HaltSeen,
}

impl Further {
    fn reach(&self) -> Reach<'_> {
        self.gateway.as_ref().map_or(Reach::All, Reach::One)
    }
}

/// What is halted beside that: of one gateway all of them may be, of all each one.
fn further(settings: &Settings, reach: Reach<'_>) -> Vec<Further> {
    let at = |gateway: Option<GatewayName>| {
        let path = gateway.as_ref().map_or(Reach::All, Reach::One).path(settings);
        halt::look(&path).map(|seen| Further { gateway, path, seen })
    };
    match reach {
        Reach::One(_) => at(None).into_iter().collect(),
        Reach::All => gateways_beside(settings).into_iter().filter_map(|gateway| at(Some(gateway))).collect(),
    }
}

/// The gateways that have a file of their own beside that of all.
fn gateways_beside(settings: &Settings) -> Vec<GatewayName> {
    let all = &settings.halt_file;
    let Some(names) = all.parent().and_then(|folder| std::fs::read_dir(folder).ok()) else { return Vec::new() };
    let stem = all.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let gateway = |name: &str| {
        let name = Path::new(name).file_stem()?.to_str()?.strip_prefix(&format!("{stem}-"))?;
        GatewayName::read(name).ok()
    };
    let of_file = |name: std::ffi::OsString| {
        let gateway = gateway(name.to_str()?)?;
        (settings.halt_file_of(&gateway).file_name() == Some(&name)).then_some(gateway)
    };
    let mut gateways: Vec<GatewayName> =
        names.take(NAMES_MAX).flatten().filter_map(|entry| of_file(entry.file_name())).take(FURTHER_MAX).collect();
    gateways.sort();
    gateways
}
