//! One pass over the attention of one probe window.

use schemas::attention::{Window, triangle};

use crate::characters::Received;
use crate::heads::HeadSums;
use crate::layers::{LayerSums, mean_attention};
use crate::similarity::{PairSums, WindowPairs, pairs};

/// A probe window: text that was fed to the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Its number in `windows`.
    pub window: u16,
    /// Its purpose.
    pub kind: Kind,
    /// Its tokens.
    pub tokens: Vec<u16>,
}

/// The purpose of a probe window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Text of the validation split, for every metric but the induction score.
    Val,
    /// A block of tokens twice, for the induction score.
    Repeat {
        /// The block's length `L`.
        block: usize,
    },
}

/// Sums over the attention rows of one window.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowSums {
    /// By layer, then head.
    pub heads: Vec<Vec<HeadSums>>,
    /// By layer.
    pub layers: Vec<LayerSums>,
    /// By layer, then head: what the positions of a `val` window receive; of length 0 in `repeat` windows.
    pub received: Vec<Vec<Received>>,
    /// By pair of layers, as [`crate::similarity::pairs`] orders them; none unless wanted.
    pub pairs: Vec<PairSums>,
}

impl WindowSums {
    /// Of a `val` window of `length` tokens, or of a `repeat` window, of which no position counts.
    fn new(window: &Window, length: usize, similarity: bool) -> Self {
        let (layers, heads) = (window.layers, window.heads);
        Self {
            heads: vec![vec![HeadSums::default(); heads]; layers],
            layers: vec![LayerSums::default(); layers],
            received: vec![vec![Received::new(length); heads]; layers],
            pairs: vec![PairSums::default(); if similarity { pairs(layers).count() } else { 0 }],
        }
    }

    /// Layers, and heads in each.
    pub fn shape(&self) -> (usize, usize) {
        (self.heads.len(), self.heads.first().map_or(0, Vec::len))
    }
}

/// Sums over one window, whose `weights` belong to `probe`, both of the same length.
///
/// # Errors
/// A message that names the row that is not attention: a weight is negative or not a number, or the sum is further than 1e-3
/// from one.
pub fn measure(window: &Window, probe: &Probe, similarity: bool) -> Result<WindowSums, String> {
    match probe.kind {
        Kind::Val => measure_val(window, &probe.tokens, similarity),
        Kind::Repeat { block } => measure_repeat(window, block, similarity),
    }
}

/// Query by query, so that the rows of all heads and layers of a query are in the cache together; row 0 is always 1, carries no
/// information and is only checked.
fn measure_val(window: &Window, tokens: &[u16], similarity: bool) -> Result<WindowSums, String> {
    let (layers, heads) = (window.layers, window.heads);
    let mut sums = WindowSums::new(window, window.queries, similarity);
    let mut layer_pairs = WindowPairs::new(layers);
    let mut rows = vec![Vec::with_capacity(window.queries); heads];
    let mut means = vec![Vec::with_capacity(window.queries); layers];
    let mut entropies = vec![0.0; layers];
    for query in 0..window.queries {
        for layer in 0..layers {
            for (head, row) in rows.iter_mut().enumerate() {
                load(window, layer, head, query, row)?;
            }
            if query == 0 {
                continue;
            }
            let head_sums = sums.heads[layer].iter_mut().zip(&rows);
            let entropy: f64 = head_sums.map(|(sums, row)| sums.add(row, &tokens[..=query])).sum();
            sums.received[layer].iter_mut().zip(&rows).for_each(|(received, row)| received.add(row));
            mean_attention(&rows, &mut means[layer]);
            entropies[layer] = sums.layers[layer].add(&rows, &means[layer], entropy / heads as f64);
        }
        if similarity && query > 0 {
            layer_pairs.add(&means, &entropies);
        }
    }
    if similarity {
        sums.pairs = layer_pairs.finish();
    }
    Ok(sums)
}

fn measure_repeat(window: &Window, block: usize, similarity: bool) -> Result<WindowSums, String> {
    let mut sums = WindowSums::new(window, 0, similarity);
    let mut row = Vec::with_capacity(window.queries);
    for (layer, heads) in sums.heads.iter_mut().enumerate() {
        for (head, sums) in heads.iter_mut().enumerate() {
            for query in 0..window.queries {
                load(window, layer, head, query, &mut row)?;
                sums.add_repeat(&row, block);
            }
        }
    }
    Ok(sums)
}

