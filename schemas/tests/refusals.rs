//! What a reader refuses, and how it says so: path, what was expected, what was found, what to do.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{Float32Builder, ListBuilder, UInt16Builder, UInt32Builder};
use arrow_array::{ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray, UInt16Array, UInt32Array};
use arrow_schema::{DataType, Field};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use schemas::attention::{Window, triangle};
use schemas::enums::WindowKind;
use schemas::tables::{Attention, Checkpoints, Evaluations, TrainingLog, Windows};
use schemas::{Artifacts, Error, Partition, Provenance, Table};
use tempfile::TempDir;

const FOOTER: [(&str, &str); 3] = [
    ("schema.name", "training_log"),
    ("schema.version", "1"),
    ("partition", r#"{"dataset":"text8","run":"run_0","seed":1}"#),
];

fn node() -> Partition {
    Partition::dataset("text8").run("run_0").seed(1)
}

fn train() -> Provenance {
    Provenance::new("train", 1, serde_json::Value::Null)
}

fn log() -> TrainingLog {
    TrainingLog { step: 0, loss: 1.5, learning_rate: 1e-3, grad_norm: 0.5 }
}

fn study() -> (TempDir, Artifacts) {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::new(folder.path());
    (folder, artifacts)
}

/// The message of refusing a table's file, the file being called FILE.
fn refusal<T: Table + std::fmt::Debug>(artifacts: &Artifacts, partition: &Partition) -> String {
    let path = artifacts.path::<T>(partition).unwrap();
    artifacts.read::<T>(partition).unwrap_err().to_string().replace(&path.display().to_string(), "FILE")
}

/// A file that some other program wrote.
fn forge(path: &Path, footer: &[(&str, &str)], columns: Vec<(&str, ArrayRef)>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let pairs = footer.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), (*value).to_owned())).collect();
    let properties = WriterProperties::builder().set_key_value_metadata(Some(pairs)).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn forged(footer: &[(&str, &str)], columns: Vec<(&str, ArrayRef)>) -> String {
    let (_folder, artifacts) = study();
    forge(&artifacts.path::<TrainingLog>(&node()).unwrap(), footer, columns);
    refusal::<TrainingLog>(&artifacts, &node())
}

fn columns() -> Vec<(&'static str, ArrayRef)> {
    let float = || Arc::new(Float64Array::from(vec![0.5])) as ArrayRef;
    vec![
        ("step", Arc::new(UInt32Array::from(vec![0])) as ArrayRef),
        ("loss", float()),
        ("learning_rate", float()),
        ("grad_norm", float()),
    ]
}

#[test]
fn the_forgery_is_otherwise_readable() {
    let (_folder, artifacts) = study();
    forge(&artifacts.path::<TrainingLog>(&node()).unwrap(), &FOOTER, columns());
    assert_eq!(artifacts.read::<TrainingLog>(&node()).unwrap().rows.len(), 1);
}

#[test]
fn a_missing_file() {
    let (_folder, artifacts) = study();
    assert_eq!(
        refusal::<TrainingLog>(&artifacts, &node()),
        "FILE is missing: `train or import` writes the table `training_log`, so run that stage first"
    );
}

#[test]
fn another_table() {
    let (_folder, artifacts) = study();
    artifacts.write(&node(), &train(), &[log()]).unwrap();
    let target = artifacts.path::<Evaluations>(&node()).unwrap();
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    fs::copy(artifacts.path::<TrainingLog>(&node()).unwrap(), target).unwrap();
    assert_eq!(
        refusal::<Evaluations>(&artifacts, &node()),
        "FILE holds `training_log` version 1, and this program reads `evaluations` version 1: rerun `train or \
         import`, or read it with the release that wrote it"
    );
}

#[test]
fn another_version() {
    let footer = FOOTER.map(|(key, value)| (key, if key == "schema.version" { "2" } else { value }));
    assert_eq!(
        forged(&footer, columns()),
        "FILE holds `training_log` version 2, and this program reads `training_log` version 1: correct it as \
         docs/foreign-tables.md describes"
    );
}

#[test]
fn no_table_of_ours() {
    assert_eq!(
        forged(&[], columns()),
        "FILE holds no table of this pipeline (its footer has no schema.name and schema.version), and this program reads \
         `training_log` version 1: correct it as docs/foreign-tables.md describes"
    );
}

#[test]
fn another_place() {
    let (_folder, artifacts) = study();
    artifacts.write(&node(), &train(), &[log()]).unwrap();
    let elsewhere = Partition::dataset("text8").run("run_0").seed(2);
    let target = artifacts.path::<TrainingLog>(&elsewhere).unwrap();
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    fs::copy(artifacts.path::<TrainingLog>(&node()).unwrap(), target).unwrap();
    assert_eq!(
        refusal::<TrainingLog>(&artifacts, &elsewhere),
        "FILE says in its footer that it belongs to {\"dataset\":\"text8\",\"run\":\"run_0\",\"seed\":1}: it was moved \
         here by hand; rerun `train or import`"
    );
    assert_eq!(
        forged(&FOOTER[..2], columns()),
        "FILE says in its footer that it belongs to nothing: correct it as docs/foreign-tables.md describes"
    );
}

