//! Each claim on a study where it is supported, refuted, inconclusive and not tested. With eight seeds a clear effect is
//! significant after the correction for all claims.

use schemas::enums::{TextSource, Verdict};
use schemas::tables::Findings;

use super::{ENWIK8, SHAKESPEARE, findings};
use crate::inputs::{Dataset, Seed};
use crate::samples::{attention, quality};
use crate::series::val_loss;
use crate::synthetic::{self, Shape};

/// The sign of the effect in each seed: for the claim, against it, both.
const FOR: [f64; 10] = [1.0; 10];
const AGAINST: [f64; 10] = [-1.0; 10];
const MIXED: [f64; 10] = [1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0];

/// A study of eight seeds.
const SHAPE: Shape = Shape { seeds: 8, layers: 4, heads: 2, samples: 10, every: 100 };

fn find(study: &[Dataset], dataset: usize, claim: &str) -> Findings {
    let found = findings(study, &study[dataset]);
    found.into_iter().find(|finding| finding.claim == claim).expect("the claim is tested")
}

/// Modifies `run_3` of a study seed by seed and returns the finding on a claim.
fn fares(claim: &str, shape: Shape, signs: &[f64], bend: impl Fn(&mut Seed, f64)) -> Findings {
    let mut dataset = synthetic::dataset(SHAKESPEARE, shape);
    for (seed, sign) in dataset.runs[1].seeds.iter_mut().zip(signs) {
        bend(seed, *sign);
    }
    find(&[dataset], 0, claim)
}

/// Asserts that a claim with one statistic per seed is supported if all seeds are for it, refuted if all are against it,
/// inconclusive if they are mixed or there is one, and not tested if no run has the tables that it needs.
fn decides(claim: &str, shape: Shape, bend: impl Fn(&mut Seed, f64)) {
    for (signs, verdict) in [(FOR, Verdict::Supported), (AGAINST, Verdict::Refuted), (MIXED, Verdict::Inconclusive)] {
        let finding = fares(claim, shape, &signs, &bend);
        assert_eq!(finding.verdict, verdict, "{finding:?}");
        assert_eq!((finding.run.as_str(), u64::from(finding.n)), ("run_3", shape.seeds));
    }
    let finding = fares(claim, Shape { seeds: 1, ..shape }, &FOR, &bend);
    assert_eq!((finding.verdict, finding.low, finding.n), (Verdict::Inconclusive, None, 1), "{finding:?}");
    absent(claim);
}

/// Asserts that a claim is not tested because no run has the tables that it needs.
fn absent(claim: &str) {
    let mut dataset = synthetic::dataset(SHAKESPEARE, SHAPE);
    dataset.runs.truncate(1);
    let finding = find(&[dataset, synthetic::dataset("text8", SHAPE)], 0, claim);
    assert_eq!((finding.verdict, finding.value, finding.n), (Verdict::NotTested, None, 0), "{finding:?}");
    assert!(finding.reason.contains("no run of shakespeare_char has"), "{finding:?}");
}

/// Gives each sample of the last step, numbered, a quality that grows with it.
fn rank_quality(seed: &mut Seed) {
    for row in &mut seed.sample_scores {
        row.quality = Some(f64::from(row.sample));
    }
}

#[test]
fn claims_come_in_order_and_where_they_belong() {
    let study = [SHAKESPEARE, ENWIK8, "text8"].map(|name| synthetic::dataset(name, SHAPE));
    let names =
        |dataset| -> Vec<String> { findings(&study, dataset).into_iter().map(|finding| finding.claim).collect() };
    assert_eq!(names(&study[0]).len(), 22);
    assert!(names(&study[0]).contains(&"shakespeare_strongest".to_owned()));
    assert_eq!(names(&study[1])[11], "enwik8_more_uniform");
    assert_eq!(names(&study[2]).len(), 21);
    assert!(findings(&study, &study[2]).iter().all(|finding| !finding.reason.is_empty()));
}

