//! The stage `prep`: turns a text into the tokens of its splits (`corpus`), their symbols (`vocabulary`) and the latent semantic
//! space in which generated texts are scored (`semantic_space`), and notes what will matter of it (`text_notes`).

pub mod control;
pub mod dataset;
pub mod digest;
pub mod download;
pub mod notes;
pub mod reading;
pub mod semantic_space;
mod source;
pub mod sparse;
pub mod truncated_svd;
pub mod vocabulary;

use std::borrow::Cow;
use std::path::Path;

use cli::Terminal;
use declarations::prep::{Prep, Settings};
use declarations::{Encoding, Fault, Job, Stage};
use rayon::prelude::*;
use schemas::tables::{Corpus, TextNotes};
use schemas::{Alphabet, Provenance, Source, Writer};

use crate::dataset::Origin;
use crate::notes::Findings;
use crate::reading::{Splits, Text};
use crate::semantic_space::Space;
use crate::vocabulary::{MOST_SYMBOLS, Vocabulary};

/// Rows per row group of `corpus`.
const GROUP: usize = 1 << 20;

/// Row groups encoded at once: at most two megabytes each.
const AT_ONCE: usize = 16;

/// Refuses splits that cannot be.
///
/// # Errors
/// A parameter fault.
fn check(settings: Settings) -> Result<(), Fault> {
    let Settings { train_fraction: train, val_fraction: val, .. } = settings;
    if train > 0.0 && val > 0.0 && train + val <= 1.0 + 1e-9 {
        return Ok(());
    }
    Err(Fault::parameter(format!(
        "--train-fraction {train} and --val-fraction {val}: both must be above 0, and together at most 1"
    )))
}

/// Reads the text and writes `vocabulary`, `corpus`, `semantic_space` and `text_notes`.
///
/// # Errors
/// A parameter fault for an unknown dataset or impossible splits; an input fault for a text that is missing, not the expected one,
/// not in the encoding, too short or with too many symbols, and for a table that cannot be written.
pub fn run(job: &Job<Prep>, terminal: &Terminal) -> Result<(), Fault> {
    let (name, outputs) = (job.dataset(), &job.outputs);
    let known = dataset::known(&name);
    let settings = job.parameters.settings(&name);
    check(settings)?;
    let (file, bytes) = bytes(job, known, settings, terminal)?;
    let text = Text::decode(&bytes, settings.encoding).map_err(|offset| {
        Fault::input(format!(
            "{file} is not valid UTF-8 at byte {offset}: convert it, or read its bytes with --encoding bytes"
        ))
    })?;
    let splits = Splits::of(text, settings.train_fraction, settings.val_fraction);
    let sizes = splits.named().map(|(_, part)| part.characters());
    if sizes[0] < 2 || sizes[1] < 2 {
        return Err(Fault::input(format!(
            "{file} is too short: of its {} characters the train split has {} and the validation split {}, and both need at \
             least 2",
            sizes.iter().sum::<usize>(),
            sizes[0],
            sizes[1]
        )));
    }
    let alphabet = job.parameters.vocabulary.as_ref().map(|path| alphabet(Path::new(path))).transpose()?;
    let alphabet_symbols = alphabet.as_ref().map(|(symbols, _)| symbols.as_slice());
    let (vocabulary, hash) = rayon::join(|| vocabulary(&file, &splits, alphabet_symbols), || blake3::hash(&bytes));
    let vocabulary = vocabulary?;
    let partition = &job.partition;
    let source = Source { path: file, blake3: hash.to_hex().to_string() };
    let sources = [&source].into_iter().chain(alphabet.iter().map(|(_, source)| source));
    let provenance = Provenance::new(Prep::NAME, Prep::VERSION, footer(settings)?).from_inputs(sources);
    outputs.write(partition, &provenance, vocabulary.rows())?;
    let progress = terminal.progress("tokens", sizes.iter().sum::<usize>() as u64);
    let (mut space, mut segments) = (Space::default(), [0; 2]);
    rayon::in_place_scope(|scope| {
        scope.spawn(|_| {
            let of_train = splits.train.segments(semantic_space::MOST_SEGMENTS);
            segments = [of_train.all, of_train.taken.len()];
            space = semantic_space::semantic_space(&of_train.taken);
        });
        splits.named().into_iter().try_for_each(|(split, part)| {
            let writer = outputs.create::<Corpus>(&partition.clone().split(split), &provenance)?;
            write_tokens(part, &vocabulary, writer, |characters| progress.advance(characters))
        })
    })?;
    outputs.write(partition, &provenance, &space.rows)?;
    let notes: Vec<TextNotes> =
        Findings { bytes: &bytes, splits: &splits, vocabulary: &vocabulary, space: &space, segments }.notes();
    outputs.write(partition, &provenance, &notes)?;
    drop(progress);
    terminal.say(summary(&name, sizes, &vocabulary, &space));
    notes.iter().for_each(|note| terminal.say(format!("{name}: {}", note.message)));
    Ok(())
}

