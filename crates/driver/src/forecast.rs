//! What a run would do, found out before anything runs: for `--dry-run`, for `status`, and to ask before work is lost.

use std::time::Duration;

use declarations::Fault;
use schemas::Artifacts;
use schemas::tables::Timings;

use crate::executor::{Action, Executor};
use crate::lineage::History;
use crate::pace::from_seconds;
use crate::plan::Job;
use crate::state::{State, Status};

/// What would happen to a job.
pub(crate) enum Forecast {
    /// It is up to date.
    UpToDate(String),
    /// It is omitted.
    Omitted(String),
    /// Earlier outputs come back.
    Restored(String),
    /// It runs.
    Runs {
        /// Why.
        reason: String,
        /// Whether what it wrote before is replaced.
        from_scratch: bool,
    },
    /// It runs if what another job writes is not the same as before.
    Follows(usize),
    /// It cannot run.
    Fails(Fault),
}

impl Forecast {
    /// Whether the job may write.
    pub(crate) fn may_run(&self) -> bool {
        matches!(self, Self::Runs { .. } | Self::Follows(_) | Self::Fails(_))
    }
}

impl Executor<'_> {
    /// What would happen to each job; none where it is not selected.
    pub(crate) fn forecast(&self, state: &mut State, history: &History) -> Vec<Option<Forecast>> {
        let mut forecasts: Vec<Option<Forecast>> = Vec::new();
        for (position, job) in self.jobs.iter().enumerate() {
            let may_run = |dependency: &&usize| forecasts[**dependency].as_ref().is_some_and(Forecast::may_run);
            let forecast = self.selected[position].then(|| match job.dependencies.iter().find(may_run) {
                Some(dependency) => Forecast::Follows(*dependency),
                None => match self.action(job, state, history) {
                    Ok(Action::Skip { reason, .. }) => {
                        self.check_text(job).map_or_else(Forecast::Fails, |()| Forecast::UpToDate(reason))
                    }
                    Ok(Action::Omit(reason)) => Forecast::Omitted(reason),
                    Ok(Action::Restore { reason, .. }) => Forecast::Restored(reason),
                    Ok(Action::Run { reason, from_scratch, .. }) => Forecast::Runs { reason, from_scratch },
                    Err(fault) => Forecast::Fails(fault),
                },
            });
            forecasts.push(forecast);
        }
        forecasts
    }

    /// The finished or interrupted work that would be replaced: each job, the time that it took, and why.
    pub(crate) fn replaced_work(
        &self,
        forecasts: &[Option<Forecast>],
        state: &State,
        history: &History,
    ) -> Vec<(String, Duration, String)> {
        let mut work = Vec::new();
        for (job, forecast) in self.jobs.iter().zip(forecasts) {
            let reason = match forecast {
                Some(Forecast::Runs { reason, from_scratch: true }) => reason.clone(),
                Some(Forecast::Follows(dependency)) => format!("follows {}", self.jobs[*dependency].name()),
                _ => continue,
            };
            // What reads the whole study is made anew with every change, so nobody expects it to stay.
            let was_executed = state.record(&job.name()).is_some() || history.of(&job.name()).next().is_some();
            if !job.stage.whole_study() && was_executed {
                work.push((job.name(), self.spent(job, state, history), reason));
            }
        }
        work
    }

    /// The time that was spent on what a job has written.
    fn spent(&self, job: &Job, state: &State, history: &History) -> Duration {
        let partition = job.partition().stage(job.stage.word());
        let by_timings = || {
            let timed = job.tables.iter().any(|(table, _)| *table == "timings");
            let rows = timed.then(|| Artifacts::new(&self.root).read::<Timings>(&partition).ok()).flatten()?.rows;
            Some(rows.iter().map(|row| row.wall_secs).sum())
        };
        let name = job.name();
        let done = state.record(&name).filter(|record| record.status == Status::Done);
        let seconds = done.and_then(|record| record.seconds).or_else(by_timings).or_else(|| history.took(&name));
        from_seconds(seconds.unwrap_or_default())
    }
}
