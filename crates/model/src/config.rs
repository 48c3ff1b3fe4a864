//! A model's hyper-parameters and the shapes of its parameters.

use serde::{Deserialize, Serialize};

use crate::Error;

/// A layer, head or position as the tables number it.
///
/// # Panics
/// If the index is beyond what [`GptConfig::validate`] allows.
pub fn table_index(index: usize) -> u16 {
    u16::try_from(index).expect("a valid configuration has at most 65,536 layers, heads and positions")
}

/// The hyper-parameters of a GPT, named as in nanoGPT's configuration.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct GptConfig {
    /// Transformer blocks; at most 65,536.
    pub n_layer: usize,
    /// Attention heads per block; at most 65,536.
    pub n_head: usize,
    /// Width of the residual stream, a multiple of `n_head`; at most 65,536.
    pub n_embd: usize,
    /// Maximum context length, in characters; at most 65,536.
    pub block_size: usize,
    /// Symbols of the vocabulary; at most 65,536.
    pub vocab_size: usize,
    /// Whether linear layers and layer norms have biases.
    pub bias: bool,
    /// Dropout probability in training, from 0 to below 1.
    pub dropout: f64,
}

/// A parameter's name, shape and initial distribution.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterShape {
    /// Its name in nanoGPT's `state_dict`.
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

    /// Whether it has no values; false in every valid configuration.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether weight decay applies: to matrices and embeddings, but not to biases and layer norms.
    pub fn decays(&self) -> bool {
        self.shape.len() >= 2
    }
}

impl GptConfig {
    /// Checks that a model can have these hyper-parameters, and that tables can number its layers, heads, positions and symbols
    /// in 16 bits.
    ///
    /// # Errors
    /// [`Error::Config`] naming the hyper-parameter.
    pub fn validate(&self) -> Result<(), Error> {
        // The tables number layers, heads, positions and symbols in 16 bits.
        const LARGEST: usize = 1 << 16;
        let sizes = [
            ("n_layer", self.n_layer),
            ("n_head", self.n_head),
            ("n_embd", self.n_embd),
            ("block_size", self.block_size),
            ("vocab_size", self.vocab_size),
        ];
        if let Some((name, size)) = sizes.iter().find(|(_, size)| !(1..=LARGEST).contains(size)) {
            return Err(Error::Config(format!("{name} is {size}: give at least 1 and at most {LARGEST}")));
        }
        if !self.n_embd.is_multiple_of(self.n_head) {
            let (embd, heads) = (self.n_embd, self.n_head);
            return Err(Error::Config(format!(
                "n_embd {embd} is not a multiple of n_head {heads}: heads have equal size"
            )));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::Config(format!("dropout is {}: give at least 0 and below 1", self.dropout)));
        }
        Ok(())
    }

    /// # Panics
    /// If the tokens are not `sequences` sequences of equal length, from 1 to `block_size`, or one is outside the vocabulary.
    pub(crate) fn check_tokens(&self, tokens: &[u16], sequences: usize) {
        assert!(sequences > 0 && tokens.len().is_multiple_of(sequences), "sequences of one length");
        let time = tokens.len() / sequences;
        assert!((1..=self.block_size).contains(&time), "a sequence of {time} tokens in a block of {}", self.block_size);
        let outside = tokens.iter().find(|token| usize::from(**token) >= self.vocab_size);
        assert_eq!(outside, None, "a token outside the vocabulary of {} symbols", self.vocab_size);
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

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: GptConfig =
        GptConfig { n_layer: 2, n_head: 2, n_embd: 8, block_size: 4, vocab_size: 5, bias: false, dropout: 0.0 };

    #[test]
    fn an_invalid_hyper_parameter_is_named() {
        let invalid = [
            (GptConfig { n_embd: 10, n_head: 3, ..CONFIG }, "n_embd 10 is not a multiple of n_head 3"),
            (GptConfig { n_layer: 0, ..CONFIG }, "n_layer is 0"),
            (GptConfig { n_layer: 65_537, ..CONFIG }, "n_layer is 65537: give at least 1 and at most 65536"),
            (GptConfig { n_head: 65_537, n_embd: 65_537, ..CONFIG }, "n_head is 65537"),
            (GptConfig { n_embd: 65_538, ..CONFIG }, "n_embd is 65538"),
            (GptConfig { block_size: 65_537, ..CONFIG }, "block_size is 65537"),
            (GptConfig { vocab_size: 65_537, ..CONFIG }, "vocab_size is 65537"),
            (GptConfig { dropout: 1.0, ..CONFIG }, "dropout is 1"),
            (GptConfig { dropout: f64::NAN, ..CONFIG }, "dropout is NaN"),
        ];
        for (config, expected) in invalid {
            let error = config.validate().expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_largest_numbers_of_16_bits_are_valid() {
        let largest = GptConfig { n_layer: 65_536, block_size: 65_536, vocab_size: 65_536, ..CONFIG };
        largest.validate().expect("layers, positions and symbols 0 to 65,535");
    }
}
