//! Corrections for multiple testing. A p-value that is null stays null and does not count towards the family.

/// Benjamini-Hochberg adjusted p-values, which control the false discovery rate: with the `m` p-values ascending,
/// `q_(i) = min over j ≥ i of p_(j)·m/j`, at most 1. In the order given.
pub fn benjamini_hochberg(p_values: &[Option<f64>]) -> Vec<Option<f64>> {
    let tested = ascending(p_values);
    let family = tested.len() as f64;
    let mut adjusted = vec![None; p_values.len()];
    let mut least = 1.0_f64;
    for (position, (row, p_value)) in tested.iter().enumerate().rev() {
        least = least.min(p_value * (family / (position as f64 + 1.0)));
        adjusted[*row] = Some(least);
    }
    adjusted
}

/// Holm adjusted p-values, which control the family-wise type-I error whatever the dependence between the tests: with the `m`
/// p-values ascending, `max over j ≤ i of p_(j)·(m−j+1)`, at most 1. In the order given.
pub fn holm(p_values: &[Option<f64>]) -> Vec<Option<f64>> {
    let tested = ascending(p_values);
    let mut adjusted = vec![None; p_values.len()];
    let mut largest = 0.0_f64;
    for (position, (row, p_value)) in tested.iter().enumerate() {
        largest = largest.max(p_value * (tested.len() - position) as f64).min(1.0);
        adjusted[*row] = Some(largest);
    }
    adjusted
}

/// The p-values that are there, each with its position.
fn ascending(p_values: &[Option<f64>]) -> Vec<(usize, f64)> {
    let mut tested: Vec<(usize, f64)> =
        p_values.iter().enumerate().filter_map(|(row, p_value)| Some((row, (*p_value)?))).collect();
    tested.sort_by(|a, b| a.1.total_cmp(&b.1));
    tested
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near(adjusted: &[Option<f64>], expected: &[Option<f64>]) {
        assert_eq!(adjusted.len(), expected.len());
        for (adjusted, expected) in adjusted.iter().zip(expected) {
            assert_eq!(adjusted.is_some(), expected.is_some());
            assert!((adjusted.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-15, "{adjusted:?} {expected:?}");
        }
    }

    #[test]
    fn by_hand() {
        let p_values = [Some(0.02), None, Some(0.5), Some(0.01), Some(0.03)];
        // Ascending 0.01, 0.02, 0.03, 0.5 times 4/1, 4/2, 4/3, 4/4.
        near(&benjamini_hochberg(&p_values), &[Some(0.04), None, Some(0.5), Some(0.04), Some(0.04)]);
        // Times 4, 3, 2, 1.
        near(&holm(&p_values), &[Some(0.06), None, Some(0.5), Some(0.04), Some(0.06)]);
        assert_eq!(holm(&[Some(0.4), Some(0.6)]), [Some(0.8), Some(0.8)], "never below a smaller p-value's");
        assert!(benjamini_hochberg(&[]).is_empty() && holm(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn both_keep_the_order_and_holm_is_the_stricter(p in prop::collection::vec(0.0001f64..=1.0, 1..40)) {
            let p_values: Vec<_> = p.iter().copied().map(Some).collect();
            let q: Vec<f64> = benjamini_hochberg(&p_values).into_iter().flatten().collect();
            let adjusted: Vec<f64> = holm(&p_values).into_iter().flatten().collect();
            for (a, p_a) in p.iter().enumerate() {
                prop_assert!(q[a] >= *p_a && adjusted[a] >= q[a] - 1e-12 && adjusted[a] <= 1.0);
                prop_assert!(adjusted[a] <= (p_a * p.len() as f64).min(1.0) + 1e-12, "Bonferroni's is the largest");
                for (b, p_b) in p.iter().enumerate() {
                    prop_assert!(p_a > p_b || (q[a] <= q[b] && adjusted[a] <= adjusted[b]));
                }
            }
        }
    }
}
