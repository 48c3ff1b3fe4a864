//! Decides for each job whether it is run, skipped or omitted, in a dry run and in a real run.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use declarations::{Fault, StageName, TextFacts};
use schemas::enums::Split;
use schemas::tables::{Corpus, Vocabulary};
use schemas::{Alphabet, Artifacts, Partition};

use crate::adopt;
use crate::display::Display;
use crate::failures::{self, Lost};
use crate::key::CacheKey;
use crate::lineage::History;
use crate::machine::Machine;
use crate::near::near_file;
use crate::own::{self, OwnStage};
use crate::plan::{self, Job};
use crate::replaced::Replaced;
use crate::stale::{self, Decision, Evidence};
use crate::state::{Record, State, Status};
use crate::study::Study;

/// The jobs of a study, which of them are selected, and how they run.
pub struct Executor<'plan> {
    /// The study.
    pub study: &'plan Study,
    /// All jobs of the study, in topological order.
    pub jobs: &'plan [Job],
    /// Whether each job is selected.
    pub selected: Vec<bool>,
    /// Whether only a part of the study is selected; a stage that reads all of it is then omitted if it cannot run.
    pub partial: bool,
    /// Root of the artifacts.
    pub root: String,
    /// Folder of the stages' programs.
    pub programs: String,
    /// How many jobs run at once, on how many cores, in how much memory.
    pub machine: Machine,
    /// How jobs run and what decides whether they do.
    pub options: Options,
}

/// How jobs run and what decides whether they do.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether up-to-date jobs are rerun.
    pub force: bool,
    /// Whether a job whose program changed is stale, too.
    pub rerun_on_program: bool,
    /// Whether the first failure stops the run.
    pub fail_fast: bool,
    /// Whether commands are printed.
    pub verbose: bool,
    /// Jobs that failed for good, which the results do without.
    pub failed: BTreeSet<String>,
}

/// A job for what there is of the study, and what there is not.
pub(crate) type Rest = (Job, Vec<String>);

/// What is done with a job once its dependencies have finished.
pub(crate) enum Action {
    /// It is up to date.
    Skip {
        reason: String,
        /// What to record of it, if nothing is recorded.
        adopted: Option<Record>,
    },
    /// It cannot run, and need not.
    Omit(String),
    /// Outputs with its parameters come back.
    Restore {
        reason: String,
        cache_key: CacheKey,
    },
    Run {
        reason: String,
        from_scratch: bool,
        cache_key: CacheKey,
        program: String,
    },
}

