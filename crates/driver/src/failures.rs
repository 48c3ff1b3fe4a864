//! Jobs that failed: what each said, and what of the study there is without them.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use declarations::Fault;
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGABRT, SIGKILL};
use signal_hook::low_level::signal_name;

use crate::logs;
use crate::plan::Job;

/// A job that failed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Failure {
    /// The job's name.
    pub job: String,
    /// The exit code.
    pub code: u8,
    /// What it said.
    pub message: String,
    /// Its command, if it came to one.
    pub command: Option<String>,
    /// Whether it was killed by a signal, or stopped: then it may end well if it is started again.
    #[serde(default)]
    pub killed: bool,
}

impl Failure {
    /// That of a job which the driver cannot run.
    pub(crate) fn of(job: &Job, fault: &Fault) -> Self {
        Self { job: job.name(), code: fault.kind().code(), message: fault.to_string(), command: None, killed: false }
    }

    /// The failure for the list at the end of a run: message, command and log.
    pub(crate) fn describe(&self, root: &Path) -> String {
        let log = logs::path(root, &self.job);
        let command = self.command.iter().map(|command| format!("\n  command: {command}"));
        let log = log.exists().then(|| format!("\n  log: {}", log.display()));
        format!("✗ {}: {}{}", self.job, self.message, command.chain(log).collect::<String>())
    }
}

/// The exit code and the message for a stage that failed with `error` while up to `parallel` jobs ran at once.
pub(crate) fn explain(status: ExitStatus, error: Option<String>, parallel: usize) -> (u8, String) {
    match (status.code(), status.signal()) {
        (Some(code @ 1..=3), _) => {
            let code = u8::try_from(code).unwrap_or(1);
            (code, error.unwrap_or_else(|| format!("exited with code {code}")))
        }
        // A training that saved and stopped when somebody else asked it to.
        (Some(code @ (130 | 143)), _) => {
            let code = u8::try_from(code).unwrap_or(1);
            (code, error.unwrap_or_else(|| format!("stopped (exit code {code})")))
        }
        (Some(code), _) => (1, error.unwrap_or_else(|| format!("exited with code {code}: internal error (bug)"))),
        // The out-of-memory killer sends SIGKILL; a Rust program that cannot allocate aborts.
        (None, Some(signal @ (SIGKILL | SIGABRT))) => {
            let name = signal_name(signal).unwrap_or_default();
            let fewer = if parallel > 1 { "--jobs 1, or " } else { "" };
            (3, format!("killed ({name}), probably out of memory: try {fewer}a smaller model or batch"))
        }
        (None, signal) => {
            let signal = signal.unwrap_or_default();
            let name = signal_name(signal).map_or_else(|| format!("signal {signal}"), str::to_owned);
            (1, format!("killed ({name})"))
        }
    }
}

/// The same for a command of the user's own, whose exit codes mean what they like: `last` is the last line that it wrote.
pub(crate) fn explain_own(status: ExitStatus, last: Option<String>, parallel: usize) -> (u8, String) {
    let said = |code: i32| match &last {
        Some(last) => format!("exited with code {code}: {last}"),
        None => format!("exited with code {code}"),
    };
    match status.code() {
        // As a shell and Python say it.
        Some(code @ (130 | 143)) => (u8::try_from(code).unwrap_or(1), format!("stopped (exit code {code})")),
        Some(2) => (2, said(2)),
        Some(code) => (3, said(code)),
        None => explain(status, None, parallel),
    }
}

/// What a failed job leaves without results: its training or, for `prep`, its dataset.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Lost {
    /// The dataset.
    pub(crate) dataset: String,
    /// The run and the seed, if it is of one training.
    pub(crate) training: Option<(String, u64)>,
}

impl Lost {
    /// That of a job; none if it reads the whole study, or is of a stage of the user's own, without which there are results.
    pub(crate) fn of(job: &Job) -> Option<Self> {
        if job.stage.own().is_some() {
            return None;
        }
        Some(Self { dataset: job.dataset.clone()?, training: job.run.clone().zip(job.seed) })
    }
}

