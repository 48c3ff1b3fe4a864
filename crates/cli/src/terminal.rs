//! Progress and messages of a stage: bars on a terminal, lines in a log, JSON for the driver.

use std::cell::RefCell;
use std::io::Write;
use std::time::{Duration, Instant};

use declarations::{Facts, Fault, Job, Signal, Stage};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::{Deserialize, Serialize};

use crate::Stop;

/// The environment variable by which the driver makes a stage report as lines of JSON ([`Notice`]) on standard error, so
/// that it can draw the bars of several stages together. The outputs of the stage do not depend on it.
pub const RELAY: &str = "ATTENTION_STUDY_RELAY";

/// A line from a stage to the driver.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Notice {
    /// Progress of a task.
    Progress {
        /// The task.
        label: String,
        /// Units done.
        done: u64,
        /// All units.
        total: u64,
        /// A current value, such as the loss; may be empty.
        note: String,
    },
    /// A message for the user.
    Message {
        /// The text.
        text: String,
    },
    /// The error that ends the stage.
    Failed {
        /// The message.
        text: String,
    },
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Mode {
    Silent,
    Bars,
    Lines,
    Relay,
}

/// Standard error of a stage, and what its user asks of it by a signal.
pub struct Terminal {
    mode: Mode,
    stop: Stop,
}

impl Terminal {
    /// A terminal with bars where it can draw them, with lines elsewhere; a quiet one prints nothing but errors.
    pub fn new(quiet: bool) -> Self {
        let mode = if quiet {
            Mode::Silent
        } else if std::env::var_os(RELAY).is_some() {
            Mode::Relay
        } else if !ProgressDrawTarget::stderr().is_hidden() {
            Mode::Bars
        } else {
            Mode::Lines
        };
        Self { mode, stop: Stop::default() }
    }

    /// A terminal that prints errors only, for tests.
    pub fn silent() -> Self {
        Self { mode: Mode::Silent, stop: Stop::default() }
    }

    /// Lets the work find requests to stop.
    pub(crate) fn listens(&mut self, stop: Stop) {
        self.stop = stop;
    }

    /// The signal that asks the work to save what it has and to end with [`Fault::stopped`]; none if none does.
    pub fn stop(&self) -> Option<Signal> {
        self.stop.requested()
    }

    /// Prints a message.
    pub fn say(&self, text: impl AsRef<str>) {
        let text = text.as_ref();
        match self.mode {
            Mode::Silent => {}
            Mode::Bars | Mode::Lines => write_line(text),
            Mode::Relay => relay(&Notice::Message { text: text.to_owned() }),
        }
    }

    /// Prints the warnings of a job's parameters ([`Stage::warnings`]) as those of its flags. To the driver nothing is said: it has
    /// said so for all jobs together.
    pub fn warn<S: Stage>(&self, job: &Job<S>, facts: &Facts<'_>) {
        if self.mode != Mode::Relay {
            for declarations::Invalid { parameter, message } in S::warnings(&job.parameters, facts) {
                self.say(format!("warning: --{} {message}", parameter.replace('_', "-")));
            }
        }
    }

    /// Prints the error that ends the stage.
    pub fn fail(&self, fault: &Fault) {
        match self.mode {
            Mode::Relay => relay(&Notice::Failed { text: fault.to_string() }),
            _ if fault.is_stop() => write_line(&fault.to_string()),
            _ => write_line(&format!("error: {fault}")),
        }
    }

    /// Starts a task of `total` units.
    pub fn progress(&self, label: &str, total: u64) -> Progress {
        let bar = (self.mode == Mode::Bars).then(|| {
            let style = "{prefix:>18} {bar:32.cyan/dim} {pos}/{len} {msg} · {elapsed} · {eta} left";
            let style = ProgressStyle::with_template(style).expect("the template is well formed");
            ProgressBar::new(total).with_style(style).with_prefix(label.to_owned())
        });
        if let Some(bar) = &bar {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        let state = State { done: 0, note: String::new(), reported: None };
        Progress {
            mode: self.mode,
            label: label.to_owned(),
            total,
            bar,
            started: Instant::now(),
            state: RefCell::new(state),
        }
    }
}

struct State {
    done: u64,
    note: String,
    reported: Option<Instant>,
}

/// A running task. Dropping it removes its bar.
pub struct Progress {
    mode: Mode,
    label: String,
    total: u64,
    bar: Option<ProgressBar>,
    started: Instant,
    state: RefCell<State>,
}

impl Progress {
    /// Adds finished units.
    pub fn advance(&self, units: u64) {
        let done = self.state.borrow().done + units;
        self.reach(done);
    }

    /// Sets the number of finished units.
    pub fn reach(&self, done: u64) {
        self.state.borrow_mut().done = done;
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None => self.report(),
        }
    }

    /// Sets a current value to show, such as the loss.
    pub fn note(&self, note: impl Into<String>) {
        let note = note.into();
        if let Some(bar) = &self.bar {
            bar.set_message(note.clone());
        }
        self.state.borrow_mut().note = note;
    }

    fn report(&self) {
        let interval = match self.mode {
            Mode::Silent | Mode::Bars => return,
            Mode::Lines => Duration::from_secs(10),
            Mode::Relay => Duration::from_millis(200),
        };
        let mut state = self.state.borrow_mut();
        let finished = state.done >= self.total;
        if state.reported.is_some_and(|reported| reported.elapsed() < interval) && !finished {
            return;
        }
        state.reported = Some(Instant::now());
        let (label, total, done, note) = (self.label.clone(), self.total, state.done, state.note.clone());
        if self.mode == Mode::Relay {
            relay(&Notice::Progress { label, done, total, note });
            return;
        }
        let elapsed = self.started.elapsed().as_secs_f64();
        let left = elapsed * (total.saturating_sub(done)) as f64 / (done.max(1)) as f64;
        let note = if note.is_empty() { note } else { format!(" · {note}") };
        write_line(&format!("{label} {done}/{total}{note} · {elapsed:.0} s · {left:.0} s left"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Prints a line. A closed standard error is no failure.
fn write_line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn relay(notice: &Notice) {
    write_line(&serde_json::to_string(notice).expect("plain data serialises"));
}
