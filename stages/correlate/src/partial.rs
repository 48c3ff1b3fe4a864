//! Partial correlation over training: the correlation of two metrics after removing what all seeds share.
//!
//! Everything drifts while a model learns, so two metrics of one training always correlate. The deviation of a seed from the mean
//! over seeds is free of the drift that all share, though a seed that learns faster is ahead in every metric. Whether the
//! deviations of two metrics are associated is tested by comparing each seed with itself and with the others:
//! `agreement[s][t]` is Spearman's correlation of the deviations of `x` in seed `s` and of `y` in seed `t`. The mean of the
//! diagonal is the partial Spearman correlation. The other entries show how large correlations without an association are, with
//! the same drift, the same steps and the same autocorrelation.

use random_streams::{ChaCha8Rng, SliceRandom};

use crate::interval::Estimate;
use crate::permutation::{TOLERANCE, p_value};
use crate::rank::{Correlation, Degenerate, check, dot, grid, mean, unit_ranks};

/// Correlations of the deviations of two metrics, for all pairs of seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Partial {
    /// `[seeds, seeds]`: rows are seeds of `x`, columns seeds of `y`.
    agreement: Vec<Vec<f64>>,
    /// Observations behind each correlation.
    steps: usize,
}

impl Partial {
    /// The correlations of the deviations from the mean over seeds at each step.
    ///
    /// # Shapes
    /// `x` and `y` are `[seeds, steps]`, two seeds or more.
    ///
    /// # Errors
    /// [`Degenerate`] if a seed has no correlation: under three steps, a value that is not finite, or constant deviations.
    pub fn of(x: &[Vec<f64>], y: &[Vec<f64>]) -> Result<Self, Degenerate> {
        if x.iter().chain(y).flatten().any(|value| !value.is_finite()) {
            return Err(Degenerate::NotFinite);
        }
        let (x, y) = (deviations(x), deviations(y));
        x.iter().zip(&y).try_for_each(|(x, y)| check(x, y))?;
        let ranks = |series: &[Vec<f64>]| series.iter().map(|seed| unit_ranks(seed)).collect::<Vec<_>>();
        let of_y = ranks(&y);
        let row = |x: &Vec<f64>| of_y.iter().map(|y| dot(x, y).clamp(-1.0, 1.0)).collect();
        Ok(Self { agreement: ranks(&x).iter().map(row).collect(), steps: x[0].len() })
    }

    /// Each seed's correlation with itself.
    fn matched(&self) -> Vec<f64> {
        self.agreement.iter().enumerate().map(|(seed, row)| row[seed]).collect()
    }

    /// The partial Spearman correlation: the mean over seeds.
    pub fn value(&self) -> f64 {
        mean(&self.matched())
    }

    /// The value with its 95 % interval: that of Fisher's z over seeds, with a standard error `√((n−1)/(n−2))` times that of
    /// independent seeds. Deviations sum to zero over seeds, so the correlations of different seeds are themselves correlated:
    /// with `τ` the variance of a correlation without an association, their mean has the variance `τ(n−1)/n²`, and `sd²/n` is
    /// `τ(n−2)/n²` on average. Two seeds mirror each other, which makes one observation: no interval.
    pub fn estimate(&self) -> Estimate {
        let correlations: Vec<_> = self.matched().iter().map(|&rho| Correlation { rho, n: self.steps }).collect();
        let n = correlations.len() as f64;
        let estimate = Estimate::of_dependent_correlations(&correlations, ((n - 1.0) / (n - 2.0)).sqrt());
        let mut estimate = estimate.expect("there are two seeds or more");
        if correlations.len() == 2 {
            estimate.interval = None;
        }
        estimate
    }

    /// The two-sided p-value of an exact permutation test: the share of all pairings of the seeds of `x` with those of `y` whose
    /// mean correlation is at least as large in size as that of each seed with itself. Seeds are independent replicates, so
    /// without an association all pairings are equally likely, whatever the shared drift, the steps and the autocorrelation. With
    /// `n` seeds no p-value is below `1/n!`: 1/6 with three, 1/24 with four. Where there are more than `draws` pairings, so many
    /// random ones are drawn from `stream` instead.
    pub fn p_value(&self, draws: u32, mut stream: ChaCha8Rng) -> f64 {
        let seeds = self.agreement.len();
        let reached = self.value().abs() - TOLERANCE;
        let counts = |pairing: &[usize]| {
            let sum: f64 = pairing.iter().zip(&self.agreement).map(|(&y, row)| row[y]).sum();
            (sum / seeds as f64).abs() >= reached
        };
        let all = (1..=seeds as u64).try_fold(1_u64, u64::checked_mul).filter(|all| *all <= u64::from(draws));
        let mut pairing: Vec<usize> = (0..seeds).collect();
        let mut count = 0;
        match all {
            Some(_) => every_order(&mut pairing, 0, &mut |pairing| count += u64::from(counts(pairing))),
            None => {
                for _ in 0..draws {
                    pairing.shuffle(&mut stream);
                    count += u64::from(counts(&pairing));
                }
            }
        }
        p_value(count, draws, all)
    }
}

