//! Answers a question about the study. `query --help` lists them.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::exit(query::run(&query::Arguments::parse()), &cli::Terminal::new(false))
}
