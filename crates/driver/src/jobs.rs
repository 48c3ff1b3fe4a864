//! What each stage's job is: its flags, the tables it reads and the tables it writes.

use std::path::PathBuf;

use cli::{Part, Steps};
use schemas::tables::{
    Attention, Baselines, Checkpoints, Corpus, Correlations, Evaluations, Findings, HeadMatches, HeadMetrics,
    HeadOutputs, LayerMetrics, LayerSimilarity, Onsets, Optimizer, Results, SampleAttention, SampleLayers,
    SampleScores, Samples, SemanticSpace, Timings, Tracking, TrainingLog, Vocabulary, Windows,
};
use schemas::{Artifacts, Partition, Table};

use crate::cost;
use crate::experiment::Schedule;
use crate::plan::{Argument, Job, Stage};
use crate::study::{Dataset, Run, Study};

/// One training of the study.
pub(crate) struct Training<'study> {
    pub(crate) dataset: &'study Dataset,
    pub(crate) run: &'study Run,
    pub(crate) seed: u64,
}

impl Training<'_> {
    fn partition(&self) -> Partition {
        Partition::dataset(&self.dataset.name).run(&self.run.name).seed(self.seed)
    }

    /// The last step of the training.
    fn last(&self) -> u32 {
        self.run.train.max_iters
    }

    /// The steps whose checkpoints are saved for others: all that are looked at or written with, and the first and last.
    fn saved(&self) -> Steps {
        let every = self.run.snapshots || self.run.generate.steps == Schedule::Snapshots;
        let steps = if every { self.dataset.steps.clone() } else { Steps::default() };
        steps.iter().chain([0, self.last()]).collect()
    }

    /// The steps whose checkpoints write text.
    fn written(&self) -> Steps {
        match self.run.generate.steps {
            Schedule::Last => [self.last()].into_iter().collect(),
            Schedule::Snapshots => self.dataset.steps.clone(),
        }
    }

    fn job(&self, stage: Stage) -> Job {
        let mut job = job(stage);
        job.dataset = Some(self.dataset.name.clone());
        job.run = Some(self.run.name.clone());
        job.seed = Some(self.seed);
        job.add("dataset", &self.dataset.name);
        job.add("run", &self.run.name);
        job.add("seed", &self.seed.to_string());
        job
    }

    fn checkpoints(&self, steps: &Steps) -> Vec<PathBuf> {
        steps.iter().map(|step| file::<Checkpoints>(&self.partition().step(step))).collect()
    }

    fn attention(&self) -> Vec<PathBuf> {
        self.dataset.steps.iter().map(|step| file::<Attention>(&self.partition().step(step))).collect()
    }

    /// What the job of a stage measured with a clock.
    fn timings(&self, stage: Stage) -> Partition {
        self.partition().stage(stage.name())
    }
}

pub(crate) fn prep(study: &Study, dataset: &Dataset) -> Job {
    let partition = Partition::dataset(&dataset.name);
    let mut job = job(Stage::Prep);
    job.dataset = Some(dataset.name.clone());
    job.add("dataset", &dataset.name);
    job.add_all(&study.prep.values());
    let config = &dataset.config;
    let number = |number: Option<f64>| number.map(|number| number.to_string());
    let settings = [
        ("source", config.source.clone()),
        ("encoding", config.encoding.map(|encoding| encoding.to_string())),
        ("train_fraction", number(config.train_fraction)),
        ("val_fraction", number(config.val_fraction)),
    ];
    for (flag, value) in settings {
        if let Some(value) = value {
            job.add(flag, &value);
        }
    }
    job.external_inputs = config.source.iter().map(PathBuf::from).collect();
    // A test split is there for some texts only, and nothing reads it.
    job.writes::<Corpus>(&partition.clone().split("train"));
    job.writes::<Corpus>(&partition.clone().split("val"));
    job.writes::<Vocabulary>(&partition);
    job.writes::<SemanticSpace>(&partition);
    job.owned_folders =
        vec![folder::<Corpus>(&partition), folder::<Vocabulary>(&partition), folder::<SemanticSpace>(&partition)];
    job
}

pub(crate) fn train(training: &Training<'_>) -> Job {
    let partition = training.partition();
    let mut job = training.job(Stage::Train);
    job.cost = cost::train(training.run, training.saved().iter().len());
    job.add_all(&training.run.train.values());
    job.add("checkpoint_steps", &training.saved().to_string());
    job.reads_splits(&["train", "val"], &training.dataset.name);
    job.reads::<Vocabulary>(&partition);
    job.writes::<TrainingLog>(&partition);
    job.writes::<Evaluations>(&partition);
    job.writes::<Timings>(&training.timings(Stage::Train));
    job.writes::<Optimizer>(&partition);
    if training.run.train.tracking {
        job.writes::<Tracking>(&partition);
    }
    job.outputs.extend(training.checkpoints(&training.saved()));
    job.owned_folders = vec![
        folder::<TrainingLog>(&partition),
        folder::<Evaluations>(&partition),
        folder::<Tracking>(&partition),
        folder::<Timings>(&training.timings(Stage::Train)),
        folder::<Checkpoints>(&partition),
        folder::<Optimizer>(&partition),
    ];
    job
}

