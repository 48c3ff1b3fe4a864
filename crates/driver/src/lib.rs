//! The driver: reads `pipeline.yaml`, plans the DAG of jobs, decides which are stale, and runs them.
//!
//! The driver knows stages only by their names, flags and tables, and runs each job as a process. It prints every command that
//! it runs; pasted in a shell, the command does the same. It records what has run next to the tables ([`state`]) and in the table
//! `lineage`.

pub mod adopt;
mod arguments;
mod clean;
pub mod cluster;
mod consent;
pub mod display;
mod dry_run;
mod estimate;
pub mod executor;
pub mod experiment;
mod explain;
mod failures;
mod forecast;
pub mod format;
mod graph;
mod import;
mod jobs;
pub mod key;
pub mod lineage;
mod link;
pub mod logs;
pub mod machine;
pub mod near;
pub mod origin;
pub mod own;
pub mod pace;
pub mod plan;
mod process;
pub mod progress;
mod replaced;
mod runner;
pub mod scheduler;
mod settings;
mod shared;
mod signals;
pub mod sql_views;
pub mod stage;
pub mod stale;
pub mod state;
mod status;
pub mod study;
pub mod summary;
mod view;
pub mod yaml;

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use declarations::{Fault, StageName};
use schemas::{Artifacts, Footer, Partition, tables};

pub use crate::arguments::Arguments;
use crate::arguments::{Command, ExecutorKind, RerunTriggers, resume_command, utf8};
use crate::cluster::{Journal, take_over};
use crate::display::{Display, print, print_error};
use crate::executor::{Executor, Options};
use crate::experiment::Experiment;
use crate::lineage::History;
use crate::machine::Machine;
use crate::origin::Lines;
use crate::plan::Job;
use crate::scheduler::Outcome;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::state::State;
use crate::study::Study;

/// Runs the study, or what the command line asks for in its place, and returns the exit code.
///
/// # Errors
/// A wrong argument or configuration, a file that cannot be read or written, or a locked folder.
pub fn run(arguments: &Arguments) -> Result<u8, Fault> {
    let started = Instant::now();
    if let Some(Command::Completions { shell }) = arguments.command {
        let mut command = <Arguments as clap::CommandFactory>::command();
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, name, &mut script);
        print(String::from_utf8_lossy(&script).trim_end());
        return Ok(0);
    }
    let mut experiment = read(&arguments.file, arguments.relative_to.as_deref())?;
    let own_text = arguments.add_text(&mut experiment)?;
    if arguments.list {
        print(&summary::entries(&experiment));
        return Ok(0);
    }
    let study = Study::resolve(&experiment, &arguments.profile, &arguments.settings)?;
    let is_task = matches!(arguments.command, Some(Command::Job { .. }));
    let parallel_jobs = arguments.jobs.or(if is_task { Some(1) } else { study.parallel_jobs });
    if parallel_jobs == Some(0) {
        return Err(Fault::parameter("--jobs must be at least 1"));
    }
    let machine = Machine::new(parallel_jobs);
    let root = arguments.root(own_text.as_deref())?;
    let jobs = plan::plan(&study, &root, (machine.cores / machine.parallel_jobs).max(1))?;
    let executor = Executor {
        study: &study,
        selected: arguments.select(&experiment, &study, &jobs)?,
        partial: arguments.is_partial(&study)?,
        jobs: &jobs,
        root,
        programs: arguments.programs()?,
        machine,
        options: Options {
            force: arguments.force,
            rerun_on_program: arguments.rerun_triggers == RerunTriggers::Program,
            fail_fast: arguments.fail_fast,
            verbose: arguments.verbose,
            failed: arguments.failed(),
        },
    };
    match &arguments.command {
        None if arguments.dry_run => executor.print_dry_run(arguments),
        None => executor.run_study(arguments, started),
        Some(Command::Status { watch }) => executor.print_status(*watch),
        Some(Command::Graph { by }) => executor.print_graph(*by),
        Some(Command::Explain { artifact, compare }) => executor.explain(artifact, compare.as_deref()),
        Some(Command::Logs { job }) => executor.print_log(&job.join(" ")),
        Some(Command::View { so_far }) => executor.view(*so_far).map(|()| None),
        Some(Command::Cancel) => executor.cancel(),
        Some(Command::Job { array, .. }) => executor.run_jobs(arguments, array.as_deref(), started),
        Some(Command::Clean { yes }) => executor.clean(arguments, *yes),
        // It was printed above, since it needs no study.
        Some(Command::Completions { .. }) => Ok(None),
    }
    .map(|code| code.unwrap_or(0))
}

