//! A synthetic study: every table that the stage reads, with curves as training gives them.

use std::f64::consts::E;

use declarations::{Part, Study, StudyDataset, StudyRun};
use schemas::attention::Window;
use schemas::enums::{ContextPolicy, Event, Scope, TextSource, Verdict, WindowKind};
use schemas::tables::{
    AttendedCharacters, Attention, Baselines, Correlations, Evaluations, Findings, HeadMatches, HeadMetrics,
    HeadOutputs, LayerMetrics, LayerSimilarity, Onsets, Results, SampleAttention, SampleScores, Samples, TrainingLog,
    Vocabulary, Windows,
};
use schemas::{Artifacts, Partition, Provenance};

pub(crate) const DATASET: &str = "shakespeare_char";
const LAYERS: u16 = 4;
const HEADS: u16 = 4;
const BLOCK: u16 = 32;
/// A label that would be markup if it were not escaped.
pub(crate) const LABEL: &str = "<script>alert(\"Quality\")</script>&'correlations'";

/// Symbols that a page must show and never obey: markup, quotes, a control character, a right-to-left mark, a letter written from
/// the right, a combining accent, a byte of no character.
pub(crate) const SYMBOLS: [&str; 12] =
    ["<", "&", "\"", "'", "\n", "\u{1}", "\u{202e}", "א", "\u{301}", "\u{85}", " ", "a"];

/// Four runs of one dataset; each has all parts of the one before.
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
        parts: parts[..count].to_vec(),
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
        for run in &study.runs {
            for &seed in &dataset.seeds {
                let partition = Partition::dataset(&dataset.name).run(&run.name).seed(seed);
                training(artifacts, dataset, &partition, seed);
                if run.has(Part::Snapshots) {
                    snapshots(artifacts, dataset, &partition, seed);
                }
                if run.has(Part::Similarity) {
                    similarity(artifacts, dataset, &partition, seed);
                }
                generation(artifacts, dataset, &partition, (seed, run.has(Part::Quality)));
            }
        }
        conclusions(artifacts, study, dataset);
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

fn generation(artifacts: &Artifacts, dataset: &StudyDataset, partition: &Partition, (seed, scored): (u64, bool)) {
    let made = Provenance::new("generate", 1, serde_json::json!({"samples": 10, "temperature": 0.8}));
    let last = dataset.steps.last().expect("steps");
    let text = |step: u32| match step {
        0 => "x<Q&z\u{1}'k!".repeat(30),
        _ if step < last => "the wand tho mer of he shath, ".repeat(12),
        _ => "ROMEO:\nWhat shall I do & say? <exeunt>\n".repeat(13),
    };
    let steps: Vec<u32> = dataset.steps.iter().filter(|&step| scored || step == last).collect();
    let samples: Vec<Samples> = steps
        .iter()
        .flat_map(|&step| (0..10).map(move |sample| (step, sample)))
        .map(|(step, sample)| Samples {
            step,
            sample,
            prompt: " ".into(),
            prompt_tokens: vec![1],
            text: text(step),
            tokens: vec![1, 2],
            temperature: 0.8,
            top_k: 65,
            context_policy: ContextPolicy::Exact,
        })
        .collect();
    artifacts.write(partition, &made, &samples).expect("written");
    if !scored {
        return;
    }
    let during: Vec<SampleAttention> = samples
        .iter()
        .map(|row| (row.step, TextSource::Model, row.sample))
        .chain((0..10).map(|sample| (last, TextSource::Validation, sample)))
        .flat_map(|text| (0..LAYERS).flat_map(move |layer| (0..HEADS).map(move |head| (text, layer, head))))
        .map(|((step, source, sample), layer, head)| SampleAttention {
            step,
            source,
            sample,
            layer,
            head,
            normalized_entropy: 0.9 - 0.4 * progress(step) + 0.05 * noise(&[seed, sample.into(), layer.into()]),
            ..SampleAttention::default()
        })
        .collect();
    artifacts.write(partition, &made, &during).expect("written");
    let score = |step: Option<u32>, source: TextSource, sample: u16, quality: f64| SampleScores {
        step,
        source,
        sample,
        distinct_1: None,
        distinct_2: None,
        distinct_3: None,
        distinct_4: None,
        distinct_8: None,
        repetition_4: None,
        repetition_8: None,
        repetition_16: None,
        coherence: None,
        compression_ratio: None,
        novelty_16: None,
        word_validity: None,
        quality: Some(quality),
    };
    let spread = |sample: u16, of: u64| (0.3 * noise(&[of, sample.into()])).exp();
    let mut rows: Vec<SampleScores> = samples
        .iter()
        .map(|row| {
            let distance = 1.15 + 11.0 * (-f64::from(row.step) / 260.0).exp();
            score(
                Some(row.step),
                TextSource::Model,
                row.sample,
                -distance * spread(row.sample, seed * 7919 + u64::from(row.step)),
            )
        })
        .collect();
    for (source, count, distance) in
        [(TextSource::Validation, 200, 0.8), (TextSource::Shuffled, 200, 8.0), (TextSource::Trigram, 50, 2.6)]
    {
        rows.extend(
            (0..count)
                .map(|sample| score(None, source, sample, -distance * spread(sample, source.as_str().len() as u64))),
        );
    }
    artifacts.write(partition, &made, &rows).expect("written");
    artifacts.write(partition, &made, &sample_attention(&samples, seed)).expect("written");
}

