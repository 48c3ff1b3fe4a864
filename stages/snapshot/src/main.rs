//! Records the attention of checkpoints.

use std::process::ExitCode;

use mimalloc::MiMalloc;
use snapshot::Arguments;

/// A forward pass allocates and frees large tensors.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::run(|arguments: &Arguments| arguments.verbosity, |arguments, terminal| snapshot::run(&arguments, terminal))
}
