//! Loops over slices, compiled for several instruction sets. Sums go through sixteen lanes in all of them.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};
use std::mem::MaybeUninit;

use simd_dispatch::multiversion;

use crate::ops::arguments::{Dropout, LAYER_NORM_EPSILON, Update};

/// Lanes of a sum: one AVX-512 register, two of AVX2.
pub(super) const LANES: usize = 16;

/// `a·b + c`, rounded once where the processor can.
#[inline(always)]
fn fma<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// `eˣ` to about one unit in the last place: `2ⁿ·eʳ` with a polynomial for `|r| ≤ ln 2 / 2` (Cephes, Moshier 1989). Below
/// −87 it is the smallest normal number, nearly.
#[inline(always)]
fn exp<const FUSED: bool>(x: f32) -> f32 {
    // Adding 1.5·2²³ rounds to an integer, in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // `max` would turn NaN into a number.
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = fma::<FUSED>(x, LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fma::<FUSED>(n, -LN_2_LOW, fma::<FUSED>(n, -LN_2_HIGH, x));
    let terms = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_66, 0.5];
    let mut polynomial = terms[0];
    for term in &terms[1..] {
        polynomial = fma::<FUSED>(polynomial, r, *term);
    }
    let mantissa = fma::<FUSED>(polynomial, r * r, r) + 1.0;
    f32::from_bits(mantissa.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// The standard normal distribution at `x`, `Φ(x)`, to 1.5e-7 (Abramowitz & Stegun 7.1.26), and its density.
#[inline(always)]
fn normal<const FUSED: bool>(x: f32) -> (f32, f32) {
    const DENSITY_AT_0: f32 = 0.398_942_3;
    let a = x.abs() * FRAC_1_SQRT_2;
    let bell = exp::<FUSED>(-a * a);
    let t = 1.0 / fma::<FUSED>(0.327_591_1, a, 1.0);
    let mut tail = 1.061_405_4;
    for term in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        tail = fma::<FUSED>(tail, t, term);
    }
    let tail = 0.5 * tail * t * bell;
    (if x >= 0.0 { 1.0 - tail } else { tail }, DENSITY_AT_0 * bell)
}

/// The dropout seed of one chunk of values: a hash of (seed, chunk), so that 32 bits need only count positions within it.
fn chunk_seed(seed: u64, chunk: u64) -> u32 {
    // The finaliser of SplitMix64 (Steele, Lea & Flood 2014).
    let mut hash = seed ^ chunk.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    // The low half of the hash.
    ((hash ^ (hash >> 31)) & u64::from(u32::MAX)) as u32
}

/// The dropout mask of one chunk of values.
#[derive(Clone, Copy)]
pub(super) struct Mask {
    seed: u32,
    /// A value is dropped if its hash is below.
    threshold: u32,
    /// The reciprocal of the probability that a value is kept.
    scale: f32,
}

impl Mask {
    /// The mask of one chunk.
    pub(super) fn new(dropout: Dropout, chunk: u64) -> Self {
        // The rate is below 1.
        let threshold = (dropout.rate * f64::from(u32::MAX)) as u32;
        let scale = (1.0 / (1.0 - dropout.rate)) as f32;
        Self { seed: chunk_seed(dropout.seed, chunk), threshold, scale }
    }

    /// The factor of the value at a position of the chunk.
    #[inline(always)]
    pub(super) fn at(self, position: usize) -> f32 {
        // The compiler takes this out of loops, so that nothing is hashed where nothing is dropped.
        if self.threshold == 0 {
            return 1.0;
        }
        // The finaliser of MurmurHash3 (Appleby 2011).
        // Chunks and rows of attention are shorter than 2³² values.
        let mut hash = (position as u32).wrapping_mul(0x9E37_79B9) ^ self.seed;
        hash = (hash ^ (hash >> 16)).wrapping_mul(0x85EB_CA6B);
        hash = (hash ^ (hash >> 13)).wrapping_mul(0xC2B2_AE35);
        hash ^= hash >> 16;
        if hash >= self.threshold { self.scale } else { 0.0 }
    }
}

/// The constants of one row's [`softmax_backward`].
#[derive(Clone, Copy)]
pub(super) struct RowGradient {
    /// Keys that the row's query attends to.
    pub(super) keys: usize,
    /// The log-sum-exp of its scores.
    pub(super) log_sum: f32,
    /// `Σ_j w_j mask_j g_j`.
    pub(super) dot: f32,
    /// The factor of the scores.
    pub(super) scaling: f32,
    pub(super) mask: Mask,
}

/// `Σ_i term(rows[0][i], rows[1][i], …)` over rows of one length: in lanes, which are added pairwise in the end, on every processor.
#[inline(always)]
fn sum<const ROWS: usize>(rows: [&[f32]; ROWS], term: impl Fn([f32; ROWS]) -> f32) -> f32 {
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "rows are summed side by side");
    let split = rows.map(|row| row.as_chunks::<LANES>());
    let (chunks, rest) = (split.map(|(chunks, _)| chunks), split.map(|(_, rest)| rest));
    let mut lanes = [0.0; LANES];
    for chunk in 0..chunks[0].len() {
        let values = chunks.map(|chunks| &chunks[chunk]);
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += term(values.map(|values| values[lane]));
        }
    }
    total(lanes) + (0..rest[0].len()).map(|at| term(rest.map(|rest| rest[at]))).sum::<f32>()
}

