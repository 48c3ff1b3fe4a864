//! Claims that compare layers. With `k` layers the lower half is the first `⌊k/2⌋`, the last third the last
//! `⌈k/3⌉`.

use declarations::Part;

use super::SHAKESPEARE;
use super::claim::{Case, Claim, Evidence, subject};
use super::hypothesis::Alternative;
use crate::fit::change_point;
use crate::inputs::Seed;
use crate::rank::mean;
use crate::series::{layer_series, pair_series};

const NEEDS: [Part; 2] = [Part::Snapshots, Part::Similarity];

/// `lower_layers_alike`: lower layers resemble each other more than they resemble higher ones. Mean `js_similarity` of the
/// pairs within the lower half minus that of the pairs between the halves, at the last step, above 0. Needs 4 layers.
pub(super) fn lower_layers_alike(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "lower_layers_alike",
        statement: "lower layers resemble each other more than they resemble higher ones",
        statistic: "mean js_similarity within the lower half − between halves, last step",
        alternative: Alternative::Greater(0.0),
    };
    claim.per_seed(case, &NEEDS, |seed| {
        let layers = layers(seed);
        if layers < 4 {
            return Err(format!("{layers} layers: a lower half of two needs four"));
        }
        let half = layers / 2;
        Ok(similarity(seed, |_, b| b < half)? - similarity(seed, |a, b| a < half && b >= half)?)
    })
}

/// `specialisation_onset`: layers specialise around iteration 2000, said of shakespeare_char. The step at which the level of
/// the mean `js_divergence` over all pairs changes: the first step of the second of two segments of constant mean, fitted
/// by least squares, at least 2 snapshots each. Within 1500 to 2500; needs 4000 iterations.
pub(super) fn specialisation_onset(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "specialisation_onset",
        statement: "layers specialise around iteration 2000 (shakespeare_char)",
        statistic: "change point of mean js_divergence over steps",
        alternative: Alternative::Within(1500.0, 2500.0),
    };
    if case.dataset.name != SHAKESPEARE {
        return claim.not_tested("", "the claim is about shakespeare_char alone");
    }
    claim.per_seed_of_snapshots(case, &NEEDS, 1.0, |seed| {
        let last = seed.last_step();
        if last < 4000 {
            return Err(format!("{last} iterations: the claim needs 4000"));
        }
        let divergence = pair_series(seed, |_, _| true, |row| Some(row.js_divergence));
        let divergence: Vec<(u32, f64)> = divergence.into_iter().collect();
        let change = change_point(&divergence);
        change.map(f64::from).ok_or_else(|| "the divergence is constant or has fewer than 4 steps".to_owned())
    })
}

/// `middle_most_alike`: similarity is highest among layers 4–6, counted from 1. Mean `js_similarity` of the upper half's
/// pairs minus that of the lower half's pairs, at the last step, above 0. Six layers only.
pub(super) fn middle_most_alike(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "middle_most_alike",
        statement: "similarity is highest among layers 4–6 (here 3–5)",
        statistic: "mean js_similarity of the upper half's pairs − of the lower half's pairs, last step",
        alternative: Alternative::Greater(0.0),
    };
    claim.per_seed(case, &NEEDS, |seed| match layers(seed) {
        6 => Ok(similarity(seed, |a, _| a >= 3)? - similarity(seed, |_, b| b < 3)?),
        layers => Err(format!("{layers} layers: the claim is about six")),
    })
}

/// `last_layers_diverse`: the last layers have the most diverse heads. Mean `head_js_divergence` of the last third minus that
/// of the other layers, at the last step, above 0. Needs 2 layers.
pub(super) fn last_layers_diverse(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "last_layers_diverse",
        statement: "the last layers have the most diverse heads",
        statistic: "head_js_divergence of the last third − rest, last step",
        alternative: Alternative::Greater(0.0),
    };
    claim.per_seed(case, &[Part::Snapshots], |seed| {
        let (layers, last) = (layers(seed), seed.last_step());
        if layers < 2 {
            return Err("one layer: there is no other to compare with".to_owned());
        }
        let first_of_third = layers - layers.div_ceil(3);
        let diversity = |from: u16, to: u16| {
            let of = |layer| layer_series(seed, Some(layer), |row| Some(row.head_js_divergence)).get(&last).copied();
            mean(&(from..to).filter_map(of).collect::<Vec<_>>())
        };
        finite(diversity(first_of_third, layers) - diversity(0, first_of_third))
    })
}

/// `enwik8_more_uniform`: layer similarity is more uniform on enwik8 than on shakespeare_char. Population variance of
/// `js_similarity` over all pairs at the last step, enwik8 minus shakespeare_char, seed by seed over the seeds that both have,
/// below 0. Needs 3 layers.
pub(super) fn enwik8_more_uniform(case: Case<'_>) -> Evidence {
    let claim = Claim {
        name: "enwik8_more_uniform",
        statement: "layer similarity is more uniform on enwik8 than on shakespeare_char",
        statistic: "variance of js_similarity over pairs, enwik8 − shakespeare_char, last step",
        alternative: Alternative::Less(0.0),
    };
    let Some(shakespeare) = case.study.iter().find(|dataset| dataset.name == SHAKESPEARE) else {
        return claim.not_tested("", "shakespeare_char is not in the study");
    };
    let (run, other) = match (subject(case.dataset, &NEEDS), subject(shakespeare, &NEEDS)) {
        (Ok(run), Ok(other)) => (run, other),
        (Err(reason), _) | (_, Err(reason)) => return claim.not_tested("", reason),
    };
    let pairs =
        run.seeds.iter().filter_map(|seed| Some((seed, other.seeds.iter().find(|other| other.seed == seed.seed)?)));
    let mut pairs = pairs.peekable();
    if pairs.peek().is_none() {
        return claim.not_tested(&run.name, "enwik8 and shakespeare_char have no seed in common");
    }
    claim.over(
        &run.name,
        pairs.map(|(seed, other)| (seed.seed, variance(seed).and_then(|own| Ok(own - variance(other)?)))),
    )
}

fn layers(seed: &Seed) -> u16 {
    seed.layer_metrics.iter().map(|row| row.layer + 1).max().unwrap_or(0)
}

/// The mean similarity of some pairs at the last step.
fn similarity(seed: &Seed, pairs: impl Fn(u16, u16) -> bool) -> Result<f64, String> {
    let similarity = pair_series(seed, pairs, |row| Some(row.js_similarity));
    finite(similarity.get(&seed.last_step()).copied().unwrap_or(f64::NAN))
}

/// The variance of the pairs' similarities at the last step.
fn variance(seed: &Seed) -> Result<f64, String> {
    let last = seed.last_step();
    let pairs: Vec<f64> =
        seed.layer_similarity.iter().filter(|row| row.step == last).map(|row| row.js_similarity).collect();
    if pairs.len() < 2 {
        return Err("fewer than two pairs of layers have no variance".to_owned());
    }
    let mean = mean(&pairs);
    finite(pairs.iter().map(|pair| (pair - mean).powi(2)).sum::<f64>() / pairs.len() as f64)
}

fn finite(value: f64) -> Result<f64, String> {
    if value.is_finite() { Ok(value) } else { Err("the last step has no finite values".to_owned()) }
}
