//! What the driver's commands do with a cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use declarations::Fault;
use schemas::Artifacts;

use super::arrays::{arrays, indices};
use super::coordinator::{Coordinator, Invocation};
use super::request::Requests;
use super::slurm::{Slurm, cancel_all, is_there};
use super::{FOLDER, Journal};
use crate::arguments::{Arguments, RerunTriggers, utf8};
use crate::display::{Display, print_error, print_plain};
use crate::executor::Executor;
use crate::failures::Failure;
use crate::forecast::Forecast;
use crate::lineage::History;
use crate::runner::Runner;
use crate::scheduler::Outcome;
use crate::shared::{self, Shared};
use crate::stale;
use crate::state::State;

/// How long a cancelled task may take to save and exit.
const GRACE_PERIOD: Duration = Duration::from_secs(60);
/// The experiment as it was when the study was submitted: its tasks read this copy, so that the original can be edited.
const EXPERIMENT: &str = "pipeline.yaml";

impl Executor<'_> {
    /// Runs the selected jobs that are stale on a cluster. The journal is that of what an earlier driver has submitted.
    ///
    /// # Errors
    /// An error of the driver itself, or the cluster refuses what it is asked to do.
    pub(crate) fn run_on_cluster(
        &self,
        arguments: &Arguments,
        mut journal: Journal,
        forecasts: &[Option<Forecast>],
        (state, history, display): (&mut State, &mut History, &mut Display),
    ) -> Result<Outcome, Fault> {
        if arguments.fail_fast {
            return Err(Fault::parameter("--fail-fast is for --executor local: end what is on a cluster by `cancel`"));
        }
        if !is_there() {
            return Err(Fault::input(
                "--executor slurm: `squeue` is missing or does not work: run this on a login node of a cluster",
            ));
        }
        let root = Path::new(&self.root);
        let plan = self.fingerprint();
        if !journal.is_active() {
            // What an earlier study left.
            let _ = fs::remove_dir_all(root.join(FOLDER));
            let text = fs::read(&arguments.file).map_err(|error| Fault::input(error.to_string()))?;
            Artifacts::new(root).write_file(Path::new(FOLDER).join(EXPERIMENT), &text)?;
            journal = Journal { plan, ..Journal::default() };
            if self.options.force {
                let selected = self.jobs.iter().zip(&self.selected).filter(|(_, selected)| **selected);
                state.mark_forced(selected.map(|(job, _)| job.name()));
            }
        } else if journal.plan != plan {
            let (running, waiting) = journal.counts();
            return Err(Fault::parameter(format!(
                "{} tasks of other settings are on the cluster: run the command that submitted them, or end them by `cancel`",
                running + waiting
            )));
        }
        let folder = absolute(&root.join(FOLDER))?;
        let mut slurm = Slurm::new(folder, arguments.jobs, self.study.cluster.patience(), &journal);
        let invocation = self.invocation(arguments)?;
        let config = &self.study.cluster;
        let seen = (state, history, display);
        Coordinator::new(self, config, invocation, &mut slurm, seen, (journal, forecasts))?.run()
    }

    /// The driver's command, up to the names of jobs, for tasks that start in this working folder.
    fn invocation(&self, arguments: &Arguments) -> Result<Invocation, Fault> {
        let program = std::env::current_exe();
        let program =
            program.map_err(|error| Fault::input(format!("cannot find the driver's own program: {error}")))?;
        let experiment = utf8("--artifacts", &Path::new(&self.root).join(FOLDER).join(EXPERIMENT))?;
        let beside = arguments.relative_to.clone().or_else(|| arguments.file.parent().map(Path::to_owned));
        let beside = beside.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| PathBuf::from("."));
        let mut flags = vec!["--profile".to_owned(), arguments.profile.clone()];
        flags.extend(arguments.settings.iter().flat_map(|setting| ["--set".to_owned(), setting.clone()]));
        flags.extend(["--file".to_owned(), experiment, "--relative-to".to_owned(), utf8("--file", &beside)?]);
        flags.extend(["--artifacts", &self.root, "--programs", &self.programs].map(str::to_owned));
        if arguments.rerun_triggers == RerunTriggers::Program {
            flags.extend(["--rerun-triggers", "program"].map(str::to_owned));
        }
        Ok(Invocation { program, flags })
    }

    /// A hash of what the jobs are, by which a driver knows whether tasks on the cluster are its own.
    fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for job in self.jobs {
            hasher.update(format!("{}\n{:?}\n", job.name(), stale::parameters(job)).as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Prints which arrays would be submitted.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn print_arrays(&self, state: &mut State, history: &History) -> Result<(), Fault> {
        let forecasts = self.forecast(state, history);
        let runs = |forecast: &Option<Forecast>| {
            !matches!(forecast, None | Some(Forecast::UpToDate(_) | Forecast::Omitted(_) | Forecast::Fails(_)))
        };
        let wanted = forecasts.iter().enumerate().filter(|(_, forecast)| runs(forecast)).map(|(job, _)| job).collect();
        let config = &self.study.cluster;
        let planned = arrays(self.jobs, &indices(self.jobs, config.array_size()), &wanted, &[].into(), 0);
        let requests = Requests::new(self, config, state);
        print_plain(&format!("{} submissions:", planned.len()));
        for array in &planned {
            let after = array.after.iter().map(|after| {
                let of = planned.get(after.array).map_or("", |other| other.stage.word());
                if after.corresponding { format!("{of} of the same index") } else { format!("all of {of}") }
            });
            let after = after.collect::<Vec<_>>().join(", ");
            let after = if after.is_empty() { after } else { format!(" after {after}") };
            let request = requests.of(array, 0).join(" ");
            print_plain(&format!("  {} · tasks: {}{after}\n    {request}", array.stage, array.tasks.len()));
        }
        Ok(())
    }

    /// `job`: runs the selected jobs here, whoever else works in the folder, and takes them over from whoever has them.
    ///
    /// # Errors
    /// An error of the driver itself.
    pub(crate) fn run_jobs(
        &self,
        arguments: &Arguments,
        array: Option<&str>,
        started: Instant,
    ) -> Result<Option<u8>, Fault> {
        let root = Path::new(&self.root);
        // A task of a cluster belongs to the run that submitted it, which has the folder's lock, or had it.
        let _lock = if array.is_none() { Some(crate::lock(root, crate::Access::Shared)?) } else { None };
        let by = array.map_or_else(shared::random_word, str::to_owned);
        let mut state = State::open_shared(root, Shared::new(root, by, true));
        let mut history = History::open(Artifacts::new(root));
        if let Some(code) = self.restarted_too_often(&mut state)? {
            return Ok(Some(code));
        }
        let mut display = Display::new();
        let outcome = self.run(&mut state, &mut history, &mut display);
        display.close();
        Ok(Some(self.conclude(&outcome?, arguments, started)))
    }

    /// Slurm starts a task again as often as its node fails. That, too, has a limit.
    fn restarted_too_often(&self, state: &mut State) -> Result<Option<u8>, Fault> {
        let restarts = std::env::var("SLURM_RESTART_COUNT").ok().and_then(|count| count.parse::<u32>().ok());
        let most = self.study.cluster.retries();
        let Some(restarts) = restarts.filter(|restarts| *restarts > most) else { return Ok(None) };
        let message = format!("the cluster has started it {restarts} times again (`cluster.retries: {most}`)");
        print_error(&format!("error: {message}"));
        for (job, _) in self.jobs.iter().zip(&self.selected).filter(|(_, selected)| **selected) {
            let failure = Failure { job: job.name(), code: 3, message: message.clone(), command: None, killed: false };
            if state.claim(&job.name())? {
                state.settle(&job.name(), Some(&failure));
            }
        }
        Ok(Some(3))
    }

    /// `cancel`: ends what is on the cluster. Trainings save first.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub(crate) fn cancel(&self) -> Result<Option<u8>, Fault> {
        let root = Path::new(&self.root);
        let journal = Journal::read(root)?;
        let (running, waiting) = journal.counts();
        if running + waiting == 0 {
            print_plain(&format!("nothing of {} is on the cluster", root.display()));
            return Ok(None);
        }
        let folder = absolute(&root.join(FOLDER))?;
        cancel_all(&journal, &folder)?;
        print_plain(&format!("cancelled {running} running and {waiting} waiting tasks; trainings save first"));
        let mut slurm = Slurm::new(folder, None, self.study.cluster.patience(), &journal);
        let cancelled = Instant::now();
        while slurm.is_active() && cancelled.elapsed() < GRACE_PERIOD {
            slurm.poll(Duration::from_secs(2))?;
        }
        // A driver that watches them takes over what they recorded.
        if let Ok(_lock) = crate::lock(root, crate::Access::Alone) {
            let (mut state, mut history) = (State::open(root, true), History::open(Artifacts::new(root)));
            take_over(root, &mut state, &mut history, &Journal::default());
            Journal { arrays: [].into(), ..journal }.write(root)?;
        }
        Ok(None)
    }
}

/// Takes over what executions have recorded that are over, and removes the folders of their jobs; those of active tasks stay.
pub(crate) fn take_over(root: &Path, state: &mut State, history: &mut History, journal: &Journal) {
    if !shared::any(root) {
        return;
    }
    let active = journal.active();
    let outcomes: Vec<_> =
        shared::all(root).into_iter().filter(|(job, _)| !active.contains_key(job.as_str())).collect();
    let rows = state.absorb(outcomes.clone());
    if let Err(fault) = history.add_new(rows) {
        print_error(&format!("note: lineage is not recorded: {fault}"));
    }
    match active.is_empty() {
        true => shared::discard_all(root),
        false => outcomes.iter().for_each(|(job, _)| shared::discard(root, job)),
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Fault> {
    std::path::absolute(path).map_err(|error| Fault::input(format!("{}: {error}", path.display())))
}
