//! The resolved experiment: after the overrides of the profile, the dataset, the run and `--set`, in this order.

use std::sync::Arc;

use declarations::{
    Fault, Per, StageName, Steps, StudyDataset, StudyRun, StudySections, TrainingSections, file_name, prep,
};
use indexmap::IndexMap;

use crate::cluster::ClusterConfig;
use crate::experiment::{Experiment, Profile, RunConfig, TrainedAs};
use crate::import;
use crate::near::unknown_key;
use crate::origin::Origin;
use crate::own::{self, OwnStage, Parameters};
use crate::stage::Stage;
use crate::yaml;

/// Everything that one profile runs.
#[derive(Clone, Debug)]
pub struct Study {
    /// The datasets that are trained on.
    pub datasets: Vec<Dataset>,
    /// How many jobs run at once, if that is set.
    pub parallel_jobs: Option<usize>,
    /// What jobs need on a cluster.
    pub cluster: ClusterConfig,
    /// The parameters of the stages without a job per training.
    pub sections: StudySections,
    /// The user's own stages, in the order in which they run.
    pub own_stages: Vec<Arc<OwnStage>>,
    /// Their parameters for jobs of the whole study.
    pub own: Parameters,
    /// Where the parameters were written.
    pub origin: Origin,
}

/// A dataset with its seeds, steps and runs.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// Its entry in `pipeline.yaml`: `prep`'s parameters.
    pub config: prep::Derived,
    /// The seeds of every run.
    pub seeds: Vec<u64>,
    /// The snapshot steps; the last one ends the training.
    pub steps: Steps,
    /// Its runs.
    pub runs: Vec<Run>,
    /// The parameters of the user's own stages with a job per dataset.
    pub own: Parameters,
}

/// A run of a dataset with its parameters, the same for every seed.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its name.
    pub name: String,
    /// Its label, as shown in tables and figures.
    pub label: String,
    /// Its stages.
    pub stages: Vec<StageName>,
    /// The run whose trainings it takes, and from which seed on.
    pub trained_as: Option<TrainedAs>,
    /// The parameters of the stages with a job per training.
    pub sections: TrainingSections,
    /// The parameters of the user's own stages with a job per training.
    pub own: Parameters,
}

impl Study {
    /// The study as the stages that read all of it receive it.
    pub fn specification(&self) -> declarations::Study {
        let datasets = self.datasets.iter().map(|dataset| StudyDataset {
            name: dataset.name.clone(),
            seeds: dataset.seeds.clone(),
            steps: dataset.steps.clone(),
            eval_interval: dataset.runs[0].sections.train.eval_interval,
        });
        // Only runs decide the parts, so they are the same for every dataset.
        let first = &self.datasets[0];
        let runs = first.runs.iter().map(|run| StudyRun {
            name: run.name.clone(),
            label: run.label.clone(),
            parts: run.plan(first).parts(),
        });
        declarations::Study { datasets: datasets.collect(), runs: runs.collect(), missing: Vec::new() }
    }

