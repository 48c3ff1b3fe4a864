//! The driver: reads `pipeline.yaml`, plans the graph of commands, decides what is stale, and runs it.
//!
//! It knows the stages by name, by their flags and by the tables that they read and write, and starts them as programs of
//! their own: every command that it runs is printed, and does the same when it is pasted in a shell. What it has run it
//! remembers beside the tables ([`state`]); the table `lineage` says the same to people.

pub mod cost;
pub mod display;
mod estimate;
pub mod experiment;
pub mod lineage;
pub mod near;
mod nodes;
pub mod pace;
pub mod plan;
mod process;
pub mod schedule;
pub mod stale;
pub mod state;
pub mod study;
pub mod summary;
pub mod turn;
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
use crate::experiment::Experiment;
use crate::lineage::History;
use crate::plan::{Node, Stage, Threads};
use crate::schedule::Outcome;
use crate::state::State;
use crate::study::Study;
use crate::turn::Plan;

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

    /// How many nodes run at once [default: the profile's]
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
    let jobs = arguments.jobs.unwrap_or(study.jobs);
    if jobs == 0 {
        return Err(Fault::parameter("--jobs 0: at least 1 node must run"));
    }
    let root = arguments.artifacts.clone().unwrap_or_else(|| Path::new("artifacts").join(&arguments.profile));
    // Stages are told by commands that a person can paste.
    let mut told = [Some(&root), arguments.programs.as_ref()].into_iter().flatten();
    if let Some(path) = told.find(|path| path.to_str().is_none()) {
        return Err(Fault::parameter(format!("{}: a folder's name must be UTF-8", path.display())));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let nodes = plan::plan(&study, &root, Threads { shared: (cores / jobs).max(1), alone: cores });
    let plan = Plan {
        chosen: choose(arguments, &experiment, &study, &nodes)?,
        narrowed: !(arguments.datasets.is_empty() && arguments.runs.is_empty() && arguments.seeds.is_empty()
            || arguments.only.iter().any(|stage| stage.whole_study())),
        nodes: &nodes,
        root: root.clone(),
        programs: programs(arguments)?,
        jobs,
        force: arguments.force,
    };
    let artifacts = Artifacts::new(&root);
    if arguments.dry_run {
        let (mut state, history) = (State::open(&root, false)?, History::open(artifacts)?);
        spare_what_is_not_ours(&plan, &state, &history)?;
        plan.rehearse(&mut state, &history)?;
        return Ok(0);
    }
    let _lock = lock(&root)?;
    let (mut state, mut history) = (State::open(&root, true)?, History::open(artifacts.clone())?);
    spare_what_is_not_ours(&plan, &state, &history)?;
    let mut display = Display::new();
    let outcome = plan.run(&mut state, &mut history, &mut display);
    display.close();
    let time = display::duration(started.elapsed());
    match outcome? {
        Outcome::Complete(done) => {
            conclude(&plan, &done, &study, &artifacts)?;
            if let Some(note) = strangers(&plan, &state) {
                print(&note);
            }
            print(&format!("Total time {time}"));
            Ok(0)
        }
        Outcome::Failed(code) => {
            print_error(&format!(
                "stopped after {time}; what was finished is kept: {} goes on from there",
                again(arguments)
            ));
            Ok(code)
        }
        Outcome::Interrupted(code) => {
            print_error(&format!("interrupted after {time}; to go on where it stopped: {}", again(arguments)));
            Ok(code)
        }
    }
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
fn programs(arguments: &Arguments) -> Result<PathBuf, Fault> {
    if let Some(folder) = &arguments.programs {
        return Ok(folder.clone());
    }
    let own = std::env::current_exe()?;
    let folder = own.parent().unwrap_or(Path::new("."));
    let here = std::env::current_dir()?;
    Ok(match folder.strip_prefix(&here) {
        // A bare name would be looked for where the shell looks.
        Ok(below) if below.as_os_str().is_empty() => PathBuf::from("."),
        Ok(below) => below.to_owned(),
        Err(_) => folder.to_owned(),
    })
}

/// Which nodes were asked for.
fn choose(arguments: &Arguments, experiment: &Experiment, study: &Study, nodes: &[Node]) -> Result<Vec<bool>, Fault> {
    study::check_chosen("--dataset", &arguments.datasets, &experiment.datasets)?;
    study::check_chosen("--run", &arguments.runs, &experiment.runs)?;
    for name in &arguments.datasets {
        if !study.texts.iter().any(|text| text.name == *name) {
            return Err(Fault::parameter(format!(
                "--dataset {name}: profile `{profile}` does not learn it; add it by --set datasets=[{name}]",
                profile = arguments.profile
            )));
        }
    }
    for name in &arguments.runs {
        if !study.texts[0].trainings.iter().any(|training| training.name == *name) {
            return Err(Fault::parameter(format!(
                "--run {name}: profile `{profile}` does not have it; add it by --set runs=[{name}]",
                profile = arguments.profile
            )));
        }
    }
    if let Some(seed) = arguments.seeds.iter().find(|seed| !study.texts.iter().any(|text| text.seeds.contains(seed))) {
        return Err(Fault::parameter(format!(
            "--seed {seed}: profile `{profile}` does not train with it; add it by --set seeds=[{seed}]",
            profile = arguments.profile
        )));
    }
    let chosen = |node: &Node| {
        let stage = arguments.only.is_empty() || arguments.only.contains(&node.stage);
        let dataset =
            node.dataset.as_ref().is_none_or(|name| arguments.datasets.is_empty() || arguments.datasets.contains(name));
        let run = node.run.as_ref().is_none_or(|name| arguments.runs.is_empty() || arguments.runs.contains(name));
        let seed = node.seed.as_ref().is_none_or(|seed| arguments.seeds.is_empty() || arguments.seeds.contains(seed));
        stage && dataset && run && seed
    };
    let chosen: Vec<bool> = nodes.iter().map(chosen).collect();
    if !chosen.contains(&true) {
        return Err(Fault::parameter("nothing is left to run: no node has that stage, dataset, run and seed"));
    }
    Ok(chosen)
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
fn spare_what_is_not_ours(plan: &Plan<'_>, state: &State, history: &History) -> Result<(), Fault> {
    if !(state.is_empty() && history.is_empty()) {
        return Ok(());
    }
    let folders = plan.nodes.iter().filter(|node| node.stage.whole_study()).flat_map(|node| &node.folders);
    match folders.map(|folder| plan.root.join(folder)).find(|path| path.exists()) {
        None => Ok(()),
        Some(path) => Err(Fault::input(format!(
            "{} is not of this pipeline, which has never worked in {}, and would be replaced: move it away, or name another \
             folder by --artifacts",
            path.display(),
            plan.root.display()
        ))),
    }
}

/// What lies in the folder too, of another study: whoever reads the whole folder reads it.
fn strangers(plan: &Plan<'_>, state: &State) -> Option<String> {
    let names: BTreeSet<String> = plan.nodes.iter().map(Node::name).collect();
    let strangers: Vec<&str> = state.nodes().filter(|name| !names.contains(*name)).collect();
    let first = strangers.first()?;
    let more = if strangers.len() > 1 { format!(" and {} more", strangers.len() - 1) } else { String::new() };
    Some(format!(
        "note: tables of {first}{more} are also here, of another study: filter them out of what is read from whole folders"
    ))
}

/// Says what came out, of the nodes that are done.
fn conclude(plan: &Plan<'_>, done: &[bool], study: &Study, artifacts: &Artifacts) -> Result<(), Fault> {
    let there = |stage| plan.nodes.iter().zip(done).any(|(node, done)| node.stage == stage && *done);
    if there(Stage::Correlate) {
        const WIDTH_OF_A_LOG: u16 = 120;
        let width = console::Term::stdout().size_checked().map_or(WIDTH_OF_A_LOG, |(_, columns)| columns);
        print(&format!("\n{}", summary::results(artifacts)?));
        print(&summary::findings(artifacts, study, width.into())?);
    }
    if there(Stage::Plot) {
        print(&format!("Figures  {}", plan.root.join("plots").display()));
        print(&format!("Report   {}", plan.root.join("report/index.html").display()));
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
    let entry = |(name, about): &(&str, String)| format!("  {name:<18} {about}").trim_end().to_owned() + "\n";
    let section =
        |(title, entries): &(&str, Vec<_>)| format!("{title}\n{}", entries.iter().map(entry).collect::<String>());
    sections.iter().map(section).collect()
}

/// The command that goes on with this run: the one that it was started by, but for --force, which is remembered of what it did
/// not reach and would begin again what it did.
fn again(arguments: &Arguments) -> String {
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
