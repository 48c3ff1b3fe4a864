//! Reads the stage's inputs: every table of every training of the study.

use std::collections::BTreeSet;
use std::path::PathBuf;

use cli::Terminal;
use declarations::correlate::Correlate;
use declarations::{Fault, Inputs, Part, Reads, Study, StudyDataset, StudyRun};
use schemas::enums::TextSource;
use schemas::tables::{
    Baselines, Checkpoints, Evaluations, HeadMetrics, LayerMetrics, LayerSimilarity, SampleAttention, SampleLayers,
    SampleScores, SplitLosses, Timings, TrainingLog,
};
use schemas::{Key, Loaded, Partition, Source, Table};

/// A dataset of the study.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// The snapshot steps, ascending; never empty.
    pub steps: Vec<u32>,
    /// Steps between evaluations.
    pub eval_interval: u32,
    /// Its runs, in the order of the study.
    pub runs: Vec<Run>,
    /// The effect of tracking on the weights; none unless the study has a run with and a run without it.
    pub tracked: Option<Tracked>,
}

/// A run on a dataset.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Its name.
    pub name: String,
    /// Its label in figures and tables.
    pub label: String,
    /// What it has beyond training and its final samples.
    pub parts: Vec<Part>,
    /// Its trainings.
    pub seeds: Vec<Seed>,
    /// The files behind `seeds`, except timings, the training log and the losses over whole splits.
    pub learned: Vec<Source>,
    /// The files behind `training_log`, `evaluations`, `split_losses` and the timings.
    pub measured: Vec<Source>,
}

impl Run {
    /// Whether the run has a part.
    pub fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// The number of layers; 0 without snapshots.
    pub fn layers(&self) -> u16 {
        layer_count(self.seeds.iter().flat_map(|seed| &seed.head_metrics).map(|row| row.layer))
    }
}

/// The number of layers of rows that carry these. (A layer 65,535, which no model has, would not be counted.)
pub fn layer_count(layers: impl Iterator<Item = u16>) -> u16 {
    layers.max().map_or(0, |last| last.saturating_add(1))
}

/// One training's tables. What a run's parts do not have is empty; tables over steps hold the snapshot steps alone, but for
/// `evaluations`, which holds all.
#[derive(Clone, Debug, Default)]
pub struct Seed {
    /// The seed.
    pub seed: u64,
    /// The snapshot steps, of which the last ended the training.
    pub steps: Vec<u32>,
    /// `training_log`.
    pub training_log: Vec<TrainingLog>,
    /// `evaluations`.
    pub evaluations: Vec<Evaluations>,
    /// `split_losses`.
    pub split_losses: Vec<SplitLosses>,
    /// `timings` of training.
    pub train_timings: Vec<Timings>,
    /// The run whose training this is, if it is another with the same parameters.
    pub training_of: Option<String>,
    /// `timings` of generating.
    pub generate_timings: Vec<Timings>,
    /// `head_metrics`.
    pub head_metrics: Vec<HeadMetrics>,
    /// `layer_metrics`.
    pub layer_metrics: Vec<LayerMetrics>,
    /// `baselines`.
    pub baselines: Vec<Baselines>,
    /// `layer_similarity`.
    pub layer_similarity: Vec<LayerSimilarity>,
    /// `sample_scores` of generated samples, without the references.
    pub sample_scores: Vec<SampleScores>,
    /// `sample_attention`.
    pub sample_attention: Vec<SampleAttention>,
    /// `sample_layers`.
    pub sample_layers: Vec<SampleLayers>,
}

impl Seed {
    /// The end of the training.
    pub fn last_step(&self) -> u32 {
        self.steps.last().copied().unwrap_or(0)
    }
}

/// The final weights of the first run without tracking compared with those of the first run with it.
#[derive(Clone, Debug, Default)]
pub struct Tracked {
    /// The two runs' names.
    pub runs: [String; 2],
    /// For each seed the largest difference of any weight, or why there is none.
    pub differences: Vec<(u64, Result<f64, String>)>,
    /// The checkpoints.
    pub sources: Vec<Source>,
}

