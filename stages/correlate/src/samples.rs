//! Attention metrics and scores of each sample of the final checkpoint.

use std::collections::BTreeMap;

use schemas::enums::TextSource;
use schemas::tables::{SampleAttention, SampleScores};

use crate::inputs::Seed;
use crate::rank::{mean, spearman};
use crate::series::mean_by;

/// Values by sample; a sample without one is missing.
pub type BySample = BTreeMap<u16, f64>;

/// The rows of attention over texts of a source, the model or the validation split, at the final step.
pub fn final_attention(seed: &Seed, source: TextSource) -> impl Iterator<Item = &SampleAttention> {
    let last = seed.last_step();
    seed.sample_attention.iter().filter(move |row| row.step == last && row.source == source)
}

/// A score of each sample.
pub fn score(seed: &Seed, value: impl Fn(&SampleScores) -> Option<f64>) -> BySample {
    let last = seed.last_step();
    let rows = seed.sample_scores.iter().filter(|row| row.step == Some(last));
    rows.filter_map(|row| Some((row.sample, value(row)?))).collect()
}

/// The quality of each sample.
pub fn quality(seed: &Seed) -> BySample {
    score(seed, |row| row.quality)
}

/// The mean over the heads of a layer, or of all layers.
pub fn attention(seed: &Seed, layer: Option<u16>, value: impl Fn(&SampleAttention) -> Option<f64>) -> BySample {
    let rows = final_attention(seed, TextSource::Model).filter(|row| layer.is_none_or(|layer| row.layer == layer));
    mean_by(rows.map(|row| (row.sample, value(row))))
}

/// The mean divergence of the pairs of adjacent layers that contain a layer, or of all of them.
pub fn adjacent_divergence(seed: &Seed, layer: Option<u16>) -> BySample {
    let last = seed.last_step();
    let pairs = crate::series::contains(layer);
    let rows = seed.sample_layers.iter().filter(|row| row.step == last && pairs(row.layer_a, row.layer_b));
    mean_by(rows.map(|row| (row.sample, Some(row.js_divergence))))
}

/// The values of each sample's heads, by layer.
fn by_layer(seed: &Seed, value: impl Fn(&SampleAttention) -> f64) -> BTreeMap<u16, BTreeMap<u16, Vec<f64>>> {
    let mut samples: BTreeMap<u16, BTreeMap<u16, Vec<f64>>> = BTreeMap::new();
    for row in final_attention(seed, TextSource::Model) {
        samples.entry(row.sample).or_default().entry(row.layer).or_default().push(value(row));
    }
    samples
}

/// The population variance of `entropy_nats` over all heads of the model.
pub fn head_entropy_variance(seed: &Seed) -> BySample {
    let variance = |layers: BTreeMap<u16, Vec<f64>>| {
        let heads: Vec<f64> = layers.into_values().flatten().collect();
        let mean = mean(&heads);
        heads.iter().map(|head| (head - mean).powi(2)).sum::<f64>() / heads.len() as f64
    };
    by_layer(seed, |row| row.entropy_nats).into_iter().map(|(sample, layers)| (sample, variance(layers))).collect()
}

/// The largest head's share of its layer's output norms, averaged over layers.
pub fn dominant_share(seed: &Seed) -> BySample {
    let share = |heads: Vec<f64>| heads.iter().copied().fold(0.0, f64::max) / heads.iter().sum::<f64>();
    let shares = |layers: BTreeMap<u16, Vec<f64>>| mean(&layers.into_values().map(share).collect::<Vec<_>>());
    by_layer(seed, |row| row.output_norm).into_iter().map(|(sample, layers)| (sample, shares(layers))).collect()
}

/// Spearman's correlation of the layer and its heads' mean attention distance. Missing under 3 layers.
pub fn span_gradient(seed: &Seed) -> BySample {
    let gradient = |layers: BTreeMap<u16, Vec<f64>>| {
        let (depth, distance): (Vec<f64>, Vec<f64>) =
            layers.into_iter().map(|(layer, heads)| (f64::from(layer), mean(&heads))).unzip();
        spearman(&depth, &distance).ok()
    };
    let samples = by_layer(seed, |row| row.mean_distance).into_iter();
    samples.filter_map(|(sample, layers)| Some((sample, gradient(layers)?))).collect()
}
