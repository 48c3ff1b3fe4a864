//! Claims on attention and learning.

use cli::number::prose;
use declarations::Part;
use random_streams::stream;
use schemas::enums::Verdict;

use super::claim::{Case, Claim, Decision, Evidence, Sensitivity, left_out_in_words, part, subject};
use super::hypothesis::{Alternative, Test, TestKind};
use crate::association::{Paired, distinct};
use crate::inputs::Seed;
use crate::partial::Partial;
use crate::rank::Correlation;
use crate::series::{Series, head_series, pair_series, val_loss};
use crate::training::{at, common_steps};

/// Pairings of seeds behind the p-value of a partial correlation: all of them up to ten seeds, this many random ones beyond.
const PAIRINGS: u32 = 3_628_800;

/// `tracking_is_free`: tracking attention does not change what is learned. The largest difference of any final weight of
/// the same seed, first run without tracking against first run with it: exact, supported if 0 in every seed, refuted else. It
/// is no test, so one seed suffices and no correction applies.
pub(super) fn tracking_is_free(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "tracking_is_free",
        statement: "tracking attention does not change what is learned",
        statistic: "largest difference of final weights, same seed (exact: 0)",
        alternative: Alternative::Rule,
    };
    let Some(tracked) = &case.dataset.tracked else {
        return claim.not_tested("", "the study has no two runs, one with and one without tracking");
    };
    let run = tracked.runs.join(", ");
    let (differences, left_out) = part(tracked.differences.iter().cloned());
    let largest = differences.iter().copied().fold(0.0, f64::max);
    let seeds = match differences.len() {
        0 => return claim.not_tested(&run, distinct(&left_out).join("; ")),
        1 => "1 seed".to_owned(),
        seeds => format!("{seeds} seeds"),
    };
    let (verdict, mut reason) = if largest == 0.0 {
        (Verdict::Supported, format!("the final weights of {seeds} are equal bit for bit with and without tracking"))
    } else {
        (Verdict::Refuted, format!("the final weights of {seeds} differ by up to {}", prose(largest)))
    };
    reason.push_str(&left_out_in_words(&left_out));
    Evidence { value: Some(largest), ..claim.evidence(&run, differences.len(), Decision::Untested(verdict), reason) }
}

/// `entropy_falls`: attention becomes more focused as training progresses. Spearman's correlation of the step and the mean
/// `entropy_nats` over all heads, below 0.
pub(super) fn entropy_falls(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "entropy_falls",
        statement: "attention becomes more focused as training progresses",
        statistic: "Spearman(step, mean entropy)",
        alternative: Alternative::Less(0.0),
    };
    claim.per_seed_correlation(case, &[Part::Snapshots], |seed| {
        let entropy = head_series(seed, None, |row| Some(row.entropy_nats));
        let (steps, entropy): (Vec<f64>, Vec<f64>) =
            entropy.into_iter().map(|(step, value)| (f64::from(step), value)).unzip();
        Correlation::of(&steps, &entropy).map_err(|reason| format!("over steps, {reason}"))
    })
}

/// `balanced_span_helps`: a balance of short and long range correlates with lower loss. Partial Spearman correlation of −|mean
/// `local_mass_3` − 0.5| and the validation loss, below 0.
pub(super) fn balanced_span_helps(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "balanced_span_helps",
        statement: "a balance of short and long range correlates with lower loss",
        statistic: "partial Spearman(−|mean local_mass_3 − 0.5|, val_loss)",
        alternative: Alternative::Less(0.0),
    };
    partial(&claim, case, &[Part::Snapshots], |seed| {
        let local = head_series(seed, None, |row| Some(row.local_mass_3));
        local.into_iter().map(|(step, local)| (step, -(local - 0.5).abs())).collect()
    })
}

/// `similarity_tracks_loss`: cross-layer similarity correlates with validation loss. Partial Spearman correlation of the mean
/// `js_similarity` over all pairs and the validation loss, two-sided.
pub(super) fn similarity_tracks_loss(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "similarity_tracks_loss",
        statement: "cross-layer similarity correlates with validation loss",
        statistic: "partial Spearman(mean js_similarity, val_loss), two-sided",
        alternative: Alternative::TwoSided(0.0),
    };
    partial(&claim, case, &[Part::Snapshots, Part::Similarity], |seed| {
        pair_series(seed, |_, _| true, |row| Some(row.js_similarity))
    })
}

/// `val_tracks_train`: validation loss tracks training loss closely. Spearman's correlation of the two over all evaluations,
/// above 0.9.
pub(super) fn val_tracks_train(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "val_tracks_train",
        statement: "validation loss tracks training loss closely",
        statistic: "Spearman(train_loss, val_loss) over evaluations",
        alternative: Alternative::Greater(0.9),
    };
    let evidence = claim.per_seed_correlation(case, &[], |seed| {
        let losses = |value: fn(&schemas::tables::Evaluations) -> f64| -> Series {
            seed.evaluations.iter().map(|row| (row.step, value(row))).collect()
        };
        let pair = Paired::new(seed.seed, &losses(|row| row.train_loss), &losses(|row| row.val_loss));
        Correlation::of(&pair.x, &pair.y).map_err(|reason| format!("over evaluations, {reason}"))
    });
    Evidence { sensitivity: Sensitivity::Ours, ..evidence }
}

/// Evidence from a partial Spearman correlation with the validation loss, tested over all pairings of the seeds of the metric
/// with those of the loss. The deviations of two seeds from their mean mirror each other: one observation, so there is neither
/// an interval nor a test.
fn partial(claim: &Claim, case: Case<'_>, needs: &[Part], metric: impl Fn(&Seed) -> Series) -> Evidence {
    let run = match subject(case.dataset, needs) {
        Ok(run) => run,
        Err(reason) => return claim.not_tested("", reason),
    };
    if run.seeds.len() < 2 {
        return claim
            .not_tested(&run.name, "one seed: a partial correlation needs two to take out what all seeds share");
    }
    let x: Vec<Series> = run.seeds.iter().map(metric).collect();
    let y: Vec<Series> = run.seeds.iter().map(val_loss).collect();
    let steps = common_steps(x.iter().chain(&y));
    match Partial::of(&at(&x, &steps), &at(&y, &steps)) {
        Err(reason) => claim.not_tested(&run.name, format!("of the deviations from the mean over seeds, {reason}")),
        Ok(partial) => {
            let stream = stream("correlate claims", &[&case.dataset.name.as_str(), &claim.name]);
            let test = || Test {
                kind: TestKind::Pairings,
                p_value: partial.p_value(PAIRINGS, stream),
                if_rejected: claim.alternative.verdict(partial.value()),
            };
            let test = (run.seeds.len() > 2).then(test);
            let mut evidence = claim.tested(&run.name, Some(partial.estimate()), test, &[]);
            if run.seeds.len() == 2 {
                evidence.reason.push_str(": their deviations from their mean mirror each other");
            }
            evidence
        }
    }
}
