//! The stage `snapshot`: what every head of a checkpoint attends to, in the same probe windows at every step, run and seed.
//!
//! Reads `corpus` (val), `vocabulary` and the `checkpoints` of the steps that it is told; writes `attention` (a file per step),
//! `windows` and `head_outputs`.

mod probe;

use clap::{Args, Parser};
use cli::{Fault, Node, Place, Steps, Terminal, Threads, Verbosity};
use model::{DeviceChoice, GptConfig, Model, Observation};
use rayon::prelude::*;
use schemas::attention::Window;
use schemas::enums::{Split, WindowKind};
use schemas::tables::{Attention, Checkpoints, Corpus, HeadOutputs, Vocabulary, Windows};
use schemas::{Artifacts, Partition, Provenance, Source, Writer};
use serde::Serialize;

/// The command line of `snapshot`.
#[derive(Clone, Debug, Parser)]
#[command(
    version,
    args_override_self = true,
    about = "Records the attention of checkpoints in the same probe windows of text",
    after_help = "Example:\n  snapshot --dataset shakespeare_char --run run_1 --seed 1337 --steps 0,50,100-2000/100"
)]
pub struct Arguments {
    /// Where the tables lie.
    #[command(flatten)]
    pub place: Place,
    /// Which training is looked at.
    #[command(flatten)]
    pub node: Node,
    /// What is recorded.
    #[command(flatten)]
    pub parameters: Parameters,
    /// Where to compute
    #[arg(long, value_enum, default_value_t, help_heading = "How")]
    pub device: DeviceChoice,
    /// How many threads work.
    #[command(flatten)]
    pub threads: Threads,
    /// How much is said.
    #[command(flatten)]
    pub verbosity: Verbosity,
}

/// What is recorded.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Parameters {
    /// Steps whose checkpoints are looked at: `0,50,100-2000/100`
    #[arg(long, value_name = "STEPS", help_heading = "Snapshots")]
    pub steps: Steps,
    /// Windows of the validation split, evenly spaced
    #[arg(long, default_value_t = 8, help_heading = "Snapshots")]
    pub val_windows: u16,
    /// Windows of a random block twice, for induction scores
    #[arg(long, default_value_t = 4, help_heading = "Snapshots")]
    pub repeat_windows: u16,
}

/// Records every step's attention.
///
/// # Errors
/// A parameter fault for no steps or no windows, an input fault for a checkpoint that is missing or damaged, or whose
/// vocabulary is not the dataset's.
pub fn run(arguments: &Arguments, terminal: &Terminal) -> Result<(), Fault> {
    let Arguments { place, node, parameters, device, threads, .. } = arguments;
    threads.install();
    device.check().map_err(|error| Fault::parameter(error.to_string()))?;
    if parameters.val_windows == 0 {
        return Err(Fault::parameter(
            "--val-windows is 0: every metric is a mean over validation windows, give at least 1",
        ));
    }
    if parameters.steps.iter().next().is_none() {
        return Err(Fault::parameter("--steps names no step: give some, such as `0,50,100-2000/100`"));
    }

    let artifacts = Artifacts::new(&place.artifacts);
    let dataset = Partition::dataset(&node.dataset);
    let partition = dataset.clone().run(&node.run).seed(node.seed);
    let vocabulary = artifacts.read::<Vocabulary>(&dataset)?;
    let val = artifacts.read::<Corpus>(&dataset.clone().split(Split::Val))?;
    let text = [&vocabulary.source, &val.source];
    let provenance = Provenance::new("snapshot", footer(parameters)?);

    let tokens: Vec<u16> = val.rows.iter().map(|row| row.token).collect();
    let count = u64::from(parameters.val_windows) + u64::from(parameters.repeat_windows);
    let progress = terminal.progress("snapshot", parameters.steps.iter().len() as u64 * count);
    let mut windows = Vec::new();
    let mut head_outputs = Vec::new();
    let mut checkpoints: Vec<Source> = Vec::new();
    for step in parameters.steps.iter() {
        let at = partition.clone().step(step);
        let checkpoint = artifacts.read::<Checkpoints>(&at)?;
        let model = Model::load(*device, &checkpoint)?;
        check_vocabulary(&model, &vocabulary.rows, &checkpoint.source)?;
        if windows.is_empty() {
            // The block size is the model's, so the windows are known once the first checkpoint is.
            windows = probe::windows(&node.dataset, parameters, model.config(), &vocabulary.rows, &tokens)?;
        }
        let inputs = text.into_iter().chain([&checkpoint.source]);
        let mut writer = artifacts.create::<Attention>(&at, &provenance.from_inputs(inputs))?;
        let norms = record(&model, &windows, &mut writer, || progress.advance(1))?;
        let norms: Vec<HeadOutputs> = norms.means(step).collect();
        if norms.iter().any(|head| !head.output_norm.is_finite()) {
            return Err(Fault::input(format!(
                "the model of step {step} computes no finite numbers: its training diverged; rerun `train` with a lower --learning-rate"
            )));
        }
        writer.finish()?;
        head_outputs.extend(norms);
        checkpoints.push(checkpoint.source);
    }
    artifacts.write(&partition, &provenance.from_inputs(text), &windows)?;
    let inputs = text.into_iter().chain(&checkpoints);
    artifacts.write(&partition, &provenance.from_inputs(inputs), &head_outputs)?;
    drop(progress);
    let steps = parameters.steps.iter().len();
    let length = windows.first().map_or(0, |window| window.tokens.len());
    terminal.say(format!("recorded the attention of {steps} checkpoints in {count} windows of {length} characters"));
    Ok(())
}

