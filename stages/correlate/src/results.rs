//! The table of results.

use declarations::Fault;
use schemas::enums::Split;
use schemas::tables::Results;
use training_results::{best_evaluation, final_train_loss, inference_speed, total_secs};

use crate::inputs::{Dataset, Run, Seed};
use crate::interval::standard_error;
use crate::rank::mean;

/// A row for each dataset and run, in the order of the study.
///
/// # Errors
/// An input fault if a training logged or evaluated nothing, or if generation took no time.
pub fn results(study: &[Dataset]) -> Result<Vec<Results>, Fault> {
    study.iter().flat_map(|dataset| dataset.runs.iter().map(move |run| row(dataset, run))).collect()
}

fn row(dataset: &Dataset, run: &Run) -> Result<Results, Fault> {
    let over_seeds = |value: &dyn Fn(&Seed) -> Option<f64>, missing: &str| -> Result<(f64, Option<f64>), Fault> {
        let each = run.seeds.iter().map(|seed| {
            value(seed).ok_or_else(|| {
                let (dataset, run, seed) = (&dataset.name, &run.name, seed.seed);
                Fault::input(format!("dataset {dataset}, run {run}, seed {seed}: {missing}"))
            })
        });
        Ok(mean_and_stderr(&each.collect::<Result<Vec<f64>, _>>()?))
    };
    let (final_train_loss_mean, final_train_loss_stderr) = over_seeds(
        &|seed| final_train_loss(&seed.training_log, &seed.evaluations),
        "neither training_log nor evaluations has rows: rerun `train`",
    )?;
    let (best_val_loss_mean, best_val_loss_stderr) = over_seeds(
        &|seed| Some(best_evaluation(&seed.evaluations, dataset.eval_interval)?.val_loss),
        "evaluations has no row at a multiple of eval_interval or at the last step: rerun `train`, or correct eval_interval",
    )?;
    let times: Vec<f64> = run.seeds.iter().map(|seed| total_secs(&seed.train_timings)).collect();
    let (total_train_time_secs_mean, total_train_time_secs_stderr) = mean_and_stderr(&times);
    let (inference_tokens_per_sec_mean, inference_tokens_per_sec_stderr) = over_seeds(
        &|seed| inference_speed(&seed.generate_timings, seed.last_step()),
        "timings of `generate` has no time spent at the last step: rerun `generate`",
    )?;
    let best_evaluation = |seed: &Seed| best_evaluation(&seed.evaluations, dataset.eval_interval).map(|row| row.step);
    let best_val_loss_steps = run.seeds.iter().filter_map(best_evaluation).collect();
    let [(split_val_loss_mean, split_val_loss_stderr), (split_test_loss_mean, split_test_loss_stderr)] =
        [Split::Val, Split::Test].map(|split| split_loss(run, split));
    Ok(Results {
        dataset: dataset.name.clone(),
        run: run.name.clone(),
        label: run.label.clone(),
        training_of: training_of(run),
        seeds: u32::try_from(run.seeds.len()).expect("a study has fewer than 2³² seeds"),
        final_train_loss_mean,
        final_train_loss_stderr,
        best_val_loss_mean,
        best_val_loss_stderr,
        best_val_loss_steps,
        split_val_loss_mean,
        split_val_loss_stderr,
        split_test_loss_mean,
        split_test_loss_stderr,
        total_train_time_secs_mean,
        total_train_time_secs_stderr,
        inference_tokens_per_sec_mean,
        inference_tokens_per_sec_stderr,
    })
}

/// The runs whose trainings these are: its own, or others with the same parameters, in the order of the seeds.
fn training_of(run: &Run) -> String {
    let mut runs: Vec<&str> = Vec::new();
    for seed in &run.seeds {
        let of = seed.training_of.as_deref().unwrap_or(&run.name);
        if !runs.contains(&of) {
            runs.push(of);
        }
    }
    runs.join(", ")
}

/// The mean loss of the last checkpoint over a whole split and its standard error; none unless every seed has it.
fn split_loss(run: &Run, split: Split) -> (Option<f64>, Option<f64>) {
    let of_seed = |seed: &Seed| {
        let last = seed.last_step();
        let row = seed.split_losses.iter().find(|row| row.split == split && row.step == last);
        row.map(|row| row.loss_nats)
    };
    match run.seeds.iter().map(of_seed).collect::<Option<Vec<f64>>>() {
        Some(losses) if !losses.is_empty() => {
            let (mean, stderr) = mean_and_stderr(&losses);
            (Some(mean), stderr)
        }
        _ => (None, None),
    }
}

