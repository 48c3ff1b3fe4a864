//! Queries the tables of a study. `query --help` lists the queries.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::exit(query::run(&query::Arguments::parse()), &cli::Terminal::new(false))
}
