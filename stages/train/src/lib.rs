//! The stage `train`: one GPT learns one text. It logs, evaluates, tracks attention live and saves checkpoints; killed, it
//! goes on from its last commit and ends with the same weights and tables, bit for bit, as if it had not been.
//!
//! Reads `corpus` (train, val) and `vocabulary`; writes `training_log`, `evaluations`, `timings`, `tracking`, `checkpoints`,
//! `optimizer`.

mod batches;
mod fits;
mod history;
mod parameters;
mod schedule;
mod takeover;
mod training;

use cli::Terminal;
use declarations::train::{Parameters, Train};
use declarations::{Device, Fault, Job, Stage};
use model::GptConfig;
use schemas::Provenance;
use schemas::tables::{Corpus, Vocabulary};

use crate::batches::Texts;
use crate::history::History;
use crate::training::Training;

/// Trains, or goes on training, or finds that there is nothing left to do.
///
/// # Errors
/// A parameter fault for an impossible configuration or device, an input fault for a corpus that is missing, damaged or
/// shorter than a context.
pub fn run(job: &Job<Train>, terminal: &Terminal) -> Result<(), Fault> {
    let Job { partition, parameters, inputs, .. } = job;
    model::check_device(parameters.device)?;

    let vocabulary = inputs.read::<Vocabulary>(partition)?;
    let train = inputs.read::<Corpus>(&partition.clone().split("train"))?;
    let val = inputs.read::<Corpus>(&partition.clone().split("val"))?;

    let config = parameters::model_config(parameters, vocabulary.rows.len());
    config.validate()?;
    if parameters.device == Device::Cpu {
        fits::check(parameters, config.vocab_size)?;
    }
    let seed = job.seed();
    let sources = [&vocabulary.source, &train.source, &val.source];
    let provenance = Provenance::new(Train::NAME, footer(parameters, &config, seed)?).from_inputs(sources);
    let mut history = History::new(job.outputs.clone(), partition.clone(), provenance, config);
    if let Some(other) = &parameters.same_as {
        if *other == job.run() {
            return Err(Fault::parameter(format!("--same-as {other}: this is {other} itself; name another run")));
        }
        return takeover::take_over(other, &history, parameters.max_iters, &parameters.kept(), terminal);
    }
    let texts = Texts::new(train.rows, val.rows, &config, seed)?;
    history.resume(terminal);
    Training { parameters, seed, texts: &texts, terminal }.run(history)
}

/// The footer's `config`: the training's parameters and the model's shape, so that a checkpoint describes itself.
fn footer(parameters: &Parameters, config: &GptConfig, seed: u64) -> Result<serde_json::Value, Fault> {
    let mut footer = serde_json::to_value(config).map_err(|error| Fault::bug(error.to_string()))?;
    if let Some(footer) = footer.as_object_mut() {
        footer.extend(Train::config(parameters));
        // Last but the seed, as in every file of this version.
        if let Some(steps) = footer.shift_remove("checkpoint_steps") {
            footer.insert("checkpoint_steps".to_owned(), steps);
        }
        footer.insert("seed".to_owned(), seed.into());
    }
    Ok(footer)
}