pub(crate) fn snapshot(training: &Training<'_>) -> Job {
    let partition = training.partition();
    let mut job = training.job(Stage::Snapshot);
    job.cost = cost::snapshot(training.run, training.dataset.steps.iter().len());
    for (flag, value) in training.run.snapshot.values() {
        // The schedule ends where the training does.
        job.add(flag, if flag == "steps" { training.dataset.steps.to_string() } else { value }.as_str());
    }
    job.reads_splits(&["val"], &training.dataset.name);
    job.reads::<Vocabulary>(&partition);
    job.inputs.extend(training.checkpoints(&training.dataset.steps));
    job.outputs.extend(training.attention());
    job.writes::<Windows>(&partition);
    job.writes::<HeadOutputs>(&partition);
    job.owned_folders =
        vec![folder::<Attention>(&partition), folder::<Windows>(&partition), folder::<HeadOutputs>(&partition)];
    job
}

pub(crate) fn metrics(training: &Training<'_>) -> Job {
    let partition = training.partition();
    let mut job = training.job(Stage::Metrics);
    job.cost = cost::metrics(training.run, training.dataset.steps.iter().len());
    job.add("steps", &training.dataset.steps.to_string());
    job.add_all(&training.run.metrics.values());
    job.inputs.extend(training.attention());
    job.reads::<Windows>(&partition);
    job.reads::<HeadOutputs>(&partition);
    job.writes::<HeadMetrics>(&partition);
    job.writes::<LayerMetrics>(&partition);
    job.writes::<Baselines>(&partition);
    if training.run.metrics.layer_similarity {
        job.writes::<LayerSimilarity>(&partition);
    }
    job.owned_folders = vec![
        folder::<HeadMetrics>(&partition),
        folder::<LayerMetrics>(&partition),
        folder::<Baselines>(&partition),
        folder::<LayerSimilarity>(&partition),
    ];
    job
}

pub(crate) fn generate(training: &Training<'_>) -> Job {
    let partition = training.partition();
    let parameters = &training.run.generate;
    let mut job = training.job(Stage::Generate);
    job.cost = cost::generate(training.run, training.written().iter().len());
    for (flag, value) in parameters.values() {
        job.add(flag, if flag == "steps" { training.written().to_string() } else { value }.as_str());
    }
    job.reads_splits(&["train", "val"], &training.dataset.name);
    job.reads::<Vocabulary>(&partition);
    job.reads::<SemanticSpace>(&partition);
    job.inputs.extend(training.checkpoints(&training.written()));
    job.writes::<Samples>(&partition);
    job.writes::<Timings>(&training.timings(Stage::Generate));
    if parameters.score {
        job.writes::<SampleScores>(&partition);
    }
    if parameters.track {
        job.writes::<SampleAttention>(&partition);
        job.writes::<SampleLayers>(&partition);
    }
    job.owned_folders = vec![
        folder::<Samples>(&partition),
        folder::<Timings>(&training.timings(Stage::Generate)),
        folder::<SampleScores>(&partition),
        folder::<SampleAttention>(&partition),
        folder::<SampleLayers>(&partition),
    ];
    job
}

pub(crate) fn correlate(study: &Study) -> Job {
    let mut job = study_job(Stage::Correlate, study);
    job.add_all(&study.correlate.values());
    for training in trainings(study) {
        job.reads_training(&training);
        let ends: Steps = [0, training.last()].into_iter().collect();
        job.inputs.extend(training.checkpoints(&ends));
    }
    job.outputs.extend(correlated_runs(study));
    for dataset in &study.datasets {
        job.writes::<Findings>(&Partition::dataset(&dataset.name));
    }
    let study = Partition::study();
    job.writes::<Results>(&study);
    job.owned_folders = vec![
        folder::<Correlations>(&study),
        folder::<Onsets>(&study),
        folder::<HeadMatches>(&study),
        folder::<Findings>(&study),
        folder::<Results>(&study),
    ];
    job
}

pub(crate) fn plot(study: &Study) -> Job {
    let mut job = study_job(Stage::Plot, study);
    for training in trainings(study) {
        job.reads_training(&training);
        let parts = training.run.parts();
        if parts.contains(&Part::Tracking) {
            job.reads::<Tracking>(&training.partition());
        }
        if parts.contains(&Part::Snapshots) {
            job.reads::<Windows>(&training.partition());
            job.inputs.extend(training.attention());
        }
    }
    job.reads::<Results>(&Partition::study());
    job.inputs.extend(correlated_runs(study));
    for dataset in &study.datasets {
        job.reads::<Findings>(&Partition::dataset(&dataset.name));
        for family in families(dataset) {
            for format in ["png", "svg"] {
                job.outputs.push(format!("plots/{family}_{}.{format}", dataset.name).into());
            }
        }
    }
    job.outputs.push("report/index.html".into());
    job.owned_folders = vec!["plots".into(), "report".into()];
    job
}

