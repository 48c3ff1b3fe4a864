//! Estimates the cost of a job from its parameters: for the order of the work, the time left, and `--dry-run`.
//!
//! Counted are the floating-point operations of the model's matrix products, as in PaLM's appendix B (Chowdhery et al. 2022),
//! the numbers that are written, and the numbers that a training holds. Constants without a formula were measured in runs of
//! the default profile and of the study's.

use crate::{ContextPolicy, Precision, Schedule, TrainingSections, evaluate, generate, train};

/// Assumed floating-point operations per second of one thread, until jobs have been measured on this machine.
const PER_SECOND: f64 = 60e9;
/// Bytes of a float32.
const NUMBER: f64 = 4.0;
/// The compression ratio of weights and of attention: compressed size over size.
const COMPRESSED: f64 = 0.9;
/// Bytes of memory of a program that does nothing.
const PROGRAM: f64 = 40e6;

/// The estimated cost of a job.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Seconds on one thread, until jobs have been measured on this machine.
    pub seconds: f64,
    /// Bytes that it writes.
    pub bytes: f64,
    /// Peak memory in bytes.
    pub memory: f64,
}

impl Cost {
    /// A job that only reads tables, or a short text.
    pub fn small() -> Self {
        Self { seconds: 5.0, bytes: 5e6, memory: 3.0 * PROGRAM }
    }
}

/// The sizes of a model.
#[derive(Clone, Copy, Debug)]
struct Model {
    layers: f64,
    heads: f64,
    width: f64,
    block: f64,
}

impl Model {
    fn of(training: Option<&TrainingSections>) -> Self {
        let train = training.map(|training| training.train.clone()).unwrap_or_default();
        Self {
            layers: train.n_layer.into(),
            heads: train.n_head.into(),
            width: train.n_embd.into(),
            block: train.block_size.into(),
        }
    }

    /// Numbers in the matrices of the blocks and the position embedding; the rest is small beside them.
    fn parameters(&self) -> f64 {
        12.0 * self.layers * self.width * self.width + self.block * self.width
    }

    /// Operations of a forward pass for one character of a full block.
    fn forward(&self) -> f64 {
        2.0 * self.parameters() + 2.0 * self.layers * self.width * self.block
    }

    /// Attention weights of one window.
    fn attention(&self) -> f64 {
        self.layers * self.heads * self.block * (self.block + 1.0) / 2.0
    }

    /// Bytes that a training holds: weights, gradients and two moments, and of each layer's activations, in widths of the
    /// model, those of the norms, the attention, the residual sums and the hidden layer before and after its GELU.
    fn training_memory(&self, batch: f64, symbols: f64) -> f64 {
        let weights = self.parameters() + symbols * self.width;
        NUMBER * (4.0 * weights + 17.0 * self.layers * self.width * batch * self.block)
    }
}

/// Bytes of memory that a training holds, with a vocabulary of `symbols` symbols.
pub fn training_memory(parameters: &train::Parameters, symbols: u32) -> f64 {
    let model = Model {
        layers: parameters.n_layer.into(),
        heads: parameters.n_head.into(),
        width: parameters.n_embd.into(),
        block: parameters.block_size.into(),
    };
    model.training_memory(parameters.batch_size.into(), symbols.into())
}

/// A training.
pub(crate) fn train(parameters: &train::Parameters, training: Option<&TrainingSections>) -> Cost {
    let model = Model::of(training);
    let kept = f64::from(parameters.kept().count());
    let batch = f64::from(parameters.batch_size) * model.block;
    let learned = f64::from(parameters.max_iters) * f64::from(parameters.gradient_accumulation_steps) * batch;
    let evaluations = f64::from(parameters.max_iters / parameters.eval_interval.max(1)).max(kept) + 1.0;
    let evaluated = evaluations * 2.0 * f64::from(parameters.eval_iters) * batch;
    let speedup = match parameters.precision {
        Precision::Float32 => 1.0,
        Precision::Int16 => 1.4,
        Precision::Bf16 => 2.0,
    };
    Cost {
        seconds: model.forward() * (3.0 * learned + evaluated) / speedup / PER_SECOND,
        bytes: NUMBER * COMPRESSED * model.parameters() * (kept + 3.0),
        memory: PROGRAM + model.training_memory(parameters.batch_size.into(), 0.0),
    }
}

