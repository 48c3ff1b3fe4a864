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
pub mod tokens;
pub mod truncated_svd;
pub mod vocabulary;

use std::borrow::Cow;
use std::path::Path;

use cli::Terminal;
use declarations::prep::{Prep, Settings};
use declarations::{Encoding, Fault, Job, Stage};
use nanogpt_files::MOST_SYMBOLS;
use rayon::prelude::*;
use schemas::alphabet::symbol_text;
use schemas::tables::{Corpus, TextNotes};
use schemas::{Alphabet, Provenance, Source, Writer};

use crate::dataset::Origin;
use crate::notes::Findings;
use crate::reading::{Splits, Text};
use crate::semantic_space::Space;
use crate::tokens::Tokens;
use crate::vocabulary::Vocabulary;

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
/// not in the encoding, too short or with too many symbols, for tokens without a symbol, and for a table that cannot be written.
pub fn run(job: &Job<Prep>, terminal: &Terminal) -> Result<(), Fault> {
    let (name, outputs) = (job.dataset(), &job.outputs);
    let known = dataset::known(&name);
    let settings = job.parameters.settings(&name);
    check(settings)?;
    let (file, bytes) = bytes(job, known, settings, terminal)?;
    let symbols = job.parameters.vocabulary.as_ref().map(|path| symbols(Path::new(path))).transpose()?;
    let (symbols, symbols_source) = symbols.unzip();
    let tokens = match settings.encoding {
        Encoding::Tokens => {
            let symbols = symbols.as_ref().ok_or_else(|| Fault::parameter(tokens::NEEDS_VOCABULARY))?;
            Some(Tokens::read(&file, &bytes, symbols)?)
        }
        Encoding::Utf8 | Encoding::Bytes => None,
    };
    let text = match (&tokens, settings.encoding) {
        (Some(tokens), _) => tokens.text(),
        (None, Encoding::Bytes) => Text::Bytes(&bytes),
        (None, _) => Text::utf8(&bytes).map_err(|offset| {
            Fault::input(format!(
                "{file} is not valid UTF-8 at byte {offset}: convert it, or read its bytes by encoding bytes (--text-encoding of the pipeline)"
            ))
        })?,
    };
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
    let (vocabulary, hash) =
        rayon::join(|| vocabulary(&file, &splits, settings.encoding, symbols.as_deref()), || blake3::hash(&bytes));
    let vocabulary = vocabulary?;
    let partition = &job.partition;
    let source = Source { path: file, blake3: hash.to_hex().to_string() };
    let provenance = Provenance::new(Prep::NAME, Prep::VERSION, footer(settings)?)
        .from_inputs([&source].into_iter().chain(&symbols_source));
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
        Findings { bytes: &text.bytes(), splits: &splits, vocabulary: &vocabulary, space: &space, segments }.notes();
    outputs.write(partition, &provenance, &notes)?;
    drop(progress);
    terminal.say(summary(&name, sizes, &vocabulary, &space));
    notes.iter().for_each(|note| terminal.say(format!("{name}: {}", note.message)));
    Ok(())
}

/// The vocabulary of a text, or that of a model that was trained elsewhere.
fn vocabulary(
    file: &str,
    splits: &Splits<'_>,
    encoding: Encoding,
    symbols: Option<&[Vec<u8>]>,
) -> Result<Vocabulary, Fault> {
    let alphabet = match (encoding, symbols) {
        (Encoding::Tokens, _) | (_, None) => {
            return Vocabulary::of(splits).map_err(|symbols| {
                Fault::input(format!(
                    "{file} has {symbols} distinct characters, and a vocabulary has at most {MOST_SYMBOLS}: read its bytes by \
                     encoding bytes (--text-encoding of the pipeline)"
                ))
            });
        }
        (Encoding::Utf8 | Encoding::Bytes, Some(symbols)) => alphabet(symbols, encoding)?,
    };
    Vocabulary::with_alphabet(splits, &alphabet).map_err(|(number, position)| {
        let symbol = match encoding {
            Encoding::Bytes => format!("the byte {number:#04x}"),
            Encoding::Utf8 | Encoding::Tokens => format!("{:?}", char::from_u32(number).unwrap_or_default()),
        };
        Fault::input(format!(
            "{file} has {symbol} as character {position}, which is not among the {} symbols of `vocabulary`: replace it in the \
             text, or give the text that the model was trained on",
            alphabet.len()
        ))
    })
}

/// Symbols that are one character each, or one byte, with their numbers.
fn alphabet(symbols: &[Vec<u8>], encoding: Encoding) -> Result<Vec<(u32, Vec<u8>)>, Fault> {
    let number = |symbol: &[u8]| match encoding {
        Encoding::Bytes => <[u8; 1]>::try_from(symbol).ok().map(|[byte]| u32::from(byte)),
        Encoding::Utf8 | Encoding::Tokens => {
            let mut characters = std::str::from_utf8(symbol).ok()?.chars();
            characters.next().filter(|_| characters.next().is_none()).map(u32::from)
        }
    };
    let numbered = |(token, symbol): (usize, &Vec<u8>)| {
        let found = number(symbol).map(|number| (number, symbol.clone()));
        found.ok_or_else(|| {
            let unit = if encoding == Encoding::Bytes { "bytes" } else { "characters" };
            Fault::input(format!(
                "`vocabulary` has {:?} for the token {token}, and the text is read by single {unit}: give the tokens that the \
                 tokenizer made of it, as nanoGPT's train.bin, with encoding tokens",
                symbol_text(symbol)
            ))
        })
    };
    symbols.iter().enumerate().map(numbered).collect()
}

/// The symbols of a file, and the file as a source.
fn symbols(path: &Path) -> Result<(Vec<Vec<u8>>, Source), Fault> {
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
    known: Option<Origin>,
    settings: Settings,
    terminal: &Terminal,
) -> Result<(String, Cow<'static, [u8]>), Fault> {
    let (name, parameters) = (job.dataset(), &job.parameters);
    if let Some(path) = parameters.source.as_ref().map(Path::new) {
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let bytes = source::read(path)?;
        match known.map(|known| known.expected().check(&bytes)) {
            Some(Ok(())) => {}
            Some(Err(reason)) => {
                let other =
                    || format!("{} {reason}: give that text, or choose another name with --dataset", path.display());
                return Err(source::not_text(path, &bytes).unwrap_or_else(|| Fault::input(other())));
            }
            // Asked for bytes or tokens, any file is a text.
            None if settings.encoding != Encoding::Utf8 => {}
            None => source::not_text(path, &bytes).map_or(Ok(()), Err)?,
        }
        return Ok((file, bytes.into()));
    }
    match known {
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
