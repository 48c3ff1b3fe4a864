//! Outputs that are being replaced. They are moved aside when a job starts from scratch, come back if their parameters do or if
//! the job is refused before it writes anything, and are removed when the new ones are complete.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use declarations::Fault;

use crate::plan::Job;
use crate::state::{Record, Status};

const FOLDER: &str = ".replaced";
const RECORD: &str = "record.json";
/// Where outputs lie of which nothing is recorded.
const UNKNOWN: &str = "unknown";

/// The outputs of a job that are being replaced: `.replaced/<job>/<fingerprint of their key>/`.
pub(crate) struct Replaced<'job> {
    job: &'job Job,
    root: &'job Path,
}

impl<'job> Replaced<'job> {
    /// Those of a job below a root of artifacts.
    pub(crate) fn of(job: &'job Job, root: &'job Path) -> Self {
        Self { job, root }
    }

    /// Moves what the job wrote aside, with its record. What is there already of the same parameters is kept if it is complete
    /// and what would replace it is not. Returns where it is, if there was anything.
    ///
    /// # Errors
    /// A file or folder cannot be moved.
    pub(crate) fn put_aside(&self, record: Option<&Record>) -> Result<Option<String>, Fault> {
        let present: Vec<&PathBuf> =
            self.job.owned_folders.iter().filter(|folder| self.root.join(folder).exists()).collect();
        if present.is_empty() {
            return Ok(None);
        }
        let fingerprint = record.map_or(UNKNOWN.to_owned(), |record| record.cache_key.fingerprint());
        let place = self.place(&fingerprint);
        // A job that is to be rerun by --force was done.
        let is_done = |record: &Record| matches!(record.status, Status::Done | Status::Forced);
        if read_record(&place).is_some_and(|kept| is_done(&kept)) && !record.is_some_and(is_done) {
            self.remove_outputs()?;
            return Ok(Some(fingerprint));
        }
        // The record first, and folder by folder, so that a driver that is killed in between goes on where it was.
        let moved = || -> io::Result<()> {
            if let Some(record) = record {
                let text = serde_json::to_vec_pretty(record).expect("plain data serialises");
                atomic_file::write(place.join(RECORD), &text)?;
            }
            present.iter().try_for_each(|folder| rename(&self.root.join(folder), &place.join(folder)))
        };
        moved().map_err(|error| self.cannot("move aside", &error))?;
        Ok(Some(fingerprint))
    }

    /// The record of outputs that are aside.
    pub(crate) fn record(&self, fingerprint: &str) -> Option<Record> {
        read_record(&self.place(fingerprint))
    }

    /// Moves outputs back, after what was there was moved aside and their record was restored, so that a driver that is killed
    /// in between goes on.
    ///
    /// # Errors
    /// A file or folder cannot be moved.
    pub(crate) fn restore(&self, fingerprint: &str) -> Result<(), Fault> {
        let place = self.place(fingerprint);
        let moved = || -> io::Result<()> {
            for folder in self.job.owned_folders.iter().filter(|folder| place.join(folder).exists()) {
                rename(&place.join(folder), &self.root.join(folder))?;
            }
            remove(&place)
        };
        moved().map_err(|error| self.cannot("move back", &error))
    }

    /// Removes everything that is aside: the job is complete.
    ///
    /// # Errors
    /// A file or folder cannot be removed.
    pub(crate) fn discard(&self) -> Result<(), Fault> {
        remove(&self.folder()).map_err(|error| self.cannot("remove", &error))?;
        // The folders above it, as long as they are empty.
        let above = self.folder();
        let above = above.ancestors().skip(1).take_while(|folder| *folder != self.root);
        above.map(fs::remove_dir).take_while(Result::is_ok).for_each(drop);
        Ok(())
    }

    /// Removes what the job wrote: the folders that no other job writes to, and nothing outside the root.
    ///
    /// # Errors
    /// A folder cannot be removed.
    pub(crate) fn remove_outputs(&self) -> Result<(), Fault> {
        let removed = self.job.owned_folders.iter().try_for_each(|folder| remove(&self.root.join(folder)));
        removed.map_err(|error| self.cannot("remove", &error))
    }

    /// The folder of everything that is aside.
    pub(crate) fn folder(&self) -> PathBuf {
        let words = self.job.name();
        let words = words.split([' ', '/']).filter(|word| !word.is_empty());
        words.fold(self.root.join(FOLDER), |folder, word| folder.join(word))
    }

    fn place(&self, fingerprint: &str) -> PathBuf {
        self.folder().join(fingerprint)
    }

    fn cannot(&self, action: &str, error: &io::Error) -> Fault {
        Fault::input(format!("cannot {action} the earlier outputs of {}: {error}", self.job.name()))
    }
}

fn read_record(place: &Path) -> Option<Record> {
    serde_json::from_slice(&fs::read(place.join(RECORD)).ok()?).ok()
}

/// Moves a folder in place of one that has its name.
fn rename(folder: &Path, target: &Path) -> io::Result<()> {
    remove(target)?;
    fs::create_dir_all(target.parent().unwrap_or(target))?;
    fs::rename(folder, target)
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
