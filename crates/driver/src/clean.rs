//! `clean`: lists what the study does not refer to, then removes it.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use declarations::Fault;

use crate::arguments::Arguments;
use crate::cluster::Journal;
use crate::consent;
use crate::display::print_plain;
use crate::executor::Executor;
use crate::format::size;
use crate::sql_views;
use crate::state::State;

/// What belongs to the driver: its records, and what it has put aside.
const KEPT: [&str; 11] = [
    ".jobs",
    ".slurm",
    ".lock",
    ".tmp",
    ".replaced",
    ".damaged",
    ".state.json",
    ".hashes.json",
    ".settings.json",
    ".progress.json",
    ".logs",
];

impl Executor<'_> {
    /// Lists the files of this folder that the study does not refer to, and removes them if the user agrees.
    ///
    /// # Errors
    /// The pipeline never ran in the folder, or a file cannot be removed.
    pub(crate) fn clean(&self, arguments: &Arguments, yes: bool) -> Result<Option<u8>, Fault> {
        let root = Path::new(&self.root);
        let state = State::open(root, false);
        if state.is_empty() {
            return Err(Fault::input(format!(
                "the pipeline never ran in {}: nothing there is its own",
                root.display()
            )));
        }
        let _lock = crate::lock(root, crate::Access::Alone)?;
        crate::refuse_active(root, &Journal::read(root)?)?;
        self.note_settings(arguments, print_plain);
        let unused = self.unused_files(root);
        if unused.is_empty() {
            print_plain("every file belongs to the study: nothing to remove");
            return Ok(None);
        }
        let bytes: u64 = unused.iter().map(|path| bytes(path)).sum();
        for path in &unused {
            print_plain(&path.display().to_string());
        }
        let entries = if unused.len() == 1 { "1 entry does" } else { &format!("{} entries do", unused.len()) };
        let listed = format!("{entries} not belong to this study ({})", size(bytes as f64));
        match consent::answer(&format!("{listed} and would be removed"), yes) {
            Some(true) => {}
            Some(false) => {
                print_plain("nothing was removed");
                return Ok(None);
            }
            None => {
                print_plain(&format!("{listed}; --yes removes what is listed"));
                return Ok(None);
            }
        }
        for path in &unused {
            remove(path)?;
        }
        remove_empty_folders(root);
        print_plain(&format!("removed {}", size(bytes as f64)));
        Ok(None)
    }

    /// The files below the root that no job writes; folders of the driver as one.
    fn unused_files(&self, root: &Path) -> Vec<PathBuf> {
        let mut used: BTreeSet<PathBuf> = self.jobs.iter().flat_map(|job| &job.outputs).cloned().collect();
        used.extend(["lineage/lineage.parquet", sql_views::FILE].map(PathBuf::from));
        let mut unused = Vec::new();
        for entry in entries(root) {
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match name.starts_with('.') {
                true if KEPT.contains(&name.as_str()) => {}
                true => unused.push(entry),
                false => collect(&entry, root, &used, &mut unused),
            }
        }
        unused
    }
}

/// Adds the files below a path that are not used.
fn collect(path: &Path, root: &Path, used: &BTreeSet<PathBuf>, unused: &mut Vec<PathBuf>) {
    if path.is_dir() {
        entries(path).iter().for_each(|entry| collect(entry, root, used, unused));
    } else if !path.strip_prefix(root).is_ok_and(|relative| used.contains(relative)) {
        unused.push(path.to_owned());
    }
}

/// The entries of a folder in order; none if it cannot be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn bytes(path: &Path) -> u64 {
    match path.is_dir() {
        true => entries(path).iter().map(|entry| bytes(entry)).sum(),
        false => fs::symlink_metadata(path).map_or(0, |metadata| metadata.len()),
    }
}

fn remove(path: &Path) -> Result<(), Fault> {
    let removed = if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Fault::input(format!("cannot remove {}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

/// Removes the folders below a path that hold nothing any more.
fn remove_empty_folders(path: &Path) {
    for entry in entries(path).iter().filter(|entry| entry.is_dir()) {
        remove_empty_folders(entry);
        // Fails, as it should, where there is something in it.
        let _ = fs::remove_dir(entry);
    }
}
