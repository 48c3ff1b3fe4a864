//! `metrics`: what attention does, in numbers.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(
        |arguments: &metrics::Arguments| arguments.verbosity,
        |arguments, terminal| metrics::run(&arguments, terminal),
    )
}
