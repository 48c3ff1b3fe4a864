//! Reading a file, and refusing what is not what it should be.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, Type};
use parquet::errors::ParquetError;
use parquet::file::serialized_reader::SerializedPageReader;

use crate::checksum::Sums;
use crate::lists::{self, Lists};
use crate::table::type_name;
use crate::{Advice, Error, Key, Partition, Provenance, Source, Table, UnknownWord, footer};

thread_local! {
    /// Whether this thread decodes what may be damaged.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// An open file of a table, checked: name, version, columns and keys are what this program knows.
pub struct Reader<T: Table> {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    provenance: Provenance,
    written_for: Partition,
    source: Source,
    advice: Advice,
    table: PhantomData<T>,
}

impl<T: Table> Reader<T> {
    pub(crate) fn open(path: PathBuf, relative: &Path, partition: &Partition) -> Result<Self, Error> {
        let mut file = File::open(&path).map_err(|source| match source.kind() {
            ErrorKind::NotFound => Error::Missing { path: path.clone(), table: T::NAME, producer: T::PRODUCER },
            _ => io(&path)(source),
        })?;
        let sums = Sums::of(&mut file).map_err(io(&path))?;
        if let Some([said, found]) = &sums.crc32
            && said != found
        {
            return Err(damaged::<T>(&path, format!("its checksum is {found}, and its footer says {said}")));
        }
        // Other programs say other Arrow types than the file's own, such as strings of 64-bit lengths: those of Parquet are read.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = ArrowReaderMetadata::load(&file, options).map_err(|error| undecodable::<T>(&path, &error))?;
        check_ranges::<T>(&path, &file, &metadata)?;
        check_codecs(&path, &metadata)?;
        let said: BTreeMap<String, String> = metadata
            .metadata()
            .file_metadata()
            .key_value_metadata()
            .into_iter()
            .flatten()
            .filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?)))
            .collect();
        let provenance = Provenance::parse(&said);
        let advice = if provenance.producer.is_empty() { Advice::Correct } else { Advice::Rerun(T::PRODUCER) };
        check_version::<T>(&path, &said, advice)?;
        let written_for = check_partition::<T>(&path, &said, &provenance, partition, advice)?;
        check_columns::<T>(&path, metadata.schema(), advice)?;
        if sums.crc32.is_none() && has_checksum(&provenance.producer) {
            return Err(damaged::<T>(&path, "its footer has no checksum".to_owned()));
        }
        let source = Source { path: relative.to_string_lossy().into_owned(), blake3: sums.blake3.to_hex().to_string() };
        Ok(Self { path, metadata, provenance, written_for, source, advice, table: PhantomData })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who made the file, with which parameters, from what.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// The keys for which the file was written: of another run, where that one has the same parameters and inputs and the
    /// file is linked.
    pub fn written_for(&self) -> &Partition {
        &self.written_for
    }

    /// The file as an input of what is made from it: its relative path and the hash of its bytes.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The number of row groups.
    pub fn groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        count(self.metadata.metadata().file_metadata().num_rows())
    }

    /// The rows of one row group.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it does not decode, [`Error::Column`] if a column holds nulls or a word that it may not.
    pub fn group(&self, group: usize) -> Result<Vec<T>, Error> {
        let mut rows = Vec::new();
        for batch in self.batches(group, T::columns().len())? {
            rows.append(&mut T::from_batch(&batch).map_err(|unknown| self.unknown_word(unknown))?);
        }
        Ok(rows)
    }

    fn unknown_word(&self, UnknownWord { column, known, found }: UnknownWord) -> Error {
        let known: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
        self.unexpected(column, format!("one of {}", known.join(", ")), format!("`{found}`"))
    }

    /// The error for a value that a column may not have.
    pub(crate) fn unexpected(&self, column: &str, expected: String, found: String) -> Error {
        Error::Column { path: self.path.clone(), column: column.to_owned(), expected, found, advice: self.advice }
    }

    /// The first so many columns of one row group as Arrow batches.
    pub(crate) fn batches(&self, group: usize, columns: usize) -> Result<Vec<RecordBatch>, Error> {
        self.guarded(|| self.decode(group, columns))
    }

    /// One column of one row group, of lists of float32. Before it are columns of plain values. As this pipeline writes them, the
    /// lists are read without a detour; as another program does, by the general decoder.
    pub(crate) fn lists(&self, group: usize, column: usize) -> Result<Lists, Error> {
        self.guarded(|| match self.own_lists(group, column)? {
            Some(lists) => Ok(lists),
            None => self.any_lists(group, column),
        })
    }

    /// Lists none of which is empty or null, split by byte; none if they are encoded in another way.
    fn own_lists(&self, group: usize, column: usize) -> Result<Option<Lists>, Error> {
        let row_group = self.metadata.metadata().row_group(group);
        let (rows, chunk) = (count(row_group.num_rows()), row_group.column(column));
        let described = chunk.column_descr();
        if (described.physical_type(), described.max_rep_level(), described.max_def_level()) != (Type::FLOAT, 1, 1) {
            return Ok(None);
        }
        let pages = SerializedPageReader::new(Arc::new(self.file()?), chunk, rows, None)
            .map_err(|error| self.damaged(error.to_string()))?;
        // The footer may say anything, but not that the file is longer than it is: a value takes half a byte at least, or
        // room for it is found when it is there.
        let values = count(chunk.num_values().clamp(0, 2 * chunk.compressed_size()));
        lists::read(pages, rows.min(values), values)
            .map_err(|reason| self.damaged(format!("row group {group}: {reason}")))
    }

    fn any_lists(&self, group: usize, column: usize) -> Result<Lists, Error> {
        let mut read = Lists::default();
        for batch in self.decode_columns(group, column..column + 1)? {
            let Some(array) = batch.column(0).as_list_opt::<i32>() else {
                return Err(self.damaged(format!("row group {group} has no lists")));
            };
            let Some(values) = array.values().as_primitive_opt::<Float32Type>() else {
                return Err(self.damaged(format!("row group {group} has lists of other values")));
            };
            let offsets: &[i32] = array.offsets();
            read.lengths.extend(offsets.windows(2).map(|ends| count(i64::from(ends[1] - ends[0]))));
            let (first, last) = (offsets.first().copied().unwrap_or(0), offsets.last().copied().unwrap_or(0));
            let range = count(first.into())..count(last.into());
            read.values.extend(values.values().get(range).unwrap_or_default());
        }
        Ok(read)
    }

    /// Decoders refuse most damage, but not all of it without a panic, which is then told as damage alone.
    fn guarded<R>(&self, decode: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
        static QUIET_WHERE_GUARDED: Once = Once::new();
        QUIET_WHERE_GUARDED.call_once(|| {
            let tell = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if !GUARDED.get() {
                    tell(info);
                }
            }));
        });
        let before = GUARDED.replace(true);
        let decoded = panic::catch_unwind(AssertUnwindSafe(decode));
        GUARDED.set(before);
        decoded.unwrap_or_else(|_| Err(self.damaged("its pages do not decode".to_owned())))
    }

    /// A handle of its own: clones of one share their position, and threads read groups side by side.
    fn file(&self) -> Result<File, Error> {
        File::open(&self.path).map_err(io(&self.path))
    }

    fn decode(&self, group: usize, columns: usize) -> Result<Vec<RecordBatch>, Error> {
        self.decode_columns(group, 0..columns)
    }

    fn decode_columns(&self, group: usize, columns: Range<usize>) -> Result<Vec<RecordBatch>, Error> {
        let rows = count(self.metadata.metadata().row_group(group).num_rows());
        let projected = ProjectionMask::roots(self.metadata.parquet_schema(), columns.clone());
        let decoder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.file()?, self.metadata.clone())
            .with_row_groups(vec![group])
            .with_projection(projected)
            .with_batch_size(rows.max(1))
            .build()
            .map_err(|error| undecodable::<T>(&self.path, &error))?;
        let mut batches = Vec::new();
        for batch in decoder {
            let batch = batch.map_err(|error| self.damaged(error.to_string()))?;
            check_nulls::<T>(&self.path, &batch, columns.start, self.advice)?;
            batches.push(batch);
        }
        let found: usize = batches.iter().map(RecordBatch::num_rows).sum();
        if found != rows {
            return Err(self.damaged(format!("row group {group} has {found} rows where the footer says {rows}")));
        }
        Ok(batches)
    }

    /// The refusal of a sound file that uses what is not read.
    pub(crate) fn unsupported(&self, reason: String) -> Error {
        Error::Unsupported { path: self.path.clone(), reason }
    }

    /// The refusal of a file whose content is not what its table's should be.
    pub(crate) fn damaged(&self, reason: String) -> Error {
        damaged::<T>(&self.path, reason)
    }
}

