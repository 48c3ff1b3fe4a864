//! Brings a study to its end on a cluster: submits arrays, learns how their tasks ended, submits again what was killed.
//!
//! Whether a job is stale is decided by its task, on the node, when its inputs are final (`driver job`). The task records how it
//! ended; the cluster is only asked whether a task still waits or runs. So it does not matter where this driver is stopped and
//! started again, nor what a cluster forgets.

mod verdicts;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use declarations::Fault;

use super::arrays::{Planned, arrays, indices};
use super::config::ClusterConfig;
use super::journal::{Journal, Submitted, Task};
use super::request::Requests;
use crate::display::Display;
use crate::executor::Executor;
use crate::failures::Failure;
use crate::forecast::Forecast;
use crate::lineage::History;
use crate::pace::from_seconds;
use crate::runner::{Array, Command, End, Runner, Trouble};
use crate::scheduler::Outcome as Ended;
use crate::shared;
use crate::signals::Signals;
use crate::state::State;

/// The longest wait between two questions to a cluster that does not answer.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// What becomes of a job.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Not selected, or it need not run.
    Given,
    Done,
    /// To be submitted.
    Wanted,
    /// In a task that has not ended.
    Active,
    Failed,
    /// A job that it depends on failed.
    Blocked,
}

/// How the cluster is asked to run a job: the words of the driver's command before the names of jobs.
pub(crate) struct Invocation {
    /// The driver.
    pub(crate) program: PathBuf,
    /// Its flags.
    pub(crate) flags: Vec<String>,
}

/// A study on its way.
pub(crate) struct Coordinator<'run> {
    executor: &'run Executor<'run>,
    config: &'run ClusterConfig,
    invocation: Invocation,
    runner: &'run mut dyn Runner,
    state: &'run mut State,
    history: &'run mut History,
    display: &'run mut Display,
    signals: Signals,
    journal: Journal,
    phases: Vec<Phase>,
    indices: Vec<u32>,
    names: BTreeMap<String, usize>,
    /// Jobs that were up to date when this driver began.
    up_to_date: BTreeSet<usize>,
    /// Tasks that run by the cluster's word and have recorded how all their jobs ended; since when that is seen.
    overdue: BTreeMap<(usize, u32), Instant>,
    /// Tasks that ended and whose jobs' outcomes are not seen yet.
    unseen: Vec<(usize, u32, End, Instant)>,
    failures: Vec<Failure>,
    missing: Vec<String>,
    /// How often in a row the cluster did not answer.
    unanswered: u32,
}

