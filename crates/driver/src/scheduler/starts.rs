//! Which jobs start next, and how: run, skipped, linked, brought back, or left out with what they depend on.

use std::path::Path;
use std::time::{Instant, SystemTime};

use declarations::Fault;

use super::{Phase, Running, Scheduler, Start};
use crate::executor::Action;
use crate::failures::Failure;
use crate::key::CacheKey;
use crate::link;
use crate::logs::Log;
use crate::own;
use crate::plan::Job;
use crate::progress::Progress;
use crate::replaced::Replaced;
use crate::runner::{Array, Command};
use crate::shared;
use crate::state::{Record, Status};

impl Scheduler<'_> {
    /// Starts ready jobs, up to the number that may run at once: those that failed before last, else the longest critical path
    /// first.
    pub(super) fn start_ready(&mut self) {
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
                    match self.link(index, other, cache_key.clone()) {
                        Err(fault) if self.state.owns(&name) => {
                            let other = executor.jobs[other].name();
                            self.display
                                .warn(&format!("{name} runs, since it cannot take the tables of {other}: {fault}"));
                        }
                        linked => return linked,
                    }
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
            && let Some((reduced, missing)) = executor.reduced(index, |other| self.is_lost(other))?
        {
            self.display.print(&format!("{}: without {}", job.name(), missing.join(", ")));
            if job.stage.own().is_none() {
                self.missing = missing;
            }
            return Ok(Some(reduced));
        }
        self.phases[index] = Phase::Blocked;
        self.display.print(&format!("· {} · not run: it needs {}", job.name(), executor.jobs[dependency].name()));
        Ok(None)
    }

    /// Whether a job failed, or depends on one that did.
    fn is_lost(&self, index: usize) -> bool {
        matches!(self.phases[index], Phase::Failed | Phase::Blocked)
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
        let job = match job.stage.own() {
            None => job,
            Some(_) => own::prepare(job, Path::new(&executor.root), self.state.fence(&name))?,
        };
        let command = job.command(&executor.programs);
        self.display.print(&format!("▸ {name} · {reason}"));
        if executor.options.verbose {
            self.display.detail(&command);
        }
        let mut log = Log::open(Path::new(&executor.root), &name);
        log.write(&format!("▸ {reason}\n  {command}"));
        let mut words = job.stage.command(&executor.programs).into_iter();
        let program = words.next().unwrap_or_default().into();
        let fence = self.state.fence(&name).cloned();
        let of_job = Command { program, flags: words.chain(job.flags()).collect(), fence };
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
            last_line: None,
        };
        self.running.insert(index, running);
        Ok(())
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
    pub(super) fn will_be_linked(&self, index: usize) -> bool {
        let is_done = |&duplicate: &usize| self.phases[duplicate] == Phase::Done;
        self.awaits_duplicate(index) || self.executor.jobs[index].duplicates.iter().any(is_done)
    }

    /// A finished job whose tables are what a job with this key would write.
    fn same_work(&mut self, index: usize, cache_key: &CacheKey) -> Option<usize> {
        let executor = self.executor;
        let (job, root) = (&executor.jobs[index], Path::new(&executor.root));
        // A link is better than a copy.
        let mut duplicates = job.duplicates.clone();
        duplicates.sort_by_key(|&duplicate| !link::can_link(job, cache_key, &executor.jobs[duplicate], root));
        duplicates.into_iter().find(|&duplicate| {
            // What this run has finished counts also with --force.
            let record = self.state.record(&executor.jobs[duplicate].name());
            match record.filter(|_| self.phases[duplicate] == Phase::Done) {
                Some(record) => executor.has_same_tables(index, duplicate, cache_key, &record.cache_key),
                None if executor.options.force => false,
                None => executor.is_same(index, duplicate, cache_key, self.state, self.history),
            }
        })
    }
}
