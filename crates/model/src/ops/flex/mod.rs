//! The operations on the CPU, each in one pass over memory with a backward pass of its own.
//!
//! Composed of Burn's operations, a training step spends more time in copies, exponentials and random numbers than in matrix
//! products. Here nothing is stored that can be recomputed: attention keeps the log-sum-exp of its rows and recomputes
//! them in the backward pass, and dropout's masks are a hash of (seed, position). Work is divided over threads by position,
//! and sums are added up in a fixed order, so the results do not depend on the number of threads.

mod adamw;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
mod attention;
mod autodiff;
mod cache;
mod inner;
mod int16;
mod kernels;
mod linear;
mod matrix;
mod pointwise;
mod pool;
mod product;
mod storage;
#[cfg(test)]
mod tests;

use burn::backend::flex::{Flex, FlexTensor};
use rayon::prelude::*;

use super::GptOps;
use super::arguments::{Dropout, Heads, Update};
use crate::Precision;

impl GptOps for Flex {
    fn run<R: Send>(work: impl FnOnce() -> R + Send) -> R {
        pool::run(work)
    }

    fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Send + Sync) -> Vec<R> {
        items.par_iter().map(work).collect()
    }

    fn linear(x: FlexTensor, weight: FlexTensor, precision: Precision) -> FlexTensor {
        linear::linear(&x.to_contiguous(), &weight.to_contiguous(), precision)
    }

    fn causal_attention(qkv: FlexTensor, heads: Heads, dropout: Dropout) -> FlexTensor {
        attention::forward(&qkv.to_contiguous(), heads, dropout).0
    }

    fn observed_attention(qkv: FlexTensor, heads: Heads) -> (FlexTensor, FlexTensor) {
        attention::observe(&qkv.to_contiguous(), heads)
    }

    fn gelu(x: FlexTensor) -> FlexTensor {
        pointwise::gelu(&x.to_contiguous())
    }

    fn layer_norm(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        pointwise::layer_norm(&x.to_contiguous(), &weight.to_contiguous()).0
    }

    fn dropout(x: FlexTensor, dropout: Dropout) -> FlexTensor {
        pointwise::dropout(&x.to_contiguous(), dropout)
    }

    fn dropout_add(x: FlexTensor, residual: FlexTensor, dropout: Dropout) -> FlexTensor {
        pointwise::dropout_add(&x.to_contiguous(), &residual.to_contiguous(), dropout)
    }

    fn fill_caches(caches: [FlexTensor; 2], qkv: FlexTensor, heads: Heads, first: usize) -> [FlexTensor; 2] {
        let qkv = qkv.to_contiguous();
        let mut part = 0;
        caches.map(|cache| {
            part += 1;
            cache::fill(cache, &qkv, part, heads, first)
        })
    }

    fn attend(query: FlexTensor, keys: FlexTensor, values: FlexTensor, time: usize) -> (FlexTensor, FlexTensor) {
        cache::attend(&query.to_contiguous(), &keys.to_contiguous(), &values.to_contiguous(), time)
    }

    fn square_sum(gradients: &[FlexTensor]) -> f64 {
        gradients.iter().map(|gradient| adamw::square_sum(&gradient.to_contiguous())).sum()
    }

    fn adamw(
        parameter: FlexTensor,
        gradient: FlexTensor,
        moments: [FlexTensor; 2],
        update: Update,
    ) -> (FlexTensor, [FlexTensor; 2]) {
        adamw::update(parameter, &gradient.to_contiguous(), moments, update)
    }
}
