//! Curves over steps: mean and standard error over seeds, and which runs' curves coincide.

use std::collections::BTreeMap;

/// A curve of one seed: values by step.
pub type Curve = BTreeMap<u32, f64>;

/// A point of a curve over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Optimizer updates done.
    pub step: u32,
    /// The mean over seeds.
    pub mean: f64,
    /// The standard error over seeds, `sd(ddof=1)/√n`; none with one seed.
    pub stderr: Option<f64>,
}

impl Summary {
    /// The mean and a standard error below and above.
    pub fn low_high(&self) -> (f64, f64) {
        let half = self.stderr.unwrap_or(0.0);
        (self.mean - half, self.mean + half)
    }
}

/// Mean and standard error of some values; none of no values.
pub fn mean_stderr(values: &[f64]) -> Option<(f64, Option<f64>)> {
    let n = values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((mean, (values.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt())))
}

/// The mean of several rows' values at each step.
pub fn mean_by_step(values: impl IntoIterator<Item = (u32, f64)>) -> Curve {
    let mut by_step: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for (step, value) in values {
        by_step.entry(step).or_default().push(value);
    }
    by_step.into_iter().filter_map(|(step, values)| Some((step, mean_stderr(&values)?.0))).collect()
}

/// The curves of all seeds as one, over the steps that any of them has.
pub fn over_seeds(seeds: &[Curve]) -> Vec<Summary> {
    let mut by_step: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for curve in seeds {
        for (&step, &value) in curve {
            by_step.entry(step).or_default().push(value);
        }
    }
    let summary =
        |(step, values): (u32, Vec<f64>)| mean_stderr(&values).map(|(mean, stderr)| Summary { step, mean, stderr });
    by_step.into_iter().filter_map(summary).collect()
}

/// Groups runs whose curves are equal bit for bit, seed by seed, at every step that both have. Each run is its curves by
/// seed; each group lists its members in order.
pub fn coinciding(runs: &[Vec<Curve>]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        match groups.iter_mut().find(|group| group.iter().all(|&member| coincide(&runs[member], run))) {
            Some(group) => group.push(number),
            None => groups.push(vec![number]),
        }
    }
    groups
}

fn coincide(one: &[Curve], other: &[Curve]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| {
            let mut shared = one.iter().filter_map(|(step, value)| Some((value, other.get(step)?))).peekable();
            shared.peek().is_some() && shared.all(|(one, other)| one.to_bits() == other.to_bits())
        })
}

/// The curves of a group's members as one, seed by seed: where they coincide it does not matter whose value it is.
pub fn union(members: &[&Vec<Curve>]) -> Vec<Curve> {
    let seeds = members.first().map_or(0, |first| first.len());
    (0..seeds).map(|seed| members.iter().flat_map(|run| run[seed].clone()).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: &[(u32, f64)]) -> Curve {
        values.iter().copied().collect()
    }

    #[test]
    fn the_standard_error_is_over_seeds() {
        let seeds = [curve(&[(0, 1.0), (10, 2.0)]), curve(&[(0, 3.0), (10, 2.0)])];
        // Deviations ±1: sd = √2, over √2 seeds.
        assert_eq!(over_seeds(&seeds)[0], Summary { step: 0, mean: 2.0, stderr: Some(1.0) });
        assert_eq!(over_seeds(&seeds)[1].low_high(), (2.0, 2.0));
        assert_eq!(over_seeds(&seeds[..1])[0].stderr, None);
        assert_eq!(mean_stderr(&[]), None);
    }

    #[test]
    fn runs_coincide_by_bits_where_both_were_evaluated() {
        let sparse = vec![curve(&[(0, 4.0), (20, 2.0)])];
        let dense = vec![curve(&[(0, 4.0), (10, 3.0), (20, 2.0)])];
        let other = vec![curve(&[(0, 4.0), (20, 2.0 + 1e-15)])];
        let elsewhere = vec![curve(&[(5, 4.0)])];
        let runs = [sparse, other, dense, elsewhere];
        assert_eq!(coinciding(&runs), [vec![0, 2], vec![1], vec![3]]);
        assert_eq!(union(&[&runs[0], &runs[2]]), runs[2]);
    }
}
