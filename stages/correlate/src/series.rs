//! Each training's metrics as series over the snapshot steps.

use std::collections::BTreeMap;

use schemas::Table;
use schemas::tables::{Evaluations, HeadMetrics, LayerMetrics, LayerSimilarity, SampleScores};

use crate::inputs::{Run, Seed};

/// Values by step; where there is none, the step is missing.
pub type Series = BTreeMap<u32, f64>;

/// The mean of the values of each key, in their order; a key without values is missing.
pub fn mean_by<Key: Ord>(values: impl Iterator<Item = (Key, Option<f64>)>) -> BTreeMap<Key, f64> {
    let mut sums: BTreeMap<Key, (f64, f64)> = BTreeMap::new();
    for (key, value) in values {
        if let Some(value) = value {
            let (sum, count) = sums.entry(key).or_default();
            *sum += value;
            *count += 1.0;
        }
    }
    sums.into_iter().map(|(key, (sum, count))| (key, sum / count)).collect()
}

/// The mean over the heads of a layer, or of all layers.
pub fn head_series(seed: &Seed, layer: Option<u16>, value: impl Fn(&HeadMetrics) -> Option<f64>) -> Series {
    let rows = seed.head_metrics.iter().filter(|row| layer.is_none_or(|layer| row.layer == layer));
    mean_by(rows.map(|row| (row.step, value(row))))
}

/// A layer's value, or the mean over layers.
pub fn layer_series(seed: &Seed, layer: Option<u16>, value: impl Fn(&LayerMetrics) -> Option<f64>) -> Series {
    let rows = seed.layer_metrics.iter().filter(|row| layer.is_none_or(|layer| row.layer == layer));
    mean_by(rows.map(|row| (row.step, value(row))))
}

/// The mean over the pairs of layers that `pairs` picks.
pub fn pair_series(
    seed: &Seed,
    pairs: impl Fn(u16, u16) -> bool,
    value: impl Fn(&LayerSimilarity) -> Option<f64>,
) -> Series {
    let rows = seed.layer_similarity.iter().filter(|row| pairs(row.layer_a, row.layer_b));
    mean_by(rows.map(|row| (row.step, value(row))))
}

/// Whether a pair of layers contains a layer; every pair does without one.
pub fn contains(layer: Option<u16>) -> impl Fn(u16, u16) -> bool {
    move |a, b| layer.is_none_or(|layer| a == layer || b == layer)
}

/// The validation loss at the snapshot steps.
pub fn val_loss(seed: &Seed) -> Series {
    let rows = seed.evaluations.iter().filter(|row| seed.steps.binary_search(&row.step).is_ok());
    rows.map(|row| (row.step, row.val_loss)).collect()
}

/// A measure over every training of a run.
#[derive(Clone, Debug)]
pub struct Metric {
    /// The column's name.
    pub name: &'static str,
    /// The layer; none for all of them.
    pub layer: Option<u16>,
    /// A series for each seed.
    pub by_seed: Vec<Series>,
}

/// Every measure of attention that the run has, over all layers first and then layer by layer.
pub fn attention_metrics(run: &Run) -> Vec<Metric> {
    let layers: Vec<Option<u16>> = std::iter::once(None).chain((0..run.layers()).map(Some)).collect();
    let each = |name: &'static str, series: &dyn Fn(&Seed, Option<u16>) -> Series| -> Vec<Metric> {
        let metric = |layer: &Option<u16>| {
            let by_seed: Vec<_> = run.seeds.iter().map(|seed| series(seed, *layer)).collect();
            Metric { name, layer: *layer, by_seed }
        };
        layers.iter().map(metric).collect()
    };
    let mut metrics = Vec::new();
    for measure in HeadMetrics::MEASURES {
        metrics.extend(each(measure.name(), &|seed, layer| head_series(seed, layer, measure.get)));
    }
    for measure in LayerMetrics::MEASURES {
        metrics.extend(each(measure.name(), &|seed, layer| layer_series(seed, layer, measure.get)));
    }
    if run.has(declarations::Part::Similarity) {
        for measure in LayerSimilarity::MEASURES {
            metrics.extend(each(measure.name(), &|seed, layer| pair_series(seed, contains(layer), measure.get)));
        }
    }
    metrics
}

/// The outcomes that attention is correlated with: the validation loss and, where the run has scores, the mean of each over
/// samples.
pub fn outcomes(run: &Run) -> Vec<Metric> {
    let metric = |name, series: &dyn Fn(&Seed) -> Series| Metric {
        name,
        layer: None,
        by_seed: run.seeds.iter().map(series).collect(),
    };
    let mut outcomes = vec![metric(Evaluations::val_loss.name(), &val_loss)];
    if run.has(declarations::Part::Quality) {
        outcomes.extend(SampleScores::MEASURES.iter().map(|score| {
            let value = |row: &SampleScores| Some((row.step?, (score.get)(row)));
            metric(score.name(), &|seed| mean_by(seed.sample_scores.iter().filter_map(value)))
        }));
    }
    outcomes
}
