//! Metrics of one row.

use simd_dispatch::multiversion;

use crate::logarithm::ln;
use crate::sum::{sum, sum_pairs};

multiversion! {
    /// Float32 weights as float64 that sum to one, `a_j · (1/Σ_k a_k)`, written to `row`. Returns the sum.
    ///
    /// If the weights sum to 0, they are only converted.
    pub fn renormalize<FUSED>(weights: &[f32], row: &mut Vec<f64>) -> f64 {
        let total = sum(weights, |_, weight| f64::from(weight));
        let factor = if total > 0.0 { 1.0 / total } else { 1.0 };
        row.clear();
        row.extend(weights.iter().map(|&weight| f64::from(weight) * factor));
        total
    }

    /// `H = −Σ_j A[i,j] ln A[i,j]`, in nats, 0 to `ln(i+1)` (Clark et al. 2019; Zhai et al. 2023). All attention on one key
    /// is 0, uniform attention `ln(i+1)`.
    pub fn entropy_nats<FUSED>(row: &[f64]) -> f64 {
        sum(row, |_, weight| entropy_term::<FUSED>(weight)).clamp(0.0, maximal_entropy(row.len()))
    }

    /// `Σ_j A[i,j]·(i−j)`, in characters, 0 to `i`: the mean attention distance (Vig & Belinkov 2019).
    pub fn mean_distance<FUSED>(row: &[f64]) -> f64 {
        let farthest = row.len().saturating_sub(1) as f64;
        sum(row, |key, weight| weight * (farthest - key)).clamp(0.0, farthest)
    }

    /// `Σ_{j<i, x_j=x_i} A[i,j]`: the mass on earlier occurrences of the current character; 0 to 1. `tokens` are
    /// `x_0` to `x_i`, at the row's keys.
    pub fn duplicate_token_mass<FUSED>(row: &[f64], tokens: &[u16]) -> f64 {
        let Some((&current, earlier)) = tokens.split_last() else {
            return 0.0;
        };
        sum_pairs(earlier, row, |token, weight| if token == current { weight } else { 0.0 }).clamp(0.0, 1.0)
    }
}

/// `−w ln w` without a branch: 0 for 0, since the logarithm is kept finite. Renormalized float32 weights are 0 or far above the
/// smallest float64.
#[inline(always)]
pub(crate) fn entropy_term<const FUSED: bool>(weight: f64) -> f64 {
    -weight * ln::<FUSED>(weight.max(f64::MIN_POSITIVE))
}

/// `ln(keys)`, 0 for no keys.
pub(crate) fn maximal_entropy(keys: usize) -> f64 {
    (keys.max(1) as f64).ln()
}

/// The normalized entropy, `H / ln(i+1)`, 0 to 1; 0 for a row of one key.
pub fn normalized_entropy(row: &[f64]) -> f64 {
    normalize_entropy(entropy_nats(row), row.len())
}

/// [`normalized_entropy`] of a row of `keys` from its known [`entropy_nats`].
pub fn normalize_entropy(entropy_nats: f64, keys: usize) -> f64 {
    if keys < 2 {
        return 0.0;
    }
    (entropy_nats / maximal_entropy(keys)).clamp(0.0, 1.0)
}

/// The 90 % span: the smallest `d` with `Σ_{i−j≤d} A[i,j] ≥ 0.9 − 1e-9`, summed from the query downward, in characters. The 1e-9
/// keep rounding from deciding where the sum is 0.9.
pub fn span_90(row: &[f64]) -> f64 {
    const MASS: f64 = 0.9 - 1e-9;
    // Eight keys at a time, whose sums do not depend on each other, up to those that hold the last key needed.
    let (mut mass, mut nearer) = (0.0, 0);
    for keys in row.rchunks_exact(8) {
        let within = mass + keys.iter().rev().sum::<f64>();
        if within >= MASS {
            break;
        }
        (mass, nearer) = (within, nearer + 8);
    }
    let last = row.iter().rev().skip(nearer).position(|weight| {
        mass += weight;
        mass >= MASS
    });
    last.map_or(row.len().saturating_sub(1), |last| nearer + last) as f64
}

/// `Σ_{i−j≤2} A[i,j]`: the mass on the current and the two previous characters; 0 to 1.
pub fn local_mass_3(row: &[f64]) -> f64 {
    row.iter().rev().take(3).sum::<f64>().clamp(0.0, 1.0)
}

/// `A[i,0]`: the mass on the first position, the attention sink (Xiao et al. 2023; Gu et al. 2024); 0 to 1.
pub fn first_token_mass(row: &[f64]) -> f64 {
    row.first().map_or(0.0, |weight| weight.clamp(0.0, 1.0))
}

/// `A[i,i]`, 0 to 1.
pub fn self_mass(row: &[f64]) -> f64 {
    row.last().map_or(0.0, |weight| weight.clamp(0.0, 1.0))
}

/// `A[i,i−1]`: the previous-token score (Olsson et al. 2022), 0 to 1; 0 for a row of one key.
pub fn previous_token_mass(row: &[f64]) -> f64 {
    row.iter().rev().nth(1).map_or(0.0, |weight| weight.clamp(0.0, 1.0))
}
