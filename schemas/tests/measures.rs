//! What the tables declare of their measured columns.

use schemas::tables::{self, Baselines, Evaluations, HeadMetrics, LayerSimilarity, SampleScores, Tracking};
use schemas::{Quantity, Table, Uniform};

#[test]
fn a_measure_is_read_and_set_by_its_column() {
    let names: Vec<_> = LayerSimilarity::MEASURES.iter().map(|measure| measure.name()).collect();
    assert_eq!(names, ["js_divergence", "js_similarity", "cosine_similarity", "centered_cosine_similarity"]);
    let mut row = HeadMetrics { head: 3, ..HeadMetrics::default() };
    assert_eq!((HeadMetrics::entropy_nats.get)(&row), Some(0.0));
    assert_eq!((HeadMetrics::induction_score.get)(&row), None, "a null is no value");
    (HeadMetrics::entropy_nats.set)(&mut row, 2.5);
    (HeadMetrics::induction_score.set)(&mut row, 0.25);
    assert_eq!((row.head, row.entropy_nats, row.induction_score), (3, 2.5, Some(0.25)));
}

#[test]
fn a_name_means_the_same_in_every_table() {
    let mut known: Vec<Quantity> = Vec::new();
    for table in tables::all() {
        for column in &table.columns {
            let Some(quantity) = column.measure else { continue };
            assert_eq!((quantity.name, quantity.unit), (column.name, column.unit));
            assert!(!quantity.label.is_empty() && !quantity.higher.is_empty(), "{}", quantity.name);
            match known.iter().find(|known| known.name == quantity.name) {
                Some(same) => assert_eq!(
                    (same.label, same.unit, same.higher),
                    (quantity.label, quantity.unit, quantity.higher),
                    "{}",
                    quantity.name
                ),
                None => known.push(quantity),
            }
        }
    }
    let mut labels: Vec<_> = known.iter().map(|quantity| quantity.label).collect();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), known.len(), "two measures have one label");
}

#[test]
fn a_name_alone_finds_its_label() {
    let label = |name| tables::quantity(name).map(|quantity| (quantity.label, quantity.unit));
    assert_eq!(label("entropy_nats"), Some(("entropy", "nats")));
    assert_eq!(label("val_loss"), Some(("validation loss", "nats per character")));
    assert_eq!(label("js_divergence"), Some(("JS divergence of layers", "bits")));
    assert_eq!(label("queries"), None, "a count is no measure");
    assert_eq!(tables::quantity("span_90").expect("a measure").uniform, Uniform::Baselines);
    assert_eq!(tables::quantity("js_similarity").expect("a measure").uniform, Uniform::Value(1.0));
}

#[test]
fn keys_words_and_counts_are_no_measures() {
    assert_eq!(Baselines::MEASURES.len(), 0);
    let columns =
        [HeadMetrics::columns(), Evaluations::columns(), Tracking::columns(), SampleScores::columns()].concat();
    for column in columns.iter().filter(|column| column.measure.is_none()) {
        let key = ["step", "layer", "head", "sample", "source", "queries", "learning_rate"].contains(&column.name);
        assert!(key || column.name.ends_with("_stderr"), "{} has no label", column.name);
    }
}