/// The mean over seeds and its standard error. Adding 0 makes −0, which losses of a text with one symbol can be, 0.
fn mean_and_stderr(values: &[f64]) -> (f64, Option<f64>) {
    (mean(values) + 0.0, standard_error(values))
}

#[cfg(test)]
mod tests {
    use schemas::tables::TrainingLog;

    use super::*;
    use crate::synthetic::{self, Shape};

    #[test]
    fn a_row_by_hand() {
        let mut dataset = synthetic::dataset("d", Shape { seeds: 2, ..Shape::default() });
        for (index, seed) in dataset.runs[0].seeds.iter_mut().enumerate() {
            let row = seed.training_log[0].clone();
            // 25 logged iterations: the last two count.
            let log = (0..25).map(|step| TrainingLog { step, loss: f64::from(step) + index as f64, ..row.clone() });
            seed.training_log = log.rev().collect();
            // The lowest loss is not at a multiple of 400 and does not count.
            seed.evaluations.iter_mut().for_each(|row| row.val_loss = if row.step % 400 == 0 { 2.0 } else { 1.0 });
            seed.train_timings.iter_mut().for_each(|row| row.wall_secs = 0.5);
        }
        dataset.eval_interval = 400;
        dataset.runs[1].seeds.iter_mut().for_each(|seed| seed.training_of = Some("run_2".to_owned()));
        dataset.runs[0].seeds[1].training_of = Some("run_1".to_owned());
        let rows = results(&[dataset.clone()]).expect("whole tables");
        let row = &rows[0];
        assert_eq!((rows.len(), row.seeds, row.label.as_str()), (2, 2, "Run run_0"));
        assert_eq!([&rows[0], &rows[1]].map(|row| row.training_of.as_str()), ["run_0, run_1", "run_2"]);
        assert_eq!((row.final_train_loss_mean, row.final_train_loss_stderr), (24.0, Some(0.5)));
        assert_eq!((row.best_val_loss_mean, row.best_val_loss_stderr), (2.0, Some(0.0)));
        assert_eq!(row.best_val_loss_steps, [0, 0], "the first of equal ones");
        assert_eq!((row.split_val_loss_mean, row.split_test_loss_mean), (None, None), "nothing was evaluated");
        assert_eq!(row.total_train_time_secs_mean, 1.0);
        // Each of 10 samples took half a second for 500 characters; other steps do not count.
        assert_eq!(row.inference_tokens_per_sec_mean, 1000.0);

        dataset.runs[0].seeds[0].training_log.truncate(5);
        let short = results(&[dataset.clone()]).expect("whole tables");
        assert_eq!(short[0].final_train_loss_mean, (24.0 + 24.5) / 2.0, "of five logged iterations the last one");
        dataset.runs[0].seeds[1].training_log.clear();
        let last =
            dataset.runs[0].seeds[1].evaluations.iter().max_by_key(|row| row.step).expect("evaluations").train_loss;
        let imported = results(&[dataset.clone()]).expect("whole tables");
        assert_eq!(imported[0].final_train_loss_mean, f64::midpoint(24.0, last), "without a log the last evaluation");
        dataset.runs[0].seeds[1].evaluations.clear();
        assert!(results(&[dataset]).expect_err("no log").to_string().contains("seed 1338"));
    }

    #[test]
    fn a_text_of_one_symbol_has_losses_of_zero() {
        let mut dataset = synthetic::dataset("d", Shape::default());
        for seed in &mut dataset.runs[0].seeds {
            seed.training_log.iter_mut().for_each(|row| row.loss = -0.0);
            seed.evaluations.iter_mut().for_each(|row| row.val_loss = -0.0);
        }
        let row = results(&[dataset]).expect("whole tables").remove(0);
        let losses = [row.final_train_loss_mean, row.best_val_loss_mean];
        assert!(losses.iter().all(|loss| loss.to_bits() == 0), "{losses:?}");
    }
}
