//! Asks SQL of the tables of a study. `query --help` shows how.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::exit(query::run(&query::Arguments::parse()), &cli::Terminal::new(false))
}
