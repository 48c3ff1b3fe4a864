//! What each value, or each row of values, goes through alone.

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::kernels::{self, Mask};
use super::{filled, tensor, values};
use crate::ops::Dropout;

/// Values a task; also the stretch that one dropout seed serves.
const STRETCH: usize = 1 << 14;
/// Rows a task.
const ROWS: usize = 64;

pub(super) fn gelu(x: &FlexTensor) -> FlexTensor {
    let input = values(x);
    let out = filled(input.len(), |out| {
        out.par_chunks_mut(STRETCH).zip(input.par_chunks(STRETCH)).for_each(|(out, x)| kernels::gelu(x, out));
    });
    tensor(out, x.layout().shape().clone())
}

pub(super) fn gelu_backward(x: &FlexTensor, mut gradient: FlexTensor) -> FlexTensor {
    let outputs = gradient.storage_mut::<f32>().par_chunks_mut(STRETCH);
    outputs.zip(values(x).par_chunks(STRETCH)).for_each(|(gradient, x)| kernels::gelu_backward(x, gradient));
    gradient
}

pub(super) fn dropout_add(x: &FlexTensor, residual: &FlexTensor, dropout: Dropout) -> FlexTensor {
    let (input, residual) = (values(x), values(residual));
    let out = filled(input.len(), |out| {
        let inputs = input.par_chunks(STRETCH).zip(residual.par_chunks(STRETCH));
        out.par_chunks_mut(STRETCH).zip(inputs).enumerate().for_each(|(stretch, (out, (x, residual)))| {
            kernels::dropout_add(x, residual, out, Mask::new(dropout, stretch as u64));
        });
    });
    tensor(out, x.layout().shape().clone())
}

/// Dropout alone; also the gradient of its input, from that of its output.
pub(super) fn dropout(x: &FlexTensor, dropout: Dropout) -> FlexTensor {
    if dropout.rate == 0.0 {
        return x.clone();
    }
    let input = values(x);
    let out = filled(input.len(), |out| {
        out.par_chunks_mut(STRETCH).zip(input.par_chunks(STRETCH)).enumerate().for_each(|(stretch, (out, x))| {
            kernels::dropout(x, out, Mask::new(dropout, stretch as u64));
        });
    });
    tensor(out, x.layout().shape().clone())
}

/// The normed rows, and each row's mean and reciprocal deviation for the backward pass.
pub(super) fn layer_norm(x: &FlexTensor, weight: &FlexTensor) -> (FlexTensor, Vec<f32>) {
    let (input, scale) = (values(x), values(weight));
    let width = scale.len();
    let mut moments = vec![0.0; 2 * (input.len() / width)];
    let out = filled(input.len(), |out| {
        let outputs = out.par_chunks_mut(ROWS * width).zip(moments.par_chunks_mut(ROWS * 2));
        outputs
            .zip(input.par_chunks(ROWS * width))
            .for_each(|((out, moments), x)| kernels::layer_norm(x, scale, out, moments));
    });
    (tensor(out, x.layout().shape().clone()), moments)
}

/// The gradients of the input and of the weight.
pub(super) fn layer_norm_backward(
    x: &FlexTensor,
    weight: &FlexTensor,
    mut gradient: FlexTensor,
    moments: &[f32],
) -> (FlexTensor, FlexTensor) {
    let (input, scale) = (values(x), values(weight));
    let width = scale.len();
    let inputs = input.par_chunks(ROWS * width).zip(moments.par_chunks(ROWS * 2));
    // Each task's share of the weight's gradient is added up in the tasks' order, whichever thread had made it.
    let shares: Vec<Vec<f32>> = gradient
        .storage_mut::<f32>()
        .par_chunks_mut(ROWS * width)
        .zip(inputs)
        .map(|(gradient, (x, moments))| {
            let mut of_weight = vec![0.0; width];
            kernels::layer_norm_backward(x, scale, gradient, moments, &mut of_weight);
            of_weight
        })
        .collect();
    let mut of_weight = vec![0.0; width];
    for share in shares {
        of_weight.iter_mut().zip(share).for_each(|(sum, one)| *sum += one);
    }
    (gradient, tensor(of_weight, weight.layout().shape().clone()))
}