/// Reads the study.
///
/// # Errors
/// A study that names something twice; a table that is missing, damaged, or lacks a snapshot step.
pub fn read(inputs: &Inputs<Correlate>, study: &Study, terminal: &Terminal) -> Result<Vec<Dataset>, Fault> {
    let trainings: usize = study.datasets.iter().map(|dataset| dataset.seeds.len() * study.runs.len()).sum();
    let progress = terminal.progress("read", trainings as u64);
    let mut datasets = Vec::new();
    for dataset in &study.datasets {
        let mut runs = Vec::new();
        for run in &study.runs {
            let mut read =
                Run { name: run.name.clone(), label: run.label.clone(), parts: run.parts.clone(), ..Run::default() };
            for seed in &dataset.seeds {
                let training = Training { inputs, dataset, run, seed: *seed };
                training.read_into(&mut read)?;
                progress.advance(1);
            }
            runs.push(read);
        }
        name_trainings(&mut runs);
        datasets.push(Dataset {
            name: dataset.name.clone(),
            steps: dataset.steps.as_slice().to_vec(),
            eval_interval: dataset.eval_interval,
            tracked: read_tracked(inputs, study, dataset)?,
            runs,
        });
    }
    Ok(datasets)
}

/// One training, to be read.
struct Training<'study> {
    inputs: &'study Inputs<Correlate>,
    dataset: &'study StudyDataset,
    run: &'study StudyRun,
    seed: u64,
}

impl Training<'_> {
    fn partition(&self) -> Partition {
        Partition::dataset(&self.dataset.name).run(&self.run.name).seed(self.seed)
    }

    fn read_into(&self, run: &mut Run) -> Result<(), Fault> {
        let (learned, measured) = (&mut run.learned, &mut run.measured);
        let steps = self.dataset.steps.as_slice().to_vec();
        let mut seed = Seed { seed: self.seed, steps, ..Seed::default() };
        seed.training_log = self.rows("", measured)?;
        let timings = self.inputs.read::<Timings>(&self.partition().stage("train"))?;
        measured.push(timings.source);
        seed.training_of = timings.written_for.value(Key::Run).filter(|run| *run != self.run.name);
        seed.train_timings = timings.rows;
        seed.generate_timings = self.rows("generate", measured)?;
        let evaluations = self.inputs.read::<Evaluations>(&self.partition())?;
        // Both correlations and results are made from them.
        learned.push(evaluations.source.clone());
        measured.push(evaluations.source);
        seed.evaluations = evaluations.rows;
        if self.run.has(Part::Evaluation) {
            seed.split_losses = self.rows("", measured)?;
        }
        if self.run.has(Part::Snapshots) {
            self.covers::<Evaluations>(seed.evaluations.iter().map(|row| row.step))?;
            // Windows of one character leave nothing to average, so the tables on attention may be empty.
            seed.head_metrics = self.rows("", learned)?;
            if !seed.head_metrics.is_empty() {
                self.covers::<HeadMetrics>(seed.head_metrics.iter().map(|row| row.step))?;
            }
            seed.head_metrics.retain(|row| self.dataset.steps.contains(row.step));
            self.has_heads_of(run.seeds.first(), &seed)?;
            seed.layer_metrics = self.rows("", learned)?;
            if !seed.layer_metrics.is_empty() {
                self.covers::<LayerMetrics>(seed.layer_metrics.iter().map(|row| row.step))?;
            }
            seed.layer_metrics.retain(|row| self.dataset.steps.contains(row.step));
            seed.baselines = self.rows("", learned)?;
        }
        // A model of one layer has no pairs of layers, so these tables may be empty.
        if self.run.has(Part::Similarity) {
            seed.layer_similarity = self.rows("", learned)?;
            seed.layer_similarity.retain(|row| self.dataset.steps.contains(row.step));
        }
        if self.run.has(Part::Quality) {
            seed.sample_scores = self.rows("", learned)?;
            let ours = |step: Option<u32>| step.is_some_and(|step| self.dataset.steps.contains(step));
            seed.sample_scores.retain(|row| row.source == TextSource::Model && ours(row.step));
            self.covers::<SampleScores>(seed.sample_scores.iter().filter_map(|row| row.step))?;
            seed.sample_attention = self.rows("", learned)?;
            if !seed.sample_attention.is_empty() {
                let ours = seed.sample_attention.iter().filter(|row| row.source == TextSource::Model);
                self.covers::<SampleAttention>(ours.map(|row| row.step))?;
            }
            seed.sample_layers = self.rows("", learned)?;
        }
        run.seeds.push(seed);
        Ok(())
    }

    fn rows<T: Table>(&self, stage: &str, sources: &mut Vec<Source>) -> Result<Vec<T>, Fault>
    where
        Correlate: Reads<T>,
    {
        let Loaded { rows, source, .. } = self.inputs.read::<T>(&self.partition().stage(stage))?;
        sources.push(source);
        Ok(rows)
    }

    /// Checks that a seed has the same heads as the first seed, with which they are matched.
    fn has_heads_of(&self, first: Option<&Seed>, seed: &Seed) -> Result<(), Fault> {
        let heads = |seed: &Seed| seed.head_metrics.iter().map(|row| (row.layer, row.head)).collect::<BTreeSet<_>>();
        let Some(first) = first.filter(|first| heads(first) != heads(seed)) else { return Ok(()) };
        let path = self.inputs.path::<HeadMetrics>(&self.partition())?;
        Err(Fault::input(format!(
            "{} has {} heads where the file of seed {} has {}, or others: rerun `metrics` for both",
            path.display(),
            heads(seed).len(),
            first.seed,
            heads(first).len()
        )))
    }

    /// Checks that a table has every snapshot step.
    fn covers<T: Table>(&self, found: impl Iterator<Item = u32>) -> Result<(), Fault>
    where
        Correlate: Reads<T>,
    {
        let found: BTreeSet<u32> = found.collect();
        match self.dataset.steps.iter().find(|step| !found.contains(step)) {
            None => Ok(()),
            Some(step) => {
                let path: PathBuf = self.inputs.path::<T>(&self.partition())?;
                let (path, name, producer) = (path.display(), &self.dataset.name, T::PRODUCER);
                Err(Fault::input(format!(
                    "{path} has no row of step {step}, which is among the steps of {name}: rerun `{producer}` with \
                     these steps, or leave the step out"
                )))
            }
        }
    }
}