#[test]
fn tracking_is_free() {
    let fares = |differences: Vec<Result<f64, String>>| {
        let mut dataset = synthetic::dataset("d", SHAPE);
        let tracked = dataset.tracked.as_mut().expect("both runs");
        tracked.differences = (1..).zip(differences).collect();
        find(&[dataset], 0, "tracking_is_free")
    };
    let supported = fares(vec![Ok(0.0); 3]);
    assert_eq!((supported.verdict, supported.p_value), (Verdict::Supported, None), "no test");
    assert_eq!(fares(vec![Ok(0.0)]).verdict, Verdict::Supported);
    let refuted = fares(vec![Ok(0.0), Ok(1e-9)]);
    assert_eq!((refuted.verdict, refuted.value, refuted.run.as_str()), (Verdict::Refuted, Some(1e-9), "run_0, run_3"));
    assert_eq!(fares(vec![Err("other shapes".to_owned())]).verdict, Verdict::NotTested);
    let mut dataset = synthetic::dataset("d", SHAPE);
    dataset.tracked = None;
    assert_eq!(find(&[dataset], 0, "tracking_is_free").verdict, Verdict::NotTested);
}

#[test]
fn entropy_falls() {
    decides("entropy_falls", SHAPE, |seed, sign| {
        seed.head_metrics.iter_mut().for_each(|row| row.entropy_nats = 3.0 - sign * 1e-3 * f64::from(row.step));
    });
}

#[test]
fn span_rises_then_settles() {
    // It rises for 300 of 1200 steps, then stays (for) or keeps rising (against).
    let bend = |seed: &mut Seed, sign: f64| {
        for row in &mut seed.head_metrics {
            let step = f64::from(row.step);
            row.mean_distance = 5.0 + if sign > 0.0 { step.min(300.0) } else { step } / 100.0;
        }
    };
    decides("span_rises_then_settles", SHAPE, bend);
    let falling = |seed: &mut Seed, sign: f64| {
        seed.head_metrics.iter_mut().for_each(|row| row.mean_distance = 50.0 + sign * f64::from(row.step));
    };
    let refuted = fares("span_rises_then_settles", SHAPE, &AGAINST, falling);
    assert_eq!((refuted.verdict, refuted.value), (Verdict::Refuted, None), "{refuted:?}");
    assert_eq!(fares("span_rises_then_settles", SHAPE, &MIXED, falling).verdict, Verdict::Inconclusive);
    // It settles exactly in every seed, but how much it rises differs too much for the rise to be significant.
    let uneven = |seed: &mut Seed, sign: f64| {
        let scale = if sign > 0.0 { 0.01 } else { 1.0 };
        seed.head_metrics.iter_mut().for_each(|row| row.mean_distance = 5.0 + scale * f64::from(row.step).min(300.0));
    };
    let uneven = fares("span_rises_then_settles", SHAPE, &MIXED, uneven);
    assert_eq!((uneven.verdict, uneven.value), (Verdict::Inconclusive, Some(0.0)), "{uneven:?}");
    assert!(uneven.p_value > Some(0.01), "{uneven:?}");
    let sensitivity = "refuted with any threshold below 0; supported with none, because the rise is not certain";
    assert_eq!((uneven.sensitivity.as_deref(), uneven.detectable), (Some(sensitivity), None), "{uneven:?}");
    assert!(uneven.seeds_needed > Some(8), "the rise needs more seeds: {uneven:?}");
}

#[test]
fn early_local_late_global() {
    let bend = |seed: &mut Seed, sign: f64| {
        seed.head_metrics.iter_mut().for_each(|row| row.mean_distance = 10.0 + sign * f64::from(row.layer));
    };
    decides("early_local_late_global", SHAPE, bend);
    let two = fares("early_local_late_global", Shape { layers: 2, ..SHAPE }, &FOR, bend);
    assert_eq!(two.verdict, Verdict::NotTested);
}

#[test]
fn local_specialists() {
    // With eight seeds the sign test's smallest p-value is 1/128.
    let bend = |seed: &mut Seed, sign: f64| {
        for row in &mut seed.head_metrics {
            row.local_mass_3 = if row.head == 0 && sign > 0.0 { 0.9 } else { 0.1 };
        }
    };
    decides("local_specialists", Shape { seeds: 10, ..SHAPE }, bend);
    let few = fares("local_specialists", SHAPE, &FOR, bend);
    assert_eq!((few.verdict, few.value, few.p_value), (Verdict::Inconclusive, Some(1.0), Some(1.0 / 128.0)));
    assert!(few.reason.contains("with 8 seeds no p-value is below 1/128"), "{few:?}");
    let one = fares("local_specialists", Shape { layers: 1, heads: 1, ..SHAPE }, &FOR, |_, _| {});
    assert_eq!((one.verdict, one.reason.contains("has one head")), (Verdict::NotTested, true), "{one:?}");
    assert!(one.statistic.contains("local_mass_3 > 0.8 and another < 0.3"), "{one:?}");
    let none = fares("local_specialists", SHAPE, &FOR, |seed, _| seed.head_metrics.clear());
    assert_eq!(none.verdict, Verdict::NotTested);
    assert!(none.reason.contains("windows of one character"), "{none:?}");
}

