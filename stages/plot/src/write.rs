//! Files that are whole or absent.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {source}", path = path.display())]
pub struct Failure {
    action: &'static str,
    path: PathBuf,
    source: std::io::Error,
}

/// Writes a file under another name in the same folder, synchronises and renames it.
pub fn whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source| Failure { action, path, source }
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed("create", folder))?;
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let written = File::create(&temporary).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(failed("write", &temporary))?;
    fs::rename(&temporary, path).map_err(failed("rename", &temporary))
}
