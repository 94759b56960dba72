//! Work on the repository itself: `cargo xtask COMMAND`. Nothing here is part of the product.

mod bench;

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
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Task::Bench(arguments) => bench::run(&arguments),
    }
}
