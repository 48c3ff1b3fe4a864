//! Imports checkpoints that were trained elsewhere.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: allocator::LargeBlocks = allocator::LargeBlocks::new();

fn main() -> ExitCode {
    cli::run(import::run)
}
