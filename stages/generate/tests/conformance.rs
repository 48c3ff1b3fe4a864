//! The stage does what its declaration says.

mod little;

use std::path::Path;

use conformance::conforms;

/// Writes the inputs and returns flags.
fn good(root: &Path, flags: &str) -> Vec<String> {
    little::inputs(root).expect("the inputs are written");
    let line = format!("--dataset little --run run_3 --seed 7 --steps 0,5 --samples 2 --length 20 {flags}");
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn generating_conforms() {
    conforms(generate::run, |root| good(root, ""));
}

#[test]
fn generating_with_scores_conforms() {
    conforms(generate::run, |root| good(root, "--score"));
}

#[test]
fn generating_with_tracking_conforms() {
    conforms(generate::run, |root| good(root, "--track"));
}

#[test]
fn generating_with_scores_and_tracking_conforms() {
    conforms(generate::run, |root| good(root, "--score --track"));
}
