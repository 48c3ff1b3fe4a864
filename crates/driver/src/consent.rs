//! Asks before work is lost or the disk may fill.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use declarations::Fault;

use crate::display::printable;
use crate::estimate::Estimate;
use crate::executor::Executor;
use crate::forecast::Forecast;
use crate::format::{duration, size};
use crate::lineage::History;
use crate::machine::free_bytes;
use crate::state::State;

/// Less work than this is replaced without a question.
const UNASKED: Duration = Duration::from_secs(60);
/// Most jobs that a question lists.
const LISTED: usize = 8;

impl Executor<'_> {
    /// What would be lost, or may not fit on the disk, as a question; none if nothing.
    pub(crate) fn doubts(&self, forecasts: &[Option<Forecast>], state: &State, history: &History) -> Option<String> {
        let doubts = [self.replaces(forecasts, state, history), self.overfills(forecasts, state)];
        let doubts: Vec<String> = doubts.into_iter().flatten().collect();
        (!doubts.is_empty()).then(|| doubts.join("\n"))
    }

    fn replaces(&self, forecasts: &[Option<Forecast>], state: &State, history: &History) -> Option<String> {
        let mut work = self.replaced_work(forecasts, state, history);
        let total: Duration = work.iter().map(|(_, time, _)| *time).sum();
        if total < UNASKED {
            return None;
        }
        work.sort_by_key(|(_, time, _)| std::cmp::Reverse(*time));
        let count = work.len();
        let mut text = format!(
            "this replaces the work of {} in {count} {}:",
            duration(total),
            if count == 1 { "job" } else { "jobs" }
        );
        for (name, time, reason) in work.iter().take(LISTED) {
            text += &format!("\n  {name} · {} · {reason}", duration(*time));
        }
        if count > LISTED {
            text += &format!("\n  and {} more", count - LISTED);
        }
        Some(text)
    }

    fn overfills(&self, forecasts: &[Option<Forecast>], state: &State) -> Option<String> {
        let mut estimate = Estimate::new(self.jobs, state);
        let runs =
            self.jobs.iter().zip(forecasts).filter(|(_, forecast)| forecast.as_ref().is_some_and(Forecast::may_run));
        runs.for_each(|(job, _)| estimate.add(job));
        let copies =
            self.jobs.iter().zip(forecasts).filter(|(_, forecast)| matches!(forecast, Some(Forecast::Copied(_))));
        estimate.bytes += copies.map(|(job, _)| job.cost.bytes).sum::<f64>();
        let free = free_bytes(Path::new(&self.root))?;
        (estimate.bytes > free).then(|| {
            format!("this writes about {}, and the disk of {} has {} free", size(estimate.bytes), self.root, size(free))
        })
    }
}

/// Goes on if the user agrees: by `--yes`, or by an answer where there is a terminal.
///
/// # Errors
/// The user does not agree, or cannot be asked.
pub(crate) fn ask(doubts: &str, yes: bool) -> Result<(), Fault> {
    match answer(doubts, yes) {
        Some(true) => Ok(()),
        Some(false) => {
            Err(Fault::parameter("nothing was run; to keep what is there, use another folder (--artifacts)"))
        }
        None => Err(Fault::parameter(format!(
            "{doubts}\nto go on, add --yes; to keep what is there, use another folder (--artifacts)"
        ))),
    }
}

/// Shows what would happen and asks whether to go on; none if there is no terminal to ask at.
pub(crate) fn answer(doubts: &str, yes: bool) -> Option<bool> {
    let mut stderr = std::io::stderr();
    if yes {
        // A closed standard error is no failure.
        let _ = writeln!(stderr, "{}", printable(doubts));
        return Some(true);
    }
    if !(std::io::stdin().is_terminal() && stderr.is_terminal()) {
        return None;
    }
    let _ = write!(stderr, "{}\nGo on? [y/N] ", printable(doubts));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    Some(read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
