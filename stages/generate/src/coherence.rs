//! Coherence: the similarity of adjacent segments of a text by latent semantic analysis (Foltz, Kintsch & Landauer 1998).

use std::collections::{BTreeMap, HashMap};

use schemas::tables;

/// The latent semantic space of a dataset: its words with their inverse document frequencies and their loadings on the leading
/// right singular vectors of the segment × word matrix of the train split.
pub struct SemanticSpace {
    words: HashMap<String, (f64, Vec<f64>)>,
    dimensions: usize,
}

impl SemanticSpace {
    /// The space of a table.
    pub fn new(rows: Vec<tables::SemanticSpace>) -> Self {
        let dimensions = rows.iter().map(|row| row.loadings.len()).max().unwrap_or(0);
        Self { words: rows.into_iter().map(|row| (row.word, (row.idf, row.loadings))).collect(), dimensions }
    }

    /// The mean cosine similarity of adjacent segments of 100 characters, −1 to 1. A last segment of fewer than 50 characters is
    /// dropped; a pair with a zero vector counts as 0. `None` for fewer than two segments.
    pub fn coherence(&self, text: &str) -> Option<f64> {
        let vectors: Vec<Vec<f64>> =
            term_weighting::segments(text).into_iter().map(|segment| self.project(segment)).collect();
        let pairs = vectors.len().checked_sub(1).filter(|&pairs| pairs > 0)?;
        Some(vectors.windows(2).map(|pair| cosine(&pair[0], &pair[1])).sum::<f64>() / pairs as f64)
    }

    /// The TF-IDF vector of a segment, `(1 + ln count)·idf` scaled to unit length, projected on the loadings; zero if none of its
    /// words is in the space.
    fn project(&self, segment: &str) -> Vec<f64> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for word in term_weighting::words(segment) {
            *counts.entry(word).or_default() += 1;
        }
        let weighted: Vec<(f64, &[f64])> = counts
            .iter()
            .filter_map(|(word, &count)| {
                let (idf, loadings) = self.words.get(word)?;
                Some((term_weighting::term_weight(count) * idf, loadings.as_slice()))
            })
            .collect();
        let length = weighted.iter().map(|(weight, _)| weight * weight).sum::<f64>().sqrt();
        let mut vector = vec![0.0; self.dimensions];
        for (weight, loadings) in weighted {
            vector.iter_mut().zip(loadings).for_each(|(sum, loading)| *sum += weight / length * loading);
        }
        vector
    }
}

/// The cosine similarity of two vectors, −1 to 1; 0 if one is zero.
fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms == 0.0 { 0.0 } else { (dot(a, b) / norms).clamp(-1.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> SemanticSpace {
        let row = |word: &str, idf, loadings: [f64; 2]| tables::SemanticSpace {
            word: word.to_owned(),
            idf,
            loadings: loadings.to_vec(),
        };
        SemanticSpace::new(vec![
            row("king", 1.0, [1.0, 0.0]),
            row("crown", 2.0, [0.0, 1.0]),
            row("the", 1.0, [0.0, 0.0]),
        ])
    }

    fn padded(words: &str, length: usize) -> String {
        format!("{words}{}", ".".repeat(length - words.len()))
    }

    #[test]
    fn segments_are_projected_as_weighted_words() {
        // king twice: 1 + ln 2 at idf 1; crown once: 1 at idf 2; unknown words are outside the space.
        let (king, crown) = (1.0 + 2f64.ln(), 2.0);
        let vector = space().project("King, king of my crown");
        let length = king.hypot(crown);
        assert!((vector[0] - king / length).abs() < 1e-15 && (vector[1] - crown / length).abs() < 1e-15);
        assert_eq!(space().project("nobody knows"), [0.0, 0.0]);
    }

    #[test]
    fn coherence_is_the_mean_cosine_of_adjacent_segments() {
        let king = padded("king ", 100);
        let both = padded("king crown ", 100);
        let cosine = 1.0 / 5f64.sqrt();
        let coherence = space().coherence(&format!("{king}{both}{king}{king}")).expect("four segments");
        assert!((coherence - (2.0 * cosine + 1.0) / 3.0).abs() < 1e-15);
        // A segment of unknown words, or of words without loadings, is empty; a last one under 50 is dropped.
        let empty = padded("the ", 100);
        assert_eq!(space().coherence(&format!("{king}{empty}")), Some(0.0));
        assert_eq!(space().coherence(&format!("{king}{}", padded("king", 50))), Some(1.0));
        assert_eq!(space().coherence(&format!("{king}{}", padded("king", 49))), None);
        assert_eq!(space().coherence(""), None);
        assert_eq!(SemanticSpace::new(Vec::new()).coherence(&king.repeat(2)), Some(0.0));
    }
}
