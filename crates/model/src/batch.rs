//! Sequences with the tokens that follow.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

use crate::GptConfig;
use crate::host::tokens;

/// Sequences to train on or to evaluate.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Sequences.
    pub size: usize,
    /// Their tokens, sequence by sequence, all of one length of at most a block.
    pub inputs: Vec<u16>,
    /// The token that follows each of them.
    pub targets: Vec<u16>,
}

impl Batch {
    /// # Panics
    /// If a model of this configuration cannot take the batch.
    pub(crate) fn check(&self, config: &GptConfig) {
        config.check_tokens(&self.inputs, self.size);
        config.check_tokens(&self.targets, self.size);
        assert_eq!(self.inputs.len(), self.targets.len(), "a target for every input");
    }

    /// # Shapes
    /// `[size, time]`.
    pub(crate) fn inputs<B: Backend>(&self, device: &B::Device) -> Tensor<B, 2, Int> {
        tokens(&self.inputs, self.size, device)
    }

    /// # Shapes
    /// `[size·time]`.
    pub(crate) fn targets<B: Backend>(&self, device: &B::Device) -> Tensor<B, 1, Int> {
        tokens::<B>(&self.targets, 1, device).squeeze_dim(0)
    }
}
