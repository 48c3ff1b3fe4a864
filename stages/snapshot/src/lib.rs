//! The stage `snapshot`: attention patterns of every head of a checkpoint, in the same probe windows at every step, run and
//! seed.
//!
//! Reads `corpus` (val), `vocabulary` and the `checkpoints` of the given steps; writes `attention` (one file per step), `windows`
//! and `head_outputs`.

mod probe;

use cli::Terminal;
use declarations::snapshot::Snapshot;
use declarations::{Facts, Fault, Job, TextFacts};
use model::{GptConfig, Model, Observation, Series, table_index};
use rayon::prelude::*;
use schemas::attention::Window;
use schemas::enums::{Split, WindowKind};
use schemas::tables::{Attention, Checkpoints, Corpus, HeadOutputs, Vocabulary, Windows};
use schemas::{Alphabet, Source, Writer};

use crate::probe::ProbeText;

/// Records the attention of every step.
///
/// # Errors
/// A parameter fault for a device that this build or machine lacks, and for more windows than the text has; an input fault for a
/// checkpoint that is missing or corrupt, whose vocabulary is not the dataset's, whose shape is not that of the others, or which
/// diverged.
pub fn run(job: &Job<Snapshot>, terminal: &Terminal) -> Result<(), Fault> {
    let Job { partition, parameters, inputs, outputs, .. } = job;
    model::check_device(parameters.device)?;

    let vocabulary = inputs.read::<Vocabulary>(partition)?;
    let alphabet = Alphabet::new(&vocabulary.rows);
    let corpus = inputs.open::<Corpus>(&partition.clone().split(Split::Val))?;
    let val = corpus.tokens(alphabet.len())?;
    let text_sources = [&vocabulary.source, corpus.source()];
    let provenance = job.provenance();

    let count = u64::from(parameters.val_windows) + u64::from(parameters.repeat_windows);
    let progress = terminal.progress("snapshot", parameters.steps.iter().len() as u64 * count);
    let mut windows = Vec::new();
    let mut head_outputs = Vec::new();
    let mut checkpoints: Vec<Source> = Vec::new();
    let mut series = Series::new(parameters.device, alphabet.len());
    for step in parameters.steps.iter() {
        let at = partition.clone().step(step);
        let checkpoint = inputs.read::<Checkpoints>(&at)?;
        let model = series.load(step, &checkpoint)?;
        if windows.is_empty() {
            // The block size is known from the first checkpoint on.
            let text = ProbeText { dataset: &job.dataset(), alphabet: &alphabet, val: &val };
            windows = probe::windows(&text, parameters, model.config().block_size)?;
            let text = TextFacts { alphabet: alphabet.clone(), val: val.len(), ..TextFacts::default() };
            let block_size = u32::try_from(model.config().block_size).ok();
            terminal.warn(job, &Facts { block_size, text: Some(&text) });
        }
        let sources = text_sources.into_iter().chain([&checkpoint.source]);
        let mut writer = outputs.create::<Attention>(&at, &provenance.from_inputs(sources))?;
        let norms = record(&model, &windows, &mut writer, || progress.advance(1))?;
        let norms: Vec<HeadOutputs> = norms.means(step).collect();
        if norms.iter().any(|head| !head.output_norm.is_finite()) {
            return Err(model::Error::Diverged { step }.into());
        }
        writer.finish()?;
        head_outputs.extend(norms);
        checkpoints.push(checkpoint.source);
    }
    outputs.write(partition, &provenance.from_inputs(text_sources), &windows)?;
    let sources = text_sources.into_iter().chain(&checkpoints);
    outputs.write(partition, &provenance.from_inputs(sources), &head_outputs)?;
    drop(progress);
    let steps = parameters.steps.iter().len();
    let (length, unit) = (windows.first().map_or(0, |window| window.tokens.len()), alphabet.unit());
    terminal.say(format!("recorded the attention of {steps} checkpoints in {count} windows of {length} {unit}s"));
    Ok(())
}

/// Records all windows of one checkpoint, one window per thread at a time, which bounds the memory; returns the sums of the
/// heads' output norms.
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
        let observations = model.observe_all(&tokens);
        let of_val = some.iter().zip(&observations).filter(|(window, _)| window.kind == WindowKind::Val);
        of_val.for_each(|(_, observation)| norms.add(observation));
        let encode = |(window, observation): (&Windows, Observation)| {
            encoder.window(Window {
                window: window.window,
                layers: config.n_layer,
                heads: config.n_head,
                queries: window.tokens.len(),
                weights: observation.weights.into(),
            })
        };
        for group in some.par_iter().zip(observations).map(encode).collect::<Vec<_>>() {
            writer.append(group)?;
            done();
        }
    }
    Ok(norms)
}

/// Sums of output norms per head of the model, over all queries of a window but the first.
struct NormSums {
    heads: usize,
    sums: Vec<f64>,
    queries: usize,
}

impl NormSums {
    fn new(config: &GptConfig) -> Self {
        Self { heads: config.n_head, sums: vec![0.0; config.n_layer * config.n_head], queries: 0 }
    }

    fn add(&mut self, observation: &Observation) {
        let queries = observation.output_norms.len() / self.sums.len();
        for (sum, norms) in self.sums.iter_mut().zip(observation.output_norms.chunks_exact(queries)) {
            *sum += norms[1..].iter().map(|&norm| f64::from(norm)).sum::<f64>();
        }
        self.queries += queries - 1;
    }

    fn means(self, step: u32) -> impl Iterator<Item = HeadOutputs> {
        let count = self.queries.max(1) as f64;
        self.sums.into_iter().enumerate().map(move |(at, sum)| HeadOutputs {
            step,
            layer: table_index(at / self.heads),
            head: table_index(at % self.heads),
            output_norm: sum / count,
        })
    }
}
