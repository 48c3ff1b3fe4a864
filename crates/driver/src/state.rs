//! The driver's state between runs: a record of each job, and the hashes of files.
//!
//! Both are stored next to the tables. If they are lost, the driver reads the footers of the tables instead, and for pictures,
//! which have none, the table `lineage`: it hashes more than needed, and does not notice outputs that were modified before.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use atomic_file::Fence;
use declarations::Fault;
use schemas::Artifacts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::failures::Failure;
use crate::key::CacheKey;
use crate::progress::Progress;
use crate::shared::{self, Execution, Outcome, Shared};

/// The status of a job.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It started and has not exited, or was interrupted.
    Started,
    /// It succeeded.
    Done,
    /// It failed.
    Failed,
    /// A run with --force selected it and did not reach it, so it is to be rerun.
    #[serde(alias = "asked")]
    Forced,
}

/// The record of a job.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Record {
    /// Its status.
    pub status: Status,
    /// What it depended on.
    #[serde(alias = "ingredients")]
    pub cache_key: CacheKey,
    /// The hash of each of its outputs that existed when it exited.
    pub outputs: BTreeMap<String, String>,
    /// The hash of the program, for information.
    #[serde(default)]
    pub program: String,
    /// The seconds that it took, if they are known.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// The seconds that it was estimated to take, by which later estimates are scaled.
    #[serde(default)]
    pub estimate: f64,
}

impl Record {
    /// A job with this key and nothing else known.
    pub fn new(status: Status, cache_key: CacheKey) -> Self {
        let (outputs, program, seconds, estimate) = Default::default();
        Self { status, cache_key, outputs, program, seconds, estimate }
    }
}

/// A file's hash, with the metadata by which a change is noticed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Hashed {
    bytes: u64,
    modified_nanos: i128,
    inode: u64,
    blake3: String,
}

/// The records and hashes of one folder of artifacts.
#[derive(Debug)]
pub struct State {
    root: PathBuf,
    writes: bool,
    records: BTreeMap<String, Record>,
    hashes: BTreeMap<String, Hashed>,
    hashes_changed: bool,
    unsaved: Option<String>,
    /// Where other drivers work in the folder at the same time: then records go to each job's own file.
    shared: Option<Shared>,
    /// The files that were hashed since the last record of a shared folder.
    fresh: BTreeMap<String, Hashed>,
}

const RECORDS: &str = ".state.json";
const HASHES: &str = ".hashes.json";

impl State {
    /// Reads the state; if not `writes`, nothing is ever written. What cannot be read is found out again from the tables.
    pub fn open(root: &Path, writes: bool) -> Self {
        Self {
            root: root.to_owned(),
            writes,
            records: load(&root.join(RECORDS)),
            hashes: load(&root.join(HASHES)),
            hashes_changed: false,
            unsaved: None,
            shared: None,
            fresh: BTreeMap::new(),
        }
    }

    /// Reads the state of a folder that is shared with other drivers.
    pub(crate) fn open_shared(root: &Path, shared: Shared) -> Self {
        Self { shared: Some(shared), ..Self::open(root, true) }
    }

    /// Whether other drivers work in the folder at the same time.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Claims a job in a folder that is shared; whether it is this driver's now. Otherwise another one runs it.
    ///
    /// # Errors
    /// The claim cannot be written.
    pub(crate) fn claim(&mut self, job: &str) -> Result<bool, Fault> {
        let Some(shared) = &mut self.shared else { return Ok(true) };
        let Some(outcome) = shared.claim(job)? else { return Ok(false) };
        self.adopt(job, outcome);
        Ok(true)
    }

    /// Learns what others have recorded of all jobs and nobody has taken over yet.
    pub(crate) fn adopt_all(&mut self) {
        for (job, outcome) in shared::all(&self.root.clone()) {
            self.adopt(&job, outcome);
        }
    }

    /// Learns what another driver has recorded of a job in a shared folder.
    pub(crate) fn adopt(&mut self, job: &str, outcome: Outcome) {
        if let Some(record) = outcome.record {
            self.records.insert(job.to_owned(), record);
        }
        self.hashes.extend(outcome.hashes);
    }

