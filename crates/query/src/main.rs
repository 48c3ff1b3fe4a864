//! Answers a question about the study. `query --help` lists them.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(|arguments: &query::Arguments| arguments.verbosity, |arguments, _| query::run(&arguments))
}
