//! The micro-kernel on packed blocks, for each instruction set.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256i, __m512i, _mm256_add_epi32, _mm256_madd_epi16, _mm256_set1_epi32, _mm512_dpwssd_epi32, _mm512_set1_epi32,
};
use std::mem::MaybeUninit;

use super::{BLOCK, PANEL, PackedBlock};

/// The columns of `B`, panel by panel.
#[derive(Clone, Copy)]
pub(super) struct PackedPanels<'a> {
    pub(super) blocks: &'a [PackedBlock],
    /// Blocks per panel.
    pub(super) depth: usize,
    /// Values along the inner dimension, of which the last block may have fewer than the others.
    pub(super) inner: usize,
}

/// Rows of `C` without gaps, which are written or added to.
pub(super) struct Output<'a> {
    pub(super) values: &'a mut [MaybeUninit<f32>],
    pub(super) columns: usize,
    pub(super) accumulate: bool,
}

/// `C ← [C +] A·B` for the rows of a task, by the best instruction set that is detected.
///
/// # Safety
/// Where it accumulates, all of the output must be initialised.
///
/// # Panics
/// If `a` has fewer panels than `output` has rows, or `b` fewer than columns.
pub(super) unsafe fn multiply(a: &[PackedBlock], b: PackedPanels, output: &mut Output) {
    let rows = output.values.len() / output.columns;
    assert_eq!(output.values.len(), rows * output.columns, "whole rows");
    assert!(a.len() >= rows.div_ceil(PANEL) * b.depth, "a packed panel for all rows");
    assert_eq!(b.blocks.len(), output.columns.div_ceil(PANEL) * b.depth, "a packed panel for all columns");
    assert!(b.inner > (b.depth - 1) * BLOCK, "no block is empty");
    #[cfg(target_arch = "x86_64")]
    {
        let done = simd_dispatch::call_with!(Avx512Vnni, fn(a: &[PackedBlock], b: PackedPanels, output: &mut Output) {
            // SAFETY: compiled for VNNI; panels were counted above, and the rest is the caller's promise.
            unsafe { all_columns::<__m512i, 8, 3, true>(a, b, output) }
        });
        if done.is_some() {
            return;
        }
        let done = simd_dispatch::call_with!(Avx2, fn(a: &[PackedBlock], b: PackedPanels, output: &mut Output) {
            // SAFETY: compiled for AVX2; panels were counted above, and the rest is the caller's promise.
            unsafe { all_columns::<[__m256i; 2], 4, 1, true>(a, b, output) }
        });
        if done.is_some() {
            return;
        }
    }
    // SAFETY: panels were counted above, and the rest is the caller's promise.
    unsafe { all_columns::<[i32; PANEL], 4, 1, false>(a, b, output) };
}

/// A value of each column of a panel: a pair of integers, or a sum.
///
/// # Safety
/// An implementation must be 64 bytes of plain data, 4 per column.
unsafe trait Columns: Copy {
    #[inline(always)]
    fn of(values: [u32; PANEL]) -> Self {
        // SAFETY: both are 64 bytes of plain data.
        unsafe { std::mem::transmute_copy(&values) }
    }

    #[inline(always)]
    fn sums(self) -> [i32; PANEL] {
        // SAFETY: as above.
        unsafe { std::mem::transmute_copy(&self) }
    }

    /// `self` plus both products of a row's pair and each column's.
    ///
    /// # Safety
    /// The processor must have the instructions.
    unsafe fn add_products(self, row: u32, columns: Self) -> Self;
}

