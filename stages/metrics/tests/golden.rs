//! Every column against an independent implementation in NumPy (`python/metrics_golden.py`): the same attention rows give
//! the same metrics.

#[expect(dead_code, reason = "these snapshots are read, not drawn")]
mod snapshots;

use schemas::enums::WindowKind;
use schemas::tables::{
    AttendedCharacters, Baselines, HeadMetrics, HeadOutputs, LayerMetrics, LayerSimilarity, Windows,
};
use schemas::{Artifacts, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use snapshots::{Head, Snapshots, node, run};

/// Whichever is larger: both compute in float64, in another order.
const ABSOLUTE: f64 = 1e-9;
const RELATIVE: f64 = 1e-6;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    layers: usize,
    heads: usize,
    windows: Vec<Window>,
    output_norms: Vec<Norm>,
    head_metrics: Vec<Map<String, Value>>,
    layer_metrics: Vec<Map<String, Value>>,
    layer_similarity: Vec<Map<String, Value>>,
    attended_characters: Vec<Map<String, Value>>,
    baselines: Map<String, Value>,
}

#[derive(Deserialize)]
struct Window {
    kind: WindowKind,
    tokens: Vec<u16>,
    /// `[layer, head, query, key]`.
    attention: Vec<Vec<Head>>,
}

#[derive(Deserialize)]
struct Norm {
    layer: u16,
    head: u16,
    output_norm: f64,
}

impl Case {
    /// The case as the stage reads it, at one step.
    fn snapshots(&self) -> Snapshots {
        let window = |(number, window): (usize, &Window)| Windows {
            window: number as u16,
            kind: window.kind,
            start: 0,
            tokens: window.tokens.clone(),
            text: String::new(),
        };
        let norm =
            |norm: &Norm| HeadOutputs { step: 0, layer: norm.layer, head: norm.head, output_norm: norm.output_norm };
        Snapshots {
            steps: vec![0],
            layers: self.layers,
            heads: self.heads,
            windows: self.windows.iter().enumerate().map(window).collect(),
            attention: vec![self.windows.iter().map(|window| window.attention.clone()).collect()],
            head_outputs: self.output_norms.iter().map(norm).collect(),
        }
    }
}

/// Compares each row of a table with the expected values, column by column.
#[track_caller]
fn compare<T: Table + Serialize>(artifacts: &Artifacts, expected: &[Map<String, Value>]) {
    let rows = artifacts.read::<T>(&node()).expect("a table").rows;
    assert_eq!(rows.len(), expected.len(), "rows of {}", T::NAME);
    for (row, expected) in rows.iter().zip(expected) {
        let row = serde_json::to_value(row).expect("plain data");
        for (column, expected) in expected {
            near(&format!("{} of {row}", column), &row[column], expected);
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

#[test]
fn the_same_rows_give_the_same_metrics() {
    let golden: Golden = serde_json::from_str(include_str!("golden/attention.json")).expect("a golden file");
    assert_eq!(golden.cases.len(), 5);
    for case in &golden.cases {
        let folder = tempfile::tempdir().expect("a folder");
        case.snapshots().write(folder.path());
        run(folder.path(), &["--steps", "0", "--layer-similarity", "true"]).expect("a run");
        let artifacts = Artifacts::new(folder.path());
        compare::<HeadMetrics>(&artifacts, &case.head_metrics);
        compare::<LayerMetrics>(&artifacts, &case.layer_metrics);
        compare::<LayerSimilarity>(&artifacts, &case.layer_similarity);
        compare::<AttendedCharacters>(&artifacts, &case.attended_characters);
        let baselines = artifacts.read::<Baselines>(&node()).expect("baselines").rows;
        assert_eq!(baselines.len(), case.baselines.len());
        for row in baselines {
            near(&row.metric, &row.value.into(), &case.baselines[&row.metric]);
        }
    }
}
