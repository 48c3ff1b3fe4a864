//! Reading texts character by character and predicting the next, with a key-value cache.

use std::collections::VecDeque;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::gpt::{self, Gpt};
use crate::observe::output_norms_of;
use crate::ops::{self, Dropout, GptOps, Heads};
use crate::{ContextPolicy, Model};

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
        let texts: Vec<_> = texts.collect();
        self.reading.restart(&texts)
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

/// The keys and values of one layer, `[batch, heads, block, head_size]` each, of which the first characters' are filled in.
///
/// Room for a whole block from the start: a cache that grew would be copied for every character.
struct Cache<B: Backend> {
    keys: Tensor<B, 4>,
    values: Tensor<B, 4>,
}

impl<B: GptOps> Cache<B> {
    fn empty(shape: [usize; 4], device: &B::Device) -> Self {
        Self { keys: Tensor::empty(shape, device), values: Tensor::empty(shape, device) }
    }

    /// With the keys and values of further characters from position `first` on; `qkv` is `[batch·time, 3·embd]`.
    fn with(self, qkv: Tensor<B, 2>, heads: Heads, first: usize) -> Self {
        let [keys, values] = ops::fill_caches([self.keys, self.values], qkv, heads, first);
        Self { keys, values }
    }
}

/// A model's contexts on its device.
pub(crate) struct OnDevice<'model, B: Backend> {
    gpt: &'model Gpt<B>,
    heads: Heads,
    attention: bool,
    layers: Vec<Cache<B>>,
    /// Characters read into the caches.
    filled: usize,
}

impl<'model, B: GptOps> OnDevice<'model, B> {
    pub(crate) fn new(gpt: &'model Gpt<B>, batch: usize, attention: bool) -> Self {
        Self { gpt, heads: Heads { batch, heads: gpt.config.n_head }, attention, layers: Vec::new(), filled: 0 }
    }

    /// Appends characters to every context: all of them pass through every layer but the last, where only the final one
    /// matters for the prediction.
    fn read(&mut self, tokens: &[u16]) -> Prediction {
        let Heads { batch, heads } = self.heads;
        let time = tokens.len() / batch;
        let config = self.gpt.config;
        let (first, context) = (self.filled, self.filled + time);
        let shape = [batch, heads, config.block_size, config.head_size()];
        // Handed over and not lent: a cache that nobody else holds is filled in place.
        let mut caches = std::mem::take(&mut self.layers).into_iter();
        let mut x = self.gpt.embed(gpt::tokens(tokens, batch, &self.gpt.device()), first);
        let mut rows = Vec::new();
        for layer in 0..config.n_layer {
            let block = self.gpt.block(layer);
            let qkv = block.qkv(x.clone());
            let cache = caches.next().unwrap_or_else(|| Cache::empty(shape, &self.gpt.device()));
            let cache = cache.with(qkv.clone(), self.heads, first);
            let last = layer + 1 == config.n_layer;
            let final_only = last || time == 1;
            let mut attended = None;
            if final_only || self.attention {
                let [queries, _, _] = ops::split_heads(qkv.clone(), self.heads);
                let query = queries.narrow(2, time - 1, 1);
                let (weights, mixed) = ops::attend(query, cache.keys.clone(), cache.values.clone(), context);
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
            self.layers.push(cache);
        }
        self.filled = context;
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
        B::run(|| self.read(tokens))
    }

    fn restart(&mut self, tokens: &[u16]) -> Prediction {
        self.filled = 0;
        B::run(|| self.read(tokens))
    }
}
