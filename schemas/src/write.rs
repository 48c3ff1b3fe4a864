//! Writing a file so that it is whole or absent.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema};
use atomic_file::AtomicFile;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use crate::checksum::Summed;
use crate::{Error, Partition, Provenance, Table};

/// Writes one file of a table: in another folder until [`Writer::finish`] has synchronised and renamed it. A writer that is dropped, or whose process is killed, leaves no file under the final name.
pub struct Writer<T: Table> {
    path: PathBuf,
    parquet: SerializedFileWriter<Summed>,
    encoder: Encoder<T>,
}

/// Makes row groups of a file, in any thread and any order: encoding and compressing is most of the work of writing.
pub struct Encoder<T> {
    columns: Arc<ArrowRowGroupWriterFactory>,
    table: PhantomData<fn(T)>,
}

/// Rows as they will lie in their file.
pub struct Group<T> {
    columns: Vec<ArrowColumnChunk>,
    table: PhantomData<fn(T)>,
}

impl<T> Clone for Encoder<T> {
    fn clone(&self) -> Self {
        Self { columns: Arc::clone(&self.columns), table: PhantomData }
    }
}

impl<T: Table> Encoder<T> {
    /// One row group of rows.
    pub fn rows(&self, rows: &[T]) -> Group<T> {
        self.batch(&T::to_batch(rows))
    }

    pub(crate) fn batch(&self, batch: &RecordBatch) -> Group<T> {
        const WELL_FORMED: &str = "a batch of the table's own schema is encoded in memory";
        let mut writers = self.columns.create_column_writers(0).expect(WELL_FORMED);
        let schema = batch.schema();
        let leaves = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .flat_map(|(field, array)| compute_leaves(field, array).expect(WELL_FORMED));
        for (writer, leaf) in writers.iter_mut().zip(leaves) {
            writer.write(&leaf).expect(WELL_FORMED);
        }
        let columns = writers.into_iter().map(|writer| writer.close().expect(WELL_FORMED)).collect();
        Group { columns, table: PhantomData }
    }
}

impl<T: Table> Writer<T> {
    pub(crate) fn create(
        file: AtomicFile,
        path: PathBuf,
        partition: &Partition,
        provenance: &Provenance,
    ) -> Result<Self, Error> {
        let properties =
            properties(&T::schema()).set_key_value_metadata(Some(provenance.footer::<T>(partition))).build();
        let (parquet, columns) = ArrowWriter::try_new(Summed::new(file), Arc::new(T::schema()), Some(properties))
            .and_then(ArrowWriter::into_serialized_writer)
            .map_err(|error| failed(error, &path))?;
        let encoder = Encoder { columns: Arc::new(columns), table: PhantomData };
        Ok(Self { path, parquet, encoder })
    }

    /// What makes this file's row groups, for threads to share.
    pub fn encoder(&self) -> Encoder<T> {
        self.encoder.clone()
    }

    /// Appends a row group.
    ///
    /// # Errors
    /// [`Error::Write`] if it cannot be written.
    pub fn append(&mut self, group: Group<T>) -> Result<(), Error> {
        let appended = self.parquet.next_row_group().and_then(|mut row_group| {
            group.columns.into_iter().try_for_each(|column| column.append_to_row_group(&mut row_group))?;
            row_group.close().map(drop)
        });
        appended.map_err(|error| failed(error, &self.path))
    }

    /// Appends rows as one row group. No rows add nothing.
    ///
    /// # Errors
    /// [`Error::Write`] if it cannot be written.
    pub fn write(&mut self, rows: &[T]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        self.append(self.encoder.rows(rows))
    }

    /// Ends the file and gives it its name.
    ///
    /// # Errors
    /// [`Error::Write`] if it cannot be written.
    pub fn finish(self) -> Result<(), Error> {
        let file = self.parquet.into_inner().map_err(|error| failed(error, &self.path))?;
        file.commit().map_err(Error::Write)
    }
}

/// zstd everywhere, at the level that keeps up with the rest: higher ones make files of these numbers hardly smaller. Floats are
/// split by byte, which takes effect only with their dictionary off. So are the characters of a text, the one column that is
/// alone in its table: as bytes side by side zstd finds their repetitions, and in a dictionary's packed bits it finds none.
pub(crate) fn properties(schema: &Schema) -> WriterPropertiesBuilder {
    let zstd = Compression::ZSTD(ZstdLevel::try_new(1).expect("1 is a level of zstd"));
    let alone = schema.fields().len() == 1;
    schema.fields().iter().fold(WriterProperties::builder().set_compression(zstd), |properties, column| {
        let name = column.name().as_str();
        let (leaf, path) = match column.data_type() {
            DataType::List(element) => {
                (element.data_type().clone(), vec![name.into(), "list".into(), "element".into()])
            }
            scalar => (scalar.clone(), vec![name.into()]),
        };
        if !(leaf.is_floating() || alone && leaf.is_integer()) {
            return properties;
        }
        let path = ColumnPath::new(path);
        properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::BYTE_STREAM_SPLIT)
    })
}

/// The row groups are well-formed, so an error of the Parquet writer is one of the file below it, which names its path.
fn failed(error: ParquetError, path: &Path) -> Error {
    let described = |error: String| std::io::Error::other(format!("cannot write {}: {error}", path.display()));
    Error::Write(match error {
        ParquetError::External(inner) => {
            inner.downcast::<std::io::Error>().map_or_else(|other| described(other.to_string()), |io| *io)
        }
        other => described(other.to_string()),
    })
}