    /// What shows that this driver still owns a job; none where it works alone.
    pub(crate) fn fence(&self, job: &str) -> Option<&Fence> {
        self.shared.as_ref()?.fence(job)
    }

    /// Whether a job that was claimed is still this driver's.
    pub(crate) fn owns(&self, job: &str) -> bool {
        self.fence(job).is_none_or(|fence| fence.guard(|| Ok(())).is_ok())
    }

    /// Records in a shared folder that this execution of a job is over, and gives the job back.
    pub(crate) fn settle(&mut self, job: &str, failure: Option<&Failure>) {
        self.record_shared(job, |outcome| {
            outcome.ended = true;
            outcome.failure = failure.cloned();
        });
        if let Some(shared) = &mut self.shared {
            shared.release(job);
        }
    }

    /// Records an execution for the table `lineage` in a shared folder.
    pub(crate) fn record_execution(&mut self, execution: Execution) {
        let job = execution.node.clone();
        self.record_shared(&job, |outcome| outcome.executions.push(execution));
    }

    /// Tells in a shared folder how far a job is.
    pub(crate) fn write_progress(&self, job: &str, progress: &Progress, seconds: f64) {
        if let Some(shared) = &self.shared {
            shared.write_progress(job, progress, seconds);
        }
    }

    fn record_shared(&mut self, job: &str, change: impl FnOnce(&mut Outcome)) {
        let Some(shared) = &mut self.shared else { return };
        let fresh = std::mem::take(&mut self.fresh);
        let recorded = shared.record(job, |outcome| {
            outcome.hashes.extend(fresh);
            change(outcome);
        });
        if let Err(error) = recorded {
            self.unsaved = Some(error.to_string());
        }
    }

    /// Learns hashes that others computed.
    pub(crate) fn learn(&mut self, hashes: BTreeMap<String, Hashed>) {
        self.hashes_changed |= !hashes.is_empty();
        self.hashes.extend(hashes);
    }

    /// Replaces the records of some jobs at once.
    pub(crate) fn insert_all(&mut self, records: impl IntoIterator<Item = (String, Record)>) {
        self.records.extend(records);
        self.save_hashes();
        self.save_records();
    }

    /// Reads the records again, which another driver writes. The hashes that were computed stay.
    pub fn reload(&mut self) {
        self.records = load(&self.root.join(RECORDS));
    }

    /// The record of a job.
    pub fn record(&self, job: &str) -> Option<&Record> {
        self.records.get(job)
    }

    /// Replaces the record of a job.
    pub fn insert(&mut self, job: &str, record: Record) {
        self.record_shared(job, |outcome| outcome.record = Some(record.clone()));
        self.records.insert(job.to_owned(), record);
        self.save_hashes();
        self.save_records();
    }

    /// Forgets a job.
    pub fn remove(&mut self, job: &str) {
        self.record_shared(job, |outcome| outcome.record = None);
        self.records.remove(job);
        self.save_records();
    }

    /// Why the state could not be saved the last time, once. It is no fault: what is not saved is found out again from the
    /// tables.
    pub fn take_unsaved(&mut self) -> Option<String> {
        self.unsaved.take()
    }

    /// Marks recorded jobs as to be rerun, even if this run of the driver is interrupted before.
    pub fn mark_forced(&mut self, jobs: impl Iterator<Item = String>) {
        for job in jobs {
            if let Some(record) = self.records.get_mut(&job) {
                record.status = Status::Forced;
            }
        }
        self.save_records();
    }

