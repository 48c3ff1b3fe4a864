//! Permutation tests. Every p-value is two-sided: `(1 + count)/(1 + draws)` for random draws, and `count / all` where there
//! are no more arrangements than draws and all are looked at, the observed one among them.

use random::{ChaCha8Rng, RngExt, SliceRandom};

use crate::rank::{dot, mean, unit_ranks_into};

/// What a statistic may fall short of the observed one by rounding.
const TOLERANCE: f64 = 1e-12;

/// The p-values of partial Spearman correlations of one `x` with several `y`, by shifts within seed of first differences.
///
/// For each draw the first differences over steps of each seed's deviations of `x` are shifted circularly by an offset of that
/// seed's own and summed up again, the mean over seeds is taken out again (the deviations of `y` have none, and with few
/// seeds that constraint is most of the story), and the mean over seeds of the Spearman correlations is held against the
/// observed one. The shifts keep each seed's increments and nearly all of their order, so a smooth drift stays one. Not
/// calibrated yet: how often true nulls fall below 0.05 is still to be simulated.
///
/// # Shapes
/// `x`: `[seeds, steps]` deviations, in units of which a fraction is rounding; each of `y`: `[seeds, steps]` unit ranks of
/// deviations. At least 2 steps.
pub fn shift_p_values(x: &[Vec<f64>], y: &[Vec<Vec<f64>>], draws: u32, mut stream: ChaCha8Rng) -> Vec<f64> {
    let (seeds, steps) = (x.len(), x[0].len());
    let paths: Vec<Vec<Vec<f64>>> = x.iter().map(|seed| shifted(seed)).collect();
    let shifts = steps - 1;
    let all = (shifts as u64).checked_pow(seeds as u32).filter(|all| *all <= u64::from(draws));

    let mut moved = vec![vec![0.0; steps]; seeds];
    let (mut sums, mut centred, mut sorted) = (vec![0.0; steps], vec![0.0; steps], Vec::with_capacity(steps));
    let mut statistics = vec![0.0; y.len()];
    let mut measure = |offsets: &[usize], statistics: &mut [f64]| {
        sums.fill(0.0);
        for (paths, offset) in paths.iter().zip(offsets) {
            sums.iter_mut().zip(&paths[*offset]).for_each(|(sum, value)| *sum += value);
        }
        for ((paths, offset), ranks) in paths.iter().zip(offsets).zip(&mut moved) {
            for ((centred, value), sum) in centred.iter_mut().zip(&paths[*offset]).zip(&sums) {
                *centred = (value - sum / seeds as f64).round();
            }
            unit_ranks_into(&centred, &mut sorted, ranks);
        }
        for (statistic, y) in statistics.iter_mut().zip(y) {
            *statistic = moved.iter().zip(y).map(|(x, y)| dot(x, y)).sum::<f64>() / seeds as f64;
        }
    };

    let mut observed = vec![0.0; y.len()];
    measure(&vec![0; seeds], &mut observed);
    let mut counts = vec![0_u64; y.len()];
    let mut offsets = vec![0; seeds];
    for draw in 0..all.unwrap_or(u64::from(draws)) {
        match all {
            Some(_) => offsets = arrangement(draw, &vec![shifts; seeds]),
            None => offsets.iter_mut().for_each(|offset| *offset = stream.random_range(0..shifts)),
        }
        measure(&offsets, &mut statistics);
        for ((count, statistic), observed) in counts.iter_mut().zip(&statistics).zip(&observed) {
            *count += u64::from(statistic.abs() >= observed.abs() - TOLERANCE);
        }
    }
    counts.into_iter().map(|count| p_value(count, draws, all)).collect()
}

/// The p-value of a mean over seeds of Spearman correlations, by permuting the samples within each seed.
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
        // So few arrangements that each seed has at most 7 samples: its dot products, one an order.
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

fn p_value(count: u64, draws: u32, all: Option<u64>) -> f64 {
    match all {
        Some(all) => count as f64 / all as f64,
        None => (1.0 + count as f64) / (1.0 + f64::from(draws)),
    }
}

/// A series summed up from its own first differences under every circular shift of them; the first is the series itself, from
/// 0 on.
fn shifted(series: &[f64]) -> Vec<Vec<f64>> {
    let steps: Vec<f64> = series.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let path = |offset: usize| {
        let mut level = 0.0;
        let rises = (0..steps.len()).map(|step| steps[(step + offset) % steps.len()]);
        let levels = rises.map(|rise| {
            level += rise;
            level
        });
        std::iter::once(0.0).chain(levels).collect()
    };
    (0..steps.len()).map(path).collect()
}

/// The digits of a number where the places have these sizes.
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
    use random::stream;

    use super::*;
    use crate::partial::deviations;
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

    #[test]
    fn shifts_of_increments_are_the_series_first_then_others() {
        let paths = shifted(&[5.0, 6.0, 8.0, 7.0]);
        assert_eq!(paths, [[0.0, 1.0, 3.0, 2.0], [0.0, 2.0, 1.0, 2.0], [0.0, -1.0, 0.0, 2.0]]);
    }

    #[test]
    fn shifts_tell_the_same_walk_from_another() {
        let mut stream = stream("walks", &[]);
        let mut walks = || -> Vec<Vec<f64>> {
            let mut level = 0.0;
            let mut next = || {
                level += stream.random::<f64>() - 0.5;
                level
            };
            (0..3).map(|_| (0..15).map(|_| next()).collect()).collect()
        };
        let (x, other) = (deviations(&walks()), deviations(&walks()));
        let whole = |seed: &Vec<f64>| seed.iter().map(|deviation| deviation.round()).collect::<Vec<_>>();
        let ranks = |walk: &[Vec<f64>]| walk.iter().map(|seed| unit_ranks(&whole(seed))).collect::<Vec<_>>();
        let targets = [ranks(&x), ranks(&other)];
        // 14³ = 2744 shifts: all of them, and then only some.
        let exact = shift_p_values(&x, &targets, 10_000, random::stream("shifts", &[]));
        let drawn = shift_p_values(&x, &targets, 2000, random::stream("shifts", &[]));
        // Shifting all seeds alike also keeps the mean over seeds; only a few shifts come near the walk itself.
        assert!(exact[0] < 0.01 && exact[0] >= 1.0 / 2744.0, "{exact:?}");
        assert!(exact[1] > 0.02, "{exact:?}");
        assert!((exact[1] - drawn[1]).abs() < 0.05, "{exact:?} {drawn:?}");
    }
}
