//! What the user's own stages are, checked: their names, tables and files, and the order in which they run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use declarations::{Fault, Per, StageName, file_name};
use schemas::tables;

use super::config::OwnConfig;
use super::staging::FLAGS;
use crate::experiment::Experiment;
use crate::near::{near_file, nearest, unknown_key};

/// Words that name something else below the folder of the artifacts.
const TAKEN: [&str; 4] = ["plots", "report", "files", "artifacts"];

/// A stage of the user's own.
#[derive(Clone, Debug)]
pub struct OwnStage {
    /// Its name.
    pub name: String,
    /// What it does, in one line.
    pub about: String,
    /// The program and its first words; the flags follow.
    pub command: Vec<String>,
    /// The files among these words: what the user edits.
    pub program: Vec<PathBuf>,
    /// What one job covers.
    pub per: Per,
    /// The version of its results.
    pub version: u32,
    /// The tables that it reads.
    pub reads: Vec<String>,
    /// The tables that it writes.
    pub tables: Vec<String>,
    /// The other files that it writes.
    pub files: Vec<String>,
    /// The runs that it reads, if they are named.
    pub runs: Option<Vec<String>>,
    /// The memory that a job needs in bytes, if it is stated.
    pub memory: Option<f64>,
    /// Its place in the order in which they run.
    pub position: usize,
}

/// The user's own stages, each after those whose tables it reads, else in the file's order.
///
/// # Errors
/// What is wrong with the first that cannot be, or stages that read each other's tables in a circle.
pub(crate) fn declared(experiment: &Experiment) -> Result<Vec<Arc<OwnStage>>, Fault> {
    let stages = &experiment.own_stages;
    let mut written: BTreeSet<&str> = BTreeSet::new();
    for (name, config) in stages {
        check(experiment, name, config)?;
        for output in &config.writes {
            if is_table(output) && !written.insert(output) {
                let said = format!("another stage writes `{output}`, too: give it another name");
                return Err(wrong(experiment, name, "writes", &said));
            }
        }
    }
    let mut known: Vec<&str> = tables::all().iter().map(|table| table.name).filter(|name| *name != "lineage").collect();
    known.extend(&written);
    for (name, config) in stages {
        if let Some(table) = config.reads.iter().find(|table| !known.contains(&table.as_str())) {
            let near = nearest(table, known.iter().copied());
            let said = format!("no stage writes a table `{table}`{near}; docs/tables.md lists those of the pipeline");
            return Err(wrong(experiment, name, "reads", &said));
        }
    }
    in_order(experiment)
}

/// The stages so that each comes after those whose tables it reads.
fn in_order(experiment: &Experiment) -> Result<Vec<Arc<OwnStage>>, Fault> {
    let mut waiting: Vec<(&String, &OwnConfig)> = experiment.own_stages.iter().collect();
    let mut ordered: Vec<Arc<OwnStage>> = Vec::new();
    while !waiting.is_empty() {
        let is_ready = |(_, config): &(&String, &OwnConfig)| {
            let mut unwritten = waiting.iter().flat_map(|(_, other)| &other.writes);
            !unwritten.any(|table| config.reads.contains(table))
        };
        let Some(next) = waiting.iter().position(is_ready) else {
            let names = waiting.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let said = format!("a cycle: {names} read what they or each other write");
            return Err(wrong(experiment, waiting[0].0, "reads", &said));
        };
        let (name, config) = waiting.remove(next);
        ordered.push(Arc::new(OwnStage::new(name, config, ordered.len())));
    }
    Ok(ordered)
}

impl OwnStage {
    fn new(name: &str, config: &OwnConfig, position: usize) -> Self {
        let (tables, files) = config.writes.iter().cloned().partition(|output| is_table(output));
        Self {
            name: name.to_owned(),
            about: config.about.clone(),
            command: config.command.clone(),
            program: program(&config.command),
            per: config.per,
            version: config.version,
            reads: config.reads.clone(),
            tables,
            files,
            runs: config.runs.clone(),
            memory: config.memory.as_deref().and_then(bytes),
            position,
        }
    }
}

