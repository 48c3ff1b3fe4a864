//! Files that another program wrote: what is valid is read, and what is not read is told apart from what is damaged.

use std::fs::{self, File};
use std::sync::Arc;

use arrow_array::builder::{Float32Builder, LargeListBuilder, ListBuilder};
use arrow_array::{ArrayRef, Float64Array, LargeStringArray, RecordBatch, UInt16Array, UInt32Array};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterVersion};
use schemas::attention::triangle;
use schemas::tables::{Attention, Checkpoints, TrainingLog};
use schemas::{Artifacts, Error, Partition, Table};
use tempfile::TempDir;

fn node() -> Partition {
    Partition::dataset("text8").run("run_0").seed(1).step(5)
}

fn study() -> (TempDir, Artifacts) {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::new(folder.path());
    (folder, artifacts)
}

/// Writes a table as another program does: its encodings, its Arrow schema, and no footer keys but those that are needed.
fn write<T: Table>(
    artifacts: &Artifacts,
    compression: Compression,
    version: WriterVersion,
    columns: Vec<(&str, ArrayRef)>,
) {
    let path = artifacts.path::<T>(&node()).unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let partition = serde_json::to_string(&node().only(T::KEYS)).unwrap();
    let footer = [("schema.name", T::NAME), ("schema.version", &T::VERSION.to_string()), ("partition", &partition)]
        .map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned()));
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_writer_version(version)
        .set_key_value_metadata(Some(footer.to_vec()));
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn any_supported_compression_and_page_version_is_read() {
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
    ];
    for codec in codecs {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let (_folder, artifacts) = study();
            let float = |values: [f64; 2]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("step", Arc::new(UInt32Array::from(vec![0, 10]))),
                ("loss", float([4.2, 4.0])),
                ("learning_rate", float([1e-3, 1e-3])),
                ("grad_norm", float([2.0, 1.5])),
            ];
            write::<TrainingLog>(&artifacts, codec, version, columns);
            let rows = artifacts.read::<TrainingLog>(&node()).unwrap().rows;
            assert_eq!(rows.iter().map(|row| (row.step, row.loss)).collect::<Vec<_>>(), [(0, 4.2), (10, 4.0)]);
        }
    }
}

/// As polars writes them: texts and lists with lengths of 64 bits, elements that could be null.
#[test]
fn large_types_are_read_as_what_they_are_in_parquet() {
    let (_folder, artifacts) = study();
    let (mut shape, mut values) = (
        LargeListBuilder::new(arrow_array::builder::UInt32Builder::new()),
        LargeListBuilder::new(Float32Builder::new()),
    );
    shape.append_value([Some(2)]);
    values.append_value([Some(0.5), Some(1.5)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("tensor", Arc::new(LargeStringArray::from(vec!["w"]))),
        ("shape", Arc::new(shape.finish())),
        ("values", Arc::new(values.finish())),
    ];
    write::<Checkpoints>(&artifacts, Compression::SNAPPY, WriterVersion::PARQUET_1_0, columns);
    let rows = artifacts.read::<Checkpoints>(&node()).unwrap().rows;
    assert_eq!(rows, [Checkpoints { tensor: "w".to_owned(), shape: vec![2], values: vec![0.5, 1.5] }]);
}

/// Attention of so many windows of three queries and two heads, with dictionaries, in one row group.
fn attention(artifacts: &Artifacts, windows: u16) -> Vec<f32> {
    let mut weights = ListBuilder::new(Float32Builder::new());
    let mut columns: [Vec<u16>; 4] = Default::default();
    let mut all = Vec::new();
    for window in 0..windows {
        for head in 0..2 {
            for query in 0..3 {
                let row: Vec<f32> = (0..=query).map(|key| f32::from(window + head + key) / 8.0).collect();
                weights.append_value(row.iter().map(|weight| Some(*weight)));
                all.extend(row);
                for (column, value) in columns.iter_mut().zip([window, 0, head, query]) {
                    column.push(value);
                }
            }
        }
    }
    let [window, layer, head, query] = columns.map(|column| Arc::new(UInt16Array::from(column)) as ArrayRef);
    let weights = Arc::new(weights.finish()) as ArrayRef;
    let columns = vec![("window", window), ("layer", layer), ("head", head), ("query", query), ("weights", weights)];
    write::<Attention>(artifacts, Compression::SNAPPY, WriterVersion::PARQUET_1_0, columns);
    all
}

#[test]
fn attention_in_any_encoding_is_read() {
    let (_folder, artifacts) = study();
    let weights = attention(&artifacts, 1);
    let window = artifacts.open::<Attention>(&node()).unwrap().window(0).unwrap();
    assert_eq!((window.layers, window.heads, window.queries), (1, 2, 3));
    assert_eq!(&window.weights[..], weights.as_slice());
    assert_eq!(window.weights.len(), 2 * triangle(3));
}

#[test]
fn several_windows_in_a_row_group_are_unsupported_and_not_damaged() {
    let (_folder, artifacts) = study();
    attention(&artifacts, 4);
    let error = artifacts.open::<Attention>(&node()).unwrap().window(0).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }));
    let said = error.to_string();
    assert!(
        said.contains("holds 4 windows") && said.contains("row groups of 6 rows") && !said.contains("damaged"),
        "{said}"
    );
}
