//! What was submitted to a cluster from a folder: written before it is submitted, so that a driver that is killed at any moment
//! finds by the arrays' names what there is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use declarations::Fault;
use schemas::Artifacts;
use serde::{Deserialize, Serialize};

use super::FOLDER;
use crate::runner::After;

const FILE: &str = "journal.json";

/// The arrays that were submitted and not all of whose tasks have ended.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Journal {
    /// The arrays, by key.
    pub(crate) arrays: BTreeMap<usize, Submitted>,
    /// How often each job was started again.
    #[serde(default)]
    pub(crate) retries: BTreeMap<String, u32>,
    /// A hash of what the jobs are.
    #[serde(default)]
    pub(crate) plan: String,
    /// The key of the next array.
    #[serde(default)]
    pub(crate) next_key: usize,
}

/// An array that was submitted, or is about to be.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Submitted {
    /// Its name, which no other array has.
    pub(crate) name: String,
    /// The cluster's id; none until the cluster has told it. An id can be given to another array if the controller crashes.
    pub(crate) id: Option<String>,
    /// When it was submitted, in seconds since the Unix epoch.
    pub(crate) since: u64,
    /// The tasks that have not ended.
    pub(crate) tasks: BTreeMap<u32, Task>,
    /// What it waits for.
    pub(crate) after: Vec<After>,
    /// What each task needs.
    pub(crate) request: Vec<String>,
}

/// A task that has not ended.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Task {
    /// The names of its jobs.
    pub(crate) jobs: Vec<String>,
    /// Whether it runs; otherwise it waits.
    pub(crate) runs: bool,
}

impl Journal {
    /// That of a folder of artifacts; an empty one if there is none.
    ///
    /// # Errors
    /// It cannot be read: what was submitted is then unknown, and is not to be submitted again.
    pub(crate) fn read(root: &Path) -> Result<Self, Fault> {
        let path = path(root);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Fault::input(format!("cannot read {}: {error}", path.display()))),
        };
        serde_json::from_slice(&text).map_err(|error| {
            Fault::input(format!(
                "{} is damaged ({error}), so it is not known which jobs are on the cluster: end them by scancel, and remove {}",
                path.display(),
                root.join(FOLDER).display()
            ))
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// It cannot be written; then nothing may be submitted.
    pub(crate) fn write(&self, root: &Path) -> Result<(), Fault> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| Fault::bug(error.to_string()))?;
        Ok(Artifacts::new(root).write_file(Path::new(FOLDER).join(FILE), &text)?)
    }

    /// Whether any task has not ended.
    pub(crate) fn is_active(&self) -> bool {
        self.arrays.values().any(|array| !array.tasks.is_empty())
    }

    /// The jobs of tasks that have not ended, by name, with their array and index.
    pub(crate) fn active(&self) -> BTreeMap<&str, (usize, u32)> {
        let tasks = self.arrays.iter().flat_map(|(key, array)| array.tasks.iter().map(move |task| (*key, task)));
        tasks.flat_map(|(key, (index, task))| task.jobs.iter().map(move |job| (job.as_str(), (key, *index)))).collect()
    }

    /// Whether a job is in a task that runs.
    pub(crate) fn runs(&self, job: &str) -> bool {
        let mut tasks = self.arrays.values().flat_map(|array| array.tasks.values());
        tasks.any(|task| task.runs && task.jobs.iter().any(|name| name == job))
    }

    /// How many tasks run and wait.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let tasks = || self.arrays.values().flat_map(|array| array.tasks.values());
        (tasks().filter(|task| task.runs).count(), tasks().filter(|task| !task.runs).count())
    }
}

fn path(root: &Path) -> PathBuf {
    root.join(FOLDER).join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_submitted_is_read_again_and_damage_is_no_empty_journal() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Journal::read(folder.path()).unwrap(), Journal::default());
        let task = Task { jobs: vec!["train a/b/1".into(), "train a/c/1".into()], runs: true };
        let array = Submitted { name: "train-1".into(), tasks: [(4, task)].into(), ..Submitted::default() };
        let journal = Journal { arrays: [(7, array)].into(), next_key: 8, ..Journal::default() };
        journal.write(folder.path()).unwrap();
        let read = Journal::read(folder.path()).unwrap();
        assert_eq!(read, journal);
        assert_eq!(read.active()["train a/c/1"], (7, 4));
        assert_eq!((read.is_active(), read.counts(), read.runs("train a/b/1")), (true, (1, 0), true));
        fs::write(path(folder.path()), "{").unwrap();
        assert!(Journal::read(folder.path()).unwrap_err().to_string().contains("end them by scancel"));
    }
}
