//! Files that are complete or absent, also after a crash: temporary file, fsync, rename, fsync of the folder. Where a job may run
//! twice at once, a [`Fence`] lets only the execution that began last commit.
//!
//! By hand and not over `tempfile`, for two reasons. The temporary file of a path always has the same name, so what a killed
//! process leaves is replaced by the next one; under random names it would pile up. And it has the permissions that the
//! umask gives, where `tempfile` makes files that only their owner can read.
//!
//! ```
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("results/loss.txt");
//! atomic_file::write(&path, b"1.47\n")?;
//! assert_eq!(std::fs::read(&path)?, b"1.47\n");
//! # Ok::<(), std::io::Error>(())
//! ```

mod fence;

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub use fence::{FENCE, Fence};

/// A file that gets its name on [`AtomicFile::commit`]. Dropped before, it leaves nothing.
///
/// One process at a time may write a path: all use the same temporary name. Processes behind a [`Fence`] have each their own, and
/// only the one that owns the work commits.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    temporary: PathBuf,
    file: File,
    fence: Option<Fence>,
}

impl AtomicFile {
    /// Opens the temporary file of `path`, `<path>.tmp` beside it, and creates its folder if there is none.
    ///
    /// # Errors
    /// Those of the operating system; the message names the file or folder.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let target = path.into();
        let temporary = beside(&target);
        Self::create_via(target, temporary)
    }

    /// Opens a temporary file that becomes `path`, and creates the folders of both if there are none. Where they are on
    /// different file systems, between which no file can be renamed, it is `<path>.tmp` instead.
    ///
    /// # Errors
    /// Those of the operating system; the message names the file or folder.
    pub fn create_via(path: impl Into<PathBuf>, temporary: impl Into<PathBuf>) -> io::Result<Self> {
        Self::create_behind(Fence::inherited(), path.into(), temporary.into())
    }

    /// The same behind a fence, if there is one: it is committed only while the work is owned.
    ///
    /// # Errors
    /// As [`AtomicFile::create_via`].
    pub fn create_behind(fence: Option<&Fence>, target: PathBuf, mut temporary: PathBuf) -> io::Result<Self> {
        create_folder(folder(&target))?;
        create_folder(folder(&temporary))?;
        if device(folder(&target))? != device(folder(&temporary))? {
            temporary = beside(&target);
        }
        let temporary = of_owner(temporary, fence);
        let open = File::options().read(true).write(true).create(true).truncate(true).open(&temporary);
        let file = open.map_err(cannot("create", &temporary))?;
        Ok(Self { target, temporary, file, fence: fence.cloned() })
    }

    /// Makes the file durable under its name, in place of one that had it.
    ///
    /// # Errors
    /// Those of the operating system; the message names the file or folder. Or another execution has taken over the job that
    /// this process works on, and nothing was replaced.
    pub fn commit(self) -> io::Result<()> {
        self.file.sync_all().map_err(cannot("write", &self.target))?;
        rename(self.fence.as_ref(), &self.temporary, &self.target)?;
        sync_folder(folder(&self.target))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).map_err(cannot("write", &self.target))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush().map_err(cannot("write", &self.target))
    }
}

/// What was written can be read again, to complete it.
impl Read for AtomicFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer).map_err(cannot("read", &self.temporary))
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position).map_err(cannot("read", &self.temporary))
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        // After a commit, nothing has this name.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Writes a whole file, and creates its folder if there is none.
///
/// # Errors
/// Those of the operating system; the message names the file or folder. The path then holds what it held before, unless
/// only the last fsync failed.
pub fn write(path: impl Into<PathBuf>, bytes: &[u8]) -> io::Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Gives a file that another program has written whole its name, in place of a file that had it; behind a fence only while the
/// work is owned. Between two file systems it is copied.
///
/// # Errors
/// Those of the operating system; the message names the file or folder. Or another execution has taken the work over, and
/// nothing was replaced.
pub fn place(fence: Option<&Fence>, written: &Path, path: impl Into<PathBuf>) -> io::Result<()> {
    let target = path.into();
    create_folder(folder(&target))?;
    let mut file = File::open(written).map_err(cannot("read", written))?;
    if device(folder(&target))? != device(folder(written))? {
        let mut copy = AtomicFile::create_behind(fence, target.clone(), beside(&target))?;
        io::copy(&mut file, &mut copy)?;
        copy.commit()?;
        return fs::remove_file(written).map_err(cannot("remove", written));
    }
    file.sync_all().map_err(cannot("write", written))?;
    rename(fence, written, &target)?;
    sync_folder(folder(&target))
}

