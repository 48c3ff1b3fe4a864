//! What a run would cost, said before it starts: hours, bytes, memory.

use crate::display::{duration, size};
use crate::lineage::History;
use crate::pace::{Pace, span};
use crate::plan::Job;

/// The cost of some jobs.
pub(crate) struct Estimate {
    pace: Pace,
    measured: bool,
    seconds: f64,
    bytes: f64,
    /// The memory of each job.
    memory: Vec<f64>,
}

impl Estimate {
    /// The cost of no job, at the speed of earlier runs of the same commands.
    pub(crate) fn new(jobs: &[Job], programs: &str, history: &History) -> Self {
        let mut pace = Pace::default();
        let mut measured = false;
        for job in jobs {
            if let Some(seconds) = history.took(&job.name(), &job.command(programs)) {
                pace.learn(job, span(seconds));
                measured = true;
            }
        }
        Self { pace, measured, seconds: 0.0, bytes: 0.0, memory: Vec::new() }
    }

    /// One more job.
    pub(crate) fn add(&mut self, job: &Job) {
        self.seconds += self.pace.seconds(job).unwrap_or(job.cost.seconds / job.threads() as f64);
        self.bytes += job.cost.bytes;
        self.memory.push(job.cost.memory);
    }

    /// In words, for so many jobs at once.
    pub(crate) fn describe(mut self, parallel: usize) -> String {
        self.memory.sort_by(|one, other| other.total_cmp(one));
        let memory: f64 = self.memory.iter().take(parallel).sum();
        let time = duration(span(self.seconds / parallel as f64));
        let basis = if self.measured { "after what ran here before" } else { "a guess, before anything ran here" };
        format!(
            "it would take about {time} ({basis}), write {} and hold up to {} of memory",
            size(self.bytes as u64),
            size(memory as u64)
        )
    }
}
