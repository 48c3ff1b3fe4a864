//! Slurm: `sbatch`, `squeue`, `sacct`, `scancel`.
//!
//! Arrays are recognised by their names, which are unique, and not by their ids: a controller that crashes loses the submissions
//! of its last seconds and gives their ids to the next ones.

mod listing;
mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use declarations::Fault;

use self::listing::{Listed, Meaning, meaning, parse_sacct, parse_squeue};
use super::journal::Journal;
use crate::runner::{After, Array, Cancel, End, Event, Runner, Trouble, What};

/// How long a submission may take to be seen by its name.
const ARRIVES: Duration = Duration::from_secs(30);
/// How often in a row a task is not listed before it is taken for gone.
const NOT_LISTED: u32 = 2;
/// What errors of Slurm's commands say when it makes sense to try again. Limits on a user's jobs end with the jobs.
const PASSING: [&str; 12] = [
    "Unable to contact slurm controller",
    "controller not responding",
    "Socket timed out",
    "temporarily",
    "Connection refused",
    "Connection timed out",
    "Zero Bytes were transmitted",
    "Transport endpoint",
    "try again",
    "Job dependency problem",
    "MaxSubmit",
    "job submit limit",
];

/// A cluster on which Slurm runs.
pub(crate) struct Slurm {
    /// Where the scripts are.
    folder: PathBuf,
    /// At most so many tasks of an array at once.
    at_once: Option<usize>,
    arrays: BTreeMap<usize, Known>,
    /// How long a task may wait for what has ended before it is taken for stuck.
    patience: Duration,
    /// Whether the cluster keeps accounts; none as long as it was not needed to know.
    accounts: Option<bool>,
}

/// An array with tasks that have not ended.
#[derive(Debug)]
struct Known {
    name: String,
    id: Option<String>,
    /// When it was submitted.
    since: u64,
    /// What it waits for.
    after: Vec<After>,
    /// The tasks that have not ended.
    open: BTreeMap<u32, Open>,
}

/// A task that has not ended.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    runs: bool,
    /// How often in a row it was not listed.
    not_listed: u32,
    /// Since when it waits for what has ended.
    stuck_since: Option<u64>,
}

/// What follows from a list of tasks.
#[derive(Debug, Default)]
struct Update {
    events: Vec<Event>,
    /// Tasks that are not listed any more.
    gone: BTreeSet<(usize, u32)>,
    /// Tasks that would wait for ever, with Slurm's name for each.
    stuck: Vec<(usize, u32, String)>,
}

impl Slurm {
    /// The cluster with what was submitted before. Scripts lie in a folder, whose path is absolute.
    pub(crate) fn new(folder: PathBuf, at_once: Option<usize>, patience: Duration, journal: &Journal) -> Self {
        let arrays = journal.arrays.iter().map(|(key, array)| {
            let open = array.tasks.iter().map(|(index, task)| (*index, Open { runs: task.runs, ..Open::default() }));
            let (name, id, after) = (array.name.clone(), array.id.clone(), array.after.clone());
            (*key, Known { name, id, since: array.since, after, open: open.collect() })
        });
        Self { folder, at_once, arrays: arrays.collect(), patience, accounts: None }
    }

    /// Whether any task has not ended.
    pub(crate) fn is_active(&self) -> bool {
        !self.arrays.is_empty()
    }

    /// The flag that makes an array wait for others; none if those have ended.
    fn dependency(&self, array: &Array) -> Result<Option<String>, Trouble> {
        let mut waits = Vec::new();
        for after in &array.after {
            let Some(known) = self.arrays.get(&after.array) else { continue };
            let id = known.id.as_ref().ok_or_else(|| Trouble::Away(format!("{} has no id yet", known.name)))?;
            waits.push(format!("{}:{id}", if after.corresponding { "aftercorr" } else { "afterok" }));
        }
        Ok((!waits.is_empty()).then(|| format!("--dependency={}", waits.join(","))))
    }

    /// All tasks of some arrays, in one question.
    fn list(&self) -> Result<Vec<Listed>, Trouble> {
        let names = self.names();
        let output = call("squeue", &["--noheader", "--array", "--states=all", "--format=%j|%F|%K|%T|%r", &names]);
        // Whatever it says, the tasks go on.
        let output = output.map_err(|trouble| Trouble::Away(Fault::from(trouble).to_string()))?;
        Ok(output.lines().filter_map(parse_squeue).collect())
    }

