//! The experiment as `pipeline.yaml` states it: which texts, which runs, which seeds, and each stage's parameters.
//!
//! The file's sections are whole ([`Train`], [`Generate`] …); profiles, datasets and runs change single parameters of
//! them ([`TrainChanges`] …). Both come from one declaration, so that a parameter is written down once and is passed to
//! its stage as the flag of the same name.

use std::fmt;
use std::path::Path;

use cli::Steps;
use indexmap::IndexMap;
use serde::Deserialize;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The texts that can be learned.
    pub datasets: IndexMap<String, DatasetConfig>,
    /// The seeds of every run.
    pub seeds: Vec<u64>,
    /// The runs that a text can be learned in.
    pub runs: IndexMap<String, RunConfig>,
    /// `prep`'s parameters.
    pub prep: Prep,
    /// `train`'s parameters.
    pub train: Train,
    /// `snapshot`'s parameters.
    pub snapshot: Snapshot,
    /// `metrics`' parameters.
    pub metrics: Metrics,
    /// `generate`'s parameters.
    pub generate: Generate,
    /// `correlate`'s parameters.
    pub correlate: Correlate,
    /// Named sets of changes.
    pub profiles: IndexMap<String, Profile>,
}

/// What is changed together under one name; `--set` makes the same changes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// What it is for.
    pub about: Option<String>,
    /// The texts that are learned.
    pub datasets: Option<Vec<String>>,
    /// The seeds of every run.
    pub seeds: Option<Vec<u64>>,
    /// The runs that every text is learned in; all of them where nothing is said.
    pub runs: Option<Vec<String>>,
    /// How many jobs run at once.
    pub jobs: Option<usize>,
    /// Changes of `prep`.
    pub prep: PrepChanges,
    /// Changes of `train`.
    pub train: TrainChanges,
    /// Changes of `snapshot`.
    pub snapshot: SnapshotChanges,
    /// Changes of `metrics`.
    pub metrics: MetricsChanges,
    /// Changes of `generate`.
    pub generate: GenerateChanges,
    /// Changes of `correlate`.
    pub correlate: CorrelateChanges,
    /// Changes for one text alone.
    pub per_dataset: IndexMap<String, DatasetChanges>,
}

/// What a profile changes for one text alone.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatasetChanges {
    /// The seeds of every run.
    pub seeds: Option<Vec<u64>>,
    /// Changes of `train`.
    pub train: TrainChanges,
    /// Changes of `snapshot`.
    pub snapshot: SnapshotChanges,
    /// Changes of `metrics`.
    pub metrics: MetricsChanges,
    /// Changes of `generate`.
    pub generate: GenerateChanges,
}

impl Experiment {
    /// Takes the texts' files from the folder that the experiment's file lies in.
    pub fn place_sources(&mut self, folder: &Path) {
        for source in self.datasets.values_mut().filter_map(|dataset| dataset.source.as_mut()) {
            *source = folder.join(&*source).display().to_string();
        }
    }
}

/// A text; what is not said, `prep` knows for the texts that it knows.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatasetConfig {
    /// The file that holds it.
    pub source: Option<String>,
    /// How its bytes are read.
    pub encoding: Option<Encoding>,
    /// The share of the text that is learned from.
    pub train_fraction: Option<f64>,
    /// The share of the text, after that, that is validated on; the rest is the test split.
    pub val_fraction: Option<f64>,
}

/// A way to train and to look at what was trained.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Its name for people.
    pub label: String,
    /// The stages that it goes through.
    pub stages: Vec<RunStage>,
    /// Changes of `train`.
    #[serde(default)]
    pub train: TrainChanges,
    /// Changes of `snapshot`.
    #[serde(default)]
    pub snapshot: SnapshotChanges,
    /// Changes of `metrics`.
    #[serde(default)]
    pub metrics: MetricsChanges,
    /// Changes of `generate`.
    #[serde(default)]
    pub generate: GenerateChanges,
}

/// Declares words that a parameter can be.
macro_rules! words {
    ($($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $word_doc:literal])+ $variant:ident = $word:literal),+ $(,)? })+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {$($(#[doc = $word_doc])+ $variant),+}

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(match self {$(Self::$variant => $word),+})
            }
        }
    )+};
}

words! {
    /// A stage of one training.
    RunStage {
        /// Learns.
        Train = "train",
        /// Looks at checkpoints.
        Snapshot = "snapshot",
        /// Measures what was looked at.
        Metrics = "metrics",
        /// Writes text.
        Generate = "generate",
    }

    /// How a text's bytes are read.
    Encoding {
        /// As UTF-8: a symbol is a Unicode character.
        Utf8 = "utf8",
        /// As bytes: a symbol is a byte.
        Bytes = "bytes",
    }

    /// Where tensors are computed.
    Device {
        /// On the processor.
        Cpu = "cpu",
        /// On an NVIDIA card; needs a build with `--features cuda`.
        Cuda = "cuda",
        /// On any card with Vulkan; needs a build with `--features vulkan`.
        Vulkan = "vulkan",
    }

    /// What the matrix products of a training multiply.
    Precision {
        /// Numbers of 32 bits.
        Float32 = "float32",
        /// Numbers rounded to bfloat16.
        Bf16 = "bf16",
        /// Numbers rounded to integers that share a scale.
        Int16 = "int16",
    }

    /// What a model sees once its context is full.
    ContextPolicy {
        /// The newest characters, recomputed for every one.
        Exact = "exact",
        /// Half of them reread, then on with the cache.
        Rollover = "rollover",
    }

    /// Which checkpoints write text.
    Schedule {
        /// The last one.
        Last = "last",
        /// Every one of `snapshot.steps`.
        Snapshots = "snapshots",
    }
}

