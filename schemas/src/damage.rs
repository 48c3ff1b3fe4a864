//! Damaged files, for tests of what a reader accepts and refuses. No stage uses it.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, ArrayRef, Float32Array, ListArray, RecordBatch, UInt8Array};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use serde_json::{Map, Value, json};

use crate::write::properties;
use crate::{checksum, footer};

/// What is done to a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Damage {
    /// Its second half is cut off.
    Truncated,
    /// One byte is another, in the middle of a column's pages.
    ByteInPages,
    /// One byte is another, in the middle of the footer.
    ByteInFooter,
    /// Its footer says another table.
    OtherTable,
    /// Its footer says the next version of its table.
    NextVersion,
    /// Its footer says another step, seed or dataset than its path.
    OtherPlace,
    /// Its last column is missing; a lone column has another name.
    ColumnMissing,
    /// It has one more column, after the others.
    ColumnAdded,
    /// It has no rows.
    Empty,
    /// The first number of its lists of float32 is NaN.
    NotFinite,
}

/// Damages a table's file in place. What the damage does not concern stays: columns, row groups, footer metadata.
///
/// # Errors
/// The file is no table, or cannot be written.
pub fn damage(path: &Path, damage: Damage) -> Result<(), Box<dyn Error>> {
    let flip = |position: usize| {
        let mut bytes = fs::read(path)?;
        bytes[position] ^= 0x10;
        Ok(fs::write(path, bytes)?)
    };
    match damage {
        Damage::Truncated => {
            let bytes = fs::read(path)?;
            Ok(fs::write(path, &bytes[..bytes.len() / 2])?)
        }
        Damage::ByteInPages => {
            let metadata = metadata(path)?;
            let column = metadata.row_groups().iter().flat_map(|group| group.columns()).next_back();
            // A file without row groups has its magic number before the footer.
            let (start, length) = column.map_or((0, 4), |column| column.byte_range());
            flip(usize::try_from(start + length / 2)?)
        }
        Damage::ByteInFooter => {
            let bytes = fs::read(path)?;
            let tail = bytes.len() - 8;
            let length = u32::from_le_bytes(bytes[tail..tail + 4].try_into()?);
            flip(tail - usize::try_from(length / 2)?)
        }
        _ => rewrite(path, path, Some(damage)),
    }
}

/// Gives a table's file the rows of another file of the same table, as if the other had been published in its place.
///
/// # Errors
/// A file is no table, or cannot be written.
pub fn replace_rows(path: &Path, by: &Path) -> Result<(), Box<dyn Error>> {
    rewrite(path, by, None)
}

/// Writes a file with the rows of another, or its own, and with a damage.
fn rewrite(path: &Path, rows: &Path, damage: Option<Damage>) -> Result<(), Box<dyn Error>> {
    let said = metadata(path)?.file_metadata().key_value_metadata().cloned().unwrap_or_default();
    let said = said.into_iter().map(|pair| pair_with(pair, damage)).collect();
    let open = || ParquetRecordBatchReaderBuilder::try_new(File::open(rows)?).map_err(Box::<dyn Error>::from);
    let unknown = Arc::new(Field::new("unknown", DataType::UInt8, false));
    let columns = Arc::new(Schema::new(edited(open()?.schema().fields(), damage, unknown)));
    let metadata = Arc::clone(open()?.metadata());
    let mut groups = Vec::new();
    for group in 0..metadata.num_row_groups() {
        let rows = usize::try_from(metadata.row_group(group).num_rows())?;
        let batches = open()?.with_row_groups(vec![group]).with_batch_size(rows.max(1)).build()?;
        for batch in batches {
            let batch = batch?;
            let unknown: ArrayRef = Arc::new(UInt8Array::from(vec![0; batch.num_rows()]));
            let mut arrays = edited(batch.columns(), damage, unknown);
            if damage == Some(Damage::NotFinite) {
                arrays.iter_mut().for_each(first_is_nan);
            }
            groups.push(RecordBatch::try_new(Arc::clone(&columns), arrays)?);
        }
    }

    let properties = properties(&columns).set_key_value_metadata(Some(said)).build();
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
    let mut writer = ArrowWriter::try_new(file, columns, Some(properties))?;
    for group in groups.iter().filter(|_| damage != Some(Damage::Empty)) {
        writer.write(group)?;
        writer.flush()?;
    }
    // What is wrong with the file is the damage, not its checksum.
    checksum::reseal(&mut writer.into_inner()?)?;
    Ok(())
}

fn metadata(path: &Path) -> Result<Arc<ParquetMetaData>, Box<dyn Error>> {
    Ok(Arc::clone(ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.metadata()))
}

/// The columns of the damaged file, or their arrays.
fn edited<T: Clone>(columns: &[T], damage: Option<Damage>, unknown: T) -> Vec<T> {
    let kept = columns.len() - usize::from(damage == Some(Damage::ColumnMissing));
    let mut edited = columns[..kept].to_vec();
    if damage == Some(Damage::ColumnAdded) || edited.is_empty() {
        edited.push(unknown);
    }
    edited
}

fn first_is_nan(array: &mut ArrayRef) {
    let Some(lists) = array.as_any().downcast_ref::<ListArray>() else { return };
    let Some(values) = lists.values().as_primitive_opt::<Float32Type>() else { return };
    let mut values = values.values().to_vec();
    values.iter_mut().take(1).for_each(|value| *value = f32::NAN);
    let DataType::List(element) = lists.data_type() else { return };
    let values = Arc::new(Float32Array::from(values));
    *array = Arc::new(ListArray::new(Arc::clone(element), lists.offsets().clone(), values, lists.nulls().cloned()));
}

fn pair_with(mut pair: KeyValue, damage: Option<Damage>) -> KeyValue {
    let value = pair.value.clone().unwrap_or_default();
    match damage {
        Some(Damage::NextVersion) if pair.key == footer::VERSION => {
            pair.value = Some((value.parse::<u32>().unwrap_or_default() + 1).to_string());
        }
        Some(Damage::OtherTable) if pair.key == footer::NAME => pair.value = Some(format!("other_{value}")),
        Some(Damage::OtherPlace) if pair.key == footer::PARTITION => pair.value = Some(elsewhere(&value)),
        _ => {}
    }
    pair
}

/// A partition that differs in its last key of these.
fn elsewhere(partition: &str) -> String {
    let mut keys: Map<String, Value> = serde_json::from_str(partition).unwrap_or_default();
    let next = |number: &Value| json!(number.as_u64().unwrap_or_default() + 1);
    if let Some(number) = keys.get("step").or_else(|| keys.get("seed")).map(next) {
        let key = if keys.contains_key("step") { "step" } else { "seed" };
        keys.insert(key.to_owned(), number);
    } else {
        keys.insert("dataset".to_owned(), json!("another"));
    }
    Value::Object(keys).to_string()
}
