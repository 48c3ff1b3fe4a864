//! The stage conforms to its declaration.

mod synthetic;

use std::path::Path;

use conformance::conforms;
use declarations::{Part, StudyRun, Value};

/// Writes a study of the selected runs on one dataset, and returns flags.
fn good(root: &Path, runs: fn(&StudyRun) -> bool) -> Vec<String> {
    let mut study = synthetic::study();
    study.datasets.truncate(1);
    study.datasets[0].seeds = vec![1, 2];
    study.datasets[0].steps = "0,60,120".parse().expect("steps");
    study.runs.retain(runs);
    synthetic::write(root, &study);
    let study = study.argument().expect("a study has an argument");
    ["--study", &study, "--permutations", "20"].map(str::to_owned).to_vec()
}

#[test]
fn a_whole_study_conforms() {
    conforms(correlate::run, |root| good(root, |run| !run.has(Part::Snapshots) || run.has(Part::Quality)));
}

#[test]
fn a_study_of_trainings_alone_conforms() {
    conforms(correlate::run, |root| good(root, |run| !run.has(Part::Snapshots)));
}
