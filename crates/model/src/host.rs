//! Tensors to and from the host.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};

/// A batch of sequences of one length as a tensor.
///
/// # Shapes
/// `[batch, time]`, from as many tokens row by row.
pub(crate) fn tokens<B: Backend>(tokens: &[u16], batch: usize, device: &B::Device) -> Tensor<B, 2, Int> {
    let values: Vec<i32> = tokens.iter().map(|&token| i32::from(token)).collect();
    Tensor::from_data(TensorData::new(values, [batch, tokens.len() / batch]), device)
}

/// A tensor's values, row-major.
pub(crate) fn to_host<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().into_vec().expect("converted to float32 the line before")
}
