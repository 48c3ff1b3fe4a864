//! Learning: one step is one AdamW update.

use burn::backend::Autodiff;
use burn::backend::flex::Flex;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{ElementConversion, Int, Tensor};

use crate::gpt::{self, Gpt};
use crate::ops::{self, GptOps};
use crate::optimizer::Optimizer;
use crate::tracking::{self, LayerPass};
use crate::{AdamW, Device, Error, GptConfig, HeadAttention, Moments, Precision, Weights};

/// Texts to learn from or to be evaluated on.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// How many texts.
    pub size: usize,
    /// Their characters, `size` times as many as a context, text by text.
    pub inputs: Vec<u16>,
    /// The character that follows each of them.
    pub targets: Vec<u16>,
}

/// What one step of learning was like.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// Mean cross-entropy of the batches, before the update, in nats per character.
    pub loss: f64,
    /// The gradient's global L2 norm, before clipping.
    pub grad_norm: f64,
    /// Every head's attention, where it was asked for.
    pub attention: Vec<HeadAttention>,
    /// How long recomputing that attention took.
    pub tracking_secs: f64,
}

/// A model that learns, on any device.
pub struct Trainer(Box<dyn Learner>);

impl Trainer {
    /// A model with these weights, and moments of zero or saved ones, that has done `updates` updates.
    ///
    /// # Errors
    /// [`Error::Device`] where the device is not to be had, or cannot multiply in that precision.
    pub fn new(
        device: Device,
        precision: Precision,
        weights: Weights,
        adamw: AdamW,
        moments: Option<&[Moments]>,
        updates: u32,
    ) -> Result<Self, Error> {
        crate::check_device(device)?;
        if precision != Precision::Float32 && device != Device::Cpu {
            return Err(Error::Device(format!(
                "--precision {precision}: the processor alone has it; leave it out, or use --device cpu"
            )));
        }
        Ok(Self(match device {
            Device::Cpu => learner::<Autodiff<Flex>>(precision, weights, adamw, moments, updates),
            #[cfg(feature = "cuda")]
            Device::Cuda => learner::<Autodiff<burn::backend::Cuda>>(precision, weights, adamw, moments, updates),
            #[cfg(feature = "vulkan")]
            Device::Vulkan => learner::<Autodiff<burn::backend::Vulkan>>(precision, weights, adamw, moments, updates),
            #[cfg(not(all(feature = "cuda", feature = "vulkan")))]
            other => return Err(Error::Device(format!("this build has no {other:?}"))),
        }))
    }

    /// One update from the mean gradient over micro-batches, clipped to a global norm of `clip` (0: not at all).
    /// `dropout_seed` decides what is dropped in this step.
    pub fn step(
        &mut self,
        batches: &[Batch],
        learning_rate: f64,
        clip: f64,
        dropout_seed: u64,
        track: bool,
    ) -> StepReport {
        self.0.step(batches, learning_rate, clip, dropout_seed, track)
    }

    /// Mean cross-entropy of a batch without dropout, in nats per character. Changes nothing.
    pub fn evaluate(&self, batch: &Batch) -> f64 {
        self.0.evaluate(batch)
    }

    /// The weights on the host.
    pub fn weights(&self) -> Weights {
        self.0.weights()
    }

    /// The optimizer's moments on the host, in the order of the weights.
    pub fn moments(&self) -> Vec<Moments> {
        self.0.moments()
    }

    /// The gradients of a batch without dropout, in the order of the weights, and the loss. Changes nothing.
    pub fn gradients(&self, batch: &Batch) -> (f64, Vec<Vec<f32>>) {
        self.0.gradients(batch)
    }
}

trait Learner {
    fn step(&mut self, batches: &[Batch], learning_rate: f64, clip: f64, dropout_seed: u64, track: bool) -> StepReport;
    fn evaluate(&self, batch: &Batch) -> f64;
    fn gradients(&self, batch: &Batch) -> (f64, Vec<Vec<f32>>);
    fn weights(&self) -> Weights;
    fn moments(&self) -> Vec<Moments>;
}

/// A model that learns on one kind of device.
struct On<B: AutodiffBackend> {
    gpt: Gpt<B::InnerBackend>,
    optimizer: Optimizer<B::InnerBackend>,
    updates: u32,
}

fn learner<B>(
    precision: Precision,
    weights: Weights,
    adamw: AdamW,
    moments: Option<&[Moments]>,
    updates: u32,
) -> Box<dyn Learner>
where
    B: AutodiffBackend + GptOps,
    B::InnerBackend: GptOps,
{
    let device = B::Device::default();
    let optimizer = Optimizer::new(adamw, &weights.config, moments, &device);
    let gpt = Gpt::new(weights, precision, &device);
    Box::new(On::<B> { gpt, optimizer, updates })
}

