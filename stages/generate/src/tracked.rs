//! Attention metrics over generated or fed texts.

use attention_metrics::{
    entropy_nats, first_token_mass, js_divergence_bits, mean_distance, normalize_entropy, renormalize,
};
use model::{HeadRow, table_index};
use rayon::prelude::*;
use schemas::enums::TextSource;
use schemas::tables::{SampleAttention, SampleLayers};

/// Sums over attention rows, per text of a batch.
pub struct Tracked {
    heads: usize,
    texts: Vec<TextSums>,
}

/// Sums over the attention rows of one text.
#[derive(Clone)]
struct TextSums {
    /// Rows per head.
    rows: u32,
    /// For each layer and head: entropy, normalized entropy, distance, first-token mass, output norm.
    heads: Vec<[f64; 5]>,
    /// For each pair of adjacent layers: the divergence of their rows, each the mean over the layer's heads.
    pairs: Vec<f64>,
}

impl Tracked {
    /// Sums of zero for so many texts.
    pub fn new(texts: usize, layers: usize, heads: usize) -> Self {
        let zero =
            TextSums { rows: 0, heads: vec![[0.0; 5]; layers * heads], pairs: vec![0.0; layers.saturating_sub(1)] };
        Self { heads, texts: vec![zero; texts] }
    }

    /// Adds the rows of the last query of every text. Rows with a single key are left out: their metrics are constant.
    ///
    /// # Shapes
    /// `rows`: text × layer × head, in that order.
    pub fn observe(&mut self, rows: &[HeadRow]) {
        let heads = self.heads;
        let rows_per_text = rows.len() / self.texts.len().max(1);
        if rows_per_text == 0 {
            return;
        }
        self.texts
            .par_iter_mut()
            .zip(rows.par_chunks(rows_per_text))
            .for_each(|(text, rows)| text.observe(rows, heads));
    }

    /// One row per text, layer and head; none for a text without rows.
    pub fn heads(&self, step: u32, source: TextSource) -> Vec<SampleAttention> {
        let mut table = Vec::new();
        for (sample, text) in self.counted() {
            for (position, sums) in text.heads.iter().enumerate() {
                let [entropy_nats, normalized_entropy, mean_distance, first_token_mass, output_norm] =
                    sums.map(|sum| sum / f64::from(text.rows));
                table.push(SampleAttention {
                    step,
                    source,
                    sample,
                    layer: table_index(position / self.heads),
                    head: table_index(position % self.heads),
                    entropy_nats,
                    normalized_entropy,
                    mean_distance,
                    first_token_mass,
                    output_norm,
                });
            }
        }
        table
    }

    /// One row per text and pair of adjacent layers; none for a text without rows.
    pub fn layers(&self, step: u32) -> Vec<SampleLayers> {
        let mut table = Vec::new();
        for (sample, text) in self.counted() {
            for (layer, sum) in text.pairs.iter().enumerate() {
                let js_divergence = sum / f64::from(text.rows);
                table.push(SampleLayers {
                    step,
                    sample,
                    layer_a: table_index(layer),
                    layer_b: table_index(layer + 1),
                    js_divergence,
                });
            }
        }
        table
    }

    /// The texts with rows, with their numbers; --samples bounds those to 16 bits.
    fn counted(&self) -> impl Iterator<Item = (u16, &TextSums)> {
        (0..=u16::MAX).zip(&self.texts).filter(|(_, text)| text.rows > 0)
    }
}

impl TextSums {
    fn observe(&mut self, rows: &[HeadRow], heads: usize) {
        if rows.iter().any(|row| row.weights.len() < 2) {
            return;
        }
        self.rows += 1;
        let mut weights = Vec::new();
        let mut below: Vec<f64> = Vec::new();
        for (layer, rows) in rows.chunks(heads).enumerate() {
            let mut mean = vec![0.0; rows.first().map_or(0, |row| row.weights.len())];
            for (row, sums) in rows.iter().zip(&mut self.heads[layer * heads..]) {
                renormalize(&row.weights, &mut weights);
                mean.iter_mut().zip(&weights).for_each(|(mean, weight)| *mean += weight / heads as f64);
                let entropy = entropy_nats(&weights);
                let values = [
                    entropy,
                    normalize_entropy(entropy, weights.len()),
                    mean_distance(&weights),
                    first_token_mass(&weights),
                    f64::from(row.output_norm),
                ];
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
            if layer > 0 {
                self.pairs[layer - 1] += js_divergence_bits(&below, &mean);
            }
            below = mean;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(weights: &[f32], output_norm: f32) -> HeadRow {
        HeadRow { weights: weights.to_vec(), output_norm }
    }

    #[test]
    fn sums_are_means_over_rows_of_more_than_one_key() {
        // One text, two layers of two heads. The first layer's heads mean to (½, ½), the second's to (0, 1).
        let mut tracked = Tracked::new(1, 2, 2);
        tracked.observe(&[row(&[1.0], 9.0), row(&[1.0], 9.0), row(&[1.0], 9.0), row(&[1.0], 9.0)]);
        assert!(tracked.heads(3, TextSource::Model).is_empty() && tracked.layers(3).is_empty());
        tracked.observe(&[row(&[1.0, 0.0], 1.0), row(&[0.0, 1.0], 2.0), row(&[0.0, 1.0], 3.0), row(&[0.0, 1.0], 4.0)]);
        tracked.observe(&[row(&[0.5, 0.5], 3.0), row(&[0.5, 0.5], 2.0), row(&[0.5, 0.5], 3.0), row(&[0.0, 2.0], 4.0)]);
        let heads = tracked.heads(3, TextSource::Model);
        let found: Vec<_> =
            heads.iter().map(|row| (row.layer, row.head, row.output_norm, row.first_token_mass)).collect();
        assert_eq!(found, [(0, 0, 2.0, 0.75), (0, 1, 2.0, 0.25), (1, 0, 3.0, 0.25), (1, 1, 4.0, 0.0)]);
        assert!((heads[0].entropy_nats - 2f64.ln() / 2.0).abs() < 1e-15);
        assert!((heads[0].normalized_entropy - 0.5).abs() < 1e-15);
        assert_eq!((heads[0].mean_distance, heads[3].mean_distance), (0.75, 0.0));

        // JSD((½,½), (0,1)) = H(¼,¾) − ½ = 1.5 − ¾·log₂3 bits … and JSD((½,½), (¼,¾)) = H(⅜,⅝) − (1 + H(¼,¾))/2.
        let entropy = |p: f64| -(p * p.log2() + (1.0 - p) * (1.0 - p).log2());
        let expected = ((entropy(0.25) - 0.5) + (entropy(0.375) - (1.0 + entropy(0.25)) / 2.0)) / 2.0;
        let [pair] = &tracked.layers(3)[..] else { panic!("one pair of layers") };
        assert_eq!((pair.step, pair.layer_a, pair.layer_b), (3, 0, 1));
        assert!((pair.js_divergence - expected).abs() < 1e-14);
    }

    #[test]
    fn each_text_has_its_own_sums() {
        let mut tracked = Tracked::new(2, 1, 1);
        tracked.observe(&[row(&[0.25, 0.75], 1.0), row(&[1.0, 0.0], 2.0)]);
        let heads = tracked.heads(0, TextSource::Validation);
        let found: Vec<_> = heads.iter().map(|row| (row.sample, row.mean_distance, row.output_norm)).collect();
        assert_eq!(found, [(0, 0.25, 1.0), (1, 1.0, 2.0)]);
        assert!(tracked.layers(0).is_empty());
    }
}
