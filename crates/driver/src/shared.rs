//! Folders that several drivers work in at once: the tasks of a cluster, or drivers that an array of one's own starts.
//!
//! Each job has a folder `.jobs/<job>` with the token of the execution that owns it ([`Fence`]), and what that execution has to
//! record. Whoever next has the whole folder of the artifacts for itself takes the records over ([`State::absorb`]) and removes
//! `.jobs/<job>`, so that an execution that still goes on somewhere owns nothing any more.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use atomic_file::Fence;
use declarations::Fault;
use schemas::enums;
use schemas::tables::Lineage;
use serde::{Deserialize, Serialize};

use crate::failures::Failure;
use crate::progress::Progress;
use crate::state::{Hashed, Record, State};

const FOLDER: &str = ".jobs";
const OWNER: &str = "owner";
const LOCK: &str = "lock";
const OUTCOME: &str = "outcome.json";
const PROGRESS: &str = "progress.json";

/// What an execution has to record of its job.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Outcome {
    /// The execution: the name of the array that it belongs to, or a word of its own.
    pub(crate) by: String,
    /// Whether the execution is over; otherwise it goes on, or was killed.
    pub(crate) ended: bool,
    /// How it failed, if it did.
    pub(crate) failure: Option<Failure>,
    /// The job's record.
    pub(crate) record: Option<Record>,
    /// The files that it hashed.
    pub(crate) hashes: BTreeMap<String, Hashed>,
    /// Its rows of the table `lineage`.
    pub(crate) executions: Vec<Execution>,
}

/// A row of the table `lineage`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Execution {
    pub(crate) node: String,
    pub(crate) stage: String,
    pub(crate) command: String,
    pub(crate) fingerprint: String,
    pub(crate) status: enums::Status,
    pub(crate) wall_secs: f64,
    pub(crate) peak_rss_bytes: Option<u64>,
    pub(crate) started_at_secs: f64,
}

impl From<Lineage> for Execution {
    fn from(row: Lineage) -> Self {
        let Lineage { node, stage, command, fingerprint, status, wall_secs, peak_rss_bytes, started_at_secs } = row;
        Self { node, stage, command, fingerprint, status, wall_secs, peak_rss_bytes, started_at_secs }
    }
}

impl From<Execution> for Lineage {
    fn from(row: Execution) -> Self {
        let Execution { node, stage, command, fingerprint, status, wall_secs, peak_rss_bytes, started_at_secs } = row;
        Self { node, stage, command, fingerprint, status, wall_secs, peak_rss_bytes, started_at_secs }
    }
}

/// A driver's part in a folder that it shares with others.
#[derive(Debug)]
pub(crate) struct Shared {
    root: PathBuf,
    by: String,
    /// Whether a job that somebody else runs is taken over; otherwise it is waited for.
    takes_over: bool,
    claims: BTreeMap<String, Claim>,
}

#[derive(Debug)]
struct Claim {
    fence: Fence,
    /// Locked as long as the job is claimed, where jobs are not taken over.
    _lock: Option<File>,
    outcome: Outcome,
}

impl Shared {
    /// That of the execution `by` below a root. It takes over the jobs of others, or waits for them.
    pub(crate) fn new(root: &Path, by: String, takes_over: bool) -> Self {
        Self { root: root.to_owned(), by, takes_over, claims: BTreeMap::new() }
    }

    /// Claims a job, and returns what is recorded of it; none if another process has it and is to be waited for.
    ///
    /// # Errors
    /// The claim cannot be written.
    pub(crate) fn claim(&mut self, job: &str) -> Result<Option<Outcome>, Fault> {
        if let Some(claim) = self.claims.get(job) {
            return Ok(Some(claim.outcome.clone()));
        }
        let folder = folder(&self.root, job);
        let claimed = || -> io::Result<Option<Claim>> {
            let lock = match self.takes_over {
                true => None,
                false => match lock(&folder)? {
                    Lock::Ours(file) => file,
                    Lock::OfAnother => return Ok(None),
                },
            };
            let fence = Fence::take(folder.join(OWNER), random_word())?;
            let known = read(&self.root, job).unwrap_or_default();
            let outcome = Outcome { by: self.by.clone(), ended: false, failure: None, ..known };
            Ok(Some(Claim { fence, _lock: lock, outcome }))
        };
        let claim = claimed().map_err(|error| Fault::input(format!("{job} cannot be claimed: {error}")))?;
        let outcome = claim.as_ref().map(|claim| claim.outcome.clone());
        if let Some(claim) = claim {
            self.claims.insert(job.to_owned(), claim);
        }
        Ok(outcome)
    }

    /// Gives a job back.
    pub(crate) fn release(&mut self, job: &str) {
        self.claims.remove(job);
    }

