//! Means over the rows of all probe windows, and their standard errors over the windows.

use schemas::Measure;

/// Sums of `N` values over the rows of one probe window.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums<const N: usize> {
    sums: [f64; N],
    rows: u64,
}

impl<const N: usize> Default for Sums<N> {
    fn default() -> Self {
        Self { sums: [0.0; N], rows: 0 }
    }
}

impl<const N: usize> Sums<N> {
    /// Adds the values of one row.
    pub fn add(&mut self, values: [f64; N]) {
        self.sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        self.rows += 1;
    }

    /// The rows summed.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The means; none over no rows.
    pub fn means(&self) -> Option<[f64; N]> {
        (self.rows > 0).then(|| self.sums.map(|sum| sum / self.rows as f64))
    }

    fn merge(&mut self, other: &Self) {
        self.sums.iter_mut().zip(other.sums).for_each(|(sum, other)| *sum += other);
        self.rows += other.rows;
    }
}

/// The means of `N` values over all rows of all windows, every row weighing alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Means<const N: usize> {
    /// The means.
    pub means: [f64; N],
    /// Their standard errors over windows: `sd/√w` of the `w` windows' own means, `sd` with `w − 1` degrees of freedom; none
    /// with one window.
    pub stderrs: [Option<f64>; N],
    /// The rows averaged.
    pub rows: u64,
}

impl<const N: usize> Means<N> {
    /// The means over windows, whose sums are added in their order; windows without rows do not count. None without any row.
    pub fn over<'sums>(windows: impl Iterator<Item = &'sums Sums<N>>) -> Option<Self> {
        let mut total: Option<Sums<N>> = None;
        let mut of_windows = Vec::new();
        for window in windows {
            match &mut total {
                Some(total) => total.merge(window),
                None => total = Some(window.clone()),
            }
            of_windows.extend(window.means());
        }
        let total = total?;
        let stderrs =
            std::array::from_fn(|at| standard_error(&of_windows.iter().map(|means| means[at]).collect::<Vec<_>>()));
        Some(Self { means: total.means()?, stderrs, rows: total.rows })
    }

    /// Sets these measures of a row, and their standard errors.
    pub fn fill<Row>(&self, row: &mut Row, measures: [&Measure<Row>; N]) {
        for (measure, (mean, stderr)) in measures.into_iter().zip(self.means.into_iter().zip(self.stderrs)) {
            (measure.set)(row, mean);
            if let Some(column) = measure.stderr {
                (column.set)(row, stderr);
            }
        }
    }
}

/// `sd/√n` of some values, `sd` with `n − 1` degrees of freedom; none for fewer than two.
fn standard_error(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(rows: &[[f64; 2]]) -> Sums<2> {
        let mut sums = Sums::default();
        rows.iter().for_each(|row| sums.add(*row));
        sums
    }

    #[test]
    fn rows_weigh_alike_and_windows_make_the_standard_error() {
        let windows = [window(&[[1.0, 5.0], [3.0, 5.0]]), window(&[]), window(&[[4.0, 5.0]]), window(&[[6.0, 5.0]])];
        let means = Means::over(windows.iter()).expect("four rows");
        assert_eq!((means.means, means.rows), ([3.5, 5.0], 4));
        // The windows' means are 2, 4 and 6: sd 2, over √3.
        assert!((means.stderrs[0].expect("three windows") - 2.0 / 3f64.sqrt()).abs() < 1e-15);
        assert_eq!(means.stderrs[1], Some(0.0));
    }

    #[test]
    fn one_window_has_no_standard_error_and_no_row_no_mean() {
        let alone = Means::over([window(&[[1.0, 2.0], [2.0, 4.0]]), window(&[])].iter()).expect("two rows");
        assert_eq!((alone.means, alone.stderrs), ([1.5, 3.0], [None, None]));
        assert_eq!(Means::over([window(&[])].iter()), None);
        assert_eq!(Means::<2>::over([].iter()), None);
    }
}
