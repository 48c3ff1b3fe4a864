//! Curves over training steps: mean and standard error over seeds, and runs with identical curves.

use std::collections::BTreeMap;

/// Values of one seed by step.
pub type Curve = BTreeMap<u32, f64>;

/// One step of a curve over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The training step.
    pub step: u32,
    /// The mean over seeds.
    pub mean: f64,
    /// The standard error over seeds, `sd(ddof=1)/√n`; none with one seed.
    pub stderr: Option<f64>,
}

impl Summary {
    /// The mean minus and plus one standard error.
    pub fn low_high(&self) -> [f64; 2] {
        let half = self.stderr.unwrap_or(0.0);
        [self.mean - half, self.mean + half]
    }
}

/// Mean and standard error; none without values.
pub fn mean_stderr(values: &[f64]) -> Option<(f64, Option<f64>)> {
    let n = values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((mean, (values.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt())))
}

/// The mean at each step over rows, such as heads.
pub fn mean_by_step(values: impl IntoIterator<Item = (u32, f64)>) -> Curve {
    by_step(values).into_iter().filter_map(|(step, values)| Some((step, mean_stderr(&values)?.0))).collect()
}

/// Mean and standard error over seeds, at every step of any seed.
pub fn over_seeds(seeds: &[Curve]) -> Vec<Summary> {
    let values = seeds.iter().flatten().map(|(&step, &value)| (step, value));
    let summary =
        |(step, values): (u32, Vec<f64>)| mean_stderr(&values).map(|(mean, stderr)| Summary { step, mean, stderr });
    by_step(values).into_iter().filter_map(summary).collect()
}

fn by_step(values: impl IntoIterator<Item = (u32, f64)>) -> BTreeMap<u32, Vec<f64>> {
    let mut by_step: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for (step, value) in values {
        by_step.entry(step).or_default().push(value);
    }
    by_step
}

/// Groups runs, each given by its curves per seed, that are equal bit for bit at every shared step. Returns the indices of
/// each group's members in order.
pub fn identical(runs: &[Vec<Curve>]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        match groups.iter_mut().find(|group| group.iter().all(|&member| equal_where_shared(&runs[member], run))) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    groups
}

fn equal_where_shared(one: &[Curve], other: &[Curve]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| {
            let mut shared = one.iter().filter_map(|(step, value)| Some((value, other.get(step)?))).peekable();
            shared.peek().is_some() && shared.all(|(one, other)| one.to_bits() == other.to_bits())
        })
}

/// The curves per seed of a group of identical runs, over the steps of all members.
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
        assert_eq!(over_seeds(&seeds)[1].low_high(), [2.0, 2.0]);
        assert_eq!(over_seeds(&seeds[..1])[0].stderr, None);
        assert_eq!(mean_stderr(&[]), None);
    }

    #[test]
    fn runs_are_identical_if_equal_bit_for_bit_at_shared_steps() {
        let sparse = vec![curve(&[(0, 4.0), (20, 2.0)])];
        let dense = vec![curve(&[(0, 4.0), (10, 3.0), (20, 2.0)])];
        let other = vec![curve(&[(0, 4.0), (20, 2.0 + 1e-15)])];
        let elsewhere = vec![curve(&[(5, 4.0)])];
        let runs = [sparse, other, dense, elsewhere];
        assert_eq!(identical(&runs), [vec![0, 2], vec![1], vec![3]]);
        assert_eq!(union(&[&runs[0], &runs[2]]), runs[2]);
    }
}
