//! The `training` scope of `correlations`: an observation is a snapshot of one training.

use std::collections::BTreeMap;

use random::stream;
use rayon::prelude::*;
use schemas::tables::Correlations;

use crate::association::{Paired, associate, said};
use crate::inputs::Run;
use crate::partial::{deviations, partial_spearman, whole_deviations};
use crate::permutation::shift_p_values;
use crate::rank::{mean, unit_ranks};
use crate::series::{Measure, Series, attention_measures, outcomes};

/// Every metric of attention over all layers and layer by layer, held against the validation loss and the mean scores.
///
/// The raw correlations are confounded by step: everything drifts while a model learns. The partial Spearman correlation is
/// taken, seed by seed, after subtracting at each step the mean over seeds, over the steps that every seed has; its
/// p-value is [`shift_p_values`]'s. One stream of random numbers serves one metric, so threads change nothing.
pub fn training_rows(dataset: &str, run: &Run, draws: u32) -> Vec<Correlations> {
    let outcomes = outcomes(run);
    let rows = |x: &Measure| -> Vec<Correlations> {
        let mut rows: Vec<Correlations> = outcomes.iter().map(|y| raw_row(run, x, y)).collect();
        add_partial(dataset, run, x, &outcomes, draws, &mut rows);
        rows
    };
    let measures = attention_measures(run);
    measures.par_iter().map(rows).collect::<Vec<_>>().concat()
}

fn raw_row(run: &Run, x: &Measure, y: &Measure) -> Correlations {
    let pairs = run.seeds.iter().zip(x.by_seed.iter().zip(&y.by_seed));
    let association = associate(&pairs.map(|(seed, (x, y))| Paired::new(seed.seed, x, y)).collect::<Vec<_>>());
    Correlations {
        scope: "training".to_owned(),
        x: x.name.to_owned(),
        layer: x.layer,
        y: y.name.to_owned(),
        n: association.n as u32,
        seeds: association.used.len() as u32,
        pearson: association.pearson,
        spearman: association.spearman.map(|estimate| estimate.mean),
        spearman_low: association.spearman.and_then(|estimate| estimate.low()),
        spearman_high: association.spearman.and_then(|estimate| estimate.high()),
        partial_spearman: None,
        p_value: None,
        q_value: None,
        reason: said(&association.reasons),
    }
}

/// Fills in the partial correlations of one metric. What is held against it over the same steps shares the shifts.
fn add_partial(dataset: &str, run: &Run, x: &Measure, outcomes: &[Measure], draws: u32, rows: &mut [Correlations]) {
    let mut by_steps: BTreeMap<Vec<u32>, Vec<usize>> = BTreeMap::new();
    for (position, y) in outcomes.iter().enumerate() {
        by_steps.entry(common_steps(x.by_seed.iter().chain(&y.by_seed))).or_default().push(position);
    }
    for (steps, positions) in by_steps {
        let values_x = at(&x.by_seed, &steps);
        let mut tested = Vec::new();
        for position in positions {
            let values_y = at(&outcomes[position].by_seed, &steps);
            let row = &mut rows[position];
            if run.seeds.len() < 2 {
                because(row, "no partial correlation: it needs two seeds");
                continue;
            }
            match partial_spearman(&values_x, &values_y) {
                Ok(seeds) => {
                    row.partial_spearman = Some(mean(&seeds));
                    let ranks: Vec<_> = whole_deviations(&values_y).iter().map(|seed| unit_ranks(seed)).collect();
                    tested.push((position, ranks));
                }
                Err(reason) => because(
                    row,
                    &format!("no partial correlation: of the deviations from the mean over seeds, {reason}"),
                ),
            }
        }
        if tested.is_empty() {
            continue;
        }
        let (positions, ranks): (Vec<usize>, Vec<_>) = tested.into_iter().unzip();
        let layer = x.layer.map_or(u64::MAX, u64::from);
        let stream =
            stream("correlate shifts", &[&dataset, &run.name.as_str(), &x.name, &layer, &(steps.len() as u64)]);
        let p_values = shift_p_values(&deviations(&values_x), &ranks, draws, stream);
        for (position, p_value) in positions.into_iter().zip(p_values) {
            rows[position].p_value = Some(p_value);
        }
    }
}

