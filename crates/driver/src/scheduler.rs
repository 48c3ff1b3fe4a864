//! Runs the DAG: starts ready jobs, several at once, until all are done or one fails.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cli::Notice;
use declarations::Fault;
use schemas::enums;
use schemas::tables::Lineage;
use signal_hook::consts::{SIGABRT, SIGHUP, SIGINT, SIGKILL, SIGTERM};
use signal_hook::low_level::signal_name;

use crate::display::Display;
use crate::executor::{Action, Executor};
use crate::format::{duration, size};
use crate::lineage::History;
use crate::pace::{Pace, from_seconds};
use crate::plan::Job;
use crate::process::{Event, Exit, Process, is_ignored, keep_exited_children};
use crate::stale;
use crate::state::{CacheKey, Record, State, Status};

/// How long a stage may take to exit after SIGTERM, before it is killed.
const GRACE_PERIOD: Duration = Duration::from_secs(10);

/// How a run of the pipeline ended.
pub enum Outcome {
    /// All selected jobs are done or omitted: for each job, whether it is done.
    Complete(Vec<bool>),
    /// A job failed; the exit code.
    Failed(u8),
    /// A signal stopped it; the exit code.
    Interrupted(u8),
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Phase {
    NotSelected,
    Waiting,
    Running,
    Done,
    Omitted,
    Failed,
}

struct Running {
    process: Process,
    command: String,
    is_duplicate: bool,
    cache_key: CacheKey,
    started_at: SystemTime,
    started: Instant,
    /// From 0 to 1, by its own progress.
    fraction: f64,
    /// The error that it reported.
    error: Option<String>,
}

impl Executor<'_> {
    /// Runs the selected jobs that are stale.
    ///
    /// # Errors
    /// An error of the driver itself; a failed job is an [`Outcome`].
    pub fn run(&self, state: &mut State, history: &mut History, display: &mut Display) -> Result<Outcome, Fault> {
        let signal = Arc::new(AtomicUsize::new(0));
        for number in [SIGINT, SIGTERM, SIGHUP] {
            // Under nohup a closed terminal must not stop the run.
            if number == SIGHUP && is_ignored(number) {
                continue;
            }
            let value = usize::try_from(number).map_err(|_| Fault::bug("a negative signal"))?;
            signal_hook::flag::register_usize(number, Arc::clone(&signal), value)
                .map_err(|error| Fault::bug(format!("signal {number} cannot be handled: {error}")))?;
        }
        keep_exited_children();
        self.note_stale(state, history, display);
        if let Some(note) = self.note_replaced(state) {
            display.print(&note);
        }
        if self.force {
            let selected = self.jobs.iter().zip(&self.selected).filter(|(_, selected)| **selected);
            state.mark_forced(selected.map(|(job, _)| job.name()))?;
        }
        let (sender, events) = channel();
        let phase = |selected: &bool| if *selected { Phase::Waiting } else { Phase::NotSelected };
        let scheduler = Scheduler {
            executor: self,
            critical_paths: self.critical_paths(),
            state,
            history,
            display,
            sender,
            events,
            phases: self.selected.iter().map(phase).collect(),
            running: BTreeMap::new(),
            pace: Pace::default(),
            signal,
            failure: None,
        };
        scheduler.run()
    }
}

struct Scheduler<'plan> {
    executor: &'plan Executor<'plan>,
    critical_paths: Vec<f64>,
    state: &'plan mut State,
    history: &'plan mut History,
    display: &'plan mut Display,
    sender: Sender<Event>,
    events: Receiver<Event>,
    phases: Vec<Phase>,
    running: BTreeMap<usize, Running>,
    pace: Pace,
    /// The signal that the driver got, 0 for none.
    signal: Arc<AtomicUsize>,
    /// The exit code of the first job that failed.
    failure: Option<u8>,
}

