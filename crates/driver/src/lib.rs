//! The driver: reads `pipeline.yaml`, plans the graph of commands, decides what is stale, and runs it.
//!
//! It knows the stages by name, by their flags and by the tables that they read and write, and starts them as programs of
//! their own: every command that it runs is printed, and does the same when it is pasted in a shell. What it has run it
//! remembers beside the tables ([`state`]); the table `lineage` says the same to people.

pub mod cost;
pub mod display;
mod dry_run;
mod estimate;
pub mod executor;
pub mod experiment;
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
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use cli::Fault;
use schemas::Artifacts;

use crate::display::{Display, print, print_error};
use crate::executor::Executor;
use crate::experiment::Experiment;
use crate::lineage::History;
use crate::plan::{Job, Stage, Threads};
use crate::scheduler::Outcome;
use crate::state::State;
use crate::study::Study;

/// [`Arguments::built_with`] as a flag, which the script writes.
const BUILT_WITH: &str = "--built-with";

const EXAMPLES: &str = "\
Examples:
  run_pipeline.sh                                         the default profile, all of it
  run_pipeline.sh --profile smoke                         the same in seconds, to see that it works
  run_pipeline.sh --set train.max_iters=500 --dry-run     what a shorter training would run
  run_pipeline.sh --only metrics --run run_2 --force      one stage of one run again
A finished stage whose inputs, parameters and program are unchanged is skipped. An interrupted run goes on where it stopped.";

/// Runs the study that pipeline.yaml describes
#[derive(Debug, Parser)]
#[command(name = "run_pipeline.sh", version, after_help = EXAMPLES)]
pub struct Arguments {
    /// Profile of pipeline.yaml to run
    #[arg(long, value_name = "NAME", default_value = "laptop", help_heading = "What")]
    pub profile: String,

    /// Change a parameter, as a profile would: train.max_iters=500; can be repeated
    #[arg(long = "set", value_name = "SECTION.PARAMETER=VALUE", help_heading = "What")]
    pub settings: Vec<String>,

    /// Run only this stage; can be repeated
    #[arg(long, value_name = "STAGE", value_enum, help_heading = "What")]
    pub only: Vec<Stage>,

    /// Run only this dataset; correlate and plot always see the whole study; can be repeated
    #[arg(long = "dataset", value_name = "NAME", help_heading = "What")]
    pub datasets: Vec<String>,

    /// Run only this run; can be repeated
    #[arg(long = "run", value_name = "NAME", help_heading = "What")]
    pub runs: Vec<String>,

    /// Run only this seed; can be repeated
    #[arg(long = "seed", value_name = "NUMBER", help_heading = "What")]
    pub seeds: Vec<u64>,

    /// Say what would run, why and by which command, and run nothing
    #[arg(long, help_heading = "How")]
    pub dry_run: bool,

    /// Run also what is unchanged
    #[arg(long, help_heading = "How")]
    pub force: bool,

    /// How many jobs run at once [default: the profile's]
    #[arg(long, value_name = "NUMBER", help_heading = "How")]
    pub jobs: Option<usize>,

    /// Folder that holds all tables [default: artifacts/PROFILE]
    #[arg(long, value_name = "FOLDER", help_heading = "Where")]
    pub artifacts: Option<PathBuf>,

    /// The experiment
    #[arg(long, value_name = "PATH", default_value = "pipeline.yaml", help_heading = "Where")]
    pub file: PathBuf,

    /// List what pipeline.yaml has: profiles, datasets, runs
    #[arg(long, help_heading = "What")]
    pub list: bool,

    /// The features that the script built the programs with
    #[arg(long, value_name = "FEATURES", hide = true)]
    pub built_with: Option<String>,

    /// Folder that holds the stages' programs [default: the driver's own]
    #[arg(long, value_name = "FOLDER", hide = true)]
    pub programs: Option<PathBuf>,
}

