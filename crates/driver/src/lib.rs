//! The driver: reads `pipeline.yaml`, plans the DAG of jobs, decides which are stale, and runs them.
//!
//! The driver knows stages only by their names, flags and tables, and runs each job as a process. It prints every command that
//! it runs; pasted in a shell, the command does the same. It records what has run next to the tables ([`state`]) and in the table
//! `lineage`.

mod arguments;
pub mod display;
mod dry_run;
mod estimate;
pub mod executor;
pub mod experiment;
pub mod format;
mod jobs;
pub mod lineage;
pub mod near;
pub mod pace;
pub mod plan;
mod process;
pub mod scheduler;
pub mod stale;
pub mod state;
pub mod study;
pub mod summary;
pub mod yaml;

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::Instant;

use declarations::{Fault, StageName};
use schemas::Artifacts;

pub use crate::arguments::Arguments;
use crate::arguments::{resume_command, utf8};
use crate::display::{Display, print, print_error};
use crate::executor::Executor;
use crate::experiment::Experiment;
use crate::lineage::History;
use crate::plan::{Job, Threads};
use crate::scheduler::Outcome;
use crate::state::State;
use crate::study::Study;

/// Runs the study and returns the exit code.
///
/// # Errors
/// A wrong argument or configuration, a file that cannot be read or written, or a locked folder.
pub fn run(arguments: &Arguments) -> Result<u8, Fault> {
    let started = Instant::now();
    let experiment = read(&arguments.file)?;
    if arguments.list {
        print(&summary::entries(&experiment));
        return Ok(0);
    }
    let study = Study::resolve(&experiment, &arguments.profile, &arguments.settings)?;
    let parallel_jobs = arguments.jobs.unwrap_or(study.parallel_jobs);
    if parallel_jobs == 0 {
        return Err(Fault::parameter("--jobs must be at least 1"));
    }
    let root = arguments.root()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = plan::plan(&study, &root, Threads { shared: (cores / parallel_jobs).max(1), alone: cores })?;
    let executor = Executor {
        selected: arguments.select(&experiment, &study, &jobs)?,
        partial: arguments.is_partial(),
        jobs: &jobs,
        root,
        programs: arguments.programs()?,
        parallel_jobs,
        force: arguments.force,
    };
    let root = Path::new(&executor.root);
    let artifacts = Artifacts::new(root);
    if arguments.dry_run {
        let (mut state, history) = (State::open(root, false)?, History::open(artifacts)?);
        refuse_foreign_files(&executor, &state, &history)?;
        executor.dry_run(&mut state, &history)?;
        return Ok(0);
    }
    let _lock = lock(root)?;
    let (mut state, mut history) = (State::open(root, true)?, History::open(artifacts.clone())?);
    refuse_foreign_files(&executor, &state, &history)?;
    let mut display = Display::new();
    let outcome = executor.run(&mut state, &mut history, &mut display);
    display.close();
    let time = format::duration(started.elapsed());
    match outcome? {
        Outcome::Complete(done) => {
            print_results(&executor, &done, &study, &artifacts)?;
            if let Some(note) = note_foreign_tables(&executor, &state) {
                print(&note);
            }
            print(&format!("Total time {time}"));
            Ok(0)
        }
        Outcome::Failed(code) => {
            print_error(&format!(
                "failed after {time}; finished jobs are kept; to resume: {}",
                resume_command(arguments)
            ));
            Ok(code)
        }
        Outcome::Interrupted(code) => {
            print_error(&format!("interrupted after {time}; to resume: {}", resume_command(arguments)));
            Ok(code)
        }
    }
}

fn read(path: &Path) -> Result<Experiment, Fault> {
    let name = utf8("--file", path)?;
    let text = fs::read_to_string(path).map_err(|error| {
        Fault::input(format!(
            "cannot read {name}: {error}; it describes the experiment: run in the project's root or pass --file"
        ))
    })?;
    let mut experiment: Experiment = yaml::parse(&text, &name)?;
    experiment.place_sources(path.parent().unwrap_or(Path::new("")));
    Ok(experiment)
}

/// Locks the folder against other drivers until the file is dropped.
fn lock(root: &Path) -> Result<File, Fault> {
    let fault = |error: std::io::Error| Fault::input(format!("cannot write in {}: {error}", root.display()));
    fs::create_dir_all(root).map_err(fault)?;
    let path = root.join(".lock");
    let mut file = File::options().create(true).read(true).append(true).open(&path).map_err(fault)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).map_err(fault)?;
            writeln!(file, "{}", std::process::id()).map_err(fault)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(&path).unwrap_or_default();
            Err(Fault::input(format!(
                "another run of the pipeline (process {}) has locked {}: wait for it, or use another folder (--artifacts)",
                holder.trim(),
                root.display()
            )))
        }
        // Some network file systems have no locks; then the folder is used without one.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(fault(error)),
    }
}

/// Refuses a folder in which the pipeline never ran but which has files that stages of the whole study would replace.
fn refuse_foreign_files(executor: &Executor<'_>, state: &State, history: &History) -> Result<(), Fault> {
    if !(state.is_empty() && history.is_empty()) {
        return Ok(());
    }
    let root = Path::new(&executor.root);
    let folders = executor.jobs.iter().filter(|job| job.stage.whole_study()).flat_map(|job| &job.owned_folders);
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
fn print_results(executor: &Executor<'_>, done: &[bool], study: &Study, artifacts: &Artifacts) -> Result<(), Fault> {
    let is_done = |stage| executor.jobs.iter().zip(done).any(|(job, done)| job.stage == stage && *done);
    if is_done(StageName::Correlate) {
        let width = console::Term::stdout().size_checked().map(|(_, columns)| columns);
        print(&format!("\n{}", summary::results(artifacts, width)?));
        print(&summary::findings(artifacts, study, width)?);
    }
    if is_done(StageName::Plot) {
        let root = Path::new(&executor.root);
        print(&format!("Figures  {}", root.join("plots").display()));
        print(&format!("Report   {}", root.join("report/index.html").display()));
    }
    Ok(())
}
