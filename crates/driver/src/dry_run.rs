//! `--dry-run`: what would run, why and at which cost.

use declarations::Fault;

use crate::display::print_plain;
use crate::estimate::Estimate;
use crate::executor::Executor;
use crate::forecast::{self, Forecast};
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
            let of = |other: &usize| self.jobs[*other].name();
            let reason = match forecast {
                Forecast::Runs { reason, .. } => {
                    runs += 1;
                    format!("run: {reason}")
                }
                Forecast::Follows(dependency) => {
                    // Tables that exist are linked or copied, so it is certain to run.
                    let (origin, _) = forecast::origin(*dependency, &forecasts);
                    let is_taken = matches!(forecasts[origin], Some(Forecast::UpToDate(_)));
                    match state.record(&name) {
                        None if is_taken => {
                            runs += 1;
                            "run: never ran".to_owned()
                        }
                        None => {
                            follow += 1;
                            format!("run: {} runs first", of(dependency))
                        }
                        Some(_) => {
                            follow += 1;
                            format!("run if the output of {} changes", of(dependency))
                        }
                    }
                }
                other => {
                    let said = match other {
                        Forecast::UpToDate(reason) | Forecast::Restored(reason) => reason.clone(),
                        Forecast::Omitted(reason) => format!("omitted: {reason}"),
                        Forecast::Linked(same) => format!("linked to {}, which does the same", of(same)),
                        Forecast::Copied(same) => format!("copied from {}, which does the same", of(same)),
                        Forecast::Waits(dependency) => format!("looked at once {} is back", of(dependency)),
                        Forecast::Blocked(dependency) => format!("not run: it needs {}", of(dependency)),
                        Forecast::Fails(fault) => format!("fails: {fault}"),
                        Forecast::Runs { .. } | Forecast::Follows(_) => String::new(),
                    };
                    print_plain(&format!("{name} · {said}"));
                    continue;
                }
            };
            estimate.add(job);
            print_plain(&format!("{name} · {reason}\n  {}", job.command(&self.programs)));
        }
        let selected = forecasts.iter().flatten().count();
        let parallel = self.machine.parallel_jobs;
        let followers = if follow > 0 { format!(", and up to {follow} that depend on them") } else { String::new() };
        print_plain(&format!(
            "{runs} of {selected} jobs would run{followers}, {parallel} at once; nothing was run (--dry-run)"
        ));
        if runs > 0 {
            print_plain(&estimate.describe(parallel));
        }
        if let Some(doubts) = self.doubts(&forecasts, state, history) {
            print_plain(&format!("{doubts}\na run would ask before, or needs --yes"));
        }
        let mut warnings = self.warnings();
        for (job, forecast) in self.jobs.iter().zip(&forecasts) {
            if matches!(forecast, None | Some(Forecast::UpToDate(_))) {
                warnings.extend(self.text_warnings(job));
            }
        }
        warnings.iter().for_each(|warning| print_plain(warning));
        self.edited(&forecasts, state).iter().for_each(|note| print_plain(note));
        let failure = forecasts.iter_mut().find_map(|forecast| match forecast.take() {
            Some(Forecast::Fails(fault)) => Some(fault),
            _ => None,
        });
        failure.map_or(Ok(()), Err)
    }
}