/// Gives an existing file one more name, in place of a file that had it, by way of a temporary name. Where the file system has
/// no hard links, or the names are on two of them, it is a copy. Behind a fence, only while the work is owned.
///
/// # Errors
/// Those of the operating system; the message names the file or folder. The path then holds what it held before, unless
/// only the last fsync failed.
pub fn link(
    fence: Option<&Fence>,
    existing: &Path,
    path: impl Into<PathBuf>,
    temporary: impl Into<PathBuf>,
) -> io::Result<()> {
    let (target, plain) = (path.into(), temporary.into());
    let temporary = of_owner(plain.clone(), fence);
    create_folder(folder(&target))?;
    create_folder(folder(&temporary))?;
    // A killed process may have left one.
    let _ = fs::remove_file(&temporary);
    if fs::hard_link(existing, &temporary).is_err() {
        let mut file = AtomicFile::create_behind(fence, target, plain)?;
        io::copy(&mut File::open(existing).map_err(cannot("read", existing))?, &mut file)?;
        return file.commit();
    }
    let renamed = rename(fence, &temporary, &target);
    // It is still there if both names were of one file already.
    let _ = fs::remove_file(&temporary);
    renamed?;
    sync_folder(folder(&target))
}

/// Renames a file, behind a fence only while the work is owned.
fn rename(fence: Option<&Fence>, temporary: &Path, target: &Path) -> io::Result<()> {
    let rename = || fs::rename(temporary, target).map_err(cannot("replace", target));
    fence.map_or_else(rename, |fence| fence.guard(rename))
}

/// A temporary name that no other owner of the work has.
fn of_owner(temporary: PathBuf, fence: Option<&Fence>) -> PathBuf {
    let Some(fence) = fence else { return temporary };
    let mut name = temporary.into_os_string();
    name.push(".");
    name.push(fence.token());
    name.into()
}

/// The folder of a path, which for a bare file name is the current one.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `<path>.tmp`.
fn beside(path: &Path) -> PathBuf {
    let mut temporary = path.to_owned().into_os_string();
    temporary.push(".tmp");
    temporary.into()
}

/// The file system that a folder is on.
fn device(path: &Path) -> io::Result<u64> {
    fs::metadata(path).map(|metadata| metadata.dev()).map_err(cannot("read", path))
}

/// Creates a folder and those above it, each durably: a file survives a crash only if its folders do.
fn create_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = folder(path);
    create_folder(parent)?;
    match fs::create_dir(path) {
        // Another process was faster.
        Err(_) if path.is_dir() => Ok(()),
        created => created.map_err(cannot("create", path)).and_then(|()| sync_folder(parent)),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(cannot("sync", path))
}

