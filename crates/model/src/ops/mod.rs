//! The operations that a GPT's training spends its time in, each with a default composed of Burn's own operations. A backend
//! with a faster one overrides it; every other needs an empty implementation.
//!
//! Activations are matrices `[batch·time, columns]` throughout, so that no operation has to reshape them.

mod arguments;
mod composed;
mod flex;

#[cfg(any(feature = "cuda", feature = "vulkan"))]
use burn::backend::{Autodiff, autodiff::checkpoint::strategy::CheckpointStrategy};
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorPrimitive};

pub(crate) use self::arguments::{Dropout, Heads, Update};
pub(crate) use self::composed::split_heads;
use crate::Precision;

/// The operations of a GPT.
pub(crate) trait GptOps: Backend {
    /// Runs work of many operations where they are cheapest to launch. A GPU's are launched from the caller's thread, to which
    /// its queue belongs.
    fn run<R: Send>(work: impl FnOnce() -> R + Send) -> R {
        work()
    }

    /// Runs work of many operations on each item, in parallel where the backend can.
    fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Send + Sync) -> Vec<R> {
        items.iter().map(work).collect()
    }

    /// Causal self-attention, `softmax(q kᵀ/√d + mask) v` per head, with dropout on the attention weights.
    ///
    /// # Shapes
    /// `qkv` is `[batch·time, 3·embd]`: columns of queries, keys and values, each divided into heads. Returns
    /// `[batch·time, embd]`.
    fn causal_attention(qkv: FloatTensor<Self>, heads: Heads, dropout: Dropout) -> FloatTensor<Self> {
        lower(composed::causal_attention(lift::<Self, 2>(qkv), heads, dropout))
    }

    /// Causal self-attention without dropout, and its attention weights.
    ///
    /// # Shapes
    /// `qkv` as for [`GptOps::causal_attention`]. Returns the weights, `[batch, heads, query, key]`, and `[batch·time, embd]`.
    fn observed_attention(qkv: FloatTensor<Self>, heads: Heads) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (weights, attended) = composed::observed_attention(lift::<Self, 2>(qkv), heads);
        (lower(weights), lower(attended))
    }

    /// The exact GELU, `x·Φ(x)` (Hendrycks & Gimpel 2016).
    fn gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        lower(composed::gelu(lift::<Self, 2>(x)))
    }

    /// Layer normalisation over the last axis times `weight` (Ba et al. 2016), without bias.
    ///
    /// # Shapes
    /// `x` is `[batch·time, embd]`, `weight` `[embd]`.
    fn layer_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        lower(composed::layer_norm(lift::<Self, 2>(x), lift::<Self, 1>(weight)))
    }

    /// `x·Wᵀ`. Composed of Burn's operations it is float32 whatever the precision: `Trainer` allows no other there.
    ///
    /// # Shapes
    /// `x` is `[rows, in]`, `weight` `[out, in]`; returns `[rows, out]`.
    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, _: Precision) -> FloatTensor<Self> {
        lower(lift::<Self, 2>(x).matmul(lift::<Self, 2>(weight).transpose()))
    }

    /// Zeroes each value with the given probability and scales the others up.
    ///
    /// # Shapes
    /// `x` is a matrix.
    fn dropout(x: FloatTensor<Self>, dropout: Dropout) -> FloatTensor<Self> {
        lower(composed::dropout(lift::<Self, 2>(x), dropout))
    }

    /// `dropout(x) + residual`.
    fn dropout_add(x: FloatTensor<Self>, residual: FloatTensor<Self>, dropout: Dropout) -> FloatTensor<Self> {
        lower(composed::dropout(lift::<Self, 2>(x), dropout) + lift::<Self, 2>(residual))
    }

    /// KV caches with the keys and values of further tokens, from position `first` on.
    ///
    /// # Shapes
    /// Each cache is `[batch, heads, block, head_size]`, `qkv` `[batch·time, 3·embd]`.
    fn fill_caches(
        caches: [FloatTensor<Self>; 2],
        qkv: FloatTensor<Self>,
        heads: Heads,
        first: usize,
    ) -> [FloatTensor<Self>; 2] {
        composed::fill_caches(caches.map(lift::<Self, 4>), lift::<Self, 2>(qkv), heads, first).map(lower)
    }

    /// Attention of one query per head to the first `time` positions of a KV cache: the weights and the heads' outputs.
    ///
    /// # Shapes
    /// The query is `[batch, heads, 1, head_size]`, keys and values `[batch, heads, block, head_size]`; returns
    /// `[batch, heads, 1, time]` and `[batch, heads, head_size]`.
    fn attend(
        query: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        time: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let caches = [lift::<Self, 4>(keys), lift::<Self, 4>(values)];
        let (weights, outputs) = composed::attend(lift::<Self, 4>(query), caches, time);
        (lower(weights), lower(outputs))
    }

    /// `Σ‖g‖²` over flat gradients.
    fn square_sum(gradients: &[FloatTensor<Self>]) -> f64 {
        composed::square_sum(gradients.iter().map(|gradient| lift::<Self, 1>(gradient.clone())))
    }

    /// One AdamW update of a flat parameter; returns it and its moments.
    fn adamw(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        moments: [FloatTensor<Self>; 2],
        update: Update,
    ) -> (FloatTensor<Self>, [FloatTensor<Self>; 2]) {
        let moments = moments.map(lift::<Self, 1>);
        let (parameter, moments) =
            composed::adamw(lift::<Self, 1>(parameter), lift::<Self, 1>(gradient), moments, update);
        (lower(parameter), moments.map(lower))
    }
}

