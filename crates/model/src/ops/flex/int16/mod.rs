//! Block-scaled int16 matrix products: of integers of 13 bits, by AVX-512's VNNI, which adds up products of pairs of 16-bit
//! integers, twice as many as of float32.
//!
//! A block of 128 values along the inner dimension are multiples of one scale, their largest magnitude over 4095: block floating
//! point, akin to the exponent that Köster et al. 2017 and Das et al. 2018 share over a tensor. Next to the largest value a
//! rounding is 16 to 32 times as fine as bfloat16's, between a 16th and a 32nd of it as fine, and below an 8190th nothing is
//! left. Within a block sums are exact; scaled back, they are added up in float32 in order, so a result depends neither on
//! threads nor on how the work was divided.

mod kernel;
mod round;

use std::mem::MaybeUninit;

use rayon::prelude::*;

use self::kernel::{Output, PackedPanels, multiply};
use self::round::{round_columns, round_row};
use super::matrix::Matrix;

/// Rows of `A`, or columns of `B`, per packed panel.
const PANEL: usize = 16;
/// Values along the inner dimension that share a scale: no more, so that 128 products of 4095² stay below 2³¹.
const BLOCK: usize = 128;
/// Bytes of `B` that are packed at a time: most of a second-level cache.
const PACKED: usize = 3 << 19;
/// Panels of `A` per task: their blocks and those of a few panels of `B` stay in the first-level cache.
const TASK_PANELS: usize = 4;

/// A block of a packed panel: pairs of integers along the inner dimension, and a scale for each row of `A` or column of `B`.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct PackedBlock {
    pairs: [[u32; PANEL]; BLOCK / 2],
    scales: [f32; PANEL],
}

impl PackedBlock {
    const ZERO: Self = Self { pairs: [[0; PANEL]; BLOCK / 2], scales: [0.0; PANEL] };
}

/// `C ← A·B`, both rounded; initialises all of `c`, which has rows without gaps.
pub(super) fn product(a: Matrix, b: Matrix, c: &mut [MaybeUninit<f32>]) {
    let (rows, columns, inner) = (a.rows(), b.columns(), a.columns());
    assert!(b.rows() == inner && c.len() == rows * columns, "a product of M by N");
    if inner == 0 {
        c.fill(MaybeUninit::new(0.0));
    }
    // Panels are packed alike: by rows of `A`, and by rows of `B` transposed.
    let b = b.transposed();
    let (blocks, b_panels) = (inner.div_ceil(BLOCK), columns.div_ceil(PANEL));
    let deepest = (PACKED / size_of::<PackedBlock>() / b_panels.max(1)).clamp(1, blocks.max(1));
    let mut packed_b = vec![PackedBlock::ZERO; b_panels * deepest];
    for first in (0..blocks).step_by(deepest) {
        let depth = (blocks - first).min(deepest);
        let packed_b = &mut packed_b[..b_panels * depth];
        packed_b.par_chunks_mut(depth).enumerate().for_each(|(panel, packed)| pack(b, panel * PANEL, first, packed));
        let packed_b = PackedPanels { blocks: packed_b, depth, inner: inner - first * BLOCK };
        c.par_chunks_mut(TASK_PANELS * PANEL * columns).enumerate().for_each_init(
            || vec![PackedBlock::ZERO; TASK_PANELS * depth],
            |packed_a, (task, c)| {
                let panels = (c.len() / columns).div_ceil(PANEL);
                for (panel, packed) in packed_a.chunks_mut(depth).take(panels).enumerate() {
                    pack(a, (task * TASK_PANELS + panel) * PANEL, first, packed);
                }
                let mut output = Output { values: c, columns, accumulate: first > 0 };
                // SAFETY: the first blocks initialise all of `c`, which later ones add to.
                unsafe { multiply(packed_a, packed_b, &mut output) };
            },
        );
    }
}

/// Rounds and packs blocks from `first` on of a panel's rows, or of those that there are, from row `from` on.
fn pack(source: Matrix, from: usize, first: usize, packed: &mut [PackedBlock]) {
    let (rows, inner) = ((source.rows() - from).min(PANEL), source.columns() - first * BLOCK);
    if source.column_stride() == 1 {
        if rows < PANEL {
            packed.fill(PackedBlock::ZERO);
        }
        for row in 0..rows {
            let values = source.row(from + row).expect("the columns are adjacent");
            pack_row(&values[first * BLOCK..], row, packed);
        }
    } else {
        let columns = source.transposed();
        let column = |at: usize| &columns.row(first * BLOCK + at).expect("the rows are adjacent")[from..][..rows];
        let mut values = [[0.0; PANEL]; BLOCK];
        for (block, packed) in packed.iter_mut().enumerate() {
            let range = block * BLOCK..inner.min((block + 1) * BLOCK);
            pack_columns(range.map(column), &mut values, packed);
        }
    }
}

/// Rounds the blocks of one row of a panel.
fn pack_row(values: &[f32], row: usize, packed: &mut [PackedBlock]) {
    for (values, block) in values.chunks(BLOCK).zip(packed) {
        let mut integers = [0; BLOCK];
        block.scales[row] = match values.as_array() {
            Some(whole) => round_row(whole, &mut integers),
            None => {
                let mut padded = [0.0; BLOCK];
                padded[..values.len()].copy_from_slice(values);
                round_row(&padded, &mut integers)
            }
        };
        for (pairs, [one, other]) in block.pairs.iter_mut().zip(integers.as_chunks().0) {
            pairs[row] = u32::from(*one) | u32::from(*other) << 16;
        }
    }
}

/// Rounds a block from its columns, each with a value of every row. `values` is scratch: zero where the panel has no row.
fn pack_columns<'a>(
    columns: impl ExactSizeIterator<Item = &'a [f32]>,
    values: &mut [[f32; PANEL]; BLOCK],
    packed: &mut PackedBlock,
) {
    values[columns.len()..].fill([0.0; PANEL]);
    for (values, column) in values.iter_mut().zip(columns) {
        match column.as_array() {
            Some(whole) => *values = *whole,
            None => values[..column.len()].copy_from_slice(column),
        }
    }
    round_columns(values, packed);
}
