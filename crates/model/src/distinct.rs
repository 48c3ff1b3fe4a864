//! Checkpoints of a training that are copies of each other.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use schemas::Loaded;
use schemas::tables::Checkpoints;

use crate::Error;

/// The weights of several steps of a training, none of which may be those of another: a checkpoint under the path of another step
/// (as when the final weights are published as those of early steps) would be measured as what it is not.
#[derive(Debug, Default)]
pub struct DistinctWeights {
    steps: HashMap<u64, (u32, String)>,
}

impl DistinctWeights {
    /// Adds the weights of a step.
    ///
    /// # Errors
    /// [`Error::Copy`] if another step has the same weights to the bit, unless the footer says that the learning rate can be 0.
    pub fn add(&mut self, step: u32, checkpoint: &Loaded<Checkpoints>) -> Result<(), Error> {
        let rate = |name: &str| checkpoint.provenance.config.get(name).and_then(serde_json::Value::as_f64);
        if ["learning_rate", "min_lr"].into_iter().any(|name| rate(name) == Some(0.0)) {
            return Ok(());
        }
        let mut hasher = DefaultHasher::new();
        for row in &checkpoint.rows {
            row.tensor.hash(&mut hasher);
            row.values.iter().for_each(|value| hasher.write_u32(value.to_bits()));
        }
        let path = checkpoint.source.path.clone();
        match self.steps.insert(hasher.finish(), (step, path.clone())) {
            Some((other, of)) if other != step => Err(Error::Copy { path, of }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::{Partition, Provenance, Source};
    use serde_json::json;

    use super::*;
    use crate::{GptConfig, Weights};

    #[test]
    fn no_two_steps_have_the_same_weights_but_where_the_learning_rate_is_0() {
        let config =
            GptConfig { n_layer: 1, n_head: 2, n_embd: 8, block_size: 4, vocab_size: 5, bias: false, dropout: 0.0 };
        let checkpoint = |seed: u64, min_lr: f64| Loaded {
            rows: Weights::initial(config, seed).to_rows(),
            source: Source { path: format!("checkpoints/seed={seed}"), blake3: String::new() },
            provenance: Provenance::new("train", 1, json!({"min_lr": min_lr})),
            written_for: Partition::dataset("text").run("run_0").seed(seed),
        };
        let mut distinct = DistinctWeights::default();
        distinct.add(0, &checkpoint(1, 0.1)).expect("the first");
        distinct.add(10, &checkpoint(2, 0.1)).expect("others");
        let copy = distinct.add(20, &checkpoint(1, 0.1)).expect_err("a copy").to_string();
        assert!(copy.contains("checkpoints/seed=1"), "{copy}");
        let mut still = DistinctWeights::default();
        still.add(0, &checkpoint(1, 0.0)).expect("the first");
        still.add(10, &checkpoint(1, 0.0)).expect("a learning rate of 0 changes nothing");
    }
}
