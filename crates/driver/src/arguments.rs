//! The command line of the driver.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, Parser, Subcommand, ValueEnum};
use declarations::{Encoding, Fault, StageName, Value, file_name, prep};

use crate::experiment::Experiment;
use crate::near::nearest;
use crate::plan::{Job, quote};
use crate::settings::Settings;
use crate::stage::Stage;
use crate::study::{self, Study};

/// [`Arguments::built_with`] as a flag, which the script passes.
const BUILT_WITH: &str = "--built-with";

const EXAMPLES: &str = "\
Examples:
  run_pipeline.sh                                         the whole study with the default profile
  run_pipeline.sh --profile smoke                         a tiny study, in seconds
  run_pipeline.sh --profile smoke --text my.txt           the same on a text of your own
  run_pipeline.sh --set train.max_iters=500 --dry-run     what a shorter training would run
  run_pipeline.sh --only metrics --run run_2 --force      rerun one stage of one run
  run_pipeline.sh status --watch                          how far a run is, from another terminal
  run_pipeline.sh view                                    the page to explore the results, or what there is so far
  run_pipeline.sh explain FILE                            what made a file, from what
Jobs whose parameters, inputs and declared versions have not changed are up to date and are skipped. An interrupted run
resumes. A failed job does not stop those that do not depend on it.";

/// Runs the study that pipeline.yaml describes
#[derive(Debug, Parser)]
#[command(name = "run_pipeline.sh", bin_name = "run_pipeline.sh", version, after_help = EXAMPLES, subcommand_help_heading = "Commands")]
pub struct Arguments {
    /// What to do in place of running the study
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Profile of pipeline.yaml to run
    #[arg(long, value_name = "NAME", default_value = "laptop", help_heading = "What", global = true)]
    pub profile: String,

    /// Train on this file instead, as a dataset named after it, with the profile's settings and a folder of its own
    #[arg(long, value_name = "FILE", help_heading = "What", global = true)]
    pub text: Option<PathBuf>,

    /// What a token of --text is
    #[arg(long, value_name = "utf8|bytes", default_value = "utf8", value_parser = Encoding::parse, requires = "text", help_heading = "What", global = true)]
    pub text_encoding: Encoding,

    /// Set a parameter, such as train.max_iters=500; repeatable
    #[arg(long = "set", value_name = "SECTION.PARAMETER=VALUE", help_heading = "What", global = true)]
    pub settings: Vec<String>,

    /// Select the jobs of this stage only; repeatable
    #[arg(long, value_name = "STAGE", value_parser = StageWord, help_heading = "What")]
    pub only: Vec<String>,

    /// Select the jobs of this stage and of later ones
    #[arg(long, value_name = "STAGE", value_parser = StageWord, help_heading = "What", conflicts_with = "only")]
    pub from: Option<String>,

    /// Select the jobs of this stage and of earlier ones
    #[arg(long, value_name = "STAGE", value_parser = StageWord, help_heading = "What", conflicts_with = "only")]
    pub until: Option<String>,

    /// Select the jobs of this dataset only (correlate and plot always read the whole study); repeatable
    #[arg(long = "dataset", value_name = "NAME", help_heading = "What")]
    pub datasets: Vec<String>,

    /// Select the jobs of this run only; repeatable
    #[arg(long = "run", value_name = "NAME", help_heading = "What")]
    pub runs: Vec<String>,

    /// Select the jobs of this seed only; repeatable
    #[arg(long = "seed", value_name = "NUMBER", help_heading = "What")]
    pub seeds: Vec<u64>,

    /// Print what would run, why and by which command, without running it
    #[arg(long, help_heading = "How")]
    pub dry_run: bool,

    /// Rerun jobs that are up to date
    #[arg(long, help_heading = "How")]
    pub force: bool,

    /// Replace finished work of more than a minute, and fill the disk, without asking
    #[arg(long, short, help_heading = "How")]
    pub yes: bool,

    /// Stop at the first job that fails
    #[arg(long, help_heading = "How", overrides_with = "keep_going")]
    pub fail_fast: bool,

    /// After a failure, finish the jobs that do not depend on it; the default
    #[arg(long, help_heading = "How", overrides_with = "fail_fast")]
    pub keep_going: bool,

    /// What makes a job stale
    #[arg(long, value_name = "WHAT", value_enum, default_value = "versions", help_heading = "How")]
    pub rerun_triggers: RerunTriggers,

    /// Number of jobs that run at once [default: the profile's, else one for each core]
    #[arg(long, value_name = "NUMBER", help_heading = "How")]
    pub jobs: Option<usize>,

