//! Trains one GPT.

use std::process::ExitCode;

use mimalloc::MiMalloc;
use train::Arguments;

/// Training allocates and frees many large tensors a step.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::run(|arguments: &Arguments| arguments.verbosity, |arguments, terminal| train::run(&arguments, terminal))
}
