//! Fences: of several processes that do the same work, only the one that took it last commits.
//!
//! On a cluster, a job can run twice at once: its node seems lost, it is started elsewhere, and the first process goes on. So
//! whoever starts a job writes a token of its own in the job's file, and its processes prove before every commit that the file
//! still has that token. The older process then stops with an error, and what it was writing never gets its final name.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::{cannot, create_folder, folder};

/// The environment variable by which a process hands its fence to those that it starts: `TOKEN:FILE`.
pub const FENCE: &str = "ATTENTION_STUDY_FENCE";

/// How long another process may hold a file in the middle of its commit, which takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process's claim to some work: it owns the work as long as the file has its token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fence {
    file: PathBuf,
    token: String,
}

impl Fence {
    /// Takes the work over from whoever had it: writes the token, a word of letters and digits, in the file. A commit in
    /// progress is waited for.
    ///
    /// # Errors
    /// Those of the operating system; or another process does not finish its commit.
    pub fn take(file: impl Into<PathBuf>, token: impl Into<String>) -> io::Result<Self> {
        let fence = Self { file: file.into(), token: token.into() };
        create_folder(folder(&fence.file))?;
        let open = File::options().create(true).read(true).write(true).truncate(false).open(&fence.file);
        let mut owner = open.map_err(cannot("create", &fence.file))?;
        lock(&fence.file, || owner.try_lock())?;
        let written = owner.set_len(0).and_then(|()| owner.write_all(fence.token.as_bytes()));
        written.and_then(|()| owner.sync_all()).map_err(cannot("write", &fence.file))?;
        Ok(fence)
    }

    /// The fence that the environment hands to this process; none where it works alone.
    pub fn inherited() -> Option<&'static Self> {
        static INHERITED: OnceLock<Option<Fence>> = OnceLock::new();
        INHERITED.get_or_init(|| Self::parse(&std::env::var_os(FENCE)?)).as_ref()
    }

    /// The value of the environment variable for processes that work behind this fence.
    pub fn to_variable(&self) -> OsString {
        OsString::from_vec([self.token.as_bytes(), b":", self.file.as_os_str().as_bytes()].concat())
    }

    fn parse(variable: &OsString) -> Option<Self> {
        let bytes = variable.as_bytes();
        let colon = bytes.iter().position(|byte| *byte == b':')?;
        let token = std::str::from_utf8(&bytes[..colon]).ok()?.to_owned();
        Some(Self { file: OsString::from_vec(bytes[colon + 1..].to_vec()).into(), token })
    }

    /// The word that no other owner has.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Commits while nobody can take the work over.
    ///
    /// # Errors
    /// Another process has taken the work over, and nothing was done; or those of the commit.
    pub fn guard<T>(&self, commit: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let lost = || io::Error::other(format!("another execution has taken this job over ({})", self.file.display()));
        // A file that is gone has no owner. Opened anew, a file on a network file system is read anew.
        let mut owner = File::open(&self.file).map_err(|_| lost())?;
        lock(&self.file, || owner.try_lock_shared())?;
        let mut token = String::new();
        owner.read_to_string(&mut token).map_err(cannot("read", &self.file))?;
        if token == self.token { commit() } else { Err(lost()) }
    }
}

/// Locks a file until it is closed. On a file system without locks it is not locked: a commit is then safe but for the moment
/// between the proof and the renaming.
fn lock(path: &Path, mut attempt: impl FnMut() -> Result<(), TryLockError>) -> io::Result<()> {
    let started = Instant::now();
    loop {
        match attempt() {
            Err(TryLockError::WouldBlock) if started.elapsed() < PATIENCE => sleep(Duration::from_millis(20)),
            Err(TryLockError::WouldBlock) => {
                let message = format!("{} is locked by a commit that does not end", path.display());
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::AtomicFile;

    #[test]
    fn the_older_of_two_writers_commits_nothing_and_disturbs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let [owner, table, temporary] = ["jobs/owner", "table", ".tmp/table"].map(|name| folder.path().join(name));
        let write = |fence: &Fence, text: &str| {
            let mut file = AtomicFile::create_behind(Some(fence), table.clone(), temporary.clone()).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file
        };
        let older = Fence::take(&owner, "a1").unwrap();
        write(&older, "one").commit().unwrap();
        let left = write(&older, "older");
        let newer = Fence::take(&owner, "b2").unwrap();
        let kept = write(&newer, "newer");
        let error = left.commit().unwrap_err();
        assert!(error.to_string().contains("another execution has taken this job over"), "{error}");
        assert_eq!(fs::read_to_string(&table).unwrap(), "one");
        kept.commit().unwrap();
        assert_eq!(fs::read_to_string(&table).unwrap(), "newer");
        assert_eq!(fs::read_dir(folder.path().join(".tmp")).unwrap().count(), 0);
        fs::remove_file(&owner).unwrap();
        assert!(newer.guard(|| Ok(())).is_err(), "without the file nobody owns the work");
    }

    #[test]
    fn work_is_not_taken_over_in_the_middle_of_a_commit() {
        let folder = tempfile::tempdir().unwrap();
        let owner = folder.path().join("owner");
        let older = Fence::take(&owner, "a1").unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        older
            .guard(|| {
                let (owner, sender) = (owner.clone(), sender.clone());
                std::thread::spawn(move || sender.send(Fence::take(owner, "b2").is_ok()));
                assert!(receiver.recv_timeout(Duration::from_millis(200)).is_err(), "it waits");
                Ok(())
            })
            .unwrap();
        assert!(receiver.recv().unwrap());
        assert!(older.guard(|| Ok(())).is_err());
    }

    #[test]
    fn a_fence_is_handed_to_children_as_it_is() {
        let fence = Fence { file: "/some folder/a:b/owner".into(), token: "a1".into() };
        assert_eq!(Fence::parse(&fence.to_variable()), Some(fence));
        assert_eq!(Fence::parse(&OsString::from("none")), None);
    }
}
