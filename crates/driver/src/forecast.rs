//! What a run would do, found out before anything runs: for `--dry-run`, for `status`, and to ask before work is lost.

use std::path::Path;
use std::time::Duration;

use declarations::Fault;
use schemas::Artifacts;
use schemas::tables::Timings;

use crate::executor::{Action, Executor};
use crate::key::CacheKey;
use crate::lineage::History;
use crate::link;
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
    /// It is linked to a job of another run that does the same.
    Linked(usize),
    /// It is copied from a job of another run that does the same, whose footers do not name its run.
    Copied(usize),
    /// It is looked at once earlier outputs of another job are back.
    Waits(usize),
    /// It cannot run.
    Fails(Fault),
    /// It cannot run since another job cannot.
    Blocked(usize),
}

impl Forecast {
    /// Whether the job may write.
    pub(crate) fn may_run(&self) -> bool {
        matches!(self, Self::Runs { .. } | Self::Follows(_))
    }

    /// Whether the tables of the job may change.
    fn may_change(&self) -> bool {
        self.may_run() || matches!(self, Self::Linked(_) | Self::Copied(_))
    }
}

/// The job that a job's tables are of, by links and copies, and whether one of these is a copy.
pub(crate) fn origin(mut index: usize, forecasts: &[Option<Forecast>]) -> (usize, bool) {
    let mut is_copy = false;
    while let Some(Some(Forecast::Linked(other) | Forecast::Copied(other))) = forecasts.get(index) {
        is_copy |= matches!(forecasts[index], Some(Forecast::Copied(_)));
        index = *other;
    }
    (index, is_copy)
}

impl Executor<'_> {
    /// What would happen to each job; none where it is not selected.
    pub(crate) fn forecast(&self, state: &mut State, history: &History) -> Vec<Option<Forecast>> {
        let mut forecasts: Vec<Option<Forecast>> = Vec::new();
        for (position, selected) in self.selected.iter().enumerate() {
            let forecast = selected.then(|| self.forecast_one(position, &forecasts, state, history));
            forecasts.push(forecast);
        }
        // A job can take the tables of one that is after it.
        for position in 0..forecasts.len() {
            if matches!(forecasts[position], Some(Forecast::Follows(_)))
                && let Some(taken) = self.taken(position, &forecasts)
            {
                forecasts[position] = Some(taken);
            }
        }
        forecasts
    }

    /// What would happen to a job, given what would happen to those before it.
    fn forecast_one(
        &self,
        position: usize,
        before: &[Option<Forecast>],
        state: &mut State,
        history: &History,
    ) -> Forecast {
        let job = &self.jobs[position];
        let after = |is: &dyn Fn(&Forecast) -> bool| {
            job.dependencies.iter().copied().find(|dependency| before[*dependency].as_ref().is_some_and(is))
        };
        if let Some(dependency) = after(&|other| matches!(other, Forecast::Fails(_) | Forecast::Blocked(_))) {
            return Forecast::Blocked(dependency);
        }
        // What others will write names this run in its footers.
        let will_name = |&duplicate: &usize| {
            let named = |other: &Forecast| other.may_run() || matches!(other, Forecast::Copied(_));
            before.get(duplicate).is_some_and(|other| other.as_ref().is_some_and(named))
        };
        if let Some(dependency) = after(&Forecast::may_change) {
            if let Some(same) = job.duplicates.iter().copied().find(will_name) {
                return Forecast::Linked(same);
            }
            return self.taken(position, before).unwrap_or(Forecast::Follows(dependency));
        }
        if let Some(dependency) = after(&|other| matches!(other, Forecast::Restored(_) | Forecast::Waits(_))) {
            return Forecast::Waits(dependency);
        }
        match self.action(job, state, history) {
            Ok(Action::Skip { reason, .. }) => {
                self.check_text(job).map_or_else(Forecast::Fails, |()| Forecast::UpToDate(reason))
            }
            Ok(Action::Omit(reason)) => Forecast::Omitted(reason),
            Ok(Action::Restore { reason, .. }) => Forecast::Restored(reason),
            Ok(Action::Run { reason, from_scratch, cache_key, .. }) => {
                if let Some(same) = job.duplicates.iter().copied().find(will_name) {
                    return Forecast::Linked(same);
                }
                let is_same = |duplicate: &usize| {
                    !self.options.force && self.is_same(position, *duplicate, &cache_key, state, history)
                };
                let same = job.duplicates.iter().copied().find(is_same);
                match same {
                    None => Forecast::Runs { reason, from_scratch },
                    Some(same) if link::can_link(job, &cache_key, &self.jobs[same], Path::new(&self.root)) => {
                        Forecast::Linked(same)
                    }
                    Some(same) => Forecast::Copied(same),
                }
            }
            Err(fault) => Forecast::Fails(fault),
        }
    }

    /// How a job whose inputs are links and copies gets its tables from one that does the same and is up to date; none if none is.
    fn taken(&self, position: usize, forecasts: &[Option<Forecast>]) -> Option<Forecast> {
        let forecast = |index: usize| forecasts.get(index).and_then(Option::as_ref);
        let job = &self.jobs[position];
        let same_inputs = |other: &usize| {
            let is_known = |dependency: &usize| {
                let (origin, _) = origin(*dependency, forecasts);
                // Of jobs that do the same and are up to date, the tables are the same.
                let is_same = |its: &usize| *its == origin || self.jobs[origin].duplicates.contains(its);
                !forecast(origin).is_some_and(Forecast::may_change)
                    && (origin == *dependency || self.jobs[*other].dependencies.iter().any(is_same))
            };
            matches!(forecast(*other), Some(Forecast::UpToDate(_))) && job.dependencies.iter().all(is_known)
        };
        let other = job.duplicates.iter().copied().find(same_inputs).filter(|_| !self.options.force)?;
        let of_copies = job.dependencies.iter().any(|dependency| origin(*dependency, forecasts).1);
        match !of_copies && link::is_shared(job, &self.jobs[other], Path::new(&self.root)) {
            true => Some(Forecast::Linked(other)),
            false => Some(Forecast::Copied(other)),
        }
    }

    /// Whether another job is up to date and its tables are what a job with this key would write.
    pub(crate) fn is_same(
        &self,
        position: usize,
        other: usize,
        cache_key: &CacheKey,
        state: &mut State,
        history: &History,
    ) -> bool {
        let Ok(Action::Skip { adopted, .. }) = self.action(&self.jobs[other], state, history) else { return false };
        let record = adopted.as_ref().or_else(|| state.record(&self.jobs[other].name()));
        record.is_some_and(|record| self.has_same_tables(position, other, cache_key, &record.cache_key))
    }

    /// Whether the tables of a job that is done are what another job with this key would write.
    pub(crate) fn has_same_tables(
        &self,
        position: usize,
        other: usize,
        cache_key: &CacheKey,
        its_key: &CacheKey,
    ) -> bool {
        link::is_equal(&self.jobs[position], cache_key, &self.jobs[other], its_key, Path::new(&self.root))
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
            let is_there = job.results.iter().any(|path| Path::new(&self.root).join(path).exists());
            if !job.stage.whole_study() && is_there {
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
