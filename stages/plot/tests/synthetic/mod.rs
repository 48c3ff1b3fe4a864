//! A synthetic study: every table that the stage reads, with curves as training gives them.

mod conclusions;
mod generation;

use std::f64::consts::E;

use declarations::{Part, Study, StudyDataset, StudyRun};
use schemas::attention::Window;
use schemas::enums::{Split, TextNote, WindowKind};
use schemas::tables::{
    AttendedCharacters, Attention, Baselines, Evaluations, HeadMetrics, HeadOutputs, LayerMetrics, LayerSimilarity,
    SplitLosses, TextNotes, TrainingLog, Vocabulary, Windows,
};
use schemas::{Artifacts, Partition, Provenance};

pub(crate) const DATASET: &str = "shakespeare_char";
const LAYERS: u16 = 4;
const HEADS: u16 = 4;
const BLOCK: u16 = 32;
/// A label that would be markup if it were not escaped.
pub(crate) const LABEL: &str = "<script>alert(\"Quality\")</script>&'correlations'";

/// A note on the text, which is no markup either.
pub(crate) const NOTE: &str = "lines end in <CR> & a line feed";

/// Symbols that a page must show and never obey: markup, quotes, a control character, a right-to-left mark, a letter written from
/// the right, a combining accent, a byte of no character.
pub(crate) const SYMBOLS: [&str; 12] =
    ["<", "&", "\"", "'", "\n", "\u{1}", "\u{202e}", "א", "\u{301}", "\u{85}", " ", "a"];

/// Four runs of one dataset; each has all parts of the one before, and the last evaluates whole splits.
pub(crate) fn study(seeds: &[u64], steps: &str) -> Study {
    let dataset = StudyDataset {
        name: DATASET.to_owned(),
        seeds: seeds.to_vec(),
        steps: steps.parse().expect("steps"),
        eval_interval: 100,
    };
    let parts = [Part::Tracking, Part::Snapshots, Part::Similarity, Part::Quality];
    let runs = [("run_0", "Baseline", 0), ("run_1", "Tracking", 2), ("run_2", "Similarity", 3), ("run_3", LABEL, 4)];
    let run = |(name, label, count): (&str, &str, usize)| StudyRun {
        name: name.to_owned(),
        label: label.to_owned(),
        parts: [&parts[..count], if count == 4 { &[Part::Evaluation] } else { &[] }].concat(),
    };
    Study { datasets: vec![dataset], runs: runs.map(run).to_vec(), missing: vec![] }
}

