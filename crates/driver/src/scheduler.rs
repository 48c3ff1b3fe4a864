//! Running the graph: what is ready, several at once, until all is done or something fails.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cli::{Fault, Notice};
use schemas::tables::Lineage;
use signal_hook::consts::{SIGABRT, SIGHUP, SIGINT, SIGKILL, SIGTERM};

use crate::display::{Display, duration, size};
use crate::executor::{Action, Executor};
use crate::lineage::History;
use crate::pace::{Pace, span};
use crate::plan::Job;
use crate::process::{Event, Process, is_ignored};
use crate::stale;
use crate::state::{CacheKey, Record, State, Status};

/// How long a stage that was asked to end may take to do so.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a run of the pipeline ended.
pub enum Outcome {
    /// Everything that was asked for is there, but for what was left out: for each job, whether it is there as it should be.
    Complete(Vec<bool>),
    /// A job failed; the exit code to end with.
    Failed(u8),
    /// A signal ended it; the exit code to end with.
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
    fraction: f64,
    message: Option<String>,
}

impl Executor<'_> {
    /// Runs what is stale.
    pub fn run(&self, state: &mut State, history: &mut History, display: &mut Display) -> Result<Outcome, Fault> {
        let signal = Arc::new(AtomicUsize::new(0));
        for number in [SIGINT, SIGTERM, SIGHUP] {
            // Under nohup a closed terminal is to end nothing.
            if number == SIGHUP && is_ignored(number) {
                continue;
            }
            let value = usize::try_from(number).map_err(|_| Fault::defect("a negative signal"))?;
            signal_hook::flag::register_usize(number, Arc::clone(&signal), value)?;
        }
        self.note_stale(state, history, display)?;
        if let Some(note) = self.note_replaced(state) {
            display.print(&note);
        }
        if self.force {
            let selected = self.jobs.iter().zip(&self.selected).filter(|(_, selected)| **selected);
            state.mark_forced(selected.map(|(job, _)| job.name()))?;
        }
        let (sender, events) = channel();
        let phase = |selected: &bool| if *selected { Phase::Waiting } else { Phase::NotSelected };
        let phases = self.selected.iter().map(phase).collect();
        let scheduler = Scheduler {
            executor: self,
            critical_paths: self.critical_paths(),
            state,
            history,
            display,
            sender,
            events,
            phases,
            running: BTreeMap::new(),
            pace: Pace::default(),
            signal,
            failure: None,
        };
        scheduler.finish()
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
    signal: Arc<AtomicUsize>,
    failure: Option<u8>,
}

