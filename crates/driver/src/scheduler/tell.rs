//! How far the run is, on the terminal and for `status`.

use std::path::Path;
use std::time::Instant;

use super::{Phase, Running, Scheduler, TELL};
use crate::pace::from_seconds;
use crate::progress;

impl Scheduler<'_> {
    pub(super) fn update_overall(&mut self) {
        let executor = self.executor;
        let selected = executor.selected.iter().filter(|selected| **selected).count();
        let finished = |phase: &&Phase| !matches!(phase, Phase::NotSelected | Phase::Waiting | Phase::Running);
        let done = self.phases.iter().filter(finished).count();
        // A job that has just started tells nothing of its speed.
        let projected = |running: &Running| {
            let (fraction, seconds) = (running.progress.fraction(), running.started.elapsed().as_secs_f64());
            (fraction > 0.02 && seconds > 2.0).then(|| seconds / fraction)
        };
        // The progress of running jobs predicts the time of similar ones before the first has finished.
        let mut pace = self.pace.clone();
        for running in self.running.values() {
            if let Some(seconds) = projected(running) {
                pace.add(&running.job, from_seconds(seconds), running.job.cost.seconds);
            }
        }
        let mut seconds = Some(0.0);
        for (index, job) in executor.jobs.iter().enumerate() {
            let running = self.running.get(&index);
            let share = match self.phases[index] {
                // A link takes next to no time.
                Phase::Waiting if self.will_be_linked(index) => continue,
                Phase::Waiting => 1.0,
                Phase::Running => running.map_or(0.0, |running| 1.0 - running.progress.fraction()),
                _ => continue,
            };
            let cost = running.and_then(projected).or_else(|| pace.seconds(job));
            seconds = seconds.zip(cost).map(|(sum, cost)| sum + share * cost);
        }
        let left = seconds.map(|seconds| from_seconds(seconds / executor.machine.parallel_jobs as f64));
        self.display.overall(done, selected, left);
        if self.reported.elapsed() >= progress::INTERVAL {
            if self.state.is_shared() {
                self.tell_shared();
                return;
            }
            self.reported = Instant::now();
            let running = self.running.values();
            let of = |running: &Running| (running.job.name(), running.progress.clone(), running.started.elapsed());
            progress::write(Path::new(&executor.root), done, selected, left, running.map(of));
        }
    }

    /// Tells in a shared folder how far the jobs are.
    fn tell_shared(&mut self) {
        if self.reported.elapsed() >= TELL {
            self.reported = Instant::now();
            for running in self.running.values() {
                let seconds = running.started.elapsed().as_secs_f64();
                self.state.write_progress(&running.job.name(), &running.progress, seconds);
            }
        }
    }
}