    /// Applies a profile and `--set` to the experiment.
    ///
    /// # Errors
    /// An unknown name, an empty or repeated entry, or parameters that contradict each other.
    pub fn resolve(experiment: &Experiment, profile_name: &str, texts: &[String]) -> Result<Self, Fault> {
        check_names(experiment)?;
        let unknown = || {
            Fault::parameter(format!("--profile {profile_name}: {}", unknown_key(profile_name, &experiment.profiles)))
        };
        let profile = experiment.profiles.get(profile_name).ok_or_else(unknown)?;
        let settings: Result<Vec<Profile>, Fault> = texts.iter().map(|text| yaml::parse_setting(text)).collect();
        let settings = settings?;
        let own_stages = own::declared(experiment)?;
        own::check_changes(experiment, texts, &settings)?;
        check_cluster(experiment, &own_stages, texts, &settings)?;
        for setting in &settings {
            check_known("per_dataset", setting.per_dataset.keys(), &experiment.datasets)?;
        }
        // Parameters of the whole study have no per-dataset and no per-run values.
        let changes: Vec<&Profile> = std::iter::once(profile).chain(&settings).collect();

        let mut sections = experiment.study_sections();
        let mut parallel_jobs = None;
        let mut cluster = experiment.cluster.clone();
        let mut names: Vec<String> = experiment.datasets.keys().cloned().collect();
        let mut runs: Vec<String> = experiment.runs.keys().cloned().collect();
        for change in &changes {
            sections.change(*change);
            parallel_jobs = change.jobs.or(parallel_jobs);
            cluster.change(&change.cluster);
            names = change.datasets.clone().unwrap_or(names);
            runs = change.runs.clone().unwrap_or(runs);
        }
        if parallel_jobs == Some(0) {
            return Err(Fault::parameter("`jobs` must be at least 1"));
        }
        cluster.check()?;
        no_repetition("datasets", &names)?;
        no_repetition("runs", &runs)?;
        check_known("runs", &runs, &experiment.runs)?;
        let overrides = Overrides { experiment, profile, settings: &settings };
        let mut datasets = Vec::new();
        for name in names {
            check_known("datasets", [&name], &experiment.datasets)?;
            datasets.push(overrides.dataset(&name, &experiment.datasets[&name], &runs)?);
        }
        check_size(&datasets)?;
        let origin = Origin::new(experiment, profile_name, texts);
        let own = overrides.own(None, None);
        Ok(Self { datasets, parallel_jobs, cluster, sections, own_stages, own, origin })
    }
}

/// Snapshots of all trainings of a study at most. Each is at least two files, which every plan names and looks for.
const MOST_SNAPSHOTS: u64 = 100_000;

/// Refuses a study that could not even be planned.
fn check_size(datasets: &[Dataset]) -> Result<(), Fault> {
    let of = |dataset: &Dataset| {
        let trainings = (dataset.seeds.len() as u64).saturating_mul(dataset.runs.len() as u64);
        trainings.saturating_mul(dataset.steps.count().into())
    };
    let snapshots = datasets.iter().map(of).fold(0, u64::saturating_add);
    if snapshots > MOST_SNAPSHOTS {
        return Err(Fault::parameter(format!(
            "the study has {snapshots} snapshots (`snapshot.steps` × `seeds` × runs), and at most {MOST_SNAPSHOTS} are \
             possible: use fewer steps, such as 0,1-512*2,1000-100000/1000"
        )));
    }
    Ok(())
}

/// The experiment and its overrides.
struct Overrides<'study> {
    experiment: &'study Experiment,
    profile: &'study Profile,
    settings: &'study [Profile],
}

