//! Attention metrics of a training step's own forward passes, recomputed from their queries and keys, so that the training path
//! is the same with and without tracking.

use rayon::prelude::*;

use crate::GptConfig;

/// One head's attention in one training step: means over all queries but each sequence's first, of all micro-batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadAttention {
    /// The layer.
    pub layer: usize,
    /// The head within its layer.
    pub head: usize,
    /// Mean entropy of the rows, in nats.
    pub entropy_nats: f64,
    /// Mean normalized entropy.
    pub normalized_entropy: f64,
    /// Mean attention distance, in characters.
    pub mean_distance: f64,
    /// Mean attention to the first position.
    pub first_token_mass: f64,
}

/// Sums over rows, in the order entropy, normalized entropy, distance, first-token mass.
type Sums = [f64; 4];

/// The queries, keys and values of one layer in one micro-batch, on the host.
///
/// # Shapes
/// `[batch·time, 3·embd]`.
pub(crate) struct LayerPass {
    pub(crate) layer: usize,
    pub(crate) batch: usize,
    pub(crate) qkv: Vec<f32>,
}

/// Every head's attention over all passes of one step.
pub(crate) fn heads(config: &GptConfig, passes: &[LayerPass]) -> Vec<HeadAttention> {
    let of_layer = |layer: usize| passes.iter().filter(move |pass| pass.layer == layer);
    let each = |(layer, head): (usize, usize)| {
        let sequences: Vec<_> = of_layer(layer).flat_map(|pass| (0..pass.batch).map(move |at| (pass, at))).collect();
        // The sequences' sums are added in order, whichever thread computed them.
        let sums: Vec<(Sums, usize)> =
            sequences.par_iter().map(|(pass, sequence)| sequence_sums(config, pass, *sequence, head)).collect();
        let rows: usize = sums.iter().map(|(_, rows)| rows).sum();
        let mean = |at: usize| sums.iter().map(|(sums, _)| sums[at]).sum::<f64>() / rows.max(1) as f64;
        HeadAttention {
            layer,
            head,
            entropy_nats: mean(0),
            normalized_entropy: mean(1),
            mean_distance: mean(2),
            first_token_mass: mean(3),
        }
    };
    let all = (0..config.n_layer).flat_map(|layer| (0..config.n_head).map(move |head| (layer, head)));
    all.map(each).collect()
}

/// One head's sums over the rows of one sequence, and the number of rows.
fn sequence_sums(config: &GptConfig, pass: &LayerPass, sequence: usize, head: usize) -> (Sums, usize) {
    let (embd, size) = (config.n_embd, config.head_size());
    let time = pass.qkv.len() / (3 * embd) / pass.batch;
    let scale = 1.0 / (size as f64).sqrt();
    // Queries (0) or keys (1), converted once and without gaps, so that their products run in vector registers.
    let gathered = |part: usize, factor: f64| -> Vec<f64> {
        let rows = pass.qkv[sequence * time * 3 * embd..][..time * 3 * embd].chunks_exact(3 * embd);
        rows.flat_map(|row| &row[part * embd + head * size..][..size]).map(|&value| f64::from(value) * factor).collect()
    };
    let (queries, keys) = (gathered(0, scale), gathered(1, 1.0));
    let mut row = Vec::with_capacity(time);
    let mut sums = [0.0; 4];
    for query in 1..time {
        let query_vector = &queries[query * size..][..size];
        let scores =
            keys.chunks_exact(size).take(query + 1).map(|key| attention_metrics::inner_product(query_vector, key));
        softmax(scores, &mut row);
        let entropy = attention_metrics::entropy_nats(&row);
        let values = [
            entropy,
            attention_metrics::normalize_entropy(entropy, row.len()),
            attention_metrics::mean_distance(&row),
            attention_metrics::first_token_mass(&row),
        ];
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
    (sums, time.saturating_sub(1))
}

fn softmax(scores: impl Iterator<Item = f64>, row: &mut Vec<f64>) {
    row.clear();
    row.extend(scores);
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter_mut().for_each(|score| *score = (*score - largest).exp());
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|weight| *weight /= sum);
}
