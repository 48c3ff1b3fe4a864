//! One row alone.

/// Float32 weights as float64 that sum to one, written over `row`.
///
/// A row whose weights sum to nothing is left as it is.
pub fn renormalize(weights: &[f32], row: &mut Vec<f64>) {
    row.clear();
    row.extend(weights.iter().map(|&weight| f64::from(weight)));
    let sum: f64 = row.iter().sum();
    if sum > 0.0 {
        row.iter_mut().for_each(|weight| *weight /= sum);
    }
}

/// `H = −Σ_j A[i,j] ln A[i,j]`, in nats, 0 to `ln(i+1)` (Clark et al. 2019; Zhai et al. 2023).
pub fn entropy_nats(row: &[f64]) -> f64 {
    let entropy: f64 = row.iter().filter(|&&weight| weight > 0.0).map(|&weight| -weight * weight.ln()).sum();
    entropy.clamp(0.0, (row.len() as f64).ln())
}

/// `H / ln(i+1)`, 0 to 1; 0 for the row of one key, which has no entropy to have.
pub fn normalized_entropy(row: &[f64]) -> f64 {
    if row.len() < 2 {
        return 0.0;
    }
    (entropy_nats(row) / (row.len() as f64).ln()).clamp(0.0, 1.0)
}

/// `Σ_j A[i,j]·(i−j)`, in characters: the effective span (Vig & Belinkov 2019).
pub fn mean_distance(row: &[f64]) -> f64 {
    let farthest = row.len().saturating_sub(1) as f64;
    let distance: f64 = row.iter().rev().enumerate().map(|(distance, weight)| weight * distance as f64).sum();
    distance.clamp(0.0, farthest)
}

/// The smallest `d` with `Σ_{i−j≤d} A[i,j] ≥ 0.9 − 1e-9`, summed from the query downward, in characters.
pub fn span_90(row: &[f64]) -> f64 {
    let mut mass = 0.0;
    let near = row.iter().rev().position(|weight| {
        mass += weight;
        mass >= 0.9 - 1e-9
    });
    near.unwrap_or(row.len().saturating_sub(1)) as f64
}

/// `Σ_{i−j≤2} A[i,j]`: the mass on the last three characters, the current one included; 0 to 1.
pub fn local_mass_3(row: &[f64]) -> f64 {
    row.iter().rev().take(3).sum::<f64>().clamp(0.0, 1.0)
}

/// `A[i,0]`: the attention sink (Xiao et al. 2023; Gu et al. 2024); 0 to 1.
pub fn first_token_mass(row: &[f64]) -> f64 {
    row.first().map_or(0.0, |weight| weight.clamp(0.0, 1.0))
}

/// `A[i,i]`, 0 to 1.
pub fn self_mass(row: &[f64]) -> f64 {
    row.last().map_or(0.0, |weight| weight.clamp(0.0, 1.0))
}

/// `A[i,i−1]`, 0 to 1 (Olsson et al. 2022); 0 for the row of one key.
pub fn previous_token_mass(row: &[f64]) -> f64 {
    row.iter().rev().nth(1).map_or(0.0, |weight| weight.clamp(0.0, 1.0))
}

/// `Σ_{j<i, x_j=x_i} A[i,j]`: the mass on earlier occurrences of the current character; 0 to 1. `tokens` are the
/// characters at the row's keys.
pub fn duplicate_token_mass(row: &[f64], tokens: &[u16]) -> f64 {
    let Some((current, earlier)) = tokens.split_last() else {
        return 0.0;
    };
    let mass: f64 = earlier.iter().zip(row).filter(|(token, _)| *token == current).map(|(_, weight)| weight).sum();
    mass.clamp(0.0, 1.0)
}
