//! Work on the repository itself: `cargo xtask COMMAND`. Nothing here is part of the product.

mod record_day;

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
    /// Record the sessions of an IBKR day anew, and the real API clients' own
    RecordDay,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cli = Cli::parse();
    match cli.command {
        Task::RecordDay => record_day::run(),
    }
}