impl Executor<'_> {
    /// `--dry-run`.
    fn print_dry_run(&self, arguments: &Arguments) -> Result<Option<u8>, Fault> {
        let (mut state, history) = self.open()?;
        self.note_settings(arguments, display::print_plain);
        self.dry_run(&mut state, &history)?;
        if arguments.executor == ExecutorKind::Slurm {
            self.print_arrays(&mut state, &history)?;
        }
        Ok(None)
    }

    /// What is recorded in the folder, to read only.
    fn open(&self) -> Result<(State, History), Fault> {
        let root = Path::new(&self.root);
        let (mut state, history) = (State::open(root, false), History::open(Artifacts::new(root)));
        state.adopt_all();
        refuse_foreign_files(self, &state, &history)?;
        Ok((state, history))
    }

    fn run_study(&self, arguments: &Arguments, started: Instant) -> Result<Option<u8>, Fault> {
        let root = Path::new(&self.root);
        let artifacts = Artifacts::new(root);
        if arguments.is_shared() {
            return self.run_shared(arguments, started);
        }
        let _lock = lock(root, Access::Alone)?;
        let journal = Journal::read(root)?;
        if arguments.executor == ExecutorKind::Local {
            refuse_active(root, &journal)?;
        }
        let (mut state, mut history) = (State::open(root, true), History::open(artifacts.clone()));
        take_over(root, &mut state, &mut history, &journal);
        refuse_foreign_files(self, &state, &history)?;
        progress::clear(root);
        // Under the lock, so that no stage is writing.
        if !journal.is_active()
            && let Err(error) = artifacts.sweep()
        {
            print_error(&format!("note: {error}"));
        }
        if let Some(note) = history.set_aside()? {
            print_error(&note);
        }
        if root.to_string_lossy().contains(['[', ']', '*', '?', '=']) {
            print_error(&format!(
                "note: polars, pandas and DuckDB take `[`, `*`, `?` and `key=value` in {} for patterns: a path without them is easier to read from",
                self.root
            ));
        }
        self.note_settings(arguments, print_error);
        let forecasts = self.forecast(&mut state, &history);
        self.edited(&forecasts, &mut state).iter().for_each(|note| print_error(note));
        // That was asked for before.
        if !journal.is_active()
            && let Some(doubts) = self.doubts(&forecasts, &state, &history)
        {
            consent::ask(&doubts, arguments.yes)?;
        }
        // Nothing is lost without it: a plain call then does not know that this one had other settings.
        let _ = arguments.remembered().write(root);
        let mut display = Display::new();
        let outcome = match arguments.executor {
            ExecutorKind::Local => self.run(&mut state, &mut history, &mut display),
            ExecutorKind::Slurm => {
                self.run_on_cluster(arguments, journal, &forecasts, (&mut state, &mut history, &mut display))
            }
        };
        display.close();
        let outcome = outcome?;
        if let Err(error) = sql_views::write(&artifacts, &self.study.own_stages) {
            print_error(&format!("note: {} was not written: {error}", sql_views::FILE));
        }
        if let Err(fault) = print_results(self, &outcome.done, &artifacts) {
            print_error(&format!("the results cannot be shown: {fault}"));
        }
        if let Some(note) = note_foreign_tables(self, &state) {
            print(&note);
        }
        Ok(Some(self.conclude(&outcome, arguments, started)))
    }

    /// Runs the selected jobs that are stale, each behind a lock of its own, in a folder in which other drivers do the same.
    fn run_shared(&self, arguments: &Arguments, started: Instant) -> Result<Option<u8>, Fault> {
        let root = Path::new(&self.root);
        let artifacts = Artifacts::new(root);
        let lock_of_many = lock(root, Access::Shared)?;
        refuse_active(root, &Journal::read(root)?)?;
        let mut state = State::open_shared(root, Shared::new(root, shared::random_word(), false));
        state.adopt_all();
        let mut history = History::open(artifacts.clone());
        refuse_foreign_files(self, &state, &history)?;
        let forecasts = self.forecast(&mut state, &history);
        if let Some(doubts) = self.doubts(&forecasts, &state, &history) {
            consent::ask(&doubts, arguments.yes)?;
        }
        let mut display = Display::new();
        let outcome = self.run(&mut state, &mut history, &mut display);
        display.close();
        let outcome = outcome?;
        drop((state, lock_of_many));
        // The last one takes over what all have recorded; otherwise the next one that has the folder for itself.
        if let Ok(_lock) = lock(root, Access::Alone) {
            let mut state = State::open(root, true);
            take_over(root, &mut state, &mut history, &Journal::default());
        }
        if let Err(fault) = print_results(self, &outcome.done, &artifacts) {
            print_error(&format!("the results cannot be shown: {fault}"));
        }
        Ok(Some(self.conclude(&outcome, arguments, started)))
    }

    /// Prints how the run ended and returns the exit code.
    fn conclude(&self, outcome: &Outcome, arguments: &Arguments, started: Instant) -> u8 {
        let time = format::duration(started.elapsed());
        for failure in &outcome.failures {
            print_error(&failure.describe(Path::new(&self.root)));
        }
        if !outcome.missing.is_empty() {
            print_error(&format!("the results are without {}", outcome.missing.join(", ")));
        }
        if let Some(signal) = outcome.signal {
            print_error(&format!("interrupted after {time}; to resume: {}", resume_command(arguments)));
            return u8::try_from(128 + signal).unwrap_or(1);
        }
        let Some(first) = outcome.failures.first() else {
            print(&format!("Total time {time}"));
            return 0;
        };
        let blocked = match outcome.blocked {
            0 => String::new(),
            count => format!(", {count} not run because of that"),
        };
        print_error(&format!(
            "{} failed{blocked}, after {time}; finished jobs are kept; to resume: {}",
            outcome.failures.len(),
            resume_command(arguments)
        ));
        first.code
    }

    /// Says how the settings differ from those of the last run in the folder.
    fn note_settings(&self, arguments: &Arguments, say: impl FnOnce(&str)) {
        let last = Settings::read(Path::new(&self.root));
        if let Some(note) = last.and_then(|last| arguments.remembered().difference(&last)) {
            say(&note);
        }
    }
}

