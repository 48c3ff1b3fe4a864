//! AdamW in place, and the norm that gradients are clipped by.

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::kernels;
use super::storage::values;
use crate::ops::arguments::Update;

/// Values per task.
const CHUNK: usize = 1 << 14;

/// The updated parameter and moments, in place where the tensors have no other owner.
pub(super) fn update(
    mut parameter: FlexTensor,
    gradient: &FlexTensor,
    [mut first, mut second]: [FlexTensor; 2],
    update: Update,
) -> (FlexTensor, [FlexTensor; 2]) {
    let gradient = values(gradient);
    let lengths = [&parameter, &first, &second].map(|tensor| values(tensor).len());
    assert_eq!(lengths, [gradient.len(); 3], "a gradient and two moments for every value");
    let moments = first.storage_mut().par_chunks_mut(CHUNK).zip(second.storage_mut().par_chunks_mut(CHUNK));
    parameter.storage_mut().par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK)).zip(moments).for_each(
        |((parameter, gradient), (first, second))| kernels::adamw(parameter, gradient, first, second, &update),
    );
    (parameter, [first, second])
}

/// `Σ g²`; the chunks' sums are added in order, whichever thread computed them.
pub(super) fn square_sum(gradient: &FlexTensor) -> f64 {
    let sums: Vec<f32> = values(gradient).par_chunks(CHUNK).map(kernels::square_sum).collect();
    sums.into_iter().map(f64::from).sum()
}
