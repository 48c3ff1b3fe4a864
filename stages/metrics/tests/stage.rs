//! The stage on small tables: its outputs, reruns, and the errors of invalid inputs.

mod snapshots;

use std::fs;
use std::path::Path;
use std::process::Command;

use declarations::metrics::Metrics;
use declarations::{Kind, Stage};
use schemas::tables::{
    AttendedCharacters, Attention, Baselines, HeadMetrics, HeadOutputs, LayerMetrics, LayerSimilarity, Windows,
};
use schemas::{Artifacts, Measure, Table, Uniform};
use snapshots::{Snapshots, arguments, node, run};

const ALL: [&str; 4] = ["--steps", "0,100", "--layer-similarity", "true"];

fn written(snapshots: &Snapshots) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    snapshots.write(folder.path());
    folder
}

fn bytes<T: Table>(root: &Path) -> Vec<u8> {
    fs::read(Artifacts::new(root).path::<T>(&node()).expect("a path")).expect("a file")
}

fn all_bytes(root: &Path) -> [Vec<u8>; 5] {
    [
        bytes::<HeadMetrics>(root),
        bytes::<LayerMetrics>(root),
        bytes::<LayerSimilarity>(root),
        bytes::<Baselines>(root),
        bytes::<AttendedCharacters>(root),
    ]
}

/// Runs on invalid snapshots and returns the message.
fn fault(snapshots: &Snapshots) -> String {
    let folder = written(snapshots);
    let fault = run(folder.path(), &ALL).expect_err("a fault");
    assert_eq!(fault.kind(), Kind::Input, "{fault}");
    assert!(!Artifacts::new(folder.path()).has::<HeadMetrics>(&node()), "nothing is written");
    assert!(fault.to_string().contains(&*folder.path().to_string_lossy()), "{fault} names its file");
    fault.to_string()
}

#[test]
fn bytes_depend_neither_on_the_run_nor_on_threads() {
    let folder = written(&Snapshots::random(3, 4, 24, 3, 12, 2));
    let on_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| run(folder.path(), &ALL)).expect("a run");
        all_bytes(folder.path())
    };
    let one = on_threads(1);
    assert!(one == on_threads(1), "a rerun writes the same bytes");
    assert!(one == on_threads(3), "three threads write the same bytes");
}

#[test]
fn footers_say_from_what_and_how() {
    let folder = written(&Snapshots::random(2, 2, 8, 2, 4, 1));
    run(folder.path(), &ALL).expect("a run");
    let artifacts = Artifacts::new(folder.path());
    let heads = artifacts.read::<HeadMetrics>(&node()).expect("head_metrics").provenance;
    assert_eq!(heads.producer, format!("metrics {}", Metrics::VERSION));
    assert_eq!(heads.config, serde_json::json!({"steps": "0,100", "layer_similarity": true}));
    let paths: Vec<_> = heads.inputs.iter().map(|source| source.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "attention/dataset=d/run=run_2/seed=7/step=0/attention.parquet",
            "attention/dataset=d/run=run_2/seed=7/step=100/attention.parquet",
            "windows/dataset=d/run=run_2/seed=7/windows.parquet",
        ]
    );
    let layers = artifacts.read::<LayerMetrics>(&node()).expect("layer_metrics").provenance;
    assert!(layers.inputs.contains(&artifacts.source::<HeadOutputs>(&node()).expect("head_outputs")));
    let baselines = artifacts.read::<Baselines>(&node()).expect("baselines");
    assert_eq!(baselines.provenance.inputs, [artifacts.source::<Windows>(&node()).expect("windows")]);
    let with_baseline = |measure: &&Measure<HeadMetrics>| measure.quantity.uniform == Uniform::Baselines;
    assert_eq!(baselines.rows.len(), HeadMetrics::MEASURES.iter().filter(with_baseline).count());
}

