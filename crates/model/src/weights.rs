//! A model's tensors on the host.

use random_streams::{Distribution, StandardNormal};
use schemas::Loaded;
use schemas::tables::Checkpoints;

use crate::config::{Initial, ParameterShape};
use crate::{Error, GptConfig};

/// A named tensor on the host, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name in nanoGPT's `state_dict`.
    pub name: String,
    /// Its shape in PyTorch's orientation.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: Vec<f32>,
}

/// All parameters of a model, in the order of [`GptConfig::parameters`].
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// The model's hyper-parameters.
    pub config: GptConfig,
    /// Its tensors.
    pub tensors: Vec<Tensor>,
}

impl Weights {
    /// The initial weights of a seed. Every tensor has a random stream of its own, so that adding one changes no other.
    pub fn initial(config: GptConfig, seed: u64) -> Self {
        let tensors = config.parameters().into_iter().map(|parameter| {
            let count = parameter.len();
            let values = match parameter.initial {
                Initial::Zeros => vec![0.0; count],
                Initial::Ones => vec![1.0; count],
                Initial::Normal(deviation) => {
                    let mut stream = random_streams::stream("initial weights", &[&seed, &parameter.name.as_str()]);
                    let mut draw = || -> f64 { StandardNormal.sample(&mut stream) };
                    (0..count).map(|_| (draw() * deviation) as f32).collect()
                }
            };
            Tensor { name: parameter.name, shape: parameter.shape, values }
        });
        Self { config, tensors: tensors.collect() }
    }

    /// The weights of a checkpoint.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the footer does not describe a valid model, or a tensor is missing or of another shape, and
    /// [`Error::NotFinite`] if a weight is NaN or infinite.
    pub fn from_checkpoint(checkpoint: &Loaded<Checkpoints>) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Checkpoint { path: checkpoint.source.path.clone(), reason };
        let config: GptConfig = serde_json::from_value(checkpoint.provenance.config.clone())
            .map_err(|error| wrong(format!("its configuration is unreadable ({error})")))?;
        config.validate().map_err(|error| wrong(error.to_string()))?;
        let tensor = |parameter: ParameterShape| {
            let row = checkpoint.rows.iter().find(|row| row.tensor == parameter.name);
            let row = row.ok_or_else(|| wrong(format!("the tensor `{}` is missing", parameter.name)))?;
            // A u32 fits in a usize on every platform that the CPU kernels run on.
            let shape = row.shape.iter().map(|&size| size as usize).collect();
            Ok(Tensor { name: parameter.name, shape, values: row.values.clone() })
        };
        let tensors = config.parameters().into_iter().map(tensor).collect::<Result<_, _>>()?;
        let weights = Self { config, tensors };
        weights.validate().map_err(|error| wrong(error.to_string()))?;
        if !weights.are_finite() {
            return Err(Error::NotFinite { path: checkpoint.source.path.clone() });
        }
        Ok(weights)
    }

    /// Checks that the hyper-parameters are valid and that the tensors are those of [`GptConfig::parameters`], in that order.
    ///
    /// # Errors
    /// [`Error::Config`] naming the hyper-parameter, or [`Error::Weights`] naming the tensor.
    pub fn validate(&self) -> Result<(), Error> {
        self.config.validate()?;
        let parameters = self.config.parameters();
        let (found, expected) = (self.tensors.len(), parameters.len());
        if found != expected {
            return Err(Error::Weights(format!("there are {found} tensors in place of {expected}")));
        }
        for (tensor, parameter) in self.tensors.iter().zip(parameters) {
            let ParameterShape { name, shape, .. } = parameter;
            if tensor.name != name {
                return Err(Error::Weights(format!("the tensor `{}` stands in place of `{name}`", tensor.name)));
            }
            if tensor.shape != shape {
                let found = &tensor.shape;
                return Err(Error::Weights(format!("the tensor `{name}` is of shape {found:?} in place of {shape:?}")));
            }
            let (found, expected) = (tensor.values.len(), shape.iter().product::<usize>());
            if found != expected {
                return Err(Error::Weights(format!("the tensor `{name}` has {found} values in place of {expected}")));
            }
        }
        Ok(())
    }

    /// Whether no weight is NaN or infinite, as after a training that diverged.
    pub fn are_finite(&self) -> bool {
        self.tensors.iter().all(|tensor| tensor.values.iter().all(|value| value.is_finite()))
    }

    /// The rows of a checkpoint.
    ///
    /// # Panics
    /// If an axis of a tensor has 2³² or more values, which [`Weights::validate`] excludes.
    pub fn to_rows(&self) -> Vec<Checkpoints> {
        let size = |&size: &usize| u32::try_from(size).expect("an axis of valid weights has at most 4 · 65,536 values");
        let row = |tensor: &Tensor| Checkpoints {
            tensor: tensor.name.clone(),
            shape: tensor.shape.iter().map(size).collect(),
            values: tensor.values.clone(),
        };
        self.tensors.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_other_shapes_are_invalid() {
        let config =
            GptConfig { n_layer: 1, n_head: 2, n_embd: 8, block_size: 4, vocab_size: 5, bias: false, dropout: 0.0 };
        let weights = Weights::initial(config, 1);
        weights.validate().expect("the weights of their own configuration");
        let invalid = |change: &dyn Fn(&mut Weights), expected: &str| {
            let mut weights = weights.clone();
            change(&mut weights);
            let error = weights.validate().expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        };
        invalid(&|weights| weights.config.n_head = 3, "n_embd 8 is not a multiple of n_head 3");
        invalid(
            &|weights| weights.config.vocab_size = 6,
            "`transformer.wte.weight` is of shape [5, 8] in place of [6, 8]",
        );
        invalid(&|weights| weights.config.n_layer = 2, "9 tensors in place of 15");
        invalid(&|weights| weights.tensors.swap(0, 1), "`transformer.wpe.weight` stands in place of");
        invalid(
            &|weights| weights.tensors[1].values.truncate(31),
            "`transformer.wpe.weight` has 31 values in place of 32",
        );
    }
}
