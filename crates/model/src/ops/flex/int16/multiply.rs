//! Sums of products of packed blocks, by the instructions that the processor has.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256i, __m512i, _mm256_add_epi32, _mm256_madd_epi16, _mm256_set1_epi32, _mm512_dpwssd_epi32, _mm512_set1_epi32,
};
use std::mem::MaybeUninit;

use super::{BLOCK, LINES, Slab};

/// The columns of a right matrix, panel by panel, of `inner` values along the sum.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a> {
    pub(super) slabs: &'a [Slab],
    pub(super) depth: usize,
    pub(super) inner: usize,
}

/// Rows without gaps that sums are written to, or added to.
pub(super) struct Out<'a> {
    pub(super) values: &'a mut [MaybeUninit<f32>],
    pub(super) columns: usize,
    pub(super) add: bool,
}

/// `out = [out +] left · right` for the rows of a task, by the best instructions that are here.
///
/// # Safety
/// Where it is added to, all of `out` must have been written. `left` must have the panels of its rows and `right` those of its
/// columns, each of `right.depth` slabs.
pub(super) unsafe fn multiply(left: &[Slab], right: Packed, out: Out) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512vnni,avx2,fma")]
        unsafe fn avx512(left: &[Slab], right: Packed, out: Out) {
            // SAFETY: passed on to the caller.
            unsafe { panels::<__m512i, 8, 3, true>(left, right, out) };
        }

        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2(left: &[Slab], right: Packed, out: Out) {
            // SAFETY: passed on to the caller.
            unsafe { panels::<[__m256i; 2], 4, 1, true>(left, right, out) };
        }

        if is_x86_feature_detected!("avx512vnni") {
            // SAFETY: the processor has what the function is compiled for, AVX-512 implies AVX2 and FMA, and the rest is the
            // caller's promise.
            return unsafe { avx512(left, right, out) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has what the function is compiled for, and the rest is the caller's promise.
            return unsafe { avx2(left, right, out) };
        }
    }
    // SAFETY: passed on to the caller.
    unsafe { panels::<[i32; LINES], 4, 1, false>(left, right, out) };
}

/// One value of each of 16 columns: a pair of integers, or a sum.
///
/// # Safety
/// An implementation must be 64 bytes of plain data, 4 a column.
unsafe trait Columns: Copy {
    #[inline(always)]
    fn of(values: [u32; LINES]) -> Self {
        // SAFETY: both are 64 bytes of plain data.
        unsafe { std::mem::transmute_copy(&values) }
    }

    #[inline(always)]
    fn sums(self) -> [i32; LINES] {
        // SAFETY: as above.
        unsafe { std::mem::transmute_copy(&self) }
    }

    /// `self` and both products of a row's pair and each column's.
    ///
    /// # Safety
    /// The processor must have the instructions.
    unsafe fn add_products(self, row: u32, columns: Self) -> Self;
}

// SAFETY: 16 integers.
unsafe impl Columns for [i32; LINES] {
    #[inline(always)]
    unsafe fn add_products(mut self, row: u32, columns: Self) -> Self {
        let halves = |pair: i32| [i32::from(pair as i16), pair >> 16];
        let [one, other] = halves(row.cast_signed());
        for (sum, column) in self.iter_mut().zip(columns) {
            let [first, second] = halves(column);
            *sum = sum.wrapping_add(one * first).wrapping_add(other * second);
        }
        self
    }
}

#[cfg(target_arch = "x86_64")]
// SAFETY: 16 integers.
unsafe impl Columns for __m512i {
    #[inline(always)]
    unsafe fn add_products(self, row: u32, columns: Self) -> Self {
        // SAFETY: passed on to the caller.
        unsafe { _mm512_dpwssd_epi32(self, _mm512_set1_epi32(row.cast_signed()), columns) }
    }
}

