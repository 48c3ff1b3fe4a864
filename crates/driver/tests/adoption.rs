//! Tables that the driver did not see written are recognised by their footers, and by nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use declarations::StageName;
use driver::adopt::{Found, find};
use driver::experiment::Experiment;
use driver::key::CacheKey;
use driver::plan::{Job, plan};
use driver::study::Study;
use driver::yaml;
use schemas::tables::{Checkpoints, Evaluations, Optimizer, Timings, Tracking, TrainingLog};
use schemas::{Artifacts, Partition, Provenance, Source};

const PIPELINE: &str = include_str!("../../../pipeline.yaml");

/// The training of run_1 with the first seed, with `--set`.
fn training(settings: &[&str]) -> Job {
    let experiment: Experiment = yaml::parse(PIPELINE, "pipeline.yaml").unwrap();
    let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
    let study = Study::resolve(&experiment, "smoke", &settings).unwrap();
    let jobs = plan(&study, "artifacts/smoke", 1).unwrap();
    let is_it =
        |job: &Job| job.stage == StageName::Train && job.run.as_deref() == Some("run_1") && job.seed == Some(1337);
    jobs.into_iter().find(is_it).unwrap()
}

/// What the job reads, with a hash for each file.
fn key(job: &Job) -> CacheKey {
    let inputs = job.inputs.iter().map(|path| (path.display().to_string(), format!("hash of {}", path.display())));
    CacheKey { inputs: inputs.collect(), ..CacheKey::default() }
}

/// Writes empty tables as the training would, made from what `key` says.
fn write(job: &Job, key: &CacheKey, root: &Path) {
    let artifacts = Artifacts::new(root);
    let sources: Vec<Source> =
        key.inputs.iter().map(|(path, blake3)| Source { path: path.clone(), blake3: blake3.clone() }).collect();
    let provenance = Provenance::new("train", 1, job.config.clone().into()).from_inputs(&sources);
    let partition = Partition::dataset("shakespeare_char").run("run_1").seed(1337);
    artifacts.write::<TrainingLog>(&partition, &provenance, &[]).unwrap();
    artifacts.write::<Evaluations>(&partition, &provenance, &[]).unwrap();
    artifacts.write::<Tracking>(&partition, &provenance, &[]).unwrap();
    artifacts.write::<Timings>(&partition.clone().stage("train"), &provenance, &[]).unwrap();
    for path in job.outputs.iter().filter(|path| path.starts_with("checkpoints")) {
        let step = path.iter().find_map(|part| part.to_str()?.strip_prefix("step=")?.parse().ok()).unwrap();
        artifacts.write::<Checkpoints>(&partition.clone().step(step), &provenance, &[]).unwrap();
    }
    artifacts.write::<Optimizer>(&partition, &provenance, &[]).unwrap();
}

fn path(job: &Job, table: &str, root: &Path) -> PathBuf {
    root.join(job.outputs.iter().find(|path| path.starts_with(table)).unwrap())
}

#[test]
fn a_training_that_is_all_there_is_complete_also_without_what_resuming_needs() {
    let folder = tempfile::tempdir().unwrap();
    let (job, root) = (training(&[]), folder.path());
    assert_eq!(find(&job, &key(&job), root), Found::Nothing);
    write(&job, &key(&job), root);
    assert_eq!(find(&job, &key(&job), root), Found::Complete);
    fs::remove_file(path(&job, "optimizer", root)).unwrap();
    assert_eq!(find(&job, &key(&job), root), Found::Complete);
}

#[test]
fn what_lacks_a_result_goes_on_only_if_it_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let (job, root) = (training(&[]), folder.path());
    write(&job, &key(&job), root);
    fs::remove_file(path(&job, "training_log", root)).unwrap();
    assert_eq!(find(&job, &key(&job), root), Found::Incomplete);
    let optimizer = path(&job, "optimizer", root);
    let mut bytes = fs::read(&optimizer).unwrap();
    bytes[20] ^= 1;
    fs::write(&optimizer, bytes).unwrap();
    assert_eq!(find(&job, &key(&job), root), Found::Other, "its optimizer is damaged");
    fs::remove_file(&optimizer).unwrap();
    assert_eq!(find(&job, &key(&job), root), Found::Other);
}

#[test]
fn a_longer_training_goes_on_from_a_shorter_one_with_the_same_schedule() {
    let folder = tempfile::tempdir().unwrap();
    let schedule = "train.lr_decay_iters=20";
    let (shorter, root) = (training(&[schedule, "train.max_iters=10"]), folder.path());
    let longer = training(&[schedule, "train.max_iters=20"]);
    write(&shorter, &key(&shorter), root);
    assert_eq!(find(&longer, &key(&longer), root), Found::Shorter);
    assert_eq!(find(&training(&["train.lr_decay_iters=30"]), &key(&longer), root), Found::Other);
    fs::remove_file(path(&shorter, "optimizer", root)).unwrap();
    assert_eq!(find(&longer, &key(&longer), root), Found::Other, "there is nothing to go on from");
}

#[test]
fn other_parameters_inputs_places_and_files_are_not_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let (job, root) = (training(&[]), folder.path());
    write(&job, &key(&job), root);
    let other = training(&["train.learning_rate=0.5"]);
    assert_eq!(find(&other, &key(&other), root), Found::Other);
    let mut text = key(&job);
    text.inputs.values_mut().next().unwrap().push('!');
    assert_eq!(find(&job, &text, root), Found::Other);
    let mut more = key(&job);
    more.inputs.insert("corpus/new".to_owned(), "hash".to_owned());
    assert_eq!(find(&job, &more, root), Found::Incomplete, "an input that no footer names");
    // The right table of another step.
    let steps: Vec<_> = job.outputs.iter().filter(|path| path.starts_with("checkpoints")).collect();
    fs::copy(root.join(steps[0]), root.join(steps[1])).unwrap();
    assert_eq!(find(&job, &key(&job), root), Found::Other);
    fs::write(root.join(steps[1]), "no table").unwrap();
    assert_eq!(find(&job, &key(&job), root), Found::Other);
}
