//! Names that come from outside become folders: none may leave the root of the artifacts.

use std::path::{Component, Path};

use driver::plan::plan;
use driver::study::Study;

/// Panics if the path, which is relative to a folder, can leave it.
pub(crate) fn stays_within(path: &Path) {
    let within = path.components().all(|component| matches!(component, Component::Normal(_)));
    assert!(within && path.components().next().is_some(), "{} leaves its folder", path.display());
}

/// Plans a study. Panics if a job writes outside the root, removes a folder outside it, or all of the root.
pub(crate) fn check(study: &Study) {
    let Ok(jobs) = plan(study, "root", 1) else { return };
    for job in &jobs {
        job.outputs.iter().chain(&job.owned_folders).chain(&job.inputs).for_each(|path| stays_within(path));
        let _ = job.command("programs");
    }
}
