//! Claims on attention and the quality of generated text. An observation is a sample of the final checkpoint; every
//! statistic is computed within one seed.

use declarations::Part;
use random_streams::stream;
use schemas::Table;
use schemas::enums::{TextSource, Verdict};
use schemas::tables::SampleAttention;

use super::SHAKESPEARE;
use super::claim::{Case, Claim, Decision, Evidence, Sensitivity, part, subject};
use super::hypothesis::Alternative;
use crate::association::Paired;
use crate::bootstrap;
use crate::fit::parabola;
use crate::inputs::{Dataset, Seed};
use crate::interval::Estimate;
use crate::rank::{Correlation, mean, spearman};
use crate::samples::{
    BySample, adjacent_divergence, attention, dominant_share, final_attention, head_entropy_variance, quality,
    span_gradient,
};

const NEEDS: [Part; 1] = [Part::Quality];

/// `quality_wants_balance`: better samples have entropy neither low nor high. The quadratic term of quality on
/// `normalized_entropy` (mean over heads) in standard deviations of the seed's samples, the linear term included, below 0, with
/// the vertex inside the data in every seed; a vertex outside in every seed refutes, in some decides nothing.
pub(super) fn quality_wants_balance(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "quality_wants_balance",
        statement: "better samples have entropy neither low nor high",
        statistic: "quadratic term of quality on standardized normalized_entropy, vertex inside the data",
        alternative: Alternative::Less(0.0),
    };
    let run = match subject(case.dataset, &NEEDS) {
        Ok(run) => run,
        Err(reason) => return claim.not_tested("", reason),
    };
    let (fits, left_out) = part(run.seeds.iter().map(|seed| (seed.seed, quality_parabola(seed))));
    let curvatures: Vec<f64> = fits.iter().map(|(curvature, _)| *curvature).collect();
    let inside = fits.iter().filter(|(_, inside)| *inside).count();
    let mut evidence = claim.t_test(&run.name, Estimate::over(&curvatures), &left_out);
    let seeds = fits.len();
    if seeds > 0 {
        evidence.reason.push_str(&format!("; the vertex is inside the data in {inside} of {seeds} seeds"));
    }
    if let Decision::Tested(test) = &mut evidence.decision
        && test.if_rejected == Verdict::Supported
        && inside < seeds
    {
        test.if_rejected = if inside == 0 { Verdict::Refuted } else { Verdict::Inconclusive };
    }
    evidence
}

/// The quadratic term of quality on entropy in standard deviations, and whether the parabola turns inside the data. Samples
/// differ by hundredths in entropy: in its own unit the term would be a number in the thousands.
fn quality_parabola(seed: &Seed) -> Result<(f64, bool), String> {
    let entropy = attention(seed, None, |row| Some(row.normalized_entropy));
    let pair = Paired::new(seed.seed, &entropy, &quality(seed));
    let points: Vec<(f64, f64)> = pair.x.iter().copied().zip(pair.y.iter().copied()).collect();
    let fit = parabola(&points)
        .ok_or_else(|| format!("{} scored samples, too few or too alike for a parabola", points.len()))?;
    let low = pair.x.iter().copied().fold(f64::INFINITY, f64::min);
    let high = pair.x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let centre = mean(&pair.x);
    let variance = mean(&pair.x.iter().map(|x| (x - centre).powi(2)).collect::<Vec<_>>());
    Ok((fit.curvature * variance, (low..=high).contains(&fit.vertex)))
}

/// `quality_wants_stable_heads`: better samples have stable patterns across heads. Spearman's correlation of quality and the
/// variance of `entropy_nats` over all heads, below 0.
pub(super) fn quality_wants_stable_heads(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "quality_wants_stable_heads",
        statement: "better samples have stable patterns across heads",
        statistic: "Spearman(quality, variance of head entropy)",
        alternative: Alternative::Less(0.0),
    };
    over_samples(&claim, case, head_entropy_variance)
}

/// `poor_is_overfocused`: poor samples have low entropy. Spearman's correlation of quality and `normalized_entropy` (mean over
/// heads), above 0.
pub(super) fn poor_is_overfocused(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "poor_is_overfocused",
        statement: "poor samples have low entropy",
        statistic: "Spearman(quality, normalized_entropy)",
        alternative: Alternative::Greater(0.0),
    };
    over_samples(&claim, case, |seed| attention(seed, None, |row| Some(row.normalized_entropy)))
}

/// `poor_is_dominated`: poor samples are dominated by few heads. Spearman's correlation of quality and the largest head's
/// share of its layer's output norms, averaged over layers, below 0.
pub(super) fn poor_is_dominated(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "poor_is_dominated",
        statement: "poor samples are dominated by few heads",
        statistic: "Spearman(quality, dominant share per layer, averaged over layers)",
        alternative: Alternative::Less(0.0),
    };
    over_samples(&claim, case, dominant_share)
}

