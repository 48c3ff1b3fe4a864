//! Products of matrices rounded to integers of 13 bits: with AVX-512's VNNI, which adds up products of pairs of 16-bit integers,
//! twice as many as of float32.
//!
//! 128 values along the sum, a block, are multiples of a scale, their largest magnitude over 4095: block floating point, akin to the
//! exponent that Köster et al. 2017 and Das et al. 2018 share over a tensor. Next to the largest value a rounding is 16 to 32
//! times as fine as bfloat16's, between a 16th and a 32nd of it as fine, and below an 8190th nothing is left. Within a block sums
//! are exact; scaled back, they are added up in float32 in order, so a result depends neither on threads nor on how the work
//! was divided.

mod multiply;
mod round;

use std::mem::MaybeUninit;

use rayon::prelude::*;

use self::multiply::{Out, Packed, multiply};
use self::round::{round_line, round_lines};
use super::matrix::{Lines, Strided};

/// Lines a panel.
const LINES: usize = 16;
/// Values along the sum that share a scale: no more, so that 128 products of 4095² stay below 2³¹.
const BLOCK: usize = 128;
/// Bytes of the right matrix that are packed at a time: most of a second-level cache.
const PACKED: usize = 3 << 19;
/// Panels of rows a task: their blocks and those of a strip of columns stay in the first-level cache.
const PANELS: usize = 4;

/// A block of each line of a panel: pairs of integers, and the lines' scales.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Slab {
    pairs: [[u32; LINES]; BLOCK / 2],
    scales: [f32; LINES],
}

impl Slab {
    const EMPTY: Self = Self { pairs: [[0; LINES]; BLOCK / 2], scales: [0.0; LINES] };
}

/// `out = left · right`, both rounded; `out` of rows without gaps.
///
/// # Safety
/// The matrices, of `rows × inner` and `inner × columns` values, must lie in memory that is theirs and that nobody writes meanwhile,
/// each without gaps in one of its directions.
pub(super) unsafe fn product(
    [rows, columns, inner]: [usize; 3],
    out: &mut [MaybeUninit<f32>],
    left: Strided,
    right: Strided,
) {
    assert_eq!(out.len(), rows * columns, "a product of rows by columns");
    let (left, right) = (Lines::of_left(left, rows, inner), Lines::of_right(right, columns, inner));
    let (blocks, wide) = (inner.div_ceil(BLOCK), columns.div_ceil(LINES));
    let deepest = (PACKED / size_of::<Slab>() / wide).clamp(1, blocks);
    let mut of_right = vec![Slab::EMPTY; wide * deepest];
    for first in (0..blocks).step_by(deepest) {
        let depth = (blocks - first).min(deepest);
        let of_right = &mut of_right[..wide * depth];
        // SAFETY: passed on to the caller.
        of_right.par_chunks_mut(depth).enumerate().for_each(|(panel, slabs)| unsafe {
            pack(right, panel * LINES, first, slabs);
        });
        let packed = Packed { slabs: of_right, depth, inner: inner - first * BLOCK };
        out.par_chunks_mut(PANELS * LINES * columns).enumerate().for_each_init(
            || vec![Slab::EMPTY; PANELS * depth],
            |of_left, (task, out)| {
                let panels = (out.len() / columns).div_ceil(LINES);
                for (panel, slabs) in of_left.chunks_mut(depth).take(panels).enumerate() {
                    // SAFETY: passed on to the caller.
                    unsafe { pack(left, (task * PANELS + panel) * LINES, first, slabs) };
                }
                // SAFETY: both are packed in panels of this depth, and the blocks before have written all of `out`.
                unsafe { multiply(of_left, packed, Out { values: out, columns, add: first > 0 }) };
            },
        );
    }
}

/// Rounds the blocks of 16 lines, or of those that there are, from line `from` and block `first` on.
///
/// # Safety
/// As for [`product`]; `from` must be a line, and `first` and those after it blocks, of the matrix.
unsafe fn pack(source: Lines, from: usize, first: usize, slabs: &mut [Slab]) {
    let (lines, inner) = ((source.lines - from).min(LINES), source.inner - first * BLOCK);
    // SAFETY: the matrix has so many lines and values along the sum from here on.
    unsafe {
        let start = source.matrix.start.add(from * source.line + first * BLOCK * source.along);
        if source.along == 1 {
            if lines < LINES {
                slabs.fill(Slab::EMPTY);
            }
            for line in 0..lines {
                pack_line(std::slice::from_raw_parts(start.add(line * source.line), inner), line, slabs);
            }
        } else {
            let row = |at: usize| std::slice::from_raw_parts(start.add(at * source.along), lines);
            let mut values = [[0.0; LINES]; BLOCK];
            for (block, slab) in slabs.iter_mut().enumerate() {
                let rows = block * BLOCK..inner.min((block + 1) * BLOCK);
                pack_lines(rows.map(row), &mut values, slab);
            }
        }
    }
}

/// Rounds the blocks of one line, whose values lie without gaps.
fn pack_line(values: &[f32], line: usize, slabs: &mut [Slab]) {
    for (values, slab) in values.chunks(BLOCK).zip(slabs) {
        let mut integers = [0; BLOCK];
        slab.scales[line] = match values.as_array() {
            Some(whole) => round_line(whole, &mut integers),
            None => {
                let mut padded = [0.0; BLOCK];
                padded[..values.len()].copy_from_slice(values);
                round_line(&padded, &mut integers)
            }
        };
        for (pairs, [one, other]) in slab.pairs.iter_mut().zip(integers.as_chunks().0) {
            pairs[line] = u32::from(*one) | u32::from(*other) << 16;
        }
    }
}

/// Rounds a block of lines whose values lie side by side: as many in every row, and in those that `values` had before.
fn pack_lines<'a>(rows: impl ExactSizeIterator<Item = &'a [f32]>, values: &mut [[f32; LINES]; BLOCK], slab: &mut Slab) {
    values[rows.len()..].fill([0.0; LINES]);
    for (values, row) in values.iter_mut().zip(rows) {
        match row.as_array() {
            Some(whole) => *values = *whole,
            None => values[..row.len()].copy_from_slice(row),
        }
    }
    round_lines(values, slab);
}
