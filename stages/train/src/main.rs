//! Stage binary.
fn main() {}