/// Names the run whose training each seed's is: that for which its files were written if it still has this training, else the first
/// of the study that has it. Files are written for one run and linked or copied for others, and may since have been replaced there.
fn name_trainings(runs: &mut [Run]) {
    let is_of = |run: &Run, number: usize, of: &str| {
        run.seeds.get(number).is_some_and(|seed| seed.training_of.as_deref().unwrap_or(&run.name) == of)
    };
    let named: Vec<Vec<Option<String>>> = runs
        .iter()
        .map(|run| {
            let of_seed = |(number, seed): (usize, &Seed)| {
                let of = seed.training_of.as_deref()?;
                let is_same = |other: &&Run| {
                    is_of(other, number, of)
                        && other.seeds[number].evaluations == seed.evaluations
                        && other.seeds[number].training_log == seed.training_log
                };
                // A run that takes trainings of others with some seeds is not what these are named after.
                let holds = |other: &&Run| (0..other.seeds.len()).filter(|number| is_of(other, *number, of)).count();
                let writer = runs.iter().filter(|other| other.name == of).find(is_same);
                let first = writer.or_else(|| runs.iter().filter(is_same).rev().max_by_key(holds))?;
                (first.name != run.name).then(|| first.name.clone())
            };
            run.seeds.iter().enumerate().map(of_seed).collect()
        })
        .collect();
    for (run, named) in runs.iter_mut().zip(named) {
        run.seeds.iter_mut().zip(named).for_each(|(seed, of)| seed.training_of = of);
    }
}

fn read_tracked(inputs: &Inputs<Correlate>, study: &Study, dataset: &StudyDataset) -> Result<Option<Tracked>, Fault> {
    let (Some([without, with]), Some(last)) = (study.without_and_with_tracking(), dataset.steps.last()) else {
        return Ok(None);
    };
    let mut tracked = Tracked { runs: [without.name.clone(), with.name.clone()], ..Tracked::default() };
    for seed in &dataset.seeds {
        let mut trainings = Vec::new();
        for run in [without, with] {
            let partition = Partition::dataset(&dataset.name).run(&run.name).seed(*seed).step(last);
            let Loaded { rows, source, provenance, written_for } = inputs.read::<Checkpoints>(&partition)?;
            if rows.iter().any(|row| row.values.iter().any(|value| !value.is_finite())) {
                return Err(Fault::input(format!(
                    "the checkpoint {} has a weight that is NaN or infinite: its training diverged; rerun `train` with a lower \
                     learning_rate",
                    source.path
                )));
            }
            tracked.sources.push(source);
            let is_tracked = provenance.config.get("tracking").and_then(serde_json::Value::as_bool);
            trainings.push((written_for, is_tracked, rows));
        }
        let [(first, is_tracked, own), (second, _, other)] = &trainings[..] else { continue };
        // One training that both runs share, or one that was tracked, says nothing.
        if first != second && *is_tracked != Some(true) {
            tracked.differences.push((*seed, largest_difference(own, other)));
        }
    }
    Ok(Some(tracked))
}

