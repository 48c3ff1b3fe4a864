//! What is run: the experiment after a profile, a dataset, a run and `--set` have made their changes, in this order.

use cli::{Fault, Part, Steps, StudyDataset, StudyRun};

use crate::experiment::{
    Correlate, Dataset, Experiment, Generate, Metrics, Named, Prep, Profile, Run, RunStage, Schedule, Snapshot, Train,
};
use crate::yaml;

/// Everything that one profile runs.
#[derive(Clone, Debug)]
pub struct Study {
    /// The texts that are learned.
    pub texts: Vec<Text>,
    /// How many nodes run at once.
    pub jobs: usize,
    /// `prep`'s parameters.
    pub prep: Prep,
    /// `correlate`'s parameters.
    pub correlate: Correlate,
}

/// A text and how it is learned.
#[derive(Clone, Debug)]
pub struct Text {
    /// Its name.
    pub name: String,
    /// What `prep` is told of it.
    pub dataset: Dataset,
    /// The seeds of every run.
    pub seeds: Vec<u64>,
    /// The snapshot steps; the last one ends the training.
    pub steps: Steps,
    /// The runs.
    pub trainings: Vec<Training>,
}

/// A run of a text.
#[derive(Clone, Debug)]
pub struct Training {
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub label: String,
    /// Whether its checkpoints are looked at and measured.
    pub snapshots: bool,
    /// `train`'s parameters.
    pub train: Train,
    /// `snapshot`'s parameters.
    pub snapshot: Snapshot,
    /// `metrics`' parameters.
    pub metrics: Metrics,
    /// `generate`'s parameters.
    pub generate: Generate,
}

impl Training {
    /// Which tables the run has beyond those of training and its final samples.
    pub fn parts(&self) -> Vec<Part> {
        let generate = &self.generate;
        let quality = generate.score && generate.track && generate.steps == Schedule::Snapshots;
        let parts = [
            (Part::Tracking, self.train.tracking),
            (Part::Snapshots, self.snapshots),
            (Part::Similarity, self.snapshots && self.metrics.layer_similarity),
            (Part::Quality, quality),
        ];
        parts.into_iter().filter(|(_, has)| *has).map(|(part, _)| part).collect()
    }
}

impl Study {
    /// The study as `correlate` and `plot` are told it.
    pub fn specification(&self) -> cli::Study {
        let datasets = self.texts.iter().map(|text| StudyDataset {
            name: text.name.clone(),
            seeds: text.seeds.clone(),
            steps: text.steps.clone(),
            eval_interval: text.trainings[0].train.eval_interval,
        });
        // The parts are the same for every text: only runs decide them.
        let runs = self.texts[0].trainings.iter().map(|training| StudyRun {
            name: training.name.clone(),
            label: training.label.clone(),
            parts: training.parts(),
        });
        cli::Study { datasets: datasets.collect(), runs: runs.collect() }
    }

    /// Makes the changes of a profile and of `--set`.
    pub fn resolve(experiment: &Experiment, profile: &str, settings: &[String]) -> Result<Self, Fault> {
        check_names(experiment)?;
        let unknown = || Fault::parameter(format!("--profile {profile}: {}", experiment.profiles.unknown(profile)));
        let profile = experiment.profiles.get(profile).ok_or_else(unknown)?;
        let settings: Result<Vec<Profile>, Fault> = settings.iter().map(|text| yaml::parse_setting(text)).collect();
        let settings = settings?;
        for setting in &settings {
            check_known("per_dataset", setting.per_dataset.names(), &experiment.datasets)?;
        }
        // What concerns the whole study knows no dataset and no run.
        let changes: Vec<&Profile> = std::iter::once(profile).chain(&settings).collect();

        let mut prep = experiment.prep.clone();
        let mut correlate = experiment.correlate.clone();
        let mut jobs = 1;
        let mut names: Vec<String> = experiment.datasets.names().into_iter().map(str::to_owned).collect();
        let mut runs: Vec<String> = experiment.runs.names().into_iter().map(str::to_owned).collect();
        for change in &changes {
            prep.change(&change.prep);
            correlate.change(&change.correlate);
            jobs = change.jobs.unwrap_or(jobs);
            names = change.datasets.clone().unwrap_or(names);
            runs = change.runs.clone().unwrap_or(runs);
        }
        if jobs == 0 {
            return Err(Fault::parameter("`jobs` must be at least 1"));
        }
        no_repetition("datasets", &names)?;
        no_repetition("runs", &runs)?;
        check_known("runs", runs.iter().map(String::as_str), &experiment.runs)?;
        let mut texts = Vec::new();
        for name in names {
            let unknown = || Fault::parameter(format!("`datasets`: {}", experiment.datasets.unknown(&name)));
            let dataset = experiment.datasets.get(&name).ok_or_else(unknown)?;
            texts.push(text(experiment, profile, &settings, &runs, &name, dataset)?);
        }
        Ok(Self { texts, jobs, prep, correlate })
    }
}

