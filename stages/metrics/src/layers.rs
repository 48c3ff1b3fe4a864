//! The measures of `layer_metrics`: how much the heads of one layer differ.
//!
//! Notation: `A^h[i,j]` is head `h`'s attention of query `i` to key `j ≤ i`; `H` is entropy in nats; `Q` is every query `i ≥ 1` of
//! every `val` window. A column is the mean of its formula over `Q` ([`FORMULAS`]), except [`dominant_head_share`], which is
//! computed from the heads' output norms.

use schemas::Measure;
use schemas::tables::LayerMetrics;
use simd_dispatch::multiversion;

use crate::means::{Means, Sums};

/// One query of one layer.
pub struct Query<'rows> {
    /// `A^h[i,·]`, one row per head.
    pub rows: &'rows [Vec<f64>],
    /// Their [`mean_attention`].
    pub mean: &'rows [f64],
    /// `H(mean_h A^h[i,·])`.
    pub entropy_of_mean: f64,
    /// `mean_h H(A^h[i,·])`.
    pub mean_entropy: f64,
}

/// A measure and its formula for one query.
pub type Formula = (Measure<LayerMetrics>, fn(&Query<'_>) -> f64);

/// The measures that are means over `Q`.
pub const FORMULAS: [Formula; 2] = [
    // Σ_{j≤i} Var_h A^h[i,j], population variance over the heads, 0 to 1; 0 for one head.
    (LayerMetrics::head_variance, |query| {
        let squares: f64 = query.rows.iter().map(|row| attention_metrics::squared_distance(row, query.mean)).sum();
        (squares / query.rows.len() as f64).clamp(0.0, 1.0)
    }),
    // (H(mean_h A^h[i,·]) − mean_h H(A^h[i,·])) / ln 2, the generalised Jensen-Shannon divergence of the heads, bits, 0 to
    // log₂(heads); 0 for one head.
    (LayerMetrics::head_js_divergence, |query| {
        attention_metrics::js_divergence_bits_from_entropies(
            query.entropy_of_mean,
            query.mean_entropy,
            query.rows.len(),
        )
    }),
];

/// One layer's sums over one probe window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerSums(Sums<{ FORMULAS.len() }>);

impl LayerSums {
    /// Adds one query: its rows, one per head, their [`mean_attention`] and the mean of their entropies in nats. Returns the
    /// entropy of the mean, in nats.
    pub fn add(&mut self, rows: &[Vec<f64>], mean: &[f64], mean_entropy: f64) -> f64 {
        let entropy_of_mean = attention_metrics::entropy_nats(mean);
        let query = Query { rows, mean, entropy_of_mean, mean_entropy };
        self.0.add(FORMULAS.map(|(_, of)| of(&query)));
        entropy_of_mean
    }

    /// The row of one layer from its sums over every window, without its [`dominant_head_share`]; none where `Q` is empty.
    pub fn row<'sums>(windows: impl Iterator<Item = &'sums Self>, (step, layer): (u32, u16)) -> Option<LayerMetrics> {
        let mut row = LayerMetrics { step, layer, ..LayerMetrics::default() };
        Means::over(windows.map(|sums| &sums.0))?.fill(&mut row, FORMULAS.each_ref().map(|(measure, _)| measure));
        Some(row)
    }
}

multiversion! {
    /// `P_l[i,·] = mean_h A^{l,h}[i,·]`: the attention of a layer to the keys of one query, written over `mean`.
    pub fn mean_attention<FUSED>(rows: &[Vec<f64>], mean: &mut Vec<f64>) {
        mean.clear();
        mean.resize(rows.first().map_or(0, Vec::len), 0.0);
        for row in rows {
            mean.iter_mut().zip(row).for_each(|(mean, weight)| *mean += weight);
        }
        mean.iter_mut().for_each(|mean| *mean /= rows.len() as f64);
    }
}

/// The measure `dominant_head_share`: `max_h output_norm / Σ_h output_norm`, 1/heads to 1; 1/heads where all norms are 0.
pub fn dominant_head_share(output_norms: &[f64]) -> f64 {
    let equal = 1.0 / output_norms.len() as f64;
    let sum: f64 = output_norms.iter().sum();
    let largest = output_norms.iter().copied().fold(0.0, f64::max);
    if sum > 0.0 { (largest / sum).clamp(equal, 1.0) } else { equal }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dominant_share_lies_between_equal_and_all() {
        assert_eq!(dominant_head_share(&[2.0, 1.0, 1.0]), 0.5);
        assert_eq!(dominant_head_share(&[0.0, 3.0]), 1.0);
        assert_eq!(dominant_head_share(&[0.1, 0.1, 0.1]), 1.0 / 3.0);
        assert_eq!(dominant_head_share(&[0.0, 0.0, 0.0, 0.0]), 0.25);
        assert_eq!(dominant_head_share(&[0.7]), 1.0);
    }

    #[test]
    fn disjoint_heads_differ_most_and_equal_ones_not_at_all() {
        let mut mean = Vec::new();
        let disjoint = [vec![1.0, 0.0], vec![0.0, 1.0]];
        mean_attention(&disjoint, &mut mean);
        assert_eq!(mean, [0.5, 0.5]);
        let mut sums = LayerSums::default();
        let entropy_of_mean = sums.add(&disjoint, &mean, 0.0);
        assert!((entropy_of_mean - std::f64::consts::LN_2).abs() < 1e-15);
        let means = LayerSums::row([&sums].into_iter(), (0, 0)).expect("one query");
        // Each key: heads at 1 and 0, variance 1/4; two keys.
        assert_eq!((means.head_variance, means.head_js_divergence), (0.5, 1.0));

        let equal = [vec![0.25, 0.75], vec![0.25, 0.75]];
        mean_attention(&equal, &mut mean);
        let entropy = attention_metrics::entropy_nats(&equal[0]);
        let mut sums = LayerSums::default();
        sums.add(&equal, &mean, entropy);
        assert_eq!(sums.0.means(), Some([0.0, 0.0]));
    }

    #[test]
    fn one_head_does_not_differ_from_itself() {
        let (rows, mut mean) = ([vec![0.3, 0.6, 0.1]], Vec::new());
        mean_attention(&rows, &mut mean);
        let mut sums = LayerSums::default();
        sums.add(&rows, &mean, attention_metrics::entropy_nats(&rows[0]));
        assert_eq!(sums.0.means(), Some([0.0, 0.0]));
        assert_eq!(LayerSums::row([&LayerSums::default()].into_iter(), (0, 0)), None);
    }
}