    /// The fence of a job that is claimed.
    pub(crate) fn fence(&self, job: &str) -> Option<&Fence> {
        self.claims.get(job).map(|claim| &claim.fence)
    }

    /// Changes what is recorded of a claimed job.
    ///
    /// # Errors
    /// It cannot be written, or the job was taken over.
    pub(crate) fn record(&mut self, job: &str, change: impl FnOnce(&mut Outcome)) -> io::Result<()> {
        let Some(claim) = self.claims.get_mut(job) else { return Ok(()) };
        change(&mut claim.outcome);
        let text = serde_json::to_vec(&claim.outcome).map_err(io::Error::other)?;
        let path = folder(&self.root, job).join(OUTCOME);
        claim.fence.guard(|| atomic_file::write(path, &text))
    }

    /// Tells how far a job is. It is for people who look, so what cannot be written is left out.
    pub(crate) fn write_progress(&self, job: &str, progress: &Progress, seconds: f64) {
        if let Ok(text) = serde_json::to_vec(&(progress, seconds)) {
            let _ = fs::write(folder(&self.root, job).join(PROGRESS), text);
        }
    }
}

impl State {
    /// Takes over what executions recorded of some jobs, in one go; returns their rows of the table `lineage`. Their folders stay
    /// until [`discard`].
    pub(crate) fn absorb(&mut self, outcomes: Vec<(String, Outcome)>) -> Vec<Lineage> {
        let mut rows = Vec::new();
        let mut records = Vec::new();
        for (job, outcome) in outcomes {
            self.learn(outcome.hashes);
            records.extend(outcome.record.map(|record| (job, record)));
            rows.extend(outcome.executions.into_iter().map(Lineage::from));
        }
        self.insert_all(records);
        rows
    }
}

/// The folder of a job: `.jobs/train/shakespeare_char/run_1/1337`.
fn folder(root: &Path, job: &str) -> PathBuf {
    let words = job.split([' ', '/']).filter(|word| !word.is_empty());
    words.fold(root.join(FOLDER), |folder, word| folder.join(word))
}

/// What is recorded of a job and was not taken over yet.
pub(crate) fn read(root: &Path, job: &str) -> Option<Outcome> {
    serde_json::from_slice(&fs::read(folder(root, job).join(OUTCOME)).ok()?).ok()
}

/// What is recorded of all jobs and was not taken over yet.
pub(crate) fn all(root: &Path) -> Vec<(String, Outcome)> {
    let mut outcomes = Vec::new();
    let mut folders = vec![root.join(FOLDER)];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            }
        }
        let words = folder.strip_prefix(root.join(FOLDER)).unwrap_or(&folder);
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        let Some((stage, rest)) = words.split_first() else { continue };
        let job = format!("{stage} {}", rest.join("/")).trim_end().to_owned();
        outcomes.extend(read(root, &job).map(|outcome| (job, outcome)));
    }
    outcomes.sort_by(|(one, _), (other, _)| one.cmp(other));
    outcomes
}

/// How far a job is, and the seconds since its start.
pub(crate) fn progress(root: &Path, job: &str) -> Option<(Progress, f64)> {
    serde_json::from_slice(&fs::read(folder(root, job).join(PROGRESS)).ok()?).ok()
}

/// Removes a job's folder, so that no execution owns the job.
pub(crate) fn discard(root: &Path, job: &str) {
    let folder = folder(root, job);
    // The owner first: a job that is half removed is nobody's.
    for name in [OWNER, OUTCOME, PROGRESS, LOCK] {
        let _ = fs::remove_file(folder.join(name));
    }
    // The folders above it, as long as they are empty.
    let above = folder.ancestors().take_while(|folder| *folder != root);
    above.map(fs::remove_dir).take_while(Result::is_ok).for_each(drop);
}

/// Whether any job has a folder.
pub(crate) fn any(root: &Path) -> bool {
    root.join(FOLDER).is_dir()
}

/// Removes the folders of all jobs.
pub(crate) fn discard_all(root: &Path) {
    let _ = fs::remove_dir_all(root.join(FOLDER));
}

/// A word that nobody else has.
pub(crate) fn random_word() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

enum Lock {
    /// None where the file system has no locks; the fence alone then decides.
    Ours(Option<File>),
    OfAnother,
}

/// Locks a job until the file is closed.
fn lock(folder: &Path) -> io::Result<Lock> {
    fs::create_dir_all(folder)?;
    let file = File::options().create(true).append(true).open(folder.join(LOCK))?;
    Ok(match file.try_lock() {
        Ok(()) => Lock::Ours(Some(file)),
        Err(TryLockError::WouldBlock) => Lock::OfAnother,
        Err(TryLockError::Error(_)) => Lock::Ours(None),
    })
}
