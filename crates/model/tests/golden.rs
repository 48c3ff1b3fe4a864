//! The model against an independent implementation in PyTorch (`python/model_golden.py`): the same weights and texts
//! give the same logits, loss, attention, gradients and updated weights.

use std::collections::BTreeMap;

use model::{
    AdamW, Batch, ContextPolicy, Decoder, Device, GptConfig, Model, Precision, StepOptions, Tensor, Trainer,
    TrainerConfig, TrainerState, Weights,
};
use serde::Deserialize;

/// The tests run on the device that the build is for: `cargo test -p model --features vulkan` runs them on a GPU.
const DEVICE: Device = if cfg!(feature = "cuda") {
    Device::Cuda
} else if cfg!(feature = "vulkan") {
    Device::Vulkan
} else {
    Device::Cpu
};

/// Absolute, in float32.
const TOLERANCE: f64 = 1e-4;

const TRAINER: TrainerConfig = TrainerConfig {
    device: DEVICE,
    precision: Precision::Float32,
    adamw: AdamW { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1 },
};

const STEP: StepOptions = StepOptions { learning_rate: 1e-3, grad_clip: 1.0, dropout_seed: 0, track_attention: false };

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    config: Shape,
    tokens: Values<u16>,
    targets: Values<u16>,
    weights: BTreeMap<String, Values<f32>>,
    logits: Values<f32>,
    loss: f64,
    /// `[layer, batch, head, query, key]`.
    attention: Values<f32>,
    /// `[layer, batch, head, query]`.
    output_norms: Values<f32>,
    gradients: BTreeMap<String, Values<f32>>,
    adamw: Updates,
}

#[derive(Deserialize)]
struct Shape {
    n_layer: usize,
    n_head: usize,
    n_embd: usize,
    block_size: usize,
    vocab_size: usize,
    bias: bool,
}

#[derive(Deserialize)]
struct Values<T> {
    shape: Vec<usize>,
    values: Vec<T>,
}

#[derive(Deserialize)]
struct Updates {
    learning_rate: f64,
    grad_norms: Vec<f64>,
    weights: BTreeMap<String, Values<f32>>,
    /// First and last index of what rounding alone decides.
    undetermined: BTreeMap<String, [usize; 2]>,
}

impl Case {
    fn config(&self) -> GptConfig {
        let Shape { n_layer, n_head, n_embd, block_size, vocab_size, bias } = self.config;
        GptConfig { n_layer, n_head, n_embd, block_size, vocab_size, bias, dropout: 0.0 }
    }

    fn weights(&self) -> Weights {
        let config = self.config();
        let tensor = |parameter: model::ParameterShape| {
            let golden = &self.weights[&parameter.name];
            assert_eq!(golden.shape, parameter.shape, "{}", parameter.name);
            Tensor { values: golden.values.clone(), name: parameter.name, shape: parameter.shape }
        };
        Weights { config, tensors: config.parameters().into_iter().map(tensor).collect() }
    }

    fn batch(&self) -> Batch {
        Batch { size: self.tokens.shape[0], inputs: self.tokens.values.clone(), targets: self.targets.values.clone() }
    }

    fn trainer(&self) -> Trainer {
        Trainer::new(TRAINER, TrainerState::initial(self.weights())).expect("the device is there")
    }

    fn model(&self) -> Model {
        Model::new(DEVICE, self.weights()).expect("the device is there")
    }
}

fn cases() -> Vec<Case> {
    serde_json::from_str::<Golden>(include_str!("golden/gpt.json")).expect("the golden file").cases
}

fn assert_close(what: &str, ours: &[f32], golden: &[f32]) {
    assert_eq!(ours.len(), golden.len(), "{what}");
    let differences = ours.iter().zip(golden).map(|(one, other)| f64::from((one - other).abs()));
    let largest = differences.fold(0.0, f64::max);
    assert!(largest <= TOLERANCE, "{what}: the largest difference is {largest:e}");
}

#[test]
fn logits_and_loss() {
    for case in cases() {
        let batch = case.batch();
        assert_close("logits", &case.model().logits(&batch.inputs, batch.size), &case.logits.values);
        let loss = case.trainer().evaluate(&batch);
        assert!((loss - case.loss).abs() <= TOLERANCE, "{loss} is not {}", case.loss);
    }
}

#[test]
fn attention_and_output_norms() {
    for case in cases() {
        let model = case.model();
        let [layers, texts, heads, time, _] = case.attention.shape[..] else { panic!("five axes") };
        for text in 0..texts {
            let seen = model.observe(&case.tokens.values[text * time..][..time]);
            let (mut weights, mut norms) = (Vec::new(), Vec::new());
            for row in
                (0..layers * heads).flat_map(|head| (0..time).map(move |query| (head / heads, head % heads, query)))
            {
                let (layer, head, query) = row;
                let at = ((layer * texts + text) * heads + head) * time + query;
                weights.extend_from_slice(&case.attention.values[at * time..][..=query]);
                norms.push(case.output_norms.values[at]);
            }
            assert_close("attention", &seen.weights, &weights);
            assert_close("output norms", &seen.output_norms, &norms);
        }
    }
}

