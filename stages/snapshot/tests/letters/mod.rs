//! A text of five symbols, and models of it with random weights.

use std::path::Path;

use model::{GptConfig, Weights};
use schemas::tables::{Checkpoints, Corpus, Vocabulary};
use schemas::{Artifacts, Partition, Provenance};

pub(crate) const CONFIG: GptConfig =
    GptConfig { n_layer: 2, n_head: 3, n_embd: 12, block_size: 9, vocab_size: 5, bias: true, dropout: 0.0 };

pub(crate) fn partition() -> Partition {
    Partition::dataset("letters").run("run_1").seed(3)
}

/// Writes the text, a vocabulary of `symbols`, and a model of `config` at two steps.
pub(crate) fn write(root: &Path, config: GptConfig, symbols: u32) {
    let artifacts = Artifacts::new(root);
    let dataset = Partition::dataset("letters");
    let prep = Provenance::new("prep", 1, serde_json::json!({}));
    let symbol = |(token, _): (u16, u32)| Vocabulary::row(token, token.to_string().into_bytes(), 1);
    let vocabulary: Vec<_> = (0..=u16::MAX).zip(0..symbols).map(symbol).collect();
    artifacts.write(&dataset, &prep, &vocabulary).expect("a vocabulary");
    let val: Vec<_> = (0..200).map(|at| Corpus { token: at * at % 5 }).collect();
    artifacts.write(&dataset.split(schemas::enums::Split::Val), &prep, &val).expect("a text");
    for step in [0, 10] {
        let provenance = Provenance::new("train", 1, serde_json::to_value(config).expect("a configuration"));
        let rows = Weights::initial(config, 3 + u64::from(step)).to_rows();
        artifacts.write::<Checkpoints>(&partition().step(step), &provenance, &rows).expect("a checkpoint");
    }
}
