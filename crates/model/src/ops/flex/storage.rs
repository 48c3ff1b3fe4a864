//! The memory of tensors.

use std::mem::MaybeUninit;

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};

/// The values of a contiguous float32 tensor.
pub(super) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("the model computes in float32, and the tensor was made contiguous")
}

/// The sizes of a tensor's axes.
pub(super) fn shape<const D: usize>(tensor: &FlexTensor) -> [usize; D] {
    tensor.layout().shape()[..].try_into().expect("the operation's documented number of axes")
}

pub(super) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    assert_eq!(values.len(), shape.iter().product::<usize>(), "as many values as the shape says");
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(Shape::from(shape.to_vec())), DType::F32)
}

/// `count` values that `fill` writes: clearing them first would be one more pass over memory.
///
/// # Safety
/// `fill` must initialise every value.
pub(super) unsafe fn filled(count: usize, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut values = Vec::with_capacity(count);
    fill(&mut values.spare_capacity_mut()[..count]);
    // SAFETY: the capacity is at least `count`, and the caller has all of it initialised.
    unsafe { values.set_len(count) };
    values
}
