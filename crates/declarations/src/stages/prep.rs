//! The stage `prep`.

use schemas::enums::Split;
use serde::Serialize;

use crate::{Cost, Encoding, Words, stage};

stage! {
    /// Turn a text into tokens, a vocabulary and a semantic space
    ///
    /// shakespeare_char is built in; enwik8 and text8 are downloaded and verified; control_lag, control_copy and
    /// control_shuffled are made, with a known structure. Any other dataset needs --source.
    Prep "prep" results 2 per Dataset
    example "prep --dataset my_novel --source novel.txt --train-fraction 0.8 --val-fraction 0.1"
    derived {
        /// File that holds the text; for a built-in or downloaded dataset it must be that very text
        source: Option<String>,
        /// What one symbol is [default: bytes for enwik8 and text8, utf8 for other texts]
        encoding: Option<Encoding>,
        /// Leading fraction of the text for the train split [default: 0.9]
        train_fraction: Option<f64>,
        /// Fraction after that for the validation split; the rest is the test split [default: 0.05 for enwik8 and text8,
        /// 0.1 for other texts]
        val_fraction: Option<f64>,
        /// Alphabet of a model that was trained elsewhere: nanoGPT's meta.pkl, a JSON list of symbols in the order of their tokens, or
        /// the vocab.json or tokenizer.json of a tokenizer [default: the text's own symbols, sorted]
        vocabulary: Option<String>,
    }
    settings {
        /// Folder of downloaded texts; what is there already is verified and used
        data: String = "data".to_owned(),
    }
    internal {
        /// Addresses of the archive instead of the known ones
        mirrors: Words,
    }
    reads {}
    writes {
        // The test split can be empty.
        Corpus.splits(|_| &[Split::Train, Split::Val, Split::Test]),
        Vocabulary,
        TextNotes,
        SemanticSpace,
    }
    cost |_, _| Cost::small();
}

/// The parameters with every default filled in, as the tables' footers tell them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Settings {
    /// What one symbol is.
    pub encoding: Encoding,
    /// Leading fraction of the text for the train split.
    pub train_fraction: f64,
    /// Fraction after that for the validation split.
    pub val_fraction: f64,
}

impl Parameters {
    /// The parameters with the defaults of a dataset. enwik8 and text8 are read as bytes; of their 100,000,000 characters, the
    /// last 5,000,000 are the test split and the 5,000,000 before them the validation split.
    pub fn settings(&self, dataset: &str) -> Settings {
        let (encoding, val_fraction) = match dataset {
            "enwik8" | "text8" => (Encoding::Bytes, 0.05),
            _ => (Encoding::Utf8, 0.1),
        };
        Settings {
            encoding: self.encoding.unwrap_or(encoding),
            train_fraction: self.train_fraction.unwrap_or(0.9),
            val_fraction: self.val_fraction.unwrap_or(val_fraction),
        }
    }
}
