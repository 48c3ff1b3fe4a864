//! Means over seeds and how far they can be trusted. The replicate is the seed.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::rank::mean;

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

    /// The interval's lower end.
    pub fn low(&self) -> Option<f64> {
        self.interval.map(|(low, _)| low)
    }

    /// The interval's upper end.
    pub fn high(&self) -> Option<f64> {
        self.interval.map(|(_, high)| high)
    }
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
    fn one_seed_has_no_interval() {
        assert_eq!(Estimate::over(&[5.0]), Some(Estimate { mean: 5.0, interval: None, n: 1 }));
        assert_eq!(Estimate::over(&[]), None);
        assert_eq!(standard_error(&[5.0]), None);
    }
}
