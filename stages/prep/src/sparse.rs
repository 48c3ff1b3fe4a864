//! A sparse matrix in row-major order (CSR), and its products with a few columns at once.

use rayon::prelude::*;
use simd_dispatch::multiversion;

/// A sparse matrix in compressed rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Sparse {
    columns: usize,
    /// Where the entries of each row start, and where those of the last end.
    starts: Vec<usize>,
    /// Column and value of each entry, rows in order, ascending by column in a row.
    entries: Vec<(u32, f64)>,
}

impl Sparse {
    /// A matrix of rows whose entries ascend by column.
    pub fn from_rows(columns: usize, rows: impl IntoIterator<Item = Vec<(u32, f64)>>) -> Self {
        let mut matrix = Self { columns, starts: vec![0], entries: Vec::new() };
        for row in rows {
            debug_assert!(row.is_sorted_by_key(|(column, _)| *column), "entries ascend by column");
            matrix.entries.extend(row);
            matrix.starts.push(matrix.entries.len());
        }
        matrix
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Column and value of each entry of a row.
    pub fn row(&self, row: usize) -> &[(u32, f64)] {
        &self.entries[self.starts[row]..self.starts[row + 1]]
    }

    /// The transposed matrix.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let mut starts = vec![0; self.columns + 1];
        for (column, _) in &self.entries {
            starts[*column as usize + 1] += 1;
        }
        for column in 0..self.columns {
            starts[column + 1] += starts[column];
        }
        let mut next = starts.clone();
        let mut entries = vec![(0, 0.0); self.entries.len()];
        let numbers = 0..u32::try_from(self.rows()).expect("rows can be columns, which have 32 bits");
        for (number, row) in numbers.zip(self.starts.windows(2)) {
            for &(column, value) in &self.entries[row[0]..row[1]] {
                let position = &mut next[column as usize];
                entries[*position] = (number, value);
                *position += 1;
            }
        }
        Self { columns: self.rows(), starts, entries }
    }

    /// The product with a dense matrix. The order of summation does not depend on the number of threads.
    ///
    /// # Shapes
    /// `dense`: `columns × width`, row-major; the result: `rows × width`, row-major.
    pub fn times(&self, dense: &[f64], width: usize) -> Vec<f64> {
        assert_eq!(dense.len(), self.columns * width, "one row of the dense matrix for each column of this one");
        let mut product = vec![0.0; self.rows() * width];
        let rows = product.par_chunks_exact_mut(width).with_min_len(256).enumerate();
        match width {
            LANES => rows.for_each(|(row, sums)| add_lanes(self.row(row), dense, sums)),
            _ => rows.for_each(|(row, sums)| add(self.row(row), dense, sums)),
        }
        product
    }
}

/// Columns of a dense matrix that are multiplied at once: one register of AVX-512, two of AVX2.
pub const LANES: usize = 8;

/// Adds `value · dense[column]` of every entry to `sums`, whose length is the width of `dense`.
fn add(entries: &[(u32, f64)], dense: &[f64], sums: &mut [f64]) {
    for &(column, value) in entries {
        let factors = &dense[column as usize * sums.len()..][..sums.len()];
        sums.iter_mut().zip(factors).for_each(|(sum, factor)| *sum += value * factor);
    }
}

multiversion! {
    /// [`add`] for a width of [`LANES`]; without fused multiply-add, so that the bits are the same.
    fn add_lanes<FUSED>(entries: &[(u32, f64)], dense: &[f64], sums: &mut [f64]) {
        let dense = dense.as_chunks::<LANES>().0;
        let mut lanes = [0.0; LANES];
        for &(column, value) in entries {
            lanes.iter_mut().zip(&dense[column as usize]).for_each(|(lane, factor)| *lane += value * factor);
        }
        sums.copy_from_slice(&lanes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_columns_give_the_products_of_single_ones() {
        let matrix = Sparse::from_rows(3, [vec![(0, 0.1), (1, -0.7), (2, 2.3)], vec![], vec![(1, 1.9)]]);
        let dense: Vec<f64> = (0..3 * LANES).map(|at| (at as f64).sin()).collect();
        let together = matrix.times(&dense, LANES);
        for column in 0..LANES {
            let alone: Vec<f64> = dense.iter().skip(column).step_by(LANES).copied().collect();
            let one: Vec<f64> = together.iter().skip(column).step_by(LANES).copied().collect();
            assert_eq!(matrix.times(&alone, 1), one);
        }
    }

    #[test]
    fn products_match_the_dense_ones() {
        // 1 0 2
        // 0 0 3
        let matrix = Sparse::from_rows(3, [vec![(0, 1.0), (2, 2.0)], vec![(2, 3.0)]]);
        assert_eq!(matrix.times(&[1.0, 10.0, 2.0, 20.0, 3.0, 30.0], 2), [7.0, 70.0, 9.0, 90.0]);
        let transposed = matrix.transposed();
        assert_eq!((transposed.rows(), transposed.columns()), (3, 2));
        assert_eq!(transposed.times(&[1.0, 2.0], 1), [1.0, 0.0, 8.0]);
        assert_eq!(transposed.transposed(), matrix);
    }
}
