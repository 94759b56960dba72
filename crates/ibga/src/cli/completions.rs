//! `ibga completions`: prints the script by which a shell completes `ibga`.

use std::fmt::Write as _;
use std::io::{self, Write};

use clap::{Args, ValueEnum};
use clap_complete::{Generator, Shell};

use super::{Exit, definition};
use crate::output;

const AFTER_HELP: &str = "\
Examples:
  mkdir -p ~/.local/share/bash-completion/completions
  ibga completions bash > ~/.local/share/bash-completion/completions/ibga
  mkdir -p ~/.zfunc
  ibga completions zsh > ~/.zfunc/_ibga      with `fpath+=~/.zfunc` before compinit in ~/.zshrc
  mkdir -p ~/.config/fish/completions
  ibga completions fish > ~/.config/fish/completions/ibga.fish

Shells that start after that complete commands, options, files and the words that an option takes.

Exit codes: 0 printed, 1 not printed, 2 wrong usage.";

/// Print the completion script of a shell
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct CompletionsArgs {
    /// The shell that asks
    #[arg(value_name = "SHELL")]
    shell: Kind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Bash,
    Zsh,
    Fish,
}

impl From<Kind> for Shell {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Bash => Self::Bash,
            Kind::Zsh => Self::Zsh,
            Kind::Fish => Self::Fish,
        }
    }
}

pub(super) fn run(arguments: &CompletionsArgs) -> Exit {
    let mut command = definition();
    command.set_bin_name("ibga");
    command.build();
    let mut script = Vec::new();
    Shell::from(arguments.shell).generate(&command, &mut script);
    if let Kind::Fish = arguments.shell {
        script.extend(words_by_place(&command).into_bytes());
    }
    match io::stdout().write_all(&script) {
        Ok(()) => Exit::Yes,
        // Whoever reads has had enough.
        Err(fault) if fault.kind() == io::ErrorKind::BrokenPipe => Exit::Yes,
        Err(fault) => {
            output::fault(&format!("cannot print the script: {fault}"));
            Exit::No
        }
    }
}

/// Words of arguments that have no flag; the generator for fish knows flags alone.
fn words_by_place(command: &clap::Command) -> String {
    let mut lines = String::new();
    for (name, argument) in
        command.get_subcommands().flat_map(|one| one.get_positionals().map(|argument| (one.get_name(), argument)))
    {
        let words: Vec<String> = argument.get_possible_values().iter().map(|word| word.get_name().to_owned()).collect();
        if !words.is_empty() {
            let words = words.join(" ");
            let _ = writeln!(lines, "complete -c ibga -n \"__fish_ibga_using_subcommand {name}\" -f -a \"{words}\"");
        }
    }
    lines
}
