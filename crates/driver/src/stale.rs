//! Whether a job must run, and why.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use declarations::Fault;

use crate::adopt::Found;
use crate::key::CacheKey;
use crate::plan::Job;
use crate::state::{Record, State, Status};

/// Whether a job must run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision {
    /// No: it is up to date.
    Skip {
        /// Why.
        reason: String,
    },
    /// No: earlier outputs with its parameters, which others replaced, come back.
    Restore {
        /// Why.
        reason: String,
    },
    /// Yes: it is stale.
    Run {
        /// Why.
        reason: String,
        /// Whether what it wrote before is moved aside first; otherwise it goes on from that.
        from_scratch: bool,
    },
}

/// What a job depends on now, or the first input that does not exist.
///
/// # Errors
/// A file cannot be read.
pub fn cache_key(job: &Job, root: &Path, state: &mut State) -> Result<Result<CacheKey, PathBuf>, Fault> {
    let mut inputs = BTreeMap::new();
    let tables = job.inputs.iter().map(|path| (path.display().to_string(), root.join(path)));
    // What is not a table is known by its role, wherever it lies.
    let external = job.external_inputs.iter().map(|file| (file.role.clone(), file.path.clone()));
    for (name, path) in tables.chain(external) {
        match state.hash(&path)? {
            Some(hash) => inputs.insert(name, hash),
            None => return Ok(Err(path)),
        };
    }
    Ok(Ok(CacheKey { version: job.version(), arguments: parameters(job), inputs }))
}

/// The values of each flag that outputs depend on.
pub fn parameters(job: &Job) -> BTreeMap<String, Vec<String>> {
    let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for argument in job.arguments.iter().filter(|argument| argument.decides) {
        parameters.entry(argument.name.clone()).or_default().push(argument.value.clone());
    }
    parameters
}

/// The hash of each result of a job that exists.
///
/// # Errors
/// A file cannot be read.
pub fn results(job: &Job, root: &Path, state: &mut State) -> Result<BTreeMap<String, String>, Fault> {
    let mut results = BTreeMap::new();
    for path in &job.results {
        if let Some(hash) = state.hash(&root.join(path))? {
            results.insert(path.display().to_string(), hash);
        }
    }
    Ok(results)
}

/// The first result of a job that does not exist.
pub fn missing(job: &Job, results: &BTreeMap<String, String>) -> Option<String> {
    job.results.iter().map(|path| path.display().to_string()).find(|path| !results.contains_key(path))
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
    /// The hash of each of its results that exists.
    pub results: &'job BTreeMap<String, String>,
    /// The status of outputs with its parameters that were replaced and can come back.
    pub replaced: Option<Status>,
    /// The hash of the program, if one that changed makes the job stale.
    pub program: Option<&'job str>,
    /// Whether it runs even if it is up to date.
    pub force: bool,
}

/// Decides whether a job must run. `found` reads the footers of its tables; that happens only where records do not decide.
pub fn decide(job: &Job, evidence: Evidence<'_>, found: impl FnOnce() -> Found) -> Decision {
    if evidence.force {
        return run("--force");
    }
    match evidence.record {
        Some(record) if record.cache_key == *evidence.cache_key => by_record(job, record, evidence),
        _ => by_footers(job, evidence, found()),
    }
}

fn by_record(job: &Job, record: &Record, evidence: Evidence<'_>) -> Decision {
    let is_modified = |(path, hash): &(&String, &String)| record.outputs.get(*path).is_some_and(|was| was != *hash);
    match record.status {
        // A driver that was killed while it moved them back left them aside.
        Status::Started | Status::Failed
            if evidence.results.is_empty() && evidence.replaced.is_some_and(|status| status != Status::Done) =>
        {
            restore()
        }
        Status::Started => resume("was interrupted, resumes"),
        Status::Failed => resume("failed before"),
        Status::Forced => run("--force of an interrupted run"),
        Status::Done => match (missing(job, evidence.results), evidence.results.iter().find(is_modified)) {
            (Some(_), _) if evidence.replaced.is_some() => restore(),
            (Some(path), _) => run(&format!("output {path} is missing")),
            (None, Some((path, _))) => run(&format!("output {path} changed")),
            (None, None) => match evidence.program {
                // Nothing is recorded of the program of tables that were linked or adopted.
                Some(program) if !record.program.is_empty() && program != record.program => run("program changed"),
                _ => skip("up to date"),
            },
        },
    }
}