#[test]
fn layer_similarity_is_optional() {
    let folder = written(&Snapshots::random(2, 2, 8, 2, 4, 1));
    run(folder.path(), &["--steps", "100"]).expect("a run");
    let artifacts = Artifacts::new(folder.path());
    assert!(!artifacts.has::<LayerSimilarity>(&node()));
    let rows = artifacts.read::<HeadMetrics>(&node()).expect("head_metrics").rows;
    assert!(rows.len() == 4 && rows.iter().all(|row| row.step == 100));
    assert!(arguments(folder.path(), &["--steps", "0", "--layer-similarity"]).parameters.layer_similarity);
}

#[test]
fn one_head_and_one_layer_are_no_error() {
    let folder = written(&Snapshots::random(1, 1, 8, 2, 4, 1));
    run(folder.path(), &ALL).expect("a run");
    let artifacts = Artifacts::new(folder.path());
    assert!(artifacts.read::<LayerSimilarity>(&node()).expect("layer_similarity").rows.is_empty());
    for row in artifacts.read::<LayerMetrics>(&node()).expect("layer_metrics").rows {
        assert_eq!((row.head_variance, row.head_js_divergence, row.dominant_head_share), (0.0, 0.0, 1.0));
    }
}

#[test]
fn windows_of_one_character_leave_nothing_to_average() {
    let folder = written(&Snapshots::random(2, 2, 1, 2, 4, 0));
    run(folder.path(), &ALL).expect("a run");
    let artifacts = Artifacts::new(folder.path());
    assert!(artifacts.read::<HeadMetrics>(&node()).expect("head_metrics").rows.is_empty());
    assert!(artifacts.read::<LayerMetrics>(&node()).expect("layer_metrics").rows.is_empty());
    assert!(artifacts.read::<Baselines>(&node()).expect("baselines").rows.is_empty());
}

#[test]
fn heads_that_add_nothing_share_equally() {
    let mut snapshots = Snapshots::random(1, 4, 8, 1, 4, 1);
    snapshots.head_outputs.iter_mut().for_each(|row| row.output_norm = 0.0);
    let folder = written(&snapshots);
    run(folder.path(), &ALL).expect("a run");
    let rows = Artifacts::new(folder.path()).read::<LayerMetrics>(&node()).expect("layer_metrics").rows;
    assert!(rows.iter().all(|row| row.dominant_head_share == 0.25));
}

#[test]
fn uniform_attention_gives_the_baselines() {
    let mut snapshots = Snapshots::random(2, 2, 30, 2, 15, 2);
    for row in snapshots.attention.iter_mut().flatten().flatten().flatten().flatten() {
        let keys = row.len();
        row.fill(1.0 / keys as f32);
    }
    let folder = written(&snapshots);
    run(folder.path(), &ALL).expect("a run");
    let artifacts = Artifacts::new(folder.path());
    let head = artifacts.read::<HeadMetrics>(&node()).expect("head_metrics").rows.remove(0);
    let columns = serde_json::to_value(head).expect("plain data");
    for row in artifacts.read::<Baselines>(&node()).expect("baselines").rows {
        let found = columns[&row.metric].as_f64().expect("a number");
        assert!((found - row.value).abs() < 1e-12, "{}: {found} is not {}", row.metric, row.value);
    }
    for row in artifacts.read::<AttendedCharacters>(&node()).expect("attended_characters").rows {
        // The weights were stored in float32.
        assert!((row.share - row.uniform_share).abs() < 1e-12, "token {}: {}", row.token, row.share);
    }
    for row in artifacts.read::<LayerSimilarity>(&node()).expect("layer_similarity").rows {
        assert_eq!((row.js_divergence, row.js_similarity, row.centered_cosine_similarity), (0.0, 1.0, 0.0));
    }
}