#[test]
fn partial_claims() {
    // The distance from balance, and the similarity of layers, follow the loss or run against it.
    let local = |seed: &mut Seed, sign: f64| {
        let loss = val_loss(seed);
        seed.head_metrics.iter_mut().for_each(|row| row.local_mass_3 = 0.75 + sign * 0.1 * (loss[&row.step] - 2.0));
    };
    let alike = |seed: &mut Seed, sign: f64| {
        let loss = val_loss(seed);
        seed.layer_similarity.iter_mut().for_each(|row| row.js_similarity = 0.5 + sign * 0.1 * (loss[&row.step] - 2.0));
    };
    let finding = |claim: &str, seeds: u64, signs: &[f64]| {
        let shape = Shape { seeds, ..SHAPE };
        match claim {
            "balanced_span_helps" => fares(claim, shape, signs, local),
            _ => fares(claim, shape, signs, alike),
        }
    };
    let verdict = |claim: &str, seeds: u64, signs: &[f64]| finding(claim, seeds, signs).verdict;
    assert_eq!(verdict("balanced_span_helps", 8, &FOR), Verdict::Supported);
    assert_eq!(verdict("balanced_span_helps", 8, &AGAINST), Verdict::Refuted);
    assert_eq!(verdict("similarity_tracks_loss", 8, &FOR), Verdict::Supported);
    assert_eq!(verdict("similarity_tracks_loss", 8, &AGAINST), Verdict::Supported);
    for claim in ["balanced_span_helps", "similarity_tracks_loss"] {
        // Three seeds have six pairings, however strong the effect is.
        let three = finding(claim, 3, &FOR);
        assert_eq!((three.verdict, three.p_value), (Verdict::Inconclusive, Some(1.0 / 6.0)), "{three:?}");
        assert!(three.high.zip(three.low).is_some_and(|(high, low)| low > 0.0 || high < 0.0), "{three:?}");
        assert!(three.reason.contains("with 3 seeds no p-value is below 1/6, and 6 seeds are needed"), "{three:?}");
        assert!(three.detectable.is_none() && !three.reason.contains("80 %"), "it can find nothing: {three:?}");
        // Seeds disagree; two seeds mirror each other; one has nothing to take out.
        assert_eq!(verdict(claim, 8, &MIXED), Verdict::Inconclusive);
        let two = finding(claim, 2, &FOR);
        assert_eq!((two.verdict, two.p_value), (Verdict::Inconclusive, None), "{two:?}");
        assert_eq!(verdict(claim, 1, &FOR), Verdict::NotTested);
        absent(claim);
    }
}

#[test]
fn claims_on_pairs_of_layers() {
    let within = |low: u16, high: u16| {
        move |seed: &mut Seed, sign: f64| {
            for row in &mut seed.layer_similarity {
                row.js_similarity = 0.5 + if row.layer_a >= low && row.layer_b <= high { sign * 0.1 } else { 0.0 };
            }
        }
    };
    decides("lower_layers_alike", SHAPE, within(0, 1));
    let three = fares("lower_layers_alike", Shape { layers: 3, ..SHAPE }, &FOR, within(0, 1));
    assert_eq!(three.verdict, Verdict::NotTested);
    decides("middle_most_alike", Shape { layers: 6, ..SHAPE }, within(3, 5));
    let four = fares("middle_most_alike", SHAPE, &FOR, within(3, 5));
    assert_eq!((four.verdict, four.reason.contains("six")), (Verdict::NotTested, true));
}

#[test]
fn specialisation_onset() {
    let shape = Shape { every: 500, ..SHAPE };
    let bend = |seed: &mut Seed, sign: f64| {
        let onset = if sign > 0.0 { 2000 } else { 4000 };
        seed.layer_similarity.iter_mut().for_each(|row| row.js_divergence = if row.step < onset { 0.1 } else { 0.4 });
    };
    decides("specialisation_onset", shape, bend);
    let short = fares("specialisation_onset", SHAPE, &FOR, bend);
    assert!(short.verdict == Verdict::NotTested && short.reason.contains("4000"), "{short:?}");
    let elsewhere = find(&[synthetic::dataset("text8", shape)], 0, "specialisation_onset");
    assert_eq!(elsewhere.verdict, Verdict::NotTested);
}

