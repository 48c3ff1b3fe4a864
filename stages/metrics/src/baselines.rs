//! The rows of `baselines`: the measures of `head_metrics` under uniform causal attention, `A[i,j] = 1/(i+1)`.

use schemas::tables::Baselines;

use crate::heads::{REPEAT, VAL};

/// The baselines of `val` windows of `length` tokens and of `repeat` windows whose repeated blocks have these lengths, each the
/// mean of the measure's formula over the same queries as its column: `1 ≤ i < T`, or `L ≤ i < 2L` in `repeat` windows. A mean
/// over no query is left out.
pub fn baselines(length: usize, blocks: &[usize]) -> Vec<Baselines> {
    let repeated = || blocks.iter().filter(|&&block| block >= 2).flat_map(|&block| block..2 * block);
    let val = VAL.iter().map(|formula| (formula.measure, mean(1..length, formula.uniform)));
    let repeat = REPEAT.iter().map(|formula| (formula.measure, mean(repeated(), formula.uniform)));
    let rows = val.chain(repeat);
    rows.filter_map(|(measure, value)| Some(Baselines { metric: measure.name().to_owned(), value: value? })).collect()
}

/// The mean over queries `i` of a formula's value for `i + 1` keys; none without queries or without a formula.
fn mean(queries: impl Iterator<Item = usize>, formula: Option<fn(usize) -> f64>) -> Option<f64> {
    let formula = formula?;
    let (sum, count) = queries.fold((0.0, 0u64), |(sum, count), query| (sum + formula(query + 1), count + 1));
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