    /// The names of the recorded jobs.
    pub fn jobs(&self) -> impl Iterator<Item = &str> {
        self.records.keys().map(String::as_str)
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Writes the hashes, if any changed.
    pub fn save_hashes(&mut self) {
        if std::mem::take(&mut self.hashes_changed) {
            let saved = self.save(HASHES, &self.hashes);
            self.note(saved);
        }
    }

    fn save_records(&mut self) {
        let saved = self.save(RECORDS, &self.records);
        self.note(saved);
    }

    fn note(&mut self, saved: Result<(), schemas::Error>) {
        if let Err(error) = saved {
            self.unsaved = Some(error.to_string());
        }
    }

    /// The BLAKE3 hash of a file, computed only if its metadata changed; none if there is no such file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn hash(&mut self, path: &Path) -> Result<Option<String>, Fault> {
        let fault = |error| Fault::input(format!("cannot read {}: {error}", path.display()));
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(fault(error)),
        };
        let modified_nanos = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        let (bytes, inode) = (metadata.len(), metadata.ino());
        let key = path.strip_prefix(&self.root).unwrap_or(path).display().to_string();
        if let Some(known) = self.hashes.get(&key)
            && (known.bytes, known.modified_nanos, known.inode) == (bytes, modified_nanos, inode)
        {
            return Ok(Some(known.blake3.clone()));
        }
        let mut hasher = blake3::Hasher::new();
        File::open(path).and_then(|file| hasher.update_reader(file).map(|_| ())).map_err(fault)?;
        let blake3 = hasher.finalize().to_hex().to_string();
        let hashed = Hashed { bytes, modified_nanos, inode, blake3: blake3.clone() };
        if self.shared.is_some() {
            self.fresh.insert(key.clone(), hashed.clone());
        }
        self.hashes.insert(key, hashed);
        self.hashes_changed = true;
        Ok(Some(blake3))
    }

    fn save(&self, name: &str, value: &impl Serialize) -> Result<(), schemas::Error> {
        if !self.writes || self.shared.is_some() {
            return Ok(());
        }
        let text = serde_json::to_vec_pretty(value).expect("plain data serialises");
        Artifacts::new(&self.root).write_file(name, &text)
    }
}

/// The content of a file; the default if it cannot be read.
fn load<T: DeserializeOwned + Default>(path: &Path) -> T {
    fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_computed_again_when_the_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut state = State::open(folder.path(), true);
        assert_eq!(state.hash(&path).unwrap(), None);
        fs::write(&path, "one").unwrap();
        let one = state.hash(&path).unwrap();
        assert_eq!(one.as_deref(), Some(blake3::hash(b"one").to_hex().as_str()));
        fs::write(folder.path().join("new"), "two").unwrap();
        fs::rename(folder.path().join("new"), &path).unwrap();
        assert_ne!(state.hash(&path).unwrap(), one);
        state.save_hashes();
        assert_eq!(State::open(folder.path(), true).hashes, state.hashes);
    }

    #[test]
    fn a_corrupt_file_is_ignored_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(RECORDS), "{\"train\": {").unwrap();
        // A killed driver leaves such a file, which nobody reads.
        fs::write(folder.path().join(".state.json.tmp"), "{").unwrap();
        let mut state = State::open(folder.path(), true);
        assert_eq!(state.record("train"), None);
        let record = Record::new(Status::Done, CacheKey::default());
        state.insert("train", record.clone());
        assert_eq!(state.take_unsaved(), None);
        assert_eq!(State::open(folder.path(), false).record("train"), Some(&record));
    }

    #[test]
    fn records_with_the_names_of_before_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let cache_key = r#"{"program": "p", "arguments": {}, "inputs": {}}"#;
        let text = format!(r#"{{"train": {{"status": "asked", "ingredients": {cache_key}, "outputs": {{}}}}}}"#);
        fs::write(folder.path().join(RECORDS), text).unwrap();
        let state = State::open(folder.path(), false);
        assert_eq!(state.record("train").unwrap().status, Status::Forced);
    }

    #[test]
    fn a_state_that_cannot_be_saved_is_noted_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = State::open(folder.path(), true);
        fs::create_dir(folder.path().join(RECORDS)).unwrap();
        state.insert("train", Record::new(Status::Done, CacheKey::default()));
        assert!(state.take_unsaved().unwrap().contains(RECORDS));
        assert_eq!(state.take_unsaved(), None);
        assert!(state.record("train").is_some());
    }
}