/// A footer's number of rows or values, none of which is negative in a file that [`check_ranges`] lets pass.
fn count(footer: i64) -> usize {
    usize::try_from(footer).expect("the footer's numbers were checked when the file was opened")
}

/// What the decoder takes for granted: the footer's sizes and positions lie within the file.
fn check_ranges<T: Table>(path: &Path, file: &File, metadata: &ArrowReaderMetadata) -> Result<(), Error> {
    let length = file.metadata().map_err(io(path))?.len();
    let within = |start: i64, size: i64| {
        let end =
            u64::try_from(start).ok().zip(u64::try_from(size).ok()).and_then(|(start, size)| start.checked_add(size));
        end.is_some_and(|end| end <= length)
    };
    let groups = metadata.metadata().row_groups();
    let whole = groups.iter().all(|group| {
        group.num_rows() >= 0
            && group.columns().iter().all(|column| {
                let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
                column.data_page_offset() >= 0 && within(start, column.compressed_size())
            })
    });
    let rows = groups.iter().try_fold(0i64, |rows, group| rows.checked_add(group.num_rows()));
    if whole && rows == Some(metadata.metadata().file_metadata().num_rows()) {
        return Ok(());
    }
    Err(damaged::<T>(path, "its footer contradicts itself".to_owned()))
}

