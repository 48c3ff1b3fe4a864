//! Inner products of a few rows with the many rows of a weight, which is read once.
//!
//! With AVX-512 tiles of four rows by four of the weight's have their sums in sixteen registers; elsewhere a tile is one row by
//! four. Either way a sum goes through sixteen lanes, which are added pairwise in the end: the bits are the same wherever
//! multiplication and addition are fused, and a row's do not depend on how many rows there are.

use super::kernels;

/// `out[r,o] = Σ_i x[r,i]·weight[o,i]`.
///
/// # Shapes
/// `x` is `[rows, width]`, `weight` `[outputs, width]`, `out` `[rows, outputs]`.
pub(super) fn products(x: &[f32], weight: &[f32], width: usize, out: &mut [f32]) {
    assert!(width > 0 && x.len().is_multiple_of(width) && weight.len().is_multiple_of(width), "whole rows");
    assert_eq!(out.len(), x.len() / width * (weight.len() / width), "a product for every pair of rows");
    #[cfg(target_arch = "x86_64")]
    {
        let done = simd_dispatch::call_with!(Avx512, fn(x: &[f32], weight: &[f32], width: usize, out: &mut [f32]) {
            avx512::products(x, weight, width, out)
        });
        if done.is_some() {
            return;
        }
    }
    kernels::inner_products(x, weight, width, out);
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{
        __m128, __m512, _MM_HINT_T1, _mm_add_ps, _mm_movehl_ps, _mm_movelh_ps, _mm_prefetch, _mm_storeu_ps,
        _mm_unpackhi_ps, _mm_unpacklo_ps, _mm256_add_ps, _mm256_castpd_ps, _mm256_castps256_ps128,
        _mm256_extractf128_ps, _mm512_castps_pd, _mm512_castps512_ps256, _mm512_extractf64x4_pd, _mm512_fmadd_ps,
        _mm512_loadu_ps, _mm512_setzero_ps,
    };

    use super::kernels::{self, LANES};

    /// Rows of the weight per tile, and of the other matrix at most.
    const SIDE: usize = 4;

    #[target_feature(enable = "avx512f")]
    pub(super) fn products(x: &[f32], weight: &[f32], width: usize, out: &mut [f32]) {
        let outputs = weight.len() / width;
        let (tiled, rest) = weight.split_at(outputs / SIDE * SIDE * width);
        for (block, weight) in tiled.chunks_exact(SIDE * width).enumerate() {
            for (x, out) in x.chunks(SIDE * width).zip(out.chunks_mut(SIDE * outputs)) {
                let out = &mut out[block * SIDE..];
                match x.len() / width {
                    4 => tile::<4>(x, weight, width, out, outputs),
                    3 => tile::<3>(x, weight, width, out, outputs),
                    2 => tile::<2>(x, weight, width, out, outputs),
                    _ => tile::<1>(x, weight, width, out, outputs),
                }
            }
        }
        if !rest.is_empty() {
            let left = rest.len() / width;
            let mut of_rest = vec![0.0; x.len() / width * left];
            kernels::inner_products(x, rest, width, &mut of_rest);
            for (out, of_rest) in out.chunks_exact_mut(outputs).zip(of_rest.chunks_exact(left)) {
                out[outputs - left..].copy_from_slice(of_rest);
            }
        }
    }

    /// A tile of the result, whose rows are `stride` apart.
    #[target_feature(enable = "avx512f")]
    fn tile<const ROWS: usize>(x: &[f32], weight: &[f32], width: usize, out: &mut [f32], stride: usize) {
        assert!(x.len() == ROWS * width && weight.len() == SIDE * width && out.len() >= (ROWS - 1) * stride + SIDE);
        let whole = width / LANES * LANES;
        let next = weight.as_ptr_range().end;
        let mut sums = [[_mm512_setzero_ps(); SIDE]; ROWS];
        for at in (0..whole).step_by(LANES) {
            // SAFETY: sixteen values from `at` on are the row's.
            let load = |values: &[f32], row: usize| unsafe { _mm512_loadu_ps(values.as_ptr().add(row * width + at)) };
            for row in 0..SIDE {
                // Of the next tile; a prefetch beyond the weight's end does nothing.
                _mm_prefetch::<_MM_HINT_T1>(next.wrapping_add(SIDE * at + row * LANES).cast());
            }
            let weight: [__m512; SIDE] = [load(weight, 0), load(weight, 1), load(weight, 2), load(weight, 3)];
            for (row, sums) in sums.iter_mut().enumerate() {
                let x = load(x, row);
                for (sum, weight) in sums.iter_mut().zip(weight) {
                    *sum = _mm512_fmadd_ps(x, weight, *sum);
                }
            }
        }
        for (row, sums) in sums.into_iter().enumerate() {
            let out = &mut out[row * stride..][..SIDE];
            // SAFETY: four values are `out`'s.
            unsafe { _mm_storeu_ps(out.as_mut_ptr(), totals(sums)) };
            if whole < width {
                for (out, weight) in out.iter_mut().zip(weight.chunks_exact(width)) {
                    *out += kernels::rest_product(&x[row * width..][whole..width], &weight[whole..]);
                }
            }
        }
    }

    /// The sums of four vectors' lanes, added pairwise.
    #[target_feature(enable = "avx512f")]
    fn totals(lanes: [__m512; SIDE]) -> __m128 {
        let [a, b, c, d] = lanes.map(|lanes| quarter(lanes));
        let ab = _mm_add_ps(_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b));
        let cd = _mm_add_ps(_mm_unpacklo_ps(c, d), _mm_unpackhi_ps(c, d));
        _mm_add_ps(_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab))
    }

    /// Sixteen lanes added up to four.
    #[target_feature(enable = "avx512f")]
    fn quarter(lanes: __m512) -> __m128 {
        let upper = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(lanes)));
        let half = _mm256_add_ps(_mm512_castps512_ps256(lanes), upper);
        _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps::<1>(half))
    }
}

#[cfg(test)]
mod tests {
    use random_streams::{Distribution, StandardNormal};

    use super::*;

    fn draw(count: usize) -> Vec<f32> {
        let mut stream = random_streams::stream("inner products", &[&(count as u64)]);
        (0..count).map(|_| StandardNormal.sample(&mut stream)).map(|value: f64| value as f32).collect()
    }

    #[test]
    fn the_bits_are_those_of_the_portable_loop_with_any_number_of_rows() {
        for width in [1, 15, 16, 40, 384] {
            for outputs in [1, 3, 4, 9] {
                let (x, weight) = (draw(11 * width), draw(outputs * width));
                let mut portable = vec![0.0; 11 * outputs];
                kernels::inner_products(&x, &weight, width, &mut portable);
                for rows in 1..=11 {
                    let mut ours = vec![0.0; rows * outputs];
                    products(&x[..rows * width], &weight, width, &mut ours);
                    assert_eq!(ours, portable[..rows * outputs], "{rows} rows of {width}, {outputs} outputs");
                }
            }
        }
    }
}
