//! prep: a text becomes tokens in splits (`corpus`), the alphabet that they number (`vocabulary`) and the latent semantic
//! space in which generated texts are scored (`semantic_space`).

pub mod control;
pub mod dataset;
pub mod digest;
pub mod download;
pub mod reading;
pub mod semantic_space;
pub mod sparse;
pub mod truncated_svd;
pub mod vocabulary;

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use cli::Terminal;
use declarations::prep::{Parameters, Prep};
use declarations::{Encoding, Fault, Job, Stage};
use rayon::prelude::*;
use schemas::tables::{Corpus, SemanticSpace};
use schemas::{Provenance, Source, Writer};
use serde::Serialize;

use crate::dataset::Origin;
use crate::reading::{Splits, Text};
use crate::vocabulary::{MOST_SYMBOLS, Vocabulary};

/// Rows of a row group of `corpus`.
const GROUP: usize = 1 << 20;

/// Row groups that are encoded before they are written: two megabytes each at most.
const AT_ONCE: usize = 16;

/// The parameters with every default filled in, as the tables' footers tell them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Settings {
    encoding: Encoding,
    train_fraction: f64,
    val_fraction: f64,
}

impl Settings {
    fn new(parameters: &Parameters, known: Option<&dataset::Dataset>) -> Result<Self, Fault> {
        let encoding = known.map_or(Encoding::Utf8, |known| known.encoding);
        let train_fraction = known.map_or(0.9, |known| known.train_fraction);
        let val_fraction = known.map_or(0.1, |known| known.val_fraction);
        let settings = Self {
            encoding: parameters.encoding.unwrap_or(encoding),
            train_fraction: parameters.train_fraction.unwrap_or(train_fraction),
            val_fraction: parameters.val_fraction.unwrap_or(val_fraction),
        };
        let Self { train_fraction: train, val_fraction: val, .. } = settings;
        if train > 0.0 && val > 0.0 && train + val <= 1.0 + 1e-9 {
            return Ok(settings);
        }
        Err(Fault::parameter(format!(
            "--train-fraction {train} and --val-fraction {val}: both must be above 0, and together at most 1"
        )))
    }
}

/// Reads the text, and writes `vocabulary`, `semantic_space` and `corpus`.
///
/// # Errors
/// A wrong parameter; a text that is missing, not what it should be, or of no use; a disk that refuses.
pub fn run(job: &Job<Prep>, terminal: &Terminal) -> Result<(), Fault> {
    let (name, outputs) = (job.dataset(), &job.outputs);
    let known = dataset::known(&name);
    let settings = Settings::new(&job.parameters, known.as_ref())?;
    let (file, bytes) = bytes(job, known, terminal)?;
    let text = Text::decode(&bytes, settings.encoding).map_err(|offset| {
        Fault::input(format!(
            "{file} is no UTF-8 at byte {offset}: convert it, or read its bytes with --encoding bytes"
        ))
    })?;
    let splits = Splits::of(text, settings.train_fraction, settings.val_fraction);
    let sizes = splits.named().map(|(_, part)| part.characters());
    if sizes[0] < 2 || sizes[1] < 2 {
        return Err(Fault::input(format!(
            "{file} is too short: its {} characters leave {} to learn from and {} to validate on, and both need two at least",
            sizes.iter().sum::<usize>(),
            sizes[0],
            sizes[1]
        )));
    }
    let (vocabulary, hash) = rayon::join(|| Vocabulary::of(&splits), || blake3::hash(&bytes));
    let vocabulary = vocabulary.map_err(|symbols| {
        Fault::input(format!(
            "{file} has {symbols} different characters and a token can number {MOST_SYMBOLS}: \
             read its bytes with --encoding bytes"
        ))
    })?;
    let partition = &job.partition;
    let source = Source { path: file, blake3: hash.to_hex().to_string() };
    let provenance = Provenance::new(Prep::NAME, footer(settings)?).from_inputs([&source]);
    outputs.write(partition, &provenance, vocabulary.rows())?;
    let progress = terminal.progress("tokens", sizes.iter().sum::<usize>() as u64);
    let mut space = Vec::new();
    rayon::in_place_scope(|scope| {
        scope.spawn(|_| {
            space = semantic_space::semantic_space(&splits.train.segments(semantic_space::MOST_SEGMENTS));
        });
        splits.named().into_iter().try_for_each(|(split, part)| {
            let writer = outputs.create::<Corpus>(&partition.clone().split(split), &provenance)?;
            write_tokens(part, &vocabulary, writer, |characters| progress.advance(characters))
        })
    })?;
    outputs.write(partition, &provenance, &space)?;
    drop(progress);
    terminal.say(summary(&name, sizes, vocabulary.rows().len(), &space));
    Ok(())
}

