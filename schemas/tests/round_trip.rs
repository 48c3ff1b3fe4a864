//! Every table with arbitrary rows: what is written is read again, the same rows make the same bytes, and the file is
//! compressed and encoded as the contract says.

use std::fs::{self, File};
use std::path::Path;

use arrow_schema::DataType;
use parquet::basic::{Compression, Encoding, Type};
use parquet::file::reader::{FileReader, SerializedFileReader};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use schemas::tables::*;
use schemas::{Artifacts, Column, Partition, Provenance, Table};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

macro_rules! every_table {
    ($($test:ident: $row:ident),+ $(,)?) => {
        $(#[test]
        fn $test() {
            comes_back::<$row>();
        })+

        #[test]
        fn no_table_is_left_out() {
            let tested = [$(<$row as Table>::NAME),+];
            let declared: Vec<_> = all().iter().map(|table| table.name).collect();
            assert_eq!(tested.as_slice(), declared);
        }
    };
}

every_table! {
    corpus: Corpus,
    vocabulary: Vocabulary,
    text_notes: TextNotes,
    semantic_space: SemanticSpace,
    training_log: TrainingLog,
    evaluations: Evaluations,
    split_losses: SplitLosses,
    timings: Timings,
    tracking: Tracking,
    checkpoints: Checkpoints,
    optimizer: Optimizer,
    attention: Attention,
    windows: Windows,
    head_outputs: HeadOutputs,
    head_metrics: HeadMetrics,
    layer_metrics: LayerMetrics,
    layer_similarity: LayerSimilarity,
    baselines: Baselines,
    attended_characters: AttendedCharacters,
    samples: Samples,
    sample_attention: SampleAttention,
    generated_attention: GeneratedAttention,
    sample_layers: SampleLayers,
    sample_scores: SampleScores,
    correlations: Correlations,
    onsets: Onsets,
    head_matches: HeadMatches,
    findings: Findings,
    results: Results,
    lineage: Lineage,
}

fn everywhere() -> Partition {
    Partition::dataset("text8").run("run_0").seed(1337).step(50).split(schemas::enums::Split::Val).stage("train")
}

fn comes_back<T: Table + DeserializeOwned + PartialEq + std::fmt::Debug>() {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::new(folder.path());
    let (partition, provenance) = (everywhere(), Provenance::new("test", 1, Value::Null));
    let path = artifacts.path::<T>(&partition).unwrap();
    let mut runner = TestRunner::new(Config { cases: 16, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&vec(row(T::columns()), 0..12), |cells| {
        let rows: Vec<T> = cells.into_iter().map(|row| serde_json::from_value(row).unwrap()).collect();
        artifacts.write(&partition, &provenance, &rows).unwrap();
        prop_assert_eq!(&artifacts.read::<T>(&partition).unwrap().rows, &rows);
        let bytes = fs::read(&path).unwrap();
        check_encoding(&path);
        artifacts.write(&partition, &provenance, &rows).unwrap();
        prop_assert!(bytes == fs::read(&path).unwrap(), "the same rows made other bytes");
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{}: {failure}", T::NAME));
}

/// A row as JSON, by the declaration of its columns.
fn row(columns: Vec<Column>) -> BoxedStrategy<Value> {
    let cells: Vec<_> = columns
        .iter()
        .map(|column| match column.words {
            [] => cell(&column.data_type, column.nullable),
            words => prop::sample::select(words).prop_map(Value::from).boxed(),
        })
        .collect();
    let names: Vec<_> = columns.into_iter().map(|column| column.name.to_owned()).collect();
    cells.prop_map(move |cells| Value::Object(names.iter().cloned().zip(cells).collect::<Map<_, _>>())).boxed()
}

fn cell(data_type: &DataType, nullable: bool) -> BoxedStrategy<Value> {
    use proptest::num::{f32, f64};
    let value = match data_type {
        DataType::UInt16 => any::<u16>().prop_map(Value::from).boxed(),
        DataType::UInt32 => any::<u32>().prop_map(Value::from).boxed(),
        DataType::UInt64 => any::<u64>().prop_map(Value::from).boxed(),
        DataType::Float32 => {
            (f32::NORMAL | f32::SUBNORMAL | f32::ZERO).prop_map(|value| Value::from(f64::from(value))).boxed()
        }
        DataType::Float64 => (f64::NORMAL | f64::SUBNORMAL | f64::ZERO).prop_map(Value::from).boxed(),
        DataType::Utf8 => any::<String>().prop_map(Value::from).boxed(),
        DataType::Binary => vec(any::<u8>(), 0..6).prop_map(Value::from).boxed(),
        DataType::List(element) => vec(cell(element.data_type(), false), 0..6).prop_map(Value::from).boxed(),
        other => panic!("the contract has no {other}"),
    };
    if nullable { prop_oneof![Just(Value::Null), value].boxed() } else { value }
}

/// zstd everywhere; floats, and a text's characters, split by byte and without a dictionary, which would have undone it.
fn check_encoding(path: &Path) {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    for column in reader.metadata().row_groups().iter().flat_map(|group| group.columns()) {
        let is_text = path.file_name().is_some_and(|name| name == "corpus.parquet");
        let name = column.column_path().string();
        assert!(matches!(column.compression(), Compression::ZSTD(_)), "{name} is {:?}", column.compression());
        if is_text || matches!(column.column_type(), Type::FLOAT | Type::DOUBLE) {
            let encodings: Vec<_> = column.encodings().collect();
            assert!(encodings.contains(&Encoding::BYTE_STREAM_SPLIT), "{name} is {encodings:?}");
            assert!(column.dictionary_page_offset().is_none(), "{name} has a dictionary");
        }
    }
}

#[test]
fn every_float_keeps_its_bits() {
    let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE / 2.0, f64::MAX];
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::new(folder.path());
    let rows = special.map(|value| Baselines { metric: "m".to_owned(), value });
    artifacts.write(&everywhere(), &Provenance::default(), &rows).unwrap();
    let read = artifacts.read::<Baselines>(&everywhere()).unwrap().rows;
    let bits: Vec<_> = read.iter().map(|row| row.value.to_bits()).collect();
    assert_eq!(bits, special.map(f64::to_bits));
}

#[test]
fn rows_written_in_parts_are_row_groups_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::new(folder.path());
    let rows: Vec<_> = (0..10).map(|token| Corpus { token }).collect();
    let mut writer = artifacts.create(&everywhere(), &Provenance::default()).unwrap();
    for part in rows.chunks(4) {
        writer.write(part).unwrap();
    }
    writer.finish().unwrap();
    let reader = artifacts.open::<Corpus>(&everywhere()).unwrap();
    assert_eq!((reader.groups(), reader.rows()), (3, 10));
    assert_eq!(reader.group(1).unwrap(), rows[4..8]);
    assert_eq!(artifacts.read::<Corpus>(&everywhere()).unwrap().rows, rows);
}