    /// What runs the jobs
    #[arg(long, value_name = "WHAT", value_enum, default_value = "local", help_heading = "How")]
    pub executor: ExecutorKind,

    /// Work in the folder at the same time as other runs of the pipeline, with a lock for each job; the default inside a job of Slurm
    #[arg(long, help_heading = "How")]
    pub shared: bool,

    /// Print the command of every job as it starts
    #[arg(long, short, help_heading = "How")]
    pub verbose: bool,

    /// Folder of all tables [default: artifacts/PROFILE, with --text artifacts/PROFILE_DATASET]
    #[arg(long, value_name = "FOLDER", help_heading = "Where", global = true)]
    pub artifacts: Option<PathBuf>,

    /// File that describes the experiment
    #[arg(long, value_name = "PATH", default_value = "pipeline.yaml", help_heading = "Where", global = true)]
    pub file: PathBuf,

    /// Folder that paths in the file are relative to [default: that of the file]
    #[arg(long, value_name = "FOLDER", hide = true, global = true)]
    pub relative_to: Option<PathBuf>,

    /// List the profiles, datasets and runs of pipeline.yaml
    #[arg(long, help_heading = "What")]
    pub list: bool,

    /// The features that the script built the programs with
    #[arg(long, value_name = "FEATURES", hide = true, global = true)]
    pub built_with: Option<String>,

    /// Folder of the stages' programs [default: the driver's own]
    #[arg(long, value_name = "FOLDER", hide = true, global = true)]
    pub programs: Option<PathBuf>,
}

/// What runs the jobs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum ExecutorKind {
    /// This machine
    Local,
    /// A cluster, by Slurm's sbatch: one array of tasks a stage, with the resources of `cluster` in pipeline.yaml
    Slurm,
}

/// What makes a job stale beside its parameters and inputs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum RerunTriggers {
    /// The declared version of its stage's results
    Versions,
    /// That, and any change of its stage's program
    Program,
}

/// What the driver can do beside running the study.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Show which jobs are done, stale and why, running, or failed
    Status {
        /// Show it again every two seconds while the pipeline runs, with losses, entropies and speeds
        #[arg(long)]
        watch: bool,
    },
    /// Print the graph of the study for Graphviz: `run_pipeline.sh graph | dot -Tsvg >graph.svg`
    Graph {
        /// What a node of the graph is
        #[arg(long, value_enum, default_value = "stage")]
        by: Node,
    },
    /// Show what made a file, from what, with which parameters, down to the text
    Explain {
        /// A file below the folder of the tables
        #[arg(value_name = "FILE")]
        artifact: PathBuf,
        /// Show how it differs from another file: in parameters, inputs and versions
        #[arg(long, value_name = "FILE")]
        compare: Option<PathBuf>,
    },
    /// Print the log of a job, such as `train shakespeare_char/run_1/1337`
    Logs {
        /// The job's name, as every message has it
        #[arg(required = true)]
        job: Vec<String>,
    },
    /// Open the study's page in a browser, or print its path; without a page yet, make one of what there is so far
    View {
        /// Make a page of what there is so far, which says what is missing, also where there is one of an earlier run
        #[arg(long)]
        so_far: bool,
    },
    /// End what --executor slurm has submitted; trainings save first
    Cancel,
    /// Run these jobs here and now, whoever else works in the folder; a job that another process runs is taken over. This is what a
    /// task on a cluster does
    Job {
        /// The jobs' names, in the order in which they run
        #[arg(required = true, value_name = "JOB")]
        jobs: Vec<String>,
        /// A job that failed for good, which the results do without; repeatable
        #[arg(long, value_name = "JOB")]
        failed: Vec<String>,
        /// The array that this is a task of
        #[arg(long, value_name = "NAME", hide = true)]
        array: Option<String>,
    },
    /// List files that this profile, with these settings, does not refer to, and remove them after a question or with --yes
    Clean {
        /// Remove them without asking
        #[arg(long, short)]
        yes: bool,
    },
    /// Print completions for a shell: `run_pipeline.sh completions bash >~/.local/share/bash-completion/completions/run_pipeline.sh`
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// What a node of a graph is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Node {
    /// A stage
    Stage,
    /// A job
    Job,
}

impl Arguments {
    /// Root of the artifacts.
    ///
    /// # Errors
    /// Its path is not UTF-8.
    pub(crate) fn root(&self, own_text: Option<&str>) -> Result<String, Fault> {
        match (&self.artifacts, own_text) {
            (Some(folder), _) => utf8("--artifacts", folder),
            (None, Some(dataset)) => Ok(format!("artifacts/{}_{dataset}", self.profile)),
            (None, None) => Ok(format!("artifacts/{}", self.profile)),
        }
    }

