//! Means over seeds and how far they can be trusted. The replicate is the seed.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::rank::{Correlation, mean};

/// A mean over seeds with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// `mean ± t(0.975, n−1)·sd/√n`; none with one seed.
    pub interval: Option<(f64, f64)>,
    /// Seeds.
    pub n: usize,
}

impl Estimate {
    /// The estimate from one value a seed; none without values.
    pub fn over(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = mean(values);
        let interval = standard_error(values).map(|error| {
            let half = t_quantile(n - 1) * error;
            (mean - half, mean + half)
        });
        Some(Self { mean, interval, n })
    }

    /// The estimate from one correlation a seed; none without any. A correlation's distribution leans away from ±1, so the
    /// interval is that of Fisher's `z = artanh ρ`, turned back: `tanh(z̄ ± t(0.975, n−1)·sd(z)/√n)`, and the mean, which is
    /// that of the correlations themselves, is always within. A perfect correlation has no z: it counts as half-way from the
    /// next lower one that `m` observations can have, `|ρ| ≤ 1 − 6/(m³−m)`. Correlations of ranks come in steps of twice that,
    /// so seeds that share one leave it unknown by half a step. None with one seed, and none where so few correlations are
    /// possible that equal ones prove little: under four observations, or under six with two seeds.
    pub fn of_correlations(correlations: &[Correlation]) -> Option<Self> {
        Self::of_dependent_correlations(correlations, 1.0)
    }

    /// The same where the correlations of different seeds are not independent, so that the mean's standard error is
    /// `inflation` times as large.
    pub(crate) fn of_dependent_correlations(correlations: &[Correlation], inflation: f64) -> Option<Self> {
        let mean = mean(&correlations.iter().map(|one| one.rho).collect::<Vec<_>>());
        let z: Vec<f64> = correlations.iter().map(|one| one.fisher_z()).collect();
        let of_z = Self::over(&z)?;
        let fewest = correlations.iter().map(|one| one.n).min()?;
        let telling = fewest >= if correlations.len() == 2 { 6 } else { 4 };
        let interval = of_z.interval.filter(|_| telling).map(|(low, high)| {
            let end = |end: f64| (of_z.mean + (end - of_z.mean) * inflation).tanh();
            let half_step = half_step(fewest);
            (end(low).min(mean - half_step).max(-1.0), end(high).max(mean + half_step).min(1.0))
        });
        Some(Self { mean, interval, n: correlations.len() })
    }

    /// The interval's lower end.
    pub fn low(&self) -> Option<f64> {
        self.interval.map(|(low, _)| low)
    }

    /// The interval's upper end.
    pub fn high(&self) -> Option<f64> {
        self.interval.map(|(_, high)| high)
    }
}

impl Correlation {
    /// `artanh ρ`, with the size of ρ at most half-way between the two highest that so many ranks can have.
    fn fisher_z(self) -> f64 {
        let highest = 1.0 - half_step(self.n);
        self.rho.clamp(-highest, highest).atanh()
    }
}

/// Half of what lies between two correlations of so many ranks without ties, `6/(m³−m)`.
fn half_step(observations: usize) -> f64 {
    let m = observations as f64;
    6.0 / (m * (m * m - 1.0))
}

/// The standard error of the mean, `sd/√n` with `n − 1` degrees of freedom; none for fewer than two values.
pub fn standard_error(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() >= 2).then(|| (squares / (n - 1.0)).sqrt() / n.sqrt())
}

