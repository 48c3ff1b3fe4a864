//! Matrix products over memory as it lies, and the linear layers made of them.

use std::mem::MaybeUninit;

use burn::backend::flex::FlexTensor;
use burn::tensor::Shape;
use gemm::Parallelism;
use rayon::prelude::*;

use super::{filled, inner, int16, kernels, tensor, values};
use crate::Precision;

/// A matrix in memory that others may share: where it starts and how far its rows and columns are apart.
#[derive(Clone, Copy)]
pub(super) struct Strided {
    pub(super) start: *const f32,
    pub(super) row: usize,
    pub(super) column: usize,
}

// SAFETY: nobody writes what is multiplied while it is: see `product`.
unsafe impl Send for Strided {}
// SAFETY: as above.
unsafe impl Sync for Strided {}

impl Strided {
    /// Rows that lie `row` apart, from the value `first` on.
    pub(super) fn rows_of(values: &[f32], first: usize, row: usize) -> Self {
        Self { start: values[first..].as_ptr(), row, column: 1 }
    }

    pub(super) fn transposed(self) -> Self {
        Self { row: self.column, column: self.row, ..self }
    }
}

/// How lines and the sum lie in a matrix in memory, one of the two without gaps.
#[derive(Clone, Copy)]
pub(super) struct Lines {
    pub(super) matrix: Strided,
    /// How far lines are apart, and values along the sum.
    pub(super) line: usize,
    pub(super) along: usize,
    pub(super) lines: usize,
    pub(super) inner: usize,
}

impl Lines {
    pub(super) fn of_left(matrix: Strided, rows: usize, inner: usize) -> Self {
        Self { matrix, line: matrix.row, along: matrix.column, lines: rows, inner }
    }

    pub(super) fn of_right(matrix: Strided, columns: usize, inner: usize) -> Self {
        Self { matrix, line: matrix.column, along: matrix.row, lines: columns, inner }
    }
}

/// Values along a sum that `gemm` never cuts, whatever the processor's caches. Longer sums it cuts where the caches tell it to, and
/// then they round differently on another processor; so they are cut here.
const WHOLE: usize = 512;

/// `out = [out +] factor · left · right`, `out` of rows `row` apart.
///
/// # Safety
/// The matrices, of `rows × inner`, `inner × columns` and `rows × columns` values, must lie in memory that is theirs, and nothing else
/// may read or write `out` meanwhile.
pub(super) unsafe fn product(
    [rows, columns, inner]: [usize; 3],
    (out, out_row): (*mut f32, usize),
    add: bool,
    left: Strided,
    right: Strided,
    factor: f32,
    threads: Parallelism,
) {
    let part = inner.div_ceil(inner.div_ceil(WHOLE).max(1)).max(1);
    for first in (0..inner.max(1)).step_by(part) {
        // SAFETY: passed on to the caller; `first` is a column of the left matrix and a row of the right one.
        unsafe {
            gemm::gemm(
                rows,
                columns,
                part.min(inner - first),
                out,
                1,
                out_row as isize,
                add || first > 0,
                left.start.add(first * left.column),
                left.column as isize,
                left.row as isize,
                right.start.add(first * right.row),
                right.column as isize,
                right.row as isize,
                1.0,
                factor,
                false,
                false,
                false,
                threads,
            );
        }
    }
}

/// Up to so many rows, a weight's memory is read for little arithmetic, and a matrix product would only repack it.
const FEW: usize = 128;
/// Outputs a task, where rows are few.
const OUTPUTS: usize = 32;
/// Values a task, where each is rounded alone.
const STRETCH: usize = 1 << 14;

