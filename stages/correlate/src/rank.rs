//! Ranks and correlations of two equally long series.

/// Why two series have no correlation.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Degenerate {
    /// Fewer than three observations: two always lie on a line.
    #[error("{0} observations, fewer than 3")]
    TooFew(usize),
    /// The first series does not vary.
    #[error("the metric is constant")]
    ConstantX,
    /// The second series does not vary.
    #[error("the outcome is constant")]
    ConstantY,
    /// A value is infinite or not a number.
    #[error("a value is not finite")]
    NotFinite,
}

/// The share of the largest value below which a difference counts as rounding.
pub const GRID: f64 = 1e-11;

/// Values as integer multiples of [`GRID`] of the largest, so that values that are equal but for rounding are tied: equal means
/// can differ in their last bit with the order of summation.
pub fn snapped(values: &[f64]) -> Vec<f64> {
    let unit = grid(values);
    values.iter().map(|value| (value / unit).round()).collect()
}

/// The unit of [`snapped`]; 1 if all values are 0.
pub fn grid<'values>(values: impl IntoIterator<Item = &'values f64>) -> f64 {
    let largest = values.into_iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    if largest > 0.0 { largest * GRID } else { 1.0 }
}

/// Whether values differ by rounding alone: by at most [`GRID`] of the largest of them. No values are constant.
pub fn is_constant(values: &[f64]) -> bool {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    values.is_empty() || high - low <= grid(values)
}

/// Whether two series have a correlation.
///
/// # Errors
/// [`Degenerate`] under 3 observations, with a value that is not finite, or where a series is constant.
///
/// # Panics
/// If the series are not equally long.
pub fn check(x: &[f64], y: &[f64]) -> Result<(), Degenerate> {
    assert_eq!(x.len(), y.len(), "a correlation is of pairs");
    if x.len() < 3 {
        return Err(Degenerate::TooFew(x.len()));
    }
    if x.iter().chain(y).any(|value| !value.is_finite()) {
        return Err(Degenerate::NotFinite);
    }
    if is_constant(x) {
        return Err(Degenerate::ConstantX);
    }
    if is_constant(y) {
        return Err(Degenerate::ConstantY);
    }
    Ok(())
}

/// Pearson's correlation, `Σ(x−x̄)(y−ȳ) / √(Σ(x−x̄)²·Σ(y−ȳ)²)`, −1 to 1.
///
/// # Errors
/// As [`check`].
pub fn pearson(x: &[f64], y: &[f64]) -> Result<f64, Degenerate> {
    check(x, y)?;
    let (mean_x, mean_y) = (mean(x), mean(y));
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        xy += (x - mean_x) * (y - mean_y);
        xx += (x - mean_x).powi(2);
        yy += (y - mean_y).powi(2);
    }
    Ok((xy / (xx * yy).sqrt()).clamp(-1.0, 1.0))
}

/// Spearman's correlation in one seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlation {
    /// Its value, −1 to 1.
    pub rho: f64,
    /// Observations.
    pub n: usize,
}

impl Correlation {
    /// [`spearman`] with its number of observations.
    ///
    /// # Errors
    /// As [`check`].
    pub fn of(x: &[f64], y: &[f64]) -> Result<Self, Degenerate> {
        Ok(Self { rho: spearman(x, y)?, n: x.len() })
    }
}

/// Spearman's correlation: Pearson's of the average ranks of the [`snapped`] values, −1 to 1.
///
/// # Errors
/// As [`check`].
pub fn spearman(x: &[f64], y: &[f64]) -> Result<f64, Degenerate> {
    check(x, y)?;
    pearson(&ranks(&snapped(x)), &ranks(&snapped(y)))
}

/// Ranks from 1; equal values share the mean of their ranks.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut sorted = Vec::new();
    let mut ranks = vec![0.0; values.len()];
    rank_into(values, &mut sorted, &mut ranks);
    ranks
}

/// Average ranks, centred and scaled to length 1, so that Spearman's correlation is a dot product; zeros if all values
/// are equal.
pub fn unit_ranks(values: &[f64]) -> Vec<f64> {
    let mut sorted = Vec::new();
    let mut ranks = vec![0.0; values.len()];
    unit_ranks_into(values, &mut sorted, &mut ranks);
    ranks
}

/// [`unit_ranks`] without allocation: `sorted` is a buffer.
pub fn unit_ranks_into(values: &[f64], sorted: &mut Vec<(f64, usize)>, ranks: &mut [f64]) {
    rank_into(values, sorted, ranks);
    let centre = (values.len() as f64 + 1.0) / 2.0;
    let length = ranks.iter().map(|rank| (rank - centre).powi(2)).sum::<f64>().sqrt();
    let scale = if length > 0.0 { length.recip() } else { 0.0 };
    ranks.iter_mut().for_each(|rank| *rank = (*rank - centre) * scale);
}