#[test]
fn the_order_of_heads_is_the_order_of_rows_and_nothing_else() {
    let mut snapshots = Snapshots::random(1, 3, 16, 2, 8, 1);
    let folder = written(&snapshots);
    run(folder.path(), &ALL).expect("a run");
    snapshots.attention.iter_mut().flatten().flatten().for_each(|heads| heads.reverse());
    let reversed = written(&snapshots);
    run(reversed.path(), &ALL).expect("a run");
    let read = |root: &Path| {
        let artifacts = Artifacts::new(root);
        let mut heads = artifacts.read::<HeadMetrics>(&node()).expect("head_metrics").rows;
        heads.iter_mut().for_each(|row| row.head = 0);
        (heads, artifacts.read::<LayerMetrics>(&node()).expect("layer_metrics").rows)
    };
    let ((heads, layers), (mut reversed_heads, reversed_layers)) = (read(folder.path()), read(reversed.path()));
    reversed_heads.chunks_mut(3).for_each(<[HeadMetrics]>::reverse);
    assert_eq!(heads, reversed_heads);
    for (layer, reversed) in layers.iter().zip(&reversed_layers) {
        assert!((layer.head_variance - reversed.head_variance).abs() < 1e-13);
        assert!((layer.head_js_divergence - reversed.head_js_divergence).abs() < 1e-13);
    }
}

#[test]
fn the_order_of_windows_changes_nothing() {
    let mut snapshots = Snapshots::random(3, 2, 16, 3, 8, 2);
    let folder = written(&snapshots);
    run(folder.path(), &ALL).expect("a run");
    // Two real texts change places, and two repeated blocks; their numbers stay where they are.
    for (one, other) in [(0, 2), (3, 4)] {
        snapshots.attention.iter_mut().for_each(|windows| windows.swap(one, other));
        snapshots.windows.swap(one, other);
    }
    (0..).zip(&mut snapshots.windows).for_each(|(number, window)| window.window = number);
    let swapped = written(&snapshots);
    run(swapped.path(), &ALL).expect("a run");
    same_but_for_rounding::<HeadMetrics>(folder.path(), swapped.path());
    same_but_for_rounding::<LayerMetrics>(folder.path(), swapped.path());
    same_but_for_rounding::<LayerSimilarity>(folder.path(), swapped.path());
    same_but_for_rounding::<AttendedCharacters>(folder.path(), swapped.path());
}

#[track_caller]
fn same_but_for_rounding<T: Table + serde::Serialize>(one: &Path, other: &Path) {
    let read = |root| Artifacts::new(root).read::<T>(&node()).expect("a table").rows;
    let (one, other): (Vec<T>, Vec<T>) = (read(one), read(other));
    assert!(!one.is_empty() && one.len() == other.len());
    for (one, other) in one.iter().zip(&other) {
        let values = [one, other].map(|row| serde_json::to_value(row).expect("plain data"));
        for (column, value) in values[0].as_object().expect("a row") {
            let (value, other) = (value.as_f64().expect("a number"), values[1][column].as_f64().expect("a number"));
            assert!((value - other).abs() < 1e-12, "{column}: {value} is not {other}");
        }
    }
}

#[test]
fn damaged_rows_are_named() {
    let mut snapshots = Snapshots::random(2, 2, 8, 2, 4, 1);
    let whole = snapshots.attention[1][1][1][0][5].clone();
    snapshots.attention[1][1][1][0][5][2] += 0.01;
    let message = fault(&snapshots);
    assert!(message.contains("step=100") && message.contains("window 1, layer 1, head 0, query 5"), "{message}");
    snapshots.attention[1][1][1][0][5] = whole;
    snapshots.attention[0][2][0][1][3][0] = f32::NAN;
    let message = fault(&snapshots);
    assert!(message.contains("step=0") && message.contains("window 2, layer 0, head 1, query 3"), "{message}");
}