    /// Adds the dataset of `--text` to the experiment, as the only one of the profile, and returns its name.
    ///
    /// # Errors
    /// The file is missing, or its path is not UTF-8.
    pub(crate) fn add_text(&self, experiment: &mut Experiment) -> Result<Option<String>, Fault> {
        let Some(file) = &self.text else { return Ok(None) };
        let source = utf8("--text", file)?;
        if !file.is_file() {
            return Err(Fault::input(format!("--text {source}: there is no such file")));
        }
        let name = dataset_name(file, |name| experiment.datasets.contains_key(name));
        let config =
            prep::Derived { source: Some(source), encoding: Some(self.text_encoding), ..prep::Derived::default() };
        experiment.datasets.insert(name.clone(), config);
        if let Some(profile) = experiment.profiles.get_mut(&self.profile) {
            profile.datasets = Some(vec![name.clone()]);
        }
        Ok(Some(name))
    }

    /// Folder of the stages' programs, relative to the working folder if it lies below it.
    ///
    /// # Errors
    /// Its path is not UTF-8.
    pub(crate) fn programs(&self) -> Result<String, Fault> {
        if let Some(folder) = &self.programs {
            return utf8("--programs", folder);
        }
        let unknown = |error: std::io::Error| Fault::input(format!("cannot find the folder of the programs: {error}"));
        let driver = std::env::current_exe().map_err(unknown)?;
        let folder = driver.parent().unwrap_or(Path::new("."));
        let folder = match folder.strip_prefix(std::env::current_dir().map_err(unknown)?) {
            // A shell searches its path for a bare name.
            Ok(below) if below.as_os_str().is_empty() => Path::new("."),
            Ok(below) => below,
            Err(_) => folder,
        };
        utf8("the folder of the programs", folder)
    }

    /// Whether other runs of the pipeline may work in the folder at the same time.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared || (self.executor == ExecutorKind::Local && std::env::var_os("SLURM_JOB_ID").is_some())
    }

    /// The jobs that failed for good.
    pub(crate) fn failed(&self) -> BTreeSet<String> {
        match &self.command {
            Some(Command::Job { failed, .. }) => failed.iter().cloned().collect(),
            _ => BTreeSet::new(),
        }
    }

    /// The profile and settings, to be remembered.
    pub(crate) fn remembered(&self) -> Settings {
        Settings { profile: self.profile.clone(), settings: self.settings.clone() }
    }

    /// Whether each job is selected.
    ///
    /// # Errors
    /// A name is unknown, or no job is selected.
    pub(crate) fn select(&self, experiment: &Experiment, study: &Study, jobs: &[Job]) -> Result<Vec<bool>, Fault> {
        if let Some(Command::Job { jobs: names, .. }) = &self.command {
            return select_by_name(names, jobs);
        }
        study::check_selected("--dataset", &self.datasets, &experiment.datasets)?;
        study::check_selected("--run", &self.runs, &experiment.runs)?;
        let not_in_profile = |flag: &str, value: &str, key: &str| {
            Fault::parameter(format!(
                "{flag} {value}: not in profile `{}`; add it by --set {key}=[{value}]",
                self.profile
            ))
        };
        if let Some(name) = self.datasets.iter().find(|name| !study.datasets.iter().any(|known| known.name == **name)) {
            return Err(not_in_profile("--dataset", name, "datasets"));
        }
        let runs = study.datasets.iter().flat_map(|dataset| &dataset.runs);
        if let Some(name) = self.runs.iter().find(|name| !runs.clone().any(|run| run.name == **name)) {
            return Err(not_in_profile("--run", name, "runs"));
        }
        let trained_with = |seed: &u64| study.datasets.iter().any(|dataset| dataset.seeds.contains(seed));
        if let Some(seed) = self.seeds.iter().find(|seed| !trained_with(seed)) {
            let seeds = study.datasets.iter().flat_map(|dataset| &dataset.seeds).chain([seed]);
            let seeds: BTreeSet<String> = seeds.map(u64::to_string).collect();
            let seeds = seeds.into_iter().collect::<Vec<_>>().join(",");
            return Err(Fault::parameter(format!(
                "--seed {seed}: not in profile `{}`; add it by --set seeds=[{seeds}]",
                self.profile
            )));
        }
        let only = self.only(study)?;
        let bound = |flag: &str, name: &Option<String>| -> Result<Option<Stage>, Fault> {
            let name = name.as_ref();
            name.map(|name| Stage::named(name, &study.own_stages, &format!("{flag} {name}"))).transpose()
        };
        let (from, until) = (bound("--from", &self.from)?, bound("--until", &self.until)?);
        let is_selected = |job: &Job| {
            (only.is_empty() || only.contains(&job.stage))
                && from.as_ref().is_none_or(|first| *first <= job.stage)
                && until.as_ref().is_none_or(|last| job.stage <= *last)
                && job.dataset.as_ref().is_none_or(|name| self.datasets.is_empty() || self.datasets.contains(name))
                && job.run.as_ref().is_none_or(|name| self.runs.is_empty() || self.runs.contains(name))
                && job.seed.as_ref().is_none_or(|seed| self.seeds.is_empty() || self.seeds.contains(seed))
        };
        let selected: Vec<bool> = jobs.iter().map(is_selected).collect();
        if !selected.contains(&true) {
            return Err(Fault::parameter("no job has the selected stage, dataset, run and seed"));
        }
        Ok(selected)
    }

    /// Whether the selection leaves out jobs that a stage of the whole study may need; such a stage is then omitted. One that
    /// is selected by --only is run or refused instead.
    ///
    /// # Errors
    /// A stage is unknown.
    pub(crate) fn is_partial(&self, study: &Study) -> Result<bool, Fault> {
        let all = self.datasets.is_empty() && self.runs.is_empty() && self.seeds.is_empty();
        Ok(!(all || self.only(study)?.iter().any(|stage| stage.needs_whole().is_some())))
    }

    /// The stages of `--only`.
    fn only(&self, study: &Study) -> Result<Vec<Stage>, Fault> {
        self.only.iter().map(|name| Stage::named(name, &study.own_stages, &format!("--only {name}"))).collect()
    }
}