/// The sum of products.
pub fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// The arithmetic mean; NaN of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn rank_into(values: &[f64], sorted: &mut Vec<(f64, usize)>, ranks: &mut [f64]) {
    sorted.clear();
    // Adding 0 makes −0 equal to 0 also in the total order.
    sorted.extend(values.iter().enumerate().map(|(position, value)| (value + 0.0, position)));
    sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut start = 0;
    for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
        let rank = start as f64 + (tied.len() as f64 + 1.0) / 2.0;
        tied.iter().for_each(|&(_, position)| ranks[position] = rank);
        start += tied.len();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_values_share_their_mean_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0, 3.0]), [4.0, 1.0, 4.0, 2.0, 4.0]);
        assert_eq!(ranks(&[0.0, -0.0, 1.0]), [1.5, 1.5, 3.0]);
        assert!(ranks(&[]).is_empty());
    }

    #[test]
    fn pearson_by_hand() {
        // Deviations −1, 0, 1 and −1, 1, 0: products sum to 1, squares to 2 and 2.
        assert!((pearson(&[1.0, 2.0, 3.0], &[1.0, 3.0, 2.0]).expect("varies") - 0.5).abs() < 1e-15);
        // Σ(x−x̄)(y−ȳ) = 6, Σ(x−x̄)² = 10, Σ(y−ȳ)² = 6: 6/√60.
        let r = pearson(&[1.0, 2.0, 3.0, 4.0, 5.0], &[2.0, 4.0, 5.0, 4.0, 5.0]).expect("varies");
        assert!((r - 6.0 / 60f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn spearman_by_hand() {
        // Without ties 1 − 6Σd²/(n(n²−1)): d = 0, 1, −1, 1, −1 gives 1 − 24/120.
        let rho = spearman(&[1.0, 2.0, 3.0, 4.0, 5.0], &[10.0, 30.0, 20.0, 50.0, 40.0]).expect("varies");
        assert!((rho - 0.8).abs() < 1e-15);
        // With ties: ranks 1.5, 1.5, 3, 4 and 1, 2, 3, 4; products sum to 4.5, squares to 4.5 and 5.
        let rho = spearman(&[1.0, 1.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]).expect("varies");
        assert!((rho - 4.5 / 22.5f64.sqrt()).abs() < 1e-15);
        assert_eq!(spearman(&[1.0, 2.0, 9.0], &[5.0, 4.0, -7.0]), Ok(-1.0));
    }

    #[test]
    fn rounding_makes_no_order() {
        assert_ne!(std::hint::black_box(0.1) + 0.2, 0.3);
        assert_eq!(spearman(&[0.1 + 0.2, 0.3, 1.0], &[1.0, 2.0, 3.0]), spearman(&[0.3, 0.3, 1.0], &[1.0, 2.0, 3.0]));
        assert_eq!(spearman(&[0.1 + 0.2, 0.3, 0.3], &[1.0, 2.0, 3.0]), Err(Degenerate::ConstantX));
    }

    #[test]
    fn degenerate_series_say_why() {
        assert_eq!(spearman(&[1.0, 2.0], &[1.0, 2.0]), Err(Degenerate::TooFew(2)));
        assert_eq!(spearman(&[1.0; 3], &[1.0, 2.0, 3.0]), Err(Degenerate::ConstantX));
        assert_eq!(pearson(&[1.0, 2.0, 3.0], &[0.1; 3]), Err(Degenerate::ConstantY));
        assert_eq!(pearson(&[1.0, f64::NAN, 3.0], &[0.1; 3]), Err(Degenerate::NotFinite));
    }

    proptest! {
        #[test]
        fn spearman_depends_on_order_alone(pairs in prop::collection::vec((-50i32..50, -50i32..50), 3..30)) {
            let (x, y): (Vec<f64>, Vec<f64>) = pairs.iter().map(|(x, y)| (f64::from(*x), f64::from(*y))).unzip();
            let cubed: Vec<f64> = x.iter().map(|x| x.powi(3) + 7.0).collect();
            prop_assert_eq!(spearman(&x, &y), spearman(&cubed, &y));
            if let Ok(rho) = spearman(&x, &y) {
                prop_assert!((-1.0..=1.0).contains(&rho));
                prop_assert!((rho - spearman(&y, &x).expect("symmetric")).abs() < 1e-12);
                prop_assert!((rho - dot(&unit_ranks(&x), &unit_ranks(&y))).abs() < 1e-12);
            }
        }
    }
}