/// `shakespeare_strongest`: shakespeare_char has the strongest attention–quality correlation. The mean size of Spearman's
/// correlation of quality with each metric of the generation scope (over all layers), minus its mean over the other datasets,
/// seed by seed over the seeds that all have, each cut to as many samples as the smallest has, above 0.
pub(super) fn shakespeare_strongest(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "shakespeare_strongest",
        statement: "shakespeare_char has the strongest attention–quality correlation",
        statistic: "mean |Spearman(attention, quality)| − the others', equal samples and seeds",
        alternative: Alternative::Greater(0.0),
    };
    let others: Vec<&Dataset> = case.study.iter().filter(|dataset| dataset.name != SHAKESPEARE).collect();
    if others.is_empty() {
        return claim.not_tested("", "the study has no other dataset");
    }
    let runs: Result<Vec<_>, String> =
        std::iter::once(case.dataset).chain(others).map(|dataset| subject(dataset, &NEEDS)).collect();
    let runs = match runs {
        Ok(runs) => runs,
        Err(reason) => return claim.not_tested("", reason),
    };
    // The trainings of each common seed, one per dataset, shakespeare_char first.
    let trainings = |seed: &Seed| -> Option<Vec<&Seed>> {
        runs.iter().map(|run| run.seeds.iter().find(|other| other.seed == seed.seed)).collect()
    };
    let common: Vec<Vec<&Seed>> = runs[0].seeds.iter().filter_map(trainings).collect();
    let Some(samples) = common.iter().flatten().map(|seed| quality(seed).len()).min() else {
        return claim.not_tested(&runs[0].name, "the datasets have no seed in common");
    };
    let difference = |seeds: &Vec<&Seed>| {
        let strengths: Result<Vec<f64>, String> = seeds.iter().map(|seed| strength(seed, samples)).collect();
        let strengths = strengths?;
        Ok(strengths[0] - mean(&strengths[1..]))
    };
    claim.over(&runs[0].name, common.iter().map(|seeds| (seeds[0].seed, difference(seeds))))
}

/// The mean size of the correlations of quality with attention, over the first `samples` scored ones.
fn strength(seed: &Seed, samples: usize) -> Result<f64, String> {
    let quality: BySample = quality(seed).into_iter().take(samples).collect();
    let metrics = SampleAttention::MEASURES.iter().map(|measure| attention(seed, None, measure.get));
    let metrics = metrics.chain([adjacent_divergence(seed, None)]);
    let correlation = |metric: BySample| {
        let pair = Paired::new(seed.seed, &metric, &quality);
        spearman(&pair.x, &pair.y).ok().map(f64::abs)
    };
    let correlations: Vec<f64> = metrics.filter_map(correlation).collect();
    if correlations.is_empty() {
        return Err(format!("no correlation of attention and quality over {samples} samples"));
    }
    Ok(mean(&correlations))
}

/// `generation_differs_slightly`: attention while generating differs slightly from attention on real text. The size of the
/// difference of mean `normalized_entropy` between the model's texts and the validation texts, below 0.05.
pub(super) fn generation_differs_slightly(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "generation_differs_slightly",
        statement: "attention while generating differs slightly from attention on real text",
        statistic: "|normalized_entropy while generating − on validation text|",
        alternative: Alternative::Less(0.05),
    };
    let evidence = claim.per_seed(case, &NEEDS, |seed| {
        let entropy =
            |source| mean(&final_attention(seed, source).map(|row| row.normalized_entropy).collect::<Vec<_>>());
        let difference = (entropy(TextSource::Model) - entropy(TextSource::Validation)).abs();
        if difference.is_finite() {
            Ok(difference)
        } else {
            Err("attention on one of the two kinds of text is missing".to_owned())
        }
    });
    Evidence { sensitivity: Sensitivity::Ours, ..evidence }
}

/// `quality_wants_layered_spans`: better samples have layer-appropriate spans. Spearman's correlation of quality and each
/// sample's own Spearman correlation of the layer and its mean distance, above 0. Needs 3 layers.
pub(super) fn quality_wants_layered_spans(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "quality_wants_layered_spans",
        statement: "better samples have layer-appropriate spans",
        statistic: "Spearman(quality, per-sample Spearman(layer, mean_distance))",
        alternative: Alternative::Greater(0.0),
    };
    over_samples(&claim, case, span_gradient)
}

/// `poor_is_inconsistent`: poor samples have inconsistent attention across layers. Spearman's correlation of quality and the
/// mean `js_divergence` of adjacent layers, below 0. Needs 2 layers.
pub(super) fn poor_is_inconsistent(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "poor_is_inconsistent",
        statement: "poor samples have inconsistent attention across layers",
        statistic: "Spearman(quality, mean js_divergence of sample_layers)",
        alternative: Alternative::Less(0.0),
    };
    over_samples(&claim, case, |seed| adjacent_divergence(seed, None))
}

/// Evidence from Spearman's correlation of a metric with quality over the samples of each seed, with a bootstrap over both.
fn over_samples(claim: &Claim, case: Case<'_>, metric: impl Fn(&Seed) -> BySample) -> Evidence {
    let paired = |seed: &Seed| Paired::new(seed.seed, &metric(seed), &quality(seed));
    let evidence = claim.per_seed_correlation(case, &NEEDS, |seed| {
        let pair = paired(seed);
        Correlation::of(&pair.x, &pair.y).map_err(|reason| format!("over samples, {reason}"))
    });
    let pairs: Vec<Paired> = subject(case.dataset, &NEEDS).iter().flat_map(|run| &run.seeds).map(paired).collect();
    let stream = stream("bootstrap", &[&case.dataset.name.as_str(), &claim.name]);
    Evidence { bootstrap: bootstrap::over_seeds_and_samples(&pairs, case.replicates, stream), ..evidence }
}
