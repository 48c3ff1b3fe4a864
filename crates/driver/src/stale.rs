//! Whether a job must run, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use declarations::Fault;

use crate::plan::Job;
use crate::state::{CacheKey, Record, State, Status};

/// Whether a job must run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision {
    /// No: it is up to date.
    Skip {
        /// Why.
        reason: String,
    },
    /// Yes: it is stale.
    Run {
        /// Why.
        reason: String,
        /// Whether its folders are removed first, unless it resumes.
        from_scratch: bool,
    },
}

/// What a job depends on now, or the first input that does not exist.
///
/// # Errors
/// The stage's program does not exist, or a file cannot be read.
pub fn cache_key(
    job: &Job,
    root: &Path,
    programs: &Path,
    state: &mut State,
) -> Result<Result<CacheKey, PathBuf>, Fault> {
    let program = programs.join(job.stage.word());
    let Some(program) = state.hash(&program)? else {
        return Err(Fault::input(format!(
            "{} is missing: build the pipeline by ./scripts/run_pipeline.sh or `cargo build --release`",
            program.display()
        )));
    };
    let mut inputs = BTreeMap::new();
    let tables = job.inputs.iter().map(|path| (path, root.join(path)));
    let external = job.external_inputs.iter().map(|path| (path, path.clone()));
    for (name, path) in tables.chain(external) {
        match state.hash(&path)? {
            Some(hash) => inputs.insert(name.display().to_string(), hash),
            None => return Ok(Err(path)),
        };
    }
    Ok(Ok(CacheKey { program, arguments: parameters(job), inputs }))
}

/// The values of each flag that outputs depend on.
pub fn parameters(job: &Job) -> BTreeMap<String, Vec<String>> {
    let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for argument in job.arguments.iter().filter(|argument| argument.decides) {
        parameters.entry(argument.name.clone()).or_default().push(argument.value.clone());
    }
    parameters
}

/// The hash of each output of a job that exists.
///
/// # Errors
/// A file cannot be read.
pub fn outputs(job: &Job, root: &Path, state: &mut State) -> Result<BTreeMap<String, String>, Fault> {
    let mut outputs = BTreeMap::new();
    for path in &job.outputs {
        if let Some(hash) = state.hash(&root.join(path))? {
            outputs.insert(path.display().to_string(), hash);
        }
    }
    Ok(outputs)
}

/// The first output of a job that does not exist.
pub fn missing(job: &Job, outputs: &BTreeMap<String, String>) -> Option<String> {
    job.outputs.iter().map(|path| path.display().to_string()).find(|path| !outputs.contains_key(path))
}

/// What decides whether a job is stale.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'job> {
    /// What it depends on now.
    pub cache_key: &'job CacheKey,
    /// Its record.
    pub record: Option<&'job Record>,
    /// The fingerprint of its last execution in the table `lineage`, if that succeeded; used if there is no record.
    pub lineage: Option<&'job str>,
    /// The hash of each of its outputs that exists.
    pub outputs: &'job BTreeMap<String, String>,
    /// Whether it runs even if it is up to date.
    pub force: bool,
}

/// Decides whether a job must run.
pub fn decide(job: &Job, evidence: Evidence<'_>) -> Decision {
    let run = |reason: String| Decision::Run { reason, from_scratch: true };
    let resume = |reason: &str| Decision::Run { reason: reason.to_owned(), from_scratch: false };
    let skip = |reason: &str| Decision::Skip { reason: reason.to_owned() };
    let missing = missing(job, evidence.outputs);
    if evidence.force {
        return run("--force".to_owned());
    }
    let Some(record) = evidence.record else {
        return match (evidence.lineage == Some(evidence.cache_key.fingerprint().as_str()), missing) {
            (true, None) => skip("up to date (by lineage)"),
            _ => run("never ran".to_owned()),
        };
    };
    if let Some(difference) = difference(&record.cache_key, evidence.cache_key) {
        return run(difference);
    }
    let is_modified = |(path, hash): &(&String, &String)| record.outputs.get(*path) != Some(*hash);
    match (record.status, missing) {
        (Status::Started, _) => resume("was interrupted, resumes"),
        (Status::Failed, _) => resume("failed before"),
        (Status::Forced, _) => run("--force of an interrupted run".to_owned()),
        (Status::Done, Some(path)) => run(format!("output {path} is missing")),
        (Status::Done, None) => match evidence.outputs.iter().find(is_modified) {
            Some((path, _)) => run(format!("output {path} changed")),
            None => skip("up to date"),
        },
    }
}

/// The first difference, and how many more there are.
fn difference(was: &CacheKey, now: &CacheKey) -> Option<String> {
    let mut differences = Vec::new();
    let flags: BTreeSet<_> = was.arguments.keys().chain(now.arguments.keys()).collect();
    for flag in flags {
        let text = |key: &CacheKey| key.arguments.get(flag).map_or("unset".to_owned(), |values| values.join("; "));
        let (was, now) = (text(was), text(now));
        if was != now {
            differences.push(format!("parameter {flag} changed: {was} → {now}"));
        }
    }
    let paths: BTreeSet<_> = was.inputs.keys().chain(now.inputs.keys()).collect();
    for path in paths {
        match (was.inputs.get(path), now.inputs.get(path)) {
            (None, _) => differences.push(format!("input {path} is new")),
            (_, None) => differences.push(format!("input {path} is no longer read")),
            (was, now) if was != now => differences.push(format!("input {path} changed")),
            _ => {}
        }
    }
    if was.program != now.program {
        differences.push("program changed".to_owned());
    }
    let more = differences.len().saturating_sub(1);
    let first = differences.into_iter().next()?;
    Some(if more == 0 { first } else { format!("{first} (and {more} more)") })
}

