//! Correlates attention with learning and with generated text, tests the study's claims, and makes its table of results.

use std::process::ExitCode;

use correlate::Arguments;

fn main() -> ExitCode {
    cli::run(|arguments: &Arguments| arguments.verbosity, |arguments, terminal| correlate::run(&arguments, terminal))
}