/// Probe windows of one checkpoint.
fn windows(training: Option<&TrainingSections>) -> f64 {
    let snapshot = training.map(|training| training.snapshot.clone()).unwrap_or_default();
    f64::from(snapshot.val_windows) + f64::from(snapshot.repeat_windows)
}

/// The attention of checkpoints.
pub(crate) fn snapshot(checkpoints: u32, training: Option<&TrainingSections>) -> Cost {
    let model = Model::of(training);
    let windows = windows(training) * f64::from(checkpoints);
    // A square of weights per layer, and the triangles of the window twice: as recorded and on the way to the file.
    let a_thread = 4.0 * model.attention() + 20.0 * model.width * model.block;
    Cost {
        seconds: windows * (model.block * model.forward() + 500.0 * model.attention()) / PER_SECOND,
        bytes: NUMBER * COMPRESSED * windows * model.attention(),
        memory: PROGRAM + NUMBER * (model.parameters() + a_thread),
    }
}

/// Attention metrics of checkpoints.
pub(crate) fn metrics(checkpoints: u32, training: Option<&TrainingSections>) -> Cost {
    let model = Model::of(training);
    let checkpoints = f64::from(checkpoints);
    Cost {
        seconds: windows(training) * checkpoints * 500.0 * model.attention() / PER_SECOND,
        bytes: 200.0 * model.layers * (model.heads + model.layers) * checkpoints,
        memory: PROGRAM + 4.0 * NUMBER * model.attention(),
    }
}

/// The losses of checkpoints over whole splits, of a text of a million characters.
pub(crate) fn evaluate(parameters: &evaluate::Parameters, training: Option<&TrainingSections>) -> Cost {
    const SPLIT: f64 = 1e5;
    let model = Model::of(training);
    let stride = parameters.stride.map_or(0.75 * model.block, f64::from).max(1.0);
    let characters = f64::from(parameters.steps.count()) * SPLIT * (model.block / stride).max(1.0);
    Cost {
        seconds: characters * model.forward() / PER_SECOND,
        bytes: 10e3,
        memory: PROGRAM + NUMBER * (model.parameters() + 1000.0 * model.block),
    }
}

/// The generated text of a job's checkpoints.
pub(crate) fn generate(parameters: &generate::Parameters, training: Option<&TrainingSections>) -> Cost {
    let model = Model::of(training);
    let length = f64::from(parameters.length);
    let past_the_block = (length - model.block).max(0.0);
    let positions = match parameters.context_policy {
        ContextPolicy::Exact => model.block,
        ContextPolicy::Rollover => 2.0,
    };
    // One character at a time, which is bound by reading the weights.
    let passes = 4.0 * (length - past_the_block) + past_the_block * positions;
    let others = f64::from(parameters.samples) * f64::from(parameters.steps.count().saturating_sub(1));
    let last = parameters.last_samples.unwrap_or(parameters.samples);
    let texts = others + f64::from(last);
    // Of a tracked text a row for each head; of a kept one its weights, most characters of which have a full block.
    let heads = model.layers * model.heads;
    let kept = |samples: u16| f64::from(parameters.kept_samples.min(samples));
    let kept_before = match parameters.kept_steps {
        Schedule::Last => 0.0,
        Schedule::Snapshots => kept(parameters.samples) * f64::from(parameters.steps.count().saturating_sub(1)),
    };
    let text = heads * length * model.block;
    let weights = if parameters.track {
        heads * 60.0 * texts + COMPRESSED * NUMBER * text * (kept_before + kept(last))
    } else {
        0.0
    };
    // The kept samples of one step are in memory at a time, each row with its keys.
    let at_once = match parameters.kept_steps {
        Schedule::Last => kept(last),
        Schedule::Snapshots => kept(last.max(parameters.samples)),
    };
    let held = if parameters.track { heads * length * (NUMBER * model.block + 64.0) * at_once } else { 0.0 };
    Cost {
        seconds: texts * passes * model.forward() / PER_SECOND,
        bytes: texts * length + weights,
        memory: PROGRAM + held + NUMBER * (model.parameters() + 20.0 * model.width * model.block),
    }
}