fn text(
    experiment: &Experiment,
    profile: &Profile,
    settings: &[Profile],
    runs: &[String],
    name: &str,
    dataset: &Dataset,
) -> Result<Text, Fault> {
    let own = profile.per_dataset.get(name);
    let seeds = settings
        .iter()
        .rev()
        .find_map(|setting| {
            setting.per_dataset.get(name).and_then(|own| own.seeds.clone()).or_else(|| setting.seeds.clone())
        })
        .or_else(|| own.and_then(|own| own.seeds.clone()))
        .or_else(|| profile.seeds.clone())
        .unwrap_or_else(|| experiment.seeds.clone());
    no_repetition("seeds", &seeds)?;

    let mut trainings = Vec::new();
    // Their order is the file's, whatever the order in which they are chosen.
    for (run_name, run) in experiment.runs.iter().filter(|(name, _)| runs.iter().any(|run| run == name)) {
        trainings.push(training(experiment, profile, settings, name, run_name, run)?);
    }
    let first = &trainings[0];
    let steps = first.snapshot.steps.up_to(first.train.max_iters);
    for training in &trainings {
        let same = training.train.max_iters == first.train.max_iters
            && training.train.eval_interval == first.train.eval_interval
            && training.snapshot.steps == first.snapshot.steps;
        if !same {
            return Err(Fault::parameter(format!(
                "`runs.{}` changes train.max_iters, train.eval_interval or snapshot.steps: they are one for all runs of a \
                 dataset, so that runs can be compared; change them in a profile",
                training.name
            )));
        }
    }
    Ok(Text { name: name.to_owned(), dataset: dataset.clone(), seeds, steps, trainings })
}

fn training(
    experiment: &Experiment,
    profile: &Profile,
    settings: &[Profile],
    dataset: &str,
    name: &str,
    run: &Run,
) -> Result<Training, Fault> {
    let snapshots = check_stages(name, run)?;
    let mut training = Training {
        name: name.to_owned(),
        label: run.label.clone(),
        snapshots,
        train: experiment.train.clone(),
        snapshot: experiment.snapshot.clone(),
        metrics: experiment.metrics.clone(),
        generate: experiment.generate.clone(),
    };
    // One macro in place of four copies: the sections of profile, dataset and run have the same names, not one type.
    macro_rules! change {
        ($changes:expr) => {
            training.train.change(&$changes.train);
            training.snapshot.change(&$changes.snapshot);
            training.metrics.change(&$changes.metrics);
            training.generate.change(&$changes.generate);
        };
    }
    change!(profile);
    if let Some(own) = profile.per_dataset.get(dataset) {
        change!(own);
    }
    change!(run);
    for setting in settings {
        change!(setting);
        if let Some(own) = setting.per_dataset.get(dataset) {
            change!(own);
        }
    }
    if training.snapshot.steps.as_slice().is_empty() {
        return Err(Fault::parameter("`snapshot.steps` is empty: write steps such as 0,50,100-2000/100"));
    }
    if training.train.max_iters == 0 {
        return Err(Fault::parameter("`train.max_iters` must be at least 1"));
    }
    Ok(training)
}

/// Whether a run has snapshots; every run trains and generates.
fn check_stages(name: &str, run: &Run) -> Result<bool, Fault> {
    let has = |stage| run.stages.contains(&stage);
    for stage in [RunStage::Train, RunStage::Generate] {
        if !has(stage) {
            return Err(Fault::parameter(format!(
                "`runs.{name}.stages` lacks {stage}: every run trains, and its speed of generation is a result"
            )));
        }
    }
    if has(RunStage::Snapshot) != has(RunStage::Metrics) {
        return Err(Fault::parameter(format!(
            "`runs.{name}.stages` has one of snapshot and metrics: metrics measures what snapshot saved, so list both or none"
        )));
    }
    Ok(has(RunStage::Snapshot))
}

fn check_names(experiment: &Experiment) -> Result<(), Fault> {
    let of = |section: &str, names: Vec<&str>| {
        if names.is_empty() {
            return Err(Fault::parameter(format!("`{section}` is empty: it needs at least one entry")));
        }
        names.into_iter().try_for_each(|name| match cli::folder_name(name) {
            Ok(_) => Ok(()),
            Err(rule) => Err(Fault::parameter(format!("`{section}.{name}`: {rule}"))),
        })
    };
    of("datasets", experiment.datasets.names())?;
    of("runs", experiment.runs.names())?;
    of("profiles", experiment.profiles.names())?;
    for (profile, changes) in experiment.profiles.iter() {
        let texts = changes.datasets.iter().flatten().map(String::as_str);
        check_known(&format!("profiles.{profile}.datasets"), texts, &experiment.datasets)?;
        let own = changes.per_dataset.names();
        check_known(&format!("profiles.{profile}.per_dataset"), own, &experiment.datasets)?;
        let runs = changes.runs.iter().flatten().map(String::as_str);
        check_known(&format!("profiles.{profile}.runs"), runs, &experiment.runs)?;
    }
    Ok(())
}

/// Refuses a name, written at `key`, that is not known.
fn check_known<'name, T>(
    key: &str,
    names: impl IntoIterator<Item = &'name str>,
    known: &Named<T>,
) -> Result<(), Fault> {
    match names.into_iter().find(|name| known.get(name).is_none()) {
        None => Ok(()),
        Some(name) => Err(Fault::parameter(format!("`{key}`: {}", known.unknown(name)))),
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

/// Refuses a name, chosen by a flag, that is not known.
pub fn check_chosen<T>(flag: &str, chosen: &[String], known: &Named<T>) -> Result<(), Fault> {
    match chosen.iter().find(|name| known.get(name).is_none()) {
        None => Ok(()),
        Some(name) => Err(Fault::parameter(format!("{flag} {name}: {}", known.unknown(name)))),
    }
}
