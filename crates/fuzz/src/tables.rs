//! Parquet files of every table.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::DataType;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::WriterProperties;
use schemas::attention::{Window, triangle};
use schemas::enums::Split;
use schemas::tables::*;
use schemas::{Artifacts, Column, Partition, Provenance, Table};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::{Target, scratch};

/// The first byte of an input says which table is expected, the rest is the file. Of most inputs the checksum is made right,
/// since otherwise nothing behind it would be reached.
pub const TARGET: Target = Target { read, seeds };

/// What is done with one table.
struct Of {
    read: fn(&[u8]),
    seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! every_table {
    ($($row:ident),+ $(,)?) => { &[$(Of { read: rows_of::<$row>, seeds: seeds_of::<$row> }),+] };
}

/// Attention first: the only table with a decoder of its own.
const TABLES: &[Of] = every_table![
    Attention,
    Corpus,
    Vocabulary,
    TextNotes,
    SemanticSpace,
    TrainingLog,
    Evaluations,
    SplitLosses,
    Timings,
    Tracking,
    Checkpoints,
    Optimizer,
    Windows,
    HeadOutputs,
    HeadMetrics,
    LayerMetrics,
    LayerSimilarity,
    Baselines,
    AttendedCharacters,
    Samples,
    SampleAttention,
    GeneratedAttention,
    SampleLayers,
    SampleScores,
    Correlations,
    Onsets,
    HeadMatches,
    Findings,
    Results,
    Lineage,
];

fn read(data: &[u8]) {
    let Some((table, file)) = data.split_first() else { return };
    // Half of the numbers are attention's.
    let table = usize::from(*table).checked_sub(128).map_or(0, |number| number % TABLES.len());
    let mut sealed = file.to_vec();
    if file.len() % 8 > 0 {
        seal(&mut sealed);
    }
    (TABLES[table].read)(&sealed);
    if table == 0 {
        windows(&sealed);
    }
}

/// Puts the right checksum where a footer has one: CRC-32 of all bytes, its own eight digits taken as zeros.
fn seal(file: &mut [u8]) {
    const BEFORE: &[u8] = b"crc32\x18\x08";
    let Some(position) = file.windows(BEFORE.len() + 8).rposition(|bytes| bytes.starts_with(BEFORE)) else { return };
    let digits = position + BEFORE.len()..position + BEFORE.len() + 8;
    file[digits.clone()].copy_from_slice(b"00000000");
    let mut sum = u32::MAX;
    for byte in file.iter() {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xEDB8_8320 } else { sum >> 1 };
        }
    }
    file[digits].copy_from_slice(format!("{:08x}", !sum).as_bytes());
}

fn everywhere() -> Partition {
    Partition::dataset("d").run("r").seed(1).step(5).split(Split::Val).stage("train")
}

fn place<T: Table>(file: &[u8]) -> Artifacts {
    let artifacts = Artifacts::new(scratch());
    let path = artifacts.path::<T>(&everywhere()).expect("every key has a value");
    if fs::write(&path, file).is_err() {
        fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a scratch folder");
        fs::write(&path, file).expect("a scratch file");
    }
    artifacts
}

fn rows_of<T: Table>(file: &[u8]) {
    let artifacts = place::<T>(file);
    if let Ok(loaded) = artifacts.read::<T>(&everywhere()) {
        let batch = T::to_batch(&loaded.rows);
        assert_eq!(batch.num_rows(), loaded.rows.len());
    }
}

fn windows(file: &[u8]) {
    let Ok(reader) = place::<Attention>(file).open::<Attention>(&everywhere()) else { return };
    for group in 0..reader.groups() {
        if let Ok(window) = reader.window(group) {
            assert_eq!(window.weights.len(), window.layers * window.heads * triangle(window.queries));
        }
    }
}

/// Files of a table as the pipeline writes them, and as another program may: not compressed, so that mutations reach the pages.
fn seeds_of<T: Table + DeserializeOwned>() -> Vec<Vec<u8>> {
    let artifacts = Artifacts::new(scratch());
    let path = artifacts.path::<T>(&everywhere()).expect("every key has a value");
    let provenance = Provenance::new("fuzz", 1, json!({"n_layer": 2}));
    if T::NAME == Attention::NAME {
        let mut writer = artifacts.create::<Attention>(&everywhere(), &provenance).expect("a scratch file");
        for window in 0..2 {
            let weights = vec![0.25; 2 * 2 * triangle(5)].into();
            writer.write_window(Window { window, layers: 2, heads: 2, queries: 5, weights }).expect("a scratch file");
        }
        writer.finish().expect("a scratch file");
    } else {
        let rows: Vec<T> =
            (0..5).map(|number| serde_json::from_value(row(&T::columns(), number)).expect("a row")).collect();
        artifacts.write(&everywhere(), &provenance, &rows).expect("a scratch file");
    }
    vec![fs::read(&path).expect("it was written"), rewritten(&path, true), rewritten(&path, false)]
}

fn rewritten(path: &Path, split: bool) -> Vec<u8> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).expect("a file")).expect("a table");
    let (schema, said) = (Arc::clone(reader.schema()), reader.metadata().file_metadata().key_value_metadata().cloned());
    let batches: Vec<RecordBatch> = reader.build().expect("a table").map(|batch| batch.expect("a batch")).collect();
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_key_value_metadata(said)
        .set_dictionary_enabled(!split);
    let floats = schema.fields().iter().all(|field| match field.data_type() {
        DataType::List(element) => element.data_type().is_floating(),
        other => other.is_numeric(),
    });
    if split && floats {
        properties = properties.set_encoding(Encoding::BYTE_STREAM_SPLIT);
    }
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(properties.build())).expect("properties");
    for batch in &batches {
        writer.write(batch).expect("in memory");
        writer.flush().expect("in memory");
    }
    writer.close().expect("in memory");
    bytes
}

fn row(columns: &[Column], number: u16) -> Value {
    let cell = |column: &Column| match column.words {
        [] if column.nullable && number % 2 == 1 => Value::Null,
        [] => value(&column.data_type, number),
        words => words[usize::from(number) % words.len()].into(),
    };
    Value::Object(columns.iter().map(|column| (column.name.to_owned(), cell(column))).collect::<Map<_, _>>())
}

fn value(data_type: &DataType, number: u16) -> Value {
    match data_type {
        DataType::Utf8 => format!("é{number}").into(),
        DataType::Binary => format!("é{number}").into_bytes().into(),
        DataType::Float32 | DataType::Float64 => (f64::from(number) / 4.0).into(),
        DataType::List(element) => (0..=number).map(|number| value(element.data_type(), number)).collect(),
        _ => number.into(),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let with = |(number, table): (usize, &Of)| {
        let first = u8::try_from(128 + number).expect("few tables");
        (table.seeds)().into_iter().map(|file| [vec![first], file].concat()).collect::<Vec<_>>()
    };
    TABLES.iter().enumerate().flat_map(with).collect()
}
