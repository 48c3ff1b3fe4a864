//! Records the attention of checkpoints.

use std::process::ExitCode;

use model::TensorMemory;
use snapshot::Arguments;

#[global_allocator]
static ALLOCATOR: TensorMemory = TensorMemory::new();

fn main() -> ExitCode {
    cli::run(|arguments: &Arguments| arguments.verbosity, |arguments, terminal| snapshot::run(&arguments, terminal))
}
