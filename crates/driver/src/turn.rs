//! Whose turn it is and what becomes of it: run, skipped, or left out; decided alike for a rehearsal and for the real thing.

use std::path::{Path, PathBuf};

use cli::Fault;

use crate::display::{Display, print};
use crate::estimate::Estimate;
use crate::lineage::History;
use crate::near::nearest;
use crate::plan::{Node, Stage};
use crate::stale::{self, Decision};
use crate::state::{Ingredients, Record, State, Status};

/// What is run, and how.
pub struct Plan<'plan> {
    /// All nodes of the study.
    pub nodes: &'plan [Node],
    /// Which of them were asked for.
    pub chosen: Vec<bool>,
    /// Whether only a part of the study was asked for: then a stage that sees all of it is left out where it cannot run.
    pub narrowed: bool,
    /// Where the tables lie.
    pub root: PathBuf,
    /// Where the programs lie.
    pub programs: PathBuf,
    /// How many nodes run at once.
    pub jobs: usize,
    /// Whether nodes run that need not.
    pub force: bool,
}

/// What becomes of a node whose turn it is.
pub(crate) enum Turn {
    Skip(String),
    LeaveOut(String),
    Run { reason: String, afresh: bool, ingredients: Ingredients },
}

impl Plan<'_> {
    /// Says what would be run and why, and runs nothing.
    pub fn rehearse(&self, state: &mut State, history: &History) -> Result<(), Fault> {
        if let Some(note) = self.replaced(state) {
            print(&note);
        }
        let mut runs = vec![false; self.nodes.len()];
        let mut estimate = Estimate::after(self, history);
        for (position, node) in self.nodes.iter().enumerate().filter(|(position, _)| self.chosen[*position]) {
            let name = node.name();
            let before = node.after.iter().find(|before| runs[**before]);
            let turn = match before {
                Some(before) => {
                    let reason = format!("{} runs before it", self.nodes[*before].name());
                    Turn::Run { reason, afresh: false, ingredients: Ingredients::default() }
                }
                None => self.turn(node, state, history)?,
            };
            match turn {
                Turn::Skip(reason) => print(&format!("{name} · skip: {reason}")),
                Turn::LeaveOut(reason) => print(&format!("{name} · left out: {reason}")),
                Turn::Run { reason, .. } => {
                    let twin = node.twins.iter().copied().find(|&twin| match runs[twin] {
                        true => true,
                        false => self.is_finished(twin, state, history),
                    });
                    runs[position] = true;
                    let (node, copied) = self.copying(position, twin);
                    estimate.add(&node);
                    print(&format!("{name} · run: {reason}{copied}\n  {}", node.command(&self.programs)));
                }
            }
        }
        let count = runs.iter().filter(|runs| **runs).count();
        let chosen = self.chosen.iter().filter(|chosen| **chosen).count();
        let jobs = self.jobs;
        print(&format!("{count} of {chosen} nodes would run, {jobs} at once; nothing was run (--dry-run)"));
        if count > 0 {
            print(&estimate.told(jobs));
        }
        Ok(())
    }

    /// What becomes of a node whose inputs are as they will be.
    pub(crate) fn turn(&self, node: &Node, state: &mut State, history: &History) -> Result<Turn, Fault> {
        self.turn_of(node, state, history, self.force)
    }

    fn turn_of(&self, node: &Node, state: &mut State, history: &History, force: bool) -> Result<Turn, Fault> {
        let ingredients = match stale::ingredients(node, &self.root, &self.programs, state)? {
            Ok(ingredients) => ingredients,
            Err(missing) => return self.without(node, &missing),
        };
        let present = stale::outputs(node, &self.root, state)?;
        let name = node.name();
        let (record, lineage) = (state.record(&name), history.done(&name));
        Ok(match stale::decide(node, &ingredients, record, lineage, &present, force) {
            Decision::Skip { reason } => {
                if record.is_none() {
                    state.remember(&name, Record { status: Status::Done, ingredients, outputs: present })?;
                }
                Turn::Skip(reason)
            }
            Decision::Run { reason, afresh } => Turn::Run { reason, afresh, ingredients },
        })
    }

    /// Whether what a node writes is there and is what it would write now. With --force only what this very run of the driver
    /// has made counts, which its caller knows.
    pub(crate) fn is_finished(&self, position: usize, state: &mut State, history: &History) -> bool {
        !self.force && matches!(self.turn(&self.nodes[position], state, history), Ok(Turn::Skip(_)))
    }

    /// The node as it is to be run, by copying where a twin has been trained, and how that is told.
    pub(crate) fn copying(&self, position: usize, twin: Option<usize>) -> (Node, String) {
        let node = &self.nodes[position];
        match twin.and_then(|twin| self.nodes[twin].run.as_deref()) {
            None => (node.clone(), String::new()),
            Some(run) => (node.copying(run), format!("; the same training as {run}'s, which is copied")),
        }
    }

    /// What becomes of a node one of whose inputs is not there.
    fn without(&self, node: &Node, missing: &Path) -> Result<Turn, Fault> {
        let path = missing.display();
        if node.outside.iter().any(|outside| outside == missing) {
            let name = node.dataset.as_deref().unwrap_or_default();
            let near = neighbour(missing);
            return Err(Fault::input(format!("datasets.{name}.source: {path} is missing{near}; give the text's path")));
        }
        let writer =
            self.nodes.iter().find(|writer| writer.outputs.iter().any(|output| self.root.join(output) == *missing));
        let writer = writer.map_or("the stage before it".to_owned(), Node::name);
        match node.stage.whole_study() && self.narrowed {
            true => Ok(Turn::LeaveOut(format!("it needs the whole study, and `{writer}` has not written {path}"))),
            false => Err(Fault::input(format!(
                "{} needs {path}, which `{writer}` writes: run that first, or everything without --only",
                node.name()
            ))),
        }
    }

    /// How many finished trainings would be replaced by those of other parameters, in words; none without any.
    pub(crate) fn replaced(&self, state: &State) -> Option<String> {
        let is_replaced = |(node, chosen): &(&Node, &bool)| {
            let record = state.record(&node.name()).filter(|record| record.status == Status::Done);
            **chosen
                && node.stage == Stage::Train
                && record.is_some_and(|record| record.ingredients.arguments != stale::parameters(node))
        };
        let count = self.nodes.iter().zip(&self.chosen).filter(is_replaced).count();
        (count > 0).then(|| {
            let (trainings, them) = if count == 1 { ("training", "it") } else { ("trainings", "them") };
            format!("note: {count} finished {trainings} had other parameters; to keep {them}, name another folder by --artifacts")
        })
    }

    /// Tells of nodes that what was asked for builds upon, that are out of date, and that were not asked for.
    pub(crate) fn note_stale(&self, state: &mut State, history: &History, display: &Display) -> Result<(), Fault> {
        let mut needed: Vec<bool> = self.chosen.clone();
        for position in (0..self.nodes.len()).rev() {
            if needed[position] {
                self.nodes[position].after.iter().for_each(|before| needed[*before] = true);
            }
        }
        let mut stale = Vec::new();
        for (position, node) in self.nodes.iter().enumerate() {
            if needed[position] && !self.chosen[position] {
                // What is missing is told by the node that needs it; what is wrong with a file, when it is read.
                if let Ok(Turn::Run { reason, .. }) = self.turn_of(node, state, history, false)
                    && state.record(&node.name()).is_some()
                {
                    stale.push(format!("{} ({reason})", node.name()));
                }
            }
        }
        match stale.as_slice() {
            [] => {}
            [one] => display.say(&format!("note: out of date and not asked for: {one}")),
            [one, rest @ ..] => {
                display.say(&format!("note: out of date and not asked for: {one} and {} more", rest.len()));
            }
        }
        Ok(())
    }

    /// The usual cost of each node and the costliest chain behind it: what is started first, so that little is left
    /// for one processor alone.
    pub(crate) fn tails(&self) -> Vec<f64> {
        let mut tails: Vec<f64> = self.nodes.iter().map(|node| node.cost.seconds).collect();
        // A node stands behind those it needs, so from the end each tail is known when it is asked for.
        let mut behind = vec![0.0_f64; self.nodes.len()];
        for position in (0..self.nodes.len()).rev() {
            tails[position] += behind[position];
            for &before in &self.nodes[position].after {
                behind[before] = behind[before].max(tails[position]);
            }
        }
        tails
    }
}

/// A file of nearly that name in the same folder.
fn neighbour(path: &Path) -> String {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    nearest(&name, names.iter().map(String::as_str))
}
