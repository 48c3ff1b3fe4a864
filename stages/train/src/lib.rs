//! The stage `train`: trains one GPT on one text, logs, evaluates, tracks attention and saves checkpoints. A killed training
//! resumes from its last commit and ends with the same weights and tables, bit for bit.
//!
//! Reads `corpus` (train, val) and `vocabulary`; writes `training_log`, `evaluations`, `timings`, `tracking`, `checkpoints`,
//! `optimizer`.

mod batches;
mod fits;
mod history;
mod parameters;
mod schedule;
mod training;

use cli::Terminal;
use declarations::train::{Parameters, Train};
use declarations::{Device, Facts, Fault, Job, Stage};
use model::GptConfig;
use schemas::Provenance;
use schemas::enums::Split;
use schemas::tables::{Corpus, Vocabulary};

use crate::batches::Texts;
use crate::history::History;
use crate::training::Training;

/// Trains from the last commit, or from scratch, to the last step.
///
/// # Errors
/// A parameter fault for a configuration that is invalid, does not fit the text or the memory, or diverges, and for a device or
/// precision that is not supported; an input fault for a table that is missing or corrupt.
pub fn run(job: &Job<Train>, terminal: &Terminal) -> Result<(), Fault> {
    let Job { partition, parameters, inputs, .. } = job;
    model::check_device(parameters.device)?;

    let vocabulary = inputs.read::<Vocabulary>(partition)?;
    let [train, val] = [Split::Train, Split::Val].map(|split| inputs.open::<Corpus>(&partition.clone().split(split)));
    let (train, val) = (train?, val?);

    let config = parameters::model_config(parameters, vocabulary.rows.len());
    config.validate()?;
    if parameters.device == Device::Cpu {
        fits::check(parameters, config.vocab_size)?;
    }
    let seed = job.seed();
    let sources = [&vocabulary.source, train.source(), val.source()];
    let provenance = Provenance::new(Train::NAME, Train::VERSION, footer(parameters, &config, seed)?)
        .from_inputs(sources)
        .shared_by(&job.shared_by);
    let mut history = History::new(job.outputs.clone(), partition.clone(), provenance, config);
    let texts = Texts::new(train.tokens(config.vocab_size)?, val.tokens(config.vocab_size)?, config.block_size, seed)?;
    terminal.warn(job, &Facts { block_size: Some(parameters.block_size), text: None });
    history.resume(parameters, terminal);
    Training { parameters, seed, texts: &texts, terminal }.run(history)
}

/// The `config` of the footers: the model's shape and the training's parameters, so that a checkpoint describes itself.
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
