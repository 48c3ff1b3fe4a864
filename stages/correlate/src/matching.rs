//! Which head of one training is which head of another: the table `head_matches`.
//!
//! The heads of a layer are exchangeable: head 0 of one seed does not correspond to head 0 of another, and a mean over seeds of
//! heads with equal numbers is a mean of unlike heads. So each seed's heads are matched with the first seed's before anything
//! is averaged over them.

use std::collections::BTreeMap;

use schemas::tables::{HeadMatches, HeadMetrics};
use schemas::{Measure, Table};

use random_streams::{SliceRandom, stream};

use crate::inputs::Run;
use crate::permutation::{TOLERANCE, p_value};
use crate::rank::{grid, mean};
use crate::timeline::trapezoid_weights;

/// How often the heads of a layer are dealt to the seeds at random.
const DEALS: u32 = 1000;

/// The measures that nearly repeat another one, which takes their place so that nothing counts twice: `normalized_entropy` and
/// `entropy_nats`, `span_90` and `mean_distance`, `local_mass_3` and the masses near by. Heads are matched by all others.
const REDUNDANT: [Measure<HeadMetrics>; 3] =
    [HeadMetrics::normalized_entropy, HeadMetrics::span_90, HeadMetrics::local_mass_3];

/// The measures that heads are matched by.
fn measures() -> impl Iterator<Item = &'static Measure<HeadMetrics>> {
    HeadMetrics::MEASURES.iter().filter(|measure| REDUNDANT.iter().all(|other| other.name() != measure.name()))
}

/// Matches every head of a run's trainings with a head of the first seed's training, layer by layer, by the assignment with the
/// smallest sum of squared distances ([`assignment`]).
///
/// The distance of two heads is `√(Σ_m Σ_s w_s·((x_ms − y_ms) / σ_m)² / (M·Σ_s w_s))` over the `M` metrics that vary and the
/// snapshots `s`, `w_s` being their [`trapezoid_weights`], and `σ_m` the standard deviation between the heads of a layer at one
/// snapshot, over all seeds, pooled over snapshots and layers. Heads with the same development have the distance 0; heads that
/// share only their layer's drift have about √2.
///
/// The best assignment always has a smaller distance than a random one, even where heads have no counterparts: a mean over matched
/// heads is meaningful only if `distance` is below what matching gives by chance (the mean over random matchings). With one seed nothing is matched.
pub fn head_matches(run: &Run) -> Vec<HeadMatches> {
    let Some(first) = run.seeds.first() else { return Vec::new() };
    let trajectories = Trajectories::of(run);
    let mut rows = Vec::new();
    for layer in 0..run.layers() {
        let slots = trajectories.heads(0, layer);
        let chance = Chance::of(&trajectories, layer, run.seeds.len());
        for (position, seed) in run.seeds.iter().enumerate() {
            let heads = trajectories.heads(position, layer);
            let squares: Vec<Vec<f64>> =
                heads.iter().map(|head| slots.iter().map(|slot| trajectories.square(head, slot)).collect()).collect();
            let own: Vec<usize> = (0..heads.len()).collect();
            let itself = seed.seed == first.seed;
            let matched = if itself { own } else { assignment(&squares) };
            rows.extend((0..).zip(&squares).zip(matched).map(|((head, squares), slot)| {
                let roots: Vec<f64> = squares.iter().map(|square| square.sqrt()).collect();
                HeadMatches {
                    seed: seed.seed,
                    layer,
                    head,
                    slot: u16::try_from(slot).expect("heads are numbered in u16"),
                    distance: (!itself).then(|| roots[slot]),
                    random_distance: (!itself).then(|| mean(&roots)),
                    chance_distance: chance.filter(|_| !itself).map(|chance| chance.distance),
                    p_value: chance.filter(|_| !itself).map(|chance| chance.p_value),
                }
            }));
        }
    }
    rows
}

/// What matching gives by chance in a layer, by a permutation test. Null hypothesis: the heads of all seeds are draws from one
/// population, so that which seed a head belongs to says nothing. Under it the heads can be dealt to the seeds at random. If
/// instead every seed has the same kinds of heads, matched heads are closer than under most deals.
#[derive(Clone, Copy, Debug)]
struct Chance {
    /// The mean distance of matched heads over [`DEALS`] random deals.
    distance: f64,
    /// The one-sided p-value of the actual mean distance.
    p_value: f64,
}

