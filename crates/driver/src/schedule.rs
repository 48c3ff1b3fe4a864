//! Running the graph: what is ready, several at once, until all is done or something fails.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cli::{Fault, Notice};
use schemas::enums;
use schemas::tables::Lineage;
use signal_hook::consts::{SIGABRT, SIGHUP, SIGINT, SIGKILL, SIGTERM};

use crate::display::{Display, duration, size};
use crate::lineage::History;
use crate::pace::{Pace, span};
use crate::plan::Node;
use crate::process::{Event, Process, is_ignored};
use crate::stale;
use crate::state::{Ingredients, Record, State, Status};
use crate::turn::{Plan, Turn};

/// How long a stage that was asked to end may take to do so.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a run of the pipeline ended.
pub enum Outcome {
    /// Everything that was asked for is there, but for what was left out: for each node, whether it is there as it should be.
    Complete(Vec<bool>),
    /// A node failed; the exit code to end with.
    Failed(u8),
    /// A signal ended it; the exit code to end with.
    Interrupted(u8),
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Progress {
    NotChosen,
    Waiting,
    Running,
    Done,
    LeftOut,
    Failed,
}

struct Running {
    process: Process,
    command: String,
    copies: bool,
    ingredients: Ingredients,
    started: SystemTime,
    begun: Instant,
    fraction: f64,
    message: Option<String>,
}

impl Plan<'_> {
    /// Runs what is stale.
    pub fn run(&self, state: &mut State, history: &mut History, display: &mut Display) -> Result<Outcome, Fault> {
        let signal = Arc::new(AtomicUsize::new(0));
        for number in [SIGINT, SIGTERM, SIGHUP] {
            // Under nohup a closed terminal is to end nothing.
            if number == SIGHUP && is_ignored(number) {
                continue;
            }
            let value = usize::try_from(number).map_err(|_| Fault::defect("a negative signal"))?;
            signal_hook::flag::register_usize(number, Arc::clone(&signal), value)?;
        }
        self.note_stale(state, history, display)?;
        if let Some(note) = self.replaced(state) {
            display.say(&note);
        }
        if self.force {
            let chosen = self.nodes.iter().zip(&self.chosen).filter(|(_, chosen)| **chosen);
            state.ask_again(chosen.map(|(node, _)| node.name()))?;
        }
        let (sender, events) = channel();
        let progress =
            self.chosen.iter().map(|chosen| if *chosen { Progress::Waiting } else { Progress::NotChosen }).collect();
        let work = Work {
            plan: self,
            tails: self.tails(),
            state,
            history,
            display,
            sender,
            events,
            progress,
            running: BTreeMap::new(),
            pace: Pace::default(),
            signal,
            failure: None,
        };
        work.finish()
    }
}

struct Work<'work> {
    plan: &'work Plan<'work>,
    tails: Vec<f64>,
    state: &'work mut State,
    history: &'work mut History,
    display: &'work mut Display,
    sender: Sender<Event>,
    events: Receiver<Event>,
    progress: Vec<Progress>,
    running: BTreeMap<usize, Running>,
    pace: Pace,
    signal: Arc<AtomicUsize>,
    failure: Option<u8>,
}

