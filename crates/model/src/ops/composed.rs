//! The operations, composed of Burn's own: the definition that other implementations are tested against.

use std::f64::consts::FRAC_1_SQRT_2;

use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Distribution, Tensor, activation};

use super::arguments::{Dropout, Heads, LAYER_NORM_EPSILON, Update};
use crate::host::to_host;

/// Queries, keys and values by head.
///
/// # Shapes
/// `[batch·time, 3·embd]` to three times `[batch, heads, time, head_size]`.
pub(crate) fn split_heads<B: Backend>(qkv: Tensor<B, 2>, Heads { batch, heads }: Heads) -> [Tensor<B, 4>; 3] {
    let [rows, width] = qkv.dims();
    let (time, embd) = (rows / batch, width / 3);
    let qkv = qkv.reshape([batch, time, 3 * embd]);
    [0, 1, 2].map(|part| {
        let part = qkv.clone().narrow(2, part * embd, embd);
        part.reshape([batch, time, heads, embd / heads]).swap_dims(1, 2)
    })
}

/// Post-softmax attention of every query to the keys up to itself.
///
/// # Shapes
/// Queries and keys are `[batch, heads, time, head_size]`; returns `[batch, heads, query, key]`.
fn attention_weights<B: Backend>(queries: Tensor<B, 4>, keys: Tensor<B, 4>) -> Tensor<B, 4> {
    let [_, _, time, head_size] = queries.dims();
    let mask = Tensor::<B, 2, Bool>::tril_mask([time, time], 0, &queries.device()).unsqueeze::<4>();
    let scores = queries.matmul(keys.swap_dims(2, 3)) / (head_size as f64).sqrt();
    activation::softmax(scores.mask_fill(mask, f32::NEG_INFINITY), 3)
}

pub(super) fn causal_attention<B: Backend>(qkv: Tensor<B, 2>, heads: Heads, rate: Dropout) -> Tensor<B, 2> {
    let [queries, keys, values] = split_heads(qkv, heads);
    weighted_values(dropout(attention_weights(queries, keys), rate), values)
}

pub(super) fn observed_attention<B: Backend>(qkv: Tensor<B, 2>, heads: Heads) -> (Tensor<B, 4>, Tensor<B, 2>) {
    let [queries, keys, values] = split_heads(qkv, heads);
    let weights = attention_weights(queries, keys);
    (weights.clone(), weighted_values(weights, values))
}

/// Each head's weighted sums of values, as `[batch·time, embd]`.
fn weighted_values<B: Backend>(weights: Tensor<B, 4>, values: Tensor<B, 4>) -> Tensor<B, 2> {
    let [batch, heads, time, size] = values.dims();
    weights.matmul(values).swap_dims(1, 2).reshape([batch * time, heads * size])
}

pub(super) fn layer_norm<B: Backend>(x: Tensor<B, 2>, weight: Tensor<B, 1>) -> Tensor<B, 2> {
    let centered = x.clone() - x.mean_dim(1);
    let variance = centered.clone().powi_scalar(2).mean_dim(1);
    centered / (variance + LAYER_NORM_EPSILON).sqrt() * weight.unsqueeze()
}

/// Not Burn's own, whose derivative is that of the tanh approximation, off by up to 1e-3.
pub(super) fn gelu<B: Backend>(x: Tensor<B, 2>) -> Tensor<B, 2> {
    let below = ((x.clone() * FRAC_1_SQRT_2).erf() + 1.0) * 0.5;
    x * below
}

/// Zeroes each value with the given probability and scales the others up.
pub(super) fn dropout<B: Backend, const D: usize>(x: Tensor<B, D>, Dropout { rate, seed }: Dropout) -> Tensor<B, D> {
    if rate == 0.0 {
        return x;
    }
    // The backend has one random stream: seeded before every draw, it does not depend on what was drawn elsewhere.
    B::seed(&x.device(), seed);
    let kept = x.random_like(Distribution::Bernoulli(1.0 - rate));
    x * kept / (1.0 - rate)
}

pub(super) fn fill_caches<B: Backend>(
    [keys, values]: [Tensor<B, 4>; 2],
    qkv: Tensor<B, 2>,
    heads: Heads,
    first: usize,
) -> [Tensor<B, 4>; 2] {
    let [_, new_keys, new_values] = split_heads(qkv, heads);
    let [batch, heads, time, size] = new_keys.dims();
    let positions = [0..batch, 0..heads, first..first + time, 0..size];
    [keys.slice_assign(positions.clone(), new_keys), values.slice_assign(positions, new_values)]
}

pub(super) fn attend<B: Backend>(
    query: Tensor<B, 4>,
    caches: [Tensor<B, 4>; 2],
    time: usize,
) -> (Tensor<B, 4>, Tensor<B, 3>) {
    let [_, _, _, head_size] = query.dims();
    let [keys, values] = caches.map(|cache| cache.narrow(2, 0, time));
    let scores = query.matmul(keys.swap_dims(2, 3)) / (head_size as f64).sqrt();
    let weights = activation::softmax(scores, 3);
    let outputs = weights.clone().matmul(values).squeeze_dim::<3>(2);
    (weights, outputs)
}

pub(super) fn square_sum<B: Backend>(gradients: impl Iterator<Item = Tensor<B, 1>>) -> f64 {
    // One tensor of all sums, so that a GPU makes one transfer.
    let sums = Tensor::cat(gradients.map(|gradient| gradient.powi_scalar(2).sum()).collect(), 0);
    to_host(sums).iter().map(|&sum| f64::from(sum)).sum()
}

pub(super) fn adamw<B: Backend>(
    parameter: Tensor<B, 1>,
    gradient: Tensor<B, 1>,
    [first, second]: [Tensor<B, 1>; 2],
    update: Update,
) -> (Tensor<B, 1>, [Tensor<B, 1>; 2]) {
    let Update { beta1, beta2, epsilon, clip, keep, step, root_scale } = update;
    let gradient = gradient * clip;
    let first = first * beta1 + gradient.clone() * (1.0 - beta1);
    let second = second * beta2 + gradient.powi_scalar(2) * (1.0 - beta2);
    let root = second.clone().sqrt() * root_scale + epsilon;
    (parameter * keep - first.clone() / root * step, [first, second])
}
