//! Fuzz targets: what reads bytes from outside, each with its seeds and with what must hold of any input.
//!
//! A target finds a panic, an allocation beyond [`limit::MOST`], and a violated assertion, such as that no name leaves its
//! folder. With the variable `FUZZ_SEEDS` a target writes its seeds to that folder and exits.

pub mod archive;
pub mod checkpoint;
pub mod download;
mod limit;
mod names;
pub mod pipeline;
pub mod settings;
pub mod state;
pub mod steps;
pub mod study;
pub mod tables;
pub mod text;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

#[global_allocator]
static LIMITED: limit::Limited = limit::Limited;

/// What is fuzzed.
pub struct Target {
    /// Reads an input; panics if something that must hold does not.
    pub read: fn(&[u8]),
    /// Inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Prepares a target's process: writes the seeds and exits, where the caller asks for them.
pub fn start(target: &Target) {
    let Some(folder) = std::env::var_os("FUZZ_SEEDS") else { return };
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder).expect("the folder of the seeds can be made");
    for (number, seed) in (target.seeds)().iter().enumerate() {
        std::fs::write(folder.join(format!("seed_{number:03}")), seed).expect("a seed can be written");
    }
    std::process::exit(0);
}

/// One execution.
pub fn run(target: &Target, data: &[u8]) {
    limit::reset();
    (target.read)(data);
}

/// A folder of this process, in memory where there is such a file system: a target may run thousands of times a second.
fn scratch() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let above = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        // A folder within a folder, so that what leaves the inner one is seen in the outer one.
        let folder = above.join(format!("fuzz-{}", std::process::id())).join("inner");
        std::fs::create_dir_all(&folder).expect("a scratch folder can be made");
        folder
    })
}

/// Panics if anything but the scratch folder lies beside it.
fn nothing_outside() {
    let outer = scratch().parent().expect("it lies in a folder of its own");
    let names: Vec<_> =
        std::fs::read_dir(outer).expect("it is there").flatten().map(|entry| entry.file_name()).collect();
    assert!(names == ["inner"], "a file was written outside the folder: {names:?}");
}

/// Empties the scratch folder.
fn empty() {
    for entry in std::fs::read_dir(scratch()).expect("it is there").flatten() {
        let path = entry.path();
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.expect("what a target wrote can be removed");
    }
}
