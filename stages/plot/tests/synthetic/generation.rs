//! Generated texts, their scores, and attention while they are generated.

use declarations::StudyDataset;
use schemas::enums::{ContextPolicy, TextSource};
use schemas::tables::{GeneratedAttention, SampleAttention, SampleScores, Samples};
use schemas::{Artifacts, Partition, Provenance};

use super::{HEADS, LAYERS, noise, progress};

pub(super) fn generation(
    artifacts: &Artifacts,
    dataset: &StudyDataset,
    partition: &Partition,
    (seed, scored): (u64, bool),
) {
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
    artifacts.write(partition, &made, &generated_attention(last)).expect("written");
}

/// Both tokens of the last step's first sample.
fn generated_attention(step: u32) -> Vec<GeneratedAttention> {
    let weights = [vec![1.0], vec![0.25, 0.75]];
    (0..)
        .zip(&weights)
        .flat_map(|token| (0..LAYERS).flat_map(move |layer| (0..HEADS).map(move |head| (token, layer, head))))
        .map(|((position, weights), layer, head)| GeneratedAttention {
            step,
            sample: 0,
            position,
            layer,
            head,
            weights: weights.clone(),
        })
        .collect()
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
