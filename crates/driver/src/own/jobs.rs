//! The jobs of the user's own stages, from what the stages before them write.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use declarations::{Cost, Fault, Flag, Per, TextFacts};
use schemas::{Key, Partition};
use serde_json::{Map, Value};

use super::OwnStage;
use super::config::Parameters;
use crate::plan::{Declared, Job};
use crate::stage::Stage;
use crate::study::Study;

/// What a parameter of this name says does not affect the results: where tensors are computed.
const DEVICE: &str = "device";

/// Adds the jobs of the user's own stages to those of the pipeline.
///
/// # Errors
/// A run that a stage names does not write what the stage reads.
pub(crate) fn jobs(study: &Study, jobs: &mut Vec<Job>) -> Result<(), Fault> {
    if study.own_stages.is_empty() {
        return Ok(());
    }
    let mut written = Written::default();
    jobs.iter().for_each(|job| written.add(job));
    for stage in &study.own_stages {
        let added = of_stage(study, stage, &written)?;
        added.iter().for_each(|job| written.add(job));
        jobs.extend(added);
    }
    Ok(())
}

fn of_stage(study: &Study, stage: &Arc<OwnStage>, written: &Written) -> Result<Vec<Job>, Fault> {
    let mut jobs = Vec::new();
    if stage.per == Per::Study {
        jobs.extend(job(stage, &Partition::study(), &study.own, written).ok());
    }
    for dataset in study.datasets.iter().filter(|_| stage.per != Per::Study) {
        let partition = Partition::dataset(&dataset.name);
        if stage.per == Per::Dataset {
            jobs.extend(job(stage, &partition, &dataset.own, written).ok());
            continue;
        }
        let is_read = |run: &str| stage.runs.as_ref().is_none_or(|runs| runs.iter().any(|name| name == run));
        for &seed in &dataset.seeds {
            for run in dataset.runs.iter().filter(|run| is_read(&run.name)) {
                match job(stage, &partition.clone().run(&run.name).seed(seed), &run.own, written) {
                    Ok(job) => jobs.push(job),
                    Err(table) if stage.runs.is_some() => {
                        let place = study.origin.place_of(&["own_stages", &stage.name, "runs"]);
                        let said = format!("{place}: {} does not write `{table}`, which the stage reads", run.name);
                        return Err(Fault::parameter(said));
                    }
                    Err(_) => {}
                }
            }
        }
    }
    Ok(jobs)
}

/// The job for a partition, or a table that it would read and of which nothing is written.
fn job(stage: &Arc<OwnStage>, partition: &Partition, own: &Parameters, written: &Written) -> Result<Job, String> {
    let mut inputs = Vec::new();
    for table in &stage.reads {
        let files = written.files(table, partition, stage.runs.as_deref());
        if files.is_empty() {
            return Err(table.clone());
        }
        inputs.extend(files);
    }
    let keys = [Key::Dataset, Key::Run, Key::Seed].into_iter().filter_map(|key| Some((key, partition.value(key)?)));
    let folder = |above: &[&str]| -> PathBuf {
        let of = keys.clone().map(|(key, value)| format!("{key}={value}"));
        above.iter().map(|name| (*name).to_owned()).chain(of).collect()
    };
    let mut results: Vec<PathBuf> =
        stage.tables.iter().map(|table| folder(&[table]).join(format!("{table}.parquet"))).collect();
    let mut owned_folders: Vec<PathBuf> = stage.tables.iter().map(|table| folder(&[table])).collect();
    if !stage.files.is_empty() {
        let place = folder(&["files", &stage.name]);
        results.extend(stage.files.iter().map(|file| place.join(file)));
        owned_folders.push(place);
    }
    let parameters = own.of(&stage.name).filter_map(|(name, value)| {
        Some(Flag { name: name.clone(), value: value.argument()?, decides: name != DEVICE })
    });
    let keys = keys.clone().map(|(key, value)| Flag { name: key.to_string(), value, decides: true });
    let small = Cost::small();
    Ok(Job {
        stage: Stage::Own(Arc::clone(stage)),
        dataset: partition.value(Key::Dataset),
        run: partition.value(Key::Run),
        seed: partition.value(Key::Seed).and_then(|seed| seed.parse().ok()),
        arguments: keys.chain(parameters).collect(),
        inputs,
        external_inputs: Vec::new(),
        outputs: results.clone(),
        results,
        tables: Vec::new(),
        results_version: stage.version,
        config: Map::new(),
        declared: Arc::new(Anything),
        owned_folders,
        dependencies: Vec::new(),
        duplicates: Vec::new(),
        cost: Cost { memory: stage.memory.unwrap_or(small.memory), ..small },
    })
}