/// Reads the experiment, whose paths are relative to its file's folder, or to another.
fn read(path: &Path, beside: Option<&Path>) -> Result<Experiment, Fault> {
    let name = utf8("--file", path)?;
    let text = fs::read_to_string(path).map_err(|error| {
        Fault::input(format!(
            "cannot read {name}: {error}; it describes the experiment: run in the project's root or pass --file"
        ))
    })?;
    let mut experiment: Experiment = yaml::parse(&text, &name)?;
    experiment.lines = Lines::new(&text, &name);
    experiment.place_sources(beside.unwrap_or(path.parent().unwrap_or(Path::new(""))));
    Ok(experiment)
}

/// Whether a driver works in a folder alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Access {
    /// Nobody else does.
    Alone,
    /// Others may, each with a lock for every job.
    Shared,
}

/// Refuses to run jobs here that may be running on a cluster.
pub(crate) fn refuse_active(root: &Path, journal: &Journal) -> Result<(), Fault> {
    let (running, waiting) = journal.counts();
    if running + waiting == 0 {
        return Ok(());
    }
    Err(Fault::input(format!(
        "{} tasks of {} are on a cluster, or were when that was last asked: --executor slurm goes on with them, `cancel` ends them",
        running + waiting,
        root.display()
    )))
}

