//! The results of each run in the shape of The AI Scientist's templates (Lu et al. 2024): for each dataset `means`, `stderrs`, and
//! under `final_info_dict` the number of every seed. Unlike there, a standard error is `sd(ddof=1)/√n`, and null with one seed.

use std::collections::BTreeMap;
use std::path::Path;

use declarations::Fault;
use schemas::tables::{Evaluations, Results, Timings, TrainingLog};
use schemas::{Artifacts, Key, Partition};
use serde_json::{Map, Value as Json, json};
use training_results::{best_evaluation, final_train_loss, inference_speed, total_secs};

use crate::files::partitions;

const NAMES: [&str; 4] = ["final_train_loss", "best_val_loss", "total_train_time", "avg_inference_tokens_per_second"];

pub(crate) fn export(artifacts: &Artifacts, to: &Path) -> Result<(), Fault> {
    let trainings = partitions::<Evaluations>(artifacts)?;
    let mut runs: BTreeMap<String, Map<String, Json>> = BTreeMap::new();
    for row in artifacts.read::<Results>(&Partition::study())?.rows {
        let of_run = trainings.iter().filter(|training| {
            let is = |key, name: &str| training.value(key).is_some_and(|value| value == name);
            is(Key::Dataset, &row.dataset) && is(Key::Run, &row.run)
        });
        let mut seeds: [Vec<Json>; 4] = Default::default();
        for training in of_run {
            for (seeds, number) in seeds.iter_mut().zip(numbers(artifacts, training)?) {
                seeds.push(json!(number));
            }
        }
        let named = |suffix: &str, values: [Json; 4]| -> Map<String, Json> {
            NAMES.iter().map(|name| format!("{name}{suffix}")).zip(values).collect()
        };
        let means = [
            row.final_train_loss_mean,
            row.best_val_loss_mean,
            row.total_train_time_secs_mean,
            row.inference_tokens_per_sec_mean,
        ];
        let stderrs = [
            row.final_train_loss_stderr,
            row.best_val_loss_stderr,
            row.total_train_time_secs_stderr,
            row.inference_tokens_per_sec_stderr,
        ];
        let of_dataset = json!({
            "means": named("_mean", means.map(|mean| json!(mean))),
            "stderrs": named("_stderr", stderrs.map(|stderr| json!(stderr))),
            "final_info_dict": named("", seeds.map(Json::from)),
        });
        runs.entry(row.run).or_default().insert(row.dataset, of_dataset);
    }
    for (run, datasets) in runs {
        crate::write(&to.join(run).join("final_info.json"), format!("{:#}\n", Json::from(datasets)).as_bytes())?;
    }
    Ok(())
}

/// The four numbers of one training; none where its tables do not say one.
fn numbers(artifacts: &Artifacts, training: &Partition) -> Result<[Option<f64>; 4], Fault> {
    let log = artifacts.read::<TrainingLog>(training)?.rows;
    let evaluations = artifacts.read::<Evaluations>(training)?;
    let timings = |stage: &str| artifacts.read::<Timings>(&training.clone().stage(stage)).map(|table| table.rows);
    let generated = timings("generate")?;
    let last = generated.iter().map(|row| row.step).max().unwrap_or_default();
    let interval = crate::eval_interval(&evaluations.provenance);
    Ok([
        final_train_loss(&log, &evaluations.rows),
        best_evaluation(&evaluations.rows, interval).map(|row| row.val_loss),
        Some(total_secs(&timings("train")?)),
        inference_speed(&generated, last),
    ])
}
