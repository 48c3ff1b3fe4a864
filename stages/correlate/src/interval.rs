//! Means over seeds, their intervals and tests. The replicate is the seed.

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
    /// The mean and standard error behind the interval.
    pub(crate) student: Student,
}

/// A mean and its standard error on the scale on which Student's t holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Student {
    scale: Scale,
    centre: f64,
    /// The standard error for tests: at least that of values with a resolution of ±`half_step`.
    error: f64,
    /// Half of the distance between two values that the statistic can have; 0 if it is continuous.
    half_step: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    Identity,
    FisherZ,
}

impl Scale {
    /// A value of the statistic on this scale.
    fn of(self, value: f64) -> f64 {
        match self {
            Self::Identity => value,
            Self::FisherZ => value.atanh(),
        }
    }

    /// The statistic of a value on this scale.
    fn back(self, value: f64) -> f64 {
        match self {
            Self::Identity => value,
            Self::FisherZ => value.tanh(),
        }
    }
}

impl Estimate {
    /// The estimate from one value per seed; none without values.
    pub fn over(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let (mean, error) = (mean(values), standard_error(values));
        let interval = error.map(|error| {
            let half = t_quantile(n - 1) * error;
            (mean - half, mean + half)
        });
        let student =
            Student { scale: Scale::Identity, centre: mean, error: error.unwrap_or(f64::INFINITY), half_step: 0.0 };
        Some(Self { mean, interval, n, student })
    }

    /// The same estimate for values with a resolution of ±`half_step`, such as steps observed only at snapshots. Equal values then
    /// have a standard deviation of up to `half_step·√(n/(n−1))`, which is the least that tests assume.
    pub fn known_to(self, half_step: f64) -> Self {
        let least = half_step / (self.n as f64 - 1.0).sqrt();
        Self { student: Student { error: self.student.error.max(least), half_step, ..self.student }, ..self }
    }

    /// The estimate from one correlation per seed; none without any. The distribution of a correlation is skewed near ±1, so the
    /// interval is that of Fisher's `z = artanh ρ`, transformed back: `tanh(z̄ ± t(0.975, n−1)·sd(z)/√n)`, extended to the mean
    /// of the correlations where that lies outside. A perfect correlation has no z: it counts as half-way to the next lower one
    /// that `m` observations can have, `|ρ| ≤ 1 − 6/(m³−m)`. Rank correlations are multiples of twice that, so the interval
    /// reaches at least half such a step to either side. None with one seed, and none where so few correlations are possible
    /// that equal ones are no evidence: under four observations, or under six with two seeds.
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
        let enough = fewest >= if correlations.len() == 2 { 6 } else { 4 };
        let half_step = half_step(fewest);
        let interval = of_z.interval.filter(|_| enough).map(|(low, high)| {
            let end = |end: f64| (of_z.mean + (end - of_z.mean) * inflation).tanh();
            (end(low).min(mean - half_step).max(-1.0), end(high).max(mean + half_step).min(1.0))
        });
        // Half a step in z, on the side of 0, where it is the smaller one.
        let size = of_z.mean.tanh().abs().min(1.0 - half_step);
        let of_z = of_z.known_to(size.atanh() - (size - half_step).atanh());
        let error = of_z.student.error * inflation;
        let student = Student { scale: Scale::FisherZ, error, half_step, ..of_z.student };
        Some(Self { mean, interval, n: correlations.len(), student })
    }

    /// The interval's lower end.
    pub fn low(&self) -> Option<f64> {
        self.interval.map(|(low, _)| low)
    }

    /// The interval's upper end.
    pub fn high(&self) -> Option<f64> {
        self.interval.map(|(_, high)| high)
    }

    /// The distance of the mean from `threshold` in standard deviations over seeds, on the scale of the test: the effect size,
    /// infinite where all seeds agree. None without an interval, and where all are at the threshold.
    pub(crate) fn effect(&self, threshold: f64) -> Option<f64> {
        self.interval?;
        let Student { scale, centre, error, .. } = self.student;
        let deviation = error * (self.n as f64).sqrt();
        let effect = (centre - scale.of(threshold)).abs() / deviation;
        (!effect.is_nan()).then_some(effect)
    }

    /// The value that is `errors` standard errors of the mean above `threshold` on the scale of the test. None without an
    /// interval.
    pub(crate) fn above(&self, threshold: f64, errors: f64) -> Option<f64> {
        self.interval?;
        let Student { scale, error, .. } = self.student;
        Some(scale.back(scale.of(threshold) + errors * error))
    }

    /// The thresholds between which the test at this level rejects none. None without an interval.
    pub(crate) fn not_rejected(&self, level: f64) -> Option<(f64, f64)> {
        self.interval?;
        let Student { scale, centre, error, .. } = self.student;
        let half = critical_t(u32::try_from(self.n).ok()?, level) * error;
        Some((scale.back(centre - half), scale.back(centre + half)))
    }

    /// The two-sided p-value of the null hypothesis that the mean is `threshold`, 0 to 1; none without an interval.
    ///
    /// Student's t-test with `n − 1` degrees of freedom on the scale of the interval, so that `p < 0.05` where the 95 % interval
    /// excludes the threshold; with two differences, both conservative. The standard deviation is at least what the steps of a
    /// discrete statistic leave unknown: at the levels that a correction asks for, equal values by coincidence would otherwise pass
    /// for certainty (counted in `equal_correlations_are_not_certainty` below). And `p = 1` within half such a step.
    pub fn p_value(&self, threshold: f64) -> Option<f64> {
        self.interval?;
        let Student { scale, centre, error, half_step } = self.student;
        let distance = centre - scale.of(threshold);
        if (self.mean - threshold) * distance.signum() <= half_step {
            return Some(1.0);
        }
        Some(if error > 0.0 { 2.0 * student(self.n - 1).sf(distance.abs() / error) } else { 0.0 })
    }
}

