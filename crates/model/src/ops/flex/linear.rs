//! Linear layers and their gradients, in each precision.

use std::mem::MaybeUninit;

use burn::backend::flex::FlexTensor;
use gemm::Parallelism;
use rayon::prelude::*;

use super::matrix::Matrix;
use super::product::Product;
use super::storage::{filled, shape, tensor, values};
use super::{inner, int16, kernels};
use crate::Precision;

/// Up to this many rows, reading the weight dominates, and a matrix product would also repack it.
const FEW: usize = 128;
/// Outputs per task, where rows are few.
const OUTPUTS: usize = 32;
/// Values per task of an elementwise pass.
const CHUNK: usize = 1 << 14;

/// `x·Wᵀ`.
///
/// # Shapes
/// `x` is `[rows, in]`, the weight `[out, in]`; returns `[rows, out]`.
pub(super) fn linear(x: &FlexTensor, weight: &FlexTensor, precision: Precision) -> FlexTensor {
    let ([rows, inputs], [outputs, width]) = (shape(x), shape(weight));
    assert_eq!(inputs, width, "a weight takes as many inputs as there are");
    if rows <= FEW && precision == Precision::Float32 {
        return tensor(few_rows(values(x), values(weight), [rows, inputs, outputs]), [rows, outputs]);
    }
    product(matrix(x), matrix(weight).transposed(), precision)
}

/// [`linear`] by inner products: a row's result does not depend on how many rows there are.
fn few_rows(x: &[f32], weight: &[f32], [rows, inputs, outputs]: [usize; 3]) -> Vec<f32> {
    // Each task's outputs lie together, row after row.
    let mut by_task = vec![0.0; rows * outputs];
    let tasks = by_task.par_chunks_mut(rows * OUTPUTS).zip(weight.par_chunks(OUTPUTS * inputs));
    tasks.for_each(|(out, weight)| inner::products(x, weight, inputs, out));
    if rows == 1 {
        return by_task;
    }
    let mut by_row = Vec::with_capacity(rows * outputs);
    for row in 0..rows {
        for task in by_task.chunks(rows * OUTPUTS) {
            by_row.extend_from_slice(&task[row * task.len() / rows..][..task.len() / rows]);
        }
    }
    by_row
}

/// The gradient of [`linear`]'s input, `g·W`.
pub(super) fn linear_backward_input(gradient: &FlexTensor, weight: &FlexTensor, precision: Precision) -> FlexTensor {
    product(matrix(gradient), matrix(weight), precision)
}

/// The gradient of [`linear`]'s weight, `gᵀ·x`.
pub(super) fn linear_backward_weight(gradient: &FlexTensor, x: &FlexTensor, precision: Precision) -> FlexTensor {
    product(matrix(gradient).transposed(), matrix(x), precision)
}

fn matrix(tensor: &FlexTensor) -> Matrix<'_> {
    let [_, columns] = shape(tensor);
    Matrix::of_rows(values(tensor), columns)
}

/// `A·B` on all threads.
fn product(a: Matrix, b: Matrix, precision: Precision) -> FlexTensor {
    assert_eq!(a.columns(), b.rows(), "inner dimensions of a product");
    let fill = |c: &mut [MaybeUninit<f32>]| match precision {
        Precision::Float32 => float32(a, b, c),
        Precision::Bf16 => bf16(a, b, c),
        Precision::Int16 => int16::product(a, b, c),
    };
    // SAFETY: in every precision, a product initialises all of its result.
    let c = unsafe { filled(a.rows() * b.columns(), fill) };
    tensor(c, [a.rows(), b.columns()])
}

fn float32(a: Matrix, b: Matrix, c: &mut [MaybeUninit<f32>]) {
    assert_eq!(c.len(), a.rows() * b.columns(), "a product of M by N");
    let product = Product { a, b, alpha: 1.0, accumulate: false, threads: Parallelism::Rayon(0) };
    // SAFETY: `c` is exclusive and has M rows of N values.
    unsafe { product.compute(c.as_mut_ptr().cast(), b.columns()) };
}

/// With AMX's tiles where the processor has them; elsewhere rounded first, and multiplied as float32.
fn bf16(a: Matrix, b: Matrix, c: &mut [MaybeUninit<f32>]) {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if super::amx::product(a, b, c) {
        return;
    }
    let (a_values, b_values) = (rounded(a.values()), rounded(b.values()));
    float32(a.over(&a_values), b.over(&b_values), c);
}

/// Each value rounded to the nearest bfloat16, ties to even.
fn rounded(values: &[f32]) -> Vec<f32> {
    let fill = |out: &mut [MaybeUninit<f32>]| {
        let chunks = out.par_chunks_mut(CHUNK).zip(values.par_chunks(CHUNK));
        chunks.for_each(|(out, values)| kernels::round_to_bf16(values, out));
    };
    // SAFETY: as many values are rounded as there are.
    unsafe { filled(values.len(), fill) }
}
