//! A text in which every character is one of two that can follow the one before: its entropy rate is ln 2.

use std::path::Path;

use random_streams::RngExt;
use schemas::enums::Split;
use schemas::tables::{Corpus, Vocabulary};
use schemas::{Artifacts, Partition, Provenance};

pub(crate) const SYMBOLS: u16 = 11;

/// Writes the text as the dataset `cycle`.
pub(crate) fn write(root: &Path) {
    let artifacts = Artifacts::new(root);
    let dataset = Partition::dataset("cycle");
    let provenance = Provenance::new("prep", 1, serde_json::json!({}));
    let symbol = |token: u16| Vocabulary::row(token, vec![b'a' + token as u8], 1);
    let vocabulary: Vec<_> = (0..SYMBOLS).map(symbol).collect();
    artifacts.write(&dataset, &provenance, &vocabulary).expect("the vocabulary is written");
    let mut stream = random_streams::stream("a test's text", &[]);
    for (split, length) in [(Split::Train, 2000), (Split::Val, 300)] {
        let mut token = 0;
        let rows = (0..length).map(|_| {
            token = (token + stream.random_range(1..3)) % SYMBOLS;
            Corpus { token }
        });
        artifacts
            .write(&dataset.clone().split(split), &provenance, &rows.collect::<Vec<_>>())
            .expect("the text is written");
    }
}
