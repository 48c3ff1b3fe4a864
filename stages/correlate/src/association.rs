//! A statistic once per seed, and its mean over seeds.

use std::collections::BTreeMap;

use schemas::enums::Scope;
use schemas::tables::Correlations;

use crate::interval::Estimate;
use crate::rank::{Correlation, Degenerate, mean, pearson};

/// Two series of one seed, observation by observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Paired {
    /// The seed.
    pub seed: u64,
    /// The first series.
    pub x: Vec<f64>,
    /// The second series.
    pub y: Vec<f64>,
}

impl Paired {
    /// The observations that both have.
    pub fn new<Key: Ord>(seed: u64, x: &BTreeMap<Key, f64>, y: &BTreeMap<Key, f64>) -> Self {
        let both = x.iter().filter_map(|(key, x)| Some((*x, *y.get(key)?)));
        let (x, y) = both.unzip();
        Self { seed, x, y }
    }
}

/// The raw correlations of two series, over seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Association {
    /// Observations of the seeds that have a correlation; of all, if none has one.
    pub n: usize,
    /// The positions of the seeds that have a correlation.
    pub used: Vec<usize>,
    /// Mean over those seeds of Pearson's correlation.
    pub pearson: Option<f64>,
    /// Mean over those seeds of Spearman's correlation, with its interval.
    pub spearman: Option<Estimate>,
    /// Why a seed has none, or the mean no interval.
    pub reasons: Vec<String>,
}

impl Association {
    /// The row of `correlations`, with the results of tests still null.
    pub fn row(&self, scope: Scope, x: &str, layer: Option<u16>, y: &str) -> Correlations {
        Correlations {
            scope,
            x: x.to_owned(),
            layer,
            y: y.to_owned(),
            n: count(self.n),
            seeds: count(self.used.len()),
            pearson: self.pearson,
            spearman: self.spearman.map(|estimate| estimate.mean),
            spearman_low: self.spearman.and_then(|estimate| estimate.low()),
            spearman_high: self.spearman.and_then(|estimate| estimate.high()),
            partial_spearman: None,
            p_value: None,
            q_value: None,
            reason: said(&self.reasons),
        }
    }
}

/// The raw correlations of two series.
pub fn associate(seeds: &[Paired]) -> Association {
    let each: Vec<Result<(f64, Correlation), Degenerate>> =
        seeds.iter().map(|seed| Ok((pearson(&seed.x, &seed.y)?, Correlation::of(&seed.x, &seed.y)?))).collect();
    let used: Vec<usize> = (0..seeds.len()).filter(|position| each[*position].is_ok()).collect();
    let (pearsons, spearmans): (Vec<f64>, Vec<Correlation>) = each.iter().filter_map(|seed| seed.ok()).unzip();
    let counted = |position: &usize| used.is_empty() || used.contains(position);
    let n = (0..seeds.len()).filter(counted).map(|position| seeds[position].x.len()).sum();
    let degenerate: Vec<(u64, String)> = each
        .iter()
        .zip(seeds)
        .filter_map(|(outcome, seed)| Some((seed.seed, outcome.as_ref().err()?.to_string())))
        .collect();
    let mut reasons = if used.is_empty() { distinct(&degenerate) } else { named(&degenerate) };
    let spearman = Estimate::of_correlations(&spearmans);
    match spearman {
        Some(Estimate { n: 1, .. }) => reasons.push("one seed: no interval".to_owned()),
        Some(Estimate { interval: None, .. }) => reasons.push("too few observations: no interval".to_owned()),
        _ => {}
    }
    Association { n, used, pearson: (!pearsons.is_empty()).then(|| mean(&pearsons)), spearman, reasons }
}

/// A number of observations or seeds, as the tables store it.
pub fn count(number: usize) -> u32 {
    u32::try_from(number).expect("every observation is a row in memory, and fewer than 2³² of those fit")
}

/// Every reason, once, after the seeds that it is of: `seeds 1 to 16, 18: …`.
pub fn named(reasons: &[(u64, String)]) -> Vec<String> {
    let of = |reason: &String| {
        let seeds: Vec<u64> = reasons.iter().filter(|(_, other)| other == reason).map(|(seed, _)| *seed).collect();
        format!("{}: {reason}", seeds_in_words(&seeds))
    };
    distinct(reasons).iter().map(of).collect()
}

fn seeds_in_words(seeds: &[u64]) -> String {
    let follow = |one: &u64, next: &u64| one.checked_add(1) == Some(*next);
    let parts = seeds.chunk_by(follow).flat_map(|seeds| match seeds {
        [first, _, .., last] => vec![format!("{first} to {last}")],
        few => few.iter().map(u64::to_string).collect(),
    });
    let parts: Vec<String> = parts.collect();
    format!("{} {}", if seeds.len() == 1 { "seed" } else { "seeds" }, parts.join(", "))
}

/// Every seed's reason, once.
pub fn distinct(reasons: &[(u64, String)]) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::new();
    for (_, reason) in reasons {
        if !distinct.contains(reason) {
            distinct.push(reason.clone());
        }
    }
    distinct
}

/// Reasons in one text; none without any.
pub fn said(reasons: &[String]) -> Option<String> {
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_with_one_reason_are_named_together() {
        let reasons = [1, 2, 3, 5, 7, 8].map(|seed| (seed, if seed == 5 { "other" } else { "one" }.to_owned()));
        assert_eq!(named(&reasons), ["seeds 1 to 3, 7, 8: one", "seed 5: other"]);
    }

    #[test]
    fn seeds_without_a_correlation_are_left_out_and_named() {
        let up = Paired { seed: 1, x: vec![1.0, 2.0, 3.0, 4.0], y: vec![1.0, 2.0, 3.0, 4.0] };
        let down = Paired { seed: 2, x: vec![1.0, 2.0, 3.0], y: vec![3.0, 2.0, 1.0] };
        let flat = Paired { seed: 3, x: vec![1.0; 3], y: vec![3.0, 2.0, 1.0] };
        let association = associate(&[up, down.clone(), flat.clone()]);
        assert_eq!((association.n, association.used), (7, vec![0, 1]));
        let spearman = association.spearman.expect("two seeds");
        assert_eq!((spearman.mean.abs() < 1e-12, spearman.interval), (true, None));
        assert_eq!(association.reasons, ["seed 3: the metric is constant", "too few observations: no interval"]);
        let alone = associate(&[down]);
        assert_eq!((alone.spearman.expect("one seed").interval, alone.reasons.len()), (None, 1));
        let none = associate(&[flat]);
        assert_eq!((none.n, none.pearson, none.spearman), (3, None, None));
        assert_eq!(none.reasons, ["the metric is constant"]);
    }

    #[test]
    fn only_common_observations_are_paired() {
        let x = BTreeMap::from([(0, 1.0), (1, 2.0), (3, 4.0)]);
        let y = BTreeMap::from([(1, 5.0), (2, 6.0), (3, 7.0)]);
        assert_eq!(Paired::new(9, &x, &y), Paired { seed: 9, x: vec![2.0, 4.0], y: vec![5.0, 7.0] });
    }
}
