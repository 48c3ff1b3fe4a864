//! Runs the DAG: starts ready jobs, several at once, until nothing is left that can run.

mod exits;
mod starts;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use cli::Notice;
use declarations::Fault;

use crate::display::Display;
use crate::executor::Executor;
use crate::failures::Failure;
use crate::key::CacheKey;
use crate::lineage::History;
use crate::logs::Log;
use crate::pace::Pace;
use crate::plan::Job;
use crate::progress::{self, Progress};
use crate::runner::{Cancel, Event, Local, Runner, What};
use crate::signals::Signals;
use crate::state::{State, Status};

/// How long a stage may take to save and exit after it was asked to, before it is killed.
const GRACE_PERIOD: Duration = Duration::from_secs(60);

/// How long a job of another driver is left alone before it is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often it is told, in a folder that is shared, how far a job is.
const TELL: Duration = Duration::from_secs(10);

/// How a run of the pipeline ended.
pub struct Outcome {
    /// For each job, whether it is done.
    pub done: Vec<bool>,
    /// The jobs that failed.
    pub failures: Vec<Failure>,
    /// How many jobs could not run because of those.
    pub blocked: usize,
    /// What the results lack because of those.
    pub missing: Vec<String>,
    /// The number of the signal that stopped it.
    pub signal: Option<usize>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Phase {
    NotSelected,
    Waiting,
    Running,
    Done,
    Omitted,
    Failed,
    /// A job that it depends on failed.
    Blocked,
}

/// How a job is started.
struct Start {
    reason: String,
    threads: usize,
    cache_key: CacheKey,
    program: String,
    replaced: Option<String>,
}

struct Running {
    /// The job as it was started.
    job: Job,
    command: String,
    threads: usize,
    log: Log,
    cache_key: CacheKey,
    program: String,
    /// Where the outputs are that were moved aside.
    replaced: Option<String>,
    started_at: SystemTime,
    started: Instant,
    progress: Progress,
    /// The error that it reported.
    error: Option<String>,
    /// The last line of text that it wrote.
    last_line: Option<String>,
}

impl Executor<'_> {
    /// Runs the selected jobs that are stale.
    ///
    /// # Errors
    /// An error of the driver itself; a failed job is part of the [`Outcome`].
    pub fn run(&self, state: &mut State, history: &mut History, display: &mut Display) -> Result<Outcome, Fault> {
        let signals = Signals::handle()?;
        if !state.is_shared() {
            self.note_stale(state, history, display);
        }
        let warned = self.warnings();
        warned.iter().for_each(|warning| display.print(warning));
        let selected = self.jobs.iter().zip(&self.selected).filter(|(_, selected)| **selected);
        let names = selected.map(|(job, _)| job.name());
        let failed_before = |job: &Job| state.record(&job.name()).is_some_and(|record| record.status == Status::Failed);
        let failed_before = self.jobs.iter().map(failed_before).collect();
        if self.options.force {
            state.mark_forced(names);
        }
        let phase = |(job, selected): (&Job, &bool)| match selected {
            true => Phase::Waiting,
            false if self.options.failed.contains(&job.name()) => Phase::Failed,
            false => Phase::NotSelected,
        };
        let scheduler = Scheduler {
            executor: self,
            critical_paths: self.critical_paths(),
            failed_before,
            state,
            history,
            display,
            runner: Box::new(Local::new()),
            phases: self.jobs.iter().zip(&self.selected).map(phase).collect(),
            running: BTreeMap::new(),
            elsewhere: BTreeSet::new(),
            waits_for: BTreeSet::new(),
            looked: Instant::now(),
            pace: Pace::default(),
            signals,
            failures: Vec::new(),
            missing: Vec::new(),
            warned,
            reported: Instant::now(),
        };
        scheduler.run()
    }
}

struct Scheduler<'plan> {
    executor: &'plan Executor<'plan>,
    critical_paths: Vec<f64>,
    /// Whether each job failed the last time.
    failed_before: Vec<bool>,
    state: &'plan mut State,
    history: &'plan mut History,
    display: &'plan mut Display,
    runner: Box<dyn Runner>,
    phases: Vec<Phase>,
    running: BTreeMap<usize, Running>,
    /// Jobs that another driver runs in the same folder, which are looked at again now and then.
    elsewhere: BTreeSet<usize>,
    /// Those that were said to be waited for.
    waits_for: BTreeSet<usize>,
    /// When they were last looked at.
    looked: Instant,
    pace: Pace,
    signals: Signals,
    failures: Vec<Failure>,
    /// What the stages that read the whole study were run without.
    missing: Vec<String>,
    /// The warnings of parameters that were printed.
    warned: BTreeSet<String>,
    /// When the progress was last written for `status`.
    reported: Instant,
}

