//! The columns of `layer_metrics`: how much the heads of one layer differ.

use schemas::tables::LayerMetrics;
use simd_dispatch::multiversion;

/// Sums over attention rows of one layer, one for each column of `layer_metrics` that is a mean over `Q`, the queries
/// `i ≥ 1` of all `val` windows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerSums {
    /// `Σ_{j≤i} Var_h A^h[i,j]`, population variance over the heads, 0 to 1; 0 for one head.
    pub head_variance: f64,
    /// `(H(mean_h A^h[i,·]) − mean_h H(A^h[i,·])) / ln 2`, the generalised Jensen-Shannon divergence of the heads, in bits,
    /// 0 to `log₂(heads)`; 0 for one head.
    pub head_js_divergence: f64,
    /// The queries summed.
    pub queries: u64,
}

impl LayerSums {
    /// Adds one query: its rows, one a head, their [`mean_attention`] and the mean of their entropies in nats. Returns the
    /// entropy of the mean, in nats.
    pub fn add(&mut self, rows: &[Vec<f64>], mean: &[f64], mean_entropy_nats: f64) -> f64 {
        let deviations: f64 = rows.iter().map(|row| attention_metrics::squared_distance(row, mean)).sum();
        self.head_variance += (deviations / rows.len() as f64).clamp(0.0, 1.0);
        let entropy_of_mean = attention_metrics::entropy_nats(mean);
        self.head_js_divergence +=
            attention_metrics::js_divergence_bits_from_entropies(entropy_of_mean, mean_entropy_nats, rows.len());
        self.queries += 1;
        entropy_of_mean
    }

    /// Adds the sums over another window.
    pub fn merge(&mut self, other: &Self) {
        self.head_variance += other.head_variance;
        self.head_js_divergence += other.head_js_divergence;
        self.queries += other.queries;
    }

    /// The means over `Q`, beside the [`dominant_head_share`] of the heads' output norms; none where `Q` is empty.
    pub fn means(&self, step: u32, layer: u16, output_norms: &[f64]) -> Option<LayerMetrics> {
        let queries = (self.queries > 0).then_some(self.queries as f64)?;
        Some(LayerMetrics {
            step,
            layer,
            head_variance: self.head_variance / queries,
            head_js_divergence: self.head_js_divergence / queries,
            dominant_head_share: dominant_head_share(output_norms),
        })
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

/// `max_h output_norm / Σ_h output_norm`, 1/heads to 1. Where all norms are 0 no head dominates: 1/heads.
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
        let means = sums.means(0, 0, &[1.0, 1.0]).expect("one query");
        // Each key: heads at 1 and 0, variance 1/4; two keys.
        assert_eq!((means.head_variance, means.head_js_divergence, means.dominant_head_share), (0.5, 1.0, 0.5));

        let equal = [vec![0.25, 0.75], vec![0.25, 0.75]];
        mean_attention(&equal, &mut mean);
        let entropy = attention_metrics::entropy_nats(&equal[0]);
        let mut sums = LayerSums::default();
        sums.add(&equal, &mean, entropy);
        assert_eq!((sums.head_variance, sums.head_js_divergence), (0.0, 0.0));
    }

    #[test]
    fn one_head_does_not_differ_from_itself() {
        let (rows, mut mean) = ([vec![0.3, 0.6, 0.1]], Vec::new());
        mean_attention(&rows, &mut mean);
        let mut sums = LayerSums::default();
        sums.add(&rows, &mean, attention_metrics::entropy_nats(&rows[0]));
        assert_eq!((sums.head_variance, sums.head_js_divergence), (0.0, 0.0));
        assert_eq!(LayerSums::default().means(0, 0, &[1.0]), None);
    }
}