    /// What the accounts say of tasks that `squeue` has forgotten; nothing where there are none.
    fn accounts(&mut self) -> Vec<Listed> {
        if self.accounts == Some(false) {
            return Vec::new();
        }
        let since = self.arrays.values().map(|array| array.since).min().unwrap_or_default();
        let since = format!("--starttime={}", date(since));
        let flags =
            ["--noheader", "--allocations", "--parsable2", "--format=JobName,JobID,State", &since, &self.names()];
        let output = call("sacct", &flags);
        // A database that does not answer is not waited for: tasks record themselves how they ended.
        self.accounts = Some(output.is_ok());
        output.unwrap_or_default().lines().filter_map(parse_sacct).collect()
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.arrays.values().map(|array| array.name.as_str()).collect();
        format!("--name={}", names.join(","))
    }

    /// What follows from a list of tasks, in which others may be missing.
    fn update(&mut self, listed: Vec<Listed>, now: u64) -> Update {
        let mut update = Update::default();
        let keys: BTreeMap<String, usize> = self.arrays.iter().map(|(key, array)| (array.name.clone(), *key)).collect();
        let open_before: BTreeSet<(usize, u32)> =
            self.arrays.iter().flat_map(|(key, array)| array.open.keys().map(|index| (*key, *index))).collect();
        let mut seen: BTreeSet<(usize, u32)> = BTreeSet::new();
        for Listed { name, id, index, state, reason } in listed {
            let Some(key) = keys.get(&name).copied() else { continue };
            let Some(known) = self.arrays.get_mut(&key) else { continue };
            let mut tell = |what| update.events.push(Event { array: key, index, what });
            if known.id.is_none() {
                tell(What::Named(id.clone()));
                known.id = Some(id.clone());
            }
            let Some(open) = known.open.get_mut(&index) else { continue };
            open.not_listed = 0;
            seen.insert((key, index));
            match meaning(&state, &reason) {
                Meaning::Waits => {
                    if open.runs {
                        tell(What::Waits);
                    }
                    let is_ahead = |after: &After| match after.corresponding {
                        true => open_before.contains(&(after.array, index)),
                        false => open_before.range((after.array, 0)..=(after.array, u32::MAX)).next().is_some(),
                    };
                    // A controller that crashed can forget what has ended, and hold what it could not start again.
                    let is_held = reason.contains("requeue") && reason.contains("held");
                    let is_stuck = is_held || (reason == "Dependency" && !known.after.iter().any(is_ahead));
                    open.stuck_since = is_stuck.then(|| open.stuck_since.unwrap_or(now));
                    if open.stuck_since.is_some_and(|since| now >= since + self.patience.as_secs()) {
                        update.stuck.push((key, index, format!("{id}_{index}")));
                    }
                    open.runs = false;
                }
                Meaning::Runs => {
                    if !open.runs {
                        tell(What::Started);
                    }
                    open.runs = true;
                }
                Meaning::Ended(end) => {
                    tell(What::Ended(end));
                    known.open.remove(&index);
                }
            }
        }
        for (key, known) in &mut self.arrays {
            let arrives = known.id.is_none() && now < known.since + ARRIVES.as_secs();
            for (index, open) in known.open.iter_mut().filter(|(index, _)| !seen.contains(&(*key, **index))) {
                open.not_listed += 1;
                if !arrives && open.not_listed >= NOT_LISTED {
                    update.gone.insert((*key, *index));
                }
            }
        }
        self.arrays.retain(|_, known| !known.open.is_empty());
        update
    }

    /// Notes that a task has ended.
    fn close(&mut self, key: usize, index: u32, end: End) -> Event {
        if let Some(known) = self.arrays.get_mut(&key) {
            known.open.remove(&index);
            if known.open.is_empty() {
                self.arrays.remove(&key);
            }
        }
        Event { array: key, index, what: What::Ended(end) }
    }
}

