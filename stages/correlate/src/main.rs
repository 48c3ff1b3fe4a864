//! Correlates attention with learning and with generated text, tests the study's claims, and makes its table of results.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(correlate::run)
}
