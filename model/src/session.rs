//! Reading texts character by character and predicting the next, with a key-value cache.

use std::collections::VecDeque;
use std::fmt;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, activation};
use clap::ValueEnum;

use crate::Model;
use crate::gpt::{self, Gpt};
use crate::observe::output_norms_of;
use crate::ops::{self, Dropout, GptOps, Heads};

/// What the model sees once a text is longer than its block.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum ContextPolicy {
    /// The last block of characters, positions counted anew, as nanoGPT does: every character recomputes the window
    #[default]
    Exact,
    /// Once the block is full, the last half of it is read anew and grows from there: a tenth of the work and less
    Rollover,
}

impl fmt::Display for ContextPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            ContextPolicy::Exact => "exact",
            ContextPolicy::Rollover => "rollover",
        })
    }
}

/// What the model makes of the texts so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The logits of the next character.
    ///
    /// # Shapes
    /// `[batch, vocab]`.
    pub logits: Vec<f32>,
    /// The rows by which the last character attended, for each text, layer and head in that order; empty unless asked for.
    pub attention: Vec<HeadRow>,
}

/// One head's attention by one character to its context.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadRow {
    /// Post-softmax weights over the context, the character itself being the last.
    pub weights: Vec<f32>,
    /// The L2 norm of what the head adds to the residual stream.
    pub output_norm: f32,
}

/// A batch of texts of one length, read character by character.
pub struct Session<'model> {
    reading: Box<dyn Reading + 'model>,
    policy: ContextPolicy,
    batch: usize,
    block_size: usize,
    /// The characters in the context, the texts' side by side at each position.
    context: VecDeque<Vec<u16>>,
}

impl<'model> Session<'model> {
    /// A batch of empty texts. With `attention`, every prediction says how the last character attended.
    pub fn new(model: &'model Model, batch: usize, policy: ContextPolicy, attention: bool) -> Self {
        let block_size = model.config().block_size;
        Self { reading: model.reading(batch, attention), policy, batch, block_size, context: VecDeque::new() }
    }

    /// Reads one more character of every text and predicts the next.
    ///
    /// # Panics
    /// If `tokens` are not as many as the texts.
    pub fn read(&mut self, tokens: &[u16]) -> Prediction {
        assert_eq!(tokens.len(), self.batch, "one character of every text is read at a time");
        self.context.push_back(tokens.to_vec());
        if self.context.len() <= self.block_size {
            return self.reading.extend(tokens);
        }
        let keep = match self.policy {
            ContextPolicy::Exact => self.block_size,
            // At least the new character and one before it, where the block has room for two.
            ContextPolicy::Rollover => (self.block_size / 2).max(1),
        };
        self.context.drain(..self.context.len() - keep);
        let texts = (0..self.batch).flat_map(|text| self.context.iter().map(move |position| position[text]));
        self.reading.restart(&texts.collect::<Vec<_>>())
    }
}

/// What a session needs of a model on some device.
pub(crate) trait Reading {
    /// Appends one character to every text's context.
    fn extend(&mut self, tokens: &[u16]) -> Prediction;

    /// Forgets the context and reads another.
    ///
    /// # Shapes
    /// `tokens` is `[batch, time]`.
    fn restart(&mut self, tokens: &[u16]) -> Prediction;
}

/// The keys and values of one layer, `[batch, heads, time, head_size]` each.
struct Cache<B: Backend> {
    keys: Tensor<B, 4>,
    values: Tensor<B, 4>,
}

/// A model's contexts on its device.
pub(crate) struct OnDevice<'model, B: Backend> {
    gpt: &'model Gpt<B>,
    heads: Heads,
    attention: bool,
    layers: Vec<Cache<B>>,
}

impl<'model, B: GptOps> OnDevice<'model, B> {
    pub(crate) fn new(gpt: &'model Gpt<B>, batch: usize, attention: bool) -> Self {
        Self { gpt, heads: Heads { batch, heads: gpt.config.n_head }, attention, layers: Vec::new() }
    }

    /// Appends characters to every context: all of them pass through every layer but the last, where only the final one
    /// matters for the prediction.
    fn read(&mut self, tokens: &[u16]) -> Prediction {
        let Heads { batch, heads } = self.heads;
        let time = tokens.len() / batch;
        let config = self.gpt.config;
        let first = self.layers.first().map_or(0, |cache| cache.keys.dims()[2]);
        let mut x = self.gpt.embed(gpt::tokens(tokens, batch, &self.gpt.device()), first);
        let mut rows = Vec::new();
        for layer in 0..config.n_layer {
            let block = self.gpt.block(layer);
            let qkv = block.qkv(x.clone());
            let [queries, keys, values] = ops::split_heads(qkv.clone(), self.heads);
            let cache = match self.layers.get(layer) {
                None => Cache { keys, values },
                Some(Cache { keys: old_keys, values: old_values }) => Cache {
                    keys: Tensor::cat(vec![old_keys.clone(), keys], 2),
                    values: Tensor::cat(vec![old_values.clone(), values], 2),
                },
            };
            let last = layer + 1 == config.n_layer;
            let final_only = last || time == 1;
            let mut attended = None;
            if final_only || self.attention {
                let (weights, mixed) = last_row(queries.narrow(2, time - 1, 1), &cache);
                if self.attention {
                    rows.push((gpt::to_host(weights), gpt::to_host(output_norms_of(&block.c_proj, mixed.clone()))));
                }
                attended = Some(mixed.reshape([batch, config.n_embd]));
            }
            if last && time > 1 {
                x = x.reshape([batch, time, config.n_embd]).narrow(1, time - 1, 1).reshape([batch, config.n_embd]);
            }
            let attended = match attended {
                Some(attended) if final_only => attended,
                // Several characters are only ever read into an empty context.
                _ => ops::causal_attention(qkv, self.heads, Dropout::OFF),
            };
            x = block.rest(x, attended, [Dropout::OFF; 2]);
            match self.layers.get_mut(layer) {
                Some(old) => *old = cache,
                None => self.layers.push(cache),
            }
        }
        let context = first + time;
        let row = |text: usize, layer: usize, head: usize| {
            let (weights, norms) = &rows[layer];
            let at = text * heads + head;
            HeadRow { weights: weights[at * context..][..context].to_vec(), output_norm: norms[at] }
        };
        let every = (0..batch)
            .flat_map(|text| (0..rows.len()).flat_map(move |layer| (0..heads).map(move |head| (text, layer, head))));
        let attention = every.map(|(text, layer, head)| row(text, layer, head)).collect();
        Prediction { logits: gpt::to_host(self.gpt.head(x)), attention }
    }
}

impl<B: GptOps> Reading for OnDevice<'_, B> {
    fn extend(&mut self, tokens: &[u16]) -> Prediction {
        self.read(tokens)
    }

    fn restart(&mut self, tokens: &[u16]) -> Prediction {
        self.layers.clear();
        self.read(tokens)
    }
}

/// How one query attends to a cache, and each head's mix of values.
///
/// # Shapes
/// The query is `[batch, heads, 1, head_size]`; returns `[batch, heads, 1, time]` and `[batch, heads, head_size]`.
fn last_row<B: Backend>(query: Tensor<B, 4>, cache: &Cache<B>) -> (Tensor<B, 4>, Tensor<B, 3>) {
    let [_, _, _, head_size] = query.dims();
    let scores = query.matmul(cache.keys.clone().swap_dims(2, 3)) / (head_size as f64).sqrt();
    let weights = activation::softmax(scores, 3);
    let mixed = weights.clone().matmul(cache.values.clone()).squeeze_dim::<3>(2);
    (weights, mixed)
}
