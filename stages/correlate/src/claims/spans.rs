//! Claims on how far attention reaches.

use declarations::Part;
use schemas::tables::Findings;

use super::claim::{Case, Claim, Side, Verdict, interval_in_words, left_out_in_words, number, part, subject};
use crate::fit::slope;
use crate::inputs::Seed;
use crate::interval::Estimate;
use crate::rank::Correlation;
use crate::series::{head_series, mean_by};

/// `span_rises_then_settles`: span increases, then stabilises. Least-squares slopes over steps of the mean distance over all
/// heads, in the first and in the last quarter of the training; the size of the last over the first, below 0.25, where
/// every first is above 0. A first slope at or below 0 in every seed refutes; in some, nothing is decided.
pub(super) fn span_rises_then_settles(case: Case<'_>) -> Findings {
    let claim = Claim {
        name: "span_rises_then_settles",
        statement: "span increases, then stabilises",
        statistic: "slope of mean distance: |last quarter| / first quarter, first quarter > 0",
        side: Side::Below(0.25),
    };
    let run = match subject(case.dataset, &[Part::Snapshots]) {
        Ok(run) => run,
        Err(reason) => return claim.not_tested("", reason),
    };
    let (slopes, left_out) = part(run.seeds.iter().map(|seed| (seed.seed, quarter_slopes(seed))));
    let firsts: Vec<f64> = slopes.iter().map(|(first, _)| *first).collect();
    let falling = firsts.iter().filter(|first| **first <= 0.0).count();
    if falling == 0 {
        let ratios: Vec<f64> = slopes.iter().map(|(first, last)| last.abs() / first).collect();
        return claim.judge(&run.name, Estimate::over(&ratios), &left_out);
    }
    let verdict = if falling == firsts.len() && falling >= 2 { Verdict::Refuted } else { Verdict::Inconclusive };
    let slopes = Estimate::over(&firsts).map_or_else(String::new, |estimate| interval_in_words(&estimate));
    let mut reason = format!(
        "the span does not rise in the first quarter in {falling} of {} seeds (slope in characters per step: {slopes})",
        firsts.len()
    );
    reason.push_str(&left_out_in_words(&left_out));
    claim.finding(&run.name, None, None, verdict, reason, firsts.len())
}

/// The slopes of the mean distance in the first and in the last quarter of the steps.
fn quarter_slopes(seed: &Seed) -> Result<(f64, f64), String> {
    let span = head_series(seed, None, |row| Some(row.mean_distance));
    let points: Vec<(f64, f64)> = span.into_iter().map(|(step, span)| (f64::from(step), span)).collect();
    let (Some((from, _)), Some((to, _))) = (points.first(), points.last()) else {
        return Err("there are no snapshots".to_owned());
    };
    let quarter = (to - from) / 4.0;
    let early: Vec<_> = points.iter().copied().filter(|(step, _)| *step <= from + quarter).collect();
    let late: Vec<_> = points.iter().copied().filter(|(step, _)| *step >= to - quarter).collect();
    if early.len() < 3 || late.len() < 3 {
        return Err("a quarter of the training has fewer than 3 snapshots".to_owned());
    }
    match (slope(&early), slope(&late)) {
        (Some(first), Some(last)) if first.is_finite() && last.is_finite() => Ok((first, last)),
        _ => Err("a slope is not finite".to_owned()),
    }
}

/// `early_local_late_global`: early layers are local, late layers global. Spearman's correlation of the layer and its heads'
/// mean distance at the last step, above 0.
pub(super) fn early_local_late_global(case: Case<'_>) -> Findings {
    let claim = Claim {
        name: "early_local_late_global",
        statement: "early layers are local, late layers global",
        statistic: "Spearman(layer, mean distance) at the last step",
        side: Side::Above(0.0),
    };
    claim.per_seed_correlation(case, &[Part::Snapshots], |seed| {
        let last = seed.last_step();
        let rows = seed.head_metrics.iter().filter(|row| row.step == last);
        let spans = mean_by(rows.map(|row| (row.layer, Some(row.mean_distance))));
        let (layers, spans): (Vec<f64>, Vec<f64>) =
            spans.into_iter().map(|(layer, span)| (f64::from(layer), span)).unzip();
        Correlation::of(&layers, &spans).map_err(|reason| format!("over layers, {reason}"))
    })
}

/// `local_specialists`: some heads attend to 1–3 characters while others look further. Whether at the last step a head has
/// `local_mass_3` above 0.8 while another has less than 0.3; the value is the share of seeds where it is so: supported if
/// all, refuted if none, inconclusive between or with one seed.
pub(super) fn local_specialists(case: Case<'_>) -> Findings {
    let claim = Claim {
        name: "local_specialists",
        statement: "some heads attend to 1–3 characters while others look further",
        statistic: "share of seeds where a head has local_mass_3 > 0.8 and another < 0.3, last step",
        side: Side::Own,
    };
    let run = match subject(case.dataset, &[Part::Snapshots]) {
        Ok(run) => run,
        Err(reason) => return claim.not_tested("", reason),
    };
    let mut counts = Vec::new();
    for seed in &run.seeds {
        let last = seed.last_step();
        let masses: Vec<f64> =
            seed.head_metrics.iter().filter(|row| row.step == last).map(|row| row.local_mass_3).collect();
        if masses.len() < 2 {
            return claim.not_tested(&run.name, "the model has one head, and the claim is of several");
        }
        let local = masses.iter().filter(|mass| **mass > 0.8).count();
        counts.push((local, masses.iter().filter(|mass| **mass < 0.3).count()));
    }
    let seeds = counts.len();
    let holding = counts.iter().filter(|(local, far)| *local > 0 && *far > 0).count();
    let verdict = match holding {
        _ if seeds < 2 => Verdict::Inconclusive,
        0 => Verdict::Refuted,
        all if all == seeds => Verdict::Supported,
        _ => Verdict::Inconclusive,
    };
    let each: Vec<_> = counts.iter().map(|(local, far)| format!("{local} and {far}")).collect();
    let share = holding as f64 / seeds as f64;
    let reason = format!(
        "so in {holding} of {seeds} seeds, a share of {}; heads above 0.8 and below 0.3, seed by seed: {}",
        number(share),
        each.join(", ")
    );
    claim.finding(&run.name, Some(share), None, verdict, reason, seeds)
}
