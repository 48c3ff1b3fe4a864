//! What a person sees while the pipeline works: bars on a terminal, plain lines elsewhere, never both.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often a log without a terminal hears of a job that works.
const LINES_EVERY: Duration = Duration::from_secs(30);

/// The terminal or the log.
pub struct Display {
    bars: Option<Bars>,
    working: BTreeMap<usize, Working>,
    started: Instant,
    overall_reported: Instant,
}

struct Bars {
    all: MultiProgress,
    overall: ProgressBar,
}

struct Working {
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
    /// Bars where standard error is a terminal that can draw them, else lines.
    pub fn new() -> Self {
        let all = MultiProgress::new();
        let bars = (!all.is_hidden()).then(|| {
            let overall = all.add(bar("{prefix:<42} {bar:24.green/dim} {msg}", "study"));
            Bars { all, overall }
        });
        Self { bars, working: BTreeMap::new(), started: Instant::now(), overall_reported: Instant::now() }
    }

    /// Prints a line above the bars.
    pub fn print(&self, text: &str) {
        match &self.bars {
            // A closed standard error is no reason to stop working.
            Some(bars) => drop(bars.all.println(text)),
            None => drop(writeln!(std::io::stderr(), "{text}")),
        }
    }

    /// Prints a detail, such as a command.
    pub fn detail(&self, text: &str) {
        self.print(&format!("  {}", console::style(text).for_stderr().dim()));
    }

    /// A job begins.
    pub fn begin(&mut self, job: usize, name: &str) {
        let bar = self.bars.as_ref().map(|bars| {
            bars.all.insert_before(&bars.overall, bar("{prefix:<42} {bar:24.cyan/dim} {msg} · {elapsed}", name))
        });
        let now = Instant::now();
        self.working.insert(job, Working { name: name.to_owned(), bar, started: now, reported: now });
    }

    /// How far a job is.
    pub fn progress(&mut self, job: usize, label: &str, done: u64, total: u64, note: &str) {
        let Some(working) = self.working.get_mut(&job) else { return };
        let note = if note.is_empty() { String::new() } else { format!(" · {note}") };
        let message = format!("{label} {done}/{total}{note}");
        match &working.bar {
            Some(bar) => {
                bar.set_length(total);
                bar.set_position(done);
                bar.set_message(message);
            }
            None if working.reported.elapsed() >= LINES_EVERY => {
                working.reported = Instant::now();
                let line = format!("… {} · {message} · {}", working.name, duration(working.started.elapsed()));
                self.print(&line);
            }
            None => {}
        }
    }

    /// A job has ended.
    pub fn end(&mut self, job: usize) {
        if let Some(Working { bar: Some(bar), .. }) = self.working.remove(&job) {
            bar.finish_and_clear();
        }
    }

    /// How far all of it is.
    pub fn overall(&mut self, done: usize, total: usize, left: Option<Duration>) {
        let left = left.map_or(String::new(), |left| format!(" · about {} left", duration(left)));
        let message = format!("{done}/{total} jobs · {}{left}", duration(self.started.elapsed()));
        match &self.bars {
            Some(bars) => {
                bars.overall.set_length(total as u64);
                bars.overall.set_position(done as u64);
                bars.overall.set_message(message);
            }
            None if self.overall_reported.elapsed() >= 2 * LINES_EVERY => {
                self.overall_reported = Instant::now();
                self.print(&format!("… {message}"));
            }
            None => {}
        }
    }

    /// Takes the bars away.
    pub fn close(&mut self) {
        if let Some(bars) = self.bars.take() {
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

/// Prints a line on standard output. A closed one is no failure.
pub fn print(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}

/// Prints a line on standard error. A closed one is no failure.
pub fn print_error(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}

/// A time as a person reads it: `4.2 s`, `3 min 05 s`, `2 h 07 min`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// A size as a person reads it.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000_000 => format!("{} MB", bytes.div_ceil(1_000_000)),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
