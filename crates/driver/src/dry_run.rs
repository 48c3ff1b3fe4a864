//! `--dry-run`: what would run, why and at which cost.

use declarations::Fault;

use crate::display::print;
use crate::estimate::Estimate;
use crate::executor::Executor;
use crate::forecast::Forecast;
use crate::lineage::History;
use crate::state::State;

impl Executor<'_> {
    /// Prints what would run, and why, without running it.
    ///
    /// # Errors
    /// The first job that could not run.
    pub fn dry_run(&self, state: &mut State, history: &History) -> Result<(), Fault> {
        let mut forecasts = self.forecast(state, history);
        let mut estimate = Estimate::new(self.jobs, state);
        let (mut runs, mut follow) = (0, 0);
        for (position, job) in self.jobs.iter().enumerate() {
            let Some(forecast) = &forecasts[position] else { continue };
            let name = job.name();
            let reason = match forecast {
                Forecast::UpToDate(reason) | Forecast::Restored(reason) => {
                    print(&format!("{name} · {reason}"));
                    continue;
                }
                Forecast::Omitted(reason) => {
                    print(&format!("{name} · omitted: {reason}"));
                    continue;
                }
                Forecast::Fails(fault) => {
                    print(&format!("{name} · fails: {fault}"));
                    continue;
                }
                Forecast::Runs { reason, .. } => {
                    runs += 1;
                    format!("run: {reason}")
                }
                Forecast::Follows(dependency) => {
                    follow += 1;
                    let dependency = self.jobs[*dependency].name();
                    match state.record(&name) {
                        None => format!("run: {dependency} runs first"),
                        Some(_) => format!("run if the output of {dependency} changes"),
                    }
                }
            };
            let is_done_first = |&duplicate: &usize| match &forecasts[duplicate] {
                Some(forecast) if duplicate < position => {
                    !matches!(forecast, Forecast::Fails(_) | Forecast::Omitted(_))
                }
                _ => self.is_up_to_date(duplicate, state, history),
            };
            let same = job.duplicates.iter().copied().find(is_done_first);
            if let Some(run) = same.and_then(|same| self.jobs[same].run.as_ref()) {
                print(&format!("{name} · {reason}; linked to {run}, which does the same"));
                continue;
            }
            estimate.add(job);
            print(&format!("{name} · {reason}\n  {}", job.command(&self.programs)));
        }
        let selected = forecasts.iter().flatten().count();
        let parallel = self.machine.parallel_jobs;
        let followers = if follow > 0 { format!(", and up to {follow} that depend on them") } else { String::new() };
        print(&format!(
            "{runs} of {selected} jobs would run{followers}, {parallel} at once; nothing was run (--dry-run)"
        ));
        if runs > 0 {
            print(&estimate.describe(parallel));
        }
        if let Some(doubts) = self.doubts(&forecasts, state, history) {
            print(&format!("{doubts}\na run would ask before, or needs --yes"));
        }
        let failure = forecasts.iter_mut().find_map(|forecast| match forecast.take() {
            Some(Forecast::Fails(fault)) => Some(fault),
            _ => None,
        });
        failure.map_or(Ok(()), Err)
    }
}