/// A deterministic pseudo-random number from −1 to 1.
fn noise(of: &[u64]) -> f64 {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for part in of {
        state = (state ^ part).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        state ^= state >> 29;
        state = state.wrapping_mul(0x94D0_49BB_1331_11EB);
        state ^= state >> 31;
    }
    (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// From 0, untrained, to nearly 1.
fn progress(step: u32) -> f64 {
    1.0 - (-f64::from(step) / 450.0).exp()
}

fn share(number: u16, of: u16) -> f64 {
    f64::from(number) / f64::from(of - 1)
}

/// Writes all tables that the stage reads.
pub(crate) fn write(artifacts: &Artifacts, study: &Study) {
    for dataset in &study.datasets {
        let symbol = |(token, symbol): (u16, &str)| Vocabulary::row(token, symbol.as_bytes().to_vec(), 9);
        let vocabulary: Vec<Vocabulary> = (0..).zip(SYMBOLS).map(symbol).collect();
        let made = Provenance::new("prep", 1, serde_json::json!({}));
        artifacts.write(&Partition::dataset(&dataset.name), &made, &vocabulary).expect("written");
        let (note, message) = (TextNote::CarriageReturns, NOTE.to_owned());
        let notes = [TextNotes { note, count: 32_777, share: Some(0.0123), message }];
        artifacts.write(&Partition::dataset(&dataset.name), &made, &notes).expect("written");
        for run in &study.runs {
            for &seed in &dataset.seeds {
                let partition = Partition::dataset(&dataset.name).run(&run.name).seed(seed);
                training(artifacts, dataset, &partition, seed);
                if run.has(Part::Evaluation) {
                    evaluation(artifacts, &partition, seed);
                }
                if run.has(Part::Snapshots) {
                    snapshots(artifacts, dataset, &partition, seed);
                }
                if run.has(Part::Similarity) {
                    similarity(artifacts, dataset, &partition, seed);
                }
                generation::generation(artifacts, dataset, &partition, (seed, run.has(Part::Quality)));
            }
        }
        conclusions::conclusions(artifacts, study, dataset);
    }
}

fn training(artifacts: &Artifacts, dataset: &StudyDataset, partition: &Partition, seed: u64) {
    let config = serde_json::json!({"n_layer": LAYERS, "n_head": HEADS, "block_size": BLOCK, "note": "a < b"});
    let made = Provenance::new("train", 1, config);
    let loss = |step: u32, split: u64| {
        let gap = if split == 1 { 0.06 * progress(step) } else { 0.0 };
        let own = 0.012 * noise(&[seed, split]) + 0.006 * noise(&[seed, split, step.into()]);
        1.82 + gap + 2.35 * (-f64::from(step) / 160.0).exp() + 0.35 * (-f64::from(step) / 900.0).exp() + own
    };
    let evaluations: Vec<Evaluations> = dataset
        .steps
        .iter()
        .map(|step| Evaluations {
            step,
            train_loss: loss(step, 0),
            val_loss: loss(step, 1),
            train_loss_stderr: 0.01,
            val_loss_stderr: 0.01,
            val_bits_per_char: loss(step, 1) * E.log2(),
            learning_rate: 1e-3,
        })
        .collect();
    let last = dataset.steps.last().expect("steps");
    let log: Vec<TrainingLog> = (0..last)
        .step_by(10)
        .map(|step| {
            let loss = loss(step, 0) + 0.09 * noise(&[seed, 9, step.into()]);
            TrainingLog { step, loss, learning_rate: 1e-3, grad_norm: 1.0 }
        })
        .collect();
    artifacts.write(partition, &made, &evaluations).expect("written");
    artifacts.write(partition, &made, &log).expect("written");
}

/// Losses over both whole splits.
fn evaluation(artifacts: &Artifacts, partition: &Partition, seed: u64) {
    let made = Provenance::new("evaluate", 1, serde_json::json!({}));
    let row = |(split, loss_nats): (Split, f64)| SplitLosses {
        step: 2000,
        split,
        window: BLOCK.into(),
        stride: 24,
        tokens: 111_539,
        bytes: 111_539,
        loss_nats,
        bits_per_symbol: loss_nats / std::f64::consts::LN_2,
        bits_per_byte: loss_nats / std::f64::consts::LN_2,
    };
    let rows = [(Split::Val, 1.9 + 0.01 * noise(&[seed])), (Split::Test, 1.95)].map(row);
    artifacts.write(partition, &made, &rows).expect("written");
}

fn snapshots(artifacts: &Artifacts, dataset: &StudyDataset, partition: &Partition, seed: u64) {
    let made = Provenance::new("snapshot", 1, serde_json::json!({"val_windows": 1}));
    let text = "First Citizen:\nBefore we <go>,\n";
    let tokens: Vec<u16> = (0..BLOCK).map(|position| position % SYMBOLS.len() as u16).collect();
    let windows = [Windows { window: 0, kind: WindowKind::Val, start: 7, tokens, text: text.into() }];
    artifacts.write(partition, &made, &windows).expect("written");
    for step in dataset.steps.iter() {
        let partition = partition.clone().step(step);
        let mut writer = artifacts.create::<Attention>(&partition, &made).expect("created");
        writer.write_window(attention(step, seed)).expect("written");
        writer.finish().expect("finished");
    }
    let keys = || (1..BLOCK).map(|query| f64::from(query) + 1.0);
    let mean = |values: &dyn Fn(f64) -> f64| keys().map(values).sum::<f64>() / f64::from(BLOCK - 1);
    let uniform = [
        ("entropy_nats", mean(&f64::ln)),
        ("mean_distance", mean(&|keys| (keys - 1.0) / 2.0)),
        ("local_mass_3", mean(&|keys| keys.min(3.0) / keys)),
        ("previous_token_score", mean(&f64::recip)),
        ("induction_score", 0.04),
    ];
    let baselines = uniform.map(|(metric, value)| Baselines { metric: metric.into(), value });
    let rows: Vec<HeadMetrics> = dataset
        .steps
        .iter()
        .flat_map(|step| (0..LAYERS).flat_map(move |layer| (0..HEADS).map(move |head| (step, layer, head))))
        .map(|(step, layer, head)| {
            let of = [seed, layer.into(), head.into()];
            let wobble = 0.06 * noise(&[seed, layer.into(), head.into(), step.into()]) * progress(step);
            let own = 0.4 * noise(&of) * progress(step);
            let entropy = uniform[0].1 - progress(step) * (0.5 + 0.9 * (1.0 - share(layer, LAYERS))) + own + wobble;
            let distance = uniform[1].1 * (1.0 - progress(step) * (0.75 - 0.5 * share(layer, LAYERS))) + 2.0 * own;
            let induction =
                if (layer, head) == (2, 1) { 0.5 / (1.0 + (-(f64::from(step) - 900.0) / 90.0).exp()) } else { 0.0 };
            HeadMetrics {
                step,
                layer,
                head,
                entropy_nats: entropy,
                normalized_entropy: entropy / uniform[0].1,
                mean_distance: distance.max(0.3),
                span_90: 2.0 * distance.max(0.3),
                local_mass_3: (uniform[2].1 + progress(step) * (0.5 - 0.4 * share(layer, LAYERS)) + own)
                    .clamp(0.0, 1.0),
                first_token_mass: 0.1,
                self_mass: 0.1,
                previous_token_score: (uniform[3].1 + own.max(0.0)).clamp(0.0, 1.0),
                duplicate_token_score: 0.1,
                induction_score: Some(0.04 + induction + 0.01 * wobble.abs()),
                queries: 248,
                ..HeadMetrics::default()
            }
        })
        .collect();
    artifacts.write(partition, &made, &baselines).expect("written");
    let heads = || {
        let steps = dataset.steps.iter();
        steps.flat_map(|step| (0..LAYERS).flat_map(move |layer| (0..HEADS).map(move |head| (step, layer, head))))
    };
    let outputs: Vec<HeadOutputs> = heads()
        .map(|(step, layer, head)| HeadOutputs { step, layer, head, output_norm: 0.5 + progress(step) })
        .collect();
    artifacts.write(partition, &made, &outputs).expect("written");
    let layers: Vec<LayerMetrics> = heads()
        .filter(|(.., head)| *head == 0)
        .map(|(step, layer, _)| LayerMetrics {
            step,
            layer,
            head_variance: 0.1 * progress(step),
            head_js_divergence: 0.3 * progress(step),
            dominant_head_share: 0.3,
            ..LayerMetrics::default()
        })
        .collect();
    artifacts.write(partition, &made, &layers).expect("written");
    let count = SYMBOLS.len() as u16;
    let attended: Vec<AttendedCharacters> = heads()
        .flat_map(|(step, layer, head)| (0..count).map(move |token| (step, layer, head, token)))
        .map(|(step, layer, head, token)| {
            let uniform_share = 1.0 / f64::from(count);
            // The head's favourite takes from all others.
            let favourite = (layer + head) % count;
            let share = uniform_share * (1.0 - progress(step)) + if token == favourite { progress(step) } else { 0.0 };
            AttendedCharacters { step, layer, head, token, share, uniform_share }
        })
        .collect();
    artifacts.write(partition, &made, &attended).expect("written");
    artifacts.write(partition, &made, &rows).expect("written");
}

/// Heads that begin uniform and become local, previous-token, sink or banded heads.
fn attention(step: u32, seed: u64) -> Window {
    let mut weights = Vec::new();
    for layer in 0..LAYERS {
        for head in 0..HEADS {
            let reach = 0.8 + 9.0 * share(layer, LAYERS) + 2.0 * noise(&[seed, layer.into(), head.into()]).abs();
            for query in 0..BLOCK {
                let score = |key: u16| {
                    let back = f64::from(query - key);
                    let trained = match head {
                        0 => -back / reach,
                        1 if back == 1.0 => 3.0,
                        2 if key == 0 => 2.5,
                        3 => 1.5 * noise(&[seed, layer.into(), key.into()]),
                        _ => 0.0,
                    };
                    (progress(step) * trained + 0.02 * noise(&[key.into(), query.into(), head.into()])).exp()
                };
                let sum: f64 = (0..=query).map(score).sum();
                weights.extend((0..=query).map(|key| (score(key) / sum) as f32));
            }
        }
    }
    let (layers, heads, queries) = (LAYERS.into(), HEADS.into(), BLOCK.into());
    Window { window: 0, layers, heads, queries, weights: weights.into() }
}

fn similarity(artifacts: &Artifacts, dataset: &StudyDataset, partition: &Partition, seed: u64) {
    let pairs = || (0..LAYERS).flat_map(|a| (a + 1..LAYERS).map(move |b| (a, b)));
    let row = |step: u32, (layer_a, layer_b): (u16, u16)| {
        let apart = f64::from(layer_b - layer_a);
        let own =
            0.03 * noise(&[seed, layer_a.into(), layer_b.into()]) + 0.01 * noise(&[seed, layer_a.into(), step.into()]);
        let js_divergence = (progress(step) * (0.1 + 0.09 * apart - 0.03 * f64::from(layer_a) + own)).max(0.0);
        LayerSimilarity {
            step,
            layer_a,
            layer_b,
            js_divergence,
            js_similarity: 1.0 - js_divergence,
            cosine_similarity: 1.0 - js_divergence,
            centered_cosine_similarity: 1.0 - 2.0 * js_divergence,
            ..LayerSimilarity::default()
        }
    };
    let rows: Vec<_> = dataset.steps.iter().flat_map(|step| pairs().map(move |pair| row(step, pair))).collect();
    artifacts.write(partition, &Provenance::new("metrics", 1, serde_json::json!({})), &rows).expect("written");
}