#[test]
fn last_layers_diverse() {
    // Of 4 layers the last two.
    let bend = |seed: &mut Seed, sign: f64| {
        let late = |layer| if layer >= 2 { sign * 0.1 } else { 0.0 };
        seed.layer_metrics.iter_mut().for_each(|row| row.head_js_divergence = 0.5 + late(row.layer));
    };
    decides("last_layers_diverse", SHAPE, bend);
    let one = fares("last_layers_diverse", Shape { layers: 1, ..SHAPE }, &FOR, bend);
    assert_eq!(one.verdict, Verdict::NotTested);
}

#[test]
fn enwik8_more_uniform() {
    let fares = |signs: &[f64], shape: Shape| {
        let mut study = [SHAKESPEARE, ENWIK8].map(|name| synthetic::dataset(name, shape));
        for (index, sign) in (0..).zip(signs).take(shape.seeds as usize) {
            for (dataset, spread) in [(0, 0.02 + 0.01 * sign), (1, 0.02)] {
                for row in &mut study[dataset].runs[1].seeds[index].layer_similarity {
                    row.js_similarity = 0.5 + spread * f64::from(row.layer_b);
                }
            }
        }
        find(&study, 1, "enwik8_more_uniform").verdict
    };
    assert_eq!(fares(&FOR, SHAPE), Verdict::Supported);
    assert_eq!(fares(&AGAINST, SHAPE), Verdict::Refuted);
    assert_eq!(fares(&MIXED, SHAPE), Verdict::Inconclusive);
    assert_eq!(fares(&FOR[..1], Shape { seeds: 1, ..SHAPE }), Verdict::Inconclusive);
    assert_eq!(fares(&FOR, Shape { layers: 2, ..SHAPE }), Verdict::NotTested);
    let alone = find(&[synthetic::dataset(ENWIK8, SHAPE)], 0, "enwik8_more_uniform");
    assert!(alone.verdict == Verdict::NotTested && alone.reason.contains("not in the study"));
}

#[test]
fn quality_wants_balance() {
    let peak = |at: f64| {
        move |seed: &mut Seed, sign: f64| {
            let entropy = attention(seed, None, |row| Some(row.normalized_entropy));
            let middle = entropy.values().sum::<f64>() / entropy.len() as f64 + at;
            let last = seed.last_step();
            for row in seed.sample_scores.iter_mut().filter(|row| row.step == Some(last)) {
                row.quality = Some(-sign * (entropy[&row.sample] - middle).powi(2));
            }
        }
    };
    decides("quality_wants_balance", SHAPE, peak(0.0));
    let outside = fares("quality_wants_balance", SHAPE, &FOR, peak(1.0));
    assert_eq!(outside.verdict, Verdict::Refuted, "{outside:?}");
    let few = fares("quality_wants_balance", Shape { samples: 3, ..SHAPE }, &FOR, peak(0.0));
    assert_eq!(few.verdict, Verdict::NotTested);
}

#[test]
fn claims_on_the_quality_of_samples() {
    let shape = SHAPE;
    // Each claim's metric grows with the sample's number, as quality does, or falls.
    let size = |sample: u16, sign: f64| 5.0 + sign * 0.1 * f64::from(sample);
    decides("quality_wants_stable_heads", shape, |seed, sign| {
        rank_quality(seed);
        seed.sample_attention
            .iter_mut()
            .for_each(|row| row.entropy_nats = f64::from(row.head) * size(row.sample, -sign));
    });
    decides("poor_is_overfocused", shape, |seed, sign| {
        rank_quality(seed);
        seed.sample_attention.iter_mut().for_each(|row| row.normalized_entropy = size(row.sample, sign));
    });
    decides("poor_is_dominated", shape, |seed, sign| {
        rank_quality(seed);
        let norm = |row: &schemas::tables::SampleAttention| if row.head == 0 { size(row.sample, -sign) } else { 1.0 };
        seed.sample_attention.iter_mut().for_each(|row| row.output_norm = norm(row));
    });
    decides("poor_is_inconsistent", shape, |seed, sign| {
        rank_quality(seed);
        seed.sample_layers.iter_mut().for_each(|row| row.js_divergence = size(row.sample, -sign));
    });
    decides("quality_wants_layered_spans", shape, |seed, sign| {
        rank_quality(seed);
        // In good samples the distance increases with the layer, in poor ones it decreases.
        for row in &mut seed.sample_attention {
            let upward = if (f64::from(row.sample) - 4.5) * sign > 0.0 { 1.0 } else { -1.0 };
            row.mean_distance = 10.0 + upward * f64::from(row.layer);
        }
    });
    let few = fares("poor_is_overfocused", Shape { samples: 2, ..shape }, &FOR, |seed, _| rank_quality(seed));
    assert!(few.verdict == Verdict::NotTested && few.reason.contains("fewer than 3"), "{few:?}");
}

