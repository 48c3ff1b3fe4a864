//! Trains one GPT on one text.

use std::process::ExitCode;

use allocator::LargeBlocks;
use train::Arguments;

#[global_allocator]
static ALLOCATOR: LargeBlocks = LargeBlocks::new();

fn main() -> ExitCode {
    cli::run(|arguments: &Arguments| arguments.verbosity, |arguments, terminal| train::run(&arguments, terminal))
}