/// What `correlate` writes for each text and each run that was looked at.
fn correlated_runs(study: &Study) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for (dataset, run) in study.datasets.iter().flat_map(|dataset| dataset.runs.iter().map(move |run| (dataset, run))) {
        let partition = Partition::dataset(&dataset.name).run(&run.name);
        let parts = run.parts();
        let developed = parts.contains(&Part::Snapshots);
        if developed || parts.contains(&Part::Quality) {
            files.push(file::<Correlations>(&partition));
        }
        if developed {
            files.extend([file::<Onsets>(&partition), file::<HeadMatches>(&partition)]);
        }
    }
    files
}

/// The figures of the study that a text's runs have the tables for.
fn families(dataset: &Dataset) -> Vec<&'static str> {
    let some = |part| dataset.runs.iter().any(|run| run.parts().contains(&part));
    let figures = [
        ("train_loss", true),
        ("val_loss", true),
        ("attention_metrics", some(Part::Snapshots)),
        ("head_trajectories", some(Part::Snapshots)),
        ("onsets", some(Part::Snapshots)),
        ("layer_similarity", some(Part::Similarity)),
    ];
    figures.into_iter().filter(|(_, drawn)| *drawn).map(|(name, _)| name).collect()
}

pub(crate) fn trainings(study: &Study) -> impl Iterator<Item = Training<'_>> {
    study.datasets.iter().flat_map(|dataset| {
        let trained = move |&seed| dataset.runs.iter().map(move |run| Training { dataset, run, seed });
        dataset.seeds.iter().flat_map(trained)
    })
}

fn job(stage: Stage) -> Job {
    Job {
        stage,
        dataset: None,
        run: None,
        seed: None,
        arguments: Vec::new(),
        inputs: Vec::new(),
        external_inputs: Vec::new(),
        outputs: Vec::new(),
        owned_folders: Vec::new(),
        dependencies: Vec::new(),
        duplicates: Vec::new(),
        cost: cost::small(),
    }
}

fn study_job(stage: Stage, study: &Study) -> Job {
    let mut job = job(stage);
    let specification = study.specification();
    for dataset in &specification.datasets {
        job.add("dataset", &dataset.to_string());
    }
    for run in &specification.runs {
        job.add("run", &run.to_string());
    }
    job
}

impl Job {
    fn add(&mut self, flag: &str, value: &str) {
        self.arguments.push(Argument { flag: flag.to_owned(), value: value.to_owned() });
    }

    fn add_all(&mut self, values: &[(&'static str, String)]) {
        for (flag, value) in values {
            self.add(flag, value);
        }
    }

    fn reads<T: Table>(&mut self, partition: &Partition) {
        self.inputs.push(file::<T>(partition));
    }

    fn reads_splits(&mut self, splits: &[&str], dataset: &str) {
        for split in splits {
            self.reads::<Corpus>(&Partition::dataset(dataset).split(*split));
        }
    }

    /// The tables of a training that those who see the whole study read.
    fn reads_training(&mut self, training: &Training<'_>) {
        let partition = training.partition();
        let parts = training.run.parts();
        self.reads::<TrainingLog>(&partition);
        self.reads::<Evaluations>(&partition);
        self.reads::<Timings>(&training.timings(Stage::Train));
        self.reads::<Timings>(&training.timings(Stage::Generate));
        self.reads::<Samples>(&partition);
        if parts.contains(&Part::Snapshots) {
            self.reads::<HeadMetrics>(&partition);
            self.reads::<LayerMetrics>(&partition);
            self.reads::<HeadOutputs>(&partition);
            self.reads::<Baselines>(&partition);
        }
        if parts.contains(&Part::Similarity) {
            self.reads::<LayerSimilarity>(&partition);
        }
        if parts.contains(&Part::Quality) {
            self.reads::<SampleScores>(&partition);
            self.reads::<SampleAttention>(&partition);
            self.reads::<SampleLayers>(&partition);
        }
    }

    fn writes<T: Table>(&mut self, partition: &Partition) {
        self.outputs.push(file::<T>(partition));
    }
}

fn file<T: Table>(partition: &Partition) -> PathBuf {
    Artifacts::relative::<T>(partition).expect("the partition of a job has every key of its tables")
}

/// The folder that holds all of a table's files of a partition: the table's path as far as the partition has its keys.
fn folder<T: Table>(partition: &Partition) -> PathBuf {
    let values = T::KEYS.iter().map_while(|key| partition.value(*key).map(|value| format!("{key}={value}")));
    std::iter::once(T::NAME.to_owned()).chain(values).collect()
}