/// The 0.975 quantile of Student's t with so many degrees of freedom, at least one.
fn t_quantile(freedom: usize) -> f64 {
    let t = StudentsT::new(0.0, 1.0, freedom as f64).expect("scale and degrees of freedom are positive");
    t.inverse_cdf(0.975)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_tables() {
        for (freedom, quantile) in [(1, 12.706_204_736), (2, 4.302_652_730), (4, 2.776_445_105), (9, 2.262_157_163)] {
            assert!((t_quantile(freedom) - quantile).abs() < 1e-8, "{freedom}: {}", t_quantile(freedom));
        }
    }

    #[test]
    fn interval_by_hand() {
        // 1, 2, 3: sd 1, standard error 1/√3.
        let estimate = Estimate::over(&[1.0, 2.0, 3.0]).expect("three values");
        let half = 4.302_652_729_911_275 / 3f64.sqrt();
        assert_eq!((estimate.mean, estimate.n), (2.0, 3));
        assert!((estimate.low().expect("an end") - (2.0 - half)).abs() < 1e-9);
        assert!((estimate.high().expect("an end") - (2.0 + half)).abs() < 1e-9);
    }

    #[test]
    fn correlations_have_the_interval_of_their_z() {
        let of = |rhos: &[f64]| {
            let correlations: Vec<_> = rhos.iter().map(|&rho| Correlation { rho, n: 20 }).collect();
            Estimate::of_correlations(&correlations).expect("seeds")
        };
        let estimate = of(&[0.9, 0.95, 0.99]);
        let (low, high) = estimate.interval.expect("three seeds");
        assert!((estimate.mean - 0.946_666_666_666).abs() < 1e-9);
        // artanh: 1.472219, 1.831781, 2.646652; mean 1.983551, sd 0.601746, half 1.494820.
        assert!(
            (low - 0.488_731_f64.tanh()).abs() < 1e-5 && (high - 3.478_371_f64.tanh()).abs() < 1e-5,
            "{low} {high}"
        );
        let (low, high) = of(&[1.0; 3]).interval.expect("three seeds");
        assert_eq!((low, high), (1.0 - 6.0 / 7980.0, 1.0), "equal values leave nothing but the grain of the ranks");
        let (low, high) = of(&[0.5; 3]).interval.expect("three seeds");
        assert!((low - (0.5 - 6.0 / 7980.0)).abs() < 1e-12 && (high - (0.5 + 6.0 / 7980.0)).abs() < 1e-12);
        assert_eq!(of(&[0.5]).interval, None);
        assert_eq!(Estimate::of_correlations(&[]), None);
    }

    /// Every order of every seed's ranks is as likely as any other where there is no association: how often the interval then
    /// lies beside 0, counted exactly.
    #[test]
    fn few_observations_do_not_make_an_association() {
        fn orders(rest: &mut Vec<f64>, order: &mut Vec<f64>, found: &mut Vec<f64>) {
            if rest.is_empty() {
                let ranks: Vec<f64> = (0..order.len()).map(|rank| rank as f64).collect();
                found.push(crate::rank::spearman(&ranks, order).expect("no ties"));
            }
            for place in 0..rest.len() {
                order.push(rest.remove(place));
                orders(rest, order, found);
                rest.insert(place, order.pop().expect("what was pushed"));
            }
        }
        for (seeds, observations) in [(2, 3), (2, 4), (2, 6), (2, 7), (3, 3), (3, 4), (3, 5), (3, 6), (4, 4)] {
            let mut found = Vec::new();
            let ranks = (0..observations).map(|rank| rank as f64);
            orders(&mut ranks.collect(), &mut Vec::new(), &mut found);
            // Each correlation once, and how often it occurs.
            found.sort_by(f64::total_cmp);
            let chunks: Vec<&[f64]> = found.chunk_by(|one, other| (one - other).abs() < 1e-9).collect();
            let (mut beside, mut all) = (0.0, 0.0);
            for arrangement in 0..chunks.len().pow(seeds) {
                let of_seed = |seed: u32| chunks[arrangement / chunks.len().pow(seed) % chunks.len()];
                let weight: f64 = (0..seeds).map(|seed| of_seed(seed).len() as f64).product();
                let correlations = (0..seeds).map(|seed| Correlation { rho: of_seed(seed)[0], n: observations });
                let estimate = Estimate::of_correlations(&correlations.collect::<Vec<_>>()).expect("seeds");
                let excludes = estimate.interval.is_some_and(|(low, high)| low > 0.0 || high < 0.0);
                beside += if excludes { weight } else { 0.0 };
                all += weight;
            }
            assert!(beside <= 0.055 * all, "{seeds} seeds, {observations} observations: {}", beside / all);
        }
    }

    #[test]
    fn one_seed_has_no_interval() {
        assert_eq!(Estimate::over(&[5.0]), Some(Estimate { mean: 5.0, interval: None, n: 1 }));
        assert_eq!(Estimate::over(&[]), None);
        assert_eq!(standard_error(&[5.0]), None);
    }
}