/// Whether files of this producer have a checksum: those of before, `train 0.1.0`, have none.
fn has_checksum(producer: &str) -> bool {
    producer.rsplit_once(' ').is_some_and(|(_, version)| version.parse::<u32>().is_ok())
}

/// Refuses compression that this program was built without.
fn check_codecs(path: &Path, metadata: &ArrowReaderMetadata) -> Result<(), Error> {
    let columns = metadata.metadata().row_groups().iter().flat_map(|group| group.columns());
    let unread = columns.map(|column| column.compression()).find(|codec| {
        !matches!(codec, Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) | Compression::ZSTD(_))
    });
    match unread {
        None => Ok(()),
        Some(codec) => {
            let codec = codec.to_string().to_lowercase();
            let codec = codec.split('(').next().unwrap_or_default();
            let reason =
                format!("it is compressed by {codec}, which is not read: write it with zstd, snappy, gzip or without");
            Err(Error::Unsupported { path: path.to_owned(), reason })
        }
    }
}

/// Why a file is not decoded: since it is damaged, or since it uses what the decoder does not support.
fn undecodable<T: Table>(path: &Path, error: &ParquetError) -> Error {
    match error {
        ParquetError::NYI(what) => {
            let reason =
                format!("it uses what is not read ({what}): write it with version 1.0 of the format's data pages");
            Error::Unsupported { path: path.to_owned(), reason }
        }
        other => damaged::<T>(path, other.to_string()),
    }
}

fn check_version<T: Table>(path: &Path, said: &BTreeMap<String, String>, advice: Advice) -> Result<(), Error> {
    let version = T::VERSION.to_string();
    let found = (said.get(footer::NAME), said.get(footer::VERSION));
    if found == (Some(&T::NAME.to_owned()), Some(&version)) {
        return Ok(());
    }
    let found = match found {
        (Some(name), Some(version)) => format!("`{name}` version {version}"),
        _ => "no table of this pipeline (its footer has no schema.name and schema.version)".to_owned(),
    };
    let expected = format!("`{}` version {version}", T::NAME);
    Err(Error::Version { path: path.to_owned(), expected, found, advice })
}

/// Returns the keys for which the file was written. Under a link, they have another run than what is asked for, one that the
/// footer names as sharing the file.
fn check_partition<T: Table>(
    path: &Path,
    said: &BTreeMap<String, String>,
    provenance: &Provenance,
    asked: &Partition,
    advice: Advice,
) -> Result<Partition, Error> {
    let found = said.get(footer::PARTITION).map_or("nothing", String::as_str);
    let asked = asked.only(T::KEYS);
    let shares = |partition: &Partition| {
        let run = asked.value(Key::Run).filter(|run| provenance.shared_by.contains(run));
        run.is_some_and(|run| partition.value(Key::Run).is_some() && partition.clone().run(run) == asked)
    };
    match serde_json::from_str::<Partition>(found) {
        Ok(partition) if partition == asked || shares(&partition) => Ok(partition),
        _ => Err(Error::Misplaced { path: path.to_owned(), found: found.to_owned(), advice }),
    }
}

fn check_columns<T: Table>(path: &Path, found: &Schema, advice: Advice) -> Result<(), Error> {
    let wrong = |column: &str, expected: String, found: String| Error::Column {
        path: path.to_owned(),
        column: column.to_owned(),
        expected,
        found,
        advice,
    };
    for (position, column) in T::columns().iter().enumerate() {
        match found.fields().get(position) {
            Some(field) if field.name() != column.name => {
                return Err(wrong(
                    column.name,
                    format!("it as column {position}"),
                    format!("`{}` there", field.name()),
                ));
            }
            Some(field) if !is_same(field.data_type(), &column.data_type) => {
                return Err(wrong(column.name, column.type_name(), type_name(field.data_type())));
            }
            Some(_) => {}
            None => return Err(wrong(column.name, column.type_name(), "no such column".to_owned())),
        }
    }
    Ok(())
}

/// Whether two types hold the same values: what the elements of lists are called, and whether they could be null, does not matter
/// where none is.
fn is_same(found: &DataType, declared: &DataType) -> bool {
    match (found, declared) {
        (DataType::List(found), DataType::List(declared)) => is_same(found.data_type(), declared.data_type()),
        _ => found == declared,
    }
}

fn check_nulls<T: Table>(path: &Path, batch: &RecordBatch, first: usize, advice: Advice) -> Result<(), Error> {
    let holey = T::columns().into_iter().skip(first).zip(batch.columns()).find(|(column, array)| {
        let inner =
            array.as_any().downcast_ref::<arrow_array::ListArray>().map_or(0, |list| list.values().null_count());
        !column.nullable && array.null_count() + inner > 0
    });
    match holey {
        None => Ok(()),
        Some((column, _)) => Err(Error::Column {
            path: path.to_owned(),
            column: column.name.to_owned(),
            expected: "a value in every row".to_owned(),
            found: "nulls".to_owned(),
            advice,
        }),
    }
}

fn damaged<T: Table>(path: &Path, reason: String) -> Error {
    Error::Damaged { path: path.to_owned(), reason, producer: T::PRODUCER }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action: "read", path, source }
}
