//! What happens when a job exits: its record, its row in `lineage`, what it replaced.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use declarations::Fault;
use schemas::tables::Lineage;
use schemas::{Artifacts, enums};

use super::{Phase, Scheduler};
use crate::failures::{self, Failure};
use crate::format::{duration, size};
use crate::key::CacheKey;
use crate::link;
use crate::machine::free_bytes;
use crate::own;
use crate::plan::Job;
use crate::process::Exit;
use crate::replaced::Replaced;
use crate::stale;
use crate::state::{Record, Status};

impl Scheduler<'_> {
    pub(super) fn handle_exit(&mut self, index: usize, exit: Exit, wall: Duration) -> Result<(), Fault> {
        let Some(mut running) = self.running.remove(&index) else { return Ok(()) };
        let executor = self.executor;
        let root = Path::new(&executor.root);
        let name = running.job.name();
        let Exit { status, peak_rss_bytes } = exit;
        self.display.end(index);
        if !self.state.owns(&name) {
            // Whoever has the job now records how it ends.
            self.phases[index] = Phase::Failed;
            let message = "another execution has taken this job over, so this one recorded nothing".to_owned();
            running.log.write(&format!("✗ {message}"));
            self.display.print(&format!("✗ {name} · {message}"));
            self.failures.push(Failure { job: name, code: 3, message, command: None, killed: false });
            return Ok(());
        }
        let published = if status.success() { self.publish(&running.job) } else { Ok(()) };
        let results = stale::results(&running.job, root, self.state)?;
        let failure = match (status.success(), published, stale::missing(&running.job, &results)) {
            (true, Ok(()), None) => None,
            (true, Ok(()), Some(path)) => Some((1, format!("exited 0 but did not write {path}"))),
            (true, Err(fault), _) => Some((fault.kind().code(), fault.to_string())),
            (false, ..) if running.job.stage.own().is_some() => {
                let parallel = executor.machine.parallel_jobs;
                Some(failures::explain_own(status, running.error.take().or(running.last_line.take()), parallel))
            }
            (false, ..) => Some(failures::explain(status, running.error.take(), executor.machine.parallel_jobs)),
        };
        let interrupted = self.signals.first().is_some();
        let fingerprint = running.cache_key.fingerprint();
        let outcome = match &failure {
            None => Status::Done,
            // An interrupted job resumes.
            Some(_) if interrupted => Status::Started,
            Some(_) => Status::Failed,
        };
        let seconds = Some(wall.as_secs_f64()).filter(|_| failure.is_none());
        let record = Record {
            status: outcome,
            cache_key: running.cache_key,
            outputs: results,
            program: running.program,
            seconds,
            estimate: running.job.cost.seconds,
        };
        self.state.insert(&name, record);
        let since = running.started_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.record(Lineage {
            node: name.clone(),
            stage: running.job.stage.word().to_owned(),
            command: running.command.clone(),
            fingerprint,
            status: if failure.is_none() { enums::Status::Done } else { enums::Status::Failed },
            wall_secs: wall.as_secs_f64(),
            peak_rss_bytes,
            started_at_secs: since.as_secs_f64(),
        });
        let peak = peak_rss_bytes.map_or(String::new(), |peak| format!(" · peak memory {}", size(peak as f64)));
        let cost = format!("{}{peak}", duration(wall));
        match failure {
            None => {
                if let Err(fault) = Replaced::of(&running.job, root).discard() {
                    self.display.warn(&fault.to_string());
                }
                self.pace.add(&running.job, wall, running.job.cost.seconds);
                running.log.write(&format!("✓ {cost}"));
                self.display.print(&format!("✓ {name} · {cost}"));
                self.finish(index);
            }
            Some((_, message)) if interrupted => {
                self.phases[index] = Phase::Failed;
                running.log.write(&format!("interrupted after {cost}: {message}"));
                self.display.print(&format!("· {name} · interrupted after {cost}"));
            }
            Some((code, message)) => {
                let message = self.with_advice(&running.job, message);
                running.log.write(&format!("✗ failed after {cost}: {message}"));
                if let Some(fingerprint) = &running.replaced {
                    self.take_back(&running.job, fingerprint)?;
                }
                // By a signal, or since it was asked to stop: it may go on elsewhere, or in more memory.
                let killed = status.signal().is_some() || matches!(status.code(), Some(130 | 143));
                self.fail(index, Failure { job: name, code, message, command: Some(running.command), killed });
            }
        }
        Ok(())
    }

    /// Gives what a job of the user's own stage wrote its names; any other stage has done so itself.
    fn publish(&mut self, job: &Job) -> Result<(), Fault> {
        if job.stage.own().is_none() {
            return Ok(());
        }
        let name = job.name();
        let left = own::publish(job, Path::new(&self.executor.root), self.state.fence(&name))?;
        if !left.is_empty() {
            self.display
                .warn(&format!("{name} wrote {}, too, which `writes` does not list: not kept", left.join(", ")));
        }
        Ok(())
    }

    /// Links the tables of a job that does the same, which is done, in place of running this one.
    ///
    /// # Errors
    /// A table is damaged, or cannot be linked or copied; then none is there, unless another execution has taken the job over.
    pub(super) fn link(&mut self, index: usize, other: usize, cache_key: CacheKey) -> Result<(), Fault> {
        let executor = self.executor;
        let (job, other) = (&executor.jobs[index], &executor.jobs[other]);
        let (root, name) = (Path::new(&executor.root), job.name());
        link::check(other, root)?;
        if self.state.owns(&name) {
            Replaced::of(job, root).remove_outputs()?;
        }
        let verb = if link::can_link(job, &cache_key, other, root) { "linked to" } else { "copied from" };
        let artifacts = Artifacts::new(root).behind(self.state.fence(&name).cloned());
        if let Err(fault) = link::link(job, &cache_key, other, &artifacts) {
            if self.state.owns(&name) {
                Replaced::of(job, root).remove_outputs()?;
            }
            return Err(fault);
        }
        let outputs = stale::results(job, root, self.state)?;
        let fingerprint = cache_key.fingerprint();
        self.state.insert(&name, Record { outputs, ..Record::new(Status::Done, cache_key) });
        Replaced::of(job, root).discard()?;
        self.record(Lineage {
            node: name.clone(),
            stage: job.stage.word().to_owned(),
            command: format!("{verb} {}", other.name()),
            fingerprint,
            status: enums::Status::Linked,
            wall_secs: 0.0,
            peak_rss_bytes: None,
            started_at_secs: 0.0,
        });
        self.phases[index] = Phase::Done;
        self.state.settle(&name, None);
        self.display
            .print(&format!("· {name} · {verb} {}, which does the same", other.run.as_deref().unwrap_or_default()));
        Ok(())
    }

    /// Adds an execution to the table `lineage`.
    fn record(&mut self, row: Lineage) {
        if self.state.is_shared() {
            self.state.record_execution(row.into());
        } else if let Err(fault) = self.history.add([row]) {
            self.display.warn(&format!("lineage is not recorded: {fault}"));
        }
    }

    /// A failure's message with what to do where the system refused to write: it knows neither what the job needs nor of other
    /// folders.
    fn with_advice(&self, job: &Job, message: String) -> String {
        let root = &self.executor.root;
        let is = |words: &[&str]| words.iter().any(|words| message.contains(words));
        if is(&["No space left", "uota exceeded"])
            && let Some(free) = free_bytes(Path::new(root))
        {
            let (needed, free) = (size(job.cost.bytes), size(free));
            return format!(
                "{message}; the job writes about {needed}, and the disk of {root} has {free} free: free some, or use another \
                 folder (--artifacts)"
            );
        }
        if is(&["Read-only file system", "Permission denied"]) {
            return format!("{message}; make {root} writable, or use another folder (--artifacts)");
        }
        if is(&["File too large"]) {
            return format!(
                "{message}; `ulimit -f` or the file system limits the size of files: raise it, or use another folder"
            );
        }
        message
    }

    /// Brings back what a job that was refused before it wrote anything was to replace, as if it had never started.
    fn take_back(&mut self, job: &Job, fingerprint: &str) -> Result<(), Fault> {
        let root = Path::new(&self.executor.root);
        if job.outputs.iter().any(|path| root.join(path).exists()) {
            return Ok(());
        }
        let replaced = Replaced::of(job, root);
        match replaced.record(fingerprint) {
            Some(record) => self.state.insert(&job.name(), record),
            // Nothing was recorded of it.
            None => self.state.remove(&job.name()),
        }
        replaced.restore(fingerprint)
    }

    /// Records in the table `lineage` the jobs that are done and whose last execution is not: their tables were there, or an
    /// earlier driver was killed between its two records.
    pub(super) fn record_adopted(&mut self) {
        if self.state.is_shared() {
            return;
        }
        let jobs = self.executor.jobs.iter().zip(&self.phases);
        let done = jobs.filter(|(_, phase)| **phase == Phase::Done).map(|(job, _)| job);
        let adopted = done.filter(|job| self.history.done(&job.name()).is_none()).map(|job| Lineage {
            node: job.name(),
            stage: job.stage.word().to_owned(),
            command: job.command(&self.executor.programs),
            fingerprint: self
                .state
                .record(&job.name())
                .map(|record| record.cache_key.fingerprint())
                .unwrap_or_default(),
            status: enums::Status::Adopted,
            wall_secs: 0.0,
            peak_rss_bytes: None,
            started_at_secs: 0.0,
        });
        let adopted: Vec<Lineage> = adopted.collect();
        if let Err(fault) = self.history.add(adopted) {
            self.display.warn(&format!("lineage is not recorded: {fault}"));
        }
    }

    pub(super) fn warn_unsaved(&mut self) {
        if let Some(reason) = self.state.take_unsaved() {
            self.display
                .warn(&format!("the driver's records are not saved ({reason}): the next run reads footers instead"));
        }
    }
}
