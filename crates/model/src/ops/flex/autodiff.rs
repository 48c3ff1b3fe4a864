//! The operations that training differentiates, and their backward passes.

use std::sync::Arc;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::{Flex, FlexTensor};
use burn::tensor::ops::FloatTensor;

use super::{attention, linear, pointwise, pool};
use crate::Precision;
use crate::ops::GptOps;
use crate::ops::arguments::{Dropout, Heads};

impl<C: CheckpointStrategy> GptOps for Autodiff<Flex, C> {
    fn run<R: Send>(work: impl FnOnce() -> R + Send) -> R {
        pool::run(work)
    }

    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, precision: Precision) -> FloatTensor<Self> {
        let (input, matrix) = (x.primitive.to_contiguous(), weight.primitive.to_contiguous());
        let output = linear::linear(&input, &matrix, precision);
        match Linear.prepare::<C>([x.node, weight.node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(LinearState { x: input, weight: matrix, precision }, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn causal_attention(qkv: FloatTensor<Self>, heads: Heads, dropout: Dropout) -> FloatTensor<Self> {
        let input = qkv.primitive.to_contiguous();
        let (output, log_sums) = attention::forward(&input, heads, dropout);
        match Attention.prepare::<C>([qkv.node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let state =
                    AttentionState { qkv: input, output: output.clone(), log_sums: log_sums.into(), heads, dropout };
                prepared.finish(state, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let input = x.primitive.to_contiguous();
        let output = pointwise::gelu(&input);
        match Gelu.prepare::<C>([x.node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(input, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn layer_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let (input, scale) = (x.primitive.to_contiguous(), weight.primitive.to_contiguous());
        let (output, moments) = pointwise::layer_norm(&input, &scale);
        match LayerNorm.prepare::<C>([x.node, weight.node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                prepared.finish(LayerNormState { x: input, weight: scale, moments: moments.into() }, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn dropout(x: FloatTensor<Self>, dropout: Dropout) -> FloatTensor<Self> {
        let output = pointwise::dropout(&x.primitive.to_contiguous(), dropout);
        match DropoutAlone.prepare::<C>([x.node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(dropout, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn dropout_add(x: FloatTensor<Self>, residual: FloatTensor<Self>, dropout: Dropout) -> FloatTensor<Self> {
        let output = pointwise::dropout_add(&x.primitive.to_contiguous(), &residual.primitive.to_contiguous(), dropout);
        match DropoutAdd.prepare::<C>([x.node, residual.node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(dropout, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

#[derive(Debug)]
struct Linear;

#[derive(Clone, Debug)]
struct LinearState {
    x: FlexTensor,
    weight: FlexTensor,
    precision: Precision,
}

impl Backward<Flex, 2> for Linear {
    type State = LinearState;

    fn backward(self, ops: Ops<LinearState, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let ([x, weight], LinearState { x: input, weight: matrix, precision }) = (ops.parents, ops.state);
        // At once: two products of one size, of which each thread takes one, so that neither waits for the other inside a product.
        let (of_weight, of_x) = rayon::join(
            || weight.map(|weight| (weight.id, linear::linear_backward_weight(&gradient, &input, precision))),
            || x.map(|x| (x.id, linear::linear_backward_input(&gradient, &matrix, precision))),
        );
        for (id, gradient) in [of_weight, of_x].into_iter().flatten() {
            gradients.register::<Flex>(id, gradient);
        }
    }
}

#[derive(Debug)]
struct Attention;

#[derive(Clone, Debug)]
struct AttentionState {
    qkv: FlexTensor,
    output: FlexTensor,
    log_sums: Arc<[f32]>,
    heads: Heads,
    dropout: Dropout,
}

impl Backward<Flex, 1> for Attention {
    type State = AttentionState;

    fn backward(self, ops: Ops<AttentionState, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [qkv] = ops.parents;
        let AttentionState { qkv: input, output, log_sums, heads, dropout } = ops.state;
        if let Some(qkv) = qkv {
            let forward = attention::Forward { qkv: &input, output: &output, log_sums: &log_sums, heads, dropout };
            gradients.register::<Flex>(qkv.id, attention::backward(forward, &gradient));
        }
    }
}

#[derive(Debug)]
struct Gelu;

impl Backward<Flex, 1> for Gelu {
    type State = FlexTensor;

    fn backward(self, ops: Ops<FlexTensor, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [x] = ops.parents;
        if let Some(x) = x {
            gradients.register::<Flex>(x.id, pointwise::gelu_backward(&ops.state, gradient));
        }
    }
}

#[derive(Debug)]
struct LayerNorm;

#[derive(Clone, Debug)]
struct LayerNormState {
    x: FlexTensor,
    weight: FlexTensor,
    moments: Arc<[f32]>,
}

impl Backward<Flex, 2> for LayerNorm {
    type State = LayerNormState;

    fn backward(self, ops: Ops<LayerNormState, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [x, weight] = ops.parents;
        let state = ops.state;
        let (of_x, of_weight) = pointwise::layer_norm_backward(&state.x, &state.weight, gradient, &state.moments);
        if let Some(x) = x {
            gradients.register::<Flex>(x.id, of_x);
        }
        if let Some(weight) = weight {
            gradients.register::<Flex>(weight.id, of_weight);
        }
    }
}

#[derive(Debug)]
struct DropoutAlone;

impl Backward<Flex, 1> for DropoutAlone {
    type State = Dropout;

    fn backward(self, ops: Ops<Dropout, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [x] = ops.parents;
        if let Some(x) = x {
            gradients.register::<Flex>(x.id, pointwise::dropout(&gradient, ops.state));
        }
    }
}

#[derive(Debug)]
struct DropoutAdd;

impl Backward<Flex, 2> for DropoutAdd {
    type State = Dropout;

    fn backward(self, ops: Ops<Dropout, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [x, residual] = ops.parents;
        if let Some(x) = x {
            gradients.register::<Flex>(x.id, pointwise::dropout(&gradient, ops.state));
        }
        if let Some(residual) = residual {
            gradients.register::<Flex>(residual.id, gradient);
        }
    }
}
