//! A model's shape, and which parameters follow from it.

use serde::{Deserialize, Serialize};

use crate::Error;

/// The shape of a GPT, by the names of nanoGPT's configuration.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct GptConfig {
    /// Blocks.
    pub n_layer: usize,
    /// Attention heads a block.
    pub n_head: usize,
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Longest context, in characters.
    pub block_size: usize,
    /// Symbols.
    pub vocab_size: usize,
    /// Whether linear layers and layer norms have biases.
    pub bias: bool,
    /// Dropout rate while training.
    pub dropout: f64,
}

/// A parameter's name, shape and initial distribution.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterShape {
    /// nanoGPT's name of it in a `state_dict`.
    pub name: String,
    /// Its shape in PyTorch's orientation, `[out, in]` for a linear layer.
    pub shape: Vec<usize>,
    pub(crate) initial: Initial,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Initial {
    Zeros,
    Ones,
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
}

impl ParameterShape {
    /// The number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has none, which no parameter of a valid configuration has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether AdamW decays it: matrices and embeddings are decayed, biases and layer norms are not.
    pub fn decays(&self) -> bool {
        self.shape.len() >= 2
    }
}

impl GptConfig {
    /// Refuses an impossible shape.
    ///
    /// # Errors
    /// [`Error::Config`] naming the parameter.
    pub fn validate(&self) -> Result<(), Error> {
        let sizes = [
            ("n_layer", self.n_layer),
            ("n_head", self.n_head),
            ("n_embd", self.n_embd),
            ("block_size", self.block_size),
            ("vocab_size", self.vocab_size),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(Error::Config(format!("{name} is 0: a model has at least one")));
        }
        // The tables number layers, heads, positions and symbols in 16 bits.
        let most = 1 << 16;
        let numbered = sizes.iter().filter(|(name, _)| *name != "n_embd");
        if let Some((name, size)) = numbered.into_iter().find(|(_, size)| *size > most) {
            return Err(Error::Config(format!("{name} is {size}: it must be at most {most}")));
        }
        if !self.n_embd.is_multiple_of(self.n_head) {
            let (embd, heads) = (self.n_embd, self.n_head);
            return Err(Error::Config(format!(
                "n_embd {embd} is not a multiple of n_head {heads}: every head takes an equal share"
            )));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::Config(format!("dropout {} is not at least 0 and below 1", self.dropout)));
        }
        Ok(())
    }

    /// The width of one head.
    pub fn head_size(&self) -> usize {
        self.n_embd / self.n_head
    }

    /// Every parameter in nanoGPT's order. Matrices and embeddings start as N(0, 0.02), the projections back into the
    /// residual stream as N(0, 0.02/√(2·layers)) (Radford et al. 2019), layer norms as 1, biases as 0.
    pub fn parameters(&self) -> Vec<ParameterShape> {
        let GptConfig { n_layer, n_embd, block_size, vocab_size, bias, .. } = *self;
        let residual = Initial::Normal(0.02 / (2.0 * n_layer as f64).sqrt());
        let matrix = Initial::Normal(0.02);
        let mut parameters = Vec::new();
        let mut add = |name: String, shape: &[usize], initial| {
            parameters.push(ParameterShape { name, shape: shape.to_vec(), initial });
        };
        add("transformer.wte.weight".to_owned(), &[vocab_size, n_embd], matrix);
        add("transformer.wpe.weight".to_owned(), &[block_size, n_embd], matrix);
        let mut with_bias = |name: String, shape: &[usize], initial| {
            add(format!("{name}.weight"), shape, initial);
            if bias {
                add(format!("{name}.bias"), &shape[..1], Initial::Zeros);
            }
        };
        for layer in 0..n_layer {
            let block = format!("transformer.h.{layer}");
            with_bias(format!("{block}.ln_1"), &[n_embd], Initial::Ones);
            with_bias(format!("{block}.attn.c_attn"), &[3 * n_embd, n_embd], matrix);
            with_bias(format!("{block}.attn.c_proj"), &[n_embd, n_embd], residual);
            with_bias(format!("{block}.ln_2"), &[n_embd], Initial::Ones);
            with_bias(format!("{block}.mlp.c_fc"), &[4 * n_embd, n_embd], matrix);
            with_bias(format!("{block}.mlp.c_proj"), &[n_embd, 4 * n_embd], residual);
        }
        with_bias("transformer.ln_f".to_owned(), &[n_embd], Initial::Ones);
        parameters
    }
}
