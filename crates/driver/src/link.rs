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

/// Whether links of what `other` wrote can stand for what `job` would write: their footers name its run and have its inputs. Else
/// copies do.
pub(crate) fn can_link(job: &Job, key: &CacheKey, other: &Job, root: &Path) -> bool {
    let is_named = |renamed: &Renamed<'_>, path: &PathBuf| renamed.footer_to_change(path, key, root).is_none();
    Renamed::new(job, other).is_some_and(|renamed| other.outputs.iter().all(|path| is_named(&renamed, path)))
}

/// Whether the footers of `other` name the run of `job`.
pub(crate) fn is_shared(job: &Job, other: &Job, root: &Path) -> bool {
    let (renamed, path) = (Renamed::new(job, other), other.results.first());
    let footer = path.and_then(|path| Footer::read(&root.join(path)));
    renamed.zip(path).zip(footer).is_some_and(|((renamed, path), footer)| footer.belongs_at(&renamed.own(path)))
}

/// Refuses tables of `other` that are damaged, before they replace or stand for anything.
///
/// # Errors
/// The checksum of a table is wrong.
pub(crate) fn check(other: &Job, root: &Path) -> Result<(), Fault> {
    let is_damaged = |path: &&PathBuf| Footer::read(&root.join(path)).is_some() && !Footer::is_whole(&root.join(path));
    match other.outputs.iter().find(is_damaged) {
        None => Ok(()),
        Some(path) => Err(Fault::input(format!("{} is damaged: its checksum is wrong", path.display()))),
    }
}

/// Makes links of what `other` wrote where `job` would write it, or copies where links cannot stand for it.
///
/// # Errors
/// A file cannot be linked or copied, or another execution has taken the job over.
pub(crate) fn link(job: &Job, key: &CacheKey, other: &Job, artifacts: &Artifacts) -> Result<(), Fault> {
    let renamed = Renamed::new(job, other).ok_or_else(|| Fault::bug("only jobs of runs share their tables"))?;
    let root = artifacts.root();
    for path in other.outputs.iter().filter(|path| root.join(path).is_file()) {
        match renamed.footer_to_change(path, key, root) {
            None => artifacts.link(path, renamed.own(path))?,
            Some(footer) => {
                let inputs = footer.provenance.inputs.iter().map(|source| renamed.source(source, key));
                let inputs: Vec<Source> = inputs.collect();
                let written_for = footer.partition.value(Key::Run);
                let named = footer.provenance.shared_by.iter().map(String::as_str);
                let runs = named.chain(job.shared_by()).chain([renamed.run]);
                let runs: BTreeSet<&str> = runs.filter(|run| Some(*run) != written_for.as_deref()).collect();
                let runs: Vec<String> = runs.into_iter().map(str::to_owned).collect();
                artifacts.copy_for(path, &renamed.own(path), &inputs, &runs)?;
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

    fn own(&self, path: &Path) -> PathBuf {
        self.path(&path.display().to_string()).into()
    }

    /// The footer of a table of the other job, if it does not name the run or has other inputs.
    fn footer_to_change(&self, path: &Path, key: &CacheKey, root: &Path) -> Option<Footer> {
        let has_other_inputs = |footer: &Footer| {
            footer.provenance.inputs.iter().any(|source| self.source(source, key).blake3 != source.blake3)
        };
        let footer = Footer::read(&root.join(path))?;
        (!footer.belongs_at(&self.own(path)) || has_other_inputs(&footer)).then_some(footer)
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
