//! A model's tensors on the host.

use random_streams::{Distribution, StandardNormal};
use schemas::Loaded;
use schemas::tables::Checkpoints;

use crate::config::Initial;
use crate::{Error, GptConfig};

/// A named tensor on the host, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// nanoGPT's name of it.
    pub name: String,
    /// Its shape in PyTorch's orientation.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: Vec<f32>,
}

/// All parameters of a model, in the order of [`GptConfig::parameters`].
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// The model's shape.
    pub config: GptConfig,
    /// Its tensors.
    pub tensors: Vec<Tensor>,
}

impl Weights {
    /// The untrained model of a seed. Every tensor has a stream of its own, so that adding one changes no other.
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

    /// The model of a checkpoint.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the footer does not describe a model, or a tensor is missing or of another shape.
    pub fn from_checkpoint(checkpoint: &Loaded<Checkpoints>) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Checkpoint { path: checkpoint.source.path.clone(), reason };
        let config: GptConfig = serde_json::from_value(checkpoint.provenance.config.clone())
            .map_err(|error| wrong(format!("its configuration is unreadable ({error})")))?;
        config.validate().map_err(|error| wrong(error.to_string()))?;
        let tensor = |name: &str, shape: &[usize]| {
            let row = checkpoint.rows.iter().find(|row| row.tensor == name);
            let row = row.ok_or_else(|| wrong(format!("the tensor `{name}` is missing")))?;
            let found: Vec<usize> = row.shape.iter().map(|&size| size as usize).collect();
            if found != shape || row.values.len() != shape.iter().product::<usize>() {
                return Err(wrong(format!("the tensor `{name}` is of shape {found:?} in place of {shape:?}")));
            }
            Ok(Tensor { name: name.to_owned(), shape: found, values: row.values.clone() })
        };
        let parameters = config.parameters();
        let tensors: Result<_, _> = parameters.iter().map(|one| tensor(&one.name, &one.shape)).collect();
        Ok(Self { config, tensors: tensors? })
    }

    /// The rows of a checkpoint.
    pub fn to_rows(&self) -> Vec<Checkpoints> {
        let row = |tensor: &Tensor| Checkpoints {
            tensor: tensor.name.clone(),
            shape: tensor.shape.iter().map(|&size| size as u32).collect(),
            values: tensor.values.clone(),
        };
        self.tensors.iter().map(row).collect()
    }
}
