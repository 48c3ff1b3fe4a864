//! How long the rest will take, from what was measured so far.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::plan::{Job, Stage};

/// So many seconds; what no clock can show is the longest span of all.
pub(crate) fn span(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

/// A stage, and the run that it works for where it works for one.
type StageOfRun = (Stage, Option<String>);

/// What jobs cost: the seconds of those that ended; for the others, what they should cost.
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
    /// A job took so long.
    pub fn learn(&mut self, job: &Job, wall: Duration) {
        let known = self.measured.entry((job.stage, job.run.clone())).or_default();
        known.seconds += wall.as_secs_f64();
        known.expected += job.cost.seconds;
    }

    /// The seconds that a job will take: after those of its stage and run, else of its stage, else of all; none as long
    /// as nothing was measured. A copy takes what it should: how fast a training learns says nothing of it.
    pub fn seconds(&self, job: &Job) -> Option<f64> {
        if job.is_duplicate() {
            return Some(job.cost.seconds);
        }
        let like = |alike: &dyn Fn(&StageOfRun) -> bool| {
            let measured = self.measured.iter().filter(|(known, _)| alike(known)).map(|(_, known)| known);
            let (seconds, expected) = measured
                .fold((0.0, 0.0), |(seconds, expected), known| (seconds + known.seconds, expected + known.expected));
            (expected > 0.0).then(|| job.cost.seconds * seconds / expected)
        };
        like(&|(stage, run)| (*stage, run) == (job.stage, &job.run))
            .or_else(|| like(&|(stage, _)| *stage == job.stage))
            .or_else(|| like(&|_| true))
    }
}