/// Parses the name of a stage. Help and completions list those of the pipeline; pipeline.yaml, which is read later, may declare more.
#[derive(Clone)]
struct StageWord;

impl TypedValueParser for StageWord {
    type Value = String;

    fn parse_ref(&self, command: &clap::Command, argument: Option<&Arg>, value: &OsStr) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(StageName::ALL.iter().map(|stage| PossibleValue::new(stage.word()))))
    }
}

/// A dataset's name after its file: without the extension, with `_` for what no name can have, and different from known ones.
fn dataset_name(file: &Path, is_known: impl Fn(&str) -> bool) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let allowed = |character: char| character.is_ascii_alphanumeric() || "_-.".contains(character);
    let mut name: String = stem.chars().map(|character| if allowed(character) { character } else { '_' }).collect();
    if file_name(&name).is_err() {
        name.insert(0, '_');
    }
    while is_known(&name) {
        name += "_text";
    }
    name
}

/// Selects jobs by their names.
fn select_by_name(names: &[String], jobs: &[Job]) -> Result<Vec<bool>, Fault> {
    let known: Vec<String> = jobs.iter().map(Job::name).collect();
    if let Some(name) = names.iter().find(|name| !known.contains(name)) {
        let near = nearest(name, known.iter().map(String::as_str));
        return Err(Fault::parameter(format!("job {name}: the study has no such job{near}; --dry-run lists them")));
    }
    Ok(known.iter().map(|name| names.contains(name)).collect())
}

/// A path as text, for commands that are printed, recorded and pasted.
pub(crate) fn utf8(what: &str, path: &Path) -> Result<String, Fault> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Fault::parameter(format!("{what} {}: the path is not UTF-8; rename it", path.display())))
}

/// The command that resumes this run: the same command without --force, which would rerun finished jobs again. The state
/// remembers the jobs that --force has not reached.
pub(crate) fn resume_command(arguments: &Arguments) -> String {
    let build = arguments.built_with.iter().flat_map(|features| ["--features".to_owned(), features.clone()]);
    let mut given = std::env::args().skip(1);
    let mut words = vec!["./scripts/run_pipeline.sh".to_owned()];
    words.extend(build);
    while let Some(word) = given.next() {
        match word.as_str() {
            "--force" => {}
            BUILT_WITH => drop(given.next()),
            _ => words.push(word),
        }
    }
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_its_dataset() {
        for (file, name) in [
            ("a/my novel.txt", "my_novel"),
            ("war-and-peace.v2.txt", "war-and-peace.v2"),
            ("1984.txt", "_1984"),
            ("Être.txt", "_tre"),
            ("红楼梦.txt", "___"),
            ("nan.txt", "_nan"),
            ("text8.txt", "text8_text"),
            ("-", "_-"),
        ] {
            assert_eq!(dataset_name(Path::new(file), |name| name == "text8"), name, "{file}");
            assert!(file_name(name).is_ok(), "{name}");
        }
    }
}
