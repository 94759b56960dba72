//! `ibga init`: writes a commented `ibga.toml`. Asks nothing and overwrites nothing.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::Args;

use super::Exit;
use crate::output;
use crate::settings::EXAMPLE;

const AFTER_HELP: &str = "\
Every setting stands in it with its default, commented out.
Exit codes: 0, 1 if nothing was written.";

/// Write a commented ibga.toml
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct InitArgs {
    /// Where to write it
    #[arg(default_value = "ibga.toml", value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(arguments: &InitArgs) -> Exit {
    let path = arguments.file.display();
    // Not writable by others from the start, or it would not be believed later.
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&arguments.file);
    match created.and_then(|mut file| file.write_all(EXAMPLE.as_bytes())) {
        Ok(()) => {
            let _ =
                writeln!(io::stdout(), "wrote {path}; take the # off what you want to change, then run `ibga check`");
            Exit::Yes
        }
        Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => {
            output::fault(&format!("{path} is there already and was left as it is; remove it, or name another file"));
            Exit::No
        }
        Err(fault) => {
            output::fault(&format!("cannot write {path}: {fault}; name another file"));
            Exit::No
        }
    }
}