fn by_footers(job: &Job, evidence: Evidence<'_>, found: Found) -> Decision {
    let done_before = evidence.record.is_none()
        && evidence.lineage == Some(evidence.cache_key.fingerprint().as_str())
        && missing(job, evidence.results).is_none();
    match found {
        Found::Complete => skip("up to date (by its footers)"),
        _ if evidence.replaced.is_some() => restore(),
        Found::Nothing if done_before => skip("up to date (by lineage)"),
        Found::Shorter => resume("has more steps than before, goes on from the last"),
        Found::Incomplete => resume("is incomplete, goes on"),
        Found::Nothing | Found::Other => {
            let difference = evidence.record.and_then(|record| evidence.cache_key.difference(&record.cache_key));
            run(&difference.unwrap_or("never ran".to_owned()))
        }
    }
}

fn run(reason: &str) -> Decision {
    Decision::Run { reason: reason.to_owned(), from_scratch: true }
}

fn resume(reason: &str) -> Decision {
    Decision::Run { reason: reason.to_owned(), from_scratch: false }
}

fn restore() -> Decision {
    Decision::Restore { reason: "earlier outputs with these parameters come back".to_owned() }
}

fn skip(reason: &str) -> Decision {
    Decision::Skip { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use declarations::{Cost, Flag, StageName};

    use super::*;
    use crate::plan::Declared;

    #[derive(Debug)]
    struct Undeclared;

    impl Declared for Undeclared {
        fn continues(&self, _earlier: &serde_json::Map<String, serde_json::Value>) -> bool {
            false
        }

        fn check_text(&self, _text: &declarations::TextFacts) -> Result<(), Fault> {
            Ok(())
        }

        fn warnings(&self, _text: Option<&declarations::TextFacts>) -> Vec<String> {
            Vec::new()
        }
    }

    fn job() -> Job {
        Job {
            stage: StageName::Train.into(),
            dataset: None,
            run: None,
            seed: None,
            arguments: vec![Flag { name: "max_iters".into(), value: "2000".into(), decides: true }],
            inputs: vec!["corpus".into()],
            external_inputs: vec![],
            outputs: vec!["log".into(), "optimizer".into()],
            results: vec!["log".into()],
            tables: vec![("log", 2)],
            results_version: 3,
            config: serde_json::Map::new(),
            declared: Arc::new(Undeclared),
            owned_folders: vec!["log".into()],
            dependencies: vec![],
            duplicates: vec![],
            cost: Cost::default(),
        }
    }

    fn made(iterations: &str, corpus: &str) -> CacheKey {
        CacheKey {
            version: "results 3, log 2".into(),
            arguments: [("max_iters".to_owned(), vec![iterations.to_owned()])].into(),
            inputs: [("corpus".to_owned(), corpus.to_owned())].into(),
        }
    }

    fn record(status: Status, cache_key: CacheKey) -> Record {
        let outputs = [("log".to_owned(), "l".to_owned())].into();
        Record { outputs, program: "p".into(), ..Record::new(status, cache_key) }
    }

    /// The reason to skip, restore or run, and whether it runs from scratch, given what is there.
    fn said(
        record: Option<&Record>,
        log: Option<&str>,
        change: impl FnOnce(&mut Evidence<'_>),
        found: Found,
    ) -> String {
        said_with(None, record, log, change, found)
    }

    /// The same with the fingerprint of the last execution in the table `lineage`.
    fn said_with(
        lineage: Option<&str>,
        record: Option<&Record>,
        log: Option<&str>,
        change: impl FnOnce(&mut Evidence<'_>),
        found: Found,
    ) -> String {
        let cache_key = made("2000", "c");
        let results = log.map(|hash| ("log".to_owned(), hash.to_owned())).into_iter().collect();
        let mut evidence = Evidence {
            cache_key: &cache_key,
            record,
            lineage,
            results: &results,
            replaced: None,
            program: None,
            force: false,
        };
        change(&mut evidence);
        match decide(&job(), evidence, || found) {
            Decision::Skip { reason } => format!("skip: {reason}"),
            Decision::Restore { .. } => "restore".to_owned(),
            Decision::Run { reason, from_scratch: true } => format!("run: {reason}"),
            Decision::Run { reason, from_scratch: false } => format!("resume: {reason}"),
        }
    }

    #[test]
    fn what_is_recorded_as_done_is_skipped_while_its_results_are_the_same() {
        let done = record(Status::Done, made("2000", "c"));
        let unread = Found::Other;
        assert_eq!(said(Some(&done), Some("l"), |_| {}, unread), "skip: up to date");
        assert_eq!(said(Some(&done), None, |_| {}, unread), "run: output log is missing");
        assert_eq!(said(Some(&done), Some("edited"), |_| {}, unread), "run: output log changed");
        assert_eq!(said(Some(&done), Some("l"), |evidence| evidence.force = true, unread), "run: --force");
        assert_eq!(said(Some(&done), None, |evidence| evidence.replaced = Some(Status::Done), unread), "restore");
    }

    #[test]
    fn another_program_decides_only_where_that_is_asked_for() {
        let done = record(Status::Done, made("2000", "c"));
        assert_eq!(
            said(Some(&done), Some("l"), |evidence| evidence.program = Some("p"), Found::Other),
            "skip: up to date"
        );
        let another = said(Some(&done), Some("l"), |evidence| evidence.program = Some("q"), Found::Other);
        assert_eq!(another, "run: program changed");
    }

    #[test]
    fn what_did_not_finish_goes_on() {
        let resumed = |status| said(Some(&record(status, made("2000", "c"))), None, |_| {}, Found::Other);
        assert_eq!(resumed(Status::Started), "resume: was interrupted, resumes");
        assert_eq!(resumed(Status::Failed), "resume: failed before");
        assert_eq!(resumed(Status::Forced), "run: --force of an interrupted run");
        let moved_aside = |status| {
            let started = record(Status::Started, made("2000", "c"));
            said(Some(&started), None, |evidence| evidence.replaced = Some(status), Found::Other)
        };
        assert_eq!(moved_aside(Status::Started), "restore");
        assert_eq!(moved_aside(Status::Done), "resume: was interrupted, resumes", "--force replaces what is complete");
    }

    #[test]
    fn footers_decide_where_the_record_is_missing_or_of_other_parameters() {
        let other = record(Status::Done, made("500", "c"));
        for record in [None, Some(&other)] {
            assert_eq!(said(record, Some("l"), |_| {}, Found::Complete), "skip: up to date (by its footers)");
            assert_eq!(said(record, None, |_| {}, Found::Incomplete), "resume: is incomplete, goes on");
            let shorter = said(record, None, |_| {}, Found::Shorter);
            assert_eq!(shorter, "resume: has more steps than before, goes on from the last");
            for found in [Found::Other, Found::Nothing, Found::Incomplete, Found::Shorter] {
                assert_eq!(said(record, None, |evidence| evidence.replaced = Some(Status::Done), found), "restore");
            }
        }
        assert_eq!(said(None, Some("l"), |_| {}, Found::Other), "run: never ran");
        assert_eq!(said(Some(&other), Some("l"), |_| {}, Found::Other), "run: parameter max_iters changed: 500 → 2000");
    }

    #[test]
    fn without_record_and_footers_the_lineage_decides() {
        let fingerprint = made("2000", "c").fingerprint();
        let by = |lineage: &str, log| said_with(Some(lineage), None, log, |_| {}, Found::Nothing);
        assert_eq!(by(&fingerprint, Some("l")), "skip: up to date (by lineage)");
        assert_eq!(by(&fingerprint, None), "run: never ran");
        assert_eq!(by("another", Some("l")), "run: never ran");
        let others = said_with(Some(&fingerprint), None, Some("l"), |_| {}, Found::Other);
        assert_eq!(others, "run: never ran", "the footers contradict it");
    }
}