#[test]
fn shakespeare_strongest() {
    let fares = |signs: &[f64], shape: Shape| {
        let mut study = [SHAKESPEARE, "text8"].map(|name| synthetic::dataset(name, shape));
        for (index, sign) in (0..).zip(signs).take(shape.seeds as usize) {
            // In one of the two datasets attention equals quality.
            let seed = &mut study[usize::from(*sign < 0.0)].runs[1].seeds[index];
            rank_quality(seed);
            for row in &mut seed.sample_attention {
                let rank = f64::from(row.sample);
                (row.entropy_nats, row.normalized_entropy, row.mean_distance) = (rank, rank, rank);
                (row.first_token_mass, row.output_norm) = (rank, rank);
            }
        }
        find(&study, 0, "shakespeare_strongest")
    };
    assert_eq!(fares(&FOR, SHAPE).verdict, Verdict::Supported);
    assert_eq!(fares(&AGAINST, SHAPE).verdict, Verdict::Refuted);
    assert_eq!(fares(&MIXED, SHAPE).verdict, Verdict::Inconclusive);
    assert_eq!(fares(&FOR, Shape { samples: 2, ..SHAPE }).verdict, Verdict::NotTested);
    let alone = find(&[synthetic::dataset(SHAKESPEARE, SHAPE)], 0, "shakespeare_strongest");
    assert!(alone.verdict == Verdict::NotTested && alone.reason.contains("no other dataset"));
    assert_eq!(quality(&synthetic::dataset("d", SHAPE).runs[1].seeds[0]).len(), 10);
}

#[test]
fn generation_differs_slightly() {
    decides("generation_differs_slightly", SHAPE, |seed, sign| {
        let generated = if sign > 0.0 { 0.51 } else { 0.7 };
        for row in &mut seed.sample_attention {
            row.normalized_entropy = if row.source == TextSource::Model { generated } else { 0.5 };
        }
    });
    let without = fares("generation_differs_slightly", SHAPE, &FOR, |seed, _| {
        seed.sample_attention.retain(|row| row.source == TextSource::Model);
    });
    assert_eq!(without.verdict, Verdict::NotTested);
}

#[test]
fn val_tracks_train() {
    let bend =
        |seed: &mut Seed, sign: f64| seed.evaluations.iter_mut().for_each(|row| row.val_loss = sign * row.train_loss);
    for (signs, verdict) in [(FOR, Verdict::Supported), (AGAINST, Verdict::Refuted), (MIXED, Verdict::Inconclusive)] {
        assert_eq!(fares("val_tracks_train", SHAPE, &signs, bend).verdict, verdict);
    }
    let short = fares("val_tracks_train", SHAPE, &FOR, |seed, _| seed.evaluations.truncate(2));
    assert_eq!(short.verdict, Verdict::NotTested);
}

#[test]
fn plateau_repeats() {
    // The loss is flat from the second snapshot to the sixth; texts are repetitive there, or at the end.
    decides("plateau_repeats", SHAPE, |seed, sign| {
        let steps = seed.steps.clone();
        let last = seed.last_step();
        for row in &mut seed.evaluations {
            let position = steps.iter().filter(|step| **step <= row.step).count();
            row.val_loss = if position < 2 { 4.0 } else { 2.5 - 0.01 * position as f64 } - f64::from(position > 6);
        }
        for row in &mut seed.sample_scores {
            let early = row.step.is_some_and(|step| 2 * step <= last);
            row.repetition_4 = Some(if early == (sign > 0.0) { 0.8 } else { 0.2 });
        }
    });
}

#[test]
fn attention_settles_first() {
    // One of the two changes early, the other late.
    decides("attention_settles_first", SHAPE, |seed, sign| {
        let last = seed.last_step();
        let (entropy_until, repetition_until) = if sign > 0.0 { (1, 2) } else { (2, 1) };
        for row in &mut seed.head_metrics {
            row.normalized_entropy = if 4 * row.step <= entropy_until * last { 0.9 } else { 0.4 };
        }
        for row in &mut seed.sample_scores {
            let early = row.step.is_some_and(|step| 4 * step <= repetition_until * last);
            row.repetition_4 = Some(if early { 0.8 } else { 0.2 });
        }
    });
}
