//! The family-wise type-I error of the verdicts, from tables to findings: random studies without any effect.

use rayon::prelude::*;

use super::claim::Case;
use super::tested;
use crate::synthetic::{self, Shape};

const STUDIES: u64 = 1000;

/// The claims whose statistic is at its threshold in [`synthetic::dataset`], where attention and scores are white noise.
const WITHOUT_EFFECT: [&str; 13] = [
    "entropy_falls",
    "span_rises_then_settles",
    "early_local_late_global",
    "balanced_span_helps",
    "lower_layers_alike",
    "middle_most_alike",
    "last_layers_diverse",
    "similarity_tracks_loss",
    "quality_wants_balance",
    "quality_wants_stable_heads",
    "poor_is_overfocused",
    "poor_is_dominated",
    "poor_is_inconsistent",
];

#[test]
fn without_an_effect_few_studies_decide_any_claim() {
    println!("| seeds | claims | any claim decided | any p ≤ 0.05, uncorrected |");
    println!("|---|---|---|---|");
    for seeds in [3, 5, 8] {
        let shape = Shape { seeds, layers: 6, ..Shape::default() };
        let wrong = |number: u64| {
            let dataset = synthetic::dataset(&format!("study_{number}"), shape);
            // The bootstrap decides no verdict.
            let study = std::slice::from_ref(&dataset);
            let rows = tested(Case { dataset: &dataset, study, replicates: 0 });
            let family = rows.iter().filter(|row| row.p_value.is_some()).count() as u64;
            let null: Vec<_> = rows.iter().filter(|row| WITHOUT_EFFECT.contains(&row.claim.as_str())).collect();
            assert_eq!(null.len(), WITHOUT_EFFECT.len());
            let decided = null.iter().any(|row| ["supported", "refuted"].contains(&row.verdict.as_str()));
            let low = null.iter().any(|row| row.p_value.is_some_and(|p_value| p_value <= 0.05));
            [family, u64::from(decided), u64::from(low)]
        };
        let sum = |one: [u64; 3], other: [u64; 3]| [one[0] + other[0], one[1] + other[1], one[2] + other[2]];
        let sums = (0..STUDIES).into_par_iter().map(wrong).reduce(|| [0; 3], sum);
        let [family, decided, low] = sums.map(|sum| sum as f64 / STUDIES as f64);
        println!("| {seeds} | {family:.1} | {:.1} % | {:.1} % |", 100.0 * decided, 100.0 * low);
        // Three standard errors above 0.04 for those thirteen of a family of about sixteen.
        assert!(decided <= 0.06, "{seeds} seeds: {decided}");
        assert!(low > 0.3, "without the correction chance would decide often: {low}");
    }
}