/// The vocabulary of a text, or of the alphabet of a model that was trained elsewhere.
fn vocabulary(file: &str, splits: &Splits<'_>, alphabet: Option<&[char]>) -> Result<Vocabulary, Fault> {
    match alphabet {
        None => Vocabulary::of(splits).map_err(|symbols| {
            Fault::input(format!(
                "{file} has {symbols} distinct characters, and a vocabulary has at most {MOST_SYMBOLS}: read its bytes with \
                 --encoding bytes"
            ))
        }),
        Some(alphabet) => Vocabulary::with_alphabet(splits, alphabet).map_err(|(character, position)| {
            Fault::input(format!(
                "{file} has {character:?} as character {position}, which is not among the {} symbols of `vocabulary`: replace it in \
                 the text, or give the text that the model was trained on",
                alphabet.len()
            ))
        }),
    }
}

/// The alphabet of a file, and the file as a source.
fn alphabet(path: &Path) -> Result<(Vec<char>, Source), Fault> {
    let symbols = nanogpt_files::alphabet(path).map_err(|error| Fault::input(error.to_string()))?;
    let unreadable = |error: std::io::Error| Fault::input(format!("cannot read {}: {error}", path.display()));
    let blake3 = blake3::hash(&std::fs::read(path).map_err(unreadable)?).to_hex().to_string();
    let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok((symbols, Source { path: file, blake3 }))
}

/// The settings as a footer's `config`.
fn footer(settings: Settings) -> Result<serde_json::Value, Fault> {
    serde_json::to_value(settings).map_err(|error| Fault::bug(error.to_string()))
}

/// Writes one split: row groups are encoded in parallel and written in order.
fn write_tokens(
    text: Text<'_>,
    vocabulary: &Vocabulary,
    mut writer: Writer<Corpus>,
    done: impl Fn(u64),
) -> Result<(), Fault> {
    let encoder = writer.encoder();
    for chunks in text.chunks(GROUP).chunks(AT_ONCE) {
        let groups: Vec<_> = chunks.par_iter().map(|&chunk| encoder.rows(&vocabulary.encode(chunk))).collect();
        for (group, chunk) in groups.into_iter().zip(chunks) {
            writer.append(group)?;
            done(chunk.characters() as u64);
        }
    }
    writer.finish()?;
    Ok(())
}

/// The name of the text's file and its bytes, verified for a built-in dataset.
fn bytes(
    job: &Job<Prep>,
    known: Option<dataset::Dataset>,
    settings: Settings,
    terminal: &Terminal,
) -> Result<(String, Cow<'static, [u8]>), Fault> {
    let (name, parameters) = (job.dataset(), &job.parameters);
    if let Some(path) = parameters.source.as_ref().map(Path::new) {
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let bytes = source::read(path)?;
        match known.map(|known| known.origin.expected().check(&bytes)) {
            Some(Ok(())) => {}
            Some(Err(reason)) => {
                let other =
                    || format!("{} {reason}: give that text, or choose another name with --dataset", path.display());
                return Err(source::not_text(path, &bytes).unwrap_or_else(|| Fault::input(other())));
            }
            // Asked for bytes, any file is a text.
            None if settings.encoding == Encoding::Bytes => {}
            None => source::not_text(path, &bytes).map_or(Ok(()), Err)?,
        }
        return Ok((file, bytes.into()));
    }
    match known.map(|known| known.origin) {
        Some(Origin::Embedded(bytes, expected)) => {
            let corrupt = |reason| Fault::bug(format!("the embedded text {reason}: rebuild the program"));
            expected.check(bytes).map_err(corrupt)?;
            Ok((format!("{name}.txt"), bytes.into()))
        }
        Some(Origin::Generated(generate, expected)) => {
            let bytes = generate();
            let other = |reason| Fault::bug(format!("the generated text {reason}"));
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
            "--dataset {name}: not a built-in dataset ({}), and a text of your own needs --source FILE",
            dataset::NAMES.join(", ")
        ))),
    }
}

/// A one-line summary of the dataset.
fn summary(name: &str, sizes: [usize; 3], vocabulary: &Vocabulary, space: &Space) -> String {
    let [train, val, test] = sizes;
    let (words, dimensions) = (space.rows.len(), space.rows.first().map_or(0, |row| row.loadings.len()));
    let alphabet = Alphabet::new(vocabulary.rows());
    let (unit, symbols) = (alphabet.unit(), alphabet.len());
    format!(
        "{name}: {} {unit}s of {symbols} symbols ({train} train, {val} val, {test} test), {words} words in {dimensions} \
         dimensions",
        train + val + test
    )
}