/// Visits every permutation of the items from `first` on.
fn every_order(items: &mut [usize], first: usize, visit: &mut impl FnMut(&[usize])) {
    if first == items.len() {
        return visit(items);
    }
    for next in first..items.len() {
        items.swap(first, next);
        every_order(items, first + 1, visit);
        items.swap(first, next);
    }
}

/// Deviations from the mean over seeds at each step, in integer multiples of the [`grid`] of the values themselves, so that
/// those that differ by the rounding of the mean alone are tied.
///
/// # Shapes
/// `[seeds, steps]` in and out, every value finite.
fn deviations(values: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let unit = grid(values.iter().flatten());
    let seeds = values.len() as f64;
    let steps = values.first().map_or(0, Vec::len);
    let means: Vec<f64> = (0..steps).map(|step| values.iter().map(|seed| seed[step]).sum::<f64>() / seeds).collect();
    let deviation = |(value, mean): (&f64, &f64)| ((value - mean) / unit).round();
    values.iter().map(|seed| seed.iter().zip(&means).map(deviation).collect()).collect()
}

#[cfg(test)]
mod tests {
    use random_streams::stream;

    use super::*;

    #[test]
    fn a_shared_drift_is_taken_out() {
        // Both fall by 10 a step in every seed; what is left is opposite in sign.
        let own = [[1.0, 3.0, -2.0, 0.5], [2.0, -1.0, 0.0, 1.0], [0.0, 1.0, 4.0, -3.0]];
        let series = |sign: f64| -> Vec<Vec<f64>> {
            own.iter()
                .map(|seed| seed.iter().enumerate().map(|(t, own)| sign * own - 10.0 * t as f64).collect())
                .collect()
        };
        let opposite = Partial::of(&series(1.0), &series(-1.0)).expect("varies");
        assert!((opposite.value() + 1.0).abs() < 1e-12);
        assert!((Partial::of(&series(1.0), &series(2.0)).expect("varies").value() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn rounding_orders_nothing() {
        // Thrice 0.1 does not sum to 0.3 in floating point, but no seed deviates.
        let same = vec![vec![0.1, 0.2, 0.3]; 3];
        assert_eq!(Partial::of(&same, &same), Err(Degenerate::ConstantX));
        assert!(deviations(&same).iter().flatten().all(|deviation| *deviation == 0.0));
    }

    #[test]
    fn equal_deviations_of_different_levels_are_tied() {
        // Each seed deviates alike at the first two steps, around 0.2 and around 0.7.
        let x = vec![vec![0.1, 0.6, 0.35], vec![0.3, 0.8, 0.3], vec![0.2, 0.7, 0.25]];
        assert!(deviations(&x).iter().all(|seed| seed[0] == seed[1]));
    }

    #[test]
    fn two_seeds_mirror_each_other_and_show_nothing() {
        let x = vec![vec![1.0, 5.0, 2.0, 4.0], vec![3.0, 1.0, 1.0, 2.0]];
        let y = vec![vec![2.0, 2.5, 9.0, 4.0], vec![1.0, 7.0, 3.0, 5.0]];
        let partial = Partial::of(&x, &y).expect("varies");
        assert!((partial.agreement[0][0] - partial.agreement[1][1]).abs() < 1e-12);
        assert_eq!((partial.estimate().interval, partial.p_value(1000, stream("test", &[]))), (None, 1.0));
    }

    #[test]
    fn the_interval_and_the_p_value_by_hand() {
        let agreement = vec![vec![0.8, -0.5, -0.4], vec![-0.3, 0.6, -0.2], vec![-0.4, -0.2, 0.7]];
        let partial = Partial { agreement, steps: 20 };
        // Of six pairings none but the seeds' own has |mean| ≥ 0.7.
        assert_eq!(partial.p_value(6, stream("test", &[])), 1.0 / 6.0);
        let estimate = partial.estimate();
        let z = [0.8_f64, 0.6, 0.7].map(f64::atanh);
        let centre = z.iter().sum::<f64>() / 3.0;
        let sd = (z.iter().map(|z| (z - centre).powi(2)).sum::<f64>() / 2.0).sqrt();
        let half = 4.302_652_729_911_275 * sd / 3f64.sqrt() * 2f64.sqrt();
        let (low, high) = estimate.interval.expect("three seeds");
        assert!((estimate.mean - 0.7).abs() < 1e-12);
        assert!((low - (centre - half).tanh()).abs() < 1e-9 && (high - (centre + half).tanh()).abs() < 1e-9);
    }

    #[test]
    fn random_pairings_agree_with_all_of_them() {
        let x: Vec<Vec<f64>> = (0..6).map(|s| (0..9).map(|t| f64::from((s * 7 + t * 5) % 11)).collect()).collect();
        let y: Vec<Vec<f64>> = (0..6).map(|s| (0..9).map(|t| f64::from((s * 5 + t * 4) % 13)).collect()).collect();
        let partial = Partial::of(&x, &y).expect("varies");
        let (exact, drawn) = (partial.p_value(720, stream("test", &[])), partial.p_value(719, stream("test", &[])));
        assert!((exact - drawn).abs() < 0.06, "three standard errors of {exact}: {drawn}");
        let mut orders = Vec::new();
        every_order(&mut [0, 1, 2], 0, &mut |order: &[usize]| orders.push(order.to_vec()));
        orders.sort();
        orders.dedup();
        assert_eq!(orders.len(), 6);
    }
}
