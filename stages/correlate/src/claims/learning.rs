//! Claims on attention and learning.

use declarations::Part;
use schemas::tables::Findings;

use super::claim::{Case, Claim, Side, Verdict, left_out_in_words, number, part, subject};
use crate::association::{Paired, distinct};
use crate::inputs::Seed;
use crate::partial::Partial;
use crate::rank::Correlation;
use crate::series::{Series, head_series, pair_series, val_loss};
use crate::training::{at, common_steps};

/// `tracking_is_free`: tracking attention does not change what is learned. The largest difference of any final weight of
/// the same seed, first run without tracking against first run with it: exact, supported if 0 in every seed, refuted else. It
/// has no interval and needs none, so one seed suffices.
pub(super) fn tracking_is_free(case: Case<'_>) -> Findings {
    let claim = Claim {
        name: "tracking_is_free",
        statement: "tracking attention does not change what is learned",
        statistic: "largest difference of final weights, same seed (exact: 0)",
        side: Side::Own,
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
        (Verdict::Refuted, format!("the final weights of {seeds} differ by up to {}", number(largest)))
    };
    reason.push_str(&left_out_in_words(&left_out));
    claim.finding(&run, Some(largest), None, verdict, reason, differences.len())
}

/// `entropy_falls`: attention becomes more focused as training progresses. Spearman's correlation of the step and the mean
/// `entropy_nats` over all heads, below 0.
pub(super) fn entropy_falls(case: Case<'_>) -> Findings {
    let claim = Claim {
        name: "entropy_falls",
        statement: "attention becomes more focused as training progresses",
        statistic: "Spearman(step, mean entropy)",
        side: Side::Below(0.0),
    };
    claim.per_seed_correlation(case, &[Part::Snapshots], |seed| {
        let entropy = head_series(seed, None, |row| Some(row.entropy_nats));
        let (steps, entropy): (Vec<f64>, Vec<f64>) =
            entropy.into_iter().map(|(step, value)| (f64::from(step), value)).unzip();
        Correlation::of(&steps, &entropy).map_err(|reason| format!("over steps, {reason}"))
    })
}

/// `balanced_span_helps`: balanced short and long range goes with lower loss. Partial Spearman correlation of −|mean
/// `local_mass_3` − 0.5| and the validation loss, below 0.
pub(super) fn balanced_span_helps(case: Case<'_>) -> Findings {
    let claim = Claim {
        name: "balanced_span_helps",
        statement: "balanced short and long range goes with lower loss",
        statistic: "partial Spearman(−|mean local_mass_3 − 0.5|, val_loss)",
        side: Side::Below(0.0),
    };
    partial(&claim, case, &[Part::Snapshots], |seed| {
        let local = head_series(seed, None, |row| Some(row.local_mass_3));
        local.into_iter().map(|(step, local)| (step, -(local - 0.5).abs())).collect()
    })
}

/// `similarity_tracks_loss`: cross-layer similarity goes with validation loss. Partial Spearman correlation of the mean
/// `js_similarity` over all pairs and the validation loss, two-sided.
pub(super) fn similarity_tracks_loss(case: Case<'_>) -> Findings {
    let claim = Claim {
        name: "similarity_tracks_loss",
        statement: "cross-layer similarity goes with validation loss",
        statistic: "partial Spearman(mean js_similarity, val_loss), two-sided",
        side: Side::Apart(0.0),
    };
    partial(&claim, case, &[Part::Snapshots, Part::Similarity], |seed| {
        pair_series(seed, |_, _| true, |row| Some(row.js_similarity))
    })
}

/// `val_tracks_train`: validation loss tracks training loss closely. Spearman's correlation of the two over all evaluations,
/// above 0.9.
pub(super) fn val_tracks_train(case: Case<'_>) -> Findings {
    let claim = Claim {
        name: "val_tracks_train",
        statement: "validation loss tracks training loss closely",
        statistic: "Spearman(train_loss, val_loss) over evaluations",
        side: Side::Above(0.9),
    };
    claim.per_seed_correlation(case, &[], |seed| {
        let losses = |value: fn(&schemas::tables::Evaluations) -> f64| -> Series {
            seed.evaluations.iter().map(|row| (row.step, value(row))).collect()
        };
        let pair = Paired::new(seed.seed, &losses(|row| row.train_loss), &losses(|row| row.val_loss));
        Correlation::of(&pair.x, &pair.y).map_err(|reason| format!("over evaluations, {reason}"))
    })
}

/// Decides by a partial Spearman correlation with the validation loss, whose values over seeds share the mean that is taken
/// out. Two seeds mirror each other: one piece of evidence, so there is no interval and the claim stays inconclusive.
fn partial(claim: &Claim, case: Case<'_>, needs: &[Part], metric: impl Fn(&Seed) -> Series) -> Findings {
    let run = match subject(case.dataset, needs) {
        Ok(run) => run,
        Err(reason) => return claim.not_tested("", reason),
    };
    if run.seeds.len() < 2 {
        return claim.not_tested(&run.name, "one seed: what all seeds share can be taken out of two or more");
    }
    let x: Vec<Series> = run.seeds.iter().map(metric).collect();
    let y: Vec<Series> = run.seeds.iter().map(val_loss).collect();
    let steps = common_steps(x.iter().chain(&y));
    match Partial::of(&at(&x, &steps), &at(&y, &steps)) {
        Err(reason) => claim.not_tested(&run.name, format!("of the deviations from the mean over seeds, {reason}")),
        Ok(partial) => {
            let mut finding = claim.judge(&run.name, Some(partial.estimate()), &[]);
            if run.seeds.len() == 2 {
                finding.reason.push_str(": their deviations from their mean mirror each other");
            }
            finding
        }
    }
}
