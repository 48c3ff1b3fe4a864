//! Draws the study's figures and writes its report.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(plot::run)
}
