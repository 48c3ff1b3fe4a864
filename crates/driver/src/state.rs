//! What the driver remembers between two of its runs: what each node was made from, and the hashes of files.
//!
//! Both lie beside the tables, are written whole under another name and renamed. If they are lost, lineage stands in: more is
//! hashed and run than needed, and what was changed until then passes as what was written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cli::Fault;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What decides a node's outputs.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ingredients {
    /// The program's hash.
    pub program: String,
    /// The values of each flag.
    pub arguments: BTreeMap<String, Vec<String>>,
    /// The hash of each file that is read.
    pub inputs: BTreeMap<String, String>,
}

impl Ingredients {
    /// One hash of all of it.
    pub fn fingerprint(&self) -> String {
        let text = serde_json::to_vec(self).expect("plain data serialises");
        blake3::hash(&text).to_hex().to_string()
    }
}

/// How far a node came.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It began, and nobody saw it end.
    Started,
    /// It ended well.
    Done,
    /// It ended with a fault.
    Failed,
    /// It was asked to run again, and has not begun.
    Asked,
}

/// What is known of a node.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Record {
    /// How far it came.
    pub status: Status,
    /// What it was made from.
    pub ingredients: Ingredients,
    /// The hashes of what it wrote, where it is done.
    pub outputs: BTreeMap<String, String>,
}

/// A file's hash, and what the file looked like when it was taken.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Hashed {
    bytes: u64,
    modified_nanos: i128,
    inode: u64,
    blake3: String,
}

/// The memory of the driver in one folder of artifacts.
#[derive(Debug)]
pub struct State {
    root: PathBuf,
    writes: bool,
    records: BTreeMap<String, Record>,
    hashes: BTreeMap<String, Hashed>,
    hashed_anew: bool,
}

const RECORDS: &str = ".state.json";
const HASHES: &str = ".hashes.json";

impl State {
    /// Reads what is remembered; with `writes` false nothing is ever written.
    pub fn open(root: &Path, writes: bool) -> Result<Self, Fault> {
        Ok(Self {
            root: root.to_owned(),
            writes,
            records: load(&root.join(RECORDS))?,
            hashes: load(&root.join(HASHES))?,
            hashed_anew: false,
        })
    }

    /// What is known of a node.
    pub fn record(&self, node: &str) -> Option<&Record> {
        self.records.get(node)
    }

    /// Remembers what is known of a node now.
    pub fn remember(&mut self, node: &str, record: Record) -> Result<(), Fault> {
        self.records.insert(node.to_owned(), record);
        self.save_hashes()?;
        self.save(RECORDS, &self.records)
    }

    /// Remembers of nodes that ran that they are to run again, also if this run of the driver does not come that far.
    pub fn ask_again(&mut self, nodes: impl Iterator<Item = String>) -> Result<(), Fault> {
        for node in nodes {
            if let Some(record) = self.records.get_mut(&node) {
                record.status = Status::Asked;
            }
        }
        self.save(RECORDS, &self.records)
    }

    /// The nodes that are remembered.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.records.keys().map(String::as_str)
    }

    /// Whether nothing was ever remembered here, or all of it is lost.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Writes the hashes that were taken.
    pub fn save_hashes(&mut self) -> Result<(), Fault> {
        if std::mem::take(&mut self.hashed_anew) {
            self.save(HASHES, &self.hashes)?;
        }
        Ok(())
    }

    /// The hash of a file's bytes, taken anew only if the file was replaced or changed; none if there is no such file.
    pub fn hash(&mut self, path: &Path) -> Result<Option<String>, Fault> {
        let fault = |error| Fault::input(format!("cannot read {}: {error}", path.display()));
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(fault(error)),
        };
        let modified_nanos = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        let (bytes, inode) = (metadata.len(), metadata.ino());
        let key = path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned();
        if let Some(known) = self.hashes.get(&key)
            && (known.bytes, known.modified_nanos, known.inode) == (bytes, modified_nanos, inode)
        {
            return Ok(Some(known.blake3.clone()));
        }
        let mut hasher = blake3::Hasher::new();
        File::open(path).and_then(|file| hasher.update_reader(file).map(|_| ())).map_err(fault)?;
        let blake3 = hasher.finalize().to_hex().to_string();
        self.hashes.insert(key, Hashed { bytes, modified_nanos, inode, blake3: blake3.clone() });
        self.hashed_anew = true;
        Ok(Some(blake3))
    }

    fn save(&self, name: &str, value: &impl Serialize) -> Result<(), Fault> {
        if !self.writes {
            return Ok(());
        }
        let text = serde_json::to_vec_pretty(value).expect("plain data serialises");
        atomic_file::write(self.root.join(name), &text).map_err(|error| Fault::input(error.to_string()))
    }
}

/// What a file remembers; what is not there or not readable is forgotten.
fn load<T: DeserializeOwned + Default>(path: &Path) -> Result<T, Fault> {
    match fs::read(path) {
        Ok(text) => Ok(serde_json::from_slice(&text).unwrap_or_default()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(Fault::input(format!("cannot read {}: {error}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_taken_anew_when_the_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut state = State::open(folder.path(), true).unwrap();
        assert_eq!(state.hash(&path).unwrap(), None);
        fs::write(&path, "one").unwrap();
        let one = state.hash(&path).unwrap();
        assert_eq!(one.as_deref(), Some(blake3::hash(b"one").to_hex().as_str()));
        fs::write(folder.path().join("new"), "two").unwrap();
        fs::rename(folder.path().join("new"), &path).unwrap();
        assert_ne!(state.hash(&path).unwrap(), one);
        state.save_hashes().unwrap();
        assert_eq!(State::open(folder.path(), true).unwrap().hashes, state.hashes);
    }

    #[test]
    fn what_is_damaged_is_forgotten_and_written_again() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(RECORDS), "{\"train\": {").unwrap();
        // A killed driver leaves such a file, which nobody reads.
        fs::write(folder.path().join(".state.json.tmp"), "{").unwrap();
        let mut state = State::open(folder.path(), true).unwrap();
        assert_eq!(state.record("train"), None);
        let record = Record { status: Status::Done, ingredients: Ingredients::default(), outputs: BTreeMap::new() };
        state.remember("train", record.clone()).unwrap();
        assert_eq!(State::open(folder.path(), false).unwrap().record("train"), Some(&record));
    }
}
