//! Parameters whose value is one of a few words.

pub use schemas::enums::ContextPolicy;
use serde::{Deserialize, Serialize};

use crate::Value;

/// Declares enums that are one word each in `pipeline.yaml`, on a command line and in a footer.
macro_rules! choices {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident {
            $($(#[doc = $word_doc:literal])+ $variant:ident = $word:literal,)+
        }
    )+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
        pub enum $name {
            $($(#[doc = $word_doc])+ #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every value, in the order of the declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word.
            pub fn word(self) -> &'static str {
                match self {$(Self::$variant => $word),+}
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.word())
            }
        }

        impl $crate::Value for $name {
            const PLACEHOLDER: &'static str = "WORD";
            const WORDS: &'static [(&'static str, &'static str)] = &[$(($word, concat!($($word_doc),+))),+];

            fn parse(text: &str) -> Result<Self, String> {
                let found = Self::ALL.iter().find(|choice| choice.word() == text);
                found.copied().ok_or_else(|| {
                    let words: Vec<_> = Self::ALL.iter().map(|choice| choice.word()).collect();
                    format!("must be one of {}", words.join(", "))
                })
            }

            fn argument(&self) -> Option<String> {
                Some(self.word().to_owned())
            }
        }
    )+};
}

choices! {
    /// What one symbol of a text is.
    Encoding {
        /// A Unicode character; the file is UTF-8
        Utf8 = "utf8",
        /// A byte; the file can be anything
        Bytes = "bytes",
        /// A token of any length, such as a subword; the file is 16-bit token numbers, as nanoGPT's train.bin, and needs a vocabulary
        Tokens = "tokens",
    }

    /// Where tensors are computed.
    Device {
        /// The processor
        Cpu = "cpu",
        /// An NVIDIA GPU (builds with --features cuda)
        Cuda = "cuda",
        /// A GPU through Vulkan (builds with --features vulkan)
        Vulkan = "vulkan",
    }

    /// The number format of the matrix products of a training's linear layers; everything else is float32.
    Precision {
        /// float32
        Float32 = "float32",
        /// bfloat16 operands, float32 accumulation, as PyTorch's autocast: twice as fast on processors with AMX, no faster without
        Bf16 = "bf16",
        /// Block-scaled 13-bit integers, a scale for each 128 of them: faster than float32 on processors with AVX-512 VNNI
        Int16 = "int16",
    }

    /// How wide figures are.
    FigureWidth {
        /// 1600 pixels, for screens
        Page = "page",
        /// One column of a paper, 85 mm
        OneColumn = "one-column",
        /// Two columns of a paper, 178 mm
        TwoColumns = "two-columns",
    }

    /// The colours of figures.
    Theme {
        /// Dark text on white
        Light = "light",
        /// Light text on black
        Dark = "dark",
        /// Black text, and no background in SVG and PDF
        Print = "print",
    }

    /// A figure of a dataset.
    FigureName {
        /// Validation loss over training, a line per run
        ValLoss = "val_loss",
        /// Training loss over training, with the mini-batches of training
        TrainLoss = "train_loss",
        /// Entropy and mean attention distance over training, a line per layer
        AttentionMetrics = "attention_metrics",
        /// Attention patterns of every head on one window, at chosen snapshots
        AttentionMaps = "attention_maps",
        /// Every metric of every head over training, as heat maps of head and step
        HeadHeatMaps = "head_heat_maps",
        /// Local attention, previous-token and induction score of every head over training
        HeadSpecialisation = "head_specialisation",
        /// Metrics of every head over training, matched across seeds
        HeadTrajectories = "head_trajectories",
        /// Distribution of mean attention distance and 90 % span over heads, over training
        SpanDistribution = "span_distribution",
        /// Onsets and change points of attention metrics
        Onsets = "onsets",
        /// Similarity of layers: matrices at chosen snapshots, and over training by distance between layers
        LayerSimilarity = "layer_similarity",
        /// Quality of generated text over training, beside real text and baselines
        GenerationQuality = "generation_quality",
        /// Attention while generating against the quality of the generated text
        QualityAttention = "quality_attention",
        /// Correlations of attention with loss and scores of text, raw and partial, as heat maps
        Correlations = "correlations",
        /// Every claim with its estimate, interval and verdict
        Findings = "findings",
    }

    /// The checkpoints that generate text.
    Schedule {
        /// The final checkpoint
        Last = "last",
        /// Every step of snapshot.steps
        Snapshots = "snapshots",
    }
}

/// A column of `samples`, too, which is where it is declared.
impl Value for ContextPolicy {
    const PLACEHOLDER: &'static str = "WORD";
    const WORDS: &'static [(&'static str, &'static str)] = &[
        (
            Self::Exact.as_str(),
            "The last block_size characters, positions counted from 0, recomputed for every character, as in nanoGPT",
        ),
        (
            Self::Rollover.as_str(),
            "When the block is full, the last half of it is read again and the KV cache grows from there: a tenth of the work \
             or less",
        ),
    ];

    fn parse(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|policy| policy.as_str() == text);
        found.copied().ok_or_else(|| "must be one of exact, rollover".to_owned())
    }

    fn argument(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Device {
    /// Refuses a device that this build has no code for.
    ///
    /// # Errors
    /// What to do, to stand behind the parameter's name.
    pub fn check_built(self) -> Result<(), String> {
        let is_built = match self {
            Self::Cpu => true,
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Vulkan => cfg!(feature = "vulkan"),
        };
        match is_built {
            true => Ok(()),
            false => Err(format!(
                "{self}: this build has no {self} support; build it with `cargo build --release --features {self}`, or use \
                 --device cpu"
            )),
        }
    }
}
