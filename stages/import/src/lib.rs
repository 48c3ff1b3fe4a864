//! The stage `import`: checkpoints that were trained elsewhere, in place of training.
//!
//! Reads `corpus` (train, val), `vocabulary` and the files of the checkpoints; writes `checkpoints`, `evaluations`, `timings`, and
//! `training_log` and `tracking` without rows.

mod convert;
mod evaluation;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use cli::Terminal;
use declarations::import::Import;
use declarations::{Fault, Job, Stage};
use model::{GptConfig, Model, Weights};
use nanogpt_files::Checkpoint;
use schemas::enums::{Activity, Split};
use schemas::tables::{Corpus, Evaluations, Timings, Tracking, TrainingLog, Vocabulary};
use schemas::{Provenance, Source};

use crate::evaluation::{Loss, Texts};

/// Imports the checkpoint of every step.
///
/// # Errors
/// A parameter fault for a device that is not supported; an input fault for a table or a checkpoint that is missing, corrupt, of
/// another step or architecture, or whose vocabulary is smaller than the text's.
pub fn run(job: &Job<Import>, terminal: &Terminal) -> Result<(), Fault> {
    let Job { partition, parameters, inputs, outputs, .. } = job;
    model::check_device(parameters.device)?;
    let vocabulary = inputs.read::<Vocabulary>(partition)?;
    let symbols = vocabulary.rows.len();
    let [train, val] = [Split::Train, Split::Val].map(|split| inputs.open::<Corpus>(&partition.clone().split(split)));
    let (train, val) = (train?, val?);
    let files = parameters.files(job.seed());
    let mut sources = vec![vocabulary.source, train.source().clone(), val.source().clone()];
    for (_, path) in &files {
        sources.push(source(path)?);
    }
    let texts = Texts([train.tokens(symbols)?, val.tokens(symbols)?]);

    let progress = terminal.progress("import", files.len() as u64);
    let (mut first, mut evaluations, mut timings) = (None::<(GptConfig, Provenance)>, Vec::new(), Vec::new());
    for (step, path) in &files {
        let imported = Imported::read(path, *step, symbols)?;
        let config = imported.weights.config;
        let provenance = match &first {
            Some((of_first, _)) if *of_first != config => {
                return Err(Fault::input(format!(
                    "{} has the model {config:?}, and the first checkpoint {of_first:?}: a series is of one training",
                    path.display()
                )));
            }
            Some((_, provenance)) => provenance.clone(),
            None => {
                let made = Provenance::new(Import::NAME, Import::VERSION, footer(job, &config)?);
                made.from_inputs(&sources).shared_by(&job.shared_by)
            }
        };
        let started = Instant::now();
        let rows = imported.weights.to_rows();
        let [in_train, in_val] = evaluate(&imported.weights, &texts, job)?;
        let characters = in_train.characters + in_val.characters;
        timings.push(timing(Activity::Evaluation, *step, started, characters));
        let started = Instant::now();
        outputs.write(&partition.clone().step(*step), &provenance, &rows)?;
        timings.push(timing(Activity::Checkpoint, *step, started, 0));
        for line in imported.lines(path, &in_val) {
            terminal.say(line);
        }
        evaluations.push(Evaluations {
            step: *step,
            train_loss: in_train.mean,
            val_loss: in_val.mean,
            train_loss_stderr: in_train.stderr,
            val_loss_stderr: in_val.stderr,
            val_bits_per_char: in_val.mean / std::f64::consts::LN_2,
            learning_rate: imported.learning_rate,
        });
        first = Some((config, provenance));
        progress.advance(1);
    }
    let Some((_, provenance)) = first else { return Err(Fault::bug("there are no steps to import")) };
    outputs.write::<TrainingLog>(partition, &provenance, &[])?;
    outputs.write(partition, &provenance, &evaluations)?;
    outputs.write::<Tracking>(partition, &provenance, &[])?;
    outputs.write(&partition.clone().stage("train"), &provenance, &timings)?;
    Ok(())
}

