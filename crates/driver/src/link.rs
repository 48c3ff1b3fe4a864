//! Equal work is done once: the tables of a job stand for the jobs of other runs with the same parameters and inputs, under
//! hard links.

use std::path::Path;

use declarations::Fault;
use schemas::{Artifacts, Footer};

use crate::key::CacheKey;
use crate::plan::Job;

/// Whether the tables of `other` are what `job` would write: it has the same key but for the run, and its footers name the
/// run of `job`.
pub(crate) fn is_equal(job: &Job, key: &CacheKey, other: &Job, its_key: &CacheKey, root: &Path) -> bool {
    let (Some(run), Some(its_run)) = (&job.run, &other.run) else { return false };
    let renamed = |path: &String| path.replace(&folder(its_run), &folder(run));
    let mut expected = its_key.clone();
    expected.inputs = its_key.inputs.iter().map(|(path, hash)| (renamed(path), hash.clone())).collect();
    expected.arguments.insert("run".to_owned(), vec![run.clone()]);
    let shares = || {
        let path = other.results.first()?;
        Some(Footer::read(&root.join(path))?.belongs_at(Path::new(&renamed(&path.display().to_string()))))
    };
    expected == *key && shares() == Some(true)
}

/// Makes links of what `other` wrote where `job` would write it.
///
/// # Errors
/// A link cannot be made.
pub(crate) fn link(job: &Job, other: &Job, root: &Path) -> Result<(), Fault> {
    let (Some(run), Some(its_run)) = (&job.run, &other.run) else {
        return Err(Fault::bug("only jobs of runs share their tables"));
    };
    let artifacts = Artifacts::new(root);
    for path in other.outputs.iter().filter(|path| root.join(path).is_file()) {
        artifacts.link(path, path.display().to_string().replace(&folder(its_run), &folder(run)))?;
    }
    Ok(())
}

/// The folder of a run in a table's path.
fn folder(run: &str) -> String {
    format!("/run={run}/")
}
