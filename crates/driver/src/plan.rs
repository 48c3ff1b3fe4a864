//! The DAG of jobs: which commands there are, what each reads and writes, and so which depends on which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use declarations::{Cost, Fault, Flag, StageName};

use crate::jobs;
use crate::study::Study;

/// The flag by which a training is copied from that of another run.
const SAME_AS: &str = "same_as";

/// One command of the pipeline.
#[derive(Clone, Debug)]
pub struct Job {
    /// The stage.
    pub stage: StageName,
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

    /// The job that copies the training of another run instead of computing it, with the same outputs.
    pub(crate) fn duplicate_of(&self, run: &str) -> Job {
        let mut job = self.clone();
        job.cost = job.cost.of_a_copy();
        job.arguments.push(Flag { name: SAME_AS.to_owned(), value: run.to_owned(), decides: false });
        job
    }

    /// Whether it copies the training of another run.
    pub(crate) fn is_duplicate(&self) -> bool {
        self.arguments.iter().any(|argument| argument.name == SAME_AS)
    }

    /// Its number of threads.
    pub(crate) fn threads(&self) -> usize {
        let threads = self.arguments.iter().find(|argument| argument.name == "threads");
        threads.and_then(|argument| argument.value.parse().ok()).unwrap_or(1)
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

    /// The command, quoted for a shell.
    pub fn command(&self, programs: &str) -> String {
        let program = Path::new(programs).join(self.stage.word()).display().to_string();
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
///
/// # Errors
/// An invalid parameter.
pub fn plan(study: &Study, artifacts: &str, threads: Threads) -> Result<Vec<Job>, Fault> {
    let mut jobs = jobs::jobs(study)?;
    let mut writers: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for (position, job) in jobs.iter().enumerate() {
        writers.extend(job.outputs.iter().map(|output| (output.clone(), position)));
    }
    let execution = |name: &str, value: String| Flag { name: name.to_owned(), value, decides: false };
    for job in &mut jobs {
        let dependencies: BTreeSet<usize> = job.inputs.iter().filter_map(|input| writers.get(input).copied()).collect();
        job.dependencies = dependencies.into_iter().collect();
        let threads = if job.stage.whole_study() { threads.alone } else { threads.shared };
        job.arguments.insert(0, execution("artifacts", artifacts.to_owned()));
        job.arguments.push(execution("threads", threads.to_string()));
    }
    link_duplicates(&mut jobs);
    Ok(jobs)
}

/// Links trainings that differ only in the run's name.
fn link_duplicates(jobs: &mut [Job]) {
    let mut alike: BTreeMap<Vec<Flag>, Vec<usize>> = BTreeMap::new();
    for (position, job) in jobs.iter().enumerate().filter(|(_, job)| job.stage == StageName::Train) {
        let except_run = job.arguments.iter().filter(|argument| argument.name != "run").cloned();
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