impl Overrides<'_> {
    fn dataset(&self, name: &str, config: &prep::Derived, runs: &[String]) -> Result<Dataset, Fault> {
        let seeds = self.seeds(name);
        no_repetition("seeds", &seeds)?;
        for &seed in &seeds {
            declarations::check_seed(seed).map_err(|rule| Fault::parameter(format!("a seed in `seeds` {rule}")))?;
        }
        // Runs keep the file's order, whatever the order in which they are selected.
        let selected = self.experiment.runs.iter().filter(|(run, _)| runs.contains(run));
        let mut runs: Vec<Run> =
            selected.map(|(run, config)| self.run(name, run, config)).collect::<Result<_, Fault>>()?;
        runs.iter_mut().try_for_each(|run| import::apply(run, &seeds))?;
        let compared = |run: &Run| {
            let TrainingSections { train, snapshot, .. } = &run.sections;
            (train.max_iters, train.eval_interval, snapshot.steps.clone())
        };
        let (max_iters, _, steps) = compared(&runs[0]);
        if let Some(run) = runs.iter().find(|run| compared(run) != compared(&runs[0])) {
            return Err(Fault::parameter(format!(
                "`runs.{}` changes train.max_iters, train.eval_interval or snapshot.steps: they must be the same for all runs \
                 of a dataset, so that runs can be compared; set them in a profile",
                run.name
            )));
        }
        if steps.is_empty() {
            return Err(Fault::parameter("`snapshot.steps` is empty: write steps such as 0,50,100-2000/100"));
        }
        let steps = steps.up_to(max_iters);
        let own = self.own(Some(name), None);
        Ok(Dataset { name: name.to_owned(), config: config.clone(), seeds, steps, runs, own })
    }

    /// The seeds of a dataset: those of the last override that has any, the dataset's own before those of all datasets.
    fn seeds(&self, dataset: &str) -> Vec<u64> {
        let of = |changes: &Profile| {
            let own = changes.per_dataset.get(dataset).and_then(|own| own.seeds.clone());
            own.or_else(|| changes.seeds.clone())
        };
        let changed = self.settings.iter().rev().chain([self.profile]).find_map(of);
        changed.unwrap_or_else(|| self.experiment.seeds.clone())
    }

    fn run(&self, dataset: &str, name: &str, config: &RunConfig) -> Result<Run, Fault> {
        check_stages(name, config)?;
        let mut sections = self.experiment.training_sections();
        sections.change(self.profile);
        if let Some(own) = self.profile.per_dataset.get(dataset) {
            sections.change(own);
        }
        sections.change(config);
        for setting in self.settings {
            sections.change(setting);
            if let Some(own) = setting.per_dataset.get(dataset) {
                sections.change(own);
            }
        }
        let RunConfig { label, stages, trained_as, .. } = config.clone();
        if let Some(other) = &trained_as {
            let key = format!("runs.{name}.trained_as.run");
            check_known(&key, [&other.run], &self.experiment.runs)?;
            if other.run == name || self.experiment.runs[&other.run].trained_as.is_some() {
                return Err(Fault::parameter(format!(
                    "`{key}` is {}: name another run, with trainings of its own",
                    other.run
                )));
            }
        }
        let own = self.own(Some(dataset), Some(config));
        Ok(Run { name: name.to_owned(), label, stages, trained_as, sections, own })
    }

    /// The parameters of the user's own stages for a dataset and a run, or for all of them.
    fn own(&self, dataset: Option<&str>, run: Option<&RunConfig>) -> Parameters {
        fn of<'changes>(changes: &'changes Profile, dataset: Option<&str>) -> [Option<&'changes own::Changes>; 2] {
            let own = dataset.and_then(|dataset| changes.per_dataset.get(dataset));
            [Some(&changes.own_stages), own.map(|own| &own.own_stages)]
        }
        let of_run = [run.map(|run| &run.own_stages)];
        let of_settings = self.settings.iter().flat_map(|setting| of(setting, dataset));
        let changes = of(self.profile, dataset).into_iter().chain(of_run).chain(of_settings);
        Parameters::new(&self.experiment.own_stages, changes.flatten())
    }
}

/// Refuses an invalid combination of stages.
fn check_stages(name: &str, config: &RunConfig) -> Result<(), Fault> {
    let has = |stage| config.stages.contains(&stage);
    if let Some(stage) = config.stages.iter().find(|stage| stage.per() != Per::Training) {
        let of_trainings = StageName::ALL
            .iter()
            .filter(|stage| stage.per() == Per::Training && **stage != StageName::Import)
            .map(|stage| stage.word());
        return Err(Fault::parameter(format!(
            "`runs.{name}.stages` has {stage}, which has no job per run: list any of {}",
            of_trainings.collect::<Vec<_>>().join(", ")
        )));
    }
    if has(StageName::Import) {
        return Err(Fault::parameter(format!(
            "`runs.{name}.stages` has import: list train, in place of which import runs where import.checkpoints is set"
        )));
    }
    for stage in [StageName::Train, StageName::Generate] {
        if !has(stage) {
            return Err(Fault::parameter(format!(
                "`runs.{name}.stages` lacks {stage}: every run trains, and its speed of generation is a result"
            )));
        }
    }
    if has(StageName::Snapshot) != has(StageName::Metrics) {
        return Err(Fault::parameter(format!(
            "`runs.{name}.stages` has one of snapshot and metrics: metrics measures what snapshot saved, so list both or none"
        )));
    }
    Ok(())
}

