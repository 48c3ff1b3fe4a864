//! Jobs that failed: what each said, and what of the study there is without them.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use signal_hook::consts::{SIGABRT, SIGKILL};
use signal_hook::low_level::signal_name;

use crate::logs;
use crate::plan::Job;

/// A job that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The job's name.
    pub job: String,
    /// The exit code.
    pub code: u8,
    /// What it said.
    pub message: String,
    /// Its command, if it came to one.
    pub command: Option<String>,
}

impl Failure {
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

/// The study without what failed, for the stages that read all of it: runs that failed with every seed of every dataset are
/// left out, then datasets of which a run failed with every seed, then the seeds with which any other run failed. Says what
/// it left out; none if nothing is left.
pub(crate) fn without(study: &declarations::Study, failed: &[&Job]) -> Option<(declarations::Study, Vec<String>)> {
    let mut rest = study.clone();
    let mut missing = Vec::new();
    let lost: BTreeSet<(&str, &str, u64)> =
        failed.iter().filter_map(|job| Some((job.dataset.as_deref()?, job.run.as_deref()?, job.seed?))).collect();
    let lost_datasets: BTreeSet<&str> =
        failed.iter().filter(|job| job.run.is_none()).filter_map(|job| job.dataset.as_deref()).collect();
    rest.datasets.retain(|dataset| !lost_datasets.contains(dataset.name.as_str()));
    missing.extend(lost_datasets.iter().map(|name| (*name).to_owned()));

    let datasets = rest.datasets.clone();
    let failed_everywhere = |run: &str| {
        datasets
            .iter()
            .all(|dataset| dataset.seeds.iter().all(|seed| lost.contains(&(dataset.name.as_str(), run, *seed))))
    };
    missing.extend(rest.runs.iter().filter(|run| failed_everywhere(&run.name)).map(|run| run.name.clone()));
    rest.runs.retain(|run| !failed_everywhere(&run.name));

    let runs = rest.runs.clone();
    for dataset in &mut rest.datasets {
        let has_lost =
            |seed: &u64| runs.iter().any(|run| lost.contains(&(dataset.name.as_str(), run.name.as_str(), *seed)));
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
