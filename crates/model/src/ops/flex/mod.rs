//! The operations on the processor, each in one pass over memory with a backward pass of its own.
//!
//! Composed of Burn's operations, a training step spends more time in copies, exponentials and random numbers than in matrix
//! products. Here nothing is stored that can be made again: attention keeps the log-sum-exp of its rows and recomputes
//! them in the backward pass, and dropout's masks are a hash of (seed, position). Work is divided over threads by position,
//! and sums are added up in a fixed order, so the results do not depend on the number of threads.

mod adamw;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
mod attention;
mod cache;
mod inner;
mod int16;
mod kernels;
mod matrix;
mod pointwise;
mod pool;
#[cfg(test)]
mod tests;

use std::mem::MaybeUninit;
use std::sync::Arc;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::{Flex, FlexTensor, Layout};
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Bytes, DType, Shape};
use rayon::prelude::*;

use super::{Dropout, GptOps, Heads, Update};
use crate::Precision;

impl GptOps for Flex {
    fn run<R: Send>(work: impl FnOnce() -> R + Send) -> R {
        pool::run(work)
    }

    fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Send + Sync) -> Vec<R> {
        items.par_iter().map(work).collect()
    }

    fn linear(x: FlexTensor, weight: FlexTensor, precision: Precision) -> FlexTensor {
        matrix::linear(&x.to_contiguous(), &weight.to_contiguous(), precision)
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

impl<C: CheckpointStrategy> GptOps for Autodiff<Flex, C> {
    fn run<R: Send>(work: impl FnOnce() -> R + Send) -> R {
        pool::run(work)
    }

    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, precision: Precision) -> FloatTensor<Self> {
        let (input, matrix) = (x.primitive.to_contiguous(), weight.primitive.to_contiguous());
        let output = matrix::linear(&input, &matrix, precision);
        match Linear.prepare::<C>([x.node, weight.node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(LinearState { x: input, weight: matrix, precision }, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn causal_attention(qkv: FloatTensor<Self>, heads: Heads, dropout: Dropout) -> FloatTensor<Self> {
        let input = qkv.primitive.to_contiguous();
        let (output, log_sums) = attention::forward(&input, heads, dropout);
        match Attention.prepare::<C>([qkv.node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let state =
                    AttentionState { qkv: input, output: output.clone(), log_sums: log_sums.into(), heads, dropout };
                prepared.finish(state, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let input = x.primitive.to_contiguous();
        let output = pointwise::gelu(&input);
        match Gelu.prepare::<C>([x.node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(input, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn layer_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let (input, scale) = (x.primitive.to_contiguous(), weight.primitive.to_contiguous());
        let (output, moments) = pointwise::layer_norm(&input, &scale);
        match LayerNorm.prepare::<C>([x.node, weight.node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                prepared.finish(LayerNormState { x: input, weight: scale, moments: moments.into() }, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn dropout(x: FloatTensor<Self>, dropout: Dropout) -> FloatTensor<Self> {
        let output = pointwise::dropout(&x.primitive.to_contiguous(), dropout);
        match DropoutAlone.prepare::<C>([x.node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(dropout, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn dropout_add(x: FloatTensor<Self>, residual: FloatTensor<Self>, dropout: Dropout) -> FloatTensor<Self> {
        let output = pointwise::dropout_add(&x.primitive.to_contiguous(), &residual.primitive.to_contiguous(), dropout);
        match DropoutAdd.prepare::<C>([x.node, residual.node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(dropout, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

#[derive(Debug)]
struct Linear;

#[derive(Clone, Debug)]
struct LinearState {
    x: FlexTensor,
    weight: FlexTensor,
    precision: Precision,
}

impl Backward<Flex, 2> for Linear {
    type State = LinearState;

    fn backward(self, ops: Ops<LinearState, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let ([x, weight], LinearState { x: input, weight: matrix, precision }) = (ops.parents, ops.state);
        // Side by side: two products of one size, of which each thread takes one, and then neither waits for the other within.
        let (of_weight, of_x) = rayon::join(
            || weight.map(|weight| (weight.id, matrix::linear_backward_weight(&gradient, &input, precision))),
            || x.map(|x| (x.id, matrix::linear_backward_input(&gradient, &matrix, precision))),
        );
        for (id, gradient) in [of_weight, of_x].into_iter().flatten() {
            gradients.register::<Flex>(id, gradient);
        }
    }
}

#[derive(Debug)]
struct Attention;

#[derive(Clone, Debug)]
struct AttentionState {
    qkv: FlexTensor,
    output: FlexTensor,
    log_sums: Arc<[f32]>,
    heads: Heads,
    dropout: Dropout,
}

impl Backward<Flex, 1> for Attention {
    type State = AttentionState;

    fn backward(self, ops: Ops<AttentionState, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [qkv] = ops.parents;
        let AttentionState { qkv: input, output, log_sums, heads, dropout } = ops.state;
        if let Some(qkv) = qkv {
            let gradient = attention::backward(&input, &output, &gradient, &log_sums, heads, dropout);
            gradients.register::<Flex>(qkv.id, gradient);
        }
    }
}

#[derive(Debug)]
struct Gelu;

impl Backward<Flex, 1> for Gelu {
    type State = FlexTensor;

    fn backward(self, ops: Ops<FlexTensor, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [x] = ops.parents;
        if let Some(x) = x {
            gradients.register::<Flex>(x.id, pointwise::gelu_backward(&ops.state, gradient));
        }
    }
}

#[derive(Debug)]
struct LayerNorm;

#[derive(Clone, Debug)]
struct LayerNormState {
    x: FlexTensor,
    weight: FlexTensor,
    moments: Arc<[f32]>,
}

impl Backward<Flex, 2> for LayerNorm {
    type State = LayerNormState;

    fn backward(self, ops: Ops<LayerNormState, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [x, weight] = ops.parents;
        let state = ops.state;
        let (of_x, of_weight) = pointwise::layer_norm_backward(&state.x, &state.weight, gradient, &state.moments);
        if let Some(x) = x {
            gradients.register::<Flex>(x.id, of_x);
        }
        if let Some(weight) = weight {
            gradients.register::<Flex>(weight.id, of_weight);
        }
    }
}

#[derive(Debug)]
struct DropoutAlone;

impl Backward<Flex, 1> for DropoutAlone {
    type State = Dropout;

    fn backward(self, ops: Ops<Dropout, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [x] = ops.parents;
        if let Some(x) = x {
            gradients.register::<Flex>(x.id, pointwise::dropout(&gradient, ops.state));
        }
    }
}

#[derive(Debug)]
struct DropoutAdd;

impl Backward<Flex, 2> for DropoutAdd {
    type State = Dropout;

    fn backward(self, ops: Ops<Dropout, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [x, residual] = ops.parents;
        if let Some(x) = x {
            gradients.register::<Flex>(x.id, pointwise::dropout(&gradient, ops.state));
        }
        if let Some(residual) = residual {
            gradients.register::<Flex>(residual.id, gradient);
        }
    }
}

/// The values of a contiguous tensor of float32.
fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("the model computes in float32, and the tensor was made contiguous")
}

/// So many values, every one of which `fill` writes: clearing them first would be a pass over memory for nothing.
fn filled(count: usize, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut values = Vec::with_capacity(count);
    fill(&mut values.spare_capacity_mut()[..count]);
    // SAFETY: all of them have been written, as every caller does.
    unsafe { values.set_len(count) };
    values
}

fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}
