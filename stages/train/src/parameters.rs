//! How a training is done.

use clap::{ArgAction, Args};
use cli::{Fault, Steps};
use model::{AdamW, GptConfig, Precision};
use serde::Serialize;

/// nanoGPT's parameters by nanoGPT's names; the defaults are its published setting for a CPU.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Parameters {
    /// Blocks
    #[arg(long, default_value_t = 4, help_heading = "Model")]
    pub n_layer: usize,
    /// Attention heads a block
    #[arg(long, default_value_t = 4, help_heading = "Model")]
    pub n_head: usize,
    /// Width of the residual stream
    #[arg(long, default_value_t = 128, help_heading = "Model")]
    pub n_embd: usize,
    /// Longest context, in characters
    #[arg(long, default_value_t = 64, help_heading = "Model")]
    pub block_size: usize,
    /// Whether linear layers and layer norms have biases
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_value_t = false, default_missing_value = "true", help_heading = "Model")]
    pub bias: bool,
    /// Share of values dropped while training
    #[arg(long, default_value_t = 0.0, help_heading = "Model")]
    pub dropout: f64,

    /// Texts a micro-batch
    #[arg(long, default_value_t = 12, help_heading = "Training")]
    pub batch_size: usize,
    /// Micro-batches an update
    #[arg(long, default_value_t = 1, help_heading = "Training")]
    pub gradient_accumulation_steps: usize,
    /// What the matrix products of linear layers multiply
    #[arg(long, value_enum, default_value_t, help_heading = "Training")]
    pub precision: Precision,
    /// Updates
    #[arg(long, default_value_t = 2000, help_heading = "Training")]
    pub max_iters: u32,
    /// Highest learning rate
    #[arg(long, default_value_t = 1e-3, help_heading = "Training")]
    pub learning_rate: f64,
    /// Learning rate after the decay
    #[arg(long, default_value_t = 1e-4, help_heading = "Training")]
    pub min_lr: f64,
    /// Updates of linear warm-up
    #[arg(long, default_value_t = 100, help_heading = "Training")]
    pub warmup_iters: u32,
    /// Update at which the cosine decay ends [default: max-iters]
    #[arg(long, help_heading = "Training")]
    pub lr_decay_iters: Option<u32>,
    /// AdamW's decay of matrices and embeddings
    #[arg(long, default_value_t = 0.1, help_heading = "Training")]
    pub weight_decay: f64,
    /// AdamW's decay of the first moment
    #[arg(long, default_value_t = 0.9, help_heading = "Training")]
    pub beta1: f64,
    /// AdamW's decay of the second moment
    #[arg(long, default_value_t = 0.99, help_heading = "Training")]
    pub beta2: f64,
    /// Largest global norm of the gradient; 0 does not clip
    #[arg(long, default_value_t = 1.0, help_heading = "Training")]
    pub grad_clip: f64,

    /// Updates between evaluations; every checkpoint is evaluated too
    #[arg(long, default_value_t = 100, help_heading = "Watching")]
    pub eval_interval: u32,
    /// Batches an evaluation takes of each split
    #[arg(long, default_value_t = 20, help_heading = "Watching")]
    pub eval_iters: u32,
    /// Updates between logged iterations
    #[arg(long, default_value_t = 10, help_heading = "Watching")]
    pub log_interval: u32,
    /// Whether to track attention at every logged iteration
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_value_t = false, default_missing_value = "true", help_heading = "Watching")]
    pub tracking: bool,
    /// Steps whose checkpoints are kept, beside the first and the last: `0,50,100-2000/100`
    #[arg(long, value_name = "STEPS", default_value = "", help_heading = "Watching")]
    pub checkpoint_steps: Steps,
}

impl Parameters {
    pub(crate) fn validate(&self) -> Result<(), Fault> {
        let counts = [
            ("--batch-size", self.batch_size),
            ("--gradient-accumulation-steps", self.gradient_accumulation_steps),
            ("--max-iters", self.max_iters as usize),
            ("--eval-interval", self.eval_interval as usize),
            ("--eval-iters", self.eval_iters as usize),
            ("--log-interval", self.log_interval as usize),
        ];
        if let Some((flag, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(Fault::parameter(format!("{flag} is 0: give at least 1")));
        }
        let rates = [
            ("--learning-rate", self.learning_rate, 0.0..f64::INFINITY),
            ("--min-lr", self.min_lr, 0.0..f64::INFINITY),
            ("--weight-decay", self.weight_decay, 0.0..f64::INFINITY),
            ("--grad-clip", self.grad_clip, 0.0..f64::INFINITY),
            ("--beta1", self.beta1, 0.0..1.0),
            ("--beta2", self.beta2, 0.0..1.0),
        ];
        if let Some((flag, rate, range)) = rates.iter().find(|(_, rate, range)| !range.contains(rate)) {
            return Err(Fault::parameter(format!(
                "{flag} is {rate}: give at least {} and below {}",
                range.start, range.end
            )));
        }
        match self.checkpoint_steps.last().filter(|&last| last > self.max_iters) {
            Some(last) => Err(Fault::parameter(format!(
                "--checkpoint-steps goes to {last}, and the training ends at --max-iters {}: leave out what lies after it",
                self.max_iters
            ))),
            None => Ok(()),
        }
    }

    pub(crate) fn model(&self, vocab_size: usize) -> GptConfig {
        GptConfig {
            n_layer: self.n_layer,
            n_head: self.n_head,
            n_embd: self.n_embd,
            block_size: self.block_size,
            vocab_size,
            bias: self.bias,
            dropout: self.dropout,
        }
    }

    pub(crate) fn adamw(&self) -> AdamW {
        AdamW { beta1: self.beta1, beta2: self.beta2, epsilon: 1e-8, weight_decay: self.weight_decay }
    }

    /// Steps whose checkpoints stay: the listed ones, the first and the last.
    pub(crate) fn kept(&self) -> Steps {
        self.checkpoint_steps.iter().chain([0, self.max_iters]).collect()
    }

    /// Whether both splits are evaluated at a step: at multiples of the interval, at every kept checkpoint and at the end.
    pub(crate) fn evaluates(&self, step: u32) -> bool {
        step.is_multiple_of(self.eval_interval) || self.kept().contains(step)
    }

    /// Whether an iteration is logged: at multiples of the interval, and the last.
    pub(crate) fn logs(&self, step: u32) -> bool {
        step.is_multiple_of(self.log_interval) || step + 1 == self.max_iters
    }
}