/// Reads the experiment, runs it and says how it ended, as an exit code.
pub fn run(arguments: &Arguments) -> Result<u8, Fault> {
    let started = Instant::now();
    let experiment = read(&arguments.file)?;
    if arguments.list {
        print(list(&experiment).trim_end());
        return Ok(0);
    }
    let study = Study::resolve(&experiment, &arguments.profile, &arguments.settings)?;
    let parallel_jobs = arguments.jobs.unwrap_or(study.parallel_jobs);
    if parallel_jobs == 0 {
        return Err(Fault::parameter("--jobs 0: at least 1 job must run"));
    }
    let root = match &arguments.artifacts {
        Some(folder) => utf8(folder)?.to_owned(),
        None => format!("artifacts/{}", arguments.profile),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = plan::plan(&study, &root, Threads { shared: (cores / parallel_jobs).max(1), alone: cores });
    let executor = Executor {
        selected: select(arguments, &experiment, &study, &jobs)?,
        partial: !(arguments.datasets.is_empty() && arguments.runs.is_empty() && arguments.seeds.is_empty()
            || arguments.only.iter().any(|stage| stage.whole_study())),
        jobs: &jobs,
        root: root.clone(),
        programs: programs(arguments)?,
        parallel_jobs,
        force: arguments.force,
    };
    let artifacts = Artifacts::new(Path::new(&root));
    if arguments.dry_run {
        let (mut state, history) = (State::open(Path::new(&root), false)?, History::open(artifacts)?);
        refuse_foreign_folders(&executor, &state, &history)?;
        executor.dry_run(&mut state, &history)?;
        return Ok(0);
    }
    let _lock = lock(Path::new(&root))?;
    let (mut state, mut history) = (State::open(Path::new(&root), true)?, History::open(artifacts.clone())?);
    refuse_foreign_folders(&executor, &state, &history)?;
    let mut display = Display::new();
    let outcome = executor.run(&mut state, &mut history, &mut display);
    display.close();
    let time = display::duration(started.elapsed());
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
                "stopped after {time}; what was finished is kept: {} goes on from there",
                resume_command(arguments)
            ));
            Ok(code)
        }
        Outcome::Interrupted(code) => {
            print_error(&format!("interrupted after {time}; to go on where it stopped: {}", resume_command(arguments)));
            Ok(code)
        }
    }
}

/// A path as the text that commands and messages contain.
fn utf8(path: &Path) -> Result<&str, Fault> {
    path.to_str().ok_or_else(|| Fault::parameter(format!("{}: a folder's name must be UTF-8", path.display())))
}

fn read(path: &Path) -> Result<Experiment, Fault> {
    let text = fs::read_to_string(path).map_err(|error| {
        let what = "it describes the experiment; run in the project's root or name it by --file";
        Fault::input(format!("cannot read {}: {error}; {what}", path.display()))
    })?;
    let mut experiment: Experiment = yaml::parse(&text, &path.to_string_lossy())?;
    experiment.place_sources(path.parent().unwrap_or(Path::new("")));
    Ok(experiment)
}

/// Where the programs lie, relative to the working folder if that is shorter to paste.
fn programs(arguments: &Arguments) -> Result<String, Fault> {
    if let Some(folder) = &arguments.programs {
        return Ok(utf8(folder)?.to_owned());
    }
    let own = std::env::current_exe()?;
    let folder = own.parent().unwrap_or(Path::new("."));
    let here = std::env::current_dir()?;
    let folder = match folder.strip_prefix(&here) {
        // A bare name would be looked for where the shell looks.
        Ok(below) if below.as_os_str().is_empty() => Path::new("."),
        Ok(below) => below,
        Err(_) => folder,
    };
    Ok(utf8(folder)?.to_owned())
}

/// Which jobs are selected.
fn select(arguments: &Arguments, experiment: &Experiment, study: &Study, jobs: &[Job]) -> Result<Vec<bool>, Fault> {
    study::check_selected("--dataset", &arguments.datasets, &experiment.datasets)?;
    study::check_selected("--run", &arguments.runs, &experiment.runs)?;
    for name in &arguments.datasets {
        if !study.datasets.iter().any(|dataset| dataset.name == *name) {
            return Err(Fault::parameter(format!(
                "--dataset {name}: profile `{profile}` does not learn it; add it by --set datasets=[{name}]",
                profile = arguments.profile
            )));
        }
    }
    for name in &arguments.runs {
        if !study.datasets[0].runs.iter().any(|run| run.name == *name) {
            return Err(Fault::parameter(format!(
                "--run {name}: profile `{profile}` does not have it; add it by --set runs=[{name}]",
                profile = arguments.profile
            )));
        }
    }
    if let Some(seed) =
        arguments.seeds.iter().find(|seed| !study.datasets.iter().any(|dataset| dataset.seeds.contains(seed)))
    {
        return Err(Fault::parameter(format!(
            "--seed {seed}: profile `{profile}` does not train with it; add it by --set seeds=[{seed}]",
            profile = arguments.profile
        )));
    }
    let is_selected = |job: &Job| {
        let stage = arguments.only.is_empty() || arguments.only.contains(&job.stage);
        let dataset =
            job.dataset.as_ref().is_none_or(|name| arguments.datasets.is_empty() || arguments.datasets.contains(name));
        let run = job.run.as_ref().is_none_or(|name| arguments.runs.is_empty() || arguments.runs.contains(name));
        let seed = job.seed.as_ref().is_none_or(|seed| arguments.seeds.is_empty() || arguments.seeds.contains(seed));
        stage && dataset && run && seed
    };
    let selected: Vec<bool> = jobs.iter().map(is_selected).collect();
    if !selected.contains(&true) {
        return Err(Fault::parameter("nothing is left to run: no job has that stage, dataset, run and seed"));
    }
    Ok(selected)
}

