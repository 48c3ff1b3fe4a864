//! The stage `generate`: a trained model writes at each step asked for; what it wrote is scored beside references, and what
//! it attended to while writing is summed up.
//!
//! Reads `vocabulary`, `checkpoints`, and, to score or track, `corpus` and `semantic_space`; writes `samples`, `timings`,
//! and, where asked for, `sample_attention`, `sample_layers` and `sample_scores`, whose columns say
//! what they hold (`schemas`); the functions that compute them have the formulas.

pub mod alphabet;
mod arguments;
pub mod coherence;
pub mod corpus_search;
pub mod generation;
pub mod references;
pub mod sampling;
pub mod scores;
pub mod scoring;
pub mod tracked;
pub mod trigram;
pub mod writing;

use cli::{Fault, Terminal};
use model::Model;
use schemas::enums::{Split, TextSource};
use schemas::tables::{Checkpoints, Corpus, SampleScores, Samples, SemanticSpace, Vocabulary};
use schemas::{Artifacts, Partition, Provenance, Reader, Source};

use crate::alphabet::Alphabet;
pub use crate::arguments::{Arguments, Parameters};
use crate::corpus_search::CorpusSearch;
use crate::scoring::{MODEL, ScoredText, VALIDATION};
use crate::trigram::TrigramCounts;
use crate::writing::{Writer, Written};

/// Generates and writes the tables.
///
/// # Errors
/// A parameter that makes no sense for this dataset, or an input that is missing, damaged or does not fit.
pub fn run(arguments: &Arguments, terminal: &Terminal) -> Result<(), Fault> {
    arguments.threads.install();
    let parameters = &arguments.parameters;
    let node = &arguments.node;
    let artifacts = Artifacts::new(&arguments.place.artifacts);
    let partition = Partition::dataset(&node.dataset).run(&node.run).seed(node.seed);
    let last = parameters.steps.last().ok_or_else(|| {
        Fault::parameter("--steps names no step: write numbers and ranges such as `0,50,100-2000/100`")
    })?;

    let vocabulary = artifacts.read::<Vocabulary>(&partition)?;
    let alphabet = Alphabet::new(&vocabulary.rows);
    let prompt = prompt(parameters.prompt.as_deref(), &alphabet)?;
    // What is missing is said before anything is generated.
    for step in parameters.steps.iter() {
        artifacts.open::<Checkpoints>(&partition.clone().step(step))?;
    }
    let real_text = parameters.score || parameters.track;
    let validation = real_text.then(|| read_split(&artifacts, &partition, Split::Val, &alphabet)).transpose()?;
    let (windows, validation_source) = match &validation {
        Some((tokens, source)) => (references::validation_windows(tokens, parameters.length as usize), Some(source)),
        None => (Vec::new(), None),
    };
    let scorer = parameters.score.then(|| Scorer::open(&artifacts, &partition)).transpose()?;

    let writer = Writer { arguments, alphabet: &alphabet, prompt: &prompt, windows: &windows };
    let mut written = Written::default();
    let mut inputs = vec![vocabulary.source.clone()];
    let texts = parameters.steps.iter().len() * usize::from(parameters.samples) + writer.followed();
    let progress = terminal.progress("generate", texts as u64 * u64::from(parameters.length));
    for step in parameters.steps.iter() {
        let checkpoint = artifacts.read::<Checkpoints>(&partition.clone().step(step))?;
        let model = Model::load(arguments.device, &checkpoint)?;
        let (symbols, expected) = (alphabet.len(), model.config().vocab_size);
        if symbols != expected {
            return Err(Fault::input(format!(
                "{} is of a model of {expected} symbols, and the vocabulary of {} has {symbols}: rerun `train`",
                checkpoint.source.path, node.dataset
            )));
        }
        inputs.push(checkpoint.source);
        writer.generate(&model, step, step == last, &progress, &mut written)?;
    }
    drop(progress);

    let provenance = Provenance::new("generate", serde_json::to_value(parameters)?);
    let scores = match scorer {
        None => None,
        Some(scorer) => {
            let (rows, sources) =
                scorer.score(&node.dataset, &alphabet, &written.samples, &windows, parameters, terminal)?;
            Some((rows, provenance.from_inputs(inputs.iter().chain(&sources).chain(validation_source))))
        }
    };
    let from_models = provenance.from_inputs(&inputs);
    if let Some((rows, provenance)) = &scores {
        artifacts.write(&partition, provenance, rows)?;
    }
    if parameters.track {
        let tracked = provenance.from_inputs(inputs.iter().chain(validation_source));
        artifacts.write(&partition, &tracked, &written.attention)?;
        artifacts.write(&partition, &from_models, &written.layers)?;
    }
    artifacts.write(&partition, &from_models, &written.samples)?;
    artifacts.write(&partition.stage("generate"), &from_models, &written.timings)?;
    Ok(())
}

