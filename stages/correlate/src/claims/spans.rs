//! Claims on attention distance.

use std::sync::LazyLock;

use cli::number::prose;
use declarations::Part;
use schemas::enums::Verdict;

use super::claim::{
    Case, Claim, Condition, Decision, Evidence, Sensitivity, interval_in_words, left_out_in_words, part, subject,
};
use super::hypothesis::{Alternative, Test, TestKind};
use crate::fit::slope;
use crate::inputs::Seed;
use crate::interval::Estimate;
use crate::rank::Correlation;
use crate::series::{head_series, mean_by};

/// `span_rises_then_settles`: span increases, then stabilises. Least-squares slopes over steps of the mean distance over all
/// heads, in the first and in the last quarter of the training; the size of the last over the first, below 0.25, where every
/// first is above 0: supported if both are significant, so the larger of their p-values counts. If no first slope is above 0,
/// the claim is refuted where they are significantly below; if some are, it is inconclusive.
pub(super) fn span_rises_then_settles(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "span_rises_then_settles",
        statement: "span increases, then stabilises",
        statistic: "slope of mean distance: |last quarter| / first quarter, first quarter > 0",
        alternative: Alternative::Less(0.25),
    };
    let run = match subject(case.dataset, &[Part::Snapshots]) {
        Ok(run) => run,
        Err(reason) => return claim.not_tested("", reason),
    };
    let (slopes, left_out) = part(run.seeds.iter().map(|seed| (seed.seed, quarter_slopes(seed))));
    let firsts: Vec<f64> = slopes.iter().map(|(first, _)| *first).collect();
    let falling = firsts.iter().filter(|first| **first <= 0.0).count();
    let rise = Estimate::over(&firsts).map(|estimate| Condition { what: "the rise", estimate });
    let rise_p_value = rise.and_then(|rise| rise.p_value());
    if falling == 0 {
        let ratios: Vec<f64> = slopes.iter().map(|(first, last)| last.abs() / first).collect();
        let ratio = Estimate::over(&ratios);
        let test =
            ratio.and_then(|ratio| claim.alternative.t_test(&ratio)).zip(rise_p_value).map(|(test, rise)| Test {
                p_value: if test.if_rejected == Verdict::Supported { test.p_value.max(rise) } else { test.p_value },
                ..test
            });
        let evidence = claim.tested(&run.name, ratio, test, &left_out);
        return Evidence { condition: rise, sensitivity: Sensitivity::Ours, ..evidence };
    }
    let if_rejected = if falling == firsts.len() { Verdict::Refuted } else { Verdict::Inconclusive };
    let test = rise_p_value.map(|p_value| Test { kind: TestKind::Student, p_value, if_rejected });
    let rise = rise.map_or_else(String::new, |rise| interval_in_words(&rise.estimate));
    let mut reason = format!(
        "the span does not rise in the first quarter in {falling} of {} seeds (slope in characters per step: {rise})",
        firsts.len()
    );
    reason.push_str(&left_out_in_words(&left_out));
    claim.evidence(&run.name, firsts.len(), test.into(), reason)
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
pub(super) fn early_local_late_global(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "early_local_late_global",
        statement: "early layers are local, late layers global",
        statistic: "Spearman(layer, mean distance) at the last step",
        alternative: Alternative::Greater(0.0),
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

/// `local_specialists`: some heads attend to 1–3 characters while others attend further. Whether at the last step a head has
/// `local_mass_3` above [`LOCAL`] while another has less than [`FAR`]; the value is the share of seeds in which that is so.
/// Supported if in all, refuted if in none, and inconclusive between, provided that a two-sided sign test rejects a share of one
/// half.
pub(super) fn local_specialists(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "local_specialists",
        statement: "some heads attend to 1–3 characters while others attend further",
        statistic: &SPECIALISTS,
        alternative: Alternative::Rule,
    };
    let run = match subject(case.dataset, &[Part::Snapshots]) {
        Ok(run) => run,
        Err(reason) => return claim.not_tested("", reason),
    };
    let masses: Vec<Vec<f64>> = run.seeds.iter().map(final_local_mass).collect();
    if masses.iter().any(Vec::is_empty) {
        return claim.not_tested(
            &run.name,
            "no head has metrics at the last step: windows of one character leave nothing to average",
        );
    }
    if masses.iter().any(|heads| heads.len() == 1) {
        return claim.not_tested(&run.name, "the model has one head, and the claim is of several");
    }
    let counts_with = |local: f64| masses.iter().map(move |heads| local_and_far(heads, local));
    let holding_with = |local: f64| counts_with(local).filter(|(local, far)| *local > 0 && *far > 0).count();
    let counts: Vec<(usize, usize)> = counts_with(LOCAL).collect();
    let (seeds, holding) = (counts.len(), holding_with(LOCAL));
    let if_rejected = match holding {
        0 => Verdict::Refuted,
        all if all == seeds => Verdict::Supported,
        _ => Verdict::Inconclusive,
    };
    let each: Vec<_> = counts.iter().map(|(local, far)| format!("{local} and {far}")).collect();
    let share = holding as f64 / seeds as f64;
    let reason = format!(
        "in {holding} of {seeds} seeds, a share of {}; heads above {LOCAL} and below {FAR} by seed: {}",
        prose(share),
        each.join(", ")
    );
    let test = Test { kind: TestKind::Signs, p_value: sign_test(holding, seeds), if_rejected };
    let others = [0.5, 0.6, 0.7, 0.9].map(|local| format!("{} of {seeds} seeds with {local}", holding_with(local)));
    let sensitivity =
        Sensitivity::Words(format!("with other thresholds than {LOCAL} it holds in {}", others.join(", ")));
    Evidence { value: Some(share), sensitivity, ..claim.evidence(&run.name, seeds, Decision::Tested(test), reason) }
}