/// Heads of the model over the samples and over real text.
fn sample_attention(samples: &[Samples], seed: u64) -> Vec<SampleAttention> {
    let heads = || (0..LAYERS).flat_map(|layer| (0..HEADS).map(move |head| (layer, head)));
    samples
        .iter()
        .flat_map(|row| heads().map(move |place| (row, place)))
        .flat_map(|(row, (layer, head))| {
            let own = noise(&[seed, row.step.into(), row.sample.into(), layer.into(), head.into()]);
            [TextSource::Model, TextSource::Validation].map(|source| SampleAttention {
                step: row.step,
                source,
                sample: row.sample,
                layer,
                head,
                entropy_nats: 3.0 - 1.6 * progress(row.step) + 0.2 * own,
                normalized_entropy: 0.98 - 0.5 * progress(row.step) + 0.06 * own,
                mean_distance: 15.0 - 9.0 * progress(row.step) + 1.5 * own,
                first_token_mass: 0.1,
                output_norm: 1.0,
            })
        })
        .collect()
}

fn conclusions(artifacts: &Artifacts, study: &Study, dataset: &StudyDataset) {
    let made = Provenance::new("correlate", 1, serde_json::json!({"permutations": 100}));
    let several = dataset.seeds.len() > 1;
    let results: Vec<Results> = study
        .runs
        .iter()
        .enumerate()
        .map(|(number, run)| Results {
            best_val_loss_steps: vec![2000; dataset.seeds.len()],
            split_val_loss_mean: None,
            split_val_loss_stderr: None,
            split_test_loss_mean: None,
            split_test_loss_stderr: None,
            dataset: dataset.name.clone(),
            run: run.name.clone(),
            label: run.label.clone(),
            training_of: format!("run_{}", number.min(1)),
            seeds: dataset.seeds.len() as u32,
            final_train_loss_mean: 1.8312,
            final_train_loss_stderr: several.then_some(0.0113),
            best_val_loss_mean: 1.9147,
            best_val_loss_stderr: several.then_some(0.0081),
            total_train_time_secs_mean: 71.3 + 9.0 * number as f64,
            total_train_time_secs_stderr: several.then_some(0.9),
            inference_tokens_per_sec_mean: 1830.0 - 20.0 * number as f64,
            inference_tokens_per_sec_stderr: several.then_some(14.0),
        })
        .collect();
    artifacts.write(&Partition::study(), &made, &results).expect("written");
    let partition = Partition::dataset(&dataset.name);
    artifacts.write(&partition, &made, &findings(several)).expect("written");
    let rows: Vec<Correlations> = (0..40)
        .map(|number| Correlations {
            scope: if number % 2 == 0 { Scope::Training } else { Scope::Generation },
            x: ["entropy_nats", "mean_distance", "js_similarity"][number % 3].into(),
            layer: (number % 5 > 0).then_some(number as u16 % 5),
            y: match number % 6 {
                0 => "val_loss",
                1 | 2 => "quality",
                _ => "distinct_2",
            }
            .into(),
            n: 66,
            seeds: dataset.seeds.len() as u32,
            pearson: Some(0.9 - 0.03 * number as f64),
            spearman: Some(0.88 - 0.03 * number as f64),
            spearman_low: several.then_some(0.8 - 0.03 * number as f64),
            spearman_high: several.then_some(0.95 - 0.03 * number as f64),
            partial_spearman: (several && number % 2 == 0).then_some(0.4 - 0.02 * number as f64),
            p_value: several.then_some(0.002 * (number + 1) as f64),
            q_value: several.then_some(0.02 * (number + 1) as f64),
            reason: None,
        })
        .collect();
    for run in study.runs.iter().filter(|run| run.has(Part::Snapshots)) {
        let partition = partition.clone().run(&run.name);
        artifacts.write(&partition, &made, &rows).expect("written");
        artifacts.write(&partition, &made, &matches(&dataset.seeds)).expect("written");
        artifacts.write(&partition, &made, &onsets(&dataset.seeds)).expect("written");
    }
}