#[cfg(feature = "cuda")]
impl GptOps for burn::backend::Cuda {}
#[cfg(feature = "cuda")]
impl<C: CheckpointStrategy> GptOps for Autodiff<burn::backend::Cuda, C> {}

#[cfg(feature = "vulkan")]
impl GptOps for burn::backend::Vulkan {}
#[cfg(feature = "vulkan")]
impl<C: CheckpointStrategy> GptOps for Autodiff<burn::backend::Vulkan, C> {}

fn lift<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

fn lower<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}

pub(crate) fn causal_attention<B: GptOps>(qkv: Tensor<B, 2>, heads: Heads, dropout: Dropout) -> Tensor<B, 2> {
    lift(B::causal_attention(lower(qkv), heads, dropout))
}

pub(crate) fn observed_attention<B: GptOps>(qkv: Tensor<B, 2>, heads: Heads) -> (Tensor<B, 4>, Tensor<B, 2>) {
    let (weights, attended) = B::observed_attention(lower(qkv), heads);
    (lift(weights), lift(attended))
}

pub(crate) fn linear<B: GptOps>(x: Tensor<B, 2>, weight: Tensor<B, 2>, precision: Precision) -> Tensor<B, 2> {
    lift(<B as GptOps>::linear(lower(x), lower(weight), precision))
}

pub(crate) fn dropout<B: GptOps>(x: Tensor<B, 2>, dropout: Dropout) -> Tensor<B, 2> {
    lift(B::dropout(lower(x), dropout))
}

pub(crate) fn fill_caches<B: GptOps>(
    caches: [Tensor<B, 4>; 2],
    qkv: Tensor<B, 2>,
    heads: Heads,
    first: usize,
) -> [Tensor<B, 4>; 2] {
    B::fill_caches(caches.map(lower), lower(qkv), heads, first).map(lift)
}

pub(crate) fn attend<B: GptOps>(
    query: Tensor<B, 4>,
    keys: Tensor<B, 4>,
    values: Tensor<B, 4>,
    time: usize,
) -> (Tensor<B, 4>, Tensor<B, 3>) {
    let (weights, outputs) = B::attend(lower(query), lower(keys), lower(values), time);
    (lift(weights), lift(outputs))
}

pub(crate) fn square_sum<B: GptOps>(gradients: &[Tensor<B, 1>]) -> f64 {
    B::square_sum(&gradients.iter().map(|gradient| lower(gradient.clone())).collect::<Vec<_>>())
}

pub(crate) fn gelu<B: GptOps>(x: Tensor<B, 2>) -> Tensor<B, 2> {
    lift(<B as GptOps>::gelu(lower(x)))
}

pub(crate) fn layer_norm<B: GptOps>(x: Tensor<B, 2>, weight: Tensor<B, 1>) -> Tensor<B, 2> {
    lift(<B as GptOps>::layer_norm(lower(x), lower(weight)))
}

pub(crate) fn dropout_add<B: GptOps>(x: Tensor<B, 2>, residual: Tensor<B, 2>, dropout: Dropout) -> Tensor<B, 2> {
    lift(B::dropout_add(lower(x), lower(residual), dropout))
}

pub(crate) fn adamw<B: GptOps>(
    parameter: Tensor<B, 1>,
    gradient: Tensor<B, 1>,
    moments: [Tensor<B, 1>; 2],
    update: Update,
) -> (Tensor<B, 1>, [Tensor<B, 1>; 2]) {
    let (parameter, moments) = B::adamw(lower(parameter), lower(gradient), moments.map(lower), update);
    (lift(parameter), moments.map(lift))
}
