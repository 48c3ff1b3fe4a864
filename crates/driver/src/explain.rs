//! `explain`: what made a file, from what, with which parameters; and `logs`: what a job said.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use declarations::Fault;
use schemas::enums::Status;
use schemas::{Artifacts, Footer};
use serde_json::Value;

use crate::cluster;
use crate::display::print_plain;
use crate::executor::Executor;
use crate::format::duration;
use crate::lineage::History;
use crate::logs;
use crate::near::nearest;
use crate::pace::from_seconds;
use crate::state::State;

impl Executor<'_> {
    /// Prints the origin of a file or, with `other`, what differs between the origins of two.
    ///
    /// # Errors
    /// A file is missing, or was not written by this pipeline.
    pub(crate) fn explain(&self, file: &Path, other: Option<&Path>) -> Result<Option<u8>, Fault> {
        match other {
            Some(other) => self.compare(file, other)?,
            None => self.explain_one(file)?,
        }
        Ok(None)
    }

    fn explain_one(&self, file: &Path) -> Result<(), Fault> {
        let path = self.place(file)?;
        let (mut state, history) = self.open()?;
        let job = self.jobs.iter().find(|job| job.outputs.contains(&path));
        if job.is_none() && Footer::read(&Path::new(&self.root).join(&path)).is_none() {
            return Err(Fault::input(format!("{} is no file of the pipeline", path.display())));
        }
        print_plain(&path.display().to_string());
        if let Some(footer) = Footer::read(&Path::new(&self.root).join(&path)) {
            print_plain(&format!(
                "  table {} version {}, made by {}",
                footer.table, footer.version, footer.provenance.producer
            ));
            for (name, value) in settings(&footer) {
                print_plain(&format!("  {name}: {value}"));
            }
        }
        if let Some(job) = job {
            let name = job.name();
            print_plain(&format!("  job {name}\n  command {}", job.command(&self.programs)));
            if let Some(last) = history.of(&name).next_back() {
                let time = duration(from_seconds(last.wall_secs));
                print_plain(&format!("  last execution {}, {time}", last.status));
            }
        }
        let mut seen = BTreeSet::new();
        self.print_inputs(&path, 1, &mut seen, &mut state)
    }

    /// Prints what a file was made from, and what that was made from, down to the text.
    fn print_inputs(
        &self,
        path: &Path,
        depth: usize,
        seen: &mut BTreeSet<String>,
        state: &mut State,
    ) -> Result<(), Fault> {
        let root = Path::new(&self.root);
        let indent = "  ".repeat(depth);
        let sources = match Footer::read(&root.join(path)) {
            Some(footer) => footer.provenance.inputs.into_iter().map(|source| (source.path, source.blake3)).collect(),
            // A picture has no footer; its job reads what the plan says.
            None => self.recorded_inputs(path, state),
        };
        for (source, hash) in sources {
            let again = if seen.insert(source.clone()) { "" } else { " (above)" };
            let now = state.hash(&root.join(&source))?;
            let note = match now {
                Some(now) if now != hash => ", changed since",
                None if source.contains('/') => ", no longer there",
                _ => "",
            };
            let start: String = hash.chars().take(16).collect();
            print_plain(&format!("{indent}from {source} (BLAKE3 {start}…{note}){again}"));
            if again.is_empty() && source.contains('/') {
                self.print_inputs(Path::new(&source), depth + 1, seen, state)?;
            }
        }
        Ok(())
    }

    fn recorded_inputs(&self, path: &Path, state: &State) -> BTreeMap<String, String> {
        let job = self.jobs.iter().find(|job| job.outputs.iter().any(|output| output == path));
        let record = job.and_then(|job| state.record(&job.name()));
        record.map(|record| record.cache_key.inputs.clone()).unwrap_or_default()
    }

    fn compare(&self, one: &Path, other: &Path) -> Result<(), Fault> {
        let read = |file: &Path| {
            let path = if file.exists() { file.to_owned() } else { Path::new(&self.root).join(file) };
            Footer::read(&path)
                .ok_or_else(|| Fault::input(format!("{} is missing or no table of this pipeline", path.display())))
        };
        let (one, other) = (read(one)?, read(other)?);
        let facts = |footer: &Footer| -> BTreeMap<String, String> {
            let inputs =
                footer.provenance.inputs.iter().map(|source| (format!("input {}", source.path), source.blake3.clone()));
            let made = [
                ("table".to_owned(), format!("{} version {}", footer.table, footer.version)),
                ("made by".to_owned(), footer.provenance.producer.clone()),
            ];
            settings(footer).chain(inputs).chain(made).collect()
        };
        let (one, other) = (facts(&one), facts(&other));
        let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
        let differing: Vec<_> = names.into_iter().filter(|name| one.get(*name) != other.get(*name)).collect();
        if differing.is_empty() {
            print_plain("no difference in parameters, inputs and versions");
        }
        for name in differing {
            let text = |facts: &BTreeMap<String, String>| facts.get(name).cloned().unwrap_or("nothing".to_owned());
            print_plain(&format!("{name}: {} → {}", text(&one), text(&other)));
        }
        Ok(())
    }

    /// A file's path relative to the root, however it was given.
    fn place(&self, file: &Path) -> Result<PathBuf, Fault> {
        let root = Path::new(&self.root);
        let below = || fs::canonicalize(file).ok()?.strip_prefix(fs::canonicalize(root).ok()?).ok().map(Path::to_owned);
        if let Some(below) = below() {
            return Ok(below);
        }
        match file.is_relative() && root.join(file).is_file() {
            true => Ok(file.components().collect()),
            false => Err(Fault::input(format!("{} is no file in {}", file.display(), root.display()))),
        }
    }

    /// Prints the log of a job.
    ///
    /// # Errors
    /// There is no such job, or it never ran.
    pub(crate) fn print_log(&self, name: &str) -> Result<Option<u8>, Fault> {
        let path = logs::path(Path::new(&self.root), name);
        // A task that ended before it began with the job.
        let path = if path.exists() { path } else { cluster::log(Path::new(&self.root), name).unwrap_or(path) };
        let text = fs::read_to_string(&path).map_err(|_| {
            let names: Vec<String> = self.jobs.iter().map(crate::plan::Job::name).collect();
            match names.iter().any(|known| known == name) {
                true => {
                    let history = History::open(Artifacts::new(&self.root));
                    let last = history.of(name).next_back().filter(|row| row.status == Status::Linked);
                    let why = last.map_or("it has not run there".to_owned(), |row| format!("it was {}", row.command));
                    Fault::input(format!("`{name}` has no log in {}: {why}", self.root))
                }
                false => Fault::parameter(format!(
                    "there is no job `{name}`{}; `status` and --dry-run list them",
                    nearest(name, names.iter().map(String::as_str))
                )),
            }
        })?;
        print_plain(text.trim_end());
        Ok(None)
    }
}

/// The keys and parameters of a file.
fn settings(footer: &Footer) -> impl Iterator<Item = (String, String)> {
    let config = footer.provenance.config.as_object().cloned().unwrap_or_default();
    config.into_iter().map(|(name, value)| match value {
        Value::String(text) => (name, text),
        other => (name, other.to_string()),
    })
}
