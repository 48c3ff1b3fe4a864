//! The DAG of jobs: which commands there are, what each reads and writes, and so which depends on which.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use declarations::{Cost, Device, Fault, Flag, TextFacts};
use schemas::Partition;
use serde_json::{Map, Value};

use crate::jobs;
use crate::own;
use crate::stage::Stage;
use crate::study::Study;

/// The flag that names the runs for which a job's tables stand too.
const SHARED_BY: &str = "shared_by";
const THREADS: &str = "threads";

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
    pub arguments: Vec<Flag>,
    /// The tables it reads, relative to the root of the artifacts.
    pub inputs: Vec<PathBuf>,
    /// Files it reads from outside the artifacts.
    pub external_inputs: Vec<External>,
    /// What it writes, relative to the root.
    pub outputs: Vec<PathBuf>,
    /// The outputs without those that only resuming needs.
    pub results: Vec<PathBuf>,
    /// The tables that it writes, with their versions.
    pub tables: Vec<(&'static str, u32)>,
    /// The version of the stage's results.
    pub results_version: u32,
    /// The parameters that decide, as the footers of its tables have them.
    pub config: Map<String, Value>,
    /// What its declaration answers.
    pub declared: Arc<dyn Declared>,
    /// Folders that no other job writes to, relative to the root.
    pub owned_folders: Vec<PathBuf>,
    /// The jobs that write what it reads.
    pub dependencies: Vec<usize>,
    /// Jobs that do the same for other runs: the same stage with the same parameters on equal inputs.
    pub duplicates: Vec<usize>,
    /// Estimated cost.
    pub cost: Cost,
}

/// A file from outside the artifacts that a job reads.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct External {
    /// What it is to the job, among the inputs on which its outputs depend: `source` is the text.
    pub role: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Where the path was written: `datasets.my_text.source`.
    pub key: String,
}

/// What a job's declaration answers beyond its flags and files.
pub trait Declared: fmt::Debug + Send + Sync {
    /// Whether the job goes on from what one with the parameters of a footer wrote.
    fn continues(&self, earlier: &Map<String, Value>) -> bool;

    /// Refuses parameters that do not fit the dataset's text.
    ///
    /// # Errors
    /// A parameter fault that names the key.
    fn check_text(&self, text: &TextFacts) -> Result<(), Fault>;

    /// Warnings of parameters that do what hardly anyone means; more once the text is known.
    fn warnings(&self, text: Option<&TextFacts>) -> Vec<String>;
}

impl Job {
    /// The versions on which its outputs depend.
    pub(crate) fn version(&self) -> String {
        let tables = self.tables.iter().map(|(table, version)| format!("{table} {version}"));
        std::iter::once(format!("results {}", self.results_version)).chain(tables).collect::<Vec<_>>().join(", ")
    }

    /// Its partition.
    pub(crate) fn partition(&self) -> Partition {
        match (&self.dataset, &self.run, self.seed) {
            (Some(dataset), Some(run), Some(seed)) => Partition::dataset(dataset).run(run).seed(seed),
            (Some(dataset), ..) => Partition::dataset(dataset),
            _ => Partition::study(),
        }
    }

    /// Its name: stage, dataset, run and seed.
    pub fn name(&self) -> String {
        let seed = self.seed.map(|seed| seed.to_string());
        let of: Vec<&str> =
            [self.dataset.as_deref(), self.run.as_deref(), seed.as_deref()].into_iter().flatten().collect();
        format!("{} {}", self.stage, of.join("/")).trim_end().to_owned()
    }

    /// Its number of threads.
    pub(crate) fn threads(&self) -> usize {
        let threads = self.arguments.iter().find(|argument| argument.name == THREADS);
        threads.and_then(|argument| argument.value.parse().ok()).unwrap_or(1)
    }

    /// The same with so many threads.
    pub(crate) fn with_threads(mut self, threads: usize) -> Self {
        let of_threads = self.arguments.iter_mut().filter(|argument| argument.name == THREADS);
        of_threads.for_each(|argument| argument.value = threads.to_string());
        self
    }

    /// Whether it computes on a GPU.
    pub(crate) fn on_gpu(&self) -> bool {
        self.arguments.iter().any(|argument| argument.name == "device" && argument.value != Device::Cpu.to_string())
    }

    /// Adds the flags that say where and how it runs, which its outputs do not depend on.
    fn execute_with(&mut self, artifacts: &str, threads: usize) {
        let execution = |name: &str, value: String| Flag { name: name.to_owned(), value, decides: false };
        self.arguments.insert(0, execution("artifacts", artifacts.to_owned()));
        if self.stage.own().is_some() {
            own::stage_in(self, artifacts);
        }
        self.arguments.push(execution(THREADS, threads.to_string()));
    }

