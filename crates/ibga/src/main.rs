//! The `ibga` binary: hands the arguments over and returns the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ibga::cli::run(std::env::args_os())
}
