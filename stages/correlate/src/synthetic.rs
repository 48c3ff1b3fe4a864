//! Small studies for tests: random tables without any effect, to which each test adds its own.

use random_streams::{ChaCha8Rng, RngExt, stream};
use schemas::Table;
use schemas::enums::{Activity, TextSource};
use schemas::tables::{
    Baselines, Evaluations, HeadMetrics, LayerMetrics, LayerSimilarity, SampleAttention, SampleLayers, SampleScores,
    Timings, TrainingLog,
};

use crate::inputs::{Dataset, Run, Seed, Tracked};

/// How large a study is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) seeds: u64,
    pub(crate) layers: u16,
    pub(crate) heads: u16,
    pub(crate) samples: u16,
    /// Snapshots are this far apart: 13 of them.
    pub(crate) every: u32,
}

impl Default for Shape {
    fn default() -> Self {
        Self { seeds: 3, layers: 4, heads: 2, samples: 10, every: 100 }
    }
}

/// A dataset with `run_0`, which has no parts, and `run_3`, which has all.
pub(crate) fn dataset(name: &str, shape: Shape) -> Dataset {
    let steps: Vec<u32> = (0..13).map(|step| step * shape.every).collect();
    let run = |run: &str, parts: Vec<declarations::Part>| {
        let seeds = (1337..1337 + shape.seeds).map(|seed| training(name, run, seed, &steps, shape, !parts.is_empty()));
        Run { name: run.to_owned(), label: format!("Run {run}"), seeds: seeds.collect(), parts, ..Run::default() }
    };
    let all = vec![
        declarations::Part::Tracking,
        declarations::Part::Snapshots,
        declarations::Part::Similarity,
        declarations::Part::Quality,
    ];
    Dataset {
        name: name.to_owned(),
        eval_interval: shape.every,
        runs: vec![run("run_0", Vec::new()), run("run_3", all)],
        tracked: Some(Tracked {
            runs: ["run_0".to_owned(), "run_3".to_owned()],
            differences: (1337..1337 + shape.seeds).map(|seed| (seed, Ok(0.0))).collect(),
            sources: Vec::new(),
        }),
        steps,
    }
}

fn training(dataset: &str, run: &str, seed: u64, steps: &[u32], shape: Shape, whole: bool) -> Seed {
    let mut noise = stream("synthetic", &[&dataset, &run, &seed]);
    let mut training = Seed { seed, steps: steps.to_vec(), ..Seed::default() };
    for &step in steps {
        let fall = 1.0 / (1.0 + f64::from(step) / 100.0);
        let train_loss = 1.5 + fall + 0.05 * noise.random::<f64>();
        let val_loss = 1.7 + fall + 0.05 * noise.random::<f64>();
        training.training_log.push(TrainingLog { step, loss: train_loss, learning_rate: 1e-3, grad_norm: 1.0 });
        training.evaluations.push(Evaluations {
            step,
            train_loss,
            val_loss,
            train_loss_stderr: 0.01,
            val_loss_stderr: 0.01,
            val_bits_per_char: val_loss / std::f64::consts::LN_2,
            learning_rate: 1e-3,
        });
        if whole {
            snapshot(&mut training, step, shape, &mut noise);
            samples(&mut training, step, shape, &mut noise);
        }
    }
    if whole {
        let uniform = [("previous_token_score", 0.07), ("first_token_mass", 0.07), ("induction_score", 0.02)];
        training.baselines = uniform.map(|(metric, value)| Baselines { metric: metric.to_owned(), value }).to_vec();
    }
    let timing = |activity, step, sample| Timings { activity, step, sample, wall_secs: 0.5, characters: 500 };
    let last = training.last_step();
    training.train_timings = vec![timing(Activity::Steps, last, None), timing(Activity::Evaluation, last, None)];
    training.generate_timings =
        (0..shape.samples).map(|sample| timing(Activity::Generation, last, Some(sample))).collect();
    training.generate_timings.push(Timings { wall_secs: 99.0, ..timing(Activity::Generation, 0, Some(0)) });
    training
}

/// How many measures of attention a run with all parts has.
pub(crate) fn attention_measures() -> usize {
    HeadMetrics::MEASURES.len() + LayerMetrics::MEASURES.len() + LayerSimilarity::MEASURES.len()
}

/// Sets every measure of a row.
fn fill<Row: Table>(row: &mut Row, next: &mut impl FnMut() -> f64) {
    Row::MEASURES.iter().for_each(|measure| (measure.set)(row, next()));
}

fn snapshot(training: &mut Seed, step: u32, shape: Shape, noise: &mut ChaCha8Rng) {
    for layer in 0..shape.layers {
        for head in 0..shape.heads {
            let mut next = || noise.random::<f64>();
            let mut row = HeadMetrics { step, layer, head, queries: 504, ..HeadMetrics::default() };
            fill(&mut row, &mut next);
            row.entropy_nats += 2.0;
            row.mean_distance += 10.0;
            row.span_90 += 20.0;
            row.local_mass_3 = 0.4 + 0.2 * row.local_mass_3;
            training.head_metrics.push(row);
        }
        let mut next = || noise.random::<f64>();
        let mut row = LayerMetrics { step, layer, ..LayerMetrics::default() };
        fill(&mut row, &mut next);
        row.dominant_head_share = 0.5 + row.dominant_head_share / 2.0;
        training.layer_metrics.push(row);
        for layer_b in layer + 1..shape.layers {
            let js_divergence = 0.3 + 0.1 * next();
            training.layer_similarity.push(LayerSimilarity {
                step,
                layer_a: layer,
                layer_b,
                js_divergence,
                js_similarity: 1.0 - js_divergence,
                cosine_similarity: next(),
                centered_cosine_similarity: next(),
                ..LayerSimilarity::default()
            });
        }
    }
}

fn samples(training: &mut Seed, step: u32, shape: Shape, noise: &mut ChaCha8Rng) {
    for sample in 0..shape.samples {
        let mut next = || noise.random::<f64>();
        let mut scores =
            SampleScores { step: Some(step), source: TextSource::Model, sample, ..SampleScores::default() };
        fill(&mut scores, &mut next);
        scores.quality = scores.quality.map(|quality| -quality);
        training.sample_scores.push(scores);
        for layer in 0..shape.layers {
            for source in [TextSource::Model, TextSource::Validation] {
                for head in 0..shape.heads {
                    let mut row = SampleAttention { step, source, sample, layer, head, ..SampleAttention::default() };
                    fill(&mut row, &mut || noise.random());
                    row.entropy_nats += 2.0;
                    row.normalized_entropy = 0.5 + 0.01 * row.normalized_entropy;
                    row.mean_distance += 10.0;
                    row.output_norm += 1.0;
                    training.sample_attention.push(row);
                }
            }
            if layer + 1 < shape.layers {
                let js_divergence = noise.random();
                training.sample_layers.push(SampleLayers {
                    step,
                    sample,
                    layer_a: layer,
                    layer_b: layer + 1,
                    js_divergence,
                });
            }
        }
    }
}
