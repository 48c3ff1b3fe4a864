//! Every score against an independent implementation in Python (`python/metrics_golden.py`), for the same texts, train split and
//! semantic space.

use generate::coherence::SemanticSpace;
use generate::corpus_search::CorpusSearch;
use generate::scoring::{MODEL, ScoredText, VALIDATION, score};
use schemas::{Alphabet, tables};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Tolerances, of which the larger applies: both compute in float64, but in another order.
const ABSOLUTE: f64 = 1e-9;
const RELATIVE: f64 = 1e-6;

#[derive(Deserialize)]
struct Golden {
    symbols: String,
    train: String,
    space: Vec<Word>,
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Word {
    word: String,
    idf: f64,
    loadings: Vec<f64>,
}

#[derive(Deserialize)]
struct Text {
    source: String,
    text: String,
    scores: Map<String, Value>,
}

#[test]
fn the_same_texts_score_the_same() {
    let golden: Golden = serde_json::from_str(include_str!("golden/texts.json")).expect("a golden file");
    let alphabet = Alphabet::new(&tables::Vocabulary::of_characters(&golden.symbols, 0));
    let tokens = |text: &str| alphabet.encode(text).expect("symbols of the alphabet");
    let scored = |(sample, text): (usize, &Text)| ScoredText {
        step: None,
        source: if text.source == VALIDATION.as_str() { VALIDATION } else { MODEL },
        sample: sample as u16,
        tokens: tokens(&text.text),
        bytes: text.text.clone().into_bytes(),
        text: text.text.clone(),
    };
    let texts: Vec<ScoredText> = golden.texts.iter().enumerate().map(scored).collect();

    // In parts, as the stage reads it, so that words and 16-grams span two of them.
    let mut search = CorpusSearch::new(&alphabet, texts.iter().map(|text| text.tokens.as_slice()));
    tokens(&golden.train).chunks(777).for_each(|part| search.read(part));
    let word = |word: Word| tables::SemanticSpace { word: word.word, idf: word.idf, loadings: word.loadings };
    let space = SemanticSpace::new(golden.space.into_iter().map(word).collect());

    let rows = score(&texts, &space, &search.finish());
    assert_eq!(rows.len(), golden.texts.len());
    for (row, text) in rows.iter().zip(&golden.texts) {
        let row = serde_json::to_value(row).expect("plain data");
        for (column, expected) in &text.scores {
            near(&format!("{column} of {:?}", text.text), &row[column], expected);
        }
    }
}

#[track_caller]
fn near(what: &str, found: &Value, expected: &Value) {
    match (found.as_f64(), expected.as_f64()) {
        (Some(found), Some(expected)) => {
            let allowed = ABSOLUTE.max(RELATIVE * expected.abs());
            assert!((found - expected).abs() <= allowed, "{what}: {found} is not {expected}");
        }
        _ => assert_eq!(found, expected, "{what}"),
    }
}
