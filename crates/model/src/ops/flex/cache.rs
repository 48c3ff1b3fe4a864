//! KV caches: filled in place, since Burn's own slice assignment copies the whole tensor, and attended to by one query per
//! head, without a copy either.

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::inner;
use super::kernels::{self, Mask};
use super::storage::{shape, tensor, values};
use crate::ops::arguments::{Dropout, Heads};

/// A cache with one part of `qkv` (0 queries, 1 keys, 2 values) written from position `first` on, in place where its memory
/// has no other owner.
pub(super) fn fill(mut cache: FlexTensor, qkv: &FlexTensor, part: usize, heads: Heads, first: usize) -> FlexTensor {
    let [batch, per_layer, block, size] = shape(&cache);
    let [rows, width] = shape(qkv);
    let time = rows / heads.batch;
    assert_eq!([batch, per_layer, 3 * per_layer * size], [heads.batch, heads.heads, width], "a cache of these heads");
    assert!(rows == batch * time && first + time <= block, "a cache has room for all positions");
    let new = values(qkv);
    for (task, cache) in cache.storage_mut::<f32>().chunks_exact_mut(block * size).enumerate() {
        let (sequence, head) = (task / heads.heads, task % heads.heads);
        let column = part * width / 3 + head * size;
        for (row, position) in cache[first * size..].chunks_exact_mut(size).take(time).enumerate() {
            position.copy_from_slice(&new[(sequence * time + row) * width + column..][..size]);
        }
    }
    cache
}

/// Attention of one query per head to the first `time` positions of a cache: the weights and the heads' outputs.
pub(super) fn attend(
    query: &FlexTensor,
    keys: &FlexTensor,
    cached_values: &FlexTensor,
    time: usize,
) -> (FlexTensor, FlexTensor) {
    let [batch, heads, block, size] = shape(keys);
    assert_eq!(shape(cached_values), [batch, heads, block, size], "keys and values of the same positions");
    assert_eq!(shape(query), [batch, heads, 1, size], "one query per head");
    assert!((1..=block).contains(&time), "positions of the cache");
    let scaling = 1.0 / (size as f32).sqrt();
    let (mut weights, mut outputs) = (vec![0.0; batch * heads * time], vec![0.0; batch * heads * size]);
    let caches = values(keys).par_chunks(block * size).zip(values(cached_values).par_chunks(block * size));
    let results = weights.par_chunks_mut(time).zip(outputs.par_chunks_mut(size));
    values(query).par_chunks(size).zip(caches).zip(results).for_each(|((query, (keys, from)), (weights, output))| {
        let scaled: Vec<f32> = query.iter().map(|value| value * scaling).collect();
        inner::products(&scaled, &keys[..time * size], size, weights);
        kernels::softmax(weights, time, Mask::new(Dropout::OFF, 0));
        kernels::weighted_sum(weights, &from[..time * size], output);
    });
    (tensor(weights, [batch, heads, 1, time]), tensor(outputs, [batch, heads, size]))
}
