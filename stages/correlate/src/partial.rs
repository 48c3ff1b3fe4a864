//! What remains of two series after taking out what all seeds share.

use crate::rank::{Degenerate, check, grid, spearman};

/// Deviations from the mean over seeds at each step, in multiples of the [`grid`] of the values themselves: rounded to whole
/// ones, they are tied where they differ by the rounding of the mean alone.
///
/// # Shapes
/// `[seeds, steps]` in and out, every value finite.
pub fn deviations(values: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let unit = grid(values.iter().flatten());
    let seeds = values.len() as f64;
    let steps = values.first().map_or(0, Vec::len);
    let means: Vec<f64> = (0..steps).map(|step| values.iter().map(|seed| seed[step]).sum::<f64>() / seeds).collect();
    values.iter().map(|seed| seed.iter().zip(&means).map(|(value, mean)| (value - mean) / unit).collect()).collect()
}

/// [`deviations`] whose ranks know no rounding.
pub fn whole_deviations(values: &[Vec<f64>]) -> Vec<Vec<f64>> {
    deviations(values).iter().map(|seed| seed.iter().map(|deviation| deviation.round()).collect()).collect()
}

/// Each seed's Spearman correlation of the [`whole_deviations`] of `x` and `y`; the partial Spearman correlation is their mean.
///
/// With two seeds the deviations of one mirror the other's, so that both values are equal: one piece of evidence, not two.
///
/// # Errors
/// Why a seed has no correlation.
pub fn partial_spearman(x: &[Vec<f64>], y: &[Vec<f64>]) -> Result<Vec<f64>, Degenerate> {
    if x.iter().chain(y).flatten().any(|value| !value.is_finite()) {
        return Err(Degenerate::NotFinite);
    }
    let (x, y) = (whole_deviations(x), whole_deviations(y));
    x.iter().zip(&y).try_for_each(|(x, y)| check(x, y))?;
    x.iter().zip(&y).map(|(x, y)| spearman(x, y)).collect()
}

#[cfg(test)]
mod tests {
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
        assert_eq!(partial_spearman(&series(1.0), &series(-1.0)), Ok(vec![-1.0; 3]));
        assert_eq!(partial_spearman(&series(1.0), &series(2.0)).map(|rho| rho.len()), Ok(3));
    }

    #[test]
    fn rounding_orders_nothing() {
        // Thrice 0.1 does not sum to 0.3 in floating point, but no seed deviates.
        let same = vec![vec![0.1, 0.2, 0.3]; 3];
        assert_eq!(partial_spearman(&same, &same), Err(Degenerate::ConstantX));
        assert!(whole_deviations(&same).iter().flatten().all(|deviation| *deviation == 0.0));
    }

    #[test]
    fn equal_deviations_of_different_levels_are_tied() {
        // Each seed deviates alike at the first two steps, around 0.2 and around 0.7.
        let x = vec![vec![0.1, 0.6, 0.35], vec![0.3, 0.8, 0.3], vec![0.2, 0.7, 0.25]];
        assert!(whole_deviations(&x).iter().all(|seed| seed[0] == seed[1]));
    }

    #[test]
    fn two_seeds_mirror_each_other() {
        let x = vec![vec![1.0, 5.0, 2.0, 4.0], vec![3.0, 1.0, 1.0, 2.0]];
        let y = vec![vec![2.0, 2.5, 9.0, 4.0], vec![1.0, 7.0, 3.0, 5.0]];
        let rho = partial_spearman(&x, &y).expect("varies");
        assert_eq!(rho[0], rho[1]);
    }
}