// SAFETY: 16 integers.
unsafe impl Columns for [i32; PANEL] {
    #[inline(always)]
    unsafe fn add_products(mut self, row: u32, columns: Self) -> Self {
        // The low half of a pair, sign-extended, and the high one.
        let halves = |pair: i32| [pair << 16 >> 16, pair >> 16];
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

/// [`multiply`] with tiles of `ROWS` rows by `PANELS` panels of columns, three at most: their sums stay in registers.
///
/// # Safety
/// As for [`multiply`], whose assertions must hold; and the processor must have the instructions.
#[inline(always)]
unsafe fn all_columns<C: Columns, const ROWS: usize, const PANELS: usize, const FUSED: bool>(
    a: &[PackedBlock],
    b: PackedPanels,
    output: &mut Output,
) {
    for (at, blocks) in b.blocks.chunks(PANELS * b.depth).enumerate() {
        let b = PackedPanels { blocks, ..b };
        let first = at * PANELS * PANEL;
        // SAFETY: passed on to the caller.
        unsafe {
            match blocks.len() / b.depth {
                1 => all_rows::<C, ROWS, 1, FUSED>(a, b, output, first),
                2 => all_rows::<C, ROWS, 2, FUSED>(a, b, output, first),
                _ => all_rows::<C, ROWS, PANELS, FUSED>(a, b, output, first),
            }
        }
    }
}

/// [`all_columns`] for the columns of one tile, from `first` on.
///
/// # Safety
/// As for [`all_columns`].
#[inline(always)]
unsafe fn all_rows<C: Columns, const ROWS: usize, const PANELS: usize, const FUSED: bool>(
    a: &[PackedBlock],
    b: PackedPanels,
    output: &mut Output,
    first: usize,
) {
    let (columns, width) = (output.columns, (output.columns - first).min(PANELS * PANEL));
    let depth = b.depth;
    for at in 0..depth {
        let (pairs, accumulate) = ((b.inner - at * BLOCK).min(BLOCK).div_ceil(2), output.accumulate || at > 0);
        let b: [&PackedBlock; PANELS] = std::array::from_fn(|panel| &b.blocks[panel * depth + at]);
        for (group, c) in output.values.chunks_mut(ROWS * columns).enumerate() {
            let row = group * ROWS;
            let (a, from) = (&a[row / PANEL * depth + at], row % PANEL);
            let (rows, target) = (c.len() / columns, c[first..].as_mut_ptr().cast::<f32>());
            if rows == ROWS && width == PANELS * PANEL {
                let tile = Tile { start: target, leading_dimension: columns, accumulate };
                // SAFETY: the rows and columns from here on lie within `c`; the rest is the caller's promise.
                unsafe { micro_kernel::<C, ROWS, PANELS, FUSED>(a, from, b, pairs, tile) };
                continue;
            }
            let mut edge = [[[0.0_f32; PANEL]; PANELS]; ROWS];
            let before = if accumulate { width } else { 0 };
            for (row, edge) in edge[..rows].iter_mut().enumerate() {
                // SAFETY: as above.
                unsafe { edge.as_mut_ptr().cast::<f32>().copy_from_nonoverlapping(target.add(row * columns), before) };
            }
            let tile = Tile { start: edge.as_mut_ptr().cast(), leading_dimension: PANELS * PANEL, accumulate };
            // SAFETY: `edge` has all rows and columns.
            unsafe { micro_kernel::<C, ROWS, PANELS, FUSED>(a, from, b, pairs, tile) };
            for (row, edge) in edge[..rows].iter().enumerate() {
                // SAFETY: as above.
                unsafe { target.add(row * columns).copy_from_nonoverlapping(edge.as_ptr().cast(), width) };
            }
        }
    }
}

/// A tile of `C`.
#[derive(Clone, Copy)]
struct Tile {
    start: *mut f32,
    leading_dimension: usize,
    accumulate: bool,
}

/// `C ← [C +] A·B` for one block of `ROWS` rows of a panel, from row `from` on, and of `PANELS` panels of columns.
///
/// # Safety
/// The processor must have the instructions. The tile's rows and columns must be the caller's own and, where it accumulates,
/// initialised.
#[inline(always)]
unsafe fn micro_kernel<C: Columns, const ROWS: usize, const PANELS: usize, const FUSED: bool>(
    a: &PackedBlock,
    from: usize,
    b: [&PackedBlock; PANELS],
    pairs: usize,
    c: Tile,
) {
    // By index throughout: an iterator would borrow the sums, and then they leave the registers.
    let mut sums = [[C::of([0; PANEL]); PANELS]; ROWS];
    for (pair, rows) in a.pairs[..pairs].iter().enumerate() {
        let columns = b.map(|block| C::of(block.pairs[pair]));
        let rows: &[u32; ROWS] = rows[from..].first_chunk().expect("rows of one panel");
        for row in 0..ROWS {
            for panel in 0..PANELS {
                // SAFETY: passed on to the caller.
                sums[row][panel] = unsafe { sums[row][panel].add_products(rows[row], columns[panel]) };
            }
        }
    }
    for row in 0..ROWS {
        for panel in 0..PANELS {
            // SAFETY: passed on to the caller.
            unsafe {
                let c_values = c.start.add(row * c.leading_dimension + panel * PANEL).cast::<[f32; PANEL]>();
                let before = if c.accumulate { c_values.read() } else { [0.0; PANEL] };
                let (sums, scales) = (sums[row][panel].sums(), b[panel].scales);
                c_values.write(scaled::<FUSED>(sums, a.scales[from + row], scales, before));
            }
        }
    }
}

/// `before + sum · row · column`. The scales come one after the other: their product could underflow where the result does not.
/// Arrays by value, so that the compiler takes vectors.
#[inline(always)]
fn scaled<const FUSED: bool>(
    sums: [i32; PANEL],
    row: f32,
    columns: [f32; PANEL],
    before: [f32; PANEL],
) -> [f32; PANEL] {
    std::array::from_fn(|at| {
        let sum = sums[at] as f32 * row;
        if FUSED { sum.mul_add(columns[at], before[at]) } else { sum * columns[at] + before[at] }
    })
}

#[cfg(test)]
mod tests {
    use super::super::pack;
    use super::*;
    use crate::ops::flex::matrix::Matrix;

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let (rows, columns, inner) = (41, 70, 301_usize);
        let depth = inner.div_ceil(BLOCK);
        let values = |count: usize| (0..count).map(|at| (at as f32 * 1.7).sin()).collect::<Vec<f32>>();
        let (a, b) = (values(rows * inner), values(columns * inner));
        let packed = |matrix: Matrix| {
            let mut blocks = vec![PackedBlock::ZERO; matrix.rows().div_ceil(PANEL) * depth];
            for (panel, blocks) in blocks.chunks_mut(depth).enumerate() {
                pack(matrix, panel * PANEL, 0, blocks);
            }
            blocks
        };
        let a = packed(Matrix::of_rows(&a, inner));
        let b = packed(Matrix::of_rows(&b, columns).transposed());
        let product = |multiply: unsafe fn(&[PackedBlock], PackedPanels, &mut Output), accumulate: bool| {
            let mut c = vec![MaybeUninit::new(0.7); rows * columns];
            // SAFETY: whole matrices are packed, the output is initialised, and the instructions are detected below.
            unsafe {
                let packed_b = PackedPanels { blocks: &b, depth, inner };
                multiply(&a, packed_b, &mut Output { values: &mut c, columns, accumulate });
                c.iter().map(|value| value.assume_init()).collect::<Vec<f32>>()
            }
        };
        let fused = simd_dispatch::InstructionSet::Avx2.is_detected();
        let portable =
            if fused { all_columns::<[i32; PANEL], 4, 1, true> } else { all_columns::<[i32; PANEL], 4, 1, false> };
        for accumulate in [false, true] {
            assert_eq!(product(multiply, accumulate), product(portable, accumulate));
            #[cfg(target_arch = "x86_64")]
            if fused {
                assert_eq!(product(all_columns::<[__m256i; 2], 4, 1, true>, accumulate), product(portable, accumulate));
            }
        }
    }
}
