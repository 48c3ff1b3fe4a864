//! Turns a text into tokens, a vocabulary and a semantic space.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: allocator::LargeBlocks = allocator::LargeBlocks::new();

fn main() -> ExitCode {
    cli::run(prep::run)
}
