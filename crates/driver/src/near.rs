//! Suggestions for mistyped names.

use std::path::{Path, PathBuf};

pub use cli::near::nearest;
use indexmap::IndexMap;

/// That there is no such key, the nearest one, and all of them.
pub fn unknown_key<T>(name: &str, known: &IndexMap<String, T>) -> String {
    let keys: Vec<&str> = known.keys().map(String::as_str).collect();
    format!("there is no `{name}`{}; there are {}", nearest(name, keys.iter().copied()), keys.join(", "))
}

/// A suggestion of a file with a similar name in the same folder.
pub(crate) fn near_file(path: &Path) -> String {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file_name = |path: PathBuf| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let names: Vec<String> = entries.filter_map(|entry| file_name(entry.ok()?.path())).collect();
    nearest(&file_name(path.to_owned()).unwrap_or_default(), names.iter().map(String::as_str))
}