impl Chance {
    /// None with one seed, or if seeds differ in their number of heads.
    fn of(trajectories: &Trajectories, layer: u16, seeds: usize) -> Option<Self> {
        let heads = trajectories.heads(0, layer).len();
        let all: Vec<&Vec<f64>> = (0..seeds).flat_map(|seed| trajectories.heads(seed, layer)).collect();
        if seeds < 2 || heads == 0 || all.len() != seeds * heads {
            return None;
        }
        let squares: Vec<Vec<f64>> =
            all.iter().map(|one| all.iter().map(|other| trajectories.square(one, other)).collect()).collect();
        // The mean distance of the heads of all seeds but the first, each the next `heads` of an order.
        let matched = |order: &[usize]| {
            let (first, others) = order.split_at(heads);
            let distances = others.chunks_exact(heads).flat_map(|of_seed| {
                let costs: Vec<Vec<f64>> =
                    of_seed.iter().map(|head| first.iter().map(|slot| squares[*head][*slot]).collect()).collect();
                let slots = assignment(&costs);
                costs.into_iter().zip(slots).map(|(costs, slot)| costs[slot].sqrt())
            });
            mean(&distances.collect::<Vec<_>>())
        };
        let mut order: Vec<usize> = (0..all.len()).collect();
        let (actual, mut count, mut sum) = (matched(&order) + TOLERANCE, 0, 0.0);
        let mut stream = stream("correlate head matches", &[&u64::from(layer)]);
        for _ in 0..DEALS {
            order.shuffle(&mut stream);
            let distance = matched(&order);
            (count, sum) = (count + u64::from(distance <= actual), sum + distance);
        }
        Some(Self { distance: sum / f64::from(DEALS), p_value: p_value(count, DEALS, None) })
    }
}

/// A metric's values: by layer and step, and there by the position of the seed and the head.
type Cells = BTreeMap<(u16, u32), BTreeMap<(usize, u16), f64>>;

/// How every head of every training develops: a value for each metric and snapshot, over the metric's standard deviation and
/// times the root of the snapshot's weight, so that the squared distance of two heads is a plain sum of squares.
struct Trajectories {
    /// By the position of the seed and the layer, a list for each head.
    heads: BTreeMap<(usize, u16), Vec<Vec<f64>>>,
    /// What the sum of squares is divided by.
    weight: f64,
}

impl Trajectories {
    fn of(run: &Run) -> Self {
        let steps = run.seeds.first().map_or(&[][..], |seed| &seed.steps);
        let weights = trapezoid_weights(steps);
        let mut heads: BTreeMap<(usize, u16), Vec<Vec<f64>>> = BTreeMap::new();
        for (position, seed) in run.seeds.iter().enumerate() {
            for row in &seed.head_metrics {
                let heads = heads.entry((position, row.layer)).or_default();
                let length = heads.len().max(usize::from(row.head) + 1);
                heads.resize(length, Vec::new());
            }
        }
        let mut used = 0.0;
        for measure in measures() {
            let mut cells = Cells::new();
            for (position, seed) in run.seeds.iter().enumerate() {
                for row in &seed.head_metrics {
                    if let Some(value) = (measure.get)(row) {
                        cells.entry((row.layer, row.step)).or_default().insert((position, row.head), value);
                    }
                }
            }
            let Some(deviation) = deviation(&cells, steps, &weights) else { continue };
            used += 1.0;
            for (&(position, layer), heads) in &mut heads {
                for (head, trajectory) in (0_u16..).zip(heads) {
                    trajectory.extend(steps.iter().zip(&weights).map(|(step, weight)| {
                        let value = cells.get(&(layer, *step)).and_then(|cell| cell.get(&(position, head)));
                        weight.sqrt() * value.copied().unwrap_or(0.0) / deviation
                    }));
                }
            }
        }
        Self { heads, weight: used * weights.iter().sum::<f64>() }
    }

    fn heads(&self, position: usize, layer: u16) -> &[Vec<f64>] {
        self.heads.get(&(position, layer)).map_or(&[], Vec::as_slice)
    }

    /// The squared distance of two heads; 0 if no metric varies.
    fn square(&self, one: &[f64], other: &[f64]) -> f64 {
        let squares: f64 = one.iter().zip(other).map(|(one, other)| (one - other).powi(2)).sum();
        if self.weight > 0.0 { squares / self.weight } else { 0.0 }
    }
}