/// `x·Wᵀ`.
///
/// # Shapes
/// `x` is `[rows, in]`, the weight `[out, in]`; returns `[rows, out]`.
pub(super) fn linear(x: &FlexTensor, weight: &FlexTensor, precision: Precision) -> FlexTensor {
    let ([rows, inputs], [outputs, _]) = (shape(x), shape(weight));
    if rows <= FEW && precision == Precision::Float32 {
        return tensor(
            row_by_row(values(x), values(weight), [rows, inputs, outputs]),
            Shape::from(vec![rows, outputs]),
        );
    }
    let transposed = Strided::rows_of(values(weight), 0, inputs).transposed();
    whole([rows, outputs, inputs], Strided::rows_of(values(x), 0, inputs), transposed, precision)
}

/// [`linear`] by inner products: a row's result does not depend on how many there are.
fn row_by_row(x: &[f32], weight: &[f32], [rows, inputs, outputs]: [usize; 3]) -> Vec<f32> {
    // A task's outputs side by side, row after row.
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
    let ([rows, outputs], [_, inputs]) = (shape(gradient), shape(weight));
    whole(
        [rows, inputs, outputs],
        Strided::rows_of(values(gradient), 0, outputs),
        Strided::rows_of(values(weight), 0, inputs),
        precision,
    )
}

/// The gradient of [`linear`]'s weight, `gᵀ·x`.
pub(super) fn linear_backward_weight(gradient: &FlexTensor, x: &FlexTensor, precision: Precision) -> FlexTensor {
    let ([rows, outputs], [_, inputs]) = (shape(gradient), shape(x));
    whole(
        [outputs, inputs, rows],
        Strided::rows_of(values(gradient), 0, outputs).transposed(),
        Strided::rows_of(values(x), 0, inputs),
        precision,
    )
}

fn shape(matrix: &FlexTensor) -> [usize; 2] {
    matrix.layout().shape()[..].try_into().expect("activations and weights are matrices")
}

/// A product on all threads, as a matrix of its own.
fn whole([rows, columns, inner]: [usize; 3], left: Strided, right: Strided, precision: Precision) -> FlexTensor {
    let out = filled(rows * columns, |out: &mut [MaybeUninit<f32>]| {
        // SAFETY: the callers hand over whole matrices without gaps, and `out` is nobody else's.
        unsafe {
            match precision {
                Precision::Float32 => float32([rows, columns, inner], out, left, right),
                Precision::Bf16 => bf16([rows, columns, inner], out, left, right),
                Precision::Int16 => int16::product([rows, columns, inner], out, left, right),
            }
        };
    });
    tensor(out, Shape::from(vec![rows, columns]))
}

unsafe fn float32(shape: [usize; 3], out: &mut [MaybeUninit<f32>], left: Strided, right: Strided) {
    // SAFETY: passed on to the caller.
    unsafe { product(shape, (out.as_mut_ptr().cast(), shape[1]), false, left, right, 1.0, Parallelism::Rayon(0)) };
}

/// By tiles where the processor has them; elsewhere rounded first, and multiplied as float32.
unsafe fn bf16(shape: [usize; 3], out: &mut [MaybeUninit<f32>], left: Strided, right: Strided) {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if super::amx::is_here() {
        // SAFETY: the tiles are here; the rest is passed on to the caller.
        return unsafe { super::amx::product(shape, out, left, right) };
    }
    let [rows, columns, inner] = shape;
    // SAFETY: both matrices are whole and without gaps, so they are so many values from their start on; their roundings
    // lie in the same way.
    unsafe {
        let (left_values, right_values) = (rounded(left, rows * inner), rounded(right, inner * columns));
        let (left, right) =
            (Strided { start: left_values.as_ptr(), ..left }, Strided { start: right_values.as_ptr(), ..right });
        float32(shape, out, left, right);
    }
}

/// The values of a matrix, each rounded to the nearest bfloat16, ties to even.
unsafe fn rounded(matrix: Strided, count: usize) -> Vec<f32> {
    // SAFETY: passed on to the caller.
    let values = unsafe { std::slice::from_raw_parts(matrix.start, count) };
    filled(count, |out| {
        out.par_chunks_mut(STRETCH)
            .zip(values.par_chunks(STRETCH))
            .for_each(|(out, values)| kernels::round_to_bf16(values, out));
    })
}
