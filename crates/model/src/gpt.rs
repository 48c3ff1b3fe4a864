//! The model on a device: nanoGPT's forward pass.

use burn::tensor::backend::Backend;
use burn::tensor::{ElementConversion, Int, Tensor, TensorData, activation, module};

use crate::host::to_host;
use crate::ops::{self, Dropout, GptOps, Heads};
use crate::{Batch, GptConfig, Precision, Weights, weights};

/// A GPT's parameters on a device, each flat, in the order of [`GptConfig::parameters`].
///
/// Flat, so that clipping, AdamW and saving need no cases by rank; the forward pass reshapes each, which costs nothing.
#[derive(Clone, Debug)]
pub(crate) struct Gpt<B: Backend> {
    pub(crate) config: GptConfig,
    /// Of the linear layers.
    pub(crate) precision: Precision,
    pub(crate) parameters: Vec<Tensor<B, 1>>,
}

/// An activation cache: the queries, keys and values of every layer, `[batch·time, 3·embd]` each.
pub(crate) type QkvCache<B> = Vec<Tensor<B, 2>>;

/// The parameters of one block, in the order of [`GptConfig::parameters`].
pub(crate) struct Block<B: Backend> {
    ln_1: Norm<B>,
    c_attn: Linear<B>,
    pub(crate) c_proj: Linear<B>,
    ln_2: Norm<B>,
    c_fc: Linear<B>,
    mlp_c_proj: Linear<B>,
}

pub(crate) struct Norm<B: Backend> {
    weight: Tensor<B, 1>,
    bias: Option<Tensor<B, 1>>,
}

pub(crate) struct Linear<B: Backend> {
    /// `[out, in]`.
    pub(crate) weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
    precision: Precision,
}

impl<B: GptOps> Norm<B> {
    pub(crate) fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let normed = ops::layer_norm(x, self.weight.clone());
        match &self.bias {
            Some(bias) => normed + bias.clone().unsqueeze(),
            None => normed,
        }
    }
}

impl<B: GptOps> Linear<B> {
    /// # Shapes
    /// `[rows, in]` to `[rows, out]`.
    pub(crate) fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let product = ops::linear(x, self.weight.clone(), self.precision);
        match &self.bias {
            Some(bias) => product + bias.clone().unsqueeze(),
            None => product,
        }
    }
}

impl<B: GptOps> Block<B> {
    /// # Shapes
    /// `[rows, embd]` to `[rows, 3·embd]`.
    pub(crate) fn qkv(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        self.c_attn.forward(self.ln_1.forward(x))
    }

    /// The residual stream after attention's output projection and the MLP.
    ///
    /// # Shapes
    /// `x` and `attended` are `[rows, embd]`, as is the result.
    pub(crate) fn project_and_mlp(
        &self,
        x: Tensor<B, 2>,
        attended: Tensor<B, 2>,
        [attention_dropout, mlp_dropout]: [Dropout; 2],
    ) -> Tensor<B, 2> {
        let x = ops::dropout_add(self.c_proj.forward(attended), x, attention_dropout);
        let hidden = ops::gelu(self.c_fc.forward(self.ln_2.forward(x.clone())));
        ops::dropout_add(self.mlp_c_proj.forward(hidden), x, mlp_dropout)
    }
}

impl<B: GptOps> Gpt<B> {
    pub(crate) fn new(weights: Weights, precision: Precision, device: &B::Device) -> Self {
        let tensor = |tensor: weights::Tensor| {
            let count = tensor.values.len();
            Tensor::from_data(TensorData::new(tensor.values, [count]), device)
        };
        Self { config: weights.config, precision, parameters: weights.tensors.into_iter().map(tensor).collect() }
    }

    /// The parameters on the host.
    pub(crate) fn weights(&self) -> Weights {
        let tensors = self.config.parameters().into_iter().zip(&self.parameters).map(|(parameter, tensor)| {
            let values = to_host(tensor.clone());
            weights::Tensor { name: parameter.name, shape: parameter.shape, values }
        });
        Weights { config: self.config, tensors: tensors.collect() }
    }

    pub(crate) fn device(&self) -> B::Device {
        self.parameters[0].device()
    }

    fn wte(&self) -> Tensor<B, 2> {
        self.parameters[0].clone().reshape([self.config.vocab_size, self.config.n_embd])
    }

    fn wpe(&self) -> Tensor<B, 2> {
        self.parameters[1].clone().reshape([self.config.block_size, self.config.n_embd])
    }

    fn per_module(&self) -> usize {
        1 + usize::from(self.config.bias)
    }