impl Work<'_> {
    fn finish(mut self) -> Result<Outcome, Fault> {
        let ended = self.work();
        if ended.is_err() {
            // A fault of the driver's own ends what it started.
            self.running.values().for_each(|running| running.process.end(false));
        }
        ended?;
        self.state.save_hashes()?;
        Ok(match (self.signal.load(Ordering::Relaxed), self.failure) {
            (0, None) => Outcome::Complete(self.progress.iter().map(|progress| *progress == Progress::Done).collect()),
            (0, Some(code)) => Outcome::Failed(code),
            (signal, _) => Outcome::Interrupted(u8::try_from(128 + signal).unwrap_or(1)),
        })
    }

    fn work(&mut self) -> Result<(), Fault> {
        let mut asked_to_end: Option<Instant> = None;
        loop {
            let signalled = self.signal.load(Ordering::Relaxed) != 0;
            if !signalled && self.failure.is_none() {
                self.start_ready()?;
            }
            if self.running.is_empty() {
                return Ok(());
            }
            if signalled {
                let since = *asked_to_end.get_or_insert_with(|| {
                    self.running.values().for_each(|running| running.process.end(false));
                    Instant::now()
                });
                if since.elapsed() > PATIENCE {
                    self.running.values().for_each(|running| running.process.end(true));
                }
            }
            match self.events.recv_timeout(Duration::from_millis(100)) {
                Ok(Event::Line { node, line }) => self.hear(node, line),
                Ok(Event::Ended { node, status, wall, peak_rss_bytes }) => {
                    self.ended(node, status, wall, peak_rss_bytes)?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Fault::defect("nobody can tell of the stages")),
            }
            self.tell_overall();
        }
    }

    /// Starts what is ready, the costliest chain first, as long as there is room.
    fn start_ready(&mut self) -> Result<(), Fault> {
        while self.running.len() < self.plan.jobs && self.failure.is_none() {
            let settled = |node: &Node| {
                let over = |before: &usize| !matches!(self.progress[*before], Progress::Waiting | Progress::Running);
                node.after.iter().all(over)
            };
            let ready = self
                .plan
                .nodes
                .iter()
                .enumerate()
                .filter(|(position, node)| self.progress[*position] == Progress::Waiting && settled(node))
                .filter(|(position, _)| !self.awaits_twin(*position));
            let Some((position, _)) =
                ready.rev().max_by(|(one, _), (other, _)| self.tails[*one].total_cmp(&self.tails[*other]))
            else {
                return Ok(());
            };
            self.take(position)?;
            if self.signal.load(Ordering::Relaxed) != 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    fn take(&mut self, position: usize) -> Result<(), Fault> {
        let plan = self.plan;
        let node = &plan.nodes[position];
        let name = node.name();
        let left_out = node.after.iter().find(|before| self.progress[**before] == Progress::LeftOut);
        let turn = match left_out {
            Some(before) => Ok(Turn::LeaveOut(format!("it needs {}", plan.nodes[*before].name()))),
            None => plan.turn(node, self.state, self.history),
        };
        match turn {
            Ok(Turn::Skip(reason)) => {
                self.progress[position] = Progress::Done;
                self.display.say(&format!("· {name} · skip: {reason}"));
            }
            Ok(Turn::LeaveOut(reason)) => {
                self.progress[position] = Progress::LeftOut;
                self.display.say(&format!("· {name} · left out: {reason}"));
            }
            Ok(Turn::Run { reason, afresh, ingredients }) => {
                if afresh {
                    // Before the record says that it began: whoever goes on finds nothing of old.
                    stale::remove(node, &plan.root)?;
                }
                let record =
                    Record { status: Status::Started, ingredients: ingredients.clone(), outputs: BTreeMap::new() };
                self.state.remember(&name, record)?;
                let twin = self.trained_twin(position);
                let (node, copied) = plan.copying(position, twin);
                let command = node.command(&plan.programs);
                self.display.say(&format!("▸ {name} · run: {reason}{copied}"));
                self.display.detail(&command);
                let program = plan.programs.join(node.stage.name());
                let process = Process::start(position, &program, &node.flags(), self.sender.clone())?;
                self.display.begin(position, &name);
                self.progress[position] = Progress::Running;
                let running = Running {
                    process,
                    command,
                    copies: twin.is_some(),
                    ingredients,
                    started: SystemTime::now(),
                    begun: Instant::now(),
                    fraction: 0.0,
                    message: None,
                };
                self.running.insert(position, running);
            }
            Err(fault) => {
                self.progress[position] = Progress::Failed;
                self.failure = Some(fault.kind() as u8);
                self.display.say(&format!("error: {fault}"));
            }
        }
        Ok(())
    }

    /// Whether a training waits for one that is the same but for the run's name, to be copied from it: the first of such twins
    /// is computed, and the others follow.
    fn awaits_twin(&self, position: usize) -> bool {
        self.plan.nodes[position].twins.iter().any(|&twin| match self.progress[twin] {
            Progress::Running => true,
            Progress::Waiting => twin < position,
            _ => false,
        })
    }

    /// Whether a node that waits will be copied and not computed.
    fn will_be_copied(&self, position: usize) -> bool {
        let trained = |&twin: &usize| self.progress[twin] == Progress::Done;
        self.awaits_twin(position) || self.plan.nodes[position].twins.iter().any(trained)
    }

    /// A training that is there and the same but for the run's name.
    fn trained_twin(&mut self, position: usize) -> Option<usize> {
        let plan = self.plan;
        plan.nodes[position].twins.iter().copied().find(|&twin| {
            let done_now = self.progress[twin] == Progress::Done;
            done_now || plan.is_finished(twin, self.state, self.history)
        })
    }

    fn hear(&mut self, position: usize, line: Result<Notice, String>) {
        let name = self.plan.nodes[position].name();
        match line {
            Ok(Notice::Progress { label, done, total, note }) => {
                if let Some(running) = self.running.get_mut(&position) {
                    running.fraction = done as f64 / total.max(1) as f64;
                }
                self.display.progress(position, &label, done, total, &note);
            }
            Ok(Notice::Said { text }) => self.display.say(&format!("  {name}: {text}")),
            Ok(Notice::Failed { text }) => {
                if let Some(running) = self.running.get_mut(&position) {
                    running.message = Some(text);
                }
            }
            Err(text) => self.display.say(&text),
        }
    }

    fn ended(&mut self, position: usize, status: ExitStatus, wall: Duration, peak: Option<u64>) -> Result<(), Fault> {
        let node = &self.plan.nodes[position];
        let name = node.name();
        let Some(running) = self.running.remove(&position) else { return Ok(()) };
        self.display.end(position);
        let present = stale::outputs(node, &self.plan.root, self.state)?;
        let missing =
            node.outputs.iter().map(|path| path.to_string_lossy()).find(|path| !present.contains_key(path.as_ref()));
        let failure = match (status.success(), missing) {
            (true, None) => None,
            (true, Some(path)) => Some((1, format!("it ended well and did not write {path}"))),
            (false, _) => Some(explain(status, running.message.as_deref(), self.plan.jobs)),
        };
        let interrupted = self.interrupted(status);
        let fingerprint = running.ingredients.fingerprint();
        let outcome = match &failure {
            None => Status::Done,
            // Asked to end, it goes on from where it was.
            Some(_) if interrupted => Status::Started,
            Some(_) => Status::Failed,
        };
        let record = Record { status: outcome, ingredients: running.ingredients, outputs: present };
        self.state.remember(&name, record)?;
        let since = running.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.history.add(Lineage {
            node: name.clone(),
            stage: node.stage.name().to_owned(),
            command: running.command.clone(),
            fingerprint,
            status: if failure.is_none() { enums::Status::Done } else { enums::Status::Failed },
            wall_secs: wall.as_secs_f64(),
            peak_rss_bytes: peak,
            started_at_secs: since.as_secs_f64(),
        })?;
        let peak = peak.map_or(String::new(), |peak| format!(" · peak memory {}", size(peak)));
        let cost = format!("{}{peak}", duration(wall));
        match failure {
            None => {
                self.progress[position] = Progress::Done;
                if !running.copies {
                    self.pace.learn(node, wall);
                }
                self.display.say(&format!("✓ {name} · {cost}"));
            }
            Some(_) if interrupted => {
                self.progress[position] = Progress::Failed;
                self.display.say(&format!("· {name} · interrupted after {cost}"));
            }
            Some((code, message)) => {
                self.progress[position] = Progress::Failed;
                self.failure.get_or_insert(code);
                self.display.say(&format!("error: {name} failed after {cost}: {message}"));
                self.display.detail(&running.command);
                if !self.running.is_empty() {
                    self.display.say("what runs beside it is finished, then the pipeline stops");
                }
            }
        }
        Ok(())
    }

    /// Whether a stage ended because a person asked for it; a terminal tells driver and stages at once.
    fn interrupted(&self, status: ExitStatus) -> bool {
        if status.signal() == Some(SIGINT) {
            let _ = self.signal.compare_exchange(0, SIGINT as usize, Ordering::Relaxed, Ordering::Relaxed);
        }
        self.signal.load(Ordering::Relaxed) != 0
    }

    fn tell_overall(&mut self) {
        let chosen = self.plan.chosen.iter().filter(|chosen| **chosen).count();
        let over = |progress: &&Progress| matches!(progress, Progress::Done | Progress::LeftOut | Progress::Failed);
        let done = self.progress.iter().filter(over).count();
        let projected = |running: &Running| {
            (running.fraction > 0.02).then(|| running.begun.elapsed().as_secs_f64() / running.fraction)
        };
        // What works now says what others like it will take, before the first of them has ended.
        let mut pace = self.pace.clone();
        for (position, running) in self.running.iter().filter(|(_, running)| !running.copies) {
            if let Some(seconds) = projected(running) {
                pace.learn(&self.plan.nodes[*position], span(seconds));
            }
        }
        let mut seconds = Some(0.0);
        for (position, node) in self.plan.nodes.iter().enumerate() {
            let running = self.running.get(&position);
            let share = match self.progress[position] {
                // It will be copied, in no time.
                Progress::Waiting if self.will_be_copied(position) => continue,
                Progress::Waiting => 1.0,
                Progress::Running => running.map_or(0.0, |running| 1.0 - running.fraction),
                _ => continue,
            };
            let cost = running.and_then(projected).or_else(|| pace.seconds(node));
            seconds = seconds.zip(cost).map(|(sum, cost)| sum + share * cost);
        }
        let left = seconds.map(|seconds| span(seconds / self.plan.jobs as f64));
        self.display.overall(done, chosen, left);
    }
}

/// The exit code and the message of a stage that failed while so many ran at once.
fn explain(status: ExitStatus, message: Option<&str>, jobs: usize) -> (u8, String) {
    let message = message.map(str::to_owned);
    match (status.code(), status.signal()) {
        (Some(code @ 1..=3), _) => {
            let said = message.unwrap_or_else(|| format!("exit code {code}"));
            (code as u8, said)
        }
        (Some(code), _) => (1, message.unwrap_or_else(|| format!("exit code {code}, a defect of the stage"))),
        // SIGKILL is the system's, SIGABRT the program's own way to end without memory.
        (None, Some(SIGKILL | SIGABRT)) => {
            let instead =
                if jobs > 1 { "try --jobs 1, or a smaller model or batch" } else { "try a smaller model or batch" };
            (3, format!("it was ended, as happens when memory runs out: {instead}"))
        }
        (None, signal) => (1, format!("it was ended by signal {}", signal.unwrap_or_default())),
    }
}
