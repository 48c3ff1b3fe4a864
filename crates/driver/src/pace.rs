//! Estimates of how long jobs take, from those that were measured.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::plan::Job;
use crate::stage::Stage;

/// A duration of so many seconds, which may be negative or too large for one.
pub(crate) fn from_seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

/// A stage, and its run if it has one.
type StageOfRun = (Stage, Option<String>);

/// The ratio of measured to estimated seconds, for each stage and run.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    measured: BTreeMap<StageOfRun, Measured>,
}

#[derive(Clone, Debug, Default)]
struct Measured {
    seconds: f64,
    expected: f64,
}

impl Pace {
    /// Adds an execution of a job: its time, and the seconds that it was estimated to take.
    pub fn add(&mut self, job: &Job, wall: Duration, estimate: f64) {
        let measured = self.measured.entry((job.stage.clone(), job.run.clone())).or_default();
        measured.seconds += wall.as_secs_f64();
        measured.expected += estimate;
    }

    /// The estimated seconds of a job, scaled by the ratio of its stage and run, else of its stage, else of all jobs; none
    /// before any was measured.
    pub fn seconds(&self, job: &Job) -> Option<f64> {
        let scaled = |is_alike: &dyn Fn(&StageOfRun) -> bool| {
            let alike = || self.measured.iter().filter(|(key, _)| is_alike(key)).map(|(_, measured)| measured);
            let seconds: f64 = alike().map(|measured| measured.seconds).sum();
            let expected: f64 = alike().map(|measured| measured.expected).sum();
            (expected > 0.0).then(|| job.cost.seconds * seconds / expected)
        };
        scaled(&|(stage, run)| (stage, run) == (&job.stage, &job.run))
            .or_else(|| scaled(&|(stage, _)| *stage == job.stage))
            .or_else(|| scaled(&|_| true))
    }
}
