//! The attention patterns and head outputs of a model in a window of text.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::gpt::{Gpt, Linear};
use crate::host::{to_host, tokens};
use crate::ops::{self, Dropout, GptOps, Heads};

/// All attention in one window of text.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// For each layer, head and query `i` in order, the `i + 1` weights of that row: post-softmax, without dropout.
    pub weights: Vec<f32>,
    /// For each layer, head and query, the L2 norm of what the head adds to the residual stream,
    /// `‖(Σ_j A[i,j] v_j) W_O^h‖₂`.
    pub output_norms: Vec<f32>,
}

/// All attention of a model in one window.
pub(crate) fn observe<B: GptOps>(gpt: &Gpt<B>, window: &[u16]) -> Observation {
    let time = window.len();
    let heads = Heads { batch: 1, heads: gpt.config.n_head };
    let (mut weights, mut output_norms) = (Vec::new(), Vec::new());
    let mut x = gpt.embed(tokens(window, 1, &gpt.device()), 0);
    for layer in 0..gpt.config.n_layer {
        let block = gpt.block(layer);
        let qkv = block.qkv(x.clone());
        let (matrices, attended) = ops::observed_attention(qkv, heads);
        let outputs = attended.clone().reshape([time, heads.heads, gpt.config.head_size()]);
        // From [query, head] to [head, query].
        let norms = to_host(head_output_norms(&block.c_proj, outputs));
        output_norms.extend(
            (0..heads.heads)
                .flat_map(|head| (0..time).map(move |query| query * heads.heads + head))
                .map(|at| norms[at]),
        );
        let matrices = to_host(matrices);
        weights.extend(matrices.chunks_exact(time).enumerate().flat_map(|(row, keys)| &keys[..=row % time]));
        if layer + 1 < gpt.config.n_layer {
            x = block.project_and_mlp(x, attended, [Dropout::OFF; 2]);
        }
    }
    Observation { weights, output_norms }
}

/// The L2 norms of what each head adds to the residual stream.
///
/// # Shapes
/// `outputs` are the heads' outputs before the projection, `[rows, heads, head_size]`; returns `[rows, heads]`.
pub(crate) fn head_output_norms<B: Backend>(c_proj: &Linear<B>, outputs: Tensor<B, 3>) -> Tensor<B, 2> {
    let [_, heads, head_size] = outputs.dims();
    let [embd, _] = c_proj.weight.dims();
    let slices = c_proj.weight.clone().reshape([embd, heads, head_size]).permute([1, 2, 0]);
    let added = outputs.swap_dims(0, 1).matmul(slices);
    added.powi_scalar(2).sum_dim(2).sqrt().squeeze_dim::<2>(2).transpose()
}
