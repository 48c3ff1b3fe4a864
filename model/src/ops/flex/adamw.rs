//! AdamW in place.

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::{kernels, tensor, values};
use crate::ops::Update;

/// Values a task.
const STRETCH: usize = 1 << 14;

/// The updated parameter and moments.
pub(super) fn update(
    parameter: FlexTensor,
    gradient: &FlexTensor,
    [first, second]: [FlexTensor; 2],
    update: Update,
) -> (FlexTensor, [FlexTensor; 2]) {
    let shape = parameter.layout().shape().clone();
    let [mut parameter, mut first, mut second] =
        [parameter, first, second].map(|one| values(&one.to_contiguous()).to_vec());
    let moments = first.par_chunks_mut(STRETCH).zip(second.par_chunks_mut(STRETCH));
    parameter.par_chunks_mut(STRETCH).zip(values(gradient).par_chunks(STRETCH)).zip(moments).for_each(
        |((parameter, gradient), (first, second))| kernels::adamw(parameter, gradient, first, second, &update),
    );
    let made = |values| tensor(values, shape.clone());
    (made(parameter), [made(first), made(second)])
}
