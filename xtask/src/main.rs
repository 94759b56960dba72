//! Work on the repository itself: `cargo xtask COMMAND`. Nothing here is part of the product.

mod bench;
mod record_day;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Work on this repository
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    Bench(bench::BenchArgs),
    /// Record the sessions of an IBKR day anew, and the real API clients' own
    RecordDay,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Task::Bench(arguments) => bench::run(&arguments),
        Task::RecordDay => match record_day::run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(fault) => {
                let _ = writeln!(io::stderr(), "not recorded: {fault}");
                ExitCode::FAILURE
            }
        },
    }
}
