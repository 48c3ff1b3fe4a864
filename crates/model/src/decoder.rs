//! Incremental decoding: sequences are fed token by token, and the model predicts the next.

use std::collections::VecDeque;

use crate::ContextPolicy;
use crate::kv_cache::{Incremental, Prediction};
use crate::model::Model;

/// A batch of sequences that grow token by token, with their KV cache.
pub struct Decoder<'model> {
    model: &'model Model,
    cache: Box<dyn Incremental + 'model>,
    policy: ContextPolicy,
    batch: usize,
    /// The tokens in the context, those of all sequences at each position.
    context: VecDeque<Vec<u16>>,
}

impl<'model> Decoder<'model> {
    /// A batch of empty sequences. With `attention`, every prediction has the attention of the last token.
    ///
    /// # Panics
    /// If the batch is empty.
    pub fn new(model: &'model Model, batch: usize, policy: ContextPolicy, attention: bool) -> Self {
        assert!(batch > 0, "at least one sequence");
        Self { model, cache: model.incremental(batch, attention), policy, batch, context: VecDeque::new() }
    }

    /// Appends a token to every sequence and predicts the next.
    ///
    /// # Panics
    /// If there is not one token per sequence, or a token is outside the vocabulary.
    pub fn append(&mut self, tokens: &[u16]) -> Prediction {
        assert_eq!(tokens.len(), self.batch, "one token per sequence");
        let config = self.model.config();
        config.check_tokens(tokens, self.batch);
        self.context.push_back(tokens.to_vec());
        if self.context.len() <= config.block_size {
            return self.cache.extend(tokens);
        }
        let keep = match self.policy {
            ContextPolicy::Exact => config.block_size,
            // At least the new token, and one before it where the block has room for two.
            ContextPolicy::Rollover => (config.block_size / 2).max(1),
        };
        self.context.drain(..self.context.len() - keep);
        let sequence = |sequence: usize| self.context.iter().map(move |position| position[sequence]);
        self.cache.restart(&(0..self.batch).flat_map(sequence).collect::<Vec<_>>())
    }
}
