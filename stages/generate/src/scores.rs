//! The scores of a text.

use std::collections::HashMap;
use std::hash::Hash;
use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

/// Diversity: distinct n-grams over n-grams, 0 to 1 (Li et al. 2016). `None` for a text shorter than `n`.
pub fn distinct<T: Eq + Hash>(text: &[T], n: usize) -> Option<f64> {
    let counts = counts(text, n);
    let all = counts.values().sum::<usize>();
    (all > 0).then(|| counts.len() as f64 / all as f64)
}

/// The share of n-gram occurrences whose n-gram occurs more than once in the text, 0 to 1. `None` for a text shorter than
/// `n`.
pub fn repetition<T: Eq + Hash>(text: &[T], n: usize) -> Option<f64> {
    let counts = counts(text, n);
    let all = counts.values().sum::<usize>();
    let repeated: usize = counts.values().filter(|&&count| count > 1).sum();
    (all > 0).then(|| repeated as f64 / all as f64)
}

fn counts<T: Eq + Hash>(text: &[T], n: usize) -> HashMap<&[T], usize> {
    let mut counts = HashMap::new();
    for gram in text.windows(n) {
        *counts.entry(gram).or_default() += 1;
    }
    counts
}

/// Bytes of a text over bytes after zlib at level 9: higher is more repetitive. Other implementations than stock zlib give other
/// sizes. `None` for an empty text.
pub fn compression_ratio(text: &[u8]) -> Option<f64> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(9));
    let compressed = encoder.write_all(text).and_then(|()| encoder.finish());
    let compressed = compressed.expect("writing to memory does not fail").len();
    (!text.is_empty()).then(|| text.len() as f64 / compressed as f64)
}

/// The components of `quality`: distinct_4, repetition_8, coherence, compression_ratio, word_validity.
pub type Members = [Option<f64>; 5];

/// Mean and standard deviation of the components over real texts, which `quality` is measured in.
pub struct RealText {
    members: [Option<(f64, f64)>; 5],
}

impl RealText {
    /// The statistics of these texts. A component that does not vary over them is ignored, as is one that fewer than two have.
    pub fn new(texts: &[Members]) -> Self {
        let members = std::array::from_fn(|member| {
            let values: Vec<f64> = texts.iter().filter_map(|text| text[member]).collect();
            // Compared directly, since the mean of equal numbers can differ from them in the last bit.
            let differ = values.iter().any(|value| *value != values[0]);
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            differ.then(|| (mean, (squares / (values.len() as f64 - 1.0)).sqrt()))
        });
        Self { members }
    }

    /// `−mean_m |z_m|`, at most 0: `z_m` is the distance of component `m` from its mean over real texts, in standard deviations
    /// (ddof 1). Components that are null or ignored are left out; `None` if none is left. Real texts score about −0.8.
    pub fn quality(&self, text: &Members) -> Option<f64> {
        let distances: Vec<f64> = text
            .iter()
            .zip(&self.members)
            .filter_map(|(value, real)| Some((*value, *real)).and_then(|(value, real)| Some((value?, real?))))
            .map(|(value, (mean, deviation))| ((value - mean) / deviation).abs())
            .collect();
        (!distances.is_empty()).then(|| -distances.iter().sum::<f64>() / distances.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn characters(text: &str) -> Vec<char> {
        text.chars().collect()
    }

    #[test]
    fn grams_are_counted() {
        let text = characters("abababc");
        // ab ba ab ba ab bc: three distinct of six, five of which occur more than once.
        assert_eq!(distinct(&text, 2), Some(0.5));
        assert_eq!(repetition(&text, 2), Some(5.0 / 6.0));
        assert_eq!(distinct(&text, 1), Some(3.0 / 7.0));
        // abab baba abab babc
        assert_eq!((distinct(&text, 4), repetition(&text, 4)), (Some(0.75), Some(0.5)));
        assert_eq!((distinct(&text, 7), repetition(&text, 7)), (Some(1.0), Some(0.0)));
        assert_eq!((distinct(&text, 8), repetition(&text, 8)), (None, None));
        assert_eq!((distinct::<char>(&[], 1), repetition::<char>(&[], 1)), (None, None));
    }

    #[test]
    fn compression_is_that_of_stock_zlib() {
        // Sizes from Python's zlib.compress(text, 9).
        assert_eq!(compression_ratio(b"a"), Some(1.0 / 9.0));
        assert_eq!(compression_ratio(b"hello"), Some(5.0 / 13.0));
        assert_eq!(compression_ratio(&b"a".repeat(100)), Some(100.0 / 12.0));
        assert_eq!(compression_ratio("é".repeat(50).as_bytes()), Some(100.0 / 13.0));
        let mixed: Vec<u8> = (0u32..500).map(|i| 32 + ((i * i * 7 + i / 3) % 90) as u8).collect();
        assert_eq!(compression_ratio(&mixed), Some(500.0 / 149.0));
        assert_eq!(compression_ratio(b""), None);
    }

    #[test]
    fn quality_is_the_mean_distance_to_real_text() {
        // Means 2 and 10, standard deviations √2 and 2; the third component does not vary, one text has the fourth, none the
        // fifth.
        let real = RealText::new(&[
            [Some(1.0), Some(8.0), Some(0.1), Some(3.0), None],
            [Some(3.0), Some(10.0), Some(0.1), None, None],
            [None, Some(12.0), Some(0.1), None, None],
        ]);
        let quality = real.quality(&[Some(4.0), Some(9.0), Some(7.0), Some(1.0), Some(1.0)]).expect("two components");
        assert!((quality + (2f64.sqrt() + 0.5) / 2.0).abs() < 1e-15);
        assert_eq!(real.quality(&[None, Some(14.0), Some(0.0), None, None]), Some(-2.0));
        assert_eq!(real.quality(&[None, None, Some(0.0), Some(1.0), Some(1.0)]), None);
        assert_eq!(RealText::new(&[]).quality(&[Some(1.0); 5]), None);
    }

    proptest! {
        #[test]
        fn shares_are_shares(text in prop::collection::vec(0u16..4, 0..40), n in 1usize..6) {
            let known = text.len() >= n;
            for share in [distinct(&text, n), repetition(&text, n)] {
                prop_assert_eq!(share.is_some(), known);
                prop_assert!((0.0..=1.0).contains(&share.unwrap_or_default()));
            }
        }
    }
}
