//! What one attention row says.
//!
//! A row is the attention of one query to the keys 0 to `i`, the query itself being the last: `i + 1` weights that sum to
//! one, in float64. Where the weights were stored as float32, [`renormalize`] them first. `ln` is natural and `0 · ln 0 = 0`.
//! Every result is clamped to its range, so that rounding never shows a share of 1.0000000000000002.
//!
//! ```
//! let row = [0.25; 4];
//! assert!((attention::entropy_nats(&row) - 4f64.ln()).abs() < 1e-15);
//! assert_eq!(attention::mean_distance(&row), 1.5);
//! ```

mod divergence;
mod row;

pub use divergence::{generalized_js_divergence_bits, js_divergence_bits};
pub use row::{
    duplicate_token_mass, entropy_nats, first_token_mass, local_mass_3, mean_distance, normalized_entropy,
    previous_token_mass, renormalize, self_mass, span_90,
};
