//! Each training's metrics as series over the snapshot steps.

use std::collections::BTreeMap;

use schemas::tables::{HeadMetrics, LayerMetrics, LayerSimilarity};

use crate::inputs::{Run, Seed};
use crate::samples::SCORES;

/// Values by step; where there is none, the step is missing.
pub type Series = BTreeMap<u32, f64>;

/// A column of a table: its name and its value in a row.
pub type Column<Row> = (&'static str, fn(&Row) -> Option<f64>);

/// The measures of `head_metrics`.
pub const HEAD_METRICS: [Column<HeadMetrics>; 10] = [
    ("entropy_nats", |row| Some(row.entropy_nats)),
    ("normalized_entropy", |row| Some(row.normalized_entropy)),
    ("mean_distance", |row| Some(row.mean_distance)),
    ("span_90", |row| Some(row.span_90)),
    ("local_mass_3", |row| Some(row.local_mass_3)),
    ("first_token_mass", |row| Some(row.first_token_mass)),
    ("self_mass", |row| Some(row.self_mass)),
    ("previous_token_score", |row| Some(row.previous_token_score)),
    ("duplicate_token_score", |row| Some(row.duplicate_token_score)),
    ("induction_score", |row| row.induction_score),
];

/// The measures of `layer_metrics`.
pub const LAYER_METRICS: [Column<LayerMetrics>; 3] = [
    ("head_variance", |row| Some(row.head_variance)),
    ("head_js_divergence", |row| Some(row.head_js_divergence)),
    ("dominant_head_share", |row| Some(row.dominant_head_share)),
];

/// The measures of `layer_similarity`.
pub const LAYER_SIMILARITY: [Column<LayerSimilarity>; 4] = [
    ("js_divergence", |row| Some(row.js_divergence)),
    ("js_similarity", |row| Some(row.js_similarity)),
    ("cosine_similarity", |row| Some(row.cosine_similarity)),
    ("centered_cosine_similarity", |row| Some(row.centered_cosine_similarity)),
];

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

/// Whether a pair of layers contains a layer; every pair, if none is asked for.
pub fn contains(layer: Option<u16>) -> impl Fn(u16, u16) -> bool {
    move |a, b| layer.is_none_or(|layer| a == layer || b == layer)
}

/// The validation loss at the snapshot steps.
pub fn val_loss(seed: &Seed) -> Series {
    let rows = seed.evaluations.iter().filter(|row| seed.steps.binary_search(&row.step).is_ok());
    rows.map(|row| (row.step, row.val_loss)).collect()
}

/// A measure of every training of a run.
#[derive(Clone, Debug)]
pub struct Measure {
    /// The column's name.
    pub name: &'static str,
    /// The layer; none for all of them.
    pub layer: Option<u16>,
    /// A series for each seed.
    pub by_seed: Vec<Series>,
}

/// Every metric of attention that the run has, over all layers first and then layer by layer.
pub fn attention_measures(run: &Run) -> Vec<Measure> {
    let layers: Vec<Option<u16>> = std::iter::once(None).chain((0..run.layers()).map(Some)).collect();
    let each = |name: &'static str, series: &dyn Fn(&Seed, Option<u16>) -> Series| -> Vec<Measure> {
        let measure = |layer: &Option<u16>| {
            let by_seed: Vec<_> = run.seeds.iter().map(|seed| series(seed, *layer)).collect();
            Measure { name, layer: *layer, by_seed }
        };
        layers.iter().map(measure).collect()
    };
    let mut measures = Vec::new();
    for (name, value) in HEAD_METRICS {
        measures.extend(each(name, &|seed, layer| head_series(seed, layer, value)));
    }
    for (name, value) in LAYER_METRICS {
        measures.extend(each(name, &|seed, layer| layer_series(seed, layer, value)));
    }
    if run.has(declarations::Part::Similarity) {
        for (name, value) in LAYER_SIMILARITY {
            measures.extend(each(name, &|seed, layer| pair_series(seed, contains(layer), value)));
        }
    }
    measures
}

/// What attention is held against: the validation loss, and the mean over samples of each score where the run has them.
pub fn outcomes(run: &Run) -> Vec<Measure> {
    let measure = |name, series: &dyn Fn(&Seed) -> Series| Measure {
        name,
        layer: None,
        by_seed: run.seeds.iter().map(series).collect(),
    };
    let mut outcomes = vec![measure("val_loss", &val_loss)];
    if run.has(declarations::Part::Quality) {
        outcomes.extend(SCORES.iter().map(|(name, value)| {
            measure(name, &|seed| mean_by(seed.sample_scores.iter().filter_map(|row| Some((row.step?, value(row))))))
        }));
    }
    outcomes
}