/// Declares a stage's section and the changes that can be made to it.
macro_rules! sections {
    ($($(#[doc = $doc:literal])+ $section:ident $changes:ident { $($(#[doc = $field_doc:literal])+ $field:ident: $type:ty,)+ })+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $section {$($(#[doc = $field_doc])+ pub $field: $type,)+}

        #[doc = concat!("Changes of [`", stringify!($section), "`].")]
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $changes {$($(#[doc = $field_doc])+ pub $field: Option<$type>,)+}

        impl $section {
            /// Makes the changes.
            pub fn change(&mut self, changes: &$changes) {
                $(if let Some(value) = &changes.$field {
                    self.$field = value.clone();
                })+
            }

            /// Every parameter that has a value, by its name, as its flag takes it.
            pub fn values(&self) -> Vec<(&'static str, String)> {
                let mut values = Vec::new();
                $(values.extend(self.$field.value().map(|value| (stringify!($field), value)));)+
                values
            }
        }
    )+};
}

sections! {
    /// Parameters of `prep`.
    Prep PrepChanges {
        /// Where downloads land.
        data: String,
    }

    /// Parameters of `train`.
    Train TrainChanges {
        /// Layers.
        n_layer: u32,
        /// Attention heads a layer.
        n_head: u32,
        /// Width of the residual stream.
        n_embd: u32,
        /// The longest context, in characters.
        block_size: u32,
        /// Whether linear layers and norms have biases.
        bias: bool,
        /// Share of activations dropped while training.
        dropout: f64,
        /// Windows a batch.
        batch_size: u32,
        /// Batches an update.
        gradient_accumulation_steps: u32,
        /// Updates.
        max_iters: u32,
        /// The highest learning rate.
        learning_rate: f64,
        /// The last learning rate.
        min_lr: f64,
        /// Updates over which the rate rises.
        warmup_iters: u32,
        /// The update at which the rate has come down; `max_iters` where nothing is said.
        lr_decay_iters: Option<u32>,
        /// AdamW's decay of matrices and embeddings.
        weight_decay: f64,
        /// AdamW's decay of the first moment.
        beta1: f64,
        /// AdamW's decay of the second moment.
        beta2: f64,
        /// The longest gradient.
        grad_clip: f64,
        /// What matrix products multiply.
        precision: Precision,
        /// Updates between evaluations.
        eval_interval: u32,
        /// Batches of an evaluation, for each split.
        eval_iters: u32,
        /// Updates between logged ones.
        log_interval: u32,
        /// Whether attention is measured in the very pass that trains.
        tracking: bool,
        /// Where it is computed.
        device: Device,
    }

    /// Parameters of `snapshot`; `steps` is the schedule of the whole training.
    Snapshot SnapshotChanges {
        /// The checkpoints that are saved, looked at and, where a run says so, written with.
        steps: Steps,
        /// Probe windows of real text.
        val_windows: u32,
        /// Probe windows that say something twice.
        repeat_windows: u32,
        /// Where it is computed.
        device: Device,
    }

    /// Parameters of `metrics`.
    Metrics MetricsChanges {
        /// Whether layers are held against each other.
        layer_similarity: bool,
    }

    /// Parameters of `generate`.
    Generate GenerateChanges {
        /// Which checkpoints write.
        steps: Schedule,
        /// Texts a checkpoint.
        samples: u32,
        /// Characters a text.
        length: u32,
        /// The sampling temperature.
        temperature: f64,
        /// How many of the likeliest symbols are drawn from.
        top_k: u32,
        /// What the model sees once its context is full.
        context_policy: ContextPolicy,
        /// Whether texts are scored.
        score: bool,
        /// Whether attention is measured while writing.
        track: bool,
        /// The text to go on from; the stage's own default where nothing is said.
        prompt: Option<String>,
        /// Where it is computed.
        device: Device,
    }

    /// Parameters of `correlate`.
    Correlate CorrelateChanges {
        /// Draws of a permutation test.
        permutations: u32,
    }
}

/// How a parameter is written behind its flag.
trait Value {
    fn value(&self) -> Option<String>;
}

macro_rules! values {
    ($($type:ty),+) => {$(impl Value for $type {
        fn value(&self) -> Option<String> {
            Some(self.to_string())
        }
    })+};
}
values!(bool, u32, f64, String, Steps, Device, Precision, ContextPolicy, Schedule);

impl<T: Value> Value for Option<T> {
    fn value(&self) -> Option<String> {
        self.as_ref().and_then(Value::value)
    }
}
