//! A job on good inputs, which can be run again and again.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use cli::Terminal;
use declarations::{Fault, Job, Stage};
use tempfile::TempDir;

use crate::Run;

/// The bytes of files, by path below a root.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A folder with good inputs, and the flags of a job on them.
pub(crate) struct Setup<S: Stage> {
    folder: TempDir,
    flags: Vec<String>,
    inputs: Files,
    run: Run<S>,
}

/// How an execution ended.
pub(crate) enum Outcome {
    Done,
    Failed(Fault),
    Panicked,
}

impl Outcome {
    /// What went wrong, to follow "it" in a sentence.
    pub(crate) fn problem(self) -> Option<String> {
        match self {
            Self::Done => None,
            Self::Failed(fault) => Some(format!("fails: {fault}")),
            Self::Panicked => Some("panics".to_owned()),
        }
    }
}

impl<S: Stage> Setup<S> {
    pub(crate) fn new(run: Run<S>, good: &impl Fn(&Path) -> Vec<String>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let flags = good(folder.path());
        let inputs = files(folder.path());
        Self { folder, flags, inputs, run }
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn flags(&self) -> &[String] {
        &self.flags
    }

    pub(crate) fn job(&self) -> Job<S> {
        let root = self.root().to_string_lossy().into_owned();
        let words = [S::NAME.to_owned(), "--artifacts".to_owned(), root];
        let parsed = Job::parse(words.iter().chain(&self.flags));
        parsed.unwrap_or_else(|error| panic!("the good flags are refused: {error}"))
    }

    /// Removes what was written and restores the inputs.
    pub(crate) fn reset(&self) {
        let found = files(self.root());
        for path in found.keys().filter(|path| !self.inputs.contains_key(*path)) {
            fs::remove_file(self.root().join(path)).expect("the folder is the test's own");
        }
        for (path, bytes) in self.inputs.iter().filter(|(path, bytes)| found.get(*path) != Some(*bytes)) {
            fs::write(self.root().join(path), bytes).expect("a file");
        }
    }

    pub(crate) fn run(&self, threads: usize) -> Outcome {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let run = || (self.run)(&self.job(), &Terminal::silent());
        match catch_unwind(AssertUnwindSafe(|| pool.install(run))) {
            Ok(Ok(())) => Outcome::Done,
            Ok(Err(fault)) => Outcome::Failed(fault),
            Err(_) => Outcome::Panicked,
        }
    }

    /// The files that are new or changed.
    pub(crate) fn written(&self) -> Files {
        let mut files = files(self.root());
        files.retain(|path, bytes| self.inputs.get(path) != Some(bytes));
        files
    }
}

fn files(root: &Path) -> Files {
    let mut files = Files::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).expect("a file");
                files.insert(path.strip_prefix(root).expect("it is below the root").to_owned(), bytes);
            }
        }
    }
    files
}
