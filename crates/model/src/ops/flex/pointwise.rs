//! Operations on each value, or on each row of values, by itself.

use std::mem::MaybeUninit;

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::kernels::{self, Mask};
use super::storage::{filled, shape, tensor, values};
use crate::ops::arguments::Dropout;

/// Values per task, and per dropout seed.
const CHUNK: usize = 1 << 14;
/// Rows per task.
const ROWS: usize = 64;

pub(super) fn gelu(x: &FlexTensor) -> FlexTensor {
    let input = values(x);
    let fill = |out: &mut [MaybeUninit<f32>]| {
        out.par_chunks_mut(CHUNK).zip(input.par_chunks(CHUNK)).for_each(|(out, x)| kernels::gelu(x, out));
    };
    // SAFETY: as many values are written as are read.
    let out = unsafe { filled(input.len(), fill) };
    tensor(out, shape::<2>(x))
}

pub(super) fn gelu_backward(x: &FlexTensor, mut gradient: FlexTensor) -> FlexTensor {
    let outputs = gradient.storage_mut::<f32>().par_chunks_mut(CHUNK);
    outputs.zip(values(x).par_chunks(CHUNK)).for_each(|(gradient, x)| kernels::gelu_backward(x, gradient));
    gradient
}

pub(super) fn dropout_add(x: &FlexTensor, residual: &FlexTensor, dropout: Dropout) -> FlexTensor {
    let (input, residual) = (values(x), values(residual));
    assert_eq!(input.len(), residual.len(), "the residual stream has the shape of what is added to it");
    let fill = |out: &mut [MaybeUninit<f32>]| {
        let inputs = input.par_chunks(CHUNK).zip(residual.par_chunks(CHUNK));
        out.par_chunks_mut(CHUNK).zip(inputs).enumerate().for_each(|(chunk, (out, (x, residual)))| {
            kernels::dropout_add(x, residual, out, Mask::new(dropout, chunk as u64));
        });
    };
    // SAFETY: as many values are written as are read of both.
    let out = unsafe { filled(input.len(), fill) };
    tensor(out, shape::<2>(x))
}

/// Dropout alone; also the gradient of its input, from that of its output.
pub(super) fn dropout(x: &FlexTensor, dropout: Dropout) -> FlexTensor {
    if dropout.rate == 0.0 {
        return x.clone();
    }
    let input = values(x);
    let fill = |out: &mut [MaybeUninit<f32>]| {
        out.par_chunks_mut(CHUNK).zip(input.par_chunks(CHUNK)).enumerate().for_each(|(chunk, (out, x))| {
            kernels::dropout(x, out, Mask::new(dropout, chunk as u64));
        });
    };
    // SAFETY: as many values are written as are read.
    let out = unsafe { filled(input.len(), fill) };
    tensor(out, shape::<2>(x))
}

/// The normalised rows, and each row's mean and reciprocal standard deviation for the backward pass.
pub(super) fn layer_norm(x: &FlexTensor, weight: &FlexTensor) -> (FlexTensor, Vec<f32>) {
    let (input, scale) = (values(x), values(weight));
    let width = scale.len();
    assert!(width > 0 && input.len().is_multiple_of(width), "a layer norm's weight has a value per column");
    let mut moments = vec![0.0; 2 * (input.len() / width)];
    let fill = |out: &mut [MaybeUninit<f32>]| {
        let outputs = out.par_chunks_mut(ROWS * width).zip(moments.par_chunks_mut(ROWS * 2));
        outputs
            .zip(input.par_chunks(ROWS * width))
            .for_each(|((out, moments), x)| kernels::layer_norm(x, scale, out, moments));
    };
    // SAFETY: the input is whole rows, of which every value is written.
    let out = unsafe { filled(input.len(), fill) };
    (tensor(out, shape::<2>(x)), moments)
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
    // The tasks' sums are added in order, whichever thread computed them.
    let sums: Vec<Vec<f32>> = gradient
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
    for task in sums {
        of_weight.iter_mut().zip(task).for_each(|(sum, one)| *sum += one);
    }
    (gradient, tensor(of_weight, [width]))
}
