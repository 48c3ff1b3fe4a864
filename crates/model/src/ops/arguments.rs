//! The arguments of the operations beside tensors.

/// As in PyTorch and nanoGPT.
pub(crate) const LAYER_NORM_EPSILON: f64 = 1e-5;

/// Dropout at one point of one forward pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropout {
    /// The probability that a value is dropped.
    pub(crate) rate: f64,
    /// The seed of the mask, of this step and this point.
    pub(crate) seed: u64,
}

impl Dropout {
    pub(crate) const OFF: Dropout = Dropout { rate: 0.0, seed: 0 };
}

/// How a matrix of activations divides into sequences and heads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads {
    pub(crate) batch: usize,
    pub(crate) heads: usize,
}

/// The constants of one AdamW update: `g ← clip·g`, `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`,
/// `p ← keep·p − step·m/(root_scale·√v + ε)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Update {
    pub(crate) beta1: f64,
    pub(crate) beta2: f64,
    pub(crate) epsilon: f64,
    /// The factor by which clipping scales the gradient.
    pub(crate) clip: f64,
    /// The factor by which weight decay scales a parameter.
    pub(crate) keep: f64,
    /// The learning rate over the first moment's bias correction.
    pub(crate) step: f64,
    /// The reciprocal root of the second moment's bias correction.
    pub(crate) root_scale: f64,
}