    /// The command line after the program.
    pub fn flags(&self) -> Vec<String> {
        let write = |Flag { name, value, .. }: &Flag| {
            let flag = format!("--{}", name.replace('_', "-"));
            match value.starts_with('-') {
                true => vec![format!("{flag}={value}")],
                false => vec![flag, value.clone()],
            }
        };
        self.arguments.iter().flat_map(write).collect()
    }

    /// The other runs for which its tables stand too.
    pub(crate) fn shared_by(&self) -> impl Iterator<Item = &str> {
        let flag = self.arguments.iter().find(|flag| flag.name == SHARED_BY);
        flag.into_iter().flat_map(|flag| flag.value.split(','))
    }

    /// The command, quoted for a shell.
    pub fn command(&self, programs: &str) -> String {
        let words = self.stage.command(programs).into_iter().chain(self.flags());
        let words: Vec<String> = words.map(|word| quote(&word)).collect();
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

/// All jobs of the study in topological order, each with so many threads as long as nothing else is decided.
///
/// # Errors
/// An invalid parameter.
pub fn plan(study: &Study, artifacts: &str, threads: usize) -> Result<Vec<Job>, Fault> {
    let mut jobs = jobs::jobs(study)?;
    let mut writers: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for (position, job) in jobs.iter().enumerate() {
        writers.extend(job.outputs.iter().map(|output| (output.clone(), position)));
    }
    for job in &mut jobs {
        let dependencies: BTreeSet<usize> = job.inputs.iter().filter_map(|input| writers.get(input).copied()).collect();
        job.dependencies = dependencies.into_iter().collect();
        job.execute_with(artifacts, threads);
    }
    find_duplicates(&mut jobs);
    share_with_takers(&mut jobs, study);
    Ok(jobs)
}

/// The jobs of the stages that read the whole study, for what there is of it.
///
/// # Errors
/// An invalid parameter.
pub(crate) fn of_study(study: &Study, rest: declarations::Study, artifacts: &str) -> Result<Vec<Job>, Fault> {
    let mut jobs = jobs::of_study(study, rest)?;
    jobs.iter_mut().for_each(|job| job.execute_with(artifacts, 1));
    Ok(jobs)
}

/// Finds jobs that do the same for different runs: of the same stage and seed, with the same parameters, after jobs that do the
/// same. Stages are deterministic, so their tables are equal but for the run in their paths.
fn find_duplicates(jobs: &mut [Job]) {
    /// What decides what a job does: its stage, its flags but the run, the jobs before it, and files from outside.
    type Work = (Stage, Vec<Flag>, Vec<usize>, Vec<External>);
    let mut groups: BTreeMap<Work, Vec<usize>> = BTreeMap::new();
    // The first job that does the same as each one.
    let mut first: Vec<usize> = Vec::new();
    for (position, job) in jobs.iter().enumerate() {
        first.push(position);
        // A command of the user's may write what it likes of its run.
        if job.stage.own().is_some() {
            continue;
        }
        let except_run = job.arguments.iter().filter(|flag| flag.decides && flag.name != "run").cloned().collect();
        let after = job.dependencies.iter().map(|dependency| first[*dependency]).collect();
        let group = groups.entry((job.stage.clone(), except_run, after, job.external_inputs.clone())).or_default();
        group.push(position);
        first[position] = group[0];
    }
    for group in groups.into_values().filter(|group| group.len() > 1) {
        let runs: Vec<String> = group.iter().filter_map(|position| jobs[*position].run.clone()).collect();
        for &position in &group {
            let job = &mut jobs[position];
            let others: Vec<String> = runs.iter().filter(|run| Some(*run) != job.run.as_ref()).cloned().collect();
            job.arguments.push(Flag { name: SHARED_BY.to_owned(), value: others.join(","), decides: false });
            job.duplicates = group.iter().copied().filter(|duplicate| *duplicate != position).collect();
        }
    }
}

/// Trainings stand also for runs that take them with other seeds, so that one seed's folder can be merged into another's.
fn share_with_takers(jobs: &mut [Job], study: &Study) {
    for run in study.datasets.iter().flat_map(|dataset| &dataset.runs) {
        let Some(taken) = &run.trained_as else { continue };
        let is_taken = |job: &&mut Job| job.stage.trains() && job.run.as_ref() == Some(&taken.run);
        for job in jobs.iter_mut().filter(is_taken) {
            match job.arguments.iter_mut().find(|flag| flag.name == SHARED_BY) {
                Some(flag) if flag.value.split(',').any(|name| *name == run.name) => {}
                Some(flag) => flag.value += &format!(",{}", run.name),
                None => {
                    let value = run.name.clone();
                    job.arguments.push(Flag { name: SHARED_BY.to_owned(), value, decides: false });
                }
            }
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