/// The tokens that every text starts from.
fn prompt(asked: Option<&str>, alphabet: &Alphabet) -> Result<Vec<u16>, Fault> {
    match asked {
        None if alphabet.is_empty() => Err(Fault::input("the vocabulary is empty: rerun `prep` with a text")),
        None => Ok(alphabet.default_prompt()),
        Some("") => Err(Fault::parameter("--prompt is empty: the model needs a character to start from")),
        Some(text) => alphabet.encode(text).map_err(|character| {
            Fault::parameter(format!("--prompt {text:?}: {character:?} is not in the dataset's vocabulary"))
        }),
    }
}

/// What scoring needs beside the texts.
struct Scorer {
    space: coherence::SemanticSpace,
    space_source: Source,
    train: Reader<Corpus>,
    train_source: Source,
}

impl Scorer {
    fn open(artifacts: &Artifacts, partition: &Partition) -> Result<Self, Fault> {
        let space = artifacts.read::<SemanticSpace>(partition)?;
        let train = partition.clone().split(Split::Train);
        Ok(Self {
            space: coherence::SemanticSpace::new(space.rows),
            space_source: space.source,
            train: artifacts.open::<Corpus>(&train)?,
            train_source: artifacts.source::<Corpus>(&train)?,
        })
    }

    /// Scores the samples, then the references, and says what they were scored by.
    fn score(
        self,
        dataset: &str,
        alphabet: &Alphabet,
        samples: &[Samples],
        windows: &[&[u16]],
        parameters: &Parameters,
        terminal: &Terminal,
    ) -> Result<(Vec<SampleScores>, [Source; 2]), Fault> {
        // The train split is read twice: what its trigram model writes is then itself looked for in it.
        let progress = terminal.progress("score", 2 * self.train.rows() as u64);
        let mut trigrams = TrigramCounts::default();
        self.read_train(alphabet, &progress, |tokens| trigrams.read(tokens))?;

        let mut texts: Vec<ScoredText> = samples
            .iter()
            .map(|row| ScoredText {
                step: Some(row.step),
                source: MODEL,
                sample: row.sample,
                tokens: row.tokens.clone(),
                text: row.text.clone(),
            })
            .collect();
        let mut refer = |source, tokens: Vec<Vec<u16>>| {
            texts.extend((0..).zip(tokens).map(|(sample, tokens)| {
                let text = alphabet.decode(&tokens);
                ScoredText { step: None, source, sample, tokens, text }
            }));
        };
        refer(VALIDATION, windows.iter().map(|window| window.to_vec()).collect());
        refer(TextSource::Shuffled, references::shuffled(dataset, windows));
        if let Some(model) = trigrams.finish() {
            refer(TextSource::Trigram, references::trigram_texts(dataset, &model, parameters.length as usize));
        }

        let mut search = CorpusSearch::new(alphabet, texts.iter().map(|text| text.tokens.as_slice()));
        self.read_train(alphabet, &progress, |tokens| search.read(tokens))?;
        let rows = scoring::score(&texts, &self.space, &search.finish());
        Ok((rows, [self.space_source, self.train_source]))
    }

    /// Hands over the train split row group by row group.
    fn read_train(
        &self,
        alphabet: &Alphabet,
        progress: &cli::Progress,
        mut visit: impl FnMut(&[u16]),
    ) -> Result<(), Fault> {
        for group in 0..self.train.groups() {
            let tokens = tokens(self.train.group(group)?, alphabet, &self.train)?;
            visit(&tokens);
            progress.advance(tokens.len() as u64);
        }
        Ok(())
    }
}

/// A whole split of the text, and the file it came from.
fn read_split(
    artifacts: &Artifacts,
    partition: &Partition,
    split: Split,
    alphabet: &Alphabet,
) -> Result<(Vec<u16>, Source), Fault> {
    let partition = partition.clone().split(split);
    let reader = artifacts.open::<Corpus>(&partition)?;
    let mut text = Vec::with_capacity(reader.rows());
    for group in 0..reader.groups() {
        text.append(&mut tokens(reader.group(group)?, alphabet, &reader)?);
    }
    Ok((text, artifacts.source::<Corpus>(&partition)?))
}

/// The tokens of rows, which must be symbols.
fn tokens(rows: Vec<Corpus>, alphabet: &Alphabet, reader: &Reader<Corpus>) -> Result<Vec<u16>, Fault> {
    let tokens: Vec<u16> = rows.into_iter().map(|row| row.token).collect();
    match tokens.iter().find(|token| usize::from(**token) >= alphabet.len()) {
        None => Ok(tokens),
        Some(token) => Err(Fault::input(format!(
            "{}, column `token`: expected numbers below {}, the size of the vocabulary, found {token}: rerun `prep`",
            reader.path().display(),
            alphabet.len()
        ))),
    }
}