impl Scheduler<'_> {
    fn run(mut self) -> Result<Outcome, Fault> {
        let result = self.run_jobs();
        if result.is_err() {
            // The error that ended the run is the one to report.
            let _ = self.cancel(Cancel::Interrupt);
        }
        if !self.state.is_shared() {
            progress::clear(Path::new(&self.executor.root));
        }
        result?;
        self.record_adopted();
        self.state.save_hashes();
        self.warn_unsaved();
        Ok(Outcome {
            done: self.phases.iter().map(|phase| *phase == Phase::Done).collect(),
            blocked: self.phases.iter().filter(|phase| **phase == Phase::Blocked).count(),
            failures: self.failures,
            missing: self.missing,
            signal: self.signals.first(),
        })
    }

    fn run_jobs(&mut self) -> Result<(), Fault> {
        let mut interrupted_at: Option<Instant> = None;
        loop {
            let interrupted = self.signals.first().is_some();
            if !interrupted && !self.stops() {
                self.start_ready();
            }
            if self.running.is_empty() && (self.elsewhere.is_empty() || interrupted || self.stops()) {
                return Ok(());
            }
            if self.looked.elapsed() > LOOK_AGAIN {
                self.looked = Instant::now();
                self.elsewhere.clear();
            }
            if interrupted {
                let since = match interrupted_at {
                    Some(since) => since,
                    None => {
                        self.display.print("stopping: trainings save first; once more stops at once");
                        self.cancel(Cancel::Interrupt)?;
                        *interrupted_at.insert(Instant::now())
                    }
                };
                if self.signals.repeated() || since.elapsed() > GRACE_PERIOD {
                    self.cancel(Cancel::Kill)?;
                }
            }
            for Event { array: job, what, .. } in self.runner.poll(Duration::from_millis(100))? {
                match what {
                    What::Line(line) => self.handle_line(job, line),
                    What::Exited(exit, wall) => {
                        if let Err(fault) = self.handle_exit(job, exit, wall) {
                            self.fail(job, Failure::of(&self.executor.jobs[job], &fault));
                        }
                    }
                    What::Named(_) | What::Waits | What::Started | What::Ended(_) => {}
                }
            }
            self.update_overall();
            self.warn_unsaved();
        }
    }

    /// Ends the commands of all jobs that run.
    fn cancel(&mut self, how: Cancel) -> Result<(), Fault> {
        for &job in self.running.keys() {
            self.runner.cancel(job, how)?;
        }
        Ok(())
    }

    /// Whether no more jobs start, since one failed.
    fn stops(&self) -> bool {
        self.executor.options.fail_fast && !self.failures.is_empty()
    }

    /// Notes that a job is done. What it wrote can show that jobs after it have parameters that do not fit.
    fn finish(&mut self, index: usize) {
        let job = &self.executor.jobs[index];
        match self.executor.check_text(job) {
            Ok(()) => {
                self.phases[index] = Phase::Done;
                for warning in self.executor.text_warnings(job) {
                    if !self.warned.contains(&warning) {
                        self.display.print(&warning);
                        self.warned.insert(warning);
                    }
                }
                self.state.settle(&job.name(), None);
            }
            Err(fault) => {
                let message = format!("the text does not fit: {fault}");
                self.fail(index, Failure { message, ..Failure::of(job, &fault) });
            }
        }
    }

    fn fail(&mut self, index: usize, failure: Failure) {
        self.phases[index] = Phase::Failed;
        self.state.settle(&failure.job, Some(&failure));
        self.display.print(&format!("✗ {} · failed: {}", failure.job, failure.message));
        if self.executor.options.fail_fast && !self.running.is_empty() {
            self.display.print("finishing the jobs that run, then stopping (--fail-fast)");
        }
        self.failures.push(failure);
    }

    fn handle_line(&mut self, index: usize, line: Result<Notice, String>) {
        let Some(running) = self.running.get_mut(&index) else { return };
        match line {
            Ok(Notice::Progress { label, done, total, note }) => {
                self.display.progress(index, &label, done, total, &note);
                running.progress = Progress { label, done, total, note };
            }
            Ok(Notice::Message { text }) => {
                running.log.write(&text);
                self.display.print(&format!("  {}: {text}", running.job.name()));
            }
            Ok(Notice::Failed { text }) => running.error = Some(text),
            Err(text) => {
                running.log.write(&text);
                self.display.print(&text);
                running.last_line = Some(text).filter(|text| !text.is_empty()).or(running.last_line.take());
            }
        }
    }
}
