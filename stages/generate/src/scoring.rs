//! Scoring texts relative to real text: the rows of `sample_scores`.

use rayon::prelude::*;
use schemas::enums::TextSource;
use schemas::tables::SampleScores;

use crate::coherence::SemanticSpace;
use crate::corpus_search::KnownText;
use crate::scores::{Members, RealText, compression_ratio, distinct, repetition};

/// The source of generated texts.
pub const MODEL: TextSource = TextSource::Model;

/// The source of real texts, which `quality` is relative to.
pub const VALIDATION: TextSource = TextSource::Validation;

/// A text to score.
pub struct ScoredText {
    /// The step of the model that generated it; none for a reference.
    pub step: Option<u32>,
    /// Where it comes from.
    pub source: TextSource,
    /// Its number within its source and step.
    pub sample: u16,
    /// Its tokens.
    pub tokens: Vec<u16>,
    /// Their bytes.
    pub bytes: Vec<u8>,
    /// These as text.
    pub text: String,
}

/// One row per text, in their order.
pub fn score(texts: &[ScoredText], space: &SemanticSpace, known: &KnownText) -> Vec<SampleScores> {
    let mut rows: Vec<SampleScores> = texts.par_iter().map(|text| score_text(text, space, known)).collect();
    let real: Vec<Members> = rows.iter().filter(|row| row.source == VALIDATION).map(members).collect();
    let real = RealText::new(&real);
    rows.iter_mut().for_each(|row| row.quality = real.quality(&members(row)));
    rows
}

/// The scores of one text, without `quality`.
fn score_text(text: &ScoredText, space: &SemanticSpace, known: &KnownText) -> SampleScores {
    let tokens = &text.tokens;
    SampleScores {
        step: text.step,
        source: text.source,
        sample: text.sample,
        distinct_1: distinct(tokens, 1),
        distinct_2: distinct(tokens, 2),
        distinct_3: distinct(tokens, 3),
        distinct_4: distinct(tokens, 4),
        distinct_8: distinct(tokens, 8),
        repetition_4: repetition(tokens, 4),
        repetition_8: repetition(tokens, 8),
        repetition_16: repetition(tokens, 16),
        coherence: space.coherence(&text.text),
        compression_ratio: compression_ratio(&text.bytes),
        novelty_16: known.novelty_16(tokens),
        word_validity: known.word_validity(&text.text),
        quality: None,
    }
}

fn members(row: &SampleScores) -> Members {
    [row.distinct_4, row.repetition_8, row.coherence, row.compression_ratio, row.word_validity]
}
