//! The estimated cost of a run: time, bytes, memory.

use crate::format::{duration, size};
use crate::pace::{Pace, from_seconds};
use crate::plan::Job;
use crate::state::State;

/// The cost of some jobs.
pub(crate) struct Estimate {
    pace: Pace,
    measured: bool,
    seconds: f64,
    /// The bytes that are written.
    pub(crate) bytes: f64,
    /// The memory of each job.
    memory: Vec<f64>,
}

impl Estimate {
    /// The cost of no job, at the speed of what ran here before.
    pub(crate) fn new(jobs: &[Job], state: &State) -> Self {
        let mut pace = Pace::default();
        let mut measured = false;
        for job in jobs {
            let record = state.record(&job.name());
            if let Some((seconds, estimate)) = record.and_then(|record| Some((record.seconds?, record.estimate))) {
                pace.add(job, from_seconds(seconds), estimate);
                measured = true;
            }
        }
        Self { pace, measured, seconds: 0.0, bytes: 0.0, memory: Vec::new() }
    }

    /// The seconds of a job.
    pub(crate) fn seconds(&self, job: &Job) -> f64 {
        self.pace.seconds(job).unwrap_or(job.cost.seconds / job.threads() as f64)
    }

    /// Adds a job.
    pub(crate) fn add(&mut self, job: &Job) {
        self.seconds += self.seconds(job);
        self.bytes += job.cost.bytes;
        self.memory.push(job.cost.memory);
    }

    /// The estimate as a sentence, for so many jobs at once.
    pub(crate) fn describe(mut self, parallel: usize) -> String {
        self.memory.sort_by(|one, other| other.total_cmp(one));
        let memory: f64 = self.memory.iter().take(parallel).sum();
        let time = duration(from_seconds(self.seconds / parallel as f64));
        let basis = if self.measured { "from earlier runs" } else { "a rough guess: nothing has been measured yet" };
        format!("estimate: about {time} ({basis}), {} written, up to {} of memory", size(self.bytes), size(memory))
    }
}
