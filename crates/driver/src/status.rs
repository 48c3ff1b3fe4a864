//! `status`: which jobs are done, stale and why, running, or failed.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use declarations::{Fault, StageName};
use schemas::enums::Activity;
use schemas::tables::{Evaluations, Timings, Tracking};
use schemas::{Artifacts, Partition};

use crate::cluster::Journal;
use crate::display::print_plain;
use crate::executor::Executor;
use crate::forecast::Forecast;
use crate::format::duration;
use crate::lineage::History;
use crate::logs;
use crate::pace::from_seconds;
use crate::plan::Job;
use crate::progress::{self, Progress, Report};
use crate::shared;
use crate::stage::Stage;
use crate::state::{State, Status};

/// Most jobs of one kind that are listed.
const LISTED: usize = 10;
/// Time between two looks of `--watch`.
const INTERVAL: Duration = Duration::from_secs(2);

impl Executor<'_> {
    /// Prints the status once or, with `watch`, until the pipeline that runs has ended.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn print_status(&self, watch: bool) -> Result<Option<u8>, Fault> {
        let root = Path::new(&self.root);
        if !root.is_dir() {
            return Err(Fault::input(format!("nothing ran in {} yet", root.display())));
        }
        let mut state = State::open(root, false);
        loop {
            let report = is_locked(root).then(|| progress::read(root)).flatten();
            state.reload();
            state.adopt_all();
            let text = self.status(&mut state, (is_locked(root), report.as_ref()), watch)?;
            if watch {
                // Up and clear, so that the new text stands where the old one did.
                let _ = console::Term::stdout().clear_screen();
            }
            print_plain(&text);
            if !watch || !is_locked(root) {
                return Ok(None);
            }
            std::thread::sleep(INTERVAL);
        }
    }

    /// The status, where a run of the pipeline may be going on and have reported how far it is.
    fn status(&self, state: &mut State, run: (bool, Option<&Report>), details: bool) -> Result<String, Fault> {
        let (is_running, report) = run;
        let root = Path::new(&self.root);
        let history = History::open(Artifacts::new(root));
        let forecasts = self.forecast(state, &history);
        let journal = Journal::read(root)?;
        let is_shared = shared::any(root);
        // Where several drivers work, each job has a report of its own.
        let running = |name: &str, has_started: bool| {
            let reported = report.and_then(|report| report.running.get(name).cloned());
            let own = || {
                (has_started && is_shared && (is_running || journal.runs(name))).then(|| shared::progress(root, name))
            };
            reported.or_else(|| own().flatten())
        };
        let mut counts: BTreeMap<&Stage, [usize; 4]> = BTreeMap::new();
        let (mut runs, mut stale, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for (job, forecast) in self.jobs.iter().zip(&forecasts) {
            let count = counts.entry(&job.stage).or_default();
            let name = job.name();
            let did_fail = state.record(&name).is_some_and(|record| record.status == Status::Failed);
            let has_started = state.record(&name).is_some_and(|record| record.status == Status::Started);
            if let Some((progress, seconds)) = running(&name, has_started) {
                count[1] += 1;
                runs.push(self.running(job, &progress, seconds, details));
            } else if has_started && (is_running || journal.runs(&name)) {
                // It has not told how far it is.
                count[1] += 1;
                runs.push(name);
            } else if did_fail {
                count[3] += 1;
                failed.push(format!("{name} · log: {}", logs::path(root, &name).display()));
            } else {
                match forecast {
                    Some(Forecast::UpToDate(_) | Forecast::Restored(_) | Forecast::Waits(_)) => count[0] += 1,
                    Some(Forecast::Runs { reason, .. }) => {
                        count[2] += 1;
                        stale.push(format!("{name} · {reason}"));
                    }
                    Some(Forecast::Fails(fault)) => {
                        count[2] += 1;
                        stale.push(format!("{name} · {fault}"));
                    }
                    _ => count[2] += 1,
                }
            }
        }
        let width = counts.keys().map(|stage| stage.word().len()).fold(10, usize::max);
        let mut text = format!(
            "{:<width$} {:>6} {:>8} {:>6} {:>7} {:>10}\n",
            "stage", "done", "running", "to do", "failed", "time"
        );
        for (stage, [done, running, stale, failed]) in counts {
            let time = self.time_of(stage, state);
            let time = if time.is_zero() { String::new() } else { duration(time) };
            text += &format!("{:<width$} {done:>6} {running:>8} {stale:>6} {failed:>7} {time:>10}\n", stage.word());
        }
        for (title, jobs) in [("running", runs), ("failed", failed), ("to do", stale)] {
            text += &list(title, &jobs);
        }
        text.extend(self.edited(&forecasts, state).iter().map(|note| format!("{note}\n")));
        if journal.is_active() {
            let (running, waiting) = journal.counts();
            text += &format!("on the cluster: {running} tasks run, {waiting} wait");
            let ids = journal.arrays.values().filter_map(|array| array.id.clone()).collect::<Vec<_>>().join(", ");
            text += &format!(" (arrays {ids})\n");
        }
        if let Some(Report { jobs: (done, all), seconds_left, .. }) = report {
            let left = seconds_left.map(|seconds| format!(" · about {} left", duration(from_seconds(seconds))));
            text += &format!("{done}/{all} jobs{}\n", left.unwrap_or_default());
        }
        Ok(text)
    }

    /// The time that the finished jobs of a stage took.
    fn time_of(&self, stage: &Stage, state: &State) -> Duration {
        let jobs = self.jobs.iter().filter(|job| job.stage == *stage);
        let seconds = jobs.filter_map(|job| state.record(&job.name())?.seconds);
        from_seconds(seconds.sum())
    }

    fn running(&self, job: &Job, progress: &Progress, seconds: f64, details: bool) -> String {
        let fraction = progress.fraction();
        let left = (fraction > 0.02).then(|| from_seconds(seconds * (1.0 - fraction) / fraction));
        let left = left.map_or(String::new(), |left| format!(" · about {} left", duration(left)));
        let Progress { label, done, total, note } = progress;
        let note = if note.is_empty() { String::new() } else { format!(" · {note}") };
        let time = duration(from_seconds(seconds));
        let line = format!("{} · {label} {done}/{total}{note} · {time}{left}", job.name());
        match details && job.stage == StageName::Train {
            false => line,
            true => [Some(line), self.learning(job)].into_iter().flatten().collect::<Vec<_>>().join("\n    "),
        }
    }

    /// What a training has committed so far: validation loss, entropy of each layer, speed.
    fn learning(&self, job: &Job) -> Option<String> {
        let artifacts = Artifacts::new(&self.root);
        let partition = job.partition();
        let mut parts = Vec::new();
        let evaluations = artifacts.read::<Evaluations>(&partition).ok()?.rows;
        let last = evaluations.last()?;
        parts.push(format!("step {}: validation loss {:.3}", last.step, last.val_loss));
        parts.extend(entropies(&artifacts, &partition));
        parts.extend(speed(&artifacts, &partition));
        Some(parts.join(" · "))
    }
}