/// `local_mass_3` of a head that attends to 1–3 characters, at least; the study gives no number.
const LOCAL: f64 = 0.8;
/// That of a head that attends further, at most.
const FAR: f64 = 0.3;
/// The statistic of `local_specialists`.
static SPECIALISTS: LazyLock<String> =
    LazyLock::new(|| format!("share of seeds where a head has local_mass_3 > {LOCAL} and another < {FAR}, last step"));

/// `local_mass_3` of each head at the last step.
fn final_local_mass(seed: &Seed) -> Vec<f64> {
    let last = seed.last_step();
    seed.head_metrics.iter().filter(|row| row.step == last).map(|row| row.local_mass_3).collect()
}

/// How many heads have a local mass above `local`, and how many below [`FAR`].
fn local_and_far(heads: &[f64], local: f64) -> (usize, usize) {
    (heads.iter().filter(|mass| **mass > local).count(), heads.iter().filter(|mass| **mass < FAR).count())
}

/// The two-sided p-value of `successes` among `n` trials of probability 1/2.
fn sign_test(successes: usize, n: usize) -> f64 {
    let fewer = successes.min(n - successes);
    // Binomial coefficients, each from the one before.
    let ways = (0..fewer).scan(1.0, |ways, k| {
        *ways *= (n - k) as f64 / (k + 1) as f64;
        Some(*ways)
    });
    (2.0 * (1.0 + ways.sum::<f64>()) * 0.5_f64.powf(n as f64)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_test_counts() {
        // Of 2⁵ outcomes 1 + 5 have one success or none, and as many have four or five.
        let p_values = [0, 1, 2, 3, 4, 5].map(|successes| sign_test(successes, 5));
        assert_eq!(p_values, [2.0 / 32.0, 12.0 / 32.0, 1.0, 1.0, 12.0 / 32.0, 2.0 / 32.0]);
        assert_eq!((sign_test(1, 1), sign_test(0, 3)), (1.0, 0.25));
    }
}
