//! The stage does what its declaration says.

mod cycle;

use std::path::Path;

use conformance::conforms;

const SIZE: &str = "--n-layer 2 --n-head 2 --n-embd 8 --block-size 6 --batch-size 2 --max-iters 4 --eval-iters 1";

/// Writes the inputs and returns flags.
fn good(root: &Path, flags: &str) -> Vec<String> {
    cycle::write(root);
    let line = format!("--dataset cycle --run run_1 --seed 7 {SIZE} {flags}");
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_training_conforms() {
    conforms(train::run, |root| good(root, ""));
}

#[test]
fn a_training_with_tracking_and_checkpoints_conforms() {
    conforms(train::run, |root| good(root, "--tracking --checkpoint-steps 2 --gradient-accumulation-steps 2"));
}
