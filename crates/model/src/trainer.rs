//! Training: one step is one AdamW update.

use burn::backend::Autodiff;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{ElementConversion, Tensor};

use crate::device::on_backend;
use crate::gpt::{self, Gpt, QkvCache};
use crate::host::to_host;
use crate::ops::{self, GptOps};
use crate::optimizer::{Optimizer, Schedule};
use crate::tracking::{self, LayerPass};
use crate::{AdamW, Batch, Device, Error, GptConfig, HeadAttention, Moments, Precision, Weights};

/// How a model trains.
#[derive(Clone, Copy, Debug)]
pub struct TrainerConfig {
    /// The device to train on.
    pub device: Device,
    /// The precision of the linear layers.
    pub precision: Precision,
    /// The optimizer's hyper-parameters.
    pub adamw: AdamW,
}

/// The state of a training between two steps.
#[derive(Clone, Debug)]
pub struct TrainerState {
    /// The model's weights.
    pub weights: Weights,
    /// The optimizer's moments, in the order of the weights; all zero if none.
    pub moments: Option<Vec<Moments>>,
    /// Steps done.
    pub steps: u32,
}

impl TrainerState {
    /// The state before the first step.
    pub fn initial(weights: Weights) -> Self {
        Self { weights, moments: None, steps: 0 }
    }
}

/// The arguments of one step beside its micro-batches.
#[derive(Clone, Copy, Debug)]
pub struct StepOptions {
    /// The learning rate.
    pub learning_rate: f64,
    /// The largest global L2 norm of the gradient; 0 does not clip.
    pub grad_clip: f64,
    /// The seed of all dropout masks of the step.
    pub dropout_seed: u64,
    /// Whether to compute attention metrics of the step's forward passes.
    pub track_attention: bool,
}

/// The results of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// Mean cross-entropy of the micro-batches before the update, in nats per character.
    pub loss: f64,
    /// Global L2 norm of the gradient, before clipping.
    pub grad_norm: f64,
    /// Every head's attention; empty unless tracked.
    pub attention: Vec<HeadAttention>,
    /// Seconds that tracking took.
    pub tracking_secs: f64,
}

/// A model in training, on any device.
pub struct Trainer(Box<dyn Learner>);

impl Trainer {
    /// A training that continues from a state.
    ///
    /// # Errors
    /// [`Error::Config`] if the hyper-parameters are invalid, [`Error::Weights`] if the weights or moments do not match them,
    /// [`Error::Device`] if the device is not available or does not support the precision.
    pub fn new(config: TrainerConfig, state: TrainerState) -> Result<Self, Error> {
        let TrainerConfig { device, precision, .. } = config;
        state.weights.validate()?;
        if precision != Precision::Float32 && device != Device::Cpu {
            return Err(Error::Device(format!(
                "--precision {precision} is only supported with --device cpu: leave it out, or use --device cpu"
            )));
        }
        on_backend!(device, B => learner::<Autodiff<B>>(config, state))
    }

    /// One AdamW update from the mean gradient over micro-batches.
    ///
    /// # Panics
    /// If a batch is empty, has sequences longer than a block or of different lengths, or a token outside the vocabulary.
    pub fn step(&mut self, batches: &[Batch], options: StepOptions) -> StepReport {
        self.0.step(batches, options)
    }

    /// Mean cross-entropy of a batch without dropout, in nats per character.
    ///
    /// # Panics
    /// As for [`Trainer::step`].
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

    /// The loss of a batch without dropout, and its gradients in the order of the weights.
    ///
    /// # Panics
    /// As for [`Trainer::step`].
    pub fn gradients(&self, batch: &Batch) -> (f64, Vec<Vec<f32>>) {
        self.0.gradients(batch)
    }
}

trait Learner {
    fn step(&mut self, batches: &[Batch], options: StepOptions) -> StepReport;
    fn evaluate(&self, batch: &Batch) -> f64;
    fn gradients(&self, batch: &Batch) -> (f64, Vec<Vec<f32>>);
    fn weights(&self) -> Weights;
    fn moments(&self) -> Vec<Moments>;
}

/// A training on one kind of device.
struct On<B: AutodiffBackend> {
    gpt: Gpt<B::InnerBackend>,
    optimizer: Optimizer<B::InnerBackend>,
    steps: u32,
}