/// Keeps a second driver away from the folder for as long as the file is held.
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
                "another run of the pipeline (process {}) works on {}: wait for it, or take another folder by --artifacts",
                holder.trim(),
                root.display()
            )))
        }
        // Some network file systems know no locks; the folder is used all the same.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(fault(error)),
    }
}

/// Refuses a folder in which the pipeline has never worked and where things lie that the whole study's stages would replace.
fn refuse_foreign_folders(executor: &Executor<'_>, state: &State, history: &History) -> Result<(), Fault> {
    if !(state.is_empty() && history.is_empty()) {
        return Ok(());
    }
    let root = Path::new(&executor.root);
    let folders = executor.jobs.iter().filter(|job| job.stage.whole_study()).flat_map(|job| &job.owned_folders);
    match folders.map(|folder| root.join(folder)).find(|path| path.exists()) {
        None => Ok(()),
        Some(path) => Err(Fault::input(format!(
            "{} is not of this pipeline, which has never worked in {}, and would be replaced: move it away, or name another \
             folder by --artifacts",
            path.display(),
            root.display()
        ))),
    }
}

/// What lies in the folder too, of another study: whoever reads the whole folder reads it.
fn note_foreign_tables(executor: &Executor<'_>, state: &State) -> Option<String> {
    let names: BTreeSet<String> = executor.jobs.iter().map(Job::name).collect();
    let foreign: Vec<&str> = state.jobs().filter(|name| !names.contains(*name)).collect();
    let first = foreign.first()?;
    let more = if foreign.len() > 1 { format!(" and {} more", foreign.len() - 1) } else { String::new() };
    Some(format!(
        "note: tables of {first}{more} are also here, of another study: filter them out of what is read from whole folders"
    ))
}

/// Says what came out, of the jobs that are done.
fn print_results(executor: &Executor<'_>, done: &[bool], study: &Study, artifacts: &Artifacts) -> Result<(), Fault> {
    let is_done = |stage| executor.jobs.iter().zip(done).any(|(job, done)| job.stage == stage && *done);
    if is_done(Stage::Correlate) {
        const WIDTH_OF_A_LOG: u16 = 120;
        let width = console::Term::stdout().size_checked().map_or(WIDTH_OF_A_LOG, |(_, columns)| columns);
        print(&format!("\n{}", summary::results(artifacts)?));
        print(&summary::findings(artifacts, study, width.into())?);
    }
    if is_done(Stage::Plot) {
        let root = Path::new(&executor.root);
        print(&format!("Figures  {}", root.join("plots").display()));
        print(&format!("Report   {}", root.join("report/index.html").display()));
    }
    Ok(())
}

fn list(experiment: &Experiment) -> String {
    let profiles = experiment.profiles.iter().map(|(name, profile)| (name, profile.about.clone().unwrap_or_default()));
    let datasets = experiment.datasets.iter().map(|(name, dataset)| (name, dataset.source.clone().unwrap_or_default()));
    let runs = experiment.runs.iter().map(|(name, run)| {
        let stages: Vec<String> = run.stages.iter().map(ToString::to_string).collect();
        (name, format!("{} ({})", run.label, stages.join(", ")))
    });
    let sections: [(&str, Vec<_>); 3] =
        [("profiles", profiles.collect()), ("datasets", datasets.collect()), ("runs", runs.collect())];
    let entry = |(name, about): &(&String, String)| format!("  {name:<18} {about}").trim_end().to_owned() + "\n";
    let section =
        |(title, entries): &(&str, Vec<_>)| format!("{title}\n{}", entries.iter().map(entry).collect::<String>());
    sections.iter().map(section).collect()
}

/// The command that goes on with this run: the one that it was started by, but for --force, which is remembered of what it did
/// not reach and would begin again what it did.
fn resume_command(arguments: &Arguments) -> String {
    let build = arguments.built_with.iter().flat_map(|features| ["--features".to_owned(), features.clone()]);
    let mut given = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let mut words = vec!["./scripts/run_pipeline.sh".to_owned()];
    words.extend(build);
    while let Some(word) = given.next() {
        match word.as_str() {
            "--force" => {}
            BUILT_WITH => drop(given.next()),
            _ => words.push(word),
        }
    }
    words.iter().map(|word| plan::quote(word)).collect::<Vec<_>>().join(" ")
}
