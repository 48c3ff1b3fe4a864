//! A trained model, for inference.

use schemas::Loaded;
use schemas::tables::Checkpoints;

use crate::device::on_backend;
use crate::gpt::Gpt;
use crate::host::{to_host, tokens};
use crate::kv_cache::{Incremental, KvCache};
use crate::observe::{Observation, observe};
use crate::ops::GptOps;
use crate::{Batch, Device, Error, GptConfig, Precision, Weights};

/// A trained model on a device, for inference.
pub struct Model {
    config: GptConfig,
    inference: Box<dyn Inference>,
}

impl Model {
    /// The model of a checkpoint.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the file does not hold the model that its footer describes, [`Error::Device`] if the device is
    /// not available.
    pub fn load(device: Device, checkpoint: &Loaded<Checkpoints>) -> Result<Self, Error> {
        Self::new(device, Weights::from_checkpoint(checkpoint)?)
    }

    /// A model with these weights.
    ///
    /// # Errors
    /// [`Error::Config`] if the hyper-parameters are invalid, [`Error::Weights`] if the weights do not match them,
    /// [`Error::Device`] if the device is not available.
    pub fn new(device: Device, weights: Weights) -> Result<Self, Error> {
        weights.validate()?;
        // Inference is in float32, whatever precision the model was trained in.
        let (config, precision) = (weights.config, Precision::Float32);
        on_backend!(device, B => {
            Ok(Self { config, inference: Box::new(Gpt::<B>::new(weights, precision, &Default::default())) })
        })
    }

    /// The model's hyper-parameters.
    pub fn config(&self) -> &GptConfig {
        &self.config
    }

    /// The logits at every position of sequences of one length.
    ///
    /// # Shapes
    /// `tokens` is `[batch, time]`; returns `[batch, time, vocab]`.
    ///
    /// # Panics
    /// If there are no tokens, the sequences are longer than a block, or a token is outside the vocabulary.
    pub fn logits(&self, tokens: &[u16], batch: usize) -> Vec<f32> {
        self.config.check_tokens(tokens, batch);
        self.inference.logits(tokens, batch)
    }

    /// Mean cross-entropy of a batch, in nats per token.
    ///
    /// # Panics
    /// If the batch is empty, has sequences longer than a block or of different lengths, or a token outside the vocabulary.
    pub fn loss(&self, batch: &Batch) -> f64 {
        self.inference.loss(batch)
    }

    /// All attention in one window.
    ///
    /// # Panics
    /// If the window is empty or longer than a block, or a token is outside the vocabulary.
    pub fn observe(&self, window: &[u16]) -> Observation {
        self.config.check_tokens(window, 1);
        self.inference.observe(window)
    }

    /// All attention in each of several windows.
    ///
    /// # Panics
    /// As for [`Model::observe`].
    pub fn observe_all(&self, windows: &[&[u16]]) -> Vec<Observation> {
        windows.iter().for_each(|window| self.config.check_tokens(window, 1));
        self.inference.observe_all(windows)
    }

    pub(crate) fn incremental(&self, batch: usize, attention: bool) -> Box<dyn Incremental + '_> {
        self.inference.incremental(batch, attention)
    }
}

/// The operations of a model, independent of the type of its device.
trait Inference {
    fn logits(&self, tokens: &[u16], batch: usize) -> Vec<f32>;
    fn loss(&self, batch: &Batch) -> f64;
    fn observe(&self, window: &[u16]) -> Observation;
    fn observe_all(&self, windows: &[&[u16]]) -> Vec<Observation>;
    fn incremental(&self, batch: usize, attention: bool) -> Box<dyn Incremental + '_>;
}

impl<B: GptOps> Inference for Gpt<B> {
    fn logits(&self, sequences: &[u16], batch: usize) -> Vec<f32> {
        to_host(self.forward(tokens(sequences, batch, &self.device()), None, None))
    }

    fn loss(&self, batch: &Batch) -> f64 {
        Gpt::loss(self, batch)
    }

    fn observe(&self, window: &[u16]) -> Observation {
        observe(self, window)
    }

    fn observe_all(&self, windows: &[&[u16]]) -> Vec<Observation> {
        B::each(windows, |window| observe(self, window))
    }

    fn incremental(&self, batch: usize, attention: bool) -> Box<dyn Incremental + '_> {
        Box::new(KvCache::new(self, batch, attention))
    }
}
