//! `ibga init`: writes a commented `ibga.toml`. Asks nothing and overwrites nothing.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::Exit;
use crate::output;
use crate::settings::EXAMPLE;

const AFTER_HELP: &str = "\
Examples:
  ibga init                            ./ibga.toml, for what runs in this folder
  ibga init ~/.config/ibga/ibga.toml   for everything that this user runs
  ibga init /etc/ibga/ibga.toml        for all users

Every setting stands in it with its default, commented out. A file that is there is left as it is.

Exit codes: 0 written, 1 nothing was written, 2 wrong usage.";

/// Write a commented configuration file, ibga.toml
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct InitArgs {
    /// Where to write it
    #[arg(default_value = "ibga.toml", value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

pub(super) fn run(arguments: &InitArgs) -> Exit {
    let path = arguments.file.display();
    // Not writable by others, or it would not be believed; readable, since it may be for all users and holds no secret.
    let created = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&arguments.file);
    match created.and_then(|mut file| file.write_all(EXAMPLE.as_bytes())) {
        Ok(()) => {
            let _ =
                writeln!(io::stdout(), "wrote {path}; take the # off what you want to change, then run `ibga doctor`");
            Exit::Yes
        }
        Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => {
            output::fault(&format!("{path} is there already and was left as it is; remove it, or name another file"));
            Exit::No
        }
        Err(fault) => {
            let folder = arguments.file.parent().filter(|folder| !folder.exists());
            let next = folder.map_or_else(
                || "name another file".into(),
                |folder| format!("create its folder: mkdir -p {}", folder.display()),
            );
            output::fault(&format!("cannot write {path}: {fault}; {next}"));
            Exit::No
        }
    }
}