/// `lanes + a·b`.
#[inline(always)]
fn accumulate<const FUSED: bool>(lanes: &mut [f32; LANES], a: &[f32; LANES], b: &[f32; LANES]) {
    for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
        *lane = fma::<FUSED>(*a, *b, *lane);
    }
}

/// The sum of lanes, added pairwise. Not inlined: where lanes are indexed, they leave their registers.
#[inline(never)]
fn total(mut lanes: [f32; LANES]) -> f32 {
    for half in [LANES / 2, LANES / 4, LANES / 8, LANES / 16] {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
    }
    lanes[0]
}

/// `Σ a·b`, in the order of [`four_products`].
#[inline(always)]
fn product<const FUSED: bool>(a: &[f32], b: &[f32]) -> f32 {
    let ((a_chunks, a_rest), (b_chunks, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [0.0; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        accumulate::<FUSED>(&mut lanes, a, b);
    }
    total(lanes) + rest_product(a_rest, b_rest)
}

/// `Σ a·b` of the values after the last whole chunk.
#[inline(always)]
pub(super) fn rest_product(a: &[f32], b: &[f32]) -> f32 {
    let mut sum = 0.0;
    for (a, b) in a.iter().zip(b) {
        sum += a * b;
    }
    sum
}

/// `Σ a·b` for four `b` at once, which reads `a` once; each as if it were alone.
#[inline(always)]
fn four_products<const FUSED: bool>(a: &[f32], b: [&[f32]; 4]) -> [f32; 4] {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let [b0, b1, b2, b3] = b.map(|b| b.as_chunks::<LANES>());
    // Four variables and not an array of them, which would not stay in registers.
    let (mut lanes0, mut lanes1, mut lanes2, mut lanes3) = ([0.0; LANES], [0.0; LANES], [0.0; LANES], [0.0; LANES]);
    for ((((a, b0), b1), b2), b3) in a_chunks.iter().zip(b0.0).zip(b1.0).zip(b2.0).zip(b3.0) {
        accumulate::<FUSED>(&mut lanes0, a, b0);
        accumulate::<FUSED>(&mut lanes1, a, b1);
        accumulate::<FUSED>(&mut lanes2, a, b2);
        accumulate::<FUSED>(&mut lanes3, a, b3);
    }
    [
        total(lanes0) + rest_product(a_rest, b0.1),
        total(lanes1) + rest_product(a_rest, b1.1),
        total(lanes2) + rest_product(a_rest, b2.1),
        total(lanes3) + rest_product(a_rest, b3.1),
    ]
}

#[inline(always)]
fn largest(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = lane.max(*value);
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

multiversion! {
    /// `x·Φ(x)`.
    pub(super) fn gelu<FUSED>(x: &[f32], out: &mut [MaybeUninit<f32>]) {
        assert_eq!(x.len(), out.len(), "every value is written");
        for (out, &x) in out.iter_mut().zip(x) {
            out.write(x * normal::<FUSED>(x).0);
        }
    }

    /// `g·(Φ(x) + x·φ(x))`, over `g`.
    pub(super) fn gelu_backward<FUSED>(x: &[f32], gradient: &mut [f32]) {
        assert_eq!(x.len(), gradient.len(), "a gradient for every value");
        for (gradient, &x) in gradient.iter_mut().zip(x) {
            let (below, density) = normal::<FUSED>(x);
            *gradient *= fma::<FUSED>(x, density, below);
        }
    }

    /// `mask·x + residual`.
    pub(super) fn dropout_add<FUSED>(x: &[f32], residual: &[f32], out: &mut [MaybeUninit<f32>], mask: Mask) {
        assert_eq!([x.len(), residual.len()], [out.len(); 2], "every value is written");
        for (position, ((out, &x), &residual)) in out.iter_mut().zip(x).zip(residual).enumerate() {
            out.write(fma::<FUSED>(x, mask.at(position), residual));
        }
    }

    /// Each value as the nearest bfloat16, ties to even.
    pub(super) fn round_to_bf16<FUSED>(x: &[f32], out: &mut [MaybeUninit<f32>]) {
        assert_eq!(x.len(), out.len(), "every value is written");
        for (out, x) in out.iter_mut().zip(x) {
            let bits = x.to_bits();
            let half = 0x7FFF + ((bits >> 16) & 1);
            out.write(f32::from_bits(bits.wrapping_add(half) & 0xFFFF_0000));
        }
    }

    /// `mask·x`.
    pub(super) fn dropout<FUSED>(x: &[f32], out: &mut [MaybeUninit<f32>], mask: Mask) {
        assert_eq!(x.len(), out.len(), "every value is written");
        for (position, (out, &x)) in out.iter_mut().zip(x).enumerate() {
            out.write(x * mask.at(position));
        }
    }

    /// Rows of `(x − mean)/√(variance + ε)·weight`; `moments` takes each row's mean and reciprocal standard deviation.
    pub(super) fn layer_norm<FUSED>(x: &[f32], weight: &[f32], out: &mut [MaybeUninit<f32>], moments: &mut [f32]) {
        let width = weight.len();
        assert_eq!([x.len(), moments.len() / 2 * width], [out.len(); 2], "every row is written");
        for ((x, out), moments) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)).zip(moments.chunks_exact_mut(2)) {
            let mean = sum([x], |[x]| x) / width as f32;
            let variance = sum([x], |[x]| (x - mean) * (x - mean)) / width as f32;
            let reciprocal = 1.0 / (variance + LAYER_NORM_EPSILON as f32).sqrt();
            moments.copy_from_slice(&[mean, reciprocal]);
            for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
                out.write((x - mean) * reciprocal * weight);
            }
        }
    }

    /// The gradients of [`layer_norm`]: that of `x` is written over `gradient`, that of the weight added to `of_weight`.
    pub(super) fn layer_norm_backward<FUSED>(
        x: &[f32],
        weight: &[f32],
        gradient: &mut [f32],
        moments: &[f32],
        of_weight: &mut [f32],
    ) {
        let width = weight.len();
        let rows = x.chunks_exact(width).zip(moments.chunks_exact(2));
        for ((x, moments), gradient) in rows.zip(gradient.chunks_exact_mut(width)) {
            let (mean, reciprocal) = (moments[0], moments[1]);
            let normed = |x: f32| (x - mean) * reciprocal;
            let level = sum([gradient, weight], |[g, weight]| g * weight) / width as f32;
            let slope = sum([gradient, weight, x], |[g, weight, x]| g * weight * normed(x)) / width as f32;
            let outputs = gradient.iter_mut().zip(of_weight.iter_mut());
            for ((g, of_weight), (&x, &weight)) in outputs.zip(x.iter().zip(weight)) {
                *of_weight = fma::<FUSED>(*g, normed(x), *of_weight);
                *g = reciprocal * (*g * weight - level - normed(x) * slope);
            }
        }
    }

    /// Softmax of one row of scores over its first `keys`, with dropout, in place; the others become 0. Returns the log-sum-exp.
    pub(super) fn softmax<FUSED>(row: &mut [f32], keys: usize, mask: Mask) -> f32 {
        let (row, behind) = row.split_at_mut(keys);
        behind.fill(0.0);
        let top = largest(row);
        for score in row.iter_mut() {
            *score = exp::<FUSED>(*score - top);
        }
        let total = sum([row], |[weight]| weight);
        let reciprocal = 1.0 / total;
        for (key, weight) in row.iter_mut().enumerate() {
            *weight *= reciprocal * mask.at(key);
        }
        top + total.ln()
    }

    /// Backward pass of one row: `scores` become the weights after dropout, and `gradient` (of those weights) becomes that of the
    /// scores before their scaling, `scaling·w·(mask·g − Σ_j w_j mask_j g_j)`.
    pub(super) fn softmax_backward<FUSED>(scores: &mut [f32], gradient: &mut [f32], row: RowGradient) {
        let RowGradient { keys, log_sum, dot, scaling, mask } = row;
        let (scores, behind) = scores.split_at_mut(keys);
        behind.fill(0.0);
        let (gradient, behind) = gradient.split_at_mut(keys);
        behind.fill(0.0);
        for (key, (score, gradient)) in scores.iter_mut().zip(gradient).enumerate() {
            let weight = exp::<FUSED>(*score - log_sum);
            let factor = mask.at(key);
            *score = weight * factor;
            *gradient = weight * scaling * fma::<FUSED>(*gradient, factor, -dot);
        }
    }

    /// Every row of `x` with every row of a weight: `out[r,o] = Σ_i x[r,i]·weight[o,i]`.
    pub(super) fn inner_products<FUSED>(x: &[f32], weight: &[f32], width: usize, out: &mut [f32]) {
        let outputs = weight.len() / width;
        for (block, weight) in weight.chunks(4 * width).enumerate() {
            for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(outputs)) {
                let out = &mut out[4 * block..];
                if weight.len() == 4 * width {
                    let ((w0, w1), (w2, w3)) = (weight[..2 * width].split_at(width), weight[2 * width..].split_at(width));
                    out[..4].copy_from_slice(&four_products::<FUSED>(x, [w0, w1, w2, w3]));
                    continue;
                }
                for (out, weight) in out.iter_mut().zip(weight.chunks_exact(width)) {
                    *out = product::<FUSED>(x, weight);
                }
            }
        }
    }

    /// `Σ_r weights[r]·rows[r]`.
    pub(super) fn weighted_sum<FUSED>(weights: &[f32], rows: &[f32], out: &mut [f32]) {
        let width = out.len();
        let (fours, rest) = out.as_chunks_mut::<{ 4 * LANES }>();
        for (chunk, out) in fours.iter_mut().enumerate() {
            // Variables, as in `four_products`: an array that is added to would be read and written for every row.
            let (mut lanes0, mut lanes1, mut lanes2, mut lanes3) = ([0.0; LANES], [0.0; LANES], [0.0; LANES], [0.0; LANES]);
            for (weight, row) in weights.iter().zip(rows.chunks_exact(width)) {
                let row = row[chunk * 4 * LANES..][..4 * LANES].as_chunks::<LANES>().0;
                let weight = [*weight; LANES];
                accumulate::<FUSED>(&mut lanes0, &weight, &row[0]);
                accumulate::<FUSED>(&mut lanes1, &weight, &row[1]);
                accumulate::<FUSED>(&mut lanes2, &weight, &row[2]);
                accumulate::<FUSED>(&mut lanes3, &weight, &row[3]);
            }
            for (out, lanes) in out.chunks_exact_mut(LANES).zip([lanes0, lanes1, lanes2, lanes3]) {
                out.copy_from_slice(&lanes);
            }
        }
        let first = width - rest.len();
        rest.fill(0.0);
        for (weight, row) in weights.iter().zip(rows.chunks_exact(width)) {
            for (out, value) in rest.iter_mut().zip(&row[first..]) {
                *out = fma::<FUSED>(*weight, *value, *out);
            }
        }
    }

    /// `Σ a·b`.
    pub(super) fn dot<FUSED>(a: &[f32], b: &[f32]) -> f32 {
        sum([a, b], |[a, b]| a * b)
    }

    /// `Σ a²`.
    pub(super) fn square_sum<FUSED>(a: &[f32]) -> f32 {
        sum([a], |[a]| a * a)
    }

    /// One AdamW update in place: see `Update` for the constants.
    pub(super) fn adamw<FUSED>(
        parameter: &mut [f32],
        gradient: &[f32],
        first: &mut [f32],
        second: &mut [f32],
        update: &Update,
    ) {
        let (beta1, beta2) = (update.beta1 as f32, update.beta2 as f32);
        let (rest1, rest2) = ((1.0 - update.beta1) as f32, (1.0 - update.beta2) as f32);
        let (keep, step) = (update.keep as f32, update.step as f32);
        let (root_scale, epsilon) = (update.root_scale as f32, update.epsilon as f32);
        let clip = update.clip as f32;
        for (((parameter, &gradient), first), second) in parameter.iter_mut().zip(gradient).zip(first).zip(second) {
            let gradient = gradient * clip;
            *first = fma::<FUSED>(*first, beta1, gradient * rest1);
            *second = fma::<FUSED>(*second, beta2, gradient * gradient * rest2);
            let root = fma::<FUSED>(second.sqrt(), root_scale, epsilon);
            *parameter = fma::<FUSED>(*parameter, keep, -step * *first / root);
        }
    }
}