#[cfg(target_arch = "x86_64")]
// SAFETY: twice 8 integers.
unsafe impl Columns for [__m256i; 2] {
    #[inline(always)]
    unsafe fn add_products(self, row: u32, [low, high]: Self) -> Self {
        let [of_low, of_high] = self;
        // SAFETY: passed on to the caller.
        unsafe {
            let row = _mm256_set1_epi32(row.cast_signed());
            [
                _mm256_add_epi32(of_low, _mm256_madd_epi16(row, low)),
                _mm256_add_epi32(of_high, _mm256_madd_epi16(row, high)),
            ]
        }
    }
}

/// [`multiply`], so many rows and panels of columns at a time, three at most: their sums stay in registers.
///
/// # Safety
/// As for [`multiply`]; and the processor must have the instructions.
#[inline(always)]
unsafe fn panels<C: Columns, const ROWS: usize, const WIDE: usize, const FUSED: bool>(
    left: &[Slab],
    right: Packed,
    mut out: Out,
) {
    for (at, columns) in right.slabs.chunks(WIDE * right.depth).enumerate() {
        let right = Packed { slabs: columns, ..right };
        let first = at * WIDE * LINES;
        // SAFETY: passed on to the caller.
        unsafe {
            match columns.len() / right.depth {
                1 => strip::<C, ROWS, 1, FUSED>(left, right, &mut out, first),
                2 => strip::<C, ROWS, 2, FUSED>(left, right, &mut out, first),
                _ => strip::<C, ROWS, WIDE, FUSED>(left, right, &mut out, first),
            }
        }
    }
}

/// [`panels`] for columns from `first` on.
///
/// # Safety
/// As for [`panels`].
#[inline(always)]
unsafe fn strip<C: Columns, const ROWS: usize, const WIDE: usize, const FUSED: bool>(
    left: &[Slab],
    right: Packed,
    out: &mut Out,
    first: usize,
) {
    let (columns, width) = (out.columns, (out.columns - first).min(WIDE * LINES));
    for at in 0..right.depth {
        let (pairs, add) = ((right.inner - at * BLOCK).min(BLOCK).div_ceil(2), out.add || at > 0);
        let slabs: [&Slab; WIDE] = std::array::from_fn(|panel| &right.slabs[panel * right.depth + at]);
        for (group, out) in out.values.chunks_mut(ROWS * columns).enumerate() {
            let (left, from) = (&left[group * ROWS / LINES * right.depth + at], group * ROWS % LINES);
            let (rows, target) = (out.len() / columns, out[first..].as_mut_ptr().cast::<f32>());
            if rows == ROWS && width == WIDE * LINES {
                // SAFETY: so many rows and columns from here on are `out`'s; the rest is the caller's promise.
                unsafe { tile::<C, ROWS, WIDE, FUSED>(left, from, slabs, pairs, target, columns, add) };
                continue;
            }
            let mut edge = [[[0.0_f32; LINES]; WIDE]; ROWS];
            let before = if add { width } else { 0 };
            for (row, edge) in edge[..rows].iter_mut().enumerate() {
                // SAFETY: as above.
                unsafe { edge.as_mut_ptr().cast::<f32>().copy_from_nonoverlapping(target.add(row * columns), before) };
            }
            // SAFETY: `edge` has all rows and columns.
            unsafe {
                tile::<C, ROWS, WIDE, FUSED>(left, from, slabs, pairs, edge.as_mut_ptr().cast(), WIDE * LINES, add)
            };
            for (row, edge) in edge[..rows].iter().enumerate() {
                // SAFETY: as above.
                unsafe { target.add(row * columns).copy_from_nonoverlapping(edge.as_ptr().cast(), width) };
            }
        }
    }
}

