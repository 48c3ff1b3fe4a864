//! `clean`: lists what no profile refers to, then removes it.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use declarations::Fault;

use crate::consent;
use crate::display::print;
use crate::executor::Executor;
use crate::experiment::Experiment;
use crate::format::size;

/// What belongs to the driver: its records, and what it puts aside.
const KEPT: [&str; 7] = [".lock", ".tmp", ".state.json", ".hashes.json", ".settings.json", ".progress.json", ".logs"];

impl Executor<'_> {
    /// Lists the files of this folder that the study does not refer to, and the folders beside it that belong to no profile;
    /// removes them if the user agrees.
    ///
    /// # Errors
    /// The user does not agree, or a file cannot be removed.
    pub(crate) fn clean(&self, experiment: &Experiment, yes: bool) -> Result<Option<u8>, Fault> {
        let root = Path::new(&self.root);
        let _lock = crate::lock(root)?;
        let mut unused = self.unused_files(root);
        unused.extend(foreign_folders(root, experiment));
        if unused.is_empty() {
            print("every file belongs to the study: nothing to remove");
            return Ok(None);
        }
        let bytes: u64 = unused.iter().map(|path| bytes(path)).sum();
        for path in &unused {
            print(&path.display().to_string());
        }
        consent::ask(
            &format!("{} entries, {}, belong to no profile and would be removed", unused.len(), size(bytes as f64)),
            yes,
        )?;
        for path in &unused {
            remove(path)?;
        }
        remove_empty_folders(root);
        print(&format!("removed {}", size(bytes as f64)));
        Ok(None)
    }

    /// The files below the root that no job writes; folders of the driver as one.
    fn unused_files(&self, root: &Path) -> Vec<PathBuf> {
        let mut used: BTreeSet<PathBuf> = self.jobs.iter().flat_map(|job| &job.outputs).cloned().collect();
        used.insert(PathBuf::from("lineage/lineage.parquet"));
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

/// Folders beside the root that hold a study of this pipeline whose profile is no longer in pipeline.yaml; none where the
/// root does not have the name of a profile.
fn foreign_folders(root: &Path, experiment: &Experiment) -> Vec<PathBuf> {
    let profile = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        experiment.profiles.contains_key(&name)
    };
    let Some(parent) = root.parent().filter(|_| profile(root)) else { return Vec::new() };
    let is_foreign = |path: &PathBuf| path.join(".state.json").exists() && !profile(path);
    entries(parent).into_iter().filter(is_foreign).collect()
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
