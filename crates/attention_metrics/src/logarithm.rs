//! A natural logarithm without branches or tables, so that loops over it vectorise.

/// `ln x` of a positive normal number, to one unit in the last place: `x = 2ᵏ·m` with `m` between `√½` and `√2`, and
/// `ln m` as a polynomial in `(m−1)/(m+1)` (fdlibm's `e_log.c`, Sun Microsystems 1993).
#[inline(always)]
pub(crate) fn ln<const FUSED: bool>(x: f64) -> f64 {
    const ONE: u64 = 1.0_f64.to_bits();
    /// The high half of `√½`, the smallest mantissa `m`.
    const ROOT_HALF: u64 = 0x3FE6_A09E_0000_0000;
    /// `2⁵²`: a whole number in its mantissa adds as it is.
    const WHOLE: f64 = 4_503_599_627_370_496.0;
    const BIAS: f64 = 1023.0;
    const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const TERMS: [f64; 7] = [
        1.479_819_860_511_658_6e-1,
        1.531_383_769_920_937_3e-1,
        1.818_357_216_161_805e-1,
        2.222_219_843_214_978_4e-1,
        2.857_142_874_366_239e-1,
        3.999_999_999_940_942e-1,
        6.666_666_666_666_735e-1,
    ];
    let bits = x.to_bits();
    let biased = bits.wrapping_add(ONE - ROOT_HALF) >> 52;
    let k = f64::from_bits(WHOLE.to_bits() | biased) - (WHOLE + BIAS);
    let f = f64::from_bits(bits.wrapping_sub(biased << 52).wrapping_add(ONE)) - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let polynomial = TERMS[1..].iter().fold(TERMS[0], |sum, term| fma::<FUSED>(sum, z, *term)) * z;
    let half_square = 0.5 * f * f;
    let rest = fma::<FUSED>(s, half_square + polynomial, k * LN_2_LOW);
    fma::<FUSED>(k, LN_2_HIGH, -((half_square - rest) - f))
}

/// `a·b + c`, rounded once where the processor can.
#[inline(always)]
fn fma<const FUSED: bool>(a: f64, b: f64, c: f64) -> f64 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_logarithm_of_the_standard_library() {
        let near_one = (-40..40).map(|at| 1.0 + f64::from(at) * f64::EPSILON);
        let halves = (0..1022).map(|power| 0.5_f64.powi(power));
        let between = (1..200_000).map(|at| (f64::from(at) / 200_000.0).powi(5));
        for x in near_one.chain(halves).chain(between).chain([f64::MIN_POSITIVE, f64::MAX, 2f64.sqrt(), 0.5f64.sqrt()])
        {
            for found in [ln::<true>(x), ln::<false>(x)] {
                let expected = x.ln();
                assert!((found - expected).abs() <= 4e-16 * expected.abs(), "ln {x} is {expected}, not {found}");
            }
        }
    }
}