/// The mean normalized entropy of each layer's heads at the last tracked step.
fn entropies(artifacts: &Artifacts, partition: &Partition) -> Option<String> {
    let tracking = artifacts.read::<Tracking>(partition).ok()?.rows;
    let last = tracking.last()?.step;
    let mut layers: BTreeMap<u16, Vec<f64>> = BTreeMap::new();
    for row in tracking.iter().filter(|row| row.step == last) {
        layers.entry(row.layer).or_default().push(row.normalized_entropy);
    }
    let mean = |values: &Vec<f64>| format!("{:.2}", values.iter().sum::<f64>() / values.len() as f64);
    Some(format!("normalized entropy by layer {}", layers.values().map(mean).collect::<Vec<_>>().join(" ")))
}

fn speed(artifacts: &Artifacts, partition: &Partition) -> Option<String> {
    let timings = artifacts.read::<Timings>(&partition.clone().stage("train")).ok()?.rows;
    let steps = timings.iter().rfind(|row| row.activity == Activity::Steps)?;
    Some(format!("{:.0} characters/s", steps.characters as f64 / steps.wall_secs))
}

fn list(title: &str, jobs: &[String]) -> String {
    if jobs.is_empty() {
        return String::new();
    }
    let shown = jobs.iter().take(LISTED).map(|job| format!("  {job}\n")).collect::<String>();
    let more = jobs.len().saturating_sub(LISTED);
    let more = if more > 0 { format!("  and {more} more\n") } else { String::new() };
    format!("{title}\n{shown}{more}")
}

/// Whether a run of the pipeline has locked the folder.
pub(crate) fn is_locked(root: &Path) -> bool {
    let lock = File::open(root.join(".lock"));
    lock.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}
