//! Columns that hold one of a few words, as enums: written as the same words, and any other word in a file is refused.

use std::fmt;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_schema::DataType;

use crate::Cell;

/// Declares enums, each variant with the word that the files hold.
macro_rules! enums {
    ($(
        $(#[doc = $enum_doc:literal])+
        enum $name:ident {$(
            $(#[doc = $doc:literal])+
            $variant:ident = $word:literal,
        )+}
    )+) => {$(
        $(#[doc = $enum_doc])+
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
        pub enum $name {$(
            $(#[doc = $doc])+
            #[serde(rename = $word)]
            $variant,
        )+}

        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that the files hold.
            pub const fn as_str(self) -> &'static str {
                match self {$(
                    Self::$variant => $word,
                )+}
            }
        }

        /// The first of them.
        impl Default for $name {
            fn default() -> Self {
                Self::ALL[0]
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(self.as_str())
            }
        }

        impl Cell for $name {
            fn data_type() -> DataType {
                DataType::Utf8
            }

            fn words() -> &'static [&'static str] {
                &[$($word),+]
            }

            fn gather<'rows>(cells: impl Iterator<Item = &'rows Self>) -> ArrayRef {
                Arc::new(StringArray::from_iter_values(cells.map(|one| one.as_str())))
            }

            fn scatter(array: &dyn Array) -> Result<Vec<Self>, String> {
                let read = |word: Option<&str>| match word.unwrap_or_default() {
                    $($word => Ok(Self::$variant),)+
                    other => Err(other.to_owned()),
                };
                array.as_string::<i32>().iter().map(read).collect()
            }
        }
    )+};
}

enums! {
    /// A part of a dataset's text.
    enum Split {
        /// What the model learns.
        Train = "train",
        /// What it is evaluated on while it learns.
        Val = "val",
        /// What is held out.
        Test = "test",
    }

    /// What a note on a text is about.
    enum TextNote {
        /// The file starts with a byte order mark, which is a character of the text.
        ByteOrderMark = "byte_order_mark",
        /// Lines end in a carriage return and a line feed, or there are other carriage returns.
        CarriageReturns = "carriage_returns",
        /// Many documents are in one file, and the splits follow its order.
        ManyDocuments = "many_documents",
        /// There is only one symbol.
        OneSymbol = "one_symbol",
        /// Symbols of the validation or test split do not occur in the train split.
        UnseenSymbols = "unseen_symbols",
        /// Many symbols are so rare in the train split that they are hardly learned.
        RareSymbols = "rare_symbols",
        /// There are no words, or nearly every word occurs once, so scores of words mean little.
        FewWords = "few_words",
        /// A part of the text alone is behind the semantic space.
        Sampled = "sampled",
    }

    /// What a row of `timings` timed.
    enum Activity {
        /// Training iterations since the row before.
        Steps = "steps",
        /// An evaluation of both splits.
        Evaluation = "evaluation",
        /// Writing a checkpoint.
        Checkpoint = "checkpoint",
        /// Measuring attention in a training step's forward pass.
        Tracking = "tracking",
        /// Sampling a text.
        Generation = "generation",
    }

    /// One of AdamW's two moments.
    enum Moment {
        /// The running mean of the gradient.
        First = "first",
        /// The running mean of its square.
        Second = "second",
    }

    /// What a probe window holds.
    enum WindowKind {
        /// Text of the validation split.
        Val = "val",
        /// A random block twice.
        Repeat = "repeat",
    }

    /// What the model attends to past its block size.
    enum ContextPolicy {
        /// The last block of characters, read again for every new one.
        Exact = "exact",
        /// The last half block, read again once the block is full, and then the KV cache.
        Rollover = "rollover",
    }

    /// Where a scored text comes from.
    enum TextSource {
        /// The trained model.
        Model = "model",
        /// The validation split.
        Validation = "validation",
        /// A text of the validation split, its characters permuted.
        Shuffled = "shuffled",
        /// A character trigram model.
        Trigram = "trigram",
    }

    /// What an observation of a correlation is.
    enum Scope {
        /// A snapshot of a training.
        Training = "training",
        /// A sample of the final checkpoint.
        Generation = "generation",
    }

    /// What a row of `onsets` is about.
    enum Event {
        /// A previous-token head appears.
        PreviousTokenHead = "previous_token_head",
        /// An induction head appears.
        InductionHead = "induction_head",
        /// An attention sink appears.
        AttentionSink = "attention_sink",
        /// Layers come to attend differently.
        LayerSpecialisation = "layer_specialisation",
        /// The level of a metric changes.
        ChangePoint = "change_point",
    }

    /// What a test of a claim says.
    enum Verdict {
        /// The claim holds, exactly or with an adjusted p-value of at most 0.05.
        Supported = "supported",
        /// Its opposite does, likewise.
        Refuted = "refuted",
        /// Neither is certain enough.
        Inconclusive = "inconclusive",
        /// The data lack what the test needs.
        NotTested = "not_tested",
    }

    /// How an execution of a stage ended.
    enum Status {
        /// With exit code 0.
        Done = "done",
        /// With another one, or killed.
        Failed = "failed",
        /// Not executed here: its tables were there, made from its parameters and inputs.
        Adopted = "adopted",
        /// Not executed: its tables are links to those of another run with the same parameters and inputs.
        Linked = "linked",
    }
}
