//! The `training` scope of `correlations`: an observation is a snapshot of one training.

use random_streams::{ChaCha8Rng, stream};
use rayon::prelude::*;
use schemas::enums::Scope;
use schemas::tables::Correlations;

use crate::association::{Paired, associate};
use crate::inputs::Run;
use crate::partial::Partial;
use crate::series::{Metric, Series, attention_metrics, outcomes};

/// Every measure of attention over all layers and layer by layer, correlated with the validation loss and the mean scores.
///
/// The raw correlations are confounded by step: everything drifts while a model learns. The partial Spearman correlation is
/// taken, seed by seed, after subtracting at each step the mean over seeds; its p-value is [`Partial::p_value`]'s. One stream
/// of random numbers serves one row, so threads change nothing.
pub fn training_rows(dataset: &str, run: &Run, draws: u32) -> Vec<Correlations> {
    let outcomes = outcomes(run);
    let rows = |x: &Metric| -> Vec<Correlations> {
        let row = |y: &Metric| {
            let mut row = raw_row(run, x, y);
            let layer = x.layer.map_or(u64::MAX, u64::from);
            let stream = stream("correlate pairings", &[&dataset, &run.name.as_str(), &x.name, &layer, &y.name]);
            add_partial(run, x, y, draws, stream, &mut row);
            row
        };
        outcomes.iter().map(row).collect()
    };
    let metrics = attention_metrics(run);
    metrics.par_iter().map(rows).collect::<Vec<_>>().concat()
}

fn raw_row(run: &Run, x: &Metric, y: &Metric) -> Correlations {
    let pairs = run.seeds.iter().zip(x.by_seed.iter().zip(&y.by_seed));
    let association = associate(&pairs.map(|(seed, (x, y))| Paired::new(seed.seed, x, y)).collect::<Vec<_>>());
    association.row(Scope::Training, x.name, x.layer, y.name)
}

/// Fills in the partial correlation of one metric with one outcome, over the steps that every seed has.
fn add_partial(run: &Run, x: &Metric, y: &Metric, draws: u32, stream: ChaCha8Rng, row: &mut Correlations) {
    if run.seeds.len() < 2 {
        return because(row, "no partial correlation: it needs two seeds");
    }
    let steps = common_steps(x.by_seed.iter().chain(&y.by_seed));
    match Partial::of(&at(&x.by_seed, &steps), &at(&y.by_seed, &steps)) {
        Ok(partial) => {
            row.partial_spearman = Some(partial.value());
            row.p_value = Some(partial.p_value(draws, stream));
        }
        Err(reason) => {
            because(row, &format!("no partial correlation: of the deviations from the mean over seeds, {reason}"));
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
    use std::collections::BTreeMap;

    use super::*;
    use crate::synthetic::{self, Shape};
    use schemas::Table;
    use schemas::tables::SampleScores;

    fn row<'rows>(rows: &'rows [Correlations], x: &str, layer: Option<u16>, y: &str) -> &'rows Correlations {
        rows.iter().find(|row| row.x == x && row.layer == layer && row.y == y).expect("such a row")
    }

    #[test]
    fn every_metric_meets_every_outcome() {
        let dataset = synthetic::dataset("d", Shape::default());
        let rows = training_rows("d", &dataset.runs[1], 200);
        // Over all layers and in each of 4, with the loss and every score.
        assert_eq!(rows.len(), synthetic::attention_measures() * 5 * (1 + SampleScores::MEASURES.len()));
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
        assert_eq!(same.p_value, Some(1.0 / 6.0), "of six pairings of three seeds only their own reaches it");
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