/// A job for what there is of its inputs after some of them were lost; none if a table is lost altogether.
pub(crate) fn without(job: &Job, is_lost: impl Fn(&Path) -> bool) -> Option<Job> {
    let mut rest = job.clone();
    rest.inputs.retain(|path| !is_lost(path));
    let tables = |job: &Job| job.inputs.iter().filter_map(|path| path.iter().next().map(ToOwned::to_owned)).collect();
    let (before, after): (BTreeSet<_>, BTreeSet<_>) = (tables(job), tables(&rest));
    (before == after).then_some(rest)
}

/// A dataset, a run and a seed, as far as a file is of one.
type Of = (Option<String>, Option<String>, Option<String>);

/// The files of every table that the stages so far write.
#[derive(Default)]
struct Written(BTreeMap<String, BTreeMap<Of, Vec<PathBuf>>>);

impl Written {
    /// Adds the tables of a job.
    fn add(&mut self, job: &Job) {
        for path in job.results.iter().filter(|path| path.extension().is_some_and(|word| word == "parquet")) {
            let words: Vec<_> = path.iter().map(|word| word.to_string_lossy()).collect();
            let value = |key: Key| {
                let start = format!("{key}=");
                words.iter().find_map(|word| word.strip_prefix(&start).map(str::to_owned))
            };
            let of = (value(Key::Dataset), value(Key::Run), value(Key::Seed));
            let table = words.first().map(|word| word.clone().into_owned()).unwrap_or_default();
            self.0.entry(table).or_default().entry(of).or_default().push(path.clone());
        }
    }

    /// The files of a table that belong to what a partition covers: those above it, its own, and those below it.
    fn files(&self, table: &str, partition: &Partition, runs: Option<&[String]>) -> Vec<PathBuf> {
        let Some(files) = self.0.get(table) else { return Vec::new() };
        let [dataset, run, seed] = [Key::Dataset, Key::Run, Key::Seed].map(|key| partition.value(key));
        if seed.is_some() {
            // Looked up, since there can be many trainings.
            let of = [
                (None, None, None),
                (dataset.clone(), None, None),
                (dataset.clone(), run.clone(), None),
                (dataset, run, seed),
            ];
            return of.iter().filter_map(|of| files.get(of)).flatten().cloned().collect();
        }
        let belongs = |(of_dataset, of_run, _): &Of| {
            let is_of_dataset = dataset.is_none() || of_dataset.is_none() || *of_dataset == dataset;
            let is_read = runs.zip(of_run.as_ref()).is_none_or(|(runs, run)| runs.contains(run));
            is_of_dataset && is_read
        };
        files.iter().filter(|(of, _)| belongs(of)).flat_map(|(_, files)| files).cloned().collect()
    }
}

/// What a stage of which nothing is known but its files answers.
#[derive(Debug)]
struct Anything;

impl Declared for Anything {
    fn continues(&self, _earlier: &Map<String, Value>) -> bool {
        false
    }

    fn check_text(&self, _text: &TextFacts) -> Result<(), Fault> {
        Ok(())
    }

    fn warnings(&self, _text: Option<&TextFacts>) -> Vec<String> {
        Vec::new()
    }
}
