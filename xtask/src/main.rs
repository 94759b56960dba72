//! Work on the repository itself: `cargo xtask COMMAND`. Nothing here is part of the product.

use clap::{Parser, Subcommand};

/// Work on this repository
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {}

fn main() {
    let cli = Cli::parse();
    match cli.command {}
}
