//! Trains one GPT.

use std::process::ExitCode;

use model::TensorMemory;
use train::Arguments;

#[global_allocator]
static ALLOCATOR: TensorMemory = TensorMemory::new();

fn main() -> ExitCode {
    cli::run(|arguments: &Arguments| arguments.verbosity, |arguments, terminal| train::run(&arguments, terminal))
}
