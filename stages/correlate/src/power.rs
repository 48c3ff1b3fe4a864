//! Power: which effects a t-test over so many seeds would find, and how many seeds an effect needs.

use std::f64::consts::LN_2;

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::gamma::ln_gamma;

use crate::interval::critical_t;

/// The probability with which a study should find an effect, as is customary (Cohen 1988).
pub const POWER: f64 = 0.8;
/// Beyond so many seeds no number is given.
const MOST_SEEDS: u32 = 100_000;
/// Half of the number of intervals of Simpson's rule, at least and at most.
const FEWEST: f64 = 200.0;
const MOST: f64 = 50_000.0;

/// The probability that a two-sided t-test of `n` seeds at this level finds an effect of so many standard errors of the mean,
/// 0 to 1.
///
/// The t statistic is `(Z + effect)/S` with `Z` standard normal and `S` the standard deviation over its true value, so the
/// noncentral t distribution is integrated over that of `S`.
pub fn power(n: u32, effect: f64, level: f64) -> f64 {
    let (freedom, normal) = (f64::from(n) - 1.0, Normal::standard());
    let critical = critical_t(n, level);
    // Of S, a chi variable over the root of its degrees of freedom.
    let scale = LN_2 + 0.5 * freedom * (0.5 * freedom).ln() - ln_gamma(0.5 * freedom);
    let density = |deviation: f64| {
        let power = if freedom > 1.0 { (freedom - 1.0) * deviation.ln() } else { 0.0 };
        (scale + power - 0.5 * freedom * deviation * deviation).exp()
    };
    let spread = 8.0 / (2.0 * freedom).sqrt();
    let (from, to) = ((1.0 - spread).max(0.0), 1.0 + spread);
    // Where the test begins to reject, the integrand changes over a length of 1/critical.
    let intervals = 2.0 * (4.0 * (to - from) * critical).clamp(FEWEST, MOST).ceil();
    let width = (to - from) / intervals;
    let integrand = |at: u32| {
        let deviation = from + f64::from(at) * width;
        let rejects = normal.cdf(effect - critical * deviation) + normal.cdf(-effect - critical * deviation);
        let weight = if at == 0 || f64::from(at) == intervals { 1.0 } else { f64::from(2 * (1 + at % 2)) };
        weight * rejects * density(deviation)
    };
    let points = (0..).take_while(|at| f64::from(*at) <= intervals);
    (points.map(integrand).sum::<f64>() * width / 3.0).min(1.0)
}

/// The smallest effect, in standard errors of the mean, that a t-test of `n ≥ 2` seeds finds with the probability [`POWER`].
pub fn detectable(n: u32, level: f64) -> f64 {
    let finds = |effect: &f64| power(n, *effect, level) >= POWER;
    let mut high = std::iter::successors(Some(1.0), |effect| Some(effect * 2.0)).find(finds).unwrap_or(f64::INFINITY);
    let mut low = 0.0;
    while high - low > 1e-12 * high {
        let middle = 0.5 * (low + high);
        if finds(&middle) { high = middle } else { low = middle }
    }
    high
}

/// The fewest seeds with which a t-test finds an effect of so many standard deviations over seeds with the probability
/// [`POWER`]; none if more than 100,000 are needed.
pub fn seeds_needed(effect: f64, level: f64) -> Option<u32> {
    let finds = |n: &u32| power(*n, effect * f64::from(*n).sqrt(), level) >= POWER;
    let mut high = std::iter::successors(Some(2), |n| Some(n * 2)).take_while(|n| *n < 2 * MOST_SEEDS).find(finds)?;
    let mut low = high / 2;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if finds(&middle) { high = middle } else { low = middle }
    }
    (high <= MOST_SEEDS).then_some(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `scipy.stats.nct`.
    #[test]
    fn power_is_that_of_the_noncentral_t_distribution() {
        let table = [
            (2, 3.0, 0.05, 0.186_132_061_6),
            (3, 10.0, 0.05 / 18.0, 0.244_347_465_0),
            (8, 4.0, 0.05 / 17.0, 0.430_341_237_8),
            (20, 3.5, 0.003, 0.551_375_850_8),
            (200, 2.0, 0.05, 0.512_156_759_5),
        ];
        for (n, effect, level, expected) in table {
            let power = power(n, effect, level);
            assert!((power - expected).abs() < 1e-8, "{n} {effect} {level}: {power} {expected}");
        }
        assert!((power(8, 0.0, 0.05) - 0.05).abs() < 1e-9, "without an effect it is the level");
    }

    #[test]
    fn both_inverses_reach_the_power_and_no_more() {
        for (n, level) in [(2, 0.05), (3, 0.003), (20, 0.003)] {
            assert!((power(n, detectable(n, level), level) - POWER).abs() < 1e-9);
        }
        // G*Power's classical example: d = 0.5 at 5 % needs 34.
        assert_eq!(seeds_needed(0.5, 0.05), Some(34));
        for effect in [0.1, 0.7, 3.0] {
            let n = seeds_needed(effect, 0.003).expect("few enough");
            let with = |n: u32| power(n, effect * f64::from(n).sqrt(), 0.003);
            assert!(with(n) >= POWER && with(n - 1) < POWER, "{effect}: {n}");
        }
        assert_eq!((seeds_needed(0.0, 0.05), seeds_needed(1e-4, 0.05)), (None, None));
        assert_eq!(seeds_needed(1e9, 0.05), Some(2));
    }
}
