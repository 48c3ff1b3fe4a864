//! Sums that the compiler can vectorise: eight partial sums, added in the end, always in this order, so that a result depends on
//! the row alone.

const LANES: usize = 8;

/// `Σ_j term(j, values[j])`.
#[inline(always)]
pub(crate) fn sum<T: Copy>(values: &[T], term: impl Fn(f64, T) -> f64) -> f64 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    // Positions as floats throughout: SSE2 and AVX2 do not convert 64-bit integers.
    let mut positions: [f64; LANES] = std::array::from_fn(|lane| lane as f64);
    for chunk in chunks {
        for ((sum, position), &value) in sums.iter_mut().zip(&mut positions).zip(chunk) {
            *sum += term(*position, value);
            *position += LANES as f64;
        }
    }
    for ((sum, position), &value) in sums.iter_mut().zip(positions).zip(rest) {
        *sum += term(position, value);
    }
    sums.iter().sum()
}

/// `Σ_j term(a[j], b[j])` over the length of the shorter one.
#[inline(always)]
pub(crate) fn sum_pairs<A: Copy, B: Copy>(a: &[A], b: &[B], term: impl Fn(A, B) -> f64) -> f64 {
    let length = a.len().min(b.len());
    let (a_chunks, a_rest) = a[..length].as_chunks::<LANES>();
    let (b_chunks, b_rest) = b[..length].as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += term(a, b);
        }
    }
    for ((sum, &a), &b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum += term(a, b);
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_summed_once_at_its_position() {
        for length in 0..40 {
            let values: Vec<f64> = (0..length).map(|value| f64::from(value * value)).collect();
            let weighted: f64 = (0..length).map(|value| f64::from(value * value * value)).sum();
            assert_eq!(sum(&values, |position, value| position * value), weighted, "length {length}");
            assert_eq!(sum_pairs(&values, &values, |a, _| a), values.iter().sum(), "length {length}");
        }
        assert_eq!(sum_pairs(&[1.0; 9], &[1u16; 20], |a, b| a * f64::from(b)), 9.0);
    }
}
