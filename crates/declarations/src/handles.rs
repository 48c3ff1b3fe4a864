//! The handles through which a stage opens and creates its tables: using a table that it does not declare is a compile error.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use schemas::{Artifacts, Error, Loaded, Partition, Provenance, Reader, Source, Table, Writer};

use crate::{Fault, Reads, Stage, Writes};

/// The tables that a job reads.
#[derive(Clone, Debug)]
pub struct Inputs<S> {
    artifacts: Artifacts,
    declared: BTreeSet<PathBuf>,
    stage: PhantomData<S>,
}

impl<S: Stage> Inputs<S> {
    pub(crate) fn new(artifacts: Artifacts, declared: BTreeSet<PathBuf>) -> Self {
        Self { artifacts, declared, stage: PhantomData }
    }

    /// Reads a whole table's file.
    ///
    /// # Errors
    /// An input fault if the file is missing, corrupt or of another version; a bug if it is not among the declared ones.
    pub fn read<T: Table>(&self, partition: &Partition) -> Result<Loaded<T>, Fault>
    where
        S: Reads<T>,
    {
        self.check::<T>(partition)?;
        Ok(self.artifacts.read::<T>(partition)?)
    }

    /// Opens a table's file to read it row group by row group.
    ///
    /// # Errors
    /// As [`Inputs::read`].
    pub fn open<T: Table>(&self, partition: &Partition) -> Result<Reader<T>, Fault>
    where
        S: Reads<T>,
    {
        self.check::<T>(partition)?;
        Ok(self.artifacts.open::<T>(partition)?)
    }

    /// A table's file as a source in another's footer: its relative path and the hash of its bytes.
    ///
    /// # Errors
    /// As [`Inputs::read`].
    pub fn source<T: Table>(&self, partition: &Partition) -> Result<Source, Fault>
    where
        S: Reads<T>,
    {
        self.check::<T>(partition)?;
        Ok(self.artifacts.source::<T>(partition)?)
    }

    /// The path of a table's file.
    ///
    /// # Errors
    /// A bug if the partition lacks one of the table's keys.
    pub fn path<T: Table>(&self, partition: &Partition) -> Result<PathBuf, Fault>
    where
        S: Reads<T>,
    {
        Ok(self.artifacts.path::<T>(partition)?)
    }

    /// Refuses a file that the job's declaration does not list, which the driver would not track as an input.
    fn check<T: Table>(&self, partition: &Partition) -> Result<(), Fault> {
        let path = Artifacts::relative::<T>(partition)?;
        match self.declared.contains(&path) {
            true => Ok(()),
            false => Err(Fault::bug(format!("`{}` reads {}, which it does not declare", S::NAME, path.display()))),
        }
    }
}

/// The tables that a job writes, and may read again to resume.
#[derive(Clone, Debug)]
pub struct Outputs<S> {
    artifacts: Artifacts,
    stage: PhantomData<S>,
}

impl<S: Stage> Outputs<S> {
    pub(crate) fn new(artifacts: Artifacts) -> Self {
        Self { artifacts, stage: PhantomData }
    }

    /// The folder that holds the study, for files that are not tables.
    pub fn root(&self) -> &Path {
        self.artifacts.root()
    }

    /// Writes a whole table's file.
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written.
    pub fn write<T: Table>(&self, partition: &Partition, provenance: &Provenance, rows: &[T]) -> Result<(), Error>
    where
        S: Writes<T>,
    {
        self.artifacts.write(partition, provenance, rows)
    }

    /// Starts a table's file.
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be created.
    pub fn create<T: Table>(&self, partition: &Partition, provenance: &Provenance) -> Result<Writer<T>, Error>
    where
        S: Writes<T>,
    {
        self.artifacts.create::<T>(partition, provenance)
    }

    /// Writes a whole file that is no table, to a path relative to the root.
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written.
    pub fn write_file(&self, relative: impl AsRef<Path>, bytes: &[u8]) -> Result<(), Error> {
        self.artifacts.write_file(relative, bytes)
    }

    /// Whether a table's file is there from an earlier execution.
    pub fn has<T: Table>(&self, partition: &Partition) -> bool
    where
        S: Writes<T>,
    {
        self.artifacts.has::<T>(partition)
    }

    /// Reads a table of an earlier execution.
    ///
    /// # Errors
    /// The file is missing, corrupt or of another version.
    pub fn read<T: Table>(&self, partition: &Partition) -> Result<Loaded<T>, Error>
    where
        S: Writes<T>,
    {
        self.artifacts.read::<T>(partition)
    }

    /// Opens a table of an earlier execution.
    ///
    /// # Errors
    /// As [`Outputs::read`].
    pub fn open<T: Table>(&self, partition: &Partition) -> Result<Reader<T>, Error>
    where
        S: Writes<T>,
    {
        self.artifacts.open::<T>(partition)
    }

    /// The path of a table's file.
    ///
    /// # Errors
    /// [`Error::Unkeyed`] if the partition lacks one of the table's keys.
    pub fn path<T: Table>(&self, partition: &Partition) -> Result<PathBuf, Error>
    where
        S: Writes<T>,
    {
        self.artifacts.path::<T>(partition)
    }
}
