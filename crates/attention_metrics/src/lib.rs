//! Metrics of attention rows: entropy, distance, masses, divergences.
//!
//! A row is the attention of query `i` to the keys 0 to `i`, itself the last: `i + 1` weights that sum to one, in float64. Weights
//! stored as float32 are [`renormalize`]d first. `ln` is natural and `0 · ln 0 = 0`. Results are clamped to their range, so that
//! rounding never gives a mass of 1.0000000000000002. Only [`renormalize`] allocates, and only if its buffer is too small.
//!
//! ```
//! let row = [0.25; 4];
//! assert!((attention_metrics::entropy_nats(&row) - 4f64.ln()).abs() < 1e-15);
//! assert_eq!(attention_metrics::mean_distance(&row), 1.5);
//! ```

mod divergence;
mod logarithm;
mod row;
mod sum;

pub use divergence::{
    centered_inner_product, generalized_js_divergence_bits, inner_product, js_divergence_bits,
    js_divergence_bits_from_entropies, mixture_entropy_nats, squared_distance,
};
pub use row::{
    duplicate_token_mass, entropy_nats, first_token_mass, local_mass_3, mean_distance, normalize_entropy,
    normalized_entropy, previous_token_mass, renormalize, self_mass, span_90,
};
