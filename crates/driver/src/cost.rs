//! What a job's work amounts to, by its parameters: for the order of the work, for the time left, and for what `--dry-run` says
//! before a long run starts.
//!
//! Counted are the floating-point operations of the model's matrix products, as PaLM's appendix B counts them (Chowdhery et
//! al. 2022), the numbers that are written, and the numbers that a training holds. Constants that are no formula were read off the
//! default profile's and the study's own runs.

use crate::experiment::{ContextPolicy, Precision};
use crate::study::Run;

/// Floating-point operations a second that one thread is taken to do as long as nothing was measured here.
const PER_SECOND: f64 = 60e9;

/// What a job costs, about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Seconds of one thread, as long as nothing was measured here.
    pub seconds: f64,
    /// Bytes that it writes.
    pub bytes: f64,
    /// Bytes of memory that it holds at most.
    pub memory: f64,
}

/// Bytes of a number of the model's.
const NUMBER: f64 = 4.0;
/// What is left of weights and of attention when they are compressed.
const COMPRESSED: f64 = 0.9;
/// A program without its work.
const PROGRAM: f64 = 40e6;

/// The sizes of a model, as numbers to count with.
struct Model {
    layers: f64,
    heads: f64,
    width: f64,
    block: f64,
}

impl Model {
    fn of(run: &Run) -> Self {
        let train = &run.train;
        Self {
            layers: train.n_layer.into(),
            heads: train.n_head.into(),
            width: train.n_embd.into(),
            block: train.block_size.into(),
        }
    }

    /// Numbers in the matrices of the blocks; the rest is little beside them.
    fn parameters(&self) -> f64 {
        12.0 * self.layers * self.width * self.width + self.block * self.width
    }

    /// Operations of a forward pass for one character of a full block.
    fn forward(&self) -> f64 {
        2.0 * self.parameters() + 2.0 * self.layers * self.width * self.block
    }

    /// Attention weights of one window.
    fn weights(&self) -> f64 {
        self.layers * self.heads * self.block * (self.block + 1.0) / 2.0
    }
}

/// A training that keeps so many checkpoints.
pub(crate) fn train(run: &Run, kept: usize) -> Cost {
    let (model, train) = (Model::of(run), &run.train);
    let batch = f64::from(train.batch_size) * model.block;
    let learned = f64::from(train.max_iters) * f64::from(train.gradient_accumulation_steps) * batch;
    let evaluations = f64::from(train.max_iters / train.eval_interval.max(1)).max(kept as f64) + 1.0;
    let evaluated = evaluations * 2.0 * f64::from(train.eval_iters) * batch;
    let faster = match train.precision {
        Precision::Float32 => 1.0,
        Precision::Int16 => 1.4,
        Precision::Bf16 => 2.0,
    };
    // Weights, gradients and two moments; of a layer's activations, in widths: those of the norms, the attention, the residual
    // sums and the hidden layer before and after its GELU.
    let held = 4.0 * model.parameters() + 17.0 * model.layers * model.width * batch;
    Cost {
        seconds: model.forward() * (3.0 * learned + evaluated) / faster / PER_SECOND,
        bytes: NUMBER * COMPRESSED * model.parameters() * (kept as f64 + 3.0),
        memory: PROGRAM + NUMBER * held,
    }
}

/// Windows of one checkpoint.
fn windows(run: &Run) -> f64 {
    f64::from(run.snapshot.val_windows) + f64::from(run.snapshot.repeat_windows)
}

/// The attention of so many checkpoints.
pub(crate) fn snapshot(run: &Run, checkpoints: usize) -> Cost {
    let model = Model::of(run);
    let windows = windows(run) * checkpoints as f64;
    // A square of weights a layer and the triangles of the window, once measured and once on its way to the file.
    let a_thread = 4.0 * model.weights() + 20.0 * model.width * model.block;
    Cost {
        seconds: windows * (model.block * model.forward() + 500.0 * model.weights()) / PER_SECOND,
        bytes: NUMBER * COMPRESSED * windows * model.weights(),
        memory: PROGRAM + NUMBER * (model.parameters() + a_thread),
    }
}

/// The metrics of so many checkpoints' attention.
pub(crate) fn metrics(run: &Run, checkpoints: usize) -> Cost {
    let model = Model::of(run);
    let windows = windows(run) * checkpoints as f64;
    Cost {
        seconds: windows * 500.0 * model.weights() / PER_SECOND,
        bytes: 200.0 * model.layers * (model.heads + model.layers) * checkpoints as f64,
        memory: PROGRAM + 4.0 * NUMBER * model.weights(),
    }
}

/// The texts of so many checkpoints.
pub(crate) fn generate(run: &Run, checkpoints: usize) -> Cost {
    let (model, generate) = (Model::of(run), &run.generate);
    let length = f64::from(generate.length);
    let past = (length - model.block).max(0.0);
    let rereading = match generate.context_policy {
        ContextPolicy::Exact => model.block,
        ContextPolicy::Rollover => 2.0,
    };
    // One character at a time: the weights are read for little arithmetic.
    let passes = 4.0 * (length - past) + past * rereading;
    let texts = f64::from(generate.samples) * checkpoints as f64;
    let rows = if generate.track { model.layers * model.heads * length } else { 0.0 };
    Cost {
        seconds: texts * passes * model.forward() / PER_SECOND,
        bytes: texts * (rows + length),
        memory: PROGRAM + NUMBER * (model.parameters() + 20.0 * model.width * model.block),
    }
}

/// A training that is copied.
pub(crate) fn copy(training: Cost) -> Cost {
    /// Bytes that are read, decompressed, compressed and written in a second.
    const PER_SECOND: f64 = 1e8;
    Cost { seconds: training.bytes / PER_SECOND, ..training }
}

/// A stage that is no more than reading what others wrote, or little text.
pub(crate) fn small() -> Cost {
    Cost { seconds: 5.0, bytes: 5e6, memory: 3.0 * PROGRAM }
}
