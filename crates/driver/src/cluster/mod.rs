//! `--executor slurm`: the study on a cluster.

mod arrays;
mod config;
mod coordinator;
mod journal;
#[cfg(test)]
mod mock;
mod request;
mod run;
mod slurm;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::runner::Runner;

pub use config::{ClusterConfig, Resources};
pub(crate) use journal::Journal;
pub(crate) use run::take_over;

/// What the task of an active job wrote, beside the job's own log.
pub(crate) fn log(root: &Path, job: &str) -> Option<PathBuf> {
    let journal = Journal::read(root).ok()?;
    let (key, index) = *journal.active().get(job)?;
    slurm::Slurm::new(root.join(FOLDER), None, std::time::Duration::ZERO, &journal)
        .log(&journal.arrays.get(&key)?.name, index)
}

/// Where the scripts and the journal are, below the root of the artifacts.
pub(crate) const FOLDER: &str = ".slurm";
