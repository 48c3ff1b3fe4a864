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

use clap::Parser;
use cli::{Fault, Node, Place, Terminal, Threads, Verbosity};
use model::{DeviceChoice, GptConfig};
use schemas::enums::Split;
use schemas::tables::{Corpus, Vocabulary};
use schemas::{Artifacts, Partition, Provenance};

use crate::batches::Texts;
use crate::history::History;
pub use crate::parameters::Parameters;
use crate::training::Training;

/// The command line of `train`.
#[derive(Clone, Debug, Parser)]
#[command(
    version,
    args_override_self = true,
    about = "Trains one GPT on one text: logs, evaluates, tracks attention, saves checkpoints, resumes",
    after_help = "Example:\n  train --dataset shakespeare_char --run run_1 --seed 1337 --tracking true --checkpoint-steps 0,500,1000,2000"
)]
pub struct Arguments {
    /// Where the tables lie.
    #[command(flatten)]
    pub place: Place,
    /// Which training this is.
    #[command(flatten)]
    pub node: Node,
    /// How it is trained.
    #[command(flatten)]
    pub parameters: Parameters,
    /// Where to compute
    #[arg(long, value_enum, default_value_t, help_heading = "How")]
    pub device: DeviceChoice,
    /// A run with the same parameters, text and seed that has been trained: its training is copied, not computed again
    #[arg(long, value_name = "RUN", value_parser = cli::folder_name, help_heading = "How")]
    pub same_as: Option<String>,
    /// How many threads work.
    #[command(flatten)]
    pub threads: Threads,
    /// How much is said.
    #[command(flatten)]
    pub verbosity: Verbosity,
}

/// Trains, or goes on training, or finds that there is nothing left to do.
///
/// # Errors
/// A parameter fault for an impossible configuration or device, an input fault for a corpus that is missing, damaged or
/// shorter than a context.
pub fn run(arguments: &Arguments, terminal: &Terminal) -> Result<(), Fault> {
    let Arguments { place, node, parameters, device, same_as, threads, .. } = arguments;
    threads.install();
    parameters.validate()?;
    device.check().map_err(|error| Fault::parameter(error.to_string()))?;

    let artifacts = Artifacts::new(&place.artifacts);
    let dataset = Partition::dataset(&node.dataset);
    let vocabulary = artifacts.read::<Vocabulary>(&dataset)?;
    let train = artifacts.read::<Corpus>(&dataset.clone().split(Split::Train))?;
    let val = artifacts.read::<Corpus>(&dataset.split(Split::Val))?;

    let config = parameters.model(vocabulary.rows.len());
    config.validate().map_err(|error| Fault::parameter(error.to_string()))?;
    if *device == DeviceChoice::Cpu {
        fits::check(parameters, &config)?;
    }
    let provenance = Provenance::new("train", footer(parameters, &config, node.seed)?).from_inputs([
        &vocabulary.source,
        &train.source,
        &val.source,
    ]);
    let partition = Partition::dataset(&node.dataset).run(&node.run).seed(node.seed);
    let mut history = History::new(artifacts, partition, provenance, config);
    if let Some(other) = same_as {
        if *other == node.run {
            return Err(Fault::parameter(format!("--same-as {other}: this is {other} itself; name another run")));
        }
        return takeover::take_over(other, &history, parameters.max_iters, &parameters.kept(), terminal);
    }
    let texts = Texts::new(train.rows, val.rows, &config, node.seed)?;
    history.resume(terminal);
    Training { parameters, seed: node.seed, texts: &texts, device: *device, terminal }.run(history)
}

/// The footer's `config`: the training's parameters and the model's shape, so that a checkpoint describes itself.
fn footer(parameters: &Parameters, config: &GptConfig, seed: u64) -> Result<serde_json::Value, Fault> {
    let json =
        |value: Result<serde_json::Value, serde_json::Error>| value.map_err(|error| Fault::defect(error.to_string()));
    let mut all = json(serde_json::to_value(config))?;
    let more = json(serde_json::to_value(parameters))?;
    let object = |value: &serde_json::Value| value.as_object().cloned().unwrap_or_default();
    if let Some(all) = all.as_object_mut() {
        all.extend(object(&more));
        all.insert("seed".to_owned(), seed.into());
    }
    Ok(all)
}
