//! Matrix products in float32, by the crate `gemm`.

use gemm::Parallelism;

use super::matrix::Matrix;

/// The longest inner dimension that `gemm` never splits, whatever the processor's caches. A longer one it splits where the
/// caches say so, and the sums round differently on another processor; so it is split here.
const WHOLE: usize = 512;

/// One product, `C ← α·A·B`, or `C ← C + α·A·B`.
pub(super) struct Product<'a> {
    /// `M × K`.
    pub(super) a: Matrix<'a>,
    /// `K × N`.
    pub(super) b: Matrix<'a>,
    pub(super) alpha: f32,
    /// Whether the product is added to `C`.
    pub(super) accumulate: bool,
    pub(super) threads: Parallelism,
}

impl Product<'_> {
    /// Computes the product into `M` rows of `N` values, `leading_dimension` apart.
    ///
    /// # Safety
    /// `c` must point to such rows, which nothing else reads or writes meanwhile; where the product accumulates, they must be
    /// initialised.
    ///
    /// # Panics
    /// If the inner dimensions differ.
    pub(super) unsafe fn compute(self, c: *mut f32, leading_dimension: usize) {
        let Self { a, b, alpha, accumulate, threads } = self;
        assert_eq!(a.columns(), b.rows(), "inner dimensions of a product");
        let inner = a.columns();
        let part = inner.div_ceil(inner.div_ceil(WHOLE).max(1)).max(1);
        for first in (0..inner.max(1)).step_by(part) {
            let count = part.min(inner - first);
            let (a, b) = (a.columns_from(first, count), b.rows_from(first, count));
            // SAFETY: both views lie within their slices, and `c` is as the caller promises. `gemm` reads `c` only where it is
            // to be added to. Strides are no longer than slices, which have at most `isize::MAX` bytes.
            unsafe {
                gemm::gemm(
                    a.rows(),
                    b.columns(),
                    count,
                    c,
                    1,
                    leading_dimension.cast_signed(),
                    accumulate || first > 0,
                    a.values().as_ptr(),
                    a.column_stride().cast_signed(),
                    a.row_stride().cast_signed(),
                    b.values().as_ptr(),
                    b.column_stride().cast_signed(),
                    b.row_stride().cast_signed(),
                    1.0,
                    alpha,
                    false,
                    false,
                    false,
                    threads,
                );
            }
        }
    }
}