/// Head indices rotate by one from seed to seed.
fn matches(seeds: &[u64]) -> Vec<HeadMatches> {
    let numbered = || seeds.iter().enumerate();
    let layers = (0..LAYERS).flat_map(|layer| numbered().map(move |(place, seed)| (layer, place as u16, *seed)));
    layers
        .flat_map(|(layer, place, seed)| {
            (0..HEADS).map(move |head| HeadMatches {
                seed,
                layer,
                head,
                slot: (head + place) % HEADS,
                distance: (place > 0).then_some(0.4),
                random_distance: (place > 0).then_some(1.4),
                // Heads of the highest layer have no counterparts.
                chance_distance: (place > 0).then_some(if layer + 1 < LAYERS { 1.1 } else { 0.41 }),
                p_value: (place > 0).then_some(if layer + 1 < LAYERS { 0.002 } else { 0.35 }),
            })
        })
        .collect()
}

/// Events in every seed, in some and in none, one whose interval leaves the panel, and ones that no table declares.
fn onsets(seeds: &[u64]) -> Vec<Onsets> {
    type Planted = (Event, &'static str, Option<[f64; 3]>, usize, f64);
    let events: [Planted; 8] = [
        (Event::PreviousTokenHead, "previous_token_score", Some([128.0, 90.0, 182.0]), 3, 0.6),
        (Event::InductionHead, "induction_score", Some([310.0, 205.0, 469.0]), 2, 0.4),
        (Event::AttentionSink, "first_token_mass", None, 0, 0.02),
        (Event::LayerSpecialisation, "js_divergence", Some([600.0, 80.0, 4500.0]), 3, 0.3),
        (Event::ChangePoint, "entropy_nats", Some([64.0, 40.0, 102.0]), 3, -1.1),
        (Event::ChangePoint, "val_loss", Some([32.0, 20.0, 51.0]), 3, -1.4),
        (Event::ChangePoint, "span_90", None, 0, 0.3),
        (Event::ChangePoint, "unheard_of", Some([32.0, 20.0, 51.0]), 3, -1.4),
    ];
    let row = |(rank, (event, metric, times, n, change)): (usize, Planted)| {
        let n = n.min(seeds.len());
        let shifted = |time: f64, seed: usize| time as u32 + if metric == "val_loss" { 0 } else { 20 * seed as u32 };
        let several = |time: f64| (n > 1).then_some(time);
        Onsets {
            event,
            metric: metric.into(),
            layer: None,
            value: times.map(|times| times[0]),
            low: times.and_then(|times| several(times[1])),
            high: times.and_then(|times| several(times[2])),
            n: n as u32,
            seeds: seeds.len() as u32,
            in_seeds: seeds[..n].to_vec(),
            // The loss changes between the same snapshots in every seed, everything else between different ones.
            steps: times.map_or_else(Vec::new, |times| (0..n).map(|seed| shifted(times[0], seed)).collect()),
            steps_before: times.map_or_else(Vec::new, |times| (0..n).map(|seed| shifted(times[0], seed) / 2).collect()),
            change: Some(change),
            explained: (event == Event::ChangePoint).then_some(0.8),
            rank: times.map(|_| rank as u32 + 1),
            reason: (n < seeds.len()).then(|| "it rises by less than 0.1 above its baseline".into()),
        }
    };
    events.into_iter().enumerate().map(row).collect()
}

fn findings(several: bool) -> Vec<Findings> {
    type Claim = (&'static str, &'static str, &'static str, Option<[f64; 3]>, (Option<f64>, Option<f64>), Verdict);
    let claims: [Claim; 8] = [
        (
            "tracking_is_free",
            "tracking attention does not change what is learned",
            "largest difference of final weights",
            Some([0.0; 3]),
            (Some(0.0), Some(0.0)),
            Verdict::Supported,
        ),
        (
            "entropy_falls",
            "attention becomes more focused as training progresses",
            "Spearman(step, mean entropy)",
            Some([-0.97, -0.99, -0.94]),
            (None, Some(0.0)),
            Verdict::Supported,
        ),
        (
            "early_local_late_global",
            "early layers are local, late layers global",
            "Spearman(layer, mean distance)",
            Some([0.35, -0.21, 0.91]),
            (Some(0.0), None),
            Verdict::Inconclusive,
        ),
        (
            "local_specialists",
            "some heads attend to 1–3 characters while others look further",
            "heads with local_mass_3 > 0.8 while another has < 0.3",
            Some([1.0, 0.6, 1.4]),
            (Some(0.0), None),
            Verdict::Supported,
        ),
        (
            "specialisation_onset",
            "layers specialise around iteration 2000",
            "change point of mean js_divergence",
            None,
            (Some(1500.0), Some(2500.0)),
            Verdict::NotTested,
        ),
        (
            "lower_layers_alike",
            "lower layers resemble each other more than they resemble higher ones",
            "js_similarity within − between",
            Some([-0.04, -0.06, -0.02]),
            (Some(0.0), None),
            Verdict::Refuted,
        ),
        (
            "generation_differs_slightly",
            "attention while generating differs slightly from attention on real text",
            "abs(difference of normalized_entropy)",
            Some([0.021, 0.012, 0.03]),
            (None, Some(0.05)),
            Verdict::Supported,
        ),
        (
            "val_tracks_train",
            "validation loss tracks training loss closely",
            "Spearman(train_loss, val_loss)",
            Some([0.998, 0.996, 1.0]),
            (Some(0.9), None),
            Verdict::Supported,
        ),
    ];
    claims
        .into_iter()
        .map(|(claim, statement, statistic, numbers, (threshold_low, threshold_high), verdict)| Findings {
            run: "run_3".into(),
            claim: claim.into(),
            statement: statement.into(),
            statistic: statistic.into(),
            value: numbers.map(|numbers| numbers[0]),
            low: numbers.filter(|_| several && claim != "tracking_is_free").map(|numbers| numbers[1]),
            high: numbers.filter(|_| several && claim != "tracking_is_free").map(|numbers| numbers[2]),
            threshold_low,
            threshold_high,
            p_value: numbers.filter(|_| several && claim != "tracking_is_free").map(|_| 0.002),
            p_adjusted: numbers.filter(|_| several && claim != "tracking_is_free").map(|_| 0.02),
            verdict,
            reason: "because the interval is <where> it is & not elsewhere".into(),
            n: if several { 3 } else { 1 },
            bootstrap_low: None,
            bootstrap_high: None,
            detectable: None,
            seeds_needed: None,
            sensitivity: None,
        })
        .collect()
}