impl Correlation {
    /// `artanh ρ`, with `|ρ|` at most half-way between the two highest values that are possible with this many ranks.
    fn fisher_z(self) -> f64 {
        let highest = 1.0 - half_step(self.n);
        self.rho.clamp(-highest, highest).atanh()
    }
}

/// Half of the distance between two rank correlations without ties, `6/(m³−m)` for `m` observations.
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

/// The 0.975 quantile of Student's t with `freedom` degrees of freedom, at least one.
fn t_quantile(freedom: usize) -> f64 {
    student(freedom).inverse_cdf(0.975)
}

/// The value that |t| must exceed for a two-sided test of `n ≥ 2` seeds to reject at this level.
pub(crate) fn critical_t(n: u32, level: f64) -> f64 {
    // The lower tail, since 1 − level/2 would round small levels.
    -student(n as usize - 1).inverse_cdf(level / 2.0)
}

fn student(freedom: usize) -> StudentsT {
    StudentsT::new(0.0, 1.0, freedom as f64).expect("scale and degrees of freedom are positive")
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
        assert_eq!((low, high), (1.0 - 6.0 / 7980.0, 1.0), "equal values leave half a step of the ranks");
        let (low, high) = of(&[0.5; 3]).interval.expect("three seeds");
        assert!((low - (0.5 - 6.0 / 7980.0)).abs() < 1e-12 && (high - (0.5 + 6.0 / 7980.0)).abs() < 1e-12);
        assert_eq!(of(&[0.5]).interval, None);
        assert_eq!(Estimate::of_correlations(&[]), None);
    }

    /// Every order of every seed's ranks is equally likely without an association: how often the interval then excludes 0, and how
    /// often p-values are small, counted exactly.
    #[test]
    fn equal_correlations_are_not_certainty() {
        fn orders(rest: &mut Vec<f64>, order: &mut Vec<f64>, found: &mut Vec<f64>) {
            if rest.is_empty() {
                let ranks: Vec<f64> = (0..order.len()).map(|rank| rank as f64).collect();
                found.push(crate::rank::spearman(&ranks, order).expect("no ties"));
            }
            for position in 0..rest.len() {
                order.push(rest.remove(position));
                orders(rest, order, found);
                rest.insert(position, order.pop().expect("what was pushed"));
            }
        }
        for (seeds, observations) in [(2, 3), (2, 4), (2, 6), (2, 7), (3, 3), (3, 4), (3, 5), (3, 6), (4, 4)] {
            let mut found = Vec::new();
            let ranks = (0..observations).map(|rank| rank as f64);
            orders(&mut ranks.collect(), &mut Vec::new(), &mut found);
            // Each correlation once, and how often it occurs.
            found.sort_by(f64::total_cmp);
            let chunks: Vec<&[f64]> = found.chunk_by(|one, other| (one - other).abs() < 1e-9).collect();
            // Uncorrected, and as small as corrections for up to fifty claims need.
            let levels = [0.05, 0.01, 0.05 / 18.0, 0.001];
            let (mut excluded, mut small, mut all) = (0.0, [0.0; 4], 0.0);
            for arrangement in 0..chunks.len().pow(seeds) {
                let of_seed = |seed: u32| chunks[arrangement / chunks.len().pow(seed) % chunks.len()];
                let weight: f64 = (0..seeds).map(|seed| of_seed(seed).len() as f64).product();
                let correlations = (0..seeds).map(|seed| Correlation { rho: of_seed(seed)[0], n: observations });
                let estimate = Estimate::of_correlations(&correlations.collect::<Vec<_>>()).expect("seeds");
                all += weight;
                if estimate.interval.is_some_and(|(low, high)| low > 0.0 || high < 0.0) {
                    excluded += weight;
                }
                let p_value = estimate.p_value(0.0).unwrap_or(1.0);
                for (small, level) in small.iter_mut().zip(levels) {
                    *small += if p_value <= level { weight } else { 0.0 };
                }
            }
            assert!(excluded <= 0.055 * all, "{seeds} seeds, {observations} observations: {}", excluded / all);
            for (small, level) in small.into_iter().zip(levels) {
                let share = small / all;
                assert!(share <= 1.1 * level, "{seeds} seeds, {observations} observations, p ≤ {level}: {share}");
            }
        }
    }

    #[test]
    fn p_values_are_those_of_the_interval() {
        // t = √3·2/1 with two degrees of freedom: p = 1 − t/√(2 + t²).
        let estimate = Estimate::over(&[1.0, 2.0, 3.0]).expect("three values");
        let t = 12f64.sqrt();
        assert!((estimate.p_value(0.0).expect("a test") - (1.0 - t / (2.0 + t * t).sqrt())).abs() < 1e-12);
        assert_eq!(estimate.p_value(2.0), Some(1.0));
        // At an end of the 95 % interval it is 5 %, on either scale.
        let correlations = [0.2, 0.5, 0.3, 0.6].map(|rho| Correlation { rho, n: 40 });
        for estimate in [estimate, Estimate::of_correlations(&correlations).expect("seeds")] {
            for end in [estimate.low(), estimate.high()] {
                let p_value = estimate.p_value(end.expect("an interval")).expect("a test");
                assert!((p_value - 0.05).abs() < 1e-9, "{p_value}");
            }
        }
        assert_eq!(Estimate::over(&[5.0]).and_then(|estimate| estimate.p_value(0.0)), None);
        // Equal values with a resolution of ±50: as if their standard deviation were 50·√(3/2).
        let known = Estimate::over(&[300.0; 3]).expect("three values").known_to(50.0);
        let t = 300.0 / (50.0 * 1.5f64.sqrt() / 3f64.sqrt());
        assert!((known.p_value(0.0).expect("a test") - (1.0 - t / (2.0 + t * t).sqrt())).abs() < 1e-12);
        assert_eq!((known.p_value(251.0), known.interval), (Some(1.0), Some((300.0, 300.0))));
    }

    #[test]
    fn one_seed_has_no_interval() {
        let estimate = Estimate::over(&[5.0]).expect("a value");
        assert_eq!((estimate.mean, estimate.interval, estimate.n), (5.0, None, 1));
        assert_eq!(Estimate::over(&[]), None);
        assert_eq!(standard_error(&[5.0]), None);
    }
}