/// `out = [out +] left · right` for a block, so many of its 16 rows and so many panels of columns; the rows of `out` lie
/// `columns` apart.
///
/// # Safety
/// The processor must have the instructions. So many rows and columns of `out` must be the caller's own and, where they are added to,
/// have been written.
#[inline(always)]
unsafe fn tile<C: Columns, const ROWS: usize, const WIDE: usize, const FUSED: bool>(
    left: &Slab,
    from: usize,
    right: [&Slab; WIDE],
    pairs: usize,
    out: *mut f32,
    columns: usize,
    add: bool,
) {
    // By index throughout: an iterator would borrow the sums, and then they leave the registers.
    let mut sums = [[C::of([0; LINES]); WIDE]; ROWS];
    for (pair, rows) in left.pairs[..pairs].iter().enumerate() {
        let columns = right.map(|slab| C::of(slab.pairs[pair]));
        let rows: &[u32; ROWS] = rows[from..].first_chunk().expect("rows of one panel");
        for row in 0..ROWS {
            for panel in 0..WIDE {
                // SAFETY: passed on to the caller.
                sums[row][panel] = unsafe { sums[row][panel].add_products(rows[row], columns[panel]) };
            }
        }
    }
    for row in 0..ROWS {
        for panel in 0..WIDE {
            // SAFETY: passed on to the caller.
            unsafe {
                let out = out.add(row * columns + panel * LINES).cast::<[f32; LINES]>();
                let before = if add { out.read() } else { [0.0; LINES] };
                let (sums, scales) = (sums[row][panel].sums(), right[panel].scales);
                out.write(scaled::<FUSED>(sums, left.scales[from + row], scales, before));
            }
        }
    }
}

/// `before + sum · left · right`. The scales come one after the other: their product could underflow where the result does not.
/// Arrays by value, so that the compiler takes vectors.
#[inline(always)]
fn scaled<const FUSED: bool>(sums: [i32; LINES], left: f32, right: [f32; LINES], before: [f32; LINES]) -> [f32; LINES] {
    std::array::from_fn(|at| {
        let sum = sums[at] as f32 * left;
        if FUSED { sum.mul_add(right[at], before[at]) } else { sum * right[at] + before[at] }
    })
}

#[cfg(test)]
mod tests {
    use super::super::pack;
    use super::*;
    use crate::ops::flex::matrix::{Lines, Strided};

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let (rows, columns, inner) = (41, 70, 301_usize);
        let depth = inner.div_ceil(BLOCK);
        let values = |count: usize| (0..count).map(|at| (at as f32 * 1.7).sin()).collect::<Vec<f32>>();
        let (left, right) = (values(rows * inner), values(columns * inner));
        let packed = |lines: Lines| {
            let mut slabs = vec![Slab::EMPTY; lines.lines.div_ceil(LINES) * depth];
            for (panel, slabs) in slabs.chunks_mut(depth).enumerate() {
                // SAFETY: the matrices have so many lines and values along the sum.
                unsafe { pack(lines, panel * LINES, 0, slabs) };
            }
            slabs
        };
        let left = packed(Lines::of_left(Strided::rows_of(&left, 0, inner), rows, inner));
        let right = packed(Lines::of_right(Strided::rows_of(&right, 0, columns), columns, inner));
        let product = |multiply: unsafe fn(&[Slab], Packed, Out), add: bool| {
            let mut out = vec![MaybeUninit::new(0.7); rows * columns];
            // SAFETY: whole matrices are packed, `out` is written, and the processor is asked for the instructions below.
            unsafe {
                multiply(&left, Packed { slabs: &right, depth, inner }, Out { values: &mut out, columns, add });
                out.iter().map(|value| value.assume_init()).collect::<Vec<f32>>()
            }
        };
        #[cfg(target_arch = "x86_64")]
        let fused = is_x86_feature_detected!("fma");
        #[cfg(not(target_arch = "x86_64"))]
        let fused = false;
        let portable = if fused { panels::<[i32; LINES], 4, 1, true> } else { panels::<[i32; LINES], 4, 1, false> };
        for add in [false, true] {
            assert_eq!(product(multiply, add), product(portable, add));
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") && fused {
                assert_eq!(product(panels::<[__m256i; 2], 4, 1, true>, add), product(portable, add));
            }
        }
    }
}
