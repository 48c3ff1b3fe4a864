//! How far the work is, told to a person, to a log, or to the driver.

use std::cell::RefCell;
use std::io::Write;
use std::time::{Duration, Instant};

use declarations::Fault;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::{Deserialize, Serialize};

/// The environment variable by which the driver asks a stage to tell its progress as lines of JSON ([`Notice`]) on
/// standard error, so that it can draw the bars of several stages together. It changes nothing that a stage writes.
pub const RELAY: &str = "ATTENTION_STUDY_RELAY";

/// One line of a stage to the driver.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Notice {
    /// How far a piece of work is.
    Progress {
        /// What is being done.
        label: String,
        /// Units done.
        done: u64,
        /// Units in all.
        total: u64,
        /// What a person wants to know on the way, such as the loss.
        note: String,
    },
    /// Something a person should read.
    Message {
        /// The text.
        text: String,
    },
    /// What ended the stage.
    Failed {
        /// The message.
        text: String,
    },
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Manner {
    Silent,
    Bars,
    Lines,
    Relay,
}

/// Where a stage tells a person what it does: standard error, as bars on a terminal, as plain lines elsewhere.
pub struct Terminal {
    manner: Manner,
}

impl Terminal {
    /// A terminal; a quiet one prints nothing but errors.
    pub fn new(quiet: bool) -> Self {
        let manner = if quiet {
            Manner::Silent
        } else if std::env::var_os(RELAY).is_some() {
            Manner::Relay
        } else if !ProgressDrawTarget::stderr().is_hidden() {
            // A terminal that can draw.
            Manner::Bars
        } else {
            Manner::Lines
        };
        Self { manner }
    }

    /// A terminal that says nothing: for tests and for libraries.
    pub fn silent() -> Self {
        Self { manner: Manner::Silent }
    }

    /// Says something that a person should read.
    pub fn say(&self, text: impl AsRef<str>) {
        let text = text.as_ref();
        match self.manner {
            Manner::Silent => {}
            Manner::Bars | Manner::Lines => write_line(text),
            Manner::Relay => relay(&Notice::Message { text: text.to_owned() }),
        }
    }

    /// Says what ended the stage.
    pub fn fail(&self, fault: &Fault) {
        match self.manner {
            Manner::Relay => relay(&Notice::Failed { text: fault.to_string() }),
            _ => write_line(&format!("error: {fault}")),
        }
    }

    /// Starts a piece of work of so many units.
    pub fn progress(&self, label: &str, total: u64) -> Progress {
        let bar = (self.manner == Manner::Bars).then(|| {
            let style = "{prefix:>18} {bar:32.cyan/dim} {pos}/{len} {msg} · {elapsed} · {eta} left";
            let style = ProgressStyle::with_template(style).expect("the template is well formed");
            ProgressBar::new(total).with_style(style).with_prefix(label.to_owned())
        });
        if let Some(bar) = &bar {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        let state = State { done: 0, note: String::new(), told: None };
        Progress {
            manner: self.manner,
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
    told: Option<Instant>,
}

/// A piece of work under way. Dropping it ends its bar.
pub struct Progress {
    manner: Manner,
    label: String,
    total: u64,
    bar: Option<ProgressBar>,
    started: Instant,
    state: RefCell<State>,
}

impl Progress {
    /// So many more units are done.
    pub fn advance(&self, units: u64) {
        let done = self.state.borrow().done + units;
        self.reach(done);
    }

    /// So many units are done in all.
    pub fn reach(&self, done: u64) {
        self.state.borrow_mut().done = done;
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None => self.tell(),
        }
    }

    /// What a person wants to know on the way, such as the loss.
    pub fn note(&self, note: impl Into<String>) {
        let note = note.into();
        if let Some(bar) = &self.bar {
            bar.set_message(note.clone());
        }
        self.state.borrow_mut().note = note;
    }

    fn tell(&self) {
        let every = match self.manner {
            Manner::Silent | Manner::Bars => return,
            Manner::Lines => Duration::from_secs(10),
            Manner::Relay => Duration::from_millis(200),
        };
        let mut state = self.state.borrow_mut();
        let finished = state.done >= self.total;
        if state.told.is_some_and(|told| told.elapsed() < every) && !finished {
            return;
        }
        state.told = Some(Instant::now());
        let (label, total, done, note) = (self.label.clone(), self.total, state.done, state.note.clone());
        if self.manner == Manner::Relay {
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

/// A closed standard error is no reason to stop working.
fn write_line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn relay(notice: &Notice) {
    write_line(&serde_json::to_string(notice).expect("plain data serialises"));
}
