//! Rows whose metrics are known on paper.

use std::f64::consts::LN_2;

use attention_metrics::*;

fn one_hot(keys: usize, key: usize) -> Vec<f64> {
    (0..keys).map(|position| f64::from(position == key)).collect()
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
}

#[test]
fn uniform_causal_attention_has_its_closed_forms() {
    for keys in 1..=300usize {
        let (row, count) = (vec![1.0 / keys as f64; keys], keys as f64);
        near(entropy_nats(&row), count.ln());
        near(normalized_entropy(&row), if keys == 1 { 0.0 } else { 1.0 });
        near(mean_distance(&row), (count - 1.0) / 2.0);
        assert_eq!(span_90(&row), ((9 * keys).div_ceil(10) - 1) as f64, "{keys} keys");
        near(local_mass_3(&row), keys.min(3) as f64 / count);
        near(first_token_mass(&row), 1.0 / count);
        near(self_mass(&row), 1.0 / count);
        near(previous_token_mass(&row), if keys == 1 { 0.0 } else { 1.0 / count });
        near(centered_inner_product(&row, &row), 0.0);
    }
}

#[test]
fn attention_to_the_current_character_alone_is_certain_and_near() {
    for keys in [1, 2, 3, 7, 8, 9, 64] {
        let row = one_hot(keys, keys - 1);
        assert_eq!((entropy_nats(&row), mean_distance(&row), span_90(&row)), (0.0, 0.0, 0.0));
        assert_eq!((self_mass(&row), local_mass_3(&row)), (1.0, 1.0));
        assert_eq!(previous_token_mass(&row), 0.0);
        assert_eq!(first_token_mass(&row), f64::from(keys == 1));
    }
}

#[test]
fn attention_at_one_distance_is_that_distance() {
    for distance in 0..20usize {
        let row = one_hot(20, 19 - distance);
        assert_eq!((mean_distance(&row), span_90(&row)), (distance as f64, distance as f64));
        assert_eq!(local_mass_3(&row), f64::from(distance < 3));
        assert_eq!(previous_token_mass(&row), f64::from(distance == 1));
        assert_eq!(entropy_nats(&row), 0.0);
    }
}

#[test]
fn a_sink_is_far_and_first() {
    let mut row = vec![0.0; 11];
    (row[0], row[10]) = (0.75, 0.25);
    assert_eq!((first_token_mass(&row), self_mass(&row)), (0.75, 0.25));
    assert_eq!((mean_distance(&row), span_90(&row), local_mass_3(&row)), (7.5, 10.0, 0.25));
    near(entropy_nats(&row), 2.0 * LN_2 - 0.75 * 3f64.ln());
}

#[test]
fn span_90_forgives_rounding_and_no_more() {
    assert_eq!(span_90(&[0.1, 0.9 - 0.5e-9]), 0.0);
    assert_eq!(span_90(&[0.1, 0.9 - 2e-9]), 1.0);
}

#[test]
fn duplicates_are_earlier_and_equal() {
    let row = [0.1, 0.2, 0.3, 0.15, 0.25];
    near(duplicate_token_mass(&row, &[7, 3, 7, 7, 7]), 0.1 + 0.3 + 0.15);
    assert_eq!(duplicate_token_mass(&row, &[1, 2, 3, 4, 5]), 0.0);
    assert_eq!(duplicate_token_mass(&[1.0], &[5]), 0.0);
}

#[test]
fn divergence_of_equal_rows_is_none_and_of_disjoint_ones_all_there_is() {
    let (p, q) = ([0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.25, 0.75]);
    assert_eq!(js_divergence_bits(&p, &p), 0.0);
    near(js_divergence_bits(&p, &q), 1.0);
    let rows: Vec<_> = (0..8).map(|key| one_hot(8, key)).collect();
    let rows: Vec<_> = rows.iter().map(Vec::as_slice).collect();
    near(generalized_js_divergence_bits(&rows), 3.0);
    assert_eq!(generalized_js_divergence_bits(&rows[..1]), 0.0);
    assert_eq!(generalized_js_divergence_bits(&[]), 0.0);
    // H(3/4, 1/4) − (H(1, 0) + H(1/2, 1/2)) / 2 = 2 − 0.75 log₂ 3 − 0.5 bits.
    near(js_divergence_bits(&[1.0, 0.0], &[0.5, 0.5]), 1.5 - 0.75 * 3f64.log2());
}

#[test]
fn products_and_distances_are_sums_over_keys() {
    let (p, q) = ([0.5, 0.25, 0.25, 0.0], [0.0, 0.25, 0.25, 0.5]);
    assert_eq!(inner_product(&p, &q), 0.125);
    assert_eq!(centered_inner_product(&p, &q), -0.125);
    assert_eq!(squared_distance(&p, &q), 0.5);
}

#[test]
fn float32_rows_sum_to_one_again() {
    let mut row = vec![9.0; 3];
    assert_eq!(renormalize(&[0.25, 0.125, 0.125], &mut row), 0.5);
    assert_eq!(row, [0.5, 0.25, 0.25]);
    assert_eq!(renormalize(&[0.0, 0.0], &mut row), 0.0);
    assert_eq!(row, [0.0, 0.0]);
}

#[test]
fn no_row_is_too_short() {
    assert_eq!((entropy_nats(&[]), normalized_entropy(&[]), mean_distance(&[]), span_90(&[])), (0.0, 0.0, 0.0, 0.0));
    assert_eq!(
        (local_mass_3(&[]), first_token_mass(&[]), self_mass(&[]), previous_token_mass(&[])),
        (0.0, 0.0, 0.0, 0.0)
    );
    assert_eq!((duplicate_token_mass(&[], &[]), js_divergence_bits(&[], &[])), (0.0, 0.0));
}
