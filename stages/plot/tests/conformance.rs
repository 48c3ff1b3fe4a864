//! The stage conforms to its declaration.

mod synthetic;

use std::path::Path;

use conformance::{conforms, conforms_with_rows};
use declarations::{StudyRun, Value};
use schemas::Artifacts;

/// Writes a study of the selected runs, and returns flags.
fn good(root: &Path, runs: fn(&StudyRun) -> bool) -> Vec<String> {
    let mut study = synthetic::study(&[1, 2], "0,25,50");
    study.runs.retain(runs);
    synthetic::write(&Artifacts::new(root), &study);
    ["--study".to_owned(), study.argument().expect("a study has an argument")].to_vec()
}

#[test]
fn a_whole_study_conforms() {
    conforms(plot::run, |root| good(root, |run| [0, 5].contains(&run.parts.len())));
}

#[test]
fn a_study_without_quality_conforms() {
    conforms_with_rows(plot::run, |root| good(root, |run| run.parts.len() == 2));
}

#[test]
fn a_study_of_trainings_alone_conforms() {
    conforms_with_rows(plot::run, |root| good(root, |run| run.parts.is_empty()));
}