/// The study without what failed, for the stages that read all of it: runs that failed with every seed of every dataset are
/// left out, then datasets of which a run failed with every seed, then the seeds with which any other run failed. Says what
/// it left out; none if nothing is left.
pub(crate) fn without(study: &declarations::Study, lost: &[Lost]) -> Option<(declarations::Study, Vec<String>)> {
    let mut rest = study.clone();
    let mut missing = Vec::new();
    let is_lost = |dataset: &str, training: Option<(&str, u64)>| {
        lost.iter().any(|lost| {
            lost.dataset == dataset && lost.training.as_ref().map(|(run, seed)| (run.as_str(), *seed)) == training
        })
    };
    let lost_training = |dataset: &str, run: &str, seed: u64| is_lost(dataset, Some((run, seed)));
    missing.extend(rest.datasets.iter().map(|dataset| dataset.name.clone()).filter(|name| is_lost(name, None)));
    rest.datasets.retain(|dataset| !is_lost(&dataset.name, None));

    let datasets = rest.datasets.clone();
    let failed_everywhere = |run: &str| {
        !datasets.is_empty()
            && datasets.iter().all(|dataset| dataset.seeds.iter().all(|seed| lost_training(&dataset.name, run, *seed)))
    };
    missing.extend(rest.runs.iter().filter(|run| failed_everywhere(&run.name)).map(|run| run.name.clone()));
    rest.runs.retain(|run| !failed_everywhere(&run.name));

    let runs = rest.runs.clone();
    for dataset in &mut rest.datasets {
        let has_lost = |seed: &u64| runs.iter().any(|run| lost_training(&dataset.name, &run.name, *seed));
        let (gone, kept): (Vec<u64>, Vec<u64>) = dataset.seeds.iter().partition(|seed| has_lost(seed));
        match kept.is_empty() {
            true => missing.push(dataset.name.clone()),
            false => missing.extend(gone.iter().map(|seed| format!("seed {seed} of {}", dataset.name))),
        }
        dataset.seeds = kept;
    }
    rest.datasets.retain(|dataset| !dataset.seeds.is_empty());
    rest.missing.clone_from(&missing);
    (!rest.datasets.is_empty() && !rest.runs.is_empty()).then_some((rest, missing))
}

#[cfg(test)]
mod tests {
    use declarations::{StudyDataset, StudyRun};

    use super::*;

    /// Two datasets with two seeds, two runs.
    fn study() -> declarations::Study {
        let dataset = |name: &str| StudyDataset {
            name: name.to_owned(),
            seeds: vec![1, 2],
            steps: [0, 10].into_iter().collect(),
            eval_interval: 5,
        };
        let run = |name: &str| StudyRun { name: name.to_owned(), label: String::new(), parts: vec![] };
        declarations::Study {
            datasets: ["one", "two"].map(dataset).to_vec(),
            runs: ["run_0", "run_1"].map(run).to_vec(),
            missing: vec![],
        }
    }

    /// What is left without failed trainings, as datasets with their seeds and as runs; and what is missing.
    fn rest(failed: &[(&str, Option<(&str, u64)>)]) -> Option<(Vec<String>, Vec<String>)> {
        let lost: Vec<Lost> = failed
            .iter()
            .map(|(dataset, training)| Lost {
                dataset: (*dataset).to_owned(),
                training: training.map(|(run, seed)| (run.to_owned(), seed)),
            })
            .collect();
        let (rest, missing) = without(&study(), &lost)?;
        assert_eq!(rest.missing, missing);
        let datasets = rest.datasets.iter().map(|dataset| format!("{} {:?}", dataset.name, dataset.seeds));
        Some((datasets.chain(rest.runs.iter().map(|run| run.name.clone())).collect(), missing))
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn as_little_as_possible_is_left_out() {
        let all = words(&["one [1, 2]", "two [1, 2]", "run_0", "run_1"]);
        assert_eq!(rest(&[]), Some((all, vec![])));
        let of_one = ("one", Some(("run_1", 2)));
        let seed = words(&["one [1]", "two [1, 2]", "run_0", "run_1"]);
        assert_eq!(rest(&[of_one]), Some((seed, words(&["seed 2 of one"]))));
        let both = [of_one, ("one", Some(("run_1", 1)))];
        let dataset = words(&["two [1, 2]", "run_0", "run_1"]);
        assert_eq!(rest(&both), Some((dataset.clone(), words(&["one"]))));
        assert_eq!(rest(&[("one", None)]), Some((dataset, words(&["one"]))));
        let everywhere = [1, 2].map(|seed| ("two", Some(("run_1", seed))));
        let run = words(&["one [1, 2]", "two [1, 2]", "run_0"]);
        assert_eq!(rest(&[&both[..], &everywhere].concat()), Some((run, words(&["run_1"]))));
    }

    #[test]
    fn of_nothing_there_are_no_results() {
        assert_eq!(rest(&[("one", None), ("two", None)]), None);
    }
}
