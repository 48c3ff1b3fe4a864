//! What each stage's node is: its flags, the tables it reads and the tables it writes.

use std::path::PathBuf;

use cli::{Part, Steps};
use schemas::enums::Split;
use schemas::tables::{
    Attention, Baselines, Checkpoints, Corpus, Correlations, Evaluations, Findings, HeadMatches, HeadMetrics,
    HeadOutputs, LayerMetrics, LayerSimilarity, Onsets, Optimizer, Results, SampleAttention, SampleLayers,
    SampleScores, Samples, SemanticSpace, Timings, Tracking, TrainingLog, Vocabulary, Windows,
};
use schemas::{Artifacts, Partition, Table};

use crate::cost;
use crate::experiment::Schedule;
use crate::plan::{Argument, Node, Stage};
use crate::study::{Study, Text, Training};

/// One training of the study.
pub(crate) struct Place<'study> {
    pub(crate) text: &'study Text,
    pub(crate) training: &'study Training,
    pub(crate) seed: u64,
}

impl Place<'_> {
    fn partition(&self) -> Partition {
        Partition::dataset(&self.text.name).run(&self.training.name).seed(self.seed)
    }

    /// The last step of the training.
    fn last(&self) -> u32 {
        self.training.train.max_iters
    }

    /// The steps whose checkpoints are saved for others: all that are looked at or written with, and the first and last.
    fn saved(&self) -> Steps {
        let every = self.training.snapshots || self.training.generate.steps == Schedule::Snapshots;
        let steps = if every { self.text.steps.clone() } else { Steps::default() };
        steps.iter().chain([0, self.last()]).collect()
    }

    /// The steps whose checkpoints write text.
    fn written(&self) -> Steps {
        match self.training.generate.steps {
            Schedule::Last => [self.last()].into_iter().collect(),
            Schedule::Snapshots => self.text.steps.clone(),
        }
    }

    fn node(&self, stage: Stage) -> Node {
        let mut node = node(stage);
        node.dataset = Some(self.text.name.clone());
        node.run = Some(self.training.name.clone());
        node.seed = Some(self.seed);
        node.add("dataset", &self.text.name);
        node.add("run", &self.training.name);
        node.add("seed", &self.seed.to_string());
        node
    }

    fn checkpoints(&self, steps: &Steps) -> Vec<PathBuf> {
        steps.iter().map(|step| file::<Checkpoints>(&self.partition().step(step))).collect()
    }

    fn attention(&self) -> Vec<PathBuf> {
        self.text.steps.iter().map(|step| file::<Attention>(&self.partition().step(step))).collect()
    }

    /// What the node of a stage measured with a clock.
    fn timings(&self, stage: Stage) -> Partition {
        self.partition().stage(stage.name())
    }
}

pub(crate) fn prep(study: &Study, text: &Text) -> Node {
    let partition = Partition::dataset(&text.name);
    let mut node = node(Stage::Prep);
    node.dataset = Some(text.name.clone());
    node.add("dataset", &text.name);
    node.add_all(&study.prep.values());
    let dataset = &text.dataset;
    let number = |number: Option<f64>| number.map(|number| number.to_string());
    let told = [
        ("source", dataset.source.clone()),
        ("encoding", dataset.encoding.map(|encoding| encoding.to_string())),
        ("train_fraction", number(dataset.train_fraction)),
        ("val_fraction", number(dataset.val_fraction)),
    ];
    for (flag, value) in told {
        if let Some(value) = value {
            node.add(flag, &value);
        }
    }
    node.outside = dataset.source.iter().map(PathBuf::from).collect();
    // A test split is there for some texts only, and nothing reads it.
    node.writes::<Corpus>(&partition.clone().split(Split::Train));
    node.writes::<Corpus>(&partition.clone().split(Split::Val));
    node.writes::<Vocabulary>(&partition);
    node.writes::<SemanticSpace>(&partition);
    node.folders =
        vec![folder::<Corpus>(&partition), folder::<Vocabulary>(&partition), folder::<SemanticSpace>(&partition)];
    node
}

