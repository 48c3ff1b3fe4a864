//! AdamW in place, and the norm that gradients are clipped by.

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::{kernels, values};
use crate::ops::Update;

/// Values a task.
const STRETCH: usize = 1 << 14;

/// The updated parameter and moments, in the memory of the old ones where nobody else holds it.
pub(super) fn update(
    mut parameter: FlexTensor,
    gradient: &FlexTensor,
    [mut first, mut second]: [FlexTensor; 2],
    update: Update,
) -> (FlexTensor, [FlexTensor; 2]) {
    let moments = first.storage_mut().par_chunks_mut(STRETCH).zip(second.storage_mut().par_chunks_mut(STRETCH));
    parameter.storage_mut().par_chunks_mut(STRETCH).zip(values(gradient).par_chunks(STRETCH)).zip(moments).for_each(
        |((parameter, gradient), (first, second))| kernels::adamw(parameter, gradient, first, second, &update),
    );
    (parameter, [first, second])
}

/// `Σ g²`, each stretch's share added up in the stretches' order.
pub(super) fn square_sum(gradient: &FlexTensor) -> f64 {
    let shares: Vec<f32> = values(gradient).par_chunks(STRETCH).map(kernels::square_sum).collect();
    shares.into_iter().map(f64::from).sum()
}
