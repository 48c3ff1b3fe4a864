//! The parameters in the model's own types.

use declarations::train::Parameters;
use model::{AdamW, GptConfig};

/// The model's shape, with a vocabulary of so many symbols.
pub(crate) fn model_config(parameters: &Parameters, vocab_size: usize) -> GptConfig {
    GptConfig {
        n_layer: parameters.n_layer as usize,
        n_head: parameters.n_head as usize,
        n_embd: parameters.n_embd as usize,
        block_size: parameters.block_size as usize,
        vocab_size,
        bias: parameters.bias,
        dropout: parameters.dropout,
    }
}

/// The optimizer, with nanoGPT's epsilon.
pub(crate) fn adamw(parameters: &Parameters) -> AdamW {
    let Parameters { beta1, beta2, weight_decay, .. } = *parameters;
    AdamW { beta1, beta2, epsilon: 1e-8, weight_decay }
}
