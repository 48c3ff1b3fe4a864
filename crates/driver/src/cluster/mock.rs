//! A cluster for tests: tasks end at once, as the test says, and may be lost with their controller.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use declarations::Fault;

use super::Journal;
use crate::failures::Failure;
use crate::plan::Job;
use crate::runner::{Array, Cancel, End, Event, Runner, Trouble, What};
use crate::shared::Shared;
use crate::stale;
use crate::state::{Record, State, Status};

/// What becomes of a job when its task runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// It writes its outputs.
    Succeeds,
    /// It says why it cannot.
    Fails,
    /// It is killed, and its driver records that.
    IsKilled,
    /// Its node is lost, and nothing is recorded.
    IsLost,
    /// It writes its outputs and ends, and the cluster goes on to say that it runs.
    Lingers,
}

/// What becomes of a job's execution of a number.
type Fates<'test> = dyn Fn(&str, u32) -> Fate + 'test;

/// The cluster.
pub(crate) struct Mock<'test> {
    jobs: &'test [Job],
    root: PathBuf,
    /// What becomes of a job at its first, second, … execution.
    fate: Box<Fates<'test>>,
    arrays: BTreeMap<usize, (Array, BTreeMap<u32, Option<End>>)>,
    /// The tasks that have ended and run by the cluster's word.
    lingering: BTreeSet<(usize, u32)>,
    /// The tasks whose end was told.
    told: BTreeSet<(usize, u32)>,
    /// The arrays that the driver knows of, and those of which it has no id.
    known: BTreeMap<usize, bool>,
    /// The executions of each job.
    pub(crate) executed: BTreeMap<String, u32>,
    /// Of each array that was taken: its name, its number of tasks, and how many arrays it waits for.
    pub(crate) taken: Vec<(String, usize, usize)>,
    /// The commands of all tasks.
    pub(crate) commands: Vec<String>,
    /// The driver is killed at this call: before it has an effect, or after.
    pub(crate) kill_at: Option<(u32, bool)>,
    /// How often the cluster does not answer from now on.
    pub(crate) away: u32,
    calls: u32,
}

impl<'test> Mock<'test> {
    pub(crate) fn new(jobs: &'test [Job], root: &Path, fate: impl Fn(&str, u32) -> Fate + 'test) -> Self {
        Self {
            jobs,
            root: root.to_owned(),
            fate: Box::new(fate),
            arrays: BTreeMap::new(),
            lingering: BTreeSet::new(),
            told: BTreeSet::new(),
            known: BTreeMap::new(),
            executed: BTreeMap::new(),
            taken: Vec::new(),
            commands: Vec::new(),
            kill_at: None,
            away: 0,
            calls: 0,
        }
    }

    /// A new driver with what an earlier one has recorded.
    pub(crate) fn attach(&mut self, journal: &Journal) {
        self.told.clear();
        self.calls = 0;
        self.known = journal.arrays.iter().map(|(key, array)| (*key, array.id.is_some())).collect();
        for (key, array) in &journal.arrays {
            // Names decide: what has another name is another array.
            let is_there = self.arrays.get(key).is_some_and(|(known, _)| known.name == array.name);
            if !is_there {
                let commands = array.tasks.keys().map(|index| (*index, Default::default())).collect();
                let lost = Array { key: *key, name: array.name.clone(), commands, ..Array::default() };
                let ends = array.tasks.keys().map(|index| (*index, Some(End::Unknown))).collect();
                self.arrays.insert(*key, (lost, ends));
                self.known.insert(*key, true);
            }
        }
    }

    /// The controller crashes and forgets an array.
    pub(crate) fn forget(&mut self, stage: &str) {
        for (array, ends) in self.arrays.values_mut().filter(|(array, _)| array.name.starts_with(stage)) {
            array.after.clear();
            ends.values_mut().for_each(|end| *end = Some(End::Unknown));
        }
    }

    fn call(&mut self, after: bool) {
        if !after {
            self.calls += 1;
        }
        assert_ne!(self.kill_at, Some((self.calls, after)), "the driver is killed");
    }

    /// What becomes of a task whose turn it is; none if it waits.
    fn turn(&self, array: &Array, index: u32) -> Option<End> {
        let mut waits = false;
        for after in &array.after {
            let (_, ends) = &self.arrays[&after.array];
            let of = ends.iter().filter(|(other, _)| !after.corresponding || **other == index);
            let ends: Vec<_> = of.map(|(_, end)| end).collect();
            if ends.is_empty() || ends.iter().any(|end| end.as_ref().is_some_and(|end| *end != End::Completed)) {
                return Some(End::Cancelled { by_dependency: true });
            }
            waits |= ends.iter().any(|end| end.is_none());
        }
        (!waits).then_some(End::Completed)
    }

