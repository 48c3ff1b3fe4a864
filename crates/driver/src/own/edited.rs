//! Programs of the user's own stages that were edited since: versions decide what is made again, and this says what they leave.

use std::collections::BTreeMap;

use crate::executor::Executor;
use crate::forecast::Forecast;
use crate::state::State;

impl Executor<'_> {
    /// A note for each stage of the user's own with jobs that count as up to date and that another version of its program made.
    pub(crate) fn edited(&self, forecasts: &[Option<Forecast>], state: &mut State) -> Vec<String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (job, forecast) in self.jobs.iter().zip(forecasts) {
            if job.stage.own().is_none() || !matches!(forecast, Some(Forecast::UpToDate(_))) {
                continue;
            }
            let Ok(now) = self.program(job, state) else { continue };
            // Nothing is recorded of the program of tables that came from elsewhere.
            let is_edited = |before: &str| !before.is_empty() && before != now;
            if state.record(&job.name()).is_some_and(|record| is_edited(&record.program)) {
                *counts.entry(job.stage.word()).or_default() += 1;
            }
        }
        let note = |(stage, count): (&str, usize)| {
            let jobs = if count == 1 { "1 job" } else { &format!("{count} jobs") };
            format!(
                "note: the program of {stage} changed since {jobs} ran that count as up to date: raise `own_stages.{stage}.version` \
                 to run them again, or add --rerun-triggers program"
            )
        };
        counts.into_iter().map(note).collect()
    }
}
