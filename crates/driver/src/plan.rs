//! The graph: which commands there are, what each reads and writes, and so which must end before which.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::cost::{self, Cost};
use crate::nodes;
use crate::study::Study;

/// A stage of the pipeline, in the order in which they run.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub enum Stage {
    /// Text to numbers.
    Prep,
    /// Learns.
    Train,
    /// Looks at checkpoints.
    Snapshot,
    /// Measures what was looked at.
    Metrics,
    /// Writes text.
    Generate,
    /// Tests the study's claims.
    Correlate,
    /// Draws.
    Plot,
}

impl Stage {
    /// The stage's name, which is its program's.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Prep => "prep",
            Stage::Train => "train",
            Stage::Snapshot => "snapshot",
            Stage::Metrics => "metrics",
            Stage::Generate => "generate",
            Stage::Correlate => "correlate",
            Stage::Plot => "plot",
        }
    }

    /// Whether its one node sees the whole study.
    pub fn whole_study(self) -> bool {
        matches!(self, Stage::Correlate | Stage::Plot)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The flag by which a training is copied from that of another run.
const SAME_AS: &str = "same_as";

/// A flag and its value.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Argument {
    /// The flag without its dashes.
    pub flag: String,
    /// Its value.
    pub value: String,
}

impl Argument {
    /// Whether it decides what is written: where and how fast do not.
    pub fn decides(&self) -> bool {
        !matches!(self.flag.as_str(), "artifacts" | "threads" | "data" | SAME_AS)
    }
}

/// One command of the pipeline.
#[derive(Clone, Debug)]
pub struct Node {
    /// The stage.
    pub stage: Stage,
    /// The text, where it is of one.
    pub dataset: Option<String>,
    /// The run, where it is of one.
    pub run: Option<String>,
    /// The seed, where it is of one.
    pub seed: Option<u64>,
    /// Its flags, in the order in which they are written.
    pub arguments: Vec<Argument>,
    /// The tables it reads, relative to the root of the artifacts.
    pub inputs: Vec<PathBuf>,
    /// The files it reads that are no tables.
    pub outside: Vec<PathBuf>,
    /// What it writes, relative to the root.
    pub outputs: Vec<PathBuf>,
    /// The folders that are its alone, relative to the root.
    pub folders: Vec<PathBuf>,
    /// The nodes that write what it reads.
    pub after: Vec<usize>,
    /// The nodes that train the same model on the same text with the same seed, for runs of other names.
    pub twins: Vec<usize>,
    /// What it costs, about.
    pub cost: Cost,
}

impl Node {
    /// Its name: stage, dataset, run and seed.
    pub fn name(&self) -> String {
        let seed = self.seed.map(|seed| seed.to_string());
        let of: Vec<&str> =
            [self.dataset.as_deref(), self.run.as_deref(), seed.as_deref()].into_iter().flatten().collect();
        format!("{} {}", self.stage, of.join("/")).trim_end().to_owned()
    }

    /// The node whose command copies the training of another run in place of computing it. It writes the same.
    pub(crate) fn copying(&self, run: &str) -> Node {
        let mut node = self.clone();
        node.cost = cost::copy(node.cost);
        node.arguments.push(Argument { flag: SAME_AS.to_owned(), value: run.to_owned() });
        node
    }

    /// Whether it copies the training of another run.
    pub(crate) fn copies(&self) -> bool {
        self.arguments.iter().any(|argument| argument.flag == SAME_AS)
    }

    /// How many threads it works with.
    pub(crate) fn threads(&self) -> usize {
        let said = self.arguments.iter().find(|argument| argument.flag == "threads");
        said.and_then(|argument| argument.value.parse().ok()).unwrap_or(1)
    }

    /// The command line after the program.
    pub fn flags(&self) -> Vec<String> {
        let write = |argument: &Argument| {
            let Argument { flag, value } = argument;
            let flag = format!("--{}", flag.replace('_', "-"));
            match value.starts_with('-') {
                true => vec![format!("{flag}={value}")],
                false => vec![flag, value.clone()],
            }
        };
        self.arguments.iter().flat_map(write).collect()
    }

    /// The command as a person pastes it in a shell.
    pub fn command(&self, programs: &Path) -> String {
        let program = programs.join(self.stage.name()).to_string_lossy().into_owned();
        let words: Vec<String> = std::iter::once(program).chain(self.flags()).map(|word| quote(&word)).collect();
        words.join(" ")
    }
}

/// A word that a POSIX shell reads as itself.
pub(crate) fn quote(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "_@%+=:,./-".contains(character);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// How the nodes' processors are shared.
#[derive(Clone, Copy, Debug)]
pub struct Threads {
    /// For a node that others run beside.
    pub shared: usize,
    /// For a node that runs alone.
    pub alone: usize,
}

/// All nodes of the study, each behind those it needs.
pub fn plan(study: &Study, artifacts: &Path, threads: Threads) -> Vec<Node> {
    let mut nodes = Vec::new();
    for text in &study.texts {
        nodes.push(nodes::prep(study, text));
    }
    for text in &study.texts {
        for &seed in &text.seeds {
            for training in &text.trainings {
                let place = nodes::Place { text, training, seed };
                nodes.push(nodes::train(&place));
                if training.snapshots {
                    nodes.push(nodes::snapshot(&place));
                    nodes.push(nodes::metrics(&place));
                }
                nodes.push(nodes::generate(&place));
            }
        }
    }
    nodes.push(nodes::correlate(study));
    nodes.push(nodes::plot(study));

    let mut writers: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for (position, node) in nodes.iter().enumerate() {
        writers.extend(node.outputs.iter().map(|output| (output.clone(), position)));
    }
    for node in &mut nodes {
        let after: BTreeSet<usize> = node.inputs.iter().filter_map(|input| writers.get(input).copied()).collect();
        node.after = after.into_iter().collect();
        let place = Argument { flag: "artifacts".to_owned(), value: artifacts.to_string_lossy().into_owned() };
        node.arguments.insert(0, place);
        let threads = match node.stage {
            // It draws, and takes no such flag.
            Stage::Plot => continue,
            Stage::Correlate => threads.alone,
            _ => threads.shared,
        };
        node.arguments.push(Argument { flag: "threads".to_owned(), value: threads.to_string() });
    }
    introduce_twins(&mut nodes);
    nodes
}

/// Tells trainings that are the same but for the run's name of each other.
fn introduce_twins(nodes: &mut [Node]) {
    let mut alike: BTreeMap<Vec<Argument>, Vec<usize>> = BTreeMap::new();
    for (position, node) in nodes.iter().enumerate().filter(|(_, node)| node.stage == Stage::Train) {
        let but_for_the_run = node.arguments.iter().filter(|argument| argument.flag != "run").cloned();
        alike.entry(but_for_the_run.collect()).or_default().push(position);
    }
    for twins in alike.values() {
        for &position in twins {
            nodes[position].twins = twins.iter().copied().filter(|twin| *twin != position).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn a_quoted_word_is_one_word_of_the_shell() {
        assert_eq!(quote("0,50,100-2000/100"), "0,50,100-2000/100");
        assert_eq!(quote("Generation quality"), "'Generation quality'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("\n"), "'\n'");
    }
}
