//! The model on a device: nanoGPT's forward pass.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData, activation, module};

use crate::ops::{self, Dropout, GptOps, Heads};
use crate::{GptConfig, Precision, Weights, weights};

/// A GPT's parameters on a device, each flat, in the order of [`GptConfig::parameters`].
///
/// Flat, because what is done to all of them alike (clipping, AdamW, saving) then needs no cases by rank; the forward pass
/// looks at each in its shape, which costs nothing.
#[derive(Clone, Debug)]
pub(crate) struct Gpt<B: Backend> {
    pub(crate) config: GptConfig,
    /// Of the linear layers.
    pub(crate) precision: Precision,
    pub(crate) parameters: Vec<Tensor<B, 1>>,
}

/// What a pass is to leave behind beside its result: the queries, keys and values of every layer.
pub(crate) type Tap<B> = Vec<Tensor<B, 2>>;

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

    /// What follows the attention: both residual sums.
    ///
    /// # Shapes
    /// `x` and `attended` are `[rows, embd]`, as is the result.
    pub(crate) fn rest(&self, x: Tensor<B, 2>, attended: Tensor<B, 2>, places: [Dropout; 2]) -> Tensor<B, 2> {
        let x = ops::dropout_add(self.c_proj.forward(attended), x, places[0]);
        let hidden = ops::gelu(self.c_fc.forward(self.ln_2.forward(x.clone())));
        ops::dropout_add(self.mlp_c_proj.forward(hidden), x, places[1])
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
        // Laid out for every text, since Burn's Flex adds what is to be repeated value by value; along an axis of their own, since
        // the derivative of repeating rows is wrong in 0.21.0.
        let positions = self.wpe().narrow(0, first, time).unsqueeze::<3>().repeat_dim(0, batch);
        (module::embedding(self.wte(), tokens) + positions).reshape([batch * time, self.config.n_embd])
    }

    /// # Shapes
    /// `[rows, embd]` to `[rows, vocab]`.
    pub(crate) fn head(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let normed = self.norm(self.parameters.len() - self.per_module()).forward(x);
        ops::linear(normed, self.wte(), self.precision)
    }

    /// The forward pass. `dropout_seed` is that of this pass, or none where nothing is dropped; `tap` collects the
    /// queries, keys and values of every layer.
    ///
    /// # Shapes
    /// `[batch, time]` to `[batch·time, vocab]`; each tapped matrix is `[batch·time, 3·embd]`.
    pub(crate) fn forward(
        &self,
        tokens: Tensor<B, 2, Int>,
        dropout_seed: Option<u64>,
        mut tap: Option<&mut Tap<B>>,
    ) -> Tensor<B, 2> {
        let [batch, _] = tokens.dims();
        let heads = Heads { batch, heads: self.config.n_head };
        let place = |place: usize| match dropout_seed {
            Some(seed) => Dropout { rate: self.config.dropout, seed: random_streams::derive(seed, place as u64) },
            None => Dropout::OFF,
        };
        let mut x = ops::dropout(self.embed(tokens, 0), place(0));
        for layer in 0..self.config.n_layer {
            let block = self.block(layer);
            let qkv = block.qkv(x.clone());
            if let Some(tap) = tap.as_deref_mut() {
                tap.push(qkv.clone());
            }
            let attended = ops::causal_attention(qkv, heads, place(3 * layer + 1));
            x = block.rest(x, attended, [place(3 * layer + 2), place(3 * layer + 3)]);
        }
        self.head(x)
    }
}

/// Mean cross-entropy, in nats.
///
/// # Shapes
/// Logits `[rows, vocab]`, targets `[rows]`.
pub(crate) fn cross_entropy<B: Backend>(logits: Tensor<B, 2>, targets: Tensor<B, 1, Int>) -> Tensor<B, 1> {
    let likelihoods = activation::log_softmax(logits, 1).gather(1, targets.unsqueeze_dim(1));
    likelihoods.mean().neg()
}

/// Texts of one length as a tensor.
///
/// # Shapes
/// `[batch, time]`, from as many tokens row by row.
pub(crate) fn tokens<B: Backend>(tokens: &[u16], batch: usize, device: &B::Device) -> Tensor<B, 2, Int> {
    let values: Vec<i32> = tokens.iter().map(|&token| i32::from(token)).collect();
    Tensor::from_data(TensorData::new(values, [batch, tokens.len() / batch]), device)
}

/// A tensor's values, row-major.
pub(crate) fn to_host<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().into_vec().expect("converted to float32 the line before")
}