impl Runner for Slurm {
    fn spawn(&mut self, array: &Array) -> Result<String, Trouble> {
        let dependency = self.dependency(array)?;
        let script = self.write_script(array);
        let script =
            script.map_err(|error| Fault::input(format!("cannot write the script of {}: {error}", array.name)))?;
        let script = script.display().to_string();
        let flags: Vec<&str> =
            ["--parsable"].into_iter().chain(dependency.as_deref()).chain([script.as_str()]).collect();
        let spawned = call("sbatch", &flags);
        if matches!(spawned, Err(Trouble::Refused(_))) {
            return spawned;
        }
        let open = array.commands.iter().map(|(index, _)| (*index, Open::default())).collect();
        // `id`, or `id;cluster`.
        let id = spawned.as_ref().ok().and_then(|text| Some(text.trim().split(';').next()?.to_owned()));
        let (name, after) = (array.name.clone(), array.after.clone());
        self.arrays.insert(array.key, Known { name, id: id.clone(), since: now(), after, open });
        spawned.map(|_| id.unwrap_or_default())
    }

    fn poll(&mut self, patience: Duration) -> Result<Vec<Event>, Trouble> {
        std::thread::sleep(patience);
        if self.arrays.is_empty() {
            return Ok(Vec::new());
        }
        let listed = self.list()?;
        let Update { mut events, mut gone, stuck } = self.update(listed, now());
        for (key, index, task) in stuck {
            // Submitted again, it waits for nothing that has ended.
            call("scancel", &["--quiet", &task])?;
            events.push(self.close(key, index, End::Broken("the cluster would never start it".to_owned())));
        }
        if gone.is_empty() {
            return Ok(events);
        }
        for Listed { name, index, state, .. } in self.accounts() {
            let key = self.arrays.iter().find(|(_, array)| array.name == name).map(|(key, _)| *key);
            if let (Some(key), Meaning::Ended(end)) = (key, meaning(&state, ""))
                && gone.remove(&(key, index))
            {
                events.push(self.close(key, index, end));
            }
        }
        for (key, index) in gone {
            events.push(self.close(key, index, End::Unknown));
        }
        Ok(events)
    }

    fn cancel(&mut self, array: usize, how: Cancel) -> Result<(), Trouble> {
        let Some(known) = self.arrays.get(&array) else { return Ok(()) };
        let name = format!("--name={}", known.name);
        match how {
            // Slurm asks first, and kills after KillWait.
            Cancel::Interrupt => call("scancel", &["--quiet", &name]),
            Cancel::Kill => call("scancel", &["--quiet", "--signal=KILL", "--full", &name]),
        }?;
        Ok(())
    }

    fn forget(&mut self, array: usize, index: u32) {
        let id = self.arrays.get(&array).and_then(|known| known.id.clone());
        if let Some(id) = id {
            // What waits for it would wait as long as the controller thinks that it runs.
            let _ = call("scancel", &["--quiet", &format!("{id}_{index}")]);
        }
        self.close(array, index, End::Completed);
    }

    fn log(&self, array: &str, index: u32) -> Option<PathBuf> {
        Some(self.folder.join(format!("{array}.{index}.out"))).filter(|path| path.exists())
    }
}