/// One stored row as float64 that sums to one.
fn load(window: &Window, layer: usize, head: usize, query: usize, row: &mut Vec<f64>) -> Result<(), String> {
    let weights = &window.head(layer, head)[triangle(query)..][..=query];
    let sum = attention_metrics::renormalize(weights, row);
    let negative = row.iter().fold(false, |any, &weight| any | (weight < 0.0));
    // A sum that is not a number fails the comparison, too.
    if (sum - 1.0).abs() <= 1e-3 && !negative {
        return Ok(());
    }
    let found = if negative { "holds a negative weight".to_owned() } else { format!("sums to {sum} instead of 1") };
    Err(format!("the row of window {}, layer {layer}, head {head}, query {query} {found}", window.window))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A window of one layer and one head whose query `i` attends to `key(i)` alone.
    fn one_hot(queries: usize, key: impl Fn(usize) -> usize) -> Window {
        let row = |query: usize| (0..=query).map(|position| f32::from(position == key(query))).collect::<Vec<_>>();
        Window { window: 0, layers: 1, heads: 1, queries, weights: (0..queries).flat_map(row).collect() }
    }

    fn val(tokens: Vec<u16>) -> Probe {
        Probe { window: 0, kind: Kind::Val, tokens }
    }

    #[test]
    fn a_planted_previous_token_head_is_found() {
        let window = one_hot(16, |query| query.saturating_sub(1));
        let sums = measure(&window, &val((0..16).collect()), false).expect("whole rows");
        let head = HeadSums::row([&sums.heads[0][0]].into_iter(), (0, 0, 0)).expect("15 queries");
        assert_eq!((head.previous_token_score, head.mean_distance, head.span_90, head.queries), (1.0, 1.0, 1.0, 15));
        assert_eq!((head.entropy_nats, head.self_mass, head.local_mass_3), (0.0, 0.0, 1.0));
        assert_eq!((head.first_token_mass, head.duplicate_token_score), (1.0 / 15.0, 0.0));
    }

    #[test]
    fn a_planted_induction_head_is_found() {
        let (block, tokens) = (8, (0..8).chain(0..8).collect::<Vec<u16>>());
        let window = one_hot(16, |query| if query < block { 0 } else { query - block + 1 });
        let probe = Probe { window: 0, kind: Kind::Repeat { block }, tokens: tokens.clone() };
        let sums = measure(&window, &probe, false).expect("whole rows");
        assert_eq!((sums.heads[0][0].repeat.means(), sums.heads[0][0].repeat.rows()), (Some([1.0]), 8));
        // A head that attends to the earlier copy itself is a duplicate-token head, and no induction head.
        let window = one_hot(16, |query| query.saturating_sub(block));
        let sums = measure(&window, &probe, false).expect("whole rows");
        assert_eq!((sums.heads[0][0].repeat.means(), sums.heads[0][0].repeat.rows()), (Some([0.0]), 8));
        let sums = measure(&window, &val(tokens), false).expect("whole rows");
        let head = HeadSums::row([&sums.heads[0][0]].into_iter(), (0, 0, 0)).expect("15 queries");
        assert_eq!((head.duplicate_token_score, head.queries), (8.0 / 15.0, 15));
    }

    #[test]
    fn rows_that_cannot_be_attention_are_named() {
        for (weights, found) in [
            ([1.0, 0.5, 0.4], "query 1 sums to 0.9"),
            ([1.0, 1.5, -0.5], "query 1 holds a negative weight"),
            ([1.0, f32::NAN, 0.5], "query 1 sums to NaN"),
            ([f32::INFINITY, 0.5, 0.5], "query 0 sums to inf"),
            ([0.0, 0.5, 0.5], "query 0 sums to 0"),
        ] {
            let window = Window { window: 5, layers: 1, heads: 1, queries: 2, weights: weights.to_vec().into() };
            for kind in [Kind::Val, Kind::Repeat { block: 1 }] {
                let probe = Probe { window: 5, kind, tokens: vec![3, 3] };
                let reason = measure(&window, &probe, true).expect_err("a damaged row");
                assert!(reason.contains("window 5, layer 0, head 0") && reason.contains(found), "{reason}");
            }
        }
    }
}
