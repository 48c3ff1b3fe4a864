//! What `correlate` concludes: results, findings, correlations, matched heads, onsets.

use declarations::{Part, Study, StudyDataset};
use schemas::enums::{Event, Scope, Verdict};
use schemas::tables::{Correlations, Findings, HeadMatches, Onsets, Results};
use schemas::{Artifacts, Partition, Provenance};

use super::{HEADS, LAYERS};

pub(super) fn conclusions(artifacts: &Artifacts, study: &Study, dataset: &StudyDataset) {
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
            bootstrap_low: (claim == "generation_differs_slightly").then_some(0.004),
            bootstrap_high: (claim == "generation_differs_slightly").then_some(0.038),
            detectable: (verdict == Verdict::Inconclusive).then_some(0.998),
            seeds_needed: (verdict == Verdict::Inconclusive).then_some(21),
            sensitivity: (claim == "local_specialists").then(|| "with <0.5> it holds & with 0.9 it does not".into()),
        })
        .collect()
}