/// Looks at a window a thread at once, and encodes a window a thread at once: no more of them are in memory.
fn record(
    model: &Model,
    windows: &[Windows],
    writer: &mut Writer<Attention>,
    done: impl Fn(),
) -> Result<NormSums, Fault> {
    let config = model.config();
    let encoder = writer.encoder();
    let mut norms = NormSums::new(config);
    for some in windows.chunks(rayon::current_num_threads()) {
        let tokens: Vec<&[u16]> = some.iter().map(|window| window.tokens.as_slice()).collect();
        let seen = model.observe_all(&tokens);
        some.iter()
            .zip(&seen)
            .filter(|(window, _)| window.kind == WindowKind::Val)
            .for_each(|(_, seen)| norms.add(seen));
        let encode = |(window, seen): (&Windows, Observation)| {
            encoder.window(Window {
                window: window.window,
                layers: config.n_layer,
                heads: config.n_head,
                queries: window.tokens.len(),
                weights: seen.weights.into(),
            })
        };
        for group in some.par_iter().zip(seen).map(encode).collect::<Vec<_>>() {
            writer.append(group)?;
            done();
        }
    }
    Ok(norms)
}

fn footer(parameters: &Parameters) -> Result<serde_json::Value, Fault> {
    serde_json::to_value(parameters).map_err(|error| Fault::defect(error.to_string()))
}

fn check_vocabulary(model: &Model, vocabulary: &[Vocabulary], checkpoint: &Source) -> Result<(), Fault> {
    let (theirs, ours) = (model.config().vocab_size, vocabulary.len());
    if theirs == ours {
        return Ok(());
    }
    let path = &checkpoint.path;
    Err(Fault::input(format!(
        "{path} is of a model of {theirs} symbols, and the dataset's vocabulary has {ours}: the text was prepared anew; rerun `train`"
    )))
}

/// Sums of output norms over the queries of windows but the first, by head of the whole model.
struct NormSums {
    heads: usize,
    sums: Vec<f64>,
    queries: usize,
}

impl NormSums {
    fn new(config: &GptConfig) -> Self {
        Self { heads: config.n_head, sums: vec![0.0; config.n_layer * config.n_head], queries: 0 }
    }

    fn add(&mut self, seen: &Observation) {
        let queries = seen.output_norms.len() / self.sums.len();
        for (sum, norms) in self.sums.iter_mut().zip(seen.output_norms.chunks_exact(queries)) {
            *sum += norms[1..].iter().map(|&norm| f64::from(norm)).sum::<f64>();
        }
        self.queries += queries - 1;
    }

    fn means(self, step: u32) -> impl Iterator<Item = HeadOutputs> {
        let count = self.queries.max(1) as f64;
        self.sums.into_iter().enumerate().map(move |(at, sum)| HeadOutputs {
            step,
            layer: (at / self.heads) as u16,
            head: (at % self.heads) as u16,
            output_norm: sum / count,
        })
    }
}
