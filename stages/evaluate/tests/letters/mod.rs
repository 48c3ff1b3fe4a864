//! A text of five symbols, and models of it with random weights.

use std::path::Path;

use model::{GptConfig, Weights};
use schemas::enums::Split;
use schemas::tables::{Checkpoints, Corpus, Vocabulary};
use schemas::{Artifacts, Partition, Provenance};

pub(crate) const CONFIG: GptConfig =
    GptConfig { n_layer: 2, n_head: 3, n_embd: 12, block_size: 9, vocab_size: 5, bias: true, dropout: 0.0 };

/// One symbol is two bytes.
pub(crate) const SYMBOLS: &str = "abcdé";

pub(crate) fn partition() -> Partition {
    Partition::dataset("letters").run("run_1").seed(3)
}

/// The text of a split.
pub(crate) fn tokens(split: Split, length: u16) -> Vec<u16> {
    let shift = u16::from(split == Split::Test);
    (0..length).map(|at| (at * at + shift) % 5).collect()
}

/// Writes a validation split of 200 tokens, a test split of so many, the vocabulary, and a model at two steps.
pub(crate) fn write(root: &Path, test: u16) {
    let artifacts = Artifacts::new(root);
    let dataset = Partition::dataset("letters");
    let prep = Provenance::new("prep", 1, serde_json::json!({}));
    artifacts.write(&dataset, &prep, &Vocabulary::of_characters(SYMBOLS, 1)).expect("a vocabulary");
    for (split, length) in [(Split::Val, 200), (Split::Test, test)] {
        let rows: Vec<_> = tokens(split, length).into_iter().map(|token| Corpus { token }).collect();
        artifacts.write(&dataset.clone().split(split), &prep, &rows).expect("a text");
    }
    for step in [0, 10] {
        let provenance = Provenance::new("train", 1, serde_json::to_value(CONFIG).expect("a configuration"));
        let rows = Weights::initial(CONFIG, 3 + u64::from(step)).to_rows();
        artifacts.write::<Checkpoints>(&partition().step(step), &provenance, &rows).expect("a checkpoint");
    }
}
