//! Records the attention of checkpoints.

use std::process::ExitCode;

use allocator::LargeBlocks;
use snapshot::Arguments;

#[global_allocator]
static ALLOCATOR: LargeBlocks = LargeBlocks::new();

fn main() -> ExitCode {
    cli::run(|arguments: &Arguments| arguments.verbosity, |arguments, terminal| snapshot::run(&arguments, terminal))
}
