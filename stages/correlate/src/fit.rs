//! Least-squares fits.

use std::ops::Range;

use crate::rank::{GRID, is_constant, mean};

/// The slope of the least-squares line; none for fewer than 2 points or equal x.
pub fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    if x.len() < 2 || is_constant(&x) {
        return None;
    }
    let (mean_x, mean_y) = (mean(&x), mean(&y));
    let products: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    Some(products / x.iter().map(|x| (x - mean_x).powi(2)).sum::<f64>())
}

/// The change point of a series, by [`two_levels`] with equal weights: the first step of the second part. None for fewer than 4
/// points or a constant.
pub fn change_point(series: &[(u32, f64)]) -> Option<u32> {
    let values: Vec<f64> = series.iter().map(|(_, value)| *value).collect();
    two_levels(&values, &vec![1.0; values.len()]).map(|levels| series[levels.at].0)
}

/// A fit of a series by two constant levels, one after the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// The index of the first point of the second part.
    pub at: usize,
    /// The first part's mean.
    pub before: f64,
    /// The second part's mean.
    pub after: f64,
    /// The share of the series' variance that the two means explain, 0 to 1: 1 for a jump, 3/4 for a long straight ramp.
    pub explained: f64,
}

/// The least-squares fit of two levels: of all cuts into two parts of at least 2 points, the one that minimises
/// `Σ_part Σ_i w_i·(x_i − x̄_part)²` with `x̄_part` the part's weighted mean. The earliest of equal cuts; none for fewer than 4
/// points, a constant, a value that is not finite or a weight that is not positive.
///
/// # Panics
/// If there are not as many weights as values.
pub fn two_levels(values: &[f64], weights: &[f64]) -> Option<Levels> {
    assert_eq!(values.len(), weights.len(), "every value has its weight");
    let proper = values.iter().all(|value| value.is_finite()) && weights.iter().all(|weight| *weight > 0.0);
    if values.len() < 4 || is_constant(values) || !proper {
        return None;
    }
    let level = |part: Range<usize>| {
        let weighted = values[part.clone()].iter().zip(&weights[part.clone()]);
        weighted.map(|(value, weight)| value * weight).sum::<f64>() / weights[part].iter().sum::<f64>()
    };
    let error = |part: Range<usize>| {
        let level = level(part.clone());
        let weighted = values[part.clone()].iter().zip(&weights[part]);
        weighted.map(|(value, weight)| weight * (value - level).powi(2)).sum::<f64>()
    };
    let end = values.len();
    let left = |at: usize| error(0..at) + error(at..end);
    let all = error(0..end);
    let least = (2..=end - 2).map(left).fold(f64::INFINITY, f64::min);
    // Errors that differ by rounding alone are equal.
    let at = (2..=end - 2).find(|at| left(*at) <= least + GRID * all)?;
    let explained = (1.0 - left(at) / all).clamp(0.0, 1.0);
    Some(Levels { at, before: level(0..at), after: level(at..end), explained })
}

/// A parabola `y = a + b·x + c·x²`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parabola {
    /// `c`.
    pub curvature: f64,
    /// `−b/2c`, the x of its extremum; infinite or NaN if it has none.
    pub vertex: f64,
}