impl Scheduler<'_> {
    fn run(mut self) -> Result<Outcome, Fault> {
        let result = self.run_jobs();
        if result.is_err() {
            self.running.values().for_each(|running| running.process.terminate());
        }
        result?;
        self.state.save_hashes()?;
        Ok(match (self.signal.load(Ordering::Relaxed), self.failure) {
            (0, None) => Outcome::Complete(self.phases.iter().map(|phase| *phase == Phase::Done).collect()),
            (0, Some(code)) => Outcome::Failed(code),
            (signal, _) => Outcome::Interrupted(u8::try_from(128 + signal).unwrap_or(1)),
        })
    }

    fn run_jobs(&mut self) -> Result<(), Fault> {
        let mut terminated: Option<Instant> = None;
        loop {
            let interrupted = self.signal.load(Ordering::Relaxed) != 0;
            if !interrupted && self.failure.is_none() {
                self.start_ready()?;
            }
            if self.running.is_empty() {
                return Ok(());
            }
            if interrupted {
                let since = *terminated.get_or_insert_with(|| {
                    self.running.values().for_each(|running| running.process.terminate());
                    Instant::now()
                });
                if since.elapsed() > GRACE_PERIOD {
                    self.running.values().for_each(|running| running.process.kill());
                }
            }
            match self.events.recv_timeout(Duration::from_millis(100)) {
                Ok(Event::Line { job, line }) => self.handle_line(job, line),
                Ok(Event::Exited { job, wall }) => self.handle_exit(job, wall)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Fault::bug("the channel of events is closed")),
            }
            self.update_overall();
        }
    }

    /// Starts ready jobs, the longest critical path first, up to the number that may run at once.
    fn start_ready(&mut self) -> Result<(), Fault> {
        while self.running.len() < self.executor.parallel_jobs && self.failure.is_none() {
            let is_ready = |job: &Job| {
                let finished = |index: &usize| !matches!(self.phases[*index], Phase::Waiting | Phase::Running);
                job.dependencies.iter().all(finished)
            };
            let jobs = self.executor.jobs.iter().enumerate();
            let ready = jobs
                .filter(|(index, job)| self.phases[*index] == Phase::Waiting && is_ready(job))
                .filter(|(index, _)| !self.awaits_duplicate(*index));
            let path = |index: usize| self.critical_paths[index];
            let Some((index, _)) = ready.rev().max_by(|(one, _), (other, _)| path(*one).total_cmp(&path(*other)))
            else {
                return Ok(());
            };
            self.dispatch(index)?;
            if self.signal.load(Ordering::Relaxed) != 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Starts, skips or omits a job that is ready.
    fn dispatch(&mut self, index: usize) -> Result<(), Fault> {
        let executor = self.executor;
        let job = &executor.jobs[index];
        let name = job.name();
        let omitted = job.dependencies.iter().find(|dependency| self.phases[**dependency] == Phase::Omitted);
        let action = match omitted {
            Some(dependency) => Ok(Action::Omit(format!("it needs {}", executor.jobs[*dependency].name()))),
            None => executor.action(job, self.state, self.history),
        };
        match action {
            Ok(Action::Skip(reason)) => {
                self.phases[index] = Phase::Done;
                self.display.print(&format!("· {name} · {reason}"));
            }
            Ok(Action::Omit(reason)) => {
                self.phases[index] = Phase::Omitted;
                self.display.print(&format!("· {name} · omitted: {reason}"));
            }
            Ok(Action::Run { reason, from_scratch, cache_key }) => {
                if from_scratch {
                    // Before it is recorded as started, so that what resumes it finds no older files.
                    stale::remove(job, Path::new(&executor.root))?;
                }
                let record = Record { status: Status::Started, cache_key: cache_key.clone(), outputs: BTreeMap::new() };
                self.state.insert(&name, record)?;
                let duplicate = self.finished_duplicate(index);
                let (job, remark) = executor.with_duplicate(index, duplicate);
                let command = job.command(&executor.programs);
                self.display.print(&format!("▸ {name} · run: {reason}{remark}"));
                self.display.detail(&command);
                let program = Path::new(&executor.programs).join(job.stage.word());
                let process = Process::start(index, &program, &job.flags(), self.sender.clone())?;
                self.display.begin(index, &name);
                self.phases[index] = Phase::Running;
                let running = Running {
                    process,
                    command,
                    is_duplicate: duplicate.is_some(),
                    cache_key,
                    started_at: SystemTime::now(),
                    started: Instant::now(),
                    fraction: 0.0,
                    error: None,
                };
                self.running.insert(index, running);
            }
            Err(fault) => {
                self.phases[index] = Phase::Failed;
                self.failure = Some(fault.kind() as u8);
                self.display.print(&format!("error: {fault}"));
            }
        }
        Ok(())
    }

    /// Whether a training waits for a duplicate to copy: the first of several duplicates is trained, then the others are
    /// copied.
    fn awaits_duplicate(&self, index: usize) -> bool {
        self.executor.jobs[index].duplicates.iter().any(|&duplicate| match self.phases[duplicate] {
            Phase::Running => true,
            Phase::Waiting => duplicate < index,
            _ => false,
        })
    }

    /// Whether a waiting training will be copied.
    fn will_be_copied(&self, index: usize) -> bool {
        let trained = |&duplicate: &usize| self.phases[duplicate] == Phase::Done;
        self.awaits_duplicate(index) || self.executor.jobs[index].duplicates.iter().any(trained)
    }

    /// A duplicate of a training that is trained.
    fn finished_duplicate(&mut self, index: usize) -> Option<usize> {
        let executor = self.executor;
        executor.jobs[index].duplicates.iter().copied().find(|&duplicate| {
            self.phases[duplicate] == Phase::Done || executor.is_up_to_date(duplicate, self.state, self.history)
        })
    }

    fn handle_line(&mut self, index: usize, line: Result<Notice, String>) {
        match line {
            Ok(Notice::Progress { label, done, total, note }) => {
                if let Some(running) = self.running.get_mut(&index) {
                    running.fraction = done as f64 / total.max(1) as f64;
                }
                self.display.progress(index, &label, done, total, &note);
            }
            Ok(Notice::Message { text }) => {
                self.display.print(&format!("  {}: {text}", self.executor.jobs[index].name()));
            }
            Ok(Notice::Failed { text }) => {
                if let Some(running) = self.running.get_mut(&index) {
                    running.error = Some(text);
                }
            }
            Err(text) => self.display.print(&text),
        }
    }

    fn handle_exit(&mut self, index: usize, wall: Duration) -> Result<(), Fault> {
        let job = &self.executor.jobs[index];
        let name = job.name();
        let Some(running) = self.running.remove(&index) else { return Ok(()) };
        let Exit { status, peak_rss_bytes } = running.process.reap()?;
        self.display.end(index);
        let present = stale::outputs(job, Path::new(&self.executor.root), self.state)?;
        let failure = match (status.success(), stale::missing(job, &present)) {
            (true, None) => None,
            (true, Some(path)) => Some((1, format!("exited 0 but did not write {path}"))),
            (false, _) => Some(explain(status, running.error, self.executor.parallel_jobs)),
        };
        let interrupted = self.was_interrupted(status);
        let fingerprint = running.cache_key.fingerprint();
        let outcome = match &failure {
            None => Status::Done,
            // An interrupted job resumes.
            Some(_) if interrupted => Status::Started,
            Some(_) => Status::Failed,
        };
        let record = Record { status: outcome, cache_key: running.cache_key, outputs: present };
        self.state.insert(&name, record)?;
        let since = running.started_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.history.add(Lineage {
            node: name.clone(),
            stage: job.stage.word().to_owned(),
            command: running.command.clone(),
            fingerprint,
            status: if failure.is_none() { enums::Status::Done } else { enums::Status::Failed },
            wall_secs: wall.as_secs_f64(),
            peak_rss_bytes,
            started_at_secs: since.as_secs_f64(),
        })?;
        let peak = peak_rss_bytes.map_or(String::new(), |peak| format!(" · peak memory {}", size(peak as f64)));
        let cost = format!("{}{peak}", duration(wall));
        match failure {
            None => {
                self.phases[index] = Phase::Done;
                if !running.is_duplicate {
                    self.pace.add(job, wall);
                }
                self.display.print(&format!("✓ {name} · {cost}"));
            }
            Some(_) if interrupted => {
                self.phases[index] = Phase::Failed;
                self.display.print(&format!("· {name} · interrupted after {cost}"));
            }
            Some((code, message)) => {
                self.phases[index] = Phase::Failed;
                self.failure.get_or_insert(code);
                self.display.print(&format!("error: {name} failed after {cost}: {message}"));
                self.display.detail(&running.command);
                if !self.running.is_empty() {
                    self.display.print("finishing the jobs that run, then stopping");
                }
            }
        }
        Ok(())
    }

    /// Whether a stage was stopped by the user: a terminal sends SIGINT to the driver and to its stages at once.
    fn was_interrupted(&self, status: ExitStatus) -> bool {
        if status.signal() == Some(SIGINT) {
            let number = SIGINT.unsigned_abs() as usize;
            let _ = self.signal.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
        }
        self.signal.load(Ordering::Relaxed) != 0
    }

    fn update_overall(&mut self) {
        let selected = self.executor.selected.iter().filter(|selected| **selected).count();
        let finished = |phase: &&Phase| matches!(phase, Phase::Done | Phase::Omitted | Phase::Failed);
        let done = self.phases.iter().filter(finished).count();
        let projected = |running: &Running| {
            (running.fraction > 0.02).then(|| running.started.elapsed().as_secs_f64() / running.fraction)
        };
        // The progress of running jobs predicts the time of similar ones before the first has finished.
        let mut pace = self.pace.clone();
        for (index, running) in self.running.iter().filter(|(_, running)| !running.is_duplicate) {
            if let Some(seconds) = projected(running) {
                pace.add(&self.executor.jobs[*index], from_seconds(seconds));
            }
        }
        let mut seconds = Some(0.0);
        for (index, job) in self.executor.jobs.iter().enumerate() {
            let running = self.running.get(&index);
            let share = match self.phases[index] {
                // A copy takes next to no time.
                Phase::Waiting if self.will_be_copied(index) => continue,
                Phase::Waiting => 1.0,
                Phase::Running => running.map_or(0.0, |running| 1.0 - running.fraction),
                _ => continue,
            };
            let cost = running.and_then(projected).or_else(|| pace.seconds(job));
            seconds = seconds.zip(cost).map(|(sum, cost)| sum + share * cost);
        }
        let left = seconds.map(|seconds| from_seconds(seconds / self.executor.parallel_jobs as f64));
        self.display.overall(done, selected, left);
    }
}

/// The exit code and the message for a stage that failed with `error` while up to `parallel` jobs ran at once.
fn explain(status: ExitStatus, error: Option<String>, parallel: usize) -> (u8, String) {
    match (status.code(), status.signal()) {
        (Some(code @ 1..=3), _) => {
            let code = u8::try_from(code).unwrap_or(1);
            (code, error.unwrap_or_else(|| format!("exited with code {code}")))
        }
        (Some(code), _) => (1, error.unwrap_or_else(|| format!("exited with code {code}: internal error (bug)"))),
        // The out-of-memory killer sends SIGKILL; a Rust program that cannot allocate aborts.
        (None, Some(signal @ (SIGKILL | SIGABRT))) => {
            let name = signal_name(signal).unwrap_or_default();
            let fewer = if parallel > 1 { "--jobs 1, or " } else { "" };
            (3, format!("killed ({name}), probably out of memory: try {fewer}a smaller model or batch"))
        }
        (None, signal) => {
            let signal = signal.unwrap_or_default();
            let name = signal_name(signal).map_or_else(|| format!("signal {signal}"), str::to_owned);
            (1, format!("killed ({name})"))
        }
    }
}
