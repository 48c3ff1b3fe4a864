//! The stage `evaluate`: the loss of checkpoints over the whole validation and test split.
//!
//! Reads `corpus` (val, test), `vocabulary` and the `checkpoints` of the given steps; writes `split_losses`.

mod windows;

use cli::{Progress, Terminal};
use declarations::evaluate::Evaluate;
use declarations::{Facts, Fault, Job};
use model::{Model, Series};
use rayon::prelude::*;
use schemas::Alphabet;
use schemas::enums::Split;
use schemas::tables::{Checkpoints, Corpus, SplitLosses, Vocabulary};

use crate::windows::{Window, windows};

/// Positions of the windows that are computed at once, if their logits fit into [`MOST_LOGITS`].
const AT_ONCE: usize = 4096;

/// Logits that are in memory at once: 64 MiB.
const MOST_LOGITS: usize = 1 << 24;

/// Evaluates every step and writes the losses.
///
/// # Errors
/// A parameter fault for a device that is not supported; an input fault for a table that is missing or corrupt, a checkpoint whose
/// vocabulary is not the dataset's, or a model that has diverged.
pub fn run(job: &Job<Evaluate>, terminal: &Terminal) -> Result<(), Fault> {
    let Job { partition, parameters, inputs, outputs, .. } = job;
    model::check_device(parameters.device)?;
    let vocabulary = inputs.read::<Vocabulary>(partition)?;
    let alphabet = Alphabet::new(&vocabulary.rows);
    let (mut splits, mut sources) = (Vec::new(), vec![vocabulary.source]);
    for split in [Split::Val, Split::Test] {
        let corpus = inputs.open::<Corpus>(&partition.clone().split(split))?;
        let tokens = corpus.tokens(alphabet.len())?;
        // Without a token that follows another, there is nothing to predict.
        if tokens.len() > 1 {
            splits.push((split, tokens));
        }
        sources.push(corpus.source().clone());
    }
    let positions: usize = splits.iter().map(|(_, tokens)| tokens.len() - 1).sum();
    let progress = terminal.progress("evaluate", positions as u64 * u64::from(parameters.steps.count()));
    let (mut rows, mut series) = (Vec::new(), Series::new(parameters.device, alphabet.len()));
    for step in parameters.steps.iter() {
        let checkpoint = inputs.read::<Checkpoints>(&partition.clone().step(step))?;
        let model = series.load(step, &checkpoint)?;
        let block_size = model.config().block_size;
        if rows.is_empty() {
            terminal.warn(job, &Facts { block_size: u32::try_from(block_size).ok(), text: None });
        }
        for (split, tokens) in &splits {
            let loss_nats = loss(&model, tokens, parameters.stride(block_size), &progress)
                .ok_or(model::Error::Diverged { step })?;
            let (predicted, bytes) = (tokens.len() - 1, alphabet.bytes(&tokens[1..]).len());
            let bits_per_symbol = loss_nats / std::f64::consts::LN_2;
            rows.push(SplitLosses {
                step,
                split: *split,
                window: number(block_size.min(predicted))?,
                stride: number(parameters.stride(block_size))?,
                tokens: predicted as u64,
                bytes: bytes as u64,
                loss_nats,
                bits_per_symbol,
                bits_per_byte: bits_per_symbol * predicted as f64 / bytes as f64,
            });
        }
        sources.push(checkpoint.source);
    }
    outputs.write(partition, &job.provenance().from_inputs(&sources), &rows)?;
    drop(progress);
    let unit = alphabet.unit();
    for row in &rows {
        let SplitLosses { step, split, window, stride, tokens, loss_nats, bits_per_symbol, .. } = row;
        terminal.say(format!(
            "step {step}, {split}: {loss_nats:.4} nats, {bits_per_symbol:.4} bits per {unit} over all {tokens}, in windows of {window} \
             that move on by {stride}"
        ));
    }
    Ok(())
}

/// Mean cross-entropy of every token but the first, in nats; none if a logit is NaN or infinite. Losses are summed in the order of
/// the text, so that the sum does not depend on the number of threads.
fn loss(model: &Model, tokens: &[u16], stride: usize, progress: &Progress) -> Option<f64> {
    let config = model.config();
    let windows = windows(tokens.len() - 1, config.block_size, stride);
    let most = MOST_LOGITS / (config.block_size * config.vocab_size);
    let batch = (AT_ONCE / config.block_size).min(most).max(1);
    let mut sum = 0.0;
    // A first window that is shorter is the only one.
    for windows in windows.chunks(batch) {
        let inputs: Vec<u16> = windows.iter().flat_map(|window| &tokens[window.all.clone()]).copied().collect();
        let logits = model.logits(&inputs, windows.len());
        let of_window = logits.par_chunks(logits.len() / windows.len());
        let sums: Vec<f64> = of_window
            .zip(windows)
            .map(|(logits, window)| summed(logits, window, tokens, config.vocab_size))
            .collect::<Option<_>>()?;
        sum += sums.iter().sum::<f64>();
        progress.advance(windows.iter().map(|window| window.scored.len() as u64).sum());
    }
    // Adding 0 makes −0, which a text of one symbol can have, 0.
    Some(sum / (tokens.len() - 1) as f64 + 0.0)
}

/// The sum of the cross-entropies of a window's scored positions.
///
/// # Shapes
/// `logits` is `[positions of the window, vocab]`.
fn summed(logits: &[f32], window: &Window, tokens: &[u16], symbols: usize) -> Option<f64> {
    let mut sum = 0.0;
    for position in window.scored.clone() {
        let row = &logits[(position - window.all.start) * symbols..][..symbols];
        let largest = f64::from(row.iter().copied().reduce(f32::max)?);
        let exponentials: f64 = row.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum();
        sum += largest + exponentials.ln() - f64::from(row[usize::from(tokens[position + 1])]);
    }
    sum.is_finite().then_some(sum)
}

/// A length as the table has it.
fn number(length: usize) -> Result<u32, Fault> {
    u32::try_from(length).map_err(|_| Fault::bug(format!("a block of {length} tokens is no valid configuration")))
}
