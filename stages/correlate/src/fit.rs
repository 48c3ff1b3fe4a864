//! Least-squares fits.

use crate::rank::{is_constant, mean};

/// The slope of the line through the points; none if fewer than 2 or all at one place.
pub fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    if x.len() < 2 || is_constant(&x) {
        return None;
    }
    let (mean_x, mean_y) = (mean(&x), mean(&y));
    let products: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    Some(products / x.iter().map(|x| (x - mean_x).powi(2)).sum::<f64>())
}

/// Where the level of a series changes: of all ways to cut it into two parts of at least 2 points, the one whose two means
/// leave the least squared error; the first step of the second part. The earliest if several are equal; none for fewer than
/// 4 points or a constant.
pub fn change_point(series: &[(u32, f64)]) -> Option<u32> {
    let values: Vec<f64> = series.iter().map(|(_, value)| *value).collect();
    if values.len() < 4 || is_constant(&values) || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let error = |part: &[f64]| {
        let mean = mean(part);
        part.iter().map(|value| (value - mean).powi(2)).sum::<f64>()
    };
    let cut = |at: &usize| error(&values[..*at]) + error(&values[*at..]);
    (2..=values.len() - 2).min_by(|a, b| cut(a).total_cmp(&cut(b))).map(|at| series[at].0)
}

/// A parabola `y = a + b·x + c·x²`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parabola {
    /// `c`.
    pub curvature: f64,
    /// `−b/2c`, where it turns; infinite or NaN if it does not.
    pub vertex: f64,
}

/// The parabola nearest the points; none if they have fewer than 3 places or are fewer than 4, which any parabola would fit.
pub fn parabola(points: &[(f64, f64)]) -> Option<Parabola> {
    let n = points.len() as f64;
    let x: Vec<f64> = points.iter().map(|(x, _)| *x).collect();
    if points.len() < 4 || is_constant(&x) || points.iter().any(|(x, y)| !x.is_finite() || !y.is_finite()) {
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
    let curvature = bend.iter().zip(points).map(|(bend, (_, y))| bend * y).sum::<f64>() / squares;
    let linear = u.iter().zip(points).map(|(u, (_, y))| u * y).sum::<f64>() / n - curvature * cubes;
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
    fn parabola_is_recovered() {
        let points: Vec<_> = [0.1, 0.25, 0.4, 0.7, 0.9].iter().map(|x| (*x, 1.0 + 3.0 * x - 2.0 * x * x)).collect();
        let fit = parabola(&points).expect("a parabola");
        assert!((fit.curvature + 2.0).abs() < 1e-10 && (fit.vertex - 0.75).abs() < 1e-10);
        assert_eq!(parabola(&points[..3]), None);
        assert_eq!(parabola(&[(0.0, 1.0), (1.0, 2.0), (0.0, 3.0), (1.0, 1.0)]), None);
    }
}