/// A metric's standard deviation between the heads of a layer at one step, over all seeds: of the variances, with one degree
/// of freedom less than there are heads, the mean over layers and, weighted, over steps. None if they differ by rounding
/// alone, if a head has no value, or if there is one head in all.
fn deviation(cells: &Cells, steps: &[u32], weights: &[f64]) -> Option<f64> {
    let heads = cells.values().map(BTreeMap::len).max()?;
    if heads < 2 || cells.values().any(|cell| cell.len() != heads) {
        return None;
    }
    let (mut sum, mut weight) = (0.0, 0.0);
    for ((_, step), cell) in cells {
        let values: Vec<f64> = cell.values().copied().collect();
        let mean = mean(&values);
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (heads - 1) as f64;
        let own = steps.binary_search(step).map_or(0.0, |place| weights[place]);
        (sum, weight) = (sum + own * variance, weight + own);
    }
    let deviation = (sum / weight).sqrt();
    let unit = grid(cells.values().flat_map(BTreeMap::values));
    (deviation.is_finite() && deviation > unit).then_some(deviation)
}

/// Minimum-cost assignment: the column assigned to each row of a square cost matrix, every column once, by the Hungarian method
/// with potentials (Kuhn 1955; Munkres 1957), `O(n³)`. Ties are resolved by position.
///
/// # Panics
/// If the matrix is not square.
pub fn assignment(costs: &[Vec<f64>]) -> Vec<usize> {
    let n = costs.len();
    assert!(costs.iter().all(|row| row.len() == n), "as many rows as columns");
    // Rows and columns count from 1 here; 0 stands for none. `row_of` is the row that a column is assigned to.
    let (mut row_potential, mut column_potential) = (vec![0.0; n + 1], vec![0.0; n + 1]);
    let mut row_of = vec![0; n + 1];
    for row in 1..=n {
        // The shortest path of exchanges from this row to a free column, by reduced costs.
        row_of[0] = row;
        let (mut nearest, mut came_from) = (vec![f64::INFINITY; n + 1], vec![0; n + 1]);
        let mut reached = vec![false; n + 1];
        let mut column = 0;
        while row_of[column] != 0 {
            reached[column] = true;
            let row = row_of[column];
            let (mut next, mut least) = (0, f64::INFINITY);
            for candidate in (1..=n).filter(|candidate| !reached[*candidate]) {
                let reduced = costs[row - 1][candidate - 1] - row_potential[row] - column_potential[candidate];
                if reduced < nearest[candidate] {
                    (nearest[candidate], came_from[candidate]) = (reduced, column);
                }
                if nearest[candidate] < least {
                    (least, next) = (nearest[candidate], candidate);
                }
            }
            for other in 0..=n {
                if reached[other] {
                    row_potential[row_of[other]] += least;
                    column_potential[other] -= least;
                } else {
                    nearest[other] -= least;
                }
            }
            column = next;
        }
        // Along that path every row moves on to the next column.
        while column != 0 {
            let before = came_from[column];
            row_of[column] = row_of[before];
            column = before;
        }
    }
    let mut columns = vec![0; n];
    (1..=n).for_each(|column| columns[row_of[column] - 1] = column - 1);
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Shape};
    use proptest::prelude::*;

    /// The least cost over all assignments, by trying each.
    fn least(costs: &[Vec<f64>], row: usize, taken: &mut Vec<usize>) -> f64 {
        if row == costs.len() {
            return 0.0;
        }
        let mut best = f64::INFINITY;
        for column in 0..costs.len() {
            if !taken.contains(&column) {
                taken.push(column);
                best = best.min(costs[row][column] + least(costs, row + 1, taken));
                taken.pop();
            }
        }
        best
    }

    proptest! {
        #[test]
        fn no_assignment_is_cheaper(costs in (1..6_usize).prop_flat_map(|n| prop::collection::vec(prop::collection::vec(0.0..9.0, n), n))) {
            let columns = assignment(&costs);
            let mut sorted = columns.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..costs.len()).collect::<Vec<_>>());
            let cost: f64 = columns.iter().enumerate().map(|(row, column)| costs[row][*column]).sum();
            prop_assert!((cost - least(&costs, 0, &mut Vec::new())).abs() < 1e-9);
        }
    }

    #[test]
    fn an_assignment_by_hand() {
        // Each row's cheapest column is 0; the least sum gives it to the row that would lose most without it.
        assert_eq!(assignment(&[vec![1.0, 2.0, 9.0], vec![1.0, 9.0, 9.0], vec![1.0, 3.0, 3.0]]), [1, 0, 2]);
        assert_eq!(assignment(&[vec![5.0]]), [0]);
        assert!(assignment(&[]).is_empty());
        assert_eq!(assignment(&[vec![0.0; 3], vec![0.0; 3], vec![0.0; 3]]), [0, 1, 2]);
    }

    /// Three trainings with the same heads in another order each, and a little noise of their own.
    fn shuffled() -> (Run, [[u16; 4]; 3]) {
        let orders = [[0, 1, 2, 3], [2, 0, 3, 1], [3, 2, 1, 0]];
        let mut run = synthetic::dataset("d", Shape { heads: 4, ..Shape::default() }).runs.remove(1);
        for (seed, order) in run.seeds.iter_mut().zip(orders) {
            for row in &mut seed.head_metrics {
                let kind = f64::from(order[usize::from(row.head)]);
                let grown = f64::from(row.step) / 1200.0;
                row.entropy_nats = 3.0 - kind * grown + 0.01 * (row.entropy_nats - 2.0);
                row.mean_distance = 10.0 + kind.powi(2) * grown + 0.01 * (row.mean_distance - 10.0);
                for measure in measures().filter(|measure| !["entropy_nats", "mean_distance"].contains(&measure.name()))
                {
                    (measure.set)(row, 0.1);
                }
                row.induction_score = None;
            }
        }
        (run, orders)
    }

    #[test]
    fn heads_are_matched_in_whatever_order_they_come() {
        let (run, orders) = shuffled();
        let rows = head_matches(&run);
        assert_eq!(rows.len(), 3 * 4 * 4);
        for row in &rows {
            let seed = run.seeds.iter().position(|seed| seed.seed == row.seed).expect("a seed");
            assert_eq!(row.slot, orders[seed][usize::from(row.head)], "{row:?}");
            match seed {
                0 => assert_eq!((row.distance, row.random_distance, row.p_value), (None, None, None)),
                _ => {
                    let distance = row.distance.expect("matched");
                    assert!(distance < 0.1 * row.random_distance.expect("a mean"), "{row:?}");
                    assert!(distance < 0.5 * row.chance_distance.expect("a mean"), "{row:?}");
                    // Of the deals of 12 heads, 3.7 % give each seed one of each kind too.
                    assert!(row.p_value.expect("a test") < 0.06, "{row:?}");
                }
            }
        }
    }

    #[test]
    fn unrelated_heads_are_a_root_of_two_apart() {
        // Neutral random tables: every value is drawn on its own.
        let run = synthetic::dataset("d", Shape { heads: 6, ..Shape::default() }).runs.remove(1);
        let rows = head_matches(&run);
        let random: Vec<f64> = rows.iter().filter_map(|row| row.random_distance).collect();
        assert!((mean(&random) - 2f64.sqrt()).abs() < 0.02, "{}", mean(&random));
        let matched: Vec<f64> = rows.iter().filter_map(|row| row.distance).collect();
        assert!(mean(&matched) < mean(&random) && mean(&matched) > 0.8 * mean(&random), "{}", mean(&matched));
        // They are as near as chance has it.
        let chance: Vec<f64> = rows.iter().filter_map(|row| row.chance_distance).collect();
        assert!((mean(&matched) - mean(&chance)).abs() < 0.05, "{} {}", mean(&matched), mean(&chance));
        assert!(rows.iter().filter_map(|row| row.p_value).all(|p_value| p_value > 0.001));
    }

    #[test]
    fn nothing_to_match_is_no_failure() {
        let shape = Shape { seeds: 1, layers: 1, heads: 1, ..Shape::default() };
        let rows = head_matches(&synthetic::dataset("d", shape).runs[1]);
        assert_eq!((rows.len(), rows[0].slot, rows[0].distance), (1, 0, None));
        // Heads that do not differ: any match is as good, and no distance is NaN.
        let (mut run, _) = shuffled();
        run.seeds.iter_mut().flat_map(|seed| &mut seed.head_metrics).for_each(|row| {
            (row.entropy_nats, row.mean_distance) = (3.0, 10.0);
        });
        let rows = head_matches(&run);
        assert!(rows.iter().all(|row| row.distance.is_none_or(|distance| distance == 0.0) && row.slot == row.head));
    }
}