/// The steps that all series have.
pub fn common_steps<'series>(series: impl Iterator<Item = &'series Series>) -> Vec<u32> {
    let all: Vec<&Series> = series.collect();
    let Some((first, rest)) = all.split_first() else { return Vec::new() };
    first.keys().copied().filter(|step| rest.iter().all(|series| series.contains_key(step))).collect()
}

/// The series' values at steps that all of them have.
pub fn at(series: &[Series], steps: &[u32]) -> Vec<Vec<f64>> {
    series.iter().map(|series| steps.iter().map(|step| series[step]).collect()).collect()
}

fn because(row: &mut Correlations, reason: &str) {
    row.reason = Some(row.reason.take().map_or(reason.to_owned(), |others| format!("{others}; {reason}")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Shape};

    fn row<'rows>(rows: &'rows [Correlations], x: &str, layer: Option<u16>, y: &str) -> &'rows Correlations {
        rows.iter().find(|row| row.x == x && row.layer == layer && row.y == y).expect("such a row")
    }

    #[test]
    fn every_metric_meets_every_outcome() {
        let dataset = synthetic::dataset("d", Shape::default());
        let rows = training_rows("d", &dataset.runs[1], 200);
        // 17 metrics over all layers and in each of 4, against the loss and 13 scores.
        assert_eq!(rows.len(), 17 * 5 * 14);
        assert!(rows.iter().all(|row| row.reason.is_some() || row.p_value.is_some()));
        assert!(rows.iter().all(|row| row.p_value.is_some() == row.partial_spearman.is_some()));
    }

    #[test]
    fn a_metric_that_is_the_loss_is_found_and_a_constant_explained() {
        let mut dataset = synthetic::dataset("d", Shape::default());
        for seed in &mut dataset.runs[1].seeds {
            let loss: BTreeMap<u32, f64> = crate::series::val_loss(seed);
            seed.head_metrics.iter_mut().for_each(|row| {
                row.entropy_nats = 2.0 * loss[&row.step];
                row.span_90 = 4.0;
                row.induction_score = None;
            });
        }
        let rows = training_rows("d", &dataset.runs[1], 2000);
        let same = row(&rows, "entropy_nats", Some(2), "val_loss");
        assert!((same.spearman.expect("varies") - 1.0).abs() < 1e-12);
        assert!((same.partial_spearman.expect("varies") - 1.0).abs() < 1e-12);
        assert!(same.p_value.expect("tested") < 0.02, "{same:?}");
        assert_eq!((same.n, same.seeds, same.reason.as_deref()), (3 * 13, 3, None));
        let flat = row(&rows, "span_90", None, "val_loss");
        assert_eq!((flat.pearson, flat.spearman, flat.p_value), (None, None, None));
        assert!(flat.reason.as_ref().expect("a reason").contains("constant"));
        let absent = row(&rows, "induction_score", None, "val_loss");
        assert!(absent.reason.as_ref().expect("a reason").contains("fewer than 3"));
    }

    #[test]
    fn one_seed_has_values_but_no_interval() {
        let dataset = synthetic::dataset("d", Shape { seeds: 1, ..Shape::default() });
        let rows = training_rows("d", &dataset.runs[1], 100);
        let row = row(&rows, "entropy_nats", None, "val_loss");
        assert!(row.spearman.is_some() && row.spearman_low.is_none() && row.partial_spearman.is_none());
        assert_eq!(row.reason.as_deref(), Some("one seed: no interval; no partial correlation: it needs two seeds"));
    }
}