fn learner<B>(config: TrainerConfig, state: TrainerState) -> Result<Trainer, Error>
where
    B: AutodiffBackend + GptOps,
    B::InnerBackend: GptOps,
{
    let device = B::Device::default();
    let TrainerState { weights, moments, steps } = state;
    let optimizer = Optimizer::new(config.adamw, &weights.config, moments, &device)?;
    let gpt = Gpt::new(weights, config.precision, &device);
    Ok(Trainer(Box::new(On::<B> { gpt, optimizer, steps })))
}

impl<B> On<B>
where
    B: AutodiffBackend + GptOps,
    B::InnerBackend: GptOps,
{
    /// The loss of one micro-batch, and the gradients of its share in the mean loss.
    fn pass(
        &self,
        batch: &Batch,
        share: f64,
        dropout_seed: Option<u64>,
        cache: Option<&mut QkvCache<B>>,
    ) -> (f64, Vec<Tensor<B::InnerBackend, 1>>) {
        batch.check(self.config());
        let device = self.gpt.device();
        let parameters: Vec<_> =
            self.gpt.parameters.iter().map(|one| Tensor::<B, 1>::from_inner(one.clone()).require_grad()).collect();
        let gpt = Gpt { config: self.gpt.config, precision: self.gpt.precision, parameters };
        let logits = gpt.forward(batch.inputs(&device), dropout_seed, cache);
        let loss = gpt::cross_entropy(logits, batch.targets(&device));
        let value = loss.clone().into_scalar().elem::<f64>();
        let mut gradients = (loss * share).backward();
        let gradient =
            |one: &Tensor<B, 1>| one.grad_remove(&mut gradients).unwrap_or_else(|| one.clone().inner().zeros_like());
        (value, gpt.parameters.iter().map(gradient).collect())
    }

    fn update(&mut self, batches: &[Batch], options: StepOptions) -> StepReport {
        let StepOptions { learning_rate, grad_clip, dropout_seed, track_attention } = options;
        let share = 1.0 / batches.len() as f64;
        let dropout_seed = (self.config().dropout > 0.0).then_some(dropout_seed);
        let (mut loss, mut total, mut passes, mut tracking_secs) = (0.0, None::<Vec<_>>, Vec::new(), 0.0);
        for (micro, batch) in batches.iter().enumerate() {
            let mut cache = Vec::new();
            let seed = dropout_seed.map(|seed| random_streams::derive(seed, micro as u64));
            let (value, gradients) = self.pass(batch, share, seed, track_attention.then_some(&mut cache));
            loss += value * share;
            total = Some(match total {
                None => gradients,
                Some(total) => total.into_iter().zip(gradients).map(|(sum, one)| sum + one).collect(),
            });
            let started = std::time::Instant::now();
            let host = |(layer, qkv): (usize, Tensor<B, 2>)| LayerPass { layer, batch: batch.size, qkv: to_host(qkv) };
            passes.extend(cache.into_iter().enumerate().map(host));
            tracking_secs += started.elapsed().as_secs_f64();
        }
        let gradients = total.unwrap_or_default();
        let grad_norm = ops::square_sum(&gradients).sqrt();
        // PyTorch's clip_grad_norm_ divides by the norm plus 1e-6.
        let clip = if grad_clip > 0.0 && grad_norm > grad_clip { grad_clip / (grad_norm + 1e-6) } else { 1.0 };
        self.steps += 1;
        let parameters = std::mem::take(&mut self.gpt.parameters);
        let schedule = Schedule { learning_rate, clip, steps: self.steps };
        self.gpt.parameters = self.optimizer.update(parameters, gradients, schedule);
        let started = std::time::Instant::now();
        let attention = if track_attention { tracking::heads(self.config(), &passes) } else { Vec::new() };
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
    fn step(&mut self, batches: &[Batch], options: StepOptions) -> StepReport {
        assert!(!batches.is_empty(), "a step has at least one micro-batch");
        B::run(|| self.update(batches, options))
    }

    fn evaluate(&self, batch: &Batch) -> f64 {
        self.gpt.loss(batch)
    }

    fn gradients(&self, batch: &Batch) -> (f64, Vec<Vec<f32>>) {
        let (loss, gradients) = self.pass(batch, 1.0, None, None);
        (loss, gradients.into_iter().map(to_host).collect())
    }

    fn weights(&self) -> Weights {
        self.gpt.weights()
    }

    fn moments(&self) -> Vec<Moments> {
        self.optimizer.moments()
    }
}
