//! The stage `generate`: generates text from the checkpoints of the given steps, scores it beside reference texts, and tracks
//! attention during generation.
//!
//! Reads `vocabulary`, `checkpoints` and, with `--score` or `--track`, `corpus` and `semantic_space`; writes `samples`, `timings`
//! and, with these flags, `sample_scores`, `sample_attention`, `generated_attention` and `sample_layers`.

pub mod coherence;
pub mod corpus_search;
pub mod generation;
pub mod kept;
pub mod references;
pub mod sampling;
pub mod scores;
pub mod scoring;
pub mod tracked;
pub mod trigram;
pub mod writing;

use cli::Terminal;
use declarations::generate::Generate;
use declarations::{Facts, Fault, Inputs, Job, Stage, TextFacts};
use model::Series;
use schemas::enums::{Split, TextSource};
use schemas::tables::{Checkpoints, Corpus, GeneratedAttention, SampleScores, Samples, SemanticSpace, Vocabulary};
use schemas::{Alphabet, Partition, Reader, Source};

use crate::corpus_search::CorpusSearch;
use crate::scoring::{MODEL, ScoredText, VALIDATION};
use crate::trigram::TrigramCounts;
use crate::writing::{Writer, Written};

/// Generates, scores and writes the tables.
///
/// # Errors
/// A parameter fault for a device that is not supported, no steps, or a prompt with characters that the dataset does not have;
/// an input fault for a table that is missing, corrupt or of another text.
pub fn run(job: &Job<Generate>, terminal: &Terminal) -> Result<(), Fault> {
    let Job { partition, parameters, inputs, outputs, .. } = job;
    model::check_device(parameters.device)?;
    let last = parameters.steps.last().ok_or_else(|| Fault::parameter("--steps names no step"))?;

    let vocabulary = inputs.read::<Vocabulary>(partition)?;
    let alphabet = Alphabet::new(&vocabulary.rows);
    let prompt = prompt(parameters.prompt.as_deref(), &alphabet)?;
    // Fail before anything is generated.
    let mut sources = vec![vocabulary.source];
    for step in parameters.steps.iter() {
        sources.push(inputs.open::<Checkpoints>(&partition.clone().step(step))?.source().clone());
    }
    let real_text = parameters.score || parameters.track;
    let validation = real_text.then(|| read_split(inputs, partition, Split::Val, &alphabet)).transpose()?;
    let (windows, validation_source) = match &validation {
        Some((tokens, source)) => (references::validation_windows(tokens, parameters.length as usize), Some(source)),
        None => (Vec::new(), None),
    };
    let scorer = parameters.score.then(|| Scorer::open(inputs, partition)).transpose()?;

    let writer = Writer { parameters, seed: job.seed(), alphabet: &alphabet, prompt: &prompt, windows: &windows };
    let provenance = job.provenance();
    let tracked = provenance.from_inputs(sources.iter().chain(validation_source));
    let from_models = provenance.from_inputs(&sources);
    let kept = parameters.track.then(|| outputs.create::<GeneratedAttention>(partition, &from_models)).transpose()?;
    let mut written = Written::new(kept);
    let mut warned = false;
    let texts = writer.sampled(parameters.steps.iter().len()) + writer.fed();
    let progress = terminal.progress("generate", texts as u64 * u64::from(parameters.length));
    let mut series = Series::new(parameters.device, alphabet.len());
    for step in parameters.steps.iter() {
        let checkpoint = inputs.read::<Checkpoints>(&partition.clone().step(step))?;
        if !sources.contains(&checkpoint.source) {
            return Err(Fault::input(format!(
                "{} was replaced while it was read: run this again",
                checkpoint.source.path
            )));
        }
        let model = series.load(step, &checkpoint)?;
        if !warned {
            let val = validation.as_ref().map_or(usize::MAX, |(tokens, _)| tokens.len());
            let text = TextFacts { alphabet: alphabet.clone(), val, ..TextFacts::default() };
            let block_size = u32::try_from(model.config().block_size).ok();
            terminal.warn(job, &Facts { block_size, text: Some(&text) });
            warned = true;
        }
        writer.generate(&model, step, step == last, &progress, &mut written)?;
    }
    drop(progress);

    let scores = match scorer {
        None => None,
        Some(scorer) => {
            let (rows, scored_by) = scorer.score(&job.dataset(), &writer, &written.samples, terminal)?;
            Some((rows, provenance.from_inputs(sources.iter().chain(&scored_by).chain(validation_source))))
        }
    };
    if let Some((rows, provenance)) = &scores {
        outputs.write(partition, provenance, rows)?;
    }
    if let Some(kept) = written.kept {
        kept.finish()?;
        outputs.write(partition, &tracked, &written.attention)?;
        outputs.write(partition, &from_models, &written.layers)?;
    }
    outputs.write(partition, &from_models, &written.samples)?;
    outputs.write(&partition.clone().stage(Generate::NAME), &from_models, &written.timings)?;
    Ok(())
}

