//! Read-only views of matrices in memory, possibly transposed or part of a wider matrix.

/// `rows × columns` values of a slice. Of its two strides one is 1; the other is the leading dimension.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// The matrix whose rows of `columns` values begin `leading_dimension` apart.
    ///
    /// # Panics
    /// If the slice ends before the matrix does.
    pub(super) fn new(values: &'a [f32], [rows, columns]: [usize; 2], leading_dimension: usize) -> Self {
        let length = if rows == 0 || columns == 0 { 0 } else { (rows - 1) * leading_dimension + columns };
        assert!(columns <= leading_dimension && length <= values.len(), "a matrix lies within its slice");
        Self { values: &values[..length], rows, columns, row_stride: leading_dimension, column_stride: 1 }
    }

    /// A matrix of `columns` columns that fills a slice.
    ///
    /// # Panics
    /// If the slice is not a whole number of rows.
    pub(super) fn of_rows(values: &'a [f32], columns: usize) -> Self {
        assert!(columns > 0 && values.len().is_multiple_of(columns), "a slice of whole rows");
        Self::new(values, [values.len() / columns, columns], columns)
    }

    pub(super) fn transposed(self) -> Self {
        let Self { values, rows, columns, row_stride, column_stride } = self;
        Self { values, rows: columns, columns: rows, row_stride: column_stride, column_stride: row_stride }
    }

    pub(super) fn rows(self) -> usize {
        self.rows
    }

    pub(super) fn columns(self) -> usize {
        self.columns
    }

    pub(super) fn row_stride(self) -> usize {
        self.row_stride
    }

    pub(super) fn column_stride(self) -> usize {
        self.column_stride
    }

    /// The values, from the first of the matrix to the last; with a leading dimension that is larger than the matrix, also
    /// what lies between its rows.
    pub(super) fn values(self) -> &'a [f32] {
        self.values
    }

    /// The same matrix over other values that lie in the same way.
    ///
    /// # Panics
    /// If there are more or fewer of them.
    pub(super) fn over(self, values: &[f32]) -> Matrix<'_> {
        assert_eq!(values.len(), self.values.len(), "as many values as before");
        Matrix {
            values,
            rows: self.rows,
            columns: self.columns,
            row_stride: self.row_stride,
            column_stride: self.column_stride,
        }
    }

    /// Columns `first..first + count`.
    ///
    /// # Panics
    /// If the matrix has fewer.
    pub(super) fn columns_from(self, first: usize, count: usize) -> Self {
        assert!(first + count <= self.columns, "columns of the matrix");
        if count == 0 || self.rows == 0 {
            return Self { values: &[], columns: count, ..self };
        }
        let start = first * self.column_stride;
        let length = (self.rows - 1) * self.row_stride + (count - 1) * self.column_stride + 1;
        Self { values: &self.values[start..][..length], columns: count, ..self }
    }

    /// Rows `first..first + count`.
    ///
    /// # Panics
    /// If the matrix has fewer.
    pub(super) fn rows_from(self, first: usize, count: usize) -> Self {
        self.transposed().columns_from(first, count).transposed()
    }

    /// One row, or none where a row's values are not adjacent.
    pub(super) fn row(self, row: usize) -> Option<&'a [f32]> {
        (self.column_stride == 1).then(|| &self.values[row * self.row_stride..][..self.columns])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_transposes_hold_their_values() {
        let values: Vec<f32> = (0..35_u8).map(f32::from).collect();
        // Rows 0..5 of 7, of which the columns 1..4.
        let matrix = Matrix::new(&values[1..], [5, 3], 7);
        assert_eq!((matrix.rows(), matrix.columns(), matrix.values().len()), (5, 3, 31));
        assert_eq!(matrix.row(4), Some(&[29.0, 30.0, 31.0][..]));
        let part = matrix.rows_from(2, 2).columns_from(1, 2);
        assert_eq!(part.row(0), Some(&[16.0, 17.0][..]));
        assert_eq!(part.row(1), Some(&[23.0, 24.0][..]));
        let transposed = part.transposed();
        assert_eq!((transposed.rows(), transposed.columns(), transposed.row(0)), (2, 2, None));
        assert_eq!(transposed.columns_from(1, 1).values(), [23.0, 24.0]);
        assert_eq!(transposed.transposed().row(1), part.row(1));
        assert!(matrix.rows_from(5, 0).values().is_empty());
    }

    #[test]
    #[should_panic(expected = "a matrix lies within its slice")]
    fn a_matrix_does_not_go_beyond_its_slice() {
        Matrix::new(&[0.0; 34], [5, 7], 7);
    }

    #[test]
    #[should_panic(expected = "columns of the matrix")]
    fn a_part_does_not_go_beyond_its_matrix() {
        Matrix::of_rows(&[0.0; 12], 4).columns_from(3, 2);
    }
}
