//! Files on their way: where they are while they are written, and what killed writers left.

use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use atomic_file::AtomicFile;

use crate::{Artifacts, Error, tables};

/// The folder below the root that holds what is being written. Polars and pandas refuse the folder of a table in which a file
/// of another kind lies, so nothing is written there but under its final name.
const FOLDER: &str = ".tmp";

/// The folders of files that are no tables.
const OTHERS: [&str; 2] = ["plots", "report"];

/// A file in the folder, which says what it is for, and that no `*.tmp` file of a program of before lies beside a table.
const NOTE: &str = "README.txt";

/// What it says.
const NOTE_TEXT: &str = "Files that are being written. What killed programs left here is removed by the next run.\n";

/// The longest name that every file system takes is 255 bytes.
const LONGEST_NAME: usize = 200;

impl Artifacts {
    /// Starts a file, which appears under its path, relative to the root, once it is whole. Until then it is in the folder
    /// `.tmp` below the root, under a name of its own, where the next writer of the same file replaces what a killed one left.
    ///
    /// # Errors
    /// [`Error::Write`] if it cannot be created.
    pub fn create_file(&self, relative: impl AsRef<Path>) -> Result<AtomicFile, Error> {
        let relative = relative.as_ref();
        let temporary = self.root().join(FOLDER).join(name(relative));
        AtomicFile::create_behind(self.fence(), self.root().join(relative), temporary).map_err(Error::Write)
    }

    /// Gives a file a second path, both relative to the root, in place of a file that had it: a hard link or, where the file
    /// system has none, a copy.
    ///
    /// # Errors
    /// [`Error::Write`] if it cannot be linked.
    pub fn link(&self, existing: impl AsRef<Path>, relative: impl AsRef<Path>) -> Result<(), Error> {
        let relative = relative.as_ref();
        let temporary = self.root().join(FOLDER).join(name(relative));
        atomic_file::link(self.fence(), &self.root().join(existing), self.root().join(relative), temporary)
            .map_err(Error::Write)
    }

    /// Writes a whole file that is no table.
    ///
    /// # Errors
    /// [`Error::Write`] if it cannot be written; then the path holds what it held before.
    pub fn write_file(&self, relative: impl AsRef<Path>, bytes: &[u8]) -> Result<(), Error> {
        let mut file = self.create_file(relative)?;
        io::Write::write_all(&mut file, bytes).and_then(|()| file.commit()).map_err(Error::Write)
    }

    /// Removes what killed writers left: everything in `.tmp` and, the first time, the `*.tmp` files that programs of before
    /// wrote beside tables, for which it has to walk through all folders. Returns how many files these were. Nothing else may be
    /// writing below the root.
    ///
    /// # Errors
    /// [`Error::Io`] naming a file or folder that cannot be read or removed; [`Error::Write`] if `.tmp` cannot be written.
    pub fn sweep(&self) -> Result<usize, Error> {
        let (mut removed, note) = (0, self.root().join(FOLDER).join(NOTE));
        for entry in entries(&self.root().join(FOLDER))?.into_iter().filter(|entry| entry.file_name() != NOTE) {
            remove(&entry.path())?;
            removed += 1;
        }
        if note.is_file() || !self.root().is_dir() {
            return Ok(removed);
        }
        removed += self.sweep_beside_tables()?;
        atomic_file::write(note, NOTE_TEXT.as_bytes()).map_err(Error::Write)?;
        Ok(removed)
    }

    fn sweep_beside_tables(&self) -> Result<usize, Error> {
        let mut removed = 0;
        let mut folders: Vec<PathBuf> = vec![];
        for entry in entries(self.root())? {
            let (path, name) = (entry.path(), entry.file_name());
            let known = |name: &str| OTHERS.contains(&name) || tables::all().iter().any(|table| table.name == name);
            if name.to_str().is_some_and(known) {
                folders.push(path);
            } else if is_left(&entry) {
                remove(&path)?;
                removed += 1;
            }
        }
        while let Some(folder) = folders.pop() {
            for entry in entries(&folder)? {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(entry.path());
                } else if is_left(&entry) {
                    remove(&entry.path())?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }
}

/// The name of a file while it is written: its path, in one word. A path that is too long for a name is its hash.
fn name(relative: &Path) -> String {
    let words: Vec<_> = relative.iter().map(|word| word.to_string_lossy()).collect();
    let name = words.join(",");
    if name.len() <= LONGEST_NAME { name } else { blake3::hash(name.as_bytes()).to_hex().to_string() }
}

/// The entries of a folder; none if there is no such folder.
fn entries(folder: &Path) -> Result<Vec<DirEntry>, Error> {
    match fs::read_dir(folder).and_then(Iterator::collect) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(Vec::new()),
        entries => entries.map_err(|source| Error::Io { action: "read", path: folder.to_owned(), source }),
    }
}

/// Whether a file is one that a program of before was writing when it was killed.
fn is_left(entry: &DirEntry) -> bool {
    entry.file_name().to_string_lossy().ends_with(".tmp") && entry.file_type().is_ok_and(|kind| !kind.is_dir())
}

fn remove(path: &Path) -> Result<(), Error> {
    let removed = if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.map_err(|source| Error::Io { action: "remove", path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_a_name_of_its_own() {
        let path = |word: &str| Path::new("attention").join(format!("dataset={word}")).join("attention.parquet");
        assert_eq!(name(&path("text8")), "attention,dataset=text8,attention.parquet");
        let long = [name(&path(&"a".repeat(255))), name(&path(&"b".repeat(255)))];
        assert!(long.iter().all(|name| name.len() == 64) && long[0] != long[1], "{long:?}");
    }
}