    /// Runs a task; none if it lingers.
    fn execute(&mut self, array: &str, command: &[String]) -> Option<End> {
        let mut end = End::Completed;
        let mut lingers = false;
        let names = command.iter().filter(|word| self.jobs.iter().any(|job| job.name() == **word));
        let failed: BTreeSet<&String> =
            command.windows(2).filter(|pair| pair[0] == "--failed").map(|pair| &pair[1]).collect();
        let names: Vec<String> = names.filter(|name| !failed.contains(name)).cloned().collect();
        for name in names {
            let execution = self.executed.entry(name.clone()).or_default();
            *execution += 1;
            let fate = (self.fate)(&name, *execution);
            if fate == Fate::IsLost {
                return Some(End::Broken("NODE_FAIL".to_owned()));
            }
            let job = self.jobs.iter().find(|job| job.name() == name).unwrap();
            let mut shared = Shared::new(&self.root, array.to_owned(), true);
            shared.claim(&name).unwrap();
            let failure = Failure {
                job: name.clone(),
                code: 3,
                message: "no luck".to_owned(),
                command: None,
                killed: fate == Fate::IsKilled,
            };
            let succeeds = matches!(fate, Fate::Succeeds | Fate::Lingers);
            lingers |= fate == Fate::Lingers;
            if succeeds {
                let files = job.outputs.iter().map(|path| self.root.join(path));
                files.for_each(|path| {
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(path, "x").unwrap();
                });
            } else {
                end = End::Broken("FAILED".to_owned());
            }
            let cache_key = stale::cache_key(job, &self.root, &mut State::open(&self.root, false)).unwrap();
            let status = if succeeds { Status::Done } else { Status::Failed };
            let change = |outcome: &mut crate::shared::Outcome| {
                outcome.ended = true;
                outcome.failure = (!succeeds).then_some(failure);
                outcome.record = cache_key.ok().map(|key| Record::new(status, key));
            };
            shared.record(&name, change).unwrap();
        }
        (!lingers).then_some(end)
    }
}

impl Runner for Mock<'_> {
    fn spawn(&mut self, array: &Array) -> Result<String, Trouble> {
        self.call(false);
        if self.away > 0 {
            self.away -= 1;
            // It has not arrived, which its name will show.
            let ends = array.commands.iter().map(|(index, _)| (*index, Some(End::Unknown))).collect();
            self.arrays.insert(array.key, (array.clone(), ends));
            self.known.insert(array.key, true);
            return Err(Trouble::Away("no answer".to_owned()));
        }
        assert!(self.arrays.values().all(|(known, _)| known.name != array.name), "{} twice", array.name);
        self.taken.push((array.name.clone(), array.commands.len(), array.after.len()));
        self.commands.extend(array.commands.iter().map(|(_, command)| command.to_string()));
        let ends = array.commands.iter().map(|(index, _)| (*index, None)).collect();
        self.arrays.insert(array.key, (array.clone(), ends));
        self.known.insert(array.key, true);
        self.call(true);
        Ok(array.key.to_string())
    }

    fn poll(&mut self, _patience: Duration) -> Result<Vec<Event>, Trouble> {
        self.call(false);
        if self.away > 0 {
            self.away -= 1;
            return Err(Trouble::Away("no answer".to_owned()));
        }
        let mut events = Vec::new();
        for (key, has_id) in &mut self.known {
            if !std::mem::replace(has_id, true) {
                let what = What::Named(key.to_string());
                let index = self.arrays[key].1.keys().next().copied().unwrap_or_default();
                events.push(Event { array: *key, index, what });
            }
        }
        // One step of every task whose turn it is, which is decided before any runs.
        let mut turns = Vec::new();
        for (key, (array, ends)) in &self.arrays {
            let open = ends.iter().filter(|(index, end)| end.is_none() && !self.lingering.contains(&(*key, **index)));
            turns.extend(open.filter_map(|(index, _)| Some((*key, *index, self.turn(array, *index)?))));
        }
        for (key, index, end) in turns {
            let array = self.arrays[&key].0.clone();
            let (_, command) = array.commands.iter().find(|(of, _)| *of == index).unwrap();
            let end = if end == End::Completed { self.execute(&array.name, &command.flags) } else { Some(end) };
            if end.is_none() {
                self.lingering.insert((key, index));
                events.push(Event { array: key, index, what: What::Started });
            }
            self.arrays.get_mut(&key).unwrap().1.insert(index, end);
        }
        for (key, (_, ends)) in &self.arrays {
            for (index, end) in ends {
                if let Some(end) = end
                    && self.known.contains_key(key)
                    && self.told.insert((*key, *index))
                {
                    events.push(Event { array: *key, index: *index, what: What::Ended(end.clone()) });
                }
            }
        }
        self.call(true);
        Ok(events)
    }

    fn cancel(&mut self, array: usize, _how: Cancel) -> Result<(), Trouble> {
        let Some((_, ends)) = self.arrays.get_mut(&array) else {
            return Err(Fault::bug("no such array").into());
        };
        ends.values_mut().for_each(|end| *end = end.clone().or(Some(End::Cancelled { by_dependency: false })));
        Ok(())
    }

    fn forget(&mut self, array: usize, index: u32) {
        assert!(self.lingering.remove(&(array, index)), "only what has ended is forgotten");
        self.told.insert((array, index));
        let (_, ends) = self.arrays.get_mut(&array).unwrap();
        ends.insert(index, Some(End::Cancelled { by_dependency: false }));
    }

    fn log(&self, _array: &str, _index: u32) -> Option<PathBuf> {
        None
    }
}
