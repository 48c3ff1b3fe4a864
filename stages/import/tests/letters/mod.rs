//! A text of five symbols, and files of models of it that another program trained.

use std::fs;
use std::path::Path;

use model::{GptConfig, Weights};
use nanogpt_files::{ModelArgs, State, Tensor, ckpt};
use schemas::enums::Split;
use schemas::tables::{Corpus, Vocabulary};
use schemas::{Artifacts, Partition, Provenance};

pub(crate) const CONFIG: GptConfig =
    GptConfig { n_layer: 2, n_head: 3, n_embd: 12, block_size: 9, vocab_size: 5, bias: true, dropout: 0.0 };

/// Writes the text and a vocabulary of five symbols.
pub(crate) fn write(root: &Path) {
    let artifacts = Artifacts::new(root);
    let dataset = Partition::dataset("letters");
    let prep = Provenance::new("prep", 1, serde_json::json!({}));
    let symbol = |(token, letter): (u16, u8)| Vocabulary::row(token, vec![letter], 1);
    let vocabulary: Vec<_> = (0..).zip(b'a'..b'f').map(symbol).collect();
    artifacts.write(&dataset, &prep, &vocabulary).expect("a vocabulary");
    for (split, length) in [(Split::Train, 250), (Split::Val, 200)] {
        let rows: Vec<_> = (0..length).map(|at| Corpus { token: at * at % 5 }).collect();
        artifacts.write(&dataset.clone().split(split), &prep, &rows).expect("a text");
    }
}

pub(crate) fn tensors(weights: &Weights) -> Vec<Tensor> {
    let tensor = |tensor: &model::Tensor| Tensor {
        name: format!("_orig_mod.{}", tensor.name),
        shape: tensor.shape.clone(),
        values: tensor.values.clone(),
    };
    weights.tensors.iter().map(tensor).collect()
}

/// Writes a compiled model's weights as `ckpt_STEP.pt`.
pub(crate) fn write_ckpt(root: &Path, config: GptConfig, step: u32, tensors: &[Tensor]) {
    let GptConfig { n_layer, n_head, n_embd, block_size, vocab_size, bias, dropout } = config;
    let model = ModelArgs { n_layer, n_head, n_embd, block_size, vocab_size, bias, dropout };
    let bytes = ckpt(tensors, &State { model, step, best_val_loss: Some(1.25), dataset: "letters".to_owned() })
        .expect("a small model");
    fs::write(root.join(format!("ckpt_{step}.pt")), bytes).expect("a file");
}

/// The flags of a job on them, without `--artifacts`.
pub(crate) fn flags(root: &Path, steps: &str) -> Vec<String> {
    let line =
        format!("--dataset letters --run run_1 --seed 3 --steps {steps} --eval-iters 3 --batch-size 4 --checkpoints");
    line.split(' ').map(str::to_owned).chain([root.join("ckpt_{step}.pt").display().to_string()]).collect()
}