/// Locks the folder against other drivers until the file is dropped.
fn lock(root: &Path, access: Access) -> Result<File, Fault> {
    let fault = |error: std::io::Error| Fault::input(format!("cannot write in {}: {error}", root.display()));
    fs::create_dir_all(root).map_err(fault)?;
    let path = root.join(".lock");
    let mut file = File::options().create(true).read(true).append(true).open(&path).map_err(fault)?;
    // `status` looks at the lock for a moment.
    let attempt = || match access {
        Access::Alone => file.try_lock(),
        Access::Shared => file.try_lock_shared(),
    };
    let mut locked = attempt();
    for _ in 0..10 {
        if !matches!(locked, Err(TryLockError::WouldBlock)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
        locked = attempt();
    }
    match locked {
        Ok(()) => {
            file.set_len(0).map_err(fault)?;
            if access == Access::Alone {
                writeln!(file, "{}", std::process::id()).map_err(fault)?;
            }
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            // Several that share it have written nothing.
            let holder = fs::read_to_string(&path).unwrap_or_default();
            let holder = Some(holder.trim()).filter(|holder| !holder.is_empty());
            let holder = holder.map_or(String::new(), |holder| format!(" (process {holder})"));
            Err(Fault::input(format!(
                "another run of the pipeline{holder} has locked {}: wait for it, or use another folder (--artifacts)",
                root.display()
            )))
        }
        // Some network file systems have no locks; then the folder is used without one.
        Err(TryLockError::Error(error))
            if error.kind() == ErrorKind::Unsupported || error.raw_os_error() == Some(libc::ENOLCK) =>
        {
            Ok(file)
        }
        Err(TryLockError::Error(error)) => Err(fault(error)),
    }
}

/// Refuses a folder in which the pipeline never ran but which has files that stages of the whole study would replace. A folder
/// that was copied without the driver's records has tables that say where they are from.
fn refuse_foreign_files(executor: &Executor<'_>, state: &State, history: &History) -> Result<(), Fault> {
    let root = Path::new(&executor.root);
    let results = Artifacts::new(root).path::<tables::Results>(&Partition::study())?;
    if !(state.is_empty() && history.is_empty()) || Footer::read(&results).is_some() {
        return Ok(());
    }
    let folders = executor.jobs.iter().filter(|job| job.stage.whole_study() || job.stage.own().is_some());
    let folders = folders.flat_map(|job| &job.owned_folders);
    match folders.map(|folder| root.join(folder)).find(|path| path.exists()) {
        None => Ok(()),
        Some(path) => Err(Fault::input(format!(
            "{} was not written by this pipeline, which never ran in {}, and would be replaced: move it away, or use another \
             folder (--artifacts)",
            path.display(),
            root.display()
        ))),
    }
}

/// A note on tables of another study in the same folder, since reading a whole folder includes them.
fn note_foreign_tables(executor: &Executor<'_>, state: &State) -> Option<String> {
    let names: BTreeSet<String> = executor.jobs.iter().map(Job::name).collect();
    let foreign: Vec<&str> = state.jobs().filter(|name| !names.contains(*name)).collect();
    let first = foreign.first()?;
    let more = if foreign.len() > 1 { format!(" and {} more", foreign.len() - 1) } else { String::new() };
    Some(format!(
        "note: the folder also has tables of another study ({first}{more}): exclude them when reading whole folders"
    ))
}

/// Prints the results of the jobs that are done.
fn print_results(executor: &Executor<'_>, done: &[bool], artifacts: &Artifacts) -> Result<(), Fault> {
    let is_done = |stage| executor.jobs.iter().zip(done).any(|(job, done)| job.stage == stage && *done);
    if is_done(StageName::Correlate) {
        let width = console::Term::stdout().size_checked().map(|(_, columns)| columns);
        print(&format!("\n{}", summary::results(artifacts, width)?));
        print(&summary::findings(artifacts, executor.study, width)?);
    }
    if is_done(StageName::Plot) {
        let root = Path::new(&executor.root);
        print(&format!("Figures  {}", root.join("plots").display()));
        print(&format!("Report   {}", root.join("report/index.html").display()));
    }
    for own in executor.study.own_stages.iter().filter(|own| !own.files.is_empty()) {
        if executor.jobs.iter().zip(done).any(|(job, done)| job.stage.word() == own.name && *done) {
            print(&format!("Files    {}", Path::new(&executor.root).join("files").join(&own.name).display()));
        }
    }
    Ok(())
}