#[test]
fn gradients() {
    for case in cases() {
        let (loss, gradients) = case.trainer().gradients(&case.batch());
        assert!((loss - case.loss).abs() <= TOLERANCE);
        for (parameter, gradient) in case.config().parameters().iter().zip(gradients) {
            assert_close(&parameter.name, &gradient, &case.gradients[&parameter.name].values);
        }
    }
}

#[test]
fn updates_by_adamw_after_clipping() {
    for case in cases() {
        let mut trainer = case.trainer();
        for norm in &case.adamw.grad_norms {
            let report = trainer.step(&[case.batch()], StepOptions { learning_rate: case.adamw.learning_rate, ..STEP });
            assert!((report.grad_norm - norm).abs() <= TOLERANCE * norm.max(1.0), "{} is not {norm}", report.grad_norm);
            assert!(*norm > 1.0, "the golden gradients are clipped");
        }
        for tensor in trainer.weights().tensors {
            let golden = &case.adamw.weights[&tensor.name].values;
            let mut ours = tensor.values;
            if let Some([first, last]) = case.adamw.undetermined.get(&tensor.name) {
                ours[*first..=*last].copy_from_slice(&golden[*first..=*last]);
            }
            assert_close(&tensor.name, &ours, golden);
        }
    }
}

#[test]
fn accumulated_micro_batches_are_one_batch() {
    for case in cases() {
        let whole = case.batch();
        let time = whole.inputs.len() / whole.size;
        let parts: Vec<_> = (0..whole.size)
            .map(|text| Batch {
                size: 1,
                inputs: whole.inputs[text * time..][..time].to_vec(),
                targets: whole.targets[text * time..][..time].to_vec(),
            })
            .collect();
        let (mut one, mut many) = (case.trainer(), case.trainer());
        let tracked = StepOptions { track_attention: true, ..STEP };
        let together = one.step(&[whole], tracked);
        let apart = many.step(&parts, tracked);
        assert!((together.loss - apart.loss).abs() < 1e-5);
        assert!((together.grad_norm - apart.grad_norm).abs() < 1e-4);
        for (one, other) in together.attention.iter().zip(&apart.attention) {
            assert!((one.entropy_nats - other.entropy_nats).abs() < 1e-6);
        }
    }
}

#[test]
fn what_is_tracked_while_training_is_the_attention_of_the_pass() {
    for case in cases() {
        let (batch, model) = (case.batch(), case.model());
        let report = case.trainer().step(std::slice::from_ref(&batch), StepOptions { track_attention: true, ..STEP });
        let time = batch.inputs.len() / batch.size;
        let (heads, triangle) = (case.config.n_head, time * (time + 1) / 2);
        for tracked in report.attention {
            let (mut entropy, mut normalized, mut distance, mut first) = (0.0, 0.0, 0.0, 0.0);
            for text in 0..batch.size {
                let seen = model.observe(&batch.inputs[text * time..][..time]).weights;
                let head = &seen[(tracked.layer * heads + tracked.head) * triangle..][..triangle];
                for query in 1..time {
                    let mut row = Vec::new();
                    attention_metrics::renormalize(&head[query * (query + 1) / 2..][..=query], &mut row);
                    entropy += attention_metrics::entropy_nats(&row);
                    normalized += attention_metrics::normalized_entropy(&row);
                    distance += attention_metrics::mean_distance(&row);
                    first += attention_metrics::first_token_mass(&row);
                }
            }
            let rows = (batch.size * (time - 1)) as f64;
            assert!((tracked.entropy_nats - entropy / rows).abs() < 1e-5);
            assert!((tracked.normalized_entropy - normalized / rows).abs() < 1e-5);
            assert!((tracked.mean_distance - distance / rows).abs() < 1e-4);
            assert!((tracked.first_token_mass - first / rows).abs() < 1e-5);
        }
    }
}

/// Logits and attention after every token of sequences that are decoded incrementally, under a policy.
fn decode(case: &Case, model: &Model, texts: &[Vec<u16>], policy: ContextPolicy) -> Vec<model::Prediction> {
    let mut decoder = Decoder::new(model, texts.len(), policy, true);
    assert!(texts.iter().all(|text| text.iter().all(|&token| usize::from(token) < case.config.vocab_size)));
    (0..texts[0].len()).map(|at| decoder.append(&texts.iter().map(|text| text[at]).collect::<Vec<_>>())).collect()
}

