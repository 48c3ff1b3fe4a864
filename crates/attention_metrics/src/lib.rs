//! What one attention row says.
//!
//! A row is the attention of one query to the keys 0 to `i`, the query itself being the last: `i + 1` weights that sum to
//! one, in float64. Where the weights were stored as float32, [`renormalize`] them first. `ln` is natural and `0 · ln 0 = 0`.
//! Every result that has a range is clamped to it, so that rounding never shows a share of 1.0000000000000002. Nothing
//! allocates but [`renormalize`], and it only where its buffer is too small.
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
