//! Divergences and distances between rows over the same keys.

use std::f64::consts::LN_2;

use simd_dispatch::multiversion;

use crate::row::{entropy_nats, entropy_term, maximal_entropy};
use crate::sum::{sum, sum_pairs};

/// The Jensen-Shannon divergence of two rows, `H((p+q)/2) − (H(p)+H(q))/2`, in bits, 0 to 1: the divergence, not its
/// square root. 0 for equal rows, 1 for rows that attend to different keys.
pub fn js_divergence_bits(p: &[f64], q: &[f64]) -> f64 {
    let entropies = (entropy_nats(p) + entropy_nats(q)) / 2.0;
    js_divergence_bits_from_entropies(mixture_entropy_nats(p, q), entropies, 2)
}

/// The Jensen-Shannon divergence of several rows, `(H(mean_h A^h) − mean_h H(A^h)) / ln 2`, in bits, 0 to `log₂(rows)`; 0
/// for fewer than two rows.
pub fn generalized_js_divergence_bits(rows: &[&[f64]]) -> f64 {
    let entropies: f64 = rows.iter().map(|row| entropy_nats(row)).sum();
    js_divergence_bits_from_entropies(entropy_of_mean_nats(rows), entropies / rows.len().max(1) as f64, rows.len())
}

/// [`generalized_js_divergence_bits`] from known entropies: of the mean row, and the mean over the rows.
pub fn js_divergence_bits_from_entropies(entropy_of_mean_nats: f64, mean_entropy_nats: f64, rows: usize) -> f64 {
    ((entropy_of_mean_nats - mean_entropy_nats) / LN_2).clamp(0.0, (rows.max(1) as f64).log2())
}

multiversion! {
    /// `H(mean_h A^h)`, in nats; 0 for no rows.
    fn entropy_of_mean_nats<FUSED>(rows: &[&[f64]]) -> f64 {
        let Some((first, others)) = rows.split_first() else {
            return 0.0;
        };
        let mean_of = |key: f64, weight: f64| {
            // Exact: a position in the row.
            let key = key as usize;
            others.iter().fold(weight, |total, row| total + row[key]) / rows.len() as f64
        };
        sum(first, |key, weight| entropy_term::<FUSED>(mean_of(key, weight)))
    }

    /// `H((p+q)/2)`: the entropy of the mean of two rows, in nats, 0 to `ln(keys)`.
    pub fn mixture_entropy_nats<FUSED>(p: &[f64], q: &[f64]) -> f64 {
        sum_pairs(p, q, |p, q| entropy_term::<FUSED>((p + q) / 2.0)).clamp(0.0, maximal_entropy(p.len()))
    }

    /// `Σ_j p_j q_j`.
    pub fn inner_product<FUSED>(p: &[f64], q: &[f64]) -> f64 {
        sum_pairs(p, q, |p, q| p * q)
    }

    /// `Σ_j (p_j − u)(q_j − u)` with `u = 1/keys`: the inner product of both rows' deviations from uniform attention.
    pub fn centered_inner_product<FUSED>(p: &[f64], q: &[f64]) -> f64 {
        let uniform = 1.0 / p.len() as f64;
        sum_pairs(p, q, |p, q| (p - uniform) * (q - uniform))
    }

    /// `Σ_j (p_j − q_j)²`.
    pub fn squared_distance<FUSED>(p: &[f64], q: &[f64]) -> f64 {
        sum_pairs(p, q, |p, q| (p - q) * (p - q))
    }
}
