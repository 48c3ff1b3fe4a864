//! A trained model, and what its attention looks like in a window of text.

use burn::backend::flex::Flex;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use schemas::Loaded;
use schemas::tables::Checkpoints;

use crate::gpt::{self, Gpt, Linear};
use crate::ops::{self, Dropout, GptOps, Heads};
use crate::session::{OnDevice, Reading};
use crate::{Device, Error, GptConfig, Precision, Weights};

/// A trained model on a device, for inference.
pub struct Model {
    config: GptConfig,
    inference: Box<dyn Inference>,
}

/// All attention in one window of text.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// For each layer, each head in it and each query `i` in order, the `i + 1` weights of that row: post-softmax, without
    /// dropout.
    pub weights: Vec<f32>,
    /// For each layer, head and query, the L2 norm of what the head adds to the residual stream,
    /// `‖(Σ_j A[i,j] v_j) W_O^h‖₂`.
    pub output_norms: Vec<f32>,
}

impl Model {
    /// The model of a checkpoint.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the file does not hold the model that its footer describes, [`Error::Device`] where the device
    /// is not to be had.
    pub fn load(device: Device, checkpoint: &Loaded<Checkpoints>) -> Result<Self, Error> {
        Self::new(device, Weights::from_checkpoint(checkpoint)?)
    }

    /// A model with these weights.
    ///
    /// # Errors
    /// [`Error::Device`] where the device is not to be had.
    pub fn new(device: Device, weights: Weights) -> Result<Self, Error> {
        crate::check_device(device)?;
        // However it was trained: what a model is like is seen in float32.
        let (config, precision) = (weights.config, Precision::Float32);
        let inference: Box<dyn Inference> = match device {
            Device::Cpu => Box::new(Gpt::<Flex>::new(weights, precision, &Default::default())),
            #[cfg(feature = "cuda")]
            Device::Cuda => Box::new(Gpt::<burn::backend::Cuda>::new(weights, precision, &Default::default())),
            #[cfg(feature = "vulkan")]
            Device::Vulkan => Box::new(Gpt::<burn::backend::Vulkan>::new(weights, precision, &Default::default())),
            #[cfg(not(all(feature = "cuda", feature = "vulkan")))]
            other => return Err(Error::Device(format!("this build has no {other:?}"))),
        };
        Ok(Self { config, inference })
    }

    /// The model's shape.
    pub fn config(&self) -> &GptConfig {
        &self.config
    }

    /// The logits at every position of texts of one length, at most a block.
    ///
    /// # Shapes
    /// `tokens` is `[batch, time]`; returns `[batch, time, vocab]`.
    pub fn logits(&self, tokens: &[u16], batch: usize) -> Vec<f32> {
        self.inference.logits(tokens, batch)
    }

    /// All attention in one window, at most a block long.
    pub fn observe(&self, window: &[u16]) -> Observation {
        self.inference.observe(window)
    }

    /// All attention in each of several windows.
    pub fn observe_all(&self, windows: &[&[u16]]) -> Vec<Observation> {
        self.inference.observe_all(windows)
    }

    pub(crate) fn reading(&self, batch: usize, attention: bool) -> Box<dyn Reading + '_> {
        self.inference.reading(batch, attention)
    }
}

/// What a model offers, whatever its device.
trait Inference {
    fn logits(&self, tokens: &[u16], batch: usize) -> Vec<f32>;
    fn observe(&self, window: &[u16]) -> Observation;
    fn observe_all(&self, windows: &[&[u16]]) -> Vec<Observation>;
    fn reading(&self, batch: usize, attention: bool) -> Box<dyn Reading + '_>;
}

impl<B: GptOps> Inference for Gpt<B> {
    fn logits(&self, tokens: &[u16], batch: usize) -> Vec<f32> {
        gpt::to_host(self.forward(gpt::tokens(tokens, batch, &self.device()), None, None))
    }

    fn observe(&self, window: &[u16]) -> Observation {
        let time = window.len();
        let heads = Heads { batch: 1, heads: self.config.n_head };
        let (mut weights, mut output_norms) = (Vec::new(), Vec::new());
        let mut x = self.embed(gpt::tokens(window, 1, &self.device()), 0);
        for layer in 0..self.config.n_layer {
            let block = self.block(layer);
            let qkv = block.qkv(x.clone());
            let (square, attended) = ops::observed_attention(qkv, heads);
            let mixed = attended.clone().reshape([time, heads.heads, self.config.head_size()]);
            // Query by head to head by query.
            let norms = gpt::to_host(output_norms_of(&block.c_proj, mixed));
            output_norms.extend(
                (0..heads.heads)
                    .flat_map(|head| (0..time).map(move |query| query * heads.heads + head))
                    .map(|at| norms[at]),
            );
            let square = gpt::to_host(square);
            weights.extend(square.chunks_exact(time).enumerate().flat_map(|(row, keys)| &keys[..=row % time]));
            if layer + 1 < self.config.n_layer {
                x = block.rest(x, attended, [Dropout::OFF; 2]);
            }
        }
        Observation { weights, output_norms }
    }

    fn observe_all(&self, windows: &[&[u16]]) -> Vec<Observation> {
        B::each(windows, |window| self.observe(window))
    }

    fn reading(&self, batch: usize, attention: bool) -> Box<dyn Reading + '_> {
        Box::new(OnDevice::new(self, batch, attention))
    }
}

/// The L2 norms of what each head adds to the residual stream.
///
/// # Shapes
/// `mixed` is each head's mix of values, `[rows, heads, head_size]`; returns `[rows, heads]`.
pub(crate) fn output_norms_of<B: Backend>(c_proj: &Linear<B>, mixed: Tensor<B, 3>) -> Tensor<B, 2> {
    let [_, heads, head_size] = mixed.dims();
    let [outputs, _] = c_proj.weight.dims();
    let slices = c_proj.weight.clone().reshape([outputs, heads, head_size]).permute([1, 2, 0]);
    let added = mixed.swap_dims(0, 1).matmul(slices);
    added.powi_scalar(2).sum_dim(2).sqrt().squeeze_dim::<2>(2).transpose()
}
