//! Whether tables that are there are a job's own, by their footers: whoever wrote them, wherever and whenever.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use schemas::{Footer, Key, Source};
use serde_json::{Map, Value};

use crate::key::CacheKey;
use crate::plan::Job;

/// What the footers of a job's tables say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    /// All results are there and were made from the job's parameters and inputs: the job is done.
    Complete,
    /// Some are there, none was made from others, and what is needed to resume is there: the job goes on.
    Incomplete,
    /// The tables are those of the same training with fewer steps, which the job continues.
    Shorter,
    /// The job writes more than tables, or tables without footers of this pipeline, or nothing is there: footers say nothing.
    Nothing,
    /// What is there was made from other parameters, from other inputs or by another version, or cannot be read.
    Other,
}

/// Reads the footers of the tables of a job. A job that writes more than tables is never complete by footers, since pictures
/// have none.
pub fn find(job: &Job, key: &CacheKey, root: &Path) -> Found {
    let exists = |path: &&PathBuf| root.join(path).is_file();
    let present: Vec<&PathBuf> = job.outputs.iter().filter(exists).collect();
    let is_table = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "parquet");
    if job.stage.own().is_some() || present.is_empty() || !job.outputs.iter().all(|path| is_table(&path)) {
        return Found::Nothing;
    }
    let mut sources = BTreeSet::new();
    let mut shorter = false;
    for path in present {
        let Some(footer) = Footer::read(&root.join(path)).filter(|footer| is_own(job, path, footer)) else {
            return Found::Other;
        };
        let config = footer.provenance.config.as_object().cloned().unwrap_or_default();
        if !has_all(&config, &job.config) {
            if !job.declared.continues(&config) {
                return Found::Other;
            }
            shorter = true;
        }
        sources.extend(footer.provenance.inputs.iter().map(|source| as_own(job, &footer, source)));
    }
    if !sources.iter().all(|source| is_input(job, key, source)) {
        return Found::Other;
    }
    let mut to_resume = job.outputs.iter().filter(|path| !job.results.contains(path));
    let can_resume = to_resume.all(|path| Footer::is_whole(&root.join(path)));
    if shorter {
        return if can_resume { Found::Shorter } else { Found::Other };
    }
    let hashes: BTreeSet<&String> = sources.iter().map(|source| &source.blake3).collect();
    let all_read = key.inputs.values().all(|hash| hashes.contains(hash));
    match all_read && job.results.iter().all(|path| root.join(path).is_file()) {
        true => Found::Complete,
        false if can_resume => Found::Incomplete,
        false => Found::Other,
    }
}

/// Whether a file is the table that its path says, as this version of the job's stage writes it.
fn is_own(job: &Job, path: &Path, footer: &Footer) -> bool {
    let version = job.tables.iter().find(|(table, _)| *table == footer.table).map(|(_, version)| version.to_string());
    version.as_ref() == Some(&footer.version)
        && footer.belongs_at(path)
        && footer.provenance.producer == format!("{} {}", job.stage, job.results_version)
}

/// Whether a footer's parameters include all those of the job. It may say more, such as the size of the vocabulary.
fn has_all(config: &Map<String, Value>, parameters: &Map<String, Value>) -> bool {
    parameters.iter().all(|(name, value)| config.get(name) == Some(value))
}

/// A file's input as the job has it: a table that stands for several runs was made from the tables of one of them.
fn as_own(job: &Job, footer: &Footer, source: &Source) -> Source {
    let own = job.run.as_ref().map(|run| format!("/run={run}/"));
    let runs = footer.partition.value(Key::Run).into_iter().chain(footer.provenance.shared_by.iter().cloned());
    let its = runs.map(|run| format!("/run={run}/")).find(|folder| source.path.contains(folder));
    let path = match its.zip(own) {
        Some((its, own)) => source.path.replace(&its, &own),
        None => source.path.clone(),
    };
    Source { path, blake3: source.blake3.clone() }
}

/// Whether a file was made from what the job reads now. A name without a folder is a text from outside the artifacts, which
/// the job may not know, as when it was downloaded.
fn is_input(job: &Job, key: &CacheKey, source: &Source) -> bool {
    match key.inputs.get(&source.path) {
        Some(hash) => *hash == source.blake3,
        None if source.path.contains('/') => false,
        None => job.external_inputs.is_empty() || key.inputs.values().any(|hash| *hash == source.blake3),
    }
}