/// The settings as a footer's `config`.
fn footer(settings: Settings) -> Result<serde_json::Value, Fault> {
    serde_json::to_value(settings).map_err(|error| Fault::bug(error.to_string()))
}

/// Encodes row groups on all threads, and writes them in their order.
fn write_tokens(
    text: Text<'_>,
    vocabulary: &Vocabulary,
    mut writer: Writer<Corpus>,
    done: impl Fn(u64),
) -> Result<(), Fault> {
    let encoder = writer.encoder();
    for stretches in text.stretches(GROUP).chunks(AT_ONCE) {
        let groups: Vec<_> = stretches.par_iter().map(|&stretch| encoder.rows(&vocabulary.encode(stretch))).collect();
        for (group, stretch) in groups.into_iter().zip(stretches) {
            writer.append(group)?;
            done(stretch.characters() as u64);
        }
    }
    writer.finish()?;
    Ok(())
}

/// The name of the text's file and its bytes, verified where it is known what they must be.
fn bytes(
    job: &Job<Prep>,
    known: Option<dataset::Dataset>,
    terminal: &Terminal,
) -> Result<(String, Cow<'static, [u8]>), Fault> {
    let (name, parameters) = (job.dataset(), &job.parameters);
    if let Some(path) = parameters.source.as_ref().map(Path::new) {
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let bytes = match known {
            Some(known) => {
                download::verified(path, known.origin.expected(), "or give the text another name with --dataset")?
            }
            None => fs::read(path).map_err(|error| {
                Fault::input(format!("cannot read {}: {error}: --source names the file of the text", path.display()))
            })?,
        };
        return Ok((file, bytes.into()));
    }
    match known.map(|known| known.origin) {
        Some(Origin::Embedded(bytes, expected)) => {
            let damaged = |reason| Fault::bug(format!("the text that is built in {reason}: build the program again"));
            expected.check(bytes).map_err(damaged)?;
            Ok((format!("{name}.txt"), bytes.into()))
        }
        Some(Origin::Made(make, expected)) => {
            let bytes = make();
            let other = |reason| Fault::bug(format!("the text that is made {reason}: the program makes another one"));
            expected.check(&bytes).map_err(other)?;
            Ok((format!("{name}.txt"), bytes.into()))
        }
        Some(Origin::Remote(mut download)) => {
            if !parameters.mirrors.0.is_empty() {
                download.urls.clone_from(&parameters.mirrors.0);
            }
            Ok((name.clone(), download::obtain(&download, Path::new(&parameters.data), terminal)?.into()))
        }
        None => Err(Fault::parameter(format!(
            "--dataset `{name}` is no known text (they are {}): a text of your own needs --source FILE",
            dataset::NAMES.join(", ")
        ))),
    }
}

/// What was written, in a line.
fn summary(name: &str, sizes: [usize; 3], symbols: usize, space: &[SemanticSpace]) -> String {
    let [train, val, test] = sizes;
    let (words, dimensions) = (space.len(), space.first().map_or(0, |row| row.loadings.len()));
    format!(
        "{name}: {} characters of {symbols} symbols ({train} train, {val} val, {test} test), {words} words in {dimensions} \
         dimensions",
        train + val + test
    )
}
