//! What holds for every row.

use attention_metrics::*;
use proptest::prelude::*;

/// A row of attention: mostly ordinary weights, some tiny, some 0.
fn row(keys: usize) -> impl Strategy<Value = Vec<f64>> {
    let weight = prop_oneof![4 => 0f32..1.0, 1 => Just(0f32), 1 => Just(1e-30f32), 1 => Just(1e-45f32)];
    proptest::collection::vec(weight, keys).prop_map(|mut weights| {
        weights[0] += 1e-3;
        let mut row = Vec::new();
        renormalize(&weights, &mut row);
        row
    })
}

fn rows(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Vec<f64>>> {
    (1usize..70).prop_flat_map(move |keys| proptest::collection::vec(row(keys), count.clone()))
}

fn slices(rows: &[Vec<f64>]) -> Vec<&[f64]> {
    rows.iter().map(Vec::as_slice).collect()
}

proptest! {
    #[test]
    fn every_metric_keeps_its_range(rows in rows(1..2)) {
        let row = &rows[0];
        let farthest = (row.len() - 1) as f64;
        prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-13);
        prop_assert!((0.0..=(row.len() as f64).ln()).contains(&entropy_nats(row)));
        prop_assert!((0.0..=1.0).contains(&normalized_entropy(row)));
        prop_assert!((0.0..=farthest).contains(&mean_distance(row)));
        prop_assert!((0.0..=farthest).contains(&span_90(row)));
        for mass in [local_mass_3(row), first_token_mass(row), self_mass(row), previous_token_mass(row)] {
            prop_assert!((0.0..=1.0).contains(&mass));
        }
        let ones = vec![1u16; row.len()];
        prop_assert!((duplicate_token_mass(row, &ones) + self_mass(row) - 1.0).abs() < 1e-13);
    }

    #[test]
    fn they_are_the_sums_that_their_formulas_say(rows in rows(1..2)) {
        let row = &rows[0];
        let entropy: f64 = row.iter().filter(|weight| **weight > 0.0).map(|weight| -weight * weight.ln()).sum();
        let distance: f64 = row.iter().rev().enumerate().map(|(distance, weight)| distance as f64 * weight).sum();
        prop_assert!((entropy_nats(row) - entropy).abs() < 1e-12);
        prop_assert!((mean_distance(row) - distance).abs() < 1e-12);
    }

    #[test]
    fn the_span_is_that_of_a_sum_key_by_key(rows in rows(1..2)) {
        let mut mass = 0.0;
        let within = rows[0].iter().rev().position(|weight| {
            mass += weight;
            mass >= 0.9 - 1e-9
        });
        prop_assert_eq!(Some(span_90(&rows[0])), within.map(|keys| keys as f64));
    }

    #[test]
    fn divergence_is_symmetric_and_bounded(rows in rows(2..3)) {
        let (p, q) = (&rows[0], &rows[1]);
        let divergence = js_divergence_bits(p, q);
        prop_assert_eq!(divergence, js_divergence_bits(q, p));
        prop_assert!((0.0..=1.0).contains(&divergence));
        prop_assert!((divergence - generalized_js_divergence_bits(&[p, q])).abs() < 1e-13);
        prop_assert_eq!(js_divergence_bits(p, p), 0.0);
    }

    #[test]
    fn the_order_of_heads_does_not_matter(rows in rows(2..7)) {
        let mut heads = slices(&rows);
        let divergence = generalized_js_divergence_bits(&heads);
        prop_assert!((0.0..=(heads.len() as f64).log2()).contains(&divergence));
        heads.reverse();
        prop_assert!((divergence - generalized_js_divergence_bits(&heads)).abs() < 1e-12);
        let turned = heads.len() / 2;
        heads.rotate_left(turned);
        prop_assert!((divergence - generalized_js_divergence_bits(&heads)).abs() < 1e-12);
    }
}
