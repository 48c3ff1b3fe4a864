//! Damaged files, for tests of what a reader accepts and refuses. No stage uses it.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt8Array};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;

use crate::{footer, write::properties};

/// What is done to a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Damage {
    /// Its second half is cut off.
    Truncated,
    /// Its footer says the next version of its table.
    NextVersion,
    /// Its last column is missing; a lone column has another name.
    ColumnMissing,
    /// It has one more column, after the others.
    ColumnAdded,
    /// It has no rows.
    Empty,
}

/// Damages a table's file in place. What the damage does not concern stays: columns, row groups, footer metadata.
///
/// # Errors
/// The file is no table, or cannot be written.
pub fn damage(path: &Path, damage: Damage) -> Result<(), Box<dyn Error>> {
    if damage == Damage::Truncated {
        let bytes = fs::read(path)?;
        fs::write(path, &bytes[..bytes.len() / 2])?;
        return Ok(());
    }
    let open = || ParquetRecordBatchReaderBuilder::try_new(File::open(path)?).map_err(Box::<dyn Error>::from);
    let metadata = Arc::clone(open()?.metadata());
    let unknown = Arc::new(Field::new("unknown", DataType::UInt8, false));
    let columns = Arc::new(Schema::new(edited(open()?.schema().fields(), damage, unknown)));
    let mut groups = Vec::new();
    for group in 0..metadata.num_row_groups() {
        let rows = usize::try_from(metadata.row_group(group).num_rows())?;
        let batches = open()?.with_row_groups(vec![group]).with_batch_size(rows.max(1)).build()?;
        for batch in batches {
            let batch = batch?;
            let unknown: ArrayRef = Arc::new(UInt8Array::from(vec![0; batch.num_rows()]));
            groups.push(RecordBatch::try_new(Arc::clone(&columns), edited(batch.columns(), damage, unknown))?);
        }
    }

    let said = metadata.file_metadata().key_value_metadata().cloned().unwrap_or_default();
    let said = said.into_iter().map(|pair| next_version(pair, damage)).collect();
    let properties = properties(&columns).set_key_value_metadata(Some(said)).build();
    let mut writer = ArrowWriter::try_new(File::create(path)?, columns, Some(properties))?;
    for group in groups.iter().filter(|_| damage != Damage::Empty) {
        writer.write(group)?;
        writer.flush()?;
    }
    writer.close()?;
    Ok(())
}

/// The columns of the damaged file, or their arrays.
fn edited<T: Clone>(columns: &[T], damage: Damage, unknown: T) -> Vec<T> {
    let kept = columns.len() - usize::from(damage == Damage::ColumnMissing);
    let mut edited = columns[..kept].to_vec();
    if damage == Damage::ColumnAdded || edited.is_empty() {
        edited.push(unknown);
    }
    edited
}

fn next_version(mut pair: KeyValue, damage: Damage) -> KeyValue {
    if damage == Damage::NextVersion && pair.key == footer::VERSION {
        let version = pair.value.and_then(|version| version.parse::<u32>().ok()).unwrap_or_default();
        pair.value = Some((version + 1).to_string());
    }
    pair
}
