//! Lets a trained model write, and scores what it wrote.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: allocator::LargeBlocks = allocator::LargeBlocks::new();

fn main() -> ExitCode {
    cli::run(generate::run)
}
