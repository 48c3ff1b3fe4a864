//! How far running jobs are, as the driver tells `status`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use schemas::Artifacts;
use serde::{Deserialize, Serialize};

const FILE: &str = ".progress.json";
/// How often the progress is written.
pub(crate) const INTERVAL: Duration = Duration::from_secs(2);

/// How far a job is, as it says itself.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Progress {
    /// What it does.
    pub label: String,
    /// Units done.
    pub done: u64,
    /// All units.
    pub total: u64,
    /// A current value, such as the loss.
    pub note: String,
}

impl Progress {
    /// From 0 to 1.
    pub fn fraction(&self) -> f64 {
        self.done as f64 / self.total.max(1) as f64
    }
}

/// The progress of a run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Report {
    /// The jobs that are done, and all selected ones.
    pub jobs: (usize, usize),
    /// The estimated seconds until all are.
    pub seconds_left: Option<f64>,
    /// Each running job with the seconds since its start.
    pub running: BTreeMap<String, (Progress, f64)>,
}

/// Writes the progress. It is for people who look, so what cannot be written is left out.
pub(crate) fn write(
    root: &Path,
    done: usize,
    selected: usize,
    left: Option<Duration>,
    running: impl Iterator<Item = (String, Progress, Duration)>,
) {
    let report = Report {
        jobs: (done, selected),
        seconds_left: left.map(|left| left.as_secs_f64()),
        running: running.map(|(job, progress, time)| (job, (progress, time.as_secs_f64()))).collect(),
    };
    let text = serde_json::to_vec(&report).expect("plain data serialises");
    let _ = Artifacts::new(root).write_file(FILE, &text);
}

/// Removes the progress: nothing runs.
pub(crate) fn clear(root: &Path) {
    let _ = fs::remove_file(root.join(FILE));
}

/// Reads the progress of the run that is going on, if one is.
pub fn read(root: &Path) -> Option<Report> {
    serde_json::from_slice(&fs::read(root.join(FILE)).ok()?).ok()
}