impl<B> On<B>
where
    B: AutodiffBackend + GptOps,
    B::InnerBackend: GptOps,
{
    /// The loss and the gradients of one micro-batch, its loss weighted by `share`.
    fn pass(
        &self,
        batch: &Batch,
        share: f64,
        dropout_seed: Option<u64>,
        tap: Option<&mut Vec<Tensor<B, 2>>>,
    ) -> (f64, Vec<Tensor<B::InnerBackend, 1>>) {
        let device = self.gpt.device();
        let parameters: Vec<_> =
            self.gpt.parameters.iter().map(|one| Tensor::<B, 1>::from_inner(one.clone()).require_grad()).collect();
        let gpt = Gpt { config: self.gpt.config, precision: self.gpt.precision, parameters };
        let logits = gpt.forward(gpt::tokens(&batch.inputs, batch.size, &device), dropout_seed, tap);
        let loss = gpt::cross_entropy(logits, targets(batch, &device));
        let value = loss.clone().into_scalar().elem::<f64>();
        let mut gradients = (loss * share).backward();
        let gradient =
            |one: &Tensor<B, 1>| one.grad_remove(&mut gradients).unwrap_or_else(|| one.clone().inner().zeros_like());
        (value, gpt.parameters.iter().map(gradient).collect())
    }

    fn update(
        &mut self,
        batches: &[Batch],
        learning_rate: f64,
        clip: f64,
        dropout_seed: u64,
        track: bool,
    ) -> StepReport {
        let share = 1.0 / batches.len() as f64;
        let dropout_seed = (self.config().dropout > 0.0).then_some(dropout_seed);
        let (mut loss, mut total, mut passes, mut tracking_secs) = (0.0, None::<Vec<_>>, Vec::new(), 0.0);
        for (micro, batch) in batches.iter().enumerate() {
            let mut tap = Vec::new();
            let seed = dropout_seed.map(|seed| random_streams::derive(seed, micro as u64));
            let (value, gradients) = self.pass(batch, share, seed, track.then_some(&mut tap));
            loss += value * share;
            total = Some(match total {
                None => gradients,
                Some(total) => total.into_iter().zip(gradients).map(|(sum, one)| sum + one).collect(),
            });
            let started = std::time::Instant::now();
            let host =
                |(layer, qkv): (usize, Tensor<B, 2>)| LayerPass { layer, batch: batch.size, qkv: gpt::to_host(qkv) };
            passes.extend(tap.into_iter().enumerate().map(host));
            tracking_secs += started.elapsed().as_secs_f64();
        }
        let gradients = total.unwrap_or_default();
        let grad_norm = ops::square_sum(&gradients).sqrt();
        // PyTorch's clip_grad_norm_ divides by the norm plus 1e-6.
        let clip = if clip > 0.0 && grad_norm > clip { clip / (grad_norm + 1e-6) } else { 1.0 };
        self.updates += 1;
        let parameters = std::mem::take(&mut self.gpt.parameters);
        self.gpt.parameters = self.optimizer.update(parameters, gradients, clip, learning_rate, self.updates);
        let started = std::time::Instant::now();
        let attention = if track { tracking::heads(self.config(), &passes) } else { Vec::new() };
        tracking_secs += started.elapsed().as_secs_f64();
        StepReport { loss, grad_norm, attention, tracking_secs }
    }

    fn config(&self) -> &GptConfig {
        &self.gpt.config
    }
}

impl<B> Learner for On<B>
where
    B: AutodiffBackend + GptOps,
    B::InnerBackend: GptOps,
{
    fn step(&mut self, batches: &[Batch], learning_rate: f64, clip: f64, dropout_seed: u64, track: bool) -> StepReport {
        B::run(|| self.update(batches, learning_rate, clip, dropout_seed, track))
    }

    fn evaluate(&self, batch: &Batch) -> f64 {
        B::run(|| {
            let device = self.gpt.device();
            let logits = self.gpt.forward(gpt::tokens(&batch.inputs, batch.size, &device), None, None);
            gpt::cross_entropy(logits, targets(batch, &device)).into_scalar().elem::<f64>()
        })
    }

    fn gradients(&self, batch: &Batch) -> (f64, Vec<Vec<f32>>) {
        let (loss, gradients) = self.pass(batch, 1.0, None, None);
        (loss, gradients.into_iter().map(gpt::to_host).collect())
    }

    fn weights(&self) -> Weights {
        self.gpt.weights()
    }

    fn moments(&self) -> Vec<Moments> {
        self.optimizer.moments()
    }
}

fn targets<B: burn::tensor::backend::Backend>(batch: &Batch, device: &B::Device) -> Tensor<B, 1, Int> {
    gpt::tokens::<B>(&batch.targets, 1, device).squeeze_dim(0)
}