#[test]
fn a_column_of_another_type() {
    let mut wrong = columns();
    wrong[1].1 = Arc::new(Float32Array::from(vec![0.5]));
    assert_eq!(
        forged(&FOOTER, wrong),
        "FILE, column `loss`: expected float64, found float32: correct it as docs/foreign-tables.md describes"
    );
}

#[test]
fn a_column_of_another_name_and_one_that_is_missing() {
    let mut wrong = columns();
    wrong[3].0 = "gradient_norm";
    assert_eq!(
        forged(&FOOTER, wrong),
        "FILE, column `grad_norm`: expected it as column 3, found `gradient_norm` there: correct it as docs/foreign-tables.md describes"
    );
    let mut wrong = columns();
    wrong.pop();
    assert_eq!(
        forged(&FOOTER, wrong),
        "FILE, column `grad_norm`: expected float64, found no such column: correct it as docs/foreign-tables.md describes"
    );
}

#[test]
fn nulls_where_none_may_be() {
    let mut wrong = columns();
    wrong[1].1 = Arc::new(Float64Array::from(vec![None]));
    assert_eq!(
        forged(&FOOTER, wrong),
        "FILE, column `loss`: expected a value in every row, found nulls: correct it as docs/foreign-tables.md describes"
    );
}

#[test]
fn a_word_that_the_column_may_not_hold() {
    let (_folder, artifacts) = study();
    let partition = node().step(5);
    let footer = [
        ("schema.name", "windows"),
        ("schema.version", "1"),
        ("partition", r#"{"dataset":"text8","run":"run_0","seed":1}"#),
    ];
    let with_kinds = |kinds: [&str; 2]| {
        let mut tokens =
            ListBuilder::new(UInt16Builder::new()).with_field(Field::new("element", DataType::UInt16, false));
        tokens.append_value([Some(1)]);
        tokens.append_value([Some(2)]);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("window", Arc::new(UInt16Array::from(vec![0, 1]))),
            ("kind", Arc::new(StringArray::from(kinds.to_vec()))),
            ("start", Arc::new(UInt32Array::from(vec![0, 0]))),
            ("tokens", Arc::new(tokens.finish())),
            ("text", Arc::new(StringArray::from(vec!["a", "b"]))),
        ];
        forge(&artifacts.path::<Windows>(&partition).unwrap(), &footer, columns);
    };
    with_kinds(["val", "repeat"]);
    let kinds: Vec<_> = artifacts.read::<Windows>(&partition).unwrap().rows.iter().map(|row| row.kind).collect();
    assert_eq!(kinds, [WindowKind::Val, WindowKind::Repeat]);
    with_kinds(["val", "test"]);
    assert_eq!(
        refusal::<Windows>(&artifacts, &partition),
        "FILE, column `kind`: expected one of `val`, `repeat`, found `test`: correct it as docs/foreign-tables.md describes"
    );
}

