//! Runs the DAG: starts ready jobs, several at once, until nothing is left that can run.

mod exits;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use cli::Notice;
use declarations::{Fault, StageName};

use crate::display::Display;
use crate::executor::{Action, Executor};
use crate::failures::{self, Failure, Lost};
use crate::key::CacheKey;
use crate::lineage::History;
use crate::logs::Log;
use crate::pace::{Pace, from_seconds};
use crate::plan::{self, Job};
use crate::progress::{self, Progress};
use crate::replaced::Replaced;
use crate::runner::{Array, Cancel, Command, Event, Local, Runner, What};
use crate::shared;
use crate::signals::Signals;
use crate::state::{Record, State, Status};

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

    /// Starts ready jobs, up to the number that may run at once: those that failed before last, else the longest critical path
    /// first.
    fn start_ready(&mut self) {
        while self.running.len() < self.executor.machine.parallel_jobs
            && !self.stops()
            && self.signals.first().is_none()
        {
            let ready = self.ready();
            let first = |one: &&usize, other: &&usize| {
                let last = |index: usize| self.failed_before[index];
                let path = |index: usize| self.critical_paths[index];
                last(**one).cmp(&last(**other)).then(path(**other).total_cmp(&path(**one)))
            };
            let Some(&index) = ready.iter().filter(|index| self.fits(**index)).min_by(first) else { return };
            if let Err(fault) = self.dispatch(index, ready.len()) {
                self.fail(index, Failure::of(&self.executor.jobs[index], &fault));
            }
        }
    }

    /// The waiting jobs whose dependencies have finished.
    fn ready(&self) -> Vec<usize> {
        let is_ready = |job: &Job| {
            let finished = |index: &usize| !matches!(self.phases[*index], Phase::Waiting | Phase::Running);
            job.dependencies.iter().all(finished)
        };
        let jobs = self.executor.jobs.iter().enumerate();
        jobs.filter(|(index, job)| self.phases[*index] == Phase::Waiting && is_ready(job))
            .filter(|(index, _)| !self.elsewhere.contains(index))
            .filter(|(index, _)| !self.awaits_duplicate(*index))
            .map(|(index, _)| index)
            .collect()
    }

    /// Whether a job fits beside those that run: its memory, and one job at a time on a GPU. Alone, every job fits.
    fn fits(&self, index: usize) -> bool {
        let job = &self.executor.jobs[index];
        let memory: f64 = self.running.values().map(|running| running.job.cost.memory).sum();
        let on_gpu = self.running.values().any(|running| running.job.on_gpu());
        self.running.is_empty()
            || (memory + job.cost.memory <= self.executor.machine.memory && !(job.on_gpu() && on_gpu))
    }

    /// Starts, skips, omits or blocks a job that is ready, one of `ready` such jobs.
    fn dispatch(&mut self, index: usize, ready: usize) -> Result<(), Fault> {
        let executor = self.executor;
        let name = executor.jobs[index].name();
        let Some(job) = self.possible(index)? else { return Ok(()) };
        if !self.state.claim(&name)? {
            if self.elsewhere.insert(index) && self.waits_for.insert(index) {
                self.display.print(&format!("· {name} · another run of the pipeline has it: waiting"));
            }
            return Ok(());
        }
        if self.state.is_shared() {
            // What they have just recorded is nowhere else yet.
            let job = &executor.jobs[index];
            for other in job.dependencies.iter().chain(&job.duplicates).map(|other| executor.jobs[*other].name()) {
                if let Some(outcome) = shared::read(Path::new(&executor.root), &other) {
                    self.state.adopt(&other, outcome);
                }
            }
        }
        match executor.action(&job, self.state, self.history) {
            Ok(Action::Skip { reason, adopted }) => {
                if let Some(record) = adopted {
                    self.state.insert(&name, record);
                }
                self.display.print(&format!("· {name} · {reason}"));
                self.finish(index);
            }
            Ok(Action::Omit(reason)) => {
                self.phases[index] = Phase::Omitted;
                self.state.settle(&name, None);
                self.display.print(&format!("· {name} · omitted: {reason}"));
            }
            Ok(Action::Restore { reason, cache_key }) => {
                let replaced = Replaced::of(&job, Path::new(&executor.root));
                replaced.put_aside(self.state.record(&name))?;
                let fingerprint = cache_key.fingerprint();
                if let Some(record) = replaced.record(&fingerprint) {
                    self.state.insert(&name, record);
                    replaced.restore(&fingerprint)?;
                }
                // Still waiting, it is looked at again.
                self.display.print(&format!("· {name} · {reason}"));
            }
            Ok(Action::Run { reason, from_scratch, cache_key, program }) => {
                let replaced = if from_scratch { self.put_aside(&job)? } else { None };
                self.state.insert(&name, Record::new(Status::Started, cache_key.clone()));
                if let Some(other) = self.same_work(index, &cache_key) {
                    return self.link(index, other, cache_key);
                }
                let threads = self.threads(ready);
                let reason = format!("run: {reason}");
                self.start(index, job.with_threads(threads), Start { reason, threads, cache_key, program, replaced })?;
            }
            Err(fault) => self.fail(index, Failure::of(&job, &fault)),
        }
        Ok(())
    }

    /// The job as it can run after what failed: a stage that reads the whole study reads what there is of it, and any other job
    /// is blocked or omitted with what it depends on.
    fn possible(&mut self, index: usize) -> Result<Option<Job>, Fault> {
        let executor = self.executor;
        let job = &executor.jobs[index];
        // The nearest first: what depends on a stage of the whole study cannot do without it.
        let find = |phases: &[Phase], wanted: &[Phase]| {
            job.dependencies.iter().rev().copied().find(|dependency| wanted.contains(&phases[*dependency]))
        };
        if let Some(dependency) = find(&self.phases, &[Phase::Omitted]) {
            self.phases[index] = Phase::Omitted;
            let reason = format!("omitted: it needs {}", executor.jobs[dependency].name());
            self.display.print(&format!("· {} · {reason}", job.name()));
            return Ok(None);
        }
        // What failed for one run fails for every other.
        if let Some(&same) = job.duplicates.iter().find(|duplicate| self.phases[**duplicate] == Phase::Failed) {
            self.phases[index] = Phase::Blocked;
            let same = executor.jobs[same].name();
            self.display.print(&format!("· {} · not run: {same}, which does the same, failed", job.name()));
            return Ok(None);
        }
        let Some(dependency) = find(&self.phases, &[Phase::Failed, Phase::Blocked]) else {
            return Ok(Some(job.clone()));
        };
        if job.stage.whole_study()
            && !executor.jobs[dependency].stage.whole_study()
            && let Some((reduced, missing)) = self.reduced(job.stage)?
        {
            self.display.print(&format!("{}: without {}", job.name(), missing.join(", ")));
            self.missing = missing;
            return Ok(Some(reduced));
        }
        self.phases[index] = Phase::Blocked;
        self.display.print(&format!("· {} · not run: it needs {}", job.name(), executor.jobs[dependency].name()));
        Ok(None)
    }

    /// The job of a stage that reads the whole study, for what there is of it; and what there is not.
    fn reduced(&self, stage: StageName) -> Result<Option<(Job, Vec<String>)>, Fault> {
        let executor = self.executor;
        let is_lost = |(_, phase): &(&Job, &Phase)| matches!(phase, Phase::Failed | Phase::Blocked);
        let lost = executor.jobs.iter().zip(&self.phases).filter(is_lost);
        let lost: Vec<Lost> = lost.filter_map(|(job, _)| Lost::of(job)).collect();
        let Some((rest, missing)) = failures::without(&executor.study.specification(), &lost) else { return Ok(None) };
        let jobs = plan::of_study(executor.study, rest, &executor.root)?;
        Ok(jobs.into_iter().find(|job| job.stage == stage).map(|job| (job, missing)))
    }

    /// Moves what a job wrote before aside; where that is, if there was anything.
    fn put_aside(&self, job: &Job) -> Result<Option<String>, Fault> {
        // Before the job is recorded as started, so that what resumes it finds no older files.
        Replaced::of(job, Path::new(&self.executor.root)).put_aside(self.state.record(&job.name()))
    }

    /// The threads of a job that starts now, one of `ready`.
    fn threads(&self, ready: usize) -> usize {
        let busy = self.running.values().map(|running| running.threads).sum();
        self.executor.machine.threads(busy, ready, self.running.len())
    }

    fn start(&mut self, index: usize, job: Job, start: Start) -> Result<(), Fault> {
        let executor = self.executor;
        let Start { reason, threads, cache_key, program: start_program, replaced } = start;
        let name = job.name();
        let command = job.command(&executor.programs);
        self.display.print(&format!("▸ {name} · {reason}"));
        if executor.options.verbose {
            self.display.detail(&command);
        }
        let mut log = Log::open(Path::new(&executor.root), &name);
        log.write(&format!("▸ {reason}\n  {command}"));
        let program = Path::new(&executor.programs).join(job.stage.word());
        let of_job = Command { program, flags: job.flags(), fence: self.state.fence(&name).cloned() };
        self.runner.spawn(&Array {
            key: index,
            name: name.clone(),
            commands: vec![(0, of_job)],
            ..Array::default()
        })?;
        self.display.begin(index, &name);
        self.phases[index] = Phase::Running;
        let running = Running {
            job,
            command,
            threads,
            log,
            cache_key,
            program: start_program,
            replaced,
            started_at: SystemTime::now(),
            started: Instant::now(),
            progress: Progress::default(),
            error: None,
        };
        self.running.insert(index, running);
        Ok(())
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

    /// Whether a job waits for one that does the same: the first of several is run, then the others are linked.
    fn awaits_duplicate(&self, index: usize) -> bool {
        self.executor.jobs[index].duplicates.iter().any(|&duplicate| match self.phases[duplicate] {
            Phase::Running => true,
            Phase::Waiting => duplicate < index,
            _ => false,
        })
    }

    /// Whether a waiting job will be linked.
    fn will_be_linked(&self, index: usize) -> bool {
        let is_done = |&duplicate: &usize| self.phases[duplicate] == Phase::Done;
        self.awaits_duplicate(index) || self.executor.jobs[index].duplicates.iter().any(is_done)
    }

    /// A finished job whose tables are what a job with this key would write.
    fn same_work(&mut self, index: usize, cache_key: &CacheKey) -> Option<usize> {
        let executor = self.executor;
        executor.jobs[index].duplicates.iter().copied().find(|&duplicate| {
            // What this run has finished counts also with --force.
            let record = self.state.record(&executor.jobs[duplicate].name());
            match record.filter(|_| self.phases[duplicate] == Phase::Done) {
                Some(record) => executor.has_same_tables(index, duplicate, cache_key, &record.cache_key),
                None if executor.options.force => false,
                None => executor.is_same(index, duplicate, cache_key, self.state, self.history),
            }
        })
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
            }
        }
    }

    fn update_overall(&mut self) {
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
