//! Permutation tests. A p-value is `(1 + count)/(1 + draws)` for random draws, and the exact `count / all` where there are no more
//! permutations than draws, the identity included. Those of correlations are two-sided, as they count what is at least as large in
//! size as what was observed; that of [matched heads](crate::matching) is one-sided.

use random_streams::{ChaCha8Rng, SliceRandom};

use crate::rank::{dot, mean};

/// By how much a statistic may fall short of the observed one through rounding.
pub(crate) const TOLERANCE: f64 = 1e-12;

/// The p-value of a mean over seeds of Spearman correlations, by permutation of the samples within each seed.
///
/// # Shapes
/// For each seed the unit ranks of `x` and of `y`, equally long.
pub fn sample_p_value(seeds: &[(Vec<f64>, Vec<f64>)], draws: u32, mut stream: ChaCha8Rng) -> f64 {
    let observed = mean(&seeds.iter().map(|(x, y)| dot(x, y)).collect::<Vec<_>>()).abs() - TOLERANCE;
    let orders = seeds.iter().map(|(x, _)| (1..=x.len() as u64).try_fold(1_u64, u64::checked_mul));
    let all = orders
        .into_iter()
        .try_fold(1_u64, |all, orders| all.checked_mul(orders?))
        .filter(|all| *all <= u64::from(draws));
    let mut count = 0;
    if let Some(all) = all {
        // The dot products of all orders of a seed fit in memory. `permutations` is at most 10,000,000 and 11! is more, so a seed has
        // at most ten samples: 3.6 million products, 29 MB, in every thread. The default, 10,000, allows seven: 5,040.
        let products: Vec<Vec<f64>> = seeds.iter().map(|(x, y)| all_products(x, y)).collect();
        let sizes: Vec<usize> = products.iter().map(Vec::len).collect();
        for number in 0..all {
            let orders = arrangement(number, &sizes);
            let sum: f64 = products.iter().zip(orders).map(|(products, order)| products[order]).sum();
            count += u64::from((sum / seeds.len() as f64).abs() >= observed);
        }
        return p_value(count, draws, Some(all));
    }
    let mut shuffled: Vec<Vec<f64>> = seeds.iter().map(|(_, y)| y.clone()).collect();
    for _ in 0..draws {
        let mut sum = 0.0;
        for ((x, _), y) in seeds.iter().zip(&mut shuffled) {
            y.shuffle(&mut stream);
            sum += dot(x, y);
        }
        count += u64::from((sum / seeds.len() as f64).abs() >= observed);
    }
    p_value(count, draws, None)
}

/// The p-value if `count` permutations reach the observed statistic: exact if they are counted among `all`, else from `draws`
/// random ones.
pub(crate) fn p_value(count: u64, draws: u32, all: Option<u64>) -> f64 {
    match all {
        Some(all) => count as f64 / all as f64,
        None => (1.0 + count as f64) / (1.0 + f64::from(draws)),
    }
}

/// The digits of a number in the mixed radix of these sizes.
fn arrangement(mut number: u64, sizes: &[usize]) -> Vec<usize> {
    let digit = |size: &usize| {
        let digit = number % *size as u64;
        number /= *size as u64;
        digit as usize
    };
    sizes.iter().map(digit).collect()
}

/// The dot products of `x` with `y` in every order.
fn all_products(x: &[f64], y: &[f64]) -> Vec<f64> {
    fn extend(x: &[f64], rest: &[f64], sum: f64, products: &mut Vec<f64>) {
        let Some((first, x)) = x.split_first() else {
            products.push(sum);
            return;
        };
        for position in 0..rest.len() {
            let mut rest = rest.to_vec();
            let value = rest.swap_remove(position);
            extend(x, &rest, sum + first * value, products);
        }
    }
    let mut products = Vec::new();
    extend(x, y, 0.0, &mut products);
    products
}

#[cfg(test)]
mod tests {
    use random_streams::stream;

    use super::*;
    use crate::rank::unit_ranks;

    #[test]
    fn all_orders_of_perfect_agreement() {
        // Of the 4! orders only agreement and reversal reach |ρ| = 1.
        let ranks = unit_ranks(&[1.0, 2.0, 3.0, 4.0]);
        let p = sample_p_value(&[(ranks.clone(), ranks)], 10_000, stream("test", &[]));
        assert!((p - 2.0 / 24.0).abs() < 1e-15);
        // Two seeds: both agree or both are reversed.
        let ranks = unit_ranks(&[1.0, 2.0, 3.0]);
        let p = sample_p_value(&vec![(ranks.clone(), ranks); 2], 10_000, stream("test", &[]));
        assert!((p - 2.0 / 36.0).abs() < 1e-15);
    }

    #[test]
    fn random_orders_agree_with_what_is_known() {
        let ranks = unit_ranks(&(0..20).map(f64::from).collect::<Vec<_>>());
        assert_eq!(sample_p_value(&[(ranks.clone(), ranks.clone())], 999, stream("test", &[])), 1.0 / 1000.0);
        // Nothing is less associated than ρ = 0.
        let wave: Vec<f64> = (0..20).map(|t| [1.0, -1.0, -1.0, 1.0][t % 4]).collect();
        let flat = unit_ranks(&wave);
        assert!(dot(&ranks, &flat).abs() < 1e-12);
        assert_eq!(sample_p_value(&[(ranks, flat)], 999, stream("test", &[])), 1.0);
    }
}