/// Runs a command of Slurm's and returns what it printed.
fn call(program: &str, flags: &[&str]) -> Result<String, Trouble> {
    let output = Process::new(program).args(flags).env("LC_ALL", "C").output();
    let output = output.map_err(|error| {
        Fault::input(format!(
            "cannot run {program} ({error}): --executor slurm needs Slurm's commands, as on a login node"
        ))
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().replace('\n', "; ");
    let message = format!("{program}: {}", if said.is_empty() { output.status.to_string() } else { said });
    match PASSING.iter().any(|words| message.contains(words)) {
        true => Err(Trouble::Away(message)),
        false => Err(Trouble::Refused(Fault::input(message))),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A point in time as Slurm's commands take it: `now-120`, in seconds.
fn date(since: u64) -> String {
    format!("now-{}", now().saturating_sub(since) + 60)
}

/// Whether Slurm's commands are there.
pub(crate) fn is_there() -> bool {
    Process::new("squeue").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Ends the arrays of a journal by their names, whatever watches them.
///
/// # Errors
/// Slurm does not answer.
pub(crate) fn cancel_all(journal: &Journal, folder: &Path) -> Result<(), Fault> {
    let mut slurm = Slurm::new(folder.to_owned(), None, Duration::ZERO, journal);
    for key in journal.arrays.keys() {
        slurm.cancel(*key, Cancel::Interrupt)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::journal::{Submitted, Task};

    pub(super) fn slurm(folder: &Path, id: Option<&str>) -> Slurm {
        let tasks = [0, 1, 2].map(|index| (index, Task::default()));
        let array = Submitted {
            name: "train-1".into(),
            id: id.map(str::to_owned),
            since: 1000,
            tasks: tasks.into(),
            ..Submitted::default()
        };
        Slurm::new(
            folder.to_owned(),
            None,
            Duration::from_secs(90),
            &Journal { arrays: [(7, array)].into(), ..Journal::default() },
        )
    }

    fn listed(lines: &[&str]) -> Vec<Listed> {
        lines.iter().map(|line| parse_squeue(line).unwrap()).collect()
    }

    fn said(events: &[Event]) -> Vec<String> {
        events.iter().map(|event| format!("{} {:?}", event.index, event.what)).collect()
    }

    #[test]
    fn tasks_are_found_by_name_and_not_by_id() {
        let mut slurm = slurm(Path::new("/x"), None);
        let another = "another|12|0|COMPLETED|None";
        let first = listed(&[another, "train-1|13|0|RUNNING|None", "train-1|13|1|PENDING|Dependency"]);
        let update = slurm.update(first, 1001);
        assert_eq!(said(&update.events), ["0 Named(\"13\")", "0 Started"]);
        assert!(update.gone.is_empty(), "one that is not listed yet may be in a moment");
        let second = [
            "train-1|13|0|COMPLETED|None",
            "train-1|13|1|CANCELLED|DependencyNeverSatisfied",
            "train-1|13|2|NODE_FAIL|NodeDown",
        ];
        let events = slurm.update(listed(&second), 1002).events;
        let ended =
            ["0 Ended(Completed)", "1 Ended(Cancelled { by_dependency: true })", "2 Ended(Broken(\"NODE_FAIL\"))"];
        assert_eq!(said(&events), ended);
        assert!(slurm.arrays.is_empty());
    }

    #[test]
    fn what_is_not_listed_is_gone_only_after_it_could_have_arrived() {
        let mut submitted = slurm(Path::new("/x"), Some("13"));
        assert!(submitted.update(vec![], 2000).gone.is_empty());
        assert_eq!(submitted.update(vec![], 2001).gone.len(), 3);
        let mut on_its_way = slurm(Path::new("/x"), None);
        for second in 1..20 {
            assert!(on_its_way.update(vec![], 1000 + second).gone.is_empty());
        }
        assert_eq!(on_its_way.update(vec![], 1031).gone.len(), 3);
    }

    #[test]
    fn a_requeued_task_waits_again() {
        let mut slurm = slurm(Path::new("/x"), Some("13"));
        slurm.update(listed(&["train-1|13|0|RUNNING|None"]), 1001);
        assert_eq!(said(&slurm.update(listed(&["train-1|13|0|PENDING|BeginTime"]), 1002).events), ["0 Waits"]);
        assert_eq!(said(&slurm.update(listed(&["train-1|13|0|RUNNING|None"]), 1003).events), ["0 Started"]);
    }

    #[test]
    fn what_would_wait_for_ever_is_noticed() {
        let mut slurm = slurm(Path::new("/x"), Some("13"));
        let lines = [
            "train-1|13|0|PENDING|launch failed requeued held",
            "train-1|13|1|PENDING|Dependency",
            "train-1|13|2|PENDING|Resources",
        ];
        for second in [1000, 1001, 1002, 1003, 1060, 1089] {
            assert!(slurm.update(listed(&lines), second).stuck.is_empty(), "however often it was asked");
        }
        let stuck = slurm.update(listed(&lines), 1090).stuck;
        assert_eq!(
            stuck,
            [(7, 0, "13_0".to_owned()), (7, 1, "13_1".to_owned())],
            "what waits for resources has a turn"
        );
    }
}
