//! Equal work is done once: the tables of a job stand for the jobs of other runs with the same parameters and inputs, under hard
//! links. Footers name the runs that share a file; where a run was added later, it gets a copy whose footer names it too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use declarations::Fault;
use schemas::{Artifacts, Footer, Key, Source};

use crate::key::CacheKey;
use crate::plan::Job;

/// Whether the tables of `other` are what `job` would write: it has the same key but for the run, and tables with footers. Inputs are
/// the same where one is a copy of the other.
pub(crate) fn is_equal(job: &Job, key: &CacheKey, other: &Job, its_key: &CacheKey, root: &Path) -> bool {
    let Some(renamed) = Renamed::new(job, other) else { return false };
    let mut expected = CacheKey { inputs: key.inputs.clone(), ..its_key.clone() };
    expected.arguments.insert("run".to_owned(), vec![renamed.run.to_owned()]);
    let is_input = |(path, hash): (&String, &String)| {
        let own = renamed.path(path);
        let found = key.inputs.get(&own);
        found.is_some_and(|found| found == hash || Footer::is_copy(&root.join(path), &root.join(&own)))
    };
    let has_footer = || other.results.first().is_some_and(|path| Footer::read(&root.join(path)).is_some());
    expected == *key && key.inputs.len() == its_key.inputs.len() && has_footer() && its_key.inputs.iter().all(is_input)
}

/// Whether the footers of `other` name the run of `job`, so that links of its tables can stand for the job's.
pub(crate) fn is_shared(job: &Job, other: &Job, root: &Path) -> bool {
    let (renamed, path) = (Renamed::new(job, other), other.results.first());
    let footer = path.and_then(|path| Footer::read(&root.join(path)));
    renamed.zip(path).zip(footer).is_some_and(|((renamed, path), footer)| {
        footer.belongs_at(Path::new(&renamed.path(&path.display().to_string())))
    })
}

/// Makes links of what `other` wrote where `job` would write it, or copies of files whose footers do not name the job's run.
///
/// # Errors
/// A file cannot be linked or copied.
pub(crate) fn link(job: &Job, key: &CacheKey, other: &Job, root: &Path) -> Result<(), Fault> {
    let renamed = Renamed::new(job, other).ok_or_else(|| Fault::bug("only jobs of runs share their tables"))?;
    let artifacts = Artifacts::new(root);
    for path in other.outputs.iter().filter(|path| root.join(path).is_file()) {
        let own = PathBuf::from(renamed.path(&path.display().to_string()));
        match Footer::read(&root.join(path)).filter(|footer| !footer.belongs_at(&own)) {
            None => artifacts.link(path, own)?,
            Some(footer) => {
                let inputs: Vec<Source> =
                    footer.provenance.inputs.iter().map(|source| renamed.source(source, key)).collect();
                let written_for = footer.partition.value(Key::Run);
                let runs =
                    footer.provenance.shared_by.iter().map(String::as_str).chain(job.shared_by()).chain([renamed.run]);
                let runs: BTreeSet<&str> = runs.filter(|run| Some(*run) != written_for.as_deref()).collect();
                let runs: Vec<String> = runs.into_iter().map(str::to_owned).collect();
                artifacts.copy_for(path, &own, &inputs, &runs)?;
            }
        }
    }
    Ok(())
}

/// The paths of one run as those of another.
struct Renamed<'jobs> {
    run: &'jobs str,
    its_run: &'jobs str,
}

impl<'jobs> Renamed<'jobs> {
    /// What `other` has, as `job` would have it; none for a job of no run.
    fn new(job: &'jobs Job, other: &'jobs Job) -> Option<Self> {
        Some(Self { run: job.run.as_deref()?, its_run: other.run.as_deref()? })
    }

    fn path(&self, path: &str) -> String {
        path.replace(&format!("/run={}/", self.its_run), &format!("/run={}/", self.run))
    }

    /// An input of the other job's table: the job's own, where that is a copy and so has another hash.
    fn source(&self, source: &Source, key: &CacheKey) -> Source {
        let own = self.path(&source.path);
        match key.inputs.get(&own) {
            Some(hash) if *hash != source.blake3 => Source { path: own, blake3: hash.clone() },
            _ => source.clone(),
        }
    }
}