pub(crate) fn train(place: &Place<'_>) -> Node {
    let partition = place.partition();
    let mut node = place.node(Stage::Train);
    node.cost = cost::train(place.training, place.saved().iter().len());
    node.add_all(&place.training.train.values());
    node.add("checkpoint_steps", &place.saved().to_string());
    node.reads_splits(&[Split::Train, Split::Val], &place.text.name);
    node.reads::<Vocabulary>(&partition);
    node.writes::<TrainingLog>(&partition);
    node.writes::<Evaluations>(&partition);
    node.writes::<Timings>(&place.timings(Stage::Train));
    node.writes::<Optimizer>(&partition);
    if place.training.train.tracking {
        node.writes::<Tracking>(&partition);
    }
    node.outputs.extend(place.checkpoints(&place.saved()));
    node.folders = vec![
        folder::<TrainingLog>(&partition),
        folder::<Evaluations>(&partition),
        folder::<Tracking>(&partition),
        folder::<Timings>(&place.timings(Stage::Train)),
        folder::<Checkpoints>(&partition),
        folder::<Optimizer>(&partition),
    ];
    node
}

pub(crate) fn snapshot(place: &Place<'_>) -> Node {
    let partition = place.partition();
    let mut node = place.node(Stage::Snapshot);
    node.cost = cost::snapshot(place.training, place.text.steps.iter().len());
    for (flag, value) in place.training.snapshot.values() {
        // The schedule ends where the training does.
        node.add(flag, if flag == "steps" { place.text.steps.to_string() } else { value }.as_str());
    }
    node.reads_splits(&[Split::Val], &place.text.name);
    node.reads::<Vocabulary>(&partition);
    node.inputs.extend(place.checkpoints(&place.text.steps));
    node.outputs.extend(place.attention());
    node.writes::<Windows>(&partition);
    node.writes::<HeadOutputs>(&partition);
    node.folders =
        vec![folder::<Attention>(&partition), folder::<Windows>(&partition), folder::<HeadOutputs>(&partition)];
    node
}

pub(crate) fn metrics(place: &Place<'_>) -> Node {
    let partition = place.partition();
    let mut node = place.node(Stage::Metrics);
    node.cost = cost::metrics(place.training, place.text.steps.iter().len());
    node.add("steps", &place.text.steps.to_string());
    node.add_all(&place.training.metrics.values());
    node.inputs.extend(place.attention());
    node.reads::<Windows>(&partition);
    node.reads::<HeadOutputs>(&partition);
    node.writes::<HeadMetrics>(&partition);
    node.writes::<LayerMetrics>(&partition);
    node.writes::<Baselines>(&partition);
    if place.training.metrics.layer_similarity {
        node.writes::<LayerSimilarity>(&partition);
    }
    node.folders = vec![
        folder::<HeadMetrics>(&partition),
        folder::<LayerMetrics>(&partition),
        folder::<Baselines>(&partition),
        folder::<LayerSimilarity>(&partition),
    ];
    node
}

pub(crate) fn generate(place: &Place<'_>) -> Node {
    let partition = place.partition();
    let parameters = &place.training.generate;
    let mut node = place.node(Stage::Generate);
    node.cost = cost::generate(place.training, place.written().iter().len());
    for (flag, value) in parameters.values() {
        node.add(flag, if flag == "steps" { place.written().to_string() } else { value }.as_str());
    }
    node.reads_splits(&[Split::Train, Split::Val], &place.text.name);
    node.reads::<Vocabulary>(&partition);
    node.reads::<SemanticSpace>(&partition);
    node.inputs.extend(place.checkpoints(&place.written()));
    node.writes::<Samples>(&partition);
    node.writes::<Timings>(&place.timings(Stage::Generate));
    if parameters.score {
        node.writes::<SampleScores>(&partition);
    }
    if parameters.track {
        node.writes::<SampleAttention>(&partition);
        node.writes::<SampleLayers>(&partition);
    }
    node.folders = vec![
        folder::<Samples>(&partition),
        folder::<Timings>(&place.timings(Stage::Generate)),
        folder::<SampleScores>(&partition),
        folder::<SampleAttention>(&partition),
        folder::<SampleLayers>(&partition),
    ];
    node
}