#[test]
fn nulls_inside_a_list() {
    let (_folder, artifacts) = study();
    let partition = node().step(5);
    let mut shape = ListBuilder::new(UInt32Builder::new());
    shape.append_value([Some(1), None]);
    let mut values = ListBuilder::new(Float32Builder::new());
    values.append_value([Some(0.5)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("tensor", Arc::new(StringArray::from(vec!["w"]))),
        ("shape", Arc::new(shape.finish())),
        ("values", Arc::new(values.finish())),
    ];
    let footer = [
        ("schema.name", "checkpoints"),
        ("schema.version", "1"),
        ("partition", r#"{"dataset":"text8","run":"run_0","seed":1,"step":5}"#),
    ];
    forge(&artifacts.path::<Checkpoints>(&partition).unwrap(), &footer, columns);
    assert_eq!(
        refusal::<Checkpoints>(&artifacts, &partition),
        "FILE, column `shape`: expected a value in every row, found nulls: correct it as docs/foreign-tables.md describes"
    );
}

#[test]
fn garbage_and_every_truncation() {
    let (_folder, artifacts) = study();
    artifacts.write(&node(), &Provenance::default(), &[log(), log()]).unwrap();
    let path = artifacts.path::<TrainingLog>(&node()).unwrap();
    let whole = fs::read(&path).unwrap();
    let cuts = (0..whole.len()).step_by(7).map(|length| whole[..length].to_vec());
    for damaged in cuts.chain([b"step,loss\n0,4.2\n".to_vec(), vec![0; 4096], b"PAR1PAR1".to_vec()]) {
        fs::write(&path, &damaged).unwrap();
        let refused = refusal::<TrainingLog>(&artifacts, &node());
        assert!(refused.starts_with("FILE is damaged ("), "{} bytes: {refused}", damaged.len());
        assert!(
            refused.ends_with("): restore it from a copy, or move it away and rerun `train or import`"),
            "{} bytes: {refused}",
            damaged.len()
        );
    }
}

/// A checkpoint, and attention of one window, as the stages write them.
fn two_files(artifacts: &Artifacts) -> [PathBuf; 2] {
    let tensor = Checkpoints { tensor: "w".to_owned(), shape: vec![2, 3], values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };
    let (partition, made) = (node().step(5), Provenance::new("train", 1, serde_json::Value::Null));
    artifacts.write(&partition, &made, &[tensor.clone(), tensor]).unwrap();
    let window = Window { window: 0, layers: 1, heads: 2, queries: 9, weights: vec![0.5; 2 * triangle(9)].into() };
    let mut writer = artifacts.create::<Attention>(&partition, &made).unwrap();
    writer.write_window(window).unwrap();
    writer.finish().unwrap();
    [artifacts.path::<Checkpoints>(&partition).unwrap(), artifacts.path::<Attention>(&partition).unwrap()]
}

fn flip_each_byte(path: &Path, flips: &[u8], check: impl Fn(usize)) {
    let whole = fs::read(path).unwrap();
    for position in 0..whole.len() {
        for flip in flips {
            let mut damaged = whole.clone();
            damaged[position] ^= flip;
            fs::write(path, &damaged).unwrap();
            check(position);
        }
    }
    fs::write(path, whole).unwrap();
}

#[test]
fn a_flipped_byte_anywhere_is_refused_and_the_file_named() {
    let (_folder, artifacts) = study();
    let [checkpoint, attention] = two_files(&artifacts);
    let partition = node().step(5);
    let refused = |path: &Path, opened: Result<(), Error>, position: usize| {
        let error = opened.expect_err(&format!("byte {position} is another")).to_string();
        assert!(error.contains(&*path.to_string_lossy()), "byte {position}: {error}");
    };
    flip_each_byte(&checkpoint, &[0x01, 0xff], |position| {
        refused(&checkpoint, artifacts.open::<Checkpoints>(&partition).map(drop), position);
    });
    flip_each_byte(&attention, &[0x01, 0xff], |position| {
        refused(&attention, artifacts.open::<Attention>(&partition).map(drop), position);
    });
    artifacts.read::<Checkpoints>(&partition).unwrap();
    artifacts.open::<Attention>(&partition).unwrap().window(0).unwrap();
}

#[test]
fn the_checksum_is_of_the_whole_file_with_its_own_digits_as_zeros() {
    let (_folder, artifacts) = study();
    for path in two_files(&artifacts) {
        let mut bytes = fs::read(path).unwrap();
        let digits = bytes.windows(7).position(|bytes| bytes == b"crc32\x18\x08").unwrap() + 7;
        let said = String::from_utf8(bytes[digits..digits + 8].to_vec()).unwrap();
        bytes[digits..digits + 8].copy_from_slice(b"00000000");
        assert_eq!(said, format!("{:08x}", crc32fast::hash(&bytes)));
    }
}

/// Files of before have no checksum: a flipped byte may go unnoticed, but it must not end the program. (The decoder's own panics
/// are caught and told as damage.)
#[test]
fn without_a_checksum_a_flipped_byte_is_never_a_panic() {
    let (_folder, artifacts) = study();
    let [checkpoint, attention] = two_files(&artifacts);
    for path in [&checkpoint, &attention] {
        let mut bytes = fs::read(path).unwrap();
        let replace = |bytes: &mut Vec<u8>, old: &[u8], new: &[u8]| {
            let position = bytes.windows(old.len()).position(|bytes| bytes == old).unwrap();
            bytes[position..position + old.len()].copy_from_slice(new);
        };
        replace(&mut bytes, b"crc32\x18\x08", b"other\x18\x08");
        fs::write(path, &bytes).unwrap();
        let reader = artifacts.open::<Checkpoints>(&node().step(5)).map(drop);
        assert!(path != &checkpoint || reader.unwrap_err().to_string().contains("its footer has no checksum"));
        replace(&mut bytes, b"train 1", b"train .");
        fs::write(path, &bytes).unwrap();
    }
    let partition = node().step(5);
    artifacts.read::<Checkpoints>(&partition).unwrap();
    let quiet = |read: &(dyn Fn() + std::panic::RefUnwindSafe), position: usize| {
        assert!(std::panic::catch_unwind(read).is_ok(), "byte {position}");
    };
    flip_each_byte(&checkpoint, &[0x01, 0x80, 0xff], |position| {
        quiet(&|| drop(artifacts.read::<Checkpoints>(&partition)), position);
    });
    flip_each_byte(&attention, &[0x01, 0x80, 0xff], |position| {
        quiet(&|| drop(artifacts.open::<Attention>(&partition).map(|reader| reader.window(0))), position);
    });
}
