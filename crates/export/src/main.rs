//! Takes results to other programs. `export --help` lists the formats.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::exit(export::run(&export::Arguments::parse()), &cli::Terminal::new(false))
}