#[test]
fn decoders_predict_what_a_whole_pass_predicts() {
    for case in cases() {
        let model = case.model();
        let (block, vocab) = (case.config.block_size, case.config.vocab_size);
        let texts: Vec<Vec<u16>> =
            (0..2).map(|text| (0..block + 5).map(|at| ((at * (3 + text) + text) % vocab) as u16).collect()).collect();
        for policy in [ContextPolicy::Exact, ContextPolicy::Rollover] {
            let mut kept = 0;
            for (at, prediction) in decode(&case, &model, &texts, policy).into_iter().enumerate() {
                kept = match (kept < block, policy) {
                    (true, _) => kept + 1,
                    (false, ContextPolicy::Exact) => block,
                    (false, ContextPolicy::Rollover) => block / 2,
                };
                for (text, tokens) in texts.iter().enumerate() {
                    let context = &tokens[at + 1 - kept..=at];
                    let whole = model.logits(context, 1);
                    assert_close("logits", &prediction.logits[text * vocab..][..vocab], &whole[(kept - 1) * vocab..]);
                    let seen = model.observe(context);
                    let heads = case.config.n_layer * case.config.n_head;
                    let size = kept * (kept + 1) / 2;
                    for head in 0..heads {
                        let row = &prediction.attention[text * heads + head];
                        assert_close("row", &row.weights, &seen.weights[head * size + size - kept..][..kept]);
                        assert_close("norm", &[row.output_norm], &[seen.output_norms[(head + 1) * kept - 1]]);
                    }
                }
            }
        }
    }
}

#[test]
fn dropout_drops_its_share_and_follows_its_seed() {
    let case = &cases()[0];
    let mut weights = case.weights();
    weights.config.dropout = 0.3;
    let step = |dropout_seed| {
        let mut trainer = Trainer::new(TRAINER, TrainerState::initial(weights.clone())).expect("the device is there");
        trainer.step(&[case.batch()], StepOptions { dropout_seed, ..STEP }).loss
    };
    assert_eq!(step(1), step(1));
    assert_ne!(step(1), step(2));
    assert!((step(1) - case.loss).abs() > 1e-3, "something is dropped");
}

/// A width that heads do not divide left memory unwritten, and other weights read beyond their tensors.
#[test]
fn invalid_models_are_refused() {
    let config =
        GptConfig { n_layer: 1, n_head: 3, n_embd: 10, block_size: 4, vocab_size: 5, bias: false, dropout: 0.0 };
    let invalid = Weights::initial(config, 1);
    let expected = "n_embd 10 is not a multiple of n_head 3: heads have equal size";
    let trainer = Trainer::new(TRAINER, TrainerState::initial(invalid.clone())).err().expect("an invalid model");
    let model = Model::new(DEVICE, invalid).err().expect("an invalid model");
    assert_eq!([trainer.to_string(), model.to_string()], [expected, expected]);

    let mut truncated = Weights::initial(GptConfig { n_head: 2, ..config }, 1);
    truncated.tensors[2].values.pop();
    let expected = "the tensor `transformer.h.0.ln_1.weight` has 9 values in place of 10";
    let trainer = Trainer::new(TRAINER, TrainerState::initial(truncated.clone())).err().expect("invalid weights");
    let model = Model::new(DEVICE, truncated).err().expect("invalid weights");
    assert_eq!([trainer.to_string(), model.to_string()], [expected, expected]);
}

#[test]
fn moments_of_another_model_are_refused() {
    let case = &cases()[0];
    let mut moments = case.trainer().moments();
    moments[0].second.pop();
    let state = TrainerState { weights: case.weights(), moments: Some(moments), steps: 3 };
    let error = Trainer::new(TRAINER, state).err().expect("invalid moments").to_string();
    assert_eq!(error, "the saved moments are not those of the model's parameters");
}

#[test]
#[should_panic(expected = "a token outside the vocabulary of 13 symbols")]
fn a_token_outside_the_vocabulary_is_refused() {
    let case = &cases()[0];
    let mut batch = case.batch();
    *batch.targets.last_mut().expect("targets") = 13;
    case.trainer().evaluate(&batch);
}

/// Its mean log-likelihood is 0, which negated would be −0.
#[test]
fn the_loss_of_one_symbol_is_zero_without_a_sign() {
    let config =
        GptConfig { n_layer: 1, n_head: 2, n_embd: 8, block_size: 4, vocab_size: 1, bias: false, dropout: 0.0 };
    let mut trainer =
        Trainer::new(TRAINER, TrainerState::initial(Weights::initial(config, 1))).expect("the device is there");
    let batch = Batch { size: 2, inputs: vec![0; 8], targets: vec![0; 8] };
    let losses = [trainer.evaluate(&batch), trainer.step(&[batch], STEP).loss];
    assert_eq!(losses.map(f64::to_bits), [0.0_f64.to_bits(); 2], "{losses:?}");
}