/// The largest difference of any weight of two models; infinite where one of the two is not a number.
///
/// # Errors
/// A message, if the two models differ in shape.
pub fn largest_difference(one: &[Checkpoints], other: &[Checkpoints]) -> Result<f64, String> {
    fn shape(row: &Checkpoints) -> (&str, &[u32], usize) {
        (&row.tensor, &row.shape, row.values.len())
    }
    if !one.iter().map(shape).eq(other.iter().map(shape)) {
        return Err("the two runs trained models of different shapes".to_owned());
    }
    let pairs = one.iter().zip(other).flat_map(|(one, other)| one.values.iter().zip(&other.values));
    let difference = |(one, other): (&f32, &f32)| {
        let difference = (f64::from(*one) - f64::from(*other)).abs();
        match (one.to_bits() == other.to_bits(), difference.is_nan()) {
            (true, _) => 0.0,
            (_, true) => f64::INFINITY,
            _ => difference,
        }
    };
    Ok(pairs.map(difference).fold(0.0, f64::max))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[f32]) -> Vec<Checkpoints> {
        vec![Checkpoints { tensor: "w".to_owned(), shape: vec![values.len() as u32], values: values.to_vec() }]
    }

    #[test]
    fn weights_differ_by_their_largest_difference() {
        assert_eq!(largest_difference(&tensor(&[1.0, 2.0, 3.0]), &tensor(&[1.0, 2.5, 2.75])), Ok(0.5));
        assert_eq!(largest_difference(&tensor(&[1.0, f32::NAN]), &tensor(&[1.0, f32::NAN])), Ok(0.0));
        assert_eq!(largest_difference(&tensor(&[1.0]), &tensor(&[f32::NAN])), Ok(f64::INFINITY));
        assert!(largest_difference(&tensor(&[1.0]), &tensor(&[1.0, 2.0])).is_err());
        let two = [tensor(&[1.0]), tensor(&[2.0, 3.0])].concat();
        assert!(largest_difference(&two, &tensor(&[1.0])).is_err(), "one has a tensor more");
        assert_eq!(largest_difference(&two, &[tensor(&[1.0]), tensor(&[2.0, 7.0])].concat()), Ok(4.0));
    }

    #[test]
    fn a_training_is_named_after_the_run_that_still_has_it() {
        // Each run's loss, and the run for which its files were written.
        let named = |runs: &[(&str, f64, Option<&str>)]| -> Vec<Option<String>> {
            let run = |&(name, val_loss, of): &(&str, f64, Option<&str>)| {
                let evaluations = vec![Evaluations { val_loss, ..Evaluations::default() }];
                let seed = Seed { evaluations, training_of: of.map(str::to_owned), ..Seed::default() };
                Run { name: name.to_owned(), seeds: vec![seed], ..Run::default() }
            };
            let mut runs: Vec<Run> = runs.iter().map(run).collect();
            name_trainings(&mut runs);
            runs.into_iter().map(|mut run| run.seeds.remove(0).training_of).collect()
        };
        let of = |run: &str| Some(run.to_owned());
        assert_eq!(named(&[("a", 1.0, None), ("b", 1.0, Some("a"))]), [None, of("a")]);
        assert_eq!(named(&[("b", 1.0, Some("a")), ("a", 1.0, None)]), [of("a"), None], "whatever the order");
        // The writer was trained anew since; or it is no longer part of the study.
        assert_eq!(named(&[("a", 2.0, None), ("b", 1.0, Some("a")), ("c", 1.0, Some("a"))]), [None, None, of("b")]);
        assert_eq!(named(&[("b", 1.0, Some("a")), ("c", 1.0, Some("a"))]), [None, of("b")]);
        // The first run takes the training with one of two seeds only.
        let seed = |of: Option<&str>| Seed { training_of: of.map(str::to_owned), ..Seed::default() };
        let run = |name: &str, seeds| Run { name: name.to_owned(), seeds, ..Run::default() };
        let [some, all] = [[None, Some("a")], [Some("a"); 2]].map(|of| of.map(seed).to_vec());
        let mut runs = [run("b", some), run("c", all)];
        name_trainings(&mut runs);
        let names = runs.map(|run| run.seeds.into_iter().map(|seed| seed.training_of).collect::<Vec<_>>());
        assert_eq!(names, [vec![None, of("c")], vec![None, None]]);
    }
}
