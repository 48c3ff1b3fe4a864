//! The stage `snapshot`: what every head of a checkpoint attends to, in the same probe windows at every step, run and seed.
//!
//! Reads `corpus` (val), `vocabulary` and the `checkpoints` of the steps that it is told; writes `attention` (a file per step),
//! `windows` and `head_outputs`.

mod probe;

use cli::Terminal;
use declarations::snapshot::Snapshot;
use declarations::{Fault, Job};
use model::{GptConfig, Model, Observation};
use rayon::prelude::*;
use schemas::attention::Window;
use schemas::tables::{Attention, Checkpoints, Corpus, HeadOutputs, Vocabulary, Windows};
use schemas::{Source, Writer};

/// Records every step's attention.
///
/// # Errors
/// A parameter fault for no steps or no windows, an input fault for a checkpoint that is missing or damaged, or whose
/// vocabulary is not the dataset's.
pub fn run(job: &Job<Snapshot>, terminal: &Terminal) -> Result<(), Fault> {
    let Job { partition, parameters, inputs, outputs, .. } = job;
    model::check_device(parameters.device)?;

    let vocabulary = inputs.read::<Vocabulary>(partition)?;
    let val = inputs.read::<Corpus>(&partition.clone().split("val"))?;
    let text = [&vocabulary.source, &val.source];
    let provenance = job.provenance();

    let tokens: Vec<u16> = val.rows.iter().map(|row| row.token).collect();
    let count = u64::from(parameters.val_windows) + u64::from(parameters.repeat_windows);
    let progress = terminal.progress("snapshot", parameters.steps.iter().len() as u64 * count);
    let mut windows = Vec::new();
    let mut head_outputs = Vec::new();
    let mut checkpoints: Vec<Source> = Vec::new();
    for step in parameters.steps.iter() {
        let at = partition.clone().step(step);
        let checkpoint = inputs.read::<Checkpoints>(&at)?;
        let model = Model::load(parameters.device, &checkpoint)?;
        check_vocabulary(&model, &vocabulary.rows, &checkpoint.source)?;
        if windows.is_empty() {
            // The block size is the model's, so the windows are known once the first checkpoint is.
            windows = probe::windows(&job.dataset(), parameters, model.config(), &vocabulary.rows, &tokens)?;
        }
        let sources = text.into_iter().chain([&checkpoint.source]);
        let mut writer = outputs.create::<Attention>(&at, &provenance.from_inputs(sources))?;
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
    outputs.write(partition, &provenance.from_inputs(text), &windows)?;
    let sources = text.into_iter().chain(&checkpoints);
    outputs.write(partition, &provenance.from_inputs(sources), &head_outputs)?;
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
        some.iter().zip(&seen).filter(|(window, _)| window.kind == probe::VAL).for_each(|(_, seen)| norms.add(seen));
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
