//! The DAG of jobs: which commands there are, what each reads and writes, and so which depends on which.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::cost::{self, Cost};
use crate::jobs;
use crate::study::Study;

/// A stage of the pipeline, in the order in which they run.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub enum Stage {
    /// Encodes the text.
    Prep,
    /// Trains.
    Train,
    /// Extracts attention from checkpoints.
    Snapshot,
    /// Computes metrics of attention.
    Metrics,
    /// Samples text.
    Generate,
    /// Tests the study's claims.
    Correlate,
    /// Draws.
    Plot,
}

impl Stage {
    /// The stage's name, which is its program's.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Prep => "prep",
            Stage::Train => "train",
            Stage::Snapshot => "snapshot",
            Stage::Metrics => "metrics",
            Stage::Generate => "generate",
            Stage::Correlate => "correlate",
            Stage::Plot => "plot",
        }
    }

    /// Whether it has one job, which reads the whole study.
    pub fn whole_study(self) -> bool {
        matches!(self, Stage::Correlate | Stage::Plot)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The flag by which a training is copied from that of another run.
const SAME_AS: &str = "same_as";

/// A flag and its value.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Argument {
    /// The flag without its dashes.
    pub flag: String,
    /// Its value.
    pub value: String,
}

impl Argument {
    /// Whether outputs depend on it: on folders, threads and the way a training is obtained they do not.
    pub fn affects_outputs(&self) -> bool {
        !matches!(self.flag.as_str(), "artifacts" | "threads" | "data" | SAME_AS)
    }
}

/// One command of the pipeline.
#[derive(Clone, Debug)]
pub struct Job {
    /// The stage.
    pub stage: Stage,
    /// The dataset, unless it reads the whole study.
    pub dataset: Option<String>,
    /// The run, if it belongs to one.
    pub run: Option<String>,
    /// The seed, if it belongs to one.
    pub seed: Option<u64>,
    /// Its flags, in the order in which they are written.
    pub arguments: Vec<Argument>,
    /// The tables it reads, relative to the root of the artifacts.
    pub inputs: Vec<PathBuf>,
    /// Files it reads from outside the artifacts.
    pub external_inputs: Vec<PathBuf>,
    /// What it writes, relative to the root.
    pub outputs: Vec<PathBuf>,
    /// Folders that no other job writes to, relative to the root.
    pub owned_folders: Vec<PathBuf>,
    /// The jobs that write what it reads.
    pub dependencies: Vec<usize>,
    /// Jobs that train the same model on the same data with the same seed, for other runs.
    pub duplicates: Vec<usize>,
    /// Estimated cost.
    pub cost: Cost,
}

impl Job {
    /// Its name: stage, dataset, run and seed.
    pub fn name(&self) -> String {
        let seed = self.seed.map(|seed| seed.to_string());
        let of: Vec<&str> =
            [self.dataset.as_deref(), self.run.as_deref(), seed.as_deref()].into_iter().flatten().collect();
        format!("{} {}", self.stage, of.join("/")).trim_end().to_owned()
    }

    /// The job that copies the training of another run in place of computing it. It writes the same.
    pub(crate) fn duplicate_of(&self, run: &str) -> Job {
        let mut job = self.clone();
        job.cost = cost::copy(job.cost);
        job.arguments.push(Argument { flag: SAME_AS.to_owned(), value: run.to_owned() });
        job
    }

    /// Whether it copies the training of another run.
    pub(crate) fn is_duplicate(&self) -> bool {
        self.arguments.iter().any(|argument| argument.flag == SAME_AS)
    }

    /// Its number of threads.
    pub(crate) fn threads(&self) -> usize {
        let said = self.arguments.iter().find(|argument| argument.flag == "threads");
        said.and_then(|argument| argument.value.parse().ok()).unwrap_or(1)
    }

    /// The command line after the program.
    pub fn flags(&self) -> Vec<String> {
        let write = |argument: &Argument| {
            let Argument { flag, value } = argument;
            let flag = format!("--{}", flag.replace('_', "-"));
            match value.starts_with('-') {
                true => vec![format!("{flag}={value}")],
                false => vec![flag, value.clone()],
            }
        };
        self.arguments.iter().flat_map(write).collect()
    }

    /// The command as a person pastes it in a shell.
    pub fn command(&self, programs: &str) -> String {
        let program = Path::new(programs).join(self.stage.name()).display().to_string();
        let words: Vec<String> = std::iter::once(program).chain(self.flags()).map(|word| quote(&word)).collect();
        words.join(" ")
    }
}

/// A word that a POSIX shell reads as itself.
pub(crate) fn quote(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "_@%+=:,./-".contains(character);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Threads per job.
#[derive(Clone, Copy, Debug)]
pub struct Threads {
    /// Of a job that runs beside others.
    pub shared: usize,
    /// Of a job that runs alone.
    pub alone: usize,
}

/// All jobs of the study in topological order.
pub fn plan(study: &Study, artifacts: &str, threads: Threads) -> Vec<Job> {
    let mut jobs: Vec<Job> = study.datasets.iter().map(|dataset| jobs::prep(study, dataset)).collect();
    for training in jobs::trainings(study) {
        jobs.push(jobs::train(&training));
        if training.run.snapshots {
            jobs.push(jobs::snapshot(&training));
            jobs.push(jobs::metrics(&training));
        }
        jobs.push(jobs::generate(&training));
    }
    jobs.push(jobs::correlate(study));
    jobs.push(jobs::plot(study));

    let mut writers: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for (position, job) in jobs.iter().enumerate() {
        writers.extend(job.outputs.iter().map(|output| (output.clone(), position)));
    }
    for job in &mut jobs {
        let dependencies: BTreeSet<usize> = job.inputs.iter().filter_map(|input| writers.get(input).copied()).collect();
        job.dependencies = dependencies.into_iter().collect();
        let artifacts = Argument { flag: "artifacts".to_owned(), value: artifacts.to_owned() };
        job.arguments.insert(0, artifacts);
        let threads = match job.stage {
            // It is single-threaded and has no such flag.
            Stage::Plot => continue,
            Stage::Correlate => threads.alone,
            _ => threads.shared,
        };
        job.arguments.push(Argument { flag: "threads".to_owned(), value: threads.to_string() });
    }
    link_duplicates(&mut jobs);
    jobs
}

/// Links trainings that differ only in the run's name.
fn link_duplicates(jobs: &mut [Job]) {
    let mut alike: BTreeMap<Vec<Argument>, Vec<usize>> = BTreeMap::new();
    for (position, job) in jobs.iter().enumerate().filter(|(_, job)| job.stage == Stage::Train) {
        let except_run = job.arguments.iter().filter(|argument| argument.flag != "run").cloned();
        alike.entry(except_run.collect()).or_default().push(position);
    }
    for duplicates in alike.values() {
        for &position in duplicates {
            jobs[position].duplicates = duplicates.iter().copied().filter(|duplicate| *duplicate != position).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn a_quoted_word_is_one_word_of_the_shell() {
        assert_eq!(quote("0,50,100-2000/100"), "0,50,100-2000/100");
        assert_eq!(quote("Generation quality"), "'Generation quality'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("\n"), "'\n'");
    }
}