    fn norm(&self, index: usize) -> Norm<B> {
        let bias = self.config.bias.then(|| self.parameters[index + 1].clone());
        Norm { weight: self.parameters[index].clone(), bias }
    }

    fn linear(&self, index: usize, [outputs, inputs]: [usize; 2]) -> Linear<B> {
        let bias = self.config.bias.then(|| self.parameters[index + 1].clone());
        let weight = self.parameters[index].clone().reshape([outputs, inputs]);
        Linear { weight, bias, precision: self.precision }
    }

    pub(crate) fn block(&self, layer: usize) -> Block<B> {
        const MODULES: usize = 6;
        let embd = self.config.n_embd;
        let step = self.per_module();
        let first = 2 + layer * MODULES * step;
        Block {
            ln_1: self.norm(first),
            c_attn: self.linear(first + step, [3 * embd, embd]),
            c_proj: self.linear(first + 2 * step, [embd, embd]),
            ln_2: self.norm(first + 3 * step),
            c_fc: self.linear(first + 4 * step, [4 * embd, embd]),
            mlp_c_proj: self.linear(first + 5 * step, [embd, 4 * embd]),
        }
    }

    /// Token and position embeddings, positions counted from `first`.
    ///
    /// # Shapes
    /// `[batch, time]` to `[batch·time, embd]`.
    pub(crate) fn embed(&self, tokens: Tensor<B, 2, Int>, first: usize) -> Tensor<B, 2> {
        let [batch, time] = tokens.dims();
        // Repeated in memory for every sequence, since Burn's Flex broadcasts value by value; along an axis of their own, since the
        // derivative of repeating rows is wrong in 0.21.0.
        let positions = self.wpe().narrow(0, first, time).unsqueeze::<3>().repeat_dim(0, batch);
        (module::embedding(self.wte(), tokens) + positions).reshape([batch * time, self.config.n_embd])
    }

    /// # Shapes
    /// `[rows, embd]` to `[rows, vocab]`.
    pub(crate) fn head(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let normed = self.norm(self.parameters.len() - self.per_module()).forward(x);
        ops::linear(normed, self.wte(), self.precision)
    }

    /// The forward pass. `dropout_seed` is that of this pass, or none without dropout; `cache` collects the queries, keys and
    /// values of every layer.
    ///
    /// # Shapes
    /// `[batch, time]` to `[batch·time, vocab]`.
    pub(crate) fn forward(
        &self,
        tokens: Tensor<B, 2, Int>,
        dropout_seed: Option<u64>,
        mut cache: Option<&mut QkvCache<B>>,
    ) -> Tensor<B, 2> {
        let [batch, _] = tokens.dims();
        let heads = Heads { batch, heads: self.config.n_head };
        let dropout = |point: usize| match dropout_seed {
            Some(seed) => Dropout { rate: self.config.dropout, seed: random_streams::derive(seed, point as u64) },
            None => Dropout::OFF,
        };
        let mut x = ops::dropout(self.embed(tokens, 0), dropout(0));
        for layer in 0..self.config.n_layer {
            let block = self.block(layer);
            let qkv = block.qkv(x.clone());
            if let Some(cache) = cache.as_deref_mut() {
                cache.push(qkv.clone());
            }
            let attended = ops::causal_attention(qkv, heads, dropout(3 * layer + 1));
            x = block.project_and_mlp(x, attended, [dropout(3 * layer + 2), dropout(3 * layer + 3)]);
        }
        self.head(x)
    }

    /// Mean cross-entropy of a batch without dropout, in nats per token.
    ///
    /// # Panics
    /// If the batch is empty, has sequences longer than a block or of different lengths, or a token outside the vocabulary.
    pub(crate) fn loss(&self, batch: &Batch) -> f64 {
        batch.check(&self.config);
        B::run(|| {
            let device = self.device();
            let logits = self.forward(batch.inputs(&device), None, None);
            cross_entropy(logits, batch.targets(&device)).into_scalar().elem::<f64>()
        })
    }
}

/// Mean cross-entropy, in nats.
///
/// # Shapes
/// Logits `[rows, vocab]`, targets `[rows]`.
pub(crate) fn cross_entropy<B: Backend>(logits: Tensor<B, 2>, targets: Tensor<B, 1, Int>) -> Tensor<B, 1> {
    let log_likelihoods = activation::log_softmax(logits, 1).gather(1, targets.unsqueeze_dim(1));
    // A text of one symbol has a loss of 0; negated, that is −0 until 0 is added.
    log_likelihoods.mean().neg() + 0.0
}
