//! Writing a file so that it is whole or absent.

use std::fs::{self, File};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::DataType;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use crate::{Error, Partition, Provenance, Table};

/// Writes one file of a table: under another name in the same folder until [`Writer::finish`] has synchronised and
/// renamed it. A writer that is dropped, or whose process is killed, leaves no file under the final name.
pub struct Writer<T: Table> {
    target: PathBuf,
    temporary: PathBuf,
    parquet: ArrowWriter<File>,
    table: PhantomData<T>,
}

impl<T: Table> Writer<T> {
    pub(crate) fn create(target: PathBuf, partition: &Partition, provenance: &Provenance) -> Result<Self, Error> {
        let folder = target.parent().expect("a table's file lies in the table's folder");
        fs::create_dir_all(folder).map_err(io("create", folder))?;
        // Two nodes never write one file, so one temporary name is enough, and what a killed process left is replaced.
        let temporary = target.with_extension("parquet.tmp");
        let file = File::create(&temporary).map_err(io("create", &temporary))?;
        let properties = properties::<T>().set_key_value_metadata(Some(provenance.footer::<T>(partition))).build();
        let parquet = ArrowWriter::try_new(file, Arc::new(T::schema()), Some(properties))
            .map_err(|error| failed(error, &temporary))?;
        Ok(Self { target, temporary, parquet, table: PhantomData })
    }

    /// Appends rows as one row group. No rows add nothing.
    pub fn write(&mut self, rows: &[T]) -> Result<(), Error> {
        self.write_batch(&T::to_batch(rows))
    }

    pub(crate) fn write_batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let written = self.parquet.write(batch).and_then(|()| self.parquet.flush());
        written.map_err(|error| failed(error, &self.temporary))
    }

    /// Ends the file and gives it its name.
    pub fn finish(self) -> Result<(), Error> {
        let file = self.parquet.into_inner().map_err(|error| failed(error, &self.temporary))?;
        file.sync_all().map_err(io("write", &self.temporary))?;
        fs::rename(&self.temporary, &self.target).map_err(io("rename", &self.temporary))?;
        let folder = self.target.parent().expect("a table's file lies in the table's folder");
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("synchronise", folder))
    }
}

/// zstd everywhere; floats split by byte, which takes effect only with their dictionary off.
fn properties<T: Table>() -> WriterPropertiesBuilder {
    let zstd = Compression::ZSTD(ZstdLevel::try_new(3).expect("3 is a level of zstd"));
    T::columns().iter().fold(WriterProperties::builder().set_compression(zstd), |properties, column| {
        let (leaf, path) = match &column.data_type {
            DataType::List(element) => {
                (element.data_type().clone(), vec![column.name.into(), "list".into(), "element".into()])
            }
            scalar => (scalar.clone(), vec![column.name.into()]),
        };
        if !leaf.is_floating() {
            return properties;
        }
        let path = ColumnPath::new(path);
        properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::BYTE_STREAM_SPLIT)
    })
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}

/// What the encoder says of our own well-formed batches is what the disk said.
fn failed(error: ParquetError, path: &Path) -> Error {
    let source = match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(io) => *io,
            Err(other) => std::io::Error::other(other),
        },
        other => std::io::Error::other(other),
    };
    Error::Io { action: "write", path: path.to_owned(), source }
}
