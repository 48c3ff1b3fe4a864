//! `metrics`: what attention does, in numbers.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: allocator::LargeBlocks = allocator::LargeBlocks::new();

fn main() -> ExitCode {
    cli::run(metrics::run)
}
