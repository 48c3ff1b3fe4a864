//! Key-value caches: filled in place, since Burn's own assignment to a slice copies the whole tensor, and attended to by one
//! query a head, without a copy either.

use burn::backend::flex::FlexTensor;
use burn::tensor::Shape;
use rayon::prelude::*;

use super::kernels::{self, Mask};
use super::{inner, tensor, values};
use crate::ops::{Dropout, Heads};

/// A cache, in its own memory where nobody else holds it, with what is new from position `first` on: a part of the matrix
/// of queries (0), keys (1) and values (2).
pub(super) fn fill(mut cache: FlexTensor, qkv: &FlexTensor, part: usize, heads: Heads, first: usize) -> FlexTensor {
    let [_, _, block, size] = shape(&cache);
    let [rows, width] = qkv.layout().shape()[..] else { unreachable!("activations are matrices") };
    let time = rows / heads.batch;
    let new = values(qkv);
    for (task, cache) in cache.storage_mut::<f32>().chunks_exact_mut(block * size).enumerate() {
        let (text, head) = (task / heads.heads, task % heads.heads);
        let column = part * width / 3 + head * size;
        for (row, place) in cache[first * size..].chunks_exact_mut(size).take(time).enumerate() {
            place.copy_from_slice(&new[(text * time + row) * width + column..][..size]);
        }
    }
    cache
}

/// One query's attention to the first `time` characters of a cache, and each head's mix of values.
pub(super) fn attend(
    query: &FlexTensor,
    keys: &FlexTensor,
    from: &FlexTensor,
    time: usize,
) -> (FlexTensor, FlexTensor) {
    let [batch, heads, block, size] = shape(keys);
    let scaling = 1.0 / (size as f32).sqrt();
    let (mut weights, mut mixed) = (vec![0.0; batch * heads * time], vec![0.0; batch * heads * size]);
    let caches = values(keys).par_chunks(block * size).zip(values(from).par_chunks(block * size));
    let outputs = weights.par_chunks_mut(time).zip(mixed.par_chunks_mut(size));
    values(query).par_chunks(size).zip(caches).zip(outputs).for_each(|((query, (keys, from)), (weights, mixed))| {
        let scaled: Vec<f32> = query.iter().map(|value| value * scaling).collect();
        inner::products(&scaled, &keys[..time * size], size, weights);
        kernels::softmax(weights, time, Mask::new(Dropout::OFF, 0));
        kernels::weighted_sum(weights, &from[..time * size], mixed);
    });
    let weights = tensor(weights, Shape::from(vec![batch, heads, 1, time]));
    (weights, tensor(mixed, Shape::from(vec![batch, heads, size])))
}

fn shape(tensor: &FlexTensor) -> [usize; 4] {
    tensor.layout().shape()[..].try_into().expect("caches are of batch, heads, time and head size")
}
