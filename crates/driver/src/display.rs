//! Progress of a run: bars on a terminal, plain lines elsewhere.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::format::duration;

/// Time between two lines about a running job where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(30);

/// Standard error, a terminal or a log.
pub struct Display {
    bars: Option<Bars>,
    running: BTreeMap<usize, Running>,
    started: Instant,
    overall_reported: Instant,
    warned: BTreeSet<String>,
    silent: bool,
}

struct Bars {
    all: MultiProgress,
    overall: ProgressBar,
}

struct Running {
    name: String,
    bar: Option<ProgressBar>,
    started: Instant,
    reported: Instant,
}

impl Default for Display {
    fn default() -> Self {
        Self::new()
    }
}

impl Display {
    /// Bars if standard error is a terminal that can draw them, else lines.
    pub fn new() -> Self {
        let all = MultiProgress::new();
        let bars = (!all.is_hidden()).then(|| {
            let overall = all.add(bar("{prefix:<42} {bar:24.green/dim} {msg}", "study"));
            Bars { all, overall }
        });
        let (running, warned) = Default::default();
        Self { bars, running, started: Instant::now(), overall_reported: Instant::now(), warned, silent: false }
    }

    /// A display that shows nothing, for tests.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self { silent: true, ..Self::new() }
    }

    /// Prints a line above the bars.
    pub fn print(&self, text: &str) {
        let text = printable(text);
        match &self.bars {
            _ if self.silent => {}
            // A closed standard error is no failure.
            Some(bars) => drop(bars.all.println(&text)),
            None => drop(writeln!(std::io::stderr(), "{text}")),
        }
    }

    /// Prints a warning, once however often it is given.
    pub fn warn(&mut self, text: &str) {
        if self.warned.insert(text.to_owned()) {
            self.print(&format!("note: {text}"));
        }
    }

    /// Prints a detail, such as a command.
    pub fn detail(&self, text: &str) {
        self.print(&format!("  {text}"));
    }

    /// Adds a job that starts.
    pub fn begin(&mut self, job: usize, name: &str) {
        let bar = self.bars.as_ref().map(|bars| {
            bars.all.insert_before(&bars.overall, bar("{prefix:<42} {bar:24.cyan/dim} {msg} · {elapsed}", name))
        });
        let now = Instant::now();
        self.running.insert(job, Running { name: name.to_owned(), bar, started: now, reported: now });
    }

    /// Shows the progress of a job.
    pub fn progress(&mut self, job: usize, label: &str, done: u64, total: u64, note: &str) {
        let Some(running) = self.running.get_mut(&job) else { return };
        let note = if note.is_empty() { String::new() } else { format!(" · {note}") };
        let message = format!("{label} {done}/{total}{note}");
        match &running.bar {
            Some(bar) => {
                bar.set_length(total);
                bar.set_position(done);
                bar.set_message(message);
            }
            None if running.reported.elapsed() >= LINE_INTERVAL => {
                running.reported = Instant::now();
                let line = format!("… {} · {message} · {}", running.name, duration(running.started.elapsed()));
                self.print(&line);
            }
            None => {}
        }
    }

    /// Removes a job that exited.
    pub fn end(&mut self, job: usize) {
        if let Some(Running { bar: Some(bar), .. }) = self.running.remove(&job) {
            // Without its ticks first, one of which could draw the bar once more.
            bar.disable_steady_tick();
            bar.finish_and_clear();
            if let Some(bars) = &self.bars {
                bars.all.remove(&bar);
            }
        }
    }

    /// Shows the progress of the run.
    pub fn overall(&mut self, done: usize, total: usize, left: Option<Duration>) {
        let left = left.map_or(String::new(), |left| format!(" · about {} left", duration(left)));
        let message = format!("{done}/{total} jobs · {}{left}", duration(self.started.elapsed()));
        match &self.bars {
            Some(bars) => {
                bars.overall.set_length(total as u64);
                bars.overall.set_position(done as u64);
                bars.overall.set_message(message);
            }
            None if self.overall_reported.elapsed() >= 2 * LINE_INTERVAL => {
                self.overall_reported = Instant::now();
                self.print(&format!("… {message}"));
            }
            None => {}
        }
    }

    /// Removes the bars.
    pub fn close(&mut self) {
        if let Some(bars) = self.bars.take() {
            bars.overall.disable_steady_tick();
            bars.overall.finish_and_clear();
            drop(bars.all.clear());
        }
    }
}

fn bar(template: &str, name: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    let bar = ProgressBar::new(1).with_style(style).with_prefix(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A text without control characters: what names, parameters and programs hold cannot move the cursor or change colours.
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_control = |character: char| character.is_control() && character != '\n' && character != '\t';
    match text.contains(is_control) {
        false => Cow::Borrowed(text),
        true => {
            let escaped = |character: char| match is_control(character) {
                true => character.escape_default().to_string(),
                false => character.to_string(),
            };
            Cow::Owned(text.chars().map(escaped).collect())
        }
    }
}

/// Prints a line on standard output. A closed one is no failure.
pub fn print(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}

/// Prints a line on standard output, without the control characters that names and parameters may hold.
pub fn print_plain(text: &str) {
    print(&printable(text));
}

/// Prints a line on standard error. A closed one is no failure.
pub fn print_error(text: &str) {
    drop(writeln!(std::io::stderr(), "{}", printable(text)));
}
