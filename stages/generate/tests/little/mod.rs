//! A text of random letters, and models of it with random weights.

use std::path::Path;

use model::GptConfig;
use random_streams::{Distribution, RngExt, StandardNormal, stream};
use schemas::enums::Split;
use schemas::tables::{Checkpoints, Corpus, SemanticSpace, Vocabulary};
use schemas::{Artifacts, Partition, Provenance};

pub(crate) const SYMBOLS: &str = "\n abcdefgh";
pub(crate) const CONFIG: GptConfig =
    GptConfig { n_layer: 3, n_head: 2, n_embd: 8, block_size: 12, vocab_size: 10, bias: false, dropout: 0.0 };

pub(crate) fn node() -> Partition {
    Partition::dataset("little").run("run_3").seed(7)
}

fn text(split: &str, length: usize, symbols: &str) -> Vec<u16> {
    let mut stream = stream("test text", &[&split]);
    (0..length).map(|_| stream.random_range(0..symbols.len() as u32) as u16).collect()
}

/// Writes the text and models of two steps.
pub(crate) fn inputs(root: &Path) -> Result<Artifacts, schemas::Error> {
    let words = [("a", [0.5, 0.1]), ("b", [0.2, 0.9]), ("cd", [-0.3, 0.4]), ("h", [0.1, -0.7])];
    inputs_of(root, SYMBOLS, &words, &CONFIG)
}

pub(crate) fn inputs_of(
    root: &Path,
    symbols: &str,
    words: &[(&str, [f64; 2])],
    config: &GptConfig,
) -> Result<Artifacts, schemas::Error> {
    let artifacts = Artifacts::new(root);
    let made = Provenance::new("test", 1, serde_json::json!({}));
    for (split, length) in [(Split::Train, 3000), (Split::Val, 400)] {
        let rows: Vec<Corpus> =
            text(split.as_str(), length, symbols).into_iter().map(|token| Corpus { token }).collect();
        artifacts.write(&node().split(split), &made, &rows)?;
    }
    artifacts.write(&node(), &made, &Vocabulary::of_characters(symbols, 300))?;
    let word = |(word, loadings): &(&str, [f64; 2])| SemanticSpace {
        word: (*word).to_owned(),
        idf: 1.5,
        loadings: loadings.to_vec(),
    };
    artifacts.write(&node(), &made, &words.iter().map(word).collect::<Vec<_>>())?;

    let made = Provenance::new("train", 1, serde_json::to_value(config).expect("plain data"));
    for step in [0u32, 5] {
        let rows: Vec<Checkpoints> = config
            .parameters()
            .into_iter()
            .map(|parameter| {
                let mut stream = stream("test weights", &[&parameter.name.as_str(), &u64::from(step)]);
                let draws = StandardNormal.sample_iter(&mut stream);
                let values = draws.take(parameter.len()).map(|value: f32| value * 0.3).collect();
                let shape = parameter.shape.iter().map(|&size| size as u32).collect();
                Checkpoints { tensor: parameter.name, shape, values }
            })
            .collect();
        artifacts.write(&node().step(step), &made, &rows)?;
    }
    Ok(artifacts)
}