#[test]
fn tables_that_do_not_fit_each_other_are_named() {
    let whole = || Snapshots::random(2, 2, 8, 2, 4, 1);

    let mut snapshots = whole();
    snapshots.head_outputs.remove(6);
    assert!(fault(&snapshots).contains("lacks the row of step 100, layer 1, head 0"));

    let mut snapshots = whole();
    snapshots.head_outputs[2].output_norm = f64::NAN;
    assert!(fault(&snapshots).contains("step 0, layer 1, head 0 says that a norm is NaN"));

    let mut snapshots = whole();
    snapshots.attention[1].remove(2);
    assert!(fault(&snapshots).contains("holds 2 windows where `windows` lists 3"));

    let mut snapshots = whole();
    snapshots.windows[2].tokens[0] = 99;
    assert!(fault(&snapshots).contains("window 2 is a `repeat`, but not of one block twice"));
}

#[test]
fn a_model_of_another_shape_is_named() {
    let folder = written(&Snapshots::random(2, 3, 8, 2, 4, 1));
    let mut other = Snapshots::random(2, 2, 8, 2, 4, 1);
    (other.steps, other.head_outputs) = (vec![100], written_norms(folder.path()));
    other.attention.truncate(1);
    other.windows = Artifacts::new(folder.path()).read::<Windows>(&node()).expect("windows").rows;
    other.write(folder.path());
    let fault = run(folder.path(), &ALL).expect_err("a fault").to_string();
    assert!(fault.contains("step=100") && fault.contains("window 0 has 2 layers of 2 heads"), "{fault}");
}

fn written_norms(root: &Path) -> Vec<HeadOutputs> {
    Artifacts::new(root).read::<HeadOutputs>(&node()).expect("head_outputs").rows
}

#[test]
fn windows_of_other_numbers_or_lengths_are_named() {
    let mut snapshots = Snapshots::random(2, 2, 8, 2, 4, 1);
    let folder = written(&snapshots);
    let rewrite = |windows: &[Windows]| {
        let provenance = schemas::Provenance::new("snapshot", 1, serde_json::json!({}));
        Artifacts::new(folder.path()).write(&node(), &provenance, windows).expect("windows");
        run(folder.path(), &ALL).expect_err("a fault").to_string()
    };
    snapshots.windows[1].window = 9;
    assert!(rewrite(&snapshots.windows).contains("is window 1 of 8 queries where `windows` has window 9"));
    snapshots.windows[1].window = 1;
    snapshots.windows[2].tokens = vec![1, 2, 1, 2];
    assert!(rewrite(&snapshots.windows).contains("where `windows` has window 2 of 4 characters"));
    snapshots.windows[0].tokens.push(0);
    assert!(rewrite(&snapshots.windows).contains("differ in length"));
}

#[test]
fn what_is_missing_is_said_with_the_stage_that_writes_it() {
    let folder = written(&Snapshots::random(1, 2, 8, 1, 4, 1));
    let fault = run(folder.path(), &["--steps", "0,50"]).expect_err("a fault");
    assert_eq!(fault.kind(), Kind::Input);
    assert!(fault.to_string().contains("step=50") && fault.to_string().contains("snapshot"), "{fault}");
    let path = Artifacts::new(folder.path()).path::<Attention>(&node().step(100)).expect("a path");
    let bytes = fs::read(&path).expect("a file");
    fs::write(&path, &bytes[..bytes.len() / 2]).expect("a file cut off");
    let fault = run(folder.path(), &ALL).expect_err("a fault");
    assert!(fault.to_string().contains("is damaged"), "{fault}");
}

#[test]
fn the_binary_tells_by_its_exit_code() {
    let folder = written(&Snapshots::random(1, 2, 8, 1, 4, 1));
    let run = |steps: &str| {
        let root = folder.path().to_str().expect("a path in Unicode");
        let line = ["--artifacts", root, "--dataset", "d", "--run", "run_2", "--seed", "7", "--steps", steps];
        let output = Command::new(env!("CARGO_BIN_EXE_metrics")).args(line).output().expect("a process");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(run("0,100").0, Some(0));
    assert_eq!(run("").0, Some(2));
    assert_eq!(run("0-x").0, Some(2));
    let (code, said) = run("3");
    assert!(code == Some(3) && said.starts_with("error: ") && said.contains("missing"), "{code:?}: {said}");
}
