//! The integers of a block, and the scales of its rows.

use std::hint::black_box;

use simd_dispatch::multiversion;

use super::{BLOCK, PANEL, PackedBlock};

/// The magnitude that a block's largest value becomes.
const LARGEST: f32 = 4095.0;
/// Below it, a block counts as zeros: from 1e-35 on, its scale's reciprocal would overflow.
const SMALLEST: f32 = 1e-34;

/// A magnitude without its sign: as integers they are in order, and what is not a number is above all.
#[inline(always)]
fn magnitude(value: f32) -> u32 {
    value.to_bits() & 0x7FFF_FFFF
}

/// The scale of values up to a magnitude, and its reciprocal.
#[inline(always)]
fn scale(largest: u32) -> (f32, f32) {
    let largest = f32::from_bits(largest);
    (largest / LARGEST, if largest < SMALLEST { 0.0 } else { LARGEST / largest })
}

/// The nearest integer, the even one of two, in the low bits: adding 1.5·2²³ leaves no room for others.
#[inline(always)]
fn nearest(value: f32) -> u32 {
    (value + 12_582_912.0).to_bits()
}

multiversion! {
    /// A row's values as integers; returns their scale.
    pub(super) fn round_row<FUSED>(values: &[f32; BLOCK], integers: &mut [u16; BLOCK]) -> f32 {
        let mut largest = [0; PANEL];
        for values in values.as_chunks::<PANEL>().0 {
            for (largest, value) in largest.iter_mut().zip(values) {
                *largest = magnitude(*value).max(*largest);
            }
        }
        let (scale, reciprocal) = scale(largest.into_iter().fold(0, u32::max));
        for (integers, values) in integers.as_chunks_mut().0.iter_mut().zip(values.as_chunks::<PANEL>().0) {
            // The integer is in the low half.
            *integers = values.map(|value| (nearest(value * reciprocal) & 0xFFFF) as u16);
        }
        scale
    }

    /// A packed block from its columns, each with a value of every row.
    pub(super) fn round_columns<FUSED>(values: &[[f32; PANEL]; BLOCK], packed: &mut PackedBlock) {
        let mut largest = [0; PANEL];
        // A column by an unknown index: else the compiler takes sixteen columns of a row at a time, by gathering.
        for at in 0..BLOCK {
            let values = &values[black_box(at)];
            for row in 0..PANEL {
                largest[row] = magnitude(values[row]).max(largest[row]);
            }
        }
        let mut reciprocals = [0.0; PANEL];
        for row in 0..PANEL {
            (packed.scales[row], reciprocals[row]) = scale(largest[row]);
        }
        for (at, pairs) in packed.pairs.iter_mut().enumerate() {
            let at = 2 * black_box(at);
            let (one, other) = (&values[at], &values[at + 1]);
            for row in 0..PANEL {
                let (one, other) = (one[row] * reciprocals[row], other[row] * reciprocals[row]);
                pairs[row] = nearest(one) & 0xFFFF | nearest(other) << 16;
            }
        }
    }
}