/// The same kind of error with a message that names the path.
fn cannot(action: &str, path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("cannot {action} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_old_file_stays_until_the_commit_and_nothing_else_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/folder/table.parquet");
        write(&path, b"old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(path.parent().unwrap()), ["table.parquet", "table.parquet.tmp"]);
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(path.parent().unwrap()), ["table.parquet"]);
    }

    #[test]
    fn a_file_that_is_dropped_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        AtomicFile::create(folder.path().join("file")).unwrap().write_all(b"half").unwrap();
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_temporary_file_elsewhere_leaves_its_folder_empty() {
        let folder = tempfile::tempdir().unwrap();
        let (path, temporary) = (folder.path().join("table/file"), folder.path().join(".tmp/file"));
        for content in ["one", "two"] {
            let mut file = AtomicFile::create_via(&path, &temporary).unwrap();
            file.write_all(content.as_bytes()).unwrap();
            assert_eq!(names(&folder.path().join(".tmp")), ["file"]);
            assert!(!names(&folder.path().join("table")).iter().any(|name| name != "file"));
            file.commit().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
            assert!(names(&folder.path().join(".tmp")).is_empty());
        }
    }

    /// `/dev/shm` is a file system of its own wherever it is.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_target_on_another_file_system_is_written_beside_it() {
        let (here, Ok(there)) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm")) else { return };
        if device(here.path()).unwrap() == device(there.path()).unwrap() {
            return;
        }
        let path = there.path().join("file");
        let mut file = AtomicFile::create_via(&path, here.path().join("file")).unwrap();
        file.write_all(b"bytes").unwrap();
        assert_eq!(names(there.path()), ["file.tmp"]);
        file.commit().unwrap();
        assert_eq!((names(here.path()), names(there.path())), (vec![], vec!["file".to_owned()]));
    }

    #[test]
    fn a_link_is_another_name_of_the_same_file_in_place_of_an_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, temporary] = ["file", "new/link", ".tmp/link"].map(|name| folder.path().join(name));
        write(&file, b"bytes").unwrap();
        write(&link, b"old").unwrap();
        for _ in 0..2 {
            super::link(None, &file, &link, &temporary).unwrap();
            assert_eq!(fs::metadata(&file).unwrap().ino(), fs::metadata(&link).unwrap().ino());
            assert!(names(&folder.path().join(".tmp")).is_empty());
        }
        // A file that is replaced keeps its other names.
        write(&file, b"new").unwrap();
        assert_eq!(fs::read(&link).unwrap(), b"bytes");
        let error = super::link(None, &folder.path().join("none"), &link, &temporary).unwrap_err();
        assert!(error.to_string().contains("none") && fs::read(&link).unwrap() == b"bytes", "{error}");
    }

    #[test]
    fn a_file_of_another_program_gets_its_name_while_the_work_is_owned() {
        let folder = tempfile::tempdir().unwrap();
        let [written, path, owner] = ["out/table", "new/table", "owner"].map(|name| folder.path().join(name));
        write(&path, b"old").unwrap();
        write(&written, b"new").unwrap();
        let (older, newer) = (Fence::take(&owner, "a1").unwrap(), Fence::take(&owner, "b2").unwrap());
        place(Some(&older), &written, &path).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        place(Some(&newer), &written, &path).unwrap();
        assert_eq!((fs::read(&path).unwrap(), written.exists()), (b"new".to_vec(), false));
        let error = place(None, &written, &path).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot read {}: ", written.display())), "{error}");
    }

    #[test]
    fn what_a_killed_process_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file.tmp"), "longer than the next").unwrap();
        write(folder.path().join("file"), b"short").unwrap();
        assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"short");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn an_error_names_the_path_keeps_its_kind_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let blocked = folder.path().join("blocked");
        fs::create_dir(&blocked).unwrap();
        let error = write(&blocked, b"bytes").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        assert!(error.to_string().starts_with(&format!("cannot replace {}: ", blocked.display())), "{error}");
        assert_eq!(names(folder.path()), ["blocked"]);

        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = write(file.join("below/name"), b"bytes").unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot create {}: ", file.display())), "{error}");
    }

    /// `/dev/full` is a disk without room.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", folder.path().join("file.tmp")).unwrap();
        let error = write(folder.path().join("file"), b"bytes").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_bare_name_is_in_the_current_folder() {
        assert_eq!(folder(Path::new("name")), Path::new("."));
        assert_eq!(folder(Path::new("a/name")), Path::new("a"));
        assert_eq!(folder(Path::new("/name")), Path::new("/"));
    }
}