/// The `config` of the footers: the model's shape, so that a checkpoint describes itself, and the parameters.
fn footer(job: &Job<Import>, config: &GptConfig) -> Result<serde_json::Value, Fault> {
    let mut footer = serde_json::to_value(config).map_err(|error| Fault::bug(error.to_string()))?;
    if let Some(footer) = footer.as_object_mut() {
        footer.extend(Import::config(&job.parameters));
        footer.insert("seed".to_owned(), job.seed().into());
    }
    Ok(footer)
}

/// A file from outside as a source: its name and the hash of its bytes.
fn source(path: &Path) -> Result<Source, Fault> {
    let missing = |error: std::io::Error| {
        Fault::input(format!("cannot read the checkpoint {}: {error}: correct import.checkpoints", path.display()))
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path).map_err(missing)?).map_err(missing)?;
    let name = path.file_name().map_or_else(PathBuf::new, PathBuf::from).to_string_lossy().into_owned();
    Ok(Source { path: name, blake3: hasher.finalize().to_hex().to_string() })
}

fn evaluate(weights: &Weights, texts: &Texts, job: &Job<Import>) -> Result<[Loss; 2], Fault> {
    let parameters = &job.parameters;
    let batches = texts.batches(weights.config.block_size, parameters)?;
    let model = Model::new(parameters.device, weights.clone())?;
    Ok(batches.map(|batches| Loss::of(&batches, |batch| model.loss(batch))))
}

fn timing(activity: Activity, step: u32, started: Instant, characters: u64) -> Timings {
    Timings { activity, step, sample: None, wall_secs: started.elapsed().as_secs_f64(), characters }
}

/// A checkpoint as it is imported.
struct Imported {
    weights: Weights,
    best_val_loss: Option<f64>,
    /// 0 where the file does not say.
    learning_rate: f64,
    notes: Vec<String>,
}

impl Imported {
    fn read(path: &Path, step: u32, symbols: usize) -> Result<Self, Fault> {
        let mut checkpoint = Checkpoint::open(path).map_err(|error| Fault::input(error.to_string()))?;
        if let Some(found) = checkpoint.step.filter(|found| *found != step) {
            return Err(Fault::input(format!(
                "{} is of step {found}, and step {step} was asked for: correct snapshot.steps, or where the path has {{step}}",
                path.display()
            )));
        }
        let (weights, cut) = convert::weights(&mut checkpoint, symbols)
            .map_err(|reason| Fault::input(format!("{} {reason}", path.display())))?;
        let Checkpoint { best_val_loss, learning_rate, mut notes, .. } = checkpoint;
        notes.extend(cut);
        Ok(Self { weights, best_val_loss, learning_rate: learning_rate.unwrap_or(0.0), notes })
    }

    /// What the user is told of it.
    fn lines(&self, path: &Path, val: &Loss) -> Vec<String> {
        let GptConfig { n_layer, n_head, n_embd, block_size, vocab_size, .. } = self.weights.config;
        let said = self.best_val_loss.map_or(String::new(), |loss| format!("; the file says {loss:.4} at its best"));
        let mut lines = vec![format!(
            "imported {}: {n_layer} layers of {n_head} heads, n_embd {n_embd}, block_size {block_size}, {vocab_size} symbols; \
             validation loss {:.4}{said}",
            path.display(),
            val.mean
        )];
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        // Evaluations of nanoGPT are of random windows: a tenth is no chance.
        if let Some(best) = self.best_val_loss.filter(|best| val.mean > 1.1 * best) {
            lines.push(format!(
                "warning: its validation loss was {best:.2} where it was trained, and is {:.2} here: is the dataset's text the one \
                 that it was trained on, with its alphabet? Of a text of your own, --text FILE makes a dataset",
                val.mean
            ));
        }
        // An untrained model is a little worse than guessing.
        let guess = (vocab_size as f64).ln();
        if vocab_size > 1 && val.mean > 1.1 * guess {
            lines.push(format!(
                "note: guessing has a loss of {guess:.2}: are the dataset's text and `vocabulary` those that it was \
                 trained on?"
            ));
        }
        lines
    }
}