impl<'run> Coordinator<'run> {
    /// A study as it stands: what is active by the journal, and what is to run by the forecasts.
    pub(crate) fn new(
        executor: &'run Executor<'run>,
        config: &'run ClusterConfig,
        invocation: Invocation,
        runner: &'run mut dyn Runner,
        (state, history, display): (&'run mut State, &'run mut History, &'run mut Display),
        (journal, forecasts): (Journal, &[Option<Forecast>]),
    ) -> Result<Self, Fault> {
        let names: BTreeMap<String, usize> =
            executor.jobs.iter().enumerate().map(|(index, job)| (job.name(), index)).collect();
        let active = journal.active();
        let mut failures = Vec::new();
        let mut up_to_date = BTreeSet::new();
        let mut phases = Vec::new();
        for (index, (job, forecast)) in executor.jobs.iter().zip(forecasts).enumerate() {
            let is_active = active.contains_key(job.name().as_str());
            if matches!(forecast, Some(Forecast::UpToDate(_))) {
                up_to_date.insert(index);
            }
            phases.push(match forecast {
                _ if is_active => Phase::Active,
                None | Some(Forecast::Omitted(_)) => Phase::Given,
                Some(Forecast::UpToDate(_)) => Phase::Done,
                Some(Forecast::Fails(fault)) => {
                    failures.push(Failure::of(job, fault));
                    Phase::Failed
                }
                // Whether it is blocked is found out in time, and by what.
                Some(_) => Phase::Wanted,
            });
        }
        let indices = indices(executor.jobs, config.array_size());
        let (overdue, unseen, missing, signals) = (BTreeMap::new(), Vec::new(), Vec::new(), Signals::handle()?);
        let unanswered = 0;
        Ok(Self {
            executor,
            config,
            invocation,
            runner,
            state,
            history,
            display,
            signals,
            journal,
            phases,
            indices,
            names,
            up_to_date,
            overdue,
            unseen,
            failures,
            missing,
            unanswered,
        })
    }

    /// Submits and watches until everything has ended, or a signal stops the watching: the tasks go on.
    pub(crate) fn run(mut self) -> Result<Ended, Fault> {
        let (running, waiting) = self.journal.counts();
        if running + waiting > 0 {
            self.display.print(&format!("{} of an earlier run go on: watching them", tasks(running + waiting)));
        }
        loop {
            self.submit()?;
            self.show();
            if !self.journal.is_active() && !self.phases.contains(&Phase::Wanted) {
                break;
            }
            if !self.wait() {
                let (running, waiting) = self.journal.counts();
                self.display.print(&format!(
                    "{} go on without this driver ({running} running, {waiting} waiting): the same command watches them, and \
                     `run_pipeline.sh cancel` with the same --profile or --artifacts ends them",
                    tasks(running + waiting)
                ));
                break;
            }
            self.look()?;
        }
        Ok(Ended {
            done: self.phases.iter().map(|phase| *phase == Phase::Done).collect(),
            blocked: self.phases.iter().filter(|phase| **phase == Phase::Blocked).count(),
            failures: self.failures,
            missing: self.missing,
            signal: self.signals.first(),
        })
    }

    /// Waits until the cluster may be asked again; not to the end if a signal came.
    fn wait(&self) -> bool {
        let patience = from_seconds(self.config.poll() * 2.0_f64.powi(self.unanswered.min(10).cast_signed()));
        let until = Instant::now() + patience.min(LONGEST_WAIT.max(from_seconds(self.config.poll())));
        while Instant::now() < until {
            if self.signals.first().is_some() {
                return false;
            }
            sleep(Duration::from_millis(100).min(until.saturating_duration_since(Instant::now())));
        }
        self.signals.first().is_none()
    }

    /// Submits what can be: jobs whose dependencies are done, active, or submitted with them.
    fn submit(&mut self) -> Result<(), Fault> {
        if self.signals.first().is_some() {
            return Ok(());
        }
        let active = self.active();
        // What waits for an array names its id; for a task that has ended nothing can wait.
        let can_be_named = |(_, (array, index)): &(&usize, &(usize, u32))| {
            let has_id = self.journal.arrays.get(array).is_some_and(|array| array.id.is_some());
            has_id && !self.unseen.iter().any(|(key, of, ..)| (key, of) == (array, index))
        };
        let mut ahead: BTreeSet<usize> = active.iter().filter(can_be_named).map(|(job, _)| *job).collect();
        let mut wanted = BTreeSet::new();
        for job in 0..self.phases.len() {
            if self.phases[job] == Phase::Wanted && self.can_be_submitted(job, &ahead) {
                wanted.insert(job);
                ahead.insert(job);
            }
        }
        for planned in arrays(self.executor.jobs, &self.indices, &wanted, &active, self.journal.next_key) {
            if !self.submit_array(planned)? {
                break;
            }
        }
        Ok(())
    }

    /// The jobs that are active, with their arrays and indices.
    fn active(&self) -> BTreeMap<usize, (usize, u32)> {
        self.journal.active().into_iter().filter_map(|(name, place)| Some((*self.names.get(name)?, place))).collect()
    }

    /// Whether a job can be submitted now, given those that it can wait for. One that never can is blocked.
    fn can_be_submitted(&mut self, job: usize, ahead: &BTreeSet<usize>) -> bool {
        let executor = self.executor;
        let of = &executor.jobs[job];
        let is_lost = |phase: Phase| matches!(phase, Phase::Failed | Phase::Blocked);
        let is_ahead = |dependency: &usize| matches!(self.phases[*dependency], Phase::Wanted | Phase::Active);
        let lost = of.dependencies.iter().rev().copied().find(|dependency| is_lost(self.phases[*dependency]));
        // What failed for one run fails for every other.
        let lost = lost.or_else(|| of.duplicates.iter().copied().find(|other| self.phases[*other] == Phase::Failed));
        let Some(lost) = lost else {
            return of.dependencies.iter().filter(|job| is_ahead(job)).all(|job| ahead.contains(job));
        };
        if of.stage.whole_study() && !executor.jobs[lost].stage.whole_study() {
            // What there is of the study is known once everything else has ended.
            if of.dependencies.iter().any(is_ahead) {
                return false;
            }
            // Its parameters were valid for the whole study.
            if let Ok(Some((_, missing))) = executor.reduced(job, |other| is_lost(self.phases[other])) {
                if of.stage.own().is_none() {
                    self.missing = missing;
                }
                return true;
            }
        }
        self.phases[job] = Phase::Blocked;
        self.display.print(&format!("· {} · not run: it needs {}", of.name(), executor.jobs[lost].name()));
        false
    }

    /// Submits an array; whether the cluster took it.
    fn submit_array(&mut self, planned: Planned) -> Result<bool, Fault> {
        let executor = self.executor;
        let root = Path::new(&executor.root);
        let key = self.journal.next_key;
        let name = format!("{}-{}", planned.stage, shared::random_word());
        let tries = |job: &usize| self.journal.retries.get(&executor.jobs[*job].name()).copied().unwrap_or_default();
        let tries = planned.tasks.values().flatten().map(tries).max().unwrap_or_default();
        let request = Requests::new(executor, self.config, self.state).of(&planned, tries);
        let names = |jobs: &Vec<usize>| jobs.iter().map(|job| executor.jobs[*job].name()).collect::<Vec<_>>();
        let commands = planned
            .tasks
            .iter()
            .map(|(index, jobs)| (*index, self.command(&name, planned.stage.whole_study(), &names(jobs))));
        let array = Array {
            key,
            name: name.clone(),
            commands: commands.collect(),
            after: planned.after.clone(),
            request: request.clone(),
        };
        let of_jobs = |jobs: &Vec<usize>| Task { jobs: names(jobs), runs: false };
        let submitted = Submitted {
            name,
            id: None,
            since: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            tasks: planned.tasks.iter().map(|(index, jobs)| (*index, of_jobs(jobs))).collect(),
            after: planned.after.clone(),
            request,
        };
        self.journal.arrays.insert(key, submitted);
        self.journal.next_key += 1;
        // Before it is submitted: whoever finds it without an id asks the cluster for its name.
        self.journal.write(root)?;
        let spawned = self.runner.spawn(&array);
        if let Err(Trouble::Refused(fault)) = spawned {
            self.journal.arrays.remove(&key);
            self.journal.write(root)?;
            return Err(fault);
        }
        planned.tasks.values().flatten().for_each(|job| self.phases[*job] = Phase::Active);
        match spawned {
            Ok(id) => {
                let count = tasks(planned.tasks.len());
                self.display.print(&format!("▸ {} · {count} · array {id} ({})", planned.stage, array.name));
                if executor.options.verbose {
                    array.commands.iter().for_each(|(_, command)| self.display.detail(&command.to_string()));
                }
                if let Some(array) = self.journal.arrays.get_mut(&key) {
                    array.id = Some(id);
                }
                self.journal.write(root)?;
                self.unanswered = 0;
                Ok(true)
            }
            Err(trouble) => {
                // It may have arrived all the same, which its name will show.
                self.away(&Fault::from(trouble).to_string());
                Ok(false)
            }
        }
    }

    /// The command of a task.
    fn command(&self, array: &str, whole_study: bool, jobs: &[String]) -> Command {
        let mut flags = self.invocation.flags.clone();
        flags.extend(["job", "--array", array].map(str::to_owned));
        if whole_study {
            let lost = self.executor.jobs.iter().zip(&self.phases);
            let lost = lost.filter(|(_, phase)| matches!(phase, Phase::Failed | Phase::Blocked));
            flags.extend(lost.flat_map(|(job, _)| ["--failed".to_owned(), job.name()]));
        }
        flags.extend(jobs.iter().cloned());
        Command { program: self.invocation.program.clone(), flags, fence: None }
    }

    fn fail(&mut self, index: usize, failure: Failure) {
        self.phases[index] = Phase::Failed;
        self.display.print(&format!("✗ {} · failed: {}", failure.job, failure.message));
        self.failures.push(failure);
    }

    /// Notes that the cluster did not do what it was asked to do.
    fn away(&mut self, message: &str) {
        self.unanswered += 1;
        self.display.warn(&format!("{message}; the tasks go on, and it is asked again later"));
    }

    fn show(&mut self) {
        let selected = self.executor.selected.iter().filter(|selected| **selected).count();
        let is_left = |phase: &&Phase| matches!(phase, Phase::Wanted | Phase::Active);
        let left = self.phases.iter().filter(is_left).count();
        self.display.overall(selected.saturating_sub(left), selected, None);
    }
}

fn tasks(count: usize) -> String {
    format!("{count} {}", if count == 1 { "task" } else { "tasks" })
}
