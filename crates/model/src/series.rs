//! The checkpoints of one training, one after the other.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use declarations::Device;
use schemas::Loaded;
use schemas::tables::Checkpoints;

use crate::{Error, GptConfig, Model};

/// Loads the checkpoints of one training on a device, and refuses what cannot be of one: another alphabet or shape, and the weights of
/// one step under the path of another (as when the final weights are published as those of early steps), which would be measured as
/// what they are not.
#[derive(Debug)]
pub struct Series {
    device: Device,
    symbols: usize,
    /// By the hash of their weights, the steps so far and their files.
    steps: HashMap<u64, (u32, String)>,
    first: Option<(GptConfig, String)>,
}

impl Series {
    /// A training on a dataset of so many symbols.
    pub fn new(device: Device, symbols: usize) -> Self {
        Self { device, symbols, steps: HashMap::new(), first: None }
    }

    /// The model of the next step.
    ///
    /// # Errors
    /// What [`Model::load`] refuses; [`Error::Copy`] if another step has the same weights to the bit, unless the footer says that the
    /// learning rate can be 0; [`Error::Symbols`] and [`Error::Shape`].
    pub fn load(&mut self, step: u32, checkpoint: &Loaded<Checkpoints>) -> Result<Model, Error> {
        self.refuse_copies(step, checkpoint)?;
        let model = Model::load(self.device, checkpoint)?;
        let (config, path) = (model.config(), &checkpoint.source.path);
        if config.vocab_size != self.symbols {
            return Err(Error::Symbols { path: path.clone(), has: config.vocab_size, expected: self.symbols });
        }
        let (first, of) = self.first.get_or_insert_with(|| (*config, path.clone()));
        match (shape(config), shape(first)) {
            (has, expected) if has == expected => Ok(model),
            (has, expected) => Err(Error::Shape { path: path.clone(), has, of: of.clone(), expected }),
        }
    }

    fn refuse_copies(&mut self, step: u32, checkpoint: &Loaded<Checkpoints>) -> Result<(), Error> {
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

/// What maps and metrics of a model are shaped by.
fn shape(config: &GptConfig) -> String {
    let GptConfig { n_layer, n_head, block_size, .. } = *config;
    format!("n_layer {n_layer}, n_head {n_head}, block_size {block_size}")
}

#[cfg(test)]
mod tests {
    use schemas::{Partition, Provenance, Source};

    use super::*;
    use crate::Weights;

    const CONFIG: GptConfig =
        GptConfig { n_layer: 1, n_head: 2, n_embd: 8, block_size: 4, vocab_size: 5, bias: false, dropout: 0.0 };

    fn checkpoint(config: GptConfig, seed: u64, min_lr: f64) -> Loaded<Checkpoints> {
        let mut said = serde_json::to_value(config).expect("a configuration");
        said["min_lr"] = min_lr.into();
        Loaded {
            rows: Weights::initial(config, seed).to_rows(),
            source: Source { path: format!("checkpoints/seed={seed}"), blake3: String::new() },
            provenance: Provenance::new("train", 1, said),
            written_for: Partition::dataset("text").run("run_0").seed(seed),
        }
    }

    #[test]
    fn no_two_steps_have_the_same_weights_but_where_the_learning_rate_is_0() {
        let checkpoint = |seed: u64, min_lr: f64| checkpoint(CONFIG, seed, min_lr);
        let mut series = Series::new(Device::Cpu, 5);
        series.load(0, &checkpoint(1, 0.1)).map(drop).expect("the first");
        series.load(10, &checkpoint(2, 0.1)).map(drop).expect("others");
        let copy = series.load(20, &checkpoint(1, 0.1)).map(drop).expect_err("a copy").to_string();
        assert!(copy.contains("checkpoints/seed=1"), "{copy}");
        let mut still = Series::new(Device::Cpu, 5);
        still.load(0, &checkpoint(1, 0.0)).map(drop).expect("the first");
        still.load(10, &checkpoint(1, 0.0)).map(drop).expect("a learning rate of 0 changes nothing");
    }

    #[test]
    fn the_models_of_a_training_have_its_symbols_and_one_shape() {
        let mut series = Series::new(Device::Cpu, 5);
        series.load(0, &checkpoint(CONFIG, 1, 0.1)).map(drop).expect("the first");
        let mut refused =
            |config, seed| series.load(10, &checkpoint(config, seed, 0.1)).map(drop).expect_err("another").to_string();
        let other = refused(GptConfig { block_size: 3, ..CONFIG }, 2);
        assert!(other.contains("seed=2 has n_layer 1, n_head 2, block_size 3, and checkpoints/seed=1 has"), "{other}");
        let other = refused(GptConfig { vocab_size: 6, ..CONFIG }, 3);
        assert!(other.contains("seed=3 has 6 symbols and the vocabulary of the dataset has 5"), "{other}");
    }
}