pub(crate) fn correlate(study: &Study) -> Node {
    let mut node = study_node(Stage::Correlate, study);
    node.add_all(&study.correlate.values());
    for place in places(study) {
        node.reads_training(&place);
        let ends: Steps = [0, place.last()].into_iter().collect();
        node.inputs.extend(place.checkpoints(&ends));
    }
    node.outputs.extend(of_runs(study));
    for text in &study.texts {
        node.writes::<Findings>(&Partition::dataset(&text.name));
    }
    let study = Partition::study();
    node.writes::<Results>(&study);
    node.folders = vec![
        folder::<Correlations>(&study),
        folder::<Onsets>(&study),
        folder::<HeadMatches>(&study),
        folder::<Findings>(&study),
        folder::<Results>(&study),
    ];
    node
}

pub(crate) fn plot(study: &Study) -> Node {
    let mut node = study_node(Stage::Plot, study);
    for place in places(study) {
        node.reads_training(&place);
        let parts = place.training.parts();
        if parts.contains(&Part::Tracking) {
            node.reads::<Tracking>(&place.partition());
        }
        if parts.contains(&Part::Snapshots) {
            node.reads::<Windows>(&place.partition());
            node.inputs.extend(place.attention());
        }
    }
    node.reads::<Results>(&Partition::study());
    node.inputs.extend(of_runs(study));
    for text in &study.texts {
        node.reads::<Findings>(&Partition::dataset(&text.name));
        for family in families(text) {
            for format in ["png", "svg"] {
                node.outputs.push(format!("plots/{family}_{}.{format}", text.name).into());
            }
        }
    }
    node.outputs.push("report/index.html".into());
    node.folders = vec!["plots".into(), "report".into()];
    node
}

/// What `correlate` writes for each text and each run that was looked at.
fn of_runs(study: &Study) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for (text, training) in study.texts.iter().flat_map(|text| text.trainings.iter().map(move |run| (text, run))) {
        let partition = Partition::dataset(&text.name).run(&training.name);
        let parts = training.parts();
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
fn families(text: &Text) -> Vec<&'static str> {
    let some = |part| text.trainings.iter().any(|training| training.parts().contains(&part));
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

fn places(study: &Study) -> impl Iterator<Item = Place<'_>> {
    study.texts.iter().flat_map(|text| {
        let of_text = move |&seed| text.trainings.iter().map(move |training| Place { text, training, seed });
        text.seeds.iter().flat_map(of_text)
    })
}

fn node(stage: Stage) -> Node {
    Node {
        stage,
        dataset: None,
        run: None,
        seed: None,
        arguments: Vec::new(),
        inputs: Vec::new(),
        outside: Vec::new(),
        outputs: Vec::new(),
        folders: Vec::new(),
        after: Vec::new(),
        twins: Vec::new(),
        cost: cost::small(),
    }
}

fn study_node(stage: Stage, study: &Study) -> Node {
    let mut node = node(stage);
    let specification = study.specification();
    for dataset in &specification.datasets {
        node.add("dataset", &dataset.to_string());
    }
    for run in &specification.runs {
        node.add("run", &run.to_string());
    }
    node
}

impl Node {
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

    fn reads_splits(&mut self, splits: &[Split], dataset: &str) {
        for split in splits {
            self.reads::<Corpus>(&Partition::dataset(dataset).split(*split));
        }
    }

    /// The tables of a training that those who see the whole study read.
    fn reads_training(&mut self, place: &Place<'_>) {
        let partition = place.partition();
        let parts = place.training.parts();
        self.reads::<TrainingLog>(&partition);
        self.reads::<Evaluations>(&partition);
        self.reads::<Timings>(&place.timings(Stage::Train));
        self.reads::<Timings>(&place.timings(Stage::Generate));
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
    Artifacts::relative::<T>(partition).expect("the partition of a node has every key of its tables")
}

/// The folder that holds all of a table's files of a partition: the table's path as far as the partition has its keys.
fn folder<T: Table>(partition: &Partition) -> PathBuf {
    let values = T::KEYS.iter().map_while(|key| partition.value(*key).map(|value| format!("{key}={value}")));
    std::iter::once(T::NAME.to_owned()).chain(values).collect()
}