impl Scheduler<'_> {
    fn finish(mut self) -> Result<Outcome, Fault> {
        let result = self.run_all();
        if result.is_err() {
            // A fault of the driver's own ends what it started.
            self.running.values().for_each(|running| running.process.end(false));
        }
        result?;
        self.state.save_hashes()?;
        Ok(match (self.signal.load(Ordering::Relaxed), self.failure) {
            (0, None) => Outcome::Complete(self.phases.iter().map(|phase| *phase == Phase::Done).collect()),
            (0, Some(code)) => Outcome::Failed(code),
            (signal, _) => Outcome::Interrupted(u8::try_from(128 + signal).unwrap_or(1)),
        })
    }

    fn run_all(&mut self) -> Result<(), Fault> {
        let mut asked_to_exit: Option<Instant> = None;
        loop {
            let signalled = self.signal.load(Ordering::Relaxed) != 0;
            if !signalled && self.failure.is_none() {
                self.start_ready()?;
            }
            if self.running.is_empty() {
                return Ok(());
            }
            if signalled {
                let since = *asked_to_exit.get_or_insert_with(|| {
                    self.running.values().for_each(|running| running.process.end(false));
                    Instant::now()
                });
                if since.elapsed() > PATIENCE {
                    self.running.values().for_each(|running| running.process.end(true));
                }
            }
            match self.events.recv_timeout(Duration::from_millis(100)) {
                Ok(Event::Line { job, line }) => self.handle_line(job, line),
                Ok(Event::Ended { job, status, wall, peak_rss_bytes }) => {
                    self.handle_exit(job, status, wall, peak_rss_bytes)?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Fault::defect("nobody can tell of the stages")),
            }
            self.update_overall();
        }
    }

    /// Starts what is ready, the costliest chain first, as long as there is room.
    fn start_ready(&mut self) -> Result<(), Fault> {
        while self.running.len() < self.executor.parallel_jobs && self.failure.is_none() {
            let is_ready = |job: &Job| {
                let finished =
                    |dependency: &usize| !matches!(self.phases[*dependency], Phase::Waiting | Phase::Running);
                job.dependencies.iter().all(finished)
            };
            let ready = self
                .executor
                .jobs
                .iter()
                .enumerate()
                .filter(|(position, job)| self.phases[*position] == Phase::Waiting && is_ready(job))
                .filter(|(position, _)| !self.awaits_duplicate(*position));
            let Some((position, _)) = ready
                .rev()
                .max_by(|(one, _), (other, _)| self.critical_paths[*one].total_cmp(&self.critical_paths[*other]))
            else {
                return Ok(());
            };
            self.dispatch(position)?;
            if self.signal.load(Ordering::Relaxed) != 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    fn dispatch(&mut self, position: usize) -> Result<(), Fault> {
        let executor = self.executor;
        let job = &executor.jobs[position];
        let name = job.name();
        let omitted = job.dependencies.iter().find(|dependency| self.phases[**dependency] == Phase::Omitted);
        let action = match omitted {
            Some(dependency) => Ok(Action::Omit(format!("it needs {}", executor.jobs[*dependency].name()))),
            None => executor.action(job, self.state, self.history),
        };
        match action {
            Ok(Action::Skip(reason)) => {
                self.phases[position] = Phase::Done;
                self.display.print(&format!("· {name} · skip: {reason}"));
            }
            Ok(Action::Omit(reason)) => {
                self.phases[position] = Phase::Omitted;
                self.display.print(&format!("· {name} · left out: {reason}"));
            }
            Ok(Action::Run { reason, from_scratch, cache_key }) => {
                if from_scratch {
                    // Before the record says that it began: whoever goes on finds nothing of old.
                    stale::remove(job, Path::new(&executor.root))?;
                }
                let record = Record { status: Status::Started, cache_key: cache_key.clone(), outputs: BTreeMap::new() };
                self.state.insert(&name, record)?;
                let duplicate = self.finished_duplicate(position);
                let (job, remark) = executor.with_duplicate(position, duplicate);
                let command = job.command(&executor.programs);
                self.display.print(&format!("▸ {name} · run: {reason}{remark}"));
                self.display.detail(&command);
                let program = Path::new(&executor.programs).join(job.stage.name());
                let process = Process::start(position, &program, &job.flags(), self.sender.clone())?;
                self.display.begin(position, &name);
                self.phases[position] = Phase::Running;
                let running = Running {
                    process,
                    command,
                    is_duplicate: duplicate.is_some(),
                    cache_key,
                    started_at: SystemTime::now(),
                    started: Instant::now(),
                    fraction: 0.0,
                    message: None,
                };
                self.running.insert(position, running);
            }
            Err(fault) => {
                self.phases[position] = Phase::Failed;
                self.failure = Some(fault.kind() as u8);
                self.display.print(&format!("error: {fault}"));
            }
        }
        Ok(())
    }

    /// Whether a training waits for one that is the same but for the run's name, to be copied from it: the first of such duplicates
    /// is computed, and the others follow.
    fn awaits_duplicate(&self, position: usize) -> bool {
        self.executor.jobs[position].duplicates.iter().any(|&duplicate| match self.phases[duplicate] {
            Phase::Running => true,
            Phase::Waiting => duplicate < position,
            _ => false,
        })
    }

    /// Whether a job that waits will be copied and not computed.
    fn will_be_copied(&self, position: usize) -> bool {
        let trained = |&duplicate: &usize| self.phases[duplicate] == Phase::Done;
        self.awaits_duplicate(position) || self.executor.jobs[position].duplicates.iter().any(trained)
    }

    /// A training that is there and the same but for the run's name.
    fn finished_duplicate(&mut self, position: usize) -> Option<usize> {
        let executor = self.executor;
        executor.jobs[position].duplicates.iter().copied().find(|&duplicate| {
            let done_now = self.phases[duplicate] == Phase::Done;
            done_now || executor.is_up_to_date(duplicate, self.state, self.history)
        })
    }

    fn handle_line(&mut self, position: usize, line: Result<Notice, String>) {
        let name = self.executor.jobs[position].name();
        match line {
            Ok(Notice::Progress { label, done, total, note }) => {
                if let Some(running) = self.running.get_mut(&position) {
                    running.fraction = done as f64 / total.max(1) as f64;
                }
                self.display.progress(position, &label, done, total, &note);
            }
            Ok(Notice::Message { text }) => self.display.print(&format!("  {name}: {text}")),
            Ok(Notice::Failed { text }) => {
                if let Some(running) = self.running.get_mut(&position) {
                    running.message = Some(text);
                }
            }
            Err(text) => self.display.print(&text),
        }
    }

    fn handle_exit(
        &mut self,
        position: usize,
        status: ExitStatus,
        wall: Duration,
        peak: Option<u64>,
    ) -> Result<(), Fault> {
        let job = &self.executor.jobs[position];
        let name = job.name();
        let Some(running) = self.running.remove(&position) else { return Ok(()) };
        self.display.end(position);
        let present = stale::outputs(job, Path::new(&self.executor.root), self.state)?;
        let missing =
            job.outputs.iter().map(|path| path.to_string_lossy()).find(|path| !present.contains_key(path.as_ref()));
        let failure = match (status.success(), missing) {
            (true, None) => None,
            (true, Some(path)) => Some((1, format!("it ended well and did not write {path}"))),
            (false, _) => Some(explain(status, running.message.as_deref(), self.executor.parallel_jobs)),
        };
        let interrupted = self.interrupted(status);
        let fingerprint = running.cache_key.fingerprint();
        let outcome = match &failure {
            None => Status::Done,
            // Asked to end, it goes on from where it was.
            Some(_) if interrupted => Status::Started,
            Some(_) => Status::Failed,
        };
        let record = Record { status: outcome, cache_key: running.cache_key, outputs: present };
        self.state.insert(&name, record)?;
        let since = running.started_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.history.add(Lineage {
            node: name.clone(),
            stage: job.stage.name().to_owned(),
            command: running.command.clone(),
            fingerprint,
            status: if failure.is_none() { "done" } else { "failed" }.to_owned(),
            wall_secs: wall.as_secs_f64(),
            peak_rss_bytes: peak,
            started_at_secs: since.as_secs_f64(),
        })?;
        let peak = peak.map_or(String::new(), |peak| format!(" · peak memory {}", size(peak)));
        let cost = format!("{}{peak}", duration(wall));
        match failure {
            None => {
                self.phases[position] = Phase::Done;
                if !running.is_duplicate {
                    self.pace.learn(job, wall);
                }
                self.display.print(&format!("✓ {name} · {cost}"));
            }
            Some(_) if interrupted => {
                self.phases[position] = Phase::Failed;
                self.display.print(&format!("· {name} · interrupted after {cost}"));
            }
            Some((code, message)) => {
                self.phases[position] = Phase::Failed;
                self.failure.get_or_insert(code);
                self.display.print(&format!("error: {name} failed after {cost}: {message}"));
                self.display.detail(&running.command);
                if !self.running.is_empty() {
                    self.display.print("what runs beside it is finished, then the pipeline stops");
                }
            }
        }
        Ok(())
    }

    /// Whether a stage ended because a person asked for it; a terminal tells driver and stages at once.
    fn interrupted(&self, status: ExitStatus) -> bool {
        if status.signal() == Some(SIGINT) {
            let _ = self.signal.compare_exchange(0, SIGINT as usize, Ordering::Relaxed, Ordering::Relaxed);
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
        // What works now says what others like it will take, before the first of them has ended.
        let mut pace = self.pace.clone();
        for (position, running) in self.running.iter().filter(|(_, running)| !running.is_duplicate) {
            if let Some(seconds) = projected(running) {
                pace.learn(&self.executor.jobs[*position], span(seconds));
            }
        }
        let mut seconds = Some(0.0);
        for (position, job) in self.executor.jobs.iter().enumerate() {
            let running = self.running.get(&position);
            let share = match self.phases[position] {
                // It will be copied, in no time.
                Phase::Waiting if self.will_be_copied(position) => continue,
                Phase::Waiting => 1.0,
                Phase::Running => running.map_or(0.0, |running| 1.0 - running.fraction),
                _ => continue,
            };
            let cost = running.and_then(projected).or_else(|| pace.seconds(job));
            seconds = seconds.zip(cost).map(|(sum, cost)| sum + share * cost);
        }
        let left = seconds.map(|seconds| span(seconds / self.executor.parallel_jobs as f64));
        self.display.overall(done, selected, left);
    }
}

/// The exit code and the message of a stage that failed while so many ran at once.
fn explain(status: ExitStatus, message: Option<&str>, parallel: usize) -> (u8, String) {
    let message = message.map(str::to_owned);
    match (status.code(), status.signal()) {
        (Some(code @ 1..=3), _) => {
            let said = message.unwrap_or_else(|| format!("exit code {code}"));
            (code as u8, said)
        }
        (Some(code), _) => (1, message.unwrap_or_else(|| format!("exit code {code}, a defect of the stage"))),
        // SIGKILL is the system's, SIGABRT the program's own way to end without memory.
        (None, Some(SIGKILL | SIGABRT)) => {
            let instead =
                if parallel > 1 { "try --jobs 1, or a smaller model or batch" } else { "try a smaller model or batch" };
            (3, format!("it was ended, as happens when memory runs out: {instead}"))
        }
        (None, signal) => (1, format!("it was ended by signal {}", signal.unwrap_or_default())),
    }
}
