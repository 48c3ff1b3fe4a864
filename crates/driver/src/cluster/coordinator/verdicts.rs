//! What has become of tasks, and what follows for their jobs.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use declarations::Fault;

use super::{Coordinator, Phase};
use crate::cluster::journal::{Submitted, Task};
use crate::failures::Failure;
use crate::format::duration;
use crate::pace::from_seconds;
use crate::plan::Job;
use crate::runner::{End, Event, Trouble, What};
use crate::shared::{self, Outcome};

/// How long the outcome of a task that ended may take to be seen here: network file systems keep what they know of a folder
/// for up to a minute.
const UNSEEN: Duration = Duration::from_secs(90);

/// What is known of a job whose task ended.
struct Verdict {
    job: usize,
    /// Whether the cluster had taken its array.
    was_submitted: bool,
    end: End,
    outcome: Option<Outcome>,
    /// What the task wrote.
    log: Option<PathBuf>,
}

impl Coordinator<'_> {
    /// Learns what has become of the tasks.
    pub(super) fn look(&mut self) -> Result<(), Fault> {
        let events = match self.runner.poll(Duration::ZERO) {
            Ok(events) => events,
            Err(Trouble::Away(message)) => {
                self.away(&message);
                return Ok(());
            }
            Err(Trouble::Refused(fault)) => return Err(fault),
        };
        if self.unanswered > 0 {
            self.unanswered = 0;
            self.display.print("the cluster answers again");
        }
        let before = self.journal.clone();
        let mut ended: Vec<(usize, u32, End)> = Vec::new();
        for Event { array: key, index, what } in events {
            let Some(array) = self.journal.arrays.get_mut(&key) else { continue };
            match what {
                What::Named(id) => array.id = Some(id),
                What::Started => drop(array.tasks.get_mut(&index).map(|task| task.runs = true)),
                What::Waits => drop(array.tasks.get_mut(&index).map(|task| task.runs = false)),
                What::Ended(end) => ended.push((key, index, end)),
                What::Line(_) | What::Exited(..) => {}
            }
        }
        ended.extend(self.overdue());
        let mut settled = Vec::new();
        let earlier = std::mem::take(&mut self.unseen);
        let ended = ended.into_iter().map(|(key, index, end)| (key, index, end, Instant::now()));
        for (key, index, end, since) in earlier.into_iter().chain(ended) {
            // One that ended well has recorded everything; any other may never have begun.
            let soon = from_seconds(1.5 * self.config.poll()).min(UNSEEN);
            let patience = if end == End::Completed { UNSEEN } else { soon };
            match since.elapsed() < patience && !self.is_seen(key, index) {
                true => self.unseen.push((key, index, end, since)),
                false => settled.push((key, index, end)),
            }
        }
        self.settle(settled)?;
        if self.journal != before {
            self.journal.write(Path::new(&self.executor.root))?;
        }
        Ok(())
    }

    /// Tasks that run by the cluster's word although they have long recorded how all their jobs ended: a controller that crashed
    /// can begin with an older list of what runs, and find out minutes later.
    fn overdue(&mut self) -> Vec<(usize, u32, End)> {
        let arrays = self.journal.arrays.iter();
        let tasks = arrays.flat_map(|(key, array)| array.tasks.iter().map(move |(index, task)| (*key, *index, task)));
        let running = tasks.filter(|(.., task)| task.runs).map(|(key, index, _)| (key, index));
        let recorded: Vec<(usize, u32)> = running.filter(|(key, index)| self.is_seen(*key, *index)).collect();
        let known = std::mem::take(&mut self.overdue);
        let patience = self.config.patience();
        let mut ended = Vec::new();
        for task in recorded {
            let since = known.get(&task).copied().unwrap_or_else(Instant::now);
            if since.elapsed() < patience {
                self.overdue.insert(task, since);
                continue;
            }
            let (key, index) = task;
            self.runner.forget(key, index);
            ended.push((key, index, End::Completed));
        }
        ended
    }

    /// Whether the outcome of each job of a task is recorded.
    fn is_seen(&self, key: usize, index: u32) -> bool {
        let Some((array, task)) = self.task(key, index) else { return true };
        task.jobs.iter().all(|job| self.outcome(&array.name, job).is_some_and(|outcome| outcome.ended))
    }

    fn task(&self, key: usize, index: u32) -> Option<(&Submitted, &Task)> {
        let array = self.journal.arrays.get(&key)?;
        Some((array, array.tasks.get(&index)?))
    }

    /// What a task of an array recorded of a job.
    fn outcome(&self, array: &str, job: &str) -> Option<Outcome> {
        shared::read(Path::new(&self.executor.root), job).filter(|outcome| outcome.by == array)
    }

    /// Takes over what tasks that ended have recorded, and decides what becomes of their jobs.
    fn settle(&mut self, ended: Vec<(usize, u32, End)>) -> Result<(), Fault> {
        let root = Path::new(&self.executor.root);
        let mut outcomes = Vec::new();
        let mut verdicts = Vec::new();
        for (key, index, end) in ended {
            let Some((array, task)) = self.task(key, index) else { continue };
            let was_submitted = array.id.is_some();
            for name in &task.jobs {
                let outcome = self.outcome(&array.name, name);
                if let Some(job) = self.names.get(name) {
                    let log = self.runner.log(&array.name, index);
                    verdicts.push(Verdict {
                        job: *job,
                        was_submitted,
                        end: end.clone(),
                        outcome: outcome.clone(),
                        log,
                    });
                }
                outcomes.extend(outcome.map(|outcome| (name.clone(), outcome)));
            }
            if let Some(array) = self.journal.arrays.get_mut(&key) {
                array.tasks.remove(&index);
            }
        }
        self.journal.arrays.retain(|_, array| !array.tasks.is_empty());
        let taken: Vec<String> = outcomes.iter().map(|(name, _)| name.clone()).collect();
        let rows = self.state.absorb(outcomes);
        if let Err(fault) = self.history.add_new(rows) {
            self.display.warn(&format!("lineage is not recorded: {fault}"));
        }
        if let Some(reason) = self.state.take_unsaved() {
            self.display.warn(&format!("the driver's records are not saved ({reason})"));
        }
        // From now on an execution that still goes on somewhere owns nothing.
        taken.iter().for_each(|job| shared::discard(root, job));
        // Whether a job failed by itself depends on whether its dependencies are done.
        verdicts.sort_by_key(|verdict| verdict.job);
        verdicts.into_iter().for_each(|verdict| self.judge(verdict));
        Ok(())
    }

    /// Decides what becomes of a job whose task ended.
    fn judge(&mut self, verdict: Verdict) {
        let Verdict { job: index, was_submitted, end, outcome, log } = verdict;
        let log = log.as_deref();
        let job = &self.executor.jobs[index];
        let name = job.name();
        let given = |dependency: &usize| matches!(self.phases[*dependency], Phase::Done | Phase::Given);
        // A stage that reads the whole study may do without what failed.
        let lost = |dependency: &usize| matches!(self.phases[*dependency], Phase::Failed | Phase::Blocked);
        let could_run = job
            .dependencies
            .iter()
            .all(|dependency| given(dependency) || (job.stage.whole_study() && lost(dependency)));
        let awaits_duplicate = job.duplicates.iter().any(|other| *other < index && !given(other));
        let recorded = outcome.filter(|outcome| outcome.ended);
        self.phases[index] = Phase::Wanted;
        match recorded {
            Some(Outcome { failure: None, executions, .. }) => {
                self.phases[index] = Phase::Done;
                let took = executions.last().map(|row| from_seconds(row.wall_secs)).filter(|time| !time.is_zero());
                let took = took.map_or(String::new(), |time| format!(" · {}", duration(time)));
                self.display.print(&format!("✓ {name}{took}"));
            }
            // What it needs is gone, or never came.
            _ if !could_run => {}
            Some(Outcome { failure: Some(failure), .. }) if !failure.killed => self.fail(index, failure),
            Some(Outcome { failure: Some(failure), .. }) => self.retry(index, &failure.message, log),
            None if self.up_to_date.contains(&index) => self.phases[index] = Phase::Done,
            // It would have been linked to what was not done.
            None if awaits_duplicate => {}
            None => match end {
                End::Cancelled { by_dependency: false } => {
                    self.fail(index, cancelled(job));
                }
                End::Unknown if !was_submitted => {}
                End::Cancelled { .. } => self.retry(index, "cancelled by the cluster", log),
                End::Completed => self.retry(index, "it recorded nothing", log),
                End::Broken(word) => self.retry(index, &word, log),
                End::Unknown => self.retry(index, "the cluster does not know it any more", log),
            },
        }
    }

    /// Starts a job again, a limited number of times.
    fn retry(&mut self, index: usize, reason: &str, log: Option<&Path>) {
        let job = &self.executor.jobs[index];
        let reason = match log {
            Some(log) => format!("{reason} (log: {})", log.display()),
            None => reason.to_owned(),
        };
        let retries = self.journal.retries.entry(job.name()).or_default();
        *retries += 1;
        if *retries <= self.config.retries() {
            let line =
                format!("↻ {} · {reason}: it is submitted again ({retries} of {})", job.name(), self.config.retries());
            self.display.print(&line);
            return;
        }
        let message = format!("{reason}; it was started {retries} times (`cluster.retries`)");
        self.fail(index, Failure { job: job.name(), code: 3, message, command: None, killed: true });
    }
}

fn cancelled(job: &Job) -> Failure {
    let message = "cancelled on the cluster; run again to submit it again".to_owned();
    Failure { job: job.name(), code: 3, message, command: None, killed: true }
}
