//! Generates text from checkpoints, and scores it.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: allocator::LargeBlocks = allocator::LargeBlocks::new();

fn main() -> ExitCode {
    cli::run(generate::run)
}
