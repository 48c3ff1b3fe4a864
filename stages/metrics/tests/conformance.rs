//! The stage conforms to its declaration.

#[expect(dead_code, reason = "the other tests use the rest")]
mod snapshots;

use std::path::Path;

use conformance::conforms;
use snapshots::Snapshots;

/// Writes the inputs and returns flags.
fn good(root: &Path, flags: &str) -> Vec<String> {
    Snapshots::random(3, 2, 8, 2, 4, 1).write(root);
    format!("--dataset d --run run_2 --seed 7 --steps 0,100 {flags}").split_whitespace().map(str::to_owned).collect()
}

#[test]
fn metrics_conform() {
    conforms(metrics::run, |root| good(root, ""));
}

#[test]
fn metrics_with_similarity_conform() {
    conforms(metrics::run, |root| good(root, "--layer-similarity"));
}