/// Refuses a stage that the section `cluster` names and that there is not.
fn check_cluster(
    experiment: &Experiment,
    own: &[Arc<OwnStage>],
    texts: &[String],
    settings: &[Profile],
) -> Result<(), Fault> {
    let check = |cluster: &ClusterConfig, place: &dyn Fn(&str) -> String| {
        cluster.stages.keys().try_for_each(|name| Stage::named(name, own, &place(name)).map(drop))
    };
    check(&experiment.cluster, &|name| experiment.lines.place(&["cluster", "stages", name]))?;
    for (profile, changes) in &experiment.profiles {
        let place = |name: &str| experiment.lines.place(&["profiles", profile, "cluster", "stages", name]);
        check(&changes.cluster, &place)?;
    }
    texts.iter().zip(settings).try_for_each(|(text, setting)| check(&setting.cluster, &|_| format!("--set {text}")))
}

fn check_names(experiment: &Experiment) -> Result<(), Fault> {
    fn check<T>(section: &str, entries: &IndexMap<String, T>) -> Result<(), Fault> {
        if entries.is_empty() {
            return Err(Fault::parameter(format!("`{section}` is empty: it needs at least one entry")));
        }
        entries.keys().try_for_each(|name| match file_name(name) {
            Ok(_) => Ok(()),
            Err(rule) => Err(Fault::parameter(format!("`{section}.{name}`: {rule}"))),
        })
    }
    check("datasets", &experiment.datasets)?;
    check("runs", &experiment.runs)?;
    check("profiles", &experiment.profiles)?;
    for (profile, changes) in &experiment.profiles {
        let at = |key: &str| format!("profiles.{profile}.{key}");
        check_known(&at("datasets"), changes.datasets.iter().flatten(), &experiment.datasets)?;
        check_known(&at("per_dataset"), changes.per_dataset.keys(), &experiment.datasets)?;
        check_known(&at("runs"), changes.runs.iter().flatten(), &experiment.runs)?;
    }
    Ok(())
}

/// Refuses a name, written at `key`, that is not known.
fn check_known<'name, T>(
    key: &str,
    names: impl IntoIterator<Item = &'name String>,
    known: &IndexMap<String, T>,
) -> Result<(), Fault> {
    match names.into_iter().find(|name| !known.contains_key(*name)) {
        None => Ok(()),
        Some(name) => Err(Fault::parameter(format!("`{key}`: {}", unknown_key(name, known)))),
    }
}

fn no_repetition<T: PartialEq + std::fmt::Display>(key: &str, values: &[T]) -> Result<(), Fault> {
    let repeated = values.iter().enumerate().find(|(position, value)| values[..*position].contains(value));
    match repeated {
        _ if values.is_empty() => Err(Fault::parameter(format!("`{key}` is empty: it needs at least one entry"))),
        Some((_, value)) => Err(Fault::parameter(format!("`{key}` has `{value}` twice"))),
        None => Ok(()),
    }
}

/// Refuses a name, selected by a flag, that is not known.
///
/// # Errors
/// The first unknown name, with a similar known one.
pub fn check_selected<T>(flag: &str, selected: &[String], known: &IndexMap<String, T>) -> Result<(), Fault> {
    match selected.iter().find(|name| !known.contains_key(*name)) {
        None => Ok(()),
        Some(name) => Err(Fault::parameter(format!("{flag} {name}: {}", unknown_key(name, known)))),
    }
}
