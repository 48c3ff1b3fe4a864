//! The folder that holds a study.

use std::fs::File;
use std::path::{Path, PathBuf};

use atomic_file::Fence;

use crate::{Description, Error, Key, Partition, Provenance, Reader, Source, Table, Writer};

/// The folder that holds all tables of a study, one folder a table.
#[derive(Clone, Debug)]
pub struct Artifacts {
    root: PathBuf,
    /// Behind which its files are committed.
    fence: Option<Fence>,
}

/// A table's rows and what they came from.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The rows, in the order of the file.
    pub rows: Vec<T>,
    /// The file, as an input of what is made from it.
    pub source: Source,
    /// Who made the file, with which parameters, from what.
    pub provenance: Provenance,
    /// The keys for which it was written: of another run, where that one has the same parameters and inputs.
    pub written_for: Partition,
}

impl Artifacts {
    /// A study in this folder, which need not exist yet. Files are committed behind the fence that this process has inherited.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), fence: Fence::inherited().cloned() }
    }

    /// The same behind another fence, if there is one.
    #[must_use]
    pub fn behind(self, fence: Option<Fence>) -> Self {
        Self { fence, ..self }
    }

    /// What shows that this process owns the work whose files it writes.
    pub(crate) fn fence(&self) -> Option<&Fence> {
        self.fence.as_ref()
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a table's file lies, relative to the root.
    ///
    /// # Errors
    /// [`Error::Unkeyed`] if the partition lacks one of the table's keys.
    pub fn relative<T: Table>(partition: &Partition) -> Result<PathBuf, Error> {
        let mut path = PathBuf::from(T::NAME);
        for key in T::KEYS {
            let value = partition.value(*key).ok_or_else(|| Error::Unkeyed { table: T::NAME, key: key.to_string() })?;
            path.push(format!("{key}={value}"));
        }
        path.push(format!("{}.parquet", T::NAME));
        Ok(path)
    }

    /// Where a table's file lies.
    ///
    /// # Errors
    /// [`Error::Unkeyed`] if the partition lacks one of the table's keys.
    pub fn path<T: Table>(&self, partition: &Partition) -> Result<PathBuf, Error> {
        Ok(self.root.join(Self::relative::<T>(partition)?))
    }

    /// Whether a table's file is there.
    pub fn has<T: Table>(&self, partition: &Partition) -> bool {
        self.path::<T>(partition).is_ok_and(|path| path.is_file())
    }

    /// Whether any file of a table is there.
    pub fn has_any(&self, table: &Description) -> bool {
        self.has_any_of(table.name, table.keys)
    }

    /// Whether any file of a table with these keys is there, which need not be a declared one.
    pub fn has_any_of(&self, table: &str, keys: &[Key]) -> bool {
        fn below(folder: &Path, keys: usize, table: &str) -> bool {
            match keys.checked_sub(1) {
                None => folder.join(format!("{table}.parquet")).is_file(),
                Some(keys) => {
                    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
                    entries.map(|entry| entry.path()).any(|path| below(&path, keys, table))
                }
            }
        }
        below(&self.root.join(table), keys.len(), table)
    }

    /// Opens a table's file for reading it row group by row group.
    ///
    /// # Errors
    /// [`Error::Unkeyed`], [`Error::Missing`], or what is wrong with the file.
    pub fn open<T: Table>(&self, partition: &Partition) -> Result<Reader<T>, Error> {
        let relative = Self::relative::<T>(partition)?;
        Reader::open(self.root.join(&relative), &relative, partition)
    }

    /// Reads a whole table's file.
    ///
    /// # Errors
    /// As [`Artifacts::open`]; [`Error::Damaged`] or [`Error::Column`] if its rows do not decode.
    pub fn read<T: Table>(&self, partition: &Partition) -> Result<Loaded<T>, Error> {
        let reader = self.open::<T>(partition)?;
        let mut rows = Vec::new();
        for group in 0..reader.groups() {
            rows.append(&mut reader.group(group)?);
        }
        let (provenance, written_for) = (reader.provenance().clone(), reader.written_for().clone());
        Ok(Loaded { rows, source: reader.source().clone(), provenance, written_for })
    }

    /// A table's file as an input: its relative path and the hash of its bytes.
    ///
    /// # Errors
    /// [`Error::Unkeyed`]; [`Error::Io`] if it cannot be read.
    pub fn source<T: Table>(&self, partition: &Partition) -> Result<Source, Error> {
        let path = self.path::<T>(partition)?;
        let mut hasher = blake3::Hasher::new();
        let read = File::open(&path).and_then(|file| hasher.update_reader(file).map(|_| ()));
        read.map_err(|source| Error::Io { action: "read", path, source })?;
        let relative = Self::relative::<T>(partition)?;
        Ok(Source { path: relative.to_string_lossy().into_owned(), blake3: hasher.finalize().to_hex().to_string() })
    }

    /// Starts a table's file.
    ///
    /// # Errors
    /// [`Error::Unkeyed`]; [`Error::Write`] if it cannot be created.
    pub fn create<T: Table>(&self, partition: &Partition, provenance: &Provenance) -> Result<Writer<T>, Error> {
        let relative = Self::relative::<T>(partition)?;
        Writer::create(self.create_file(&relative)?, self.root.join(relative), partition, provenance)
    }

    /// Writes a whole table's file.
    ///
    /// # Errors
    /// [`Error::Unkeyed`]; [`Error::Write`] if it cannot be written.
    pub fn write<T: Table>(&self, partition: &Partition, provenance: &Provenance, rows: &[T]) -> Result<(), Error> {
        const ROWS_A_GROUP: usize = 1 << 20;
        let mut writer = self.create::<T>(partition, provenance)?;
        for rows in rows.chunks(ROWS_A_GROUP) {
            writer.write(rows)?;
        }
        writer.finish()
    }
}