/// The files among the words of a command. A first word without a slash is searched for on the path, as in a shell.
fn program(command: &[String]) -> Vec<PathBuf> {
    let first = command.first().filter(|word| word.contains('/')).map(PathBuf::from);
    let rest = command.iter().skip(1).map(PathBuf::from).filter(|path| path.is_file());
    first.into_iter().chain(rest).collect()
}

/// Resolves words of a command that are files relative to the folder of the experiment's file.
pub(crate) fn place_files(command: &mut [String], folder: &Path) {
    for (position, word) in command.iter_mut().enumerate() {
        let placed = folder.join(&*word);
        if (position > 0 || word.contains('/')) && placed.is_file() {
            *word = placed.display().to_string();
        }
    }
}

/// A name with an extension is that of a file that is no table.
fn is_table(output: &str) -> bool {
    !output.contains('.')
}

fn wrong(experiment: &Experiment, stage: &str, key: &str, said: &str) -> Fault {
    let place = experiment.lines.place(&["own_stages", stage, key]);
    Fault::parameter(format!("{place}: {said}"))
}

fn check(experiment: &Experiment, name: &str, config: &OwnConfig) -> Result<(), Fault> {
    let refuse = |key: &str, said: &str| Err(wrong(experiment, name, key, said));
    if !is_identifier(name) || StageName::ALL.iter().any(|stage| stage.word() == name) || name == "driver" {
        let place = experiment.lines.place(&["own_stages", name]);
        return Err(Fault::parameter(format!("{place}: {IDENTIFIER}, and is no name of a stage of the pipeline")));
    }
    if config.command.first().is_none_or(String::is_empty) {
        return refuse("command", "is empty: write the program and its first words, such as [python3, my/script.py]");
    }
    let program = Path::new(&config.command[0]);
    if config.command[0].contains('/') && !program.is_file() {
        return refuse("command", &format!("{} is missing{}", program.display(), near_file(program)));
    }
    if config.version == 0 {
        return refuse("version", "must be at least 1");
    }
    if config.memory.as_deref().is_some_and(|memory| bytes(memory).is_none()) {
        return refuse("memory", "write it as 500M or 4G");
    }
    if config.writes.is_empty() {
        return refuse("writes", "is empty: name the tables that it writes and, with an extension, other files");
    }
    for (position, output) in config.writes.iter().enumerate() {
        check_output(output).or_else(|said| refuse("writes", &format!("`{output}`: {said}")))?;
        if config.writes[..position].contains(output) {
            return refuse("writes", &format!("has `{output}` twice"));
        }
    }
    for parameter in config.parameters.keys() {
        let place = || experiment.lines.place(&["own_stages", name, "parameters", parameter]);
        if !is_identifier(parameter) {
            return Err(Fault::parameter(format!("{}: {IDENTIFIER}", place())));
        }
        if FLAGS.contains(&parameter.as_str()) {
            return Err(Fault::parameter(format!("{}: every stage has this flag: use another name", place())));
        }
    }
    match config.runs.iter().flatten().find(|run| !experiment.runs.contains_key(*run)) {
        Some(run) => refuse("runs", &unknown_key(run, &experiment.runs)),
        None => Ok(()),
    }
}

const IDENTIFIER: &str = "a name has lower-case letters, digits and `_`, and begins with a letter";

fn is_identifier(name: &str) -> bool {
    let allowed = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_';
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.chars().all(allowed)
}

/// Refuses the name of an output.
///
/// # Errors
/// What it must be, to stand behind it.
fn check_output(output: &str) -> Result<(), String> {
    if !is_table(output) {
        if let Some(table) = output.strip_suffix(".parquet") {
            return Err(format!("a table is named without its extension: `{table}`"));
        }
        return file_name(output).map(|_| ());
    }
    if !is_identifier(output) {
        return Err(format!("{IDENTIFIER}; a file that is no table has an extension"));
    }
    match tables::all().iter().any(|table| table.name == output) || TAKEN.contains(&output) {
        true => Err("the pipeline has this name: use another".to_owned()),
        false => Ok(()),
    }
}

/// Bytes in the notation of Slurm: `500M`, `4G`.
fn bytes(text: &str) -> Option<f64> {
    let unit = match text.chars().last()? {
        'M' => 1e6,
        'G' => 1e9,
        'T' => 1e12,
        _ => return None,
    };
    text[..text.len() - 1].parse::<u32>().ok().map(|number| f64::from(number) * unit)
}