impl Executor<'_> {
    /// What is done with a job whose inputs are final.
    pub(crate) fn action(&self, job: &Job, state: &mut State, history: &History) -> Result<Action, Fault> {
        self.action_with(job, state, history, self.options.force)
    }

    fn action_with(&self, job: &Job, state: &mut State, history: &History, force: bool) -> Result<Action, Fault> {
        let root = Path::new(&self.root);
        let program = self.program(job, state)?;
        let cache_key = match stale::cache_key(job, root, state)? {
            Ok(cache_key) => cache_key,
            Err(missing) => return self.missing_input(job, &missing),
        };
        let results = stale::results(job, root, state)?;
        let name = job.name();
        let record = state.record(&name);
        let evidence = Evidence {
            cache_key: &cache_key,
            record,
            lineage: history.done(&name),
            results: &results,
            replaced: Replaced::of(job, root).record(&cache_key.fingerprint()).map(|record| record.status),
            program: self.options.rerun_on_program.then_some(program.as_str()),
            force,
        };
        Ok(match stale::decide(job, evidence, || adopt::find(job, &cache_key, root)) {
            Decision::Skip { reason } => {
                let is_recorded = record.is_some_and(|record| record.cache_key == cache_key);
                let adopted =
                    (!is_recorded).then(|| Record { outputs: results, ..Record::new(Status::Done, cache_key) });
                Action::Skip { reason, adopted }
            }
            Decision::Restore { reason } => Action::Restore { reason, cache_key },
            Decision::Run { reason, from_scratch } => Action::Run { reason, from_scratch, cache_key, program },
        })
    }

    /// A hash of a job's program: of a stage's file or, of a stage of the user's own, of the files that its command names; empty if
    /// it names none.
    ///
    /// # Errors
    /// A file is missing or cannot be read.
    pub(crate) fn program(&self, job: &Job, state: &mut State) -> Result<String, Fault> {
        let Some(own) = job.stage.own() else {
            let path = Path::new(&self.programs).join(job.stage.word());
            return state.hash(&path)?.ok_or_else(|| {
                Fault::input(format!(
                    "{} is missing: build the pipeline by ./scripts/run_pipeline.sh or `cargo build --release`",
                    path.display()
                ))
            });
        };
        let mut hashes = Vec::new();
        for path in &own.program {
            hashes.push(state.hash(path)?.ok_or_else(|| {
                let near = near_file(path);
                Fault::input(format!("`own_stages.{}.command`: {} is missing{near}", own.name, path.display()))
            })?);
        }
        Ok(hashes.join(" "))
    }

    fn missing_input(&self, job: &Job, missing: &Path) -> Result<Action, Fault> {
        let path = missing.display();
        if let Some(file) = job.external_inputs.iter().find(|input| input.path == *missing) {
            let near = near_file(missing);
            let steps = match file.key.starts_with("import.") {
                true => ", or for a series the steps that have a file, as in --set snapshot.steps=50,100",
                false => "",
            };
            return Err(Fault::input(format!("{}: {path} is missing{near}; give the file's path{steps}", file.key)));
        }
        let root = Path::new(&self.root);
        let writer = self.jobs.iter().find(|writer| writer.outputs.iter().any(|output| root.join(output) == *missing));
        let writer = writer.map_or("the stage before it".to_owned(), Job::name);
        match job.stage.needs_whole().filter(|_| self.partial) {
            Some(whole) => {
                Ok(Action::Omit(format!("it needs the whole {whole}, and `{writer}` has not written {path}")))
            }
            None => Err(Fault::input(format!(
                "{} needs {path}, which `{writer}` writes: run that first, or everything without --only",
                job.name()
            ))),
        }
    }

    /// Refuses parameters of selected jobs that do not fit the text that a job has written, which is `prep`. Tables that cannot
    /// be read are named by the stage that reads them.
    ///
    /// # Errors
    /// A parameter fault that names the key.
    pub(crate) fn check_text(&self, writer: &Job) -> Result<(), Fault> {
        let Some(text) = (writer.stage == StageName::Prep).then(|| self.text(&writer.partition())).flatten() else {
            return Ok(());
        };
        let reads_it =
            |(job, selected): &(&Job, &bool)| **selected && job.run.is_some() && job.dataset == writer.dataset;
        self.jobs.iter().zip(&self.selected).filter(reads_it).try_for_each(|(job, _)| job.declared.check_text(&text))
    }

    fn text(&self, dataset: &Partition) -> Option<TextFacts> {
        let artifacts = Artifacts::new(&self.root);
        let characters = |split| Some(artifacts.open::<Corpus>(&dataset.clone().split(split)).ok()?.rows());
        let alphabet = Alphabet::new(&artifacts.read::<Vocabulary>(dataset).ok()?.rows);
        Some(TextFacts { alphabet, train: characters(Split::Train)?, val: characters(Split::Val)? })
    }

    /// Warnings of the selected jobs' parameters, each once, as far as that needs no text.
    pub(crate) fn warnings(&self) -> BTreeSet<String> {
        let selected = self.jobs.iter().zip(&self.selected).filter(|(_, selected)| **selected);
        let of_jobs = selected.flat_map(|(job, _)| job.declared.warnings(None));
        let has_no_job = |own: &&Arc<OwnStage>| !self.jobs.iter().any(|job| job.stage.word() == own.name);
        let idle = self.study.own_stages.iter().filter(has_no_job).map(|own| {
            let place = self.study.origin.place_of(&["own_stages", &own.name]);
            format!(
                "warning: {place} has no job, since nothing here writes all that it reads ({})",
                own.reads.join(", ")
            )
        });
        of_jobs.chain(idle).collect()
    }

    /// Warnings of the selected jobs that read the text that a job has written, which is `prep`, each once.
    pub(crate) fn text_warnings(&self, writer: &Job) -> BTreeSet<String> {
        let Some(text) = (writer.stage == StageName::Prep).then(|| self.text(&writer.partition())).flatten() else {
            return BTreeSet::new();
        };
        let reads_it = |(job, selected): &(&Job, &bool)| **selected && job.dataset == writer.dataset;
        let readers = self.jobs.iter().zip(&self.selected).filter(reads_it);
        readers.flat_map(|(job, _)| job.declared.warnings(Some(&text))).collect()
    }

    /// Notes stale jobs that the selected ones depend on and that are not selected.
    pub(crate) fn note_stale(&self, state: &mut State, history: &History, display: &Display) {
        let mut needed: Vec<bool> = self.selected.clone();
        for position in (0..self.jobs.len()).rev() {
            if needed[position] {
                self.jobs[position].dependencies.iter().for_each(|dependency| needed[*dependency] = true);
            }
        }
        let mut stale = Vec::new();
        for (position, job) in self.jobs.iter().enumerate() {
            if needed[position] && !self.selected[position] {
                // A missing file is reported by the job that needs it, a corrupt one when it is read.
                if let Ok(Action::Run { reason, .. }) = self.action_with(job, state, history, false)
                    && state.record(&job.name()).is_some()
                {
                    stale.push(format!("{} ({reason})", job.name()));
                }
            }
        }
        match stale.as_slice() {
            [] => {}
            [one] => display.print(&format!("note: stale but not selected: {one}")),
            [one, rest @ ..] => {
                display.print(&format!("note: stale but not selected: {one} and {} more", rest.len()));
            }
        }
    }

    /// The job of a stage that reads the whole study, for what there is of it after some jobs were lost; and what there is not.
    ///
    /// # Errors
    /// An invalid parameter, which would have been found before.
    pub(crate) fn reduced(&self, index: usize, is_lost: impl Fn(usize) -> bool) -> Result<Option<Rest>, Fault> {
        let job = &self.jobs[index];
        if job.stage.own().is_some() {
            let lost = job.dependencies.iter().copied().filter(|other| is_lost(*other));
            let lost: Vec<&Job> = lost.map(|other| &self.jobs[other]).collect();
            let rest =
                own::without(job, |path| lost.iter().any(|other| other.results.iter().any(|written| written == path)));
            return Ok(rest.map(|job| (job, lost.iter().map(|other| other.name()).collect())));
        }
        let lost = self.jobs.iter().enumerate().filter(|(other, _)| is_lost(*other));
        let lost: Vec<Lost> = lost.filter_map(|(_, job)| Lost::of(job)).collect();
        let Some((rest, missing)) = failures::without(&self.study.specification(), &lost) else { return Ok(None) };
        let jobs = plan::of_study(self.study, rest, &self.root)?;
        Ok(jobs.into_iter().find(|other| other.stage == job.stage).map(|job| (job, missing)))
    }

    /// For each job, the estimated seconds of the longest chain that begins with it. Jobs with the longest chain start first,
    /// so that the run does not end with one job on one core.
    pub(crate) fn critical_paths(&self) -> Vec<f64> {
        let mut seconds: Vec<f64> = self.jobs.iter().map(|job| job.cost.seconds).collect();
        // Jobs are in topological order, so backwards each is final before its dependencies are computed.
        let mut longest_dependent = vec![0.0_f64; self.jobs.len()];
        for position in (0..self.jobs.len()).rev() {
            seconds[position] += longest_dependent[position];
            for &dependency in &self.jobs[position].dependencies {
                longest_dependent[dependency] = longest_dependent[dependency].max(seconds[position]);
            }
        }
        seconds
    }
}