/// The tokens of the prompt, or of the default one.
fn prompt(given: Option<&str>, alphabet: &Alphabet) -> Result<Vec<u16>, Fault> {
    match given {
        None if alphabet.is_empty() => Err(Fault::input("the vocabulary is empty: rerun `prep` with a text")),
        None => Ok(alphabet.default_prompt()),
        Some(text) => alphabet.encode(text).map_err(|character| {
            Fault::parameter(format!("--prompt {text:?}: {character:?} is not in the dataset's vocabulary"))
        }),
    }
}

/// The inputs of scoring.
struct Scorer {
    space: coherence::SemanticSpace,
    space_source: Source,
    train: Reader<Corpus>,
}

impl Scorer {
    fn open(inputs: &Inputs<Generate>, partition: &Partition) -> Result<Self, Fault> {
        let space = inputs.read::<SemanticSpace>(partition)?;
        let train = partition.clone().split(Split::Train);
        Ok(Self {
            space: coherence::SemanticSpace::new(space.rows),
            space_source: space.source,
            train: inputs.open::<Corpus>(&train)?,
        })
    }

    /// Scores the samples and the reference texts; also returns the sources of the inputs.
    fn score(
        self,
        dataset: &str,
        writer: &Writer<'_>,
        samples: &[Samples],
        terminal: &Terminal,
    ) -> Result<(Vec<SampleScores>, [Source; 2]), Fault> {
        let Writer { parameters, alphabet, windows, .. } = *writer;
        let length = parameters.length as usize;
        // The train split is read twice: texts of its trigram model are among those that are searched for in it.
        let progress = terminal.progress("score", 2 * self.train.rows() as u64);
        let mut trigrams = TrigramCounts::default();
        self.read_train(alphabet, &progress, |tokens| trigrams.read(tokens))?;

        let mut texts: Vec<ScoredText> = samples
            .iter()
            .map(|row| ScoredText {
                step: Some(row.step),
                source: MODEL,
                sample: row.sample,
                bytes: alphabet.bytes(&row.tokens),
                tokens: row.tokens.clone(),
                text: row.text.clone(),
            })
            .collect();
        let mut add = |source, tokens: Vec<Vec<u16>>| {
            texts.extend((0..).zip(tokens).map(|(sample, tokens)| {
                let (bytes, text) = (alphabet.bytes(&tokens), alphabet.decode(&tokens));
                ScoredText { step: None, source, sample, tokens, bytes, text }
            }));
        };
        add(VALIDATION, windows.iter().map(|window| window.to_vec()).collect());
        add(TextSource::Shuffled, references::shuffled(dataset, windows));
        if let Some(model) = trigrams.finish() {
            add(TextSource::Trigram, references::trigram_texts(dataset, &model, length));
        }

        let mut search = CorpusSearch::new(alphabet, texts.iter().map(|text| text.tokens.as_slice()));
        self.read_train(alphabet, &progress, |tokens| search.read(tokens))?;
        let rows = scoring::score(&texts, &self.space, &search.finish());
        Ok((rows, [self.space_source, self.train.source().clone()]))
    }

    /// Visits the tokens of the train split, row group by row group.
    fn read_train(
        &self,
        alphabet: &Alphabet,
        progress: &cli::Progress,
        mut visit: impl FnMut(&[u16]),
    ) -> Result<(), Fault> {
        for group in 0..self.train.groups() {
            let tokens = self.train.group_tokens(group, alphabet.len())?;
            visit(&tokens);
            progress.advance(tokens.len() as u64);
        }
        Ok(())
    }
}

/// The tokens of a split, and its file.
fn read_split(
    inputs: &Inputs<Generate>,
    partition: &Partition,
    split: Split,
    alphabet: &Alphabet,
) -> Result<(Vec<u16>, Source), Fault> {
    let partition = partition.clone().split(split);
    let reader = inputs.open::<Corpus>(&partition)?;
    Ok((reader.tokens(alphabet.len())?, reader.source().clone()))
}
