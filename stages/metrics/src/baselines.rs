//! The rows of `baselines`: what uniform causal attention, `A[i,j] = 1/(i+1)`, gives for the columns of `head_metrics`.

use schemas::tables::Baselines;

/// The baselines of `val` windows of `length` characters and of `repeat` windows whose repeated blocks have these lengths,
/// each as a mean over the same queries as its column: `1 ≤ i < T`, and `L ≤ i < 2L` for `induction_score`. A mean over no
/// query is left out, as is `duplicate_token_score`, which depends on the text.
pub fn baselines(length: usize, blocks: &[usize]) -> Vec<Baselines> {
    let val = |formula: fn(usize) -> f64| mean((1..length).map(formula));
    let inverse = |i: usize| 1.0 / (i + 1) as f64;
    let repeated = blocks.iter().filter(|&&block| block >= 2).flat_map(|&block| block..2 * block);
    let metrics = [
        ("entropy_nats", val(|i| ((i + 1) as f64).ln())),
        ("normalized_entropy", val(|_| 1.0)),
        ("mean_distance", val(|i| i as f64 / 2.0)),
        // ⌈0.9(i+1)⌉ − 1, in whole numbers.
        ("span_90", val(|i| ((9 * (i + 1)).div_ceil(10) - 1) as f64)),
        ("local_mass_3", val(|i| (i + 1).min(3) as f64 / (i + 1) as f64)),
        ("first_token_mass", val(inverse)),
        ("self_mass", val(inverse)),
        ("previous_token_score", val(inverse)),
        ("induction_score", mean(repeated.map(inverse))),
    ];
    let row = |(metric, value): (&str, Option<f64>)| Some(Baselines { metric: metric.to_owned(), value: value? });
    metrics.into_iter().filter_map(row).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(rows: &[Baselines], metric: &str) -> Option<f64> {
        rows.iter().find(|row| row.metric == metric).map(|row| row.value)
    }

    #[test]
    fn four_characters_by_hand() {
        let rows = baselines(4, &[2, 2]);
        let expected = [
            ("entropy_nats", (2f64.ln() + 3f64.ln() + 4f64.ln()) / 3.0),
            ("normalized_entropy", 1.0),
            ("mean_distance", (0.5 + 1.0 + 1.5) / 3.0),
            ("span_90", (1.0 + 2.0 + 3.0) / 3.0),
            ("local_mass_3", (1.0 + 1.0 + 0.75) / 3.0),
            ("first_token_mass", (0.5 + 1.0 / 3.0 + 0.25) / 3.0),
            ("self_mass", (0.5 + 1.0 / 3.0 + 0.25) / 3.0),
            ("previous_token_score", (0.5 + 1.0 / 3.0 + 0.25) / 3.0),
            ("induction_score", (1.0 / 3.0 + 0.25) / 2.0),
        ];
        assert_eq!(rows.len(), expected.len());
        for (metric, expected) in expected {
            let found = value(&rows, metric).expect(metric);
            assert!((found - expected).abs() < 1e-15, "{metric}: {found} is not {expected}");
        }
    }

    #[test]
    fn mean_distance_is_a_quarter_of_the_window() {
        for length in [2, 64, 256] {
            let found = value(&baselines(length, &[]), "mean_distance").expect("a row");
            assert!((found - length as f64 / 4.0).abs() < 1e-12);
        }
    }

    #[test]
    fn what_has_no_query_has_no_row() {
        assert!(baselines(1, &[1]).is_empty());
        assert_eq!(value(&baselines(2, &[1]), "induction_score"), None);
        assert_eq!(value(&baselines(1, &[8]), "entropy_nats"), None);
    }
}
