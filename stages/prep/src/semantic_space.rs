//! The latent semantic space (Deerwester et al. 1990) of the train split's segments, in which `coherence` is measured (Foltz,
//! Kintsch & Landauer 1998).

use std::borrow::Cow;
use std::collections::HashMap;

use rayon::prelude::*;
use schemas::tables::SemanticSpace;

use crate::sparse::Sparse;
use crate::truncated_svd::truncated_svd;

/// The most segments; of a longer text, evenly spaced ones are used.
pub const MOST_SEGMENTS: usize = 20_000;

/// The most words; of more, the most frequent are used.
pub const MOST_WORDS: usize = 20_000;

/// The most dimensions.
pub const DIMENSIONS: usize = 64;

/// The words of the segments with their inverse document frequencies and their loadings on the leading right singular vectors of
/// the TF-IDF matrix, sorted by descending frequency, then alphabetically.
///
/// An entry of the matrix is `(1 + ln count)·(1 + ln((1 + N)/(1 + df)))`, where `count` is the number of occurrences of the word
/// in the segment, `df` the number of segments with the word and `N` that of all segments; rows are then scaled to unit length.
/// Segments without words give no rows; without words the table is empty.
pub fn semantic_space(segments: &[Cow<'_, str>]) -> Space {
    let Counted { words, segments: counted, occurrences, distinct } = count(segments);
    let mut containing = vec![0; words.len()];
    for (word, _) in counted.iter().flatten() {
        containing[*word as usize] += 1;
    }
    let idf: Vec<f64> = containing
        .iter()
        .map(|&containing| term_weighting::inverse_document_frequency(segments.len(), containing))
        .collect();
    let row = |counts: &Vec<(u32, usize)>| {
        let weigh = |&(word, count): &(u32, usize)| (word, term_weighting::term_weight(count) * idf[word as usize]);
        let mut row: Vec<(u32, f64)> = counts.iter().map(weigh).collect();
        let norm = row.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt();
        row.iter_mut().for_each(|(_, weight)| *weight /= norm);
        row
    };
    let svd = truncated_svd(&Sparse::from_rows(words.len(), counted.iter().map(row)), DIMENSIONS);
    let loadings = |word: usize| svd.vectors.iter().map(|vector| vector[word]).collect();
    let words = words.into_iter().enumerate();
    let rows =
        words.map(|(number, word)| SemanticSpace { word, idf: idf[number], loadings: loadings(number) }).collect();
    Space { rows, occurrences, distinct }
}

/// A semantic space, and how many words the segments have.
#[derive(Clone, Debug, Default)]
pub struct Space {
    /// Its rows.
    pub rows: Vec<SemanticSpace>,
    /// Words of the segments.
    pub occurrences: usize,
    /// Different ones among them.
    pub distinct: usize,
}

/// The words of segments.
struct Counted {
    /// The most frequent words.
    words: Vec<String>,
    /// For each segment with any of them their numbers, ascending, and counts.
    segments: Vec<Vec<(u32, usize)>>,
    /// All words.
    occurrences: usize,
    /// Different ones among them.
    distinct: usize,
}

fn count(segments: &[Cow<'_, str>]) -> Counted {
    let found: Vec<HashMap<String, usize>> = segments
        .par_iter()
        .map(|segment| {
            let mut counts = HashMap::new();
            term_weighting::words(segment).for_each(|word| *counts.entry(word).or_default() += 1);
            counts
        })
        .collect();
    let mut totals: HashMap<&str, usize> = HashMap::new();
    for (word, count) in found.iter().flatten() {
        *totals.entry(word).or_default() += count;
    }
    let (occurrences, distinct) = (totals.values().sum(), totals.len());
    let mut totals: Vec<(&str, usize)> = totals.into_iter().collect();
    totals.sort_unstable_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then(a.cmp(b)));
    totals.truncate(MOST_WORDS);
    let numbers: HashMap<&str, u32> = (0..).zip(&totals).map(|(number, (word, _))| (*word, number)).collect();
    let counted = found.iter().map(|counts| {
        let numbered = counts.iter().filter_map(|(word, &count)| Some((*numbers.get(word.as_str())?, count)));
        let mut numbered: Vec<(u32, usize)> = numbered.collect();
        numbered.sort_unstable();
        numbered
    });
    Counted {
        segments: counted.filter(|counts| !counts.is_empty()).collect(),
        words: totals.into_iter().map(|(word, _)| word.to_owned()).collect(),
        occurrences,
        distinct,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(segments: &[&str]) -> Vec<SemanticSpace> {
        let segments: Vec<Cow<'_, str>> = segments.iter().map(|&segment| segment.into()).collect();
        semantic_space(&segments).rows
    }

    #[test]
    fn words_are_sorted_by_frequency_then_alphabet() {
        let space = space(&["b a. C c; b", "c a é", "...", "é b"]);
        let words: Vec<&str> = space.iter().map(|row| row.word.as_str()).collect();
        assert_eq!(words, ["b", "c", "a", "é"]);
        let idf = |containing: f64| 1.0 + (5.0 / (1.0 + containing)).ln();
        assert!(space.iter().all(|row| (row.idf - idf(2.0)).abs() < 1e-15));
    }

    #[test]
    fn loadings_of_two_segments_match_the_closed_form() {
        // Rows x = (1, 0) and y = (s, c) of unit length: AᵀA = xxᵀ + yyᵀ, whose leading eigenvector is (x + y)/‖x + y‖.
        let space = space(&["one", "one two two"]);
        let idf = 1.0 + 1.5f64.ln();
        assert_eq!(space[0].word, "one");
        assert!((space[0].idf - 1.0).abs() < 1e-15 && (space[1].idf - idf).abs() < 1e-15);
        let (one, two) = (1.0, (1.0 + 2f64.ln()) * idf);
        let length = f64::hypot(one, two);
        let sum = (1.0 + one / length, two / length);
        let expected = [sum.0 / f64::hypot(sum.0, sum.1), sum.1 / f64::hypot(sum.0, sum.1)];
        for (row, expected) in space.iter().zip(expected) {
            assert_eq!(row.loadings.len(), 2);
            assert!((row.loadings[0] - expected).abs() < 1e-12, "{} {} {expected}", row.word, row.loadings[0]);
        }
    }

    #[test]
    fn without_words_there_is_no_space() {
        assert!(space(&["1234", "..."]).is_empty());
        assert!(space(&[]).is_empty());
    }
}
