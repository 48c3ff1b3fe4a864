//! Incremental forward passes with a KV cache.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::gpt::Gpt;
use crate::host::{self, to_host};
use crate::observe::head_output_norms;
use crate::ops::{self, Dropout, GptOps, Heads};

/// What a model predicts after the sequences so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The logits of the next token.
    ///
    /// # Shapes
    /// `[batch, vocab]`.
    pub logits: Vec<f32>,
    /// The attention of the last token, for each sequence, layer and head in that order; empty unless requested.
    pub attention: Vec<HeadRow>,
}

/// One head's attention from one token to its context.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadRow {
    /// Post-softmax weights over the context, of which the token itself is the last.
    pub weights: Vec<f32>,
    /// The L2 norm of what the head adds to the residual stream.
    pub output_norm: f32,
}

/// Incremental forward passes, whatever the device.
pub(crate) trait Incremental {
    /// Appends one token to every sequence's context.
    fn extend(&mut self, tokens: &[u16]) -> Prediction;

    /// Replaces the context.
    ///
    /// # Shapes
    /// `tokens` is `[batch, time]`.
    fn restart(&mut self, tokens: &[u16]) -> Prediction;
}

/// The keys and values of one layer, `[batch, heads, block, head_size]` each, filled from the first position on.
///
/// Allocated for a whole block from the start: growing a tensor would copy it for every token.
struct LayerCache<B: Backend> {
    keys: Tensor<B, 4>,
    values: Tensor<B, 4>,
}

impl<B: GptOps> LayerCache<B> {
    fn empty(shape: [usize; 4], device: &B::Device) -> Self {
        Self { keys: Tensor::empty(shape, device), values: Tensor::empty(shape, device) }
    }

    /// With the keys and values of further tokens, from position `first` on; `qkv` is `[batch·time, 3·embd]`.
    fn extended(self, qkv: Tensor<B, 2>, heads: Heads, first: usize) -> Self {
        let [keys, values] = ops::fill_caches([self.keys, self.values], qkv, heads, first);
        Self { keys, values }
    }
}

/// A model with the KV cache of a batch of sequences.
pub(crate) struct KvCache<'model, B: Backend> {
    gpt: &'model Gpt<B>,
    heads: Heads,
    attention: bool,
    layers: Vec<LayerCache<B>>,
    /// Positions that are filled.
    filled: usize,
}

impl<'model, B: GptOps> KvCache<'model, B> {
    pub(crate) fn new(gpt: &'model Gpt<B>, batch: usize, attention: bool) -> Self {
        Self { gpt, heads: Heads { batch, heads: gpt.config.n_head }, attention, layers: Vec::new(), filled: 0 }
    }

    /// Appends tokens to every context. They all pass through every layer but the last, where the prediction needs only the
    /// final one.
    fn append(&mut self, tokens: &[u16]) -> Prediction {
        let Heads { batch, heads } = self.heads;
        let time = tokens.len() / batch;
        let config = self.gpt.config;
        let (first, context) = (self.filled, self.filled + time);
        let shape = [batch, heads, config.block_size, config.head_size()];
        // By value: a cache without another owner is filled in place.
        let mut caches = std::mem::take(&mut self.layers).into_iter();
        let mut x = self.gpt.embed(host::tokens(tokens, batch, &self.gpt.device()), first);
        let mut rows = Vec::new();
        for layer in 0..config.n_layer {
            let block = self.gpt.block(layer);
            let qkv = block.qkv(x.clone());
            let cache = caches.next().unwrap_or_else(|| LayerCache::empty(shape, &self.gpt.device()));
            let cache = cache.extended(qkv.clone(), self.heads, first);
            let last = layer + 1 == config.n_layer;
            let final_only = last || time == 1;
            let mut attended = None;
            if final_only || self.attention {
                let [queries, _, _] = ops::split_heads(qkv.clone(), self.heads);
                let query = queries.narrow(2, time - 1, 1);
                let (weights, outputs) = ops::attend(query, cache.keys.clone(), cache.values.clone(), context);
                if self.attention {
                    rows.push((to_host(weights), to_host(head_output_norms(&block.c_proj, outputs.clone()))));
                }
                attended = Some(outputs.reshape([batch, config.n_embd]));
            }
            if last && time > 1 {
                x = x.reshape([batch, time, config.n_embd]).narrow(1, time - 1, 1).reshape([batch, config.n_embd]);
            }
            let attended = match attended {
                Some(attended) if final_only => attended,
                // Several tokens are only ever appended to an empty context.
                _ => ops::causal_attention(qkv, self.heads, Dropout::OFF),
            };
            x = block.project_and_mlp(x, attended, [Dropout::OFF; 2]);
            self.layers.push(cache);
        }
        self.filled = context;
        let row = |sequence: usize, layer: usize, head: usize| {
            let (weights, norms) = &rows[layer];
            let at = sequence * heads + head;
            HeadRow { weights: weights[at * context..][..context].to_vec(), output_norm: norms[at] }
        };
        let every = (0..batch).flat_map(|sequence| {
            (0..rows.len()).flat_map(move |layer| (0..heads).map(move |head| (sequence, layer, head)))
        });
        let attention = every.map(|(sequence, layer, head)| row(sequence, layer, head)).collect();
        Prediction { logits: to_host(self.gpt.head(x)), attention }
    }
}

impl<B: GptOps> Incremental for KvCache<'_, B> {
    fn extend(&mut self, tokens: &[u16]) -> Prediction {
        B::run(|| self.append(tokens))
    }

    fn restart(&mut self, tokens: &[u16]) -> Prediction {
        self.filled = 0;
        B::run(|| self.append(tokens))
    }
}
