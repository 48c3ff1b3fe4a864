//! Query.
fn main() {}