/// Removes what a job wrote before: the folders that no other job writes to, and nothing outside the root.
///
/// # Errors
/// A folder cannot be removed.
pub fn remove(job: &Job, root: &Path) -> Result<(), Fault> {
    for folder in &job.owned_folders {
        let path = root.join(folder);
        match fs::remove_dir_all(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Fault::input(format!("cannot remove {}: {error}", path.display()))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use declarations::{Cost, Flag, StageName};

    fn job() -> Job {
        Job {
            stage: StageName::Train,
            dataset: None,
            run: None,
            seed: None,
            arguments: vec![Flag { name: "max_iters".into(), value: "2000".into(), decides: true }],
            inputs: vec!["corpus".into()],
            external_inputs: vec![],
            outputs: vec!["log".into()],
            owned_folders: vec!["log".into()],
            dependencies: vec![],
            duplicates: vec![],
            cost: Cost::default(),
        }
    }

    fn made(iterations: &str, corpus: &str, program: &str) -> CacheKey {
        CacheKey {
            program: program.into(),
            arguments: [("max_iters".to_owned(), vec![iterations.to_owned()])].into(),
            inputs: [("corpus".to_owned(), corpus.to_owned())].into(),
        }
    }

    fn said(record: Option<&Record>, lineage: Option<&str>, present: &[(&str, &str)], force: bool) -> (String, bool) {
        let outputs = present.iter().map(|(path, hash)| (path.to_string(), hash.to_string())).collect();
        let cache_key = &made("2000", "a", "p");
        match decide(&job(), Evidence { cache_key, record, lineage, outputs: &outputs, force }) {
            Decision::Skip { reason } => (format!("skip: {reason}"), false),
            Decision::Run { reason, from_scratch } => (format!("run: {reason}"), from_scratch),
        }
    }

    fn record(status: Status, cache_key: CacheKey) -> Record {
        Record { status, cache_key, outputs: [("log".to_owned(), "o".to_owned())].into() }
    }

    #[test]
    fn the_reason_is_what_changed() {
        let there = [("log", "o")];
        let done = |made| record(Status::Done, made);
        let same = || made("2000", "a", "p");
        let yes = |text: &str| (text.to_owned(), true);
        let no = |text: &str| (text.to_owned(), false);
        assert_eq!(said(None, None, &there, false), yes("run: never ran"));
        assert_eq!(said(Some(&done(same())), None, &there, false), no("skip: up to date"));
        assert_eq!(said(Some(&done(same())), None, &there, true), yes("run: --force"));
        assert_eq!(said(Some(&done(same())), None, &[], false), yes("run: output log is missing"));
        assert_eq!(said(Some(&done(same())), None, &[("log", "x")], false), yes("run: output log changed"));
        let longer = done(made("500", "a", "p"));
        assert_eq!(said(Some(&longer), None, &there, false), yes("run: parameter max_iters changed: 500 → 2000"));
        assert_eq!(said(Some(&done(made("2000", "b", "p"))), None, &there, false), yes("run: input corpus changed"));
        assert_eq!(said(Some(&done(made("2000", "a", "q"))), None, &there, false), yes("run: program changed"));
        let all = done(made("500", "b", "q"));
        assert_eq!(
            said(Some(&all), None, &there, false),
            yes("run: parameter max_iters changed: 500 → 2000 (and 2 more)")
        );
    }

    #[test]
    fn an_interrupted_job_with_the_same_cache_key_resumes() {
        let started = record(Status::Started, made("2000", "a", "p"));
        assert_eq!(said(Some(&started), None, &[], false), ("run: was interrupted, resumes".to_owned(), false));
        let failed = record(Status::Failed, made("2000", "a", "p"));
        assert_eq!(said(Some(&failed), None, &[], false), ("run: failed before".to_owned(), false));
        let other = record(Status::Started, made("500", "a", "p"));
        assert!(said(Some(&other), None, &[], false).1);
        let forced = record(Status::Forced, made("2000", "a", "p"));
        assert!(said(Some(&forced), None, &[("log", "o")], false).1, "what --force did not reach runs from scratch");
    }

    #[test]
    fn lineage_stands_in_for_a_lost_record() {
        let fingerprint = made("2000", "a", "p").fingerprint();
        let there = [("log", "o")];
        assert_eq!(said(None, Some(&fingerprint), &there, false).0, "skip: up to date (by lineage)");
        assert_eq!(said(None, Some(&fingerprint), &[], false).0, "run: never ran");
        assert_eq!(said(None, Some("other"), &there, false).0, "run: never ran");
    }
}
