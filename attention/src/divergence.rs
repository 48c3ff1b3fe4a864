//! Rows held against each other.

use std::f64::consts::LN_2;

use crate::entropy_nats;

/// The Jensen-Shannon divergence of two rows over the same keys, `H((p+q)/2) − (H(p)+H(q))/2`, in bits, 0 to 1: the
/// divergence and not its root.
pub fn js_divergence_bits(p: &[f64], q: &[f64]) -> f64 {
    generalized_js_divergence_bits(&[p, q])
}

/// The Jensen-Shannon divergence of several rows over the same keys, `(H(mean_h A^h) − mean_h H(A^h)) / ln 2`, in bits, 0
/// to `log₂(rows)`; 0 for fewer than two rows.
pub fn generalized_js_divergence_bits(rows: &[&[f64]]) -> f64 {
    let Some(keys) = rows.first().map(|row| row.len()) else {
        return 0.0;
    };
    let count = rows.len() as f64;
    let mean: Vec<f64> = (0..keys).map(|key| rows.iter().map(|row| row[key]).sum::<f64>() / count).collect();
    let entropies: f64 = rows.iter().map(|row| entropy_nats(row)).sum();
    ((entropy_nats(&mean) - entropies / count) / LN_2).clamp(0.0, count.log2())
}
