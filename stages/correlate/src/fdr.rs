//! False discoveries among many tests.

/// Benjamini-Hochberg adjusted p-values: with the `m` p-values ascending, `q_(i) = min over j ≥ i of p_(j)·m/j`, at most 1.
/// In the order given; what is null stays null and does not count towards `m`.
pub fn q_values(p_values: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut tested: Vec<(usize, f64)> =
        p_values.iter().enumerate().filter_map(|(row, p_value)| Some((row, (*p_value)?))).collect();
    tested.sort_by(|a, b| a.1.total_cmp(&b.1));
    let family = tested.len() as f64;
    let mut q_values = vec![None; p_values.len()];
    let mut least = 1.0_f64;
    for (position, (row, p_value)) in tested.iter().enumerate().rev() {
        least = least.min(p_value * (family / (position as f64 + 1.0)));
        q_values[*row] = Some(least);
    }
    q_values
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn by_hand() {
        // Ascending 0.01, 0.02, 0.03, 0.5 times 4/1, 4/2, 4/3, 4/4: 0.04, 0.04, 0.04, 0.5.
        let q = q_values(&[Some(0.02), None, Some(0.5), Some(0.01), Some(0.03)]);
        let expected = [Some(0.04), None, Some(0.5), Some(0.04), Some(0.04)];
        for (q, expected) in q.iter().zip(expected) {
            assert_eq!(q.is_some(), expected.is_some());
            assert!((q.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-15);
        }
        assert!(q_values(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn keeps_the_order_and_never_lowers(p in prop::collection::vec(0.0001f64..=1.0, 1..40)) {
            let q: Vec<f64> = q_values(&p.iter().copied().map(Some).collect::<Vec<_>>()).into_iter().flatten().collect();
            for (a, p_a) in p.iter().enumerate() {
                prop_assert!(q[a] >= *p_a && q[a] <= 1.0);
                for (b, p_b) in p.iter().enumerate() {
                    prop_assert!(p_a > p_b || q[a] <= q[b]);
                }
            }
        }
    }
}
