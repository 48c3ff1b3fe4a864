//! `--dry-run`: what would run, why and at which cost.

use declarations::Fault;

use crate::display::print;
use crate::estimate::Estimate;
use crate::executor::{Action, Executor};
use crate::lineage::History;
use crate::state::{CacheKey, State};

impl Executor<'_> {
    /// Prints what would run, and why, without running it.
    ///
    /// # Errors
    /// A missing program or input, or a file that cannot be read.
    pub fn dry_run(&self, state: &mut State, history: &History) -> Result<(), Fault> {
        if let Some(note) = self.note_replaced(state) {
            print(&note);
        }
        let mut runs = vec![false; self.jobs.len()];
        let mut estimate = Estimate::new(self.jobs, &self.programs, history);
        for (position, job) in self.jobs.iter().enumerate().filter(|(position, _)| self.selected[*position]) {
            let name = job.name();
            let action = match job.dependencies.iter().find(|dependency| runs[**dependency]) {
                Some(dependency) => {
                    let reason = format!("{} runs first", self.jobs[*dependency].name());
                    Action::Run { reason, from_scratch: false, cache_key: CacheKey::default() }
                }
                None => self.action(job, state, history)?,
            };
            match action {
                Action::Skip(reason) => print(&format!("{name} · {reason}")),
                Action::Omit(reason) => print(&format!("{name} · omitted: {reason}")),
                Action::Run { reason, .. } => {
                    let trained = |&duplicate: &usize| runs[duplicate] || self.is_up_to_date(duplicate, state, history);
                    let duplicate = job.duplicates.iter().copied().find(trained);
                    runs[position] = true;
                    let (job, remark) = self.with_duplicate(position, duplicate);
                    estimate.add(&job);
                    print(&format!("{name} · run: {reason}{remark}\n  {}", job.command(&self.programs)));
                }
            }
        }
        let count = runs.iter().filter(|runs| **runs).count();
        let selected = self.selected.iter().filter(|selected| **selected).count();
        let parallel = self.parallel_jobs;
        print(&format!("{count} of {selected} jobs would run, {parallel} at once; nothing was run (--dry-run)"));
        if count > 0 {
            print(&estimate.describe(parallel));
        }
        Ok(())
    }
}