/// The least-squares parabola; none for fewer than 4 points, fewer than 3 different x, or equal y.
pub fn parabola(points: &[(f64, f64)]) -> Option<Parabola> {
    let n = points.len() as f64;
    let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    if points.len() < 4
        || is_constant(&x)
        || is_constant(&y)
        || points.iter().any(|(x, y)| !x.is_finite() || !y.is_finite())
    {
        return None;
    }
    let centre = mean(&x);
    let spread = (x.iter().map(|x| (x - centre).powi(2)).sum::<f64>() / n).sqrt();
    // In standard deviations from the mean u has mean 0 and mean square 1, so the part of u² that 1 and u do not explain is
    // u² − 1 − s·u with s the mean cube.
    let u: Vec<f64> = x.iter().map(|x| (x - centre) / spread).collect();
    let cubes = u.iter().map(|u| u.powi(3)).sum::<f64>() / n;
    let bend: Vec<f64> = u.iter().map(|u| u * u - 1.0 - cubes * u).collect();
    let squares: f64 = bend.iter().map(|bend| bend * bend).sum();
    if squares <= 1e-9 * n {
        return None;
    }
    // Both bend and u have mean 0, so subtracting the mean of y changes nothing but rounding errors.
    let height = mean(&y);
    let curvature = bend.iter().zip(&y).map(|(bend, y)| bend * (y - height)).sum::<f64>() / squares;
    let linear = u.iter().zip(&y).map(|(u, y)| u * (y - height)).sum::<f64>() / n - curvature * cubes;
    Some(Parabola { curvature: curvature / (spread * spread), vertex: centre - spread * linear / (2.0 * curvature) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slope_by_hand() {
        assert_eq!(slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]), Some(2.0));
        // Deviations −1, 0, 1 and −1, 1, 0: 1/2.
        assert_eq!(slope(&[(0.0, 0.0), (1.0, 2.0), (2.0, 1.0)]), Some(0.5));
        assert_eq!(slope(&[(1.0, 1.0), (1.0, 3.0)]), None);
    }

    #[test]
    fn change_point_is_where_the_level_jumps() {
        let series: Vec<_> =
            (0..10u32).map(|t| (t * 500, if t < 4 { 0.1 } else { 0.5 } + 0.001 * f64::from(t % 2))).collect();
        assert_eq!(change_point(&series), Some(2000));
        assert_eq!(change_point(&series[..3]), None);
        assert_eq!(change_point(&[(0, 0.3), (1, 0.3), (2, 0.3), (3, 0.3)]), None);
    }

    #[test]
    fn levels_by_hand() {
        let jump = two_levels(&[1.0, 1.0, 4.0, 4.0, 4.0], &[1.0; 5]).expect("a jump");
        assert_eq!(jump, Levels { at: 2, before: 1.0, after: 4.0, explained: 1.0 });
        // A ramp is cut in the middle, and two means explain three quarters of its variance in the limit of many points.
        let ramp: Vec<f64> = (0..1000).map(f64::from).collect();
        let levels = two_levels(&ramp, &[1.0; 1000]).expect("a ramp");
        assert_eq!(levels.at, 500);
        assert!((levels.explained - 0.75).abs() < 1e-5);
        // A weight of three is three points.
        let values = [0.0, 1.0, 1.5, 2.0, 3.0];
        let heavy = two_levels(&values, &[1.0, 1.0, 1.0, 1.0, 3.0]).expect("levels");
        let threefold = two_levels(&[0.0, 1.0, 1.5, 2.0, 3.0, 3.0, 3.0], &[1.0; 7]).expect("levels");
        assert_eq!((heavy.at, heavy.after), (threefold.at, threefold.after));
        // Mirrored halves have two cuts that are equal but for rounding: the earlier one counts.
        let mirrored = [0.1, 0.7, 0.3, 0.2, 0.2, 0.3, 0.7, 0.1];
        let levels = two_levels(&mirrored, &[1.0; 8]).expect("levels");
        let backwards: Vec<f64> = mirrored.iter().rev().copied().collect();
        assert_eq!(Some(levels), two_levels(&backwards, &[1.0; 8]));
        assert!(levels.at <= 4);
        assert_eq!(two_levels(&values, &[1.0, 1.0, 0.0, 1.0, 1.0]), None);
        assert_eq!(two_levels(&[0.0, 1.0, f64::NAN, 2.0], &[1.0; 4]), None);
    }

    #[test]
    fn parabola_is_recovered() {
        let points: Vec<_> = [0.1, 0.25, 0.4, 0.7, 0.9].iter().map(|x| (*x, 1.0 + 3.0 * x - 2.0 * x * x)).collect();
        let fit = parabola(&points).expect("a parabola");
        assert!((fit.curvature + 2.0).abs() < 1e-10 && (fit.vertex - 0.75).abs() < 1e-10);
        assert_eq!(parabola(&points[..3]), None);
        assert_eq!(parabola(&points.iter().map(|(x, _)| (*x, 0.1)).collect::<Vec<_>>()), None);
        assert_eq!(parabola(&[(0.0, 1.0), (1.0, 2.0), (0.0, 3.0), (1.0, 1.0)]), None);
    }
}
